"""Sums held against the rows that they sum."""
from fastreg.kernels.probe cimport Probe, probe_block, probe_excess, probe_free, probe_init, probe_sizes


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
