"""Several classes where nothing penalises some or all of the columns: Newton's method by the matrix of all classes.

    minimise  sum_i s_i (log sum_k exp(eta_ik) - eta_iy) + 1/2 sum_kj l2_j w_kj^2,   eta_k = X w_k + b_k

What all classes have in common changes no loss: coefficients and intercepts of each column add up to zero. Along a unit
direction of the Hessian H no row's predictors move apart by more than ``S = sqrt(2 / (min s_i * least))``, where
directions are orthonormal in the rows and `least` is not above any eigenvalue of H. The curvature along it changes by a
factor of ``exp(S t)`` at most (Bach, "Self-concordant analysis for logistic regression", Electron. J. Stat. 4 (2010)),
so that with ``d^2 = g' H^-1 g`` and ``S d < 1`` there is a minimum, and it is less than ``d^2 / (2 (1 - S d))`` away.
Where classes are separable by columns without a penalty there is none, and S d remains above 1.
"""
import numpy as np
from scipy.linalg import helmert

from fastreg.kernels.lapack import cholesky, solved
from fastreg.problem import Spec
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.solvers.softmax import Softmax, curvature_of_classes
from fastreg.threads import effective_threads

EPS = np.finfo(float).eps
# Coefficients of all classes but one whose Hessian is formed.
MOST_COEFS = 2000
# In units of rounding, eigenvalues of X'X that are none, and slopes that these directions leave.
NONE, LEFT = 64, 64
# Of the decrease that the slope promises, what a step is to bring; halvings; steps without half the gap.
BROUGHT, HALVINGS, IDLE = 1e-4, 40, 10
# Of the loss to be explained, what no step is worth: where there is no minimum, steps would lower it for ever.
NOTHING = 1e-24
# Of the largest that a row gets ahead of another class along a direction, what counts as none.
TIE = 1e-9


def refuse_free(problem, alphas):
    """Raise where several classes have too many coefficients without any penalty, whose Hessian would be formed.

    Parameters
    ----------
    problem : Problem
    alphas : ndarray or float

    Raises
    ------
    NotImplementedError
    """
    if not problem.frees_classes(alphas):
        return
    together = problem.route(Spec(np.atleast_1d(alphas))) == "free classes"
    count = problem.p if together else np.count_nonzero(problem.free_columns(np.min(alphas)))
    if count * (problem.n_targets - 1) > MOST_COEFS:
        raise NotImplementedError(
            "columns without any penalty (C=np.inf, an alpha of 0, a penalty_factor of 0) are not supported with three "
            f"classes or more of more than {MOST_COEFS} coefficients of all classes but one: give each of them some "
            "penalty.")


class Directions:
    """Coefficients of some columns, and the intercept, along orthonormal directions of the weighted rows.

    Parameters
    ----------
    problem : Problem
    view : View
        That knows its moments.
    weights : ndarray of shape (n,)
    columns : ndarray of bool, shape (p,)
    l2 : ndarray of shape (p,)
        Second derivatives of the penalty, which count like rows.

    Attributes
    ----------
    basis : ndarray of shape (p + 1, m)
        What a unit along each direction adds to coefficients and to the intercept of centred columns.
    """

    def __init__(self, problem, view, weights, columns, l2):
        self.problem, self.view, self.weights, self.l2 = problem, view, weights, l2
        p, sums = problem.p, self._sums(weights)
        G = sums[:p, :p] + np.diag(l2)
        self.scale = np.zeros(p)
        self.scale[columns] = 1 / np.sqrt(np.diag(G)[columns])
        values, vectors = interruptible(np.linalg.eigh, self.scale[:, None] * G * self.scale)
        self.spread = 1.0
        if problem.sparse and problem.fit_intercept:            # digits that centring takes from sums
            self.spread += float(np.max(weights.sum() * (view.means * self.scale) ** 2, initial=0))
        keep = values > NONE * p * EPS * self.spread
        self.vectors = vectors[:, keep]
        self.least = float(np.min(values[keep], initial=1.0))
        self.basis = np.zeros((p + 1, int(keep.sum()) + problem.fit_intercept))
        self.basis[:p, :keep.sum()] = self.scale[:, None] * self.vectors / np.sqrt(values[keep])
        if problem.fit_intercept:
            self.basis[p, -1] = 1 / np.sqrt(weights.sum())
        self.contrasts = helmert(problem.n_targets).T

    def _sums(self, weights):
        """Sums of products of the columns, centred, and of ones, under weights."""
        problem, threads = self.problem, effective_threads(self.problem.n_threads)
        means = self.view.means
        sums = sums_of_rows(problem.X, np.empty((0, problem.n)), np.ascontiguousarray(weights), threads,
                            None if problem.sparse else means)
        if problem.sparse and problem.fit_intercept:
            level, total = sums[-1, :-1].copy(), sums[-1, -1]
            sums[:-1, :-1] += total * np.outer(means, means) - np.outer(level, means) - np.outer(means, level)
            sums[-1, :-1] = sums[:-1, -1] = level - total * means
        return sums

    def hessian(self, chances):
        """That of the objective at these probabilities of shape (n_classes, n)."""
        K, m = len(chances), self.basis.shape[1]
        whole = curvature_of_classes(lambda weights: self.basis.T @ self._sums(weights) @ self.basis, self.weights,
                                     chances)
        C, size = self.contrasts, (K - 1) * m
        H = np.einsum("ka,kmln,lb->ambn", C, whole, C, optimize=True).reshape(size, size)
        return H + np.kron(np.eye(K - 1), (self.basis[:-1].T * self.l2) @ self.basis[:-1])

    def slopes(self, down, levels):
        """Of slopes of shape (n_classes, p) and those of the intercepts, the ones along the directions."""
        return (self.contrasts.T @ np.column_stack([down, levels]) @ self.basis).ravel()

    def spelt(self, step):
        """(Coefficients of shape (n_classes, p), intercepts of centred columns) of a step along the directions."""
        moves = self.contrasts @ step.reshape(-1, self.basis.shape[1]) @ self.basis.T
        return np.ascontiguousarray(moves[:, :-1]), moves[:, -1]

    def span(self, down, size):
        """Whether slopes are along the directions but for rounding, the residuals having this norm."""
        scaled = down * self.scale
        left = np.linalg.norm(scaled - (scaled @ self.vectors) @ self.vectors.T)
        return left <= LEFT * EPS * np.sqrt(self.problem.n * self.spread) * size

    def missing(self, H, step, slopes):
        """A bound of what slopes leave to the minimum, `step` being Newton's; infinite where none is known."""
        lost = len(H) * EPS * self.spread / self.least * max(1.0, float(np.max(np.abs(H))))
        least = float(interruptible(np.linalg.eigvalsh, H)[0]) - lost
        if not least > 0:
            return np.inf
        square = max(float(slopes @ step), 0.0)
        apart = np.sqrt(2 * square / (np.min(self.weights[self.weights > 0]) * least))
        return square / (2 * (1 - apart)) if apart < 1 else np.inf


