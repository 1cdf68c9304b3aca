"""Ridge regression at many penalties: the path, and choosing alpha by leave-one-out or by folds."""
import threading
import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from fastreg.checks import (
    as_scalar,
    check_flag,
    check_listed_alphas,
    check_listeners,
    check_number,
    check_per_feature,
    check_threads,
    check_weight_values,
    check_X_y,
)
from fastreg.kernels.threads import go_on
from fastreg.parameters import documented
from fastreg.paths import Path, name_features
from fastreg.penalties.elastic_net import Penalty
from fastreg.progress import ignored, reporting
from fastreg.scale import Scale
from fastreg.selection import SelectionCurves, select, within_one_error
from fastreg.solvers.folds import jobs_and_threads
from fastreg.solvers.interruptible import in_threads
from fastreg.solvers.ridge.decompose import can_decompose
from fastreg.solvers.ridge.folds import MOST_STEPS, fold_fits
from fastreg.solvers.ridge.leave_one_out import leave_one_out as choose_by_rows
from fastreg.solvers.ridge.path import solve_path
from fastreg.solvers.ridge.problem import RidgeProblem

LOST = ("Some digits of the answer are lost to rounding: these alphas are too small for columns of X that are nearly "
        "combinations of others, or for rows that alone decide a coefficient. Leave out the smallest alphas, or such "
        "columns.")

# What is reported of a path, and of leave-one-out: decomposition, solutions or errors, and what they are held against.
RIDGE_STEPS = 3
# Smallest alpha over largest, of a grid that is made for columns of very different scale.
WIDEST = 1e-14


@documented
def ridge_path(X, y, alphas=100, *, eps=None, fit_intercept=True, sample_weight=None, penalty_factor=None,
               standardize=False, n_threads=None, verbose=0, callback=None):
    """Ridge regression at every alpha, from one decomposition.

    For every alpha and every column of y, minimises over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    s are sample weights, f penalty factors. X'X or the kernel XX', whichever is smaller, is decomposed once; where the
    scales of columns or their dependence would cost digits at the smallest alpha, X itself, by orthogonal
    transformations.

    Parameters
    ----------
    {X, y}
    alphas : int, float or array-like of shape (n_alphas,), default=100
        The values, not negative; 0 gives the least-squares solution of minimum norm. Or, as an int, their number: then
        evenly spaced in their logarithm. With the sums ``v_j = sum_i s_i (x_ij - mean_j)^2 / f_j`` of features that are
        not constant, the largest is ``10 sum_j v_j``, where slopes have at most 0.1 degrees of freedom.
    eps : float in (0, 1] or None
        Smallest alpha over largest, where their number is given. None: the smallest is ``1e-5 min_j v_j``, or 1e-14 of
        the largest if that is more.
    {fit_intercept, ridge.sample_weight, ridge_cv.penalty_factor, standardize, n_threads, verbose, callback}
        There are three units: the decomposition, the solutions, and their bounds.

    Returns
    -------
    Path
        alphas (decreasing), coefs of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas), intercepts, df,
        gcv, coef_bounds, certified_from; predict, score, at, coef_at, to_frame, summary, plot; ``path[i]``, slices and
        masks.

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
    >>> path = ridge_path(X, y)
    >>> len(path), round(path[path.gcv.argmin()].df, 1)
    (100, 10.3)
    """
    features = BaseEstimator()
    X, y = check_X_y(X, y, features)
    n, p = X.shape
    eps = None if eps is None else check_number(eps, "eps", 0, 1, low_open=True)
    counted = isinstance(as_scalar(alphas), (int, np.integer)) and not isinstance(alphas, bool)
    alphas = (check_number(alphas, "alphas", 1, kind=Integral) if counted
              else np.sort(check_listed_alphas(alphas))[::-1])
    factor = check_factor(penalty_factor, p)
    weight = check_weight_values(sample_weight, n)
    Y = np.asarray(y, dtype=np.float64).reshape(n, -1)
    penalty = Penalty(0.0, factor, standardize=check_flag(standardize, "standardize"))
    problem_at = partial(RidgeProblem.of, X, Y, penalty=penalty, weight=weight, n_threads=check_threads(n_threads),
                         fit_intercept=check_flag(fit_intercept, "fit_intercept"))
    refuse_large(X, "fit Ridge at each alpha.")
    listeners = check_listeners("ridge_path", verbose, callback, "steps")
    if counted:
        alphas = _grid(problem_at(np.ones(1)), alphas, eps)
    asked = {"fit_intercept": fit_intercept, "penalty_factor": penalty_factor, "standardize": standardize}
    with reporting(RIDGE_STEPS, listeners) as report:
        path, lost = _solved(problem_at(alphas), asked, y.ndim == 1, report)
    if lost:
        warnings.warn(LOST, ConvergenceWarning, stacklevel=2)
    again = partial(ridge_path, X, y, sample_weight=sample_weight, n_threads=n_threads, **asked)
    return name_features(replace(path, _solve=again), features)


