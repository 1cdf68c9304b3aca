"""The small problem, solved exactly: judged by its optimality conditions, and by another solver."""

import numpy as np
import pytest
from fastreg.adapter.engine import SmallProblem, solve_by_products
from referee import BoxLasso
from twins import STORED, close, design, some_data, view

FREE = 1


class Problem:
    """1/2 ||t - A w||^2 and its penalties, for the kernel and for the referee."""

    def __init__(self, A, t, l1, l2=0.0, lo=-np.inf, hi=np.inf):
        self.A, self.t, m = A, t, A.shape[1]
        self.l1, self.l2, self.lo, self.hi = (np.zeros(m) + v for v in (l1, l2, lo, hi))
        self.G, self.q = A.T @ A, A.T @ t

    def small(self, **options):
        return SmallProblem(self.G, self.q, self.l1, self.l2, self.lo, self.hi, **options)

    def with_penalties(self, l1, l2):
        return Problem(self.A, self.t, l1, l2, self.lo, self.hi)

    @property
    def referee(self):
        rows = np.diag(np.sqrt(self.l2))
        t = np.append(self.t, np.zeros(len(rows)))
        return BoxLasso(np.vstack([self.A, rows]), t, self.l1, self.lo, self.hi)

    def check(self, small, kkt=1e-9):
        w = small.w
        assert self.referee.kkt(w) <= kkt
        assert ((w >= self.lo) & (w <= self.hi)).all()
        close(small.g, self.q - self.G @ w, 10)             # what it carried along is still true
        inside = [j for j, state in enumerate(small.states) if state == FREE]
        assert sorted(small.support) == inside
        assert all(state == FREE for j, state in enumerate(small.states) if w[j] not in (0, self.lo[j], self.hi[j]))


def random(m=30, n=50, seed=0, k=12, **penalties):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, m)) + 0.7 * rng.standard_normal((n, 1))
    t = A[:, :k] @ rng.standard_normal(k) + 0.5 * rng.standard_normal(n)
    share = penalties.pop("share", 0.05)
    return Problem(A, t, share * np.abs(A.T @ t).max() * np.ones(m), **penalties)


