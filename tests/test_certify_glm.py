"""Certificates of generalised linear models: against long double, mpmath and other solvers' exact answers."""

import tracemalloc
import warnings

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from glm import LOSSES as LONG
from glm import Judge
from problems import STORAGES, parts
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, PoissonRegressor, SGDClassifier

import fastreg
from fastreg import certify, regularization_path
from fastreg.paths import Path
from fastreg.referee.data import Data
from fastreg.referee.losses import LOSSES, divergence, loss_named

STORE = [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array]


def problem(seed, loss=None):
    """A small problem with every option by chance: what `Judge` and a path's params take, X as it is stored."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(10, 40)), int(rng.integers(2, 8))
    X = (rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.7) + rng.choice([0, 5])) * 10.0 ** rng.uniform(-1, 1, p)
    eta = 1.5 * (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9) @ rng.standard_normal(p) / np.sqrt(p)
    loss = loss or ["logistic", "poisson"][seed % 2]
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), 1.0, -1.0) if loss == "logistic" else 1.0 * rng.poisson(
        np.exp(eta))
    y[:2] = [1, -1] if loss == "logistic" else [0, 3]
    options = {"weights": rng.choice([0, 0.5, 1, 3], n) * np.r_[0, 0, np.ones(n - 2)] + np.r_[1, 1, np.zeros(n - 2)]
               if rng.random() < 0.5 else None,
               "offset": rng.standard_normal(n) if rng.random() < 0.5 else None,
               "fit_intercept": bool(rng.random() < 0.7),
               "factor": rng.choice([0, 0.3, 1, np.inf], p) if rng.random() < 0.5 else 1.0}
    if rng.random() < 0.3:
        options |= {"lower": -rng.choice([0, 0.1, np.inf], p), "upper": 0.2}
    alpha, l1_ratio = 10.0 ** rng.uniform(-3, -0.5) * X.std(), float(rng.choice([0, 0.5, 1]))
    return rng, STORE[seed // 2 % len(STORE)](X), y, loss, alpha, l1_ratio, options


def best_of(judge, alpha):
    """A minimiser, by L-BFGS-B in the positive and negative parts of the coefficients."""
    p, free = judge.X.shape[1], np.where(judge.excluded, 0, 1)
    X, y, s, offset = (np.asarray(a, dtype=float) for a in (judge.X, judge.y, judge.s, judge.offset))
    l1, l2 = np.asarray(judge.l1, dtype=float), np.asarray(judge.l2, dtype=float)
    scale = 1 / np.maximum(np.sqrt(np.sum(X**2, axis=0)), 1e-9)

    def objective(x):
        w, b = scale * (x[:p] - x[p:2 * p]), x[-1]
        eta = X @ w + b + offset
        with np.errstate(over="ignore"):
            rows = s * np.asarray(judge.f.slope(y, eta), dtype=float)
        g = X.T @ rows + l2 * w
        value = np.sum(s * judge.f.value(y, eta)) + l1 @ (scale * (x[:p] + x[p:2 * p])) + 0.5 * l2 @ w**2
        return float(value), np.r_[scale * (g + l1), scale * (l1 - g), rows.sum() * judge.fit_intercept]

    upper, lower = (np.asarray(v, dtype=float) * free for v in (
        np.where(judge.excluded, 0, judge.upper), np.where(judge.excluded, 0, -judge.lower)))
    ends = np.r_[upper / scale, lower / scale]
    x = np.zeros(2 * p + 1)
    for _ in range(3):
        x = minimize(objective, x, jac=True, method="L-BFGS-B", bounds=[*((0, end) for end in ends), (None, None)],
                     options={"maxiter": 3000, "maxfun": 10_000, "ftol": 0, "gtol": 1e-13, "maxcor": 30}).x
    w = np.clip(scale * (x[:p] - x[p:2 * p]), -lower, upper)
    return w, x[-1]


def path_of(loss, w, b, alpha, l1_ratio=1.0, options=None, tol=1e-6):
    """A path of one answer, from anywhere."""
    options = options or {}
    params = {"l1_ratio": l1_ratio, "tol": tol, "fit_intercept": options.get("fit_intercept", True),
              "penalty_factor": options.get("factor", 1.0), "lower_limits": options.get("lower", -np.inf),
              "upper_limits": options.get("upper", np.inf), "standardize": False}
    coefs, classes = np.array(w, dtype=float)[:, None], np.array([-1, 1]) if loss == "logistic" else None
    return Path(np.array([alpha]), coefs, np.array([b]), np.ones(1), np.array(["X"]), params, datafit=loss,
                classes=classes)


def least(judge):
    """What the loss has at least, which the objective of `Judge` counts and that of a deviance does not."""
    return float(judge.of_rows(judge.f.saturated(judge.y)).sum())


def judged(X, y, path, options):
    return certify(X, y, path, sample_weight=options["weights"], offset=options["offset"])


@pytest.mark.parametrize("seed", range(60))
def test_the_gap_is_no_less_than_what_is_missing(seed):
    rng, X, y, loss, alpha, l1_ratio, options = problem(seed)
    judge = Judge(loss, X, y, alpha, l1_ratio, **options)
    w, b = best_of(judge, alpha)
    free, total, null = w != 0, float(judge.total), float(judge.null())
    top = judge.primal(w, b)
    points = [(w, b), (0 * w, 0.0)]
    for size in (1e-6, 1e-3, 0.1, 1.0):
        moved = np.clip(w + size * free * rng.standard_normal(len(w)) * np.abs(w),
                        np.where(judge.excluded, 0, judge.lower), np.where(judge.excluded, 0, judge.upper))
        points.append((moved.astype(float), b + size * rng.standard_normal() * judge.fit_intercept))
    for w_, b_ in points:
        found = judged(X, y, path_of(loss, w_, b_, alpha, l1_ratio, options), options)
        value = judge.primal(w_, b_)
        assert found.objective * total == pytest.approx(float(value - least(judge)), rel=1e-11, abs=1e-13 * null)
        missing = float(value - top)
        assert found.gap * total >= missing * (1 - 1e-9) - (1e-13 * null + found.rounding * total)
        if np.isfinite(found.coef_bound) and not judge.fit_intercept:
            assert found.coef_bound >= np.linalg.norm(w_ - w) * (1 - 1e-9) - 1e-4 * np.linalg.norm(w)
        if l1_ratio == 1 and not np.any(judge.l1 == 0) and np.isfinite(right := judge.gap(w_, b_)):
            assert found.gap * total <= right * null * (1 + 1e-5) + 1e-10 * null
    if judged(X, y, path_of(loss, w, b, alpha, l1_ratio, options), options).gap * total > 1e-6 * null:
        # not the referee's weakness: what was found is that far off by the long double as well
        assert judge.gap(w, b) > 1e-7


@pytest.mark.parametrize("seed", range(60, 76))
def test_storages_and_weights_are_one_problem(seed):
    rng, X, y, loss, alpha, l1_ratio, options = problem(seed)
    options |= {"weights": rng.choice([0.0, 1, 2, 3], len(y))}
    options["weights"][:2] = 1
    X = np.asarray(X.toarray() if sp.issparse(X) else X)
    w, b = rng.standard_normal(X.shape[1]) * 0.1 / X.std(axis=0), 0.3 * options["fit_intercept"]
    w = np.where(np.isinf(options["factor"]), 0, np.clip(w, options.get("lower"), options.get("upper")))
    path = path_of(loss, w, b, alpha, l1_ratio, options)
    found = [judged(store(X), y, path, options) for store in STORE]
    rows = np.repeat(np.arange(len(y)), options["weights"].astype(int))
    offset = options["offset"]
    found.append(certify(X[rows], y[rows], path, offset=None if offset is None else offset[rows]))
    for name in ("objective", "gap", "stationarity", "coef_bound"):
        np.testing.assert_allclose([getattr(f, name) for f in found], getattr(found[0], name), rtol=1e-7, err_msg=name)
    wild = np.where(options["weights"] > 0, 0.0, 1e4)         # rows without weight may hold anything
    other = certify(X, y, path, sample_weight=options["weights"], offset=wild + (0 if offset is None else offset))
    assert other.gap == pytest.approx(found[0].gap, rel=1e-9)


def labels(seed=0, n=90, p=12):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))) * (rng.random((n, p)) < 0.8)
    X = X.astype(np.float32).astype(float)
    eta = X @ rng.standard_normal(p)
    return X, np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), "yes", "no"), rng.uniform(0.2, 3, n), rng.poisson(
        np.exp(np.clip(0.3 * eta, -3, 3)))


EXACT = {
    "l2": {"solver": "newton-cholesky"},
    "l2 strong": {"solver": "newton-cholesky", "C": 1e-3},
    "weak": {"solver": "newton-cholesky", "C": 1e8},
    "none": {"solver": "newton-cholesky", "C": np.inf},
    "no intercept": {"solver": "newton-cholesky", "fit_intercept": False},
    "balanced": {"solver": "newton-cholesky", "class_weight": "balanced"},
    "class weight": {"solver": "newton-cholesky", "class_weight": {"yes": 3.0, "no": 0.5}},
    "older none": {"solver": "newton-cholesky", "penalty": None},
    "older l1": {"solver": "liblinear", "penalty": "l1", "fit_intercept": False},
    "older l2": {"solver": "newton-cholesky", "penalty": "l2"},
    "l1": {"solver": "saga", "l1_ratio": 1.0, "C": 0.5},
    "elastic net": {"solver": "saga", "l1_ratio": 0.4, "C": 0.5},
    "liblinear l1": {"solver": "liblinear", "l1_ratio": 1.0, "fit_intercept": False},
    "liblinear l2": {"solver": "liblinear", "fit_intercept": False},
}


def exact(options):
    saga = options["solver"] == "saga"
    return LogisticRegression(tol=1e-9, max_iter=50_000 if saga else 2000, random_state=0).set_params(**options)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("name", EXACT)
def test_exact_fits_of_scikit_learn_pass_and_wrong_ones_do_not(name, weighted):
    X, y, weights, _ = labels()
    weights = weights if weighted else None
    model = exact(EXACT[name]).fit(X, y, weights)
    found = certify(X, y, model, sample_weight=weights)
    C = np.inf if name == "older none" else model.C
    ratio = 1.0 if name == "older l1" else model.l1_ratio
    s = np.ones(len(y)) if weights is None else weights
    if name == "balanced":                                    # scikit-learn counts classes by their weights
        s = s * s.sum() / 2 / np.where(y == "yes", s[y == "yes"].sum(), s[y == "no"].sum())
    elif name == "class weight":
        s = s * np.where(y == "yes", 3.0, 0.5)
    judge = Judge("logistic", X, np.where(y == "yes", 1, -1), 1 / (C * s.sum()), ratio, weights=s,
                  fit_intercept=model.fit_intercept)
    unit, null = 1 / s.sum(), float(judge.null())
    value = judge.primal(model.coef_[0], np.ravel(model.intercept_)[0])
    assert found.objective == pytest.approx(float(unit * value), rel=1e-12)
    assert found.gap <= 1e-7 * unit * null and found.stationarity < 1e-7
    model.tol = 1e-7
    assert certify(X, y, model, sample_weight=weights).ok
    right = model.coef_.copy(), np.ravel(model.intercept_).copy()
    for j in np.flatnonzero(right[0][0])[[0, -1]]:
        model.coef_ = right[0].copy()
        model.coef_[0, j] *= 1.01
        wrong = certify(X, y, model, sample_weight=weights)
        missing = float(judge.primal(model.coef_[0], right[1][0]) - value)
        assert not wrong.ok and wrong.gap + found.gap >= unit * missing * (1 - 1e-12) > 0
        assert wrong.stationarity > 100 * found.stationarity
    model.coef_ = right[0]
    if model.fit_intercept:
        model.intercept_ = right[1] + 0.01
        wrong = certify(X, y, model, sample_weight=weights)
        missing = float(judge.primal(model.coef_[0], model.intercept_[0]) - value)
        assert not wrong.ok and wrong.gap >= unit * missing * (1 - 1e-12) > 0
        model.intercept_ = right[1]
    assert not certify(X[:, ::-1], y, model, sample_weight=weights).ok
    assert not certify(X, y[::-1], model, sample_weight=weights).ok
    assert not certify(X, y, model, sample_weight=np.linspace(1, 3, len(y))).ok
    assert not certify(X, y, model, sample_weight=weights, offset=np.linspace(0, 1, len(y))).ok


@pytest.mark.parametrize("storage", STORAGES)
def test_every_storage(storage):
    X, y, weights, counts = labels()
    X = STORAGES[storage](X)
    before = [part.copy() for part in parts(X)]
    rows = X.tocsr() if sp.issparse(X) else np.asarray(X)
    model = LogisticRegression(solver="newton-cholesky", tol=1e-9).fit(rows, y, weights)
    assert certify(X, y, model, sample_weight=weights).gap < 1e-12
    model = PoissonRegressor(alpha=0.1, solver="newton-cholesky", tol=1e-9).fit(rows, counts, weights)
    assert certify(X, counts, model, sample_weight=weights).gap < 1e-12
    for part, old in zip(parts(X), before):
        np.testing.assert_array_equal(part, old)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.1, 10.0])
def test_poisson_regression(alpha, fit_intercept):
    X, _, weights, y = labels(1)
    model = PoissonRegressor(alpha=alpha, fit_intercept=fit_intercept, solver="newton-cholesky", tol=1e-9)
    model.fit(X, y, weights)
    found = certify(X, y, model, sample_weight=weights)
    judge = Judge("poisson", X, y, alpha, 0.0, weights=weights, fit_intercept=fit_intercept)
    total, value = float(judge.total), float(judge.primal(model.coef_, model.intercept_))
    assert found.ok and found.gap < 1e-12
    assert found.objective == pytest.approx((value - least(judge)) / total, rel=1e-12)
    # half the mean deviance, as the class writes it
    eta = X @ model.coef_ + model.intercept_
    deviance = 2 * (np.where(y > 0, y * np.log(np.maximum(y, 1) / np.exp(eta)), 0) - y + np.exp(eta))
    assert found.objective == pytest.approx(weights @ deviance / total / 2 + alpha / 2 * model.coef_ @ model.coef_)
    model.coef_ = model.coef_ * 1.05
    wrong = certify(X, y, model, sample_weight=weights)
    assert wrong.gap * total >= float(judge.primal(model.coef_, model.intercept_)) - value > 0 and not certify(
        X, y[::-1], model, sample_weight=weights).ok
    exposure = np.linspace(0.5, 2, len(y))                    # counts over exposure, weighted by it: the same problem
    model.fit(X, y / exposure, weights * exposure)
    path = path_of("poisson", model.coef_, model.intercept_, alpha * float(weights @ exposure) / total, 0.0,
                   {"fit_intercept": fit_intercept}, tol=1e-9)
    assert certify(X, y, path, sample_weight=weights, offset=np.log(exposure)).ok
    assert not certify(X, y, path, sample_weight=weights).ok


def test_loose_fits_are_flagged():
    """lbfgs promises gradients of 1e-4, on columns of very different scales: far from any gap of 1e-6."""
    X, y, _, counts = labels(2)
    X = X * 10.0 ** np.arange(-3, 3).repeat(2)
    for model, target in ((LogisticRegression(C=100.0), y), (PoissonRegressor(alpha=1e-6), counts)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, target)
        model.tol = 1e-6
        assert not certify(X, target, model).ok
        tight = type(model)(**model.get_params() | {"solver": "newton-cholesky", "tol": 1e-9}).fit(X, target)
        tight.tol = 1e-6
        loose, tight = certify(X, target, model), certify(X, target, tight)
        assert tight.ok and loose.gap >= loose.objective - tight.objective


OURS = {
    "l1": {"l1_ratio": 1.0},
    "elastic net": {"l1_ratio": 0.5},
    "l2": {"l1_ratio": 0.0},
    "factors": {"l1_ratio": 0.7, "penalty_factor": np.r_[0.0, np.inf, np.linspace(0.5, 2, 10)]},
    "limits": {"l1_ratio": 0.7, "lower_limits": -0.2, "upper_limits": np.r_[0.0, np.full(11, 0.3)]},
    "standardize": {"l1_ratio": 0.9, "standardize": True},
    "no intercept": {"l1_ratio": 0.9, "fit_intercept": False},
}


@pytest.mark.parametrize("convert", [np.asarray, np.float32, sp.csr_array, sp.csc_array], ids=lambda f: f.__name__)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("name", OURS)
def test_our_own_estimators_and_paths(name, weighted, convert):
    X, y, weights, counts = labels(9)
    X, weights, offset = convert(X), weights if weighted else None, np.linspace(-0.3, 0.3, len(y))
    total = len(y) if weights is None else weights.sum()
    logistic = fastreg.LogisticRegression(C=2.0, tol=1e-9, **OURS[name])
    poisson = fastreg.PoissonRegressor(alpha=0.02, tol=1e-9, **OURS[name])
    for model, loss, target, alpha in ((logistic, "logistic", y, 0.5 / total), (poisson, "poisson", counts, 0.02)):
        model.fit(X, target, weights, offset=offset)
        given = {"sample_weight": weights, "offset": offset}
        found = certify(X, target, model, **given)
        assert found.ok and found.gap <= model.dual_gap_ + 1e-9 + found.rounding and found.stationarity < 1e-5
        assert not certify(X, target, model, sample_weight=weights, offset=0).ok
        assert not certify(X, target[::-1], model, **given).ok
        with pytest.raises(ValueError, match=r"offset is missing: this (Logistic|Poisson)Regr"):
            certify(X, target, model)
        path = regularization_path(X, target, datafit=loss, alphas=[4 * alpha, 2 * alpha, alpha], tol=1e-9, **given,
                                   **OURS[name])  # fmt: skip
        along = certify(X, target, path, alpha=path.alphas, **given)
        assert along.ok.all() and along.objective[-1] == pytest.approx(found.objective, rel=1e-7)
        assert not certify(X, target, path, alpha=[3 * alpha], **given).ok.any()
        with pytest.raises(ValueError, match="offset is missing: this Path"):
            certify(X, target, path)
        if loss == "logistic":
            assert certify(X, target, model.sparsify(), **given).gap == found.gap
            liblinear = fastreg.LogisticRegression(solver="liblinear", class_weight="balanced", **OURS[name])
            assert certify(X, y, liblinear.fit(X, y, weights), sample_weight=weights).ok


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_our_own_cross_validations(weighted):
    X, y, weights, counts = labels(10)
    weights = weights if weighted else None
    logistic = fastreg.LogisticRegressionCV(Cs=np.logspace(-2, 1, 6), l1_ratios=(0.3, 1.0), cv=3, tol=1e-7)
    logistic.set_params(class_weight="balanced", keep_paths=True)
    poisson = fastreg.PoissonRegressorCV(alphas=6, l1_ratio=[0.5, 1.0], cv=3, tol=1e-7, keep_paths=True)
    for model, target, chosen in ((logistic, y, "C_"), (poisson, counts, "alpha_")):
        for offset in (None, np.linspace(0, 1, len(y))):
            model.fit(X, target, weights, offset=offset)
            assert certify(X, target, model, sample_weight=weights, offset=offset).ok
            along = certify(X, target, model, sample_weight=weights, offset=offset, alpha=model.path_.alphas)
            assert along.ok.all() and len(along.ok) == 6
            if weighted:
                assert not certify(X, target, model, offset=offset).ok
            setattr(model, chosen, 1.2 * getattr(model, chosen))
            assert not certify(X, target, model, sample_weight=weights, offset=offset).ok


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("options", [{"l1_ratios": (0.0,), "solver": "newton-cholesky"},
                                     {"l1_ratios": (0.2, 0.9), "solver": "saga"}], ids=["l2", "elastic net"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_fit_that_was_chosen(options, legacy):
    X, y, weights, _ = labels(3)
    model = LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, tol=1e-8, max_iter=20_000, scoring="neg_log_loss",
                                 use_legacy_attributes=legacy, class_weight="balanced", **options)
    model.fit(X, y, sample_weight=weights)
    model.tol = 1e-6
    assert certify(X, y, model, sample_weight=weights).ok
    assert not certify(X, y, model).ok
    model.C_ = 1.1 * np.asarray(model.C_)
    assert not certify(X, y, model, sample_weight=weights).ok


def test_paths_of_labels():
    X, y, weights, _ = labels(4)
    alphas = np.array([0.2, 0.1, 0.05])
    fits = [LogisticRegression(C=1 / (a * weights.sum()), l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=50_000,
                               random_state=0).fit(X, y, weights) for a in alphas]
    path = path_of("logistic", np.zeros(X.shape[1]), 0.0, 1.0)
    path.alphas, path.classes = alphas, np.array(["no", "yes"])
    path.coefs = np.column_stack([fit.coef_[0] for fit in fits])
    path.intercepts = np.ravel([fit.intercept_ for fit in fits])
    found = certify(X, y, path, sample_weight=weights, alpha=alphas)
    assert found.ok.shape == (3,) and found.ok.all()
    single = certify(X, y, fits[1], sample_weight=weights)
    assert found.objective[1] == pytest.approx(single.objective, rel=1e-12)
    assert found.gap[1] == pytest.approx(single.gap, rel=1e-6, abs=1e-15)
    assert not certify(X, y, path, sample_weight=weights, alpha=[0.07]).ok[0]     # between two is no solution
    assert not certify(X, np.where(y == "no", "yes", "no"), path, sample_weight=weights, alpha=alphas).ok.any()
    path.classes = None                                       # sorted labels, if it does not say
    assert certify(X, y, path, sample_weight=weights).ok is True
    path.classes = np.array(["no", "maybe"])
    with pytest.raises(ValueError, match="labels of the fit"):
        certify(X, y, path)
    path.classes = None
    with pytest.raises(ValueError, match="two classes, got 3"):
        certify(X, np.append(y[:-1], "maybe"), path)
    with pytest.raises(ValueError, match="1d array"):
        certify(X, np.c_[y, y], path)


def test_what_is_refused():
    X, y, _, counts = labels(5)
    with pytest.raises(ValueError, match=r"liblinear.*penalises the intercept"):
        certify(X, y, type("Own", (LogisticRegression,), {})(solver="liblinear").fit(X, y))
    with pytest.raises(ValueError, match="labels of the fit"):
        certify(X, y == "yes", LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match="y must not be negative"):
        certify(X, counts - 1.0, PoissonRegressor().fit(X, counts))
    with pytest.raises(TypeError, match=r"LogisticRegression, .*got SGDClassifier"):
        certify(X, y, SGDClassifier().fit(X, y))
    with pytest.raises(ValueError, match="offset"):
        certify(X, counts, PoissonRegressor().fit(X, counts), offset=np.ones(3))


def test_answers_that_are_infinitely_far_off():
    X, y, _, counts = labels(6)
    y = np.where(y == "yes", 1, -1)
    for w, b in ((np.full(X.shape[1], np.nan), 0.0), (np.zeros(X.shape[1]), np.nan), (np.full(X.shape[1], 1e200), 0.0),
                 (np.zeros(X.shape[1]), np.inf), (np.full(X.shape[1], -1e308), 0.0)):  # fmt: skip
        for loss, target in (("logistic", y), ("poisson", counts)):
            found = certify(X, target, path_of(loss, w, b, 0.1, tol=1e-3))
            assert not found.ok and not found.gap < 1e10
    with np.errstate(over="ignore"):
        found = certify(X, counts, path_of("poisson", np.full(X.shape[1], 600.0), 0.0, 0.1))
    assert not found.ok and found.gap > 1e100
    limited = path_of("logistic", np.full(X.shape[1], 0.11), 0.0, 0.1, options={"upper": 0.1})
    assert certify(X, y, limited).gap == np.inf


def test_separable_classes_and_counts_without_any():
    """The objective of an answer is a bound of what it lacks, and the best that there is where the minimum is 0."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 3))
    y = np.where(X[:, 0] > 0, 1, -1)
    for size in (0.0, 1.0, 1e3):
        for b in (0.0, 0.01):
            found = certify(X, y, path_of("logistic", [size, 0, 0], b, 0.0))
            assert 0 <= found.gap <= found.objective * (1 + 1e-12)
            assert found.gap >= 0.9 * found.objective - 1e-300 and not (found.ok and size < 10)
    for b in (0.0, -5.0, -50.0):
        found = certify(X, np.zeros(20), path_of("poisson", np.zeros(3), b, 0.1))
        assert found.gap == pytest.approx(np.exp(b), rel=1e-9) == found.objective


