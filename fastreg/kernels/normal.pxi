# Products with the normal matrix X'SX, all of X read once where it is stored by rows or dense.
#
# Included in design.pyx. Rows (columns, when scattering those) are dealt to a number of parts that depends on the data
# alone, each with sums of its own, so results do not depend on the number of threads.

cdef Py_ssize_t PAIRED = 1 << 15       # columns from which a product of rows finds v and its sums in different caches

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


cdef Py_ssize_t _shares(double work, Py_ssize_t length) noexcept nogil:
    """Parts with sums of `length` of their own that cost little beside the work of forming them."""
    return max(1, <Py_ssize_t> min(16., min(work / max(PARALLEL_WORK, 1.), work / (16. * length))))


cdef Py_ssize_t _border(const index *ptr, Py_ssize_t n, Py_ssize_t part, Py_ssize_t parts) noexcept nogil:
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


cdef inline void _normal_part(Design d, int lanes, bint paired, Py_ssize_t part, Py_ssize_t parts, const real *data,
                              const index *idx, const index *ptr, const double *level, const double *v, double *z,
                              double *work, double *total) noexcept nogil:
    """Add a part of the rows to work, where each element of v lies beside its sum if paired."""
    cdef Py_ssize_t j, lo = _border(ptr, d.n, part, parts), hi = _border(ptr, d.n, part + 1, parts)
    if paired:
        for j in range(d.p):
            work[2 * j] = v[j]
        _normal_rows(2, lo, hi, data, idx, ptr, level, d.weight, work, z, work + 1, total)
    else:
        _normal_rows(lanes, lo, hi, data, idx, ptr, level, d.weight, v, z, work, total)


cdef int _normal_sparse(Design d, const real *data, const index *idx, const index *ptr, const double *V, Py_ssize_t k,
                        double *Z, double *out) except -1 nogil:
    """Up to 8 vectors at once."""
    cdef int lanes = 1 if k == 1 else (4 if k <= 4 else 8)
    cdef bint rows = d.kind == SPARSE_ROWS, paired = rows and lanes == 1 and d.p > PAIRED
    cdef int slot = 2 if paired else lanes       # elements for each column (row) in the sums of a part
    cdef Py_ssize_t i, j, t, part, c, major = d.n if rows else d.p, minor = d.p if rows else d.n
    cdef Py_ssize_t parts = _shares(<double> d.nnz * lanes, minor * lanes), chunk = 4 * CHUNK
    cdef Py_ssize_t chunks = (d.p + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz * lanes)
    cdef double level[8]
    cdef double total[8]
    cdef double *outs[8]
    cdef const double *v = V
    cdef double *work = <double *> calloc(parts * (minor * slot + lanes), sizeof(double))
    cdef double *mixed = NULL        # the vectors interleaved
    cdef double *z = NULL
    cdef double *totals
    if work == NULL:
        with gil:
            raise MemoryError()
    totals = work + parts * minor * slot
    for t in range(lanes):
        level[t] = total[t] = 0
        for j in range(d.p if t < k and d.centred else 0):
            level[t] += d.mean[j] * V[t * d.p + j]
    if lanes > 1:
        grow(<void **> &mixed, d.p * lanes * sizeof(double))
        _interleave(V, k, d.p, lanes, mixed)
        v = mixed
    if rows:
        if Z != NULL:
            grow(<void **> &z, d.n * lanes * sizeof(double))
        if threads > 1 and parts > 1:
            for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
                _normal_part(d, lanes, paired, part, parts, data, idx, ptr, level, v, z, work + part * minor * slot,
                             totals + part * lanes)
        else:
            for part in range(parts):
                _normal_part(d, lanes, paired, part, parts, data, idx, ptr, level, v, z, work + part * minor * slot,
                             totals + part * lanes)
        for part in range(1, parts):
            fr_axpy(minor * slot, 1, work + part * minor * slot, work)
            fr_axpy(lanes, 1, totals + part * lanes, totals)
        if paired:
            for j in range(d.p):
                out[j] = work[2 * j + 1]
        else:
            _separate(work, k, d.p, lanes, out)
        for t in range(k if d.centred else 0):
            fr_axpy(d.p, -totals[t], d.mean, out + t * d.p)
        if Z != NULL:
            _separate(z, k, d.n, lanes, Z)
    else:
        if threads > 1 and parts > 1:
            for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
                _scatter(lanes, _border(ptr, major, part, parts), _border(ptr, major, part + 1, parts), data, idx, ptr,
                         v, work + part * minor * lanes)
        else:
            for part in range(parts):
                _scatter(lanes, _border(ptr, major, part, parts), _border(ptr, major, part + 1, parts), data, idx, ptr,
                         v, work + part * minor * lanes)
        for part in range(1, parts):
            fr_axpy(minor * lanes, 1, work + part * minor * lanes, work)
        for i in range(d.n if d.centred else 0):
            for t in range(lanes):
                work[i * lanes + t] -= level[t]
        if Z != NULL:
            _separate(work, k, d.n, lanes, Z)
        for i in range(d.n if d.weight != NULL else 0):
            for t in range(lanes):
                work[i * lanes + t] *= d.weight[i]
        for i in range(d.n if d.centred else 0):
            for t in range(lanes):
                total[t] += work[i * lanes + t]
        if lanes > 1:                # an empty lane gives zeros: into what is no longer needed
            for t in range(lanes):
                outs[t] = out + t * d.p if t < k else mixed
        if threads > 1:
            for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
                _gather_chunk(lanes, c * chunk, min(d.p, (c + 1) * chunk), data, idx, ptr, d.mean, work, total, out,
                              outs)
        else:
            _gather_chunk(lanes, 0, d.p, data, idx, ptr, d.mean, work, total, out, outs)
    free(work)
    free(mixed)
    free(z)
    return 0


