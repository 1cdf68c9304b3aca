"""Huber's regression with its scale, by the way that suits; and by a search for the scale, whatever the penalty.

At a scale sigma the rest is ``huber(epsilon sigma)`` under the penalty, which any solver of that loss finds:

    sigma  ->  w, b of the best fit at sigma  ->  T(sigma), the scale that is best for w and b

The scale is where T leaves it as it is. The objective falls towards T(sigma), so that each sigma is a bound of the
scale on one side; in logarithms, secants find it.
"""
from dataclasses import dataclass, replace

import numpy as np

from fastreg.datafits.huber import Huber
from fastreg.problem import Spec
from fastreg.scale import REACH, Scale
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.concomitant import Concomitant
from fastreg.solvers.concomitant_newton import by_sample, descend, suits
from fastreg.solvers.path import solve_path
from fastreg.solvers.suited import solve_suited

# Of the gap aimed at, what a fit at one scale may leave, and its rounds.
INNER, ROUNDS = 0.1, 1000
# What is left of a gap where it falls too slowly for such fits; what a sharper one may leave, in terms of the one
# before, and at least.
SLOW, SHARPER, LEAST_INNER = 0.5, 1e-3, 1e-16
# How much farther up a secant may go than the step that it is in the place of.
FARTHER = 4
# The logarithm of how much smaller a scale may be than the one before.
DEEPER = 7


@dataclass(frozen=True, eq=False)
class Found:
    """A fit, in the units of the user.

    Attributes
    ----------
    coef : ndarray of shape (p,)
    intercept, scale : float
    gap, relative_gap : float
        Of the objective; and over ``2 epsilon sum_i s_i |y_i - mean|``.
    outliers : ndarray of bool, shape (n,)
    steps : int
    """

    coef: np.ndarray
    intercept: float
    scale: float
    gap: float
    relative_gap: float
    outliers: np.ndarray
    steps: int


def solve_concomitant(problem, epsilon, alpha, tol, max_iter, warm=None, report=None):
    """The Found of a problem.

    Parameters
    ----------
    problem : Problem
        Of one target, in the units of the user; its datafit is not asked.
    epsilon, alpha, tol : float
    max_iter : int
        Steps of Newton's method, or scales.
    warm : tuple of ndarray, float, float or None
        Coefficients, intercept and scale to start from.
    report : callable or None
        Called now and then with the number of steps, or scales, so far.
    """
    total, unit = problem.weights.total, Scale.of(problem.Y)
    unit = Scale(int(np.clip(unit.exponent, -REACH, REACH)))
    scaled, share = _scaled(problem, unit)
    with single_threaded_blas:
        model = Concomitant(scaled, epsilon, alpha * share / total, tol, report=report)
        fit, gap, steps = _solve(model, max_iter, None if warm is None else [unit.down(part) for part in warm])
    coef, scale = unit.coefs_up(fit.w), float(unit.up(fit.sigma))
    intercept = float(unit.up(fit.b - model.rows.means @ fit.w)) if problem.fit_intercept else 0.0
    relative = gap / model.unit if model.unit > 0 else 0.0
    return Found(coef, intercept, scale, float(unit.up(2 * total / problem.n * gap)), relative, ~fit.inside, steps)


def _scaled(problem, unit):
    """(the problem for y brought down by `unit`, what alpha is multiplied by): the L2 part of a penalty grows."""
    penalty, k = problem.penalty, float(unit.up(1.0))
    share = penalty.l1_ratio + (1 - penalty.l1_ratio) * k
    penalty = replace(penalty, l1_ratio=penalty.l1_ratio / share,
                      **{name: unit.down(np.asarray(getattr(penalty, name))) for name in ("lower", "upper")})
    return replace(problem, Y=unit.down(problem.Y), penalty=penalty), share


def _solve(model, max_iter, warm):
    """(fit, gap, steps), the coefficients, the intercept and the scale to start from being `warm`, or None."""
    if model.unit == 0:                                               # y is met exactly without X
        w, b, _ = model.start()
        return model.at(w, b, np.finfo(float).tiny), 0.0, 0
    newton = suits(model)
    if warm is not None:
        w, b, sigma = warm
        w = np.clip(w, model.terms.lower, model.terms.upper)
        begin = w, float(b + model.rows.means @ w) if model.rows.fit_intercept else 0.0, max(float(sigma), model.least)
    else:
        begin = by_sample(model) if newton else None
        begin = model.start() if begin is None else begin
    if not newton:
        return search(model.at(*begin), max_iter)
    best, gap, steps = descend(model, *begin, max_iter)
    for way in (search, _from):                         # Newton's method once more from what a search has come to
        if gap > model.aim and steps < max_iter:
            fit, found, more = way(best, max_iter - steps)
            steps += more
            best, gap = (fit, found) if found < gap else (best, gap)
    return best, gap, steps


def _from(fit, max_iter):
    return descend(fit.model, fit.w, fit.b, fit.sigma, max_iter)


def search(fit, max_iter):
    """(the best fit, its gap, the number of scales) from a point."""
    model, lo, hi, last = fit.model, -np.inf, np.inf, None
    best, gap = fit.judged()
    sigma, steps, inner = best.best_scale(), 0, INNER * model.tol
    while gap > model.aim and steps < max_iter:
        steps += 1
        here = fit_at(model, best.w, sigma, inner)
        model.count_step()
        judged, found = here.judged()
        slow = found > SLOW * gap
        if found < gap:
            best, gap = judged, found
        at, to = np.log(sigma), np.log(here.best_scale())
        move = to - at
        lo, hi = (at, hi) if move > 0 else (lo, at)
        if last is not None and last[1] != move:
            secant = at - move * (at - last[0]) / (move - last[1])
            to = secant if lo < secant < min(hi, at + FARTHER * max(move, 0)) else to
        last, to = (at, move), max(to, at - DEEPER, np.log(model.least))
        within = lo < to < hi
        if not within and inner < LEAST_INNER:
            break
        if slow or not within:       # what a fit leaves of the conditions counts by its root where penalties are L1
            inner, last = SHARPER * inner, None
        if not within:
            lo, hi, to = -np.inf, np.inf, at
        sigma = float(np.exp(to))
    return best, gap, steps


def fit_at(model, w, sigma, tol):
    """The best fit at a scale, to a relative gap of its own."""
    problem = replace(model.problem, datafit=Huber(model.epsilon * sigma))
    report = None if model.report is None else lambda _: model.report(model.steps)
    spec = Spec(np.array([model.alpha * sigma]), tol=tol, max_iter=ROUNDS, report=report)
    found = solve_suited(problem, spec, warm=w[None])
    if not found.converged.all() and problem.by_ridge(spec):      # no curvature to go by, where few rows are inside
        found = solve_path(problem, spec, warm=w[None])
    w = found.coef(0)
    b = found.intercepts[0, 0] + model.rows.means @ w if problem.fit_intercept else 0.0
    return model.at(w, float(b), sigma)
