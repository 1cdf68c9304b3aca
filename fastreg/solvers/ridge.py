"""Squared loss with a squared penalty: which system to solve, and with what.

With G = X'SX (X centred) and F = diag(penalty factors), coefficients solve (G + alpha F) w = X'Sy. That is done by a
Cholesky factor of G where p is small against n, of the n x n kernel X F^-1 X' where n is small against p, by conjugate
gradients where neither pays, by orthogonal decompositions where the matrix is singular to rounding, and by the
working-set engine where coefficients have limits.
"""
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh, lstsq, qr, solve_triangular, svd
from scipy.linalg.lapack import dpotrf, dpotrs

from fastreg.design import as_canonical, as_design, canonical_sparse, effective_threads
from fastreg.kernels.gram import gram_of, kernel_of, products_of
from fastreg.kernels.krylov import column_moments, combine, conjugate_gradients, correlate, normal_products
from fastreg.kernels.merged import merge, spread
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.grams import MOST_DENSE, raw_kernel, sparse_gram, sparse_kernel
from fastreg.solvers.linear import (
    EXACT,
    SMALL,
    Penalty,
    centre_targets,
    check_finite,
    check_values,
    normalized_weight,
    solve_path,
)

# Multiply-adds a second of a Cholesky factorisation or rank-k update, entries a second of a product with X'X (dense
# and sparse), and updates a second of a Gram matrix by outer products of sparse rows: only their ratios matter.
FLOPS, DENSE_RATE, SPARSE_RATE, OUTER_RATE = 4e10, 1.2e9, 3e8, 8e8
# Residuals, relative to X'y, that no iteration can be asked to get below, and that count as rounding.
LEAST_TOL, ROUNDING = 1e-15, 1e-10
# Products a sparse problem is expected to need by conjugate gradients.
EXPECTED_PRODUCTS = 60
# Residual, relative to X'y, of conjugate gradients on dense X, where they stand in for a factorisation.
AS_GOOD_AS_DIRECT = 1e-9
# Share of a factorisation's cost that finding out whether conjugate gradients are cheaper may add.
SCOUTING = 1 / 12
# Targets from which a matrix product pays.
MANY = 4
SOLVERS = ("auto", "cholesky", "svd", "sparse_cg", "lsqr", "sag", "saga", "lbfgs")


