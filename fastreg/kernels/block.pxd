# The working block: the columns gathered so far, and their Gram matrix under each weighting of the rows.
from fastreg.kernels.view cimport View
from fastreg.kernels.rows cimport RowLists

cdef struct Weighting:
    const double *root           # sqrt(s), NULL for ones
    const double *share          # root against the root that the block's rows carry, NULL for ones
    const double *column_mean    # of every column of X under these weights
    double weight_sum
    double *mean                 # what is left of the mean of the block's columns, by position
    double *G                    # m x m, leading dimension ld; packed upper triangle where there are several

cdef struct Block:
    Py_ssize_t n, m, cap, ld
    double *X                    # dense: n x m, centred, scaled; NULL for sparse storage
    RowLists rows                # sparse: rows of the block
    Weighting *of
    Py_ssize_t n_of
    Py_ssize_t n_parts           # sparse: parts of the rows, each with one share under each weighting
    const int *order             # rows part by part; NULL for a single part
    const Py_ssize_t *start      # where each part begins in it, and the end
    const double *count          # squared share of each part (n_of x n_parts)

cdef struct Test:
    # rows on which the squared errors of a fit are summed, whatever its own weights
    const double *y              # sqrt(s) (y - mean of y), s and that mean being the weights of the block's rows
    const double *root           # sqrt(s)
    double shift                 # that mean less the mean under the fit's own weights
    const double *times          # how often each row counts

cdef struct Fit:
    # what a residual is computed from, and where it goes
    const Block *block
    const Weighting *of
    const double *y
    const double *w              # by position
    double *r
    double *g                    # X'r by position (sparse storage)
    const Test *test             # NULL where there is none
    double *error                # sum of squared errors on it

cdef inline Py_ssize_t gram_column(const Block *b, Py_ssize_t j) noexcept nogil:
    """Where column j of a Gram matrix begins."""
    return j * b.ld if b.n_of == 1 else j * (j + 1) // 2


cdef int block_init(Block *b, View d, Py_ssize_t n_of) except -1 nogil
cdef void block_free(Block *b) noexcept nogil
cdef int block_append(Block *b, View d, const int *cols, Py_ssize_t k) except -1 nogil
cdef int block_residuals(View d, const Fit *fits, Py_ssize_t k) except -1 nogil
cdef int block_correlate(const Block *b, View d, const Weighting *of, const double *r, const int *pos,
                         Py_ssize_t first, Py_ssize_t m, double *g) except -1 nogil
