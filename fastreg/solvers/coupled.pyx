"""Small problems of the classes of one loss: given the others each class is a logistic regression, and they take turns.

    f = log(sum_k exp(eta_ik)) - eta_iy

Class k reads ``eta_ik + o_ik``, ``o_ik = -log(sum_{l != k} exp(eta_il))``, as its linear predictor (see the datafit).
A round of turns is block coordinate descent, each block by Newton's method (``curved``), with curvatures that are
kept; Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent", J.
Stat. Softw. 33 (2010), go over the classes likewise.

a) **Sums without differences.** What a class reads of the others is what those before it have become, added up, and
   what those after it were: no probability near 1 is subtracted from 1.
b) **Residuals of all classes at one point** are what screening and certificate see, after the intercepts of all of them
   have been solved for together, and with them the coefficients that nothing penalises: residuals that are orthogonal
   to these columns are what the dual problem asks for.
c) **A shift of all classes' coefficients of a column** changes no probability: it is where the penalty is least.
d) **Where turns are heading** is told from the last few: the combination at which their changes cancel best.
"""
from libc.math cimport INFINITY, exp, fabs, log, sqrt
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memmove, memset

from fastreg.kernels.block cimport Block, Weighting, block_append, block_free, block_init, block_products
from fastreg.kernels.classes cimport (
    cancelling, cancelling_work, classes_begin, classes_fit, classes_fit_work, classes_loss, classes_offsets,
    least_shift)
from fastreg.kernels.factor cimport Factor, factor_append, factor_free, factor_init
from fastreg.kernels.leaf cimport fr_axpy
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.quadratic cimport Quad, quad_place
from fastreg.solvers.curved cimport Curved, Model
from fastreg.solvers.gathered cimport set_weighting
from fastreg.solvers.problem cimport Batch, Problem
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State

cdef enum:
    STEPS = 2                    # of Newton's method in a turn
    PAST = 5                     # rounds of turns whose changes tell where they are heading
cdef double LEAST = 1e-300       # a sum of exponentials, at least
cdef double FARTHEST = 600       # a linear predictor rises by so much in a turn, at most
cdef double CLEAR = 1e-12        # of the objective, what a combination is to gain


