"""RidgeCV and RidgeClassifierCV."""
import warnings
from dataclasses import replace
from functools import partial
from inspect import signature
from itertools import repeat

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator, RegressorMixin, is_classifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.metadata_routing import MethodMapping

from fastreg.checks import check_choice, check_flag, check_listed_alphas, check_threads, check_weight_values
from fastreg.drawing.axes import PerTarget
from fastreg.estimators.base import CrossValidatedMixin, LinearRegressorMixin, score_by
from fastreg.estimators.reporting import ReportingMixin
from fastreg.estimators.ridge import (
    NormalResidualMixin,
    Ridge,
    RidgeClassifier,
    RidgeLabelsMixin,
    stored,
)
from fastreg.parameters import documented
from fastreg.paths import name_features
from fastreg.ridge_path import (
    RIDGE_STEPS,
    check_factor,
    cross_validate_ridge,
    curve_of_rows,
    leave_one_out,
    losses_of_rows,
    path_of_rows,
    refuse_large,
)
from fastreg.scale import Scale
from fastreg.selection import warn_at_edge


class _GivenRegressor(RegressorMixin, BaseEstimator):
    """Stands for a fit whose predictions are known: it predicts what it is given."""

    def fit(self, X, y):
        """Nothing is fitted."""
        return self

    def predict(self, X):
        """What is given."""
        return X

    def __sklearn_is_fitted__(self):
        return True


class _GivenClassifier(RidgeLabelsMixin, BaseEstimator):
    """The same of a classifier: it decides by the scores that it is given."""

    def __init__(self, label_binarizer=None):
        self.label_binarizer_ = self.label_binarizer = label_binarizer

    def fit(self, X, y):
        """Nothing is fitted."""
        return self

    def decision_function(self, X):
        """What is given."""
        return X[:, 0] if X.shape[1] == 1 else X

    def __sklearn_is_fitted__(self):
        return True


