"""Bad input raises ValueError or TypeError, and the message names the argument."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastreg import ElasticNet, Lasso, enet_path, lasso_path, regularization_path

wrong = (ValueError, TypeError)

PARAMETERS = [
    ("alpha", [-1.0, np.nan, np.inf, "0.1", None, [0.1, 0.2]]),
    ("l1_ratio", [-0.1, 1.1, np.nan, "x", None]),
    ("tol", [-1e-4, np.nan, "small", None]),
    ("max_iter", [0, -5, 1.5, "many", None]),
    ("selection", ["other", 3]),
    ("n_threads", [0, -2, 1.5, "all"]),
    ("penalty_factor", [np.ones(3), -np.ones(25), np.full(25, np.nan), "x", np.ones((25, 2))]),
    ("lower_limits", [0.5, np.full(25, 0.1), np.zeros(3), np.nan, "x", np.full((1, 25), -1.0)]),
    ("upper_limits", [-0.5, np.full(25, -0.1), np.zeros(3), np.nan, "x", np.full((1, 25), 1.0)]),
    ("fit_intercept", ["yes", None]),
    ("positive", ["yes", None]),
    ("standardize", ["yes", None]),
]
CASES = [(name, value) for name, values in PARAMETERS for value in values]


def spoiled(X, value):
    """X with one entry replaced."""
    X = X.copy()
    X[3, 4] = value
    return X


@pytest.mark.parametrize(("name", "value"), CASES, ids=str)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_parameters_of_estimators(data, name, value, make):
    with pytest.raises(wrong, match=name):
        ElasticNet(**{name: value}).fit(make(data[0]), data[1])
    if name != "l1_ratio":
        with pytest.raises(wrong, match=name):
            Lasso(**{name: value}).fit(make(data[0]), data[1])


@pytest.mark.parametrize(("name", "value"), [c for c in CASES if c[0] not in ("alpha", "selection")], ids=str)
def test_parameters_of_regularization_path(data, name, value):
    with pytest.raises(wrong, match=name):
        regularization_path(data[0], data[1], **{name: value})


@pytest.mark.parametrize("path", [regularization_path, lasso_path, enet_path])
@pytest.mark.parametrize("alphas", [0, -1, 2.5, [], [[0.1, 0.2]], [0.1, -0.1], [np.nan], "x"], ids=str)
def test_alphas(data, path, alphas):
    with pytest.raises(wrong, match="alphas"):
        path(data[0], data[1], alphas=alphas)


@pytest.mark.parametrize("path", [regularization_path, lasso_path, enet_path])
@pytest.mark.parametrize("eps", [0.0, -1.0, 1.5, np.nan, "x"])
def test_eps(data, path, eps):
    with pytest.raises(wrong, match="eps"):
        path(data[0], data[1], eps=eps)


@pytest.mark.parametrize("path", [regularization_path, enet_path])
def test_a_grid_needs_an_l1_penalty(data, path):
    with pytest.raises(ValueError, match=r"l1_ratio|alphas"):
        path(data[0], data[1], l1_ratio=0.0)


def test_unknown_keyword(data):
    for path in (lasso_path, enet_path, regularization_path):
        with pytest.raises(wrong, match="no_such"):
            path(data[0], data[1], no_such=1)


def test_limits_with_positive(data):
    with pytest.raises(ValueError, match=r"positive|upper_limits"):
        Lasso(positive=True, upper_limits=-1.0).fit(data[0], data[1])


FITS = [Lasso(0.1).fit, ElasticNet(0.1).fit, regularization_path, lasso_path, enet_path]
BAD_X = [
    lambda X: spoiled(X, np.nan),
    lambda X: spoiled(X, np.inf),
    lambda X: spoiled(X, -np.inf),
    lambda X: spoiled(X, np.nan).astype(np.float32),
    lambda X: np.asfortranarray(spoiled(X, np.inf)),
    lambda X: sp.csr_matrix(spoiled(X, np.nan)),
    lambda X: sp.csc_array(spoiled(X, np.inf)),
    lambda X: X.astype(complex),
    lambda X: np.full(X.shape, "a"),
    lambda X: X[:, 0],
    lambda X: X[None],
    lambda X: X[:, :0],
    lambda X: X[:0],
    lambda X: None,
    lambda X: 3.0,
]


@pytest.mark.parametrize("fit", FITS, ids=lambda f: getattr(f, "__qualname__", str(f)))
@pytest.mark.parametrize("bad", range(len(BAD_X)))
def test_bad_X(data, fit, bad):
    X = BAD_X[bad](data[0])
    y = data[1][: len(X)] if isinstance(X, np.ndarray) and len(X) == 0 else data[1]
    # scikit-learn's validation words some of these itself, without the argument's name
    with pytest.raises(wrong, match=r"X|array|feature|sample|[Cc]omplex|string|float"):
        fit(X, y)


BAD_Y = [
    lambda y: spoiled(np.tile(y[:, None], (1, 5)), np.nan),
    lambda y: np.where(np.arange(40) == 7, np.nan, y),
    lambda y: np.where(np.arange(40) == 7, np.inf, y),
    lambda y: y[:-1],
    lambda y: y[:, None, None],
    lambda y: np.full(40, "a"),
    lambda y: y + 1j,
    lambda y: 3.0,
]


@pytest.mark.parametrize("fit", FITS, ids=lambda f: getattr(f, "__qualname__", str(f)))
@pytest.mark.parametrize("make", [np.asarray, sp.csc_matrix])
@pytest.mark.parametrize("bad", range(len(BAD_Y)))
def test_bad_y(data, fit, make, bad):
    with pytest.raises(wrong, match=r"\by\b|inconsistent|array|[Cc]omplex|string"):
        fit(make(data[0]), BAD_Y[bad](data[1]))


@pytest.mark.parametrize("Model", [Lasso, ElasticNet])
def test_y_is_required(data, Model):
    with pytest.raises(wrong, match="y"):
        Model().fit(data[0], None)


BAD_WEIGHTS = [-np.ones(40), np.r_[-1e-9, np.ones(39)], np.zeros(40), np.ones(39), np.ones((40, 1)), -1.0, np.nan]
BAD_WEIGHTS += [np.r_[np.nan, np.ones(39)], np.r_[np.inf, np.ones(39)], "x", ["a"] * 40]


@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("bad", range(len(BAD_WEIGHTS)))
def test_bad_sample_weight(data, make, bad):
    for fit in (Lasso(0.1).fit, ElasticNet(0.1).fit, regularization_path):
        with pytest.raises(wrong, match=r"sample_weight|[Ss]ample weights"):
            fit(make(data[0]), data[1], sample_weight=BAD_WEIGHTS[bad])


def test_prediction_checks_its_input(data):
    X, y, _ = data
    with pytest.raises(wrong, match="not fitted"):
        Lasso().predict(X)
    model, path = Lasso(0.1).fit(X, y), regularization_path(X, y, alphas=5)
    for predict in (model.predict, lambda Z: path.predict(Z, 0.1)):
        for bad in (X[:, :3], spoiled(X, np.nan), X[0]):
            with pytest.raises(wrong, match=r"X|feature|array"):
                predict(bad)
    for alpha in (-0.1, np.nan, "x"):
        with pytest.raises(wrong, match="alpha"):
            path.predict(X, alpha)


def test_a_failed_fit_leaves_the_model_as_it_was(data):
    X, y, _ = data
    model = Lasso(0.1).fit(X, y)
    before = model.coef_.copy()
    with pytest.raises(wrong, match="alpha"):
        model.set_params(alpha=-1.0).fit(X, y)
    np.testing.assert_array_equal(model.coef_, before)
