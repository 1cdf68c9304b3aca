"""Paths of every fold of a cross-validation: a fold is a set of row weights, X is never copied.

Where the Gram matrix pays, X is read once: sums over disjoint parts of the rows (``kernels.folds``) give the Gram
matrix, means and X'y of every training set, and the squared errors of every test set. Elsewhere the folds are solved
in lockstep, or one by one where they have too little in common.
"""
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp

from fastreg import costs
from fastreg.design import as_design, effective_threads, in_row_order
from fastreg.kernels.folds import part_sums
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.linear import Moments, PathSolver, prefers_gram
from fastreg.solvers.lockstep import Lockstep
from fastreg.solvers.working_set import Apart
from fastreg.weights import Weights

ROWS_AT_ONCE = 4096


class Cancelled(Exception):
    """Raised within a worker when the others have failed or the user has interrupted."""


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
        weight = np.ones(len(Y)) if weight is None else weight
        some = np.flatnonzero(weight)[:1000]
        self.shift = np.zeros(X.shape[1])
        self.levels = np.zeros(Y.shape[1])
        if fit_intercept:
            if not sp.issparse(X):
                self.shift = np.average(X[some], axis=0, weights=weight[some]).astype(np.float64)
            self.levels = np.average(Y, axis=0, weights=weight)
        design = as_design(in_row_order(X), weight, fit_intercept, n_threads)
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

    def moments(self, counts):
        """Moments of a union of parts, its weights summing to the number of all rows as PathSolver wants them."""
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


def predictions(X, rows, coefs, intercepts):
    """X[rows] @ coefs + intercepts from the columns in use alone; a block of rows at a time where X is dense."""
    used = np.unique(coefs.indices)
    some = coefs[used].toarray()
    if sp.issparse(X):
        return (X[rows][:, used] if X.format == "csr" else _rows_of_columns(X[:, used], rows)) @ some + intercepts
    out = np.empty((len(rows), coefs.shape[1]))
    for i in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[i:i + ROWS_AT_ONCE]
        np.matmul(X[np.ix_(block, used)], some, out=out[i:i + ROWS_AT_ONCE])
    return out + intercepts


def _rows_of_columns(X, rows):
    """X[rows] of a CSC array, without the detour over CSR."""
    unique, back = np.unique(rows, return_inverse=True)
    if len(unique) < len(rows):
        return _rows_of_columns(X, unique).tocsr()[back]
    at = np.full(X.shape[0], -1, dtype=X.indices.dtype)
    at[rows] = np.arange(len(rows))
    at = at[X.indices]
    seen = at >= 0
    indptr = np.append(0, np.cumsum(seen))[X.indptr].astype(X.indptr.dtype)
    return sp.csc_array((X.data[seen], at[seen], indptr), shape=(len(rows), X.shape[1]))


def mean_products(X, y, rows, weight, coefs, intercepts, n_sets):
    """Weighted mean products of the errors of several sets of coefficients on rows of X.

    Parameters
    ----------
    X : ndarray or scipy sparse, shape (n, p)
    y : ndarray of shape (n,)
    rows : ndarray of int
    weight : ndarray of shape (n_rows,) or None
    coefs : sparse array of shape (p, n_sets * n_alphas)
    intercepts : ndarray of shape (n_sets * n_alphas,)
    n_sets : int

    Returns
    -------
    ndarray of shape (n_sets, n_sets, n_alphas)
        Its diagonal in the first two axes is the mean squared error of each set.
    """
    error = predictions(X, rows, coefs, intercepts) - y[rows, None]
    return _products(error if weight is None else error * weight[:, None], error, n_sets) / (
        len(rows) if weight is None else weight.sum())


def _products(u, v, n_sets):
    u, v = (a.reshape(len(a), n_sets, -1) for a in (u, v))
    return np.einsum("isa,ita->sta", u, v)


