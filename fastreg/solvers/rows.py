"""A loss on rows of X, as Newton's method asks for it."""
from functools import cached_property

import numpy as np

from fastreg.design import as_design, view_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.threads import effective_threads

# Of the mean curvature, what every row is given at least in a step: never in gradient or gap.
FLOOR = 1e-10
# Of the slope that a step begins with, what may be left of it, with the other sign.
ACCEPTED = 0.5
TRIALS = 40


class Point:
    """Coefficients and intercept, with eta of some rows and what the loss is there.

    Parameters
    ----------
    rows : Rows
    w : ndarray of shape (p,)
    b : float
        Of centred X.
    eta : ndarray of shape (n,)
    """

    def __init__(self, rows, w, b, eta):
        self.rows, self.w, self.b, self.eta = rows, w, b, eta

    @classmethod
    def at(cls, rows, w):
        """With the intercept that is best for Xw."""
        return cls(rows, w, *rows.with_intercept(rows.product(w) + rows.offset))

    def moved(self, move, level, v):
        """The point at w + move, where Xw + b has changed by v and b, of that, by `level`: with its best intercept."""
        shift, eta = self.rows.with_intercept(self.eta + v)
        return Point(self.rows, self.w + move, self.b + level + shift, eta)

    @cached_property
    def _derivatives(self):
        return self.rows.derivatives(self.eta)

    @property
    def slope(self):
        """s f'."""
        return self._derivatives[0]

    @property
    def curvature(self):
        """s f''."""
        return self._derivatives[1]

    @cached_property
    def pull(self):
        """-X's f'."""
        return -self.rows.correlate(self.slope)

    @cached_property
    def loss(self):
        """sum_i s_i f."""
        return self.rows.loss(self.eta)


class Rows:
    """``sum_i s_i f(y_i, eta_i)`` over some rows, X being centred about its means there where an intercept is fitted.

    Parameters
    ----------
    problem : Problem
        Of one target.
    chosen : ndarray of int or None
        The rows, all for None.

    Attributes
    ----------
    streamed : int
        Elements of X read so far.
    """

    def __init__(self, problem, chosen=None):
        weights, offset = problem.weights.normalised, problem.offset
        take = slice(None) if chosen is None else chosen
        self.X = problem.X if chosen is None else problem.X[chosen]
        self.n, self.p = self.X.shape
        self.datafit, self.fit_intercept, self.sparse = problem.datafit, problem.fit_intercept, problem.sparse
        self.y = np.ascontiguousarray(problem.Y[take, 0])
        self.weights = None if weights is None else weights[take]
        self.offset = np.zeros(self.n) if offset is None else offset[take]
        self.n_threads = effective_threads(problem.n_threads)
        self.view = view_of(as_design(self.X, self.n_threads), None, self.fit_intercept)
        column_moments(self.view, np.empty((0, self.n)))
        self.means, self.norms = self.view.means, self.view.norms
        self.size = self.streamed = self.X.nnz if self.sparse else self.X.size

    @property
    def total(self):
        """What the rows weigh."""
        return self.n if self.weights is None else float(self.weights.sum())

    def one_sided(self):
        """Whether no two rows that weigh differ in y."""
        y = self.y if self.weights is None else self.y[self.weights > 0]
        return y.size == 0 or np.ptp(y) == 0

    def derivatives(self, eta):
        """s f' and s f'' of the rows; rows without weight may hold anything."""
        return self.datafit.derivatives(self.y, eta, self.weights)

    def loss(self, eta):
        """sum_i s_i f."""
        return self.datafit.loss(self.y, eta, self.weights)

    def product(self, w):
        """Xw, of centred X."""
        self.streamed += self.size
        return combine(self.view, w[None])[0]

    def correlate(self, v):
        """X'v, of centred X."""
        self.streamed += self.size
        return correlate(self.view, v[None])[0]

    def with_intercept(self, shift):
        """(intercept, eta) that go with Xw + offset."""
        if not self.fit_intercept:
            return 0.0, shift
        return self.datafit.with_intercept(self.y, self.weights, shift)

    def floored(self, curvature):
        """Curvatures of which none is too small; 0 without weight."""
        least = FLOOR * curvature.mean() if curvature.any() else 1.0
        return np.maximum(curvature, least if self.weights is None else least * self.weights)

    def search(self, eta, v, begin, penalty_slope):
        """The part of a step to be taken, eta moving along v and the slope of the objective being `begin` at first."""
        def slope_at(part):
            slope = self.derivatives(eta + part * v)[0] @ v + penalty_slope(part)
            return np.inf if np.isnan(slope) else slope       # where the loss is no number any more, it is too far

        return along(slope_at, begin)


def along(slope_at, begin):
    """The part of a step to be taken, at most 1, by the slope of a convex objective, which is `begin` at first."""
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
