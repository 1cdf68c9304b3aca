"""Small problems of the classes of one loss: given the others each class is a logistic regression, and they take turns.

    f = log(sum_k exp(eta_ik)) - eta_iy

Class k reads ``eta_ik + o_ik``, ``o_ik = -log(sum_{l != k} exp(eta_il))``, as its linear predictor (see the datafit).
A round of turns is block coordinate descent, each block by Newton's method (``curved``), with curvatures that are kept;
Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent", J. Stat.
Softw. 33 (2010), go over the classes likewise.

a) **Sums without differences.** What a class reads of the others is what those before it have become, added up, and what
   those after it were: no probability near 1 is subtracted from 1.
b) **Residuals of all classes at one point** are what screening and certificate see, after the intercepts of all of them
   have been solved for together.
c) **A shift of all classes' coefficients of a column** changes no probability: it is where the penalty is least.
"""
from libc.math cimport INFINITY, exp, fabs, log, sqrt
from libc.stdlib cimport free, qsort
from libc.string cimport memcpy, memset

from scipy.linalg.cython_lapack cimport dposv

from fastreg.kernels.block cimport Block, Weighting, block_append, block_free, block_init, block_products
from fastreg.kernels.leaf cimport fr_axpy, fr_vdot
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.quadratic cimport Quad, quad_place
from fastreg.kernels.vector cimport fr_exp
from fastreg.solvers.curved cimport Curved
from fastreg.solvers.gathered cimport set_weighting
from fastreg.solvers.problem cimport Batch, Problem
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State

cdef enum:
    CHUNK = 256                  # rows whose values stay in cache
    STEPS = 2                    # of Newton's method in a turn
    LEVELS = 30                  # of Newton's method for the intercepts
    PAST = 5                    # rounds of turns whose changes tell where they are heading
cdef double LEAST = 1e-300       # a sum of exponentials, at least
cdef double FARTHEST = 600       # a linear predictor rises by so much in a turn, at most
cdef double NEAR = 1e-9, FAR = 8   # steps of the intercepts after which the next would be rounding; the longest
cdef double ROUNDING = 1e-14     # of the loss
cdef double SINGULAR = 1e-10     # of the changes' squares, what is added to their equations


