"""RidgeCV and ridge_path against explicit refits: leave one row out, fit; leave a fold out, fit."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from problems import STORAGES, make_data, parts
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, ShuffleSplit

import fastreg.solvers.ridge.folds
from fastreg import RidgeClassifierCV, RidgeCV, ridge_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.ridge.decompose import decompose
from fastreg.solvers.ridge.problem import RidgeProblem
from fastreg.solvers.ridge.spectrum import PrimalSpectrum, low_rank

ALPHAS = np.logspace(-4, 4, 9)
SHAPES = {"tall": (50, 8), "wide": (15, 30), "square": (25, 25), "one more row": (26, 25)}


def exact(X, Y, alpha, weight, fit_intercept=True, factor=1.0):
    """Coefficients (p, T) and intercepts by augmented least squares: no normal equations."""
    p, T = X.shape[1], Y.shape[1]
    mean = np.average(X, axis=0, weights=weight) if fit_intercept else np.zeros(p)
    level = np.average(Y, axis=0, weights=weight) if fit_intercept else np.zeros(T)
    root = np.sqrt(weight)[:, None]
    penalty = np.diag(np.sqrt(alpha * np.broadcast_to(factor, p)))
    coef = np.linalg.lstsq(np.vstack([root * (X - mean), penalty]), np.vstack([root * (Y - level), np.zeros((p, T))]),
                           rcond=None)[0]
    return coef, level - mean @ coef


def errors_without_each_row(X, Y, alphas, weight, **options):
    """sqrt(s_i) (y_i - prediction without row i): shape (n, T, n_alphas)."""
    out = np.empty((*Y.shape, len(alphas)))
    for i in range(len(X)):
        others = weight * (np.arange(len(X)) != i)
        for a, alpha in enumerate(alphas):
            coef, intercept = exact(X, Y, alpha, others, **options)
            out[i, :, a] = np.sqrt(weight[i]) * (Y[i] - X[i] @ coef - intercept)
    return out


def problem(shape, targets=2, seed=0):
    n, p = SHAPES[shape]
    X, _, weight = make_data(seed, n=n, p=p)
    rng = np.random.default_rng(seed)
    Y = X @ (rng.standard_normal((p, targets)) * (rng.random((p, 1)) < 0.3)) + 3 + rng.standard_normal((n, targets))
    return X, Y, weight


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_leave_one_out_is_refitting(shape, weighted, fit_intercept):
    X, Y, weight = problem(shape)
    weight = weight if weighted else np.ones(len(X))
    errors = errors_without_each_row(X, Y, ALPHAS, weight, fit_intercept=fit_intercept)
    each = -(errors**2).mean(axis=0)
    for store in (np.ascontiguousarray, np.asfortranarray, sp.csr_array, sp.csc_matrix):
        for mode in ("eigen", "svd"):
            model = RidgeCV(ALPHAS, fit_intercept=fit_intercept, store_cv_results=True, gcv_mode=mode)
            model.fit(store(X), Y, sample_weight=weight if weighted else None)
            np.testing.assert_allclose(model.cv_results_, errors**2, rtol=1e-6, atol=1e-9)
            assert model.alpha_ == ALPHAS[each.mean(axis=0).argmax()]
            np.testing.assert_allclose(model.best_score_, each.mean(axis=0).max(), rtol=1e-9)
            coef, intercept = exact(X, Y, model.alpha_, weight, fit_intercept)
            np.testing.assert_allclose(model.coef_, coef.T, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(model.intercept_, intercept if fit_intercept else 0, rtol=1e-7, atol=1e-8)
    model.set_params(alpha_per_target=True, store_cv_results=False).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(model.alpha_, ALPHAS[each.argmax(axis=1)])


@pytest.mark.parametrize("shape", ["tall", "wide"])
@pytest.mark.parametrize("weighted", [False, True])
def test_penalty_factors_of_leave_one_out(shape, weighted):
    X, Y, weight = problem(shape)
    weight = weight if weighted else np.ones(len(X))
    factor = np.linspace(0.2, 5, X.shape[1])
    factor[2] = np.inf
    kept = np.isfinite(factor)
    errors = errors_without_each_row(X[:, kept], Y, ALPHAS, weight, factor=factor[kept])
    model = RidgeCV(ALPHAS, penalty_factor=factor, store_cv_results=True).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(model.cv_results_, errors**2, rtol=1e-6, atol=1e-9)
    assert np.all(model.coef_[:, 2] == 0)
    sd = np.sqrt(np.average((X - np.average(X, axis=0, weights=weight)) ** 2, axis=0, weights=weight))
    standardized = RidgeCV([3.0], standardize=True).fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(standardized.coef_.T, exact(X, Y, 3.0, weight, factor=sd**2)[0], rtol=1e-7, atol=1e-9)


SPLITS = {"5": KFold(5), "shuffled": KFold(3, shuffle=True, random_state=0), "repeated": RepeatedKFold(
    n_splits=3, n_repeats=2, random_state=0), "random": ShuffleSplit(4, test_size=0.3, random_state=0)}


def explicit_folds(X, Y, splits, alphas, weight, fit_intercept=True):
    """R2 of each fold and alpha, averaged over targets."""
    scores = np.empty((len(alphas), len(splits)))
    for f, (train, test) in enumerate(splits):
        for a, alpha in enumerate(alphas):
            coef, intercept = exact(X[train], Y[train], alpha, weight[train], fit_intercept)
            scores[a, f] = r2_score(Y[test], X[test] @ coef + intercept, sample_weight=weight[test])
    return scores


@pytest.mark.parametrize("cv", SPLITS)
@pytest.mark.parametrize("shape", ["tall", "wide", "square"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_folds_are_refits(shape, cv, fit_intercept, monkeypatch):
    X, Y, weight = problem(shape)
    weight = np.maximum(weight, 0.1)
    splits = list(SPLITS[cv].split(X))
    alphas = ALPHAS[::-1]
    scores = explicit_folds(X, Y, splits, alphas, weight, fit_intercept)
    scale = np.abs(scores).max()
    model = RidgeCV(ALPHAS, cv=SPLITS[cv], fit_intercept=fit_intercept)
    for store in (np.ascontiguousarray, np.asfortranarray, sp.csr_array, sp.csc_matrix):
        model.fit(store(X), Y, sample_weight=weight)
        np.testing.assert_allclose(model.cv_path_.fold_scores[0], scores, rtol=1e-8, atol=1e-9 * scale)
        assert model.alpha_ == alphas[scores.mean(axis=1).argmax()]
        coef, _ = exact(X, Y, model.alpha_, weight, fit_intercept)
        np.testing.assert_allclose(model.coef_, coef.T, rtol=1e-6, atol=1e-8)
    # nothing of the size of X'X or XX'
    monkeypatch.setattr(fastreg.solvers.ridge.folds, "FEW_COLUMNS", 0)
    monkeypatch.setattr(fastreg.solvers.ridge.folds, "FEW_ROWS", 0)
    for store in (sp.csr_array, sp.csc_matrix):
        model.fit(store(X), Y, sample_weight=weight)
        assert np.isnan(model.df_) and np.isnan(model.cv_path_.df).all()
        np.testing.assert_allclose(model.cv_path_.fold_scores[0], scores, rtol=1e-4, atol=1e-4 * scale)
        coef, _ = exact(X, Y, model.alpha_, weight, fit_intercept)
        np.testing.assert_allclose(model.coef_, coef.T, rtol=1e-6, atol=1e-6)


def test_integer_weights_are_repeated_rows():
    X, Y, _ = problem("tall")
    times = np.random.default_rng(0).integers(1, 4, len(X))
    groups = np.repeat(np.arange(5), 10)
    weighted = RidgeCV(ALPHAS, cv=list(GroupKFold(5).split(X, groups=groups))).fit(X, Y, sample_weight=times)
    many = np.repeat(np.arange(len(X)), times)
    splits = [(np.flatnonzero(np.isin(many, a)), np.flatnonzero(np.isin(many, b)))
              for a, b in GroupKFold(5).split(X, groups=groups)]
    repeated = RidgeCV(ALPHAS, cv=splits).fit(X[many], Y[many])
    np.testing.assert_allclose(weighted.cv_path_.fold_scores, repeated.cv_path_.fold_scores, rtol=1e-9)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)


@pytest.mark.parametrize("shape", ["tall", "wide"])
def test_rows_of_no_weight_are_absent(shape):
    X, Y, weight = problem(shape)
    some = weight > 0
    full = RidgeCV(ALPHAS, alpha_per_target=True).fit(X, Y, sample_weight=weight)
    less = RidgeCV(ALPHAS, alpha_per_target=True).fit(X[some], Y[some], sample_weight=weight[some])
    np.testing.assert_allclose(full.coef_, less.coef_, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(full.best_score_ * len(X), less.best_score_ * some.sum(), rtol=1e-9)


@pytest.mark.parametrize("options", [
    {"scoring": "neg_mean_absolute_error"},
    {"scoring": "r2", "store_cv_results": True},
    {"scoring": "r2", "alpha_per_target": True},
    {"cv": 4, "scoring": "neg_mean_absolute_error"},
    {"cv": 4},
    {},
], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(options, weighted):
    X, Y, weight = problem("tall")
    weight = np.maximum(weight, 0.1) if weighted else None
    for y in (Y[:, 0], Y[:, :1], Y) if "alpha_per_target" not in options else (Y,):
        ours = RidgeCV(ALPHAS, **options).fit(X, y, sample_weight=weight)
        theirs = sklearn.linear_model.RidgeCV(ALPHAS, **options).fit(X, y, sample_weight=weight)
        for name in ("alpha_", "best_score_", "coef_", "intercept_", *(["cv_results_"] if len(options) > 1 and
                                                                       "store_cv_results" in options else [])):
            assert np.shape(getattr(ours, name)) == np.shape(getattr(theirs, name)), name
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-7, atol=1e-9)


def labels(kind):
    X, Y, weight = problem("tall", targets=3)
    Y = Y - np.median(Y, axis=0)
    names = np.array(["a", "b", "c"])
    return X, {"two": names[(Y[:, 0] > 0).astype(int)], "three": names[Y.argmax(axis=1)],
               "several": (Y > 0).astype(int)}[kind], np.maximum(weight, 0.1)


@pytest.mark.parametrize("kind", ["two", "three", "several"])
@pytest.mark.parametrize("options", [{}, {"store_cv_results": True}, {"cv": 3}, {"cv": 3, "scoring": "f1_macro"}],
                         ids=str)
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_labels_agree_with_scikit_learn(kind, options, class_weight):
    X, y, weight = labels(kind)
    if kind == "several" and class_weight is not None:
        pytest.skip("classes overlap")
    for of_rows in (None, weight):
        ours = RidgeClassifierCV(ALPHAS, class_weight=class_weight, **options).fit(X, y, sample_weight=of_rows)
        theirs = sklearn.linear_model.RidgeClassifierCV(ALPHAS, class_weight=class_weight, **options).fit(
            X, y, sample_weight=of_rows)
        np.testing.assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-9)
        assert ours.alpha_ == theirs.alpha_
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        if "store_cv_results" in options:
            np.testing.assert_allclose(ours.cv_results_, theirs.cv_results_, rtol=1e-7, atol=1e-9)


def test_accuracy_without_each_row():
    for kind in ("two", "three"):
        X, y, _ = labels(kind)
        alphas = ALPHAS[::2]
        model = RidgeClassifierCV(alphas, scoring="accuracy", store_cv_results=True).fit(X, y)
        right = np.zeros((len(alphas), len(X)))
        for i in range(len(X)):
            others = np.arange(len(X)) != i
            for a, alpha in enumerate(alphas):
                fit = sklearn.linear_model.RidgeClassifier(alpha).fit(X[others], y[others])
                right[a, i] = fit.predict(X[i:i + 1])[0] == y[i]
        assert model.best_score_ == right.mean(axis=1).max()
        assert model.alpha_ == alphas[np.argmax(right.mean(axis=1))]


def test_the_whole_range_of_alphas():
    X, Y, _ = problem("tall", seed=3)
    alphas = np.logspace(-12, 12, 25)
    errors = errors_without_each_row(X, Y, alphas, np.ones(len(X)))
    for mode in ("eigen", "svd"):
        model = RidgeCV(alphas, gcv_mode=mode, store_cv_results=True).fit(X, Y)
        np.testing.assert_allclose(model.cv_results_, errors**2, rtol=1e-6, atol=1e-9)
    folds = RidgeCV(alphas, cv=5).fit(X, Y).cv_path_
    np.testing.assert_allclose(folds.fold_scores[0], explicit_folds(X, Y, list(KFold(5).split(X)), alphas[::-1],
                                                                 np.ones(len(X))), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("shape", ["tall", "wide"])
def test_duplicated_and_constant_columns(shape, cv):
    X, Y, _ = problem(shape)
    more = np.hstack([X, X[:, :3], np.full((len(X), 1), 7.0), np.zeros((len(X), 1))])
    alphas = np.logspace(-12, 3, 6)
    model = RidgeCV(alphas, cv=cv).fit(more, Y)
    # twins share what one column of twice the variance would have
    factor = np.ones(X.shape[1])
    factor[:3] = 0.5
    single = RidgeCV(alphas, cv=cv, penalty_factor=factor).fit(X, Y)
    assert model.alpha_ == single.alpha_
    np.testing.assert_allclose(model.best_score_, single.best_score_, rtol=1e-6)
    np.testing.assert_array_equal(model.coef_[:, -2:], 0)
    np.testing.assert_allclose(model.coef_[:, :3], single.coef_[:, :3] / 2, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("cv", [None, 5])
@pytest.mark.parametrize("shape", [(30, 5), (20, 30)])
def test_nothing_but_constant_columns(cv, shape):
    y = np.random.default_rng(0).standard_normal(shape[0])
    for make in (np.asarray, sp.csr_array):
        for X in (np.full(shape, 3.0), np.eye(*shape) if cv else np.zeros(shape)):   # folds that see no variance
            model = RidgeCV(ALPHAS, cv=cv).fit(make(X), y)
            assert np.isfinite(model.best_score_)
            if X[0, 0] == X[-1, 0]:
                np.testing.assert_array_equal(model.coef_, 0)
                np.testing.assert_allclose(model.intercept_, y.mean(), atol=1e-15)
                assert model.df_ == 1


@pytest.mark.parametrize("cv", [None, 5])
def test_high_level(cv):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6))
    Y = X @ rng.standard_normal((6, 1)) + rng.standard_normal((200, 1))
    level = X + 1e8
    X = level - 1e8
    for of in (level, np.asfortranarray(level)):
        high, low = RidgeCV(ALPHAS, cv=cv).fit(of, Y + 1e6), RidgeCV(ALPHAS, cv=cv).fit(X, Y)
        assert high.alpha_ == low.alpha_
        np.testing.assert_allclose(high.coef_, low.coef_, rtol=1e-7)
        np.testing.assert_allclose(high.best_score_, low.best_score_, rtol=1e-7)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("cv", [None, 3])
def test_storages_give_one_answer_and_stay_as_they_are(storage, cv):
    X, y, weight = make_data(1, n=45, p=10)
    expected = RidgeCV(ALPHAS, cv=cv).fit(X, y, sample_weight=weight)
    for dtype in (np.float64, np.float32):
        stored = STORAGES[storage](X.astype(dtype))
        before = [part.copy() for part in parts(stored)]
        found = RidgeCV(ALPHAS, cv=cv).fit(stored, y, sample_weight=weight)
        assert found.alpha_ == expected.alpha_
        assert found.coef_.dtype == dtype
        np.testing.assert_allclose(found.coef_, expected.coef_.astype(dtype), rtol=2 * np.finfo(dtype).eps + 1e-8,
                                   atol=1e-10)
        for a, b in zip(before, parts(stored)):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cv", [None, 5])
@pytest.mark.parametrize("make", [np.ascontiguousarray, np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("shape", [(6000, 40), (150, 400)])
def test_threads_change_no_bit(cv, make, shape):
    rng = np.random.default_rng(0)
    X = make(rng.standard_normal(shape) * (rng.random(shape) < 0.5))
    y = X @ rng.standard_normal(shape[1]) + rng.standard_normal(shape[0])
    one, two = (RidgeCV(ALPHAS, cv=cv, n_threads=k).fit(X, y) for k in (1, 2))
    assert one.best_score_ == two.best_score_
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_few_columns_stand_for_many_penalties():
    D = np.logspace(0, 4, 500)[:, None]
    D = D / (D + np.logspace(-3, 3, 100))
    left, right = low_rank(D)
    assert left.shape[1] < 50
    np.testing.assert_allclose(left @ right, D, rtol=0, atol=5e-14)
    X, Y, _ = problem("tall")
    p = RidgeProblem.of(X, Y, np.logspace(-3, 3, 200), Penalty(), None, True, 1)
    spectrum = decompose(p)
    assert isinstance(spectrum, PrimalSpectrum)
    sums, _, _ = spectrum.leave_one_out(p, np.logspace(-3, 3, 200))
    alone = [spectrum.leave_one_out(p, np.array([alpha]))[0][:, 0] for alpha in np.logspace(-3, 3, 200)]
    np.testing.assert_allclose(sums.T, alone, rtol=1e-12)


def test_path(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    for shape in ("tall", "wide"):
        X, Y, weight = problem(shape)
        path = ridge_path(X, Y, [1.0, 100.0, 0.01], sample_weight=weight)
        assert path.alphas.tolist() == [100, 1, 0.01]
        for a, alpha in enumerate(path.alphas):
            coef, intercept = exact(X, Y, alpha, weight)
            np.testing.assert_allclose(path.coefs[:, :, a], coef.T, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(path.intercepts[:, a], intercept, rtol=1e-7)
            mean = np.average(X, axis=0, weights=weight)
            A = np.sqrt(weight)[:, None] * (X - mean)
            df = np.trace(A @ np.linalg.solve(A.T @ A + alpha * np.eye(X.shape[1]), A.T)) + 1
            n, rss = np.count_nonzero(weight), weight @ (Y - X @ coef - intercept) ** 2
            np.testing.assert_allclose(path.df[:, a], df)
            np.testing.assert_allclose(path.gcv[:, a], n * rss / (n - df) ** 2, rtol=1e-6)
        plt.close(path.plot()[0].figure)
        one = ridge_path(X, Y[:, 0], [1.0])
        assert one.coefs.shape == (X.shape[1], 1) and one.gcv.shape == one.intercepts.shape == (1,)
    model = RidgeCV(ALPHAS, cv=5, selection_rule="1se").fit(X, Y)
    assert model.alpha_ == model.alpha_1se_ >= ALPHAS[::-1][model.cv_path_.best[1]]
    assert "one standard error" in model.cv_path_.reason
    plt.close(model.cv_path_.plot().figure)
    least_squares = ridge_path(*problem("wide")[:2], [0.0])
    np.testing.assert_allclose(least_squares.coefs[..., 0], exact(*problem("wide")[:2], 0.0, np.ones(15))[0].T,
                               atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("targets", [1, 3])
def test_curves_of_leave_one_out(targets, each, weighted):
    """Means and standard errors of explicit refits; the alphas come in any order and more than once."""
    X, Y, weight = problem("tall", targets)
    Y = Y * [1, 30, 1e-3][:targets]
    assert np.any(weight == 0)
    s, alphas = (weight if weighted else np.ones(50)), np.array([1.0, 1e3, 0.01, 30.0, 1.0, 1e5])
    squares = errors_without_each_row(X, Y, alphas, s) ** 2
    if not each:
        squares = squares.mean(axis=1, keepdims=True)
    rows = s > 0
    for store in (np.ascontiguousarray, sp.csc_array):
        for y in (Y, Y[:, 0]) if targets == 1 else (Y,):
            models = [RidgeCV(alphas, alpha_per_target=each, selection_rule=rule).fit(
                store(X), y, sample_weight=s if weighted else None) for rule in ("min", "1se")]
            curves = [m.cv_path_ if each and targets > 1 else [m.cv_path_] for m in models]
            for t, (least, curve) in enumerate(zip(*curves)):
                order = np.argsort(-alphas)
                mean = squares[:, t].mean(axis=0)[order]
                error = squares[rows, t].std(axis=0, ddof=1)[order] * np.sqrt(rows.sum()) / 50
                assert curve.alphas.tolist() == [alphas[order].tolist()]
                np.testing.assert_allclose(curve.values, [mean], rtol=1e-7)
                np.testing.assert_allclose(curve.standard_error, [error], rtol=1e-7)
                np.testing.assert_allclose(least.values, curve.values, rtol=1e-12)
                assert least.standard_error is None and curve.fold_scores is None
                within = np.flatnonzero(mean <= mean.min() + error[mean.argmin()])[0]
                chosen = [np.ravel(m.alpha_)[min(t, np.size(m.alpha_) - 1)] for m in models]
                assert chosen == [alphas[order][mean.argmin()], alphas[order][within]]
                assert curve.chosen == curve.best_1se == (0, within) and curve.best == least.chosen
                assert "50 left-out rows" in curve.reason and ("one standard error" in curve.reason)
                coef = np.atleast_2d(models[1].coef_)[t]
                np.testing.assert_allclose(coef, exact(X, Y, chosen[1], s)[0].T[t], rtol=1e-6, atol=1e-12)
                spectrum = np.linalg.svd(np.sqrt(s)[:, None] * (X - np.average(X, axis=0, weights=s)))[1] ** 2
                df = [1 + np.sum(spectrum / (spectrum + alpha)) for alpha in alphas[order]]
                np.testing.assert_allclose(curve.df[0], df)
            assert not hasattr(models[0], "alpha_1se_")
            np.testing.assert_array_equal(models[1].alpha_1se_, models[1].alpha_)
            score = [-curve.values[curve.chosen] for curve in curves[1]]
            np.testing.assert_array_equal(models[1].best_score_, score if each and targets > 1 else score[0])


def test_rows_of_no_weight_do_not_change_the_choice():
    X, Y, weight = problem("tall")
    some = weight > 0
    options = {"alphas": np.logspace(-2, 4, 30), "selection_rule": "1se"}
    full, less = RidgeCV(**options).fit(X, Y, weight), RidgeCV(**options).fit(X[some], Y[some], weight[some])
    assert full.alpha_ == less.alpha_ > RidgeCV(options["alphas"]).fit(X, Y, weight).alpha_
    np.testing.assert_allclose(full.cv_path_.standard_error * 50, less.cv_path_.standard_error * some.sum(), rtol=1e-9)


@pytest.mark.parametrize("kind", ["two", "three", "several"])
def test_curves_of_labels(kind):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, weight = labels(kind)
    model = RidgeClassifierCV(ALPHAS, store_cv_results=True, selection_rule="1se").fit(X, y, weight)
    squares, curve = model.cv_results_.mean(axis=1)[:, ::-1], model.cv_path_
    np.testing.assert_allclose(curve.values[0], squares.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(curve.standard_error[0], squares.std(axis=0, ddof=1) / np.sqrt(len(X)), rtol=1e-9)
    assert model.alpha_ == model.alpha_1se_ >= RidgeClassifierCV(ALPHAS).fit(X, y, weight).alpha_
    accuracy = RidgeClassifierCV(ALPHAS, scoring="accuracy").fit(X, y, weight).cv_path_
    assert accuracy.greater_is_better and accuracy.metric == "accuracy" and accuracy.standard_error is None
    for found in (curve, accuracy, RidgeClassifierCV(ALPHAS, cv=3).fit(X, y, weight).cv_path_):
        ax = found.plot()
        assert ax.get_ylabel() and ax.xaxis_inverted() and ax.texts[0].get_text() == "best"
    plt.close("all")


@pytest.mark.parametrize("scale", [2.0**520, 2.0**-520, 1.0])
def test_curves_of_targets_of_any_size(scale):
    X, Y, _ = problem("tall")
    options = {"alphas": ALPHAS, "selection_rule": "1se"}
    for each in (False, True):
        plain, found = (RidgeCV(alpha_per_target=each, **options).fit(X, Y * c) for c in (1.0, scale))
        np.testing.assert_array_equal(found.alpha_, plain.alpha_)
        for curve, right in zip(*([m.cv_path_] if not each else m.cv_path_ for m in (found, plain))):
            assert curve.chosen == right.chosen
            with np.errstate(over="ignore"):
                np.testing.assert_allclose(curve.values, right.values * scale * scale, rtol=1e-12)


def test_routing():
    X, Y, weight = problem("tall")
    y, groups = Y[:, 0], np.arange(len(X)) % 7
    expected = RidgeCV(ALPHAS, cv=list(GroupKFold(4).split(X, groups=groups))).fit(X, y)
    with config_context(enable_metadata_routing=True):
        found = RidgeCV(ALPHAS, cv=GroupKFold(4)).fit(X, y, groups=groups)
        mae = make_scorer(r2_score).set_score_request(sample_weight=True)
        routed = RidgeCV(ALPHAS, scoring=mae).set_fit_request(sample_weight=True).fit(X, y, sample_weight=weight)
    assert found.best_score_ == expected.best_score_
    assert routed.best_score_ == RidgeCV(ALPHAS, scoring="r2").fit(X, y, sample_weight=weight).best_score_
    with pytest.raises(ValueError, match="groups"):
        RidgeCV(ALPHAS, cv=GroupKFold(4)).fit(X, y, groups=groups)


def test_refit_false_leaves_the_choice_alone():
    X, Y, _ = problem("tall")
    model = RidgeCV(ALPHAS, cv=3).fit(X, Y)
    alpha = model.alpha_
    model.set_params(refit=False).fit(X, Y)
    assert model.alpha_ == alpha and not hasattr(model, "coef_") and not hasattr(model, "df_")


@pytest.mark.parametrize(("options", "match"), [
    ({"alphas": [0.0, 1.0]}, "alphas"),
    ({"alphas": [-1.0], "cv": 3}, "alphas"),
    ({"alphas": []}, "alphas"),
    ({"alphas": [np.nan]}, "alphas"),
    ({"gcv_mode": "qr"}, "gcv_mode"),
    ({"cv": 3, "store_cv_results": True}, "store_cv_results"),
    ({"cv": 3, "alpha_per_target": True}, "alpha_per_target"),
    ({"selection_rule": "1se", "scoring": "r2"}, "selection_rule"),
    ({"selection_rule": "max"}, "selection_rule"),
    ({"penalty_factor": 0.0}, "penalty_factor"),
    ({"cv": [(np.arange(40), np.array([], dtype=int))]}, "cv"),
])
def test_refusals(options, match):
    X, Y, _ = problem("tall")
    with pytest.raises(ValueError, match=match):
        RidgeCV(**options).fit(X, Y)


def test_more_refusals():
    X, Y, _ = problem("tall")
    with pytest.raises(TypeError, match="fit_intercept"):
        RidgeCV(fit_intercept=1).fit(X, Y)
    for cv in (None, 3):
        with pytest.raises(ValueError, match="NaN"):
            RidgeCV(cv=cv).fit(np.where(np.arange(50)[:, None] == 3, np.nan, X), Y)
    rows, columns = np.random.default_rng(0).integers(0, [[6000], [7000]], (2, 4200))
    large = sp.csr_array((np.linspace(0.1, 1, 4200), (rows, columns)), shape=(6000, 7000))
    y = large @ np.ones(7000)
    with pytest.raises(ValueError, match="cv"):
        RidgeCV().fit(large, y)
    with pytest.raises(ValueError, match="sparse"):
        ridge_path(large, y, [1.0])
    assert RidgeCV(cv=3).fit(large, y).coef_.shape == (7000,)


def test_zero_among_the_alphas_of_low_rank_sparse_folds(monkeypatch):
    monkeypatch.setattr(fastreg.solvers.ridge.folds, "FEW_COLUMNS", 0)
    monkeypatch.setattr(fastreg.solvers.ridge.folds, "FEW_ROWS", 0)
    X = sp.csr_array((np.ones(300), (np.arange(300), np.arange(300) % 6)), shape=(300, 350))
    y = np.random.default_rng(0).standard_normal(300)
    model = fastreg.RidgeCV([0.0, 1.0], cv=3).fit(X, y)
    np.testing.assert_allclose(model.best_score_, fastreg.RidgeCV([0.0, 1.0], cv=3).fit(X.toarray(), y).best_score_,
                               rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"cv": 3}, {"cv": 3, "scoring": "accuracy"}])
def test_sparse_labels(options):
    X = np.random.default_rng(0).standard_normal((60, 5))
    Y = (X[:, :3] + np.random.default_rng(1).standard_normal((60, 3)) > 0).astype(int)
    dense, sparse = (fastreg.RidgeClassifierCV([0.1, 1.0, 10.0], **options).fit(X, of) for of in (Y, sp.csr_matrix(Y)))
    np.testing.assert_array_equal(dense.coef_, sparse.coef_)


def test_no_certificate_without_a_fit():
    X, Y, _ = problem("tall")
    with pytest.raises(NotFittedError):
        RidgeCV(cv=3, refit=False).fit(X, Y[:, 0]).normal_residual(X, Y[:, 0])
