"""Bad input raises ValueError or TypeError, and the message names the argument."""

import datetime
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from fastreg import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    enet_path,
    lasso_path,
    regularization_path,
    ridge_path,
    ridge_regression,
)

wrong = (ValueError, TypeError)

PARAMETERS = [
    ("alpha", [-1.0, np.nan, np.inf, "0.1", None, [0.1, 0.2], Fraction(1, 10), Decimal("0.1"), 10**400, 1j, True]),
    ("l1_ratio", [-0.1, 1.1, np.nan, "x", None, Fraction(1, 2)]),
    ("tol", [-1e-4, np.nan, "small", None]),
    ("max_iter", [0, -5, 1.5, "many", None]),
    ("selection", ["other", 3]),
    ("n_threads", [0, -2, 1.5, "all"]),
    ("penalty_factor", [np.ones(3), -np.ones(25), np.full(25, np.nan), "x", np.ones((25, 2))]),
    ("lower_limits", [0.5, np.full(25, 0.1), np.zeros(3), np.nan, "x", np.full((1, 25), -1.0)]),
    ("upper_limits", [-0.5, np.full(25, -0.1), np.zeros(3), np.nan, "x", np.full((1, 25), 1.0)]),
    ("fit_intercept", ["yes", None]),
    ("positive", ["yes", None]),
    ("copy_X", ["yes", 1]),
    ("warm_start", ["yes", None]),
    ("random_state", ["a", -1, 1.5, 2**40, True, np.random.default_rng(0)]),
    ("precompute", ["x", None, 1, np.ones((2, 2)), np.array([["a"]])]),
    ("standardize", ["yes", None]),
]
OF_ESTIMATORS = ("alpha", "selection", "copy_X", "warm_start", "random_state", "precompute")
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


@pytest.mark.parametrize(("name", "value"), [c for c in CASES if c[0] not in OF_ESTIMATORS], ids=str)
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


# ---- what would become numbers without a word, and errors that would not say where ---------------------------------
EVERY_FIT = [*FITS, ElasticNetCV(alphas=3, cv=3).fit, LassoCV(alphas=3, cv=3).fit, Ridge().fit, RidgeCV().fit,
             RidgeCV(cv=3).fit, lambda X, y, **k: ridge_path(X, y, [1.0], **k),
             lambda X, y, **k: ridge_regression(X, y, 1.0, **k)]
DAYS = pd.date_range("2020-01-01", periods=40)
every_fit = pytest.mark.parametrize("fit", EVERY_FIT, ids=range(len(EVERY_FIT)))


def with_labels(fit):
    """The fit of a classifier, for tests of X and weights."""
    return lambda X, y, **k: fit(X, np.asarray(y) > 0, **k)


CLASSIFIERS = [with_labels(model.fit) for model in (RidgeClassifier(), RidgeClassifierCV(), RidgeClassifierCV(cv=3))]

# name: (what y becomes, the error)
REFUSED_Y = {
    "sparse": (lambda y: sp.csr_array(y[:, None]), "Sparse data was passed for y"),
    "lazy": (lambda y: pl.DataFrame({"y": y}).lazy(), r"y is a LazyFrame.*collect"),
    "masked": (lambda y: np.ma.array(y, mask=y > 0), "y is a masked array with masked entries"),
    "None": (lambda y: np.array([None, *y[1:]], dtype=object), "y contains NaN"),
    "None in a list": (lambda y: [*y[:-1], None], "y contains NaN"),
    "NA": (lambda y: pd.Series([1, None] * 20, dtype="Int64"), "y contains NaN"),
    "complex": (lambda y: y + 0j, "Complex data not supported: y"),
    "complex list": (lambda y: list(y + 0j), "Complex data not supported: y"),
    "complex objects": (lambda y: (y + 0j).astype(object), "y"),
    "NumPy's complex in objects": (lambda y: np.array([np.complex128(1), *y[1:]], dtype=object), "Complex.* y"),
    "dates": (lambda y: DAYS, r"y holds datetime64.*convert them to numbers"),
    "dates as array": (lambda y: DAYS.to_numpy(), r"y holds datetime64"),
    "dates with a zone": (lambda y: pd.Series(DAYS.tz_localize("UTC")), r"y holds datetime64"),
    "dates in a list": (lambda y: list(DAYS), r"y .*Timestamp.* in row 0"),
    "NumPy's dates in a list": (lambda y: list(DAYS.to_numpy()), "y holds datetime64"),
    "NumPy's dates in objects": (lambda y: np.array([*DAYS.to_numpy()], dtype=object), "y holds datetime64"),
    "dates of Python": (lambda y: [datetime.date(2020, 1, 1)] * 40, r"y .*datetime\.date.* in row 0"),
    "polars' dates": (lambda y: pl.Series(DAYS.to_pydatetime().tolist()), "y holds Datetime"),
    "durations": (lambda y: DAYS - DAYS[0], r"y holds timedelta64.*convert"),
    "texts": (lambda y: y.astype(str), "y must hold numbers"),
    "texts in a list": (lambda y: [*y[:-1], "m"], r"y\[39\] must be an instance of float, not str"),
    "texts in objects": (lambda y: np.array([*y[:-1], "m"], dtype=object), "y .*'m' in row 39"),
}


