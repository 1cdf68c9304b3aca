"""regularization_path, lasso_path and enet_path: every value certified, none stale, results as scikit-learn's."""

import threading
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from problems import STORAGES, correlated, make_data
from referee import Referee, dense
from sklearn import linear_model as reference
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from fastreg import ElasticNet, Lasso, enet_path, lasso_path, regularization_path

SMALL_STORAGES = ["C", "F", "csr_matrix", "csc_array"]
OPTIONS = [
    {},
    {"l1_ratio": 0.5},
    {"fit_intercept": False},
    {"positive": True},
    {"standardize": True, "l1_ratio": 0.8},
    {"lower_limits": -0.1, "upper_limits": 0.3},
    {"penalty_factor": np.r_[0.0, 0.0, np.inf, np.linspace(0.5, 2, 22)]},
]


def certify_path(path, X, y, gap, **options):
    """Every point of a path is optimal by the referee, and says so."""
    for k, alpha in enumerate(path.alphas):
        referee = Referee(X, y, alpha, **options)
        w = dense(path.coefs[:, [k]])[:, 0]
        assert referee.relative_gap(w, path.intercepts[k]) <= gap, f"alpha {k}"
        assert path.dual_gaps[k] <= gap * referee.p0
        assert path.df[k] == np.count_nonzero(w)
    return referee


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("shape", [(40, 25), (15, 25)], ids=["tall", "wide"])
def test_every_point_is_certified(shape, storage, options, weighted):
    X, y, weights = make_data(2, *shape)
    weights = weights if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = STORAGES[storage](X)
        path = regularization_path(stored, y, alphas=20, eps=1e-3, tol=1e-10, sample_weight=weights, **options)
    certify_path(path, X, y, 2.1e-10, sample_weight=weights, **options)
    top = Referee(X, y, 1.0, sample_weight=weights, **options).alpha_max()
    np.testing.assert_allclose(path.alphas, top * np.geomspace(1, 1e-3, 20), rtol=1e-9)
    assert sp.issparse(path.coefs) and path.coefs.format == "csc" and path.coefs.shape == (25, 20)
    penalised = np.asarray(options.get("penalty_factor", np.ones(25))) > 0
    first = dense(path.coefs[:, [0]])[:, 0]
    assert not first[penalised].any(), "the first point is not exactly zero"
    assert path.df[1] > path.df[0]
    for name in ("intercepts", "dual_gaps", "df", "n_iters"):
        assert np.shape(getattr(path, name)) == (20,), name


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_fine_grid_is_never_stale(l1_ratio, storage, tol):
    X, y = correlated(100, 60, 0.5)
    X = X * (np.abs(X) > 0.3)
    path = regularization_path(STORAGES[storage](X), y, l1_ratio=l1_ratio, alphas=200, eps=0.5, tol=tol)
    coefs = dense(path.coefs)
    changes = np.abs(np.diff(coefs, axis=1)).max(axis=0)
    steps = -np.diff(path.alphas)
    assert (changes > 0.1 * steps).all(), "a point repeats the one before it"
    certify_path(path, X, y, 2.1 * tol, l1_ratio=l1_ratio)
    assert not coefs[:, 0].any() and coefs[:, 1].any()


def test_path_equals_single_fits(data):
    X, y, weights = data
    path = regularization_path(X, y, l1_ratio=0.7, alphas=12, eps=1e-2, sample_weight=weights, tol=1e-12)
    for k, alpha in enumerate(path.alphas):
        model = ElasticNet(alpha, l1_ratio=0.7, tol=1e-12).fit(X, y, weights)
        np.testing.assert_allclose(dense(path.coefs[:, [k]])[:, 0], model.coef_, atol=1e-7)
        np.testing.assert_allclose(path.intercepts[k], model.intercept_, atol=1e-7)


def test_alphas_given(data):
    X, y, _ = data
    for alphas in (np.array([0.01, 1.0, 0.1, 1e9]), [0.01, 1.0, 0.1, 1e9]):
        path = regularization_path(X, y, alphas=alphas, tol=1e-10)
        np.testing.assert_array_equal(path.alphas, [1e9, 1.0, 0.1, 0.01])
        certify_path(path, X, y, 2.1e-10)
    np.testing.assert_array_equal(alphas, [0.01, 1.0, 0.1, 1e9])
    certify_path(regularization_path(X, y, alphas=[0.05], tol=1e-10), X, y, 2.1e-10)
    certify_path(regularization_path(X, y, alphas=[1.0, 0.0], tol=1e-10), X, y, 2.1e-10)
    repeated = regularization_path(X, y, alphas=[0.1, 0.1, 0.1], tol=1e-10)
    np.testing.assert_allclose(dense(repeated.coefs)[:, 0], dense(repeated.coefs)[:, 2], atol=1e-6)
    path = regularization_path(X, y, l1_ratio=0.0, alphas=[1.0, 0.1], tol=1e-10)
    certify_path(path, X, y, 2.1e-10, l1_ratio=0.0)
    one = regularization_path(X, y, alphas=1)
    assert len(one.alphas) == 1 and not one.df.any()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_y(data, value):
    path = regularization_path(data[0], np.full(40, value), alphas=10)
    assert not path.df.any() and np.isfinite(path.alphas).all() and np.isfinite(path.dual_gaps).all()
    np.testing.assert_allclose(path.intercepts, value)


# ---------------------------------------------------------------- the result object


