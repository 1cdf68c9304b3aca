"""Exact solution of the small problem on the working set, from a warm start.

    minimise  1/2 w'Gw - q'w + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2   subject to  lo_j <= w_j <= hi_j

with g = q - Gw kept instead of q. Design:

a) **Newton on the support** by its Cholesky factor. With signs and support fixed the problem is a linear system, so the
   step d ends at the solution unless a coordinate meets zero or a bound on the way.
b) **Bent path.** Such a coordinate is frozen where it meets its bound and the others go on: the objective along the
   bent path is piecewise quadratic, its slope and curvature are updated in O(|S|) per bend, and the walk stops at its
   exact minimum. The objective falls with every step, no trial step is ever evaluated.
c) **Sweeps.** When many coordinates want to enter at once, a few epochs of cyclic coordinate descent choose among them.
d) **Dependent columns** stay out of the factor. If one is not at zero, or still violates its condition at the
   optimum over the support, w slides along the null direction (the fit does not change, the penalty falls) until a
   coordinate of the support reaches zero and they swap places, or the column itself does.
"""
from libc.math cimport INFINITY, fabs
from libc.stdlib cimport free, qsort
from libc.string cimport memcpy, memset

from fastreg.kernels.factor cimport (
    factor_append, factor_clear, factor_free, factor_init, factor_remove, factor_solve)
from fastreg.kernels.leaf cimport fr_axpy, fr_axpy4, fr_vdot
from fastreg.kernels.memory cimport grow


cdef int quad_init(Quad *q) noexcept nogil:
    memset(q, 0, sizeof(Quad))
    return factor_init(&q.f)


cdef void quad_free(Quad *q) noexcept nogil:
    free(q.w)
    free(q.st)
    free(q.list_)
    factor_free(&q.f)


