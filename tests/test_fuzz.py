"""Seeded random problems, all options at once; the message of a failure holds what rebuilds it."""

import warnings
from unittest.mock import patch

import numpy as np
import pytest
from problems import SPARSE, STORAGES, certify, make_data
from referee import Referee, dense
from sklearn.exceptions import ConvergenceWarning

from fastreg import ElasticNet, Lasso, costs
from fastreg.estimators import base
from fastreg.problem import Problem
from fastreg.solvers import path

CHUNKS, SIZE = 48, 50


def random_X(rng, n, p):
    """Random X, at times with zeros, scales, correlation, a large mean, constant, equal and dependent columns."""
    X = rng.standard_normal((n, p)) + rng.choice([0.0, 0.0, 3.0]) * rng.standard_normal((n, 1))
    if rng.random() < 0.5:
        X *= 10.0 ** rng.uniform(-2, 2, p)
    if rng.random() < 0.3:
        X += rng.choice([1.0, 100.0, 1e4]) * rng.standard_normal(p)
    if rng.random() < 0.2:
        X = np.round(X)
    X *= rng.random((n, p)) < rng.choice([1.0, 0.5, 0.1])
    if rng.random() < 0.4:
        for j in rng.integers(0, p, 3):
            source = X[:, rng.integers(0, p)]
            other = X[:, rng.integers(0, p)]
            X[:, j] = [source, -source, 0.5 * source, source + other, np.full(n, 2.5), np.zeros(n)][rng.integers(0, 6)]
    return X


def random_options(rng, p):
    """Options of an estimator, except alpha."""
    options = {"fit_intercept": bool(rng.random() < 0.7), "standardize": bool(rng.random() < 0.3)}
    if rng.random() < 0.7:
        options["l1_ratio"] = float(rng.choice([1.0, 0.5, 0.95, 0.05, 0.0]))
    kind = rng.integers(0, 6)
    if kind == 0:
        options["positive"] = True
    if kind in (1, 2):
        options["lower_limits"] = -rng.choice([0.0, 0.1, 1.0, np.inf], p)
    if kind in (2, 3):
        options["upper_limits"] = rng.choice([0.0, 0.1, 1.0, np.inf], p) if rng.random() < 0.5 else 0.5
    if rng.random() < 0.3:
        options["penalty_factor"] = rng.choice([0.0, 0.3, 1.0, 2.0, np.inf], p, p=[0.1, 0.3, 0.3, 0.2, 0.1])
    return options


def random_problem(seed):
    """X in some storage, y, weights or None, and a model to fit."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(1, 41)), int(rng.integers(1, 61))
    dtype = np.float32 if rng.random() < 0.2 else np.float64
    X = random_X(rng, n, p).astype(dtype)
    y = dense(X) @ (rng.standard_normal(p) * (rng.random(p) < 0.3)) + rng.choice([0.1, 1.0]) * rng.standard_normal(n)
    y = (y + rng.choice([0.0, 10.0])) * 10.0 ** rng.uniform(-3, 3)
    weights = None
    if rng.random() < 0.4:
        weights = rng.uniform(0.1, 5.0, n) * (rng.random(n) < 0.8)
        weights[rng.integers(0, n)] = 1.0
    storage = rng.choice(list(SPARSE)) if rng.random() < 0.5 else rng.choice(list(STORAGES))
    options = random_options(rng, p)
    top = Referee(X, y, 1.0, sample_weight=weights, **options).alpha_max() or 1.0
    factor = float(rng.choice([0.0, 1e-4, 0.01, 0.1, 0.5, 0.99, 1.5], p=[0.1, 0.1, 0.2, 0.3, 0.1, 0.1, 0.1]))
    tol = 1e-10 if dtype == np.float64 else 1e-7
    Model = ElasticNet if "l1_ratio" in options else Lasso
    return storage, X, y, weights, Model(factor * top, tol=tol, warm_start=bool(rng.random() < 0.2), **options)


def check(seed):
    """Fit and certify one problem; what is wrong, or None."""
    storage, X, y, weights, model = random_problem(seed)
    try:
        with warnings.catch_warnings(), patch.object(path, "single", lambda *arrays: False), patch.object(
                base, "single", lambda *arrays: False):    # the solution, before it is rounded
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(STORAGES[storage](X), y, weights)
        certify(model, X, y, weights, gap=None if X.dtype == np.float64 else 1e-6)
    except Exception as error:
        what = f"{X.shape} {storage} {X.dtype} weighted={weights is not None} {model}".replace("\n", " ")
        return f"seed {seed}: {type(error).__name__}: {str(error)[:150]}\n    {what[:400]}"
    return None


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_fuzz(chunk):
    wrong = [message for seed in range(chunk * SIZE, (chunk + 1) * SIZE) if (message := check(seed))]
    assert not wrong, f"{len(wrong)} of {SIZE} failed (see random_problem(seed)):\n" + "\n".join(wrong)


@pytest.mark.parametrize("chunk", range(8))
def test_fuzz_without_gram(chunk, monkeypatch):
    """The same with room for the Gram matrix of two columns only: products with X alone."""
    monkeypatch.setattr(Problem, "capacity", lambda *args: 2)
    monkeypatch.setattr(costs, "GRAM_RATE", 1e-9)
    test_fuzz(chunk)


@pytest.mark.parametrize("chunk", range(4))
def test_fuzz_targets(chunk):
    """Several targets at once: each is certified by itself, whatever the others are doing."""
    for seed in range(40 * chunk, 40 * chunk + 40):
        rng = np.random.default_rng(seed)
        X, _, weights = make_data(seed, 40, 60)
        signal = X @ (rng.standard_normal((60, 5)) * (rng.random((60, 5)) < 0.2))
        Y = signal + rng.standard_normal((40, 5)) * rng.choice([0.1, 1.0, 10.0], 5)
        weights = weights if rng.random() < 0.5 else None
        model = rng.choice([Lasso, ElasticNet])(10 ** rng.uniform(-2, 0), tol=1e-10)
        model.fit(STORAGES[rng.choice(["C", "F", "csr_matrix", "csc_matrix"])](X), Y, weights)
        for t in range(5):
            referee = Referee(X, Y[:, t], model.alpha, model.l1_ratio, sample_weight=weights)
            assert referee.relative_gap(model.coef_[t], model.intercept_[t]) <= 2.1e-10, f"seed {seed}, target {t}"
