"""Lasso and elastic net: whole paths and single fits, beside scikit-learn at the same tolerance."""

import numpy as np

import fastreg
from fastreg.cli.compare import scikit_learn_path

from . import common


class LassoPath(common.Case):
    """A path of 100 penalty values down to alpha_max / 100."""

    def run(self, solver):
        alphas = self.alpha_max * np.geomspace(1, common.EPS, common.N_ALPHAS)
        if solver == "scikit-learn":
            return *scikit_learn_path(self.X, self.y, alphas, self.l1_ratio, common.TOL), alphas
        path = fastreg.regularization_path(self.X, self.y, l1_ratio=self.l1_ratio, alphas=alphas, tol=common.TOL)
        return path.coefs, path.intercepts, path.alphas


class ElasticNetPath(LassoPath):
    """The same with half of the penalty squared."""

    l1_ratio = 0.5


class LassoFit(common.Case):
    """One cold fit at alpha_max / 10."""

    ratio = 0.1

    def run(self, solver):
        alpha = self.ratio * self.alpha_max
        model = self.estimator(common.LIBRARIES[solver], alpha).fit(self.X, self.y)
        return model.coef_[:, None], [model.intercept_], [alpha]

    def estimator(self, library, alpha):
        return library.Lasso(alpha=alpha, tol=common.TOL, max_iter=common.MAX_ITER)


class LassoFitSmallAlpha(LassoFit):
    """One cold fit at alpha_max / 100, with many non-zeros."""

    ratio = 0.01


class ElasticNetFit(LassoFit):
    """One cold elastic-net fit at alpha_max / 10."""

    l1_ratio = 0.5

    def estimator(self, library, alpha):
        return library.ElasticNet(alpha=alpha, l1_ratio=self.l1_ratio, tol=common.TOL, max_iter=common.MAX_ITER)


class TinyFit(common.Case):
    """`Lasso(alpha=0.1).fit` on 442 x 10 with the default tolerance: what a call costs when there is little to do."""

    params = (list(common.LIBRARIES), ["diabetes"])

    def run(self, solver):
        model = common.LIBRARIES[solver].Lasso(alpha=0.1).fit(self.X, self.y)
        return model.coef_[:, None], [model.intercept_], [0.1]
