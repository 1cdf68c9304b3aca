"""Regularisation paths of the lasso and the elastic net."""
import warnings
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from fastreg.checks import (
    check_alphas,
    check_flag,
    check_ignored,
    check_listeners,
    check_number,
    check_penalty_options,
    check_precompute,
    check_start,
    check_threads,
    check_weight,
    check_X_y,
)
from fastreg.datafits import by_name
from fastreg.inputs import as_floats
from fastreg.parameters import documented
from fastreg.paths import name_features, path_of
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.progress import reporting
from fastreg.rounding import single, toward_zero
from fastreg.selection import first_unconverged
from fastreg.solvers.existence import escape
from fastreg.solvers.existence_of_classes import escape_of_classes
from fastreg.solvers.free_softmax import refuse_free
from fastreg.solvers.path import solve_path
from fastreg.solvers.suited import solve_suited
from fastreg.targets import as_target, check_offset
from fastreg.validation import check_validation
from fastreg.weights import Weights

SQUARED_DEVIATION = "the mean squared deviation of y"


def warn_unless_converged(solutions, tol, max_iter, stacklevel, unit=SQUARED_DEVIATION):
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
        f"{solutions.relative_gaps[k, t]:.3e} times {unit} where tol={tol:g} was aimed at. "
        f"What helps: {', or '.join(helps)}.", ConvergenceWarning, stacklevel=stacklevel + 1)


def refuse_escape(problem, alpha, coef, intercept, stacklevel):
    """Raise a ValueError where columns that nothing penalises at alpha have no best coefficients, and warn where it
    cannot be told; coef and intercept are a fit, of one target or of several classes."""
    away = (escape_of_classes if problem.datafit.coupled else escape)(problem, alpha, coef, intercept)
    _tell(away, problem, stacklevel + 1)


def _tell(found, problem, stacklevel):
    """Raise or warn by an Escape, if there is one."""
    if found is None:
        return
    if not found.known:
        warnings.warn("rounding leaves it open whether the columns that nothing penalises have best coefficients.",
                      ConvergenceWarning, stacklevel=stacklevel + 1)
        return
    raise ValueError(found.refusal(problem.datafit))


def refuse_endless(problem, found, stacklevel):
    """`refuse_escape` of the last fit of Solutions, of one target or of several classes."""
    K = found.stopped.shape[1]
    first = found.stopped.size - K
    if not problem.datafit.coupled:
        refuse_escape(problem, found.alphas[-1], found.coef(first), found.intercepts[-1, 0], stacklevel + 1)
    elif found.stopped[-1].any() or problem.route(Spec(found.alphas)) == "engine":
        coefs = np.stack([found.coef(first + k) for k in range(K)])     # elsewhere a gap is proof of a minimum
        refuse_escape(problem, found.alphas[-1], coefs, found.intercepts[-1], stacklevel + 1)


def unit_of(datafit):
    """In words, what tol is a multiple of."""
    return SQUARED_DEVIATION if datafit.quadratic else "half the null deviance"


