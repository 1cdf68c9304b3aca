"""Columns outside the working sets: which of them may violate their condition, and what must be read to know.

A residual r is nearly a combination of earlier residuals r_k whose X'r_k is known: with e = r - sum_k c_k r_k,

    |x_j'r - sum_k c_k x_j'r_k| <= min(||x_j||_2 ||e||_2, ||x_j||_1 ||e||_inf),

so only columns whose bound reaches l1_j need their own dot product. Where they are too many, one pass over all live
columns is made and becomes a new reference. Nothing is assumed: a column is skipped only when the bound proves it.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove, memset

from fastreg.kernels.leaf cimport fr_axpy, fr_bound, fr_continue, fr_highest, fr_maxabs
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.references cimport (
    MAX_REFERENCES, references_fit, references_free, references_init, references_keep, references_slot)
from fastreg.kernels.threads cimport Task, run_tasks, share_of
from fastreg.solvers.live_columns cimport LIVE, LiveColumns
from fastreg.solvers.screening cimport Findings
from fastreg.solvers.problem cimport Batch, Terms, excluded, l1_factor, l2_factor, lower, upper, weigh
from fastreg.solvers.state cimport State

cdef enum:
    COLUMNS = 512                # live columns looked at while what is known of them stays in cache
cdef double PARTIAL = 0.4        # share of a pass above which the whole pass is made and kept as a reference
cdef double SHARED = 0.25        # of the price of a pass for one problem, what every further one adds to it
cdef double NEAR = 0.1           # a column that is in the block already may be let in that much too early
cdef double MANY_ROWS = 1000     # fewer are taken for so many, but of the squared loss: a row of weight 2 is two rows
cdef double DOUBT = 3            # standard errors by which a predicted correlation must exceed l1


cdef class ReferenceScreening(LiveColumns):
    """Watches the columns of a batch of problems by bounds that rest on residuals whose correlations are known.

    Parameters
    ----------
    batch : Batch
    slack : float
        A relative violation that is none.
    most : int
        References kept for each problem.
    """

    def __cinit__(self, Batch batch, double slack, int most):
        cdef Py_ssize_t t
        cdef Pool pool = self.pool
        self.slack, self.rows = slack, 0 if batch.datafit.quadratic else MANY_ROWS
        self.listed = pool.flags(self.p)
        self.joint, self.joint_cols = pool.room_for_ints(self.p), pool.room_for_ints(self.p)
        self.shares = pool.room_for_doubles(max(self.n_problems, MAX_REFERENCES) * self.n)
        self.watches = <Watch *> zeros(self.n_problems * sizeof(Watch))
        for t in range(self.n_problems):
            self._new_watch(t, most)

    cdef int _new_watch(self, Py_ssize_t t, int most) except -1:
        cdef Watch *watch = &self.watches[t]
        cdef Pool pool = self.pool
        watch.problem = &self.batch.problems[t]
        references_init(&watch.refs, self.n, self.p, most)
        watch.now.est, watch.now.err = pool.room_for_doubles(self.p), pool.room_for_doubles(self.p)
        watch.last.est, watch.last.err = pool.room_for_doubles(self.p), pool.room_for_doubles(self.p)
        watch.r_last, watch.remainder = pool.room_for_doubles(self.n), pool.room_for_doubles(self.n)
        watch.cand, watch.found.cols = pool.room_for_ints(self.p), pool.room_for_ints(self.p)
        watch.found.g, watch.found.score = pool.room_for_doubles(self.p), pool.room_for_doubles(self.p)
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.watches != NULL else 0):
            references_free(&self.watches[t].refs)
        free(self.watches)
        free(self.passes)

    # ---- where to begin ---------------------------------------------------------------------------------------------
    cdef int begin(self) except -1 nogil:
        """The residual at w = 0 is the first reference of every problem."""
        cdef Py_ssize_t t, j
        cdef double *g
        self.first_columns()
        for t in range(self.n_problems):
            g = references_slot(&self.watches[t].refs)
            for j in range(self.n_live):
                g[j] = self.batch.xy[t, self.live[j]]
            references_keep(&self.watches[t].refs, self.watches[t].problem.null_r)
        return 0

    cdef int restart(self) except -1 nogil:
        """New penalties: columns may be live that were not, and no path is there to go on from."""
        cdef Py_ssize_t t
        self.columns_again()
        for t in range(self.n_problems):
            self.watches[t].n_solved = self.watches[t].now.n = self.watches[t].last.n = 0
        return 0

    cdef bint begun(self, Py_ssize_t t) noexcept nogil:
        return self.watches[t].n_solved > 0

    cdef const Findings *found(self, Py_ssize_t t) noexcept nogil:
        return &self.watches[t].found

    cdef int revive(self, double alpha, const State *states) except -1 nogil:
        """Bring columns to life, and learn their correlations with the residuals kept for reference."""
        cdef Py_ssize_t first = self.n_live
        self.bring(alpha, states)
        return self._extend_references(first)

    cdef int _extend_references(self, Py_ssize_t first) except -1 nogil:
        """Correlations of the live columns from `first` on with the residuals kept for reference."""
        cdef Py_ssize_t t, a, k, known, n = self.n_live - first
        cdef Watch *watch
        if n == 0:
            return 0
        grow(<void **> &self.passes, MAX_REFERENCES * n * sizeof(double))
        for t in range(self.n_problems):
            watch = &self.watches[t]
            known = watch.refs.first                       # that at w = 0: its correlations are at hand
            for a in range(first, self.n_live if known else first):
                watch.refs.g[0][a] = self.batch.xy[t, self.live[a]]
            for k in range(known, watch.refs.held):
                weigh(watch.problem.root, self.n, watch.refs.r[k], self.shares + k * self.n)
            if watch.refs.held > known:
                self.design.stream(self.live + first, n, self.shares + known * self.n, watch.refs.held - known,
                                   self.passes, n)
            for k in range(known, watch.refs.held):
                memcpy(watch.refs.g[k] + first, self.passes + (k - known) * n, n * sizeof(double))
        return 0

    # ---- bounds ----------------------------------------------------------------------------------------------------
    cdef int predict(self, Py_ssize_t t, double alpha, const double *r, const char *inside,
                     const char *at_hand) except -1 nogil:
        """A guess: it only saves a round of certificates, it decides nothing."""
        cdef Watch *watch = &self.watches[t]
        cdef bint ahead = watch.n_solved >= 2 and alpha < watch.alpha[0] < watch.alpha[1]
        cdef Bounds last = watch.last
        watch.found.n = 0
        watch.found.worst = INFINITY if watch.n_solved == 0 else 0
        if ahead:
            self._expect(watch, alpha, r, self.shares + t * self.n, inside, at_hand)
        watch.last, watch.now = watch.now, last
        watch.now.n = 0
        memcpy(watch.r_last, r, self.n * sizeof(double))
        watch.alpha[1], watch.alpha[0] = watch.alpha[0], alpha
        watch.n_solved += 1
        return ahead

    cdef int _expect(self, Watch *watch, double alpha, const double *r, double *r_ahead, const char *inside,
                     const char *at_hand) except -1 nogil:
        """List the columns that would violate at alpha if r went on along its path, which is linear between events.

        Where both of the last two correlations of a column are known they are continued; otherwise those of the
        references, taken back by the error they may have. r_ahead: n elements of work."""
        cdef Py_ssize_t a
        cdef Look u
        u.step = (alpha - watch.alpha[0]) / (watch.alpha[0] - watch.alpha[1])
        for a in range(watch.last.n, self.n_live):
            watch.last.err[a] = INFINITY
        for a in range(watch.now.n, self.n_live):
            watch.now.err[a] = INFINITY
        # a remainder e in no particular direction correlates with x_j like ||x_j|| ||e|| / sqrt(n)
        u.doubt = DOUBT / sqrt(max(<double> self.n, self.rows))
        memcpy(r_ahead, r, self.n * sizeof(double))
        fr_axpy(self.n, u.step, r, r_ahead)
        fr_axpy(self.n, -u.step, watch.r_last, r_ahead)
        u.at_hand = at_hand
        self._look(_expect_some, &u, watch, alpha, r_ahead, inside)
        _together(&u)
        return 0

    cdef int _look(self, Task task, Look *u, Watch *watch, double alpha, const double *r,
                   const char *inside) except -1 nogil:
        """A look at all live columns, at residual r: some at a time, what each lists being put where its columns
        begin."""
        u.inside = inside
        references_fit(&watch.refs, r, u.c, watch.remainder, &u.e2, &u.einf)
        return self._deal(task, u, watch, alpha, self.n_live)

    cdef int _deal(self, Task task, Look *u, Watch *watch, double alpha, Py_ssize_t n) except -1 nogil:
        """Let tasks look at n columns, some at a time."""
        u.screening, u.watch, u.alpha = <void *> self, watch, alpha
        u.share = share_of(n, COLUMNS)
        u.tasks = (n + u.share - 1) // u.share
        return run_tasks(task, u, u.tasks, self.design.threads(<double> n * (2 + watch.refs.held)))

    cdef void _expect_columns(self, Look *u, Py_ssize_t task) noexcept nogil:
        cdef Watch *watch = u.watch
        cdef Py_ssize_t b = task * u.share, end = min(self.n_live, b + u.share), m
        cdef double g_est[COLUMNS]
        cdef double g_err[COLUMNS]
        u.listed[task], u.worst[task] = 0, 0
        while b < end:
            m = min(COLUMNS, end - b)
            self._bound(watch, u.c, u.e2, u.einf, b, m, g_est, g_err)
            fr_continue(m, u.step, watch.now.est + b, watch.now.err + b, watch.last.est + b, watch.last.err + b,
                        u.doubt, g_err, g_est)
            if fr_maxabs(m, g_est) > (1 - NEAR) * u.alpha * watch.problem.terms.least_pen1:
                self._list_expected(u, task, b, m, g_est)
            b += m

    cdef void _list_expected(self, Look *u, Py_ssize_t task, Py_ssize_t first, Py_ssize_t m,
                             const double *g_est) noexcept nogil:
        """Of m live columns from `first` on, with correlations g_est ahead, those that would violate."""
        cdef const Terms *terms = u.watch.problem.terms
        cdef Findings *found = &u.watch.found
        cdef Py_ssize_t a, at = task * u.share + u.listed[task]
        cdef int j
        cdef double g, l1
        for a in range(m):
            g = g_est[a]
            j = self.live[first + a]
            l1 = u.alpha * l1_factor(terms, j)
            if fabs(g) <= l1 * (1 - NEAR) or self.place[j] != LIVE or u.inside[j] or excluded(terms, j):
                continue
            if fabs(g) > l1 * (1 - NEAR if u.at_hand[j] else 1) and (
                    upper(terms, j) > 0 if g > 0 else lower(terms, j) < 0):
                found.cols[at], found.g[at] = j, g
                found.score[at] = u.alpha * fabs(g) / l1 if l1 > 0 else INFINITY
                at += 1
        u.listed[task] = at - task * u.share

    cdef int screen(self, Py_ssize_t t, double alpha, const double *r, double spare,
                    const char *inside) except -1 nogil:
        """Bound x_j'r for every live column; list those whose bound exceeds their l1, and what reading them costs."""
        cdef Watch *watch = &self.watches[t]
        cdef Py_ssize_t a, task, n = 0
        cdef Look u
        watch.r, watch.cost, watch.now.n, watch.found.n = r, 0, self.n_live, 0
        self._look(_bound_some, &u, watch, alpha, r, inside)
        for task in range(u.tasks):
            memmove(watch.cand + n, watch.cand + task * u.share, u.listed[task] * sizeof(int))
            n += u.listed[task]
            watch.cost += u.cost[task] if u.e2 > 0 else 0
        watch.n_cand = self._allow(watch, alpha, spare, n)
        if watch.n_cand < n:
            watch.cost = 0
            for a in range(watch.n_cand if u.e2 > 0 else 0):
                watch.cost += self.design.cost(self.live[watch.cand[a]])
        return 0

    cdef void _bound_columns(self, Look *u, Py_ssize_t task) noexcept nogil:
        cdef Watch *watch = u.watch
        cdef Bounds *now = &watch.now
        cdef const Terms *terms = watch.problem.terms
        cdef Py_ssize_t a, m, b = task * u.share, end = min(self.n_live, b + u.share), at = b
        cdef int j
        cdef double l1
        u.cost[task] = 0
        while b < end:
            m = min(COLUMNS, end - b)
            self._bound(watch, u.c, u.e2, u.einf, b, m, now.est + b, now.err + b)
            if fr_highest(m, now.est + b, now.err + b) > u.alpha * terms.least_pen1:
                for a in range(b, b + m):
                    j = self.live[a]
                    l1 = u.alpha * l1_factor(terms, j)
                    if fabs(now.est[a]) + now.err[a] <= l1 or self.place[j] != LIVE or u.inside[j] or (
                            excluded(terms, j)):
                        continue
                    if ((now.est[a] + now.err[a] > l1 and upper(terms, j) > 0)
                            or (now.err[a] - now.est[a] > l1 and lower(terms, j) < 0)):
                        watch.cand[at] = <int> a
                        u.cost[task] += self.design.cost(j)
                        at += 1
            b += m
        u.listed[task] = at - task * u.share

    cdef void _bound(self, const Watch *watch, const double *c, double e2, double einf, Py_ssize_t first, Py_ssize_t m,
                     double *est, double *err) noexcept nogil:
        """Estimates and their errors for m live columns from `first` on."""
        cdef int k
        cdef const double *g[MAX_REFERENCES]
        for k in range(watch.refs.held):
            g[k] = watch.refs.g[k] + first
        fr_bound(m, watch.refs.held, c, <const double *const *> g, self.live_norm + first, e2,
                 self.live_norm1 + first if self.live_norm1 != NULL else NULL, einf, est, err)

    cdef Py_ssize_t _allow(self, Watch *watch, double alpha, double spare, Py_ssize_t n) noexcept nogil:
        """Drop candidates that are likely none and, by their l2 term, cheap if they are: an excess e of the bound over
        l1 adds at most e^2 / (2 l2) to the gap. Returns how many are left."""
        cdef const Terms *terms = watch.problem.terms
        cdef Findings *found = &watch.found
        cdef Py_ssize_t a, k, kept, before
        cdef int j
        cdef double cost, most, l1
        found.loss = 0
        before = n + 1
        while 0 < n < before:
            before, kept, most = n, 0, (spare - found.loss) / n
            for k in range(n):
                a = watch.cand[k]
                j = self.live[a]
                l1 = alpha * l1_factor(terms, j)
                cost = fabs(watch.now.est[a]) + watch.now.err[a] - l1
                cost = cost * cost - 2 * most * alpha * l2_factor(terms, j)
                if cost <= 0 and fabs(watch.now.est[a]) <= l1:
                    found.loss += most + (0.5 * cost / (alpha * l2_factor(terms, j)) if cost < 0 else 0)
                else:
                    watch.cand[kept] = <int> a
                    kept += 1
            n = kept
        return n

    # ---- reading ---------------------------------------------------------------------------------------------------
    cdef int read_candidates(self, int threads) except -1 nogil:
        """Exact correlations of the candidates: of each problem's own, of all of them for every problem, or of all live
        columns, where one pass for all problems costs little more."""
        cdef Py_ssize_t t, n_open = 0, n_any
        cdef Watch *watch
        cdef bint whole
        cdef double cost = 0, cost_of_any, each
        for t in range(self.n_problems):
            watch = &self.watches[t]
            if watch.cost > 0:
                n_open += 1
                cost += min(self.design.part(watch.cost / self.live_cost), 1)
        each = 1 + SHARED * (n_open - 1)
        n_any = self._any_candidates(n_open, &cost_of_any)
        whole = cost > PARTIAL * each
        if not whole and each * self.design.part(cost_of_any / self.live_cost) < cost:
            self._read_together(n_open, n_any)
        elif not whole:
            run_tasks(_read_own, <void *> self, self.n_problems, threads if n_open > 1 else 1)
            for t in range(self.n_problems):
                self.streamed += self.watches[t].cost
        elif n_open > 0:
            self._read_all(n_open)
        for t in range(self.n_problems):
            self.watches[t].cost = 0                       # nothing is left to be read
        return 0

    cdef Py_ssize_t _any_candidates(self, Py_ssize_t n_open, double *cost) noexcept nogil:
        """List the live positions that are a candidate of any of several problems; cost: of streaming them."""
        cdef Py_ssize_t t, a, k, n = 0
        cdef Watch *watch
        cost[0] = INFINITY if n_open < 2 else 0
        for t in range(self.n_problems if n_open > 1 else 0):
            watch = &self.watches[t]
            for k in range(watch.n_cand if watch.cost > 0 else 0):
                a = watch.cand[k]
                if not self.listed[a]:
                    self.listed[a] = True
                    self.joint[n], self.joint_cols[n] = <int> a, self.live[a]
                    cost[0] += self.design.cost(self.live[a])
                    n += 1
        for k in range(n):
            self.listed[self.joint[k]] = False
        return n

    cdef int _read_together(self, Py_ssize_t n_open, Py_ssize_t n) except -1 nogil:
        """Exact correlations of the n live columns listed in joint, for all problems with candidates."""
        cdef Py_ssize_t t, a, k = 0
        cdef Watch *watch
        cdef const double *out
        grow(<void **> &self.passes, n_open * n * sizeof(double))
        for a in range(n):
            self.streamed += n_open * self.design.cost(self.joint_cols[a])
        for t in range(self.n_problems):
            watch = &self.watches[t]
            if watch.cost > 0:
                weigh(watch.problem.root, self.n, watch.r, self.shares + k * self.n)
                k += 1
        self.design.stream(self.joint_cols, n, self.shares, n_open, self.passes, n)
        out = self.passes
        for t in range(self.n_problems):
            watch = &self.watches[t]
            if watch.cost > 0:
                for a in range(n):
                    watch.now.est[self.joint[a]], watch.now.err[self.joint[a]] = out[a], 0
                out += n
        return 0

    cdef int _read_own(self, Py_ssize_t t) except -1 nogil:
        """Exact correlations of a problem's candidates; where its findings go there is nothing yet."""
        cdef Watch *watch = &self.watches[t]
        cdef Py_ssize_t a, n = watch.n_cand
        cdef double *share = self.shares + t * self.n
        if watch.cost == 0:
            return 0
        for a in range(n):
            watch.found.cols[a] = self.live[watch.cand[a]]
        weigh(watch.problem.root, self.n, watch.r, share)
        self.design.stream(watch.found.cols, n, share, 1, watch.found.g, n)
        for a in range(n):
            watch.now.est[watch.cand[a]], watch.now.err[watch.cand[a]] = watch.found.g[a], 0
        return 0

    cdef int _read_all(self, Py_ssize_t n_open) except -1 nogil:
        """One pass over the live columns for every problem with candidates; it becomes their newest reference."""
        cdef Py_ssize_t t, k = 0
        cdef Watch *watch
        cdef double *out
        cdef double *g
        if n_open > 1:
            grow(<void **> &self.passes, n_open * self.n_live * sizeof(double))
        out = self.passes
        for t in range(self.n_problems):
            watch = &self.watches[t]
            if watch.cost > 0:
                weigh(watch.problem.root, self.n, watch.r, self.shares + k * self.n)
                if n_open == 1:
                    out = references_slot(&watch.refs)
                k += 1
        self.design.stream(self.live if not self.design.across() else NULL, self.n_live, self.shares, n_open, out,
                           self.n_live)
        self.streamed += self.live_cost * n_open
        for t in range(self.n_problems):
            watch = &self.watches[t]
            if watch.cost == 0:
                continue
            g = references_slot(&watch.refs)
            if n_open > 1:
                memcpy(g, out, self.n_live * sizeof(double))
                out += self.n_live
            memcpy(watch.now.est, g, self.n_live * sizeof(double))
            memset(watch.now.err, 0, self.n_live * sizeof(double))
            references_keep(&watch.refs, watch.r)
        return 0

    cdef const Findings *violators(self, Py_ssize_t t, double alpha) except NULL nogil:
        """Columns outside the working set whose (now exact) correlation breaks their condition."""
        cdef Watch *watch = &self.watches[t]
        cdef Look u
        self._deal(_violators_some, &u, watch, alpha, watch.n_cand)
        _together(&u)
        return &watch.found

    cdef void _violating_columns(self, Look *u, Py_ssize_t task) noexcept nogil:
        """List those of a task's candidates that do violate, where its candidates begin."""
        cdef Watch *watch = u.watch
        cdef const Terms *terms = watch.problem.terms
        cdef Findings *found = &watch.found
        cdef Py_ssize_t a, k, at = task * u.share
        cdef int j
        cdef double l1, g, excess
        u.worst[task] = 0
        for k in range(task * u.share, min(watch.n_cand, (task + 1) * u.share)):
            a = watch.cand[k]
            j = self.live[a]
            g = watch.now.est[a]
            l1 = u.alpha * l1_factor(terms, j)
            excess = fabs(g) - l1
            if excess <= self.slack * l1 + watch.problem.noise * terms.norm[j] or (
                    upper(terms, j) == 0 if g > 0 else lower(terms, j) == 0):
                continue
            found.cols[at], found.g[at] = j, g
            found.score[at] = u.alpha * (1 + excess / l1) if l1 > 0 else INFINITY
            u.worst[task] = max(u.worst[task], excess / l1 if l1 > 0 else 1.)
            at += 1
        u.listed[task] = at - task * u.share


