"""Sums held against the rows that they sum, and residuals of dense X in one reading."""
import numpy as np

from fastreg.kernels.design cimport Design
from fastreg.kernels.probe cimport Probe, probe_block, probe_excess, probe_free, probe_init, probe_sizes
from fastreg.kernels.residual cimport Target, residual_pass


def excess(const double[:, ::1] Z, const double[:, ::1] S, bint across=True, Py_ssize_t block=16, Py_ssize_t seen=8):
    """How far S is off Z'Z, in units of rounding, by a probe of blocks of Z's rows (or, not across, of Z')."""
    cdef Py_ssize_t n = Z.shape[0] if across else Z.shape[1], q = Z.shape[1] if across else Z.shape[0], i, k, m
    cdef Probe probe
    probe_init(&probe, q, 1, block)
    try:
        for i in range(min(seen, n)):
            for k in range(q):
                probe.v[k] += (Z[i, k] if across else Z[k, i]) ** 2
        probe_sizes(&probe)
        for i in range(0, n, block):
            m = min(block, n - i)
            probe_block(&probe, 0, across, m, q, &Z[i, 0] if across else &Z[0, i], Z.strides[0] // sizeof(double))
        return probe_excess(&probe, 0, &S[0, 0], q, n // block)
    finally:
        probe_free(&probe)


def residuals(Design d, const double[:, ::1] Y, const double[:, ::1] W):
    """``R[t] = Y[t] - Z W[t]`` and ``Z'R[t]``, Z being X centred and times sqrt(s); the moments must be known."""
    cdef Py_ssize_t t, T = Y.shape[0]
    cdef double[:, ::1] R = np.empty((T, d.n))
    cdef double[:, ::1] G = np.empty((T, d.p))
    cdef Target targets[8]
    assert T <= 8
    for t in range(T):
        targets[t].y, targets[t].w, targets[t].r, targets[t].g = &Y[t, 0], &W[t, 0], &R[t, 0], &G[t, 0]
    with nogil:
        residual_pass(d, targets, T)
    return R.base, G.base
