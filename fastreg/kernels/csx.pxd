# Compressed sparse storage, by columns or by rows: its types, and what its verbs share.
from libc.stdint cimport int32_t, int64_t

from fastreg.kernels.design cimport Design, Moments
from fastreg.kernels.threads cimport run_tasks

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t

# Verbs for one element and one index type. The first pointers are X's arrays.
ctypedef int (*moments_verb)(Design, const void *, const void *, const void *, const Moments *, Py_ssize_t,
                             const double *, const double *, double *) except -1 nogil
ctypedef int (*normal_verb)(Design, const void *, const void *, const void *, const double *, const double *,
                            const double *, Py_ssize_t, double *, double *) except -1 nogil

# A task of a verb.
ctypedef void (*piece)(const void *of, Py_ssize_t k, const void *, const void *, const void *) noexcept nogil

cdef struct Pieces:
    piece do
    const void *of
    const void *data
    const void *indices
    const void *indptr


cdef inline int _piece(void *context, Py_ssize_t k) except -1 nogil:
    cdef const Pieces *all_of = <const Pieces *> context
    all_of.do(all_of.of, k, all_of.data, all_of.indices, all_of.indptr)
    return 0


cdef inline int run_pieces(piece do, const void *of, Py_ssize_t n, int threads, const real *data, const index *idx,
                           const index *ptr) except -1 nogil:
    """do(of, k, data, idx, ptr) for k in 0..n-1; `do` is made for these types."""
    cdef Pieces all_of
    all_of.do, all_of.of, all_of.data, all_of.indices, all_of.indptr = do, of, data, idx, ptr
    return run_tasks(_piece, &all_of, n, threads)


cdef inline Py_ssize_t border(const index *ptr, Py_ssize_t n, Py_ssize_t part, Py_ssize_t parts) noexcept nogil:
    """Where a part begins, the entries being dealt evenly."""
    cdef Py_ssize_t lo = 0, hi = n, mid
    cdef double wanted = <double> ptr[n] / parts * part
    while lo < hi:
        mid = (lo + hi) // 2
        if ptr[mid] < wanted:
            lo = mid + 1
        else:
            hi = mid
    return lo if part < parts else n
