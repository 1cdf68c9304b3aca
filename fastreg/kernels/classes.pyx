"""Several classes on the same rows: sums over the others, their loss, what moves all of them at once.

Linear predictors eta are those of every class; the loss is ``sum_i s_i (log sum_k exp(eta_ik) - eta_iy)``.
"""
from libc.math cimport INFINITY, fabs, log, sqrt
from libc.stdlib cimport qsort
from libc.string cimport memset

from scipy.linalg.cython_lapack cimport dposv

from fastreg.kernels.leaf cimport fr_vdot
from fastreg.kernels.vector cimport fr_exp, fr_logistic

cdef enum:
    CHUNK = 256                  # rows whose values stay in cache
cdef double LEAST = 1e-300       # a sum of exponentials, at least
cdef double FAR = 8              # the longest step of the intercepts
cdef double SINGULAR = 1e-6      # of the changes' squares, what is added to their equations


cdef void classes_begin(Py_ssize_t n, Py_ssize_t K, const double *linear, double *top, double *after) noexcept nogil:
    """The largest eta of each row, and for each class exponentials less that, added up over the classes after it."""
    cdef Py_ssize_t c, first, m, i, t
    cdef const double *here
    cdef double e[CHUNK]
    cdef double total[CHUNK]
    for c in range((n + CHUNK - 1) // CHUNK):
        first = c * CHUNK
        m = min(CHUNK, n - first)
        for i in range(m):
            top[first + i], total[i] = -INFINITY, 0
        for t in range(K):
            here = linear + t * n + first
            for i in range(m):
                top[first + i] = max(top[first + i], here[i])
        for t in range(K - 1, -1, -1):
            here = linear + t * n + first
            for i in range(m):
                after[t * n + first + i] = total[i]
                e[i] = here[i] - top[first + i]
            fr_exp(m, e, e)
            for i in range(m):
                total[i] += e[i]


cdef void classes_offsets(Py_ssize_t n, Py_ssize_t K, const double *linear, double *top, double *after,
                          double *offset) noexcept nogil:
    """``-log sum_{l != k} exp(eta_l)`` for each class k: sums without differences; top and after as `classes_begin`."""
    cdef Py_ssize_t c, first, m, i, t
    cdef const double *here
    cdef double e[CHUNK]
    cdef double before[CHUNK]
    classes_begin(n, K, linear, top, after)
    for c in range((n + CHUNK - 1) // CHUNK):
        first = c * CHUNK
        m = min(CHUNK, n - first)
        for i in range(m):
            before[i] = 0
        for t in range(K):
            here = linear + t * n + first
            for i in range(m):
                offset[t * n + first + i] = -(top[first + i] + log(max(before[i] + after[t * n + first + i], LEAST)))
                e[i] = here[i] - top[first + i]
            fr_exp(m, e, e)
            for i in range(m):
                before[i] += e[i]


cdef double classes_loss(Py_ssize_t n, Py_ssize_t K, const double *y, const double *s,
                         const double *linear) noexcept nogil:
    """The loss; rows without weight may hold anything."""
    cdef Py_ssize_t c, first, m, i, t
    cdef const double *here
    cdef double total = 0
    cdef double row[CHUNK]
    cdef double top[CHUNK]
    cdef double e[CHUNK]
    cdef double sums[CHUNK]
    for c in range((n + CHUNK - 1) // CHUNK):
        first = c * CHUNK
        m = min(CHUNK, n - first)
        for i in range(m):
            top[i], sums[i], row[i] = -INFINITY, 0, 0
        for t in range(K):
            here = linear + t * n + first
            for i in range(m):
                top[i] = max(top[i], here[i])
                if y[t * n + first + i] > 0:
                    row[i] = here[i]
        for t in range(K):
            here = linear + t * n + first
            for i in range(m):
                e[i] = here[i] - top[i]
            fr_exp(m, e, e)
            for i in range(m):
                sums[i] += e[i]
        for i in range(m):
            if s == NULL or s[first + i] > 0:
                total += (1 if s == NULL else s[first + i]) * (top[i] - row[i] + log(sums[i]))
    return total


cdef Py_ssize_t classes_levels_work(Py_ssize_t K) noexcept nogil:
    """Numbers that `classes_levels` works on."""
    return K * K + K * CHUNK


cdef double classes_levels(Py_ssize_t n, Py_ssize_t K, const double *y, const double *s, const double *linear,
                           const double *offset, double *work, double *level) noexcept nogil:
    """A step of Newton's method for the intercepts, of sum zero; its size, 0 where residuals sum to zero already.

    offset: that of each class, as `classes_offsets` gives it."""
    cdef Py_ssize_t c, first, m, i, t, k
    cdef double *H = work
    cdef double *P = work + K * K
    cdef double *mine
    cdef double weight, size = 0, scale = 0, worst = 0
    cdef int order = <int> K, one = 1, info = 0
    cdef char lower = b"L"
    cdef double eta[CHUNK]
    memset(H, 0, K * K * sizeof(double))
    memset(level, 0, K * sizeof(double))
    for c in range((n + CHUNK - 1) // CHUNK):
        first = c * CHUNK
        m = min(CHUNK, n - first)
        for t in range(K):
            mine = P + t * CHUNK
            for i in range(m):
                eta[i] = linear[t * n + first + i] + offset[t * n + first + i]
            fr_logistic(m, y + t * n + first, eta, NULL, mine, NULL)
            for i in range(m):
                weight = 1 if s == NULL else s[first + i]
                if weight > 0:
                    level[t] -= weight * mine[i]
                    size += weight * fabs(mine[i])
                    mine[i] = sqrt(weight) * (mine[i] + (y[t * n + first + i] > 0))
                    H[t * K + t] += sqrt(weight) * mine[i]
                else:
                    mine[i] = 0
            for k in range(t + 1):
                H[k * K + t] -= fr_vdot(m, mine, P + k * CHUNK)
    for t in range(K):
        worst = max(worst, fabs(level[t]))
        scale += H[t * K + t] / K
    if worst <= 1e-15 * size or not scale > 0:
        return 0
    for k in range(K):                                   # a shift of all changes nothing: the step has none
        for t in range(k, K):
            H[k * K + t] += scale
        H[k * K + k] += 1e-14 * scale
    dposv(&lower, &order, &one, H, &order, level, &order, &info)
    if info != 0:
        return 0
    size = 0
    for t in range(K):
        size = max(size, fabs(level[t]))
    for t in range(K if size > FAR else 0):
        level[t] *= FAR / size
    return size


cdef Py_ssize_t cancelling_work(Py_ssize_t past) noexcept nogil:
    """Numbers that `cancelling` works on."""
    return past * (past + CHUNK)


cdef bint cancelling(Py_ssize_t n, Py_ssize_t K, Py_ssize_t past, const double *s, const double *points, double *work,
                     double *share) noexcept nogil:
    """Shares, of sum 1, of the changes between past + 1 points (K, n) at which these cancel best; False where that
    cannot be told."""
    cdef Py_ssize_t a, b, c, t, i, first, m, N = K * n
    cdef const double *x
    cdef double *U = work
    cdef double *d = work + past * past
    cdef double total = 0
    cdef int order = <int> past, one = 1, info = 0
    cdef char lower = b"L"
    memset(U, 0, past * past * sizeof(double))
    for t in range(K):
        for c in range((n + CHUNK - 1) // CHUNK):
            first = c * CHUNK
            m = min(CHUNK, n - first)
            for a in range(past):
                x = points + a * N + t * n + first
                for i in range(m):
                    if s == NULL:
                        d[a * CHUNK + i] = x[N + i] - x[i]
                    else:
                        d[a * CHUNK + i] = sqrt(s[first + i]) * (x[N + i] - x[i]) if s[first + i] > 0 else 0
                for b in range(a + 1):
                    U[b * past + a] += fr_vdot(m, d + a * CHUNK, d + b * CHUNK)
    for a in range(past):
        share[a], total = 1, total + U[a * past + a]
    for a in range(past):
        U[a * past + a] += SINGULAR * total
    if not 0 < total < INFINITY:
        return False
    dposv(&lower, &order, &one, U, &order, share, &order, &info)
    total = 0
    for a in range(past):
        total += share[a]
    if info != 0 or not total > 0:
        return False
    for a in range(past):
        share[a] /= total
    return True


cdef double least_shift(double *v, Py_ssize_t K, double l1, double l2) noexcept nogil:
    """The c nearest to 0 of those at which ``sum_k l1 |c - v_k| + l2 / 2 (c - v_k)^2`` is least; the mean of v where
    both are 0. v has room for 2 K + 1 numbers, which are overwritten.

    The median of the v_k and of where the slope is 0 if a of the v_k are below, for each a; without l2 that of the v_k.
    """
    cdef Py_ssize_t a
    cdef double mean = 0
    for a in range(K):
        mean += v[a] / K
    if l1 == 0:
        return mean
    for a in range(K + 1 if l2 > 0 else 0):
        v[K + a] = mean + l1 * (K - 2 * a) / (l2 * K)
    qsort(v, 2 * K + 1 if l2 > 0 else K, sizeof(double), _ascending)
    if l2 > 0:
        return v[K]
    return v[K // 2] if K % 2 == 1 else min(max(v[K // 2 - 1], 0), v[K // 2])


cdef int _ascending(const void *a, const void *b) noexcept nogil:
    cdef double s = (<const double *> a)[0], t = (<const double *> b)[0]
    return (s > t) - (s < t)
