"""Losses f(y, eta) of generalised linear models in NumPy, apart from those that the solvers use.

Another loss is a subclass of `Loss` and its name in `LOSSES`.
"""
import numpy as np
from scipy.special import expit

EPS = np.finfo(float).eps


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


class Loss:
    """A loss that is convex and smooth in eta."""

    labels = False                     # whether y is -1 or 1, made of two labels

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

        Where u = f'(y, other) it is f(y, eta) less the tangent of f(y, .) that touches it at the other.
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


LOSSES = {"logistic": Logistic(), "poisson": Poisson()}
