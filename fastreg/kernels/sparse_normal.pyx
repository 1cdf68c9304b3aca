"""Products of sparse X with its normal matrix X'SX: all of X read once where it is stored by rows, twice by columns.

Rows (columns, when scattering those) are dealt to a number of parts that depends on the data alone, each with sums of
its own, so results do not depend on the number of threads.
"""
from cython.parallel cimport prange

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastreg.kernels.design cimport CHUNK, Design, shares
from fastreg.kernels.leaf cimport (
    fr_axpy, fr_normal_rows1, fr_normal_rows2, fr_normal_rows4, fr_normal_rows8, fr_scatter1, fr_scatter4, fr_scatter8,
    fr_spcols, fr_spcols4, fr_spcols8)
from fastreg.kernels.memory cimport grow
from fastreg.kernels.csx cimport border, index, normal_verb, real

cdef Py_ssize_t PAIRED = 1 << 15       # columns from which a product of rows finds v and its sums in different caches

cdef normal_verb sparse_normal(bint single, bint wide) noexcept:
    """The function for these types: up to 8 vectors at once."""
    if single:
        return <normal_verb> _normal[float, int64_t] if wide else <normal_verb> _normal[float, int32_t]
    return <normal_verb> _normal[double, int64_t] if wide else <normal_verb> _normal[double, int32_t]


cdef inline void _normal_rows(int lanes, Py_ssize_t lo, Py_ssize_t hi, const real *x, const index *idx,
                              const index *ptr, const double *level, const double *s, const double *v, double *z,
                              double *out, double *total) noexcept nogil:
    """Of `lanes` vectors at once; 2: of one, with v and out interleaved."""
    if lanes == 1:
        fr_normal_rows1(lo, hi, x, idx, ptr, level, s, v, z, out, total)
    elif lanes == 2:
        fr_normal_rows2(lo, hi, x, idx, ptr, level, s, v, z, out, total)
    elif lanes == 4:
        fr_normal_rows4(lo, hi, x, idx, ptr, level, s, v, z, out, total)
    else:
        fr_normal_rows8(lo, hi, x, idx, ptr, level, s, v, z, out, total)


cdef inline void _scatter(int lanes, Py_ssize_t lo, Py_ssize_t hi, const real *x, const index *idx, const index *ptr,
                          const double *v, double *z) noexcept nogil:
    if lanes == 1:
        fr_scatter1(lo, hi, x, idx, ptr, v, z)
    elif lanes == 4:
        fr_scatter4(lo, hi, x, idx, ptr, v, z)
    else:
        fr_scatter8(lo, hi, x, idx, ptr, v, z)


cdef void _interleave(const double *V, Py_ssize_t k, Py_ssize_t n, int lanes, double *out) noexcept nogil:
    cdef Py_ssize_t i, t
    for t in range(lanes):
        for i in range(n):
            out[i * lanes + t] = V[t * n + i] if t < k else 0


cdef void _separate(const double *v, Py_ssize_t k, Py_ssize_t n, int lanes, double *out) noexcept nogil:
    cdef Py_ssize_t i, t
    for t in range(k):
        for i in range(n):
            out[t * n + i] = v[i * lanes + t]


cdef inline void _normal_part(Design d, int lanes, bint paired, Py_ssize_t part, Py_ssize_t parts, const real *data,
                              const index *idx, const index *ptr, const double *weight, const double *level,
                              const double *v, double *z, double *work, double *total) noexcept nogil:
    """Add a part of the rows to work, where each element of v lies beside its sum if paired."""
    cdef Py_ssize_t j, lo = border(ptr, d.n, part, parts), hi = border(ptr, d.n, part + 1, parts)
    if paired:
        for j in range(d.p):
            work[2 * j] = v[j]
        _normal_rows(2, lo, hi, data, idx, ptr, level, weight, work, z, work + 1, total)
    else:
        _normal_rows(lanes, lo, hi, data, idx, ptr, level, weight, v, z, work, total)


cdef inline void _gather_chunk(int lanes, Py_ssize_t lo, Py_ssize_t hi, const real *x, const index *idx,
                               const index *ptr, const double *mean, const double *u, const double *total,
                               double *out, double **outs) noexcept nogil:
    """Columns [lo, hi) against interleaved u."""
    if lanes == 1:
        fr_spcols(lo, hi, NULL, x, idx, ptr, mean, u, total[0], out)
    elif lanes == 4:
        fr_spcols4(lo, hi, NULL, x, idx, ptr, mean, u, total, outs)
    else:
        fr_spcols8(lo, hi, NULL, x, idx, ptr, mean, u, total, outs)


