"""What fixed problems cost the engine, to be held against the numbers in data/counts.json.

    python -m tests.counts --write      # the table anew, where a change is meant to change it
    python -m tests.counts              # what differs from it

Counts must not turn on the last digit, of which SIMD width and BLAS dispose: they are written only where they stay the
same for ten orders of the rows, which change the rounding of every sum and nothing else.
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.folds import LockstepPaths, as_folds
from fastreg.solvers.path import solve_path
from fastreg.weights import Weights

TABLE = Path(__file__).parent / "data" / "counts.json"
ORDERS = 10
ALPHAS = {"alphas": 50, "eps": 1e-2}
STORED = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csc": sp.csc_array, "csr": sp.csr_array}


def texts(seed, n=200, p=1500):
    """Word counts: a few words everywhere, most of them rare; rows of length 1."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n, p))
    for j in range(p):
        rows = rng.choice(n, max(1, min(n // 2, 24 * n // (j + 1))), replace=False)
        X[rows, j] = rng.exponential(1, len(rows))
    X /= np.linalg.norm(X, axis=1)[:, None]
    return X, X[:, rng.choice(500, 40, replace=False)] @ (3 * rng.standard_normal(40)) + 0.3 * rng.standard_normal(n)


def gaussians(seed, n, p):
    """Columns of which each is correlated with the one before it, and a target of twenty of them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X[:, 1:] += 0.7 * X[:, :-1]
    signal = X[:, rng.choice(p, 20, replace=False)] @ rng.standard_normal(20)
    return X, signal + 0.5 * signal.std() * rng.standard_normal(n)


DATA = {"tall": lambda: gaussians(0, 500, 60), "wide": lambda: gaussians(1, 80, 600), "texts": lambda: texts(0)}


def path(X, Y, rows, *, penalty=None, weighted=False, alphas=50, gram=None):
    """A path of every target, one after the other alpha; `rows` says which ones X and Y have."""
    weights = Weights(np.linspace(0.5, 2, len(Y))[rows], len(Y)) if weighted else None
    problem = Problem.of(X, Y, penalty or Penalty(), weights=weights, n_threads=1)
    return [solve_path(problem, Spec(alphas, eps=1e-2, tol=1e-6, gram=gram))]


def fit(X, Y, rows, *, share):
    """One fit from nothing, at a share of the largest alpha."""
    return path(X, Y, rows, alphas=share * largest_alpha(X, Y))


def folds(X, Y, rows):
    """Three folds in lockstep."""
    part = rows % 3
    splits = as_folds([(part != k, part == k) for k in range(3)], len(Y))
    alphas = largest_alpha(X, Y) * np.geomspace(0.5, 0.01, 30)
    paths = LockstepPaths(Problem.of(X, Y, Penalty(), n_threads=1), Spec(alphas, tol=1e-6), splits)
    paths.start(Penalty())
    return paths.advance(alphas)


def largest_alpha(X, Y):
    """The smallest alpha that leaves no coefficient, shape (1,)."""
    return np.max(np.abs(X.T @ (Y - Y.mean(axis=0))), keepdims=True)[0] / len(Y)


# How X is stored, which data, and what is solved with what arguments.
PROBLEMS = {
    "path, tall C": ("C", "tall", path, {"gram": False}),
    "path, tall F, Gram matrix": ("F", "tall", path, {"gram": True}),
    "path, wide F": ("F", "wide", path, {}),
    "path, wide C": ("C", "wide", path, {}),
    "path, texts csc": ("csc", "texts", path, {}),
    "path, texts csr": ("csr", "texts", path, {}),
    "path of an elastic net, wide F": ("F", "wide", path, {"penalty": Penalty(0.5)}),
    "path of an elastic net, texts csr": ("csr", "texts", path, {"penalty": Penalty(0.5)}),
    "path within limits, texts csc": ("csc", "texts", path, {"penalty": Penalty(lower=0.0, upper=0.5)}),
    "path with weights, texts csc": ("csc", "texts", path, {"weighted": True}),
    "path of two targets, wide F": ("F", "wide, two targets", path, {}),
    "fit, wide C": ("C", "wide", fit, {"share": 0.05}),
    "fit, texts csc": ("csc", "texts", fit, {"share": 0.05}),
    "folds, wide F": ("F", "wide", folds, {}),
    "folds, texts csc": ("csc", "texts", folds, {}),
    "folds, texts csr": ("csr", "texts", folds, {}),
}


def counts(name, rows=None):
    """What a problem costs.

    Parameters
    ----------
    name : str
        One of PROBLEMS.
    rows : ndarray of int or None
        An order to take the rows of the data in.

    Returns
    -------
    dict of str to int
        `elements` of X that its passes read, `rounds` of working set and certificate, and `columns` gathered, of all
        folds together.
    """
    storage, data, solve, options = PROBLEMS[name]
    X, y = DATA[data.split(",")[0]]()
    Y = np.column_stack([y, X[:, :10].sum(axis=1)]) if "two targets" in data else y[:, None]
    rows = np.arange(len(y)) if rows is None else rows
    found = solve(STORED[storage](X[rows]), Y[rows], rows, **options)
    assert all(solutions.converged.all() for solutions in found), f"{name}: not solved"
    return {"elements": round(found[0].elements_streamed), "rounds": int(sum(s.n_iters.sum() for s in found)),
            "columns": int(found[0].gathered)}


def table():
    """The committed counts, by the names of the problems."""
    return json.loads(TABLE.read_text())


def write():
    """Write the table; a problem whose counts turn on rounding ends it."""
    rng, new = np.random.default_rng(0), {name: counts(name) for name in PROBLEMS}
    for name, found in new.items():
        n = len(DATA[PROBLEMS[name][1].split(",")[0]]()[1])
        others = [counts(name, rng.permutation(n)) for _ in range(ORDERS)]
        if any(other != found for other in others):
            sys.exit(f"{name}: {found}, in other orders of the rows {others}: choose another problem")
    lines = (f"{json.dumps(name)}: {json.dumps(found)}" for name, found in new.items())
    TABLE.write_text("{\n  " + ",\n  ".join(lines) + "\n}\n")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    for name, before in table().items():
        now = counts(name)
        if now != before:
            print(f"{name}: {now}, committed {before}")
