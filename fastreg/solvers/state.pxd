# Where the solution of a problem stands; the loop's, others read it.
from fastreg.kernels.leaf cimport fr_maxabs, fr_vdot

cdef struct State:
    double *r            # residual at the solution, -sqrt(s) f'
    double *eta          # Xw + b + offset, X centred; NULL for the squared loss, which needs none
    double b
    double rr, r_max     # its squared length and largest entry
    double error         # squared errors of the solution on the problem's test set
    double gap
    double aim           # a gap that is good enough at once
    double spare         # of it, what the l2 terms may leave, inside the working set and outside
    double slack         # the relative violation that the last solution of the small problem was allowed
    bint asleep          # not to be solved for now
    bint done
    bint settled         # no violation left, inside or outside
    bint ready           # the columns expected to enter were let in at the start
    bint tried           # a gap has been computed at this penalty value
    double best          # smallest gap so far at this penalty value, and rounds since that did not halve it
    int stalled
    Py_ssize_t rounds


cdef inline void measure(State *state, Py_ssize_t n) noexcept nogil:
    """The size of a new residual."""
    state.rr, state.r_max = fr_vdot(n, state.r, state.r), fr_maxabs(n, state.r)
