"""What the tests of single kernels share: designs, and X as the engine sees it, in plain NumPy."""

import numpy as np
import scipy.sparse as sp
from fastreg.adapter.engine import prepare

from fastreg.design import as_design, view_of

STORED = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csc": sp.csc_array, "csr": sp.csr_array}


def some_data(n=60, p=30, density=0.4, seed=0):
    """X with zeros, a high level in one column, one column without zeros, and weights (some are zero) that sum to n."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < density)
    X[:, 1] = 300 + rng.standard_normal(n)
    X[:, 2] = rng.uniform(1, 2, n)
    weight = rng.uniform(0.2, 3, n) * (rng.random(n) < 0.8)
    return X, weight * (n / weight.sum())


def design(X, weight=None, centred=True, n_threads=1):
    """The prepared design; keeps X alive."""
    return prepare(view_of(as_design(X, n_threads), weight, centred))


def view(X, weight=None, centred=True):
    """sqrt(s) (x - mean), from X in long double."""
    X = np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.longdouble)
    s = np.ones(len(X), np.longdouble) if weight is None else weight.astype(np.longdouble)
    mean = s @ X / s.sum() if centred else np.zeros(X.shape[1], np.longdouble)
    return (np.sqrt(s)[:, None] * (X - mean)).astype(np.float64)


def close(found, right, digits=12):
    """Assert that arrays agree to so many digits of the largest value."""
    size = np.max(np.abs(right), initial=0.0) or 1.0
    np.testing.assert_allclose(found, right, rtol=0, atol=size * 10.0**-digits)
