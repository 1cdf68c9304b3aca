"""What choosing by folds and by a criterion share: the best of several curves, and the fit that goes with it."""
from dataclasses import dataclass

import numpy as np

from fastreg.path import RegularizationPath, count_axis, path_of
from fastreg.solvers.linear import PathSolver, Solutions, gram_mode
from fastreg.solvers.relax import least_squares_on_supports


@dataclass
class Fit:
    """Coefficients at the chosen values, of all rows."""

    coef: np.ndarray
    intercept: float
    dual_gap: float
    n_iter: int


@dataclass
class Choice:
    """What the paths of one target made us choose."""

    curves: object                     # CrossValidatedPath or InformationPath
    fit: Fit | None
    path: RegularizationPath | None    # of all rows, at the chosen l1_ratio
    fold_paths: list | None            # by l1_ratio and fold
    unconverged: Solutions | None      # the first that were not


def first_unconverged(*solutions):
    """The first Solutions of which max_iter ended some, or None."""
    return next((s for s in solutions if s is not None and not s.converged.all()), None)


def best_of(loss, alphas, gammas=None):
    """Indices (curve, alpha) of the least loss; NaN is none, ties go to the larger alpha, then to the larger gamma."""
    loss = np.where(np.isnan(loss), np.inf, loss)
    curve, at = np.nonzero(loss == loss.min())
    first = np.lexsort((np.zeros(len(curve)) if gammas is None else -gammas[curve], -alphas[curve, at]))[0]
    return int(curve[first]), int(at[first])


def fit_all_rows(X, y, penalty, grid, at, n_solved, *, scale, keep_path, fit_intercept, tol, gamma=None, gram=None,
                 max_iter=1000, solved=None, **options):
    """Fit all rows at grid[at]; with keep_path, as a point of the path of the first n_solved alphas.

    `solved` is that fit, as (solver, Solutions), where the folds led to it already. `scale` brought y down: what is
    returned is back in the units of the user.

    Returns
    -------
    fit : Fit
    path : RegularizationPath or None
    solutions : Solutions
    """
    alphas, at = (grid[:n_solved], at) if keep_path else (grid[at:at + 1], 0)
    if solved is None:
        solver = PathSolver(X, y[:, None], penalty, len(alphas), gram=gram_mode(X, alphas, gram),
                            fit_intercept=fit_intercept, tol=tol, **options)
        solved = solver, solver.advance(alphas, max_iter)
    solver, of_scaled = solved
    of_scaled = solver.certify(of_scaled, at)
    solutions = of_scaled.scaled_up(scale)
    fit = fit_at(solutions, at)
    if gamma is not None:
        refit = fit_at(least_squares_on_supports(solver, of_scaled).scaled_up(scale), at)
        fit.coef = gamma * fit.coef + (1 - gamma) * refit.coef
        fit.intercept = gamma * fit.intercept + (1 - gamma) * refit.intercept
    return fit, path_of([solutions], penalty, fit_intercept, tol) if keep_path else None, solutions


def fit_at(solutions, at):
    """One of the Solutions of one target."""
    coef = np.zeros(solutions.n_features)
    here = solutions.columns == at
    coef[solutions.features[here]] = solutions.values[here]
    return Fit(coef, float(solutions.intercepts[at, 0]), float(solutions.dual_gaps[at, 0]),
               int(solutions.n_iters[at, 0]))


def plot_curves(ax, alphas, values, df, labels, best, marks, *, errors=None, ylabel, count_label):
    """Draw each curve against alpha, the best with error bars where there are any, marks, non-zeros along the top."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    seen = (alphas > 0) & np.isfinite(values)
    for k, label in enumerate(labels):
        on = seen[k]
        if k == best:
            ax.errorbar(alphas[k][on], values[k][on], None if errors is None else errors[k][on], fmt="o-",
                        markersize=3, linewidth=1, elinewidth=0.6, capsize=1.5, label=label)
        else:
            ax.plot(alphas[k][on], values[k][on], linewidth=1, alpha=0.6, label=label)
    for alpha, style, label in marks:
        ax.axvline(alpha, color="0.3", linestyle=style, linewidth=1, label=label)
    ax.set(xscale="log", xlabel="alpha", ylabel=ylabel)
    ax.invert_xaxis()
    ax.legend(fontsize="small")
    count_axis(ax, alphas[best][seen[best]], df[best][seen[best]], count_label)
    return ax
