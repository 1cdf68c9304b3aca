"""Columns outside the working sets: none is cleared that could violate, and few are read."""

import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.adapter.engine import Outside
from twins import STORED, close, design, some_data, view

INF = np.inf


def outside(X, Y, weight=None, pen1=1.0, pen2=0.0, lo=-INF, hi=INF, **options):
    p = X.shape[1]
    d = design(X, weight)
    return Outside(d, Y, *(np.zeros(p) + v for v in (pen1, pen2, lo, hi)), **options)


def targets(weight, n, k, rng):
    """Centred and weighted."""
    root = np.ones(n) if weight is None else np.sqrt(weight)
    Y = rng.standard_normal((k, n)) * root
    return Y - np.outer(Y @ root / (root @ root), root)


@pytest.mark.parametrize("storage", STORED)
def test_the_euclidean_bound_is_sharp(storage):
    """The residual has moved straight along a column: its correlation is all that the bound allows."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 8)), targets(None, 30, 1, rng)[0]
    X -= X.mean(axis=0)
    X[:, 5] -= y * (X[:, 5] @ y) / (y @ y)
    x = X[:, 5] = X[:, 5] - X[:, 5].mean()
    out = outside(STORED[storage](X), [y], slack=0)
    out.put(0, y + x)
    out.revive(1e-3)
    right = x @ x                                           # y has no part in x
    assert 5 in out.screen(0, right * (1 - 1e-9))
    assert 5 not in out.screen(0, right * (1 + 1e-9))
    est, err = out.bounds(0)
    assert est[5] == pytest.approx(0, abs=1e-9) and err[5] == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("storage", ["csc", "csr"])
def test_the_bound_of_few_entries_is_sharp(storage):
    """A flat remainder: a column of two entries has no more than ||x||_1 times its height, far from ||x||_2 ||e||_2."""
    rng = np.random.default_rng(0)
    X = np.zeros((40, 6))
    X[:, 0] = rng.standard_normal(40)
    X[0, 3], X[1, 3] = 1, -1
    e = np.where(np.arange(40) % 2, -1.0, 1.0)
    y = targets(None, 40, 1, rng)[0]
    y -= e * (y @ e) / 40
    x = X[:, 3]
    y -= (x - e * 2 / 40) * (x @ y) / (x @ (x - e * 2 / 40))        # out of e and of x
    assert abs(y @ e) < 1e-12 and abs(y @ x) < 1e-12
    out = outside(STORED[storage](X), [y], slack=0)
    out.put(0, y + e)
    out.revive(1e-3)
    assert 3 in out.screen(0, 2 * (1 - 1e-9))
    assert 3 not in out.screen(0, 2 * (1 + 1e-9))


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("limits", [(-INF, INF), (0.0, INF), (-INF, 0.0)], ids=["", "positive", "negative"])
def test_violators_are_found_along_a_path(storage, weighted, k, limits):
    """Residuals that wander off: bounds hold for every live column, what violates is found, what is read is right."""
    rng = np.random.default_rng(0)
    X, weight = some_data(n=80, p=60, density=0.1)
    X[:, 1] -= 300
    weight = weight if weighted else None
    own, Y = view(X, weight), targets(weight, 80, k, rng)
    lo, hi = limits
    pen1 = rng.uniform(0.5, 2, 60)
    pen1[7] = INF
    pen1[9] = 0
    out = outside(STORED[storage](X), Y, weight, pen1=pen1, lo=lo, hi=hi)
    steps = targets(weight, 80, 2 * k, rng)
    for step in range(25):
        alpha = 8 * 0.85**step
        R = Y * 0.95**step + 0.02 * step * steps[:k] + 1e-3 * step**2 * steps[k:]
        for t, r in enumerate(R):
            out.put(t, r)
        live = out.revive(alpha)
        G = R @ own.T.T
        for t in range(k):
            out.screen(t, alpha)
            est, err = out.bounds(t)
            assert (np.abs(est - G[t])[live] <= err[live] + 1e-9).all()
        out.read()
        for t in range(k):
            g = G[t]
            bad = (np.abs(g) > alpha * pen1 * (1 + 1e-9) + 1e-9) & np.where(g > 0, hi > 0, lo < 0) & np.isfinite(pen1)
            found = out.violators(t, alpha)
            assert set(np.flatnonzero(bad)) == set(found)
            close(np.array(list(found.values())), g[list(found)], 10)


def rare_words(rng, n=200, p=80):
    """One or two entries a column, but for a few; of different sizes."""
    X = np.zeros((n, p))
    for j in range(p):
        X[rng.choice(n, 1 + j % 2 if j > 5 else 60, replace=False), j] = 10.0 ** rng.uniform(-2, 1)
    return X


def must_live(X, r, alpha):
    """Columns that r's size does not keep out at alpha (l1 factors of 1)."""
    bound = np.minimum(np.linalg.norm(view(X), axis=0) * np.linalg.norm(r), np.abs(X).sum(axis=0) * np.abs(r).max())
    return set(np.flatnonzero(bound > alpha))


