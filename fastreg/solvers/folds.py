"""Paths of every fold of a cross-validation: a fold is a set of row weights, X is never copied.

Where the Gram matrix pays, X is read once: sums over disjoint parts of the rows (``kernels.folds``) give the Gram
matrix, means and X'y of every training set, and the squared errors of every test set. Elsewhere the folds are solved
in lockstep, or one by one where they have too little in common.
"""
import threading
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from fastreg import costs
from fastreg.design import as_design, in_row_order, view_of
from fastreg.kernels.folds import part_sums
from fastreg.problem import Moments, Spec
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.gathered import Apart
from fastreg.solvers.interruptible import in_threads
from fastreg.solvers.lockstep import Lockstep
from fastreg.solvers.suited import suited
from fastreg.threads import effective_threads
from fastreg.weights import Weights


@dataclass
class Fold:
    """One split: how often each row is in the training set, and the rows of the test set."""

    counts: np.ndarray  # (n,)
    test: np.ndarray


def as_folds(splits, n):
    """Check splits (pairs of row indices or masks) and turn them into folds."""
    folds = []
    for k, (train, test) in enumerate(splits):
        rows = []
        for name, index in (("training", train), ("test", test)):
            index = np.asarray(index)
            index = np.flatnonzero(index) if index.dtype == bool else index
            if index.ndim != 1 or index.size == 0:
                raise ValueError(f"cv: the {name} set of split {k} is empty.")
            if index.min() < -n or index.max() >= n:
                raise ValueError(f"cv: the {name} set of split {k} has rows beyond the {n} samples.")
            rows.append(index % n)
        folds.append(Fold(np.bincount(rows[0], minlength=n), rows[1]))
    if not folds:
        raise ValueError("cv gives no split and must give at least one: a generator is exhausted after one fit, a list "
                         "of splits is not.")
    return folds


def parts_of(sets, n):
    """Rows grouped by how often they are in each set.

    Parameters
    ----------
    sets : list of ndarray of int, shape (n,)
        How often each row is in it.
    n : int

    Returns
    -------
    part : ndarray of int32, shape (n,)
    counts : ndarray of shape (n_parts, n_sets)
        How often the rows of a part are in each set; None for both where there are too many parts.
    """
    part = np.zeros(n, dtype=np.int64)
    for counts in sets:
        code = part * (counts.max() + 1) + counts
        seen = np.bincount(code) > 0
        part = (np.cumsum(seen) - 1)[code]
        if np.count_nonzero(seen) > costs.MOST_PARTS:
            return None, None
    first = np.empty(part.max() + 1, dtype=np.int64)
    first[part[::-1]] = np.arange(n)[::-1]       # a row of each part (the first)
    return part.astype(np.int32), np.stack([counts[first] for counts in sets], axis=1)


