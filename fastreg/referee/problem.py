"""How far an answer can be from the optimum: bounds from duality, sums of terms none of which is negative.

    minimise  P(w) = 1/2 ||t - Z w||^2 + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lower <= w <= upper

With r = t - Z w and any vector v, ``P(w) - min P`` is at most ``1/2 ||r - v||^2 + sum_j Y_j(w_j, z_j'v)``, where Y_j is
what Fenchel and Young leave: ``pen_j(w) + sup_x (x u - pen_j(x)) - w u >= 0``, pen_j with the limits. v is c r, c as
large as the penalties allow. Columns without an l1 penalty are improved first, if need be, by least squares (the
descent is added to the bound), because a multiple of r cannot be orthogonal to those that have no penalty at all.
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


class Target:
    """One target, brought to unit size by a power of two, and centred where columns are.

    Parameters
    ----------
    data : Data
    y : ndarray of shape (n,)

    Attributes
    ----------
    exponent : int
        Of the power of two that y was divided by.
    values : ndarray of shape (n,)
        What is left of y.
    squares : float
        Weighted sum of their squares.
    """

    # Beyond, penalties would find no room beside the scale; squares of what is left of y are still numbers.
    REACH = 800

    def __init__(self, data, y):
        y = np.asarray(y, dtype=np.float64)
        self.data = data
        self.exponent = int(np.clip(np.frexp(np.max(np.abs(y)))[1], -self.REACH, self.REACH))
        values, mean = data.centre(np.ldexp(y, -self.exponent)[:, None])
        self.values, self.mean = values[:, 0], float(mean[0])
        self.squares = _square(data.root * self.values)

    def shift(self, w, intercept):
        """(The best intercept for scaled coefficients less the one given, size of the terms that it is a sum of.)"""
        if not self.data.centred:
            return 0.0, 0.0
        b, means = float(np.ldexp(float(intercept), -self.exponent)), self.data.means
        best = np.longdouble(self.mean) - means.astype(np.longdouble) @ w.astype(np.longdouble)
        return float(best - b), abs(b) + abs(self.mean) + float(np.abs(means) @ np.abs(w))


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

    target: Target
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
        T = np.stack([c.target.values for c in some], axis=1)
        with np.errstate(invalid="ignore", over="ignore"):         # an answer that is not finite is infinitely far off
            R, _ = data.centre(T - data.forth(W))
            columns = (np.ascontiguousarray(A.T) for A in (W, R, data.back(R)))
            found += [_bounds(data, *case) for case in zip(some, *columns)]
    return found


def _bounds(data, case, w, r, g):
    """Bounds for one answer, from its residual and X's products with it."""
    target = case.target
    terms = terms_of(data, case.alpha, case.asked, target.exponent)
    shift, level = target.shift(w, case.intercept)
    size = float(np.sqrt(target.squares))
    unit = EPS * (8 + 0.25 * np.sqrt(max(data.n, data.p)))
    stored = np.finfo(case.coef.dtype).eps if case.coef.dtype.kind == "f" else EPS
    of_coef = max(unit, stored)
    noise = unit * size + of_coef * float(data.sizes @ np.abs(w))       # of r, and of w
    penalty = terms.value(w)
    off = 0.5 * data.total * shift**2
    loss = 0.5 * _square(data.root * r) + off
    stationarity = _stationarity(data, terms, w, g, shift, size, stored)
    if not np.isfinite(penalty + off):
        return Bounds(loss + penalty, loss, np.inf, stationarity, np.inf, 0.0, 0.0)
    gap = _gap(data, terms, w, r, g, unit, noise)
    if gap > case.aim * target.squares:
        gap = min(gap, _improved_gap(data, terms, w, r, g, unit, noise, case.aim * target.squares))
    convexity = np.min(terms.l2[terms.upper > terms.lower], initial=np.inf)
    distance = 0.0 if np.isinf(convexity) else np.inf if convexity == 0 else float(np.sqrt(2 * gap / convexity))
    return Bounds(loss + penalty, loss, gap + off, stationarity, distance,
                  0.5 * noise**2 + 0.5 * data.total * (of_coef * level) ** 2 + _hidden(
                      data, terms, w, g, unit * float(np.linalg.norm(data.root * r)) + noise, of_coef),
                  _blur(data, terms, w, g, unit * float(np.linalg.norm(data.root * r)) + noise, of_coef))


def _square(v):
    return float(v @ v)


def _stationarity(data, terms, w, g, shift, size, eps):
    """Largest violation over the norms of column and target; that of the intercept is the mean of the residual."""
    slope = terms.violation(w, g - terms.l2 * w, eps)[data.norms > 0] / data.norms[data.norms > 0]
    worst = max(np.max(slope, initial=0.0), np.sqrt(data.total) * abs(shift))
    return float(worst / size) if size > 0 else np.inf if worst > 0 else 0.0


def _plain(data, terms, slopes, noise):
    """Slopes with those dropped that are rounding, of columns without any penalty."""
    return np.where((terms.l1 == 0) & (terms.l2 == 0) & (np.abs(slopes) <= data.sizes * noise), 0, slopes)


def _gap(data, terms, w, r, g, unit, noise):
    """The bound at the best of a few multiples of the residual."""
    rr = _square(data.root * r)
    g = _plain(data, terms, g, unit * np.sqrt(rr) + noise)
    end = np.where(g > 0, terms.upper, -terms.lower)
    scaled = (terms.l1 > 0) & (end > 0) & (np.abs(g) > terms.l1)
    must = scaled & np.isinf(end) & (terms.l2 == 0)
    with np.errstate(divide="ignore"):
        share = np.where(scaled, terms.l1 / np.where(scaled, np.abs(g), 1), 1)
    most = float(np.min(share[must], initial=1.0))
    all_ = float(np.min(share, initial=1.0))
    best = 1 + float(w @ g) / rr if rr > 0 else 1.0
    found = [0.5 * (1 - c) ** 2 * rr + float(np.sum(terms.young(w, c * g)))
             for c in {most, all_, min(max(best, 0.0), most)}]
    return min(found)


def _hidden(data, terms, w, g, noise, of_coef):
    """What slopes that are rounding make of the gap, on columns whose only penalty is the l2 one."""
    on = (terms.l1 == 0) & (terms.l2 > 0)
    slope = np.abs(g - terms.l2 * w)
    of_sums = np.where(data.norms > 0, data.sizes * noise, 0)
    slope = np.minimum(slope, of_sums + of_coef * terms.l2 * np.abs(w))[on]
    return float(slope**2 @ (0.5 / terms.l2[on]))


def _blur(data, terms, w, g, noise, of_coef):
    """First-order effect of errors of the slopes, on the columns in use and on the multiple that they allow, and of
    limits that coefficients miss by rounding."""
    error, on = data.sizes * noise, (terms.l1 > 0) & (w != 0)
    relative = np.max(error[on] / terms.l1[on], initial=0.0)
    lost = of_coef * np.abs(w)
    held = (w >= terms.upper - lost) | (w <= terms.lower + lost)
    return float(error[on] @ np.abs(w[on]) + relative * (terms.l1[on] @ np.abs(w[on]))
                 + np.abs(g - terms.l2 * w)[held] @ lost[held])


def _improved_gap(data, terms, w, r, g, unit, noise, aim):
    """The bound after least squares on the columns without l1 penalty, and the descent that these bring."""
    descent, passes, gap = 0.0, 0, np.inf
    smooth = (terms.l1 == 0) & (data.norms > 0) & (terms.upper > terms.lower)
    scale = 1 / np.sqrt(np.where(smooth, data.norms**2 + terms.l2, 1))
    for k in range(MOST_STEPS):
        slope = g - terms.l2 * w
        on = smooth & ((w > terms.lower) | (slope > 0)) & ((w < terms.upper) | (slope < 0))
        error = data.sizes * (unit * np.linalg.norm(data.root * r) + noise) + EPS * terms.l2 * np.abs(w)
        if not np.any(np.abs(slope[on]) > error[on]):
            break
        d, taken = _newton(data, terms, np.flatnonzero(on), scale[on], w, r,
                          min(20 * 2**k, MOST_PASSES - passes))
        passes += taken + 1
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(d == 0, np.inf, (np.where(d > 0, terms.upper, terms.lower) - w) / d)
        step = min(1.0, float(np.min(room)))
        fit = data.forth(d[:, None])[:, 0]
        gain = step * float(slope @ d) - 0.5 * step**2 * (_square(data.root * fit) + float(terms.l2 @ d**2))
        if not gain > 0 and step > 0:
            break
        w = np.clip(w + step * d, terms.lower, terms.upper)
        if step < 1:
            first = int(np.argmin(room))
            w[first] = terms.upper[first] if d[first] > 0 else terms.lower[first]
        descent += gain
        r = r - step * fit
        g = data.back(r[:, None])[:, 0]
        gap = min(gap, descent + _gap(data, terms, w, r, g, unit, noise))
        if gap - descent <= max(aim, LEAST_GAIN * descent) or passes >= MOST_PASSES:
            break
    return gap


def _newton(data, terms, on, scale, w, r, most):
    """(The step to the least squares, with the l2 penalty, of the columns `on`; iterations of LSMR, at most `most`.)"""
    ridge = np.sqrt(terms.l2[on]) * scale

    def forth(x):
        d = np.zeros((data.p, 1))
        d[on, 0] = scale * np.ravel(x)
        return np.concatenate([data.root * data.forth(d)[:, 0], ridge * np.ravel(x)])

    def back(v):
        rows = np.divide(v[:data.n], data.root, out=np.zeros(data.n), where=data.root > 0)
        return scale * data.back(rows[:, None])[on, 0] + ridge * v[data.n:]

    A = LinearOperator((data.n + len(on), len(on)), forth, rmatvec=back, dtype=float)
    target = np.concatenate([data.root * r, -np.sqrt(terms.l2[on]) * w[on]])
    found, _, taken = lsmr(A, target, atol=EPS, btol=0, conlim=0, maxiter=min(4 * len(on) + 10, most))[:3]
    d = np.zeros(data.p)
    d[on] = scale * found
    return d, taken
