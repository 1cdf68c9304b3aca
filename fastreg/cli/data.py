"""Read the bundled data set, or a CSV, svmlight or .npz file; whatever is wrong with it is said in one line."""

import csv
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.datasets import load_diabetes, load_svmlight_file
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

DELIMITERS = ",;\t|"
SHOWN_NAMES = 12


class DataError(Exception):
    """Something about the input that the user can put right, said in one line."""


class Data(NamedTuple):
    """A regression problem.

    Attributes
    ----------
    name : str
        What it is, for the header.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        float32 or float64.
    y : ndarray of shape (n_samples,)
        float64.
    """

    name: str
    X: object
    y: np.ndarray


def load_bundled(target=None):
    """The diabetes study with every product of up to three of its ten measurements, standardised.

    Parameters
    ----------
    target : str, default=None
        Must be None: the data set has its own target.

    Returns
    -------
    Data
        442 patients, 285 features, disease progression after a year.
    """
    if target is not None:
        raise DataError("--target goes with a FILE; the bundled data set has its own target")
    X, y = load_diabetes(return_X_y=True)
    products = PolynomialFeatures(degree=3, include_bias=False).fit_transform(StandardScaler().fit_transform(X))
    name = "diabetes progression from all products of up to 3 of 10 measurements (bundled)"
    return Data(name, np.asfortranarray(StandardScaler().fit_transform(products)), y)


def load_file(filename, target=None):
    """Read a file by its ending.

    Parameters
    ----------
    filename : str
        The file.
    target : str, default=None
        Column name or index of a CSV; name of the array in a .npz, by default ``y``.

    Returns
    -------
    Data
        X and y, checked for shape.
    """
    path = Path(filename)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{filename}: unknown ending {path.suffix!r}; known are {', '.join(READERS)}")
    try:
        X, y = reader(path, target)
    except DataError as error:
        raise DataError(f"{filename}: {error}") from error
    except OSError as error:
        raise DataError(f"{filename}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{filename}: not a text file in UTF-8") from error
    return _checked(filename, X, y)


def _checked(filename, X, y):
    """Shapes and types; values are the engine's to check."""
    if X.ndim != 2 or y.ndim != 1:
        raise DataError(f"{filename}: X must have two dimensions and the target one, got {X.shape} and {y.shape}")
    if X.shape[0] != y.shape[0]:
        raise DataError(f"{filename}: X has {X.shape[0]} rows and the target has {y.shape[0]}")
    if 0 in X.shape:
        raise DataError(f"{filename}: no data ({X.shape[0]} rows, {X.shape[1]} features)")
    if X.dtype.kind not in "fiub" or y.dtype.kind not in "fiub":
        raise DataError(f"{filename}: X and the target must be numbers, got {X.dtype} and {y.dtype}")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    y = y.astype(np.float64)
    # A constant target would make every relative figure 0/0; a NaN or infinity in it is for the engine to refuse.
    if np.ptp(y) == 0:
        raise DataError(f"{filename}: the target is constant, there is nothing to fit")
    return Data(filename, X, y)


def _read_csv(path, target):
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = file.readline().strip("\r\n")
    if not header.strip():
        raise DataError("no data (the first line, which should name the columns, is empty)")
    delimiter = max(DELIMITERS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    column = _column(names, target)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty table is told below
            table = np.loadtxt(path, delimiter=delimiter, skiprows=1, ndmin=2, quotechar='"', comments=None)
    except ValueError as error:
        raise DataError(_first_fault(path, delimiter, names) or str(error)) from error
    if not table.size:
        raise DataError("no data (a header and no rows)")
    if table.shape[1] != len(names):
        raise DataError(_first_fault(path, delimiter, names))
    return np.delete(table, column, axis=1), table[:, column].copy()


def _column(names, target):
    """Index of the target column, given by name or, if no name matches, by number."""
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    if target is None:
        raise DataError(f"name the target with --target COLUMN; columns: {shown}")
    if names.count(target) == 1:
        return names.index(target)
    if target in names:
        raise DataError(f"{names.count(target)} columns are named {target!r}; give --target by number")
    try:
        number = int(target)
    except ValueError:
        raise DataError(f"no column {target!r}; columns: {shown}") from None
    if not -len(names) <= number < len(names):
        raise DataError(f"no column number {target}: there are {len(names)} columns, numbered from 0")
    return number


def _first_fault(path, delimiter, names):
    """Say where a CSV stops being a table of numbers."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=delimiter)
        next(rows)
        for row in rows:
            if row and len(row) != len(names):
                return f"line {rows.line_num} has {len(row)} values, the header {len(names)} names"
            for name, value in zip(names, row):
                if not _is_number(value):
                    what = f"{value[:40]!r}" if value.strip() else "an empty cell"
                    return f"column {name!r} is not numeric: {what} in line {rows.line_num}"
    return None


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_svmlight(path, target):
    if target is not None:
        raise DataError("svmlight files carry their target; leave --target out")
    try:
        return load_svmlight_file(str(path))
    except ValueError as error:
        raise DataError(f"not in svmlight format ({error})") from error


def _read_npz(path, target):
    try:
        arrays = np.load(path, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise DataError("a single array, where X and y are needed")
        with arrays:
            return _npz_matrix(path, arrays), _npz_array(arrays, target or "y")
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"not a readable .npz file ({error})") from error


def _npz_matrix(path, arrays):
    """The dense array X, or the matrix `scipy.sparse.save_npz` wrote."""
    if "format" in arrays and "data" in arrays:
        return sparse.load_npz(path)
    return _npz_array(arrays, "X")


def _npz_array(arrays, name):
    if name not in arrays:
        raise DataError(f"no array {name!r}; arrays: {', '.join(arrays)}")
    return arrays[name]


READERS = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".svm": _read_svmlight,
    ".svmlight": _read_svmlight,
    ".libsvm": _read_svmlight,
    ".txt": _read_svmlight,
    ".npz": _read_npz,
}
