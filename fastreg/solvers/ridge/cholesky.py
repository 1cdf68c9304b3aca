"""Ridge regression by a Cholesky factor: of X'X + alpha F, or of the kernel X F^-1 X' + alpha."""
from dataclasses import replace

import numpy as np
from scipy.linalg.lapack import dpotrs

from fastreg.finite import check_values
from fastreg.kernels.gram import products_of
from fastreg.kernels.krylov import combine, correlate
from fastreg.kernels.lapack import cholesky
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.certificate import (
    GOOD,
    GramProof,
    bound_from_kernel,
    cheap_to_invert,
    least_eigenvalue,
    raw_norms,
    rounding_of_sums,
    symmetric_products,
)
from fastreg.solvers.ridge.grams import EPS, gram, kernel, raw_kernel
from fastreg.solvers.ridge.orthogonal import Free

# Targets from which a matrix product pays, and alphas from which a decomposition costs less than a factor for each.
MANY, MANY_ALPHAS = 4, 9
# Multiply-adds of one call of LAPACK that holds the GIL, between looks at signals, and targets that it takes at least.
A_WHILE, FEW_TARGETS = 2e9, 64


def least_pivot(problem):
    """Relative pivot below which a matrix is not left to Cholesky: the alternative costs little on small X."""
    return 1e-8 if problem.small else 8 * min(problem.n, problem.p) * EPS


def primal(problem):
    """(G + alpha F) w = X'y by Cholesky; None where that is singular to rounding."""
    G, Q, F, active, means = counted_gram(problem)
    norms = np.sqrt(np.maximum(np.diag(G), 0))
    proof = GramProof(problem, norms, means if active is None else means[active], F)
    if G.size == 0:
        nothing = np.zeros(len(Q))
        return problem.solution(np.zeros((len(Q), 0)), means, "cholesky", nothing, active=active)
    distinct, of_target = problem.distinct_alphas()
    if len(distinct) < MANY_ALPHAS or not np.all(F > 0):
        coef = _cholesky(G, distinct, F, of_target, Q, least_pivot(problem), proof.add)
        return None if coef is None else problem.solution(coef, means, "cholesky", proof.bound, active=active)
    root = np.sqrt(F)
    values, vectors = interruptible(np.linalg.eigh, G / np.outer(root, root))
    if values[0] + distinct[0] <= least_pivot(problem) * values[-1]:
        return None
    coef = ((Q / root) @ vectors / (values + problem.alphas[:, None])) @ vectors.T / root
    proof.add(np.arange(len(Q)), Q - coef @ G - problem.alphas[:, None] * F * coef, coef)
    return problem.solution(coef, means, "eigh", proof.bound, active=active)


def counted_gram(problem):
    """(X'X, X'Y, factors of alpha) of the columns that count, these columns or None for all, and the means."""
    G, Q = gram(problem)
    F, active = problem.diagonal(problem.design.norms)
    if active is not None:
        G, Q, F = G[np.ix_(active, active)], Q[:, active], F[active]
    return G, Q, F, active, problem.design.means


def dual(problem):
    """(X F^-1 X' + alpha) a = y by Cholesky, w = F^-1 X'a; None where that is singular to rounding or where free
    columns depend on each other."""
    if problem.weights.normalised is None and np.all(problem.factor == 1) and not problem.penalty.standardize:
        K, level = raw_kernel(problem.design, problem.fit_intercept)
        if K is not None:
            return _dual_of_raw(problem, K, level)
    F, active, inverse = problem.inverse()
    plain = active is None and np.all(F == 1)
    K = kernel(problem, None if plain else inverse)
    free = np.flatnonzero((F == 0) & (problem.design.norms > 0))
    of_free = Free.of(_columns(problem, free))
    if of_free is None:
        return None
    whole, targets = _with_pivot(problem, K), problem.targets
    if free.size:
        K, targets = of_free.emptied(whole), of_free.without(targets)
    raw = raw_norms(problem.design)
    counts = inverse > 0
    sizes = np.linalg.norm(raw * np.sqrt(inverse)), np.linalg.norm(raw * inverse)
    least = 0.0 if free.size else np.min(F, where=counts, initial=np.inf)
    found = _solve_kernel(problem, K, targets, sizes, least)
    if found is None:
        return None
    A, bound, solver = found
    coef = correlate(problem.design, problem.weights.rooted(A))
    coef = coef if plain else coef * inverse
    if free.size:
        coef[:, free] = of_free.coefficients(problem.targets - A @ whole)
    return problem.solution(coef, problem.design.means, solver, bound)


