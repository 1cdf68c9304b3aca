"""HuberRegressor: against long double, by a dual bound that is written down once more, and what cannot matter."""

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from fastreg.datafits.huber import Huber
from problems import STORAGES, parts
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning
from twins import STORED, close, design, view

from fastreg import HuberRegressor, Ridge, certify
from fastreg.adapter import parallel_work
from fastreg.adapter.sums import advance
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem
from fastreg.solvers import concomitant_newton, concomitant_search
from fastreg.solvers.concomitant import Concomitant
from fastreg.weights import Weights

REAL = np.longdouble


def data(seed=0, n=80, p=5, outliers=8):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.7)
    y = X @ rng.standard_normal(p) + 0.5 * rng.standard_normal(n) + 2
    y[:outliers] += 20 * rng.standard_normal(outliers)
    weight = rng.uniform(0.2, 3, n)
    weight[-3:] = 0
    return X, y, weight


class Joint:
    """The objective in long double, its minimum by Newton's method, and the bound from below."""

    def __init__(self, X, y, alpha, epsilon=1.35, weight=None, fit_intercept=True, l1_ratio=0.0, factor=1.0,
                 lower=-np.inf, upper=np.inf):
        self.X = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=REAL)
        self.y, self.epsilon, self.fit_intercept = np.asarray(y, dtype=REAL), REAL(epsilon), fit_intercept
        self.s = np.ones(len(y), dtype=REAL) if weight is None else np.asarray(weight, dtype=REAL)
        factor = np.broadcast_to(np.asarray(factor, dtype=REAL), self.X.shape[1])
        self.l1, self.l2 = 2 * REAL(alpha) * l1_ratio * factor, REAL(alpha) * (1 - REAL(l1_ratio)) * factor
        self.lower, self.upper = lower, upper

    def z(self, w, b, sigma):
        return (self.y - self.X @ np.asarray(w, dtype=REAL) - REAL(b)) / REAL(sigma)

    def penalty(self, w):
        w = np.asarray(w, dtype=REAL)
        return self.l1 @ np.abs(w) + self.l2 @ w**2

    def value(self, w, b, sigma):
        z = np.abs(self.z(w, b, sigma))
        H = np.where(z <= self.epsilon, z**2, 2 * self.epsilon * z - self.epsilon**2)
        return self.s @ (1 + H) * REAL(sigma) + self.penalty(w)

    def of(self, model):
        return float(self.value(model.coef_, model.intercept_, model.scale_))

    def best(self):
        """(w, b, sigma) of an L2 penalty, from least squares on, reweighted."""
        p, ones = self.X.shape[1], np.ones((len(self.y), 1), dtype=REAL)
        A = np.hstack([self.X, ones]) if self.fit_intercept else self.X
        sizes = np.append(2 * self.l2, np.zeros(A.shape[1] - p, dtype=REAL))
        at = np.append(np.linalg.lstsq(A.astype(float), self.y.astype(float), rcond=None)[0], 0).astype(REAL)
        at[-1] = np.sqrt(np.average((self.y - A @ at[:-1]) ** 2, weights=self.s))

        def value(at):
            return self.value(at[:p], at[p] if self.fit_intercept else 0, at[-1])

        for _ in range(300):                           # what is above the objective and touches it at w and sigma
            z = np.abs(self.y - A @ at[:-1]) / at[-1]
            d, on = self.s * np.minimum(1, self.epsilon / np.maximum(z, self.epsilon)), z <= self.epsilon
            H = (A.T * d) @ A + np.diag(sizes * at[-1] / 2)
            at[:-1] = np.linalg.solve(H.astype(float), ((A.T * d) @ self.y).astype(float))
            room = self.s.sum() - self.epsilon**2 * self.s[~on].sum()
            inside = (self.s * (self.y - A @ at[:-1])**2)[on].sum()
            at[-1] = np.clip(np.sqrt(inside / room), at[-1] / 2, 2 * at[-1]) if room > 0 else 1.1 * at[-1]
        for _ in range(60):
            z = (self.y - A @ at[:-1]) / at[-1]
            v, on = np.clip(z, -self.epsilon, self.epsilon), np.abs(z) <= self.epsilon
            g = np.append(sizes * at[:-1] - 2 * A.T @ (self.s * v), self.s @ (1 - v**2))
            B = np.hstack([A, z[:, None]])[on]
            H = 2 * (B.T * self.s[on]) @ B / at[-1]
            H[np.diag_indices_from(A.T @ A)] += sizes
            step = -np.linalg.solve((H + 1e-12 * np.diag(np.diag(H))).astype(float), g.astype(float))
            part = REAL(min(1, 0.9 * at[-1] / -step[-1]) if step[-1] < 0 else 1)
            while part > 1e-8 and value(at + part * step) > value(at):
                part /= 2
            if part <= 1e-8:
                break
            at = at + part * step
        return at[:p], at[p] if self.fit_intercept else REAL(0), at[-1]

    def bound(self, w, b, sigma):
        """``sum s v y - penalty*(X'Sv)`` at what a fit leaves of a dual point: v here is twice that of the solver."""
        z = self.z(w, b, sigma)
        v, on = 2 * np.clip(z, -self.epsilon, self.epsilon), np.abs(z) <= self.epsilon
        free = np.flatnonzero((self.l1 == 0) & (self.l2 == 0))
        A = np.hstack([self.X[:, free], np.ones((len(z), 1 if self.fit_intercept else 0), dtype=REAL)])
        for _ in range(3 if A.shape[1] else 0):                # each pass in float64 makes the rest smaller
            G = (A[on].T * self.s[on]) @ A[on]
            v = v - on * (A @ np.linalg.lstsq(G.astype(float), (A.T @ (self.s * v)).astype(float), rcond=1e-12)[0])
        g = self.X.T @ (self.s * v)
        if np.any(np.abs(g[free]) > 1e-9 * np.sqrt(self.s.sum())):      # too few rows inside
            return -np.inf
        pure = (self.l2 == 0) & (self.l1 > 0)
        c = min([REAL(1), 2 * self.epsilon / np.max(np.abs(v)), np.sqrt(4 * self.s.sum() / (self.s @ v**2)),
                 *(self.l1[pure] / np.maximum(np.abs(g[pure]), self.l1[pure]))])
        over = np.sign(g) * np.maximum(c * np.abs(g) - self.l1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            top = np.clip(np.where((over == 0) | (self.l2 == 0), 0, over / (2 * self.l2)), self.lower, self.upper)
        return float(c * self.s @ (v * self.y) - np.sum(over * top - self.l2 * top**2))


def unit(y, epsilon=1.35, weight=None, fit_intercept=True):
    """What tol is a multiple of."""
    level = np.average(y, weights=weight) if fit_intercept else 0.0
    return 2 * epsilon * np.sum(np.abs(y - level) * (1 if weight is None else weight))


# ---- the optimum -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("alpha", [0.0, 1e-4, 3.0])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"epsilon": 1.1}, {"epsilon": 20.0}], ids=str)
def test_the_fit_is_that_of_long_double(seed, alpha, options):
    X, y, weight = data(seed)
    weight = weight if seed % 2 else None
    joint = Joint(X, y, alpha, weight=weight, **options)
    w, b, sigma = joint.best()
    least = float(joint.value(w, b, sigma))
    model = HuberRegressor(alpha=alpha, tol=1e-12, **options).fit(X, y, weight)
    assert abs(joint.of(model) - least) <= 1e-12 * least
    assert -1e-14 * least <= model.dual_gap_ <= 1e-12 * unit(y, options.get("epsilon", 1.35), weight,
                                                            options.get("fit_intercept", True))
    np.testing.assert_allclose(model.coef_, w.astype(float), rtol=0, atol=1e-8)
    np.testing.assert_allclose([model.intercept_, model.scale_], [float(b), float(sigma)], rtol=1e-8)
    np.testing.assert_array_equal(model.outliers_, np.abs(joint.z(w, b, sigma)) > joint.epsilon)


@pytest.mark.parametrize("options", [
    {"l1_ratio": 1.0}, {"l1_ratio": 0.5}, {"lower_limits": 0.0},
    {"lower_limits": -0.1, "upper_limits": [0, 1, 1, 1, 0.2]},
    {"l1_ratio": 1.0, "penalty_factor": [0, 1, 2, 0.5, 0]}, {"penalty_factor": [0, 1, 2, 0.5, 3]},
    {"l1_ratio": 0.3, "lower_limits": -0.05, "fit_intercept": False}], ids=str)
@pytest.mark.parametrize("alpha", [0.1, 5.0])
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
def test_other_penalties_have_their_bound(options, alpha, store):
    X, y, weight = data(1)
    names = {"penalty_factor": "factor", "lower_limits": "lower", "upper_limits": "upper"}
    joint = Joint(X, y, alpha, weight=weight, **{names.get(name, name): value for name, value in options.items()})
    model = HuberRegressor(alpha=alpha, tol=1e-10, **options).fit(store(X), y, weight)
    value = joint.of(model)
    assert value - joint.bound(model.coef_, model.intercept_, model.scale_) <= 1e-9 * value
    loose = HuberRegressor(alpha=alpha, tol=1e-2, **options).fit(store(X), y, weight)
    assert joint.of(loose) - value <= loose.dual_gap_ + 1e-12 * value
    assert (model.coef_ >= options.get("lower_limits", -np.inf)).all()
    assert (model.coef_ <= options.get("upper_limits", np.inf)).all()


@pytest.mark.parametrize("seed", range(8))
def test_l1_penalties_and_columns_of_all_lengths(seed):
    """The bound falls by the root of what a fit leaves of its conditions: fits at one scale must be sharp enough."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((110, 20)) * 10.0 ** rng.uniform(-3, 3, 20)
    y = X @ (rng.standard_normal(20) / X.std(axis=0)) + rng.standard_t(30, 110)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = HuberRegressor(epsilon=5.0, alpha=0.1, l1_ratio=1.0).fit(X, y)
    assert certify(X, y, model).ok


def test_standardize_and_exclusion():
    X, y, weight = data(2)
    X = X * [1, 10, 0.1, 5, 1] + 3
    mean = np.average(X, axis=0, weights=weight)
    sd = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    one = HuberRegressor(alpha=2.0, standardize=True, tol=1e-12).fit(X, y, weight)
    other = HuberRegressor(alpha=2.0, tol=1e-12).fit(X / sd, y, weight)
    np.testing.assert_allclose(one.coef_ * sd, other.coef_, rtol=1e-8)
    out = HuberRegressor(alpha=2.0, penalty_factor=[1, np.inf, 1, 1, 1], tol=1e-12).fit(X, y)
    rest = HuberRegressor(alpha=2.0, tol=1e-12).fit(np.delete(X, 1, axis=1), y)
    assert out.coef_[1] == 0
    np.testing.assert_allclose(np.delete(out.coef_, 1), rest.coef_, rtol=1e-8)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.0}, {"alpha": 10.0, "l1_ratio": 0.9}, {"lower_limits": 0.0}],
                         ids=str)
@pytest.mark.parametrize("max_iter", [1, 2, 3, 4])
def test_the_gap_is_no_less_than_what_is_lost(options, max_iter):
    X, y, weight = data(3)
    joint = Joint(X, y, options.get("alpha", 1e-4), weight=weight, l1_ratio=options.get("l1_ratio", 0.0))
    best = joint.of(HuberRegressor(tol=1e-11, **options).fit(X, y, weight))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = HuberRegressor(max_iter=max_iter, tol=1e-11, **options).fit(X, y, weight)
    assert model.n_iter_ <= max_iter
    assert joint.of(model) - best <= model.dual_gap_ + 1e-12 * best
    limit = 1e-11 * unit(y, weight=weight)
    assert (model.dual_gap_ > limit) == any(issubclass(w.category, ConvergenceWarning) for w in said)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [{}, {"alpha": 0.0}, {"alpha": 5.0, "fit_intercept": False}], ids=str)
def test_newton_and_the_search_agree(seed, options, monkeypatch):
    X, y, weight = data(seed)
    one = HuberRegressor(tol=1e-11, **options).fit(X, y, weight)
    monkeypatch.setattr(concomitant_search, "suits", lambda model: False)
    other = HuberRegressor(tol=1e-11, **options).fit(X, y, weight)
    np.testing.assert_allclose(one.coef_, other.coef_, atol=2e-5)
    assert one.scale_ == pytest.approx(other.scale_, rel=1e-5)


def test_many_rows_begin_with_a_sample(monkeypatch):
    """Outliers in the majority of no sample, a column that only a few outliers have, weights of zero."""
    rng = np.random.default_rng(0)
    n = 12_000
    X = np.column_stack([rng.standard_normal((n, 3)) + [0, 30, 0], np.arange(n) < 4])
    y = X @ [1.0, -2, 0.5, 3] + 0.3 * rng.standard_normal(n) + 1
    y[:1000] += 50 * rng.standard_normal(1000)
    weight = rng.integers(0, 3, n).astype(float)
    begun = []
    sampled = concomitant_newton.by_sample
    monkeypatch.setattr(concomitant_search, "by_sample", lambda model: begun.append(sampled(model)) or begun[-1])
    model = HuberRegressor(tol=1e-12).fit(X, y, weight)
    assert np.linalg.norm(begun[0][0][:3] - model.coef_[:3]) < 0.1
    assert begun[0][1] == pytest.approx(model.intercept_ + X.mean(axis=0) @ model.coef_, abs=0.1)
    monkeypatch.setattr(concomitant_search, "by_sample", lambda model: None)
    plain = HuberRegressor(tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-7)
    assert model.dual_gap_ <= 1e-12 * unit(y, weight=weight)
    joint = Joint(X, y, 1e-4, weight=weight)
    assert joint.of(model) - joint.bound(model.coef_, model.intercept_, model.scale_) < 1e-9 * joint.of(model)


# ---- on the way ------------------------------------------------------------------------------------------------------
def model_of(X, y, weight, alpha, epsilon=1.35, fit_intercept=True, l1_ratio=0.0, **options):
    """The model as the solver has it, whose objective is that of `Joint` times n over twice the sum of the weights."""
    penalty = Penalty(l1_ratio, **options)
    problem = Problem.of(X, y[:, None], penalty, weights=Weights(weight, len(y)), datafit=Huber(1.0),
                         fit_intercept=fit_intercept)
    total = len(y) if weight is None else weight.sum()
    return Concomitant(problem, epsilon, alpha / total, 1e-5), 2 * total / len(y)


@pytest.mark.parametrize("options", [
    {}, {"l1_ratio": 1.0}, {"l1_ratio": 0.4, "fit_intercept": False}, {"factor": np.array([0.0, 1, 2, 0, 1])},
    {"lower": np.array([0.0, 0, -1, -1, -1]), "l1_ratio": 0.5}], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 5.0])
def test_the_gap_anywhere(options, weighted, sigma, rng):
    """Far from the solution too: at scales that are too small or too large, at coefficients that are off."""
    X, y, weight = data(18)
    weight = weight if weighted else None
    model, unit_ = model_of(X, y, weight, 2.0, **options)
    joint = Joint(X, y, 2.0, weight=weight, **options)
    best = np.inf
    for far in (0.01, 0.1, 1.0):
        w = np.linalg.lstsq(X, y - 2, rcond=None)[0] + far * rng.standard_normal(5)
        w = np.clip(np.where(rng.random(5) < 0.3, 0, w), options.get("lower", -np.inf), np.inf)
        b = 2.0 if options.get("fit_intercept", True) else 0.0
        fit = model.at(w, b + model.rows.means @ w, sigma)
        value = float(joint.value(w, b, sigma))
        assert unit_ * fit.objective == pytest.approx(value, rel=1e-12)
        assert unit_ * fit.gap() == pytest.approx(value - joint.bound(w, b, sigma), rel=1e-7)
        judged, gap = fit.judged()
        assert gap <= fit.gap() and judged.gap() == gap
        assert judged.objective <= fit.objective * (1 + 1e-12)
        best = min(best, value)
    assert unit_ * gap >= value - best


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_newton_s_step(store, fit_intercept, rng):
    """It solves Newton's system, and its dual point has the slopes that the penalty asks for."""
    X, y, weight = data(19)
    X = X + [0, 3, 0, 0, -2]
    model, _ = model_of(store(X), y, weight, 2.0, fit_intercept=fit_intercept)
    s = weight * len(y) / weight.sum()
    means = model.rows.means
    found = HuberRegressor(alpha=2.0, fit_intercept=fit_intercept).fit(X, y, weight)
    w, sigma = found.coef_ + 0.02 * rng.standard_normal(5), 1.1 * found.scale_
    newton = concomitant_newton.Newton(model, w, float(found.intercept_ + means @ found.coef_), sigma)
    A, at = np.hstack([X - means, np.ones((80, int(fit_intercept)))]), newton.at
    z = (y - (X - means) @ w - at.b) / sigma
    v, on = np.clip(z, -1.35, 1.35), np.abs(z) <= 1.35
    l2 = np.append(2.0 * 80 / weight.sum() * np.ones(5), np.zeros(A.shape[1] - 5))
    g = np.append(l2 * np.append(w, at.b)[:A.shape[1]] - A.T @ (s * v), 0.5 * s @ (1 - v**2))
    B = np.hstack([A, z[:, None]])[on]
    right = np.linalg.solve((B.T * s[on]) @ B / sigma + np.diag(np.append(l2, 0)), -g)
    step = newton.step(False)
    moved = np.concatenate([step.w, [step.b] if fit_intercept else [], [step.sigma]])
    np.testing.assert_allclose(moved, right, rtol=1e-8)
    assert step.begin == pytest.approx(g @ right, rel=1e-8) and not step.wide
    np.testing.assert_allclose(A.T @ (s * step.dual(at, model)), l2 * (np.append(w, 0)[:A.shape[1]] + right[:-1]),
                               atol=1e-9)


def test_a_step_that_promises_too_much_counts_outliers():
    """A column that only outliers have: in the rows inside, nothing tells how far to go."""
    X, y, _ = data(20)
    X[:, 4] = 0
    X[:4, 4], y[:4] = 1, y[:4] + 1000 * np.array([1, 1, 1, -1])
    model, _ = model_of(X, y, None, 1e-6)
    newton = concomitant_newton.Newton(model, np.zeros(5), 2.0, 1.0)
    step = newton.step(False)
    assert step.wide and step.sigma >= 0 and newton.take(step) == 1
    found = HuberRegressor(alpha=1e-6, tol=1e-10).fit(X, y)
    joint = Joint(X, y, 1e-6)
    assert joint.of(found) - joint.bound(found.coef_, found.intercept_, found.scale_) <= 1e-8 * joint.of(found)


# ---- what cannot matter ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [{}, {"alpha": 5.0, "l1_ratio": 1.0}, {"alpha": 0.0}], ids=str)
def test_a_weight_of_two_is_a_row_twice_and_none_a_row_absent(options):
    X, y, _ = data(4)
    times = np.random.default_rng(0).integers(0, 4, len(y))
    options = {"tol": 1e-12, **options}
    one = HuberRegressor(**options).fit(X, y, times)
    other = HuberRegressor(**options).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-8)
    np.testing.assert_allclose([one.intercept_, one.scale_], [other.intercept_, other.scale_], rtol=1e-8)
    wild = HuberRegressor(**options).fit(X, np.where(times > 0, y, 1e9), times)
    np.testing.assert_allclose(one.coef_, wild.coef_, atol=1e-8)
    np.testing.assert_array_equal(one.outliers_[times > 0], wild.outliers_[times > 0])


