"""L1 and elastic-net penalties, for one or several targets that share X: stream, gather, solve small, certify.

    minimise  sum_i s_i f(y_i, x_i w + b + offset_i) + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lo_j <= w_j <= hi_j

with ``l1_j = alpha * pen1_j`` and ``l2_j = alpha * pen2_j``, for each alpha of a path.

Design:

a) **Working set.** Columns that ever violated their optimality condition are gathered into a block with their Gram
   matrix (``gathered``); the small problem on it is solved exactly from the last solution (``small``). Each problem has
   its own (``working_set``).
b) **Certificate from few passes.** What is known of the columns outside is kept up to date by bounds; only those that
   the bounds do not clear are read (``screening``).
c) **Gap.** The duality gap of each solution, in float64, from the block's exact correlations and the bound outside
   (``certificate``).
d) **Full Gram mode.** When computing X'X costs less than the passes it saves, the working set is all of X
   (``whole_gram``).
e) **Lockstep.** Several problems (targets; or the folds of a cross-validation, each with weights of its own) are solved
   alpha by alpha (``loop``). They share the passes over X, the block of gathered columns and, where X is sparse, the
   sums of its Gram matrices and the sweeps over its rows.
"""
from libc.float cimport DBL_MAX
from libc.math cimport sqrt
from libc.string cimport memcpy

import numpy as np

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.quadratic import QUADRATIC
from fastreg.kernels.references cimport MAX_REFERENCES
from fastreg.kernels.view cimport View
from fastreg.solvers.gathered cimport gram_of_columns
from fastreg.solvers.loop cimport TURNS, Loop
from fastreg.solvers.screening cimport Screening
from fastreg.solvers.problem cimport Batch, Problem
from fastreg.solvers.reference_screening cimport ReferenceScreening
from fastreg.solvers.solutions cimport AT_CERTIFICATE, BY_ROUNDING, BY_ROUNDS, Solutions, Stopped
from fastreg.solvers.ticker cimport Ticker
from fastreg.solvers.whole_gram cimport WholeGram
from fastreg.solvers.working_set cimport WorkingSets

cdef enum:
    FEW_TURNS = 2                # of the classes, on that way
cdef double STEP = 0.65          # from alpha to alpha on the way to a first one far below the largest
cdef double SPARSE_STEP = 0.35   # sparse columns are less alike: fewer wrong ones come in, and a round costs more


