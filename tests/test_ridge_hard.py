"""Ridge regression where rounding bites, against fractions: scales of columns and of y, leverage, interpolation, level.

tools/exact_ridge.py does the same with hundreds of larger problems, in 400 bits."""

import functools
import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

import fastreg.solvers.ridge.decompose as decompose
import fastreg.solvers.ridge.folds as ridge_folds
import fastreg.solvers.ridge.leave_one_out as by_rows
import fastreg.solvers.ridge.path as ridge_paths
import fastreg.solvers.ridge.spectrum as spectrum
from fastreg import Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV, ridge_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.ridge.certificate import certify
from fastreg.solvers.ridge.problem import RidgeProblem

FITS, SCORES = 1e-6, 1e-5
STORES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}


def fractions(values):
    return [[Fraction(float(v)) for v in row] for row in np.atleast_2d(values)]


def solved(M, b):
    """M^-1 b by elimination."""
    M = [[*row, of_row] for row, of_row in zip(M, b)]
    n = len(M)
    for k in range(n):
        pivot = next(i for i in range(k, n) if M[i][k] != 0)
        M[k], M[pivot] = M[pivot], M[k]
        for i in range(k + 1, n):
            ratio = M[i][k] / M[k][k]
            M[i] = [a - ratio * b for a, b in zip(M[i], M[k])]
    out = [Fraction(0)] * n
    for k in reversed(range(n)):
        out[k] = (M[k][n] - sum(M[k][j] * out[j] for j in range(k + 1, n))) / M[k][k]
    return out


class Exact:
    """Ridge regression of one target, as fractions."""

    def __init__(self, X, y, alpha, weight=None, factor=None, fit_intercept=True):
        n, p = X.shape
        s = [Fraction(float(v)) for v in (np.ones(n) if weight is None else weight)]
        f = [Fraction(float(v)) for v in (np.ones(p) if factor is None else factor)]
        X, y, total = fractions(X), fractions(y)[0], sum(s)
        self.means = [sum(s[i] * X[i][j] for i in range(n)) / total * fit_intercept for j in range(p)]
        self.level = sum(s[i] * y[i] for i in range(n)) / total * fit_intercept
        A = [[x - m for x, m in zip(row, self.means)] for row in X]
        b = [v - self.level for v in y]
        M = [[sum(s[i] * A[i][j] * A[i][k] for i in range(n)) + (Fraction(float(alpha)) * f[j] if j == k else 0)
              for k in range(p)] for j in range(p)]
        self.coef = solved(M, [sum(s[i] * A[i][j] * b[i] for i in range(n)) for j in range(p)])
        self.df = fit_intercept + sum(  # trace of M^-1 A'SA
            solved(M, [sum(s[i] * A[i][j] * A[i][k] for i in range(n)) for j in range(p)])[k] for k in range(p))

    def predict(self, X):
        return [self.level + sum((x - m) * w for x, m, w in zip(row, self.means, self.coef)) for row in fractions(X)]


def without_each_row(X, y, alpha, weight=None, **options):
    """s_i e_i^2 of the fits without row i."""
    weight, out = np.ones(len(y)) if weight is None else weight, []
    for i in range(len(y)):
        others = np.arange(len(y)) != i
        fit = Exact(X[others], y[others], alpha, weight[others], **options).predict(X[[i]])[0]
        out.append(float(Fraction(float(weight[i])) * (Fraction(float(y[i])) - fit) ** 2))
    return np.array(out)


def off_fits(X, y, coef, intercept, right):
    """Norm of the error of fitted values against that of the centred target."""
    found = [sum(x * w for x, w in zip(row, fractions(coef)[0])) + Fraction(float(intercept)) for row in fractions(X)]
    return float(sum((a - b) ** 2 for a, b in zip(found, right.predict(X)))) ** 0.5 / np.linalg.norm(y - y.mean())


