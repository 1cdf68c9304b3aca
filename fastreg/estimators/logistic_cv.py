"""LogisticRegressionCV."""
from copy import copy
from numbers import Integral

import numpy as np
from sklearn.metrics import log_loss
from sklearn.utils.validation import column_or_1d

from fastreg.checks import check_flag, check_gammas, check_number, check_weight_values
from fastreg.estimators.base import as_stored, refuse_unrouted
from fastreg.estimators.glm_cv import GeneralizedCV
from fastreg.estimators.logistic import (
    LogisticMixin,
    LogisticRegression,
    check_C,
    check_ignored_by_logistic,
    l1_ratio_of,
)
from fastreg.parameters import documented
from fastreg.problem import Spec
from fastreg.scores import of_all_classes
from fastreg.selection import warn_at_edge
from fastreg.weights import Weights


@documented
class LogisticRegressionCV(LogisticMixin, GeneralizedCV):
    """Logistic regression of two classes or more with C and l1_ratio chosen by cross-validation.

    For every l1_ratio, every C and the training rows of every fold, minimises over w and b, of two classes with
    ``eta_i = x_i w + b + offset_i`` and y_i -1 or 1::

        C * sum_i s_i log(1 + exp(-y_i eta_i)) + sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    and of three or more, each with a w_k and a b_k, ``eta_ik = x_i w_k + b_k``::

        C * sum_i s_i (log(sum_k exp(eta_ik)) - eta_iy) + sum_kj f_j (l1_ratio * |w_kj| + (1 - l1_ratio) / 2 * w_kj^2)

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
    {glm.scoring, logistic.solver, glm.tol, glm.max_iter, labels.class_weight, lasso_cv.n_jobs, verbose}
    refit : bool, default=True
        Fit all rows at what was chosen; False averages, over the folds, the coefficients and values that are best in
        each.
    {logistic.intercept_scaling, random_state}
    use_legacy_attributes : bool, default=False
        Attributes are those of scikit-learn 1.10, whatever scikit-learn is installed: True raises.
    {lasso_cv.selection_rule, penalty_factor, lower_limits, standardize, lasso_cv.n_threads, glm.keep_paths}
    {glm.n_alphas_no_change, glm.criterion, glm.relax, callback}

    Attributes
    ----------
    {logistic.classes_, logistic.coef_, logistic.intercept_}
    Cs_ : ndarray of shape (n_cs,)
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
    C_, l1_ratio_ : float
        The chosen values.
    C_1se_, alpha_1se_ : float
        The smallest C within one standard error of the best mean score, at the best l1_ratio (and gamma), and the alpha
        ``1 / (C_1se_ sum_i s_i)`` by which `path_` knows it; without `criterion`.
    {lasso_cv.gamma_}
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        On the test sets; without `scoring`, minus the mean logistic loss. With `relax` the axis before n_cs is
        n_gammas; with `criterion` there are none, and neither `coefs_paths_` nor `n_iter_` of folds.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_cs, n_rows, n_features + 1)
        Coefficients of every fit of a fold, the intercept last (n_features without one), n_rows as in `coef_`; made
        from sparse ones whenever it is asked for.
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
                 n_threads=None, keep_paths=False, n_alphas_no_change=None, criterion=None, relax=False,
                 callback=None):
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
        self.callback = callback

    def fit(self, X, y, sample_weight=None, offset=None, **params):
        """Choose C and l1_ratio, and fit.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            Labels of any kind.
        {glm.sample_weight, glm.offset, glm.params}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}
        NotImplementedError
            With three classes or more: if all classes but one have more than 2000 coefficients without any penalty
            (a C of np.inf, a penalty factor of 0, relaxed fits), or beside such columns and no L1 penalty or limits.

        Warns
        -----
        {lasso.ConvergenceWarning, lasso_cv.UserWarning}
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
        offset = self._check_offset(offset, X.shape[0])
        problem = self._problem(self._loss, X, target, weight, offset, 1.0)
        order = np.argsort(Cs, kind="stable")
        model = LogisticRegression()
        model.classes_ = self.classes_
        count, choose = self._plan(
            problem, Spec(1 / Cs[order] / problem.weights.total), ratios, column_or_1d(y), params, sample_weight,
            **self._scorer(model, self._loss), by_total=True, keep_folds=True,
            test_weights=Weights(check_weight_values(sample_weight, X.shape[0]), X.shape[0]),
            loss={"datafit": self._loss.key, "classes": self.classes_, "has_offset": offset is not None})
        with self._reporting(count, lambda: (X, y, sample_weight)) as report:
            choice = self._choose(problem, choose, report)
            warn_at_edge([choice.curves], counted=False, stacklevel=3,
                         inverse=lambda alpha: 1 / (alpha * problem.weights.total))
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
            return of_all_classes(get_scorer(self.scoring), self.classes_)(shifted, X, y, **of)
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
            c, a = curves.best_1se
            self.C_1se_, self.alpha_1se_ = float(Cs[back == a][0]), float(curves.alphas[c, a])
            scores = curves.fold_scores.transpose(2, 0, 1)[:, :, back]
            scores = scores if curves.greater_is_better else -0.5 * scores
            relaxed = (len(scores), len(ratios), -1, len(Cs))
            self.scores_ = scores.reshape(relaxed) if curves.gammas is not None else scores
            self.n_iter_ = np.array([[self._of_all(path.n_iters, 0) for path in of_fold]
                                     for of_fold in zip(*choice.fold_paths)])
        if fit is not None:
            c, a = curves.chosen
            self.C_, self.l1_ratio_ = float(Cs[back == a][0]), float(curves.l1_ratios[c])
            self._store(X, fit.coef, fit.intercept)
            return
        at = [np.unravel_index(np.nanargmax(of_fold.T), of_fold.T.shape) for of_fold in self.scores_]
        fits = [_of_path(self._folds_[r][f], back[c]) for f, (c, r) in enumerate(at)]
        self.C_, self.l1_ratio_ = float(np.mean([Cs[c] for c, _ in at])), float(np.mean([ratios[r] for _, r in at]))
        self._store(X, *(np.mean(parts, axis=0) for parts in zip(*fits)))

    def _store(self, X, coef, intercept):
        """coef_ and intercept_, with a row for each class of three or more and for the second of two."""
        self.coef_, self.intercept_ = as_stored(X, np.atleast_2d(coef), np.atleast_1d(np.float64(intercept)))

    def _of_all(self, values, missing=np.nan):
        """Values along a path as those of `Cs_`, the first axis; `missing` where the path has ended before."""
        out = np.full((len(self.Cs_), *values.shape[1:]), missing, dtype=values.dtype)
        out[:len(values)] = values
        return out[self._back_]

    @property
    def coefs_paths_(self):
        """Coefficients of every fit of a fold: shape (n_folds, n_l1_ratios, n_cs, n_rows, n_features + 1)."""
        if getattr(self, "_folds_", None) is None:
            raise AttributeError("coefs_paths_ is there after a fit by folds.")
        return np.array([[self._of_all(self._of_alphas(path)) for path in paths] for paths in zip(*self._folds_)])

    def _of_alphas(self, path):
        """Of every alpha of a path, coefficients and intercepts: shape (n_alphas, n_rows, n_features + 1)."""
        fits = [_of_path(path, a) for a in range(len(path.alphas))]
        coefs = np.stack([coef for coef, _ in fits])
        if not self.fit_intercept:
            return coefs
        return np.concatenate([coefs, np.stack([level for _, level in fits])[..., None]], axis=-1)


def _of_path(path, a):
    """(coefficients of shape (n_rows, n_features), intercepts of shape (n_rows,)) at the alpha with number a."""
    coefs = path.coefs if isinstance(path.coefs, list) else [path.coefs]
    return np.stack([c[:, [a]].toarray()[:, 0] for c in coefs]), np.atleast_2d(path.intercepts)[:, a]
