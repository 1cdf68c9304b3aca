"""Folds in lockstep: the training sets of a cross-validation as problems of one engine, which share passes over X, the
gathered columns, their Gram sums and, where X is sparse, the sweeps over them."""
import numpy as np

from fastreg.design import as_design, view_of
from fastreg.solutions import Solutions
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.engine import Engine
from fastreg.weights import Weights


class Lockstep:
    """Paths of several training sets for one penalty after the other and, if wanted, fits of all rows.

    Parameters
    ----------
    problem : Problem
        Of all rows and a single target; `start` gives it its penalty.
    spec : Spec
    part : ndarray of int32, shape (n,)
        The part of each row.
    train : ndarray of shape (n_parts, n_folds)
        How often the rows of each part are in each training set.
    test : list of ndarray of int
        The rows of each test set.
    all_rows : bool
        Whether all rows are one problem more.

    Raises
    ------
    Apart
        From `advance` and `refit`, where the columns gathered do not fit into their memory, or where the rows that a
        training set leaves out are so large that sums over all rows have no digits left for it.
    """

    def __init__(self, problem, spec, part, train, test, all_rows):
        self.problem, self.spec, self.n_sets = problem, spec, len(test)
        n_problems = len(test) + all_rows
        # all rows come last, problem or not: their weights are the block's
        shares = problem.weights.by_parts(part, np.column_stack([train, np.ones(len(train))]))
        design, designs, targets, y_means = as_design(problem.X, problem.n_threads), [], [], []
        for k in range(len(test) + 1):
            of_rows = shares.weights(k)
            target, mean = Weights(of_rows, problem.n).centred(problem.Y, problem.fit_intercept)
            targets.append(target[0])
            y_means.append(mean[0])
            designs.append(view_of(design, of_rows, problem.fit_intercept))
        self.designs, self.targets = designs[:n_problems], np.stack(targets[:n_problems])
        self.y_means = np.array(y_means[:n_problems])
        room = problem.capacity(n_problems, 2 * n_problems)         # one block, two Gram matrices of each
        start = np.append(0, np.cumsum(np.bincount(part, minlength=len(train))))
        parts = (np.argsort(part, kind="stable").astype(np.intc), start.astype(np.intp), shares.of_parts[:n_problems])
        tests = self.test_weights = None
        if problem.sparse:
            times = np.stack([np.bincount(rows, minlength=problem.n) for rows in test]).astype(np.float64)
            tests = times, targets[-1], y_means[-1] - np.array(y_means[:-1])
            self.test_weights = times @ of_rows                     # those of all rows, as they came last
        with single_threaded_blas:
            self.engine = Engine(designs[-1], self.targets, False, spec.tol, room, spec.report,
                                 self.designs, parts, tests)
            self.engine.prepare()
        problem.check_finite(designs[-1].norms)

    def start(self, penalty):
        """Start (anew) with this penalty."""
        self.problem = self.problem.with_penalty(penalty)
        with single_threaded_blas:
            self.engine.set_penalty([self.problem.terms(design.norms) for design in self.designs])

    def largest_alpha(self, penalty):
        """The smallest alpha at which every penalised coefficient of the fit of all rows is zero."""
        self.start(penalty)
        self._wake(all_rows=True)
        with single_threaded_blas:
            found = self.engine.alpha_max()[self.n_sets]
        return self.problem.largest_alpha(found, self.engine.correlations[self.n_sets], self.designs[-1].norms)

    def advance(self, alphas):
        """Solutions of every training set for alphas, going on from the last; of sparse X, with their test errors."""
        self._wake(all_rows=False)
        found = self._solve(alphas)
        found = [found.of_target(t) for t in range(self.n_sets)]
        for t, solutions in enumerate(found if self.test_weights is not None else []):
            solutions.test_errors = self.engine.errors[:, t] / self.test_weights[t]
        return found

    def refit(self, alpha, coef):
        """Solution on all rows at alpha, starting from coef."""
        self._wake(all_rows=True)
        with single_threaded_blas:
            self.engine.warm(self.n_sets, np.ascontiguousarray(coef, dtype=np.float64))
        return self._solve(np.array([alpha], dtype=np.float64)).of_target(self.n_sets)

    def _wake(self, all_rows):
        """Solve all rows from now on, or the training sets."""
        self.engine.wake([all_rows == (t == self.n_sets) for t in range(len(self.designs))])

    def _solve(self, alphas):
        means = np.stack([design.means for design in self.designs])
        with single_threaded_blas:
            return Solutions.by(self.engine, alphas, self.spec.max_iter, means, self.y_means)

    def member(self, t):
        """What there is to ask of training set t (-1: all rows) as of a PathSolver."""
        return Member(self, t % len(self.designs))


class Member:
    """One training set of a Lockstep, with the attributes and methods of PathSolver that relaxed fits need."""

    def __init__(self, lockstep, t):
        self.problem, self.engine, self.t = lockstep.problem, lockstep.engine, t
        self.targets, self.y_means = lockstep.targets[t:t + 1], lockstep.y_means[t:t + 1]
        self.design = lockstep.designs[t]

    def blas(self):
        """The context in which to work: one BLAS thread."""
        return single_threaded_blas

    def certify(self, solutions, at):
        """Solutions in lockstep are certified from X."""
        return solutions

    def moments_of(self, features):
        """(X'X, X'y as a row, means) of a few columns, centred and weighted, the weights summing to n."""
        features = np.ascontiguousarray(features, dtype=np.intc)
        with self.blas():
            gram = self.engine.gram(features, self.t)
        return gram, self.engine.correlations[self.t:self.t + 1, features], self.design.means[features]
