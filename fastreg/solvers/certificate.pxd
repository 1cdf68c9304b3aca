# The certificate: penalties, limits and norms of all columns, and the duality gap of a solution.
from fastreg.solvers.working_set cimport Problem

cdef enum Place:
    DEAD = 0             # cannot enter until alpha has fallen
    LIVE = 1             # outside the working set, watched
    INSIDE = 2
    EXCLUDED = 3         # constant, or left out by its penalty or limits

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

cdef inline double l1_factor(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.pen1[j * t.i1]


cdef inline double l2_factor(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.pen2[j * t.i2]


cdef inline double lower(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.lo[j * t.ilo]


cdef inline double upper(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.hi[j * t.ihi]


cdef double duality_gap(const Terms *t, const Problem *P, const int *wcol, const char *place,
                        double alpha) noexcept nogil