def hard(seed):
    """(X, y, weight, factor, fit_intercept, alphas): 6 <= n <= 9, p <= 5, one hardship each, or all."""
    rng = np.random.default_rng(seed)
    kind = seed % 6
    n, p = int(rng.integers(6, 10)), int(rng.integers(2, 6))
    X = rng.standard_normal((n, p))
    if kind in (0, 5):
        X[:, 0] = X[:, 1] + 10.0 ** rng.integers(-8, -3) * rng.standard_normal(n)
    if kind in (1, 5):
        X[:, -1] *= rng.integers(2)
        X[rng.integers(n), -1] = 10.0 ** rng.integers(3, 8)
    if kind in (2, 5):
        X *= 10.0 ** rng.uniform(-4, 4, p)
    if kind in (3, 5):
        X += 10.0 ** rng.uniform(2, 6, p) * np.abs(X).max(axis=0, initial=0)
    weight = 10.0 ** rng.uniform(-2, 2, n) if kind == 4 else None
    factor = 10.0 ** rng.uniform(-2, 2, p) if rng.random() < 0.3 else None
    return X, rng.standard_normal(n) + 2, weight, factor, bool(rng.random() < 0.7), 10.0 ** np.sort(
        rng.uniform(-8, 4, 3))[::-1]


@pytest.fixture(params=["exact", "blocks", "certificate"])
def route(request, monkeypatch):
    """All of A at once; what is done where it is too large; and eigenvectors that are trusted until X says no."""
    if request.param == "blocks":
        monkeypatch.setattr(decompose, "MOST_ROWS", 0)
    if request.param == "certificate":
        monkeypatch.setattr(spectrum, "SPREAD", 1e13)
        monkeypatch.setattr(decompose, "SPREAD", 1e13)
    return request.param


@functools.cache
def hard_fits(seed):
    """For each alpha, the exact fit of all rows."""
    X, y, weight, factor, fit_intercept, alphas = hard(seed)
    return [Exact(X, y, alpha, weight, factor, fit_intercept) for alpha in alphas]


@functools.cache
def hard_errors(seed):
    """Exact mean squared errors without each row, by alpha, and 1 - R2 of three folds, by alpha and fold."""
    X, y, weight, factor, fit_intercept, alphas = hard(seed)
    s = np.ones(len(y)) if weight is None else weight
    rows = [without_each_row(X, y, alpha, weight, factor=factor, fit_intercept=fit_intercept).mean()
            for alpha in alphas]
    lost = np.empty((len(alphas), 3))
    for f, (train, test) in enumerate(KFold(3).split(X)):
        level = np.average(y[test], weights=s[test])
        for a, alpha in enumerate(alphas):
            fit = Exact(X[train], y[train], alpha, s[train], factor, fit_intercept).predict(X[test])
            errors = np.array([float(Fraction(float(v)) - w) for v, w in zip(y[test], fit)])
            lost[a, f] = (s[test] @ errors**2) / (s[test] @ (y[test] - level) ** 2)
    return rows, lost


@pytest.mark.parametrize("seed", range(24))
def test_right_or_said_not_to_be(seed, route):
    X, y, weight, factor, fit_intercept, alphas = hard(seed)
    settings = {"penalty_factor": factor, "fit_intercept": fit_intercept}
    right = hard_fits(seed)
    store = list(STORES.values())[seed % 4]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        path = ridge_path(store(X), y, alphas, sample_weight=weight, **settings)
    silent = not said
    assert silent or route != "exact"
    if silent:
        for a, exact in enumerate(right):
            assert off_fits(X, y, path.coefs[:, a], path.intercepts[a], exact) <= FITS
            np.testing.assert_allclose(path.df[a], float(exact.df), rtol=SCORES)
            rss = sum(Fraction(float(s)) * (Fraction(float(v)) - f) ** 2 for s, v, f in zip(
                np.ones(len(y)) if weight is None else weight, y, exact.predict(X)))
            np.testing.assert_allclose(path.gcv[a], float(len(y) * rss / (len(y) - exact.df) ** 2), rtol=SCORES)
    if route == "certificate":
        return                               # below, only what is chosen is certified
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", ".*of its grid")
        model = RidgeCV(alphas, store_cv_results=True, **settings).fit(store(X), y, sample_weight=weight)
        by_folds = RidgeCV(alphas, cv=KFold(3), **settings).fit(store(X), y, sample_weight=weight)
    if said:
        assert route == "blocks"
        return
    rows, lost = hard_errors(seed)
    np.testing.assert_allclose(model.cv_results_.mean(axis=0), rows, rtol=SCORES)
    np.testing.assert_allclose(1 - by_folds.cv_path_.fold_scores[0], lost, rtol=SCORES)
    chosen = right[list(alphas).index(model.alpha_)]
    assert off_fits(X, y, model.coef_, model.intercept_, chosen) <= FITS


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("make", [
    lambda X, y: RidgeCV([1.0]).fit(X, y).coef_,
    lambda X, y: RidgeCV([1.0], gcv_mode="svd").fit(X, y).coef_,
    lambda X, y: RidgeCV([1.0], cv=2).fit(X, y).coef_,
    lambda X, y: ridge_path(X, y, [1.0]).coefs[:, 0],
], ids=["rows", "svd", "folds", "path"])
def test_a_column_a_billion_times_another(store, make):
    X = np.array([[0.0, 1e9], [1, 0], [2, 2e9], [3, 1e9], [4, 3e9]])
    y = np.array([0.0, 1, 2, 3, 4])
    np.testing.assert_allclose(make(STORES[store](X), y), [float(w) for w in Exact(X, y, 1.0).coef], rtol=1e-12)


