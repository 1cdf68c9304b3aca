"""Which decomposition of ridge regression: the cheapest that keeps the digits which the alphas ask for."""
from functools import partial

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastreg.design import as_design, canonical_sparse, effective_threads
from fastreg.finite import check_finite
from fastreg.kernels.gram import gram_of, kernel_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.solvers.grams import MOST_DENSE, raw_kernel, sparse_gram, sparse_kernel
from fastreg.solvers.spectrum import SPREAD, DualSpectrum, PrimalSpectrum, RefinedSpectrum, RotatedSpectrum
from fastreg.weights import Weights

# Bytes of a block of rows.
BLOCK = 2**25
# Elements of dense and of sparse X, and work, up to which A is decomposed itself; most rows of it.
MOST_ELEMENTS, MOST_STORED, MOST_WORK, MOST_ROWS = 4_000_000, 1_000_000, 2e8, 1000


def column_scale(factor, norms, n, standardize):
    """What the columns are multiplied by for the penalty to be alpha * ||v||^2; 0 where excluded or constant.

    Parameters
    ----------
    factor : float or ndarray of shape (p,)
    norms : ndarray of shape (p,)
        Centred and weighted, the weights summing to n.
    n : int
    standardize : bool

    Returns
    -------
    ndarray of shape (p,)
    """
    weight = np.broadcast_to(np.asarray(factor, dtype=np.float64), norms.shape)
    if np.any(weight == 0):
        raise ValueError("penalty_factor must be positive here: 0 leaves a feature out of every penalty.")
    alive = (norms > 0) & np.isfinite(weight)
    weight = np.where(alive, weight * norms**2 / n if standardize else weight, 1)
    return np.where(alive, 1 / np.sqrt(weight), 0)