@every_fit
@pytest.mark.parametrize("case", REFUSED_Y)
def test_refused_y(data, fit, case):
    X, y, _ = data
    change, message = REFUSED_Y[case]
    with pytest.raises(wrong, match=message):
        fit(X, change(y))


def frame(X, **columns):
    return pd.DataFrame(X[:, :3], columns=list("abc")).assign(**columns)


def polars_frame(X, **columns):
    return pl.DataFrame(X[:, :3], schema=list("abc")).with_columns(**{k: pl.Series(v) for k, v in columns.items()})


REFUSED_X = {
    "lazy": (lambda X: polars_frame(X).lazy(), r"X is a LazyFrame.*collect"),
    "masked": (lambda X: np.ma.array(X, mask=X > 1), "X is a masked array with masked entries"),
    "complex": (lambda X: X + 0j, "Complex data not supported: X"),
    "complex frame": (lambda X: frame(X, z=1j), "Complex data not supported: X.* 'z'"),
    "complex list": (lambda X: (X + 0j).tolist(), "Complex data not supported: X"),
    "sparse complex": (lambda X: sp.csr_array(X + 0j), "Complex data not supported: X"),
    "dates": (lambda X: DAYS.to_numpy()[:, None], "X holds datetime64"),
    "dates in a frame": (lambda X: frame(X, when=DAYS), r"X holds datetime64.* in column 'when': convert them"),
    "durations in a frame": (lambda X: frame(X, long=DAYS - DAYS[0]), r"X holds timedelta64.* 'long'"),
    "dates in objects": (lambda X: np.array(DAYS.to_numpy().tolist(), dtype=object)[:, None], "X"),
    "NumPy's dates in objects": (lambda X: np.array([[d] for d in DAYS.to_numpy()], dtype=object), "X holds date"),
    "dates in polars": (lambda X: polars_frame(X, when=DAYS.to_pydatetime().tolist()), "X holds Datetime.* 'when'"),
    "months": (lambda X: frame(X, when=DAYS.to_period("M")), "X .* in column 'when', row 0"),
    "texts": (lambda X: frame(X, sex=["f"] * 7 + ["m"] * 33), r"X .*'f' in column 'sex', row 0.*'f'"),
    "a text": (lambda X: frame(X, sex=[1.0] * 7 + ["m"] + [2.0] * 32), r"X .*'m' in column 'sex', row 7"),
    "categories": (lambda X: frame(X, sex=pd.Categorical(["f", "m"] * 20)), r"X .*'f' in column 'sex', row 0"),
    "a name twice": (lambda X: pd.DataFrame([[1.0, "m"]] * 40, columns=["a", "a"]), r"X .*'m' in column 'a', row 0"),
    "texts in polars": (lambda X: polars_frame(X, sex=["f", "m"] * 20), r"X .*'f' in column 'sex', row 0"),
    "texts in objects": (lambda X: np.array(frame(X, sex="f"), dtype=object), r"X .*'f' in column 3, row 0"),
    "texts in lists": (lambda X: frame(X, sex="f").to_numpy().tolist(), r"X .*'f' in column 3, row 0"),
}


