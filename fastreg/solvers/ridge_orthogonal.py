"""Ridge regression and least squares by orthogonal decompositions of X, and of Gram matrices singular to rounding."""
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, lstsq, qr, solve_triangular, svdvals
from scipy.linalg.lapack import dgeqrf, dormqr, dtrtri

from fastreg.kernels.krylov import column_moments, correlate
from fastreg.solvers.graded import graded_svd
from fastreg.solvers.grams import EPS
from fastreg.solvers.ridge_certificate import (
    from_rows,
    gradient,
    least_penalty,
    proof_of,
    raw_norms,
    rounding_of_sums,
)

# Elements of a block of rows that one decomposition takes at once.
BLOCK = 1 << 22


def centred_rows(problem, start=0, stop=None):
    """Rows of X, dense, centred and weighted: a copy. The means must be known."""
    rows = problem.X[start:stop]
    rows = np.array(rows.toarray() if problem.sparse else rows, dtype=np.float64, order="C")
    rows -= problem.design.means
    if problem.root is not None:
        rows *= problem.root[start:stop, None]
    return rows


def triangle(problem):
    """(R, C) with X = QR, C = (Q'y)' for centred and weighted X, from blocks of rows.

    What the means' rounding leaves of a level is taken out by a column of its own before the others."""
    n, p = problem.n, problem.p
    lead = int(problem.fit_intercept)
    per = n if n * p <= BLOCK else max(1024, 4 * p)
    R, C = np.zeros((0, p + lead)), np.zeros((0, len(problem.targets)))
    for start in range(0, n, per):
        stop = min(n, start + per)
        block = np.empty((len(R) + stop - start, p + lead), order="F")
        block[:len(R)] = R
        if lead:
            block[len(R):, 0] = 1.0 if problem.root is None else problem.root[start:stop]
        block[len(R):, lead:] = centred_rows(problem, start, stop)
        right = np.asfortranarray(np.vstack([C, problem.targets[:, start:stop].T]))
        R, C = _reduced(block, right)
    if lead:
        problem.design.means[:] += R[0, 1:] / R[0, 0]
    return np.ascontiguousarray(R[lead:, lead:]), np.ascontiguousarray(C[lead:].T)


def _reduced(block, right):
    """(R, Q' right) of the rows that are left; both arguments are overwritten."""
    if block.size == 0:                          # LAPACK refuses arrays of nothing
        return block[:0], right[:0]
    found, tau, _, failed = dgeqrf(block, lwork=64 * block.shape[1], overwrite_a=1)
    _succeeded("dgeqrf", failed)
    kept = min(block.shape)
    right, _, failed = dormqr("L", "T", found[:, :kept], tau, right, lwork=64 * max(1, right.shape[1]), overwrite_c=1)
    _succeeded("dormqr", failed)
    return np.triu(found[:kept]), right[:kept]


def _succeeded(name, failed):
    if failed:
        raise RuntimeError(f"LAPACK's {name} refused argument {-failed}.")


@dataclass
class LeastSquares:
    """Least squares without a penalty: coefficients of least norm, rank and singular values of X."""

    coef: np.ndarray
    rank: int
    singular: np.ndarray
    back: np.ndarray | None    # inverse of the triangular factor where X has full rank


def minimum_norm(R, C):
    """Least squares ``R w = C[t]`` for an upper triangular or trapezoidal R; where its columns depend on each other,
    of least norm. Whether they do is asked of columns of one length: digits are lost to their dependence alone."""
    k, p = R.shape
    singular = svdvals(R, check_finite=False) if R.size else np.zeros(min(k, p))
    scale = np.linalg.norm(R, axis=0)
    used = np.flatnonzero(scale)
    if len(used) == 0:
        return LeastSquares(np.zeros((len(C), p)), 0, singular, None)
    if k == p and scale.all():
        back = _inverse(R / scale, scale)
        if back is not None:
            coef = solve_triangular(R, C.T, check_finite=False).T
            return LeastSquares(coef, p, singular, back)
    coef, scale = np.zeros((len(C), p)), scale[used]
    q, r, order = qr(R[:, used] / scale, mode="economic", pivoting=True, check_finite=False)
    rank = int(np.count_nonzero(np.abs(np.diag(r)) > max(k, p) * EPS * abs(r[0, 0])))
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