@pytest.mark.parametrize("unit", [1.0, 1e9])
@pytest.mark.parametrize("cv", [None, 5])
@pytest.mark.parametrize("n", [300, 3000])
def test_a_time_stamp_beside_a_score(unit, cv, n):
    rng = np.random.default_rng(0)
    z, times = rng.standard_normal(n), (1.6e9 + np.round(rng.uniform(0, 2 * 365 * 86400, n))) * unit
    X, y = np.c_[times, z], 5 * z + rng.standard_normal(n)
    # the stamp counts for nothing beside alpha: what is left is the other column
    slope = (z - z.mean()) @ (y - y.mean()) / ((z - z.mean()) @ (z - z.mean()) + 1.0)
    model = RidgeCV([1.0], cv=cv).fit(X, y)
    np.testing.assert_allclose(model.coef_[1], slope, rtol=0.01)
    assert model.score(X, y) > 0.95
    assert RidgeClassifierCV([1.0], cv=cv).fit(X, z > 0).score(X, z > 0) > 0.95


def test_leave_one_out_of_interpolating_fits():
    X = 1e8 * np.array([[1.0, 0, 2], [0, 1, 1], [1, 1, 0]])
    y = np.array([1.0, 2, 4])
    for alpha in (1e-3, 0.1, 10.0, 1000.0):
        for mode in ("eigen", "svd"):
            model = RidgeCV([alpha], gcv_mode=mode).fit(X, y)
            np.testing.assert_allclose(-model.best_score_, without_each_row(X, y, alpha).mean(), rtol=1e-9)
    np.testing.assert_allclose(ridge_path(X, y, [0.1]).gcv, 1.68, rtol=1e-9)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 200)), rng.standard_normal(20)
    alphas = np.logspace(-16, 2, 19)
    model = RidgeCV(alphas, store_cv_results=True).fit(X, y)
    # as alpha falls, the errors tend to those of the interpolating fit of least norm
    A = X - X.mean(axis=0)
    inverse = np.linalg.pinv(A @ A.T)
    limit = (inverse @ (y - y.mean()) / np.diag(inverse)) ** 2
    np.testing.assert_allclose(model.cv_results_[:, 0], limit, rtol=1e-9)
    np.testing.assert_allclose(model.cv_results_.mean(axis=0)[:10], limit.mean(), rtol=1e-6)


def with_full_leverage(n):
    """X, of which row 7 alone has something in the last column, and y."""
    i = np.arange(n)
    return np.c_[np.sin(i), np.cos(3 * i), np.where(i == 7, 1e6, 0.0)], np.sin(i) + np.cos(i * i)


@functools.cache
def errors_beside_full_leverage(alpha):
    return without_each_row(*with_full_leverage(40), alpha).mean()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mode", ["eigen", "svd"])