cdef class Coupled(Curved):
    """Turns of the classes on one block.

    Parameters
    ----------
    batch : Batch
    """

    def __cinit__(self, Batch batch, parts):
        cdef Py_ssize_t t, K = batch.n_problems, n = batch.n
        if batch.design.sparse():                        # rows list what one class alone needs
            self.blocks = <Block *> zeros(K * sizeof(Block))
            for t in range(K):
                block_init(&self.blocks[t], batch.design, 1)
                set_weighting(&self.blocks[t].of[0], batch.design)
        self.linear, self.offset = self.pool.doubles(K * n), self.pool.doubles(K * n)
        self.after, self.before, self.top = self.pool.doubles(K * n), self.pool.doubles(n), self.pool.doubles(n)
        self.past = self.pool.doubles((PAST + 1) * K * n)
        self.bends, self.work = self.pool.doubles(2 * K + 1), self.pool.doubles(cancelling_work(PAST))
        for t in range(K):
            batch.problems[t].offset = self.offset + t * n
            self._rest(t)

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.blocks != NULL else 0):
            block_free(&self.blocks[t])
        free(self.blocks)
        free(self.at_class)
        free(self.past_w)
        free(self.free_at)
        free(self.found_at)
        free(self.joint_at)
        free(self.z)
        free(self.scale)
        free(self.joint)
        free(self.newton)

    cdef void _rest(self, Py_ssize_t t) noexcept nogil:
        """Class t at w = 0."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Py_ssize_t i, n = self.batch.n
        for i in range(n):
            self.linear[t * n + i] = problem.null_b
            self.offset[t * n + i] = problem.null_eta[i] - problem.null_b
        self.kept = 0

    cdef int restart(self, Py_ssize_t t) except -1 nogil:
        self._rest(t)
        return Curved.restart(self, t)

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
    cdef int place(self, Py_ssize_t t, bint slide, bint l2_changed) except -1 nogil:
        """Nothing slides on the way: the classes would have to move together."""
        cdef Model *model = &self.models[t]
        cdef Quad *q = &self.smalls[t].q
        if t == 0:
            self.kept = 0
        Curved.place(self, t, False, l2_changed)
        if model.moved:                                  # a factor under other l2 terms let go of some
            memcpy(q.w, model.before, q.m * sizeof(double))
            quad_place(q, False)
            model.moved, model.slid = False, 0
        return 0

    cdef int solve(self, Py_ssize_t t, State *states) except -1 nogil:
        """The turn of class t in a round from the first to the last; 1 where it had nothing left to do."""
        cdef bint moved
        if t == 0:
            self._recentre()
            classes_begin(self.batch.n, self.n_problems, self.linear, self.top, self.after)
            memset(self.before, 0, self.batch.n * sizeof(double))
            self.moved, self.apart = False, True
        moved = self._turn(t, &states[t])
        self.moved |= moved
        if t == self.n_problems - 1 and self.moved:
            self._remember(states)
            if self.kept > PAST:
                self._extrapolate(states)
        return not moved

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
        """On to the combination of the last rounds whose changes of linear predictors cancel best, where the objective
        is lower there (Anderson, "Iterative procedures for nonlinear integral equations", J. ACM 12 (1965))."""
        cdef Py_ssize_t a, i, t, N = self.n_problems * self.batch.n, m = self.size
        cdef double share[PAST]
        cdef double least
        cdef double *linear = self.past
        cdef double *w = self.past_w
        cdef const double *last = self.past + PAST * N
        cdef Quad *q
        self.kept = 0
        if not cancelling(self.batch.n, self.n_problems, PAST, self.batch.problems[0].weight, self.past, self.work,
                          share):
            return 0
        for i in range(N):
            linear[i] = share[0] * linear[N + i]
        for i in range(m):
            w[i] = share[0] * w[m + i]
        for a in range(1, PAST):
            fr_axpy(N, share[a], self.past + (a + 1) * N, linear)
            fr_axpy(m, share[a], self.past_w + (a + 1) * m, w)
        least = self._objective_of_all(last, self.past_w + PAST * m)
        if not self._objective_of_all(linear, w) < least - CLEAR * fabs(least):
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

    cdef double _objective_of_all(self, const double *linear, const double *w) noexcept nogil:
        """Loss and penalties at linear predictors, and at coefficients of one class after the other with an intercept
        after each; infinite beyond their limits."""
        cdef const Problem *problem = &self.batch.problems[0]
        cdef const Quad *q
        cdef Py_ssize_t k, t
        cdef double total = 0
        for t in range(self.n_problems):
            q = &self.smalls[t].q
            for k in range(q.m):
                if not q.lo[k] <= w[k] <= q.hi[k]:
                    return INFINITY
                total += q.l1[k] * fabs(w[k]) + 0.5 * q.l2[k] * w[k] * w[k]
            w += q.m + 1
        return total + classes_loss(self.batch.n, self.n_problems, problem.y, problem.weight, linear)

    # ---- all classes at one point ----------------------------------------------------------------------------------
    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        """The linear predictor of a class; the rest is known once all have theirs."""
        cdef double *linear = self.linear + t * self.batch.n
        cdef Py_ssize_t i
        block_products(self._block(t), self.batch.design, self._weighting(t).mean, self.smalls[t].q.w,
                       self._positions(t), self.smalls[t].q.m, linear)
        for i in range(self.batch.n):
            linear[i] += state.b
        self.apart, self.smalls[t].exact = True, False
        return 0

    cdef int residuals(self, State *states) except -1 nogil:
        if self.apart and not states[0].done:
            self._join(states)
        return 0

    cdef int _join(self, State *states) except -1 nogil:
        """eta and the residual of every class at the linear predictors, with the best intercepts and coefficients of
        columns without a penalty: to these the residuals are orthogonal."""
        cdef const Problem *problem = &self.batch.problems[0]
        cdef Py_ssize_t i, t, n = self.batch.n, K = self.n_problems
        self._find_free()
        if self.n_joint > 0:
            self._take_up(states)
            classes_fit(n, K, self.n_joint, problem.y, problem.weight, self.z, self.joint_lo, self.joint_hi,
                        self.joint, self.linear, self.top, self.after, self.offset, self.newton)
            self._hand_back(states)
        else:
            classes_offsets(n, K, self.linear, self.top, self.after, self.offset)
        for t in range(K):
            for i in range(n):
                states[t].eta[i] = self.linear[t * n + i] + self.offset[t * n + i]
            self.batch.datafit.at(n, self.batch.problems[t].y, states[t].eta, NULL, states[t].r, NULL)
            self._residual_of(t, states[t].r, &states[t])
            self.smalls[t].exact = self.models[t].moved = False
        self.apart = False
        return 0

    # ---- what nothing penalises -------------------------------------------------------------------------------------
    cdef int _find_free(self) except -1 nogil:
        """The columns without a penalty that all classes hold, and what belongs to them."""
        cdef Py_ssize_t c, t, k, n_free = 0, M = self.n_gathered
        cdef const Quad *q
        cdef bint free_
        self._where()
        if M > self.free_room:
            self.free_room = M + M // 2
            grow(<void **> &self.free_at, self.free_room * sizeof(int))
            grow(<void **> &self.found_at, self.free_room * sizeof(int))
            grow(<void **> &self.joint_at, self.free_room * sizeof(int))
        for c in range(M):
            free_ = True
            for t in range(self.n_problems):
                k, q = self.at_class[t * M + c], &self.smalls[t].q
                if k < 0 or q.l1[k] > 0 or q.l2[k] > 0 or q.lo[k] == q.hi[k]:
                    free_ = False
                    break
            if free_:
                self.found_at[n_free] = <int> c
                n_free += 1
        if self.newton != NULL and n_free == self.n_free and (
                memcmp(self.free_at, self.found_at, n_free * sizeof(int)) == 0):
            return 0
        memcpy(self.free_at, self.found_at, n_free * sizeof(int))
        self.n_free = n_free
        return self._read_free()

    cdef int _read_free(self) except -1 nogil:
        """Their values, at unit root mean square, after ones where an intercept is fitted; of those that depend on
        others these alone."""
        cdef Py_ssize_t a, i, k, n = self.batch.n, K = self.n_problems, first = self.batch.design.centred
        cdef const Problem *problem = &self.batch.problems[0]
        cdef Small *small = &self.smalls[0]
        cdef double *unit = NULL
        cdef double *x
        self.n_joint = first + self.n_free
        k = K * self.n_joint
        grow(<void **> &self.z, self.n_joint * n * sizeof(double))
        grow(<void **> &self.joint, 4 * k * sizeof(double))
        grow(<void **> &self.scale, self.n_joint * sizeof(double))
        self.joint_lo, self.joint_hi, self.joint_before = self.joint + k, self.joint + 2 * k, self.joint + 3 * k
        for i in range(n if first else 0):
            self.z[i] = 1
        if first:
            self.scale[0] = 1
        unit = <double *> zeros(small.q.m * sizeof(double))
        try:
            for a in range(self.n_free):
                k, x = self.at_class[self.free_at[a]], self.z + (first + a) * n
                unit[k] = 1
                block_products(self._block(0), self.batch.design, self._weighting(0).mean, unit, self._positions(0),
                               small.q.m, x)
                unit[k] = 0
                self.scale[first + a] = problem.terms.norm[small.cols[k]] / sqrt(problem.terms.weight_sum)
                for i in range(n):
                    x[i] /= self.scale[first + a]
        finally:
            free(unit)
        self._leave_dependent()
        return grow(<void **> &self.newton, classes_fit_work(K, self.n_joint) * sizeof(double))

    cdef int _leave_dependent(self) except -1 nogil:
        """Without the free columns that depend on those before them."""
        cdef Py_ssize_t a, b, i, kept = 0, n = self.batch.n, m = self.n_free, first = self.batch.design.centred
        cdef const double *s = self.batch.problems[0].weight
        cdef double *x = self.z + first * n
        cdef double *G = NULL
        cdef char *dependent = NULL
        cdef int *order = NULL
        cdef Factor factor
        factor_init(&factor)
        try:
            G = <double *> zeros((m + 1) * m * sizeof(double))
            dependent, order = <char *> zeros(m), <int *> zeros(m * sizeof(int))
            for a in range(m):
                order[a] = <int> a
                for b in range(a + 1):
                    for i in range(n):
                        if s == NULL or s[i] > 0:
                            G[a * m + b] += (1 if s == NULL else s[i]) * x[a * n + i] * x[b * n + i]
                    G[b * m + a] = G[a * m + b]
            if m > 0:
                factor_append(&factor, G, m, G + m * m, order, m, dependent)
            for a in range(m):
                if dependent[a]:
                    continue
                memmove(x + kept * n, x + a * n, n * sizeof(double))
                self.scale[first + kept], self.joint_at[kept] = self.scale[first + a], self.free_at[a]
                kept += 1
        finally:
            factor_free(&factor)
            free(G)
            free(dependent)
            free(order)
        self.n_joint = first + kept
        return 0
    cdef void _take_up(self, const State *states) noexcept nogil:
        """Intercepts and coefficients that are to be fitted together, with their limits, in units of z."""
        cdef Py_ssize_t t, a, k, i = 0, first = self.batch.design.centred, M = self.n_gathered
        cdef const Quad *q
        for t in range(self.n_problems):
            q = &self.smalls[t].q
            for a in range(self.n_joint):
                if a < first:
                    self.joint[i], self.joint_lo[i], self.joint_hi[i] = states[t].b, -INFINITY, INFINITY
                else:
                    k = self.at_class[t * M + self.joint_at[a - first]]
                    self.joint[i] = q.w[k] * self.scale[a]
                    self.joint_lo[i], self.joint_hi[i] = q.lo[k] * self.scale[a], q.hi[k] * self.scale[a]
                self.joint_before[i] = self.joint[i]
                i += 1

    cdef int _hand_back(self, State *states) except -1 nogil:
        """Those that have changed."""
        cdef Py_ssize_t t, a, k, i = 0, first = self.batch.design.centred, M = self.n_gathered
        cdef Quad *q
        cdef bint moved
        for t in range(self.n_problems):
            q, moved = &self.smalls[t].q, False
            for a in range(self.n_joint):
                if a < first:
                    states[t].b = self.joint[i]
                elif self.joint[i] != self.joint_before[i]:
                    k, moved = self.at_class[t * M + self.joint_at[a - first]], True
                    q.w[k] = min(max(self.joint[i] / self.scale[a], q.lo[k]), q.hi[k])
                i += 1
            if moved and not self.models[t].stale:
                quad_place(q, False)
        return 0

    # ---- the shift that all classes share --------------------------------------------------------------------------
    cdef int _where(self) except -1 nogil:
        """For each class, the coordinates by the positions in the block."""
        cdef Py_ssize_t t, k, M = self.n_gathered, K = self.n_problems
        if M > self.room:
            self.room = M + M // 2
            grow(<void **> &self.at_class, K * self.room * sizeof(int))
        memset(self.at_class, -1, K * M * sizeof(int))
        for t in range(K):
            for k in range(self.smalls[t].q.m):
                self.at_class[t * M + self.placed[t].pos[k]] = <int> k
        return 0

    cdef int _recentre(self) except -1 nogil:
        """Coefficients of columns that all classes hold, shifted to where the penalty is least. Linear predictors stay:
        they would all move by the same."""
        cdef Py_ssize_t c, t, M = self.n_gathered, K = self.n_problems
        cdef bint moved = False
        cdef double shift
        self._where()
        for c in range(M):
            shift = self._best_shift(c)
            for t in range(K if shift != 0 else 0):
                self.smalls[t].q.w[self.at_class[t * M + c]] += shift
                moved = True
        for t in range(K if moved else 0):
            if not self.models[t].stale:
                quad_place(&self.smalls[t].q, False)
        return 0

    cdef double _best_shift(self, Py_ssize_t c) noexcept nogil:
        """The nearest shift of the coefficients of the column at position c, within their limits, at which the penalty
        is least; 0 where it is least already, or where a class does not hold the column."""
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
