"""Choosing by folds, by rows left out or by a criterion: curves, the best of them, and the fit that goes with it."""
import warnings
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import scipy.sparse as sp

from fastreg.checks import check_number
from fastreg.drawing.axes import one_axes
from fastreg.drawing.curves import draw_curves
from fastreg.paths import Path
from fastreg.scale import Scale
from fastreg.solutions import Solutions
from fastreg.solvers.relax import refits_on_supports

# A curve is level towards its end if it changes over the last decade by less than so much of its range.
LEVEL = 1e-3


@dataclass(eq=False, repr=False)
class SelectionCurves:
    """What alpha was chosen by, along the whole grid: scores of folds or of rows left out, or an information criterion.

    A curve is one l1_ratio or, with relaxed fits, one pair of l1_ratio and gamma (gamma running fastest); ridge has one
    curve. Where ``n_alphas_no_change`` ended a path early, what belongs to the alphas that were not solved is NaN.

    Attributes
    ----------
    alphas : ndarray of shape (n_curves, n_alphas)
        Decreasing, for each curve.
    values : ndarray of shape (n_curves, n_alphas)
        Mean score over folds or over rows left out, or the criterion: inf where a fit leaves no degree of freedom, or
        nothing but rounding, to the noise.
    df : ndarray of shape (n_curves, n_alphas)
        Of lasso and elastic net by folds the mean number of non-zero coefficients of the penalised fits; by a criterion
        the degrees of freedom without the intercept; of ridge the effective degrees of freedom of the fit of all rows,
        the intercept counting as one, and NaN where X is sparse and too large to tell.
    metric : str
        What the values are.
    greater_is_better : bool
    best : tuple of int
        Indices (curve, alpha) of the best value. Ties go to the larger alpha, and of ridge to the alpha given first.
    basis : str or None
        What the values are of: 'mean over 5 folds', say; None of a criterion.
    l1_ratios : ndarray of shape (n_curves,) or None
        None for ridge.
    gammas : ndarray of shape (n_curves,) or None
        Share of the penalised fit, of relaxed fits.
    standard_error : ndarray of shape (n_curves, n_alphas) or None
        Of the mean over folds, the standard deviation of their scores by the root of their number. Of the mean over n
        rows, ``sd sqrt(m) / n``, sd the standard deviation of squared errors (times weights, averaged over targets that
        share an alpha) over the m rows that have a weight. None where it was not computed.
    fold_scores : ndarray of shape (n_curves, n_alphas, n_folds) or None
        The scores of folds.
    dual_gaps : ndarray of shape (n_curves, n_alphas, n_folds) or None
        Of each penalised training fit of lasso and elastic net, in units of the objective.
    best_1se : tuple of int or None
        Indices of the largest alpha within one standard error of the best value on the same curve.
    selection_rule : {'min', '1se'}
        Whether `best` or `best_1se` is chosen.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import LassoCV
    >>> curves = LassoCV(cv=5).fit(*load_diabetes(return_X_y=True)).cv_path_
    >>> curves.values.shape, curves.fold_scores.shape, curves.metric
    ((1, 100), (1, 100, 5), 'squared error')
    >>> curves.alphas[curves.best_1se].round(3).item()
    0.187
    """

    alphas: np.ndarray
    values: np.ndarray
    df: np.ndarray
    metric: str
    greater_is_better: bool
    best: tuple
    basis: str | None = None
    l1_ratios: np.ndarray | None = None
    gammas: np.ndarray | None = None
    standard_error: np.ndarray | None = None
    fold_scores: np.ndarray | None = None
    dual_gaps: np.ndarray | None = None
    best_1se: tuple | None = None
    selection_rule: str = "min"

    @property
    def chosen(self):
        """Indices (curve, alpha) that the selection rule gives."""
        return self.best if self.selection_rule == "min" else self.best_1se

    @property
    def at_edge(self):
        """Which end of its grid the chosen alpha is, 'largest' or 'smallest', where a better one may lie beyond.

        None elsewhere, where nothing is in use at the largest, and where the curve is level: over the last factor of 10
        before the smallest alpha, or before a largest one that leaves less than 1.5 degrees of freedom, it changes by
        less than 1e-3 of its range or, of scores, of the value."""
        c, a = self.chosen
        alphas, values, df = self.alphas[c], self.values[c], self.df[c, a]
        if alphas[a] == alphas[-1] < alphas[0]:
            edge, near = "smallest", alphas <= max(10 * alphas[-1], np.min(alphas[alphas > alphas[-1]]))
        elif alphas[a] == alphas[0] > alphas[-1] and df != 0:
            edge, near = "largest", alphas >= min(alphas[0] / 10, np.max(alphas[alphas < alphas[0]]))
            if not df < 1.5:
                return edge
        else:
            return None
        solved = np.isfinite(values)
        if not solved[a]:                # scores of a y of extreme scale leave float64
            return None
        unit = max(np.ptp(values[solved]), 0.0 if self.basis is None else abs(values[a]))
        return edge if np.ptp(values[near & solved]) > LEVEL * unit else None

    @property
    def reason(self):
        """In words, why these were chosen."""
        c, a = self.chosen
        text = f"alpha={self.alphas[c, a]:.6g}"
        text += "".join(f", {name}={value:g}" for name, value in self.of_curve(c))
        text += "" if self.fold_scores is not None else f", {self.df[c, a]:.4g} degrees of freedom"
        text += (f": {'largest' if self.greater_is_better else 'smallest'} {self.metric} "
                 f"({self.values[self.best]:.6g}{'' if self.basis is None else ', ' + self.basis})")
        if self.selection_rule == "1se":
            text += (f" is at alpha={self.alphas[self.best]:.6g}; this is the largest alpha within one standard error "
                     "of it")
        return text

    def __repr__(self):
        n_curves, n_alphas = self.alphas.shape
        return f"<SelectionCurves of {f'{n_curves} x ' * (n_curves > 1)}{n_alphas} alphas; {self.reason}>"

    def of_curve(self, curve):
        """Names and values of what belongs to a curve.

        Parameters
        ----------
        curve : int

        Returns
        -------
        list of (str, float)
            Of 'l1_ratio' and 'gamma' those that there are.
        """
        return [(name, float(values[curve])) for name, values in (("l1_ratio", self.l1_ratios), ("gamma", self.gammas))
                if values is not None]

    def plot(self, ax=None, label=5):
        """Draw the curves against alpha: the best with error bars, and what could be chosen marked; df along the top.

        Of several curves the best are named where they end, and the others grey.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None
            Where to draw; a new figure when None.
        label : int, default=5
            How many curves are named.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        ax = one_axes(ax)
        draw_curves(ax, self, label=check_number(label, "label", 1, kind=Integral), counted=self._counts_are())
        return ax

    def _counts_are(self):
        if self.l1_ratios is None:
            return "effective degrees of freedom"
        return "degrees of freedom" if self.fold_scores is None else "non-zero coefficients (mean of folds)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """What is chosen among, and what is kept of it.

    Attributes
    ----------
    l1_ratios : list of float
    refit : bool
        Solve all rows at the chosen values.
    keep_paths : bool
    loss : dict
        What a Path says of the loss, the squared one needing nothing.
    """

    l1_ratios: list
    refit: bool = True
    keep_paths: bool = False
    loss: dict = field(default_factory=dict)


@dataclass
class Fit:
    """Coefficients at the chosen values, of all rows; of classes with one loss with a first axis of these."""

    coef: np.ndarray
    intercept: float | np.ndarray
    dual_gap: float
    n_iter: int
    deviance: float
    null_deviance: float


@dataclass
class Choice:
    """What the paths of one target made us choose."""

    curves: SelectionCurves
    fit: Fit | None
    path: Path | None                  # of all rows, at the chosen l1_ratio
    fold_paths: list | None            # by l1_ratio and fold
    unconverged: Solutions | None      # the first that were not


def warn_at_edge(curves, *, counted, stacklevel, inverse=None):
    """A UserWarning, once, where the alpha that one of some SelectionCurves chose is at an edge of its grid.

    Parameters
    ----------
    curves : iterable of SelectionCurves
    counted : bool
        The grid is ours: nothing penalised is in use at its largest alpha, and its smallest goes with eps.
    stacklevel : int
    inverse : callable or None
        From an alpha to the C that the user knows it as.
    """
    for curve in curves:
        edge, alpha = curve.at_edge, curve.alphas[curve.chosen]
        if edge is None or (counted and edge == "largest"):
            continue
        name, value = ("alpha", alpha) if inverse is None else ("C", inverse(alpha))
        below = (edge == "smallest") == (inverse is None)
        end, side, more = ("smallest", "below", "smaller") if below else ("largest", "above", "larger")
        eps = ", or a smaller eps" if counted else ""
        warnings.warn(f"The chosen {name}={value:.6g} is the {end} of its grid, and a better one may lie {side} it: "
                      f"give {more} {name}s{eps}.", UserWarning, stacklevel=stacklevel)
        return


def first_unconverged(*solutions):
    """The first Solutions of which max_iter ended some, or None."""
    return next((s for s in solutions if s is not None and not s.converged.all()), None)


def best_of(loss, alphas, gammas=None):
    """Indices (curve, alpha) of the least loss; NaN is none, ties go to the larger alpha, then to the larger gamma."""
    loss = np.where(np.isnan(loss), np.inf, loss)
    curve, at = np.nonzero(loss == loss.min())
    first = np.lexsort((np.zeros(len(curve)) if gammas is None else -gammas[curve], -alphas[curve, at]))[0]
    return int(curve[first]), int(at[first])


def select(alphas, fold_scores, greater_is_better, gammas=None):
    """(mean, standard error, best, best within one standard error); ties go to the larger alpha."""
    mean = fold_scores.mean(axis=2)
    if np.isnan(mean).all():
        raise ValueError("scoring gives NaN in some fold at every alpha: nothing can be chosen.")
    if not np.isfinite(mean).any():
        raise ValueError("What is lost, or scored, in some fold is infinite at every alpha: nothing can be chosen.")
    folds = fold_scores.shape[2]
    unit = Scale.of(np.where(np.isfinite(fold_scores), fold_scores, 0))          # squares of scores may overflow
    error = np.zeros_like(mean)
    if folds > 1:
        with np.errstate(invalid="ignore"):              # of infinite ones, which are not chosen
            error = unit.up(unit.down(fold_scores).std(axis=2, ddof=1)) / np.sqrt(folds)
    loss = np.where(np.isfinite(mean), -mean if greater_is_better else mean, np.inf)
    best = best_of(loss, alphas, gammas)
    return mean, error, best, within_one_error(loss, error, best)


def out_of_patience(patience, best, n_used, penalty, p):
    """Whether a path, as far as it is solved, has not improved for so many alphas (None: for ever).

    Parameters
    ----------
    patience : int or None
    best : int
        Number of the best alpha.
    n_used : ndarray of shape (n_solved,)
        Non-zero coefficients, decreasing alphas: while nothing penalised is in use, alphas make no difference.
    penalty : Penalty
    p : int
    """
    free = np.count_nonzero(np.broadcast_to(penalty.factor, p) == 0)
    last = max(best, np.count_nonzero(n_used <= free) - 1)
    return patience is not None and len(n_used) - 1 - last >= patience


def within_one_error(loss, error, best):
    """Indices (curve, alpha) of the largest alpha whose loss is within one standard error of the best of its curve."""
    near = np.flatnonzero(loss[best[0]] <= loss[best] + error[best])
    return best[0], int(near[0])


def fit_all_rows(solver, solutions, at, gamma=None):
    """The fit of all rows that is number `at` of solutions.

    Parameters
    ----------
    solver : PathSolver or Member
    solutions : Solutions
        From it.
    at : int
    gamma : float or None
        Share of the penalised fit in a relaxed one.

    Returns
    -------
    fit : Fit
    solutions : Solutions
        Certified at `at`, in the units of the user.
    refit : Solutions or None
        The fit without penalty that was blended in, alone.
    """
    problem, certified = solver.problem, solver.certify(solutions, at)
    found = certified.scaled_up(problem.scale)
    fit, refit = fit_at(found, at), None
    if gamma is not None:
        refit = refits_on_supports(solver, certified.only(at)).scaled_up(problem.scale)
        relaxed = fit_at(refit, 0)
        fit.coef = gamma * fit.coef + (1 - gamma) * relaxed.coef
        fit.intercept = gamma * fit.intercept + (1 - gamma) * relaxed.intercept
        if not problem.datafit.quadratic:
            fit.deviance = _deviance(problem, fit)
    return fit, found, refit


def _deviance(problem, fit):
    """Weighted mean deviance of a fit, in the units of the user, of any loss but the squared one."""
    eta = problem.predict(np.arange(problem.n), sp.csc_array(np.atleast_2d(fit.coef).T), np.atleast_1d(fit.intercept))
    eta = problem.scale.levels_down(eta)
    eta = eta if problem.offset is None else eta + problem.offset[:, None]
    y, eta = (problem.Y, eta) if problem.datafit.coupled else (problem.Y[:, 0], eta[:, 0])
    return problem.scale.losses_up(problem.datafit.deviance(y, eta, problem.weights.normalised) / problem.n)


def fit_at(solutions, at):
    """One of the Solutions of one target, or of classes with one loss."""
    n_targets = solutions.intercepts.shape[1]
    coefs = [solutions.coef(at * n_targets + t) for t in range(n_targets)]
    coef, intercept = np.stack(coefs), solutions.intercepts[at]
    coef, intercept = (coef[0], float(intercept[0])) if n_targets == 1 else (coef, intercept)
    return Fit(coef, intercept, float(solutions.dual_gaps[at, 0]), int(solutions.n_iters[at, 0]),
               float(solutions.deviances[at, 0]), float(solutions.null_deviances[0]))
