"""Cross-validation of models of means."""
import numpy as np
from sklearn.utils.validation import column_or_1d

from fastreg.checks import check_alphas, check_number, check_weight, validate_X_y
from fastreg.datafits import GAMMA, POISSON
from fastreg.estimators.base import as_stored
from fastreg.estimators.glm_cv import GeneralizedCV
from fastreg.estimators.means import (
    DatafitMixin,
    GammaRegressor,
    GeneralizedLinearRegressor,
    MeanMixin,
    PoissonRegressor,
    TweedieMixin,
    TweedieRegressor,
)
from fastreg.parameters import documented
from fastreg.problem import Spec
from fastreg.selection import warn_at_edge
from fastreg.targets import check_offset


@documented
class MeanRegressorCV(MeanMixin, GeneralizedCV):
    """Choosing alpha and l1_ratio of a model of means; `_single` is what scorers are given."""

    def __init__(self, *, l1_ratio=1.0, eps=1e-3, alphas=100, fit_intercept=True, max_iter=100, tol=1e-4, cv=None,
                 scoring=None, selection_rule="min", refit=True, n_jobs=None, verbose=0, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None, keep_paths=False,
                 n_alphas_no_change=None, criterion=None, relax=False, callback=None):
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
        self.callback = callback

    def fit(self, X, y, sample_weight=None, offset=None, **params):
        """Choose alpha and l1_ratio, and fit.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            Not negative, of the gamma loss positive; with an intercept, in no training set zero in every row that has
            a weight.
        {glm.sample_weight, glm.offset, glm.params}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {lasso.ConvergenceWarning, lasso_cv.UserWarning}
        """
        ratios = self._ratios(self.l1_ratio, "l1_ratio")
        eps = check_number(self.eps, "eps", 0, 1, low_open=True)
        spec = Spec(check_alphas(self.alphas, eps, min(ratios)), eps)
        X, y = validate_X_y(self, X, y, ensure_all_finite=False)
        y = column_or_1d(y, warn=True).astype(np.float64)
        self._loss.check_y(y)
        weight, offset = check_weight(sample_weight, len(y)), check_offset(offset, len(y))
        problem = self._problem(self._loss, X, y, weight, offset, 1.0)
        scoring = self._scorer(self._single(), self._loss)
        count, choose = self._plan(problem, spec, ratios, y, params, sample_weight, **scoring,
                                   loss={"datafit": self._loss.key, "has_offset": offset is not None})
        with self._reporting(count, lambda: (X, y, sample_weight)) as report:
            self._set(X, self._choose(problem, choose, report), spec, ratios)
        return self

    def _set(self, X, choice, spec, ratios):
        """The attributes."""
        curves, fit = choice.curves, choice.fit
        warn_at_edge([curves], counted=spec.counted, stacklevel=4)
        c, a = curves.chosen
        self.alpha_, self.l1_ratio_ = float(curves.alphas[c, a]), float(curves.l1_ratios[c])
        each = len(curves.alphas) // len(ratios)                      # curves of an l1_ratio
        self.alphas_ = curves.alphas[0] if len(ratios) == 1 or np.ndim(self.alphas) > 0 else curves.alphas[::each]
        if self.criterion is None:
            self.alpha_1se_ = float(curves.alphas[curves.best_1se])
        if fit is not None:
            self.coef_, self.intercept_ = as_stored(X, fit.coef, np.float64(fit.intercept))
            self.n_iter_ = fit.n_iter


