# One problem of the engine: a target under a weighting of the rows, with its penalties and the state of its solution.
from libc.math cimport isinf
from libc.string cimport memcpy

from fastreg.kernels.block cimport Block, Test, Weighting
from fastreg.kernels.quadratic cimport Quad
from fastreg.kernels.references cimport References

cdef enum Place:
    DEAD = 0             # cannot enter any working set until alpha has fallen
    LIVE = 1             # watched, or inside
    EXCLUDED = 2         # constant, or left out by its penalty or limits, in every problem

cdef struct Terms:
    # by column; a stride i of 0 stands for one value for all columns
    const double *pen1   # alpha times it is the l1 penalty
    const double *pen2
    const double *lo
    const double *hi
    Py_ssize_t i1, i2, ilo, ihi
    const double *norm
    const double *mean   # sparse storage, NULL otherwise
    double weight_sum
    double least_pen1

cdef inline double l1_factor(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.pen1[j * t.i1]


cdef inline double l2_factor(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.pen2[j * t.i2]


cdef inline double lower(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.lo[j * t.ilo]


cdef inline double upper(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.hi[j * t.ihi]


cdef inline bint excluded(const Terms *t, Py_ssize_t j) noexcept nogil:
    """Whether column j is constant, or left out by its penalty or limits."""
    return (t.norm[j] == 0 or isinf(l1_factor(t, j)) or isinf(l2_factor(t, j))
            or (lower(t, j) == 0 and upper(t, j) == 0))


cdef struct Problem:
    const Weighting *of  # of the rows
    const Terms *terms
    const double *y      # sqrt(s) (y - mean of y)
    double *r            # residual at the current solution
    double *r_last       # residual at the solution before
    double alpha[2]      # the last two penalty values
    Py_ssize_t n_solved
    double yy, rr, r_max
    bint fresh           # the correlations in q are computed from r, not carried along
    Quad q               # the small problem on its working set
    int *wcol            # column of each of its coordinates
    char *inside         # whether a column is one of them
    Block *block         # where their columns are gathered
    int *pos             # at which positions; NULL where the coordinates are the positions
    double *G            # then: their own Gram matrix, leading dimension ldg,
    Py_ssize_t ldg
    double *w_block      # coefficients and correlations by position
    double *g_block
    Py_ssize_t room      # positions that these two have room for
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
    Py_ssize_t n_new     # of them, the first so many are to enter the working set
    double *work         # n
    double cost          # of streaming the candidates; 0 where nothing needs to be read
    bint asleep          # not to be solved for now
    bint whole           # wants a pass over all live columns
    bint done
    bint settled         # no violation left, inside or outside
    double gap
    double aim           # a gap that is good enough at once
    double spare         # of it, what the l2 terms may leave, inside the working set and outside
    Test test            # its test set, where times is not NULL,
    double error         # and the squared errors at w there
    double loss          # what the columns cost the gap that were allowed to stay unread
    bint predicted       # the columns expected to enter were let in at the start
    double best          # smallest gap so far at this penalty value, and rounds since that did not halve it
    int stalled
    bint tried           # a gap has been computed at this penalty value
    double worst         # largest relative violation outside the working set
    Py_ssize_t rounds


cdef inline void weigh(const Problem *P, Py_ssize_t n, const double *r, double *v) noexcept nogil:
    """v = sqrt(s) r: what X is streamed against."""
    cdef Py_ssize_t i
    if P.of.root == NULL:
        memcpy(v, r, n * sizeof(double))
    else:
        for i in range(n):
            v[i] = P.of.root[i] * r[i]