def _solved(problem, asked, single, report=None):
    """(Path of a RidgeProblem, whether digits are lost); `single`: without an axis of targets."""
    with problem.blas():
        fits, gcv, source = solve_path(problem, report)
    found = [fits.coef.transpose(1, 2, 0), fits.intercept.T, np.tile(fits.df, (fits.coef.shape[1], 1)), fits.bound.T,
             gcv.T]
    coefs, intercepts, df, bounds, gcv = (of_target[0] for of_target in found) if single else found
    return Path(problem.given, coefs, intercepts, df, source, asked, coef_bounds=bounds, gcv=gcv), fits.lost


def path_of_rows(X, Y, alphas, *, single, weight, fit_intercept, factor, standardize, n_threads):
    """Path of all rows at decreasing alphas, for RidgeCV.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets), X as `refuse_large` allows.
    alphas : ndarray of shape (n_alphas,)
    single : bool
        Whether the path has no axis of targets.
    weight, fit_intercept, factor, standardize, n_threads
        Of `leave_one_out`.

    Returns
    -------
    Path
    """
    problem = RidgeProblem.of(X, Y, alphas, Penalty(0.0, factor, standardize=standardize), weight, fit_intercept,
                              n_threads)
    asked = {"fit_intercept": fit_intercept, "penalty_factor": factor, "standardize": standardize}
    path, lost = _solved(problem, asked, single)
    if lost:
        warnings.warn(LOST, ConvergenceWarning, stacklevel=4)
    return path


def refuse_large(X, remedy):
    """ValueError where X has no decomposition for a path; `remedy` ends it."""
    if not can_decompose(X):
        raise ValueError(f"X is sparse with {X.shape[0]} rows and {X.shape[1]} columns: both are too many for a "
                         f"decomposition: {remedy}")


def _grid(problem, count, eps):
    """So many alphas of a RidgeProblem of any, decreasing: at the largest the trace of the hat matrix is 0.1 at most,
    at the smallest, as a rule, every column is nearly free."""
    _, _, inverse = problem.inverse()
    squares = problem.design.norms**2 * inverse
    squares = squares[squares > 0]
    if not len(squares):
        return np.geomspace(1, 1e-5 if eps is None else eps, count)
    top = 10 * np.sum(squares)
    eps = max(1e-5 * np.min(squares) / top, WIDEST) if eps is None else eps
    return problem.of_weight.up(problem.unit * top) * np.geomspace(1, eps, count)


def check_factor(penalty_factor, p):
    """Penalty factors, a positive number or an array of shape (p,) of such."""
    factor = check_per_feature(penalty_factor, "penalty_factor", p, 1.0)
    if np.any(factor <= 0):
        raise ValueError("penalty_factor must be positive here: one penalty grid serves all features.")
    return factor


def leave_one_out(X, Y, alphas, *, weight, fit_intercept, factor, standardize, accurate, n_threads, choose, keep,
                  report=None):
    """Exact leave-one-out for every alpha, and the fit of all rows at the chosen ones.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets).
    alphas : ndarray of shape (n_alphas,)
        Positive.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    fit_intercept : bool
    factor : float or ndarray of shape (p,)
        Of the penalty, positive.
    standardize : bool
    accurate : bool
        By orthogonal transformations of X, whatever its columns.
    n_threads : int or None
    choose : callable
        LeftOut -> index of the alpha of each target, and what is to be handed back.
    keep : bool
        Whether the error of each row is wanted.
    report : callable or None
        Called with how many of RIDGE_STEPS are done.

    Returns
    -------
    at : ndarray of int, shape (n_targets,)
    chosen
        What `choose` hands back.
    left_out : fastreg.solvers.ridge.leave_one_out.LeftOut
    fit : fastreg.solvers.ridge.solution.RidgeSolution
        With df of shape (n_targets,).
    """
    if not can_decompose(X):
        raise ValueError(f"X is sparse with {X.shape[0]} rows and {X.shape[1]} columns: leave-one-out would need an "
                         "array of one of them squared. Give cv (cv=5, say) for folds instead.")
    problem = RidgeProblem.of(X, Y, alphas, Penalty(0.0, factor, standardize=standardize), weight, fit_intercept,
                              n_threads)
    with problem.blas():
        at, chosen, left_out, found = choose_by_rows(problem, choose, keep, accurate, report)
    if found.lost:
        warnings.warn(LOST, ConvergenceWarning, stacklevel=5)
    return at, chosen, left_out, problem.restored(found)


