"""LogisticRegressionCV and PoissonRegressorCV."""
from copy import copy
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.metrics import log_loss
from sklearn.utils.validation import column_or_1d

from fastreg.checks import (
    check_alphas,
    check_criterion,
    check_flag,
    check_gammas,
    check_number,
    check_verbose,
    check_weight,
    check_weight_values,
    validate_X_y,
)
from fastreg.criteria import ByCriterion, choose_by_criterion
from fastreg.crossval import ByFolds, cross_validate_path
from fastreg.datafits.logistic import LOGISTIC
from fastreg.datafits.poisson import POISSON
from fastreg.estimators.base import CrossValidatedMixin, Progress, as_stored, refuse_unrouted, score_by
from fastreg.estimators.glm import GeneralizedLinearModel
from fastreg.estimators.logistic import (
    LogisticMixin,
    LogisticRegression,
    check_C,
    check_ignored_by_logistic,
    l1_ratio_of,
)
from fastreg.estimators.poisson import PoissonMixin, PoissonRegressor
from fastreg.parameters import documented
from fastreg.path import refuse_escape, unit_of, warn_unless_converged
from fastreg.paths import name_features
from fastreg.problem import Spec
from fastreg.targets import check_offset
from fastreg.weights import Weights


class GeneralizedCV(CrossValidatedMixin, GeneralizedLinearModel):
    """What choosing alpha and l1_ratio by folds asks of any loss.

    Subclasses have the parameters of GeneralizedLinearModel and cv, scoring, selection_rule, refit, keep_paths, n_jobs,
    verbose, n_alphas_no_change, criterion and relax.
    """

    def _ratios(self, l1_ratios, name):
        """The shares of the L1 penalty, a list."""
        ratios = np.atleast_1d(np.asarray(l1_ratios, dtype=object))
        if ratios.ndim != 1 or ratios.size == 0:
            raise ValueError(f"{name} must be a number or a list of numbers, got {l1_ratios!r}.")
        return [check_number(ratio, name, 0, 1) for ratio in ratios]

    def _choose(self, problem, spec, ratios, y, params, sample_weight, loss, **by_folds):
        """The Choice of cross-validation or of a criterion; `y` as the splitter takes it."""
        if self.n_jobs is not None and check_number(self.n_jobs, "n_jobs", kind=Integral) == 0:
            raise ValueError("n_jobs must be None or an integer other than 0.")
        if self.n_alphas_no_change is not None:
            check_number(self.n_alphas_no_change, "n_alphas_no_change", 1, kind=Integral)
        gammas = check_gammas(self.relax)
        check_criterion(self.criterion, None, cv=self.cv, scoring=self.scoring, relax=gammas,
                        selection_rule=None if self.selection_rule == "min" else self.selection_rule,
                        n_alphas_no_change=self.n_alphas_no_change)
        check_verbose(self.verbose)
        common = {"l1_ratios": ratios, "refit": self._check_selection(), "loss": loss,
                  "keep_paths": check_flag(self.keep_paths, "keep_paths")}
        spec = replace(spec, **self._check_effort())
        if self.criterion is None:
            routed = self._routed(sample_weight, params)
            folds = self._folds(problem.X, y, problem.weights.raw, **(routed.splitter.split if routed else {}))
            spec, close = self._reporting(spec, len(ratios) * len(folds))
            (choice,) = cross_validate_path(problem, spec, folds, ByFolds(
                **common, rule=self.selection_rule, n_jobs=self.n_jobs, gammas=gammas,
                no_change=self.n_alphas_no_change, **by_folds))
        else:
            if params:
                raise ValueError(f"fit got {sorted(params)} for the splitter, of which criterion has none.")
            spec, close = self._reporting(spec, len(ratios))
            (choice,) = choose_by_criterion(problem, spec, ByCriterion(**common, criterion=self.criterion))
        close()
        if choice.unconverged is not None:
            warn_unless_converged(choice.unconverged, self.tol, self.max_iter, stacklevel=3,
                                  unit=unit_of(problem.datafit))
        if choice.fit is not None:
            c, a = choice.curves.chosen
            refuse_escape(problem.with_l1_ratio(choice.curves.l1_ratios[c]), choice.curves.alphas[c, a],
                          choice.fit.coef, choice.fit.intercept, stacklevel=3)
        self._forget()
        self.has_offset_ = problem.offset is not None
        setattr(self, "cv_path_" if self.criterion is None else "ic_path_", choice.curves)
        if gammas is not None:
            self.gamma_ = float(choice.curves.gammas[choice.curves.chosen[0]])
        if choice.fit is not None:
            self.dual_gap_ = choice.fit.dual_gap
            self.deviance_, self.null_deviance_ = choice.fit.deviance, choice.fit.null_deviance
        if choice.path is not None:
            self.path_ = name_features(choice.path, self)
        if self.keep_paths and self.criterion is None:
            self.fold_paths_ = [[name_features(path, self) for path in paths] for paths in choice.fold_paths]
        return choice

    def _reporting(self, spec, n_paths):
        """(Spec with a report where it is wanted, what ends it.)"""
        if not self.verbose:
            return spec, lambda: None
        report = Progress(type(self).__name__, spec.n_alphas * n_paths)
        return replace(spec, report=report), lambda: report(report.total)

    def _scorer(self, model):
        """What ByFolds takes for `scoring`: scores of `model`, a single fit that is told coefficients."""
        if self.scoring is None:
            return {"metric": "deviance"}
        from sklearn.metrics import get_scorer

        scorer = get_scorer(self.scoring)
        model.n_features_in_, model.has_offset_ = self.n_features_in_, False

        def score(coef, intercept, X, y, weight, offset):
            model.coef_, model.intercept_, model._shift = coef, intercept, offset
            return score_by(self, scorer, model, X, model._given(y),
                            **({} if weight is None else {"sample_weight": weight}))

        return {"metric": str(self.scoring), "scorer": score}



