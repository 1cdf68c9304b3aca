# Row weights of a design, with the moments of all columns under them.
from fastreg.kernels.design cimport Design, Direct, Moments, SparseRows
from fastreg.kernels.rows cimport RowLists

cdef class View:
    cdef readonly Design design
    cdef readonly Py_ssize_t n, p, nnz
    cdef readonly bint centred
    cdef readonly double weight_sum
    cdef double[::1] mean_, norm_, norm1_, level_
    cdef const double[::1] weight_, root_
    cdef const double *weight       # and what follows: as in Moments
    cdef const double *root
    cdef double *mean
    cdef double *norm
    cdef double *norm1
    cdef double *level

    cdef bint sparse(self) noexcept nogil
    cdef bint across(self) noexcept nogil
    cdef bint direct(self, Direct *of) noexcept nogil
    cdef double part(self, double share) noexcept nogil
    cdef double cost(self, Py_ssize_t j) noexcept nogil
    cdef int threads(self, double work) noexcept nogil
    cdef bint dealt(self, double work) noexcept nogil
    cdef Moments own(self) noexcept nogil
    cdef void mark_constant(self, Moments of) noexcept nogil
    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil
    cdef int stream(self, const int *cols, Py_ssize_t m, const double *V, Py_ssize_t k, double *out,
                    Py_ssize_t ldo) except -1 nogil
    cdef int combine(self, const int *cols, Py_ssize_t m, const double *w, double *out) except -1 nogil
    cdef int normal(self, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil
    cdef int gather(self, const int *cols, Py_ssize_t m, double *out) except -1 nogil
    cdef int gather_rows(self, const int *cols, Py_ssize_t m, int first, RowLists *rows) except -1 nogil
    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                        double *out) noexcept nogil
    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, Py_ssize_t ld,
                           double *out) noexcept nogil
    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil
