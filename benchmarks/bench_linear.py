"""Lasso and elastic net: whole paths and single fits, beside scikit-learn at the same tolerance."""

import numpy as np
from scipy import sparse

import fastreg
from fastreg.cli.compare import scikit_learn_path

from . import common
from .workloads import alpha_max


class RegularizationPath(common.ElasticNetCase):
    """regularization_path: 100 penalty values down to alpha_max / 100, with an intercept."""

    data = common.EVERY_KIND

    def run(self, solver):
        alphas = self.grid()
        if solver == "fastreg":
            path = fastreg.regularization_path(self.X, self.y, l1_ratio=self.l1_ratio, alphas=alphas, tol=common.TOL)
            return common.Answer(path.coefs, path.intercepts, path.alphas, self.l1_ratio)
        # The function takes sparse X only as float64 in columns; scikit-learn's estimators convert as well.
        X = sparse.csc_matrix(self.X, dtype=np.float64) if sparse.issparse(self.X) else self.X
        path = scikit_learn_path(X, self.y, alphas, self.l1_ratio, common.TOL)
        return common.Answer(*path, alphas, self.l1_ratio)


class RegularizationPathElasticNet(RegularizationPath):
    """The same with half of the penalty squared."""

    l1_ratio = 0.5
    data = ("wide F float64", "tall F float64", "text csc float64")


class LassoPath(common.ElasticNetCase):
    """lasso_path, which fits no intercept, on centred data."""

    data = ("wide F float64", "tall C float32", "diabetes C float64")

    def setup(self, solver, data):
        super().setup(solver, data)
        self.X, self.y = common.centred(self.X, self.y)

    def run(self, solver):
        return self.answer(common.LIBRARIES[solver].lasso_path(self.X, self.y, **self.options()))

    def options(self):
        return {"alphas": self.grid(), "tol": common.TOL, "max_iter": common.MAX_ITER}

    def answer(self, path):
        alphas, coefs, _ = path
        return common.Answer(coefs, np.zeros(len(alphas)), alphas, self.l1_ratio)


class ElasticNetPath(LassoPath):
    """enet_path, which fits no intercept, on centred data."""

    l1_ratio = 0.5

    def run(self, solver):
        path = common.LIBRARIES[solver].enet_path(self.X, self.y, l1_ratio=self.l1_ratio, **self.options())
        return self.answer(path)


class LassoFit(common.ElasticNetCase):
    """One cold Lasso fit at alpha_max / 10."""

    ratio = 0.1
    # No float32: at this tolerance scikit-learn, which then computes in float32, does not come to an end.
    data = ("wide F float64", "square C float64", "tall C float64", "text csc float64", "text csr float64")

    def run(self, solver):
        return common.fitted(self.estimator(common.LIBRARIES[solver]).fit(self.X, self.y))

    def estimator(self, library):
        return library.Lasso(self.ratio * self.alpha_max, tol=common.TOL, max_iter=common.MAX_ITER)


class LassoFitSmallAlpha(LassoFit):
    """One cold Lasso fit at alpha_max / 100, with many non-zeros."""

    ratio = 0.01
    data = ("wide F float64", "tall C float64")


class ElasticNetFit(LassoFit):
    """One cold ElasticNet fit at alpha_max / 10."""

    l1_ratio = 0.5
    data = ("wide F float64", "tall C float64", "text csc float64")

    def estimator(self, library):
        alpha = self.ratio * self.alpha_max
        return library.ElasticNet(alpha, l1_ratio=self.l1_ratio, tol=common.TOL, max_iter=common.MAX_ITER)


class CertifyLasso(common.Case):
    """The referee itself, on a Lasso that each library has fitted."""

    data = ("wide F float64", "tall C float64", "text csc float64", "text csr float64")
    bound = 1e-6

    def setup(self, solver, data):
        super().setup(solver, data)
        alpha = 0.1 * alpha_max(self.X, self.y, 1.0)
        self.models = {name: library.Lasso(alpha, tol=common.TOL, max_iter=common.MAX_ITER).fit(self.X, self.y)
                       for name, library in common.LIBRARIES.items()}

    def run(self, solver):
        return fastreg.certify(self.X, self.y, self.models[solver])

    def gap(self, certificate):
        return 2 * certificate.gap / np.var(self.y)
