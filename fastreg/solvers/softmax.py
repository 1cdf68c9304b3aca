"""Several classes with an L2 penalty alone: Newton's method for all of them, each step by conjugate gradients.

    minimise  sum_i s_i (log sum_k exp(eta_ik) - eta_iy) + 1/2 sum_kj l2_j w_kj^2,   eta_k = X w_k + b_k

Products with X are of all classes at once. Intercepts are at their best wherever the gradient is taken, and steps are
those of the coefficients with intercepts that follow. With G_kj the gradient, the gap is at most
``1/2 sum_kj G_kj^2 / l2_j``.

What preconditions is, for class k, ``c_k X'X + diag(l2)``, c_k the mean curvature of the rows: from one decomposition
of X'X for all classes, steps and alphas; its diagonal where there are too many columns for that.
"""
import numpy as np
from scipy.linalg import eigh

from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.design import as_design, view_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.solutions import Solutions
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.threads import effective_threads

# Of the gradient, what conjugate gradients may leave (Eisenstat and Walker, "Choosing the forcing terms in an inexact
# Newton method", SIAM J. Sci. Comput. 17 (1996)): at most, and in units of the root of the relative gap.
MOST_LEFT, FORCING = 0.3, 0.5
# Columns whose X'X is decomposed.
MOST_COLUMNS = 2000
# Of the decrease that the slope promises, what a step is to bring; halvings; steps without half the gap.
BROUGHT, HALVINGS, IDLE = 1e-4, 40, 10
# Of the loss to be explained, what no step is worth: where there is no minimum, steps would lower it for ever.
NOTHING = 1e-24


def rows_of(problem):
    """A View of the rows as they are, about the means that they have under the weights of a Problem."""
    view = view_of(as_design(problem.X, effective_threads(problem.n_threads)), None, problem.fit_intercept)
    if problem.weights.normalised is None:
        column_moments(view, np.empty((0, problem.n)))
        return view
    weighted = problem.design()
    column_moments(weighted, np.empty((0, problem.n)))
    view.means[:], view.norms[:] = weighted.means, weighted.norms
    return view


