# Gram matrix of all columns of dense X.
from fastreg.kernels.design cimport Design

cdef int full_gram(Design d, const double *Y, Py_ssize_t t, double *G, double *Q) except -1 nogil
