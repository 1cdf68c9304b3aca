"""Ridge regression at many penalties: the path, and choosing alpha by leave-one-out or by folds."""
import threading
import warnings
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastreg.checks import check_flag, check_per_feature, check_threads, check_weight_values, check_X_y
from fastreg.crossval import select
from fastreg.path import count_axis
from fastreg.selection import plot_curves
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.folds import in_threads, jobs_and_threads
from fastreg.solvers.ridge_folds import MOST_STEPS, RidgeFit, fold_fits
from fastreg.solvers.spectrum import Problem


@dataclass
class RidgePath:
    """Ridge regression at many penalties.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    coefs : ndarray of shape (n_alphas, n_features) or (n_alphas, n_targets, n_features)
    intercepts : ndarray of shape (n_alphas,) or (n_alphas, n_targets)
    df : ndarray of shape (n_alphas,)
        Effective degrees of freedom, the trace of the hat matrix; the intercept counts as one.
    gcv : ndarray of shape (n_alphas,) or (n_alphas, n_targets)
        Generalised cross-validation score ``n RSS / (n - df)^2``, n being the number of rows of positive weight and
        RSS weighted; infinite where no degree of freedom is left.
    params : dict
        What was asked for, by the names of arguments: fit_intercept, penalty_factor, standardize. `fastreg.certify`
        reads it.
    """

    alphas: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    df: np.ndarray
    gcv: np.ndarray
    params: dict = field(default_factory=dict, repr=False, compare=False)

    def plot(self, ax=None):
        """Draw the coefficients against alpha, the effective degrees of freedom along the top.

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
        positive = self.alphas > 0
        ax.plot(self.alphas[positive], self.coefs[positive].reshape(np.count_nonzero(positive), -1), linewidth=1)
        ax.axhline(0, color="0.5", linewidth=0.5)
        ax.set(xscale="log", xlabel="alpha", ylabel="coefficient")
        ax.invert_xaxis()
        count_axis(ax, self.alphas[positive], self.df[positive], "effective degrees of freedom")
        return ax


def ridge_path(X, y, alphas, *, fit_intercept=True, sample_weight=None, penalty_factor=None, standardize=False,
               n_threads=None):
    """Ridge regression at every alpha, from one eigendecomposition.

    For every alpha and every column of y, minimises over w and b::

        sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j w_j^2

    s are sample weights, f penalty factors. X'X or the kernel XX', whichever is smaller, is decomposed once.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
        Dense in any order, CSR or CSC, float32 or float64: used where it lies, never modified, centred or made dense.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
    alphas : array-like of shape (n_alphas,)
        Not negative; 0 gives the least-squares solution of minimum norm.
    fit_intercept : bool, default=True
        Fit b, which is not penalised.
    sample_weight : array-like of shape (n_samples,), float or None
        Non-negative; like scikit-learn's, not rescaled: doubling them is halving alpha.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature, positive: inf excludes a feature.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the (weighted) standard deviation of feature j, about its mean with an
        intercept and about 0 without; coefficients are returned on the original scale.
    n_threads : int or None
        None: as many as OpenMP would use, one inside somebody's worker threads.

    Returns
    -------
    RidgePath
        alphas (decreasing), coefs, intercepts, df, gcv; plot.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described, or where X is sparse with more than 5000 rows and 5000 columns; the
        message says which.

    References
    ----------
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., section 3.4; Golub, Heath and
    Wahba, "Generalized cross-validation as a method for choosing a good ridge parameter", Technometrics 21 (1979).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import ridge_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = ridge_path(X, y, [0.01, 1, 100])
    >>> path.df.round(1).tolist()
    [1.1, 4.8, 10.0]
    """
    X, y = check_X_y(X, y)
    n, p = X.shape
    alphas = np.sort(check_alphas(alphas))[::-1]
    factor = check_factor(penalty_factor, p)
    weight = check_weight_values(sample_weight, n)
    with single_threaded_blas:
        problem = Problem(X, y.reshape(n, -1), weight, check_flag(fit_intercept, "fit_intercept"),
                          check_threads(n_threads))
        spectrum = problem.spectrum(factor, check_flag(standardize, "standardize"))
        if spectrum is None:
            raise ValueError(f"X is sparse with {n} rows and {p} columns: both are too many for a decomposition. Fit "
                             "Ridge at each alpha.")
        coefs = spectrum.coefs(alphas)
        df, residuals = spectrum.df(alphas), spectrum.residuals(alphas)
    left = np.maximum(problem.rows - df, 0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        gcv = np.where(left > 0, problem.rows * residuals / left**2, np.inf)
    intercepts = spectrum.intercepts(coefs)
    if y.ndim == 1:
        coefs, intercepts, gcv = coefs[:, 0], intercepts[:, 0], gcv[:, 0]
    return RidgePath(alphas, coefs, intercepts, df, gcv, {
        "fit_intercept": fit_intercept, "penalty_factor": penalty_factor, "standardize": standardize})


def check_alphas(alphas, positive=False):
    """Penalties as a float64 array of shape (n_alphas,), in the order given."""
    try:
        array = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    except (TypeError, ValueError):
        raise TypeError(f"alphas must be a number or an array of numbers, got {alphas!r}.") from None
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"alphas must be a number or a one-dimensional array, got shape {array.shape}.")
    if not np.all(np.isfinite(array)) or np.any(array < 0) or (positive and np.any(array == 0)):
        raise ValueError(f"alphas must be finite and {'positive' if positive else 'not negative'}, got {alphas!r}.")
    return array


def check_factor(penalty_factor, p):
    """Penalty factors, a positive number or an array of shape (p,) of such."""
    factor = check_per_feature(penalty_factor, "penalty_factor", p, 1.0)
    if np.any(factor <= 0):
        raise ValueError("penalty_factor must be positive here: one penalty grid serves all features.")
    return factor


@dataclass
class CrossValidatedRidgePath:
    """Scores of ridge regression by alpha and fold, and what they make us choose.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    fold_scores : ndarray of shape (n_alphas, n_folds)
    mean, standard_error : ndarray of shape (n_alphas,)
        Over folds.
    df : ndarray of shape (n_alphas,)
        Effective degrees of freedom of the fit of all rows; NaN where X is sparse and too large to tell.
    metric : str
        What the scores are; the greater the better.
    best, best_1se : int
        Indices of the best mean, ties going to the larger alpha, and of the largest alpha within one standard error
        of it.
    selection_rule : {'min', '1se'}
        Which of them is chosen.
    """

    alphas: np.ndarray
    fold_scores: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray
    metric: str
    best: int
    best_1se: int
    selection_rule: str

    @property
    def chosen(self):
        """Index that the selection rule gives."""
        return self.best if self.selection_rule == "min" else self.best_1se

    @property
    def reason(self):
        """In words, why this was chosen."""
        text = (f"alpha={self.alphas[self.chosen]:.6g}: largest mean {self.metric} ({self.mean[self.best]:.6g}) over "
                f"{self.fold_scores.shape[1]} folds")
        if self.selection_rule == "1se":
            text += f" is at alpha={self.alphas[self.best]:.6g}; this is the largest alpha within one standard error"
        return text

    def plot(self, ax=None):
        """Draw the mean score against alpha with error bars, both choices marked, degrees of freedom along the top.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; a new figure when None.

        Returns
        -------
        matplotlib.axes.Axes
        """
        marks = [(self.alphas[self.best], "--", "best mean"), (self.alphas[self.best_1se], ":", "one standard error")]
        return plot_curves(ax, self.alphas[None], self.mean[None], self.df[None], ["ridge"], 0, marks,
                           errors=self.standard_error[None],
                           ylabel=f"{self.metric}, mean and standard error of folds",
                           count_label="effective degrees of freedom")


def leave_one_out(X, Y, alphas, *, weight, fit_intercept, factor, standardize, accurate, n_threads, choose, keep):
    """Exact leave-one-out for every alpha, and the fit of all rows at the chosen ones.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets).
    alphas : ndarray of shape (n_alphas,)
        Positive.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    factor, standardize, accurate, n_threads
        As for fastreg.solvers.spectrum.Problem.
    choose : callable
        (sums of squared errors (n_targets, n_alphas), predictions or None) -> index of the alpha of each target.
    keep : {None, 'errors', 'predictions'}
        What to compute of each row, of shape (n_targets, n, n_alphas).

    Returns
    -------
    at : ndarray of int, shape (n_targets,)
    fit : fastreg.solvers.ridge_folds.RidgeFit
        With df of shape (n_targets,).
    kept : ndarray of shape (n_targets, n, n_alphas) or None
        Squared errors times weights, or predictions.
    """
    with single_threaded_blas:
        problem = Problem(X, Y, weight, fit_intercept, n_threads)
        spectrum = problem.spectrum(factor, standardize, accurate)
        if spectrum is None:
            raise ValueError(f"X is sparse with {X.shape[0]} rows and {X.shape[1]} columns: leave-one-out would need "
                             "an array of one of them squared. Give cv (cv=5, say) for folds instead.")
        sums, kept = spectrum.leave_one_out(problem, alphas, keep is not None)
        if keep == "predictions":
            kept = _predictions(spectrum, X, Y, weight, alphas, kept)
        at = choose(sums, kept)
        coef = spectrum.coefs_at(alphas[at])
        if keep == "errors":
            kept **= 2
        return at, RidgeFit(coef, spectrum.intercepts(coef), spectrum.df(alphas[at])), kept


def _predictions(spectrum, X, Y, weight, alphas, errors):
    """Leave-one-out predictions; to leave a row of no weight out changes nothing."""
    root = np.ones(len(Y)) if weight is None else np.sqrt(weight)
    absent = np.flatnonzero(root == 0)
    found = Y.T[:, :, None] - errors / np.where(root == 0, 1, root)[:, None]
    if len(absent):
        coefs = spectrum.coefs(alphas)
        fits = X[absent] @ coefs.reshape(-1, X.shape[1]).T + spectrum.intercepts(coefs).ravel()
        found[:, absent] = fits.reshape(len(absent), len(alphas), -1).transpose(2, 0, 1)
    return found


def cross_validate_ridge(X, Y, folds, alphas, *, weight, fit_intercept, factor, standardize, n_threads,
                         selection_rule="min", scorer=None, metric="R2", refit=True):
    """Solve and score every fold at every alpha, choose, and solve on all rows.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets).
    folds : list of fastreg.solvers.folds.Fold
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    weight : ndarray of shape (n,) or None
        Raw sample weights, of the training rows and of the test rows in R2.
    scorer : callable or None
        (coef (n_targets, p), intercept (n_targets,), test rows) -> float; None is R2, averaged over targets.
    refit : bool

    Returns
    -------
    path : CrossValidatedRidgePath
    fit : fastreg.solvers.ridge_folds.RidgeFit or None
        With df of shape (n_alphas,).
    """
    for k, fold in enumerate(folds):
        for name, of_set in (("training", None if weight is None else weight * fold.counts),
                             ("test", None if weight is None else weight[fold.test])):
            if of_set is not None and not np.any(of_set > 0):
                raise ValueError(f"sample_weight is zero for the whole {name} set of split {k} of cv.")
    n_jobs, n_threads = jobs_and_threads(None, n_threads, len(folds))
    with single_threaded_blas:
        fits = fold_fits(X, Y, folds, weight=weight, fit_intercept=fit_intercept, factor=factor,
                         standardize=standardize, n_threads=n_threads, n_jobs=n_jobs)
        score = partial(_r2, fits) if scorer is None else partial(_by_scorer, fits, scorer)
        scores = np.stack(in_threads(n_jobs, partial(score, alphas=alphas), len(folds), threading.Event()), axis=1)
        mean, error, best, best_1se = select(alphas[None], scores[None], True)
        path = CrossValidatedRidgePath(alphas, scores, mean[0], error[0], np.full(len(alphas), np.nan), metric,
                                       best[1], best_1se[1], selection_rule)
        fit = fits.refit(alphas, path.chosen) if refit else None
    if not fits.converged:
        warnings.warn(f"{MOST_STEPS} products with X were too few for the smallest alphas: leave them out, or scale X.",
                      ConvergenceWarning, stacklevel=4)
    if fit is not None:
        path.df = fit.df
    return path, fit


def _r2(fits, f, alphas):
    """R2 on test set f at every alpha, as scikit-learn's: averaged over targets, finite where y is constant."""
    test = fits.folds[f].test
    weight = None if fits.weight is None else fits.weight[test]
    if len(test) < 2:
        return np.full(len(alphas), np.nan)
    y = fits.Y[test]
    spread = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    errors = fits.errors(f, alphas)
    constant = spread == 0
    return np.where(constant, errors == 0, 1 - errors / np.where(constant, 1, spread)).mean(axis=1)


def _by_scorer(fits, scorer, f, alphas):
    """A scorer's values on test set f at every alpha; some alphas at a time where coefficients are many."""
    step = max(1, 10**7 // (fits.X.shape[1] * fits.Y.shape[1]))
    test, out = fits.folds[f].test, []
    for a in range(0, len(alphas), step):
        out += [scorer(coef, intercept, test) for coef, intercept in zip(*fits.fit(f, alphas[a:a + step]))]
    return out
