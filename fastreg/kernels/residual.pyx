"""Residuals y - Xw and their correlations X'(y - Xw) with every column: of dense X, or of rows, in one reading.

A block of rows gives its residuals and takes part in the correlations while it is in cache. The moments of the columns
must be known. Rows are dealt to a fixed number of lanes with sums of their own, so that results do not depend on the
number of threads.
"""
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from fastreg.kernels.design cimport Direct
from fastreg.kernels.leaf cimport fr_axpy, fr_dots, fr_sums, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.threads cimport look, run_tasks
from fastreg.kernels.view cimport View

cdef Py_ssize_t LANES = 8
cdef Py_ssize_t CACHED = 1 << 16     # elements of a block of rows
cdef double HIGH = 30                # a level so many deviations from zero is subtracted from each element


cdef struct Pass:
    void *d
    Py_ssize_t T, lanes, rows, per
    bint direct              # X is read where it lies, centred and weighted afterwards
    Direct x
    const Target *targets
    double *v                # -w of each target
    double *lift             # what the means make of it
    double *sums             # of each lane: correlations of each target (p), those of a block, and its rows' shares
    double *block            # of each lane: rows that had to be loaded


def residuals(View d, const double[:, ::1] Y, const double[:, ::1] W):
    """``R[t] = Y[t] - Z W[t]`` and ``Z'R[t]``, Z being X centred and times sqrt(s), dense or sparse."""
    cdef Py_ssize_t t, i, T = Y.shape[0]
    cdef double[:, ::1] R = np.empty((T, d.n))
    cdef double[:, ::1] G = np.empty((T, d.p))
    cdef double[:, ::1] share
    cdef int[::1] columns
    cdef Target *targets = NULL
    if d.sparse() and d.across():
        with nogil:
            for t in range(T):
                d.design.residual(d.mean, d.root, &Y[t, 0], &W[t, 0], &R[t, 0], &G[t, 0])
        return R.base, G.base
    if d.sparse():
        share, columns = np.empty((T, d.n)), np.arange(d.p, dtype=np.intc)
        with nogil:
            for t in range(T):
                d.combine(&columns[0], d.p, &W[t, 0], &R[t, 0])
                for i in range(d.n):
                    R[t, i] = Y[t, i] - R[t, i]
                    share[t, i] = R[t, i] * (1 if d.root == NULL else d.root[i])
            d.stream(NULL, d.p, &share[0, 0], T, &G[0, 0], d.p)
        return R.base, G.base
    grow(<void **> &targets, T * sizeof(Target))
    for t in range(T):
        targets[t].y, targets[t].w, targets[t].r, targets[t].g = &Y[t, 0], &W[t, 0], &R[t, 0], &G[t, 0]
    try:
        with nogil:
            residual_pass(d, targets, T)
    finally:
        free(targets)
    return R.base, G.base


cdef int residual_pass(View d, const Target *targets, Py_ssize_t T) except -1 nogil:
    """Fill in r and g of every target."""
    cdef Pass u
    cdef Py_ssize_t t, j, lane, p = d.p
    cdef double of_mean
    u.d, u.T, u.targets = <void *> d, T, targets
    u.v = u.lift = u.sums = u.block = NULL
    u.rows = min(d.n, max(64, min(4096, CACHED // p)))
    u.lanes = min(LANES, max(1, d.n // (4 * u.rows)))
    u.direct = d.direct(&u.x) and _moderate(d)
    u.per = (d.n + u.lanes - 1) // u.lanes
    try:
        grow(<void **> &u.v, T * p * sizeof(double))
        grow(<void **> &u.lift, T * sizeof(double))
        grow(<void **> &u.sums, u.lanes * ((T + 1) * p + u.rows) * sizeof(double))
        grow(<void **> &u.block, (0 if u.direct else u.lanes * u.rows * p) * sizeof(double))
        memset(u.sums, 0, u.lanes * ((T + 1) * p + u.rows) * sizeof(double))
        for t in range(T):
            for j in range(p):
                u.v[t * p + j] = -targets[t].w[j]
            u.lift[t] = fr_vdot(p, d.mean, targets[t].w) if u.direct and d.centred else 0
        run_tasks(_task, &u, u.lanes, d.threads(<double> d.n * p * T))
        for t in range(T):
            memset(targets[t].g, 0, p * sizeof(double))
            for lane in range(u.lanes):
                fr_axpy(p, 1, u.sums + lane * ((T + 1) * p + u.rows) + t * p, targets[t].g)
            if u.direct and d.centred:
                of_mean = 0
                for j in range(d.n):
                    of_mean += targets[t].r[j] * (1 if d.root == NULL else d.root[j])
                fr_axpy(p, -of_mean, d.mean, targets[t].g)
    finally:
        free(u.v)
        free(u.lift)
        free(u.sums)
        free(u.block)
    return 0


cdef bint _moderate(View d) noexcept nogil:
    """Whether columns can be centred afterwards: no mean costs digits."""
    cdef Py_ssize_t j
    for j in range(d.p):
        if d.norm[j] > 0 and fabs(d.mean[j]) * sqrt(d.weight_sum) > HIGH * d.norm[j]:
            return False
    return True


cdef int _task(void *context, Py_ssize_t lane) except -1 nogil:
    cdef Pass *u = <Pass *> context
    return _lane(<View> u.d, u, lane, lane * u.per, min((<View> u.d).n, (lane + 1) * u.per))


cdef int _lane(View d, Pass *u, Py_ssize_t lane, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    """Rows [lo, hi)."""
    cdef Py_ssize_t i0 = lo, i, t, m, ld, p = d.p
    cdef bint across = d.across()
    cdef double *sums = u.sums + lane * ((u.T + 1) * p + u.rows)
    cdef double *here = sums + u.T * p
    cdef double *share = here + p
    cdef double *block = u.block + (0 if u.direct else lane * u.rows * p)
    cdef const double *X
    cdef const double *y
    cdef double *r
    cdef double root
    while i0 < hi:
        look()
        m = min(u.rows, hi - i0)
        if u.direct:
            X, ld = u.x.data + (i0 * u.x.stride if across else i0), u.x.stride
        elif across:
            d.load_as_rows(i0, NULL, m, d.mean, p, block)
            X, ld = block, p
        else:
            d.load_rows(i0, NULL, m, d.mean, block)
            X, ld = block, m
        for t in range(u.T):
            r = u.targets[t].r + i0
            y = u.targets[t].y + i0
            for i in range(m):
                r[i] = u.lift[t]
            if across:
                fr_dots(m, p, X, ld, u.v + t * p, r)
            else:
                fr_sums(p, m, X, ld, u.v + t * p, r)
            for i in range(m):
                root = d.root[i0 + i] if u.direct and d.root != NULL else 1
                r[i] = y[i] + (root * r[i] if root != 0 else 0)         # without weight it may be infinite
                share[i] = root * r[i]
            memset(here, 0, p * sizeof(double))
            if across:
                fr_sums(m, p, X, ld, share, here)
            else:
                fr_dots(p, m, X, ld, share, here)
            fr_axpy(p, 1, here, sums + t * p)
        i0 += m
    return 0
