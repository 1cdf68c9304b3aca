"""NIST StRD linear regressions at alpha = 0: digits of agreement with the certified values (-s prints them)."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from problems import STORAGES
from referee import Referee
from sklearn.exceptions import ConvergenceWarning

from fastreg import ElasticNet, Lasso, Ridge

SETS = json.loads((Path(__file__).parent / "data" / "nist_strd.json").read_text())
# what a centred, scaled Gram with one refinement on the residual reaches, less a digit or so; Filip is beyond a Gram
DIGITS = {"Longley": 10, "NoInt1": 13, "NoInt2": 13, "Norris": 11.5, "Pontius": 11}
DIGITS |= {"Wampler1": 8, "Wampler2": 9, "Wampler3": 8, "Wampler4": 7, "Wampler5": 5.5}


def load(name):
    """X with its powers, y and the entry itself."""
    entry = SETS[name]
    x = np.array(entry["x"], dtype=np.float64)
    return (x ** np.arange(1, entry["degree"] + 1) if entry["degree"] > 1 else x), np.array(entry["y"]), entry


def digits(found, certified):
    """log10 of the worst relative error, at most 15."""
    error = np.max(np.abs(np.asarray(found) - certified) / np.abs(certified))
    return min(15.0, -np.log10(error)) if error > 0 else 15.0


@pytest.mark.parametrize("storage", ["C", "csc_matrix"])
@pytest.mark.parametrize("Model", [Lasso, ElasticNet])
@pytest.mark.parametrize("name", DIGITS)
def test_coefficients(name, Model, storage):
    X, y, entry = load(name)
    model = Model(0.0, tol=1e-14, fit_intercept=entry["intercept"]).fit(STORAGES[storage](X), y)
    beta = np.r_[[model.intercept_] if entry["intercept"] else [], model.coef_]
    reached = digits(beta, entry["beta"])
    print(f"{name:9s} {Model.__name__:10s} {storage:10s} {reached:5.1f} digits")
    assert reached >= DIGITS[name]


def test_filip_is_certified():
    X, y, entry = load("Filip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model = Lasso(0.0, tol=1e-12).fit(X, y)
    referee = Referee(X, y, 0.0)
    rss = 2 * len(y) * referee.objective(model.coef_, model.intercept_)
    gap = referee.relative_gap(model.coef_, model.intercept_)
    print(f"Filip: residual sum of squares {rss:.10g} (certified {entry['rss']:.10g}), relative gap {gap:.2g}")
    assert gap <= model.dual_gap_ / referee.p0 + 1e-10, "the reported gap is no bound"
    assert caught or model.dual_gap_ <= 2.1e-12 * referee.p0, "a gap above tol without a warning"
    assert abs(model.score(X, y) - entry["r2"]) <= 5e-3  # ten powers in double precision: no Gram sees them all


RIDGE_DIGITS = DIGITS | {"Filip": 6, "Wampler1": 8, "Wampler2": 9, "Wampler3": 8, "Wampler4": 7, "Wampler5": 5.5}


@pytest.mark.parametrize("storage", ["C", "F", "csc_matrix"])
@pytest.mark.parametrize("name", RIDGE_DIGITS)
def test_least_squares_by_ridge(name, storage):
    X, y, entry = load(name)
    model = Ridge(0.0, fit_intercept=entry["intercept"]).fit(STORAGES[storage](X), y)
    beta = np.r_[[model.intercept_] if entry["intercept"] else [], model.coef_]
    reached = digits(beta, entry["beta"])
    print(f"{name:9s} Ridge      {storage:10s} {reached:5.1f} digits ({model.solver_})")
    assert reached >= RIDGE_DIGITS[name]
