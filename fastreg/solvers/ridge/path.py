"""Ridge regression at many penalties, from one decomposition."""
import numpy as np

from fastreg.progress import ignored
from fastreg.solvers.ridge.certificate import OF_ALPHA, certify, rounding_of_sums
from fastreg.solvers.ridge.decompose import decompositions
from fastreg.solvers.ridge.leave_one_out import loses_digits
from fastreg.solvers.ridge.solution import BY_ROUNDING, CERTIFIED

# Work up to which every fit of a hard path is certified from X.
ALL_FITS = 2e7


def solve_path(problem, report=None):
    """Every target at every alpha, as they were given.

    Parameters
    ----------
    problem : RidgeProblem
        Its alphas decreasing, its X as `can_decompose` allows.
    report : callable or None
        Called with 1 after the decomposition, and 2 after the solutions, whose bounds are left.

    Returns
    -------
    RidgeSolution
        Of shape (n_alphas, n_targets); df of shape (n_alphas,).
    gcv : ndarray of shape (n_alphas, n_targets)
        ``n RSS / (n - df)^2``, n being the number of rows of positive weight; infinite where no degree of freedom is
        left.
    source : ndarray of str, shape (n_alphas,)
        Where the bounds come from: 'X' or 'sums'.
    """
    report = report or ignored
    for spectrum in decompositions(problem):
        report(1)
        coefs = spectrum.coefs(problem.alphas)
        report(2)
        bounds, source, squares, lost = _certified(problem, spectrum, coefs)
        if not lost.any():
            break
    residuals, rows = spectrum.residuals(problem.alphas, squares) * problem.unit, problem.weights.rows
    left = spectrum.freedom(problem.alphas, rows)[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gcv = problem.of_weight.up(problem.units.up(rows * residuals / left**2, 2))
    solution = problem.solution(coefs, spectrum.level.means, "decomposition", bounds, df=spectrum.df(problem.alphas),
                                stopped=np.where(lost, BY_ROUNDING, CERTIFIED))
    return problem.restored(solution), np.where(left > 0, gcv, np.inf), source


def _certified(problem, spectrum, coefs):
    """(bounds (n_alphas, n_targets), where they come from, squared errors at the last alpha, whose digits are lost)

    The last alpha, the smallest, is certified from X, and of hard problems the others too where that costs little.
    Otherwise they are off by no larger a perturbation of X'X than the last, and by rounding of their own."""
    count, n_targets, p = coefs.shape
    every = spectrum.accurate and problem.X.size * count * n_targets <= ALL_FITS
    some = coefs if every else coefs[-1:]
    chosen = problem.at(np.repeat(problem.given[-len(some):], n_targets))
    found = certify(chosen, some.reshape(-1, p), spectrum.least_variance(problem))
    bounds, lost = found.bound.reshape(-1, n_targets), loses_digits(some.reshape(-1, p), found).reshape(-1, n_targets)
    if not every:
        size = np.linalg.norm(coefs, axis=2)
        shares = np.divide(size, size[-1], out=np.zeros_like(size), where=size[-1] > 0)
        others = found.reach.times(shares[:-1]).bound(problem.alphas[:-1, None])
        bounds = np.vstack([others + (rounding_of_sums(p) + OF_ALPHA) * size[:-1], bounds])
    source = np.full(count, "X" if every else "sums", dtype="<U4")
    source[-1] = "X"
    return bounds, source, found.squares.reshape(-1, n_targets)[-1], np.broadcast_to(lost, coefs.shape[:2])
