"""Folds in lockstep: the training sets of a cross-validation as problems of one engine, which share passes over X and,
where X is sparse, the gathered columns, their Gram sums and the sweeps over them."""
import numpy as np
import scipy.sparse as sp

from fastreg.design import as_design
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.linear import capacity, centre_targets, check_finite, split_solutions
from fastreg.solvers.working_set import Engine

# Training sets that share an engine. With all rows they fill the lanes of the narrower kernels; more would share more,
# but threads do better on engines of their own than within one, where they wait for each other in every round.
MOST = 3


class Lockstep:
    """Paths of several training sets for one penalty after the other, and fits of all rows.

    Parameters
    ----------
    X, y
        As for PathSolver; y of shape (n,).
    part : ndarray of int32, shape (n,)
        The part of each row.
    train : ndarray of shape (n_parts, n_folds)
        How often the rows of each part are in each training set.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    fit_intercept, tol, report
        As for PathSolver.
    max_iter : int
        Rounds for each alpha.
    n_threads : int

    Raises
    ------
    Apart
        From `advance` and `refit`, where the columns gathered do not fit into their memory, or where the rows that a
        training set leaves out are so large that sums over all rows have no digits left for it.
    """

    def __init__(self, X, y, part, train, *, weight, fit_intercept, tol, max_iter, n_threads, report=None):
        self.n, self.p = X.shape
        self.tol, self.max_iter = tol, max_iter
        weight = np.ones(self.n) if weight is None else np.asarray(weight, dtype=np.float64)
        train = np.column_stack([train, np.ones(len(train))])       # all rows come last: their weights are the block's
        total = np.sum(weight)
        in_part = np.bincount(part, weight, minlength=len(train))
        count = np.ascontiguousarray((train * (total / (in_part @ train))).T)
        self.designs, targets, self.y_means = [], [], []
        for of_part in count:
            of_rows = weight * (self.n / total) * of_part[part]
            target, mean = centre_targets(y[:, None], of_rows, fit_intercept)
            targets.append(target[0])
            self.y_means.append(float(mean[0]))
            self.designs.append(as_design(X, of_rows, fit_intercept, n_threads))
        self.targets = np.stack(targets)
        parts, room = None, capacity(X, 1, share=len(count))        # dense: a block of each
        if sp.issparse(X):
            room = capacity(X, len(count), 2 * len(count))          # one block, two Gram matrices of each
            start = np.append(0, np.cumsum(np.bincount(part, minlength=len(train))))
            parts = (np.ascontiguousarray(np.sqrt(count)[:, part]), np.argsort(part, kind="stable").astype(np.intc),
                     start.astype(np.intp), count)
        with single_threaded_blas:
            self.engine = Engine(self.designs[-1], self.targets, False, tol, room, report, self.designs, parts)
            self.engine.prepare()
        check_finite(X, self.designs[-1].norms)

    def start(self, penalty):
        """Start (anew) with this penalty."""
        self.penalty = penalty
        with single_threaded_blas:
            self.engine.set_penalty([penalty.arrays(d.norms, self.n) for d in self.designs])

    def advance(self, alphas):
        """Solutions of every training set for alphas, going on from the last."""
        self.engine.wake([True] * (len(self.designs) - 1) + [False])
        return self._solve(alphas)[:-1]

    def refit(self, alpha, coef):
        """Solution on all rows at alpha, starting from coef."""
        self.engine.wake([False] * (len(self.designs) - 1) + [True])
        with single_threaded_blas:
            self.engine.warm(len(self.designs) - 1, np.ascontiguousarray(coef, dtype=np.float64))
        return self._solve(np.array([alpha], dtype=np.float64))[-1]

    def _solve(self, alphas):
        with single_threaded_blas:
            found = self.engine.solve(alphas, self.max_iter)
        aims = self.tol * np.einsum("ti,ti->t", self.targets, self.targets) / self.n
        return split_solutions(alphas, self.p, self.n, found, [d.means for d in self.designs], self.y_means, aims,
                               self.engine)

    def member(self, t):
        """What there is to ask of training set t (-1: all rows) as of a PathSolver."""
        return Member(self, t % len(self.designs))


class Member:
    """One training set of a Lockstep, with the attributes and methods of PathSolver that relaxed fits need."""

    def __init__(self, lockstep, t):
        self.engine, self.t, self.small, self.penalty = lockstep.engine, t, False, lockstep.penalty
        self.targets, self.y_mean = lockstep.targets[t:t + 1], np.array([lockstep.y_means[t]])
        self.design = lockstep.designs[t]

    def moments_of(self, features):
        """(X'X, X'y as a row, means) of a few columns, centred and weighted, the weights summing to n."""
        features = np.ascontiguousarray(features, dtype=np.intc)
        with single_threaded_blas:
            gram = self.engine.gram(features, self.t)
        return gram, self.engine.correlations[self.t:self.t + 1, features], self.design.means[features]
