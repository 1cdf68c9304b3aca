"""The working block: columns gathered so far, centred and scaled, and their Gram matrices.

A dense n x m array, or row lists for sparse X, where the Gram entries of new columns are sums of outer products over
the rows they touch. Several weightings of the rows (the folds of a cross-validation) can share a sparse block: each is
a multiple of the block's own weights on each of a few parts of the rows, so that the sums over the parts are computed
once and combined.
"""
from cython.parallel cimport prange

from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from scipy.linalg.cython_blas cimport dgemm

from fastreg.kernels.leaf cimport (
    fr_axpy, fr_axpy4, fr_dot4, fr_list_add, fr_list_add4, fr_list_add8, fr_list_dot, fr_list_dot4, fr_list_dot8,
    fr_vdot)
from fastreg.kernels.memory cimport grow
from fastreg.kernels.rows cimport Row, RowLists, rows_free, rows_init
from fastreg.kernels.view cimport View

cdef enum:
    SPARSE_ROWS_AT_ONCE = 256
cdef Py_ssize_t ROWS = 4096          # rows of a residual computed at a time (they stay in cache)
cdef Py_ssize_t TILE = 128           # Gram columns a thread takes at a time
cdef Py_ssize_t SLABS = 4            # parts of the rows with correlations of their own


cdef int block_init(Block *b, View d, Py_ssize_t n_of) except -1 nogil:
    """An empty block for so many weightings, which the caller fills in."""
    memset(b, 0, sizeof(Block))
    b.n, b.n_parts = d.n, 1
    b.of = <Weighting *> calloc(n_of, sizeof(Weighting))
    if b.of == NULL:
        with gil:
            raise MemoryError()
    b.n_of = n_of
    if d.sparse():
        rows_init(&b.rows, d.n)
    return 0


cdef void block_free(Block *b) noexcept nogil:
    cdef Py_ssize_t f
    for f in range(b.n_of):
        free(b.of[f].mean)
        free(b.of[f].G)
    free(b.of)
    free(b.X)
    rows_free(&b.rows)
    memset(b, 0, sizeof(Block))


