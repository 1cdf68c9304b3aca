"""Ridge regression by conjugate gradients: on the p x p system, or on the n x n one of wide X."""
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastreg.design import as_canonical, as_design, view_of
from fastreg.finite import check_values
from fastreg.kernels.krylov import column_moments, conjugate_gradients, normal_products
from fastreg.kernels.merged import merge, spread
from fastreg.kernels.view import View
from fastreg.solvers.ridge.certificate import (
    Columns,
    bound_from_kernel,
    certify,
    excused,
    least_penalty,
    reach_of,
    rounding_of_sums,
)
from fastreg.solvers.ridge.grams import EPS
from fastreg.solvers.ridge.problem import RidgeProblem, absent
from fastreg.solvers.ridge.solution import BY_LIMIT, BY_ROUNDING, CERTIFIED, RidgeSolution

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
    """Stop with the limits that make sense."""
    return Stop(max(tol, LEAST_TOL), tol if within is None else within, max_iter or 10 * p + 100)


def iterate(problem, end):
    """RidgeSolution by the p x p system, or by the n x n one where n is small: XX' has no null space then.

    Stored by rows, sparse X is read once for a product with X'X and twice for one with XX', by columns vice versa."""
    much = 8 if problem.sparse and problem.X.format == "csr" else 1
    spent = np.zeros(len(problem.alphas), dtype=int)
    if much * problem.n < problem.p and np.min(problem.alphas) > 0 and not problem.uneven().any():
        found = Kernel.of(problem).solve(end)
        if found.converged or np.max(found.n_iter) >= end.max_iter:
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
    return found if found.converged else None


@dataclass(frozen=True, eq=False)
class System:
    """(X'SX + alpha F) w = X'Sy, and where its solution stands."""

    problem: RidgeProblem
    B: np.ndarray
    columns: Columns
    D: np.ndarray
    W: np.ndarray
    least: np.ndarray    # (n_targets,) of alpha F

    @classmethod
    def of(cls, problem):
        B, columns = problem.moments(), Columns.of(problem)
        F, active = columns.F, columns.active
        if active is not None:
            B[:, absent(active, problem.p)] = 0
        counts = np.isfinite(F)
        D = np.where(counts, np.multiply.outer(problem.alphas, np.where(counts, F, 0)), np.inf)
        return cls(problem, B, columns, D, np.zeros_like(B), least_penalty(problem, F, active))

    def run(self, end, max_iter):
        return conjugate_gradients(self.problem.design, self.B, self.D, self.W, end.tol, max_iter, least=self.least,
                                   within=end.within, Y=self.problem.targets)

    def solve(self, end, spent):
        """Go on; `spent` are the products so far."""
        problem = self.problem
        found = self.run(end, end.max_iter - np.max(spent))
        reach = reach_of(problem, self.columns, self.columns.longest * found.norms, found.rows, self.W)
        done = found.norms <= found.goals
        if not done.all():
            done |= excused(self.W, certify(problem, self.W))
        stopped = np.where(done, CERTIFIED, BY_LIMIT if found.spent else BY_ROUNDING)
        return problem.solution(self.W, problem.design.means, "sparse_cg", reach.bound(problem.alphas),
                                n_iter=found.count + spent, stopped=stopped)


@dataclass(frozen=True, eq=False)
class Kernel:
    """C X F^-1 X' C' a + alpha a = y, C centring and scaling the rows; w = F^-1 X' C' a.

    No moments of columns are needed but for factors of their own: p may be large."""

    problem: RidgeProblem
    inverse: np.ndarray | None    # F^-1; None where all factors are 1
    least_factor: float
    merged: object                # X with columns of a single entry merged, or None
    across: View                  # X', its rows weighted by F^-1
    unit: np.ndarray | None       # the direction of the intercept, of norm 1

    @classmethod
    def of(cls, problem):
        inverse, least_factor, merged = None, 1.0, None
        if np.any(problem.factor != 1) or problem.penalty.standardize:
            F, active, inverse = problem.inverse()
            least_factor = float(np.min(F if active is None else F[active], initial=np.inf))
        else:
            merged = _Merged.of(problem.X)
        if merged is None:
            across = view_of(as_design(problem.X.T, problem.n_threads), inverse, False)
        else:
            across = view_of(as_design(merged.across, problem.n_threads), merged.counts, False)
        column_moments(across, np.zeros((0, across.n)))          # squares of the rows, which precondition
        check_values(problem.X, across.norms)
        unit = problem.constant / np.sqrt(problem.n) if problem.fit_intercept else None
        return cls(problem, inverse, least_factor, merged, across, unit)

    def solve(self, end):
        problem = self.problem
        D = np.broadcast_to(problem.alphas[:, None], problem.targets.shape).copy()
        A, within, count = np.zeros_like(problem.targets), end.within, np.zeros(len(problem.alphas), dtype=int)
        least = 2 * np.sqrt(problem.alphas * self.least_factor)
        beside = None if self.merged is None else self.merged.squares
        for _ in range(6):
            found = conjugate_gradients(self.across, problem.targets, D, A, end.tol, end.max_iter - np.max(count),
                                        problem.weights.root, self.unit, beside, least, within)
            count = count + found.count
            coef, fits, bound = self._primal(A)
            norms = np.linalg.norm(coef, axis=1)
            worst = np.max(np.divide(bound, norms, out=np.zeros(len(norms)), where=norms > 0))
            if worst <= end.within or within == 0 or found.spent:
                break
            within *= max(0.5 * end.within / worst, 1e-3)
            if within < LEAST_TOL:
                break
        stopped = CERTIFIED if worst <= max(end.within, ROUNDING) else BY_LIMIT if found.spent else BY_ROUNDING
        intercept = problem.y_means
        if problem.fit_intercept:
            intercept = intercept - np.average(fits, axis=1, weights=problem.weights.normalised)
        return RidgeSolution(coef, intercept, bound, "sparse_cg", count, np.full(len(count), stopped))

    def _primal(self, A):
        """(coefficients of dual variables A, X times them, their bound)."""
        problem, merged = self.problem, self.merged
        rows = problem.weights.rooted(self._centred(A))
        fits, W = normal_products(self.across, np.ascontiguousarray(rows))
        if merged is not None:
            fits, W = fits + merged.squares * rows, merged.spread(W, rows)
        left = problem.targets - problem.alphas[:, None] * A - self._centred(problem.weights.rooted(fits))
        left = self._centred(left)               # the part along `unit` is none of the problem's
        coef = W if self.inverse is None else W * self.inverse
        of_coef = np.sqrt(np.sum(W * coef, axis=1))
        squares = self.across.norms**2 + (0 if merged is None else merged.squares)
        size = np.sqrt(np.sum(squares if problem.weights.root is None else squares * problem.weights.normalised))
        spread_of = size if self.inverse is None else np.linalg.norm(self.inverse * problem.design.norms)
        per_row = problem.X.nnz / problem.n if problem.sparse else problem.p
        lost = rounding_of_sums(per_row) * size * of_coef + EPS * np.linalg.norm(problem.targets, axis=1)
        rows = np.linalg.norm(left, axis=1) + lost
        return coef, fits, bound_from_kernel(problem, rows, A, spread_of, self.least_factor)

    def _centred(self, V):
        return V if self.unit is None else V - np.multiply.outer(V @ self.unit, self.unit)


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
