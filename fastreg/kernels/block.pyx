"""The working block: columns gathered so far, each less one level, and products with them.

A dense n x m array, or row lists for sparse X. No weights are in it, so that any number of weightings of the rows (the
folds of a cross-validation, the curvatures of a loss) share it: they come in as the rows are used. The level of a
column is near its mean under any of them: what is left of the mean costs no digits.
"""
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastreg.kernels.leaf cimport (
    fr_axpy, fr_axpy4, fr_dot4, fr_list_add, fr_list_add4, fr_list_add8, fr_list_dot, fr_list_dot4, fr_list_dot8,
    fr_vdot)
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.rows cimport Row, RowLists, rows_free, rows_init
from fastreg.kernels.threads cimport run_tasks, share_of
from fastreg.kernels.view cimport View

cdef enum:
    SPARSE_ROWS_AT_ONCE = 256
cdef Py_ssize_t ROWS = 4096          # rows of a residual computed at a time (they stay in cache)
cdef Py_ssize_t SLABS = 16           # parts of the rows with correlations of their own
cdef Py_ssize_t OF_A_SLAB = 8        # entries that it has, at least, for each column


cdef int block_init(Block *b, View d, Py_ssize_t n_of) except -1 nogil:
    """An empty block for so many weightings, which the caller fills in."""
    memset(b, 0, sizeof(Block))
    b.n, b.n_parts = d.n, 1
    b.of = <Weighting *> zeros(n_of * sizeof(Weighting))
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


