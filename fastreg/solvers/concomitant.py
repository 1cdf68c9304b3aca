"""Huber's regression with its scale: what is minimised, where a fit stands, and how far it is from the best one.

    minimise  1/2 sum_i s_i (sigma + sigma H(r_i / sigma)) + sum_j (l1_j |w_j| + l2_j w_j^2 / 2),   r = y - Xw - b

over w, b and sigma > 0, with H(z) = z^2 up to epsilon and 2 epsilon |z| - epsilon^2 beyond it; weights s sum to n. It
is convex in all of them, as sigma H(r / sigma) is the largest of ``2 v r - sigma v^2`` over |v| <= epsilon (Owen, "A
robust hybrid of lasso and ridge regression", 2007). Exchanging the two gives a bound from below: for each v within
epsilon with ``sum s v = 0`` where there is an intercept, and ``sum s v^2 <= n``, which is what sigma asks for,

    sum_i s_i v_i y_i - sum_j penalty_j*(x_j'Sv).

The v of a fit is r / sigma, brought back to epsilon. The gap is added up from what rows, scale and columns leave of it,
none of which is negative.
"""
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fastreg.kernels.krylov import column_moments
from fastreg.scale import UNIT
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.solvers.rows import Rows

EPS = np.finfo(float).eps
# Rounds of the scale, and how far from where it was one of them may take it.
SCALE_STEPS, FURTHEST = 100, 10.0
# Rounding of products with a column, in units of its norm and that of what it is multiplied with.
NOISE = 8 * EPS
# The same of products that a linear system was to make zero: what is left counts as far as coefficients go.
LEFT = 1e-10
# Of the diagonal of a matrix of columns that may depend on each other, what is added to it.
RIDGE = 1e-13


