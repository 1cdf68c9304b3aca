"""Logistic regression of two classes or more."""
import warnings
from numbers import Real

import numpy as np
import scipy.sparse as sp
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted, column_or_1d

from fastreg.checks import (
    as_scalar,
    check_choice,
    check_flag,
    check_ignored,
    check_number,
    check_weight_values,
    validate_X_y,
)
from fastreg.datafits.logistic import LOGISTIC
from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.estimators.base import as_stored, weight_by_class
from fastreg.estimators.glm import GeneralizedLinearModel
from fastreg.parameters import documented
from fastreg.targets import against_others, check_offset, coded

SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
PENALTY = ("'penalty' was deprecated in 1.8 and will be removed in 1.10, as in scikit-learn: leave it out and use "
           "l1_ratio=0 for 'l2', 1 for 'l1', a number between for 'elasticnet', and C=np.inf for None.")


def check_C(C, name="C"):
    """A positive number, which may be infinite."""
    value = as_scalar(C)
    if isinstance(value, (float, np.floating)) and np.isposinf(value):
        return np.inf
    return check_number(C, name, 0, low_open=True)


def check_ignored_by_logistic(estimator):
    """What makes no difference must still be what it is said to be."""
    solver = check_choice(estimator.solver, "solver", SOLVERS)
    check_flag(estimator.dual, "dual")
    check_ignored(random_state=estimator.random_state)
    if check_number(estimator.intercept_scaling, "intercept_scaling", 0, low_open=True) != 1 and (
            solver == "liblinear" and estimator.fit_intercept):
        raise ValueError(f"intercept_scaling must be 1, got {estimator.intercept_scaling!r}: the intercept is not "
                         "penalised here, with solver='liblinear' either.")


def l1_ratio_of(penalty, l1_ratio, name="l1_ratio"):
    """The share of the L1 penalty, or shares, that the deprecated `penalty` and None stand for, with the warnings."""
    if isinstance(penalty, str) and penalty == "deprecated":
        if l1_ratio is not None:
            return l1_ratio
        warnings.warn(f"'{name}=None' was deprecated in 1.8 and will be no value in 1.10, as in scikit-learn: 0 is "
                      "what it means.", FutureWarning, stacklevel=3)
        return 0.0
    check_choice(penalty, "penalty", ("l1", "l2", "elasticnet", None))
    warnings.warn(PENALTY, FutureWarning, stacklevel=3)
    if penalty == "elasticnet":
        if l1_ratio is None:
            raise ValueError(f"{name} must be given where penalty is 'elasticnet', got None.")
        return l1_ratio
    share = {"l1": 1.0, "l2": 0.0, None: 0.0}[penalty]
    if penalty is not None and isinstance(l1_ratio, Real) and l1_ratio != share:
        warnings.warn(f"Inconsistent values: penalty={penalty} with l1_ratio={l1_ratio}: l1_ratio parameter is only "
                      f"used when penalty is 'elasticnet'. Got (penalty={penalty})", stacklevel=3)
    return share


@documented
class LogisticMixin(ClassifierMixin):
    """Prediction and storage of a linear model of two classes or more."""

    def decision_function(self, X, offset=None):
        """Log-odds of the second of two classes, ``X @ coef_.T + intercept_ + offset``; of more, logarithms of their
        probabilities but for what all classes have in common.

        Parameters
        ----------
        {X, glm.offset}

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)

        Raises
        ------
        {ValueError}
        """
        return self._predictor(X, offset)

    def predict(self, X, offset=None):
        """Predict labels: the likeliest ones.

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
        eta = self._predictor(X, offset)
        return self.classes_[(eta > 0).astype(int) if eta.ndim == 1 else np.argmax(eta, axis=1)]

    def predict_proba(self, X, offset=None):
        """Probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        {X, glm.offset}

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        {ValueError}
        """
        eta = self._predictor(X, offset)
        if eta.ndim == 2:
            return MULTINOMIAL.inverse_link(eta)
        return np.stack([LOGISTIC.inverse_link(-eta), LOGISTIC.inverse_link(eta)], axis=1)

    def predict_log_proba(self, X, offset=None):
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        {X, glm.offset}

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        {ValueError}
        """
        eta = self._predictor(X, offset)
        if eta.ndim == 2:
            return log_softmax(eta, axis=1)
        return -np.stack([np.logaddexp(0, eta), np.logaddexp(0, -eta)], axis=1)

    def score(self, X, y, sample_weight=None, offset=None):
        """Share of the labels that are predicted.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,) or None
        {glm.offset}

        Returns
        -------
        float

        Raises
        ------
        {ValueError}
        """
        return accuracy_score(y, self.predict(X, offset), sample_weight=sample_weight)

    def _given(self, y):
        """Targets, of shape (n,) or (n, n_classes), as labels of the user."""
        return self.classes_[(y > 0).astype(int) if y.ndim == 1 else np.argmax(y, axis=1)]

    def sparsify(self):
        """Turn `coef_` into a scipy.sparse.csr_array, which saves memory where most are zero.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_array(self.coef_)
        return self

    def densify(self):
        """Turn `coef_` back into an array.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if sp.issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self

    def _check_labels(self, X, y, sample_weight, class_weight):
        """X, y as its loss reads it, and weights times those of the classes; sets classes_."""
        X, y = validate_X_y(self, X, y, labels=True, ensure_all_finite=False)
        y = column_or_1d(y, warn=True)
        codes, self.classes_ = coded(y)
        K = len(self.classes_)
        if K > 2 and self.solver == "liblinear":
            raise ValueError("The 'liblinear' solver does not support multiclass classification (n_classes >= 3). Use "
                             "another name of a solver, all being the same here, or a OneVsRestClassifier.")
        target = against_others(codes, K) if K > 2 else np.where(codes == 1, 1.0, -1.0)
        weight = check_weight_values(sample_weight, X.shape[0])
        if isinstance(class_weight, str) and class_weight == "balanced":
            each = np.ones(len(y)) if weight is None else weight
            sums = np.bincount(codes, each)
            if np.min(sums) == 0:
                raise ValueError(self._loss.one_sided)
            return X, target, each * (np.sum(sums) / (K * sums))[codes]
        return X, target, weight_by_class(weight, class_weight, y)

    @property
    def _loss(self):
        """The datafit of so many classes."""
        return MULTINOMIAL if len(self.classes_) > 2 else LOGISTIC

    def _check_offset(self, offset, n):
        """Offsets, of two classes alone."""
        if offset is not None and len(self.classes_) > 2:
            raise ValueError(f"offset is for two classes, y holds {len(self.classes_)}: leave it out.")
        return check_offset(offset, n)


