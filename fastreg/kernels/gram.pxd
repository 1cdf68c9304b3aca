# Gram matrices: of all columns (dense X), and of a growing working block.
from fastreg.kernels.design cimport Design
from fastreg.kernels.rows cimport RowLists

cdef struct Block:
    Py_ssize_t n, m, cap, ld
    double *X            # dense: n x m, centred, scaled; NULL for sparse storage
    RowLists rows        # sparse: rows of the block
    double *mean         # what is left of the columns' means (sparse storage is centred on the fly)
    double *G            # m x m, leading dimension ld

cdef int block_init(Block *b, Design d) except -1 nogil
cdef void block_free(Block *b) noexcept nogil
cdef int block_append(Block *b, Design d, const int *cols, Py_ssize_t k) except -1 nogil
cdef int block_residual(const Block *b, Design d, const double *y, const double *w, double *r,
                        double *g) except -1 nogil
cdef int block_correlate(const Block *b, Design d, const double *r, Py_ssize_t first, double *g) except -1 nogil
cdef int full_gram(Design d, const double *Y, Py_ssize_t t, double *G, double *Q) except -1 nogil
