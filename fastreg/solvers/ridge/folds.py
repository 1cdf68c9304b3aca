"""Ridge regression on the training sets of a cross-validation, at every alpha, and its errors on the test sets.

Few columns: X is read once, sums over parts of its rows give X'X of every training set and squared errors on every test
set (``KnownFolds``). Few rows: one kernel serves all folds, centred for each. Otherwise each fold has a decomposition
of its own or, where X is sparse and has many rows and columns, a Krylov space of its own.
"""
from dataclasses import replace

import numpy as np
import scipy.linalg

from fastreg.finite import check_finite
from fastreg.kernels.krylov import lanczos
from fastreg.problem import ROWS_AT_ONCE
from fastreg.solvers.folds import KnownFolds, parts_of
from fastreg.solvers.ridge.certificate import certify
from fastreg.solvers.ridge.choose import solve
from fastreg.solvers.ridge.decompose import decompose, decompositions, of_sums, prefers_dual
from fastreg.solvers.ridge.dual_spectrum import spectrum_of_kernel
from fastreg.solvers.ridge.grams import HIGH, MOST_DENSE, kernel, raw_kernel
from fastreg.solvers.ridge.leave_one_out import loses_digits
from fastreg.solvers.ridge.problem import Level
from fastreg.solvers.ridge.solution import BY_ROUNDING, CERTIFIED
from fastreg.solvers.ridge.spectrum import spectrum_of_gram
from fastreg.weights import Weights

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


class DecomposedFolds:
    """Each fold by a decomposition of its own.

    Alphas are as those `given` to the problem, coefficients for its targets.

    Parameters
    ----------
    problem : RidgeProblem
        Of all rows, its alphas those of the path.
    folds : list of fastreg.solvers.folds.Fold
    """

    def __init__(self, problem, folds):
        self.problem, self.folds = problem, folds
        self.converged, self.doubtful = True, False

    def fit(self, f, alphas):
        """Coefficients (n_alphas, n_targets, p) and intercepts (n_alphas, n_targets) of training set f."""
        training = self.training(f, alphas)
        spectrum = self.spectrum(f, training)
        coefs = spectrum.coefs(training.alphas)
        return coefs, spectrum.level.intercepts(coefs)

    def errors(self, f):
        """Mean squared errors on test set f at every alpha: shape (n_alphas, n_targets)."""
        training = self.training(f)
        spectrum = self.decomposed(training)
        return self.errors_of(f, spectrum.coefs(training.alphas), spectrum.level.y_means, spectrum.level.means)

    def errors_of(self, f, coefs, levels, means=None):
        """Mean squared errors on test set f of fits ``levels + (x - means) w``, a block of test rows at a time; means
        may be None (of zeros)."""
        X, Y, test, shape = self.problem.X, self.problem.Y, self.folds[f].test, coefs.shape[:2]
        flat, total, of_all = coefs.reshape(-1, coefs.shape[-1]).T, np.zeros(shape), 0.0
        levels = np.broadcast_to(levels, shape)
        if means is not None and self.problem.sparse:
            levels, means = levels - coefs @ means, None
        for i in range(0, len(test), ROWS_AT_ONCE):
            rows = test[i:i + ROWS_AT_ONCE]
            some = X[rows] if means is None else X[rows] - means
            error = (some @ flat).reshape(len(rows), *shape) + levels - Y[rows, None]
            weight = self.problem.weights.each[rows]
            total += (weight @ error.reshape(len(rows), -1) ** 2).reshape(shape)
            of_all += weight.sum()
        return total / of_all

    def refit(self, at):
        """RidgeSolution of all rows at alpha number `at`; degrees of freedom at all of them."""
        problem = self.problem
        chosen = self.chosen(at)
        for spectrum in decompositions(problem):
            found = self.certified(chosen, spectrum.coefs_at(chosen.alphas), spectrum.least_variance(problem),
                                   spectrum.df(problem.alphas))
            if not found.lost:
                break
        return found

    def chosen(self, at):
        """All rows at this alpha."""
        return self.problem.at(np.full(self.problem.Y.shape[1], self.problem.given[at]))

    def certified(self, chosen, coef, least, df):
        """RidgeSolution of these coefficients."""
        certificate = certify(chosen, coef, least)
        stopped = np.where(loses_digits(coef, certificate), BY_ROUNDING, CERTIFIED)
        return chosen.solution(coef, chosen.design.means, "decomposition", certificate.bound, stopped=stopped, df=df)

    def training(self, f, alphas=None):
        """RidgeProblem of training set f, at some alphas."""
        return self.problem.fold(self.folds[f].counts, alphas)

    def spectrum(self, f, training):
        """The Spectrum of training set f."""
        return self.decomposed(training)

    def decomposed(self, training):
        """The Spectrum of a training set by a reading of it."""
        spectrum = decompose(training)
        self.doubtful |= spectrum.doubtful
        return spectrum


