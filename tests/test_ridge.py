"""Ridge against the normal equations, solved densely in NumPy."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from problems import STORAGES, correlated, make_data
from referee import dense
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeClassifier as TheirClassifier

import fastreg.solvers.ridge.cholesky as ridge_cholesky
import fastreg.solvers.ridge.choose as ridge
import fastreg.solvers.ridge.krylov as ridge_krylov
import fastreg.solvers.ridge.problem as ridge_problem
from fastreg import Ridge, RidgeClassifier, RidgeCV, costs, ridge_regression
from fastreg.penalties.elastic_net import Penalty

SHAPES = {"tall": (60, 12), "wide": (20, 70), "square": (30, 30)}
SOLVERS = ["auto", "cholesky", "svd", "sparse_cg"]


def centred(X, y, weight, fit_intercept):
    """Centred, weighted X and y in float64; weighted means."""
    X, y = dense(X).astype(np.longdouble), np.asarray(y, dtype=np.longdouble)
    weight = np.ones(len(y)) if weight is None else weight
    means = np.average(X, axis=0, weights=weight) * fit_intercept
    mean = np.average(y, axis=0, weights=weight) * fit_intercept
    root = np.sqrt(weight)
    return (root[:, None] * (X - means)).astype(float), (root * (y - mean).T).T.astype(float), means, mean


def reference(X, y, alpha, weight=None, fit_intercept=True, factor=1.0):
    """Coefficients and intercept by least squares on the rows [X; sqrt(alpha F)]: no matrix is squared."""
    A, t, means, mean = centred(X, y, weight, fit_intercept)
    p = A.shape[1]
    free = np.isfinite(np.broadcast_to(factor, (p,)))
    A[:, ~free] = 0
    rows = np.diag(np.sqrt(alpha * np.where(free, factor, 0.0)))
    w = np.linalg.lstsq(np.vstack([A, rows]), np.concatenate([t, np.zeros((p, *t.shape[1:]))]), rcond=1e-14)[0]
    return w.T, mean - (means @ w).T


def check(model, X, y, alpha, weight=None, rtol=1e-8, **options):
    """Coefficients and intercept are the reference's."""
    w, b = reference(X, y, alpha, weight, **options)
    scale = np.linalg.norm(w) or 1.0
    rtol = max(rtol, 2 * np.finfo(model.coef_.dtype).eps)
    assert np.linalg.norm(model.coef_ - w) <= rtol * scale
    assert np.linalg.norm(model.intercept_ - b) <= rtol * (np.linalg.norm(b) + np.linalg.norm(y, axis=0).max())


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_storage(shape, storage, weighted, solver):
    n, p = SHAPES[shape]
    X, y, weight = make_data(3, n, p)
    weight = weight if weighted else None
    kept = X.copy()
    stored = STORAGES[storage](X)
    for fit_intercept in (True, False):
        model = Ridge(0.7, fit_intercept=fit_intercept, solver=solver, tol=1e-13).fit(stored, y, weight)
        check(model, X, y, 0.7, weight, fit_intercept=fit_intercept)
        assert model.normal_residual(stored, y, weight) < 1e-11
    np.testing.assert_array_equal(dense(stored), kept)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", SHAPES)
def test_targets_with_alphas_of_their_own(shape, make, solver):
    X, _, weight = make_data(5, *SHAPES[shape])
    Y = np.random.default_rng(0).standard_normal((len(X), 11)) + 2
    alphas = np.geomspace(1e-2, 1e2, 11)
    model = Ridge(alphas, solver=solver, tol=1e-13).fit(make(X), Y, weight)
    assert model.coef_.shape == (11, X.shape[1]) and model.intercept_.shape == (11,)
    for t, alpha in enumerate(alphas):
        w, b = reference(X, Y[:, t], alpha, weight)
        np.testing.assert_allclose(model.coef_[t], w, rtol=0, atol=1e-8 * np.linalg.norm(w))
        assert abs(model.intercept_[t] - b) < 1e-7
    assert np.all(model.normal_residual(make(X), Y, weight) < 1e-11)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", SHAPES)
