"""What a user of scikit-learn expects: names of features, dtypes, numpy scalars, path functions, meta-estimators."""

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model as theirs
from problems import make_data
from referee import Referee
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

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
    enet_path,
    lasso_path,
    regularization_path,
    ridge_path,
    ridge_regression,
)
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import PathSolver

REGRESSORS = [Lasso(0.1), ElasticNet(0.1), LassoCV(alphas=5, cv=3), ElasticNetCV(alphas=5, cv=3), Ridge(), RidgeCV(),
              RidgeCV(cv=3)]
NAMES = list("abcde")


def frames():
    X, y, _ = make_data(3, 60, 5)
    return pd.DataFrame(X, columns=NAMES), y


# ---- names of features ---------------------------------------------------------------------------------------------
def paths(df, y):
    """Every path object that predicts."""
    cv = LassoCV(alphas=4, cv=3, keep_paths=True).fit(df, y)
    return [regularization_path(df, y, alphas=4), cv.path_, cv.fold_paths_[0][1],
            LassoCV(alphas=4, criterion="bic", keep_paths=True).fit(df, y).path_, ridge_path(df, y, [1.0, 0.05]),
            regularization_path(df, np.c_[y, -y], alphas=4), ridge_path(df, np.c_[y, -y], [1.0, 0.05])]


@pytest.mark.parametrize("which", range(7))
def test_paths_know_their_features(which):
    df, y = frames()
    path = paths(df, y)[which]
    assert path.n_features_in_ == 5 and path.feature_names_in_.tolist() == NAMES
    fit = path.predict(df, alpha=0.1)
    for again in (pickle.loads(pickle.dumps(path)), deepcopy(path)):
        np.testing.assert_array_equal(again.predict(df, alpha=0.1), fit)
        with pytest.raises(ValueError, match="feature names should match"):
            again.predict(df[NAMES[::-1]], alpha=0.1)
    with pytest.raises(ValueError, match="feature names should match"):
        path.predict(df.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="feature names"):
        path.predict(df[NAMES[:4]])
    with pytest.raises(ValueError, match="4 features"), warnings.catch_warnings(action="ignore"):
        path.predict(df.to_numpy()[:, :4])
    with pytest.warns(UserWarning, match="valid feature names"):
        np.testing.assert_array_equal(path.predict(df.to_numpy(), alpha=0.1), fit)


def test_paths_without_names():
    df, y = frames()
    for path in paths(df.to_numpy(), y):
        assert not hasattr(path, "feature_names_in_") and path.n_features_in_ == 5
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            path.predict(df.to_numpy())
            path.predict(sp.csr_array(df.to_numpy()))


def test_names_of_other_frames():
    df, y = frames()
    other = pl.DataFrame(df.to_numpy(), schema=NAMES)
    path, model = regularization_path(other, y, alphas=4), Lasso(0.1).fit(other, y)
    for fitted in (path, model):
        assert fitted.feature_names_in_.tolist() == NAMES
        with pytest.raises(ValueError, match="feature names"):
            fitted.predict(other[NAMES[::-1]])


# ---- float32 -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", [*REGRESSORS, LassoCV(criterion="aic"), LassoCV(alphas=5, relax=True),
                                   RidgeClassifier(), RidgeClassifierCV()], ids=repr)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_single_precision_in_and_out(model, make):
    X, y, _ = make_data(5, 60, 5)
    y = y > np.median(y) if isinstance(model, (RidgeClassifier, RidgeClassifierCV)) else y + 3
    stored = make(X.astype(np.float32))
    single = clone(model).fit(stored, y)
    double = clone(model).fit(make(X.astype(np.float32).astype(np.float64)), y)
    assert single.coef_.dtype == np.float32 and double.coef_.dtype == np.float64
    assert np.asarray(single.intercept_).dtype == np.float32
    eps = np.finfo(np.float32).eps
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=eps, atol=eps * np.abs(double.coef_).max())
    np.testing.assert_allclose(single.intercept_, double.intercept_, rtol=4 * eps)
    if model in REGRESSORS:
        assert single.predict(stored).dtype == np.float32