class SummedFolds(DecomposedFolds):
    """From sums over parts of the rows.

    Parameters
    ----------
    problem, folds
        Of DecomposedFolds.
    known : KnownFolds
        The sums.
    """

    def __init__(self, problem, folds, known):
        super().__init__(problem, folds)
        self.known = known

    def loses_digits(self):
        """Whether a column of sparse X, of which nothing was subtracted, has too high a level for its sums."""
        if not self.problem.sparse or not self.problem.fit_intercept:
            return False
        sums, p = self.known.sums.sum(axis=0), self.problem.p
        squares = np.diag(sums)[:p]
        return bool(np.any((squares - sums[:p, -1] ** 2 / sums[-1, -1] <= HIGH * squares) & (squares > 0)))

    def summed(self, counts, alphas):
        """(Spectrum of a union of parts or None where sums over them cost digits, its Moments); `alphas` are those of
        its problem."""
        problem, moments = self.problem, self.known.moments(counts)
        check_finite(problem.X, moments.norms)
        weight, y_means = self.known.weight_and_levels(counts)
        raw = np.einsum("g,gj->j", counts.astype(np.float64), np.einsum("gjj->gj", self.known.sums)[:, :problem.p])
        raw *= problem.n / weight
        if np.any((np.diag(moments.gram) < LEAST_SPREAD * raw) & (moments.norms > 0)):
            return None, moments
        scale, level = problem.column_scale(moments.norms), Level(moments.means, y_means, problem.fit_intercept)
        least = np.min(alphas)
        found = spectrum_of_gram(moments.gram, moments.xy, scale, least, level)
        if found is None:
            found = of_sums(moments.gram, moments.xy, moments.norms, scale, least, level)
        return found, moments

    def spectrum(self, f, training):
        return self.summed(self.known.train[:, f], training.alphas)[0] or self.decomposed(training)

    def refit(self, at):
        spectrum, moments = self.summed(np.ones(len(self.known.train)), self.problem.alphas)
        if spectrum is None:
            return super().refit(at)
        chosen = self.chosen(at)
        chosen.design.means[:], chosen.design.norms[:] = moments.means, moments.norms
        found = self.certified(chosen, spectrum.coefs_at(chosen.alphas), spectrum.least_variance(chosen),
                               spectrum.df(self.problem.alphas))
        return super().refit(at) if found.lost else found

    def errors(self, f):
        training, of_test = self.training(f), self.known.test[:, f]
        spectrum = self.spectrum(f, training)
        coefs = spectrum.coefs(training.alphas)
        intercepts = spectrum.level.intercepts(coefs)
        found = np.stack([self.known.target(t).mean_products(of_test, coefs[:, t].T, intercepts[:, t], 1)[0, 0]
                          for t in range(coefs.shape[1])], axis=1)
        squares = np.einsum("g,gjj->j", of_test.astype(np.float64), self.known.sums)
        shift = np.abs(self.known.shift) + np.sqrt(squares[:len(self.known.shift)] / squares[-1])
        if spectrum.accurate or np.any(found <= LEAST_ERROR * (np.abs(coefs) @ shift) ** 2):
            return self.errors_of(f, coefs, spectrum.level.y_means, spectrum.level.means)
        return found


class KernelFolds(DecomposedFolds):
    """From one kernel of all rows with a weight about the means of these, centred anew for each training set."""

    def __init__(self, problem, folds):
        super().__init__(problem, folds)
        raw = problem.weights.raw
        some = None if raw is None or np.all(raw > 0) else (raw > 0).astype(np.float64)
        rows = replace(problem, weights=Weights(some, problem.n))      # those without weight may hold anything
        rows.measure()
        scale = rows.column_scale(rows.design.norms)
        plain = bool(np.all(scale == 1))
        read = plain and not rows.sparse and some is None
        self.kernel = raw_kernel(rows.design, rows.fit_intercept)[0] if read else None
        if self.kernel is None:
            self.kernel = kernel(rows, None if plain else scale**2)
        if some is not None:
            self.kernel *= rows.unit         # as of weights of 1, which do not sum to n

    def _dual(self, training):
        """(DualSpectrum of a training set or None, kernel of all rows with its rows less its mean)."""
        rows = np.flatnonzero(training.constant)
        of_rows, root = self.kernel[:, rows], training.constant[rows]
        if training.fit_intercept:
            share = root**2 / training.n
            level = of_rows @ share
            of_rows -= level[:, None]
            of_rows -= of_rows[rows].T @ share
        targets = np.ascontiguousarray(training.targets[:, rows])
        top = np.diag(self.kernel).max() * np.max(root) ** 2
        level = Level(np.zeros(0), training.y_means, training.fit_intercept)
        return spectrum_of_kernel(of_rows[rows] * root[:, None] * root, len(rows), top, targets, root, None,
                                  np.min(training.alphas), level), of_rows

    def errors(self, f):
        training = self.training(f)
        spectrum, of_rows = self._dual(training)
        if spectrum is None:
            return super().errors(f)
        test = self.folds[f].test
        dual = spectrum.dual(training.alphas) * training.constant[training.constant > 0]
        fits = of_rows[test] @ dual.reshape(-1, dual.shape[-1]).T
        error = fits.reshape(len(test), *dual.shape[:2]) + training.y_means - self.problem.Y[test, None]
        return np.average(error**2, axis=0, weights=self.problem.weights.of(test))