@pytest.mark.parametrize("fit", [*EVERY_FIT, *CLASSIFIERS], ids=range(len(EVERY_FIT) + len(CLASSIFIERS)))
@pytest.mark.parametrize("case", REFUSED_X)
def test_refused_X(data, fit, case):
    X, y, _ = data
    change, message = REFUSED_X[case]
    with pytest.raises(wrong, match=message):
        fit(change(X), y)


@pytest.mark.parametrize("case", sorted(set(REFUSED_X) - {"a name twice"}))
def test_refused_in_prediction(data, case):
    X, y, _ = data
    bad = REFUSED_X[case][0](X)
    bad_names = getattr(bad, "columns", None) if case != "lazy" else None
    good = pd.DataFrame(np.zeros((40, len(bad_names))), columns=list(bad_names)) if bad_names is not None else X
    models = [Lasso(0.1).fit(good, y), Ridge().fit(good, y), RidgeClassifier().fit(good, y > 0)]
    for predict in (*(model.predict for model in models), regularization_path(good, y, alphas=3).predict):
        with pytest.raises(wrong, match=REFUSED_X[case][1]):
            predict(bad)


REFUSED_WEIGHTS = {
    "complex": (lambda w: w + 0j, "Complex data not supported: sample_weight"),
    "masked": (lambda w: np.ma.array(w, mask=w > 1), "sample_weight is a masked array"),
    "None": (lambda w: [None, *w[1:]], "sample_weight must be finite"),
    "texts": (lambda w: w.astype(str), "sample_weight must hold numbers"),
    "texts in a list": (lambda w: ["1"] * len(w), r"sample_weight\[0\] must be an instance of float"),
    "dates": (lambda w: DAYS, "sample_weight holds datetime64"),
    "sparse": (lambda w: sp.csr_array(w[None]), "Sparse data was passed for sample_weight"),
    "lazy": (lambda w: pl.DataFrame({"w": w}).lazy(), "sample_weight is a LazyFrame"),
    "two dimensions": (lambda w: w[:, None], "Sample weights must be 1D array or scalar: sample_weight"),
    "a complex number": (lambda w: 1j, "sample_weight must be a number"),
    "zero": (lambda w: 0.0, "sample_weight must be finite and > 0"),
}


@pytest.mark.parametrize("case", REFUSED_WEIGHTS)
def test_refused_weights(data, case):
    X, y, weight = data
    change, message = REFUSED_WEIGHTS[case]
    for fit in (*EVERY_FIT, *CLASSIFIERS):
        with pytest.raises(wrong, match=message):
            fit(X, y, sample_weight=change(weight))


def test_what_looks_alike_is_taken(data):
    """Masked arrays without masked entries, frames, nullable columns, booleans, objects that are numbers."""
    X, y, _ = data
    expected = Lasso(0.1).fit(X, y).coef_
    for same in (np.ma.array(X), pd.DataFrame(X), pd.DataFrame(X).convert_dtypes(), pl.DataFrame(X), X.astype(object),
                 X.tolist(), pd.DataFrame(X, dtype=object)):
        np.testing.assert_allclose(Lasso(0.1).fit(same, y).coef_, expected, rtol=1e-12)      # of another layout
    for same in (np.ma.array(y), pd.Series(y), pl.Series(y), y.astype(object), list(y)):
        np.testing.assert_array_equal(Lasso(0.1).fit(X, same).coef_, expected)
    np.testing.assert_array_equal(Ridge().fit(X, y > 0).coef_, Ridge().fit(X, (y > 0).astype(float)).coef_)


@pytest.mark.parametrize("Model", [LassoCV, ElasticNetCV, Ridge, RidgeClassifier])
@pytest.mark.parametrize("value", ["a", -1, 1.5, True])
def test_random_state_of_other_estimators(data, Model, value):
    with pytest.raises(wrong, match="random_state"):
        Model(random_state=value).fit(data[0], data[1] > 0 if Model is RidgeClassifier else data[1])


@pytest.mark.parametrize(("name", "value"), [
    ("verbose", "x"), ("verbose", -1), ("n_jobs", 1.5), ("n_jobs", 0), ("eps", "x"), ("eps", 0), ("selection_rule", 3),
    ("selection_rule", np.array(["min"])), ("precompute", "x"), ("precompute", np.eye(25)), ("criterion", "cp"),
    ("copy_X", "no"), ("selection", "best"), ("alphas", ["a"]), ("alphas", "x"), ("refit", 1)])
