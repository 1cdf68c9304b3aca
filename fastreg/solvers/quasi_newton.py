"""Several classes with an L2 penalty alone: limited-memory BFGS, preconditioned (Nocedal, Math. Comp. 35 (1980)).

A step costs a product with X and one with X', as one of conjugate gradients in Newton's method does; on images and text
it takes a third to a quarter of these. What is minimised is about coordinates u in which the penalty is
``alpha / 2 |u|^2``; steps are those of the coefficients with intercepts that follow; their length takes no X.

`Columns` are coefficients, along the eigenvectors of X'X where there are not too many; `Kernel`, of X with few rows and
more columns, are predictors along the eigenvectors of XX'; `Rows`, with more of both, are a for ``W = F^-1 X' a``, l2
being alpha F. What preconditions is, for class k, ``c_k X'X + alpha F`` for their mean curvature c_k.
"""
from copy import copy

import numpy as np

from fastreg.kernels.gram import reads_directly
from fastreg.kernels.krylov import column_moments
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.grams import kernel, sums_of_rows
from fastreg.solvers.ridge.problem import RidgeProblem
from fastreg.solvers.softmax import Softmax
from fastreg.threads import effective_threads

EPS = np.finfo(float).eps
# Rows or columns whose matrix is decomposed; its price in products with X that it may save.
MOST, SAVED = 2000, 500
# Steps under one preconditioner, after which an answer is certified from X; those that are remembered, if they take no
# more than X, but FEWEST.
STEPS, REMEMBERED, FEWEST = 50, 30, 5
# Norms of columns in units of their level's, beneath which products that centre afterwards lose too many digits.
HIGH = 1e-4
# Of the gap that is wanted, what the end of a round must have; of the slope that a step begins with, what may be left.
HANDED, ACCEPTED, TRIALS = 0.9, 0.2, 30
# In units of the loss, decreases that rounding hides; so many steps of them without a tenth off the gap are the end.
HIDDEN, IDLE = 1e-13, 20


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
        if self.vectors is None or not (np.array_equal(self.of.factors, of.factors)
                                        and np.array_equal(self.of.counts, of.counts)):
            return None
        return lent(self, of)

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

    def __init__(self, of):
        self.of = of
        squares = of.view.norms[of.counts]**2 / of.factors[of.counts]
        self.values = np.array([np.sum(squares) / of.problem.n])

    def lent(self, of):
        """Nothing of it is dear."""

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


class History:
    """Steps and the changes of the gradient that they brought.

    Parameters
    ----------
    dot : callable
        Inner product.
    most : int
        Steps that are kept.
    """

    def __init__(self, dot, most):
        self.dot, self.most, self.pairs = dot, most, []

    def add(self, step, change):
        """Remember a step; one along which rounding hides the curvature is passed over."""
        curvature = self.dot(step, change)
        if curvature > EPS * np.sqrt(self.dot(step, step) * max(self.dot(change, change), 0)):
            self.pairs = [*self.pairs[1 - self.most:], (step, change, curvature)]

    def solve(self, g, preconditioner):
        """What the inverse of the Hessian would make of g, as far as it is known."""
        left, parts = g.copy(), []
        for step, change, curvature in reversed(self.pairs):
            parts.append(self.dot(step, left) / curvature)
            left -= parts[-1] * change
        found = preconditioner(left)
        for (step, change, curvature), part in zip(self.pairs, reversed(parts)):
            found += (part - self.dot(change, found) / curvature) * step
        return found


