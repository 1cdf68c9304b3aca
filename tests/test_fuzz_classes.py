"""Random problems of several classes, judged in long double: the same answer however they are asked."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from classes import ClassesJudge, named, of_path
from sklearn.exceptions import ConvergenceWarning

from fastreg import LogisticRegression, LogisticRegressionCV, regularization_path

LABELS = [lambda k: k, lambda k: k.astype(np.uint8), lambda k: k - 7.0, lambda k: np.array(list("zyxwvutsr"))[k],
          lambda k: np.array([f"label {i}" for i in range(9)], dtype=object)[k], lambda k: 2**40 + k,
          lambda k: 4 * k.astype(np.float32)]
TOL = 1e-8


def case(seed):
    """(X, classes as numbers, labels, arguments of a judge, l1_ratio, alphas): some columns may be free, limited, left
    out, of other scales, nearly empty, or the same."""
    rng = np.random.default_rng(seed)
    n, p, K = int(rng.integers(30, 120)), int(rng.integers(2, 25)), int(rng.integers(3, 7))
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < rng.choice([0.1, 0.5, 1]))
    X *= 10.0 ** (rng.uniform(-3, 3, p) * (rng.random(p) < 0.2))
    X[:, rng.random(p) < 0.1] = 2.0
    X[:, -1] = X[:, rng.integers(p)]
    y = np.r_[np.arange(K), rng.integers(0, K, n - K)]
    factor = np.round(rng.uniform(0.5, 2, p), 1)
    factor[rng.random(p) < 0.1] = np.inf
    free = rng.random(p) < 0.15 * (seed % 2) * (n > 60)
    factor[free] = 0
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    if seed % 3 == 0:
        lower[rng.random(p) < 0.3], upper[rng.random(p) < 0.3] = -0.2, 0.3
    weights = np.r_[np.ones(K), rng.integers(0, 3, n - K)] + 0.0
    options = {"weights": weights, "fit_intercept": bool(rng.random() < 0.7), "factor": factor, "lower": lower,
               "upper": upper}
    ratio = float(rng.choice([1.0, 0.5, 0.0]))
    return X, y, LABELS[seed % len(LABELS)](y), options, ratio, np.array([0.1, 0.02])


def solved(X, labels, ratio, alphas, **options):
    """(path, why it is not as good as asked for, or None)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            path = regularization_path(X, labels, datafit="multinomial", l1_ratio=ratio, alphas=alphas, tol=TOL,
                                       **named(options))
        except ValueError as error:
            assert "no best fit without a penalty" in str(error)
            return None, "refused"
    return path, "told" if any(issubclass(w.category, ConvergenceWarning) for w in caught) else None


def objectives(judge_of, path, order=None):
    """Averaged objectives at the alphas, classes being in another order."""
    found = []
    for k, alpha in enumerate(path.alphas):
        W, b = of_path(path, k)
        W, b = (W, b) if order is None else (W[order], b[order])
        judge = judge_of(alpha)
        found.append(float(judge.primal(W, b) / judge.total))
    return np.array(found)


@pytest.mark.parametrize("seed", range(100))
def test_however_it_is_asked(seed):
    X, y, labels, options, ratio, alphas = case(seed)
    weights, K, rng = options["weights"], y.max() + 1, np.random.default_rng(seed)

    def judge_of(alpha):
        return ClassesJudge(X, y, alpha, ratio, **options)

    path, why = solved(X, labels, ratio, alphas, **options)
    if path is None:
        return
    room = np.inf if why else 1.1 * TOL * 0.5 * path.null_deviance + 1e-12
    at = np.array([np.flatnonzero(path.classes == labels[np.flatnonzero(y == k)[0]])[0] for k in range(K)])
    best = objectives(judge_of, path, at)
    W, b = of_path(path, 1)
    judge = judge_of(alphas[1])
    gap = judge.gap(W[at], b[at]) * float(judge.null() / judge.total)
    by_curvature = ratio == 0 and np.any(options["factor"] == 0)        # which tells more than the judge's duality
    assert gap <= (1 + 1e-3) * path.dual_gaps[1] + 1e-10 or by_curvature
    doubled = np.repeat(np.arange(len(y)), weights.astype(int))
    absent = np.where((weights == 0)[:, None], 1e9 * rng.standard_normal(X.shape), X)
    turned = rng.permutation(K)
    asked = {
        "rows": (X[doubled], y[doubled], {"weights": None}, None), "absent": (absent, y, {}, None),
        "csr": (sp.csr_array(X), y, {}, None), "csc": (sp.csc_array(X), y, {}, None),
        "turned": (X, turned[y], {}, turned)}
    for name, (Z, z, more, order) in asked.items():
        other, unsure = solved(Z, z, ratio, alphas, **options | more)
        assert other is not None, name
        np.testing.assert_allclose(objectives(judge_of, other, order), best, rtol=0, err_msg=name,
                                   atol=np.inf if unsure else room)


def test_one_hundred_classes():
    """With a column of no penalty."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1500, 6)), np.r_[np.arange(100), rng.integers(0, 100, 1400)]
    factor = np.r_[0.0, np.ones(5)]
    model = LogisticRegression(C=0.1, l1_ratio=1.0, penalty_factor=factor, tol=1e-7).fit(X, y)
    judge = ClassesJudge(X, y, 1 / (0.1 * 1500), factor=factor)
    assert judge.gap(model.coef_, model.intercept_) < 2e-7
    assert np.abs(model.coef_[:, 0].sum()) < 1e-8


@pytest.mark.parametrize("options", [{}, {"l1_ratio": 1.0}, {"l1_ratio": 0.5, "C": 3.0}])
def test_a_class_of_weight_zero(options):
    """Its intercept is infinite; without any it is a class like others, which no row is of."""
    X, y, labels, *_ = case(4)
    weights = np.where(y == 1, 0.0, 1.0)
    with pytest.raises(ValueError, match="some have none"):
        LogisticRegression(**options).fit(X, labels, weights)
    model = LogisticRegression(fit_intercept=False, tol=1e-9, **options).fit(X, labels, weights)
    judge = ClassesJudge(X, y, 1 / (options.get("C", 1.0) * weights.sum()), options.get("l1_ratio", 0.0),
                         weights=weights, fit_intercept=False)
    at = np.array([np.flatnonzero(model.classes_ == labels[np.flatnonzero(y == k)[0]])[0] for k in range(y.max() + 1)])
    assert judge.gap(model.coef_[at], model.intercept_[at]) < 1.1e-9


@pytest.mark.parametrize("K", [3, 4])
def test_single_precision_of_every_kind(K):
    """Rounded at the end: as good as float32 allows, of X in float32."""
    X, y, *_ = case(8)
    X, y = X.astype(np.float32), y % K
    for options in ({}, {"l1_ratio": 1.0}, {"l1_ratio": 0.5, "penalty_factor": np.r_[0, np.ones(X.shape[1] - 1)]}):
        model = LogisticRegression(**options).fit(X, y)
        assert model.coef_.dtype == np.float32
        factor = options.get("penalty_factor", 1.0)
        judge = ClassesJudge(X, y, 1 / len(y), options.get("l1_ratio", 0.0), factor=factor)
        assert judge.gap(model.coef_, model.intercept_) < 2e-4
        chosen = LogisticRegressionCV(Cs=[0.1, 1.0], cv=2, l1_ratios=options.get("l1_ratio", 0.0),
                                      penalty_factor=options.get("penalty_factor"), selection_rule="1se").fit(X, y)
        assert chosen.coef_.dtype == np.float32
