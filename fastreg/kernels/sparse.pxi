# Compressed sparse storage, by columns or by rows, 32- or 64-bit indices: the loops of Design over single entries.
#
# Included in design.pyx. Columns are centred on the fly: x_j'v - mean_j sum(v).

cdef inline void _spcols_lanes(int lanes, Py_ssize_t lo, Py_ssize_t hi, const int *cols, const real *x,
                               const index *idx, const index *ptr, const double *mean, const double *v,
                               const double *total, double **out) noexcept nogil:
    if lanes == 4:
        fr_spcols4(lo, hi, cols, x, idx, ptr, mean, v, total, out)
    else:
        fr_spcols8(lo, hi, cols, x, idx, ptr, mean, v, total, out)


# ---- moments ---------------------------------------------------------------------------------------------------------
cdef inline double _absent(Design d, double present) noexcept nogil:
    """Weight of the rows where a column has no entry; none where the difference is rounding."""
    cdef double absent = d.weight_sum - present
    return absent if absent > 1e-12 * d.weight_sum else 0


cdef inline void _spmoments(int lanes, Py_ssize_t n, const real *x, const index *idx, const double *w,
                            const double *root, double scale, double *out) noexcept nogil:
    if lanes == 1:
        fr_spmoments1(n, x, idx, w, root, scale, out)
    else:
        fr_spmoments4(n, x, idx, w, root, scale, out)


cdef void _sparse_column_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                                 Py_ssize_t k, const double *w, const double *root, int lanes, Py_ssize_t lo,
                                 Py_ssize_t hi) noexcept nogil:
    """Of columns [lo, hi) under k weightings, interleaved in w and root where there are several lanes."""
    cdef Py_ssize_t j, f, e
    cdef double m, absent
    cdef double out[16]             # by lane: weight of the rows present, mean, squares about it, norm1
    cdef double squares
    if k == 1 and not d.centred and of.norm1 == NULL:
        for j in range(lo, hi):
            squares = 0
            for e in range(<Py_ssize_t> ptr[j], <Py_ssize_t> ptr[j + 1]):
                squares += (1 if w == NULL else w[idx[e]]) * data[e] * data[e]
            of.mean[j], of.level[j], of.norm[j] = 0, 0, sqrt(squares)
        return
    for j in range(lo, hi):
        _spmoments(lanes, <Py_ssize_t> (ptr[j + 1] - ptr[j]), data + ptr[j], idx + ptr[j], w, root,
                   1 / d.weight_sum if d.centred else 0, out)
        for f in range(k):
            absent, m = _absent(d, out[f]), out[lanes + f]
            of[f].mean[j] = m
            if of[f].norm1 != NULL:
                of[f].norm1[j] = out[3 * lanes + f]
            of[f].level[j] = 0 if absent > 0 else m
            of[f].norm[j] = sqrt(out[2 * lanes + f] + absent * m * m)


cdef double FEW_DIGITS = 1e-3    # share of a sum of squares, below which what is left of it about the mean is too rough


cdef struct ColumnSums:
    # Sums over the rows of a column, side by side: an entry of X finds all of them in one place of the memory.
    double first         # the first value, which the others are taken about: a high level then costs no digits
    double d1, d2        # sum_i s_i (x_i - first), and of its squares
    double present       # sum_i s_i of the rows that have an entry
    double n1            # sum_i sqrt(s_i) |x_i|
    double xv            # sum_i x_i v_i
    double spare[2]


cdef struct FewSums:
    double sum           # sum_i s_i x_i
    double squares       # sum_i s_i x_i^2
    double xv            # sum_i x_i v_i


