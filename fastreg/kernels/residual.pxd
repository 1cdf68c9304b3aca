# Residuals of dense X, and what X says of them, in one reading.
from fastreg.kernels.view cimport View

cdef struct Target:
    const double *y      # centred, times sqrt(s)
    const double *w
    double *r            # y - X w
    double *g            # X'r

cdef int residual_pass(View d, const Target *targets, Py_ssize_t T) except -1 nogil
