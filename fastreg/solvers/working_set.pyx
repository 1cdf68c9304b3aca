"""Lasso and elastic net for one or several targets that share X: stream, gather, solve small, certify.

    minimise  1/2 sum_i s_i (y_i - x_i w - b)^2 + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lo_j <= w_j <= hi_j

with ``l1_j = alpha * pen1_j`` and ``l2_j = alpha * pen2_j``, for each alpha of a path.

Design:

a) **Working set.** Columns that ever violated their optimality condition are gathered into a block with their Gram
   matrix; the small problem on it is solved exactly (``kernels.quadratic``) from the last solution.
b) **Certificate from few passes.** A residual r is nearly a combination of earlier residuals r_k whose X'r_k is
   known: with e = r - sum_k c_k r_k,

       |x_j'r - sum_k c_k x_j'r_k| <= min(||x_j||_2 ||e||_2, ||x_j||_1 ||e||_inf),

   so only columns whose bound reaches l1_j need their own dot product. Where they are too many, one pass over all live
   columns is made and becomes a new reference. Nothing is assumed: a column is skipped only when the bound proves it.
c) **Live columns.** A column with ``min(||x_j||_2 ||r||_2, ||x_j||_1 ||r||_inf) <= l1_j`` cannot enter whatever r's
   direction; it is left out of every pass until alpha has fallen far enough (rare terms of text data).
d) **Gap.** The duality gap of each solution, in float64, from the block's exact correlations and the bound outside.
e) **Memory.** When block, Gram matrix and factor would outgrow their memory they are given up, and the problem on the
   working set is solved by products with X alone (``matrix_free``).
f) **Full Gram mode.** When computing X'X costs less than the passes it saves, the working set is all of X.
g) **Lockstep.** Several problems (targets; or the folds of a cross-validation, each with weights of its own) are solved
   alpha by alpha, each on a working set of its own. They share the passes over X and, but for folds of dense X, the
   block of gathered columns, the sums of its Gram matrices and the sweeps over its rows.
"""
from cython.parallel cimport prange

from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset
from libc.time cimport time_t

from cpython.exc cimport PyErr_CheckSignals

import numpy as np

from fastreg.kernels.block cimport (
    Block, Fit, Weighting, block_append, block_correlate, block_free, block_init, block_residuals, gram_column)
from fastreg.kernels.design cimport SPARSE_COLUMNS, Design, Moments
from fastreg.kernels.factor cimport factor_free
from fastreg.kernels.gram cimport full_gram
from fastreg.kernels.leaf cimport fr_axpy, fr_bound, fr_continue, fr_highest, fr_maxabs, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.references cimport (
    MAX_REFERENCES, references_fit, references_free, references_init, references_keep)
from fastreg.kernels.quadratic cimport (
    quad_add, quad_free, quad_init, quad_place, quad_polish, quad_reserve,
    quad_set_l2, quad_settled, quad_solve)
from fastreg.solvers.certificate cimport duality_gap
from fastreg.solvers.matrix_free cimport free_correlate, free_residual, free_settled, free_solve
from fastreg.solvers.problem cimport (
    DEAD, EXCLUDED, LIVE, Problem, Terms, excluded, l1_factor, l2_factor, lower, upper)

cdef enum:
    COLUMNS = 512                # live columns looked at while what is known of them stays in cache
cdef double PARTIAL = 0.4        # share of a pass above which the whole pass is made and kept as a reference
cdef double SHARED = 0.25        # of the price of a pass for one problem, what every further one adds to it
cdef double STEP = 0.65          # from alpha to alpha on the way to a first one far below the largest
cdef double SPARSE_STEP = 0.35   # sparse columns are less alike: fewer wrong ones come in, and a round costs more
cdef double HORIZON = 0.6        # live columns are chosen for alphas down to this share of the present one
cdef double NEAR = 0.1           # a column that is in the block already may be let in that much too early
cdef double DIGITS = 1e-7        # relative error of a Gram matrix that Newton's method and a fresh residual mend
cdef double DOUBT = 3            # standard errors by which a predicted correlation must exceed l1
cdef double ACCURATE = 1e-7      # no solution need have a smaller gap than this times ||y||^2, unless tol says so
cdef double ALLOWED = 0.2        # share of that gap that the l2 terms may leave, inside and outside the working set
cdef Py_ssize_t GROWTH = 64      # columns that may enter in a round, or as many as the support holds


cdef extern from "<time.h>" nogil:
    ctypedef struct timespec "struct timespec":
        time_t tv_sec
        long tv_nsec
    int TIME_UTC
    int timespec_get(timespec *t, int base) noexcept


cdef double now() noexcept nogil:
    cdef timespec t
    timespec_get(&t, TIME_UTC)
    return t.tv_sec + 1e-9 * t.tv_nsec


cdef int _descending(const void *a, const void *b) noexcept nogil:
    cdef double s = (<const double *> a)[0], t = (<const double *> b)[0]
    return (s < t) - (s > t)


class Apart(Exception):
    """The folds cannot share what they should, for want of memory or of digits: they must be solved one by one."""