def test_weights_are_not_rescaled():
    X, y, weight = data(5)
    one = HuberRegressor(alpha=3.0, tol=1e-12).fit(X, y, 4 * weight)
    other = HuberRegressor(alpha=0.75, tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-9)
    assert one.scale_ == pytest.approx(other.scale_, rel=1e-9)
    all_alike = HuberRegressor(alpha=3.0, tol=1e-12).fit(X, y, 2.0)
    np.testing.assert_allclose(all_alike.coef_, HuberRegressor(alpha=1.5, tol=1e-12).fit(X, y).coef_, rtol=1e-9)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("options", [{}, {"alpha": 5.0, "l1_ratio": 0.7}], ids=str)
def test_any_storage(storage, options):
    X, y, weight = data(6)
    stored = STORAGES[storage](X)
    before = [part.copy() for part in parts(stored)]
    model = HuberRegressor(tol=1e-12, **options).fit(stored, y, weight)
    for part, was in zip(parts(stored), before, strict=True):
        np.testing.assert_array_equal(part, was)
    right = HuberRegressor(tol=1e-12, **options).fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, right.coef_, atol=1e-9)
    assert model.scale_ == pytest.approx(right.scale_, rel=1e-9)
    np.testing.assert_array_equal(model.outliers_, right.outliers_)
    np.testing.assert_allclose(model.predict(stored), X @ model.coef_ + model.intercept_, rtol=1e-12)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array, sp.csc_array])
