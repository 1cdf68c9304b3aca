"""Paths that a validation set of the user's own judges, and ends."""
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import special, stats

from fastreg import regularization_path

LOSSES = ("quadratic", "logistic", "poisson")


def data(loss, n=260, p=40, seed=0):
    """Training rows, validation rows: X, y, weight, offset of each."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + (rng.random(p) < 0.3)
    offset = 0.3 * rng.standard_normal(n)
    eta = 0.8 * X[:, 0] - 0.5 * X[:, 3] + offset
    y = {"quadratic": eta + rng.standard_normal(n) + 50,
         "logistic": np.where(rng.random(n) < special.expit(eta), "yes", "no"),
         "poisson": rng.poisson(np.exp(np.minimum(eta, 3)))}[loss]
    weight, half = rng.integers(0, 3, n) * 1.0, n * 2 // 3
    return [part[:half] for part in (X, y, weight, offset)], [part[half:] for part in (X, y, weight, offset)]


def deviance(loss, y, eta, weight):
    """Weighted mean, from the distributions of SciPy."""
    if loss == "quadratic":
        return np.average((y - eta) ** 2, weights=weight)
    if loss == "poisson":
        return 2 * np.average(stats.poisson.logpmf(y, y) - stats.poisson.logpmf(y, np.exp(eta)), weights=weight)
    return -2 * np.average(stats.bernoulli.logpmf((y == "yes").astype(int), special.expit(eta)), weights=weight)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.0])
def test_deviances_are_their_definition(loss, store, l1_ratio):
    (X, y, weight, offset), (Z, u, heavy, shift) = data(loss)
    path = regularization_path(store(X), y, datafit=loss, sample_weight=weight, offset=offset, l1_ratio=l1_ratio,
                               alphas=np.geomspace(1, 1e-3, 20), X_val=store(Z), y_val=u, sample_weight_val=heavy,
                               offset_val=shift)
    etas = path.decision_function(Z, offset=shift)
    assert len(path.alphas) == 20
    expected = [deviance(loss, u, eta, heavy) for eta in etas.T]
    np.testing.assert_allclose(path.validation_deviances, expected, rtol=1e-9)
    assert path.best == np.argmin(expected)
    twice = np.repeat(np.arange(len(u)), heavy.astype(int))
    other = regularization_path(store(X), y, datafit=loss, sample_weight=weight, offset=offset, l1_ratio=l1_ratio,
                                alphas=path.alphas, X_val=store(Z[twice]), y_val=u[twice], offset_val=shift[twice])
    np.testing.assert_allclose(other.validation_deviances, path.validation_deviances, rtol=1e-9)
    np.testing.assert_array_equal(other.intercepts, path.intercepts)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_path_ends_when_its_patience_is_spent(loss):
    (X, y, _, _), (Z, u, _, _) = data(loss)
    seen = []
    # far above the largest alpha that leaves nothing to penalise: no patience is spent there
    given = {"datafit": loss, "alphas": np.geomspace(1e3, 1e-4, 80), "tol": 1e-9}
    whole = regularization_path(X, y, X_val=Z, y_val=u, **given)
    early = regularization_path(X, y, X_val=Z, y_val=u, patience=6, callback=lambda k, n: seen.append((k, n)), **given)
    plain = regularization_path(X, y, **given)
    count = len(early.alphas)
    assert 6 < np.flatnonzero(early.df)[0] < count < 80 and count % 6 == 0
    assert count - 1 - early.best >= 6 > count - 7 - early.best
    for name in ("alphas", "intercepts", "dual_gaps", "validation_deviances", "df"):
        np.testing.assert_allclose(getattr(early, name), getattr(whole, name)[:count], rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(whole.coefs.toarray(), plain.coefs.toarray(), atol=1e-7)
    assert plain.validation_deviances is None and plain.best is None
    assert all(n == 80 and k <= count for k, n in seen[:-1]) and seen[-1] == (80, 80)
    coef, _ = early.coef_at(early.alphas[early.best], exact=True)
    np.testing.assert_allclose(coef.toarray()[:, 0], early.coefs.toarray()[:, early.best], atol=1e-4)


@pytest.mark.parametrize("changes, message", [
    ({"X_val": None}, "y_val goes with X_val"),
    ({"X_val": None, "y_val": None, "patience": 3}, "patience goes with X_val"),
    ({"y_val": None}, "y_val must be given"),
    ({"X_val": np.ones((20, 3))}, "X_val must have 4 features, as X, got 3"),
    ({"y_val": np.zeros(19)}, "inconsistent numbers of samples"),
    ({"y_val": np.full(20, np.nan)}, "y_val must be finite"),
    ({"patience": 0}, "patience"),
    ({"offset": np.zeros(30)}, "offset_val is missing"),
    ({"y": np.ones((30, 2))}, "y must have one dimension"),
])
def test_what_cannot_be_judged_is_named(changes, message):
    rng = np.random.default_rng(0)
    given = {"X": rng.standard_normal((30, 4)), "y": rng.standard_normal(30), "X_val": rng.standard_normal((20, 4)),
             "y_val": rng.standard_normal(20), **changes}
    with pytest.raises(ValueError, match=message):
        regularization_path(given.pop("X"), given.pop("y"), alphas=5, **given)


def test_labels_that_training_has_not_are_named():
    (X, y, _, _), (Z, u, _, _) = data("logistic")
    with pytest.raises(ValueError, match="y_val must hold the labels of the fit"):
        regularization_path(X, y, datafit="logistic", X_val=Z, y_val=np.where(u == "yes", "maybe", u))
