"""Losses whose curvature changes, through the engine: certified by a judge in long double."""

import numpy as np
import pytest
import scipy.sparse as sp
from glm import Judge
from problems import STORAGES, covering

from fastreg.datafits import by_name
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import solve_path
from fastreg.weights import Weights

DATAFITS = {name: by_name(name) for name in (
    "logistic", "poisson", "gamma", "tweedie(1.5)", "squared_hinge", "huber(1.5)")}
TOL = 1e-10


def data(loss, seed=0, n=60, p=30, density=0.5):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < density)
    eta = X[:, :4] @ np.array([2.0, -1.5, 1.0, 0.5]) + 0.3
    if loss == "poisson":
        return X, rng.poisson(np.exp(0.5 * eta)).astype(float), rng
    if loss == "huber(1.5)":
        return X, eta + rng.standard_t(1.5, n), rng
    if loss in ("gamma", "tweedie(1.5)"):
        return X, rng.gamma(2, 0.5 * np.exp(0.5 * eta)) * (rng.random(n) < (1 if loss == "gamma" else 0.7)), rng
    return X, np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), 1.0, -1.0), rng


def solved(loss, X, y, alphas, l1_ratio=1.0, *, weights=None, offset=None, fit_intercept=True, tol=TOL, n_threads=1,
           **penalty):
    problem = Problem.of(X, y[:, None], Penalty(l1_ratio, **penalty), weights=Weights(weights, len(y)),
                         fit_intercept=fit_intercept, n_threads=n_threads, datafit=DATAFITS[loss], offset=offset)
    return solve_path(problem, Spec(alphas, 1e-2, tol=tol))


def judged(loss, X, y, found, l1_ratio=1.0, factor=1.0, lower=-np.inf, upper=np.inf, **options):
    """The largest gap that there really is; the one that was reported is no smaller than what is missing."""
    worst = 0
    for k, alpha in enumerate(found.alphas):
        judge = Judge(loss, X, y, alpha, l1_ratio, factor=factor, lower=lower, upper=upper, **options)
        gap = judge.gap(found.coef(k), found.intercepts[k, 0])
        assert gap > -1e-14                # free columns are orthogonal to rounding, where the dual wants them so
        assert gap <= found.relative_gaps[k, 0] * (1 + 1e-3) + 1e-14 or gap <= TOL
        worst = max(worst, gap)
    assert (found.stopped == 0).all()
    return worst


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_steps_that_lead_too_far(storage, fit_intercept):
    """A model at a mean of counts knows nothing of those a thousand times as large."""
    x = np.linspace(-1, 1, 40)
    X = np.column_stack([x, x**2, np.sin(9 * x)])
    y = np.round(np.exp(9 * x))
    found = solved("poisson", STORAGES[storage](X), y, np.array([1e-3, 1e-5]), fit_intercept=fit_intercept)
    assert judged("poisson", X, y, found, fit_intercept=fit_intercept) < 1.01 * TOL


@pytest.mark.parametrize("loss", DATAFITS)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("weighted", "offset", "fit_intercept", "l1_ratio", "limited", "factors"), covering(
    [False, True], [False, True], [True, False], [1.0, 0.4], [False, True], [False, True]))
def test_paths_are_certified(loss, storage, weighted, offset, fit_intercept, l1_ratio, limited, factors):
    X, y, rng = data(loss)
    options = {"fit_intercept": fit_intercept, "weights": rng.integers(0, 3, 60) + 0.0 if weighted else None,
               "offset": rng.standard_normal(60) if offset else None}
    penalty = {"factor": 1.0, "lower": -np.inf, "upper": np.inf}
    if limited:
        penalty |= {"lower": np.where(np.arange(30) % 3 == 0, -0.2, -np.inf), "upper": 0.5}
    if factors:
        penalty["factor"] = np.where(np.arange(30) == 7, 0, np.where(np.arange(30) == 8, np.inf, 1 + np.arange(30) % 4))
    stored = STORAGES[storage](X)
    found = solved(loss, stored, y, 12, l1_ratio, **options, **penalty)
    assert judged(loss, stored, y, found, l1_ratio, **options, **penalty) < 1.01 * TOL
    assert found.n_nonzero[-1, 0] > 5


