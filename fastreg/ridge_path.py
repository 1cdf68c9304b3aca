"""Ridge regression at many penalties: the path, and choosing alpha by leave-one-out or by folds."""
import threading
import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from fastreg.checks import (
    as_scalar,
    check_flag,
    check_penalties,
    check_per_feature,
    check_sum,
    check_threads,
    check_weight_values,
    check_X_y,
)
from fastreg.parameters import documented
from fastreg.paths import Path, name_features
from fastreg.scale import Scale
from fastreg.selection import SelectionCurves, select, within_one_error
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.decompose import Problem
from fastreg.solvers.folds import in_threads, jobs_and_threads
from fastreg.solvers.ridge_folds import MOST_STEPS, RidgeFit, fold_fits
from fastreg.solvers.spectral_certificate import certify, certify_left_out, smallest
from fastreg.solvers.spectrum import LEAST_ROOM

# Rows that are left out by fits of the others, where these cost much; room below which the identity is not trusted.
MOST_REFITS, CHEAP_REFITS, NO_ROOM = 8, 5e8, 1e-9
# Work up to which every fit of a hard path is certified from X.
ALL_FITS = 2e7
LOST = ("Some digits of the answer are lost to rounding: these alphas are too small for columns of X that are nearly "
        "combinations of others, or for rows that alone decide a coefficient. Leave out the smallest alphas, or such "
        "columns.")