def losses_of_rows(left_out, each):
    """Mean squared leave-one-out errors, times weights, of each target or, where these share an alpha, of their mean.

    Parameters
    ----------
    left_out : fastreg.solvers.ridge.leave_one_out.LeftOut
    each : bool

    Returns
    -------
    means : ndarray of shape (n_targets or 1, n_alphas)
    standard_errors : ndarray of the same shape, or None
        Of these means over the rows that have a weight; None where their errors were not kept.
    units : list of Scale
        That both were divided by.
    """
    problem, found = left_out.problem, None
    means, exponent = left_out.means()
    top = exponent if each else np.max(exponent, keepdims=True)
    shift = (exponent - top)[:, None]
    if not each:
        means = np.ldexp(means, shift).mean(axis=0, keepdims=True)
    if left_out.errors is not None:
        rows, found = np.flatnonzero(problem.constant), np.zeros_like(means)
        for a in range(0, found.shape[1] if len(rows) > 1 else 0, 8):
            squares = left_out.errors[:, rows, a:a + 8] ** 2
            if not each:
                squares = np.ldexp(squares, shift[:, None]).mean(axis=0, keepdims=True)
            found[:, a:a + 8] = squares.std(axis=1, ddof=1) * (problem.unit * np.sqrt(len(rows)) / problem.n)
    return means, found, [Scale(int(e)) for e in top]


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
        That the values were divided by.
    standard_error : ndarray of shape (n_alphas,) or None
        Divided by it, too.
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
        standard_error = unit.up(standard_error)
    curve = SelectionCurves(
        alphas[None, place], unit.up(values[None, place]), df[None, place], metric, greater_is_better, best,
        basis, standard_error=standard_error, best_1se=best_1se,
        selection_rule=selection_rule)
    return curve, place[curve.chosen[1]]


def cross_validate_ridge(X, Y, folds, alphas, place, *, weight, fit_intercept, factor, standardize, n_threads,
                         selection_rule="min", scorer=None, metric="R2", refit=True, report=None):
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
    report : callable or None
        Called with the number of folds that are done, with a scorer of one that is under way a share.

    Returns
    -------
    curves : SelectionCurves
    fit : fastreg.solvers.ridge.solution.RidgeSolution or None
        With df of shape (n_alphas,).
    """
    n_jobs, n_threads = jobs_and_threads(None, n_threads, len(folds))
    problem = RidgeProblem.of(X, Y, alphas, Penalty(0.0, factor, standardize=standardize), weight, fit_intercept,
                              max(1, n_threads // n_jobs))
    with problem.blas():
        fits = fold_fits(problem, folds, n_jobs)
        score = partial(_r2, fits) if scorer is None else partial(_by_scorer, fits, scorer)
        scores = np.stack(_of_folds(score, len(folds), n_jobs, report or ignored), axis=1)
        mean, error, best, best_1se = select(alphas[None], scores[None], True)
        same = np.flatnonzero(mean[0] == mean[best])
        curves = SelectionCurves(
            alphas[None], mean, np.full(mean.shape, np.nan), metric, True, (0, int(same[np.argmin(place[same])])),
            f"mean over {len(folds)} folds", standard_error=error, fold_scores=scores[None], best_1se=best_1se,
            selection_rule=selection_rule)
        fit = fits.refit(curves.chosen[1]) if refit else None
    if not fits.converged:
        warnings.warn(f"{MOST_STEPS} products with X were too few for the smallest alphas: leave them out, or scale X.",
                      ConvergenceWarning, stacklevel=5)
    if fits.doubtful or (fit is not None and fit.lost):
        warnings.warn(LOST, ConvergenceWarning, stacklevel=5)
    if fit is not None:
        curves, fit = replace(curves, df=fit.df[None]), problem.restored(fit)
    return curves, fit


def _of_folds(score, count, n_jobs, report):
    """[score(0, tell), ...], n_jobs at a time; `tell` is to hear now and then which share of a fold is done."""
    finished, one_by_one = np.zeros(count), threading.Lock()

    def work(f):
        def tell(share):
            go_on()
            with one_by_one:
                finished[f] = share
                report(finished.sum())

        found = score(f, tell)
        tell(1.0)
        return found

    return in_threads(n_jobs, work, count)


def _r2(fits, f, _):
    """R2 on test set f at every alpha, as scikit-learn's: averaged over targets, finite where y is constant."""
    problem, test = fits.problem, fits.folds[f].test
    if len(test) < 2:
        return np.full(len(problem.given), np.nan)
    y, weight = problem.Y[test], problem.weights.of(test)
    spread = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    errors = fits.errors(f)
    constant = spread == 0
    return np.where(constant, errors == 0, 1 - errors / np.where(constant, 1, spread)).mean(axis=1)


def _by_scorer(fits, scorer, f, tell):
    """A scorer's values on test set f at every alpha; some alphas at a time where coefficients are many."""
    problem, test, out = fits.problem, fits.folds[f].test, []
    step, units = max(1, 10**7 // (problem.p * problem.Y.shape[1])), problem.units
    for a in range(0, len(problem.given), step):
        coefs, intercepts = fits.fit(f, problem.given[a:a + step])
        for coef, intercept in zip(units.coefs_up(coefs), units.up(intercepts)):
            out.append(scorer(coef, intercept, test))
            tell(len(out) / len(problem.given))
    return out
