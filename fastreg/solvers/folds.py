"""Paths of every fold of a cross-validation: a fold is a set of row weights, X is never copied.

Where the Gram matrix pays, X is read once: sums over disjoint parts of the rows (``kernels.folds``) give the Gram
matrix, means and X'y of every training set, and the squared errors of every test set.
"""
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastreg.design import as_design, canonical_sparse, effective_threads
from fastreg.kernels.folds import part_sums
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.linear import Moments, normalized_weight, prefers_gram, solve_path

# Parts of the rows beyond which the folds are solved one by one (random splits that overlap in every way).
MOST_PARTS = 64
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
        raise ValueError("cv must give at least one split.")
    return folds


def parts_of(folds, n):
    """Rows grouped by the sets they are in.

    Returns
    -------
    part : ndarray of int32, shape (n,)
    train, test : ndarray of shape (n_parts, n_folds)
        How often the rows of a part are in each set; None for all three beyond MOST_PARTS parts.
    """
    part = np.zeros(n, dtype=np.int64)
    for fold in folds:
        for counts in (fold.counts, np.bincount(fold.test, minlength=n)):
            code = part * (counts.max() + 1) + counts
            seen = np.bincount(code) > 0
            part = (np.cumsum(seen) - 1)[code]
            if np.count_nonzero(seen) > MOST_PARTS:
                return None, None, None
    first = np.empty(part.max() + 1, dtype=np.int64)
    first[part[::-1]] = np.arange(n)[::-1]       # a row of each part (the first)
    return (part.astype(np.int32), np.stack([f.counts[first] for f in folds], axis=1),
            np.stack([np.bincount(f.test, minlength=n)[first] for f in folds], axis=1))


class KnownFolds:
    """Moments of all training sets, and squared errors on all test sets, from one pass over dense X."""

    def __init__(self, X, y, weight, fit_intercept, part, train, test, n_threads):
        self.train, self.test, self.centred, self.n = train, test, fit_intercept, len(y)
        weight = np.ones(len(y)) if weight is None else weight
        some = np.flatnonzero(weight)[:1000]
        self.shift = np.zeros(X.shape[1])
        self.level = 0.0
        if fit_intercept:
            self.shift = np.average(X[some], axis=0, weights=weight[some]).astype(np.float64)
            self.level = float(np.average(y, weights=weight))
        design = as_design(X, weight, fit_intercept, n_threads)
        with single_threaded_blas:
            self.sums = part_sums(design, np.ascontiguousarray(y, dtype=np.float64), part, len(train), self.shift,
                                  self.level)

    def moments(self, counts):
        """Moments of a union of parts, its weights summing to the number of all rows as solve_path wants them."""
        S = np.tensordot(counts.astype(np.float64), self.sums, 1)
        p = len(self.shift)
        weight, scale = S[-1, -1], self.n / S[-1, -1]
        means = S[:p, -1] / weight if self.centred else np.zeros(p)
        gram = (S[:p, :p] - weight * np.outer(means, means)) * scale
        xy = (S[:p, p] - means * S[p, -1]) * scale
        norms = np.sqrt(np.maximum(np.diag(gram), 0))
        norms[norms <= 32 * np.finfo(float).eps * np.abs(self.shift + means) * np.sqrt(self.n)] = 0
        return Moments(np.ascontiguousarray(gram), np.ascontiguousarray(xy[None]),
                       np.ascontiguousarray((self.shift + means) * self.centred), norms)

    def mean_squared_error(self, counts, coefs, intercepts):
        """Weighted mean squared error on a union of parts for each column of coefs."""
        S = np.tensordot(counts.astype(np.float64), self.sums, 1)
        coefs = coefs.toarray()
        v = np.vstack([-coefs, np.ones(len(intercepts)), self.level - intercepts - self.shift @ coefs])
        return np.maximum(np.einsum("ia,ia->a", v, S @ v), 0) / S[-1, -1]


def predictions(X, rows, coefs, intercepts):
    """X[rows] @ coefs + intercepts from the columns in use alone; a block of rows at a time where X is dense."""
    used = np.unique(coefs.indices)
    some = coefs[used].toarray()
    if sp.issparse(X):
        return X[:, used].tocsr()[rows] @ some + intercepts
    out = np.empty((len(rows), coefs.shape[1]))
    for i in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[i:i + ROWS_AT_ONCE]
        np.matmul(X[np.ix_(block, used)], some, out=out[i:i + ROWS_AT_ONCE])
    return out + intercepts


def know_folds(X, y, folds, weight, fit_intercept, n_alphas, n_threads):
    """KnownFolds where the Gram matrix pays, else None."""
    if not prefers_gram(X, n_alphas):
        return None
    part, train, test = parts_of(folds, len(y))
    if part is None or 8 * len(train) * (X.shape[1] + 2) ** 2 > X.nbytes + 2**26:
        return None
    return KnownFolds(X, y, weight, fit_intercept, part, train, test, n_threads)


def solve_folds(X, y, folds, grids, penalties, *, weight, known, n_jobs, n_threads, report=None, **settings):
    """Paths of every fold for every penalty.

    Parameters
    ----------
    X, y
        As for solve_path; y of shape (n,).
    folds : list of Fold
    grids : list of ndarray
        Alphas for each penalty.
    penalties : list of Penalty
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    known : KnownFolds or None
    n_jobs : int
        Paths solved at the same time; the results do not depend on it.
    n_threads : int
        For all of them together.
    report : callable or None
        Called now and then with the number of finished penalty values of all paths, from any thread.
    settings
        fit_intercept, tol, max_iter, gram of solve_path.

    Returns
    -------
    list of list of Solutions, by penalty and fold
    """
    X = canonical_sparse(X) if sp.issparse(X) else X
    tasks = [(k, f) for k in range(len(penalties)) for f in range(len(folds))]
    finished, stop = [0] * len(tasks), threading.Event()
    each = max(1, n_threads // n_jobs)

    def solve(number):
        k, f = tasks[number]

        def tick(done):
            if stop.is_set():
                raise Cancelled
            finished[number] = done
            if report is not None:
                report(sum(finished))

        counts = folds[f].counts
        train = normalized_weight(counts if weight is None else counts * weight, len(y))
        return solve_path(X, y[:, None], grids[k], penalties[k], weight=train, n_threads=each, report=tick,
                          known=None if known is None else known.moments(known.train[:, f]), **settings)

    if n_jobs == 1:
        found = [solve(i) for i in range(len(tasks))]
    else:
        with ThreadPoolExecutor(n_jobs) as pool:
            futures = [pool.submit(solve, i) for i in range(len(tasks))]
            try:
                found = [future.result() for future in futures]
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return [found[k * len(folds):(k + 1) * len(folds)] for k in range(len(penalties))]


def jobs_and_threads(n_jobs, n_threads, n_tasks):
    """(paths at the same time, threads for all of them together)."""
    total = effective_threads(n_threads)
    if n_jobs is None:
        return max(1, min(total, n_tasks)), total
    wanted = n_jobs if n_jobs > 0 else max(1, total + 1 + n_jobs)
    return min(wanted, n_tasks), max(total, wanted)
