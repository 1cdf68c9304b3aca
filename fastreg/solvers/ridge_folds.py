"""Ridge regression on the training sets of a cross-validation, at every alpha, and its errors on the test sets.

Few columns: X is read once, sums over parts of its rows give X'X of every training set and squared errors on every test
set (``KnownFolds``). Few rows: one kernel serves all folds, centred for each. Otherwise each fold has a decomposition
of its own or, where X is sparse and has many rows and columns, a Krylov space of its own.
"""
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastreg.design import as_design, canonical_sparse
from fastreg.finite import check_finite
from fastreg.kernels.gram import kernel_of
from fastreg.kernels.krylov import column_moments, lanczos
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import ROWS_AT_ONCE
from fastreg.solvers.decompose import Problem, column_scale, of_sums, prefers_dual
from fastreg.solvers.folds import KnownFolds, parts_of
from fastreg.solvers.grams import HIGH, MOST_DENSE, raw_kernel, sparse_kernel
from fastreg.solvers.ridge import solve_ridge
from fastreg.solvers.spectral_certificate import certify
from fastreg.solvers.spectrum import DualSpectrum, PrimalSpectrum

# Columns of sparse X up to which sums of products of all its columns pay in a cross-validation.
FEW_COLUMNS = 2000
# Rows of sparse X up to which one kernel pays.
FEW_ROWS = 2000
# Steps of the Lanczos process between looks at its residual; most of them, and most iterations of a fit.
STEPS_AT_ONCE, MOST_STEPS = 16, 5000
# Relative residuals of normal equations: of scores, of fits.
KRYLOV_TOL, CG_TOL = 1e-6, 1e-10
# Alphas that conjugate gradients work on at the same time.
AT_ONCE = 8
# Shares of a column's sum of squares that its spread must be, and of the squares of its parts that a squared error must
# be, for sums over parts of the rows to have the digits.
LEAST_SPREAD, LEAST_ERROR = 1e-6, 1e-9


@dataclass
class RidgeFit:
    """Coefficients at the chosen penalty, of all rows, and effective degrees of freedom."""

    coef: np.ndarray         # (n_targets, p)
    intercept: np.ndarray    # (n_targets,)
    df: np.ndarray
    residual: np.ndarray     # (n_targets,), norms of half the gradients, from X itself
    bound: np.ndarray        # (n_targets,), of the distance of coef from the solution
    lost: bool               # whether digits were lost to rounding


class _Folds:
    """What the ways to fit and judge the folds share.

    Parameters
    ----------
    X : ndarray or scipy sparse, shape (n, p)
    Y : ndarray of shape (n, n_targets)
    folds : list of fastreg.solvers.folds.Fold
    weight : ndarray of shape (n,) or None
        Raw sample weights, of training and of test rows.
    fit_intercept : bool
    factor : float or ndarray of shape (p,)
    standardize : bool
    n_threads : int
        Of each fold.
    """

    def __init__(self, X, Y, folds, weight, fit_intercept, factor, standardize, n_threads):
        self.X, self.Y, self.folds, self.weight = X, Y, folds, weight
        self.fit_intercept, self.factor, self.standardize, self.n_threads = (
            fit_intercept, factor, standardize, n_threads)
        self.converged, self.doubtful = True, False

    def training_weight(self, f):
        """Raw weights of the rows of training set f; None as f is all rows."""
        ones = np.ones(len(self.Y)) if self.weight is None else self.weight
        return ones if f is None else ones * self.folds[f].counts

    def fit(self, f, alphas):
        """Coefficients (n_alphas, n_targets, p) and intercepts (n_alphas, n_targets) of training set f."""
        spectrum = self.spectrum(f, alphas)
        coefs = spectrum.coefs(alphas)
        return coefs, spectrum.intercepts(coefs)

    def errors(self, f, alphas):
        """Mean squared errors on test set f: shape (n_alphas, n_targets)."""
        spectrum = _Folds.spectrum(self, f, alphas)
        return self.errors_of(f, spectrum.coefs(alphas), spectrum.y_means, spectrum.means)

    def errors_of(self, f, coefs, levels, means=None):
        """The same of fits ``levels + (x - means) w``, a block of test rows at a time; means may be None (of zeros)."""
        test, shape = self.folds[f].test, coefs.shape[:2]
        flat, total, of_all = coefs.reshape(-1, coefs.shape[-1]).T, np.zeros(shape), 0.0
        levels = np.broadcast_to(levels, shape)
        if means is not None and sp.issparse(self.X):
            levels, means = levels - coefs @ means, None
        for i in range(0, len(test), ROWS_AT_ONCE):
            rows = test[i:i + ROWS_AT_ONCE]
            some = self.X[rows] if means is None else self.X[rows] - means
            error = (some @ flat).reshape(len(rows), *shape) + levels - self.Y[rows, None]
            weight = np.ones(len(rows)) if self.weight is None else self.weight[rows]
            total += (weight @ error.reshape(len(rows), -1) ** 2).reshape(shape)
            of_all += weight.sum()
        return total / of_all

    def refit(self, alphas, at):
        """RidgeFit of all rows at alphas[at]; degrees of freedom at all of them."""
        problem, here = self.problem(None), np.full(self.Y.shape[1], alphas[at])
        for accurate in (False, True):
            spectrum = problem.spectrum(alphas, self.factor, self.standardize, accurate)
            fit = self.certified(problem, spectrum, spectrum.coefs_at(here), here, spectrum.df(alphas))
            if not fit.lost or spectrum.accurate:
                break
        return fit

    def certified(self, problem, spectrum, coef, alphas, df):
        """RidgeFit of these coefficients."""
        found = certify(problem, spectrum, coef, alphas)
        return RidgeFit(coef, problem.y_means - coef @ problem.design.means, df, found.residual, found.bound,
                        found.lost)

    def spectrum(self, f, alphas):
        """The Spectrum of training set f."""
        spectrum = self.problem(f).spectrum(alphas, self.factor, self.standardize)
        self.doubtful |= spectrum.doubtful
        return spectrum

    def problem(self, f):
        """Training set f, or all rows."""
        return Problem(self.X, self.Y, self.training_weight(f), self.fit_intercept, self.n_threads)


