"""Certificates: planted errors are seen, exact answers pass, and the figures are those of exact arithmetic."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import exact
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from problems import DENSE, SPARSE, STORAGES, make_data, parts
from referee import Referee as LongDouble

import fastreg
from fastreg import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    certify,
    regularization_path,
    ridge_path,
)
from fastreg.referee.data import Data
from fastreg.referee.problem import Terms

P = 25
FACTOR = np.r_[0.0, 0.0, np.inf, np.full(P - 3, 0.7)]
LASSOS = {
    "lasso": {},
    "half": {"l1_ratio": 0.5},
    "l2": {"l1_ratio": 0.0},
    "no intercept": {"fit_intercept": False},
    "positive": {"positive": True},
    "factors": {"penalty_factor": FACTOR},
    "free and limited": {"penalty_factor": np.r_[np.zeros(10), np.ones(P - 10)], "lower_limits": 0.0},
    "limits": {"lower_limits": -0.1, "upper_limits": np.r_[0.0, np.full(P - 1, 0.2)], "l1_ratio": 0.7},
    "standardize": {"standardize": True, "l1_ratio": 0.8},
    "least squares": {"alpha": 0.0},
}
RIDGES = {
    "ridge": Ridge(2.0),
    "small alpha": Ridge(1e-9),
    "least squares": Ridge(0.0),
    "no intercept": Ridge(2.0, fit_intercept=False),
    "factors": Ridge(2.0, penalty_factor=FACTOR),
    "standardize": Ridge(2.0, standardize=True),
    "positive": Ridge(2.0, positive=True),
    "limits": Ridge(2.0, lower_limits=-0.1, upper_limits=0.3),
    "svd": Ridge(2.0, solver="svd"),
    "cg": Ridge(2.0, solver="sparse_cg", tol=1e-10),
}
CHOOSING = {
    "lasso_cv": LassoCV(alphas=10, cv=3, tol=1e-8),
    "elastic_net_cv": ElasticNetCV(l1_ratio=[0.3, 0.9], alphas=10, cv=3, tol=1e-8),
    "bic": LassoCV(alphas=10, criterion="bic", tol=1e-8),
    "kept": LassoCV(alphas=10, cv=3, keep_paths=True, tol=1e-8),
    "ridge_cv": RidgeCV(),
    "ridge_folds": RidgeCV(cv=3),
    "per_target": RidgeCV(alpha_per_target=True),
}


@pytest.fixture(scope="module")
def data():
    return make_data(3)


def lasso(options, **more):
    return ElasticNet(**{"alpha": 0.05, "l1_ratio": 1.0, "tol": 1e-10} | options | more)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("storage", STORAGES)
def test_exact_answers_pass_in_every_storage(data, storage, weighted):
    X, y, weights = data
    X, weights = STORAGES[storage](X), weights if weighted else None
    before = [part.copy() for part in parts(X)]
    for model in (lasso({}), Ridge(2.0)):
        found = certify(X, y, model.fit(X, y, weights), sample_weight=weights)
        assert found.ok and found.stationarity < 1e-9
    for part, old in zip(parts(X), before):
        np.testing.assert_array_equal(part, old)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("convert", [np.asarray, np.float32, sp.csr_array, sp.csc_array], ids=lambda f: f.__name__)
@pytest.mark.parametrize("options", LASSOS)
def test_the_lasso_family_against_long_double(data, options, convert, weighted):
    X, y, weights = convert(data[0]), data[1], data[2] if weighted else None
    model = lasso(LASSOS[options]).fit(X, y, weights)
    found = certify(X, y, model, sample_weight=weights)
    referee = LongDouble(X, y, model.alpha, sample_weight=weights, **{
        k: v for k, v in model.get_params().items() if k in LASSOS["lasso"] | {
            name: 0 for some in LASSOS.values() for name in some if name != "alpha"} | {"l1_ratio": 0}})
    w, b = model.coef_, model.intercept_
    assert found.ok
    assert found.objective == pytest.approx(referee.objective(w, b), rel=1e-10)
    above = referee.objective(w, b) - referee.objective(referee.solve())
    assert found.gap >= above - found.rounding - 1e-14 * referee.p0
    assert found.gap <= 1e-9 * referee.p0 + (found.rounding if convert is np.float32 else 0)
    if np.isfinite(found.coef_bound):
        assert np.linalg.norm(w - referee.solve()) <= found.coef_bound + 1e-9 * np.linalg.norm(w)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, sp.csc_array], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", RIDGES)
def test_the_ridge_family(data, name, convert, weighted):
    X, y, weights = convert(data[0]), data[1], data[2] if weighted else None
    for Y in (y, np.c_[y, y**2]):
        model = RIDGES[name].fit(X, Y, weights)
        found = certify(X, Y, model, sample_weight=weights)
        assert np.all(found.ok) and np.shape(found.gap) == Y.shape[1:]
        assert np.all(np.asarray(found.stationarity) < 1e-6)
    s = np.ones(len(y)) if weights is None else weights
    factor = np.ones(P) if model.penalty_factor is None else np.where(np.isinf(FACTOR), 0, FACTOR)
    residual = Y - X @ model.coef_.T - model.intercept_
    if not model.standardize:
        value = s @ residual**2 + model.alpha * model.coef_**2 @ factor
        np.testing.assert_allclose(found.objective, value, rtol=1e-11)


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array], ids=lambda f: f.__name__)
def test_what_was_chosen(data, name, convert):
    X, y, weights = convert(data[0]), data[1], np.maximum(data[2], 0.1)
    for Y in (y, np.c_[y, y**2]):
        model = CHOOSING[name].fit(X, Y, weights)
        found = certify(X, Y, model, sample_weight=weights)
        assert np.all(found.ok) and np.shape(found.ok) == Y.shape[1:]
        unweighted = certify(X, Y, model)
        assert not np.any(unweighted.ok) and np.all(np.asarray(unweighted.gap) > np.asarray(found.gap))


@pytest.mark.parametrize("Model", [RidgeClassifier, RidgeClassifierCV])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0}])
def test_labels(data, Model, class_weight):
    X, _, weights = data
    weights = np.maximum(weights, 0.1)
    cases = [np.arange(40) % 2] if isinstance(class_weight, dict) else [
        np.arange(40) % 2, np.arange(40) % 3, np.array(["a", "b"])[np.arange(40) % 2]]  # fmt: skip
    cases += [] if class_weight else [np.c_[np.arange(40) % 2, np.arange(40) % 3 > 0].astype(int)]
    for labels in cases:
        model = Model(class_weight=class_weight).fit(X, labels, weights)
        assert np.all(certify(X, labels, model, sample_weight=weights).ok)
        assert not np.any(certify(X, labels, model).ok)
        if labels.ndim == 1:
            assert not np.all(certify(X, np.roll(labels, 1), model, sample_weight=weights).ok)
    with pytest.raises(ValueError, match="offset"):
        certify(X, labels, model, offset=np.zeros(40))


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_paths(data, l1_ratio):
    X, y, weights = data
    options = {"lower_limits": -0.3, "standardize": True, "penalty_factor": np.r_[np.ones(P - 1), np.inf]}
    path = regularization_path(X, y, l1_ratio=l1_ratio, alphas=8, sample_weight=weights, tol=1e-9, **options)
    found = certify(X, y, path, sample_weight=weights, alpha=path.alphas)
    assert found.ok.shape == (8,) and found.ok.all() and (found.gap >= 0).all()
    last = certify(X, y, path, sample_weight=weights)
    assert last.ok is True and last.objective == pytest.approx(found.objective[-1], rel=1e-12)
    between = certify(X, y, path, sample_weight=weights, alpha=[np.sqrt(path.alphas[3] * path.alphas[4])])
    assert between.gap.shape == (1,) and not between.ok[0]  # an interpolated solution is not quite one
    Y = np.c_[y, y**2]
    several = regularization_path(X, Y, l1_ratio=l1_ratio, alphas=4, sample_weight=weights, tol=1e-9, **options)
    found = certify(X, Y, several, sample_weight=weights, alpha=several.alphas)
    assert found.ok.shape == (4, 2) and found.ok.all()
    assert not certify(X, Y[:, ::-1], several, sample_weight=weights).ok.any()
    kept = LassoCV(alphas=6, cv=3, keep_paths=True, tol=1e-9).fit(X, y)
    assert certify(X, y, kept, alpha=kept.path_.alphas).ok.all() and certify(X, y, kept).ok
    train = np.arange(len(y)) % 3 < 2
    of_fold = LassoCV(alphas=6, cv=[(np.flatnonzero(train), np.flatnonzero(~train))], keep_paths=True).fit(X, y)
    assert certify(X[train], y[train], of_fold.fold_paths_[0][0], alpha=of_fold.alphas_).ok.all()


def test_ridge_paths(data):
    X, y, weights = data
    weights = np.maximum(weights, 0.1)
    for Y in (y, np.c_[y, y**2]):
        path = ridge_path(X, Y, [0.1, 1, 10], sample_weight=weights, penalty_factor=np.linspace(0.5, 2, P),
                          standardize=True)  # fmt: skip
        found = certify(X, Y, path, sample_weight=weights, alpha=path.alphas)
        assert found.ok.shape == (3, *Y.shape[1:]) and found.ok.all()
        assert not np.any(certify(X[:, ::-1], Y, path, sample_weight=weights).ok)
    between = certify(X, Y, path, sample_weight=weights, alpha=[0.5])
    assert between.ok.shape == (1, 2) and not between.ok.any()  # an interpolated solution is none


@pytest.mark.parametrize("model", [lasso({}), lasso({"l1_ratio": 0.5}), lasso({"penalty_factor": FACTOR}), Ridge(2.0),
                                   Ridge(1e-9), Ridge(2.0, positive=True), RidgeCV()], ids=str)  # fmt: skip
@pytest.mark.parametrize("convert", [np.asarray, sp.csc_array], ids=lambda f: f.__name__)
def test_planted_errors_are_seen(data, model, convert):
    X, y, weights = convert(data[0]), data[1], np.maximum(data[2], 0.1)
    model.fit(X, y, weights)
    coef, intercept = model.coef_.copy(), model.intercept_
    right = certify(X, y, model, sample_weight=weights)
    free = np.flatnonzero((coef != 0) & (np.abs(coef) > 1e-3 * np.abs(coef).max()))
    for j in (free[0], free[-1]):
        model.coef_ = coef.copy()
        model.coef_[j] *= 1 + 1e-3
        wrong = certify(X, y, model, sample_weight=weights)
        assert not wrong.ok and wrong.stationarity > 100 * right.stationarity
        # the bound holds for what is known to be off
        assert wrong.gap >= wrong.objective - right.objective - 1e-14 * right.objective > 0
        if np.isfinite(wrong.coef_bound):
            assert wrong.coef_bound >= abs(1e-3 * coef[j])
    model.coef_, model.intercept_ = coef, intercept + 1e-3 * y.std()
    wrong = certify(X, y, model, sample_weight=weights)
    assert not wrong.ok and wrong.stationarity > 1e-4
    model.intercept_ = intercept
    assert not certify(X, y, model).ok
    assert not certify(X[:, ::-1], y, model, sample_weight=weights).ok
    assert not certify(X, y[::-1], model, sample_weight=weights).ok
    model.coef_ = np.full(P, np.nan)
    assert not certify(X, y, model, sample_weight=weights).ok
    model.coef_ = coef


def test_a_broken_limit_is_infinitely_wrong(data):
    X, y, _ = data
    for options, value in (({"positive": True}, -1e-6), ({"upper_limits": 0.1}, 0.1 + 1e-6),
                           ({"penalty_factor": FACTOR}, 1e-6), ({"penalty_factor": FACTOR}, -1e-6)):  # fmt: skip
        model = lasso(options).fit(X, y)
        model.coef_[2] = value
        found = certify(X, y, model)
        assert not found.ok and found.gap == np.inf and found.objective == np.inf


@pytest.mark.parametrize("l2", [0.0, 0.7])
@pytest.mark.parametrize("l1", [0.0, 0.5])
def test_the_conjugate_against_a_grid(l1, l2):
    """Penalty plus its conjugate less the product, where the supremum over the limits is looked for point by point."""
    lower, upper = -1.5, 0.75
    points = np.linspace(lower, upper, 9001)
    terms = Terms(*(np.array([v]) for v in (l1, l2, lower, upper)))

    def penalty(x):
        return l1 * np.abs(x) + 0.5 * l2 * x**2

    for w in (lower, -0.4, 0.0, 0.25, upper):
        for u in (-3.0, -0.6, -0.2, 0.0, 0.3, 0.9, 4.0):
            right = penalty(w) + np.max(points * u - penalty(points)) - w * u
            assert terms.young(np.array([w]), np.array([u]))[0] == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, sp.csc_array], ids=lambda f: f.__name__)
def test_constant_columns_and_targets(data, convert):
    X, y, weights = data
    X = np.c_[X, np.full(len(y), 0.1), np.full(len(y), 1e9 / 3)]
    level, X = X[0, -1], convert(X)
    np.testing.assert_array_equal(Data(X, weights, True).norms[-2:], 0)
    for model in (Lasso(1e-3), Ridge(1e-3), Ridge(0.0), Lasso(0.0)):
        for target in (y, np.full(len(y), 0.1), np.full(len(y), 1e9 / 3), 0 * y):
            found = certify(X, target, model.fit(X, target, weights), sample_weight=weights)
            assert found.ok and found.stationarity < 1e-6
    model = Ridge(1.0).fit(X, y)
    model.coef_[-1] = 1e-3  # it pays the penalty and explains nothing: the intercept takes it back
    model.intercept_ -= 1e-3 * level
    found = certify(X, y, model)
    assert not found.ok and found.gap == pytest.approx(1e-6, rel=1e-3)


def test_against_fractions():
    X, y = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1], [4, 5], [5, 2]]), np.array([0.0, 1, 2, 4, 4, 6])
    w, b, alpha = [0.75, 0.5], 0.25, 0.5
    r = [Fraction(v) - sum(Fraction(a) * Fraction(c) for a, c in zip(row, w)) - Fraction(b)
         for v, row in zip(y.tolist(), X.tolist())]  # fmt: skip
    model = Ridge(alpha).fit(X, y)
    model.coef_, model.intercept_ = np.array(w), b
    found = certify(X, y, model)
    value = sum(v * v for v in r) + Fraction(alpha) * sum(Fraction(c) ** 2 for c in w)
    assert found.objective == pytest.approx(float(value), rel=1e-15)
    mean = sum(r) / 6
    gradients = [sum(Fraction(row[j]) * (v - mean) for row, v in zip(X.tolist(), r)) - Fraction(alpha) * Fraction(w[j])
                 for j in range(2)]  # fmt: skip
    gap = sum(g * g for g in gradients) / Fraction(alpha) + 6 * mean**2
    spread = X - X.mean(axis=0)
    # the larger of what duality bounds at once and what is left after least squares
    least = certify(X, y, Ridge(alpha).fit(X, y)).objective
    assert float(gap) * (1 + 1e-12) >= found.gap >= found.objective - least > 0
    size = np.sqrt(np.sum((y - y.mean()) ** 2))
    norms = np.sqrt(np.sum(spread**2, axis=0))
    slopes = [abs(float(g)) / (n * size) for g, n in zip(gradients, norms)]
    assert found.stationarity == pytest.approx(max(*slopes, np.sqrt(6) * abs(float(mean)) / size), rel=1e-12)


def test_what_the_solvers_got_wrong():
    """The inputs of reports: what comes out is right, or the certificate says that it is not."""
    X, y = np.array([[0.0, 1e9], [1, 0], [2, 2e9], [3, 1e9], [4, 3e9]]), np.arange(5.0)
    right, _ = exact.ridge(X, y, 1.0)
    for model in (Ridge(1.0), RidgeCV([1.0])):
        found = certify(X, y, model.fit(X, y))
        assert found.ok == np.allclose(model.coef_, right.astype(float), rtol=1e-6)
        assert found.coef_bound >= exact.distance(model.coef_, right)[0]
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, 3))
    y = Z @ [1, -0.3, 0.3] + 0.1 * rng.standard_normal(60)
    tiny = ElasticNet(1e-21).fit(1e-20 * Z, y)  # within tol, and no digit of the coefficients is right
    least_squares = np.linalg.solve(Z.T @ Z, Z.T @ y) * 1e20
    found = certify(1e-20 * Z, y, tiny)
    assert found.stationarity > 0.1 and found.coef_bound > np.linalg.norm(tiny.coef_)
    assert np.linalg.norm(least_squares) > 1e19


@pytest.mark.parametrize("level", [0.0, 1e3, 1e8])
def test_levels_and_scales(level):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 6)) * 10.0 ** np.arange(-3, 3) + level
    y = 1e6 + X[:, 0] * 1e3 + rng.standard_normal(50)
    for model in (Lasso(1e-3), ElasticNet(1e-3), Ridge(0.1), RidgeCV()):
        found = certify(X, y, model.fit(X, y))
        assert found.ok and found.gap <= 1e-8 * np.var(y) * len(y)
    for size in (1e160, 1e-200):
        found = certify(X, y * size, Lasso(1e-3 * size).fit(X, y * size))
        assert found.ok and found.stationarity < 1e-9 + 1e-13 * level


def test_scikit_learn_s_own_models(data):
    X, y, _ = data
    library = sklearn.linear_model
    for model in (library.LinearRegression(), library.Ridge(solver="svd"), library.Lasso(0.05, tol=1e-12),
                  library.LassoCV(alphas=5), library.RidgeClassifier()):  # fmt: skip
        target = y > np.median(y) if isinstance(model, library.RidgeClassifier) else y
        assert certify(X, target, model.fit(X, target)).ok
    loose = library.Lasso(1e-3, tol=1e-12, max_iter=2)
    with pytest.warns(UserWarning):
        assert not certify(X, y, loose.fit(X, y)).ok


def test_offset(data):
    X, y, weights = data
    offset = np.sin(np.arange(len(y)))
    for model in (lasso({}), Ridge(2.0)):
        model.fit(X, y - offset, weights)
        assert certify(X, y, model, sample_weight=weights, offset=offset).ok
        assert not certify(X, y, model, sample_weight=weights).ok
        both = certify(X, y - offset, model, sample_weight=weights)
        assert both.objective == certify(X, y, model, sample_weight=weights, offset=offset).objective


def test_what_cannot_be_certified(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="relaxed"):
        certify(X, y, LassoCV(alphas=5, relax=[0.0]).fit(X, y))
    scores = LassoCV(alphas=5).fit(X, y)
    for wrong in (scores.cv_path_, sklearn.linear_model.Perceptron().fit(X, y > 0), 3,
                  sklearn.linear_model.MultiTaskLasso().fit(X, np.c_[y, y])):  # fmt: skip
        with pytest.raises(TypeError, match="model must be"):
            certify(X, y, wrong)
    with pytest.raises(ValueError, match="alpha is for paths"):
        certify(X, y, scores, alpha=0.1)
    with pytest.raises(ValueError, match="refit=True"):
        certify(X, y, LassoCV(alphas=5, refit=False).fit(X, y))
    with pytest.raises(ValueError, match="features"):
        certify(X[:, :3], y, scores)
    with pytest.raises(ValueError, match=r"2 targets, the model"):
        certify(X, np.c_[y, y], scores)
    with pytest.raises(ValueError, match="sample_weight"):
        certify(X, y, scores, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="offset"):
        certify(X, y, scores, offset=np.ones(3))


def test_it_can_be_read(data):
    X, y, _ = data
    model = Ridge(2.0).fit(X, y)
    found = certify(X, y, model)
    assert str(found).startswith("ok: objective") and "coefficients within" in str(found)
    assert repr(found).startswith("Certificate(objective=") and "ok=True" in repr(found)
    model.coef_ = 2 * model.coef_
    assert str(certify(X, y, model)).startswith("NOT OK")
    many = certify(X, np.c_[y, -y], Ridge(2.0).fit(X, np.c_[y, y]))
    assert str(many).startswith("NOT OK (1 of 2), the worst")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("storage", [*DENSE, *list(SPARSE)[:4], "csr_unsorted", "csc_duplicates"])
def test_reading_in_blocks(data, storage, weighted, monkeypatch):
    X, y, weights = data
    stored, s = STORAGES[storage](X + 10), weights if weighted else np.ones(len(y))
    monkeypatch.setattr("fastreg.referee.data.BLOCK", 100)  # a few rows or columns at a time
    found = Data(stored, s if weighted else None, True)
    mean = s @ (X + 10) / s.sum()
    Z = X + 10 - mean
    W, R = np.random.default_rng(0).standard_normal((P, 3)), Z[:, :2]
    np.testing.assert_allclose(found.means, mean, rtol=1e-14)
    np.testing.assert_allclose(found.norms, np.sqrt(s @ Z**2), rtol=1e-12)
    np.testing.assert_allclose(found.forth(W), Z @ W, atol=1e-12 * np.abs(Z @ W).max())
    np.testing.assert_allclose(found.back(R), Z.T @ (s[:, None] * R), atol=1e-11 * (s @ Z**2).max())


@pytest.mark.parametrize(("fit_intercept", "passes"), [(True, 5), (False, 3)])
def test_how_often_x_is_read(data, fit_intercept, passes, monkeypatch):
    X, y, _ = data
    read = []
    blocks = Data._blocks
    monkeypatch.setattr(Data, "_blocks", lambda self: read.append(1) or blocks(self))
    certify(X, y, Lasso(0.1, tol=1e-8, fit_intercept=fit_intercept).fit(X, y))
    assert len(read) == passes
    path = regularization_path(X, y, alphas=40, tol=1e-8, fit_intercept=fit_intercept)
    certify(X, y, path, alpha=path.alphas)
    assert len(read) == passes + passes + 4


MEMORY = """
import tracemalloc, sys
import numpy as np, scipy.sparse as sp
from fastreg import Lasso, Ridge, certify
rng = np.random.default_rng(0)
if "{kind}" == "sparse":
    at = rng.integers(0, 5_000, 2_000_000), rng.integers(0, 10_000, 2_000_000)
    X = sp.coo_array((rng.standard_normal(2_000_000, dtype=np.{dtype}), at), shape=(5_000, 10_000)).to{order}()
    size = X.data.nbytes + X.indices.nbytes
