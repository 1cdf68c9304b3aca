"""What NumPy and scikit-learn would turn into numbers without a word, or refuse without saying where it stands."""
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp

CATEGORIES = "encode categories as numbers first, by OneHotEncoder, OrdinalEncoder or ColumnTransformer"
OBJECTS = "convert such objects to numbers first, dates to days since the first of them, say"


def refuse(value, name, sparse=False, times=False):
    """Raise where value is no data or holds what is not real numbers: lazy frames, masks, complex numbers, times.

    Parameters
    ----------
    value : object
    name : str
        The argument, for the message.
    sparse, times : bool
        Whether sparse matrices, and dates and durations, may pass.
    """
    if type(value).__name__ == "LazyFrame":
        raise TypeError(f"{name} is a LazyFrame, which holds no data yet: call .collect() on it.")
    if sp.issparse(value) and not sparse:
        raise ValueError(f"Sparse data was passed for {name}, which must be dense: use {name}.toarray().")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is a masked array with masked entries: fill them by {name}.filled(...), or leave "
                         "their rows out.")
    for column, dtype in _dtypes(value):
        at = "" if column is None else f" in column {column!r}"
        if getattr(dtype, "kind", None) == "c":
            raise ValueError(f"Complex data not supported: {name} must be real, got {dtype}{at}.")
        if not times and _is_time(dtype):
            raise TypeError(f"{name} holds {dtype} values{at}: convert them to numbers in a unit of your choice, for "
                            "dates (x - x.min()) / np.timedelta64(1, 'D').")


def _is_time(dtype):
    """Whether a dtype of NumPy, pandas or polars is one of dates or durations."""
    return getattr(dtype, "kind", None) in ("m", "M") or (
        hasattr(dtype, "is_temporal") and bool(dtype.is_temporal()))


def _dtypes(value):
    """(column, dtype) of a frame; (None, dtype) of anything else that has one, and of NumPy's scalars in objects."""
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        yield from zip(value.columns, value.dtypes)
        return
    if isinstance(value, (list, tuple)):
        try:
            value = np.asarray(value)
        except ValueError:           # rows of several lengths: told in the conversion
            return
    if isinstance(value, np.ndarray) and value.dtype == object:
        kinds = {type(one) for one in value.flat}
        yield from ((None, np.dtype(kind)) for kind in kinds if issubclass(kind, np.generic))
    elif hasattr(value, "dtype"):
        yield None, value.dtype


def as_floats(value, name):
    """A float64 array of real numbers; float32 and float64 arrays as they are."""
    refuse(value, name)
    if isinstance(value, np.ndarray) and value.dtype in (np.float32, np.float64):
        return np.asarray(value)
    texts = [] if hasattr(value, "dtype") or not isinstance(value, (list, tuple)) else [
        i for i, one in enumerate(value) if isinstance(one, (str, bytes))]
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        raise TypeError(f"{name} must hold numbers, got texts ({value.dtype}).")
    if texts:
        raise TypeError(f"{name}[{texts[0]}] must be an instance of float, not {type(value[texts[0]]).__name__}: "
                        f"got {value[texts[0]]!r}.")
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise (_located(error, value, name) or type(error)(f"{name} must hold numbers: {error}")) from None


@contextmanager
def locating(value, name):
    """Errors of a conversion to float say which argument, column and row."""
    try:
        yield
    except (TypeError, ValueError) as error:
        better = _located(error, value, name)
        if better is None:
            raise
        raise better from None


def _located(error, value, name):
    """The same error with the place of the first entry of which float() makes nothing; None where all are numbers."""
    found = _first_not_a_number(value)
    if found is None:
        return None
    one, place = found
    kind = TypeError if isinstance(error, TypeError) else ValueError
    hint = CATEGORIES if isinstance(one, (str, bytes)) else OBJECTS
    return kind(f"{name} holds a value that is no number, {one!r} in {place}: {error}; {hint}.")


def _first_not_a_number(value):
    """(the first entry of which float() makes nothing, where it stands), or None."""
    try:
        array = np.asarray(value, dtype=object)
    except ValueError:               # rows of several lengths
        return None
    if sp.issparse(value) or array.ndim not in (1, 2):
        return None
    names = list(value.columns) if hasattr(value, "columns") else range(array.shape[-1])
    for j, column in enumerate(array.T if array.ndim == 2 else [array]):
        for i, one in enumerate(column):
            if not _is_number(one):
                return one, f"column {names[j]!r}, row {i}" if array.ndim == 2 else f"row {i}"
    return None


def _is_number(one):
    try:
        return one is None or np.ndim(float(one)) == 0         # None becomes NaN
    except (TypeError, ValueError):
        return False
