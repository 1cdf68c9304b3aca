"""Ridge regression on small hard problems against exact arithmetic (python-flint, 400 bits): who is wrong, and says so?

    python tools/exact_ridge.py --problems 800 [--first 0] [--verbose]

A problem has at most 22 rows and 26 columns: scales up to 1e8 apart, large means, a row of leverage near 1,
near-duplicates, weights over decades, penalties over twelve decades. Fitted values must agree to 1e-6 of the centred
target, scores of leave-one-out and folds, degrees of freedom and GCV to 1e-5. A wrong answer beside a warning is
counted apart from a silent one.
"""
import argparse
import collections
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from flint import arb, arb_mat, ctx
from sklearn.model_selection import KFold

from fastreg import Ridge, RidgeCV, ridge_path

KINDS = ("plain", "scales", "means", "leverage", "duplicates", "weights", "all")
CHECKS = ("leave-one-out", "folds", "path", "df", "gcv", "refit", "ridge")
FITS, SCORES = 1e-6, 1e-5


@dataclass
class Hard:
    """A problem as the estimators take it."""

    kind: str
    X: np.ndarray
    Y: np.ndarray
    weight: np.ndarray | None
    factor: np.ndarray | None
    fit_intercept: bool
    alphas: np.ndarray
    sparse: bool


def generate(seed):
    """A problem of the kind that is `seed`'s turn."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    n, p = int(rng.integers(6, 23)), int(rng.integers(1, 27))
    X = rng.standard_normal((n, p))
    sparse = rng.random() < 0.25
    if sparse:
        X *= rng.random((n, p)) < 0.5
    if kind in ("duplicates", "all") and p > 1:
        for _ in range(1 + p // 6):
            a, b = rng.choice(p, 2, replace=False)
            X[:, a] = X[:, b] + 10.0 ** rng.integers(-8, -3) * rng.standard_normal(n)
    if kind in ("leverage", "all"):
        j, i = rng.integers(p), rng.integers(n)
        X[:, j] *= rng.integers(2)
        X[i, j] = 10.0 ** rng.integers(2, 8)
    if kind in ("scales", "all"):
        X *= 10.0 ** rng.uniform(-4, 4, p)
    if kind in ("means", "all"):
        X += 10.0 ** rng.uniform(-2, 6, p) * np.abs(X).max(axis=0, initial=0) * (rng.random(p) < 0.6)
    Y = rng.standard_normal((n, int(rng.integers(1, 3))))
    signal = X - X.mean(axis=0)
    Y += signal / np.maximum(np.abs(signal).max(axis=0), 1e-300) @ rng.standard_normal((p, Y.shape[1]))
    Y = 10.0 ** rng.integers(-2, 3) * (Y + rng.integers(3))
    weight = 10.0 ** rng.uniform(-3, 3, n) if kind == "weights" or (kind == "all" and rng.random() < 0.3) else None
    factor = 10.0 ** rng.uniform(-2, 2, p) if rng.random() < 0.3 else None
    size = np.median((signal**2).sum(axis=0))
    alphas = size * 10.0 ** np.sort(rng.uniform(-10, 2, 4)) if rng.random() < 0.5 else 10.0 ** np.sort(
        rng.uniform(-8, 4, 4))
    return Hard(kind, X, Y, weight, factor, bool(rng.random() < 0.7), alphas[::-1].copy(), sparse)


def matrix(values):
    """An array as a matrix of exact numbers."""
    return arb_mat([[arb(float(v)) for v in row] for row in np.atleast_2d(values)])


def centred(values, share):
    """Rows less their mean with the weights `share` (of sum 1); the mean as a list."""
    n, p = values.nrows(), values.ncols()
    means = [sum((share[i] * values[i, j] for i in range(n)), arb(0)) for j in range(p)]
    return arb_mat([[values[i, j] - means[j] for j in range(p)] for i in range(n)]), means


class Exact:
    """The ridge regression of some rows of a problem."""

    def __init__(self, hard, rows=None):
        self.hard, self.rows = hard, np.arange(len(hard.X)) if rows is None else rows
        weight = np.ones(len(hard.X)) if hard.weight is None else hard.weight
        self.weight = [arb(float(w)) for w in weight[self.rows]]
        total = sum(self.weight, arb(0))
        self.share = [w / total if hard.fit_intercept else arb(0) for w in self.weight]
        self.A, self.means = centred(matrix(hard.X[self.rows]), self.share)
        self.B, self.y_means = centred(matrix(hard.Y[self.rows]), self.share)
        n, p = self.A.nrows(), self.A.ncols()
        factor = np.ones(p) if hard.factor is None else hard.factor
        self.scale = [1 / arb(float(f)) for f in factor]
        scaled = arb_mat([[self.scale[j] * self.A[i, j] for i in range(n)] for j in range(p)])
        self.across = scaled
        self.kernel = self.A * scaled

    def fit(self, alpha):
        """(coefficients (p, T), hat matrix without the intercept), by the kernel: w = F^-1 A'(K + alpha / S)^-1 B."""
        n = self.A.nrows()
        M = arb_mat([[self.kernel[i, j] + (arb(float(alpha)) / self.weight[i] if i == j else 0) for j in range(n)]
                     for i in range(n)])
        inverse = M.inv()
        return self.across * (inverse * self.B), self.kernel * inverse

    def predict(self, coef, rows):
        """Fits of other rows."""
        X = matrix(self.hard.X[rows])
        X = arb_mat([[X[i, j] - self.means[j] for j in range(X.ncols())] for i in range(X.nrows())])
        found = X * coef
        return arb_mat([[found[i, t] + self.y_means[t] for t in range(found.ncols())] for i in range(found.nrows())])


