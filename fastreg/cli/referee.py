"""Objective, duality gap and R^2 of an answer, recomputed in float64 NumPy: no solver is believed, fastreg included."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

# Rows of a dense X converted to float64 at a time, in elements.
BLOCK = 1 << 22


class Verdict(NamedTuple):
    """What the referee found.

    Attributes
    ----------
    gap : float
        Objective less its proven lower bound, relative to the objective at zero coefficients.
    r2 : float
        Share of the variance of y explained, on the data of the fit.
    """

    gap: float
    r2: float


class Referee:
    """Judge of elastic-net answers with an intercept.

    The objective is ``1/(2n) ||y - Xw - b||^2 + a1 ||w||_1 + a2/2 ||w||^2``, a1 = alpha * l1_ratio and
    a2 = alpha * (1 - l1_ratio).  The bound is its dual at a multiple s of the centred residual r,
    ``(s <y, r> - s^2/2 ||r||^2)/n - 1/(2 a2) ||max(|s X'r|/n - a1, 0)||^2``, the last term being absent, and s so small
    that no ``|s X'r|/n`` exceeds a1, for the lasso.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The data.
    y : ndarray of shape (n_samples,)
        The target.
    l1_ratio : float
        Share of the l1 penalty.
    """

    def __init__(self, X, y, l1_ratio):
        self.X, self.l1_ratio = X, l1_ratio
        self.y = y - y.mean()
        self.y_mean = y.mean()
        self.x_mean = _rmatvec(X, np.full(len(y), 1 / len(y)))
        self.objective_at_zero = self.y @ self.y / (2 * len(y))

    def judge(self, coef, intercept, alpha):
        """Gap and R^2 of one answer.

        Parameters
        ----------
        coef : ndarray of shape (n_features,)
            Coefficients.
        intercept : float
            Intercept.
        alpha : float
            Penalty.

        Returns
        -------
        Verdict
            The relative duality gap and R^2.
        """
        residual = self.y + (self.y_mean - intercept) - _matvec(self.X, coef)
        r = residual - residual.mean()
        gradient = np.abs(_rmatvec(self.X, r) - self.x_mean * r.sum()) / len(r)
        gap = self._gap(coef, residual, r, gradient, alpha)
        return Verdict(float(gap), float(1 - residual @ residual / (self.y @ self.y)))

    def judge_path(self, coefs, intercepts, alphas):
        """Gap and R^2 along a path.

        Parameters
        ----------
        coefs : ndarray or sparse matrix of shape (n_features, n_alphas)
            Coefficients.
        intercepts : ndarray of shape (n_alphas,)
            Intercepts.
        alphas : ndarray of shape (n_alphas,)
            Penalties.

        Returns
        -------
        list of Verdict
            One for each penalty.
        """
        columns = coefs.tocsc() if sparse.issparse(coefs) else coefs
        verdicts = []
        for k, (intercept, alpha) in enumerate(zip(intercepts, alphas)):
            coef = columns[:, [k]]
            coef = coef.toarray() if sparse.issparse(coef) else np.asarray(coef)
            verdicts.append(self.judge(coef.ravel(), intercept, alpha))
        return verdicts

    def _gap(self, coef, residual, r, gradient, alpha):
        """Relative gap, given the residual, the same centred, and the sizes of its correlations with the columns."""
        a1, a2 = alpha * self.l1_ratio, alpha * (1 - self.l1_ratio)
        primal = residual @ residual / (2 * len(r)) + a1 * np.abs(coef).sum() + a2 / 2 * (coef @ coef)
        return (primal - self._bound(r, gradient, a1, a2)) / self.objective_at_zero

    def _bound(self, r, gradient, a1, a2):
        yr, rr = self.y @ r, r @ r
        limit = min(1.0, a1 / max(gradient.max(initial=0.0), np.finfo(float).tiny))
        if a2 == 0:
            scale = np.clip(yr / rr, -limit, limit) if rr > 0 else 0.0
            return (scale * yr - scale**2 / 2 * rr) / len(r)
        excess = [np.maximum(scale * gradient - a1, 0) for scale in (1.0, limit)]
        return max(
            (scale * yr - scale**2 / 2 * rr) / len(r) - u @ u / (2 * a2) for scale, u in zip((1.0, limit), excess)
        )


def _matvec(X, w):
    """X w in float64."""
    if sparse.issparse(X):
        return X @ w
    out = np.empty(X.shape[0])
    for rows in _row_blocks(X):
        out[rows] = np.asarray(X[rows], dtype=np.float64) @ w
    return out


def _rmatvec(X, r):
    """X' r in float64."""
    if sparse.issparse(X):
        return X.T @ r
    out = np.zeros(X.shape[1])
    for rows in _row_blocks(X):
        out += np.asarray(X[rows], dtype=np.float64).T @ r[rows]
    return out


def _row_blocks(X):
    step = max(1, BLOCK // max(1, X.shape[1]))
    return [slice(start, start + step) for start in range(0, X.shape[0], step)]
