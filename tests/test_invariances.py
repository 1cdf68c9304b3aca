"""Invariances of every loss: a weight of 2 is a row twice, of 0 a row absent; any storage, layout, dtype or number of
threads gives what C gives."""
import numpy as np
import own_losses
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from fastreg import HuberRegressor, adapter, regularization_path
from fastreg.datafits import custom

LABELS, AMOUNTS = ("logistic", "squared_hinge", "focal"), ("gamma", "inverse_gaussian", "tweedie(2.5)")
NAMES = (*LABELS, *AMOUNTS, "poisson", "tweedie(1.5)", "tweedie(0.0)", "huber(1.5)", "pinball", "scale", "quadratic")
ALPHAS = np.array([0.3, 0.05, 0.005])
STORES = (np.asfortranarray, sp.csr_array, sp.csc_array, sp.coo_array)


def data(name, seed, n=70, p=9):
    """X of small integers, y and weights."""
    rng = np.random.default_rng(seed)
    X = np.rint(4 * rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.7))
    eta = X[:, :3] @ rng.choice([0.1, -0.1, 0.05], 3)
    weights = rng.integers(0, 4, n).astype(float)
    weights[:2] = 1
    if name in LABELS:
        y = np.where(rng.random(n) < 1 / (1 + np.exp(-4 * eta)), 1.0, 0.0)
        y[:2] = 0, 1
    elif name in AMOUNTS:
        y = np.exp(eta) * rng.gamma(3, 1 / 3, n)
    elif name == "poisson":
        y = rng.poisson(2 * np.exp(eta)).astype(float)
    elif name.startswith("tweedie"):
        y = np.exp(eta) * rng.gamma(2, 0.5, n) * (rng.random(n) < 0.7)
    else:
        y = 5 * eta + rng.standard_t(2, n)
    return X, y, weights, 0.3 * rng.standard_normal(n), float(rng.choice([0, 0.5, 1]))


class Fits:
    """Coefficients and intercepts of a loss along some alphas."""

    def __init__(self, name, ratio, offset):
        self.name, self.ratio, self.offset = name, ratio, offset
        functions = {"focal": ("focal", "labels", False), "pinball": ("pinball", None, True)}.get(name)
        self.datafit = name
        if functions is not None:
            pytest.importorskip("numba")
            called, domain, convex = functions
            self.datafit = custom(*(getattr(own_losses, called + part) for part in ("", "_slope", "_curvature")),
                                  domain=domain, convex=convex)

    def __call__(self, X, y, weights=None, take=slice(None), n_threads=1):
        if self.name == "scale":                                      # of sums
            alphas = ALPHAS * (len(y) if weights is None else np.sum(weights))
            model = HuberRegressor(l1_ratio=self.ratio, tol=1e-12, max_iter=1000, n_threads=n_threads)
            found = [clone(model).set_params(alpha=alpha).fit(X, y, weights) for alpha in alphas]
            return np.array([[*one.coef_, one.intercept_, one.scale_] for one in found])
        path = regularization_path(X, y, datafit=self.datafit, alphas=ALPHAS, l1_ratio=self.ratio, tol=1e-12,
                                   sample_weight=weights, offset=self.offset[take], n_threads=n_threads, max_iter=3000)
        return np.column_stack([path.coefs.toarray().T, path.intercepts])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", NAMES)
def test_invariances(name, seed):
    X, y, weights, offset, ratio = data(name, seed)
    fit, rows, kept = Fits(name, ratio, offset), np.repeat(np.arange(70), weights.astype(int)), weights > 0
    right, before = fit(X, y, weights), X.copy()

    def near(found, within=2e-5):
        np.testing.assert_allclose(found, right, atol=within * np.abs(right).max())

    near(fit(X[rows], y[rows], take=rows))
    near(fit(X[kept], y[kept], weights[kept], take=kept))
    near(fit(np.where(kept[:, None], X, 1e3), np.where(kept, y, y.max()), weights))
    for store in STORES:
        near(fit(store(X), y, weights))
    near(fit(X[::-1].copy()[::-1], y[::-1].copy()[::-1], weights))
    near(fit(np.repeat(X, 2, axis=1)[:, ::2], np.repeat(y, 2)[::2], np.repeat(weights, 2)[::2]))
    near(fit(X[::-1].copy(), y[::-1].copy(), weights[::-1].copy(), take=slice(None, None, -1)))
    for dtype in (np.int64, np.int8, ">f8"):
        near(fit(X.astype(dtype), y, weights.astype(np.int32)))
    near(fit(X.astype(np.float32), list(y), weights), 3e-5)
    for part in (X, y, weights):
        part.flags.writeable = False
    np.testing.assert_array_equal(fit(X, y, weights), right)
    with adapter.parallel_work(0):
        one, two = (fit(X, y, weights, n_threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
    near(two)
    np.testing.assert_array_equal(X, before)
