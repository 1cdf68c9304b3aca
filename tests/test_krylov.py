"""Krylov methods on X'SX + diag: against dense systems."""

import numpy as np
import pytest
from twins import STORED, close, design, some_data, view

from fastreg.adapter.sums import lanczos, solve_normal


def setting(storage, weighted=True, n=60, p=30, centred=True):
    X, weight = some_data(n, p)
    X[:, 1] -= 300
    weight = weight if weighted else None
    own = view(X, weight, centred)
    return design(STORED[storage](X), weight, centred), own.T @ own


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("shape", [(60, 30), (20, 40)], ids=["tall", "wide"])
def test_solutions(storage, weighted, k, shape, rng):
    """Each right-hand side with a diagonal of its own; coefficients of infinite penalty stay zero."""
    d, A = setting(storage, weighted, *shape)
    p = shape[1]
    B, D = rng.standard_normal((k, p)), rng.uniform(0.5, 2, (k, p)) * np.geomspace(0.1, 10, k)[:, None]
    D[0, 4] = np.inf
    W, count = solve_normal(d, B, D, tol=1e-13)
    for t in range(k):
        at = np.flatnonzero(np.isfinite(D[t]))
        close(W[t, at], np.linalg.solve(A[np.ix_(at, at)] + np.diag(D[t, at]), B[t, at]), 10)
        assert (np.delete(W[t], at) == 0).all()
    assert (count > 0).all() and (count <= 2 * p + 20).all()


@pytest.mark.parametrize("storage", STORED)
def test_a_residual_is_as_small_as_asked_and_a_good_start_is_free(storage, rng):
    d, A = setting(storage)
    B, D = A @ rng.standard_normal((30, 2)), np.ones((2, 30))
    B = np.ascontiguousarray(B.T)
    last = np.zeros(2)
    for tol in (1e-2, 1e-5, 1e-9):
        W, count = solve_normal(d, B, D, tol=tol)
        left = np.linalg.norm(B - W @ A - D * W, axis=1)
        assert (left <= tol * np.linalg.norm(B, axis=1) * (1 + 1e-6)).all()
        assert (count > last).all()
        last = count
    again, count = solve_normal(d, B, D, start=W, tol=1e-8)
    assert (count == 0).all()
    np.testing.assert_array_equal(again, W)
    mixed, count = solve_normal(d, B, D, start=np.vstack([W[0], 0 * W[1]]), tol=1e-8)
    assert count[0] == 0 < count[1]
    close(mixed, W, 6)


def test_max_iter_bounds_the_products(rng):
    d, A = setting("csr")
    B, D = rng.standard_normal((2, 30)), np.full((2, 30), 1e-6)
    for most in (1, 3, 7):
        W, count = solve_normal(d, B, D, tol=1e-14, max_iter=most)
        assert count.max() == most
        assert (np.linalg.norm(B - W @ A - D * W, axis=1) < np.linalg.norm(B, axis=1)).all()


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("parts", [("scale",), ("unit",), ("beside",), ("scale", "unit", "beside")], ids="+".join)
def test_systems_in_other_coordinates(storage, parts, rng):
    """C (X'SX + diag(beside)) C' + diag, C = (I - unit unit') diag(scale)."""
    d, A = setting(storage, centred=False)
    p = 30
    scale = rng.uniform(0.5, 2, p) if "scale" in parts else np.ones(p)
    unit = rng.standard_normal(p) if "unit" in parts else np.zeros(p)
    unit /= np.linalg.norm(unit) or 1
    beside = rng.uniform(0, 3, p) if "beside" in parts else np.zeros(p)
    C = (np.eye(p) - np.outer(unit, unit)) * scale
    given = {name: value for name, value in (("scale", scale), ("unit", unit), ("beside", beside)) if name in parts}
    B, D = rng.standard_normal((3, p)), np.full((3, p), 0.7) * np.array([[1.0], [2], [3]])
    W, _ = solve_normal(d, B, D, tol=1e-13, **given)
    for t in range(3):
        close(W[t], np.linalg.solve(C @ (A + np.diag(beside)) @ C.T + np.diag(D[t]), B[t]), 9)


def test_where_nothing_is_penalised_the_solution_has_least_norm(rng):
    d, A = setting("csc", n=20, p=40)
    B = np.ascontiguousarray((A @ rng.standard_normal((40, 1))).T)
    W, _ = solve_normal(d, B, np.zeros((1, 40)), tol=1e-12)
    close(W[0], np.linalg.lstsq(A, B[0], rcond=1e-10)[0], 6)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_lanczos(storage, weighted, rng):
    """T = V'AV of orthonormal V, whose X V come along: checked by these, and by what T says of the moments of A."""
    d, A = setting(storage, weighted)
    weight = some_data()[1] if weighted else np.ones(60)
    b, m = rng.standard_normal(30), 6
    Z = np.empty((m, 60))
    diagonal, beside, _ = lanczos(d, b, m, Z)
    T = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    close((Z * weight) @ Z.T, T, 10)
    e, x = np.linalg.norm(b) * np.eye(m)[0], b
    for _ in range(2 * m - 1):                              # as a quadrature it is exact up to here
        e, x = T @ e, A @ x
        assert np.linalg.norm(b) * e[0] == pytest.approx(b @ x, rel=1e-8)
    first, some, state = lanczos(d, b, 2)
    rest, others, _ = lanczos(d, b, m - 2, start=state)
    close(np.append(first, rest), diagonal, 12)
    close(np.append(some, others), beside, 12)


def test_lanczos_ends_with_the_basis():
    d = design(np.asfortranarray(np.diag([1.0, 2, 3, 4, 5])), centred=False)
    diagonal, beside, _ = lanczos(d, np.array([1.0, 0, 1, 0, 0]), 5)
    assert len(diagonal) == len(beside) == 2
    T = np.diag(diagonal) + np.diag(beside[:1], 1) + np.diag(beside[:1], -1)
    close(np.linalg.eigvalsh(T), [1, 9], 13)
