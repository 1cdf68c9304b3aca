"""The Cholesky factor of a changing support: columns come in any number, dependent ones are told, any rows leave."""

import numpy as np
import pytest
from fastreg.adapter.engine import Cholesky
from twins import close


def intc(values):
    return np.array(values, dtype=np.intc)


def problem(m=70, n=100, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, m)) * np.geomspace(0.01, 100, m)
    return X.T @ X


def check(factor, G, l2, order):
    assert factor.order == list(order)
    at = np.asarray(order, dtype=int)
    right = G[np.ix_(at, at)] + np.diag(l2[at])
    scale = np.sqrt(np.diag(right))
    close(factor.lower @ factor.lower.T / np.outer(scale, scale), right / np.outer(scale, scale), 13)
    b = np.arange(1.0, len(at) + 1)
    close(right @ factor.solve(b), b, 6)


@pytest.mark.parametrize("pieces", [[1, 1, 1], [5, 23, 24, 10], [40], [1, 30], [0, 2]], ids=str)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_append(pieces, l2, rng):
    """Below 24 columns by hand, from there on by LAPACK."""
    G, l2 = problem(), l2 * np.arange(70.0)
    factor, order = Cholesky(G, l2), []
    for js in np.split(rng.permutation(70)[: sum(pieces)], np.cumsum(pieces)[:-1]):
        if len(js):
            assert not factor.append(intc(js)).any()
        order += list(js)
        check(factor, G, l2, order)


@pytest.mark.parametrize("m", [10, 23, 24, 40])
@pytest.mark.parametrize("before", [0, 7])
def test_dependent_columns_are_left_out(m, before):
    """Whichever way they are appended: the second of two copies, and a sum of others."""
    X = np.random.default_rng(m).standard_normal((60, before + m))
    X[:, before + 3] = X[:, before + 1]
    X[:, before + 6] = X[:, before + 2] - 2 * X[:, before + 5]
    X[:, before + 9] = X[:, 0]
    G, l2 = X.T @ X, np.zeros(before + m)
    factor = Cholesky(G, l2)
    if before:
        assert not factor.append(intc(range(before))).any()
    left_out = factor.append(intc(range(before, before + m)))
    assert list(np.flatnonzero(left_out)) == [3, 6, 9]
    check(factor, G, l2, [*range(before), *(before + k for k in range(m) if k not in (3, 6, 9))])
    factor = Cholesky(G, l2 + 0.1)
    assert not factor.append(intc(range(before + m))).any()
    check(factor, G, l2 + 0.1, range(before + m))


def test_what_counts_as_dependent():
    """A column's distance from the others, squared, against PIVOT_TOL = 1e-11 of its own square."""
    for size, dependent in ((3.0e-6, True), (3.4e-6, False)):
        X = np.eye(30)
        X[:, 29] = X[:, 0]
        X[29, 29] = size                                    # 1e-11 ** 0.5 = 3.16e-6
        for js in ([0, 29], range(30)):
            assert Cholesky(X.T @ X, np.zeros(30)).append(intc(js))[-1] == dependent


@pytest.mark.parametrize(
    "gone", [[0], [39], [5, 6, 7], [0, 39], [0, 1, 17, 18, 38], list(range(40)), list(range(1, 40, 2))], ids=str
)
def test_remove(gone, rng):
    G, l2 = problem(), np.full(70, 0.2)
    factor, order = Cholesky(G, l2), list(rng.permutation(70)[:40])
    factor.append(intc(order))
    factor.remove(intc(gone))
    order = [j for i, j in enumerate(order) if i not in gone]
    check(factor, G, l2, order)
    new = [j for j in range(70) if j not in order][:20]
    assert not factor.append(intc(new)).any()
    check(factor, G, l2, order + new)


def test_a_long_life(rng):
    """Many changes, no drift."""
    G, l2 = problem(), np.full(70, 0.01)
    factor, order = Cholesky(G, l2), []
    for _ in range(300):
        if len(order) > 20:
            gone = np.sort(rng.choice(len(order), rng.integers(1, 8), replace=False))
            factor.remove(intc(gone))
            order = [j for i, j in enumerate(order) if i not in gone]
        new = rng.permutation([j for j in range(70) if j not in order])[: rng.integers(1, 30)]
        assert not factor.append(intc(new)).any()
        order += list(new)
    check(factor, G, l2, order)