def test_parameters_of_cross_validation(data, name, value):
    with pytest.raises(wrong, match=name):
        LassoCV(**{name: value}).fit(data[0], data[1])


@pytest.mark.parametrize("Model", [LassoCV, RidgeCV, RidgeClassifierCV])
def test_values_of_alphas_are_named(data, Model):
    X, y = data[0], data[1] > 0
    low = ">" if Model is not LassoCV else ">="
    for alphas, error, message in (((1, -1, -100), ValueError, rf"alphas\[1\] == -1, must be {low} 0.0"),
                                   ((1.0, np.nan), ValueError, r"alphas\[1\] == nan"),
                                   ((np.inf, 1.0), ValueError, r"alphas\[0\] == inf"),
                                   ((1, 1.0, "1"), TypeError, r"alphas\[2\] must be an instance of float, not str"),
                                   ([1j], TypeError, "alphas must be real")):
        with pytest.raises(error, match=message):
            Model(alphas=alphas).fit(X, y if Model is RidgeClassifierCV else y.astype(float))


def test_penalties_of_targets_are_counted(data):
    with pytest.raises(ValueError, match=r"targets and number of penalties do not correspond: 2 != 3.*alpha"):
        Ridge(alpha=[1.0, 2.0]).fit(data[0], np.tile(data[1][:, None], 3))
    with pytest.raises(ValueError, match=r"alpha\[1\] == -2"):
        Ridge(alpha=[1.0, -2]).fit(data[0], np.tile(data[1][:, None], 2))


@pytest.mark.parametrize("Model", [LassoCV, RidgeCV])
def test_an_exhausted_generator_of_splits_is_said_to_be_one(data, Model):
    X, y, _ = data
    model = Model(cv=((np.arange(20 * k, 20 * k + 20), np.arange(20 - 20 * k, 40 - 20 * k)) for k in (0, 1)))
    model.fit(X, y)
    with pytest.raises(ValueError, match=r"cv .*exhausted"):
        model.fit(X, y)


@pytest.mark.parametrize("value", [None, "0.5", np.ones(2), 1j, [0.5]], ids=repr)
@pytest.mark.parametrize(("Model", "cv"), [(LassoCV, 3), (ElasticNetCV, 3), (RidgeCV, None), (RidgeCV, 3),
                                           (RidgeClassifierCV, None), (RidgeClassifierCV, 3)])  # fmt: skip
def test_scoring_that_returns_no_number(data, Model, cv, value):
    X, y = data[0], data[1] > np.median(data[1])

    def score(model, X, y, **params):
        return value

    with pytest.raises(ValueError, match=r"scoring=.*score.* must return a number, got " + re.escape(repr(value))):
        Model(scoring=score, cv=cv).fit(X, y if Model is RidgeClassifierCV else y.astype(float))


@pytest.mark.parametrize("kind", [float, np.float32, np.int64, np.array, lambda v: np.array([v]), bool])
@pytest.mark.parametrize(("Model", "cv"), [(LassoCV, 3), (RidgeCV, None), (RidgeCV, 3)])
def test_scoring_that_returns_any_kind_of_number(data, Model, cv, kind):
    X, y = data[:2]
    model = Model(scoring=lambda model, X, y, **params: kind(1), cv=cv).fit(X, y)
    assert model.alpha_ > 0


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("Model", [RidgeClassifierCV, RidgeCV, LassoCV])
def test_scoring_that_needs_probabilities(data, Model, cv):
    X, y = data[0], data[1] > 0
    with pytest.raises(ValueError, match=rf"scoring='neg_log_loss' .*{Model.__name__} does not have.*predict_proba"):
        Model(scoring="neg_log_loss", cv=cv).fit(X, y if Model is RidgeClassifierCV else y.astype(float))


def test_labels_that_cannot_be_sorted(data):
    with pytest.raises(TypeError, match="y holds labels that cannot be sorted"):
        RidgeClassifier().fit(data[0], np.array(["a", None] * 20, dtype=object))
