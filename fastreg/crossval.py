"""Choosing alpha and l1_ratio by cross-validation: the function, and the object that it returns."""
from dataclasses import dataclass

import numpy as np

from fastreg.path import count_axis
from fastreg.solvers.folds import jobs_and_threads, know_folds, predictions, solve_folds
from fastreg.solvers.linear import PathSolver, alpha_grid, normalized_weight, solve_path


@dataclass
class CrossValidatedPath:
    """Scores of a cross-validated path, and what they make us choose.

    Attributes
    ----------
    l1_ratios : ndarray of shape (n_l1_ratios,)
    alphas : ndarray of shape (n_l1_ratios, n_alphas)
        Decreasing, for each l1_ratio.
    fold_scores : ndarray of shape (n_l1_ratios, n_alphas, n_folds)
        Mean squared error on each test set, or the scorer's value.
    mean, standard_error : ndarray of shape (n_l1_ratios, n_alphas)
        Over folds.
    df : ndarray of shape (n_l1_ratios, n_alphas)
        Mean number of non-zero coefficients.
    dual_gaps : ndarray of shape (n_l1_ratios, n_alphas, n_folds)
        Of each training fit, in units of the objective.
    metric : str
        What the scores are.
    greater_is_better : bool
    best, best_1se : tuple of int
        Indices (l1_ratio, alpha): of the best mean, and of the largest alpha within one standard error of it at the
        same l1_ratio.
    selection_rule : {'min', '1se'}
        Which of them is chosen.
    """

    l1_ratios: np.ndarray
    alphas: np.ndarray
    fold_scores: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray
    dual_gaps: np.ndarray
    metric: str
    greater_is_better: bool
    best: tuple
    best_1se: tuple
    selection_rule: str

    @property
    def chosen(self):
        """Indices (l1_ratio, alpha) that the selection rule gives."""
        return self.best if self.selection_rule == "min" else self.best_1se

    @property
    def reason(self):
        """In words, why these were chosen."""
        (r, a), best = self.chosen, self.best
        text = (f"alpha={self.alphas[r, a]:.6g}, l1_ratio={self.l1_ratios[r]:g}: "
                f"{'largest' if self.greater_is_better else 'smallest'} mean {self.metric} "
                f"({self.mean[best]:.6g}) over {self.fold_scores.shape[2]} folds")
        if self.selection_rule == "1se":
            text += f" is at alpha={self.alphas[best]:.6g}; this is the largest alpha within one standard error of it"
        return text

    def plot(self, ax=None):
        """Draw the mean score against alpha with error bars, both choices marked, non-zeros along the top.

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
        r, a = self.best
        for k, ratio in enumerate(self.l1_ratios):
            seen = self.alphas[k] > 0
            if k == r:
                ax.errorbar(self.alphas[k][seen], self.mean[k][seen], self.standard_error[k][seen], fmt="o-",
                            markersize=3, linewidth=1, elinewidth=0.6, capsize=1.5, label=f"l1_ratio {ratio:g}")
            else:
                ax.plot(self.alphas[k][seen], self.mean[k][seen], linewidth=1, alpha=0.6, label=f"l1_ratio {ratio:g}")
        ax.axvline(self.alphas[r, a], color="0.3", linestyle="--", linewidth=1, label="best mean")
        ax.axvline(self.alphas[self.best_1se], color="0.3", linestyle=":", linewidth=1, label="one standard error")
        ax.set(xscale="log", xlabel="alpha", ylabel=f"{self.metric}, mean and standard error of folds")
        ax.invert_xaxis()
        ax.legend(fontsize="small")
        seen = self.alphas[r] > 0
        count_axis(ax, self.alphas[r][seen], self.df[r][seen], "non-zero coefficients (mean of folds)")
        return ax


def select(alphas, fold_scores, greater_is_better):
    """(mean, standard error, best, best within one standard error); ties go to the larger alpha."""
    mean = fold_scores.mean(axis=2)
    folds = fold_scores.shape[2]
    error = fold_scores.std(axis=2, ddof=1) / np.sqrt(folds) if folds > 1 else np.zeros_like(mean)
    loss = -mean if greater_is_better else mean
    best = tuple(int(i) for i in np.unravel_index(np.argmin(loss), loss.shape))
    near = np.flatnonzero(loss[best[0]] <= loss[best] + error[best])
    return mean, error, best, (best[0], int(near[0]))


def cross_validate_path(X, y, folds, *, l1_ratios, alphas, eps, penalty, weight, fit_intercept, tol, max_iter, n_jobs,
                        n_threads, selection_rule="min", scorer=None, metric="squared error",
                        greater_is_better=False, gram=None, refit=True, report=None):
    """Solve the path of every fold and l1_ratio, score it on the test sets, choose, and solve on all data.

    Parameters
    ----------
    X, y
        Checked; y of shape (n,).
    folds : list of fastreg.solvers.folds.Fold
    l1_ratios : list of float
    alphas : int or ndarray
        A number, or values in decreasing order for every l1_ratio.
    eps : float
    penalty : callable
        l1_ratio -> Penalty.
    weight : ndarray of shape (n,) or None
        Raw sample weights, of training and of test rows.
    n_jobs, n_threads : int or None
    scorer : callable or None
        (coef, intercept, X_test, y_test, weight_test) -> float; None is the weighted mean squared error.
    gram : bool or None
        True: Gram matrices of all features in every fit of dense X; None: as is faster.

    Returns
    -------
    result : CrossValidatedPath
    solution : Solutions or None
        At the chosen values on all data, where refit is true.
    paths : list of list of Solutions
        By l1_ratio and fold.
    """
    n = len(y)
    for k, fold in enumerate(folds):
        for name, of_set in (("training", weight if weight is None else weight * fold.counts),
                             ("test", weight if weight is None else weight[fold.test])):
            if of_set is not None and not np.any(of_set > 0):
                raise ValueError(f"sample_weight is zero for the whole {name} set of split {k} of cv.")
    n_jobs, n_threads = jobs_and_threads(n_jobs, n_threads, len(folds) * len(l1_ratios))
    settings = {"fit_intercept": fit_intercept, "tol": tol, "max_iter": max_iter, "gram": gram}
    count = alphas if isinstance(alphas, int) else len(alphas)
    known = know_folds(X, y, folds, weight, fit_intercept, count * len(l1_ratios), n_threads)
    whole = {"weight": normalized_weight(weight, n), "n_threads": n_threads,
             "known": None if known is None else known.moments(np.ones(len(known.train)))}
    grids = [alphas] * len(l1_ratios)
    if isinstance(alphas, int):
        lasso = PathSolver(X, y[:, None], penalty(1.0), 1, gram=False, fit_intercept=fit_intercept, **whole)
        top = lasso.largest_alpha()
        grids = [alpha_grid(top / ratio, alphas, eps) for ratio in l1_ratios]
    penalties = [penalty(ratio) for ratio in l1_ratios]
    paths = solve_folds(X, y, folds, grids, penalties, weight=weight, known=known, n_jobs=n_jobs, n_threads=n_threads,
                        report=report, **settings)
    scores = np.empty((len(l1_ratios), count, len(folds)))
    for k, solved in enumerate(paths):
        for f, path in enumerate(solved):
            scores[k, :, f] = _scores(X, y, folds[f], path, weight, scorer,
                                      None if known is None else (known, known.test[:, f]))
    grids = np.stack(grids)
    mean, error, best, best_1se = select(grids, scores, greater_is_better)
    result = CrossValidatedPath(
        np.asarray(l1_ratios, dtype=np.float64), grids, scores, mean, error,
        np.array([np.mean([np.bincount(p.columns, minlength=count) for p in solved], axis=0) for solved in paths]),
        np.array([np.stack([p.dual_gaps[:, 0] for p in solved], axis=1) for solved in paths]),
        metric, greater_is_better, best, best_1se, selection_rule)
    solution = None
    if refit:
        k, a = result.chosen
        solution = solve_path(X, y[:, None], grids[k, a:a + 1], penalties[k], **whole, **settings)
    return result, solution, paths


def _scores(X, y, fold, path, weight, scorer, known):
    """Score of each alpha of a path on the fold's test set."""
    coefs, intercepts = path.sparse(), path.intercepts[:, 0]
    on_test = None if weight is None else weight[fold.test]
    if scorer is not None:
        dense, X_test, y_test = coefs.toarray(), X[fold.test], y[fold.test]
        return [scorer(dense[:, a], intercepts[a], X_test, y_test, on_test) for a in range(len(intercepts))]
    if known is not None:
        return known[0].mean_squared_error(known[1], coefs, intercepts)
    error = (predictions(X, fold.test, coefs, intercepts) - y[fold.test, None]) ** 2
    return np.average(error, axis=0, weights=on_test)
