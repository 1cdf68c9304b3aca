"""Powers of two that bring targets to unit size, and the way back: 1e-200 and 1e160 are numbers like any others."""
from dataclasses import dataclass

import numpy as np

# Exponents of targets that are left as they are: their squares, times those of X, are far from the ends of float64.
MODERATE = 64
# Smaller coefficients and penalties have lost most of their digits to underflow: a millionth of them, or more.
LEAST = 2.0**-1054
# Largest exponent of a scale: penalty factors need room beside it, and squares of what is left of y are still numbers.
REACH = 800
LOG_2 = float(np.log(2))
# Exponents that one scale can serve: squares of targets so much smaller are still numbers.
SPREAD = 400


@dataclass(frozen=True)
class Scale:
    """``y / 2**exponent``, exactly.

    With targets divided so, coefficients, intercepts, limits and the L1 part of an elastic-net penalty are divided
    alike; the L2 part stays, squared errors and duality gaps are divided by the square.

    Attributes
    ----------
    exponent : int or ndarray of int
        One for all targets, or one for each.
    unit : float
        What the loss was divided by, beside the square, and the penalty with it.
    of_mean : int
        Exponent of y beside that: of its mean, which is an exponential of the linear predictor.
    """

    exponent: object
    unit: float = 1.0
    of_mean: int = 0

    @classmethod
    def of(cls, Y, each=False):
        """The scale at which the largest |Y| (of each column, with `each`) lies in [1/2, 1).

        1 where Y is zero, and where its largest entry is of moderate size as it is.

        Parameters
        ----------
        Y : ndarray of shape (n,) or (n, n_targets)
            Finite.
        each : bool

        Returns
        -------
        Scale
        """
        axis = 0 if each else None
        top = np.maximum(np.maximum.reduce(Y, axis=axis, initial=0.0), -np.minimum.reduce(Y, axis=axis, initial=0.0))
        exponent = np.frexp(top)[1]
        exponent *= np.abs(exponent) > MODERATE
        return cls(exponent if each else int(exponent))

    def down(self, values, power=1):
        """Values divided by ``2**(power * exponent)``."""
        return self.up(values, -power)

    def up(self, values, power=1):
        """Values multiplied by ``2**(power * exponent)``; 0 or infinite only where these are beyond float64."""
        if not (self.exponent if isinstance(self.exponent, int) else self.exponent.any()):
            return values
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(values, power * self.exponent)

    def losses_up(self, values):
        """Losses and duality gaps in the units of the user."""
        return self.unit * self.up(values, 2)

    def targets_up(self, values):
        """Targets in the units of the user."""
        return Scale(self.exponent + self.of_mean).up(values)

    def targets_down(self, values):
        """The way back."""
        return Scale(self.exponent + self.of_mean).down(values)

    def levels_up(self, values):
        """Linear predictors, or intercepts, in the units of the user."""
        return self.up(values) + self.of_mean * LOG_2 if self.of_mean else self.up(values)

    def levels_down(self, values):
        """The way back."""
        return self.down(values - self.of_mean * LOG_2 if self.of_mean else values)

    def coefs_up(self, coefs):
        """Coefficients multiplied by ``2**exponent``; of shape (..., n_targets, n_features) where there are several.

        Raises
        ------
        ValueError
            Where one overflows, or loses its digits to underflow.
        """
        one = isinstance(self.exponent, int)
        out = (self if one else Scale(self.exponent[:, None])).up(coefs)
        if out is not coefs:
            if not np.isfinite(out).all():
                raise ValueError("y is so large, X so small that coefficients overflow: scale y down or X up.")
            if np.any((np.abs(out) < LEAST) & (coefs != 0)):
                raise ValueError("y is so small, X so large that coefficients underflow, to zero or to a few digits: "
                                 "scale y up or X down.")
        return out

UNIT = Scale(0)


def scales_of_groups(Y):
    """Pairs (columns of Y, the Scale to bring them down by): one, unless squares of the smallest would be lost."""
    whole = min(max(Scale.of(Y).exponent, -REACH), REACH)
    exponent = scale_of_each(Y).exponent if Y.shape[1] > 1 else None
    if exponent is None or whole - exponent.min() <= SPREAD:
        return [(slice(None), Scale(whole))]
    groups = {}
    for t in np.argsort(exponent, kind="stable"):
        least = next((e for e in groups if exponent[t] - e <= SPREAD), exponent[t])
        groups.setdefault(least, []).append(int(t))
    return [(group, Scale(int(exponent[group[-1]]))) for group in groups.values()]


def scale_of_each(Y):
    """The Scale that brings every column of Y down by an exponent of its own."""
    return Scale(np.clip(Scale.of(Y, each=True).exponent, -REACH, REACH))
