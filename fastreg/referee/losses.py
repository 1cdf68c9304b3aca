"""Losses f(y, eta) of generalised linear models in NumPy, apart from those that the solvers use.

Another loss is a subclass of `Loss` and its name in `LOSSES`.
"""
import re
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

EPS = np.finfo(float).eps
# Exponents of y up to which a loss is judged as it is.
MODERATE = 64
# Exponent of the unit of a loss, which is a number itself.
MOST = 1000


def divergence(mean, step):
    """``(m + d) log((m + d) / m) - d``: what Fenchel and Young leave where means m >= 0 move by d.

    Not negative, exact to rounding for small d / m, never too small: infinite where m + d < 0, or m = 0 < d.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = step / mean
        series = np.zeros_like(ratio)
        for k in range(11, -1, -1):                          # z^2 sum_k (-z)^k / ((k + 1) (k + 2))
            series = 1 / ((k + 1) * (k + 2)) - ratio * series
        moved = mean + step
        out = np.where(np.abs(ratio) < 0.03, mean * ratio**2 * series,
                       np.where(moved > 0, moved * np.log1p(ratio), 0) - step)
    outside = (moved < -8 * EPS * np.maximum(mean, np.abs(step))) | ((mean == 0) & (step > 0))
    return np.where(outside, np.inf, np.where(step == 0, 0, np.maximum(out, 0)))


@dataclass
class Down:
    """The same for a y of unit size: of both, what is left above the least value is ``unit * 4**of_eta`` times that of
    ``loss(y / 2**of_y, eta / 2**of_eta - shift)``."""

    loss: object
    of_y: int = 0
    of_eta: int = 0
    shift: float = 0.0
    unit: float = 1.0


class Loss:
    """A loss that is smooth in eta."""

    labels = False                     # whether y is -1 or 1, made of two labels
    convex = True                      # in eta
    power: float | None = None         # of the mean, that a variance is a multiple of: y and its mean have units

    def brought_down(self, y):
        """What is judged of targets as large or small as y."""
        exponent = _exponent(y)
        if self.power is None or abs(exponent) <= MODERATE:
            return Down(self)
        reach = MOST // max(abs(2 - self.power), 0.5)
        exponent = int(np.clip(exponent, -reach, reach))
        return Down(self, exponent, 0, exponent * np.log(2), float(np.exp2((2 - self.power) * exponent)))

    def check(self, y):
        """Raise a ValueError where y is not in the domain."""

    def excess(self, y, eta):
        """f(y, eta) less the least value that f(y, .) has or comes near to."""
        raise NotImplementedError

    def slope(self, y, eta):
        """Derivative in eta."""
        raise NotImplementedError

    def curvature(self, y, eta):
        """Second derivative in eta."""
        raise NotImplementedError

    def young(self, y, eta, step):
        """``f(y, eta) + f*(y, u) - u eta >= 0`` at ``u = f'(y, eta) + step``, f* the conjugate; exact for small steps.

        Where u = f'(y, other) it is f(y, eta) less the tangent of f(y, .) that touches it at the other. Not of a loss
        that is not convex.
        """
        raise NotImplementedError


class Logistic(Loss):
    """log(1 + exp(-y eta)), y of -1 and 1."""

    labels = True

    def excess(self, y, eta):
        """The loss itself, whose least value is 0."""
        return np.logaddexp(0, -y * eta)

    def slope(self, y, eta):
        """Less y times the probability of the other label."""
        return -y * expit(-y * eta)

    def curvature(self, y, eta):
        """Variance of y in 0 and 1."""
        return expit(eta) * expit(-eta)

    def young(self, y, eta, step):
        """Relative entropy of two pairs of probabilities."""
        move = -y * step
        return divergence(expit(-y * eta), move) + divergence(expit(y * eta), -move)


class Poisson(Loss):
    """exp(eta) - y eta: half the deviance of counts, but for what does not depend on eta."""

    power = 1

    def check(self, y):
        """Counts, or anything else that is not negative."""
        if np.any(y < 0):
            raise ValueError("y must not be negative for the Poisson loss.")

    def excess(self, y, eta):
        """Half the deviance."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            away = eta - np.log(y)
            series = np.ones_like(away)
            for k in range(9, 2, -1):                        # (exp(z) - 1 - z) / z^2 = 1/2 (1 + z/3 (1 + z/4 (...)))
                series = 1 + away * series / k
            return np.where(y > 0, y * np.where(np.abs(away) < 0.03, 0.5 * away**2 * series, np.expm1(away) - away),
                            np.exp(eta))

    def slope(self, y, eta):
        """Less the residual of the count."""
        return np.exp(eta) - y

    def curvature(self, y, eta):
        """The mean."""
        return np.exp(eta)

    def young(self, y, eta, step):
        """Relative entropy of two means."""
        return divergence(np.exp(eta), step)


