"""Sums that other moments are made of: over parts of the rows, of merged columns, Gram matrices and kernels."""

import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.adapter.engine import prepare
from twins import STORED, close, design, some_data, view

from fastreg.adapter.sums import column_moments, gram_of, kernel_of, merge, part_sums, spread
from fastreg.design import as_design, view_of


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("n_parts", [1, 4])
def test_part_sums(storage, weighted, k, n_parts, rng):
    n, p = 2500, 9                                          # more than one block of rows
    X, weight = some_data(n, p)
    weight = weight if weighted else None
    Y, part = rng.standard_normal((k, n)), rng.integers(0, n_parts, n).astype(np.int32)
    if n_parts > 1:
        part[part == 2] = 3                                 # a part without rows
    dense = storage in ("C", "F")
    shift = X.mean(axis=0) if dense else np.zeros(p)
    sums = part_sums(design(STORED[storage](X), weight), Y, part, n_parts, shift if dense else None)
    z = np.column_stack([X - shift, Y.T, np.ones(n)])
    s = np.ones(n) if weight is None else weight
    assert sums.shape == (n_parts, p + k + 1, p + k + 1)
    for a in range(n_parts):
        here = part == a
        right = (z[here] * s[here, None]).T @ z[here]
        if not dense:                                       # products of different targets are left out
            right[p : p + k, p : p + k] *= np.eye(k)
        close(sums[a], right, 13)


@pytest.mark.parametrize("storage", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("level", [0.0, 1e6])
@pytest.mark.parametrize("k", [1, 2])
def test_gram_of_dense_columns(storage, weighted, level, k, rng):
    """However high their level: to the digits of the centred columns."""
    X, weight = some_data(3000, 7)
    X[:, 1] -= 300
    X += level * np.arange(7)
    weight = weight if weighted else None
    own, Y = view(X, weight), rng.standard_normal((k, 3000))
    root = np.ones(3000) if weight is None else np.sqrt(weight)
    Y = Y * root - np.outer((Y * root) @ root / (root @ root), root)
    d = design(STORED[storage](X), weight)
    G, Q = gram_of(d, Y)
    close(G, own.T @ own, 9 if level else 12)
    close(Q, Y @ own, 9 if level else 12)
    close(d.norms, np.linalg.norm(own, axis=0), 9 if level else 12)
    np.testing.assert_array_equal(G, G.T)


@pytest.mark.parametrize("storage", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_kernel_of_dense_rows(storage, weighted, rng):
    X, weight = some_data(30, 700)
    weight = weight if weighted else None
    own, scale = view(X, weight), rng.uniform(0.5, 2, 700)
    d = design(STORED[storage](X), weight)
    close(kernel_of(d), own @ own.T, 12)
    close(kernel_of(d, scale), (own * scale) @ own.T, 12)
    close(kernel_of(d, raw=True), X @ X.T, 13)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("norm1", [False, True], ids=["few", "all"])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_moments_of_columns(storage, weighted, norm1, level, rng):
    """Means and norms of columns with and without zeros, at any level; X'v comes along."""
    X, weight = some_data(200, 12)
    X[:, 1] += level - 300
    X[:150, 5] += level                                     # zeros and a high level: its norm is that of the level
    weight = weight if weighted else None
    s = np.ones(200) if weight is None else weight
    own, v = view(X, weight), rng.standard_normal((1, 200))
    v -= v.mean()
    stored = STORED[storage](X)
    d = view_of(as_design(stored, 1), weight, True)
    if norm1:
        prepare(d)
    else:
        close(column_moments(d, v)[0], v[0] @ X, 9)
    np.testing.assert_allclose(d.norms, np.linalg.norm(own, axis=0), rtol=1e-9)
    close(d.means, s @ X / 200, 14)


def rare(rng, n=40, p=50):
    X = np.zeros((n, p))
    X[:, :10] = rng.standard_normal((n, 10))
    X[rng.integers(0, n, 35), np.arange(12, 47)] = rng.standard_normal(35)
    return X


def test_columns_of_one_entry_share_one(rng):
    X = rare(rng)
    csr = sp.csr_array(X)
    column, kept, merged, squares = merge(csr.data, csr.indices, csr.indptr, 50)
    assert kept == 10
    np.testing.assert_array_equal(column, np.r_[:10, np.full(40, 10)])
    single = X[:, 10:]
    close(squares, (single**2).sum(axis=1), 14)
    small = sp.csr_array((csr.data, merged, csr.indptr), shape=(40, 11)).toarray()
    close(small, np.column_stack([X[:, :10], single.sum(axis=1)]), 14)
    V = rng.standard_normal((3, 40))
    close(spread(csr.data, csr.indices, csr.indptr, merged, column, np.ascontiguousarray(V @ small), V), V @ X, 14)


def test_few_columns_of_one_entry_are_left_as_they_are(rng):
    for p, merges in ((20, True), (18, False)):             # half of them at least would go
        csr = sp.csr_array(rare(rng)[:, :p])
        _, kept, merged, squares = merge(csr.data, csr.indices, csr.indptr, p)
        assert kept == 10 and (merged is not None) == (squares is not None) == merges