@pytest.mark.parametrize("scale", [1e60, 1e-60])
@pytest.mark.parametrize("model", [Ridge(), Lasso(0.01), LassoCV(alphas=5, cv=3)], ids=repr)
def test_targets_that_single_precision_does_not_hold(model, scale):
    """X in float32 must not turn coefficients of 1e60 into infinity, or of 1e-60 into zero."""
    X, y, _ = make_data(5, 60, 5)
    X = X.astype(np.float32)
    alpha = 1.0 if isinstance(model, Ridge) else scale
    scaled = clone(model)
    if hasattr(model, "alpha"):
        scaled.alpha = model.alpha * alpha
    found, expected = scaled.fit(X, scale * y).coef_, clone(model).fit(X, y).coef_
    np.testing.assert_allclose(found / scale, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", [
    {"alpha": 0.0}, {"alpha": 0.1}, {"alpha": 0.1, "l1_ratio": 0.5}, {"alpha": 0.1, "penalty_factor": [0, 1, 1, 2, 1]},
    {"alpha": 0.05, "lower_limits": -0.5, "upper_limits": 0.5}, {"alpha": 0.1, "fit_intercept": False}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cv", [False, True])
def test_the_gap_is_of_the_rounded_coefficients(options, weighted, cv):
    """Levels of X and y make the rounding of coefficients, or of the intercept, cost more than float64 does."""
    X, y, weight = make_data(7, 60, 5)
    X, y, weight = (X + 100).astype(np.float32), y + 1e4, weight if weighted else None
    options = {"l1_ratio": 1.0} | options
    model = ElasticNet(**options).fit(X, y, weight)
    best = ElasticNet(**options, tol=1e-14).fit(X.astype(np.float64), y, weight)
    if cv:
        model = ElasticNetCV(alphas=[options.pop("alpha")], cv=3, **options).fit(X, y, weight)
    lost = value(best, X, y, weight, model) - value(best, X, y, weight)
    assert 0 < lost <= model.dual_gap_ * (1 + 1e-6) <= 1e-4 * np.mean((y - options.get("fit_intercept", 1) * 1e4) ** 2)


def value(model, X, y, weight=None, of=None):
    """Objective of a model at its coefficients, or at those of another, in long double."""
    of = of or model
    w, b = np.asarray(of.coef_, dtype=np.longdouble), np.longdouble(of.intercept_)
    s = np.ones(len(y)) if weight is None else weight
    factor = 1.0 if model.penalty_factor is None else np.array(model.penalty_factor)
    fit = np.sum(s * (y - X.astype(np.longdouble) @ w - b) ** 2) / (2 * np.sum(s))
    return fit + model.alpha * np.sum(factor * (model.l1_ratio * np.abs(w) + (1 - model.l1_ratio) / 2 * w**2))


@pytest.mark.parametrize("model", [Lasso(1e-3), ElasticNetCV(alphas=[1e-3], cv=3), Ridge()], ids=repr)
def test_rounding_passes_no_limit(model):
    """0.1 in float32 is more than 0.1."""
    X, y, _ = make_data(7, 60, 5)
    model = clone(model).set_params(lower_limits=-0.1, upper_limits=0.1).fit(X.astype(np.float32), 10 * y)
    assert model.coef_.dtype == np.float32 and np.abs(model.coef_).max() > 0.09
    assert np.all(np.abs(model.coef_.astype(np.float64)) <= 0.1)


# ---- warm starts ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [np.asarray, sp.csc_array])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("precompute", [False, True])
def test_a_solution_needs_no_round(make, l1_ratio, precompute):
    X, y, _ = make_data(2, 40, 80)                     # more features in the support than rows, with an L2 term
    model = ElasticNet(0.01, l1_ratio=l1_ratio, precompute=precompute).fit(make(X), y)
    coef = model.coef_.copy()
    model.set_params(warm_start=True).fit(make(X), y)
    assert model.n_iter_ == 0
    np.testing.assert_array_equal(model.coef_, coef)
    model.set_params(alpha=0.1).fit(make(X), y)
    cold = ElasticNet(0.1, l1_ratio=l1_ratio, tol=1e-12).fit(make(X), y)
    assert model.n_iter_ > 0
    assert value(model, X, y) - value(cold, X, y) <= model.dual_gap_ + 1e-12


@pytest.mark.parametrize("gram", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_the_gap_of_a_start_bounds_what_is_missing(gram, l1_ratio):
    X, y, _ = make_data(2, 40, 25)
    best = ElasticNet(0.05, l1_ratio=l1_ratio, tol=1e-14).fit(X, y)
    rng = np.random.default_rng(0)
    for size in (1e-6, 1e-3, 1.0):
        start = best.coef_ + size * rng.standard_normal(25) * (rng.random(25) < 0.5)
        solver = PathSolver(Problem.of(X, y[:, None], Penalty(l1_ratio)), Spec(1, max_iter=0, gram=gram))
        solver.start(start[None])
        found = solver.advance(np.array([0.05]))
        np.testing.assert_array_equal(found.dense()[0], start)
        far = clone(best)
        far.coef_, far.intercept_ = start, found.intercepts[0, 0]
        lost = value(far, X, y) - value(best, X, y)
        assert 0 < lost <= found.dual_gaps[0, 0] * (1 + 1e-9)


# ---- precompute ----------------------------------------------------------------------------------------------------
def test_a_gram_matrix_of_uncentred_features_is_computed_anew():
    X, y, weight = make_data(1, 50, 6)
    X = X + 2
    for s in (None, weight):
        root = np.ones((50, 1)) if s is None else np.sqrt(s / s.mean())[:, None]
        model = ElasticNet(0.1, precompute=(root * X).T @ (root * X))
        with pytest.warns(UserWarning, match="recomputing Gram matrix") as caught:
            model.fit(X, y, s)
        assert caught[0].filename == __file__
        np.testing.assert_allclose(model.coef_, ElasticNet(0.1, precompute=True).fit(X, y, s).coef_, rtol=1e-10)
        with pytest.raises(ValueError, match=r"Gram matrix.*did not pass validation"):
            ElasticNet(0.1, precompute=3 * X.T @ X).fit(X, y, s)


# ---- numpy scalars and arrays of no dimension ----------------------------------------------------------------------
SCALARS = [("alpha", 1), ("l1_ratio", 1), ("tol", 1e-3), ("max_iter", 100), ("n_threads", 1), ("fit_intercept", True),
           ("positive", True), ("warm_start", False), ("copy_X", False), ("precompute", True), ("standardize", True),
           ("penalty_factor", 2), ("random_state", 3)]


@pytest.mark.parametrize(("name", "value"), SCALARS, ids=lambda v: str(v))
def test_numpy_scalars(data, name, value):
    X, y, _ = data
    expected = ElasticNet(0.1).set_params(**{name: value}).fit(X, y)
    kinds = {bool: [np.bool_], int: [np.int32, np.int64, np.uint8], float: [np.float64]}[type(value)]
    kinds += [np.float32] if type(value) is int and name in ("alpha", "l1_ratio", "penalty_factor") else []
    given = [kind(value) for kind in kinds] + ([np.array(value)] if name != "random_state" else [])
    for one in given:
        model = clone(ElasticNet(0.1).set_params(**{name: one})).fit(X, y)
        np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_numpy_scalars_elsewhere(data):
    X, y, _ = data
    for make, options in ((Ridge, {"alpha": 1, "max_iter": 50, "tol": 1}), (RidgeCV, {"alphas": 1}),
                          (LassoCV, {"alphas": 4, "cv": 3, "n_jobs": 1, "n_alphas_no_change": 2, "eps": 1})):
        expected = make(**options).fit(X, y).coef_
        kinds = [np.int64] if make is LassoCV else [np.int64, np.array]
        for kind in kinds:
            np.testing.assert_array_equal(make(**{k: kind(v) for k, v in options.items()}).fit(X, y).coef_, expected)
    np.testing.assert_array_equal(LassoCV(alphas=np.array(4), cv=3, eps=np.float32(0.5)).fit(X, y).alphas_,
                                  LassoCV(alphas=4, cv=3, eps=0.5).fit(X, y).alphas_)
    np.testing.assert_array_equal(ElasticNetCV(l1_ratio=np.array(0.5), alphas=4, cv=3).fit(X, y).coef_,
                                  ElasticNetCV(l1_ratio=0.5, alphas=4, cv=3).fit(X, y).coef_)
    np.testing.assert_array_equal(Ridge().fit(X, y, np.array(2.0)).coef_, Ridge().fit(X, y, 2.0).coef_)


# ---- the path functions and methods of scikit-learn ----------------------------------------------------------------
@pytest.mark.parametrize("path", [lasso_path, enet_path, Lasso.path, LassoCV.path, ElasticNet.path, ElasticNetCV.path])
def test_the_deprecated_ways_to_ask_for_a_number_of_alphas(data, path):
    X, y, _ = data
    expected = path(X, y, alphas=7)[0]
    with pytest.warns(FutureWarning, match="'n_alphas' was deprecated in 1.9 and will be removed in 1.11") as caught:
        np.testing.assert_array_equal(path(X, y, n_alphas=7)[0], expected)
    assert caught[0].filename == __file__
    with pytest.warns(FutureWarning, match="'alphas=None' is deprecated and will be removed in 1.11"):
        assert len(path(X, y, alphas=None)[0]) == 100
    with pytest.warns(FutureWarning):
        assert path(X, y, n_alphas=7, alphas=[0.1, 0.2])[0].tolist() == [0.2, 0.1]
    with pytest.warns(FutureWarning), pytest.raises(TypeError, match="n_alphas"):
        path(X, y, n_alphas="x")


@pytest.mark.parametrize("path", [lasso_path, enet_path])
def test_errors_of_the_path_functions_name_them(data, path):
    with pytest.raises(ValueError, match=rf"Unexpected parameters in params: {path.__name__}\(\).*normalize"):
        path(data[0], data[1], normalize=True)
    for name, value in {"verbose": "x", "return_n_iter": 1, "check_input": "no", "copy_X": 1, "random_state": "a",
                        "selection": "best", "precompute": "x"}.items():
        with pytest.raises((TypeError, ValueError), match=name):
            path(data[0], data[1], **{name: value})


def test_paths_are_static_methods(data):
    X, y, _ = data
    for ours, their in ((Lasso, theirs.Lasso), (ElasticNet, theirs.ElasticNet), (LassoCV, theirs.LassoCV),
                        (ElasticNetCV, theirs.ElasticNetCV)):
        a, b = (cls(tol=1e-10).path(X, y, alphas=5, tol=1e-10) for cls in (ours, their))
        np.testing.assert_allclose(a[0], b[0], rtol=1e-10)
        np.testing.assert_allclose(a[1], b[1], atol=1e-5)


def test_check_input_is_an_argument(data):
    X, y, _ = data
    np.testing.assert_array_equal(Lasso(0.1).fit(X, y, check_input=False).coef_, Lasso(0.1).fit(X, y).coef_)
    with pytest.raises(ValueError, match="NaN"):
        Lasso(0.1).fit(np.where(X > 1, np.nan, X), y, check_input=False)
    with pytest.raises(TypeError, match="check_input"):
        Lasso(0.1).fit(X, y, check_input="no")


# ---- ridge ---------------------------------------------------------------------------------------------------------
def test_ridge_arguments_that_scikit_learn_refuses(data):
    X, y, _ = data
    for solver in ("svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga"):
        with pytest.raises(ValueError, match=f"solver='{solver}' does not support positive"):
            Ridge(positive=True, solver=solver).fit(X, y)
    for solver in ("svd", "cholesky", "lsqr", "sparse_cg", "saga"):
        with pytest.raises(ValueError, match="only 'sag' solver"):
            ridge_regression(X, y, 1.0, solver=solver, return_intercept=True)
    coef, intercept = ridge_regression(X, y, 1.0, solver="sag", return_intercept=True, tol=1e-12)
    np.testing.assert_allclose(coef, Ridge().fit(X, y).coef_, rtol=1e-8)
    np.testing.assert_allclose(intercept, Ridge().fit(X, y).intercept_, rtol=1e-8)


def test_the_solver_that_was_asked_for_is_named(data):
    for solver in ("svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga"):
        assert Ridge(solver=solver).fit(data[0], data[1]).solver_ == solver
    assert Ridge().fit(data[0], data[1]).solver_ == "cholesky"


@pytest.mark.parametrize("solver", ["svd", "cholesky", "auto"])
@pytest.mark.parametrize("alpha", [1.0, 1e4, 1e8])
def test_the_intercept_of_wide_features_under_any_penalty(solver, alpha):
    """Under a heavy penalty 'svd' took means off twice."""
    X, y, _ = make_data(0, 12, 50)
    X, y = X + 3, y + 5
    A, t = X - X.mean(axis=0), y - y.mean()
    coef = A.T @ np.linalg.solve(A @ A.T + alpha * np.eye(12), t)
    model = Ridge(alpha, solver=solver).fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-8, atol=1e-12 * np.abs(coef).max())
    np.testing.assert_allclose(model.intercept_, y.mean() - X.mean(axis=0) @ coef, rtol=1e-10)


def test_a_sparse_svd_of_leave_one_out_is_said_to_be_none(data):
    with pytest.warns(FutureWarning, match="'svd' mode is not supported for sparse X") as caught:
        model = RidgeCV(gcv_mode="svd").fit(sp.csr_array(data[0]), data[1])
    assert caught[0].filename == __file__
    np.testing.assert_allclose(model.coef_, RidgeCV().fit(data[0], data[1]).coef_, rtol=1e-8)


@pytest.mark.parametrize("cv", [LeaveOneOut(), KFold(39)])
def test_folds_of_one_row_are_compared_by_squared_errors(data, cv):
    X, y, _ = data
    alphas = np.logspace(-2, 2, 5)
    with pytest.warns(UndefinedMetricWarning, match="R2 is not defined on test sets of one row") as caught:
        model = RidgeCV(alphas, cv=cv).fit(X, y)
    assert caught[0].filename == __file__
    scores = [cross_val_score(theirs.Ridge(alpha), X, y, cv=cv, scoring="neg_mean_squared_error").mean()
              for alpha in alphas]
    assert model.alpha_ == alphas[np.argmax(scores)] and model.cv_path_.metric == "neg_mean_squared_error"
    np.testing.assert_allclose(model.best_score_, max(scores), rtol=1e-8)


# ---- meta-estimators -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", REGRESSORS, ids=repr)
def test_in_pipelines_searches_and_column_transformers(model):
    df, y = frames()
    df["sex"] = np.where(np.arange(60) % 3 == 0, "m", "f")
    columns = make_column_transformer((StandardScaler(), NAMES), (OneHotEncoder(sparse_output=False), ["sex"]))
    pipe = make_pipeline(columns, clone(model))
    scores = cross_val_score(pipe, df, y, cv=3)
    assert np.isfinite(scores).all() and scores.mean() > 0.3
    fitted = clone(pipe).fit(df, y)
    assert fitted[-1].coef_.shape == (7,)
    named = clone(pipe).set_output(transform="pandas")
    assert named.fit(df, y)[-1].feature_names_in_[0] == "standardscaler__a"
    np.testing.assert_allclose(named.predict(df), fitted.predict(df), rtol=1e-6)


def test_in_a_grid_search():
    df, y = frames()
    grid = {"alpha": np.logspace(-3, 0, 4), "fit_intercept": np.array([True, False]), "max_iter": np.array([100, 200])}
    for model, more in ((Lasso(), {"precompute": np.array([True, False]), "tol": np.float32([1e-4])}), (Ridge(), {})):
        search = GridSearchCV(model, grid | more, cv=3).fit(df, y)
        their = GridSearchCV(getattr(theirs, type(model).__name__)(tol=1e-8), grid | {"max_iter": [10000]}, cv=3)
        their.fit(df, y)
        assert search.best_params_["alpha"] == their.best_params_["alpha"]
        assert search.best_params_["fit_intercept"] == their.best_params_["fit_intercept"]


def test_weights_by_metadata_routing():
    df, y = frames()
    weight = np.linspace(0.1, 2, 60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = Lasso(0.1).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        search = GridSearchCV(pipe, {"lasso__alpha": [0.01, 0.1]}, cv=3).fit(df, y, sample_weight=weight)
    expected = Lasso(search.best_params_["lasso__alpha"]).fit(StandardScaler().fit_transform(df), y, weight)
    np.testing.assert_allclose(search.best_estimator_[-1].coef_, expected.coef_, rtol=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_float32_coefficients_at_limits_are_those_of_float64(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 60)).astype(np.float32)
    y = X[:, :3].sum(axis=1) + rng.standard_normal(20).astype(np.float32)
    model = Lasso(1e-4, lower_limits=-0.1, upper_limits=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found, whole = model.fit(X, y).coef_.copy(), model.fit(X.astype(float), y.astype(float)).coef_
    np.testing.assert_allclose(found, whole, rtol=2e-7)
    assert np.all(np.abs(found.astype(float)) <= 0.1)


@pytest.mark.parametrize("convert", [np.asfortranarray, sp.csc_array, sp.csr_array], ids=lambda f: f.__name__)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
@pytest.mark.parametrize("targets", [1, 2])
def test_path_functions_in_float32(convert, l1_ratio, shape, targets):
    """As scikit-learn's: float32 X gives float32 coefficients; the gaps are those that these have."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(shape).astype(np.float32)
    Y = (X[:, :3] @ rng.standard_normal((3, 2)) + rng.standard_normal((shape[0], 2)))[:, :targets]
    y = Y if targets > 1 else Y[:, 0]
    stored = convert(X)
    alphas, coefs, gaps = enet_path(stored, y, l1_ratio=l1_ratio, alphas=6, tol=1e-10)
    library = theirs.enet_path(X, Y[:, 0], l1_ratio=l1_ratio, alphas=6)
    assert (alphas.dtype, coefs.dtype, gaps.dtype) == tuple(part.dtype for part in library)
    coefs, gaps = np.reshape(coefs, (targets, shape[1], -1)), np.reshape(gaps, (targets, -1))
    for t in range(targets):
        for a, alpha in enumerate(alphas):
            referee = Referee(X, Y[:, t], alpha, l1_ratio=l1_ratio, fit_intercept=False)
            missing = referee.objective(coefs[t, :, a]) - referee.objective(referee.solve())
            assert missing <= gaps[t, a] + 1e-15 * referee.p0
            assert gaps[t, a] <= 1e-4 * referee.p0
    plain = regularization_path(stored, Y[:, 0], alphas=3)
    assert plain.coefs.dtype == np.float64


HARD = {"max_iter": 1, "tol": 1e-12}
FEW = {"solver": "sparse_cg", "max_iter": 1}
WARN = {
    "Lasso": lambda X, y, w: Lasso(1e-2, **HARD).fit(X, y),
    "ElasticNet": lambda X, y, w: ElasticNet(1e-2, **HARD).fit(X, y),
    "Gram matrix": lambda X, y, w: Lasso(0.1, precompute=X.T @ X).fit(X, y),
    "LassoCV": lambda X, y, w: LassoCV(**HARD).fit(X, y),
    "ElasticNetCV": lambda X, y, w: ElasticNetCV(**HARD).fit(X, y),
    "criterion": lambda X, y, w: ElasticNetCV(criterion="bic", **HARD).fit(X, y),
    "regularization_path": lambda X, y, w: regularization_path(X, y, **HARD),
    "lasso_path": lambda X, y, w: lasso_path(X, y, **HARD),
    "enet_path": lambda X, y, w: enet_path(X, y, **HARD),
    "Lasso.path": lambda X, y, w: Lasso.path(X, y, **HARD),
    "n_alphas": lambda X, y, w: lasso_path(X, y, n_alphas=3),
    "alphas=None": lambda X, y, w: ElasticNetCV.path(X, y, alphas=None),
    "Ridge": lambda X, y, w: Ridge(1e-3, **FEW).fit(X, y),
    "RidgeClassifier": lambda X, y, w: RidgeClassifier(1e-3, **FEW).fit(X, y > 0),
    "ridge_regression": lambda X, y, w: ridge_regression(X, y, 1e-3, **FEW),
    "gcv_mode": lambda X, y, w: RidgeCV(gcv_mode="svd").fit(sp.csr_array(X), y),
    "single rows": lambda X, y, w: RidgeCV(cv=LeaveOneOut()).fit(X, y),
    "weights": lambda X, y, w: RidgeCV(cv=3, scoring="neg_max_error").fit(X, y, w),
    "weights of classes": lambda X, y, w: RidgeClassifierCV(cv=3, scoring=no_weights).fit(X, y > 0, w),
}


def no_weights(model, X, y):
    return 1.0


@pytest.mark.parametrize("call", WARN)
def test_warnings_point_at_the_caller(call):
    """Where users look first is the line that they wrote."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 400)) + 1
    y = X[:, :20].sum(axis=1) - 20 + rng.standard_normal(60)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WARN[call](X, y, np.linspace(1, 2, 60))
    assert caught and {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("name", ["Lasso", "ElasticNet", "LassoCV", "ElasticNetCV", "Ridge", "RidgeCV",
                                  "RidgeClassifier", "RidgeClassifierCV", "LinearRegression"])  # fmt: skip
def test_classes_are_of_the_same_kinds_as_scikit_learns(name):
    """Who asks isinstance(model, ElasticNet) of theirs may ask it of ours."""
    public = [other for other in fastreg.__all__ if isinstance(getattr(theirs, other, None), type)]
    for other in public:
        if issubclass(getattr(theirs, name), getattr(theirs, other)):
            assert issubclass(getattr(fastreg, name), getattr(fastreg, other)), other