def _dual_of_raw(problem, K, level):
    """(XX' + alpha) a = y from XX' as BLAS reads it, less this level of its rows: no moments of columns are needed."""
    check_values(problem.X, np.diag(K))
    size = np.sqrt(np.trace(K) + problem.n * np.mean(level))
    found = _solve_kernel(problem, _with_pivot(problem, K), problem.targets, (size, size), 1.0)
    if found is None:
        return None
    A, bound, solver = found
    if problem.fit_intercept:
        A -= A.mean(axis=1, keepdims=True)       # zero but for rounding, which the level of X would magnify
    coef = products_of(problem.design, A) if len(A) >= MANY else correlate(problem.design, A)
    found = problem.solution(coef, np.zeros(problem.p), solver, bound)
    return replace(found, intercept=found.intercept - A @ level)     # the mean of XX'a, which takes no means of columns


def _with_pivot(problem, K):
    """K with a pivot in the direction that centring empties; y has no part in it."""
    if problem.fit_intercept:
        unit = problem.constant
        K += np.outer(unit * (np.trace(K) / (unit @ unit)), unit)
    return K


def _solve_kernel(problem, K, targets, sizes, least_factor):
    """(solutions of (K + alpha) a = y, bound of their coefficients, solver); None where that is singular to rounding.
    `sizes`: norms of X F^-1/2 and X F^-1 before they are centred."""
    distinct, of_target = problem.distinct_alphas()
    size, spread = sizes
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
        values, vectors = interruptible(np.linalg.eigh, K)
        if values[0] + distinct[0] <= least_pivot(problem) * values[-1]:
            return None
        A = (targets @ vectors / (values + problem.alphas[:, None])) @ vectors.T
        note(slice(None), targets - A @ K - problem.alphas[:, None] * A, A)
    else:
        solver = "cholesky_kernel"
        A = _cholesky(K, distinct, 1.0, of_target, targets, least_pivot(problem), note)
        if A is None:
            return None
    return A, bound_from_kernel(problem, rows, A, spread, least_factor, least), solver


def _columns(problem, which):
    """These columns, centred and weighted, as rows."""
    W = np.zeros((len(which), problem.p))
    W[np.arange(len(which)), which] = 1
    return combine(problem.design, W)


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
        factor = A.T                                                       # OpenBLAS is faster on this triangle
        failed = interruptible(cholesky, factor)
        pivots = np.diag(factor).copy()
        if failed or np.any(pivots**2 <= least_pivot * shifted):
            return None
        of_alpha, some = np.flatnonzero(of_target == k), max(FEW_TARGETS, int(A_WHILE / len(M) ** 2))
        for here in (of_alpha[t:t + some] for t in range(0, len(of_alpha), some)):
            found, failed = dpotrs(factor, np.asfortranarray(right[here].T), lower=1)
            if failed:
                raise RuntimeError(f"LAPACK's dpotrs refused argument {-failed}.")
            out[here] = found.T
            np.fill_diagonal(factor, shifted)                              # its other triangle is the matrix still
            left = right[here] - symmetric_products(factor.T, found.T, lower=0)
            np.fill_diagonal(factor, pivots)
            note(here, left, found.T, factor, shifted)
    return out