def exact_answers(hard, folds):
    """What the estimators should find, as floats (fits as exact numbers), for every alpha."""
    whole, n, T = Exact(hard), len(hard.X), hard.Y.shape[1]
    out = collections.defaultdict(list)
    for alpha in hard.alphas:
        coef, hat = whole.fit(alpha)
        fits = whole.predict(coef, np.arange(n))
        h = [hat[i, i] + whole.share[i] for i in range(n)]
        e = [[matrix(hard.Y)[i, t] - fits[i, t] for t in range(T)] for i in range(n)]
        df = sum(h, arb(0))
        out["fits"].append(fits)
        out["df"].append(float(df))
        out["loo"].append([float(sum((whole.weight[i] * (e[i][t] / (1 - h[i])) ** 2 for i in range(n)), arb(0)) / n)
                           for t in range(T)])
        out["gcv"].append([float(n * sum((whole.weight[i] * e[i][t] ** 2 for i in range(n)), arb(0)) / (n - df) ** 2)
                           for t in range(T)])
    for train, test in folds:
        part, of_fold = Exact(hard, train), []
        weight = np.ones(n) if hard.weight is None else hard.weight
        w = [arb(float(v)) for v in weight[test]]
        total = sum(w, arb(0))
        B, _ = centred(matrix(hard.Y[test]), [v / total for v in w])
        for alpha in hard.alphas:
            fits = part.predict(part.fit(alpha)[0], test)
            Y = matrix(hard.Y[test])
            r2 = [1 - sum((w[i] * (Y[i, t] - fits[i, t]) ** 2 for i in range(len(test))), arb(0))
                  / sum((w[i] * B[i, t] ** 2 for i in range(len(test))), arb(0)) for t in range(T)]
            of_fold.append(float(sum(r2, arb(0)) / T))
        out["folds"].append(of_fold)
    return out


def fit_error(hard, coef, intercept, fits):
    """Largest norm of the error in the fitted values against that of the centred targets, over targets."""
    found = matrix(hard.X) * matrix(np.atleast_2d(coef).T)
    worst = 0.0
    for t, b in enumerate(np.atleast_1d(intercept) if hard.fit_intercept else np.zeros(hard.Y.shape[1])):
        error = sum(((found[i, t] + arb(float(b)) - fits[i, t]) ** 2 for i in range(len(hard.X))), arb(0))
        size = np.linalg.norm(hard.Y[:, t] - (hard.Y[:, t].mean() if hard.fit_intercept else 0))
        worst = max(worst, float(error) ** 0.5 / size)
    return worst


def off(found, right):
    """Largest relative error (absolute below 1 for R2)."""
    found, right = np.asarray(found, dtype=float), np.asarray(right, dtype=float)
    error = np.abs(found - right)
    return float(np.max(np.where(np.isfinite(error), error / np.maximum(np.abs(right), 1e-300), np.inf)))


