"""Losses with an L2 penalty alone: Newton's method, each step a ridge regression under the curvatures of the rows.

    minimise  sum_i s_i f(y_i, eta_i) + 1/2 sum_j l2_j w_j^2,   eta = Xw + b + offset

At eta, with v = -s f' and d = s f'', the step goes to the minimum of

    sum_i d_i (z_i - x_i w - b)^2 + sum_j l2_j w_j^2

for the working response z = eta - offset + v / d: whichever ridge solver suits X finds it, as exactly as the distance
from the solution asks for; of sparse X without a small matrix, conjugate gradients on the step itself. The way there is
searched as far as the objective falls. With g = X'v and an intercept at its best, the gap is at most
``1/2 sum_j (g_j - l2_j w_j)^2 / l2_j``.

Of dense X with more columns than rows the kernel ``K = X F^-1 X'`` is made once, l2 being alpha F: with
``w = F^-1 X' a``, steps and gaps are about a alone (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
algorithm 3.1). With no more columns than rows, and a matrix of them that costs little, `newton` comes near first.
"""
from dataclasses import replace

import numpy as np
from scipy.linalg import cho_solve

from fastreg.kernels.krylov import column_moments, conjugate_gradients
from fastreg.kernels.lapack import cholesky
from fastreg.penalties.elastic_net import Penalty
from fastreg.solutions import Solutions
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.newton import Newton
from fastreg.solvers.ridge.choose import small_system, solve
from fastreg.solvers.ridge.problem import RidgeProblem
from fastreg.solvers.rows import Point, Rows
from fastreg.weights import Weights

# Rows whose kernel is made.
MOST_ROWS = 4000
# Columns of X that go into it at a time.
PANEL = 2048
# Errors of coefficients, relative to their norm, that the ridge solvers are asked for: far from the solution, and near.
LOOSE, TIGHT = 1e-2, 1e-12
# Of the gradient, what conjugate gradients may leave (Eisenstat and Walker, "Choosing the forcing terms in an inexact
# Newton method", SIAM J. Sci. Comput. 17 (1996)): at most, and in units of the root of the relative gap.
MOST_LEFT, FORCING = 0.3, 0.5


class Reweighted:
    """Solutions of one target along decreasing alphas.

    Parameters
    ----------
    problem : Problem
        NaN or infinity in its X raise a ValueError.
        With an L2 penalty alone: see Problem.by_ridge.
    spec : Spec
    lead : Reweighted or None
        Of the same X under other weights: what it made of X alone serves here as well.
    """

    def __init__(self, problem, spec, xy=None, lead=None):
        self.problem, self.spec, self.rows, self.finished = problem, spec, Rows(problem), 0
        problem.check_finite(self.rows.norms)
        self.factors, self.counts = self._factors()
        self.nulls = problem.nulls()
        self.unit = self.nulls.units[0]
        self.null = Point(self.rows, np.zeros(problem.p), self.nulls.intercepts[0], self.nulls.eta[0])
        self.at, self.matrix = self.null, self._suited(lead)
        self.by_products = problem.sparse and not small_system(problem.X, 1)

    def _suited(self, lead):
        """What comes near to the solution by matrices that are kept, None where none is small."""
        problem = self.problem
        if not problem.sparse and problem.n < problem.p and problem.n <= MOST_ROWS:
            return Kernel(self, None if lead is None else lead.matrix)
        newton = Newton(self)
        return newton if newton.suits() else None

    def _factors(self):
        """l2_j / alpha, 0 where a column does not count, and which columns count."""
        problem, norms = self.problem, self.rows.norms
        if problem.penalty.standardize and self.rows.weights is not None:
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
        self.at = Point.at(self.rows, np.where(self.counts, coefs[0], 0))

    def advance(self, alphas, from_x=True):
        """Solutions for alphas, in their order, going on from the last; all are certified from X."""
        found = []
        with single_threaded_blas:
            for alpha in alphas:
                found.append(self._at(alpha))
                self.finished += 1
                self.spec.tell(self.finished)
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
            float(self.rows.streamed), self.problem.p)

    # ---- one alpha ---------------------------------------------------------------------------------------------------
    def _at(self, alpha):
        """(w, intercept, gap, steps, why it ended, loss) at alpha."""
        l2, aim, stopped = alpha * self.factors, self.spec.tol * self.unit, 1
        best, idle, before = np.inf, 0, 0
        if self.at.loss + 0.5 * l2 @ self.at.w**2 > self.null.loss:
            self.at = self.null
        if self.matrix is not None:
            before = self.matrix.descend(alpha, aim)
        for steps in range(self.spec.max_iter + 1):
            self.spec.tell(self.finished, before + steps)
            down, gap = self._gradient(self.at, l2)
            if gap <= aim:
                stopped = 0
                break
            idle = 0 if gap < 0.5 * best else idle + 1
            best = min(best, gap)
            if idle > 10 or (steps < self.spec.max_iter and not self._step(
                    alpha, l2, down, np.sqrt(min(gap / self.unit, 1)))):
                stopped = 2                                            # rounding
                break
        at = self.at
        intercept = at.b - self.rows.means @ at.w if self.problem.fit_intercept else 0.0
        return at.w, intercept, gap, before + steps, stopped, at.loss

    def _gradient(self, at, l2):
        """(Less the gradient in the coefficients that count, the gap.)"""
        down = np.where(self.counts, at.pull - l2 * at.w, 0)
        return down, 0.5 * float(down @ np.divide(down, l2, out=np.zeros_like(down), where=self.counts))

    def _step(self, alpha, l2, down, far):
        """Towards the solution of the quadratic model; False where rounding leaves no way down.

        far : the root of the gap, relative to what there is to explain."""
        at, d = self.at, self.rows.floored(self.at.curvature)
        w = at.w + self._move(d, l2, down, far) if self.by_products else self._solution(alpha, d, far)
        there = Point.at(self.rows, w)
        move, v = w - at.w, there.eta - at.eta
        begin = at.slope @ v + (l2 * at.w) @ move
        part = 0
        if begin < 0:
            part = self.rows.search(at.eta, v, begin, lambda part: (l2 * (at.w + part * move)) @ move)
        if part > 0:
            self.at = there if part == 1 else at.moved(part * move, part * (there.b - at.b), part * v)
        return part > 0

    def _move(self, d, l2, down, far):
        """The way to the solution of the quadratic model by products with sparse X, as far as makes sense here."""
        weights, bent = Weights(d, self.problem.n), self.rows.view
        if weights.normalised is not None:                          # all alike at first, most often
            bent = replace(self.problem, weights=weights).design()
            column_moments(bent, np.empty((0, self.problem.n)))
        up = self.problem.n / d.sum()
        D = np.where(self.counts & (bent.norms > 0), up * l2, np.inf)
        move = np.zeros((1, self.problem.p))
        found = conjugate_gradients(bent, np.where(np.isfinite(D), up * down, 0)[None], D[None], move,
                                    min(FORCING * far, MOST_LEFT), 10 * self.problem.p + 100)
        self.rows.streamed += (int(found.count[0]) + 2) * self.rows.size
        return move[0]

    def _solution(self, alpha, d, far):
        """Coefficients of the solution of the quadratic model, by the ridge solver that suits X."""
        rows = self.rows
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where(d > 0, self.at.eta - rows.offset - self.at.slope / d, 0)
        of_step = RidgeProblem.of(self.problem.X, z[:, None], np.array([alpha]),
                                  Penalty(0.0, np.where(self.counts, self.factors, np.inf)), d,
                                  self.problem.fit_intercept, self.problem.n_threads)
        found = of_step.restored(solve(of_step, tol=min(max(0.1 * far, TIGHT), LOOSE))[0])
        rows.streamed += (2 * int(found.n_iter[0]) + 2) * rows.size
        return np.where(self.counts, found.coef[0], 0)


