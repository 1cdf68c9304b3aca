"""What the index arrays of compressed sparse storage say, read once: whether kernels may follow them at all."""
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free

ctypedef fused index:
    int32_t
    int64_t

ctypedef fused real:
    float
    double

SORTED, UNSORTED, DUPLICATES, FALLING, OUTSIDE = range(5)


def inspect(const index[::1] indices, const index[::1] indptr, Py_ssize_t minor):
    """What the rows of a CSR (the columns of a CSC) array hold.

    Parameters
    ----------
    indices : ndarray of shape (>= nnz,)
    indptr : ndarray of shape (n_rows + 1,)
    minor : int
        Number of columns.

    Returns
    -------
    int
        SORTED: indices rise in each row; UNSORTED: not in all, but none holds an index twice; DUPLICATES: one does.
        FALLING: indptr does not go from 0 upwards to at most the length of indices; OUTSIDE: an index is not in
        [0, minor).
    """
    cdef Py_ssize_t i, e, lo, hi, steps_down = 0, outside = 0, n = indptr.shape[0] - 1
    cdef bint twice = False
    if n < 0 or indptr[0] != 0 or indptr[n] > indices.shape[0]:
        return FALLING
    with nogil:
        for i in range(n):
            steps_down += indptr[i + 1] < indptr[i]
    if steps_down > 0:
        return FALLING
    with nogil:
        for e in range(1, <Py_ssize_t> indptr[n]):             # of all entries at once, less those between rows
            steps_down += indices[e] <= indices[e - 1]
        for i in range(n):
            lo, hi = <Py_ssize_t> indptr[i], <Py_ssize_t> indptr[i + 1]
            if hi > lo:
                steps_down -= lo > 0 and indices[lo] <= indices[lo - 1]
                outside += (indices[lo] < 0) + (indices[hi - 1] >= minor)
        if steps_down > 0:                   # the first and the last of a row that does not rise say nothing of others
            outside = 0
            for e in range(<Py_ssize_t> indptr[n]):
                outside += (indices[e] < 0) + (indices[e] >= minor)
        if steps_down > 0 and outside == 0:
            twice = _twice(&indices[0], &indptr[0], n, minor)
    if outside > 0:
        return OUTSIDE
    return DUPLICATES if twice else UNSORTED if steps_down > 0 else SORTED


cdef bint _twice(const index *indices, const index *indptr, Py_ssize_t n, Py_ssize_t minor) except -1 nogil:
    """Whether some row holds an index twice."""
    cdef Py_ssize_t i, e
    cdef bint twice = False
    cdef Py_ssize_t *seen = <Py_ssize_t *> calloc(minor, sizeof(Py_ssize_t))     # the last row, counted from 1
    if seen == NULL:
        with gil:
            raise MemoryError()
    for i in range(n):
        for e in range(<Py_ssize_t> indptr[i], <Py_ssize_t> indptr[i + 1]):
            twice = twice or seen[indices[e]] == i + 1
            seen[indices[e]] = i + 1
        if twice:
            break
    free(seen)
    return twice


def count_below(const real[::1] values, double bound):
    """How many values other than 0 are of a size below bound."""
    cdef Py_ssize_t e, count = 0
    cdef double size
    with nogil:
        for e in range(values.shape[0]):
            size = fabs(values[e])
            count += (size > 0) & (size < bound)
    return count
