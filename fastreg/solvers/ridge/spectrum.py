"""One decomposition of ridge regression: every alpha and target, degrees of freedom and leave-one-out errors.

A is X centred where an intercept is fitted, its rows scaled by sqrt(weight) and its columns by what the penalty asks
for, on the fly. The primal form decomposes A'A (p x p), the dual one the kernel AA' (n x n). Leave-one-out is the
identity ``y_i - x_i w_(-i) = (y_i - x_i w) / (1 - h_i)``.

Rounding in eigenvectors of A'A or AA' is relative to the largest eigenvalue: fits are off by ``EPS max(d) / (min(d) +
alpha)``. Where that is too much, ``decompose`` asks for Jacobi rotations, whose errors do not depend on the scales of
columns: of A itself, or of a triangle R with ``R'R = A'A + shift``, shift being the smallest alpha.
"""
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from fastreg.design import as_design, view_of
from fastreg.kernels.loo import loo_sums
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.graded import jacobi
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.problem import Level

# Bytes of a block of rows.
BLOCK = 2**25

# Largest ``max(d) / (min(d) + alpha)`` that eigenvectors are trusted with: fits then have 8 digits.
SPREAD = 1e7
# Share of a row that its own leverage must leave: below it, the row is left out by a fit of the others.
LEAST_ROOM = 1e-6


def low_rank(D):
    """(L, R) with D = L R to rounding, L some columns of D; R is None where a product with both saves nothing.

    Rows of D are functions of the penalty that vary slowly: 100 penalties over six decades need some 20 columns.
    """
    _, T, order = scipy.linalg.qr(D, mode="economic", pivoting=True)
    pivots = np.abs(np.diag(T))
    rank = max(1, int(np.count_nonzero(pivots > 2 * EPS * pivots[0])))
    if rank * sum(D.shape) > 0.8 * D.size:
        return D, None
    R = np.empty((rank, D.shape[1]))
    R[:, order[:rank]] = np.eye(rank)
    R[:, order[rank:]] = scipy.linalg.solve_triangular(T[:rank, :rank], T[:rank, rank:])
    return D[:, order[:rank]], R


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Ridge regression of several targets at every alpha; of this, PrimalSpectrum and DualSpectrum are the two forms.

    Alphas are those of a RidgeProblem, for weights that sum to n.

    Attributes
    ----------
    values : ndarray of shape (k,)
        Eigenvalues d plus `shift`, of the directions in which X has variance.
    scores : ndarray of shape (n_targets, k)
        Targets in the basis of the left singular vectors, times ``sqrt(d / values)``.
    level : Level
        What X and the targets were centred by.
    shift : float
        At most the smallest alpha.
    accurate : bool
        Whether what comes after an eigendecomposition was done.
    doubtful : bool
        Whether even that has not the digits.
    """

    values: np.ndarray
    scores: np.ndarray
    level: Level
    shift: float = field(default=0.0, kw_only=True)
    accurate: bool = field(default=False, kw_only=True)
    doubtful: bool = field(default=False, kw_only=True)

    def damped(self, alphas):
        """d + alpha: shape (k, n_alphas)."""
        return self.values[:, None] + (np.asarray(alphas) - self.shift)

    def shrinkage(self, alphas):
        """What scores are multiplied by, ``(d + shift) / (d + alpha)``: shape (k, n_alphas)."""
        return self.values[:, None] / self.damped(alphas)

    def lost(self, alphas):
        """Share of each direction that a fit leaves to the residuals, ``alpha / (d + alpha)``: (k, n_alphas)."""
        return np.asarray(alphas) / self.damped(alphas)

    def df(self, alphas):
        """Effective degrees of freedom, the trace of the hat matrix, for every alpha."""
        return ((self.values - self.shift)[:, None] / self.damped(alphas)).sum(axis=0) + self.level.fit_intercept

    def freedom(self, alphas, rows):
        """Degrees of freedom that so many rows have left, a sum of positive terms: shape (n_alphas,)."""
        rows -= self.level.fit_intercept
        top = np.sort(self.lost(alphas), axis=0)[:rows]             # other directions are of rounding
        return max(rows - len(top), 0) + top.sum(axis=0)

    def residuals(self, alphas, last):
        """Weighted sums of squared residuals of shape (n_alphas, n_targets), a sum of positive terms.

        Parameters
        ----------
        alphas : ndarray of shape (n_alphas,)
            Decreasing.
        last : ndarray of shape (n_targets,)
            These sums at the last alpha.
        """
        least = alphas[-1:]
        more = self.shrinkage(least) / self.damped(alphas) * (alphas - least) * (self.lost(alphas) + self.lost(least))
        return more.T @ (self.scores**2).T + last

    def least_variance(self, problem):
        """At most the smallest eigenvalue of A'A; 0 where it is not known."""
        _, active = problem.diagonal(problem.design.norms)
        full = 0 < len(self.values) == (problem.p if active is None else len(active))
        return max(float(self.values.min() - self.shift), 0.0) if full else 0.0

    def reach(self, alphas):
        """Norms of ``A (A'A + alpha)^-1`` or a little more: shape (n_alphas,)."""
        return (np.sqrt(self.values)[:, None] / self.damped(alphas)).max(axis=0, initial=0.0)

    def coefs(self, alphas):
        """Coefficients of shape (n_alphas, n_targets, p)."""
        shape = len(alphas), len(self.scores)
        found = self._combine(np.repeat(np.asarray(alphas, dtype=np.float64), shape[1]),
                              np.tile(np.arange(shape[1]), shape[0]))
        return found.reshape(*shape, found.shape[1])

    def coefs_at(self, alphas):
        """Coefficients of shape (n_targets, p), each target at an alpha of its own."""
        return self._combine(np.asarray(alphas, dtype=np.float64), np.arange(len(self.scores)))

    def coefs_without(self, alphas, parts):
        """(coefs_at(alphas), the same of fits without some rows), both (n_targets, p).

        Parameters
        ----------
        alphas : ndarray of shape (n_targets,)
        parts : list of RowsOut
            For each target, the rows to leave out.
        """
        coef = self.coefs_at(alphas)
        return coef, coef - np.vstack([self.response(part.rows, part.Z, alpha, part.errors)
                                       for alpha, part in zip(alphas, parts)])


