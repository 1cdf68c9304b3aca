from fastreg.kernels.design cimport Design, Moments

# The verbs for one element type: chosen once, when X is wrapped.
ctypedef int (*moments_verb)(Dense, const void *, const Moments *, Py_ssize_t, const double *, const double *,
                             Py_ssize_t, double *) except -1 nogil
ctypedef int (*stream_verb)(Dense, const void *, const int *, Py_ssize_t, const double *, const double *, Py_ssize_t,
                            double *, Py_ssize_t) except -1 nogil
ctypedef int (*combine_verb)(Dense, const void *, const int *, Py_ssize_t, const double *, const double *,
                             const double *, double *) except -1 nogil
ctypedef int (*normal_verb)(Dense, const void *, const double *, const double *, const double *, Py_ssize_t, double *,
                            double *) except -1 nogil
ctypedef int (*gather_verb)(Dense, const void *, const int *, Py_ssize_t, const double *, const double *,
                            double *) except -1 nogil
ctypedef void (*load_verb)(Dense, const void *, Py_ssize_t, const int *, Py_ssize_t, const double *, const double *,
                           double *) noexcept nogil
ctypedef void (*load_as_rows_verb)(Dense, const void *, Py_ssize_t, const int *, Py_ssize_t, const double *,
                                   const double *, Py_ssize_t, double *) noexcept nogil

cdef struct Verbs:
    moments_verb moments
    stream_verb stream
    combine_verb combine
    normal_verb normal
    gather_verb gather
    load_verb load_rows
    load_as_rows_verb load_as_rows

cdef class Dense(Design):
    cdef const void *data
    cdef Py_ssize_t stride, step
    cdef bint by_rows, single
    cdef Verbs verbs
    cdef object owner
