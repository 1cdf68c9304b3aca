"""Gamma and Tweedie regression: fits, paths, cross-validation; judged in long double, and beside scikit-learn."""
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from glm import Judge
from sklearn.linear_model import GammaRegressor as ScikitGamma
from sklearn.linear_model import TweedieRegressor as ScikitTweedie
from sklearn.metrics import d2_tweedie_score

from fastreg import (
    GammaRegressor,
    GammaRegressorCV,
    GeneralizedLinearRegressor,
    GeneralizedLinearRegressorCV,
    PoissonRegressor,
    TweedieRegressor,
    TweedieRegressorCV,
    certify,
    regularization_path,
)

POWERS = {"gamma": 2.0, "tweedie(1.5)": 1.5}


def data(loss, seed=0, n=90, p=8):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.7)
    mean = np.exp(X[:, :3] @ np.array([0.8, -0.5, 0.3]) - 0.2)
    y = rng.gamma(2, 0.5 * mean)
    return X, y * (rng.random(n) < 0.6) if loss != "gamma" else y, rng.integers(0, 3, n) * 1.0


def single(loss, **options):
    return GammaRegressor(**options) if loss == "gamma" else TweedieRegressor(power=1.5, **options)


@pytest.mark.parametrize("loss", POWERS)
@pytest.mark.parametrize("store", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_fits(loss, store, l1_ratio, fit_intercept):
    X, y, weight = data(loss)
    offset = np.random.default_rng(1).standard_normal(len(y)) * 0.5
    options = {"penalty_factor": np.where(np.arange(8) == 2, 0.3, 1.0), "upper_limits": np.full(8, 0.4)}
    model = single(loss, alpha=0.02, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-10, **options)
    model.fit(store(X), y, sample_weight=weight, offset=offset)
    judge = Judge(loss, X, y, 0.02, l1_ratio, weights=weight, offset=offset, fit_intercept=fit_intercept,
                  factor=options["penalty_factor"], upper=options["upper_limits"])
    assert judge.gap(model.coef_, model.intercept_) < 1.01e-10
    assert certify(store(X), y, model, sample_weight=weight, offset=offset).ok
    worse = pickle.loads(pickle.dumps(model))
    worse.coef_ = worse.coef_ * 0.99
    assert not certify(store(X), y, worse, sample_weight=weight, offset=offset).ok
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    again = single(loss, alpha=0.02, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-10, **options)
    again.fit(store(X[rows]), y[rows], offset=offset[rows])
    np.testing.assert_allclose(again.coef_, model.coef_, atol=2e-5)


@pytest.mark.parametrize("loss", POWERS)
def test_they_are_scikit_learns(loss):
    X, y, weight = data(loss)
    power = POWERS[loss]
    other = (ScikitGamma if loss == "gamma" else ScikitTweedie)(
        alpha=0.1, solver="newton-cholesky", tol=1e-12, **({} if loss == "gamma" else {"power": power}))
    model, other = (m.fit(X, y, sample_weight=weight) for m in (single(loss, alpha=0.1, tol=1e-14), other))
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-6)
    assert model.score(X, y) == pytest.approx(other.score(X, y))
    assert model.score(X, y, weight) == pytest.approx(
        d2_tweedie_score(y, model.predict(X), sample_weight=weight, power=power))
    assert certify(X, y, other, sample_weight=weight).ok


def test_powers_that_other_classes_have():
    X, y, _ = data("gamma")
    for power, other in ((1, PoissonRegressor), (2, GammaRegressor)):
        model, other = (m.fit(X, y) for m in (TweedieRegressor(power=power, tol=1e-12), other(tol=1e-12)))
        np.testing.assert_array_equal(model.coef_, other.coef_)
    model = TweedieRegressor(alpha=0.3, tol=1e-14).fit(X, y - 1)
    np.testing.assert_allclose(model.coef_, ScikitTweedie(alpha=0.3, tol=1e-12).fit(X, y - 1).coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_)
    assert certify(X, y - 1, model).ok


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"power": -1}, NotImplementedError, "Use link='log'"),
    ({"power": 1.5, "link": "identity"}, NotImplementedError, "Use link='log'"),
    ({"power": 0.5}, ValueError, "power must be 0 or less, or 1 or more"),
    ({"power": 1.5, "link": "logit"}, ValueError, "link must be"),
    ({"power": "two"}, (TypeError, ValueError), "power must be")])
def test_what_is_refused(options, error, message):
    X, y, _ = data("gamma")
    assert not TweedieRegressor(**options).__sklearn_tags__().target_tags.positive_only
    with pytest.raises(error, match=message):
        TweedieRegressor(**options).fit(X, y)
    with pytest.raises(error, match=message):
        TweedieRegressorCV(**options).fit(X, y)