def test_columns_without_penalty_are_improved():
    """A multiple of the residual is not orthogonal to them: Newton's steps make it so, and their descent counts."""
    X, y, weights, counts = labels(7)
    y = np.where(y == "yes", 1, -1)
    options = {"factor": np.r_[np.zeros(3), np.ones(9)], "weights": weights, "offset": None}
    for loss, target in (("logistic", y), ("poisson", counts)):
        judge = Judge(loss, X, target, 0.1, 0.7, factor=options["factor"], weights=weights)
        w, b = best_of(judge, 0.1)
        top, total = judge.primal(w, b), float(judge.total)
        for error in (1e-5, 1e-3, 0.1, 3.0):
            off = w + error * np.r_[1, -1, 1, np.zeros(9)]
            found = judged(X, target, path_of(loss, off, b, 0.1, 0.7, options), options)
            missing = float(judge.primal(off, b) - top)
            assert missing * (1 - 1e-6) <= found.gap * total <= 3 * missing + 1e-7 * total
    free = path_of("logistic", np.zeros(12), 0.0, 0.0)
    found = certify(X, y, free)
    fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(X, y)
    missing = found.objective - certify(X, y, fit).objective
    assert missing * (1 - 1e-9) <= found.gap <= missing * (1 + 1e-3)