class Kernel:
    """Steps of the coefficients ``w = F^-1 X' a``, X centred, of a Reweighted whose state it moves.

    Parameters
    ----------
    of : Reweighted
    lead : Kernel or None
        Of the same X under other weights.
    """

    def __init__(self, of, lead=None):
        self.of = of
        scale = np.zeros(of.problem.p)
        scale[of.counts] = 1 / np.sqrt(of.factors[of.counts])
        self.inverse, self.a = scale**2, np.zeros(of.problem.n)
        shared = lead is not None and np.array_equal(lead.inverse, self.inverse)
        self.K = lead.K if shared else self._of_panels(scale)

    def _of_panels(self, scale):
        of, K = self.of, np.zeros((self.of.problem.n, self.of.problem.n))
        for j in range(0, of.problem.p, PANEL):
            some = slice(j, j + PANEL)
            panel = (of.problem.X[:, some] - of.rows.means[some]) * scale[some]
            K += interruptible(lambda panel: panel @ panel.T, panel)
        return K

    def descend(self, alpha, aim):
        """Steps at alpha, as many as help or as are allowed; their number. The Reweighted is at the end of them."""
        of, rows, best, idle, steps = self.of, self.of.rows, np.inf, 0, 0
        if of._gradient(of.at, alpha * of.factors)[1] <= aim:
            return 0
        eta = rows.with_intercept(self.K @ self.a + rows.offset)[1]
        while steps < of.spec.max_iter:
            of.spec.tell(of.finished, steps)
            slope, curvature = rows.derivatives(eta)
            left = -slope - alpha * self.a
            gap = float(left @ self.K @ left) / (2 * alpha)
            idle = 0 if gap < 0.5 * best else idle + 1
            best = min(best, gap)
            if gap <= 0.1 * aim or idle > 3:
                break
            moved = self._step(alpha, eta, slope, rows.floored(curvature))
            if moved is None:
                break
            eta = moved
            steps += 1
        of.at = Point.at(rows, self.inverse * rows.correlate(self._balanced(self.a)))
        return steps

    def _balanced(self, a):
        """a without its sum, which is rounding where there is an intercept."""
        return a - a.mean() if self.of.problem.fit_intercept else a

    def _step(self, alpha, eta, slope, d):
        """eta towards the minimum of the quadratic model; None where there is no way down."""
        of, rows, root = self.of, self.of.rows, np.sqrt(d)
        fit = self.K @ self.a
        with np.errstate(invalid="ignore", divide="ignore"):
            response = np.where(d > 0, root * fit - slope / root, 0)
        B = root[:, None] * self.K * root
        B[np.diag_indices_from(B)] += alpha
        if interruptible(cholesky, B.T):
            return None
        solved = cho_solve((B.T, True), np.stack([response, root], axis=1), check_finite=False)
        a, of_level = root * solved[:, 0], root * solved[:, 1]
        if of.problem.fit_intercept:
            a = a - a.sum() / of_level.sum() * of_level
        there = rows.with_intercept(self.K @ a + rows.offset)[1]
        move, v = a - self.a, there - eta
        turned = self.K @ move
        begin = slope @ v + alpha * (turned @ self.a)
        part = rows.search(eta, v, begin, lambda part: alpha * (turned @ (self.a + part * move))) if begin < 0 else 0
        if part == 0:
            return None
        self.a = a if part == 1 else self.a + part * move
        return there if part == 1 else rows.with_intercept(fit + part * turned + rows.offset)[1]
