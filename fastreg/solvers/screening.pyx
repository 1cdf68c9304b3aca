"""Columns outside the working sets: which of them may violate their condition, and what must be read to know.

a) **Certificate from few passes.** A residual r is nearly a combination of earlier residuals r_k whose X'r_k is
   known: with e = r - sum_k c_k r_k,

       |x_j'r - sum_k c_k x_j'r_k| <= min(||x_j||_2 ||e||_2, ||x_j||_1 ||e||_inf),

   so only columns whose bound reaches l1_j need their own dot product. Where they are too many, one pass over all live
   columns is made and becomes a new reference. Nothing is assumed: a column is skipped only when the bound proves it.
b) **Live columns.** A column with ``min(||x_j||_2 ||r||_2, ||x_j||_1 ||r||_inf) <= l1_j`` cannot enter whatever r's
   direction; it is left out of every pass until alpha has fallen far enough (rare terms of text data).
"""
from cython.parallel cimport prange

from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastreg.kernels.design cimport Design
from fastreg.kernels.leaf cimport fr_axpy, fr_bound, fr_continue, fr_highest, fr_maxabs
from fastreg.kernels.memory cimport grow
from fastreg.kernels.references cimport MAX_REFERENCES, references_fit, references_keep
from fastreg.solvers.problem cimport DEAD, LIVE, Problem, excluded, l1_factor, l2_factor, lower, upper, weigh

cdef enum:
    COLUMNS = 512                # live columns looked at while what is known of them stays in cache
cdef double PARTIAL = 0.4        # share of a pass above which the whole pass is made and kept as a reference
cdef double SHARED = 0.25        # of the price of a pass for one problem, what every further one adds to it
cdef double HORIZON = 0.6        # live columns are chosen for alphas down to this share of the present one
cdef double NEAR = 0.1           # a column that is in the block already may be let in that much too early
cdef double DOUBT = 3            # standard errors by which a predicted correlation must exceed l1


