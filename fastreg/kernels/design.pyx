"""The design matrix as the engine sees it: ``stream`` X'V, ``apply`` Xw, ``gather`` columns, column ``moments``.

Every product is with the centred columns ``x_j - mean_j`` (mean_j = 0 without intercept). With sample weights s the
engine works on rows scaled by sqrt(s_i); ``gather`` scales, ``stream`` expects V to carry that factor already.
Nothing here copies X; each output column is computed by one thread, so results do not depend on their number.
"""
from cython.parallel cimport prange

from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastreg.kernels.leaf cimport (
    fr_comb4_f32, fr_comb4_f64, fr_dot4_f32, fr_dot4_f64, fr_dot_f32, fr_dot_f64, fr_load_f32, fr_load_f64,
    fr_row_f32, fr_row_f64, fr_rowdot_f32, fr_rowdot_f64, fr_rows4_f32, fr_rows4_f64, fr_rowsq_f32, fr_rowsq_f64,
    fr_spcols_f32_i32, fr_spcols_f32_i64, fr_spcols_f64_i32, fr_spcols_f64_i64, fr_sqdot4_f32, fr_sqdot4_f64,
    fr_sum4_f32, fr_sum4_f64)
from fastreg.kernels.memory cimport grow

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t

cdef Py_ssize_t CHUNK = 32              # columns a thread takes at a time
cdef Py_ssize_t ROW_BLOCK = 4096        # rows of a column block that stay in cache for several right-hand sides
cdef double ROW_SCATTER = 4             # what an element read on its own costs against one in a run of a row
cdef double PARALLEL_WORK = 4e5         # elements below which starting threads costs more than it saves
cdef double CONSTANT = 32 * 2.2e-16     # a centred column smaller than this against its mean is rounding


# ---- one column, one row --------------------------------------------------------------------------------------------
cdef inline double _dot(Py_ssize_t n, const real *x, double m, const double *v) noexcept nogil:
    if real is double:
        return fr_dot_f64(n, x, m, v)
    else:
        return fr_dot_f32(n, x, m, v)


cdef inline void _dot4(Py_ssize_t n, const real **x, const double *m, const double *v, double *out) noexcept nogil:
    if real is double:
        fr_dot4_f64(n, x[0], x[1], x[2], x[3], m, v, out)
    else:
        fr_dot4_f32(n, x[0], x[1], x[2], x[3], m, v, out)


cdef inline void _spcols(Py_ssize_t lo, Py_ssize_t hi, const int *cols, const real *x, const index *idx,
                         const index *ptr, const double *mean, const double *v, double total,
                         double *out) noexcept nogil:
    if real is double:
        if index is int32_t:
            fr_spcols_f64_i32(lo, hi, cols, x, idx, ptr, mean, v, total, out)
        else:
            fr_spcols_f64_i64(lo, hi, cols, x, idx, ptr, mean, v, total, out)
    else:
        if index is int32_t:
            fr_spcols_f32_i32(lo, hi, cols, x, idx, ptr, mean, v, total, out)
        else:
            fr_spcols_f32_i64(lo, hi, cols, x, idx, ptr, mean, v, total, out)


cdef inline void _load(Py_ssize_t n, const real *x, double m, const double *q, double *out) noexcept nogil:
    if real is double:
        fr_load_f64(n, x, m, q, out)
    else:
        fr_load_f32(n, x, m, q, out)


cdef inline void _sum4(Py_ssize_t n, const real **x, double *out) noexcept nogil:
    if real is double:
        fr_sum4_f64(n, x[0], x[1], x[2], x[3], out)
    else:
        fr_sum4_f32(n, x[0], x[1], x[2], x[3], out)


cdef inline void _sqdot4(Py_ssize_t n, const real **x, const double *m, const double *w, const double *v, double *sq,
                         double *dot) noexcept nogil:
    if real is double:
        fr_sqdot4_f64(n, x[0], x[1], x[2], x[3], m, w, v, sq, dot)
    else:
        fr_sqdot4_f32(n, x[0], x[1], x[2], x[3], m, w, v, sq, dot)


cdef inline void _row(Py_ssize_t p, const real *x, const double *m, double v, double *out) noexcept nogil:
    if real is double:
        fr_row_f64(p, x, m, v, out)
    else:
        fr_row_f32(p, x, m, v, out)


cdef inline void _comb4(Py_ssize_t n, const real **x, const double *m, const double *v, double *out) noexcept nogil:
    if real is double:
        fr_comb4_f64(n, x[0], x[1], x[2], x[3], m, v, out)
    else:
        fr_comb4_f32(n, x[0], x[1], x[2], x[3], m, v, out)


