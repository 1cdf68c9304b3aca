"""Several classes with one loss, ``log(sum_k exp(eta_k)) - eta_y``: what an answer leaves of it, and the bound.

Columns are those of all classes, one class after the other. The dual point is c times the residuals, label less
probability, with the best intercepts: at it the rows leave the relative entropy of ``(1 - c) y + c p`` and p, which is
that of the label against all others.
"""
import numpy as np
from scipy.special import logsumexp, softmax

from fastreg.referee.data import EPS
from fastreg.referee.free_classes import gap_by_curvature
from fastreg.referee.losses import LOSSES, divergence
from fastreg.referee.problem import Bounds, Terms, bound_at, first_order, second_order, stationarity_of, terms_of

STEPS = 100              # of Newton's method for the intercepts
DAMPED = 1e-5            # of the largest sum of residuals, what is added to the curvatures
REACH, LEAST_STEP = 50.0, 1e-12
CLEAR = 1e-6             # of the loss, what a step is to take away


class ClassesTarget:
    """Labels of K classes.

    Parameters
    ----------
    data : Data
    labels : ndarray of bool, shape (n, K)
        Which class each row is of.

    Attributes
    ----------
    null : float
        Weighted loss of the fit of intercepts alone.
    size : float
        Norm of the residuals of that fit.
    """

    exponent = 0

    def __init__(self, data, labels):
        self.data, self.labels = data, labels
        null = ClassesFit(self, np.zeros(labels.shape), np.zeros(labels.shape[1]))
        self.null, self.size = null.loss - null.off, float(np.linalg.norm(data.root[:, None] * null.r))


class ClassesFit:
    """What an answer leaves of the loss, the intercepts at their best.

    Parameters
    ----------
    target : ClassesTarget
    eta : ndarray of shape (n, K)
        Linear predictors at the intercepts given.
    level : ndarray of shape (K,)
        Sizes of the terms that the intercepts are sums of.

    Attributes
    ----------
    loss : float
        Weighted, at the intercepts given; `off` is how much of it the best ones would take away.
    r : ndarray of shape (n, K)
    """

    def __init__(self, target, eta, level):
        self.data, self.labels, self.level = target.data, target.labels, level
        self.on = self.data.weight > 0
        self.loss, self.off, self.settled, self.unsettled = np.inf, 0.0, False, np.inf
        self.r, self.eta = np.zeros(eta.shape), eta
        if not np.all(np.isfinite(eta[self.on])):
            return
        eta = np.where(self.on[:, None], eta, 0.0)
        given, self.loss = softmax(eta, axis=1), self._sum(logsumexp(eta, axis=1) - eta[self.labels])
        self.eta, self.settled, self.unsettled = eta, True, 0.0
        if self.data.centred:
            self.unsettled = float(np.max(np.abs(self._sums(self.labels - given)))) / self.data.total
            self.eta, self.settled = self._best_intercepts(eta)
        chances = softmax(self.eta, axis=1)
        others = np.where(self.labels, -np.inf, self.eta)
        self.margin = self.eta[self.labels] - logsumexp(others, axis=1)
        self.r = np.where(self.on[:, None], self.labels - chances, 0.0)
        self.r[self.labels] = np.where(self.on, np.exp(-np.logaddexp(0, self.margin)), 0.0)
        if self.data.centred:
            self.off = min(self._sum(divergence(given, chances - given).sum(axis=1)), self.loss)
        self.chances = np.where(self.on[:, None], chances, 0.0)
        self.curvature = chances * (1 - chances)

    def _sum(self, values):
        return float(np.sum(self.data.weight[self.on] * values[self.on]))

    def _sums(self, values):
        return self.data.weight[self.on] @ values[self.on]

    def _best_intercepts(self, eta):
        """(eta moved to where the residuals of every class add up to zero, whether they do): Newton's method with steps
        that lower the loss clearly or, where it has not the digits to tell, make these sums smaller."""
        s, labels, rows = self.data.weight[self.on], self.labels[self.on], eta[self.on]

        def at(total):
            here = rows + total
            chances = softmax(here, axis=1)
            return (chances, s @ (labels - chances), EPS * (s @ (labels + chances * (1 + np.abs(here)))),
                    float(s @ (logsumexp(here, axis=1) - here[labels])))

        def better(there, here):
            return there[3] < here[3] * (1 - CLEAR) or np.max(np.abs(there[1])) < np.max(np.abs(here[1]))

        total = np.zeros(eta.shape[1])
        here = at(total)
        for _ in range(STEPS):
            chances, slope, lost, _loss = here
            if np.all(np.abs(slope) <= 2 * lost):
                break
            H = np.diag(s @ chances) - (chances * s[:, None]).T @ chances
            H += DAMPED * np.max(np.abs(slope)) * np.eye(len(H))     # flat where a class has no probability anywhere
            step = np.linalg.pinv(H, rcond=EPS, hermitian=True) @ slope
            step *= min(1.0, REACH / max(np.max(np.abs(step)), REACH))
            there = at(total + step)
            while not better(there, here) and np.max(np.abs(step)) > LEAST_STEP:
                step = step / 2
                there = at(total + step)
            if not better(there, here):
                break
            total, here = total + step, there
        return eta + total, bool(np.all(np.abs(here[1]) <= 16 * here[2]))

    def noise(self, unit, of_coef, reach):
        """(Rounding of the residuals of each class, their norms; what the nearest float64 answer may have of a gap)."""
        root, steepest = self.data.root[:, None], np.max(self.curvature, axis=0)
        of_eta = of_coef * (reach + np.sqrt(self.data.total) * self.level)
        noise = unit * np.linalg.norm(root * (np.abs(self.r) + self.curvature * (1 + np.abs(self.eta))), axis=0)
        size = unit * np.linalg.norm(root * np.sqrt(self.curvature) * (1 + np.abs(self.eta)), axis=0)
        return noise + steepest * of_eta, 0.5 * float(np.sum((size + np.sqrt(steepest) * of_eta) ** 2))

    def left(self, c, away):
        """What Fenchel and Young leave of the loss at c times the residuals; `away` is of the squared loss."""
        if c == 1:
            return 0.0
        if c == 0:
            return self._sum(np.logaddexp(0, -self.margin))
        return self._sum(LOSSES["logistic"].young(np.ones(len(self.margin)), self.margin,
                                                  (1 - c) * self.r[self.labels]))

    def best(self, product):
        """The multiple of the residuals that is tried first."""
        return 1.0


