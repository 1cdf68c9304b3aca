"""Newton's method on coefficients, intercept and scale at once, for L2 penalties alone and not too many columns.

In the rows inside, the Hessian is ``1/sigma sum_i s_i a_i a_i'`` of a = (x, 1, z): their Gram matrix, which the rows
that change sides bring from one point to the next; the outliers add nothing. Where too few rows are inside for it to
say anything, outliers count as well, as much less as they are farther out (iteratively reweighted least squares). A
sample of the rows comes near first.
"""
import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fastreg.kernels.probe import WrongSums
from fastreg.solvers.concomitant import RIDGE, Concomitant, Fit, centred
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.solvers.rows import along

# Columns whose matrix is made.
MOST_COLUMNS = 2000
# Share of the rows that may change sides before the matrix is made anew.
FEW = 0.25
# Part of the scale that a step may take away.
SHRINK = 0.9
# Part of a step, beneath which the next matrix counts outliers as well, and how many such matrices there may be on end.
SHORT, WIDE = 0.1, 5
# One that nobody else draws by: outliers put in at random must not make up the sample.
SEED = 7358213
# Rows of a sample for each column, at least so many, and the share of all rows that they are at most.
SAMPLE, LEAST_SAMPLE, MOST_SAMPLED, SAMPLE_STEPS, NEAR_ENOUGH = 20, 1000, 0.2, 30, 1e-4


class Matrix:
    """``sum_i d_i (x_i, 1)(x_i, 1)'`` for the columns that count, X centred: of the rows inside, and of all others where
    they count as well."""

    def __init__(self, model):
        self.model, self.inside, self.sums, self.beyond = model, None, None, None
        self.weights = np.ones(model.rows.n) if model.s is None else model.s
        self.cols = np.flatnonzero(model.terms.lower < model.terms.upper)

    def follow(self, fit):
        """Become that of a point."""
        changed = None if self.inside is None else np.flatnonzero(fit.inside != self.inside)
        if changed is None or len(changed) > FEW * len(self.weights):
            self.sums = self._sums(slice(None), self.weights * fit.inside)
        else:
            for side, sign in ((True, 1), (False, -1)):
                some = changed[fit.inside[changed] == side]
                if len(some):
                    self.sums = self.sums + sign * self._sums(some, self.weights[some])
        self.inside, self.beyond = fit.inside, None

    def widen(self, fit):
        """Count outliers as well."""
        out = np.flatnonzero(~fit.inside)
        if len(out):
            self.beyond = self._sums(out, self.weights[out] * fit.model.epsilon / np.abs(fit.z[out]))

    def _sums(self, some, d):
        rows = self.model.rows
        X = rows.X if isinstance(some, slice) else rows.X[some]
        rows.streamed += X.nnz if rows.sparse else X.size
        sums = sums_of_rows(X, np.empty((0, X.shape[0])), np.ascontiguousarray(d, dtype=np.float64), rows.n_threads,
                            None if rows.sparse else rows.means)
        return centred(sums, rows.means if rows.sparse else None)

    def factor(self, sigma):
        """Factor of the Hessian in coefficients and intercept, times sigma, brought to a diagonal of ones; None where
        there is none."""
        keep = np.append(self.cols, self.model.rows.p) if self.model.rows.fit_intercept else self.cols
        H = (self.sums if self.beyond is None else self.sums + self.beyond)[np.ix_(keep, keep)]
        k = len(self.cols)
        H[np.arange(k), np.arange(k)] += sigma * self.model.terms.l2[self.cols]
        diagonal = np.diag(H)
        if np.any(diagonal <= 0):
            return None
        size = 1 / np.sqrt(diagonal)
        H *= np.multiply.outer(size, size)
        H[np.diag_indices_from(H)] += RIDGE
        try:
            return cho_factor(H, overwrite_a=True, check_finite=False), size
        except LinAlgError:
            return None


