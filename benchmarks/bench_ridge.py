"""Ridge regression and classification: one penalty, a path, leave-one-out and folds, beside scikit-learn."""

import numpy as np

import fastreg

from . import common


class RidgeFit(common.RidgeCase):
    """One Ridge fit."""

    data = common.EVERY_KIND

    def run(self, solver):
        return common.fitted(common.LIBRARIES[solver].Ridge(tol=common.RIDGE_TOL).fit(self.X, self.y))


class LeastSquares(common.RidgeCase):
    """One LinearRegression fit."""

    data = ("wide F float64", "tall C float64", "tall F float64")

    def run(self, solver):
        return common.fitted(common.LIBRARIES[solver].LinearRegression().fit(self.X, self.y))


class RidgeFunction(common.RidgeCase):
    """ridge_regression, which fits no intercept, on centred data."""

    data = ("wide F float64", "tall C float64")

    def setup(self, solver, data):
        super().setup(solver, data)
        self.X, self.y = common.centred(self.X, self.y)

    def run(self, solver):
        coef = common.LIBRARIES[solver].ridge_regression(self.X, self.y, 1.0, tol=common.RIDGE_TOL)
        return common.Answer(coef[:, None], np.zeros(1), np.ones(1))


class RidgeLabels(common.RidgeClassifierCase):
    """One RidgeClassifier fit."""

    data = ("wide F float64", "tall C float64", "text csr float64")

    def run(self, solver):
        return common.fitted(common.LIBRARIES[solver].RidgeClassifier(tol=common.RIDGE_TOL).fit(self.X, self.classes))


class RidgePath(common.RidgeCase):
    """ridge_path at 20 penalty values; scikit-learn fits one after the other."""

    data = ("wide F float64", "tall C float64", "text csr float64")

    def run(self, solver):
        if solver == "fastreg":
            path = fastreg.ridge_path(self.X, self.y, self.alphas)
            of_features = len(path.coefs) == self.X.shape[1]     # the gate's BASE may have alphas first
            return common.Answer(path.coefs if of_features else path.coefs.T, path.intercepts, path.alphas)
        ridge = common.LIBRARIES[solver].Ridge
        fits = [ridge(alpha, tol=common.RIDGE_TOL).fit(self.X, self.y) for alpha in self.alphas]
        coefs, intercepts = np.stack([fit.coef_ for fit in fits], axis=1), np.array([fit.intercept_ for fit in fits])
        return common.Answer(coefs, intercepts, self.alphas)


class RidgeRows(common.RidgeCase):
    """RidgeCV among 20 penalty values by leave-one-out."""

    data = ("wide F float64", "tall F float64", "diabetes C float64")
    cv = None

    def run(self, solver):
        return common.fitted(common.LIBRARIES[solver].RidgeCV(self.alphas, cv=self.cv).fit(self.X, self.y))


class RidgeFolds(RidgeRows):
    """RidgeCV among 20 penalty values by 5 folds."""

    cv = 5


class RidgeLabelsRows(common.RidgeClassifierCase):
    """RidgeClassifierCV among 20 penalty values by leave-one-out."""

    data = ("wide F float64", "tall C float64")

    def run(self, solver):
        return common.fitted(common.LIBRARIES[solver].RidgeClassifierCV(self.alphas).fit(self.X, self.classes))