class _RidgeCVBase(ReportingMixin, CrossValidatedMixin, BaseEstimator):
    """Choosing alpha for numeric targets, whatever they stand for."""

    def __init__(self, *, alphas, fit_intercept, scoring, cv, store_cv_results, selection_rule, refit, penalty_factor,
                 standardize, n_threads, keep_paths, verbose, callback):
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.scoring = scoring
        self.cv = cv
        self.store_cv_results = store_cv_results
        self.selection_rule = selection_rule
        self.refit = refit
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.n_threads = n_threads
        self.keep_paths = keep_paths
        self.verbose = verbose
        self.callback = callback

    def _choose(self, X, y, Y, weight, params):
        """Choose alpha for targets Y (n, n_targets), those of y, and set the attributes."""
        settings = self._check_parameters()
        if self.keep_paths:
            refuse_large(X, "leave keep_paths out.")
        alphas = check_listed_alphas(self.alphas, positive=self.cv is None)
        settings["factor"] = check_factor(self.penalty_factor, X.shape[1])
        split_params, score_params = self._split_and_score_params(weight, params)
        self._forget()
        if self.cv is None:
            count, units, unit = RIDGE_STEPS, 1, "steps"
            choose = partial(self._choose_by_rows, X, y, Y, alphas, weight, score_params, settings)
        else:
            folds = self._folds(X, y, weight, **split_params)
            score, metric = self._score_of_fold(X, y, folds, score_params)
            units, unit = (1, "folds") if score is None else (len(alphas), "penalty values")
            count = units * len(folds)
            choose = partial(self._choose_by_folds, X, Y, alphas, folds, weight, score, metric, settings)
        with self._reporting(count, lambda: (X, y, weight), unit=unit, units=units) as report:
            fit = choose(report)
            curves = self.cv_path_ if isinstance(self.cv_path_, list) else [self.cv_path_]
            warn_at_edge(curves, counted=False, stacklevel=4)
            if self.refit:
                fit = stored(X, fit)
                self._keep(fit, y)
                self.df_ = float(fit.df) if np.ndim(fit.df) == 0 else fit.df
                self.coef_bound_ = float(fit.bound[0]) if len(fit.bound) == 1 else fit.bound
            if self.keep_paths:
                self.path_ = name_features(path_of_rows(X, Y, np.sort(alphas)[::-1], single=Y.shape[1] == 1,
                                                        weight=weight, **settings), self)
        return self

    def _choose_by_rows(self, X, y, Y, alphas, weight, score_params, settings, report):
        if self.gcv_mode == "svd" and sp.issparse(X):
            warnings.warn("The 'svd' mode is not supported for sparse X, gcv_mode='eigen' is used: say so, or make X "
                          "dense. As in scikit-learn, this will be an error in 1.11.", FutureWarning, stacklevel=4)
        scorer = None if self.scoring is None else self._scorer()
        each = self.alpha_per_target and Y.shape[1] > 1
        options = {"selection_rule": self.selection_rule, "greater_is_better": scorer is not None,
                   "metric": "squared error" if scorer is None else str(self.scoring),
                   "basis": f"{'mean over' if scorer is None else 'of'} {len(Y)} left-out rows"}

        def choose(left_out):
            if scorer is None:
                found = losses_of_rows(left_out, each)
            else:
                scores = self._score_rows(scorer, y, left_out.predictions(), each, score_params)
                found = np.array(scores, dtype=np.float64), None, repeat(Scale(0))
            values, errors, units = found
            df = left_out.spectrum.df(left_out.problem.alphas)
            curves, at = zip(*(curve_of_rows(alphas, of_target, df, unit=scale, standard_error=error, **options)
                               for of_target, error, scale in zip(values, repeat(None) if errors is None else errors,
                                                                  units)))
            return np.array(at if each else at * Y.shape[1]), curves

        keep = scorer is not None or self.store_cv_results or self.keep_paths or self.selection_rule == "1se"
        at, curves, left_out, fit = leave_one_out(X, Y, alphas, weight=weight, accurate=self.gcv_mode == "svd",
                                                  choose=choose, keep=keep, report=report, **settings)
        sign = 1 if scorer is not None else -1
        best = np.array([sign * curve.values[curve.chosen] for curve in curves])
        self.alpha_, self.best_score_ = (alphas[at], best) if each else (float(alphas[at[0]]), float(best[0]))
        self.cv_path_ = PerTarget(curves) if each else curves[0]
        if curves[0].best_1se is not None:
            found = np.array([curve.alphas[curve.best_1se] for curve in curves])
            self.alpha_1se_ = found if each else float(found[0])
        if self.store_cv_results:
            kept = left_out.squares() if scorer is None else left_out.predictions()
            self.cv_results_ = kept[0] if y.ndim == 1 and not is_classifier(self) else kept.transpose(1, 0, 2).copy()
        return fit if each else replace(fit, df=fit.df[0])

    def _residual(self, X, Y, weight):
        """Relative residuals of the normal equations of numeric targets, as Ridge has them."""
        model = Ridge(self.alpha_, fit_intercept=self.fit_intercept, penalty_factor=self.penalty_factor,
                      standardize=self.standardize, n_threads=self.n_threads)
        model.coef_, model.intercept_ = self.coef_, self.intercept_
        return model._residual(X, Y, weight)

    def _score_rows(self, scorer, y, predictions, each, score_params):
        """Scores of leave-one-out predictions: shape (n_targets or 1, n_alphas)."""
        count = predictions.shape[2]
        if each:
            given = self._given(1)
            return [[score_by(self, scorer, given, of_target[:, a], y[:, t], **score_params) for a in range(count)]
                    for t, of_target in enumerate(predictions)]
        given = self._given(len(predictions))
        return [[score_by(self, scorer, given, predictions[..., a].T, y, **score_params) for a in range(count)]]

    def _score_of_fold(self, X, y, folds, score_params):
        """(What scores coefficients on test rows, or None for R2 as it is; the metric.)"""
        score, metric = None, self._metric
        if self.scoring is None and metric == "r2" and min(len(fold.test) for fold in folds) < 2:
            warnings.warn("R2 is not defined on test sets of one row, of which cv has some: folds are compared by the "
                          "negative mean squared error instead. Give scoring to choose what is compared.",
                          UndefinedMetricWarning, stacklevel=4)
            metric = "neg_mean_squared_error"
        if self.scoring is not None or metric != "r2":
            scorer = self._scorer(metric)

            def score(coef, intercept, test):
                model = self._fitted(coef, intercept, y)
                here = {name: _rows_of(value, test, len(y)) for name, value in score_params.items()}
                return score_by(self, scorer, model, X[test], y[test], **here)

        return score, metric if self.scoring is None else str(self.scoring)

    def _choose_by_folds(self, X, Y, alphas, folds, weight, score, metric, settings, report):
        place = np.argsort(-alphas, kind="stable")
        alphas = alphas[place]
        curves, fit = cross_validate_ridge(
            X, Y, folds, alphas, place, weight=weight, selection_rule=self.selection_rule, scorer=score, metric=metric,
            refit=self.refit, report=report, **settings)
        self.cv_path_ = curves
        self.alpha_, self.alpha_1se_ = (float(curves.alphas[at]) for at in (curves.chosen, curves.best_1se))
        self.best_score_ = float(curves.values[curves.chosen])
        return fit and replace(fit, df=fit.df[curves.chosen[1]])

    def _scorer(self, metric=None):
        """scikit-learn's scorer; without `scoring` the one that folds have, which asks for weights where metadata
        routing is enabled."""
        from sklearn.metrics import check_scoring, get_scorer

        if self.scoring is None:
            scorer = get_scorer(metric or self._metric)
            return scorer.set_score_request(sample_weight=True) if get_config()["enable_metadata_routing"] else scorer
        return check_scoring(self, scoring=self.scoring)

    def _split_and_score_params(self, weight, params):
        """What goes to the splitter and to the scorer."""
        routed = self._routed(weight, params)
        if routed is not None:
            return routed.splitter.split, routed.scorer.score
        given = {} if weight is None else {"sample_weight": weight}
        if given and self.cv is not None and self.scoring is not None and not _takes_weights(self._scorer()):
            warnings.warn(f"The scorer {self.scoring!r} takes no sample_weight: weights count in training alone.",
                          UserWarning, stacklevel=4)
            given = {}
        return {}, given

    def get_metadata_routing(self):
        """Who receives which of fit's extra arguments: the scorer (``sample_weight``) and the splitter (``groups``).

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return super().get_metadata_routing().add(
            scorer=self._scorer(), method_mapping=MethodMapping().add(caller="fit", callee="score"))

    def _check_parameters(self):
        check_choice(self.gcv_mode, "gcv_mode", (None, "auto", "svd", "eigen"))
        self._check_selection()
        check_flag(self.keep_paths, "keep_paths")
        for name in ("store_cv_results", "alpha_per_target"):
            if check_flag(getattr(self, name), name) and self.cv is not None:
                raise ValueError(f"cv!=None and {name}=True are incompatible: {name} is for leave-one-out.")
        if self.cv is None and self.selection_rule == "1se" and self.scoring is not None:
            raise ValueError("selection_rule='1se' needs the squared errors of rows, or scores of folds: leave scoring "
                             "out, or give cv.")
        return {
            "fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
            "standardize": check_flag(self.standardize, "standardize"),
            "n_threads": check_threads(self.n_threads),
        }


@documented
class RidgeCV(NormalResidualMixin, LinearRegressorMixin, _RidgeCVBase):
    """Ridge regression with alpha chosen by exact leave-one-out or by folds.

    For every alpha, minimises over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    s are sample weights, f penalty factors (1 by default). One decomposition serves every alpha and every target,
    and leave-one-out; folds are sums over parts of one reading of X, or parts of one kernel.

    Parameters
    ----------
    {ridge_cv.alphas, fit_intercept}
    scoring : str, callable or None
        A scikit-learn scorer to maximise. None: with leave-one-out the negative mean of ``s_i e_i^2``, e_i the error
        of the fit without row i; with `cv` the mean of R2 over folds, or, with a warning, the negative mean squared
        error where a test set has but one row.
    cv : int, splitter, iterable of splits or None
        None: leave-one-out. Otherwise as in scikit-learn; training and test sets may overlap, differ in size and
        repeat rows.
    gcv_mode : {'auto', 'svd', 'eigen'} or None
        How leave-one-out decomposes X: 'auto', 'eigen' and None by the eigenvectors of X'X or of XX', as has fewer
        rows, or by orthogonal transformations of X where columns of different scales or columns that depend on each
        other would cost digits; 'svd' by orthogonal transformations in any case (sparse X: as 'eigen', with a
        FutureWarning, as in scikit-learn).
    {ridge_cv.store_cv_results}
    alpha_per_target : bool, default=False
        Choose an alpha for each column of y; with leave-one-out alone.
    {ridge_cv.selection_rule, ridge_cv.refit, ridge_cv.penalty_factor, ridge_cv.standardize, n_threads}
    {ridge_cv.keep_paths, verbose, callback}

    Attributes
    ----------
    alpha_ : float or ndarray of shape (n_targets,)
        The chosen penalty; where scores are equal, the first in `alphas`.
    best_score_ : float or ndarray of shape (n_targets,)
        The mean score there.
    {ridge.coef_, ridge.intercept_, ridge_cv.coef_bound_, ridge_cv.df_}
    cv_results_ : ndarray of shape (n_samples, n_alphas) or (n_samples, n_targets, n_alphas)
        With `store_cv_results`: ``s_i e_i^2`` without `scoring`, else leave-one-out predictions, in the order of
        `alphas`.
    {ridge_cv.cv_path_, ridge_cv.alpha_1se_, ridge_cv.path_, n_features_in_, feature_names_in_}

    See Also
    --------
    RidgeClassifierCV : For labels.
    fastreg.ridge_path : Coefficients at every alpha.

    Notes
    -----
    Sample weights weigh the training rows, the errors of leave-one-out and, in R2 or any scorer that takes them, the
    test rows of each fold. Where metadata routing is enabled, it decides what a scorer receives.

    References
    ----------
    {ridge_cv.Hastie, ridge_cv.Rifkin}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import RidgeCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RidgeCV(alphas=[1e-3, 1e-2, 1e-1, 1]).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.52
    """

    _metric = "r2"

    def __init__(self, alphas=(0.1, 1.0, 10.0), *, fit_intercept=True, scoring=None, cv=None, gcv_mode=None,
                 store_cv_results=False, alpha_per_target=False, selection_rule="min", refit=True,
                 penalty_factor=None, standardize=False, n_threads=None, keep_paths=False, verbose=0, callback=None):
        super().__init__(
            alphas=alphas, fit_intercept=fit_intercept, scoring=scoring, cv=cv, store_cv_results=store_cv_results,
            selection_rule=selection_rule, refit=refit, penalty_factor=penalty_factor, standardize=standardize,
            n_threads=n_threads, keep_paths=keep_paths, verbose=verbose, callback=callback)
        self.gcv_mode = gcv_mode
        self.alpha_per_target = alpha_per_target

    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha, and fit.

        Parameters
        ----------
        {X, y, ridge.sample_weight, ridge_cv.params}

        Returns
        -------
        self

        Raises
        ------
        {ridge_cv.ValueError}

        Warns
        -----
        {ridge_cv.ConvergenceWarning, lasso_cv.UserWarning}
        """
        X, y = self._check_data(X, y)
        Y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        return self._choose(X, y, Y, check_weight_values(sample_weight, len(y)), params)

    def _keep(self, fit, y):
        self.coef_ = fit.coef[0] if len(fit.coef) == 1 else fit.coef
        self.intercept_ = (fit.intercept if y.ndim == 2 else fit.intercept[0]) if self.fit_intercept else 0.0

    def _given(self, n_targets):
        return _GivenRegressor()

    def _fitted(self, coef, intercept, y):
        model = Ridge()
        model.n_features_in_ = coef.shape[1]
        model.coef_, model.intercept_ = (coef[0], intercept[0]) if y.ndim == 1 else (coef, intercept)
        return model