cdef class Engine:
    """Solves one path for all problems in lockstep.

    Parameters
    ----------
    design : View
    Y : ndarray of shape (n_targets, n), float64, C-contiguous
        What the datafit reads; of the squared loss, centred and scaled by the square roots of the weights.
    full : bool
        Full Gram mode (dense X).
    tol : float
        A solution is accepted when its gap is at most tol times its unit, or when no violation is left.
    capacity : int
        Most columns the working set may hold with its Gram matrix.
    report : callable or None
        As `Ticker` takes it; penalty values are counted from where penalties were set.
    designs : list of View or None
        The rows weighted for each target in its own way; None: as in `design` for all of them.
    parts : tuple or None
        With `designs`: the parts of the rows on which their weights are multiples of those of `design`: the rows one
        part after the other (n, intc), where each begins and the end (intp), the multiples (n_targets, n_parts).
    test : tuple or None
        Of sparse X, with `parts`, what sums up squared errors on the test sets of the first targets: how often each row
        counts (n_sets, n); y as in Y under the weights of `design`; what its mean there is more than under those of
        each set.
    datafit : Datafit
    nulls : Nulls or None
        The fits without features; None for the squared loss, whose residual is then Y.
    """
    cdef Batch batch
    cdef WorkingSets sets
    cdef Screening screening                  # of the columns outside the working sets
    cdef Loop loop
    cdef Ticker ticker
    cdef WholeGram whole                      # the solver of full Gram mode; None otherwise
    cdef bint begun                           # penalties have been set
    cdef readonly object errors               # (n_alphas, n_targets) at the solutions found last, on their test sets
    cdef readonly object deviances            # the same, of all rows under the weights, summed

    def __cinit__(self, View design, const double[:, ::1] Y, bint full, double tol, Py_ssize_t capacity,
                  report=None, designs=None, parts=None, test=None, Datafit datafit=QUADRATIC,
                  nulls=None):
        # a violation far below tol would not move the gap; below the rounding of x_j'r it is no violation at all
        cdef double slack = min(1e-7, max(1e-10, 1e-2 * tol))
        # combining references costs as much as a pass where columns hold but a few entries
        cdef int references = MAX_REFERENCES if design.nnz > 24 * design.p else 2
        self.batch, self.ticker = Batch(design, designs, Y, datafit, nulls), Ticker(report)
        if test is not None:
            times, y, shifts = test
            self.batch.set_tests(times, y, shifts)
        self.sets = WorkingSets(self.batch, full, capacity, parts)
        self.screening = Screening() if full else ReferenceScreening(self.batch, slack, references)
        self.whole = self.sets.solver if full else None
        self.loop = Loop(self.batch, self.sets, self.screening, self.ticker, tol, slack)

    @property
    def full(self):
        """Whether the working set is all of X."""
        return self.whole is not None

    @property
    def coupled(self):
        """Whether the targets are the classes of one loss."""
        return self.batch.datafit.coupled

    @property
    def n(self):
        """Number of rows."""
        return self.batch.n

    @property
    def units(self):
        """What tol is a multiple of, for each target, in the summed objective."""
        return np.array([self.batch.problems[t].unit for t in range(self.batch.n_problems)])

    @property
    def null_deviances(self):
        """Of the fits without features, summed."""
        return self.units * (1 if self.batch.datafit.quadratic else 2)

    @property
    def gathered(self):
        """Columns in the working block, or the largest of them; 0 where it was given up."""
        return self.sets.solver.held()

    @property
    def columns_streamed(self):
        """Elements of X streamed so far."""
        return self.screening.streamed

    @property
    def correlations(self):
        """X'Y as rows, once prepared."""
        return self.batch.xy.base

    def gram(self, const int[::1] features, Py_ssize_t target=0):
        """X'X of a few columns (centred, weighted) for a target: from its working set, where that holds them all."""
        G = self.sets.solver.gram(target, features)
        return gram_of_columns(self.batch.design_of(target), features) if G is None else G

    # ---- set-up ----------------------------------------------------------------------------------------------------
    def prepare(self):
        """Column moments (under every weighting) and X'Y, with X'X in full Gram mode."""
        cdef Py_ssize_t passes = 1
        self.ticker.start()
        if self.whole is not None:
            with nogil:
                self.whole.read_gram()
        else:
            passes = self.batch.read_moments()
        self.screening.streamed += <double> self.batch.design.nnz * passes

    def prepare_known(self, const double[:, ::1] gram, const double[:, ::1] xy, const double[::1] means,
                      const double[::1] norms):
        """Full Gram mode with X'X, Y'X, means and norms at hand: X is not read."""
        cdef Py_ssize_t p = self.batch.p
        self.ticker.start()
        with nogil:
            self.whole.take_gram(&gram[0, 0])
            memcpy(&self.batch.xy[0, 0], &xy[0, 0], self.batch.n_problems * p * sizeof(double))
            memcpy(self.batch.design.mean, &means[0], p * sizeof(double))
            memcpy(self.batch.design.norm, &norms[0], p * sizeof(double))

    def set_penalty(self, penalties):
        """For each weighting, factors of alpha by column (l1, l2) and limits; arrays of length 1 stand for all columns.

        Set again, every problem starts anew from zero; what was gathered and streamed is kept."""
        self.batch.set_penalties(penalties)
        self.ticker.finished = 0
        with nogil:
            if self.begun:
                self.loop.restart()
            else:
                self.screening.begin()
                self.sets.solver.begin()
        self.begun = True

    def alpha_max(self):
        """Smallest alpha with no penalised coefficient, per target (after the unpenalised ones are fitted); 0 where no
        penalty is an l1 penalty."""
        if not self.batch.any_l1():
            return np.zeros(self.batch.n_problems)
        return self.batch.largest_alphas(self._null_correlations() if self.batch.any_free() else self.batch.xy)

    cdef double[:, ::1] _null_correlations(self):
        """X'r at the fit of the unpenalised columns alone."""
        cdef double[:, ::1] c = np.empty((self.batch.n_problems, self.batch.p))
        cdef double top = min(2 * self.batch.alpha_bound(), DBL_MAX)
        with nogil:
            self.loop.solve(top, 1000)
            self.sets.solver.correlations(self.loop.states, &c[0, 0])
        return c

    def warm(self, Py_ssize_t target, const double[::1] coef):
        """Start target from the given coefficients; a certificate is tried on them before any round."""
        with nogil:
            self.loop.start_from(target, &coef[0])

    def wake(self, awake):
        """Solve from now on the targets where awake is true; the others stay as they are."""
        cdef Py_ssize_t t
        for t in range(self.batch.n_problems):
            self.loop.states[t].asleep = not awake[t]

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
        intercepts : ndarray of shape (n_alphas, n_targets)
            With centred columns; 0 of the squared loss.
        gaps, rounds : ndarray of shape (n_alphas, n_targets)
            The first rounds include those on the way down from the largest useful alpha.
        stopped : ndarray of uint8, same shape
            0: at its certificate; 1: by max_rounds; 2: by rounding, with a gap that does not deserve the name.
        """
        cdef Py_ssize_t k, t, taken = 0, L = alphas.shape[0], T = self.batch.n_problems
        cdef double deviance = 0
        cdef Solutions solutions = Solutions(L, T)
        cdef Py_ssize_t[::1] before = np.zeros(T, dtype=np.intp)
        self.ticker.rounds, self.ticker.most = 0, max_rounds
        if L > 0 and alphas[0] > 0 and self.loop.untouched():
            self._descend(alphas[0], max_rounds, before)
        for t in range(T):
            taken = max(taken, before[t])
        with nogil:
            for k in range(L):
                self.loop.solve(alphas[k], max_rounds - (taken if k == 0 else 0))
                if self.whole is not None and from_x and k == L - 1:
                    self.loop.mend_from_x(alphas[k], max_rounds)
                for t in range(T):
                    deviance = self._deviance(t) if t == 0 or not self.batch.datafit.coupled else deviance
                    solutions.add(k, t, &self.sets.solver.smalls[t], &self.loop.states[t], deviance,
                                  self.loop.states[t].rounds + (before[t] if k == 0 else 0), self._stopped(t))
                self.ticker.count_value()
        self.errors, self.deviances = solutions.errors.base, solutions.deviances.base
        return solutions.arrays()

    cdef int _descend(self, double alpha, Py_ssize_t max_rounds, Py_ssize_t[::1] rounds) except -1:
        """Before a cold start far down the path: a few values on the way, one round each (added to `rounds`).

        Solved straight at a small alpha, the first working sets are fitted far too closely, and what their residual
        lets in is mostly wrong."""
        cdef double top = np.max(self.alpha_max()), least = max(alpha, 1e-3 * top)
        cdef double step = SPARSE_STEP if self.batch.design.sparse() else STEP
        cdef Py_ssize_t t, k = 0
        self.loop.turns = FEW_TURNS
        with nogil:
            top *= step
            while top * sqrt(step) > least and 2 * k + 4 < max_rounds:
                self.loop.solve(top, 2 if k < 2 else 1)
                for t in range(self.batch.n_problems):
                    rounds[t] += self.loop.states[t].rounds
                top *= step
                k += 1
        self.loop.turns = TURNS
        return 0

    cdef double _deviance(self, Py_ssize_t t) noexcept nogil:
        """Of problem t where it stands, summed; of all where they are one."""
        cdef const Problem *problem
        cdef Py_ssize_t k
        cdef double total = 0
        if self.loop.states[t].eta == NULL:
            return self.loop.states[t].rr
        for k in range(t, self.batch.n_problems if self.batch.datafit.coupled else t + 1):
            problem = &self.batch.problems[k]
            total += self.batch.datafit.own(self.batch.n, problem.y, problem.weight, self.loop.states[k].eta)
        return 2 * (total - self.batch.problems[t].saturated)

    cdef Stopped _stopped(self, Py_ssize_t t) noexcept nogil:
        """What ended the rounds of problem t."""
        if not self.loop.states[t].done:
            return BY_ROUNDS
        return AT_CERTIFICATE if self.loop.good(t) else BY_ROUNDING

    def certify(self, double alpha, const double[:, ::1] coefs):
        """Full Gram mode: gaps of given coefficients at alpha, computed from X, and why `solve` would stop there."""
        cdef Py_ssize_t t, T = self.batch.n_problems
        cdef double[::1] gaps = np.empty(T)
        cdef unsigned char[::1] stopped = np.zeros(T, dtype=np.uint8)
        for t in range(T):
            self.warm(t, coefs[t])
        with nogil:
            self.loop.judge_from_x(alpha)
        for t in range(T):
            gaps[t] = self.loop.states[t].gap
            if not self.loop.good(t):
                stopped[t] = BY_ROUNDING
        return gaps.base, stopped.base
