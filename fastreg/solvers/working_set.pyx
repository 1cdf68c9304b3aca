"""Lasso and elastic net for one or several targets that share X: stream, gather, solve small, certify.

    minimise  1/2 sum_i s_i (y_i - x_i w - b)^2 + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lo_j <= w_j <= hi_j

with ``l1_j = alpha * pen1_j`` and ``l2_j = alpha * pen2_j``, for each alpha of a path.

Design:

a) **Working set.** Columns that ever violated their optimality condition are gathered into a block with their Gram
   matrix; the small problem on it is solved exactly (``kernels.quadratic``) from the last solution.
b) **Certificate from few passes.** What is known of the columns outside is kept up to date by bounds; only those that
   the bounds do not clear are read (``screening``).
c) **Gap.** The duality gap of each solution, in float64, from the block's exact correlations and the bound outside.
d) **Memory.** When block, Gram matrix and factor would outgrow their memory they are given up, and the problem on the
   working set is solved by products with X alone (``matrix_free``).
e) **Full Gram mode.** When computing X'X costs less than the passes it saves, the working set is all of X.
f) **Lockstep.** Several problems (targets; or the folds of a cross-validation, each with weights of its own) are solved
   alpha by alpha, each on a working set of its own. They share the passes over X and, but for folds of dense X, the
   block of gathered columns, the sums of its Gram matrices and the sweeps over its rows.
"""
from cython.parallel cimport prange

from libc.float cimport DBL_MAX
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset

from cpython.exc cimport PyErr_CheckSignals

import numpy as np

from fastreg.kernels.block cimport (
    Block, Fit, Weighting, block_append, block_correlate, block_free, block_init, block_residuals, gram_column)
from fastreg.kernels.design cimport SPARSE_COLUMNS, Design, Moments
from fastreg.kernels.factor cimport factor_free
from fastreg.kernels.gram cimport full_gram
from fastreg.kernels.leaf cimport fr_axpy, fr_maxabs, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.residual cimport Target, residual_pass
from fastreg.kernels.references cimport MAX_REFERENCES, references_free, references_init
from fastreg.kernels.quadratic cimport (
    quad_add, quad_free, quad_init, quad_place, quad_polish, quad_reserve,
    quad_set_l2, quad_settled, quad_solve)
from fastreg.solvers.certificate cimport duality_gap
from fastreg.solvers.matrix_free cimport free_correlate, free_residual, free_settled, free_solve
from fastreg.solvers.problem cimport EXCLUDED, Problem, Terms, excluded, l1_factor, l2_factor, lower, upper, weigh
from fastreg.solvers.screening cimport Screening

cdef double STEP = 0.65          # from alpha to alpha on the way to a first one far below the largest
cdef double SPARSE_STEP = 0.35   # sparse columns are less alike: fewer wrong ones come in, and a round costs more
cdef double DIGITS = 1e-7        # relative error of a Gram matrix that Newton's method and a fresh residual mend
cdef double ACCURATE = 1e-7      # no solution need have a smaller gap than this times ||y||^2, unless tol says so
cdef double LEAST_TOL = 1e-9     # where rounding ends the rounds, the gap must not be larger than this times ||y||^2
cdef double ALLOWED = 0.2        # share of that gap that the l2 terms may leave
cdef Py_ssize_t GROWTH = 64      # columns that may enter in a round, or as many as the support holds


cdef extern from *:
    """
    #ifdef _WIN32
    #define NOMINMAX
    #define WIN32_LEAN_AND_MEAN
    #include <windows.h>
    static double fr_now(void) { return 1e-3 * (double)GetTickCount64(); }
    #else
    #include <time.h>
    static double fr_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    #endif
    """
    double fr_now() noexcept nogil   # seconds on a clock that nobody sets


