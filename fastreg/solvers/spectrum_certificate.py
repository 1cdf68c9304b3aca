"""Certificates of ridge regression from X itself: how far coefficients are from solving their normal equations, how far
that lets them be from the solution, and rows left out as refits leave them."""
from dataclasses import dataclass

import numpy as np

from fastreg.kernels.krylov import combine, correlate, normal_products
from fastreg.solvers.grams import EPS
from fastreg.solvers.linear import SMALL

# Rounding of a residual, relative to the products that it is made of.
ROUNDING = 64 * EPS
# Relative bound of the coefficients, and error of what leave-one-out sums, that need no warning.
PROMISED, LEFT_OUT = 1e-6, 5e-6
# Rows that are left out together to check leave-one-out, and targets for which that is done.
CHECKED_ROWS, CHECKED_TARGETS = 8, 4
# Work up to which every fit of a path is certified from X.
ALL_FITS = 2e7


@dataclass
class Certified:
    """What X says of coefficients, for each target."""

    residual: np.ndarray   # norms of half the gradients
    bound: np.ndarray      # at least ||coef - solution||, but for rounding; inf where nothing is known
    squares: np.ndarray    # weighted sums of squared errors
    lost: bool             # whether a bound is above what is promised, and not for rounding of the residual


def gradients(problem, coef):
    """(X'S(y - Xw), weighted sums of squared errors) of coef (k, p), each for the target of its turn."""
    count = len(coef) // len(problem.targets)
    targets = np.tile(problem.targets, (count, 1))
    coef = np.ascontiguousarray(coef)
    if problem.X.size <= SMALL or problem.xy is None:
        left = targets - combine(problem.design, coef)
        return correlate(problem.design, left * problem.root), np.einsum("ti,ti->t", left, left)
    products, fits = normal_products(problem.design, coef)
    left = targets - fits * problem.root
    return np.tile(problem.xy, (count, 1)) - products, np.einsum("ti,ti->t", left, left)


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
        bound = scale.max(initial=0.0) * np.linalg.norm(found * scale, axis=1) / (alphas[:, 0] + least)
    bound[np.isnan(bound)] = 0 if least > 0 else np.inf
    sizes = np.tile(np.linalg.norm(problem.targets, axis=1), len(coef) // len(problem.targets))
    lost = np.any(np.abs(found) > rounding(problem, coef, sizes), axis=1) & (bound > PROMISED * np.linalg.norm(coef, axis=1))
    return Certified(np.linalg.norm(found, axis=1) / problem.unit, bound, squares / problem.unit, bool(lost.any()))


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


def certify_left_out(problem, spectrum, coef, alphas, room, sums):
    """Certified, of coef (n_targets, p), and whether leave-one-out is right on the rows of largest leverage.

    Coefficients without these rows, as the decomposition gives them, must solve the normal equations of the other rows.

    Parameters
    ----------
    problem, spectrum, coef, alphas
        As for `certify`.
    room : ndarray of shape (n,)
        What leverage leaves of each row; NaN where there is nothing to check.
    sums : ndarray of shape (n_targets,)
        Of squared leave-one-out errors.

    Returns
    -------
    certified : Certified
    right : bool
    """
    order = np.argsort(room, kind="stable")
    rows = order[:min(CHECKED_ROWS, np.count_nonzero(room < np.inf), max(problem.rows - 1, 0) // 2)]
    if len(coef) > CHECKED_TARGETS or len(rows) == 0 or len(spectrum.values) == 0:
        return certify(problem, spectrum, coef, alphas), True
    root, without, kept = problem.root[rows], np.empty_like(coef), []
    for t, alpha in enumerate(alphas):
        Z, hat = spectrum.hat(problem, rows, alpha)
        left = np.eye(len(rows)) - hat
        if problem.fit_intercept:
            left -= np.outer(root, root) / problem.design.n
        errors = np.linalg.solve(left, problem.targets[t, rows] - spectrum.fits(Z, alpha)[t])
        without[t] = coef[t] - spectrum.response(rows, Z, alpha, errors[None])[0]
        kept.append((left, errors))
    found, squares = gradients(problem, np.vstack([coef, without]))
    certified = judged(problem, coef, alphas, found[:len(coef)], squares[:len(coef)], smallest(problem, spectrum))
    some, right, unit = problem.rows_of(rows), True, problem.unit
    for t, (alpha, (left, errors)) in enumerate(zip(alphas, kept)):
        level = -(root @ errors) / problem.design.n if problem.fit_intercept else 0.0
        seen = problem.targets[t, rows] - some @ without[t] - root * level
        gradient = (found[len(coef) + t] - seen @ some) * problem.scale
        gradient -= unit * alpha * np.divide(without[t], problem.scale, out=np.zeros(len(gradient)),
                                             where=problem.scale > 0)
        size = np.linalg.norm(problem.targets[t]) + np.linalg.norm(seen)
        off = np.linalg.norm(seen - errors)
        if np.any(np.abs(gradient) > problem.scale * rounding(problem, without[t:t + 1], np.array([size]))[0]):
            off += spectrum.reach([alpha])[0] * np.linalg.norm(gradient) / max(np.linalg.eigvalsh(left)[0], EPS)
        right &= bool(off <= LEFT_OUT * np.sqrt(sums[t] * unit))
    return certified, right
