"""A loss with an L2 penalty alone and no more columns than rows: Newton's method with far fewer matrices than steps.

The matrix ``X'DX`` (X centred under D = diag(s f'')) is kept from step to step and from alpha to alpha, while steps
under it shrink the gap so fast that another one would cost more: only gradients are exact. From afar, steps are made on
a few rows first, then on more of them, drawn at random: their solution is as near as their number allows, and their
matrix does for the first steps on all rows (Roosta-Khorasani and Mahoney, "Sub-sampled Newton methods", 2019).
"""

import numpy as np

from fastreg.kernels.lapack import cholesky, solved
from fastreg.kernels.probe import WrongSums
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.choose import DENSE_RATE, EXPECTED_PRODUCTS, FLOPS, price_of_sums
from fastreg.solvers.ridge.grams import sums_of_rows
from fastreg.solvers.rows import ACCEPTED, Point, Rows

# Columns whose matrix is made.
MOST_COLUMNS = 5000
# Rows of it that are made at a time.
BLOCK = 64
# Rows of the first sample for each column, and for what the mean curvature of a row tells of it; how many times more
# come next; and the share of all rows that a sample has at most.
SAMPLE, INFORMATION, NEXT, MOST_SAMPLED = 20, 5, 8, 0.15
# Of what there is to explain: a gap from which on samples help, what is left of it on a sample, in so many steps.
AFAR, NEAR_ENOUGH, SAMPLE_STEPS = 0.03, 1e-3, 20
# Rows that a column's values come from at least, for a sample to tell its coefficient; others are held by so many times
# their squares. Share of its squares that a column has where rows are said to have values of it.
BEHIND, STIFF, ABSENT = 20, 1e3, 0.5
# Of the least gap, what a step is to leave; steps that leave more, before the rest is left to others.
HELPFUL, IDLE = 0.5, 5
# Steps that a new matrix is expected to take; what the first step leaves of the gap, under that of a sample or of
# another alpha.
FRESH, KEPT = 2, 0.1
# Steps after which eta is made anew, rounding having added up.
EXACT = 10
# Matrices learn from steps where another one costs so many of them at least, and a factor no more than this share of
# one; of the curvature along a step, what it is to find at least.
DEAR, FACTORED, BENT = 8, 0.3, 1e-2
# Seconds that a step takes: for each element of dense and of sparse X, read twice, and for each row's loss.
DENSE_STEP, SPARSE_STEP, LOSS_STEP = 6e-10, 9e-10, 1e-8


class Matrix:
    """``X'DX`` of some rows, for the columns that count.

    Parameters
    ----------
    rows : Rows
    d : ndarray of shape (n,)
    cols : ndarray of int
    scale : float
        What all rows weigh against these.
    """

    def __init__(self, rows, d, cols, scale):
        shift = None if rows.sparse else rows.means
        sums = sums_of_rows(rows.X, np.empty((0, rows.n)), d, rows.n_threads, shift)
        raw, level = sums[:-1, :-1], sums[-1, :-1]
        share = scale / sums[-1, -1] if rows.fit_intercept else 0.0
        self.G = np.empty((rows.p, rows.p))
        for j in range(0, rows.p, BLOCK):                 # no other array of this size
            some = slice(j, j + BLOCK)
            np.multiply(raw[some], scale, out=self.G[some])
            self.G[some] -= np.multiply.outer(share * level[some], level)
        self.G = self.G if len(cols) == rows.p else self.G[np.ix_(cols, cols)]
        self.cols, self.seen, self.factor = cols, scale * rows.norms[cols]**2, None

    def complete(self, squares, curvature):
        """Give columns of which these rows have too few values what others have, `squares` being theirs."""
        absent = self.seen < ABSENT * squares
        if absent.any():
            self.G[absent, absent] += curvature * (squares - self.seen)[absent]
            self.seen = np.where(absent, squares, self.seen)

    def learn(self, move, bend):
        """Let G move be `bend`, what a step has found it to be, without more change than that takes (BFGS)."""
        along, found = self.G @ move, bend @ move
        if found > BENT * (move @ along):
            self.G = (self.G - np.multiply.outer(along, along / (move @ along))
                      + np.multiply.outer(bend, bend / found))

    def penalise(self, l2):
        """Add the penalty; False where rounding has left no factor."""
        H = self.G.copy()
        H[np.diag_indices_from(H)] += l2
        self.factor = H.T                            # OpenBLAS is faster on this triangle
        return not interruptible(cholesky, H.T)

    def solve(self, g):
        """The coefficients that g asks for."""
        return solved(self.factor, g)


def _rows_behind(rows):
    """How many rows the values of each column come from: (sum x^2)^2 / sum x^4."""
    if rows.sparse:
        squares, fourth = (np.asarray(rows.X.power(k).sum(axis=0)).ravel() for k in (2, 4))
    else:
        apart = (rows.X - rows.means)**2
        squares, fourth = apart.sum(axis=0), np.einsum("ij,ij->j", apart, apart)
    return np.divide(squares**2, fourth, out=np.zeros(rows.p), where=fourth > 0)


def _gap(g, l2):
    return float(np.sum(g * g / (2 * l2)))