def test_dense_columns_come_back_to_life(rng):
    """No entry of the residual has grown, but it has many of them now."""
    X = rng.standard_normal((400, 60)) * 10.0 ** rng.uniform(-2, 0, 60)
    own = view(X)
    small, large = np.zeros(400), np.where(np.arange(400) % 2, 1.0, -1.0)
    small[[0, 1]] = -1, 1
    out = outside(np.asfortranarray(X), [large])
    out.put(0, small)
    before = set(out.revive(1.0))
    out.put(0, large)
    grown = set(np.flatnonzero(np.linalg.norm(own, axis=0) * 20 > 1))
    assert grown > before and grown <= set(out.revive(1.0))


@pytest.mark.parametrize("how", ["larger", "of one row", "lower alpha", "awake"])
def test_columns_come_back_to_life(how, rng):
    """Once alpha has fallen; or the residual has grown, as a whole or in one row; or a larger target wakes."""
    X = rare_words(rng)
    Y = targets(None, 200, 2, rng)
    big = Y[1]
    if how == "of one row":
        big = np.linalg.norm(Y[0]) * np.where(np.arange(200) == 11, 1, -1 / 199) / np.sqrt(1 + 1 / 199)
        X[11, 70] = 20
    small = Y[0] if how == "of one row" else 0.01 * Y[0]
    out = outside(sp.csc_array(X), Y)
    alpha = 1.0 if how == "of one row" else 0.05
    out.put(0, small)
    out.put(1, big if how == "awake" else small, done=True, asleep=True)
    before = set(out.revive(alpha))
    assert must_live(X, small, alpha) <= before < set(range(80))
    if how == "lower alpha":
        alpha, big = alpha / 100, small
    elif how == "awake":
        out.put(1, big)
    out.put(0, small if how == "awake" else big)
    grown = must_live(X, big, alpha)
    assert not grown <= before
    assert grown <= set(out.revive(alpha))
    assert set(out.screen(0, alpha)) >= {j for j in grown if abs(X[:, j] @ big) > alpha} or how == "awake"


def test_a_column_is_dead_only_by_either_bound(rng):
    """The limits of both, at the horizon of 0.6 alpha: nothing beyond is kept out, nothing far within is watched."""
    X = rare_words(rng)
    y = targets(None, 200, 1, rng)[0]
    out = outside(sp.csc_array(X), [y])
    for alpha in (30.0, 3.0, 1.0, 0.3):
        live = set(out.revive(alpha))
        assert must_live(X, y, alpha) <= live <= must_live(X, y, 0.6 * 0.6 * alpha * (1 - 1e-12))


