"""The problem on the working set where its Gram matrix would not fit into memory: products with X alone.

Newton-CG on the face of the support: signs are held, conjugate gradients (preconditioned by the diagonal) solve for
the step as far as the last one made it worth while, and the walk goes along it, bent where a coordinate meets zero or
a bound, to the exact minimum, as in ``kernels.quadratic``; a bend costs one column and a few products of length n.
[Faces explored by conjugate gradients: Moré and Toraldo, SIAM J. Optim. 1 (1991)]
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport free, qsort
from libc.string cimport memcpy, memset

from fastreg.kernels.factor cimport factor_free
from fastreg.kernels.leaf cimport fr_axpy, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.quadratic cimport (
    AT_LOWER, AT_UPPER, FREE, OUT, Break, Quad, by_time, quad_breakpoint, quad_freeze)
from fastreg.kernels.threads cimport go_on
from fastreg.kernels.view cimport View
from fastreg.solvers.small cimport Small, SmallSolver
from fastreg.solvers.state cimport State, measure

cdef int STEPS = 30              # Newton steps in one call
cdef int ITERATIONS = 500        # of conjugate gradients in one step

cdef enum:
    BENDS = 32                   # columns fetched at a time for the bends of a walk


cdef struct Face:
    Py_ssize_t m         # free coordinates
    int *pos             # their positions in the working set
    int *col             # their columns of X
    double *rem          # stationarity residual
    double *d            # step
    double *res          # work of conjugate gradients
    double *dir
    double *prod
    double *xd           # X times a step (n)
    double *v            # X times a direction (n)
    double *columns      # of coming bends (n x BENDS)
    Break *breaks
    Py_ssize_t n_breaks


cdef int free_residual(View d, const int *cols, Py_ssize_t m, const double *w, const double *y,
                       double *r) except -1 nogil:
    """r = y - X w."""
    cdef Py_ssize_t i
    d.combine(cols, m, w, r)
    for i in range(d.n):
        r[i] = y[i] - r[i]
    return 0


cdef int free_correlate(View d, const int *cols, Py_ssize_t m, const double *r, double *g) except -1 nogil:
    """g = X'r, by a whole pass where storage gives no single columns."""
    cdef Py_ssize_t i
    cdef double *v = NULL
    cdef double *whole = NULL
    grow(<void **> &v, d.n * sizeof(double))
    for i in range(d.n):
        v[i] = r[i] * (1 if d.root == NULL else d.root[i])
    if d.sparse() and d.across():
        grow(<void **> &whole, d.p * sizeof(double))
        d.stream(NULL, d.p, v, 1, whole, d.p)
        for i in range(m):
            g[i] = whole[cols[i]]
        free(whole)
    else:
        d.stream(cols, m, v, 1, g, m)
    free(v)
    return 0


cdef double _face(Quad *q, View d, const int *cols, bint open_, Face *f) noexcept nogil:
    """The free coordinates, their signs and residuals; returns the largest residual against its tolerance.

    Only an open face takes in new coordinates: after a bend it stays closed until it has been minimised over, or
    coordinates that a step sends back at once would come and go for ever."""
    cdef Py_ssize_t j, k = 0
    cdef double h, e, s, worst = 0
    for j in range(q.m):
        if not open_ and q.st[j] != FREE:
            continue
        h, s = q.g[j] - q.l2[j] * q.w[j], 0
        q.st[j] = OUT if q.w[j] == 0 else (AT_UPPER if q.w[j] == q.hi[j] else AT_LOWER)
        if q.w[j] != 0:
            s = 1 if q.w[j] > 0 else -1
        elif h > q.l1[j] and q.hi[j] > 0:
            s = 1
        elif h < -q.l1[j] and q.lo[j] < 0:
            s = -1
        elif q.l1[j] > 0:
            continue
        q.sg[j] = 0 if q.l1[j] == 0 else s
        e = h - q.l1[j] * q.sg[j]
        if (e > 0 and q.w[j] >= q.hi[j]) or (e < 0 and q.w[j] <= q.lo[j]):
            continue
        q.st[j] = FREE
        worst = max(worst, fabs(e) / (_tolerance(q, d, j, cols[j])))
        if f != NULL:
            f.pos[k], f.col[k], f.rem[k] = <int> j, cols[j], e
            k += 1
    if f != NULL:
        f.m = k
    return worst


