"""Generalised linear models: paths, single fits and folds, beside scikit-learn to its tight tolerance."""

import math
from types import MappingProxyType

import numpy as np
import sklearn.linear_model
from sklearn.model_selection import GridSearchCV

import fastreg
from fastreg.datafits import custom

from . import common

N_PATH = 5 if common.TOY else 50


class GlmCase(common.Case):
    """Work that ends in an `Answer` of a generalised linear model, whose gap is relative to half the null deviance."""

    loss = "logistic"
    l1_ratio = 0.0
    bound = 1e-5
    tol = 1e-6

    def setup(self, solver, data):
        super().setup(solver, data)
        y = (self.y - self.y.mean()) / self.y.std()
        if self.loss == "poisson":
            self.target = self.y = np.random.default_rng(0).poisson(np.exp(np.minimum(y, 3))).astype(float)
        elif self.loss != "logistic":               # amounts, of which Tweedie's may be nothing
            rng = np.random.default_rng(0)
            some = rng.random(len(y)) < (1 if self.loss == "gamma" else 0.5)
            self.target = self.y = rng.gamma(2, np.exp(np.minimum(y, 3)) / 2) * some
        else:
            self.y = (y > 0).astype(int)
            self.target = 2.0 * self.y - 1
        self.n = len(self.y)

    def gap(self, answer):
        judge = common.referee().Referee(self.X, self.target, answer.l1_ratio, self.loss, aim=0.1 * self.bound)
        return max(v.gap for v in judge.judge_path(answer.coefs, answer.intercepts, answer.alphas))

    def answer(self, model, alpha):
        return common.Answer(np.ravel(model.coef_)[:, None], np.ravel(model.intercept_), np.array([alpha]),
                             self.l1_ratio)


class LogisticFit(GlmCase):
    """LogisticRegression with C = 1 and its L2 penalty."""

    data = ("tall F float64", "wide F float64", "text csr float64", "diabetes C float64")

    def run(self, solver):
        options = {"tol": self.tol} if solver == "fastreg" else {
            "solver": "newton-cg" if self.X.shape[1] > self.n else "newton-cholesky", "tol": 1e-6, "max_iter": 1000}
        return self.answer(common.LIBRARIES[solver].LogisticRegression(**options).fit(self.X, self.y), 1 / self.n)


class PoissonFit(GlmCase):
    """PoissonRegressor with alpha = 1 / 100."""

    loss = "poisson"
    data = ("tall F float64", "diabetes C float64")

    def run(self, solver):
        options = {"tol": self.tol} if solver == "fastreg" else {"solver": "newton-cholesky", "tol": 1e-8}
        model = common.LIBRARIES[solver].PoissonRegressor(alpha=0.01, **options)
        return self.answer(model.fit(self.X, self.y), 0.01)


class GammaFit(GlmCase):
    """GammaRegressor with alpha = 1 / 100."""

    loss = "gamma"
    name = "GammaRegressor"
    options = MappingProxyType({})
    data = ("tall F float64", "diabetes C float64")

    def run(self, solver):
        options = {"tol": self.tol} if solver == "fastreg" else {"solver": "newton-cholesky", "tol": 1e-8}
        model = getattr(common.LIBRARIES[solver], self.name)(alpha=0.01, **self.options, **options)
        return self.answer(model.fit(self.X, self.y), 0.01)


class TweedieFit(GammaFit):
    """TweedieRegressor of power 1.5 with alpha = 1 / 100."""

    loss = "tweedie(1.5)"
    name = "TweedieRegressor"
    options = MappingProxyType({"power": 1.5})


class GeneralizedFit(PoissonFit):
    """The same by the name of the loss."""

    def run(self, solver):
        if solver != "fastreg":
            return super().run(solver)
        return self.answer(fastreg.GeneralizedLinearRegressor("poisson", alpha=0.01, tol=self.tol).fit(self.X, self.y),
                           0.01)


class HuberFit(common.Case):
    """HuberRegressor where one y in forty is far out."""

    data = ("tall F float64", "tall C float64", "diabetes C float64")
    bound = 2e-5        # scikit-learn stays near it, at a default tolerance that is about gradients

    def setup(self, solver, data):
        super().setup(solver, data)
        self.y = (self.y - self.y.mean()) / self.y.std()
        self.y[::40] += 50 * np.random.default_rng(0).choice([-1, 1], len(self.y[::40]))

    def run(self, solver):
        options = {"tol": 1e-8} if solver == "fastreg" else {"max_iter": 10_000}
        return common.LIBRARIES[solver].HuberRegressor(alpha=0.01, **options).fit(self.X, self.y)

    def gap(self, answer):
        found = common.referee().certify(self.X, self.y, answer)
        return found.gap / (2 * answer.epsilon * np.sum(np.abs(self.y - self.y.mean())))


class LogisticPath(GlmCase):
    """regularization_path of the logistic lasso, 50 values down to alpha_max / 100; liblinear, value by value."""

    l1_ratio = 1.0
    data = ("wide F float64", "tall F float64", "text csc float64")
    bound = 5e-2        # liblinear penalises the intercept: it is given one as a long column, and stays at its tol
    datafit = "logistic"

    def setup(self, solver, data):
        super().setup(solver, data)
        centre = self.y.mean() - self.y
        top = np.max(np.abs(self.X.T @ centre)) / self.n
        self.alphas = top * np.geomspace(0.9, common.EPS, N_PATH)

    def run(self, solver):
        if solver == "fastreg":
            path = fastreg.regularization_path(self.X, self.y, datafit=self.datafit, alphas=self.alphas, tol=self.tol)
            return common.Answer(path.coefs, path.intercepts, path.alphas)
        coefs, intercepts = [], []
        for alpha in self.alphas:
            model = sklearn.linear_model.LogisticRegression(
                C=1 / (alpha * self.n), l1_ratio=1.0, solver="liblinear", tol=1e-4, intercept_scaling=100.0,
                max_iter=1000)
            model.fit(self.X, self.y)
            coefs.append(model.coef_[0])
            intercepts.append(model.intercept_[0])
        return common.Answer(np.array(coefs).T, np.array(intercepts), self.alphas)


