"""Archives of arrays as numpy.savez writes them, and the matrices of scipy.sparse.save_npz."""

import io
import zipfile

import numpy as np
from scipy import sparse

from fastreg.cli.errors import DataError, shown
from fastreg.cli.files import opened


def read_npz(path, target):
    """Read X, or the sparse matrix beside it, and the target.

    Parameters
    ----------
    path : Path
        The file.
    target : str or None
        Name of the target's array, by default ``y``; its shape may be (n_samples, 1).

    Returns
    -------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The data.
    y : ndarray of shape (n_samples,)
        The target.
    names : range
        Numbers of the columns.
    notes : list of str
        Empty: nothing was guessed.
    """
    with opened(path, "rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
        # numpy goes back and forth in an archive, which a compressed file is slow at.
        content = path if path.suffix.lower() == ".npz" else io.BytesIO(start + file.read())
    if start == np.lib.format.MAGIC_PREFIX:
        raise DataError("a single array, where X and y are needed")
    if not (start.startswith(b"PK") and zipfile.is_zipfile(content)):
        raise DataError("not a .npz archive")
    try:
        with np.load(content, allow_pickle=False) as arrays:
            X, y = _matrix(content, arrays), _array(arrays, target or "y")
    except (DataError, MemoryError, OSError):
        raise
    except Exception as error:  # of a dozen kinds, of zipfile, zlib, numpy and scipy, for a damaged archive
        raise DataError(f"not a readable .npz archive ({type(error).__name__}: {str(error)[:120]})") from error
    if y.ndim == 2 and y.shape[1] == 1:
        y = y.ravel()
    _check_finite("X", X)
    _check_finite(target or "y", y)
    return X, y, range(X.shape[1] if X.ndim == 2 else 0), []


def _matrix(content, arrays):
    """The dense array X, or the matrix `scipy.sparse.save_npz` wrote."""
    if "format" not in arrays or "data" not in arrays:
        return _array(arrays, "X")
    X = sparse.load_npz(content)
    if hasattr(X, "check_format"):
        X.check_format(full_check=True)  # the solvers follow the indices without looking
    return X


def _array(arrays, name):
    if name not in arrays:
        hint = "; add y to what scipy.sparse.save_npz wrote: numpy.savez(file, **numpy.load(file), y=y)"
        raise DataError(f"no array {shown(name)}; arrays: {', '.join(arrays)}{hint if 'format' in arrays else ''}")
    try:
        array = arrays[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        hint = "; a sparse X is saved by scipy.sparse.save_npz" if name == "X" else ""
        raise DataError(f"array {shown(name)} holds Python objects, where numbers are needed{hint}") from error
    if not isinstance(array, np.ndarray):  # the bytes of a member that is no .npy file
        raise DataError(f"{shown(name)} is no array")
    return array


def _check_finite(name, array):
    """Name the first value that is not a finite number."""
    values = array.tocoo().data if sparse.issparse(array) else array
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    first = tuple(np.argwhere(~np.isfinite(values))[0])
    place = tuple(axis[first] for axis in array.tocoo().coords) if sparse.issparse(array) else first
    raise DataError(f"{name}[{', '.join(map(str, place))}] is {values[first]}")
