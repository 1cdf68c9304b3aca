"""Several classes with an L2 penalty alone: limited-memory BFGS, preconditioned (Nocedal, Math. Comp. 35 (1980)).

A step costs a product with X and one with X', as one of conjugate gradients in Newton's method does; on images and text
it takes a third to a quarter of these. What is minimised is about `coordinates`; steps are those of the coefficients
with intercepts that follow; their length takes no X. What they have found out about the Hessian serves at the next
alpha, too; where they would take longer than a matrix costs, it is made along `leading` coordinates.
"""
from typing import NamedTuple

import numpy as np

from fastreg.kernels.gram import reads_directly
from fastreg.kernels.history import History
from fastreg.kernels.softmax import (
    followed_change,
    settled_residuals,
    softmax_levels,
    softmax_loss,
    softmax_rows,
)
from fastreg.solvers.coordinates import Columns, suited
from fastreg.solvers.leading import Leading, pays, price
from fastreg.solvers.softmax import Softmax

# Steps under one preconditioner, after which an answer is certified from X; those that are remembered, if they take no
# more than X, but FEWEST.
STEPS, REMEMBERED, FEWEST = 50, 30, 5
# Norms of columns in units of their level's, beneath which products that centre afterwards lose too many digits.
HIGH = 1e-4
# Of the gap that is wanted, what the end of a round must have; of the slope that a step begins with, what may be left.
HANDED, ACCEPTED, TRIALS = 0.9, 0.2, 30
# In units of the loss, decreases that rounding hides; so many steps of them without a tenth off the gap are the end.
HIDDEN, IDLE = 1e-13, 20
# Newton's steps for the intercepts, and what these sums of residuals may have in units of all weights.
SETTLING, SETTLED = 5, 1e-15


class There(NamedTuple):
    """Probabilities and weighted residuals, of shape (n_classes, n), and the slope and curvature of the loss along the
    direction that leads there, less the one."""

    chances: np.ndarray
    residual: np.ndarray
    slope: float = 0.0
    bend: float = 0.0


