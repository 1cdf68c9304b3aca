"""Whether a loss of several classes has a minimum along the columns that nothing penalises.

There is none exactly where a direction of these columns moves no row's own class below another, and some row's above
one (Albert and Anderson, Biometrika 71 (1984)). As for one target (see `existence`), rows begin where curvatures are
good to work with, and Newton's method decides: it comes so near to a minimum that its bound holds, or its steps become
such a direction.
"""
from dataclasses import replace

import numpy as np

from fastreg.datafits.multinomial import MULTINOMIAL
from fastreg.kernels.krylov import combine, correlate
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.existence import HALVINGS, STEPS, Escape
from fastreg.solvers.free_softmax import Directions, goes_on, newton_step
from fastreg.solvers.softmax import rows_of
from fastreg.weights import Weights

# How far from even chances the rows begin.
NEAR = 4.0


def escape_of_classes(problem, alpha, coefs, intercepts):
    """The Escape of the columns that are free at alpha; None where there is a minimum.

    Parameters
    ----------
    problem : Problem
        Of classes.
    alpha : float
    coefs : ndarray of shape (n_classes, p)
        A fit at alpha.
    intercepts : ndarray of shape (n_classes,)
    """
    lower, upper = (np.broadcast_to(limit, problem.p) for limit in problem.limits())
    free = problem.free_columns(alpha) & (np.isinf(lower) | np.isinf(upper))
    if not free.any():
        return None
    with single_threaded_blas:
        found = _Rows(problem, free).decide(coefs, intercepts)
    if found is None:
        return None
    # limits are those of every class, and a shift of all of them changes nothing: no direction comes to one
    move = found.coef - np.where(np.isfinite(lower), found.coef.min(axis=0), 0)
    return replace(found, coef=move - np.where(np.isfinite(upper), move.max(axis=0), 0))


class _Rows:
    """Rows that have a weight, which is the same of all, and directions of the free columns."""

    def __init__(self, problem, free):
        self.on = problem.weights.each > 0
        weights = Weights(self.on.astype(float), problem.n)
        self.free, self.whole = free, rows_of(replace(problem, weights=weights))
        X = problem.X if free.all() else problem.X[:, np.flatnonzero(free)]
        self.problem = replace(problem, X=X, weights=weights, penalty=Penalty(0.0))
        self.weights, self.Y = self.on.astype(float), np.ascontiguousarray(problem.Y.T)
        self.view = rows_of(self.problem)
        self.along = Directions(self.problem, self.view, self.weights, self.view.norms > 0, np.zeros(self.problem.p))

    def decide(self, coefs, intercepts):
        """The Escape, or None."""
        move = np.where(self.along.scale > 0, (coefs - coefs.mean(axis=0))[:, self.free], 0)
        level = intercepts - intercepts.mean() + move @ self.view.means
        if goes_on(self.Y, self.moved(move, level)):                     # where the fit has gone, it may go on
            return self.found(move, level)
        eta = combine(self.whole, np.ascontiguousarray(coefs)) + (intercepts + coefs @ self.whole.means)[:, None]
        eta = np.clip(np.where(self.on, eta - eta.mean(axis=0), 0), -NEAR, NEAR)
        for _ in range(STEPS):
            if self.problem.fit_intercept:
                eta = MULTINOMIAL.with_intercepts(self.Y, self.weights, eta)[1]
            chances = np.where(self.on, MULTINOMIAL.inverse_link(eta.T).T, 0)
            residual = self.on * ((self.Y > 0) - chances)
            H = self.along.hessian(chances)
            slopes = self.along.slopes(correlate(self.view, residual), residual.sum(axis=1))
            step = newton_step(H, slopes)
            if np.isfinite(self.along.missing(H, step, slopes)):
                return None
            move, level = self.along.spelt(step)
            v = self.moved(move, level)
            if goes_on(self.Y, v):
                return self.found(move, level)
            eta = eta + self.part(eta, v) * v
        return self.found(move, level, known=False)

    def moved(self, move, level):
        """What coefficients and intercepts of centred columns add to the rows."""
        eta = combine(self.view, np.ascontiguousarray(move)) + level[:, None]
        return np.where(self.on, eta, 0)

    def found(self, move, level, known=True):
        """The Escape along a direction."""
        intercept = level - move @ self.view.means if self.problem.fit_intercept else np.zeros(len(level))
        coef = np.zeros((len(move), len(self.free)))
        coef[:, self.free] = move
        return Escape(coef, intercept, known)

    def part(self, eta, v):
        """The part of a step along which the loss falls."""
        part, before = 1.0, MULTINOMIAL.deviance(self.Y.T, eta.T, self.weights)
        for _ in range(HALVINGS):
            if MULTINOMIAL.deviance(self.Y.T, (eta + part * v).T, self.weights) <= before:
                break
            part /= 2
        return part