cdef class Engine:
    """Solves one path for all problems in lockstep.

    Parameters
    ----------
    design : Design
    Y : ndarray of shape (n_targets, n), float64, C-contiguous
        Centred and scaled by the square roots of the weights.
    full : bool
        Full Gram mode (dense X).
    tol : float
        A solution is accepted when its gap is at most tol * ||y||^2, or when no violation is left.
    capacity : int
        Most columns the working set may hold with its Gram matrix.
    report : callable or None
        Called with the number of finished penalty values from time to time.
    designs : list of Design or None
        The rows weighted for each target in its own way; None: as in `design` for all of them.
    parts : tuple or None
        For designs of sparse X: their shares in the roots of the weights of `design` (n_targets, n), and the parts of
        the rows on which these are constant: their rows one part after the other (n, intc), where each begins and the
        end (intp), the squared shares (n_targets, n_parts).
    test : tuple or None
        With `parts`, what sums up squared errors on the test sets of the first targets: how often each row counts
        (n_sets, n); y as in Y under the weights of `design`; what its mean there is more than under those of each set.
    """
    cdef Design d
    cdef list designs
    cdef const double[:, ::1] share_
    cdef const int[::1] order_
    cdef const Py_ssize_t[::1] start_
    cdef const double[:, ::1] count_
    cdef const double[:, ::1] times_
    cdef const double[::1] whole_
    cdef Block *blocks                        # one that the problems share, or one of each
    cdef Problem *problems
    cdef Py_ssize_t n_targets, p, n, capacity
    cdef int max_refs
    cdef const double[:, ::1] Y
    cdef bint full
    cdef bint large                           # the working set has outgrown its capacity
    cdef double tol, slack
    cdef object report
    cdef double last_tick, alpha_now
    cdef list penalties                       # arrays that terms point to
    cdef Py_ssize_t n_of                      # weightings of the rows: 1, or one for each problem
    cdef Py_ssize_t n_blocks
    cdef Terms *terms
    cdef char *place
    cdef int *at                              # of each column: its position in the shared block, or -1
    cdef int *live
    cdef Py_ssize_t n_live
    cdef double *live_norm
    cdef double *live_norm1
    cdef double **norm1                       # of every column under each weighting; NULL for dense storage
    cdef double live_cost, dead_alpha, dead_r, dead_rmax
    cdef double *work                         # n_targets x n (at least MAX_REFERENCES)
    cdef double *passes
    cdef double *dots
    cdef Fit *fits
    cdef int *cols
    cdef char *wanted                         # by live position, all False between uses
    cdef double[:, ::1] q                     # X'Y
    cdef int *out_col                         # solutions, one after the other
    cdef double *out_val
    cdef Py_ssize_t out_n, out_room, finished
    cdef readonly double columns_streamed     # elements of X streamed so far
    cdef readonly object errors               # (n_alphas, n_targets) at the solutions found last, on their test sets

    def __cinit__(self, Design design, const double[:, ::1] Y, bint full, double tol, Py_ssize_t capacity,
                  report=None, designs=None, parts=None, test=None):
        cdef Py_ssize_t t, p = design.p
        self.capacity = max(capacity, 2)
        # combining references costs as much as a pass where columns hold but a few entries
        self.max_refs = MAX_REFERENCES if design.nnz > 24 * p else 2
        self.d, self.Y, self.full, self.tol, self.report = design, Y, full, tol, report
        # a violation far below tol would not move the gap; below the rounding of x_j'r it is no violation at all
        self.slack = min(1e-7, max(1e-10, 1e-2 * tol))
        self.n_targets, self.n, self.p = Y.shape[0], design.n, p
        self.designs = [design] if designs is None else designs
        self.n_of = len(self.designs)
        self.n_blocks = 1 if design.sparse() or designs is None else self.n_targets
        if parts is not None:
            self.share_, self.order_, self.start_, self.count_ = parts
        self.terms = <Terms *> calloc(self.n_of, sizeof(Terms))
        self.fits = <Fit *> calloc(self.n_targets, sizeof(Fit))
        self.norm1 = <double **> calloc(self.n_of, sizeof(double *))
        self.problems = <Problem *> calloc(self.n_targets, sizeof(Problem))
        self.blocks = <Block *> calloc(self.n_blocks, sizeof(Block))
        self.place = <char *> calloc(p, 1)
        self.at = <int *> malloc(p * sizeof(int))
        self.live = <int *> malloc(p * sizeof(int))
        self.cols = <int *> malloc(p * sizeof(int))
        self.wanted = <char *> calloc(p, 1)
        self.live_norm = <double *> malloc(p * sizeof(double))
        self.live_norm1 = <double *> malloc(p * sizeof(double)) if design.norm1 != NULL else NULL
        self.dots = <double *> malloc(p * sizeof(double))
        self.work = <double *> malloc(max(self.n_targets, MAX_REFERENCES) * self.n * sizeof(double))
        if (self.problems == NULL or self.blocks == NULL or self.place == NULL or self.at == NULL
                or self.live == NULL or self.cols == NULL or self.wanted == NULL
                or self.live_norm == NULL or self.dots == NULL or self.work == NULL or self.terms == NULL
                or self.fits == NULL or self.norm1 == NULL):
            raise MemoryError()
        memset(self.at, -1, p * sizeof(int))
        self._new_blocks()
        for t in range(self.n_of):
            self.norm1[t] = (<Design> self.designs[t]).norm1
        self.q = np.empty((self.n_targets, p))
        for t in range(self.n_targets):
            self.problems[t].terms = &self.terms[t if self.n_of > 1 else 0]
            quad_init(&self.problems[t].q)
            self._allocate(&self.problems[t])
            self.problems[t].y = &Y[t, 0]
            self.problems[t].yy = self.problems[t].rr = fr_vdot(self.n, &Y[t, 0], &Y[t, 0])
            memcpy(self.problems[t].r, &Y[t, 0], self.n * sizeof(double))
            self.problems[t].r_max = fr_maxabs(self.n, &Y[t, 0])
        if test is not None:
            times, y, shifts = test
            self._set_tests(times, y, shifts)

    cdef int _set_tests(self, const double[:, ::1] times, const double[::1] y, const double[::1] shifts) except -1:
        cdef Py_ssize_t t
        self.times_, self.whole_ = times, y
        for t in range(times.shape[0]):
            self.problems[t].test.y, self.problems[t].test.root = &y[0], self.d.root
            self.problems[t].test.shift, self.problems[t].test.times = shifts[t], &times[t, 0]
        return 0

    cdef int _allocate(self, Problem *P) except -1:
        cdef Py_ssize_t p = self.p
        P.wcol = <int *> malloc(p * sizeof(int))
        P.inside = <char *> calloc(p, 1)
        if self.n_blocks == 1 and self.n_targets > 1 and not self.full:
            P.pos = <int *> malloc(p * sizeof(int))
            if P.pos == NULL:
                raise MemoryError()
        P.r = <double *> malloc(self.n * sizeof(double))
        P.viol = <int *> malloc(p * sizeof(int))
        P.viol_g = <double *> malloc(p * sizeof(double))
        if P.r == NULL or P.viol == NULL or P.viol_g == NULL or P.wcol == NULL or P.inside == NULL:
            raise MemoryError()
        if self.full:
            return 0
        P.est = <double *> malloc(p * sizeof(double))
        P.err = <double *> malloc(p * sizeof(double))
        P.est_last = <double *> malloc(p * sizeof(double))
        P.err_last = <double *> malloc(p * sizeof(double))
        P.r_last = <double *> malloc(self.n * sizeof(double))
        P.work = <double *> malloc(self.n * sizeof(double))
        P.score = <double *> malloc(p * sizeof(double))
        P.cand = <int *> malloc(p * sizeof(int))
        if (P.est == NULL or P.err == NULL or P.est_last == NULL or P.err_last == NULL or P.r_last == NULL
                or P.work == NULL or P.score == NULL or P.cand == NULL):
            raise MemoryError()
        references_init(&P.refs, self.n, p, self.max_refs)
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t t
        cdef Problem *P
        if self.problems != NULL:
            for t in range(self.n_targets):
                P = &self.problems[t]
                quad_free(&P.q)
                free(P.wcol)
                free(P.inside)
                free(P.pos)
                free(P.G)
                free(P.w_block)
                free(P.g_block)
                references_free(&P.refs)
                free(P.r)
                free(P.est)
                free(P.r_last)
                free(P.work)
                free(P.err)
                free(P.est_last)
                free(P.err_last)
                free(P.cand)
                free(P.viol)
                free(P.viol_g)
                free(P.score)
            free(self.problems)
        for t in range(self.n_blocks if self.blocks != NULL else 0):
            block_free(&self.blocks[t])
        free(self.blocks)
        free(self.place)
        free(self.at)
        free(self.live)
        free(self.cols)
        free(self.wanted)
        free(self.live_norm)
        free(self.live_norm1)
        free(self.dots)
        free(self.work)
        free(self.fits)
        free(self.norm1)
        free(self.terms)
        free(self.passes)
        free(self.out_col)
        free(self.out_val)

    @property
    def gathered(self):
        """Columns in the working block, or the largest of them; 0 where it was given up."""
        return max([self.blocks[t].m for t in range(self.n_blocks)])

    @property
    def correlations(self):
        """X'Y as rows, once prepared."""
        return self.q.base

    cdef int _new_blocks(self) except -1:
        """Empty blocks that know the weightings of their rows."""
        cdef Py_ssize_t b, f, n_of = self.n_of if self.n_blocks == 1 else 1
        cdef Block *block
        for b in range(self.n_blocks):
            block = &self.blocks[b]
            block_free(block)
            block_init(block, self.d, n_of)
            for f in range(n_of):
                self._weighting(&block.of[f], self.designs[max(b, f)])
                if n_of > 1:
                    block.of[f].share = &self.share_[f, 0]
            if n_of > 1:
                block.n_parts = self.start_.shape[0] - 1
                block.order, block.start, block.count = &self.order_[0], &self.start_[0], &self.count_[0, 0]
        for f in range(self.n_targets):
            self.problems[f].block = block = &self.blocks[f if self.n_blocks > 1 else 0]
            self.problems[f].of = &block.of[f if n_of > 1 else 0]
        return 0

    cdef void _weighting(self, Weighting *of, Design design) noexcept:
        of.root, of.weight_sum, of.column_mean = design.root, design.weight_sum, design.mean

    def gram(self, const int[::1] features, Py_ssize_t target=0):
        """X'X of a few columns (centred, weighted) for a target: from its working set, where that holds them all."""
        cdef Py_ssize_t a, b, s = features.shape[0]
        cdef Problem *P = &self.problems[target]
        cdef Design design = self.designs[target if self.n_of > 1 else 0]
        cdef Block own
        cdef double[:, ::1] G = np.empty((s, s))
        at_ = np.full(self.p, -1, dtype=np.intc)
        cdef int[::1] at = at_
        for a in range(0 if self.large else P.q.m):
            at[P.wcol[a]] = <int> a
        if s == 0 or np.min(at_[features]) >= 0:
            for a in range(s):
                for b in range(s):
                    G[a, b] = P.q.G[at[features[a]] * P.q.ldg + at[features[b]]]
            return G.base
        memset(&own, 0, sizeof(Block))
        block_init(&own, design, 1)
        try:
            self._weighting(&own.of[0], design)
            block_append(&own, design, &features[0], s)
            for a in range(s):
                memcpy(&G[a, 0], own.of[0].G + a * own.ld, s * sizeof(double))
        finally:
            block_free(&own)
        return G.base

    # ---- set-up ----------------------------------------------------------------------------------------------------
    def prepare(self):
        """Column moments (under every weighting) and X'Y, with X'X in full Gram mode."""
        cdef Py_ssize_t t, n_of = 0
        cdef Design design
        cdef Moments *of = <Moments *> calloc(self.n_of + 1, sizeof(Moments))
        if of == NULL:
            raise MemoryError()
        self.last_tick = now()
        for design in self.designs if self.d in self.designs else [*self.designs, self.d]:
            of[n_of] = design.own()
            n_of += 1
        try:
            with nogil:
                if self.full:
                    self._full_block()
                    full_gram(self.d, &self.Y[0, 0], self.n_targets, self.blocks[0].of[0].G, &self.q[0, 0])
                else:
                    for t in range(self.n_targets):
                        self._weigh(&self.problems[t], self.problems[t].y, self.work + t * self.n)
                    self.d.moments(of, n_of, self.work, self.n_targets, &self.q[0, 0])
        finally:
            free(of)
        self.columns_streamed += <double> self.d.nnz * n_of

    def prepare_known(self, const double[:, ::1] gram, const double[:, ::1] xy, const double[::1] means,
                      const double[::1] norms):
        """Full Gram mode with X'X, Y'X, means and norms at hand: X is not read."""
        self.last_tick = now()
        with nogil:
            self._full_block()
            memcpy(self.blocks[0].of[0].G, &gram[0, 0], self.p * self.p * sizeof(double))
            memcpy(&self.q[0, 0], &xy[0, 0], self.n_targets * self.p * sizeof(double))
            memcpy(self.d.mean, &means[0], self.p * sizeof(double))
            memcpy(self.d.norm, &norms[0], self.p * sizeof(double))

    cdef int _full_block(self) except -1 nogil:
        cdef Block *block = self.blocks
        block.m = block.cap = block.ld = self.p
        return grow(<void **> &block.of[0].G, self.p * self.p * sizeof(double))

    def set_penalty(self, penalties):
        """For each weighting, factors of alpha by column (l1, l2) and limits; arrays of length 1 stand for all columns.

        Set again, every problem starts anew from zero; what was gathered and streamed is kept."""
        cdef Py_ssize_t f, j
        cdef Terms *terms
        cdef Design design
        cdef const double[::1] pen1, pen2, lo, hi
        cdef bint again = self.penalties is not None
        cdef bint all_
        self.penalties = list(penalties)
        for f in range(self.n_of):
            pen1, pen2, lo, hi = self.penalties[f]
            terms, design = &self.terms[f], self.designs[f]
            terms.pen1, terms.pen2, terms.lo, terms.hi = &pen1[0], &pen2[0], &lo[0], &hi[0]
            terms.norm, terms.mean = design.norm, design.mean if design.sparse() else NULL
            terms.weight_sum = design.weight_sum
            terms.i1, terms.i2 = pen1.shape[0] > 1, pen2.shape[0] > 1
            terms.ilo, terms.ihi = lo.shape[0] > 1, hi.shape[0] > 1
            terms.least_pen1 = np.min(pen1)
        for j in range(self.p):
            all_ = True
            for f in range(self.n_of):
                all_ = all_ and excluded(&self.terms[f], j)
            if all_:
                self.place[j] = EXCLUDED
        with nogil:
            if again:
                self._restart()
            else:
                self._first_references()

    cdef int _restart(self) except -1 nogil:
        """Every problem back at w = 0; columns may be live that were not, with the new penalties."""
        cdef Py_ssize_t t, k
        cdef Problem *P
        if self.d.by_columns():
            self.dead_alpha = INFINITY
        for t in range(self.n_targets):
            P = &self.problems[t]
            memcpy(P.r, P.y, self.n * sizeof(double))
            P.rr, P.r_max = P.yy, fr_maxabs(self.n, P.y)
            P.n_solved = P.n_known = P.n_last = 0
            P.fresh = False
            for k in range(P.q.m):
                P.q.w[k] = P.q.seen[k] = 0
                P.q.g[k] = self.q[t, P.wcol[k]]
            if not self.large:
                quad_place(&P.q)
        return 0

    cdef int _first_references(self) except -1 nogil:
        """In full Gram mode every column enters; otherwise y itself is the first reference."""
        cdef Py_ssize_t t, j
        cdef Problem *P
        self.dead_alpha = INFINITY
        if self.full:
            for t in range(self.n_targets):
                P = &self.problems[t]
                quad_reserve(&P.q, self.p)
                P.q.G, P.q.ldg = P.of.G, self.p
                for j in range(self.p):
                    self._add_coordinate(P, j, self.q[t, j])
            return 0
        for t in range(self.n_targets):
            P = &self.problems[t]
            references_keep(&P.refs, P.y)
        if not self.d.by_columns():              # rows are streamed whole: every column is live
            self.dead_alpha = 0
            for j in range(self.p):
                if self.place[j] == DEAD:
                    self.place[j] = LIVE
                self._add_live(j)
                for t in range(self.n_targets):
                    self.problems[t].refs.g[0][j] = self.q[t, j]
            self.live_cost = self.d.nnz
        return 0

    cdef void _add_coordinate(self, Problem *P, Py_ssize_t j, double g) noexcept nogil:
        """Column j into the small problem; held at zero where it is excluded."""
        cdef const Terms *t = P.terms
        P.wcol[P.q.m], P.inside[j] = <int> j, True
        if excluded(t, j):
            quad_add(&P.q, 1, 1, 0, 0, g)
        else:
            quad_add(&P.q, self.alpha_now * l1_factor(t, j), self.alpha_now * l2_factor(t, j), lower(t, j),
                     upper(t, j), g)

    def alpha_max(self):
        """Smallest alpha with no penalised coefficient, per target (after the unpenalised ones are fitted)."""
        cdef Py_ssize_t t, j
        cdef double g
        cdef const Terms *terms
        out = np.zeros(self.n_targets)
        cdef double[::1] o = out
        cdef double[:, ::1] c = self.q
        cdef bint free_ = False
        for t in range(self.n_of):
            terms = &self.terms[t]
            for j in range(self.p):
                free_ = free_ or (l1_factor(terms, j) == 0 and not excluded(terms, j))
        if free_:
            c = self._null_correlations()
        for t in range(self.n_targets):
            terms = self.problems[t].terms
            for j in range(self.p):
                if excluded(terms, j) or l1_factor(terms, j) == 0:
                    continue
                g = c[t, j]
                if (g > 0 and upper(terms, j) > 0) or (g < 0 and lower(terms, j) < 0):
                    o[t] = max(o[t], fabs(g) / l1_factor(terms, j))
        return out

    cdef double[:, ::1] _null_correlations(self):
        """X'r at the fit of the unpenalised columns alone."""
        cdef Py_ssize_t t, j
        cdef double[:, ::1] c = np.empty((self.n_targets, self.p))
        with nogil:
            self._solve(1e300, 1000)
            for t in range(self.n_targets):
                if self.full:
                    for j in range(self.p):
                        c[t, j] = self.problems[t].q.g[j]
                else:
                    self._weigh(&self.problems[t], self.problems[t].r, self.work + t * self.n)
            if not self.full:
                self.d.stream(NULL, self.p, self.work, self.n_targets, &c[0, 0], self.p)
        return c

    def warm(self, Py_ssize_t target, const double[::1] coef):
        """Start target from the given coefficients."""
        cdef Py_ssize_t j, k
        cdef Problem *P = &self.problems[target]
        for j in range(self.p):
            if coef[j] != 0 and not excluded(P.terms, j) and not P.inside[j]:
                P.viol[P.n_new] = <int> j
                P.n_new += 1
        with nogil:
            self._enlarge()
            for k in range(P.q.m):
                P.q.w[k] = min(max(coef[P.wcol[k]], P.q.lo[k]), P.q.hi[k])
            if not self.large:
                quad_place(&P.q)
            self._residual(P)
            self._correlate(P)

    def wake(self, awake):
        """Solve from now on the targets where awake is true; the others stay as they are."""
        cdef Py_ssize_t t
        for t in range(self.n_targets):
            self.problems[t].asleep = not awake[t]

    # ---- the path --------------------------------------------------------------------------------------------------
    def solve(self, const double[::1] alphas, Py_ssize_t max_rounds):
        """Solve for each alpha in turn.

        Returns
        -------
        indptr, indices, values : ndarray
            Solutions in CSC layout, column ``k * n_targets + t`` for alpha k and target t.
        gaps, rounds : ndarray of shape (n_alphas, n_targets)
            The first rounds include those on the way down from the largest useful alpha.
        converged : ndarray of bool, same shape
        """
        cdef Py_ssize_t k, t, taken = 0, L = alphas.shape[0], T = self.n_targets
        cdef double[:, ::1] gaps = np.empty((L, T))
        cdef double[:, ::1] errors = np.empty((L, T))
        cdef bint fresh
        cdef long long[:, ::1] rounds = np.empty((L, T), dtype=np.longlong)
        cdef long long[::1] indptr = np.zeros(L * T + 1, dtype=np.longlong)
        cdef unsigned char[:, ::1] ok = np.empty((L, T), dtype=np.uint8)
        cdef Problem *P
        cdef long long[::1] before = np.zeros(T, dtype=np.longlong)
        self.out_n = 0
        self.finished = 0
        fresh = not self.full
        for t in range(T):
            P = &self.problems[t]
            fresh = fresh and (P.asleep or (P.n_solved == 0 and P.q.m == 0))
        if L > 0 and fresh and alphas[0] > 0:
            self._descend(alphas[0], max_rounds, before)
        for t in range(T):
            taken = max(taken, before[t])
        with nogil:
            for k in range(L):
                self._solve(alphas[k], max_rounds - (taken if k == 0 else 0))
                self.finished = k + 1
                for t in range(T):
                    P = &self.problems[t]
                    if not P.asleep:
                        self._store(P)
                    indptr[k * T + t + 1] = self.out_n
                    errors[k, t] = P.error
                    gaps[k, t], rounds[k, t] = P.gap, P.rounds + (before[t] if k == 0 else 0)
                    # where rounding ended the rounds it must have left a gap that deserves the name
                    ok[k, t] = P.done and P.gap <= max(self.tol, 1e-9) * P.yy
        self.errors = np.asarray(errors)
        indices, values = np.empty(self.out_n, dtype=np.int64), np.empty(self.out_n)
        cdef long long[::1] oi = indices
        cdef double[::1] ov = values
        for k in range(self.out_n):
            oi[k], ov[k] = self.out_col[k], self.out_val[k]
        return (np.asarray(indptr), indices, values, np.asarray(gaps), np.asarray(rounds),
                np.asarray(ok).astype(bool))

    cdef int _descend(self, double alpha, Py_ssize_t max_rounds, long long[::1] rounds) except -1:
        """Before a cold start far down the path: a few values on the way, one round each (added to `rounds`).

        Solved straight at a small alpha, the first working sets are fitted far too closely, and what their residual
        lets in is mostly wrong."""
        cdef double top = np.max(self.alpha_max()), least = max(alpha, 1e-3 * top)
        cdef double step = SPARSE_STEP if self.d.sparse() else STEP
        cdef Py_ssize_t t, k = 0
        with nogil:
            top *= step
            while top * sqrt(step) > least and 2 * k + 4 < max_rounds:
                self._solve(top, 2 if k < 2 else 1)
                for t in range(self.n_targets):
                    rounds[t] += self.problems[t].rounds
                top *= step
                k += 1
        return 0

    cdef int _store(self, const Problem *P) except -1 nogil:
        cdef Py_ssize_t j
        for j in range(P.q.m):
            if P.q.w[j] != 0:
                self._push(P.wcol[j], P.q.w[j])
        return 0

    cdef int _push(self, Py_ssize_t j, double w) except -1 nogil:
        if self.out_n == self.out_room:
            self.out_room = max(1024, 2 * self.out_room)
            grow(<void **> &self.out_col, self.out_room * sizeof(int))
            grow(<void **> &self.out_val, self.out_room * sizeof(double))
        self.out_col[self.out_n], self.out_val[self.out_n] = <int> j, w
        self.out_n += 1
        return 0

    cdef int _tick(self) except -1 nogil:
        """Now and then let Python see signals and the progress report."""
        cdef double t = now()
        if t - self.last_tick > 0.05:
            self.last_tick = t
            with gil:
                PyErr_CheckSignals()
                if self.report is not None:
                    self.report(self.finished)
        return 0

    cdef int _solve(self, double alpha, Py_ssize_t max_rounds) except -1 nogil:
        """All targets that are awake at one alpha, to their certificates."""
        cdef Py_ssize_t t, pending = 0
        cdef int threads = self._threads()
        cdef Problem *P
        self.alpha_now = alpha
        for t in range(self.n_targets):
            P = &self.problems[t]
            P.done, P.settled, P.rounds, P.gap = P.asleep, P.asleep, 0, 0 if P.asleep else INFINITY
            P.best, P.stalled, P.tried, P.predicted = INFINITY, 0, False, self.full
            P.aim = min(self.tol, ACCURATE) * P.yy
            P.worst = INFINITY if P.n_solved == 0 and not self.full else 0
            P.n_viol = 0
            pending += not P.asleep
        if threads > 1:
            for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                self._begin(&self.problems[t], alpha)
        else:
            for t in range(self.n_targets):
                self._begin(&self.problems[t], alpha)
        if not self.full:
            self._grow_working_set()
        while pending > 0:
            threads = self._threads()
            if threads > 1:
                for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                    self._solve_small(&self.problems[t])
            else:
                for t in range(self.n_targets):
                    self._solve_small(&self.problems[t])
            self._certify(alpha)
            pending = 0
            for t in range(self.n_targets):
                P = &self.problems[t]
                if not P.done:
                    # at the first gap only if it is small and new columns had their chance: a path must not stand
                    # still while its last solution is good enough
                    P.done = P.settled or (P.tried and P.gap <= self.tol * P.yy) or (
                        P.predicted and P.gap <= P.aim)
                    P.tried = P.gap < INFINITY
                    pending += not P.done and P.rounds < max_rounds
            if pending > 0 and not self.full:
                self._grow_working_set()
            self._tick()
        if not self.full and not self.large:
            for t in range(self.n_targets):
                if not self.problems[t].asleep:
                    self._polish(&self.problems[t], alpha)
        return 0

    cdef int _threads(self) noexcept nogil:
        """How many problems to work on at the same time: one where rounds are short, as threads meet in each."""
        cdef Py_ssize_t t, s
        cdef double work = 0
        for t in range(self.n_targets if self.n_targets > 1 else 0):
            s = self.problems[t].q.f.s
            work += 8 * s * s + 8 * self.n_live + self.n
        return self.d.threads(work / 3)

    cdef int _begin(self, Problem *P, double alpha) except -1 nogil:
        if P.asleep:
            return 0
        self._set_alpha(P, alpha)
        if not self.full:
            self._predict(P, alpha)
        self._tick()
        return 0

    cdef int _polish(self, Problem *P, double alpha) except -1 nogil:
        """Iterative refinement where free columns are fitted: least squares deserves all digits X has to give."""
        cdef int _
        cdef double step, last = INFINITY
        for _ in range(5):
            step = quad_polish(&P.q)
            if step == 0:
                break
            self._residual(P)
            self._correlate(P)
            if step > 0.5 * last or step < 1e-16:
                break
            last = step
        if last < INFINITY:
            P.gap = duality_gap(P, alpha)
        return 0

    cdef int _predict(self, Problem *P, double alpha) except -1 nogil:
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

    cdef int _set_alpha(self, Problem *P, double alpha) except -1 nogil:
        cdef Py_ssize_t j, c
        cdef bint ridge = False
        cdef double l2
        for j in range(P.q.m):
            c = P.wcol[j]
            if excluded(P.terms, c):
                continue
            P.q.l1[j] = alpha * l1_factor(P.terms, c)
            l2 = alpha * l2_factor(P.terms, c)
            ridge |= l2 != P.q.l2[j]
            P.q.l2[j] = l2
        P.q.noise = 5e-15 * sqrt(P.yy)
        if not self.large:
            quad_place(&P.q)
            if ridge:
                quad_set_l2(&P.q)
        return 0

    cdef int _solve_small(self, Problem *P) except -1 nogil:
        """No more exactly than the violations outside the working set are worth, when the last round left any."""
        cdef Py_ssize_t _
        if P.done:
            return 0
        P.rounds += 1
        P.q.slack = max(self.slack, min(0.3, 0.1 * P.worst))
        P.fresh = False
        P.q.loose = sqrt(ALLOWED * P.aim / (P.q.m + 1))
        if P.q.m > 0:
            for _ in range(50 + P.q.m):
                if (free_solve(&P.q, self.d, P.wcol, P.r) if self.large else quad_solve(&P.q, 4)) == 1:
                    break
                self._tick()
        self._tick()
        return 0

    # ---- certificate -----------------------------------------------------------------------------------------------
    cdef void _weigh(self, const Problem *P, const double *r, double *v) noexcept nogil:
        """v = sqrt(s) r: what X is streamed against."""
        cdef Py_ssize_t i
        if P.of.root == NULL:
            memcpy(v, r, self.n * sizeof(double))
        else:
            for i in range(self.n):
                v[i] = P.of.root[i] * r[i]

    cdef int _residual(self, Problem *P) except -1 nogil:
        """Residual and its norms at w."""
        if self.full:
            return 0
        if self.large:
            free_residual(self.d, P.wcol, P.q.m, P.q.w, P.y, P.r)
        else:
            self._fit(P, self.fits)
            block_residuals(self.d, self.fits, 1)
        self._measure(P)
        return 0

    cdef int _fit(self, Problem *P, Fit *fit) except -1 nogil:
        """What the block computes the residual from; coefficients by position where it holds other columns too."""
        cdef Py_ssize_t k, m = P.block.m
        fit.block, fit.of, fit.y, fit.w, fit.r, fit.g = P.block, P.of, P.y, P.q.w, P.r, P.q.g
        fit.test, fit.error = &P.test if P.test.times != NULL else NULL, &P.error
        if P.pos == NULL:
            return 0
        if P.room < m:
            P.room = m + m // 2
            grow(<void **> &P.w_block, P.room * sizeof(double))
            grow(<void **> &P.g_block, P.room * sizeof(double))
        memset(P.w_block, 0, m * sizeof(double))
        for k in range(P.q.m):
            P.w_block[P.pos[k]] = P.q.w[k]
        fit.w, fit.g = P.w_block, P.g_block
        return 0

    cdef void _measure(self, Problem *P) noexcept nogil:
        """Norms of a new residual, and its correlations where they came with it."""
        cdef Py_ssize_t k
        P.fresh = self.d.sparse() and not self.large
        for k in range(P.q.m if P.fresh and P.pos != NULL else 0):
            P.q.g[k] = P.g_block[P.pos[k]]
        if P.fresh:
            memcpy(P.q.seen, P.q.w, P.q.m * sizeof(double))
        P.rr = fr_vdot(self.n, P.r, P.r)
        P.r_max = fr_maxabs(self.n, P.r)

    cdef int _residuals(self) except -1 nogil:
        """Those of all open problems."""
        cdef Py_ssize_t t, k = 0
        if self.full:
            return 0
        if self.large:
            for t in range(self.n_targets):
                if not self.problems[t].done:
                    self._residual(&self.problems[t])
            return 0
        for t in range(self.n_targets):
            if not self.problems[t].done:
                self._fit(&self.problems[t], &self.fits[k])
                k += 1
        block_residuals(self.d, self.fits, k)
        for t in range(self.n_targets):
            if not self.problems[t].done:
                self._measure(&self.problems[t])
        return 0

    cdef int _correlate(self, Problem *P) except -1 nogil:
        """Correlations of the working set with the residual, from scratch: no rounding is carried along."""
        cdef Py_ssize_t j
        if P.fresh:
            return 0
        if self.full:
            memcpy(P.q.g, &self.q[P - self.problems, 0], self.p * sizeof(double))
            P.rr = P.yy
            for j in range(self.p):
                P.q.seen[j] = P.q.w[j]
                if P.q.w[j] != 0:
                    fr_axpy(self.p, -P.q.w[j], P.of.G + j * self.p, P.q.g)
            for j in range(self.p):
                P.rr -= P.q.w[j] * (self.q[P - self.problems, j] + P.q.g[j])
            P.rr = max(P.rr, 0.)
            return 0
        if self.large:
            free_correlate(self.d, P.wcol, P.q.m, P.r, P.q.g)
        else:
            block_correlate(P.block, self.d, P.of, P.r, P.pos, 0, P.q.m, P.q.g)
        memcpy(P.q.seen, P.q.w, P.q.m * sizeof(double))
        P.fresh = True
        return 0

    cdef int _certify(self, double alpha) except -1 nogil:
        """Correlations at the new solutions, violators outside the working sets, gaps."""
        cdef Py_ssize_t t
        cdef int threads = self._threads()
        self._tick()
        self._residuals()
        if not self.full:
            self._revive(alpha)
            if threads > 1:
                for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                    self._screen(&self.problems[t], alpha)
            else:
                for t in range(self.n_targets):
                    self._screen(&self.problems[t], alpha)
            self._read_candidates()
        if threads > 1:
            for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                self._judge(&self.problems[t], alpha)
        else:
            for t in range(self.n_targets):
                self._judge(&self.problems[t], alpha)
        return 0

    cdef int _judge(self, Problem *P, double alpha) except -1 nogil:
        """Violators, gap, and whether anything is left to do."""
        if P.done:
            return 0
        P.n_viol = 0
        if not self.full:
            self._violators(P, alpha)
        if P.n_viol == 0:                          # else the small problem's own correlations will do
            self._correlate(P)
        P.gap = duality_gap(P, alpha)
        if P.n_viol > 0 and P.gap <= self.tol * P.yy:
            self._correlate(P)
            P.gap = duality_gap(P, alpha)
        self._tick()
        P.q.slack = self.slack
        P.settled = P.n_viol == 0 and (
            (free_settled(&P.q, self.d, P.wcol) if self.large else quad_settled(&P.q)) or self._stalls(P))
        return 0

    cdef bint _stalls(self, Problem *P) noexcept nogil:
        """Nothing violates outside, and three rounds inside have not halved the gap: rounding has the last word."""
        if P.gap < 0.5 * P.best:
            P.best, P.stalled = P.gap, 0
        else:
            P.stalled += 1
        return P.stalled >= 3

    cdef int _screen(self, Problem *P, double alpha) except -1 nogil:
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

    cdef int _read_candidates(self) except -1 nogil:
        """Exact correlations of the candidates: of each problem's own, of all of them for every problem, or of all live
        columns, where one pass for all problems costs little more."""
        cdef Py_ssize_t t, n_open = 0, n_any
        cdef int threads = self._threads()
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
            self.columns_streamed += 0 if whole else P.cost
        if whole:
            return self._pass(n_open) if n_open > 0 else 0
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
            self.columns_streamed += n_open * self.d.cost(columns[a])
        for t in range(self.n_targets):
            P = &self.problems[t]
            P.whole = False
            if P.cost > 0:
                self._weigh(P, P.r, self.work + k * self.n)
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
        self._weigh(P, P.r, P.work)
        self.d.stream(P.viol, n, P.work, 1, P.viol_g, n)
        for a in range(n):
            P.est[P.cand[a]] = P.viol_g[a]
            P.err[P.cand[a]] = 0
        return 0

    cdef Py_ssize_t _allow(self, Problem *P, double alpha, Py_ssize_t n) noexcept nogil:
        """Drop candidates that are likely none and, by their l2 term, cheap if they are: an excess e of the bound over
        l1 adds at most e^2 / (2 l2) to the gap."""
        cdef Py_ssize_t a, k, kept, before
        cdef int j
        cdef double cost, most, l1
        P.loss = 0
        before = n + 1
        while 0 < n < before:
            before, kept, most = n, 0, (ALLOWED * P.aim - P.loss) / n
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

    cdef int _revive(self, double alpha) except -1 nogil:
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
                self._weigh(P, P.refs.r[k], self.work + k * self.n)
            if P.refs.held > known:
                self.d.stream(self.live + first, n, self.work + known * self.n, P.refs.held - known, self.passes, n)
            for k in range(known, P.refs.held):
                memcpy(P.refs.g[k] + first, self.passes + (k - known) * n, n * sizeof(double))
        return 0

    cdef int _pass(self, Py_ssize_t n_whole) except -1 nogil:
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
                self._weigh(P, P.r, self.work + k * self.n)
                out = P.refs.g[P.refs.oldest]
                k += 1
        if n_whole > 1:
            out = self.passes
        self.d.stream(NULL if rows else self.live, self.n_live, self.work, n_whole, out, self.n_live)
        self.columns_streamed += self.live_cost * n_whole
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

    cdef void _violators(self, Problem *P, double alpha) noexcept nogil:
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

    # ---- growth ----------------------------------------------------------------------------------------------------
    cdef int _grow_working_set(self) except -1 nogil:
        """Gather the worst violators of the open targets: at most GROWTH, or as many as the support holds, of each."""
        cdef Py_ssize_t t, k, n, cap
        cdef Problem *P
        cdef double least
        for t in range(self.n_targets):
            P = &self.problems[t]
            cap = max(GROWTH, P.q.m if self.large else P.q.f.s)
            least, n = 0, 0
            if P.n_viol > cap:
                memcpy(self.dots, P.score, P.n_viol * sizeof(double))
                qsort(self.dots, P.n_viol, sizeof(double), _descending)
                least = self.dots[cap - 1]
            for k in range(0 if P.done else P.n_viol):
                if P.score[k] >= least and not P.inside[P.viol[k]]:
                    P.viol[n] = P.viol[k]
                    n += 1
            P.n_new = n
        return self._enlarge()

    cdef int _enlarge(self) except -1 nogil:
        """The first n_new columns in viol of each problem, into its working set and, if need be, its block."""
        cdef Py_ssize_t t, k, n = 0, most = 0, some = 0
        cdef int threads = self._threads()
        cdef Problem *P
        for t in range(self.n_targets):
            P = &self.problems[t]
            some += P.n_new
            most = max(most, P.q.m + P.n_new)
            for k in range(P.n_new if self.n_blocks == 1 else 0):
                if self.at[P.viol[k]] < 0:
                    self.at[P.viol[k]] = <int> (self.blocks[0].m + n)
                    self.cols[n] = P.viol[k]
                    n += 1
        if some == 0:
            return 0
        if (self.blocks[0].m + n if self.n_blocks == 1 else most) > self.capacity and not self.large:
            self._give_up_gram()
        if n > 0 and not self.large:
            block_append(self.blocks, self.d, self.cols, n)
            self._check_digits(n)
        if threads > 1:
            for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                self._admit(t)
        else:
            for t in range(self.n_targets):
                self._admit(t)
        return 0

    cdef int _check_digits(self, Py_ssize_t n) except -1 nogil:
        """Whether the Gram matrices of several weightings, sums and differences of parts, know the norms of the last n
        columns: where entries or levels of the rows left out are huge, nothing is left of the others."""
        cdef Py_ssize_t f, a, m = self.blocks[0].m
        cdef double norm, diagonal
        for f in range(self.n_of if self.n_of > 1 else 0):
            for a in range(m - n, m):
                norm = self.terms[f].norm[self.cols[a - m + n]]
                diagonal = self.blocks[0].of[f].G[gram_column(self.blocks, a) + a]
                if fabs(diagonal - norm * norm) > DIGITS * norm * norm and norm > 0:
                    with gil:
                        raise Apart
        return 0

    cdef int _append_own(self, Py_ssize_t t, Py_ssize_t n) except -1 with gil:
        cdef Design design = self.designs[t]
        cdef Problem *P = &self.problems[t]
        with nogil:
            block_append(P.block, design, P.viol, n)
        return 0

    cdef int _admit(self, Py_ssize_t t) except -1 nogil:
        """New coordinates of a small problem, which are in the block by now, unless that is the problem's own."""
        cdef Problem *P = &self.problems[t]
        cdef Py_ssize_t k, m = P.q.m, n = P.n_new
        P.n_new = 0
        if n == 0:
            return 0
        if self.n_blocks > 1:
            self._append_own(t, n)
        quad_reserve(&P.q, m + n)
        for k in range(n):
            if P.pos != NULL:
                P.pos[m + k] = self.at[P.viol[k]]
            self._add_coordinate(P, P.viol[k], 0)
        if self.large:                                # the solver starts by computing all correlations
            return 0
        P.q.G, P.q.ldg = P.of.G, P.block.ld
        if P.pos != NULL:
            self._copy_gram(P, m)
        if self.d.kind == SPARSE_COLUMNS:
            self._weigh(P, P.r, P.work)
            self.d.stream(P.viol, n, P.work, 1, P.q.g + m, n)
        else:
            block_correlate(P.block, self.d, P.of, P.r, P.pos, m, m + n, P.q.g)
        return 0

    cdef int _copy_gram(self, Problem *P, Py_ssize_t first) except -1 nogil:
        """Rows and columns from `first` on of the problem's own Gram matrix, out of the block's."""
        cdef Py_ssize_t i, k, m = P.q.m, room
        cdef double *G = NULL
        if m > P.ldg:
            room = m + m // 2
            grow(<void **> &G, room * room * sizeof(double))
            for k in range(first):
                memcpy(G + k * room, P.G + k * P.ldg, first * sizeof(double))
            free(P.G)
            P.G, P.ldg = G, room
        P.q.G, P.q.ldg = P.G, P.ldg
        for k in range(first, m):
            for i in range(m):
                P.G[k * P.ldg + i] = P.of.G[gram_column(P.block, max(P.pos[k], P.pos[i])) + min(P.pos[k], P.pos[i])]
                P.G[i * P.ldg + k] = P.G[k * P.ldg + i]
        return 0

    cdef int _give_up_gram(self) except -1 with gil:
        """From now on products with X alone: the block, its Gram matrix and the factors return their memory."""
        cdef Py_ssize_t t
        if self.n_of > 1:
            raise Apart
        self.large = True
        self._new_blocks()
        for t in range(self.n_targets):
            factor_free(&self.problems[t].q.f)
            free(self.problems[t].G)
            self.problems[t].G, self.problems[t].fresh = NULL, False
        return 0
