# Products with the working block, and correlations with what is made of them, in one reading of it.
from fastreg.kernels.block cimport Block
from fastreg.kernels.view cimport View

cdef enum:
    SUMS = 2             # that are made on the way

# share = what rows lo..hi-1 are to be correlated with, from their products v; sums += what is summed up over them.
ctypedef void (*Between)(void *context, Py_ssize_t lo, Py_ssize_t hi, const double *v, double *share,
                         double *sums) noexcept nogil

cdef int block_sweep(const Block *b, View d, const double *w, const int *pos, Py_ssize_t m, double level,
                     Between between, void *context, double *v, double *share, double *g,
                     double *sums) except -1 nogil