def know_folds(X, Y, folds, weight, fit_intercept, n_alphas, n_threads):
    """KnownFolds where the Gram matrix pays, else None."""
    if not prefers_gram(X, n_alphas):
        return None
    part, counts = parts_of([counts for f in folds for counts in (f.counts, np.bincount(f.test, minlength=len(Y)))],
                            len(Y))
    if part is None or 8 * len(counts) * (X.shape[1] + Y.shape[1] + 1) ** 2 > X.nbytes + 2**26:
        return None
    return KnownFolds(X, Y, weight, fit_intercept, part, counts[:, ::2], counts[:, 1::2], n_threads)


def in_threads(n_jobs, work, count, stop):
    """[work(0), ..., work(count - 1)], n_jobs at a time; `stop` is set when one fails or the user interrupts."""
    if n_jobs == 1:
        return [work(k) for k in range(count)]
    with ThreadPoolExecutor(n_jobs) as pool:
        futures = [pool.submit(work, k) for k in range(count)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class FoldPaths:
    """Paths of all folds for one penalty after the other, each by a PathSolver of its own.

    Parameters
    ----------
    X, y
        As for PathSolver; y of shape (n,).
    folds : list of Fold
    n_alphas : int
        About how many will come.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    known : KnownFolds or None
    n_jobs : int
        Paths solved at the same time; the results do not depend on it.
    n_threads : int
        For all of them together.
    then : callable or None
        (solver, Solutions) -> what `advance` is to return for a fold, called while its solver is alive.
    max_iter : int
        Rounds for each alpha.
    settings
        fit_intercept, tol, gram of PathSolver.
    """

    def __init__(self, X, y, folds, n_alphas, *, weight, known, n_jobs, n_threads, then=None, max_iter=1000,
                 **settings):
        self.X, self.y, self.folds, self.n_alphas = X, y, folds, n_alphas
        self.weight, self.known, self.then = weight, known, then
        self.n_jobs, self.max_iter = n_jobs, max_iter
        self.settings = {"n_threads": max(1, n_threads // n_jobs), **settings}
        self.stop = threading.Event()

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
        self.penalty, self.report = penalty, report
        self.solvers = [None] * len(self.folds)
        self.before, self.finished = 0, [0] * len(self.folds)

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
        found = in_threads(self.n_jobs, partial(self._advance, alphas=alphas, last=last), len(self.folds), self.stop)
        self.before += len(alphas)
        return found

    def _advance(self, f, alphas, last):
        solver = self.solvers[f] or self._solver(f)
        self.solvers[f] = None if last else solver
        solutions = solver.advance(alphas, self.max_iter, from_x=False)
        self.finished[f] = self.before + len(alphas)
        return solutions if self.then is None else self.then(solver, solutions)

    def _solver(self, f):
        def tick(done):
            if self.stop.is_set():
                raise Cancelled
            self.finished[f] = self.before + done
            if self.report is not None:
                self.report(sum(self.finished))

        counts = self.folds[f].counts
        train = Weights(self.weight, len(self.y)).times(counts)
        return PathSolver(self.X, self.y[:, None], self.penalty, self.n_alphas, weights=train, report=tick,
                          known=None if self.known is None else self.known.moments(self.known.train[:, f]),
                          **self.settings)

    def largest_alpha(self, penalty):
        """None: nothing is known of all rows; see LockstepPaths."""

    def refit(self, at, alpha):
        """None, likewise."""


class LockstepPaths:
    """The same, the folds solved in lockstep, a few in each group; parameters as for FoldPaths."""

    def __init__(self, X, y, folds, n_alphas, *, n_jobs, n_threads, then=None, **settings):
        self.X, self.y, self.n_alphas, self.then = X, y, n_alphas, then
        groups = np.array_split(np.arange(len(folds)), -(-len(folds) // costs.MOST_SHARED))
        self.groups = [[folds[f] for f in group] for group in groups]
        self.n_jobs = min(n_jobs, len(groups))
        self.settings = {"n_threads": max(1, n_threads // self.n_jobs), **settings}
        self.solvers = [None] * len(groups)
        self.apart = [None] * len(groups)      # FoldPaths of the groups that cannot be solved in lockstep
        self.penalties, self.solved = [], []
        self.stop = threading.Event()
        self.report, self.before, self.finished = None, 0, [0] * len(groups)

    def largest_alpha(self, penalty):
        """The smallest alpha at which all rows leave no penalised coefficient, or None where that is not known here."""
        try:
            solver = self.solvers[-1] = self._lockstep(len(self.groups) - 1)
            return None if solver is None else solver.largest_alpha(penalty)
        except Apart:
            self.solvers[-1] = None
            return None

    def start(self, penalty, report=None, more=False):
        """Start (anew) with this penalty; see FoldPaths."""
        self.penalties.append(penalty)
        self.solved.append([])
        self.report, self.more = report, more
        self.before, self.finished = 0, [0] * len(self.groups)
        for started in self.solvers + self.apart:
            if started is not None:
                started.start(penalty)

    def advance(self, alphas, last=True):
        """Go on to the alphas given, in their order; see FoldPaths."""
        found = in_threads(self.n_jobs, partial(self._advance, alphas=alphas, last=last), len(self.groups), self.stop)
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
        self.finished[g] = self.before + len(alphas)
        return fits, found

    def _lockstep(self, g):
        """Lockstep of a group, the last with all rows; None where its sets split the rows into too many parts."""
        part, counts = parts_of([fold.counts for fold in self.groups[g]], len(self.y))
        if part is None:
            return None
        return Lockstep(self.X, self.y, part, counts, [fold.test for fold in self.groups[g]],
                        g == len(self.groups) - 1, report=partial(self._tick, g), **self.settings)

    def _tick(self, g, done):
        if self.stop.is_set():
            raise Cancelled
        self.finished[g] = self.before + done
        if self.report is not None:
            self.report(sum(len(group) * k for group, k in zip(self.groups, self.finished)))

    def _one_by_one(self, g):
        paths = FoldPaths(self.X, self.y, self.groups[g], self.n_alphas, known=None, n_jobs=1, then=self.then,
                          **self.settings)
        paths.start(self.penalties[-1])
        return paths

    def refit(self, at, alpha):
        """(solver, Solutions) of all rows for the penalty started as number `at`, from what the folds agree on.

        None where they were not solved in lockstep."""
        solver, self.report = self.solvers[-1], None
        if solver is None:
            return None
        votes, total = np.zeros(self.X.shape[1]), np.zeros(self.X.shape[1])
        here = [s.nonzero(np.flatnonzero(s.alphas == alpha)[0])
                for piece in self.solved[at] for s in piece if alpha in s.alphas]
        for features, values in here:
            votes[features] += 1
            total[features] += values
        agreed = np.where(votes > len(here) / 2, total / len(here), 0)
        try:
            if self.penalties[at] is not solver.penalty:
                solver.start(self.penalties[at])
            return solver.member(-1), solver.refit(alpha, agreed)
        except Apart:
            return None


def fold_paths(X, y, folds, n_alphas, *, known, gram, **options):
    """The object that advances the paths of all folds; arguments as for FoldPaths, gram as for PathSolver.

    Which one does not depend on the number of threads, so that the results do not."""
    full = not sp.issparse(X) and (prefers_gram(X, n_alphas) if gram is None else gram)
    if known is not None or full or len(folds) == 1 or X.size < costs.LEAST_SHARED:
        return FoldPaths(X, y, folds, n_alphas, known=known, gram=gram, **options)
    return LockstepPaths(X, y, folds, n_alphas, **options)


def jobs_and_threads(n_jobs, n_threads, n_tasks):
    """(paths at the same time, threads for all of them together)."""
    total = effective_threads(n_threads)
    if n_jobs is None:
        return max(1, min(total, n_tasks)), total
    wanted = n_jobs if n_jobs > 0 else max(1, total + 1 + n_jobs)
    return min(wanted, n_tasks), max(total, wanted)