cdef void _few_sums(const real *data, const index *idx, const index *ptr, const double *weight, const double *v,
                    Py_ssize_t lo, Py_ssize_t hi, FewSums *sums) noexcept nogil:
    cdef Py_ssize_t i, e
    cdef double w, vi, x
    cdef FewSums *c
    for i in range(lo, hi):
        w = 1 if weight == NULL else weight[i]
        vi = 0 if v == NULL else v[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            c = &sums[idx[e]]
            x = data[e]
            c.sum += w * x
            c.squares += w * x * x
            c.xv += vi * x


cdef int _few_row_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                          const double *v, double *out) except -1 nogil:
    """As `_sparse_row_moments` without norm1 and levels, in half of its time; 0 where sums lack digits (or are not
    finite) and nothing is done."""
    cdef Py_ssize_t j, part, parts = _shares(<double> d.nnz, 3 * d.p)
    cdef int threads = <int> min(d.threads(<double> d.nnz), parts)
    cdef double m, squares
    cdef FewSums *sums = <FewSums *> calloc(parts * d.p, sizeof(FewSums))
    cdef bint good = True
    if sums == NULL:
        with gil:
            raise MemoryError()
    if threads > 1:
        for part in prange(parts, num_threads=threads, schedule="dynamic", chunksize=1):
            _few_sums(data, idx, ptr, of.weight, v, _border(ptr, d.n, part, parts), _border(ptr, d.n, part + 1, parts),
                      sums + part * d.p)
    else:
        for part in range(parts):
            _few_sums(data, idx, ptr, of.weight, v, _border(ptr, d.n, part, parts), _border(ptr, d.n, part + 1, parts),
                      sums + part * d.p)
    for part in range(1, parts):
        fr_axpy(3 * d.p, 1, <double *> (sums + part * d.p), <double *> sums)
    for j in range(d.p):
        m = sums[j].sum / d.weight_sum if d.centred else 0
        squares = sums[j].squares - m * sums[j].sum
        if not (squares > FEW_DIGITS * sums[j].squares or sums[j].squares == 0) or isinf(squares):
            good = False
            break
        of.mean[j], of.level[j], of.norm[j] = m, 0, sqrt(max(squares, 0.))
        if v != NULL:
            out[j] = sums[j].xv
    free(sums)
    return good


cdef int _sparse_row_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                             const double *v, double *out) except -1 nogil:
    """Moments of all columns and, unless v is NULL, their products with v (not centred), in one sweep over the rows."""
    cdef Py_ssize_t i, j, e
    cdef double w, root, x, vi, m, absent
    cdef ColumnSums *c
    cdef ColumnSums *sums
    if of.norm1 == NULL and _few_row_moments(d, data, idx, ptr, of, v, out):
        return 0
    sums = <ColumnSums *> calloc(d.p, sizeof(ColumnSums))
    if sums == NULL:
        with gil:
            raise MemoryError()
    for i in range(d.n):
        w = 1 if of.weight == NULL else of.weight[i]
        root = 1 if of.root == NULL else of.root[i]
        vi = 0 if v == NULL else v[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            c = &sums[idx[e]]
            x = data[e]
            if c.present == 0:
                c.first = x
            c.present += w
            c.d1 += w * (x - c.first)        # NaN and infinity make it NaN, whatever the weight
            c.d2 += w * (x - c.first) * (x - c.first)
            c.n1 += root * fabs(x)
            c.xv += vi * x
    for j in range(d.p):
        c = &sums[j]
        absent = _absent(d, c.present)
        m = (c.d1 + c.first * c.present) / d.weight_sum if d.centred else 0
        of.mean[j] = m
        if of.norm1 != NULL:
            of.norm1[j] = c.n1
        of.level[j] = 0 if absent > 0 else m
        m -= c.first
        of.norm[j] = sqrt(max(c.d2 - 2 * m * c.d1 + m * m * c.present, 0.) + absent * of.mean[j] * of.mean[j])
        if c.d1 * 0 != 0:
            of.norm[j] = c.d1 * 0
        if v != NULL:
            out[j] = c.xv
    free(sums)
    return 0


cdef void _sparse_chunk_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                                Py_ssize_t n_of, const double *w, const double *root, Py_ssize_t lo, Py_ssize_t hi,
                                const double *V, const double *total, Py_ssize_t k, double *out) noexcept nogil:
    """Moments of a few columns under all weightings, and their products with one V, while they are in cache."""
    cdef Py_ssize_t f
    if n_of == 1:
        _sparse_column_moments(d, data, idx, ptr, of, 1, w, root, 1, lo, hi)
    for f in range(0, n_of if n_of > 1 else 0, 4):
        _sparse_column_moments(d, data, idx, ptr, of + f, min(4, n_of - f), w + f * d.n, root + f * d.n, 4, lo, hi)
    if k == 1:
        _sparse_chunk(d, data, idx, ptr, NULL, lo, hi, V, total, k, out, d.p)


