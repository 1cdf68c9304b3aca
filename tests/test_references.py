"""Residuals kept for reference: what a new one is on them, and what is left."""

import numpy as np
import pytest
from fastreg.adapter.engine import KnownResiduals
from twins import close


def kept(residuals, p=3, most=4):
    known = KnownResiduals(residuals.shape[1], p, most)
    for k, r in enumerate(residuals):
        known.keep(r, np.full(p, float(k)))
    return known


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_fit_is_least_squares(k, rng):
    R, r = rng.standard_normal((k, 50)) * np.geomspace(1, 1e-3, k)[:, None], rng.standard_normal(50)
    c, e, e2, einf = kept(R).fit(r)
    close(c, np.linalg.lstsq(R.T, r, rcond=None)[0], 11)
    close(e, r - c @ R, 14)
    assert e2 == pytest.approx(np.linalg.norm(e), rel=1e-14)
    assert einf == np.abs(e).max()


def test_nearly_parallel_references_lose_nothing(rng):
    """Residuals of a path: each nearly the one before. The second round mends what the normal equations lose."""
    for _ in range(20):
        R = rng.standard_normal(80) + 1e-6 * rng.standard_normal((4, 80))
        r = R.T @ [0.5, 1.0, -2.0, 1.5] + 1e-10 * rng.standard_normal(80)
        _, e, e2, _ = kept(R).fit(r)
        best = np.linalg.norm(r - R.T @ np.linalg.lstsq(R.T, r, rcond=None)[0])
        assert 0.999 * best <= e2 <= 1.001 * best
        assert e2 == pytest.approx(np.linalg.norm(e), rel=1e-12)


@pytest.mark.parametrize("same", ["copies", "zero", "a plane", "a line"])
@pytest.mark.parametrize("seed", range(10))
def test_dependent_references(same, seed):
    rng = np.random.default_rng(seed)
    R = rng.standard_normal((4, 50))
    if same == "copies":
        R[1], R[3] = R[0], R[2]
    elif same == "zero":
        R[1] = R[2] = 0
    elif same == "a line":
        R = np.outer(rng.uniform(0.5, 2, 4), R[0])
    else:
        R[2], R[3] = R[0] + R[1], R[0] - R[1]
    r = rng.standard_normal(50)
    c, e, e2, _ = kept(R).fit(r)
    assert np.isfinite(c).all() and np.abs(c).max() < 10
    best = r - R.T @ np.linalg.lstsq(R.T, r, rcond=1e-10)[0]
    close(e, best, 12)
    close(e, r - c @ R, 13)
    assert e2 == pytest.approx(np.linalg.norm(best), rel=1e-12)


def test_a_remainder_that_is_rounding_is_none(rng):
    R = rng.standard_normal((2, 50))
    _, _, e2, einf = kept(R).fit(R.T @ [2.0, -3.0])
    assert e2 == einf == 0
    _, _, e2, einf = kept(R).fit(R.T @ [2.0, -3.0] + 1e-12 * rng.standard_normal(50))
    assert e2 == pytest.approx(np.linalg.norm(1e-12 * np.ones(50)), rel=0.5)
    assert einf > 0


@pytest.mark.parametrize("most", [2, 4])
def test_the_oldest_makes_way(most, rng):
    R = rng.standard_normal((most + 1, 20))
    known = kept(R[:most], most=most)
    assert known.has_first
    np.testing.assert_array_equal([r for r, _ in known.held], R[:most])
    known.keep(R[most], np.full(3, 9.0))
    assert not known.has_first
    held = known.held
    np.testing.assert_array_equal(held[0][0], R[most])
    assert [g[0] for _, g in held] == [9.0, *range(1, most)]
    r = rng.standard_normal(20)
    c, _, _, _ = known.fit(r)
    close(c, np.linalg.lstsq(np.array([r for r, _ in held]).T, r, rcond=None)[0], 12)
