"""Ridge and its certificate against rational arithmetic."""

import functools
import itertools
import warnings
from fractions import Fraction

import exact
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeClassifier as TheirClassifier

import fastreg.solvers.ridge.cholesky as ridge_cholesky
import fastreg.solvers.ridge.limits as limits
import fastreg.solvers.ridge.orthogonal as ridge_orthogonal
import fastreg.solvers.ridge.triangle as triangle
from fastreg import Ridge, RidgeClassifier, costs, ridge_regression
from fastreg.solvers.ridge.choose import solve_ridge

STORED = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}


@functools.cache
def problem(seed):
    """A small problem: rows or columns of several scales, levels, weights, factors."""
    rng = np.random.default_rng(seed)
    n, p = [(8, 5), (5, 9), (6, 6), (3, 26)][seed % 4]
    X = np.round(rng.standard_normal((n, p)) * 64) / 64 * (rng.random((n, p)) < rng.choice([0.3, 0.6, 1.0]))
    X *= 2.0 ** rng.integers(-8, 9, p) if rng.random() < 0.3 else 1.0
    X *= 2.0 ** rng.integers(-5, 6, (n, 1)) if rng.random() < 0.3 else 1.0
    X += rng.choice([0, 0, 8, 1024])
    y = np.round(rng.standard_normal(n) * 64) / 64 + rng.choice([0, 100])
    weight = rng.integers(1, 9, n) / 4 if rng.random() < 0.4 else None
    factor = 2.0 ** rng.integers(-5, 6, p) if rng.random() < 0.4 else np.ones(p)
    return X, y, 10.0 ** rng.integers(-9, 4), weight, factor, bool(rng.random() < 0.5)


@functools.cache
def solved(seed):
    return exact.ridge(*problem(seed))


@pytest.mark.parametrize("solver", ["auto", "cholesky", "svd", "sparse_cg", "lsqr"])
@pytest.mark.parametrize("storage", STORED)
def test_coefficients_lie_within_their_bound(storage, solver):
    known = 0
    for seed in range(40):
        X, y, alpha, weight, factor, fit_intercept = problem(seed)
        coef, intercept = solved(seed)
        tol = 10.0 ** -(4 + seed % 7)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = Ridge(alpha, solver=solver, tol=tol, penalty_factor=factor, fit_intercept=fit_intercept)
            model.fit(STORED[storage](X), y, weight)
        error, size = exact.distance(model.coef_, coef)
        assert error <= model.coef_bound_ + 4e-16 * size, seed
        assert error <= 1e-6 * size + (tol * size if model.solver_ == "sparse_cg" else 0) or said, seed
        known += model.coef_bound_ <= 1e-6 * size
        if not said:
            assert abs(model.intercept_ - float(intercept)) <= 1e-5 * (abs(float(intercept)) + np.abs(y).max()), seed
    assert known >= 15                       # a bound that says nothing would pass all this


