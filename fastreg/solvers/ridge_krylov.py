"""Ridge regression by conjugate gradients: on the p x p system, or on the n x n one of wide X."""
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastreg.design import as_canonical, as_design
from fastreg.finite import check_values
from fastreg.kernels.krylov import column_moments, conjugate_gradients, normal_products
from fastreg.kernels.merged import merge, spread
from fastreg.solvers.ridge_certificate import (
    at_rounding,
    from_kernel,
    least_penalty,
    proof_of,
    rounding_of_sums,
)
from fastreg.solvers.ridge_problem import RidgeSolution

# A residual, relative to X'y, that no iteration can be asked to get below.
LEAST_TOL = 1e-15
# Of the n x n system: an error of coefficients, relative to their norm, that counts as rounding.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Stop:
    """When conjugate gradients may end: `tol` is of residuals relative to X'y, `within` of the bound of the
    coefficients relative to their norm, where there is one."""

    tol: float
    within: float
    max_iter: int


def stop(tol, max_iter, p, within=None):
    return Stop(max(tol, LEAST_TOL), tol if within is None else within, max_iter or 10 * p + 100)


def iterate(problem, end):
    """The p x p system, or the n x n one where n is small: XX' has no null space then.

    Stored by rows, sparse X is read once for a product with X'X and twice for one with XX', by columns vice versa."""
    much = 8 if problem.sparse and problem.X.format == "csr" else 1
    spent = np.zeros(len(problem.alphas), dtype=int)
    if much * problem.n < problem.p and np.min(problem.alphas) > 0 and not problem.uneven().any():
        found = _of_rows(problem, end)
        if not found.stopped or np.max(found.n_iter) >= end.max_iter:
            return found
        spent = found.n_iter                         # rounding: only w itself has the digits that are asked for
    return System.of(problem).solve(end, spent)


