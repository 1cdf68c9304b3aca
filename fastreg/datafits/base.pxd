# What a fit is judged by: the contract of every loss.
cdef class Datafit:
    cdef readonly str name
    cdef readonly bint quadratic              # curvature 1 everywhere: one Newton step arrives
    cdef readonly bint convex                 # in eta
    cdef readonly bint exact                  # curvatures are derivatives, to rounding
    cdef readonly bint coupled                # targets are the classes of one loss, each given the others

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil
    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil
    cdef double total(self, Py_ssize_t n, const double *y, const double *s, const double *eta) noexcept nogil
    cdef double own(self, Py_ssize_t n, const double *y, const double *s, const double *eta) noexcept nogil
    cdef double risen(self, Py_ssize_t n, const double *y, const double *s, const double *eta,
                      const double *there, double *blur) noexcept nogil
    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil
    cdef double model_excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta,
                             double c) noexcept nogil
    cdef double refit_intercept(self, Py_ssize_t n, const double *y, const double *s, double *eta) noexcept nogil