cdef enum Stopped:
    BY_ROUNDS = 1
    BY_ROUNDING = 2


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
    cdef readonly bint full
    cdef bint large                           # the working set has outgrown its capacity
    cdef bint started                         # from given coefficients, which may be a solution already
    cdef double tol, slack
    cdef object report
    cdef double last_tick, alpha_now
    cdef list penalties                       # arrays that terms point to
    cdef Py_ssize_t n_of                      # weightings of the rows: 1, or one for each problem
    cdef Py_ssize_t n_blocks
    cdef Terms *terms
    cdef int *at                              # of each column: its position in the shared block, or -1
    cdef double *dots
    cdef Fit *fits
    cdef int *cols
    cdef double[:, ::1] q                     # X'Y
    cdef Screening outside                    # of the working sets
    cdef int *out_col                         # solutions, one after the other
    cdef double *out_val
    cdef Py_ssize_t out_n, out_room, finished
    cdef readonly object errors               # (n_alphas, n_targets) at the solutions found last, on their test sets

    def __cinit__(self, Design design, const double[:, ::1] Y, bint full, double tol, Py_ssize_t capacity,
                  report=None, designs=None, parts=None, test=None):
        cdef Py_ssize_t t, p = design.p
        if full and design.sparse():
            raise ValueError("full Gram mode reads dense X")
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
        self.problems = <Problem *> calloc(self.n_targets, sizeof(Problem))
        self.blocks = <Block *> calloc(self.n_blocks, sizeof(Block))
        self.at = <int *> malloc(p * sizeof(int))
        self.cols = <int *> malloc(p * sizeof(int))
        self.dots = <double *> malloc(p * sizeof(double))
        if (self.problems == NULL or self.blocks == NULL or self.at == NULL or self.cols == NULL or self.dots == NULL
                or self.terms == NULL or self.fits == NULL):
            raise MemoryError()
        memset(self.at, -1, p * sizeof(int))
        self._new_blocks()
        self.q = np.empty((self.n_targets, p))
        self.outside = Screening(design, self.designs, self.q, self.slack)
        self.outside.problems, self.outside.terms, self.outside.at = self.problems, self.terms, self.at
        for t in range(self.n_targets):
            self.problems[t].terms = &self.terms[t if self.n_of > 1 else 0]
            quad_init(&self.problems[t].q)
            quad_reserve(&self.problems[t].q, 1)         # arrays with an address, before anything is in them
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
        free(self.at)
        free(self.cols)
        free(self.dots)
        free(self.fits)
        free(self.terms)
        free(self.out_col)
        free(self.out_val)

    @property
    def gathered(self):
        """Columns in the working block, or the largest of them; 0 where it was given up."""
        return max([self.blocks[t].m for t in range(self.n_blocks)])

    @property
    def columns_streamed(self):
        """Elements of X streamed so far."""
        return self.outside.streamed

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
        self.last_tick = fr_now()
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
                        weigh(&self.problems[t], self.n, self.problems[t].y, self.outside.work + t * self.n)
                    self.d.moments(of, n_of, self.outside.work, self.n_targets, &self.q[0, 0])
        finally:
            free(of)
        self.outside.streamed += <double> self.d.nnz * n_of

    def prepare_known(self, const double[:, ::1] gram, const double[:, ::1] xy, const double[::1] means,
                      const double[::1] norms):
        """Full Gram mode with X'X, Y'X, means and norms at hand: X is not read."""
        self.last_tick = fr_now()
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
                self.outside.place[j] = EXCLUDED
        with nogil:
            if again:
                self._restart()
            else:
                self._first_references()

    cdef int _restart(self) except -1 nogil:
        """Every problem back at w = 0; columns may be live that were not, with the new penalties."""
        cdef Py_ssize_t t, k
        cdef Problem *P
        self.outside.restart()
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
        if not self.full:
            self.outside.begin()
            return 0
        for t in range(self.n_targets):
            P = &self.problems[t]
            quad_reserve(&P.q, self.p)
            P.q.G, P.q.ldg = P.of.G, self.p
            for j in range(self.p):
                self._add_coordinate(P, j, self.q[t, j])
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
        cdef double top = 0
        for t in range(self.n_targets):
            for j in range(self.p):
                if l1_factor(self.problems[t].terms, j) > 0 and not excluded(self.problems[t].terms, j):
                    top = max(top, self.problems[t].terms.norm[j] * sqrt(self.problems[t].yy)
                              / l1_factor(self.problems[t].terms, j))       # no correlation exceeds the norms
        with nogil:
            self._solve(min(2 * top, DBL_MAX), 1000)
            for t in range(self.n_targets):
                if self.full:
                    for j in range(self.p):
                        c[t, j] = self.problems[t].q.g[j]
                else:
                    weigh(&self.problems[t], self.n, self.problems[t].r, self.outside.work + t * self.n)
            if not self.full:
                self.d.stream(NULL, self.p, self.outside.work, self.n_targets, &c[0, 0], self.p)
        return c

    def warm(self, Py_ssize_t target, const double[::1] coef):
        """Start target from the given coefficients; a certificate is tried on them before any round."""
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
            self._residual(P)      # the small problem is placed once alpha, and so its l2 terms, are known
            self._correlate(P)
        self.started = True

    def wake(self, awake):
        """Solve from now on the targets where awake is true; the others stay as they are."""
        cdef Py_ssize_t t
        for t in range(self.n_targets):
            self.problems[t].asleep = not awake[t]

    # ---- the path --------------------------------------------------------------------------------------------------
    def solve(self, const double[::1] alphas, Py_ssize_t max_rounds, bint from_x=True):
        """Solve for each alpha in turn.

        Parameters
        ----------
        alphas : ndarray
        max_rounds : int
        from_x : bool
            In full Gram mode: certify the last solutions from X itself, and mend what they lack.

        Returns
        -------
        indptr, indices, values : ndarray
            Solutions in CSC layout, column ``k * n_targets + t`` for alpha k and target t.
        gaps, rounds : ndarray of shape (n_alphas, n_targets)
            The first rounds include those on the way down from the largest useful alpha.
        stopped : ndarray of uint8, same shape
            0: at its certificate; 1: by max_rounds; 2: by rounding, with a gap that does not deserve the name.
        """
        cdef Py_ssize_t k, t, taken = 0, L = alphas.shape[0], T = self.n_targets
        cdef double[:, ::1] gaps = np.empty((L, T))
        cdef double[:, ::1] errors = np.empty((L, T))
        cdef bint fresh
        cdef long long[:, ::1] rounds = np.empty((L, T), dtype=np.longlong)
        cdef long long[::1] indptr = np.zeros(L * T + 1, dtype=np.longlong)
        cdef unsigned char[:, ::1] stopped = np.zeros((L, T), dtype=np.uint8)
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
                if self.full and from_x and k == L - 1:
                    self._certify_from_x(alphas[k], max_rounds)
                self.finished = k + 1
                for t in range(T):
                    P = &self.problems[t]
                    if not P.asleep:
                        self._store(P)
                    indptr[k * T + t + 1] = self.out_n
                    errors[k, t] = P.error
                    gaps[k, t], rounds[k, t] = P.gap, P.rounds + (before[t] if k == 0 else 0)
                    if not P.done:
                        stopped[k, t] = BY_ROUNDS
                    elif not self._good(P):
                        stopped[k, t] = BY_ROUNDING
        self.errors = np.asarray(errors)
        indices, values = np.empty(self.out_n, dtype=np.int64), np.empty(self.out_n)
        cdef long long[::1] oi = indices
        cdef double[::1] ov = values
        for k in range(self.out_n):
            oi[k], ov[k] = self.out_col[k], self.out_val[k]
        return (np.asarray(indptr), indices, values, np.asarray(gaps), np.asarray(rounds),
                np.asarray(stopped))

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
        cdef double t = fr_now()
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
            P.spare = ALLOWED * P.aim
            P.worst = INFINITY if P.n_solved == 0 and not self.full else 0
            P.n_viol = 0
            pending += not P.asleep
        if threads > 1:
            for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                self._begin(&self.problems[t], alpha, max_rounds > 0)
        else:
            for t in range(self.n_targets):
                self._begin(&self.problems[t], alpha, max_rounds > 0)
        if self.started:
            self.started = False
            pending = self._try_start(alpha, max_rounds)
        if pending > 0 and not self.full:
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
                if self.problems[t].rounds > 0:
                    self._polish(&self.problems[t], alpha)
        return 0

    def certify(self, double alpha, const double[:, ::1] coefs):
        """Full Gram mode: gaps of given coefficients at alpha, computed from X, and why `solve` would stop there."""
        cdef Py_ssize_t t
        cdef double[::1] gaps = np.empty(self.n_targets)
        cdef unsigned char[::1] stopped = np.zeros(self.n_targets, dtype=np.uint8)
        self.alpha_now = alpha
        for t in range(self.n_targets):
            self.warm(t, coefs[t])
            with nogil:
                self._set_alpha(&self.problems[t], alpha, False)
            self.problems[t].done = False
        with nogil:
            self._read_x(alpha)
        for t in range(self.n_targets):
            gaps[t] = self.problems[t].gap
            if not self._good(&self.problems[t]):
                stopped[t] = BY_ROUNDING
        return gaps.base, stopped.base

    cdef bint _good(self, const Problem *P) noexcept nogil:
        """Whether the gap is as small as asked for, or as rounding lets a gap that deserves the name be."""
        return P.gap <= max(self.tol, LEAST_TOL) * P.yy

    cdef int _read_x(self, double alpha) except -1 nogil:
        """Full Gram mode: residuals, correlations and gaps of the open problems from X itself, in one reading."""
        cdef Py_ssize_t t, k = 0
        cdef Problem *P
        cdef Target *targets = NULL
        grow(<void **> &targets, self.n_targets * sizeof(Target))
        for t in range(self.n_targets):
            P = &self.problems[t]
            if not P.done:
                targets[k].y, targets[k].w, targets[k].r, targets[k].g = P.y, P.q.w, P.r, P.q.g
                k += 1
        try:
            residual_pass(self.d, targets, k)
        finally:
            free(targets)
        self.outside.streamed += self.d.nnz
        for t in range(self.n_targets):
            P = &self.problems[t]
            if not P.done:
                P.rr = fr_vdot(self.n, P.r, P.r)
                memcpy(P.q.seen, P.q.w, P.q.m * sizeof(double))
                P.gap = duality_gap(P, alpha)
        self._tick()
        return 0

    cdef int _certify_from_x(self, double alpha, Py_ssize_t max_rounds) except -1 nogil:
        """Full Gram mode: solutions to gaps that are computed from X itself.

        Where one is above its tolerance, what the sums lack is mended: the small problem is solved from correlations
        that are exact, again while that halves the gap and rounds are left."""
        cdef Py_ssize_t t, pending = 1
        cdef Problem *P
        for t in range(self.n_targets):
            self.problems[t].best = INFINITY
            self.problems[t].done = self.problems[t].asleep
        while pending > 0:
            self._read_x(alpha)
            pending = 0
            for t in range(self.n_targets):
                P = &self.problems[t]
                P.done = (P.done or P.gap <= self.tol * P.yy or not P.gap < 0.5 * P.best
                          or P.rounds >= max_rounds)
                if not P.done:
                    P.best = P.gap
                    P.rounds += 1
                    quad_solve(&P.q, 4)
                    pending += 1
        for t in range(self.n_targets):
            P = &self.problems[t]
            P.done = P.asleep or P.settled or P.gap <= self.tol * P.yy
        return 0

    cdef Py_ssize_t _try_start(self, double alpha, Py_ssize_t max_rounds) except -1 nogil:
        """How many targets need rounds, those being done whose start is good enough as it is."""
        cdef Py_ssize_t t, pending = 0
        cdef Problem *P
        self._certify(alpha)
        for t in range(self.n_targets):
            P = &self.problems[t]
            P.done = P.done or P.settled or P.gap <= self.tol * P.yy
            pending += not P.done and max_rounds > 0
        return pending

    cdef int _threads(self) noexcept nogil:
        """How many problems to work on at the same time: one where rounds are short, as threads meet in each."""
        cdef Py_ssize_t t, s
        cdef double work = 0
        for t in range(self.n_targets if self.n_targets > 1 else 0):
            s = self.problems[t].q.f.s
            work += 8 * s * s + 8 * self.outside.n_live + self.n
        return self.d.threads(work / 3)

    cdef int _begin(self, Problem *P, double alpha, bint slide) except -1 nogil:
        if P.asleep:
            return 0
        self._set_alpha(P, alpha, slide)
        if not self.full:
            self.outside.predict(P, alpha)
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

    cdef int _set_alpha(self, Problem *P, double alpha, bint slide) except -1 nogil:
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
            quad_place(&P.q, slide)
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
        P.q.loose = sqrt(P.spare / (P.q.m + 1))
        if P.q.m > 0:
            for _ in range(50 + P.q.m):
                if (free_solve(&P.q, self.d, P.wcol, P.r) if self.large else quad_solve(&P.q, 4)) == 1:
                    break
                self._tick()
        self._tick()
        return 0

    # ---- certificate -----------------------------------------------------------------------------------------------
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
        if P.room < m or P.w_block == NULL:
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
            self.outside.revive(alpha)
            if threads > 1:
                for t in prange(self.n_targets, num_threads=threads, schedule="dynamic", chunksize=1):
                    self.outside.screen(&self.problems[t], alpha)
            else:
                for t in range(self.n_targets):
                    self.outside.screen(&self.problems[t], alpha)
            self.outside.read_candidates(self._threads())
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
            self.outside.violators(P, alpha)
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
            weigh(P, self.n, P.r, P.work)
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
