"""Squared loss: from arrays to a path of certified solutions. Thin: the work is in ``working_set`` and the kernels."""
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from fastreg import costs
from fastreg.design import as_design, canonical_sparse, effective_threads
from fastreg.finite import check_finite
from fastreg.kernels.krylov import normal_products
from fastreg.rounding import single, toward_zero
from fastreg.scale import LEAST, Scale, target_scales
from fastreg.solutions import Solutions, relative
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.working_set import Engine
from fastreg.weights import Weights

# Relative difference from X'X up to which a matrix that the user gives in its place is one to rounding.
EXACT_GRAM = 1e-12


def prefers_gram(X, n_alphas):
    """Whether X'X of dense X costs less than the passes a path of so many alphas would make without it."""
    n, p = X.shape
    if sp.issparse(X) or (p > 2 * n and p > 100):
        return False
    passes = 8 + 0.5 * (n_alphas - 1)
    return 16 * p * p <= costs.BUDGET and n * p * p / costs.GRAM_RATE < passes * n * p / costs.PASS_RATE


def capacity(X, n_targets, n_grams=1, share=1):
    """Columns of a working set that fit into the budget: m columns of X, their Gram matrices, a factor for each target;
    where `share` of them share it, each."""
    n, p = X.shape
    per_column = 12 * X.nnz / p if sp.issparse(X) else 8 * n
    quadratic = 8 * (n_grams + n_targets)
    return int((np.sqrt(per_column**2 + 4 * quadratic * costs.BUDGET / share) - per_column) / (2 * quadratic))


@dataclass
class Moments:
    """What a fit needs of the (weighted, centred) dense X and y when it knows X'X."""

    gram: np.ndarray   # (p, p)
    xy: np.ndarray     # (n_targets, p)
    means: np.ndarray  # (p,)
    norms: np.ndarray  # (p,)


def _has_norms(gram, norms):
    """Whether the diagonal of a Gram matrix is that of columns of these norms."""
    scale = np.max(norms, initial=0.0) + np.finfo(float).tiny
    return np.allclose(np.diag(gram) / scale**2, (norms / scale) ** 2, rtol=1e-4, atol=1e-6)


def _agrees(gram, design):
    """Whether X'X as the user gives it is that of X to rounding: held against X by a combination of its columns.

    Raises
    ------
    ValueError
        Where it is another matrix altogether."""
    norms = design.norms
    signs = np.where(np.random.default_rng(0).random(len(norms)) < 0.5, -1.0, 1.0)
    v = np.divide(signs, norms, out=np.zeros(len(norms)), where=norms > 0)
    off = np.abs(gram @ v - normal_products(design, v[None])[0][0])
    size = (np.maximum(np.sqrt(np.abs(np.diag(gram))), norms) + np.finfo(float).tiny) * np.sqrt(len(norms))
    worst = np.max(np.maximum(off, np.abs(np.diag(gram) - norms**2) / size) / size)
    if not worst <= 1e-4:
        raise ValueError("precompute: the Gram matrix did not pass validation, it is not that of X (centred where an "
                         "intercept is fitted, weighted where there are sample weights).")
    return worst <= EXACT_GRAM


def _check_products(xy, correlations):
    """What the user says of X'y must agree with X."""
    if xy is not None and not np.allclose(xy.T, correlations, rtol=1e-3, atol=1e-5 * np.max(np.abs(correlations))):
        raise ValueError("Xy is not X'y (centred where an intercept is fitted, weighted where there are weights).")


def gram_mode(X, alphas, gram):
    """`gram` of PathSolver for these alphas: small problems with alpha = 0 are not left to the Gram matrix."""
    return False if gram is None and np.min(alphas) == 0 and X.size <= costs.EXACT else gram


def alpha_grid(alpha_max, n_alphas, eps):
    """Geometric grid from alpha_max down to eps * alpha_max; where that is 0, any alpha gives zeros.

    Raises
    ------
    ValueError
        Where it leaves float64."""
    if alpha_max == 0:
        return np.full(n_alphas, np.finfo(float).resolution)
    if not np.isfinite(alpha_max):
        raise ValueError("y and X are so large that the alphas of the path overflow: scale them down.")
    if alpha_max * eps < LEAST:
        raise ValueError("y and X are so small that the alphas of the path underflow, to zero or to a few digits: "
                         "scale them up.")
    grid = np.geomspace(alpha_max, alpha_max * eps, num=n_alphas)
    grid[0] = alpha_max
    return grid


