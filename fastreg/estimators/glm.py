"""What estimators of generalised linear models share: one fit, linear predictors with offsets, and their tags."""
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fastreg.checks import (
    check_flag,
    check_number,
    check_penalty_options,
    check_start,
    check_threads,
    validate_X,
)
from fastreg.estimators.base import as_stored
from fastreg.estimators.reporting import ReportingMixin
from fastreg.path import refuse_endless, unit_of, warn_unless_converged
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.free_softmax import refuse_free
from fastreg.solvers.suited import solve_suited
from fastreg.targets import check_offset
from fastreg.weights import Weights


class GeneralizedLinearModel(ReportingMixin, BaseEstimator):
    """One fit of one target, or of several classes, and its linear predictor.

    Subclasses have the parameters fit_intercept, tol, max_iter, penalty_factor, lower_limits, upper_limits,
    standardize, n_threads, verbose and callback.
    """

    _shift = None                                  # offsets that scorers, which know none, predict with

    def _given(self, y):
        """y, as the datafit reads it, in the terms of the user."""
        return y

    def _check_effort(self):
        """What Spec takes of the parameters."""
        return {"tol": check_number(self.tol, "tol", 0),
                "max_iter": check_number(self.max_iter, "max_iter", 1, kind=Integral)}

    def _problem(self, datafit, X, y, weight, offset, l1_ratio):
        """The problem of checked X, y as the datafit reads it, and weights."""
        n, p = X.shape
        options = check_penalty_options(p, positive=False, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        penalty = Penalty(l1_ratio, standardize=check_flag(self.standardize, "standardize"), **options)
        return Problem.of(X, y.reshape(n, -1), penalty, weights=Weights(weight, n), datafit=datafit, offset=offset,
                          fit_intercept=check_flag(self.fit_intercept, "fit_intercept"),
                          n_threads=check_threads(self.n_threads))

    def _rounds(self, given):
        """A report, within which a fit of one alpha comes to its end, of the rounds that it takes."""
        most = self._check_effort()["max_iter"]
        return self._reporting(most, given, unit="rounds at most", units=most)

    def _solve(self, problem, alpha, warm, report):
        """The Solutions of one alpha; sets what tells about the fit. `warm`: coefficients to start from, or None."""
        effort = self._check_effort()
        refuse_free(problem, alpha)
        found = solve_suited(problem, Spec(np.array([alpha]), **effort, report=report),
                             warm=check_start(warm, problem.n_targets, problem.p, "coef_"))
        refuse_endless(problem, found, stacklevel=3)
        warn_unless_converged(found, **effort, stacklevel=3, unit=unit_of(problem.datafit))
        self._certify(problem.datafit, float(found.dual_gaps[0, 0]))
        self.deviance_, self.null_deviance_ = float(found.deviances[0, 0]), float(found.null_deviances[0])
        self.has_offset_ = problem.offset is not None
        return found

    def _certify(self, datafit, gap):
        """Set how far the fit is from the best, or what there is of that."""
        self.dual_gap_ = gap if datafit.convex else np.nan
        vars(self).pop("stationarity_", None)
        if not datafit.convex:
            self.stationarity_ = gap

    def _predictor(self, X, offset):
        """``X w + b + offset``, of shape (n_samples,) or, of three classes or more, (n_samples, n_classes)."""
        check_is_fitted(self)
        X = validate_X(self, X)
        offset = self._shift if offset is None else offset
        if offset is None and self.has_offset_:
            raise ValueError(f"offset is missing: this {type(self).__name__} was fitted with offsets. Give those of X, "
                             "or offset=0.")
        return self._predictor_of(X, check_offset(offset, X.shape[0]))

    def _predictor_of(self, X, offset):
        """The same of what has been checked."""
        coef = self.coef_.toarray() if sp.issparse(self.coef_) else self.coef_
        if np.ndim(coef) == 2 and len(coef) > 1:
            if offset is not None:
                raise ValueError("offset is for two classes: what all of several have in common changes nothing.")
            return X @ coef.T + self.intercept_
        eta = X @ np.ravel(coef) + np.ravel(self.intercept_)[0]
        return eta if offset is None else eta + offset

    def _rounded(self, X, found):
        """(coefficients of shape (p,), intercept), in float32 where X is."""
        return as_stored(X, found.coef(0), np.float64(found.intercepts[0, 0]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
