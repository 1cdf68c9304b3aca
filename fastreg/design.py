"""From what a user passes to what the engine streams: storage, dtype and weights, without copying X."""
import numpy as np
import scipy.sparse as sp

from fastreg.kernels.dense import Dense
from fastreg.kernels.sparse import Sparse
from fastreg.kernels.storage import DUPLICATES, FALLING, OUTSIDE, SORTED, inspect
from fastreg.kernels.view import View

# Rows and columns that an int can count.
MOST = np.iinfo(np.intc).max

def _address(array):
    return array.__array_interface__["data"][0]


def _dense_strides(n, p, rows, cols):
    """(whether by rows, stride, step) of an n x p array whose rows and columns lie so many elements apart, of either
    sign or 0."""
    if rows == 1 or n == 1:
        return False, (cols if p > 1 else n), 1
    if cols == 1 or p == 1:
        return (True, rows, 1) if p > 1 else (False, n, rows)
    return False, cols, rows


def readable(X):
    """X itself where kernels can read it in place, otherwise a copy that they can read.

    Read in place, dense: any strides (negative, zero, overlapping) that are multiples of the item size. Copied:
    unaligned or byte-swapped arrays and other strides (a field of a structured array). Sparse X is left to
    `canonical_sparse`.
    """
    if sp.issparse(X) or (X.dtype.isnative and not any(
            at % X.itemsize for at in (X.__array_interface__["data"][0], *X.strides))):
        return X
    return np.array(X, dtype=X.dtype.newbyteorder("="), order="K", copy=True)


def valid(X):
    """X whose indices, if it is sparse, lie within its shape, in arrays that scipy can follow: it does not look, and
    would read or write anywhere. X itself where it is so, otherwise sparse X that shares what it can.

    Raises
    ------
    ValueError
        Where indices lie outside the shape or indptr is not what it must be.
    """
    if not sp.issparse(X):
        return X
    if X.format == "coo":
        for index, size in zip(X.coords if hasattr(X, "coords") else (X.row, X.col), X.shape):
            if len(index) and (np.min(index) < 0 or np.max(index) >= size):
                raise ValueError(f"X is not a valid COO matrix: an index lies outside its shape {X.shape}.")
    if X.format not in ("csr", "csc", "bsr"):
        return X
    found, data, indices, indptr = _parts(X)
    if X.format != "bsr" and found != DUPLICATES:         # known from here on, so that nobody looks again
        return as_canonical(_shallow(X, data, indices, indptr), found == SORTED)
    if data is X.data and indices is X.indices and indptr is X.indptr:
        return X
    return _shallow(X, data, indices, indptr)


def canonical_sparse(X):
    """CSR or CSC that kernels can read, sharing the arrays of X where they can be read in place.

    Its indices are within the shape, without duplicates, of one type, and its flags are true, whatever those of X say.
    Copied are: other formats; duplicates, to sum them; unaligned, byte-swapped or strided arrays; indices that are
    neither int32 nor int64. What this function returned is returned as it is.

    Raises
    ------
    ValueError
        As `valid` does.
    """
    if getattr(X, "_is_canonical", False):
        return X
    if X.format not in ("csr", "csc"):
        X = valid(X).tocsc()
    found, data, indices, indptr = _parts(X)
    if found == DUPLICATES:
        container = sp.csr_array if X.format == "csr" else sp.csc_array
        summed = container((data, indices, indptr), shape=X.shape, copy=True)
        summed.sum_duplicates()
        found, data, indices, indptr = SORTED, summed.data, summed.indices, summed.indptr
    return as_canonical(_shallow(X, data, indices, indptr), found == SORTED)


def in_row_order(X):
    """Sparse X for verbs that read it some rows at a time: CSC with indices not sorted is copied, to sort them."""
    X = canonical_sparse(X)
    return X if X.format == "csr" or X.has_sorted_indices else as_canonical(X.sorted_indices())