def goes_on(Y, v):
    """Whether rows may go along v, of shape (n_classes, n), for ever: no class gets ahead of a row's own."""
    ahead = np.sum(np.where(Y > 0, v, 0), axis=0) - v
    most = np.max(ahead)
    return bool(most > 0 and np.all(ahead >= -TIE * most))


def newton_step(H, slopes):
    """H^-1 slopes; of what is lost in rounding nothing."""
    factor = np.array(H, order="F")
    if not interruptible(cholesky, factor):
        return solved(factor, slopes)
    values, vectors = interruptible(np.linalg.eigh, H)
    keep = values > len(H) * EPS * max(values[-1], 0)
    return vectors[:, keep] @ ((slopes @ vectors[:, keep]) / values[keep])


class FreeSoftmax(Softmax):
    """Solutions along decreasing alphas; parameters as of Softmax."""

    def start(self, coefs):
        """Start from coefs of shape (n_classes, p), less what the classes have in common."""
        super().start(coefs - coefs.mean(axis=0))

    def _at(self, alpha):
        """(W, intercepts, gap, steps, why it ended, loss) at alpha."""
        weights = np.ones(self.problem.n) if self.weights is None else self.weights
        l2, aim = np.where(self.counts, alpha * self.factors, 0), self.spec.tol * self.unit
        self.along, stopped, best, idle = Directions(self.problem, self.view, weights, self.counts, l2), 1, np.inf, 0
        self.streamed += self.size
        for steps in range(self.spec.max_iter + 1):
            self.spec.tell(self.finished, steps)
            self._settle()
            chances, residual = self._residual(self.eta)
            down = self._correlations(residual) - l2 * self.W
            gap, left = self._gap(chances, residual, down, aim)
            idle = 0 if left < 0.5 * best else idle + 1
            best = min(best, left)
            if gap <= aim:
                stopped = 0
                break
            if idle > IDLE or left <= NOTHING * self.unit or (
                    steps < self.spec.max_iter and not self._step(down, l2)):
                stopped = 2                                            # rounding
                break
        return self._found(gap, steps, stopped)

    def _gap(self, chances, residual, down, aim):
        """(The gap, and what there is to tell whether steps still help)."""
        along, weights = self.along, self.along.weights
        H, slopes = along.hessian(np.where(weights > 0, chances, 0)), along.slopes(down, residual.sum(axis=1))
        self.streamed += len(chances) * (len(chances) - 1) // 2 * self.size
        self.step = newton_step(H, slopes)
        square = float(slopes @ self.step)
        if 0.5 * square > aim:
            return np.inf, 0.5 * square
        size = np.linalg.norm(np.divide(residual, np.sqrt(weights), out=np.zeros_like(residual), where=weights > 0))
        gap = along.missing(H, self.step, slopes) if along.span(down, size) else np.inf
        return gap, 0.5 * max(square, 0.0)

    def _step(self, down, l2):
        """Towards the minimum of the quadratic model; False where rounding leaves no way down."""
        move, level = self.along.spelt(self.step)
        v = self._products(move) + level[:, None]
        if not l2.any() and goes_on(self.Y, np.where(self.along.weights > 0, v, 0)):
            return False                    # rows may go along it for ever, and no column has a penalty that ends it
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