class KrylovFolds(DecomposedFolds):
    """By products with sparse X alone.

    The Lanczos process on X'X, begun at X'y, gives every multiple of the identity at once, and the errors on the test
    rows, which it carries along with weight zero. Where columns are penalised unequally, and where coefficients are
    asked for, conjugate gradients."""

    def errors(self, f):
        factor = self.problem.factor
        if factor.ndim or self.problem.penalty.standardize or np.isinf(factor):
            return self.errors_of(f, *self.fit(f, self.problem.given))
        training, test = self.training(f), self.folds[f].test
        weight, errors = self.problem.weights.of(test), []
        for xy, y, mean in zip(training.moments(), self.problem.Y.T, training.y_means):
            fits, residual = krylov_predictions(training.design, xy, factor * training.alphas, test)
            self.converged &= bool(residual <= KRYLOV_TOL)
            errors.append(np.average((fits + mean - y[test][:, None]) ** 2, axis=0, weights=weight))
        return np.stack(errors, axis=1)

    def fit(self, f, alphas):
        return self.solved(self.training(f, alphas))

    def solved(self, problem):
        """Coefficients (n_alphas, n_targets, p) and intercepts (n_alphas, n_targets) of a problem."""
        n_targets, given = problem.Y.shape[1], problem.given
        coefs, intercepts = np.empty((len(given), n_targets, problem.p)), np.empty((len(given), n_targets))
        for a in range(0, len(given), AT_ONCE):
            here = slice(a, min(a + AT_ONCE, len(given)))
            found, _ = solve(problem.at(np.repeat(given[here], n_targets)), tol=CG_TOL, max_iter=MOST_STEPS)
            coefs[here] = found.coef.reshape(-1, n_targets, problem.p)
            intercepts[here] = found.intercept.reshape(-1, n_targets)
            self.converged &= found.converged
        return coefs, intercepts

    def refit(self, at):
        problem = self.problem
        coefs, _ = self.solved(replace(problem, given=problem.given[at:at + 1]))
        problem.measure()
        found = self.certified(self.chosen(at), coefs[0], 0.0, np.full(len(problem.given), np.nan))
        # conjugate gradients say themselves whether they converged
        return replace(found, stopped=np.full(found.intercept.shape, CERTIFIED))


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


def fold_fits(problem, folds, n_jobs):
    """The object that fits and judges the folds, chosen by shape and storage.

    It does not depend on `n_jobs`, the number of folds that will be asked for at the same time.

    Parameters
    ----------
    problem : RidgeProblem
        Of all rows, its alphas those of the path, its threads those of each fold.
    folds : list of fastreg.solvers.folds.Fold
    n_jobs : int

    Returns
    -------
    DecomposedFolds
    """
    X, weights, n, p = problem.X, problem.weights, problem.n, problem.p
    least = min(weights.times(fold.counts).rows for fold in folds)
    if not prefers_dual(least, n, p) and (p <= FEW_COLUMNS or not problem.sparse):
        part, counts = parts_of([c for f in folds for c in (f.counts, np.bincount(f.test, minlength=n))], n)
        room = 2**31 if problem.sparse else 2 * X.nbytes + 2**28
        if part is not None and 8 * len(counts) * (p + problem.Y.shape[1] + 1) ** 2 <= room:
            known = KnownFolds(X, problem.Y, weights.raw, problem.fit_intercept, part, counts[:, ::2], counts[:, 1::2],
                               problem.n_threads * n_jobs)
            fits = SummedFolds(problem, folds, known)
            return DecomposedFolds(problem, folds) if fits.loses_digits() else fits
    if n <= (FEW_ROWS if problem.sparse else MOST_DENSE) and n <= 2 * p and not problem.penalty.standardize:
        return KernelFolds(problem, folds)
    if problem.sparse and p > FEW_COLUMNS:
        return KrylovFolds(problem, folds)
    return DecomposedFolds(problem, folds)
