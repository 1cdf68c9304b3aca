"""Several classes without any penalty: certified answers, the same as others', and refusals that name a direction."""

import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from classes import LD, ClassesJudge, chances, of_path
from fastreg.datafits.multinomial import MULTINOMIAL
from problems import STORAGES, covering
from scipy.optimize import linprog
from sklearn.linear_model import LogisticRegression as Theirs

from fastreg import LogisticRegression, LogisticRegressionCV, certify, regularization_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem
from fastreg.solvers.existence_of_classes import escape_of_classes
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


def test_what_is_left_of_few_steps_is_told():
    """No refusal without a direction, no certificate without a bound."""
    X, y, _ = data()
    with pytest.warns(UserWarning, match="did not reach"):
        model = LogisticRegression(C=np.inf, max_iter=1).fit(X, y)
    assert not certify(X, y, model).ok


def test_alpha_is_not_chosen_without_a_penalty():
    X, y, _ = data()
    with pytest.raises(NotImplementedError, match="where alpha is chosen"):
        LogisticRegressionCV(Cs=[1.0, np.inf]).fit(X, y)
