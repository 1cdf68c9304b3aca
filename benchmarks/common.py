"""What every benchmark shares: the data, the libraries, and the base class that times, weighs and judges one run."""

import importlib.util
import os
import sys
import time
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.linear_model
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import label_binarize

import fastreg

from .workloads import alpha_max, correlated, text_like

TOY = os.environ.get("FASTREG_BENCH", "") == "toy"
# Relative gap = gap / objective(0) = 2 gap / ||y||^2, and `tol` is relative to ||y||^2: this asks for 1e-6.
TOL = 5e-7
RIDGE_TOL = 1e-8
N_ALPHAS = 5 if TOY else 100
N_RIDGE_ALPHAS = 5 if TOY else 20
EPS = 0.1 if TOY else 0.01
MAX_ITER = 100_000
PAIR_SECONDS = 0.0 if TOY else 1.0
N_CLASSES = 3
LIBRARIES = {"fastreg": fastreg, "scikit-learn": sklearn.linear_model}


SHAPES = {
    "wide": lambda: correlated(50, 200, 0.5, 5) if TOY else correlated(200, 2000, 0.5, 20),
    "square": lambda: correlated(60, 60, 0.5, 5) if TOY else correlated(1000, 1000, 0.5, 40),
    "tall": lambda: correlated(200, 20, 0.7, 5) if TOY else correlated(20_000, 200, 0.7, 40),
    "text": lambda: text_like(200, 400, 10, 10) if TOY else text_like(2000, 10_000, 50, 50),
    # Few enough rows for an eigendecomposition of the samples' Gram matrix to be timed many times.
    "headlines": lambda: text_like(100, 300, 10, 10) if TOY else text_like(500, 5000, 50, 30),
    "diabetes": lambda: load_diabetes(return_X_y=True),
}
EVERY_KIND = (
    "wide F float64",
    "wide C float32",
    "square F float64",
    "tall F float64",
    "tall C float64",
    "tall C float32",
    "text csc float64",
    "text csr float64",
    "text csr float32",
)
STORAGE = {"F": np.asfortranarray, "C": np.ascontiguousarray, "csc": sparse.csc_matrix, "csr": sparse.csr_matrix}


@cache
def load(data):
    """X, y of a data set named by shape, storage and type of X, such as "wide F float32"; built once in a process."""
    shape, storage, dtype = data.split()
    X, y = SHAPES[shape]()
    return STORAGE[storage](X.astype(dtype)), y


def column_means(X):
    """Means in float64, of dense and sparse X alike."""
    return np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()


def centred(X, y):
    """X (dense, its type kept) and y less their means: here a fit without intercept is one with intercept 0."""
    return (X - column_means(X)).astype(X.dtype), y - y.mean()


class Answer(NamedTuple):
    """Coefficients (n_features, k), dense or sparse, with k intercepts and penalties, of a path or of k targets."""

    coefs: np.ndarray
    intercepts: np.ndarray
    alphas: np.ndarray
    l1_ratio: float = 1.0


def fitted(model):
    """The answer of an estimator; those of the lasso and of ridge may have no l1_ratio, least squares no alpha."""
    coefs, intercepts = np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)
    alpha = model.alpha_ if hasattr(model, "alpha_") else getattr(model, "alpha", 0.0)
    l1_ratio = getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 1.0))
    return Answer(coefs, intercepts, np.full(len(intercepts), alpha), l1_ratio)


@cache
def referee():
    """fastreg.referee of the checkout this file lies in, whatever fastreg is timed: it imports nothing of the engine.

    The build under test keeps its own under that name, or none, if it is too old to have one."""
    name = "fastreg.referee"

    def taken_out():
        return {key: sys.modules.pop(key) for key in list(sys.modules) if f"{key}.".startswith(f"{name}.")}

    file = Path(__file__).resolve().parents[1] / "fastreg" / "referee" / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, file)
    theirs = taken_out()
    try:
        sys.modules[name] = found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    finally:
        taken_out()
        sys.modules.update(theirs)
    return found


def elastic_net_gap(X, y, answer):
    """Worst duality gap of a path, relative to the objective at zero coefficients."""
    verdicts = referee().Referee(X, y, answer.l1_ratio).judge_path(answer.coefs, answer.intercepts, answer.alphas)
    return max(verdict.gap for verdict in verdicts)


