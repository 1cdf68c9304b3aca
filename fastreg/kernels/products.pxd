# Inner products of dense columns with each other, under any weights of the rows.
from fastreg.kernels.view cimport View

cdef int column_products(const double *X, Py_ssize_t n, const int *pos, const double *s, Py_ssize_t first, Py_ssize_t m,
                         double *G, Py_ssize_t ld, View d) except -1 nogil
