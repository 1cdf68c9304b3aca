"""Some 300 small problems that between them take every route through fastreg, and their answers to the last bit.

A case is a line of `WORK` on data of one shape, and a setting: storage and type of X, weights, intercept, threads.
Settings come in one long round, so that cases which follow each other have different ones and all of them together have
every pair.  `python benchmarks/gate.py --bits` holds the answers of two builds against each other.
"""

import hashlib
import itertools
import numbers
import warnings
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property, lru_cache
from types import SimpleNamespace

import numpy as np
from scipy import sparse
from sklearn.base import clone

import fastreg

from .builds import serve

STORAGES = ("C", "csc", "F", "csr", "strided", "csc64", "csr64")
WEIGHTS = ("unweighted", "weighted", "some weights zero")
TARGETS = 3
N_ALPHAS = 15
# Rows, columns, and the share of entries that are not zero in sparse storage.  The folds of wide and sparse "shared"
# data are solved in lockstep: they have more elements than LEAST_SHARED of fastreg.solvers.folds.
SHAPES = {
    "tall": ((300, 20), (300, 40, 0.2)),
    "wide": ((50, 200), (60, 300, 0.1)),
    "shared": ((240, 2100), (3000, 1800, 0.1)),
}


@dataclass(frozen=True)
class Setting:
    """How X is stored and what is asked besides."""

    storage: str
    dtype: str
    weights: str
    intercept: bool
    threads: int

    @classmethod
    def number(cls, k):
        """The one with number k of the round, whose parts have periods without a common factor, or nearly so."""
        return cls(STORAGES[k % 7], "float32" if k % 5 in (1, 3) else "float64", WEIGHTS[k % 3], k // 2 % 4 != 2,
                   1 + k // 3 % 2)

    def __str__(self):
        return (f"{self.storage} {self.dtype}, {self.weights}, {'' if self.intercept else 'no '}intercept, "
                f"{self.threads} thread{'s' * (self.threads > 1)}")


@cache
def base_data(shape, is_sparse):
    """X as an array, float64, and Y: neighbours are correlated, scales differ, one column has a level, one is constant;
    where X is to be stored sparse, most entries are zero, but of one column, and one is empty."""
    rng = np.random.default_rng(7)
    n, p, *share = SHAPES[shape][is_sparse]
    X = rng.standard_normal((n, p))
    X[:, 1:] += 0.7 * X[:, :-1]
    X *= 10.0 ** rng.uniform(-1, 1, p)
    if is_sparse:
        X *= rng.random((n, p)) < share[0]
    X[:, 3] = 1e4 + rng.standard_normal(n)
    X[:, 5] = 0.0 if is_sparse else 1.5
    some = rng.choice(np.arange(6, p), min(p // 3, 25), replace=False)
    coefs = rng.standard_normal((len(some), TARGETS)) / np.std(X[:, some], axis=0)[:, None]
    Y = X[:, some] @ coefs
    return X, 3 + Y + Y.std(axis=0) * rng.standard_normal((n, TARGETS))


@cache
def stored(shape, storage, dtype):
    """X of that name in that storage."""
    X, _ = base_data(shape, storage.startswith("cs"))
    X = X.astype(dtype)
    if storage == "strided":
        wide = np.zeros((2 * X.shape[0], X.shape[1] + 3), dtype)
        wide[::2, 1:-2] = X
        return wide[::2, 1:-2]
    if not storage.startswith("cs"):
        return X.copy(order=storage)
    X = getattr(sparse, f"{storage[:3]}_array")(X)
    if storage.endswith("64"):
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


class Problem:
    """The data of a case, and what arguments are computed from."""

    def __init__(self, shape, setting):
        self.setting = setting
        self.X = stored(shape, setting.storage, setting.dtype)
        self.n, self.p = self.X.shape
        self.Y = base_data(shape, sparse.issparse(self.X))[1]
        self.y = np.ascontiguousarray(self.Y[:, 0])
        self.far_apart = self.Y * [1e-200, 1.0, 1e200]
        self.labels = np.digitize(self.y, np.quantile(self.y, [1 / 3, 2 / 3]))
        self.two_labels = np.where(self.y > np.median(self.y), "yes", "no")
        rng = np.random.default_rng(11)
        weight = rng.uniform(0.2, 2, self.n)
        weight[rng.random(self.n) < (0.2 if setting.weights == WEIGHTS[2] else 0)] = 0
        self.weight = None if setting.weights == WEIGHTS[0] else weight

    @cached_property
    def alpha_max(self):
        """About the smallest penalty of the lasso that leaves nothing: it need not be exact, only the same in both."""
        weight = np.ones(self.n) if self.weight is None else self.weight
        error = weight * (self.y - np.average(self.y, weights=weight))
        return float(np.max(np.abs(self.X.T @ error)) / weight.sum())

    @property
    def factor(self):
        """Penalty factors: some columns without penalty, one left out."""
        factor = np.linspace(0.5, 2, self.p)
        factor[[7, 11]], factor[13] = 0, np.inf
        return factor

    @property
    def positive_factor(self):
        return np.linspace(0.5, 2, self.p)

    @property
    def lower(self):
        return np.where(np.arange(self.p) % 3 == 0, 0.0, -0.05)

    @property
    def upper(self):
        return np.where(np.arange(self.p) % 4 == 1, 0.0, np.where(np.arange(self.p) % 4 == 2, np.inf, 0.1))


class Of:
    """An argument that depends on the problem: an attribute of it, times a number or a series of them."""

    def __init__(self, name, times=None):
        self.name, self.times = name, times

    def __call__(self, problem):
        found = getattr(problem, self.name)
        return found if self.times is None else found * self.times


def resolved(options, problem):
    """Arguments with those that depend on the problem filled in."""
    return {name: value(problem) if isinstance(value, Of) else value for name, value in options.items()}


# What is solved: each of these takes a problem, a name of fastreg and arguments, and returns what came of it, and the
# pairs (model, alpha) that certify is to judge.
def fit(problem, name, target="y", **options):
    """An estimator."""
    model = getattr(fastreg, name)(**options)
    known = model.get_params()
    if "n_threads" in known:
        model.set_params(n_threads=problem.setting.threads)
    if "n_jobs" in known and "CV" in name:
        model.set_params(n_jobs=problem.setting.threads)
    model.set_params(fit_intercept=problem.setting.intercept)
    y = getattr(problem, target)
    model.fit(problem.X, y, problem.weight)
    answer = {"model": model}
    if hasattr(model, "normal_residual"):
        answer["normal_residual"] = model.normal_residual(problem.X, y, problem.weight)
    if options.get("relax"):
        return answer, [(model.path_, model.path_.alphas)]
    return answer, [(model, None)]


def refit(problem, name, alphas, **options):
    """An estimator that starts from where it was, along decreasing alphas."""
    model = getattr(fastreg, name)(warm_start=True, fit_intercept=problem.setting.intercept,
                                   n_threads=problem.setting.threads, **options)
    answer = {}
    for k, alpha in enumerate(alphas):
        model.set_params(alpha=alpha).fit(problem.X, problem.y, problem.weight)
        answer[f"model {k}"] = SimpleNamespace(**vars(model))
    return answer, [(model, None)]


def path(problem, name, target="y", **options):
    """A path with intercepts."""
    found = getattr(fastreg, name)(
        problem.X, getattr(problem, target), fit_intercept=problem.setting.intercept, sample_weight=problem.weight,
        n_threads=problem.setting.threads, **options)
    return {"path": found}, [(found, found.alphas)]


def plain_path(problem, name, l1_ratio, target="y", **options):
    """A path as scikit-learn's functions give it, without intercept; judged as fits by an estimator."""
    alphas, coefs, gaps, n_iters = getattr(fastreg, name)(
        problem.X, getattr(problem, target), sample_weight=problem.weight, n_threads=problem.setting.threads,
        return_n_iter=True, **options)
    model = fastreg.ElasticNet(l1_ratio=l1_ratio, fit_intercept=False, positive=options.get("positive", False))
    models = [with_coef(model.set_params(alpha=alpha), coef) for alpha, coef in zip(alphas, np.moveaxis(coefs, -1, 0))]
    return {"alphas": alphas, "coefs": coefs, "dual_gaps": gaps, "n_iters": n_iters}, [(one, None) for one in models]


def coefficients(problem, name, alpha, target="y", **options):
    """A function that returns coefficients alone."""
    found = getattr(fastreg, name)(problem.X, getattr(problem, target), alpha, sample_weight=problem.weight,
                                   n_threads=problem.setting.threads, **options)
    return {"coef": found}, [(with_coef(fastreg.Ridge(alpha, fit_intercept=False), found), None)]


def with_coef(model, coef):
    """An estimator told its coefficients."""
    model = clone(model)
    model.coef_, model.intercept_, model.n_features_in_ = coef, 0.0, coef.shape[-1]
    return model


def share(*of_alpha_max):
    """That share of the largest useful penalty, or several."""
    return Of("alpha_max", of_alpha_max[0] if len(of_alpha_max) == 1 else np.array(of_alpha_max))


GRID = share(*np.geomspace(0.9, 0.02, N_ALPHAS))
LIMITS = {"lower_limits": Of("lower"), "upper_limits": Of("upper")}
RIDGE_ALPHAS = {"alphas": np.logspace(3, -2, 8)}
CV = {"cv": 3, "alphas": N_ALPHAS, "eps": 0.02}
# What it is called, how it is solved, a name of fastreg, arguments, shapes of the data, and for each how many settings.
WORK = (
    ("single", fit, "Lasso", {"alpha": share(0.1), "tol": 1e-7}, "tall wide", 7),
    ("small alpha", fit, "Lasso", {"alpha": share(0.01)}, "tall wide", 3),
    ("least squares", fit, "Lasso", {"alpha": 0.0}, "tall", 3),
    ("Gram matrix", fit, "Lasso", {"alpha": share(0.05), "precompute": True}, "tall wide", 2),
    ("targets", fit, "Lasso", {"alpha": share(0.1), "target": "Y"}, "tall wide", 3),
    ("many elements", fit, "Lasso", {"alpha": share(0.05)}, "shared", 4),
    ("warm start", refit, "Lasso", {"alphas": GRID}, "tall wide", 3),
    ("single", fit, "ElasticNet", {"alpha": share(0.1), "tol": 1e-7}, "tall wide", 5),
    ("small l1_ratio", fit, "ElasticNet", {"alpha": share(0.3), "l1_ratio": 0.05}, "tall wide", 2),
    ("ridge", fit, "ElasticNet", {"alpha": share(0.1), "l1_ratio": 0.0}, "tall", 2),
    ("targets far apart", fit, "ElasticNet", {"alpha": 1.0, "l1_ratio": 0.0, "target": "far_apart"}, "tall", 2),
    ("positive", fit, "ElasticNet", {"alpha": share(0.1), "positive": True}, "tall wide", 3),
    ("limits", fit, "ElasticNet", {"alpha": share(0.05), **LIMITS}, "tall wide", 3),
    ("penalty_factor", fit, "ElasticNet", {"alpha": share(0.1), "penalty_factor": Of("factor")}, "tall wide", 3),
    ("standardize", fit, "ElasticNet", {"alpha": share(0.01), "standardize": True}, "tall wide", 3),
    ("targets", fit, "ElasticNet", {"alpha": share(0.05), "target": "Y", **LIMITS}, "tall", 2),
    ("lasso", path, "regularization_path", {"alphas": 40, "tol": 1e-6}, "tall wide", 7),
    ("elastic net", path, "regularization_path", {"alphas": GRID, "l1_ratio": 0.5}, "tall wide", 3),
    ("limits", path, "regularization_path", {"alphas": GRID, "penalty_factor": Of("factor"), **LIMITS}, "tall wide", 2),
    ("standardize", path, "regularization_path", {"alphas": 20, "eps": 0.01, "standardize": True}, "tall wide", 2),
    ("many elements", path, "regularization_path", {"alphas": 20, "eps": 0.05}, "shared", 4),
    ("single", plain_path, "lasso_path", {"l1_ratio": 1.0, "alphas": N_ALPHAS}, "tall wide", 3),
    ("targets", plain_path, "lasso_path", {"l1_ratio": 1.0, "alphas": GRID, "target": "Y"}, "tall", 2),
    ("single", plain_path, "enet_path", {"l1_ratio": 0.5, "alphas": N_ALPHAS}, "tall wide", 2),
    ("positive", plain_path, "enet_path", {"l1_ratio": 0.5, "alphas": GRID, "positive": True}, "tall", 2),
    ("folds", fit, "LassoCV", CV, "tall wide", 5),
    ("lockstep", fit, "LassoCV", CV, "shared", 7),
    ("lockstep, five folds", fit, "LassoCV", {**CV, "cv": 5}, "shared", 2),
    ("1se", fit, "LassoCV", {**CV, "selection_rule": "1se"}, "tall wide", 2),
    ("relax", fit, "LassoCV", {**CV, "relax": True, "keep_paths": True}, "tall shared", 3),
    ("bic", fit, "LassoCV", {"criterion": "bic", "alphas": N_ALPHAS}, "tall", 3),
    ("early end", fit, "LassoCV", {**CV, "n_alphas_no_change": 3}, "tall wide", 2),
    ("targets", fit, "LassoCV", {**CV, "target": "Y"}, "tall wide", 2),
    ("targets far apart", fit, "LassoCV", {**CV, "target": "far_apart"}, "wide", 2),
    ("scorer", fit, "LassoCV", {**CV, "scoring": "neg_mean_absolute_error"}, "tall wide", 2),
    ("folds", fit, "ElasticNetCV", {**CV, "l1_ratio": [0.5, 0.9]}, "tall wide", 3),
    ("lockstep", fit, "ElasticNetCV", {**CV, "l1_ratio": [0.5, 0.9]}, "shared", 4),
    ("limits", fit, "ElasticNetCV", {**CV, "alphas": GRID, "standardize": True, **LIMITS}, "tall", 2),
    ("auto", fit, "Ridge", {}, "tall wide", 7),
    ("many elements", fit, "Ridge", {}, "shared", 4),
    ("targets", fit, "Ridge", {"target": "Y"}, "tall wide", 3),
    ("targets far apart", fit, "Ridge", {"target": "far_apart"}, "tall wide", 2),
    ("alpha of each target", fit, "Ridge", {"target": "Y", "alpha": [0.1, 1.0, 10.0]}, "tall wide", 2),
    ("least squares", fit, "Ridge", {"alpha": 0.0}, "tall", 3),
    ("limits", fit, "Ridge", LIMITS, "tall wide", 3),
    ("penalty_factor", fit, "Ridge", {"penalty_factor": Of("factor")}, "tall", 3),
    ("standardize", fit, "Ridge", {"standardize": True}, "tall wide", 2),
    ("positive", fit, "Ridge", {"positive": True, "solver": "lbfgs"}, "tall", 2),
    *((solver, fit, "Ridge", {"solver": solver, "tol": 1e-8}, "tall wide", 2)
      for solver in ("svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga")),
    ("function", coefficients, "ridge_regression", {"alpha": 1.0}, "tall wide", 2),
    ("leave one out", fit, "RidgeCV", RIDGE_ALPHAS, "tall wide", 7),
    ("targets", fit, "RidgeCV", {**RIDGE_ALPHAS, "target": "Y", "alpha_per_target": True}, "tall wide", 2),
    ("penalty_factor", fit, "RidgeCV", {**RIDGE_ALPHAS, "penalty_factor": Of("positive_factor")}, "tall wide", 2),
    ("targets far apart", fit, "RidgeCV", {**RIDGE_ALPHAS, "target": "far_apart", "alpha_per_target": True}, "tall", 2),
    ("scorer", fit, "RidgeCV", {**RIDGE_ALPHAS, "cv": 3, "scoring": "neg_mean_absolute_error"}, "tall", 2),
    ("results", fit, "RidgeCV", {**RIDGE_ALPHAS, "store_cv_results": True, "standardize": True}, "tall", 2),
    ("folds", fit, "RidgeCV", {**RIDGE_ALPHAS, "cv": 3}, "tall wide", 5),
    ("folds, 1se", fit, "RidgeCV", {**RIDGE_ALPHAS, "cv": 3, "selection_rule": "1se"}, "tall wide", 2),
    ("three classes", fit, "RidgeClassifier", {"target": "labels"}, "tall wide", 2),
    ("two classes", fit, "RidgeClassifier", {"target": "two_labels", "class_weight": "balanced"}, "tall wide", 2),
    ("leave one out", fit, "RidgeClassifierCV", {**RIDGE_ALPHAS, "target": "labels"}, "tall wide", 2),
    ("folds", fit, "RidgeClassifierCV", {**RIDGE_ALPHAS, "cv": 3, "target": "two_labels"}, "tall", 2),
    ("single", path, "ridge_path", RIDGE_ALPHAS, "tall wide", 4),
    ("targets", path, "ridge_path", {**RIDGE_ALPHAS, "target": "Y"}, "tall wide", 2),
    ("penalty_factor", path, "ridge_path", {**RIDGE_ALPHAS, "penalty_factor": Of("positive_factor")}, "tall", 2),
    ("single", fit, "LinearRegression", {}, "tall wide", 4),
    ("targets", fit, "LinearRegression", {"target": "Y"}, "tall wide", 2),
    ("positive", fit, "LinearRegression", {"positive": True}, "tall", 2),
)


def _cases():
    """Each case by its name: a function that solves it."""
    found, count = {}, itertools.count()
    for label, solve, name, options, shapes, times in WORK:
        for shape in shapes.split():
            for _ in range(times):
                setting = Setting.number(next(count))
                found[f"{name} {label} | {shape} {setting}"] = (solve, name, options, shape, setting)
    return found


CASES = _cases()


@lru_cache(maxsize=1)
def solved(case):
    """(Problem, arrays of the answer by name, what `certify` is to judge)."""
    solve, name, options, shape, setting = CASES[case]
    problem = Problem(shape, setting)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer, models = solve(problem, name, **resolved(options, problem))
    return problem, dict(arrays({**answer, "warnings": sorted({w.category.__name__ for w in caught})})), models


def arrays(value, name=""):
    """(name, array) for every number and text in an answer: attributes of models and results, items of collections."""
    if sparse.issparse(value):
        yield name, value.toarray()
    elif value is None or isinstance(value, (str, numbers.Number, np.ndarray)):
        yield name, np.asarray(repr(value) if value is None else value)
    else:
        parts = {}
        if isinstance(value, (list, tuple)):
            parts = dict(enumerate(value))
        elif isinstance(value, dict):
            parts = value
        elif is_dataclass(value):
            parts = {key: part for key, part in vars(value).items() if key != "params" and not key.startswith("_")}
        elif hasattr(value, "coef_"):
            parts = {key: part for key, part in vars(value).items() if key.endswith("_") and not key.startswith("_")}
        for key, part in parts.items():
            yield from arrays(part, f"{name}.{key}".lstrip("."))


def digests(case):
    """A digest of each array of the answer: of its type, its shape and its bytes."""
    _, found, _ = solved(case)
    return {name: hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
            for name, array in found.items()}


def write(case, file):
    """Write the answer into a file."""
    np.savez(file, **solved(case)[1])


def differences(case, file):
    """For each array of the answer in the file whose bits are others here, in words how far apart they are."""
    found, out = solved(case)[1], {}
    with np.load(file) as before:
        for name in before:
            text = difference(before[name], found.get(name))
            if text:
                out[name] = text
    return out


def difference(before, after):
    """In words, how far an array (None: there is none any more) is from what it was; nothing if no bit is another."""
    if after is None:
        return "lost"
    if before.dtype.kind in "US":
        return "" if str(before) == str(after) else f"{after}, was {before}"
    for what in ("shape", "dtype"):
        if getattr(before, what) != getattr(after, what):
            return f"{what} {getattr(after, what)}, was {getattr(before, what)}"
    if before.tobytes() == after.tobytes():
        return ""
    with np.errstate(invalid="ignore"):
        off = np.abs(np.subtract(after, before, dtype=np.float64))
    off = np.where((before == after) | (np.isnan(before) & np.isnan(after)), 0, off)
    largest = np.max(np.abs(before), initial=0.0, where=np.isfinite(before))
    return f"{np.max(off) / (largest or 1.0):.1e}"


def certificate(case):
    """(Whether `fastreg.certify` finds every model of the answer ok, and that in words.)"""
    problem, _, models = solved(case)
    options = CASES[case][2]
    y, bad, worst = getattr(problem, options.get("target", "y")), 0, 0.0
    for model, alpha in models:
        found = fastreg.certify(problem.X, y, model, sample_weight=problem.weight, alpha=alpha)
        bad += int(np.sum(~np.asarray(found.ok)))
        worst = max(worst, float(np.max(found.gap)))
    return bad == 0, f"certified, gap {worst:.1e}" if bad == 0 else f"NOT CERTIFIED: {bad} answers, gap {worst:.1e}"


def work():
    """The side of an `Answerer`'s process."""
    replies = {"cases": lambda: list(CASES), "digests": digests, "write": write, "differences": differences,
               "certificate": certificate}
    serve(lambda what, *arguments: replies[what](*arguments))
