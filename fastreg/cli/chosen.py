"""The model whose coefficients are shown: the best by cross-validation, or the last of the path."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

import fastreg
from fastreg.cli.errors import DataError
from fastreg.progress import Bar

WIDEST = 1e-12
OF_CLASSES = ("logistic", "multinomial")


class Model(NamedTuple):
    """One solution of a path.

    Attributes
    ----------
    alpha : float
        Its penalty.
    coefs : ndarray of shape (n_outputs, n_features)
        Coefficients: one row, or of several classes one for each.
    intercepts : ndarray of shape (n_outputs,)
    verdict : Verdict
        The referee's.
    curves : SelectionCurves or None
        What it was chosen by.
    """

    alpha: float
    coefs: np.ndarray
    intercepts: np.ndarray
    verdict: object
    curves: object


def chosen_by_folds(data, path, options):
    """Scores of the path's penalties by cross-validation, of the CV class that suits the loss.

    Folds are made of shuffled rows, of classes with equal shares of each: files are often sorted.

    Parameters
    ----------
    data : Data
    path : Path
        Of all rows.
    options : argparse.Namespace
        cv, l1_ratio, tol, threads.

    Returns
    -------
    SelectionCurves
    """
    n = len(data.y)
    if data.model == "squared_hinge":
        raise DataError("--cv: no class chooses alpha for the squared hinge; --model logistic has one")
    if options.cv > n:
        raise DataError(f"{data.name}: --cv {options.cv} makes more folds than there are rows ({n})")
    classes = data.model in OF_CLASSES
    folds = (StratifiedKFold if classes else KFold)(options.cv, shuffle=True, random_state=0)
    bar = Bar("cross-validation", delay=1.0, brief=True)
    common = {"cv": folds, "refit": False, "tol": options.tol, "n_threads": options.threads, "callback": bar}
    grid = {"l1_ratio": options.l1_ratio, "alphas": path.alphas}
    if classes:
        model = fastreg.LogisticRegressionCV(Cs=1 / (n * path.alphas), l1_ratios=(options.l1_ratio,), **common)
    elif data.model == "quadratic":
        model = fastreg.ElasticNetCV(**grid, **common)
    else:
        model = fastreg.GeneralizedLinearRegressorCV(data.model, **grid, **common)
    try:
        with warnings.catch_warnings():
            # It speaks of arguments; the report says the same of options.
            warnings.filterwarnings("ignore", "The chosen")
            return model.fit(data.X, data.y).cv_path_
    finally:
        bar.close()


def ridge_alphas(data, count, eps):
    """Penalties of a ridge path: without an L1 penalty none is the smallest that leaves no coefficient.

    Parameters
    ----------
    data : Data
    count : int
    eps : float or None
        Smallest over largest. None: the smallest is a thousandth of the least variance, times that curvature, or 1e-12
        of the largest if that is more.

    Returns
    -------
    ndarray of shape (count,)
        Decreasing. At the largest, the sum of the columns' variances times ten and times the curvature of the loss at
        the mean, slopes have at most a tenth of a degree of freedom.
    """
    variances = spreads(data.X, np.arange(data.X.shape[1])) ** 2
    if data.model in OF_CLASSES:
        curvature = 0.25
    elif data.model == "poisson" or data.model.startswith("tweedie"):
        power = 1.0 if data.model == "poisson" else float(data.model[len("tweedie("):-1])
        curvature = np.mean(data.y) ** (2 - power)
    else:
        curvature = 1.0
    top = 10 * np.sum(variances)
    if not top > 0:
        return np.geomspace(1, eps or 1e-6, count)
    least = 1e-3 * np.min(variances[variances > 0])
    return curvature * top * np.geomspace(1, eps or max(least / top, WIDEST), count)


def solution(data, path, verdicts, curves):
    """The solution that the curves choose; without them the last.

    Parameters
    ----------
    data : Data
    path : Path
    verdicts : list of Verdict
        Of each solution.
    curves : SelectionCurves or None

    Returns
    -------
    Model
    """
    k = -1 if curves is None else int(np.argmin(np.abs(path.alphas - curves.alphas[curves.chosen])))
    several = data.model == "multinomial"
    columns = [np.asarray(coefs[:, [k]].toarray())[:, 0] for coefs in (path.coefs if several else [path.coefs])]
    return Model(float(path.alphas[k]), np.array(columns), np.atleast_1d(path.intercepts[..., k]), verdicts[k], curves)


def spreads(X, columns):
    """Standard deviations of some columns.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
    columns : ndarray of int

    Returns
    -------
    ndarray of shape (n_columns,)
        In float64; X is neither copied nor made dense. Columns are divided by their largest entry first: squares of
        extreme ones overflow.
    """
    if isinstance(X, np.ndarray):
        return np.array([_spread(X[:, j], len(X)) for j in columns])
    some = (X if X.format in ("csr", "csc") else X.tocsc())[:, columns].tocsc()
    return np.array([_spread(some.data[start:end], X.shape[0]) for start, end in zip(some.indptr, some.indptr[1:])])


def _spread(entries, n):
    """Standard deviation of n values, all but the given ones zero."""
    top = float(np.max(np.abs(entries), initial=0)) or 1.0
    entries = entries / np.float64(top)
    mean, zeros = np.sum(entries) / n, n - len(entries)
    return top * np.sqrt((np.sum((entries - mean) ** 2) + zeros * mean**2) / n)