def test_penalty_factors(shape, make, solver):
    """Some excluded, some free, some as they are."""
    X, y, weight = make_data(6, *SHAPES[shape])
    factor = np.random.default_rng(1).uniform(0.1, 3, X.shape[1])
    factor[3] = np.inf
    for zero in (False, True):
        factor[4:6] = 0 if zero else 1
        model = Ridge(1.3, solver=solver, tol=1e-11, penalty_factor=factor).fit(make(X), y, weight)
        check(model, X, y, 1.3, weight, factor=factor, rtol=1e-6)
        assert model.coef_[3] == 0
        assert model.normal_residual(make(X), y, weight) < 1e-10


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", SHAPES)
def test_standardize_is_scaling(shape, make):
    X, y, weight = make_data(7, *SHAPES[shape], density=0.8)
    A = centred(X, y, weight, True)[0]
    sd = np.linalg.norm(A, axis=0) / np.sqrt(weight.sum())
    model = Ridge(2.0, standardize=True, tol=1e-13).fit(make(X), y, weight)
    check(model, X, y, 2.0, weight, factor=np.where(sd > 0, sd**2, np.inf))


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("alpha", [1e-12, 1e-6, 1e6, 1e12])
def test_extreme_alphas(alpha, shape, make):
    X, y, _ = make_data(8, *SHAPES[shape], density=1.0)
    model = Ridge(alpha, tol=1e-14).fit(make(X), y)
    assert model.normal_residual(make(X), y) < 1e-10
    w, _ = reference(X, y, alpha)
    assert np.linalg.norm(model.coef_ - w) <= 1e-5 * np.linalg.norm(w)


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("exact", [0, costs.EXACT])
@pytest.mark.parametrize("shape", SHAPES)
def test_without_penalty_the_norm_is_least(shape, exact, make, monkeypatch):
    """alpha = 0 with duplicated, constant and combined columns: the minimum-norm solution."""
    monkeypatch.setattr(costs, "EXACT", exact)
    X, y, _ = make_data(9, *SHAPES[shape], density=1.0)
    X[:, 1] = X[:, 0]
    X[:, 2] = X[:, 3] + X[:, 4]
    X[:, 5] = 7.0
    A, t, _, _ = centred(X, y, None, True)
    w = np.linalg.pinv(A, rcond=1e-10) @ t
    model = Ridge(0.0).fit(make(X), y)
    assert np.linalg.norm(model.coef_ - w) <= 1e-6 * np.linalg.norm(w)
    assert abs(model.coef_[5]) <= 1e-14 * np.linalg.norm(w)


@pytest.mark.parametrize("order", ["C", "F"])
def test_high_means_cost_no_digits(order):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6))
    y = X @ rng.standard_normal(6) + rng.standard_normal(200)
    level = 2.0**27                                   # exact beside the values rounded to its last place
    X = np.round(X * 2**20) / 2**20
    low, high = (Ridge(0.5).fit(np.asarray(Z, order=order), y).coef_ for Z in (X, X + level))
    np.testing.assert_allclose(high, low, rtol=1e-7)


