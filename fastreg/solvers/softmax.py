"""Several classes without an L1 penalty: what their solvers share.

    minimise  sum_i s_i (log sum_k exp(eta_ik) - eta_iy) + 1/2 sum_kj l2_j w_kj^2,   eta_k = X w_k + b_k

Products with X are of all classes at once. Intercepts are at their best wherever an answer is certified. With G_kj the
gradient, the gap is at most ``1/2 sum_kj G_kj^2 / l2_j``.
"""
import numpy as np

from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.design import as_design, view_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.solutions import Solutions
from fastreg.solvers.blas import single_threaded_blas
from fastreg.threads import effective_threads


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
        Of classes. NaN or infinity in its X raise a ValueError.
    spec : Spec
    lead : Softmax or None
        Of the same X under other weights: what it made of X serves here as well.
    """

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
        self.W = np.zeros((problem.n_targets, problem.p))
        self.b = self.nulls.intercepts.copy()
        self.eta = np.repeat(self.b[:, None], problem.n, axis=1)

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

    def _at(self, alpha):
        """(W, intercepts, gap, steps, why it ended, loss) at alpha."""
        raise NotImplementedError

    def _found(self, gap, steps, stopped):
        """What `_at` returns where it ends."""
        intercepts = self.b - self.W @ self.view.means if self.problem.fit_intercept else np.zeros(len(self.b))
        return self.W.copy(), intercepts - intercepts.mean(), gap, steps, stopped, self._loss(self.eta)

    def _residual(self, eta):
        """(Probabilities, label less probability under the weights), of shape (n_classes, n)."""
        chances = chances_of(eta)
        return chances, self._weighted(np.where(self.Y > 0, 1 - chances, -chances))

    def _settle(self):
        """Intercepts at their best."""
        if self.problem.fit_intercept:
            shift, self.eta = MULTINOMIAL.with_intercepts(self.Y, self.weights, self.eta)
            self.b = self.b + shift

    def _weighted(self, rows):
        return rows if self.weights is None else np.where(self.weights > 0, rows, 0) * self.weights

    def _loss(self, eta):
        return 0.5 * MULTINOMIAL.deviance(self.Y.T, eta.T, self.weights)


def chances_of(eta):
    """Probabilities, of eta of shape (n_classes, n)."""
    odds = np.exp(eta - eta.max(axis=0))
    return odds / odds.sum(axis=0)


def curvature_of_classes(sums, weights, chances):
    """The Hessian of the loss in the coefficients of every class.

    Parameters
    ----------
    sums : callable
        Of weights of shape (n,): sums of products of the m columns, shape (m, m).
    weights : ndarray of shape (n,)
    chances : ndarray of shape (n_classes, n)

    Returns
    -------
    ndarray of shape (n_classes, m, n_classes, m)
    """
    K, whole = len(chances), None
    for a, b in zip(*np.triu_indices(K, 1)):
        G = sums(weights * chances[a] * chances[b])
        whole = np.zeros((K, len(G), K, len(G))) if whole is None else whole
        for k, other, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            whole[k, :, other] += sign * G
    return whole
