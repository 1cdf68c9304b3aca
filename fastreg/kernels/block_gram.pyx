"""Gram matrices of the columns of a working block, under the weightings of the rows or under any weights.

Dense columns: products with the new ones (``products``). Sparse ones: sums of outer products over
the rows that they touch. Several weightings that are multiples of each other on each of a few parts of the rows (the
folds of a cross-validation) are served by sums over the parts, computed once and combined: as if there were one.
"""
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from scipy.linalg.cython_blas cimport dgemm

from fastreg.kernels.block cimport Block, Weighting, place
from fastreg.kernels.leaf cimport fr_axpy, fr_list_add, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.products cimport column_products
from fastreg.kernels.rows cimport Row, RowLists
from fastreg.kernels.threads cimport run_tasks
from fastreg.kernels.view cimport View

cdef Py_ssize_t TILE = 128           # Gram columns a thread takes at a time
cdef Py_ssize_t PANEL = 256          # columns that are scaled at a time, at most
cdef Py_ssize_t STRIP = 512          # rows of old columns that are gathered at a time
cdef Py_ssize_t IN_CACHE = 65536     # sums
cdef Py_ssize_t MOST_SLABS = 16
cdef Py_ssize_t AT_ONCE = 8          # columns of G that a thread sums up over the slabs
cdef double APART = 8                # products for each sum that a slab of rows has of its own


# ---- under the weightings of the block -------------------------------------------------------------------------------
cdef int gram_of_new(Block *b, View d, Py_ssize_t k) except -1 nogil:
    """Entries of the last k columns with all of them, under every weighting."""
    cdef Py_ssize_t a, i, f, m = b.m - k
    cdef Weighting *of
    _reserve(b, m)
    if d.sparse():
        _sparse_gram(b, d, k)
    elif b.n_of > 1:
        a = m
        while a < b.m:
            _dense_parts(b, d, a, min(b.m, a + PANEL))
            a += PANEL
    else:
        return block_gram(b, d, b.of[0].weight, NULL, m, b.m, b.of[0].mean if d.centred else NULL, b.of[0].total,
                          b.of[0].G, b.ld)
    for f in range(b.n_of):
        of = &b.of[f]
        for a in range(m, b.m):
            if d.centred:
                fr_axpy(a + 1, -of.total * of.mean[a], of.mean, of.G + gram_column(b, a))
            for i in range(a if b.n_of == 1 else 0):
                of.G[i * b.ld + a] = of.G[a * b.ld + i]
    return 0