def test_single_precision_values_give_the_same():
    X, y, weight = make_data(2, 50, 20)
    for make in (np.asarray, sp.csr_array, sp.csc_array):
        a, b = (Ridge(0.3, tol=1e-13).fit(make(X.astype(t)), y, weight).coef_ for t in (np.float32, np.float64))
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b.astype(np.float32), rtol=2 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("solver", SOLVERS)
def test_weight_two_is_a_row_twice_and_zero_none(solver):
    X, y, _ = make_data(4, 40, 15)
    weight = np.random.default_rng(0).integers(0, 4, 40).astype(float)
    a = Ridge(0.4, solver=solver, tol=1e-13).fit(X, y, weight)
    b = Ridge(0.4, solver=solver, tol=1e-13).fit(np.repeat(X, weight.astype(int), 0), np.repeat(y, weight.astype(int)))
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=1e-9)
    double = Ridge(0.8, solver=solver, tol=1e-13).fit(X, y, 2 * weight)
    np.testing.assert_allclose(a.coef_, double.coef_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", ["auto", "sparse_cg"])
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", [(3000, 300), (300, 3000)])
def test_threads_give_the_same_bits(shape, make, solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.5)
    y = rng.standard_normal(shape[0])
    a, b = (Ridge(1.0, solver=solver, n_threads=k, tol=1e-8).fit(make(X), y).coef_ for k in (1, 2))
    np.testing.assert_array_equal(a, b)


def test_conjugate_gradients_where_they_pay(monkeypatch):
    """Well-conditioned dense X with many columns; the answer is as good as a factor's."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 400))
    y = X[:, 0] + rng.standard_normal(4000)
    monkeypatch.setattr(ridge, "FLOPS", ridge.FLOPS / 20)        # as if there were twenty times the columns
    model = Ridge(1.0).fit(X, y)
    assert model.solver_ == "sparse_cg" and model.normal_residual(X, y) < 1e-8
    X, y = correlated(4000, 400, 0.99)                           # ill-conditioned: scouting gives up
    model = Ridge(1e-3).fit(X, y)
    assert model.solver_ == "cholesky" and model.normal_residual(X, y) < 1e-8


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", [(400, 90), (90, 400)])
def test_sparse_systems_agree(shape, make, monkeypatch):
    """Gram matrix or kernel, and conjugate gradients on the p x p and on the n x n system."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.1) + (rng.random(shape) < 0.05)
    y, weight = rng.standard_normal(shape[0]), rng.uniform(0.1, 2, shape[0])
    direct = Ridge(0.5, solver="cholesky").fit(make(X), y, weight)
    assert direct.solver_ == "cholesky"
    monkeypatch.setattr(ridge, "MOST_DENSE", 10)
    iterative = Ridge(0.5, tol=1e-13).fit(make(X), y, weight)
    assert iterative.solver_ == "sparse_cg"
    for model in (direct, iterative):
        check(model, X, y, 0.5, weight)
    with pytest.raises(ValueError, match="cholesky"):
        Ridge(0.5, solver="cholesky").fit(make(X), y)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_with_one_entry_are_merged(weighted, fit_intercept, monkeypatch):
    rng = np.random.default_rng(0)
    X = np.zeros((12, 300))
    X[rng.integers(0, 12, 200), np.arange(200)] = rng.standard_normal(200)       # one entry each, the next 40 none
    X[:, 240:] = rng.standard_normal((12, 60)) * (rng.random((12, 60)) < 0.5)
    y, weight = rng.standard_normal(12) + 3, rng.uniform(0.1, 2, 12) if weighted else None
    monkeypatch.setattr(ridge, "MOST_DENSE", 1)
    for stored in (sp.csr_array(X), sp.csr_array(X.astype(np.float32))):
        assert ridge_krylov._Merged.of(stored).across.shape[0] < 100
        model = Ridge(0.3, tol=1e-13, fit_intercept=fit_intercept).fit(stored, y, weight)
        assert model.solver_ == "sparse_cg"
        check(model, dense(stored), y, 0.3, weight, fit_intercept=fit_intercept)
        Y = np.stack([y, -y, y**2], axis=1)
        many = Ridge([0.3, 1.0, 5.0], tol=1e-13, fit_intercept=fit_intercept).fit(stored, Y, weight)
        np.testing.assert_allclose(many.coef_[0], model.coef_, rtol=2 * np.finfo(stored.dtype).eps, atol=1e-10)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("shape", SHAPES)
def test_limits(shape, make):
    """The projected gradient vanishes."""
    X, y, weight = make_data(11, *SHAPES[shape])
    A, t, _, _ = centred(X, y, weight, True)
    for options, lower, upper in (({"positive": True}, 0, np.inf),
                                  ({"lower_limits": -0.05, "upper_limits": 0.1}, -0.05, 0.1)):
        w = Ridge(0.6, tol=1e-12, **options).fit(make(X), y, weight).coef_
        gradient = A.T @ (A @ w - t) + 0.6 * w
        gradient = np.where(w <= lower, np.minimum(gradient, 0), gradient)
        gradient = np.where(w >= upper, np.maximum(gradient, 0), gradient)
        assert np.all((w >= lower) & (w <= upper)) and np.linalg.norm(gradient) < 1e-4 * np.linalg.norm(A.T @ t)


def test_stops_and_says_so():
    rng = np.random.default_rng(0)
    X = sp.random(500, 300, 0.1, random_state=0, format="csr")
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = Ridge(1e-6, solver="sparse_cg", max_iter=2, tol=1e-12).fit(X, rng.standard_normal(500))
    assert model.n_iter_.tolist() == [2]


def test_the_residual_sees_a_wrong_answer():
    X, y, weight = make_data(1)
    model = Ridge(1.0).fit(X, y, weight)
    assert model.normal_residual(X, y, weight) < 1e-12
    model.coef_ = model.coef_ * (1 + 1e-6)
    assert model.normal_residual(X, y, weight) > 1e-9


@pytest.mark.parametrize("classes", [2, 4])
def test_classifier_is_scikit_learns(classes):
    X, score, weight = make_data(12, 80, 10)
    y = np.array(["a", "b", "c", "d"])[np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))]
    for options in ({}, {"class_weight": "balanced"}, {"fit_intercept": False}):
        ours, theirs = (c(alpha=0.5, **options).fit(X, y, weight) for c in (RidgeClassifier, TheirClassifier))
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        assert ours.decision_function(X).shape == theirs.decision_function(X).shape
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)


