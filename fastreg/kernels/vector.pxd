# Declarations of vector.h: see there for the formulas.
cdef extern from "vector.h" nogil:
    void fr_exp(Py_ssize_t n, const double *x, double *out) noexcept
    void fr_logistic(Py_ssize_t n, const double *y, const double *eta, double *f, double *g, double *h) noexcept
    void fr_logistic_excess(Py_ssize_t n, const double *y, const double *eta, double d, double of_d, double log_d,
                            double *out) noexcept
