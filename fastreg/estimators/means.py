"""Regression of means that are positive: counts, amounts, and sums of them."""
from contextlib import suppress

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d

from fastreg.checks import check_choice, check_flag, check_number, check_weight, validate_X_y
from fastreg.datafits import GAMMA, POISSON, QUADRATIC, by_name, tweedie
from fastreg.estimators.glm import GeneralizedLinearModel
from fastreg.parameters import documented
from fastreg.targets import check_offset

SOLVERS = ("lbfgs", "newton-cholesky")


@documented
class MeanMixin(RegressorMixin):
    """Prediction and score of a model of means; subclasses say what their loss is (`_loss`)."""

    def predict(self, X, offset=None):
        """Predict means of y: ``exp(X @ coef_ + intercept_ + offset)`` where the link is the logarithm.

        Parameters
        ----------
        {X, glm.offset}

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        {ValueError}
        """
        return self._loss.inverse_link(self._predictor(X, offset))

    def score(self, X, y, sample_weight=None, offset=None):
        """D2, the share of the null deviance of y that the predictions explain.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), float or None
        {glm.offset}

        Returns
        -------
        float
            1 where all is explained, 0 for the mean of y; 0 as well where y is constant and not met.

        Raises
        ------
        {ValueError}
        """
        eta = self._predictor(X, offset)
        y = column_or_1d(y).astype(np.float64)
        if len(y) != len(eta):
            raise ValueError(f"y must have {len(eta)} samples, as X, got {len(y)}.")
        loss = self._loss
        loss.check_y(y)
        weight = check_weight(sample_weight, len(y))
        mean = np.average(y, weights=weight)
        if mean == 0 and not loss.quadratic:
            return 1.0 if np.max(eta) < np.log(np.finfo(float).tiny) else 0.0
        null = loss.null_fit(y, weight)[2]
        left = loss.deviance(y, eta, weight)
        return float(1 - left / null) if null > 0 else float(left <= 0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        with suppress(NotImplementedError, TypeError, ValueError):         # of the loss, which `fit` will say
            tags.target_tags.positive_only = bool(self._loss.inverse_link(0.0) == 1)               # exponentials
        return tags


@documented
class MeanRegressor(MeanMixin, GeneralizedLinearModel):
    """One fit of a model of means."""

    def __init__(self, *, alpha=1.0, l1_ratio=0.0, fit_intercept=True, solver="lbfgs", max_iter=100, tol=1e-4,
                 warm_start=False, verbose=0, penalty_factor=None, lower_limits=None, upper_limits=None,
                 standardize=False, n_threads=None, callback=None):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.verbose = verbose
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
        self.callback = callback

    def fit(self, X, y, sample_weight=None, offset=None):
        """Fit the model.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            Not negative, of the gamma loss positive; with an intercept, not zero in every row that has a weight.
        {glm.sample_weight, glm.offset}

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
        alpha, l1_ratio = check_number(self.alpha, "alpha", 0), check_number(self.l1_ratio, "l1_ratio", 0, 1)
        check_choice(self.solver, "solver", SOLVERS)
        warm = check_flag(self.warm_start, "warm_start") and getattr(self, "coef_", None) is not None
        X, y = validate_X_y(self, X, y, ensure_all_finite=False)
        y = column_or_1d(y, warn=True).astype(np.float64)
        self._loss.check_y(y)
        weight, offset = check_weight(sample_weight, len(y)), check_offset(offset, len(y))
        problem = self._problem(self._loss, X, y, weight, offset, l1_ratio)
        with self._rounds(lambda: (X, y, sample_weight)) as report:
            found = self._solve(problem, alpha, self.coef_ if warm else None, report)
            self.coef_, self.intercept_ = self._rounded(X, found)
            self.n_iter_ = int(found.n_iters[0, 0])
            self._measure_dispersion(X, y, weight, offset)
        return self

    def _measure_dispersion(self, X, y, weight, offset):
        """Pearson's estimate, where the loss says how variances go with means."""
        vars(self).pop("dispersion_", None)
        weight = np.ones(len(y)) if weight is None else weight
        left = weight.sum() - np.count_nonzero(self.coef_) - bool(self.fit_intercept)
        with np.errstate(all="ignore"):                  # means, or variances, that are no numbers any more
            mean = self._loss.inverse_link(self._predictor_of(X, offset))
            variance = self._loss.variance(mean)
            if variance is None:
                return
            square = np.sum((weight * ((y - mean) / np.sqrt(variance))**2)[weight > 0])
        self.dispersion_ = float(square / left) if left > 0 else np.nan


@documented
class PoissonRegressor(MeanRegressor):
    """Poisson regression with L1 and L2 penalties, solved exactly.

    Minimises over w and b, with ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i (exp(eta_i) - y_i eta_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty; 0 is maximum likelihood, and a ValueError where columns set rows without counts apart.
    l1_ratio : float in [0, 1], default=0.0
        1 is the lasso, 0 ridge.
    {fit_intercept}
    solver : {'lbfgs', 'newton-cholesky'}, default='lbfgs'
        The solution is exact whatever the value.
    {glm.max_iter, glm.tol, glm.warm_start, verbose, penalty_factor, lower_limits, standardize, n_threads, callback}

    Attributes
    ----------
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate.
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.regularization_path : Solutions for many alphas, with ``datafit='poisson'``.

    References
    ----------
    {glm.McCullagh, lasso.Friedman}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import PoissonRegressor
    >>> X = np.array([[1, 2], [2, 3], [3, 4], [4, 3]])
    >>> y = np.array([12, 17, 22, 21])
    >>> model = PoissonRegressor(tol=1e-10).fit(X, y)
    >>> round(model.score(X, y), 3)
    0.99
    """

    @property
    def _loss(self):
        return POISSON


@documented
class GammaRegressor(MeanRegressor):
    """Gamma regression with L1 and L2 penalties, solved exactly: amounts whose standard deviation goes with the mean.

    Minimises over w and b, with ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i (y_i exp(-eta_i) + eta_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty; 0 is maximum likelihood.
    l1_ratio : float in [0, 1], default=0.0
        1 is the lasso, 0 ridge.
    {fit_intercept}
    solver : {'lbfgs', 'newton-cholesky'}, default='lbfgs'
        The solution is exact whatever the value.
    {glm.max_iter, glm.tol, glm.warm_start, verbose, penalty_factor, lower_limits, standardize, n_threads, callback}

    Attributes
    ----------
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate.
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.regularization_path : Solutions for many alphas, with ``datafit='gamma'``.

    References
    ----------
    {glm.McCullagh, lasso.Friedman}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import GammaRegressor
    >>> X = np.array([[1, 2], [2, 3], [3, 4], [4, 3]])
    >>> y = np.array([19, 26, 33, 30])
    >>> model = GammaRegressor(alpha=0.01, tol=1e-10).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.99
    """

    @property
    def _loss(self):
        return GAMMA


class TweedieMixin:
    """The loss of `power` and `link`."""

    @property
    def _loss(self):
        power = check_number(self.power, "power")
        link = check_choice(self.link, "link", ("auto", "identity", "log"))
        link = ("log" if power > 0 else "identity") if link == "auto" else link
        if power == 0 and link == "identity":
            return QUADRATIC
        if link == "identity":
            raise NotImplementedError(f"power={power} with link='identity': means would have to be positive, and their "
                                      "linear predictors are not. Use link='log'.")
        return tweedie(power)


@documented
class TweedieRegressor(TweedieMixin, MeanRegressor):
    """Tweedie regression with L1 and L2 penalties, solved exactly: amounts that are often nothing at all.

    Minimises over w and b, with ``eta_i = x_i w + b + offset_i``, for any power but 0, 1 and 2::

        1 / sum_i s_i * sum_i s_i (y_i exp((1 - power) eta_i) / (power - 1) + exp((2 - power) eta_i) / (2 - power))
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default). Power 1 is
    `PoissonRegressor`, 2 `GammaRegressor`, and 0 half the squared error.

    Parameters
    ----------
    power : float, default=0.0
        The variance of y goes with this power of its mean: between 1 and 2, or 0 with the identity as link, the loss is
        convex. For others (3 is the inverse Gaussian) it is not, and a stationary point is found; between 0 and 1 there
        are none (ValueError).
    alpha : float, default=1.0
        Strength of the penalty; 0 is maximum likelihood, and a ValueError where columns set rows of zeros apart.
    l1_ratio : float in [0, 1], default=0.0
        1 is the lasso, 0 ridge.
    {fit_intercept}
    link : {'auto', 'identity', 'log'}, default='auto'
        'auto' means 'identity' for powers up to 0 and 'log' for the others; 'identity' is solved for power 0 alone
        (NotImplementedError).
    solver : {'lbfgs', 'newton-cholesky'}, default='lbfgs'
        The solution is exact whatever the value.
    {glm.max_iter, glm.tol, glm.warm_start, verbose, penalty_factor, lower_limits, standardize, n_threads, callback}

    Attributes
    ----------
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate.
    {glm.dual_gap_, glm.stationarity_, glm.deviance_, glm.null_deviance_, glm.has_offset_}
    {n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.regularization_path : Solutions for many alphas, with ``datafit='tweedie(1.5)'``.

    References
    ----------
    Jorgensen, "Exponential dispersion models", J. R. Stat. Soc. B 49 (1987).
    {lasso.Friedman}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import TweedieRegressor
    >>> X = np.array([[1, 2], [2, 3], [3, 4], [4, 3]])
    >>> y = np.array([0, 3.5, 5, 5.5])
    >>> model = TweedieRegressor(power=1.5, alpha=0.01, tol=1e-10).fit(X, y)
    >>> round(model.score(X, y), 2)
    0.54
    """

    def __init__(self, *, power=0.0, alpha=1.0, l1_ratio=0.0, fit_intercept=True, link="auto", solver="lbfgs",
                 max_iter=100, tol=1e-4, warm_start=False, verbose=0, penalty_factor=None, lower_limits=None,
                 upper_limits=None, standardize=False, n_threads=None, callback=None):
        super().__init__(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, solver=solver, max_iter=max_iter,
                         tol=tol, warm_start=warm_start, verbose=verbose, penalty_factor=penalty_factor,
                         lower_limits=lower_limits, upper_limits=upper_limits, standardize=standardize,
                         n_threads=n_threads, callback=callback)
        self.power = power
        self.link = link


class DatafitMixin:
    """The loss that `datafit` names."""

    @property
    def _loss(self):
        loss = by_name(self.datafit)
        if loss.labels:
            raise ValueError(f"datafit must be a loss of numbers, got {self.datafit!r}, which is one of classes: see "
                             "LogisticRegression and regularization_path.")
        return loss


@documented
class GeneralizedLinearRegressor(DatafitMixin, MeanRegressor):
    """Any loss of numbers with L1 and L2 penalties, solved exactly.

    Minimises over w and b, with ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i L(y_i, eta_i) + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default), and L is
    the `datafit`.

    Parameters
    ----------
    datafit : str or Datafit, default='quadratic'
        'quadratic' (half the squared error), 'poisson', 'gamma', 'tweedie(p)', 'inverse_gaussian' or 'huber(d)', p and
        d being numbers: see `fastreg.regularization_path` for their formulas; or a loss from
        `fastreg.datafits.custom`.
    alpha : float, default=1.0
        Strength of the penalty; 0 is the least loss.
    l1_ratio : float in [0, 1], default=0.0
        1 is the lasso, 0 ridge.
    {fit_intercept}
    solver : {'lbfgs', 'newton-cholesky'}, default='lbfgs'
        The solution is exact whatever the value.
    {glm.max_iter, glm.tol, glm.warm_start, verbose, penalty_factor, lower_limits, standardize, n_threads, callback}

    Attributes
    ----------
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate.
    {glm.dual_gap_, glm.stationarity_, glm.deviance_, glm.null_deviance_, glm.has_offset_}
    {n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.regularization_path : Solutions for many alphas.

    References
    ----------
    {glm.McCullagh, lasso.Friedman}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import GeneralizedLinearRegressor
    >>> X = np.array([[1.0], [2], [3], [4], [5]])
    >>> y = np.array([2.1, 3.9, 6.2, 7.9, 100])
    >>> model = GeneralizedLinearRegressor("huber(0.5)", alpha=0.0, tol=1e-10).fit(X, y)
    >>> model.coef_.round(1)
    array([2.3])
    """

    def __init__(self, datafit="quadratic", *, alpha=1.0, l1_ratio=0.0, fit_intercept=True, solver="lbfgs",
                 max_iter=100, tol=1e-4, warm_start=False, verbose=0, penalty_factor=None, lower_limits=None,
                 upper_limits=None, standardize=False, n_threads=None, callback=None):
        super().__init__(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, solver=solver, max_iter=max_iter,
                         tol=tol, warm_start=warm_start, verbose=verbose, penalty_factor=penalty_factor,
                         lower_limits=lower_limits, upper_limits=upper_limits, standardize=standardize,
                         n_threads=n_threads, callback=callback)
        self.datafit = datafit
