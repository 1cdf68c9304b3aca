"""Relaxed fits: the loss alone, without a penalty, on the support of a penalised fit."""
from dataclasses import replace

import numpy as np

from fastreg.kernels.least_squares import LeastSquares
from fastreg.progress import ignored
from fastreg.solvers.existence import escape
from fastreg.solvers.existence_of_classes import escape_of_classes
from fastreg.solvers.free_softmax import refuse_free
from fastreg.solvers.suited import suited


def refits_on_supports(solver, solutions, tick=ignored):
    """The loss minimised, within the limits, on the non-zero features of each solution and those without penalty.

    Parameters
    ----------
    solver : PathSolver, Reweighted, Softmax, FreeSoftmax or Member
        Of one target, or of classes with one loss; of the squared loss, its problem (for factors and limits), design,
        targets, y_means and moments_of are asked.
    solutions : Solutions
        From it.
    tick : callable
        Called with 1 after each.

    Returns
    -------
    Solutions
        Where columns are dependent, a minimiser, of least squares with as few of them as the fit needs. Gaps, and why
        fits ended, are those of these fits, but for least squares, which are exact: those of the penalised fits stay.

    Raises
    ------
    ValueError
        Where a loss falls for ever on a support: of separable classes, say.
    """
    if solver.problem.datafit.quadratic:
        return _least_squares(solver, solutions, tick)
    return _likelihoods(solver.problem, solver.spec, solutions, tick)


def _least_squares(solver, solutions, tick):
    """Least squares, from the Gram matrix of all supports."""
    free = np.flatnonzero((np.asarray(solver.problem.penalty.factor) == 0) & (solver.design.norms > 0))
    union = np.union1d(solutions.indices, free)
    gram, xy, means = solver.moments_of(union)
    lower, upper = (np.broadcast_to(limit, solutions.n_features)[union].astype(np.float64)
                    for limit in solver.problem.limits())
    problem = LeastSquares(gram, np.ascontiguousarray(xy[0]), lower, upper, np.linalg.norm(solver.targets))
    supports, values, intercepts = [], [], np.empty_like(solutions.intercepts)
    with solver.blas():
        for a in range(len(solutions.alphas)):
            support = np.union1d(solutions.nonzero(a)[0], free)
            fit = problem.solve(np.searchsorted(union, support))
            used = np.flatnonzero(fit)
            supports.append(union[used])
            values.append(fit[used])
            intercepts[a, 0] = solver.y_means[0] - means[used] @ fit[used]
            tick(1)
    return _instead(solutions, supports, values, intercepts)


def _likelihoods(problem, spec, solutions, tick):
    """Any other loss, by a fit of its own on each support that differs from the one before; of classes that is what any
    of them uses."""
    free, K = problem.free_columns(1.0), solutions.stopped.shape[1]
    supports, values, intercepts, before, fits = [], [], np.empty_like(solutions.intercepts), None, []
    for a in range(len(solutions.alphas)):
        on = free.copy()
        for k in range(a * K, (a + 1) * K):
            on[solutions.nonzero(k)[0]] = True
        if before is None or not np.array_equal(on, before):
            alone = problem.with_penalty(replace(problem.penalty, factor=np.where(on, 0.0, np.inf)))
            found, coefs = _without_penalty(alone, spec, solutions.only(a))
            before = on
        for coef in coefs:
            supports.append(np.flatnonzero(coef))
            values.append(coef[supports[-1]])
        intercepts[a] = found.intercepts[0]
        fits.append(found)
        tick(1)
    how_far = {name: np.concatenate([getattr(fit, name) for fit in fits])
               for name in ("dual_gaps", "relative_gaps", "stopped")}
    return replace(_instead(solutions, supports, values, intercepts), **how_far)


def _without_penalty(alone, spec, start):
    """(The Solutions, coefficients of shape (n_targets, p)) at an alpha that penalises nothing, from one Solutions."""
    one = replace(spec, alphas=np.ones(1), report=None)
    refuse_free(alone, 1.0)
    solver = suited(alone.route(one))(alone, one)
    solver.start(start.dense())
    found = solver.advance(np.ones(1))
    coefs, level = found.dense(), found.intercepts[0]
    away = (escape_of_classes(alone, 1.0, coefs, level) if alone.datafit.coupled
            else escape(alone, 1.0, coefs[0], level[0]))
    if away is not None and away.known:
        raise ValueError(f"relax: with the features in use at alpha={start.alphas[0]:.6g}, "
                         f"{away.refusal(alone.datafit)}")
    return found, coefs


def _instead(solutions, supports, values, intercepts):
    """The Solutions with other coefficients."""
    return replace(solutions, indptr=np.append(0, np.cumsum([len(used) for used in supports])),
                   indices=np.concatenate(supports), data=np.concatenate(values), intercepts=intercepts)