def largest_alpha(engine, t, penalty, norms, n):
    """The smallest alpha at which every penalised coefficient of problems t of an engine is zero; of what would
    underflow, the smallest number that there is."""
    top = float(np.max(engine.alpha_max()[t]))
    if top > 0 or penalty.exponent >= 0:
        return top
    slopes, factor = np.abs(engine.correlations[t]), penalty.scaled(Scale(0)).arrays(norms, n)[0]
    shares = np.divide(slopes, factor, out=np.zeros_like(slopes), where=np.broadcast_to(factor > 0, slopes.shape))
    lost = np.max(shares, initial=0.0) > 0 and Scale(penalty.exponent).up(np.max(shares)) == 0
    return np.finfo(float).smallest_subnormal if lost else top


class PathSolver:
    """Solutions for every column of Y along decreasing alphas, which may come piece by piece.

    Parameters
    ----------
    X : ndarray or scipy sparse, shape (n, p), float32 or float64
        NaN or infinity raise a ValueError.
    Y : ndarray of shape (n, n_targets)
    penalty : Penalty
    n_alphas : int
        About how many will come: decides between full Gram matrix and working sets.
    fit_intercept : bool
    weights : Weights or None
    tol : float
        Gap at most ``tol * ||y||^2`` (centred, weighted) in the summed objective.
    n_threads : int or None
    gram : bool, ndarray of shape (p, p) or None
        Whether to compute the whole Gram matrix (dense X), None meaning as is faster; or that matrix, of the centred
        and weighted X.
    xy : ndarray of shape (p, n_targets) or None
        X'Y, only checked: it is computed anyway.
    known : Moments or None
        Of the weighted and centred data, where they are known: X is not read.
    report : callable or None
        Called with the number of finished alphas (of a piece) now and then.
    """

    def __init__(self, X, Y, penalty, n_alphas, *, fit_intercept=True, weights=None, tol=1e-4, n_threads=None,
                 gram=None, xy=None, known=None, report=None):
        self.n, self.p = X.shape
        X = canonical_sparse(X) if sp.issparse(X) else X
        self.tol, self.penalty = tol, penalty
        weights = weights or Weights(None, self.n)
        self.targets, self.y_mean = weights.centred(Y, fit_intercept)
        self.design = as_design(X, weights.normalised, fit_intercept, effective_threads(n_threads))
        self.small = X.shape[0] * X.shape[1] < costs.SMALL
        given = gram if isinstance(gram, np.ndarray) else None
        if given is None and (gram is None or sp.issparse(X)):
            gram = prefers_gram(X, n_alphas)
        with self._blas():
            if given is not None:
                # moments from X, which is read once to see whether the matrix fits it
                scout = Engine(self.design, self.targets, False, tol, 2)
                scout.prepare()
                check_finite(X, self.design.norms)
                raw = np.hypot(self.design.norms, np.sqrt(self.n) * self.design.means)
                gram = not sp.issparse(X)        # what agrees but roughly serves no certificate: it is formed anew
                if fit_intercept and _has_norms(given, raw) and not _has_norms(given, self.design.norms):
                    warnings.warn("Gram matrix was provided but X was centered to fit intercept: recomputing Gram "
                                  "matrix.", UserWarning, stacklevel=4)
                elif _agrees(given, self.design) and gram:
                    known = Moments(given, scout.correlations, self.design.means.copy(), self.design.norms.copy())
            targets = len(self.targets)
            self.engine = Engine(self.design, self.targets, known is not None or gram, tol,
                                 capacity(X, targets, 1 if targets == 1 else 1 + targets), report)
            if known is not None:
                # a target that is constant but for rounding has been emptied, of which the sums do not know
                products = np.where(self.targets.any(axis=1)[:, None], known.xy, 0)
                self.engine.prepare_known(known.gram, products, known.means, known.norms)
            else:
                self.engine.prepare()
            check_finite(X, self.design.norms)
            _check_products(xy, self.engine.correlations)
            self.engine.set_penalty([penalty.arrays(self.design.norms, self.n)])

    def _blas(self):
        return nullcontext() if self.small else single_threaded_blas

    def largest_alpha(self):
        """The smallest alpha at which every penalised coefficient of every target is zero."""
        with self._blas():
            return largest_alpha(self.engine, slice(None), self.penalty, self.design.norms, self.n)

    def start(self, coefs):
        """Start from coefs of shape (n_targets, p)."""
        with self._blas():
            for t, coef in enumerate(coefs):
                self.engine.warm(t, np.ascontiguousarray(coef, dtype=np.float64))

    def advance(self, alphas, max_iter=1000, from_x=True):
        """Solutions for alphas, in their order, going on from the last.

        max_iter: rounds for each alpha; from_x: the last solutions are certified from X, whatever the others rest on.
        """
        with self._blas():
            return Solutions.by(self.engine, alphas, max_iter, self.targets, self.design.means, self.y_mean, from_x)

    def certify(self, solutions, at):
        """The Solutions (of one target) with number `at` certified from X."""
        if solutions.from_x[at]:
            return solutions
        with self._blas():
            gap, stopped = self.engine.certify(solutions.alphas[at], solutions.coef(at)[None])
        found = {name: getattr(solutions, name).copy() for name in ("dual_gaps", "relative_gaps", "from_x", "stopped")}
        found["dual_gaps"][at], found["relative_gaps"][at] = gap / self.n, relative(gap, self.targets)
        found["from_x"][at], found["stopped"][at] = True, np.maximum(found["stopped"][at], stopped)
        return replace(solutions, **found)

    def rounded(self, alpha, coefs):
        """Coefficients of shape (n_targets, p) at one alpha rounded to float32, as Solutions with the gaps they have.

        The intercept that goes with the rounded coefficients is rounded in its turn: what that costs is exact, as the
        residuals sum to zero at the best one.
        """
        self.start(toward_zero(coefs))
        found = self.advance(np.array([alpha]), 0)
        intercepts = found.intercepts.astype(np.float32).astype(np.float64)
        return replace(found, intercepts=intercepts,
                       dual_gaps=found.dual_gaps + 0.5 * (intercepts - found.intercepts) ** 2)

    def moments_of(self, features):
        """(X'X, X'Y as rows, means) of a few columns, centred and weighted, the weights summing to n."""
        features = np.ascontiguousarray(features, dtype=np.intc)
        with self._blas():
            return self.engine.gram(features), self.engine.correlations[:, features], self.design.means[features]


