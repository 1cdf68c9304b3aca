"""Problems, storages and the one assertion that most tests share: the referee certifies the fit."""

import os
import tempfile
from itertools import combinations, product

import numpy as np
import scipy.sparse as sp
from referee import Referee

TOL = 1e-10  # what the exactness tests ask for
SHARED_OPTIONS = ["l1_ratio", "fit_intercept", "positive", "penalty_factor"]
SHARED_OPTIONS += ["lower_limits", "upper_limits", "standardize"]


def make_data(seed=0, n=40, p=25, density=0.5, noise=0.5):
    """X (exact in float32, with zeros, correlated, scales 0.1 to 10), y, and sample weights of which some are zero."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    X *= 10.0 ** rng.uniform(-1, 1, p) * (rng.random((n, p)) < density)
    X = X.astype(np.float32).astype(np.float64)
    y = X @ (rng.standard_normal(p) * (rng.random(p) < 0.4)) + 3.0
    y = y + noise * (y.std() + 0.1) * rng.standard_normal(n)
    weights = rng.uniform(0.2, 3.0, n) * (rng.random(n) < 0.8)
    weights[0] = 1.0
    return X, y, weights


def _strided(X):
    big = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, dtype=X.dtype)
    big[::2, ::3] = X
    return big[::2, ::3]


def _memmap(order):
    def store(X):
        handle, name = tempfile.mkstemp()
        os.close(handle)
        shape = X.shape
        with open(name, "wb") as f:
            f.write(X.tobytes(order=order))
        mapped = np.memmap(name, dtype=X.dtype, mode="r", shape=shape, order=order)
        os.unlink(name)  # the map keeps the pages
        return mapped

    return store


def _wide_indices(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def _unsorted(X):
    for k in range(len(X.indptr) - 1):
        part = slice(X.indptr[k], X.indptr[k + 1])
        X.indices[part], X.data[part] = X.indices[part][::-1].copy(), X.data[part][::-1].copy()
    X.has_sorted_indices = False
    return X


def _duplicates(X):
    """Every entry twice, as a quarter and three quarters (exact in binary): they add up to X."""
    out = X.copy()
    out.data = np.repeat(X.data, 2) * np.tile(np.array([0.25, 0.75], X.dtype), X.nnz)
    out.indices, out.indptr = np.repeat(X.indices, 2), X.indptr * 2
    return out


def _coo_duplicates(X):
    X = sp.coo_matrix(X)
    half = np.concatenate([X.data / 4, X.data / 4 * 3])
    return sp.coo_matrix((half, (np.tile(X.row, 2), np.tile(X.col, 2))), shape=X.shape)


DENSE = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "memmap_C": _memmap("C"),
    "memmap_F": _memmap("F"),
}
SPARSE = {
    "csr_matrix": sp.csr_matrix,
    "csc_matrix": sp.csc_matrix,
    "csr_array": sp.csr_array,
    "csc_array": sp.csc_array,
    "csr_int64": lambda X: _wide_indices(sp.csr_matrix(X)),
    "csc_int64": lambda X: _wide_indices(sp.csc_array(X)),
    "csr_unsorted": lambda X: _unsorted(sp.csr_matrix(X)),
    "csc_unsorted": lambda X: _unsorted(sp.csc_matrix(X)),
    "csr_duplicates": lambda X: _duplicates(sp.csr_matrix(X)),
    "csc_duplicates": lambda X: _duplicates(sp.csc_matrix(X)),
    "coo_duplicates": _coo_duplicates,
    "coo_array": sp.coo_array,
    "lil_matrix": sp.lil_matrix,
    "dok_array": sp.dok_array,
}
STORAGES = DENSE | SPARSE


def parts(X):
    """The arrays that hold X, to see whether a fit wrote to them."""
    if not sp.issparse(X):
        return [np.asarray(X)]
    return [getattr(X, name) for name in ("data", "indices", "indptr", "row", "col") if hasattr(X, name)]


def referee_of(model, X, y, sample_weight=None):
    """The referee of the problem that an estimator's parameters describe."""
    params = model.get_params()
    options = {k: params[k] for k in SHARED_OPTIONS if k in params}
    return Referee(X, y, params["alpha"], sample_weight=sample_weight, **options)


def certify(model, X, y, sample_weight=None, gap=None, kkt=None):
    """Assert that a fitted model is optimal to its tolerance, by the referee's figures and not by its own.

    A gap bounds the residual's error by its square root: hence the larger tolerance for KKT.
    """
    gap = 2.1 * model.tol + 1e-13 if gap is None else gap
    kkt = max(1e-5, np.sqrt(gap)) if kkt is None else kkt
    referee = referee_of(model, X, y, sample_weight)
    w, b = np.asarray(model.coef_, dtype=np.float64), float(np.asarray(model.intercept_).item())
    assert np.isfinite(w).all() and np.isfinite(b)
    found = referee.relative_gap(w, b)
    assert found <= gap, f"relative gap {found:.3g} > {gap:.3g}"
    violation = referee.kkt(w)
    assert violation <= kkt, f"KKT residual {violation:.3g} > {kkt:.3g}"
    rounding = 1e-12 * referee.p0 + 1e-28 * np.square(y).max()
    assert -rounding <= model.dual_gap_ <= gap * referee.p0 + rounding, "dual_gap_ is off"
    return referee


def correlated(n, p, rho, seed=0, k=10):
    """Dense F-ordered X whose neighbouring columns correlate by rho, and y from k of them."""
    rng = np.random.default_rng(seed)
    X = np.empty((n, p), order="F")
    X[:, 0] = rng.standard_normal(n)
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    y = X[:, rng.choice(p, k, replace=False)] @ rng.standard_normal(k) + rng.standard_normal(n)
    return X, y


def label(value):
    """Ids of cases: options are written out, the rest is as pytest has it."""
    return str(value) if isinstance(value, dict) else None


def covering(*factors, strength=2):
    """Cases, one value of each factor, in which any values of any `strength` factors occur together: far fewer than
    the full product.

    Faults that take more factors than that to show are left to chance. Greedy and deterministic: each case begins with
    the first values that have not met yet, and goes on with those that meet most others for the first time."""
    factors = [list(factor) for factor in factors]
    together = list(combinations(range(len(factors)), strength))
    left = {(at, values) for at in together for values in product(*(range(len(factors[k])) for k in at))}

    def meet(case):
        return {(at, tuple(case[k] for k in at)) for at in together if all(k in case for k in at)}

    cases = []
    while left:
        case = dict(zip(*min(left)))
        for k in set(range(len(factors))) - set(case):
            case[k] = max(range(len(factors[k])), key=lambda value: len(meet({**case, k: value}) & left))
        left -= meet(case)
        cases.append(tuple(factor[case[k]] for k, factor in enumerate(factors)))
    return cases
