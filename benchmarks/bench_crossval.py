"""Choosing alpha by cross-validation, beside scikit-learn at the same tolerance, folds and penalties."""

import numpy as np

from . import common


class LassoFolds(common.Case):
    """LassoCV: 5 folds of a path of 100 penalty values down to alpha_max / 100, and the fit of all rows."""

    # scikit-learn's path on sparse data with an intercept takes minutes for each fold
    params = (list(common.LIBRARIES), ["dense-wide", "dense-tall", "diabetes"])

    def run(self, solver):
        alphas = self.alpha_max * np.geomspace(1, common.EPS, common.N_ALPHAS)
        library = common.LIBRARIES[solver]
        model = library.LassoCV(alphas=alphas, cv=5, tol=common.TOL, max_iter=common.MAX_ITER).fit(self.X, self.y)
        return model.coef_[:, None], [model.intercept_], [model.alpha_]
