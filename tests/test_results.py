"""A path as people read it: its length and parts, scores, tables, and what NumPy and pandas make of it."""
import builtins
import pickle
import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from problems import make_data
from sklearn.metrics import d2_log_loss_score, d2_tweedie_score, r2_score

from fastreg import ElasticNetCV, Lasso, LassoCV, Path, PoissonRegressor, RidgeCV, regularization_path, ridge_path


@pytest.fixture(scope="module")
def data():
    return make_data(0)


def counts(n=60):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, 6))
    offset = rng.normal(size=n)
    return X, rng.poisson(np.exp(0.5 * X[:, 0] + offset + 1)), offset, rng.integers(0, 4, n).astype(float)


def of_labels(n_classes):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((120, 5))
    y = np.argmax(X[:, :n_classes] + rng.gumbel(size=(120, n_classes)), axis=1)
    return X, np.array(["ape", "bee", "cat"])[y]


# ---- scores --------------------------------------------------------------------------------------------------------
def test_scores_are_those_of_scikit_learn(data):
    X, y, weight = data
    path = regularization_path(X[:30], y[:30], alphas=8)
    P = path.predict(X[30:])
    found = path.score(X[30:], y[30:], sample_weight=weight[30:])
    np.testing.assert_allclose(found, [r2_score(y[30:], P[:, k], sample_weight=weight[30:]) for k in range(8)])
    assert path.score(X, y, path.alphas[3]) == path.score(X, y)[3] and np.ndim(path.score(X, y, 0.1)) == 0
    np.testing.assert_allclose(path.score(X, y, [0.2, 0.1]), [path.score(X, y, 0.2), path.score(X, y, 0.1)])
    X, y, _, weight = counts()
    path = regularization_path(X, y, datafit="poisson", alphas=8)
    P = path.predict(X)
    right = [d2_tweedie_score(y, P[:, k], sample_weight=weight, power=1) for k in range(8)]
    np.testing.assert_allclose(path.score(X, y, sample_weight=weight), right, atol=1e-12)
    model = PoissonRegressor(alpha=path.alphas[5], l1_ratio=1.0, tol=1e-10).fit(X, y)
    assert path.score(X, y, path.alphas[5]) == pytest.approx(model.score(X, y), rel=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_labels(n_classes):
    X, y = of_labels(n_classes)
    datafit = "logistic" if n_classes == 2 else "multinomial"
    path = regularization_path(X[:80], y[:80], datafit=datafit, alphas=6, eps=1e-2)
    P, rest = path.predict_proba(X[80:]), y[80:]
    right = [d2_log_loss_score(rest, P[..., k]) for k in range(6)]
    np.testing.assert_allclose(path.score(X[80:], rest), right, rtol=1e-9)
    one = rest == "ape"
    assert np.isin(path.score(X[80:][one], rest[one]), (0, 1)).all(), "a constant y leaves nothing to explain"
    with pytest.raises(ValueError, match="y must hold the labels of the fit"):
        path.score(X, np.full(len(X), "dog"))


@pytest.mark.parametrize("loss", ["quadratic", "several", "poisson", "gamma", "huber(0.7)", "squared_hinge", "logistic",
                                  "multinomial"])
def test_on_the_rows_of_the_fit_the_score_is_what_the_path_says(data, loss):
    """Of every loss, with weights, and with offsets where they are taken."""
    X, y, weight = data
    options = {"sample_weight": weight, "offset": 0.3 * np.cos(np.arange(len(y)))}
    if loss in ("quadratic", "several"):
        y = np.c_[y, -3 * y, np.abs(y)] if loss == "several" else y
    elif loss == "multinomial":
        y, options["offset"] = np.digitize(y, np.quantile(y, [0.3, 0.6])), None
    elif loss in ("logistic", "squared_hinge"):
        y = np.where(y > 0, "yes", "no")
    else:
        y = np.exp(y / np.std(y))
    path = regularization_path(X, y, alphas=7, datafit="quadratic" if loss == "several" else loss, **options)
    np.testing.assert_allclose(path.score(X, y, **options), path.deviance_explained, rtol=0, atol=1e-9)
    assert np.all(path.deviance_explained[..., -1] > 0.3)


def test_scores_of_ridge_and_of_constants(data):
    X, y, _ = data
    Y = np.c_[y, np.ones(len(y))]
    path = ridge_path(X, Y, [10.0, 0.1])
    P = path.predict(X)
    np.testing.assert_allclose(path.score(X, Y)[0], [r2_score(y, P[:, 0, k]) for k in range(2)])
    assert np.isin(path.score(X, Y)[1], (0, 1)).all() and path.score(X, Y, 0.1).shape == (2,)
    for wrong in (y, Y[:, :1], Y[:5]):
        with pytest.raises(ValueError, match="y must"):
            path.score(X, wrong)
    with pytest.raises(ValueError, match="y must be finite"):
        path.score(X, Y * np.nan)


# ---- parts ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["one", "several", "classes", "ridge", "ridge of several"])
def test_parts_of_a_path(data, kind):
    X, y, _ = data
    Y = np.c_[y, 2 * y**2]
    options = {"X_val": X[:9], "y_val": y[:9]} if kind == "one" else {}
    path = {"one": lambda: regularization_path(X, y, alphas=9, **options),
            "several": lambda: regularization_path(X, Y, alphas=9),
            "classes": lambda: regularization_path(*of_labels(3), datafit="multinomial", alphas=9, eps=0.1),
            "ridge": lambda: ridge_path(X, y, np.geomspace(1, 100, 9)),
            "ridge of several": lambda: ridge_path(X, Y, np.geomspace(1, 100, 9))}[kind]()
    X = of_labels(3)[0] if kind == "classes" else X
    whole, coefs = path.decision_function(X), np.asarray(path.coefs)
    assert len(path) == 9 and bool(path)
    points = list(path)
    assert [point.alpha for point in points] == path.alphas.tolist()
    for k, point in enumerate(points):
        np.testing.assert_array_equal(point.coef, coefs[..., k])
        np.testing.assert_array_equal(point.intercept, path.intercepts[..., k])
        np.testing.assert_array_equal(point.df, path.df[..., k])
        np.testing.assert_allclose(point.decision_function(X), whole[..., k], atol=1e-12)
        np.testing.assert_array_equal(point.predict(X), path.predict(X, point.alpha))
        assert point.certified_from == path.certified_from[k] and repr(point).startswith("PathPoint(alpha=")
    if kind == "classes":
        np.testing.assert_allclose(points[5].predict_proba(X), path.predict_proba(X)[..., 5], atol=1e-12)
    elif kind == "one":
        assert points[5].score(X, y) == path.score(X, y, path.alphas[5]) != points[4].score(X, y)
    if path.dual_gaps is not None:
        np.testing.assert_array_equal(path[-1].dual_gap, path.dual_gaps[..., -1])
        np.testing.assert_array_equal(path[-1].deviance_explained, path.deviance_explained[..., -1])
    for key in (slice(2, 7, 2), [2, 4, 6], path.alphas > path.alphas[3], np.array([0, -1])):
        some, index = path[key], np.arange(9)[key]
        assert type(some) is Path and some.alphas.tolist() == path.alphas[index].tolist()
        np.testing.assert_allclose(some.decision_function(X), whole[..., index], atol=1e-12)
        for name in ("df", "intercepts", "certified_from", "dual_gaps", "deviances", "validation_deviances", "gcv"):
            of_all = getattr(path, name)
            np.testing.assert_array_equal(getattr(some, name), None if of_all is None else of_all[..., index])
    alpha = 0.5 * (path.alphas[2] + path.alphas[3])
    between = path.at(alpha)
    np.testing.assert_allclose(between.coef, (coefs[..., 2] + coefs[..., 3]) / 2, atol=1e-12)
    np.testing.assert_allclose(between.decision_function(X), path.decision_function(X, alpha), rtol=1e-12)
    assert "no certificate" in between.path.certificate and between.path.certificate in between.path.summary()
    if path.dual_gaps is not None:
        used = np.count_nonzero(between.coef, axis=-1)
        np.testing.assert_array_equal(between.df, used.sum() if kind == "classes" else used)
        assert np.all(np.isnan(between.dual_gap))
    np.testing.assert_array_equal(path.at(path.alphas[4]).coef, coefs[..., 4])


def test_a_point_between_is_solved_anew_when_asked(data):
    X, y, _ = data
    path = regularization_path(X, y, alphas=9, tol=1e-12)
    alpha = 0.7 * path.alphas[3]
    np.testing.assert_allclose(path[2:5].at(alpha, exact=True).coef, Lasso(alpha, tol=1e-12).fit(X, y).coef_, atol=1e-7)
    with pytest.raises(ValueError, match="has not kept"):
        pickle.loads(pickle.dumps(path)).at(alpha, exact=True)
    for key in (slice(None, None, -1), [], [3, 3], path.alphas > 1e9):
        with pytest.raises(ValueError, match="key must"):
            path[key]
    with pytest.raises(IndexError, match="9 solutions"):
        path[9]
    with pytest.raises(TypeError):
        path[0.5]
    with pytest.raises(ValueError, match="alpha must be"):
        path.at(-1.0)
    with pytest.raises(TypeError, match="exact must"):
        path.at(1.0, exact=1)


# ---- tables --------------------------------------------------------------------------------------------------------
def numbers(text):
    """The rows of a table as numbers."""
    return np.array([[float(cell) for cell in line.split()] for line in text.splitlines()
                     if re.fullmatch(r"[\s\d.e+-]+", line) and line.strip()])


def test_summary(data):
    X, y, _ = data
    path = regularization_path(X, y, alphas=30, X_val=X, y_val=y)
    found = numbers(path.summary())
    index = np.linspace(0, 29, 12).round().astype(int)
    right = np.c_[path.alphas, path.df, path.deviance_explained, path.validation_deviances,
                  path.dual_gaps / (0.5 * np.var(y))][index]
    np.testing.assert_allclose(found, right, rtol=1e-2, atol=1e-4)
    assert len(numbers(path.summary(rows=3))) == 3 and len(numbers(path[:5].summary())) == 5
    assert path.summary().endswith(path.certificate) and path.certificate in repr(path)
    worst = np.argmax(path.dual_gaps)
    assert f"{path.dual_gaps[worst] / (0.5 * np.var(y)):.1e}" in path.certificate
    assert f"alpha={path.alphas[worst]:.6g}" in path.certificate
    assert path.summary().count("R^2") == 1 and path._repr_html_().count("<tr>") == 13
    with pytest.raises(ValueError, match="rows"):
        path.summary(0)


def test_what_was_chosen_is_told_in_a_line(data):
    """Not by thousands of numbers."""
    X, y, _ = data
    for model, size in ((LassoCV(alphas=7), "7"), (ElasticNetCV(alphas=7, l1_ratio=[0.5, 1.0]), "2 x 7"),
                        (LassoCV(alphas=7, criterion="bic"), "7"), (RidgeCV([3.0, 2.0, 1.0]), "3")):
        with warnings.catch_warnings(action="ignore"):     # of edges
            model.fit(X, y)
        curves = model.ic_path_ if getattr(model, "criterion", None) else model.cv_path_
        assert repr(curves) == f"<SelectionCurves of {size} alphas; {curves.reason}>"


def test_summaries_of_others(data):
    X, y, _ = data
    path = ridge_path(X, y, [3.0, 2.0, 1.0])
    np.testing.assert_allclose(numbers(path.summary()), np.c_[path.alphas, path.df, path.gcv, path.coef_bounds],
                               rtol=0.05)
    assert f"within {path.coef_bounds.max():.1e}" in path.certificate
    several = regularization_path(X, np.c_[y, y**2], alphas=4)
    text = several.summary()
    assert text.index("target 0") < text.index("target 1") and len(numbers(text)) == 8
    assert several._repr_html_().count("<table>") == 2
    assert "D^2" in regularization_path(*of_labels(2), datafit="logistic", alphas=3, eps=0.1).summary()
    assert len(numbers(regularization_path(*of_labels(3), datafit="multinomial", alphas=4, eps=0.1).summary())) == 4


def test_certificates_say_where_they_are_from(data):
    X, y, _ = data
    path = regularization_path(X, y, alphas=5)
    for sources, words in (("XXXXX", "from X itself"), (["sums"] * 5, "from sums of products"),
                           (["sums"] * 3 + ["X"] * 2, "2 from X itself, 3 from sums")):
        path.certified_from = np.array(list(sources))
        assert words in path.certificate


# ---- pandas and NumPy ----------------------------------------------------------------------------------------------
def test_to_frame(data):
    pd = pytest.importorskip("pandas")
    X, y, _ = data
    names = [f"gene {j}" for j in range(X.shape[1])]
    path = regularization_path(pd.DataFrame(X, columns=names), y, alphas=6)
    frame = path.to_frame()
    assert frame.index.tolist() == names and frame.columns.tolist() == path.alphas.tolist()
    np.testing.assert_array_equal(frame, path.coefs.toarray())
    assert path[2:4].to_frame().index.tolist() == names
    used = path[:3].to_frame(nonzero=True)
    np.testing.assert_array_equal(used, frame.iloc[:, :3][(frame.iloc[:, :3] != 0).any(axis=1)])
    assert 0 < len(used) < len(frame)
    frame.iloc[0, 0] = 7.0
    assert path.to_frame().iloc[0, 0] != 7.0
    plain = ridge_path(X, y, [2.0, 1.0])
    frame = plain.to_frame()
    frame.iloc[:] = 0.0
    assert plain.coefs.all() and plain.to_frame().index.tolist() == list(range(X.shape[1]))
    several = regularization_path(X, np.c_[y, -y], alphas=3)
    np.testing.assert_array_equal(several.to_frame().loc[1], several.coefs[1].toarray())
    X, y = of_labels(3)
    classes = regularization_path(X, y, datafit="multinomial", alphas=3, eps=0.1)
    np.testing.assert_array_equal(classes.to_frame().loc["bee"], classes.coefs[1].toarray())
    np.testing.assert_array_equal(pd.DataFrame(path.coefs), path.coefs.toarray())
    np.testing.assert_array_equal(pd.DataFrame(path.coefs.T), path.coefs.toarray().T)


def test_to_frame_without_pandas(data, monkeypatch):
    path, real = regularization_path(*data[:2], alphas=3), builtins.__import__

    def without(name, *args, **options):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas"):
        path.to_frame()


# ---- ridge_path picks its own alphas -------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"standardize": True}, {"fit_intercept": False},
                                     {"penalty_factor": np.r_[np.inf, np.linspace(0.5, 3, 24)]}], ids=str)
