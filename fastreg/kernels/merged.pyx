"""CSR whose columns with a single entry share one: only indices are new, X' v keeps every digit."""
from libc.stdint cimport int32_t, uint8_t

import numpy as np

ctypedef fused real:
    float
    double


def merge(const real[::1] data, const int32_t[::1] indices, const int32_t[::1] indptr, Py_ssize_t p):
    """Columns that stay, those with a single entry (or none) becoming one, the last.

    Returns
    -------
    column : ndarray of int32, shape (p,)
        Where each column goes.
    kept : int
        How many stay.
    merged : ndarray of int32, shape (nnz,)
        The new indices.
    squares : ndarray of shape (n,)
        Of the merged entries, summed over each row.
    """
    cdef Py_ssize_t n = indptr.shape[0] - 1, i, j, e
    cdef int32_t kept = 0
    cdef uint8_t[::1] seen = np.zeros(p, dtype=np.uint8)         # entries of a column: 0, 1 or more
    cdef int32_t[::1] column = np.empty(p, dtype=np.int32)
    cdef int32_t[::1] merged
    cdef double[::1] squares = np.zeros(n)
    with nogil:
        for e in range(indptr[n]):
            seen[indices[e]] += seen[indices[e]] < 2
        for j in range(p):
            column[j] = kept
            kept += seen[j] == 2
        for j in range(p):
            if seen[j] < 2:
                column[j] = kept
    if 2 * kept > p:
        return column.base, kept, None, None
    merged = np.empty(indices.shape[0], dtype=np.int32)
    with nogil:
        for i in range(n):
            for e in range(indptr[i], indptr[i + 1]):
                merged[e] = column[indices[e]]
                if merged[e] == kept:
                    squares[i] += <double> data[e] * data[e]
    return column.base, kept, merged.base, squares.base


def spread(const real[::1] data, const int32_t[::1] indices, const int32_t[::1] indptr, const int32_t[::1] merged,
           const int32_t[::1] column, const double[:, ::1] products, const double[:, ::1] V):
    """X'V[t] as rows, of all columns, from that of the merged ones."""
    cdef Py_ssize_t n = indptr.shape[0] - 1, p = column.shape[0], kept = products.shape[1] - 1, i, j, e, t
    cdef double[:, ::1] out = np.empty((V.shape[0], p))
    with nogil:
        for t in range(V.shape[0]):
            for j in range(p):
                out[t, j] = products[t, column[j]] if column[j] < kept else 0
            for i in range(n):
                for e in range(indptr[i], indptr[i + 1]):
                    if merged[e] == kept:
                        out[t, indices[e]] = data[e] * V[t, i]
    return out.base
