"""Lasso and ElasticNet."""
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, is_classifier
from sklearn.utils.validation import check_is_fitted

from fastreg.checks import (
    check_flag,
    check_ignored,
    check_number,
    check_penalty_options,
    check_precompute,
    check_start,
    check_threads,
    check_weight,
    is_plain,
    validate_X,
    validate_X_y,
)
from fastreg.design import readable
from fastreg.path import enet_path, warn_unless_converged
from fastreg.solvers.linear import Penalty, single, solve_path, toward_zero
from fastreg.weights import Weights


def as_stored(X, coef, intercept):
    """Coefficients and intercepts in float32 where X is stored so, as scikit-learn gives them, unless a target of
    extreme scale makes them too large or too small for it; as they are otherwise."""
    if X.dtype == np.float32 and single(coef, intercept):
        return toward_zero(coef), intercept.astype(np.float32)
    return coef, intercept


def score_by(owner, scorer, model, X, y, **params):
    """A scorer's value of `model`, which stands for a fit of `owner`: errors name the owner and its scoring."""
    try:
        score = scorer(model, X, y, **params)
    except AttributeError as error:
        if type(model).__name__ not in str(error):
            raise
        there = "predict and decision_function" if is_classifier(owner) else "predict"
        raise ValueError(f"scoring={owner.scoring!r} asks for a method that {type(owner).__name__} does not have, "
                         f"such as predict_proba: it has {there}.") from None
    number = score.item() if getattr(score, "size", 0) == 1 and hasattr(score, "item") else score
    if not isinstance(number, Real):
        raise ValueError(f"scoring={owner.scoring!r} must return a number, got {score!r} ({type(score).__name__}).")
    return number


