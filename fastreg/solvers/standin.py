import numpy as np

from fastreg.kernels.folds import part_sums
from fastreg.kernels.loo import column_moments, correlate


def gram_of(design, targets, root):
    xy = column_moments(design, targets * root)
    n, p = design.n, design.p
    S = part_sums(design, targets, np.zeros(n, dtype=np.int32), 1, design.means.copy())[0]
    return np.ascontiguousarray(S[:p, :p]), xy


def kernel_of(design, scale=None, root=None):
    column_moments(design, np.zeros((1, design.n)))
    X = correlate(design, np.eye(design.n) if root is None else np.diag(root))
    return X @ X.T if scale is None else (X * scale) @ X.T