cdef inline void _gather_chunk(int lanes, Py_ssize_t lo, Py_ssize_t hi, const real *x, const index *idx,
                               const index *ptr, const double *mean, const double *u, const double *total,
                               double *out, double **outs) noexcept nogil:
    """Columns [lo, hi) against interleaved u."""
    if lanes == 1:
        fr_spcols(lo, hi, NULL, x, idx, ptr, mean, u, total[0], out)
    else:
        _spcols_lanes(lanes, lo, hi, NULL, x, idx, ptr, mean, u, total, outs)


cdef void _normal_dense_part(Design d, const real *X, const double *V, Py_ssize_t k, Py_ssize_t lo, Py_ssize_t hi,
                             double *Z, double *z, real *copy, double *out) noexcept nogil:
    """Add the product of rows [lo, hi); z holds as many as are read at a time (they stay in cache for the way back),
    copy four columns of them."""
    cdef Py_ssize_t block = max(4, min(1024, (1 << 16) // d.p) // 4 * 4), i0 = lo, i, j, b, c, m, t
    cdef const real *x[4]
    cdef double mean[4]
    cdef double v[4]
    while i0 < hi:
        m = min(block, hi - i0)
        for t in range(k):
            if d.kind == DENSE_ROWS:
                for i in range(m):
                    z[i] = fr_rowdot(d.p, X + (i0 + i) * d.stride, d.mean, V + t * d.p)
            else:
                memset(z, 0, m * sizeof(double))
                for j in range(0, d.p, 4):
                    c = min(4, d.p - j)
                    for b in range(4):
                        x[b] = _column(X + i0 * d.step, j + min(b, c - 1), m, d.stride, d.step, copy + b * 1024)
                        mean[b] = d.mean[j + b] if b < c else 0
                        v[b] = V[t * d.p + j + b] if b < c else 0
                    _comb4(m, x, mean, v, z)
            if Z != NULL:
                memcpy(Z + t * d.n + i0, z, m * sizeof(double))
            for i in range(m if d.weight != NULL else 0):
                z[i] *= d.weight[i0 + i]
            if d.kind == DENSE_ROWS:
                for i in range(0, m - 3, 4):
                    fr_rows4(d.p, X + (i0 + i) * d.stride, X + (i0 + i + 1) * d.stride, X + (i0 + i + 2) * d.stride,
                             X + (i0 + i + 3) * d.stride, d.mean, z + i, out + t * d.p)
                for i in range(m - m % 4, m):
                    fr_row(d.p, X + (i0 + i) * d.stride, d.mean, z[i], out + t * d.p)
            else:
                for j in range(0, d.p, 4):
                    c = min(4, d.p - j)
                    for b in range(4):
                        x[b] = _column(X + i0 * d.step, j + min(b, c - 1), m, d.stride, d.step, copy + b * 1024)
                        mean[b] = d.mean[j + min(b, c - 1)]
                    _dot4(m, x, mean, z, v)
                    for b in range(c):
                        out[t * d.p + j + b] += v[b]
        i0 += m


cdef int _normal_dense(Design d, const real *X, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil:
    cdef Py_ssize_t part, parts = _shares(<double> d.n * d.p * k, d.p * k), per = (d.n + parts - 1) // parts
    cdef int threads = d.threads(<double> d.n * d.p * k)
    cdef double *work = <double *> calloc(parts * (d.p * k + 5 * 1024), sizeof(double))
    cdef double *z
    cdef real *copy
    if work == NULL:
        with gil:
            raise MemoryError()
    z = work + parts * d.p * k
    copy = <real *> (z + parts * 1024)
    if threads > 1 and parts > 1:
        for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
            _normal_dense_part(d, X, V, k, part * per, min(d.n, (part + 1) * per), Z, z + part * 1024,
                               copy + part * 4096, work + part * d.p * k)
    else:
        for part in range(parts):
            _normal_dense_part(d, X, V, k, part * per, min(d.n, (part + 1) * per), Z, z + part * 1024,
                               copy + part * 4096, work + part * d.p * k)
    for part in range(1, parts):
        fr_axpy(d.p * k, 1, work + part * d.p * k, work)
    memcpy(out, work, d.p * k * sizeof(double))
    free(work)
    return 0
