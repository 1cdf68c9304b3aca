"""Losses with an L2 penalty alone: Newton's method, each step a ridge regression under the curvatures of the rows.

    minimise  sum_i s_i f(y_i, eta_i) + 1/2 sum_j l2_j w_j^2,   eta = Xw + b + offset

At eta, with v = -s f' and d = s f'', the step goes to the minimum of

    sum_i d_i (z_i - x_i w - b)^2 + sum_j l2_j w_j^2

for the working response z = eta - offset + v / d: whichever ridge solver suits X finds it, as exactly as the distance
from the solution asks for. The way there is searched as far as the objective falls. With g = X'v and an intercept at
its best, the gap is at most ``1/2 sum_j (g_j - l2_j w_j)^2 / l2_j``.

Of dense X with more columns than rows the kernel ``K = X F^-1 X'`` is made once, l2 being alpha F: with
``w = F^-1 X' a``, steps and gaps are about a alone (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
algorithm 3.1).
"""
import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fastreg.design import as_design, view_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.penalties.elastic_net import Penalty
from fastreg.solutions import Solutions
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.ridge.choose import small_system, solve
from fastreg.solvers.ridge.krylov import System, stop
from fastreg.solvers.ridge.problem import RidgeProblem
from fastreg.threads import effective_threads

# Rows whose kernel is made.
MOST_ROWS = 4000
# Columns of X that go into it at a time.
PANEL = 2048
# Of the mean curvature, what every row is given at least in a step: never in gradient or gap.
FLOOR = 1e-10
# Of the slope that a step begins with, what may be left of it, with the other sign.
ACCEPTED = 0.5
TRIALS = 40
# Errors of coefficients, relative to their norm, that the ridge solvers are asked for: far from the solution, and near.
LOOSE, TIGHT = 1e-2, 1e-12