@documented
class PoissonRegressorCV(PoissonMixin, GeneralizedCV):
    """Poisson regression with alpha and l1_ratio chosen by cross-validation.

    For every l1_ratio and the training rows of every fold, minimises along a path of alphas, over w and b, with
    ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i (exp(eta_i) - y_i eta_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    l1_ratio : float or list of float in [0, 1], default=1.0
        1 is the lasso; 0 (ridge) needs `alphas` as an array.
    {lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, glm.max_iter, glm.tol, lasso_cv.cv, glm.scoring, lasso_cv.selection_rule, lasso_cv.refit}
    {lasso_cv.n_jobs, lasso_cv.verbose, penalty_factor, lower_limits, standardize, lasso_cv.n_threads}
    {glm.keep_paths, glm.n_alphas_no_change, glm.criterion, glm.relax}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score, at the best l1_ratio.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    {lasso_cv.cv_path_, lasso_cv.ic_path_}
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate of the fit of all rows.
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, glm.path_, glm.fold_paths_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    PoissonRegressor : At one alpha.

    References
    ----------
    {glm.McCullagh, lasso.Friedman, lasso_cv.Hastie}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import PoissonRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 20))
    >>> y = rng.poisson(np.exp(X[:, 0]))
    >>> model = PoissonRegressorCV(alphas=20).fit(X, y)
    >>> round(model.coef_[0].item(), 1)
    0.8
    """

    def __init__(self, *, l1_ratio=1.0, eps=1e-3, alphas=100, fit_intercept=True, max_iter=100, tol=1e-4, cv=None,
                 scoring=None, selection_rule="min", refit=True, n_jobs=None, verbose=0, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None, keep_paths=False,
                 n_alphas_no_change=None, criterion=None, relax=False):
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.scoring = scoring
        self.selection_rule = selection_rule
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
        self.keep_paths = keep_paths
        self.n_alphas_no_change = n_alphas_no_change
        self.criterion = criterion
        self.relax = relax

    def fit(self, X, y, sample_weight=None, offset=None, **params):
        """Choose alpha and l1_ratio, and fit.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            Not negative; with an intercept, in no training set zero in every row that has a weight.
        {glm.sample_weight, glm.offset, glm.params}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {lasso.ConvergenceWarning}
        """
        ratios = self._ratios(self.l1_ratio, "l1_ratio")
        eps = check_number(self.eps, "eps", 0, 1, low_open=True)
        spec = Spec(check_alphas(self.alphas, eps, min(ratios)), eps)
        X, y = validate_X_y(self, X, y, ensure_all_finite=False)
        y = column_or_1d(y, warn=True).astype(np.float64)
        POISSON.check_y(y)
        weight, offset = check_weight(sample_weight, len(y)), check_offset(offset, len(y))
        problem = self._problem(POISSON, X, y, weight, offset, 1.0)
        choice = self._choose(problem, spec, ratios, y, params, sample_weight, **self._scorer(PoissonRegressor()),
                              loss={"datafit": "poisson", "has_offset": offset is not None})
        curves, fit = choice.curves, choice.fit
        c, a = curves.chosen
        self.alpha_, self.l1_ratio_ = float(curves.alphas[c, a]), float(curves.l1_ratios[c])
        each = len(curves.alphas) // len(ratios)                      # curves of an l1_ratio
        self.alphas_ = curves.alphas[0] if len(ratios) == 1 or np.ndim(self.alphas) > 0 else curves.alphas[::each]
        if self.criterion is None:
            self.alpha_1se_ = float(curves.alphas[curves.best_1se])
        if fit is not None:
            self.coef_, self.intercept_ = as_stored(X, fit.coef, np.float64(fit.intercept))
            self.n_iter_ = fit.n_iter
        return self


