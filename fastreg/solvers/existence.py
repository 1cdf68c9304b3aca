"""Whether a loss has a minimum along the columns that nothing penalises, or falls for ever along some direction.

Losses of labels and of counts only come near to their infimum at a row whose linear predictor may go off to one side:
towards its label, or down at a count of zero. No coefficients are the best, however good those at hand, exactly where a
direction of the free columns moves some rows that way, no row the other way, and no row at all that has no such side
(Albert and Anderson, "On the existence of maximum likelihood estimates in logistic regression models", Biometrika 71
(1984); Correia, Guimaraes and Zylkin, "Verifying the existence of maximum likelihood estimates for generalized linear
models", arXiv:1903.01633).

Newton's method decides. A step that moves the rows by v makes ``sum_i s_i (f' + f'' v_i) x_i`` vanish: if no slope
f' + f'' v has changed its sign, the slopes are a combination that no such direction allows, and there is a minimum.
Where there is none, some row moves by one or more at every step; the others, whose minimum is approached quadratically,
soon do not move at all, and the step is the direction. Offsets change nothing of this, so rows begin where their
curvatures are good to work with, wherever the fit has brought them.
"""
from dataclasses import dataclass

import numpy as np

from fastreg.design import as_design, view_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.ridge.choose import solve_ridge
from fastreg.threads import effective_threads

STEPS = 60
HALVINGS = 40
# Of the largest move of a row along a direction, what counts as none.
TIE = 1e-9
# How far from the fit of an intercept alone the rows that have a side begin.
NEAR = 8.0
# Of a slope, what must be left of it for its sign to be sure; of the least slope, what their sums may be wrong by.
LEFT = 1e-3


@dataclass(frozen=True, eq=False)
class Escape:
    """A direction along which the loss falls for ever.

    Attributes
    ----------
    coef : ndarray of shape (p,) or (n_classes, p)
    intercept : float or ndarray of shape (n_classes,)
    known : bool
        False where rounding leaves open whether there is one: this is the last that was tried.
    """

    coef: np.ndarray
    intercept: float
    known: bool = True

    def refusal(self, datafit):
        """What is said of y where this is known."""
        size = np.hypot(np.linalg.norm(self.coef), np.linalg.norm(self.intercept))
        shown, level = (np.array2string(np.asarray(part / size), precision=4, threshold=6, max_line_width=200)
                        for part in (self.coef, self.intercept))
        return (f"y: {datafit.escaping}, so that there is no best fit without a penalty (C=inf, alpha=0, or a "
                f"penalty_factor of 0): along the direction {shown} of the coefficients and "
                f"{level} of the intercept every fit is bettered by a longer one.")


def escape(problem, alpha, coef, intercept):
    """The Escape of the columns that are free at alpha; None where there is a minimum.

    Parameters
    ----------
    problem : Problem
        Of one target.
    alpha : float
    coef : ndarray of shape (p,)
        A fit at alpha.
    intercept : float
    """
    lower, upper = (np.broadcast_to(limit, problem.p) for limit in problem.limits())
    free = problem.free_columns(alpha) & (np.isinf(lower) | np.isinf(upper))
    side = problem.datafit.open_side(problem.Y[:, 0])
    if problem.weights.normalised is not None:
        side = np.where(problem.weights.normalised > 0, side, 0)
    if not (free.any() and side.any()):
        return None
    rows = _Rows(problem, np.where(free, lower, 0), np.where(free, upper, 0), side)
    level = intercept + rows.means @ coef
    d = np.where(free, coef, 0)
    if rows.along(d, level):                                       # where the fit has gone, it may go on
        return rows.found(d, level)
    eta, w = rows.begin(coef, level), rows.near_limits(d)
    for _ in range(STEPS):
        slope, curvature = problem.datafit.derivatives(rows.y, eta, rows.weights)
        down, low, high = rows.pressed(slope), w <= rows.lower, w >= rows.upper
        held = (low & (down <= 0)) | (high & (down >= 0))
        while True:
            d, shift = rows.step(slope, curvature, free & ~held)
            blocked = ~held & ((low & (d < 0)) | (high & (d > 0)))
            if not blocked.any():
                break
            held |= blocked
        v = rows.move(d) + shift
        if rows.forbid(slope, slope + curvature * v, free & ~held, free & held & low, free & held & high):
            return None
        if rows.along(d, shift):
            return rows.found(d, shift)
        part = rows.search(eta, v, rows.room(w, d))
        w, eta = np.clip(w + part * d, rows.lower, rows.upper), eta + part * v
    return rows.found(d, shift, known=False)


