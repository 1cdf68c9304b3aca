"""Beyond the plain cross-validation: paths that end early, paths kept, criteria, relaxed fits, several targets."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model as reference
from fastreg.kernels.factor import Basis
from fastreg.kernels.least_squares import LeastSquares
from problems import correlated, covering, label
from referee import Referee
from scipy.optimize import lsq_linear
from scipy.special import gammaln
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from fastreg import ElasticNet, ElasticNetCV, Lasso, LassoCV
from fastreg.criteria import degrees_of_freedom
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.selection import best_of
from fastreg.solvers import folds as solver_folds
from fastreg.solvers.folds import FoldPaths, LockstepPaths, as_folds
from fastreg.weights import Weights

TOL = 1e-10
FOLDS = KFold(4, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((80, 12)) * (rng.random((80, 12)) < 0.7)
    X[:, 5] += 50.0
    y = X[:, :4] @ np.array([3.0, -2.0, 1.0, 0.5]) + 2 * rng.standard_normal(80) + 7.0
    weights = rng.uniform(0.2, 3.0, 80)
    weights[::9] = 0.0
    return X, y, weights


MODES, MAKES = ["known", "lockstep", "apart"], [np.asfortranarray, sp.csc_matrix]
# ---- early stopping ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mode", "make", "scoring", "patience"), covering(MODES, MAKES, [None, "r2"], [1, 7]), indirect=["mode"]
)
def test_a_path_ends_when_the_score_improves_no_more(data, mode, make, scoring, patience):
    X, y, weight = data
    options = {"l1_ratio": [0.3, 1.0], "alphas": 60, "eps": 1e-4, "tol": TOL, "cv": FOLDS, "scoring": scoring}
    whole = ElasticNetCV(**options).fit(make(X), y, weight).cv_path_
    model = ElasticNetCV(n_alphas_no_change=patience, **options).fit(make(X), y, weight)
    early, step = model.cv_path_, max(patience, 5)
    for k in range(2):
        solved = np.isfinite(early.values[k])
        loss = -early.values[k] if scoring else early.values[k]
        n = solved.sum()
        assert n < 60 and n % step == 0 and solved[:n].all()
        np.testing.assert_allclose(early.fold_scores[k, :n], whole.fold_scores[k, :n], rtol=1e-7)
        np.testing.assert_array_equal(early.df[k, :n], whole.df[k, :n])
        assert np.isnan(early.df[k, n:]).all() and np.isnan(early.dual_gaps[k, n:]).all()
        for seen in range(step, n + step, step):      # it went on as long as it should, and no longer
            assert (seen - 1 - np.argmin(loss[:seen]) >= patience) == (seen == n)
    assert early.values[early.best] == (np.nanmax if scoring else np.nanmin)(early.values)
    assert np.isfinite(early.values[early.best_1se]) and "4 folds" in early.reason
    assert early.alphas.shape == whole.alphas.shape == (2, 60)
    one = ElasticNet(model.alpha_, l1_ratio=model.l1_ratio_, tol=TOL).fit(make(X), y, weight)
    np.testing.assert_allclose(model.coef_, one.coef_, atol=1e-8)


def test_no_patience_is_spent_while_nothing_is_in_use(data):
    X, y = data[:2]
    alphas = np.abs(X.T @ (y - y.mean())).max() * np.geomspace(1e3, 1e-5, 60)
    early = LassoCV(alphas=alphas, n_alphas_no_change=4).fit(X, y)
    assert early.coef_.any() and early.alpha_ < alphas[20] and np.isnan(early.cv_path_.values[0, -1])


def test_a_path_that_keeps_improving_goes_to_its_end():
    X, y = correlated(200, 10, 0.2)
    y = X @ np.arange(10.0)
    model = LassoCV(alphas=23, n_alphas_no_change=4).fit(X, y)
    assert np.isfinite(model.mse_path_).all() and model.mse_path_.shape == (23, 5)


def test_plot_of_a_path_that_ended_early(data):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y, _ = data
    model = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=50, eps=1e-4, n_alphas_no_change=3, relax=[0.0, 1.0]).fit(X, y)
    ax = model.cv_path_.plot()
    assert len(ax.texts) == 6 and ax.get_legend() is None
    assert all(np.isfinite(line.get_ydata()).all() for line in ax.get_lines())
    ax = LassoCV(criterion="bic").fit(X, y).ic_path_.plot()
    assert ax.get_ylabel() == "BIC" and ax.xaxis_inverted()
    plt.close("all")


# ---- paths on request ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [np.asfortranarray, sp.csr_array])
def test_paths_are_kept_on_request(data, mode, make):
    X, y, weight = data
    model = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=20, tol=TOL, cv=FOLDS, keep_paths=True).fit(make(X), y, weight)
    curves = model.cv_path_
    k, a = curves.chosen
    np.testing.assert_array_equal(model.path_.alphas, curves.alphas[k])
    assert model.coef_path_.shape == (12, 20) and model.coef_path_.format == "csc"
    np.testing.assert_array_equal(model.coef_path_[:, [a]].toarray()[:, 0], model.coef_)
    assert model.path_.intercepts[a] == model.intercept_ and model.path_.dual_gaps[a] == model.dual_gap_
    for c, alpha in enumerate(model.path_.alphas):
        referee = Referee(X, y, alpha, model.l1_ratio_, sample_weight=weight)
        assert referee.relative_gap(model.coef_path_[:, [c]].toarray()[:, 0], model.path_.intercepts[c]) <= 1e-8
    assert len(model.fold_paths_) == 2 and len(model.fold_paths_[0]) == 4
    for r in range(2):
        for f, (_, test) in enumerate(FOLDS.split(X)):
            path = model.fold_paths_[r][f]
            error = np.average((path.predict(X[test]) - y[test, None]) ** 2, axis=0, weights=weight[test])
            np.testing.assert_allclose(curves.fold_scores[r, :, f], error, rtol=1e-8)
    with pytest.raises(ValueError, match="training data"):
        model.path_.coef_at(0.1, exact=True)
    model.set_params(keep_paths=False, refit=False).fit(make(X), y, weight)
    for name in ("path_", "coef_path_", "fold_paths_", "coef_", "intercept_", "dual_gap_", "n_iter_"):
        assert not hasattr(model, name)


def test_kept_paths_that_ended_early(data):
    X, y, _ = data
    model = LassoCV(alphas=60, eps=1e-4, n_alphas_no_change=5, keep_paths=True, tol=TOL).fit(X, y)
    n = np.isfinite(model.mse_path_[:, 0]).sum()
    assert n < 60 and model.coef_path_.shape[1] == n
    assert {len(path.alphas) for path in model.fold_paths_[0]} == {n}
    whole = LassoCV(alphas=60, eps=1e-4, keep_paths=True, tol=TOL).fit(X, y)
    for ended, path in zip(model.fold_paths_[0], whole.fold_paths_[0]):
        np.testing.assert_allclose(ended.coefs.toarray(), path.coefs.toarray()[:, :n], atol=1e-7)


# ---- criteria ------------------------------------------------------------------------------------------------------
def degrees(X, weight, w, l2, fit_intercept=True):
    """Trace of the hat matrix on the support, by NumPy; l2 for weights summing to n."""
    n = len(X)
    s = np.ones(n) if weight is None else weight * n / weight.sum()
    A = (X - (s @ X / n if fit_intercept else 0)) * np.sqrt(s)[:, None]
    A = A[:, w != 0]
    if not np.any(l2):
        return np.linalg.matrix_rank(A) if A.size else 0
    return np.trace(A @ np.linalg.solve(A.T @ A + np.diag(l2[w != 0]), A.T))


def formula(name, rss, df, n, p, noise_variance):
    penalty = {"aic": 2, "bic": np.log(n), "ebic": np.log(n)}[name] * df
    if name == "ebic":
        penalty += 2 * (gammaln(p + 1) - gammaln(df + 1) - gammaln(p - df + 1))
    if noise_variance is None:
        return n * np.log(rss / n) + penalty
    return rss / noise_variance + penalty + n * np.log(2 * np.pi * noise_variance)


@pytest.mark.parametrize(
    ("mode", "make", "name", "noise_variance", "options", "weighted"),
    covering(MODES, MAKES, ["aic", "bic", "ebic"], [None, 3.0],
             [{}, {"standardize": True}, {"fit_intercept": False}], [False, True], strength=3),
    indirect=["mode"], ids=label,
)  # fmt: skip
def test_criterion_is_its_formula(data, mode, make, name, noise_variance, options, weighted):
    X, y, weight = data
    weight = weight if weighted else None
    model = ElasticNetCV(criterion=name, noise_variance=noise_variance, l1_ratio=[0.4, 1.0], alphas=8, eps=0.01,
                         tol=TOL, **options).fit(make(X), y, weight)
    s = np.ones(80) if weight is None else weight * np.count_nonzero(weight) / weight.sum()
    rows = np.count_nonzero(s)
    expected = np.empty((2, 8))
    centred = options.get("fit_intercept", True)
    scale = 1.0
    if options.get("standardize"):
        scale = np.average((X - np.average(X, axis=0, weights=s)) ** 2, axis=0, weights=s)
    for k, ratio in enumerate([0.4, 1.0]):
        for a, alpha in enumerate(model.alphas_[k]):
            referee = Referee(X, y, alpha, ratio, sample_weight=weight, **options)
            w = referee.solve()
            rss = s @ (y - X @ w - referee.intercept(w)) ** 2
            df = degrees(X, weight, w, 80 * alpha * (1 - ratio) * np.ones(12) * scale, centred)
            assert model.ic_path_.df[k, a] == pytest.approx(df, abs=1e-6)
            expected[k, a] = formula(name, rss, df, rows, 12, noise_variance)
    np.testing.assert_allclose(model.criterion_, expected, atol=1e-5 * np.abs(expected).max())
    k, a = np.unravel_index(np.argmin(expected), expected.shape)
    assert (model.alpha_, model.l1_ratio_) == (model.alphas_[k, a], [0.4, 1.0][k])
    assert name.upper() in model.ic_path_.reason
    assert Referee(X, y, model.alpha_, model.l1_ratio_, sample_weight=weight, **options).relative_gap(
        model.coef_, model.intercept_) <= 1e-8
    for absent in ("cv_path_", "mse_path_", "alpha_1se_", "path_", "fold_paths_"):
        assert not hasattr(model, absent)


@pytest.mark.parametrize("name", ["aic", "bic"])
def test_the_choice_of_scikit_learn(name):
    X, y = load_diabetes(return_X_y=True)
    theirs = reference.LassoLarsIC(criterion=name).fit(X, y)
    ours = LassoCV(criterion=name, noise_variance=theirs.noise_variance_, alphas=theirs.alphas_, tol=TOL).fit(X, y)
    # at one of its knots a coefficient leaves: theirs does not count it, ours is still a rounding away from zero
    more = (ours.criterion_ - theirs.criterion_) / (2 if name == "aic" else np.log(442))
    np.testing.assert_allclose(more, np.round(more), atol=1e-6)
    assert np.count_nonzero(np.abs(more) > 1e-6) <= 1
    assert ours.alpha_ == pytest.approx(theirs.alpha_, rel=1e-12)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6 * np.abs(theirs.coef_).max())


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_a_weight_of_two_is_a_row_twice_in_the_criterion(data, mode, l1_ratio):
    X, y, _ = data
    weight = np.ones(80)
    weight[:30] = 2.0
    twice = np.r_[:80, :30]
    options = {"criterion": "aic", "noise_variance": 2.0, "alphas": [0.5, 0.2, 0.05], "l1_ratio": l1_ratio, "tol": TOL}
    weighted, repeated = ElasticNetCV(**options).fit(X, y, weight), ElasticNetCV(**options).fit(X[twice], y[twice])
    np.testing.assert_allclose(weighted.ic_path_.df, repeated.ic_path_.df, rtol=1e-6)

    def rss(model, n):
        return model.criterion_ - 2 * model.ic_path_.df[0] - n * np.log(2 * np.pi * 2.0)

    np.testing.assert_allclose(rss(weighted, 80) / 80, rss(repeated, 110) / 110, rtol=1e-6)


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_matrix])
def test_duplicated_columns_count_once(data, mode, make):
    X, y, _ = data
    double = np.hstack([X, X[:, :4]])
    single, both = (ElasticNetCV(l1_ratio=1.0, criterion="bic", alphas=[0.3, 0.1], penalty_factor=factor, tol=TOL)
                    for factor in (np.r_[np.zeros(4), np.ones(8)], np.r_[np.zeros(4), np.ones(8), np.zeros(4)]))
    np.testing.assert_allclose(both.fit(make(double), y).criterion_, single.fit(make(X), y).criterion_, rtol=1e-8)
    gram = double.T @ double
    assert degrees_of_freedom(gram, np.zeros(16)) == 12
    assert degrees_of_freedom(gram, np.full(16, 3.0)) == pytest.approx(np.trace(
        gram @ np.linalg.inv(gram + 3 * np.eye(16))))
    mixed = np.r_[0.0, np.full(11, 2.0), 0.0, np.full(3, 2.0)]
    assert degrees_of_freedom(gram, mixed) == pytest.approx(np.trace(gram @ np.linalg.pinv(gram + np.diag(mixed))))
    assert degrees_of_freedom(np.zeros((2, 2)), np.zeros(2)) == degrees_of_freedom(np.zeros((0, 0)), np.zeros(0)) == 0


def test_coefficients_at_a_limit_do_not_count(data):
    X, y, _ = data
    model = LassoCV(criterion="bic", alphas=[1e-3], upper_limits=0.5, tol=TOL).fit(X, y)
    inside = np.count_nonzero((model.coef_ != 0) & (model.coef_ < 0.5))
    assert np.any(model.coef_ == 0.5) and model.ic_path_.df[0, 0] == inside


def test_an_interpolating_fit_is_not_chosen():
    X, y = correlated(20, 60, 0.3)
    model = LassoCV(criterion="aic", alphas=40, eps=1e-8, tol=1e-14).fit(X, y)
    path = model.ic_path_
    assert np.isinf(path.values[path.df >= 19]).all() and (path.df >= 19).any()
    assert not np.isneginf(path.values).any() and np.isfinite(path.values[path.best])
    exact = X[:, :3] @ np.ones(3)
    path = LassoCV(criterion="aic", alphas=[1.0, 0.0], tol=1e-14).fit(X[:, :3], exact).ic_path_
    assert np.isinf(path.values[0, 1]) and np.isfinite(path.values[0, 0])


# ---- relaxed fits --------------------------------------------------------------------------------------------------
def blended(X, y, weight, alpha, ratio, gamma, lower=-np.inf, upper=np.inf):
    """Penalised fit by the referee, least squares on its support by SciPy, and the blend of both."""
    referee = Referee(X, y, alpha, ratio, sample_weight=weight, lower_limits=lower, upper_limits=upper)
    w = referee.solve()
    s = np.ones(len(y)) if weight is None else weight
    on = np.flatnonzero(w)
    u = np.zeros_like(w)
    means = np.average(X, axis=0, weights=s), np.average(y, weights=s)
    A, t = (X - means[0])[:, on] * np.sqrt(s)[:, None], (y - means[1]) * np.sqrt(s)
    if len(on):
        limits = (np.broadcast_to(lower, len(w))[on], np.broadcast_to(upper, len(w))[on])
        u[on] = lsq_linear(A, t, limits, tol=1e-14, method="bvls").x if np.isfinite(limits).any() else (
            np.linalg.lstsq(A, t, rcond=None)[0])
    w = gamma * w + (1 - gamma) * u
    return w, means[1] - means[0] @ w


@pytest.mark.parametrize(
    ("mode", "make", "weighted", "limits"),
    covering(MODES, [*MAKES, sp.csr_array], [False, True], [{}, {"lower": -1.0, "upper": 1.5}]),
    indirect=["mode"], ids=label,
)  # fmt: skip
def test_relaxed_fits_in_every_fold(data, mode, make, weighted, limits):
    X, y, weight = data
    weight = weight if weighted else None
    gammas, ratios = [0.0, 0.3, 1.0], [0.5, 1.0]
    model = ElasticNetCV(l1_ratio=ratios, alphas=8, eps=0.02, tol=1e-12, cv=FOLDS, relax=gammas,
                         **{f"{name}_limits": value for name, value in limits.items()}).fit(make(X), y, weight)
    curves = model.cv_path_
    assert model.mse_path_.shape == (2, 3, 8, 4) and curves.gammas.tolist() == gammas * 2
    np.testing.assert_array_equal(curves.l1_ratios, np.repeat(ratios, 3))
    for f, (train, test) in enumerate(FOLDS.split(X)):
        s, on_test = (None, None) if weight is None else (weight[train], weight[test])
        for c in range(6):
            for a in range(0, 8, 3):
                values = curves.alphas[c, a], curves.l1_ratios[c], curves.gammas[c]
                w, b = blended(X[train], y[train], s, *values, **limits)
                error = np.average((y[test] - X[test] @ w - b) ** 2, weights=on_test)
                assert curves.fold_scores[c, a, f] == pytest.approx(error, rel=1e-6)
    np.testing.assert_array_equal(model.mse_path_.reshape(6, 8, 4), curves.fold_scores)
    c, a = curves.best
    assert curves.values[c, a] == curves.values.min()
    assert (model.alpha_, model.l1_ratio_, model.gamma_) == (curves.alphas[c, a], curves.l1_ratios[c], curves.gammas[c])
    w, b = blended(X, y, weight, model.alpha_, model.l1_ratio_, model.gamma_, **limits)
    np.testing.assert_allclose(model.coef_, w, atol=1e-6)
    assert model.intercept_ == pytest.approx(b, rel=1e-6)
    assert f"gamma={model.gamma_:g}" in curves.reason


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_matrix])
def test_gamma_one_is_no_relaxation(data, mode, make):
    X, y, weight = data
    plain = LassoCV(alphas=15, tol=TOL).fit(make(X), y, weight)
    relaxed = LassoCV(alphas=15, tol=TOL, relax=[1.0]).fit(make(X), y, weight)
    np.testing.assert_allclose(relaxed.mse_path_[0], plain.mse_path_, rtol=1e-12)
    np.testing.assert_array_equal(relaxed.coef_, plain.coef_)
    assert relaxed.alpha_ == plain.alpha_ and relaxed.dual_gap_ == plain.dual_gap_
    scored = LassoCV(alphas=15, tol=TOL, relax=True, scoring="neg_mean_squared_error").fit(make(X), y, weight)
    default = LassoCV(alphas=15, tol=TOL, relax=True).fit(make(X), y, weight)
    np.testing.assert_allclose(-scored.cv_path_.fold_scores, default.mse_path_, rtol=1e-8)
    assert scored.gamma_ == default.gamma_ and default.mse_path_.shape == (5, 15, 5)
    default.set_params(relax=False).fit(make(X), y)
    assert not hasattr(default, "gamma_")


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_matrix])
def test_relaxed_fits_with_dependent_and_unpenalised_columns(data, mode, make):
    X, y, _ = data
    X = np.hstack([X, X[:, :2]])
    factor = np.ones(14)
    factor[[8, 9]] = 0.0
    model = LassoCV(alphas=[1.0, 0.1, 0.01], relax=[0.0], penalty_factor=factor, tol=1e-12, cv=FOLDS).fit(make(X), y)
    for a, alpha in enumerate(model.alphas_):
        for f, (train, test) in enumerate(FOLDS.split(X)):
            w = Lasso(alpha, penalty_factor=factor, tol=1e-12).fit(X[train], y[train]).coef_
            A = np.hstack([X[:, (w != 0) | (factor == 0)], np.ones((80, 1))])
            fit = A[test] @ np.linalg.lstsq(A[train], y[train], rcond=None)[0]
            assert model.mse_path_[0, a, f] == pytest.approx(np.mean((y[test] - fit) ** 2), rel=1e-7)


@pytest.mark.parametrize("limit", [np.inf, 0.4])
def test_least_squares_and_rank_on_one_set_after_another(data, limit):
    X, y, _ = data
    rng = np.random.default_rng(0)
    A = np.hstack([X, X @ rng.standard_normal((12, 5)), np.zeros((80, 1))])
    A, t = A - A.mean(axis=0), y - y.mean()
    box = np.full(18, limit)
    problem, basis = LeastSquares(A.T @ A, A.T @ t, -box, box, np.linalg.norm(t)), Basis(A.T @ A)
    sets = [np.flatnonzero(rng.random(18) < share) for share in (0.3, 0.4, 0.0, 0.7, 0.9, 0.2, 1.0, 0.5, 0.6, 1.0)]
    for at in sets:
        rank = np.linalg.matrix_rank(A[:, at]) if len(at) else 0
        assert basis.rank(at) == rank
        w = problem.solve(at)
        assert not np.delete(w, at).any() and np.abs(w).max() <= limit
        if limit == np.inf:
            assert np.count_nonzero(w) <= rank
            fit = A[:, at] @ np.linalg.lstsq(A[:, at], t, rcond=None)[0]
            np.testing.assert_allclose(A @ w, fit, atol=1e-8)
        elif len(at):
            best = lsq_linear(A[:, at], t, (-limit, limit), tol=1e-14)
            assert np.square(A @ w - t).sum() == pytest.approx(2 * best.cost, rel=1e-8)


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_matrix])
def test_empty_supports(data, mode, make):
    X, y, _ = data
    model = LassoCV(alphas=[1e6], relax=True).fit(make(X), y)
    assert not model.coef_.any() and model.intercept_ == pytest.approx(y.mean())
    path = ElasticNetCV(alphas=[1e6, 1e5], criterion="bic").fit(make(X), y).ic_path_
    assert path.best == (0, 0) and not path.df.any()
    np.testing.assert_allclose(path.values, 80 * np.log(y.var()))


# ---- several targets -----------------------------------------------------------------------------------------------
CHOOSING = [
    {"l1_ratio": [0.5, 1.0], "alphas": 15, "keep_paths": True},
    {"alphas": [0.5, 0.1], "scoring": "r2", "selection_rule": "1se"},
    {"alphas": 15, "relax": [0.0, 1.0], "n_alphas_no_change": 2},
    {"alphas": 15, "l1_ratio": [0.5, 1.0], "criterion": "bic", "keep_paths": True},
    {"alphas": 5, "fit_intercept": False, "refit": False},
]


@pytest.mark.parametrize(
    ("mode", "make", "weighted", "options"), covering(MODES, MAKES, [False, True], CHOOSING), indirect=["mode"],
    ids=label,
)  # fmt: skip
def test_every_target_chooses_for_itself(data, mode, make, weighted, options):
    X, y, weight = data
    weight = weight if weighted else None
    Y = np.stack([y, X[:, 7] - 1e3, np.random.default_rng(0).standard_normal(80), -5 * y], axis=1)
    if "criterion" not in options:
        options = options | {"cv": FOLDS}
    model = ElasticNetCV(**options).fit(make(X), Y, weight)
    for t in range(4):
        one = ElasticNetCV(**options).fit(make(X), Y[:, t].copy(), weight)
        for name, value in vars(one).items():
            if not name.endswith("_") or name in ("n_features_in_", "intercept_"):
                continue
            of_target = getattr(model, name)[t]
            if isinstance(value, (float, np.ndarray)):
                assert np.shape(of_target) == np.shape(value), name
                size = np.nanmax(np.abs(value)) if np.ndim(value) else abs(value) + Y[:, t].var()
                np.testing.assert_allclose(of_target, value, rtol=1e-8, atol=1e-8 * size, err_msg=name)
            elif name in ("cv_path_", "ic_path_"):
                assert of_target.chosen == value.chosen
            elif name == "coef_path_":
                np.testing.assert_allclose(of_target.toarray(), value.toarray(), atol=1e-8 * np.abs(value).max())
        if options.get("refit", True):
            assert model.intercept_[t] == pytest.approx(one.intercept_, rel=1e-8, abs=1e-8)
            np.testing.assert_allclose(model.predict(X)[:, t], one.predict(X), rtol=1e-7, atol=1e-7)
    assert model.alpha_.shape == (4,)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_column_as_in_elastic_net(data, fit_intercept):
    X, y, _ = data
    model = ElasticNetCV(alphas=5, fit_intercept=fit_intercept).fit(X, y[:, None])
    single = ElasticNet(model.alpha_, fit_intercept=fit_intercept).fit(X, y[:, None])
    for name in ("coef_", "intercept_", "dual_gap_", "n_iter_"):
        assert type(getattr(model, name)) is type(getattr(single, name))
        assert np.shape(getattr(model, name)) == np.shape(getattr(single, name))
    assert isinstance(model.alpha_, float) and model.mse_path_.shape == (5, 5)
    assert model.predict(X).shape == single.predict(X).shape


def test_x_is_read_once_for_all_targets(data, monkeypatch):
    X, y, _ = data
    calls, part_sums = [], solver_folds.part_sums
    monkeypatch.setattr(solver_folds, "part_sums", lambda *args: calls.append(args) or part_sums(*args))
    LassoCV(alphas=5).fit(X, np.stack([y, -y, y**2], axis=1))
    assert len(calls) == 1


# ---- what is beneath -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_matrix])
@pytest.mark.parametrize("kind", [FoldPaths, LockstepPaths])
def test_folds_advance_by_pieces_as_at_once(data, kind, make, n_jobs):
    X, y, weight = data
    folds, alphas = as_folds(FOLDS.split(X), 80), np.geomspace(1.0, 1e-3, 12)
    problem = Problem.of(make(X), y[:, None], Penalty(), weights=Weights(weight, 80), n_threads=2)
    whole, paths = (kind(problem, Spec(12, tol=TOL), folds, n_jobs=n_jobs) for _ in range(2))
    told = []
    whole.start(Penalty())
    paths.start(Penalty(), told.append)
    at_once = whole.advance(alphas)
    pieces = [paths.advance(alphas[:5], last=False), paths.advance(alphas[5:6], last=False), paths.advance(alphas[6:])]
    if kind is FoldPaths:
        assert whole.solvers == paths.solvers == [None] * 4       # dropped when they are done
    for f in range(4):
        np.testing.assert_allclose(np.vstack([p[f].dense() for p in pieces]), at_once[f].dense(), atol=1e-9)
        np.testing.assert_allclose(np.vstack([p[f].intercepts for p in pieces]), at_once[f].intercepts, rtol=1e-9)
    assert max(told) == 4 * 12 and len(told) >= 12


@pytest.mark.parametrize("everywhere", [True, False])
def test_relaxed_fits_leave_constant_columns_out(mode, everywhere):
    """An unpenalised column that is constant, in all rows or in a training set."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((53, 30)) * (rng.random((53, 30)) < 0.5)
    y = X[:, :5].sum(axis=1) + 0.3 * rng.standard_normal(53)
    splits = [(np.flatnonzero(np.arange(53) % 4 != k), np.flatnonzero(np.arange(53) % 4 == k)) for k in range(4)]
    X[:, 2] = 0.1
    if not everywhere:
        X[splits[0][1], 2] = rng.standard_normal(len(splits[0][1]))
    options = {"alphas": 8, "eps": 0.02, "cv": splits, "relax": [0.0, 1.0], "tol": TOL,
               "penalty_factor": np.r_[1.0, 1.0, 0.0, np.ones(27)]}
    dense, *others = (LassoCV(**options).fit(make(X), y) for make in (np.asfortranarray, sp.csc_array, sp.csr_array))
    assert dense.mse_path_.max() < 10 * y.var()
    for other in others:
        np.testing.assert_allclose(other.mse_path_, dense.mse_path_, rtol=1e-5)


