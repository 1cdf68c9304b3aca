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

from fastreg import ElasticNet, Lasso, LassoCV, Ridge, RidgeCV, enet_path, lasso_path, regularization_path, ridge_path
from fastreg.paths import SparseCoefs

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


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_targets_are_problems_of_their_own(data, make, weighted):
    X, y, weights = data
    weights = weights if weighted else None
    Y = np.c_[y, 3 - 2 * X[:, 4], y**2]
    options = {"l1_ratio": 0.7, "eps": 1e-2, "sample_weight": weights, "tol": 1e-10}
    path = regularization_path(make(X), Y, alphas=9, **options)
    assert np.asarray(path.coefs).shape == (3, 25, 9) and path.alphas.shape == path.certified_from.shape == (9,)
    ones = [regularization_path(make(X), y, alphas=path.alphas, **options) for y in Y.T]
    top = max(regularization_path(make(X), y, alphas=1, **options).alphas[0] for y in Y.T)
    assert path.alphas[0] == pytest.approx(top, rel=1e-12)
    for t, one in enumerate(ones):
        for k, alpha in enumerate(path.alphas):
            referee = Referee(X, Y[:, t], alpha, 0.7, sample_weight=weights)
            w = dense(path.coefs[t][:, [k]])[:, 0]
            assert referee.relative_gap(w, path.intercepts[t, k]) <= 2.1e-10 and path.df[t, k] == np.count_nonzero(w)
            assert path.dual_gaps[t, k] <= 2.1e-10 * referee.p0
        assert path.n_iters[t].shape == (9,)
        for alpha, shape in ((None, (40, 3, 9)), ([0.1, 0.5], (40, 3, 2)), (0.1, (40, 3))):
            fit = path.predict(make(X), alpha)
            assert fit.shape == shape
            np.testing.assert_allclose(fit[:, t], one.predict(make(X), alpha), atol=1e-4 * np.abs(Y[:, t]).max())
        coefs, intercepts = path.coef_at([0.3, 0.05], exact=True)
        again, levels = one.coef_at([0.3, 0.05], exact=True)
        np.testing.assert_allclose(dense(coefs[t]), dense(again), atol=1e-4 * np.abs(Y[:, t]).max())
        np.testing.assert_allclose(intercepts[t], levels, atol=1e-4 * np.abs(Y[:, t]).max())
    single = regularization_path(make(X), Y[:, :1], alphas=9, **options)
    assert len(single.coefs) == 1 and single.intercepts.shape == single.df.shape == (1, 9)


