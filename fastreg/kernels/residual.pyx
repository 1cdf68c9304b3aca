"""Residuals y - Xw of dense X and their correlations X'(y - Xw) with every column, in one reading of X.

A block of rows gives its residuals and takes part in the correlations while it is in cache. The moments of the columns
must be known. Rows are dealt to a fixed number of lanes with sums of their own, so that results do not depend on the
number of threads.
"""
from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange

from libc.math cimport fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memset

from fastreg.kernels.design cimport DENSE_ROWS, Design
from fastreg.kernels.leaf cimport fr_axpy, fr_both_columns, fr_both_rows, fr_vdot
from fastreg.kernels.memory cimport grow

cdef Py_ssize_t LANES = 8
cdef Py_ssize_t CACHED = 1 << 15     # elements of a block of rows
cdef double HIGH = 30                # a level so many deviations from zero is subtracted from each element


cdef struct Pass:
    Py_ssize_t T, lanes, rows
    bint direct              # X is read where it lies, and centred afterwards
    const Target *targets
    double *v                # -w of each target
    double *lift             # what the means make of it
    double *sums             # of each lane: correlations of each target (p), and those of a block
    double *block            # of each lane: rows that had to be loaded


cdef int residual_pass(Design d, const Target *targets, Py_ssize_t T) except -1 nogil:
    """Fill in r and g of every target."""
    cdef Pass u
    cdef Py_ssize_t t, j, lane, per, p = d.p
    cdef double of_mean
    u.T, u.targets = T, targets
    u.v = u.lift = u.sums = u.block = NULL
    u.rows = min(d.n, max(64, min(1024, CACHED // p)))
    u.lanes = min(LANES, max(1, d.n // (4 * u.rows)))
    u.direct = _reads_in_place(d)
    per = (d.n + u.lanes - 1) // u.lanes
    try:
        grow(<void **> &u.v, T * p * sizeof(double))
        grow(<void **> &u.lift, T * sizeof(double))
        grow(<void **> &u.sums, u.lanes * (T + 1) * p * sizeof(double))
        grow(<void **> &u.block, (0 if u.direct else u.lanes * u.rows * p) * sizeof(double))
        memset(u.sums, 0, u.lanes * (T + 1) * p * sizeof(double))
        for t in range(T):
            for j in range(p):
                u.v[t * p + j] = -targets[t].w[j]
            u.lift[t] = fr_vdot(p, d.mean, targets[t].w) if u.direct and d.centred else 0
        if u.lanes > 1 and d.threads(<double> d.n * p * T) > 1:
            for lane in prange(u.lanes, num_threads=d.n_threads, schedule="dynamic", chunksize=1):
                _lane(d, &u, lane, lane * per, min(d.n, (lane + 1) * per))
        else:
            for lane in range(u.lanes):
                _lane(d, &u, lane, lane * per, min(d.n, (lane + 1) * per))
        for t in range(T):
            memset(targets[t].g, 0, p * sizeof(double))
            for lane in range(u.lanes):
                fr_axpy(p, 1, u.sums + (lane * (T + 1) + t) * p, targets[t].g)
            if u.direct and d.centred:
                of_mean = 0
                for j in range(d.n):
                    of_mean += targets[t].r[j]
                fr_axpy(p, -of_mean, d.mean, targets[t].g)
    finally:
        free(u.v)
        free(u.lift)
        free(u.sums)
        free(u.block)
    return 0


cdef bint _reads_in_place(Design d) noexcept nogil:
    """Whether rows need not be loaded first: float64 without weights, and no mean that costs digits."""
    cdef Py_ssize_t j
    if d.single or d.root != NULL or not (d.kind == DENSE_ROWS or d.step == 1):
        return False
    for j in range(d.p):
        if d.norm[j] > 0 and fabs(d.mean[j]) * sqrt(d.weight_sum) > HIGH * d.norm[j]:
            return False
    return True


cdef int _lane(Design d, Pass *u, Py_ssize_t lane, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    """Rows [lo, hi)."""
    cdef Py_ssize_t i0 = lo, i, t, m, ld, p = d.p
    cdef bint across = d.kind == DENSE_ROWS
    cdef double *sums = u.sums + lane * (u.T + 1) * p
    cdef double *here = sums + u.T * p
    cdef double *block = u.block + (0 if u.direct else lane * u.rows * p)
    cdef const double *X
    cdef double *r
    while i0 < hi:
        with gil:
            PyErr_CheckSignals()
        m = min(u.rows, hi - i0)
        if u.direct:
            X, ld = <const double *> d.data + (i0 * d.stride if across else i0), d.stride
        elif across:
            d.load_as_rows(i0, NULL, m, d.mean, p, block)
            X, ld = block, p
        else:
            d.load_rows(i0, NULL, m, d.mean, block)
            X, ld = block, m
        for t in range(u.T):
            r = u.targets[t].r + i0
            for i in range(m):
                r[i] = u.targets[t].y[i0 + i] + u.lift[t]
            memset(here, 0, p * sizeof(double))
            if across:
                fr_both_rows(m, p, X, ld, u.v + t * p, r, here)
            else:
                fr_both_columns(m, p, X, ld, u.v + t * p, r, here)
            fr_axpy(p, 1, here, sums + t * p)
        i0 += m
    return 0
