"""Ridge regression and least squares by orthogonal decompositions of X, and of Gram matrices singular to rounding."""
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.linalg.lapack import dtrtri

from fastreg.kernels.krylov import correlate
from fastreg.solvers.interruptible import interruptible
from fastreg.solvers.ridge.certificate import OF_ALPHA, Columns, certify, gradient, reach_of, rounding_of_sums
from fastreg.solvers.ridge.graded import graded_svd
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.triangle import reduced, triangle

# Elements of a block of rows that one decomposition takes at once.
BLOCK = 1 << 22
# Times EPS and the root of the number of rows: the length that is left, to rounding, of a column that depends on
# others, seen up to 35.
DEPENDENT = 10


@dataclass
class LeastSquares:
    """Least squares without a penalty: coefficients of least norm, rank and singular values of X."""

    coef: np.ndarray
    rank: int
    singular: np.ndarray
    back: np.ndarray | None    # inverse of the triangular factor where X has full rank


def minimum_norm(R, C, n):
    """Least squares ``R w = C[t]`` for an upper triangular or trapezoidal R of n rows; where its columns depend on each
    other, of least norm. Whether they do is asked of columns of one length: digits are lost to their dependence
    alone."""
    k, p = R.shape
    singular = interruptible(partial(np.linalg.svd, compute_uv=False), R)
    scale, tiny = np.linalg.norm(R, axis=0), EPS * max(k, p, DEPENDENT * np.sqrt(n))
    used = np.flatnonzero(scale)
    if len(used) == 0:
        return LeastSquares(np.zeros((len(C), p)), 0, singular, None)
    if k == p and scale.all():
        back = _inverse(R / scale, scale, tiny)
        if back is not None:
            coef = solve_triangular(R, C.T, check_finite=False).T
            return LeastSquares(coef, p, singular, back)
    coef, scale = np.zeros((len(C), p)), scale[used]
    q, r, order = interruptible(partial(qr, mode="economic", pivoting=True, check_finite=False), R[:, used] / scale)
    rank = int(np.count_nonzero(np.abs(np.diag(r)) > tiny * abs(r[0, 0])))
    first, rest = order[:rank], order[rank:]
    found = np.zeros((len(used), len(C)))
    found[first] = solve_triangular(r[:rank, :rank], (C @ q[:, :rank]).T) / scale[first, None]
    if rest.size:                                       # less what lies in the null space, in the units of X
        null = np.zeros((len(used), len(rest)))
        null[first] = -solve_triangular(r[:rank, :rank], r[:rank, rank:]) / scale[first, None]
        null[rest] = np.diag(1 / scale[rest])
        basis = qr(null / np.linalg.norm(null, axis=0), mode="economic", check_finite=False)[0]
        for _ in range(2):
            found -= basis @ (basis.T @ found)
    coef[:, used] = found.T
    return LeastSquares(coef, rank, singular, None)


def _inverse(unit, scale, tiny):
    """Inverse of the upper triangle `unit` times diag(scale), `unit` having columns of norm 1; None where its condition
    is not below 1 / tiny."""
    inverse, failed = dtrtri(unit)
    if failed or not np.abs(unit).sum(axis=0).max() * np.abs(inverse).sum(axis=0).max() * tiny < 1:
        return None
    return inverse / scale[:, None]


def least_squares(problem):
    """(solution, rank, singular values of the columns that count): the last two for the smallest alpha, penalty
    included. None instead where p > n and free columns depend on each other or are many."""
    problem = problem.dense()                    # the level of sparse X costs no digits then
    return _wide(problem) if problem.p > problem.n else _tall(problem)


