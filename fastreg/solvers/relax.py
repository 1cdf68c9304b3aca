"""Relaxed fits: least squares on the support of a penalised fit, from the Gram matrix of that support."""
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from fastreg.kernels.quadratic import least_squares
from fastreg.solvers.blas import single_threaded_blas


def least_squares_on_supports(solver, solutions):
    """Least squares, within the limits, on the non-zero features of each solution and those without penalty.

    Parameters
    ----------
    solver : PathSolver
        Of one target; its rows, weights and limits are those of the fits.
    solutions : Solutions
        From it.

    Returns
    -------
    Solutions
        Where columns are dependent, a minimiser with as few of them as the fit needs; the gaps, which are those of the
        penalised fits, are kept.
    """
    penalty, p = solver.penalty, solutions.n_features
    free = np.flatnonzero(np.broadcast_to(np.asarray(penalty.factor) == 0, p))
    union = np.union1d(solutions.features, free)
    gram, xy, means = solver.moments_of(union)
    lower, upper = (np.broadcast_to(limit, p)[union].astype(np.float64) for limit in (penalty.lower, penalty.upper))
    size = float(np.linalg.norm(solver.targets))
    ends = np.cumsum(np.bincount(solutions.columns + 1, minlength=len(solutions.alphas) + 1))
    last, fit = None, np.zeros(len(union))
    features, values, intercepts = [], [], np.empty_like(solutions.intercepts)
    for a in range(len(solutions.alphas)):
        at = np.searchsorted(union, np.union1d(solutions.features[ends[a]:ends[a + 1]], free))
        if not np.array_equal(at, last):
            start, fit, last = fit[at], np.zeros(len(union)), at
            with nullcontext() if solver.small else single_threaded_blas:
                fit[at] = least_squares(gram[np.ix_(at, at)], xy[0, at], lower[at], upper[at], start, size)
        used = np.flatnonzero(fit)
        features.append(union[used])
        values.append(fit[used])
        intercepts[a, 0] = solver.y_mean[0] - means[used] @ fit[used]
    return replace(solutions, columns=np.repeat(np.arange(len(features)), [len(f) for f in features]),
                   features=np.concatenate(features), values=np.concatenate(values), intercepts=intercepts)
