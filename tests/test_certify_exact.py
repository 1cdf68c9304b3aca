"""Gaps of certificates against suboptimalities in rational numbers, where penalties are too weak for rounded slopes."""

from fractions import Fraction

import exact
import numpy as np
import pytest
import scipy.sparse as sp

from fastreg import ElasticNet, Lasso, Ridge, certify
from fastreg.referee.data import Data
from fastreg.referee.problem import Rounding, Terms, Weak, bound_at
from fastreg.referee.squares import SquaredTarget

# The penalties of such columns are 1e-20 times their squared lengths and less.
WEEK = 604_800 * 10**9


def problem(seed):
    """Timestamps in nanoseconds, one or two of them, beside columns of unit size, of rows that have weights or not."""
    rng = np.random.default_rng(seed)
    n, p, stamps = int(rng.integers(6, 14)), int(rng.integers(2, 5)), int(rng.integers(1, 3))
    X = rng.standard_normal((n, p))
    weeks = rng.integers(0, 100, n)
    for j in range(stamps):                                 # the second near the first, up to a few hours
        X[:, j] = 1.7e18 + weeks * WEEK + j * rng.integers(0, 10 ** rng.integers(12, 16), n)
    y = weeks / 30 + X[:, stamps:] @ rng.standard_normal(p - stamps) + rng.standard_normal(n)
    return rng, X, y, rng.uniform(0.5, 2, n) if rng.random() < 0.5 else None


def parts(X, y, weight, l1, l2):
    """Objective of (coef, intercept), and its minimiser on a support with signs, all rational; None if it is none."""
    A, t, s, means, mean = exact.centred(X, y, weight, True)
    p, l1, l2 = A.shape[1], Fraction(l1), Fraction(l2)

    def objective(w, b):
        r = t - A @ w
        off = mean - means @ w - b
        return (sum(s * r * r) + sum(s) * off * off) / 2 + l1 * sum(map(abs, w)) + l2 / 2 * sum(w * w)

    def minimiser(coef):
        on, signs = coef != 0, exact.rationals(np.sign(coef))
        w = exact.rationals(np.zeros(p))
        G = A[:, on].T @ (s[:, None] * A[:, on])
        G[np.diag_indices_from(G)] += l2
        w[on] = exact.solve(G, A[:, on].T @ (s * t) - l1 * signs[on])
        slopes = A.T @ (s * (t - A @ w)) - l2 * w
        right = all(w[on] * signs[on] >= 0) and all(abs(v) <= l1 for v in slopes[~on])
        return (w, mean - means @ w) if right else None

    return objective, minimiser


MODELS = {
    "ridge": lambda alpha: Ridge(alpha),
    "elastic net": lambda alpha: ElasticNet(alpha, tol=1e-12),
    "almost ridge": lambda alpha: ElasticNet(alpha, l1_ratio=1e-6, tol=1e-12),
    "lasso": lambda alpha: Lasso(alpha, tol=1e-12),
}


@pytest.mark.filterwarnings("ignore:.*duality gap")          # of the fits, which know no better than rounded slopes
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("store", "most"), [(np.asarray, 64), (sp.csc_array, 64), (np.asarray, 1)])
def test_the_gap_bounds_what_is_missing(name, store, most, monkeypatch):
    monkeypatch.setattr("fastreg.referee.problem.MOST_WEAK", most)
    seen = 0
    for seed in range(24):
        rng, X, y, weight = problem(seed)
        model = MODELS[name](10.0 ** rng.integers(-6, 1)).fit(X, y, weight)
        total = float(np.sum(np.ones(len(y)) if weight is None else weight))
        l1_ratio, unit, in_units = getattr(model, "l1_ratio", 1.0), total, 1 / Fraction(total)
        if name == "ridge":
            l1_ratio, unit, in_units = 0.0, 1.0, 2
        objective, minimiser = parts(X, y, weight, unit * l1_ratio * model.alpha, unit * (1 - l1_ratio) * model.alpha)
        best = minimiser(model.coef_)
        if best is None:                                      # the fit has another support: what is best is not known
            continue
        least, coef, intercept = objective(*best), model.coef_.copy(), model.intercept_
        for error in (0.0, *10.0 ** rng.uniform(-17, -1, 4)):
            model.coef_ = coef * (1 + error * rng.standard_normal(len(coef)))
            model.intercept_ = intercept + np.mean(X @ (coef - model.coef_)) + error * rng.standard_normal()
            found = certify(store(X), y, model, sample_weight=weight)
            missing = (objective(exact.rationals(model.coef_), Fraction(model.intercept_)) - least) * in_units
            assert found.gap >= missing, f"seed {seed}, error {error}"
            assert found.coef_bound >= exact.distance(model.coef_, best[0])[0]
            if error == 0:
                seen += 1
                assert found.ok or most == 1
                if store is np.asarray and most > 1:             # sparse X is centred when products are rounded
                    assert found.gap + found.rounding <= 1e-6 * np.var(y) * float(unit * in_units)
    assert seen > 16


def test_slopes_that_move_with_one_put_right_are_counted():
    """Of two columns that are much alike one is put right, by what rounding is said to be: the other's slope moves."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20))
    X = np.c_[a, a + 0.1 * b]
    y, l2, off = rng.uniform(-1, 1, 20), 1e-3, 1e-3                # that is, of unit size
    H, unit = X.T @ X + l2 * np.eye(2), X / np.linalg.norm(X, axis=0)
    slopes = np.array([off * np.linalg.norm(a), 0.0])              # of the objective at w: the second column's is right
    w = np.linalg.solve(H, X.T @ y - slopes)
    r, missing, plain = y - X @ w, 0.5 * slopes @ np.linalg.solve(H, slopes), 0.5 * slopes[0] ** 2 / l2
    data = Data(X, None, False)
    fit = SquaredTarget(data, y).fit(X @ w, w, 0.0)
    terms = Terms(np.zeros(2), np.full(2, l2), np.full(2, -np.inf), np.full(2, np.inf))

    def gap(weak):
        return bound_at(data, terms, w, fit, X.T @ r, Rounding(data, 0.0, off * (1 + 1e-9), weak))

    assert missing <= gap(Weak(np.array([0]), 1.0))
    assert missing <= gap(Weak(np.array([0, 1]), np.linalg.eigvalsh(unit.T @ unit)[0])) < 0.5 * plain
    assert gap(None) == pytest.approx(plain, rel=1e-6)
