"""Cross-validation: each fold is the fit of its rows alone, whatever the storage, the weights and the splits."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model as reference
from problems import STORAGES, correlated, covering, label
from referee import Referee
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastreg import ElasticNetCV, Lasso, LassoCV, RidgeCV
from fastreg.crossval import ByFolds, cross_validate_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers import folds as solver_folds
from fastreg.solvers.folds import LockstepPaths, as_folds
from fastreg.solvers.path import PathSolver
from fastreg.weights import Weights

TOL = 1e-10


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 15)) * (rng.random((60, 15)) < 0.6)
    X[:, 7] += 100.0
    y = X[:, :4] @ np.array([3.0, -2.0, 1.0, 1.0]) + rng.standard_normal(60)
    weights = rng.uniform(0.2, 3.0, 60)
    weights[::9] = 0.0
    return X, y, weights


MODES = ["known", "lockstep", "apart"]
SPLITS = {
    "5-fold": KFold(5, shuffle=True, random_state=0),
    "unequal": [(np.arange(10, 60), np.arange(10)), (np.arange(20), np.arange(30, 60))],
    "overlapping": ShuffleSplit(4, test_size=0.3, random_state=0),
    "repeated": RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    "bootstrap": [(np.random.default_rng(k).integers(0, 60, 60), np.arange(60)) for k in range(3)],
    "masks": [(np.arange(60) < 40, np.arange(60) >= 40)],
}


def cross_validate(X, y, splits, weight, *, standardize=False, fit_intercept=True, l1_ratios=(1.0,), n_jobs=1):
    splits = splits.split(np.zeros((60, 1))) if hasattr(splits, "split") else splits
    folds = as_folds(splits, len(y))
    problem = Problem.of(X, y[:, None], Penalty(standardize=standardize), weights=Weights(weight, len(y)),
                         fit_intercept=fit_intercept)  # fmt: skip
    how = ByFolds(l1_ratios=list(l1_ratios), n_jobs=n_jobs, keep_paths=True)
    (choice,) = cross_validate_path(problem, Spec(12, eps=1e-2, tol=TOL), folds, how)
    return folds, choice.curves, choice.fit, choice.fold_paths


@pytest.mark.parametrize(
    ("mode", "storage", "splits", "weighted", "options"),
    covering(MODES, ["C", "F", "float32", "csc_matrix", "csr_array"], SPLITS, [False, True],
             [{}, {"standardize": True}, {"fit_intercept": False}], strength=3),
    indirect=["mode"], ids=label,
)  # fmt: skip
def test_each_fold_is_the_fit_of_its_rows(data, mode, storage, splits, weighted, options):
    X, y, weight = data
    weight = weight if weighted else None
    stored = np.asfortranarray(X, dtype=np.float32) if storage == "float32" else STORAGES[storage](X)
    X = (stored.toarray() if sp.issparse(stored) else np.asarray(stored)).astype(float)
    folds, result, fit, paths = cross_validate(stored, y, SPLITS[splits], weight, l1_ratios=(0.5, 1.0), **options)
    single = stored.dtype == np.float32
    for k, ratio in enumerate(result.l1_ratios):
        for f, fold in enumerate(folds):
            rows = np.repeat(np.arange(60), fold.counts)
            s = None if weight is None else weight[rows]
            on_test = None if weight is None else weight[fold.test]
            coefs = paths[k][f].coefs.toarray().T
            for a, alpha in enumerate(result.alphas[k]):
                referee = Referee(X[rows], y[rows], alpha, ratio, sample_weight=s, **options)
                w, b = coefs[a], paths[k][f].intercepts[a]
                assert referee.relative_gap(w, b) <= (1e-6 if single else 1e-8)
                error = np.average((y[fold.test] - X[fold.test] @ w - b) ** 2, weights=on_test)
                assert result.fold_scores[k, a, f] == pytest.approx(error, rel=1e-4 if single else 1e-8)
    r, a = result.chosen
    referee = Referee(X, y, result.alphas[r, a], result.l1_ratios[r], sample_weight=weight, **options)
    assert referee.relative_gap(fit.coef, fit.intercept) <= (1e-6 if single else 1e-8)
    assert result.values[r, a] == result.values.min()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("options", [{}, {"cv": 3, "positive": True}, {"fit_intercept": False}], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_scikit_learn_chooses_the_same(wide, options, weighted):
    X, y = load_diabetes(return_X_y=True) if not wide else correlated(80, 150, 0.5)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y)) if weighted else None
    ours = LassoCV(tol=TOL, eps=0.01, **options).fit(X, y, weight)
    theirs = reference.LassoCV(tol=TOL, eps=0.01, max_iter=10**6, **options).fit(X, y, weight)
    np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-12)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-6)
    assert ours.alpha_ == pytest.approx(theirs.alpha_, rel=1e-12)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4 * np.abs(theirs.coef_).max())
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-6)


def test_elastic_net_over_ratios():
    X, y = load_diabetes(return_X_y=True)
    ours = ElasticNetCV(l1_ratio=[0.1, 0.5, 1.0], tol=TOL, alphas=20).fit(X, y)
    theirs = reference.ElasticNetCV(l1_ratio=[0.1, 0.5, 1.0], tol=TOL, max_iter=10**6, alphas=20).fit(X, y)
    assert ours.mse_path_.shape == theirs.mse_path_.shape == (3, 20, 5)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-6)
    assert (ours.l1_ratio_, ours.alpha_) == (theirs.l1_ratio_, pytest.approx(theirs.alpha_))
    assert ours.alphas_.shape == (3, 20)
    given = ElasticNetCV(l1_ratio=0.0, alphas=[0.01, 1.0, 0.1]).fit(X, y)
    assert given.alphas_.tolist() == [1.0, 0.1, 0.01]


def test_the_curve_is_grid_search_s(data):
    X, y, _ = data
    model = LassoCV(tol=TOL, alphas=8, eps=0.05, cv=4).fit(X, y)
    search = GridSearchCV(Lasso(tol=TOL), {"alpha": model.alphas_}, cv=4, scoring="neg_mean_squared_error").fit(X, y)
    np.testing.assert_allclose(-search.cv_results_["mean_test_score"], model.mse_path_.mean(axis=1), rtol=1e-6)
    assert search.best_params_["alpha"] == model.alpha_


@pytest.mark.parametrize("storage", ["F", "csc_matrix"])
def test_columns_that_are_constant_or_zero_in_a_fold(mode, storage):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((60, 6)), rng.standard_normal(60)
    X[:, 0] = np.arange(60) < 12            # constant where the first fold is left out
    X[:12, 1], X[12:, 1] = 0.0, 3.0
    X[:, 2] = 0.0
    _, result, _, paths = cross_validate(STORAGES[storage](X), y, KFold(5), None)
    assert np.isfinite(result.fold_scores).all()
    assert not paths[0][0].coefs.toarray()[:3].any()


def test_leave_one_out(data, mode):
    X, y, _ = data
    model = LassoCV(cv=LeaveOneOut(), alphas=5, eps=0.05, tol=TOL).fit(X, y)
    for i in (0, 30, 59):
        rest = np.delete(np.arange(60), i)
        for a, alpha in enumerate(model.alphas_):
            alone = Lasso(alpha, tol=TOL).fit(X[rest], y[rest])
            assert model.mse_path_[a, i] == pytest.approx((y[i] - alone.predict(X[[i]])[0]) ** 2, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("storage", ["F", "csc_matrix"])
def test_n_jobs_changes_nothing(data, mode, storage):
    X, y, weight = data
    results = [cross_validate(STORAGES[storage](X), y, KFold(5), weight, n_jobs=k) for k in (1, 2, 5, None)]
    for _, result, fit, _ in results[1:]:
        np.testing.assert_array_equal(result.fold_scores, results[0][1].fold_scores)
        np.testing.assert_array_equal(fit.coef, results[0][2].coef)


def test_rules_scorers_and_no_refit(data):
    X, y, _ = data
    least = LassoCV(alphas=30).fit(X, y)
    path = least.cv_path_
    a = path.best[1]
    within = path.values[0] <= path.values[0, a] + path.fold_scores[0, a].std(ddof=1) / np.sqrt(5)
    assert least.alpha_1se_ == path.alphas[0][np.flatnonzero(within)[0]] >= least.alpha_
    parsimonious = LassoCV(alphas=30, selection_rule="1se", refit=False).fit(X, y)
    assert parsimonious.alpha_ == least.alpha_1se_
    assert not hasattr(parsimonious, "coef_")
    assert "one standard error" in parsimonious.cv_path_.reason
    scored = LassoCV(alphas=30, scoring="neg_mean_absolute_error").fit(X, y)
    for a in (5, 20):
        expected = cross_val_score(Lasso(scored.alphas_[a]), X, y, scoring="neg_mean_absolute_error")
        np.testing.assert_allclose(scored.cv_path_.fold_scores[0, a], expected, rtol=1e-3)
    assert not hasattr(scored, "mse_path_")
    same = LassoCV(alphas=30, scoring="neg_mean_squared_error").fit(X, y)
    np.testing.assert_allclose(-same.cv_path_.fold_scores, path.fold_scores, rtol=1e-8)


def test_plot(data):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, _ = data
    ax = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=20).fit(X, y).cv_path_.plot()
    assert ax.get_xscale() == "log" and ax.xaxis_inverted()
    assert len(ax.containers) == 1 and ax.get_legend() is None
    assert [text.get_text() for text in ax.texts] == [
        "best", "one standard error", "l1_ratio 1", "l1_ratio 0.5"]
    plt.close(ax.figure)


def test_progress(data, capsys):
    LassoCV(alphas=7, verbose=1).fit(*data[:2])
    assert "35 of 35 penalty values\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cv": []}, "cv"),
        ({"cv": [(np.arange(50), np.arange(0))]}, "test set of split 0 is empty"),
        ({"cv": [(np.arange(50), [60])]}, "beyond the 60 samples"),
        ({"l1_ratio": [0.5, 1.5]}, "l1_ratio"),
        ({"l1_ratio": []}, "l1_ratio"),
        ({"l1_ratio": 0.0}, "alphas"),
        ({"selection_rule": "max"}, "selection_rule"),
        ({"precompute": np.eye(15)}, "precompute"),
        ({"scoring": "best"}, "scoring"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"alphas": [-1.0]}, "alphas"),
        ({"penalty_factor": -1.0}, "penalty_factor"),
    ],
    ids=str,
)
def test_bad_arguments(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        ElasticNetCV(**arguments).fit(*data[:2])


def test_weights_that_leave_a_fold_nothing(data, mode):
    X, y, _ = data
    for rows in (slice(0, 12), slice(12, 60)):
        weight = np.ones(60)
        weight[rows] = 0
        with pytest.raises(ValueError, match=r"sample_weight is zero for the whole (test|training) set of split 0"):
            LassoCV(cv=KFold(5)).fit(X, y, weight)
        with pytest.raises(ValueError, match=r"sample_weight is zero for the whole (test|training) set of split 0"):
            RidgeCV(cv=KFold(5)).fit(X, y, weight)


@pytest.mark.parametrize("make", [np.asarray, sp.csc_matrix])
def test_bad_values(data, mode, make):
    X, y, _ = data
    bad = X.copy()
    bad[3, 3] = np.nan
    for alphas in (10, [1.0, 0.1]):
        with pytest.raises(ValueError, match="X contains NaN"):
            LassoCV(alphas=alphas).fit(make(bad), y)


def test_precompute_is_honoured(monkeypatch):
    X, y = correlated(40, 150, 0.5)
    asked = []
    monkeypatch.setattr(solver_folds, "suited",
                        lambda *_: lambda *args: asked.append(args[1].gram) or PathSolver(*args))
    free = LassoCV(alphas=10, tol=TOL, eps=0.05).fit(X, y)
    assert asked == [False, *[None] * 6]                    # the largest alpha, the folds, all rows
    forced = LassoCV(alphas=10, tol=TOL, eps=0.05, precompute=True).fit(X, y)
    assert asked[7:] == [False, *[True] * 6]
    np.testing.assert_allclose(forced.mse_path_, free.mse_path_, rtol=1e-6)


def test_unfinished_paths_warn(data):
    X, y = correlated(40, 200, 0.95)
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        LassoCV(max_iter=1, tol=1e-14, alphas=5).fit(X, y)


def test_groups_by_metadata_routing(data):
    X, y, _ = data
    groups = np.arange(60) % 6
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        LassoCV(cv=GroupKFold(3)).fit(X, y, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = LassoCV(cv=GroupKFold(3), tol=TOL).fit(X, y, groups=groups)
    direct = LassoCV(cv=list(GroupKFold(3).split(X, y, groups)), tol=TOL).fit(X, y)
    np.testing.assert_array_equal(routed.mse_path_, direct.mse_path_)


def test_within_scikit_learn_s_tools(data):
    X, y, _ = data
    pipeline = make_pipeline(StandardScaler(), LassoCV(alphas=20)).fit(X, y)
    assert pipeline.score(X, y) > 0.8
    chosen = SelectFromModel(LassoCV(alphas=20, selection_rule="1se")).fit(X, y).get_support()
    assert chosen[:4].all()
    assert cross_val_score(LassoCV(alphas=20), X, y, cv=3).min() > 0.5
    target = TransformedTargetRegressor(LassoCV(alphas=20), func=lambda v: 2 * v, inverse_func=lambda v: v / 2)
    assert target.fit(X, y).score(X, y) == pytest.approx(LassoCV(alphas=20).fit(X, y).score(X, y), abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LassoCV().fit(X, y).set_params(cv=4, alphas=5).fit(X, y).mse_path_.shape == (5, 4)


def test_an_interrupt_stops_the_workers(monkeypatch):
    X, y = correlated(300, 3000, 0.9)
    finished, advance = [], LockstepPaths._advance

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastreg.solvers.interruptible.wait", interrupted)
    monkeypatch.setattr(LockstepPaths, "_advance", lambda *args, **kw: finished.append(advance(*args, **kw)))
    with pytest.raises(KeyboardInterrupt):
        LassoCV(n_jobs=2, alphas=2000, eps=1e-4, tol=1e-12).fit(X, y)
    assert not finished                       # given up on the way, each of them
