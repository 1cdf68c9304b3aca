"""One eigendecomposition of ridge regression: every alpha and target, degrees of freedom and leave-one-out errors.

The primal form decomposes X'X (p x p), the dual one the kernel XX' (n x n); X is centred where an intercept is fitted,
its rows scaled by sqrt(weight) and its columns by what the penalty asks for, on the fly. Everything about leave-one-out
is exact: it is the identity ``y_i - x_i w_(-i) = (y_i - x_i w) / (1 - h_i)``.
"""
import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastreg.design import as_design, canonical_sparse, effective_threads
from fastreg.kernels.gram import gram_of, kernel_of
from fastreg.kernels.krylov import column_moments, correlate
from fastreg.kernels.loo import loo_sums
from fastreg.solvers.grams import EPS, MOST_DENSE, raw_kernel, sparse_gram, sparse_kernel
from fastreg.solvers.linear import centre_targets, check_finite, normalized_weight

# Bytes of a block of rows.
BLOCK = 2**25


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


class Spectrum:
    """Ridge regression of several targets at every alpha; of this, PrimalSpectrum and DualSpectrum are the two forms.

    Attributes
    ----------
    values : ndarray of shape (k,)
        Eigenvalues above rounding: nothing is penalised away along the others, where X has no variance.
    scores : ndarray of shape (n_targets, k)
        Targets in the basis of the left singular vectors.
    rest : ndarray of shape (n_targets,)
        Sums of squares of the targets outside it.
    means, y_means : ndarray of shape (p,), (n_targets,)
    unit : float
        What alphas are multiplied by, weights being normalised.
    fit_intercept : bool
    """

    def __init__(self, values, scores, rest, means, y_means, unit, fit_intercept):
        self.values, self.scores, self.rest = values, scores, rest
        self.means, self.y_means, self.unit, self.fit_intercept = means, y_means, unit, fit_intercept

    def shrinkage(self, alphas):
        """Share of each direction that a fit keeps, d / (d + alpha): shape (k, n_alphas)."""
        d = self.values[:, None]
        return d / (d + self.unit * np.asarray(alphas))

    def df(self, alphas):
        """Effective degrees of freedom, the trace of the hat matrix, for every alpha."""
        return self.shrinkage(alphas).sum(axis=0) + self.fit_intercept

    def residuals(self, alphas):
        """Weighted sums of squared residuals of shape (n_alphas, n_targets)."""
        lost = (1 - self.shrinkage(alphas)) ** 2
        return (lost.T @ (self.scores**2).T + self.rest) / self.unit

    def intercepts(self, coefs):
        """Intercepts that go with coefs of shape (..., n_targets, p)."""
        return self.y_means - coefs @ self.means

    def _in_units(self, sums, errors):
        return sums / self.unit, None if errors is None else errors / np.sqrt(self.unit)

    def coefs(self, alphas):
        """Coefficients of shape (n_alphas, n_targets, p)."""
        share = self.shrinkage(alphas) / np.sqrt(self.values)[:, None]
        shares = share.T[:, None] * self.scores
        return self._combine(shares.reshape(-1, len(self.values)) if shares.size else np.zeros(
            (len(alphas) * len(self.scores), 0))).reshape(len(alphas), len(self.scores), len(self.means))

    def coefs_at(self, alphas):
        """Coefficients of shape (n_targets, p), each target at an alpha of its own."""
        share = self.shrinkage(alphas) / np.sqrt(self.values)[:, None]
        return self._combine(share.T * self.scores)