def test_predict_at_any_alpha(data):
    X, y, weights = data
    path = regularization_path(X, y, alphas=30, eps=1e-2, sample_weight=weights, tol=1e-12)
    everywhere = X @ dense(path.coefs) + path.intercepts
    np.testing.assert_allclose(path.predict(X), everywhere)
    for k in (0, 7, 29):
        np.testing.assert_allclose(path.predict(X, path.alphas[k]), everywhere[:, k], atol=1e-9)
        np.testing.assert_allclose(path.predict(X, path.alphas[k], exact=True), everywhere[:, k], atol=1e-6)
    for make in (np.asarray, sp.csr_matrix, sp.csc_array):
        between = 0.25 * path.alphas[7] + 0.75 * path.alphas[8]
        linear = 0.25 * everywhere[:, 7] + 0.75 * everywhere[:, 8]
        np.testing.assert_allclose(path.predict(make(X), between), linear, atol=1e-9)
        exact = Lasso(between, tol=1e-12).fit(X, y, weights).predict(X)
        np.testing.assert_allclose(path.predict(make(X), between, exact=True), exact, atol=1e-6)
    np.testing.assert_allclose(path.predict(X, 10 * path.alphas[0]), everywhere[:, 0])
    below = Lasso(path.alphas[-1] / 10, tol=1e-12).fit(X, y, weights).predict(X)
    np.testing.assert_allclose(path.predict(X, path.alphas[-1] / 10, exact=True), below, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_exact_predict_keeps_the_options(data, options):
    X, y, weights = data
    path = regularization_path(X, y, alphas=10, sample_weight=weights, tol=1e-12, **options)
    alpha = 0.5 * (path.alphas[4] + path.alphas[5])
    model = ElasticNet(alpha, **{"l1_ratio": 1.0, "tol": 1e-12} | options).fit(X, y, weights)
    np.testing.assert_allclose(path.predict(X, alpha, exact=True), model.predict(X), atol=1e-6)


def test_plot(data):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path = regularization_path(data[0], data[1], alphas=20)
    figure, mine = plt.subplots()
    ax = path.plot(ax=mine)
    assert ax is mine and len(ax.lines) >= np.count_nonzero(path.df.max()) and ax.get_xlabel() and ax.get_ylabel()
    figure.canvas.draw()
    plt.close(figure)
    assert isinstance(path.plot(), matplotlib.axes.Axes)
    plt.close("all")


LONG = {"alphas": 3000, "eps": 1e-3, "tol": 1e-10}  # long enough for a progress bar


def test_callback_counts_up():
    X, y = correlated(200, 400, 0.9)
    seen = []
    regularization_path(X, y, **LONG, callback=lambda k, n: seen.append((k, n, threading.current_thread())))
    done = [k for k, _, _ in seen]
    assert done and done == sorted(done) and done[0] >= 0 and done[-1] <= 3000
    assert {n for _, n, _ in seen} == {3000} and {t for _, _, t in seen} == {threading.main_thread()}


def test_an_error_in_the_callback_stops_the_path():
    def fail(k, n):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        regularization_path(*correlated(200, 400, 0.9), **LONG, callback=fail)


def test_convergence_warning():
    X, y = correlated(100, 400, 0.95)
    with pytest.warns(ConvergenceWarning, match="gap.*max_iter") as caught:
        regularization_path(X, y, alphas=[3e-4, 2e-4, 1e-4], max_iter=1, tol=1e-14)
    assert len(caught) == 1, "one warning for a path, not one for each alpha"


# ---------------------------------------------------------------- scikit-learn's functions


def compare(ours, theirs):
    """Alphas, coefficients and gaps agree in value, shape and meaning."""
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    assert ours[1].shape == theirs[1].shape
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5 * np.abs(theirs[1]).max())
    assert ours[2].shape == theirs[2].shape and (np.abs(ours[2]) <= np.abs(theirs[2]).max() + 1e-6).all()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, sp.csr_matrix, sp.csc_array])
def test_paths_agree_with_scikit_learn(make, positive):
    X, y = load_diabetes(return_X_y=True)
    options = {"positive": positive, "eps": 1e-2, "alphas": 20}
    tight = {"tol": 1e-11, "max_iter": 10**5}
    compare(lasso_path(make(X), y, tol=1e-11, **options), reference.lasso_path(X, y, **options, **tight))
    for l1_ratio in (0.5, 0.9):
        options["l1_ratio"] = l1_ratio
        compare(enet_path(make(X), y, tol=1e-11, **options), reference.enet_path(X, y, **options, **tight))


def test_path_keywords(data):
    X, y, _ = data
    alphas = [0.01, 1.0, 0.1]
    theirs = reference.lasso_path(X, y, alphas=alphas, tol=1e-12, max_iter=10**5)
    keywords = [
        {"precompute": True, "copy_X": False},
        {"precompute": X.T @ X},
        {"Xy": X.T @ y, "precompute": X.T @ X},
        {"coef_init": np.ones(25), "max_iter": 500},
        {"verbose": False, "selection": "random", "random_state": 0, "n_threads": 1},
    ]
    for keyword in keywords:
        compare(lasso_path(X, y, alphas=alphas, tol=1e-12, **keyword), theirs)
    *results, n_iters = lasso_path(X, y, alphas=alphas, tol=1e-12, return_n_iter=True)
    compare(results, theirs)
    assert len(n_iters) == 3 and min(n_iters) >= 0
    *results, n_iters = enet_path(X, y, alphas=alphas, l1_ratio=1.0, tol=1e-12, return_n_iter=True)
    compare(results, theirs)
    assert len(lasso_path(X, y)[0]) == 100


def test_coefficients_of_any_alpha_are_no_views_of_one_another(data):
    coefs = lasso_path(data[0], data[1], alphas=5)[1]
    before = coefs[:, 4].copy()
    coefs[:, 3] = np.nan
    np.testing.assert_array_equal(coefs[:, 4], before)