def test_single_precision(store):
    X, y, _ = data(7)
    X = X.astype(np.float32)
    one, other = (HuberRegressor(tol=1e-12).fit(store(X.astype(kind)), y) for kind in (np.float32, np.float64))
    assert one.coef_.dtype == np.float32 and other.coef_.dtype == np.float64
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=2e-7)
    assert one.scale_ == pytest.approx(other.scale_, rel=1e-9)


@pytest.mark.parametrize("store", [np.asarray, np.asfortranarray, sp.csr_array])
@pytest.mark.parametrize("options", [{}, {"alpha": 5.0, "l1_ratio": 0.7}], ids=str)
def test_threads_change_no_bit(store, options):
    X, y, weight = data(8, n=3000, p=8)
    with parallel_work(0):
        one, other = (HuberRegressor(n_threads=k, **options).fit(store(X), y, weight) for k in (1, 3))
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert (one.intercept_, one.scale_, one.dual_gap_) == (other.intercept_, other.scale_, other.dual_gap_)


@pytest.mark.parametrize("power", [-900, -200, -20, 3, 40, 300, 900])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_units_of_y(power, l1_ratio):
    """The L2 part of the penalty grows with y, the L1 part does not."""
    X, y, weight = data(9)
    alpha, k = 2.0, 2.0**power
    one = HuberRegressor(alpha=alpha, l1_ratio=l1_ratio).fit(X, y, weight)
    other = HuberRegressor(alpha=alpha if l1_ratio else alpha / k, l1_ratio=l1_ratio).fit(X, k * y, weight)
    np.testing.assert_allclose(other.coef_ / k, one.coef_, rtol=1e-12)
    np.testing.assert_allclose([other.intercept_ / k, other.scale_ / k], [one.intercept_, one.scale_], rtol=1e-12)
    assert other.dual_gap_ / k == pytest.approx(one.dual_gap_, rel=1e-3, abs=1e-12 * one.scale_)
    np.testing.assert_array_equal(one.outliers_, other.outliers_)