class LinearRegressorMixin(MultiOutputMixin, RegressorMixin):
    """Prediction and tags of a linear model with coef_ and intercept_."""

    def predict(self, X):
        """Predict with the linear model: ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        check_is_fitted(self)
        X = validate_X(self, X)
        return X @ self.coef_.T + self.intercept_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_data(self, X, y):
        """X and y checked, n_features_in_ and feature_names_in_ set."""
        if is_plain(X, y):
            self.n_features_in_ = X.shape[1]
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
            return readable(X), y
        return validate_X_y(self, X, y, ensure_all_finite=False)      # of X alone: the solver finds out as it reads it


class ElasticNet(LinearRegressorMixin, BaseEstimator):
    """Linear regression with combined L1 and L2 penalties, solved exactly.

    Minimises over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty; 0 is least squares.
    l1_ratio : float in [0, 1], default=0.5
        1 is the lasso, 0 ridge regression.
    fit_intercept : bool, default=True
        Fit b, which is not penalised, for dense and sparse X alike.
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default=False
        True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix, of X
        centred where an intercept is fitted and weighted where there are sample weights.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    max_iter : int, default=1000
        Rounds of working set and certificate (a handful is usual).
    tol : float, default=1e-4
        The fit is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when no
        optimality condition is violated beyond rounding.
    warm_start : bool, default=False
        Start from the coefficients of the last fit; where their gap is within `tol` they are kept, in no round.
    positive : bool, default=False
        Same as ``lower_limits=0``.
    random_state : int, RandomState or None
        Nothing is random: any value gives the same result.
    selection : {'cyclic', 'random'}, default='cyclic'
        The solution is exact in any order of updates.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.
    lower_limits, upper_limits : float, array-like of shape (n_features,) or None
        Limits of the coefficients; they must bracket 0.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the (weighted) standard deviation of feature j, about its mean with an
        intercept and about 0 without; coefficients are returned on the original scale.
    n_threads : int or None
        None: as many as OpenMP would use, one inside somebody's worker threads.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        In float32 where X is, as `intercept_`, rounded once the fit in float64 has converged.
    sparse_coef_ : scipy.sparse.csr_array of shape (1, n_features) or (n_targets, n_features)
        `coef_` in sparse form.
    intercept_ : float or ndarray of shape (n_targets,)
    n_iter_ : int or list of int
        Rounds of working set and certificate, for each target.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Duality gap of the fit, in units of the objective, taken at the coefficients as they are stored.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features.

    See Also
    --------
    Lasso : The case l1_ratio = 1.
    fastreg.regularization_path : Solutions for many alphas at the price of few.

    References
    ----------
    Friedman, Hastie, Tibshirani, "Regularization paths for generalized linear models via coordinate descent",
    J. Stat. Softw. 33 (2010); the working set and the certificate as in Massias, Gramfort, Salmon, "Celer: a fast
    solver for the lasso with dual extrapolation", ICML 2018, and Ndiaye et al., "Gap safe screening rules for sparsity
    enforcing penalties", JMLR 18 (2017).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import ElasticNet
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ElasticNet(alpha=0.1).fit(X, y)
    >>> round(model.score(X, y), 3)
    0.103
    """

    def __init__(self, alpha=1.0, *, l1_ratio=0.5, fit_intercept=True, precompute=False, copy_X=True, max_iter=1000,
                 tol=1e-4, warm_start=False, positive=False, random_state=None, selection="cyclic",
                 penalty_factor=None, lower_limits=None, upper_limits=None, standardize=False, n_threads=None):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads

    path = staticmethod(enet_path)

    def fit(self, X, y, sample_weight=None, check_input=True):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Dense in any order, CSR or CSC with int32 or int64 indices, float32 or float64: used where it lies, never
            modified, centred or made dense. Other types are converted once.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The columns of a 2-D y are separate problems, solved together.
        sample_weight : array-like of shape (n_samples,), float or None
            Non-negative; only their ratios matter.
        check_input : bool, default=True
            Input is checked, whatever the value: it costs next to nothing.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            Where an argument is not as described; the message names it.

        Warns
        -----
        ConvergenceWarning
            Where `max_iter` or rounding ended the fit before its gap was reached; the message says which.
        """
        check_flag(check_input, "check_input")
        alpha, l1_ratio, settings = self._check_parameters()
        X, y = self._check_data(X, y)
        n, p = X.shape
        Y = y if y.ndim == 2 else y[:, None]
        options = check_penalty_options(p, positive=self.positive, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        warm = check_flag(self.warm_start, "warm_start") and getattr(self, "coef_", None) is not None
        penalty = Penalty(l1_ratio, standardize=check_flag(self.standardize, "standardize"), **options)
        solutions = solve_path(
            X, Y, np.array([alpha]), penalty,
            weights=Weights(check_weight(sample_weight, n), n), gram=check_precompute(self.precompute, p),
            warm=check_start(self.coef_, Y.shape[1], p, "coef_") if warm else None,
            rounded=X.dtype == np.float32, **settings)
        warn_unless_converged(solutions, self.tol, self.max_iter, stacklevel=2)
        coef, intercept = as_stored(X, solutions.dense(), solutions.intercepts[0])
        one = Y.shape[1] == 1
        self.coef_ = coef[0] if one else coef
        self.dual_gap_ = float(solutions.dual_gaps[0, 0]) if one else solutions.dual_gaps[0]
        self.n_iter_ = int(solutions.n_iters[0, 0]) if one else solutions.n_iters[0].tolist()
        self.intercept_ = (intercept if y.ndim == 2 else intercept[0]) if self.fit_intercept else 0.0
        return self

    @property
    def sparse_coef_(self):
        """`coef_` as a scipy.sparse.csr_array of shape (n_targets, n_features)."""
        return sp.csr_array(np.atleast_2d(self.coef_))

    def _check_parameters(self):
        """alpha, l1_ratio and the settings of the solver."""
        check_ignored(copy_X=self.copy_X, random_state=self.random_state, selection=self.selection)
        return check_number(self.alpha, "alpha", 0), check_number(self.l1_ratio, "l1_ratio", 0, 1), {
            "fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
            "tol": check_number(self.tol, "tol", 0),
            "max_iter": check_number(self.max_iter, "max_iter", 1, kind=Integral),
            "n_threads": check_threads(self.n_threads),
        }


class Lasso(ElasticNet):
    """Linear regression with an L1 penalty, solved exactly.

    Minimises over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j |w_j|

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty; 0 is least squares.
    fit_intercept : bool, default=True
        Fit b, which is not penalised, for dense and sparse X alike.
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default=False
        True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix, of X
        centred where an intercept is fitted and weighted where there are sample weights.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    max_iter : int, default=1000
        Rounds of working set and certificate (a handful is usual).
    tol : float, default=1e-4
        The fit is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when no
        optimality condition is violated beyond rounding.
    warm_start : bool, default=False
        Start from the coefficients of the last fit; where their gap is within `tol` they are kept, in no round.
    positive : bool, default=False
        Same as ``lower_limits=0``.
    random_state : int, RandomState or None
        Nothing is random: any value gives the same result.
    selection : {'cyclic', 'random'}, default='cyclic'
        The solution is exact in any order of updates.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.
    lower_limits, upper_limits : float, array-like of shape (n_features,) or None
        Limits of the coefficients; they must bracket 0.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``; coefficients are returned on the original scale.
    n_threads : int or None
        None: as many as OpenMP would use, one inside somebody's worker threads.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        In float32 where X is, as `intercept_`, rounded once the fit in float64 has converged.
    sparse_coef_ : scipy.sparse.csr_array of shape (1, n_features) or (n_targets, n_features)
        `coef_` in sparse form.
    intercept_ : float or ndarray of shape (n_targets,)
    n_iter_ : int or list of int
        Rounds of working set and certificate, for each target.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Duality gap of the fit, in units of the objective, taken at the coefficients as they are stored.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features.

    See Also
    --------
    ElasticNet : With an L2 penalty as well.
    fastreg.regularization_path : Solutions for many alphas at the price of few.

    References
    ----------
    As for ElasticNet.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import Lasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Lasso(alpha=0.5).fit(X, y)
    >>> (model.coef_ != 0).sum().item()
    4
    """

    l1_ratio = 1.0

    def __init__(self, alpha=1.0, *, fit_intercept=True, precompute=False, copy_X=True, max_iter=1000, tol=1e-4,
                 warm_start=False, positive=False, random_state=None, selection="cyclic", penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
