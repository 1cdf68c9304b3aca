"""A sweep over a working block, for rows that are made of a target and their products."""
from libc.string cimport memset

import numpy as np

from fastreg.kernels.block cimport Block, block_append, block_free, block_init
from fastreg.kernels.sweep cimport SUMS, block_sweep
from fastreg.kernels.view cimport View


cdef struct Target:
    const double *s
    const double *y


cdef void _share(void *target, Py_ssize_t lo, Py_ssize_t hi, const double *v, double *share,
                 double *sums) noexcept nogil:
    cdef const Target *u = <const Target *> target
    cdef Py_ssize_t i
    for i in range(lo, hi):
        share[i] = u.s[i] * (u.y[i] - v[i] * v[i])
        sums[0] += share[i]
        sums[1] += u.y[i] * v[i] if u.s[i] > 0 else 0


def sweep(View d, const int[::1] cols, const double[::1] w, const int[::1] pos, double level, const double[::1] s,
          const double[::1] y):
    """(v, share, g, sums): v = X w - level, of columns less their means, share = s (y - v^2), g = X' share, and the
    sums of share and, where s > 0, of y v. The coordinates are the columns at `pos` among `cols`; None: all, in
    order."""
    cdef Py_ssize_t m = w.shape[0], k, j
    cdef Block b
    cdef Target target
    target.s, target.y = &s[0], &y[0]
    cdef double[::1] v = np.full(d.design.n, np.nan), share = np.full(d.design.n, np.nan), g = np.full(m, np.nan)
    cdef double[::1] sums = np.full(SUMS, np.nan)
    cdef const int *at = NULL if pos is None else &pos[0]
    memset(&b, 0, sizeof(Block))
    block_init(&b, d, 1)
    try:
        b.of[0].column_mean = d.mean
        block_append(&b, d, &cols[0], cols.shape[0])
        for k in range(m):
            j = k if pos is None else pos[k]
            level += w[k] * b.of[0].mean[j]
        with nogil:
            block_sweep(&b, d, &w[0], at, m, level, _share, &target, &v[0], &share[0], &g[0], &sums[0])
        for k in range(m):
            g[k] -= b.of[0].mean[k if pos is None else pos[k]] * sums[0]
    finally:
        block_free(&b)
    return v.base, share.base, g.base, sums.base
