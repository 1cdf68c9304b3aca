"""Leave-one-out errors by leverage, against refitting without each row."""

import numpy as np
import pytest
from twins import close, design

from fastreg.adapter.sums import leave_one_out

ALPHAS = np.array([0.1, 1.0, 30.0])


def refitted(X, Y, s, alpha, fit_intercept):
    """sqrt(s_i) (y_i - prediction of the fit without row i), one row after the other."""
    n, p = X.shape
    errors = np.empty((len(Y), n))
    for i in range(n):
        keep = np.arange(n) != i
        w, Z = s[keep], X[keep]
        level = w @ Z / w.sum() if fit_intercept else np.zeros(p)
        Z = Z - level
        for t, y in enumerate(Y):
            mean = w @ y[keep] / w.sum() if fit_intercept else 0.0
            coef = np.linalg.solve((Z * w[:, None]).T @ Z + alpha * np.eye(p), (Z * w[:, None]).T @ (y[keep] - mean))
            errors[t, i] = np.sqrt(s[i]) * (y[i] - mean - (X[i] - level) @ coef)
    return errors


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("form", ["rotated", "own rows", "low rank"])
def test_leave_one_out(order, k, fit_intercept, weighted, form, rng):
    n, p = 300, 6                                           # more rows than a lane takes
    X, Y = rng.standard_normal((n, p)) @ np.diag(np.arange(1.0, 7)), rng.standard_normal((k, n)) + 2
    s = rng.uniform(0.3, 2, n) if weighted else np.ones(n)
    s *= n / s.sum()
    mean = s @ X / n if fit_intercept else np.zeros(p)
    root = np.sqrt(s)
    values, vectors = np.linalg.eigh(((X - mean) * s[:, None]).T @ (X - mean))
    if form == "own rows":                                  # X holds the rotated rows themselves
        X, mean, vectors = X @ vectors, mean @ vectors, np.eye(p)
    V = np.ascontiguousarray(vectors.T)
    targets = (Y - (Y @ s / n if fit_intercept else np.zeros(k))[:, None]) * root
    share = 1 / (values + ALPHAS[:, None])                  # (alphas, k)
    scores = (targets * root) @ (X - mean) @ vectors
    W, R = np.stack([share, *(share * q for q in scores)]), None
    if form == "low rank":
        basis, _, _ = np.linalg.svd(share.T, full_matrices=False)
        R = np.ascontiguousarray(share @ basis)
        W = np.stack([basis.T, *(basis.T * q for q in scores)])
    own = 1 - (s / n if fit_intercept else 0 * s)
    errors = np.empty((k, n, len(ALPHAS)))
    d = design(np.array(X, order=order), s if weighted else None, fit_intercept)
    given = None if form == "own rows" else V
    sums, room = leave_one_out(d, mean, given, np.ascontiguousarray(W), R, targets, own, errors)
    Z = (X - mean) * root[:, None] @ vectors
    close(room, own - Z**2 @ share[0], 10)
    for a, alpha in enumerate(ALPHAS):
        right = refitted(X, Y, s, alpha, fit_intercept)
        close(errors[:, :, a], right, 10)
        close(sums[:, a], (right**2).sum(axis=1), 10)
    close(leave_one_out(d, mean, given, np.ascontiguousarray(W), R, targets, own)[0], sums, 13)
    bound = np.median(room)                                 # rows of larger leverage are left to others
    some, _ = leave_one_out(d, mean, given, np.ascontiguousarray(W), R, targets, own, errors, bound=bound)
    assert np.all(errors[:, room < bound] == 0) and np.all(errors[:, room >= bound] != 0)
    close(some, (errors**2).sum(axis=1), 12)