cdef int _reserve(Block *b, Py_ssize_t m) except -1 nogil:
    """Room for the Gram matrices of as many columns as the block has room for; those of the first m are kept."""
    cdef Py_ssize_t j, f
    cdef double *G
    if b.ld >= b.m:
        return 0
    for f in range(b.n_of):
        if b.n_of > 1:
            grow(<void **> &b.of[f].G, b.cap * (b.cap + 1) // 2 * sizeof(double))
            continue
        G = NULL
        grow(<void **> &G, b.cap * b.cap * sizeof(double))
        for j in range(m):
            memcpy(G + j * b.cap, b.of[f].G + j * b.ld, m * sizeof(double))
        free(b.of[f].G)
        b.of[f].G = G
    b.ld = b.cap
    return 0


cdef inline double _usual(const Block *b, Py_ssize_t f) noexcept nogil:
    """The largest multiple of weighting f: that of all parts but one in k-fold cross-validation."""
    cdef Py_ssize_t part
    cdef double most = 0
    for part in range(b.n_parts):
        most = max(most, b.count[f * b.n_parts + part])
    return most


cdef void _combine(const Block *b, Py_ssize_t part, double *sums, Py_ssize_t first, Py_ssize_t m, Py_ssize_t lo,
                   Py_ssize_t hi) noexcept nogil:
    """Add the products of a part (behind the sums; m rows from `first` on, columns lo to hi) to the sums over all parts
    and, where a weighting differs on that part from its usual, the difference to its Gram matrix; after the last part,
    the usual multiple of the sums."""
    cdef Py_ssize_t f, a, rows, size = (hi - lo) * m
    cdef double less, usual
    cdef double *G
    fr_axpy(size, 1., sums + size, sums)
    for f in range(b.n_of):
        usual = _usual(b, f)
        less = b.count[f * b.n_parts + part] - usual
        for a in range(hi - lo):
            G = b.of[f].G + gram_column(b, lo + a) + first
            rows = min(m, lo + a + 1 - first)                    # down to the diagonal
            if part == 0 and rows > 0:
                memset(G, 0, rows * sizeof(double))
            if less != 0 and rows > 0:
                fr_axpy(rows, less, sums + size + a * m, G)
            if part == b.n_parts - 1 and rows > 0:
                fr_axpy(rows, usual, sums + a * m, G)


cdef struct Groups:
    # What the tasks share: some columns of G each, `first` to m in all, or, of columns lo to hi, some rows.
    Block *b
    bint fresh           # new columns of the block: rows without an entry in them count for nothing
    Py_ssize_t first, m, width, ld
    const double *s
    const int *at
    double *G
    Py_ssize_t lo, hi, slabs
    double *sums         # of each slab


cdef int _sparse_gram(Block *b, View d, Py_ssize_t k) except -1 nogil:
    """Outer products over the rows that hold a new entry."""
    cdef Groups u
    cdef int threads = d.threads(<double> b.rows.used)
    u.b, u.fresh, u.first, u.m, u.ld, u.s, u.at, u.G = b, True, b.m - k, b.m, b.ld, b.of[0].weight, NULL, b.of[0].G
    if b.n_of == 1:
        return _outer_products(&u, threads)
    u.width = _width(&u, threads)
    return run_tasks(_products_of_parts, &u, (k + u.width - 1) // u.width, threads)


cdef Py_ssize_t _width(const Groups *u, int threads) noexcept nogil:
    """Columns of a group: their sums stay in cache; each looks at all rows, so that several threads have two each."""
    cdef Py_ssize_t k = u.m - u.first
    return max(1, IN_CACHE // u.m if threads == 1 else min(IN_CACHE // u.m, (k + 2 * threads - 1) // (2 * threads)))


cdef int _products_of_parts(void *context, Py_ssize_t group) except -1 nogil:
    """Some columns of the Gram matrices of several weightings, above the diagonal."""
    cdef const Groups *u = <const Groups *> context
    cdef Block *b = u.b
    cdef Py_ssize_t lo = u.first + group * u.width, hi = min(u.m, lo + u.width)
    cdef Py_ssize_t i, part, m = b.m, size = (hi - lo) * m
    cdef double *sums = NULL
    grow(<void **> &sums, 2 * size * sizeof(double))
    memset(sums, 0, size * sizeof(double))
    for part in range(b.n_parts):
        memset(sums + size, 0, size * sizeof(double))
        for i in range(b.start[part], b.start[part + 1]):
            if b.rows.fresh[b.order[i]] > 0:
                _outer(&b.rows, b.order[i], b.base, lo, hi, sums + size, m)
        _combine(b, part, sums, 0, m, lo, hi)
    free(sums)
    return 0


cdef int _outer_products(Groups *u, int threads) except -1 nogil:
    """Columns `first` to m of G by outer products of the rows, those of a few slabs of rows being summed up apart where
    that costs little, whatever the threads."""
    cdef Py_ssize_t k = u.m - u.first
    u.slabs = _slabs(u)
    if u.slabs == 1:
        u.width = _width(u, threads)
        return run_tasks(_group, u, (k + u.width - 1) // u.width, threads)
    u.width, u.sums, u.hi = min(k, max(1, IN_CACHE // u.m)), NULL, u.first
    grow(<void **> &u.sums, u.slabs * u.width * u.m * sizeof(double))
    while u.hi < u.m:
        u.lo, u.hi = u.hi, min(u.m, u.hi + u.width)
        run_tasks(_slab, u, u.slabs, threads)
        run_tasks(_sum_of_slabs, u, (u.hi - u.lo + AT_ONCE - 1) // AT_ONCE, threads)
    free(u.sums)
    return 0


cdef Py_ssize_t _slabs(const Groups *u) noexcept nogil:
    """Parts of the rows with sums of their own: as many as add little to the products."""
    cdef Py_ssize_t i, k = u.m - u.first
    cdef double products = 0
    cdef const RowLists *rows = &u.b.rows
    for i in range(u.b.n):
        products += rows.row[i].len * (rows.fresh[i] if u.fresh else <double> rows.row[i].len * k / u.m)
    return max(<Py_ssize_t> 1, min(MOST_SLABS, <Py_ssize_t> (products / (APART * k * u.m))))


cdef int _group(void *context, Py_ssize_t group) except -1 nogil:
    cdef const Groups *u = <const Groups *> context
    cdef Py_ssize_t k, lo = u.first + group * u.width, hi = min(u.m, lo + u.width)
    for k in range(lo, hi):
        memset(u.G + k * u.ld, 0, u.m * sizeof(double))
    return _add_rows(u, 0, u.b.n, lo, hi, u.G + lo * u.ld, u.ld)


cdef int _slab(void *context, Py_ssize_t slab) except -1 nogil:
    cdef const Groups *u = <const Groups *> context
    cdef Py_ssize_t n = u.b.n
    cdef double *sums = u.sums + slab * u.width * u.m
    memset(sums, 0, (u.hi - u.lo) * u.m * sizeof(double))
    return _add_rows(u, slab * n // u.slabs, (slab + 1) * n // u.slabs, u.lo, u.hi, sums, u.m)


cdef int _sum_of_slabs(void *context, Py_ssize_t task) except -1 nogil:
    """A few columns of G."""
    cdef const Groups *u = <const Groups *> context
    cdef Py_ssize_t k, slab, lo = u.lo + task * AT_ONCE
    cdef const double *sums
    cdef double *out
    for k in range(lo, min(u.hi, lo + AT_ONCE)):
        sums, out = u.sums + (k - u.lo) * u.m, u.G + k * u.ld
        memcpy(out, sums, u.m * sizeof(double))
        for slab in range(1, u.slabs):
            fr_axpy(u.m, 1., sums + slab * u.width * u.m, out)
    return 0


cdef int _add_rows(const Groups *u, Py_ssize_t first, Py_ssize_t last, Py_ssize_t lo, Py_ssize_t hi, double *out,
                   Py_ssize_t ldo) except -1 nogil:
    """Outer products of rows `first` to `last` in columns lo to hi: above the diagonal where the coordinates are the
    columns of the block, in order; with all coordinates where `at` says which each position is, -1 being none."""
    cdef const Block *b = u.b
    cdef const double *s = u.s
    cdef Py_ssize_t i, e, count
    cdef const Row *row
    cdef int32_t *coordinate = NULL
    cdef double *val = NULL
    if u.at == NULL:
        for i in range(first, last):
            if (s == NULL or s[i] > 0) and (b.rows.fresh[i] > 0 or not u.fresh):
                _outer(&b.rows, i, s, lo, hi, out, ldo)
        return 0
    grow(<void **> &coordinate, b.m * sizeof(int32_t))
    grow(<void **> &val, b.m * sizeof(double))
    for i in range(first, last):
        row = &b.rows.row[i]
        count = 0
        for e in range(row.len if s == NULL or s[i] > 0 else 0):
            if u.at[b.rows.pos[row.start + e]] >= 0:
                coordinate[count], val[count] = u.at[b.rows.pos[row.start + e]], b.rows.val[row.start + e]
                count += 1
        for e in range(count):
            if lo <= coordinate[e] < hi:
                fr_list_add(count, coordinate, val, val[e] if s == NULL else s[i] * val[e],
                            out + (coordinate[e] - lo) * ldo)
    free(coordinate)
    free(val)
    return 0


cdef inline void _outer(const RowLists *r, Py_ssize_t i, const double *s, Py_ssize_t lo, Py_ssize_t hi, double *out,
                        Py_ssize_t ldo) noexcept nogil:
    """Products of row i's entries in columns [lo, hi) with all those before them."""
    cdef Py_ssize_t e = r.row[i].len
    cdef const int32_t *pos = r.pos + r.row[i].start
    cdef const double *val = r.val + r.row[i].start
    while e > 0 and pos[e - 1] >= lo:
        e -= 1
        if pos[e] < hi:
            fr_list_add(e + 1, pos, val, val[e] if s == NULL else s[i] * val[e], out + (pos[e] - lo) * ldo)


cdef struct Panel:
    # What the tasks share: some rows of G[:hi, lo:hi] each, of the new columns x, scaled.
    const Block *b
    const double *x
    Py_ssize_t lo, hi


cdef int _dense_parts(Block *b, View d, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    """Columns lo to hi of the Gram matrices, tile by tile of their rows; the new columns have their rows part by
    part."""
    cdef Py_ssize_t a, i, row, k = hi - lo
    cdef Panel u
    cdef double *scaled = NULL
    cdef const double *x
    grow(<void **> &scaled, b.n * k * sizeof(double))
    for a in range(k):
        x = b.X + (lo + a) * b.n
        for i in range(b.n):
            row = b.order[i]
            scaled[a * b.n + i] = x[row] if b.base == NULL else b.base[row] * x[row]
    u.b, u.x, u.lo, u.hi = b, scaled, lo, hi
    run_tasks(_tile_of_parts, &u, (hi + TILE - 1) // TILE, d.threads(<double> b.n * hi * k / 16))
    free(scaled)
    return 0


cdef int _tile_of_parts(void *context, Py_ssize_t tile) except -1 nogil:
    """A few rows of X at a time, gathered where those of the part do not follow each other."""
    cdef const Panel *u = <const Panel *> context
    cdef const Block *b = u.b
    cdef Py_ssize_t first = tile * TILE, m = min(u.hi, first + TILE) - first, size = m * (u.hi - u.lo)
    cdef Py_ssize_t part, lo, hi, a, i
    cdef int rows = <int> m, cols = <int> (u.hi - u.lo), n = <int> b.n, strip, ldx
    cdef double one = 1
    cdef double *sums = NULL
    cdef double *old = NULL
    cdef const double *x
    grow(<void **> &sums, (2 * size + STRIP * m) * sizeof(double))
    old = sums + 2 * size
    memset(sums, 0, size * sizeof(double))
    for part in range(b.n_parts):
        memset(sums + size, 0, size * sizeof(double))
        lo = b.start[part]
        while lo < b.start[part + 1]:
            hi = min(b.start[part + 1], lo + STRIP)
            strip, ldx, x = <int> (hi - lo), n, b.X + first * b.n + b.order[lo]
            if b.order[hi - 1] - b.order[lo] > hi - 1 - lo:      # they ascend
                ldx, x = strip, old
                for a in range(m):
                    for i in range(strip):
                        old[a * strip + i] = b.X[(first + a) * b.n + b.order[lo + i]]
            dgemm('T', 'N', &rows, &cols, &strip, &one, <double *> x, &ldx, <double *> u.x + lo, &n, &one, sums + size,
                  &rows)
            lo = hi
        _combine(b, part, sums, first, m, u.lo, u.hi)
    free(sums)
    return 0


# ---- under any weights -----------------------------------------------------------------------------------------------
cdef int block_means(const Block *b, const double *s, const int *pos, Py_ssize_t first, Py_ssize_t m,
                     double *out) except -1 nogil:
    """out[k] = sum_i s_i x_ik / sum_i s_i of coordinates `first` to m, of columns less their level."""
    cdef Py_ssize_t i, k
    cdef double total = 0
    cdef double *sums = NULL
    cdef const Row *row
    for i in range(b.n):
        total += s[i]
    if b.X != NULL:
        for k in range(first, m):
            out[k] = fr_vdot(b.n, b.X + place(pos, k) * b.n, s) / total
        return 0
    grow(<void **> &sums, b.m * sizeof(double))
    memset(sums, 0, b.m * sizeof(double))
    for i in range(b.n):
        row = &b.rows.row[i]
        fr_list_add(row.len, b.rows.pos + row.start, b.rows.val + row.start, s[i], sums)
    for k in range(first, m):
        out[k] = sums[place(pos, k)] / total
    free(sums)
    return 0


cdef int block_gram(const Block *b, View d, const double *s, const int *pos, Py_ssize_t first, Py_ssize_t m,
                    const double *mean, double total, double *G, Py_ssize_t ld) except -1 nogil:
    """Columns and rows of coordinates `first` to m of ``X' diag(s) X - total mean mean'``.

    The columns are those at positions `pos` (NULL: all, in order); `mean`, by coordinate, is what is left of their
    means under s, whose sum is `total`; NULL: nothing is subtracted. s NULL: ones."""
    cdef Py_ssize_t a, i
    if b.X != NULL:
        column_products(b.X, b.n, pos, s, first, m, G, ld, d)
    else:
        _sparse_columns(b, d, s, pos, first, m, G, ld)
    for a in range(first, m):
        if mean != NULL and mean[a] != 0:
            fr_axpy(a + 1, -total * mean[a], mean, G + a * ld)
        for i in range(a):
            G[i * ld + a] = G[a * ld + i]
    return 0


cdef int _sparse_columns(const Block *b, View d, const double *s, const int *pos, Py_ssize_t first, Py_ssize_t m,
                         double *G, Py_ssize_t ld) except -1 nogil:
    """G[:m, first:m] by outer products over the rows; columns in groups whose sums stay in cache."""
    cdef Py_ssize_t k
    cdef Groups u
    cdef int *at = NULL
    if pos != NULL:
        grow(<void **> &at, b.m * sizeof(int))
        memset(at, -1, b.m * sizeof(int))
        for k in range(m):
            at[pos[k]] = <int> k
    u.b, u.fresh, u.first, u.m, u.ld, u.s, u.at, u.G = <Block *> b, False, first, m, ld, s, at, G
    _outer_products(&u, d.threads(<double> b.rows.used))
    free(at)
    return 0