@pytest.mark.parametrize("n", [40, 2400])
def test_a_row_of_full_leverage(store, mode, n):
    X, y = with_full_leverage(n)
    alphas = [0.1, 1.0, 10.0, 1e4]
    model = RidgeCV(alphas, gcv_mode=mode, store_cv_results=True).fit(STORES[store](X), y)
    others = np.arange(n) != 7
    for a, alpha in enumerate(alphas):                   # the row alone sees its column
        A, b = X[others, :2] - X[others, :2].mean(axis=0), y[others] - y[others].mean()
        w = np.linalg.solve(A.T @ A + alpha * np.eye(2), A.T @ b)
        e = y[7] - y[others].mean() - (X[7, :2] - X[others, :2].mean(axis=0)) @ w
        np.testing.assert_allclose(model.cv_results_[7, a], e**2, rtol=1e-9)
    if n == 40:
        right = [errors_beside_full_leverage(alpha) for alpha in alphas]
        np.testing.assert_allclose(model.cv_results_.mean(axis=0), right, rtol=1e-9)
        assert model.alpha_ == 1
        predicted = RidgeCV(alphas, gcv_mode=mode, scoring="neg_mean_squared_error").fit(STORES[store](X), y)
        np.testing.assert_allclose(predicted.best_score_, model.best_score_, rtol=1e-12)


@pytest.mark.parametrize("store", STORES)
def test_rows_left_out_are_penalised_as_all_rows_ask(store):
    """A row that alone sees a column is left out by a fit of the others, with the standard deviations of all rows."""
    i = np.arange(12)
    X, y = np.c_[3 * np.sin(i), np.cos(3 * i), np.where(i == 7, 1e6, 0.0)], np.sin(i) + np.cos(i * i)
    factor = np.array([1.0, 2.0, 1e-12])
    model = RidgeCV([1.0], penalty_factor=factor, standardize=True, store_cv_results=True).fit(STORES[store](X), y)
    right = without_each_row(X, y, 1.0, factor=factor * X.var(axis=0))
    np.testing.assert_allclose(model.cv_results_[:, 0], right, rtol=1e-8)


@pytest.mark.parametrize("scale", [1e160, 1e-200])
@pytest.mark.parametrize("options", [{}, {"cv": 3}, {"alpha_per_target": True}, {"scoring": "r2"}], ids=str)
def test_targets_of_any_scale(scale, options):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 4))
    Y = X @ rng.standard_normal((4, 2)) + rng.standard_normal((30, 2))
    scale = 2.0 ** np.round(np.log2(scale))
    plain = RidgeCV([0.1, 1, 10], **options).fit(X, Y)
    unit = scale if "scoring" not in options else np.clip(scale, 1e-100, 1e100)      # scikit-learn squares errors
    unit = 2.0 ** np.round(np.log2(unit))
    found = RidgeCV([0.1, 1, 10], **options).fit(X, Y * unit)
    np.testing.assert_array_equal(found.alpha_, plain.alpha_)
    np.testing.assert_array_equal(found.coef_ / unit, plain.coef_)
    np.testing.assert_array_equal(found.intercept_ / unit, plain.intercept_)
    np.testing.assert_array_equal(found.coef_bound_ / unit, plain.coef_bound_)
    if not options:
        assert found.best_score_ == (-np.inf if scale > 1 else 0)
    mixed = RidgeCV([0.1, 1, 10], alpha_per_target=True).fit(X, Y * [scale, 1])
    np.testing.assert_array_equal(mixed.alpha_, RidgeCV([0.1, 1, 10], alpha_per_target=True).fit(X, Y).alpha_)
    path = ridge_path(X, Y * scale, [1.0, 0.1])
    np.testing.assert_array_equal(path.coefs / scale, ridge_path(X, Y, [1.0, 0.1]).coefs)
    small = 2.0**300
    np.testing.assert_array_equal(RidgeCV([0.1, 1], store_cv_results=True).fit(X, Y * small).cv_results_ / small**2,
                                  RidgeCV([0.1, 1], store_cv_results=True).fit(X, Y).cv_results_)


