# Compressed sparse storage, by columns or by rows: its types, and what its verbs share.
from libc.stdint cimport int32_t, int64_t

from fastreg.kernels.design cimport Design, Moments

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