cdef int _by_rows(Design d, const real *data, const index *idx, const index *ptr, const double *mean,
                  const double *weight, const double *level, const double *v, Py_ssize_t k, int lanes, double *Z,
                  double *out) except -1 nogil:
    """X stored by rows: a row gives its product and, while it is in cache, takes part in the sums of the columns."""
    cdef bint paired = lanes == 1 and d.p > PAIRED
    cdef int slot = 2 if paired else lanes       # elements for each column in the sums of a part
    cdef Py_ssize_t j, t, part, parts = shares(<double> d.nnz * lanes, d.p * lanes), size = d.p * slot
    cdef int threads = d.threads(<double> d.nnz * lanes)
    cdef double *work = <double *> calloc(parts * (size + lanes), sizeof(double))
    cdef double *totals = work + parts * size
    cdef double *z = NULL
    if work == NULL:
        with gil:
            raise MemoryError()
    if Z != NULL:
        grow(<void **> &z, d.n * lanes * sizeof(double))
    if threads > 1 and parts > 1:
        for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
            _normal_part(d, lanes, paired, part, parts, data, idx, ptr, weight, level, v, z, work + part * size,
                         totals + part * lanes)
    else:
        for part in range(parts):
            _normal_part(d, lanes, paired, part, parts, data, idx, ptr, weight, level, v, z, work + part * size,
                         totals + part * lanes)
    for part in range(1, parts):
        fr_axpy(size, 1, work + part * size, work)
        fr_axpy(lanes, 1, totals + part * lanes, totals)
    if paired:
        for j in range(d.p):
            out[j] = work[2 * j + 1]
    else:
        _separate(work, k, d.p, lanes, out)
    for t in range(k):
        fr_axpy(d.p, -totals[t], mean, out + t * d.p)
    if Z != NULL:
        _separate(z, k, d.n, lanes, Z)
    free(work)
    free(z)
    return 0


cdef int _by_columns(Design d, const real *data, const index *idx, const index *ptr, const double *mean,
                     const double *weight, const double *level, const double *v, Py_ssize_t k, int lanes, double *Z,
                     double *out) except -1 nogil:
    """X stored by columns: these are scattered to the rows, and read once more for their sums."""
    cdef Py_ssize_t i, t, part, c, size = d.n * lanes, parts = shares(<double> d.nnz * lanes, size)
    cdef Py_ssize_t chunk = 4 * CHUNK, chunks = (d.p + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz * lanes)
    cdef double total[8]
    cdef double *outs[8]
    cdef double *spare = NULL        # what an empty lane gives: zeros
    cdef double *work = <double *> calloc(parts * size, sizeof(double))
    if work == NULL:
        with gil:
            raise MemoryError()
    if threads > 1 and parts > 1:
        for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
            _scatter(lanes, border(ptr, d.p, part, parts), border(ptr, d.p, part + 1, parts), data, idx, ptr, v,
                     work + part * size)
    else:
        for part in range(parts):
            _scatter(lanes, border(ptr, d.p, part, parts), border(ptr, d.p, part + 1, parts), data, idx, ptr, v,
                     work + part * size)
    for part in range(1, parts):
        fr_axpy(size, 1, work + part * size, work)
    for i in range(d.n):
        for t in range(lanes):
            work[i * lanes + t] -= level[t]
    if Z != NULL:
        _separate(work, k, d.n, lanes, Z)
    memset(total, 0, sizeof(total))
    for i in range(d.n):
        for t in range(lanes):
            if weight != NULL:
                work[i * lanes + t] = work[i * lanes + t] * weight[i] if weight[i] != 0 else 0  # it may be infinite
            total[t] += work[i * lanes + t]
    if k < lanes:
        grow(<void **> &spare, d.p * sizeof(double))
    for t in range(lanes):
        outs[t] = out + t * d.p if t < k else spare
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _gather_chunk(lanes, c * chunk, min(d.p, (c + 1) * chunk), data, idx, ptr, mean, work, total, out, outs)
    else:
        _gather_chunk(lanes, 0, d.p, data, idx, ptr, mean, work, total, out, outs)
    free(work)
    free(spare)
    return 0


cdef int _normal(Design d, const real *data, const index *idx, const index *ptr, const double *mean,
                 const double *weight, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil:
    """Up to 8 vectors at once."""
    cdef int lanes = 1 if k == 1 else (4 if k <= 4 else 8)
    cdef Py_ssize_t j, t
    cdef double level[8]
    cdef double *mixed = NULL        # the vectors interleaved
    memset(level, 0, sizeof(level))
    for t in range(k):
        for j in range(d.p):
            level[t] += mean[j] * V[t * d.p + j]
    if lanes > 1:
        grow(<void **> &mixed, d.p * lanes * sizeof(double))
        _interleave(V, k, d.p, lanes, mixed)
    try:
        if not d.across():
            _by_columns(d, data, idx, ptr, mean, weight, level, V if lanes == 1 else mixed, k, lanes, Z, out)
        else:
            _by_rows(d, data, idx, ptr, mean, weight, level, V if lanes == 1 else mixed, k, lanes, Z, out)
    finally:
        free(mixed)
    return 0
