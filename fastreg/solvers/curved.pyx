"""Small problems under a loss whose curvature changes: Newton's method, with the penalty as it is.

The loss is replaced by its quadratic model at the present coefficients; the small problem on its Gram matrix
``X' diag(s f'') X`` is solved exactly. Where the whole step leads is found in one reading of the block, gradient and
all; where it leads too far, the way there is searched for the minimum along it: from ``eta + t Xz``, without another
product. The intercept takes part in the model. It is solved for, so that the residual sums to zero, when the conditions
hold but for it.

a) **The curvature is kept**, from step to step and from penalty to penalty, while the steps that are left under it cost
   less than another Gram matrix: only the gradient is new. Columns that enter get their products under the curvature of
   the others.
   What a step finds the curvature along it to be, against the model, scales the model: the curvature of the rows
   falls or rises as one for the most part (a secant condition in one variable).
b) **A floor** keeps it positive where the loss is flat: in the model alone, never in gradient or gap.
"""
from libc.math cimport INFINITY, fabs, log
from libc.stdlib cimport free
from libc.string cimport memcpy

from fastreg.datafits.base cimport Datafit
from fastreg.kernels.block cimport block_products, place as at
from fastreg.kernels.block_gram cimport block_gram, block_means
from fastreg.kernels.factor cimport factor_clear
from fastreg.kernels.leaf cimport fr_axpy, fr_vdot
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.quadratic cimport FREE, IDLE, OUT, Quad, quad_place, quad_settled, quad_solve
from fastreg.kernels.sweep cimport SUMS, block_sweep
from fastreg.kernels.threads cimport look
from fastreg.solvers.gathered cimport Gathered
from fastreg.solvers.judging cimport penalty_risen, penalty_slope, violation_of
from fastreg.solvers.problem cimport Batch, Problem
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State, measure

cdef enum:
    ROUNDS = 4                   # of the small solver in one call
    TRIALS = 40                  # of a search
cdef double KEPT = 0.1           # of a violation, what a step is expected to leave under the curvature of another place
cdef double FRESH = 2            # steps that are expected to do under a new one
cdef double SPARSE_PRICE = 4, DENSE_PRICE = 15, FACTOR_PRICE = 12     # of work, in steps: see _price
cdef double FEW = 64             # columns whose factor costs nothing
cdef double NEAR = 0.2           # of the curvature, what a step may find it to be at least
cdef double ROUNDED = 1e-20      # mean square of a step of eta, from which on it finds more than rounding
cdef double FLOOR = 1e-10        # of the mean curvature
cdef double EXACT = 0.3          # of a violation that is none, what may be left of it in the model
cdef double DESCENT = 1e-4       # of the slope at the beginning, what a step brings at least where that is not convex
cdef double ACCEPTED = 0.5       # of the slope that a step began with, what may be left of it, with the other sign

cdef struct Trial:
    # What rows need, of a point a step away.
    void *datafit
    const double *y
    const double *weight
    const double *eta
    double *there        # eta there
    double *slope        # derivatives there


