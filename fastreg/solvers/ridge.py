"""Squared loss with a squared penalty: which system to solve, and with what.

With G = X'SX (X centred) and F = diag(penalty factors), coefficients solve (G + alpha F) w = X'Sy. That is done by a
Cholesky factor of G where p is small against n, of the n x n kernel X F^-1 X' where n is small against p, by conjugate
gradients where neither pays, by orthogonal decompositions where the matrix is singular to rounding, and by the
working-set engine where coefficients have limits.
"""
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dpotrf, dpotrs

from fastreg.costs import EXACT, SMALL
from fastreg.finite import check_finite, check_values
from fastreg.kernels.gram import gram_of, kernel_of, products_of
from fastreg.kernels.krylov import column_moments, combine, correlate
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.decompose import Problem as Rows
from fastreg.solvers.grams import EPS, MOST_DENSE, raw_kernel, sparse_gram, sparse_kernel
from fastreg.solvers.path import solve_path
from fastreg.solvers.ridge_certificate import (
    GOOD,
    GramProof,
    at_rounding,
    cheap_to_invert,
    from_kernel,
    from_rows,
    least_eigenvalue,
    raw_norms,
    rounding_of_sums,
    symmetric_products,
)
from fastreg.solvers.ridge_krylov import iterate, scout, stop
from fastreg.solvers.ridge_orthogonal import Free, bounded, eigen_dual, eigen_primal, least_squares
from fastreg.solvers.ridge_problem import scaled_problem

# Multiply-adds a second of a Cholesky factorisation or rank-k update, entries a second of a product with X'X (dense
# and sparse), and updates a second of a Gram matrix by outer products of sparse rows: only their ratios matter.
FLOPS, DENSE_RATE, SPARSE_RATE, OUTER_RATE = 4e10, 1.2e9, 3e8, 8e8
# Products a sparse problem is expected to need by conjugate gradients.
EXPECTED_PRODUCTS = 60
# Residual, relative to X'y, of conjugate gradients on dense X, where they stand in for a factorisation.
AS_GOOD_AS_DIRECT = 1e-9
# Share of a factorisation's cost that finding out whether conjugate gradients are cheaper may add.
SCOUTING = 1 / 12
# Targets from which a matrix product pays, and alphas from which a decomposition costs less than a factor for each.
MANY, MANY_ALPHAS = 4, 9
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
    penalty = penalty or Penalty()
    problem, units, of_weight = scaled_problem(X, Y, alphas, penalty, weight, fit_intercept, n_threads)
    if np.any(np.isfinite(penalty.lower)) or np.any(np.isfinite(penalty.upper)):
        found = _limited(problem, units, tol, max_iter)
    else:
        with nullcontext() if problem.n * problem.p < SMALL else single_threaded_blas:
            found = _solve(problem, solver, tol, max_iter)
    return _scaled_back(found, units, of_weight)


def solve_least_squares(X, Y, *, weight=None, fit_intercept=True, n_threads=None):
    """Least squares of least norm for every target by orthogonal decompositions of dense X.

    Parameters
    ----------
    X, Y, weight, fit_intercept, n_threads
        As for solve_ridge; X dense.

    Returns
    -------
    RidgeSolution
    rank : int
        Of the centred and weighted X.
    singular : ndarray of shape (min(n, p),)
        Its singular values, decreasing.
    """
    problem, units, of_weight = scaled_problem(X, Y, np.zeros(Y.shape[1]), Penalty(), weight, fit_intercept, n_threads)
    with nullcontext() if problem.n * problem.p < SMALL else single_threaded_blas:
        found, rank, values = least_squares(problem)
    singular = np.zeros(min(X.shape))
    singular[:len(values)] = values * np.sqrt(problem.unit)
    return _scaled_back(found, units, of_weight), rank, np.sqrt(of_weight.up(1.0)) * singular


def _scaled_back(found, units, of_weight):
    if not (of_weight.exponent or units.exponent.any()):
        return found
    with np.errstate(over="ignore"):
        return replace(found, coef=units.coefs_up(found.coef), intercept=units.up(found.intercept),
                       residual=of_weight.up(units.up(found.residual)), bound=units.up(found.bound))


