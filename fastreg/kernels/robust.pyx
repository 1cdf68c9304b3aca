"""A step of Huber's regression with its scale, and all that the next one asks of the rows, in one reading of X.

Blocks of rows are dealt to a fixed number of lanes with sums of their own: the threads do not matter.
"""
from libc.math cimport sqrt
from libc.stdint cimport int32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from scipy.linalg.cython_blas cimport dsyrk

from fastreg.kernels.design cimport SparseRows, shares, sparse_rows_free
from fastreg.kernels.leaf cimport fr_axpy, fr_dots, fr_list_add, fr_list_dot, fr_sums, fr_vdot
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.threads cimport look, run_tasks
from fastreg.kernels.view cimport View

cdef extern from *:
    """
    #include "leaf.h"

    /* moved = r - u, z = moved / sigma, v = z within epsilon: s v, of all rows and of those inside; which they are, and
     * which of them changed; and sums of s v^2, of all rows and of those inside, and of s v (z - v / 2). s NULL for
     * ones. */
    FR_LEAF void fr_robust(ptrdiff_t n, const double *r, const double *u, const double *s, double scale, double epsilon,
                           double *moved, double *sv, double *within, const unsigned char *was, unsigned char *inside,
                           unsigned char *changed, double *sums) {
        double squares = 0, held = 0, loss = 0;
        FR_PRAGMA(omp simd reduction(+:squares, held, loss))
        for (ptrdiff_t i = 0; i < n; i++) {
            double left = r[i] - u[i], z = left * scale;
            double v = z < -epsilon ? -epsilon : z;
            v = v > epsilon ? epsilon : v;
            double weighted = s ? s[i] * v : v, in = v == z ? weighted : 0.0;
            moved[i] = left;
            sv[i] = weighted;
            within[i] = in;
            squares += weighted * v;
            held += in * v;
            loss += weighted * (z - 0.5 * v);
        }
        for (ptrdiff_t i = 0; i < n; i++) {
            double z = moved[i] * scale;
            inside[i] = z >= -epsilon && z <= epsilon;
        }
        for (ptrdiff_t i = 0; i < n; i++) changed[i] = inside[i] ^ was[i];
        sums[0] += squares;
        sums[1] += held;
        sums[2] += loss;
    }
    """
    void fr_robust(Py_ssize_t n, const double *r, const double *u, const double *s, double scale, double epsilon,
                   double *moved, double *sv, double *within, const unsigned char *was, unsigned char *inside,
                   unsigned char *changed, double *sums) noexcept nogil

cdef enum:
    BATCH = 256               # rows whose products are formed at once
    SUMS = 3                  # what `fr_robust` sums up
cdef Py_ssize_t IN_CACHE = 1 << 14       # elements of a block of rows
cdef Py_ssize_t LEAST_ROWS = 64, SPARSE_ROWS = 4096


cdef struct Pass:
    # What the lanes share.
    void *d
    Py_ssize_t q, rows, lanes, per
    const double *w
    double level, sigma, epsilon
    const double *s           # NULL for ones
    const double *r
    const unsigned char *was
    double *u
    double *moved
    unsigned char *inside
    double *total             # of each lane: q x q, two vectors of q, SUMS
    Py_ssize_t size           # of these


cdef struct Work:
    # Of a lane.
    double *B                 # a block of rows
    Py_ssize_t filled         # its rows that end with a one
    double *sv
    double *within            # of its rows inside
    unsigned char *changed
    double *turned            # rows that come inside, and those that go, times the roots of their weights
    int count[2]


