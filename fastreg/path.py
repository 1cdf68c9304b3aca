"""Regularisation paths: the functions, and the object that ``regularization_path`` returns."""
import warnings
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from fastreg.checks import (
    FLOATS,
    FORMATS,
    check_alphas,
    check_flag,
    check_number,
    check_penalty_options,
    check_per_feature,
    check_precompute,
    check_selection,
    check_start,
    check_threads,
    check_weight,
    check_X_y,
)
from fastreg.solvers.linear import Penalty, normalized_weight, solve_path


def warn_unless_converged(solutions, tol, max_iter, stacklevel):
    """ConvergenceWarning that says which gap was reached, which was aimed at, what ended the fit and what helps."""
    if solutions.converged.all():
        return
    by_rounds, by_rounding = (int(np.count_nonzero(solutions.stopped == code)) for code in (1, 2))
    ends = [f"{count} ended by {what}" for count, what in (
        (by_rounds, f"max_iter={max_iter} rounds"), (by_rounding, "rounding, which more rounds cannot mend")) if count]
    helps = ["increase max_iter"] * (by_rounds > 0) + ["increase tol or alpha"] + [
        "leave out columns that are nearly combinations of others"] * (by_rounding > 0)
    k, t = np.unravel_index(np.argmax(np.where(solutions.converged, -1, solutions.relative_gaps)),
                            solutions.stopped.shape)
    warnings.warn(
        f"{by_rounds + by_rounding} of {solutions.stopped.size} solutions did not reach their duality gap: "
        f"{' and '.join(ends)}. Worst at alpha={solutions.alphas[k]:.6g}: gap {solutions.dual_gaps[k, t]:.3e}, "
        f"{solutions.relative_gaps[k, t]:.3e} times the mean squared deviation of y where tol={tol:g} was aimed at. "
        f"What helps: {', or '.join(helps)}.", ConvergenceWarning, stacklevel=stacklevel + 1)


def count_axis(ax, alphas, counts, label):
    """A second axis along the top that gives the number of non-zeros at a few of the alphas."""
    ticks = np.unique(np.linspace(0, len(alphas) - 1, 7).round().astype(int))
    top = ax.secondary_xaxis("top")
    top.set_xticks(alphas[ticks], [f"{count:.0f}" for count in counts[ticks]])
    top.minorticks_off()
    top.set_xlabel(label)