KINDS = {
    "lasso": {},
    "few": {"share": 0.6},
    "elastic net": {"l2": 2.0},
    "mixed l2": {"l2": np.where(np.arange(30) % 3, 0.0, 5.0)},
    "limits": {"lo": -0.05, "hi": 0.1},
    "positive": {"lo": 0.0},
    "negative": {"hi": 0.0},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_cold(kind, seed):
    problem = random(seed=seed, **KINDS[kind])
    small = problem.small()
    assert small.solve() and small.settled
    problem.check(small)
    close(small.w, problem.referee.solve(), 7)


@pytest.mark.parametrize("kind", KINDS)
def test_along_a_path(kind):
    """Each from the one before: coordinates leave, and walks are bent."""
    problem = random(**KINDS[kind])
    small = problem.small()
    for share in (1.0, 0.5, 0.1, 0.01, 0.3, 2.0, 0.001):
        now = problem.with_penalties(share * problem.l1, share * problem.l2)
        small.penalise(now.l1, now.l2)
        assert small.solve()
        now.check(small)


def test_many_enter_at_once_and_some_at_a_time():
    """Sweeps choose among many; few go straight into the factor."""
    problem = random(m=120, n=200, k=60, share=0.001)
    small = problem.small()
    assert small.solve()
    problem.check(small)
    assert len(small.support) > 60
    for j in range(3):                                      # a few wrong guesses
        w = small.w
        w[j] = -w[j]
        small.start(w)
        assert small.solve()
        problem.check(small)


def test_a_stale_factor_preconditions():
    """From 64 coordinates on, the factor of the l2 before serves the next: the answer is no worse, nor its price."""
    problem = random(m=120, n=200, k=100, share=0.001, l2=np.linspace(1, 30, 120))
    small = problem.small()
    assert small.solve()
    assert len(small.support) >= 64
    for share, rounds in ((0.9, 1), (0.75, 1), (0.7, 1), (0.4, 3), (0.41, 1), (1.2, 3)):
        now = problem.with_penalties(share * problem.l1, share * problem.l2)
        small.penalise(now.l1, now.l2)
        assert small.solve(rounds)
        now.check(small)


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_dependent_columns_slide(copies, seed):
    """Copies, and sums of others, some cheaper than what they depend on: the support swaps, the objective is least."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((40, 12))
    A = np.hstack([A, *(A for _ in range(copies)), A[:, :6] + A[:, 6:], A[:, :6] - 2 * A[:, 6:]])
    t = A[:, :12] @ rng.standard_normal(12) + 0.1 * rng.standard_normal(40)
    problem = Problem(A, t, rng.uniform(0.5, 1.5, A.shape[1]))
    small = problem.small(noise=5e-15 * np.linalg.norm(t))
    for share in (1.0, 0.1, 1.0, 0.01):
        now = problem.with_penalties(share * problem.l1, 0 * problem.l1)
        small.penalise(now.l1, now.l2)
        assert small.solve()
        now.check(small)
        assert now.referee.objective(small.w) <= now.referee.objective(now.referee.solve()) * (1 + 1e-11)


def test_a_start_on_dependent_columns():
    """Copies that all carry a share of the weight: one factor cannot hold them, and none may be lost."""
    rng = np.random.default_rng(0)
    A = np.repeat(rng.standard_normal((30, 5)), 3, axis=1)
    problem = Problem(A, A @ rng.standard_normal(15), 0.1 * (1 + np.arange(15) % 3))
    small = problem.small()
    small.start(np.linspace(-1, 1, 15))
    assert small.solve()
    problem.check(small)
    assert set(np.flatnonzero(small.w)) <= set(range(0, 15, 3))     # the cheapest of each


def test_free_coordinates():
    """Neither penalised nor limited: least squares on them, whatever they cost to enter."""
    problem = random(l2=0.0)
    problem.l1[:3] = 0
    small = problem.small()
    assert small.solve()
    problem.check(small)
    assert np.abs(small.g[:3]).max() <= 1e-10 * np.abs(problem.q).max()


def test_polish_refines_what_a_gram_matrix_cannot():
    """Free coordinates of an ill-conditioned A: with the correlations computed from A, each step gains digits."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((50, 6))
    A[:, 5] = A[:, 4] + 1e-4 * A[:, 5]
    w = rng.standard_normal(6)
    problem = Problem(A, A @ w, 0.0)
    small = problem.small()
    small.start(w + 1e-6 * rng.standard_normal(6))
    assert small.solve()
    for _ in range(3):
        problem.q = A.T @ (problem.t - A @ small.w) + problem.G @ small.w
        small.correlate_with(A.T @ (problem.t - A @ small.w))
        small.polish()
    assert np.abs(small.w - w).max() <= 1e-11


def test_polish_leaves_alone_what_it_may_not_move():
    problem = random()
    small = problem.small()
    assert small.solve()
    w = small.w
    assert small.polish() == 0                              # every coordinate is penalised
    np.testing.assert_array_equal(small.w, w)
    bounded = Problem(problem.A, problem.t, 0.0, hi=np.where(np.arange(30) == 0, 0.5, np.inf))
    small = bounded.small()
    assert small.solve()
    w, g = small.w, small.g
    at = small.support[-1]
    g[small.support] += 1e3 * np.abs(bounded.q).max()       # a step that would carry it beyond the limit
    small.correlate_with(g)
    step = small.polish()
    assert (small.w <= bounded.hi).all()
    assert step == 0 or 0 not in small.support, at


@pytest.mark.parametrize("slack", [0.3, 1e-3, 1e-9])
def test_no_more_exact_than_asked(slack):
    problem = random(share=0.02)
    small = problem.small(slack=slack)
    assert small.solve() and small.settled
    g, w = problem.q - problem.G @ small.w, small.w
    violation = np.where(w == 0, np.maximum(np.abs(g) - problem.l1, 0), np.abs(g - np.sign(w) * problem.l1))
    assert (violation <= slack * problem.l1 * (1 + 1e-9)).all()


def test_what_is_not_solved_is_not_settled():
    problem = random()
    small = problem.small()
    assert not small.settled and not small.solve(rounds=0)
    assert small.solve()
    w = small.w
    w[small.support[0]] *= 1 + 1e-6
    small.start(w)
    assert not small.settled


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_by_products_with_X(storage, weighted, kind, rng):
    """Without a Gram matrix: some columns of X, centred and weighted on the fly, limits and bends as above."""
    X, weight = some_data(n=60, p=50)
    X[:, 1] -= 300
    weight = weight if weighted else None
    cols = rng.permutation(50).astype(np.intc)[:30]
    A, root = view(X, weight)[:, cols], np.ones(60) if weight is None else np.sqrt(weight)
    t = A[:, :8] @ rng.standard_normal(8) + rng.standard_normal(60) * root
    t -= root * (root @ t) / (root @ root)
    options = dict(KINDS[kind])
    problem = Problem(A, t, options.pop("share", 0.05) * np.abs(A.T @ t).max(), **options)
    d = design(STORED[storage](X), weight)
    w, r, solved = solve_by_products(d, cols, t, problem.l1, problem.l2, problem.lo, problem.hi)
    assert solved and problem.referee.kkt(w) <= 1e-9
    assert ((w >= problem.lo) & (w <= problem.hi)).all()
    close(r, t - A @ w, 11)
