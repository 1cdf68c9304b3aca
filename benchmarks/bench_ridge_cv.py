"""Ridge regression at one penalty, and choosing among 100 by leave-one-out and by folds, beside scikit-learn."""

import numpy as np

from . import common


class RidgeFit:
    """Ridge: time, memory, and the residual of the answer."""

    params = (list(common.LIBRARIES), list(common.DATA))
    param_names = ("solver", "data")
    timeout = 600

    def setup(self, solver, data):
        self.X, self.y = common.load(data)
        self.alphas = np.logspace(-3, 3, common.N_ALPHAS)

    def run(self, solver):
        return common.LIBRARIES[solver].Ridge(tol=1e-8).fit(self.X, self.y)

    def time_run(self, solver, data):
        self.run(solver)

    def peakmem_run(self, solver, data):
        self.run(solver)

    def track_residual(self, solver, data):
        model = self.run(solver)
        alpha = getattr(model, "alpha_", model.get_params().get("alpha"))
        mean, y = np.asarray(self.X.mean(axis=0)).ravel(), self.y - self.y.mean()
        error = y - self.X @ model.coef_ + mean @ model.coef_
        right, error = (self.X.T @ v - mean * v.sum() for v in (y, error))
        return np.linalg.norm(error - alpha * model.coef_) / np.linalg.norm(right)

    track_residual.unit = "residual of the normal equations / X'y"


class RidgeRows(RidgeFit):
    """RidgeCV by leave-one-out."""

    params = (list(common.LIBRARIES), ["dense-wide", "dense-tall", "diabetes"])
    cv = None

    def run(self, solver):
        return common.LIBRARIES[solver].RidgeCV(self.alphas, cv=self.cv).fit(self.X, self.y)


class RidgeFolds(RidgeRows):
    """RidgeCV with 5 folds."""

    cv = 5