# ---- which system ----------------------------------------------------------------------------------------------------
def _solve(problem, solver, tol, max_iter):
    end = stop(tol, max_iter, problem.p)
    if solver in ITERATIVE:
        return iterate(problem, end)
    if solver == "svd" and not _dominated(problem):
        return _rotated(problem, _orthogonal(problem)) or _as_good_as_direct(problem, tol, max_iter)
    if solver == "cholesky" and problem.sparse and min(problem.n, problem.p) > MOST_DENSE:
        raise ValueError("solver='cholesky' would make a dense matrix of "
                         f"{min(problem.n, problem.p)} rows of sparse X: use 'auto' or 'sparse_cg'.")
    if problem.sparse and solver == "auto" and not _small_system(problem):
        return iterate(problem, end)
    found = None
    if solver == "auto" and not problem.sparse:
        found = _scout(problem, tol, max_iter)
    if found is None:
        found = _direct(problem)
        if found is None or (_vague(found) and problem.n * problem.p <= EXACT):
            found = _rotated(problem, _better(found, _orthogonal(problem)))
    return found or _as_good_as_direct(problem, tol, max_iter)


def _vague(found):
    """Whether sums have lost too many digits for the coefficients to be known well: those of columns far apart in
    scale, say."""
    return np.any((found.bound > GOOD * np.linalg.norm(found.coef, axis=1)) & np.isfinite(found.bound))


def _rotated(problem, found):
    """The same, or the solution by rotations that keep columns of any scale, where X is small, all of its columns are
    penalised, and coefficients would not be known well."""
    if found is None or problem.n * problem.p > EXACT or not _vague(found) or np.min(problem.alphas) == 0:
        return found
    if np.any(problem.factor == 0):
        return found
    rows = Rows(problem.X, problem.Y, problem.raw_weight, problem.fit_intercept, problem.n_threads)
    spectrum = rows.spectrum(problem.raw_alphas, problem.factor, problem.penalty.standardize, accurate=True)
    coef = spectrum.coefs_at(problem.raw_alphas)
    return problem.solution(coef, None, rows.design.means, "svd", from_rows(problem, coef))


def _better(found, other):
    """The one of two solutions that is the better known; either may be None."""
    if found is None or other is None:
        return other or found
    return other if np.all(other.bound <= found.bound) else found


def _as_good_as_direct(problem, tol, max_iter):
    """Conjugate gradients where a factorisation was to be had: free columns of wide X that depend on each other or are
    many need a p x p matrix."""
    return iterate(problem, stop(min(tol, AS_GOOD_AS_DIRECT), max_iter, problem.p))


def _small_system(problem):
    """Whether sparse X has a p x p or n x n matrix that costs less than conjugate gradients."""
    X, p, n, nnz = problem.X, problem.p, problem.n, problem.X.nnz
    side, per_line = (p, nnz / n) if p <= n else (n, nnz / p)
    if side > MOST_DENSE:
        return False
    lines = np.diff(X.indptr) if (X.format == "csr") == (p <= n) else None
    outer = nnz * per_line if lines is None else float(np.dot(lines, lines.astype(np.float64)))
    products = EXPECTED_PRODUCTS * len(problem.alphas) * nnz / SPARSE_RATE
    return outer / 2 / OUTER_RATE + side**3 / 3 / FLOPS < products


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


def _dominated(problem):
    """Whether the penalty outweighs X: orthogonal decompositions are not good at rows so far apart in size."""
    column_moments(problem.design, problem.targets[:1])
    norms = problem.design.norms
    F, active = problem.diagonal(norms)
    F = F if active is None else F[active]
    return F.size > 0 and np.min(problem.alphas) * np.min(F) > np.sum(norms**2)


def _least_pivot(problem):
    """Relative pivot below which a matrix is not left to Cholesky: the alternative costs little on small X."""
    return 1e-8 if problem.n * problem.p <= EXACT else 8 * min(problem.n, problem.p) * EPS


