"""What two losses' remainders of Fenchel and Young are made of."""
from libc.math cimport INFINITY, fabs, log1p


cdef inline double relative_entropy(double x) noexcept nogil:
    """``(1 + x) log(1 + x) - x``, never negative; a series where its two terms cancel."""
    if fabs(x) < 1e-3:
        return x * x * (0.5 - x * (1. / 6 - x * (1. / 12 - 0.05 * x)))
    return INFINITY if x < -1 else 1 if x == -1 else (1 + x) * log1p(x) - x