def ridge_residual(X, Y, answer):
    """Worst relative residual of ridge's normal equations, those of the coefficients and that of the intercept.

    Each column of coefficients answers the same column of Y, or Y's only one.
    """
    Y, coefs = Y.reshape(len(Y), -1), answer.coefs.astype(np.float64)
    mean, error = column_means(X), Y - X @ coefs - answer.intercepts
    right, left = (X.T @ v - np.outer(mean, v.sum(axis=0)) for v in (Y - Y.mean(axis=0), error))
    residual = np.linalg.norm(left - answer.alphas * coefs, axis=0) / np.linalg.norm(right, axis=0)
    return max(residual.max(), (np.abs(error.mean(axis=0)) / Y.std(axis=0)).max())


def labels(y):
    """Classes of equal size, from the quantiles of y."""
    return np.digitize(y, np.quantile(y, np.arange(1, N_CLASSES) / N_CLASSES))


def indicators(classes):
    """One column of -1 and 1 for each class: the targets a ridge classifier regresses on."""
    return label_binarize(classes, classes=np.arange(N_CLASSES), neg_label=-1)


def seconds(run):
    """Time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired_ratio(slow, fast):
    """Median of slow's time over fast's in pairs of runs: what the machine does meanwhile slows both of a pair."""
    fast()  # the first call of a process pays for starting threads and for lazy imports
    ratios, end = [], time.perf_counter() + PAIR_SECONDS
    while not ratios or time.perf_counter() < end:
        ratios.append(seconds(slow) / seconds(fast))
    return float(np.median(ratios))


class Case(ABC):
    """One piece of work, for each library on each data set: time, peak memory, gap of the answer and fastreg's lead.

    A subclass says on which data (`data`), what to run, and how far its answer is from the optimum; fastreg must stay
    within `bound`.
    """

    data: tuple[str, ...]
    bound: float
    param_names = ("solver", "data")
    timeout = 600
    # asv's default is up to ten samples in twenty seconds, and twice that: too long for scikit-learn's slow cases.
    rounds = 1
    repeat = (2, 10, 2.0)

    def __init_subclass__(cls):
        cls.params = (list(LIBRARIES), list(getattr(cls, "data", ())))

    def setup(self, solver, data):
        self.X, self.y = load(data)

    @abstractmethod
    def run(self, solver):
        """Do the work; what is returned goes to `gap`."""

    @abstractmethod
    def gap(self, answer):
        """Distance of an answer from the optimum, recomputed in float64 by NumPy alone."""

    def time_run(self, solver, data):
        self.run(solver)

    def peakmem_run(self, solver, data):
        self.run(solver)

    def track_gap(self, solver, data):
        return self.gap(self.run(solver))

    track_gap.unit = "relative duality gap or residual"

    def track_speedup_vs_sklearn(self, solver, data):
        if solver != "fastreg":
            return np.nan  # asv's n/a: the ratio is fastreg's
        return paired_ratio(lambda: self.run("scikit-learn"), lambda: self.run("fastreg"))

    track_speedup_vs_sklearn.unit = "scikit-learn's time / fastreg's"


class ElasticNetCase(Case):
    """Work that ends in an `Answer` of the lasso or elastic net; `l1_ratio` is that of its penalty values."""

    l1_ratio = 1.0
    bound = 1e-6

    def setup(self, solver, data):
        super().setup(solver, data)
        self.alpha_max = alpha_max(self.X, self.y, self.l1_ratio)

    def grid(self):
        return self.alpha_max * np.geomspace(1, EPS, N_ALPHAS)

    def gap(self, answer):
        return elastic_net_gap(self.X, self.y, answer)


class RidgeCase(Case):
    """Work that ends in an `Answer` of ridge regression."""

    bound = 1e-7

    def setup(self, solver, data):
        super().setup(solver, data)
        self.alphas = np.logspace(-3, 3, N_RIDGE_ALPHAS)

    def gap(self, answer):
        return ridge_residual(self.X, self.y, answer)


class RidgeClassifierCase(RidgeCase):
    """The same for classes."""

    def setup(self, solver, data):
        super().setup(solver, data)
        self.classes = labels(self.y)

    def gap(self, answer):
        return ridge_residual(self.X, indicators(self.classes), answer)