def test_constant_columns_and_coefficients_in_float32():
    X, y, _, _ = labels(8)
    X = np.c_[X, np.full(len(y), 0.1), np.full(len(y), 1e9 / 3)]
    model = LogisticRegression(solver="newton-cholesky", tol=1e-9).fit(X[:, :-2], y)
    y_, w = np.where(y == "yes", 1, -1), np.r_[model.coef_[0], 0, 0]
    alpha = 1 / len(y)
    assert certify(X, y_, path_of("logistic", w, model.intercept_[0], alpha, 0.0, tol=1e-12)).ok
    w[-1] = 1e-6                                              # it pays the penalty and explains nothing
    found = certify(X, y_, path_of("logistic", w, model.intercept_[0] - w[-1] * X[0, -1], alpha, 0.0, tol=1e-16))
    assert not found.ok and found.gap == pytest.approx(0.5 * alpha * 1e-12, rel=1e-3)
    single = LogisticRegression(solver="newton-cholesky", tol=1e-9).fit(X[:, :-2], y)
    single.coef_, single.tol = single.coef_.astype(np.float32), 1e-18
    found = certify(X[:, :-2], y, single)
    assert found.ok and found.rounding > 1e-16


@pytest.mark.parametrize(("fit_intercept", "passes"), [(True, 5), (False, 3)])
def test_how_often_x_is_read_and_what_memory_it_takes(fit_intercept, passes, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 300))
    y = np.where(X[:, 0] + rng.standard_normal(20_000) > 0, 1, -1)
    model = LogisticRegression(solver="newton-cholesky", tol=1e-8, fit_intercept=fit_intercept).fit(X, y)
    read, blocks = [], Data._blocks
    monkeypatch.setattr(Data, "_blocks", lambda self: read.append(1) or blocks(self))
    tracemalloc.start()
    try:
        assert certify(X, y, model).ok
        assert tracemalloc.get_traced_memory()[1] <= 40 * 8 * sum(X.shape) + 6 * 8 * 2**18 < X.nbytes / 2
    finally:
        tracemalloc.stop()
    assert len(read) == passes


