"""What every benchmark shares: the data, the solvers, and the base class that times, weighs and judges one run."""

import os
from abc import ABC, abstractmethod
from functools import cache

import numpy as np
import sklearn.linear_model
from sklearn.datasets import load_diabetes

import fastreg
from fastreg.cli.referee import Referee  # plain NumPy: it recomputes the gap and asks no solver

from .workloads import correlated, text_like

TOY = os.environ.get("FASTREG_BENCH", "") == "toy"
# Relative gap = gap / objective(0) = 2 gap / ||y||^2, and `tol` is relative to ||y||^2: this asks for 1e-6.
TOL = 5e-7
N_ALPHAS = 5 if TOY else 100
EPS = 0.1 if TOY else 0.01
MAX_ITER = 100_000
LIBRARIES = {"fastreg": fastreg, "scikit-learn": sklearn.linear_model}


DATA = {
    "dense-wide": lambda: correlated(50, 200, 0.5, 5) if TOY else correlated(300, 5000, 0.5, 30),
    "dense-tall": lambda: correlated(200, 20, 0.7, 5) if TOY else correlated(20_000, 200, 0.7, 40),
    "sparse-text": lambda: text_like(200, 400, 10, 10) if TOY else text_like(5000, 20_000, 50, 100),
    "diabetes": lambda: load_diabetes(return_X_y=True),
}


@cache
def load(data):
    """X, y of a data set by name, built once for each process."""
    return DATA[data]()


def alpha_max(X, y, l1_ratio):
    """The smallest penalty with all coefficients zero."""
    centred = y - y.mean()
    offset = np.asarray(X.mean(axis=0)).ravel()
    return np.abs(X.T @ centred - offset * centred.sum()).max() / (len(y) * l1_ratio)


class Case(ABC):
    """One piece of work, for each solver on each data set: its time, its peak memory and the gap of its answer."""

    params = (list(LIBRARIES), list(DATA))
    param_names = ("solver", "data")
    l1_ratio = 1.0
    timeout = 600

    def setup(self, solver, data):
        self.X, self.y = load(data)
        self.alpha_max = alpha_max(self.X, self.y, self.l1_ratio)

    @abstractmethod
    def run(self, solver):
        """Do the work; return coefficients (n_features, n_alphas), intercepts and penalties."""

    def time_run(self, solver, data):
        self.run(solver)

    def peakmem_run(self, solver, data):
        self.run(solver)

    def track_gap(self, solver, data):
        coefs, intercepts, alphas = self.run(solver)
        judged = Referee(self.X, self.y, self.l1_ratio).judge_path(coefs, intercepts, alphas)
        return max(verdict.gap for verdict in judged)

    track_gap.unit = "worst duality gap / objective at zero"
