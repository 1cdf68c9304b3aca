"""Sums over disjoint parts of the rows of X, from which those of any union follow by addition.

Of a union they give means, Gram matrix and X'y (``known_moments`` in ``solvers.folds``) and the squared error of any
coefficients: a cross-validation of n >> p reads X once, whatever its folds.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange

from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from fastreg.kernels.design cimport Design, SparseRows, sparse_rows_free
from fastreg.kernels.gram cimport add_rows
from fastreg.kernels.leaf cimport fr_list_add
from fastreg.kernels.memory cimport grow

cdef Py_ssize_t ROWS = 512               # rows of a part loaded at a time
cdef Py_ssize_t ROWS_AT_ONCE = 4096      # sparse X: rows put in order at a time


def part_sums(Design d, const double[:, ::1] Y, const int[::1] part, Py_ssize_t n_parts, const double[::1] shift=None):
    """Sums of weighted products over each part of the rows.

    Parameters
    ----------
    d : Design
        With its sample weights s. Sparse X: of what `in_row_order` gives.
    Y : ndarray of shape (n_targets, n)
        Less a level of its own for each target: one that X and y share costs digits.
    part : ndarray of int32, shape (n,)
        The part of each row, in [0, n_parts).
    n_parts : int
    shift : ndarray of shape (p,) or None
        What to subtract from X, for the same reason; nothing where X is sparse.

    Returns
    -------
    ndarray of shape (n_parts, p + n_targets + 1, p + n_targets + 1)
        ``sum_i s_i z_i z_i'`` with ``z_i = (x_i - shift, y_i, 1)``; of sparse X without products of different
        targets.
    """
    cdef Py_ssize_t q = d.p + Y.shape[0] + 1, block = ROWS * n_parts, a, b
    cdef Py_ssize_t blocks = (d.n + block - 1) // block
    cdef double[:, :, ::1] sums = np.zeros((n_parts, q, q))
    cdef int threads, stop = 0
    if d.sparse():
        threads = <int> min(d.threads(<double> d.nnz * d.nnz / d.n), n_parts)
        with nogil:
            if threads > 1:
                for a in prange(threads, num_threads=threads, schedule="static"):
                    _outer_products(d, Y, part, a * n_parts // threads, (a + 1) * n_parts // threads, sums, &stop)
            else:
                _outer_products(d, Y, part, 0, n_parts, sums, &stop)
            _mirror(sums)
        return sums.base
    order_ = np.argsort(part, kind="stable").astype(np.int32)
    cdef int[::1] order = order_
    cdef Py_ssize_t[::1] end = np.cumsum(np.bincount(part, minlength=n_parts)).astype(np.intp)
    cdef Py_ssize_t[::1] at = np.concatenate([[0], end.base[:-1]]).astype(np.intp)
    threads = d.threads(<double> d.n * q * q)
    with nogil:
        if threads > 1:
            for a in prange(n_parts, num_threads=threads, schedule="dynamic", chunksize=1):
                _whole_part(d, Y, order, shift, &at[a], end[a], block, blocks, &sums[a, 0, 0])
        else:
            for b in range(blocks):              # parts take turns on rows that are in cache
                for a in range(n_parts):
                    _rows_of_part(d, Y, order, shift, &at[a], end[a], (b + 1) * block, &sums[a, 0, 0])
    with nogil:
        _mirror(sums)
    return sums.base


cdef void _mirror(double[:, :, ::1] sums) noexcept nogil:
    """The kernels filled one triangle; tiles, because a column of the other is far apart in memory."""
    cdef Py_ssize_t a, i, j, i0, j0, q = sums.shape[1]
    for a in range(sums.shape[0]):
        for i0 in range(0, q, 32):
            for j0 in range(0, i0 + 1, 32):
                for i in range(i0, min(i0 + 32, q)):
                    for j in range(j0, min(j0 + 32, i)):
                        sums[a, j, i] = sums[a, i, j]


def row_parts(n, work):
    """Parts of consecutive rows that single sums may be formed by: as many as the work is worth."""
    n_parts = max(1, min(4, int(work / 2e7)))
    return (np.arange(n) * n_parts // n).astype(np.int32), n_parts


cdef int _outer_products(Design d, const double[:, ::1] Y, const int[::1] part, Py_ssize_t lo, Py_ssize_t hi,
                         double[:, :, ::1] sums, int *stop) except -1 nogil:
    """Sparse X: add the rows of parts [lo, hi), row by row, until a signal comes (which one thread sees) or stop."""
    cdef Py_ssize_t i0 = 0, i, e, first, m, t, T = Y.shape[0], q = d.p + T + 1, step = min(d.n, ROWS_AT_ONCE)
    cdef SparseRows rows
    cdef double *total
    cdef double *y = NULL            # the row's part of Y, and 1
    cdef double *beside = NULL       # sums of its products with the columns, of each part: small enough for the cache
    cdef double *of_column
    cdef double s
    memset(&rows, 0, sizeof(SparseRows))
    grow(<void **> &y, (T + 1) * sizeof(double))
    grow(<void **> &beside, (hi - lo) * d.p * (T + 1) * sizeof(double))
    memset(beside, 0, (hi - lo) * d.p * (T + 1) * sizeof(double))
    try:
        while i0 < d.n and not stop[0]:
            with gil:
                try:
                    PyErr_CheckSignals()
                except BaseException:
                    stop[0] = 1
                    raise
            m = min(step, d.n - i0)
            d.load_sparse_rows(i0, m, &rows)
            for i in range(m):
                if not lo <= part[i0 + i] < hi:
                    continue
                s = 1 if d.weight == NULL else d.weight[i0 + i]
                total = &sums[part[i0 + i], 0, 0]
                first = rows.start[i]
                for t in range(T):
                    y[t] = Y[t, i0 + i]
                y[T] = 1
                for e in range(first, rows.start[i + 1]):
                    fr_list_add(e + 1 - first, rows.pos + first, rows.val + first, s * rows.val[e],
                                total + rows.pos[e] * q)
                    of_column = beside + ((part[i0 + i] - lo) * d.p + rows.pos[e]) * (T + 1)
                    for t in range(T + 1):
                        of_column[t] += s * rows.val[e] * y[t]
                for t in range(T + 1):
                    total[(d.p + t) * (q + 1)] += s * y[t] * y[t]
                    total[(d.p + T) * q + d.p + t] += s * y[t] if t < T else 0
            i0 += m
        for i in range(lo, hi):
            for e in range(d.p):
                for t in range(T + 1):
                    sums[i, d.p + t, e] = beside[((i - lo) * d.p + e) * (T + 1) + t]
    finally:
        sparse_rows_free(&rows)
        free(y)
        free(beside)
    return 0


cdef int _whole_part(Design d, const double[:, ::1] Y, const int[::1] order, const double[::1] shift, Py_ssize_t *at,
                     Py_ssize_t end, Py_ssize_t block, Py_ssize_t blocks, double *total) except -1 nogil:
    cdef Py_ssize_t b
    for b in range(blocks):
        _rows_of_part(d, Y, order, shift, at, end, (b + 1) * block, total)
    return 0


cdef int _rows_of_part(Design d, const double[:, ::1] Y, const int[::1] order, const double[::1] shift,
                       Py_ssize_t *at, Py_ssize_t end, Py_ssize_t upto, double *total) except -1 nogil:
    """Add the rows of a part that come next and lie before row `upto`."""
    cdef Py_ssize_t m = 0, T = Y.shape[0]
    cdef double *B = NULL
    while at[0] + m < end and order[at[0] + m] < upto:
        m += 1
    if m == 0:
        return 0
    grow(<void **> &B, m * (d.p + T + 1) * sizeof(double))
    add_rows(d, &Y[0, 0], T, False, 0, &order[at[0]], m, &shift[0], B, total)
    free(B)
    at[0] += m
    return 0