cdef class Coupled(Curved):
    """Turns of the classes on one block.

    Parameters
    ----------
    batch : Batch
    """

    def __cinit__(self, Batch batch, parts):
        cdef Py_ssize_t t, i, K = batch.n_problems, n = batch.n
        cdef Problem *problem
        if batch.design.sparse():                        # rows list what one class alone needs
            self.blocks = <Block *> zeros(K * sizeof(Block))
            for t in range(K):
                block_init(&self.blocks[t], batch.design, 1)
                set_weighting(&self.blocks[t].of[0], batch.design)
        self.linear, self.offset = self.pool.doubles(K * n), self.pool.doubles(K * n)
        self.after, self.before, self.top = self.pool.doubles(K * n), self.pool.doubles(n), self.pool.doubles(n)
        self.level, self.matrix = self.pool.doubles(K), self.pool.doubles(K * K)
        self.past = self.pool.doubles((PAST + 1) * K * n)
        self.chances, self.bends = self.pool.doubles(K * CHUNK), self.pool.doubles(2 * K + 1)
        for t in range(K):
            problem = &batch.problems[t]
            problem.offset = self.offset + t * n
            for i in range(n):
                self.linear[t * n + i] = problem.null_b
                self.offset[t * n + i] = problem.null_eta[i] - problem.null_b

    # ---- blocks ----------------------------------------------------------------------------------------------------
    cdef Block *_block(self, Py_ssize_t t) noexcept nogil:
        return &self.block if self.blocks == NULL else &self.blocks[t]

    cdef Weighting *_weighting(self, Py_ssize_t t) noexcept nogil:
        return &self._block(t).of[0]

    cdef const int *_positions(self, Py_ssize_t t) noexcept nogil:
        return self.placed[t].pos if self.blocks == NULL else NULL

    cdef int gather(self) except -1 nogil:
        if self.blocks == NULL:
            return Curved.gather(self)
        self.n_gathered += self.n_coming
        return 0

    cdef int admit(self, Py_ssize_t t, double alpha, const State *state) except -1 nogil:
        cdef const Small *small = &self.smalls[t]
        if self.blocks != NULL and small.n_entering > 0:
            block_append(&self.blocks[t], self.batch.design, small.entering, small.n_entering)
        return Curved.admit(self, t, alpha, state)

    # ---- a round of turns ------------------------------------------------------------------------------------------
    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.blocks != NULL else 0):
            block_free(&self.blocks[t])
        free(self.blocks)
        free(self.at_class)
        free(self.moved_by)
        free(self.moved)
        free(self.past_w)

    cdef int place(self, Py_ssize_t t, bint slide, bint l2_changed) except -1 nogil:
        """Nothing slides on the way: the classes would have to move together."""
        if t == 0:
            self.kept = 0
        return Curved.place(self, t, False, l2_changed)

    cdef int solve(self, Py_ssize_t t, State *states) except -1 nogil:
        """A turn of every class, from t = 0 on; 1 where no class had anything left to do."""
        cdef bint moved = False
        self._recentre(states)
        self._begin_turns()
        for t in range(self.n_problems):
            moved |= self._turn(t, &states[t])
        self.apart = True
        if moved:
            self._remember(states)
            if self.kept > PAST:
                self._extrapolate(states)
        return not moved

    cdef void _begin_turns(self) noexcept nogil:
        """Exponentials of all linear predictors, and their sums over the classes yet to come."""
        cdef Py_ssize_t c, first, m, i, t, n = self.batch.n, K = self.n_problems
        cdef double last
        cdef double *top
        cdef double *sums
        cdef const double *linear
        cdef double e[CHUNK]
        cdef double total[CHUNK]
        for c in range((n + CHUNK - 1) // CHUNK):
            first = c * CHUNK
            m, top = min(CHUNK, n - first), self.top + first
            for i in range(m):
                top[i], total[i], self.before[first + i] = -INFINITY, 0, 0
            for t in range(K):
                linear = self.linear + t * n + first
                for i in range(m):
                    top[i] = max(top[i], linear[i])
            for t in range(K - 1, -1, -1):
                linear, sums = self.linear + t * n + first, self.after + t * n + first
                for i in range(m):
                    e[i] = linear[i] - top[i]
                fr_exp(m, e, e)
                for i in range(m):
                    last = total[i]
                    total[i] += e[i]
                    sums[i] = last

    cdef bint _turn(self, Py_ssize_t t, State *state) except -1 nogil:
        """Steps of one class, given the others; False where there was nothing to do."""
        cdef Py_ssize_t i, n = self.batch.n
        cdef int _
        cdef bint moved = False
        cdef double *offset = self.offset + t * n
        cdef double *linear = self.linear + t * n
        cdef const double *after = self.after + t * n
        for i in range(n):
            offset[i] = -(self.top[i] + log(max(self.before[i] + after[i], LEAST)))
            state.eta[i] = linear[i] + offset[i]
        self._settle(t, state)
        self.models[t].last = 0
        for _ in range(STEPS if self.smalls[t].q.m > 0 else 0):
            if Curved.solve(self, t, state) == 1:
                break
            moved = True
        for i in range(n):
            linear[i] = state.eta[i] - offset[i]
            self.before[i] += exp(min(linear[i] - self.top[i], FARTHEST))
        return moved

    # ---- where turns are heading ------------------------------------------------------------------------------------
    cdef int _remember(self, const State *states) except -1 nogil:
        """Linear predictors, coefficients and intercepts after a round of turns."""
        cdef Py_ssize_t t, m = 0, n = self.batch.n, K = self.n_problems
        cdef double *w
        for t in range(K):
            m += self.smalls[t].q.m + 1
        if m != self.size:
            self.kept, self.size = 0, m
            grow(<void **> &self.past_w, (PAST + 1) * m * sizeof(double))
        memcpy(self.past + self.kept * K * n, self.linear, K * n * sizeof(double))
        w = self.past_w + self.kept * m
        for t in range(K):
            memcpy(w, self.smalls[t].q.w, self.smalls[t].q.m * sizeof(double))
            w += self.smalls[t].q.m
            w[0] = states[t].b
            w += 1
        self.kept += 1
        return 0

    cdef int _extrapolate(self, State *states) except -1 nogil:
        """On to the combination of the last rounds whose changes of linear predictors cancel best, where the objective is
        lower there (Anderson, "Iterative procedures for nonlinear integral equations", J. ACM 12 (1965))."""
        cdef Py_ssize_t a, i, t, N = self.n_problems * self.batch.n, m = self.size
        cdef double share[PAST]
        cdef double *linear = self.past
        cdef double *w = self.past_w
        cdef const double *last = self.past + PAST * N
        cdef Quad *q
        self.kept = 0
        if not self._shares(share):
            return 0
        for i in range(N):
            linear[i] = share[0] * linear[N + i]
        for i in range(m):
            w[i] = share[0] * w[m + i]
        for a in range(1, PAST):
            fr_axpy(N, share[a], self.past + (a + 1) * N, linear)
            fr_axpy(m, share[a], self.past_w + (a + 1) * m, w)
        if not self._objective_of_all(linear, w) < self._objective_of_all(last, self.past_w + PAST * m):
            return 0
        memcpy(self.linear, linear, N * sizeof(double))
        for t in range(self.n_problems):
            q = &self.smalls[t].q
            memcpy(q.w, w, q.m * sizeof(double))
            states[t].b = w[q.m]
            w += q.m + 1
            if not self.models[t].stale:
                quad_place(q, False)
        return 0

    cdef bint _shares(self, double *share) noexcept nogil:
        """Of the rounds but the first, what of each makes up the combination; False where it cannot be told."""
        cdef Py_ssize_t a, b, c, t, i, first, m, n = self.batch.n, N = self.n_problems * n
        cdef const double *s = self.batch.problems[0].weight
        cdef const double *x
        cdef double total = 0
        cdef double U[PAST * PAST]
        cdef double d[PAST * CHUNK]
        cdef int k = PAST, one = 1, info = 0
        cdef char lower = b"L"
        memset(U, 0, sizeof(U))
        for t in range(self.n_problems):
            for c in range((n + CHUNK - 1) // CHUNK):
                first = c * CHUNK
                m = min(CHUNK, n - first)
                for a in range(PAST):
                    x = self.past + a * N + t * n + first
                    for i in range(m):
                        d[a * CHUNK + i] = (x[N + i] - x[i]) * (1 if s == NULL else sqrt(s[first + i]))
                    for b in range(a + 1):
                        U[b * PAST + a] += fr_vdot(m, d + a * CHUNK, d + b * CHUNK)
        for a in range(PAST):
            share[a], total = 1, total + U[a * PAST + a]
        for a in range(PAST):
            U[a * PAST + a] += SINGULAR * total
        if not total > 0:
            return False
        dposv(&lower, &k, &one, U, &k, share, &k, &info)
        total = 0
        for a in range(PAST):
            total += share[a]
        if info != 0 or not fabs(total) > 0:
            return False
        for a in range(PAST):
            share[a] /= total
        return True

    cdef double _objective_of_all(self, const double *linear, const double *w) noexcept nogil:
        """Loss and penalties at linear predictors, and at coefficients of one class after the other with an intercept
        after each; infinite beyond their limits."""
        cdef Py_ssize_t c, first, m, i, k, t, n = self.batch.n
        cdef const double *s = self.batch.problems[0].weight
        cdef const double *y
        cdef const Quad *q
        cdef double total = 0, own
        cdef double top[CHUNK]
        cdef double e[CHUNK]
        cdef double sums[CHUNK]
        for t in range(self.n_problems):
            q = &self.smalls[t].q
            for k in range(q.m):
                if not q.lo[k] <= w[k] <= q.hi[k]:
                    return INFINITY
                total += q.l1[k] * fabs(w[k]) + 0.5 * q.l2[k] * w[k] * w[k]
            w += q.m + 1
        for c in range((n + CHUNK - 1) // CHUNK):
            first = c * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                top[i], sums[i] = -INFINITY, 0
            for t in range(self.n_problems):
                for i in range(m):
                    top[i] = max(top[i], linear[t * n + first + i])
            for t in range(self.n_problems):
                for i in range(m):
                    e[i] = linear[t * n + first + i] - top[i]
                fr_exp(m, e, e)
                for i in range(m):
                    sums[i] += e[i]
            for i in range(m):
                own = top[i] + log(sums[i])
                total += own if s == NULL else s[first + i] * own if s[first + i] > 0 else 0
            for t in range(self.n_problems):
                y = self.batch.problems[t].y + first
                for i in range(m):
                    if y[i] > 0 and (s == NULL or s[first + i] > 0):
                        total -= (1 if s == NULL else s[first + i]) * linear[t * n + first + i]
        return total

    # ---- all classes at one point ----------------------------------------------------------------------------------
    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        """The linear predictor of a class; the rest is known once all have theirs."""
        cdef double *linear = self.linear + t * self.batch.n
        cdef Py_ssize_t i
        block_products(self._block(t), self.batch.design, self._weighting(t).mean, self.smalls[t].q.w, self._positions(t),
                       self.smalls[t].q.m, linear)
        for i in range(self.batch.n):
            linear[i] += state.b
        self.apart, self.smalls[t].exact = True, False
        return 0

    cdef int residuals(self, State *states) except -1 nogil:
        if self.apart and not states[0].done:
            self._join(states)
        return 0

    cdef int _join(self, State *states) except -1 nogil:
        """eta and the residual of every class at the linear predictors; where intercepts are fitted, with those at which
        the residuals sum to zero: Newton's method for all of them, a step being halved that raises the loss."""
        cdef Py_ssize_t t, n = self.batch.n
        cdef int _
        cdef double loss, least = INFINITY, size = INFINITY
        for _ in range(LEVELS):
            self._give_offsets(states)
            if size <= NEAR:
                break
            loss = 0
            for t in range(self.n_problems):
                loss += self.batch.datafit.own(n, self.batch.problems[t].y, self.batch.problems[t].weight,
                                               states[t].eta)
            if loss > least * (1 + ROUNDING):
                self._shift(states, -0.5)
                for t in range(self.n_problems):
                    self.level[t] *= 0.5
                continue
            least, size = loss, self._level_step(states) if self.batch.design.centred else 0
            self._shift(states, 1 if size > 0 else 0)
        for t in range(self.n_problems):
            self.batch.datafit.at(n, self.batch.problems[t].y, states[t].eta, NULL, states[t].r, NULL)
            self._residual_of(t, states[t].r, &states[t])
            self.smalls[t].exact = self.models[t].moved = False
        self.apart = False
        return 0

    cdef void _give_offsets(self, State *states) noexcept nogil:
        """eta of every class, given the others where they are."""
        cdef Py_ssize_t c, first, m, i, t, n = self.batch.n, K = self.n_problems
        cdef double *offset
        cdef const double *linear
        cdef double e[CHUNK]
        cdef double sums[CHUNK]
        self._begin_turns()                              # sums over the classes that come later; here over the others
        for c in range((n + CHUNK - 1) // CHUNK):
            first = c * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                sums[i] = 0
            for t in range(K):
                linear, offset = self.linear + t * n + first, self.offset + t * n + first
                for i in range(m):
                    offset[i] = -(self.top[first + i] + log(max(sums[i] + self.after[t * n + first + i], LEAST)))
                    states[t].eta[first + i] = linear[i] + offset[i]
                    e[i] = linear[i] - self.top[first + i]
                fr_exp(m, e, e)
                for i in range(m):
                    sums[i] += e[i]

    cdef void _shift(self, State *states, double part) noexcept nogil:
        """The intercepts by a part of their step."""
        cdef Py_ssize_t t, i
        for t in range(self.n_problems if part != 0 else 0):
            states[t].b += part * self.level[t]
            for i in range(self.batch.n):
                self.linear[t * self.batch.n + i] += part * self.level[t]

    cdef double _level_step(self, const State *states) noexcept nogil:
        """A step of Newton's method for the intercepts, which keeps their sum; its size, 0 where there is nothing to
        do."""
        cdef Py_ssize_t c, first, m, i, t, l, n = self.batch.n, K = self.n_problems
        cdef const double *y
        cdef const double *s = self.batch.problems[0].weight
        cdef double *H = self.matrix
        cdef double *P = self.chances
        cdef double weight, size = 0, sum_ = 0, scale = 0, worst = 0
        cdef int k = <int> K, one = 1, info = 0
        cdef char lower = b"L"
        memset(H, 0, K * K * sizeof(double))
        memset(self.level, 0, K * sizeof(double))
        for c in range((n + CHUNK - 1) // CHUNK):
            first = c * CHUNK
            m = min(CHUNK, n - first)
            for t in range(K):
                y = self.batch.problems[t].y + first
                self.batch.datafit.at(m, y, states[t].eta + first, NULL, P + t * CHUNK, NULL)
                for i in range(m):
                    weight = 1 if s == NULL else s[first + i]
                    if weight > 0:
                        self.level[t] -= weight * P[t * CHUNK + i]
                        size += weight * fabs(P[t * CHUNK + i])
                        P[t * CHUNK + i] = sqrt(weight) * (P[t * CHUNK + i] + (y[i] > 0))
                        H[t * K + t] += sqrt(weight) * P[t * CHUNK + i]
                    else:
                        P[t * CHUNK + i] = 0
                for l in range(t + 1):
                    H[l * K + t] -= fr_vdot(m, P + t * CHUNK, P + l * CHUNK)
        for t in range(K):
            worst = max(worst, fabs(self.level[t]))
            scale += H[t * K + t] / K
        if worst <= 1e-15 * size or not scale > 0:
            return 0
        for l in range(K):                               # a shift of all changes nothing: the step has none
            for t in range(l, K):
                H[l * K + t] += scale
            H[l * K + l] += 1e-14 * scale
        dposv(&lower, &k, &one, H, &k, self.level, &k, &info)
        if info != 0:
            return 0
        size = 0
        for t in range(K):
            sum_ += self.level[t] / K
        for t in range(K):
            self.level[t] -= sum_
            size = max(size, fabs(self.level[t]))
        for t in range(K if size > FAR else 0):
            self.level[t] *= FAR / size
        return size

    # ---- the shift that all classes share --------------------------------------------------------------------------
    cdef int _recentre(self, State *states) except -1 nogil:
        """Coefficients of columns that all classes hold, shifted to where the penalty is least."""
        cdef Py_ssize_t c, t, k, M = self.n_gathered, K = self.n_problems, n = self.batch.n, some = 0
        cdef double shift
        cdef Quad *q
        if M > self.room:
            self.room = M + M // 2
            grow(<void **> &self.at_class, K * self.room * sizeof(int))
            grow(<void **> &self.moved_by, self.room * sizeof(double))
            grow(<void **> &self.moved, self.room * sizeof(int))
        memset(self.at_class, -1, K * M * sizeof(int))
        for t in range(K):
            for k in range(self.smalls[t].q.m):
                self.at_class[t * M + self.placed[t].pos[k]] = <int> k
        for c in range(M):
            shift = self._best_shift(c)
            if shift != 0:
                self.moved[some] = <int> c if self.blocks == NULL else self.at_class[c]
                self.moved_by[some] = shift
                some += 1
                for t in range(K):
                    self.smalls[t].q.w[self.at_class[t * M + c]] += shift
        if some == 0:
            return 0
        block_products(self._block(0), self.batch.design, self._weighting(0).mean, self.moved_by, self.moved, some,
                       self.before)
        for t in range(K):
            fr_axpy(n, 1, self.before, self.linear + t * n)
            q = &self.smalls[t].q
            if not self.models[t].stale:
                quad_place(q, False)
        return 0

    cdef double _best_shift(self, Py_ssize_t c) noexcept nogil:
        """The nearest shift of the coefficients of the column at position c, within their limits, at which the penalty is
        least; 0 where it is least already, or where a class does not hold the column."""
        cdef Py_ssize_t t, k, M = self.n_gathered, K = self.n_problems
        cdef const Quad *q
        cdef double down = -INFINITY, up = INFINITY, size = 0, l1 = 0, l2 = 0, shift
        for t in range(K):
            k, q = self.at_class[t * M + c], &self.smalls[t].q
            if k < 0:
                return 0
            self.bends[t], l1, l2 = -q.w[k], q.l1[k], q.l2[k]
            down, up, size = max(down, q.lo[k] - q.w[k]), min(up, q.hi[k] - q.w[k]), max(size, fabs(q.w[k]))
        if size == 0:
            return 0
        shift = min(max(least_shift(self.bends, K, l1, l2), down), up)
        return shift if fabs(shift) > 1e-15 * size else 0


cdef double least_shift(double *v, Py_ssize_t K, double l1, double l2) noexcept nogil:
    """The c nearest to 0 of those at which ``sum_k l1 |c - v_k| + l2 / 2 (c - v_k)^2`` is least; their mean where both
    are 0. v has room for 2 K + 1 numbers, which are overwritten.

    The median of the v_k and of where the slope is 0 if a of the v_k are below, for each a; without l2 that of the v_k."""
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