cdef inline double _tolerance(const Quad *q, View d, Py_ssize_t j, Py_ssize_t column) noexcept nogil:
    return q.slack * q.l1[j] + q.noise * d.norm[column] + q.loose * sqrt(q.l2[j]) + 1e-300


cdef bint free_settled(Quad *q, View d, const int *cols) noexcept nogil:
    """Do all coordinates meet their optimality conditions at the present g?"""
    return _face(q, d, cols, True, NULL) <= 1


cdef int _conjugate_gradients(const Quad *q, View d, Face *f, double accuracy, double worst) except -1 nogil:
    """d with (X'X + l2) d = rem on the face, until the largest residual has fallen to `accuracy` of the first."""
    cdef Py_ssize_t k, j
    cdef int it
    cdef double rz = 0, old, step, pap, now, z
    memset(f.d, 0, f.m * sizeof(double))
    memcpy(f.res, f.rem, f.m * sizeof(double))
    for it in range(ITERATIONS):
        old, rz, pap, now = rz, 0, 0, 0
        for k in range(f.m):
            z = f.res[k] / (d.norm[f.col[k]] * d.norm[f.col[k]] + q.l2[f.pos[k]])
            rz += z * f.res[k]
            f.prod[k] = z
        for k in range(f.m):
            f.dir[k] = f.prod[k] + (rz / old * f.dir[k] if it > 0 else 0)
        d.combine(f.col, f.m, f.dir, f.v)
        free_correlate(d, f.col, f.m, f.v, f.prod)
        for k in range(f.m):
            f.prod[k] += q.l2[f.pos[k]] * f.dir[k]
            pap += f.prod[k] * f.dir[k]
        if not pap > 1e-13 * rz:                 # a direction the fit does not feel: as far as its first event
            step = INFINITY
            for k in range(f.m):
                step = min(step, quad_breakpoint(q, f.pos[k], f.dir[k]))
            if it == 0 and step < INFINITY:
                for k in range(f.m):
                    f.d[k] = step * f.dir[k]
            break
        step = rz / pap
        for k in range(f.m):
            j = f.pos[k]
            f.d[k] += step * f.dir[k]
            f.res[k] -= step * f.prod[k]
            now = max(now, fabs(f.res[k]) / _tolerance(q, d, j, f.col[k]))
        if now <= max(accuracy * worst, 0.3):
            break
        go_on()
    return 0


cdef void _find_breaks(const Quad *q, Face *f) noexcept nogil:
    """Where along d each free coordinate meets zero or a bound, in order."""
    cdef Py_ssize_t k
    cdef double t
    f.n_breaks = 0
    for k in range(f.m):
        t = quad_breakpoint(q, f.pos[k], f.d[k])
        if t < 2:                         # beyond a full step or two nobody walks
            f.breaks[f.n_breaks].t, f.breaks[f.n_breaks].i = t, <int> k
            f.n_breaks += 1
    qsort(f.breaks, f.n_breaks, sizeof(Break), by_time)


cdef int _walk(Quad *q, View d, Face *f, double *r) except -1 nogil:
    """Along the bent path of step d to its first minimum, w and r with it; returns how many bends there were."""
    cdef Py_ssize_t k, j, b = 0, next_
    cdef double slope, curve, dt, t = 0, end
    cdef int cols[BENDS]
    _find_breaks(q, f)
    d.combine(f.col, f.m, f.d, f.xd)
    while True:
        slope, curve = fr_vdot(d.n, r, f.xd), fr_vdot(d.n, f.xd, f.xd)
        for k in range(f.m):
            j = f.pos[k]
            slope -= (q.l2[j] * q.w[j] + q.l1[j] * q.sg[j]) * f.d[k]
            curve += q.l2[j] * f.d[k] * f.d[k]
        if not slope > 0:
            break
        end = f.breaks[b].t if b < f.n_breaks else 2.
        dt = min(slope / curve if curve > 0 else INFINITY, end - t)
        for k in range(f.m):
            q.w[f.pos[k]] += dt * f.d[k]
        fr_axpy(d.n, -dt, f.xd, r)
        if dt < end - t or b == f.n_breaks:
            break
        t = end
        if b % BENDS == 0:
            for next_ in range(b, min(b + BENDS, f.n_breaks)):
                cols[next_ - b] = f.col[f.breaks[next_].i]
            d.gather(cols, min(BENDS, f.n_breaks - b), f.columns)
        k = f.breaks[b].i
        quad_freeze(q, f.pos[k], f.d[k])
        fr_axpy(d.n, -f.d[k], f.columns + (b % BENDS) * d.n, f.xd)
        f.d[k] = 0
        b += 1
    return <int> b


