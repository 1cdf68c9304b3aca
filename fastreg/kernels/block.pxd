# The working block: the columns gathered so far, without weights, and what fits under some weights make of them.
from fastreg.kernels.view cimport View
from fastreg.kernels.rows cimport RowLists

cdef struct Weighting:
    const double *weight         # s, NULL for ones
    const double *root           # sqrt(s)
    const double *column_mean    # of every column of X under these weights
    double total                 # of the weights
    double *mean                 # what is left of the mean of the block's columns, by position
    double *G                    # as gram_of_new left it: m x m, leading dimension ld; packed upper triangle where
    # there are several

cdef struct Block:
    Py_ssize_t n, m, cap, ld     # ld: room of the Gram matrices
    double *X                    # dense: n x m, columns less their level; NULL for sparse storage
    RowLists rows                # sparse: rows of the block, the same
    Weighting *of
    Py_ssize_t n_of
    Py_ssize_t n_parts           # parts of the rows, on each of which a weighting is a multiple of `base`
    const double *base           # NULL for ones
    const int *order             # rows part by part, ascending in each; NULL for a single part
    const Py_ssize_t *start      # where each part begins in it, and the end
    const double *count          # those multiples (n_of x n_parts)

cdef struct Test:
    # rows on which the squared errors of a fit are summed, whatever its own weights
    const double *y              # sqrt(s) (y - mean of y), s and that mean being the weights of all rows
    const double *root           # sqrt(s)
    double shift                 # that mean less the mean under the fit's own weights
    const double *times          # how often each row counts

cdef struct Fit:
    # what a residual is computed from, and where it goes
    const Block *block
    const Weighting *of
    const double *y
    const int *pos               # positions of its coordinates, NULL where they are those of the block, in order
    Py_ssize_t m                 # how many
    const double *w
    double *r
    double *g                    # X'r of its coordinates (sparse storage)
    const Test *test             # NULL where there is none
    double *error                # sum of squared errors on it

cdef inline Py_ssize_t place(const int *pos, Py_ssize_t k) noexcept nogil:
    """Where coordinate k is in the block."""
    return k if pos == NULL else pos[k]


cdef int block_init(Block *b, View d, Py_ssize_t n_of) except -1 nogil
cdef void block_free(Block *b) noexcept nogil
cdef int block_append(Block *b, View d, const int *cols, Py_ssize_t k) except -1 nogil
cdef int block_residuals(View d, const Fit *fits, Py_ssize_t k) except -1 nogil
cdef int block_products(const Block *b, View d, const double *mean, const double *w, const int *pos, Py_ssize_t m,
                        double *out) except -1 nogil
cdef int block_correlate(const Block *b, View d, const Weighting *of, const double *r, const int *pos,
                         Py_ssize_t first, Py_ssize_t m, double *g) except -1 nogil

# for those who read its rows in their own way
cdef Py_ssize_t block_slabs(const Block *b, bint sparse) noexcept nogil
cdef double *by_position(const Block *b, const double *w, const int *pos, Py_ssize_t m) except NULL nogil
cdef int *used(const double *w, const int *pos, Py_ssize_t m, Py_ssize_t *count) except NULL nogil
cdef void add_columns(const Block *b, const double *w, const int *pos, const int *js, Py_ssize_t nz, double sign,
                      Py_ssize_t lo, Py_ssize_t hi, double *out) noexcept nogil
