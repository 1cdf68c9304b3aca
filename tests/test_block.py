"""The working block: Gram matrices, residuals and correlations of its columns, under one or many weightings."""

import numpy as np
import pytest
from fastreg.adapter.engine import RowBlock, WorkingBlock
from fastreg.adapter.sweep import sweep
from twins import STORED, close, design, some_data, view

from fastreg.adapter import parallel_work


def intc(*values):
    return np.array(values, dtype=np.intc)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("centred", [False, True], ids=["", "centred"])
@pytest.mark.parametrize("pieces", [[1], [3, 1, 1, 20], [33]], ids=str)
def test_columns_appended_in_pieces(storage, weighted, centred, pieces, rng):
    X, weight = some_data(n=90, p=40)
    weight = weight if weighted else None
    d = design(STORED[storage](X), weight, centred)
    block, cols = WorkingBlock(d), rng.permutation(40).astype(np.intc)[: sum(pieces)]
    for piece in np.split(cols, np.cumsum(pieces)[:-1]):
        block.append(piece)
    own = view(X, weight, centred)[:, cols]
    gram = block.gram()
    np.testing.assert_array_equal(gram, gram.T)
    close(gram, own.T @ own, 10 if centred else 12)

    Y, W = rng.standard_normal((1, 90)), rng.standard_normal((1, len(cols)))
    Y *= 1 if weight is None else np.sqrt(weight)
    W[0, ::3] = 0
    if centred:
        Y -= Y @ unit_of(weight, 90)[:, None] * unit_of(weight, 90)
    r, g, _ = block.residuals(Y, W)
    close(r[0], Y[0] - own @ W[0], 10)
    right = own.T @ r[0]
    if storage in ("csc", "csr"):
        close(g[0], right, 10)
    for first in (0, len(cols) - 1, len(cols) // 2):
        g = block.correlate(r[0], first=first)
        assert np.isnan(g[:first]).all()
        close(g[first:], right[first:], 10)
    pos = rng.permutation(len(cols)).astype(np.intc)[: 1 + len(cols) // 2]
    close(block.correlate(r[0], pos=pos), right[pos], 10)
    close(block.correlate(r[0], pos=pos, first=len(pos) - 1)[-1:], right[pos[-1:]], 10)


def unit_of(weight, n):
    root = np.ones(n) if weight is None else np.sqrt(weight)
    return root / np.linalg.norm(root)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("k", [1, 2, 4, 5, 8, 9])
def test_residuals_of_several_targets(storage, k, rng):
    """They share a block: lanes of 4, of 8, and more than one round of them."""
    X, weight = some_data(n=700)                            # more than one slab of rows
    d = design(STORED[storage](X), weight)
    block = WorkingBlock(d)
    block.append(np.arange(25, dtype=np.intc))
    own = view(X, weight)[:, :25]
    Y = rng.standard_normal((k, 700)) * np.sqrt(weight)
    Y -= (Y @ unit_of(weight, 700))[:, None] * unit_of(weight, 700)
    W = rng.standard_normal((k, 25)) * (rng.random((k, 25)) < 0.6)
    r, g, _ = block.residuals(Y, W)
    close(r, Y - W @ own.T, 10)
    if storage in ("csc", "csr"):
        close(g, r @ own, 10)


def weightings(n_of, weight, rng, shuffled=True):
    """Parts, and the weights of every fold: some parts left out, some counted twice."""
    n, n_parts = len(weight), n_of + 1
    part = rng.integers(0, n_parts, n)
    if not shuffled:
        part.sort()
    times = np.ones((n_of, n_parts))
    times[np.arange(n_of), np.arange(n_of)] = 0
    times[0, -1] = 2
    in_part = np.bincount(part, weight, minlength=n_parts)
    count = times * (n / (times @ in_part))[:, None]
    order = np.argsort(part, kind="stable").astype(np.intc)
    start = np.append(0, np.cumsum(np.bincount(part, minlength=n_parts))).astype(np.intp)
    return (order, start, count), [weight * c[part] for c in count]


@pytest.mark.parametrize("storage", ["csc", "csr"])
@pytest.mark.parametrize("n_of", [2, 4, 6, 9])
def test_folds_that_share_a_block(storage, n_of, rng):
    X, weight = some_data(n=300)
    X[:, 1] -= 300                                          # sums and differences of parts: no digits for a high level
    parts, weights = weightings(n_of, weight, rng)
    stored = STORED[storage](X)
    designs = [design(stored, w) for w in weights]
    block = WorkingBlock(design(stored, weight), designs, parts)
    for piece in (intc(3, 1, 2), intc(9), np.arange(10, 30, dtype=np.intc)):
        block.append(piece)
    cols = np.r_[3, 1, 2, 9, 10:30]
    y = X[:, 3] + rng.standard_normal(300) + 5
    means = np.array([w @ y for w in weights]) / 300
    level = weight @ y / 300
    Y = np.array([np.sqrt(w) * (y - m) for w, m in zip(weights, means)])
    W = rng.standard_normal((n_of, len(cols)))
    times = rng.integers(0, 3, (n_of, 300)).astype(float)
    r, g, errors = block.residuals(Y, W, of=range(n_of), tests=(times, np.sqrt(weight) * (y - level), level - means))
    for f, w in enumerate(weights):
        own = view(X, w)[:, cols]
        close(block.gram(f), own.T @ own, 11)
        close(r[f], Y[f] - own @ W[f], 11)
        close(g[f], own.T @ r[f], 11)
        close(block.correlate(r[f], f), own.T @ r[f], 11)
        error = y - means[f] - (X - w @ X / 300)[:, cols] @ W[f]
        close(errors[f], times[f] @ (weight * error**2), 11)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_gram_matrices_of_dense_folds(shuffled, threads, weighted, rng):
    """More columns than a tile has, pieces larger than a panel, parts of more rows than a strip."""
    X, weight = some_data(n=1900, p=420)
    X[:, 1] -= 300
    weight = weight if weighted else np.ones(1900)
    parts, weights = weightings(2, weight, rng, shuffled)
    designs = [design(np.asfortranarray(X), w) for w in weights]
    block = WorkingBlock(design(np.asfortranarray(X), weight if weighted else None, n_threads=threads), designs, parts)
    cols = rng.permutation(420).astype(np.intc)
    for piece in (cols[:1], cols[1:100], cols[100:400]):
        block.append(piece)
    for f, w in enumerate(weights):
        own = np.sqrt(w)[:, None] * (X - w @ X / w.sum())[:, cols[:400]]
        close(block.gram(f), own.T @ own, 11)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("centred", [False, True], ids=["", "centred"])
@pytest.mark.parametrize("pieces", [[40], [1, 30, 9]], ids=str)
def test_gram_matrices_under_any_weights(storage, centred, pieces, rng):
    """Of a fold, or of the curvatures of a loss: some rows have none; whatever the columns' order and level."""
    X, weight = some_data(n=700, p=60)
    X[:, 5] += 1e4
    block = WorkingBlock(design(STORED[storage](X), weight, centred))
    block.gather(np.arange(60, dtype=np.intc)[::-1].copy())
    s = rng.exponential(size=700) * (rng.random(700) < 0.8) * (weight > 0)
    pos = np.append(np.arange(12, 40), rng.permutation(12)).astype(np.intc)
    own = np.asarray(X, dtype=np.longdouble)[:, ::-1][:, pos]
    means = s @ own / s.sum()
    centre = own - means if centred else own
    gram, remainder = block.gram_under(s, pos, pieces)
    np.testing.assert_array_equal(gram, gram.T)
    wanted = np.array((centre * s[:, None]).T @ centre)
    size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.max(np.abs(gram - wanted) / size) < 1e-11
    level = means - remainder
    for k, x in enumerate(own.T):                # what is left is that of columns less a level near their own
        assert min(abs(level[k]), abs(level[k] - weight @ x / weight.sum())) < 1e-9 * (1 + abs(level[k]))


@pytest.mark.parametrize("m", [1, 3, 4, 47, 48, 49, 101])
@pytest.mark.parametrize("n", [1, 255, 257, 20_000])
def test_gram_matrices_of_dense_columns_in_squares_and_slabs(n, m, rng):
    """Of whole tiles and squares and others, of one slab of the rows and two; of as many threads as there are."""
    X, s = rng.standard_normal((n, m)), rng.random(n) * (rng.random(n) < 0.7) + 1e-3
    pos, found = rng.permutation(m).astype(np.intc), []
    for n_threads in (1, 3):
        block = WorkingBlock(design(np.asfortranarray(X), None, False, n_threads))
        with parallel_work(0):
            block.gather(np.arange(m, dtype=np.intc))
            found.append(block.gram_under(s, pos, [m] if m < 48 else [40, m - 40])[0])
    np.testing.assert_array_equal(*found)
    own = X[:, pos].astype(np.longdouble)
    wanted = ((own * s[:, None]).T @ own).astype(float)
    size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.max(np.abs(found[0] - wanted) / size) < 1e-14


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("centred", [False, True], ids=["", "centred"])
def test_products_with_some_of_the_columns(storage, centred, rng):
    X, weight = some_data(n=5000, p=30)
    for n_threads in (1, 3):
        block = WorkingBlock(design(STORED[storage](X), weight, centred, n_threads=n_threads))
        block.gather(np.arange(30, dtype=np.intc))
        pos = rng.permutation(30).astype(np.intc)[:11]
        w = rng.standard_normal(11) * (rng.random(11) < 0.7)
        plain = view(X, None, False) - (weight @ X / weight.sum() if centred else 0)
        counts = weight > 0                                 # sparse rows without weight are left out
        close(block.products(w, pos)[counts], (plain[:, pos] @ w)[counts], 10)
        w = rng.standard_normal(30)
        close(block.products(w)[counts], (plain @ w)[counts], 10)


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("centred", [False, True], ids=["", "centred"])
@pytest.mark.parametrize("m", [1, 4, 39])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_step_and_what_is_made_of_it_in_one_reading(storage, centred, m, n_threads, rng):
    """Rows beyond several slabs and chunks; coordinates in order, and some in any order."""
    X, weight = some_data(n=9000, p=40)
    d = design(STORED[storage](X), weight, centred, n_threads=n_threads)
    cols, y, level = rng.permutation(40).astype(np.intc), rng.standard_normal(9000), 0.3
    plain = view(X, None, False) - (weight @ X / weight.sum() if centred else 0)
    counts = weight > 0                                     # sparse rows without weight are left out
    for pos in (None, rng.permutation(40).astype(np.intc)[:m]):
        at = cols if pos is None else cols[pos]
        w = rng.standard_normal(len(at)) * (rng.random(len(at)) < 0.8)
        v, share, g, sums = sweep(d, cols, w, pos, level, weight, y)
        close(v[counts], plain[counts][:, at] @ w - level, 10)
        np.testing.assert_array_equal(share[counts], (weight * (y - v**2))[counts])
        close(g, plain[:, at][counts].T @ share[counts], 10)
        close(sums, [share.sum(), (y * v)[counts].sum()], 10)


def test_an_empty_block_gives_the_target_back(rng):
    X, weight = some_data()
    for store in STORED.values():
        block = WorkingBlock(design(store(X), weight))
        Y = rng.standard_normal((1, 60))
        np.testing.assert_array_equal(block.residuals(Y, np.zeros((1, 1)))[0], Y)


def test_rows_grow_and_are_repacked(rng):
    rows, twin = RowBlock(7), [[] for _ in range(7)]
    for k in range(6000):
        i = int(rng.integers(0, 6)) if k % 3 else 2         # one row much longer than the others, one empty
        rows.push(i, k, k / 2)
        twin[i].append((k, k / 2))
        if k % 1500 == 0:
            rows.repack(10)
            spans, size = rows.spans()
            ends = [start + room for start, room in spans]
            assert all(room >= len(row) for (_, room), row in zip(spans, twin))
            assert [start for start, _ in spans[1:]] == ends[:-1] and size >= ends[-1] + 10
        if k % 500 == 0:
            assert rows.lists() == twin
    assert rows.lists() == twin
    spans, size = rows.spans()
    taken = np.zeros(size, dtype=int)
    for (start, room), row in zip(spans, twin):
        assert room >= len(row)
        taken[start : start + room] += 1
    assert taken.max() == 1


@pytest.mark.parametrize("storage", STORED)
def test_threads_change_no_bit(storage, rng):
    """Enough rows and columns that threads are started."""
    X, weight = some_data(n=6000, p=200)
    X[:, 1] -= 300
    stored, parts = STORED[storage](X), weightings(3, weight, rng)
    Y, W = rng.standard_normal((5, 6000)), rng.standard_normal((5, 200))
    found = []
    for n_threads in (1, 3):
        block = WorkingBlock(design(stored, weight, n_threads=n_threads))
        block.append(np.arange(200, dtype=np.intc))
        one = block.residuals(Y[:1], W[:1])
        found.append([block.gram(), *one[:2], *block.residuals(Y, W)[:2], block.correlate(Y[0])])
        if storage in ("csc", "csr"):
            designs = [design(stored, w, n_threads=n_threads) for w in parts[1]]
            folds = WorkingBlock(design(stored, weight, n_threads=n_threads), designs, parts[0])
            folds.append(np.arange(200, dtype=np.intc))
            found[-1] += [folds.gram(2), *folds.residuals(Y[:3], W[:3], of=range(3))[:2]]
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)
    close(found[0][3], Y - W @ view(X, weight).T, 10)
    close(found[0][0], view(X, weight).T @ view(X, weight), 10)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_of_columns_in_any_order(n_threads, rng):
    """Entries of a column are dealt to threads by their rows where they ascend, and only there."""
    X, weight = some_data(n=6000, p=200)
    stored = STORED["csc"](X)
    mixed = stored.copy()
    for j in range(0, 200, 7):
        some = slice(mixed.indptr[j], mixed.indptr[j + 1])
        order = rng.permutation(some.stop - some.start)
        mixed.indices[some], mixed.data[some] = mixed.indices[some][order], mixed.data[some][order]
    mixed.has_sorted_indices = False
    grams = []
    for matrix in (stored, mixed):
        block = WorkingBlock(design(matrix, weight, n_threads=n_threads))
        for piece in np.split(np.arange(200, dtype=np.intc), [3, 120]):
            block.append(piece)
        grams.append(block.gram())
    close(*grams, 12)                                       # means are summed up in another order
