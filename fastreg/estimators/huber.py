"""HuberRegressor."""
import warnings
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import column_or_1d

from fastreg.checks import (
    check_flag,
    check_number,
    check_penalty_options,
    check_start,
    check_threads,
    check_weight_values,
)
from fastreg.datafits.huber import Huber
from fastreg.estimators.base import LinearRegressorMixin, as_stored
from fastreg.estimators.reporting import ReportingMixin
from fastreg.parameters import documented
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem
from fastreg.solvers.concomitant_search import solve_concomitant
from fastreg.weights import Weights


@documented
class HuberRegressor(ReportingMixin, LinearRegressorMixin, BaseEstimator):
    """Linear regression that outliers bend little, and its scale, solved exactly.

    Minimises over w, b and sigma > 0, with ``z_i = (y_i - x_i w - b) / sigma``::

        sum_i s_i (sigma + sigma H(z_i))
            + alpha * sum_j f_j (2 * l1_ratio * |w_j| + (1 - l1_ratio) * w_j^2)

    where ``H(z) = z^2`` up to epsilon and ``2 epsilon |z| - epsilon^2`` beyond it, subject to
    ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default). With l1_ratio = 0 it
    is scikit-learn's objective.

    Parameters
    ----------
    epsilon : float, default=1.35
        Residuals beyond epsilon times the scale are outliers; at least 1. At 1 there is no scale but the smallest: the
        fit is that of least absolute deviations.
    max_iter : int, default=100
        Steps of Newton's method, or scales at which a fit is found (a handful is usual).
    alpha : float, default=0.0001
        Strength of the penalty; 0 is none.
    warm_start : bool, default=False
        Start from the coefficients, intercept and scale of the last fit; where their gap is within `tol`, they are
        kept, in no step.
    {fit_intercept}
    tol : float, default=1e-05
        A fit is accepted when its duality gap is at most ``tol * 2 epsilon sum_i s_i |y_i - mean|``, the mean being
        that of y, or 0 without an intercept.
    l1_ratio : float in [0, 1], default=0.0
        1 is the lasso, 0 ridge.
    {penalty_factor, lower_limits, standardize, n_threads, verbose, callback}

    Attributes
    ----------
    {lasso_cv.coef_}
    intercept_ : float
        0.0 without an intercept.
    scale_ : float
        sigma, in the units of y. Where the best is 0, of a perfect fit, it is as small as `tol` asks for.
    outliers_ : ndarray of bool, shape (n_samples,)
        Which residuals are beyond ``epsilon * scale_``.
    n_iter_ : int
        Steps of Newton's method, or scales.
    dual_gap_ : float
        Duality gap of the fit, in units of the objective: it is so near to the smallest value there is.
    {n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.GeneralizedLinearRegressor : With ``datafit='huber(d)'``, the loss at a scale that is given.

    References
    ----------
    Huber and Ronchetti, "Robust Statistics", 2nd ed., Wiley (2009), section 7.7: the scale as a parameter. Owen, "A
    robust hybrid of lasso and ridge regression", Contemp. Math. 443 (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import HuberRegressor
    >>> x = np.arange(40.0)
    >>> y = 2 * x + 1 + np.sin(9 * x)
    >>> y[:4] = 200
    >>> model = HuberRegressor().fit(x[:, None], y)
    >>> model.coef_.round(1).item(), np.flatnonzero(model.outliers_)[:4].tolist()
    (2.0, [0, 1, 2, 3])
    """

    def __init__(self, *, epsilon=1.35, max_iter=100, alpha=0.0001, warm_start=False, fit_intercept=True, tol=1e-5,
                 l1_ratio=0.0, penalty_factor=None, lower_limits=None, upper_limits=None, standardize=False,
                 n_threads=None, verbose=0, callback=None):
        self.epsilon = epsilon
        self.max_iter = max_iter
        self.alpha = alpha
        self.warm_start = warm_start
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.l1_ratio = l1_ratio
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
        self.verbose = verbose
        self.callback = callback

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
        {ridge.sample_weight}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        ConvergenceWarning
            Where `max_iter` or rounding ended the fit before its gap was reached; the message says which.
        """
        epsilon, alpha = check_number(self.epsilon, "epsilon", 1), check_number(self.alpha, "alpha", 0)
        tol, max_iter = check_number(self.tol, "tol", 0), check_number(self.max_iter, "max_iter", 1, kind=Integral)
        warm = check_flag(self.warm_start, "warm_start") and getattr(self, "coef_", None) is not None
        X, y = self._check_data(X, y)
        y = np.asarray(y if y.ndim == 1 else column_or_1d(y, warn=True), dtype=np.float64)
        problem = self._problem(X, y, check_weight_values(sample_weight, len(y)))
        start = (check_start(self.coef_, 1, problem.p, "coef_")[0], self.intercept_, self.scale_) if warm else None
        with self._reporting(max_iter, lambda: (X, y, sample_weight), unit="steps at most") as report:
            found = solve_concomitant(problem, epsilon, alpha, tol, max_iter, start, report)
            if found.relative_gap > tol:
                ended = f"max_iter={max_iter} steps" if found.steps >= max_iter else "rounding"
                warnings.warn(
                    f"{ended} ended the fit before it reached its duality gap, which is {found.gap:.3e}, "
                    f"{found.relative_gap:.3e} times 2 epsilon sum_i s_i |y_i - mean|, where tol={tol:g} was aimed at. "
                    "Increase max_iter, tol or alpha.", ConvergenceWarning, stacklevel=2)
            self.coef_, intercept = as_stored(X, found.coef, np.float64(found.intercept))
            self.intercept_ = intercept if problem.fit_intercept else 0.0
            self.scale_, self.outliers_ = found.scale, found.outliers
            self.n_iter_, self.dual_gap_ = found.steps, found.gap
        return self

    def _problem(self, X, y, weight):
        n, p = X.shape
        options = check_penalty_options(p, positive=False, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        penalty = Penalty(check_number(self.l1_ratio, "l1_ratio", 0, 1),
                          standardize=check_flag(self.standardize, "standardize"), **options)
        return Problem.of(X, y[:, None], penalty, weights=Weights(weight, n), datafit=Huber(1.0),
                          fit_intercept=check_flag(self.fit_intercept, "fit_intercept"),
                          n_threads=check_threads(self.n_threads))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags
