"""Other losses than the squared one: a target with its offset, and what an answer leaves of it.

Names are those of `squares`. The dual point is c times ``-f'(y, eta)``, eta with the best intercept, and what is left
of the loss there is a sum of Fenchel and Young's remainders, one for each row. Of a loss that is not convex the same is
said of its quadratic model at eta.
"""
import copy

import numpy as np

from fastreg.referee.data import EPS

STEPS = 200              # of Newton's method in one variable, and of halving
LEAST_CURVATURE = 1e-10  # of the model that least squares see, relative to the largest
LEAST_OF_MEAN = 1e-2     # of the model that stands for a loss that is not convex, relative to the mean


class LossTarget:
    """One target of a loss.

    Parameters
    ----------
    data : Data
    loss : Loss
    y : ndarray of shape (n,)
    offset : ndarray of shape (n,) or float
        Known part of the linear predictor.

    Attributes
    ----------
    exponent : int
        Of the power of two that coefficients, and y, were divided by.
    unit : float
        What the loss was divided by, beside the square of that.
    null : float
        Weighted loss of the fit of an intercept alone, less the least that there is: half the null deviance.
    size : float
        Norm of the residual of that fit.
    """

    def __init__(self, data, loss, y, offset):
        down = loss.brought_down(y[data.weight > 0])
        self.data, self.loss, self.exponent, self.unit = data, down.loss, down.of_eta, down.unit
        self.y, self.offset = np.ldexp(y, -down.of_y), np.ldexp(offset, -down.of_eta) - down.shift
        self.kind = LossFit if loss.convex else ModelFit
        null = self.kind(self, self.kind(self, np.zeros(data.n) + offset, 0.0).eta, 0.0)
        self.null, self.size = null.loss - null.off, float(np.linalg.norm(data.root * null.r))

    def fit(self, fitted, w, intercept):
        """What coefficients leave, from the fitted values less their mean."""
        level = 0.0
        if self.data.centred:
            means, intercept = self.data.means, np.ldexp(float(intercept), -self.exponent)
            fitted = fitted + float(np.longdouble(intercept) + means.astype(np.longdouble) @ w.astype(np.longdouble))
            level = abs(float(intercept)) + float(np.abs(means) @ np.abs(w))
        return self.kind(self, fitted + self.offset, level)