def test_what_may_stay_unread_is_paid_for(rng):
    """With an l2 term an excess e of the bound over l1 costs at most e^2 / (2 l2): charged, up to what is allowed."""
    X, y = rng.standard_normal((100, 200)), targets(None, 100, 1, rng)[0]
    own = view(X)
    l2 = rng.uniform(1, 5, 200)
    out = outside(np.asfortranarray(X), [y], pen2=l2)
    out.revive(0.1)
    alpha = 0.2 * np.abs(own.T @ y).max()
    r = 0.5 * y + 0.02 * targets(None, 100, 1, rng)[0]
    out.put(0, r)
    every = set(out.screen(0, alpha))
    assert out.loss(0) == 0
    spare = 1.0
    out.put(0, r, spare=spare)
    kept = set(out.screen(0, alpha))
    left = sorted(every - kept)
    assert len(left) > 5 and kept
    est, err = out.bounds(0)
    excess = np.abs(est) + err - alpha
    right = np.sum(excess[left] ** 2 / (2 * alpha * l2[left]))
    assert right * (1 - 1e-9) <= out.loss(0) <= spare * (1 + 1e-12)
    assert out.loss(0) == pytest.approx(right, rel=1e-9)
    assert (np.abs(est[left]) <= alpha).all()
    true = np.maximum(np.abs(own.T @ r) - alpha, 0)
    assert np.sum(true[left] ** 2 / (2 * alpha * l2[left])) <= out.loss(0)


def test_no_column_without_l2_stays_unread(rng):
    X, y = rng.standard_normal((100, 200)), targets(None, 100, 1, rng)[0]
    out = outside(np.asfortranarray(X), [y], pen2=np.where(np.arange(200) % 2, 3.0, 0.0))
    out.revive(0.1)
    r = 0.5 * y + 0.02 * targets(None, 100, 1, rng)[0]
    out.put(0, r)
    alpha = 0.3 * np.abs(view(X).T @ y).max()
    every = set(out.screen(0, alpha))
    out.put(0, r, spare=1e6)
    assert {j for j in every if j % 2 == 0} <= set(out.screen(0, alpha)) < every


def test_only_candidates_are_read_and_their_references_kept(rng):
    X, y = rng.standard_normal((50, 400)), targets(None, 50, 1, rng)[0]
    own = view(X)
    out = outside(np.asfortranarray(X), [y])
    out.revive(0.01)
    top = np.abs(own.T @ y).max()
    out.put(0, y)
    assert out.screen(0, 0.5 * top) and out.read() == 0     # y's correlations are known
    r = y + 1e-4 * targets(None, 50, 1, rng)[0]
    out.put(0, r)
    some = len(out.screen(0, 0.9 * top))
    read = out.read()
    assert 0 < some < 100 and read == some * 50
    far = targets(None, 50, 1, rng)[0]
    out.put(0, far)
    assert len(out.screen(0, 1e-3)) == 400
    assert out.read() == read + 400 * 50                    # a pass, which is kept:
    out.put(0, 0.3 * y + 0.7 * far)
    out.screen(0, 1e-3)
    est, err = out.bounds(0)
    close(est, own.T @ (0.3 * y + 0.7 * far), 11)
    assert (err == 0).all()
    assert out.read() == read + 400 * 50


def test_prediction_of_a_path_that_goes_straight_on(rng):
    X, y = rng.standard_normal((60, 100)), targets(None, 60, 1, rng)[0]
    g = np.abs(view(X).T @ y)
    out = outside(np.asfortranarray(X), [y])
    alphas = g.max() * np.array([0.9, 0.7, 0.4])

    def residual(alpha):
        return (0.5 + 0.5 * alpha / g.max()) * y

    for alpha in alphas[:2]:
        assert out.predict(0, alpha) == []                  # nothing to go on from yet
        out.put(0, residual(alpha))
        out.revive(alpha)
        out.screen(0, alpha)
        out.read()
    out.revive(alphas[2])
    right = np.flatnonzero((0.5 + 0.5 * alphas[2] / g.max()) * g > alphas[2])
    assert sorted(out.predict(0, alphas[2])) == list(right)
    assert 0 < len(right) < 60