class _SummedFolds(_Folds):
    """From sums over parts of the rows."""

    def __init__(self, part, counts, *rest, n_jobs):
        super().__init__(*rest)
        self.known = KnownFolds(self.X, self.Y, self.weight, self.fit_intercept, part, counts[:, ::2],
                                counts[:, 1::2], self.n_threads * n_jobs)

    def loses_digits(self):
        """Whether a column of sparse X, of which nothing was subtracted, has too high a level for its sums."""
        if not sp.issparse(self.X) or not self.fit_intercept:
            return False
        sums, p = self.known.sums.sum(axis=0), self.X.shape[1]
        squares = np.diag(sums)[:p]
        return bool(np.any((squares - sums[:p, -1] ** 2 / sums[-1, -1] <= HIGH * squares) & (squares > 0)))

    def summed(self, counts, alphas):
        """(Spectrum of a union of parts or None where sums over them cost digits, its Moments, scale of its columns)"""
        moments = self.known.moments(counts)
        check_finite(self.X, moments.norms)
        scale = column_scale(self.factor, moments.norms, len(self.Y), self.standardize)
        weight, y_means = self.known.weight_and_levels(counts)
        unit, p = len(self.Y) / weight, self.X.shape[1]
        raw = np.einsum("g,gj->j", counts.astype(np.float64), np.einsum("gjj->gj", self.known.sums)[:, :p]) * unit
        if np.any((np.diag(moments.gram) < LEAST_SPREAD * raw) & (moments.norms > 0)):
            return None, moments, scale
        least, rest = unit * alphas.min(), (moments.means, y_means, unit, self.fit_intercept)
        found = PrimalSpectrum.of_gram(moments.gram, moments.xy, scale, least, *rest)
        if found is None:
            found = of_sums(moments.gram, moments.xy, moments.norms, scale, least, *rest)
        return found, moments, scale

    def spectrum(self, f, alphas):
        return self.summed(self.known.train[:, f], alphas)[0] or super().spectrum(f, alphas)

    def refit(self, alphas, at):
        spectrum, moments, scale = self.summed(np.ones(len(self.known.train)), alphas)
        if spectrum is None:
            return super().refit(alphas, at)
        problem, here = self.problem(None), np.full(self.Y.shape[1], alphas[at])
        problem.take(moments, scale)
        fit = self.certified(problem, spectrum, spectrum.coefs_at(here), here, spectrum.df(alphas))
        return super().refit(alphas, at) if fit.lost else fit

    def errors(self, f, alphas):
        spectrum, of_test = self.spectrum(f, alphas), self.known.test[:, f]
        coefs = spectrum.coefs(alphas)
        intercepts = spectrum.intercepts(coefs)
        found = np.stack([self.known.target(t).mean_products(of_test, coefs[:, t].T, intercepts[:, t], 1)[0, 0]
                          for t in range(self.Y.shape[1])], axis=1)
        squares = np.einsum("g,gjj->j", of_test.astype(np.float64), self.known.sums)
        shift = np.abs(self.known.shift) + np.sqrt(squares[:len(self.known.shift)] / squares[-1])
        if spectrum.accurate or np.any(found <= LEAST_ERROR * (np.abs(coefs) @ shift) ** 2):
            return self.errors_of(f, coefs, spectrum.y_means, spectrum.means)
        return found


