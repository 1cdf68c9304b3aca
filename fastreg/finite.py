"""What X must not hold shows in sums that are made anyway: no reading of X only to check it."""
import numpy as np
import scipy.sparse as sp

from fastreg.kernels.storage import count_below

# Of a value, beneath which its square has lost digits to underflow.
LEAST_NORM = np.sqrt(np.finfo(float).tiny / np.finfo(float).eps)


def fine(norms, n):
    """Whether norms of columns over n rows say that nothing is amiss; otherwise it may be."""
    least = LEAST_NORM * np.sqrt(n)
    return bool(norms.min(initial=least) >= least and np.isfinite(norms).all())


def check_finite(X, norms):
    """NaN, infinity and columns whose squares have no digits show in the norms of the columns, so that X is not read
    once more only to be checked."""
    check_values(X, norms)
    least = LEAST_NORM * np.sqrt(X.shape[0])
    if not fine(norms, X.shape[0]) and _too_small(X, np.flatnonzero(norms < least)):
        raise ValueError("X holds columns whose squares underflow, to zero or to a few digits: scale it up.")


def _too_small(X, columns):
    """Whether one of the columns, whose norms are small, is not constant at an ordinary level, nor empty."""
    if sp.issparse(X):
        if count_below(X.data, LEAST_NORM) == 0:
            return False
        return _has_tiny(abs(X[:, columns]).max(axis=0).toarray())
    return any(_has_tiny(np.max(np.abs(X[:, columns[j:j + 64]]), axis=0)) for j in range(0, len(columns), 64))


def _has_tiny(sizes):
    return bool(np.any((sizes > 0) & (sizes < LEAST_NORM)))


def check_values(X, sums):
    """NaN and infinity show in sums of squares over all of X, or in their roots."""
    if np.isfinite(sums).all():
        return
    values = X.data if sp.issparse(X) else X
    if np.isnan(values).any():
        raise ValueError("Input X contains NaN: its values must be finite.")
    if np.isinf(values).any():
        raise ValueError("Input X contains infinity: its values must be finite.")
    raise ValueError("X holds values whose squares overflow to infinity: scale it down.")
