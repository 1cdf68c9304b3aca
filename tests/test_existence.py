"""Whether there are best coefficients without a penalty, against a linear program."""
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.datafits.logistic import LOGISTIC
from scipy.optimize import linprog

from fastreg import LogisticRegression, LogisticRegressionCV, PoissonRegressor, regularization_path
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem
from fastreg.solvers.existence import escape

NO_FIT = "so that there is no best fit without a penalty"


def may_escape(A, side, signs):
    """Whether a direction moves some row to its side, none the other way, and none that has no side.

    signs : list of pairs
        The limits of each coordinate of the direction."""
    have = side != 0
    B, m = side[have, None] * A[have], np.count_nonzero(have)
    pinned = {} if have.all() else {"A_eq": np.hstack([A[~have], np.zeros((np.sum(~have), m))]),
                                    "b_eq": np.zeros(np.sum(~have))}
    found = linprog(np.append(np.zeros(A.shape[1]), -np.ones(m)), A_ub=np.hstack([-B, np.eye(m)]), b_ub=np.zeros(m),
                    bounds=[*signs, *[(0, 1)] * m], **pinned)
    return -found.fun > 1e-6


def case(seed, limited):
    """(X, y, options, whether the linear program finds a direction) of one small problem, with limits or without."""
    rng = np.random.default_rng(seed)
    loss, n, p = ("logistic", "poisson")[seed % 2], int(rng.integers(6, 60)), int(rng.integers(1, 6))
    X = rng.integers(-2, 3, (n, p)).astype(float) if rng.random() < 0.6 else rng.standard_normal((n, p))
    if rng.random() < 0.5:
        X *= rng.random((n, p)) < 0.4
    if rng.random() < 0.3 and p > 1:
        X[:, 1] = X[:, 0]
    eta = X @ rng.standard_normal(p) * rng.choice([0.3, 1, 3])
    if loss == "logistic":
        y = (eta + rng.logistic(size=n) * rng.choice([0.05, 0.5, 1]) > 0).astype(float)
    else:
        y = rng.poisson(np.exp(np.minimum(eta, 5) - rng.choice([0, 1, 2]))).astype(float)
    weight = rng.integers(0, 3, n).astype(float) if rng.random() < 0.3 else np.ones(n)
    y[np.flatnonzero(weight)[:2]] = 0, 1
    lower = np.where(rng.random(p) < 0.4 * limited, rng.choice([0, -1]), -np.inf)
    upper = np.where(rng.random(p) < 0.4 * limited, rng.choice([0, 1]), np.inf)
    factor = (rng.random(p) < 0.5).astype(float) if rng.random() < 0.3 else np.zeros(p)
    offset = rng.choice([1, 20]) * rng.standard_normal(n) if rng.random() < 0.3 else None
    intercept, free = bool(rng.random() < 0.8), factor == 0
    signs = [(0 if np.isfinite(a) else None, 0 if np.isfinite(b) else None)
             for a, b in zip(lower[free], upper[free])] + [(None, None)] * int(intercept)
    A = np.hstack([X[:, free], np.ones((n, int(intercept)))])[weight > 0]
    side = (2 * y - 1 if loss == "logistic" else -(y == 0).astype(float))[weight > 0]
    options = {"datafit": loss, "alphas": [1e-3], "penalty_factor": factor, "offset": offset,
               "lower_limits": lower, "upper_limits": upper, "fit_intercept": intercept, "sample_weight": weight,
               "tol": rng.choice([1e-4, 1e-8])}
    X = sp.csr_array(X) if rng.random() < 0.4 else X
    return X, y, options, bool(free.any()) and may_escape(A, side, signs)


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("seed", range(100))
def test_a_linear_program_agrees(seed, limited):
    X, y, options, expected = case(seed, limited)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "rounding leaves it open")
        warnings.filterwarnings("ignore", ".*did not reach")
        if expected:
            with pytest.raises(ValueError, match=NO_FIT):
                regularization_path(X, y, **options)
        else:
            regularization_path(X, y, **options)


@pytest.mark.parametrize("limited", [False, True])
def test_both_answers_occur(limited):
    assert 5 < sum(case(seed, limited)[-1] for seed in range(100)) < 90


def level():
    """Two columns that leave the classes mixed."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 2))
    return X, X[:, 0] + rng.logistic(size=200) > 0, rng


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-12])
def test_a_level_of_one_class(tol):
    """A rare indicator that only one class has: the other coefficients have a best value, its own has none."""
    X, y, rng = level()
    Z = np.column_stack([X, y & (rng.random(200) < 0.05)])
    with pytest.raises(ValueError, match=NO_FIT):
        LogisticRegression(C=np.inf, tol=tol).fit(Z, y)
    with pytest.raises(ValueError, match=NO_FIT):
        LogisticRegression(penalty_factor=[1, 1, 0], tol=tol).fit(Z, y)
    LogisticRegression(penalty_factor=[0, 0, 1], tol=tol).fit(Z, y)
    with pytest.raises(ValueError, match=NO_FIT):
        LogisticRegressionCV(Cs=[np.inf], tol=tol, cv=3).fit(Z, y)
    counts = rng.poisson(1.0, 200)
    nothing = (counts == 0) & (rng.random(200) < 0.1)
    with pytest.raises(ValueError, match=NO_FIT):
        PoissonRegressor(alpha=0, tol=tol).fit(np.column_stack([X, nothing]), counts)
    PoissonRegressor(alpha=0, tol=tol).fit(np.column_stack([X, rng.permutation(nothing)]), counts)


def test_the_direction():
    """What is found moves rows as the definition says."""
    X, y, rng = level()
    Z = np.column_stack([X, y & (rng.random(200) < 0.05), X[:, 0]])
    sign = 2.0 * y - 1
    problem = Problem.of(Z, sign[:, None], Penalty(), datafit=LOGISTIC)
    found = escape(problem, 0.0, np.zeros(4), 0.0)
    assert found.known
    moves = sign * (Z @ found.coef + found.intercept)
    assert moves.max() > 0
    assert moves.min() > -1e-8 * moves.max()
    assert escape(problem.with_penalty(Penalty(factor=[0, 0, 1, 0])), 1.0, np.zeros(4), 0.0) is None


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6])
def test_nearly_separable_classes(gap):
    """One row is on the wrong side by a little: there is a best fit, though a far one, and it is found."""
    x = np.array([-1.0, -0.8, gap, 0.0, 0.7, 1.0])
    y = np.array([0, 0, 0, 1, 1, 1])
    model = LogisticRegression(C=np.inf, tol=1e-14).fit(x[:, None], y)
    eta = np.longdouble(model.coef_[0, 0]) * x + np.longdouble(model.intercept_[0])
    slope = 1 / (1 + np.exp(-eta)) - y
    assert abs(slope.sum()) < 1e-9
    assert abs(slope @ x) < 1e-9
    assert model.coef_[0, 0] > -np.log(gap)


def test_far_rows_do_not_separate():
    """Rows whose probabilities underflow take part in what is decided, and do not disturb it."""
    X, y, _ = level()
    X = np.vstack([X, [[900.0, 0.0], [-900.0, 0.0]]])
    model = LogisticRegression(C=np.inf, tol=1e-12).fit(X, np.append(y, [True, False]))
    assert model.coef_[0, 0] > 0
    eta = X @ model.coef_[0] + model.intercept_[0]
    assert np.max(np.abs(eta)) > 700
