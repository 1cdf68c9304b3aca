"""Newton's method on coefficients, intercept and scale at once, for L2 penalties alone and not too many columns.

In the rows inside, the Hessian is ``1/sigma sum_i s_i a_i a_i'`` of a = (x, 1, z): their Gram matrix, which the rows
that change sides bring from one point to the next; the outliers add nothing. Where too few rows are inside for it to
say anything, outliers count as well, as much less as they are farther out (iteratively reweighted least squares). A
sample of the rows comes near first.
"""
import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from fastreg.design import as_design, in_row_order, view_of
from fastreg.kernels.robust import advance
from fastreg.solvers.concomitant import RIDGE, Concomitant, Fit, centred
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.solvers.rows import along

# Columns whose matrix is made.
MOST_COLUMNS = 2000
# Part of the scale that a step may take away.
SHRINK = 0.9
# Part of a step, beneath which the next matrix counts outliers as well, and how many on end may do so.
SHORT, WIDE = 0.1, 5
# Of the gap aimed at, what a step may bring for its end to be judged, and judgements that do not halve the gap,
# before the rest is left to others.
NEAR, IDLE = 0.05, 3
# Rows of a sample for each column, at least so many, and the share of all rows that they are at most; what they are
# solved to, and in how many steps.
SAMPLE, LEAST_SAMPLE, MOST_SAMPLED, NEAR_ENOUGH, SAMPLE_STEPS = 20, 1000, 0.2, 1e-3, 30
# One that nobody else draws by: outliers put in at random must not make up the sample.
SEED = 7358213


class Point:
    """Where Newton's method stands: a point, and sums over the rows there.

    Attributes
    ----------
    w, b, sigma, r
        As of a Fit.
    u : ndarray of shape (n,)
        By how much predictions moved on the way.
    inside : ndarray of uint8, shape (n,)
        Which rows are no outliers.
    gram : ndarray of shape (p + 1, p + 1)
        ``sum_i s_i (x_i, 1)(x_i, 1)'`` of these, X centred.
    pull, within : ndarray of shape (p + 1,)
        ``sum_i s_i v_i (x_i, 1)``, of all rows and of those inside.
    squares, squares_inside, loss : float
        ``sum s v^2``, the same of those inside, ``sum s v (z - v / 2)``.
    """

    def __init__(self, model, view, before, step, part, w, b, sigma):
        means = model.rows.means if model.rows.sparse else None
        move, level = part * step.w, part * step.b
        if means is not None:
            level -= means @ move
        self.w, self.b, self.sigma = w, b, sigma
        self.u, self.r, self.inside, change, pull, within, sums = advance(
            view, move, level, before.r, sigma, model.epsilon, model.s, before.inside)
        self.gram = before.gram + centred(change, means)
        self.pull, self.within = (side if means is None else np.append(
            side[:-1] - side[-1] * means, side[-1]) for side in (pull, within))
        self.squares, self.squares_inside, self.loss = sums.tolist()

    def fit(self, model):
        """The same as a Fit."""
        return Fit(model, self.w, self.b, self.sigma, self.r)


class Start:
    """Before the first Point, and the step to it: no row is inside."""

    def __init__(self, model, w, b):
        self.r, self.inside, self.gram = model.rows.y, np.zeros(model.rows.n, dtype=np.uint8), 0.0
        self.w, self.b = w, b


class Step:
    """The way from a point under a matrix that is factored.

    Attributes
    ----------
    w, b, sigma
        What moves.
    begin : float
        The slope of the objective that it begins with.
    wide : bool
        Whether outliers count in the matrix.
    """

    def __init__(self, newton, at, factor, wide):
        model, cols, keep = newton.model, newton.cols, newton.keep
        chol, size = factor
        gradient, cross, sigma = -at.pull[keep], at.within[keep], at.sigma
        gradient[:len(cols)] += newton.l2 * at.w[cols]
        of_scale = 0.5 * (model.total - at.squares)
        sides = np.array([-sigma * gradient, cross]) * size
        plain, turn = dpotrs(chol, sides.T, lower=1)[0].T * size
        bend = at.squares_inside - float(cross @ turn)
        downhill = -sigma * of_scale - float(cross @ plain)
        move = downhill / bend if bend > 0 else np.copysign(np.inf, downhill)
        move = min(max(move, min(max(-SHRINK * sigma, model.least - sigma), 0.0)), sigma / SHRINK)
        # a scale that falls would leave still fewer rows inside
        self.sigma, self.wide = max(move, 0.0) if wide else move, wide
        moved = plain - self.sigma * turn
        self.w, self.b = np.zeros(len(at.w)), float(moved[-1]) if model.rows.fit_intercept else 0.0
        self.w[cols] = moved[:len(cols)]
        self.begin = float(gradient @ moved) + of_scale * self.sigma

    def dual(self, at, model):
        """The dual point that it goes to: orthogonal to the columns but for what the penalty holds."""
        z, u = at.r / at.sigma, model.rows.product(self.w) + self.b
        return np.clip(z, -model.epsilon, model.epsilon) - np.where(at.inside, (u + self.sigma * z) / at.sigma, 0)


