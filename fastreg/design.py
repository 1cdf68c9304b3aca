"""From what a user passes to what the engine streams: storage, dtype and weights, without copying X."""
import os
import threading

import numpy as np
import scipy.sparse as sp

from fastreg.kernels.design import Design
from fastreg.kernels.info import max_threads

_forked = False


def _after_fork():
    # OpenMP's thread pool does not survive a fork: the child computes with one thread
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def effective_threads(n_threads):
    """Number of threads for a fit: as asked, or OpenMP's number; one in a forked child or a worker thread.

    Parameters
    ----------
    n_threads : int or None
        None: as many as OpenMP would use (``OMP_NUM_THREADS`` and threadpoolctl are heeded), and one where the fit
        runs in a thread other than the main one, that is, inside somebody's outer parallelism.

    Returns
    -------
    int
    """
    if n_threads is None:
        return max_threads() if threading.current_thread() is threading.main_thread() and not _forked else 1
    return 1 if _forked else n_threads


def _address(array):
    return array.__array_interface__["data"][0]


def _dense_strides(X):
    """(kind, stride, step) in elements; None when an array must be copied to be read (negative or broken strides)."""
    n, p = X.shape
    size = X.itemsize
    rows, cols = (s // size for s in X.strides)
    if any(s % size for s in X.strides) or not X.flags.aligned or X.dtype.byteorder == ">":
        return None
    if rows == 1 or n == 1:
        return 0, (cols if p > 1 else n), 1
    if cols == 1 or p == 1:
        return (1, rows, 1) if p > 1 else (0, n, rows)
    return 0, cols, rows


def canonical_sparse(X):
    """CSR or CSC with canonical entries and indices of one type: other formats are converted, unsorted rows allowed,
    duplicates summed."""
    if X.format not in ("csr", "csc"):
        X = X.tocsc()
    if not X.has_canonical_format and _has_duplicates(X):
        X = X.copy()
        X.sum_duplicates()
    if X.indices.dtype != X.indptr.dtype:
        X = type(X)((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape, copy=False)
    return X


def _has_duplicates(X):
    """Whether a row (column) holds an index twice; the entries need not be sorted."""
    if X.has_sorted_indices:
        same = X.indices[1:] == X.indices[:-1]
        starts = X.indptr[1:-1]
        same[starts[(starts > 0) & (starts < X.nnz)] - 1] = False
        return bool(same.any())
    major = np.repeat(np.arange(len(X.indptr) - 1), np.diff(X.indptr))
    key = major * np.int64(max(X.shape)) + X.indices
    return len(np.unique(key)) < len(key)


def as_design(X, weight, centred, n_threads):
    """Wrap checked X for the engine.

    Parameters
    ----------
    X : ndarray or scipy sparse matrix or array of float32 or float64, shape (n, p)
        Checked: two-dimensional, finite, at least one row and column.
    weight : ndarray of shape (n,) or None
        Non-negative, summing to n.
    centred : bool
        Subtract (weighted) column means.
    n_threads : int

    Returns
    -------
    Design
    """
    n, p = X.shape
    mean, norm = np.zeros(p), np.zeros(p)
    root = None if weight is None else np.sqrt(weight)
    weight_sum = float(n)
    if sp.issparse(X):
        X = canonical_sparse(X)
        kind = 2 if X.format == "csc" else 3
        owners = (X.data, X.indices, X.indptr)
        return Design(kind, n, p, X.nnz, _address(X.data), _address(X.indices), _address(X.indptr), 0, 0,
                      X.dtype == np.float32, X.indices.dtype == np.int64, centred, weight, root, mean, norm,
                      np.zeros(p), np.zeros(p), weight_sum, n_threads, owners)
    layout = _dense_strides(X)
    if layout is None:
        X = np.ascontiguousarray(X, dtype=X.dtype.newbyteorder("="))
        layout = _dense_strides(X)
    kind, stride, step = layout
    return Design(kind, n, p, n * p, _address(X), 0, 0, stride, step, X.dtype == np.float32, False, centred,
                  weight, root, mean, norm, None, None, weight_sum, n_threads, X)