cdef void _together(Look *u) noexcept nogil:
    """Findings that begin where each task's columns do, one after the other."""
    cdef Findings *found = &u.watch.found
    cdef Py_ssize_t task, first, n
    found.n, found.worst = 0, 0
    for task in range(u.tasks):
        first, n = task * u.share, u.listed[task]
        memmove(found.cols + found.n, found.cols + first, n * sizeof(int))
        memmove(found.g + found.n, found.g + first, n * sizeof(double))
        memmove(found.score + found.n, found.score + first, n * sizeof(double))
        found.n += n
        found.worst = max(found.worst, u.worst[task])


cdef int _read_own(void *screening, Py_ssize_t t) except -1 nogil:
    return (<ReferenceScreening> screening)._read_own(t)


cdef int _expect_some(void *u, Py_ssize_t task) except -1 nogil:
    (<ReferenceScreening> (<Look *> u).screening)._expect_columns(<Look *> u, task)
    return 0


cdef int _bound_some(void *u, Py_ssize_t task) except -1 nogil:
    (<ReferenceScreening> (<Look *> u).screening)._bound_columns(<Look *> u, task)
    return 0


cdef int _violators_some(void *u, Py_ssize_t task) except -1 nogil:
    (<ReferenceScreening> (<Look *> u).screening)._violating_columns(<Look *> u, task)
    return 0
