"""Tweedie losses that are not convex: stationary points, judged in long double, and no gap claimed."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import TweedieRegressor as ScikitTweedie

from fastreg import TweedieRegressor, TweedieRegressorCV, certify, regularization_path
from fastreg.datafits import by_name

POWERS = (3.0, 2.5, 4.5, 0.0, -1.0)
LD = np.longdouble


def data(power, seed=0, n=120, p=12):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.7)
    mean = np.exp(X[:, :3] @ np.array([0.4, -0.3, 0.2]) + 1)
    return X, rng.wald(mean, 5.0) if power > 0 else mean + 0.3 * rng.standard_normal(n)


def slopes(power, y, eta):
    return np.exp((2 - LD(power)) * eta) - y * np.exp((1 - LD(power)) * eta)


def values(power, y, eta):
    power = LD(power)
    return y * np.exp((1 - power) * eta) / (power - 1) + np.exp((2 - power) * eta) / (2 - power)


def violation(power, X, y, model, alpha, l1_ratio, weights=None, offset=0):
    """The largest of a condition, of the averaged objective; that of the intercept."""
    X = np.asarray(X.toarray() if sp.issparse(X) else X).astype(LD)
    s = np.ones(len(y), dtype=LD) if weights is None else np.asarray(weights, dtype=LD)
    w = model.coef_.astype(LD)
    slope = s * slopes(power, y, X @ w + LD(model.intercept_) + offset) / s.sum()
    pull = -X.T @ slope - alpha * (1 - l1_ratio) * w
    zero = np.maximum(np.abs(pull) - alpha * l1_ratio, 0)
    return float(np.max(np.where(w != 0, np.abs(pull - alpha * l1_ratio * np.sign(w)), zero))), abs(float(slope.sum()))


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array, sp.csc_array])
def test_stationary_points(power, l1_ratio, storage):
    X, y = data(power)
    weights = np.random.default_rng(1).random(len(y)) + 0.1
    offset = 0.2 * np.sin(np.arange(len(y)))
    for alpha in (0.1, 1e-3, 0.0):
        model = TweedieRegressor(power=power, link="log", alpha=alpha, l1_ratio=l1_ratio, tol=1e-8, max_iter=1000)
        model.fit(storage(X), y, sample_weight=weights, offset=offset)
        columns, intercept = violation(power, X, y, model, alpha, l1_ratio, weights, offset)
        assert columns < 1e-4 * model.null_deviance_ and intercept < 1e-11
        assert np.isnan(model.dual_gap_) and 0 <= model.stationarity_ <= 1e-8 * model.null_deviance_
        found = certify(storage(X), y, model, sample_weight=weights, offset=offset)
        assert found.ok and np.isnan(found.gap) and np.isinf(found.coef_bound)
        assert not certify(storage(X), y + 1, model, sample_weight=weights, offset=offset).ok
        assert model.deviance_ <= model.null_deviance_


@pytest.mark.parametrize("power", [3.0, 0.0])
def test_scikit_learn_comes_to_the_same(power):
    X, y = data(power)
    for alpha in (1e-3, 0.1):
        model = TweedieRegressor(power=power, link="log", alpha=alpha, tol=1e-12, max_iter=1000).fit(X, y)
        other = ScikitTweedie(power=power, link="log", alpha=alpha, tol=1e-10, max_iter=10000).fit(X, y)
        np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-5)
        assert model.score(X, y) == pytest.approx(other.score(X, y), abs=1e-7)
    path = regularization_path(X, y, datafit=f"tweedie({power})", l1_ratio=0.0, alphas=[alpha], tol=1e-12)
    np.testing.assert_allclose(path.coefs.toarray()[:, 0], model.coef_, atol=1e-6)
    assert path.certificate.startswith("stationary, within") and "stationarity" in path.summary()
    assert path[:1].stationarities == path.stationarities
    assert np.isnan(path.dual_gaps).all() and path.stationarities[0] <= 1e-12 * path.null_deviance


@pytest.mark.parametrize("seed", range(20))
def test_rows_and_their_weights(seed):
    """Weight 2 is the row twice, weight 0 the row absent; a start far away comes to a stationary point as well."""
    X, y = data(3.0, seed)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 3, len(y)).astype(float)
    options = {"power": 3, "alpha": 1e-2, "l1_ratio": 0.5, "tol": 1e-13, "max_iter": 1000}
    model = TweedieRegressor(**options).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(len(y)), weights.astype(int))
    again = TweedieRegressor(**options).fit(X[rows], y[rows])
    np.testing.assert_allclose(model.coef_, again.coef_, atol=1e-5)
    assert model.dispersion_ == pytest.approx(again.dispersion_, rel=1e-4)
    warm = TweedieRegressor(**options, warm_start=True).fit(X, y, sample_weight=weights)
    warm.coef_ = 2 * rng.standard_normal(X.shape[1])
    warm.fit(X, y, sample_weight=weights)
    assert max(violation(3.0, X, y, warm, 1e-2, 0.5, weights)) < 1e-5


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_dispersion(power):
    """Pearson's: the squares of residuals over variances, by what is left of the rows."""
    X, y = data(3.0)
    weights = np.arange(len(y)) % 4.0
    model = TweedieRegressor(power=power, alpha=1e-2, l1_ratio=1, tol=1e-12).fit(X, y, sample_weight=weights)
    mean = model.predict(X)
    left = weights.sum() - np.count_nonzero(model.coef_) - 1
    assert model.dispersion_ == pytest.approx(np.sum(weights * (y - mean) ** 2 / mean**power) / left, rel=1e-12)
    model.set_params(power=0).fit(X, y)
    assert not hasattr(model, "dispersion_")


