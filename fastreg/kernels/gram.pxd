# Gram matrix of all columns of dense X, and sums of products over some of its rows.
from fastreg.kernels.view cimport View
from fastreg.kernels.probe cimport Probe

cdef int full_gram(View d, const double *Y, Py_ssize_t t, double *G, double *Q) except -1 nogil
cdef void add_rows(View d, const double *Y, Py_ssize_t T, bint scaled, Py_ssize_t i0, const int *rows, Py_ssize_t m,
                   const double *shift, double *B, double *total, Probe *probe, Py_ssize_t lane) noexcept nogil