cdef int _interleave_weights(Design d, const Moments *of, Py_ssize_t n_of, double **w, double **root) except -1 nogil:
    """Weights and their roots, four lanes at a time; those of an empty lane stay 0."""
    cdef Py_ssize_t f, i, at, size = (n_of + 3) // 4 * 4 * d.n * sizeof(double)
    grow(<void **> w, size)
    grow(<void **> root, size)
    memset(w[0], 0, size)
    memset(root[0], 0, size)
    for f in range(n_of):
        for i in range(d.n):
            at = f // 4 * 4 * d.n + 4 * i + f % 4
            w[0][at] = 1 if of[f].weight == NULL else of[f].weight[i]
            root[0][at] = 1 if of[f].root == NULL else of[f].root[i]
    return 0


cdef int _sparse_moments(Design d, const real *data, const index *idx, const index *ptr, const Moments *of,
                         Py_ssize_t n_of, const double *V, Py_ssize_t k, double *out) except -1 nogil:
    cdef Py_ssize_t c, f, chunk = 4 * CHUNK, chunks = (d.p + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz * k)
    cdef double *total
    cdef double *many[2]
    cdef const double *w = of[0].weight
    cdef const double *root = of[0].root
    if d.kind == SPARSE_ROWS:
        for f in range(n_of):
            _sparse_row_moments(d, data, idx, ptr, &of[f], V if f == 0 and k == 1 else NULL, out)
        return 0 if k <= 1 else _stream_sparse(d, data, idx, ptr, NULL, d.p, V, k, out, d.p)
    many[0] = many[1] = NULL
    if n_of > 1:
        _interleave_weights(d, of, n_of, &many[0], &many[1])
        w, root = many[0], many[1]
    total = _totals(d, V, k)
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _sparse_chunk_moments(d, data, idx, ptr, of, n_of, w, root, c * chunk, min(d.p, (c + 1) * chunk), V, total,
                                  k, out)
    else:
        for c in range(chunks):
            _sparse_chunk_moments(d, data, idx, ptr, of, n_of, w, root, c * chunk, min(d.p, (c + 1) * chunk), V, total,
                                  k, out)
    free(total)
    free(many[0])
    free(many[1])
    return _stream_sparse(d, data, idx, ptr, NULL, d.p, V, k, out, d.p) if k > 1 else 0


# ---- products --------------------------------------------------------------------------------------------------------
cdef void _sparse_rows(Design d, const real *data, const index *idx, const index *ptr, const double *V,
                       const double *total, Py_ssize_t k, double *out, Py_ssize_t ldo) noexcept nogil:
    cdef Py_ssize_t i, j, t, e
    cdef double v
    for t in range(k):
        for j in range(d.p):
            out[t * ldo + j] = -d.mean[j] * total[t]
        for i in range(d.n):
            v = V[t * d.n + i]
            for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
                out[t * ldo + idx[e]] += v * data[e]


cdef void _sparse_chunk(Design d, const real *data, const index *idx, const index *ptr, const int *cols,
                        Py_ssize_t lo, Py_ssize_t hi, const double *V, const double *total, Py_ssize_t k,
                        double *out, Py_ssize_t ldo) noexcept nogil:
    """A few columns against every right-hand side while they are in cache."""
    cdef Py_ssize_t t
    for t in range(k):
        fr_spcols(lo, hi, cols, data, idx, ptr, d.mean, V + t * d.n, total[t], out + t * ldo)


cdef int _stream_lanes(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                       const double *V, const double *totals, Py_ssize_t k, double *out,
                       Py_ssize_t ldo) except -1 nogil:
    """Up to 8 right-hand sides of sparse columns at once, interleaved: an entry is read for all of them."""
    cdef Py_ssize_t c, i, t, chunk = 4 * CHUNK, chunks = (m + chunk - 1) // chunk
    cdef int lanes = 4 if k <= 4 else 8, threads = d.threads(<double> d.nnz * k * m / d.p)
    cdef double *v = NULL
    cdef double *spare = NULL
    cdef double total[8]
    cdef double *outs[8]
    grow(<void **> &v, d.n * lanes * sizeof(double))
    grow(<void **> &spare, (m + 1) * sizeof(double))
    for t in range(lanes):
        total[t] = totals[t] if t < k else 0
        outs[t] = out + t * ldo if t < k else spare        # what an empty lane gives is never read
        for i in range(d.n):
            v[i * lanes + t] = V[t * d.n + i] if t < k else 0
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _spcols_lanes(lanes, c * chunk, min(m, (c + 1) * chunk), cols, data, idx, ptr, d.mean, v, total, outs)
    else:
        _spcols_lanes(lanes, 0, m, cols, data, idx, ptr, d.mean, v, total, outs)
    free(v)
    free(spare)
    return 0