class Newton:
    """Newton's method for a Reweighted, whose state it moves.

    Parameters
    ----------
    of : Reweighted
    """

    def __init__(self, of):
        self.of, self.rows, self.cols = of, of.rows, np.flatnonzero(of.counts)
        self.matrix, self.stale, self.rate = None, True, KEPT
        n, p, size = self.rows.n, self.rows.p, self.rows.size
        if self.rows.sparse:
            self.price, self.of_step = price_of_sums(self.rows.X), size * SPARSE_STEP + n * LOSS_STEP
        else:
            self.price = (n + p / 3) * p * p / FLOPS + size / DENSE_RATE
            self.of_step = size * DENSE_STEP + n * LOSS_STEP
        self.learns = self.price > DEAR * self.of_step and len(self.cols)**3 / 3 / FLOPS < FACTORED * self.of_step

    def suits(self):
        """Whether there is room for a matrix, and conjugate gradients cost more."""
        return (self.rows.p <= min(self.rows.n, MOST_COLUMNS) and len(self.cols) > 0
                and self.price < EXPECTED_PRODUCTS * self.of_step)

    def descend(self, alpha, aim):
        """Steps at alpha to a gap of no more than `aim`, as long as they help; their number."""
        of, at, l2 = self.of, self.of.at, alpha * self.of.factors[self.cols]
        gap = _gap(self._gradient(at, l2), l2)
        if gap <= aim:
            return 0
        self.rate, self.stale = KEPT, self.matrix is None or not self.matrix.penalise(l2)
        if gap > AFAR * of.unit:
            at = self._by_samples(at, l2)
        at, steps = self._minimise(self.rows, at, l2, aim, of.spec.max_iter, 1.0)
        of.at = at if steps <= EXACT else Point.at(self.rows, at.w)
        return steps

    # ---- samples -----------------------------------------------------------------------------------------------------
    def _by_samples(self, start, l2):
        """A point that samples of the rows have brought nearer; `start` where they have not."""
        rows, of, w, order = self.rows, self.of, start.w, None
        told = rows.derivatives(of.nulls.eta[0])[1].mean()
        m = max(SAMPLE, INFORMATION / max(told, 1 / rows.n)) * len(self.cols)
        while m <= MOST_SAMPLED * rows.n:
            order = np.random.default_rng(0).permutation(rows.n) if order is None else order
            few = Rows(of.problem, np.sort(order[:int(m)]))
            if few.one_sided():
                break
            scale, cols = rows.total / few.total, self.cols
            held = l2 + np.where(_rows_behind(few)[cols] < BEHIND, STIFF * scale * few.norms[cols]**2, 0)
            at = Point.at(few, w)
            self._go_over(few, at, held, scale)
            aim = NEAR_ENOUGH * of.unit / scale
            w = self._minimise(few, at, held / scale, aim, SAMPLE_STEPS, scale)[0].w
            rows.streamed += few.streamed
            self.rate = KEPT
            m *= NEXT
        if w is start.w:
            return start
        at = Point.at(rows, w)
        self.stale = True
        if self._objective(at, l2) >= self._objective(start, l2):
            return start
        self._go_over(rows, at, l2, 1.0)
        return at

    def _go_over(self, rows, at, l2, scale):
        """Begin with the matrix at hand on other rows."""
        if self.matrix is not None:
            self.matrix.complete(scale * rows.norms[self.cols]**2, at.curvature.mean())
            self.stale = not self.matrix.penalise(l2)

    def _objective(self, at, l2):
        return at.loss + 0.5 * l2 @ at.w[self.cols]**2

    def _gradient(self, at, l2):
        """Downhill."""
        return at.pull[self.cols] - l2 * at.w[self.cols]

    # ---- steps -------------------------------------------------------------------------------------------------------
    def _minimise(self, rows, at, l2, aim, most, scale):
        """(the last point, the number of steps) from a point on some rows; scale: what all rows weigh against them."""
        last, best, idle = np.inf, np.inf, 0
        for steps in range(most + 1):
            self.of.spec.tell(self.of.finished, steps if rows is self.rows else 0)
            g = self._gradient(at, l2)
            gap = _gap(g, l2)
            idle = 0 if gap < HELPFUL * best else idle + 1
            best = min(best, gap)
            if gap <= aim or steps == most or idle > IDLE:
                break
            self.rate = gap / last if last < np.inf else self.rate
            last = gap
            if (self.stale or not self._goes_on(max(gap / aim, 1))) and not self._renew(rows, at, l2, scale):
                break
            moved = self._step(rows, at, g, l2, scale)
            if moved is None:
                break
            at = moved
        return at, steps

    def _goes_on(self, gap):
        """Whether steps under the matrix at hand are cheaper than another; gap: in terms of the aim."""
        return self.rate < 1 and np.log(gap) / -np.log(self.rate) * self.of_step < self.price + FRESH * self.of_step

    def _renew(self, rows, at, l2, scale):
        """The matrix at a point; False where there is none that can be relied on."""
        expected = rows.datafit.expected(at.eta, rows.weights) if self.matrix is None else None
        d = at.curvature if expected is None else expected
        try:
            self.matrix = Matrix(rows, rows.floored(d), self.cols, scale)
        except WrongSums:
            return False
        self.stale = not self.matrix.penalise(l2 * scale)
        rows.streamed += rows.size
        return not self.stale

    def _step(self, rows, at, g, l2, scale):
        """The next point; None where there is no way down."""
        step, move = self.matrix.solve(scale * g), np.zeros(rows.p)
        move[self.cols], w = step, at.w[self.cols]
        begin = -float(g @ step)
        if begin >= 0:
            return None
        v, level = rows.product(move), 0.0
        if rows.fit_intercept:
            level = -(at.curvature @ v) / at.curvature.sum()
            v += level
        there = at.moved(move, level, v)
        if there.slope @ v + (l2 * (w + step)) @ step <= -ACCEPTED * begin:
            if self.learns:
                self.matrix.learn(step, scale * (at.pull - there.pull)[self.cols])
                self.stale = not self.matrix.penalise(l2 * scale)
            return there
        part = rows.search(at.eta, v, begin, lambda part: (l2 * (w + part * step)) @ step)
        self.stale = True
        return at.moved(part * move, part * level, part * v) if part > 0 else None