def scout(problem, end, steps, most):
    """The p x p system of dense X, if `steps` products tell that fewer than `most` are needed; otherwise None."""
    system = System.of(problem)
    found = system.run(end, steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.clip(found.norms / np.linalg.norm(system.B, axis=1), end.tol, 1 - 1e-3)
        needed = np.max(found.count * np.log(end.tol) / np.log(left), initial=0)
    if needed > 0.6 * most:
        return None
    found = system.solve(Stop(end.tol, end.within, most), np.zeros(len(problem.alphas), dtype=int))
    return None if found.stopped else found


@dataclass
class System:
    """(X'SX + alpha F) w = X'Sy, and where its solution stands."""

    problem: object
    B: np.ndarray
    F: np.ndarray
    D: np.ndarray
    W: np.ndarray
    least: np.ndarray    # (n_targets,) of alpha F

    @classmethod
    def of(cls, problem):
        B = problem.moments()
        F, active = problem.diagonal(problem.design.norms)
        if active is not None:
            B[:, np.setdiff1d(np.arange(problem.p), active)] = 0
        counts = np.isfinite(F)
        D = np.where(counts, np.multiply.outer(problem.alphas, np.where(counts, F, 0)), np.inf)
        return cls(problem, B, F, D, np.zeros_like(B), least_penalty(problem, F, active))

    def run(self, end, max_iter):
        return conjugate_gradients(self.problem.design, self.B, self.D, self.W, end.tol, max_iter, least=self.least,
                                   within=end.within, Y=self.problem.targets)

    def solve(self, end, spent):
        """Go on; `spent` are the products so far."""
        problem = self.problem
        found = self.run(end, end.max_iter - np.max(spent))
        proof = proof_of(problem, found.norms, found.rows, self.W, self.F, self.least)
        done = found.norms <= found.goals
        if not done.all():
            done |= at_rounding(problem, self.W, proof[1])
        stopped = "" if done.all() else "max_iter" if found.spent else "rounding"
        return problem.solution(self.W, None, problem.design.means, "sparse_cg", proof, found.count + spent, stopped)


def _of_rows(problem, end):
    """C X F^-1 X' C' a + alpha a = y, C centring and scaling the rows; w = F^-1 X' C' a.

    No moments of columns are needed but for factors of their own: p may be large."""
    n, root = problem.n, problem.root
    inverse, least_factor = None, 1.0
    if np.any(problem.factor != 1) or problem.penalty.standardize:
        F, active, inverse = problem.inverse()
        least_factor = float(np.min(F if active is None else F[active], initial=np.inf))
    merged = _Merged.of(problem.X) if inverse is None else None
    if merged is None:
        across, beside = as_design(problem.X.T, inverse, False, problem.n_threads), None
    else:
        across, beside = as_design(merged.across, merged.counts, False, problem.n_threads), merged.squares
    column_moments(across, np.zeros((0, across.n)))          # squares of the rows, which precondition
    check_values(problem.X, across.norms)
    unit = None
    if problem.fit_intercept:
        unit = (np.ones(n) if root is None else root) / np.sqrt(n)

    def to_rows(V):
        V = V if unit is None else V - np.multiply.outer(V @ unit, unit)
        return np.ascontiguousarray(V if root is None else V * root)

    D = np.broadcast_to(problem.alphas[:, None], problem.targets.shape).copy()
    A, within = np.zeros_like(problem.targets), end.within
    least = 2 * np.sqrt(problem.alphas * least_factor)
    count = np.zeros(len(problem.alphas), dtype=int)
    squares = across.norms**2 + (0 if merged is None else beside)
    size = np.sqrt(np.sum(squares if root is None else squares * problem.weight))     # of X F^-1/2
    per_row = problem.X.nnz / n if problem.sparse else problem.p
    for _ in range(6):
        found = conjugate_gradients(across, problem.targets, D, A, end.tol, end.max_iter - np.max(count), root, unit,
                                    beside, least, within)
        count = count + found.count
        rows = to_rows(A)
        fits, W = normal_products(across, rows)
        if merged is not None:
            fits, W = fits + beside * rows, merged.spread(W, rows)
        left = problem.targets - problem.alphas[:, None] * A
        centred = fits if root is None else fits * root
        left -= centred if unit is None else centred - np.multiply.outer(centred @ unit, unit)
        # the part along `unit` is none of the problem's
        left = left if unit is None else left - np.multiply.outer(left @ unit, unit)
        coef = W if inverse is None else W * inverse
        norms = np.linalg.norm(coef, axis=1)
        of_coef = norms if inverse is None else np.sqrt(np.sum(W * coef, axis=1))
        lost = rounding_of_sums(per_row) * size * of_coef + 2.3e-16 * np.linalg.norm(problem.targets, axis=1)
        whole = size if inverse is None else np.linalg.norm(problem.design.norms)
        spread_of = size if inverse is None else np.linalg.norm(inverse * problem.design.norms)
        proof = from_kernel(problem, np.linalg.norm(left, axis=1) + lost, A, whole, spread_of, least_factor)
        worst = np.max(np.divide(proof[1], norms, out=np.zeros(len(norms)), where=norms > 0))
        if worst <= end.within or within == 0 or found.spent:
            break
        within *= max(0.5 * end.within / worst, 1e-3)
        if within < LEAST_TOL:
            break
    stopped = ""
    if worst > max(end.within, ROUNDING):
        stopped = "max_iter" if found.spent else "rounding"
    intercept = problem.y_mean
    if problem.fit_intercept:
        intercept = intercept - np.average(fits, axis=1, weights=problem.weight)
    return RidgeSolution(coef, intercept, "sparse_cg", count, *proof, stopped)


@dataclass
class _Merged:
    """CSR whose columns with a single entry share one, of weight zero: X X' loses squares on its diagonal by that.

    Only indices are new. Where most columns are such (pairs of words, identifiers), vectors with an element for each
    column then fit into the cache."""

    X: sp.csr_array
    across: sp.csc_array   # X', merged
    counts: np.ndarray     # weights of its rows: 1, and 0 of the last
    squares: np.ndarray    # (n,) what the diagonal lost
    column: np.ndarray     # (p,) where each column went

    @classmethod
    def of(cls, X):
        """None where columns are stored as such, or too few of them have a single entry."""
        if not sp.issparse(X) or X.format != "csr" or X.indices.dtype != np.int32:
            return None
        column, kept, indices, squares = merge(X.data, X.indices, X.indptr, X.shape[1])
        if indices is None:
            return None
        merged = as_canonical(sp.csc_array((X.data, indices, X.indptr), shape=(kept + 1, X.shape[0])))
        return cls(X, merged, np.append(np.ones(kept), 0.0), squares, column)

    def spread(self, products, V):
        """X' V[t] as rows, from that of the merged columns."""
        return spread(self.X.data, self.X.indices, self.X.indptr, self.across.indices, self.column, products, V)