@pytest.mark.parametrize("storage", ["C", "csr", "csc"])
@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_bounds_hold_at_a_high_level(tol, storage):
    """Products are rounded before they are centred: the recursion's residuals must not be believed for longer."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = 2**14 + np.round(rng.standard_normal((6, 14)) * 64) / 64
        y, weight = np.round(rng.standard_normal(6) * 64) / 64, rng.integers(1, 5, 6) / 2
        coef, _ = exact.ridge(X, y, 1e-6, weight)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = Ridge(1e-6, solver="sparse_cg", tol=tol).fit(STORED[storage](X), y, weight)
        error, size = exact.distance(model.coef_, coef)
        assert error <= model.coef_bound_ + 1e-15 * size


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array, sp.csr_array.toarray])
@pytest.mark.parametrize("alpha", [1e-6, 1e-8, 1e-12])
def test_conjugate_gradients_stay_in_the_row_space(alpha, make):
    """More columns than rows and a penalty that rounding all but hides: what leaves the rows' span is divided by it."""
    X = sp.random(50, 100, 0.1, random_state=0, format="csr")
    X.data = np.round(X.data * 1024) / 1024
    y = np.random.default_rng(0).standard_normal(50)
    A = X.toarray().astype(np.longdouble)
    w = A.T @ (np.longdouble(1) * _solve(A @ A.T + np.longdouble(alpha) * np.eye(50), y))
    for solver in ("sparse_cg", "lsqr", "sag", "saga"):
        model = Ridge(alpha, solver=solver, tol=1e-10, fit_intercept=False).fit(make(sp.csr_array(X)), y)
        assert np.linalg.norm(model.coef_ - w) <= 1e-8 * np.linalg.norm(w)
        outside = model.coef_ - np.linalg.pinv(X.toarray()) @ (X @ model.coef_)
        assert np.linalg.norm(outside) <= 1e-8 * np.linalg.norm(w)


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("alpha", [1e-13, 1e-16, 1e-20])
@pytest.mark.parametrize("shape", [(50, 100), (80, 60)])
def test_a_penalty_that_rounding_hides_is_the_limit_of_small_ones(shape, alpha, make):
    """Dependent columns, wide and tall: least norm in the metric of the penalty."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal(shape) * (rng.random(shape) < 0.2)
        X[:, 1], X[:, 2] = X[:, 0], X[:, 3] - 2 * X[:, 4]
        y, root = rng.standard_normal(shape[0]), np.sqrt(2.0 ** rng.integers(-1, 2, shape[1]))
        w = np.linalg.pinv(X / root, rcond=1e-10) @ y / root
        model = Ridge(alpha, solver="sparse_cg", tol=1e-10, fit_intercept=False, penalty_factor=root**2)
        assert np.linalg.norm(model.fit(make(X), y).coef_ - w) <= 1e-11 * np.linalg.norm(w)


def _solve(A, b):
    """Gaussian elimination in long double."""
    M = np.column_stack([A, b]).astype(np.longdouble)
    for k in range(len(M)):
        M[k + 1:] -= np.outer(M[k + 1:, k] / M[k, k], M[k])
    x = np.zeros(len(M), dtype=np.longdouble)
    for k in reversed(range(len(M))):
        x[k] = (M[k, -1] - M[k, k + 1:-1] @ x[k + 1:]) / M[k, k]
    return x


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_tol_is_of_the_coefficients(tol, make):
    """X'y is large against the coefficients: a residual relative to it would say nothing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20)) @ np.diag(np.geomspace(1, 1e-3, 20)) * (rng.random((60, 20)) < 0.5)
    y = rng.standard_normal(60)
    w, _ = exact.ridge(np.round(X * 2**30) / 2**30, y, 1e-4)
    X = np.round(X * 2**30) / 2**30
    model = Ridge(1e-4, solver="sparse_cg", tol=tol).fit(make(X), y)
    error, size = exact.distance(model.coef_, w)
    assert error <= model.coef_bound_ <= tol * size


def test_a_bound_needs_a_penalty_or_full_rank():
    X = np.array([[1.0, 1], [2, 2], [3, 3], [4, 4]])
    y = np.array([1.0, 3, 2, 4])
    assert Ridge(0).fit(X, y).coef_bound_ == np.inf
    assert Ridge(0, solver="sparse_cg").fit(sp.csr_array(X), y).coef_bound_ == np.inf
    assert Ridge(1e-3).fit(X, y).coef_bound_ < 1e-10
    X[3, 1] = 5
    assert Ridge(0).fit(X, y).coef_bound_ < 1e-10
    assert Ridge(1.0, penalty_factor=[0, 1]).fit(X, y).coef_bound_ < 1e-10          # one is free, but G is not singular
    Y = np.column_stack([y, y[::-1]])
    assert Ridge(1.0).fit(X, Y).coef_bound_.shape == (2,)
    assert isinstance(Ridge(1.0).fit(X, y).coef_bound_, float)


@pytest.mark.parametrize("options", [{}, {"solver": "svd"}, {"solver": "sparse_cg", "tol": 1e-12}, {"positive": True},
                                     {"solver": "cholesky", "fit_intercept": False}])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, np.transpose])
