"""Several classes on the same rows: kernels alone, and small hard problems through all of the engine."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from classes import LD, chances, judged, log_sum_exp
from fastreg.datafits.multinomial import MULTINOMIAL
from sklearn.exceptions import ConvergenceWarning

from fastreg import regularization_path
from fastreg.adapter import classes as kernels
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import PathSolver
from fastreg.targets import against_others


@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_over_the_others(n, weighted):
    rng = np.random.default_rng(n)
    linear = rng.standard_normal((4, n)) * rng.choice([0.1, 30, 600], n)
    y = rng.integers(0, 4, n)
    s = rng.integers(0, 3, n) + 1.0 * (np.arange(n) == 0) if weighted else None
    Y = np.ascontiguousarray(against_others(y, 4).T)
    given = MULTINOMIAL.given_others(linear)             # beyond 690 a probability is 1 whatever the sum
    np.testing.assert_allclose(linear + kernels.offsets(linear), np.minimum(given, 300 * np.log(10)), rtol=1e-12,
                               atol=1e-10)
    if weighted:
        linear[:, s == 0] = np.inf
    with np.errstate(invalid="ignore"):
        rows = log_sum_exp(linear.T.astype(np.longdouble)) - linear[y, np.arange(n)]
    wanted = rows.sum() if s is None else (s * rows)[s > 0].sum()
    assert kernels.loss(Y, s, linear) == pytest.approx(float(wanted), rel=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("m", [1, 3])
def test_a_step_of_all_classes(weighted, m):
    """Newton's, as the pseudo-inverse gives it, in the coefficients that are not held; none where slopes are zero."""
    rng = np.random.default_rng(4)
    y = np.r_[0, 1, 2, rng.integers(0, 3, 600)]
    s = np.r_[1.0, 1, 1, rng.integers(0, 3, 600)] if weighted else None
    linear, Y = rng.standard_normal((3, 603)), np.ascontiguousarray(against_others(y, 3).T)
    z, of_rows = np.vstack([np.ones(603), rng.standard_normal((m - 1, 603))]), np.ones(603) if s is None else s
    P = chances(linear.T)
    H = np.einsum("i,ik,kl,ai,bi->kalb", of_rows, P, np.eye(3), z, z) - np.einsum(
        "i,ik,il,ai,bi->kalb", of_rows, P, P, z, z)
    H, slope = H.reshape(3 * m, 3 * m), ((z * of_rows) @ ((Y.T > 0) - P)).T.ravel()
    held = np.zeros(3 * m, dtype=np.int8)
    for held[m - 1] in (0, 1):
        wanted, on = np.zeros(3 * m), held == 0
        wanted[on] = np.linalg.pinv(H[np.ix_(on, on)], rcond=1e-12, hermitian=True) @ slope[on]
        size, step = kernels.step(Y, s, linear, z, held)
        np.testing.assert_allclose(step.ravel(), wanted, rtol=1e-10, atol=1e-14)
        assert size == np.abs(step).max()
    w, best = kernels.fit(Y, s, linear, z)
    np.testing.assert_allclose(best, linear + w @ z, atol=1e-12)
    assert kernels.step(Y, s, best, z)[0] < 1e-12


