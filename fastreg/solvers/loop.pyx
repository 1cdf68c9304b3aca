"""Solving a batch of problems at one penalty value after the other: solve small, certify, grow, until all are done.

Each problem has a working set of its own; they share the passes over X. A single fit is a batch of one.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy

from fastreg.kernels.leaf cimport fr_maxabs
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.threads cimport Task, run_tasks
from fastreg.solvers.certificate cimport Judged, duality_gap
from fastreg.solvers.screening cimport Findings, Screening
from fastreg.solvers.problem cimport Batch, Problem, excluded
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State
from fastreg.solvers.ticker cimport Ticker
from fastreg.solvers.working_set cimport WorkingSets

cdef double ACCURATE = 1e-7      # no solution need have a smaller gap than this times its unit, unless tol says so
cdef double LEAST_TOL = 1e-9     # where rounding ends the rounds, the gap must not be larger than this times its unit
cdef double ALLOWED = 0.2        # share of that gap that the l2 terms may leave


cdef class Loop:
    """Owns the states of the solutions.

    Parameters
    ----------
    batch : Batch
    sets : WorkingSets
    screening : Screening
    ticker : Ticker
    tol : float
        A solution is accepted when its gap is at most tol times its unit, or when no violation is left.
    slack : float
        A relative violation that is none.
    """

    def __cinit__(self, Batch batch, WorkingSets sets, Screening screening, Ticker ticker, double tol, double slack):
        cdef Py_ssize_t t
        self.batch, self.sets, self.screening, self.ticker = batch, sets, screening, ticker
        self.tol, self.slack, self.pool, self.turns = tol, slack, Pool(), TURNS
        self.states = <State *> self.pool.take(batch.n_problems * sizeof(State))
        self.judged = <Judged *> self.pool.take(batch.n_problems * sizeof(Judged))
        for t in range(batch.n_problems):
            self.states[t].r = self.pool.doubles(batch.n)
            if not batch.datafit.quadratic:
                self.states[t].eta = self.pool.doubles(batch.n)
            self._rest(t)

    cdef void _rest(self, Py_ssize_t t) noexcept nogil:
        """At w = 0."""
        cdef State *state = &self.states[t]
        cdef const Problem *problem = &self.batch.problems[t]
        memcpy(state.r, problem.null_r, self.batch.n * sizeof(double))
        state.rr, state.r_max = problem.null_rr, fr_maxabs(self.batch.n, state.r)
        if state.eta != NULL:
            memcpy(state.eta, problem.null_eta, self.batch.n * sizeof(double))
            state.b = problem.null_b

    cdef Small *_small(self, Py_ssize_t t) noexcept nogil:
        """The small problem on the present working set."""
        return &self.sets.solver.smalls[t]

    # ---- where to begin --------------------------------------------------------------------------------------------
    cdef int restart(self) except -1 nogil:
        """Every problem back at w = 0, under new penalties."""
        cdef Py_ssize_t t
        self.screening.restart()
        for t in range(self.batch.n_problems):
            self._rest(t)
            self.sets.solver.restart(t)
        return 0

    cdef bint untouched(self) noexcept nogil:
        """Whether nothing has been solved, nor let in, of the problems that are awake."""
        cdef Py_ssize_t t
        for t in range(self.batch.n_problems):
            if not self.states[t].asleep and (self.screening.begun(t) or self._small(t).q.m > 0):
                return False
        return True

    cdef int start_from(self, Py_ssize_t t, const double *coef) except -1 nogil:
        """Start from given coefficients; a certificate is tried on them before any round."""
        cdef Small *small = self._small(t)
        cdef Py_ssize_t j, k
        small.n_entering = 0
        for j in range(self.batch.p):
            if coef[j] != 0 and not excluded(self.batch.problems[t].terms, j) and not small.inside[j]:
                small.entering[small.n_entering] = <int> j
                small.n_entering += 1
        self.sets.enlarge(self.alpha, self.states, self._threads())
        small = self._small(t)
        for k in range(small.q.m):
            small.q.w[k] = min(max(coef[small.cols[k]], small.q.lo[k]), small.q.hi[k])
        self.sets.solver.residual(t, &self.states[t])    # placed once alpha, and so the l2 terms, are known
        self.sets.solver.correlate(t, &self.states[t])
        self.started = True
        return 0

    # ---- one penalty value -----------------------------------------------------------------------------------------
    cdef int solve(self, double alpha, Py_ssize_t max_rounds) except -1 nogil:
        """All problems that are awake, to their certificates."""
        cdef Py_ssize_t t, pending
        self.alpha, self.slide = alpha, max_rounds > 0
        pending = self._reset()
        self._each(_begin)
        if self.batch.datafit.coupled:
            self._begin_coupled()
        if self.started:
            self.started = False
            pending = self._try_start(max_rounds)
        while pending > 0:
            self.sets.grow(self.screening, alpha, self.states, self._threads())
            if self.batch.datafit.coupled:
                self._solve_coupled()
            else:
                self._each(_solve_small)
            self._certify()
            pending = self._accept(max_rounds)
            self.ticker.count_round()
        for t in range(self.batch.n_problems):
            if self.states[t].rounds > 0:
                self._polish(t)
        return 0

    cdef Py_ssize_t _reset(self) noexcept nogil:
        """Nothing is known of the solutions at the new penalty value; returns how many problems are awake."""
        cdef Py_ssize_t t, awake = 0
        cdef State *state
        for t in range(self.batch.n_problems):
            state = &self.states[t]
            state.done = state.settled = state.asleep
            state.rounds, state.gap = 0, 0 if state.asleep else INFINITY
            state.best, state.stalled, state.tried, state.ready = INFINITY, 0, False, False
            state.aim = (min(self.tol, ACCURATE) if self.batch.datafit.quadratic else self.tol) * (
                self.batch.problems[t].unit)
            state.spare = ALLOWED * state.aim
            awake += not state.asleep
        return awake

    cdef int _threads(self) noexcept nogil:
        """How many problems to work on at the same time: one where rounds are short, as threads meet in each."""
        cdef Py_ssize_t t, s
        cdef double work = 0
        for t in range(self.batch.n_problems if self.batch.n_problems > 1 else 0):
            s = self._small(t).q.f.s
            work += 8 * s * s + 8 * self.screening.n_live + self.batch.n
        return self.batch.design.threads(work / 3)

    cdef int _each(self, Task task) except -1 nogil:
        """A piece of work on each problem."""
        return run_tasks(task, <void *> self, self.batch.n_problems, self._threads())

    cdef int _begin(self, Py_ssize_t t) except -1 nogil:
        """New penalties, and a look at where the residual is heading."""
        cdef bint l2_changed
        if self.states[t].asleep:
            return 0
        self.sets.solver.set_penalties(t, self.alpha, &l2_changed)
        self.sets.solver.place(t, self.slide, l2_changed)
        self.states[t].ready = self.screening.predict(
            t, self.alpha, self.states[t].r, self._small(t).inside, self.sets.solver.at_hand)
        return self.ticker.tick()

    cdef void _begin_coupled(self) noexcept nogil:
        """What was expected to enter counts for all classes or none."""
        cdef Py_ssize_t t
        cdef bint ready = True
        for t in range(self.batch.n_problems):
            ready &= self.states[t].ready
        for t in range(self.batch.n_problems):
            self.states[t].ready = ready

    cdef Py_ssize_t _try_start(self, Py_ssize_t max_rounds) except -1 nogil:
        """How many problems need rounds, those being done whose start is good enough as it is."""
        cdef Py_ssize_t t, pending = 0
        cdef State *state
        self._certify()
        for t in range(self.batch.n_problems):
            state = &self.states[t]
            state.done = state.done or state.settled or self._small_enough(t)
            pending += not state.done and max_rounds > 0
        return pending

    cdef Py_ssize_t _accept(self, Py_ssize_t max_rounds) noexcept nogil:
        """Say which problems are done; returns how many are not and have rounds left."""
        cdef Py_ssize_t t, pending = 0
        cdef State *state
        for t in range(self.batch.n_problems):
            state = &self.states[t]
            if not state.done:
                # at the first gap only if it is small and new columns had their chance: a path must not stand still
                # while its last solution is good enough
                state.done = state.settled or (state.tried and self._small_enough(t)) or (
                    state.ready and state.gap <= state.aim)
                state.tried = state.gap < INFINITY
                pending += not state.done and state.rounds < max_rounds
        return pending

    cdef bint _small_enough(self, Py_ssize_t t) noexcept nogil:
        """Whether the gap is as small as asked for."""
        return self.states[t].gap <= self.tol * self.batch.problems[t].unit

    cdef bint good(self, Py_ssize_t t) noexcept nogil:
        """Whether the gap is as small as asked for, or as rounding lets a gap that deserves the name be."""
        return self.states[t].gap <= max(self.tol, LEAST_TOL) * self.batch.problems[t].unit

    cdef int _solve_small(self, Py_ssize_t t) except -1 nogil:
        """No more exactly than the violations outside the working set are worth, when the last round left any."""
        cdef State *state = &self.states[t]
        cdef Small *small = self._small(t)
        cdef Py_ssize_t _
        if state.done:
            return 0
        self._set_slack(t)
        for _ in range(50 + small.q.m if small.q.m > 0 else 0):
            if self.sets.solver.solve(t, state) == 1:
                break
            self.ticker.tick()
        return self.ticker.tick()

    cdef int _solve_coupled(self) except -1 nogil:
        """The small problems of all classes, which take turns."""
        cdef Py_ssize_t t, _, m = 0
        if self.states[0].done:
            return 0
        for t in range(self.batch.n_problems):
            self._set_slack(t)
            m += self._small(t).q.m
        self.unfinished = m > 0
        for _ in range(self.turns):
            if not self.unfinished:
                break
            self.unfinished = False
            for t in range(self.batch.n_problems):
                self.unfinished |= self.sets.solver.solve(t, self.states) == 0
                self.ticker.tick()
        return self.ticker.tick()

    cdef void _set_slack(self, Py_ssize_t t) noexcept nogil:
        """A round begins: what its small problem may leave of a violation."""
        cdef Small *small = self._small(t)
        self.states[t].rounds += 1
        small.q.slack = min(0.3, max(self._allowed(t), 0.1 * self.screening.found(t).worst))
        self.states[t].slack = small.q.slack
        small.q.loose = sqrt(self.states[t].spare / (small.q.m + 1))
        small.exact = False

    cdef double _allowed(self, Py_ssize_t t) noexcept nogil:
        """A relative violation that need not be mended: any is, where that is one step; elsewhere what adds but a tenth
        of what the gap may be, as one of e may add e times the l1 terms. Where that was not enough, as losses of rows
        that are fitted badly add to it, less than the last time."""
        cdef const State *state = &self.states[t]
        cdef double enough = self.tol * self.batch.problems[t].unit, terms = 0
        cdef Py_ssize_t k
        if self.batch.datafit.quadratic:
            return self.slack
        if self.batch.datafit.coupled:
            for k in range(self.batch.n_problems):
                terms += self._l1_terms(k)
        else:
            terms = self._l1_terms(t)
        if terms == 0:
            return self.slack
        if enough < state.gap < INFINITY and state.slack > 0:
            return max(self.slack, min(0.1 * enough / terms, 0.3 * enough / state.gap * state.slack))
        return max(self.slack, 0.1 * enough / terms)

    cdef double _l1_terms(self, Py_ssize_t t) noexcept nogil:
        cdef const Small *small = self._small(t)
        cdef double terms = 0
        cdef Py_ssize_t k
        for k in range(small.q.m):
            terms += small.q.l1[k] * fabs(small.q.w[k])
        return terms

    cdef int _polish(self, Py_ssize_t t) except -1 nogil:
        """Iterative refinement where free columns are fitted: least squares deserves all digits X has to give."""
        cdef int _
        cdef double step, last = INFINITY
        for _ in range(5):
            step = self.sets.solver.polish(t)
            if step == 0:
                break
            self.sets.solver.residual(t, &self.states[t])
            self.sets.solver.correlate(t, &self.states[t])
            if step > 0.5 * last or step < 1e-16:
                break
            last = step
        if last < INFINITY:
            self.states[t].gap = self._gap(t, 1)
        return 0

    # ---- certificate -----------------------------------------------------------------------------------------------
    cdef int _certify(self) except -1 nogil:
        """Correlations at the new solutions, violators outside the working sets, gaps."""
        self.ticker.tick()
        self.sets.solver.residuals(self.states)
        self.screening.revive(self.alpha, self.states)
        self._each(_screen)
        self.screening.read_candidates(self._threads())
        self._each(_judge)
        return self._judge_coupled() if self.batch.datafit.coupled else 0

    cdef int _screen(self, Py_ssize_t t) except -1 nogil:
        cdef State *state = &self.states[t]
        if not state.done:
            self.screening.screen(t, self.alpha, state.r, state.spare, self._small(t).inside)
        return 0

    cdef int _judge(self, Py_ssize_t t) except -1 nogil:
        """Violators, gap, and whether anything is left to do."""
        cdef State *state = &self.states[t]
        cdef Small *small = self._small(t)
        cdef const Findings *found
        if state.done:
            return 0
        found = self.screening.violators(t, self.alpha)
        if found.n == 0 or self.batch.datafit.coupled:       # else the small problem's own correlations will do
            self.sets.solver.correlate(t, state)
        small.q.slack = self.slack
        if self.batch.datafit.coupled:
            return self.ticker.tick()
        state.gap = self._gap(t, 1)
        if found.n > 0 and self._small_enough(t):
            self.sets.solver.correlate(t, state)
            state.gap = self._gap(t, 1)
        state.settled = found.n == 0 and (self.sets.solver.settled(t) or self._stalls(state))
        return self.ticker.tick()

    cdef int _judge_coupled(self) except -1 nogil:
        """The gap of all classes together, and whether anything is left to do in any."""
        cdef Py_ssize_t t
        cdef State *first = &self.states[0]
        cdef bint nothing = True, settled = True
        if first.done:
            return 0
        first.gap = self._gap(0, self.batch.n_problems)
        for t in range(self.batch.n_problems):
            nothing &= self.screening.found(t).n == 0
            settled &= self.sets.solver.settled(t)
        first.settled = nothing and (settled or (not self.unfinished and self._stalls(first)))
        for t in range(1, self.batch.n_problems):
            self.states[t].gap, self.states[t].settled = first.gap, first.settled
        return 0

    cdef double _gap(self, Py_ssize_t t, Py_ssize_t count) noexcept nogil:
        """Of problem t; or of `count` of them, from t on, that are one."""
        cdef Py_ssize_t k
        for k in range(t, t + count):
            self.judged[k].problem, self.judged[k].state = &self.batch.problems[k], &self.states[k]
            self.judged[k].small, self.judged[k].found = self._small(k), self.screening.found(k)
        return duality_gap(self.batch.datafit, self.batch.n, &self.judged[t], count, self.alpha)

    cdef bint _stalls(self, State *state) noexcept nogil:
        """Nothing violates outside, and three rounds inside have not halved the gap: rounding has the last word."""
        if state.gap < 0.5 * state.best:
            state.best, state.stalled = state.gap, 0
        else:
            state.stalled += 1
        return state.stalled >= 3

    # ---- from X itself ---------------------------------------------------------------------------------------------
    cdef int judge_from_x(self, double alpha) except -1 nogil:
        """Gaps of the present coefficients of all problems, as they are."""
        cdef Py_ssize_t t
        cdef bint l2_changed
        self.alpha = alpha
        for t in range(self.batch.n_problems):
            self.sets.solver.set_penalties(t, alpha, &l2_changed)
            self.sets.solver.place(t, False, l2_changed)
            self.states[t].done = False
        return self._read_x()

    cdef int mend_from_x(self, double alpha, Py_ssize_t max_rounds) except -1 nogil:
        """Solutions to gaps that are computed from X itself.

        Where one is above its tolerance, what the sums lack is mended: the small problem is solved from correlations
        that are exact, again while that halves the gap and rounds are left."""
        cdef Py_ssize_t t, pending = 1
        cdef State *state
        for t in range(self.batch.n_problems):
            self.states[t].best = INFINITY
            self.states[t].done = self.states[t].asleep
        while pending > 0:
            self._read_x()
            pending = 0
            for t in range(self.batch.n_problems):
                state = &self.states[t]
                state.done = (state.done or self._small_enough(t) or not state.gap < 0.5 * state.best
                              or state.rounds >= max_rounds)
                if not state.done:
                    state.best = state.gap
                    state.rounds += 1
                    self.sets.solver.solve(t, state)
                    pending += 1
        for t in range(self.batch.n_problems):
            state = &self.states[t]
            state.done = state.asleep or state.settled or self._small_enough(t)
        return 0

    cdef int _read_x(self) except -1 nogil:
        """Residuals, correlations and gaps of the open problems from X."""
        cdef Py_ssize_t t
        self.sets.solver.read_x(self.states)
        self.screening.streamed += self.batch.design.nnz
        for t in range(self.batch.n_problems):
            if not self.states[t].done:
                self.states[t].gap = self._gap(t, 1)
        return self.ticker.tick()


cdef int _begin(void *loop, Py_ssize_t t) except -1 nogil:
    return (<Loop> loop)._begin(t)


cdef int _solve_small(void *loop, Py_ssize_t t) except -1 nogil:
    return (<Loop> loop)._solve_small(t)


cdef int _screen(void *loop, Py_ssize_t t) except -1 nogil:
    return (<Loop> loop)._screen(t)


cdef int _judge(void *loop, Py_ssize_t t) except -1 nogil:
    return (<Loop> loop)._judge(t)
