"""Sums of products S = sum_i z_i z_i' held against the rows that they sum, while these are in cache.

Every certificate that is computed from S rests on S being what it says. For one v, S v is compared with
``sum_i z_i (z_i'v)``, which plain loops form beside the BLAS call that forms S: a share of about 4 / q of its work. A
wrong element of S shows unless it cancels in the one combination of signs [Freivalds, "Probabilistic machines can use
less running time", IFIP 1977].
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastreg.kernels.leaf cimport fr_axpy, fr_dots, fr_sums, fr_vdot
from fastreg.kernels.memory cimport grow

cdef double EPS = 2.220446049250313e-16
cdef double LEAST = 1e-146           # of the norm of an element: its square has lost digits to underflow beneath it


class WrongSums(ArithmeticError):
    """Sums of products of X are not what X gives: BLAS, or the memory, is not to be trusted."""


cdef int probe_init(Probe *probe, Py_ssize_t q, Py_ssize_t lanes, Py_ssize_t rows) except -1 nogil:
    """Room for z of length q in blocks of at most `rows`; v takes sizes first, see probe_sizes."""
    cdef size_t of_lanes = lanes * (2 * q + rows) * sizeof(double)
    probe.q, probe.lanes, probe.rows, probe.v, probe.lane = q, lanes, rows, NULL, NULL
    grow(<void **> &probe.v, q * sizeof(double))
    grow(<void **> &probe.lane, of_lanes)
    memset(probe.v, 0, q * sizeof(double))
    memset(probe.lane, 0, of_lanes)
    return 0


cdef void probe_free(Probe *probe) noexcept nogil:
    free(probe.v)
    free(probe.lane)


cdef void probe_sizes(Probe *probe) noexcept nogil:
    """From sums of squares of some rows in v: v, to which every element of z counts about the same.

    Those not seen so far count as the largest."""
    cdef Py_ssize_t k
    cdef double top = 0
    cdef uint64_t bits
    for k in range(probe.q):
        top = max(top, probe.v[k])
    for k in range(probe.q):
        bits = (<uint64_t> k + 1) * <uint64_t> 0x9E3779B97F4A7C15
        bits = (bits ^ (bits >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
        bits ^= bits >> 27
        probe.v[k] = (1. if bits >> 63 else -1.) / sqrt(probe.v[k] if probe.v[k] > 0 else (top if top > 0 else 1.))


cdef double *probe_sums(Probe *probe, Py_ssize_t lane) noexcept nogil:
    return probe.lane + lane * (2 * probe.q + probe.rows)


cdef double *probe_products(Probe *probe, Py_ssize_t lane) noexcept nogil:
    """Where a block's z_i'v go; what is there already, of elements that the block lacks, counts."""
    return probe_sums(probe, lane) + 2 * probe.q


cdef void probe_block(Probe *probe, Py_ssize_t lane, bint across, Py_ssize_t m, Py_ssize_t p, const double *B,
                      Py_ssize_t ld) noexcept nogil:
    """Add a block of m rows z, p elements of each: row i at B + i ld, if across, or element k at B + k ld.

    Elements from p on are in the products before, and get no sums; the products are zero afterwards."""
    cdef double *sums = probe_sums(probe, lane)
    cdef double *here = sums + probe.q       # of a block: added at once, they round once
    cdef double *u = here + probe.q
    memset(here, 0, p * sizeof(double))
    if across:
        fr_dots(m, p, B, ld, probe.v, u)
        fr_sums(m, p, B, ld, u, here)
    else:
        fr_sums(p, m, B, ld, probe.v, u)
        fr_dots(p, m, B, ld, u, here)
    fr_axpy(p, 1, here, sums)
    memset(u, 0, m * sizeof(double))


cdef double probe_excess(Probe *probe, Py_ssize_t lane, const double *S, Py_ssize_t checked,
                         Py_ssize_t additions) noexcept nogil:
    """Largest difference in the first `checked` elements of S v, in units of what rounding may make where so many
    blocks (or rows) were added up; S by its upper triangle.

    NaN, infinity and squares that underflow count for nothing: they show elsewhere."""
    cdef Py_ssize_t q = probe.q, k
    cdef const double *sums = probe_sums(probe, lane)
    cdef double *found = probe_sums(probe, lane) + q
    cdef double size = 0, worst = 0, room, difference, norm
    memset(found, 0, q * sizeof(double))
    for k in range(q):
        found[k] += fr_vdot(k + 1, S + k * q, probe.v)
        fr_axpy(k, probe.v[k], S + k * q, found)
        size += fabs(probe.v[k]) * sqrt(max(S[k * q + k], 0))
    for k in range(checked):
        difference = fabs(found[k] - sums[k])
        norm = sqrt(max(S[k * q + k], 0))
        room = size * (EPS * (4096 + additions) * norm if norm > LEAST else LEAST)
        if difference > room:
            worst = max(worst, difference / room if room > 0 else INFINITY)
    return worst


cdef int probe_failed(double excess) except -1 nogil:
    with gil:
        raise WrongSums(f"Sums of products of X differ from X itself by {excess:.3g} times what rounding may make. "
                        "The BLAS library, or the memory of this machine, is not to be trusted.")