def test_a_ridge_path_is_a_path(data):
    X, y, weights = data
    weights, alphas = np.maximum(weights, 0.1), [30.0, 1.0, 0.1]
    for Y in (y, np.c_[y, y**2]):
        path = ridge_path(X, Y, alphas, sample_weight=weights)
        fits = [Ridge(alpha).fit(X, Y, sample_weight=weights).predict(X) for alpha in alphas]
        np.testing.assert_allclose(path.predict(X), np.stack(fits, axis=-1), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(path.predict(sp.csr_array(X), 1.0), fits[1], rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(path.predict(X, 0.55), (fits[1] + fits[2]) / 2, rtol=1e-7, atol=1e-8)
        anew = [0.55, 0.2, 5.0]
        fits = [Ridge(alpha).fit(X, Y, sample_weight=weights).predict(X) for alpha in anew]
        np.testing.assert_allclose(path.predict(X, anew, exact=True), np.stack(fits, axis=-1), rtol=1e-7, atol=1e-8)
        assert path.coefs.shape == (*Y.shape[1:], 25, 3) and path.dual_gaps is path.n_iters is None
        for name in ("intercepts", "df", "gcv", "coef_bounds"):
            assert getattr(path, name).shape == (*Y.shape[1:], 3), name
        with pytest.raises(ValueError, match="features"):
            path.predict(X[:, :4])


def test_sparse_coefficients_become_an_array_when_asked(data):
    coefs = regularization_path(data[0], data[1], alphas=6).coefs
    plain = coefs.toarray()
    assert sp.issparse(coefs) and len(coefs) == 25 and len(coefs.T) == 6 and coefs.T.format == "csr"
    for found, right in ((coefs, plain), (coefs.T, plain.T), (coefs[:, 2:4], plain[:, 2:4]), (2 * coefs, 2 * plain),
                         (coefs[[1, 4]], plain[[1, 4]])):
        np.testing.assert_array_equal(np.asarray(found), right)
    try:
        one = coefs[:, 3]
    except NotImplementedError:                          # scipy before sparse vectors
        one = coefs[:, [3]].T
    np.testing.assert_array_equal(np.asarray(one).ravel(), plain[:, 3])
    assert np.asarray(coefs, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(data[0] @ coefs, data[0] @ sp.csc_array(plain))
    with pytest.raises(ValueError, match="copying"):
        coefs.__array__(copy=False)
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, ax = plt.subplots()
    lines = ax.plot(range(6), coefs.T)
    np.testing.assert_array_equal([line.get_ydata() for line in lines], plain)
    plt.close(figure)


def test_nothing_inside_makes_all_coefficients_dense(monkeypatch):
    """p x n_alphas is what a path of a large problem has no room for."""
    monkeypatch.setattr(SparseCoefs, "__array__", lambda *args, **options: pytest.fail("made an array"))
    plain = sp.csc_array.toarray

    def toarray(self, *args, **options):
        assert self.shape[0] < 400, "made dense"
        return plain(self, *args, **options)

    monkeypatch.setattr(sp.csc_array, "toarray", toarray)
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = correlated(30, 400, 0.3)
    for Y in (y, np.c_[y, -y]):
        path = regularization_path(X, Y, alphas=6, eps=0.1)
        assert path.predict(X).shape == path.predict(X, path.alphas, exact=True).shape == (*Y.shape, 6)
        path.plot()
    model = LassoCV(alphas=6, eps=0.1, keep_paths=True).fit(X, np.c_[y, -y])
    model.path_.plot()
    assert model.fold_paths_[1][0][2].predict(X).shape == (30, 6)
    plt.close("all")


def test_plots_of_several_targets(data):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, _ = data
    Y = np.c_[y, -y, y**2]
    model = LassoCV(alphas=6, keep_paths=True).fit(X, Y)
    bic = LassoCV(alphas=6, criterion="bic").fit(X, Y)
    for result in (regularization_path(X, Y, alphas=5), ridge_path(X, Y, [1.0, 0.1, 0.0]), model.path_, model.cv_path_,
                   bic.ic_path_, RidgeCV(alpha_per_target=True).fit(X, Y).cv_path_):
        axes = result.plot()
        assert axes.shape == (3,) and len({id(ax) for ax in axes}) == 3 and axes[1].get_title() == "target 1"
        mine = plt.subplots(1, 3)[1]
        assert result.plot(mine)[2] is mine[2] and mine[2].lines and mine[2].get_ylabel()
        with pytest.raises(ValueError, match="one for each target"):
            result.plot(mine[:2])
        plt.close("all")


@pytest.mark.parametrize("alphas", [[0.0], [0.3], [1.0, 0.0]], ids=str)
def test_plots_of_few_alphas(data, alphas):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, _ = data
    for path in (regularization_path(X, y, alphas=alphas), ridge_path(X, y, alphas),
                 LassoCV(alphas=alphas).fit(X, y).cv_path_):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ax = path.plot()
            ax.figure.canvas.draw()
        seen = [alpha for alpha in alphas if alpha > 0] or alphas
        assert ax.get_lines()[0].get_xdata().tolist() == seen and ax.xaxis_inverted()
        assert ax.get_xscale() == ("log" if seen[0] > 0 else "linear")
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