class Newton:
    """Newton's method on a model, from coefficients, an intercept of centred X, and a scale."""

    def __init__(self, model, w, b, sigma):
        self.model = model
        rows, terms = model.rows, model.terms
        self.view = rows.view if not rows.sparse else view_of(
            as_design(in_row_order(rows.X), rows.n_threads), None, False)
        self.cols = np.flatnonzero(terms.lower < terms.upper)
        self.keep = np.append(self.cols, rows.p) if rows.fit_intercept else self.cols
        self.l2 = terms.l2[self.cols]
        start = Start(model, w, b)
        self.at = Point(model, self.view, start, start, 1.0, w, b, sigma)

    def step(self, wide):
        """The step from where it stands, None where there is no matrix for it. Outliers count in it where that is asked
        for, or where it promised more than there is."""
        at = self.at
        factor = None if wide else self._factor(at.gram)
        step = None if factor is None else Step(self, at, factor, False)
        if step is None or -step.begin > 2 * self._objective(at):
            factor = self._factor(at.gram + self._outliers())
            step = None if factor is None else Step(self, at, factor, True)
        return step

    def take(self, step):
        """Go along a step as far as the objective falls; the part of it that was taken."""
        there = self._there(step, 1.0)
        part = along(lambda part: self._slope(step, part, there), step.begin)
        if part > 0:
            self.at = there if part == 1 else self._there(step, part)
        return part

    def _there(self, step, part):
        at = self.at
        return Point(self.model, self.view, at, step, part, at.w + part * step.w, at.b + part * step.b,
                     at.sigma + part * step.sigma)

    def _slope(self, step, part, there):
        """Of the objective, at a part of a step; `there` being its end."""
        at, model = self.at, self.model
        of_penalty = (model.terms.l2 * (at.w + part * step.w)) @ step.w
        if part == 1:
            pull, squares = there.pull[:-1] @ step.w + there.pull[-1] * step.b, there.squares
        else:
            v = np.clip((at.r - part * there.u) / (at.sigma + part * step.sigma), -model.epsilon, model.epsilon)
            sv = model.weighted(v)
            pull, squares = sv @ there.u, sv @ v
        return float(0.5 * (model.total - squares) * step.sigma - pull + of_penalty)

    def _objective(self, at):
        return at.sigma * (0.5 * self.model.total + at.loss) + self.model.terms.value(at.w)

    def _outliers(self):
        """What outliers add to the matrix."""
        at, rows = self.at, self.model.rows
        out = np.flatnonzero(at.inside == 0)
        if len(out) == 0:
            return 0.0
        weight = self.model.epsilon * at.sigma / np.abs(at.r[out])
        if self.model.s is not None:
            weight *= self.model.s[out]
        sums = sums_of_rows(rows.X[out], np.empty((0, len(out))), weight, rows.n_threads,
                            None if rows.sparse else rows.means)
        return centred(sums, rows.means if rows.sparse else None)

    def _factor(self, gram):
        """Factor of the Hessian in coefficients and intercept, times sigma, and what brings its diagonal to ones; None
        where there is none."""
        H = gram.copy() if len(self.keep) == len(gram) else gram[np.ix_(self.keep, self.keep)]
        diagonal = H.ravel()[::len(H) + 1]
        diagonal[:len(self.cols)] += self.at.sigma * self.l2
        if not diagonal.min(initial=np.inf) > 0:
            return None
        size = 1 / np.sqrt(diagonal)
        H *= size
        H *= size[:, None]
        H.ravel()[::len(H) + 1] += RIDGE
        chol, info = dpotrf(H.T, lower=1, clean=0, overwrite_a=1)
        return (chol, size) if info == 0 else None


def suits(model):
    """Whether Newton's method is for it: there must be something beside the scale."""
    some = model.rows.fit_intercept or bool(np.any(model.terms.lower < model.terms.upper))
    return some and model.terms.smooth and model.rows.p <= MOST_COLUMNS


def descend(model, w, b, sigma, most, judge=True):
    """(Fit, its gap, steps): Newton's method until the gap is what it may be; or until it is for others to go on.
    Unless it is to judge, the end is where a step would bring no more than that, and the gap is infinite."""
    newton, force, wide, idle, best, gap = Newton(model, w, b, sigma), False, 0, 0, None, np.inf
    for steps in range(most + 1):
        step, at = newton.step(force), newton.at
        wide = wide + 1 if step is not None and step.wide else 0
        if step is None or wide > WIDE or not step.begin <= 0:
            break
        near = -step.begin <= (NEAR if steps else 1) * model.aim and not wide
        if near and not judge:
            break
        last = steps == most
        dual = step.dual(at, model) if near or last else None
        if last or (near and steps == 0):             # whoever begins where he is to go takes no step
            best, gap = _better(at.fit(model), dual, best, gap)
            if last or gap <= model.aim:
                return best, gap, steps
        part = newton.take(step)
        model.count_step()
        if near:
            before = gap
            best, gap = _better(newton.at.fit(model), dual, best, gap)
            idle = 0 if gap < 0.5 * before else idle + 1
            if gap <= model.aim or idle >= IDLE:
                return best, gap, steps + 1
        if part == 0:
            break
        force = part < SHORT
    if best is None:
        best, gap = newton.at.fit(model).judged() if judge else (newton.at.fit(model), np.inf)
    return best, gap, steps


def _better(fit, dual, best, gap):
    """(whichever of two fits has the smaller gap, it)."""
    found = fit.gap(dual)
    return (fit, found) if best is None or found < gap else (best, gap)


def by_sample(model):
    """Coefficients, intercept and scale that a sample of the rows has found; None where there are too few rows."""
    rows = model.rows
    size = max(LEAST_SAMPLE, SAMPLE * rows.p)
    if size > MOST_SAMPLED * rows.n:
        return None
    chosen = np.sort(np.random.default_rng(SEED).choice(rows.n, size, replace=False))
    few = Concomitant(model.problem, model.epsilon, model.alpha, NEAR_ENOUGH, chosen, model.terms)
    if few.unit == 0:
        return None
    found, _, _ = descend(few, *few.start(), SAMPLE_STEPS, judge=False)
    # centred about other means
    b = found.b - float((few.rows.means - rows.means) @ found.w) if rows.fit_intercept else 0.0
    return found.w, b, found.sigma