def test_classifier_with_several_labels():
    X, _, _ = make_data(13, 60, 8)
    Y = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(int)
    ours, theirs = (c(alpha=0.5).fit(X, Y) for c in (RidgeClassifier, TheirClassifier))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_function():
    X, y, weight = make_data(14)
    model = Ridge(0.4).fit(X, y, weight)
    coef, n_iter, intercept = ridge_regression(X, y, 0.4, sample_weight=weight, return_n_iter=True,
                                               return_intercept=True)
    np.testing.assert_array_equal(coef, model.coef_)
    assert intercept == model.intercept_ and n_iter.tolist() == [1]
    assert ridge_regression(X, y[:, None], 0.4).shape == (1, X.shape[1])
    np.testing.assert_allclose(ridge_regression(X, y, 0.4), reference(X, y, 0.4, fit_intercept=False)[0], rtol=1e-8)


@pytest.mark.parametrize("options, error", [
    ({"alpha": -1.0}, ValueError), ({"alpha": [1.0, 2.0]}, ValueError), ({"alpha": "a"}, TypeError),
    ({"alpha": np.nan}, ValueError), ({"solver": "newton"}, ValueError), ({"solver": "lbfgs"}, ValueError),
    ({"tol": -1.0}, ValueError), ({"max_iter": 0}, ValueError), ({"max_iter": 1.5}, TypeError),
    ({"penalty_factor": -1.0}, ValueError), ({"lower_limits": 1.0}, ValueError), ({"fit_intercept": 1}, TypeError),
    ({"standardize": "no"}, TypeError), ({"n_threads": 0}, ValueError), ({"copy_X": None}, TypeError)])