@documented
class LogisticRegression(LogisticMixin, GeneralizedLinearModel):
    """Logistic regression with L1 and L2 penalties, solved exactly: of two classes, or multinomial.

    Of two classes, minimises over w and b, with ``eta_i = x_i w + b + offset_i`` and y_i -1 or 1::

        C * sum_i s_i log(1 + exp(-y_i eta_i)) + sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    Of three or more every class k has a w_k and a b_k, ``eta_ik = x_i w_k + b_k``::

        C * sum_i s_i (log(sum_k exp(eta_ik)) - eta_iy) + sum_kj f_j (l1_ratio * |w_kj| + (1 - l1_ratio) / 2 * w_kj^2)

    Intercepts, which no penalty tells apart from those that are all shifted, add up to zero. Both are
    subject to ``lower_limits <= w <= upper_limits``; s are sample weights times those of the classes, f penalty factors
    (1 by default).

    Parameters
    ----------
    penalty : {'l1', 'l2', 'elasticnet', None}
        Deprecated as in scikit-learn, for `l1_ratio` and C.
    C : float, default=1.0
        Inverse of the strength of the penalty; np.inf is maximum likelihood, and a ValueError where classes are
        separable, be it in part. Of three or more the coefficients of each column then add up to zero.
    l1_ratio : float in [0, 1], default=0.0
        1 is the lasso, 0 ridge.
    {logistic.dual, glm.tol, fit_intercept, logistic.intercept_scaling, labels.class_weight, random_state}
    {logistic.solver, glm.max_iter, verbose, glm.warm_start}
    n_jobs : None
        Deprecated as in scikit-learn: without effect; see `n_threads`.
    {penalty_factor, lower_limits, standardize, n_threads, callback}

    Attributes
    ----------
    {logistic.classes_, logistic.coef_, logistic.intercept_}
    n_iter_ : ndarray of shape (1,)
        Rounds of working set and certificate.
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.regularization_path : Solutions for many alphas, with ``datafit='logistic'``; alpha is
        ``1 / (C sum_i s_i)``.

    References
    ----------
    {glm.McCullagh, lasso.Friedman}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastreg import LogisticRegression
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LogisticRegression(l1_ratio=1.0).fit(X, y)
    >>> (model.coef_ != 0).sum().item(), round(model.score(X, y), 2)
    (9, 0.96)
    """

    def __init__(self, penalty="deprecated", *, C=1.0, l1_ratio=0.0, dual=False, tol=1e-4, fit_intercept=True,
                 intercept_scaling=1, class_weight=None, random_state=None, solver="lbfgs", max_iter=100, verbose=0,
                 warm_start=False, n_jobs=None, penalty_factor=None, lower_limits=None, upper_limits=None,
                 standardize=False, n_threads=None, callback=None):
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
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
            Labels of any kind.
        {glm.sample_weight, glm.offset}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}
        NotImplementedError
            With three classes or more: if all classes but one have more than 2000 coefficients without any penalty
            (C=np.inf, a penalty factor of 0), or more than 2000 beside such columns and no L1 penalty or limits.

        Warns
        -----
        {lasso.ConvergenceWarning}
        """
        check_ignored_by_logistic(self)
        C = check_C(self.C)
        l1_ratio = check_number(l1_ratio_of(self.penalty, self.l1_ratio), "l1_ratio", 0, 1)
        if self.penalty is None:
            if C != 1:
                warnings.warn("Setting penalty=None will ignore the C and l1_ratio parameters, as in scikit-learn.",
                              stacklevel=2)
            C = np.inf
        if self.n_jobs is not None:
            warnings.warn("'n_jobs' has no effect since 1.8 and will be removed in 1.10, as in scikit-learn: leave it "
                          "out; n_threads is what there is.", FutureWarning, stacklevel=2)
        warm = check_flag(self.warm_start, "warm_start") and getattr(self, "coef_", None) is not None
        X, target, weight = self._check_labels(X, y, sample_weight, self.class_weight)
        offset = self._check_offset(offset, X.shape[0])
        problem = self._problem(self._loss, X, target, weight, offset, l1_ratio)
        alpha = 0.0 if np.inf == C else 1 / C / problem.weights.total
        with self._rounds(lambda: (X, y, sample_weight)) as report:
            found = self._solve(problem, alpha, self.densify().coef_ if warm else None, report)
            self.coef_, self.intercept_ = as_stored(X, found.dense(), found.intercepts[0])
            self.n_iter_ = found.n_iters[0, :1].astype(np.int32)
        return self
