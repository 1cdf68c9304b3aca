from fastreg.kernels.design cimport Design
from fastreg.kernels.gram cimport Block
from fastreg.kernels.quadratic cimport Quad
from fastreg.kernels.references cimport References

cdef struct Problem:
    const double *y      # sqrt(s) (y - mean of y)
    double *r            # residual at the current solution
    double *r_last       # residual at the solution before
    double alpha[2]      # the last two penalty values
    Py_ssize_t n_solved
    double yy, rr, r_max
    bint fresh           # the correlations in q are computed from r, not carried along
    Quad q
    References refs
    double *est          # per live column: estimate of x'r and its error bound
    double *err          # (0: exact)
    double *est_last     # the same at the solution before, for the columns that were live then
    double *err_last
    Py_ssize_t n_known, n_last  # how many live columns est and est_last cover
    int *cand            # live positions whose bound does not clear the penalty
    Py_ssize_t n_cand
    int *viol            # columns outside the working set that violate, and their correlation
    double *viol_g
    double *score        # the alpha at which it would stop violating
    Py_ssize_t n_viol
    bint whole           # wants a pass over all live columns
    bint done
    bint settled         # no violation left, inside or outside
    double gap
    double aim           # a gap that is good enough at once
    double loss          # what the columns cost the gap that were allowed to stay unread
    bint predicted       # the columns expected to enter were let in at the start
    double best          # smallest gap so far at this penalty value, and rounds since that did not halve it
    int stalled
    bint tried           # a gap has been computed at this penalty value
    double worst         # largest relative violation outside the working set
    Py_ssize_t rounds
