# Cholesky factor of the Gram matrix of the support, kept and updated as the support changes.

cdef double PIVOT_TOL

cdef struct Factor:
    Py_ssize_t s        # order of the factor
    Py_ssize_t ld       # leading dimension (capacity) of L
    double *L           # lower triangular, column-major
    int *idx            # idx[i]: which coordinate row i belongs to
    double *z           # work: panel of an append, vectors of a removal
    Py_ssize_t z_size

cdef int factor_init(Factor *f) noexcept nogil
cdef void factor_free(Factor *f) noexcept nogil
cdef void factor_clear(Factor *f) noexcept nogil
cdef int factor_append(Factor *f, const double *G, Py_ssize_t ldg, const double *l2, const int *js, Py_ssize_t m,
                       char *dependent) except -1 nogil
cdef int factor_remove(Factor *f, const int *pos, Py_ssize_t d) except -1 nogil
cdef void factor_solve(const Factor *f, double *b) noexcept nogil