class Gamma(Loss):
    """y exp(-eta) + eta: half the deviance of amounts, but for what does not depend on eta."""

    power = 2

    def check(self, y):
        """Amounts are positive."""
        if np.any(y <= 0):
            raise ValueError("y must be positive for the gamma loss.")

    def excess(self, y, eta):
        """Half the deviance: that of a count of 1 whose mean has the logarithm log(y) - eta."""
        return LOSSES["poisson"].excess(np.ones_like(y), np.log(y) - eta)

    def slope(self, y, eta):
        """1 less the ratio of y to its mean."""
        return 1 - y * np.exp(-eta)

    def curvature(self, y, eta):
        """The ratio of y to its mean."""
        return y * np.exp(-eta)

    def young(self, y, eta, step):
        """Relative entropy of two ratios."""
        return divergence(y * np.exp(-eta), -step)


class Tweedie(Loss):
    """y exp(-b eta) / b + exp(a eta) / a, a = 2 - power, b = power - 1, for a power between 1 and 2."""

    def __init__(self, power):
        self.power, self.a, self.b = power, 2 - power, power - 1

    def check(self, y):
        """Amounts, or nothing."""
        if np.any(y < 0):
            raise ValueError("y must not be negative for a Tweedie loss.")

    def _terms(self, y, eta):
        return np.exp(self.a * eta), y * np.exp(-self.b * eta)

    def excess(self, y, eta):
        """Half the deviance: what the tangents at log(y) leave."""
        up = np.exp(self.a * eta)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = eta - np.log(y)
            return np.where(y > 0, y**self.a * (_beyond(self.a * away) / self.a + _beyond(-self.b * away) / self.b),
                            up / self.a)

    def slope(self, y, eta):
        """Of the mean in the units of the loss."""
        up, down = self._terms(y, eta)
        return up - down

    def curvature(self, y, eta):
        """Never zero."""
        up, down = self._terms(y, eta)
        return self.a * up + self.b * down

    def young(self, y, eta, step):
        """What the tangent of slope f' + step leaves: where it touches is found by bisection."""
        up, down = self._terms(y, eta)
        lo, hi = np.full_like(eta, -2000.0), np.full_like(eta, 2000.0)

        def gained(move):
            with np.errstate(over="ignore", invalid="ignore"):
                return up * np.expm1(self.a * move) - np.where(down > 0, down * np.expm1(-self.b * move), 0)

        move = np.where(gained(step / (self.a * up + self.b * down)) > step, -1e-300, 1e-300)
        for _ in range(1100):                                # to the last bit of however small a number
            above = gained(move) > step
            lo, hi = np.where(above, lo, move), np.where(above, move, hi)
            inner = 0.5 * (lo + hi)
            with np.errstate(invalid="ignore"):              # of one sign: by ratios
                inner = np.where(lo * hi > 0, np.sign(lo) * np.sqrt(lo * hi), inner)
            if np.all((inner == move) | (inner == lo) | (inner == hi)):
                break
            move = inner
        with np.errstate(over="ignore", invalid="ignore"):
            left = (np.where(up > 0, up * np.exp(self.a * move) * _beyond(-self.a * move), 0) / self.a
                    + np.where(down > 0, down * np.exp(-self.b * move) * _beyond(self.b * move), 0) / self.b)
        nothing = (y == 0) & (up + step <= 0)
        return np.where(nothing, np.where(up + step < -8 * EPS * up, np.inf, up / self.a), np.where(step == 0, 0, left))