cdef int _reserve(Block *b, View d, Py_ssize_t m) except -1 nogil:
    cdef Py_ssize_t cap, j, f
    cdef double *G
    if m <= b.cap:
        return 0
    cap = min(max(m, b.cap + b.cap // 2, 32), d.p)
    for f in range(b.n_of):
        grow(<void **> &b.of[f].mean, cap * sizeof(double))
        if b.n_of > 1:
            grow(<void **> &b.of[f].G, cap * (cap + 1) // 2 * sizeof(double))
            continue
        G = NULL
        grow(<void **> &G, cap * cap * sizeof(double))
        for j in range(b.m):
            memcpy(G + j * cap, b.of[f].G + j * b.ld, b.m * sizeof(double))
        free(b.of[f].G)
        b.of[f].G = G
    b.ld = b.cap = cap
    if not d.sparse():
        grow(<void **> &b.X, cap * b.n * sizeof(double))
    return 0


cdef int block_append(Block *b, View d, const int *cols, Py_ssize_t k) except -1 nogil:
    """Gather columns cols[0..k) and their Gram entries."""
    cdef Py_ssize_t a, i, f, m = b.m
    cdef double *G
    _reserve(b, d, m + k)
    for f in range(b.n_of):
        for a in range(k):
            b.of[f].mean[m + a] = b.of[f].column_mean[cols[a]] - (
                d.level[cols[a]] if d.sparse() else d.mean[cols[a]])
    if d.sparse():
        d.gather_rows(cols, k, <int> m, &b.rows)
        _sparse_gram(b, d, k)
    else:
        d.gather(cols, k, b.X + m * b.n)
        _dense_gram(b, d, k)
    for f in range(b.n_of):
        G = b.of[f].G
        for a in range(m, m + k):
            if d.centred and d.sparse():
                fr_axpy(a + 1, -b.of[f].weight_sum * b.of[f].mean[a], b.of[f].mean, G + gram_column(b, a))
            for i in range(a if b.n_of == 1 else 0):
                G[i * b.ld + a] = G[a * b.ld + i]
    b.m += k
    return 0


# ---- Gram entries ----------------------------------------------------------------------------------------------------
cdef int _dense_gram(Block *b, View d, Py_ssize_t k) except -1 nogil:
    """G[:, m:m+k] = X[:, :m+k]' X[:, m:m+k], tile by tile of rows of G."""
    cdef Py_ssize_t m = b.m, c, tiles = (m + k + TILE - 1) // TILE
    cdef int threads = d.threads(<double> b.n * (m + k) * k / 16)
    if threads > 1:
        for c in prange(tiles, num_threads=threads, schedule="dynamic", chunksize=1):
            _gram_tile(b, k, c * TILE, min(m + k, (c + 1) * TILE))
    else:
        for c in range(tiles):
            _gram_tile(b, k, c * TILE, min(m + k, (c + 1) * TILE))
    return 0


cdef void _gram_tile(Block *b, Py_ssize_t k, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
    cdef int rows = <int> (hi - lo), cols = <int> k, n = <int> b.n, ld = <int> b.ld
    cdef double one = 1, zero = 0
    cdef double *G = b.of[0].G
    cdef Py_ssize_t i
    if k == 1:
        for i in range(lo, hi):
            G[b.m * b.ld + i] = fr_vdot(b.n, b.X + i * b.n, b.X + b.m * b.n)
        return
    dgemm('T', 'N', &rows, &cols, &n, &one, b.X + lo * b.n, &n, b.X + b.m * b.n, &n, &zero, G + b.m * b.ld + lo, &ld)


cdef inline double _usual(const Block *b, Py_ssize_t f) noexcept nogil:
    """The largest squared share of weighting f: that of all parts but one in k-fold cross-validation."""
    cdef Py_ssize_t part
    cdef double most = 0
    for part in range(b.n_parts):
        most = max(most, b.count[f * b.n_parts + part])
    return most


cdef void _combine(const Block *b, Py_ssize_t part, double *sums, Py_ssize_t lo, Py_ssize_t hi,
                   Py_ssize_t m) noexcept nogil:
    """Add the products of a part (behind the sums, m rows each) to the sums over all parts and, where a weighting
    differs on that part from its usual, the difference to its Gram matrix: columns lo to hi."""
    cdef Py_ssize_t f, a, size = (hi - lo) * m
    cdef double less
    cdef double *G
    for f in range(b.n_of):
        less = b.count[f * b.n_parts + part] - _usual(b, f)
        for a in range(hi - lo):
            G = b.of[f].G + gram_column(b, lo + a)
            if part == 0:
                memset(G, 0, (lo + a + 1) * sizeof(double))
            if less != 0:
                fr_axpy(lo + a + 1, less, sums + size + a * m, G)
    fr_axpy(size, 1., sums + size, sums)


cdef int _sparse_gram(Block *b, View d, Py_ssize_t k) except -1 nogil:
    """Outer products over the rows that hold a new entry; new columns in groups whose sums stay in cache."""
    cdef Py_ssize_t c, m = b.m, width = max(1, min(65536 // (m + k), (k + 7) // 8)), groups = (k + width - 1) // width
    cdef int threads = d.threads(<double> b.rows.used)
    if threads > 1:
        for c in prange(groups, num_threads=threads, schedule="dynamic", chunksize=1):
            _sparse_products(b, m + k, m + c * width, min(m + k, m + (c + 1) * width))
    else:
        width = max(1, 65536 // (m + k))
        for c in range((k + width - 1) // width):
            _sparse_products(b, m + k, m + c * width, min(m + k, m + (c + 1) * width))
    return 0


cdef int _sparse_products(Block *b, Py_ssize_t m, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    """Columns [lo, hi) of the Gram matrices, above the diagonal."""
    cdef Py_ssize_t i, f, part, size = (hi - lo) * m
    cdef double *sums = NULL
    if b.n_parts == 1:
        for i in range(lo, hi):
            memset(b.of[0].G + i * b.ld, 0, m * sizeof(double))
        for i in range(b.n):
            _outer(&b.rows, i, lo, hi, b.of[0].G + lo * b.ld, b.ld)
        return 0
    grow(<void **> &sums, 2 * size * sizeof(double))
    memset(sums, 0, size * sizeof(double))
    for part in range(b.n_parts):
        memset(sums + size, 0, size * sizeof(double))
        for i in range(b.start[part], b.start[part + 1]):
            _outer(&b.rows, b.order[i], lo, hi, sums + size, m)
        _combine(b, part, sums, lo, hi, m)
    for f in range(b.n_of):
        for i in range(lo, hi):
            fr_axpy(i + 1, _usual(b, f), sums + (i - lo) * m, b.of[f].G + gram_column(b, i))
    free(sums)
    return 0


cdef inline void _outer(const RowLists *r, Py_ssize_t i, Py_ssize_t lo, Py_ssize_t hi, double *out,
                        Py_ssize_t ldo) noexcept nogil:
    """Products of row i's entries in columns [lo, hi) with all those before them."""
    cdef Py_ssize_t e
    cdef const int32_t *pos
    cdef const double *val
    if r.fresh[i] == 0:
        return
    pos, val = r.pos + r.row[i].start, r.val + r.row[i].start
    for e in range(r.row[i].len - r.fresh[i], r.row[i].len):
        if lo <= pos[e] < hi:
            fr_list_add(e + 1, pos, val, val[e], out + (pos[e] - lo) * ldo)


# ---- products with the block ----------------------------------------------------------------------------------------
cdef double _level(const Block *b, const Fit *fit) noexcept nogil:
    cdef Py_ssize_t j
    cdef double level = 0
    for j in range(b.m):
        level += fit.w[j] * fit.of.mean[j]
    return level


cdef int block_residuals(View d, const Fit *fits, Py_ssize_t k) except -1 nogil:
    """r = y - X w of each fit; for sparse storage, whose fits share a block, also g = X'r, while the rows are in
    cache."""
    cdef Py_ssize_t t
    cdef const Block *b = fits[0].block
    cdef int threads = d.threads(2. * b.rows.used + 4. * b.n * k if d.sparse() else <double> b.n * b.m * k)
    if not d.sparse():
        if k > 1 and threads > 1:
            for t in prange(k, num_threads=threads, schedule="dynamic", chunksize=1):
                _dense_residual(fits[t].block, &fits[t], 1)
        else:
            for t in range(k):
                _dense_residual(fits[t].block, &fits[t], threads)
    elif k == 1 and fits[0].of.share == NULL:
        _sparse_residual(b, d, &fits[0], threads)
    else:
        for t in range(0, k, 8):
            _sparse_residuals(b, d, fits + t, min(8, k - t), threads)
    return 0


cdef int _dense_residual(const Block *b, const Fit *fit, int threads) except -1 nogil:
    cdef Py_ssize_t c, j, nz = 0, chunks = (b.n + ROWS - 1) // ROWS
    cdef int *js = NULL
    grow(<void **> &js, (b.m + 1) * sizeof(int))
    for j in range(b.m):
        if fit.w[j] != 0:
            js[nz] = <int> j
            nz += 1
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="static"):
            _dense_rows(b, fit, js, nz, c * ROWS, min(b.n, (c + 1) * ROWS))
    else:
        for c in range(chunks):
            _dense_rows(b, fit, js, nz, c * ROWS, min(b.n, (c + 1) * ROWS))
    free(js)
    return 0


cdef void _dense_rows(const Block *b, const Fit *fit, const int *js, Py_ssize_t nz, Py_ssize_t lo,
                      Py_ssize_t hi) noexcept nogil:
    """Rows [lo, hi) of the residual."""
    cdef Py_ssize_t i, k
    cdef double a[4]
    memcpy(fit.r + lo, fit.y + lo, (hi - lo) * sizeof(double))
    for k in range(0, nz - 3, 4):
        for i in range(4):
            a[i] = -fit.w[js[k + i]]
        fr_axpy4(hi - lo, a, b.X + js[k] * b.n + lo, b.X + js[k + 1] * b.n + lo, b.X + js[k + 2] * b.n + lo,
                 b.X + js[k + 3] * b.n + lo, fit.r + lo)
    for k in range(nz - nz % 4, nz):
        fr_axpy(hi - lo, -fit.w[js[k]], b.X + js[k] * b.n + lo, fit.r + lo)


cdef int _sparse_residual(const Block *b, View d, const Fit *fit, int threads) except -1 nogil:
    cdef Py_ssize_t c, size = SPARSE_ROWS_AT_ONCE, chunks = (b.n + size - 1) // size
    cdef double level = _level(b, fit), total = 0
    memset(fit.g, 0, b.m * sizeof(double))
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="static"):
            _residual_rows(b, fit, level, c * size, min(b.n, (c + 1) * size))
    for c in range(chunks):
        if threads == 1:
            _residual_rows(b, fit, level, c * size, min(b.n, (c + 1) * size))
        total += _correlate_rows(b, fit.of, fit.r, 0, c * size, min(b.n, (c + 1) * size), fit.g)
    if d.centred:
        fr_axpy(b.m, -total, fit.of.mean, fit.g)
    return 0


cdef void _residual_rows(const Block *b, const Fit *fit, double level, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
    cdef Py_ssize_t i
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    cdef const double *root = fit.of.root
    for i in range(lo, hi):
        row = &rows.row[i]
        fit.r[i] = fit.y[i] - fr_list_dot(row.len, rows.pos + row.start, rows.val + row.start, fit.w) + (
            level if root == NULL else level * root[i])


cdef int _sparse_residuals(const Block *b, View d, const Fit *fits, Py_ssize_t k, int threads) except -1 nogil:
    """Up to 8 fits at once, their coefficients and correlations interleaved: a row is read for all of them.

    The rows are dealt to a fixed number of slabs with sums of their own: the threads do not matter."""
    cdef Py_ssize_t j, t, slab, slabs = min(SLABS, 1 + b.n // SPARSE_ROWS_AT_ONCE)
    cdef int lanes = 4 if k <= 4 else 8
    cdef Py_ssize_t size = (b.m + 2) * lanes           # correlations, sums of sqrt(s) r, and test errors
    cdef double level[8]
    cdef double *w = <double *> calloc(b.m * lanes + 1, sizeof(double))
    cdef double *g = <double *> calloc(slabs * size, sizeof(double))
    if w == NULL or g == NULL:
        free(w)
        free(g)
        with gil:
            raise MemoryError()
    for t in range(k):
        level[t] = _level(b, &fits[t])
        for j in range(b.m):
            w[j * lanes + t] = fits[t].w[j]
    if threads > 1:
        for slab in prange(slabs, num_threads=threads, schedule="dynamic", chunksize=1):
            _slab_residuals(b, fits, k, level, w, slab * b.n // slabs, (slab + 1) * b.n // slabs, g + slab * size)
    else:
        for slab in range(slabs):
            _slab_residuals(b, fits, k, level, w, slab * b.n // slabs, (slab + 1) * b.n // slabs, g + slab * size)
    for slab in range(1, slabs):
        fr_axpy(size, 1., g + slab * size, g)
    for t in range(k):
        for j in range(b.m):
            fits[t].g[j] = g[j * lanes + t] - (g[b.m * lanes + t] * fits[t].of.mean[j] if d.centred else 0)
        if fits[t].test != NULL:
            fits[t].error[0] = g[(b.m + 1) * lanes + t]
    free(w)
    free(g)
    return 0


cdef void _slab_residuals(const Block *b, const Fit *fits, Py_ssize_t k, const double *level, const double *w,
                          Py_ssize_t lo, Py_ssize_t hi, double *g) noexcept nogil:
    """A few rows at a time, so that they and their products stay in cache."""
    cdef Py_ssize_t first = lo, i, t, last
    cdef int lanes = 4 if k <= 4 else 8
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    cdef double v[8 * SPARSE_ROWS_AT_ONCE]
    memset(v, 0, 8 * SPARSE_ROWS_AT_ONCE * sizeof(double))
    while first < hi:
        last = min(hi, first + SPARSE_ROWS_AT_ONCE)
        for i in range(first, last):
            row = &rows.row[i]
            if lanes == 4:
                fr_list_dot4(row.len, rows.pos + row.start, rows.val + row.start, w, v + (i - first) * lanes)
            else:
                fr_list_dot8(row.len, rows.pos + row.start, rows.val + row.start, w, v + (i - first) * lanes)
        for t in range(k):
            if fits[t].test != NULL:
                g[(b.m + 1) * lanes + t] += _slab_error(fits[t].test, level[t], first, last, lanes, v + t)
            g[b.m * lanes + t] += _slab_residual(&fits[t], level[t], first, last, lanes, v + t)
        for i in range(first, last):
            row = &rows.row[i]
            if lanes == 4:
                fr_list_add4(row.len, rows.pos + row.start, rows.val + row.start, v + (i - first) * lanes, g)
            else:
                fr_list_add8(row.len, rows.pos + row.start, rows.val + row.start, v + (i - first) * lanes, g)
        first = last


cdef double _slab_error(const Test *test, double level, Py_ssize_t lo, Py_ssize_t hi, int lanes,
                        const double *v) noexcept nogil:
    """Squared errors on the test rows among [lo, hi), from the products v, which no weights of the fit's are in yet."""
    cdef Py_ssize_t i
    cdef double e, total = 0
    for i in range(lo, hi):
        e = test.y[i] - v[(i - lo) * lanes] + (level + test.shift) * test.root[i]
        total += test.times[i] * e * e
    return total


cdef double _slab_residual(const Fit *fit, double level, Py_ssize_t lo, Py_ssize_t hi, int lanes,
                           double *v) noexcept nogil:
    """Residual of one fit on rows [lo, hi) from its products v (every so many lanes), which become what the rows are
    to be added up with; returns the sum of sqrt(s) r."""
    cdef Py_ssize_t i
    cdef double total = 0
    cdef const double *root = fit.of.root
    cdef const double *share = fit.of.share
    for i in range(lo, hi):
        if share != NULL:
            v[(i - lo) * lanes] *= share[i]
        fit.r[i] = fit.y[i] - v[(i - lo) * lanes] + (level if root == NULL else level * root[i])
        total += fit.r[i] if root == NULL else root[i] * fit.r[i]
        v[(i - lo) * lanes] = fit.r[i] if share == NULL else share[i] * fit.r[i]
    return total


cdef int block_correlate(const Block *b, View d, const Weighting *of, const double *r, const int *pos,
                         Py_ssize_t first, Py_ssize_t m, double *g) except -1 nogil:
    """g[k] = x_j'r for first <= k < m, j being the column at position pos[k], or k where pos is NULL."""
    cdef Py_ssize_t c, i, k, least, chunks = (m - first + 31) // 32
    cdef int threads
    cdef double total = 0
    cdef double *v = NULL
    if m == first:
        return 0
    if d.sparse():
        least = first if pos == NULL else b.m
        for k in range(first if pos != NULL else m, m):
            least = min(least, pos[k])
        grow(<void **> &v, b.m * sizeof(double))
        memset(v + least, 0, (b.m - least) * sizeof(double))
        total = _correlate_rows(b, of, r, least, 0, b.n, v)
        for k in range(first, m):
            i = k if pos == NULL else pos[k]
            g[k] = v[i] - (total * of.mean[i] if d.centred else 0)
        free(v)
        return 0
    threads = d.threads(<double> b.n * (m - first))
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="static"):
            _correlate_columns(b, r, pos, first + 32 * c, min(m, first + 32 * c + 32), g)
    else:
        _correlate_columns(b, r, pos, first, m, g)
    return 0


cdef double _correlate_rows(const Block *b, const Weighting *of, const double *r, Py_ssize_t first, Py_ssize_t lo,
                            Py_ssize_t hi, double *g) noexcept nogil:
    """g[j] += x_j'r over sparse rows [lo, hi), uncentred, for columns from `first` on; returns the sum of sqrt(s) r."""
    cdef Py_ssize_t i, j
    cdef double total = 0
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    for i in range(lo, hi):
        total += r[i] if of.root == NULL else of.root[i] * r[i]
        row = &rows.row[i]
        j = row.len if first > 0 else 0
        while j > 0 and rows.pos[row.start + j - 1] >= first:
            j -= 1
        fr_list_add(row.len - j, rows.pos + row.start + j, rows.val + row.start + j,
                    r[i] if of.share == NULL else of.share[i] * r[i], g)
    return total


cdef inline const double *_column(const Block *b, const int *pos, Py_ssize_t k) noexcept nogil:
    return b.X + (k if pos == NULL else pos[k]) * b.n


cdef void _correlate_columns(const Block *b, const double *r, const int *pos, Py_ssize_t lo, Py_ssize_t hi,
                             double *g) noexcept nogil:
    cdef Py_ssize_t k
    cdef double zero[4]
    zero[0] = zero[1] = zero[2] = zero[3] = 0
    for k in range(lo, hi - 3, 4):
        fr_dot4(b.n, _column(b, pos, k), _column(b, pos, k + 1), _column(b, pos, k + 2), _column(b, pos, k + 3),
                zero, r, g + k)
    for k in range(hi - (hi - lo) % 4, hi):
        g[k] = fr_vdot(b.n, _column(b, pos, k), r)
