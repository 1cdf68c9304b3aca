"""Choosing alpha, l1_ratio and gamma by cross-validation."""
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp

from fastreg.design import canonical_sparse
from fastreg.paths import path_of
from fastreg.scale import each_scaled
from fastreg.selection import Choice, SelectionCurves, best_of, first_unconverged, fit_all_rows, select
from fastreg.solvers.folds import fold_paths, jobs_and_threads, know_folds, mean_products
from fastreg.solvers.linear import PathSolver, alpha_grid, gram_mode
from fastreg.solvers.relax import least_squares_on_supports
from fastreg.weights import Weights

# A path that may end early is solved in pieces of at least so many alphas.
LEAST_PIECE = 5


def cross_validate_path(X, Y, folds, *, l1_ratios, alphas, eps, penalty, weight, fit_intercept, tol, max_iter, n_jobs,
                        n_threads, selection_rule="min", scorer=None, metric="squared error",
                        greater_is_better=False, gram=None, gammas=None, no_change=None, keep_paths=False, refit=True,
                        report=None):
    """Solve the path of every fold and l1_ratio, score it on the test sets, choose, and solve on all data.

    Parameters
    ----------
    X, Y
        Checked; Y of shape (n, n_targets), each column a problem of its own.
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
    gammas : ndarray of shape (n_gammas,) or None
        Shares of the penalised fit in relaxed fits.
    no_change : int or None
        A path ends when the mean score has not improved for so many alphas.
    keep_paths : bool
        Keep the paths of the folds and, with refit, of all rows.
    refit : bool
    report : callable or None
        Called now and then with the number of penalty values that are done with.

    Returns
    -------
    list of fastreg.selection.Choice, one for each target
    """
    n = len(Y)
    X = canonical_sparse(X) if sp.issparse(X) else X
    n_jobs, n_threads = jobs_and_threads(n_jobs, n_threads, len(folds))
    count = alphas if isinstance(alphas, int) else len(alphas)
    Y, scales = each_scaled(Y)                   # all below in these units, but for the alphas and what is returned
    known = know_folds(X, Y, folds, weight, fit_intercept, count * len(l1_ratios), n_threads)
    settings = {"fit_intercept": fit_intercept, "tol": tol, "max_iter": max_iter}
    choices = []
    for t, scale in enumerate(scales):
        y, of_target = np.ascontiguousarray(Y[:, t]), None if known is None else known.target(t)
        of_ratio = [penalty(ratio).scaled(scale) for ratio in l1_ratios]
        in_units = None if scorer is None else partial(_scored_by, scorer, scale)
        whole = {"fit_intercept": fit_intercept, "weights": Weights(weight, n), "n_threads": n_threads,
                 "known": None if known is None else of_target.moments(np.ones(len(known.train)))}
        grids = [alphas] * len(l1_ratios)
        paths = fold_paths(X, y, folds, count, weight=weight, known=of_target, n_jobs=n_jobs, n_threads=n_threads,
                           gram=gram_mode(X, alphas, gram), then=partial(_fits, relax=gammas is not None), **settings)
        if isinstance(alphas, int):
            lasso = penalty(1.0).scaled(scale)
            top = paths.largest_alpha(lasso)
            if top is None:
                top = PathSolver(X, y[:, None], lasso, 1, gram=False, **whole).largest_alpha()
            grids = [alpha_grid(top / ratio, alphas, eps) for ratio in l1_ratios]
        found = []
        for k in range(len(l1_ratios)):
            done = (t * len(l1_ratios) + k) * count * len(folds)
            paths.start(of_ratio[k], None if report is None else lambda more, done=done: report(done + more),
                        more=k < len(l1_ratios) - 1)
            found.append(_score_path(
                paths, grids[k],
                partial(_scores, X, y, folds, gammas=gammas, weight=weight, scorer=in_units, known=of_target),
                (1 if gammas is None else len(gammas), count, len(folds)), greater_is_better, no_change, keep_paths))
        curves = _curves(found, l1_ratios, grids, gammas, metric, greater_is_better, selection_rule)
        curves.dual_gaps = scale.up(curves.dual_gaps, 2)
        if scorer is None:
            for name in ("fold_scores", "values", "standard_error"):
                setattr(curves, name, scale.up(getattr(curves, name), 2))
        fit = path = last = None
        if refit:
            c, a = curves.chosen
            k = c if gammas is None else c // len(gammas)
            fit, path, last = fit_all_rows(
                X, y, of_ratio[k], grids[k], a, found[k].n_solved, scale=scale, keep_path=keep_paths, gram=gram,
                tol=tol, max_iter=max_iter, gamma=None if gammas is None else curves.gammas[c],
                solved=None if keep_paths else paths.refit(k, grids[k][a]), **whole)
        of_folds = [f.paths(scale, asked, fit_intercept, tol) for f, asked in zip(found, of_ratio)]
        choices.append(Choice(curves, fit, path, of_folds if keep_paths else None,
                              first_unconverged(*(f.unconverged and f.unconverged.scaled_up(scale) for f in found),
                                                last)))
    return choices