# ---- losses ------------------------------------------------------------------------------------------------------
ETAS = [-800.0, -40.0, -3.0, -1e-9, 0.0, 0.7, 5.0, 36.0, 700.0]


def long_loss(name, y, eta):
    return mpmath.log1p(mpmath.exp(-y * eta)) if name == "logistic" else mpmath.exp(eta) - y * eta


def long_conjugate(name, y, u):
    t = -y * u if name == "logistic" else u + y
    entropy = t * mpmath.log(t) if t > 0 else mpmath.mpf(0)
    if name == "poisson":
        return entropy - t
    return entropy + ((1 - t) * mpmath.log(1 - t) if t < 1 else 0)


@pytest.mark.parametrize("name", ["logistic", "poisson"])
def test_losses_against_mpmath(name):
    """Values, derivatives and Young's remainders: relative to themselves, however near to zero they are."""
    loss = LOSSES[name]
    with mpmath.workdps(900):
        for y in (-1.0, 1.0) if name == "logistic" else (0.0, 1.0, 3.5, 1e6):
            for eta in ETAS:
                at = mpmath.mpf(eta)
                saturated = 0 if name == "logistic" or y == 0 else y - y * mpmath.log(mpmath.mpf(y))
                value = long_loss(name, y, at) - saturated
                here = np.array([y]), np.array([eta])
                assert loss.excess(*here)[0] == pytest.approx(float(value), rel=1e-12, abs=1e-300)
                e = mpmath.exp(at) if name == "poisson" else 1 / (1 + mpmath.exp(y * at))
                slope = e - y if name == "poisson" else -y * e
                curvature = e if name == "poisson" else e * (1 - e)
                lost = 1e-16 * y if name == "poisson" else 0
                assert loss.slope(*here)[0] == pytest.approx(float(slope), rel=1e-14, abs=lost)
                assert loss.curvature(*here)[0] == pytest.approx(float(curvature), rel=1e-14, abs=1e-300)
                for share in (-1.0, -0.3, -1e-3, -1e-9, 0.0, 1e-12, 0.02, 0.5):
                    step = float(slope) * share           # towards no residual at all, and away from it
                    u = slope + mpmath.mpf(step)
                    inside = 0 <= -y * u <= 1 if name == "logistic" else u + y >= 0
                    found = loss.young(*here, np.array([step]))[0]
                    assert found >= 0
                    if inside and share != -1.0:
                        right = long_loss(name, y, at) + long_conjugate(name, y, u) - u * at
                        # or infinite, where float64 has no probability or mean left
                        sure = eta < -745 or (name == "logistic" and eta > 700)
                        assert found == pytest.approx(float(right), rel=1e-9, abs=1e-250) or (sure and np.isinf(found))