class Reweighted:
    """Solutions of one target along decreasing alphas.

    Parameters
    ----------
    problem : Problem
        NaN or infinity in its X raise a ValueError.
        With an L2 penalty alone: see Problem.by_ridge.
    spec : Spec
    """

    def __init__(self, problem, spec, xy=None):
        self.problem, self.spec, self.datafit = problem, spec, problem.datafit
        self.y, self.weights = np.ascontiguousarray(problem.Y[:, 0]), problem.weights.normalised
        self.offset = np.zeros(problem.n) if problem.offset is None else problem.offset
        self.rows = view_of(as_design(problem.X, effective_threads(problem.n_threads)), None, problem.fit_intercept)
        column_moments(self.rows, np.empty((0, problem.n)))
        problem.check_finite(self.rows.norms)
        self.factors, self.counts = self._factors()
        self.nulls = problem.nulls()
        self.unit = self.nulls.units[0]
        self.w, self.b, self.eta = np.zeros(problem.p), self.nulls.intercepts[0], self.nulls.eta[0].copy()
        self.streamed = problem.X.size if not problem.sparse else problem.X.nnz
        wide = not problem.sparse and problem.n < problem.p and problem.n <= MOST_ROWS
        self.kernel = Kernel(self) if wide else None

    def _factors(self):
        """l2_j / alpha, 0 where a column does not count, and which columns count."""
        problem, norms = self.problem, self.rows.norms
        if problem.penalty.standardize and self.weights is not None:
            weighted = problem.design()
            column_moments(weighted, np.empty((0, problem.n)))
            norms = weighted.norms
        factors = np.broadcast_to(problem.terms(norms)[1], problem.p).copy()
        counts = np.isfinite(factors) & (factors > 0) & (norms > 0)
        factors[~counts] = 0
        return factors, counts

    def certify(self, solutions, at):
        """Solutions, which are certified from X."""
        return solutions

    def start(self, coefs):
        """Start from coefs of shape (1, p)."""
        self.w = np.where(self.counts, coefs[0], 0)
        self.b, self.eta = self.fit_intercept(combine(self.rows, self.w[None])[0] + self.offset)

    def advance(self, alphas, from_x=True):
        """Solutions for alphas, in their order, going on from the last; all are certified from X."""
        with single_threaded_blas:
            found = [self._at(alpha) for alpha in alphas]
        coefs, intercepts, gaps, rounds, stopped, losses = zip(*found)
        used = [np.flatnonzero(w) for w in coefs]
        n, column = self.problem.n, (len(alphas), 1)
        gaps = np.reshape(gaps, column)
        return Solutions(
            alphas, self.problem.p, np.append(0, np.cumsum([len(u) for u in used])), np.concatenate(used),
            np.concatenate([w[u] for w, u in zip(coefs, used)]), np.reshape(intercepts, column), gaps / n,
            gaps / self.unit if self.unit > 0 else np.zeros(column),
            2 * (np.reshape(losses, column) - self.nulls.saturated[0]) / n, np.array([2 * self.unit / n]),
            np.reshape(rounds, column), np.reshape(stopped, column).astype(np.uint8), np.ones(len(alphas), dtype=bool),
            float(self.streamed), self.problem.p)

    # ---- one alpha ---------------------------------------------------------------------------------------------------
    def _at(self, alpha):
        """(w, intercept, gap, steps, why it ended, loss) at alpha."""
        l2, aim, stopped = alpha * self.factors, self.spec.tol * self.unit, 1
        best, idle, before = np.inf, 0, 0
        if self.loss(self.eta) + 0.5 * l2 @ self.w**2 > self.loss(self.nulls.eta[0]):       # worse than none
            self.w, self.b, self.eta = np.zeros(self.problem.p), self.nulls.intercepts[0], self.nulls.eta[0].copy()
        if self.kernel is not None and self._gap(self.derivatives()[0], l2) > aim:
            before = self.kernel.descend(alpha, aim)
        for steps in range(self.spec.max_iter + 1):
            slope, curvature = self.derivatives()
            gap = self._gap(slope, l2)
            if gap <= aim:
                stopped = 0
                break
            idle = 0 if gap < 0.5 * best else idle + 1
            best = min(best, gap)
            if idle > 10 or (steps < self.spec.max_iter and not self._step(
                    alpha, slope, curvature, l2, np.sqrt(min(gap / self.unit, 1)))):
                stopped = 2                                            # rounding
                break
        intercept = self.b - self.rows.means @ self.w if self.problem.fit_intercept else 0.0
        return self.w.copy(), intercept, gap, before + steps, stopped, self.loss(self.eta)

    def derivatives(self):
        """s f' and s f'' of the rows; rows without weight may hold anything."""
        return self.datafit.derivatives(self.y, self.eta, self.weights)

    def _gap(self, slope, l2):
        self._read(1)
        left = -correlate(self.rows, slope[None])[0][self.counts] - l2[self.counts] * self.w[self.counts]
        return float(np.sum(left**2 / (2 * l2[self.counts])))

    def loss(self, eta):
        return self.datafit.loss(self.y, eta, self.weights)

    def _step(self, alpha, slope, curvature, l2, far):
        """Towards the solution of the quadratic model; False where rounding leaves no way down.

        far : the root of the gap, relative to what there is to explain."""
        d = self.floored(curvature)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where(d > 0, self.eta - self.offset - slope / d, 0)
        of_step = RidgeProblem.of(self.problem.X, z[:, None], np.array([alpha]),
                                  Penalty(0.0, np.where(self.counts, self.factors, np.inf)), d,
                                  self.problem.fit_intercept, self.problem.n_threads)
        tol = min(max(0.1 * far, TIGHT), LOOSE)
        if self.problem.sparse and not small_system(of_step):
            system = System.of(of_step)
            system.W[0] = np.where(of_step.design.norms > 0, of_step.units.down(self.w[:, None])[:, 0], 0)
            found = system.solve(stop(tol, None, self.problem.p), np.zeros(1, dtype=int))
        else:
            found = solve(of_step, tol=tol)[0]
        found = of_step.restored(found)
        self._read(2 * int(found.n_iter[0]) + 3)
        w = np.where(self.counts, found.coef[0], 0)
        b, eta = self.fit_intercept(combine(self.rows, w[None])[0] + self.offset)
        move, v = w - self.w, eta - self.eta
        begin = slope @ v + (l2 * self.w) @ move
        part = self.search(v, begin, lambda part: (l2 * (self.w + part * move)) @ move) if begin < 0 else 0
        if part == 1:
            self.w, self.b, self.eta = w, b, eta
        elif part > 0:
            self.w = self.w + part * move
            self.b, self.eta = self.fit_intercept(self.eta + part * v - (self.b + part * (b - self.b)))
        return part > 0

    def fit_intercept(self, shift):
        """(intercept, eta) that go with Xw + offset."""
        if not self.problem.fit_intercept:
            return 0.0, shift
        b, eta, _ = self.datafit.null_fit(self.y, self.weights, shift)
        return b, eta

    def floored(self, curvature):
        """Curvatures of which none is too small; 0 without weight."""
        least = FLOOR * curvature.mean() if curvature.any() else 1.0
        return np.maximum(curvature, least if self.weights is None else least * self.weights)

    def search(self, v, begin, penalty_slope):
        """The part of a step to be taken, eta moving along v and the slope of the objective being `begin` at first."""
        def slope_at(part):
            slope, _ = self.datafit.derivatives(self.y, self.eta + part * v, self.weights)
            return slope @ v + penalty_slope(part)

        lo, hi, at_lo, at_hi = 0.0, 1.0, begin, slope_at(1.0)
        if at_hi <= -ACCEPTED * begin:
            return 1.0
        for _ in range(TRIALS):
            part = lo + (hi - lo) * min(max(at_lo / (at_lo - at_hi), 0.1), 0.9)
            slope = slope_at(part)
            if abs(slope) <= -ACCEPTED * begin:
                return part
            lo, hi, at_lo, at_hi = (part, hi, slope, at_hi) if slope < 0 else (lo, part, at_lo, slope)
        return lo

    def _read(self, times):
        """Count elements of X that were streamed."""
        X = self.problem.X
        self.streamed += times * (X.nnz if self.problem.sparse else X.size)