def _tall(problem):
    """Every alpha by a triangular factor of [X; sqrt(alpha F)], beside it Q'y of every target."""
    problem.moments()
    R, T, p = _centred_triangle(problem), len(problem.alphas), problem.p
    whole, active = problem.diagonal(problem.design.norms)
    columns = np.arange(p) if active is None else active
    F, k = whole[columns], len(columns)
    if active is not None:
        R = reduced(np.asfortranarray(R[:, np.concatenate([active, np.arange(p, p + T)])]))
    coef, found = np.zeros((T, p)), {}
    for alpha in np.unique(problem.alphas):
        here = np.flatnonzero(problem.alphas == alpha)
        part = R if len(here) == T else R[:, np.concatenate([np.arange(k), k + here])]
        if alpha > 0 and F.any():
            damping = np.hstack([np.diag(np.sqrt(alpha * F)), np.zeros((k, len(here)))])
            part = reduced(np.asfortranarray(np.vstack([part, damping])))
        found[alpha] = minimum_norm(np.ascontiguousarray(part[:k, :k]), np.ascontiguousarray(part[:k, k:].T), problem.n)
        coef[here[:, None], columns] = found[alpha].coef
    bound = _refined(problem, coef, columns, found)
    least = found[np.min(problem.alphas)]
    return problem.solution(coef, problem.design.means, "svd", bound), least.rank, least.singular


def _centred_triangle(problem):
    """R of centred and weighted X and the targets, from blocks of rows.

    What the means' rounding leaves of a level is taken out by a column of its own before the others."""
    n, p = problem.n, problem.p
    lead = int(problem.fit_intercept)
    per = n if n * p <= BLOCK else max(1024, 4 * p)

    def blocks():
        for start in range(0, n, per):
            rows = slice(start, min(n, start + per))
            yield np.hstack([problem.constant[rows, None][:, :lead], problem.centred_rows(rows),
                             problem.targets[:, rows].T])

    R = triangle(blocks())
    if lead:
        problem.design.means[:] += R[0, 1:1 + p] / R[0, 0]
    return R[lead:, lead:]


def _refined(problem, coef, active, found):
    """One step of refinement on X itself, where its factor has full rank; the bound of what coef is then."""
    columns = Columns.of(problem)
    raw, counted, penalty = columns.raw, columns.raw[active], columns.F[active]
    g, squares = gradient(problem, coef)
    norms, rows, bound = np.linalg.norm(g, axis=1), np.sqrt(squares), np.full(len(coef), np.inf)
    for alpha, least in found.items():
        here, back = np.flatnonzero(problem.alphas == alpha), least.back
        if back is None:
            continue
        # back' g is what a change of the rows would be; the factor's own rounding comes back as a share of it
        share = rounding_of_sums(problem.n) * np.linalg.norm(back * counted[:, None]) * np.sqrt(len(back))
        if share >= 0.5:
            continue
        cells = here[:, None], active
        steps = g[cells] @ back
        lost = rounding_of_sums(problem.p) * (np.abs(coef[here]) @ raw + rows[here])
        lost += rounding_of_sums(problem.n) * np.linalg.norm(counted @ np.abs(back)) * rows[here]
        lost += OF_ALPHA * alpha * np.linalg.norm(np.abs(coef[cells]) * penalty @ np.abs(back), axis=1)
        size = np.linalg.norm(steps, axis=1)
        coef[cells] += steps @ back.T
        norms[here] = np.minimum(norms[here], 2 * share * np.linalg.norm(counted) * size)
        bound[here] = np.linalg.norm(back) * (share * size + lost) / (1 - share)
    reach = reach_of(problem, columns, columns.longest * norms, rows, coef)
    return np.minimum(bound, reach.bound(problem.alphas))


def _wide(problem):
    """From singular values of the rows: rows for the penalty would make a p x p matrix."""
    problem.moments()
    F, active = problem.diagonal(problem.design.norms)
    columns = np.arange(problem.p) if active is None else active
    A, F = problem.centred_rows()[:, columns], F[columns]
    if problem.fit_intercept:                           # what the means' rounding leaves of a level
        unit = problem.constant[:, None] / np.sqrt(problem.n)
        again = unit.T @ A
        A -= unit * again
        problem.design.means[columns] += again[0] / np.sqrt(problem.n)
    coef = np.zeros((len(problem.alphas), len(columns)))
    penalised, rank, singular = F > 0, 0, np.zeros(min(A.shape))
    positive = problem.alphas > 0
    if np.any(positive) and A.size:
        of_free = Free.of(A[:, ~penalised].T)
        if of_free is None:
            return None
        B = A[:, penalised] / np.sqrt(F[penalised])
        u, values, v = graded_svd(of_free.without(B.T).T)
        u = u[:, :len(values)]
        for t in np.flatnonzero(positive):
            found = (problem.targets[t] @ u * (values / (values**2 + problem.alphas[t]))) @ v
            coef[t, ~penalised] = of_free.coefficients((problem.targets[t] - B @ found)[None])[0]
            coef[t, penalised] = found / np.sqrt(F[penalised])
    if not np.all(positive) and A.size:
        q, r = interruptible(partial(qr, mode="economic", check_finite=False), A.T)
        found, _, rank, singular = interruptible(
            partial(np.linalg.lstsq, b=problem.targets[~positive].T, rcond=max(A.shape) * EPS), r.T)
        coef[~positive] = (q @ found).T
    whole = np.zeros((len(coef), problem.p))
    whole[:, columns] = coef
    solution = problem.solution(whole, problem.design.means, "svd", certify(problem, whole).bound)
    return solution, int(rank), singular


def eigen_primal(problem, G, Q, F, active, means):
    """Solutions of small norm of (G + alpha F) w = Q."""
    coef = np.zeros_like(Q)
    for alpha in np.unique(problem.alphas):
        here = problem.alphas == alpha
        M = G.copy()
        M[np.diag_indices_from(M)] += alpha * F
        values, vectors = interruptible(np.linalg.eigh, M)
        kept = values > problem.p * EPS * values[-1]
        back = vectors[:, kept] / values[kept]
        coef[here] = Q[here] @ back @ vectors[:, kept].T
    whole = np.zeros((len(coef), problem.p))
    whole[:, slice(None) if active is None else active] = coef
    problem.measure()
    return problem.solution(whole, means, "eigh", certify(problem, whole).bound)


def eigen_dual(problem, K, inverse):
    """Of (K + alpha) a = y, w = F^-1 X'a."""
    values, vectors = interruptible(np.linalg.eigh, K)
    values = values + problem.alphas[:, None]
    kept = values > problem.n * EPS * values[:, -1:]
    A = (np.where(kept, problem.targets @ vectors, 0) / np.where(kept, values, 1)) @ vectors.T
    coef = correlate(problem.design, problem.weights.rooted(A)) * inverse
    return problem.solution(coef, problem.design.means, "eigh", certify(problem, coef).bound)


@dataclass
class Free:
    """Columns without a penalty in an n x n system: its solutions are orthogonal to them, as to the intercept."""

    basis: np.ndarray      # (k, n), orthonormal rows
    triangle: np.ndarray   # the columns are basis' triangle
    order: np.ndarray      # in this order

    @classmethod
    def of(cls, columns):
        """From columns given as rows; None where they depend on each other or leave nothing to the penalty."""
        k, n = columns.shape
        if k == 0:
            return cls(np.zeros((0, n)), np.zeros((0, 0)), np.zeros(0, dtype=int))
        if 2 * k > n:
            return None
        scale = np.linalg.norm(columns, axis=1)
        q, r, order = interruptible(partial(qr, mode="economic", pivoting=True, check_finite=False),
                                    (columns / scale[:, None]).T)
        if abs(r[-1, -1]) <= n * np.sqrt(EPS) * abs(r[0, 0]):
            return None
        return cls(np.ascontiguousarray(q.T), r * scale[order], order)

    def without(self, rows):
        return rows - (rows @ self.basis.T) @ self.basis

    def emptied(self, K):
        """K without these directions, which get pivots of their own."""
        K = self.without(self.without(K).T)
        return K + self.basis.T * (np.trace(K) / len(K)) @ self.basis

    def coefficients(self, rest):
        """From what the other columns leave."""
        out = np.empty((len(rest), len(self.order)))
        if len(self.order):                             # LAPACK takes no empty system
            out[:, self.order] = solve_triangular(self.triangle, self.basis @ rest.T).T
        return out
