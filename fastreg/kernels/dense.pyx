"""Dense X, by columns or by rows, of any strides, in float64 or float32: the verbs of Design over it.

Four columns or rows at a time, because one alone is bound by the latency of its sums.
"""
from libc.math cimport sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastreg.kernels.design cimport CHUNK, Design, Direct, Moments, scattered, shares
from fastreg.kernels.leaf cimport (
    fr_axpy, fr_comb4, fr_dot, fr_dot4, fr_load, fr_row, fr_rowdot, fr_rows4, fr_rowsq, fr_sqdot4, fr_sum4)
from fastreg.kernels.memory cimport grow
from fastreg.kernels.threads cimport run_tasks, share_of

ctypedef fused real:
    float
    double

ctypedef void (*piece)(Dense, const void *, const void *, Py_ssize_t) noexcept nogil       # a task of a verb

cdef Py_ssize_t ROW_BLOCK = 4096        # rows of a column block that stay in cache for several right-hand sides
cdef double ROW_SCATTER = 4             # what an element read on its own costs against one in a run of a row


cdef class Dense(Design):
    """Dense X by address.

    Parameters
    ----------
    n, p : int
    data : int
        Address of the first element.
    stride, step : int
        In elements, of any sign: between columns (rows), and between entries of a column (row).
    by_rows : bool
        Whether rows are contiguous.
    single : bool
        float32; otherwise float64.
    n_threads : int
    owner : object
        Kept alive as long as this.
    """

    def __init__(self, Py_ssize_t n, Py_ssize_t p, uintptr_t data, Py_ssize_t stride, Py_ssize_t step, bint by_rows,
                 bint single, int n_threads, owner):
        self.n, self.p, self.nnz, self.n_threads = n, p, n * p, n_threads
        self.data, self.stride, self.step = <const void *> data, stride, step
        self.by_rows, self.single, self.owner = by_rows, single, owner
        if single:
            _choose(&self.verbs, <const float *> NULL)
        else:
            _choose(&self.verbs, <const double *> NULL)

    cdef bint sparse(self) noexcept nogil:
        return False

    cdef bint across(self) noexcept nogil:
        return self.by_rows

    cdef bint direct(self, Direct *of) noexcept nogil:
        of.data, of.stride, of.across = <const double *> self.data, self.stride, self.by_rows
        return not self.single and (self.by_rows or self.step == 1)

    cdef double part(self, double share) noexcept nogil:
        return ROW_SCATTER * share if self.by_rows else share

    cdef double cost(self, Py_ssize_t j) noexcept nogil:
        return <double> self.n

    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *mean, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil:
        return self.verbs.moments(self, self.data, of, n_of, mean, V, k, out)

    cdef int stream(self, const int *cols, Py_ssize_t m, const double *mean, const double *V, Py_ssize_t k,
                    double *out, Py_ssize_t ldo) except -1 nogil:
        return self.verbs.stream(self, self.data, cols, m, mean, V, k, out, ldo)

    cdef int combine(self, const int *cols, Py_ssize_t m, const double *mean, const double *root, const double *w,
                     double *out) except -1 nogil:
        return self.verbs.combine(self, self.data, cols, m, mean, root, w, out)

    cdef int normal(self, const double *mean, const double *weight, const double *V, Py_ssize_t k, double *Z,
                    double *out) except -1 nogil:
        return self.verbs.normal(self, self.data, mean, weight, V, k, Z, out)

    cdef int gather(self, const int *cols, Py_ssize_t m, const double *mean, const double *root,
                    double *out) except -1 nogil:
        return self.verbs.gather(self, self.data, cols, m, mean, root, out)

    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, const double *root,
                        double *out) noexcept nogil:
        self.verbs.load_rows(self, self.data, i0, rows, m, shift, root, out)

    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                           const double *root, Py_ssize_t ld, double *out) noexcept nogil:
        self.verbs.load_as_rows(self, self.data, i0, rows, m, shift, root, ld, out)


cdef void _choose(Verbs *verbs, const real *_) noexcept:
    verbs.moments = <moments_verb> _dense_moments[real]
    verbs.stream = <stream_verb> _stream_dense[real]
    verbs.combine = <combine_verb> _combine_dense[real]
    verbs.normal = <normal_verb> _normal_dense[real]
    verbs.gather = <gather_verb> _gather_dense[real]
    verbs.load_rows = <load_verb> _load_rows[real]
    verbs.load_as_rows = <load_as_rows_verb> _load_as_rows[real]


