"""Choosing alpha, l1_ratio and gamma by cross-validation."""
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from fastreg.paths import path_of
from fastreg.problem import Problem
from fastreg.progress import Tally, ignored
from fastreg.selection import (
    Choice,
    Selection,
    SelectionCurves,
    best_of,
    first_unconverged,
    fit_all_rows,
    out_of_patience,
    select,
)
from fastreg.solvers.folds import (
    FoldPaths,
    KnownFolds,
    LockstepPaths,
    jobs_and_threads,
    know_folds,
    mean_products,
)
from fastreg.solvers.relax import refits_on_supports
from fastreg.validation import LEAST_PIECE
from fastreg.weights import Weights


@dataclass(frozen=True, kw_only=True, eq=False)
class ByFolds(Selection):
    """How cross-validation chooses.

    Attributes
    ----------
    l1_ratios : list of float
    refit : bool
        Solve all rows at the chosen values.
    keep_paths : bool
        Keep the paths of the folds and, with refit, of all rows.
    loss : dict
        What a Path says of the loss, the squared one needing nothing.
    n_jobs : int or None
    rule : {'min', '1se'}
    scorer : callable or None
        (coef, intercept, X_test, y_test, weight_test, offset_test) -> float, to maximise, of classes with one loss with
        an axis of these; None minimises the weighted mean deviance: the mean squared error, of the squared loss.
    scores : callable or None
        The same for all fits of a test set at once where it can: see `fastreg.scores.scores_of`.
    metric : str
        What the scores are.
    gammas : ndarray of shape (n_gammas,) or None
        Shares of the penalised fit in relaxed fits.
    no_change : int or None
        A path ends when the mean score has not improved for so many alphas.
    by_total : bool
        The penalty goes with the sum of the losses: a fold's alpha is larger as its weights sum to less.
    test_weights : Weights or None
        What test rows weigh; None: what they weigh as training rows.
    keep_folds : bool
        Keep the paths of the folds.
    """

    n_jobs: int | None = None
    rule: str = "min"
    scorer: Callable | None = None
    scores: Callable | None = None
    metric: str = "squared error"
    gammas: np.ndarray | None = None
    no_change: int | None = None
    by_total: bool = False
    test_weights: Weights | None = None
    keep_folds: bool = False

    @property
    def greater_is_better(self):
        """Whether scores are to be maximised."""
        return self.scorer is not None

    @property
    def shares(self):
        """Of the penalised and of the relaxed fit, for each curve of an l1_ratio: shape (n_gammas, 1 or 2)."""
        return np.ones((1, 1)) if self.gammas is None else np.stack([self.gammas, 1 - self.gammas], axis=1)


def penalty_values(spec, how, n_folds):
    """How many there are for each target: of the paths of every l1_ratio and fold and, where it is kept, of the path of
    all rows."""
    return spec.n_alphas * (n_folds * len(how.l1_ratios) + (how.refit and how.keep_paths))


def cross_validate_path(problem, spec, folds, how):
    """Solve the path of every fold and l1_ratio, score it on the test sets, choose, and solve on all data.

    Parameters
    ----------
    problem : Problem
        In the units of the user; each target is a problem of its own.
    spec : Spec
        Its report hears of the `penalty_values` of every target.
    folds : list of fastreg.solvers.folds.Fold
    how : ByFolds

    Returns
    -------
    list of fastreg.selection.Choice, one for each target
    """
    n_jobs, n_threads = jobs_and_threads(how.n_jobs, problem.n_threads, len(folds))
    problem = replace(problem, n_threads=n_threads).to_unit()
    n_values = spec.n_alphas * len(how.l1_ratios)
    known = know_folds(problem, folds) if problem.prefers_gram(n_values) else None
    choices = []
    for t in range(problem.n_problems):
        of_target = None if known is None else known.target(t)
        one = problem if problem.datafit.coupled else problem.target(t, None if known is None else of_target.moments())
        tests = TestSets(one, folds, how.test_weights or one.weights, of_target)
        choices.append(_choose(tests, spec.after(t * penalty_values(spec, how, len(folds))), how, n_jobs))
    return choices