@documented
class LogisticRegressionCV(LogisticMixin, GeneralizedCV):
    """Logistic regression of two classes with C and l1_ratio chosen by cross-validation.

    For every l1_ratio, every C and the training rows of every fold, minimises over w and b, with
    ``eta_i = x_i w + b + offset_i`` and y_i -1 or 1::

        C * sum_i s_i log(1 + exp(-y_i eta_i)) + sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    Cs : int or array-like, default=10
        A number of values from 1e-4 to 1e4, spaced geometrically, or the values; each positive, np.inf being maximum
        likelihood.
    l1_ratios : float or list of float in [0, 1], default=(0.0,)
        1 is the lasso, 0 ridge.
    {fit_intercept, lasso_cv.cv, logistic.dual}
    penalty : {'l1', 'l2', 'elasticnet'}
        Deprecated as in scikit-learn, for `l1_ratios`.
    {glm.scoring, logistic.solver, glm.tol, glm.max_iter, labels.class_weight, lasso_cv.n_jobs, lasso_cv.verbose}
    refit : bool, default=True
        Fit all rows at what was chosen; False averages, over the folds, the coefficients and values that are best in
        each.
    {logistic.intercept_scaling, random_state}
    use_legacy_attributes : bool, default=False
        Attributes are those of scikit-learn 1.10, whatever scikit-learn is installed: True raises.
    {lasso_cv.selection_rule, penalty_factor, lower_limits, standardize, lasso_cv.n_threads, glm.keep_paths}
    {glm.n_alphas_no_change, glm.criterion, glm.relax}

    Attributes
    ----------
    {logistic.classes_, logistic.coef_, logistic.intercept_}
    Cs_ : ndarray of shape (n_cs,)
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
    C_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        On the test sets; without `scoring`, minus the mean logistic loss. With `relax` the axis before n_cs is
        n_gammas; with `criterion` there are none, and neither `coefs_paths_` nor `n_iter_` of folds.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_cs, 1, n_features + 1)
        Coefficients of every fit of a fold, the intercept last (n_features without one); made from sparse ones whenever
        it is asked for.
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        Rounds of working set and certificate.
    {lasso_cv.cv_path_, lasso_cv.ic_path_}
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, glm.path_, glm.fold_paths_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    LogisticRegression : At one C.

    References
    ----------
    {glm.McCullagh, lasso.Friedman, lasso_cv.Hastie}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastreg import LogisticRegressionCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LogisticRegressionCV(l1_ratios=1.0, standardize=True).fit(X, y)
    >>> (model.coef_ != 0).sum().item(), round(model.score(X, y), 2)
    (11, -0.07)
    """

    def __init__(self, *, Cs=10, l1_ratios=(0.0,), fit_intercept=True, cv=None, dual=False, penalty="deprecated",
                 scoring=None, solver="lbfgs", tol=1e-4, max_iter=100, class_weight=None, n_jobs=None, verbose=0,
                 refit=True, intercept_scaling=1.0, random_state=None, use_legacy_attributes=False,
                 selection_rule="min", penalty_factor=None, lower_limits=None, upper_limits=None, standardize=False,
                 n_threads=None, keep_paths=False, n_alphas_no_change=None, criterion=None, relax=False):
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.selection_rule = selection_rule
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
        self.keep_paths = keep_paths
        self.n_alphas_no_change = n_alphas_no_change
        self.criterion = criterion
        self.relax = relax

    def fit(self, X, y, sample_weight=None, offset=None, **params):
        """Choose C and l1_ratio, and fit.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            Labels of two classes, of any kind.
        {glm.sample_weight, glm.offset, glm.params}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {lasso.ConvergenceWarning}
        """
        check_ignored_by_logistic(self)
        if check_flag(self.use_legacy_attributes, "use_legacy_attributes"):
            raise ValueError("use_legacy_attributes must be False: the attributes are those of scikit-learn 1.10.")
        ratios = self._ratios(l1_ratio_of(self.penalty, self.l1_ratios, "l1_ratios"), "l1_ratios")
        if not self.refit and (self.criterion is not None or check_gammas(self.relax) is not None):
            raise ValueError("refit must be True with relax or criterion: refit=False averages the penalised fits of "
                             "folds.")
        Cs = self._check_Cs()
        X, target, weight = self._check_labels(X, y, sample_weight, self.class_weight)
        offset = check_offset(offset, X.shape[0])
        problem = self._problem(LOGISTIC, X, target, weight, offset, 1.0)
        order = np.argsort(Cs, kind="stable")
        model = LogisticRegression()
        model.classes_ = self.classes_
        choice = self._choose(
            problem, Spec(1 / Cs[order] / problem.weights.total), ratios, column_or_1d(y), params, sample_weight,
            **self._scorer(model), by_total=True, keep_folds=True,
            test_weights=Weights(check_weight_values(sample_weight, X.shape[0]), X.shape[0]),
            loss={"datafit": "logistic", "classes": self.classes_, "has_offset": offset is not None})
        self._set(X, choice, Cs, ratios, np.argsort(order))
        return self

    def score(self, X, y, sample_weight=None, offset=None, **score_params):
        """The value of `scoring`; without one, minus the mean logistic loss.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,) or None
        {glm.offset}
        **score_params
            Of the scorer, where metadata routing is enabled.

        Returns
        -------
        float

        Raises
        ------
        {ValueError}
        """
        refuse_unrouted(score_params, "score")
        of = {**score_params, **({} if sample_weight is None else {"sample_weight": sample_weight})}
        if self.scoring is not None:
            from sklearn.metrics import get_scorer

            shifted = copy(self)
            shifted._shift = offset
            return get_scorer(self.scoring)(shifted, X, y, **of)
        return -log_loss(y, self.predict_proba(X, offset), labels=self.classes_, **of)

    def _check_Cs(self):
        """The values of C, in the order given."""
        if isinstance(self.Cs, (int, np.integer)) and not isinstance(self.Cs, bool):
            return np.logspace(-4, 4, check_number(self.Cs, "Cs", 1, kind=Integral))
        if np.ndim(self.Cs) != 1 or len(self.Cs) == 0:
            raise ValueError(f"Cs must be an integer or a one-dimensional array, got {self.Cs!r}.")
        return np.array([check_C(C, "Cs") for C in self.Cs])

    def _set(self, X, choice, Cs, ratios, back):
        """The attributes; `back`: where the path has each C."""
        curves, fit = choice.curves, choice.fit
        self.Cs_, self.l1_ratios_ = Cs, np.array(ratios)
        self._folds_, self._back_ = choice.fold_paths, back
        if self.criterion is None:
            scores = curves.fold_scores.transpose(2, 0, 1)[:, :, back]
            scores = scores if curves.greater_is_better else -0.5 * scores
            relaxed = (len(scores), len(ratios), -1, len(Cs))
            self.scores_ = scores.reshape(relaxed) if curves.gammas is not None else scores
            self.n_iter_ = np.array([[self._of_all(path.n_iters, 0) for path in of_fold]
                                     for of_fold in zip(*choice.fold_paths)])
        if fit is not None:
            c, a = curves.chosen
            self.C_, self.l1_ratio_ = float(Cs[back == a][0]), float(curves.l1_ratios[c])
            coef, intercept = as_stored(X, fit.coef, np.float64(fit.intercept))
            self.coef_, self.intercept_ = coef[None], np.atleast_1d(intercept)
            return
        at = [np.unravel_index(np.nanargmax(of_fold.T), of_fold.T.shape) for of_fold in self.scores_]
        coefs = [self._folds_[r][f].coefs[:, [back[c]]].toarray()[:, 0] for f, (c, r) in enumerate(at)]
        intercepts = [self._folds_[r][f].intercepts[back[c]] for f, (c, r) in enumerate(at)]
        self.C_, self.l1_ratio_ = float(np.mean([Cs[c] for c, _ in at])), float(np.mean([ratios[r] for _, r in at]))
        coef, intercept = as_stored(X, np.mean(coefs, axis=0), np.float64(np.mean(intercepts)))
        self.coef_, self.intercept_ = coef[None], np.atleast_1d(intercept)

    def _of_all(self, values, missing=np.nan):
        """Values along a path as those of `Cs_`, the first axis; `missing` where the path has ended before."""
        out = np.full((len(self.Cs_), *values.shape[1:]), missing, dtype=values.dtype)
        out[:len(values)] = values
        return out[self._back_]

    @property
    def coefs_paths_(self):
        """Coefficients of every fit of a fold: shape (n_folds, n_l1_ratios, n_cs, 1, n_features + 1)."""
        if getattr(self, "_folds_", None) is None:
            raise AttributeError("coefs_paths_ is there after a fit by folds.")
        by_fold = list(zip(*self._folds_))
        found = np.array([[self._of_all(path.coefs.toarray().T) for path in paths] for paths in by_fold])
        if self.fit_intercept:
            levels = np.array([[self._of_all(path.intercepts) for path in paths] for paths in by_fold])
            found = np.concatenate([found, levels[..., None]], axis=-1)
        return found[..., None, :]