class OtherTweedie(Tweedie):
    """The same formula for a power above 2, or not above 0: not convex, the curvature being no less than that
    expected of y."""

    convex = False

    def check(self, y):
        """Positive amounts, or any number."""
        if self.power > 2 and np.any(y <= 0):
            raise ValueError("y must be positive for a Tweedie loss of a power above 2.")

    def excess(self, y, eta):
        """Half the deviance."""
        up, down = self._terms(y, eta)
        return np.where(y > 0, super().excess(np.maximum(y, 1e-300), eta), up / self.a + down / self.b)

    def curvature(self, y, eta):
        """At least what it is where y is the mean."""
        return np.maximum(super().curvature(y, eta), np.exp(self.a * eta))


class Given(Loss):
    """A loss of the user's own.

    Parameters
    ----------
    datafit : object
        With `given`, a function of (y, eta) that returns values, slopes and curvatures; `labels`, `convex`, `domain`.
    """

    def __init__(self, datafit):
        self.given, self.domain = datafit.given, datafit.domain
        self.labels, self.convex = datafit.labels, datafit.convex

    def check(self, y):
        """What the user says."""
        self.domain.check(y)

    def excess(self, y, eta):
        """Less the value where the slope is zero, or the least on a grid."""
        of, back = np.unique(y, return_inverse=True)
        if self.convex:
            at = self._where(of, np.zeros(len(of)), np.zeros(len(of)))[1]
            least = self.given(of, np.where(np.isfinite(at), at, 0))[0]
        else:
            least = self._lowest(of)
        return np.maximum(self.given(y, eta)[0] - least[back.reshape(y.shape)], 0)

    def _lowest(self, y):
        """The least value on a grid and, a dozen times, on one ten times as fine about the best of the last."""
        side = np.geomspace(1e-3, 1e3, 200)
        at, least, reach = np.zeros(len(y)), np.full(len(y), np.inf), np.maximum(1, np.abs(y))
        moves = [0, *side, *-side]
        for finer in range(13):
            middle = at
            for move in moves:
                eta = middle + move * reach
                f = self.given(y, eta)[0]
                at, least = np.where(f < least, eta, at), np.fmin(f, least)
            moves, reach = np.linspace(-1, 1, 21), 0.1 * reach if finer else 0.08 * np.abs(at) + 1e-3 * reach
        return least

    def slope(self, y, eta):
        """As it is given."""
        return self.given(y, eta)[1]

    def curvature(self, y, eta):
        """As it is given, or its size."""
        return np.abs(self.given(y, eta)[2]) if not self.convex else np.maximum(self.given(y, eta)[2], 0)

    def young(self, y, eta, step):
        """f less a tangent at an eta a little beyond that of the slope f' + step, and what that may lack."""
        f, slope, _ = self.given(y, eta)
        u = slope + step
        _, beyond = self._where(y, u, eta)
        there, at, _ = self.given(y, np.where(np.isfinite(beyond), beyond, eta))
        with np.errstate(invalid="ignore"):
            reach = np.abs(beyond - eta)
            left = f - there - u * (eta - beyond) + reach * np.abs(at - u) + 4 * EPS * (np.abs(f) + np.abs(there))
            left = np.clip(left, 0, reach * np.abs(step))
        return np.where(step == 0, 0, np.where(np.isfinite(beyond), left, np.inf))

    def _where(self, y, u, eta):
        """Two eta between which the slope comes to u, the second the further from `eta`; infinite where it does not."""
        side = np.sign(u - self.slope(y, eta))
        near, far, reach = eta.astype(float), eta.astype(float), 1.0
        short = side != 0
        while np.any(short) and reach < 1e300:
            near, far = np.where(short, far, near), np.where(short, far + side * reach, far)
            short, reach = short & (side * (u - self.slope(y, far)) > 0), 2 * reach
        for _ in range(1100):
            middle = 0.5 * (near + far)
            if np.all((middle == near) | (middle == far)):
                break
            less = side * (u - self.slope(y, middle)) > 0
            near, far = np.where(less, middle, near), np.where(less, far, middle)
        return near, np.where(short, np.inf, far)


