"""Several classes with one loss: certified by a judge in long double, through the engine and by Newton's method."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from classes import ClassesJudge, chances, judged, named, of_path
from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.kernels.history import History
from fastreg.kernels.softmax import (
    followed_change,
    settled_residuals,
    softmax_levels,
    softmax_loss,
    softmax_rows,
)
from problems import STORAGES, covering
from scipy.special import gammaln
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV
from sklearn.metrics import log_loss

from fastreg import LogisticRegression, LogisticRegressionCV, certify, costs, regularization_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.referee.classes import ClassesFit, ClassesTarget
from fastreg.referee.data import Data
from fastreg.solvers import coordinates, leading, quasi_newton
from fastreg.solvers.path import solve_path
from fastreg.solvers.quasi_newton import QuasiNewton
from fastreg.targets import against_others
from fastreg.weights import Weights

TOL = 1e-9


def data(seed=0, n=60, p=12, K=4, density=0.6):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < density)
    eta = X @ (rng.standard_normal((p, K)) * (rng.random((p, K)) < 0.4))
    y = np.argmax(eta + rng.gumbel(size=(n, K)), axis=1)
    y[:K] = np.arange(K)
    return X, y, rng


# ---- the loss and its pieces -----------------------------------------------------------------------------------------
def test_given_the_others_each_class_is_logistic():
    rng = np.random.default_rng(0)
    eta = rng.standard_normal((3, 50)) * np.r_[1, 10, 300][:, None]
    y = rng.integers(0, 3, 50)
    given, Y = MULTINOMIAL.given_others(eta), against_others(y, 3).T
    P = chances(eta.T.astype(np.longdouble)).T
    slopes = np.stack([MULTINOMIAL.evaluate(Y[k], given[k])[1] for k in range(3)])
    np.testing.assert_allclose(slopes, (P - (Y > 0)).astype(float), atol=1e-15)
    loss = -np.log(P[y, np.arange(50)])
    margins = given[y, np.arange(50)]
    np.testing.assert_allclose(np.logaddexp(0, -margins), loss.astype(float), rtol=1e-12, atol=1e-18)
    assert MULTINOMIAL.deviance(Y.T, eta.T) == pytest.approx(2 * float(loss.sum()), rel=1e-13)


@pytest.mark.parametrize("c", [0.0, 0.3, 1 - 1e-9])
def test_what_a_dual_point_leaves(c):
    """The relative entropy of (1 - c) y + c p and p, from the rows of one class after the other."""
    rng = np.random.default_rng(1)
    eta = 3 * rng.standard_normal((4, 40))
    y, s = rng.integers(0, 4, 40), rng.integers(0, 3, 40) + 0.0
    Y, given, P = against_others(y, 4), MULTINOMIAL.given_others(eta), chances(eta.T.astype(np.longdouble))
    q = (1 - np.longdouble(c)) * (Y > 0) + np.longdouble(c) * P
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = float(s @ np.where(q > 0, q * np.log(q / P), 0).sum(axis=1))
    found = sum(MULTINOMIAL.remainder(Y[:, k].copy(), given[k], c, s) for k in range(4))
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_null_fit(weighted):
    rng = np.random.default_rng(2)
    y = np.r_[0, 1, 2, 3, rng.integers(0, 4, 30)]
    s = rng.integers(1, 4, 34) + 0.0 if weighted else None
    levels, eta, deviance = MULTINOMIAL.null_fits(against_others(y, 4).T, s, True)
    share = np.bincount(y, s) / (34 if s is None else s.sum())
    np.testing.assert_allclose(chances(levels[None])[0], share, rtol=1e-14)
    assert levels.sum() == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(eta[:, 0], np.log(share) - np.log(1 - share), rtol=1e-13)
    assert deviance == pytest.approx(-2 * np.bincount(y, s) @ np.log(share), rel=1e-13)
    with pytest.raises(ValueError, match="some have none"):
        MULTINOMIAL.null_fits(against_others(np.array([0, 1, 2]), 3).T, np.array([1.0, 0, 1]), True)


def test_intercepts_of_all_classes_at_once():
    rng = np.random.default_rng(3)
    Y = against_others(np.r_[0, 1, 2, np.zeros(40, int), 1, 2], 3).T
    for spread in (1, 30, 300):
        eta = spread * rng.standard_normal((3, Y.shape[1]))
        shift, moved = MULTINOMIAL.with_intercepts(Y, None, eta)
        P = chances(moved.T.astype(np.longdouble)).T
        np.testing.assert_allclose(np.sum((Y > 0) - P, axis=1).astype(float), 0, atol=1e-9)
        np.testing.assert_allclose(moved - eta, np.repeat(shift[:, None], Y.shape[1], axis=1), atol=1e-11)
        assert shift.sum() == pytest.approx(0, abs=1e-10 * spread)


def test_a_class_without_weight_has_no_intercept_to_miss():
    X, y, _ = data()
    options = {"weights": np.where(y == 2, 0.0, 1.0), "fit_intercept": False}
    path = regularization_path(X, y, datafit="multinomial", alphas=[0.05, 0.01], l1_ratio=0.5, tol=TOL,
                               **named(options))
    assert judged(X, y, path, 0.5, **options) < 1.01 * TOL


# ---- paths -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("weighted", "fit_intercept", "l1_ratio", "limited", "factors"), covering(
    [False, True], [True, False], [1.0, 0.4, 0.0], [False, True], [False, True]))
def test_paths_are_certified(storage, weighted, fit_intercept, l1_ratio, limited, factors):
    X, y, rng = data(n=80, p=16)
    options = {"weights": np.r_[np.ones(4), rng.integers(0, 3, 76)] if weighted else None,
               "fit_intercept": fit_intercept}
    if limited:
        options |= {"lower": np.where(np.arange(16) % 3 == 0, -0.2, -np.inf), "upper": 0.5}
    if factors:
        options["factor"] = np.where(np.arange(16) == 7, np.inf, 1 + np.arange(16) % 4)
    stored = STORAGES[storage](X)
    alphas = 8 if l1_ratio > 0 else np.geomspace(1, 1e-3, 6)
    path = regularization_path(stored, y, datafit="multinomial", l1_ratio=l1_ratio, alphas=alphas, eps=1e-2, tol=TOL,
                               **named(options))
    assert judged(stored, y, path, l1_ratio, **options) < 1.01 * TOL
    assert path.intercepts.sum(axis=0) == pytest.approx(0, abs=1e-12)
    assert certify(stored, y, path, sample_weight=options["weights"], alpha=path.alphas).ok.all()
    if l1_ratio == 0 and not limited:                    # nothing tells a shift of all classes but the penalty
        assert np.abs(of_path(path, -1)[0].sum(axis=0)).max() < 1e-3


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("tol", [0.1, 1e-3])
def test_rough_fits_are_as_good_as_they_say(seed, tol):
    """Intercepts are at their best, whatever is left to do."""
    X, y, _ = data(seed)
    path = regularization_path(5 * X, y, datafit="multinomial", alphas=6, eps=1e-3, tol=tol)
    assert judged(5 * X, y, path) < tol


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.0])
def test_rows_and_weights(store, l1_ratio):
    """A weight of 2 is a row twice, a weight of 0 a row absent, whatever that holds."""
    X, y, rng = data(n=70, p=10)
    times = np.r_[np.ones(4, int), rng.integers(0, 4, 66)]
    X[times == 0] *= 1e100
    options = {"datafit": "multinomial", "l1_ratio": l1_ratio, "alphas": [0.1, 0.02, 0.005], "tol": 1e-13}
    weighted = regularization_path(store(X), y, sample_weight=times.astype(float), **options)
    repeated = regularization_path(store(np.repeat(X, times, axis=0)), np.repeat(y, times), **options)
    np.testing.assert_allclose(np.asarray(weighted.coefs), np.asarray(repeated.coefs), atol=1e-5)
    np.testing.assert_allclose(weighted.intercepts, repeated.intercepts, atol=1e-5)


@pytest.mark.parametrize("store", [np.asarray, sp.csc_array, sp.csr_array])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.0])
def test_threads_change_no_bit(store, l1_ratio):
    X, y, _ = data(n=3000, p=350, K=3)
    Y = against_others(y, 3)
    alphas = np.array([0.05, 0.01])

    def found(n_threads):
        problem = Problem.of(store(X), Y, Penalty(l1_ratio), datafit=MULTINOMIAL, n_threads=n_threads)
        make = {"make": QuasiNewton} if l1_ratio == 0 else {}
        return solve_path(problem, Spec(alphas, tol=1e-6), **make)

    one, three = found(1), found(3)
    for name in ("data", "indices", "intercepts", "dual_gaps"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name))


def test_the_order_of_classes_does_not_matter():
    X, y, _ = data(K=3)                                  # of an even number the lasso's need not be the only ones
    one = regularization_path(X, y, datafit="multinomial", alphas=[0.05, 0.01], tol=1e-12)
    other = regularization_path(X, 2 - y, datafit="multinomial", alphas=[0.05, 0.01], tol=1e-12)
    np.testing.assert_allclose(np.asarray(one.coefs), np.asarray(other.coefs)[::-1], atol=1e-5)


def test_two_classes_are_twice_the_logistic_loss_in_one():
    """``w_1 = -w_0 = w / 2``, of a penalty that is then half as strong."""
    X, y, _ = data(K=2)
    two = regularization_path(X, y, datafit="multinomial", l1_ratio=0.0, alphas=[0.1, 0.01], tol=1e-12)
    one = regularization_path(X, y, datafit="logistic", l1_ratio=0.0, alphas=[0.05, 0.005], tol=1e-12)
    np.testing.assert_allclose(2 * two.coefs[1].toarray(), one.coefs.toarray(), atol=1e-5)
    np.testing.assert_allclose(two.intercepts[1] - two.intercepts[0], one.intercepts, atol=1e-5)


def test_a_linear_predictor_of_hundreds():
    X, _, _ = data(n=40, p=3, K=3, density=1)
    y = np.argmax(X, axis=1)
    path = regularization_path(1e3 * X, y, datafit="multinomial", l1_ratio=0.5, alphas=[1e-2, 1e-7], tol=1e-7)
    assert np.abs(path.decision_function(1e3 * X)).max() > 300
    assert judged(1e3 * X, y, path, 0.5, rounding=1e-8) < 1.01e-7


def test_many_classes():
    X, y, _ = data(n=600, p=10, K=100)
    path = regularization_path(X, y, datafit="multinomial", alphas=5, eps=0.1, tol=1e-6)
    assert len(path.coefs) == 100
    assert judged(X, y, path) < 1.01e-6


# ---- an L2 penalty alone ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("shape", "most", "weighted", "fit_intercept", "standardize"), covering(
    [(60, 12), (20, 50)], [0, coordinates.MOST], [False, True], [False, True], [False, True]))
def test_quasi_newton(storage, shape, most, weighted, fit_intercept, standardize, monkeypatch):
    """About columns, as they are or along eigenvectors, and about rows likewise."""
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    monkeypatch.setattr(coordinates, "MOST", most)
    X, y, rng = data(n=shape[0], p=shape[1])
    X[:, 3] = 1.0
    weights = np.r_[np.ones(4), rng.integers(0, 3, shape[0] - 4)] if weighted else None
    if weighted:
        X[weights == 0] *= 1e60                    # whatever rows without a weight hold
    stored = STORAGES[storage](X)
    factor = np.where(np.arange(shape[1]) == 5, np.inf, 1 + np.arange(shape[1]) % 3)
    options = {"datafit": "multinomial", "l1_ratio": 0.0, "alphas": [1.0, 0.1, 1e-3], "fit_intercept": fit_intercept,
               "sample_weight": weights, "standardize": standardize, "penalty_factor": factor, "tol": TOL}
    path = regularization_path(stored, y, **options)
    assert set(path.certified_from) == {"X"}
    s = np.ones(shape[0]) if weights is None else weights
    mean = np.average(X[s > 0], axis=0, weights=s[s > 0]) if fit_intercept else 0
    spread = np.average((X[s > 0] - mean)**2, axis=0, weights=s[s > 0]) if standardize else 1
    held = np.where(spread > 1e-25, factor * spread, np.inf)
    assert judged(stored, y, path, 0.0, weights=weights, fit_intercept=fit_intercept, factor=held) < 1.01 * TOL
    monkeypatch.setattr(costs, "FEW_COLUMNS", 10**9)
    by_engine = regularization_path(stored, y, **options)
    np.testing.assert_allclose(path.deviances, by_engine.deviances, rtol=1e-4)


def softmax_problem(weighted, K=4, n=530):
    """(Y, weights, eta, v, weights of all rows, which have one): rows without weight hold what is no number."""
    rng = np.random.default_rng(0)
    Y = np.where(np.arange(K)[:, None] == rng.integers(0, K, n), 1.0, -1.0)
    eta, v = 5 * rng.standard_normal((K, n)), rng.standard_normal((K, n))
    weights = rng.integers(0, 3, n).astype(float) if weighted else None
    s = np.ones(n) if weights is None else weights
    eta[:, s == 0], v[:, s == 0] = np.nan, np.inf
    return Y, weights, eta, v, s, s > 0


@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_of_a_step(weighted):
    """Probabilities, residuals, slope, curvature and loss, in long double; nothing of rows without weight."""
    Y, weights, eta, v, s, on = softmax_problem(weighted)
    chance, residual, slope, bend = softmax_rows(Y, weights, eta, v, 0.3)
    there, d = (eta[:, on] + np.longdouble(0.3) * v[:, on]).T, v[:, on].T
    right = np.exp(there - there.max(axis=1, keepdims=True))
    right /= right.sum(axis=1, keepdims=True)
    left = s[on, None] * ((Y[:, on] > 0).T - right)
    np.testing.assert_allclose(chance[:, on].T, right.astype(float), rtol=1e-13)
    np.testing.assert_allclose(residual[:, on].T, left.astype(float), atol=1e-15)
    assert not chance[:, ~on].any() and not residual[:, ~on].any()
    assert slope == pytest.approx(float(np.sum(left * d)), rel=1e-12)
    curvature = np.sum(right * d**2, axis=1) - np.sum(right * d, axis=1)**2
    assert bend == pytest.approx(float(s[on] @ curvature), rel=1e-12)
    loss = s[on] @ (np.log(np.sum(np.exp(eta[:, on].T.astype(np.longdouble)), axis=1)) - eta[:, on].T[(Y[:, on] > 0).T])
    assert softmax_loss(Y, weights, eta) == pytest.approx(float(loss), rel=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_with_intercepts_that_follow(weighted):
    """Residuals at the intercepts of one Newton step, to first order; a change after which no residual sum changes."""
    Y, weights, eta, v, s, on = softmax_problem(weighted)
    chance, residual, _, _ = softmax_rows(Y, weights, eta)
    P = chance[:, on]
    H = np.diag(P @ s[on]) - (P * s[on]) @ P.T
    levels = softmax_levels(chance, weights)
    of_sums = residual.sum(axis=1)
    nearer, level = settled_residuals(chance, weights, residual, levels)
    np.testing.assert_allclose(H @ level, of_sums, rtol=1e-7)
    assert abs(level.sum()) < 1e-7                          # what all classes have in common changes nothing
    np.testing.assert_allclose(nearer.sum(axis=1), 0, atol=1e-7)
    np.testing.assert_allclose(nearer[:, on], residual[:, on] - s[on] * P * (level[:, None] - level @ P), atol=1e-12)
    assert not nearer[:, ~on].any()
    v[:, ~on] = 0
    change = v.copy()
    beside = np.arange(4.0)
    followed = followed_change(chance, weights, change, levels, beside)
    np.testing.assert_allclose(change, v + followed[:, None], rtol=1e-13)
    turned = v[:, on] + (followed - beside)[:, None]
    np.testing.assert_allclose((s[on] * P * (turned - np.sum(P * turned, axis=0))).sum(axis=1), 0, atol=1e-7)


def test_softmax_levels_of_a_class_that_no_row_expects():
    chance = np.array([[0.5, 0.4, 0.7], [0.5, 0.6, 0.3], [0.0, 0.0, 0.0]])
    found = softmax_levels(chance, None) @ np.array([0.1, -0.1, 0.0])
    held = 1 / (0.25 + 0.24 + 0.21)
    np.testing.assert_allclose(found[0] - found[1], 0.1 * held, rtol=1e-5)
    assert not softmax_levels(np.array([[1.0], [0.0], [0.0]]), None).any()


@pytest.mark.parametrize("most", [2000, 9])
@pytest.mark.parametrize(("weighted", "fit_intercept"), covering([False, True], [False, True]))
@pytest.mark.parametrize("store", [np.asarray, np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
def test_leading_coordinates_know_the_hessian(shape, store, weighted, fit_intercept, most, monkeypatch):
    """Newton's equations of all of them are solved; along others mean curvatures stay."""
    monkeypatch.setattr(leading, "MOST_COEFS", most)
    X, y, rng = data(n=shape[0], p=shape[1], K=3, density=1)
    weights = rng.integers(1, 3, shape[0]).astype(float) if weighted else None
    problem = Problem.of(store(X), against_others(y, 3), Penalty(0.0, 1.0 + np.arange(shape[1]) % 3),
                         weights=Weights(weights, shape[0]), datafit=MULTINOMIAL, fit_intercept=fit_intercept)
    solver = QuasiNewton(problem, Spec(np.ones(1)))
    solver.start(0.1 * rng.standard_normal((3, shape[1])))
    solver._settle()
    space, alpha = solver.space, 0.7
    matrix, u = leading.Leading(solver, solver._rows(solver.eta).chances), space.begin(solver.W, alpha)
    base = space.preconditioner(np.ones(3), alpha)
    r = matrix.count
    assert r == min(most // 3, u.shape[1])
    if most == 9:
        g = rng.standard_normal(u.shape)
        np.testing.assert_array_equal(matrix.preconditioner(alpha, base)(g)[:, :-r], base(g)[:, :-r])
        return
    d = rng.standard_normal(u.shape)
    d -= d.mean(axis=0)                             # what all classes have in common bends nothing

    def slope(t):
        """Of the objective with its best intercepts, along the coordinates."""
        solver.eta = space.images(u + t * d) + solver.b[:, None]
        solver._settle()
        return space.gradient(u + t * d, solver._residual(solver.eta)[1], alpha)

    bent = (slope(1e-4) - slope(-1e-4)) / 2e-4
    np.testing.assert_allclose(matrix.preconditioner(alpha, base)(bent), d, atol=1e-5)
    np.testing.assert_allclose(matrix.preconditioner(1.9 * alpha, base)(bent), d, atol=1e-5)          # near enough
    assert np.abs(matrix.preconditioner(10 * alpha, base)(bent) - d).max() > 0.1
    np.testing.assert_allclose(matrix.preconditioner(alpha, base)(bent), d, atol=1e-5)                # made anew
    if shape[0] > shape[1]:                         # where nothing holds what classes have in common, but they
        np.testing.assert_allclose(matrix.preconditioner(1e-300, base)(bent - alpha * d), d, atol=1e-5)


def test_leading_coordinates_of_some_rows_stand_for_all(monkeypatch):
    X, y, rng = data(n=2000, p=12, K=3, density=1)
    problem = Problem.of(X, against_others(y, 3), Penalty(0.0), datafit=MULTINOMIAL,
                         weights=Weights(rng.integers(0, 3, 2000).astype(float), 2000))
    solver = QuasiNewton(problem, Spec(np.ones(1)))
    chance = solver._rows(rng.standard_normal((3, 2000))).chances
    whole = leading.Leading(solver, chance).G
    monkeypatch.setattr(leading, "MOST_IMAGES", 500 * 12)
    some = leading.Leading(solver, chance).G
    assert np.trace(some) == pytest.approx(np.trace(whole), rel=0.1)
    assert np.abs(some - whole).max() > 1e-3 * np.abs(whole).max()


@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
def test_steps_keep_what_belongs_together(shape):
    """Predictors are those of the coordinates and of intercepts that have followed them."""
    X, y, _ = data(n=shape[0], p=shape[1])
    solver = QuasiNewton(Problem.of(X, against_others(y, 4), Penalty(0.0), datafit=MULTINOMIAL), Spec(np.ones(1)))
    solver._begin(0.1)
    solver._round(0.1, 1e-9 * solver.unit)
    assert np.abs(solver.begun).max() > 0.1
    np.testing.assert_allclose(solver.eta, solver.space.images(solver.begun) + solver.b[:, None], atol=1e-10)


def test_history_is_told_how_the_penalty_changes(monkeypatch):
    told = []

    class Told(History):
        def bend(self, more):
            told.append(more)
            super().bend(more)

    monkeypatch.setattr(quasi_newton, "History", Told)
    X, y, _ = data()
    problem = Problem.of(X, against_others(y, 4), Penalty(0.0), datafit=MULTINOMIAL)
    alphas = np.array([0.5, 0.2, 0.1])
    QuasiNewton(problem, Spec(alphas, tol=1e-9)).advance(alphas)
    np.testing.assert_array_equal(told, np.diff(alphas))


@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
@pytest.mark.parametrize("most", [12, 2000])
@pytest.mark.parametrize("few_rows", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_quasi_newton_with_leading_coordinates(shape, most, few_rows, weighted, monkeypatch):
    """Made where it pays or not, of all rows or of some: the answers are certified."""
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    monkeypatch.setattr(leading, "MOST_COEFS", most)
    if few_rows:
        monkeypatch.setattr(leading, "MOST_IMAGES", 15 * min(most // 4, *shape))
    made, make = [], quasi_newton.Leading
    monkeypatch.setattr(quasi_newton, "pays", lambda gaps, aim, cost: len(gaps) > 2)
    monkeypatch.setattr(quasi_newton, "Leading", lambda *of: made.append(1) or make(*of))
    X, y, rng = data(n=shape[0], p=shape[1])
    weights = np.r_[np.ones(4), rng.integers(0, 3, shape[0] - 4)] if weighted else None
    path = regularization_path(X, y, datafit="multinomial", l1_ratio=0.0, alphas=[1.0, 0.1, 1e-3], tol=TOL,
                               sample_weight=weights)
    assert 1 <= len(made) <= 3                      # one of each alpha
    assert judged(X, y, path, 0.0, weights=weights) < 1.01 * TOL


def test_leading_coordinates_are_asked_for_where_they_pay():
    falling = [10.0 ** -k for k in range(8)]
    assert not leading.pays(falling, 1e-12, 20)     # 5 steps more
    assert leading.pays(falling, 1e-80, 20)
    assert leading.pays(8 * [1.0], 1e-2, 20) and not leading.pays(8 * [1.0], 1e-2, np.inf)
    assert not leading.pays(falling[:4], 1e-80, 20)
    assert leading.pays(falling, 0.0, 20)           # no gap at all is wanted
    X, y, _ = data(n=60, p=12)
    of = QuasiNewton(Problem.of(X, against_others(y, 4), Penalty(0.0), datafit=MULTINOMIAL), Spec(np.ones(1)))
    assert 0 < leading.price(of) < np.inf
    wide = QuasiNewton(Problem.of(sp.random_array((3000, 5000), density=0.01, rng=0, format="csr"),
                                  against_others(np.arange(3000) % 3, 3), Penalty(0.0), datafit=MULTINOMIAL),
                       Spec(np.ones(1)))
    assert leading.price(wide) == np.inf            # coordinates of rows
    many = np.arange(600) % 200                     # each pair of classes is a reading of the rows
    of = QuasiNewton(Problem.of(X.repeat(10, axis=0), against_others(many, 200), Penalty(0.0), datafit=MULTINOMIAL),
                     Spec(np.ones(1)))
    assert leading.price(of) > 100


def test_what_steps_have_found_out_serves_at_the_next_alpha_in_few_steps(monkeypatch):
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    monkeypatch.setattr(leading, "MOST_COEFS", 0)
    X, y = load_digits(return_X_y=True)
    steps, length = [], QuasiNewton._length
    monkeypatch.setattr(QuasiNewton, "_length", lambda self, *of: steps.append(1) or length(self, *of))
    problem = Problem.of(X / 16, against_others(y, 10), Penalty(0.0), datafit=MULTINOMIAL)
    alphas = 10.0 ** -np.arange(1.0, 6)

    def count(forgets):
        solver = QuasiNewton(problem, Spec(alphas, tol=1e-6))
        steps.clear()
        for alpha in alphas:
            if forgets and solver.history is not None:
                solver.history.forget()
            solver.advance(np.array([alpha]))
        return len(steps)

    assert count(False) < 0.8 * count(True)


def test_history_knows_the_changes_it_was_told():
    """The secant equation of the last step, and the inverse itself once all directions have been gone."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((6, 6))
    A = A @ A.T + np.eye(6)
    history = History(6, 6)
    for step in np.linalg.eigh(A)[1].T:
        history.add(step, A @ step)
        np.testing.assert_allclose(history.solve(A @ step, lambda g: 0.1 * g), step, atol=1e-12)
    g = rng.standard_normal(6)
    np.testing.assert_allclose(history.solve(g, lambda g: 0.1 * g), np.linalg.solve(A, g), rtol=1e-10)
    history.add(g, 0 * g)                           # no curvature: passed over
    history.add(g, A @ g)
    assert history.count == 6
    np.testing.assert_allclose(history.solve(A @ g, lambda g: 0.1 * g), g, atol=1e-9)
    history.forget()
    np.testing.assert_array_equal(history.solve(g, lambda g: 0.1 * g), 0.1 * g)
    history.add(np.eye(6)[0], np.eye(6)[1] - 1e-17 * np.eye(6)[0])          # curvature that is rounding: passed over
    assert history.count == 0


def test_history_bends_with_the_penalty():
    """All it was told, of an objective that bends more: the secant equation of the last step, in the order of steps."""
    rng = np.random.default_rng(1)
    A = rng.standard_normal((6, 6))
    A = A @ A.T + np.eye(6)
    bent, told = History(6, 4), History(6, 4)
    for step in rng.standard_normal((7, 6)):
        bent.add(step, A @ step)
        told.add(step, A @ step + 3 * step)
    bent.bend(3.0)
    assert bent.count == told.count == 4
    g = rng.standard_normal(6)
    np.testing.assert_allclose(bent.solve(g, np.copy), told.solve(g, np.copy), rtol=1e-12)
    bent.bend(-1e9)                                 # no curvature is left
    assert bent.count == 0


def test_history_of_numbers_and_images():
    """Of (a, M a) the inner product of a and b is a' M b, as of coordinates in which M is the identity."""
    rng = np.random.default_rng(2)
    M, A = (B @ B.T + np.eye(4) for B in rng.standard_normal((2, 4, 4)))
    root = np.linalg.cholesky(M).T
    apart, plain = History(8, 3, apart=True), History(4, 3)
    both = np.stack([np.eye(4), M])
    for step in rng.standard_normal((5, 4)):
        change = A @ M @ step
        apart.add(both @ step, both @ change)
        plain.add(root @ step, root @ change)
    g = rng.standard_normal(4)
    found = apart.solve(both @ g, np.copy)
    np.testing.assert_allclose(root @ found[0], plain.solve(root @ g, np.copy), rtol=1e-9)
    np.testing.assert_allclose(found[1], M @ found[0], rtol=1e-9)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
@pytest.mark.parametrize("level", [1e3, 1e9])
def test_quasi_newton_of_high_levels(level, shape, store, monkeypatch):
    """Products that centre afterwards serve as long as they keep the digits."""
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    X, y, _ = data(n=shape[0], p=shape[1], density=1)
    high = X.copy()
    high[:, ::3] += level
    path, right = (regularization_path(store(Z), y, datafit="multinomial", l1_ratio=0.0, alphas=[0.1, 1e-2], tol=1e-10)
                   for Z in (high, high - high.mean(axis=0)))
    np.testing.assert_allclose(np.asarray(path.coefs), np.asarray(right.coefs), atol=1e-4)
    assert judged(high, y, path, 0.0) < 1.01e-10
    problem = Problem.of(store(high), against_others(y, 4), Penalty(0.0), datafit=MULTINOMIAL)
    assert QuasiNewton(problem, Spec(np.ones(1))).by_library == (level == 1e3)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("most", [0, coordinates.MOST])
@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
def test_coordinates_are_of_one_kind(shape, most, store, monkeypatch):
    """Predictors, coefficients, the penalty and the slopes of all coordinates, from X."""
    monkeypatch.setattr(coordinates, "MOST", most)
    X, y, rng = data(n=shape[0], p=shape[1], K=3)
    weights = np.r_[np.ones(3), rng.integers(0, 3, shape[0] - 3)].astype(float)
    X[weights == 0] *= 1e3
    problem = Problem.of(store(X), against_others(y, 3), Penalty(0.0, 1.0 + np.arange(shape[1]) % 3),
                         weights=Weights(weights, shape[0]), datafit=MULTINOMIAL)
    solver = QuasiNewton(problem, Spec(np.ones(1)))
    space, on, F = solver.space, weights > 0, solver.factors
    s = weights * shape[0] / weights.sum()
    Z = X - np.average(X, axis=0, weights=weights)

    def drawn():
        residual = s * rng.standard_normal((3, shape[0]))
        return residual - s * (residual.sum(axis=1) / s.sum())[:, None]

    solver.eta += rng.standard_normal(solver.eta.shape)
    start = rng.standard_normal((3, shape[1]))
    u, residual = space.gradient(space.begin(start, 0.5), drawn(), 0.3), drawn()
    v = space.gradient(u, residual, 0.0)
    off = (space.images(u) - space.coefs(u) @ Z.T)[:, on]                   # nothing, or levels that intercepts take
    np.testing.assert_allclose(off, off[:, :1].repeat(on.sum(), axis=1), atol=1e-9)
    assert space.dot(u, v) == pytest.approx(np.sum(F * space.coefs(u) * space.coefs(v)), rel=1e-9)
    np.testing.assert_allclose(F * space.coefs(v), -residual @ np.where(on[:, None], Z, 0), atol=1e-9)
    if shape[0] > shape[1]:
        np.testing.assert_allclose(space.coefs(space.begin(start, 0.5)), start, rtol=1e-9)


@pytest.mark.parametrize("most", [0, coordinates.MOST])
@pytest.mark.parametrize("shape", [(80, 12), (40, 60)])
def test_folds_borrow_what_is_made_of_x(shape, most, monkeypatch):
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    monkeypatch.setattr(coordinates, "MOST", most)
    X, y, _ = data(n=shape[0], p=shape[1], K=3)
    lender = QuasiNewton(Problem.of(X, against_others(y, 3), Penalty(0.0), datafit=MULTINOMIAL), Spec(np.ones(1)))
    weights = np.where(np.arange(shape[0]) % 4 == 3, 0.0, 1.0)
    problem = Problem.of(X, against_others(y, 3), Penalty(0.0), weights=Weights(weights, shape[0]), datafit=MULTINOMIAL)
    spec, alphas = Spec(np.array([0.1, 1e-3]), tol=1e-13), np.array([0.1, 1e-3])
    led, alone = QuasiNewton(problem, spec, lead=lender), QuasiNewton(problem, spec)
    if most:
        assert led.space.vectors is lender.space.vectors
        back = QuasiNewton(lender.problem, spec, lead=alone)
        if shape[0] < shape[1]:                     # rows that it has not seen
            assert back.space.vectors is not alone.space.vectors
    np.testing.assert_allclose(led.advance(alphas).data, alone.advance(alphas).data, atol=1e-4)


def test_columns_serve_where_products_of_rows_have_not_the_digits(monkeypatch):
    monkeypatch.setattr(coordinates, "MOST", 0)
    X, y, rng = data(n=40, p=90, K=3, density=1)
    X = X * 10.0 ** rng.uniform(-3, 3, 90) + 1e3 * rng.standard_normal(90)
    path = regularization_path(X, y, datafit="multinomial", l1_ratio=0.0, alphas=[1e-2, 1e-6], tol=1e-7)
    assert judged(X, y, path, 0.0) < 1.01e-7


@pytest.mark.parametrize("most", [0, coordinates.MOST])
@pytest.mark.parametrize("shape", [(60, 12), (20, 50)])
def test_quasi_newton_goes_on_from_given_coefficients(shape, most, monkeypatch):
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    monkeypatch.setattr(coordinates, "MOST", most)
    X, y, _ = data(n=shape[0], p=shape[1])
    other = LogisticRegression(C=0.4, tol=1e-10, warm_start=True).fit(X, y).set_params(C=0.5).fit(X, y)
    alone = LogisticRegression(C=0.5, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(other.coef_, alone.coef_, atol=1e-4)
    model = LogisticRegression(C=0.5, tol=1e-10, warm_start=True).fit(X, y)
    assert model.n_iter_ > 0
    before = model.coef_
    assert model.fit(X, y).n_iter_ == 0
    np.testing.assert_array_equal(model.coef_, before)


# ---- estimators ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("class_weight", [None, "balanced", {"a": 2.0, "c": 0.3}])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_as_scikit_learn(class_weight, fit_intercept):
    X, y, rng = data(n=120, K=3)
    labels, s = np.array(["a", "b", "c"])[y], np.r_[1, 1, 1, rng.integers(0, 3, 117)] + 0.0
    options = {"class_weight": class_weight, "fit_intercept": fit_intercept}
    mine = LogisticRegression(tol=1e-12, **options).fit(X, labels, s)
    theirs = Theirs(tol=1e-12, max_iter=10000, **options).fit(X, labels, s)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(mine.intercept_, theirs.intercept_, atol=1e-5)
    np.testing.assert_allclose(mine.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(mine.predict_log_proba(X), theirs.predict_log_proba(X), atol=1e-5)
    np.testing.assert_array_equal(mine.predict(X), theirs.predict(X))
    assert mine.score(X, labels) == theirs.score(X, labels)
    assert certify(X, labels, mine, sample_weight=s).ok
    assert certify(X, labels, theirs, sample_weight=s).gap < 1e-8
    assert mine.coef_.shape == (3, 12) and mine.intercept_.shape == (3,) and mine.n_iter_.shape == (1,)
    again = pickle.loads(pickle.dumps(mine.sparsify()))
    np.testing.assert_allclose(again.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_single_precision():
    X, y, _ = data()
    model = LogisticRegression(l1_ratio=0.5).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert certify(X.astype(np.float32), y, model).ok


def test_warm_start():
    X, y, _ = data()
    model = LogisticRegression(l1_ratio=1.0, C=0.5, warm_start=True).fit(X, y)
    before = model.coef_
    assert model.fit(X, y).n_iter_ == 0
    np.testing.assert_allclose(model.coef_, before, atol=1e-15)
    assert certify(X, y, model.set_params(C=2.0).fit(X, y)).ok


@pytest.mark.parametrize(("options", "fit", "error", "message"), [
    ({}, {"offset": np.ones(60)}, ValueError, "offset is for two classes"),
    ({"solver": "liblinear"}, {}, ValueError, "liblinear"),
    ({}, {"sample_weight": np.r_[0, np.ones(59)] * (np.r_[1, 1, 1, 1, np.zeros(56)] != 1)}, None, None),
])
def test_what_cannot_be_fitted_is_named(options, fit, error, message):
    X, y, _ = data()
    if error is None:
        y = np.where(np.arange(60) < 4, y, y % 3)
        fit = {"sample_weight": np.where(y == 3, 0.0, 1.0)}
        error, message = ValueError, "some have none"
    with pytest.raises(error, match=message):
        LogisticRegression(**options).fit(X, y, **fit)


def test_an_offset_is_refused_wherever_it_is_given():
    X, y, _ = data()
    with pytest.raises(ValueError, match="offset must be None"):
        regularization_path(X, y, datafit="multinomial", offset=0.5)
    model, path = LogisticRegression().fit(X, y), regularization_path(X, y, datafit="multinomial", alphas=3)
    for predict in (model.predict, model.predict_proba, model.decision_function, path.predict, path.predict_proba):
        with pytest.raises(ValueError, match="offset"):
            predict(X, offset=1.0)
    with pytest.raises(ValueError, match="offset_val must be None"):
        regularization_path(X, y, datafit="multinomial", X_val=X, y_val=y, offset_val=1.0)


def test_a_path_and_what_it_says():
    X, y, _ = data(n=100)
    labels = np.array(["ape", "bee", "cat", "dog"])[y]
    path = regularization_path(X[:80], labels[:80], datafit="multinomial", alphas=15, eps=1e-2, X_val=X[80:],
                               y_val=labels[80:])
    assert path.classes.tolist() == ["ape", "bee", "cat", "dog"]
    assert path.df.shape == path.dual_gaps.shape == path.deviances.shape == (15,)
    assert path.intercepts.shape == (4, 15)
    P = path.predict_proba(X)
    assert P.shape == (100, 4, 15)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_array_equal(path.predict(X), path.classes[P.argmax(axis=1)])
    for k in (3, 14):
        assert path.deviances[k] == pytest.approx(2 * log_loss(labels[:80], P[:80, :, k]))
        assert path.validation_deviances[k] == pytest.approx(2 * log_loss(labels[80:], P[80:, :, k]))
        assert path.df[k] == np.count_nonzero(of_path(path, k)[0])
    assert path.best == np.argmin(path.validation_deviances)
    exact = path.coef_at(path.alphas[7] * 0.99, exact=True)
    assert ClassesJudge(X[:80], y[:80], path.alphas[7] * 0.99).gap(
        np.stack([c.toarray()[:, 0] for c in exact[0]]), exact[1][:, 0]) < 1e-4
    assert len(path.plot()) == 4


@pytest.mark.parametrize("scoring", [None, "accuracy"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_cv_as_scikit_learn(scoring, fit_intercept):
    X, y, _ = data(n=90, K=3)
    labels = np.array(["a", "b", "c"])[y]
    mine = LogisticRegressionCV(Cs=4, tol=1e-10, scoring=scoring, fit_intercept=fit_intercept).fit(X, labels)
    theirs = TheirsCV(Cs=4, tol=1e-11, max_iter=10000, scoring=scoring or "neg_log_loss", l1_ratios=(0.0,),
                      fit_intercept=fit_intercept, use_legacy_attributes=False).fit(X, labels)
    np.testing.assert_allclose(mine.scores_, theirs.scores_, atol=1e-4)
    assert mine.coefs_paths_.shape == theirs.coefs_paths_.shape
    np.testing.assert_allclose(mine.coefs_paths_[:, :, :3], theirs.coefs_paths_[:, :, :3], atol=2e-3)
    assert mine.C_ == theirs.C_
    assert certify(X, labels, mine).ok
    averaged = LogisticRegressionCV(Cs=4, tol=1e-10, refit=False, scoring=scoring,
                                    fit_intercept=fit_intercept).fit(X, labels)
    best = [averaged.coefs_paths_[f, 0, np.argmax(averaged.scores_[f, 0])] for f in range(5)]
    np.testing.assert_allclose(averaged.coef_, np.mean(best, axis=0)[:, :12], rtol=1e-12)
    np.testing.assert_allclose(averaged.intercept_, np.mean(best, axis=0)[:, 12] if fit_intercept else 0, rtol=1e-12)


@pytest.mark.parametrize("criterion", ["aic", "bic", "ebic"])
@pytest.mark.parametrize(("l1_ratio", "fit_intercept"), [(1.0, True), (0.5, False), (0.3, True), (0.0, True)])
def test_criteria(criterion, l1_ratio, fit_intercept):
    """-2 log likelihood and what degrees of freedom cost: the trace of the hat matrix of the coefficients in use, of
    the lasso their rank, classes having a shift in common."""
    X, y, rng = data(2, n=120, p=6, K=3)
    s = np.r_[np.ones(3), rng.integers(0, 3, 117)] + 0.0
    path = regularization_path(X, y, datafit="multinomial", l1_ratio=l1_ratio, alphas=np.geomspace(0.3, 1e-3, 6),
                               sample_weight=s, fit_intercept=fit_intercept, tol=1e-12)
    model = LogisticRegressionCV(Cs=1 / (path.alphas * s.sum()), l1_ratios=l1_ratio, criterion=criterion, tol=1e-12,
                                 fit_intercept=fit_intercept).fit(X, y, s)
    rows, curves = np.count_nonzero(s), model.ic_path_
    for k, alpha in enumerate(path.alphas):
        W, b = of_path(path, k)
        P = chances(X @ W.T + b).astype(float)
        m, bends = np.count_nonzero(W), np.zeros((360, 360))
        for i in range(120):
            bends[3 * i:3 * i + 3, 3 * i:3 * i + 3] = s[i] * (np.diag(P[i]) - np.outer(P[i], P[i]))
        Z = np.zeros((120, 3, m + 3 * fit_intercept))
        for at, (c, j) in enumerate(zip(*np.nonzero(W))):
            Z[:, c, at] = X[:, j]
        for c in range(3 * fit_intercept):
            Z[:, c, m + c] = 1
        stacked = Z.reshape(360, -1)
        H = stacked.T @ bends @ stacked
        ridge = np.diag(np.r_[np.full(m, alpha * (1 - l1_ratio) * s.sum()), np.zeros(3 * fit_intercept)])
        levels = 2 if fit_intercept else 0
        if l1_ratio == 1:
            df = np.linalg.matrix_rank(H, tol=1e-9 * np.trace(H), hermitian=True) - levels
        else:
            df = np.trace(np.linalg.pinv(H + ridge, rcond=1e-13, hermitian=True) @ H) - levels
        assert curves.df[0, k] == pytest.approx(df, abs=1e-5)
        loss = -2 * rows / s.sum() * float(s @ np.log(P[np.arange(120), y]))
        cost = (2 if criterion == "aic" else np.log(rows)) * df
        if criterion == "ebic":
            cost += 2 * (gammaln(19) - gammaln(df + 1) - gammaln(19 - df))
        assert curves.values[0, k] == pytest.approx(loss + cost, rel=1e-6)
    assert pytest.approx(1 / (path.alphas[np.argmin(curves.values[0])] * s.sum())) == model.C_
    assert certify(X, y, model, sample_weight=s).ok


@pytest.mark.parametrize("limits", [{}, {"upper_limits": 0.4}])
def test_relaxed_fits(limits):
    """Without a penalty on what any class uses, blended with the penalised fit."""
    X, y, _ = data(5, n=200, p=8, K=3)
    options = {"l1_ratios": 1.0, "cv": 3, "tol": 1e-12, **limits}
    model = LogisticRegressionCV(Cs=[0.03, 0.1], relax=[0.0], **options).fit(X, y)
    used = LogisticRegression(C=model.C_, l1_ratio=1.0, tol=1e-12, **limits).fit(X, y).coef_.any(axis=0)
    alone = LogisticRegression(C=np.inf, tol=1e-12, penalty_factor=np.where(used, 1, np.inf), **limits).fit(X, y)
    assert 0 < used.sum() < 8
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-5)
    assert model.deviance_ == pytest.approx(alone.deviance_, rel=1e-9)
    half = LogisticRegressionCV(Cs=[model.C_], relax=[0.5], **options).fit(X, y)
    penalised = LogisticRegression(C=model.C_, l1_ratio=1.0, tol=1e-12, **limits).fit(X, y)
    np.testing.assert_allclose(half.coef_, 0.5 * (penalised.coef_ + alone.coef_), atol=1e-5)
    assert half.deviance_ == pytest.approx(2 * log_loss(y, half.predict_proba(X)), rel=1e-9)
    assert half.scores_.shape == (3, 1, 1, 1)


def test_a_support_that_sets_classes_apart_is_named():
    X, y, _ = data(6, n=60, p=4, K=3)
    X[:, 0] += 10 * y
    with pytest.raises(ValueError, match="relax: with the features in use at alpha"):
        LogisticRegressionCV(Cs=[1.0], l1_ratios=1.0, relax=True).fit(X, y)


# ---- the certificate -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(30))
def test_bounds_of_bad_answers(seed):
    """Never below what is missing, and no looser than the bound of a judge in long double."""
    X, y, rng = data(seed, n=40, p=8, K=3)
    ratio, intercept = [1.0, 0.5, 0.0][seed % 3], bool(seed % 2)
    options = {"fit_intercept": intercept}
    path = regularization_path(X, y, datafit="multinomial", l1_ratio=ratio, alphas=[0.05, 0.01], tol=1e-11, **options)
    good = [of_path(path, k) for k in range(2)]
    good = [(W.copy(), b.copy()) for W, b in good]
    for c in path.coefs:
        c.data *= 1 + 10.0 ** rng.uniform(-8, 0) * rng.standard_normal(len(c.data))
    path.intercepts += rng.choice([0, 1e-6, 0.3]) * intercept * rng.standard_normal(path.intercepts.shape)
    found = certify(X, y, path, alpha=path.alphas)
    for k, alpha in enumerate(path.alphas):
        judge = ClassesJudge(X, y, alpha, ratio, **options)
        primal = judge.primal(*of_path(path, k))
        assert found.gap[k] >= float((primal - judge.primal(*good[k])) / judge.total) * (1 - 1e-9) - 1e-15
        assert found.gap[k] <= float((primal - judge.dual(*of_path(path, k))) / judge.total) * (1 + 1e-6) + 1e-13
        assert found.objective[k] == pytest.approx(float(judge.primal(*of_path(path, k)) / judge.total), rel=1e-12)


def test_the_best_intercepts_are_found_wherever_those_given_are():
    """Classes that are separated, so that the loss has not the digits to tell; intercepts that are far off."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y = np.r_[np.arange(4), rng.integers(0, 4, 36)]
        labels = y[:, None] == np.arange(4)
        eta = rng.uniform(3, 30) * labels + rng.standard_normal((40, 4)) + rng.choice([0, 5]) * rng.standard_normal(4)
        fit = ClassesFit(ClassesTarget(Data(np.ones((40, 1)), None, True), labels), eta, np.zeros(4))
        assert fit.settled
        np.testing.assert_allclose(fit.r.sum(axis=0), 0, atol=1e-12)


def test_labels_that_the_fit_has_not_seen():
    X, y, _ = data()
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="labels of the fit"):
        certify(X, y + 1, model)
    assert not certify(X[:, ::-1], y, model).ok