def _inverse(unit, scale):
    """Inverse of the upper triangle `unit` times diag(scale), `unit` having columns of norm 1; None where it is
    singular to rounding."""
    p = len(unit)
    inverse, failed = dtrtri(unit)
    if failed or not np.abs(unit).sum(axis=0).max() * np.abs(inverse).sum(axis=0).max() * p * EPS < 1:
        return None
    return inverse / scale[:, None]


def least_squares(problem):
    """(solution, rank, singular values of the columns that count): the last two for the smallest alpha, penalty
    included. None instead where p > n and free columns depend on each other or are many."""
    return _wide(problem) if problem.p > problem.n else _tall(problem)


def _tall(problem):
    """Every alpha by a triangular factor of [X; sqrt(alpha F)]."""
    problem.moments()
    R, C = triangle(problem)
    norms, p = problem.design.norms, problem.p
    whole, active = problem.diagonal(norms)
    columns = np.arange(p) if active is None else active
    F = whole[columns]
    if active is not None:
        R, C = _reduced(np.asfortranarray(R[:, active]), np.asfortranarray(C.T))
        C = np.ascontiguousarray(C.T)
    coef, found = np.zeros((len(problem.alphas), p)), {}
    for alpha in np.unique(problem.alphas):
        here = problem.alphas == alpha
        part, right = R, C[here]
        if alpha > 0 and F.any():
            rows = np.vstack([R, np.diag(np.sqrt(alpha * F))])
            right = np.hstack([right, np.zeros((len(right), len(F)))])
            part, right = _reduced(np.asfortranarray(rows), np.asfortranarray(right.T))
            right = np.ascontiguousarray(right.T)
        found[alpha] = minimum_norm(part, right)
        coef[np.ix_(here, columns)] = found[alpha].coef
    proof = _refined(problem, coef, columns, whole, found)
    least = found[np.min(problem.alphas)]
    return problem.solution(coef, None, problem.design.means, "svd", proof), least.rank, least.singular


def _refined(problem, coef, columns, F, found):
    """One step of refinement on X itself, where its factor has full rank; (residual, bound) of what coef is then."""
    raw = raw_norms(problem.design)
    counted, penalty = raw[columns], F[columns]
    g, rows = _gradient(problem, coef, penalty, columns)
    norms, bound = np.linalg.norm(g, axis=1), np.full(len(coef), np.inf)
    for alpha, least in found.items():
        here, back = np.flatnonzero(problem.alphas == alpha), least.back
        if back is None:
            continue
        # back' g is what a change of the rows would be; the factor's own rounding comes back as a share of it
        share = rounding_of_sums(problem.n) * np.linalg.norm(back * counted[:, None]) * np.sqrt(len(back))
        if share >= 0.5:
            continue
        steps = g[np.ix_(here, columns)] @ back
        lost = rounding_of_sums(problem.p) * (np.abs(coef[here]) @ raw + rows[here])
        lost += rounding_of_sums(problem.n) * np.linalg.norm(counted @ np.abs(back)) * rows[here]
        lost += EPS * alpha * np.linalg.norm(np.abs(coef[np.ix_(here, columns)]) * penalty @ np.abs(back), axis=1)
        size = np.linalg.norm(steps, axis=1)
        coef[np.ix_(here, columns)] += steps @ back.T
        norms[here] = np.minimum(norms[here], 2 * share * np.linalg.norm(counted) * size)
        bound[here] = np.linalg.norm(back) * (share * size + lost) / (1 - share)
    residual, by_penalty = proof_of(problem, norms, rows, coef, F, least_penalty(problem, F, columns))
    return residual, np.minimum(bound, by_penalty)


