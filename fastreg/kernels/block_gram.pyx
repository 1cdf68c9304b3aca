"""Gram matrices of the columns of a working block, under the weightings of the rows or under any weights.

Dense columns: products of level 3 with the new columns, scaled by the weights. Sparse ones: sums of outer products over
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
from fastreg.kernels.rows cimport Row, RowLists
from fastreg.kernels.threads cimport Task, run_tasks
from fastreg.kernels.view cimport View

cdef Py_ssize_t TILE = 128           # Gram columns a thread takes at a time
cdef Py_ssize_t PANEL = 256          # columns that are scaled at a time
cdef Py_ssize_t STRIP = 512          # rows of old columns that are gathered at a time


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
    # What the tasks share: some columns of G each, `first` to m in all.
    Block *b
    Py_ssize_t first, m, width, ld
    const double *s
    const int *at
    double *G


cdef int _run_groups(Task task, Groups *u, int threads) except -1 nogil:
    """Groups of columns whose sums stay in cache; more of them where several threads are to have some."""
    cdef Py_ssize_t k = u.m - u.first
    u.width = max(1, 65536 // u.m if threads == 1 else min(65536 // u.m, (k + 7) // 8))
    return run_tasks(task, u, (k + u.width - 1) // u.width, threads)


cdef int _sparse_gram(Block *b, View d, Py_ssize_t k) except -1 nogil:
    """Outer products over the rows that hold a new entry."""
    cdef Groups u
    u.b, u.first, u.m = b, b.m - k, b.m
    return _run_groups(_sparse_products, &u, d.threads(<double> b.rows.used))


cdef int _sparse_products(void *context, Py_ssize_t group) except -1 nogil:
    """Some columns of the Gram matrices, above the diagonal."""
    cdef const Groups *u = <const Groups *> context
    cdef Block *b = u.b
    cdef Py_ssize_t lo = u.first + group * u.width, hi = min(u.m, lo + u.width)
    cdef Py_ssize_t i, part, m = b.m, size = (hi - lo) * m
    cdef const double *s = b.base if b.n_of > 1 else b.of[0].weight
    cdef double *sums = NULL
    if b.n_of == 1:
        for i in range(lo, hi):
            memset(b.of[0].G + i * b.ld, 0, m * sizeof(double))
        for i in range(b.n):
            if b.rows.fresh[i] > 0:
                _outer(&b.rows, i, s, lo, hi, b.of[0].G + lo * b.ld, b.ld)
        return 0
    grow(<void **> &sums, 2 * size * sizeof(double))
    memset(sums, 0, size * sizeof(double))
    for part in range(b.n_parts):
        memset(sums + size, 0, size * sizeof(double))
        for i in range(b.start[part], b.start[part + 1]):
            if b.rows.fresh[b.order[i]] > 0:
                _outer(&b.rows, b.order[i], s, lo, hi, sums + size, m)
        _combine(b, part, sums, 0, m, lo, hi)
    free(sums)
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
    # What the tasks share: some rows of G[:hi, lo:hi] each, of the new columns x.
    const Block *b
    const double *x
    const int *pos
    Py_ssize_t lo, hi, ld
    double *G


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
    cdef Py_ssize_t a, i, k
    if b.X != NULL:
        k = first
        while k < m:
            _dense_panel(b, d, s, pos, k, min(m, k + PANEL), G, ld)
            k += PANEL
    else:
        _sparse_columns(b, d, s, pos, first, m, G, ld)
    for a in range(first, m):
        if mean != NULL and mean[a] != 0:
            fr_axpy(a + 1, -total * mean[a], mean, G + a * ld)
        for i in range(a):
            G[i * ld + a] = G[a * ld + i]
    return 0


cdef int _dense_panel(const Block *b, View d, const double *s, const int *pos, Py_ssize_t lo, Py_ssize_t hi, double *G,
                      Py_ssize_t ld) except -1 nogil:
    """G[:hi, lo:hi], tile by tile of its rows."""
    cdef Py_ssize_t a, i, k = hi - lo
    cdef Panel u
    cdef double *scaled = NULL
    cdef const double *x
    if s != NULL or pos != NULL:
        grow(<void **> &scaled, b.n * k * sizeof(double))
        for a in range(k):
            x = b.X + place(pos, lo + a) * b.n
            for i in range(b.n):
                scaled[a * b.n + i] = x[i] * (1 if s == NULL else s[i])
    x = b.X + lo * b.n if scaled == NULL else scaled
    u.b, u.x, u.pos, u.lo, u.hi, u.G, u.ld = b, x, pos, lo, hi, G, ld
    run_tasks(_gram_tile, &u, (hi + TILE - 1) // TILE, d.threads(<double> b.n * hi * k / 16))
    free(scaled)
    return 0


cdef int _gram_tile(void *context, Py_ssize_t tile) except -1 nogil:
    """Old columns that lie side by side in the block are taken together."""
    cdef const Panel *u = <const Panel *> context
    cdef const Block *b = u.b
    cdef int rows, cols = <int> (u.hi - u.lo), n = <int> b.n, ld = <int> u.ld
    cdef double one = 1, zero = 0
    cdef double *G = u.G + u.lo * u.ld
    cdef Py_ssize_t i = tile * TILE, end = min(u.hi, i + TILE), j
    while i < end:
        j = i + 1
        while j < end and (u.pos == NULL or u.pos[j] == u.pos[j - 1] + 1):
            j += 1
        if cols == 1:
            for i in range(i, j):
                G[i] = fr_vdot(b.n, b.X + place(u.pos, i) * b.n, u.x)
        else:
            rows = <int> (j - i)
            dgemm('T', 'N', &rows, &cols, &n, &one, b.X + place(u.pos, i) * b.n, &n, <double *> u.x, &n, &zero, G + i,
                  &ld)
        i = j
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
    u.b, u.first, u.m, u.ld, u.s, u.at, u.G = <Block *> b, first, m, ld, s, at, G
    _run_groups(_outer_products, &u, d.threads(<double> b.rows.used))
    free(at)
    return 0


cdef int _outer_products(void *context, Py_ssize_t group) except -1 nogil:
    """Some columns of G: above the diagonal where the coordinates are the columns of the block, in order; with all
    coordinates where `at` says which each position is, -1 being none."""
    cdef const Groups *u = <const Groups *> context
    cdef const Block *b = u.b
    cdef const double *s = u.s
    cdef const int *at = u.at
    cdef double *G = u.G
    cdef Py_ssize_t i, e, k, count, m = u.m, ld = u.ld, lo = u.first + group * u.width, hi = min(m, lo + u.width)
    cdef const Row *row
    cdef int32_t *coordinate = NULL
    cdef double *val = NULL
    for k in range(lo, hi):
        memset(G + k * ld, 0, m * sizeof(double))
    if at == NULL:
        for i in range(b.n):
            if s == NULL or s[i] > 0:
                _outer(&b.rows, i, s, lo, hi, G + lo * ld, ld)
        return 0
    grow(<void **> &coordinate, b.m * sizeof(int32_t))
    grow(<void **> &val, b.m * sizeof(double))
    for i in range(b.n):
        row = &b.rows.row[i]
        count = 0
        for e in range(row.len if s == NULL or s[i] > 0 else 0):
            if at[b.rows.pos[row.start + e]] >= 0:
                coordinate[count], val[count] = at[b.rows.pos[row.start + e]], b.rows.val[row.start + e]
                count += 1
        for e in range(count):
            if lo <= coordinate[e] < hi:
                fr_list_add(count, coordinate, val, val[e] if s == NULL else s[i] * val[e], G + coordinate[e] * ld)
    free(coordinate)
    free(val)
    return 0