def test_ties_go_to_the_larger_alpha_and_then_the_larger_gamma():
    alphas, gammas = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [4.0, 1.0, 0.5]]), np.array([0.0, 1.0, 0.5])
    assert best_of(np.array([[2.0, 1, 1], [1, 2, 1], [np.nan, 2, 1]]), alphas) == (1, 0)
    assert best_of(np.array([[2.0, 1, 0], [2, 1, 0], [3, 2, 1]]), alphas, gammas) == (1, 2)
    assert best_of(np.array([[2.0, 1, 0], [2, 1, 0], [3, 2, 1]]), alphas) == (0, 2)


# ---- what cannot be honoured ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_alphas_no_change": 0}, ValueError, "n_alphas_no_change"),
        ({"n_alphas_no_change": 2.5}, TypeError, "n_alphas_no_change"),
        ({"keep_paths": "yes"}, TypeError, "keep_paths"),
        ({"criterion": "cp"}, ValueError, "criterion"),
        ({"criterion": 1}, ValueError, "criterion"),
        ({"criterion": "aic", "cv": 5}, ValueError, "cv is about folds"),
        ({"criterion": "aic", "scoring": "r2"}, ValueError, "scoring is about folds"),
        ({"criterion": "aic", "selection_rule": "1se"}, ValueError, "selection_rule is about folds"),
        ({"criterion": "aic", "n_alphas_no_change": 5}, ValueError, "n_alphas_no_change is about folds"),
        ({"criterion": "aic", "relax": True}, ValueError, "relax is about folds"),
        ({"criterion": "aic", "noise_variance": 0.0}, ValueError, "noise_variance"),
        ({"noise_variance": 1.0}, ValueError, "noise_variance"),
        ({"relax": [0.5, 1.5]}, ValueError, "relax"),
        ({"relax": []}, ValueError, "relax"),
        ({"relax": 0.5}, ValueError, "relax"),
        ({"relax": [np.nan]}, ValueError, "relax"),
        ({"relax": "all"}, TypeError, "relax"),
    ],
    ids=str,
)
def test_bad_arguments(data, arguments, error, message):
    with pytest.raises(error, match=message):
        LassoCV(**arguments).fit(*data[:2])


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csc_matrix])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_values(data, mode, make, value):
    X, y, _ = data
    bad = X.copy()
    bad[3, 3] = value
    for options in ({"criterion": "bic"}, {"relax": True}, {"n_alphas_no_change": 2}):
        with pytest.raises(ValueError, match="X contains"):
            LassoCV(alphas=6, **options).fit(make(bad), y)