def test_units_of_targets_and_weights_do_not_matter(make, options):
    X = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1], [4, 5], [5, 2]])
    X = X.T if make is np.transpose else X
    y = np.array([0.0, 1, 2, 4, 4, 6])
    stored = np.ascontiguousarray(X) if make is np.asarray else make(X)
    y = y[:stored.shape[0]]
    plain = Ridge(0.5, **options).fit(stored, y)
    units, weights = 2.0 ** np.array([0, 531, -664, 1000, -1000]), 2.0 ** np.array([0, 1000, -990])
    for unit, weight in itertools.product(units, weights):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = Ridge(0.5 * weight, **options).fit(stored, y * unit, np.full(len(y), weight))
        np.testing.assert_array_equal(model.coef_, plain.coef_ * unit)
        np.testing.assert_allclose(model.intercept_, plain.intercept_ * unit)
        np.testing.assert_allclose(model.coef_bound_, plain.coef_bound_ * unit, rtol=1e-6)
        residual = model.normal_residual(stored, y * unit, np.full(len(y), weight))
        np.testing.assert_allclose(residual, plain.normal_residual(stored, y), atol=1e-15)
    both = Ridge(0.5, **options).fit(stored, np.column_stack([y * 2.0**1000, y * 2.0**-1000]))
    np.testing.assert_allclose(both.coef_[0] * 2.0**-1000, plain.coef_, rtol=1e-10)
    np.testing.assert_allclose(both.coef_[1] * 2.0**1000, plain.coef_, rtol=1e-10)


def test_limits_are_in_the_units_of_the_target():
    X = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1], [4, 5], [5, 2]])
    y = np.array([0.0, 1, 2, 4, 4, 6])
    plain = Ridge(0.5, upper_limits=0.5).fit(X, y)
    unit = 2.0**600
    model = Ridge(0.5, upper_limits=0.5 * unit).fit(X, np.column_stack([y * unit, y]))
    np.testing.assert_allclose(model.coef_[0], plain.coef_ * unit, rtol=1e-12)
    assert ridge_regression(X, y * unit, 0.5)[0] > 0 and np.isfinite(model.coef_).all()


def best_on_every_support(X, y, alpha):
    """The exact non-negative minimiser without an intercept: the best of the non-negative ones on each support."""
    best = None
    for support in itertools.chain.from_iterable(itertools.combinations(range(X.shape[1]), k)
                                                 for k in range(X.shape[1] + 1)):
        w = np.array([Fraction(0)] * X.shape[1], dtype=object)
        if support:
            w[list(support)] = exact.ridge(X[:, support], y, alpha, fit_intercept=False)[0]
        value = objective(X, y, alpha, w)
        if min(w, default=0) >= 0 and (best is None or value < best[0]):
            best = value, w
    return best


def objective(X, y, alpha, w):
    left = exact.rationals(y) - exact.rationals(X) @ w
    return left @ left + Fraction(float(alpha)) * (w @ w)