class QuasiNewton(Softmax):
    """Solutions along decreasing alphas; parameters as of Softmax. With an L2 penalty alone: see Problem.by_ridge."""

    def __init__(self, problem, spec, xy=None, lead=None):
        super().__init__(problem, spec, xy, lead)
        borrowed = None if lead is None else lead.space.lent(self)
        self.by_library = self._by_library()
        self.space = suited(self)(self) if borrowed is None else borrowed
        self.begun = None               # coordinates; None: they are to be made of coefficients
        self.history, self.alpha = None, 0.0
        self.matrix = None              # a Leading; whether another is wanted, one at each alpha
        self.wanted = self.renewed = False

    @property
    def weighted_rows(self):
        """Which rows have a weight."""
        return np.ones(self.problem.n, dtype=bool) if self.weights is None else self.weights > 0

    def start(self, coefs):
        """Start from coefs of shape (n_classes, p)."""
        super().start(coefs)
        self.begun = self.history = None

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
        l2, aim, going = alpha * self.factors, self.spec.tol * self.unit, True
        if self.history is not None and self.space.images_of is None:
            self.history.forget()                   # rows would need more steps with it, not fewer
        elif self.history is not None:
            self.history.bend(alpha - self.alpha)
        self.alpha, self.renewed = alpha, False
        for rounds in range(self.spec.max_iter + 1):
            self.spec.tell(self.finished, rounds)
            self._settle()
            down = self.back(self._residual(self.eta)[1])
            down -= l2 * self.W
            gap = 0.5 * float(np.sum(np.square(down), axis=0) @ (1 / l2))
            if gap <= aim or not going or rounds == self.spec.max_iter:
                break
            if self.begun is None:
                self._begin(alpha)
            going = self._round(alpha, aim)
            self._spell()
            if not (going or isinstance(self.space, Columns)):      # which have the digits that products of rows lose
                self.space, self.begun, self.history, going = Columns(self), None, None, True
                self.matrix = None
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
        space, dot, rows = self.space, self.space.dot, self._rows(self.eta)
        if self.history is None:
            self.history = History(self.begun.size, int(np.clip(self.size / (2 * self.begun.size), FEWEST, REMEMBERED)),
                                   space.apart)
        preconditioner, cost = self._preconditioner(rows.chances, alpha), price(self)
        best, idle, before, gaps = np.inf, 0, None, []
        hidden = HIDDEN * self._loss(self.eta)
        for _ in range(STEPS):
            self.spec.tell(self.finished)
            of_levels = self._levels(rows.chances)
            nearer, settled = self._settled(rows, of_levels)
            g = space.gradient(self.begun, nearer, alpha)
            gaps.append(0.5 * dot(g, g) / alpha)
            if gaps[-1] <= HANDED * aim:
                return True
            self.wanted = not self.renewed and pays(gaps, aim, cost)
            if self.wanted:
                return True
            if before is not None:
                self.history.add(self.begun - before[0], g - before[1])
            d = -self.history.solve(g, preconditioner)
            v, level = self._followed(rows, space.images(d), of_levels, settled)
            cross = alpha * dot(self.begun, d)
            slope = cross - float(np.vdot(rows.residual, v))
            idle = idle + 1 if gaps[-1] > 0.9 * best and -slope < hidden else 0
            best = min(best, gaps[-1])
            part, there = self._length(v, slope, cross, alpha * dot(d, d))
            if idle > IDLE or (part == 0 and not self.history.count):
                return False
            if part == 0:                           # what it remembers is rounding
                self.history.forget()
                before = None
                continue
            before, rows = (self.begun, g), there
            self.begun, self.eta, self.b = self.begun + part * d, self.eta + part * v, self.b + part * level
        return True

    def _preconditioner(self, chances, alpha):
        """What nearly solves Newton's equations."""
        mean = np.mean(self._weighted(chances * (1 - chances)), axis=1)
        by_means = self.space.preconditioner(mean, alpha)
        if self.wanted:
            self.matrix, self.wanted, self.renewed = Leading(self, chances), False, True
            self.history.forget()                   # what steps from afar have found is less true than it
            self.streamed += self.size
        return by_means if self.matrix is None else self.matrix.preconditioner(alpha, by_means)

    def _length(self, v, slope, cross, bend):
        """(How far to go along v, what is There), by Newton's method on the slope: 0 where there is no way down.

        The penalty's slope is cross + t bend."""
        low, high, part = 0.0, np.inf, 1.0
        for _ in range(TRIALS if slope < 0 else 0):
            there = self._rows(self.eta, v, part)
            here = cross + part * bend - there.slope
            if abs(here) <= ACCEPTED * -slope:
                return part, there
            low, high = (part, high) if here < 0 else (low, part)
            part = part - here / (bend + there.bend)
            if not low < part < high:
                part = 2 * low if np.isinf(high) else 0.5 * (low + high)
        return 0.0, None

    # ---- rows and intercepts -----------------------------------------------------------------------------------------
    def _rows(self, eta, v=None, part=0.0):
        """There, at eta + part v."""
        return There(*softmax_rows(self.Y, self.weights, eta, v, part))

    def _residual(self, eta):
        """(Probabilities, label less probability under the weights), of shape (n_classes, n)."""
        return self._rows(eta)[:2]

    def _weighted(self, rows):
        """Times the weights; without one they are 0."""
        return rows if self.weights is None else rows * self.weights

    def _loss(self, eta):
        return softmax_loss(self.Y, self.weights, eta)

    def _settle(self):
        """Intercepts at their best: Newton's method, and what is safe from everywhere if that is not enough."""
        if not self.problem.fit_intercept:
            return
        for _ in range(SETTLING):
            rows = self._rows(self.eta)
            left = rows.residual.sum(axis=1)
            if np.max(np.abs(left)) <= SETTLED * self.problem.n:
                return
            level = self._levels(rows.chances) @ left
            self.eta, self.b = self.eta + level[:, None], self.b + level
        super()._settle()

    def _levels(self, chances):
        """What gives intercepts to sums of residuals; None without any."""
        return softmax_levels(chances, self.weights) if self.problem.fit_intercept else None

    def _settled(self, rows, of_levels):
        """(Residuals with intercepts nearer to their best, their change): else no step need lead down."""
        if of_levels is None:
            return rows.residual, np.zeros(len(rows.residual))
        return settled_residuals(rows.chances, self.weights, rows.residual, of_levels)

    def _followed(self, rows, change, of_levels, beside):
        """(A change of the predictors with the intercepts that follow it and those beside, these)."""
        if of_levels is None:
            return change, beside
        change = np.array(change, order="C")
        return change, followed_change(rows.chances, self.weights, change, of_levels, beside)
