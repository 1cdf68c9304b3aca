"""One contract for every way to solve the small problems: a block of one's own, a shared one, all of X, products."""

import numpy as np
import pytest
from fastreg.solvers.engine import Engine
from twins import STORED, design, some_data, view

INF = np.inf
WAYS = {
    "own block": {"k": 1},
    "shared block": {"k": 3},
    "all of X": {"k": 1, "full": True},
    "all of X, three": {"k": 3, "full": True},
    "products": {"k": 1, "capacity": 2},
    "products, three": {"k": 3, "capacity": 2},
}
PENALTIES = {"lasso": (1.0, 0.0, -INF, INF), "elastic net": (0.6, 0.4, -INF, INF), "limits": (1.0, 0.1, -0.1, 0.3)}


def problem(storage, k, seed=0):
    """The prepared design, its columns as they are seen, targets under the weights."""
    X, weight = some_data(n=70, p=40, seed=seed)
    root = np.sqrt(weight)
    Y = np.random.default_rng(seed).standard_normal((k, 70)) + X[:, 4:7].T[:k]
    Y = (Y - (Y @ weight / weight.sum())[:, None]) * root
    return design(STORED[storage](X), weight), view(X, weight), np.ascontiguousarray(Y)


def arrays(pen1, pen2, lo, hi):
    return [tuple(np.array([v]) for v in (pen1, pen2, lo, hi))]


def violation(own, y, w, alpha, pen1, pen2, lo, hi):
    """The largest distance of X'r - l2 w from what the conditions of optimality allow, in units of alpha."""
    g = own.T @ (y - own @ w) - alpha * pen2 * w
    low = np.where(w <= lo, -INF, np.where(w > 0, alpha * pen1, -alpha * pen1))
    high = np.where(w >= hi, INF, np.where(w < 0, -alpha * pen1, alpha * pen1))
    return np.max(np.maximum(low - g, g - high)) / alpha


def solutions(engine, alphas, k, p):
    """W (n_alphas, k, p), once everything has been found at its certificate."""
    indptr, features, values, _, gaps, _, stopped = engine.solve(alphas, 1000)
    assert not stopped.any() and np.isfinite(gaps).all()
    W = np.zeros((len(alphas) * k, p))
    W[np.repeat(np.arange(len(W)), np.diff(indptr)), features] = values
    return W.reshape(len(alphas), k, p)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("way", WAYS)
def test_conditions_hold_under_every_penalty_in_turn(storage, way):
    """Set again, a penalty starts from zero on what was gathered: its answers are optimal, as is a warm start."""
    k, full, capacity = WAYS[way]["k"], WAYS[way].get("full", False), WAYS[way].get("capacity", 1000)
    if full and storage.startswith("cs"):
        with pytest.raises(ValueError, match="dense"):
            Engine(*[problem(storage, k)[i] for i in (0, 2)], True, 1e-12, 10)
        return
    d, own, Y = problem(storage, k)
    engine = Engine(d, Y, full, 1e-12, capacity)
    engine.prepare()
    np.testing.assert_allclose(engine.correlations, Y @ own, atol=1e-11 * np.max(np.abs(Y @ own)))
    for penalty in [*PENALTIES.values(), PENALTIES["lasso"]]:
        engine.set_penalty(arrays(*penalty))
        alphas = np.min(engine.alpha_max()) * np.array([0.9, 0.5, 0.2, 0.05])
        W = solutions(engine, alphas, k, 40)
        engine.warm(0, W[2, 0])
        again = solutions(engine, alphas[2:3], k, 40)
        for alpha, found in [*zip(alphas, W), (alphas[2], again[0])]:
            for y, w in zip(Y, found):
                assert violation(own, y, w, alpha, *penalty) < 1e-4
    used = np.flatnonzero(W[-1, -1]).astype(np.intc)
    right = own[:, used].T @ own[:, used]
    np.testing.assert_allclose(engine.gram(used, k - 1), right, atol=1e-9 * np.max(right))
    assert (engine.gathered == 0) == (capacity == 2)


@pytest.mark.parametrize("way", ["shared block", "all of X, three", "products, three"])
def test_who_sleeps_stays_as_it_is(way):
    d, _, Y = problem("F", 3)
    engine = Engine(d, Y, WAYS[way].get("full", False), 1e-12, WAYS[way].get("capacity", 1000))
    engine.prepare()
    engine.set_penalty(arrays(*PENALTIES["lasso"]))
    top = np.min(engine.alpha_max())
    before = solutions(engine, np.array([0.3 * top]), 3, 40)[0]
    engine.wake([False, True, False])
    indptr, *_ = engine.solve(np.array([0.1 * top]), 1000)
    assert indptr[1] == 0 and indptr[2] == indptr[3] > 0  # nothing is handed back for the sleepers
    engine.wake([True, True, True])
    after = solutions(engine, np.array([0.3 * top]), 3, 40)[0]
    np.testing.assert_allclose(after, before, atol=1e-6)