@pytest.mark.parametrize("scale", [2.0**1021, 2.0**-1018])
@pytest.mark.parametrize("options", [{}, {"cv": 3}, {"gcv_mode": "svd"}, {"alpha_per_target": True}], ids=str)
@pytest.mark.parametrize("shape", [(30, 4), (12, 30)])
def test_weights_of_any_scale(shape, scale, options):
    """Their sum is beyond float64, or their products with squares are."""
    rng = np.random.default_rng(0)
    X, alphas = rng.standard_normal(shape), np.array([0.25, 1.0, 4.0])
    Y = X @ rng.standard_normal((shape[1], 2)) + rng.standard_normal((shape[0], 2))
    weight = rng.uniform(0.5, 1, shape[0])
    plain = RidgeCV(alphas, **options).fit(X, Y, sample_weight=weight)
    found = RidgeCV(alphas * scale, **options).fit(X, Y, sample_weight=weight * scale)
    np.testing.assert_array_equal(found.alpha_ / scale, plain.alpha_)
    for name in ("coef_", "intercept_", "coef_bound_", "df_"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found.best_score_, plain.best_score_ * (1 if "cv" in options else scale))
    path, right = (ridge_path(X, Y, alphas * s, sample_weight=weight * s) for s in (scale, 1.0))
    for name in ("coefs", "intercepts", "coef_bounds", "df"):
        np.testing.assert_array_equal(getattr(path, name), getattr(right, name))
    kept, means = (RidgeCV(alphas * s, store_cv_results=True).fit(X, Y, sample_weight=weight * s).cv_results_
                   for s in (scale, 1.0))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(path.gcv, right.gcv * scale)
        np.testing.assert_allclose(kept, means * scale, rtol=1e-9)                           # subnormal, some of them


@pytest.mark.parametrize("seed", range(24))
def test_bounds_include_rounding(seed):
    """The exact coefficients are never outside, whatever rounding has done."""
    X, y, weight, factor, fit_intercept, alphas = hard(seed)
    settings = {"penalty_factor": factor, "fit_intercept": fit_intercept}
    store = list(STORES.values())[seed % 4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [RidgeCV([alpha], cv=cv, **settings).fit(store(X), y, sample_weight=weight)
                  for alpha in alphas for cv in (None, 3)]
        path = ridge_path(store(X), y, alphas, sample_weight=weight, **settings)
    for a, alpha in enumerate(alphas):
        right = Exact(X, y, alpha, weight=weight, factor=factor, fit_intercept=fit_intercept)
        for coef, bound in [*((model.coef_, model.coef_bound_) for model in models[2 * a:2 * a + 2]),
                            (path.coefs[:, a], path.coef_bounds[a])]:
            off = sum((Fraction(float(v)) - w) ** 2 for v, w in zip(coef, right.coef))
            assert float(off) ** 0.5 <= bound


@pytest.mark.parametrize("shape", [(60, 5), (12, 30)])
def test_bounds_hold_and_certificates_see_planted_errors(shape):
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape) * np.logspace(0, 2, shape[1])
    Y = rng.standard_normal((shape[0], 2))
    weight, factor = rng.uniform(0.5, 2, shape[0]), np.logspace(-1, 1, shape[1])
    alphas = np.array([0.1, 10.0])
    problem = RidgeProblem.of(X, Y, alphas, Penalty(factor=factor), weight, True, 1)
    found = decompose.decompose(problem)
    least = found.least_variance(problem)
    coef = found.coefs_at(problem.alphas)
    good = certify(problem, coef, least)
    assert not by_rows.loses_digits(coef, good).any() and np.all(good.bound <= 1e-8 * np.linalg.norm(coef, axis=1))
    mean = np.average(X, axis=0, weights=weight)
    A, B = X - mean, Y - np.average(Y, axis=0, weights=weight)
    for planted in (1e-5, 1e-3):
        error = planted * rng.standard_normal(coef.shape) * np.linalg.norm(coef, axis=1)[:, None]
        bad = certify(problem, coef + error, least)
        assert by_rows.loses_digits(coef + error, bad).all()
        assert np.all(bad.bound >= np.linalg.norm(error, axis=1) * (1 - 1e-6))
        for t, alpha in enumerate(alphas):
            w = coef[t] + error[t]
            gradient = A.T @ (weight * (B[:, t] - A @ w)) - alpha * factor * w
            np.testing.assert_allclose(bad.gradient[t] * problem.unit, gradient, rtol=1e-7)
            np.testing.assert_allclose(bad.squares[t] * problem.unit, weight @ (B[:, t] - A @ w) ** 2, rtol=1e-9)