def _choose(tests, spec, how, n_jobs):
    """The Choice of one target."""
    problem, count = tests.problem, WorkOfFolds(spec.report, how)
    options = {"n_jobs": n_jobs, "then": partial(_fits, relax=how.gammas is not None, tick=count.refits)}
    if problem.shares_passes(spec, len(tests.folds)):
        paths = LockstepPaths(problem, spec, tests.folds, **options)
    else:
        paths = FoldPaths(problem, spec, tests.folds, known=tests.known, by_total=how.by_total, **options)
    penalties = [replace(problem.penalty, l1_ratio=ratio) for ratio in how.l1_ratios]
    grids = [spec.alphas] * len(penalties)
    if spec.counted:
        top = paths.largest_alpha(replace(problem.penalty, l1_ratio=1.0))
        grids = [spec.grid(top / ratio) for ratio in how.l1_ratios]
    found = []
    for k, (penalty, grid) in enumerate(zip(penalties, grids)):
        paths.start(penalty, count.fits(k * len(grid) * len(tests.folds)), more=k < len(grids) - 1)
        found.append(_score_path(paths, grid, tests, how, count.scores))
    scale, curves = problem.scale, _curves(found, grids, how)
    curves.dual_gaps = scale.losses_up(curves.dual_gaps)
    if how.scorer is None:
        for name in ("fold_scores", "values", "standard_error"):
            setattr(curves, name, scale.losses_up(getattr(curves, name)))
    asked = [(penalty, problem.fit_intercept, spec.tol) for penalty in penalties]
    fit = path = last = refit = None
    if how.refit:
        c, a = curves.chosen
        k = c // len(how.shares)
        if how.keep_paths:
            report = spec.after(len(grids) * len(tests.folds) * spec.n_alphas).report
            solved = *paths.path(k, grids[k][:found[k].n_solved], report), a
        else:
            solved = *paths.refit(k, grids[k][a]), 0
        fit, last, refit = fit_all_rows(*solved, None if how.gammas is None else curves.gammas[c])
        path = path_of([last], *asked[k], **how.loss) if how.keep_paths else None
    keep = how.keep_paths or how.keep_folds
    fold_paths = [f.paths(scale, *of_ratio, **how.loss) for f, of_ratio in zip(found, asked)] if keep else None
    unconverged = first_unconverged(*(f.unconverged and f.unconverged.scaled_up(scale) for f in found), last, refit)
    return Choice(curves, fit, path, fold_paths, unconverged)


class WorkOfFolds:
    """What a cross-validation reports: fits and, where there are such, relaxed fits and a scorer that is asked of each.

    Parameters
    ----------
    report : callable or None
        None: nobody listens.
    how : ByFolds

    Attributes
    ----------
    refits, scores : callable
        To be called with the number of penalty values that are done more, or a share of one.
    """

    def __init__(self, report, how):
        relaxed, asked = how.gammas is not None, how.scorer is not None and how.scores is None
        self.tally = None if report is None else Tally(report, 1 + relaxed + asked)
        self.refits = partial(self.tally.more, 1) if self.tally and relaxed else ignored
        self.scores = partial(self.tally.more, 1 + relaxed) if self.tally and asked else ignored

    def fits(self, before):
        """What the paths of the next l1_ratio report to, after so many penalty values; None where nobody listens."""
        if self.tally is None:
            return None
        self.tally.start(before)
        return self.tally.reached


@dataclass(frozen=True, eq=False)
class TestSets:
    """What the fits of the folds are scored on.

    Attributes
    ----------
    problem : Problem
        Of all rows and a single target, or of classes with one loss.
    folds : list of fastreg.solvers.folds.Fold
    weights : Weights
        What test rows weigh.
    known : KnownFolds or None
    """

    problem: Problem
    folds: list
    weights: Weights
    known: KnownFolds | None = None

    def scores(self, f, solutions, refits, how, tick):
        """Scores of the alphas of a fold's path, for every gamma: shape (n_gammas, n_alphas).

        Parameters
        ----------
        f : int
        solutions : Solutions
        refits : Solutions or None
            Without penalty on their supports.
        how : ByFolds
        tick : callable
            Called with the share of an alpha that a scorer is done with.
        """
        fits = [solutions] if refits is None else [solutions, refits]
        if how.scorer is not None:
            found = None if how.scores is None else self._scored_at_once(f, fits, how)
            return self._scored(f, fits, how, tick) if found is None else found
        if refits is None and solutions.test_errors is not None:
            return solutions.test_errors[None]
        return (self._errors if self.problem.datafit.quadratic else self._deviances)(f, fits, how.shares)

    def _scored(self, f, fits, how, tick):
        """What the scorer says, in the units of the user."""
        test, scale, offset = self.folds[f].test, self.problem.scale, self.problem.offset
        offset = None if offset is None else scale.up(offset[test])
        of_test = self.problem.X[test], scale.targets_up(self._y(f)), self.weights.of(test), offset
        dense, intercepts = np.stack([s.dense() for s in fits]), np.stack([s.intercepts for s in fits])
        n_targets = intercepts.shape[2]
        fits = [[(scale.up(np.tensordot(share, dense[:, a * n_targets:(a + 1) * n_targets], 1)),
                  scale.levels_up(share @ intercepts[:, a])) for a in range(intercepts.shape[1])]
                for share in how.shares]
        if not self.problem.datafit.coupled:
            fits = [[(coef[0], float(intercept[0])) for coef, intercept in of_share] for of_share in fits]
        found = np.empty((len(fits), len(fits[0])))
        for g, a in np.ndindex(found.shape):
            found[g, a] = how.scorer(*fits[g][a], *of_test)
            tick(1 / len(fits))
        return found

    def _scored_at_once(self, f, fits, how):
        """What the scorer would say, None where it has to be asked."""
        scale, y = self.problem.scale, self._y(f)
        found = [how.scores(scale.targets_up(y), scale.levels_up(eta), self.weights.of(self.folds[f].test))
                 for eta in self._predictors(f, fits, how.shares)]
        return None if any(scores is None for scores in found) else found

    def _deviances(self, f, fits, shares):
        """Weighted mean deviances."""
        y, weight = self._y(f), self.weights.of(self.folds[f].test)
        total = len(y) if weight is None else weight.sum()
        return np.array([self.problem.datafit.deviances(y, eta, weight)
                         for eta in self._predictors(f, fits, shares)]) / total

    def _y(self, f):
        """y of a test set, a column for each class where targets are coupled."""
        Y = self.problem.Y[self.folds[f].test]
        return Y if self.problem.datafit.coupled else Y[:, 0]

    def _predictors(self, f, fits, shares):
        """Linear predictors of a test set, for each gamma."""
        problem, test = self.problem, self.folds[f].test
        each = [problem.predict(test, s.sparse(), s.intercepts.ravel()) for s in fits]
        offset = 0.0 if problem.offset is None else problem.offset[test, None]
        return (sum(part * eta for part, eta in zip(share, each)) + offset for share in shares)

    def _errors(self, f, fits, shares):
        """Weighted mean squared errors."""
        coefs = fits[0].sparse() if len(fits) == 1 else sp.hstack([s.sparse() for s in fits], format="csc")
        intercepts = np.concatenate([s.intercepts[:, 0] for s in fits])
        if self.known is None:
            test = self.folds[f].test
            error = self.problem.predict(test, coefs, intercepts) - self.problem.Y[test]
            products = mean_products(error, self.weights.of(test), len(fits))
        else:
            products = self.known.mean_products(self.known.test[:, f], coefs, intercepts, len(fits))
        # the errors of a blend are the blend of errors
        return np.maximum(np.einsum("gs,gt,sta->ga", shares, shares, products), 0)


