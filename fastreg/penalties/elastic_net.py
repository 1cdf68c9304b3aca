"""The elastic net: factors, limits, and what the engine takes of them."""
from dataclasses import dataclass, replace

import numpy as np

from fastreg.scale import Scale


@dataclass
class Penalty:
    """Elastic-net penalty and limits; arrays of length n_features, or scalars.

    ``alpha * (l1_ratio * sum_j f_j |w_j| + (1 - l1_ratio) / 2 * sum_j f_j w_j^2)``, ``lower <= w <= upper``; with
    `standardize`, w_j counts in units of 1 / (standard deviation of column j). All of it in the user's units, while
    the targets are those of y divided by ``2**exponent``.
    """

    l1_ratio: float = 1.0
    factor: object = 1.0
    lower: object = -np.inf
    upper: object = np.inf
    standardize: bool = False
    exponent: int = 0

    def scaled(self, scale):
        """The same for targets brought down by `scale`, the alphas staying those of the user."""
        return replace(self, exponent=scale.exponent) if scale.exponent != self.exponent else self

    def arrays(self, design_norm, n):
        """What the engine takes: factors of alpha for its summed (not averaged) objective, and limits."""
        factor = np.atleast_1d(np.asarray(self.factor, dtype=np.float64))
        scale = design_norm / np.sqrt(n) if self.standardize else np.ones(1)
        with np.errstate(invalid="ignore"):
            pen1, pen2 = n * self.l1_ratio * factor * scale, n * (1 - self.l1_ratio) * factor * scale**2
        # an excluded column (factor inf) is excluded whatever its scale and whatever the l1_ratio
        excluded = np.isinf(factor)
        if excluded.any():
            pen1[np.broadcast_to(excluded, pen1.shape)] = np.inf
            pen2[np.broadcast_to(excluded, pen2.shape)] = np.inf
        pen1 = Scale(self.exponent).down(pen1)
        return tuple(map(np.ascontiguousarray, (pen1, pen2, *self.limits())))

    def limits(self):
        """Lower and upper limits for the targets as they are scaled, of shape (1,) or (n_features,)."""
        scale = Scale(self.exponent)
        return tuple(scale.down(np.atleast_1d(np.asarray(v, dtype=np.float64))) for v in (self.lower, self.upper))
