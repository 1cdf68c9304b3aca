"""A working set that outgrows its memory: its Gram matrix is given up, products with X alone give the same answer."""

import numpy as np
import pytest
from problems import STORAGES, certify, correlated
from referee import Referee

from fastreg import ElasticNet, Lasso, costs
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import solve_path


def problem(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((120, 300)) * (rng.random((120, 300)) < 0.5)
    y = X[:, :40] @ rng.standard_normal(40) + rng.standard_normal(120)
    return X, y


# Far more rounds than they take: one that is wrong ends soon.
MODELS = [Lasso(0.05, tol=1e-9, max_iter=30), ElasticNet(0.1, tol=1e-9, standardize=True, max_iter=30)]


@pytest.fixture
def small(monkeypatch):
    """Room for 90 columns."""
    monkeypatch.setattr(Problem, "capacity", lambda *args: 90)


@pytest.mark.parametrize("storage", ["C", "F", "csc_matrix", "csr_matrix"])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_support_beyond_capacity(small, storage, model):
    X, y = problem()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y))
    model.fit(STORAGES[storage](X), y, weights)
    certify(model, X, y, weights)


def test_capacity_is_kept_and_exceeded_supports_occur(small):
    X, y = problem()
    found = solve_path(Problem.of(X, y[:, None], Penalty(l1_ratio=0.5)), Spec(30, eps=0.02, tol=1e-8))
    assert found.gathered <= 90 < found.n_nonzero.max()
    assert found.converged.all()


@pytest.mark.parametrize("storage", ["F", "csc_matrix"])
@pytest.mark.parametrize("options", [{}, {"l1_ratio": 0.9}, {"lower": -0.5, "upper": 0.2}], ids=str)
def test_correlated_path(small, storage, options):
    X, y = correlated(200, 800, 0.95)
    X[np.abs(X) < 0.3] = 0.0
    found = solve_path(Problem.of(STORAGES[storage](X), y[:, None], Penalty(**options)), Spec(30, eps=0.003, tol=1e-9))
    assert found.n_nonzero.max() > 90
    assert found.converged.all()
    assert (found.dual_gaps <= 2.1e-9 * np.var(y)).all()


@pytest.mark.parametrize("storage", ["C", "F", "csc_matrix", "csr_matrix"])
def test_ridge_with_every_column(small, storage):
    X, y = correlated(60, 500, 0.5)
    model = ElasticNet(0.1, l1_ratio=0.0, tol=1e-10).fit(STORAGES[storage](X), y)
    certify(model, X, y)
    assert np.count_nonzero(model.coef_) == 500


def test_targets_share_the_capacity(small):
    X, y = problem()
    Y = np.column_stack([y, np.roll(y, 1), X[:, 200:240].sum(axis=1)])
    together = Lasso(0.3, tol=1e-10).fit(X, Y)
    for t in range(3):
        np.testing.assert_allclose(together.coef_[t], Lasso(0.3, tol=1e-10).fit(X, Y[:, t]).coef_, atol=1e-4)


def test_capacity_follows_from_the_budget(monkeypatch):
    X = np.zeros((1000, 5000))
    for budget in (10**6, 10**8):
        monkeypatch.setattr(costs, "BUDGET", budget)
        m = Problem.of(X, X[:, :1], Penalty()).capacity(1)
        assert 0.98 * budget <= 8 * 1000 * m + 16 * m * m <= budget


def test_all_features_may_be_more_than_a_working_set(monkeypatch):
    """The Gram matrix of all features is no working set that could outgrow its memory."""
    monkeypatch.setattr(Problem, "capacity", lambda *args: 5)
    X, y = correlated(60, 12, 0.9)
    X[:, 6:] = X[:, :6] + 1e-7 * X[:, 6:]              # takes several rounds
    model = Lasso(0.3, precompute=True, warm_start=True).fit(X, np.stack([y, -y, y**2], axis=1))
    again = model.coef_.copy()
    np.testing.assert_allclose(model.fit(X, np.stack([y, -y, y**2], axis=1)).coef_, again, atol=1e-4)
    for t, target in enumerate((y, -y, y**2)):
        assert Referee(X, target, 0.3, 1.0).relative_gap(again[t], model.intercept_[t]) <= 1e-4
