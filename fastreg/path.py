"""Regularisation paths of the lasso and the elastic net."""
import warnings
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from fastreg.checks import (
    check_alphas,
    check_flag,
    check_ignored,
    check_number,
    check_penalty_options,
    check_precompute,
    check_start,
    check_threads,
    check_verbose,
    check_weight,
    check_X_y,
)
from fastreg.inputs import as_floats
from fastreg.paths import name_features, path_of
from fastreg.solvers.linear import Penalty, single, solve_path, toward_zero
from fastreg.weights import Weights


def warn_unless_converged(solutions, tol, max_iter, stacklevel):
    """ConvergenceWarning that says which gap was reached, which was aimed at, what ended the fit and what helps."""
    if solutions.converged.all():
        return
    by_rounds, by_rounding = (int(np.count_nonzero(solutions.stopped == code)) for code in (1, 2))
    ends = [f"{count} ended by {what}" for count, what in (
        (by_rounds, f"max_iter={max_iter} rounds"), (by_rounding, "rounding, which more rounds cannot mend")) if count]
    helps = ["increase max_iter"] * (by_rounds > 0) + ["increase tol or alpha"] + [
        "leave out columns that are nearly combinations of others"] * (by_rounding > 0)
    k, t = np.unravel_index(np.argmax(np.where(solutions.converged, -1, solutions.relative_gaps)),
                            solutions.stopped.shape)
    warnings.warn(
        f"{by_rounds + by_rounding} of {solutions.stopped.size} solutions did not reach their duality gap: "
        f"{' and '.join(ends)}. Worst at alpha={solutions.alphas[k]:.6g}: gap {solutions.dual_gaps[k, t]:.3e}, "
        f"{solutions.relative_gaps[k, t]:.3e} times the mean squared deviation of y where tol={tol:g} was aimed at. "
        f"What helps: {', or '.join(helps)}.", ConvergenceWarning, stacklevel=stacklevel + 1)


def regularization_path(X, y, *, l1_ratio=1.0, alphas=100, eps=1e-3, fit_intercept=True, sample_weight=None, tol=1e-4,
                        max_iter=1000, positive=False, penalty_factor=None, lower_limits=None, upper_limits=None,
                        standardize=False, n_threads=None, callback=None):
    """Lasso or elastic-net solutions along a path of penalties, each with its duality gap.

    For every alpha, minimises over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
        Dense in any order, CSR or CSC with int32 or int64 indices, float32 or float64: used where it lies, never
        modified, centred or made dense. Other types are converted once.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The columns of a 2-D y are separate problems at the same alphas, solved together.
    l1_ratio : float in [0, 1], default=1.0
        1 is the lasso, 0 ridge regression (needs `alphas` as an array).
    alphas : int or array-like, default=100
        Number of values, spaced geometrically from the smallest alpha that makes every penalised coefficient zero (of
        every target) down to `eps` times it; or the values.
    eps : float in (0, 1], default=1e-3
    fit_intercept : bool, default=True
        Fit b, for dense and sparse X alike; it is never penalised.
    sample_weight : array-like of shape (n_samples,), float or None
        Non-negative; only their ratios matter.
    tol : float, default=1e-4
        A solution is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when
        no optimality condition is violated beyond rounding.
    max_iter : int, default=1000
        Rounds of working set and certificate for each alpha.
    positive : bool, default=False
        Same as ``lower_limits=0``.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.
    lower_limits, upper_limits : float, array-like of shape (n_features,) or None
        Limits of the coefficients; they must bracket 0.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the (weighted) standard deviation of feature j, about its mean with an
        intercept and about 0 without; coefficients are returned on the original scale.
    n_threads : int or None
        None: as many as OpenMP would use, one inside somebody's worker threads.
    callback : callable or None
        Called as ``callback(k, n_alphas)`` from time to time, k values being done.

    Returns
    -------
    Path
        alphas, coefs (CSC, n_features x n_alphas; for a 2-D y a list of such, one for each target), intercepts,
        dual_gaps, df, n_iters; predict, coef_at, plot.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described; the message names it.

    Warns
    -----
    ConvergenceWarning
        Where `max_iter` or rounding ended a fit before its gap was reached; the message says which.

    References
    ----------
    Working sets and strong rules: Tibshirani et al., "Strong rules for discarding predictors in lasso-type problems",
    JRSS B 74 (2012). Duality gap and safe bounds: Ndiaye et al., "Gap safe screening rules for sparsity enforcing
    penalties", JMLR 18 (2017).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import regularization_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(X, y, alphas=5)
    >>> path.df.tolist()
    [0, 4, 7, 9, 10]
    """
    l1_ratio, eps = check_number(l1_ratio, "l1_ratio", 0, 1), check_number(eps, "eps", 0, 1, low_open=True)
    features = BaseEstimator()
    X, y = check_X_y(X, y, features)
    n, p = X.shape
    options = check_penalty_options(p, positive=positive, penalty_factor=penalty_factor, lower_limits=lower_limits,
                                    upper_limits=upper_limits)
    alphas = check_alphas(alphas, eps, l1_ratio)
    count = alphas if isinstance(alphas, int) else len(alphas)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}.")
    penalty = Penalty(l1_ratio, standardize=check_flag(standardize, "standardize"), **options)
    settings = {
        "fit_intercept": check_flag(fit_intercept, "fit_intercept"),
        "weights": Weights(check_weight(sample_weight, n), n),
        "tol": check_number(tol, "tol", 0),
        "max_iter": check_number(max_iter, "max_iter", 1, kind=Integral),
        "n_threads": check_threads(n_threads),
    }

    def solve(values, report=None):
        solutions = solve_path(X, y.reshape(n, -1), values, penalty, eps=eps, report=report, **settings)
        warn_unless_converged(solutions, tol, max_iter, stacklevel=3)
        return path_of([solutions], penalty, settings["fit_intercept"], tol, each_target=y.ndim == 2)

    path = solve(alphas, None if callback is None else lambda k: callback(k, count))
    path._solve = solve
    return name_features(path, features)