class Step:
    """The way from a point under a matrix.

    Attributes
    ----------
    w, b, sigma, u
        What moves: coefficients, intercept, scale, predictions.
    begin : float
        The slope that it begins with.
    wide : bool
        Whether outliers count in it.
    """

    def __init__(self, fit, matrix, factor):
        model, rows, cols = fit.model, fit.model.rows, matrix.cols
        within = np.where(fit.inside, fit.sv, 0)
        fit.pull, beside = rows.correlate_all(np.stack([fit.sv, within]))
        gradient = model.terms.l2[cols] * fit.w[cols] - fit.pull[cols]
        cross = beside[cols]
        if rows.fit_intercept:
            gradient, cross = np.append(gradient, -fit.sv.sum()), np.append(cross, within.sum())
        of_scale = 0.5 * (model.total - float(fit.sv @ fit.v))
        (chol, size), sigma = factor, fit.sigma
        plain, turn = (size * cho_solve(chol, size * side, check_finite=False) for side in (-sigma * gradient, cross))
        bend = float(within @ fit.z) - float(cross @ turn)
        downhill = -sigma * of_scale - float(cross @ plain)
        self.sigma = downhill / bend if bend > 0 else np.copysign(np.inf, downhill)
        self.sigma = min(max(self.sigma, min(max(-SHRINK * sigma, model.least - sigma), 0)), sigma / SHRINK)
        self.wide = matrix.beyond is not None
        if self.wide:                           # a scale that falls would leave still fewer rows inside
            self.sigma = max(self.sigma, 0)
        moved = plain - self.sigma * turn
        self.w, self.b = np.zeros(rows.p), float(moved[-1]) if rows.fit_intercept else 0.0
        self.w[cols] = moved[:len(cols)]
        self.begin = float(gradient @ moved) + of_scale * self.sigma

        self.u = rows.product(self.w) + self.b

    def dual(self, fit):
        """The dual point that the step goes to: orthogonal to the columns but for what the penalty holds."""
        return fit.v - np.where(fit.inside, (self.u + self.sigma * fit.z) / fit.sigma, 0)

    def take(self, fit):
        """(the point that it leads to, the part of it that was taken)."""
        model, l2, eps = fit.model, fit.model.terms.l2, fit.model.epsilon
        u = self.u
        def slope_at(part):
            v = np.clip((fit.r - part * u) / (fit.sigma + part * self.sigma), -eps, eps)
            sv = model.weighted(v)
            return (0.5 * (model.total - sv @ v) * self.sigma - sv @ u
                    + (l2 * (fit.w + part * self.w)) @ self.w)

        part = along(slope_at, self.begin)
        return Fit(model, fit.w + part * self.w, fit.b + part * self.b, fit.sigma + part * self.sigma,
                   fit.r - part * u), part


def suits(model):
    """Whether Newton's method is for it."""
    return model.terms.smooth and model.rows.p <= MOST_COLUMNS


def descend(fit, most):
    """(point, its gap, steps): Newton's method until the gap is what it may be, and a step more; or until it is for
    others to go on."""
    model, matrix, wide, best, gap, done = fit.model, Matrix(fit.model), 0, None, np.inf, False
    for steps in range(most + 1):
        try:
            step = _step(fit, matrix, wide > 0)
        except WrongSums:
            break
        wide = wide + 1 if step is not None and step.wide else 0
        if step is None or wide > WIDE:
            break
        if (-step.begin <= model.aim and not wide) or steps == most:
            judged, found = fit.judged(step.dual(fit))
            if found < gap:
                best, gap = judged, found
            if done or (gap <= model.aim and steps == 0):
                break
            done = gap <= model.aim
        if steps == most or not step.begin < 0:
            break
        fit, part = step.take(fit)
        if part == 0:
            break
        if part >= SHORT:
            wide = 0
    if best is None:
        best, gap = fit.judged()
    return best, gap, steps


def _step(fit, matrix, wide):
    """The step from a point, None where there is no matrix for it. Outliers count in it where that is asked for, or
    where it promised more than there is."""
    matrix.follow(fit)
    factor = None if wide else matrix.factor(fit.sigma)
    step = None if factor is None else Step(fit, matrix, factor)
    if step is None or -step.begin > 2 * fit.objective:
        matrix.widen(fit)
        factor = matrix.factor(fit.sigma)
        step = None if factor is None else Step(fit, matrix, factor)
    return step


def by_sample(model, fit):
    """A point that a sample of the rows has brought nearer; `fit` where there are too few rows for one."""
    rows = model.rows
    size = max(LEAST_SAMPLE, SAMPLE * rows.p)
    if size > MOST_SAMPLED * rows.n:
        return fit
    chosen = np.sort(np.random.default_rng(SEED).choice(rows.n, size, replace=False))
    few = Concomitant(model.problem, model.epsilon, model.alpha, NEAR_ENOUGH, chosen, model.terms)
    start = few.start() if few.unit > 0 else None
    if start is None or start.sigma == 0:
        return fit
    found, _, _ = descend(start, SAMPLE_STEPS)
    # centred about other means
    b = found.b - float((few.rows.means - rows.means) @ found.w) if rows.fit_intercept else 0.0
    there = model.at(found.w, b, found.sigma)
    return there if there.objective < fit.objective else fit
