"""Relaxed fits: least squares on the support of a penalised fit, from the Gram matrix of that support."""
from dataclasses import replace

import numpy as np

from fastreg.kernels.least_squares import LeastSquares


def least_squares_on_supports(solver, solutions):
    """Least squares, within the limits, on the non-zero features of each solution and those without penalty.

    Parameters
    ----------
    solver : PathSolver or Member
        Of one target: its problem (for factors and limits), design, targets, y_means and moments_of are asked.
    solutions : Solutions
        From it.

    Returns
    -------
    Solutions
        Where columns are dependent, a minimiser with as few of them as the fit needs; the gaps, which are those of the
        penalised fits, are kept.
    """
    free = np.flatnonzero((np.asarray(solver.problem.penalty.factor) == 0) & (solver.design.norms > 0))
    union = np.union1d(solutions.indices, free)
    gram, xy, means = solver.moments_of(union)
    lower, upper = (np.broadcast_to(limit, solutions.n_features)[union].astype(np.float64)
                    for limit in solver.problem.limits())
    problem = LeastSquares(gram, np.ascontiguousarray(xy[0]), lower, upper, np.linalg.norm(solver.targets))
    features, values, intercepts = [], [], np.empty_like(solutions.intercepts)
    with solver.blas():
        for a in range(len(solutions.alphas)):
            support = np.union1d(solutions.nonzero(a)[0], free)
            fit = problem.solve(np.searchsorted(union, support))
            used = np.flatnonzero(fit)
            features.append(union[used])
            values.append(fit[used])
            intercepts[a, 0] = solver.y_means[0] - means[used] @ fit[used]
    return replace(solutions, indptr=np.append(0, np.cumsum([len(used) for used in features])),
                   indices=np.concatenate(features), data=np.concatenate(values), intercepts=intercepts)
