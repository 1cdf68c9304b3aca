"""One decomposition of ridge regression: every alpha and target, degrees of freedom and leave-one-out errors.

A is X centred where an intercept is fitted, its rows scaled by sqrt(weight) and its columns by what the penalty asks
for, on the fly. The primal form decomposes A'A (p x p), the dual one the kernel AA' (n x n). Leave-one-out is the
identity ``y_i - x_i w_(-i) = (y_i - x_i w) / (1 - h_i)``.

Rounding in eigenvectors of A'A or AA' is relative to the largest eigenvalue: fits are off by ``EPS max(d) / (min(d) +
alpha)``. Where that is too much, ``decompose`` asks for Jacobi rotations, whose errors do not depend on the scales of
columns: of A itself, or of a triangle R with ``R'R = A'A + shift``, shift being the smallest alpha.
"""
import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastreg.design import as_design
from fastreg.kernels.loo import loo_sums
from fastreg.solvers.graded import graded_svd, jacobi
from fastreg.solvers.grams import EPS
from fastreg.solvers.interruptible import interruptible

# Largest ``max(d) / (min(d) + alpha)`` that eigenvectors are trusted with: fits then have 8 digits.
SPREAD = 1e7
# Share of a row that its own leverage must leave: below it, the row is left out by a fit of the others.
LEAST_ROOM = 1e-6
# Factor that a step of refinement must take from the error of coefficients for three of them to be enough.
LEAST_GAIN = 1e-3


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
        Eigenvalues d plus `shift`, of the directions in which X has variance.
    scores : ndarray of shape (n_targets, k)
        Targets in the basis of the left singular vectors, times ``sqrt(d / values)``.
    means, y_means : ndarray of shape (p,), (n_targets,)
    unit : float
        What alphas are multiplied by, weights being normalised.
    fit_intercept : bool
    shift : float
        At most the smallest alpha (times unit).
    """

    shift = 0.0
    accurate = False     # whether what comes after an eigendecomposition was done
    doubtful = False     # whether even that has not the digits

    def __init__(self, values, scores, means, y_means, unit, fit_intercept):
        self.values, self.scores = values, scores
        self.means, self.y_means, self.unit, self.fit_intercept = means, y_means, unit, fit_intercept

    def damped(self, alphas):
        """d + alpha: shape (k, n_alphas)."""
        return self.values[:, None] + (self.unit * np.asarray(alphas) - self.shift)

    def shrinkage(self, alphas):
        """What scores are multiplied by, ``(d + shift) / (d + alpha)``: shape (k, n_alphas)."""
        return self.values[:, None] / self.damped(alphas)

    def lost(self, alphas):
        """Share of each direction that a fit leaves to the residuals, ``alpha / (d + alpha)``: (k, n_alphas)."""
        return self.unit * np.asarray(alphas) / self.damped(alphas)

    def df(self, alphas):
        """Effective degrees of freedom, the trace of the hat matrix, for every alpha."""
        return ((self.values - self.shift)[:, None] / self.damped(alphas)).sum(axis=0) + self.fit_intercept

    def freedom(self, alphas, rows):
        """Degrees of freedom that so many rows have left, a sum of positive terms: shape (n_alphas,)."""
        rows -= self.fit_intercept
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
        more = (self.shrinkage(least) / self.damped(alphas) * (self.unit * (alphas - least))
                * (self.lost(alphas) + self.lost(least)))
        return more.T @ (self.scores**2).T / self.unit + last

    def intercepts(self, coefs):
        """Intercepts that go with coefs of shape (..., n_targets, p)."""
        return self.y_means - coefs @ self.means

    def reach(self, alphas):
        """Norms of ``A (A'A + alpha)^-1`` or a little more: shape (n_alphas,)."""
        return (np.sqrt(self.values)[:, None] / self.damped(alphas)).max(axis=0, initial=0.0)

    def _in_units(self, sums, errors):
        return sums / self.unit, None if errors is None else errors / np.sqrt(self.unit)

    def coefs(self, alphas):
        """Coefficients of shape (n_alphas, n_targets, p)."""
        shape = len(alphas), len(self.scores)
        found = self._combine(np.repeat(self.unit * np.asarray(alphas, dtype=np.float64), shape[1]),
                              np.tile(np.arange(shape[1]), shape[0]))
        return found.reshape(*shape, len(self.means))

    def coefs_at(self, alphas):
        """Coefficients of shape (n_targets, p), each target at an alpha of its own."""
        return self._combine(self.unit * np.asarray(alphas, dtype=np.float64), np.arange(len(self.scores)))

    def coefs_without(self, alphas, parts):
        """(coefs_at(alphas), the same of fits without some rows), both (n_targets, p).

        Parameters
        ----------
        alphas : ndarray of shape (n_targets,)
        parts : list of tuple
            For each target, the rows to leave out, Z of `left_over` and the errors of the fit without them.
        """
        coef = self.coefs_at(alphas)
        return coef, coef - np.vstack([self.response(rows, Z, alpha, errors)
                                       for alpha, (rows, Z, errors) in zip(alphas, parts)])


class PrimalSpectrum(Spectrum):
    """From A'A of few columns.

    Parameters
    ----------
    values, scores
        Of Spectrum.
    basis : ndarray of shape (p, k)
        Coefficients are ``basis @ (shrinkage * scores)``.
    others
        means, y_means, unit, fit_intercept of Spectrum.
    """

    def __init__(self, values, scores, basis, *others):
        super().__init__(values, scores, *others)
        self.basis = basis

    @classmethod
    def of_gram(cls, gram, xy, scale, least, *others):
        """By eigenvectors.

        Parameters
        ----------
        gram : ndarray of shape (p, p)
            Centred and weighted X'X.
        xy : ndarray of shape (n_targets, p)
        scale : ndarray of shape (p,)
            From `column_scale`.
        least : float
            Smallest alpha (times unit).
        others
            means, y_means, unit, fit_intercept of Spectrum.

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
        if trusted(values, np.count_nonzero(alive), least):
            values = np.maximum(values, 0) + least
            seen = values > 0
            root, vectors = np.sqrt(values[seen]), vectors[:, seen]
            self = cls(values[seen], (xy * scale) @ vectors / root, scale[:, None] * vectors / root, *others)
            self.shift = least
            return self
        return None

    @classmethod
    def of_triangle(cls, triangle, scale, lengths, shift, *others):
        """By Jacobi rotations of R D, where R'R = D^-1 (A'A + shift) D^-1 and D holds the lengths of the columns.

        Parameters
        ----------
        triangle : ndarray of shape (p + n_targets, p + n_targets) or (p, p + n_targets)
            R, and beside it R^-T D^-1 A'y; of columns with a length.
        scale, lengths : ndarray of shape (n_features,)
            0 where a column is left out.
        shift : float
        others
            means, y_means, unit, fit_intercept of Spectrum.
        """
        alive = np.flatnonzero(lengths)
        p, basis = len(alive), None
        R, of_targets = triangle[:p, :p], triangle[:p, p:]
        left, singular, right = jacobi(R * lengths[alive])
        if shift > 0 or np.abs(np.diag(R)).min() > EPS * max(triangle.shape):
            back = scipy.linalg.solve_triangular(R, left)
        else:                       # columns depend on each other and nothing is penalised: the least norm
            seen = singular > EPS * max(triangle.shape) * singular[0]
            left, singular, right = left[:, seen], singular[seen], right[seen]
            back = right.T / singular * lengths[alive, None]
        basis = np.zeros((len(scale), len(singular)))
        basis[alive] = (scale[alive] / lengths[alive])[:, None] * back
        self = cls(singular**2, of_targets.T @ left, basis, *others)
        self.shift, self.accurate = shift, True
        return self

    def _combine(self, alphas, targets):
        share = self.values / (self.values + (alphas[:, None] - self.shift))
        return (share * self.scores[targets]) @ self.basis.T

    def left_over(self, problem, rows, alpha):
        """(Z, identity less the hat matrix of some rows, residuals (n_targets, m) of these rows) at alpha."""
        Z, root = problem.rows_of(rows) @ self.basis, problem.root[rows]
        shrinkage = self.shrinkage([alpha])[:, 0]
        left = np.eye(len(rows)) - (Z * shrinkage) @ Z.T
        if self.fit_intercept:
            left -= np.outer(root, root) / problem.design.n
        return Z, left, problem.targets[:, rows] - (self.scores * shrinkage) @ Z.T

    def response(self, rows, Z, alpha, errors):
        """Coefficients of a target that is `errors` on some rows, those of Z, and 0 elsewhere."""
        return (errors @ Z * self.shrinkage([alpha])[:, 0]) @ self.basis.T

    def leave_one_out(self, problem, alphas, keep=False, bound=LEAST_ROOM):
        """Leave-one-out errors ``sqrt(s_i) (y_i - x_i w_(-i) - b_(-i))``.

        Parameters
        ----------
        problem : Problem
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
        X, design, targets = problem.X, problem.design, problem.targets
        n, n_targets = design.n, len(targets)
        shrinkage = self.shrinkage(alphas)
        left, right = low_rank(shrinkage)
        W = np.ascontiguousarray([left.T, *(score * left.T for score in self.scores)])
        right = None if right is None else np.ascontiguousarray(right.T)
        V, least = np.ascontiguousarray(self.basis.T), int(np.argmin(alphas))
        own = np.ones(n) - (problem.root**2 / n if self.fit_intercept else 0)
        errors = np.empty((n_targets, n, len(alphas))) if keep else None
        if not sp.issparse(X):
            sums, room = loo_sums(design, design.means, V, W, right, targets, own, least, bound, errors)
            return *self._in_units(sums, errors), room
        sums, room = np.zeros((n_targets, len(alphas))), np.empty(n)
        nothing = np.zeros(len(self.values))
        for rows, Z in problem.row_blocks(V):
            block = as_design(Z, None, False, problem.n_threads)
            here = None if errors is None else np.empty((n_targets, len(Z), len(alphas)))
            more, room[rows] = loo_sums(block, nothing, None, W, right, np.ascontiguousarray(targets[:, rows]),
                                        own[rows], least, bound, here)
            sums += more
            if keep:
                errors[:, rows] = here
        return *self._in_units(sums, errors), room