class Problem:
    """X, targets and weights as a decomposition takes them.

    Parameters
    ----------
    X : ndarray or scipy sparse, shape (n, p), float32 or float64
        NaN or infinity raise a ValueError.
    Y : ndarray of shape (n, n_targets)
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    fit_intercept : bool
    n_threads : int or None
    """

    def __init__(self, X, Y, weight, fit_intercept, n_threads):
        n = len(Y)
        self.raw, self.sums, self.scale = (X, Y, weight), None, None      # sums: X'X and X'Y, while they are of use
        self.X = canonical_sparse(X) if sp.issparse(X) else X
        self.fit_intercept, self.n_threads = fit_intercept, effective_threads(n_threads)
        self.weights = Weights(weight, n)
        self.unit, self.rows = n / self.weights.total, self.weights.rows
        self.weight = self.weights.normalised
        self.root = np.ones(n) if self.weight is None else self.weights.root
        self.targets, self.y_means = self.weights.centred(Y, fit_intercept)
        self.design = as_design(self.X, self.weight, fit_intercept, self.n_threads)

    def without(self, row):
        """The same with one row less."""
        X, Y, _ = self.raw
        return Problem(X, Y, self.weights.without(row).raw, self.fit_intercept, self.n_threads)

    def spectrum(self, alphas, factor=1.0, standardize=False, accurate=False, scale=None):
        """The decomposition in the cheaper form that has the digits.

        Parameters
        ----------
        alphas : ndarray
            That it is to serve.
        factor : float or ndarray of shape (p,)
            Of the penalty, positive; inf excludes.
        standardize : bool
        accurate : bool
            By orthogonal transformations of X, whatever its columns.
        scale : ndarray of shape (p,) or None
            From `column_scale`, where it is not that of these rows.

        Returns
        -------
        Spectrum, or None where X is sparse and has many rows and many columns.
        """
        n, p = self.X.shape
        dual = prefers_dual(self.rows, n, p)
        if sp.issparse(self.X):
            if min(n, p) > MOST_DENSE:
                return None
            dual = n <= MOST_DENSE and (dual or p > MOST_DENSE)
        least = self.unit * float(np.min(alphas))
        if accurate:
            self.measure(factor, standardize, scale)
        else:
            found = (self._dual if dual else self._primal)(factor, standardize, scale, least)
            if found is not None:
                return found
        if self._small():
            return self._exact(factor, standardize, scale)
        if dual and self.rows <= p:
            return self._wide(factor, standardize, scale, least)
        return self._tall(factor, standardize, scale, least)

    def measure(self, factor, standardize, scale=None):
        """The moments of the columns, from a reading of X, and what the penalty multiplies them by."""
        column_moments(self.design, np.empty((0, self.design.n)))
        check_finite(self.X, self.design.norms)
        return self._scale(factor, standardize, scale)

    def take(self, moments, scale):
        """The same, where they are known."""
        self.design.means[:], self.design.norms[:] = moments.means, moments.norms
        self.scale = scale

    def _rest(self):
        return self.design.means.copy(), self.y_means, self.unit, self.fit_intercept

    def _scale(self, factor, standardize, scale):
        self.scale = column_scale(factor, self.design.norms, self.design.n, standardize) if scale is None else (
            np.where(self.design.norms > 0, scale, 0))
        return self.scale

    def _small(self):
        n, p = self.X.shape
        return (n <= MOST_ROWS and n * p <= (MOST_STORED if sp.issparse(self.X) else MOST_ELEMENTS)
                and n * p * min(n, p) <= MOST_WORK)

    # ---- by eigenvectors ---------------------------------------------------------------------------------------------
    def _gram(self):
        if sp.issparse(self.X):
            Y = self.targets if self.weight is None else self.targets / np.where(self.root > 0, self.root, 1)
            gram, xy, means, norms = sparse_gram(self.X, Y, self.weight, self.fit_intercept, self.n_threads)
            self.design.means[:], self.design.norms[:] = means, norms
        else:
            gram, xy = gram_of(self.design, self.targets)
        check_finite(self.X, self.design.norms)
        return gram, xy

    def _primal(self, factor, standardize, scale, least):
        self.sums = self._gram()
        scale = self._scale(factor, standardize, scale)
        found = PrimalSpectrum.of_gram(*self.sums, scale, least, *self._rest())
        if found is not None:
            self.sums = None
        return found

    def _dual(self, factor, standardize, scale, least):
        scale = self.measure(factor, standardize, scale)
        kernel, plain = None, bool(np.all(scale == 1))
        if sp.issparse(self.X):
            kernel = sparse_kernel(self.X, self.design, scale**2, self.weight, self.fit_intercept, self.n_threads)
        elif plain and self.weight is None:
            kernel, _ = raw_kernel(self.design, self.fit_intercept)
        if kernel is None:
            kernel = kernel_of(self.design, None if plain else scale**2)
        return DualSpectrum.of_kernel(kernel, self.rows, 0.0, self.targets, self.root, self._combiner(scale), least,
                                      *self._rest())

    # ---- by rotations ------------------------------------------------------------------------------------------------
    def rows_of(self, rows):
        """Rows of X as an array, centred and scaled by sqrt(weight)."""
        some = self.X[rows]
        some = some.toarray() if sp.issparse(some) else np.asarray(some)
        return (some.astype(np.float64) - self.design.means) * self.root[rows, None]

    def _exact(self, factor, standardize, scale):
        A = self.rows_of(np.arange(self.design.n))
        if self.fit_intercept:                     # the rounding of high means counts
            again = self.root @ A / (self.root @ self.root)
            A -= np.outer(self.root, again)
            self.design.means[:] += again
        alive = self.design.norms > 0
        self.design.norms[:] = np.where(alive, np.linalg.norm(A, axis=0), 0)
        scale = self._scale(factor, standardize, scale)
        A *= scale
        inverse = np.divide(1, scale, out=np.zeros(len(scale)), where=scale > 0)
        return RefinedSpectrum(A, lambda of_columns: of_columns * scale, lambda coef: (coef * inverse) @ A.T,
                               self.targets, self.root, *self._rest())

    def _tall(self, factor, standardize, scale, least):
        """From A'A + least as far as its columns, brought to one length, do not depend on each other; otherwise from
        blocks of rows of A, and rows for the penalty."""
        scale = self._scale(factor, standardize, scale)
        alive, lengths = damped_lengths(self.design.norms * scale, least)
        if len(alive) == 0:
            none = np.zeros((len(self.targets), 1))     # as if along a direction of no variance
            return PrimalSpectrum(np.full(1, np.finfo(float).tiny), none, np.zeros((len(scale), 1)), *self._rest())
        found = None if self.sums is None else of_sums(*self.sums, self.design.norms, scale, least, *self._rest())
        self.sums = None
        if found is None:
            R = self._triangle_of_rows(alive, scale[alive] / lengths[alive], np.sqrt(least) / lengths[alive])
            found = PrimalSpectrum.of_triangle(R, scale, lengths, least, *self._rest())
        return found

    def _triangle_of_rows(self, alive, inverse, damping):
        """The same of rows of A, one of the penalty for each column below them."""
        n, T, step = self.design.n, len(self.targets), max(256, 4 * self.design.p)

        def blocks():
            if damping.any():
                yield np.hstack([np.diag(damping), np.zeros((len(alive), T))])
            for i in range(0, n, step):
                rows = np.arange(i, min(n, i + step))
                yield np.hstack([self.rows_of(rows)[:, alive] * inverse, self.targets[:, rows].T])

        R = triangle(blocks())
        if len(R) < len(alive):                    # fewer rows than columns
            R = np.vstack([R, np.zeros((len(alive) - len(R), R.shape[1]))])
        return R

    def _wide(self, factor, standardize, scale, least):
        p, step = self.design.p, max(256, 4 * self.design.n)
        scale = self._scale(factor, standardize, scale)

        def blocks():
            for j in range(0, p, step):
                some = self.X[:, j:j + step]
                some = some.toarray() if sp.issparse(some) else some
                yield ((some - self.design.means[j:j + step]) * scale[j:j + step]).T * self.root

        return RotatedSpectrum(triangle(blocks()), least, self._combiner(scale), partial(combine, self.design),
                               self.targets, self.root, *self._rest())

    def _combiner(self, scale):
        def of_dual(dual):
            out = np.empty((len(dual), len(scale)))
            for k in range(0, len(dual), 16):
                out[k:k + 16] = correlate(self.design, dual[k:k + 16] * self.root)
            out *= scale**2
            return out
        return of_dual

    def row_blocks(self, V):
        """(rows, X[rows] V centred and scaled by sqrt(weight)), some rows at a time."""
        n, m = self.X.shape[0], max(256, BLOCK // (8 * len(V)))
        level = V @ self.design.means
        for i in range(0, n, m):
            rows = slice(i, min(n, i + m))
            yield rows, (self.X[rows] @ V.T - level) * self.root[rows, None]


def prefers_dual(rows, n, p):
    """Whether the kernel of n rows, so many of them of positive weight, serves better than X'X: where hardly more rows
    than columns are left, leverages are too near 1 for what X'X has kept of them."""
    return rows <= 1.1 * p + 10 and n <= max(2000, 2 * p)


def damped_lengths(norms, least):
    """(columns with a length, lengths of all with rows for the penalty `least` below them; 0 where there is none)."""
    lengths = np.where(norms > 0, np.hypot(norms, np.sqrt(least)), 0)
    return np.flatnonzero(lengths), lengths


def of_sums(gram, xy, norms, scale, least, *others):
    """PrimalSpectrum by rotations of a Cholesky factor, which knows of no scales of columns.

    Parameters
    ----------
    gram, xy : ndarray of shape (p, p), (n_targets, p)
        Centred and weighted X'X and X'Y as rows.
    norms, scale : ndarray of shape (p,)
        Of the columns of X, and what they are multiplied by.
    least : float
        Smallest alpha (times unit).
    others
        means, y_means, unit, fit_intercept of Spectrum.

    Returns
    -------
    PrimalSpectrum, or None where columns depend on each other too much for X'X.
    """
    alive, lengths = damped_lengths(norms * scale, least)
    if len(alive) == 0:
        return None
    inverse = scale[alive] / lengths[alive]
    scaled = gram[np.ix_(alive, alive)]
    scaled *= inverse
    scaled *= inverse[:, None]
    scaled[np.diag_indices_from(scaled)] = 1
    R, failed = scipy.linalg.lapack.dpotrf(scaled, lower=0, clean=1)
    if failed or np.diag(R).min() ** 2 < 1 / SPREAD:
        return None
    of_targets = scipy.linalg.solve_triangular(R, (xy[:, alive] * inverse).T, trans="T")
    return PrimalSpectrum.of_triangle(np.hstack([R, of_targets]), scale, lengths, least, *others)


def triangle(blocks):
    """R of the QR decomposition of blocks of rows, one below the other."""
    R = None
    for block in blocks:
        R = np.linalg.qr(block if R is None else np.vstack([R, block]), mode="r")
    return R
