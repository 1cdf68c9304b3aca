"""Gram matrices and the working block.

``Block`` holds the columns gathered so far, centred and scaled, and their Gram matrix: a dense n x m array, or row
lists for sparse X, where the Gram entries of new columns are sums of outer products over the rows they touch.
``full_gram`` is X'X of dense X in one pass: rows are shifted by an approximate mean as they are loaded, so that
centring afterwards costs no digits.
"""
from cython.parallel cimport prange

from libc.math cimport sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from scipy.linalg.cython_blas cimport dgemm, dgemv, dsyrk

from fastreg.kernels.design cimport DENSE_ROWS, Design
from fastreg.kernels.leaf cimport (
    fr_axpy, fr_axpy4, fr_dot4_f64, fr_dotsum4, fr_list_add, fr_list_dot, fr_vdot)
from fastreg.kernels.memory cimport grow
from fastreg.kernels.rows cimport Row, RowLists, rows_free, rows_init

cdef Py_ssize_t ROWS = 4096          # rows of a residual computed at a time (they stay in cache)
cdef Py_ssize_t SPARSE_ROWS_AT_ONCE = 256
cdef Py_ssize_t TILE = 128           # Gram columns a thread takes at a time


cdef int block_init(Block *b, Design d) except -1 nogil:
    memset(b, 0, sizeof(Block))
    b.n = d.n
    if d.sparse():
        rows_init(&b.rows, d.n)
    return 0


cdef void block_free(Block *b) noexcept nogil:
    free(b.X)
    free(b.mean)
    free(b.G)
    rows_free(&b.rows)