def check_per_product(Xy, p, n_targets):
    """X'y as an array of shape (p, n_targets)."""
    array = check_array(as_floats(Xy, "Xy"), dtype=np.float64, ensure_2d=False, input_name="Xy")
    if array.shape not in ((p,), (p, n_targets)) or array.size != p * n_targets:
        raise ValueError(f"Xy must have shape ({p},) or ({p}, {n_targets}), got {array.shape}.")
    return array.reshape(p, n_targets)


def count_of_alphas(alphas, n_alphas):
    """`alphas` of the path functions, with the deprecated ways to ask for a number of them."""
    if isinstance(n_alphas, str) and n_alphas == "deprecated":
        n_alphas = 100
    else:
        warnings.warn("'n_alphas' was deprecated in 1.9 and will be removed in 1.11, as in scikit-learn: 'alphas' "
                      "takes the number too.", FutureWarning, stacklevel=3)
        if isinstance(alphas, int) and alphas == 100:
            return check_number(n_alphas, "n_alphas", 1, kind=Integral)
    if alphas is None:
        warnings.warn("'alphas=None' is deprecated and will be removed in 1.11, as in scikit-learn: say alphas=100.",
                      FutureWarning, stacklevel=3)
        return check_number(n_alphas, "n_alphas", 1, kind=Integral)
    return alphas


def _solve_enet_path(name, X, y, *, l1_ratio, eps, alphas, precompute, Xy, copy_X, coef_init, verbose, return_n_iter,
                     positive, check_input, tol=1e-4, max_iter=1000, sample_weight=None, selection="cyclic",
                     random_state=None, n_threads=None, **unknown):
    """What `enet_path` and `lasso_path`, the public function called `name`, share."""
    if unknown:
        raise ValueError(f"Unexpected parameters in params: {name}() has no argument {', '.join(unknown)}.")
    l1_ratio = check_number(l1_ratio, "l1_ratio", 0, 1)
    check_ignored(copy_X=copy_X, random_state=random_state, selection=selection)
    check_flag(check_input, "check_input")
    verbose, return_n_iter = check_verbose(verbose), check_flag(return_n_iter, "return_n_iter")
    X, y = check_X_y(X, y)
    n, p = X.shape
    Y = y if y.ndim == 2 else y[:, None]
    options = check_penalty_options(p, positive=positive, penalty_factor=None, lower_limits=None, upper_limits=None)
    eps = check_number(eps, "eps", 0, 1, low_open=True)
    alphas = check_alphas(alphas, eps, l1_ratio)
    count = alphas if isinstance(alphas, int) else len(alphas)
    max_iter = check_number(max_iter, "max_iter", 1, kind=Integral)
    solutions = solve_path(
        X, Y, alphas, Penalty(l1_ratio, **options), fit_intercept=False, eps=eps,
        weights=Weights(check_weight(sample_weight, n), n), tol=check_number(tol, "tol", 0),
        max_iter=max_iter, n_threads=check_threads(n_threads),
        gram=check_precompute(precompute, p), warm=check_start(coef_init, Y.shape[1], p),
        xy=None if Xy is None else check_per_product(Xy, p, Y.shape[1]), rounded=X.dtype == np.float32,
        report=(lambda k: print(f"fastreg: {k} of {count} alphas")) if verbose else None)
    warn_unless_converged(solutions, tol, max_iter, stacklevel=3)
    coefs = solutions.dense().T
    if X.dtype == np.float32 and single(coefs):
        coefs = toward_zero(coefs)
    gaps, n_iters = solutions.dual_gaps[:, 0], solutions.n_iters[:, 0].tolist()
    if y.ndim == 2:
        coefs = coefs.reshape(p, len(solutions.alphas), -1).transpose(2, 0, 1)
        gaps, n_iters = solutions.dual_gaps.T, solutions.n_iters.max(axis=1).tolist()
    return (solutions.alphas, coefs, gaps, n_iters) if return_n_iter else (solutions.alphas, coefs, gaps)


