"""Ridge, ridge_regression and RidgeClassifier."""
import warnings
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted, column_or_1d

from fastreg.checks import (
    check_choice,
    check_flag,
    check_ignored,
    check_number,
    check_penalties,
    check_penalty_options,
    check_threads,
    check_verbose,
    check_weight_values,
    validate_X,
    validate_X_y,
)
from fastreg.estimators.base import LinearRegressorMixin, as_stored, weight_by_class
from fastreg.parameters import documented
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.ridge.certificate import normal_residual
from fastreg.solvers.ridge.choose import SOLVERS, solve_ridge
from fastreg.solvers.ridge.solution import BY_LIMIT


def check_target_alphas(alpha, n_targets):
    """Strengths of the penalty, one for each target, as float64."""
    if np.ndim(alpha) == 0:
        return np.full(n_targets, check_number(alpha, "alpha", 0))
    alphas = check_penalties(alpha, "alpha")
    if alphas.shape not in ((1,), (n_targets,)):
        raise ValueError(f"Number of targets and number of penalties do not correspond: {len(alphas)} != {n_targets}, "
                         "alpha must be a number or have one for each target.")
    return np.broadcast_to(alphas, n_targets).copy()


def warn_of_end(found, tol, max_iter, remedies="max_iter, tol or alpha", stacklevel=4):
    """Say what ended a fit before tol was reached, how far it came, and what can be done."""
    norms = np.linalg.norm(found.coef, axis=1)
    worst = np.max(np.divide(found.bound, norms, out=np.zeros(len(norms)), where=norms > 0))
    if np.isfinite(worst):
        known = f"the coefficients are only known to {worst:.1e} times their norm (tol={tol:g})"
    else:
        known = f"the residual of the normal equations is above tol={tol:g}"
    steps = np.max(found.n_iter)
    if np.any(found.stopped == BY_LIMIT):
        limit = "" if max_iter is None else f"={max_iter}"
        text = f"max_iter{limit} ended the fit after {steps} steps: {known}. Increase {remedies}."
    else:
        text = (f"Rounding ended the fit after {steps} steps: {known}. More iterations cannot help: bring the columns "
                f"to one scale, or increase {remedies.removeprefix('max_iter, ')}.")
    warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel)


def stored(X, found):
    """A solution with its coefficients in float32 where X is, and the bound that they have then."""
    coef, intercept = as_stored(X, found.coef, found.intercept)
    if coef is found.coef:
        return found
    return replace(found, coef=coef, intercept=intercept,
                   bound=found.bound + np.linalg.norm(coef - found.coef, axis=1))