def as_canonical(X, ordered=True):
    """Mark an array of our own as canonical (duplicates that it holds are meant) and its indices as sorted or not."""
    X.has_canonical_format, X.has_sorted_indices = ordered, ordered
    X._is_canonical = True
    return X


def _shallow(X, data, indices, indptr):
    out = X.__class__.__new__(X.__class__)
    out.__dict__.update(X.__dict__)
    out.data, out.indices, out.indptr = data, indices, indptr
    return out


def _native(array):
    """Contiguous, aligned and in native byte order: itself where it is so."""
    native = None if array.dtype.isnative else array.dtype.newbyteorder("=")
    return np.require(array, native, ["C", "A"])


def _parts(X):
    """(what `inspect` found, data, indices, indptr) of CSR, CSC or BSR in arrays that kernels can read, without what
    lies beyond the end of indptr; raises where they are not valid."""
    name, (major, minor) = X.format.upper(), X.shape[::-1] if X.format == "csc" else X.shape
    if X.format == "bsr":
        major, minor = major // X.blocksize[0], minor // X.blocksize[1]
    data, indices, indptr = _native(X.data), _native(X.indices), _native(X.indptr)
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise ValueError(f"X is not a valid {name} matrix: its indices and indptr must be integers, got "
                         f"{indices.dtype} and {indptr.dtype}.")
    if indices.ndim != 1 or indptr.shape != (major + 1,):
        raise ValueError(f"X is not a valid {name} matrix: for shape {X.shape}, indptr must have shape ({major + 1},), "
                         f"got {indptr.shape}.")
    narrow = indices.dtype == np.int32 and (indptr.dtype == np.int32 or (
        np.min(indptr) >= 0 and np.max(indptr) <= np.iinfo(np.int32).max))
    index = np.int32 if narrow else np.int64
    indices, indptr = indices.astype(index, copy=False), indptr.astype(index, copy=False)
    found = inspect(indices, indptr, minor)
    used = indptr[-1]
    if found == FALLING or used > len(data):
        raise ValueError(f"X is not a valid {name} matrix: indptr must go from 0 upwards to at most the length of its "
                         "indices and data.")
    if found == OUTSIDE:
        raise ValueError(f"X is not a valid {name} matrix: an index lies outside its shape {X.shape}.")
    if used < len(data) or used < len(indices):
        data, indices = data[:used], indices[:used]
    return found, data, indices, indptr


def as_design(X, n_threads):
    """Wrap checked X for kernels, which read it where it lies.

    Dense X may have any strides; only what cannot be read in place is converted (see `readable` and
    `canonical_sparse`): whoever makes several designs of X converts it before.

    Parameters
    ----------
    X : ndarray or scipy sparse matrix or array of float32 or float64, shape (n, p)
        Checked: two-dimensional, finite, at least one row and column.
    n_threads : int

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        Where X has more rows or columns than an int counts, or where the indices of sparse X are not valid.
    """
    n, p = X.shape
    if max(n, p) > MOST:
        raise ValueError(f"X must have at most {MOST} rows and columns, got shape {X.shape}.")
    if sp.issparse(X):
        X = canonical_sparse(X)
        return Sparse(n, p, X.nnz, _address(X.data), _address(X.indices), _address(X.indptr), X.format == "csr",
                      X.dtype == np.float32, X.indices.dtype == np.int64, n_threads, (X.data, X.indices, X.indptr))
    X = readable(X)
    by_rows, stride, step = _dense_strides(n, p, *(s // X.itemsize for s in X.strides))
    address, single = X.__array_interface__["data"][0], X.dtype == np.float32
    return Dense(n, p, address, stride, step, by_rows, single, n_threads, X)


def view_of(design, weight, centred):
    """A design under weights of its rows.

    Parameters
    ----------
    design : Design
    weight : ndarray of shape (n,) or None
        Non-negative, summing to n.
    centred : bool
        Subtract (weighted) column means.

    Returns
    -------
    View
    """
    weight = None if weight is None else np.require(weight, np.float64, ["C", "A"])
    return View(design, weight, None if weight is None else np.sqrt(weight), centred)