else:
    X = np.empty((100_000, 50), dtype=np.{dtype}, order="{order}")
    X[...] = rng.standard_normal((1, 50)) + rng.standard_normal((100_000, 1))
    X[np.arange(100_000), np.arange(100_000) % 50] += 1
    size = X.nbytes
y = np.asarray(X[:, [1, 2, 3]].sum(axis=1)).ravel().astype(float) + rng.standard_normal(X.shape[0])
models = [Lasso(0.01).fit(X, y), Ridge(1.0).fit(X, y)]
models[1].coef_[0] *= 1.1                  # so that its bound is worked on
tracemalloc.start()
for model in models:
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    certify(X, y, model)
    print(size, tracemalloc.get_traced_memory()[1] - before, 8 * sum(X.shape))
"""


@pytest.mark.parametrize(("kind", "order", "dtype"), [
    ("dense", "C", "float64"), ("dense", "F", "float32"), ("sparse", "csr", "float64"), ("sparse", "csc", "float32")])
def test_memory(kind, order, dtype):
    code = MEMORY.replace("{kind}", kind).replace("{order}", order).replace("{dtype}", dtype)
    root = Path(fastreg.__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=300)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        size, extra, vectors = map(int, line.split())
        # some forty vectors, and a few blocks: less than X
        assert extra <= min(size, 40 * vectors + 6 * 8 * 2**18), f"X {size / 1e6:.0f} MB, {extra / 1e6:.0f} MB more"