def solve_path(X, Y, alphas, penalty, *, max_iter=1000, eps=1e-3, warm=None, gram=None, xy=None, rounded=False,
               **options):
    """Solutions for decreasing alphas and every column of Y.

    Parameters
    ----------
    X, Y, penalty, gram, xy, options
        As for PathSolver.
    alphas : int or ndarray
        A number of values from the largest useful one down to `eps` times it, or the values, in the order to solve.
    max_iter : int
        Rounds of working set and certificate for each alpha.
    warm : ndarray of shape (n_targets, p) or None
        Where to start.
    rounded : bool
        Whether solutions are rounded to float32 once they are found, and their gaps with them.

    Returns
    -------
    Solutions
    """
    count = alphas if isinstance(alphas, int) else len(alphas)
    Y = np.asarray(Y, dtype=np.float64)
    gram, solvers, scales = gram_mode(X, alphas, gram), [], target_scales(Y)
    for group, scale in scales:
        solver = PathSolver(X, scale.down(Y[:, group]), penalty.scaled(scale), count, gram=gram,
                            xy=None if xy is None else scale.down(xy[:, group]), **options)
        if warm is not None:
            solver.start(scale.down(warm[group]))
        solvers.append(solver)
    if isinstance(alphas, int):
        alphas = alpha_grid(max(solver.largest_alpha() for solver in solvers), alphas, eps)
    found = []
    for solver, (_, scale) in zip(solvers, scales):
        solutions = solver.advance(alphas, max_iter)
        found.append(solutions.scaled_up(scale))
        if rounded and single(found[-1].data, found[-1].intercepts):
            at = solver.rounded(alphas[0], solutions.dense()) if count == 1 else rounded_path(solver, solutions)
            at = at.scaled_up(scale)
            found[-1] = replace(found[-1], **{name: getattr(at, name) for name in (
                "indptr", "indices", "data", "intercepts", "dual_gaps")})
    return Solutions.merged([group for group, _ in scales], found)


def rounded_path(solver, solutions):
    """Solutions without intercept of many alphas, rounded to float32: what that adds to the objective is added to the
    gaps. It is known from products of the columns in use, so that X is not read for each alpha once more."""
    data, gaps, n_targets = toward_zero(solutions.data).astype(np.float64), solutions.dual_gaps.copy(), len(
        solver.targets)
    pen1, pen2 = (np.broadcast_to(part, solver.p) for part in solver.penalty.arrays(solver.design.norms, solver.n)[:2])
    rounded = replace(solutions, data=data, dual_gaps=gaps)
    for k, alpha in enumerate(np.repeat(solutions.alphas, n_targets)):
        (features, w), (_, new) = solutions.nonzero(k), rounded.nonzero(k)
        if len(features) == 0:
            continue
        gram, xy, _ = solver.moments_of(features)
        step = new - w
        added = (0.5 * step @ gram @ step - step @ (xy[k % n_targets] - gram @ w) + alpha * (
            pen1[features] @ (np.abs(new) - np.abs(w)) + 0.5 * pen2[features] @ (new**2 - w**2)))
        gaps[np.unravel_index(k, gaps.shape)] += added / solver.n
    return replace(rounded, dual_gaps=np.maximum(gaps, 0))