@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_array])
def test_ridge_path_picks_its_alphas(data, options, make):
    """From nearly nothing in use to nearly everything, whatever the units."""
    X, y, weight = data
    path = ridge_path(make(X), y, sample_weight=weight, **options)
    centre = options.get("fit_intercept", True)
    factor = np.broadcast_to(options.get("penalty_factor", 1.0), 25)
    squares = weight @ (X - centre * np.average(X, axis=0, weights=weight))**2
    if "standardize" in options:
        squares = np.full(25, weight.sum())
    squares = (squares / factor)[np.isfinite(factor)]
    right = np.geomspace(10 * squares.sum(), 1e-5 * squares.min(), 100)
    np.testing.assert_allclose(path.alphas, right, rtol=1e-9)
    assert path.df[0] - centre <= 0.1 and path.df[-1] - centre >= len(squares) - 0.1
    other = ridge_path(make(1e40 * X), y, 7, sample_weight=1e-3 * weight, **options)
    unit = 1e-3 if "standardize" in options else 1e77
    np.testing.assert_allclose(other.alphas, unit * np.geomspace(right[0], right[-1], 7), rtol=1e-9)
    few = ridge_path(make(X), y, 3, eps=0.01, sample_weight=weight, **options)
    np.testing.assert_allclose(few.alphas, right[0] * np.array([1, 0.1, 0.01]), rtol=1e-9)


def test_alphas_of_ridge_path_that_are_given(data):
    X, y, _ = data
    assert ridge_path(X, y, 3.0).alphas.tolist() == [3.0] and len(ridge_path(X, y, np.int64(3))) == 3
    assert not ridge_path(np.ones((5, 2)), np.arange(5.0), 3).coefs.any()
    wide = ridge_path(X * np.geomspace(1e-9, 1e9, 25), y)
    assert wide.alphas[-1] / wide.alphas[0] == pytest.approx(1e-14, abs=0)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="alphas must be"):
            ridge_path(X, y, wrong)
    with pytest.raises(ValueError, match="eps must be"):
        ridge_path(X, y, eps=2.0)