cdef int block_append(Block *b, View d, const int *cols, Py_ssize_t k) except -1 nogil:
    """Gather columns cols[0..k), less their level: the mean under d of a dense one, or a sparse one without zeros."""
    cdef Py_ssize_t a, f, m = b.m
    cdef const double *level = d.level if d.sparse() else d.mean
    if m + k > b.cap:
        b.cap = min(max(m + k, b.cap + b.cap // 2, 32), d.p)
        for f in range(b.n_of):
            grow(<void **> &b.of[f].mean, b.cap * sizeof(double))
        if not d.sparse():
            grow(<void **> &b.X, b.cap * b.n * sizeof(double))
    for f in range(b.n_of):
        for a in range(k):
            b.of[f].mean[m + a] = b.of[f].column_mean[cols[a]] - level[cols[a]]
    if d.sparse():
        d.gather_rows(cols, k, <int> m, &b.rows)
    else:
        d.design.gather(cols, k, level, NULL, b.X + m * b.n)
    b.m += k
    return 0


# ---- products X w ----------------------------------------------------------------------------------------------------
cdef double _level(const double *mean, const double *w, const int *pos, Py_ssize_t m) noexcept nogil:
    """What is left of the means in X w."""
    cdef Py_ssize_t k
    cdef double level = 0
    for k in range(m):
        level += w[k] * mean[place(pos, k)]
    return level


cdef struct Products:
    # What the tasks share: some rows of X w each.
    const Block *b
    const double *w
    const int *pos
    const int *js        # dense: which coordinates are not zero, and how many
    Py_ssize_t nz
    double level
    double *out


cdef int block_products(const Block *b, View d, const double *mean, const double *w, const int *pos, Py_ssize_t m,
                        double *out) except -1 nogil:
    """out = X w, of columns whose mean is `mean` more than their level."""
    cdef Py_ssize_t chunks = (b.n + ROWS - 1) // ROWS
    cdef int threads = d.threads(2. * b.rows.used if d.sparse() else <double> b.n * m)
    cdef Products u
    cdef double *full = NULL
    cdef int *js = NULL
    u.b, u.level, u.out, u.pos = b, _level(mean, w, pos, m), out, pos
    if d.sparse():
        u.w = full = by_position(b, w, pos, m)
        run_tasks(_sparse_products, &u, chunks, threads)
        free(full)
        return 0
    u.w, u.js = w, NULL
    js = used(w, pos, m, &u.nz)
    u.js = js
    run_tasks(_dense_products, &u, chunks, threads)
    free(js)
    return 0


cdef int _sparse_products(void *context, Py_ssize_t k) except -1 nogil:
    cdef const Products *u = <const Products *> context
    cdef const RowLists *rows = &u.b.rows
    cdef Py_ssize_t i
    cdef const Row *row
    for i in range(k * ROWS, min(u.b.n, (k + 1) * ROWS)):
        row = &rows.row[i]
        u.out[i] = fr_list_dot(row.len, rows.pos + row.start, rows.val + row.start, u.w) - u.level
    return 0


cdef int _dense_products(void *context, Py_ssize_t k) except -1 nogil:
    cdef const Products *u = <const Products *> context
    cdef Py_ssize_t i, lo = k * ROWS, hi = min(u.b.n, lo + ROWS)
    for i in range(lo, hi):
        u.out[i] = -u.level
    add_columns(u.b, u.w, u.pos, u.js, u.nz, 1, lo, hi, u.out)
    return 0


cdef double *by_position(const Block *b, const double *w, const int *pos, Py_ssize_t m) except NULL nogil:
    """Coefficients by their place in the block, zero elsewhere; to be freed."""
    cdef Py_ssize_t k
    cdef double *full = <double *> zeros(b.m * sizeof(double))
    for k in range(m):
        full[place(pos, k)] = w[k]
    return full


cdef int *used(const double *w, const int *pos, Py_ssize_t m, Py_ssize_t *count) except NULL nogil:
    """Which coordinates are not zero; to be freed."""
    cdef Py_ssize_t k
    cdef int *js = NULL
    count[0] = 0
    grow(<void **> &js, (m + 1) * sizeof(int))
    for k in range(m):
        if w[k] != 0:
            js[count[0]] = <int> k
            count[0] += 1
    return js


cdef void add_columns(const Block *b, const double *w, const int *pos, const int *js, Py_ssize_t nz, double sign,
                      Py_ssize_t lo, Py_ssize_t hi, double *out) noexcept nogil:
    """Rows [lo, hi) of out += sign X w, of dense columns."""
    cdef Py_ssize_t i, k
    cdef double a[4]
    cdef const double *x[4]
    for k in range(0, nz - 3, 4):
        for i in range(4):
            a[i] = sign * w[js[k + i]]
            x[i] = b.X + place(pos, js[k + i]) * b.n + lo
        fr_axpy4(hi - lo, a, x[0], x[1], x[2], x[3], out + lo)
    for k in range(nz - nz % 4, nz):
        fr_axpy(hi - lo, sign * w[js[k]], b.X + place(pos, js[k]) * b.n + lo, out + lo)


# ---- residuals of the squared loss -----------------------------------------------------------------------------------
cdef inline double _times_root(const double *root, Py_ssize_t i, double v) noexcept nogil:
    """sqrt(s_i) v; without weight v may be infinite."""
    return v if root == NULL else root[i] * v if root[i] > 0 else 0


cdef struct Residuals:
    # What the tasks share: some rows each, of one fit or of several.
    const Fit *fits
    Py_ssize_t k
    int lanes
    const double *w      # by place in the block, interleaved where there are several fits
    const double *level  # of each fit
    const int *js        # dense: which coordinates are not zero, and how many
    Py_ssize_t nz
    double *g            # sums of each task
    Py_ssize_t size, n_tasks


cdef int block_residuals(View d, const Fit *fits, Py_ssize_t k) except -1 nogil:
    """r = y - sqrt(s) X w of each fit; for sparse storage also g = X' sqrt(s) r, while the rows are in cache."""
    cdef Py_ssize_t t
    cdef const Block *b = fits[0].block
    cdef int threads = d.threads(2. * b.rows.used + 4. * b.n * k if d.sparse() else <double> b.n * b.m * k)
    if not d.sparse():
        if k > 1:
            return run_tasks(_of_one, <void *> fits, k, threads)
        return _dense_residual(&fits[0], threads)
    if k == 1 and fits[0].test == NULL:
        return _sparse_residual(d, &fits[0], threads)
    for t in range(0, k, 8):
        _sparse_residuals(d, fits + t, min(8, k - t), threads)
    return 0


cdef int _of_one(void *context, Py_ssize_t t) except -1 nogil:
    return _dense_residual(<const Fit *> context + t, 1)


cdef int _dense_residual(const Fit *fit, int threads) except -1 nogil:
    cdef Residuals u
    cdef double level = _level(fit.of.mean, fit.w, fit.pos, fit.m)
    cdef int *js = used(fit.w, fit.pos, fit.m, &u.nz)
    u.fits, u.level, u.js = fit, &level, js
    run_tasks(_dense_rows, &u, (fit.block.n + ROWS - 1) // ROWS, threads)
    free(js)
    return 0


cdef int _dense_rows(void *context, Py_ssize_t k) except -1 nogil:
    cdef const Residuals *u = <const Residuals *> context
    cdef const Fit *fit = u.fits
    cdef Py_ssize_t i, lo = k * ROWS, hi = min(fit.block.n, lo + ROWS)
    cdef const double *root = fit.of.root
    if root == NULL:
        memcpy(fit.r + lo, fit.y + lo, (hi - lo) * sizeof(double))
    else:
        memset(fit.r + lo, 0, (hi - lo) * sizeof(double))
    add_columns(fit.block, fit.w, fit.pos, u.js, u.nz, -1, lo, hi, fit.r)
    if root != NULL:
        for i in range(lo, hi):
            fit.r[i] = fit.y[i] + _times_root(root, i, fit.r[i] + u.level[0])
    elif u.level[0] != 0:
        for i in range(lo, hi):
            fit.r[i] += u.level[0]
    return 0


cdef int _sparse_residual(View d, const Fit *fit, int threads) except -1 nogil:
    cdef const Block *b = fit.block
    cdef Py_ssize_t k, j, slab, slabs = block_slabs(b, True)
    cdef double level = _level(fit.of.mean, fit.w, fit.pos, fit.m)
    cdef Residuals u
    cdef double *g = NULL
    cdef double *w = by_position(b, fit.w, fit.pos, fit.m)
    u.fits, u.level, u.w, u.n_tasks, u.size = fit, &level, w, slabs, b.m + 1
    u.g = g = <double *> zeros(slabs * (b.m + 1) * sizeof(double))
    run_tasks(_sparse_rows, &u, slabs, threads)
    for slab in range(1, slabs):
        fr_axpy(b.m + 1, 1., g + slab * (b.m + 1), g)
    for k in range(fit.m):
        j = place(fit.pos, k)
        fit.g[k] = g[j] - (g[b.m] * fit.of.mean[j] if d.centred else 0)
    free(w)
    free(g)
    return 0


cdef Py_ssize_t block_slabs(const Block *b, bint sparse) noexcept nogil:
    """Parts of the rows with sums of their own, whatever the threads: as many as add little."""
    if sparse:
        return min(SLABS, 1 + min(b.n // SPARSE_ROWS_AT_ONCE, b.rows.used // (OF_A_SLAB * (b.m + 1))))
    return min(SLABS, 1 + b.n // ROWS)


cdef int _sparse_rows(void *context, Py_ssize_t slab) except -1 nogil:
    """A slab's residuals, and its sums, a few rows at a time, so that they stay in cache."""
    cdef const Residuals *u = <const Residuals *> context
    cdef const Block *b = u.fits.block
    cdef double *g = u.g + slab * u.size
    cdef Py_ssize_t first = slab * b.n // u.n_tasks, hi = (slab + 1) * b.n // u.n_tasks, last
    while first < hi:
        last = min(hi, first + SPARSE_ROWS_AT_ONCE)
        _residual_rows(b, u.fits, u.w, u.level[0], first, last)
        g[b.m] += _correlate_rows(b, u.fits.of, u.fits.r, 0, first, last, g)
        first = last
    return 0


cdef void _residual_rows(const Block *b, const Fit *fit, const double *w, double level, Py_ssize_t lo,
                         Py_ssize_t hi) noexcept nogil:
    cdef Py_ssize_t i
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    cdef const double *root = fit.of.root
    for i in range(lo, hi):
        row = &rows.row[i]
        fit.r[i] = fit.y[i] - _times_root(root, i, fr_list_dot(row.len, rows.pos + row.start, rows.val + row.start, w)
                                          - level)


cdef int _sparse_residuals(View d, const Fit *fits, Py_ssize_t k, int threads) except -1 nogil:
    """Up to 8 fits at once, their coefficients and correlations interleaved: a row is read for all of them.

    The rows are dealt to a fixed number of slabs with sums of their own: the threads do not matter."""
    cdef const Block *b = fits[0].block
    cdef Py_ssize_t j, t, at, slab, slabs = block_slabs(b, True)
    cdef Residuals u
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
        level[t] = _level(fits[t].of.mean, fits[t].w, fits[t].pos, fits[t].m)
        for j in range(fits[t].m):
            w[place(fits[t].pos, j) * lanes + t] = fits[t].w[j]
    u.fits, u.k, u.lanes, u.level, u.w, u.g, u.size, u.n_tasks = fits, k, lanes, level, w, g, size, slabs
    run_tasks(_slab_residuals, &u, slabs, threads)
    for slab in range(1, slabs):
        fr_axpy(size, 1., g + slab * size, g)
    for t in range(k):
        for j in range(fits[t].m):
            at = place(fits[t].pos, j)
            fits[t].g[j] = g[at * lanes + t] - (g[b.m * lanes + t] * fits[t].of.mean[at] if d.centred else 0)
        if fits[t].test != NULL:
            fits[t].error[0] = g[(b.m + 1) * lanes + t]
    free(w)
    free(g)
    return 0


cdef int _slab_residuals(void *context, Py_ssize_t slab) except -1 nogil:
    """A few rows at a time, so that they and their products stay in cache."""
    cdef const Residuals *u = <const Residuals *> context
    cdef const Fit *fits = u.fits
    cdef const Block *b = fits[0].block
    cdef Py_ssize_t i, t, last, k = u.k, first = slab * b.n // u.n_tasks, hi = (slab + 1) * b.n // u.n_tasks
    cdef int lanes = u.lanes
    cdef double *g = u.g + slab * u.size
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    cdef double v[8 * SPARSE_ROWS_AT_ONCE]
    memset(v, 0, 8 * SPARSE_ROWS_AT_ONCE * sizeof(double))
    while first < hi:
        last = min(hi, first + SPARSE_ROWS_AT_ONCE)
        for i in range(first, last):
            row = &rows.row[i]
            if lanes == 4:
                fr_list_dot4(row.len, rows.pos + row.start, rows.val + row.start, u.w, v + (i - first) * lanes)
            else:
                fr_list_dot8(row.len, rows.pos + row.start, rows.val + row.start, u.w, v + (i - first) * lanes)
        for t in range(k):
            if fits[t].test != NULL:
                g[(b.m + 1) * lanes + t] += _slab_error(fits[t].test, u.level[t], first, last, lanes, v + t)
            g[b.m * lanes + t] += _slab_residual(&fits[t], u.level[t], first, last, lanes, v + t)
        for i in range(first, last):
            row = &rows.row[i]
            if lanes == 4:
                fr_list_add4(row.len, rows.pos + row.start, rows.val + row.start, v + (i - first) * lanes, g)
            else:
                fr_list_add8(row.len, rows.pos + row.start, rows.val + row.start, v + (i - first) * lanes, g)
        first = last
    return 0


cdef double _slab_error(const Test *test, double level, Py_ssize_t lo, Py_ssize_t hi, int lanes,
                        const double *v) noexcept nogil:
    """Squared errors on the test rows among [lo, hi), from the products v."""
    cdef Py_ssize_t i
    cdef double e, total = 0
    for i in range(lo, hi):
        e = test.y[i] - _times_root(test.root, i, v[(i - lo) * lanes] - level - test.shift)
        total += test.times[i] * e * e
    return total


cdef double _slab_residual(const Fit *fit, double level, Py_ssize_t lo, Py_ssize_t hi, int lanes,
                           double *v) noexcept nogil:
    """Residual of one fit on rows [lo, hi) from its products v (every so many lanes), which become what the rows are
    to be added up with; returns the sum of sqrt(s) r."""
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(lo, hi):
        fit.r[i] = fit.y[i] - _times_root(fit.of.root, i, v[(i - lo) * lanes] - level)
        v[(i - lo) * lanes] = _times_root(fit.of.root, i, fit.r[i])
        total += v[(i - lo) * lanes]
    return total


# ---- correlations ----------------------------------------------------------------------------------------------------
cdef struct Correlations:
    # What the tasks share: some dense columns each.
    const Block *b
    const double *r
    const int *pos
    Py_ssize_t first, m, share
    double *g


cdef int block_correlate(const Block *b, View d, const Weighting *of, const double *r, const int *pos,
                         Py_ssize_t first, Py_ssize_t m, double *g) except -1 nogil:
    """g[k] = x_j' sqrt(s) r for first <= k < m, j being the column at position pos[k], or k where pos is NULL."""
    cdef Py_ssize_t i, k, least
    cdef Correlations u
    cdef double total = 0
    cdef double *v = NULL
    cdef const double *share = r
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
            i = place(pos, k)
            g[k] = v[i] - (total * of.mean[i] if d.centred else 0)
        free(v)
        return 0
    if of.root != NULL:
        grow(<void **> &v, b.n * sizeof(double))
        for i in range(b.n):
            v[i] = of.root[i] * r[i]
        share = v
    u.b, u.r, u.pos, u.first, u.m, u.share, u.g = b, share, pos, first, m, share_of(m - first, 32), g
    run_tasks(_correlate_columns, &u, (m - first + u.share - 1) // u.share, d.threads(<double> b.n * (m - first)))
    for k in range(first if d.centred else m, m):
        if of.mean[place(pos, k)] != 0:
            if total == 0:
                for i in range(b.n):
                    total += share[i]
            g[k] -= total * of.mean[place(pos, k)]
    free(v)
    return 0


cdef double _correlate_rows(const Block *b, const Weighting *of, const double *r, Py_ssize_t first, Py_ssize_t lo,
                            Py_ssize_t hi, double *g) noexcept nogil:
    """g[j] += x_j' sqrt(s) r over sparse rows [lo, hi), uncentred, for columns from `first` on; returns the sum of
    sqrt(s) r."""
    cdef Py_ssize_t i, j
    cdef double share, total = 0
    cdef const RowLists *rows = &b.rows
    cdef const Row *row
    for i in range(lo, hi):
        share = r[i] if of.root == NULL else of.root[i] * r[i]
        total += share
        row = &rows.row[i]
        j = row.len if first > 0 else 0
        while j > 0 and rows.pos[row.start + j - 1] >= first:
            j -= 1
        fr_list_add(row.len - j, rows.pos + row.start + j, rows.val + row.start + j, share, g)
    return total


cdef inline const double *_column(const Block *b, const int *pos, Py_ssize_t k) noexcept nogil:
    return b.X + place(pos, k) * b.n


cdef int _correlate_columns(void *context, Py_ssize_t task) except -1 nogil:
    cdef const Correlations *u = <const Correlations *> context
    cdef const Block *b = u.b
    cdef Py_ssize_t k, lo = u.first + task * u.share, hi = min(u.m, lo + u.share)
    cdef double zero[4]
    zero[0] = zero[1] = zero[2] = zero[3] = 0
    for k in range(lo, hi - 3, 4):
        fr_dot4(b.n, _column(b, u.pos, k), _column(b, u.pos, k + 1), _column(b, u.pos, k + 2),
                _column(b, u.pos, k + 3), zero, u.r, u.g + k)
    for k in range(hi - (hi - lo) % 4, hi):
        u.g[k] = fr_vdot(b.n, _column(b, u.pos, k), u.r)
    return 0