def enet_path(X, y, *, l1_ratio=0.5, eps=1e-3, n_alphas="deprecated", alphas=100, precompute="auto", Xy=None,
              copy_X=True, coef_init=None, verbose=False, return_n_iter=False, positive=False, check_input=True,
              **params):
    """Elastic-net path without intercept, with scikit-learn's arguments and return values.

    For every alpha, minimises over w::

        1 / (2 n) ||y - X w||^2 + alpha * l1_ratio * ||w||_1 + alpha * (1 - l1_ratio) / 2 * ||w||^2

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The columns of a 2-D y are separate problems, solved together (scikit-learn's function penalises them jointly).
    l1_ratio : float in [0, 1], default=0.5
    eps : float in (0, 1], default=1e-3
        Smallest alpha over largest.
    n_alphas : int
        Deprecated as in scikit-learn, for `alphas` as an int.
    alphas : int or array-like, default=100
        Number of values, from the smallest that makes every coefficient zero; or the values. None is deprecated.
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default='auto'
        True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix.
    Xy : array-like of shape (n_features,) or (n_features, n_targets), or None
        X'y; it is computed anyway, and must agree.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    coef_init : array-like of shape (n_features,) or (n_targets, n_features), or None
        Where to start.
    verbose : bool or int, default=False
        Print the alpha count as the path goes on.
    return_n_iter : bool, default=False
    positive : bool, default=False
    check_input : bool, default=True
        Accepted for compatibility; the checks that remain cost next to nothing.
    **params : dict
        tol (float, default 1e-4): the duality gap, relative to ||y||^2, at which a solution is accepted; max_iter (int,
        default 1000); sample_weight (array-like of shape (n_samples,), float or None); selection ('cyclic' or
        'random') and random_state, on which nothing depends; n_threads (int or None).

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
        In float32 where X is, rounded once the path in float64 has converged.
    dual_gaps : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
        Of these coefficients, in units of the objective.
    n_iters : list of int
        Only with `return_n_iter`.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described; the message names it.

    See Also
    --------
    regularization_path : With intercept, standardisation and limits; sparse coefficients.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import enet_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> alphas, coefs, dual_gaps = enet_path(X, y - y.mean(), l1_ratio=0.9, alphas=5)
    >>> coefs.shape
    (10, 5)
    """
    return _solve_enet_path("enet_path", X, y, l1_ratio=l1_ratio, eps=eps, alphas=count_of_alphas(alphas, n_alphas),
                            precompute=precompute, Xy=Xy, copy_X=copy_X, coef_init=coef_init, verbose=verbose,
                            return_n_iter=return_n_iter, positive=positive, check_input=check_input, **params)


def lasso_path(X, y, *, eps=1e-3, n_alphas="deprecated", alphas=100, precompute="auto", Xy=None, copy_X=True,
               coef_init=None, verbose=False, return_n_iter=False, positive=False, check_input=True, **params):
    """Lasso path without intercept, with scikit-learn's arguments and return values.

    For every alpha, minimises over w: ``1 / (2 n) ||y - X w||^2 + alpha * ||w||_1``.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The columns of a 2-D y are separate problems, solved together (scikit-learn's function penalises them jointly).
    eps : float in (0, 1], default=1e-3
        Smallest alpha over largest.
    n_alphas : int
        Deprecated as in scikit-learn, for `alphas` as an int.
    alphas : int or array-like, default=100
        Number of values, from the smallest that makes every coefficient zero; or the values. None is deprecated.
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default='auto'
        True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix.
    Xy : array-like of shape (n_features,) or (n_features, n_targets), or None
        X'y; it is computed anyway, and must agree.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    coef_init : array-like of shape (n_features,) or (n_targets, n_features), or None
        Where to start.
    verbose : bool or int, default=False
        Print the alpha count as the path goes on.
    return_n_iter : bool, default=False
    positive : bool, default=False
    check_input : bool, default=True
        Accepted for compatibility; the checks that remain cost next to nothing.
    **params : dict
        tol (float, default 1e-4): the duality gap, relative to ||y||^2, at which a solution is accepted; max_iter (int,
        default 1000); sample_weight (array-like of shape (n_samples,), float or None); selection ('cyclic' or
        'random') and random_state, on which nothing depends; n_threads (int or None).

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
        In float32 where X is, rounded once the path in float64 has converged.
    dual_gaps : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
        Of these coefficients, in units of the objective.
    n_iters : list of int
        Only with `return_n_iter`.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described; the message names it.

    See Also
    --------
    regularization_path : With intercept, standardisation and limits; sparse coefficients.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import lasso_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> alphas, coefs, dual_gaps = lasso_path(X, y - y.mean(), alphas=5)
    >>> (coefs != 0).sum(axis=0).tolist()
    [0, 4, 7, 9, 10]
    """
    if "l1_ratio" in params:
        raise ValueError("Unexpected parameters in params: lasso_path() has no argument l1_ratio: use enet_path.")
    return _solve_enet_path("lasso_path", X, y, l1_ratio=1.0, eps=eps, alphas=count_of_alphas(alphas, n_alphas),
                            precompute=precompute, Xy=Xy, copy_X=copy_X, coef_init=coef_init, verbose=verbose,
                            return_n_iter=return_n_iter, positive=positive, check_input=check_input, **params)