cdef int _stream_sparse(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                        const double *V, Py_ssize_t k, double *out, Py_ssize_t ldo) except -1 nogil:
    cdef Py_ssize_t c, chunk = 4 * CHUNK, chunks = (m + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz * k * m / d.p)
    cdef Py_ssize_t t
    cdef double *total = _totals(d, V, k)
    if d.kind == SPARSE_ROWS:
        _sparse_rows(d, data, idx, ptr, V, total, k, out, ldo)
    elif k > 1:
        for t in range(0, k, 8):
            _stream_lanes(d, data, idx, ptr, cols, m, V + t * d.n, total + t, min(8, k - t), out + t * ldo, ldo)
    elif threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _sparse_chunk(d, data, idx, ptr, cols, c * chunk, min(m, (c + 1) * chunk), V, total, k, out, ldo)
    else:
        for c in range(chunks):
            _sparse_chunk(d, data, idx, ptr, cols, c * chunk, min(m, (c + 1) * chunk), V, total, k, out, ldo)
    free(total)
    return 0


cdef int _apply_sparse(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                       const double *w, double *out) except -1 nogil:
    cdef Py_ssize_t a, i, e
    cdef double level = 0, s
    cdef double *full
    for a in range(m):
        level += w[a] * d.mean[cols[a]]
    if d.kind == SPARSE_COLUMNS:
        for i in range(d.n):
            out[i] = -level
        for a in range(m):
            for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
                out[idx[e]] += w[a] * data[e]
    else:
        full = _scattered(d, cols, m, w)
        for i in range(d.n):
            s = -level
            for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
                s += full[idx[e]] * data[e]
            out[i] = s
        free(full)
    for i in range(d.n if d.root != NULL else 0):
        out[i] *= d.root[i]
    return 0


# ---- columns for the working block -----------------------------------------------------------------------------------
cdef int *_positions(Design d, const int *cols, Py_ssize_t m, int first) except NULL nogil:
    """first, first + 1, ... for the columns in cols, 0 for all others; to be freed."""
    cdef Py_ssize_t a
    cdef int *where = <int *> calloc(d.p, sizeof(int))
    if where == NULL:
        with gil:
            raise MemoryError()
    for a in range(m):
        where[cols[a]] = first + <int> a
    return where


