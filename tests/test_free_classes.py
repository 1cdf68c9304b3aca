"""Several classes without any penalty: certified answers, the same as others', and refusals that name a direction."""

import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from classes import LD, ClassesJudge, chances, judged, named, of_path
from fastreg.datafits.multinomial import MULTINOMIAL
from problems import STORAGES, covering
from scipy.optimize import linprog
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from fastreg import LogisticRegression, LogisticRegressionCV, certify, regularization_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem
from fastreg.solvers.existence_of_classes import escape_of_classes
from fastreg.solvers.free_softmax import Directions
from fastreg.targets import against_others

NO_FIT = "no best fit without a penalty"


def data(seed=0, n=150, p=4, K=3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = np.argmax(X @ rng.standard_normal((p, K)) + rng.gumbel(size=(n, K)), axis=1)
    y[:K] = np.arange(K)
    return X, y, rng


def least(X, y, *, weights=None, fit_intercept=True, l2=0.0):
    """The least averaged objective, by Newton's method in long double; the first class has coefficients of zero where
    nothing penalises them."""
    n, K = len(y), y.max() + 1
    s = np.ones(n, LD) if weights is None else weights.astype(LD)
    s = s / s.sum()
    A = np.column_stack([X, np.ones((n, int(fit_intercept)))]).astype(LD)
    m, labels = A.shape[1], (y[:, None] == np.arange(K)).astype(LD)
    ridge = np.zeros(m, LD)
    ridge[:X.shape[1]] = l2
    D, W = np.diag(np.tile(ridge, K)), np.zeros((K, m), LD)

    def objective(W):
        eta = A @ W.T
        top = eta.max(axis=1)
        rows = top + np.log(np.exp(eta - top[:, None]).sum(axis=1)) - (labels * eta).sum(axis=1)
        return s @ rows + 0.5 * np.sum(ridge * W**2)

    for _ in range(30):
        P = chances(A @ W.T)
        g = ((P - labels) * s[:, None]).T @ A + ridge * W
        H = np.zeros((K, m, K, m), LD)
        for a in range(K):
            for b in range(K):
                H[a, :, b] = (A * (s * P[:, a] * ((a == b) - P[:, b]))[:, None]).T @ A
        H = H.reshape(K * m, K * m) + D
        step = np.linalg.lstsq(H.astype(float), g.ravel().astype(float), rcond=1e-13)[0].astype(LD).reshape(K, m)
        t, before = LD(1), objective(W)
        while objective(W - t * step) > before and t > 1e-12:
            t /= 2
        W = W - t * step
    return objective(W)


def objective(X, y, model, **options):
    judge = ClassesJudge(X, y, 0.0, **options)
    return judge.primal(model.coef_, model.intercept_) / judge.total


@cache
def mixed(K, weighted, fit_intercept):
    """(X, labels, weights, the least objective)."""
    X, y, rng = data(K, n=200, K=K)
    X = X + 3
    s = np.r_[np.ones(K), rng.integers(0, 4, 200 - K)] + 0.0 if weighted else None
    return X, y, s, least(X, y, weights=s, fit_intercept=fit_intercept)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("fit_intercept", "weighted", "K"), covering([True, False], [True, False], [3, 5]))
def test_the_gap_is_what_is_missing(storage, fit_intercept, weighted, K):
    X, y, s, best = mixed(K, weighted, fit_intercept)
    stored = STORAGES[storage](X)
    for tol in (0.1, 1e-4, 1e-12):
        model = LogisticRegression(C=np.inf, fit_intercept=fit_intercept, tol=tol).fit(stored, y, s)
        assert np.abs(model.coef_.sum(axis=0)).max() < 1e-12
        missing = float(objective(X, y, model, weights=s, fit_intercept=fit_intercept) - best)
        assert -1e-15 < missing <= model.dual_gap_ * (1 + 1e-6) + 1e-15
        found = certify(stored, y, model, sample_weight=s)
        assert found.ok
        assert missing <= found.gap * (1 + 1e-6) + 1e-15


