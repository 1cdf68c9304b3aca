"""Decompositions of ridge regression on few rows: of the kernel AA', or of A itself."""
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import scipy.linalg

from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.graded import graded_svd
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.spectrum import LEAST_ROOM, Spectrum, trusted

# Factor that a step of refinement must take from the error of coefficients for three of them to be enough.
LEAST_GAIN = 1e-3


@dataclass(frozen=True, eq=False)
class DualSpectrum(Spectrum):
    """From the kernel AA' of few rows.

    Attributes
    ----------
    all_values : ndarray of shape (m,)
        Eigenvalues of all directions but that of the intercept, 0 where A has no variance; `values` are the others.
    all_vectors : ndarray of shape (n, m)
        Their eigenvectors.
    all_scores : ndarray of shape (n_targets, m)
        Targets in their basis.
    vectors : ndarray of shape (n, k)
        Of the directions of `values`.
    of_dual : callable or None
        Dual variables of shape (m, n) -> coefficients of shape (m, p); None where only these are asked for.
    """

    all_values: np.ndarray
    all_vectors: np.ndarray
    all_scores: np.ndarray
    vectors: np.ndarray
    of_dual: Callable | None

    def kept(self, alphas):
        """Shares of all directions that fits leave to the residuals: shape (m, n_alphas)."""
        alphas, d = np.asarray(alphas), self.all_values[:, None]
        return np.divide(alphas, d + alphas, out=np.ones((len(d), len(alphas))), where=d + alphas > 0)

    def residuals(self, alphas, last):
        """Weighted sums of squared residuals of shape (n_alphas, n_targets), those at the last alpha too: of nearly
        interpolated targets, what X says of them is rounding."""
        return (self.kept(alphas) ** 2).T @ (self.all_scores**2).T

    def dual(self, alphas):
        """Dual variables of shape (n_alphas, n_targets, n): coefficients are A' times them."""
        share = 1 / self.damped(alphas).T
        return (share[:, None] * self.scores) @ self.vectors.T

    def _combine(self, alphas, targets):
        return self.of_dual((self.scores[targets] / (self.values + alphas[:, None])) @ self.vectors.T)

    def left_over(self, problem, rows, alpha):
        """(vectors, identity less the hat matrix of some rows, residuals (n_targets, m) of these rows) at alpha, by
        sums of positive terms."""
        kept, every = self.kept([alpha])[:, 0], self.all_vectors[rows]
        return self.vectors[rows], (every * kept) @ every.T, (self.all_scores * kept) @ every.T

    def coefs_without(self, alphas, parts):
        """(coefs_at(alphas), the same of fits without some rows), X being read once for both.

        `parts` is a RowsOut for each target."""
        damped = self.values + np.asarray(alphas)[:, None]
        out = np.stack([part.errors @ part.Z for part in parts])
        both = self.of_dual(np.vstack([self.scores, self.scores - out]) / np.tile(damped, (2, 1)) @ self.vectors.T)
        return both[:len(alphas)], both[len(alphas):]

    def leave_one_out(self, problem, alphas, keep=False, bound=LEAST_ROOM):
        """(sums of squared leave-one-out errors, errors or None, room of each row) as PrimalSpectrum has them."""
        kept = self.kept(alphas)
        room = self.all_vectors**2 @ kept
        # of what the freest direction has: where all are nearly interpolated, errors are quotients of small numbers
        share = (room / kept.max(axis=0, initial=np.finfo(float).tiny)).min(axis=1)
        room[share < bound] = np.inf
        n_targets = len(self.scores)
        sums, errors = np.empty((n_targets, len(alphas))), np.empty((n_targets, *room.shape)) if keep else None
        for t, score in enumerate(self.all_scores):
            found = self.all_vectors @ (score[:, None] * kept) / room
            sums[t] = np.einsum("ia,ia->a", found, found)
            if keep:
                errors[t] = found
        return sums, errors, share


def spectrum_of_kernel(kernel, rows, top, targets, root, of_dual, least, level):
    """DualSpectrum by eigenvectors.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        Centred, rows scaled by sqrt(weight); overwritten.
    rows : int
        How many have a weight.
    top : float
        Of the sums that the kernel was computed from, where centring took from them; else 0.
    targets : ndarray of shape (n_targets, n)
        Centred and scaled by sqrt(weight).
    root : ndarray of shape (n,)
        sqrt(weight).
    of_dual : callable or None
    least : float
        Smallest alpha.
    level : Level

    Returns
    -------
    DualSpectrum, or None where eigenvectors would cost digits.
    """
    fit_intercept = level.fit_intercept
    if fit_intercept:           # its direction, which centring empties, is moved above all others and left out
        above = 2 * np.linalg.norm(kernel) + np.finfo(float).tiny
        kernel += np.outer(above / (root @ root) * root, root)
    values, vectors = interruptible(np.linalg.eigh, kernel)
    if fit_intercept:
        values, vectors = values[:-1], vectors[:, :-1]
    if not trusted(values, rows - fit_intercept, least, top):
        return None
    # with a penalty, directions without variance may be mixtures with those of rows without weight: all count
    seen = np.arange(len(values)) >= (0 if least > 0 else len(values) - (rows - fit_intercept))
    seen &= values + least > 0
    values, scores = np.maximum(values, 0), targets @ vectors
    return DualSpectrum(values[seen], scores[:, seen], level, np.where(seen, values, 0), vectors, scores,
                        vectors[:, seen], of_dual)