def _direct(problem):
    """By Cholesky; None where the matrix is singular to rounding."""
    n, p = problem.n, problem.p
    if np.min(problem.alphas) == 0 and (n * p <= EXACT or (p <= n and not problem.sparse)):
        return None                              # nothing but X itself has all the digits
    return _primal(problem) if p <= n else _dual(problem)


def _orthogonal(problem):
    """Least squares of small norm: of X itself where that is possible, else from the eigenvectors of X'X or XX'; None
    where only conjugate gradients are left."""
    n, p = problem.n, problem.p
    if n * p <= EXACT or (p <= n and not problem.sparse):
        found = least_squares(problem)
        return found and found[0]
    if problem.sparse and min(n, p) > MOST_DENSE:
        return None
    if p <= n:
        return eigen_primal(problem, *_gram(problem))
    if (problem.factor == 0).any():
        return None
    inverse = problem.inverse()[2]
    return eigen_dual(problem, _kernel(problem, inverse), inverse)


# ---- Cholesky --------------------------------------------------------------------------------------------------------
def _primal(problem):
    """(G + alpha F) w = X'y by Cholesky; None where that is singular to rounding."""
    G, Q, F, active, means = _gram(problem)
    norms = np.sqrt(np.maximum(np.diag(G), 0))
    proof = GramProof(problem, norms, means if active is None else means[active], F)
    if G.size == 0:
        nothing = np.zeros(len(Q))
        return problem.solution(np.zeros((len(Q), 0)), active, means, "cholesky", (nothing, nothing))
    distinct, of_target = problem.distinct_alphas()
    if len(distinct) < MANY_ALPHAS or not np.all(F > 0):
        coef = _cholesky(G, distinct, F, of_target, Q, _least_pivot(problem), proof.add)
        return None if coef is None else problem.solution(coef, active, means, "cholesky", proof.proof)
    root = np.sqrt(F)
    values, vectors = eigh(G / np.outer(root, root), overwrite_a=True, check_finite=False)
    if values[0] + distinct[0] <= _least_pivot(problem) * values[-1]:
        return None
    coef = ((Q / root) @ vectors / (values + problem.alphas[:, None])) @ vectors.T / root
    proof.add(np.arange(len(Q)), Q - coef @ G - problem.alphas[:, None] * F * coef, coef)
    return problem.solution(coef, active, means, "eigh", proof.proof)


def _gram(problem):
    """(X'X, X'Y, factors of alpha) of the columns that count, these columns or None for all, and the means."""
    if problem.sparse:
        Y = problem.targets
        if problem.weight is not None:
            Y = np.ascontiguousarray((problem.Y - problem.y_mean).T)
        G, Q, means, norms = sparse_gram(problem.X, Y, problem.weight, problem.fit_intercept, problem.n_threads)
    else:
        G, Q = gram_of(problem.design, problem.targets)
        means, norms = problem.design.means, problem.design.norms
    check_finite(problem.X, norms)
    F, active = problem.diagonal(norms)
    if active is not None:
        G, Q, F = G[np.ix_(active, active)], Q[:, active], F[active]
    return G, Q, F, active, means


def _dual(problem):
    """(X F^-1 X' + alpha) a = y by Cholesky, w = F^-1 X'a; None where that is singular to rounding or where free
    columns depend on each other."""
    if problem.weight is None and np.all(problem.factor == 1) and not problem.penalty.standardize:
        K, level = raw_kernel(problem.design, problem.fit_intercept)
        if K is not None:
            return _dual_of_raw(problem, K, level)
    F, active, inverse = problem.inverse()
    plain = active is None and np.all(F == 1)
    K = _kernel(problem, inverse, plain)
    free = np.flatnonzero((F == 0) & (problem.design.norms > 0))
    of_free = Free.of(_columns(problem, free))
    if of_free is None:
        return None
    whole, targets = _with_pivot(problem, K), problem.targets
    if free.size:
        K, targets = of_free.emptied(whole), of_free.without(targets)
    raw = raw_norms(problem.design)
    counts = inverse > 0
    sizes = np.linalg.norm(raw), np.linalg.norm(raw * np.sqrt(inverse)), np.linalg.norm(raw * inverse)
    least = 0.0 if free.size else np.min(F, where=counts, initial=np.inf)
    found = _solve_kernel(problem, K, targets, sizes, least)
    if found is None:
        return None
    A, proof, solver = found
    coef = correlate(problem.design, A if problem.root is None else A * problem.root)
    coef = coef if plain else coef * inverse
    if free.size:
        coef[:, free] = of_free.coefficients(problem.targets - A @ whole)
    return problem.solution(coef, None, problem.design.means, solver, proof)


