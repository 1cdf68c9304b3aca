"""Data sets by name: generated, scikit-learn's bundled and fetchable ones, and the .npz files of FASTREG_DATA.

A name is one of `GENERATED`, `BUNDLED` or `FETCHED`, the stem of a file in FASTREG_DATA, one of `DERIVED` from such a
file, or a generator with its arguments: ``correlated:n:p:rho:support[:snr]`` or ``text:n:p:words:support``.
"""

import os
from pathlib import Path

import numpy as np
import sklearn.datasets
from scipy import sparse


def correlated(n, p, rho, support, snr=3.0):
    """Gaussian columns, each correlated rho with the one before it, and a sparse linear target."""
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((n, p)))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    coef = np.zeros(p)
    coef[rng.choice(p, support, replace=False)] = rng.choice([-1, 1], support) * (0.5 + rng.random(support))
    signal = X @ coef
    return X, signal + rng.standard_normal(n) * signal.std() / np.sqrt(snr)


def text_like(n, p, words, support):
    """Sparse rows of unit length whose column frequencies fall as Zipf's law has it."""
    rng = np.random.default_rng(0)
    frequency = np.arange(1, p + 1) ** -0.9
    columns = rng.choice(p, n * words, p=frequency / frequency.sum())
    values = rng.lognormal(0, 0.5, n * words)
    X = sparse.csc_matrix((values, (np.repeat(np.arange(n), words), columns)), shape=(n, p))
    X = sparse.csc_matrix(sparse.diags(1 / np.sqrt(X.multiply(X).sum(axis=1)).A1) @ X)
    coef = np.zeros(p)
    coef[rng.choice(p // 10, support, replace=False)] = rng.standard_normal(support)
    signal = X @ coef
    return X, signal + 0.5 * signal.std() * rng.standard_normal(n)


GENERATED = {
    "toy": lambda: correlated(60, 30, 0.5, 5),
    "toy-text": lambda: text_like(80, 120, 8, 5),
    "wide": lambda: correlated(500, 10_000, 0.5, 50, 5.0),
    "widehard": lambda: correlated(500, 10_000, 0.95, 50, 5.0),
    "square": lambda: correlated(3000, 3000, 0.8, 100, 3.0),
    "tall": lambda: correlated(100_000, 300, 0.7, 60, 1.0),
    "tallhard": lambda: correlated(50_000, 1000, 0.95, 100, 1.0),
    "gauss300": lambda: correlated(20_000, 300, 0.0, 50, 3.0),
    "gauss2000": lambda: correlated(20_000, 2000, 0.0, 50, 3.0),
}
GENERATORS = {"correlated": correlated, "text": text_like}
BUNDLED = {"diabetes": "load_diabetes", "digits": "load_digits", "breast_cancer": "load_breast_cancer"}
FETCHED = {
    "fetch-california_housing": "fetch_california_housing",
    "fetch-20newsgroups": "fetch_20newsgroups_vectorized",
    "fetch-covtype": "fetch_covtype",
    "fetch-olivetti_faces": "fetch_olivetti_faces",
}


def unit(X, y):
    """Columns of mean zero and standard deviation one, but for constant ones, which go."""
    sd = X.std(axis=0)
    keep = sd > 1e-12 * np.abs(X).max(axis=0, initial=1e-300)
    return (X[:, keep] - X[:, keep].mean(axis=0)) / sd[keep], y


# Problems made from a stored data set: its name, and what X and y become.
DERIVED = {
    "covtype_elevation": ("covtype_binary", lambda X, y: (X[:, 1:], X[:, 0])),
    "fashion_mnist_255": ("fashion_mnist_train", lambda X, y: (X / 255, y)),
    "leukemia_unit": ("leukemia_golub72", unit),
    "spambase_unit": ("spambase", unit),
    "bike_unit": ("bike_kaggle", unit),
    "nmes_unit": ("nmes_physician", unit),
    "fashion_10000": ("fashion_mnist_train", lambda X, y: (X[:10_000] / 255, y[:10_000])),
}
# Another array of a stored data set as y: amounts where they are positive, or classes.
AMOUNTS = {"bemtpl97_amounts": ("bemtpl97_onehot", "amount")}
CLASSES = {"news20_classes": ("news20_train_bigram", "y20")}
LAYOUTS = {
    "columns": (np.asfortranarray, sparse.csc_matrix),
    "rows": (np.ascontiguousarray, sparse.csr_matrix),
}


def load(name, layout):
    """Read or generate a data set.

    Parameters
    ----------
    name : str
        See the module.
    layout : {"columns", "rows"}
        Fortran order or CSC, or C order or CSR.

    Returns
    -------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The data in float64.
    y : ndarray of shape (n_samples,)
        The target in float64; classes are their numbers.

    Raises
    ------
    FileNotFoundError
        There is no such data set, no such file, or no network.
    """
    X, y = _read(name)
    as_dense, as_sparse = LAYOUTS[layout]
    if not sparse.issparse(X):
        return as_dense(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    X = as_sparse(X, dtype=np.float64)
    X.sort_indices()
    return X, np.asarray(y, dtype=np.float64)


def stored_names():
    """Names of the data sets in FASTREG_DATA that hold X (or a sparse matrix) and a numeric y."""
    folder = os.environ.get("FASTREG_DATA")
    return sorted(path.stem for path in Path(folder).glob("*.npz") if _is_regression(path)) if folder else []


def alpha_max(X, y, l1_ratio):
    """The smallest penalty with all coefficients zero."""
    centred = y - y.mean()
    offset = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    return np.abs(X.T @ centred - offset * centred.sum()).max() / (len(y) * l1_ratio)


def _read(name):
    kind, *arguments = name.split(":")
    if kind in GENERATORS:
        return GENERATORS[kind](*(float(text) if "." in text else int(text) for text in arguments))
    if name in GENERATED:
        return GENERATED[name]()
    if name in BUNDLED:
        return getattr(sklearn.datasets, BUNDLED[name])(return_X_y=True)
    if name in FETCHED:
        return _fetch(name)
    if name in AMOUNTS:
        X, y = _read_stored(*AMOUNTS[name])
        return X[y > 0], y[y > 0]
    if name in CLASSES:
        return _read_stored(*CLASSES[name])
    if name in DERIVED:
        source, change = DERIVED[name]
        return change(*_read_stored(source))
    return _read_stored(name)


def _fetch(name):
    try:
        return getattr(sklearn.datasets, FETCHED[name])(return_X_y=True)
    except OSError as error:  # URLError, HTTPError and timeouts are OSErrors
        raise FileNotFoundError(f"{name} cannot be downloaded, and there is no copy of it here: {error}") from error


def _read_stored(name, target="y"):
    folder = os.environ.get("FASTREG_DATA")
    if not folder:
        raise FileNotFoundError(f"{name} is a stored data set, and FASTREG_DATA names no folder")
    path = Path(folder) / f"{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    with np.load(path) as arrays:
        y = arrays[target].astype(np.float64)
        if "indptr" in arrays:
            parts = arrays["data"].astype(np.float64), arrays["indices"], arrays["indptr"]
            return sparse.csr_matrix(parts, shape=tuple(arrays["shape"])), y
        return arrays["X"].astype(np.float64), y


def _is_regression(path):
    with np.load(path) as arrays:
        return "y" in arrays and ("X" in arrays or "indptr" in arrays)
