"""Exact leave-one-out of ridge regression: the errors of every row from one decomposition, rows of hardly any room by
fits of the others, and the check of what was chosen against X itself."""
from dataclasses import dataclass

import numpy as np

from fastreg.progress import ignored
from fastreg.solvers.ridge.certificate import certify, rounding, row_norms
from fastreg.solvers.ridge.decompose import decompose, decompositions
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.problem import RidgeProblem
from fastreg.solvers.ridge.solution import BY_ROUNDING, CERTIFIED
from fastreg.solvers.ridge.spectrum import LEAST_ROOM, Spectrum

# Rows that are left out by fits of the others, where these cost much; room below which the identity is not trusted.
MOST_REFITS, CHEAP_REFITS, NO_ROOM = 8, 5e8, 1e-9
# Relative bound of the coefficients, and error of what leave-one-out sums, that need no warning.
PROMISED, LEFT_OUT = 1e-6, 5e-6
# Rows that are left out together to check leave-one-out, and targets for which that is done.
CHECKED_ROWS, CHECKED_TARGETS = 8, 4


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Errors ``e_i = y_i - x_i w_(-i) - b_(-i)`` of fits without row i, at every alpha of a problem.

    Attributes
    ----------
    problem : RidgeProblem
    spectrum : Spectrum
    sums : ndarray of shape (n_targets, n_alphas)
        Of ``s_i e_i^2``, for targets and weights as the problem has them.
    errors : ndarray of shape (n_targets, n, n_alphas) or None
        ``sqrt(s_i) e_i``, where they were to be kept.
    room : ndarray of shape (n,)
        What leverage leaves of each row at the smallest alpha; infinite where there is nothing to check.
    lost : bool
        Whether rows that ought to have fits of their own are too many.
    """

    problem: RidgeProblem
    spectrum: Spectrum
    sums: np.ndarray
    errors: np.ndarray | None
    room: np.ndarray
    lost: bool

    def means(self):
        """(means of ``s_i e_i^2``, (n_targets, n_alphas), exponents of 2, (n_targets,), that they are to be multiplied
        by for targets and weights as they were given)."""
        problem = self.problem
        return self.sums * problem.unit / problem.n, 2 * problem.units.exponent + problem.of_weight.exponent

    def squares(self):
        """``s_i e_i^2`` for targets and weights as they were given: shape (n_targets, n, n_alphas)."""
        found, exponent = np.square(self.errors), self.means()[1]
        found *= self.problem.unit
        with np.errstate(over="ignore"):
            return np.ldexp(found, exponent[:, None, None], out=found)

    def predictions(self):
        """``x_i w_(-i) + b_(-i)``, shape (n_targets, n, n_alphas); to leave a row of no weight out changes nothing."""
        problem, root = self.problem, self.problem.constant
        absent = np.flatnonzero(root == 0)
        found = self.errors / np.where(root == 0, 1, root)[:, None]
        np.subtract(problem.Y.T[:, :, None], found, out=found)
        if len(absent):
            coefs = self.spectrum.coefs(problem.alphas)
            fits = problem.X[absent] @ coefs.reshape(-1, problem.p).T + self.spectrum.level.intercepts(coefs).ravel()
            found[:, absent] = fits.reshape(len(absent), len(problem.alphas), -1).transpose(2, 0, 1)
        return np.ldexp(found, problem.units.exponent[:, None, None], out=found)


def leave_one_out(problem, choose, keep=False, accurate=False, report=None):
    """Exact leave-one-out at every alpha of a problem, and the fit of all rows at the chosen ones.

    Parameters
    ----------
    problem : RidgeProblem
        Whose X `can_decompose` allows; alphas positive.
    choose : callable
        LeftOut -> index of the alpha of each target, and what is to be handed back.
    keep : bool
        Whether `choose`, or who reads what is returned, wants the error of each row.
    accurate : bool
        By orthogonal transformations of X, whatever its columns.
    report : callable or None
        Called with 1 after the decomposition, and 2 after the errors of all rows.

    Returns
    -------
    at : ndarray of int, shape (n_targets,)
    chosen
        What `choose` hands back.
    left_out : LeftOut
    solution : RidgeSolution
        With df of shape (n_targets,); as of the problem. BY_ROUNDING where digits of it, or of leave-one-out, are lost.
    """
    report = report or ignored
    for spectrum in decompositions(problem, accurate):
        report(1)
        left_out = errors_by_rows(problem, spectrum, keep)
        report(2)
        at, chosen = choose(left_out)
        coef, certificate, right = certify_left_out(left_out, at)
        lost = loses_digits(coef, certificate)
        if right and not lost.any():
            break
    stopped = np.where(lost | left_out.lost | (not right), BY_ROUNDING, CERTIFIED)
    solution = problem.solution(coef, spectrum.level.means, "decomposition", certificate.bound, stopped=stopped,
                                df=spectrum.df(problem.alphas[at]))
    return at, chosen, left_out, solution


def loses_digits(coef, certificate):
    """Whether bounds are above what is promised, and not for rounding of the gradient."""
    return (certificate.bound > PROMISED * row_norms(coef)) & ~certificate.at_rounding


# ---- rows ------------------------------------------------------------------------------------------------------------
def errors_by_rows(problem, spectrum, keep=False):
    """LeftOut: rows with hardly any room are left out by fits of the others."""
    alphas = problem.alphas
    sums, errors, room = spectrum.leave_one_out(problem, alphas, keep)
    full = np.flatnonzero(room < LEAST_ROOM)
    n, p = problem.n, problem.p
    most, lost = max(MOST_REFITS, int(CHEAP_REFITS / (n * p * min(n, p)))), False
    if len(full) > most:
        bound = np.partition(room, most)[most]
        sums, errors, room = spectrum.leave_one_out(problem, alphas, keep, bound)
        full, lost = np.flatnonzero(room < bound), bool(bound < NO_ROOM)
    for row in full if problem.weights.rows > 1 else ():
        found = _error_without(problem, row)
        sums += found**2
        if keep:
            errors[:, row] = found
    room = np.where((problem.constant > 0) & (room >= LEAST_ROOM), room, np.inf)
    return LeftOut(problem, spectrum, sums, errors, room, lost)


def _error_without(problem, row):
    """``sqrt(s) (y - x w - b)`` of a row, of fits of the others: shape (n_targets, n_alphas)."""
    others = problem.without(row)
    spectrum = decompose(others)
    x = problem.X[[row]]
    x = (x.toarray() if problem.sparse else np.asarray(x, dtype=np.float64))[0] - spectrum.level.means
    fits = spectrum.coefs(others.alphas) @ x + spectrum.level.y_means
    return problem.constant[row] * (problem.Y[row] - fits).T


# ---- against X -------------------------------------------------------------------------------------------------------
def certify_left_out(left_out, at):
    """(coefficients (n_targets, p) at the chosen alphas, their Certificate, whether leave-one-out is right on the rows
    of largest leverage).

    Coefficients without these rows, as the decomposition gives them, must solve the normal equations of the other rows.
    """
    problem, spectrum, room = left_out.problem, left_out.spectrum, left_out.room
    T, least = len(at), spectrum.least_variance(problem)
    count = min(CHECKED_ROWS, np.count_nonzero(room < np.inf), max(problem.weights.rows - 1, 0) // 2)
    rows, right = np.argpartition(room, count)[:count], True
    if T <= CHECKED_TARGETS and len(rows) and len(spectrum.values):
        twice = problem.at(problem.given[np.concatenate([at, at])])      # the fits of all rows, and those without some
        alphas = twice.alphas[:T]
        try:
            parts = [RowsOut.of(problem, spectrum, rows, t, alpha) for t, alpha in enumerate(alphas)]
        except np.linalg.LinAlgError:             # nothing is left to these rows together
            right = False
        else:
            coef = np.vstack(spectrum.coefs_without(alphas, parts))
            certificate, some = certify(twice, coef, least), problem.centred_rows(rows)
            off = [part.off(twice, spectrum, T + t, coef, certificate, some) for t, part in enumerate(parts)]
            right = np.all(off <= LEFT_OUT * np.sqrt(left_out.sums[np.arange(T), at]))
            return coef[:T], certificate[:T], bool(right)
    chosen = problem.at(problem.given[at])
    coef = spectrum.coefs_at(chosen.alphas)
    return coef, certify(chosen, coef, least), right


@dataclass(frozen=True, eq=False)
class RowsOut:
    """Some rows, left out together.

    Attributes
    ----------
    rows : ndarray of int, shape (m,)
    Z : ndarray of shape (m, k)
        In the directions of a spectrum.
    left : ndarray of shape (m, m)
        The identity less their hat matrix.
    errors : ndarray of shape (m,)
        Of the fit of the other rows to one target.
    """

    rows: np.ndarray
    Z: np.ndarray
    left: np.ndarray
    errors: np.ndarray

    @classmethod
    def of(cls, problem, spectrum, rows, t, alpha):
        """Of target t; a LinAlgError where nothing is left to them."""
        Z, left, residuals = spectrum.left_over(problem, rows, alpha)
        return cls(rows, Z, left, np.linalg.solve(left, residuals[t]))

    def off(self, problem, spectrum, k, coef, certificate, some):
        """By how much the errors may be off, as a norm.

        Parameters
        ----------
        problem : RidgeProblem
            All rows, whose target k this is.
        spectrum : Spectrum
        k : int
        coef : ndarray of shape (n_targets, p)
            In row k those of the fit without the rows.
        certificate : Certificate
            Of these, for all rows.
        some : ndarray of shape (m, p)
            The rows, centred and weighted.
        """
        root, scale = problem.constant[self.rows], certificate.columns.scale
        level = -(root @ self.errors) / problem.n if problem.fit_intercept else 0.0
        seen = problem.targets[k, self.rows] - some @ coef[k] - root * level
        g = (certificate.gradient[k] - seen @ some) * scale
        off = np.linalg.norm(seen - self.errors)
        size = np.linalg.norm(problem.targets[k]) + np.linalg.norm(seen)
        if np.any(np.abs(g) > scale * rounding(problem, certificate.columns, coef[k:k + 1], np.array([size]))[0]):
            reach = spectrum.reach(problem.alphas[[k]])[0]
            off += reach * np.linalg.norm(g) / max(np.linalg.eigvalsh(self.left)[0], EPS)
        return off
