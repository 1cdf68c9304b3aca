"""A ridge regression as its solvers take it, and what they hand back."""
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fastreg.design import as_design, canonical_sparse, effective_threads
from fastreg.finite import check_finite
from fastreg.kernels.krylov import column_moments
from fastreg.scale import Scale
from fastreg.weights import Weights

# Of an alpha, which other numbers are added to.
LARGEST = np.finfo(float).max / 2


@dataclass
class RidgeSolution:
    """Coefficients for every target, how they were found, and how far they can be from the exact ones."""

    coef: np.ndarray         # (n_targets, p)
    intercept: np.ndarray    # (n_targets,)
    solver: str
    n_iter: np.ndarray       # (n_targets,) products with X'X of iterative solvers, 1 of direct ones
    residual: np.ndarray     # (n_targets,) norm of X'S(y - Xw - b) - alpha F w, its own rounding included
    bound: np.ndarray        # (n_targets,) on the norm of (coef - exact ones); inf where there is none
    stopped: str = ""        # what ended it before tol was reached: 'max_iter' or 'rounding'

    @property
    def converged(self):
        return not self.stopped


class RidgeProblem:
    """``sum_i s_i (y_i - x_i w - b)^2 + alpha sum_j f_j w_j^2`` for every target, the weights summing to n.

    Attributes
    ----------
    X : ndarray or CSR or CSC
    targets : ndarray of shape (n_targets, n)
        Centred where an intercept is fitted, times the roots of the weights.
    weight, root : ndarray of shape (n,) or None
        Summing to n, and its square root.
    alphas : ndarray of shape (n_targets,)
        As for these weights: those given times n over the sum of those given.
    factor : ndarray of shape () or (p,)
    design : Design
        Its means and norms are known once a solver has asked for moments.
    """

    def __init__(self, X, Y, alphas, penalty, weight, fit_intercept, n_threads):
        self.n, self.p = X.shape
        self.sparse = sp.issparse(X)
        self.X = canonical_sparse(X) if self.sparse else X
        self.Y, self.raw_weight, self.raw_alphas, self.penalty = Y, weight, alphas, penalty
        self.weights = Weights(weight, self.n)
        self.weight, self.root = self.weights.normalised, self.weights.root
        self.unit = self.weights.total / self.n        # of the objective, in what was asked for
        with np.errstate(over="ignore"):
            self.alphas = np.minimum(alphas / self.unit, LARGEST)
        self.fit_intercept, self.n_threads = fit_intercept, effective_threads(n_threads)
        self.targets, self.y_mean = self.weights.centred(Y, fit_intercept)
        self.design = as_design(self.X, self.weight, fit_intercept, self.n_threads)
        self.factor = np.asarray(penalty.factor, dtype=np.float64)

    def moments(self):
        """X'S(y - mean) as rows; the design knows its means and norms then."""
        rows = self.targets if self.root is None else self.targets * self.root
        products = column_moments(self.design, rows)
        check_finite(self.X, self.design.norms)
        return products

    def diagonal(self, norms):
        """(factors of alpha for every column, the columns that count or None for all)."""
        F = np.full(self.p, self.factor)
        if self.penalty.standardize:
            with np.errstate(invalid="ignore"):
                F *= norms**2 / self.n
        counts = (norms > 0) & np.isfinite(self.factor)
        return F, None if counts.all() else np.flatnonzero(counts)

    def inverse(self):
        """(factors, the columns that count or None for all, inverse factors: 0 where a column does not count or is
        free)."""
        column_moments(self.design, self.targets[:1])
        norms = self.design.norms
        check_finite(self.X, norms)
        F, active = self.diagonal(norms)
        inverse = np.zeros(self.p)
        np.divide(1, F, out=inverse, where=(norms > 0) & np.isfinite(F) & (F > 0))
        return F, active, inverse

    def distinct_alphas(self):
        """(increasing alphas, the index of every target's)."""
        if np.all(self.alphas == self.alphas[0]):       # as a rule, and `unique` takes its time
            return self.alphas[:1], np.zeros(len(self.alphas), dtype=int)
        return np.unique(self.alphas, return_inverse=True)

    def uneven(self):
        """The columns that are free or excluded."""
        return (self.factor == 0) | np.isinf(self.factor)

    def solution(self, coef, active, means, solver, proof, n_iter=None, stopped=""):
        """With coefficients of the columns `active` (None: all), and (residual, bound) of a certificate."""
        if active is not None:
            full = np.zeros((len(coef), self.p))
            full[:, active] = coef
            coef = full
        n_iter = np.ones(len(coef), dtype=int) if n_iter is None else n_iter
        return RidgeSolution(coef, self.y_mean - coef @ means, solver, n_iter, *proof, stopped)


def scaled_problem(X, Y, alphas, penalty, weight, fit_intercept, n_threads):
    """(the problem with targets and weights of moderate size, Scale of the targets, Scale of the weights).

    Powers of two: no digit changes, no square overflows. Coefficients, intercepts and bounds are those of the targets
    scaled alike; residuals are products of all three."""
    units, of_weight = Scale.of(Y, each=True), Scale(0)
    if units.exponent.any():
        Y = units.down(np.asarray(Y, dtype=np.float64))
    if weight is not None:
        of_weight = Scale.of(weight)
        weight = of_weight.down(weight)
        with np.errstate(over="ignore"):
            alphas = np.minimum(of_weight.down(alphas), LARGEST)
    return RidgeProblem(X, Y, alphas, penalty, weight, fit_intercept, n_threads), units, of_weight
