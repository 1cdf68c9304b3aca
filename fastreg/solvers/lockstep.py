"""Folds in lockstep: the training sets of a cross-validation as problems of one engine, which share passes over X and,
where X is sparse, the gathered columns, their Gram sums and the sweeps over them."""
import numpy as np
import scipy.sparse as sp

from fastreg.design import as_design
from fastreg.finite import check_finite
from fastreg.solutions import Solutions
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.linear import capacity, largest_alpha
from fastreg.solvers.working_set import Engine
from fastreg.weights import Weights


class Lockstep:
    """Paths of several training sets for one penalty after the other and, if wanted, fits of all rows.

    Parameters
    ----------
    X, y
        As for PathSolver; y of shape (n,).
    part : ndarray of int32, shape (n,)
        The part of each row.
    train : ndarray of shape (n_parts, n_folds)
        How often the rows of each part are in each training set.
    test : list of ndarray of int
        The rows of each test set.
    all_rows : bool
        Whether all rows are one problem more.
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

    def __init__(self, X, y, part, train, test, all_rows, *, weight, fit_intercept, tol, max_iter, n_threads,
                 report=None):
        self.n, self.p = X.shape
        self.tol, self.max_iter = tol, max_iter
        weight = np.ones(self.n) if weight is None else np.asarray(weight, dtype=np.float64)
        self.n_sets, problems = len(test), len(test) + all_rows
        train = np.column_stack([train, np.ones(len(train))])       # all rows come last: their weights are the block's
        total = np.sum(weight)
        in_part = np.bincount(part, weight, minlength=len(train))
        count = np.ascontiguousarray((train * (total / (in_part @ train))).T)
        designs, targets, means = [], [], []
        for of_part in count:
            of_rows = weight * (self.n / total) * of_part[part]
            target, mean = Weights(of_rows, self.n).centred(y[:, None], fit_intercept)
            targets.append(target[0])
            means.append(float(mean[0]))
            designs.append(as_design(X, of_rows, fit_intercept, n_threads))
        self.designs, self.targets, self.y_means = designs[:problems], np.stack(targets[:problems]), means[:problems]
        parts, tests, room = None, None, capacity(X, 1, share=problems)     # dense: a block of each
        self.test_weights = None
        if sp.issparse(X):
            room = capacity(X, problems, 2 * problems)              # one block, two Gram matrices of each
            count = np.ascontiguousarray(count[:problems])
            times = np.stack([np.bincount(rows, minlength=self.n) for rows in test]).astype(np.float64)
            tests = times, targets[-1], means[-1] - np.array(means[:-1])
            self.test_weights = times @ of_rows                     # those of all rows, as they came last
            start = np.append(0, np.cumsum(np.bincount(part, minlength=len(train))))
            parts = (np.ascontiguousarray(np.sqrt(count)[:, part]), np.argsort(part, kind="stable").astype(np.intc),
                     start.astype(np.intp), count)
        with single_threaded_blas:
            self.engine = Engine(designs[-1], self.targets, False, tol, room, report, self.designs, parts, tests)
            self.engine.prepare()
        check_finite(X, designs[-1].norms)

    def start(self, penalty):
        """Start (anew) with this penalty."""
        self.penalty = penalty
        with single_threaded_blas:
            self.engine.set_penalty([penalty.arrays(d.norms, self.n) for d in self.designs])

    def largest_alpha(self, penalty):
        """The smallest alpha at which every penalised coefficient of the fit of all rows is zero."""
        self.start(penalty)
        self._wake(all_rows=True)
        with single_threaded_blas:
            return largest_alpha(self.engine, self.n_sets, penalty, self.designs[-1].norms, self.n)

    def advance(self, alphas):
        """Solutions of every training set for alphas, going on from the last; of sparse X, with their test errors."""
        self._wake(all_rows=False)
        found = self._solve(alphas)[:self.n_sets]
        for t, solutions in enumerate(found if self.test_weights is not None else []):
            solutions.test_errors = self.engine.errors[:, t] / self.test_weights[t]
        return found

    def refit(self, alpha, coef):
        """Solution on all rows at alpha, starting from coef."""
        self._wake(all_rows=True)
        with single_threaded_blas:
            self.engine.warm(self.n_sets, np.ascontiguousarray(coef, dtype=np.float64))
        return self._solve(np.array([alpha], dtype=np.float64))[self.n_sets]

    def _wake(self, all_rows):
        """Solve all rows from now on, or the training sets."""
        self.engine.wake([all_rows == (t == self.n_sets) for t in range(len(self.designs))])

    def _solve(self, alphas):
        means = np.stack([design.means for design in self.designs])
        with single_threaded_blas:
            found = Solutions.by(self.engine, alphas, self.max_iter, self.targets, means, np.array(self.y_means))
        return [found.of_target(t) for t in range(len(self.designs))]

    def member(self, t):
        """What there is to ask of training set t (-1: all rows) as of a PathSolver."""
        return Member(self, t % len(self.designs))


class Member:
    """One training set of a Lockstep, with the attributes and methods of PathSolver that relaxed fits need."""

    def __init__(self, lockstep, t):
        self.engine, self.t, self.small, self.penalty = lockstep.engine, t, False, lockstep.penalty
        self.targets, self.y_mean = lockstep.targets[t:t + 1], np.array([lockstep.y_means[t]])
        self.design = lockstep.designs[t]

    def certify(self, solutions, at):
        """Solutions in lockstep are certified from X."""
        return solutions

    def moments_of(self, features):
        """(X'X, X'y as a row, means) of a few columns, centred and weighted, the weights summing to n."""
        features = np.ascontiguousarray(features, dtype=np.intc)
        with single_threaded_blas:
            gram = self.engine.gram(features, self.t)
        return gram, self.engine.correlations[self.t:self.t + 1, features], self.design.means[features]