def test_levels_of_columns_and_of_y():
    X, y, _ = data(10)
    one = HuberRegressor(alpha=1.0, tol=1e-10).fit(X, y)
    for store in (np.asarray, sp.csr_array):
        other = HuberRegressor(alpha=1.0, tol=1e-10).fit(store(X + 1e4), y - 1e6)
        np.testing.assert_allclose(other.coef_, one.coef_, atol=1e-6)
        assert other.scale_ == pytest.approx(one.scale_, rel=1e-6)


# ---- special cases ---------------------------------------------------------------------------------------------------
def test_without_outliers_it_is_ridge_regression():
    """``sum r^2 / sigma + alpha ||w||^2`` is ridge with alpha sigma, and sigma^2 the mean of r^2."""
    X, y, weight = data(11, outliers=0)
    model = HuberRegressor(epsilon=1e3, alpha=2.0, tol=1e-13).fit(X, y, weight)
    ridge = Ridge(alpha=2.0 * model.scale_).fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, ridge.coef_, rtol=1e-8)
    assert model.scale_**2 == pytest.approx(np.average((y - model.predict(X)) ** 2, weights=weight), rel=1e-9)
    assert not model.outliers_.any()


def test_many_rows_alike():
    X, y, _ = data(12, n=6, outliers=1)
    many = np.repeat(np.arange(6), 500)
    one = HuberRegressor(alpha=1.0, tol=1e-12).fit(X[many, :2], y[many])
    other = HuberRegressor(alpha=1.0, tol=1e-12).fit(X[:, :2], y, np.full(6, 500.0))
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-7)
    assert one.scale_ == pytest.approx(other.scale_, rel=1e-7)


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
@pytest.mark.parametrize("outliers", [0, 20])
def test_perfect_fits(alpha, outliers):
    """The best scale is zero, and as small as tol asks for; what is left is the penalty, and outliers."""
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((100, 4)), np.array([1.0, -2, 0, 3])
    y = X @ w + 1
    y[:outliers] += rng.choice([-1, 1], outliers) * rng.uniform(10, 20, outliers)
    joint = Joint(X, y, alpha)
    for tol in (1e-5, 1e-10):
        model = HuberRegressor(alpha=alpha, tol=tol).fit(X, y)
        exact = 2 * 1.35 * np.abs(y - X @ w - 1).sum() + alpha * w @ w
        assert 0 < model.scale_ <= 2 * tol * unit(y) / 100
        assert -1e-12 * exact <= joint.of(model) - exact + alpha**2 <= model.dual_gap_ + 2 * alpha**2 <= 2 * (
            tol * unit(y) + alpha**2)
        np.testing.assert_allclose(model.coef_, w, atol=20 * tol)
        np.testing.assert_array_equal(model.outliers_, np.arange(100) < outliers)


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("options", [{}, {"l1_ratio": 1.0}, {"lower_limits": 0.0}], ids=str)
def test_constant_y(store, options):
    X, _, weight = data(13)
    model = HuberRegressor(**options).fit(store(X), np.full(80, 3.0), weight)
    assert (model.coef_ == 0).all() and model.intercept_ == 3 and 0 < model.scale_ < 1e-300
    assert model.dual_gap_ == 0 and model.n_iter_ == 0 and not model.outliers_.any()
    zero = HuberRegressor(fit_intercept=False, **options).fit(store(X), np.zeros(80))
    assert (zero.coef_ == 0).all() and zero.dual_gap_ == 0