# ---- few columns -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class PrimalSpectrum(Spectrum):
    """From A'A of few columns.

    Attributes
    ----------
    basis : ndarray of shape (p, k)
        Coefficients are ``basis @ (shrinkage * scores)``.
    """

    basis: np.ndarray

    def _combine(self, alphas, targets):
        share = self.values / (self.values + (alphas[:, None] - self.shift))
        return (share * self.scores[targets]) @ self.basis.T

    def left_over(self, problem, rows, alpha):
        """(Z, identity less the hat matrix of some rows, residuals (n_targets, m) of these rows) at alpha."""
        Z, root = problem.centred_rows(rows) @ self.basis, problem.constant[rows]
        shrinkage = self.shrinkage([alpha])[:, 0]
        left = np.eye(len(rows)) - (Z * shrinkage) @ Z.T
        if self.level.fit_intercept:
            left -= np.outer(root, root) / problem.n
        return Z, left, problem.targets[:, rows] - (self.scores * shrinkage) @ Z.T

    def response(self, rows, Z, alpha, errors):
        """Coefficients of a target that is `errors` on some rows, those of Z, and 0 elsewhere."""
        return (errors @ Z * self.shrinkage([alpha])[:, 0]) @ self.basis.T

    def leave_one_out(self, problem, alphas, keep=False, bound=LEAST_ROOM):
        """Leave-one-out errors ``sqrt(s_i) (y_i - x_i w_(-i) - b_(-i))``, the weights summing to n.

        Parameters
        ----------
        problem : RidgeProblem
            That this was made of.
        alphas : ndarray of shape (n_alphas,)
            Positive.
        keep : bool
        bound : float
            Rows of less room are not summed, and their errors are 0.

        Returns
        -------
        sums : ndarray of shape (n_targets, n_alphas)
            Of their squares.
        errors : ndarray of shape (n_targets, n, n_alphas), or None without `keep`
        room : ndarray of shape (n,)
            What is left of each row by its leverage at the smallest alpha.
        """
        design, targets = problem.design, problem.targets
        n, n_targets = design.n, len(targets)
        shrinkage = self.shrinkage(alphas)
        left, right = low_rank(shrinkage)
        W = np.ascontiguousarray([left.T, *(score * left.T for score in self.scores)])
        right = None if right is None else np.ascontiguousarray(right.T)
        V, least = np.ascontiguousarray(self.basis.T), int(np.argmin(alphas))
        own = np.ones(n) - (problem.constant**2 / n if self.level.fit_intercept else 0)
        errors = np.empty((n_targets, n, len(alphas))) if keep else None
        if not problem.sparse:
            sums, room = loo_sums(design, design.means, V, W, right, targets, own, least, bound, errors)
            return sums, errors, room
        sums, room = np.zeros((n_targets, len(alphas))), np.empty(n)
        nothing = np.zeros(len(self.values))
        for rows, Z in _row_blocks(problem, V):
            block = view_of(as_design(Z, problem.n_threads), None, False)
            here = None if errors is None else np.empty((n_targets, len(Z), len(alphas)))
            more, room[rows] = loo_sums(block, nothing, None, W, right, np.ascontiguousarray(targets[:, rows]),
                                        own[rows], least, bound, here)
            sums += more
            if keep:
                errors[:, rows] = here
        return sums, errors, room