@documented
def regularization_path(X, y, *, l1_ratio=1.0, alphas=100, eps=1e-3, fit_intercept=True, sample_weight=None, tol=1e-4,
                        max_iter=1000, positive=False, penalty_factor=None, lower_limits=None, upper_limits=None,
                        standardize=False, n_threads=None, callback=None, datafit="quadratic", offset=None, X_val=None,
                        y_val=None, sample_weight_val=None, offset_val=None, patience=None, verbose=0):
    """Lasso or elastic-net solutions along a path of penalties, each with its duality gap, for one of several losses.

    For every alpha, minimises over w and b::

        1 / sum_i s_i * sum_i s_i L(y_i, x_i w + b + offset_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors, and L is the `datafit`:
    half the squared error, the logistic loss ``log(1 + exp(-y eta))`` of two classes (y -1 and 1), the Poisson loss
    ``exp(eta) - y eta`` of counts, the gamma loss ``y exp(-eta) + eta`` of amounts, Tweedie's, which lie between these
    two (``y exp((1 - p) eta) / (p - 1) + exp((2 - p) eta) / (2 - p)``, 1 < p < 2), Huber's (``r^2 / 2`` up to
    ``|r| = d``, ``d |r| - d^2 / 2`` beyond it, r = y - eta), the squared hinge ``max(0, 1 - y eta)^2 / 2`` of two
    classes (y -1 and 1), or the multinomial one
    ``log(sum_k exp(eta_k)) - eta_y`` of several classes, each of which has its own w, b and penalty; their intercepts
    add up to zero.

    Parameters
    ----------
    {X}
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The columns of a 2-D y are separate problems at the same alphas, solved together. Of losses of classes, labels
        of any kind in one dimension, the larger of two being 1; of the Poisson loss and Tweedie's, not negative; of the
        gamma loss, positive.
    l1_ratio : float in [0, 1], default=1.0
        1 is the lasso, 0 ridge regression (needs `alphas` as an array).
    alphas : int or array-like, default=100
        Number of values, spaced geometrically from the smallest alpha that makes every penalised coefficient zero (of
        every target) down to `eps` times it; or the values.
    {paths.eps, fit_intercept, lasso.sample_weight}
    tol : float, default=1e-4
        A solution is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i`` (of a loss
        that is not the squared one, tol times half the null deviance), or when no optimality condition is violated
        beyond rounding.
    {lasso.max_iter, positive, penalty_factor, lower_limits, standardize, n_threads}
    {callback}
    datafit : str or Datafit, default='quadratic'
        The loss L: 'quadratic', 'logistic', 'poisson', 'gamma', 'tweedie(p)', 'inverse_gaussian', 'huber(d)',
        'squared_hinge' or 'multinomial'; p and d are numbers, as in ``'tweedie(1.5)'`` and ``'huber(1.35)'``, d in the
        units of y; or a loss of your own, from `fastreg.datafits.custom`. Those of Tweedie with p above 2 (3 is the
        inverse Gaussian) or not above 0 are not convex: stationary points are found.
    offset : array-like of shape (n_samples,), float or None
        Added to the linear predictor; not of the multinomial loss.
    X_val : array-like or sparse of shape (n_validation, n_features) or None
        A validation set: ``validation_deviances`` of the path are the mean deviances there (of the squared loss mean
        squared errors), and ``best`` is the number of the least.
    y_val : array-like of shape (n_validation,)
        Its target; y has one dimension then.
    sample_weight_val : array-like of shape (n_validation,), float or None
    offset_val : array-like of shape (n_validation,), float or None
    patience : int or None
        End the path when the deviance on the validation set has not improved for so many alphas. None goes to its end.
    {verbose}

    Returns
    -------
    Path
        alphas, coefs (CSC, n_features x n_alphas; for a 2-D y, or several classes, a list of such), intercepts,
        dual_gaps, df, n_iters, deviance_explained, validation_deviances and best; predict, score, at, coef_at,
        to_frame, summary, plot; ``path[i]``, slices and masks.

    Raises
    ------
    {ValueError}
    NotImplementedError
        If datafit is 'multinomial', and all classes but one have more than 2000 coefficients without any penalty (an
        alpha or a penalty factor of 0), or more than 2000 beside such columns and no L1 penalty or limits.

    Warns
    -----
    {lasso.ConvergenceWarning}

    References
    ----------
    Working sets and strong rules: Tibshirani et al., "Strong rules for discarding predictors in lasso-type problems",
    JRSS B 74 (2012). Duality gap and safe bounds: Ndiaye et al., "Gap safe screening rules for sparsity enforcing
    penalties", JMLR 18 (2017). Newton's method on the working set: Friedman, Hastie and Tibshirani, "Regularization
    paths for generalized linear models via coordinate descent", J. Stat. Softw. 33 (2010).

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer, load_diabetes
    >>> from fastreg import regularization_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(X, y, alphas=5)
    >>> path.df.tolist()
    [0, 4, 7, 9, 10]
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> path = regularization_path(X, y, alphas=5, datafit="logistic")
    >>> path.deviance_explained.round(2).tolist()
    [0.0, 0.56, 0.68, 0.72, 0.78]
    """
    datafit = by_name(datafit)
    l1_ratio, eps = check_number(l1_ratio, "l1_ratio", 0, 1), check_number(eps, "eps", 0, 1, low_open=True)
    features = BaseEstimator()
    X, y = check_X_y(X, y, features, labels=datafit.labels)
    n, p = X.shape
    if y.ndim == 2 and not datafit.quadratic:
        raise ValueError(f"y must have one dimension where datafit is {datafit.name!r}, got {y.ndim}.")
    y, classes = as_target(datafit, y)
    if datafit.coupled and offset is not None:
        raise ValueError("offset must be None where datafit is 'multinomial'.")
    offset = check_offset(offset, n)
    options = check_penalty_options(p, positive=positive, penalty_factor=penalty_factor, lower_limits=lower_limits,
                                    upper_limits=upper_limits)
    alphas = check_alphas(alphas, eps, l1_ratio)
    listeners = check_listeners("regularization_path", verbose, callback)
    judge = check_validation(X_val, y_val, sample_weight_val, offset_val, patience, owner=features, n_features=p,
                             datafit=datafit, classes=classes, has_offset=offset is not None)
    if judge is not None and y.ndim == 2 and not datafit.coupled:
        raise ValueError("y must have one dimension where X_val is given, got 2.")
    problem = Problem.of(
        X, y.reshape(n, -1), Penalty(l1_ratio, standardize=check_flag(standardize, "standardize"), **options),
        fit_intercept=check_flag(fit_intercept, "fit_intercept"), weights=Weights(check_weight(sample_weight, n), n),
        n_threads=check_threads(n_threads), datafit=datafit, offset=offset)
    spec = Spec(alphas, eps, check_number(tol, "tol", 0), check_number(max_iter, "max_iter", 1, kind=Integral))

    def solve(values, report=None, judge=None):
        refuse_free(problem, 1.0 if isinstance(values, int) else values)
        asked, judged = replace(spec, alphas=values, report=report), None
        if judge is None:
            pieces = [solve_suited(problem, asked)]
        else:
            pieces, judged = judge.solve(problem, asked)
        last = pieces[-1]
        refuse_endless(problem, last, stacklevel=3)
        warn_unless_converged(first_unconverged(*pieces) or last, tol, max_iter, stacklevel=3, unit=unit_of(datafit))
        return path_of(pieces, problem.penalty, problem.fit_intercept, tol, each_target=y.ndim == 2,
                       datafit=datafit.key, classes=classes, has_offset=offset is not None,
                       validation_deviances=judged)

    with reporting(spec.n_alphas, listeners) as report:
        path = solve(alphas, report, judge)
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
                     positive, check_input, tol, max_iter, sample_weight, selection, random_state, n_threads,
                     callback, **unknown):
    """What `enet_path` and `lasso_path`, the public function called `name`, share."""
    if unknown:
        raise ValueError(f"Unexpected parameters in params: {name}() has no argument {', '.join(unknown)}.")
    l1_ratio = check_number(l1_ratio, "l1_ratio", 0, 1)
    check_ignored(copy_X=copy_X, random_state=random_state, selection=selection)
    check_flag(check_input, "check_input")
    listeners, return_n_iter = check_listeners(name, verbose, callback), check_flag(return_n_iter, "return_n_iter")
    X, y = check_X_y(X, y)
    n, p = X.shape
    Y = y if y.ndim == 2 else y[:, None]
    options = check_penalty_options(p, positive=positive, penalty_factor=None, lower_limits=None, upper_limits=None)
    eps = check_number(eps, "eps", 0, 1, low_open=True)
    alphas = check_alphas(alphas, eps, l1_ratio)
    max_iter = check_number(max_iter, "max_iter", 1, kind=Integral)
    problem = Problem.of(X, Y, Penalty(l1_ratio, **options), fit_intercept=False,
                         weights=Weights(check_weight(sample_weight, n), n), n_threads=check_threads(n_threads))
    spec = Spec(alphas, eps, check_number(tol, "tol", 0), max_iter, check_precompute(precompute, p))
    with reporting(spec.n_alphas, listeners) as report:
        solutions = solve_path(problem, replace(spec, report=report), warm=check_start(coef_init, Y.shape[1], p),
                               rounded=X.dtype == np.float32,
                               xy=None if Xy is None else check_per_product(Xy, p, Y.shape[1]))
    warn_unless_converged(solutions, tol, max_iter, stacklevel=3)
    coefs = solutions.dense().T
    if X.dtype == np.float32 and single(coefs):
        coefs = toward_zero(coefs)
    gaps, n_iters = solutions.dual_gaps[:, 0], solutions.n_iters[:, 0].tolist()
    if y.ndim == 2:
        coefs = coefs.reshape(p, len(solutions.alphas), -1).transpose(2, 0, 1)
        gaps, n_iters = solutions.dual_gaps.T, solutions.n_iters.max(axis=1).tolist()
    return (solutions.alphas, coefs, gaps, n_iters) if return_n_iter else (solutions.alphas, coefs, gaps)


