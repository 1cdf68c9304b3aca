"""X'X and XX' of dense X in one pass: rows are shifted by an approximate mean as they are loaded, so that centring
afterwards costs no digits."""
from libc.limits cimport INT_MAX
from libc.math cimport sqrt
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from scipy.linalg.cython_blas cimport dgemm, dgemv, dsyrk

from fastreg.kernels.design cimport Direct
from fastreg.kernels.leaf cimport fr_axpy, fr_dotsum4, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.probe cimport (
    Probe, probe_block, probe_excess, probe_failed, probe_free, probe_init, probe_products, probe_sizes, probe_sums)
from fastreg.kernels.threads cimport look, run_tasks
from fastreg.kernels.view cimport View

cdef Py_ssize_t SEEN = 64            # rows (columns) that tell a probe the sizes of the others
cdef Py_ssize_t RAW_WIDTH = 2048     # columns that BLAS reads at a time where they lie, and rows that it sums,
cdef Py_ssize_t RAW_ROWS = 1024
cdef double A_WHILE = 8e9            # but no more than this many products at a time, nor fewer than pay:
cdef Py_ssize_t LEAST_AT_ONCE = 256  # signals are looked at in between


cdef struct Sums:
    # Sums over rows of [X - shift, Y', 1]' [X - shift, Y', 1], all scaled by sqrt(s); upper triangle, q x q.
    void *d
    Py_ssize_t p, t, q, rows, lanes, per
    bint direct          # BLAS reads X itself; otherwise shifted blocks of `rows` rows
    const double *Y
    double *shift
    double *buffer       # of each lane: a block of rows, or ones
    double *total        # of each lane
    Probe probe


cdef struct Outer:
    # Sums over columns of scale x x', n x n.
    void *d
    bint raw             # BLAS reads X itself
    Py_ssize_t per, width
    const int *cols
    const double *scale  # NULL for ones
    double *work         # of each lane: a block of columns
    double *total        # of each lane
    Probe *probe


def gram_of(View d, const double[:, ::1] Y):
    """X'X and X'Y[k] as rows, of dense X and Y (centred, times sqrt(s)); sets the means and norms of d."""
    cdef double[:, ::1] G = np.empty((d.p, d.p))
    cdef double[:, ::1] Q = np.empty((Y.shape[0], d.p))
    with nogil:
        full_gram(d, &Y[0, 0], Y.shape[0], &G[0, 0], &Q[0, 0])
    return G.base, Q.base