class KnownFolds:
    """Moments of all training sets, and squared errors on all test sets, from one pass over X.

    `sums` belongs to all columns of Y; `target` gives what one of them needs, with the methods below.
    """

    def __init__(self, X, Y, weight, fit_intercept, part, train, test, n_threads):
        self.train, self.test, self.centred, self.n = train, test, fit_intercept, len(Y)
        weight = Weights(weight, len(Y)).each
        some = np.flatnonzero(weight)[:1000]
        self.shift = np.zeros(X.shape[1])
        self.levels = np.average(Y, axis=0, weights=weight) if fit_intercept else np.zeros(Y.shape[1])
        if sp.issparse(X):
            X = in_row_order(X)
        elif fit_intercept:
            self.shift = np.average(X[some], axis=0, weights=weight[some]).astype(np.float64)
        design = view_of(as_design(X, n_threads), weight, fit_intercept)
        with single_threaded_blas:
            self.sums = part_sums(design, np.ascontiguousarray((Y - self.levels).T), part, len(train), self.shift)

    def target(self, t):
        """The same of column t of Y alone."""
        if len(self.levels) == 1:
            return self
        p = len(self.shift)
        keep = np.r_[:p, p + t, self.sums.shape[1] - 1]
        one = copy(self)
        one.levels, one.sums = self.levels[t:t + 1], self.sums[:, keep[:, None], keep]
        return one

    def moments(self, counts=None):
        """Moments of a union of parts, or of all rows, the weights summing to the number of all rows in either case."""
        counts = np.ones(len(self.train)) if counts is None else counts
        S = np.tensordot(counts.astype(np.float64), self.sums, 1)
        p = len(self.shift)
        weight, scale = S[-1, -1], self.n / S[-1, -1]
        means = S[:p, -1] / weight if self.centred else np.zeros(p)
        raw = np.diag(S)[:p]
        gram = (S[:p, :p] - weight * np.outer(means, means)) * scale
        xy = (S[p:-1, :p] - S[p:-1, -1:] * means) * scale
        norms = np.sqrt(np.maximum(np.diag(gram), 0))
        # constant: nothing is left but the rounding of the values or of the sums
        norms[norms <= 32 * np.finfo(float).eps * np.abs(self.shift + means) * np.sqrt(self.n)] = 0
        norms[raw - weight * means**2 <= 64 * np.finfo(float).eps * raw] = 0
        return Moments(np.ascontiguousarray(gram), np.ascontiguousarray(xy),
                       np.ascontiguousarray((self.shift + means) * self.centred), norms)

    def weight_and_levels(self, counts):
        """Sum of the weights of a union of parts, and the means of its targets (0 without intercept)."""
        last = counts.astype(np.float64) @ self.sums[:, -1]
        return last[-1], self.levels + last[len(self.shift):-1] / last[-1] * self.centred

    def mean_products(self, counts, coefs, intercepts, n_sets):
        """Weighted mean products of errors on a union of parts, as the function `mean_products` gives them."""
        S = np.tensordot(counts.astype(np.float64), self.sums, 1)
        coefs = coefs.toarray() if sp.issparse(coefs) else coefs
        v = np.vstack([-coefs, np.ones(len(intercepts)), self.levels - intercepts - self.shift @ coefs])
        return _products(v, S @ v, n_sets) / S[-1, -1]


def mean_products(error, weight, n_sets):
    """Weighted mean products of the errors of several sets of coefficients on some rows.

    Parameters
    ----------
    error : ndarray of shape (n_rows, n_sets * n_alphas)
    weight : ndarray of shape (n_rows,) or None
    n_sets : int

    Returns
    -------
    ndarray of shape (n_sets, n_sets, n_alphas)
        Its diagonal in the first two axes is the mean squared error of each set.
    """
    return _products(error if weight is None else error * weight[:, None], error, n_sets) / (
        len(error) if weight is None else weight.sum())


def _products(u, v, n_sets):
    u, v = (a.reshape(len(a), n_sets, -1) for a in (u, v))
    return np.einsum("isa,ita->sta", u, v)


def know_folds(problem, folds):
    """KnownFolds, unless the sets split the rows into too many parts, or their sums take more memory than X."""
    part, counts = parts_of([counts for f in folds for counts in (f.counts, np.bincount(f.test, minlength=problem.n))],
                            problem.n)
    if part is None or 8 * len(counts) * (problem.p + problem.n_targets + 1) ** 2 > problem.X.nbytes + 2**26:
        return None
    return KnownFolds(problem.X, problem.Y, problem.weights.raw, problem.fit_intercept, part, counts[:, ::2],
                      counts[:, 1::2], effective_threads(problem.n_threads))