def _row_blocks(problem, V):
    """(rows, X[rows] V' centred and scaled by sqrt(weight)), some rows at a time."""
    n, m = problem.n, max(256, BLOCK // (8 * len(V)))
    level = V @ problem.design.means
    for i in range(0, n, m):
        rows = slice(i, min(n, i + m))
        yield rows, (problem.X[rows] @ V.T - level) * problem.constant[rows, None]


def spectrum_of_gram(gram, xy, scale, least, level):
    """PrimalSpectrum by eigenvectors.

    Parameters
    ----------
    gram : ndarray of shape (p, p)
        Centred and weighted X'X.
    xy : ndarray of shape (n_targets, p)
    scale : ndarray of shape (p,)
        What columns are multiplied by.
    least : float
        Smallest alpha.
    level : Level

    Returns
    -------
    PrimalSpectrum, or None where eigenvectors would cost digits.
    """
    lengths = np.diag(gram) * scale**2
    alive = lengths > 0
    if np.any(lengths[alive].max(initial=0.0) > SPREAD * (lengths[alive] + least)):
        return None
    gram = gram * scale[:, None]
    gram *= scale
    values, vectors = interruptible(np.linalg.eigh, gram)
    if not trusted(values, np.count_nonzero(alive), least):
        return None
    values = np.maximum(values, 0) + least
    seen = values > 0
    root, vectors = np.sqrt(values[seen]), vectors[:, seen]
    return PrimalSpectrum(values[seen], (xy * scale) @ vectors / root, level, scale[:, None] * vectors / root,
                          shift=least)


def spectrum_of_triangle(triangle, scale, lengths, shift, level):
    """PrimalSpectrum by Jacobi rotations of R D, where R'R = D^-1 (A'A + shift) D^-1 and D holds the lengths of the
    columns.

    Parameters
    ----------
    triangle : ndarray of shape (p + n_targets, p + n_targets) or (p, p + n_targets)
        R, and beside it R^-T D^-1 A'y; of columns with a length.
    scale, lengths : ndarray of shape (n_features,)
        0 where a column is left out.
    shift : float
    level : Level

    Returns
    -------
    PrimalSpectrum
    """
    alive = np.flatnonzero(lengths)
    p = len(alive)
    R, of_targets = triangle[:p, :p], triangle[:p, p:]
    left, singular, right = jacobi(R * lengths[alive])
    if shift > 0 or np.abs(np.diag(R)).min() > EPS * max(triangle.shape):
        back = scipy.linalg.solve_triangular(R, left)
    else:                           # columns depend on each other and nothing is penalised: the least norm
        seen = singular > EPS * max(triangle.shape) * singular[0]
        left, singular, right = left[:, seen], singular[seen], right[seen]
        back = right.T / singular * lengths[alive, None]
    basis = np.zeros((len(scale), len(singular)))
    basis[alive] = (scale[alive] / lengths[alive])[:, None] * back
    return PrimalSpectrum(singular**2, of_targets.T @ left, level, basis, shift=shift, accurate=True)


def trusted(values, count, least, level=0.0):
    """Whether eigenvectors of a matrix with these eigenvalues, `count` of which belong to its range, keep the digits of
    ridge regression at alphas not below `least`."""
    if count <= 0 or values.max(initial=0.0) <= 0:
        return True
    smallest = np.sort(values)[-count] if count <= len(values) else 0.0
    return max(values.max(), level) <= SPREAD * (max(smallest, 0.0) + least)