@pytest.mark.parametrize("seed", range(200))
def test_the_best_coefficients_whatever_the_others(seed):
    """Residuals are orthogonal to the columns, as far as limits let them, however far apart the predictors are."""
    rng = np.random.default_rng(seed)
    K, m, spread = int(rng.integers(3, 12)), 1 + 2 * (seed % 2), [1, 30, 300, 3000][seed // 2 % 4]
    n = int(rng.integers(3 * K * m, 200))
    y = np.r_[np.arange(K), rng.integers(0, K, n - K) if rng.random() < 0.5 or m > 1 else np.zeros(n - K, int)]
    s = None if rng.random() < 0.5 else np.where(np.arange(n) < K, 1.0, rng.integers(0, 3, n))
    z = np.vstack([np.ones(n), rng.standard_normal((m - 1, n))])
    linear, Y = spread * rng.standard_normal((K, n)), np.ascontiguousarray(against_others(y, K).T)
    w, there = kernels.fit(Y, s, linear, z)
    P, of_rows = chances(there.T.astype(LD)), np.ones(n) if s is None else s
    assert np.abs((z * of_rows) @ ((Y.T > 0) - P)).max() < 1e-9
    np.testing.assert_allclose(w.sum(axis=0), 0, atol=1e-9 * np.abs(w).max())
    lo, hi = -0.3 * np.abs(w[:, m - 1]).max(), 0.5 * np.abs(w[:, m - 1]).max()
    low, high = np.full((K, m), -np.inf), np.full((K, m), np.inf)
    low[:, m - 1], high[:, m - 1] = lo, hi
    w, there = kernels.fit(Y, s, linear, z, low, high)
    slope = ((z * of_rows) @ ((Y.T > 0) - chances(there.T.astype(LD)))).T
    assert np.all((low <= w) & (w <= high))
    assert np.abs(np.where((w == low) & (slope < 0) | (w == high) & (slope > 0), 0, slope)).max() < 1e-9


def test_changes_that_cancel():
    """Those of a fixed-point iteration x -> Ax on two modes: three points tell where it leads."""
    modes = np.random.default_rng(5).standard_normal((2, 3, 300))
    rates = np.array([0.9, -0.7])
    points = np.stack([np.tensordot(rates**k, modes, 1) for k in range(5)])
    share = kernels.cancelling(None, np.ascontiguousarray(points))
    assert share.sum() == pytest.approx(1)
    there = np.tensordot(share, points[1:], 1)
    assert np.abs(there).max() < 0.02 * np.abs(points[-1]).max()
    assert kernels.cancelling(None, np.ones((4, 3, 10))) is None
    absent = points.copy()
    absent[:, :, 7] = np.inf
    np.testing.assert_allclose(kernels.cancelling((np.arange(300) != 7) + 0.0, absent), share, rtol=0.2)


@pytest.mark.parametrize("seed", range(60))
def test_the_shift_that_all_classes_share(seed):
    """Where the penalty of a column is least, and nearest to none of several."""
    rng = np.random.default_rng(seed)
    K, l1, l2 = int(rng.integers(2, 8)), rng.choice([0.0, 0.7]), rng.choice([0.0, 0.3])
    v = np.round(2 * rng.standard_normal(K), int(rng.integers(0, 3)))

    def penalty(c):
        return l1 * np.abs(c - v).sum() + 0.5 * l2 * ((c - v)**2).sum()

    found = kernels.least_shift(v, l1, l2)
    if l1 == l2 == 0:
        assert found == pytest.approx(v.mean())
        return
    grid = np.r_[v, np.linspace(v.min(), v.max(), 4001), 0]
    least = min(map(penalty, grid))
    assert penalty(found) <= least + 1e-12
    as_good = [abs(c) for c in np.r_[v, 0] if penalty(c) <= least + 1e-14]
    assert l2 > 0 or abs(found) <= min(as_good) + 1e-15


@pytest.mark.parametrize("seed", range(40))
def test_hard_columns(seed):
    """Constant, twins, of one entry, of scales from 1e-3 to 1e3: the bound is met, or the fit says that it is not."""
    rng = np.random.default_rng(seed)
    n, p, K = int(rng.integers(8, 50)), int(rng.integers(1, 30)), int(rng.integers(2, 6))
    X = rng.standard_normal((n, p)) * 10.0 ** (rng.uniform(-3, 3, p) * (rng.random(p) < 0.3))
    X[:, rng.random(p) < 0.1] = 1.5
    for j in np.flatnonzero(rng.random(p) < 0.1):
        X[:, j] = X[:, rng.integers(p)]
    for j in np.flatnonzero(rng.random(p) < 0.1):
        X[:, j] = np.arange(n) == rng.integers(n)
    y = np.r_[np.arange(K), rng.integers(0, K, n - K)]
    options = {"fit_intercept": bool(seed % 3)}
    ratio = [1.0, 0.5, 0.0][seed % 3]
    stored = [np.asarray, sp.csr_array, sp.csc_array][seed % 3 - 1](X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = regularization_path(stored, y, datafit="multinomial", l1_ratio=ratio,
                                   alphas=np.geomspace(0.3, 1e-3, 4), tol=1e-8, **options)
    assert judged(stored, y, path, ratio, rounding=1e-9, **options) < 1.1e-8 or any(
        issubclass(one.category, ConvergenceWarning) for one in caught)


@pytest.mark.parametrize("store", [np.asarray, sp.csc_array])
def test_an_engine_that_starts_anew(store):
    """Set again, penalties begin at zero: the same as the first time."""
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((50, 8)), rng.integers(0, 3, 50)
    problem = Problem.of(store(X), against_others(y, 3), Penalty(1.0), datafit=MULTINOMIAL)
    solver = PathSolver(problem, Spec(np.array([0.05, 0.01]), tol=1e-8))
    first = solver.advance(np.array([0.05, 0.01]))
    solver.engine.set_penalty([problem.terms(solver.design.norms)])
    again = solver.advance(np.array([0.05, 0.01]))
    np.testing.assert_allclose(again.dense(), first.dense(), atol=1e-6)
    np.testing.assert_allclose(again.dual_gaps, first.dual_gaps, atol=1e-8)
    assert again.converged.all()