@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_no_column_counts(store, fit_intercept):
    """The scale, and the intercept, are all there is: of zeros, of what is excluded, under a penalty beyond measure."""
    X, y, weight = data(21)
    joint = Joint(X, y, 0.0, weight=weight, fit_intercept=fit_intercept)
    cases = [(0 * X, {}), (X, {"penalty_factor": np.inf}), (X, {"lower_limits": 0.0, "upper_limits": 0.0}),
             (X, {"alpha": 1e30}), (X, {"alpha": 1e6, "l1_ratio": 1.0})]
    found = [HuberRegressor(fit_intercept=fit_intercept, tol=1e-11, **options).fit(store(Z), y, weight)
             for Z, options in cases]
    for model, (Z, _) in zip(found, cases, strict=True):
        np.testing.assert_allclose(model.coef_, 0, atol=1e-20)
        assert model.scale_ == pytest.approx(found[0].scale_, rel=1e-6)
        assert certify(Z, y, model, sample_weight=weight).ok
    z = np.abs(joint.z(np.zeros(5), found[0].intercept_, found[0].scale_))
    assert weight @ np.minimum(z, 1.35) ** 2 == pytest.approx(weight.sum(), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_epsilon_one_is_least_absolute_deviations(seed):
    X, y, _ = data(seed)
    n, p = X.shape
    A = np.hstack([X, np.ones((n, 1))])
    right = linprog(np.append(np.zeros(p + 1), np.ones(2 * n)), A_eq=np.hstack([A, np.eye(n), -np.eye(n)]), b_eq=y,
                    bounds=[(None, None)] * (p + 1) + [(0, None)] * (2 * n))
    model = HuberRegressor(epsilon=1.0, alpha=0.0, tol=1e-9).fit(X, y)
    assert np.abs(y - model.predict(X)).sum() == pytest.approx(right.fun, rel=1e-8)
    assert model.dual_gap_ <= 1e-9 * unit(y, 1.0)


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
def test_columns_that_depend_on_each_other(alpha):
    X, y, _ = data(14)
    twice = np.hstack([X, X, np.ones((80, 1))])
    model = HuberRegressor(alpha=alpha, tol=1e-10).fit(twice, y)
    one = HuberRegressor(alpha=alpha / 2, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.coef_[:5] + model.coef_[5:10], one.coef_, atol=1e-6)
    assert model.coef_[10] == 0 and model.scale_ == pytest.approx(one.scale_, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 10.0])