@pytest.mark.parametrize("seed", range(20))
def test_bounds_of_bad_answers(seed):
    """Coefficients that are off, that do not add up to zero: never less than what is missing."""
    X, y, rng = data(seed, n=300)
    factor = np.array([0.0, 0, 1, 2]) if seed % 2 else np.zeros(4)
    model = LogisticRegression(C=1 / 3, penalty_factor=factor, tol=1e-13).fit(X, y)
    best = certify(X, y, model).objective
    model.coef_ = model.coef_ + 10.0 ** rng.uniform(-9, -1) * rng.standard_normal(model.coef_.shape)
    model.intercept_ = model.intercept_ + 10.0 ** rng.uniform(-9, -1) * rng.standard_normal(3)
    found = certify(X, y, model)
    missing = found.objective - best
    assert missing - 1e-14 <= found.gap
    assert found.gap < 5 * missing + 1e-13 or missing > 1e-5


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [np.inf, 2.0])
def test_as_scikit_learn(fit_intercept, C):
    X, y, _ = data(3)
    mine = LogisticRegression(C=C, fit_intercept=fit_intercept, tol=1e-13).fit(X, y)
    for solver in ("lbfgs", "newton-cholesky"):
        theirs = Theirs(C=C, fit_intercept=fit_intercept, tol=1e-10, max_iter=10**4, solver=solver).fit(X, y)
        np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-4)
        np.testing.assert_allclose(mine.intercept_, theirs.intercept_, atol=1e-4)


def test_some_columns_are_free():
    """Those have slopes of zero, the others those of their penalty; alphas of zero are the end of a path."""
    X, y, _ = data(1)
    path = regularization_path(X, y, datafit="multinomial", l1_ratio=0.0, alphas=[0.1, 0.01, 0.0],
                               penalty_factor=[0, 1, 1, 2], tol=1e-12)
    for k, alpha in enumerate(path.alphas):
        W, b = of_path(path, k)
        slope = (np.eye(3)[y] - chances((X @ W.T + b).astype(LD)).astype(float)).T @ X / len(y)
        np.testing.assert_allclose(slope, alpha * np.array([0, 1, 1, 2]) * W, atol=1e-6)
    assert certify(X, y, path, alpha=path.alphas).ok.all()
    assert float(least(X, y)) == pytest.approx(path.deviances[-1] / 2, abs=1e-12)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array, sp.csc_array])
