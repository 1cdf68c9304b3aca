# The logistic loss, and what its rows leave of the gap.
from fastreg.datafits.base cimport Datafit

cdef class Logistic(Datafit):
    pass


cdef double relative_entropies(Py_ssize_t n, const double *y, const double *s, const double *eta, double c,
                               bint own) noexcept nogil
