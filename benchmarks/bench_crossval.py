"""Choosing alpha by cross-validation, beside scikit-learn at the same tolerance, folds and penalties."""

from . import common


class LassoFolds(common.ElasticNetCase):
    """LassoCV: 5 folds of a path of 100 penalty values down to alpha_max / 100, and the fit of all rows."""

    # No sparse data: there scikit-learn's path with an intercept takes a minute or more for the folds.
    data = ("wide F float64", "tall F float64", "diabetes C float64")

    def run(self, solver):
        return common.fitted(self.estimator(common.LIBRARIES[solver]).fit(self.X, self.y))

    def estimator(self, library):
        return library.LassoCV(**self.options())

    def options(self):
        return {"alphas": self.grid(), "cv": 5, "tol": common.TOL, "max_iter": common.MAX_ITER}


class ElasticNetFolds(LassoFolds):
    """ElasticNetCV: the same for two values of l1_ratio."""

    l1_ratio = 0.5
    data = ("tall F float64", "diabetes C float64")

    def estimator(self, library):
        return library.ElasticNetCV(l1_ratio=[self.l1_ratio, 0.9], **self.options())
