"""Generalised linear models as users meet them: paths, LogisticRegression, PoissonRegressor."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
import sklearn.metrics
from glm import LOSSES, Judge
from problems import STORAGES
from scipy.special import xlogy
from sklearn.model_selection import KFold

from fastreg import (
    ElasticNet,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    PoissonRegressorCV,
    costs,
    regularization_path,
)
from fastreg.solvers import reweighted
from fastreg.solvers.newton import Newton
from fastreg.solvers.reweighted import Reweighted

LOSS = {"logistic": LogisticRegression, "poisson": PoissonRegressor}


def data(loss, seed=0, n=80, p=12):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.7)
    eta = X[:, :3] @ np.array([1.5, -1.0, 0.5]) - 0.2
    if loss == "poisson":
        return X, rng.poisson(np.exp(eta)).astype(float), rng
    return X, (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int), rng


def as_judged(loss, y):
    return 2.0 * y - 1 if loss == "logistic" else y


def fitted(loss, alpha, n, l1_ratio, **options):
    """An estimator with the penalty alpha of the averaged loss, `n` being the sum of the weights."""
    if loss == "logistic":
        return LogisticRegression(C=1 / (alpha * n), l1_ratio=l1_ratio, **options)
    return PoissonRegressor(alpha=alpha, l1_ratio=l1_ratio, **options)


# ---- paths -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
def test_a_path_and_what_it_says(loss, store):
    X, y, rng = data(loss)
    weight, offset = rng.uniform(0.5, 2, 80), 0.3 * rng.standard_normal(80)
    path = regularization_path(store(X), y, datafit=loss, alphas=8, eps=1e-2, tol=1e-9, sample_weight=weight,
                               offset=offset, l1_ratio=0.9)
    coefs, target, f = np.asarray(path.coefs), as_judged(loss, y), LOSSES[loss]
    null = Judge(loss, X, target, 1.0, weights=weight, offset=offset)
    for k, alpha in enumerate(path.alphas):
        judge = Judge(loss, X, target, alpha, 0.9, weights=weight, offset=offset)
        assert judge.gap(coefs[:, k], path.intercepts[k]) < 1.01e-9
        eta = X @ coefs[:, k] + path.intercepts[k] + offset
        deviance = 2 * float(np.average(f.value(target, eta) - f.saturated(target), weights=weight))
        assert path.deviances[k] == pytest.approx(deviance, rel=1e-12)
    assert path.null_deviance == pytest.approx(2 * float(null.null() / weight.sum()), rel=1e-12)
    np.testing.assert_allclose(path.deviance_explained, 1 - path.deviances / path.null_deviance)
    assert abs(path.deviance_explained[0]) < 1e-9 and (np.diff(path.deviance_explained) > 0).all()
    assert path.datafit == loss and path.has_offset
    # predictions on every scale, at the alphas and between them, before and after pickling
    eta = X @ coefs + path.intercepts + offset[:, None]
    np.testing.assert_allclose(path.decision_function(store(X), offset=offset), eta, rtol=1e-12, atol=1e-12)
    again = pickle.loads(pickle.dumps(path))
    np.testing.assert_allclose(again.decision_function(X, path.alphas[3], offset=0), eta[:, 3] - offset, atol=1e-12)
    between = path.coef_at(0.8 * path.alphas[4], exact=True)
    judge = Judge(loss, X, target, 0.8 * path.alphas[4], 0.9, weights=weight, offset=offset)
    assert judge.gap(between[0].toarray()[:, 0], between[1][0]) < 1.01e-9
    if loss == "poisson":
        np.testing.assert_allclose(path.predict(X, offset=offset), np.exp(eta), rtol=1e-12)
        with pytest.raises(ValueError, match="predict_proba is for likelihoods of classes"):
            path.predict_proba(X, offset=offset)
    else:
        np.testing.assert_array_equal(path.predict(X, offset=offset), (eta > 0).astype(int))
        proba = path.predict_proba(X, offset=offset)
        np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp(-eta)), rtol=1e-12)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
    with pytest.raises(ValueError, match="offset is missing"):
        path.predict(X)


def test_an_offset_of_the_squared_loss_is_subtracted():
    X, y, rng = data("poisson")
    Y, offset = np.column_stack([y, rng.standard_normal(80)]), rng.standard_normal(80)
    one = regularization_path(X, Y, alphas=6, offset=offset)
    other = regularization_path(X, Y - offset[:, None], alphas=one.alphas)
    for found, right in zip(one.coefs, other.coefs, strict=True):
        np.testing.assert_array_equal(found.toarray(), right.toarray())
    np.testing.assert_allclose(one.predict(X, offset=offset), other.predict(X) + offset[:, None, None])


@pytest.mark.parametrize("store", [np.asarray, sp.csc_array])
@pytest.mark.parametrize("gram", [False, True])
def test_deviances_of_the_squared_loss_are_mean_squares(store, gram):
    X, y, rng = data("poisson", n=400 if gram else 80)
    weight = rng.uniform(0.5, 2, len(y))
    path = regularization_path(store(X), 1e5 * y, alphas=6, sample_weight=weight)
    error = 1e5 * y[:, None] - path.predict(X)
    np.testing.assert_allclose(path.deviances, np.average(error**2, axis=0, weights=weight), rtol=1e-9)
    mean = np.average(y, weights=weight)
    assert path.null_deviance == pytest.approx(1e10 * np.average((y - mean) ** 2, weights=weight), rel=1e-12)


LABELS = {"text": np.array(["no", "yes"]), "objects": np.array(["no", "yes"], dtype=object),
          "booleans": np.array([False, True]), "small integers": np.array([-3, 7], dtype=np.int8),
          "large integers": np.array([2**62, 2**62 + 1]), "floats": np.array([1.0, 2.0])}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_any_kind(labels):
    X, y, _ = data("logistic")
    right, found = (regularization_path(X, of, datafit="logistic", alphas=5) for of in (y, labels[y]))
    np.testing.assert_array_equal(found.coefs.toarray(), right.coefs.toarray())
    np.testing.assert_array_equal(found.classes, labels)
    of_list = regularization_path(X, labels[y].tolist(), datafit="logistic", alphas=5)
    np.testing.assert_array_equal(of_list.coefs.toarray(), right.coefs.toarray())
    assert found.predict(X).dtype == labels.dtype
    np.testing.assert_array_equal(found.predict(X), labels[right.predict(X)])
    model = LogisticRegression().fit(X, labels[y])
    np.testing.assert_array_equal(model.predict(X), labels[LogisticRegression().fit(X, y).predict(X)])


@pytest.mark.parametrize(("y", "options", "message"), [
    (np.arange(80) % 3, {"datafit": "logistic"}, "y must hold two classes where datafit is 'logistic', got 3"),
    (np.zeros(80), {"datafit": "logistic"}, "y must hold two classes or more, got one"),
    (np.arange(80) % 2, {"datafit": "logistic", "sample_weight": np.arange(80) % 2}, "y must hold two classes"),
    (np.arange(80) - 1.0, {"datafit": "poisson"}, "y must not be negative"),
    (np.zeros(80), {"datafit": "poisson"}, "y must not be zero"),
    (np.ones((80, 2)), {"datafit": "poisson"}, "y must have one dimension"),
    (np.ones(80), {"datafit": "gauss"}, "'quadratic', 'logistic', 'poisson', 'gamma', .*got 'gauss'"),
    (np.ones(80), {"datafit": "poisson", "offset": np.ones(79)}, "offset must be a number or have shape"),
    (np.ones(80), {"datafit": "poisson", "offset": np.full(80, np.nan)}, "offset contains NaN"),
    (np.full(80, np.nan), {"datafit": "poisson"}, "contains NaN"),
    (np.r_[np.nan, np.arange(79) % 2], {"datafit": "logistic"}, "NaN"),
    (np.random.default_rng(0).standard_normal(80), {"datafit": "logistic"}, "Unknown label type: continuous"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_fitted_is_named(y, options, message):
    with pytest.raises(ValueError, match=message):
        regularization_path(data("poisson")[0], y, **options)


# ---- estimators ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_fits_are_certified(loss, storage, l1_ratio):
    X, y, rng = data(loss)
    weight = rng.integers(0, 3, 80).astype(float)
    stored = STORAGES[storage](X)
    model = fitted(loss, 0.02, weight.sum(), l1_ratio, tol=1e-10).fit(stored, y, sample_weight=weight)
    judge = Judge(loss, stored, as_judged(loss, y), 0.02, l1_ratio, weights=weight)
    assert judge.gap(np.ravel(model.coef_), np.ravel(model.intercept_)[0]) < (1e-5 if "32" in storage else 1.01e-10)
    assert model.dual_gap_ <= 1e-10 * model.null_deviance_ / 2 and 0 < model.deviance_ < model.null_deviance_
    if l1_ratio == 1:
        assert 0 < np.count_nonzero(model.coef_) < 12


@pytest.mark.parametrize("loss", LOSS)
def test_rows_and_weights(loss):
    """A weight of 2 is a row twice, a weight of 0 a row absent."""
    X, y, rng = data(loss)
    times = rng.integers(0, 3, 80)
    model = fitted(loss, 0.01, times.sum(), 0.3, tol=1e-12)
    one = model.fit(X, y, sample_weight=times).coef_
    np.testing.assert_allclose(model.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).coef_, one, atol=1e-8)


def theirs(loss, alpha, n):
    if loss == "logistic":
        return sklearn.linear_model.LogisticRegression(C=1 / (alpha * n), solver="newton-cholesky", tol=1e-13)
    return sklearn.linear_model.PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-13)


@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_as_scikit_learn(loss, fit_intercept):
    X, y, rng = data(loss)
    weight = rng.uniform(0.5, 2, 80)
    mine = fitted(loss, 0.05, weight.sum(), 0.0, tol=1e-14, fit_intercept=fit_intercept).fit(X, y, weight)
    right = theirs(loss, 0.05, weight.sum()).set_params(fit_intercept=fit_intercept).fit(X, y, weight)
    assert mine.coef_.shape == right.coef_.shape and np.shape(mine.intercept_) == np.shape(right.intercept_)
    np.testing.assert_allclose(mine.coef_, right.coef_, atol=1e-7)
    np.testing.assert_allclose(mine.intercept_, right.intercept_, atol=1e-7)
    np.testing.assert_allclose(mine.predict(X), right.predict(X), rtol=1e-6)
    assert mine.score(X, y, weight) == pytest.approx(right.score(X, y, weight), rel=1e-6)
    if loss == "logistic":
        np.testing.assert_allclose(mine.decision_function(X), right.decision_function(X), atol=1e-6)
        np.testing.assert_allclose(mine.predict_log_proba(X), right.predict_log_proba(X), atol=1e-6)
        np.testing.assert_array_equal(mine.classes_, right.classes_)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 1: 0.5}])
def test_weights_of_classes(class_weight):
    X, y, rng = data("logistic")
    weight = rng.uniform(0.5, 2, 80)
    options = {"class_weight": class_weight, "C": 0.3}
    mine = LogisticRegression(tol=1e-13, **options).fit(X, y, weight)
    right = sklearn.linear_model.LogisticRegression(solver="newton-cholesky", tol=1e-13, **options).fit(X, y, weight)
    np.testing.assert_allclose(mine.coef_, right.coef_, atol=1e-7)


@pytest.mark.parametrize("loss", LOSS)
def test_offsets(loss):
    """An offset is a column with the coefficient 1; a model that had one wants it again."""
    X, y, rng = data(loss)
    offset = rng.uniform(-1, 1, 80)
    model = fitted(loss, 0.02, 80, 0.5, tol=1e-11).fit(X, y, offset=offset)
    judge = Judge(loss, X, as_judged(loss, y), 0.02, 0.5, offset=offset)
    assert judge.gap(np.ravel(model.coef_), np.ravel(model.intercept_)[0]) < 1.01e-11
    for method in ("predict", "predict_proba") if loss == "logistic" else ("predict",):
        with pytest.raises(ValueError, match="offset is missing"):
            getattr(model, method)(X)
        shifted = getattr(model, method)(X, offset=0.5)
        model.intercept_ = model.intercept_ + 0.5
        np.testing.assert_allclose(shifted, getattr(model, method)(X, offset=0))
        model.intercept_ = model.intercept_ - 0.5
    assert model.score(X, y, offset=offset) > model.score(X, y, offset=-offset)
    # one for all rows is the intercept's
    moved = fitted(loss, 0.02, 80, 0.5, tol=1e-11).fit(X, y, offset=3.0)
    plain = fitted(loss, 0.02, 80, 0.5, tol=1e-11).fit(X, y)
    np.testing.assert_allclose(moved.coef_, plain.coef_, atol=1e-6)
    np.testing.assert_allclose(moved.intercept_, plain.intercept_ - 3, atol=1e-6)


@pytest.mark.parametrize("loss", LOSS)
def test_limits_factors_and_scale(loss):
    X, y, rng = data(loss)
    Z = X * 10.0 ** rng.uniform(-3, 3, 12)
    options = {"penalty_factor": np.r_[0, np.ones(10), np.inf], "lower_limits": -0.3, "standardize": True}
    model = fitted(loss, 0.02, 80, 0.7, tol=1e-10, **options).fit(Z, y)
    sd = Z.std(axis=0)
    judge = Judge(loss, Z / sd, as_judged(loss, y), 0.02, 0.7, factor=options["penalty_factor"], lower=-0.3 * sd)
    assert judge.gap(np.ravel(model.coef_) * sd, np.ravel(model.intercept_)[0]) < 1.01e-10
    assert np.ravel(model.coef_)[-1] == 0 and np.min(model.coef_) >= -0.3


@pytest.mark.parametrize("loss", LOSS)
def test_warm_start(loss):
    X, y, _ = data(loss)
    model = fitted(loss, 0.02, 80, 0.5, warm_start=True).fit(X, y)
    coef = model.coef_.copy()
    model.fit(X, y)
    np.testing.assert_array_equal(model.coef_, coef)
    assert np.ravel(model.n_iter_)[0] == 0
    if loss == "logistic":
        np.testing.assert_array_equal(model.sparsify().fit(X, y).coef_, coef)


def test_single_precision():
    for loss in LOSS:
        X, y, _ = data(loss)
        X = X.astype(np.float32)
        model, other = (fitted(loss, 0.02, 80, 0.5, tol=1e-10).fit(of, y) for of in (X, X.astype(np.float64)))
        assert model.coef_.dtype == model.intercept_.dtype == np.float32
        np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-6)


def test_sparsify():
    X, y, _ = data("logistic")
    model = LogisticRegression(C=0.1, l1_ratio=1.0).fit(X, y)
    dense, expected = model.coef_.copy(), model.predict_proba(X)
    assert sp.issparse(model.sparsify().coef_)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    np.testing.assert_array_equal(model.densify().coef_, dense)


def test_separable_classes():
    X, y, rng = data("logistic")
    Z = np.column_stack([X, 10.0 * y + rng.random(80)])
    judge = Judge("logistic", Z, 2.0 * y - 1, 1 / 80, 0.0)
    model = LogisticRegression(tol=1e-10).fit(Z, y)                     # a finite C: right
    assert judge.gap(model.coef_[0], model.intercept_[0]) < 1.01e-10
    with pytest.raises(ValueError, match="the classes are separable, so that there is no best fit"):
        LogisticRegression(C=np.inf).fit(Z, y)
    plain = LogisticRegression(C=np.inf, tol=1e-10).fit(X, y)
    judge = Judge("logistic", X, 2.0 * y - 1, 0.0)
    assert judge.gap(plain.coef_[0], plain.intercept_[0]) < 1.01e-10
    LogisticRegression(C=np.inf).fit(X, y, offset=3.0 * (2 * y - 1))       # which separates nothing


def test_hard_counts():
    """Counts of 1e9, offsets of 50, no counts but one."""
    X, _, rng = data("poisson")
    for y, offset in ((np.rint(1e9 * np.exp(0.1 * X[:, 0])), None), (rng.poisson(2.0, 80) + 0.0, 50 * np.sign(X[:, 1])),
                      (np.eye(80)[0], None)):
        path = regularization_path(X, y, datafit="poisson", alphas=8, eps=1e-2, offset=offset)
        for k, alpha in enumerate(path.alphas):
            judge = Judge("poisson", X, y, alpha, offset=offset)
            assert judge.gap(np.asarray(path.coefs)[:, k], path.intercepts[k]) < 1.01e-4


def test_columns_of_every_kind():
    """Constant and duplicate ones, timestamps beside z-scores."""
    for loss in LOSS:
        X, y, rng = data(loss)
        stamps = 1.7e18 + rng.integers(0, 10**15, 80)
        Z = np.column_stack([X, X[:, 0], np.ones(80), stamps])
        model = fitted(loss, 0.01, 80, 0.5, standardize=True).fit(Z, y)
        spread = np.where(np.ptp(Z, axis=0) > 0, np.std(Z - Z[0], axis=0), np.inf)
        scaled = (Z - Z[0]) / np.where(np.isinf(spread), 1, spread)
        judge = Judge(loss, scaled, as_judged(loss, y), 0.01, 0.5, factor=np.where(np.isinf(spread), np.inf, 1))
        coef = np.ravel(model.coef_)
        found = coef * np.where(np.isinf(spread), 0, spread)
        assert judge.gap(found, float(np.ravel(model.intercept_)[0] + Z[0] @ coef)) < 2e-4
        assert coef[13] == 0


def test_names_of_scikit_learn():
    X, y, _ = data("logistic")
    right = LogisticRegression(C=0.2).fit(X, y).coef_
    for options in ({"solver": "liblinear"}, {"solver": "saga", "max_iter": 7}, {"dual": True}, {"random_state": 3}):
        np.testing.assert_array_equal(LogisticRegression(C=0.2, **options).fit(X, y).coef_, right)
    with pytest.warns(FutureWarning, match="'penalty' was deprecated"):
        lasso = LogisticRegression("l1", C=0.2).fit(X, y)
    np.testing.assert_array_equal(lasso.coef_, LogisticRegression(C=0.2, l1_ratio=1.0).fit(X, y).coef_)
    with pytest.warns(FutureWarning, match="'penalty' was deprecated"):
        free = LogisticRegression(None).fit(X, y)
    np.testing.assert_array_equal(free.coef_, LogisticRegression(C=np.inf).fit(X, y).coef_)
    with pytest.warns(UserWarning, match="penalty=None will ignore the C"):
        same = LogisticRegression(None, C=0.2).fit(X, y)
    np.testing.assert_array_equal(same.coef_, free.coef_)
    with pytest.warns(FutureWarning, match="'n_jobs' has no effect"):
        LogisticRegression(n_jobs=2).fit(X, y)
    with pytest.raises(ValueError, match="intercept_scaling must be 1"):
        LogisticRegression(solver="liblinear", intercept_scaling=2).fit(X, y)
    for name, value in (("C", 0.0), ("C", np.nan), ("l1_ratio", 1.1), ("solver", "cg"), ("max_iter", 0), ("tol", -1.0)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            LogisticRegression(**{name: value}).fit(X, y)


def test_the_penalty_is_that_of_the_elastic_net():
    """alpha of the averaged loss: for the squared loss, whose curvature is 1, ElasticNet's."""
    X, y, _ = data("poisson")
    path = regularization_path(X, y, alphas=[0.1], l1_ratio=0.4)
    np.testing.assert_allclose(path.coefs.toarray()[:, 0], ElasticNet(0.1, l1_ratio=0.4).fit(X, y).coef_)