def _gradient(problem, coef, penalty, columns):
    """``gradient``, from a dense copy of sparse X, small as it is here: its level costs no digits then."""
    if not problem.sparse:
        return gradient(problem, coef)
    A = centred_rows(problem)
    left = problem.targets - coef @ A.T
    g = np.zeros_like(coef)
    g[:, columns] = left @ A[:, columns] - problem.alphas[:, None] * penalty * coef[:, columns]
    return g, np.linalg.norm(left, axis=1)


def _wide(problem):
    """From singular values of the rows: rows for the penalty would make a p x p matrix."""
    problem.moments()
    F, active = problem.diagonal(problem.design.norms)
    columns = np.arange(problem.p) if active is None else active
    A, F = centred_rows(problem)[:, columns], F[columns]
    if problem.fit_intercept:                           # what the means' rounding leaves of a level
        unit = (np.ones(problem.n) if problem.root is None else problem.root)[:, None] / np.sqrt(problem.n)
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
        q, r = qr(A.T, mode="economic", check_finite=False)
        found, _, rank, singular = lstsq(r.T, problem.targets[~positive].T, cond=max(A.shape) * EPS,
                                         check_finite=False)
        coef[~positive] = (q @ found).T
    whole = np.zeros((len(coef), problem.p))
    whole[:, columns] = coef
    solution = problem.solution(whole, None, problem.design.means, "svd", from_rows(problem, whole))
    return solution, int(rank), singular


def bounded(problem, t, lower, upper):
    """Coefficients of target t within limits, by orthogonal decompositions of the columns between theirs."""
    from scipy.optimize import lsq_linear  # rarely needed, and slow to import

    F, _ = problem.diagonal(problem.design.norms)
    moves = np.flatnonzero(np.isfinite(F) & (problem.design.norms > 0) & (lower < upper))
    coef = np.zeros(problem.p)
    if moves.size:
        damping = np.sqrt(problem.alphas[t] * F[moves])
        rows = np.vstack([centred_rows(problem)[:, moves], np.diag(damping)])
        scale = np.linalg.norm(rows, axis=0)         # digits are lost to dependence alone, not to units
        right = np.concatenate([problem.targets[t], np.zeros(len(moves))])
        found = lsq_linear(rows / scale, right, (lower[moves] * scale, upper[moves] * scale), method="bvls", tol=EPS,
                           max_iter=10 * len(moves) + 100)
        coef[moves] = np.clip(found.x / scale, lower[moves], upper[moves])
    return coef


def eigen_primal(problem, G, Q, F, active, means):
    """Solutions of small norm of (G + alpha F) w = Q."""
    coef = np.zeros_like(Q)
    for alpha in np.unique(problem.alphas):
        here = problem.alphas == alpha
        M = G.copy()
        M[np.diag_indices_from(M)] += alpha * F
        values, vectors = eigh(M, overwrite_a=True, check_finite=False)
        kept = values > problem.p * EPS * values[-1]
        back = vectors[:, kept] / values[kept]
        coef[here] = Q[here] @ back @ vectors[:, kept].T
    found = problem.solution(coef, active, means, "eigh", (None, None))
    column_moments(problem.design, problem.targets[:1])
    found.residual, found.bound = from_rows(problem, found.coef)
    return found


def eigen_dual(problem, K, inverse):
    """Of (K + alpha) a = y, w = F^-1 X'a."""
    values, vectors = eigh(K, overwrite_a=True, check_finite=False)
    values = values + problem.alphas[:, None]
    kept = values > problem.n * EPS * values[:, -1:]
    A = (np.where(kept, problem.targets @ vectors, 0) / np.where(kept, values, 1)) @ vectors.T
    coef = correlate(problem.design, A if problem.root is None else A * problem.root) * inverse
    return problem.solution(coef, None, problem.design.means, "eigh", from_rows(problem, coef))


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
        q, r, order = qr((columns / scale[:, None]).T, mode="economic", pivoting=True, check_finite=False)
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
