"""LinearRegression."""
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from fastreg.checks import check_flag, check_number, check_weight_values
from fastreg.estimators.base import LinearRegressorMixin
from fastreg.estimators.ridge import NormalResidualMixin, stored, warn_of_end
from fastreg.parameters import documented
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.ridge.certificate import normal_residual
from fastreg.solvers.ridge.choose import solve_least_squares, solve_ridge


@documented
class LinearRegression(NormalResidualMixin, LinearRegressorMixin, BaseEstimator):
    """Least squares, solved exactly; of least norm where the features depend on each other.

    Minimises over w and b::

        sum_i s_i (y_i - x_i w - b)^2

    with ``w >= 0`` where `positive`; s are sample weights.

    Parameters
    ----------
    fit_intercept : bool, default=True
        Fit b, for dense and sparse X alike: columns are centred on the fly.
    copy_X : bool, default=True
        X is not modified, whatever the value.
    tol : float, default=1e-6
        Where sparse X is too large for a Gram matrix, the norm of the residual of the normal equations is at most
        ``tol * ||X'y||``. Otherwise it has no effect: solutions are exact to rounding, and no direction of X is left
        out for being short, as scikit-learn's are where it is shorter than `tol` times the longest.
    n_jobs : int or None
        Threads; None or a negative number: as many as the process may use, one inside somebody's workers.
    positive : bool, default=False
        No coefficient may be negative. X may be sparse, unlike in scikit-learn.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        The latter where y has two dimensions.
    intercept_ : float or ndarray of shape (n_targets,)
        0.0 without an intercept.
    rank_ : int
        Rank of X, centred where an intercept is fitted and times the roots of the sample weights: rounding, not the
        units of its features, decides what counts as dependent. Dense X, not with `positive`.
    singular_ : ndarray of shape (min(n_samples, n_features),)
        Its singular values, decreasing. Dense X, not with `positive`.
    coef_bound_ : float or ndarray of shape (n_targets,)
        Proven bound of ``||coef_ - exact coefficients||``, rounding included; inf where they are not unique or where
        nothing is known of the least singular value.
    {n_features_in_, feature_names_in_}

    See Also
    --------
    Ridge : With an L2 penalty, penalty factors and limits of both sides.

    References
    ----------
    Golub, "Numerical methods for solving linear least squares problems", Numer. Math. 7 (1965); Demmel, Grigori,
    Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU factorizations", SIAM J. Sci. Comput.
    34 (2012): blocks of rows are added to the triangular factor one by one, so that X is not copied as a whole.

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import LinearRegression
    >>> X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    >>> y = X @ np.array([1, 2]) + 3
    >>> model = LinearRegression().fit(X, y)
    >>> model.coef_.round(12).tolist(), round(float(model.intercept_), 12), model.rank_
    ([1.0, 2.0], 3.0, 2)
    >>> bool(model.coef_bound_ < 1e-13)
    True
    """

    def __init__(self, *, fit_intercept=True, copy_X=True, tol=1e-6, n_jobs=None, positive=False):
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Dense X with more samples than features is read where it lies, by blocks of rows; with fewer, it is copied
            once. Sparse X (CSR or CSC) is never made dense beyond a million elements.
        {y, lasso.sample_weight}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        ConvergenceWarning
            Where a fit ended before `tol` was reached; the message says why.
        """
        settings, tol = self._settings()
        positive = check_flag(self.positive, "positive")
        X, y = self._check_data(X, y)
        Y = y if y.ndim == 2 else y[:, None]
        settings["weight"] = check_weight_values(sample_weight, X.shape[0])
        for name in ("rank_", "singular_"):
            if hasattr(self, name):
                delattr(self, name)
        if positive or sp.issparse(X):
            penalty = Penalty(0.0, lower=0.0 if positive else -np.inf)
            found = solve_ridge(X, Y, np.zeros(Y.shape[1]), penalty, tol=tol, **settings)
            if not found.converged:
                warn_of_end(found, tol, None, remedies="tol", stacklevel=3)
        else:
            found, self.rank_, self.singular_ = solve_least_squares(X, Y, **settings)
        single = y.ndim == 1
        found = stored(X, found)
        self.coef_ = found.coef[0] if single else found.coef
        self.coef_bound_ = float(found.bound[0]) if single else found.bound
        self.intercept_ = 0.0
        if self.fit_intercept:
            self.intercept_ = found.intercept[0] if single else found.intercept
        return self

    def _residual(self, X, y, sample_weight):
        """Relative residuals of the normal equations."""
        Y = y if y.ndim == 2 else y[:, None]
        settings, _ = self._settings()
        return normal_residual(X, Y, np.atleast_2d(self.coef_), np.zeros(Y.shape[1]), Penalty(),
                               weight=check_weight_values(sample_weight, X.shape[0]), **settings)

    def _settings(self):
        check_flag(self.copy_X, "copy_X")
        n_jobs = self.n_jobs
        if n_jobs is not None and check_number(n_jobs, "n_jobs", kind=Integral) == 0:
            raise ValueError("n_jobs must not be 0: None or a negative number means all threads.")
        n_threads = None if n_jobs is None or n_jobs < 0 else int(n_jobs)
        settings = {"fit_intercept": check_flag(self.fit_intercept, "fit_intercept"), "n_threads": n_threads}
        return settings, check_number(self.tol, "tol", 0)
