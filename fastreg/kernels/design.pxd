# What X is: streaming, gathering, column moments. Storage is known here and nowhere else.
from libc.stdint cimport int32_t

from fastreg.kernels.rows cimport RowLists

cdef enum Kind:
    DENSE_COLUMNS = 0
    DENSE_ROWS = 1
    SPARSE_COLUMNS = 2
    SPARSE_ROWS = 3

cdef struct SparseRows:
    # A few rows of sparse storage, each in order of its columns.
    Py_ssize_t *start       # of each row, and the end of the last
    int32_t *pos
    double *val
    Py_ssize_t *cursor      # storage by columns: where each goes on
    Py_ssize_t size         # entries that there is room for

cdef void sparse_rows_free(SparseRows *rows) noexcept nogil

cdef struct Moments:
    # one weighting of the rows, and where the moments of the columns under it go
    const double *weight         # normalised sample weights, NULL for ones
    const double *root           # their square roots, NULL for ones
    double *mean
    double *norm                 # centred, weighted Euclidean norm of each column
    double *norm1                # sum_i sqrt(s_i) |x_ij| (sparse storage), NULL otherwise
    double *level                # the mean of a sparse column that has no zeros (0 otherwise): gathered columns
    # lose it at once, which keeps the digits that a high level would cost

cdef class Design:
    cdef readonly Py_ssize_t n, p, nnz
    cdef readonly int kind
    cdef readonly bint single, wide_index, centred
    cdef readonly double weight_sum
    cdef Py_ssize_t stride, step
    cdef const void *data
    cdef const void *indices
    cdef const void *indptr
    cdef object owners
    cdef int n_threads
    cdef double[::1] mean_, norm_, norm1_, level_
    cdef const double[::1] weight_, root_
    cdef const double *weight       # and what follows: as in Moments
    cdef const double *root
    cdef double *mean
    cdef double *norm
    cdef double *norm1
    cdef double *level

    cdef bint by_columns(self) noexcept nogil
    cdef double part(self, double share) noexcept nogil
    cdef bint sparse(self) noexcept nogil
    cdef double cost(self, Py_ssize_t j) noexcept nogil
    cdef int threads(self, double work) noexcept nogil
    cdef bint dealt(self, double work) noexcept nogil
    cdef void mark_constant(self, Moments of) noexcept nogil
    cdef Moments own(self) noexcept nogil
    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil
    cdef int stream(self, const int *cols, Py_ssize_t m, const double *V, Py_ssize_t k, double *out,
                    Py_ssize_t ldo) except -1 nogil
    cdef int apply(self, const int *cols, Py_ssize_t m, const double *w, double *out) except -1 nogil
    cdef int normal(self, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil
    cdef int _normal(self, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil
    cdef int gather(self, const int *cols, Py_ssize_t m, double *out) except -1 nogil
    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                        double *out) noexcept nogil
    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil
    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, Py_ssize_t ld,
                           double *out) noexcept nogil
    cdef int gather_rows(self, const int *cols, Py_ssize_t m, int first, RowLists *rows) except -1 nogil