def advance(View d, const double[::1] w, double level, const double[::1] r, double sigma, double epsilon,
            const double[::1] s, const unsigned char[::1] was):
    """Residuals after a step, and sums over the rows there; of X less the means of d where it is dense, and as it is
    where it is sparse.

    Parameters
    ----------
    d : View
        Without weights. Sparse X: of what `in_row_order` gives.
    w : ndarray of shape (p,)
    level : float
        The step: predictions move by u = X w + level.
    r : ndarray of shape (n,)
        Residuals before.
    sigma, epsilon : float
        Positive: z = (r - u) / sigma, and v is z brought back to epsilon.
    s : ndarray of shape (n,) or None
        Weights.
    was : ndarray of uint8, shape (n,)
        The rows whose products are known.

    Returns
    -------
    u, moved : ndarray of shape (n,)
        The latter is r - u.
    inside : ndarray of uint8, shape (n,)
        Whether |z| <= epsilon.
    change : ndarray of shape (p + 1, p + 1)
        ``sum_i s_i (x_i, 1)(x_i, 1)'`` of the rows that have come inside, less that of those that have gone.
    pull, within : ndarray of shape (p + 1,)
        ``sum_i s_i v_i (x_i, 1)``, of all rows and of those inside.
    sums : ndarray of shape (3,)
        ``sum s v^2``, the same of the rows inside, and ``sum s v (z - v / 2)``.
    """
    cdef Pass a
    cdef Py_ssize_t n = d.n, q = d.p + 1, lane, i, j
    cdef double work = <double> d.nnz
    u, moved, inside = np.empty(n), np.empty(n), np.empty(n, dtype=np.uint8)
    cdef double[::1] u_ = u, moved_ = moved
    cdef unsigned char[::1] inside_ = inside
    a.d, a.q, a.w, a.level, a.sigma, a.epsilon, a.s = <void *> d, q, &w[0], level, sigma, epsilon, NULL
    if s is not None:
        a.s = &s[0]
    a.r, a.was, a.u, a.moved, a.inside = &r[0], &was[0], &u_[0], &moved_[0], &inside_[0]
    a.size = q * q + 2 * q + SUMS
    a.lanes = 1 if d.sparse() else shares(work, a.size)
    a.per = (n + a.lanes - 1) // a.lanes
    a.rows = min(a.per, SPARSE_ROWS if d.sparse() else max(LEAST_ROWS, IN_CACHE // q))
    cdef double[:, ::1] total = np.zeros((a.lanes, a.size))
    cdef int threads = d.threads(work)
    a.total = &total[0, 0]
    with nogil:
        run_tasks(_sparse_lane if d.sparse() else _dense_lane, &a, a.lanes, threads)
        for lane in range(1, a.lanes):
            fr_axpy(a.size, 1., &total[lane, 0], &total[0, 0])
        for i in range(q):
            for j in range(i):
                total[0, j * q + i] = total[0, i * q + j]
    sums = total.base[0]
    return (u, moved, inside, sums[:q * q].reshape(q, q), sums[q * q:q * q + q], sums[q * q + q:q * q + 2 * q],
            sums[q * q + 2 * q:])


cdef void _rows(const Pass *a, Py_ssize_t i0, Py_ssize_t m, const Work *work, double *sums) noexcept nogil:
    """From predictions to what is to be correlated, and sums."""
    cdef const double *s = a.s
    if s != NULL:
        s = s + i0
    fr_robust(m, a.r + i0, a.u + i0, s, 1 / a.sigma, a.epsilon, a.moved + i0, work.sv, work.within, a.was + i0,
              a.inside + i0, work.changed, sums)


cdef int _work_on(Work *work, const Pass *a) except -1 nogil:
    grow(<void **> &work.sv, 2 * a.rows * sizeof(double))
    work.changed = <unsigned char *> zeros(a.rows + 8)       # of which eight are read at a time
    work.within = work.sv + a.rows
    return 0


cdef int _dense_lane(void *context, Py_ssize_t lane) except -1 nogil:
    cdef const Pass *a = <const Pass *> context
    cdef Py_ssize_t i0 = lane * a.per, end = min((<View> a.d).n, (lane + 1) * a.per), m
    cdef Work work
    memset(&work, 0, sizeof(Work))
    try:
        grow(<void **> &work.B, a.rows * a.q * sizeof(double))
        grow(<void **> &work.turned, 2 * BATCH * a.q * sizeof(double))
        _work_on(&work, a)
        while i0 < end:
            m = min(a.rows, end - i0)
            _block(<View> a.d, a, i0, m, &work, a.total + lane * a.size)
            look()
            i0 += m
        _flush(a, &work, 0, a.total + lane * a.size)
        _flush(a, &work, 1, a.total + lane * a.size)
    finally:
        free(work.B)
        free(work.sv)
        free(work.changed)
        free(work.turned)
    return 0


cdef void _block(View d, const Pass *a, Py_ssize_t i0, Py_ssize_t m, Work *work, double *total) noexcept nogil:
    """Some rows of dense X: they lie by rows where X does, by columns otherwise, with ones at the end."""
    cdef Py_ssize_t i, j, k, q = a.q
    cdef double *B = work.B
    cdef double *u = a.u + i0
    cdef double *pull = total + q * q
    cdef double level = a.level
    cdef bint across = d.across()
    if work.filled != m:
        for i in range(m):
            B[i * q + q - 1 if across else (q - 1) * m + i] = 1
        work.filled = m
    for i in range(m):
        u[i] = level
    if across:
        d.load_as_rows(i0, NULL, m, d.mean, q, B)
        fr_dots(m, q - 1, B, q, a.w, u)
    else:
        d.load_rows(i0, NULL, m, d.mean, B)
        for j in range(q - 1):
            fr_axpy(m, a.w[j], B + j * m, u)
    _rows(a, i0, m, work, total + q * q + 2 * q)
    if across:
        fr_sums(m, q, B, q, work.sv, pull)
        fr_sums(m, q, B, q, work.within, pull + q)
    else:
        for j in range(q):
            pull[j] += fr_vdot(m, B + j * m, work.sv)
            pull[q + j] += fr_vdot(m, B + j * m, work.within)
    for k in range(0, m, 8):
        if (<const uint64_t *> (work.changed + k))[0] != 0:
            for i in range(k, min(m, k + 8)):
                if work.changed[i]:
                    _turn(a, i0 + i, B + (i * q if across else i), 1 if across else m, work, total)


cdef void _turn(const Pass *a, Py_ssize_t i, const double *x, Py_ssize_t step, Work *work,
                double *total) noexcept nogil:
    """Take note of a row that has come inside or gone."""
    cdef int side = not a.inside[i]
    cdef Py_ssize_t j
    cdef double root = 1 if a.s == NULL else sqrt(a.s[i])
    cdef double *to = work.turned + (side * BATCH + work.count[side]) * a.q
    if step == 1:
        for j in range(a.q):
            to[j] = root * x[j]
    else:
        for j in range(a.q):
            to[j] = root * x[j * step]
    work.count[side] += 1
    if work.count[side] == BATCH:
        _flush(a, work, side, total)


cdef void _flush(const Pass *a, Work *work, int side, double *total) noexcept nogil:
    """Add the products of the rows that have come inside, or subtract those of the rows that have gone."""
    cdef int q = <int> a.q
    cdef double sign = -1 if side else 1, one = 1
    if work.count[side] > 0:
        dsyrk('U', 'N', &q, &work.count[side], &sign, &work.turned[side * BATCH * a.q], &q, &one, total, &q)
    work.count[side] = 0


cdef int _sparse_lane(void *context, Py_ssize_t lane) except -1 nogil:
    cdef const Pass *a = <const Pass *> context
    return _sparse_rows(<View> a.d, a)


cdef int _sparse_rows(View d, const Pass *a) except -1 nogil:
    cdef Py_ssize_t i0 = 0, i, m, first, q = a.q, length
    cdef double *pull = a.total + q * q
    cdef double weight
    cdef SparseRows rows
    cdef Work work
    memset(&rows, 0, sizeof(SparseRows))
    memset(&work, 0, sizeof(Work))
    try:
        _work_on(&work, a)
        while i0 < d.n:
            m = min(a.rows, d.n - i0)
            d.design.load_sparse_rows(i0, m, &rows)
            for i in range(m):
                first, length = rows.start[i], rows.start[i + 1] - rows.start[i]
                a.u[i0 + i] = a.level + fr_list_dot(length, rows.pos + first, rows.val + first, a.w)
            _rows(a, i0, m, &work, pull + 2 * q)
            for i in range(m):
                first, length = rows.start[i], rows.start[i + 1] - rows.start[i]
                fr_list_add(length, rows.pos + first, rows.val + first, work.sv[i], pull)
                pull[q - 1] += work.sv[i]
                if a.inside[i0 + i]:
                    fr_list_add(length, rows.pos + first, rows.val + first, work.sv[i], pull + q)
                    pull[2 * q - 1] += work.sv[i]
                if work.changed[i]:
                    weight = (1 if a.inside[i0 + i] else -1) * (1 if a.s == NULL else a.s[i0 + i])
                    _add_products(length, rows.pos + first, rows.val + first, weight, q, a.total)
            look()
            i0 += m
    finally:
        sparse_rows_free(&rows)
        free(work.sv)
        free(work.changed)
    return 0


cdef void _add_products(Py_ssize_t m, const int32_t *pos, const double *x, double weight, Py_ssize_t q,
                        double *total) noexcept nogil:
    """Of a sparse row, and the one at its end: one triangle."""
    cdef Py_ssize_t e
    for e in range(m):
        fr_list_add(e + 1, pos, x, weight * x[e], total + pos[e] * q)
    fr_list_add(m, pos, x, weight, total + (q - 1) * q)
    total[q * q - 1] += weight
