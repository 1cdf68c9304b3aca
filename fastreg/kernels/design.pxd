# X and nothing else: what it is stored in is known to the classes behind this one alone.
from libc.stdint cimport int32_t

from fastreg.kernels.rows cimport RowLists

cdef Py_ssize_t CHUNK                # columns a thread takes at a time

cdef struct SparseRows:
    # A few rows of sparse storage, each in order of its columns.
    Py_ssize_t *start       # of each row, and the end of the last
    int32_t *pos
    double *val
    Py_ssize_t *cursor      # storage by columns: where each goes on
    Py_ssize_t size         # entries that there is room for

cdef struct Direct:
    # Where X lies, float64: row i (across) or column j at data + i * stride, its elements one beside the other.
    const double *data
    Py_ssize_t stride       # of any sign
    bint across

cdef struct Moments:
    # One weighting of the rows, and where the moments of the columns under it go.
    double total                 # of the weights
    bint centred                 # whether means are subtracted; otherwise they are 0
    const double *weight         # NULL for ones
    const double *root           # their square roots, NULL for ones
    double *mean
    double *norm                 # centred, weighted Euclidean norm of each column
    double *norm1                # sum_i sqrt(s_i) |x_ij| (sparse storage), NULL otherwise
    double *level                # the mean of a sparse column that has no zeros (0 otherwise): gathered columns
    # lose it at once, which keeps the digits that a high level would cost

cdef void sparse_rows_free(SparseRows *rows) noexcept nogil
cdef double *scattered(Py_ssize_t p, const int *cols, Py_ssize_t m, const double *w) except NULL nogil
cdef Py_ssize_t shares(double work, Py_ssize_t length) noexcept nogil

cdef class Design:
    cdef readonly Py_ssize_t n, p, nnz
    cdef int n_threads

    cdef bint sparse(self) noexcept nogil
    cdef bint across(self) noexcept nogil
    cdef bint direct(self, Direct *of) noexcept nogil
    cdef double part(self, double share) noexcept nogil
    cdef double cost(self, Py_ssize_t j) noexcept nogil
    cdef int threads(self, double work) noexcept nogil
    cdef bint dealt(self, double work) noexcept nogil
    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *mean, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil
    cdef int stream(self, const int *cols, Py_ssize_t m, const double *mean, const double *V, Py_ssize_t k,
                    double *out, Py_ssize_t ldo) except -1 nogil
    cdef int combine(self, const int *cols, Py_ssize_t m, const double *mean, const double *root, const double *w,
                     double *out) except -1 nogil
    cdef int normal(self, const double *mean, const double *weight, const double *V, Py_ssize_t k, double *Z,
                    double *out) except -1 nogil
    cdef int gather(self, const int *cols, Py_ssize_t m, const double *mean, const double *root,
                    double *out) except -1 nogil
    cdef int gather_rows(self, const int *cols, Py_ssize_t m, const double *level, const double *weight, int first,
                         RowLists *rows) except -1 nogil
    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, const double *root,
                        double *out) noexcept nogil
    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                           const double *root, Py_ssize_t ld, double *out) noexcept nogil
    cdef int residual(self, const double *mean, const double *root, const double *y, const double *w, double *r,
                      double *g) except -1 nogil
    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil
