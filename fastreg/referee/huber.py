"""Huber's regression with its scale: an answer's bound, from X, coefficients and scale alone.

    minimise  F = sum_i s_i (sigma + sigma H(r_i / sigma)) + 2 sum_j (l1_j |w_j| + l2_j w_j^2 / 2),   r = y - Xw - b

As ``sigma H(r / sigma)`` is the largest of ``2 v r - sigma v^2`` over |v| <= epsilon, any such v with ``sum s v = 0``
(where there is an intercept) and ``sum s v^2 <= sum s`` bounds it from below. F less the bound is twice

    sigma sum_i s_i (a_i - v_i) (z_i - (a_i + v_i) / 2) + sigma / 2 sum_i s_i (1 - v_i^2) + sum_j Y_j(w_j, x_j'Sv),

z = r / sigma and a what is left of it within epsilon; Y_j is what Fenchel and Young leave of the penalty (`problem`).
None of these is negative. v is a, moved in the rows within epsilon to where its slopes are those that l2 penalties ask
for, and a multiple of that.
"""
import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from fastreg.referee.data import EPS
from fastreg.referee.problem import MOST_WEAK, Bounds, stationarity_of, terms_of

# Products with X'X of the rows within epsilon.
MOST_PRODUCTS = 1000
# Errors of a slope, up to which what is left of those that should be zero, or what a weak L2 penalty asks for, counts
# as far as coefficients go.
LEFT = 1e5


class HuberTarget:
    """y, epsilon, and what tol is a multiple of, halved: ``epsilon sum_i s_i |y_i - mean|``."""

    def __init__(self, data, y, epsilon):
        self.data, self.y, self.epsilon = data, y, float(epsilon)
        self.level = float(data.weight @ y / data.total) if data.centred else 0.0
        self.null = self.epsilon * float(data.weight @ np.abs(y - self.level))


def judge_huber(target, coef, intercept, sigma, alpha, asked, aim):
    """Bounds of one answer, in units of F / 2.

    Parameters
    ----------
    target : HuberTarget
    coef : ndarray of shape (p,)
    intercept, sigma, alpha : float
    asked : dict
        As for `problem.terms_of`.
    aim : float
        The gap that is small enough: no more work is done to bound it better.
    """
    data, eps = target.data, target.epsilon
    w, terms = np.asarray(coef, dtype=np.float64), terms_of(data, alpha, asked, 0)
    on = data.weight > 0
    b = float(np.longdouble(intercept) + data.means.astype(np.longdouble) @ w.astype(np.longdouble))
    r = np.where(on, target.y - data.forth(w[:, None])[:, 0] - b, 0)
    if not (np.all(np.isfinite(r)) and np.isfinite(sigma) and sigma > 0):
        return Bounds(np.inf, np.inf, np.inf, np.inf, np.inf, 0.0, 0.0)
    z = r / sigma
    a = np.clip(z, -eps, eps)
    loss = sigma * (0.5 * data.total + float(data.weight @ (a * (z - 0.5 * a))))
    penalty = terms.value(w)
    unit = EPS * (8 + 0.25 * np.sqrt(max(data.n, data.p)))
    size = np.abs(target.y) + np.abs(b) + float(data.sizes @ np.abs(w)) / np.sqrt(data.total)
    rounding = 4 * unit * eps * float(data.weight @ size) + data.total * np.finfo(float).tiny
    slopes, of_ones = data.back(a[:, None])[:, 0], float(data.weight @ a)
    stored = coef.dtype if coef.dtype.kind == "f" else np.float64
    unsettled = max(abs(of_ones) / data.total if data.centred else 0, abs(1 - float(data.weight @ a**2) / data.total))
    stationarity = stationarity_of(data, terms, w, slopes, unsettled, np.sqrt(data.total), np.finfo(stored).eps)
    if np.isinf(penalty):
        return Bounds(np.inf, loss, np.inf, stationarity, np.inf, rounding, 0.0)
    gap = _gap(target, terms, w, sigma, z, a, a)
    if gap > aim:
        gap = min(gap, _gap(target, terms, w, sigma, z, a, _moved(target, terms, w, z, a, slopes, of_ones)))
    convexity = np.min(terms.l2[terms.upper > terms.lower], initial=np.inf)
    distance = 0.0 if np.isinf(convexity) else np.inf if convexity == 0 else float(np.sqrt(2 * gap / convexity))
    return Bounds(loss + penalty, loss, gap, stationarity, distance, rounding, 0.0)