def kernel_of(View d, scale=None, bint raw=False):
    """X diag(scale) X' (n x n) of dense X, centred and times sqrt(s), in one pass; the means must be known.

    Columns are dealt to a fixed number of lanes with sums of their own, and centred as they are loaded; with `raw`, for
    float64 X that BLAS can read where it lies (``reads_directly``), neither centred nor weighted.
    """
    cdef Py_ssize_t n = d.n, width = max(8, min(256, 1 + (1 << 17) // n)), lanes = 1, lane, a
    cdef const double[::1] of_column = None if scale is None else np.ascontiguousarray(scale, dtype=np.float64)
    if d.dealt(<double> n * n * d.p) and 16. * n * n < <double> n * d.p:
        lanes = min(8, max(1, d.p // (4 * width)))
    cdef double[:, :, ::1] K = np.zeros((lanes, n, n))
    cdef double[:, ::1] work = np.empty((lanes, 1 if raw else n * width))
    cdef int[::1] cols = np.arange(d.p, dtype=np.intc)
    cdef int threads = d.threads(<double> n * n * d.p)
    cdef Probe probe
    cdef Outer u
    cdef double excess
    if raw and not reads_directly(d):
        raise ValueError("raw: BLAS cannot read X")
    u.d, u.raw, u.per, u.width, u.cols = <void *> d, raw, (d.p + lanes - 1) // lanes, width, &cols[0]
    u.scale, u.work, u.total, u.probe = NULL, &work[0, 0], &K[0, 0, 0], &probe
    if of_column is not None:
        u.scale = &of_column[0]
    memset(&probe, 0, sizeof(Probe))
    try:
        with nogil:
            probe_init(&probe, n, lanes, max(width, RAW_WIDTH))
            _column_sizes(d, cols, of_column, &probe)
            run_tasks(_kernel_lane, &u, lanes, threads)
            for lane in range(1, lanes):
                fr_axpy(n * n, 1., &K[lane, 0, 0], &K[0, 0, 0])
                fr_axpy(n, 1., probe_sums(&probe, lane), probe_sums(&probe, 0))
            excess = probe_excess(&probe, 0, &K[0, 0, 0], n, d.p // width)
            if excess > 1:
                probe_failed(excess)
    finally:
        probe_free(&probe)
    with nogil:
        for a in range(n):                      # BLAS wrote one triangle
            for lane in range(a):
                K[0, lane, a] = K[0, a, lane]
    return K.base[0]


cdef int _column_sizes(View d, const int[::1] cols, const double[::1] scale, Probe *probe) except -1 nogil:
    """Sizes of the elements of the columns, from the first of them."""
    cdef Py_ssize_t i, j, m = min(d.p, SEEN)
    cdef double *seen = NULL
    grow(<void **> &seen, m * d.n * sizeof(double))
    try:
        d.gather(&cols[0], m, seen)
        for j in range(m):
            for i in range(d.n):
                probe.v[i] += seen[j * d.n + i] * seen[j * d.n + i] * (1 if scale is None else scale[j])
    finally:
        free(seen)
    probe_sizes(probe)
    return 0


cpdef bint reads_directly(View d) noexcept nogil:
    """Whether BLAS can read X where it lies: float64, its rows or its columns contiguous, the distance between them
    no less than their length (which views that overlap or run backwards fail) and, as all that BLAS is told, an int."""
    cdef Direct x
    if not d.direct(&x):
        return False
    return (max(<Py_ssize_t> 1, d.p if x.across else d.n) <= x.stride <= INT_MAX and d.n <= INT_MAX
            and d.p <= INT_MAX)


def products_of(View d, const double[:, ::1] V):
    """X'V[t] as rows, of X that BLAS can read where it lies (``reads_directly``), neither centred nor weighted."""
    cdef double[:, ::1] out = np.empty((V.shape[0], d.p))
    cdef int n = <int> d.n, p = <int> d.p, k = <int> V.shape[0], ld
    cdef double one = 1, zero = 0
    cdef Direct x
    if not reads_directly(d):
        raise ValueError("BLAS cannot read X")
    with nogil:
        d.direct(&x)
        ld = <int> x.stride
        dgemm('N' if x.across else 'T', 'N', &p, &k, &n, &one, <double *> x.data, &ld, <double *> &V[0, 0], &n, &zero,
              &out[0, 0], &p)
    return out.base


cdef Py_ssize_t _at_once(Py_ssize_t most, Py_ssize_t side) noexcept nogil:
    """How many outer products of so many elements a side BLAS adds in one call."""
    return min(most, max(LEAST_AT_ONCE, <Py_ssize_t> (A_WHILE / (<double> side * side))))


cdef int _kernel_lane(void *context, Py_ssize_t lane) except -1 nogil:
    """Add the outer products of some columns to the sums of a lane, and to its probe."""
    cdef const Outer *u = <const Outer *> context
    return _add_columns(<View> u.d, u, lane, lane * u.per, min((<View> u.d).p, (lane + 1) * u.per))


cdef int _add_columns(View d, const Outer *u, Py_ssize_t lane, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    cdef Py_ssize_t j0 = lo, j, i
    cdef int m, n = <int> d.n, ld
    cdef double one = 1, root
    cdef double *K = u.total + lane * d.n * d.n
    cdef double *B
    cdef Direct x
    d.direct(&x)
    ld = <int> x.stride
    while j0 < hi:
        look()
        m = <int> min(u.width, hi - j0)
        if u.raw:
            m = <int> min(_at_once(RAW_WIDTH, d.n), hi - j0)
            B = <double *> x.data + (j0 if x.across else j0 * x.stride)
            dsyrk('U', 'T' if x.across else 'N', &n, &m, &one, B, &ld, &one, K, &n)
            probe_block(u.probe, lane, not x.across, m, n, B, x.stride)
            j0 += m
            continue
        B = u.work + lane * d.n * u.width
        d.gather(u.cols + j0, m, B)
        for j in range(m if u.scale != NULL else 0):
            root = sqrt(u.scale[j0 + j])
            for i in range(n):
                B[j * n + i] *= root
        dsyrk('U', 'N', &n, &m, &one, B, &n, &one, K, &n)
        probe_block(u.probe, lane, True, m, n, B, n)
        j0 += m
    return 0


cdef int full_gram(View d, const double *Y, Py_ssize_t t, double *G, double *Q) except -1 nogil:
    """G = X'X (p x p), Q[k] = X'Y[k] for dense X, centred and weighted; sets the means and norms of d.

    Y (t x n) is centred and scaled. Float64 X without weights is read by BLAS where it lies, unless the level of a
    column is so high against its spread that centring afterwards would cost digits; otherwise, blocks of rows are
    loaded less an approximate mean. The rows are dealt to a fixed number of lanes, each with sums of its own, so the
    result does not depend on the number of threads.
    """
    cdef Sums u
    cdef Py_ssize_t p = d.p, q = p + t + 1
    cdef double work = <double> d.n * p * p, excess
    u.d, u.p, u.t, u.q, u.Y, u.lanes = <void *> d, p, t, q, Y, 1
    u.direct = reads_directly(d) and d.root == NULL
    u.rows = min(d.n, _at_once(RAW_ROWS, p))
    if d.dealt(work):
        u.lanes = min(8 if p <= 256 else (4 if p <= 512 else 2), max(1, d.n // (2 * u.rows)))
    u.shift = u.total = u.buffer = NULL
    memset(&u.probe, 0, sizeof(Probe))
    try:
        grow(<void **> &u.shift, p * sizeof(double))
        grow(<void **> &u.total, u.lanes * q * q * sizeof(double))
        memset(u.shift, 0, p * sizeof(double))
        if u.direct:
            excess = _run_lanes(d, &u)
            u.direct = excess <= 1 and not (d.centred and _high_level(d, &u))
        if not u.direct:
            if d.centred:
                _approximate_mean(d, &u)
            excess = _run_lanes(d, &u)
            if excess > 1:
                probe_failed(excess)
        _centre_gram(d, &u, G, Q)
    finally:
        free(u.shift)
        free(u.total)
        free(u.buffer)
        probe_free(&u.probe)
    d.mark_constant(d.own())
    return 0


cdef double _run_lanes(View d, Sums *u) except -1 nogil:
    """Sums over all rows in the first lane; how far off their probe is, in units of its rounding."""
    cdef Py_ssize_t lane, k, square = u.q * u.q
    u.per = (d.n + u.lanes - 1) // u.lanes
    memset(u.total, 0, u.lanes * square * sizeof(double))
    grow(<void **> &u.buffer, u.lanes * (u.rows + u.q if u.direct else u.rows * u.q) * sizeof(double))
    _begin_probe(d, u)
    run_tasks(_task, u, u.lanes, d.threads(<double> d.n * u.p * u.p))
    for lane in range(1, u.lanes):
        fr_axpy(square, 1., u.total + lane * square, u.total)
        fr_axpy(u.q, 1., probe_sums(&u.probe, lane), probe_sums(&u.probe, 0))
    if u.direct:                                 # BLAS leaves out the squares of what is beside X
        for k in range(u.t):
            u.total[(u.p + k) * (u.q + 1)] = fr_vdot(d.n, u.Y + k * d.n, u.Y + k * d.n)
        u.total[square - 1] = <double> d.n
    return probe_excess(&u.probe, 0, u.total, u.p, d.n // u.rows)


cdef int _begin_probe(View d, Sums *u) except -1 nogil:
    """Sizes of the elements of z from the first rows."""
    cdef Py_ssize_t k, m = min(u.rows, SEEN)
    cdef double *seen = NULL
    probe_free(&u.probe)
    probe_init(&u.probe, u.q, u.lanes, u.rows)
    grow(<void **> &seen, m * u.p * sizeof(double))
    d.load_rows(0, NULL, m, u.shift, seen)
    for k in range(u.p):
        u.probe.v[k] = fr_vdot(m, seen + k * m, seen + k * m)
    for k in range(u.t):
        u.probe.v[u.p + k] = fr_vdot(m, u.Y + k * d.n, u.Y + k * d.n)
    u.probe.v[u.p + u.t] = <double> m
    free(seen)
    probe_sizes(&u.probe)
    return 0


cdef bint _high_level(View d, const Sums *u) noexcept nogil:
    """Whether some column's mean is so large against its deviation that subtracting it loses more than 3 digits."""
    cdef Py_ssize_t j
    cdef double level, sq
    for j in range(u.p):
        level = u.total[(u.p + u.t) * u.q + j]
        sq = u.total[j * u.q + j]
        if level * level / d.weight_sum > (1 - 1e-3) * sq:
            return True
    return False


cdef int _approximate_mean(View d, Sums *u) except -1 nogil:
    """Weighted mean of the first rows; where their weights are all zero, of nothing (0)."""
    cdef Py_ssize_t i, j
    cdef double w = 0, s
    if d.root == NULL:
        w = <double> u.rows
    else:
        for i in range(u.rows):
            w += d.root[i]
    if w == 0:
        return 0
    grow(<void **> &u.buffer, u.rows * u.p * sizeof(double))
    d.load_rows(0, NULL, u.rows, u.shift, u.buffer)
    for j in range(u.p):
        s = 0
        for i in range(u.rows):
            s += u.buffer[j * u.rows + i]
        u.shift[j] = s / w
    return 0


cdef void add_rows(View d, const double *Y, Py_ssize_t T, bint scaled, Py_ssize_t i0, const int *rows, Py_ssize_t m,
                   const double *shift, double *B, double *total, Probe *probe, Py_ssize_t lane) noexcept nogil:
    """Add z z' of m rows of dense X, from i0 on or those listed, to one triangle of total (q x q), and to a probe.

    z = (sqrt(s) (x - shift), y, sqrt(s)), with y from Y (T x n), which has the factor sqrt(s) already if scaled.
    B has room for m q elements; X stored by rows is loaded by rows: nothing is turned round.
    """
    cdef bint across = d.across()
    cdef int im = <int> m, iq = <int> (d.p + T + 1)
    cdef Py_ssize_t i, t, at, to = iq if across else 1, over = 1 if across else m
    cdef double one = 1, root
    if across:
        d.load_as_rows(i0, rows, m, shift, iq, B)
    else:
        d.load_rows(i0, rows, m, shift, B)
    for i in range(m):
        at = rows[i] if rows != NULL else i0 + i
        root = 1 if d.root == NULL else d.root[at]
        for t in range(T):
            B[(d.p + t) * over + i * to] = (1 if scaled else root) * Y[t * d.n + at]
        B[(d.p + T) * over + i * to] = root
    dsyrk('U', 'N' if across else 'T', &iq, &im, &one, B, &iq if across else &im, &one, total, &iq)
    probe_block(probe, lane, across, m, iq, B, iq if across else im)


cdef int _task(void *context, Py_ssize_t lane) except -1 nogil:
    cdef Sums *u = <Sums *> context
    return _gram_lane(<View> u.d, u, lane, lane * u.per, min((<View> u.d).n, (lane + 1) * u.per))


cdef int _gram_lane(View d, Sums *u, Py_ssize_t lane, Py_ssize_t lo, Py_ssize_t hi) except -1 nogil:
    """Add rows [lo, hi), block by block, to the sums of a lane."""
    cdef Py_ssize_t i, i0 = lo, k, m, p = u.p, q = u.q
    cdef int iq = <int> q, ip = <int> p, im, ld, inc = 1, it = <int> u.t, n = <int> d.n
    cdef double one = 1
    cdef double *total = u.total + lane * q * q
    cdef double *B = u.buffer + lane * (u.rows + q if u.direct else u.rows * q)
    cdef double *ones = B if u.direct else NULL
    cdef double *block = B + u.rows          # sums of a block: added at once, they round once
    cdef double zero = 0
    cdef double *X
    cdef double *products
    cdef Direct x
    d.direct(&x)
    ld = <int> x.stride
    while i0 < hi:
        look()
        m = min(u.rows, hi - i0)
        im = <int> m
        if not u.direct:
            add_rows(d, u.Y, u.t, True, i0, NULL, m, u.shift, B, total, &u.probe, lane)
            i0 += m
            continue
        for i in range(m):
            ones[i] = 1
        X = <double *> x.data + (i0 * x.stride if x.across else i0)
        products = probe_products(&u.probe, lane)
        for k in range(u.t):
            fr_axpy(m, u.probe.v[p + k], u.Y + k * d.n + i0, products)
        fr_axpy(m, u.probe.v[p + u.t], ones, products)
        probe_block(&u.probe, lane, x.across, m, p, X, x.stride)
        if u.t == 1 and not x.across:
            for k in range(0, p - 3, 4):
                fr_dotsum4(m, X + k * x.stride, x.stride, u.Y + i0, total + p * q + k, total + (p + 1) * q + k)
            for k in range(p - p % 4, p):
                total[p * q + k] += fr_vdot(m, X + k * x.stride, u.Y + i0)
                total[(p + 1) * q + k] += fr_vdot(m, X + k * x.stride, ones)
        dsyrk('U', 'N' if x.across else 'T', &ip, &im, &one, X, &ld, &one, total, &iq)
        if x.across and u.t == 1:
            dgemv('N', &ip, &im, &one, X, &ld, <double *> u.Y + i0, &inc, &zero, block, &inc)
            fr_axpy(p, 1., block, total + p * q)
        elif x.across:
            dgemm('N', 'N', &ip, &it, &im, &one, X, &ld, <double *> u.Y + i0, &n, &one, total + p * q, &iq)
        elif u.t > 1:
            dgemm('T', 'N', &ip, &it, &im, &one, X, &ld, <double *> u.Y + i0, &n, &one, total + p * q, &iq)
        if x.across or u.t > 1:
            dgemv('N' if x.across else 'T', &ip if x.across else &im,
                  &im if x.across else &ip, &one, X, &ld, ones, &inc, &zero, block, &inc)
            fr_axpy(p, 1., block, total + (p + u.t) * q)
        i0 += m
    return 0


cdef void _centre_gram(View d, const Sums *u, double *G, double *Q) noexcept nogil:
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
