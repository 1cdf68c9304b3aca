"""Singular value decompositions that keep the digits of columns and rows of any scale.

Eigenvectors of X'X and ordinary singular vectors are right against the longest direction alone: a column 1e8 times
shorter than another is lost. One-sided Jacobi rotations (LAPACK's gejsv) of a triangle, whose columns were pivoted
first, are right column by column.

References
----------
Demmel and Veselic, "Jacobi's method is more accurate than QR", SIAM J. Matrix Anal. Appl. 13 (1992); Drmac and Veselic,
"New fast and accurate Jacobi SVD algorithm", ibid. 29 (2008); Cox and Higham, "Stability of Householder QR
factorization for weighted least squares problems", 1998, for sorting rows.
"""
from functools import partial

import numpy as np
from scipy.linalg import qr
from scipy.linalg.lapack import dgejsv

from fastreg.solvers.interruptible import interruptible

EPS = np.finfo(float).eps
# Columns up to which rotations are worth their time, some five times that of other decompositions.
MOST_ROTATED = 512


def jacobi(A):
    """(U (m, n), values (n,), V' (n, n)) of A with m >= n >= 1 and finite values, small singular values as right as
    their columns allow (of many columns, as far as the largest allows)."""
    if A.shape[1] > MOST_ROTATED:
        return interruptible(partial(np.linalg.svd, full_matrices=False), A)
    # relative accuracy whatever the columns' scales ('C'), full range, no perturbation
    values, left, right, work, _, info = dgejsv(np.asfortranarray(A), joba=0, jobu=0, jobv=0, jobr=1, jobt=1, jobp=0)
    if info != 0:                       # no convergence in 30 sweeps: not seen
        left, values, right = np.linalg.svd(A, full_matrices=False)
        return left, values, right
    return left[:, :A.shape[1]], values * (work[0] / work[1]), right.T


def graded_svd(A, without=None):
    """(U, values, V'): A = U[:, :k] diag(values) V', U square or one column short of it.

    Parameters
    ----------
    A : ndarray of shape (n, p)
        Any n, p.
    without : ndarray of shape (n,) or None
        A direction orthogonal to the columns of A, which U is to leave out.

    Returns
    -------
    U : ndarray of shape (n, n) or (n, n - 1)
    values : ndarray of shape (k,)
        Decreasing; directions in which nothing but rounding is left of every column are left out.
    Vt : ndarray of shape (k, p)
    """
    n, p = A.shape
    norms = np.linalg.norm(A, axis=0)
    order = np.argsort(-np.abs(A).max(axis=1, initial=0.0), kind="stable")
    B, first = A[order], 0
    if without is not None:             # as a column longer than all others, it is the first pivot
        level = 2 * np.linalg.norm(norms) + np.finfo(float).tiny
        B, first = np.column_stack([without[order] * (level / np.linalg.norm(without)), B]), 1
    Q, R, pivots = interruptible(partial(qr, pivoting=True, check_finite=False), B)
    U = np.empty_like(Q)
    U[order] = Q
    U, R, pivots = U[:, first:], R[first:, first:], pivots[first:] - first
    diagonal = np.abs(np.diag(R))
    # rows of R that are rounding of their pivot columns
    alone = np.divide(diagonal, norms[pivots[:len(diagonal)]], out=np.zeros(len(diagonal)),
                      where=norms[pivots[:len(diagonal)]] > 0)
    seen = alone > 4 * EPS * np.sqrt(max(n, p))
    kept = np.flatnonzero(seen)
    U = np.hstack([U[:, kept], U[:, np.setdiff1d(np.arange(U.shape[1]), kept)]])
    k, Vt = len(kept), np.zeros((len(kept), p))
    if k == 0:
        return U, np.zeros(0), Vt
    right, values, left = jacobi(R[kept].T)
    Vt[:, pivots] = right.T
    U[:, :k] = U[:, :k] @ left.T
    return U, values, Vt
