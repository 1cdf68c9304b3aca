"""What solvers of ridge regressions hand back."""
from dataclasses import dataclass

import numpy as np

# What ended a fit: its certificate, its limit of iterations, rounding.
CERTIFIED, BY_LIMIT, BY_ROUNDING = 0, 1, 2


@dataclass(frozen=True, eq=False)
class RidgeSolution:
    """Coefficients of every target, at every penalty or at one, how they were found, and how far they can be from the
    exact ones.

    Attributes
    ----------
    coef : ndarray of shape (..., n_targets, p)
    intercept : ndarray of shape (..., n_targets)
    bound : ndarray of shape (..., n_targets)
        At least ``||coef - exact coefficients||``, rounding included; inf where nothing is known.
    solver : str
        What found them.
    n_iter : ndarray of int, shape (..., n_targets)
        Products with X'X of iterative solvers, 1 of direct ones.
    stopped : ndarray of int, shape (..., n_targets)
        CERTIFIED, or what ended the fit before its tolerance was reached: BY_LIMIT or BY_ROUNDING.
    df : ndarray or None
        Effective degrees of freedom, where a decomposition knows them.
    """

    coef: np.ndarray
    intercept: np.ndarray
    bound: np.ndarray
    solver: str
    n_iter: np.ndarray
    stopped: np.ndarray
    df: np.ndarray | None = None

    @property
    def converged(self):
        """Whether all have their certificate."""
        return not self.stopped.any()

    @property
    def lost(self):
        """Whether digits of some are lost to rounding."""
        return bool(np.any(self.stopped == BY_ROUNDING))
