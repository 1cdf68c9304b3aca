from fastreg.kernels.csx cimport moments_verb, normal_verb
from fastreg.kernels.design cimport Design, SparseRows
from fastreg.kernels.rows cimport RowLists

# The verbs for one element and one index type: chosen once, when X is wrapped. The first pointers are X's arrays.
ctypedef int (*stream_verb)(Sparse, const void *, const void *, const void *, const int *, Py_ssize_t, const double *,
                            const double *, Py_ssize_t, double *, Py_ssize_t) except -1 nogil
ctypedef int (*combine_verb)(Sparse, const void *, const void *, const void *, const int *, Py_ssize_t, const double *,
                             const double *, const double *, double *) except -1 nogil
ctypedef int (*gather_verb)(Sparse, const void *, const void *, const void *, const int *, Py_ssize_t, const double *,
                            const double *, double *) except -1 nogil
ctypedef int (*gather_rows_verb)(Sparse, const void *, const void *, const void *, const int *, Py_ssize_t,
                                 const double *, const double *, int, RowLists *) except -1 nogil
ctypedef int (*residual_verb)(Sparse, const void *, const void *, const void *, const double *, const double *,
                              const double *, const double *, double *, double *) except -1 nogil
ctypedef int (*load_verb)(Sparse, const void *, const void *, const void *, Py_ssize_t, Py_ssize_t,
                          SparseRows *) except -1 nogil

cdef struct Verbs:
    moments_verb moments
    normal_verb normal
    stream_verb stream
    combine_verb combine
    gather_verb gather
    gather_rows_verb gather_rows
    residual_verb residual
    load_verb load_rows

cdef class Sparse(Design):
    cdef const void *data
    cdef const void *indices
    cdef const void *indptr
    cdef bint by_rows, wide
    cdef Verbs verbs
    cdef object owners