cdef int quad_reserve(Quad *q, Py_ssize_t cap) except -1 nogil:
    """Room for cap coordinates; the double arrays share one allocation (the breakpoints take two places each)."""
    cdef Py_ssize_t k
    cdef double *old
    cdef double *new = NULL
    cdef int *ints = NULL
    if cap <= q.cap:
        return 0
    cap = max(cap, q.cap + q.cap // 2, 16)
    grow(<void **> &new, 17 * cap * sizeof(double))
    old = q.w
    for k in range(9):
        if q.m > 0:
            memcpy(new + k * cap, old + k * q.cap, q.m * sizeof(double))
    free(old)
    q.w, q.g, q.l1, q.l2 = new, new + cap, new + 2 * cap, new + 3 * cap
    q.lo, q.hi, q.sg, q.seen = new + 4 * cap, new + 5 * cap, new + 6 * cap, new + 7 * cap
    q.l2f, q.rem, q.d, q.rate = new + 8 * cap, new + 9 * cap, new + 10 * cap, new + 11 * cap
    q.res, q.dir, q.mdir, q.tb = new + 12 * cap, new + 13 * cap, new + 14 * cap, new + 15 * cap
    grow(<void **> &q.st, 2 * cap)
    q.flag = q.st + cap
    free(q.list_)
    q.list_ = NULL
    grow(<void **> &ints, 2 * cap * sizeof(int))
    q.list_, q.order = ints, ints + cap
    q.cap = cap
    return 0


cdef void quad_add(Quad *q, double l1, double l2, double lo, double hi, double g) noexcept nogil:
    """Append a coordinate at zero (its column of G is in place)."""
    cdef Py_ssize_t j = q.m
    q.w[j] = q.sg[j] = q.seen[j] = 0
    q.l1[j], q.l2[j], q.lo[j], q.hi[j], q.g[j] = l1, l2, lo, hi, g
    q.st[j] = OUT
    q.m += 1


cdef bint quad_violates(const Quad *q, Py_ssize_t j, double *sign) noexcept nogil:
    """Does coordinate j, outside the support, violate its optimality condition? If so, the sign it would take."""
    cdef double l1 = q.l1[j], tol = quad_tolerance(q, j), h = q.g[j] - q.l2[j] * q.w[j]
    if q.st[j] == AT_UPPER:
        sign[0] = 1 if l1 > 0 else 0
        return h < sign[0] * l1 - tol
    if q.st[j] == AT_LOWER:
        sign[0] = -1 if l1 > 0 else 0
        return h > sign[0] * l1 + tol
    if h > l1 + tol and q.hi[j] > 0:
        sign[0] = 1 if l1 > 0 else 0
        return True
    if h < -l1 - tol and q.lo[j] < 0:
        sign[0] = -1 if l1 > 0 else 0
        return True
    return False


# ---- the support ---------------------------------------------------------------------------------------------------
cdef int _append(Quad *q, const int *js, Py_ssize_t m) except -1 nogil:
    cdef Py_ssize_t k
    factor_append(&q.f, q.G, q.ldg, q.l2, js, m, q.flag)
    for k in range(m):
        q.st[js[k]] = WAITING if q.flag[k] else FREE
        q.l2f[js[k]] = q.l2[js[k]]
    return 0


cdef int _enter(Quad *q, const int *js, Py_ssize_t m) except -1 nogil:
    """_append, then slide those that depend on the support but are not at zero until they have left or belong to it."""
    cdef Py_ssize_t j
    _append(q, js, m)
    for j in range(q.m):
        if q.st[j] == WAITING and q.w[j] != 0:
            _slide(q, j)
    return 0


cdef char _state_at_rest(const Quad *q, Py_ssize_t j) noexcept nogil:
    """State of a coordinate outside the support, from its value."""
    if q.w[j] == 0:
        return OUT
    return AT_UPPER if q.w[j] == q.hi[j] else AT_LOWER


cdef int _drop(Quad *q) except -1 nogil:
    """Remove from the factor the coordinates that are no longer FREE; keeps rem aligned with the factor."""
    cdef Py_ssize_t i, d = 0, to = 0
    for i in range(q.f.s):
        if q.st[q.f.idx[i]] == FREE:
            q.rem[to] = q.rem[i]
            to += 1
        else:
            q.order[d] = <int> i
            d += 1
    for i in range(q.m if d > 0 else 0):
        if q.st[i] == IDLE:
            q.st[i] = _state_at_rest(q, i)
    return factor_remove(&q.f, q.order, d)


cdef int quad_place(Quad *q, bint slide=True) except -1 nogil:
    """Bring states, signs and the factor in line with w and the present penalties.

    Coordinates that depend on the support slide until they have left or belong to it; unless w is to be judged as it
    is."""
    cdef Py_ssize_t j, n = 0
    for j in range(q.m):
        if q.w[j] == q.hi[j] or q.w[j] == q.lo[j] or (q.w[j] == 0 and (q.st[j] != FREE or q.l1[j] > 0)):
            q.st[j] = _state_at_rest(q, j)
        elif q.st[j] != FREE:
            q.list_[n] = <int> j
            n += 1
        q.sg[j] = 0 if q.l1[j] == 0 else (q.w[j] > 0) - (q.w[j] < 0)
    _drop(q)
    return _enter(q, q.list_, n) if slide else _append(q, q.list_, n)


cdef bint quad_settled(const Quad *q) noexcept nogil:
    """Do all coordinates meet their optimality conditions at the present g?"""
    cdef Py_ssize_t j
    cdef double sign = 0
    for j in range(q.m):
        if q.st[j] == FREE:
            if fabs(q.g[j] - q.l2[j] * q.w[j] - q.l1[j] * q.sg[j]) > quad_tolerance(q, j):
                return False
        elif q.st[j] != IDLE and quad_violates(q, j, &sign):
            return False
    return True


cdef int quad_set_l2(Quad *q) except -1 nogil:
    """The l2 terms have changed: rebuild the factor if the one at hand is no good preconditioner any more."""
    cdef Py_ssize_t i, s = q.f.s
    cdef double l2, old
    cdef bint far = False
    for i in range(s):
        l2, old = q.l2[q.f.idx[i]], q.l2f[q.f.idx[i]]
        far |= l2 < 0.65 * old or l2 > 1.5 * old or (s < 64 and l2 != old)
    if far:
        memcpy(q.list_, q.f.idx, s * sizeof(int))
        factor_clear(&q.f)
        _enter(q, q.list_, s)
    return 0


# ---- gradient ------------------------------------------------------------------------------------------------------
cdef int quad_refresh(Quad *q, bint everywhere) noexcept nogil:
    """Make g valid at w: outside the support only (Newton keeps it inside), or everywhere."""
    cdef Py_ssize_t j, k, n = 0, m = q.m, ld = q.ldg, rows = 0
    cdef double a[4]
    for j in range(m):
        q.rate[j] = q.w[j] - q.seen[j]
        q.seen[j] = q.w[j]
        rows += everywhere or q.st[j] != FREE
        if q.rate[j] != 0:
            q.list_[n] = <int> j
            n += 1
    if n == 0:
        return 0
    if rows < n:
        for j in range(m):
            if everywhere or q.st[j] != FREE:
                q.g[j] -= fr_vdot(m, q.G + j * ld, q.rate)
        return 0
    if not everywhere:
        memcpy(q.tb, q.g, m * sizeof(double))
    for k in range(0, n - 3, 4):
        for j in range(4):
            a[j] = -q.rate[q.list_[k + j]]
        fr_axpy4(m, a, q.G + q.list_[k] * ld, q.G + q.list_[k + 1] * ld, q.G + q.list_[k + 2] * ld,
                 q.G + q.list_[k + 3] * ld, q.g)
    for k in range(n - n % 4, n):
        j = q.list_[k]
        fr_axpy(m, -q.rate[j], q.G + j * ld, q.g)
    if not everywhere:
        for k in range(q.f.s):
            j = q.f.idx[k]
            q.g[j] = q.tb[j]
    return 0


# ---- Newton along the bent path ------------------------------------------------------------------------------------
cdef int by_time(const void *a, const void *b) noexcept nogil:
    cdef double s = (<const Break *> a).t, t = (<const Break *> b).t
    if s != t:
        return -1 if s < t else 1
    return (<const Break *> a).i - (<const Break *> b).i


cdef double quad_breakpoint(const Quad *q, Py_ssize_t j, double d) noexcept nogil:
    """How far along d coordinate j may go before it meets zero (with its sign held) or a bound."""
    cdef double w = q.w[j], t = INFINITY
    if d == 0:
        return t
    if q.sg[j] != 0 and d * q.sg[j] < 0:
        t = max(0., -w / d)
    if d > 0:
        if q.hi[j] < INFINITY:
            t = min(t, max(0., (q.hi[j] - w) / d))
    elif q.lo[j] > -INFINITY:
        t = min(t, max(0., (q.lo[j] - w) / d))
    return t


cdef void quad_freeze(Quad *q, Py_ssize_t j, double d) noexcept nogil:
    """Coordinate j has met zero or a bound while moving along d."""
    if q.sg[j] != 0 and d * q.sg[j] < 0:
        q.w[j], q.st[j] = 0, OUT
    elif d > 0:
        q.w[j] = q.hi[j]
        q.st[j] = AT_UPPER if q.hi[j] != 0 else OUT
    else:
        q.w[j] = q.lo[j]
        q.st[j] = AT_LOWER if q.lo[j] != 0 else OUT


cdef Py_ssize_t _walk(Quad *q, Break *breaks) noexcept nogil:
    """Walk along the bent path of step q.d to its first minimum; returns how many coordinates were frozen."""
    cdef Py_ssize_t s = q.f.s, i, a, j, nb = 0, frozen = 0
    cdef double t = 0, dt, end, slope = 0, curve = 0, tmp
    cdef const double *col
    for i in range(s):
        tmp = quad_breakpoint(q, q.f.idx[i], q.d[i])
        if tmp < 4:                       # beyond a few full steps the quadratic has long been left behind
            breaks[nb].t, breaks[nb].i = tmp, <int> i
            nb += 1
        slope -= q.rem[i] * q.d[i]
        curve -= q.rate[i] * q.d[i]
    if nb > 1:
        qsort(breaks, nb, sizeof(Break), by_time)
    while True:
        end = t - slope / curve if curve > 0 else t
        dt = (breaks[frozen].t if frozen < nb else 4.) - t
        if end - t <= dt:
            dt = end - t
        for i in range(s):
            q.rem[i] += dt * q.rate[i]
        t += dt
        if t >= end or frozen >= nb:
            break
        i = breaks[frozen].i
        frozen += 1
        j = q.f.idx[i]
        quad_freeze(q, j, q.d[i])
        col = q.G + j * q.ldg
        tmp = q.d[i]
        q.d[i] = 0
        q.rate[i] += tmp * q.l2[j]
        slope = curve = 0
        for a in range(s):
            q.rate[a] += tmp * col[q.f.idx[a]]
            slope -= q.rem[a] * q.d[a]
            curve -= q.rate[a] * q.d[a]
        if slope >= 0:
            break
    for i in range(s):
        if q.d[i] != 0:
            q.w[q.f.idx[i]] += t * q.d[i]
    return frozen


cdef void _direction(Quad *q) noexcept nogil:
    """Newton direction d and its rate of change -(G + l2) d.

    Where the factor holds other l2 terms (an elastic net at the next alpha) it preconditions conjugate gradients:
    M = G + l2f is inverted exactly and differs from A = G + l2 by a diagonal, so that A p comes from M p for free."""
    cdef Py_ssize_t i, it, s = q.f.s
    cdef double rz = 0, old, step, pap, worst
    cdef bint stale = False
    memcpy(q.res, q.rem, s * sizeof(double))
    memset(q.d, 0, s * sizeof(double))
    for it in range(40):
        memcpy(q.tb, q.res, s * sizeof(double))
        factor_solve(&q.f, q.tb)
        old, rz, pap, worst = rz, 0, 0, 0
        for i in range(s):
            rz += q.res[i] * q.tb[i]
        for i in range(s):
            step = rz / old if it > 0 else 0
            q.dir[i] = q.tb[i] + (step * q.dir[i] if it > 0 else 0)
            q.mdir[i] = q.res[i] + (step * q.mdir[i] if it > 0 else 0)
            q.rate[i] = (q.l2f[q.f.idx[i]] - q.l2[q.f.idx[i]]) * q.dir[i]
            stale |= q.rate[i] != 0
            pap += q.dir[i] * (q.mdir[i] - q.rate[i])
        if not pap > 0:
            break
        step = rz / pap if stale else 1
        for i in range(s):
            q.d[i] += step * q.dir[i]
            q.res[i] -= step * (q.mdir[i] - q.rate[i])
            worst = max(worst, fabs(q.res[i]) / quad_tolerance(q, q.f.idx[i]))
        if not stale or worst <= 0.05 or rz <= 1e-26 * old:
            break
    for i in range(s):
        q.rate[i] = q.res[i] - q.rem[i]


cdef int _newton(Quad *q) except -1 nogil:
    """Minimise over the support; a step that is not blocked ends there, up to rounding (and a stale factor)."""
    cdef Py_ssize_t i, j, frozen, tries = 0
    cdef double worst
    for i in range(q.f.s):
        j = q.f.idx[i]
        q.rem[i] = q.g[j] - q.l2[j] * q.w[j] - q.l1[j] * q.sg[j]
    while q.f.s > 0 and tries < 3:
        worst = 0
        for i in range(q.f.s):
            j = q.f.idx[i]
            worst = max(worst, fabs(q.rem[i]) / quad_tolerance(q, j))
        if worst <= 0.1:
            break
        _direction(q)
        frozen = _walk(q, <Break *> q.tb)
        tries += 1
        if frozen > 0:
            _drop(q)
            tries = 0
    for i in range(q.f.s):
        j = q.f.idx[i]
        q.g[j] = q.rem[i] + q.l2[j] * q.w[j] + q.l1[j] * q.sg[j]
    return 0


cdef double quad_polish(Quad *q) except -1 nogil:
    """One step of refinement with the g at hand if the support has free coordinates and nothing blocks the way.

    Returns the size of the step against that of w; 0 when none was made."""
    cdef Py_ssize_t i, j, s = q.f.s
    cdef bint free_ = False
    cdef double step = 0
    for i in range(s):
        j = q.f.idx[i]
        free_ |= q.l1[j] == 0 and q.l2[j] == 0
        q.rem[i] = q.g[j] - q.l2[j] * q.w[j] - q.l1[j] * q.sg[j]
    if not free_:
        return 0
    _direction(q)
    for i in range(s):
        if quad_breakpoint(q, q.f.idx[i], q.d[i]) <= 1:
            return 0
        step = max(step, fabs(q.d[i]) / (fabs(q.w[q.f.idx[i]]) + 1e-300))
    for i in range(s):
        q.w[q.f.idx[i]] += q.d[i]
    return step


# ---- entering ------------------------------------------------------------------------------------------------------
cdef int _sweep(Quad *q, const int *js, Py_ssize_t nj, int epochs) except -1 nogil:
    """Cyclic coordinate descent over js and the support, then the support is what is not at zero or a bound."""
    cdef Py_ssize_t k, j, n = 0, changed, s = q.f.s
    cdef int _
    cdef double h, w, gjj, moved
    for _ in range(epochs):
        changed = 0
        for k in range(s + nj):
            j = q.f.idx[k] if k < s else js[k - s]
            gjj = q.G[j * q.ldg + j]
            if gjj + q.l2[j] <= 0:
                continue
            h = q.g[j] + gjj * q.w[j]
            if h > q.l1[j]:
                w = (h - q.l1[j]) / (gjj + q.l2[j])
            elif h < -q.l1[j]:
                w = (h + q.l1[j]) / (gjj + q.l2[j])
            else:
                w = 0
            w = min(max(w, q.lo[j]), q.hi[j])
            moved = w - q.w[j]
            if moved != 0:
                changed += (w == 0) != (q.w[j] == 0)
                fr_axpy(q.m, -moved, q.G + j * q.ldg, q.g)
                q.w[j] = q.seen[j] = w
        if changed == 0:
            break
    for k in range(s + nj):
        j = q.f.idx[k] if k < s else js[k - s]
        if q.w[j] == 0 and (q.l1[j] > 0 or q.lo[j] == 0 or q.hi[j] == 0):
            q.st[j] = OUT
        elif q.w[j] == q.hi[j]:
            q.st[j] = AT_UPPER
        elif q.w[j] == q.lo[j]:
            q.st[j] = AT_LOWER
        else:
            q.sg[j] = 0 if q.l1[j] == 0 else (1 if q.w[j] > 0 else -1)
            if k >= s:
                q.order[n] = <int> j
                n += 1
    memcpy(q.list_, q.order, n * sizeof(int))
    _drop(q)
    return _enter(q, q.list_, n)


cdef int _slide(Quad *q, Py_ssize_t j) except -1 nogil:
    """Coordinate j depends on the support: move along the null direction, downhill in the penalty, to its first event.

    Either a coordinate of the support reaches zero (or a bound) and j takes its place in the factor, or j does."""
    cdef Py_ssize_t i, k, s = q.f.s, first = -1
    cdef double step = INFINITY, own, dj, slope
    cdef int one = <int> j
    _append(q, &one, 1)
    if q.st[j] == FREE:                                # no longer dependent: coordinates have left since
        return 0
    if q.w[j] == 0:
        q.sg[j] = 0 if q.l1[j] == 0 else (1 if q.g[j] > 0 else -1)
    for i in range(s):
        q.d[i] = -q.G[j * q.ldg + q.f.idx[i]]
    factor_solve(&q.f, q.d)                            # w_j + t, w_S + t d leaves the fit as it is
    slope = q.l1[j] * q.sg[j]
    for i in range(s):
        slope += q.l1[q.f.idx[i]] * q.sg[q.f.idx[i]] * q.d[i]
    if fabs(slope) <= quad_tolerance(q, j):
        if q.w[j] == 0 or q.w[j] == q.lo[j] or q.w[j] == q.hi[j]:
            q.st[j] = IDLE                             # what violated was rounding
            return 0
        q.w[j], q.st[j] = 0, OUT                       # Newton fits the others anew
        return quad_refresh(q, True)
    dj = -1 if slope > 0 else 1
    own = quad_breakpoint(q, j, dj)
    for i in range(s):
        q.d[i] *= dj
        if quad_breakpoint(q, q.f.idx[i], q.d[i]) < step:
            step, first = quad_breakpoint(q, q.f.idx[i], q.d[i]), i
    if min(own, step) == INFINITY:                     # nothing penalised takes part: a violation by rounding alone
        q.w[j], q.st[j] = 0, OUT
        return quad_refresh(q, True)
    for i in range(s):
        k = q.f.idx[i]
        q.w[k] += min(own, step) * q.d[i]
        q.rem[i] = 0
    if own <= step:
        quad_freeze(q, j, dj)
    else:
        q.w[j] += step * dj
        quad_freeze(q, q.f.idx[first], q.d[first])
        _drop(q)
        _append(q, &one, 1)
        if q.st[j] != FREE:                            # numerically still dependent: leave it at zero
            q.w[j], q.st[j] = 0, OUT
    return quad_refresh(q, True)


cdef Py_ssize_t _entering(Quad *q, Py_ssize_t *waiting) noexcept nogil:
    """Violators into q.list_ (returned: how many) and the worst waiting violator (or -1)."""
    cdef Py_ssize_t j, n = 0
    cdef double sign = 0, worst = 0
    waiting[0] = -1
    for j in range(q.m):
        if q.st[j] == FREE or q.st[j] == IDLE or not quad_violates(q, j, &sign):
            continue
        q.sg[j] = sign
        if q.st[j] != WAITING:
            q.list_[n] = <int> j
            n += 1
        elif fabs(q.g[j]) - q.l1[j] > worst:
            worst, waiting[0] = fabs(q.g[j]) - q.l1[j], j
    return n


cdef int quad_solve(Quad *q, int rounds) except -1 nogil:
    """Up to `rounds` rounds of enter, Newton, refresh; returns 1 when the small problem is solved, 0 otherwise."""
    cdef Py_ssize_t n, wait
    cdef int _
    for _ in range(rounds):
        _newton(q)
        quad_refresh(q, False)
        n = _entering(q, &wait)
        if n == 0 and wait < 0:
            return 1
        if n == 0:
            _slide(q, wait)
        elif n >= 8 and 4 * n >= q.f.s:
            _sweep(q, q.list_, n, 4)
        else:
            _enter(q, q.list_, n)
    return 0