def _dual_of_raw(problem, K, level):
    """The same from XX' as BLAS reads it: no moments of columns are needed."""
    check_values(problem.X, np.diag(K))
    size = np.sqrt(np.trace(K) + problem.n * np.mean(level))
    found = _solve_kernel(problem, _with_pivot(problem, K), problem.targets, (size, size, size), 1.0)
    if found is None:
        return None
    A, proof, solver = found
    if problem.fit_intercept:
        A -= A.mean(axis=1, keepdims=True)       # zero but for rounding, which the level of X would magnify
    coef = products_of(problem.design, A) if len(A) >= MANY else correlate(problem.design, A)
    found = problem.solution(coef, None, np.zeros(problem.p), solver, proof)
    found.intercept -= A @ level                 # the mean of X X'a, which takes no means of columns
    return found


def _with_pivot(problem, K):
    """K with a pivot in the direction that centring empties; y has no part in it."""
    if problem.fit_intercept:
        unit = np.ones(problem.n) if problem.root is None else problem.root
        K += np.outer(unit * (np.trace(K) / (unit @ unit)), unit)
    return K


def _solve_kernel(problem, K, targets, sizes, least_factor):
    """(solutions of (K + alpha) a = y, (residual, bound) of their coefficients, solver); None where that is singular
    to rounding. `sizes`: norms of X, X F^-1/2 and X F^-1 before they are centred."""
    distinct, of_target = problem.distinct_alphas()
    whole, size, spread = sizes
    share = rounding_of_sums(problem.p) + rounding_of_sums(problem.n)
    rows, least = np.zeros(len(targets)), np.zeros(len(targets))
    inverts = cheap_to_invert(problem, problem.n)

    def note(here, left, A, factor=None, _=None):
        alpha = problem.alphas[here]
        with np.errstate(over="ignore"):
            rows[here] = np.linalg.norm(left, axis=1) + share * (size**2 + alpha) * np.linalg.norm(A, axis=1)
            squares = np.einsum("ti,ti->t", A, targets[here] - alpha[:, None] * A)      # of F^1/2 w
            enough = GOOD * 2 * np.sqrt(alpha * np.maximum(squares, 0))
        if factor is not None and inverts and np.any(rows[here] > enough):
            lost = share * np.sqrt(problem.n) * (size**2 + alpha)
            least[here] = np.maximum(least_eigenvalue(factor) - lost - alpha, 0)

    if len(distinct) >= MANY_ALPHAS:
        solver = "eigh"
        values, vectors = eigh(K, check_finite=False)
        if values[0] + distinct[0] <= _least_pivot(problem) * values[-1]:
            return None
        A = (targets @ vectors / (values + problem.alphas[:, None])) @ vectors.T
        note(slice(None), targets - A @ K - problem.alphas[:, None] * A, A)
    else:
        solver = "cholesky_kernel"
        A = _cholesky(K, distinct, 1.0, of_target, targets, _least_pivot(problem), note)
        if A is None:
            return None
    return A, from_kernel(problem, rows, A, whole, spread, least_factor, least), solver


def _columns(problem, which):
    """These columns, centred and weighted, as rows."""
    W = np.zeros((len(which), problem.p))
    W[np.arange(len(which)), which] = 1
    return combine(problem.design, W)


def _kernel(problem, inverse, plain=False):
    """X F^-1 X', centred and weighted."""
    if problem.sparse:
        return sparse_kernel(problem.X, problem.design, inverse, problem.weight, problem.fit_intercept,
                             problem.n_threads)
    return kernel_of(problem.design, None if plain else inverse)