class DualSpectrum(Spectrum):
    """From the kernel AA' of few rows.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Eigenvalues, not negative.
    vectors : ndarray of shape (n, m)
        All eigenvectors but that of the intercept.
    seen : ndarray of bool, shape (m,)
        Directions in which A may have variance.
    targets : ndarray of shape (n_targets, n)
        Centred and scaled by sqrt(weight).
    combine : callable
        Dual variables of shape (m, n) -> coefficients of shape (m, p).
    others
        means, y_means, unit, fit_intercept of Spectrum.
    """

    def __init__(self, values, vectors, seen, targets, combine, *others):
        self.all_values, self.all_vectors, self.all_scores = np.where(seen, values, 0), vectors, targets @ vectors
        super().__init__(values[seen], self.all_scores[:, seen], *others)
        self.vectors, self._of_dual = vectors[:, seen], combine

    @classmethod
    def of_kernel(cls, kernel, rows, level, targets, root, combine, least, *others):
        """By eigenvectors.

        Parameters
        ----------
        kernel : ndarray of shape (n, n)
            Centred, rows scaled by sqrt(weight); overwritten.
        rows : int
            How many have a weight.
        level : float
            Of the sums that the kernel was computed from, where centring took from them; else 0.
        targets : ndarray of shape (n_targets, n)
        root : ndarray of shape (n,)
            sqrt(weight).
        least : float
            Smallest alpha (times unit).
        combine, others
            As for DualSpectrum.

        Returns
        -------
        DualSpectrum, or None where eigenvectors would cost digits.
        """
        fit_intercept = others[-1]
        if fit_intercept:       # its direction, which centring empties, is moved above all others and left out
            top = 2 * np.linalg.norm(kernel) + np.finfo(float).tiny
            kernel += np.outer(top / (root @ root) * root, root)
        values, vectors = interruptible(np.linalg.eigh, kernel)
        if fit_intercept:
            values, vectors = values[:-1], vectors[:, :-1]
        if not trusted(values, rows - fit_intercept, least, level):
            return None
        # with a penalty, directions without variance may be mixtures with those of rows without weight: all count
        seen = np.arange(len(values)) >= (0 if least > 0 else len(values) - (rows - fit_intercept))
        seen &= values + least > 0
        return cls(np.maximum(values, 0), vectors, seen, targets, combine, *others)

    def kept(self, alphas):
        """Shares of all directions that fits leave to the residuals: shape (m, n_alphas)."""
        alphas, d = self.unit * np.asarray(alphas), self.all_values[:, None]
        return np.divide(alphas, d + alphas, out=np.ones((len(d), len(alphas))), where=d + alphas > 0)

    def residuals(self, alphas, last):
        """As for Spectrum, without `last`: of nearly interpolated targets it is rounding."""
        return (self.kept(alphas) ** 2).T @ (self.all_scores**2).T / self.unit

    def dual(self, alphas):
        """Dual variables of shape (n_alphas, n_targets, n): coefficients are A' times them."""
        share = 1 / self.damped(alphas).T
        return (share[:, None] * self.scores) @ self.vectors.T

    def _combine(self, alphas, targets):
        return self._of_dual((self.scores[targets] / (self.values + alphas[:, None])) @ self.vectors.T)

    def left_over(self, problem, rows, alpha):
        """As for PrimalSpectrum, a sum of positive terms."""
        kept, every = self.kept([alpha])[:, 0], self.all_vectors[rows]
        return self.vectors[rows], (every * kept) @ every.T, (self.all_scores * kept) @ every.T

    def coefs_without(self, alphas, parts):
        """As for Spectrum; X is read once for both."""
        damped = self.values + self.unit * np.asarray(alphas)[:, None]
        out = np.stack([errors @ Z for _, Z, errors in parts])
        both = self._of_dual(np.vstack([self.scores, self.scores - out]) / np.tile(damped, (2, 1)) @ self.vectors.T)
        return both[:len(alphas)], both[len(alphas):]

    def leave_one_out(self, problem, alphas, keep=False, bound=LEAST_ROOM):
        """As for PrimalSpectrum."""
        kept = self.kept(alphas)
        room = self.all_vectors**2 @ kept
        # of what the freest direction has: where all are nearly interpolated, errors are quotients of small numbers
        share = (room / kept.max(axis=0, initial=np.finfo(float).tiny)).min(axis=1)
        room[share < bound] = np.inf
        n_targets = len(self.scores)
        sums, errors = np.empty((n_targets, len(alphas))), np.empty((n_targets * keep, *room.shape))
        for t, score in enumerate(self.all_scores):
            found = self.all_vectors @ (score[:, None] * kept) / room
            sums[t] = np.einsum("ia,ia->a", found, found)
            if keep:
                errors[t] = found
        return *self._in_units(sums, errors if keep else None), share


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
    """

    accurate = True
    steps = 1

    def __init__(self, columns, spread, fitted, targets, root, *others):
        U, self.singular, self.right = graded_svd(columns, root if others[-1] else None)
        values = np.zeros(U.shape[1])
        values[:len(self.singular)] = self.singular**2
        super().__init__(values, U, values > 0, targets, None, *others)
        self.spread, self.fitted, self.targets = spread, fitted, targets

    def _combine(self, alphas, targets):
        out = np.empty((len(alphas), len(self.means)))
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
        """As for PrimalSpectrum."""
        targets = np.zeros((1, len(self.all_vectors)))
        targets[:, rows] = errors
        return self._solved(np.array([[self.unit * alpha]]), targets, (errors @ Z)[None])


class RotatedSpectrum(RefinedSpectrum):
    """From the triangle R of a QR decomposition Q R of A': ridge regression on the few columns of R' = A Q.

    Q is not kept: its columns are combinations of some rows of A, by a triangle again.

    Parameters
    ----------
    triangle : ndarray of shape (n, n) or with fewer rows
    least : float
        Smallest alpha (times unit).
    combine : callable
        Dual variables of shape (m, n) -> coefficients of shape (m, p).
    others
        fitted, targets, root of RefinedSpectrum, means, y_means, unit, fit_intercept of Spectrum.
    """

    steps = 3            # of coefficients that are rounded as sums over rows

    def __init__(self, triangle, least, combine, *others):
        _, R, order = scipy.linalg.qr(triangle, mode="economic", pivoting=True)
        pivots, n = np.abs(np.diag(R)), triangle.shape[1]
        count = int(np.count_nonzero(pivots > EPS * n * pivots.max(initial=0.0)))
        columns = np.empty((n, count))
        columns[order] = R[:count].T

        def spread(rotated):
            dual = np.zeros((len(rotated), n))
            dual[:, order[:count]] = scipy.linalg.solve_triangular(R[:count, :count], rotated.T).T
            return combine(dual)

        super().__init__(columns, spread, *others)
        # singular values are right against the largest: refinement makes good for that up to a point
        smallest = np.sqrt(self.values.min(initial=np.inf) + least)
        self.doubtful = bool(EPS * self.singular.max(initial=0.0) > LEAST_GAIN * smallest)


def trusted(values, count, least, level=0.0):
    """Whether eigenvectors of a matrix with these eigenvalues, `count` of which belong to its range, keep the digits of
    ridge regression at alphas not below `least`."""
    if count <= 0 or values.max(initial=0.0) <= 0:
        return True
    smallest = np.sort(values)[-count] if count <= len(values) else 0.0
    return max(values.max(), level) <= SPREAD * (max(smallest, 0.0) + least)