@pytest.mark.parametrize("loss", DATAFITS)
def test_a_far_alpha_from_a_cold_start(loss):
    X, y, _ = data(loss, n=80, p=300)
    top = solved(loss, X, y, 2).alphas[0]
    for store in (np.asarray, sp.csc_array, sp.csr_array):
        found = solved(loss, store(X), y, np.array([0.02 * top]))
        assert judged(loss, X, y, found) < 1.01 * TOL


@pytest.mark.parametrize("loss", DATAFITS)
@pytest.mark.parametrize("store", [np.asarray, sp.csc_array, sp.csr_array])
def test_rows_and_weights(loss, store):
    """A weight of 2 is a row twice, a weight of 0 a row absent, whatever that holds."""
    X, y, rng = data(loss)
    times = rng.integers(0, 4, 60)
    X[times == 0] *= 1e150
    alphas = 0.5 ** np.arange(2, 9) * 0.3
    weighted = solved(loss, store(X), y, alphas, weights=times.astype(float), tol=1e-13)
    repeated = solved(loss, store(np.repeat(X, times, axis=0)), np.repeat(y, times), alphas, tol=1e-13)
    np.testing.assert_allclose(weighted.dense(), repeated.dense(), atol=1e-6)
    np.testing.assert_allclose(weighted.intercepts, repeated.intercepts, atol=1e-6)


@pytest.mark.parametrize("loss", DATAFITS)
def test_an_offset_shifts_what_is_not_penalised(loss):
    """By so much as it holds of an unpenalised column and of the intercept, and nothing else."""
    X, y, _ = data(loss)
    options = {"factor": np.where(np.arange(30) == 2, 0, 1), "tol": 1e-13}
    plain = solved(loss, X, y, np.array([0.05, 0.01]), **options)
    shifted = solved(loss, X, y, plain.alphas, offset=0.7 * X[:, 2] + 3, **options)
    np.testing.assert_allclose(shifted.dense(), plain.dense() - 0.7 * (np.arange(30) == 2), atol=1e-6)
    np.testing.assert_allclose(shifted.intercepts, plain.intercepts - 3, atol=1e-6)


@pytest.mark.parametrize("loss", DATAFITS)
@pytest.mark.parametrize("store", [np.asarray, sp.csc_array, sp.csr_array])
def test_threads_change_no_bit(loss, store):
    X, y, _ = data(loss, n=3000, p=400)
    one, three = (solved(loss, store(X), y, 10, n_threads=k, tol=1e-6) for k in (1, 3))
    for name in ("data", "indices", "intercepts", "dual_gaps"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))


@pytest.mark.parametrize("store", [np.asarray, sp.csc_array])
def test_columns_of_any_level_and_scale(store):
    """Timestamps beside scores; duplicates; a constant."""
    X, y, rng = data("logistic", n=100, p=12, density=1)
    X = np.column_stack([X, X[:, 0], np.ones(100), 1.7e9 + 1e4 * rng.standard_normal(100), 1e-6 * X[:, 1]])
    found = solved("logistic", store(X), y, 15, tol=1e-8, standardize=True)
    spread = np.std(X.astype(np.longdouble), axis=0)
    assert judged("logistic", X, y, found, factor=np.where(np.ptp(X, axis=0) > 0, spread, np.inf)) < 1e-7


def test_separable_classes():
    """The loss has no minimum, the penalised one has."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 5))
    y = np.where(X[:, 0] + 0.5 * X[:, 1] > 0, 1.0, -1.0)
    found = solved("logistic", X, y, np.array([1e-3, 1e-6, 1e-9]))
    assert judged("logistic", X, y, found) < 1.01 * TOL
