"""Certificates of ridge regression from X itself: how far coefficients are from solving their normal equations, how far
that lets them be from the solution, and rows left out as refits leave them."""
from dataclasses import dataclass

import numpy as np

from fastreg.kernels.residual import residuals
from fastreg.solvers.grams import EPS

# Rounding of a residual, relative to the products that it is made of.
ROUNDING = 64 * EPS
# Relative bound of the coefficients, and error of what leave-one-out sums, that need no warning.
PROMISED, LEFT_OUT = 1e-6, 5e-6
# Rows that are left out together to check leave-one-out, and targets for which that is done.
CHECKED_ROWS, CHECKED_TARGETS = 8, 4


@dataclass
class Certified:
    """What X says of coefficients, for each target."""

    residual: np.ndarray   # norms of half the gradients
    reach: np.ndarray      # what the bound is times alpha + least
    bound: np.ndarray      # at least ||coef - solution||, but for rounding; inf where nothing is known
    squares: np.ndarray    # weighted sums of squared errors
    lost: bool             # whether a bound is above what is promised, and not for rounding of the residual


def gradients(problem, coef):
    """(X'S(y - Xw), weighted sums of squared errors) of coef (k, p), each for the target of its turn, from X itself."""
    targets = np.tile(problem.targets, (len(coef) // len(problem.targets), 1))
    left, products = residuals(problem.design, targets, np.ascontiguousarray(coef))
    return products, np.einsum("ti,ti->t", left, left)


def judged(problem, coef, alphas, found, squares, least):
    """Certified, from the gradients of the loss.

    Parameters
    ----------
    problem : fastreg.solvers.decompose.Problem
        Whose decomposition is known.
    coef : ndarray of shape (k, p)
    alphas : ndarray of shape (k,)
    found, squares
        From `gradients`.
    least : float
        At most the smallest eigenvalue of A'A.

    Returns
    -------
    Certified
    """
    scale = problem.scale
    alive, alphas = scale > 0, problem.unit * np.asarray(alphas)[:, None]
    penalty = np.divide(1, scale**2, out=np.zeros(len(scale)), where=alive)
    found = np.where(alive, found - alphas * penalty * coef, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = scale.max(initial=0.0) * np.linalg.norm(found * scale, axis=1)
        bound = np.where(alphas[:, 0] + least > 0, reach / (alphas[:, 0] + least), np.inf)
    sizes = np.tile(np.linalg.norm(problem.targets, axis=1), len(coef) // len(problem.targets))
    lost = np.any(np.abs(found) > rounding(problem, coef, sizes), axis=1)
    lost &= bound > PROMISED * np.linalg.norm(coef, axis=1)
    return Certified(np.linalg.norm(found, axis=1) / problem.unit, reach, bound, squares / problem.unit,
                     bool(lost.any()))


def rounding(problem, coef, sizes):
    """What half the gradients (k, p) of coef may be by rounding, where errors have norms of at most `sizes` (k,)."""
    norms = problem.design.norms
    raw = np.hypot(norms, np.sqrt(problem.design.n) * np.abs(problem.design.means))
    return ROUNDING * (norms * (sizes + np.abs(coef) @ raw)[:, None] + raw * sizes[:, None])


def smallest(problem, spectrum):
    """At most the smallest eigenvalue of A'A; 0 where it is not known."""
    alive = np.count_nonzero(problem.scale)
    full = spectrum is not None and 0 < alive == len(spectrum.values)
    return max(float(spectrum.values.min() - spectrum.shift), 0.0) if full else 0.0


def certify(problem, spectrum, coef, alphas):
    """Certified, of coef (k, p), each for the target of its turn, at alphas of shape (k,); spectrum may be None."""
    return judged(problem, coef, alphas, *gradients(problem, coef), smallest(problem, spectrum))


def certify_left_out(problem, spectrum, alphas, room, sums):
    """(coef (n_targets, p), Certified, whether leave-one-out is right on the rows of largest leverage).

    Coefficients without these rows, as the decomposition gives them, must solve the normal equations of the other rows.

    Parameters
    ----------
    problem, spectrum
        As for `certify`.
    alphas : ndarray of shape (n_targets,)
    room : ndarray of shape (n,)
        What leverage leaves of each row; infinite where there is nothing to check.
    sums : ndarray of shape (n_targets,)
        Of squared leave-one-out errors.
    """
    T, count = len(alphas), min(CHECKED_ROWS, np.count_nonzero(room < np.inf), max(problem.rows - 1, 0) // 2)
    rows = np.argpartition(room, count)[:count]
    if T > CHECKED_TARGETS or len(rows) == 0 or len(spectrum.values) == 0:
        coef = spectrum.coefs_at(alphas)
        return coef, certify(problem, spectrum, coef, alphas), True
    parts, lefts = [], []
    for t, alpha in enumerate(alphas):
        Z, left, residuals = spectrum.left_over(problem, rows, alpha)
        try:
            parts.append((rows, Z, np.linalg.solve(left, residuals[t])))
        except np.linalg.LinAlgError:             # nothing is left to these rows together
            coef = spectrum.coefs_at(alphas)
            return coef, certify(problem, spectrum, coef, alphas), False
        lefts.append(left)
    coef, without = spectrum.coefs_without(alphas, parts)
    found, squares = gradients(problem, np.vstack([coef, without]))
    certified = judged(problem, coef, alphas, found[:T], squares[:T], smallest(problem, spectrum))
    some = problem.rows_of(rows)
    off = [_off(problem, spectrum, t, alphas[t], without[t], found[T + t], some, rows, parts[t][2], lefts[t])
           for t in range(T)]
    return coef, certified, bool(np.all(off <= LEFT_OUT * np.sqrt(sums * problem.unit)))


def _off(problem, spectrum, t, alpha, without, found, some, rows, errors, left):
    """By how much errors on left-out rows may be off: as a norm."""
    scale, root = problem.scale, problem.root[rows]
    level = -(root @ errors) / problem.design.n if problem.fit_intercept else 0.0
    seen = problem.targets[t, rows] - some @ without - root * level
    gradient = (found - seen @ some) * scale
    gradient -= problem.unit * alpha * np.divide(without, scale, out=np.zeros(len(scale)), where=scale > 0)
    size = np.linalg.norm(problem.targets[t]) + np.linalg.norm(seen)
    off = np.linalg.norm(seen - errors)
    if np.any(np.abs(gradient) > scale * rounding(problem, without[None], np.array([size]))[0]):
        off += spectrum.reach([alpha])[0] * np.linalg.norm(gradient) / max(np.linalg.eigvalsh(left)[0], EPS)
    return off
