"""Coordinates in which several classes with an L2 penalty are solved: their penalty is ``alpha / 2 |u|^2``.

`Columns` are coefficients, along the eigenvectors of X'X where there are not too many; `Kernel`, of X with few rows and
more columns, are predictors along the eigenvectors of XX'; `Rows`, with more of both, are a for ``W = F^-1 X' a``, l2
being alpha F. What preconditions is, for class k, ``c_k X'X + alpha F`` for their mean curvature c_k. Each is of shape
(n_classes, n_coordinates), Rows with what X F^-1 X' makes of them beside them.
"""
from copy import copy

import numpy as np

from fastreg.kernels.krylov import column_moments
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.grams import kernel, sums_of_rows
from fastreg.solvers.ridge.problem import RidgeProblem
from fastreg.threads import effective_threads

EPS = np.finfo(float).eps
# Rows or columns whose matrix is decomposed; its price in products with X that it may save.
MOST, SAVED = 2000, 500
# Rows that are read at a time.
PANEL = 2048


def suited(of):
    """The class of the coordinates that suit X of a QuasiNewton."""
    problem = of.problem
    if problem.p <= problem.n:
        return Columns
    cheap = 10 * problem.n**3 <= SAVED * 4 * problem.n_targets * of.size
    return Kernel if problem.n <= MOST and cheap else Rows


def lent(space, of):
    """Coordinates of the same X for another solver."""
    again = copy(space)
    again.of = of
    return again


class Columns:
    """Coordinates of columns: their coefficients over F^-1/2, along the eigenvectors of F^-1/2 X'X F^-1/2 if wanted.

    Parameters
    ----------
    of : QuasiNewton
    """

    apart = False                   # inner products are of all numbers

    def __init__(self, of):
        self.of, self.root = of, np.where(of.counts, 1 / np.sqrt(of.factors), 0)
        self.values, self.vectors = (of.view.norms * self.root) ** 2, None
        if of.problem.p <= min(MOST, of.problem.n):
            values, self.vectors = interruptible(np.linalg.eigh, self.root[:, None] * self._sums() * self.root)
            self.values = np.maximum(values, 0)

    def _sums(self):
        """Sums of products of the centred columns."""
        of, problem = self.of, self.of.problem
        weights = np.ones(problem.n) if of.weights is None else of.weights
        sums = sums_of_rows(problem.X, np.empty((0, problem.n)), weights, effective_threads(problem.n_threads),
                            None if problem.sparse else of.view.means)
        of.streamed += of.size
        level, total, G = sums[-1, :-1], sums[-1, -1], sums[:-1, :-1]
        return G - np.multiply.outer(level, level / total) if problem.fit_intercept else G

    def lent(self, of):
        """The same for the same X under other weights; None where it does not serve."""
        here = of.counts
        if self.vectors is None or np.any(here & ~self.of.counts) or not np.array_equal(self.of.factors[here],
                                                                                        of.factors[here]):
            return None
        again = lent(self, of)
        again.root = np.where(here, self.root, 0)
        return again

    def begin(self, W, alpha):
        """Coordinates of coefficients."""
        u = np.divide(W, self.root, out=np.zeros_like(W), where=self.root > 0)
        return u if self.vectors is None else u @ self.vectors

    def coefs(self, u):
        """Coefficients at coordinates."""
        return (u if self.vectors is None else u @ self.vectors.T) * self.root

    def images(self, d):
        """What a direction does to the predictors."""
        return self.of.forth(self.coefs(d))

    @property
    def images_of(self):
        """What gives units of the last coordinates in some rows; None where there are no eigenvectors."""
        return None if self.vectors is None else self._images_of

    def _images_of(self, rows, count):
        """Of shape (n_rows, count)."""
        turn, problem = self.root[:, None] * self.vectors[:, -count:], self.of.problem
        found, level = np.empty((len(rows), count)), self.of.view.means @ turn
        for k in range(0, len(rows), PANEL):
            found[k:k + PANEL] = problem.X[rows[k:k + PANEL]] @ turn
        return found - level if problem.fit_intercept else found

    def gradient(self, u, residual, alpha):
        """That of the objective."""
        slopes = self.of.back(residual) * self.root
        return alpha * u - (slopes if self.vectors is None else slopes @ self.vectors)

    def dot(self, u, v):
        """Inner product."""
        return float(np.vdot(u, v))

    def preconditioner(self, curvature, alpha):
        """What nearly solves Newton's equations for mean curvatures of the classes."""
        scale = 1 / (np.multiply.outer(curvature, self.values) + alpha)
        return lambda g: scale * g