cdef int free_solve(Quad *q, View d, const int *cols, double *r) except -1 nogil:
    """Minimise over the working set from w, with r its residual (both updated); 1 when solved, 0 if steps ran out."""
    cdef Face f
    cdef Py_ssize_t m = q.m
    cdef int _
    cdef bint open_ = True
    cdef double worst, accuracy = 0.1
    cdef double *mine = NULL
    grow(<void **> &mine, (5 * m + (2 + BENDS) * d.n) * sizeof(double) + m * (2 * sizeof(int) + sizeof(Break)))
    f.rem, f.d, f.res, f.dir, f.prod = mine, mine + m, mine + 2 * m, mine + 3 * m, mine + 4 * m
    f.xd = mine + 5 * m
    f.v, f.columns = f.xd + d.n, f.xd + 2 * d.n
    f.breaks = <Break *> (f.columns + BENDS * d.n)
    f.pos = <int *> (f.breaks + m)
    f.col = f.pos + m
    try:
        for _ in range(STEPS):
            free_correlate(d, cols, m, r, q.g)
            worst = _face(q, d, cols, open_, &f)
            if worst <= 1 and not open_:
                open_ = True
                worst = _face(q, d, cols, open_, &f)
            if worst <= 1:
                return 1
            _conjugate_gradients(q, d, &f, accuracy, worst)
            open_ = _walk(q, d, &f, r) == 0
            accuracy = 0.1 * accuracy if open_ else 0.1
        return 0
    finally:
        free(mine)


cdef class Products(SmallSolver):
    """Goes on without Gram matrices and factors where they would outgrow their memory.

    Parameters
    ----------
    before : SmallSolver
        Whose small problems are taken over, all of them under the same weights; it is of no use any more.
    """

    def __cinit__(self, SmallSolver before):
        cdef Py_ssize_t t
        self._take_over(before)
        for t in range(self.n_problems):
            factor_free(&self.smalls[t].q.f)
            self.smalls[t].q.G, self.smalls[t].exact = NULL, False

    cdef int place(self, Py_ssize_t t, bint slide, bint l2_changed) except -1 nogil:
        """Nothing: signs and supports are found anew."""
        return 0

    cdef int solve(self, Py_ssize_t t, State *state) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        return free_solve(&small.q, self.batch.design, small.cols, state.r)

    cdef bint settled(self, Py_ssize_t t) noexcept nogil:
        return free_settled(&self.smalls[t].q, self.batch.design, self.smalls[t].cols)

    cdef Py_ssize_t support(self, Py_ssize_t t) noexcept nogil:
        """At most as many as there are coordinates."""
        return self.smalls[t].q.m

    cdef double polish(self, Py_ssize_t t) except -1 nogil:
        """None: steps from exact correlations are all there is."""
        return 0

    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        free_residual(self.batch.design, small.cols, small.q.m, small.q.w, self.batch.problems[t].y, state.r)
        small.exact = False
        measure(state, self.batch.n)
        return 0

    cdef int correlate(self, Py_ssize_t t, State *state) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        if small.exact:
            return 0
        free_correlate(self.batch.design, small.cols, small.q.m, state.r, small.q.g)
        memcpy(small.q.seen, small.q.w, small.q.m * sizeof(double))
        small.exact = True
        return 0

    cdef Py_ssize_t announce(self) noexcept nogil:
        """No Gram matrix; but columns of one problem are still let in early by the others."""
        cdef Py_ssize_t t, k
        for t in range(self.n_problems if self.n_problems > 1 else 0):
            for k in range(self.smalls[t].n_entering):
                self.at_hand[self.smalls[t].entering[k]] = True
        return 0

    cdef int admit(self, Py_ssize_t t, double alpha, const State *state) except -1 nogil:
        """Entering columns, whose correlations the solver starts by computing."""
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k, n = small.n_entering
        small.n_entering = 0
        if n > 0:
            self.reserve(t, small.q.m + n)
        for k in range(n):
            self.add(t, small.entering[k], alpha, 0)
        return 0

    cdef object gram(self, Py_ssize_t t, const int[::1] features):
        """None is held."""
        return None
