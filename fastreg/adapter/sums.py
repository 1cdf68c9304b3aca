"""Kernels that Python reaches as they are."""

from fastreg.kernels.folds import part_sums
from fastreg.kernels.gram import gram_of, kernel_of
from fastreg.kernels.krylov import column_moments, conjugate_gradients, lanczos
from fastreg.kernels.loo import loo_sums
from fastreg.kernels.merged import merge, spread

__all__ = [
    "column_moments",
    "conjugate_gradients",
    "gram_of",
    "kernel_of",
    "lanczos",
    "loo_sums",
    "merge",
    "part_sums",
    "spread",
]