@pytest.mark.parametrize("name", ["gamma", "tweedie(1.5)"])
def test_losses_of_amounts_against_mpmath(name):
    """The same; of power 1.5, exp(eta / 2) solves a quadratic equation."""
    loss, gamma = loss_named(name), name == "gamma"
    two = mpmath.mpf(2)

    def value(y, eta):
        return y * mpmath.exp(-eta) + eta if gamma else two * (y * mpmath.exp(-eta / 2) + mpmath.exp(eta / 2))

    with mpmath.workdps(900):
        for y in (1e-3, 1.0, 3.5, 1e6) if gamma else (0.0, 1e-3, 1.0, 1e6):
            for eta in np.maximum(-np.array(ETAS), -680) if gamma else ETAS:
                at, exact = mpmath.mpf(eta), mpmath.mpf(y)
                least = 1 + mpmath.log(exact) if gamma else 4 * mpmath.sqrt(exact)
                up, down = (mpmath.mpf(1), exact * mpmath.exp(-at)) if gamma else (
                    mpmath.exp(at / 2), exact * mpmath.exp(-at / 2))
                here = np.array([y]), np.array([eta])
                assert loss.excess(*here)[0] == pytest.approx(float(value(exact, at) - least), rel=1e-10, abs=1e-300)
                assert loss.slope(*here)[0] == pytest.approx(float(up - down), rel=1e-13, abs=2e-16 * float(up + down))
                bend = down if gamma else (up + down) / 2
                assert loss.curvature(*here)[0] == pytest.approx(float(bend), rel=1e-13, abs=1e-300)
                for share in (-1.0, -0.3, -1e-3, -1e-9, 0.0, 1e-12, 0.02, 0.5):
                    step = float(up - down) * share
                    u = up - down + mpmath.mpf(step)
                    if gamma:
                        m = 1 - u
                        dual = m * mpmath.log(m / exact) - m if m > 0 else mpmath.mpf(0)
                    else:
                        half = (u + mpmath.sqrt(u * u + 4 * exact)) / 2
                        dual = u * 2 * mpmath.log(half) - two * (exact / half + half) if half > 0 else mpmath.mpf(0)
                    found = loss.young(*here, np.array([step]))[0]
                    assert found >= 0
                    if (m >= 0 if gamma else y > 0 or u > 0) and share != -1.0:
                        right = value(exact, at) + dual - u * at
                        gone = abs(eta) > 700                 # where float64 has no ratio left
                        assert found == pytest.approx(float(right), rel=1e-7, abs=1e-250) or gone, (y, eta, share)


