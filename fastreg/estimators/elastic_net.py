"""Lasso and ElasticNet."""
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from fastreg.checks import (
    check_flag,
    check_ignored,
    check_number,
    check_penalty_options,
    check_precompute,
    check_start,
    check_threads,
    check_weight,
)
from fastreg.estimators.base import LinearRegressorMixin, as_stored
from fastreg.parameters import documented
from fastreg.path import enet_path, warn_unless_converged
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import solve_path
from fastreg.weights import Weights


@documented
class ElasticNet(LinearRegressorMixin, BaseEstimator):
    """Linear regression with combined L1 and L2 penalties, solved exactly.

    Minimises over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    {lasso.alpha}
    l1_ratio : float in [0, 1], default=0.5
        1 is the lasso, 0 ridge regression.
    {fit_intercept, lasso.precompute, copy_X, lasso.max_iter, lasso.tol, lasso.warm_start, positive, random_state}
    {lasso.selection, penalty_factor, lower_limits, standardize, n_threads}

    Attributes
    ----------
    {lasso.coef_, lasso.sparse_coef_, lasso.intercept_, lasso.n_iter_, lasso.dual_gap_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    Lasso : The case l1_ratio = 1.
    fastreg.regularization_path : Solutions for many alphas at the price of few.

    References
    ----------
    {lasso.Friedman, lasso.Massias, lasso.Ndiaye}

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
        {X, y, lasso.sample_weight, check_input}

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
        check_flag(check_input, "check_input")
        alpha, l1_ratio, effort, settings = self._check_parameters()
        X, y = self._check_data(X, y)
        n, p = X.shape
        Y = y if y.ndim == 2 else y[:, None]
        options = check_penalty_options(p, positive=self.positive, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        warm = check_flag(self.warm_start, "warm_start") and getattr(self, "coef_", None) is not None
        penalty = Penalty(l1_ratio, standardize=check_flag(self.standardize, "standardize"), **options)
        problem = Problem.of(X, Y, penalty, weights=Weights(check_weight(sample_weight, n), n), **settings)
        spec = Spec(np.array([alpha]), gram=check_precompute(self.precompute, p), **effort)
        solutions = solve_path(problem, spec,
                               warm=check_start(self.coef_, Y.shape[1], p, "coef_") if warm else None,
                               rounded=X.dtype == np.float32)
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
        """alpha, l1_ratio, and of the others what Spec takes and what Problem.of takes."""
        check_ignored(copy_X=self.copy_X, random_state=self.random_state, selection=self.selection)
        return check_number(self.alpha, "alpha", 0), check_number(self.l1_ratio, "l1_ratio", 0, 1), {
            "tol": check_number(self.tol, "tol", 0),
            "max_iter": check_number(self.max_iter, "max_iter", 1, kind=Integral),
        }, {
            "fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
            "n_threads": check_threads(self.n_threads),
        }


@documented
class Lasso(ElasticNet):
    """Linear regression with an L1 penalty, solved exactly.

    Minimises over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j |w_j|

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors (1 by default).

    Parameters
    ----------
    {lasso.alpha}
    {fit_intercept, lasso.precompute, copy_X, lasso.max_iter, lasso.tol, lasso.warm_start, positive, random_state}
    {lasso.selection, penalty_factor, lower_limits, standardize, n_threads}

    Attributes
    ----------
    {lasso.coef_, lasso.sparse_coef_, lasso.intercept_, lasso.n_iter_, lasso.dual_gap_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    ElasticNet : With an L2 penalty as well.
    fastreg.regularization_path : Solutions for many alphas at the price of few.

    References
    ----------
    {lasso.Friedman, lasso.Massias, lasso.Ndiaye}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import Lasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = Lasso(alpha=0.5).fit(X, y)
    >>> (model.coef_ != 0).sum().item()
    4
    """

    def __init__(self, alpha=1.0, *, fit_intercept=True, precompute=False, copy_X=True, max_iter=1000, tol=1e-4,
                 warm_start=False, positive=False, random_state=None, selection="cyclic", penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None):
        super().__init__(
            alpha, l1_ratio=1.0, fit_intercept=fit_intercept, precompute=precompute, copy_X=copy_X, max_iter=max_iter,
            tol=tol, warm_start=warm_start, positive=positive, random_state=random_state, selection=selection,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads)
