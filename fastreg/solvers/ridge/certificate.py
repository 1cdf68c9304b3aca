"""How far ridge coefficients can be from the exact ones.

With g = X'S(y - Xw) - alpha F w (X, y centred), w - exact = -(X'SX + alpha F)^-1 g. In units of the penalty, that is
with D = F^-1/2 and A = S^1/2 X D, it is -D (A'A + alpha)^-1 D g. Rounding is part of every bound: of sums by the root
of their length (Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019), at once where it
lies in g; where it lies in the residuals of the rows, by no more than (A'A + alpha)^-1 A' lets through.
"""
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg.blas import dsymm
from scipy.linalg.lapack import dpotri

from fastreg.kernels.residual import residuals
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.problem import RidgeProblem, absent

# What sums of squares about their mean lose at most by a high level, before they are formed otherwise.
LEVEL = 1e3
# A bound, relative to the coefficients, that need not be improved.
GOOD = 1e-6
# Residuals that are rounding, in units of what rounding is expected to make them.
SLACK = 4
# What rounding does to an alpha times its factor, relatively: weights are made to sum to n and alphas go with them.
OF_ALPHA = 4 * EPS


# ---- from X itself ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Columns:
    """What their moments and the penalty make of the columns of a problem.

    Attributes
    ----------
    active : ndarray of int, or None
        Those that count; None is all.
    F : ndarray of shape (p,)
        Factors of alpha.
    scale : ndarray of shape (p,)
        D: inf where a column is free, 0 where it does not count.
    norms, raw : ndarray of shape (p,)
        Norms about their means, and about 0.
    """

    active: np.ndarray | None
    F: np.ndarray
    scale: np.ndarray
    norms: np.ndarray
    raw: np.ndarray

    @classmethod
    def of(cls, problem):
        """Of a problem whose moments are known."""
        norms = problem.design.norms
        F, active = problem.diagonal(norms)
        scale = np.zeros(len(F))
        with np.errstate(divide="ignore"):
            np.divide(1, np.sqrt(F), out=scale, where=True if active is None else norms > 0)     # 1 / inf is 0
        return cls(active, F, scale, norms, raw_norms(problem.design))

    @cached_property
    def longest(self):
        """The largest entry of D."""
        return float(self.scale.max())

    @property
    def roots(self):
        """Roots of the factors, 0 where a column does not count; none is free."""
        return np.divide(1, self.scale, out=np.zeros(len(self.scale)), where=self.scale > 0)


@dataclass(frozen=True, eq=False)
class Reach:
    """What lies between coefficients and the exact ones, in units of the penalty.

    Attributes
    ----------
    longest : float
        Entry of D: inf where a column is free.
    scaled : ndarray of shape (k,)
        Norms of D g, rounding of its own sums included.
    rows : ndarray of shape (k,)
        Norms of the rounding of the rows' residuals.
    whole : float
        Norm of A before it is centred.
    least : float
        At most the smallest eigenvalue of A'A.
    """

    longest: float
    scaled: np.ndarray
    rows: np.ndarray
    whole: float
    least: float = 0.0

    def bound(self, alphas):
        """At least ``||coef - exact||`` where these are the alphas."""
        if self.longest == 0:                    # no column counts
            return np.zeros_like(self.scaled)
        damped = alphas + self.least
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            through = self.rows * np.minimum(self.whole / damped, _passed(alphas, self.least))
            bound = self.longest * (self.scaled / damped + through)
        return np.where((damped > 0) & math.isfinite(self.longest), bound, np.inf)

    def times(self, shares):
        """Of coefficients that are `shares` times these in size."""
        return replace(self, scaled=self.scaled * shares, rows=self.rows * shares)

    def __getitem__(self, rows):
        """Of these coefficients alone."""
        return replace(self, scaled=self.scaled[rows], rows=self.rows[rows])


@dataclass(frozen=True, eq=False)
class Certificate:
    """What X says of coefficients, those of a target in each row.

    Attributes
    ----------
    gradient : ndarray of shape (k, p)
        X'S(y - Xw) - alpha F w, half the gradient's negative; 0 where a column does not count or where the gradient
        points out of limits.
    squares : ndarray of shape (k,)
        Weighted sums of squared errors.
    alphas : ndarray of shape (k,)
    columns : Columns
    reach : Reach
        What the bound is made of.
    at_rounding : ndarray of bool, shape (k,)
        Whether no arithmetic of this precision could be asked for a smaller gradient of any column: column by column,
        as one of large scale is no excuse for the others.
    """

    gradient: np.ndarray
    squares: np.ndarray
    alphas: np.ndarray
    columns: Columns
    reach: Reach
    at_rounding: np.ndarray

    @property
    def residual(self):
        """Norms of the gradient."""
        return row_norms(self.gradient)

    @cached_property
    def bound(self):
        """At least ``||coef - exact||``; inf where nothing is known."""
        return self.reach.bound(self.alphas)

    def __getitem__(self, rows):
        """Of these coefficients alone."""
        return Certificate(self.gradient[rows], self.squares[rows], self.alphas[rows], self.columns,
                           self.reach[rows], self.at_rounding[rows])