def judge(hard):
    """{check: (error, warned)}."""
    folds = list(KFold(3, shuffle=True, random_state=0).split(hard.X))
    right = exact_answers(hard, folds)
    X = sp.csr_array(hard.X) if hard.sparse else hard.X
    y = hard.Y[:, 0] if hard.Y.shape[1] == 1 else hard.Y
    options = {"fit_intercept": hard.fit_intercept, "penalty_factor": hard.factor}
    out = {}

    def run(names, make, errors):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", ".*of its grid")           # it is about choices, not about digits
            model = make()
        for name, error in zip(names, errors(model)):
            worst = max(error, out[name][0] if name in out else 0.0)
            out[name] = (worst, bool(seen) or (name in out and out[name][1]))

    def of_rows(model):
        found = model.cv_results_.reshape(len(hard.X), hard.Y.shape[1], -1).mean(axis=0).T
        at = int(np.flatnonzero(hard.alphas == model.alpha_)[0])
        mean = np.mean(right["loo"], axis=1)
        worse = mean[at] / mean.min() - 1            # of the choice, where two are the same to rounding
        return max(off(found, right["loo"]), worse), fit_error(hard, model.coef_, model.intercept_, right["fits"][at])

    run(("leave-one-out", "refit"), lambda: RidgeCV(hard.alphas, store_cv_results=True, **options).fit(
        X, y, sample_weight=hard.weight), of_rows)

    def of_folds(model):
        at = int(np.flatnonzero(hard.alphas == model.alpha_)[0])
        found, best = model.cv_path_.fold_scores[0].T, np.asarray(right["folds"])
        return (off(1 - found, 1 - best) if np.all(best < 1 - 1e-3) else float(np.max(np.abs(found - best))),
                fit_error(hard, model.coef_, model.intercept_, right["fits"][at]))

    run(("folds", "refit"), lambda: RidgeCV(hard.alphas, cv=folds, **options).fit(X, y, sample_weight=hard.weight),
        of_folds)

    def of_path(path):
        coefs, intercepts, gcv = path.coefs.T, path.intercepts.T, path.gcv.T        # alphas first
        coefs = coefs.swapaxes(1, 2) if coefs.ndim == 3 else coefs
        return (max(fit_error(hard, c, b, f) for c, b, f in zip(coefs, intercepts, right["fits"])),
                off(path.df.T.reshape(len(gcv), -1)[:, 0], right["df"]), off(gcv.reshape(len(gcv), -1), right["gcv"]))

    run(("path", "df", "gcv"), lambda: ridge_path(X, y, hard.alphas, sample_weight=hard.weight, **options),
        of_path)
    for a, alpha in enumerate(hard.alphas):
        run(("ridge",), lambda alpha=alpha: Ridge(alpha, **options).fit(X, y, sample_weight=hard.weight),
            lambda model, a=a: (fit_error(hard, model.coef_, model.intercept_, right["fits"][a]),))
    return out


def main():
    """Run, and print a table of silent and of warned errors by kind and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=800)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="name every wrong answer, and every needless warning")
    options = parser.parse_args()
    ctx.prec = 400
    silent, warned, needless = (collections.Counter() for _ in range(3))
    problems_silent, problems_warned = set(), set()
    for seed in range(options.first, options.first + options.problems):
        hard = generate(seed)
        for check, (error, said) in judge(hard).items():
            wrong = error > (FITS if check in ("path", "refit", "ridge") else SCORES)
            (needless if said and not wrong else warned if said else silent)[hard.kind, check] += wrong or said
            if wrong:
                (problems_warned if said else problems_silent).add(seed)
            if options.verbose and (wrong or said):
                print(f"{seed:5d} {hard.kind:10s} {check:14s} {error:.1e} {'warned' if said else 'SILENT'}", flush=True)
    print("silent / warned / needless warnings")
    print(f"{'kind':12s}" + "".join(f"{check:>15s}" for check in CHECKS))
    for kind in (*KINDS, "total"):
        row = [tuple(sum(v for (k, c), v in table.items() if c == check and kind in (k, "total"))
                     for table in (silent, warned, needless)) for check in CHECKS]
        print(f"{kind:12s}" + "".join(f"{'/'.join(map(str, cell)):>15s}" for cell in row))
    print(f"problems with a silent error: {len(problems_silent)}, with errors but warned: "
          f"{len(problems_warned - problems_silent)}, of {options.problems}")


if __name__ == "__main__":
    main()
