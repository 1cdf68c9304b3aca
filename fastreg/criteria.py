"""Choosing alpha and l1_ratio without folds, by AIC, BIC or EBIC of one path on all rows."""
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpstrf, dtrtri
from scipy.special import gammaln

from fastreg.kernels.factor import Basis
from fastreg.paths import path_of
from fastreg.selection import Choice, Selection, SelectionCurves, best_of, first_unconverged, fit_at
from fastreg.solvers.folds import Fold, know_folds
from fastreg.solvers.path import PathSolver

# A column of norm one of which less than this is left beside the others depends on them (the solver's own threshold).
DEPENDENT = 1e-11
# Of the squared norm of y: what is left when nothing but rounding is.
ROUNDING = 1e-12


def degrees_of_freedom(gram, l2):
    """trace(G (G + diag(l2))^-1), on as many columns as are independent; the rank of G where l2 is zero.

    About s^3 / 3 multiply-adds for s columns: no factor serves two values of l2.
    """
    scale = np.sqrt(np.diag(gram) + l2)
    on = scale > 0
    gram, l2, scale = gram[np.ix_(on, on)], l2[on], scale[on]
    if len(scale) == 0:
        return 0.0
    factor, order, rank, wrong = dpstrf((gram + np.diag(l2)) / np.outer(scale, scale), tol=DEPENDENT, lower=1)
    inverse, singular = dtrtri(factor[:rank, :rank], lower=1)
    if wrong < 0 or singular:                # wrong > 0 is a rank below that of all, which is expected
        raise np.linalg.LinAlgError("the Gram matrix of the features in use could not be factored")
    kept = order[:rank] - 1
    share = l2[kept] / scale[kept] ** 2
    inverse = np.tril(inverse)
    return rank - float(share @ np.einsum("ij,ij->j", inverse, inverse))


def sums_and_degrees(solver, solutions):
    """(weighted residual sums of squares, the weights summing to n; degrees of freedom) of a path of one target."""
    features = np.unique(solutions.indices)
    gram, xy, _ = solver.moments_of(features)
    _, pen2, lower, upper = (np.broadcast_to(values, solutions.n_features)[features] if len(values) == 1
                             else values[features] for values in solver.problem.terms(solver.design.norms))
    basis = None if pen2.any() else Basis(gram)
    total = solver.targets[0] @ solver.targets[0]
    rss, df = np.empty(len(solutions.alphas)), np.empty(len(solutions.alphas))
    for a, alpha in enumerate(solutions.alphas):
        used, w = solutions.nonzero(a)
        at = np.searchsorted(features, used)
        block = gram[np.ix_(at, at)]
        rss[a] = total - w @ (2 * xy[0, at] - block @ w)
        inside = (w > lower[at]) & (w < upper[at])
        df[a] = basis.rank(at[inside]) if basis else degrees_of_freedom(
            block[np.ix_(inside, inside)], alpha * pen2[at[inside]])
    return np.maximum(rss, 0), df


@dataclass(frozen=True, kw_only=True, eq=False)
class ByCriterion(Selection):
    """How an information criterion chooses.

    Attributes
    ----------
    l1_ratios : list of float
    refit : bool
        Give the fit at the chosen values.
    keep_paths : bool
        Keep the path of the chosen l1_ratio.
    criterion : {'aic', 'bic', 'ebic'}
    noise_variance : float or None
    """

    criterion: str
    noise_variance: float | None = None


def criterion_values(solver, rss, df, how):
    """The criterion from residual sums of squares and degrees of freedom.

    Parameters
    ----------
    solver : PathSolver
        Which gave them.
    rss, df : ndarray of shape (n_alphas,)
        As `sums_and_degrees` gives them.
    how : ByCriterion

    Returns
    -------
    ndarray of shape (n_alphas,)
        Of the targets as they were before a scale brought them down.
    """
    problem, p, noise_variance = solver.problem, solver.problem.p, how.noise_variance
    n, scale, total = problem.weights.rows, problem.scale, float(np.square(solver.targets).sum())
    rss = rss * (n / problem.n)
    cost = (2.0 if how.criterion == "aic" else np.log(n)) * df
    if how.criterion == "ebic":
        cost = cost + 2 * (gammaln(p + 1) - gammaln(df + 1) - gammaln(p - df + 1))
    if noise_variance is not None:
        return scale.up(rss / noise_variance, 2) + cost + n * np.log(2 * np.pi * noise_variance)
    # what fits anything, or leaves nothing but rounding
    saturated = (rss <= ROUNDING * total) | (df >= n - problem.fit_intercept)
    log_mean = np.log(np.where(saturated, 1.0, rss / n)) + 2 * scale.exponent * np.log(2)
    return np.where(saturated, np.inf, n * log_mean + cost)


def choose_by_criterion(problem, spec, how):
    """Solve the path of every l1_ratio on all rows and choose by an information criterion.

    Parameters
    ----------
    problem : Problem
        In the units of the user; each target is a problem of its own.
    spec : Spec
        Its report hears now and then how many penalty values of all l1_ratios are done with.
    how : ByCriterion

    Returns
    -------
    list of fastreg.selection.Choice, one for each target
    """
    problem, n_values, known = problem.to_unit(), spec.n_alphas * len(how.l1_ratios), None
    if problem.prefers_gram(n_values):
        known = know_folds(problem, [Fold(np.ones(problem.n, dtype=int), np.arange(problem.n))])
    return [_choose(problem.target(t, None if known is None else known.target(t).moments()), spec.after(t * n_values),
                    how) for t in range(problem.n_targets)]


def _choose(problem, spec, how):
    """The Choice of one target."""
    found, values, degrees = [], [], []
    for k, ratio in enumerate(how.l1_ratios):
        solver = PathSolver(problem.with_l1_ratio(ratio), spec.after(k * spec.n_alphas))
        solutions = solver.advance(spec.grid(solver.largest_alpha() if spec.counted else None))
        with solver.blas():
            rss, df = sums_and_degrees(solver, solutions)
        found.append(solutions)
        degrees.append(df)
        values.append(criterion_values(solver, rss, df, how))
    grids, values = np.stack([s.alphas for s in found]), np.stack(values)
    curves = SelectionCurves(grids, values, np.stack(degrees), how.criterion.upper(), False, best_of(values, grids),
                             l1_ratios=np.asarray(how.l1_ratios, dtype=np.float64))
    k, a = curves.best
    chosen = problem.with_l1_ratio(how.l1_ratios[k])
    if how.refit and not found[k].from_x[a]:
        solver = solver if k == len(found) - 1 else PathSolver(chosen, spec)
        found[k] = solver.certify(found[k], a)
    found = [solutions.scaled_up(problem.scale) for solutions in found]
    path = path_of([found[k]], chosen.penalty, problem.fit_intercept, spec.tol) if how.keep_paths else None
    return Choice(curves, fit_at(found[k], a) if how.refit else None, path, None, first_unconverged(*found))