def test_more_columns_than_rows(alpha):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 60)), rng.standard_normal(30)
    model = HuberRegressor(alpha=alpha).fit(X, y)
    joint = Joint(X, y, alpha)
    assert 0 <= model.dual_gap_ <= 1e-5 * unit(y)
    if alpha == 0:
        assert joint.of(model) <= 1e-5 * unit(y)
    else:
        w, b, _ = joint.best()
        assert joint.of(model) - float(joint.value(w, b, model.scale_)) <= model.dual_gap_


def test_wide_data_leave_newton_to_others(monkeypatch):
    monkeypatch.setattr(concomitant_newton, "MOST_COLUMNS", 10)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 300)), rng.standard_normal(60)
    model = HuberRegressor(alpha=20.0, tol=1e-9).fit(X, y)
    joint = Joint(X, y, 20.0)
    assert joint.of(model) - joint.bound(model.coef_, model.intercept_, model.scale_) <= 1e-8 * joint.of(model)


# ---- the estimator ---------------------------------------------------------------------------------------------------
def test_it_is_as_near_as_scikit_learn_or_nearer():
    X, y, weight = data(15)
    joint = Joint(X, y, 1e-4, weight=weight)
    theirs = sklearn.linear_model.HuberRegressor(max_iter=10_000).fit(X, y, weight)
    model = HuberRegressor(tol=1e-10).fit(X, y, weight)
    assert joint.of(model) <= joint.of(theirs) * (1 + 1e-14)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-3)
    assert model.score(X, y) == pytest.approx(theirs.score(X, y), abs=1e-3)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("options", [{}, {"alpha": 5.0, "l1_ratio": 0.7}], ids=str)