def test_rows_and_weights(store):
    """A weight of 2 is a row twice, a weight of 0 a row absent, whatever that holds."""
    X, y, rng = data(5)
    times = np.r_[np.ones(3, int), rng.integers(0, 4, 147)]
    X[times == 0] *= 1e100
    options = {"C": np.inf, "tol": 1e-14}
    weighted = LogisticRegression(**options).fit(store(X), y, times.astype(float))
    repeated = LogisticRegression(**options).fit(store(np.repeat(X, times, axis=0)), np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
def test_columns_that_depend_on_each_other(store):
    """The same fit as without them, and a certificate."""
    X, y, _ = data(2)
    Z = np.column_stack([X, X[:, 0] - 2 * X[:, 1], X[:, 2], np.full(150, 7.0)])
    alone = LogisticRegression(C=np.inf, tol=1e-13).fit(X, y)
    model = LogisticRegression(C=np.inf, tol=1e-13).fit(store(Z), y)
    np.testing.assert_allclose(model.predict_proba(Z), alone.predict_proba(X), atol=1e-7)
    assert certify(store(Z), y, model).ok
    assert not model.coef_[:, 6].any()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_columns_change_nothing(scale):
    X, y, _ = data(4)
    units = np.array([1.0, scale, 1.0, 1 / scale])
    one, other = (LogisticRegression(C=np.inf, tol=1e-12).fit(Z, y) for Z in (X, X * units))
    np.testing.assert_allclose(other.coef_ * units, one.coef_, rtol=1e-6)
    assert certify(X * units, y, other).ok


def test_single_precision():
    X, y, _ = data()
    model = LogisticRegression(C=np.inf).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    assert certify(X.astype(np.float32), y, model).ok


# ---- where there is no best fit --------------------------------------------------------------------------------------
def may_escape(A, y, K):
    """Whether a direction leaves no row's own class behind another: by a linear program."""
    rows = []
    for a, k in zip(A, y):
        for other in set(range(K)) - {k}:
            rows.append(np.kron(np.eye(K)[k] - np.eye(K)[other], a))
    M = np.array(rows)
    found = linprog(-M.sum(axis=0), A_ub=np.vstack([-M, M]), b_ub=np.r_[np.zeros(len(M)), np.ones(len(M))],
                    bounds=(None, None))
    return -found.fun > 1e-6


@cache
def case(seed):
    """(X, labels, arguments, whether there is no best fit) of small whole numbers, some of them nearly separated."""
    rng = np.random.default_rng(seed)
    n, p, K = rng.integers(8, 40), rng.integers(1, 4), rng.integers(3, 5)
    X = rng.integers(-2, 3, (n, p)).astype(float)
    y = np.argmax(X @ rng.integers(-2, 3, (p, K)) + rng.choice([0, 1, 3]) * rng.gumbel(size=(n, K)), axis=1)
    y[:K] = np.arange(K)
    factor = (rng.random(p) < 0.3).astype(float)
    factor[0] = 0
    weight = np.where(np.arange(n) < K, 1.0, rng.integers(0, 3, n))
    intercept = bool(rng.random() < 0.7)
    A = np.hstack([X[:, factor == 0], np.ones((n, int(intercept)))])[weight > 0]
    options = {"datafit": "multinomial", "l1_ratio": 0.0, "alphas": [0.01], "penalty_factor": factor,
               "fit_intercept": intercept, "sample_weight": weight, "tol": rng.choice([1e-2, 1e-8])}
    return sp.csr_array(X) if rng.random() < 0.4 else X, y, options, may_escape(A, y[weight > 0], K)


@pytest.mark.parametrize("seed", range(100))
def test_a_linear_program_agrees(seed):
    X, y, options, expected = case(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if expected:
            warnings.filterwarnings("ignore", ".*did not reach")
            with pytest.raises(ValueError, match=NO_FIT):
                regularization_path(X, y, **options)
        else:
            regularization_path(X, y, **options)


def test_both_answers_occur():
    assert 10 < sum(case(seed)[-1] for seed in range(100)) < 90


@pytest.mark.parametrize("tol", [1e-2, 1e-12])
def test_one_class_is_set_apart(tol):
    """The two others are mixed, and what tells them from each other has a best value."""
    X, y, _ = data(n=200)
    X[y == 2, 0] = np.abs(X[y == 2, 0]) + 4
    X[y != 2, 0] = np.minimum(X[y != 2, 0], 3)
    with pytest.raises(ValueError, match=NO_FIT):
        LogisticRegression(C=np.inf, tol=tol).fit(X, y)
    problem = Problem.of(X, against_others(y, 3), Penalty(), datafit=MULTINOMIAL)
    found = escape_of_classes(problem, 0.0, np.zeros((3, 4)), np.zeros(3))
    eta = X @ found.coef.T + found.intercept
    ahead = eta[np.arange(200), y][:, None] - eta
    assert found.known
    assert ahead.max() > 0
    assert ahead.min() > -1e-8 * ahead.max()
    X[np.flatnonzero(y == 0)[0], 0] = 5                             # one row beyond the margin, and rows beside it
    X[np.flatnonzero(y == 1)[0], 0] = 5
    assert certify(X, y, LogisticRegression(C=np.inf, tol=tol).fit(X, y)).ok


@pytest.mark.parametrize("far", [1e-2, 1e-4, 1e-6])
def test_nearly_separable_classes(far):
    """One row of each class is on the wrong side by a little: there is a best fit, though a far one."""
    x = np.array([-3.0, -2.0, -1 + far, -1.0, 0.0, 1 + far, 1.0, 2.0, 3.0])
    y = np.repeat([0, 1, 2], 3)
    model = LogisticRegression(C=np.inf, tol=1e-12).fit(x[:, None], y)
    assert np.abs(model.coef_).max() > -np.log(far)
    slope = (np.eye(3)[y] - chances(x[:, None].astype(LD) @ model.coef_.T + model.intercept_))
    assert np.abs(slope.sum(axis=0)).max() < 1e-7
    assert np.abs((x - 1) @ slope).max() < 1e-7
    assert certify(x[:, None], y, model).ok


@pytest.mark.parametrize("n", [60, 600])
def test_separable_classes_are_seen_at_once(n, monkeypatch):
    """Without following them to where nothing is left of the loss: few Hessians are formed."""
    rng, formed, form = np.random.default_rng(2), [], Directions.hessian
    X = rng.standard_normal((n, 6))
    y = np.argmax(X @ rng.standard_normal((6, 4)), axis=1)
    monkeypatch.setattr(Directions, "hessian", lambda self, chances: formed.append(1) or form(self, chances))
    with pytest.raises(ValueError, match=NO_FIT):
        LogisticRegression(C=np.inf, tol=1e-12).fit(X, y)
    assert len(formed) < 25


def test_what_is_left_of_few_steps_is_told():
    """No refusal without a direction, no certificate without a bound."""
    X, y, _ = data()
    with pytest.warns(UserWarning, match="did not reach"):
        model = LogisticRegression(C=np.inf, max_iter=1).fit(X, y)
    assert not certify(X, y, model).ok


# ---- beside L1 penalties and limits ----------------------------------------------------------------------------------
@pytest.mark.parametrize("storage", ["C", "csr_array", "csc_array"])
@pytest.mark.parametrize(("l1_ratio", "limited", "fit_intercept", "weighted", "K"), covering(
    [1.0, 0.5, 0.0], [False, True], [True, False], [False, True], [3, 4]))
def test_free_columns_beside_others(storage, l1_ratio, limited, fit_intercept, weighted, K):
    """Certified along a path that ends without any penalty; their coefficients add up to zero where they can."""
    X, y, rng = data(K, n=200, p=8, K=K)
    factor = np.where(np.isin(np.arange(8), [0, 3, 5]), 0.0, 1 + np.arange(8) % 2)
    options = {"fit_intercept": fit_intercept, "factor": factor,
               "weights": np.r_[np.ones(K), rng.integers(0, 3, 200 - K)] + 0.0 if weighted else None}
    if limited:
        options |= {"lower": np.r_[-0.1, np.full(4, -np.inf), -0.3, -np.inf, -np.inf],
                    "upper": np.r_[np.full(3, np.inf), 0.2, np.inf, 0.3, np.inf, 0.1]}
    stored, alphas = STORAGES[storage](X), [0.1, 0.03, 0.01, 0.0]
    path = regularization_path(stored, y, datafit="multinomial", l1_ratio=l1_ratio, alphas=alphas, tol=1e-9,
                               **named(options))
    smooth = l1_ratio == 0 and not limited               # where the gap comes from curvature, which tells more
    assert judged(stored, y, path, l1_ratio, rounding=1e-8 if smooth else 2e-11, **options) < 1e-8
    assert certify(stored, y, path, alpha=alphas, sample_weight=options["weights"]).ok.all()
    for k in range(4 if not limited else 0):
        assert np.abs(of_path(path, k)[0].sum(axis=0)[factor == 0]).max() < 1e-8
    if limited:
        assert np.any(of_path(path, 0)[0][:, [0, 3, 5]] == np.array([-0.1, 0.2, 0.3]))


@pytest.mark.parametrize("seed", range(30))
def test_hard_free_columns(seed):
    """Twins, constant ones, levels and scales far from one: the gap is met, or the fit says that it is not."""
    rng = np.random.default_rng(seed)
    n, K = int(rng.integers(60, 200)), int(rng.integers(3, 6))
    X, y, _ = data(seed, n=n, p=9, K=K)
    X[:, 1] = X[:, 0]
    X[:, 2] = 5.0
    X[:, 3] = X[:, 0] - X[:, 4] + 3
    X[:, 4] *= 10.0 ** rng.uniform(-4, 4)
    X[:, 5] += 100
    options = {"factor": np.where(np.arange(9) < 6, 0.0, 1.0), "fit_intercept": bool(seed % 3)}
    ratio = [1.0, 0.5][seed % 2]
    stored = [np.asarray, sp.csr_array, sp.csc_array][seed % 3](X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = regularization_path(stored, y, datafit="multinomial", l1_ratio=ratio, alphas=4, eps=0.03, tol=1e-7,
                                   **named(options))
    assert judged(stored, y, path, ratio, rounding=1e-9, **options) < 1.1e-7 or caught


def test_an_l1_penalty_of_no_column_is_none():
    X, y, _ = data(3)
    with_l1 = LogisticRegression(C=np.inf, l1_ratio=1.0, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(with_l1.coef_, LogisticRegression(C=np.inf, tol=1e-12).fit(X, y).coef_, atol=1e-6)


def test_no_column_has_a_penalty():
    """Any alpha is the same: a path of so many ends where it begins."""
    X, y, _ = data(3)
    path = regularization_path(X, y, datafit="multinomial", penalty_factor=np.zeros(4), alphas=3, tol=1e-12)
    alone = LogisticRegression(C=np.inf, tol=1e-12).fit(X, y)
    for k in range(3):
        np.testing.assert_allclose(of_path(path, k)[0], alone.coef_, atol=1e-6)


def test_the_largest_alpha_leaves_the_free_columns_alone():
    """At it they are fitted as if there were no others; just below another comes in."""
    X, y, _ = data(7, n=300, p=6)
    factor = np.r_[0, 0, np.ones(4)]
    path = regularization_path(X, y, datafit="multinomial", penalty_factor=factor, alphas=20, eps=0.5, tol=1e-12)
    alone = LogisticRegression(C=np.inf, tol=1e-12).fit(X[:, :2], y)
    W = of_path(path, 0)[0]
    np.testing.assert_allclose(W[:, :2], alone.coef_, atol=1e-5)
    assert not W[:, 2:].any()
    assert of_path(path, 1)[0][:, 2:].any()


@pytest.mark.parametrize("limits", [{"lower_limits": 0.0}, {"upper_limits": 0.0}, {"lower_limits": [0.0, -np.inf]}])
def test_limits_may_end_what_falls_for_ever(limits):
    """Those of both sides do; of one side not, as a shift of all classes brings any direction within them."""
    rng = np.random.default_rng(0)
    X, y = np.column_stack([np.arange(60.0), rng.standard_normal(60)]), np.repeat([0, 1, 2], 20)
    with pytest.raises(ValueError, match=NO_FIT):
        LogisticRegression(C=np.inf, **limits).fit(X, y)
    given = {name[:5]: np.broadcast_to(value, 2) for name, value in limits.items()}
    problem = Problem.of(X, against_others(y, 3), Penalty(**given), datafit=MULTINOMIAL)
    found = escape_of_classes(problem, 0.0, np.zeros((3, 2)), np.zeros(3))
    assert np.all((found.coef >= 0) | np.isinf(given.get("lower", -np.inf)))
    assert np.all((found.coef <= 0) | np.isinf(given.get("upper", np.inf)))
    ends = {"lower_limits": np.array([-1.0, -np.inf]), "upper_limits": np.array([1.0, np.inf])}
    model = LogisticRegression(C=np.inf, **ends, tol=1e-10).fit(X, y)
    assert np.abs(model.coef_[:, 0]).max() == 1
    assert certify(X, y, model).ok


@pytest.mark.parametrize("options", [{"l1_ratios": [0.0]}, {"l1_ratios": [1.0, 0.5]},
                                     {"l1_ratios": [1.0], "lower_limits": -2.0}])
@pytest.mark.parametrize("factor", [None, [0, 1, 1, 1]])
def test_C_is_chosen_beside_free_columns(options, factor):
    X, y, _ = data(5, n=200)
    Cs = [0.01, 1.0, np.inf]
    model = LogisticRegressionCV(Cs=Cs, cv=3, penalty_factor=factor, tol=1e-10, **options).fit(X, y)
    assert certify(X, y, model).ok
    folds = StratifiedKFold(3)
    for f, (train, test) in enumerate(folds.split(X, y)):
        for r, ratio in enumerate(options["l1_ratios"]):
            for c, C in enumerate(Cs):
                one = LogisticRegression(C=C, l1_ratio=ratio, penalty_factor=factor, tol=1e-10,
                                         lower_limits=options.get("lower_limits")).fit(X[train], y[train])
                loss = -log_loss(y[test], one.predict_proba(X[test]))
                assert model.scores_[f, r, c] == pytest.approx(loss, abs=1e-4)


def test_a_C_that_has_no_best_fit_is_not_chosen_in_silence():
    X, y, _ = data(6, n=90)
    X[:, 0] = y + 0.1 * X[:, 0]
    with pytest.raises(ValueError, match=NO_FIT), pytest.warns(UserWarning, match="did not reach"):
        LogisticRegressionCV(Cs=[np.inf], cv=3).fit(X, y)


def test_one_free_column_of_many_others(monkeypatch):
    """Whether there is a best fit is asked of it alone: products of all columns would not fit into memory."""
    X, y, rng = data(2, n=200, p=3)
    wide = sp.hstack([sp.csc_array(X), sp.random_array((200, 3000), density=0.01, rng=rng)], format="csc")
    sizes, begin = [], Directions.__init__
    monkeypatch.setattr(Directions, "__init__", lambda self, problem, *rest: sizes.append(problem.p) or begin(
        self, problem, *rest))
    factor = np.r_[0.0, np.ones(3002)]
    model = LogisticRegression(C=0.3, l1_ratio=1.0, penalty_factor=factor, tol=1e-8).fit(wide, y)
    assert sizes == [1]
    assert certify(wide, y, model).ok


def test_what_is_too_large_is_named():
    X, y, _ = data(p=4)
    with pytest.raises(NotImplementedError, match="more than 2000 coefficients"):
        LogisticRegression(C=np.inf).fit(np.tile(X, 300), y)
    factor = np.r_[np.zeros(4), np.ones(1196)]                        # of these few have no penalty
    assert LogisticRegression(C=0.05, l1_ratio=1.0, penalty_factor=factor).fit(np.tile(X, 300), y).n_iter_ > 0