cdef class Screening:
    """Watches the columns of an engine's problems, whose addresses the engine sets."""

    def __cinit__(self, Design design, list designs, const double[:, ::1] xy, double slack):
        cdef Py_ssize_t f, p = design.p
        self.d, self.q, self.slack = design, xy, slack
        self.n_targets, self.n_of, self.n, self.p = xy.shape[0], len(designs), design.n, p
        self.dead_alpha = INFINITY
        self.norm1 = <double **> calloc(self.n_of, sizeof(double *))
        self.place = <char *> calloc(p, 1)
        self.live = <int *> malloc(p * sizeof(int))
        self.cols = <int *> malloc(p * sizeof(int))
        self.wanted = <char *> calloc(p, 1)
        self.live_norm = <double *> malloc(p * sizeof(double))
        self.live_norm1 = <double *> malloc(p * sizeof(double)) if design.norm1 != NULL else NULL
        self.work = <double *> malloc(max(self.n_targets, MAX_REFERENCES) * self.n * sizeof(double))
        if (self.norm1 == NULL or self.place == NULL or self.live == NULL or self.cols == NULL or self.wanted == NULL
                or self.live_norm == NULL or self.work == NULL
                or (self.live_norm1 == NULL and design.norm1 != NULL)):
            raise MemoryError()
        for f in range(self.n_of):
            self.norm1[f] = (<Design> designs[f]).norm1

    def __dealloc__(self):
        free(self.norm1)
        free(self.place)
        free(self.live)
        free(self.cols)
        free(self.wanted)
        free(self.live_norm)
        free(self.live_norm1)
        free(self.work)
        free(self.passes)

    # ---- live columns ----------------------------------------------------------------------------------------------
    cdef void begin(self) noexcept nogil:
        """y itself is the first reference of every problem."""
        cdef Py_ssize_t t, j
        for t in range(self.n_targets):
            references_keep(&self.problems[t].refs, self.problems[t].y)
        if self.d.by_columns():
            return
        self.dead_alpha = 0                          # rows are streamed whole: every column is live
        for j in range(self.p):
            if self.place[j] == DEAD:
                self.place[j] = LIVE
            self._add_live(j)
            for t in range(self.n_targets):
                self.problems[t].refs.g[0][j] = self.q[t, j]
        self.live_cost = self.d.nnz

    cdef void restart(self) noexcept nogil:
        """Columns may be live that were not, with new penalties."""
        if self.d.by_columns():
            self.dead_alpha = INFINITY

    cdef int revive(self, double alpha) except -1 nogil:
        """Bring to life the columns that alpha, or the size of a residual, no longer keeps out."""
        cdef Py_ssize_t j, t, f, first = self.n_live
        cdef double bound, horizon
        cdef bint late = False
        cdef Problem *P
        for t in range(self.n_targets):
            P = &self.problems[t]
            late |= not P.done and P.rr > 0 and alpha < self.dead_alpha * max(
                sqrt(P.rr) / self.dead_r if self.dead_r > 0 else INFINITY,
                P.r_max / self.dead_rmax if self.dead_rmax > 0 else INFINITY)
        if not late:
            return 0
        self.dead_r = self.dead_rmax = 0
        for t in range(self.n_targets):
            P = &self.problems[t]
            if not P.asleep:
                self.dead_r = max(self.dead_r, sqrt(P.rr))
                self.dead_rmax = max(self.dead_rmax, P.r_max)
        self.dead_alpha = horizon = HORIZON * alpha
        for j in range(self.p):
            for f in range(self.n_of if self.place[j] == DEAD else 0):
                bound = self.terms[f].norm[j] * self.dead_r
                if self.norm1[f] != NULL:
                    bound = min(bound, self.norm1[f][j] * self.dead_rmax)
                if bound > horizon * l1_factor(&self.terms[f], j):
                    self.place[j] = LIVE
                    self._add_live(j)
                    break
        return self._extend_references(first)

    cdef void _add_live(self, Py_ssize_t j) noexcept nogil:
        """Watch column j; its norms are the largest that it has under any of the weightings."""
        cdef Py_ssize_t f, a = self.n_live
        self.live[a] = <int> j
        self.live_norm[a] = self.terms[0].norm[j]
        if self.live_norm1 != NULL:
            self.live_norm1[a] = self.norm1[0][j]
        for f in range(1, self.n_of):
            self.live_norm[a] = max(self.live_norm[a], self.terms[f].norm[j])
            if self.live_norm1 != NULL:
                self.live_norm1[a] = max(self.live_norm1[a], self.norm1[f][j])
        self.live_cost += self.d.cost(j)
        self.n_live += 1

    cdef int _extend_references(self, Py_ssize_t first) except -1 nogil:
        """Correlations of the live columns from `first` on with the residuals kept for reference."""
        cdef Py_ssize_t t, a, k, known, n = self.n_live - first
        cdef Problem *P
        if n == 0:
            return 0
        grow(<void **> &self.passes, MAX_REFERENCES * n * sizeof(double))
        for t in range(self.n_targets):
            P = &self.problems[t]
            known = P.refs.first                           # y itself: its correlations are at hand
            for a in range(first, self.n_live if known else first):
                P.refs.g[0][a] = self.q[t, self.live[a]]
            for k in range(known, P.refs.held):
                weigh(P, self.n, P.refs.r[k], self.work + k * self.n)
            if P.refs.held > known:
                self.d.stream(self.live + first, n, self.work + known * self.n, P.refs.held - known, self.passes, n)
            for k in range(known, P.refs.held):
                memcpy(P.refs.g[k] + first, self.passes + (k - known) * n, n * sizeof(double))
        return 0

    # ---- bounds ----------------------------------------------------------------------------------------------------
    cdef int predict(self, Problem *P, double alpha) except -1 nogil:
        """List the columns that would violate at alpha if r went on along its path, which is linear between events.

        Where both of the last two correlations of a column are known they are continued; otherwise those of the
        references, taken back by the error they may have. A guess: it only saves a round of certificates, it decides
        nothing."""
        cdef Py_ssize_t a, b, k, m
        cdef int j
        cdef double t, g, l1, e2, einf, doubt
        cdef double c[MAX_REFERENCES]
        cdef double g_est[COLUMNS]
        cdef double g_err[COLUMNS]
        P.n_viol = 0
        if P.n_solved >= 2 and alpha < P.alpha[0] < P.alpha[1]:
            P.predicted = True
            t = (alpha - P.alpha[0]) / (P.alpha[0] - P.alpha[1])
            for a in range(P.n_last, self.n_live):
                P.err_last[a] = INFINITY
            for a in range(P.n_known, self.n_live):
                P.err[a] = INFINITY
            # a remainder e in no particular direction correlates with x_j like ||x_j|| ||e|| / sqrt(n)
            doubt = DOUBT / sqrt(<double> self.n)
            memcpy(P.work, P.r_last, self.n * sizeof(double))      # r_last makes way for r below
            memcpy(P.r_last, P.r, self.n * sizeof(double))
            fr_axpy(self.n, t, P.r, P.r_last)
            fr_axpy(self.n, -t, P.work, P.r_last)
            references_fit(&P.refs, P.r_last, c, P.work, &e2, &einf)
            for k in range((self.n_live + COLUMNS - 1) // COLUMNS):
                b, m = k * COLUMNS, min(COLUMNS, self.n_live - k * COLUMNS)
                self._bound(P, c, e2, einf, b, m, g_est, g_err)
                fr_continue(m, t, P.est + b, P.err + b, P.est_last + b, P.err_last + b, doubt, g_err, g_est)
                if fr_maxabs(m, g_est) <= (1 - NEAR) * alpha * P.terms.least_pen1:
                    continue
                for a in range(m):
                    g = g_est[a]
                    j = self.live[b + a]
                    l1 = alpha * l1_factor(P.terms, j)
                    if fabs(g) <= l1 * (1 - NEAR) or self.place[j] != LIVE or P.inside[j] or excluded(P.terms, j):
                        continue
                    if fabs(g) > l1 * (1 - NEAR if self.at[j] >= 0 else 1) and (
                            upper(P.terms, j) > 0 if g > 0 else lower(P.terms, j) < 0):
                        P.viol[P.n_viol] = j
                        P.viol_g[P.n_viol] = g
                        P.score[P.n_viol] = alpha * fabs(g) / l1 if l1 > 0 else INFINITY
                        P.n_viol += 1
        P.est, P.est_last = P.est_last, P.est
        P.err, P.err_last = P.err_last, P.err
        P.n_last, P.n_known = P.n_known, 0
        memcpy(P.r_last, P.r, self.n * sizeof(double))
        P.alpha[1], P.alpha[0] = P.alpha[0], alpha
        P.n_solved += 1
        return 0

    cdef int screen(self, Problem *P, double alpha) except -1 nogil:
        """Bound x_j'r for every live column; list those whose bound exceeds their l1, and what reading them costs."""
        cdef Py_ssize_t a, b, k, m, n = 0
        cdef int j
        cdef double e2, einf, l1
        cdef double c[MAX_REFERENCES]
        P.cost = 0
        if P.done:
            return 0
        P.n_known = self.n_live
        references_fit(&P.refs, P.r, c, P.work, &e2, &einf)
        for k in range((self.n_live + COLUMNS - 1) // COLUMNS):
            b, m = k * COLUMNS, min(COLUMNS, self.n_live - k * COLUMNS)
            self._bound(P, c, e2, einf, b, m, P.est + b, P.err + b)
            if fr_highest(m, P.est + b, P.err + b) <= alpha * P.terms.least_pen1:
                continue
            for a in range(b, b + m):
                j = self.live[a]
                l1 = alpha * l1_factor(P.terms, j)
                if fabs(P.est[a]) + P.err[a] <= l1 or self.place[j] != LIVE or P.inside[j] or excluded(P.terms, j):
                    continue
                if ((P.est[a] + P.err[a] > l1 and upper(P.terms, j) > 0)
                        or (P.err[a] - P.est[a] > l1 and lower(P.terms, j) < 0)):
                    P.cand[n] = <int> a
                    n += 1
        n = self._allow(P, alpha, n)
        P.n_cand = n
        for a in range(n if e2 > 0 else 0):
            P.cost += self.d.cost(self.live[P.cand[a]])
        return 0

    cdef void _bound(self, const Problem *P, const double *c, double e2, double einf, Py_ssize_t first, Py_ssize_t m,
                     double *est, double *err) noexcept nogil:
        """Estimates and their errors for m live columns from `first` on."""
        cdef int k
        cdef const double *g[MAX_REFERENCES]
        for k in range(P.refs.held):
            g[k] = P.refs.g[k] + first
        fr_bound(m, P.refs.held, c, <const double *const *> g, self.live_norm + first, e2,
                 self.live_norm1 + first if self.live_norm1 != NULL else NULL, einf, est, err)

    cdef Py_ssize_t _allow(self, Problem *P, double alpha, Py_ssize_t n) noexcept nogil:
        """Drop candidates that are likely none and, by their l2 term, cheap if they are: an excess e of the bound over
        l1 adds at most e^2 / (2 l2) to the gap."""
        cdef Py_ssize_t a, k, kept, before
        cdef int j
        cdef double cost, most, l1
        P.loss = 0
        before = n + 1
        while 0 < n < before:
            before, kept, most = n, 0, (P.spare - P.loss) / n
            for k in range(n):
                a = P.cand[k]
                j = self.live[a]
                l1 = alpha * l1_factor(P.terms, j)
                cost = fabs(P.est[a]) + P.err[a] - l1
                cost = cost * cost - 2 * most * alpha * l2_factor(P.terms, j)
                if cost <= 0 and fabs(P.est[a]) <= l1:
                    P.loss += most + (0.5 * cost / (alpha * l2_factor(P.terms, j)) if cost < 0 else 0)
                else:
                    P.cand[kept] = <int> a
                    kept += 1
            n = kept
        return n

    # ---- reading ---------------------------------------------------------------------------------------------------
    cdef int read_candidates(self, int threads) except -1 nogil:
        """Exact correlations of the candidates: of each problem's own, of all of them for every problem, or of all live
        columns, where one pass for all problems costs little more."""
        cdef Py_ssize_t t, n_open = 0, n_any
        cdef Problem *P
        cdef bint whole
        cdef double cost = 0, of_any, each
        for t in range(self.n_targets):
            P = &self.problems[t]
            if P.cost > 0:
                n_open += 1
                cost += min(self.d.part(P.cost / self.live_cost), 1)
        each = 1 + SHARED * (n_open - 1)
        n_any = self._any_candidates(n_open, &of_any)
        whole = cost > PARTIAL * each
        if not whole and each * self.d.part(of_any / self.live_cost) < cost:
            return self._read_together(n_open, n_any)
        for t in range(self.n_targets):
            P = &self.problems[t]
            P.whole = whole and P.cost > 0
            self.streamed += 0 if whole else P.cost
        if whole:
            return self._read_all(n_open) if n_open > 0 else 0
        if threads > 1 and n_open > 1:
            for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                self._read_own(&self.problems[t])
        else:
            for t in range(self.n_targets):
                self._read_own(&self.problems[t])
        return 0

    cdef Py_ssize_t _any_candidates(self, Py_ssize_t n_open, double *cost) noexcept nogil:
        """List in cols the live positions that are a candidate of any of several problems; cost: of streaming them."""
        cdef Py_ssize_t t, a, k, n = 0
        cdef Problem *P
        cost[0] = INFINITY if n_open < 2 else 0
        for t in range(self.n_targets if n_open > 1 else 0):
            P = &self.problems[t]
            for k in range(P.n_cand if P.cost > 0 else 0):
                a = P.cand[k]
                if not self.wanted[a]:
                    self.wanted[a] = True
                    self.cols[n] = <int> a
                    cost[0] += self.d.cost(self.live[a])
                    n += 1
        for k in range(n):
            self.wanted[self.cols[k]] = False
        return n

    cdef int _read_together(self, Py_ssize_t n_open, Py_ssize_t n) except -1 nogil:
        """Exact correlations of the n live columns listed in cols, for all problems with candidates."""
        cdef Py_ssize_t t, a, k = 0
        cdef Problem *P
        cdef int *columns = self.problems[0].viol         # nobody's by now
        cdef const double *out
        grow(<void **> &self.passes, n_open * n * sizeof(double))
        for a in range(n):
            columns[a] = self.live[self.cols[a]]
            self.streamed += n_open * self.d.cost(columns[a])
        for t in range(self.n_targets):
            P = &self.problems[t]
            P.whole = False
            if P.cost > 0:
                weigh(P, self.n, P.r, self.work + k * self.n)
                k += 1
        self.d.stream(columns, n, self.work, n_open, self.passes, n)
        out = self.passes
        for t in range(self.n_targets):
            P = &self.problems[t]
            for a in range(n if P.cost > 0 else 0):
                P.est[self.cols[a]], P.err[self.cols[a]] = out[a], 0
            out += n if P.cost > 0 else 0
        return 0

    cdef int _read_own(self, Problem *P) except -1 nogil:
        """Exact correlations of a problem's candidates."""
        cdef Py_ssize_t a, n = P.n_cand
        if P.cost == 0:
            return 0
        for a in range(n):
            P.viol[a] = self.live[P.cand[a]]
        weigh(P, self.n, P.r, P.work)
        self.d.stream(P.viol, n, P.work, 1, P.viol_g, n)
        for a in range(n):
            P.est[P.cand[a]] = P.viol_g[a]
            P.err[P.cand[a]] = 0
        return 0

    cdef int _read_all(self, Py_ssize_t n_whole) except -1 nogil:
        """One pass over the live columns for every target that wants it; it becomes their newest reference."""
        cdef Py_ssize_t t, k = 0
        cdef Problem *P
        cdef bint rows = not self.d.by_columns()
        cdef double *out = self.passes
        if n_whole > 1:
            grow(<void **> &self.passes, n_whole * self.n_live * sizeof(double))
        for t in range(self.n_targets):
            P = &self.problems[t]
            if P.whole:
                weigh(P, self.n, P.r, self.work + k * self.n)
                out = P.refs.g[P.refs.oldest]
                k += 1
        if n_whole > 1:
            out = self.passes
        self.d.stream(NULL if rows else self.live, self.n_live, self.work, n_whole, out, self.n_live)
        self.streamed += self.live_cost * n_whole
        k = 0
        for t in range(self.n_targets):
            P = &self.problems[t]
            if not P.whole:
                continue
            if n_whole > 1:
                memcpy(P.refs.g[P.refs.oldest], self.passes + k * self.n_live, self.n_live * sizeof(double))
                k += 1
            memcpy(P.est, P.refs.g[P.refs.oldest], self.n_live * sizeof(double))
            memset(P.err, 0, self.n_live * sizeof(double))
            references_keep(&P.refs, P.r)
        return 0

    cdef void violators(self, Problem *P, double alpha) noexcept nogil:
        """Columns outside the working set whose (now exact) correlation breaks their condition."""
        cdef Py_ssize_t a, k
        cdef int j
        cdef double l1, g, excess
        P.worst = 0
        for k in range(P.n_cand):
            a = P.cand[k]
            j = self.live[a]
            g = P.est[a]
            l1 = alpha * l1_factor(P.terms, j)
            excess = fabs(g) - l1
            if excess <= self.slack * l1 + P.q.noise * P.terms.norm[j] or (
                    upper(P.terms, j) == 0 if g > 0 else lower(P.terms, j) == 0):
                continue
            P.viol[P.n_viol], P.viol_g[P.n_viol] = j, g
            P.score[P.n_viol] = alpha * (1 + excess / l1) if l1 > 0 else INFINITY
            P.worst = max(P.worst, excess / l1 if l1 > 0 else 1.)
            P.n_viol += 1