class PrimalSpectrum(Spectrum):
    """From X'X of few columns.

    Parameters
    ----------
    gram : ndarray of shape (p, p)
        Centred and weighted; overwritten.
    xy : ndarray of shape (n_targets, p)
    squares : ndarray of shape (n_targets,)
        Sums of squares of the targets.
    scale : ndarray of shape (p,)
        From `column_scale`.
    rest
        means, y_means, unit, fit_intercept of Spectrum.
    """

    def __init__(self, gram, xy, squares, scale, *rest):
        gram *= scale[:, None]
        gram *= scale
        values, vectors = np.linalg.eigh(gram)
        seen = values > EPS * (16 + 4 * np.sqrt(len(values))) * values[-1]
        self._set(values[seen], vectors[:, seen], (xy * scale) @ vectors[:, seen] / np.sqrt(values[seen]), squares,
                  scale, rest)

    @classmethod
    def of_triangle(cls, triangle, squares, scale, *rest):
        """From the triangle of a QR decomposition of [X, Y'], its columns scaled: no digits are lost to X'X."""
        self = cls.__new__(cls)
        p = len(scale)
        left, singular, right = np.linalg.svd(triangle[:p, :p])
        seen = singular > EPS * max(triangle.shape) * singular[0]
        self._set(singular[seen] ** 2, right[seen].T, triangle[:p, p:].T @ left[:, seen], squares, scale, rest)
        return self

    def _set(self, values, vectors, scores, squares, scale, rest):
        super().__init__(values, scores, np.maximum(squares - np.einsum("tk,tk->t", scores, scores), 0), *rest)
        self.basis = scale[:, None] * vectors

    def _combine(self, shares):
        return shares @ self.basis.T

    def leave_one_out(self, problem, alphas, keep=False):
        """Leave-one-out errors ``sqrt(s_i) (y_i - x_i w_(-i) - b_(-i))``.

        Parameters
        ----------
        problem : Problem
            That this was made of.
        alphas : ndarray of shape (n_alphas,)
            Positive.
        keep : bool

        Returns
        -------
        sums : ndarray of shape (n_targets, n_alphas)
            Of their squares.
        errors : ndarray of shape (n_targets, n, n_alphas), or None without `keep`
        """
        X, design, targets = problem.X, problem.design, problem.targets
        n, n_targets = design.n, len(targets)
        if len(self.values) == 0:            # X is constant: as if along a direction of no variance
            none = PrimalSpectrum.__new__(PrimalSpectrum)
            Spectrum.__init__(none, np.full(1, np.finfo(float).tiny), np.zeros((n_targets, 1)), self.rest, self.means,
                              self.y_means, self.unit, self.fit_intercept)
            none.basis = np.zeros((design.p, 1))
            return none.leave_one_out(problem, alphas, keep)
        left, right = low_rank(self.shrinkage(alphas))
        W = np.ascontiguousarray([left.T, *(score * left.T for score in self.scores)])
        right = None if right is None else np.ascontiguousarray(right.T)
        V = np.ascontiguousarray((self.basis / np.sqrt(self.values)).T)
        own = np.ones(n) - (problem.root**2 / n if self.fit_intercept else 0)
        errors = np.empty((n_targets, n, len(alphas))) if keep else None
        if not sp.issparse(X):
            return self._in_units(loo_sums(design, design.means, V, W, right, targets, own, errors), errors)
        sums = np.zeros((n_targets, len(alphas)))
        nothing = np.zeros(len(self.values))
        for rows, Z in problem.row_blocks(V):
            block = as_design(Z, None, False, problem.n_threads)
            here = None if errors is None else np.empty((n_targets, len(Z), len(alphas)))
            sums += loo_sums(block, nothing, None, W, right, np.ascontiguousarray(targets[:, rows]), own[rows], here)
            if keep:
                errors[:, rows] = here
        return self._in_units(sums, errors)