class MultinomialFit(common.Case):
    """LogisticRegression of several classes with C = 1: its L2 penalty, or the L1 penalty, which saga alone takes."""

    data = ("tall F float64", "diabetes C float64")
    l1_ratio, tol, bound = 0.0, 1e-6, 1e-2              # lbfgs and saga stay far behind at tolerances that end

    def setup(self, solver, data):
        super().setup(solver, data)
        self.y = common.labels(self.y)

    def run(self, solver):
        theirs = {"solver": "saga" if self.l1_ratio else "lbfgs", "tol": 1e-4, "max_iter": 1000}
        options = {"tol": self.tol} if solver == "fastreg" else theirs
        return common.LIBRARIES[solver].LogisticRegression(l1_ratio=self.l1_ratio, **options).fit(self.X, self.y)

    def gap(self, answer):
        share = np.bincount(self.y) / len(self.y)
        found = common.referee().certify(self.X, self.y, answer)
        return found.gap / -np.sum(share * np.log(share))


class MultinomialL1Fit(MultinomialFit):
    """The same with the L1 penalty."""

    l1_ratio = 1.0


class LogisticFolds(GlmCase):
    """LogisticRegressionCV: 10 values of C, 5 folds, L2, and the fit of all rows."""

    data = ("tall F float64", "diabetes C float64")

    def run(self, solver):
        options = {"Cs": 3 if common.TOY else 10, "l1_ratios": (0.0,), "scoring": "neg_log_loss",
                   "use_legacy_attributes": False}
        if solver == "fastreg":
            model = fastreg.LogisticRegressionCV(tol=self.tol, **options)
        else:
            model = sklearn.linear_model.LogisticRegressionCV(solver="newton-cholesky", tol=1e-6, **options)
        model.fit(self.X, self.y)
        return self.answer(model, 1 / (float(model.C_) * self.n))


def own_value(y, eta):
    """The logistic loss as a user writes it."""
    return math.log1p(math.exp(-abs(y * eta))) + max(-y * eta, 0.0)


def own_gradient(y, eta):
    """Its slope."""
    return -y / (1 + math.exp(y * eta))


def own_curvature(y, eta):
    """Its curvature."""
    e = math.exp(-abs(eta))
    return e / (1 + e) ** 2


class OwnLossPath(LogisticPath):
    """The same of a loss of the user's own, compiled before; liblinear beside it as before."""

    def setup(self, solver, data):
        super().setup(solver, data)
        self.datafit = custom(own_value, own_gradient, own_curvature, domain="labels")


class GammaFolds(GlmCase):
    """GammaRegressorCV: 10 values of alpha, 5 folds, L2, and the fit of all rows; a grid search of scikit-learn's."""

    loss = "gamma"
    name = "GammaRegressor"
    options = MappingProxyType({})
    data = ("tall F float64",)

    def run(self, solver):
        alphas = np.logspace(-4, 1, 3 if common.TOY else 10)
        if solver == "fastreg":
            model = getattr(fastreg, f"{self.name}CV")(l1_ratio=0.0, alphas=alphas, tol=self.tol, **self.options)
            return self.answer(model.fit(self.X, self.y), model.alpha_)
        single = getattr(sklearn.linear_model, self.name)(solver="newton-cholesky", tol=1e-8, **self.options)
        search = GridSearchCV(single, {"alpha": alphas}, cv=5).fit(self.X, self.y)
        return self.answer(search.best_estimator_, search.best_params_["alpha"])


class TweedieFolds(GammaFolds):
    """The same of TweedieRegressorCV, power 1.5."""

    loss = "tweedie(1.5)"
    name = "TweedieRegressor"
    options = MappingProxyType({"power": 1.5})


class PoissonFolds(GlmCase):
    """PoissonRegressorCV: 10 values of alpha, 5 folds, L2, and the fit of all rows; a grid search of scikit-learn's."""

    loss = "poisson"
    data = ("tall F float64", "diabetes C float64")

    def run(self, solver):
        alphas = np.logspace(-4, 1, 3 if common.TOY else 10)
        if solver == "fastreg":
            model = fastreg.PoissonRegressorCV(l1_ratio=0.0, alphas=alphas, tol=self.tol).fit(self.X, self.y)
            return self.answer(model, model.alpha_)
        search = GridSearchCV(sklearn.linear_model.PoissonRegressor(solver="newton-cholesky", tol=1e-8),
                              {"alpha": alphas}, scoring="neg_mean_poisson_deviance", cv=5)
        search.fit(self.X, self.y)
        return self.answer(search.best_estimator_, search.best_params_["alpha"])


class GeneralizedFolds(PoissonFolds):
    """The same by the name of the loss."""

    def run(self, solver):
        if solver != "fastreg":
            return super().run(solver)
        alphas = np.logspace(-4, 1, 3 if common.TOY else 10)
        model = fastreg.GeneralizedLinearRegressorCV("poisson", l1_ratio=0.0, alphas=alphas, tol=self.tol)
        return self.answer(model.fit(self.X, self.y), model.alpha_)