class _Rows:
    """Rows that have a weight, the sides to which they may go off, and columns, centred where an intercept is fitted:
    `level` and `shift` are what the intercept is to centred columns."""

    def __init__(self, problem, lower, upper, side):
        self.problem, self.datafit, self.lower, self.upper, self.side = problem, problem.datafit, lower, upper, side
        self.y, self.weights = np.ascontiguousarray(problem.Y[:, 0]), problem.weights.normalised
        self.on = np.ones(problem.n, dtype=bool) if self.weights is None else self.weights > 0
        self.view = view_of(as_design(problem.X, effective_threads(problem.n_threads)), None, problem.fit_intercept)
        column_moments(self.view, np.empty((0, problem.n)))
        self.means, self.norms = self.view.means, self.view.norms

    def begin(self, coef, level):
        """eta of a fit; but rows that have a side are near where an intercept alone would bring them, others near the
        eta of their y."""
        offset, (base, _, _) = self.problem.offset, self.datafit.null_fit(self.y, self.weights)
        with np.errstate(divide="ignore"):
            base = np.where(self.side == 0, self.datafit.link(self.y), base)
        base[~self.on] = 0
        eta = self.move(coef) + level + (0 if offset is None else offset)
        return np.clip(eta, base - NEAR, base + NEAR)

    def near_limits(self, w):
        """Coefficients no further from their limits than moves rows by one or so."""
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.sqrt(self.problem.n) / self.norms
            return np.clip(w, np.where(np.isfinite(self.upper), self.upper - reach, -np.inf),
                           np.where(np.isfinite(self.lower), self.lower + reach, np.inf))

    def move(self, d):
        """What coefficients d add to the rows, centred."""
        return combine(self.view, np.ascontiguousarray(d)[None])[0]

    def found(self, d, shift, known=True):
        """The Escape along d."""
        return Escape(d, float(shift - self.means @ d) if self.problem.fit_intercept else 0.0, known)

    def pressed(self, slope):
        """Which way the loss presses each coefficient, and how hard."""
        return -correlate(self.view, slope[None])[0]

    def step(self, slope, curvature, columns):
        """(coefficients, shift) of Newton's step along these columns."""
        problem = self.problem
        z = np.divide(-slope, curvature, out=np.zeros(problem.n), where=curvature > 0)
        found = solve_ridge(problem.X, z[:, None], np.zeros(1), Penalty(0.0, np.where(columns, 1.0, np.inf)),
                            weight=curvature, fit_intercept=problem.fit_intercept, tol=TIE, n_threads=problem.n_threads)
        d, shift = found.coef[0], 0.0
        if problem.fit_intercept:                 # not from that of columns that are not centred, which may cancel
            shift = -np.sum(slope + curvature * self.move(d)) / np.sum(curvature)
        return d, shift

    def forbid(self, slope, after, moved, low, high):
        """Whether slopes `after`, of the signs of `slope`, allow no direction: not along the columns that moved, and
        from their limits not along the others."""
        have = self.side != 0
        if not np.all((self.side * after <= -LEFT * np.abs(slope))[have]):
            return False
        down, slack = self.pressed(after), LEFT * np.min(np.abs(after[have])) * self.norms
        return bool(np.all(np.abs(down) <= slack, where=moved) and np.all(down <= slack, where=low)
                    and np.all(down >= -slack, where=high))

    def room(self, w, d):
        """How much of a step the limits leave, at most all of it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(d < 0, (self.lower - w) / d, np.where(d > 0, (self.upper - w) / d, np.inf))
        return min(1.0, np.min(parts))

    def along(self, d, shift):
        """Whether the rows may go along a direction for ever."""
        if np.any((d < 0) & np.isfinite(self.lower)) or np.any((d > 0) & np.isfinite(self.upper)):
            return False
        v = np.where(self.on, self.move(d) + shift, 0)
        gone = self.side * v
        most = np.max(gone)
        return bool(most > 0 and np.all(gone >= -TIE * most) and np.all(np.abs(v[self.side == 0]) <= TIE * most))

    def search(self, eta, v, part):
        """The part of a step, at most `part`, along which the loss falls."""
        before = self.datafit.loss(self.y, eta, self.weights)
        for _ in range(HALVINGS):
            if self.datafit.loss(self.y, eta + part * v, self.weights) <= before:
                break
            part /= 2
        return part
