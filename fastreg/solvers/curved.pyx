"""Small problems under a loss whose curvature changes: Newton's method, with the penalty as it is.

The loss is replaced by its quadratic model at the present coefficients; the small problem on its Gram matrix
``X' diag(s f'') X`` is solved exactly, and the way there is searched for the minimum along it: from ``eta + t Xz``,
without another product. The intercept is solved for after each step, so that the residual sums to zero.

a) **The curvature is kept** while steps help: only the gradient is new. Columns that enter get their products under the
   curvature of the others. It is taken anew when a step leaves more than a part of the violation it began with.
b) **A floor** keeps it positive where the loss is flat: in the model alone, never in gradient or gap.
"""
from libc.math cimport fabs
from libc.stdlib cimport free
from libc.string cimport memcpy

from fastreg.kernels.block cimport block_products
from fastreg.kernels.block_gram cimport block_gram, block_means
from fastreg.kernels.factor cimport factor_clear
from fastreg.kernels.leaf cimport fr_axpy
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.quadratic cimport FREE, IDLE, OUT, Quad, quad_place, quad_settled, quad_solve
from fastreg.solvers.gathered cimport Gathered
from fastreg.solvers.problem cimport Batch, Problem
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State, measure

cdef enum:
    ROUNDS = 4                   # of the small solver in one call
    TRIALS = 40                  # of a search
