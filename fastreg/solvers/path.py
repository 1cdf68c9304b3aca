"""From one problem to a path of certified solutions. Thin: the work is in ``engine`` and the kernels."""
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from fastreg.rounding import single, toward_zero
from fastreg.solutions import Solutions, relative
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.engine import Engine
from fastreg.solvers.given import check_products, moments_of_given


class PathSolver:
    """Solutions for every target of a problem along decreasing alphas, which may come piece by piece.

    Parameters
    ----------
    problem : Problem
        NaN or infinity in its X raise a ValueError.
    spec : Spec
        Its alphas, or their number, decide between full Gram matrix and working sets.
    xy : ndarray of shape (p, n_targets) or None
        X'Y, only checked: it is computed anyway.
    """

    def __init__(self, problem, spec, xy=None):
        self.problem, self.spec = problem, spec
        self.design = problem.design()
        self.targets, self.y_means = problem.targets()
        with self.blas():
            known = problem.known
            full = known is not None or problem.full_gram(spec)
            if isinstance(spec.gram, np.ndarray):
                known, full = moments_of_given(problem, self.design, self.targets, spec), not problem.sparse
            targets = len(self.targets)
            self.engine = Engine(self.design, self.targets, full, spec.tol,
                                 problem.capacity(targets, 1 if targets == 1 else 1 + targets), spec.report,
                                 datafit=problem.datafit, nulls=problem.nulls())
            if known is not None:
                # a target that is constant but for rounding has been emptied, of which the sums do not know
                products = np.where(self.targets.any(axis=1)[:, None], known.xy, 0)
                self.engine.prepare_known(known.gram, products, known.means, known.norms)
            else:
                self.engine.prepare()
            problem.check_finite(self.design.norms)
            check_products(xy, self.engine.correlations)
            self.engine.set_penalty([problem.terms(self.design.norms)])

    def blas(self):
        """The context in which to work: one BLAS thread, unless BLAS would start no more anyway."""
        return nullcontext() if self.problem.small else single_threaded_blas

    def largest_alpha(self):
        """The smallest alpha at which every penalised coefficient of every target is zero."""
        with self.blas():
            found = self.engine.alpha_max()
        return self.problem.largest_alpha(found, self.engine.correlations, self.design.norms)

    def start(self, coefs):
        """Start from coefs of shape (n_targets, p)."""
        with self.blas():
            for t, coef in enumerate(coefs):
                self.engine.warm(t, np.ascontiguousarray(coef, dtype=np.float64))

    def advance(self, alphas, from_x=True):
        """Solutions for alphas, in their order, going on from the last.

        With `from_x` the last solutions are certified from X, whatever the others rest on.
        """
        return self._solve(alphas, self.spec.max_iter, from_x)

    def _solve(self, alphas, max_iter, from_x):
        with self.blas():
            return Solutions.by(self.engine, alphas, max_iter, self.design.means, self.y_means, from_x)

    def certify(self, solutions, at):
        """The Solutions (of one target) with number `at` certified from X."""
        if solutions.from_x[at]:
            return solutions
        with self.blas():
            gap, stopped = self.engine.certify(solutions.alphas[at], solutions.coef(at)[None])
        found = {name: getattr(solutions, name).copy() for name in ("dual_gaps", "relative_gaps", "from_x", "stopped")}
        found["dual_gaps"][at], found["relative_gaps"][at] = gap / self.problem.n, relative(gap, self.engine.units)
        found["from_x"][at], found["stopped"][at] = True, np.maximum(found["stopped"][at], stopped)
        return replace(solutions, **found)

    def rounded(self, alpha, coefs):
        """Coefficients of shape (n_targets, p) at one alpha rounded to float32, as Solutions with the gaps they have.

        The intercept that goes with the rounded coefficients is rounded in its turn: what that costs is exact, as the
        residuals sum to zero at the best one.
        """
        self.start(toward_zero(coefs))
        found = self._solve(np.array([alpha]), 0, True)
        intercepts = found.intercepts.astype(np.float32).astype(np.float64)
        return replace(found, intercepts=intercepts,
                       dual_gaps=found.dual_gaps + 0.5 * (intercepts - found.intercepts) ** 2)

    def rounded_path(self, solutions):
        """Solutions of any number of alphas without intercept, rounded to float32.

        What that adds to the objective is added to the gaps; it is known from products of the columns in use, so that
        X is not read once more for each alpha.
        """
        rounded, n_targets = replace(solutions, data=toward_zero(solutions.data).astype(np.float64)), len(self.targets)
        gaps = solutions.dual_gaps.copy()
        pen1, pen2 = (np.broadcast_to(part, self.problem.p) for part in self.problem.terms(self.design.norms)[:2])
        for k, alpha in enumerate(np.repeat(solutions.alphas, n_targets)):
            (features, w), (_, new) = solutions.nonzero(k), rounded.nonzero(k)
            if len(features) == 0:
                continue
            gram, xy, _ = self.moments_of(features)
            step = new - w
            added = (0.5 * step @ gram @ step - step @ (xy[k % n_targets] - gram @ w) + alpha * (
                pen1[features] @ (np.abs(new) - np.abs(w)) + 0.5 * pen2[features] @ (new**2 - w**2)))
            gaps.flat[k] += added / self.problem.n
        return replace(rounded, dual_gaps=np.maximum(gaps, 0))

    def moments_of(self, features):
        """(X'X, X'Y as rows, means) of a few columns, centred and weighted, the weights summing to n."""
        features = np.ascontiguousarray(features, dtype=np.intc)
        with self.blas():
            return self.engine.gram(features), self.engine.correlations[:, features], self.design.means[features]


def solve_path(problem, spec, *, warm=None, xy=None, rounded=False, make=PathSolver):
    """Solutions for decreasing alphas and every target.

    Parameters
    ----------
    problem : Problem
        In the units of the user.
    spec : Spec
    warm : ndarray of shape (n_targets, p) or None
        Where to start.
    xy : ndarray of shape (p, n_targets) or None
        X'Y, only checked.
    rounded : bool
        Whether solutions are rounded to float32 once they are found, and their gaps with them; of several alphas,
        those without intercept.
    make : callable
        (problem, spec, xy) -> solver.

    Returns
    -------
    Solutions
    """
    groups, solvers, found = problem.by_scale(), [], []
    for k, (group, scaled) in enumerate(groups):
        solver = make(scaled, spec.within(k, len(groups)), None if xy is None else scaled.scale.down(xy[:, group]))
        if warm is not None:
            solver.start(scaled.scale.down(warm[group]))
        solvers.append(solver)
    alphas = spec.grid(max(solver.largest_alpha() for solver in solvers) if spec.counted else None)
    for solver in solvers:
        scale, solutions = solver.problem.scale, solver.advance(alphas)
        found.append(solutions.scaled_up(scale))
        if rounded and single(found[-1].data, found[-1].intercepts):
            one = spec.n_alphas == 1
            at = solver.rounded(alphas[0], solutions.dense()) if one else solver.rounded_path(solutions)
            at = at.scaled_up(scale)
            found[-1] = replace(found[-1], **{name: getattr(at, name) for name in (
                "indptr", "indices", "data", "intercepts", "dual_gaps")})
    return Solutions.merged([group for group, _ in groups], found)
