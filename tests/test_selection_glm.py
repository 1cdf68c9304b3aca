"""Choosing for labels and counts by a criterion, by relaxed fits and along paths that end early."""
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import optimize, special, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from fastreg import (
    ElasticNetCV,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    PoissonRegressorCV,
    criteria,
)
from fastreg.datafits import by_name
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers import relax
from fastreg.solvers.path import PathSolver
from fastreg.solvers.relax import refits_on_supports

FOLDS = KFold(4, shuffle=True, random_state=0)
TIGHT = {"tol": 1e-13, "max_iter": 1000}
LOSSES = ("logistic", "poisson")


def data(loss, n=200, p=15, seed=0):
    """X with columns of different scales, y and weights, some of them zero."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.geomspace(0.5, 2, p) + (rng.random(p) < 0.5)
    eta = X[:, 0] - 0.5 * X[:, 3] + 0.3 * X[:, 5] - 0.3
    y = np.where(rng.random(n) < special.expit(eta), 1.0, -1.0) if loss == "logistic" else rng.poisson(
        np.exp(np.minimum(eta, 2.5))) * 1.0
    return X, y, rng.integers(0, 4, n) * 0.5


def log_likelihoods(loss, y, eta):
    """Of every row, from the distributions of SciPy."""
    if loss == "poisson":
        return stats.poisson.logpmf(y, np.exp(eta))
    return stats.bernoulli.logpmf((y > 0).astype(int), special.expit(eta))


def deviance(loss, y, eta, weight):
    """Weighted mean."""
    best = stats.poisson.logpmf(y, y) if loss == "poisson" else 0.0
    return 2 * np.average(best - log_likelihoods(loss, y, eta), weights=weight)


def chooser(loss, alphas, ratios, total, **options):
    """The estimator that chooses among alphas."""
    if loss == "poisson":
        return PoissonRegressorCV(alphas=alphas, l1_ratio=ratios, **{**TIGHT, **options})
    return LogisticRegressionCV(Cs=1 / (alphas * total), l1_ratios=ratios, **{**TIGHT, **options})


def single(loss, alpha, ratio, total, **options):
    """The estimator of one alpha; infinite C where it is 0."""
    if loss == "poisson":
        return PoissonRegressor(alpha=alpha, l1_ratio=ratio, **TIGHT, **options)
    return LogisticRegression(C=np.inf if alpha == 0 else 1 / (alpha * total), l1_ratio=ratio, **TIGHT, **options)


def trace_of_hat(X, weight, curvature, used, l2):
    """Of the weighted least squares at a fit, from its definition."""
    root = np.sqrt(weight * curvature)
    A = np.column_stack([np.ones(len(X)), X[:, used]]) * root[:, None]
    penalty = np.diag(np.r_[0.0, np.full(len(used), l2)])
    return np.trace(A @ np.linalg.solve(A.T @ A + penalty, A.T)) - 1


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("criterion", ["aic", "bic", "ebic"])
@pytest.mark.parametrize("ratios", [1.0, [0.2, 0.7]])
@pytest.mark.parametrize("how", ["plain", "weighted", "offset"])
def test_a_criterion_is_its_formula(loss, criterion, ratios, how):
    X, y, weight = data(loss)
    given = {"sample_weight": weight} if how == "weighted" else {}
    offset = np.random.default_rng(1).standard_normal(len(y)) * 0.3 if how == "offset" else np.zeros(len(y))
    given |= {"offset": offset} if how == "offset" else {}
    weight = weight if how == "weighted" else np.ones(len(y))
    alphas, p, rows = np.geomspace(0.3, 0.003, 7), X.shape[1], np.count_nonzero(weight)
    model = chooser(loss, alphas, ratios, weight.sum(), criterion=criterion).fit(X, y, **given)
    curves, scaled = model.ic_path_, weight * rows / weight.sum()
    assert curves.values.shape == (np.size(ratios), 7) and not hasattr(model, "cv_path_")
    for k, ratio in enumerate(np.atleast_1d(ratios)):
        for a, alpha in enumerate(alphas):
            one = single(loss, alpha, ratio, weight.sum()).fit(X, y, **given)
            coef = np.ravel(one.coef_)
            eta, used = X @ coef + np.ravel(one.intercept_)[0] + offset, np.flatnonzero(coef)
            mean = np.exp(eta) if loss == "poisson" else special.expit(eta) * special.expit(-eta)
            df = len(used) if ratio == 1 else trace_of_hat(X, weight, mean, used, weight.sum() * alpha * (1 - ratio))
            cost = df * (2 if criterion == "aic" else np.log(rows))
            if criterion == "ebic":
                cost += 2 * (special.gammaln(p + 1) - special.gammaln(df + 1) - special.gammaln(p - df + 1))
            assert curves.df[k, a] == pytest.approx(df, rel=1e-6)
            expected = -2 * np.sum((scaled * log_likelihoods(loss, y, eta))[weight > 0]) + cost
            assert curves.values[k, a] == pytest.approx(expected, rel=1e-8)
    assert curves.best == np.unravel_index(np.argmin(curves.values), curves.values.shape)
    chosen = np.atleast_1d(ratios)[curves.best[0]]
    one = single(loss, alphas[curves.best[1]], chosen, weight.sum()).fit(X, y, **given)
    assert model.l1_ratio_ == chosen
    np.testing.assert_allclose(np.ravel(model.coef_), np.ravel(one.coef_), atol=1e-5)
    assert model.deviance_ == pytest.approx(one.deviance_)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("limited", [False, True])
def test_relaxed_fits_in_every_fold(loss, store, limited):
    X, y, weight = data(loss)
    offset = np.random.default_rng(1).standard_normal(len(y)) * 0.3
    options = {"penalty_factor": np.where(np.arange(15) == 7, 0.0, 1.0)}
    options |= {"lower_limits": np.full(15, -0.35)} if limited else {}
    alphas, gammas = np.geomspace(0.2, 0.02, 4), np.array([0.0, 0.4, 1.0])
    model = chooser(loss, alphas, 1.0, weight.sum(), relax=gammas, cv=FOLDS, **options)
    model.fit(store(X), y, sample_weight=weight, offset=offset)
    for f, (train, test) in enumerate(FOLDS.split(X)):
        for a, alpha in enumerate(alphas):
            # C is of the sum: folds have their own alphas
            penalty = alpha * (weight.sum() / weight[train].sum() if loss == "logistic" else 1)
            for g, gamma in enumerate(gammas):
                coef, intercept = blended(loss, X, y, weight, offset, train, penalty, gamma, options)
                expected = deviance(loss, y[test], X[test] @ coef + intercept + offset[test], weight[test])
                assert model.cv_path_.fold_scores[g, a, f] == pytest.approx(expected, rel=2e-5)
    g, a = model.cv_path_.best
    coef, intercept = blended(loss, X, y, weight, offset, np.arange(len(y)), alphas[a], gammas[g], options)
    assert model.gamma_ == gammas[g] and model.cv_path_.values[g, a] == np.min(model.cv_path_.values)
    np.testing.assert_allclose(np.ravel(model.coef_), coef, atol=1e-4)
    expected = deviance(loss, y, X @ coef + intercept + offset, weight)
    assert model.deviance_ == pytest.approx(expected, rel=1e-6)
    if loss == "logistic":
        assert model.scores_.shape == (4, 1, 3, 4)
        np.testing.assert_allclose(model.scores_[2, 0, 1], -0.5 * model.cv_path_.fold_scores[1, :, 2])


@pytest.mark.parametrize("loss", LOSSES)
def test_columns_without_penalty_belong_to_every_support(loss):
    X, y, _ = data(loss)
    penalty = Penalty(factor=np.where(np.arange(15) == 7, 0.0, 1.0))
    solver = PathSolver(Problem.of(X, y[:, None], penalty, datafit=by_name(loss)), Spec(np.ones(1), tol=1e-13))
    found = solver.advance(np.ones(1))
    none = replace(found, indptr=np.zeros(2, dtype=int), indices=found.indices[:0], data=found.data[:0])
    refit = refits_on_supports(solver, none)
    alone = single(loss, 0.0, 1.0, len(y)).fit(X[:, [7]], y)
    assert refit.nonzero(0)[0].tolist() == [7]
    np.testing.assert_allclose(refit.data, np.ravel(alone.coef_), rtol=1e-5)
    np.testing.assert_allclose(refit.intercepts[0], alone.intercept_, rtol=1e-5)


def blended(loss, X, y, weight, offset, train, alpha, gamma, options):
    """Coefficients and intercept of a share gamma of the penalised fit, the rest by SciPy on its support."""
    total = weight[train].sum()
    one = single(loss, alpha, 1.0, total, **options).fit(X[train], y[train], weight[train], offset=offset[train])
    coef = np.ravel(one.coef_)
    used = np.flatnonzero((coef != 0) | (options["penalty_factor"] == 0))
    low = options.get("lower_limits", np.full(X.shape[1], -np.inf))[used]

    def objective(w):
        eta = X[train][:, used] @ w[1:] + w[0] + offset[train]
        mean = np.exp(eta) if loss == "poisson" else special.expit(eta)
        slope = weight[train] * (mean - (y[train] if loss == "poisson" else y[train] > 0)) / total
        value = mean - y[train] * eta if loss == "poisson" else np.logaddexp(0, -y[train] * eta)
        return weight[train] @ value / total, np.r_[slope.sum(), X[train][:, used].T @ slope]

    found = optimize.minimize(objective, np.r_[np.ravel(one.intercept_), coef[used]], jac=True, method="L-BFGS-B",
                              bounds=[(None, None)] + [(b, None) for b in low],
                              options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 10_000, "maxfun": 20_000})
    out = gamma * coef
    out[used] += (1 - gamma) * found.x[1:]
    return out, gamma * np.ravel(one.intercept_)[0] + (1 - gamma) * found.x[0]


def test_a_support_that_separates_classes_is_named():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    y = X[:, 0] + X[:, 1] > 0
    with pytest.raises(ValueError, match=r"relax: with the features in use at alpha=0\.\d+, y: .*direction"):
        LogisticRegressionCV(Cs=np.geomspace(0.1, 100, 6), l1_ratios=1.0, relax=True).fit(X, y)


@pytest.mark.parametrize("loss", LOSSES)
def test_gamma_one_is_no_relaxation(loss):
    X, y, _ = data(loss)
    alphas = np.geomspace(0.2, 0.02, 5)
    plain, relaxed = (chooser(loss, alphas, 1.0, len(y), cv=FOLDS, **options).fit(X, y)
                      for options in ({}, {"relax": [1.0]}))
    np.testing.assert_array_equal(plain.cv_path_.fold_scores, relaxed.cv_path_.fold_scores)
    np.testing.assert_array_equal(plain.coef_, relaxed.coef_)
    assert relaxed.gamma_ == 1.0 and relaxed.deviance_ == pytest.approx(plain.deviance_)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scoring", [None, "own"])
def test_a_path_ends_when_the_score_improves_no_more(loss, scoring):
    X, y, _ = data(loss, n=120, p=30)
    # far above the largest alpha that leaves nothing to penalise: no patience is spent there
    alphas = np.geomspace(100, 1e-3, 60)
    theirs = "neg_log_loss" if loss == "logistic" else "d2_absolute_error_score"
    options = {} if scoring is None else {"scoring": theirs}
    whole, early = (chooser(loss, alphas, 1.0, len(y), cv=FOLDS, keep_paths=True, n_alphas_no_change=patience,
                            **options).fit(X, y) for patience in (None, 6))
    solved = np.isfinite(early.cv_path_.values[0])
    count = np.count_nonzero(solved)
    assert 30 < count < 60 and solved[:count].all() and count % 6 == 0
    np.testing.assert_array_equal(early.cv_path_.fold_scores[:, :count], whole.cv_path_.fold_scores[:, :count])
    values = early.cv_path_.values[0, :count] * (-1 if scoring else 1)
    assert early.cv_path_.best[1] == np.argmin(values) <= count - 1 - 6
    assert [len(path.alphas) for path in early.fold_paths_[0]] == [count] * 4
    if loss == "logistic":
        # Cs rise as alphas fall, and are given in this order here
        assert np.isfinite(early.coefs_paths_[:, :, :count]).all() and np.isnan(early.coefs_paths_[:, :, count:]).all()
        np.testing.assert_array_equal(early.coefs_paths_[:, :, :count], whole.coefs_paths_[:, :, :count])
        assert np.isnan(early.scores_[:, :, count:]).all() and not early.n_iter_[:, :, count:].any()
        back = LogisticRegressionCV(Cs=early.Cs_[::-1], l1_ratios=1.0, cv=FOLDS, n_alphas_no_change=6, **TIGHT,
                                    **options).fit(X, y)
        np.testing.assert_array_equal(back.scores_, early.scores_[:, :, ::-1])


def test_an_unfinished_relaxed_fit_is_told(monkeypatch):
    class Unfinished(PathSolver):
        def advance(self, *args, **kwargs):
            found = super().advance(*args, **kwargs)
            return replace(found, stopped=np.ones_like(found.stopped))

    X, y, _ = data("logistic")
    model = LogisticRegressionCV(Cs=[0.1, 3.0], l1_ratios=1.0, relax=[0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(X, y)
    monkeypatch.setattr(relax, "suited", lambda route: Unfinished)
    with pytest.warns(ConvergenceWarning, match="did not reach their duality gap"):
        model.fit(X, y)


@pytest.mark.parametrize("make, X_y", [(LogisticRegressionCV, data("logistic")), (PoissonRegressorCV, data("poisson")),
                                       (ElasticNetCV, data("poisson"))])
def test_no_room_for_degrees_of_freedom(make, X_y, monkeypatch):
    monkeypatch.setattr(criteria, "costs", SimpleNamespace(BUDGET=8 * 10**2))
    l1 = {"l1_ratios": 0.1, "Cs": 3} if make is LogisticRegressionCV else {"l1_ratio": 0.1, "alphas": 5}
    with pytest.raises(ValueError, match="criterion: the degrees of freedom of 15 features"):
        make(criterion="aic", **l1).fit(*X_y[:2])


@pytest.mark.parametrize("make", [LogisticRegressionCV, PoissonRegressorCV])
@pytest.mark.parametrize("options, message", [
    ({"criterion": "cp"}, "criterion"),
    ({"criterion": "aic", "cv": 3}, "cv is about folds"),
    ({"criterion": "aic", "relax": True}, "relax is about folds"),
    ({"criterion": "aic", "selection_rule": "1se"}, "selection_rule is about folds"),
    ({"criterion": "aic", "n_alphas_no_change": 3}, "n_alphas_no_change is about folds"),
    ({"n_alphas_no_change": 0}, "n_alphas_no_change"),
    ({"relax": [0.5, 2.0]}, "relax must lie in"),
])
def test_what_cannot_be_chosen_so_is_named(make, options, message):
    X, y, _ = data("logistic", n=60)
    with pytest.raises(ValueError, match=message):
        make(**options).fit(X, np.abs(y) + (y > 0))


def test_without_refit_there_is_nothing_to_relax():
    X, y, _ = data("logistic", n=60)
    for options in ({"relax": True}, {"criterion": "bic"}):
        with pytest.raises(ValueError, match="refit must be True"):
            LogisticRegressionCV(refit=False, **options).fit(X, y)


def test_a_fit_leaves_nothing_of_the_one_before():
    X, y, _ = data("logistic")
    model = LogisticRegressionCV(Cs=4, l1_ratios=1.0).fit(X, y)
    assert model.coefs_paths_.shape == (5, 1, 4, 1, 16)
    model.set_params(criterion="bic").fit(X, y)
    for name in ("scores_", "cv_path_", "coefs_paths_", "n_iter_"):
        assert not hasattr(model, name), name
    assert model.ic_path_.metric == "BIC"
