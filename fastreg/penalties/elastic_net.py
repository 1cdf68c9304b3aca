"""The elastic net: factors, limits, and what the engine takes of them."""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Penalty:
    """Elastic-net penalty and limits; arrays of length n_features, or scalars.

    ``alpha * (l1_ratio * sum_j f_j |w_j| + (1 - l1_ratio) / 2 * sum_j f_j w_j^2)``, ``lower <= w <= upper``; with
    `standardize`, w_j counts in units of 1 / (standard deviation of column j). All of it in the units of the user.
    """

    l1_ratio: float = 1.0
    factor: object = 1.0
    lower: object = -np.inf
    upper: object = np.inf
    standardize: bool = False

    def arrays(self, norms, n, scale):
        """What the engine takes for targets that `scale` brought down, the alphas staying those of the user.

        Parameters
        ----------
        norms : ndarray of shape (p,)
            Of the columns, centred and weighted.
        n : int
            Number of rows: the engine's objective is summed, not averaged.
        scale : Scale

        Returns
        -------
        pen1, pen2, lower, upper : ndarray of shape (1,) or (p,)
            Factors of alpha, and limits.
        """
        factor = np.atleast_1d(np.asarray(self.factor, dtype=np.float64))
        spread = norms / np.sqrt(n) if self.standardize else np.ones(1)
        with np.errstate(invalid="ignore"):
            pen1, pen2 = n * self.l1_ratio * factor * spread, n * (1 - self.l1_ratio) * factor * spread**2
        # an excluded column (factor inf) is excluded whatever its scale and whatever the l1_ratio
        excluded = np.isinf(factor)
        if excluded.any():
            pen1[np.broadcast_to(excluded, pen1.shape)] = np.inf
            pen2[np.broadcast_to(excluded, pen2.shape)] = np.inf
        return tuple(map(np.ascontiguousarray, (scale.down(pen1) / scale.unit, pen2 / scale.unit,
                                                *self.limits(scale))))

    def limits(self, scale):
        """Lower and upper limits for targets that `scale` brought down, of shape (1,) or (p,)."""
        return tuple(scale.down(np.atleast_1d(np.asarray(v, dtype=np.float64))) for v in (self.lower, self.upper))
