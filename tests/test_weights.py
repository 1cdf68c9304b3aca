"""Weights of the rows, in exact arithmetic where rounding counts."""
from fractions import Fraction

import numpy as np
import pytest

from fastreg.weights import Weights


def some(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 5, n) / 4.0 + (np.arange(n) == 0)


def test_none_is_ones():
    for weights in (Weights(None, 5), Weights(np.full(5, 0.25), 5)):
        assert weights.normalised is None and weights.root is None and weights.rows == 5
        row = np.arange(5.0)
        assert weights.rooted(row) is row
    assert Weights(None, 5).total == 5 and Weights(np.full(5, 0.25), 5).total == 1.25
    assert Weights(None, 5).of([1, 2]) is None


def test_normalised_weights_sum_to_n_and_keep_their_ratios():
    raw = some(37)
    weights = Weights(raw, 37)
    exact = [Fraction(one) * 37 / sum(map(Fraction, raw)) for one in raw]
    np.testing.assert_allclose(weights.normalised, [float(one) for one in exact], rtol=4e-16)
    np.testing.assert_array_equal(weights.root, np.sqrt(weights.normalised))
    assert weights.total == sum(map(Fraction, raw)) and weights.rows == np.count_nonzero(raw)
    np.testing.assert_array_equal(weights.rooted(np.ones((2, 37))), np.stack([weights.root] * 2))


def test_folds_and_rows_left_out():
    raw, counts = some(20), np.arange(20) % 3
    for weights, of_all in ((Weights(raw, 20), raw), (Weights(None, 20), np.ones(20))):
        np.testing.assert_array_equal(weights.times(counts).raw, of_all * counts)
        less = weights.without(4).raw
        np.testing.assert_array_equal(less, np.where(np.arange(20) == 4, 0, of_all))
    np.testing.assert_array_equal(Weights(raw, 20).of(np.array([3, 0])), raw[[3, 0]])
    assert raw[4] == some(20)[4]                            # what was given is not written to


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", [1, 3])
def test_centred_targets(targets, weighted):
    n = 1500
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((n, targets)) + 1e4
    Y[:, 0] = 0.1                                           # constant, of which no mean is exact
    weights = Weights(some(n) if weighted else None, n)
    of_rows = np.ones(n) if weights.raw is None else weights.raw
    exact = np.average(Y.astype(np.longdouble), axis=0, weights=of_rows.astype(np.longdouble))
    rows, means = weights.centred(Y, True)
    root = np.ones(n) if weights.root is None else weights.root
    assert rows.flags.c_contiguous and not rows[0].any()
    np.testing.assert_allclose(means, exact.astype(float), rtol=1e-14)
    np.testing.assert_allclose(rows[1:], ((Y - exact).astype(float) * root[:, None]).T[1:], atol=1e-10)
    rows, means = weights.centred(Y, False)
    assert not means.any()
    np.testing.assert_array_equal(rows, (Y * root[:, None]).T)


@pytest.mark.parametrize("weighted", [False, True])
def test_shares_of_sets_by_parts(rng, weighted):
    """What a part weighs in a set, times what its rows weigh among all, sums to n and is the fold's weight."""
    part = rng.integers(0, 3, 30)
    weights = Weights(rng.uniform(0.5, 2, 30) if weighted else None, 30)
    counts = np.array([[1, 0, 1], [0, 2, 1], [1, 1, 1]])
    shares = weights.by_parts(part, counts)
    for k in range(3):
        of_rows = shares.weights(k)
        assert of_rows.sum() == pytest.approx(30)
        fold = weights.times(counts[part, k]).normalised
        np.testing.assert_allclose(of_rows, np.ones(30) if fold is None else fold)
