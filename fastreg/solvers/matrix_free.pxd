# The small problem without its Gram matrix, for working sets whose Gram matrix would not fit into memory.
from fastreg.kernels.view cimport View
from fastreg.kernels.quadratic cimport Quad
from fastreg.solvers.small cimport SmallSolver

cdef int free_solve(Quad *q, View d, const int *cols, double *r) except -1 nogil
cdef bint free_settled(Quad *q, View d, const int *cols) noexcept nogil
cdef int free_correlate(View d, const int *cols, Py_ssize_t m, const double *r, double *g) except -1 nogil
cdef int free_residual(View d, const int *cols, Py_ssize_t m, const double *w, const double *y,
                       double *r) except -1 nogil

cdef class Products(SmallSolver):
    pass