class LossFit:
    """What an answer leaves of the loss, the intercept at its best; attributes as of `squares.SquaredFit`.

    Parameters
    ----------
    target : LossTarget
    eta : ndarray of shape (n,)
        Linear predictor at the intercept given.
    level : float
        Size of the terms that the intercept is a sum of.
    """

    quadratic = False

    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, target, eta, level):
        self.target, self.data, self.level = target, target.data, level
        self.f, self.y = target.loss, target.y
        self.on = self.data.weight > 0
        self.loss = self._sum(self.f.excess(self.y, eta))
        self.r, self.eta = np.zeros(self.data.n), eta
        self.off, self.unsettled, self.settled = 0.0, np.inf, False
        if not np.isfinite(self.loss):
            return
        slope = self.f.slope(self.y, eta)
        self.unsettled, self.settled = 0.0, True
        if self.data.centred:
            self.unsettled = abs(self._sum(slope)) / self.data.total
            self.eta, self.settled = self._best_intercept(eta)
        self.r[self.on] = -self.f.slope(self.y, self.eta)[self.on]
        self.curvature = np.where(self.on, self.f.curvature(self.y, self.eta), 0.0)
        self.modelled = np.maximum(self.curvature, self._least())
        self.omega = self.data.weight * self.modelled
        if self.data.centred:
            self.off = min(self._sum(self._young(eta, -self.r - slope)), self.loss)

    def _least(self):
        """The least curvature of the model."""
        return LEAST_CURVATURE * np.max(self.curvature, initial=0.0)

    def _young(self, eta, step):
        """What Fenchel and Young leave of each row at eta, at slopes that are a step from those there."""
        return self.f.young(self.y, eta, step)

    def _sum(self, values):
        """Weighted sum over the rows that have a weight."""
        return float(np.sum(self.data.weight[self.on] * values[self.on]))

    def _best_intercept(self, eta):
        """(eta moved to where the derivatives add up to zero, whether they do): Newton's method, held in a bracket.

        Where its steps do not fall to half, they are twice as long until there is a bracket, which is halved then: far
        from the minimum an exponential asks for as many steps of 1 as there are units to go."""
        low, high, total, step = -np.inf, np.inf, 0.0, 8.0
        for _ in range(STEPS):
            here = eta + total
            slopes, curvatures = self.f.slope(self.y, here), self.f.curvature(self.y, here)
            slope, curvature = self._sum(slopes), self._sum(curvatures)
            lost = self._sum(np.abs(slopes) + curvatures * (1 + np.abs(here)))
            if abs(slope) <= 2 * EPS * lost < np.inf:
                break
            side = -np.sign(slope) if slope == slope else -np.sign(step)         # no number: back
            low, high = (total, high) if side > 0 else (low, total)
            last, step = abs(step), -slope / curvature if 0 < curvature < np.inf else np.inf
            if not (low < total + step < high and abs(step) <= 0.5 * last):
                step = side * 2 * last if np.isinf(high - low) else 0.5 * (low + high) - total
            if not low < total + step < high:
                break
            total += step
        return eta + total, bool(abs(slope) <= 16 * EPS * lost < np.inf)

    def noise(self, unit, of_coef, reach):
        """(Rounding of the residual, its norm; what the nearest float64 answer may have of a gap, second order.)"""
        root = self.data.root
        if not self.on.any() or not np.isfinite(self.loss):
            return 0.0, 0.0
        steepest = float(np.max(self.curvature))
        of_eta = of_coef * (reach + np.sqrt(self.data.total) * self.level)
        noise = (unit * float(np.linalg.norm(root * (np.abs(self.r) + self.curvature * (1 + np.abs(self.eta)))))
                 + steepest * of_eta)
        size = unit * float(np.linalg.norm(root * np.sqrt(self.curvature) * (1 + np.abs(self.eta))))
        return noise, 0.5 * (size + np.sqrt(steepest) * of_eta) ** 2

    def left(self, c, away):
        """What Fenchel and Young leave of the loss at c times the residual; `away` is of the squared loss."""
        if c == 1:
            return 0.0
        return self._sum(self._young(self.eta, (1 - c) * self.r) if c > 0 else self.f.excess(self.y, self.eta))

    def best(self, product):
        """The multiple of the residual that is best if only active columns matter and the loss were quadratic."""
        rr = self._sum(np.divide(self.r**2, self.modelled, out=np.zeros(self.data.n), where=self.modelled > 0))
        return 1 + product / rr if rr > 0 else 1.0

    def project(self, change):
        """A change of eta, less what the intercept takes back in the model."""
        return change - self.omega @ change / np.sum(self.omega) if self.data.centred else change

    def spread(self, rows):
        """The transpose of `project` on weighted rows, whose weights are still to come."""
        rows = rows - self.omega * (np.sum(rows) / np.sum(self.omega)) if self.data.centred else rows
        return np.divide(rows, self.data.weight, out=np.zeros(self.data.n), where=self.on)

    def model(self):
        """(Roots of weights times curvature, the residual in the model's least squares, mean curvature.)"""
        residual = np.divide(self.data.root * self.r, np.sqrt(self.modelled), out=np.zeros(self.data.n),
                             where=self.modelled > 0)
        return np.sqrt(self.omega), residual, float(np.sum(self.omega)) / self.data.total

    @np.errstate(over="ignore", invalid="ignore")
    def along(self, change, slope, bend, most):
        """(Step along a change, at most `most`; the descent that it brings): slope, bend of what is left of P."""
        step = most
        for _ in range(STEPS if slope > 0 else 0):
            eta = self.eta + step * change
            risen = self._sum(self._young(eta, -self.r - self.f.slope(self.y, eta)))
            gain = step * slope - risen - 0.5 * step**2 * bend
            if gain >= 0.1 * step * slope:
                return step, gain
            step /= 2
        return most, 0.0

    def moved(self, change):
        """The fit after a change of eta; its `off` is what the intercept brings besides."""
        return LossFit(self.target, self.eta + change, self.level)


class ModelFit(LossFit):
    """What an answer leaves of the quadratic model of a loss that is not convex, of curvatures that are not far below
    their mean."""

    def _least(self):
        return LEAST_OF_MEAN * self._sum(self.curvature) / self.data.total

    def _young(self, eta, step):
        return np.divide(0.5 * step**2, self.modelled, out=np.zeros(self.data.n), where=self.modelled > 0)

    def left(self, c, away):
        """The same of the model."""
        return self._sum(self._young(self.eta, (1 - c) * self.r))

    def along(self, change, slope, bend, most):
        """(The best step along a change, at most `most`; the descent of the model)."""
        bend += self._sum(self.modelled * change**2)
        step = min(most, slope / bend) if slope > 0 and bend > 0 else most
        return step, step * slope - 0.5 * step**2 * bend

    def moved(self, change):
        """The fit after a change of eta, in the same model."""
        fit = copy.copy(self)
        fit.r, fit.off = self.r - np.where(self.on, self.modelled * change, 0.0), 0.0
        return fit