@pytest.mark.parametrize("name", ["squared_hinge", "huber(1.5)"])
def test_losses_whose_curvature_ends(name, rng):
    """Young's remainders, from the definitions in long double."""
    loss, long = loss_named(name), LONG[name]
    y = np.where(rng.random(400) < 0.5, -1.0, 1.0)
    eta = y + rng.standard_normal(400) * np.geomspace(1e-6, 10, 400)
    np.testing.assert_allclose(loss.excess(y, eta), long.value(y, eta).astype(float), rtol=1e-12)
    np.testing.assert_allclose(loss.slope(y, eta), long.slope(y, eta).astype(float), rtol=1e-12)
    for share in (-1.0, -0.3, -1e-6, 0.0):
        step = loss.slope(y, eta) * share
        u = (long.slope(y.astype(np.longdouble), eta.astype(np.longdouble)) + step).astype(np.longdouble)
        right = long.value(y, eta) + long.conjugate(y, u) - u * eta
        found = loss.young(y, eta, step)
        assert (found >= 0).all()
        np.testing.assert_allclose(found, right.astype(float), atol=1e-16 * (1 + eta**2).max())
    outside = np.where(y > 0, 1.0, -1.0) * (10 if name == "squared_hinge" else 2)
    assert np.isinf(loss.young(y, y.copy(), outside)).all()