@dataclass(frozen=True, eq=False)
class Terms:
    """Penalty and limits of every column, arrays of shape (p,), for rows whose weights sum to their number."""

    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, problem, alpha, norms):
        """The terms of a problem at alpha."""
        with np.errstate(invalid="ignore"):
            parts = problem.penalty.arrays(norms, problem.n, UNIT)
            l1, l2, lower, upper = (np.broadcast_to(part, norms.shape) for part in parts)
            out = np.isinf(l1) | (norms == 0)
            return cls(alpha * np.where(out, 0, l1), alpha * np.where(out, 0, l2), np.where(out, 0, lower),
                       np.where(out, 0, upper))

    @property
    def smooth(self):
        """Whether there are L2 penalties alone, where any."""
        held = self.lower == self.upper
        return bool(np.all(held | ((self.l1 == 0) & np.isneginf(self.lower) & np.isposinf(self.upper))))

    def value(self, w):
        """Of the penalty."""
        return float(self.l1 @ np.abs(w) + 0.5 * self.l2 @ w**2)

    def left(self, w, g, noise):
        """penalty(w) + penalty*(g) - g w, column by column summed; infinite where g is no dual point."""
        over = np.sign(g) * np.maximum(np.abs(g) - self.l1 * (1 + NOISE) - noise, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.clip(np.where(over == 0, 0, over / self.l2), self.lower, self.upper)
        if not np.all(np.isfinite(best)):
            return np.inf
        apart = self.l1 * (np.abs(w) - np.abs(best)) + (self.l2 * best - np.where(over == 0, np.clip(
            g, -self.l1, self.l1), g)) * (w - best)
        return float(np.sum(np.maximum(apart, 0) + 0.5 * self.l2 * (w - best)**2))


class Concomitant:
    """The objective on some rows.

    Parameters
    ----------
    problem : Problem
        Of one target, whose datafit is Huber's loss.
    epsilon : float
    alpha : float
        Of the problem's penalty, for losses that are averaged.
    tol : float
        What the gap may be in the end, in units of `unit`.
    chosen : ndarray of int or None
        The rows, all for None.
    terms : Terms or None
        Where they are known, for all rows.
    report : callable or None
        Called with the number of steps taken.
    """

    def __init__(self, problem, epsilon, alpha, tol, chosen=None, terms=None, report=None):
        self.report, self.steps = report, 0
        self.problem, self.epsilon, self.alpha, self.tol = problem, epsilon, alpha, tol
        self.rows = Rows(problem, chosen)
        self.total, self.s = self.rows.total, self.rows.weights
        if terms is None:
            problem.check_finite(self.rows.norms)
            self.terms = Terms.of(problem, alpha, self._norms())
        else:
            share = self.total / problem.n
            self.terms = replace(terms, l1=share * terms.l1, l2=share * terms.l2)

    def count_step(self):
        """One more, of Newton's method or to another scale."""
        self.steps += 1
        if self.report is not None:
            self.report(self.steps)

    def _norms(self):
        """Of the columns, as the penalty counts them: weighted where it is by their deviations."""
        if self.s is None or not self.problem.penalty.standardize:
            return self.rows.norms
        design = self.problem.design()
        column_moments(design, np.empty((0, self.rows.n)))
        return design.norms

    @cached_property
    def unit(self):
        """What tol is a multiple of: the objective of the mean of y alone, at a scale of zero."""
        y = self.rows.y
        if self.rows.fit_intercept and self.rows.one_sided():          # its mean may be off by rounding
            return 0.0
        level = np.average(y, weights=self.s) if self.rows.fit_intercept else 0.0
        return self.epsilon * float(self.weighted(np.abs(y - level)).sum())

    @property
    def aim(self):
        """What the gap may be."""
        return self.tol * self.unit

    @cached_property
    def least(self):
        """No scale need be smaller: that leaves half of the gap, or is the rounding of residuals."""
        y = self.rows.y if self.s is None else self.rows.y[self.s > 0]
        return max(EPS * float(np.max(np.abs(y))), 0.5 * self.aim / self.total)

    def weighted(self, values):
        """s times values; rows without weight may hold anything."""
        return values if self.s is None else self.s * values

    def start(self):
        """Coefficients, intercept and scale that know nothing of X: the median of y, and its deviations."""
        rows = self.rows
        y = rows.y if self.s is None else rows.y[self.s > 0]
        b = float(np.median(y)) if rows.fit_intercept else 0.0
        size = np.abs(y - b)
        middle = float(np.median(size))
        return np.zeros(rows.p), b, middle if middle > 0 else float(np.mean(size))

    def at(self, w, b, sigma):
        """The point of coefficients and an intercept of centred X."""
        return Fit(self, w, b, sigma, self.rows.y - (self.rows.product(w) + b))


class Fit:
    """Coefficients, an intercept of centred X, a scale, and the residuals that go with them."""

    def __init__(self, model, w, b, sigma, r):
        self.model, self.w, self.b, self.sigma, self.r = model, w, b, sigma, r

    @cached_property
    def z(self):
        """Residuals in units of the scale."""
        return self.r / self.sigma

    @cached_property
    def v(self):
        """What is left of them: the slope of the loss, and a dual point up to what `gap` mends."""
        return np.clip(self.z, -self.model.epsilon, self.model.epsilon)

    @cached_property
    def inside(self):
        """Which rows are no outliers."""
        return self.v == self.z

    @cached_property
    def sv(self):
        """s v."""
        return self.model.weighted(self.v)

    @cached_property
    def objective(self):
        """The objective."""
        loss = self.sv @ (self.z - 0.5 * self.v)
        return self.sigma * (0.5 * self.model.total + float(loss)) + self.model.terms.value(self.w)

    def judged(self):
        """(the same or, if that is better, with the scale that is best for its residuals; its gap)."""
        gap, sigma = self.gap(), self.best_scale()
        other = Fit(self.model, self.w, self.b, sigma, self.r)
        found = other.gap() if sigma != self.sigma else np.inf
        return (other, found) if found < gap else (self, gap)

    def best_scale(self):
        """The scale that is best for the residuals: sum s min(z^2, epsilon^2) = n. No further than FURTHEST from here.

        While the rows inside do not change, a square root gives it."""
        model, sizes, eps = self.model, np.abs(self.r), self.model.epsilon
        sigma, last = max(self.sigma, model.least), None
        lo, hi = max(sigma / FURTHEST, model.least), sigma * FURTHEST
        squares = model.weighted(sizes * sizes)
        for _ in range(SCALE_STEPS):
            inside = sizes <= eps * sigma
            if last is not None and np.array_equal(inside, last):
                break
            last = inside
            beyond = float(np.count_nonzero(~inside) if model.s is None else model.s[~inside].sum())
            room, held = model.total - eps * eps * beyond, float(squares[inside].sum())
            if room * sigma * sigma >= held:
                hi = sigma
            else:
                lo = sigma
            found = np.sqrt(held / room) if room > 0 else np.inf
            sigma = float(found) if lo < found < hi else np.sqrt(lo * hi)
            if not lo < sigma < hi:
                break
        return sigma

    # ---- the certificate ---------------------------------------------------------------------------------------------
    def gap(self, v=None):
        """The objective less the bound from below that a dual point gives: v, or that of this fit."""
        model, terms = self.model, self.model.terms
        v = self._balanced() if v is None else v
        sv = model.weighted(v)
        top, square = float(np.max(np.abs(v))), float(sv @ v)
        g = model.rows.correlate(sv)
        noise = NOISE * np.sqrt(model.total) * model.rows.norms
        c = min(1.0, model.epsilon / top if top > 0 else 1.0, np.sqrt(model.total / square) if square > 0 else 1.0)
        ends = (terms.l2 == 0) & np.isinf(np.where(g > 0, terms.upper, terms.lower)) & (terms.l1 > 0)
        if np.any(ends):
            c = min(c, float(np.min(terms.l1[ends] / np.maximum(np.abs(g[ends]) - noise[ends], terms.l1[ends]))))
        zero = self._free & (np.abs(g) <= LEFT / NOISE * noise)
        return self._gap_at(c * v, c * np.where(zero, 0, g), noise) + float(np.sum(np.abs(g * self.w)[zero]))

    def _gap_at(self, v, g, noise):
        rows = float(self.model.weighted((self.v - v) * (self.z - 0.5 * (self.v + v))).sum())
        scale = 0.5 * max(self.model.total - float(self.model.weighted(v) @ v), 0.0)
        return self.sigma * (max(rows, 0.0) + scale) + self.model.terms.left(self.w, g, noise)

    @cached_property
    def _free(self):
        """Columns that nothing holds where they are."""
        terms, w = self.model.terms, self.w
        loose = (terms.l1 == 0) & (terms.l2 == 0) & (terms.lower < terms.upper)
        return loose & ((w > terms.lower) & (w < terms.upper))

    def _balanced(self):
        """v, moved in the rows inside so that it is orthogonal to ones (with an intercept) and to free columns."""
        model, rows, free = self.model, self.model.rows, np.flatnonzero(self._free)
        on = model.weighted(self.inside.astype(np.float64))
        if len(free) == 0:
            total = float(on.sum())
            if not rows.fit_intercept or total == 0:
                return self.v
            return self.v - self.inside * (float(self.sv.sum()) / total)
        G = sums_of_rows(rows.X[:, free], np.empty((0, rows.n)), on, rows.n_threads,
                         None if rows.sparse else rows.means[free])
        G = centred(G, rows.means[free] if rows.sparse else None)
        size = np.sqrt(np.maximum(np.diag(G), np.finfo(float).tiny))
        keep = np.arange(len(size) - (not rows.fit_intercept))
        G, v, move = G / np.multiply.outer(size, size), self.v, np.zeros(rows.p)
        for _ in range(2):                                    # the second time: what rounding left
            sv = model.weighted(v)
            g = np.append(rows.correlate(sv)[free], sv.sum()) / size
            moved = np.linalg.lstsq(G[np.ix_(keep, keep)], g[keep], rcond=RIDGE)[0] / size[keep]
            move[free] = moved[:len(free)]
            v = v - self.inside * (rows.product(move) + (moved[-1] if rows.fit_intercept else 0.0))
        return v


def centred(sums, means):
    """Sums of products of columns and ones from those of columns that are not centred; as they are, means None."""
    if means is None:
        return sums
    out, total = sums.copy(), sums[-1, -1]
    level = sums[-1, :-1]
    out[:-1, :-1] += total * np.multiply.outer(means, means) - np.multiply.outer(level, means) - np.multiply.outer(
        means, level)
    out[-1, :-1] = out[:-1, -1] = level - total * means
    return out