@dataclass
class _Scored:
    """The paths of all folds at one l1_ratio, scored."""

    scores: np.ndarray      # (n_gammas, n_alphas, n_folds), NaN where no fit was made
    df: np.ndarray          # (n_alphas,)
    dual_gaps: np.ndarray   # (n_alphas, n_folds)
    n_solved: int
    pieces: list            # of the Solutions of every fold
    unconverged: object

    def paths(self, scale, *asked):
        """Path of every fold, for the target as it was before `scale` brought it down."""
        return [path_of([s.scaled_up(scale) for s in of_fold], *asked) for of_fold in zip(*self.pieces)]


def _scored_by(scorer, scale, coef, intercept, X_test, y_test, weight_test):
    """The scorer's value in the units of the user."""
    return scorer(scale.up(coef), float(scale.up(intercept)), X_test, scale.up(y_test), weight_test)


def _fits(solver, solutions, relax):
    """What is scored of a fold: the penalised fits, and least squares on their supports or None."""
    return solutions, least_squares_on_supports(solver, solutions) if relax else None


def _score_path(paths, alphas, score, shape, greater_is_better, no_change, keep_paths):
    """Solve and score piece by piece, until the mean score improves no more.

    Parameters
    ----------
    paths : FoldPaths
    alphas : ndarray of shape (n_alphas,)
    score : callable
        (fold, Solutions, their refits or None) -> array of shape (n_gammas, n_alphas).
    shape : tuple
        (n_gammas, n_alphas, n_folds).
    greater_is_better, no_change, keep_paths
        As for cross_validate_path.

    Returns
    -------
    _Scored
    """
    _, count, n_folds = shape
    scored = _Scored(np.full(shape, np.nan), np.full(count, np.nan), np.full((count, n_folds), np.nan), 0, [], None)
    step = count if no_change is None else max(no_change, LEAST_PIECE)
    for a in range(0, count, step):
        piece = slice(a, min(a + step, count))
        found = paths.advance(alphas[piece], last=piece.stop == count)
        for f, (solutions, refits) in enumerate(found):
            scored.scores[:, piece, f] = score(f, solutions, refits)
            scored.dual_gaps[piece, f] = solutions.dual_gaps[:, 0]
        penalised = [solutions for solutions, _ in found]
        scored.n_solved = piece.stop
        scored.df[piece] = np.mean([s.n_nonzero[:, 0] for s in penalised], axis=0)
        scored.unconverged = first_unconverged(scored.unconverged, *penalised)
        if keep_paths:
            scored.pieces.append(penalised)
        mean = scored.scores[:, :piece.stop].mean(axis=2)
        best = best_of(-mean if greater_is_better else mean, np.broadcast_to(alphas[:piece.stop], mean.shape))
        if no_change is not None and piece.stop - 1 - best[1] >= no_change:
            break
    return scored


def _scores(X, y, folds, f, solutions, refits, *, gammas, weight, scorer, known):
    """Scores of the alphas of a fold's path on its test set, for every gamma: shape (n_gammas, n_alphas)."""
    if scorer is None and refits is None and solutions.test_errors is not None:
        return solutions.test_errors[None]
    test = folds[f].test
    on_test = None if weight is None else weight[test]
    fits = [solutions] if gammas is None else [solutions, refits]
    shares = np.ones((1, 1)) if gammas is None else np.stack([gammas, 1 - gammas], axis=1)
    if scorer is not None:
        X_test, y_test = X[test], y[test]
        dense, intercepts = np.stack([s.dense() for s in fits]), np.stack([s.intercepts[:, 0] for s in fits])
        return [[scorer(share @ dense[:, a], float(share @ intercepts[:, a]), X_test, y_test, on_test)
                 for a in range(len(solutions.alphas))] for share in shares]
    coefs = solutions.sparse() if refits is None else sp.hstack([s.sparse() for s in fits], format="csc")
    intercepts = np.concatenate([s.intercepts[:, 0] for s in fits])
    if known is None:
        products = mean_products(X, y, test, on_test, coefs, intercepts, len(fits))
    else:
        products = known.mean_products(known.test[:, f], coefs, intercepts, len(fits))
    # the errors of a blend are the blend of errors
    return np.maximum(np.einsum("gs,gt,sta->ga", shares, shares, products), 0)


def _curves(found, l1_ratios, grids, gammas, metric, greater_is_better, selection_rule):
    """The result object of all l1_ratios (and gammas)."""
    each = 1 if gammas is None else len(gammas)
    scores = np.concatenate([f.scores for f in found])
    grids, ratios, df, gaps = (np.repeat(np.asarray(values, dtype=np.float64), each, axis=0) for values in (
        grids, l1_ratios, [f.df for f in found], [f.dual_gaps for f in found]))
    gammas = None if gammas is None else np.tile(gammas, len(found))
    mean, error, best, best_1se = select(grids, scores, greater_is_better, gammas)
    return SelectionCurves(
        grids, mean, df, metric, greater_is_better, best, f"mean over {scores.shape[2]} folds", l1_ratios=ratios,
        gammas=gammas, standard_error=error, fold_scores=scores, dual_gaps=gaps, best_1se=best_1se,
        selection_rule=selection_rule)