# ---- cross-validation ------------------------------------------------------------------------------------------------
SPLITS = KFold(4, shuffle=True, random_state=0)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("with_offset", [False, True])
def test_poisson_cv_is_what_its_folds_say(store, with_offset):
    X, y, rng = data("poisson")
    weight, offset = rng.uniform(0.5, 2, 80), rng.standard_normal(80) if with_offset else None
    model = PoissonRegressorCV(alphas=7, eps=1e-2, l1_ratio=[0.5, 1.0], cv=SPLITS, tol=1e-11, keep_paths=True)
    model.fit(store(X), y, weight, offset)
    for r, l1_ratio in enumerate([0.5, 1.0]):
        whole = regularization_path(X, y, datafit="poisson", l1_ratio=l1_ratio, alphas=7, eps=1e-2, offset=offset,
                                    sample_weight=weight)
        np.testing.assert_allclose(model.cv_path_.alphas[r], whole.alphas, rtol=1e-12)
        for f, (train, test) in enumerate(SPLITS.split(X)):
            of = {} if offset is None else {"offset": offset[train]}
            path = regularization_path(X[train], y[train], datafit="poisson", l1_ratio=l1_ratio, alphas=whole.alphas,
                                       sample_weight=weight[train], tol=1e-11, **of)
            mean = path.predict(X[test], **({} if offset is None else {"offset": offset[test]}))
            losses = 2 * (mean - y[test, None] + xlogy(y[test, None], y[test, None] / mean))
            expected = np.average(losses, axis=0, weights=weight[test])
            np.testing.assert_allclose(model.cv_path_.fold_scores[r, :, f], expected, rtol=1e-5)
            np.testing.assert_allclose(model.fold_paths_[r][f].coefs.toarray(), path.coefs.toarray(), atol=1e-5)
    r, a = np.unravel_index(np.argmin(model.cv_path_.values), (2, 7))
    assert (model.l1_ratio_, model.alpha_) == ([0.5, 1.0][r], model.cv_path_.alphas[r, a])
    judge = Judge("poisson", X, y, model.alpha_, model.l1_ratio_, weights=weight, offset=offset)
    assert judge.gap(model.coef_, model.intercept_) < 1.01e-11 and model.dual_gap_ <= 1e-11 * model.null_deviance_ / 2
    if with_offset:
        with pytest.raises(ValueError, match="offset is missing"):
            model.predict(X)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