cdef inline double _rowdot(Py_ssize_t p, const real *x, const double *m, const double *w) noexcept nogil:
    if real is double:
        return fr_rowdot_f64(p, x, m, w)
    else:
        return fr_rowdot_f32(p, x, m, w)


cdef inline void _rows4(Py_ssize_t p, const real *x, Py_ssize_t ld, const double *m, const double *v,
                        double *out) noexcept nogil:
    if real is double:
        fr_rows4_f64(p, x, x + ld, x + 2 * ld, x + 3 * ld, m, v, out)
    else:
        fr_rows4_f32(p, x, x + ld, x + 2 * ld, x + 3 * ld, m, v, out)


cdef inline void _rowsq(Py_ssize_t p, const real *x, const double *m, double v, double *out) noexcept nogil:
    if real is double:
        fr_rowsq_f64(p, x, m, v, out)
    else:
        fr_rowsq_f32(p, x, m, v, out)


cdef inline const real *_column(const real *X, Py_ssize_t j, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t step,
                                real *copy) noexcept nogil:
    """Column j of a strided array: itself when contiguous, otherwise through a buffer of n."""
    cdef const real *x = X + j * stride
    cdef Py_ssize_t i
    if step == 1:
        return x
    for i in range(n):
        copy[i] = x[i * step]
    return copy


# ---- dense, by columns ---------------------------------------------------------------------------------------------
cdef void _dense_columns(Design d, const real *X, const int *cols, Py_ssize_t lo, Py_ssize_t hi, const double *V,
                         Py_ssize_t k, double *out, Py_ssize_t ldo, real *copy) noexcept nogil:
    """out[t, a] = sum_i (x_ij - mean_j) V[t, i], j = cols[a] (a itself without cols), for a in [lo, hi)."""
    cdef Py_ssize_t a, b, c, t, i, n = d.n, rows, block = n if k == 1 else min(n, ROW_BLOCK)
    cdef const real *x[4]
    cdef double m[4]
    cdef double o[4]
    for a in range(lo, hi, 4):
        c = min(4, hi - a)
        for b in range(4):
            i = cols[a + min(b, c - 1)] if cols != NULL else a + min(b, c - 1)
            if b < c:
                x[b] = _column(X, i, n, d.stride, d.step, copy + b * n)
            else:
                x[b] = x[c - 1]
            m[b] = d.mean[i]
        for t in range(k):
            for b in range(c):
                out[t * ldo + a + b] = 0
        i = 0
        while i < n:
            rows = min(block, n - i)
            for t in range(k):
                if c == 1:
                    out[t * ldo + a] += _dot(rows, x[0], m[0], V + t * n + i)
                else:
                    _dot4(rows, x, m, V + t * n + i, o)
                    for b in range(c):
                        out[t * ldo + a + b] += o[b]
            for b in range(4):
                x[b] += rows
            i += rows


# ---- dense, by rows ------------------------------------------------------------------------------------------------
cdef void _dense_rows(Design d, const real *X, Py_ssize_t lo, Py_ssize_t hi, const double *V, Py_ssize_t k,
                      double *out, Py_ssize_t ldo) noexcept nogil:
    """out[t, j] for columns j in [lo, hi): out += V[t, i] (x_i - mean) row by row."""
    cdef Py_ssize_t i, t, n = d.n, ld = d.stride
    cdef double v[4]
    for t in range(k):
        memset(out + t * ldo + lo, 0, (hi - lo) * sizeof(double))
    for i in range(0, n - 3, 4):
        for t in range(k):
            memcpy(v, V + t * n + i, 4 * sizeof(double))
            _rows4(hi - lo, X + i * ld + lo, ld, d.mean + lo, v, out + t * ldo + lo)
    for i in range(n - n % 4, n):
        for t in range(k):
            _row(hi - lo, X + i * ld + lo, d.mean + lo, V[t * n + i], out + t * ldo + lo)


cdef void _dense_rows_some(Design d, const real *X, const int *cols, Py_ssize_t lo, Py_ssize_t hi, const double *V,
                           Py_ssize_t k, double *out, Py_ssize_t ldo) noexcept nogil:
    """out[t, a] for a in [lo, hi), columns cols[a]: row by row, so that neighbours share what is fetched."""
    cdef Py_ssize_t i, a, t, ld = d.stride
    cdef const real *x
    cdef double v
    for t in range(k):
        memset(out + t * ldo + lo, 0, (hi - lo) * sizeof(double))
    for i in range(d.n):
        x = X + i * ld
        for t in range(k):
            v = V[t * d.n + i]
            for a in range(lo, hi):
                out[t * ldo + a] += (x[cols[a]] - d.mean[cols[a]]) * v