def _cholesky(M, alphas, F, of_target, right, least_pivot, note):
    """(M + alpha diag(F))^-1 right[t] for every t, alpha = alphas[of_target[t]]; M is overwritten.

    None where a pivot is that small against its diagonal entry: digits of the solution would be lost. `note` is given
    targets, what their solutions leave of `right`, the solutions, the factor and the matrix's diagonal."""
    diagonal = np.diag(M).copy()
    out = np.empty_like(right)
    for k, alpha in enumerate(alphas):
        A = M if k == len(alphas) - 1 else M.copy()
        shifted = diagonal + alpha * F
        np.fill_diagonal(A, shifted)
        factor, failed = dpotrf(A.T, lower=1, clean=0, overwrite_a=1)      # OpenBLAS is faster on this triangle
        pivots = np.diag(factor).copy()
        if failed or np.any(pivots**2 <= least_pivot * shifted):
            return None
        here = np.flatnonzero(of_target == k)
        found, failed = dpotrs(factor, np.asfortranarray(right[here].T), lower=1)
        if failed:
            raise RuntimeError(f"LAPACK's dpotrs refused argument {-failed}.")
        out[here] = found.T
        np.fill_diagonal(factor, shifted)                                  # its other triangle is the matrix still
        left = right[here] - symmetric_products(factor.T, found.T, lower=0)
        np.fill_diagonal(factor, pivots)
        note(here, left, found.T, factor, shifted)
    return out


# ---- limits ----------------------------------------------------------------------------------------------------------
def _limited(problem, units, tol, max_iter):
    """The elastic net's engine, one alpha and one scale of targets at a time, until rounding allows no more.

    What its sums of products lose where columns have a high level in common is got back from X itself, if small."""
    total = problem.weights.total
    n_targets = len(problem.alphas)
    coef = np.empty((n_targets, problem.p))
    rounds = np.zeros(n_targets, dtype=int)
    column_moments(problem.design, problem.targets[:1])
    check_finite(problem.X, problem.design.norms)
    limits = [np.broadcast_to(np.asarray(limit, dtype=np.float64), problem.p)
              for limit in (problem.penalty.lower, problem.penalty.upper)]
    lower, upper = (units.down(np.tile(limit[:, None], n_targets)).T for limit in limits)
    groups = np.stack([problem.raw_alphas, units.exponent], axis=1)
    for alpha, exponent in np.unique(groups, axis=0):
        here = (problem.raw_alphas == alpha) & (units.exponent == exponent)
        first = np.flatnonzero(here)[0]
        penalty = replace(problem.penalty, l1_ratio=0.0, lower=lower[first], upper=upper[first])
        of_group = Problem.of(problem.X, problem.Y[:, here], penalty, weights=problem.weights,
                              fit_intercept=problem.fit_intercept, n_threads=problem.n_threads)
        found = solve_path(of_group, Spec(np.array([alpha / total]), tol=0.0, max_iter=max_iter or 1000))
        coef[here], rounds[here] = found.dense(), found.n_iters[0]
    proof = from_rows(problem, coef, (lower, upper))
    done = _reached(problem, coef, proof[1], tol, (lower, upper))
    if not done.all() and problem.n * problem.p <= EXACT:
        polished = coef.copy()
        for t in np.flatnonzero(~done):
            polished[t] = bounded(problem, t, lower[t], upper[t])
        again = from_rows(problem, polished, (lower, upper))
        better = again[0] < proof[0]
        coef[better], proof = polished[better], tuple(np.where(better, new, old) for new, old in zip(again, proof))
        done = _reached(problem, coef, proof[1], tol, (lower, upper))
    stopped = "" if done.all() else "max_iter" if np.max(rounds) >= (max_iter or 1000) else "rounding"
    return problem.solution(coef, None, problem.design.means, "active_set", proof, rounds, stopped)


def _reached(problem, coef, bound, tol, limits):
    """Whether a bound is what tol promises, or rounding keeps it from that."""
    done = bound <= tol * np.linalg.norm(coef, axis=1)
    return done if done.all() else done | at_rounding(problem, coef, bound, limits)
