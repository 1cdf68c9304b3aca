"""What a step of a small problem does to the penalty, and what its conditions lack."""
from libc.math cimport fabs

from fastreg.kernels.quadratic cimport FREE, Quad, quad_tolerance


cdef double penalty_slope(const Quad *q, const double *before, const double *step, double part) noexcept nogil:
    """Derivative of the penalty along a step, after a part of it; where a coordinate is at zero, of the side that it
    comes from, or goes to at the beginning."""
    cdef Py_ssize_t k
    cdef double w, sign, total = 0
    for k in range(q.m):
        if step[k] != 0:
            w = before[k] + part * step[k]
            if w == 0 or (part == 1 and q.w[k] == 0):
                w, sign = 0, ((step[k] > 0) - (step[k] < 0)) * (-1 if part > 0 else 1)
            else:
                sign = (w > 0) - (w < 0)
            total += (q.l1[k] * sign + q.l2[k] * w) * step[k]
    return total


cdef double penalty_risen(const Quad *q, const double *before, const double *step, double part) noexcept nogil:
    """What the penalty is more after a part of a step."""
    cdef Py_ssize_t k
    cdef double w, z, total = 0
    for k in range(q.m):
        w, z = before[k], part * step[k]
        total += q.l1[k] * (fabs(w + z) - fabs(w)) + 0.5 * q.l2[k] * z * (2 * w + z)
    return total


cdef double violation_of(const Quad *q, const int *cols, const double *norm, double *times) noexcept nogil:
    """The largest violation of a condition, against the norm of the column; times, unless it is NULL: in terms of the
    largest that passes for none, which a Gram matrix says, at least 1."""
    cdef Py_ssize_t k
    cdef double h, excess, worst = 0
    if times != NULL:
        times[0] = 1
    for k in range(q.m):
        h = q.g[k] - q.l2[k] * q.w[k]
        if q.st[k] == FREE:
            excess = fabs(h - q.l1[k] * q.sg[k])
        else:
            excess = fabs(h) - q.l1[k]
        if excess > 0 and norm[cols[k]] > 0 and q.lo[k] < q.w[k] < q.hi[k]:
            worst = max(worst, excess / norm[cols[k]])
            if times != NULL:
                times[0] = max(times[0], excess / quad_tolerance(q, k))
    return worst