def certify(problem, coef, least=0.0, limits=None):
    """Certificate of coefficients, from X itself. The moments must be known.

    Parameters
    ----------
    problem : RidgeProblem
    coef : ndarray of shape (n_targets, p)
    least : float
        At most the smallest eigenvalue of A'A.
    limits : tuple of ndarray, or None
        (lower, upper): components of the gradient that point out of them do not count.

    Returns
    -------
    Certificate
    """
    columns = Columns.of(problem)
    g, squares = _gradient(problem, columns, coef)
    if limits is not None:
        g[((coef <= limits[0]) & (g < 0)) | ((coef >= limits[1]) & (g > 0))] = 0
    norms = row_norms(g * columns.scale if math.isfinite(columns.longest) else g)
    reach = reach_of(problem, columns, norms, np.sqrt(squares), coef, least)
    room = rounding(problem, columns, coef, row_norms(problem.targets))
    return Certificate(g, squares, problem.alphas, columns, reach, (np.abs(g) <= room).all(axis=1))


def gradient(problem, coef):
    """(X'S(y - Xw) - alpha F w as rows, weighted sums of squared errors) from X itself. The moments must be known."""
    return _gradient(problem, Columns.of(problem), coef)


def _gradient(problem, columns, coef):
    F, active = columns.F, columns.active
    left, g = residuals(problem.design, problem.targets, np.ascontiguousarray(coef))
    if active is not None:
        out = absent(active, problem.p)
        g[:, out], F = 0, np.where(out, 0, F)
    g -= problem.alphas[:, None] * F * coef
    return g, np.einsum("ti,ti->t", left, left)


def reach_of(problem, columns, norms, rows, coef, least=0.0):
    """Reach from norms of D g as it was computed, and of the residuals of the rows."""
    if not math.isfinite(columns.longest):
        return Reach(np.inf, norms, rows, np.inf, least)
    per_row, per_column = _lengths(problem)
    weighted = columns.raw * columns.scale
    whole = math.sqrt(weighted @ weighted)
    of_rows = rounding_of_sums(per_row) * (np.abs(coef) @ columns.raw + rows)
    scaled = norms + rounding_of_sums(per_column) * whole * rows
    scaled += OF_ALPHA * problem.alphas * row_norms(coef * columns.roots)
    return Reach(columns.longest, scaled, of_rows, whole, least)


def rounding(problem, columns, coef, size):
    """What the gradient (k, p) of coefficients may be by rounding, where targets and residuals have norms of at most
    `size` (k,)."""
    room = np.multiply.outer(np.abs(coef) @ columns.raw + size, columns.norms) + np.multiply.outer(size, columns.raw)
    return SLACK * rounding_of_sums(max(_lengths(problem))) * room


def excused(coef, certificate):
    """Whether rounding keeps coefficients from a smaller bound: no excuse where this is larger than they are, as they
    are not known at all then."""
    bound = certificate.bound
    return certificate.at_rounding & ~((bound > row_norms(coef)) & np.isfinite(bound))


def normal_residual(X, Y, coef, alphas, penalty, *, weight=None, fit_intercept=True, n_threads=None):
    """Certificate of a ridge regression: how far its coefficients are from solving their normal equations.

    Returns
    -------
    ndarray of shape (n_targets,)
        Norm of ``X'S(y - Xw - b) - alpha F w`` (X centred with an intercept), relative to that of ``X'S(y - mean)``,
        in float64 from X itself.
    """
    problem = RidgeProblem.of(X, Y, alphas, penalty, weight, fit_intercept, n_threads)
    size = np.linalg.norm(problem.moments(), axis=1)
    g, _ = gradient(problem, problem.units.down(np.asarray(coef, dtype=np.float64).T).T)
    whole = np.linalg.norm(raw_norms(problem.design))                    # what rounding is relative to
    seen = size > 16 * EPS * np.linalg.norm(problem.targets, axis=1) * whole
    return np.divide(np.linalg.norm(g, axis=1), size, out=np.zeros(len(size)), where=seen)