@dataclass
class _Scored:
    """The paths of all folds at one l1_ratio, scored."""

    scores: np.ndarray      # (n_gammas, n_alphas, n_folds), NaN where no fit was made
    df: np.ndarray          # (n_alphas,)
    dual_gaps: np.ndarray   # (n_alphas, n_folds)
    n_solved: int
    pieces: list            # of the Solutions of every fold
    unconverged: object

    def paths(self, scale, *asked, **loss):
        """Path of every fold, for the target as it was before `scale` brought it down."""
        return [path_of([s.scaled_up(scale) for s in of_fold], *asked, **loss) for of_fold in zip(*self.pieces)]


def _fits(solver, solutions, relax, tick):
    """What is scored of a fold: the penalised fits, and those without penalty on their supports or None."""
    return solutions, refits_on_supports(solver, solutions, tick) if relax else None


def _score_path(paths, alphas, tests, how, tick):
    """Solve and score piece by piece, until the mean score improves no more.

    Parameters
    ----------
    paths : FoldPaths
    alphas : ndarray of shape (n_alphas,)
    tests : TestSets
    how : ByFolds
    tick : callable
        Of `TestSets.scores`.

    Returns
    -------
    _Scored
    """
    count, n_folds = len(alphas), len(tests.folds)
    scored = _Scored(np.full((len(how.shares), count, n_folds), np.nan), np.full(count, np.nan),
                     np.full((count, n_folds), np.nan), 0, [], None)
    step = count if how.no_change is None else max(how.no_change, LEAST_PIECE)
    for a in range(0, count, step):
        piece = slice(a, min(a + step, count))
        found = paths.advance(alphas[piece], last=piece.stop == count)
        for f, (solutions, refits) in enumerate(found):
            scored.scores[:, piece, f] = tests.scores(f, solutions, refits, how, tick)
            scored.dual_gaps[piece, f] = solutions.dual_gaps[:, 0]
        penalised = [solutions for solutions, _ in found]
        scored.n_solved = piece.stop
        scored.df[piece] = np.mean([s.n_nonzero.sum(axis=1) for s in penalised], axis=0)
        scored.unconverged = first_unconverged(scored.unconverged, *penalised, *(refits for _, refits in found))
        if how.keep_paths or how.keep_folds:
            scored.pieces.append(penalised)
        mean = scored.scores[:, :piece.stop].mean(axis=2)
        best = best_of(-mean if how.greater_is_better else mean, np.broadcast_to(alphas[:piece.stop], mean.shape))
        if out_of_patience(how.no_change, best[1], scored.df[:piece.stop], tests.problem.penalty, tests.problem.p):
            break
    return scored


def _curves(found, grids, how):
    """The result object of all l1_ratios (and gammas)."""
    each = len(how.shares)
    scores = np.concatenate([f.scores for f in found])
    grids, ratios, df, gaps = (np.repeat(np.asarray(values, dtype=np.float64), each, axis=0) for values in (
        grids, how.l1_ratios, [f.df for f in found], [f.dual_gaps for f in found]))
    gammas = None if how.gammas is None else np.tile(how.gammas, len(found))
    mean, error, best, best_1se = select(grids, scores, how.greater_is_better, gammas)
    return SelectionCurves(
        grids, mean, df, how.metric, how.greater_is_better, best, f"mean over {scores.shape[2]} folds",
        l1_ratios=ratios, gammas=gammas, standard_error=error, fold_scores=scores, dual_gaps=gaps, best_1se=best_1se,
        selection_rule=how.rule)