cdef double CONTRACTION = 0.4    # a step that leaves more of the violation has used up its curvature
cdef double FLOOR = 1e-10        # of the mean curvature
cdef double EXACT = 0.3          # of a violation that is none, what may be left of it in the model
cdef double ACCEPTED = 0.5       # of the slope that a step began with, what may be left of it, with the other sign


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
            model.weight, model.v = self.pool.doubles(batch.n), self.pool.doubles(batch.n)
            model.trial, model.slope = self.pool.doubles(batch.n), self.pool.doubles(batch.n)
            model.stale = True

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.models != NULL else 0):
            free(self.models[t].mean)
            free(self.models[t].before)
            free(self.models[t].g)
            free(self.models[t].step)
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
        model.total = 0
        for i in range(n):
            model.weight[i] = max(model.weight[i], least * (1 if problem.weight == NULL else problem.weight[i]))
            model.total += model.weight[i]
        model.stale = False
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
        block_means(&self.block, model.weight, pos, first, m, model.mean)
        return block_gram(&self.block, self.batch.design, model.weight, pos, first, m,
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
        self.models[t].stale, self.models[t].moved, self.models[t].last, self.models[t].slid = True, False, 0, 0
        return Gathered.restart(self, t)

    cdef int solve(self, Py_ssize_t t, State *state) except -1 nogil:
        """One step; 1 where the conditions hold at the gradient of the loss itself, or rounding leaves no step."""
        cdef Small *small = &self.smalls[t]
        cdef Model *model = &self.models[t]
        cdef Quad *q = &small.q
        cdef double violation, slack = q.slack
        cdef bint fresh = False
        cdef Py_ssize_t _
        if model.moved:
            self._judge_slide(t, state)
        self.correlate(t, state)
        if not model.stale and quad_settled(q):
            return 1
        memcpy(model.before, q.w, q.m * sizeof(double))
        memcpy(model.g, q.g, q.m * sizeof(double))
        violation = _violation(q, small.cols, self.batch.problems[t].terms.norm)
        if model.stale or violation > CONTRACTION * model.last:
            self._refresh(t, state)
            fresh = True
        model.last = violation
        q.slack = EXACT * slack
        quad_place(q, True)
        for _ in range(50 + q.m):
            if quad_solve(q, ROUNDS) == 1:
                break
        q.slack = slack
        if self._take_step(t, state):
            return 0
        model.last = 0                             # under another curvature, if this is not the one at hand
        return fresh

    cdef double polish(self, Py_ssize_t t) except -1 nogil:
        """None: steps under a new curvature are as good."""
        return 0

    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        """eta, from products with the block, and the rest at it."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t i
        block_products(&self.block, self.batch.design, self._weighting(t).mean, small.q.w, self._positions(t),
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
        return 0

    cdef void _settle(self, Py_ssize_t t, State *state) noexcept nogil:
        """The intercept, and the residual, at a new eta."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Py_ssize_t i, n = self.batch.n
        if self.batch.design.centred:
            state.b += self.batch.datafit.refit_intercept(n, problem.y, problem.weight, state.eta)
        self.batch.datafit.at(n, problem.y, state.eta, NULL, state.r, NULL)
        for i in range(n):
            if problem.root == NULL:
                state.r[i] = -state.r[i]
            else:
                state.r[i] = -problem.root[i] * state.r[i] if problem.root[i] > 0 else 0
        measure(state, n)
        self.smalls[t].exact = self.models[t].moved = False
        self.models[t].slid = 0

    # ---- a step ----------------------------------------------------------------------------------------------------
    cdef bint _take_step(self, Py_ssize_t t, State *state) except -1 nogil:
        """From the coefficients before towards those of the model; False where rounding leaves no way down."""
        cdef Small *small = &self.smalls[t]
        cdef Model *model = &self.models[t]
        cdef Quad *q = &small.q
        cdef const int *pos = self._positions(t)
        cdef const double *mean = self._weighting(t).mean
        cdef Py_ssize_t i, k
        cdef double part, begin = 0, level = 0
        for k in range(q.m):
            model.step[k] = q.w[k] - model.before[k]
            begin -= model.g[k] * model.step[k]
            if self.batch.design.centred:
                level += model.step[k] * (model.mean[k] - mean[k if pos == NULL else pos[k]])
        begin += _penalty_slope(q, model.before, model.step, 0)
        part = 0
        if begin < 0:
            block_products(&self.block, self.batch.design, self._weighting(t).mean, model.step, pos, q.m, model.v)
            for i in range(self.batch.n):
                model.v[i] -= level
            part = self._search(t, state, begin)
        if part < 1:
            for k in range(q.m):
                q.w[k] = model.before[k] + part * model.step[k]
            quad_place(q, False)
        if part == 0:
            small.exact = False
            return False
        fr_axpy(self.batch.n, part, model.v, state.eta)
        state.b -= part * level
        self._settle(t, state)
        return True

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
        return total + _penalty_slope(&self.smalls[t].q, model.before, model.step, part)

    cdef double _search(self, Py_ssize_t t, const State *state, double begin) noexcept nogil:
        """The part of the step to be taken: all of it, if the objective has not begun to rise much; or to where its
        slope is a share of what it was. `begin`: the slope to begin with, negative."""
        cdef double lo = 0, hi = 1, at_lo = begin, at_hi = self._slope(t, state, 1), part, slope
        cdef int _
        if at_hi <= -ACCEPTED * begin:
            return 1
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


cdef double _penalty_slope(const Quad *q, const double *before, const double *step, double part) noexcept nogil:
    """Derivative of the penalty along a step, after a part of it; where a coordinate is at zero, of the side that it
    comes from, or goes to at the beginning."""
    cdef Py_ssize_t k
    cdef double w, sign, total = 0
    for k in range(q.m):
        if step[k] != 0:
            w = before[k] + part * step[k]
            if w == 0 or (part == 1 and q.w[k] == 0):
                w, sign = 0, ((step[k] > 0) - (step[k] < 0)) * (-1 if part > 0 else 1)
            else:
                sign = (w > 0) - (w < 0)
            total += (q.l1[k] * sign + q.l2[k] * w) * step[k]
    return total


cdef double _violation(const Quad *q, const int *cols, const double *norm) noexcept nogil:
    """The largest violation of a condition, against the norm of the column."""
    cdef Py_ssize_t k
    cdef double h, excess, worst = 0
    for k in range(q.m):
        h = q.g[k] - q.l2[k] * q.w[k]
        if q.st[k] == FREE:
            excess = fabs(h - q.l1[k] * q.sg[k])
        else:
            excess = fabs(h) - q.l1[k]
        if excess > 0 and norm[cols[k]] > 0 and q.lo[k] < q.w[k] < q.hi[k]:
            worst = max(worst, excess / norm[cols[k]])
    return worst