def test_warm_start(options):
    X, y, weight = data(16)
    model = HuberRegressor(warm_start=True, tol=1e-8, **options).fit(X, y, weight)
    before = model.coef_.copy()
    assert model.n_iter_ > 0 and model.fit(X, y, weight).n_iter_ == 0
    np.testing.assert_array_equal(model.coef_, before)
    moved = model.fit(X, y + 0.01 * X[:, 0], weight)
    fresh = HuberRegressor(tol=1e-8, **options).fit(X, y + 0.01 * X[:, 0], weight)
    np.testing.assert_allclose(moved.coef_, fresh.coef_, atol=1e-4)


@pytest.mark.parametrize(("options", "error", "text"), [
    ({"epsilon": 0.9}, ValueError, "epsilon must be finite and >= 1"), ({"alpha": -1}, ValueError, "alpha"),
    ({"max_iter": 0}, ValueError, "max_iter"), ({"tol": -1e-3}, ValueError, "tol"),
    ({"l1_ratio": 2}, ValueError, "l1_ratio"), ({"warm_start": 1}, TypeError, "warm_start"),
    ({"fit_intercept": "no"}, TypeError, "fit_intercept"),
    ({"lower_limits": 1.0}, ValueError, "lower_limits"), ({"penalty_factor": -1.0}, ValueError, "penalty_factor"),
    ({"n_threads": 0}, ValueError, "n_threads"), ({"epsilon": "1"}, TypeError, "epsilon")])