cdef void _dense_rows_moments(Design d, const real *X, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
    cdef Py_ssize_t i, j, n = d.n, ld = d.stride
    cdef double w
    if d.centred:
        # sums about the first row, so that a large common level costs no digits
        for j in range(lo, hi):
            d.norm[j] = X[j]
        for i in range(n):
            w = 1 if d.weight == NULL else d.weight[i]
            _row(hi - lo, X + i * ld + lo, d.norm + lo, w / d.weight_sum, d.mean + lo)
        for j in range(lo, hi):
            d.mean[j] += X[j]
    memset(d.norm + lo, 0, (hi - lo) * sizeof(double))
    for i in range(n):
        w = 1 if d.weight == NULL else d.weight[i]
        _rowsq(hi - lo, X + i * ld + lo, d.mean + lo, w, d.norm + lo)
    for j in range(lo, hi):
        d.norm[j] = sqrt(d.norm[j])


cdef void _dense_column_moments(Design d, const real *X, Py_ssize_t lo, Py_ssize_t hi, const double *V, Py_ssize_t k,
                                double *out, real *copy) noexcept nogil:
    """Moments of columns [lo, hi), four at a time, and, while these are in cache, their products with V."""
    cdef Py_ssize_t a, b, t, c, n = d.n
    cdef const real *x[4]
    cdef double m[4]
    cdef double sq[4]
    cdef double dot[4]
    for a in range(lo, hi, 4):
        c = min(4, hi - a)
        for b in range(4):
            x[b] = _column(X, a + b, n, d.stride, d.step, copy + b * n) if b < c else x[c - 1]
            m[b] = 0
        if d.centred:
            if d.weight == NULL:
                _sum4(n, x, sq)
            else:
                _dot4(n, x, m, d.weight, sq)
            for b in range(c):
                m[b] = d.mean[a + b] = sq[b] / d.weight_sum
        for t in range(k):
            if t == 0:
                _sqdot4(n, x, m, d.weight, V, sq, dot)
            else:
                _dot4(n, x, m, V + t * n, dot)
            for b in range(c):
                d.norm[a + b] = sqrt(sq[b])
                out[t * d.p + a + b] = dot[b]


# ---- sparse --------------------------------------------------------------------------------------------------------
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


cdef inline double _absent(Design d, double present) noexcept nogil:
    """Weight of the rows where a column has no entry; none where the difference is rounding."""
    cdef double absent = d.weight_sum - present
    return absent if absent > 1e-12 * d.weight_sum else 0


cdef void _sparse_column_moments(Design d, const real *data, const index *idx, const index *ptr,
                                 Py_ssize_t j) noexcept nogil:
    cdef Py_ssize_t e
    cdef double w, x, m = 0, present = 0, sq = 0, n1 = 0
    for e in range(<Py_ssize_t> ptr[j], <Py_ssize_t> ptr[j + 1]):
        w = 1 if d.weight == NULL else d.weight[idx[e]]
        present += w
        m += w * data[e]
    m = m / d.weight_sum if d.centred else 0
    for e in range(<Py_ssize_t> ptr[j], <Py_ssize_t> ptr[j + 1]):
        w = 1 if d.weight == NULL else d.weight[idx[e]]
        x = data[e]
        sq += w * (x - m) * (x - m)
        n1 += fabs(x) if d.root == NULL else d.root[idx[e]] * fabs(x)
    d.mean[j], d.norm1[j] = m, n1
    d.level[j] = 0 if _absent(d, present) > 0 else m
    d.norm[j] = sqrt(sq + _absent(d, present) * m * m)


cdef int _sparse_row_moments(Design d, const real *data, const index *idx, const index *ptr) except -1 nogil:
    cdef Py_ssize_t i, j, e
    cdef double w, x
    cdef double *present = <double *> calloc(d.p, sizeof(double))
    if present == NULL:
        with gil:
            raise MemoryError()
    for i in range(d.n):
        w = 1 if d.weight == NULL else d.weight[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            j = <Py_ssize_t> idx[e]
            present[j] += w
            d.mean[j] += w * data[e]
            d.norm1[j] += fabs(data[e]) * (1 if d.root == NULL else d.root[i])
    for j in range(d.p):
        d.mean[j] = d.mean[j] / d.weight_sum if d.centred else 0
    for i in range(d.n):
        w = 1 if d.weight == NULL else d.weight[i]
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            j = <Py_ssize_t> idx[e]
            x = data[e] - d.mean[j]
            d.norm[j] += w * x * x
    for j in range(d.p):
        d.level[j] = 0 if _absent(d, present[j]) > 0 else d.mean[j]
        d.norm[j] = sqrt(d.norm[j] + _absent(d, present[j]) * d.mean[j] * d.mean[j])
    free(present)
    return 0


# ---- row lists: a sparse block that grows by columns and is read by rows -------------------------------------------
cdef int rows_init(RowLists *r, Py_ssize_t n) except -1 nogil:
    memset(r, 0, sizeof(RowLists))
    r.n = n
    r.row = <Row *> calloc(n, sizeof(Row))
    if r.row == NULL:
        with gil:
            raise MemoryError()
    return 0


cdef void rows_free(RowLists *r) noexcept nogil:
    free(r.row)
    free(r.pos)
    free(r.val)
    memset(r, 0, sizeof(RowLists))


cdef int _rows_repack(RowLists *r, Py_ssize_t extra) except -1 nogil:
    """A larger arena with the rows in order again, each with a little room: reading them all stays sequential."""
    cdef Py_ssize_t i, at = 0, size = extra + 1024
    cdef int32_t *pos = r.pos
    cdef double *val = r.val
    cdef Row *row
    for i in range(r.n):
        size += r.row[i].len + r.row[i].len // 4
    size += size // 2
    r.pos, r.val = NULL, NULL
    grow(<void **> &r.pos, size * sizeof(int32_t))
    grow(<void **> &r.val, size * sizeof(double))
    for i in range(r.n):
        row = &r.row[i]
        memcpy(r.pos + at, pos + row.start, row.len * sizeof(int32_t))
        memcpy(r.val + at, val + row.start, row.len * sizeof(double))
        row.start = at
        row.room = row.len + row.len // 4
        at += row.room
    r.used, r.size = at, size
    free(pos)
    free(val)
    return 0


cdef inline Py_ssize_t _roomy(const Row *row, Py_ssize_t more) noexcept nogil:
    return row.len + more + (row.len + more) // 2


cdef inline int _rows_reserve(RowLists *r, Py_ssize_t i, Py_ssize_t more) except -1 nogil:
    """Room for so many more entries in row i; a row that is too full moves to the end of the arena."""
    cdef Row *row = &r.row[i]
    cdef Py_ssize_t room = _roomy(row, more)
    if row.len + more <= row.room:
        return 0
    if r.used + room > r.size:
        _rows_repack(r, room)
    memcpy(r.pos + r.used, r.pos + row.start, row.len * sizeof(int32_t))
    memcpy(r.val + r.used, r.val + row.start, row.len * sizeof(double))
    row.start, row.room = r.used, <int32_t> room
    r.used += room
    return 0


cdef inline void _rows_push(RowLists *r, Py_ssize_t i, int pos, double val) noexcept nogil:
    """Append (pos, val) to row i, which has room for it."""
    cdef Row *row = &r.row[i]
    cdef Py_ssize_t at = row.start + row.len
    r.pos[at], r.val[at] = pos, val
    row.len += 1


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
    cdef int32_t *more = <int32_t *> calloc(d.n, sizeof(int32_t))
    if more == NULL:
        with gil:
            raise MemoryError()
    for a in range(m):
        for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
            more[idx[e]] += 1
    for i in range(d.n):
        if more[i] > 0:
            most += _roomy(&rows.row[i], more[i])
            need += _roomy(&rows.row[i], more[i]) if rows.row[i].len + more[i] > rows.row[i].room else 0
    if rows.used + need > rows.size:
        _rows_repack(rows, most)              # now: a later one would take back room that is not yet used
    for i in range(d.n):
        _rows_reserve(rows, i, more[i])
    free(more)
    for a in range(m):
        level = d.level[cols[a]]
        for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
            _rows_push(rows, <Py_ssize_t> idx[e], first + <int> a,
                       (data[e] - level) * (1 if d.root == NULL else d.root[idx[e]]))
    return 0


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


cdef int _gather_sparse_rows(Design d, const real *data, const index *idx, const index *ptr, const int *cols,
                             Py_ssize_t m, int first, RowLists *rows) except -1 nogil:
    cdef Py_ssize_t i, e, more
    cdef Row *row
    cdef int *where = _positions(d, cols, m, first + 1)
    for i in range(d.n):
        more = 0
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            more += where[idx[e]] > 0
        if more == 0:
            continue
        _rows_reserve(rows, i, more)
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            if where[idx[e]] > 0:
                _rows_push(rows, i, where[idx[e]] - 1,
                           (data[e] - d.level[idx[e]]) * (1 if d.root == NULL else d.root[i]))
        row = &rows.row[i]
        _sort_tail(rows.pos + row.start, rows.val + row.start, row.len - more, row.len)
    free(where)
    return 0


# ---- shifted blocks for a Gram matrix ------------------------------------------------------------------------------
cdef void _load_rows(Design d, const real *X, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                     double *out) noexcept nogil:
    """m rows, from i0 on or those listed, of sqrt(s) (x - shift), column-major with leading dimension m."""
    cdef Py_ssize_t i, j, lo, at
    cdef double root
    if d.kind == DENSE_COLUMNS and d.step == 1 and rows == NULL:
        for j in range(d.p):
            _load(m, X + j * d.stride + i0, shift[j], NULL if d.root == NULL else d.root + i0, out + j * m)
        return
    if d.kind == DENSE_COLUMNS:
        for j in range(d.p):
            for i in range(m):
                at = rows[i] if rows != NULL else i0 + i
                out[j * m + i] = (X[j * d.stride + at * d.step] - shift[j]) * (1 if d.root == NULL else d.root[at])
        return
    for lo in range(0, d.p, 16):                 # tiles that stay in cache while they are turned round
        for i in range(m):
            at = rows[i] if rows != NULL else i0 + i
            root = 1 if d.root == NULL else d.root[at]
            for j in range(lo, min(lo + 16, d.p)):
                out[j * m + i] = (X[at * d.stride + j] - shift[j]) * root


# ---- the class -----------------------------------------------------------------------------------------------------
cdef class Design:
    """X by address: built by ``fastreg.design.as_design``, which has checked shapes, types and finiteness.

    Parameters
    ----------
    kind : int
        0 dense by columns, 1 dense by rows, 2 CSC, 3 CSR.
    n, p, nnz : int
    data, indices, indptr : int
        Addresses; `indices` and `indptr` are 0 for dense storage.
    stride, step : int
        Dense storage: elements between columns (rows) and between entries of a column (row).
    single, wide_index, centred : bool
        float32 data; int64 indices; subtract column means.
    weight, root : ndarray or None
        Sample weights summing to their number, and their square roots.
    mean, norm, norm1, level : ndarray of shape (p,)
        Where the moments go; the last two are None for dense storage.
    weight_sum : float
    n_threads : int
    owners : object
        Kept alive as long as the design.
    """

    def __init__(self, int kind, Py_ssize_t n, Py_ssize_t p, Py_ssize_t nnz, uintptr_t data, uintptr_t indices,
                 uintptr_t indptr, Py_ssize_t stride, Py_ssize_t step, bint single, bint wide_index, bint centred,
                 weight, root, double[::1] mean, double[::1] norm, norm1, level, double weight_sum, int n_threads,
                 owners):
        self.kind, self.n, self.p, self.nnz = kind, n, p, nnz
        self.data, self.indices, self.indptr = <const void *> data, <const void *> indices, <const void *> indptr
        self.stride, self.step = stride, step
        self.single, self.wide_index, self.centred = single, wide_index, centred
        self.weight = self.root = self.norm1 = self.level = NULL
        if weight is not None:
            self.weight_, self.root_ = weight, root
            self.weight, self.root = &self.weight_[0], &self.root_[0]
        self.mean_, self.norm_ = mean, norm
        self.mean, self.norm = &mean[0], &norm[0]
        if norm1 is not None:
            self.norm1_, self.level_ = norm1, level
            self.norm1, self.level = &self.norm1_[0], &self.level_[0]
        self.weight_sum, self.n_threads, self.owners = weight_sum, n_threads, owners

    @property
    def means(self):
        """Column means (0 without intercept), once the engine has computed them."""
        return self.mean_.base

    @property
    def norms(self):
        """Centred, weighted norms of the columns; 0 where a column is constant."""
        return self.norm_.base

    cdef bint by_columns(self) noexcept nogil:
        return self.kind == DENSE_COLUMNS or self.kind == SPARSE_COLUMNS

    cdef double part(self, double share) noexcept nogil:
        """Cost of streaming a share of the columns, in passes."""
        if self.by_columns():
            return share
        return ROW_SCATTER * share if self.kind == DENSE_ROWS else INFINITY

    cdef bint sparse(self) noexcept nogil:
        return self.kind == SPARSE_COLUMNS or self.kind == SPARSE_ROWS

    cdef double cost(self, Py_ssize_t j) noexcept nogil:
        """Elements read to stream column j."""
        if self.kind != SPARSE_COLUMNS:
            return <double> self.nnz / self.p
        if self.wide_index:
            return <double> ((<const int64_t *> self.indptr)[j + 1] - (<const int64_t *> self.indptr)[j])
        return <double> ((<const int32_t *> self.indptr)[j + 1] - (<const int32_t *> self.indptr)[j])

    cdef int threads(self, double work) noexcept nogil:
        """Threads worth starting for so many elements."""
        return self.n_threads if work > PARALLEL_WORK else 1

    cdef int moments(self, const double *V, Py_ssize_t k, double *out) except -1 nogil:
        """Fill mean, norm (norm1 and level) and out[t, j] = x_j'V[t] (centred); V carries sqrt(s)."""
        if not self.sparse():
            if self.single:
                _dense_moments[float](self, <const float *> self.data, V, k, out)
            else:
                _dense_moments[double](self, <const double *> self.data, V, k, out)
        elif self.wide_index:
            if self.single:
                _sparse_moments[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                <const int64_t *> self.indptr, V, k, out)
            else:
                _sparse_moments[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                 <const int64_t *> self.indptr, V, k, out)
        elif self.single:
            _sparse_moments[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                            <const int32_t *> self.indptr, V, k, out)
        else:
            _sparse_moments[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                             <const int32_t *> self.indptr, V, k, out)
        self.mark_constant()
        return 0

    cdef void mark_constant(self) noexcept nogil:
        """A column whose centred norm is rounding gets norm 0."""
        cdef Py_ssize_t j
        for j in range(self.p):
            if self.norm[j] <= CONSTANT * fabs(self.mean[j]) * sqrt(self.weight_sum):
                self.norm[j] = 0

    cdef int stream(self, const int *cols, Py_ssize_t m, const double *V, Py_ssize_t k, double *out,
                    Py_ssize_t ldo) except -1 nogil:
        """out[t, a] = x_j'V[t] (centred), j = cols[a]; all columns when cols is NULL. CSR: all columns only."""
        if not self.sparse():
            if self.single:
                return _stream_dense[float](self, <const float *> self.data, cols, m, V, k, out, ldo)
            return _stream_dense[double](self, <const double *> self.data, cols, m, V, k, out, ldo)
        if self.wide_index:
            if self.single:
                return _stream_sparse[float, int64_t](
                    self, <const float *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                    cols, m, V, k, out, ldo)
            return _stream_sparse[double, int64_t](
                self, <const double *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                cols, m, V, k, out, ldo)
        if self.single:
            return _stream_sparse[float, int32_t](
                self, <const float *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
                cols, m, V, k, out, ldo)
        return _stream_sparse[double, int32_t](
            self, <const double *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
            cols, m, V, k, out, ldo)

    cdef int apply(self, const int *cols, Py_ssize_t m, const double *w, double *out) except -1 nogil:
        """out = sum_a w[a] x_j, j = cols[a], centred and scaled by sqrt(s)."""
        if not self.sparse():
            if self.single:
                return _apply_dense[float](self, <const float *> self.data, cols, m, w, out)
            return _apply_dense[double](self, <const double *> self.data, cols, m, w, out)
        if self.wide_index:
            if self.single:
                return _apply_sparse[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                     <const int64_t *> self.indptr, cols, m, w, out)
            return _apply_sparse[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                  <const int64_t *> self.indptr, cols, m, w, out)
        if self.single:
            return _apply_sparse[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                                 <const int32_t *> self.indptr, cols, m, w, out)
        return _apply_sparse[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                              <const int32_t *> self.indptr, cols, m, w, out)

    cdef int gather(self, const int *cols, Py_ssize_t m, double *out) except -1 nogil:
        """Columns cols[0..m) centred and scaled by sqrt(s), contiguous and dense, into out (n x m)."""
        if not self.sparse():
            if self.single:
                return _gather_dense[float](self, <const float *> self.data, cols, m, out)
            return _gather_dense[double](self, <const double *> self.data, cols, m, out)
        if self.wide_index:
            if self.single:
                return _unpack_sparse[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                      <const int64_t *> self.indptr, cols, m, out)
            return _unpack_sparse[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                   <const int64_t *> self.indptr, cols, m, out)
        if self.single:
            return _unpack_sparse[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                                  <const int32_t *> self.indptr, cols, m, out)
        return _unpack_sparse[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                               <const int32_t *> self.indptr, cols, m, out)

    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                        double *out) noexcept nogil:
        """Dense storage: m rows, from i0 on or those listed, shifted and scaled by sqrt(s), column-major."""
        if self.single:
            _load_rows[float](self, <const float *> self.data, i0, rows, m, shift, out)
        else:
            _load_rows[double](self, <const double *> self.data, i0, rows, m, shift, out)

    cdef int gather_rows(self, const int *cols, Py_ssize_t m, int first, RowLists *rows) except -1 nogil:
        """Sparse storage: append columns cols[0..m), less their level and scaled by sqrt(s), as positions first, ..."""
        if self.wide_index:
            if self.single:
                return _gather_sparse[float, int64_t](
                    self, <const float *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                    cols, m, first, rows)
            return _gather_sparse[double, int64_t](
                self, <const double *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                cols, m, first, rows)
        if self.single:
            return _gather_sparse[float, int32_t](
                self, <const float *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
                cols, m, first, rows)
        return _gather_sparse[double, int32_t](
            self, <const double *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
            cols, m, first, rows)


# ---- dispatch by layout (typed) ------------------------------------------------------------------------------------
cdef int _dense_moments(Design d, const real *X, const double *V, Py_ssize_t k, double *out) except -1 nogil:
    cdef Py_ssize_t c, chunks = (d.p + CHUNK - 1) // CHUNK
    cdef real *copy = NULL
    cdef int threads = d.threads(<double> d.n * d.p) if d.step == 1 else 1
    if d.kind == DENSE_ROWS:
        _dense_rows_moments(d, X, 0, d.p)
        return _stream_dense(d, X, NULL, d.p, V, k, out, d.p)
    if d.step != 1:
        grow(<void **> &copy, 4 * d.n * sizeof(real))
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _dense_column_moments(d, X, c * CHUNK, min(d.p, (c + 1) * CHUNK), V, k, out, copy)
    else:
        _dense_column_moments(d, X, 0, d.p, V, k, out, copy)
    free(copy)
    return 0


cdef int _sparse_moments(Design d, const real *data, const index *idx, const index *ptr, const double *V,
                         Py_ssize_t k, double *out) except -1 nogil:
    cdef Py_ssize_t c, chunk = 4 * CHUNK, chunks = (d.p + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz * k)
    cdef double *total
    if d.kind == SPARSE_ROWS:
        _sparse_row_moments(d, data, idx, ptr)
        return _stream_sparse(d, data, idx, ptr, NULL, d.p, V, k, out, d.p)
    total = _totals(d, V, k)
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _sparse_chunk_moments(d, data, idx, ptr, c * chunk, min(d.p, (c + 1) * chunk), V, total, k, out)
    else:
        for c in range(chunks):
            _sparse_chunk_moments(d, data, idx, ptr, c * chunk, min(d.p, (c + 1) * chunk), V, total, k, out)
    free(total)
    return 0


cdef void _sparse_chunk_moments(Design d, const real *data, const index *idx, const index *ptr, Py_ssize_t lo,
                                Py_ssize_t hi, const double *V, const double *total, Py_ssize_t k,
                                double *out) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(lo, hi):
        _sparse_column_moments(d, data, idx, ptr, j)
    _sparse_chunk(d, data, idx, ptr, NULL, lo, hi, V, total, k, out, d.p)


cdef double *_totals(Design d, const double *V, Py_ssize_t k) except NULL nogil:
    """Sum of each V[t], which the means are multiplied by; zeros when they are not subtracted. To be freed."""
    cdef Py_ssize_t t, i
    cdef double *total = <double *> calloc(k + 1, sizeof(double))
    if total == NULL:
        with gil:
            raise MemoryError()
    for t in range(k if d.centred else 0):
        for i in range(d.n):
            total[t] += V[t * d.n + i]
    return total


cdef int _stream_dense(Design d, const real *X, const int *cols, Py_ssize_t m, const double *V, Py_ssize_t k,
                       double *out, Py_ssize_t ldo) except -1 nogil:
    cdef Py_ssize_t c, tile, chunks
    cdef int threads = d.threads(<double> d.n * m * k)
    cdef real *copy = NULL
    if d.kind == DENSE_ROWS:
        tile = min(2048, (m // 4 + 63) // 64 * 64 + 64)
        chunks = (m + tile - 1) // tile
        if threads > 1:
            for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
                _dense_rows_tile(d, X, cols, c * tile, min(m, (c + 1) * tile), V, k, out, ldo)
        else:
            for c in range(chunks):
                _dense_rows_tile(d, X, cols, c * tile, min(m, (c + 1) * tile), V, k, out, ldo)
        return 0
    chunks = (m + CHUNK - 1) // CHUNK
    if d.step != 1:
        grow(<void **> &copy, 4 * d.n * sizeof(real))
        threads = 1
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _dense_columns(d, X, cols, c * CHUNK, min(m, (c + 1) * CHUNK), V, k, out, ldo, copy)
    else:
        _dense_columns(d, X, cols, 0, m, V, k, out, ldo, copy)
    free(copy)
    return 0


cdef void _dense_rows_tile(Design d, const real *X, const int *cols, Py_ssize_t lo, Py_ssize_t hi, const double *V,
                           Py_ssize_t k, double *out, Py_ssize_t ldo) noexcept nogil:
    if cols == NULL:
        _dense_rows(d, X, lo, hi, V, k, out, ldo)
    else:
        _dense_rows_some(d, X, cols, lo, hi, V, k, out, ldo)


cdef int _stream_sparse(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                        const double *V, Py_ssize_t k, double *out, Py_ssize_t ldo) except -1 nogil:
    cdef Py_ssize_t c, chunk = 4 * CHUNK, chunks = (m + chunk - 1) // chunk
    cdef int threads = d.threads(<double> d.nnz * k * m / d.p)
    cdef double *total = _totals(d, V, k)
    if d.kind == SPARSE_ROWS:
        _sparse_rows(d, data, idx, ptr, V, total, k, out, ldo)
    elif threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="dynamic", chunksize=1):
            _sparse_chunk(d, data, idx, ptr, cols, c * chunk, min(m, (c + 1) * chunk), V, total, k, out, ldo)
    else:
        for c in range(chunks):
            _sparse_chunk(d, data, idx, ptr, cols, c * chunk, min(m, (c + 1) * chunk), V, total, k, out, ldo)
    free(total)
    return 0


cdef void _sparse_chunk(Design d, const real *data, const index *idx, const index *ptr, const int *cols,
                        Py_ssize_t lo, Py_ssize_t hi, const double *V, const double *total, Py_ssize_t k,
                        double *out, Py_ssize_t ldo) noexcept nogil:
    """A few columns against every right-hand side while they are in cache."""
    cdef Py_ssize_t t
    for t in range(k):
        _spcols(lo, hi, cols, data, idx, ptr, d.mean, V + t * d.n, total[t], out + t * ldo)


cdef int _apply_dense(Design d, const real *X, const int *cols, Py_ssize_t m, const double *w,
                      double *out) except -1 nogil:
    cdef Py_ssize_t c, chunks = (d.n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef int threads = d.threads(<double> d.n * m) if d.step == 1 or d.kind == DENSE_ROWS else 1
    cdef real *copy = NULL
    cdef double *full = NULL
    if d.kind == DENSE_ROWS:
        full = _scattered(d, cols, m, w)
    elif d.step != 1:
        grow(<void **> &copy, 4 * d.n * sizeof(real))
        chunks = 1
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="static"):
            _apply_rows(d, X, cols, m, w, full, copy, c * ROW_BLOCK, min(d.n, (c + 1) * ROW_BLOCK), out)
    else:
        for c in range(chunks):
            _apply_rows(d, X, cols, m, w, full, copy, c * ROW_BLOCK, min(d.n, (c + 1) * ROW_BLOCK) if chunks > 1
                        else d.n, out)
    free(copy)
    free(full)
    return 0


cdef void _apply_rows(Design d, const real *X, const int *cols, Py_ssize_t m, const double *w, const double *full,
                      real *copy, Py_ssize_t lo, Py_ssize_t hi, double *out) noexcept nogil:
    """Rows [lo, hi) of X w; full is w by column, for row storage."""
    cdef Py_ssize_t i, a, b, c
    cdef const real *x[4]
    cdef double mean[4]
    cdef double v[4]
    if full != NULL:
        for i in range(lo, hi):
            out[i] = _rowdot(d.p, X + i * d.stride, d.mean, full)
    else:
        memset(out + lo, 0, (hi - lo) * sizeof(double))
        for a in range(0, m, 4):
            c = min(4, m - a)
            for b in range(4):
                x[b] = _column(X, cols[a + b], d.n, d.stride, d.step, copy + b * d.n) + lo if b < c else x[0]
                mean[b] = d.mean[cols[a + b]] if b < c else 0
                v[b] = w[a + b] if b < c else 0
            _comb4(hi - lo, x, mean, v, out + lo)
    for i in range(lo, hi if d.root != NULL else lo):
        out[i] *= d.root[i]


cdef double *_scattered(Design d, const int *cols, Py_ssize_t m, const double *w) except NULL nogil:
    """w by column of X, to be freed."""
    cdef Py_ssize_t a
    cdef double *full = <double *> calloc(d.p, sizeof(double))
    if full == NULL:
        with gil:
            raise MemoryError()
    for a in range(m):
        full[cols[a]] = w[a]
    return full


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


cdef int _gather_dense(Design d, const real *X, const int *cols, Py_ssize_t m, double *out) except -1 nogil:
    cdef Py_ssize_t a, i, n = d.n
    cdef real *copy = NULL
    cdef const real *row
    if d.kind == DENSE_COLUMNS:
        if d.step != 1:
            grow(<void **> &copy, n * sizeof(real))
        for a in range(m):
            _load(n, _column(X, cols[a], n, d.stride, d.step, copy), d.mean[cols[a]], d.root, out + a * n)
        free(copy)
        return 0
    for i in range(n):
        row = X + i * d.stride
        for a in range(m):
            out[a * n + i] = (row[cols[a]] - d.mean[cols[a]]) * (1 if d.root == NULL else d.root[i])
    return 0


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


cdef int _gather_sparse(Design d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                        int first, RowLists *rows) except -1 nogil:
    if d.kind == SPARSE_COLUMNS:
        return _gather_sparse_columns(d, data, idx, ptr, cols, m, first, rows)
    return _gather_sparse_rows(d, data, idx, ptr, cols, m, first, rows)
