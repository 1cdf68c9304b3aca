"""Random small problems, their gaps in long double: ``python -m tests.fuzz_glm 10000 [FIRST [LOSS]]``; of labels and
counts where no loss is given.

Any storage, weights with zeros, offsets, limits, factors (0 and infinite among them), l1_ratio, intercept or none;
columns that are constant, twins, of one entry, of scales from 1e-3 to 1e3; more columns than rows. What is said of a
problem: 'fine', 'rounded' (where the bound is larger than tol by rounding, but nothing better is found at tol=0),
'warned' (the fit said that it did not get there), 'refused' (no best fit, in words) or 'wrong'.
"""
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fastreg import regularization_path

if __name__ == "__main__":               # tests are no package
    sys.path.insert(0, str(Path(__file__).parent))

from glm import Judge

TOL = 1e-8
STORES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array,
          "backwards": lambda X: np.ascontiguousarray(X[::-1])[::-1],
          "every other": lambda X: np.repeat(X, 2, axis=1)[:, ::2]}


def amounts(loss, eta, rng):
    """y of other losses."""
    if loss == "huber(1.5)":
        return eta + rng.standard_t(1.5, len(eta)) * rng.choice([1.0, 100.0])
    y = rng.gamma(2, np.exp(eta) / 2) * rng.choice([1.0, 1e-3, 1e3])
    some = rng.random(len(y)) < (1 if loss == "gamma" else 0.6)
    some[0] = True
    return y * some


def problem(seed, loss=None):
    """(loss, X, y, store, arguments of the path) of a seed."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(8, 60)), int(rng.integers(1, 40))
    X = rng.standard_normal((n, p)) + 3 * rng.standard_normal(p) * (rng.random(p) < 0.2)
    X *= 10.0 ** (rng.uniform(-3, 3, p) * (rng.random(p) < 0.3))
    X[:, rng.random(p) < 0.1] = rng.integers(0, 2) * 1.5
    for j in np.flatnonzero(rng.random(p) < 0.1):
        X[:, j] = X[:, rng.integers(p)]
    if rng.random() < 0.5:
        X = np.where(rng.random(X.shape) < 0.3, X, 0)
    for j in np.flatnonzero(rng.random(p) < 0.05):
        X[:, j] = 0
        X[rng.integers(n), j] = 1
    spread = X.std(axis=0)
    direction = np.divide(rng.standard_normal(p) * (rng.random(p) < 0.4), spread, out=np.zeros(p), where=spread > 1e-8)
    eta = np.clip(X @ direction - np.mean(X @ direction) + rng.normal(), -6, 3)
    offset = rng.standard_normal(n) * rng.choice([0.5, 5]) if rng.random() < 0.4 else None
    weights = rng.integers(0, 4, n) * rng.choice([0.25, 1.0, 1e6]) if rng.random() < 0.4 else None
    drawn = "logistic" if rng.random() < 0.5 else "poisson"
    loss = loss or drawn
    if loss in ("logistic", "squared_hinge"):
        y = np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), 1.0, -1.0)
        y[:2] = 1, -1
    elif loss != "poisson":
        y = amounts(loss, eta, rng)
    else:
        y = rng.poisson(np.exp(eta)) * rng.choice([1.0, 0.5, 1.0])
        y[0] += 1
    if weights is not None:
        weights[:2] = np.maximum(weights[:2], 0.25)
    factor = np.ones(p) if rng.random() < 0.5 else rng.choice([0.3, 1.0, 2.0, 0.0, np.inf], p, p=[.3, .3, .3, .05, .05])
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    if rng.random() < 0.3:
        lower = np.where(rng.random(p) < 0.5, -rng.exponential(1, p) * (rng.random(p) < 0.7), lower)
        upper = np.where(rng.random(p) < 0.5, rng.exponential(1, p) * (rng.random(p) < 0.7), upper)
    ratio = float(rng.choice([1.0, 0.5, 0.01, 0.0]))
    return loss, X, y, str(rng.choice(list(STORES))), {
        "l1_ratio": ratio, "alphas": np.geomspace(1, 1e-3, 4) * 10.0 ** rng.uniform(-2, 0.5), "offset": offset,
        "sample_weight": weights, "penalty_factor": factor, "lower_limits": lower, "upper_limits": upper,
        "fit_intercept": bool(rng.random() < 0.8)}


def verdict(seed, loss=None):
    """(What is said of a problem, the worst gap in units of TOL.)"""
    loss, X, y, store, given = problem(seed, loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            path = regularization_path(STORES[store](X), y, datafit=loss, tol=TOL, **given)
            said = [one.category for one in caught]
        except ValueError as error:
            return "refused" if "no best fit without a penalty" in str(error) else f"wrong: {error}", 0.0
    worst = behind = 0.0
    for k, alpha in enumerate(path.alphas):
        judge = Judge(loss, X, y, alpha, given["l1_ratio"], weights=given["sample_weight"], offset=given["offset"],
                      fit_intercept=given["fit_intercept"], factor=given["penalty_factor"],
                      lower=given["lower_limits"], upper=given["upper_limits"])
        answer = path.coefs.toarray()[:, k], path.intercepts[k]
        worst = max(worst, judge.gap(*answer) / TOL)
        if worst > 1.01:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                best = regularization_path(X, y, datafit=loss, tol=0, **{**given, "alphas": [alpha]})
            ahead = judge.primal(*answer) - judge.primal(best.coefs.toarray()[:, 0], best.intercepts[0])
            behind = max(behind, float(ahead / judge.null()) / TOL)
    if any(issubclass(category, ConvergenceWarning) for category in said):
        return "warned", worst
    return ("fine" if worst <= 1.01 else "rounded" if behind < 1e-3 else "wrong"), worst


def main(count, first=0, loss=None):
    """Counts of what is said of so many problems; those that are wrong are printed."""
    said = Counter()
    for seed in range(first, first + count):
        what, worst = verdict(seed, loss)
        said[what.partition(":")[0]] += 1
        if what.startswith("wrong"):
            print(f"seed {seed}: {what}, gap {worst:.3g} times tol", flush=True)
    print(", ".join(f"{count} {what}" for what, count in said.most_common()))
    return said["wrong"]


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]), *sys.argv[3:])))
