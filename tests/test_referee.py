"""The referee must see what is wrong, and agree with scikit-learn where both can solve."""

import numpy as np
import pytest
from problems import make_data
from referee import Referee
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

OPTIONS = [
    {},
    {"l1_ratio": 0.5},
    {"fit_intercept": False},
    {"positive": True},
    {"l1_ratio": 0.7, "positive": True, "fit_intercept": False},
]
OWN_OPTIONS = [
    {"standardize": True},
    {"penalty_factor": np.r_[0.0, 0.0, np.inf, np.full(22, 0.7)]},
    {"lower_limits": -0.1, "upper_limits": np.r_[0.0, np.full(24, 0.2)]},
    {"l1_ratio": 0.0, "positive": True},
    {"l1_ratio": 0.5, "penalty_factor": np.r_[np.zeros(10), np.ones(15)], "lower_limits": 0.0, "standardize": True},
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_agrees_with_scikit_learn(data, options, weighted):
    X, y, weights = data
    weights = weights if weighted else None
    referee = Referee(X, y, 0.05, sample_weight=weights, **options)
    model = ElasticNet(0.05, **{"l1_ratio": 1.0} | options, tol=1e-12, max_iter=10**6).fit(X, y, weights)
    w = referee.solve()
    assert -1e-14 <= referee.relative_gap(w) <= 1e-13
    assert -1e-14 <= referee.relative_gap(model.coef_, model.intercept_) <= 3e-12
    np.testing.assert_allclose(w, model.coef_, atol=1e-6)
    np.testing.assert_allclose(referee.intercept(w), model.intercept_, atol=1e-6)


def test_agrees_with_closed_forms(data):
    X, y, weights = data
    ridge = Ridge(0.3 * weights.sum()).fit(X, y, weights)
    referee = Referee(X, y, 0.3, l1_ratio=0.0, sample_weight=weights)
    np.testing.assert_allclose(referee.solve(), ridge.coef_, atol=1e-10)
    assert abs(referee.relative_gap(ridge.coef_, ridge.intercept_)) <= 1e-13
    ols = LinearRegression().fit(X, y)
    referee = Referee(X, y, 0.0)
    assert referee.relative_gap(ols.coef_, ols.intercept_) <= 1e-13
    np.testing.assert_allclose(referee.solve(), ols.coef_, atol=1e-9)


@pytest.mark.parametrize("options", OPTIONS + OWN_OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(40, 25), (15, 25)], ids=str)
def test_solves_and_catches_a_perturbation(options, shape):
    X, y, weights = make_data(1, *shape)
    referee = Referee(X, y, 0.05, sample_weight=weights, **options)
    w = referee.solve()
    assert -1e-14 <= referee.relative_gap(w) <= 1e-13
    assert referee.kkt(w) <= 1e-13
    assert referee.relative_gap(w, referee.intercept(w) + 1e-3 * np.sqrt(referee.p0)) > 4e-7
    for j in np.flatnonzero((w != 0) & (w > referee.lower) & (w < referee.upper)):
        off = w.copy()
        off[j] *= 1 - 1e-3
        assert referee.kkt(off) > 1e-9
        above = referee.objective(off) - referee.objective(w)
        assert referee.gap(off) >= above - 1e-14 * referee.p0 and above > 0
    off = w + np.where(referee.upper < np.inf, referee.upper - w + 1e-6, 0.0)
    assert np.isinf(referee.gap(off)) == bool((referee.upper < np.inf).any())


@pytest.mark.parametrize("options", OPTIONS + OWN_OPTIONS[:3], ids=str)
def test_alpha_max(data, options):
    X, y, weights = data
    alpha = Referee(X, y, 1.0, sample_weight=weights, **options).alpha_max()
    for factor, some in ((1 + 1e-9, False), (1 - 1e-9, True)):
        referee = Referee(X, y, factor * alpha, sample_weight=weights, **options)
        assert np.any(referee.solve()[referee.l1 > 0] != 0) == some


def test_another_alpha(data):
    X, y, weights = data
    referee = Referee(X, y, 1.0, sample_weight=weights, standardize=True)
    other = Referee(X, y, 0.05, sample_weight=weights, standardize=True)
    w = other.solve()
    assert abs(referee.with_alpha(0.05).gap(w) - other.gap(w)) <= 1e-15 * other.p0
    assert referee.with_alpha(0.05).gap(0.9 * w) > 1e-4 * other.p0


def test_wrong_sign_and_missing_feature(data):
    X, y, _ = data
    referee = Referee(X, y, 0.05)
    w = referee.solve()
    strongest = np.argmax(np.abs(w) * referee.norms)
    for value in (0.0, -w[strongest]):
        off = w.copy()
        off[strongest] = value
        assert referee.relative_gap(off) > 1e-3 and referee.kkt(off) > 1e-3