def test_bad_parameters(options, error):
    X, y, _ = make_data()
    with pytest.raises(error, match=next(iter(options))):
        Ridge(**options).fit(X, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_values_that_are_not_finite(solver, shape, make, bad):
    X, y, _ = make_data(0, *SHAPES[shape])
    X[3, 2] = bad
    with pytest.raises(ValueError, match="X contains"):
        Ridge(solver=solver).fit(make(X), y)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("zero", [False, True])
def test_many_alphas_on_singular_data(zero, make, monkeypatch):
    """A decomposition for more than eight alphas is no worse than a factor for each: free features, duplicates."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 10))
    Y = rng.standard_normal((40, 12))
    for exact in (0, costs.EXACT):
        monkeypatch.setattr(costs, "EXACT", exact)
        if zero:
            factor = np.r_[0.0, np.ones(9)]
            found = Ridge(np.arange(1.0, 13), penalty_factor=factor).fit(make(X), Y)
            for t in range(12):
                w, _ = reference(X, Y[:, t], t + 1.0, factor=factor)
                np.testing.assert_allclose(found.coef_[t], w, rtol=1e-8, atol=1e-10)
            continue
        for Z in (np.hstack([X, X[:, :3]]), np.hstack([X, X[:, :3]]).T[:, :13].copy()):
            targets = Y[:len(Z)]
            alphas = np.r_[0, 1e-3 * np.arange(1, 12)]
            found = Ridge(alphas).fit(make(Z), targets)
            assert np.max(found.normal_residual(make(Z), targets)) < 1e-9
            A, t, _, _ = centred(Z, targets, None, True)
            least = np.linalg.pinv(A, rcond=1e-10) @ t[:, 0]
            assert np.linalg.norm(found.coef_[0] - least) < 1e-5 * np.linalg.norm(least)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_free_and_excluded_features_by_conjugate_gradients(fit_intercept):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((7, 40)), rng.standard_normal(7)
        factor = rng.choice([0.5, 1, 2, np.inf, 0], 40)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = Ridge(1.0, penalty_factor=factor, solver="sparse_cg", fit_intercept=fit_intercept).fit(X, y)
        assert np.all(model.coef_[np.isinf(factor)] == 0) and np.max(np.abs(model.coef_)) < 1e3
        assert model.normal_residual(X, y) < 1e-3


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shape", [(300, 20), (40, 90)])
@pytest.mark.parametrize("level", [1e4, 1e6, 1e8])
def test_full_sparse_columns_of_high_level(level, shape, make):
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.3)
    high = np.round(rng.standard_normal((shape[0], 2)) * 2**20) / 2**20
    y = 2 * high[:, 0] + rng.standard_normal(shape[0])
    low = Ridge(1.0, solver="cholesky").fit(np.hstack([X, high]), y)
    weight = np.ones(shape[0])
    weight[0] = 2.0
    for of in (None, weight):
        low = Ridge(1.0, solver="cholesky").fit(np.hstack([X, high]), y, of)
        found = Ridge(1.0, solver="cholesky").fit(make(np.hstack([X, high + level])), y, of)
        np.testing.assert_allclose(found.coef_, low.coef_, rtol=1e-5, atol=1e-7)
    ours, plain = (RidgeCV(np.logspace(-2, 2, 5), cv=cv).fit(make(np.hstack([X, high + level])), y) for cv in (None, 3))
    np.testing.assert_allclose(ours.best_score_, RidgeCV(np.logspace(-2, 2, 5)).fit(
        np.hstack([X, high]), y).best_score_, rtol=1e-5)
    np.testing.assert_allclose(plain.best_score_, RidgeCV(np.logspace(-2, 2, 5), cv=3).fit(
        np.hstack([X, high]), y).best_score_, rtol=1e-5)


def test_conjugate_gradients_without_penalty_find_the_least_norm(monkeypatch):
    monkeypatch.setattr(ridge, "MOST_DENSE", 10)
    monkeypatch.setattr(costs, "EXACT", 0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 80)) * (rng.random((60, 80)) < 0.3) * np.geomspace(1, 10, 80)
    y = rng.standard_normal(60)
    A, t, _, _ = centred(X, y, None, True)
    for make in (sp.csr_array, sp.csc_array):
        model = Ridge(0.0, tol=1e-12).fit(make(X), y)
        assert model.solver_ == "sparse_cg"
        np.testing.assert_allclose(model.coef_, np.linalg.pinv(A, rcond=1e-10) @ t, rtol=1e-4, atol=1e-6)


def words(n, p, length, seed=0):
    """CSR like a text's: few frequent columns, many with a single entry, rows of norm 1."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(n), length)
    columns = np.minimum((p ** rng.random(n * length)).astype(int), p - 1)
    X = sp.csr_array((1 + rng.random(n * length), (rows, columns)), shape=(n, p))
    return sp.csr_array(X / sp.linalg.norm(X, axis=1)[:, None]), rng.standard_normal(n)


def test_wide_data_take_fewer_products_than_their_diagonal_would():
    X, y = words(1500, 4000, 30)
    tol, alpha = 1e-6, 1e-3
    A, t, _, _ = centred(X, y, None, True)
    inverse = 1 / (np.sum(A**2, axis=0) + alpha)
    w, residual, count = np.zeros(A.shape[1]), A.T @ t, 0
    end, direction = tol * np.linalg.norm(residual), inverse * residual
    while np.linalg.norm(residual) > end:
        product = A.T @ (A @ direction) + alpha * direction
        rho, step = residual @ (inverse * residual), residual @ direction / (direction @ product)
        w, residual = w + step * direction, residual - step * product
        direction = inverse * residual + (residual @ (inverse * residual)) / rho * direction
        count += 1
    model = Ridge(alpha, solver="sparse_cg", tol=tol).fit(X, y)
    assert model.normal_residual(X, y) <= tol and model.n_iter_ < 0.8 * count


def test_the_units_of_columns_do_not_matter_to_products():
    X, y = words(200, 700, 20)
    unit = 2.0 ** np.random.default_rng(1).integers(-8, 9, 700)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, other = (Ridge(1e-2, penalty_factor=u**2, solver="sparse_cg", tol=0, max_iter=15).fit(X * u, y).coef_ * u
                      for u in (np.ones(700), unit))
    np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_system_of_rows_stops_when_its_coefficients_are_good(weighted, tol):
    """Neither early nor late, though it never sees their residual."""
    X, y = words(100, 2500, 40)
    weight = np.random.default_rng(1).uniform(0.5, 2, 100) if weighted else None
    model = Ridge(1e-4, solver="sparse_cg", tol=tol).fit(X, y, weight)
    A, t, _, _ = centred(X, y, weight, True)
    exact = A.T @ np.linalg.solve(A @ A.T + 1e-4 * np.eye(len(A)), t)
    assert tol / 100 < model.coef_bound_ / np.linalg.norm(exact) <= tol
    assert np.linalg.norm(model.coef_ - exact) <= model.coef_bound_ + 1e-12


@pytest.mark.parametrize("tol", [1e-8, 1e-10])
@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array])
def test_rows_far_apart_in_size(make, tol):
    """Rounding is noticed though the recursion is blind to it; what the system of rows cannot solve, that of columns
    can."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((15, 250)) * (rng.random((15, 250)) < 0.1) * 10.0 ** rng.integers(-3, 4, (15, 1))
        Y = rng.standard_normal((15, 2))
        model = Ridge(1e-4, solver="sparse_cg", tol=tol).fit(make(X), Y)
        assert np.max(model.normal_residual(make(X), Y)) <= 100 * tol      # unnoticed, 1e4 times tol


def test_max_iter_bounds_the_products_of_both_systems():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((15, 250)) * (rng.random((15, 250)) < 0.1) * 10.0 ** rng.integers(-3, 4, (15, 1))
        y = rng.standard_normal(15)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            needed = Ridge(1e-4, solver="sparse_cg", tol=1e-10).fit(sp.csr_array(X), y).n_iter_
            allowed = int(0.7 * np.max(needed))
            model = Ridge(1e-4, solver="sparse_cg", tol=1e-10, max_iter=allowed).fit(sp.csr_array(X), y)
        assert np.max(model.n_iter_) <= allowed


def test_tolerance_zero_ends_where_rounding_does():
    X = sp.random(800, 600, 0.02, random_state=0, format="csr")
    model = Ridge(0.1, solver="sparse_cg", tol=0).fit(X, np.random.default_rng(0).standard_normal(800))
    assert np.max(model.n_iter_) < 1000


def test_constant_features_leave_no_residual():
    X, y = np.full((7, 1), 3.0), np.random.default_rng(0).standard_normal(7)
    weight = np.array([0.1, 0.2, 0.3, 0.4, 0, 0, 0])
    assert Ridge().fit(X, y, weight).normal_residual(X, y, weight) == 0


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_enormous_penalty(shape, solver):
    X, y, _ = make_data(3, *SHAPES[shape], density=1.0)
    assert Ridge(1e300, solver=solver, tol=1e-12).fit(X, y).normal_residual(X, y) < 1e-10


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
def test_wide_data_never_make_a_matrix_of_columns(make, weighted, fit_intercept):
    n, p = 12, 3000
    X, y, weight = make_data(5, n, p, density=1.0)
    Y = np.column_stack([y, np.abs(y)])
    weight = weight if weighted else None
    free = np.ones(p)
    free[[7, 70, 700]] = 0
    cases = [({"alpha": 1e-9}, 1.0), ({"alpha": 1e-3, "solver": "svd"}, 1.0), ({"alpha": [0.0, 1.0]}, 1.0),
             ({"alpha": np.array([1e-5, 10.0]), "solver": "svd", "penalty_factor": 1 + free}, 1 + free),
             *(({"alpha": 1.0, "solver": solver, "penalty_factor": free}, free) for solver in SOLVERS[:3])]
    A = make(X)
    Ridge(solver="svd").fit(A[:, :5], Y)                # what is loaded only once does not count
    for options, factor in cases:
        tracemalloc.start()
        model = Ridge(fit_intercept=fit_intercept, **options).fit(A, Y, weight)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 60 * n * p, (options, peak)
        for t, alpha in enumerate(np.broadcast_to(options["alpha"], 2)):
            B, y, _, _ = centred(X, Y[:, t], weight, fit_intercept)
            w, F = model.coef_[t], np.broadcast_to(factor, (p,))
            assert np.linalg.norm(B.T @ (y - B @ w) - alpha * F * w) < 1e-9 * np.linalg.norm(B.T @ y), options
            if alpha > 0 and np.all(F > 0):             # the n x n system, as the p x p one would take seconds
                exact = B.T @ np.linalg.solve((B / F) @ B.T + alpha * np.eye(n), y) / F
                np.testing.assert_allclose(w, exact, rtol=1e-6, atol=1e-8 * np.abs(exact).max())


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_sparse_columns(weighted, fit_intercept):
    """Enough for products whose vector and sums are interleaved; a full column of high level among them."""
    n, p = 6000, 40000
    rng = np.random.default_rng(0)
    at = rng.integers(0, n, 72_000), rng.integers(0, p, 72_000)
    X = sp.coo_matrix((rng.standard_normal(72_000), at), shape=(n, p)).tocsr()
    y, weight = rng.standard_normal(n), rng.uniform(0, 2, n) if weighted else None
    s = np.ones(n) if weight is None else weight
    for level in (None, 1e5):
        A = X if level is None else sp.hstack([X, level + rng.standard_normal((n, 1))], format="csr")
        found = [Ridge(0.5, tol=1e-11, fit_intercept=fit_intercept, n_threads=k).fit(A, y, weight) for k in (1, 2)]
        assert found[0].solver_ == "sparse_cg"
        np.testing.assert_array_equal(found[0].coef_, found[1].coef_)
        mean = (s @ A) / s.sum() * fit_intercept
        r = y - A @ found[0].coef_ - found[0].intercept_
        target = y - np.average(y, weights=s) * fit_intercept
        right = A.T @ (s * target) - mean * (s @ target)
        left = A.T @ (s * r) - mean * (s @ r) - 0.5 * found[0].coef_
        assert np.linalg.norm(left) < (1e-9 if level is None else 1e-6) * np.linalg.norm(right)


@pytest.mark.parametrize("storage", ["C", "F", "strided", "memmap_C", "memmap_F"])
@pytest.mark.parametrize("level", [0.0, 1e3])
def test_many_targets_of_wide_data(storage, level):
    X, _, _ = make_data(7, 30, 400, density=1.0)
    X += level
    Y = np.random.default_rng(7).standard_normal((30, ridge_cholesky.MANY + 3))
    model = Ridge(2.0).fit(STORAGES[storage](X), Y)
    coef, intercept = reference(X, Y, 2.0)
    np.testing.assert_allclose(model.coef_, coef, atol=1e-9 * np.abs(coef).max())
    np.testing.assert_allclose(model.intercept_, intercept, atol=1e-8 * (1 + np.abs(intercept).max()))


def _choices():
    rng = np.random.default_rng(0)
    tall, wide, x = rng.standard_normal((30, 6)), rng.standard_normal((6, 30)), np.array([0.0, 1, 2, 3, 5])
    twins = np.hstack([wide, wide[:, :1]])
    words = sp.csr_array((rng.random(12000), (rng.integers(0, 3000, 12000), rng.integers(0, 4000, 12000))),
                         shape=(3000, 4000))
    free = np.where(np.arange(31) % 30 == 0, 0.0, 1.0)
    return {
        "a factor of X'X": (tall, 1.0, {}, "auto", "cholesky"),
        "a factor of the kernel": (wide, 1.0, {}, "auto", "cholesky_kernel"),
        "nothing but X itself": (tall, 0.0, {}, "auto", "svd"),
        "rotations": (1e9 * np.c_[x, 3 * x], 1.0, {}, "auto", "svd"),
        "it was asked for": (tall, 1.0, {}, "sparse_cg", "sparse_cg"),
        "products with sparse X": (words, 1.0, {}, "auto", "sparse_cg"),
        "free columns": (twins, 1.0, {"factor": free}, "auto", "sparse_cg"),
        "limits": (tall, 1.0, {"lower": 0.0}, "auto", "active_set"),
    }


@pytest.mark.parametrize("why", _choices())
def test_the_choice_says_why(why):
    X, alpha, penalty, solver, taken = _choices()[why]
    Y = X @ np.random.default_rng(1).standard_normal((X.shape[1], 1))
    problem = ridge_problem.RidgeProblem.of(X, Y, np.array([alpha]), Penalty(**penalty), None, True, 1)
    found, method = ridge.solve(problem, solver)
    assert why in method.why
    assert found.solver == taken and found.converged
