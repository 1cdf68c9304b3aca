"""How far ridge coefficients can be from the exact ones.

With g = X'S(y - Xw) - alpha F w (X, y centred), w - exact = -(X'SX + alpha F)^-1 g. Rounding is part of every bound: of
sums by the root of their length (Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019), at
once where it lies in g, divided by 2 sqrt(alpha F) where it lies in the residuals of the rows, as no more than that
comes through X'.
"""
import math

import numpy as np
from scipy.linalg.blas import dsymm
from scipy.linalg.lapack import dpotri

from fastreg.costs import EXACT
from fastreg.kernels.residual import residuals
from fastreg.solvers.grams import EPS
from fastreg.solvers.ridge_problem import scaled_problem

# What sums of squares about their mean lose at most by a high level, before they are formed otherwise.
LEVEL = 1e3
# A bound, relative to the coefficients, that need not be improved.
GOOD = 1e-6
# Residuals that are rounding, in units of what rounding is expected to make them.
SLACK = 4


def rounding_of_sums(length):
    """Of a sum of so many products, relative to the norms of its factors."""
    return EPS * (2 + math.sqrt(length))


def raw_norms(design):
    """Norms of the columns before they are centred."""
    return np.sqrt(design.norms**2 + design.n * design.means**2)


def _norms(rows):
    return np.sqrt(np.einsum("ti,ti->t", rows, rows))


def _divide(a, b):
    """a / b, inf where b is zero."""
    return np.divide(a, b, out=np.full(len(a), np.inf), where=b > 0)


def least_penalty(problem, F, active):
    """The smallest alpha F of every target: 0 where a column is free, or where none counts."""
    F = F if active is None else F[active]
    return problem.alphas * (np.min(F) if len(F) else 0.0)


def proof_of(problem, norms, rows, coef, F, least):
    """(residual, bound) from the norms of g as computed by rows, and of the residuals of the rows."""
    raw = raw_norms(problem.design)
    per_row, per_column = _lengths(problem)
    of_rows = rounding_of_sums(per_row) * (np.abs(coef) @ raw + rows)
    penalty = np.where(np.isfinite(F), F, 0)
    direct = rounding_of_sums(per_column) * np.linalg.norm(raw) * rows
    direct += EPS * problem.alphas * np.linalg.norm(coef * penalty, axis=1)
    residual = norms + direct + np.linalg.norm(raw) * of_rows
    bound = np.minimum(_divide(residual, least), _divide(norms + direct, least) + _divide(of_rows, 2 * np.sqrt(least)))
    return residual * problem.unit, bound


def _lengths(problem):
    """Entries of a row and of a column."""
    entries = problem.X.nnz if problem.sparse else problem.n * problem.p
    return entries / problem.n, entries / problem.p


def gradient(problem, coef):
    """(g as rows, norms of the residuals of the rows) from X itself. The moments must be known."""
    left, g = residuals(problem.design, problem.targets, np.ascontiguousarray(coef))
    F, _ = problem.diagonal(problem.design.norms)
    counts = np.isfinite(F) & (problem.design.norms > 0)
    g -= problem.alphas[:, None] * np.where(counts, F, 0) * coef
    g[:, ~counts] = 0
    return g, np.linalg.norm(left, axis=1)


def _inward(problem, coef, limits):
    """``gradient``, without components that point out of limits (lower, upper), if there are any."""
    g, rows = gradient(problem, coef)
    if limits is not None:
        g[((coef <= limits[0]) & (g < 0)) | ((coef >= limits[1]) & (g > 0))] = 0
    return g, rows


def from_rows(problem, coef, limits=None):
    """(residual, bound) of coefficients, from X itself. The moments must be known.

    `limits` (lower, upper), of shape (p,): components that point out of them do not count."""
    g, rows = _inward(problem, coef, limits)
    F, active = problem.diagonal(problem.design.norms)
    return proof_of(problem, np.linalg.norm(g, axis=1), rows, coef, F, least_penalty(problem, F, active))


def at_rounding(problem, coef, bound, limits=None):
    """Whether no arithmetic of this precision could be asked for a smaller gradient of any column: column by column,
    as one of large scale is no excuse for the others. No excuse either where the bound is larger than the coefficients,
    which are not known at all then. `limits` as for `from_rows`."""
    raw = raw_norms(problem.design)
    g, _ = _inward(problem, coef, limits)
    level = np.abs(coef) @ raw + np.linalg.norm(problem.targets, axis=1)
    room = SLACK * rounding_of_sums(max(_lengths(problem))) * np.multiply.outer(level, raw)
    unknown = (bound > np.linalg.norm(coef, axis=1)) & np.isfinite(bound)
    return np.all(np.abs(g) <= room, axis=1) & ~unknown