class SquaredHinge(Loss):
    """max(0, 1 - y eta)^2 / 2, y of -1 and 1."""

    labels = True

    def excess(self, y, eta):
        """The loss itself."""
        return 0.5 * np.maximum(1 - y * eta, 0)**2

    def slope(self, y, eta):
        """What is short of the margin."""
        return -y * np.maximum(1 - y * eta, 0)

    def curvature(self, y, eta):
        """None beyond the margin."""
        return (y * eta < 1).astype(float)

    def young(self, y, eta, step):
        """Squares, and a product beyond the margin."""
        short, t = 1 - y * eta, np.maximum(1 - y * eta, 0) - y * step
        left = np.where(short >= 0, 0.5 * step**2, 0.5 * t**2 - t * short)
        return np.where(t < -8 * EPS * np.abs(step), np.inf, left)


class Huber(Loss):
    """r^2 / 2 up to a distance, and a line beyond it; r = eta - y."""

    def __init__(self, delta):
        self.delta = delta

    def brought_down(self, y):
        """The squares of what is brought down are numbers, and where y is far beyond delta, those of delta."""
        exponent = min(_exponent(y), int(np.frexp(self.delta)[1]))
        exponent *= abs(exponent) > MODERATE
        return Down(Huber(float(np.ldexp(self.delta, -exponent))), exponent, exponent)

    def check(self, y):
        """Any number."""

    def excess(self, y, eta):
        """The loss itself."""
        r = np.abs(eta - y)
        return np.where(r <= self.delta, 0.5 * r**2, self.delta * (r - 0.5 * self.delta))

    def slope(self, y, eta):
        """The residual, or its sign times the distance."""
        return np.clip(eta - y, -self.delta, self.delta)

    def curvature(self, y, eta):
        """None beyond the distance."""
        return (np.abs(eta - y) <= self.delta).astype(float)

    def young(self, y, eta, step):
        """Squares, and a product beyond the distance."""
        far, u = np.maximum(np.abs(eta - y) - self.delta, 0), self.slope(y, eta) + step
        inward = np.where(far > 0, -np.sign(eta - y) * step, 0)
        return np.where(np.abs(u) > self.delta * (1 + 8 * EPS), np.inf, 0.5 * step**2 + far * np.maximum(inward, 0))


def _beyond(x):
    """exp(x) - 1 - x."""
    series = np.ones_like(x)
    for k in range(14, 2, -1):
        series = 1 + x * series / k
    with np.errstate(over="ignore"):
        return np.where(np.abs(x) < 0.1, 0.5 * x**2 * series, np.expm1(x) - x)


def _exponent(y):
    """That of the largest |y|."""
    return int(np.frexp(np.max(np.abs(y), initial=0.0))[1])


LOSSES = {"logistic": Logistic(), "poisson": Poisson(), "gamma": Gamma(), "squared_hinge": SquaredHinge()}
OTHER_NAMES = {"inverse_gaussian": "tweedie(3.0)"}


def loss_named(name):
    """The loss of that name, or of that object; None of the squared one and of several classes."""
    if not isinstance(name, str):
        return Given(name)
    found = re.fullmatch(r"(\w+)\((.*)\)", OTHER_NAMES.get(name, name))
    if not found:
        return LOSSES.get(name)
    number = float(found[2])
    if found[1] == "huber":
        return Huber(number)
    return LOSSES["poisson"] if number == 1 else LOSSES["gamma"] if number == 2 else (
        Tweedie(number) if 1 < number < 2 else OtherTweedie(number))