def test_groups_without_folds(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="groups"):
        LassoCV(criterion="bic").fit(X, y, groups=np.arange(80))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_score_that_is_never_defined(data):
    with pytest.raises(ValueError, match="scoring gives NaN"):
        LassoCV(alphas=3, cv=80, scoring="r2").fit(*data[:2])


def infinite_above(share):
    def scorer(model, X, y):
        return -np.inf if np.count_nonzero(model.coef_) <= share else -np.mean((y - model.predict(X)) ** 2)

    return scorer


def test_scores_that_are_infinite_are_not_chosen(data):
    with pytest.raises(ValueError, match="infinite at every alpha"):
        LassoCV(alphas=3, cv=3, scoring=infinite_above(np.inf)).fit(*data[:2])
    for rule in ("min", "1se"):
        model = LassoCV(alphas=10, cv=3, scoring=infinite_above(0), selection_rule=rule).fit(*data[:2])
        assert model.coef_.any() and np.isfinite(model.cv_path_.values[model.cv_path_.chosen])


@pytest.mark.parametrize("options", [{"criterion": "aic"}, {"n_alphas_no_change": 2}, {"relax": True}], ids=str)
def test_unfinished_paths_warn_once(options):
    X, y = correlated(40, 200, 0.95)
    with pytest.warns(ConvergenceWarning, match="duality gap") as caught:
        LassoCV(max_iter=1, tol=1e-14, alphas=10, **options).fit(X, np.stack([y, -y], axis=1))
    assert len(caught) == 1


@pytest.mark.parametrize("options", [{"criterion": "aic"}, {"n_alphas_no_change": 1}, {"relax": True}], ids=str)
def test_progress_ends_at_its_total(data, capsys, options):
    X, y, _ = data
    LassoCV(alphas=7, verbose=1, n_jobs=1, **options).fit(X, np.stack([y, -y], axis=1))
    total = 14 if "criterion" in options else 70
    shown = [int(line.split("]")[1].split()[0]) for line in capsys.readouterr().err.split("\r")[1:]]
    assert shown == sorted(shown) and shown[-1] == total
