"""Solutions in CSC layout: what is taken out of them, and put together again, is what went in."""

import dataclasses

import numpy as np
import pytest

from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.scale import Scale
from fastreg.solutions import Solutions

ALPHAS, TARGETS, FEATURES = 5, 4, 7


@pytest.fixture
def made(rng):
    """(Solutions of several targets with features in any order, their coefficients of shape (alphas, targets, p))"""
    coefs = rng.standard_normal((ALPHAS, TARGETS, FEATURES)) * (rng.random((ALPHAS, TARGETS, FEATURES)) < 0.4)
    coefs[1, 2] = coefs[0] = 0
    columns = [rng.permutation(np.flatnonzero(column)) for column in coefs.reshape(-1, FEATURES)]
    shape = ALPHAS, TARGETS
    return Solutions(
        np.geomspace(1, 0.1, ALPHAS), FEATURES, np.append(0, np.cumsum([len(used) for used in columns])),
        np.concatenate(columns), np.concatenate([c[used] for c, used in zip(coefs.reshape(-1, FEATURES), columns)]),
        rng.standard_normal(shape), rng.random(shape), rng.random(shape), rng.random(shape),
            rng.random(TARGETS), rng.integers(1, 9, shape),
        rng.integers(0, 3, shape), rng.random(ALPHAS) < 0.5, 3.0, 6), coefs  # fmt: skip


def test_every_form_is_the_same(made):
    found, coefs = made
    flat = coefs.reshape(-1, FEATURES)
    np.testing.assert_array_equal(found.dense(), flat)
    np.testing.assert_array_equal(found.sparse().toarray().T, flat)
    assert found.sparse().has_sorted_indices
    np.testing.assert_array_equal(found.n_nonzero, (coefs != 0).sum(axis=2))
    for at, column in enumerate(flat):
        np.testing.assert_array_equal(found.coef(at), column)
        features, values = found.nonzero(at)
        np.testing.assert_array_equal(column[features], values)
    np.testing.assert_array_equal(found.dense(), flat)         # sorting sorts a copy
    up = found.scaled_up(Scale(3))
    np.testing.assert_array_equal(up.dense(), 8 * flat)
    np.testing.assert_array_equal(up.dual_gaps, 64 * found.dual_gaps)


@pytest.mark.parametrize("groups", [[[0, 1, 2, 3]], [[2], [0, 3], [1]], [[3, 1], [2, 0]]], ids=str)
def test_targets_taken_apart_and_merged(made, groups):
    found, coefs = made
    alone = [found.of_target(t) for t in range(TARGETS)]
    for t, one in enumerate(alone):
        np.testing.assert_array_equal(one.dense(), coefs[:, t])
        np.testing.assert_array_equal(one.dual_gaps[:, 0], found.dual_gaps[:, t])
    merged = Solutions.merged([[t] for t in range(TARGETS)], alone)
    grouped = [Solutions.merged([[i] for i in range(len(group))], [alone[t] for t in group]) for group in groups]
    for again in (merged, Solutions.merged(groups, grouped)):
        np.testing.assert_array_equal(again.dense(), found.dense())
        for name in ("intercepts", "dual_gaps", "relative_gaps", "n_iters", "stopped"):
            np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
        assert again.elements_streamed == 3.0 * TARGETS and again.gathered == 6


def test_a_problem_is_not_changed_by_what_follows_from_it(rng):
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 3)) * [1.0, 1e-200, 1e150]
    problem = Problem.of(X, Y, Penalty())
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.X = X
    for t in range(3):
        one = problem.to_unit().target(t)
        np.testing.assert_array_equal(one.scale.up(one.Y)[:, 0], Y[:, t])
        assert 0.1 < np.abs(one.Y).max() < 10
    for group, scaled in problem.by_scale():
        np.testing.assert_array_equal(scaled.scale.up(scaled.Y), Y[:, group])
    fold = problem.fold(np.arange(20) % 3)
    np.testing.assert_array_equal(fold.weights.raw, np.arange(20) % 3)
    assert problem.weights.raw is None and problem.Y is Y and fold.X is problem.X is X
    assert problem.with_l1_ratio(0.5).penalty.l1_ratio == 0.5 and problem.penalty.l1_ratio == 1.0


def test_values_that_are_only_counted_fall_from_the_largest():
    spec = Spec(4, eps=1e-3)
    np.testing.assert_allclose(spec.grid(2.0), [2, 0.2, 0.02, 0.002])
    assert spec.n_alphas == 4 and spec.grid(2.0)[0] == 2.0
    assert (spec.grid(0.0) > 0).all()                          # nothing to fit: any alpha does
    given = np.array([1.0, 0.5])
    assert Spec(given).grid(None) is given and Spec(given).n_alphas == 2
    told = []
    Spec(4, report=told.append).after(10).report(3)
    assert told == [13]