@documented
def ridge_path(X, y, alphas, *, fit_intercept=True, sample_weight=None, penalty_factor=None, standardize=False,
               n_threads=None):
    """Ridge regression at every alpha, from one decomposition.

    For every alpha and every column of y, minimises over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    s are sample weights, f penalty factors. X'X or the kernel XX', whichever is smaller, is decomposed once; where the
    scales of columns or their dependence would cost digits at the smallest alpha, X itself, by orthogonal
    transformations.

    Parameters
    ----------
    {X, y}
    alphas : array-like of shape (n_alphas,)
        Not negative; 0 gives the least-squares solution of minimum norm.
    {fit_intercept, ridge.sample_weight, ridge_cv.penalty_factor, standardize, n_threads}

    Returns
    -------
    Path
        alphas (decreasing), coefs of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas), intercepts, df,
        gcv, coef_bounds, certified_from; predict, coef_at, plot.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described, or where X is sparse with more than 5000 rows and 5000 columns; the
        message says which.

    Warns
    -----
    ConvergenceWarning
        Where digits of the coefficients are lost to rounding, as `coef_bounds` shows.

    References
    ----------
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., section 3.4; Golub, Heath and
    Wahba, "Generalized cross-validation as a method for choosing a good ridge parameter", Technometrics 21 (1979).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import ridge_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = ridge_path(X, y, [0.01, 1, 100])
    >>> path.df.round(1).tolist()
    [1.1, 4.9, 10.2]
    """
    features = BaseEstimator()
    X, y = check_X_y(X, y, features)
    n, p = X.shape
    alphas = np.sort(check_alphas(alphas))[::-1]
    factor = check_factor(penalty_factor, p)
    weight = check_weight_values(sample_weight, n)
    check_sum(weight)
    Y = np.asarray(y, dtype=np.float64).reshape(n, -1)
    unit = Scale.of(Y, each=True)
    with single_threaded_blas:
        problem = Problem(X, unit.down(Y), weight, check_flag(fit_intercept, "fit_intercept"),
                          check_threads(n_threads))
        standardize = check_flag(standardize, "standardize")
        for accurate in (False, True):
            spectrum = problem.spectrum(alphas, factor, standardize, accurate)
            if spectrum is None:
                raise ValueError(f"X is sparse with {n} rows and {p} columns: both are too many for a decomposition. "
                                 "Fit Ridge at each alpha.")
            coefs = spectrum.coefs(alphas)
            bounds, source, squares, lost = _certified_path(problem, spectrum, coefs, alphas)
            if not lost or spectrum.accurate:
                break
        residuals = spectrum.residuals(alphas, squares)
    if lost:
        warnings.warn(LOST, ConvergenceWarning, stacklevel=2)
    left = spectrum.freedom(alphas, problem.rows)[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gcv = np.where(left > 0, unit.up(problem.rows * residuals / left**2, 2), np.inf)
        bounds = unit.up(bounds)
    df = np.tile(spectrum.df(alphas), (Y.shape[1], 1))
    intercepts, coefs = unit.up(spectrum.intercepts(coefs)), unit.coefs_up(coefs)
    found = [coefs.transpose(1, 2, 0), intercepts.T, df, bounds.T, gcv.T]
    coefs, intercepts, df, bounds, gcv = found if y.ndim == 2 else (of_target[0] for of_target in found)
    asked = {"fit_intercept": fit_intercept, "penalty_factor": penalty_factor, "standardize": standardize}
    again = partial(ridge_path, X, y, sample_weight=sample_weight, n_threads=n_threads, **asked)
    return name_features(Path(alphas, coefs, intercepts, df, source, asked, coef_bounds=bounds, gcv=gcv, _solve=again),
                         features)


def _certified_path(problem, spectrum, coefs, alphas):
    """(bounds (n_alphas, n_targets), where they come from, squared errors at the last alpha, whether digits are lost)

    The last alpha, the smallest, is certified from X, and of hard problems the others too where that costs little.
    Otherwise they are off by no larger a perturbation of X'X than the last."""
    count, n_targets, p = coefs.shape
    every = spectrum.accurate and problem.X.size * count * n_targets <= ALL_FITS
    some = coefs if every else coefs[-1:]
    found = certify(problem, spectrum, some.reshape(-1, p), np.repeat(alphas[-len(some):], n_targets))
    bounds, squares = found.bound.reshape(-1, n_targets), found.squares.reshape(-1, n_targets)[-1]
    if not every:
        size, least = np.linalg.norm(coefs, axis=2), smallest(problem, spectrum)
        damped = problem.unit * alphas[:, None] + least
        with np.errstate(divide="ignore", invalid="ignore"):
            others = np.where(size > 0, found.reach * size / size[-1] / damped, 0)
        bounds = np.vstack([others[:-1], bounds])
    source = np.full(count, "X" if every else "sums", dtype="<U4")
    source[-1] = "X"
    return bounds, source, squares, found.lost


def check_alphas(alphas, positive=False):
    """Penalties as a float64 array of shape (n_alphas,), in the order given."""
    return check_penalties(alphas if np.ndim(alphas) else [as_scalar(alphas)], low_open=positive)


def check_factor(penalty_factor, p):
    """Penalty factors, a positive number or an array of shape (p,) of such."""
    factor = check_per_feature(penalty_factor, "penalty_factor", p, 1.0)
    if np.any(factor <= 0):
        raise ValueError("penalty_factor must be positive here: one penalty grid serves all features.")
    return factor


def leave_one_out(X, Y, alphas, *, weight, fit_intercept, factor, standardize, accurate, n_threads, choose, keep):
    """Exact leave-one-out for every alpha, and the fit of all rows at the chosen ones.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets).
    alphas : ndarray of shape (n_alphas,)
        Positive.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    factor, standardize, accurate, n_threads
        As for fastreg.solvers.spectrum.Problem.
    choose : callable
        (sums of squared errors (n_targets, n_alphas), Scale that each target was divided by, errors in its units times
        the roots of weights, or predictions, or None, df of every alpha) -> index of the alpha of each target, and what
        is to be handed back.
    keep : {None, 'errors', 'predictions'}
        What to compute of each row, of shape (n_targets, n, n_alphas).

    Returns
    -------
    at : ndarray of int, shape (n_targets,)
    chosen
        What `choose` hands back.
    fit : fastreg.solvers.ridge_folds.RidgeFit
        With df of shape (n_targets,).
    kept : ndarray of shape (n_targets, n, n_alphas) or None
        Squared errors times weights, or predictions.
    """
    unit = Scale.of(Y, each=True)
    Y = unit.down(Y)
    with single_threaded_blas:
        problem = Problem(X, Y, weight, fit_intercept, n_threads)
        for last in (accurate, True):
            spectrum = problem.spectrum(alphas, factor, standardize, last)
            if spectrum is None:
                raise ValueError(f"X is sparse with {X.shape[0]} rows and {X.shape[1]} columns: leave-one-out would "
                                 "need an array of one of them squared. Give cv (cv=5, say) for folds instead.")
            sums, kept, room, lost = _errors_by_rows(problem, spectrum, alphas, keep is not None)
            if keep == "predictions":
                kept = np.ldexp(_predictions(spectrum, X, Y, weight, alphas, kept), unit.exponent[:, None, None])
            at, chosen = choose(sums, unit, kept, spectrum.df(alphas))
            coef, found, right = certify_left_out(problem, spectrum, alphas[at], room, sums[np.arange(len(at)), at])
            if (right and not found.lost) or spectrum.accurate:
                break
    if found.lost or lost or not right:
        warnings.warn(LOST, ConvergenceWarning, stacklevel=5)
    with np.errstate(over="ignore"):
        if keep == "errors":
            kept = np.ldexp(np.square(kept, out=kept), 2 * unit.exponent[:, None, None], out=kept)
        fit = RidgeFit(unit.coefs_up(coef), unit.up(spectrum.intercepts(coef)),
                       spectrum.df(alphas[at]), *map(unit.up, (found.residual, found.bound)), found.lost)
    return at, chosen, fit, kept


def losses_of_rows(sums, errors, unit, n, weight, each):
    """Mean squared leave-one-out errors, times weights, of each target or, where these share an alpha, of their mean.

    Parameters
    ----------
    sums : ndarray of shape (n_targets, n_alphas)
        Of squared errors times weights.
    errors : ndarray of shape (n_targets, n, n_alphas) or None
        Errors times the roots of weights.
    unit : Scale
        That each target was divided by.
    n : int
    weight : ndarray of shape (n,) or None
        Rows without weight are absent in the standard deviation.
    each : bool

    Returns
    -------
    means : ndarray of shape (n_targets or 1, n_alphas)
    standard_errors : ndarray of the same shape, or None
        Of these means over rows.
    units : list of Scale
        That their roots were divided by.
    """
    exponent = unit.exponent if each else np.max(unit.exponent, keepdims=True)
    shift = 2 * (unit.exponent - exponent)[:, None]
    means, found = sums / n, None
    if not each:
        means = np.ldexp(means, shift).mean(axis=0, keepdims=True)
    if errors is not None:
        rows, found = np.arange(n) if weight is None else np.flatnonzero(weight), np.zeros_like(means)
        for a in range(0, found.shape[1] if len(rows) > 1 else 0, 8):
            squares = errors[:, rows, a:a + 8] ** 2
            if not each:
                squares = np.ldexp(squares, shift[:, None]).mean(axis=0, keepdims=True)
            found[:, a:a + 8] = squares.std(axis=1, ddof=1) * (np.sqrt(len(rows)) / n)
    return means, found, [Scale(int(e)) for e in exponent]


def curve_of_rows(alphas, values, df, *, basis, metric, greater_is_better, unit, standard_error, selection_rule):
    """(SelectionCurves of leave-one-out, index of the chosen alpha).

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        In the order of the user: of those with equal values the first is the best.
    values, df : ndarray of shape (n_alphas,)
    basis, metric, greater_is_better, selection_rule
        Of SelectionCurves.
    unit : Scale
        The values are in units of its square.
    standard_error : ndarray of shape (n_alphas,) or None
        In the same.
    """
    loss = -values if greater_is_better else values
    first = loss.argmin()
    if np.isnan(loss[first]):
        if np.isnan(loss).all():
            raise ValueError("scoring gives NaN at every alpha: nothing can be chosen.")
        first = np.nanargmin(loss)
    place = np.argsort(-alphas, kind="stable")
    best, best_1se = (0, int((place == first).argmax())), None
    if standard_error is not None:
        standard_error = standard_error[None, place]
        best_1se = within_one_error(loss[None, place], standard_error, best)
        standard_error = unit.up(standard_error, 2)
    curve = SelectionCurves(
        alphas[None, place], unit.up(values[None, place], 2), df[None, place], metric, greater_is_better, best,
        basis, standard_error=standard_error, best_1se=best_1se,
        selection_rule=selection_rule)
    return curve, place[curve.chosen[1]]


def _errors_by_rows(problem, spectrum, alphas, keep):
    """(sums (n_targets, n_alphas) of squared leave-one-out errors, errors or None, room of each row by leverage,
    whether digits are lost): rows with hardly any room are left out by fits of the others."""
    sums, errors, room = spectrum.leave_one_out(problem, alphas, keep)
    full = np.flatnonzero(room < LEAST_ROOM)
    n, p = problem.X.shape
    most, lost = max(MOST_REFITS, int(CHEAP_REFITS / (n * p * min(n, p)))), False
    if len(full) > most:
        bound = np.partition(room, most)[most]
        sums, errors, room = spectrum.leave_one_out(problem, alphas, keep, bound)
        full, lost = np.flatnonzero(room < bound), bool(bound < NO_ROOM)
    for row in full if problem.rows > 1 else ():
        found = _error_without(problem, row, alphas)
        sums += found**2
        if keep:
            errors[:, row] = found
    room = np.where((problem.root > 0) & (room >= LEAST_ROOM), room, np.inf)
    return sums, errors, room, lost


def _error_without(problem, row, alphas):
    """``sqrt(s) (y - x w - b)`` of a row, of fits of the others: shape (n_targets, n_alphas)."""
    others = problem.without(row)
    spectrum = others.spectrum(alphas, scale=problem.scale)
    X, Y, weight = problem.raw
    x = X[[row]]
    x = (x.toarray() if hasattr(x, "toarray") else np.asarray(x, dtype=np.float64))[0] - spectrum.means
    fits = spectrum.coefs(alphas) @ x + spectrum.y_means
    return (1.0 if weight is None else np.sqrt(weight[row])) * (Y[row] - fits).T


def _predictions(spectrum, X, Y, weight, alphas, errors):
    """Leave-one-out predictions; to leave a row of no weight out changes nothing."""
    root = np.ones(len(Y)) if weight is None else np.sqrt(weight)
    absent = np.flatnonzero(root == 0)
    found = Y.T[:, :, None] - errors / np.where(root == 0, 1, root)[:, None]
    if len(absent):
        coefs = spectrum.coefs(alphas)
        fits = X[absent] @ coefs.reshape(-1, X.shape[1]).T + spectrum.intercepts(coefs).ravel()
        found[:, absent] = fits.reshape(len(absent), len(alphas), -1).transpose(2, 0, 1)
    return found


def cross_validate_ridge(X, Y, folds, alphas, place, *, weight, fit_intercept, factor, standardize, n_threads,
                         selection_rule="min", scorer=None, metric="R2", refit=True):
    """Solve and score every fold at every alpha, choose, and solve on all rows.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets).
    folds : list of fastreg.solvers.folds.Fold
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    place : ndarray of int, shape (n_alphas,)
        Where the user has put each: of those that score the same the first is chosen.
    weight : ndarray of shape (n,) or None
        Raw sample weights, of the training rows and of the test rows in R2.
    scorer : callable or None
        (coef (n_targets, p), intercept (n_targets,), test rows) -> float; None is R2, averaged over targets.
    refit : bool

    Returns
    -------
    curves : SelectionCurves
    fit : fastreg.solvers.ridge_folds.RidgeFit or None
        With df of shape (n_alphas,).
    """
    unit = Scale.of(Y, each=True)
    Y = unit.down(Y)
    n_jobs, n_threads = jobs_and_threads(None, n_threads, len(folds))
    with single_threaded_blas:
        fits = fold_fits(X, Y, folds, weight=weight, fit_intercept=fit_intercept, factor=factor,
                         standardize=standardize, n_threads=n_threads, n_jobs=n_jobs)
        score = partial(_r2, fits) if scorer is None else partial(_by_scorer, fits, scorer, unit)
        scores = np.stack(in_threads(n_jobs, partial(score, alphas=alphas), len(folds), threading.Event()), axis=1)
        mean, error, best, best_1se = select(alphas[None], scores[None], True)
        same = np.flatnonzero(mean[0] == mean[best])
        curves = SelectionCurves(
            alphas[None], mean, np.full(mean.shape, np.nan), metric, True, (0, int(same[np.argmin(place[same])])),
            f"mean over {len(folds)} folds", standard_error=error, fold_scores=scores[None], best_1se=best_1se,
            selection_rule=selection_rule)
        fit = fits.refit(alphas, curves.chosen[1]) if refit else None
    if not fits.converged:
        warnings.warn(f"{MOST_STEPS} products with X were too few for the smallest alphas: leave them out, or scale X.",
                      ConvergenceWarning, stacklevel=5)
    if fits.doubtful or (fit is not None and fit.lost):
        warnings.warn(LOST, ConvergenceWarning, stacklevel=5)
    if fit is not None:
        curves.df = fit.df[None]
        fit.coef = unit.coefs_up(fit.coef)
        fit.intercept, fit.residual, fit.bound = map(unit.up, (fit.intercept, fit.residual, fit.bound))
    return curves, fit


def _r2(fits, f, alphas):
    """R2 on test set f at every alpha, as scikit-learn's: averaged over targets, finite where y is constant."""
    test = fits.folds[f].test
    weight = None if fits.weight is None else fits.weight[test]
    if len(test) < 2:
        return np.full(len(alphas), np.nan)
    y = fits.Y[test]
    spread = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    errors = fits.errors(f, alphas)
    constant = spread == 0
    return np.where(constant, errors == 0, 1 - errors / np.where(constant, 1, spread)).mean(axis=1)


def _by_scorer(fits, scorer, unit, f, alphas):
    """A scorer's values on test set f at every alpha; some alphas at a time where coefficients are many."""
    step = max(1, 10**7 // (fits.X.shape[1] * fits.Y.shape[1]))
    test, out = fits.folds[f].test, []
    for a in range(0, len(alphas), step):
        coefs, intercepts = fits.fit(f, alphas[a:a + step])
        out += [scorer(coef, intercept, test)
                for coef, intercept in zip(unit.coefs_up(coefs), unit.up(intercepts))]
    return out