cdef class Curved(Gathered):
    """One block for all problems, and a Gram matrix of its own for each.

    Parameters
    ----------
    batch : Batch
    """

    def __cinit__(self, Batch batch, parts):
        cdef Py_ssize_t t
        cdef Model *model
        self.models = <Model *> zeros(batch.n_problems * sizeof(Model))
        for t in range(batch.n_problems):
            model = &self.models[t]
            model.weight, model.stale = self.pool.doubles(batch.n), True
            if t > 0 and batch.datafit.coupled:    # one at a time
                model.v, model.trial, model.slope, model.share = (
                    self.models.v, self.models.trial, self.models.slope, self.models.share)
            else:
                model.v, model.trial = self.pool.doubles(batch.n), self.pool.doubles(batch.n)
                model.slope, model.share = self.pool.doubles(batch.n), self.pool.doubles(batch.n)

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.models != NULL else 0):
            free(self.models[t].mean)
            free(self.models[t].before)
            free(self.models[t].g)
            free(self.models[t].step)
            free(self.models[t].terms)
        free(self.models)

    # ---- the model -------------------------------------------------------------------------------------------------
    cdef int _room(self, Py_ssize_t t) except -1 nogil:
        cdef Model *model = &self.models[t]
        cdef Py_ssize_t m = self.smalls[t].q.m
        if m > model.room:
            model.room = m + m // 2
            grow(<void **> &model.mean, model.room * sizeof(double))
            grow(<void **> &model.before, model.room * sizeof(double))
            grow(<void **> &model.g, model.room * sizeof(double))
            grow(<void **> &model.step, model.room * sizeof(double))
            grow(<void **> &model.terms, 2 * model.room * sizeof(double))
        return 0

    cdef int _refresh(self, Py_ssize_t t, const State *state) except -1 nogil:
        """The curvature at eta, with the Gram matrix under it."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Model *model = &self.models[t]
        cdef Quad *q = &self.smalls[t].q
        cdef Py_ssize_t i, j, n = self.batch.n
        cdef double s, least, total = 0
        self.batch.datafit.at(n, problem.y, state.eta, NULL, NULL, model.weight)
        for i in range(n):
            s = 1 if problem.weight == NULL else problem.weight[i]
            model.weight[i] = s * model.weight[i] if s > 0 else 0
            total += model.weight[i]
        least = FLOOR * total / n if total > 0 else 1
        if total > 0 or not model.flat:            # steps go on growing where there is nothing to bend them
            model.scale = 1
        model.flat = total == 0
        model.total = 0
        for i in range(n):
            model.weight[i] = max(model.weight[i], least * (1 if problem.weight == NULL else problem.weight[i]))
            model.total += model.weight[i]
        model.stale, model.rate = False, KEPT
        self._own_gram(t, 0)
        factor_clear(&q.f)
        for j in range(q.m):
            if q.st[j] == FREE or q.st[j] == IDLE:
                q.st[j] = OUT
        return 0

    cdef int _own_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil:
        """Entries from `first` on under the curvature at hand."""
        cdef Model *model = &self.models[t]
        cdef const int *pos = self._positions(t)
        cdef Py_ssize_t m = self.smalls[t].q.m
        self._room(t)
        if model.stale:
            return 0
        block_means(self._block(t), model.weight, pos, first, m, model.mean)
        return block_gram(self._block(t), self.batch.design, model.weight, pos, first, m,
                          model.mean if self.batch.design.centred else NULL, model.total, self.placed[t].G,
                          self.placed[t].ldg)

    # ---- verbs -----------------------------------------------------------------------------------------------------
    cdef int place(self, Py_ssize_t t, bint slide, bint l2_changed) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        cdef Model *model = &self.models[t]
        cdef Py_ssize_t k
        if model.stale:
            return 0
        memcpy(model.before, small.q.w, small.q.m * sizeof(double))
        Gathered.place(self, t, slide, l2_changed)
        for k in range(small.q.m):                 # what slides leaves the model's fit as it is, if not the loss's
            model.moved |= small.q.w[k] != model.before[k]
        model.slid = small.q.m if model.moved else 0
        return 0

    cdef int _judge_slide(self, Py_ssize_t t, State *state) except -1 nogil:
        """The residual of coefficients that have moved; those that slid are put back where the objective has risen, as
        it does beyond the model."""
        cdef Model *model = &self.models[t]
        cdef Quad *q = &self.smalls[t].q
        cdef Py_ssize_t slid = model.slid
        cdef double before = self._objective(t, state, model.before, slid) if slid > 0 else 0
        self.residual(t, state)
        if slid > 0 and not self._objective(t, state, q.w, q.m) <= before:
            memcpy(q.w, model.before, slid * sizeof(double))
            quad_place(q, False)
            self.residual(t, state)
        return 0

    cdef bint settled(self, Py_ssize_t t) noexcept nogil:
        """Not without a model, whose Gram matrix says how large a violation passes for none."""
        return not self.models[t].stale and quad_settled(&self.smalls[t].q)

    cdef double _objective(self, Py_ssize_t t, const State *state, const double *w, Py_ssize_t m) noexcept nogil:
        """That of the first m coordinates, which eta belongs to."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef const Quad *q = &self.smalls[t].q
        cdef Py_ssize_t k
        cdef double total = self.batch.datafit.total(self.batch.n, problem.y, problem.weight, state.eta)
        for k in range(m):
            total += q.l1[k] * fabs(w[k]) + 0.5 * q.l2[k] * w[k] * w[k]
        return total

    cdef int restart(self, Py_ssize_t t) except -1 nogil:
        cdef Model *model = &self.models[t]
        model.stale, model.moved, model.open, model.last, model.slid, model.left = True, False, False, 0, 0, 0
        model.flat = False
        return Gathered.restart(self, t)

    cdef int solve(self, Py_ssize_t t, State *state) except -1 nogil:
        """One step; 1 where the conditions hold at the gradient of the loss itself, or rounding leaves no step."""
        cdef Small *small = &self.smalls[t]
        cdef Model *model = &self.models[t]
        cdef Quad *q = &small.q
        cdef double violation, times = 1
        cdef bint fresh = False
        look()                                     # a round has as many steps as it takes
        if model.moved:
            self._judge_slide(t, state)
        self.correlate(t, state)
        self._reduce(t, 1)
        if self.settled(t):
            if model.open:
                self._settle(t, state)             # and so the intercept
                self.correlate(t, state)
            if self.settled(t):
                model.last = 0
                return 1
        memcpy(model.before, q.w, q.m * sizeof(double))
        violation = violation_of(q, small.cols, self.batch.problems[t].terms.norm, NULL if model.stale else &times)
        if model.last > 0:
            model.rate = violation / model.last
        if model.stale or not self._goes_on(t, times):
            self._reduce(t, -1)
            self._refresh(t, state)
            self._reduce(t, 1)
            fresh = True
        memcpy(model.g, q.g, q.m * sizeof(double))
        model.last = violation
        self._minimise(t)
        if self._take_step(t, state):
            return 0
        model.last, model.rate = 0, 1              # under another curvature, if this is not the one at hand
        return fresh

    cdef int _minimise(self, Py_ssize_t t) except -1 nogil:
        """To the minimum of the model: that of its Gram matrix with all else over the scale of the curvature."""
        cdef Model *model = &self.models[t]
        cdef Quad *q = &self.smalls[t].q
        cdef double slack = q.slack
        cdef Py_ssize_t k, _
        memcpy(model.terms, q.l1, q.m * sizeof(double))
        memcpy(model.terms + q.m, q.l2, q.m * sizeof(double))
        for k in range(q.m):
            q.g[k] /= model.scale
            q.l1[k] /= model.scale
            q.l2[k] /= model.scale
        q.slack = EXACT * slack
        quad_place(q, True)
        for _ in range(50 + q.m):
            if quad_solve(q, ROUNDS) == 1:
                break
        q.slack = slack
        memcpy(q.l1, model.terms, q.m * sizeof(double))
        memcpy(q.l2, model.terms + q.m, q.m * sizeof(double))
        return 0

    cdef bint _goes_on(self, Py_ssize_t t, double times) noexcept nogil:
        """Whether the steps left under the curvature at hand are expected to cost less than those under another one,
        which is to be paid for. times: the violation, in terms of what is none."""
        cdef double rate = self.models[t].rate
        return rate < 1 and log(times) < (self._price(t) + FRESH) * -log(rate)

    cdef double _price(self, Py_ssize_t t) noexcept nogil:
        """What a new curvature costs, in steps: the Gram matrix and, of many columns, its factor. With few of them it
        asks neither for the number of rows, nor how they are stored, nor which columns have been let in for nothing: a
        row of weight 2 makes the same steps as two rows, and sparse X as dense X."""
        cdef double m = self.smalls[t].q.m, size
        cdef bint sparse = self.batch.design.sparse()
        if m <= FEW:
            return self.support(t) / DENSE_PRICE
        size = max(self._block(t).rows.used if sparse else m * self.batch.n, 1.)
        return (SPARSE_PRICE if sparse else m / DENSE_PRICE) + m * m * m / (FACTOR_PRICE * size)

    cdef double polish(self, Py_ssize_t t) except -1 nogil:
        """None: steps under a new curvature are as good."""
        return 0

    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        """eta, from products with the block, and the rest at it."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t i
        block_products(self._block(t), self.batch.design, self._weighting(t).mean, small.q.w, self._positions(t),
                       small.q.m, state.eta)
        for i in range(self.batch.n):
            state.eta[i] += state.b + (0 if problem.offset == NULL else problem.offset[i])
        self._settle(t, state)
        return 0

    cdef int residuals(self, State *states) except -1 nogil:
        """Those of problems whose coefficients have changed by other ways than steps."""
        cdef Py_ssize_t t
        for t in range(self.n_problems):
            if not states[t].done and self.models[t].moved:
                self._judge_slide(t, &states[t])
            elif self.models[t].open and not self.models[t].moved:
                self._settle(t, &states[t])
        return 0

    cdef void _settle(self, Py_ssize_t t, State *state) noexcept nogil:
        """The intercept, and the residual, at a new eta."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Py_ssize_t n = self.batch.n
        if self.batch.design.centred:
            state.b += self.batch.datafit.refit_intercept(n, problem.y, problem.weight, state.eta)
        self.batch.datafit.at(n, problem.y, state.eta, NULL, state.r, NULL)
        self._residual_of(t, state.r, state)
        self.smalls[t].exact = self.models[t].moved = False
        self.models[t].slid = 0

    cdef void _residual_of(self, Py_ssize_t t, const double *slope, State *state) noexcept nogil:
        """The residual, from derivatives of the loss."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Py_ssize_t i
        for i in range(self.batch.n):
            if problem.root == NULL:
                state.r[i] = -slope[i]
            else:
                state.r[i] = -problem.root[i] * slope[i] if problem.root[i] > 0 else 0
        measure(state, self.batch.n)
        self.models[t].open, self.models[t].left = False, 0

    cdef void _reduce(self, Py_ssize_t t, double sign) noexcept nogil:
        """Correlations as the intercept of the model leaves them, where the residual does not sum to zero; or, with
        sign -1, those of the columns less their means again."""
        cdef Model *model = &self.models[t]
        cdef Quad *q = &self.smalls[t].q
        cdef const double *mean = self._weighting(t).mean
        cdef const int *pos = self._positions(t)
        cdef Py_ssize_t k
        for k in range(q.m if model.left != 0 else 0):
            q.g[k] -= sign * model.left * (model.mean[k] - mean[at(pos, k)])

    # ---- a step ----------------------------------------------------------------------------------------------------
    cdef bint _take_step(self, Py_ssize_t t, State *state) except -1 nogil:
        """From the coefficients before towards those of the model; False where rounding leaves no way down."""
        cdef Small *small = &self.smalls[t]
        cdef Model *model = &self.models[t]
        cdef Quad *q = &small.q
        cdef const int *pos = self._positions(t)
        cdef const double *mean = self._weighting(t).mean
        cdef Py_ssize_t k
        cdef double part, begin = 0, level = 0
        for k in range(q.m):
            model.step[k] = q.w[k] - model.before[k]
            begin -= model.g[k] * model.step[k]
            if self.batch.design.centred:
                level += model.step[k] * (model.mean[k] - mean[at(pos, k)])
        begin += penalty_slope(q, model.before, model.step, 0)
        if self.batch.design.centred:
            begin -= model.left * model.left / (model.scale * model.total)
            level -= model.left / (model.scale * model.total)
        part = self._go(t, state, level, begin) if begin < 0 else 0
        if part < 1:
            for k in range(q.m):
                q.w[k] = model.before[k] + part * model.step[k]
            quad_place(q, False)
            if part > 0:                           # else v is what it was
                fr_axpy(self.batch.n, part, model.v, state.eta)
                state.b -= part * level
            if part > 0 or model.open:
                self._settle(t, state)
            small.exact = False
        return part > 0

    cdef double _go(self, Py_ssize_t t, State *state, double level, double begin) except -1 nogil:
        """The whole step, if it does not lead too far, with the gradient at its end; returns the part of it that is to
        be taken, which is yet to be done where it is less than 1. `begin`: the slope to begin with, negative."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Small *small = &self.smalls[t]
        cdef Model *model = &self.models[t]
        cdef Quad *q = &small.q
        cdef const int *pos = self._positions(t)
        cdef const double *mean = self._weighting(t).mean
        cdef Py_ssize_t k
        cdef double of_means = 0, slope, bend = 0, scale
        cdef bint convex = self.batch.datafit.convex, by_slope = convex
        cdef double sums[SUMS]
        cdef Trial trial
        trial.datafit, trial.y, trial.weight = <void *> self.batch.datafit, problem.y, problem.weight
        trial.eta, trial.there, trial.slope = state.eta, model.trial, model.slope
        for k in range(q.m):
            of_means += model.step[k] * mean[at(pos, k)]
            bend += model.step[k] * (model.g[k] - model.scale * q.g[k])
        if self.batch.design.centred:
            bend += model.left * model.left / (model.scale * model.total)
        block_sweep(self._block(t), self.batch.design, model.step, pos, q.m, of_means + level, _try_rows, &trial,
                    model.v, model.share, q.g, sums)
        slope = penalty_slope(q, model.before, model.step, 1) - sums[0]
        if not convex and not self._falls(t, state, 1, begin, &by_slope) and not by_slope:
            return self._backtrack(t, state, begin)
        if by_slope and not slope <= -ACCEPTED * begin:
            return self._search(t, state, begin, slope if slope == slope else INFINITY)
        if convex and bend > ROUNDED * model.scale * model.total:
            scale = (penalty_slope(q, model.before, model.step, 0) - begin - sums[0]) / bend
            model.scale *= min(max(scale, NEAR), 1 / NEAR)
        for k in range(q.m if self.batch.design.centred else 0):
            q.g[k] -= sums[1] * mean[at(pos, k)]
        memcpy(q.seen, q.w, q.m * sizeof(double))
        memcpy(state.eta, model.trial, self.batch.n * sizeof(double))
        state.b -= level
        small.exact = True
        if self.batch.design.centred:
            model.open, model.left = True, sums[1]
        else:
            self._residual_of(t, model.slope, state)
        return 1

    cdef double _slope(self, Py_ssize_t t, const State *state, double part) noexcept nogil:
        """Derivative of the objective along the step, after a part of it."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Model *model = &self.models[t]
        cdef Py_ssize_t i, n = self.batch.n
        cdef double total = 0
        for i in range(n):
            model.trial[i] = state.eta[i] + part * model.v[i]
        self.batch.datafit.at(n, problem.y, model.trial, NULL, model.slope, NULL)
        for i in range(n):
            if problem.weight == NULL:
                total += model.slope[i] * model.v[i]
            elif problem.weight[i] > 0:
                total += problem.weight[i] * model.slope[i] * model.v[i]
        total += penalty_slope(&self.smalls[t].q, model.before, model.step, part)
        return total if total == total else INFINITY          # where the loss is no number any more, it is too far

    cdef bint _falls(self, Py_ssize_t t, const State *state, double part, double begin, bint *hidden) noexcept nogil:
        """Whether the objective has fallen enough after a part of the step, with eta there in the trial; hidden: by no
        more, nor risen, than rounding may make of it."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Model *model = &self.models[t]
        cdef double blur, risen
        risen = self.batch.datafit.risen(self.batch.n, problem.y, problem.weight, state.eta, model.trial, &blur)
        risen += penalty_risen(&self.smalls[t].q, model.before, model.step, part)
        hidden[0] = fabs(risen) <= blur < INFINITY
        return risen <= DESCENT * part * begin

    cdef double _backtrack(self, Py_ssize_t t, const State *state, double begin) noexcept nogil:
        """The part of a step after which an objective that is not convex has fallen enough or, where that is hidden,
        its slope: half of it, or of that."""
        cdef Model *model = &self.models[t]
        cdef Py_ssize_t i
        cdef double part = 1
        cdef bint falls, hidden
        cdef int _
        for _ in range(TRIALS):
            part *= 0.5
            for i in range(self.batch.n):
                model.trial[i] = state.eta[i] + part * model.v[i]
            falls = self._falls(t, state, part, begin, &hidden)
            if self._slope(t, state, part) <= -ACCEPTED * begin if hidden else falls:
                return part
        return 0

    cdef double _search(self, Py_ssize_t t, const State *state, double begin, double end) noexcept nogil:
        """The part of a step to be taken that leads too far: to where the slope is a share of what it was. begin, end:
        the slopes at its ends."""
        cdef double lo = 0, hi = 1, at_lo = begin, at_hi = end, part, slope
        cdef int _
        for _ in range(TRIALS):
            part = lo + (hi - lo) * min(max(at_lo / (at_lo - at_hi), 0.1), 0.9)
            slope = self._slope(t, state, part)
            if fabs(slope) <= -ACCEPTED * begin:
                return part
            if slope < 0:
                lo, at_lo = part, slope
            else:
                hi, at_hi = part, slope
        return lo


cdef void _try_rows(void *context, Py_ssize_t lo, Py_ssize_t hi, const double *v, double *share,
                    double *sums) noexcept nogil:
    """eta, and less the derivatives with their weights; sums of these times v, and alone."""
    cdef const Trial *u = <const Trial *> context
    cdef Py_ssize_t i
    cdef double along = 0, total = 0
    for i in range(lo, hi):
        u.there[i] = u.eta[i] + v[i]
    (<Datafit> u.datafit).at(hi - lo, u.y + lo, u.there + lo, NULL, u.slope + lo, NULL)
    if u.weight == NULL:
        for i in range(lo, hi):
            share[i] = -u.slope[i]
            total += share[i]
        sums[0] += fr_vdot(hi - lo, share + lo, v + lo)
    else:
        for i in range(lo, hi):
            share[i] = -u.weight[i] * u.slope[i] if u.weight[i] > 0 else 0
            total += share[i]
            along += share[i] * v[i] if u.weight[i] > 0 else 0   # v may be infinite without weight
        sums[0] += along
    sums[1] += total