class GramProof:
    """(residual, bound) for the system (G + alpha F) w = Q of Gram matrices, the rounding of their sums added.

    Besides alpha's, the least eigenvalue of the matrix with unit diagonal is bounded by its inverse, where that costs
    little and alpha alone does not make a good bound.
    """

    def __init__(self, problem, norms, means, F):
        self.problem, self.F = problem, F
        self.squares = norms**2 + np.minimum(problem.n * means**2, LEVEL * norms**2)
        p = len(norms)
        self.inverts = cheap_to_invert(problem, p)
        self.share = rounding_of_sums(problem.n) + rounding_of_sums(p)
        self.residual, self.bound = np.zeros(len(problem.alphas)), np.full(len(problem.alphas), np.inf)

    def add(self, here, left, coef, factor=None, diagonal=None):
        """Targets `here`, whose residuals are `left`; a lower Cholesky factor of their matrix and the diagonal of
        this, if there is one."""
        alpha = self.problem.alphas[here]
        whole = np.sqrt(self.squares + alpha[:, None] * self.F)
        size = np.einsum("tj,tj->t", np.abs(coef), whole) + _norms(self.problem.targets[here])
        residual = _norms(left) + self.share * _norms(whole) * size
        bound = _divide(residual, alpha * self.F.min())
        if factor is not None and self.inverts and np.any(bound > GOOD * _norms(coef)):
            root = math.sqrt(len(diagonal))
            least = least_eigenvalue(factor, diagonal) - self.share * root**3
            if least > 0:
                unit = np.sqrt(diagonal)
                scaled = _norms(left / unit) + self.share * root * size
                bound = np.minimum(bound, scaled / (least * unit.min()))
        self.residual[here], self.bound[here] = residual * self.problem.unit, bound

    @property
    def proof(self):
        return self.residual, self.bound


def cheap_to_invert(problem, side):
    """Whether the inverse of a matrix of so many rows costs little beside its sums or beside orthogonal transformations
    of X."""
    n, p = problem.n, problem.p
    return side <= 64 or n * p <= EXACT or (not problem.sparse and 40 * side <= max(n, p))


def least_eigenvalue(factor, diagonal=1.0):
    """At most the smallest eigenvalue of a matrix with this lower Cholesky factor, its rows and columns divided by the
    roots of `diagonal`: the inverse of the trace of its inverse."""
    inverse, failed = dpotri(factor, lower=1)
    return 0.0 if failed else 1 / np.sum(inverse.diagonal() * diagonal)


def from_kernel(problem, rows, A, whole, spread, least_factor, least=0.0):
    """(residual, bound) of w = F^-1 X'a from the norms of ``y - Xw - alpha a``, what rounding adds to them included.

    Parameters
    ----------
    rows : ndarray of shape (n_targets,)
    A : ndarray of shape (n_targets, n)
    whole, spread : float
        Norms of X and X F^-1 before they are centred.
    least_factor : float
        The smallest factor of a column that counts.
    least : float or ndarray of shape (n_targets,)
        At most the smallest eigenvalue of X F^-1 X'.
    """
    # of the roots of all eigenvalues, sqrt(d) / (d + alpha) is largest at d = alpha, or at the least
    with np.errstate(divide="ignore", invalid="ignore"):
        damped = np.where(least >= problem.alphas, (least + problem.alphas) / np.sqrt(least),
                          2 * np.sqrt(problem.alphas))
    formed = rounding_of_sums(problem.n) * np.linalg.norm(A, axis=1)     # w as it came out, less F^-1 X'a
    with np.errstate(over="ignore", invalid="ignore"):
        bound = _divide(rows, damped * np.sqrt(least_factor)) + formed * spread
        residual = whole * (rows + problem.alphas * formed)
    return residual * problem.unit, bound


def symmetric_products(M, coef, lower):
    """coef @ M from one triangle of M (C order)."""
    return dsymm(1.0, M.T, coef.T, side=0, lower=lower).T


def normal_residual(X, Y, coef, alphas, penalty, *, weight=None, fit_intercept=True, n_threads=None):
    """Certificate of a ridge regression: how far its coefficients are from solving their normal equations.

    Returns
    -------
    ndarray of shape (n_targets,)
        Norm of ``X'S(y - Xw - b) - alpha F w`` (X centred with an intercept), relative to that of ``X'S(y - mean)``,
        in float64 from X itself.
    """
    problem, units, _ = scaled_problem(X, Y, alphas, penalty, weight, fit_intercept, n_threads)
    size = np.linalg.norm(problem.moments(), axis=1)
    g, _ = gradient(problem, units.down(np.asarray(coef, dtype=np.float64).T).T)
    whole = np.linalg.norm(raw_norms(problem.design))                    # what rounding is relative to
    seen = size > 16 * EPS * np.linalg.norm(problem.targets, axis=1) * whole
    return np.divide(np.linalg.norm(g, axis=1), size, out=np.zeros(len(size)), where=seen)