class _KernelFolds(_Folds):
    """From one kernel of all rows about the means of all, centred anew for each training set."""

    def __init__(self, *rest):
        super().__init__(*rest)
        self.design = as_design(self.X, None, self.fit_intercept, self.n_threads)
        column_moments(self.design, np.zeros((1, len(self.Y))))
        check_finite(self.X, self.design.norms)
        self.scale = column_scale(self.factor, self.design.norms, len(self.Y), False)
        plain = bool(np.all(self.scale == 1))
        self.kernel = raw_kernel(self.design, self.fit_intercept)[0] if plain else None
        if sp.issparse(self.X):
            self.kernel = sparse_kernel(self.X, self.design, self.scale**2, None, self.fit_intercept, self.n_threads)
        elif self.kernel is None:
            self.kernel = kernel_of(self.design, None if plain else self.scale**2)

    def _dual(self, f, alphas):
        """(DualSpectrum of training set f or None, roots of its weights, kernel of all rows less its mean)."""
        weight = self.training_weight(f)
        rows = np.flatnonzero(weight)
        weight, Y = weight[rows], self.Y[rows]
        y_means = np.average(Y, axis=0, weights=weight) if self.fit_intercept else np.zeros(Y.shape[1])
        of_rows = self.kernel[:, rows]
        if self.fit_intercept:
            share = weight / weight.sum()
            level = of_rows @ share
            of_rows -= level[:, None]
            of_rows -= of_rows[rows].T @ share
        root = np.sqrt(weight)
        targets = np.ascontiguousarray(((Y - y_means) * root[:, None]).T)
        top = np.diag(self.kernel).max() * weight.max()
        spectrum = DualSpectrum.of_kernel(of_rows[rows] * root[:, None] * root, len(rows), top, targets, root, None,
                                          alphas.min(), np.zeros(0), y_means, 1.0, self.fit_intercept)
        return spectrum, root, of_rows

    def errors(self, f, alphas):
        spectrum, root, of_rows = self._dual(f, alphas)
        if spectrum is None:
            return super().errors(f, alphas)
        test = self.folds[f].test
        dual = spectrum.dual(alphas) * root
        weight = None if self.weight is None else self.weight[test]
        fits = of_rows[test] @ dual.reshape(-1, len(root)).T
        error = fits.reshape(len(test), *dual.shape[:2]) + spectrum.y_means - self.Y[test, None]
        return np.average(error**2, axis=0, weights=weight)


class _KrylovFolds(_Folds):
    """By products with sparse X alone.

    The Lanczos process on X'X, begun at X'y, gives every multiple of the identity at once, and the errors on the test
    rows, which it carries along with weight zero. Where columns are penalised unequally, and where coefficients are
    asked for, conjugate gradients."""

    def errors(self, f, alphas):
        if np.ndim(self.factor) or self.standardize or np.isinf(self.factor):
            return self.errors_of(f, *self.fit(f, alphas))
        problem = self.problem(f)
        test, shift = self.folds[f].test, problem.unit * self.factor * alphas
        weight = None if self.weight is None else self.weight[test]
        xy = column_moments(problem.design, problem.targets * problem.root)
        check_finite(self.X, problem.design.norms)
        errors = []
        for t, mean in enumerate(problem.y_means):
            fits, residual = krylov_predictions(problem.design, xy[t], shift, test)
            self.converged &= bool(residual <= KRYLOV_TOL)
            errors.append(np.average((fits + mean - self.Y[test, t][:, None]) ** 2, axis=0, weights=weight))
        return np.stack(errors, axis=1)

    def fit(self, f, alphas):
        penalty = Penalty(0.0, self.factor, standardize=self.standardize)
        n_targets = self.Y.shape[1]
        coefs, intercepts = np.empty((len(alphas), n_targets, self.X.shape[1])), np.empty((len(alphas), n_targets))
        for a in range(0, len(alphas), AT_ONCE):
            here = alphas[a:a + AT_ONCE]
            found = solve_ridge(self.X, np.tile(self.Y, len(here)), np.repeat(here, n_targets), penalty,
                                weight=self.training_weight(f), fit_intercept=self.fit_intercept, tol=CG_TOL,
                                max_iter=MOST_STEPS, n_threads=self.n_threads)
            coefs[a:a + AT_ONCE] = found.coef.reshape(len(here), n_targets, -1)
            intercepts[a:a + AT_ONCE] = found.intercept.reshape(len(here), n_targets)
            self.converged &= found.converged
        return coefs, intercepts

    def refit(self, alphas, at):
        problem = self.problem(None)
        problem.measure(self.factor, self.standardize)
        fit = self.certified(problem, None, self.fit(None, alphas[at:at + 1])[0][0],
                             np.full(self.Y.shape[1], alphas[at]), np.full(len(alphas), np.nan))
        fit.lost = False                  # conjugate gradients say themselves whether they converged
        return fit