class Kernel:
    """Steps of the coefficients ``w = F^-1 X' a``, X centred, of a Reweighted whose state it moves."""

    def __init__(self, of):
        self.of, X = of, of.problem.X
        scale = np.zeros(of.problem.p)
        scale[of.counts] = 1 / np.sqrt(of.factors[of.counts])
        self.K, self.a = np.zeros((of.problem.n, of.problem.n)), np.zeros(of.problem.n)
        for j in range(0, of.problem.p, PANEL):
            some = slice(j, j + PANEL)
            panel = (X[:, some] - of.rows.means[some]) * scale[some]
            self.K += panel @ panel.T
        self.inverse = scale**2

    def descend(self, alpha, aim):
        """Steps at alpha, as many as help or as are allowed; their number. w, intercept and eta of the Reweighted are
        those of the end."""
        of, best, idle, steps = self.of, np.inf, 0, 0
        of.b, of.eta = of.fit_intercept(self.K @ self.a + of.offset)
        while steps < of.spec.max_iter:
            slope, curvature = of.derivatives()
            left = -slope - alpha * self.a
            gap = float(left @ self.K @ left) / (2 * alpha)
            idle = 0 if gap < 0.5 * best else idle + 1
            best = min(best, gap)
            if gap <= 0.1 * aim or idle > 3 or not self._step(alpha, slope, of.floored(curvature)):
                break
            steps += 1
        of.w = self.inverse * correlate(of.rows, self._balanced(self.a)[None])[0]
        of.b, of.eta = of.fit_intercept(combine(of.rows, of.w[None])[0] + of.offset)
        return steps

    def _balanced(self, a):
        """a without its sum, which is rounding where there is an intercept."""
        return a - a.mean() if self.of.problem.fit_intercept else a

    def _step(self, alpha, slope, d):
        """Towards the minimum of the quadratic model; False where there is no way down."""
        of, root = self.of, np.sqrt(d)
        fit = self.K @ self.a
        with np.errstate(invalid="ignore", divide="ignore"):
            response = np.where(d > 0, root * fit - slope / root, 0)
        B = root[:, None] * self.K * root
        B[np.diag_indices_from(B)] += alpha
        try:
            solved = cho_solve(cho_factor(B, lower=True, overwrite_a=True, check_finite=False),
                               np.stack([response, root], axis=1), check_finite=False)
        except LinAlgError:
            return False
        a, of_level = root * solved[:, 0], root * solved[:, 1]
        if of.problem.fit_intercept:
            a = a - a.sum() / of_level.sum() * of_level
        b, eta = of.fit_intercept(self.K @ a + of.offset)
        move, v = a - self.a, eta - of.eta
        turned = self.K @ move
        begin = slope @ v + alpha * (turned @ self.a)
        part = of.search(v, begin, lambda part: alpha * (turned @ (self.a + part * move))) if begin < 0 else 0
        if part == 0:
            return False
        self.a = a if part == 1 else self.a + part * move
        of.b, of.eta = (b, eta) if part == 1 else of.fit_intercept(fit + part * turned + of.offset)
        return True