class _Columns:
    """Norms and sizes of the columns of all classes."""

    def __init__(self, data, K):
        self.norms, self.sizes, self.total = np.tile(data.norms, K), np.tile(data.sizes, K), data.total


class _Errors:
    """Errors of the slopes of all classes, as `problem.Rounding` tells them of one target."""

    weak = None

    def __init__(self, columns, errors):
        self.errors = columns.sizes * errors

    def of_slopes(self, r):
        """Error of each slope."""
        return self.errors


def judge_classes(data, target, W, intercepts, alpha, asked, aim):
    """Bounds for one answer, in units of P (see `problem`), P being summed.

    Parameters
    ----------
    data : Data
    target : ClassesTarget
    W : ndarray of shape (K, p)
    intercepts : ndarray of shape (K,)
    alpha : float
    asked : dict
        As for `terms_of`.
    aim : float
        A gap that is small enough: no more work is done to bound it better.
    """
    K, w = len(W), np.asarray(W, dtype=np.float64).ravel()
    one = terms_of(data, alpha, asked, 0)
    terms = Terms(*(np.tile(part, K) for part in (one.l1, one.l2, one.lower, one.upper)))
    columns, wide = _Columns(data, K), w.reshape(K, -1).T
    eta, level = data.forth(np.ascontiguousarray(wide)), np.zeros(K)
    if data.centred:
        shift = np.asarray(intercepts, np.longdouble) + data.means.astype(np.longdouble) @ wide.astype(np.longdouble)
        eta, level = eta + shift.astype(np.float64), np.abs(intercepts) + np.abs(data.means) @ np.abs(wide)
    fit = ClassesFit(target, eta, level)
    unit, stored = EPS * (8 + 0.25 * np.sqrt(max(data.n, data.p))), EPS
    if W.dtype.kind == "f":
        stored = np.finfo(W.dtype).eps
    of_coef, penalty = max(unit, stored), terms.value(w)
    g = np.ascontiguousarray(data.back(fit.r).T).ravel()
    worst = stationarity_of(columns, terms, w, g, fit.unsettled, target.size, stored)
    if not np.isfinite(penalty + fit.loss):
        return Bounds(fit.loss + penalty, fit.loss, np.inf, worst, np.inf, 0.0, 0.0)
    noise, nearest = fit.noise(unit, of_coef, data.sizes @ np.abs(wide))
    errors = _Errors(columns, unit * np.linalg.norm(data.root[:, None] * fit.r, axis=0).repeat(data.p)
                     + noise.repeat(data.p))
    gap = bound_at(columns, terms, w, fit, g, errors)
    if gap > aim:
        gap = min(gap, gap_by_curvature(data, one, wide.T, fit, g.reshape(K, -1),
                                        errors.of_slopes(fit.r).reshape(K, -1)))
    error = np.where(columns.norms > 0, errors.of_slopes(fit.r), 0)
    convexity = np.min(terms.l2[terms.upper > terms.lower], initial=np.inf)
    distance = 0.0 if np.isinf(convexity) else np.inf if convexity == 0 else float(np.sqrt(2 * gap / convexity))
    return Bounds(fit.loss + penalty, fit.loss, gap + fit.off, worst, distance,
                  nearest + second_order(terms, w, g, error, of_coef), first_order(terms, w, g, error, of_coef))
