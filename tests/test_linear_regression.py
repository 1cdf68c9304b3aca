"""LinearRegression against rational arithmetic, SciPy's lstsq and scikit-learn's class."""

import warnings

import exact
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from problems import STORAGES, make_data
from referee import dense
from sklearn.linear_model import LinearRegression as Theirs

import fastreg.solvers.ridge.orthogonal as ridge_orthogonal
import fastreg.solvers.ridge.triangle as triangle
from fastreg import LinearRegression


def prepared(X, Y, weight, fit_intercept):
    """Centred X and Y times the roots of the weights, and the means."""
    s = np.ones(len(X)) if weight is None else weight
    means, mean = (np.average(v, axis=0, weights=s) if fit_intercept else 0 * v[0] for v in (X, Y))
    root = np.sqrt(s)[:, None]
    return (X - means) * root, (Y - mean) * root, means, mean


def reference(X, Y, weight, fit_intercept, cond=1e-12):
    """Least squares of least norm, intercepts, rank and singular values."""
    A, T, means, mean = prepared(X, Y, weight, fit_intercept)
    w, _, rank, singular = scipy.linalg.lstsq(A, T, cond=cond)
    return w.T, mean - means @ w, rank, singular


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("shape", [(40, 8), (12, 40), (20, 20)])
def test_every_storage(shape, storage, weighted, fit_intercept):
    X, y, weight = make_data(4, *shape, density=1.0)
    X = np.asarray(dense(STORAGES[storage](X)), dtype=np.float64)
    weight = weight if weighted else None
    Y = np.column_stack([y, np.cos(y)])
    stored = STORAGES[storage](X)
    kept = np.array(dense(stored))
    model = LinearRegression(fit_intercept=fit_intercept).fit(stored, Y, weight)
    w, b, rank, singular = reference(X, Y, weight, fit_intercept)
    np.testing.assert_allclose(model.coef_, w, atol=1e-8 * np.abs(w).max())
    np.testing.assert_allclose(model.intercept_, b, atol=1e-7 * (1 + np.abs(b).max()))
    assert np.max(model.normal_residual(stored, Y, weight)) < 1e-11
    if sp.issparse(stored):
        assert not hasattr(model, "rank_") and not hasattr(model, "singular_")
    else:
        assert model.rank_ == rank
        np.testing.assert_allclose(model.singular_, singular, atol=1e-12 * singular[0])
    np.testing.assert_array_equal(dense(stored), kept)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_shapes_are_scikit_learns(fit_intercept):
    X, y, _ = make_data(1, 30, 4, density=1.0)
    for Y in (y, y[:, None], np.column_stack([y, y**2, -y])):
        for positive in (False, True):
            ours, theirs = (c(fit_intercept=fit_intercept, positive=positive).fit(X, Y)
                            for c in (LinearRegression, Theirs))
            assert ours.coef_.shape == theirs.coef_.shape and np.shape(ours.intercept_) == np.shape(theirs.intercept_)
            assert ours.predict(X).shape == theirs.predict(X).shape
            np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-7 * np.abs(theirs.coef_).max())
            assert hasattr(ours, "rank_") == hasattr(theirs, "rank_")
    assert np.shape(LinearRegression().fit(X, y).singular_) == np.shape(Theirs().fit(X, y).singular_)
    assert not hasattr(LinearRegression().fit(X, y).fit(sp.csr_array(X), y), "rank_")


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_bounds_hold_in_rational_arithmetic(fit_intercept):
    """Columns of far apart scales, levels, weights."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n, p = [(9, 4), (12, 7), (6, 5)][seed % 3]
        X = np.round(rng.standard_normal((n, p)) * 64) / 64 * 2.0 ** rng.integers(-20, 21, p)
        X += rng.choice([0, 0, 1024]) if fit_intercept else 0
        y = np.round(rng.standard_normal(n) * 64) + rng.choice([0, 1e6])
        weight = rng.integers(1, 5, n) / 2 if seed % 2 else None
        found = exact.ridge(X, y, 0, weight, fit_intercept=fit_intercept)
        if found is None:
            continue
        model = LinearRegression(fit_intercept=fit_intercept).fit(X, y, weight)
        error, size = exact.distance(model.coef_, found[0])
        assert error <= model.coef_bound_ + 2e-16 * size
        assert model.rank_ == p and error <= 1e-8 * size and model.coef_bound_ <= 1e-3 * size


@pytest.mark.parametrize("shape", [(40, 8), (8, 40), (12, 12)])
def test_dependent_columns_get_the_least_norm(shape):
    """Whatever their units are: ten decades between two columns, one of them twice."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape)
    X[:, 1] = X[:, 0]
    X[:, 2] = X[:, 3] + X[:, 4]
    X[:, 5] = 7.0
    X[:, 6] *= 1e5 if shape[0] > shape[1] else 1.0
    X[:, 7] *= 1e-5 if shape[0] > shape[1] else 1.0
    y = rng.standard_normal(shape[0])
    model = LinearRegression().fit(X, y)
    A, t, _, _ = prepared(X, y[:, None], None, True)
    independent = np.delete(A, [1, 2, 5], axis=1)
    assert model.rank_ == np.linalg.matrix_rank(independent / np.linalg.norm(independent, axis=0))
    assert model.coef_bound_ == np.inf
    assert abs(model.coef_[5]) <= 1e-12 * np.linalg.norm(model.coef_)
    A, coef = np.delete(A, 5, axis=1), np.delete(model.coef_, 5)
    left, size = t[:, 0] - A @ coef, np.linalg.norm(A, axis=0)
    assert np.all(np.abs(A.T @ left) <= 1e-12 * size * np.linalg.norm(t))
    null = scipy.linalg.null_space(A / size, rcond=1e-12).T / size        # A null' = 0: coefficients have none of it
    null /= np.linalg.norm(null, axis=1)[:, None]
    assert np.max(np.abs(null @ coef)) <= 1e-9 * np.linalg.norm(coef)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_of_rows_are_all_rows(order, fit_intercept, monkeypatch):
    X, y, weight = make_data(3, 3000, 6, density=1.0)
    X = np.asarray(X + 1e4, order=order)
    whole = LinearRegression(fit_intercept=fit_intercept).fit(X, y, weight)
    monkeypatch.setattr(ridge_orthogonal, "BLOCK", 100)
    calls = []
    reduced = triangle.reduced
    monkeypatch.setattr(triangle, "reduced", lambda rows: calls.append(1) or reduced(rows))
    blocks = LinearRegression(fit_intercept=fit_intercept).fit(X, y, weight)
    assert len(calls) == 3
    np.testing.assert_allclose(blocks.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(blocks.singular_, whole.singular_, atol=1e-14 * whole.singular_[0])


@pytest.mark.parametrize("n", [10, 40, 1000, 20_000])
def test_twins_are_seen_under_any_weights(n):
    """A column and its multiple: of one rank, and of coefficients that are not made of rounding."""
    for seed in range(100 if n < 10_000 else 10):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(n) if seed % 2 else rng.integers(-2, 3, n) * (rng.random(n) < 0.4)
        X = np.column_stack([x, 3.0 * x, rng.standard_normal(n)])
        y, weight = rng.standard_normal(n), 10.0 ** rng.uniform(-8, 0, n)
        model = LinearRegression().fit(X, y, weight)
        assert model.rank_ == 2
        np.testing.assert_allclose(model.coef_[1], 3 * model.coef_[0], rtol=1e-6, atol=1e-9)


def test_the_bound_is_not_deaf():
    """A factor that is off gives a bound that says so."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 5)), rng.standard_normal(50)
    right = LinearRegression().fit(X, y)
    minimum_norm = ridge_orthogonal.minimum_norm

    def spoiled(R, C, n):
        found = minimum_norm(R, C, n)
        found.coef *= 1.01
        found.back = None
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ridge_orthogonal, "minimum_norm", spoiled)
        model = LinearRegression().fit(X, y)
    assert model.coef_bound_ == np.inf and model.normal_residual(X, y) > 1e-3 > right.normal_residual(X, y)


@pytest.mark.parametrize("unit", [2.0**532, 2.0**-664])
def test_units_of_the_target_do_not_matter(unit):
    X, y, weight = make_data(5, 30, 4, density=1.0)
    for make in (np.asarray, sp.csr_array):
        for positive in (False, True):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                plain, model = (LinearRegression(positive=positive).fit(make(X), y * u, weight) for u in (1.0, unit))
            np.testing.assert_array_equal(model.coef_, plain.coef_ * unit)
    plain, model = (LinearRegression().fit(X, y, weight * u) for u in (1.0, unit))
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_allclose(model.singular_, plain.singular_ * np.sqrt(unit), rtol=1e-12)


@pytest.mark.parametrize("options, error", [
    ({"fit_intercept": 1}, TypeError), ({"copy_X": None}, TypeError), ({"tol": -1.0}, ValueError),
    ({"n_jobs": 0}, ValueError), ({"n_jobs": 1.5}, TypeError), ({"positive": "yes"}, TypeError)])
def test_bad_parameters(options, error):
    X, y, _ = make_data()
    with pytest.raises(error, match=next(iter(options))):
        LinearRegression(**options).fit(X, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_values_that_are_not_finite(shape, bad):
    X, y, _ = make_data(0, *shape)
    X[3, 2] = bad
    for make in (np.asarray, sp.csr_array, sp.csc_array):
        with pytest.raises(ValueError, match="X contains"):
            LinearRegression().fit(make(X), y)


@pytest.mark.parametrize("n_jobs", [None, -1, 2])
def test_large_sparse_data(n_jobs):
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.coo_array((rng.standard_normal(60_000), (rng.integers(0, 9000, 60_000),
                                                                rng.integers(0, 6000, 60_000))), shape=(9000, 6000)))
    y = rng.standard_normal(9000)
    model = LinearRegression(n_jobs=n_jobs, tol=1e-9).fit(X, y)
    assert model.normal_residual(X, y) <= 1e-9