@documented
def enet_path(X, y, *, l1_ratio=0.5, eps=1e-3, n_alphas="deprecated", alphas=100, precompute="auto", Xy=None,
              copy_X=True, coef_init=None, verbose=False, return_n_iter=False, positive=False, check_input=True,
              tol=1e-4, max_iter=1000, sample_weight=None, selection="cyclic", random_state=None, n_threads=None,
              callback=None, **params):
    """Elastic-net path without intercept, with scikit-learn's arguments and return values.

    For every alpha, minimises over w::

        1 / (2 n) ||y - X w||^2 + alpha * l1_ratio * ||w||_1 + alpha * (1 - l1_ratio) / 2 * ||w||^2

    Parameters
    ----------
    {paths.X, paths.y}
    l1_ratio : float in [0, 1], default=0.5
        1 is the lasso; 0 (ridge regression) needs `alphas` as an array.
    {paths.eps}
    {paths.n_alphas, paths.alphas, paths.precompute, paths.Xy, copy_X, paths.coef_init, paths.verbose}
    {paths.return_n_iter, positive, check_input, paths.tol, lasso.max_iter, lasso.sample_weight, lasso.selection}
    {random_state, n_threads, callback, paths.params}

    Returns
    -------
    {found.alphas, found.coefs, found.dual_gaps, found.n_iters}

    Raises
    ------
    {ValueError}

    Warns
    -----
    {lasso.ConvergenceWarning}

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
                            return_n_iter=return_n_iter, positive=positive, check_input=check_input, tol=tol,
                            max_iter=max_iter, sample_weight=sample_weight, selection=selection,
                            random_state=random_state, n_threads=n_threads, callback=callback, **params)


@documented
def lasso_path(X, y, *, eps=1e-3, n_alphas="deprecated", alphas=100, precompute="auto", Xy=None, copy_X=True,
               coef_init=None, verbose=False, return_n_iter=False, positive=False, check_input=True, tol=1e-4,
               max_iter=1000, sample_weight=None, selection="cyclic", random_state=None, n_threads=None,
               callback=None, **params):
    """Lasso path without intercept, with scikit-learn's arguments and return values.

    For every alpha, minimises over w: ``1 / (2 n) ||y - X w||^2 + alpha * ||w||_1``.

    Parameters
    ----------
    {paths.X, paths.y, paths.eps}
    {paths.n_alphas, paths.alphas, paths.precompute, paths.Xy, copy_X, paths.coef_init, paths.verbose}
    {paths.return_n_iter, positive, check_input, paths.tol, lasso.max_iter, lasso.sample_weight, lasso.selection}
    {random_state, n_threads, callback, paths.params}

    Returns
    -------
    {found.alphas, found.coefs, found.dual_gaps, found.n_iters}

    Raises
    ------
    {ValueError}

    Warns
    -----
    {lasso.ConvergenceWarning}

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
                            return_n_iter=return_n_iter, positive=positive, check_input=check_input, tol=tol,
                            max_iter=max_iter, sample_weight=sample_weight, selection=selection,
                            random_state=random_state, n_threads=n_threads, callback=callback, **params)
