"""Sums over disjoint parts of the rows of X, from which those of any union follow by addition.

Of a union they give means, Gram matrix and X'y (``known_moments`` in ``solvers.folds``) and the squared error of any
coefficients: a cross-validation of n >> p reads X once, whatever its folds.
"""
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from fastreg.kernels.design cimport SparseRows, sparse_rows_free
from fastreg.kernels.gram cimport add_rows
from fastreg.kernels.leaf cimport fr_list_add, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.probe cimport (
    Probe, probe_excess, probe_failed, probe_free, probe_init, probe_sizes, probe_sums)
from fastreg.kernels.threads cimport look, run_tasks
from fastreg.kernels.view cimport View

cdef Py_ssize_t ROWS = 512               # rows of a part that come at a time, on average
cdef Py_ssize_t SEEN = 64                # rows that tell a probe the sizes of the others,
cdef Py_ssize_t SPARSE_SEEN = 4096       # of sparse X
cdef Py_ssize_t ROWS_AT_ONCE = 4096      # sparse X: rows put in order at a time


def part_sums(View d, const double[:, ::1] Y, const int[::1] part, Py_ssize_t n_parts, const double[::1] shift=None):
    """Sums of weighted products over each part of the rows.

    Parameters
    ----------
    d : View
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
    cdef Py_ssize_t q = d.p + Y.shape[0] + 1, T = Y.shape[0], a
    cdef double[:, :, ::1] sums = np.zeros((n_parts, q, q))
    cdef double excess = 0
    cdef Probe probe
    memset(&probe, 0, sizeof(Probe))
    try:
        with nogil:
            probe_init(&probe, q, n_parts, min(ROWS, d.n))
            _sizes(d, Y, shift, &probe)
        if d.sparse():
            _sparse_sums(d, Y, part, sums, &probe)
        else:
            _dense_sums(d, Y, part, shift, sums, &probe)
        with nogil:
            for a in range(n_parts):
                excess = max(excess, probe_excess(&probe, a, &sums[a, 0, 0], d.p if d.sparse() and T > 1 else q,
                                                  d.n if d.sparse() else d.n // ROWS))
            if excess > 1:
                probe_failed(excess)
            _mirror(sums)
    finally:
        probe_free(&probe)
    return sums.base


cdef int _sizes(View d, const double[:, ::1] Y, const double[::1] shift, Probe *probe) except -1 nogil:
    """Sizes of the elements of z from the first rows."""
    cdef Py_ssize_t m = min(d.n, SPARSE_SEEN if d.sparse() else SEEN), e, k, T = Y.shape[0]
    cdef SparseRows rows
    cdef double *seen = NULL
    if d.sparse():
        memset(&rows, 0, sizeof(SparseRows))
        try:
            d.load_sparse_rows(0, m, &rows)
            for e in range(rows.start[m]):
                probe.v[rows.pos[e]] += rows.val[e] * rows.val[e]
        finally:
            sparse_rows_free(&rows)
    else:
        grow(<void **> &seen, m * d.p * sizeof(double))
        d.load_rows(0, NULL, m, &shift[0], seen)
        for k in range(d.p):
            probe.v[k] = fr_vdot(m, seen + k * m, seen + k * m)
        free(seen)
    for k in range(T):
        probe.v[d.p + k] = fr_vdot(m, &Y[k, 0], &Y[k, 0])
    probe.v[d.p + T] = <double> m
    probe_sizes(probe)
    return 0


cdef struct Parts:
    # What the tasks share: some parts each.
    void *d
    Py_ssize_t T, q, n_parts, n_tasks
    const double *Y
    const int *part
    double *sums         # of each part, q x q
    Probe *probe
    const int *order     # dense X: the rows, part by part; of each part the next one, and where it ends;
    Py_ssize_t *at
    const Py_ssize_t *end
    Py_ssize_t upto      # the rows before this one are to be added
    const double *shift


cdef int _sparse_sums(View d, const double[:, ::1] Y, const int[::1] part, double[:, :, ::1] sums,
                      Probe *probe) except -1:
    cdef Parts u
    cdef int threads = d.threads(<double> d.nnz * d.nnz / d.n)
    u.d, u.T, u.q, u.n_parts, u.Y, u.part = <void *> d, Y.shape[0], sums.shape[1], sums.shape[0], NULL, &part[0]
    u.sums, u.probe, u.n_tasks = &sums[0, 0, 0], probe, min(<Py_ssize_t> threads, u.n_parts)
    if u.T > 0:
        u.Y = &Y[0, 0]
    with nogil:
        run_tasks(_outer_products, &u, u.n_tasks, threads)
    return 0


cdef int _dense_sums(View d, const double[:, ::1] Y, const int[::1] part, const double[::1] shift,
                     double[:, :, ::1] sums, Probe *probe) except -1:
    cdef Py_ssize_t n_parts = sums.shape[0], block = ROWS * n_parts, b
    cdef int[::1] order = np.argsort(part, kind="stable").astype(np.int32)
    cdef Py_ssize_t[::1] end = np.cumsum(np.bincount(part, minlength=n_parts)).astype(np.intp)
    cdef Py_ssize_t[::1] at = np.concatenate([[0], end.base[:-1]]).astype(np.intp)
    cdef int threads = d.threads(<double> d.n * probe.q * probe.q)
    cdef Parts u
    u.d, u.T, u.q, u.Y, u.sums, u.probe = <void *> d, Y.shape[0], probe.q, NULL, &sums[0, 0, 0], probe
    u.order, u.at, u.end, u.shift = &order[0], &at[0], &end[0], &shift[0]
    if u.T > 0:
        u.Y = &Y[0, 0]
    with nogil:
        for b in range((d.n + block - 1) // block):      # parts take turns on rows that are in cache
            u.upto = (b + 1) * block
            run_tasks(_rows_of_part, &u, n_parts, threads)
            look()
    return 0


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


cdef int _outer_products(void *context, Py_ssize_t task) except -1 nogil:
    """Sparse X: add the rows of some parts, row by row."""
    cdef const Parts *u = <const Parts *> context
    return _add_parts(<View> u.d, u, task * u.n_parts // u.n_tasks, (task + 1) * u.n_parts // u.n_tasks)


cdef int _add_parts(View d, const Parts *u, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    """Of parts [lo, hi)."""
    cdef Py_ssize_t i0 = 0, i, e, first, m, t, T = u.T, q = u.q, step = min(d.n, ROWS_AT_ONCE)
    cdef const Probe *probe = u.probe
    cdef SparseRows rows
    cdef double *total
    cdef double *y = NULL            # the row's part of Y, and 1
    cdef double *beside = NULL       # sums of its products with the columns, of each part: small enough for the cache
    cdef double *of_column
    cdef double *probed              # sums of the probe
    cdef double s, v
    memset(&rows, 0, sizeof(SparseRows))
    try:
        grow(<void **> &y, (T + 1) * sizeof(double))
        grow(<void **> &beside, (hi - lo) * d.p * (T + 1) * sizeof(double))
        memset(beside, 0, (hi - lo) * d.p * (T + 1) * sizeof(double))
        while i0 < d.n:
            look()
            m = min(step, d.n - i0)
            d.load_sparse_rows(i0, m, &rows)
            for i in range(m):
                if not lo <= u.part[i0 + i] < hi:
                    continue
                s = 1 if d.weight == NULL else d.weight[i0 + i]
                total = u.sums + u.part[i0 + i] * q * q
                first = rows.start[i]
                probed = probe_sums(u.probe, u.part[i0 + i])
                v = 0
                for t in range(T):
                    y[t] = u.Y[t * d.n + i0 + i]
                y[T] = 1
                for t in range(T + 1):
                    v += y[t] * probe.v[d.p + t]
                for e in range(first, rows.start[i + 1]):
                    v += rows.val[e] * probe.v[rows.pos[e]]
                for e in range(first, rows.start[i + 1]):
                    fr_list_add(e + 1 - first, rows.pos + first, rows.val + first, s * rows.val[e],
                                total + rows.pos[e] * q)
                    probed[rows.pos[e]] += s * v * rows.val[e]
                    of_column = beside + ((u.part[i0 + i] - lo) * d.p + rows.pos[e]) * (T + 1)
                    for t in range(T + 1):
                        of_column[t] += s * rows.val[e] * y[t]
                for t in range(T + 1):
                    probed[d.p + t] += s * v * y[t]
                    total[(d.p + t) * (q + 1)] += s * y[t] * y[t]
                    total[(d.p + T) * q + d.p + t] += s * y[t] if t < T else 0
            i0 += m
        for i in range(lo, hi):
            for e in range(d.p):
                for t in range(T + 1):
                    u.sums[(i * q + d.p + t) * q + e] = beside[((i - lo) * d.p + e) * (T + 1) + t]
    finally:
        sparse_rows_free(&rows)
        free(y)
        free(beside)
    return 0


cdef int _rows_of_part(void *context, Py_ssize_t a) except -1 nogil:
    """Dense X: add the rows of part a that come next and lie before row `upto`."""
    cdef const Parts *u = <const Parts *> context
    cdef Py_ssize_t m, at = u.at[a], end = u.end[a]
    cdef double *B = NULL
    if at < end and u.order[at] < u.upto:
        grow(<void **> &B, min(u.probe.rows, end - at) * u.q * sizeof(double))
    while at < end and u.order[at] < u.upto:
        m = 0
        while m < u.probe.rows and at + m < end and u.order[at + m] < u.upto:
            m += 1
        add_rows(<View> u.d, u.Y, u.T, False, 0, u.order + at, m, u.shift, B, u.sums + a * u.q * u.q, u.probe, a)
        at += m
    u.at[a] = at
    free(B)
    return 0