@documented
class PoissonRegressorCV(MeanRegressorCV):
    """Poisson regression with alpha and l1_ratio chosen by cross-validation.

    For every l1_ratio and the training rows of every fold, minimises along a path of alphas, over w and b, with
    ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i (exp(eta_i) - y_i eta_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    {glm.l1_ratio, lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, glm.max_iter, glm.tol, lasso_cv.cv, glm.scoring, lasso_cv.selection_rule, lasso_cv.refit}
    {lasso_cv.n_jobs, verbose, penalty_factor, lower_limits, standardize, lasso_cv.n_threads}
    {glm.keep_paths, glm.n_alphas_no_change, glm.criterion, glm.relax, callback}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    {glm.alpha_1se_}
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

    _single = PoissonRegressor

    @property
    def _loss(self):
        return POISSON


@documented
class GammaRegressorCV(MeanRegressorCV):
    """Gamma regression with alpha and l1_ratio chosen by cross-validation.

    For every l1_ratio and the training rows of every fold, minimises along a path of alphas, over w and b, with
    ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i (y_i exp(-eta_i) + eta_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    {glm.l1_ratio, lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, glm.max_iter, glm.tol, lasso_cv.cv, glm.scoring, lasso_cv.selection_rule, lasso_cv.refit}
    {lasso_cv.n_jobs, verbose, penalty_factor, lower_limits, standardize, lasso_cv.n_threads}
    {glm.keep_paths, glm.n_alphas_no_change, glm.criterion, glm.relax, callback}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    {glm.alpha_1se_}
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    {lasso_cv.cv_path_, lasso_cv.ic_path_}
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate of the fit of all rows.
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, glm.path_, glm.fold_paths_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    GammaRegressor : At one alpha.

    References
    ----------
    {glm.McCullagh, lasso.Friedman, lasso_cv.Hastie}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import GammaRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 20))
    >>> y = rng.gamma(2, np.exp(X[:, 0]) / 2)
    >>> model = GammaRegressorCV(alphas=20).fit(X, y)
    >>> round(model.coef_[0].item(), 1)
    1.0
    """

    _single = GammaRegressor

    @property
    def _loss(self):
        return GAMMA


@documented
class TweedieRegressorCV(TweedieMixin, MeanRegressorCV):
    """Tweedie regression with alpha and l1_ratio chosen by cross-validation.

    For every l1_ratio and the training rows of every fold, minimises along a path of alphas, over w and b, with
    ``eta_i = x_i w + b + offset_i``, for any power but 0, 1 and 2::

        1 / sum_i s_i * sum_i s_i (y_i exp((1 - power) eta_i) / (power - 1) + exp((2 - power) eta_i) / (2 - power))
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    power : float, default=1.5
        The variance of y goes with this power of its mean: 0, or 1 and more, 3 being the inverse Gaussian.
    link : {'auto', 'identity', 'log'}, default='auto'
        'identity' for power 0 and 'log' for the others.
    {glm.l1_ratio, lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, glm.max_iter, glm.tol, lasso_cv.cv, glm.scoring, lasso_cv.selection_rule, lasso_cv.refit}
    {lasso_cv.n_jobs, verbose, penalty_factor, lower_limits, standardize, lasso_cv.n_threads}
    {glm.keep_paths, glm.n_alphas_no_change, glm.criterion, glm.relax, callback}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    {glm.alpha_1se_}
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    {lasso_cv.cv_path_, lasso_cv.ic_path_}
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate of the fit of all rows.
    {glm.dual_gap_, glm.stationarity_, glm.deviance_, glm.null_deviance_, glm.has_offset_}
    {glm.path_, glm.fold_paths_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    TweedieRegressor : At one alpha.

    References
    ----------
    {glm.McCullagh, lasso.Friedman, lasso_cv.Hastie}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import TweedieRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 20))
    >>> y = np.array([rng.gamma(2, 1, k).sum() for k in rng.poisson(np.exp(X[:, 0]))])
    >>> model = TweedieRegressorCV(power=1.5, alphas=20).fit(X, y)
    >>> round(model.coef_[0].item(), 1)
    0.8
    """

    def __init__(self, *, power=1.5, link="auto", l1_ratio=1.0, eps=1e-3, alphas=100, fit_intercept=True, max_iter=100,
                 tol=1e-4, cv=None, scoring=None, selection_rule="min", refit=True, n_jobs=None, verbose=0,
                 penalty_factor=None, lower_limits=None, upper_limits=None, standardize=False, n_threads=None,
                 keep_paths=False, n_alphas_no_change=None, criterion=None, relax=False, callback=None):
        super().__init__(
            l1_ratio=l1_ratio, eps=eps, alphas=alphas, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol, cv=cv,
            scoring=scoring, selection_rule=selection_rule, refit=refit, n_jobs=n_jobs, verbose=verbose,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads, keep_paths=keep_paths,
            n_alphas_no_change=n_alphas_no_change, criterion=criterion, relax=relax, callback=callback)
        self.power = power
        self.link = link

    def _single(self):
        return TweedieRegressor(power=self.power, link=self.link)


@documented
class GeneralizedLinearRegressorCV(DatafitMixin, MeanRegressorCV):
    """Any loss of numbers, with alpha and l1_ratio chosen by cross-validation.

    For every l1_ratio and the training rows of every fold, minimises along a path of alphas, over w and b, with
    ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i L(y_i, eta_i) + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    datafit : str or Datafit, default='quadratic'
        The loss L: 'quadratic', 'poisson', 'gamma', 'tweedie(p)', 'inverse_gaussian' or 'huber(d)', p and d being
        numbers; or a loss from `fastreg.datafits.custom`.
    {glm.l1_ratio, lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, glm.max_iter, glm.tol, lasso_cv.cv, glm.scoring, lasso_cv.selection_rule, lasso_cv.refit}
    {lasso_cv.n_jobs, verbose, penalty_factor, lower_limits, standardize, lasso_cv.n_threads}
    {glm.keep_paths, glm.n_alphas_no_change, glm.criterion, glm.relax, callback}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    {glm.alpha_1se_}
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    {lasso_cv.cv_path_, lasso_cv.ic_path_}
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate of the fit of all rows.
    {glm.dual_gap_, glm.stationarity_, glm.deviance_, glm.null_deviance_, glm.has_offset_}
    {glm.path_, glm.fold_paths_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    GeneralizedLinearRegressor : At one alpha.

    References
    ----------
    {glm.McCullagh, lasso.Friedman, lasso_cv.Hastie}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import GeneralizedLinearRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 20))
    >>> y = X[:, 0] + 0.1 * rng.standard_cauchy(200)
    >>> model = GeneralizedLinearRegressorCV("huber(0.2)", alphas=20).fit(X, y)
    >>> round(model.coef_[0].item(), 1)
    1.0
    """

    def __init__(self, datafit="quadratic", *, l1_ratio=1.0, eps=1e-3, alphas=100, fit_intercept=True, max_iter=100,
                 tol=1e-4, cv=None, scoring=None, selection_rule="min", refit=True, n_jobs=None, verbose=0,
                 penalty_factor=None, lower_limits=None, upper_limits=None, standardize=False, n_threads=None,
                 keep_paths=False, n_alphas_no_change=None, criterion=None, relax=False, callback=None):
        super().__init__(
            l1_ratio=l1_ratio, eps=eps, alphas=alphas, fit_intercept=fit_intercept, max_iter=max_iter, tol=tol, cv=cv,
            scoring=scoring, selection_rule=selection_rule, refit=refit, n_jobs=n_jobs, verbose=verbose,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads, keep_paths=keep_paths,
            n_alphas_no_change=n_alphas_no_change, criterion=criterion, relax=relax, callback=callback)
        self.datafit = datafit

    def _single(self):
        return GeneralizedLinearRegressor(self.datafit)