class Softmax:
    """Solutions along decreasing alphas.

    Parameters
    ----------
    problem : Problem
        Of classes, with an L2 penalty alone: see Problem.by_ridge. NaN or infinity in its X raise a ValueError.
    spec : Spec
    lead : Softmax or None
        Of the same X under other weights: its decomposition serves here as well.
    """

    starts = False                   # others do not start from what it finds

    def __init__(self, problem, spec, xy=None, lead=None):
        self.problem, self.spec, self.finished = problem, spec, 0
        self.weights = problem.weights.normalised
        self.view = rows_of(problem)
        problem.check_finite(self.view.norms)
        self.nulls, self.Y = problem.nulls(), np.ascontiguousarray(problem.Y.T)
        self.unit, self.size = self.nulls.units[0], problem.X.nnz if problem.sparse else problem.X.size
        self.streamed = self.size
        norms = self.view.norms
        factors = np.broadcast_to(problem.terms(norms)[1], problem.p)
        self.counts = np.isfinite(factors) & (norms > 0)
        self.factors = np.where(self.counts, factors, 1.0)
        if lead is not None and np.array_equal(lead.factors, self.factors) and np.array_equal(lead.counts, self.counts):
            self.spectrum = lead.spectrum
        else:
            self.spectrum = self._spectrum()
        self.W = np.zeros((problem.n_targets, problem.p))
        self.b = self.nulls.intercepts.copy()
        self.eta = np.repeat(self.b[:, None], problem.n, axis=1)

    def _spectrum(self):
        """(eigenvalues, eigenvectors as columns) of F^-1/2 X'X F^-1/2, l2 being alpha F, for the columns that count;
        None of too many."""
        if self.problem.p > min(MOST_COLUMNS, self.problem.n):
            return None
        problem, root = self.problem, np.where(self.counts, 1 / np.sqrt(self.factors), 0)
        weights = np.ones(problem.n) if self.weights is None else self.weights
        shift = None if problem.sparse else self.view.means
        with single_threaded_blas:
            threads = effective_threads(problem.n_threads)
            sums = sums_of_rows(problem.X, np.empty((0, problem.n)), weights, threads, shift)
            level, total, G = sums[-1, :-1], sums[-1, -1], sums[:-1, :-1]
            if problem.fit_intercept:
                G = G - np.multiply.outer(level, level / total)
            values, vectors = eigh(root[:, None] * G * root)
        self.streamed += self.size
        return np.maximum(values, 0), root[:, None] * vectors

    def certify(self, solutions, at):
        """Solutions, which are certified from X."""
        return solutions

    def start(self, coefs):
        """Start from coefs of shape (n_classes, p)."""
        self.W = np.where(self.counts, coefs, 0)
        self.b = self.nulls.intercepts.copy()
        self.eta = self._products(self.W) + self.b[:, None]

    def advance(self, alphas, from_x=True):
        """Solutions for alphas, in their order, going on from the last; all are certified from X."""
        found = []
        with single_threaded_blas:
            for alpha in alphas:
                found.append(self._at(alpha))
                self.finished += 1
                self.spec.tell(self.finished)
        coefs, intercepts, gaps, rounds, stopped, losses = zip(*found)
        used = [np.flatnonzero(w) for W in coefs for w in W]
        n, K = self.problem.n, self.problem.n_targets

        def of_classes(values):
            return np.repeat(np.asarray(values)[:, None], K, axis=1)

        return Solutions(
            alphas, self.problem.p, np.append(0, np.cumsum([len(u) for u in used])), np.concatenate(used),
            np.concatenate([w[u] for w, u in zip((w for W in coefs for w in W), used)]), np.stack(intercepts),
            of_classes(gaps) / n, of_classes(gaps) / self.unit, 2 * of_classes(losses) / n,
            np.full(K, 2 * self.unit / n), of_classes(rounds), of_classes(stopped).astype(np.uint8),
            np.ones(len(alphas), dtype=bool), float(self.streamed), self.problem.p)

    # ---- products with X ---------------------------------------------------------------------------------------------
    def _products(self, W):
        """X w_k as rows, X centred."""
        self.streamed += len(W) * self.size
        return combine(self.view, np.ascontiguousarray(W))

    def _correlations(self, R):
        """X' r_k as rows, of the columns that count."""
        self.streamed += self.size
        return np.where(self.counts, correlate(self.view, np.ascontiguousarray(R)), 0)

    # ---- one alpha ---------------------------------------------------------------------------------------------------
    def _at(self, alpha):
        """(W, intercepts, gap, steps, why it ended, loss) at alpha."""
        l2, aim, stopped, best, idle = alpha * self.factors, self.spec.tol * self.unit, 1, np.inf, 0
        for steps in range(self.spec.max_iter + 1):
            self.spec.tell(self.finished, steps)
            if self.problem.fit_intercept:
                shift, self.eta = MULTINOMIAL.with_intercepts(self.Y, self.weights, self.eta)
                self.b = self.b + shift
            chances = MULTINOMIAL.inverse_link(self.eta.T).T
            residual = self._weighted(np.where(self.Y > 0, 1 - chances, -chances))
            down = self._correlations(residual) - np.where(self.counts, l2 * self.W, 0)
            gap, left = self._gap(chances, residual, down, l2, aim)
            idle = 0 if left < 0.5 * best else idle + 1
            best = min(best, left)
            if gap <= aim:
                stopped = 0
                break
            if idle > IDLE or left <= NOTHING * self.unit or (
                    steps < self.spec.max_iter and not self._step(chances, down, alpha, left)):
                stopped = 2                                            # rounding
                break
        intercepts = self.b - self.W @ self.view.means if self.problem.fit_intercept else np.zeros(len(self.b))
        return self.W.copy(), intercepts - intercepts.mean(), gap, steps, stopped, self._loss(self.eta)

    def _gap(self, chances, residual, down, l2, aim):
        """(The gap, and what there is to tell whether steps still help)."""
        gap = 0.5 * float(np.sum(down**2 / l2))
        return gap, gap

    def _weighted(self, rows):
        return rows if self.weights is None else np.where(self.weights > 0, rows, 0) * self.weights

    def _loss(self, eta):
        return 0.5 * MULTINOMIAL.deviance(self.Y.T, eta.T, self.weights)

    def _step(self, chances, down, alpha, gap):
        """Towards the minimum of the quadratic model; False where rounding leaves no way down."""
        l2 = alpha * self.factors
        move, level, v = self._move(chances, down, alpha, min(FORCING * np.sqrt(gap / self.unit), MOST_LEFT))
        slope = float(np.sum(down * move))
        before, bend, cross = self._loss(self.eta), float(np.sum(l2 * move**2)), float(np.sum(l2 * move * self.W))
        part = 1.0
        for _ in range(HALVINGS if slope > 0 else 0):
            change = self._loss(self.eta + part * v) - before + part * cross + 0.5 * part**2 * bend
            if change <= -BROUGHT * part * slope or abs(part * slope) <= 1e-13 * before:
                self.W, self.b, self.eta = self.W + part * move, self.b + part * level, self.eta + part * v
                return True
            part /= 2
        return False

    def _move(self, chances, down, alpha, left):
        """(The way to the minimum of the quadratic model, as far as makes sense, that of the intercepts, and what both
        do to eta), by conjugate gradients."""
        weight, l2 = self._weighted(chances), alpha * self.factors
        of_levels = self._levels(chances, weight)
        precondition = self._preconditioner(self._weighted(chances * (1 - chances)).mean(axis=1), alpha)
        move, v, level = np.zeros_like(down), np.zeros_like(self.eta), np.zeros(len(down))
        r, z = down.copy(), precondition(down)
        d, rz = z.copy(), float(np.sum(down * z))
        aim = left**2 * rz
        for _ in range(10 * down.size + 100):
            self.spec.tell(self.finished)
            change, shift = self._followed(chances, weight, self._products(d), of_levels)
            bent = weight * (change - np.sum(chances * change, axis=0))
            Hd = self._correlations(bent) + np.where(self.counts, l2 * d, 0)
            part = rz / float(np.sum(d * Hd))
            move, v, level, r = move + part * d, v + part * change, level + part * shift, r - part * Hd
            z = precondition(r)
            before, rz = rz, float(np.sum(r * z))
            if not rz > aim:
                break
            d = z + rz / before * d
        return move, level, v

    def _preconditioner(self, curvature, alpha):
        """What nearly solves the model's equations for mean curvatures of the classes."""
        if self.spectrum is None:
            scale = 1 / (np.multiply.outer(curvature, self.view.norms**2) + alpha * self.factors)
            return lambda r: scale * r
        values, vectors = self.spectrum
        scale = 1 / (np.multiply.outer(curvature, values) + alpha)
        return lambda r: (scale * (r @ vectors)) @ vectors.T

    def _levels(self, chances, weight):
        """What gives the intercepts that go with a change: the pseudo-inverse of their equations; None without any."""
        if not self.problem.fit_intercept:
            return None
        return np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight @ chances.T, hermitian=True)

    def _followed(self, chances, weight, change, of_levels):
        """A change of eta with the intercepts that follow it, and these: residuals go on summing to zero."""
        if of_levels is None:
            return change, np.zeros(len(change))
        level = -of_levels @ np.sum(weight * (change - np.sum(chances * change, axis=0)), axis=1)
        return change + level[:, None], level
