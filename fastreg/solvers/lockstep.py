"""Folds in lockstep: the training sets of a cross-validation as problems of one engine, which share the working set,
its Gram sums, the sweeps over it and the passes over X."""
import numpy as np
import scipy.sparse as sp

from fastreg.design import as_design, effective_threads
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.linear import capacity, centre_targets, check_finite, split_solutions
from fastreg.solvers.working_set import Engine

# Training sets that share an engine, besides the fit of all rows: as many as the kernels take at once.
MOST = 7


class Lockstep:
    """Paths of several training sets, and of all rows, for one penalty after the other.

    Parameters
    ----------
    X, y
        As for PathSolver; y of shape (n,).
    train : ndarray of shape (n_parts, n_folds)
        How often the rows of each part are in each training set.
    part : ndarray of int32, shape (n,)
        The part of each row.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    fit_intercept, tol, n_threads, report
        As for PathSolver.

    Raises
    ------
    Outgrown
        From `advance`, where the working set that the folds share does not fit into its memory.
    """

    def __init__(self, X, y, train, part, *, weight, fit_intercept, tol, n_threads, report=None):
        self.n, self.p = X.shape
        self.tol = tol
        weight = np.ones(self.n) if weight is None else np.asarray(weight, dtype=np.float64)
        # all rows come last: their weights are the block's own
        train = np.column_stack([train, np.ones(len(train))])
        rows = train[part]                                                     # (n, n_problems)
        usual = np.sum(weight)
        count = train * (usual / (weight @ rows))
        share = np.sqrt(count)[part]
        base = weight * (self.n / usual)
        self.designs, targets, self.y_means = [], [], []
        for f in range(train.shape[1]):
            of_rows = base * share[:, f] ** 2
            target, mean = centre_targets(y[:, None], of_rows, fit_intercept)
            targets.append(target[0])
            self.y_means.append(float(mean[0]))
            self.designs.append(as_design(X, of_rows, fit_intercept, effective_threads(n_threads)))
        self.targets = np.stack(targets)
        parts, room = None, capacity(X, 1, share=len(targets))         # dense: a block of each
        if sp.issparse(X):
            order = np.argsort(part, kind="stable").astype(np.intc)
            starts = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=len(train)))]).astype(np.intp)
            room = capacity(X, len(targets), 2 * len(targets))          # one block, two Gram matrices of each
            parts = np.ascontiguousarray(share.T), order, starts, np.ascontiguousarray(count.T)
        with single_threaded_blas:
            self.engine = Engine(self.designs[-1], self.targets, False, tol, room, report, self.designs,
                                 parts)
            self.engine.prepare()
        check_finite(X, self.designs[-1].norms)
        self._wake(False)

    def set_penalty(self, penalty):
        """Start (anew) with this penalty."""
        with single_threaded_blas:
            self.engine.set_penalty([penalty.arrays(d.norms, self.n) for d in self.designs])

    def _wake(self, last):
        self.engine.wake([not last] * (len(self.designs) - 1) + [last])

    def advance(self, alphas, max_iter=1000):
        """Solutions of every training set for alphas, going on from the last."""
        return self._solve(alphas, max_iter)[:-1]

    def refit(self, alpha, coef, max_iter=1000):
        """Solution on all rows at alpha, starting from coef."""
        self._wake(True)
        with single_threaded_blas:
            self.engine.warm(len(self.designs) - 1, np.ascontiguousarray(coef, dtype=np.float64))
        solution = self._solve(np.array([alpha], dtype=np.float64), max_iter)[-1]
        self._wake(False)
        return solution

    def _solve(self, alphas, max_iter):
        with single_threaded_blas:
            found = self.engine.solve(alphas, max_iter)
        aims = self.tol * np.einsum("ti,ti->t", self.targets, self.targets) / self.n
        return split_solutions(alphas, self.p, self.n, found, [d.means for d in self.designs], self.y_means, aims,
                               self.engine)