def test_divergences_of_probabilities_that_vanish():
    assert divergence(np.array([1.0, 2.0, 0.0, 0.0]), np.array([-1.0, -2.0, 0.0, 1e-3])).tolist() == [1, 2, 0, np.inf]
    assert divergence(np.array([1.0]), np.array([-1.0 - 1e-9]))[0] == np.inf
    means = 10.0 ** np.linspace(-200, 200, 41)[:, None]
    ratios = np.r_[-np.logspace(-17, 0, 300), 0, np.logspace(-17, 3, 300)]
    found = divergence(means, means * ratios)
    z = ratios.astype(np.longdouble)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.where(np.abs(z) < 1e-5, z**2 / 2 - z**3 / 6 + z**4 / 12, (1 + z) * np.log1p(z) - z)
    exact[ratios == -1] = 1
    np.testing.assert_allclose(found / means, np.broadcast_to(exact.astype(float), found.shape), rtol=1e-9)


def test_the_judge_of_the_tests_is_another_one():
    """Its losses and the referee's agree, and share no line."""
    for name in LONG:
        y = np.array([0.5 if name == "gamma" else 0.0, 4.0])
        y = np.array([-1.0, 1.0]) if name in ("logistic", "squared_hinge") else y
        eta = np.array([0.3, -1.7])
        right = LONG[name]
        above = right.value(y, eta) - right.saturated(y)
        np.testing.assert_allclose(loss_named(name).excess(y, eta), above.astype(float))
        np.testing.assert_allclose(loss_named(name).curvature(y, eta), right.curvature(y, eta).astype(float))