class Kernel:
    """Coordinates of the span of the rows: predictors along the eigenvectors of ``X F^-1 X'`` over singular values.

    Parameters
    ----------
    of : QuasiNewton
    """

    apart = False

    def __init__(self, of):
        self.of, problem = of, of.problem
        self.on = of.weighted_rows
        asked = RidgeProblem.of(problem.X, np.zeros((problem.n, 1)), np.ones(1), Penalty(0.0, 1.0),
                                None if self.on.all() else self.on.astype(float), problem.fit_intercept,
                                problem.n_threads)
        column_moments(asked.design, np.empty((0, problem.n)))
        K = kernel(asked, np.where(of.counts, 1 / of.factors, 0)) * (self.on.mean())     # weights had a mean of one
        values, vectors = interruptible(np.linalg.eigh, K)
        of.streamed += of.size
        keep = values > problem.n * EPS * max(values[-1], 0)
        self.singular, self.vectors = np.sqrt(values[keep]), vectors[:, keep]
        self.rows = self.vectors * self.singular
        self.values = values[keep]

    def lent(self, of):
        """The same for the same X under other weights; None where it does not serve."""
        here = of.counts
        beyond = np.any(here & ~self.of.counts) or np.any(of.weighted_rows & ~self.on)
        if beyond or not np.array_equal(self.of.factors[here], of.factors[here]):
            return None
        return lent(self, of)

    def begin(self, W, alpha):
        """Coordinates of what is in the span of the rows."""
        return self.of.forth(W) @ self.vectors / self.singular if W.any() else np.zeros((len(W), len(self.values)))

    def coefs(self, u):
        """Coefficients at coordinates."""
        return self.of.back((u / self.singular) @ self.vectors.T) / self.of.factors

    def images(self, d):
        """What a direction does to the predictors."""
        return d @ self.rows.T

    def images_of(self, rows, count):
        """Units of the last coordinates in some rows, of shape (n_rows, count)."""
        return np.ascontiguousarray(self.rows[rows, -count:])

    def gradient(self, u, residual, alpha):
        """That of the objective."""
        return alpha * u - residual @ self.rows

    dot, preconditioner = Columns.dot, Columns.preconditioner


class Rows:
    """Coordinates of rows: a, with what X F^-1 X' makes of it, in one array.

    Parameters
    ----------
    of : QuasiNewton
    """

    apart, images_of = True, None   # inner products are of numbers and images; no coordinate leads

    def __init__(self, of):
        self.of = of
        squares = of.view.norms[of.counts]**2 / of.factors[of.counts]
        self.values = np.array([np.sum(squares) / of.problem.n])

    def lent(self, of):
        """The same for the same X under other weights; None where it does not serve."""
        same = np.array_equal(self.of.factors, of.factors) and np.array_equal(self.of.counts, of.counts)
        return lent(self, of) if same else None

    def _with_images(self, a):
        a = self.of.balanced(a)
        return np.stack([a, self.of.there_and_back(a)])

    def begin(self, W, alpha):
        """Coordinates of the coefficients that would be the solution if their residuals were its residuals."""
        return self._with_images(self.of._residual(self.of.eta)[1] / alpha if W.any() else np.zeros_like(self.of.eta))

    def coefs(self, u):
        """Coefficients at coordinates."""
        return self.of.back(u[0]) / self.of.factors

    def images(self, d):
        """What a direction does to the predictors."""
        return d[1]

    def gradient(self, u, residual, alpha):
        """That of the objective."""
        return self._with_images(alpha * u[0] - residual)

    def dot(self, u, v):
        """Inner product of the coefficients."""
        return float(np.vdot(u[0], v[1]))

    def preconditioner(self, curvature, alpha):
        """A number: there is nothing else that is known of the rows."""
        scale = 1 / (float(curvature.mean()) * self.values[0] + alpha)
        return lambda g: scale * g
