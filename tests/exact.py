"""Ridge regression in rational numbers: no rounding at all."""

from fractions import Fraction

import numpy as np


def rationals(values):
    return np.array([Fraction(float(v)) for v in np.ravel(values)], dtype=object).reshape(np.shape(values))


def solve(A, b):
    """x with A x = b by Gauss-Jordan elimination; None where A is singular."""
    n = len(A)
    M = np.hstack([A, b.reshape(n, -1)])
    for k in range(n):
        pivot = next((i for i in range(k, n) if M[i, k] != 0), None)
        if pivot is None:
            return None
        M[[k, pivot]] = M[[pivot, k]]
        M[k] = M[k] / M[k, k]
        for i in range(n):
            if i != k and M[i, k] != 0:
                M[i] = M[i] - M[i, k] * M[k]
    return M[:, n:].reshape(b.shape)


def centred(X, y, weight, fit_intercept):
    """Rational X, y less their weighted means, the weights, and the means."""
    X, y = rationals(X), rationals(y)
    s = rationals(np.ones(len(y)) if weight is None else weight)
    means, mean = (s @ X / s.sum(), s @ y / s.sum()) if fit_intercept else (0 * X[0], Fraction(0))
    return X - means, y - mean, s, means, mean


def ridge(X, y, alpha, weight=None, factor=1.0, fit_intercept=True):
    """(coefficients, intercept) as rationals; None where they are not unique."""
    A, t, s, means, mean = centred(X, y, weight, fit_intercept)
    F = rationals(np.broadcast_to(factor, A.shape[1]))
    G = A.T @ (s[:, None] * A)
    G[np.diag_indices_from(G)] += Fraction(float(alpha)) * F
    w = solve(G, A.T @ (s * t))
    return None if w is None else (w, mean - means @ w)


def distance(coef, exact):
    """(norm of the difference, norm of the exact ones) as floats."""
    difference = rationals(coef) - exact
    return float(sum(d * d for d in difference)) ** 0.5, float(sum(e * e for e in exact)) ** 0.5