@dataclass
class RidgeSolution:
    """Coefficients for every target, and how they were found."""

    coef: np.ndarray         # (n_targets, p)
    intercept: np.ndarray    # (n_targets,)
    solver: str
    n_iter: np.ndarray       # (n_targets,) products with X'X of iterative solvers, 1 of direct ones
    converged: bool = True


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
        Of iterative solvers: norm of the residual of the normal equations against that of X'y.
    max_iter : int or None
        Products with X'X at most, of iterative solvers; rounds of the engine.
    n_threads : int or None

    Returns
    -------
    RidgeSolution
    """
    problem = _Problem(X, Y, alphas, penalty or Penalty(), weight, fit_intercept, tol, max_iter, n_threads)
    return problem.solve(solver)


class _Problem:
    def __init__(self, X, Y, alphas, penalty, weight, fit_intercept, tol, max_iter, n_threads):
        self.n, self.p = X.shape
        self.X = canonical_sparse(X) if sp.issparse(X) else X
        self.sparse = sp.issparse(X)
        self.Y, self.raw_weight, self.raw_alphas, self.penalty = Y, weight, alphas, penalty
        self.weight = normalized_weight(weight, self.n)
        self.alphas = alphas * (1 if weight is None else self.n / np.sum(weight))     # as for weights that sum to n
        self.fit_intercept, self.tol, self.max_iter = fit_intercept, tol, max_iter
        self.n_threads = effective_threads(n_threads)
        self.targets, self.y_mean = centre_targets(Y, self.weight, fit_intercept)
        self.design = as_design(self.X, self.weight, fit_intercept, self.n_threads)
        self.factor = np.asarray(penalty.factor, dtype=np.float64)

    def solve(self, solver):
        if np.any(np.isfinite(self.penalty.lower)) or np.any(np.isfinite(self.penalty.upper)):
            return self._limited()
        with nullcontext() if self.n * self.p < SMALL else single_threaded_blas:
            if solver in ("sparse_cg", "lsqr", "sag", "saga", "lbfgs"):
                return self._iterative()
            if solver == "svd":
                return self._direct() if self._dominated() else self._orthogonal()
            if solver == "cholesky" and self.sparse and min(self.n, self.p) > MOST_DENSE:
                raise ValueError("solver='cholesky' would make a dense matrix of "
                                 f"{min(self.n, self.p)} rows of sparse X: use 'auto' or 'sparse_cg'.")
            if self.sparse and solver == "auto" and not self._small_system():
                return self._iterative()
            if solver == "auto" and not self.sparse:
                found = self._scout()
                if found is not None:
                    return found
            return self._direct()

    # ---- which system ------------------------------------------------------------------------------------------------
    def _small_system(self):
        """Whether sparse X has a p x p or n x n matrix that costs less than conjugate gradients."""
        p, n, nnz = self.p, self.n, self.X.nnz
        side, per_line = (p, nnz / n) if p <= n else (n, nnz / p)
        if side > MOST_DENSE:
            return False
        lines = np.diff(self.X.indptr) if (self.X.format == "csr") == (p <= n) else None
        outer = nnz * per_line if lines is None else float(np.dot(lines, lines.astype(np.float64)))
        return outer / 2 / OUTER_RATE + side**3 / 3 / FLOPS < EXPECTED_PRODUCTS * len(self.alphas) * nnz / SPARSE_RATE

    def _scout(self):
        """Conjugate gradients on dense X, if a few steps of them promise to cost less than a factorisation."""
        least = min(self.n, self.p)
        direct = self.n * self.p * least / FLOPS + least**3 / 3 / FLOPS
        product = self.n * self.p / DENSE_RATE * len(self.alphas)
        steps = int(SCOUTING * direct / product)
        if steps < 3 or self.p > self.n or self._factors_matter().any():
            return None
        return self._iterative(scouting=(steps, int(direct / product)))

    def _factors_matter(self):
        return (self.factor == 0) | np.isinf(self.factor)

    # ---- direct ------------------------------------------------------------------------------------------------------
    def _direct(self):
        if np.min(self.alphas) == 0 and self.n * self.p <= EXACT:
            return self._least_squares()         # nothing but X itself has all the digits
        if self.p <= self.n:
            return self._primal()
        return self._dual()

    def _wide_and_free(self):
        """Conjugate gradients where free columns depend on each other or are many: a p x p matrix is too large."""
        self.tol = min(self.tol, AS_GOOD_AS_DIRECT)
        return self._iterative()

    def _primal(self):
        """(G + alpha F) w = X'y by Cholesky; where that is singular to rounding, by orthogonal decompositions."""
        G, Q, F, active, means = self._gram()
        if G.size == 0:
            return self._solution(np.zeros((len(Q), 0)), active, means, "cholesky")
        distinct, of_target = np.unique(self.alphas, return_inverse=True)
        coef = np.empty_like(Q)
        if len(distinct) > 8 and np.all(F > 0):     # a decomposition costs as much as a few factors
            root = np.sqrt(F)
            values, vectors = eigh(G / np.outer(root, root), overwrite_a=True, check_finite=False)
            if values[0] + distinct[0] <= self._least_pivot() * values[-1]:
                return self._orthogonal()
            coef[:] = ((Q / root) @ vectors / (values + self.alphas[:, None])) @ vectors.T / root
            return self._solution(coef, active, means, "eigh")
        if not _cholesky(G, distinct, F, of_target, Q, coef, self._least_pivot()):
            return self._orthogonal()
        return self._solution(coef, active, means, "cholesky")

    def _gram(self):
        """(X'X, X'Y, factors of alpha) of the columns that count, these columns or None for all, and the means."""
        if self.sparse:
            Y = self.targets if self.weight is None else np.ascontiguousarray((self.Y - self.y_mean).T)
            G, Q, means, norms = sparse_gram(self.X, Y, self.weight, self.fit_intercept, self.n_threads)
        else:
            G, Q = gram_of(self.design, self.targets)
            means, norms = self.design.means, self.design.norms
        check_finite(self.X, norms)
        F, active = self._diagonal(norms)
        if active is not None:
            G, Q, F = G[np.ix_(active, active)], Q[:, active], F[active]
        return G, Q, F, active, means

    def _dominated(self):
        """Whether the penalty outweighs X: orthogonal decompositions are not good at rows so far apart in size."""
        column_moments(self.design, self.targets[:1])
        norms = self.design.norms
        F, active = self._diagonal(norms)
        F = F if active is None else F[active]
        return F.size > 0 and np.min(self.alphas) * np.min(F) > np.sum(norms**2)

    def _diagonal(self, norms):
        """(factors of alpha for every column, the columns that count or None for all)."""
        F = np.broadcast_to(self.factor, (self.p,)).copy()
        if self.penalty.standardize:
            with np.errstate(invalid="ignore"):
                F *= norms**2 / self.n
        counts = (norms > 0) & np.isfinite(np.broadcast_to(self.factor, (self.p,)))
        return F, None if counts.all() else np.flatnonzero(counts)

    def _dual(self):
        """(X F^-1 X' + alpha) a = y by Cholesky, w = F^-1 X'a."""
        K = level = None
        if self.weight is None and np.all(self.factor == 1) and not self.penalty.standardize:
            K, level = raw_kernel(self.design, self.fit_intercept)
        if K is None:
            F, active, inverse = self._inverse()
            plain = active is None and np.all(F == 1)
            K = self._kernel(inverse, plain)
            free = np.flatnonzero((F == 0) & (self.design.norms > 0))
        else:
            free = np.zeros(0, dtype=int)
            check_values(self.X, np.diag(K))
        if self.fit_intercept:     # y has no part in the direction that centring empties: a full one has good pivots
            unit = np.ones(self.n) if self.weight is None else np.sqrt(self.weight)
            K += np.outer(unit * (np.trace(K) / (unit @ unit)), unit)
        targets = self.targets
        if free.size:
            of_free = _Free.of(self._columns(free))
            if of_free is None:
                return self._wide_and_free()
            whole, K, targets = K, of_free.emptied(K), of_free.without(targets)
        A = np.empty_like(self.targets)
        distinct, of_target = np.unique(self.alphas, return_inverse=True)
        solver = "eigh" if len(distinct) > 8 else "cholesky_kernel"
        if len(distinct) > 8:
            values, vectors = eigh(K, overwrite_a=True, check_finite=False)
            if values[0] + distinct[0] <= self._least_pivot() * values[-1]:
                return self._orthogonal()
            A[:] = (targets @ vectors / (values + self.alphas[:, None])) @ vectors.T
        elif not _cholesky(K, distinct, 1.0, of_target, targets, A, self._least_pivot()):
            return self._orthogonal()
        if level is not None and self.fit_intercept:
            A -= A.mean(axis=1, keepdims=True)   # zero but for rounding, which the level of X would magnify
        if level is not None and len(A) >= MANY:
            coef = products_of(self.design, A)
        else:
            coef = correlate(self.design, A if self.weight is None else A * np.sqrt(self.weight))
        if level is None:
            coef = coef if plain else coef * inverse
            if free.size:
                coef[:, free] = of_free.coefficients(self.targets - A @ whole)
            return self._solution(coef, None, self.design.means, solver)
        found = self._solution(coef, None, np.zeros(self.p), solver)
        found.intercept -= A @ level             # the mean of X X'a, which takes no means of columns
        return found

    def _columns(self, which):
        """These columns, centred and weighted, as rows."""
        W = np.zeros((len(which), self.p))
        W[np.arange(len(which)), which] = 1
        return combine(self.design, W)

    def _least_pivot(self):
        """Relative pivot below which a matrix is not left to Cholesky: the alternative costs little on small X."""
        return 1e-8 if self.n * self.p <= EXACT else 8 * min(self.n, self.p) * np.finfo(float).eps

    def _inverse(self):
        """(factors, the columns that count or None for all, inverse factors: 0 where a column does not count
        or is free)."""
        column_moments(self.design, self.targets[:1])
        norms = self.design.norms
        check_finite(self.X, norms)
        F, active = self._diagonal(norms)
        inverse = np.zeros(self.p)
        np.divide(1, F, out=inverse, where=(norms > 0) & np.isfinite(F) & (F > 0))
        return F, active, inverse

    def _kernel(self, inverse, plain=False):
        """X F^-1 X', centred and weighted."""
        if self.sparse:
            return sparse_kernel(self.X, self.design, inverse, self.weight, self.fit_intercept, self.n_threads)
        return kernel_of(self.design, None if plain else inverse)

    # ---- singular to rounding ----------------------------------------------------------------------------------------
    def _orthogonal(self):
        """Least squares of small norm: of X itself where it is small, else from the eigenvectors of X'X or XX'."""
        if self.n * self.p <= EXACT:
            return self._least_squares()
        if self.sparse and min(self.n, self.p) > MOST_DENSE:
            return self._iterative()
        if self.p <= self.n:
            return self._eigen_primal()
        return self._wide_and_free() if (self.factor == 0).any() else self._eigen_dual()

    def _dense_columns(self):
        """A centred, weighted, dense copy of X, for small X."""
        X = np.asarray(self.X.toarray() if self.sparse else self.X, dtype=np.float64)
        check_finite(X, np.abs(X).max(axis=0))
        means = np.average(X, axis=0, weights=self.weight) if self.fit_intercept else np.zeros(self.p)
        A = X - means
        if self.fit_intercept:
            again = np.average(A, axis=0, weights=self.weight)         # the rounding of high means counts
            A -= again
            means = means + again
        if self.weight is not None:
            A *= np.sqrt(self.weight)[:, None]
        return A, means

    def _least_squares(self):
        A, means = self._dense_columns()
        norms = np.linalg.norm(A, axis=0)
        norms[norms <= 32 * np.finfo(float).eps * np.abs(means) * np.sqrt(self.n)] = 0
        F, active = self._diagonal(norms)
        if active is not None:
            A, F, norms = A[:, active], F[active], norms[active]
        coef = np.zeros((len(self.alphas), A.shape[1]))
        wide = A.shape[1] > self.n
        if wide and self.alphas.max() > 0:
            penalized = F > 0
            of_free = _Free.of(A[:, ~penalized].T)
            if of_free is None:
                return self._wide_and_free()
            B = A[:, penalized] / np.sqrt(F[penalized])
            u, values, v = svd(of_free.without(B.T).T, full_matrices=False, check_finite=False)
            values[values <= A.shape[1] * np.finfo(float).eps * values[0]] = 0
        for alpha in np.unique(self.alphas) if A.shape[1] else ():
            here = self.alphas == alpha
            if wide and alpha > 0:               # rows for the penalty would make a p x p matrix
                found = (self.targets[here] @ u * (values / (values**2 + alpha))) @ v
                coef[np.ix_(here, ~penalized)] = of_free.coefficients(self.targets[here] - found @ B.T)
                coef[np.ix_(here, penalized)] = found / np.sqrt(F[penalized])
                continue
            damped = np.vstack([A, np.diag(np.sqrt(alpha * F))]) if alpha > 0 and F.any() else A
            right = np.zeros((len(damped), np.count_nonzero(here)))
            right[:self.n] = self.targets[here].T
            # columns of one length first: digits are lost to their dependence alone, not to their scales
            scale = np.linalg.norm(damped, axis=0)
            q, r, order = qr(damped / scale, mode="economic", pivoting=True, check_finite=False)
            steps = np.abs(np.diag(r))
            if len(steps) == A.shape[1] and steps[-1] > A.shape[1] * np.finfo(float).eps * steps[0]:
                coef[np.ix_(here, order)] = (np.linalg.solve(r, q.T @ right) / scale[order, None]).T
                left = right - damped @ coef[here].T
                coef[np.ix_(here, order)] += (np.linalg.solve(r, q.T @ left) / scale[order, None]).T
            else:
                cutoff = max(damped.shape) * np.finfo(float).eps
                coef[here] = lstsq(damped, right, cond=cutoff, check_finite=False)[0].T
        return self._solution(coef, active, means, "svd")

    def _eigen_primal(self):
        G, Q, F, active, means = self._gram()
        coef = np.zeros_like(Q)
        for alpha in np.unique(self.alphas):
            here = self.alphas == alpha
            M = G.copy()
            M[np.diag_indices_from(M)] += alpha * F
            values, vectors = eigh(M, overwrite_a=True, check_finite=False)
            kept = values > self.p * np.finfo(float).eps * values[-1]
            back = vectors[:, kept] / values[kept]
            coef[here] = Q[here] @ back @ vectors[:, kept].T
        return self._solution(coef, active, means, "eigh")

    def _eigen_dual(self):
        inverse = self._inverse()[2]
        K = self._kernel(inverse)
        values, vectors = eigh(K, overwrite_a=True, check_finite=False)
        values = values + self.alphas[:, None]
        kept = values > self.n * np.finfo(float).eps * values[:, -1:]
        A = (np.where(kept, self.targets @ vectors, 0) / np.where(kept, values, 1)) @ vectors.T
        coef = correlate(self.design, A if self.weight is None else A * np.sqrt(self.weight)) * inverse
        return self._solution(coef, None, self.design.means, "eigh")

    # ---- iterative ---------------------------------------------------------------------------------------------------
    def _iterative(self, scouting=None, spent=None):
        """Conjugate gradients on the p x p system; on the n x n one where n is small: X X' has no null space then.

        Unless that was tried: `spent` are its products."""
        limit = (self.max_iter or 10 * self.p + 100) - (0 if spent is None else np.max(spent))
        # stored by rows, sparse X is read once for a product with X'X and twice for one with XX', by columns vice versa
        much = 8 if self.sparse and self.X.format == "csr" else 1
        wide = much * self.n < self.p and not self._factors_matter().any()
        if wide and scouting is None and spent is None:
            return self._iterative_dual(limit)
        B = column_moments(self.design, self.targets if self.weight is None else self.targets * np.sqrt(self.weight))
        norms = self.design.norms
        check_finite(self.X, norms)
        F, active = self._diagonal(norms)
        if active is not None:
            B[:, np.setdiff1d(np.arange(self.p), active)] = 0
        free = np.isfinite(F)
        D = np.where(free, np.multiply.outer(self.alphas, np.where(free, F, 0)), np.inf)
        W, tol = np.zeros_like(B), max(self.tol, LEAST_TOL)
        if scouting is not None:
            tol = min(tol, AS_GOOD_AS_DIRECT)
            count, residual, _ = conjugate_gradients(self.design, B, D, W, tol, scouting[0])
            with np.errstate(divide="ignore"):
                needed = np.max(count * np.log(tol) / np.log(np.clip(residual, tol, 1 - 1e-3)), initial=0)
            if needed > 0.6 * scouting[1]:
                return None
            limit = scouting[1]
        count, residual, _ = conjugate_gradients(self.design, B, D, W, tol, limit)
        count = count if spent is None else count + spent
        if scouting is not None and np.max(residual, initial=0) > tol:
            return None
        done = residual <= max(tol, ROUNDING)
        return self._solution(W, None, self.design.means, "sparse_cg", count, done.all())

    def _iterative_dual(self, limit):
        """C X F^-1 X' C' a + alpha a = y, C centring and scaling the rows; w = F^-1 X' C' a, checked as such.

        No moments of columns are needed but for factors of their own: p may be large."""
        inverse = None
        if np.any(self.factor != 1) or self.penalty.standardize:
            inverse = self._inverse()[2]
        merged = _Merged.of(self.X) if inverse is None else None
        if merged is None:
            across, beside = as_design(self.X.T, inverse, False, self.n_threads), None
        else:
            across, beside = as_design(merged.across, merged.counts, False, self.n_threads), merged.squares
        column_moments(across, np.zeros((0, across.n)))          # squares of the rows, which precondition
        root = None if self.weight is None else np.sqrt(self.weight)
        unit = None
        if self.fit_intercept:
            unit = (np.ones(self.n) if root is None else root) / np.sqrt(self.n)

        def to_rows(V):
            V = V if unit is None else V - np.multiply.outer(V @ unit, unit)
            return np.ascontiguousarray(V if root is None else V * root)

        def size(V):
            """Norms of X'V[t]."""
            products = combine(across, V) if inverse is None else normal_products(across, V)[1]
            squares = np.sum(products**2, axis=1)
            return np.sqrt(squares if merged is None else squares + V**2 @ beside)

        of_targets = size(to_rows(self.targets))
        check_values(self.X, np.append(across.norms, of_targets))
        D = np.broadcast_to(self.alphas[:, None], self.targets.shape).copy()
        A, tol = np.zeros_like(self.targets), max(self.tol, LEAST_TOL)
        count = np.zeros(len(self.alphas), dtype=int)
        for _ in range(6):
            more, _, left = conjugate_gradients(across, self.targets, D, A, tol, limit - np.max(count), root, unit,
                                                beside, of_targets)
            count = count + more
            left = size(to_rows(left))
            worst = np.max(np.divide(left, of_targets, out=np.zeros(len(left)), where=of_targets > 0))
            if worst <= self.tol or tol == LEAST_TOL or np.max(count) >= limit:
                break
            tol = max(tol * max(0.5 * self.tol / worst, 1e-3), LEAST_TOL)
        done = worst <= max(self.tol, ROUNDING)
        if not done and np.max(count) < limit:       # rounding: only w itself has the digits that are asked for
            return self._iterative(spent=count)
        A = to_rows(A)
        fits, W = normal_products(across, A)
        if merged is not None:
            fits, W = fits + beside * A, merged.spread(W, A)
        intercept = self.y_mean
        if self.fit_intercept:
            intercept = intercept - np.average(fits, axis=1, weights=self.weight)
        return RidgeSolution(W if inverse is None else W * inverse, intercept, "sparse_cg", count, bool(done))

    # ---- limits ------------------------------------------------------------------------------------------------------
    def _limited(self):
        """The elastic net's engine, one alpha at a time."""
        total = self.n if self.raw_weight is None else np.sum(self.raw_weight)
        coef, intercept = np.empty((len(self.alphas), self.p)), np.empty(len(self.alphas))
        rounds, converged = np.zeros(len(self.alphas), dtype=int), True
        penalty = Penalty(0.0, self.penalty.factor, self.penalty.lower, self.penalty.upper, self.penalty.standardize)
        for alpha in np.unique(self.raw_alphas):
            here = self.raw_alphas == alpha
            found = solve_path(self.X, self.Y[:, here], np.array([alpha / total]), penalty, weight=self.weight,
                               fit_intercept=self.fit_intercept, tol=min(self.tol, 1e-8),
                               max_iter=self.max_iter or 1000, n_threads=self.n_threads)
            coef[here], intercept[here] = found.dense(), found.intercepts[0]
            rounds[here], converged = found.n_iters[0], converged and bool(found.converged.all())
        return RidgeSolution(coef, intercept, "active_set", rounds, converged)

    def _solution(self, coef, active, means, solver, n_iter=None, converged=True):
        if active is not None:
            full = np.zeros((len(coef), self.p))
            full[:, active] = coef
            coef = full
        n_iter = np.ones(len(coef), dtype=int) if n_iter is None else n_iter
        return RidgeSolution(coef, self.y_mean - coef @ means, solver, n_iter, bool(converged))


