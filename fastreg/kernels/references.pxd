# Residuals whose correlations with every live column are known.

cdef enum:
    MAX_REFERENCES = 4

cdef struct References:
    Py_ssize_t n                      # length of a residual
    int held, oldest, most
    bint first                        # whether the very first is still held (at 0)
    double *r[MAX_REFERENCES]
    double *g[MAX_REFERENCES]         # X'r of each, by live column
    double gram[MAX_REFERENCES * MAX_REFERENCES]   # products of the residuals

cdef int references_init(References *f, Py_ssize_t n, Py_ssize_t p, int most) except -1
cdef void references_free(References *f) noexcept nogil
cdef double *references_slot(const References *f) noexcept nogil
cdef void references_keep(References *f, const double *r) noexcept nogil
cdef void references_fit(const References *f, const double *r, double *c, double *e, double *e2,
                         double *einf) noexcept nogil
