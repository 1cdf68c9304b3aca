"""Kernels that Python reaches already, some with a plainer call."""

import numpy as np

from fastreg.kernels.folds import part_sums
from fastreg.kernels.gram import gram_of, kernel_of
from fastreg.kernels.krylov import column_moments, conjugate_gradients, lanczos
from fastreg.kernels.loo import loo_sums
from fastreg.kernels.merged import merge, spread
from fastreg.kernels.residual import residuals
from fastreg.kernels.robust import advance

__all__ = [
    "advance",
    "column_moments",
    "gram_of",
    "kernel_of",
    "lanczos",
    "leave_one_out",
    "merge",
    "part_sums",
    "residuals",
    "solve_normal",
    "spread",
]


def solve_normal(d, B, D, *, start=None, tol=1e-10, max_iter=1000, **rest):
    """Conjugate gradients: the solutions for B and diagonals D, and the products that each took."""
    W = np.zeros_like(B) if start is None else np.array(start)
    return W, conjugate_gradients(d, B, D, W, tol, max_iter, **rest)[0]


def leave_one_out(d, mean, V, W, R, Y, own, errors=None, *, least=0, bound=0.0):
    """Sums of squared leave-one-out errors by leverage, of rows that it leaves at least `bound` at penalty `least`; and
    what it leaves them there."""
    return loo_sums(d, mean, V, W, R, Y, own, least, bound, errors)
