from fastreg.datafits.base cimport Datafit

ctypedef int (*Rows)(void *, void **, Py_ssize_t, const double *, const double *, double *) noexcept nogil


cdef class Given(Datafit):
    cdef Rows value_, slope_, curvature_, conjugate_
    cdef object code
    cdef readonly object domain, functions, labels

    cdef double _left(self, Py_ssize_t m, const double *y, const double *s, const double *eta, double c) noexcept nogil
    cdef void _where(self, Py_ssize_t m, const double *y, const double *u, const double *eta, const double *g,
                     double *there, double *dual) noexcept nogil
    cdef double _largest(self, double y, double u) noexcept nogil
