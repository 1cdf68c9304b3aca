"""How far an answer can be from the optimum: bounds from duality, sums of terms none of which is negative.

    minimise  P(w) = 1/2 ||t - Z w||^2 + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lower <= w <= upper

With r = t - Z w and any vector v, ``P(w) - min P`` is at most ``1/2 ||r - v||^2 + sum_j Y_j(w_j, z_j'v)``, where Y_j is
what Fenchel and Young leave: ``pen_j(w) + sup_x (x u - pen_j(x)) - w u >= 0``, pen_j with the limits. v is c r, c as
large as the penalties allow. Columns without an l1 penalty are improved first, if need be, by least squares (the
descent is added to the bound), because a multiple of r cannot be orthogonal to those that have no penalty at all.

Slopes z_j'v are known but for their rounding, and that is more than a weak penalty can take where a column is long
(timestamps in nanoseconds, alpha 1). Some v beside c r has exactly the slopes that such penalties ask for at w: how far
beside, the least eigenvalue of the Gram matrix of these columns says, and the way there is added to ||r - v||.

Of another loss sum_i s_i f(y_i, eta_i), r is -f'(y, eta), and the remainders f + f*(-c r_i) + c r_i eta_i of the
rows stand for the square: `squares` and `glm` say what an answer leaves of the loss, and how to improve it.
"""
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsmr

from fastreg.referee.data import BLOCK, EPS

# Steps of least squares on the columns without l1 penalty, each on those that its limits leave free, and the pairs of
# passes over X that they may take together. However far they come, what is then left of the gap is a bound.
MOST_STEPS, MOST_PASSES = 30, 500
# Of the descent that they have brought: a smaller gap is not worth another step.
LEAST_GAIN = 1e-3
# Columns of weak penalty whose Gram matrix is computed.
MOST_WEAK = 64
# What first-order rounding may excuse, relative to the squares of the target.
EXCUSE = 1e-9


