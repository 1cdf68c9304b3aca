# Gram matrices of the working block, under any weights of the rows.
from fastreg.kernels.block cimport Block
from fastreg.kernels.view cimport View

cdef inline Py_ssize_t gram_column(const Block *b, Py_ssize_t j) noexcept nogil:
    """Where column j of a Gram matrix begins."""
    return j * b.ld if b.n_of == 1 else j * (j + 1) // 2


cdef int gram_of_new(Block *b, View d, Py_ssize_t k) except -1 nogil
cdef int block_gram(const Block *b, View d, const double *s, const int *pos, Py_ssize_t first, Py_ssize_t m,
                    const double *mean, double total, double *G, Py_ssize_t ld) except -1 nogil
cdef int block_means(const Block *b, const double *s, const int *pos, Py_ssize_t first, Py_ssize_t m,
                     double *out) except -1 nogil