cdef int _reserve(Block *b, Design d, Py_ssize_t m) except -1 nogil:
    cdef Py_ssize_t cap, j
    cdef double *G = NULL
    if m <= b.cap:
        return 0
    cap = min(max(m, b.cap + b.cap // 2, 32), d.p)
    grow(<void **> &G, cap * cap * sizeof(double))
    for j in range(b.m):
        memcpy(G + j * cap, b.G + j * b.ld, b.m * sizeof(double))
    free(b.G)
    b.G, b.ld, b.cap = G, cap, cap
    grow(<void **> &b.mean, cap * sizeof(double))
    if not d.sparse():
        grow(<void **> &b.X, cap * b.n * sizeof(double))
    return 0


cdef int block_append(Block *b, Design d, const int *cols, Py_ssize_t k) except -1 nogil:
    """Gather columns cols[0..k) and their Gram entries."""
    cdef Py_ssize_t a, i, m = b.m
    _reserve(b, d, m + k)
    for a in range(k):
        b.mean[m + a] = d.mean[cols[a]] - (d.level[cols[a]] if d.sparse() else 0)
    if d.sparse():
        d.gather_rows(cols, k, <int> m, &b.rows)
        _sparse_gram(b, d, k)
    else:
        d.gather(cols, k, b.X + m * b.n)
        _dense_gram(b, d, k)
    b.m += k
    for a in range(m, m + k):
        for i in range(a):
            b.G[i * b.ld + a] = b.G[a * b.ld + i]
    return 0


cdef int _dense_gram(Block *b, Design d, Py_ssize_t k) except -1 nogil:
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
    cdef Py_ssize_t i
    if k == 1:
        for i in range(lo, hi):
            b.G[b.m * b.ld + i] = fr_vdot(b.n, b.X + i * b.n, b.X + b.m * b.n)
        return
    dgemm('T', 'N', &rows, &cols, &n, &one, b.X + lo * b.n, &n, b.X + b.m * b.n, &n, &zero,
          b.G + b.m * b.ld + lo, &ld)


cdef int _sparse_gram(Block *b, Design d, Py_ssize_t k) except -1 nogil:
    """Outer products over the rows that hold a new entry; new columns in groups whose sums stay in cache."""
    cdef Py_ssize_t i, e, first, last, lo, hi, m = b.m, width = max(1, 65536 // (m + k))
    cdef RowLists *r = &b.rows
    cdef const int32_t *pos
    cdef const double *val
    lo = m
    while lo < m + k:
        hi = min(m + k, lo + width)
        for e in range(lo, hi):
            memset(b.G + e * b.ld, 0, (m + k) * sizeof(double))
        for i in range(b.n):
            pos, val = r.pos + r.row[i].start, r.val + r.row[i].start
            last = r.row[i].len
            while last > 0 and pos[last - 1] >= hi:
                last -= 1
            first = last
            while first > 0 and pos[first - 1] >= lo:
                first -= 1
            for e in range(first, last):
                fr_list_add(e + 1, pos, val, val[e], b.G + pos[e] * b.ld)
        if d.centred:
            for e in range(lo, hi):
                fr_axpy(e + 1, -d.weight_sum * b.mean[e], b.mean, b.G + e * b.ld)
        lo = hi
    return 0


# ---- products with the block ----------------------------------------------------------------------------------------
cdef int block_residual(const Block *b, Design d, const double *y, const double *w, double *r,
                        double *g) except -1 nogil:
    """r = y - X w; for sparse storage also g = X'r unless g is NULL, while the rows are in cache."""
    cdef Py_ssize_t c, j, nz = 0, size = SPARSE_ROWS_AT_ONCE if d.sparse() else ROWS, chunks = (b.n + size - 1) // size
    cdef int threads
    cdef double level = 0, total = 0
    cdef int *js = NULL
    grow(<void **> &js, (b.m + 1) * sizeof(int))
    for j in range(b.m):
        if w[j] != 0:
            js[nz] = <int> j
            nz += 1
            level += w[j] * b.mean[j]
    if g != NULL:
        memset(g, 0, b.m * sizeof(double))
    threads = d.threads(<double> b.rows.used if d.sparse() else <double> b.n * nz)
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="static"):
            _residual_rows(b, d, y, w, level, js, nz, c * size, min(b.n, (c + 1) * size), r)
    for c in range(chunks):
        if threads == 1:
            _residual_rows(b, d, y, w, level, js, nz, c * size, min(b.n, (c + 1) * size), r)
        if g != NULL:
            total += _correlate_rows(b, d, r, 0, c * size, min(b.n, (c + 1) * size), g)
    if g != NULL and d.centred:
        fr_axpy(b.m, -total, b.mean, g)
    free(js)
    return 0


cdef void _residual_rows(const Block *b, Design d, const double *y, const double *w, double level, const int *js,
                         Py_ssize_t nz, Py_ssize_t lo, Py_ssize_t hi, double *r) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef double a[4]
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    if d.sparse():
        for i in range(lo, hi):
            row = &rows.row[i]
            r[i] = y[i] - fr_list_dot(row.len, rows.pos + row.start, rows.val + row.start, w) + (
                level if d.root == NULL else level * d.root[i])
        return
    memcpy(r + lo, y + lo, (hi - lo) * sizeof(double))
    for k in range(0, nz - 3, 4):
        for i in range(4):
            a[i] = -w[js[k + i]]
        fr_axpy4(hi - lo, a, b.X + js[k] * b.n + lo, b.X + js[k + 1] * b.n + lo, b.X + js[k + 2] * b.n + lo,
                 b.X + js[k + 3] * b.n + lo, r + lo)
    for k in range(nz - nz % 4, nz):
        fr_axpy(hi - lo, -w[js[k]], b.X + js[k] * b.n + lo, r + lo)


cdef int block_correlate(const Block *b, Design d, const double *r, Py_ssize_t first, double *g) except -1 nogil:
    """g[j] = x_j'r for the block's columns from `first` on."""
    cdef Py_ssize_t c, chunks
    cdef double total
    cdef int threads
    if d.sparse():
        memset(g + first, 0, (b.m - first) * sizeof(double))
        total = _correlate_rows(b, d, r, first, 0, b.n, g)
        if d.centred:
            fr_axpy(b.m - first, -total, b.mean + first, g + first)
        return 0
    chunks = (b.m - first + 31) // 32
    threads = d.threads(<double> b.n * (b.m - first))
    if threads > 1:
        for c in prange(chunks, num_threads=threads, schedule="static"):
            _correlate_columns(b, r, first + 32 * c, min(b.m, first + 32 * c + 32), g)
    else:
        _correlate_columns(b, r, first, b.m, g)
    return 0


cdef double _correlate_rows(const Block *b, Design d, const double *r, Py_ssize_t first, Py_ssize_t lo, Py_ssize_t hi,
                            double *g) noexcept nogil:
    """g[j] += x_j'r over sparse rows [lo, hi), uncentred, for columns from `first` on; returns the sum of sqrt(s) r."""
    cdef Py_ssize_t i, j
    cdef double total = 0
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    for i in range(lo, hi):
        total += r[i] if d.root == NULL else d.root[i] * r[i]
        row = &rows.row[i]
        j = row.len if first > 0 else 0
        while j > 0 and rows.pos[row.start + j - 1] >= first:
            j -= 1
        fr_list_add(row.len - j, rows.pos + row.start + j, rows.val + row.start + j, r[i], g)
    return total


cdef void _correlate_columns(const Block *b, const double *r, Py_ssize_t lo, Py_ssize_t hi, double *g) noexcept nogil:
    cdef Py_ssize_t j
    cdef double zero[4]
    zero[0] = zero[1] = zero[2] = zero[3] = 0
    for j in range(lo, hi - 3, 4):
        fr_dot4_f64(b.n, b.X + j * b.n, b.X + (j + 1) * b.n, b.X + (j + 2) * b.n, b.X + (j + 3) * b.n, zero, r, g + j)
    for j in range(hi - (hi - lo) % 4, hi):
        g[j] = fr_vdot(b.n, b.X + j * b.n, r)


# ---- the whole Gram matrix ------------------------------------------------------------------------------------------
cdef struct Sums:
    # Sums over rows of [X - shift, Y', 1]' [X - shift, Y', 1], all scaled by sqrt(s); upper triangle, q x q.
    Py_ssize_t p, t, q, rows, lanes
    bint direct          # BLAS reads X itself; otherwise shifted blocks of `rows` rows
    const double *Y
    double *shift
    double *buffer       # of each lane: a block of rows, or ones
    double *total        # of each lane


cdef int full_gram(Design d, const double *Y, Py_ssize_t t, double *G, double *Q) except -1 nogil:
    """G = X'X (p x p), Q[k] = X'Y[k] for dense X, centred and weighted; sets the means and norms of d.

    Y (t x n) is centred and scaled. Float64 X without weights is read by BLAS where it lies, unless the level of a
    column is so high against its spread that centring afterwards would cost digits; otherwise, blocks of rows are
    loaded less an approximate mean. The rows are dealt to a fixed number of lanes, each with sums of its own, so the
    result does not depend on the number of threads.
    """
    cdef Sums u
    cdef Py_ssize_t p = d.p, q = p + t + 1
    cdef double work = <double> d.n * p * p
    u.p, u.t, u.q, u.Y, u.lanes = p, t, q, Y, 1
    u.direct = not d.single and d.root == NULL and (d.kind == DENSE_ROWS or d.step == 1)
    u.rows = min(d.n, 1024)
    if work > 2e7:
        u.lanes = min(8 if p <= 256 else (4 if p <= 512 else 2), max(1, d.n // (2 * u.rows)))
    u.shift = <double *> calloc(p, sizeof(double))
    u.total = <double *> calloc(u.lanes * q * q, sizeof(double))
    u.buffer = <double *> malloc(u.lanes * u.rows * (1 if u.direct else q) * sizeof(double))
    if u.shift == NULL or u.total == NULL or u.buffer == NULL:
        free(u.shift)
        free(u.total)
        free(u.buffer)
        with gil:
            raise MemoryError()
    if u.direct:
        _run_lanes(d, &u)
        if d.centred and _high_level(d, &u):
            u.direct = False
            grow(<void **> &u.buffer, u.lanes * u.rows * q * sizeof(double))
            memset(u.total, 0, u.lanes * q * q * sizeof(double))
    if not u.direct:
        if d.centred:
            _approximate_mean(d, &u)
        _run_lanes(d, &u)
    _centre_gram(d, &u, G, Q)
    d.mark_constant()
    free(u.shift)
    free(u.total)
    free(u.buffer)
    return 0


cdef void _run_lanes(Design d, Sums *u) noexcept nogil:
    cdef Py_ssize_t lane, per = (d.n + u.lanes - 1) // u.lanes
    if u.lanes > 1 and d.threads(<double> d.n * u.p * u.p) > 1:
        for lane in prange(u.lanes, num_threads=d.n_threads, schedule="dynamic", chunksize=1):
            _gram_lane(d, u, lane, lane * per, min(d.n, (lane + 1) * per))
    else:
        for lane in range(u.lanes):
            _gram_lane(d, u, lane, lane * per, min(d.n, (lane + 1) * per))
    for lane in range(1, u.lanes):
        fr_axpy(u.q * u.q, 1., u.total + lane * u.q * u.q, u.total)


cdef bint _high_level(Design d, const Sums *u) noexcept nogil:
    """Whether some column's mean is so large against its deviation that subtracting it loses more than 3 digits."""
    cdef Py_ssize_t j
    cdef double level, sq
    for j in range(u.p):
        level = u.total[(u.p + u.t) * u.q + j]
        sq = u.total[j * u.q + j]
        if level * level / d.weight_sum > (1 - 1e-3) * sq:
            return True
    return False


cdef void _approximate_mean(Design d, Sums *u) noexcept nogil:
    """Weighted mean of the first rows; where their weights are all zero, of nothing (0)."""
    cdef Py_ssize_t i, j
    cdef double w = 0, s
    if d.root == NULL:
        w = <double> u.rows
    else:
        for i in range(u.rows):
            w += d.root[i]
    if w == 0:
        return
    d.load_rows(0, NULL, u.rows, u.shift, u.buffer)
    for j in range(u.p):
        s = 0
        for i in range(u.rows):
            s += u.buffer[j * u.rows + i]
        u.shift[j] = s / w


cdef void _gram_lane(Design d, const Sums *u, Py_ssize_t lane, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
    """Add rows [lo, hi), block by block, to the sums of a lane."""
    cdef Py_ssize_t i, i0 = lo, k, m, p = u.p, q = u.q
    cdef int iq = <int> q, ip = <int> p, im, ld = <int> d.stride, inc = 1
    cdef double one = 1
    cdef double *total = u.total + lane * q * q
    cdef double *B = u.buffer + lane * u.rows * (1 if u.direct else q)
    cdef double *ones = B if u.direct else NULL
    cdef double *X
    cdef const double *v
    while i0 < hi:
        m = min(u.rows, hi - i0)
        im = <int> m
        if not u.direct:
            d.load_rows(i0, NULL, m, u.shift, B)
            for k in range(u.t):
                memcpy(B + (p + k) * m, u.Y + k * d.n + i0, m * sizeof(double))
            for i in range(m):
                B[(p + u.t) * m + i] = 1 if d.root == NULL else d.root[i0 + i]
            dsyrk('U', 'T', &iq, &im, &one, B, &im, &one, total, &iq)
            i0 += m
            continue
        for i in range(m):
            ones[i] = 1
        X = <double *> d.data + (i0 * d.stride if d.kind == DENSE_ROWS else i0)
        if u.t == 1 and d.kind != DENSE_ROWS:
            for k in range(0, p - 3, 4):
                fr_dotsum4(m, X + k * d.stride, d.stride, u.Y + i0, total + p * q + k, total + (p + 1) * q + k)
            for k in range(p - p % 4, p):
                total[p * q + k] += fr_vdot(m, X + k * d.stride, u.Y + i0)
                total[(p + 1) * q + k] += fr_vdot(m, X + k * d.stride, ones)
        dsyrk('U', 'N' if d.kind == DENSE_ROWS else 'T', &ip, &im, &one, X, &ld, &one, total, &iq)
        for k in range(u.t + 1 if u.t > 1 or d.kind == DENSE_ROWS else 0):
            v = u.Y + k * d.n + i0 if k < u.t else ones
            if d.kind == DENSE_ROWS:
                dgemv('N', &ip, &im, &one, X, &ld, <double *> v, &inc, &one, total + (p + k) * q, &inc)
            else:
                dgemv('T', &im, &ip, &one, X, &ld, <double *> v, &inc, &one, total + (p + k) * q, &inc)
        i0 += m


cdef void _centre_gram(Design d, const Sums *u, double *G, double *Q) noexcept nogil:
    """From sums about the shift to sums about the mean, in both triangles of G.

    Y sums to zero against the weights, so X'Y needs no correction when centred."""
    cdef Py_ssize_t i, j, k, p = u.p, q = u.q
    cdef const double *level = u.total + (p + u.t) * q
    cdef double s, mi, mj
    for j in range(p):
        mj = level[j] / d.weight_sum if d.centred else 0
        if d.centred:
            d.mean[j] = u.shift[j] + mj
        for i in range(j + 1):
            mi = level[i] if d.centred else 0
            s = u.total[j * q + i] - mi * mj
            G[j * p + i] = s
            G[i * p + j] = s
        for k in range(u.t):
            Q[k * p + j] = u.total[(p + k) * q + j]
        d.norm[j] = 0 if G[j * p + j] < 0 else sqrt(G[j * p + j])      # NaN stays one
