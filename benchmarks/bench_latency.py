"""What a call costs when there is little to do: tiny data and defaults, and the first call of a fresh process."""

import inspect

import numpy as np

import fastreg

from . import common

# scikit-learn's generalised linear models leave gaps by default that no bound here admits: see bench_glm.
ESTIMATORS = [name for name in fastreg.__all__
              if hasattr(getattr(fastreg, name), "fit")
              and not name.startswith(("Gamma", "Generalized", "Huber", "Logistic", "Poisson", "Tweedie"))]


class TinyFit(common.Case):
    """`fit` of every estimator with its defaults on the diabetes data, 442 x 10."""

    data = ESTIMATORS
    param_names = ("solver", "estimator")
    # The default tol is 1e-4 of ||y||^2: 2e-4 of the objective at zero.
    bound = 2e-4

    def setup(self, solver, estimator):
        self.X, self.y = common.load("diabetes C float64")
        self.estimator = estimator
        self.target = common.labels(self.y) if "Classifier" in estimator else self.y

    def run(self, solver):
        return getattr(common.LIBRARIES[solver], self.estimator)().fit(self.X, self.target)

    def gap(self, answer):
        if self.estimator.startswith(("Ridge", "Linear")):
            targets = common.indicators(self.target) if "Classifier" in self.estimator else self.y
            return common.ridge_residual(self.X, targets, common.fitted(answer))
        return common.elastic_net_gap(self.X, self.y, common.fitted(answer))


class TinyPredict(TinyFit):
    """`predict` of the same; the gap is the largest relative error of the predictions."""

    bound = 1e-12

    def setup(self, solver, estimator):
        super().setup(solver, estimator)
        self.models = {library: super(TinyPredict, self).run(library) for library in common.LIBRARIES}
        self.solver = solver

    def run(self, solver):
        return self.models[solver].predict(self.X)

    def gap(self, answer):
        fit = common.fitted(self.models[self.solver])
        scores = self.X @ fit.coefs + fit.intercepts
        expected = scores.argmax(axis=1) if scores.shape[1] > 1 else scores.ravel()
        return np.abs(answer - expected).max() / np.abs(expected).max()


class FreshProcess:
    """The import and the first fit in a fresh process, which no warm-up hides."""

    params = tuple(module.__name__ for module in common.LIBRARIES.values())
    param_names = ("module",)
    timeout = 60
    rounds = 1
    repeat = (2, 10, 10.0)

    def timeraw_import(self, module):
        return f"import {module}"

    def timeraw_first_fit(self, module):
        start = f"""
        from sklearn.datasets import load_diabetes
        import {module} as library
        X, y = load_diabetes(return_X_y=True)
        """
        return "library.Lasso(0.1).fit(X, y)", inspect.cleandoc(start)
