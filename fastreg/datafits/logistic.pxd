# The logistic loss, and what a row of it leaves of the gap.
from libc.math cimport exp, log

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.young cimport relative_entropy

cdef class Logistic(Datafit):
    pass


cdef inline double excess_of(double t, double d) noexcept nogil:
    """The relative entropy of (1 - d) q and q, t being the log-odds of q."""
    cdef double odds, row
    if t > 600 and d > 0:                        # q = 1 to rounding, and the odds may be infinite
        return relative_entropy(-d) + d * (log(d) + t - 1)
    odds = exp(t)
    row = relative_entropy(d * odds) / (1 + odds)
    return row + (relative_entropy(-d) / (1 + 1 / odds) if odds > 0 else 0)