@documented
class RidgeClassifierCV(RidgeLabelsMixin, _RidgeCVBase):
    """RidgeClassifier with alpha chosen by exact leave-one-out or by folds.

    Labels are targets of -1 and 1, one for each class (one for two classes). For every alpha, minimises for each target
    over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    Parameters
    ----------
    {ridge_cv.alphas, fit_intercept}
    scoring : str, callable or None
        A scikit-learn scorer to maximise. None: with leave-one-out the negative mean of ``s_i e_i^2``, e_i the errors
        of the targets without row i; with `cv` the mean accuracy over folds.
    cv : int, splitter, iterable of splits or None
        None: leave-one-out. A number: so many folds, stratified by class.
    {labels.class_weight, ridge_cv.store_cv_results, ridge_cv.selection_rule, ridge_cv.refit, ridge_cv.penalty_factor}
    {ridge_cv.standardize, n_threads, ridge_cv.keep_paths, verbose, callback}

    Attributes
    ----------
    alpha_ : float
        The chosen penalty; where scores are equal, the first in `alphas`.
    best_score_ : float
        The mean score there.
    {labels.coef_, labels.intercept_, labels.classes_}
    cv_results_ : ndarray of shape (n_samples, n_targets, n_alphas)
        With `store_cv_results`: ``s_i e_i^2`` without `scoring`, else leave-one-out scores of the classes.
    {ridge_cv.coef_bound_, ridge_cv.df_, ridge_cv.cv_path_, ridge_cv.alpha_1se_, ridge_cv.path_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    RidgeCV : The regression itself.

    References
    ----------
    {ridge_cv.Hastie, ridge_cv.Rifkin}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastreg import RidgeClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> round(RidgeClassifierCV([1e-3, 0.01, 0.1, 1.0]).fit(X, y).score(X, y), 2)
    0.96
    """

    _metric = "accuracy"
    alpha_per_target = False
    gcv_mode = None

    def __init__(self, alphas=(0.1, 1.0, 10.0), *, fit_intercept=True, scoring=None, cv=None, class_weight=None,
                 store_cv_results=False, selection_rule="min", refit=True, penalty_factor=None, standardize=False,
                 n_threads=None, keep_paths=False, verbose=0, callback=None):
        super().__init__(
            alphas=alphas, fit_intercept=fit_intercept, scoring=scoring, cv=cv, store_cv_results=store_cv_results,
            selection_rule=selection_rule, refit=refit, penalty_factor=penalty_factor, standardize=standardize,
            n_threads=n_threads, keep_paths=keep_paths, verbose=verbose, callback=callback)
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha, and fit.

        Parameters
        ----------
        {X, labels.y, ridge.sample_weight, ridge_cv.params}

        Returns
        -------
        self

        Raises
        ------
        {ridge_cv.ValueError}

        Warns
        -----
        {ridge_cv.ConvergenceWarning, lasso_cv.UserWarning}
        """
        X, Y, weight = self._check_labels(X, y, sample_weight, self.class_weight)
        return self._choose(X, y.toarray() if sp.issparse(y) else np.asarray(y), Y, weight, params)

    def _keep(self, fit, y):
        self.coef_ = fit.coef[0] if len(fit.coef) == 1 else fit.coef
        self.intercept_ = fit.intercept if self.fit_intercept else 0.0

    def _given(self, n_targets):
        return _GivenClassifier(self.label_binarizer_)

    def _fitted(self, coef, intercept, y):
        model = RidgeClassifier()
        model.n_features_in_, model.label_binarizer_ = coef.shape[1], self.label_binarizer_
        model.coef_, model.intercept_ = coef, intercept
        return model


def _takes_weights(scorer):
    return "sample_weight" in signature(getattr(scorer, "_score_func", scorer)).parameters


def _rows_of(value, rows, n):
    """Those rows of a value that has one for each sample; others as they are."""
    return np.asarray(value)[rows] if hasattr(value, "__len__") and len(value) == n else value
