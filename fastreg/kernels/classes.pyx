"""Several classes on the same rows: sums over the others, their loss, what moves all of them at once.

Linear predictors eta are those of every class; the loss is ``sum_i s_i (log sum_k exp(eta_ik) - eta_iy)``.
"""
from libc.math cimport INFINITY, fabs, log, sqrt
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset

from scipy.linalg.cython_blas cimport dsyrk
from scipy.linalg.cython_lapack cimport dposv, dsyev

from fastreg.kernels.leaf cimport fr_axpy, fr_vdot
from fastreg.kernels.vector cimport fr_exp, fr_logistic

cdef enum:
    CHUNK = 256                  # rows whose values stay in cache
    STEPS = 1000                 # of Newton's method, halvings among them
cdef double LEAST = 1e-300       # a sum of exponentials, at least
cdef double ROUNDING = 1e-15     # of the terms of a sum,
cdef double LOST = 1e-14         # and of a loss
cdef double RIDGE = 1e-14        # of the curvatures, what is added to them
cdef double FAR = 8              # the longest step of a coefficient to begin with
cdef double NEAR = 1e-9, LEAST_STEP = 1e-16  # steps after which the next would be rounding; whatever they began as
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


cdef void classes_model(Py_ssize_t n, Py_ssize_t K, Py_ssize_t m, const double *y, const double *s,
                        const double *linear, const double *offset, const double *z, double *work, double *H,
                        double *slope, double *size) noexcept nogil:
    """The loss as a function of the coefficients of m columns, all of those of a class before the next.

    offset: that of each class, as `classes_offsets` gives it; z: the columns (m, n); H: the lower triangle of the
    Hessian, by columns; slope: downhill; size: sums of what the slopes are differences of."""
    cdef Py_ssize_t c, first, rows, i, t, a, b, N = K * m
    cdef double *U = work                                # root(s) p z of each coefficient
    cdef double *Z = work + N * CHUNK                    # root(s) z
    cdef double *u
    cdef double share, minus = -1, one = 1
    cdef int order = <int> N, depth = 0, lead = CHUNK
    cdef char lower = b"L", turned = b"T"
    cdef double eta[CHUNK]
    cdef double mine[CHUNK]
    cdef double weight[CHUNK]
    cdef double root[CHUNK]
    memset(H, 0, N * N * sizeof(double))
    memset(slope, 0, N * sizeof(double))
    memset(size, 0, N * sizeof(double))
    for c in range((n + CHUNK - 1) // CHUNK):
        first = c * CHUNK
        rows = min(CHUNK, n - first)
        for i in range(rows):
            weight[i] = max(1 if s == NULL else s[first + i], 0.)
            root[i] = sqrt(weight[i])
        for a in range(m):
            for i in range(rows):                        # rows without weight may hold anything
                Z[a * CHUNK + i] = root[i] * z[a * n + first + i] if weight[i] > 0 else 0
        for t in range(K):
            for i in range(rows):
                eta[i] = linear[t * n + first + i] + offset[t * n + first + i]
            fr_logistic(rows, y + t * n + first, eta, NULL, mine, NULL)
            for i in range(rows):
                mine[i] = root[i] * mine[i] if weight[i] > 0 else 0
            for a in range(m):
                u = U + (t * m + a) * CHUNK
                for i in range(rows):
                    share = mine[i] * Z[a * CHUNK + i]
                    slope[t * m + a] -= share
                    size[t * m + a] += fabs(share)
                    u[i] = mine[i] * z[a * n + first + i] if weight[i] > 0 else 0
                    if y[t * n + first + i] > 0:
                        u[i] += Z[a * CHUNK + i]
                for b in range(a + 1):
                    H[(t * m + b) * N + t * m + a] += fr_vdot(rows, u, Z + b * CHUNK)
        depth = <int> rows
        dsyrk(&lower, &turned, &order, &depth, &minus, U, &lead, &one, H, &order)


cdef double classes_step(Py_ssize_t K, Py_ssize_t m, double *H, double *slope, const double *size, const char *held,
                         double reach, double *work, double *step) noexcept nogil:
    """A step of Newton's method for what `classes_model` describes; the largest change, 0 where slopes are rounding.

    Where there is hardly any curvature it is the slope that says where, and `reach` how far. Those `held` stay; of a
    column that is not held in any class the changes add up to zero. H and slope are overwritten."""
    cdef Py_ssize_t t, k, a, i, j, N = K * m
    cdef double *spare = work
    cdef double scale, most, worst = 0
    cdef int order = <int> N, one = 1, info = 0
    cdef char lower = b"L"
    for i in range(N):
        if held[i]:
            slope[i] = 0
            for j in range(N):
                H[min(i, j) * N + max(i, j)] = 0
        elif fabs(slope[i]) <= ROUNDING * size[i]:
            slope[i] = 0
        worst = max(worst, fabs(slope[i]))
    memset(step, 0, N * sizeof(double))
    if worst == 0:
        return 0
    for a in range(m):
        scale = _diagonal(K, m, a, H, held)
        for t in range(K):
            i = t * m + a
            H[i * N + i] += 1 if held[i] else RIDGE * (scale + H[i * N + i])
            for k in range(t + 1 if scale > 0 else 0):   # a shift of all changes nothing: the step has none
                H[(k * m + a) * N + i] += scale
    memcpy(spare, H, N * N * sizeof(double))
    memcpy(step, slope, N * sizeof(double))
    dposv(&lower, &order, &one, spare, &order, step, &order, &info)
    most = _centred(K, m, held, step)
    if info != 0 or most > reach:
        _bent_step(N, H, slope, reach, work, step)
        most = _centred(K, m, held, step)
    return most


cdef double _diagonal(Py_ssize_t K, Py_ssize_t m, Py_ssize_t a, const double *H, const char *held) noexcept nogil:
    """Mean curvature of a column's coefficients; 0 where one of them is held."""
    cdef Py_ssize_t t, N = K * m
    cdef double total = 0
    for t in range(K):
        if held[t * m + a]:
            return 0
        total += H[(t * m + a) * (N + 1)]
    return total / K


cdef void _bent_step(Py_ssize_t N, double *H, const double *slope, double reach, double *work,
                     double *step) noexcept nogil:
    """Newton's step where no direction of the eigenvectors is followed further than `reach`."""
    cdef Py_ssize_t j
    cdef double *values = work
    cdef double *spare = work + N
    cdef double along, bend, total = 0
    cdef int order = <int> N, room = <int> (36 * N), info = 0
    cdef char lower = b"L", vectors = b"V"
    dsyev(&vectors, &lower, &order, H, &order, values, spare, &room, &info)
    memset(step, 0, N * sizeof(double))
    for j in range(N):
        total += fabs(slope[j])
    for j in range(N if info == 0 else 0):
        along = fr_vdot(N, H + j * N, slope)
        bend = max(values[j], fabs(along) / reach)
        if fabs(along) > ROUNDING * total:
            fr_axpy(N, along / bend, H + j * N, step)


cdef double _centred(Py_ssize_t K, Py_ssize_t m, const char *held, double *step) noexcept nogil:
    """Without what is rounding: changes of those held, and what a column that is not held has in common; the largest
    left."""
    cdef Py_ssize_t t, a
    cdef double mean, most = 0
    for a in range(m):
        mean = 0
        for t in range(K):
            mean += step[t * m + a] / K
        for t in range(K):
            if held[t * m + a]:
                step[t * m + a] = mean = 0
        for t in range(K):
            step[t * m + a] -= mean
            most = max(most, fabs(step[t * m + a]))
    return most


cdef Py_ssize_t classes_fit_work(Py_ssize_t K, Py_ssize_t m) noexcept nogil:
    """Numbers that `classes_fit` works on."""
    cdef Py_ssize_t N = K * m
    return 3 * N * N + 41 * N + (N + m) * CHUNK


cdef void classes_fit(Py_ssize_t n, Py_ssize_t K, Py_ssize_t m, const double *y, const double *s, const double *z,
                      const double *lo, const double *hi, double *w, double *linear, double *top, double *after,
                      double *offset, double *work) noexcept nogil:
    """To where the loss is least in the coefficients w of m columns of every class, within their limits.

    Newton's method, a step being halved that raises the loss. z: the columns (m, n), at unit root mean square; w, lo,
    hi: all columns of a class before those of the next; linear moves with w, and leaves top, after and offset as
    `classes_offsets` does."""
    cdef Py_ssize_t first = 0, N = K * m
    cdef double *H = work
    cdef double *slope = H + N * N
    cdef double *size = slope + N
    cdef double *step = size + N
    cdef char *held = <char *> (step + N)
    cdef double *spare = step + 2 * N
    cdef int trial
    cdef bint lost
    cdef double loss, whole = 1, part = 1, least = INFINITY, newton = 1, reach = FAR
    for trial in range(STEPS):
        classes_offsets(n, K, linear, top, after, offset)
        lost = part < whole and part * newton <= LEAST_STEP
        if newton <= NEAR or (lost and reach == FAR) or trial == STEPS - 1:
            return
        loss = classes_loss(n, K, y, s, linear)
        if loss > least * (1 + LOST) and not lost:
            part *= 0.5
            _go(n, K, m, z, step, -part, lo, hi, w, linear)
            continue
        if lost:                                         # of a reach at which directions are rounding
            part = newton = 1
        reach = 2 * reach if part * newton > 0.5 * reach else FAR
        least = loss
        classes_model(n, K, m, y, s, linear, offset, z, spare, H, slope, size)
        newton = _within(K, m, H, slope, size, lo, hi, w, reach, spare, held, step)
        part = whole = _room(N, step, lo, hi, w, &first)
        _go(n, K, m, z, step, part, lo, hi, w, linear)
        if whole < 1:                                    # but for rounding it is there
            w[first] = hi[first] if step[first] > 0 else lo[first]


cdef double _room(Py_ssize_t N, const double *step, const double *lo, const double *hi, const double *w,
                  Py_ssize_t *first) noexcept nogil:
    """How much of a step the limits leave, at most all of it, and whose come first."""
    cdef Py_ssize_t i
    cdef double room, part = 1
    for i in range(N):
        room = (hi[i] if step[i] > 0 else lo[i]) - w[i]
        if step[i] != 0 and room / step[i] < part:
            part, first[0] = room / step[i], i
    return part


cdef double _within(Py_ssize_t K, Py_ssize_t m, double *H, double *slope, const double *size, const double *lo,
                    const double *hi, const double *w, double reach, double *work, char *held,
                    double *step) noexcept nogil:
    """`classes_step` on the coefficients that their limits do not hold, again while it holds more."""
    cdef Py_ssize_t i, N = K * m
    cdef double *H_left = work
    cdef double *slope_left = work + N * N
    cdef double newton = 0
    cdef bint more = True
    for i in range(N):
        held[i] = (slope[i] < 0 and w[i] <= lo[i]) or (slope[i] > 0 and w[i] >= hi[i])
    while more:
        memcpy(H_left, H, N * N * sizeof(double))
        memcpy(slope_left, slope, N * sizeof(double))
        newton = classes_step(K, m, H_left, slope_left, size, held, reach, slope_left + N, step)
        more = False
        for i in range(N):
            if not held[i] and ((step[i] < 0 and w[i] <= lo[i]) or (step[i] > 0 and w[i] >= hi[i])):
                held[i] = more = True
    return newton


cdef void _go(Py_ssize_t n, Py_ssize_t K, Py_ssize_t m, const double *z, const double *step, double part,
              const double *lo, const double *hi, double *w, double *linear) noexcept nogil:
    """A part of a step."""
    cdef Py_ssize_t t, a
    cdef double move
    for t in range(K):
        for a in range(m):
            move = w[t * m + a]
            w[t * m + a] = min(max(move + part * step[t * m + a], lo[t * m + a]), hi[t * m + a])
            move = w[t * m + a] - move
            if move != 0:
                fr_axpy(n, move, z + a * n, linear + t * n)


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