def krylov_predictions(design, b, shift, rows):
    """Predictions (less the intercept) on some rows of ``(X'SX + shift I) w = b`` for every shift, (n_rows, n_shifts),
    and the relative residual at the smallest shift.

    One Krylov space serves all shifts: it grows until the residual at the smallest, which is the slowest, is below
    KRYLOV_TOL of b."""
    size = np.linalg.norm(b)
    if size == 0:
        return np.zeros((len(rows), len(shift))), 0.0
    Z = np.empty((STEPS_AT_ONCE, design.n))
    seen, diagonal, beside, state = [], np.empty(0), np.empty(0), None
    while True:
        more, next_to, state = lanczos(design, b, STEPS_AT_ONCE, Z, state)
        seen.append(Z[:len(more), rows])
        diagonal, beside = np.append(diagonal, more), np.append(beside, next_to)
        least = max(shift.min(), 1e-13 * diagonal.max())
        residual = beside[-1] * abs(_tridiagonal_solution(diagonal, beside, least)[-1])
        if residual <= KRYLOV_TOL or len(more) < STEPS_AT_ONCE or len(diagonal) >= MOST_STEPS:
            break
    combination = np.stack([_tridiagonal_solution(diagonal, beside, max(s, least)) for s in shift], axis=1)
    complete = len(more) < STEPS_AT_ONCE
    return np.concatenate(seen).T @ (size * combination), 0.0 if complete else residual


def _tridiagonal_solution(diagonal, beside, shift):
    """(T + shift I)^-1 e_1."""
    first = np.zeros(len(diagonal))
    first[0] = 1
    return scipy.linalg.solveh_banded(np.stack([np.append(0, beside[:-1]), diagonal + shift]), first)


def fold_fits(X, Y, folds, *, weight, fit_intercept, factor, standardize, n_threads, n_jobs):
    """The object that fits and judges the folds, chosen by shape and storage; arguments as for _Folds.

    It does not depend on `n_jobs`, the number of folds that will be asked for at the same time."""
    X = canonical_sparse(X) if sp.issparse(X) else X
    n, p = X.shape
    rest = X, Y, folds, weight, fit_intercept, factor, standardize, max(1, n_threads // n_jobs)
    least = min(np.count_nonzero(fold.counts if weight is None else fold.counts * weight) for fold in folds)
    if not prefers_dual(least, n, p) and (p <= FEW_COLUMNS or not sp.issparse(X)):
        part, counts = parts_of([c for f in folds for c in (f.counts, np.bincount(f.test, minlength=n))], n)
        room = 2**31 if sp.issparse(X) else 2 * X.nbytes + 2**28
        if part is not None and 8 * len(counts) * (p + Y.shape[1] + 1) ** 2 <= room:
            fits = _SummedFolds(part, counts, *rest, n_jobs=n_jobs)
            return _Folds(*rest) if fits.loses_digits() else fits
    if n <= (FEW_ROWS if sp.issparse(X) else MOST_DENSE) and n <= 2 * p and not standardize:
        return _KernelFolds(*rest)
    if sp.issparse(X) and p > FEW_COLUMNS:
        return _KrylovFolds(*rest)
    return _Folds(*rest)