@dataclass
class RegularizationPath:
    """Solutions of a lasso or elastic net along a path of penalties.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties, decreasing.
    coefs : scipy.sparse.csc_array of shape (n_features, n_alphas)
        Coefficients, one column for each alpha.
    intercepts : ndarray of shape (n_alphas,)
    dual_gaps : ndarray of shape (n_alphas,)
        Duality gap of each solution, in units of the objective.
    df : ndarray of shape (n_alphas,)
        Number of non-zero coefficients.
    n_iters : ndarray of shape (n_alphas,)
        Rounds of working set and certificate.
    params : dict
        What was asked for, by the names of arguments: l1_ratio, fit_intercept, penalty_factor, lower_limits,
        upper_limits, standardize, tol. `fastreg.certify` reads it.
    """

    alphas: np.ndarray
    coefs: sp.csc_array
    intercepts: np.ndarray
    dual_gaps: np.ndarray
    df: np.ndarray
    n_iters: np.ndarray
    params: dict = field(default_factory=dict, repr=False, compare=False)
    _solve: object = field(default=None, repr=False, compare=False)

    def __getstate__(self):
        # the training data stays behind
        return {**self.__dict__, "_solve": None}

    def coef_at(self, alpha, exact=False):
        """Coefficients and intercepts at any alpha.

        Parameters
        ----------
        alpha : float or array-like of shape (k,)
            Between the path's values coefficients are interpolated linearly; beyond its ends the end is taken.
        exact : bool, default=False
            Solve anew at alpha instead, from the training data.

        Returns
        -------
        coefs : scipy.sparse.csc_array of shape (n_features, k)
        intercepts : ndarray of shape (k,)

        Raises
        ------
        ValueError
            If alpha is negative or not finite, or if exact is asked of a path that was pickled or belongs to an
            estimator.
        """
        wanted = np.atleast_1d(check_per_feature(alpha, "alpha", np.size(alpha), None))
        if not np.all(np.isfinite(wanted)) or np.any(wanted < 0):
            raise ValueError(f"alpha must be finite and not negative, got {alpha!r}.")
        if check_flag(exact, "exact"):
            if self._solve is None:
                raise ValueError("exact=True needs the training data, which this path has not kept.")
            order = np.argsort(-wanted, kind="stable")
            solved = self._solve(wanted[order])
            back = np.argsort(order)
            return solved.sparse()[:, back], solved.intercepts[back, 0]
        # positions in the decreasing grid, as a weighted mean of the two neighbours
        at = np.interp(-wanted, -self.alphas, np.arange(len(self.alphas), dtype=float))
        lo = np.floor(at).astype(int)
        hi = np.minimum(lo + 1, len(self.alphas) - 1)
        share = at - lo
        coefs = self.coefs[:, lo] @ sp.diags_array(1 - share) + self.coefs[:, hi] @ sp.diags_array(share)
        return sp.csc_array(coefs), (1 - share) * self.intercepts[lo] + share * self.intercepts[hi]

    def predict(self, X, alpha=None, exact=False):
        """Predictions along the path, or at any alpha.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        alpha : float, array-like of shape (k,) or None
            None predicts at every alpha of the path.
        exact : bool, default=False
            Solve anew at alpha instead of interpolating.

        Returns
        -------
        ndarray of shape (n_samples,) for a scalar alpha, else (n_samples, k)
        """
        X = check_array(X, accept_sparse=FORMATS, dtype=FLOATS, input_name="X")
        if X.shape[1] != self.coefs.shape[0]:
            raise ValueError(f"X has {X.shape[1]} features, the path was fitted with {self.coefs.shape[0]}.")
        coefs, intercepts = (self.coefs, self.intercepts) if alpha is None else self.coef_at(alpha, exact)
        used = np.unique(coefs.indices)
        fit = X[:, used] @ coefs[used].toarray() + intercepts
        return fit[:, 0] if np.ndim(alpha) == 0 and alpha is not None else fit

    def plot(self, ax=None):
        """Draw the coefficients against alpha, the number of non-zeros along the top.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; a new figure when None.

        Returns
        -------
        matplotlib.axes.Axes
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
        rows = np.unique(self.coefs.indices)
        positive = self.alphas > 0
        ax.plot(self.alphas[positive], self.coefs[rows].toarray()[:, positive].T, linewidth=1)
        ax.axhline(0, color="0.5", linewidth=0.5)
        ax.set(xscale="log", xlabel="alpha", ylabel="coefficient")
        ax.invert_xaxis()
        count_axis(ax, self.alphas[positive], self.df[positive], "non-zero coefficients")
        return ax


def path_of(pieces, penalty, fit_intercept, tol, solve=None):
    """RegularizationPath of the Solutions of one target, which may come in pieces."""
    coefs = sp.csc_array(sp.hstack([s.sparse() for s in pieces], format="csc"))
    alphas, intercepts, gaps, n_iters = (np.concatenate(parts) for parts in zip(*(
        (s.alphas, s.intercepts[:, 0], s.dual_gaps[:, 0], s.n_iters[:, 0]) for s in pieces)))
    params = {"l1_ratio": penalty.l1_ratio, "fit_intercept": fit_intercept, "penalty_factor": penalty.factor,
              "lower_limits": penalty.lower, "upper_limits": penalty.upper, "standardize": penalty.standardize,
              "tol": tol}
    return RegularizationPath(alphas, coefs, intercepts, gaps, np.diff(coefs.indptr), n_iters, params, solve)


def regularization_path(X, y, *, l1_ratio=1.0, alphas=100, eps=1e-3, fit_intercept=True, sample_weight=None, tol=1e-4,
                        max_iter=1000, positive=False, penalty_factor=None, lower_limits=None, upper_limits=None,
                        standardize=False, n_threads=None, callback=None):
    """Lasso or elastic-net solutions along a path of penalties, each with its duality gap.

    For every alpha, minimises over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``; s are sample weights, f penalty factors.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
        Dense in any order, CSR or CSC with int32 or int64 indices, float32 or float64: used where it lies, never
        modified, centred or made dense. Other types are converted once.
    y : array-like of shape (n_samples,)
    l1_ratio : float in [0, 1], default=1.0
        1 is the lasso, 0 ridge regression (needs `alphas` as an array).
    alphas : int or array-like, default=100
        Number of values, spaced geometrically from the smallest alpha that makes every penalised coefficient zero
        down to `eps` times it; or the values.
    eps : float in (0, 1], default=1e-3
    fit_intercept : bool, default=True
        Fit b, for dense and sparse X alike; it is never penalised.
    sample_weight : array-like of shape (n_samples,), float or None
        Non-negative; only their ratios matter.
    tol : float, default=1e-4
        A solution is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when
        no optimality condition is violated beyond rounding.
    max_iter : int, default=1000
        Rounds of working set and certificate for each alpha.
    positive : bool, default=False
        Same as ``lower_limits=0``.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.
    lower_limits, upper_limits : float, array-like of shape (n_features,) or None
        Limits of the coefficients; they must bracket 0.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the (weighted) standard deviation of feature j, about its mean with an
        intercept and about 0 without; coefficients are returned on the original scale.
    n_threads : int or None
        None: as many as OpenMP would use, one inside somebody's worker threads.
    callback : callable or None
        Called as ``callback(k, n_alphas)`` from time to time, k values being done.

    Returns
    -------
    RegularizationPath
        alphas, coefs (CSC, n_features x n_alphas), intercepts, dual_gaps, df, n_iters; predict, plot.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described; the message names it.

    Warns
    -----
    ConvergenceWarning
        Where `max_iter` or rounding ended a fit before its gap was reached; the message says which.

    References
    ----------
    Working sets and strong rules: Tibshirani et al., "Strong rules for discarding predictors in lasso-type problems",
    JRSS B 74 (2012). Duality gap and safe bounds: Ndiaye et al., "Gap safe screening rules for sparsity enforcing
    penalties", JMLR 18 (2017).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import regularization_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(X, y, alphas=5)
    >>> path.df.tolist()
    [0, 4, 7, 9, 10]
    """
    check_number(l1_ratio, "l1_ratio", 0, 1)
    X, y = check_X_y(X, y)
    if y.ndim != 1:
        raise ValueError(f"y must have one dimension, got shape {y.shape}; fit targets one by one.")
    n, p = X.shape
    options = check_penalty_options(p, positive=positive, penalty_factor=penalty_factor, lower_limits=lower_limits,
                                    upper_limits=upper_limits)
    alphas = check_alphas(alphas, eps, l1_ratio)
    count = alphas if isinstance(alphas, int) else len(alphas)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}.")
    penalty = Penalty(l1_ratio, standardize=check_flag(standardize, "standardize"), **options)
    settings = {
        "fit_intercept": check_flag(fit_intercept, "fit_intercept"),
        "weight": normalized_weight(check_weight(sample_weight, n), n),
        "tol": check_number(tol, "tol", 0),
        "max_iter": int(check_number(max_iter, "max_iter", 1, kind=Integral)),
        "n_threads": check_threads(n_threads),
    }

    def solve(values, report=None):
        solutions = solve_path(X, y[:, None], values, penalty, eps=eps, report=report, **settings)
        warn_unless_converged(solutions, tol, max_iter, stacklevel=3)
        return solutions

    found = solve(alphas, None if callback is None else lambda k: callback(k, count))
    return path_of([found], penalty, settings["fit_intercept"], tol, solve)


def check_per_product(Xy, p, n_targets):
    """X'y as an array of shape (p, n_targets)."""
    array = check_array(Xy, dtype=np.float64, ensure_2d=False, input_name="Xy")
    if array.shape not in ((p,), (p, n_targets)) or array.size != p * n_targets:
        raise ValueError(f"Xy must have shape ({p},) or ({p}, {n_targets}), got {array.shape}.")
    return array.reshape(p, n_targets)