class RidgeBase(BaseEstimator):
    """What Ridge and RidgeClassifier share: parameters, and the fit of numeric targets."""

    def __init__(self, alpha, *, fit_intercept, copy_X, max_iter, tol, solver, positive, random_state, penalty_factor,
                 lower_limits, upper_limits, standardize, n_threads):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.max_iter = max_iter
        self.tol = tol
        self.solver = solver
        self.positive = positive
        self.random_state = random_state
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads

    def _solve(self, X, y, sample_weight):
        """Fit targets y (one- or two-dimensional), setting attributes; the solution."""
        Y = y if y.ndim == 2 else y[:, None]
        settings, penalty = self._settings(X.shape[1])
        check_choice(self.solver, "solver", SOLVERS)
        if self.solver == "lbfgs" and not self.positive:
            raise ValueError("solver='lbfgs' is for positive=True: use 'auto' or 'sparse_cg'.")
        if self.solver not in ("auto", "lbfgs") and self.positive:
            raise ValueError(f"solver={self.solver!r} does not support positive fitting: only 'lbfgs' solver can be "
                             "used, or 'auto'.")
        tol = check_number(self.tol, "tol", 0)
        max_iter = self.max_iter
        if max_iter is not None:
            max_iter = check_number(max_iter, "max_iter", 1, kind=Integral)
        found = solve_ridge(X, Y, check_target_alphas(self.alpha, Y.shape[1]), penalty,
                            weight=check_weight_values(sample_weight, X.shape[0]), solver=self.solver, tol=tol,
                            max_iter=max_iter, **settings)
        if not found.converged:
            warn_of_end(found, tol, max_iter)
        found = stored(X, found)
        self.solver_ = found.solver if self.solver == "auto" else self.solver
        self.n_iter_ = found.n_iter
        self.coef_bound_ = float(found.bound[0]) if len(found.bound) == 1 else found.bound
        return found

    def _settings(self, p):
        check_ignored(copy_X=self.copy_X, random_state=self.random_state)
        options = check_penalty_options(p, positive=self.positive, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        penalty = Penalty(0.0, standardize=check_flag(self.standardize, "standardize"), **options)
        return {"fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
                "n_threads": check_threads(self.n_threads)}, penalty

    def _residual(self, X, y, sample_weight):
        """Relative residuals of the normal equations for numeric targets."""
        settings, penalty = self._settings(X.shape[1])
        Y = y if y.ndim == 2 else y[:, None]
        return normal_residual(X, Y, np.atleast_2d(self.coef_), check_target_alphas(self.alpha, Y.shape[1]), penalty,
                               weight=check_weight_values(sample_weight, X.shape[0]), **settings)


class NormalResidualMixin:
    """The certificate of a least-squares fit, of whose numeric targets `_residual` knows the residuals."""

    def _as_fitted(self, X, y, sample_weight):
        """X, numeric targets and weights as the fit took them."""
        return *validate_X_y(self, X, y, reset=False), sample_weight

    def normal_residual(self, X, y, sample_weight=None):
        """Certificate of the fit: norm of the residual of its normal equations, relative to ``||X'S(y - mean)||``.

        Computed in float64 from X itself; limits are not taken into account.

        Parameters
        ----------
        X, y, sample_weight
            What the model was fitted to.

        Returns
        -------
        float or ndarray of shape (n_targets,)
            A float where there is one target: y of one dimension, or labels of two classes.
        """
        check_is_fitted(self, "coef_")
        X, y, weight = self._as_fitted(X, y, sample_weight)
        residual = self._residual(X, y, weight)
        return residual if y.ndim == 2 else float(residual[0])


@documented
class Ridge(NormalResidualMixin, LinearRegressorMixin, RidgeBase):
    """Linear least squares with an L2 penalty, solved exactly.

    Minimises over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    alpha : float or array-like of shape (n_targets,), default=1.0
        Strength of the penalty, in units of ``sum_i s_i x_ij^2``; 0 is least squares, of minimum norm where X has not
        full rank.
    {fit_intercept, copy_X, ridge.max_iter, ridge.tol, ridge.solver, positive, random_state}
    {penalty_factor, lower_limits, standardize, n_threads}

    Attributes
    ----------
    {ridge.coef_, ridge.intercept_, ridge.coef_bound_, ridge.n_iter_, ridge.solver_, n_features_in_, feature_names_in_}

    See Also
    --------
    ElasticNet : With an L1 penalty as well.

    References
    ----------
    {ridge.Hoerl, ridge.Saunders, ridge.Hestenes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Ridge(alpha=0.1).fit(X, y)
    >>> round(model.score(X, y), 3)
    0.513
    >>> bool(model.normal_residual(X, y) < 1e-12)
    True
    """

    def __init__(self, alpha=1.0, *, fit_intercept=True, copy_X=True, max_iter=None, tol=1e-4, solver="auto",
                 positive=False, random_state=None, penalty_factor=None, lower_limits=None, upper_limits=None,
                 standardize=False, n_threads=None):
        super().__init__(
            alpha, fit_intercept=fit_intercept, copy_X=copy_X, max_iter=max_iter, tol=tol, solver=solver,
            positive=positive, random_state=random_state, penalty_factor=penalty_factor, lower_limits=lower_limits,
            upper_limits=upper_limits, standardize=standardize, n_threads=n_threads)

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        {X, y, ridge.sample_weight}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {ridge.ConvergenceWarning}
        """
        X, y = self._check_data(X, y)
        found = self._solve(X, y, sample_weight)
        self.coef_ = found.coef[0] if len(found.coef) == 1 else found.coef
        self.intercept_ = (found.intercept if y.ndim == 2 else found.intercept[0]) if self.fit_intercept else 0.0
        return self


class RidgeLabelsMixin(NormalResidualMixin, ClassifierMixin):
    """Labels as targets of -1 and 1, and back."""

    def _as_fitted(self, X, y, sample_weight):
        X, y = validate_X_y(self, X, y, labels=True, reset=False)
        Y = self.label_binarizer_.transform(y).astype(np.float64)
        weight = weight_by_class(check_weight_values(sample_weight, X.shape[0]), self.class_weight, y)
        return X, Y if Y.shape[1] > 1 else Y[:, 0], weight

    def _check_labels(self, X, y, sample_weight, class_weight):
        """X, targets of shape (n, n_outputs) and sample weights; sets n_features_in_ and label_binarizer_."""
        X, y = validate_X_y(self, X, y, labels=True, ensure_all_finite=False)
        self.label_binarizer_ = LabelBinarizer(pos_label=1, neg_label=-1)
        try:
            Y = self.label_binarizer_.fit_transform(y).astype(np.float64)
        except TypeError as error:
            raise TypeError(f"y holds labels that cannot be sorted, of several types or None: {error}.") from None
        if not self.label_binarizer_.y_type_.startswith("multilabel"):
            y = column_or_1d(y, warn=True)
        return X, Y, weight_by_class(check_weight_values(sample_weight, X.shape[0]), class_weight, y)

    @property
    def classes_(self):
        """The class labels."""
        return self.label_binarizer_.classes_

    def decision_function(self, X):
        """Scores of the classes: ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, otherwise (n_samples, n_classes)
        """
        check_is_fitted(self)
        X = validate_X(self, X)
        scores = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores

    def predict(self, X):
        """Predict labels: of the highest score, or of each positive score where labels are multiple.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        scores = self.decision_function(X)
        if self.label_binarizer_.y_type_.startswith("multilabel"):
            return self.label_binarizer_.inverse_transform(np.where(scores > 0, 1, -1).reshape(len(scores), -1))
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


@documented
class RidgeClassifier(RidgeLabelsMixin, RidgeBase):
    """Classification by ridge regression on labels of -1 and 1, one target for each class (one for two classes).

    Minimises for each target over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, in units of ``sum_i s_i x_ij^2``.
    {fit_intercept, copy_X, ridge.max_iter, ridge.tol, labels.class_weight, ridge.solver, positive, random_state}
    {penalty_factor, lower_limits, standardize, n_threads}

    Attributes
    ----------
    {labels.coef_, labels.intercept_, labels.classes_, ridge.coef_bound_, ridge.n_iter_, ridge.solver_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    Ridge : The regression itself.

    References
    ----------
    {ridge.Hoerl, ridge.Saunders, ridge.Hestenes}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastreg import RidgeClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> round(RidgeClassifier().fit(X, y).score(X, y), 2)
    0.96
    """

    def __init__(self, alpha=1.0, *, fit_intercept=True, copy_X=True, max_iter=None, tol=1e-4, class_weight=None,
                 solver="auto", positive=False, random_state=None, penalty_factor=None, lower_limits=None,
                 upper_limits=None, standardize=False, n_threads=None):
        super().__init__(
            alpha, fit_intercept=fit_intercept, copy_X=copy_X, max_iter=max_iter, tol=tol, solver=solver,
            positive=positive, random_state=random_state, penalty_factor=penalty_factor, lower_limits=lower_limits,
            upper_limits=upper_limits, standardize=standardize, n_threads=n_threads)
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        {X, labels.y, ridge.sample_weight}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {ridge.ConvergenceWarning}
        """
        X, Y, weight = self._check_labels(X, y, sample_weight, self.class_weight)
        found = self._solve(X, Y, weight)
        self.coef_ = found.coef[0] if len(found.coef) == 1 else found.coef
        self.intercept_ = found.intercept if self.fit_intercept else 0.0
        return self


@documented
def ridge_regression(X, y, alpha, *, sample_weight=None, solver="auto", max_iter=None, tol=1e-4, verbose=0,
                     positive=False, random_state=None, return_n_iter=False, return_intercept=False, check_input=True,
                     n_threads=None):
    """Solve a ridge regression by the normal equations that suit X.

    Minimises ``sum_i s_i (y_i - x_i w)^2 + alpha ||w||^2``, with an intercept where `return_intercept`.

    Parameters
    ----------
    {X, y}
    alpha : float or array-like of shape (n_targets,)
        Strength of the penalty.
    {ridge.sample_weight, ridge.solver, ridge.max_iter, ridge.tol}
    verbose : int, default=0
        Nothing is printed, whatever the value.
    {positive, random_state}
    return_n_iter, return_intercept : bool, default=False
        Return these as well; an intercept is for ``solver='auto'`` and 'sag', as in scikit-learn.
    {check_input, n_threads}

    Returns
    -------
    coef : ndarray of shape (n_features,) or (n_targets, n_features)
    n_iter : ndarray of shape (n_targets,)
        Where asked for.
    intercept : float or ndarray of shape (n_targets,)
        Where asked for.

    Raises
    ------
    {ValueError}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import ridge_regression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ridge_regression(X, y - y.mean(), 1.0).round(1)[:3].tolist()
    [29.5, -83.2, 306.4]
    """
    check_flag(check_input, "check_input")
    check_flag(return_n_iter, "return_n_iter")
    check_verbose(verbose)
    if check_flag(return_intercept, "return_intercept") and solver not in ("auto", "sag"):
        raise ValueError("In Ridge, only 'sag' solver (and 'auto') can directly fit the intercept by ridge_regression, "
                         f"as in scikit-learn, got solver={solver!r}: Ridge fits it by any.")
    model = Ridge(alpha, fit_intercept=bool(return_intercept), max_iter=max_iter, tol=tol,
                  solver=solver, positive=positive, random_state=random_state, n_threads=n_threads)
    X, y = model._check_data(X, y)
    found = model._solve(X, y, sample_weight)
    coef, intercept = (found.coef[0], found.intercept[0]) if y.ndim == 1 else (found.coef, found.intercept)
    asked = (coef, *((model.n_iter_,) if return_n_iter else ()), *((intercept,) if return_intercept else ()))
    return asked if len(asked) > 1 else coef