# ---- four at a time --------------------------------------------------------------------------------------------------
cdef inline void _dot4(Py_ssize_t n, const real **x, const double *m, const double *v, double *out) noexcept nogil:
    fr_dot4(n, x[0], x[1], x[2], x[3], m, v, out)


cdef inline void _comb4(Py_ssize_t n, const real **x, const double *m, const double *v, double *out) noexcept nogil:
    fr_comb4(n, x[0], x[1], x[2], x[3], m, v, out)


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


# ---- tasks -----------------------------------------------------------------------------------------------------------
cdef struct Pieces:
    # What the tasks of a verb share: some columns or rows each.
    piece do
    void *d
    const void *X
    Py_ssize_t share, n_of, m, k, ldo
    const Moments *of
    const int *cols
    const double *mean
    const double *root
    const double *weight
    const double *V
    double *out
    double *full         # combine, X by rows: V by column
    void *copy           # X that is not contiguous, one task: four columns of it
    double *Z            # normal
    double *work         # of each task


cdef int _piece(void *context, Py_ssize_t k) except -1 nogil:
    cdef const Pieces *u = <const Pieces *> context
    u.do(<Dense> u.d, u.X, u, k)
    return 0


cdef int _run(Dense d, const real *X, Pieces *u, Py_ssize_t length, int threads) except -1 nogil:
    """Pieces that cover so many columns or rows."""
    u.d, u.X = <void *> d, X
    return run_tasks(_piece, u, (length + u.share - 1) // u.share, threads)


# ---- by columns ------------------------------------------------------------------------------------------------------
cdef void _dense_columns(Dense d, const real *X, const Pieces *u, Py_ssize_t task) noexcept nogil:
    """out[t, a] = sum_i (x_ij - mean_j) V[t, i], j = cols[a] (a itself without cols), for some a."""
    cdef Py_ssize_t a, b, c, t, i, rows, n = d.n, lo = task * u.share, hi = min(u.m, lo + u.share)
    cdef Py_ssize_t block = n if u.k == 1 else min(n, ROW_BLOCK)
    cdef const real *x[4]
    cdef double m[4]
    cdef double o[4]
    for a in range(lo, hi, 4):
        c = min(4, hi - a)
        for b in range(4):
            i = u.cols[a + min(b, c - 1)] if u.cols != NULL else a + min(b, c - 1)
            if b < c:
                x[b] = _column(X, i, n, d.stride, d.step, <real *> u.copy + b * n)
            else:
                x[b] = x[c - 1]
            m[b] = u.mean[i]
        for t in range(u.k):
            for b in range(c):
                u.out[t * u.ldo + a + b] = 0
        i = 0
        while i < n:
            rows = min(block, n - i)
            for t in range(u.k):
                if c == 1:
                    u.out[t * u.ldo + a] += fr_dot(rows, x[0], m[0], u.V + t * n + i)
                else:
                    _dot4(rows, x, m, u.V + t * n + i, o)
                    for b in range(c):
                        u.out[t * u.ldo + a + b] += o[b]
            for b in range(4):
                x[b] += rows
            i += rows


cdef void _dense_column_moments(Dense d, const real *X, const Pieces *u, Py_ssize_t task) noexcept nogil:
    """Moments of some columns, four at a time, and, while these are in cache, their products with V."""
    cdef Py_ssize_t a, b, t, c, n = d.n, lo = task * u.share, hi = min(d.p, lo + u.share)
    cdef const Moments *w
    cdef const real *x[4]
    cdef double m[4]
    cdef double sq[4]
    cdef double dot[4]
    for a in range(lo, hi, 4):
        c = min(4, hi - a)
        for b in range(4):
            x[b] = _column(X, a + b, n, d.stride, d.step, <real *> u.copy + b * n) if b < c else x[c - 1]
        for t in range(max(u.n_of, u.k)):
            w = &u.of[min(t, u.n_of - 1)]
            if t >= u.n_of:
                _dot4(n, x, m, u.V + t * n, dot)
            else:
                memset(m, 0, sizeof(m))
                if w.centred:
                    if w.weight == NULL:
                        fr_sum4(n, x[0], x[1], x[2], x[3], sq)
                    else:
                        _dot4(n, x, m, w.weight, sq)
                    for b in range(c):
                        m[b] = w.mean[a + b] = sq[b] / w.total
                fr_sqdot4(n, x[0], x[1], x[2], x[3], m, w.weight, u.V + max(0, min(t, u.k - 1)) * n, sq, dot)
                for b in range(c):
                    w.norm[a + b] = sqrt(sq[b])
            for b in range(c if t < u.k else 0):
                u.out[t * d.p + a + b] = dot[b]


# ---- by rows ---------------------------------------------------------------------------------------------------------
cdef void _dense_rows(Dense d, const real *X, Py_ssize_t lo, Py_ssize_t hi, const double *mean, const double *V,
                      Py_ssize_t k, double *out, Py_ssize_t ldo) noexcept nogil:
    """out[t, j] for columns j in [lo, hi): out += V[t, i] (x_i - mean) row by row."""
    cdef Py_ssize_t i, t, n = d.n, ld = d.stride
    cdef double v[4]
    for t in range(k):
        memset(out + t * ldo + lo, 0, (hi - lo) * sizeof(double))
    for i in range(0, n - 3, 4):
        for t in range(k):
            memcpy(v, V + t * n + i, 4 * sizeof(double))
            fr_rows4(hi - lo, X + i * ld + lo, X + (i + 1) * ld + lo, X + (i + 2) * ld + lo,
                     X + (i + 3) * ld + lo, mean + lo, v, out + t * ldo + lo)
    for i in range(n - n % 4, n):
        for t in range(k):
            fr_row(hi - lo, X + i * ld + lo, mean + lo, V[t * n + i], out + t * ldo + lo)


cdef void _dense_rows_some(Dense d, const real *X, const int *cols, Py_ssize_t lo, Py_ssize_t hi, const double *mean,
                           const double *V, Py_ssize_t k, double *out, Py_ssize_t ldo) noexcept nogil:
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
                out[t * ldo + a] += (x[cols[a]] - mean[cols[a]]) * v


cdef void _dense_rows_tile(Dense d, const real *X, const Pieces *u, Py_ssize_t k) noexcept nogil:
    cdef Py_ssize_t lo = k * u.share, hi = min(u.m, lo + u.share)
    if u.cols == NULL:
        _dense_rows(d, X, lo, hi, u.mean, u.V, u.k, u.out, u.ldo)
    else:
        _dense_rows_some(d, X, u.cols, lo, hi, u.mean, u.V, u.k, u.out, u.ldo)


cdef void _dense_rows_moments(Dense d, const real *X, const Moments *of, Py_ssize_t lo,
                              Py_ssize_t hi) noexcept nogil:
    cdef Py_ssize_t i, j, n = d.n, ld = d.stride, first = 0
    cdef double w
    if of.centred:
        # sums about the first row that counts, so that a large common level costs no digits
        while of.weight != NULL and first < n - 1 and of.weight[first] == 0:
            first += 1
        for j in range(lo, hi):
            of.norm[j] = X[first * ld + j]
        for i in range(n):
            w = 1 if of.weight == NULL else of.weight[i]
            fr_row(hi - lo, X + i * ld + lo, of.norm + lo, w / of.total, of.mean + lo)
        for j in range(lo, hi):
            of.mean[j] += X[first * ld + j]
    memset(of.norm + lo, 0, (hi - lo) * sizeof(double))
    for i in range(n):
        w = 1 if of.weight == NULL else of.weight[i]
        fr_rowsq(hi - lo, X + i * ld + lo, of.mean + lo, w, of.norm + lo)
    for j in range(lo, hi):
        of.norm[j] = sqrt(of.norm[j])


# ---- every column ----------------------------------------------------------------------------------------------------
cdef int _dense_moments(Dense d, const real *X, const Moments *of, Py_ssize_t n_of, const double *mean, const double *V,
                        Py_ssize_t k, double *out) except -1 nogil:
    cdef Py_ssize_t f
    cdef Pieces u
    cdef double *none = NULL                 # stands for V where there is none: the kernel reads one
    if d.by_rows:
        for f in range(n_of):
            _dense_rows_moments(d, X, &of[f], 0, d.p)
        return _stream_dense(d, X, NULL, d.p, mean, V, k, out, d.p)
    if k == 0:
        grow(<void **> &none, d.n * sizeof(double))
        memset(none, 0, d.n * sizeof(double))
        V = none
    u.do, u.of, u.n_of, u.V, u.k, u.out = <piece> _dense_column_moments[real], of, n_of, V, k, out
    _own_columns(d, X, &u, d.p, <double> d.n * d.p)
    free(none)
    return 0


cdef int _own_columns(Dense d, const real *X, Pieces *u, Py_ssize_t m, double work) except -1 nogil:
    """Pieces of m columns; one of all where they have to be copied."""
    u.copy, u.share = NULL, share_of(m, CHUNK)
    if d.step != 1:
        grow(&u.copy, 4 * d.n * sizeof(real))
        u.share = max(m, 1)
    _run(d, X, u, m, d.threads(work))
    free(u.copy)
    return 0


cdef int _stream_dense(Dense d, const real *X, const int *cols, Py_ssize_t m, const double *mean, const double *V,
                       Py_ssize_t k, double *out, Py_ssize_t ldo) except -1 nogil:
    cdef Pieces u
    cdef double work = <double> d.n * m * k
    u.cols, u.m, u.mean, u.V, u.k, u.out, u.ldo = cols, m, mean, V, k, out, ldo
    if not d.by_rows:
        u.do = <piece> _dense_columns[real]
        return _own_columns(d, X, &u, m, work)
    u.do, u.share = <piece> _dense_rows_tile[real], min(2048, (m // 4 + 63) // 64 * 64 + 64)
    return _run(d, X, &u, m, d.threads(work))


cdef int _combine_dense(Dense d, const real *X, const int *cols, Py_ssize_t m, const double *mean, const double *root,
                        const double *w, double *out) except -1 nogil:
    cdef Pieces u
    u.do, u.cols, u.m, u.mean, u.root, u.V, u.out = <piece> _combine_rows[real], cols, m, mean, root, w, out
    u.share, u.full, u.copy = ROW_BLOCK, NULL, NULL
    if d.by_rows:
        u.full = scattered(d.p, cols, m, w)
    elif d.step != 1:
        grow(&u.copy, 4 * d.n * sizeof(real))
        u.share = d.n
    _run(d, X, &u, d.n, d.threads(<double> d.n * m))
    free(u.copy)
    free(u.full)
    return 0


cdef void _combine_rows(Dense d, const real *X, const Pieces *u, Py_ssize_t k) noexcept nogil:
    """Some rows of X V."""
    cdef Py_ssize_t i, a, b, c, lo = k * u.share, hi = min(d.n, lo + u.share)
    cdef const real *x[4]
    cdef double level[4]
    cdef double v[4]
    if u.full != NULL:
        for i in range(lo, hi):
            u.out[i] = fr_rowdot(d.p, X + i * d.stride, u.mean, u.full)
    else:
        memset(u.out + lo, 0, (hi - lo) * sizeof(double))
        for a in range(0, u.m, 4):
            c = min(4, u.m - a)
            for b in range(4):
                x[b] = x[0] if b >= c else lo + _column(X, u.cols[a + b], d.n, d.stride, d.step,
                                                        <real *> u.copy + b * d.n)
                level[b] = u.mean[u.cols[a + b]] if b < c else 0
                v[b] = u.V[a + b] if b < c else 0
            _comb4(hi - lo, x, level, v, u.out + lo)
    for i in range(lo, hi if u.root != NULL else lo):
        u.out[i] *= u.root[i]


cdef int _gather_dense(Dense d, const real *X, const int *cols, Py_ssize_t m, const double *mean, const double *root,
                       double *out) except -1 nogil:
    cdef Py_ssize_t a, i, n = d.n
    cdef real *copy = NULL
    cdef const real *row
    if not d.by_rows:
        if d.step != 1:
            grow(<void **> &copy, n * sizeof(real))
        for a in range(m):
            fr_load(n, _column(X, cols[a], n, d.stride, d.step, copy), mean[cols[a]], root,
                    out + a * n)
        free(copy)
        return 0
    for i in range(n):
        row = X + i * d.stride
        for a in range(m):
            out[a * n + i] = (row[cols[a]] - mean[cols[a]]) * (1 if root == NULL else root[i])
    return 0


cdef void _load_as_rows(Dense d, const real *X, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                        const double *root, Py_ssize_t ld, double *out) noexcept nogil:
    """m rows of sqrt(s) (x - shift) by rows, ld apart, of X stored by rows: nothing is turned round."""
    cdef Py_ssize_t i, j, at
    cdef double s
    for i in range(m):
        at = rows[i] if rows != NULL else i0 + i
        s = 1 if root == NULL else root[at]
        for j in range(d.p):
            out[i * ld + j] = (X[at * d.stride + j] - shift[j]) * s


cdef void _load_rows(Dense d, const real *X, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                     const double *root, double *out) noexcept nogil:
    """m rows, from i0 on or those listed, of sqrt(s) (x - shift), column-major with leading dimension m."""
    cdef Py_ssize_t i, j, lo, at
    cdef double s
    if not d.by_rows and d.step == 1 and rows == NULL:
        for j in range(d.p):
            fr_load(m, X + j * d.stride + i0, shift[j], NULL if root == NULL else root + i0, out + j * m)
        return
    if not d.by_rows:
        for j in range(d.p):
            for i in range(m):
                at = rows[i] if rows != NULL else i0 + i
                out[j * m + i] = (X[j * d.stride + at * d.step] - shift[j]) * (1 if root == NULL else root[at])
        return
    for lo in range(0, d.p, 16):                 # tiles that stay in cache while they are turned round
        for i in range(m):
            at = rows[i] if rows != NULL else i0 + i
            s = 1 if root == NULL else root[at]
            for j in range(lo, min(lo + 16, d.p)):
                out[j * m + i] = (X[at * d.stride + j] - shift[j]) * s


# ---- products with X'SX ----------------------------------------------------------------------------------------------
cdef void _normal_rows(Dense d, const real *X, const double *mean, const double *weight, const double *V, Py_ssize_t k,
                       Py_ssize_t lo, Py_ssize_t hi, double *Z, double *z, real *copy, double *out) noexcept nogil:
    """Add the product of rows [lo, hi); z holds as many as are read at a time (they stay in cache for the way back),
    copy four columns of them."""
    cdef Py_ssize_t block = max(4, min(1024, (1 << 16) // d.p) // 4 * 4), i0 = lo, i, j, b, c, m, t
    cdef const real *x[4]
    cdef double level[4]
    cdef double v[4]
    while i0 < hi:
        m = min(block, hi - i0)
        for t in range(k):
            if d.by_rows:
                for i in range(m):
                    z[i] = fr_rowdot(d.p, X + (i0 + i) * d.stride, mean, V + t * d.p)
            else:
                memset(z, 0, m * sizeof(double))
                for j in range(0, d.p, 4):
                    c = min(4, d.p - j)
                    for b in range(4):
                        x[b] = _column(X + i0 * d.step, j + min(b, c - 1), m, d.stride, d.step, copy + b * 1024)
                        level[b] = mean[j + b] if b < c else 0
                        v[b] = V[t * d.p + j + b] if b < c else 0
                    _comb4(m, x, level, v, z)
            if Z != NULL:
                memcpy(Z + t * d.n + i0, z, m * sizeof(double))
            for i in range(m if weight != NULL else 0):
                z[i] = z[i] * weight[i0 + i] if weight[i0 + i] != 0 else 0       # it may be infinite
            if d.by_rows:
                for i in range(0, m - 3, 4):
                    fr_rows4(d.p, X + (i0 + i) * d.stride, X + (i0 + i + 1) * d.stride, X + (i0 + i + 2) * d.stride,
                             X + (i0 + i + 3) * d.stride, mean, z + i, out + t * d.p)
                for i in range(m - m % 4, m):
                    fr_row(d.p, X + (i0 + i) * d.stride, mean, z[i], out + t * d.p)
            else:
                for j in range(0, d.p, 4):
                    c = min(4, d.p - j)
                    for b in range(4):
                        x[b] = _column(X + i0 * d.step, j + min(b, c - 1), m, d.stride, d.step, copy + b * 1024)
                        level[b] = mean[j + min(b, c - 1)]
                    _dot4(m, x, level, z, v)
                    for b in range(c):
                        out[t * d.p + j + b] += v[b]
        i0 += m


cdef void _normal_part(Dense d, const real *X, const Pieces *u, Py_ssize_t part) noexcept nogil:
    """Add the product of a part of the rows to its sums."""
    cdef double *z = u.work + part * 5 * 1024
    _normal_rows(d, X, u.mean, u.weight, u.V, u.k, part * u.share, min(d.n, (part + 1) * u.share), u.Z, z,
                 <real *> (z + 1024), u.out + part * d.p * u.k)


cdef int _normal_dense(Dense d, const real *X, const double *mean, const double *weight, const double *V, Py_ssize_t k,
                       double *Z, double *out) except -1 nogil:
    cdef Py_ssize_t part, parts = shares(<double> d.n * d.p * k, d.p * k)
    cdef Pieces u
    cdef double *sums = <double *> calloc(parts * (d.p * k + 5 * 1024), sizeof(double))
    if sums == NULL:
        with gil:
            raise MemoryError()
    u.do, u.share, u.mean, u.weight = <piece> _normal_part[real], (d.n + parts - 1) // parts, mean, weight
    u.V, u.k, u.Z, u.work, u.out = V, k, Z, sums + parts * d.p * k, sums
    _run(d, X, &u, d.n, d.threads(<double> d.n * d.p * k))
    for part in range(1, parts):
        fr_axpy(d.p * k, 1, sums + part * d.p * k, sums)
    memcpy(out, sums, d.p * k * sizeof(double))
    free(sums)
    return 0