@pytest.mark.parametrize("power", POWERS)
def test_rows_of_the_loss(power, rng):
    """Values and slopes in long double; curvatures are no less than those expected; the least value."""
    loss = by_name(f"tweedie({power})")
    y, eta = np.abs(rng.standard_normal(40)) + 0.1, rng.standard_normal(40)
    f, g, h = loss.evaluate(y, eta)
    np.testing.assert_allclose(f, values(power, y, eta.astype(LD)).astype(float), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(g, slopes(power, y, eta.astype(LD)).astype(float), rtol=1e-12, atol=1e-13)
    expected, tail = np.exp((2 - power) * eta), y * np.exp((1 - power) * eta)
    np.testing.assert_allclose(h, np.maximum(expected, (2 - power) * expected + (power - 1) * tail), rtol=1e-12)
    np.testing.assert_allclose(loss.saturated(y), values(power, y, np.log(y)), rtol=1e-12)
    assert not loss.convex and np.isinf(loss.conjugate(y, g)).all()
    for c in (0.0, 0.5, 0.99):
        wanted = np.sum(((1 - c) * g) ** 2 / (2 * np.maximum(h, 0.01 * h.mean())))
        assert loss.remainder(y, eta, c) == pytest.approx(wanted, rel=1e-12)
    assert loss.remainder(y, eta, 1.0) == 0
    for far in (900.0, -900.0):
        assert np.all(loss.evaluate(y, np.full(40, far))[0] >= -1e-190)


def test_names_and_domains():
    assert by_name("inverse_gaussian").power == 3
    for power, bad in ((3, [1.0, 0.0]), (0, [1.0, np.inf]), (-1, [np.nan])):
        with pytest.raises(ValueError, match="y must"):
            by_name(f"tweedie({power})").check_y(np.array(bad))
    by_name("tweedie(0)").check_y(np.array([-1.0, 0, 2]))
    X, y = data(3.0)
    with pytest.raises(NotImplementedError, match="criterion needs a likelihood"):
        TweedieRegressorCV(power=3, criterion="aic").fit(X, y)
    chosen = TweedieRegressorCV(power=3, alphas=8, tol=1e-8).fit(X, y)
    assert np.isnan(chosen.dual_gap_) and chosen.stationarity_ <= 1e-8 * chosen.null_deviance_
    assert certify(X, y, chosen).ok
