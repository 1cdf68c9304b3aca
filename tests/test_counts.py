"""What a path reads of X, gathers of it, and in how many rounds: lost screening shows in no answer."""

import numpy as np
import pytest
from counts import PROBLEMS, counts, table, texts
from twins import STORED, view

from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import solve_path

# Cost of a share of the columns, in passes; a whole pass is made where it exceeds PARTIAL.
PART = {"F": lambda share: share, "C": lambda share: 4 * share, "csc": lambda share: share, "csr": lambda share: np.inf}
PARTIAL, HORIZON = 0.4, 0.6


REWRITE = "python -m tests.counts --write"


def verdict(name, before, now):
    """In words, how a problem's counts differ from those committed; nothing if they do not."""
    said = [f"{what} rose from {before[what]} to {now[what]}" for what in before if now[what] > before[what]]
    if said:
        return (f"{name}: {', '.join(said)}. Screening, prediction or the sharing of passes got worse, which no answer "
                f"shows. If that is meant, say why in the commit, and: {REWRITE}")
    said = [f"{what} fell from {before[what]} to {now[what]}" for what in before if now[what] < before[what]]
    return f"{name}: {', '.join(said)}. Keep that for good: {REWRITE}" if said else ""


@pytest.mark.parametrize("name", PROBLEMS)
def test_counts_are_those_committed(name):
    assert not (said := verdict(name, table()[name], counts(name))), said


def test_every_problem_has_its_counts():
    assert list(table()) == list(PROBLEMS), REWRITE


def test_a_count_that_rises_outweighs_one_that_falls():
    before = {"elements": 1000, "rounds": 50, "columns": 20}
    assert verdict("path", before, dict(before)) == ""
    assert "elements rose from 1000 to 1001" in verdict("path", before, before | {"elements": 1001, "rounds": 49})
    assert "rounds fell from 50 to 49. Keep" in verdict("path", before, before | {"rounds": 49})


def elements_needed(X, y, path, storage, n_references):
    """Elements that bounds from a few earlier residuals leave to be read along the path, in plain NumPy.

    One reading an alpha, at its solution: the solver's own rounds come from elsewhere, so it reads a little more."""
    (n, p), sparse = X.shape, storage in ("csc", "csr")
    own, target = view(X), y - y.mean()
    norm2, norm1 = np.linalg.norm(own, axis=0), np.abs(X).sum(axis=0) if sparse else np.full(p, np.inf)
    cost = (X != 0).sum(axis=0) if storage == "csc" else np.full(p, (X != 0).sum() / p if sparse else n)
    by_columns, horizon, known, total = storage in ("csc", "F"), np.inf, [target], cost.sum()
    live, inside = np.full(p, not by_columns), np.zeros(p, dtype=bool)
    for alpha, w in zip(n * path.alphas, path.dense()):
        r = target - own @ w
        inside |= w != 0
        if by_columns and alpha < horizon:
            horizon = HORIZON * alpha
            live |= np.minimum(norm2 * np.linalg.norm(r), norm1 * np.abs(r).max()) > horizon
        near = np.linalg.lstsq(np.array(known).T, r, rcond=None)[0] @ known
        error = np.minimum(norm2 * np.linalg.norm(r - near), norm1 * np.abs(r - near).max())
        read = live & ~inside & (np.abs(own.T @ near) + error > alpha)
        if not read.any():
            continue
        if PART[storage](cost[read].sum() / cost[live].sum()) <= PARTIAL:
            total += cost[read].sum()
        else:
            total += cost[live].sum()
            known = [*known, r][-n_references:]
    return total


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("seed", range(3))
def test_a_path_reads_what_its_bounds_do_not_clear(storage, seed):
    X, y = texts(seed)
    path = solve_path(Problem.of(STORED[storage](X), y[:, None], Penalty()), Spec(100, eps=1e-2, tol=1e-6))
    assert path.converged.all()
    needed = elements_needed(X, y, path, storage, 4 if storage in ("C", "F") else 2)
    assert 0.95 * needed <= path.elements_streamed <= 1.15 * needed
    if storage != "csr":                                    # whose rows are read whole
        # 100 passes would be all
        assert needed < 30 * (X.size if storage in ("C", "F") else (X != 0).sum())
    used = np.count_nonzero((path.dense() != 0).any(axis=0))
    assert used <= path.gathered <= 1.05 * used
    assert 100 <= path.n_iters.sum() <= 120                 # what enters is foreseen, nearly always


@pytest.mark.parametrize("storage", STORED)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_alpha_is_of_what_may_move(storage, sign, rng):
    """Correlations with the wrong sign for one-sided coefficients do not count, however large."""
    X = rng.standard_normal((50, 8))
    y = -2 * X[:, 0] + X[:, 1]
    one_sided = Penalty(lower=0.0) if sign > 0 else Penalty(upper=0.0)
    path = solve_path(Problem.of(STORED[storage](X), sign * y[:, None], one_sided), Spec(3))
    assert path.alphas[0] == pytest.approx(np.max(view(X).T @ (y - y.mean())) / 50, rel=1e-12)
