"""Choosing alpha and l1_ratio without folds, by AIC, BIC or EBIC of one path on all rows."""
from contextlib import nullcontext
from functools import partial

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import dpstrf, dtrtri
from scipy.special import gammaln

from fastreg.design import canonical_sparse, effective_threads
from fastreg.kernels.factor import Basis
from fastreg.paths import path_of
from fastreg.scale import each_scaled
from fastreg.selection import Choice, SelectionCurves, best_of, first_unconverged, fit_at
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.folds import Fold, know_folds
from fastreg.solvers.linear import PathSolver, alpha_grid, gram_mode
from fastreg.weights import Weights

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
                             else values[features] for values in solver.penalty.arrays(solver.design.norms, solver.n))
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


def criterion_values(rss, df, *, criterion, n, p, total, most, noise_variance, scale):
    """The criterion from residual sums of squares and degrees of freedom.

    Parameters
    ----------
    rss, df : ndarray of shape (n_alphas,)
    criterion : {'aic', 'bic', 'ebic'}
    n, p : int
        Rows and features.
    total : float
        Squared norm of y: against it, rss is rounding or not.
    most : int
        Degrees of freedom that fit anything.
    noise_variance : float or None
    scale : Scale
        It brought down the targets that rss and total are of.

    Returns
    -------
    ndarray of shape (n_alphas,)
    """
    cost = (2.0 if criterion == "aic" else np.log(n)) * df
    if criterion == "ebic":
        cost = cost + 2 * (gammaln(p + 1) - gammaln(df + 1) - gammaln(p - df + 1))
    if noise_variance is not None:
        return scale.up(rss / noise_variance, 2) + cost + n * np.log(2 * np.pi * noise_variance)
    saturated = (rss <= ROUNDING * total) | (df >= most)
    log_mean = np.log(np.where(saturated, 1.0, rss / n)) + 2 * scale.exponent * np.log(2)
    return np.where(saturated, np.inf, n * log_mean + cost)


def choose_by_criterion(X, Y, *, criterion, noise_variance, l1_ratios, alphas, eps, penalty, weight, fit_intercept,
                        tol, max_iter, n_threads, gram=None, keep_paths=False, refit=True, report=None):
    """Solve the path of every l1_ratio on all rows and choose by an information criterion.

    Parameters
    ----------
    X, Y, l1_ratios, alphas, eps, penalty, weight, n_threads, gram, refit, report
        As for fastreg.crossval.cross_validate_path.
    criterion : {'aic', 'bic', 'ebic'}
    noise_variance : float or None
    keep_paths : bool
        Keep the path of the chosen l1_ratio.

    Returns
    -------
    list of fastreg.selection.Choice, one for each target
    """
    n, p = X.shape
    X = canonical_sparse(X) if sp.issparse(X) else X
    n_threads = effective_threads(n_threads)
    rows = n if weight is None else int(np.count_nonzero(weight))
    count = alphas if isinstance(alphas, int) else len(alphas)
    Y, scales = each_scaled(Y)                   # all below in these units, but for the alphas and what is returned
    every_row = Fold(np.ones(n, dtype=int), np.arange(n))
    known = know_folds(X, Y, [every_row], weight, fit_intercept, count * len(l1_ratios), n_threads)
    choices = []
    for t, scale in enumerate(scales):
        moments = None if known is None else known.target(t).moments(np.ones(len(known.train)))
        found, values, degrees = [], [], []
        solver_of = partial(PathSolver, X, Y[:, t:t + 1], n_alphas=count, fit_intercept=fit_intercept, tol=tol,
                            n_threads=n_threads, weights=Weights(weight, n),
                            gram=gram_mode(X, alphas, gram), known=moments)
        for k, ratio in enumerate(l1_ratios):
            done = (t * len(l1_ratios) + k) * count
            solver = solver_of(penalty(ratio).scaled(scale),
                               report=None if report is None else lambda more, done=done: report(done + more))
            grid = alpha_grid(solver.largest_alpha(), alphas, eps) if isinstance(alphas, int) else alphas
            solutions = solver.advance(grid, max_iter)
            with nullcontext() if solver.small else single_threaded_blas:
                rss, df = sums_and_degrees(solver, solutions)
            found.append(solutions)
            degrees.append(df)
            values.append(criterion_values(
                rss * (rows / n), df, criterion=criterion, n=rows, p=p, most=rows - fit_intercept,
                total=float(np.square(solver.targets).sum()), noise_variance=noise_variance,
                scale=scale))
        grids, values = np.stack([s.alphas for s in found]), np.stack(values)
        curves = SelectionCurves(grids, values, np.stack(degrees), criterion.upper(), False, best_of(values, grids),
                                 l1_ratios=np.asarray(l1_ratios, dtype=np.float64))
        k, a = curves.best
        if refit and not found[k].from_x[a]:
            solver = solver if k == len(found) - 1 else solver_of(penalty(l1_ratios[k]).scaled(scale))
            found[k] = solver.certify(found[k], a)
        found = [solutions.scaled_up(scale) for solutions in found]
        path = path_of([found[k]], penalty(l1_ratios[k]), fit_intercept, tol) if keep_paths else None
        choices.append(Choice(curves, fit_at(found[k], a) if refit else None, path, None, first_unconverged(*found)))
    return choices
