"""Ridge regression and least squares at one penalty for each target: which way to solve them, and why.

With G = X'SX (X centred) and F = diag(penalty factors), coefficients solve (G + alpha F) w = X'Sy. That is done by a
Cholesky factor of G where p is small against n, of the n x n kernel X F^-1 X' where n is small against p, by conjugate
gradients where neither pays, by orthogonal decompositions where the matrix is singular to rounding, and by the
working-set engine where coefficients have limits.
"""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers.ridge import cholesky
from fastreg.solvers.ridge.certificate import GOOD, certify
from fastreg.solvers.ridge.decompose import decompose
from fastreg.solvers.ridge.grams import MOST_DENSE, kernel
from fastreg.solvers.ridge.krylov import iterate, scout, stop
from fastreg.solvers.ridge.limits import limited
from fastreg.solvers.ridge.orthogonal import eigen_dual, eigen_primal, least_squares
from fastreg.solvers.ridge.problem import RidgeProblem

# Multiply-adds a second of a Cholesky factorisation or rank-k update, entries a second of a product with X'X (dense
# and sparse), and updates a second of a Gram matrix by outer products of sparse rows: only their ratios matter.
FLOPS, DENSE_RATE, SPARSE_RATE, OUTER_RATE = 4e10, 1.2e9, 3e8, 8e8
# Products a sparse problem is expected to need by conjugate gradients.
EXPECTED_PRODUCTS = 60
# Residual, relative to X'y, of conjugate gradients on dense X, where they stand in for a factorisation.
AS_GOOD_AS_DIRECT = 1e-9
# Share of a factorisation's cost that finding out whether conjugate gradients are cheaper may add.
SCOUTING = 1 / 12
ITERATIVE = ("sparse_cg", "lsqr", "sag", "saga", "lbfgs")
SOLVERS = ("auto", "cholesky", "svd", *ITERATIVE)


def solve_ridge(X, Y, alphas, penalty=None, *, weight=None, fit_intercept=True, solver="auto", tol=1e-4, max_iter=None,
                n_threads=None):
    """Minimise ``sum_i s_i (y_i - x_i w - b)^2 + alpha sum_j f_j w_j^2`` for every target.

    Parameters
    ----------
    X : ndarray or scipy sparse, shape (n, p), float32 or float64
        NaN or infinity raise a ValueError.
    Y : ndarray of shape (n, n_targets)
    alphas : ndarray of shape (n_targets,)
    penalty : Penalty or None
        Its factors, limits and `standardize`; its l1_ratio is of no account.
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    fit_intercept : bool
    solver : str
        One of SOLVERS.
    tol : float
        Of iterative solvers: the bound of the coefficients' error against their norm; where there is no bound, norm of
        the residual of the normal equations against that of X'y.
    max_iter : int or None
        Products with X'X at most, of iterative solvers; rounds of the engine.
    n_threads : int or None

    Returns
    -------
    RidgeSolution
    """
    problem = RidgeProblem.of(X, Y, alphas, penalty or Penalty(), weight, fit_intercept, n_threads)
    with problem.blas():
        return problem.restored(solve(problem, solver, tol, max_iter)[0])


def solve_least_squares(X, Y, *, weight=None, fit_intercept=True, n_threads=None):
    """Least squares of least norm for every target by orthogonal decompositions of dense X.

    Parameters
    ----------
    X : ndarray of shape (n, p), float32 or float64
        NaN or infinity raise a ValueError.
    Y : ndarray of shape (n, n_targets)
    weight : ndarray of shape (n,) or None
        Raw sample weights.
    fit_intercept : bool
    n_threads : int or None

    Returns
    -------
    RidgeSolution
    rank : int
        Of the centred and weighted X.
    singular : ndarray of shape (min(n, p),)
        Its singular values, decreasing.
    """
    problem = RidgeProblem.of(X, Y, np.zeros(Y.shape[1]), Penalty(), weight, fit_intercept, n_threads)
    with problem.blas():
        found, rank, values = least_squares(problem)
    singular = np.zeros(min(X.shape))
    singular[:len(values)] = values * np.sqrt(problem.unit)
    return problem.restored(found), rank, np.sqrt(problem.of_weight.up(1.0)) * singular


# ---- the choice ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Method:
    """A way to solve a problem, and the reason to take it.

    Attributes
    ----------
    run : callable
        RidgeProblem -> RidgeSolution, or None where it does not serve.
    why : str
    trusted : bool
        Whether its solution is taken even where one with a better bound is known: bounds do not know how a solver came
        to its coefficients.
    """

    run: Callable
    why: str
    trusted: bool = False


def solve(problem, solver="auto", tol=1e-4, max_iter=None):
    """(RidgeSolution, the Method that found it): the first of a problem's methods whose coefficients are known well;
    the best known of all where none of them is.

    Parameters
    ----------
    problem : RidgeProblem
    solver, tol, max_iter
        Of `solve_ridge`.
    """
    best = taken = None
    for method in methods(problem, solver, tol, max_iter):
        found = method.run(problem)
        if found is not None and (best is None or method.trusted or np.all(found.bound <= best.bound)):
            best, taken = found, method
        if best is not None and not (problem.small and _vague(best)):
            return best, taken
    if best is None:
        end = stop(min(tol, AS_GOOD_AS_DIRECT), max_iter, problem.p)
        taken = Method(lambda problem: iterate(problem, end), "free columns of wide X that depend on each other or are "
                       "many would need a matrix of all columns")
        best = taken.run(problem)
    return best, taken


def methods(problem, solver, tol, max_iter):
    """The methods to try, one after the other, until coefficients are known well."""
    end = stop(tol, max_iter, problem.p)
    if np.isfinite(problem.penalty.lower).any() or np.isfinite(problem.penalty.upper).any():
        yield Method(lambda problem: limited(problem, tol, max_iter), "coefficients have limits")
        return
    if solver in ITERATIVE:
        yield Method(lambda problem: iterate(problem, end), "it was asked for")
        return
    if solver == "cholesky" and not _has_room(problem.X):
        raise ValueError("solver='cholesky' would make a dense matrix of "
                         f"{min(problem.n, problem.p)} rows of sparse X: use 'auto' or 'sparse_cg'.")
    if solver == "auto" and problem.sparse and not small_system(problem.X, len(problem.alphas)):
        yield Method(lambda problem: iterate(problem, end), "products with sparse X cost less than a matrix of sums")
        return
    if solver == "auto" and not problem.sparse:
        yield Method(lambda problem: _scout(problem, tol, max_iter), "a few products showed that they cost less than a "
                     "factorisation")
    tall = problem.p <= problem.n
    only_x = problem.alphas.min() == 0 and (problem.small or (tall and not problem.sparse))
    if _has_room(problem.X) and not only_x and (solver != "svd" or _dominated(problem)):
        yield Method(cholesky.primal, "a factor of X'X costs least") if tall else Method(
            cholesky.dual, "a factor of the kernel costs least")
    if problem.small or (tall and not problem.sparse):
        yield Method(_by_x, "nothing but X itself has all the digits")
    elif _has_room(problem.X):
        yield Method(_by_eigenvectors, "the matrix of sums is singular to rounding")
    if problem.small and problem.alphas.min() > 0 and not np.any(problem.factor == 0):
        yield Method(_rotated, "rotations keep columns of any scale", trusted=True)


def _vague(found):
    """Whether sums have lost too many digits for the coefficients to be known well: those of columns far apart in
    scale, say."""
    return np.any((found.bound > GOOD * np.linalg.norm(found.coef, axis=1)) & np.isfinite(found.bound))


def _has_room(X):
    """Whether a p x p or an n x n array may be made."""
    return not sp.issparse(X) or min(X.shape) <= MOST_DENSE


def small_system(X, n_alphas):
    """Whether sparse X has a p x p or n x n matrix that costs less than conjugate gradients for so many alphas."""
    products = EXPECTED_PRODUCTS * n_alphas * X.nnz / SPARSE_RATE
    return _has_room(X) and price_of_sums(X) < products


def price_of_sums(X):
    """Seconds that the smaller of X'X and XX' of sparse X, and its factor, cost."""
    n, p = X.shape
    side, per_line = (p, X.nnz / n) if p <= n else (n, X.nnz / p)
    lines = np.diff(X.indptr) if (X.format == "csr") == (p <= n) else None
    outer = X.nnz * per_line if lines is None else float(np.dot(lines, lines.astype(np.float64)))
    return outer / 2 / OUTER_RATE + side**3 / 3 / FLOPS


def _dominated(problem):
    """Whether the penalty outweighs X: orthogonal decompositions are not good at rows so far apart in size."""
    problem.measure()
    norms = problem.design.norms
    F, active = problem.diagonal(norms)
    F = F if active is None else F[active]
    return F.size > 0 and np.min(problem.alphas) * np.min(F) > np.sum(norms**2)


# ---- methods that are not one function -------------------------------------------------------------------------------
def _scout(problem, tol, max_iter):
    """Conjugate gradients on dense X, if a few steps of them promise to cost less than a factorisation."""
    n, p = problem.n, problem.p
    least = min(n, p)
    direct = n * p * least / FLOPS + least**3 / 3 / FLOPS
    product = n * p / DENSE_RATE * len(problem.alphas)
    steps = int(SCOUTING * direct / product)
    if steps < 3 or p > n or problem.uneven().any():
        return None
    return scout(problem, stop(min(tol, AS_GOOD_AS_DIRECT), max_iter, p, within=tol), steps, int(direct / product))


def _by_x(problem):
    """Least squares of small norm by orthogonal decompositions of X itself."""
    found = least_squares(problem)
    return found and found[0]


def _by_eigenvectors(problem):
    """Solutions of small norm from the eigenvectors of X'X or XX'; None where only conjugate gradients are left."""
    if problem.p <= problem.n:
        return eigen_primal(problem, *cholesky.counted_gram(problem))
    if (problem.factor == 0).any():
        return None
    inverse = problem.inverse()[2]
    return eigen_dual(problem, kernel(problem, inverse), inverse)


def _rotated(problem):
    """By rotations that keep columns of any scale."""
    spectrum = decompose(problem, accurate=True)
    coef = spectrum.coefs_at(problem.alphas)
    certificate = certify(problem, coef, spectrum.least_variance(problem))
    return problem.solution(coef, spectrum.level.means, "svd", certificate.bound)
