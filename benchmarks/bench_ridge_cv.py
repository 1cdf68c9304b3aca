"""Choosing the ridge penalty among 100 by leave-one-out and by folds, beside scikit-learn."""

import numpy as np

from . import common


class RidgeRows:
    """RidgeCV by leave-one-out: time, memory, and the residual of the answer."""

    params = (list(common.LIBRARIES), ["dense-wide", "dense-tall", "diabetes"])
    param_names = ("solver", "data")
    timeout = 600
    cv = None

    def setup(self, solver, data):
        self.X, self.y = common.load(data)
        self.alphas = np.logspace(-3, 3, common.N_ALPHAS)

    def run(self, solver):
        return common.LIBRARIES[solver].RidgeCV(self.alphas, cv=self.cv).fit(self.X, self.y)

    def time_run(self, solver, data):
        self.run(solver)

    def peakmem_run(self, solver, data):
        self.run(solver)

    def track_residual(self, solver, data):
        model = self.run(solver)
        X = self.X - self.X.mean(axis=0)
        error = X.T @ (self.y - self.y.mean() - X @ model.coef_) - model.alpha_ * model.coef_
        return np.linalg.norm(error) / np.linalg.norm(X.T @ (self.y - self.y.mean()))

    track_residual.unit = "residual of the normal equations / X'y"


class RidgeFolds(RidgeRows):
    """RidgeCV with 5 folds."""

    cv = 5