def test_logistic_cv_as_scikit_learn(class_weight, scoring):
    X, y, rng = data("logistic")
    weight = rng.uniform(0.5, 2, 80)
    options = {"Cs": [1.0, 0.01, 0.1], "cv": SPLITS, "class_weight": class_weight, "use_legacy_attributes": False,
               "l1_ratios": (0.0,), "tol": 1e-12}
    mine = LogisticRegressionCV(scoring=None if scoring == "neg_log_loss" else scoring, **options).fit(X, y, weight)
    right = sklearn.linear_model.LogisticRegressionCV(scoring=scoring, solver="newton-cholesky", **options)
    right.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(mine.scores_, right.scores_, rtol=1e-6)
    np.testing.assert_allclose(mine.coefs_paths_, right.coefs_paths_, atol=1e-6)
    np.testing.assert_array_equal(mine.Cs_, right.Cs_)
    assert mine.n_iter_.shape == right.n_iter_.shape and mine.l1_ratio_ == 0
    # the chosen one is the best mean, ties going to the stronger penalty
    means = mine.scores_.mean(axis=0)[0]
    assert min(C for C, mean in zip(mine.Cs_, means, strict=True) if mean == means.max()) == mine.C_
    alone = LogisticRegression(C=mine.C_, class_weight=class_weight, tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(mine.coef_, alone.coef_, atol=1e-7)
    assert mine.score(X, y) == pytest.approx(sklearn.metrics.get_scorer(scoring)(alone, X, y), rel=1e-5)


def test_logistic_cv_without_refit_averages():
    X, y, _ = data("logistic")
    options = {"Cs": [0.01, 0.1, 1.0], "cv": SPLITS, "l1_ratios": (0.2, 1.0), "tol": 1e-11, "scoring": "neg_log_loss"}
    model = LogisticRegressionCV(refit=False, **options).fit(X, y)
    best = [np.unravel_index(np.argmax(of_fold), of_fold.shape) for of_fold in model.scores_]
    coefs = [model.coefs_paths_[f, r, c, 0] for f, (r, c) in enumerate(best)]
    np.testing.assert_allclose(np.append(model.coef_[0], model.intercept_), np.mean(coefs, axis=0), rtol=1e-12)
    assert pytest.approx(np.mean([model.Cs_[c] for _, c in best])) == model.C_
    assert model.l1_ratio_ == pytest.approx(np.mean([model.l1_ratios_[r] for r, _ in best]))


def test_scorers_know_offsets_and_labels():
    X, y, rng = data("logistic")
    offset, labels = 2 * rng.standard_normal(80), np.array(["no", "yes"])
    for scoring in ("roc_auc", "accuracy", "neg_log_loss"):
        model = LogisticRegressionCV(Cs=[0.1, 1.0], cv=SPLITS, scoring=scoring).fit(X, labels[y], offset=offset)
        for f, (train, test) in enumerate(SPLITS.split(X)):
            one = LogisticRegression(C=0.1).fit(X[train], labels[y[train]], offset=offset[train])
            one._shift = offset[test]
            score = sklearn.metrics.get_scorer(scoring)(one, X[test], labels[y[test]])
            assert model.scores_[f, 0, 0] == pytest.approx(score, rel=2e-3)
    with pytest.raises(ValueError, match="use_legacy_attributes must be False"):
        LogisticRegressionCV(use_legacy_attributes=True).fit(X, y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cv_does_not_depend_on_threads(n_jobs):
    X, y, _ = data("logistic", n=300, p=40)
    one, other = (LogisticRegressionCV(Cs=5, l1_ratios=1.0, n_jobs=jobs, n_threads=2).fit(X, y) for jobs in (1, n_jobs))
    np.testing.assert_array_equal(one.coefs_paths_, other.coefs_paths_)
    np.testing.assert_array_equal(one.coef_, other.coef_)


# ---- L2 penalties alone ----------------------------------------------------------------------------------------------
SHAPES = {"tall": (300, 80), "wide": (60, 150), "square": (90, 90)}


@pytest.fixture
def by_ridge(monkeypatch):
    """Newton's method by ridge regressions, however few columns there are; which were solved so."""
    monkeypatch.setattr(costs, "FEW_ROWS", 0)
    seen = []
    advance = Reweighted.advance
    monkeypatch.setattr(Reweighted, "advance", lambda self, *args, **kw: seen.append(0) or advance(self, *args, **kw))
    return seen


@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("store", [np.ascontiguousarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_ridge_penalties(loss, shape, store, weighted, fit_intercept, by_ridge):
    X, y, rng = data(loss, n=shape[0], p=shape[1])
    X = X + rng.standard_normal(shape[1]) * (rng.random(shape[1]) < 0.2)
    options = {"weights": rng.integers(0, 3, len(y)) * 1.0 if weighted else None, "fit_intercept": fit_intercept,
               "offset": rng.standard_normal(len(y)) if weighted else None}
    factor = rng.uniform(0.5, 2, shape[1])
    factor[4] = np.inf
    stored = store(X.astype(np.float32) if weighted else X)
    path = regularization_path(stored, y, datafit=loss, l1_ratio=0.0, alphas=[1.0, 0.1, 1e-3], tol=1e-9,
                               sample_weight=options["weights"], offset=options["offset"], penalty_factor=factor,
                               fit_intercept=fit_intercept)
    assert len(by_ridge) == 1 and path.n_iters.max() < 40                  # as Newton's method converges
    for k, alpha in enumerate(path.alphas):
        judge = Judge(loss, stored, as_judged(loss, y), alpha, 0.0, factor=factor, **options)
        assert judge.gap(path.coefs.toarray()[:, k], path.intercepts[k]) < 1.01e-9
        assert path.dual_gaps[k] <= 1e-9 * path.null_deviance / 2
    assert not path.coefs.toarray()[4].any() and (path.intercepts == 0).all() == (not fit_intercept)


@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("store", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_steps_by_products_alone(loss, shape, store, weighted, fit_intercept, by_ridge, monkeypatch):
    """As on sparse X of which no matrix is small."""
    monkeypatch.setattr(reweighted, "small_system", lambda *_: False)
    monkeypatch.setattr(Newton, "suits", lambda self: False)
    X, y, rng = data(loss, n=shape[0], p=shape[1])
    X = np.where(rng.random(X.shape) < 0.3, X + 0.5, 0) * rng.uniform(0.2, 5, shape[1])
    X[:, 3] = 0
    options = {"weights": rng.integers(0, 3, len(y)) * 1.0 if weighted else None, "fit_intercept": fit_intercept,
               "offset": rng.standard_normal(len(y)) if weighted else None}
    factor = rng.uniform(0.5, 2, shape[1])
    factor[4] = np.inf
    products = []
    solve = reweighted.conjugate_gradients
    monkeypatch.setattr(reweighted, "conjugate_gradients", lambda *args: products.append(solve(*args)) or products[-1])
    path = regularization_path(store(X), y, datafit=loss, l1_ratio=0.0, alphas=[1.0, 0.1, 1e-3], tol=1e-11,
                               sample_weight=options["weights"], offset=options["offset"], penalty_factor=factor,
                               fit_intercept=fit_intercept)
    # as Newton's method converges, far away by few products
    assert 3 < len(products) == path.n_iters.sum() < 24 and products[0].count[0] < 8
    for k, alpha in enumerate(path.alphas):
        judge = Judge(loss, X, as_judged(loss, y), alpha, 0.0, factor=factor, **options)
        assert judge.gap(path.coefs.toarray()[:, k], path.intercepts[k]) < 1.01e-11
    assert not path.coefs.toarray()[3:5].any()


@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
def test_ridge_penalties_as_the_engine_has_them(loss, store, monkeypatch):
    X, y, rng = data(loss, n=200, p=40)
    Z = X * 10.0 ** rng.uniform(-2, 2, 40)
    found = {}
    for few in (0, 10**6):
        monkeypatch.setattr(costs, "FEW_ROWS", few)
        found[few] = regularization_path(store(Z), y, datafit=loss, l1_ratio=0.0, alphas=[0.3, 0.01], tol=1e-11,
                                         standardize=True)
    np.testing.assert_allclose(found[0].coefs.toarray() * Z.std(axis=0)[:, None],
                               found[10**6].coefs.toarray() * Z.std(axis=0)[:, None], atol=1e-5)
    np.testing.assert_allclose(found[0].deviances, found[10**6].deviances, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ridge_penalties_started_warm(loss, shape, by_ridge):
    X, y, _ = data(loss, n=shape[0], p=shape[1])
    model = fitted(loss, 0.02, len(y), 0.0, warm_start=True, tol=1e-8).fit(X, y)
    coef = model.coef_.copy()
    np.testing.assert_array_equal(model.fit(X, y).coef_, coef)
    assert np.ravel(model.n_iter_)[0] == 0
    model.coef_ = 1e6 * model.coef_                                       # worse than none
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, atol=1e-3 * np.abs(coef).max())


def test_ridge_penalties_of_separable_classes(by_ridge):
    X, y, _ = data("logistic", n=60, p=150)
    for store in (np.asarray, sp.csr_array):
        model = LogisticRegression(C=1e4, tol=1e-8).fit(store(X), y)
        judge = Judge("logistic", X, 2.0 * y - 1, 1e-4 / 60, 0.0)
        assert judge.gap(model.coef_[0], model.intercept_[0]) < 1.01e-8 and model.score(X, y) == 1
    assert len(by_ridge) == 2