cdef void _sort_tail(int32_t *pos, double *val, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
    """Insertion sort by position: rows of X give their few new entries in the order of its columns."""
    cdef Py_ssize_t e, k
    cdef int32_t q
    cdef double v
    for e in range(lo + 1, hi):
        q, v, k = pos[e], val[e], e
        while k > lo and pos[k - 1] > q:
            pos[k], val[k] = pos[k - 1], val[k - 1]
            k -= 1
        pos[k], val[k] = q, v


cdef int _gather_sparse_columns(Design d, const real *data, const index *idx, const index *ptr, const int *cols,
                                Py_ssize_t m, int first, RowLists *rows) except -1 nogil:
    cdef Py_ssize_t a, i, e, need = 0, most = 0
    cdef double level
    cdef int32_t *more = rows.fresh
    memset(more, 0, d.n * sizeof(int32_t))
    for a in range(m):
        for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
            more[idx[e]] += d.root == NULL or d.root[idx[e]] > 0       # rows of weight zero stay empty
    for i in range(d.n):
        if more[i] > 0:
            most += rows_room(&rows.row[i], more[i])
            need += rows_room(&rows.row[i], more[i]) if rows.row[i].len + more[i] > rows.row[i].room else 0
    if rows.used + need > rows.size:
        rows_repack(rows, most)              # now: a later one would take back room that is not yet used
    for i in range(d.n):
        rows_reserve(rows, i, more[i])
    for a in range(m):
        level = d.level[cols[a]]
        for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
            if d.root != NULL and d.root[idx[e]] == 0:
                continue
            rows_push(rows, <Py_ssize_t> idx[e], first + <int> a,
                      (data[e] - level) * (1 if d.root == NULL else d.root[idx[e]]))
    return 0


cdef int _gather_sparse_rows(Design d, const real *data, const index *idx, const index *ptr, const int *cols,
                             Py_ssize_t m, int first, RowLists *rows) except -1 nogil:
    cdef Py_ssize_t i, e, more
    cdef Row *row
    cdef int *where = _positions(d, cols, m, first + 1)
    for i in range(d.n):
        more = rows.fresh[i] = 0
        if d.root != NULL and d.root[i] == 0:
            continue
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            more += where[idx[e]] > 0
        if more == 0:
            continue
        rows.fresh[i] = <int32_t> more
        rows_reserve(rows, i, more)
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            if where[idx[e]] > 0:
                rows_push(rows, i, where[idx[e]] - 1,
                          (data[e] - d.level[idx[e]]) * (1 if d.root == NULL else d.root[i]))
        row = &rows.row[i]
        _sort_tail(rows.pos + row.start, rows.val + row.start, row.len - more, row.len)
    free(where)
    return 0


cdef int _gather_sparse(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                        int first, RowLists *rows) except -1 nogil:
    if d.kind == SPARSE_COLUMNS:
        return _gather_sparse_columns(d, data, idx, ptr, cols, m, first, rows)
    return _gather_sparse_rows(d, data, idx, ptr, cols, m, first, rows)


cdef int _unpack_sparse(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                        double *out) except -1 nogil:
    cdef Py_ssize_t a, i, e, n = d.n
    cdef int *where = NULL
    for a in range(m):
        for i in range(n):
            out[a * n + i] = -d.mean[cols[a]]
    if d.kind == SPARSE_COLUMNS:
        for a in range(m):
            for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
                out[a * n + idx[e]] += data[e]
    else:
        where = _positions(d, cols, m, 1)
        for i in range(n):
            for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
                if where[idx[e]] > 0:
                    out[(where[idx[e]] - 1) * n + i] += data[e]
        free(where)
    for a in range(m if d.root != NULL else 0):
        for i in range(n):
            out[a * n + i] *= d.root[i]
    return 0


# ---- a few rows at a time --------------------------------------------------------------------------------------------
cdef void sparse_rows_free(SparseRows *rows) noexcept nogil:
    free(rows.start)
    free(rows.pos)
    free(rows.val)
    free(rows.cursor)
    memset(rows, 0, sizeof(SparseRows))


cdef int _load_sparse_rows(Design d, const real *data, const index *idx, const index *ptr, Py_ssize_t i0, Py_ssize_t m,
                           SparseRows *rows) except -1 nogil:
    cdef Py_ssize_t i, j, e, at, total = 0
    cdef int32_t last
    cdef bint ordered
    if rows.start == NULL:
        grow(<void **> &rows.start, (m + 1) * sizeof(Py_ssize_t))
        if d.kind == SPARSE_COLUMNS:
            grow(<void **> &rows.cursor, d.p * sizeof(Py_ssize_t))
            for j in range(d.p):
                rows.cursor[j] = <Py_ssize_t> ptr[j]
    memset(rows.start, 0, (m + 1) * sizeof(Py_ssize_t))
    if d.kind == SPARSE_ROWS:
        for i in range(m):
            rows.start[i + 1] = <Py_ssize_t> (ptr[i0 + i + 1] - ptr[i0 + i])
    else:
        for j in range(d.p):
            e = rows.cursor[j]
            while e < <Py_ssize_t> ptr[j + 1] and idx[e] < i0 + m:
                rows.start[idx[e] - i0 + 1] += 1
                e += 1
    for i in range(m):
        rows.start[i + 1] += rows.start[i]
    total = rows.start[m]
    if total > rows.size:
        grow(<void **> &rows.pos, total * sizeof(int32_t))
        grow(<void **> &rows.val, total * sizeof(double))
        rows.size = total
    if d.kind == SPARSE_ROWS:
        for i in range(m):
            at = rows.start[i]
            last, ordered = -1, True
            for e in range(<Py_ssize_t> ptr[i0 + i], <Py_ssize_t> ptr[i0 + i + 1]):
                rows.pos[at], rows.val[at] = <int> idx[e], data[e]
                ordered = ordered and rows.pos[at] > last
                last = rows.pos[at]
                at += 1
            if not ordered:
                _sort_tail(rows.pos, rows.val, rows.start[i], at)
        return 0
    for j in range(d.p):                     # start[i] runs ahead to the end of what row i has so far
        e = rows.cursor[j]
        while e < <Py_ssize_t> ptr[j + 1] and idx[e] < i0 + m:
            at = rows.start[idx[e] - i0]
            rows.pos[at], rows.val[at] = <int> j, data[e]
            rows.start[idx[e] - i0] += 1
            e += 1
        rows.cursor[j] = e
    for i in range(m, 0, -1):
        rows.start[i] = rows.start[i - 1]
    rows.start[0] = 0
    return 0
