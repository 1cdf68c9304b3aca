"""The squared loss: its target, and what an answer leaves of it."""
import copy

import numpy as np

from fastreg.referee.data import EPS


class SquaredTarget:
    """One target, brought to unit size by a power of two, and centred where columns are.

    Parameters
    ----------
    data : Data
    y : ndarray of shape (n,)

    Attributes
    ----------
    exponent : int
        Of the power of two that y was divided by.
    values : ndarray of shape (n,)
        What is left of y.
    null : float
        Weighted sum of their squares: what gaps are relative to.
    size : float
        Norm of the residual of the null fit, the root of it.
    """

    # Beyond, penalties would find no room beside the scale; squares of what is left of y are still numbers.
    REACH = 800
    unit = 1.0               # of the loss, which the exponent alone brings down

    def __init__(self, data, y):
        y = np.asarray(y, dtype=np.float64)
        self.data = data
        self.exponent = int(np.clip(np.frexp(np.max(np.abs(y)))[1], -self.REACH, self.REACH))
        values, mean = data.centre(np.ldexp(y, -self.exponent)[:, None])
        self.values, self.mean = values[:, 0], float(mean[0])
        self.null = _square(data.root * self.values)
        self.size = float(np.sqrt(self.null))

    def shift(self, w, intercept):
        """(The best intercept for scaled coefficients less the one given, size of the terms that it is a sum of.)"""
        if not self.data.centred:
            return 0.0, 0.0
        b, means = float(np.ldexp(float(intercept), -self.exponent)), self.data.means
        best = np.longdouble(self.mean) - means.astype(np.longdouble) @ w.astype(np.longdouble)
        return float(best - b), abs(b) + abs(self.mean) + float(np.abs(means) @ np.abs(w))

    def fit(self, fitted, w, intercept):
        """What coefficients leave, from the fitted values less their mean."""
        return SquaredFit(self, fitted, w, intercept)


class SquaredFit:
    """What an answer leaves of the loss, the intercept at its best.

    Attributes
    ----------
    r : ndarray of shape (n,)
        Less the derivative of the loss: the residual.
    loss : float
        At the intercept given.
    off : float
        Of it, what the best intercept takes away.
    unsettled : float
        Mean of the residual at the intercept given.
    settled : bool
        Whether the residual is a dual point as far as the intercept goes.
    """

    quadratic, settled = True, True

    def __init__(self, target, fitted, w, intercept):
        self.data, self.size = target.data, target.size
        self.r = self.data.centre((target.values - fitted)[:, None])[0][:, 0]
        shift, self.level = target.shift(w, intercept)
        self.unsettled = abs(shift)
        self.off = 0.5 * self.data.total * (abs(shift) + EPS * self.level) ** 2
        self.loss = 0.5 * self.rr + self.off

    @property
    def rr(self):
        """Weighted sum of the squared residuals."""
        return _square(self.data.root * self.r)

    def noise(self, unit, of_coef, reach):
        """(Rounding of the residual, its norm; what the nearest float64 answer may have of a gap, second order.)"""
        noise = unit * self.size + of_coef * reach
        return noise, 0.5 * noise**2 + 0.5 * self.data.total * (of_coef * self.level) ** 2

    def left(self, c, away):
        """What Fenchel and Young leave of the loss at c times the residual, or as far as c `away` beside it."""
        return 0.5 * ((1 - c) * np.sqrt(self.rr) + c * away) ** 2

    def best(self, product):
        """The multiple of the residual that is best if only active columns matter; product of coefficients and slopes.
        """
        rr = self.rr
        return 1 + product / rr if rr > 0 else 1.0

    def project(self, change):
        """A change of the fitted values, less what the intercept takes back: it is centred already."""
        return change

    def spread(self, rows):
        """The transpose of `project` on weighted rows, whose weights are still to come."""
        return np.divide(rows, self.data.weight, out=np.zeros(self.data.n), where=self.data.weight > 0)

    def model(self):
        """(Roots of weights times curvature, the residual in the model's least squares, mean curvature.)"""
        return self.data.root, self.data.root * self.r, 1.0

    def along(self, change, slope, bend, most):
        """(Step along a change, at most `most`; the descent that it brings): slope, bend of what is left of P."""
        return most, most * slope - 0.5 * most**2 * (_square(self.data.root * change) + bend)

    def moved(self, change):
        """The fit after a change of the fitted values."""
        fit = copy.copy(self)
        fit.r, fit.off = self.r - change, 0.0
        return fit


def _square(v):
    return float(v @ v)