def test_y_at_the_edge_of_its_domain():
    X, y, _ = data("tweedie(1.5)")
    for model in (GammaRegressor(), GammaRegressorCV()):
        with pytest.raises(ValueError, match="y must be positive"):
            model.fit(X, y)
    with pytest.raises(ValueError, match="y must not be zero in every row"):
        TweedieRegressor(power=1.5).fit(X, np.zeros(len(y)))
    amounts = data("gamma")[1]
    for loss, size in (("gamma", 1e-300), ("tweedie(1.99)", 1e-300), ("inverse_gaussian", 1e-140)):
        with pytest.raises(ValueError, match=r"y must not be below .* in every row"):
            GeneralizedLinearRegressor(loss).fit(X, size * amounts)
    for loss in ("poisson", "tweedie(1.5)", "tweedie(0.0)"):
        for l1_ratio in (0.0, 1.0):
            with pytest.raises(ValueError, match=r"y.* is too large for the loss"):
                GeneralizedLinearRegressor(loss, l1_ratio=l1_ratio, fit_intercept=False).fit(X, 1e300 * amounts)
    plain, tiny = (GammaRegressor(alpha=0.1, tol=1e-12).fit(X, size * amounts) for size in (1, 1e-200))
    np.testing.assert_allclose(tiny.coef_, plain.coef_, atol=1e-8)
    assert tiny.intercept_ == pytest.approx(plain.intercept_ - 200 * np.log(10), rel=1e-12)
    far = np.where(np.arange(len(y)) % 2, 1e-9, 1e9)
    for loss in POWERS:
        model = single(loss, alpha=0.1, tol=1e-9, max_iter=1000).fit(X, far)
        assert Judge(loss, X, far, 0.1, 0.0).gap(model.coef_, model.intercept_) < 1.01e-9


@pytest.mark.parametrize("loss", POWERS)
def test_paths(loss):
    X, y, _ = data(loss)
    path = regularization_path(X, y, datafit=loss, alphas=8, tol=1e-10)
    assert path.datafit == loss and (np.diff(path.deviance_explained) > -1e-12).all()
    for k, alpha in enumerate(path.alphas):
        assert Judge(loss, X, y, alpha).gap(path.coefs[:, [k]].toarray()[:, 0], path.intercepts[k]) < 1.01e-10
    assert certify(X, y, path, alpha=path.alphas).ok.all()
    np.testing.assert_allclose(path.predict(X, path.alphas[3]), np.exp(path.decision_function(X, path.alphas[3])))
    again = pickle.loads(pickle.dumps(path))
    np.testing.assert_array_equal(again.predict(X, path.alphas[3]), path.predict(X, path.alphas[3]))


@pytest.mark.parametrize("loss", POWERS)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_cross_validation(loss, n_threads):
    X, y, weight = data(loss, n=120)
    weight = weight + 0.5
    chooser = GammaRegressorCV if loss == "gamma" else TweedieRegressorCV
    folds = [(np.flatnonzero(np.arange(120) % 3 != k), np.arange(k, 120, 3)) for k in range(3)]
    alphas = [0.3, 0.03, 0.003]
    model = chooser(l1_ratio=[0.0, 1.0], alphas=alphas, cv=folds, tol=1e-10, n_threads=n_threads)
    model.fit(X, y, sample_weight=weight)
    losses = []
    for ratio in (0.0, 1.0):
        for alpha in alphas:
            fits = [(single(loss, alpha=alpha, l1_ratio=ratio, tol=1e-12).fit(X[a], y[a], sample_weight=weight[a]), b)
                    for a, b in folds]
            losses.append([-d2_tweedie_score(y[b], fit.predict(X[b]), sample_weight=weight[b], power=POWERS[loss])
                           for fit, b in fits])
    scores = model.cv_path_.fold_scores.reshape(6, 3)          # deviances: D2 but for what the fold alone decides
    nulls = [single(loss).fit(X[b], y[b], sample_weight=weight[b]).null_deviance_ for _, b in folds]
    np.testing.assert_allclose(scores, (1 + np.array(losses)) * nulls, rtol=1e-5)
    best = np.argmin(scores.mean(axis=1))
    assert (model.l1_ratio_, model.alpha_) == (float(best // 3), alphas[best % 3])
    assert certify(X, y, model, sample_weight=weight).ok
    with pytest.raises(NotImplementedError, match="choose by folds"):
        chooser(criterion="bic").fit(X, y)


def test_any_loss_by_its_name():
    X, y, weight = data("gamma")
    for name, other in (("gamma", GammaRegressor()), ("tweedie(1.5)", TweedieRegressor(power=1.5)),
                        ("poisson", PoissonRegressor()), ("quadratic", TweedieRegressor())):
        model = GeneralizedLinearRegressor(name).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(model.coef_, other.fit(X, y, sample_weight=weight).coef_)
        np.testing.assert_array_equal(model.predict(X), other.predict(X))
        assert certify(X, y, model, sample_weight=weight).ok
        np.testing.assert_array_equal(GeneralizedLinearRegressor(other._loss).fit(X, y, sample_weight=weight).coef_,
                                      model.coef_)
    for name in ("logistic", "multinomial", "squared_hinge"):
        with pytest.raises(ValueError, match="datafit must be a loss of numbers"):
            GeneralizedLinearRegressor(name).fit(X, y)


def test_hubers_loss_in_estimators():
    X, y, _ = data("gamma", n=150)
    y = np.log(y) + 1e3 * (np.arange(150) % 20 == 0)
    model = GeneralizedLinearRegressor("huber(1.5)", alpha=0.05, l1_ratio=0.5, tol=1e-12).fit(X, y)
    assert Judge("huber(1.5)", X, y, 0.05, 0.5).gap(model.coef_, model.intercept_) < 1e-10
    np.testing.assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_)
    chosen = GeneralizedLinearRegressorCV("huber(1.5)", alphas=[0.3, 0.03, 0.003], cv=3).fit(X, y)
    assert certify(X, y, chosen).ok and chosen.alpha_ < 0.3
    assert np.abs(chosen.predict(X) - y)[np.arange(150) % 20 != 0].mean() < 1.5
