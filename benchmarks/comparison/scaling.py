"""How time and memory grow: sweeps of generated problems along one axis each."""

import os
from typing import NamedTuple


class Point(NamedTuple):
    """A problem of a sweep; the value on the axis is given, or a field of the record."""

    data: str
    changes: dict
    value: float | str
    threads: int | None = None


class Sweep(NamedTuple):
    """Problems that differ in one thing."""

    axis: str
    task: str
    points: list


def sweeps(toy=False):
    """The sweeps.

    Parameters
    ----------
    toy : bool, default=False
        Tiny problems.

    Returns
    -------
    list of Sweep
    """
    if toy:
        return [
            Sweep("n", "lasso_path", [Point(f"correlated:{n}:20:0.5:5", {"n_alphas": 5}, n) for n in (50, 100, 200)])
        ]
    threads = [k for k in (1, 2, 4, 8, 16) if k <= (os.cpu_count() or 1)]
    middle = "correlated:1000:5000:0.5:100"
    return [
        Sweep(
            "n",
            "lasso_path",
            [Point(f"correlated:{n}:200:0.5:40", {}, n) for n in (2500, 5000, 10_000, 20_000, 40_000)],
        ),
        Sweep(
            "p", "lasso_path", [Point(f"correlated:300:{p}:0.5:20", {}, p) for p in (1000, 2000, 4000, 8000, 16_000)]
        ),
        Sweep("nnz", "lasso_path", [Point(f"text:5000:20000:{w}:100", {}, "nnz") for w in (10, 20, 40, 80, 160)]),
        Sweep(
            "non-zeros", "lasso_fit", [Point(middle, {"eps": eps}, "nonzeros") for eps in (0.2, 0.1, 0.05, 0.02, 0.01)]
        ),
        Sweep(
            "alphas",
            "lasso_path",
            [Point("correlated:300:2000:0.5:20", {"n_alphas": k}, k) for k in (25, 50, 100, 200)],
        ),
        Sweep("folds", "lasso_cv", [Point("correlated:300:2000:0.5:20", {"folds": k}, k) for k in (3, 5, 10, 20)]),
        Sweep("threads", "lasso_path", [Point("correlated:500:20000:0.5:50", {"eps": 0.05}, k, k) for k in threads]),
        Sweep(
            "n", "ridge_fit", [Point(f"correlated:{n}:300:0.5:40", {}, n) for n in (2500, 5000, 10_000, 20_000, 40_000)]
        ),
        Sweep("p", "ridge_fit", [Point(f"correlated:4000:{p}:0.5:40", {}, p) for p in (125, 250, 500, 1000, 2000)]),
    ]


PEERS = ("scikit-learn", "glmnet", "adelie")
