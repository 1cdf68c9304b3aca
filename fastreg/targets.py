"""Targets as a loss reads them: numbers, or labels as -1 and 1."""
import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from fastreg.inputs import as_floats


def coded(y):
    """(Numbers of the labels y in their order, the labels: two or more).

    Raises
    ------
    ValueError, TypeError
        Where y holds a single label, what is not finite or what cannot be sorted.
    """
    check_classification_targets(y)
    y = column_or_1d(y)
    try:
        classes, codes = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"y holds labels that cannot be sorted, of several types or None: {error}.") from None
    if len(classes) < 2:
        raise ValueError(f"y must hold two classes or more, got one class: {classes[0]!r}.")
    return codes, classes


def against_others(codes, n_classes):
    """A column for each class, 1 in its rows and -1 elsewhere: shape (n, n_classes)."""
    return np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)


def as_target(datafit, y):
    """(y as the datafit reads it, its labels or None): of two classes -1 and 1, of several a column for each."""
    if not datafit.labels:
        datafit.check_y(y)
        return y, None
    codes, classes = coded(y)
    if datafit.coupled:
        return against_others(codes, len(classes)), classes
    if len(classes) > 2:
        raise ValueError(f"y must hold two classes where datafit is {datafit.name!r}, got {len(classes)}: "
                         "'multinomial' is the loss of several.")
    return np.where(codes == 1, 1.0, -1.0), classes


def as_given(datafit, classes, y, name="y"):
    """y of other rows than those fitted, as the datafit reads it; `classes` are the labels of the fit, None of numbers.

    Raises
    ------
    ValueError, TypeError
        Where y holds a label that the fit has not seen, or a number that is not finite or not the loss's.
    """
    if classes is None:
        y = as_floats(y, name).astype(np.float64)
        if not np.isfinite(y).all():
            raise ValueError(f"{name} must be finite.")
        datafit.check_y(y)
        return y
    if not np.isin(y, classes).all():
        raise ValueError(f"{name} must hold the labels of the fit, {', '.join(map(repr, classes))}, alone.")
    y = against_others(np.searchsorted(classes, y), len(classes))
    return y if datafit.coupled else y[:, 1].copy()


def check_offset(offset, n, name="offset"):
    """Offsets of the linear predictor as a float64 array of shape (n,), or None; a number is that of all rows."""
    if offset is None:
        return None
    array = check_array(np.atleast_1d(as_floats(offset, name)), dtype=np.float64, ensure_2d=False, input_name=name)
    array = np.full(n, array[0]) if np.ndim(offset) == 0 else np.ascontiguousarray(array)
    if array.shape != (n,):
        raise ValueError(f"{name} must be a number or have shape ({n},), one for each sample, got {array.shape}.")
    return array