def _moved(target, terms, w, z, a, slopes, of_ones):
    """a, moved in the rows within epsilon: its slopes are then what L2 penalties ask for, and its sum is zero."""
    data = target.data
    inside = (np.abs(z) <= target.epsilon).astype(np.float64)
    smooth = np.flatnonzero((terms.l1 == 0) & (data.norms > 0) & (terms.upper > w) & (terms.lower < w))
    size = np.append(data.norms[smooth], np.sqrt(data.total))
    off = np.append((slopes - terms.l2 * w)[smooth], of_ones if data.centred else 0.0) / size

    def rows(x):
        d = np.zeros((data.p, 1))
        d[smooth, 0] = x[:-1] / size[:-1]
        return inside * (data.forth(d)[:, 0] + (x[-1] / size[-1] if data.centred else 0.0))

    def product(x):
        v = rows(np.ravel(x))
        return np.append(data.back(v[:, None])[smooth, 0], data.weight @ v if data.centred else 0.0) / size

    A, v, few = LinearOperator((len(size), len(size)), product, dtype=float), a, len(smooth) <= MOST_WEAK
    G = np.stack([product(unit) for unit in np.eye(len(size))]) if few else None
    for _ in range(4):                                   # from the second time on: what rounding left
        with np.errstate(divide="ignore", invalid="ignore"):             # no row inside tells of a column
            found = np.linalg.lstsq(G, off, rcond=EPS)[0] if few else cg(
                A, off, rtol=EPS, atol=0, maxiter=MOST_PRODUCTS // 4)[0]
        if not np.all(np.isfinite(found)):
            break
        v = v - rows(found)
        left = np.append((data.back(v[:, None])[:, 0] - terms.l2 * w)[smooth], data.weight @ v if data.centred else 0.0)
        off = left / size
    return v


def _gap(target, terms, w, sigma, z, a, v):
    """The gap at the largest multiple of v that is feasible."""
    data, eps = target.data, target.epsilon
    if data.centred:                                     # the sum is zero to rounding at least
        inside = np.abs(z) <= eps
        total = float(data.weight[inside].sum())
        v = v - inside * (float(data.weight @ v) / total) if total > 0 else v
    top, square = float(np.max(np.abs(v), initial=0.0)), float(data.weight @ v**2)
    if data.centred and abs(float(data.weight @ v)) > 1e-10 * data.total:
        return np.inf
    c = min(1.0, eps / top if top > 0 else 1.0, np.sqrt(data.total / square) if square > 0 else 1.0)
    slopes = data.back(v[:, None])[:, 0]
    error = EPS * (8 + 0.25 * np.sqrt(max(data.n, data.p))) * data.sizes * np.sqrt(data.total)
    off = slopes - terms.l2 * w
    free = (terms.l1 == 0) & (np.abs(off) <= LEFT * error) & (np.abs(off) > 2 * terms.l2 * np.abs(w))
    left, slopes = float(np.abs(off * w)[free].sum()), np.where(free, terms.l2 * w, slopes)
    must = (terms.l1 > 0) & (terms.l2 == 0) & np.isinf(np.where(slopes > 0, terms.upper, terms.lower))
    if np.any(must):
        c = min(c, float(np.min((1 - 4 * EPS) * terms.l1[must] / np.maximum(np.abs(slopes[must]), terms.l1[must]))))
    v, u = c * v, c * slopes
    rows = float(data.weight @ np.maximum((a - v) * (z - 0.5 * (a + v)), 0))
    scale = 0.5 * max(data.total - float(data.weight @ v**2), 0.0)
    return sigma * (rows + scale) + float(np.sum(terms.young(w, u))) + left