# ---- sizes -----------------------------------------------------------------------------------------------------------
def rounding_of_sums(length):
    """Of a sum of so many products, relative to the norms of its factors."""
    return EPS * (2 + math.sqrt(length))


def raw_norms(design):
    """Norms of the columns before they are centred."""
    return np.sqrt(design.norms**2 + design.n * design.means**2)


def _lengths(problem):
    """Entries of a row and of a column."""
    entries = problem.X.nnz if problem.sparse else problem.n * problem.p
    return entries / problem.n, entries / problem.p


def row_norms(rows):
    """Norms of rows."""
    return np.sqrt(np.einsum("ti,ti->t", rows, rows))


def _divide(a, b):
    """a / b, inf where b is zero."""
    return np.divide(a, b, out=np.full(len(b), np.inf), where=b > 0)


def _passed(alphas, least):
    """Largest ``sqrt(d) / (d + alpha)`` of eigenvalues d not below `least`: that at alpha, or at the least."""
    return np.where(least > alphas, np.sqrt(least) / (least + alphas), 0.5 / np.sqrt(alphas))


def least_penalty(problem, F, active):
    """The smallest alpha F of every target: 0 where a column is free, or where none counts."""
    F = F if active is None else F[active]
    return problem.alphas * (np.min(F) if len(F) else 0.0)


# ---- from sums -------------------------------------------------------------------------------------------------------
class GramProof:
    """Bounds for the system (G + alpha F) w = Q of Gram matrices, the rounding of their sums added.

    Besides alpha's, the least eigenvalue of the matrix with unit diagonal is bounded by its inverse, where that costs
    little and alpha alone does not make a good bound.
    """

    def __init__(self, problem, norms, means, F):
        self.problem, self.F = problem, F
        self.squares = norms**2 + np.minimum(problem.n * means**2, LEVEL * norms**2)
        p = len(norms)
        self.inverts = cheap_to_invert(problem, p)
        self.share = rounding_of_sums(problem.n) + rounding_of_sums(p)
        self.bound = np.full(len(problem.alphas), np.inf)

    def add(self, here, left, coef, factor=None, diagonal=None):
        """Targets `here`, whose residuals are `left`; a lower Cholesky factor of their matrix and the diagonal of
        this, if there is one."""
        alpha = self.problem.alphas[here]
        whole = np.sqrt(self.squares + alpha[:, None] * self.F)
        size = np.einsum("tj,tj->t", np.abs(coef), whole) + row_norms(self.problem.targets[here])
        bound = _divide(row_norms(left) + self.share * row_norms(whole) * size, alpha * self.F.min())
        if factor is not None and self.inverts and np.any(bound > GOOD * row_norms(coef)):
            root = math.sqrt(len(diagonal))
            least = least_eigenvalue(factor, diagonal) - self.share * root**3
            if least > 0:
                unit = np.sqrt(diagonal)
                scaled = row_norms(left / unit) + self.share * root * size
                bound = np.minimum(bound, scaled / (least * unit.min()))
        self.bound[here] = bound


def cheap_to_invert(problem, side):
    """Whether the inverse of a matrix of so many rows costs little beside its sums or beside orthogonal transformations
    of X."""
    return side <= 64 or problem.small or (not problem.sparse and 40 * side <= max(problem.n, problem.p))


def least_eigenvalue(factor, diagonal=1.0):
    """At most the smallest eigenvalue of a matrix with this lower Cholesky factor, its rows and columns divided by the
    roots of `diagonal`: the inverse of the trace of its inverse."""
    inverse, failed = dpotri(factor, lower=1)
    return 0.0 if failed else 1 / np.sum(inverse.diagonal() * diagonal)


def bound_from_kernel(problem, rows, A, spread, least_factor, least=0.0):
    """Bound of w = F^-1 X'a from the norms of ``y - Xw - alpha a``, what rounding adds to them included.

    Parameters
    ----------
    rows : ndarray of shape (n_targets,)
    A : ndarray of shape (n_targets, n)
    spread : float
        Norm of X F^-1 before it is centred.
    least_factor : float
        The smallest factor of a column that counts.
    least : float or ndarray of shape (n_targets,)
        At most the smallest eigenvalue of X F^-1 X'.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        formed = rounding_of_sums(problem.n) * np.linalg.norm(A, axis=1)     # w as it came out, less F^-1 X'a
        bound = rows * _passed(problem.alphas, least) / np.sqrt(least_factor) + formed * spread
        return np.where(least_factor * np.maximum(problem.alphas, least) > 0, bound, np.inf)


def symmetric_products(M, coef, lower):
    """coef @ M from one triangle of M (C order)."""
    return dsymm(1.0, M.T, coef.T, side=0, lower=lower).T