@dataclass
class _Free:
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
        if abs(r[-1, -1]) <= n * np.sqrt(np.finfo(float).eps) * abs(r[0, 0]):
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
        out[:, self.order] = solve_triangular(self.triangle, self.basis @ rest.T).T
        return out


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


def _cholesky(M, alphas, F, of_target, right, out, least_pivot):
    """out[t] = (M + alpha diag(F))^-1 right[t], alpha = alphas[of_target[t]]; M is overwritten.

    False where a pivot is that small against its diagonal entry: digits of the solution would be lost."""
    diagonal = np.diag(M).copy()
    for k, alpha in enumerate(alphas):
        A = M if k == len(alphas) - 1 else M.copy()
        shifted = diagonal + alpha * F
        A[np.diag_indices_from(A)] = shifted
        factor, failed = dpotrf(A.T, lower=1, clean=0, overwrite_a=1)      # OpenBLAS is faster on this triangle
        if failed or np.any(np.diag(factor) ** 2 <= least_pivot * shifted):
            return False
        here = of_target == k
        solved, failed = dpotrs(factor, np.asfortranarray(right[here].T), lower=1, overwrite_b=1)
        if failed:
            return False
        out[here] = solved.T
    return True


def normal_residual(X, Y, coef, intercept, alphas, penalty=None, *, weight=None, fit_intercept=True, n_threads=None):
    """Certificate of a ridge regression: how far its coefficients are from solving their normal equations.

    Returns
    -------
    ndarray of shape (n_targets,)
        Norm of ``X'S(y - Xw - b) - alpha F w`` (X centred with an intercept), relative to that of ``X'S(y - mean)``,
        in float64 from X itself.
    """
    penalty = penalty or Penalty()
    n, p = X.shape
    normal = normalized_weight(weight, n)
    targets, _ = centre_targets(Y, normal, fit_intercept)
    X = canonical_sparse(X) if sp.issparse(X) else X
    design = as_design(X, normal, fit_intercept, effective_threads(n_threads))
    root = np.ones(n) if normal is None else np.sqrt(normal)
    right = column_moments(design, targets * root)
    check_finite(X, design.norms)
    F = np.broadcast_to(np.asarray(penalty.factor, dtype=np.float64), (p,))
    if penalty.standardize:
        F = F * (design.norms**2 / n)
    alphas = alphas * (1 if weight is None else n / np.sum(weight))
    error = correlate(design, (targets - combine(design, coef)) * root)
    free = np.isfinite(F)
    error = np.where(free, error - alphas[:, None] * np.where(free, F, 0) * coef, 0)
    size = np.linalg.norm(right, axis=1)
    raw = np.sqrt(np.sum(design.norms**2 + n * design.means**2))          # what rounding is relative to
    seen = size > 16 * np.finfo(float).eps * np.linalg.norm(targets, axis=1) * raw
    return np.divide(np.linalg.norm(error, axis=1), size, out=np.zeros(len(size)), where=seen)
