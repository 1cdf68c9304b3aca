"""Products of sparse X with its normal matrix X'SX: all of X read once where it is stored by rows, twice by columns.

Rows (columns, when scattering those) are dealt to a number of parts that depends on the data alone, each with sums of
its own, so results do not depend on the number of threads.
"""
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastreg.kernels.design cimport CHUNK, Design, shares
from fastreg.kernels.leaf cimport (
    fr_axpy, fr_normal_rows1, fr_normal_rows2, fr_normal_rows4, fr_normal_rows8, fr_scatter1, fr_scatter4, fr_scatter8,
    fr_spcols, fr_spcols4, fr_spcols8)
from fastreg.kernels.memory cimport grow
from fastreg.kernels.csx cimport border, index, normal_verb, piece, real, run_pieces
from fastreg.kernels.threads cimport share_of

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


cdef struct Parts:
    # Of the rows (columns), by entries, each with sums of its own.
    Py_ssize_t n, p, parts, size
    int lanes
    bint paired              # each element of v lies beside its sum
    const double *weight
    const double *level
    const double *v
    double *z
    double *work
    double *totals


cdef void _rows(const Parts *u, Py_ssize_t part, const real *data, const index *idx, const index *ptr) noexcept nogil:
    """Add a part of the rows to its sums."""
    cdef Py_ssize_t j, lo = border(ptr, u.n, part, u.parts), hi = border(ptr, u.n, part + 1, u.parts)
    cdef double *work = u.work + part * u.size
    cdef double *total = u.totals + part * u.lanes
    if u.paired:
        for j in range(u.p):
            work[2 * j] = u.v[j]
        _normal_rows(2, lo, hi, data, idx, ptr, u.level, u.weight, work, u.z, work + 1, total)
    else:
        _normal_rows(u.lanes, lo, hi, data, idx, ptr, u.level, u.weight, u.v, u.z, work, total)


cdef void _scatter(const Parts *u, Py_ssize_t part, const real *x, const index *idx, const index *ptr) noexcept nogil:
    """Add a part of the columns to its sums."""
    cdef Py_ssize_t lo = border(ptr, u.p, part, u.parts), hi = border(ptr, u.p, part + 1, u.parts)
    cdef double *z = u.work + part * u.size
    if u.lanes == 1:
        fr_scatter1(lo, hi, x, idx, ptr, u.v, z)
    elif u.lanes == 4:
        fr_scatter4(lo, hi, x, idx, ptr, u.v, z)
    else:
        fr_scatter8(lo, hi, x, idx, ptr, u.v, z)


cdef struct Columns:
    # Against interleaved u.
    Py_ssize_t p, share
    int lanes
    const double *mean
    const double *u
    const double *total
    double **out


cdef void _gather(const Columns *of, Py_ssize_t k, const real *x, const index *idx, const index *ptr) noexcept nogil:
    cdef Py_ssize_t lo = k * of.share, hi = min(of.p, lo + of.share)
    if of.lanes == 1:
        fr_spcols(lo, hi, NULL, x, idx, ptr, of.mean, of.u, of.total[0], of.out[0])
    elif of.lanes == 4:
        fr_spcols4(lo, hi, NULL, x, idx, ptr, of.mean, of.u, of.total, of.out)
    else:
        fr_spcols8(lo, hi, NULL, x, idx, ptr, of.mean, of.u, of.total, of.out)


cdef int _by_rows(Design d, const real *data, const index *idx, const index *ptr, const double *mean,
                  const double *weight, const double *level, const double *v, Py_ssize_t k, int lanes, double *Z,
                  double *out) except -1 nogil:
    """X stored by rows: a row gives its product and, while it is in cache, takes part in the sums of the columns."""
    cdef bint paired = lanes == 1 and d.p > PAIRED
    cdef int slot = 2 if paired else lanes       # elements for each column in the sums of a part
    cdef Py_ssize_t j, t, part, parts = shares(<double> d.nnz * lanes, d.p * lanes), size = d.p * slot
    cdef Parts u
    cdef double *work = <double *> calloc(parts * (size + lanes), sizeof(double))
    cdef double *totals = work + parts * size
    cdef double *z = NULL
    if work == NULL:
        with gil:
            raise MemoryError()
    if Z != NULL:
        grow(<void **> &z, d.n * lanes * sizeof(double))
    u.n, u.p, u.parts, u.size, u.lanes, u.paired = d.n, d.p, parts, size, lanes, paired
    u.weight, u.level, u.v, u.z, u.work, u.totals = weight, level, v, z, work, totals
    run_pieces(<piece> _rows[real, index], &u, parts, d.threads(<double> d.nnz * lanes), data, idx, ptr)
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
    cdef Py_ssize_t i, t, part, size = d.n * lanes, parts = shares(<double> d.nnz * lanes, size)
    cdef int threads = d.threads(<double> d.nnz * lanes)
    cdef Parts u
    cdef Columns columns
    cdef double total[8]
    cdef double *outs[8]
    cdef double *spare = NULL        # what an empty lane gives: zeros
    cdef double *work = <double *> calloc(parts * size, sizeof(double))
    if work == NULL:
        with gil:
            raise MemoryError()
    u.p, u.parts, u.size, u.lanes, u.v, u.work = d.p, parts, size, lanes, v, work
    run_pieces(<piece> _scatter[real, index], &u, parts, threads, data, idx, ptr)
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
    columns.p, columns.share, columns.lanes = d.p, share_of(d.p, CHUNK), lanes
    columns.mean, columns.u, columns.total, columns.out = mean, work, total, outs
    run_pieces(<piece> _gather[real, index], &columns, (d.p + columns.share - 1) // columns.share, threads, data, idx,
               ptr)
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