def enet_path(X, y, *, l1_ratio=0.5, eps=1e-3, alphas=100, precompute="auto", Xy=None, copy_X=True, coef_init=None,
              verbose=False, return_n_iter=False, positive=False, check_input=True, tol=1e-4, max_iter=1000,
              sample_weight=None, selection="cyclic", random_state=None, n_threads=None):
    """Elastic-net path without intercept, with scikit-learn's arguments and return values.

    For every alpha, minimises over w::

        1 / (2 n) ||y - X w||^2 + alpha * l1_ratio * ||w||_1 + alpha * (1 - l1_ratio) / 2 * ||w||^2

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
    l1_ratio : float in [0, 1], default=0.5
    eps : float in (0, 1], default=1e-3
        Smallest alpha over largest.
    alphas : int or array-like, default=100
    precompute : bool, 'auto' or array-like of shape (n_features, n_features), default='auto'
        True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix.
    Xy : array-like of shape (n_features,) or (n_features, n_targets), or None
        X'y; it is computed anyway, and must agree.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    coef_init : array-like of shape (n_features,) or (n_targets, n_features), or None
        Where to start.
    verbose : bool or int, default=False
        Print the alpha count as the path goes on.
    return_n_iter : bool, default=False
    positive : bool, default=False
    check_input : bool, default=True
        Accepted for compatibility; the checks that remain cost next to nothing.
    tol : float, default=1e-4
        Duality gap, relative to ||y||^2, at which a solution is accepted.
    max_iter : int, default=1000
    sample_weight : array-like of shape (n_samples,), float or None
    selection : {'cyclic', 'random'}, default='cyclic'
        The solution is exact in any order of updates.
    random_state : int, RandomState or None
        Nothing is random: any value gives the same result.
    n_threads : int or None

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    dual_gaps : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
    n_iters : list of int
        Only with `return_n_iter`.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described; the message names it.

    See Also
    --------
    regularization_path : With intercept, standardisation and limits; sparse coefficients.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import enet_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> alphas, coefs, dual_gaps = enet_path(X, y - y.mean(), l1_ratio=0.9, alphas=5)
    >>> coefs.shape
    (10, 5)
    """
    check_number(l1_ratio, "l1_ratio", 0, 1)
    check_selection(selection)
    X, y = check_X_y(X, y)
    n, p = X.shape
    Y = y if y.ndim == 2 else y[:, None]
    options = check_penalty_options(p, positive=positive, penalty_factor=None, lower_limits=None, upper_limits=None)
    alphas = check_alphas(alphas, eps, l1_ratio)
    count = alphas if isinstance(alphas, int) else len(alphas)
    solutions = solve_path(
        X, Y, alphas, Penalty(l1_ratio, **options), fit_intercept=False, eps=eps,
        weight=normalized_weight(check_weight(sample_weight, n), n), tol=check_number(tol, "tol", 0),
        max_iter=int(check_number(max_iter, "max_iter", 1, kind=Integral)), n_threads=check_threads(n_threads),
        gram=check_precompute(precompute, p), warm=check_start(coef_init, Y.shape[1], p),
        xy=None if Xy is None else check_per_product(Xy, p, Y.shape[1]),
        report=(lambda k: print(f"fastreg: {k} of {count} alphas")) if verbose else None)
    warn_unless_converged(solutions, tol, max_iter, stacklevel=2)
    coefs = solutions.dense().T
    gaps, n_iters = solutions.dual_gaps[:, 0], solutions.n_iters[:, 0].tolist()
    if y.ndim == 2:
        coefs = coefs.reshape(p, len(solutions.alphas), -1).transpose(2, 0, 1)
        gaps, n_iters = solutions.dual_gaps.T, solutions.n_iters.max(axis=1).tolist()
    return (solutions.alphas, coefs, gaps, n_iters) if return_n_iter else (solutions.alphas, coefs, gaps)


def lasso_path(X, y, **params):
    """Lasso path without intercept, with scikit-learn's arguments and return values.

    For every alpha, minimises over w: ``1 / (2 n) ||y - X w||^2 + alpha * ||w||_1``.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
    **params : dict
        Those of `enet_path` but `l1_ratio`: eps, alphas, precompute, Xy, copy_X, coef_init, verbose, return_n_iter,
        positive, tol, max_iter, sample_weight, n_threads, ...

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
    coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    dual_gaps : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
    n_iters : list of int
        Only with `return_n_iter`.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described; the message names it.

    See Also
    --------
    regularization_path : With intercept, standardisation and limits; sparse coefficients.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import lasso_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> alphas, coefs, dual_gaps = lasso_path(X, y - y.mean(), alphas=5)
    >>> (coefs != 0).sum(axis=0).tolist()
    [0, 4, 7, 9, 10]
    """
    if "l1_ratio" in params:
        raise TypeError("lasso_path() has no argument l1_ratio: use enet_path.")
    return enet_path(X, y, l1_ratio=1.0, **params)