@pytest.mark.parametrize("level", [0, 2**10, 2**20])
def test_limits_at_a_high_level_without_an_intercept(level):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = level + np.round(rng.standard_normal((12, 5)) * 64) / 64
        y = level + np.round((X - level) @ np.array([1.0, -1, 0.5, 2, 0]) * 64) / 64
        value, w = best_on_every_support(X, y, 1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = Ridge(1.0, positive=True, fit_intercept=False).fit(X, y)
        found = objective(X, y, 1.0, exact.rationals(model.coef_))
        assert np.min(model.coef_) >= 0 and float((found - value) / value) < 1e-6
        error, size = exact.distance(model.coef_, w)
        assert error <= model.coef_bound_ + 1e-15 * size


def test_the_bound_of_limits_sees_a_wrong_answer(monkeypatch):
    X, y, _, _, _, _ = problem(0)
    right = Ridge(1.0, positive=True).fit(X, y)
    solve = limits.solve_path

    def spoiled(*args, **options):
        found = solve(*args, **options)
        found.data *= 1 + 1e-6
        return found

    monkeypatch.setattr(limits, "solve_path", spoiled)
    mended = Ridge(1.0, positive=True, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(mended.coef_, right.coef_, rtol=1e-9)
    monkeypatch.setattr(costs, "EXACT", 0)
    with pytest.warns(ConvergenceWarning, match=r"Rounding ended .* cannot help"):
        model = Ridge(1.0, positive=True, tol=1e-9).fit(X, y)
    assert model.coef_bound_ >= np.linalg.norm(model.coef_ - right.coef_) > 0


def test_warnings_say_what_ended_the_fit(monkeypatch):
    X = sp.random(300, 200, 0.1, random_state=0, format="csr")
    y = np.random.default_rng(0).standard_normal(300)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=3 ended .* Increase max_iter"):
        Ridge(1e-6, solver="sparse_cg", max_iter=3, tol=1e-9).fit(X, y)
    with warnings.catch_warnings():          # rounding ended it where rounding must
        warnings.simplefilter("error")
        model = Ridge(1e-10, solver="sparse_cg", tol=1e-12).fit(X, y)
    assert model.n_iter_ < 2100 and model.coef_bound_ > 1e-12 * np.linalg.norm(model.coef_)
    X, y, *_ = problem(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Ridge(1e-9, positive=True, tol=0).fit(X, y)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_classifier_has_scikit_learns_shapes(fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 4))
    for y in (np.arange(30) % 2, np.arange(30) % 3, np.array(["b", "a"])[np.arange(30) % 2],
              *((rng.random((30, k)) < 0.5).astype(int) for k in (1, 2, 3))):
        ours, theirs = (c(fit_intercept=fit_intercept).fit(X, y) for c in (RidgeClassifier, TheirClassifier))
        assert ours.coef_.shape == theirs.coef_.shape
        assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
        assert type(ours.intercept_) is type(theirs.intercept_)
        assert ours.decision_function(X).shape == theirs.decision_function(X).shape
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        assert np.shape(ours.coef_bound_) == (() if ours.coef_.ndim == 1 else ours.coef_.shape[:1])


def test_no_empty_system_goes_to_lapack(monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("called")

    monkeypatch.setattr(ridge_orthogonal, "solve_triangular", refuse)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 20)), rng.standard_normal(6)
    model = Ridge(0.5, solver="svd").fit(X, y)
    w, _ = exact.ridge(X, y, 0.5)
    assert exact.distance(model.coef_, w)[0] < 1e-12


@pytest.mark.parametrize("module, name, shape", [
    (ridge_cholesky, "dpotrs", (20, 4)), (ridge_cholesky, "dpotrs", (4, 20)), (triangle, "dgeqrf", (20, 4))])
def test_return_codes_of_lapack_are_read(module, name, shape, monkeypatch):
    called = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **options: (*called(*args, **options)[:-1], -3))
    rng = np.random.default_rng(0)
    with pytest.raises(RuntimeError, match=f"{name} refused argument 3"):
        solver = "cholesky" if module is ridge_cholesky else "svd"
        Ridge(1.0, solver=solver).fit(rng.standard_normal(shape), np.ones(shape[0]))


def test_least_squares_of_large_dense_data_keep_their_digits():
    """More elements than `EXACT`: the Gram matrix would have half of them."""
    rng = np.random.default_rng(0)
    n, p = 6000, 200
    X = rng.standard_normal((n, p)) @ (np.diag(np.geomspace(1, 1e-6, p)) + np.tri(p, k=-1) * 1e-2)
    assert X.size > costs.EXACT
    y = X @ rng.standard_normal(p) + rng.standard_normal(n)
    found = solve_ridge(X, y[:, None], np.zeros(1))
    w = scipy.linalg.lstsq(X - X.mean(axis=0), y - y.mean(), cond=1e-15)[0]
    assert np.linalg.norm(found.coef[0] - w) <= 1e-8 * np.linalg.norm(w)
    assert np.linalg.norm(found.coef[0] - w) <= found.bound[0]


def test_a_constant_target_costs_others_nothing():
    t = np.linspace(0, 1, 40)
    V, y = np.vander(t, 10)[:, :-1], np.sin(5 * t)
    both, alone = (Ridge(1e-9).fit(V, Y) for Y in (np.c_[y, np.ones(40)], y))
    np.testing.assert_allclose(both.coef_[0], alone.coef_, rtol=1e-9)
    assert both.coef_bound_[1] == 0 == Ridge().fit(np.ones((5, 2)), np.arange(5.0)).coef_bound_


def test_dependent_columns_of_large_scale():
    x, t = np.array([0.0, 1, 2, 3, 5]), np.array([0, 1.0, 3, 2, 4])
    X = 1e9 * np.c_[x, 3 * x]
    w, _ = exact.ridge(X, t, 1.0)
    assert exact.distance(Ridge().fit(X, t).coef_, w)[0] < 1e-9


def test_conjugate_gradients_say_where_one_column_hides_the_others():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 29))
    X[:, :2] += 1e8
    y = X[:, 2] + rng.standard_normal(9)
    with pytest.warns(ConvergenceWarning, match="Rounding ended"):
        Ridge(1e-9, solver="sparse_cg", tol=1e-9).fit(sp.csr_array(X), y)