@dataclass(frozen=True, eq=False)
class RefinedSpectrum(DualSpectrum):
    """From the singular vectors of A or of A turned; coefficients are refined with residuals of A itself.

    Attributes
    ----------
    singular, right : ndarray of shape (k,), (k, m)
        Singular values, and right singular vectors in the coordinates of `spread`.
    spread : callable
        Such coordinates as rows -> coefficients.
    fitted : callable
        Coefficients as rows -> A times them, as rows.
    targets : ndarray of shape (n_targets, n)
    steps : int
        Of refinement.
    """

    singular: np.ndarray
    right: np.ndarray
    spread: Callable
    fitted: Callable
    targets: np.ndarray
    steps: int = field(default=1, kw_only=True)

    def _combine(self, alphas, targets):
        out = np.empty((len(alphas), len(self.level.means)))
        for k in range(0, len(alphas), 256):
            here = targets[k:k + 256]
            out[k:k + 256] = self._solved(alphas[k:k + 256, None], self.targets[here], self.scores[here])
        return out

    def _solved(self, alphas, targets, scores):
        """Coefficients of targets (m, n) with these scores, at alphas of shape (m, 1)."""
        share, lost = self.singular / (self.values + alphas), alphas / (self.values + alphas)
        found = share * scores
        coef = self.spread(found @ self.right)
        for _ in range(self.steps):
            step = share * ((targets - self.fitted(coef)) @ self.vectors) - lost * found
            found += step
            coef += self.spread(step @ self.right)
        return coef

    coefs_without = Spectrum.coefs_without

    def response(self, rows, Z, alpha, errors):
        """Coefficients of a target that is `errors` on some rows, those of Z, and 0 elsewhere."""
        targets = np.zeros((1, len(self.all_vectors)))
        targets[:, rows] = errors
        return self._solved(np.array([[alpha]]), targets, (errors @ Z)[None])


def spectrum_of_columns(columns, spread, fitted, targets, root, level, *, least=None, steps=1):
    """RefinedSpectrum by rotations.

    Parameters
    ----------
    columns : ndarray of shape (n, m)
        A, or A turned.
    spread, fitted, targets, steps
        Of RefinedSpectrum.
    root : ndarray of shape (n,)
        sqrt(weight).
    level : Level
    least : float or None
        Smallest alpha, where singular values are right against the largest alone: refinement makes good for that up to
        a point.

    Returns
    -------
    RefinedSpectrum
    """
    U, singular, right = graded_svd(columns, root if level.fit_intercept else None)
    values = np.zeros(U.shape[1])
    values[:len(singular)] = singular**2
    seen, scores = values > 0, targets @ U
    smallest = np.sqrt(values[seen].min(initial=np.inf) + (least or 0.0))
    doubtful = least is not None and bool(EPS * singular.max(initial=0.0) > LEAST_GAIN * smallest)
    return RefinedSpectrum(values[seen], scores[:, seen], level, values, U, scores, U[:, seen], None, singular, right,
                           spread, fitted, targets, steps=steps, accurate=True, doubtful=doubtful)


def spectrum_of_rotated(triangle, least, of_dual, fitted, targets, root, level):
    """RefinedSpectrum from the triangle R of a QR decomposition Q R of A': ridge regression on the few columns of
    R' = A Q.

    Q is not kept: its columns are combinations of some rows of A, by a triangle again.

    Parameters
    ----------
    triangle : ndarray of shape (n, n) or with fewer rows
    least : float
        Smallest alpha.
    of_dual : callable
        Dual variables of shape (m, n) -> coefficients of shape (m, p).
    fitted, targets
        Of RefinedSpectrum.
    root : ndarray of shape (n,)
        sqrt(weight).
    level : Level

    Returns
    -------
    RefinedSpectrum
    """
    _, R, order = interruptible(partial(scipy.linalg.qr, mode="economic", pivoting=True), triangle)
    pivots, n = np.abs(np.diag(R)), triangle.shape[1]
    count = int(np.count_nonzero(pivots > EPS * n * pivots.max(initial=0.0)))
    columns = np.empty((n, count))
    columns[order] = R[:count].T

    def spread(rotated):
        dual = np.zeros((len(rotated), n))
        dual[:, order[:count]] = scipy.linalg.solve_triangular(R[:count, :count], rotated.T).T
        return of_dual(dual)

    # three steps: of coefficients that are rounded as sums over rows
    return spectrum_of_columns(columns, spread, fitted, targets, root, level, least=least, steps=3)