class FoldPaths:
    """Paths of all folds for one penalty after the other, each by a PathSolver of its own, and fits of all rows.

    Parameters
    ----------
    problem : Problem
        Of all rows and a single target; `start` gives it its penalty, and its threads are for all paths together.
    spec : Spec
        Its report is not called: see `start`.
    folds : list of Fold
    n_jobs : int
        Paths solved at the same time; the results do not depend on it.
    then : callable or None
        (solver, Solutions) -> what `advance` is to return for a fold, called while its solver is alive.
    known : KnownFolds or None
        Of the target.
    by_total : bool
        A fold's alphas are larger as its weights sum to less: those given are of all rows.
    """

    def __init__(self, problem, spec, folds, *, n_jobs=1, then=None, known=None, by_total=False):
        self.problem, self.spec, self.folds, self.by_total = problem, spec, folds, by_total
        self.n_jobs, self.then, self.known = n_jobs, then, known
        self.n_threads = max(1, problem.n_threads // n_jobs)
        self.sizes = [1] * len(folds)          # of what is solved together
        self.penalties, self.lead, self.report = [], None, None
        self.one_by_one = threading.Lock()

    def start(self, penalty, report=None, more=False):
        """Start (anew) with this penalty.

        Parameters
        ----------
        penalty : Penalty
        report : callable or None
            Called now and then with the number of finished penalty values of all folds, from any thread.
        more : bool, default=False
            Whether other penalties will follow (nothing of one is of use to the next here).
        """
        self.penalties.append(penalty)
        self.report, self.solvers = report, [None] * len(self.folds)
        problem, self.lead = self.problem.with_penalty(penalty), None
        if problem.by_ridge(self.spec):
            self.lead = suited(problem.route(self.spec))(problem, self._told(len(self.folds)))
        self.finished = [0] * len(self.sizes)

    def advance(self, alphas, last=True):
        """Go on to the alphas given, in their order.

        Parameters
        ----------
        alphas : ndarray
        last : bool, default=True
            Whether no more will come: then a solver is dropped as soon as its fold is done.

        Returns
        -------
        list of Solutions (or of what `then` makes of them), one for each fold
        """
        return in_threads(self.n_jobs, partial(self._advance, alphas=alphas, last=last), len(self.folds))

    def _advance(self, f, alphas, last):
        solver = self.solvers[f] or self._solver(self.penalties[-1], self._told(f), f)
        self.solvers[f] = None if last else solver
        if self.by_total:
            alphas = alphas * (self.problem.weights.total / solver.problem.weights.total)
        solutions = solver.advance(alphas, from_x=False)
        return solutions if self.then is None else self.then(solver, solutions)

    def _told(self, k):
        """The Spec of number k of what is solved at the same time."""
        return replace(self.spec, report=None if self.report is None else partial(self._tick, k))

    def _tick(self, k, done):
        if self.report is not None:
            with self.one_by_one:
                self.finished[k] = done
                self.report(sum(size * of_each for size, of_each in zip(self.sizes, self.finished)))

    def _solver(self, penalty, spec, f=None):
        """PathSolver of fold f, or of all rows."""
        problem = self.problem
        if f is not None:
            moments = None if self.known is None else self.known.moments(self.known.train[:, f])
            problem = problem.fold(self.folds[f].counts, moments, self.n_threads)
        problem = problem.with_penalty(penalty)
        shared = {"lead": self.lead} if self.lead and problem.by_ridge(spec) else {}
        return suited(problem.route(spec))(problem, spec, **shared)

    def largest_alpha(self, penalty):
        """The smallest alpha at which all rows leave no penalised coefficient."""
        return self._solver(penalty, Spec(1, gram=False)).largest_alpha()

    def path(self, at, alphas, report=None):
        """(solver, Solutions) of all rows at alphas for the penalty started as number `at`."""
        solver = self._solver(self.penalties[at], replace(self.spec, alphas=alphas, report=report))
        return solver, solver.advance(alphas)

    def refit(self, at, alpha):
        """(solver, Solutions) of all rows at alpha for the penalty started as number `at`."""
        return self.path(at, np.array([alpha]))


class LockstepPaths(FoldPaths):
    """Paths of all folds for one penalty after the other, solved in lockstep, a few in each group.

    Parameters
    ----------
    problem : Problem
        Of all rows and a single target; `start` gives it its penalty, and its threads are for all paths together.
    spec : Spec
        Its report is not called: see `start`.
    folds : list of Fold
    n_jobs : int
        Groups solved at the same time; the results do not depend on it.
    then : callable or None
        (solver, Solutions) -> what `advance` is to return for a fold, called while its solver is alive.
    """

    def __init__(self, problem, spec, folds, *, n_jobs=1, then=None):
        groups = np.array_split(np.arange(len(folds)), -(-len(folds) // costs.MOST_SHARED))
        super().__init__(problem, spec, folds, n_jobs=min(n_jobs, len(groups)), then=then)
        self.groups = [[folds[f] for f in group] for group in groups]
        self.sizes = [len(group) for group in groups]
        self.solvers = [None] * len(groups)
        self.apart = [None] * len(groups)      # FoldPaths of the groups that cannot be solved in lockstep
        self.solved = []
        self.before, self.finished = 0, [0] * len(groups)

    def largest_alpha(self, penalty):
        """The smallest alpha at which all rows leave no penalised coefficient."""
        try:
            solver = self.solvers[-1] = self._lockstep(len(self.groups) - 1)
            return super().largest_alpha(penalty) if solver is None else solver.largest_alpha(penalty)
        except Apart:
            self.solvers[-1] = None
            return super().largest_alpha(penalty)

    def start(self, penalty, report=None, more=False):
        """Start (anew) with this penalty.

        Parameters
        ----------
        penalty : Penalty
        report : callable or None
            Called now and then with the number of finished penalty values of all folds, from any thread.
        more : bool, default=False
            Whether other penalties will follow: what the groups have gathered is kept for them.
        """
        self.penalties.append(penalty)
        self.solved.append([])
        self.report, self.more = report, more
        self.before, self.finished = 0, [0] * len(self.groups)
        for g, (solver, apart) in enumerate(zip(self.solvers, self.apart)):
            if solver is not None:
                solver.start(penalty)
            if apart is not None:
                apart.start(penalty, self._report_apart(g))

    def advance(self, alphas, last=True):
        """Go on to the alphas given, in their order.

        Parameters
        ----------
        alphas : ndarray
        last : bool, default=True
            Whether no more will come: then a solver is dropped as soon as its group is done.

        Returns
        -------
        list of Solutions (or of what `then` makes of them), one for each fold
        """
        found = in_threads(self.n_jobs, partial(self._advance, alphas=alphas, last=last), len(self.groups))
        self.solved[-1].append([s for fits, _ in found for s in fits])
        self.before += len(alphas)
        return [fold for _, of_group in found for fold in of_group]

    def _advance(self, g, alphas, last):
        """(Solutions of a group, unless it was solved one by one; what `then` makes of them)"""
        fits, found = [], []
        if self.apart[g] is None:
            try:
                solver = self.solvers[g]
                if solver is None:
                    solver = self.solvers[g] = self._lockstep(g)
                    if solver is None:
                        raise Apart
                    solver.start(self.penalties[-1])
                fits = solver.advance(alphas)
                found = [s if self.then is None else self.then(solver.member(t), s) for t, s in enumerate(fits)]
            except Apart:
                self.solvers[g] = solver = None
                self.apart[g] = self._one_by_one(g)
            if last and g < len(self.groups) - 1 and not (self.more and len(self.groups) == 2):
                self.solvers[g] = solver = None        # of many groups, only those at work take up memory
        if self.apart[g] is not None:
            fits, found = [], self.apart[g].advance(alphas, last)
        return fits, found

    def _lockstep(self, g):
        """Lockstep of a group, the last with all rows; None where its sets split the rows into too many parts."""
        part, counts = parts_of([fold.counts for fold in self.groups[g]], self.problem.n)
        if part is None:
            return None
        # one for all penalties, and for all who will be told
        spec = replace(self.spec, report=partial(self._tick, g))
        return Lockstep(replace(self.problem, n_threads=self.n_threads), spec, part, counts,
                        [fold.test for fold in self.groups[g]], g == len(self.groups) - 1)

    def _one_by_one(self, g):
        paths = FoldPaths(replace(self.problem, n_threads=self.n_threads), self.spec, self.groups[g], then=self.then)
        paths.start(self.penalties[-1], self._report_apart(g))
        return paths

    def _report_apart(self, g):
        """What the folds of a group that are solved one by one from now on report to; None where nobody listens."""
        before, size = self.before, self.sizes[g]
        return None if self.report is None else lambda done: self._tick(g, before + done / size)

    def refit(self, at, alpha):
        """(solver, Solutions) of all rows at alpha for the penalty started as number `at`.

        Started from what the folds agree on, if they were solved in lockstep."""
        solver, self.report = self.solvers[-1], None
        if solver is None:
            return super().refit(at, alpha)
        try:
            if self.penalties[at] is not solver.problem.penalty:
                solver.start(self.penalties[at])
            return solver.member(-1), solver.refit(alpha, self._agreed(at, alpha))
        except Apart:
            return super().refit(at, alpha)

    def _agreed(self, at, alpha):
        """Mean coefficients, over the folds, of the features that most of them use."""
        votes, total = np.zeros(self.problem.p), np.zeros(self.problem.p)
        here = [s.nonzero(np.flatnonzero(s.alphas == alpha)[0])
                for piece in self.solved[at] for s in piece if alpha in s.alphas]
        for features, values in here:
            votes[features] += 1
            total[features] += values
        return np.where(votes > len(here) / 2, total / len(here), 0)


def jobs_and_threads(n_jobs, n_threads, n_tasks):
    """(paths at the same time, threads for all of them together)."""
    total = effective_threads(n_threads)
    if n_jobs is None:
        return max(1, min(total, n_tasks)), total
    wanted = n_jobs if n_jobs > 0 else max(1, total + 1 + n_jobs)
    return min(wanted, n_tasks), max(total, wanted)