@pytest.mark.parametrize("shape", [(60, 5), (12, 30), (12, 30000)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_leave_one_out_is_checked_on_rows(shape, fit_intercept, monkeypatch):
    rng = np.random.default_rng(0)
    X, Y, alphas = rng.standard_normal(shape), rng.standard_normal((shape[0], 1)), np.array([1.0])
    problem = RidgeProblem.of(X, Y, alphas, Penalty(), None, fit_intercept, 1)
    found = decompose.decompose(problem)
    left_out = by_rows.errors_by_rows(problem, found)
    coef, certified, right = by_rows.certify_left_out(left_out, np.array([0]))
    assert right and not by_rows.loses_digits(coef, certified).any()
    np.testing.assert_allclose(coef, found.coefs_at(alphas), rtol=1e-8, atol=1e-15)
    exact = type(found).left_over

    def wrong(self, problem, rows, alpha):           # leverages a little too small
        Z, left, residuals = exact(self, problem, rows, alpha)
        return Z, left + 1e-4 * (np.eye(len(rows)) - left), residuals

    monkeypatch.setattr(type(found), "left_over", wrong)
    assert not by_rows.certify_left_out(left_out, np.array([0]))[2]


def test_certificates_of_the_estimators(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6))
    Y = X @ rng.standard_normal((6, 2)) + rng.standard_normal((50, 2))
    weight, labels = rng.uniform(0.5, 2, 50), np.where(Y[:, 0] > 0, "a", "b")
    for cv in (None, 4):
        for y in (Y, Y[:, 0]):
            model = RidgeCV(cv=cv, penalty_factor=np.arange(1, 7)).fit(X, y, sample_weight=weight)
            assert np.shape(model.coef_bound_) == np.shape(model.intercept_)
            assert np.all(model.coef_bound_ <= 1e-12) and np.all(model.coef_bound_ > 0)
            assert np.all(model.normal_residual(X, y, sample_weight=weight) <= 1e-13)
            model.coef_ = model.coef_ * (1 + 1e-6)
            assert np.all(model.normal_residual(X, y, sample_weight=weight) > 1e-9)
        for of in (labels, Y.argmax(axis=1) + 2 * (Y[:, 0] > 1)):
            for model in (RidgeClassifierCV(cv=cv, class_weight="balanced"), RidgeClassifier(class_weight="balanced")):
                model.fit(X, of, sample_weight=weight)
                assert np.shape(model.normal_residual(X, of, sample_weight=weight)) == np.shape(model.coef_bound_)
                assert np.all(model.normal_residual(X, of, sample_weight=weight) <= 1e-13)
                assert np.all(np.asarray(model.coef_bound_) <= 1e-11)
                model.coef_ = model.coef_ * (1 + 1e-6)
                assert np.all(model.normal_residual(X, of, sample_weight=weight) > 1e-9)
    alphas = np.logspace(2, -2, 5)
    path = ridge_path(X, Y, alphas)
    assert path.coef_bounds.shape == (2, 5) and path.certified_from.tolist() == ["sums"] * 4 + ["X"]
    assert np.all(path.coef_bounds <= 1e-12)
    assert np.isinf(ridge_path(X[:4], Y[:4, 0], [0.0]).coef_bounds[0])      # rank 3 of 6 columns: nothing is known
    scaled = X * np.logspace(0, 6, 6)
    path = ridge_path(scaled, Y[:, 0], alphas)
    assert path.coef_bounds.shape == (5,) and path.certified_from.tolist() == ["X"] * 5
    monkeypatch.setattr(ridge_paths, "ALL_FITS", 0)
    last = ridge_path(scaled, Y[:, 0], alphas)
    assert last.certified_from.tolist() == ["sums"] * 4 + ["X"]
    np.testing.assert_allclose(last.coef_bounds[-1], path.coef_bounds[-1])


def test_lost_digits_are_said(monkeypatch):
    """Were eigenvectors the only way, the certificate would say that they do not serve."""
    X = np.array([[0.0, 1e9], [1, 0], [2, 2e9], [3, 1e9], [4, 3e9]])
    y = np.array([0.0, 1, 2, 3, 4])
    monkeypatch.setattr(spectrum, "SPREAD", np.inf)
    by_eigenvectors = decompose.decompose
    for module in (decompose, ridge_folds):
        monkeypatch.setattr(module, "decompose", lambda problem, accurate=False: replace(by_eigenvectors(problem),
                                                                                         accurate=True))
    for fit in (lambda: ridge_path(X, y, [1.0]), lambda: RidgeCV([1.0]).fit(X, y),
                lambda: RidgeCV([1.0], cv=2).fit(X, y)):
        with pytest.warns(ConvergenceWarning, match="digits") as caught:
            fit()
        assert {warning.filename for warning in caught} == {__file__}


def test_powers_of_a_column():
    x = np.linspace(0, 1, 40)
    X, y = x[:, None] ** np.arange(1, 13), np.sin(6 * x)
    right = Exact(X, y, 1e-10)
    coef = np.array([float(w) for w in right.coef])
    for found in (RidgeCV([1e-10]).fit(X, y).coef_, RidgeCV([1e-10], cv=4).fit(X, y).coef_,
                  ridge_path(X, y, [1e-10]).coefs[:, 0]):
        assert np.linalg.norm(found - coef) <= 1e-9 * np.linalg.norm(coef)


@pytest.mark.parametrize("store", STORES)
def test_rows_without_weight_mix_with_directions_without_variance(store):
    """Training rows that hardly see a column, in which a test row is large: its coefficient counts."""
    x = np.array([-5.865, -1.776, 0.567, 2.218, 0.232, -8.129, -2.604, -0.554, 6.566, -1.521, -3.992, 1.515, 4.011,
                  10.198, -4.93])
    small = 3.88e-5 * x + 3e-8 * np.sin(np.arange(15.0))
    small[1] = 1.9
    X, y = np.c_[small, x], np.array([337.1, 115.3, 133.6, 171.1, 159.6, 332.5, 285.8, 195, 172.1, 219.7, 94.1, 202.5,
                                      132.2, 165.1, 357.1])
    test, train = np.arange(5), np.arange(5, 15)
    right = Exact(X[train], y[train], 2.5e-3)
    fit = np.array([float(v) for v in right.predict(X[test])])
    lost = np.sum((y[test] - fit) ** 2) / np.sum((y[test] - y[test].mean()) ** 2)
    score = RidgeCV([2.5e-3], cv=[(train, test)]).fit(STORES[store](X), y).best_score_
    np.testing.assert_allclose(1 - score, lost, rtol=1e-8)
    path = ridge_path(STORES[store](X), y, [2.5e-3], sample_weight=np.r_[np.zeros(5), np.ones(10)])
    np.testing.assert_allclose(path.coefs[:, 0], [float(w) for w in right.coef], rtol=1e-8)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("p", [8, 120])
@pytest.mark.parametrize("size", [1e8, 1e200, 1.7e308])
def test_a_row_without_weight_may_hold_anything(size, p, store):
    """Sums of products of all rows, weighted afterwards, would be infinite times zero."""
    rng = np.random.default_rng(p)
    X, n = rng.standard_normal((90, p)), 90
    y, weight = 1e2 * X[:, 0] + rng.standard_normal(n), rng.uniform(0.5, 2, n)
    more = np.vstack([X, np.full((1, p), size)]), np.append(y, 1.0), np.append(weight, 0.0)
    folds = [(np.arange(60), np.arange(60, n)), (np.arange(30, n), np.arange(30))]
    iterative = [Ridge(1.0, solver="sparse_cg", tol=1e-12)] if p < n else []       # on X' a row is a column
    for model in (Ridge(1.0), RidgeCV([0.1, 1.0]), RidgeCV([0.1, 1.0], cv=folds), *iterative):
        found = clone(model).fit(STORES[store](more[0]), more[1], sample_weight=more[2])
        right = clone(model).fit(STORES[store](X), y, sample_weight=weight)
        np.testing.assert_allclose(found.coef_, right.coef_, rtol=0, atol=1e-9 * np.abs(right.coef_).max())