class QuasiNewton(Softmax):
    """Solutions along decreasing alphas; parameters as of Softmax. With an L2 penalty alone: see Problem.by_ridge."""

    def __init__(self, problem, spec, xy=None, lead=None):
        super().__init__(problem, spec, xy, lead)
        borrowed = None if lead is None else lead.space.lent(self)
        self.by_library = self._by_library()
        self.space = self._suited()(self) if borrowed is None else borrowed
        self.begun = None               # coordinates; None: they are to be made of coefficients

    def _suited(self):
        problem = self.problem
        if problem.p <= problem.n:
            return Columns
        cheap = 10 * problem.n**3 <= SAVED * 4 * problem.n_targets * self.size
        return Kernel if problem.n <= MOST and cheap else Rows

    @property
    def weighted_rows(self):
        """Which rows have a weight."""
        return np.ones(self.problem.n, dtype=bool) if self.weights is None else self.weights > 0

    def start(self, coefs):
        """Start from coefs of shape (n_classes, p)."""
        super().start(coefs)
        self.begun = None

    # ---- products with X ---------------------------------------------------------------------------------------------
    def _by_library(self):
        """Whether BLAS or SciPy multiply X where it lies, and centring afterwards leaves digits enough."""
        problem, norms = self.problem, self.view.norms
        reads = problem.X.dtype == np.float64 if problem.sparse else reads_directly(self.view)
        level = np.abs(self.view.means) * np.sqrt(problem.n)
        return bool(reads and not np.any(norms[self.counts] < HIGH * level[self.counts]))

    def forth(self, W):
        """X w_k as rows, X centred."""
        if not self.by_library:
            return self._products(W)
        self.streamed += len(W) * self.size
        X = self.problem.X
        product = np.ascontiguousarray((X @ np.ascontiguousarray(W.T)).T) if self.problem.sparse else W @ X.T
        return product - (W @ self.view.means)[:, None] if self.problem.fit_intercept else product

    def back(self, R):
        """X' r_k as rows, of the columns that count."""
        if not self.by_library:
            return self._correlations(R)
        self.streamed += self.size
        X = self.problem.X
        product = (X.T @ np.ascontiguousarray(R.T)).T if self.problem.sparse else R @ X
        if self.problem.fit_intercept:
            product -= np.multiply.outer(R.sum(axis=1), self.view.means)
        product[:, ~self.counts] = 0
        return product

    def there_and_back(self, a):
        """X F^-1 X' a_k as rows, of a_k whose sums are zero."""
        if not (self.by_library and self.problem.sparse):
            return self.forth(self.back(a) / self.factors)
        self.streamed += 2 * self.size
        W = self.problem.X.T @ np.ascontiguousarray(a.T)
        W *= np.where(self.counts, 1 / self.factors, 0)[:, None]
        product = self.problem.X @ W
        if self.problem.fit_intercept:
            product -= self.view.means @ W
        return np.ascontiguousarray(product.T)

    def balanced(self, a):
        """a without its sums, which are rounding where there is an intercept."""
        if not self.problem.fit_intercept:
            return a
        of_rows = np.ones(a.shape[1]) if self.weights is None else self.weights
        return a - np.multiply.outer(a.sum(axis=1) / of_rows.sum(), of_rows)

    # ---- one alpha ---------------------------------------------------------------------------------------------------
    def _at(self, alpha):
        """(W, intercepts, gap, rounds, why it ended, loss) at alpha."""
        l2, aim = alpha * self.factors, self.spec.tol * self.unit
        self.history, going = None, True
        for rounds in range(self.spec.max_iter + 1):
            self.spec.tell(self.finished, rounds)
            self._settle()
            down = self.back(self._residual(self.eta)[1])
            down -= l2 * self.W
            gap = 0.5 * float(np.einsum("kj,kj,j->", down, down, 1 / l2))
            if gap <= aim or not going or rounds == self.spec.max_iter:
                break
            if self.begun is None:
                self._begin(alpha)
            going = self._round(alpha, aim)
            self._spell()
            if not (going or isinstance(self.space, Columns)):      # which have the digits that products of rows lose
                self.space, self.begun, self.history, going = Columns(self), None, None, True
        return self._found(gap, rounds, 0 if gap <= aim else 1 if going else 2)

    def _begin(self, alpha):
        """Coordinates of the coefficients, which are those of the coordinates then."""
        self.begun = self.space.begin(self.W, alpha)
        if self.W.any():
            self._spell()
            self._settle()

    def _spell(self):
        """Coefficients and predictors at the coordinates."""
        self.W = self.space.coefs(self.begun)
        self.eta = self.forth(self.W) + self.b[:, None]

    def _round(self, alpha, aim):
        """Steps under one preconditioner; whether more may help."""
        space, dot = self.space, self.space.dot
        if self.history is None:
            self.history = History(dot, int(np.clip(self.size / (2 * self.begun.size), FEWEST, REMEMBERED)))
        (chances, residual), best, idle, before = self._residual(self.eta), np.inf, 0, None
        bent = np.mean(self._weighted(chances * (1 - chances)), axis=1)
        preconditioner = space.preconditioner(bent, alpha)
        hidden = HIDDEN * self._loss(self.eta)
        for _ in range(STEPS):
            self.spec.tell(self.finished)
            of_levels = self._levels(chances)
            nearer, settled = self._settled(chances, residual, of_levels)
            g = space.gradient(self.begun, nearer, alpha)
            gap = 0.5 * dot(g, g) / alpha
            if gap <= HANDED * aim:
                return True
            if before is not None:
                self.history.add(self.begun - before[0], g - before[1])
            d = -self.history.solve(g, preconditioner)
            v, level = self._followed(chances, space.images(d), of_levels)
            v, level = v + settled[:, None], level + settled
            cross = alpha * dot(self.begun, d)
            slope = cross - float(np.vdot(residual, v))
            idle = idle + 1 if gap > 0.9 * best and -slope < hidden else 0
            best = min(best, gap)
            part, there = self._length(v, slope, cross, alpha * dot(d, d))
            if idle > IDLE or (part == 0 and not self.history.pairs):
                return False
            if part == 0:                           # what it remembers is rounding
                self.history.pairs, before = [], None
                continue
            before, (chances, residual) = (self.begun, g), there
            self.begun, self.eta, self.b = self.begun + part * d, self.eta + part * v, self.b + part * level
        return True

    def _length(self, v, slope, cross, bend):
        """(How far to go along v, the residuals there), by Newton's method on the slope: 0 where there is no way down.

        The penalty's slope is cross + t bend."""
        low, high, part = 0.0, np.inf, 1.0
        for _ in range(TRIALS if slope < 0 else 0):
            chances, residual = there = self._residual(self.eta + part * v)
            here = cross + part * bend - float(np.vdot(residual, v))
            if abs(here) <= ACCEPTED * -slope:
                return part, there
            low, high = (part, high) if here < 0 else (low, part)
            weighted = self._weighted(chances)
            curvature = bend + float(np.vdot(weighted, v**2) - np.vdot((weighted * v).sum(axis=0),
                                                                       (chances * v).sum(axis=0)))
            part = part - here / curvature
            if not low < part < high:
                part = 2 * low if np.isinf(high) else 0.5 * (low + high)
        return 0.0, None

    def _levels(self, chances):
        """What gives intercepts to sums of residuals: the pseudo-inverse of their equations; None without any."""
        if not self.problem.fit_intercept:
            return None
        weighted = self._weighted(chances)
        return np.linalg.pinv(np.diag(weighted.sum(axis=1)) - weighted @ chances.T, hermitian=True)

    def _settled(self, chances, residual, of_levels):
        """(Residuals with intercepts nearer to their best, their change): else no step need lead down."""
        if of_levels is None:
            return residual, np.zeros(len(residual))
        level = of_levels @ residual.sum(axis=1)
        return residual - self._weighted(chances) * (level[:, None] - level @ chances), level

    def _followed(self, chances, change, of_levels):
        """(A change of the predictors with the intercepts that follow it, these)."""
        if of_levels is None:
            return change, np.zeros(len(change))
        turned = np.sum(self._weighted(chances) * (change - np.sum(chances * change, axis=0)), axis=1)
        level = -of_levels @ turned
        return change + level[:, None], level