class DualSpectrum(Spectrum):
    """From the kernel XX' of few rows.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        Centred, rows scaled by sqrt(weight); overwritten.
    targets : ndarray of shape (n_targets, n)
        Centred and scaled by sqrt(weight).
    root : ndarray of shape (n,)
        sqrt(weight).
    combine : callable
        Dual variables of shape (m, n) -> coefficients of shape (m, p).
    rest
        means, y_means, unit, fit_intercept of Spectrum.
    """

    def __init__(self, kernel, targets, root, combine, *rest):
        vectors, values = self._decompose(kernel, root, rest[-1])
        null = values <= EPS * (16 + 4 * np.sqrt(len(kernel))) * values.max(initial=0.0)
        self._set(np.where(null, 0, values), vectors, targets, combine, rest)

    @classmethod
    def of_triangle(cls, triangle, targets, root, combine, *rest):
        """From the triangle R of a QR decomposition of X', R'R being the kernel."""
        self = cls.__new__(cls)
        if rest[-1]:
            level = 2 * np.linalg.norm(triangle) + np.finfo(float).tiny
            triangle = np.vstack([triangle, level * root / np.linalg.norm(root)])
        _, some, right = np.linalg.svd(triangle)
        singular = np.zeros(len(right))
        singular[:len(some)] = some
        if rest[-1]:
            singular, right = singular[1:], right[1:]
        null = singular <= EPS * len(root) * singular.max(initial=0.0)
        self._set(np.where(null, 0, singular**2), right.T, targets, combine, rest)
        return self

    @staticmethod
    def _decompose(kernel, root, fit_intercept):
        """Eigenvectors but that of the intercept, which centring sends to zero among others that may be there: it is
        moved above all others, and left out."""
        if not fit_intercept:
            return np.linalg.eigh(kernel)[::-1]
        level = 2 * np.linalg.norm(kernel) + np.finfo(float).tiny
        kernel += np.outer(level / (root @ root) * root, root)
        values, vectors = np.linalg.eigh(kernel)
        return vectors[:, :-1], values[:-1]

    def _set(self, values, vectors, targets, combine, rest):
        self.all_values, self.all_vectors, self.all_scores = values, vectors, targets @ vectors
        seen = values > 0
        scores = self.all_scores
        super().__init__(values[seen], scores[:, seen], (scores[:, ~seen] ** 2).sum(axis=1), *rest)
        self.vectors, self._of_dual = vectors[:, seen], combine

    def dual(self, alphas):
        """Dual variables of shape (n_alphas, n_targets, n): coefficients are X' times them."""
        share = 1 / (self.values + self.unit * np.asarray(alphas)[:, None])
        return (share[:, None] * self.scores) @ self.vectors.T

    def _combine(self, shares):
        return self._of_dual((shares / np.sqrt(self.values)) @ self.vectors.T)

    def leave_one_out(self, problem, alphas, keep=False):
        """As for PrimalSpectrum."""
        kept = self.unit * np.asarray(alphas)
        kept = kept / (self.all_values[:, None] + kept)
        room = np.maximum(self.all_vectors**2 @ kept, 2 * EPS)
        n_targets = len(self.scores)
        sums, errors = np.empty((n_targets, len(alphas))), np.empty((n_targets * keep, *room.shape))
        for t, score in enumerate(self.all_scores):
            found = self.all_vectors @ (score[:, None] * kept) / room
            sums[t] = np.einsum("ia,ia->a", found, found)
            if keep:
                errors[t] = found
        return self._in_units(sums, errors if keep else None)


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
        self.X = canonical_sparse(X) if sp.issparse(X) else X
        self.fit_intercept, self.n_threads = fit_intercept, effective_threads(n_threads)
        self.unit = 1.0 if weight is None else n / np.sum(weight)
        self.rows = n if weight is None else np.count_nonzero(weight)
        self.weight = normalized_weight(weight, n)
        self.root = np.ones(n) if self.weight is None else np.sqrt(self.weight)
        self.targets, self.y_means = centre_targets(Y, self.weight, fit_intercept)
        self.design = as_design(self.X, self.weight, fit_intercept, self.n_threads)

    def spectrum(self, factor=1.0, standardize=False, accurate=False):
        """The decomposition in the cheaper form, or the one that keeps its digits.

        Parameters
        ----------
        factor : float or ndarray of shape (p,)
            Of the penalty, positive; inf excludes.
        standardize : bool
        accurate : bool
            By orthogonal transformations of X (dense), without forming X'X or XX': singular values far below the
            largest keep their digits.

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
            accurate = False
        return (self._dual if dual else self._primal)(factor, standardize, accurate)

    def _rest(self):
        return self.design.means.copy(), self.y_means, self.unit, self.fit_intercept

    def _primal(self, factor, standardize, accurate):
        n = self.design.n
        squares = np.einsum("ti,ti->t", self.targets, self.targets)
        if accurate:
            column_moments(self.design, self.targets * self.root)
        elif sp.issparse(self.X):
            Y = self.targets if self.weight is None else self.targets / np.where(self.root > 0, self.root, 1)
            gram, xy, means, norms = sparse_gram(self.X, Y, self.weight, self.fit_intercept, self.n_threads)
            self.design.means[:], self.design.norms[:] = means, norms
        else:
            gram, xy = gram_of(self.design, self.targets)
        check_finite(self.X, self.design.norms)
        scale = column_scale(factor, self.design.norms, n, standardize)
        if not accurate:
            return PrimalSpectrum(gram, xy, squares, scale, *self._rest())
        step = max(256, 4 * len(scale))
        blocks = (np.hstack([(self.X[i:i + step] - self.design.means) * self.root[i:i + step, None] * scale,
                             self.targets[:, i:i + step].T]) for i in range(0, n, step))
        return PrimalSpectrum.of_triangle(triangle(blocks), squares, scale, *self._rest())

    def _dual(self, factor, standardize, accurate):
        n, p = self.X.shape
        column_moments(self.design, self.targets * self.root)
        check_finite(self.X, self.design.norms)
        scale = column_scale(factor, self.design.norms, n, standardize)
        rest = self.targets, self.root, self._combiner(scale), *self._rest()
        if accurate:
            step = max(256, 4 * n)
            blocks = (((self.X[:, j:j + step] - self.design.means[j:j + step]) * scale[j:j + step]).T * self.root
                      for j in range(0, p, step))
            return DualSpectrum.of_triangle(triangle(blocks), *rest)
        if sp.issparse(self.X):
            kernel = sparse_kernel(self.X, self.design, scale**2, self.weight, self.fit_intercept, self.n_threads)
        else:
            kernel, plain = None, bool(np.all(scale == 1))
            if plain and self.weight is None:
                kernel, _ = raw_kernel(self.design, self.fit_intercept)
            if kernel is None:
                kernel = kernel_of(self.design, None if plain else scale**2)
        return DualSpectrum(kernel, *rest)

    def _combiner(self, scale):
        def combine(dual):
            out = np.empty((len(dual), len(scale)))
            for k in range(0, len(dual), 16):
                out[k:k + 16] = correlate(self.design, dual[k:k + 16] * self.root)
            out *= scale**2
            return out
        return combine

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


def triangle(blocks):
    """R of the QR decomposition of blocks of rows, one below the other."""
    R = None
    for block in blocks:
        R = np.linalg.qr(block if R is None else np.vstack([R, block]), mode="r")
    return R