def test_what_is_refused(options, error, text):
    X, y, _ = data()
    with pytest.raises(error, match=text):
        HuberRegressor(**options).fit(X, y)


def test_bad_data_are_refused():
    X, y, _ = data()
    for X_, y_, weight, text in ((np.where(X > 2, np.nan, X), y, None, "X"), (X, np.append(y[1:], np.inf), None, "y"),
                                 (X, np.c_[y, y], None, "y"), (X, y, -np.ones(80), "sample_weight"),
                                 (sp.csr_array(np.where(X > 2, np.inf, X)), y, None, "X")):
        with pytest.raises(ValueError, match=text):
            HuberRegressor().fit(X_, y_, weight)


# ---- the kernel ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("work", [0, 4e4], ids=["lanes", "one"])
def test_a_step_in_one_reading(storage, kind, weighted, work, rng):
    X = (rng.standard_normal((700, 7)) * (rng.random((700, 7)) < 0.6) + [0, 0, 0, 3, 0, 0, 0]).astype(kind)
    s = rng.integers(0, 3, 700).astype(float) if weighted else None
    with parallel_work(work):
        d = design(STORED[storage](X), None, "cs" not in storage, n_threads=2)
        w, r, was = rng.standard_normal(7), 2 * rng.standard_normal(700), rng.integers(0, 2, 700).astype(np.uint8)
        u, moved, inside, change, pull, within, sums = advance(d, w, 0.3, r, 0.8, 1.2, s, was)
    A = np.hstack([view(X.astype(np.float64), None, "cs" not in storage), np.ones((700, 1))]).astype(np.float64)
    weight = np.ones(700) if s is None else s
    close(u, A[:, :7] @ w + 0.3)
    close(moved, r - u)
    z = moved / 0.8
    v, on = np.clip(z, -1.2, 1.2), np.abs(z) <= 1.2
    np.testing.assert_array_equal(inside, on)
    close(change, (A.T * (weight * (on.astype(float) - was))) @ A)
    close(pull, A.T @ (weight * v))
    close(within, A.T @ (weight * v * on))
    close(sums, [weight @ v**2, weight[on] @ v[on] ** 2, weight @ (v * (z - v / 2))])


# ---- the referee of the package --------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("options", [
    {}, {"alpha": 0.0}, {"alpha": 4.0, "l1_ratio": 1.0}, {"alpha": 2.0, "l1_ratio": 0.5, "fit_intercept": False},
    {"lower_limits": 0.0, "alpha": 0.0}, {"standardize": True, "penalty_factor": [1, 0, 2, np.inf, 1]}], ids=str)
def test_certificates(seed, store, options):
    X, y, weight = data(seed)
    weight, X = weight if seed % 2 else None, store(X)
    model = HuberRegressor(tol=1e-10, **options).fit(X, y, weight)
    found = certify(X, y, model, sample_weight=weight)
    size = unit(y, weight=weight, fit_intercept=options.get("fit_intercept", True))
    assert found.ok and found.gap <= 2e-10 * size and found.stationarity < 1e-4
    worse = deepcopy(model)
    worse.coef_ = model.coef_ + 0.01 * (model.coef_ != 0)
    judged = certify(X, y, worse, sample_weight=weight)
    assert not judged.ok and judged.objective - found.objective <= judged.gap * (1 + 1e-9)
    assert np.linalg.norm(worse.coef_ - model.coef_) <= judged.coef_bound * (1 + 1e-6)
    for name in ("scale_", "intercept_"):
        worse = deepcopy(model)
        setattr(worse, name, 1.02 * getattr(model, name) + 0.01)
        judged = certify(X, y, worse, sample_weight=weight)
        assert not judged.ok and judged.objective - found.objective <= judged.gap * (1 + 1e-9)


def test_certificates_of_scikit_learn_and_of_nonsense():
    X, y, weight = data(17)
    theirs = sklearn.linear_model.HuberRegressor(max_iter=10_000, tol=1e-8).fit(X, y, weight)
    found = certify(X, y, theirs, sample_weight=weight)
    joint = Joint(X, y, 1e-4, weight=weight)
    assert found.objective == pytest.approx(joint.of(theirs), rel=1e-12)
    assert found.gap <= 1e-6 * unit(y, weight=weight)
    theirs.scale_ = 0.0
    assert certify(X, y, theirs).gap == np.inf
    model = HuberRegressor(lower_limits=0.0).fit(X, y)
    model.coef_ = model.coef_ - 1
    assert certify(X, y, model).objective == np.inf