@dataclass
class Terms:
    """Penalties and limits of the columns, arrays of shape (p,); excluded ones have both limits at 0."""

    l1: np.ndarray
    l2: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def value(self, w):
        """The penalty at w; infinite beyond a limit (that is met but for rounding)."""
        room = 16 * EPS * np.abs(w)
        if np.any(w < self.lower - room) or np.any(w > self.upper + room):
            return np.inf
        return float(self.l1 @ np.abs(w) + 0.5 * self.l2 @ w**2)

    def young(self, w, u):
        """What Fenchel and Young leave of each column: zero where u is a slope of the penalty at w."""
        end = np.where(u > 0, self.upper, -self.lower)
        excess = np.maximum(np.abs(u) - self.l1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            steepest = np.where(excess > 0, np.minimum(end, np.where(self.l2 > 0, excess / self.l2, np.inf)), 0)
        if np.any(np.isinf(steepest)):
            return np.full(len(w), np.inf)
        sign = np.sign(u)
        held = np.where(steepest == end, np.maximum(excess - self.l2 * steepest, 0), 0)   # the limit's own force
        slope = np.where(steepest > 0, self.l1, np.minimum(np.abs(u), self.l1))            # of l1 |x| at that x
        return (0.5 * self.l2 * (w - sign * steepest) ** 2 + (self.l1 - slope * np.sign(w) * sign) * np.abs(w)
                + held * np.maximum(steepest - sign * w, 0))

    def asked(self, w, u):
        """The slope nearest to u of the penalty, without its limits, at w."""
        return self.l2 * w + np.where(w == 0, np.clip(u, -self.l1, self.l1), self.l1 * np.sign(w))

    def violation(self, w, slope, eps):
        """Distance of the slope Z'r - l2 w from the subdifferential of the l1 penalty and the limits at w.

        A limit that is met but for rounding, eps relative to it, is met."""
        near = 1 - max(1e-12, 4 * eps)
        above = np.where(w >= near * self.upper, np.inf, np.where(w < 0, -self.l1, self.l1))
        below = np.where(w <= near * self.lower, -np.inf, np.where(w > 0, self.l1, -self.l1))
        return np.maximum(np.maximum(slope - above, below - slope), 0)


def terms_of(data, alpha, asked, exponent):
    """Terms of P for a penalty of strength alpha, y being divided by ``2**exponent``.

    `asked` holds arguments by their names (l1_ratio, penalty_factor, lower_limits, upper_limits, positive,
    standardize), and as `mean` whether the squared errors are averaged and halved, or summed.
    """
    def column(name, default):
        value = asked.get(name)
        return np.broadcast_to(np.asarray(default if value is None else value, dtype=np.float64), (data.p,))

    factor, ratio = column("penalty_factor", 1.0), asked["l1_ratio"]
    excluded = np.isinf(factor)
    factor = np.where(excluded, 0, factor) * (data.total if asked["mean"] else 1)
    sd = data.norms / np.sqrt(data.total) if asked.get("standardize") else np.ones(data.p)
    lower, upper = column("lower_limits", -np.inf), column("upper_limits", np.inf)
    lower = np.maximum(lower, 0) if asked.get("positive") else lower
    return Terms(np.ldexp(float(alpha), -exponent) * (ratio * factor * sd), alpha * ((1 - ratio) * factor * sd**2),
                 np.where(excluded, 0, np.ldexp(lower, -exponent)), np.where(excluded, 0, np.ldexp(upper, -exponent)))


@dataclass
class Bounds:
    """Of one answer: all but `stationarity` and `distance` in units of P."""

    objective: float
    loss: float          # its part without the penalty
    gap: float
    stationarity: float
    distance: float      # of the coefficients from the exact ones
    rounding: float      # of the gap, second order: what the nearest float64 answer may have
    blur: float          # of the gap, first order: digits that Z'r and the scaling of its multiple lack


@dataclass
class Case:
    """An answer to be judged, in the units of the user.

    `asked` as for `terms_of`; `aim` is the gap, relative to the squares of the target, that is small enough: no more
    work is done to bound it better.
    """

    target: object
    coef: np.ndarray
    intercept: float
    alpha: float
    asked: dict
    aim: float


def judge(data, cases):
    """Bounds for each of the cases, which share two passes over X where their residuals fit into memory."""
    found, most = [], max(1, min(16, BLOCK // data.n))
    for start in range(0, len(cases), most):
        some = cases[start:start + most]
        W = np.stack([np.ldexp(np.asarray(c.coef, dtype=np.float64), -c.target.exponent) for c in some], axis=1)
        with np.errstate(invalid="ignore", over="ignore"):         # an answer that is not finite is infinitely far off
            E, columns = data.forth(W), np.ascontiguousarray(W.T)
            fits = [c.target.fit(e, w, c.intercept) for c, e, w in zip(some, E.T, columns)]
            slopes = np.ascontiguousarray(data.back(np.stack([fit.r for fit in fits], axis=1)).T)
            found += [_bounds(data, *case) for case in zip(some, columns, fits, slopes)]
    return found


def _bounds(data, case, w, fit, g):
    """Bounds for one answer, from what it leaves of the loss and X's products with its residual."""
    target = case.target
    terms = terms_of(data, case.alpha / target.unit, case.asked, target.exponent)
    unit = EPS * (8 + 0.25 * np.sqrt(max(data.n, data.p)))
    stored = np.finfo(case.coef.dtype).eps if case.coef.dtype.kind == "f" else EPS
    of_coef = max(unit, stored)
    noise, nearest = fit.noise(unit, of_coef, float(data.sizes @ np.abs(w)))
    rounding = Rounding(data, unit, noise)
    penalty = terms.value(w)
    stationarity = stationarity_of(data, terms, w, g, fit.unsettled, target.size, stored)
    if not np.isfinite(penalty + fit.loss):
        return Bounds(fit.loss + penalty, fit.loss, np.inf, stationarity, np.inf, 0.0, 0.0)
    aim = case.aim * target.null
    found = _known_gap(data, terms, w, fit, g, rounding, aim, of_coef)

    def known(gap, hidden, blur):
        return gap <= aim and blur <= EXCUSE * target.null         # slopes that are rounding may happen to be zero

    on = fit.quadratic and not known(*found)
    for weak in _weak(data, terms, rounding.of_slopes(fit.r), unit, aim, target.null) if on else ():
        rounding.weak = weak
        found = min(found, _known_gap(data, terms, w, fit, g, rounding, aim, of_coef), key=sum)
        if known(*found):
            break
    gap, hidden, blur = found
    convexity = np.min(terms.l2[terms.upper > terms.lower], initial=np.inf)
    distance = 0.0 if np.isinf(convexity) else np.inf if convexity == 0 else float(np.sqrt(2 * gap / convexity))
    return Bounds(fit.loss + penalty, fit.loss, gap + fit.off, stationarity, distance, nearest + hidden, blur)


def stationarity_of(data, terms, w, g, mean, size, eps):
    """Largest violation over the norms of column and target; that of the intercept is the mean of the residual."""
    slope = terms.violation(w, g - terms.l2 * w, eps)[data.norms > 0] / data.norms[data.norms > 0]
    worst = max(np.max(slope, initial=0.0), np.sqrt(data.total) * mean)
    return float(worst / size) if size > 0 else np.inf if worst > 0 else 0.0


@dataclass
class Weak:
    """Columns whose penalties are too weak for the rounding of their slopes; `least` is not above any eigenvalue of the
    Gram matrix of these columns at unit length."""

    columns: np.ndarray
    least: float

    def put_right(self, data, terms, w, slopes, error):
        """Slopes that are rounding away from what penalties ask for, put there by another residual.

        Returns
        -------
        slopes : ndarray of shape (p,)
        away : float
            How far that residual is at most from the one whose slopes were given.
        spread : ndarray of shape (p,)
            What the other slopes may have moved by.
        """
        asked = terms.asked(w, slopes)
        off = np.abs(slopes - asked)
        here = self.columns[off[self.columns] <= error[self.columns]]
        slopes = slopes.copy()
        slopes[here] = asked[here]
        away = float(np.linalg.norm((off + error)[here] / data.norms[here]) / np.sqrt(self.least))
        spread = away * data.norms
        spread[here] = 0
        return slopes, away, spread

    def furthest(self, data, error):
        """How far the residual of `put_right` may be."""
        return 2 * float(np.linalg.norm(error[self.columns] / data.norms[self.columns]) / np.sqrt(self.least))


@dataclass
class Rounding:
    """What the slopes of residuals are known to: `unit` relative to the residual, and the `noise` that this has."""

    data: object
    unit: float
    noise: float
    weak: Weak | None = None

    def of_slopes(self, r):
        """Error of each of the slopes of r."""
        return self.data.sizes * (self.unit * float(np.linalg.norm(self.data.root * r)) + self.noise)


def _weak(data, terms, error, unit, aim, squares):
    """Weak columns, of which rounding alone may keep the bound above `aim`; then with those, too, for which this is so
    once the slopes of the first are put right, and so on. None where there are none or where they depend on each other.
    """
    moved, before = error, 0
    while True:
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = np.minimum(moved**2 / (2 * terms.l2), moved / terms.l1 * squares)
        effect[(data.norms == 0) | (terms.upper <= terms.lower)] = 0
        columns = np.argsort(-effect, kind="stable")[:MOST_WEAK]
        columns = columns[effect[columns] > aim]
        # those without any penalty are no reason to begin: see _plain
        if len(columns) <= before or not np.any(np.isfinite(effect[columns])):
            return
        weak = Weak(columns, _least_eigenvalue(data, columns, unit))
        if weak.least <= 0:
            return
        yield weak
        moved, before = np.maximum(error, weak.furthest(data, error) * data.norms), len(columns)


def _least_eigenvalue(data, columns, unit):
    """Lower bound of the eigenvalues of the Gram matrix of columns of Z, at unit length; 0 where rounding hides it."""
    norms, step = data.norms[columns], max(1, min(16, BLOCK // data.n))
    gram = np.empty((len(columns), len(columns)))
    for k in range(0, len(columns), step):
        some = np.zeros((data.p, len(columns[k:k + step])))
        some[columns[k:k + step], np.arange(some.shape[1])] = 1 / norms[k:k + step]
        gram[:, k:k + step] = data.back(data.forth(some))[columns] / norms[:, None]
    lost = 2 * len(columns) * unit * float(np.max(data.sizes[columns] / norms))
    least = float(np.linalg.eigvalsh(gram)[0]) - lost
    return least if least > lost else 0.0


def _plain(terms, slopes, error):
    """Slopes with those dropped that are rounding, of columns without any penalty."""
    return np.where((terms.l1 == 0) & (terms.l2 == 0) & (np.abs(slopes) <= error), 0, slopes)


def bound_at(data, terms, w, fit, g, rounding):
    """The bound at the best of a few multiples of the residual, or of the one beside it that weak penalties ask for;
    none of it is always feasible."""
    error, away, spread = rounding.of_slopes(fit.r), 0.0, 0.0
    if rounding.weak is not None:
        g, away, spread = rounding.weak.put_right(data, terms, w, g, error)
    g = _plain(terms, g, error)
    size = np.abs(g) + spread
    end = np.maximum(np.where(g + spread > 0, terms.upper, 0), np.where(g - spread < 0, -terms.lower, 0))
    scaled = (terms.l1 > 0) & (end > 0) & (size > terms.l1)
    must = scaled & np.isinf(end) & (terms.l2 == 0)
    with np.errstate(divide="ignore"):
        share = np.where(scaled, (1 - 4 * EPS) * terms.l1 / np.where(scaled, size, 1), 1)    # times size: not above l1
    most = float(np.min(share[must], initial=1.0))
    all_ = float(np.min(share, initial=1.0))
    best = fit.best(float(w @ g))

    def bound(c):
        left = terms.young(w, c * (g + spread))
        if away > 0:                                     # young is convex in the slope: the worse end
            left = np.maximum(left, terms.young(w, c * (g - spread)))
        return fit.left(c, away) + float(np.sum(left))

    return min(bound(c) for c in ({0.0, most, all_, min(max(best, 0.0), most)} if fit.settled else {0.0}))


def _known_gap(data, terms, w, fit, g, rounding, aim, of_coef):
    """(The bound as the residual gives it or, where that is above `aim`, after least squares; what rounding of slopes
    makes of it in second order; in first)."""
    gap, error = bound_at(data, terms, w, fit, g, rounding), rounding.of_slopes(fit.r)
    if gap > aim:
        gap = min(gap, _improved_gap(data, terms, w, fit, g, rounding, aim))
    hidden = 0.0
    if rounding.weak is not None:
        hidden = 0.5 * rounding.weak.furthest(data, error) ** 2
        error[rounding.weak.columns] = 0
    hidden += second_order(terms, w, g, np.where(data.norms > 0, error, 0), of_coef)
    return gap, hidden, first_order(terms, w, g, error, of_coef)


def second_order(terms, w, g, error, of_coef):
    """What slopes that are rounding make of the gap, on columns whose only penalty is the l2 one."""
    on = (terms.l1 == 0) & (terms.l2 > 0)
    slope = np.minimum(np.abs(g - terms.l2 * w), error + of_coef * terms.l2 * np.abs(w))[on]
    return float(slope**2 @ (0.5 / terms.l2[on]))


def first_order(terms, w, g, error, of_coef):
    """First-order effect of errors of the slopes, on the columns in use and on the multiple that they allow, and of
    limits that coefficients miss by rounding."""
    on = (terms.l1 > 0) & (w != 0)
    relative = np.max(error[on] / terms.l1[on], initial=0.0)
    lost = of_coef * np.abs(w)
    held = (w >= terms.upper - lost) | (w <= terms.lower + lost)
    return float(error[on] @ np.abs(w[on]) + relative * (terms.l1[on] @ np.abs(w[on]))
                 + np.abs(g - terms.l2 * w)[held] @ lost[held])


def _improved_gap(data, terms, w, fit, g, rounding, aim):
    """The bound after least squares on the columns without l1 penalty, and the descent that these bring."""
    descent, passes, gap = 0.0, 0, np.inf
    smooth = (terms.l1 == 0) & (data.norms > 0) & (terms.upper > terms.lower)
    for k in range(MOST_STEPS):
        slope = g - terms.l2 * w
        on = smooth & ((w > terms.lower) | (slope > 0)) & ((w < terms.upper) | (slope < 0))
        error = rounding.of_slopes(fit.r) + EPS * terms.l2 * np.abs(w)
        if not np.any(np.abs(slope[on]) > error[on]):
            break
        d, taken = _newton(data, terms, np.flatnonzero(on), w, fit, min(20 * 2**k, MOST_PASSES - passes))
        passes += taken + 1
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(d == 0, np.inf, (np.where(d > 0, terms.upper, terms.lower) - w) / d)
        most = min(1.0, float(np.min(room)))
        change = fit.project(data.forth(d[:, None])[:, 0])
        step, gain = fit.along(change, float(slope @ d), float(terms.l2 @ d**2), most)
        if not gain > 0 and step > 0:
            break
        w = np.clip(w + step * d, terms.lower, terms.upper)
        if step == most < 1:
            first = int(np.argmin(room))
            w[first] = terms.upper[first] if d[first] > 0 else terms.lower[first]
        fit = fit.moved(step * change)
        descent += gain + fit.off + step * float(error @ np.abs(d))    # which may have been more by rounding
        g = data.back(fit.r[:, None])[:, 0]
        gap = min(gap, descent + bound_at(data, terms, w, fit, g, rounding))
        if gap - descent <= max(aim, LEAST_GAIN * descent) or passes >= MOST_PASSES:
            break
    return gap


def _newton(data, terms, on, w, fit, most):
    """(The step to the least squares, with the l2 penalty, of the columns `on`; iterations of LSMR, at most `most`.)"""
    roots, residual, curvature = fit.model()
    scale = 1 / np.sqrt(curvature * data.norms[on] ** 2 + terms.l2[on])
    ridge = np.sqrt(terms.l2[on]) * scale

    def forth(x):
        d = np.zeros((data.p, 1))
        d[on, 0] = scale * np.ravel(x)
        return np.concatenate([roots * fit.project(data.forth(d)[:, 0]), ridge * np.ravel(x)])

    def back(v):
        rows = fit.spread(roots * v[:data.n])
        return scale * data.back(rows[:, None])[on, 0] + ridge * v[data.n:]

    A = LinearOperator((data.n + len(on), len(on)), forth, rmatvec=back, dtype=float)
    target = np.concatenate([residual, -np.sqrt(terms.l2[on]) * w[on]])
    found, _, taken = lsmr(A, target, atol=EPS, btol=0, conlim=0, maxiter=min(4 * len(on) + 10, most))[:3]
    d = np.zeros(data.p)
    d[on] = scale * found
    return d, taken
