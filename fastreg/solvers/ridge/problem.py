"""A ridge regression as its solvers take it."""
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from fastreg import costs
from fastreg.design import as_design, canonical_sparse, view_of
from fastreg.finite import check_finite
from fastreg.kernels.krylov import column_moments
from fastreg.penalties.elastic_net import Penalty
from fastreg.scale import Scale
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.ridge.solution import RidgeSolution
from fastreg.threads import effective_threads
from fastreg.weights import Weights

# Of an alpha, which other numbers are added to.
LARGEST = sys.float_info.max / 2


def absent(active, p):
    """Which of p columns are not among `active`, as a mask."""
    mask = np.ones(p, dtype=bool)
    mask[active] = False
    return mask


@dataclass(frozen=True, eq=False)
class Level:
    """What is subtracted from columns and targets where an intercept is fitted; zeros without."""

    means: np.ndarray      # (p,)
    y_means: np.ndarray    # (n_targets,)
    fit_intercept: bool

    def intercepts(self, coefs):
        """Intercepts that go with coefficients of shape (..., n_targets, p)."""
        return self.y_means - coefs @ self.means


@dataclass(frozen=True, eq=False)
class RidgeProblem:
    """``sum_i s_i (y_i - x_i w - b)^2 + alpha sum_j f_j w_j^2`` for every target, the weights summing to n.

    Made by `of`. Targets and weights are brought to moderate size by powers of two, weights to a sum of n and alphas
    with them; solutions are for the targets as they are here, and `restored` takes them back.

    Attributes
    ----------
    X : ndarray or CSR or CSC, shape (n, p)
    Y : ndarray of shape (n, n_targets)
        Divided by `units`.
    penalty : Penalty
        Its factors, limits and `standardize`; its l1_ratio is of no account.
    given : ndarray
        Alphas as for the weights before they sum to n: one for each target, or a grid that all targets share.
    weights : Weights
        Divided by `of_weight`.
    fit_intercept : bool
    n_threads : int
    units, of_weight : Scale
        Of each target, and of the weights.
    """

    X: object
    Y: np.ndarray
    penalty: Penalty
    given: np.ndarray
    weights: Weights
    fit_intercept: bool
    n_threads: int
    units: Scale
    of_weight: Scale

    @classmethod
    def of(cls, X, Y, alphas, penalty, weight, fit_intercept, n_threads):
        """From what estimators take.

        Parameters
        ----------
        X : ndarray or scipy sparse, shape (n, p), float32 or float64
            NaN or infinity raise a ValueError once its moments are known.
        Y : ndarray of shape (n, n_targets)
        alphas : ndarray
            Of each target, or the grid of all.
        penalty : Penalty
        weight : ndarray of shape (n,) or None
            Raw sample weights.
        fit_intercept : bool
        n_threads : int or None

        Returns
        -------
        RidgeProblem
        """
        units, of_weight = Scale.of(Y, each=True), Scale(0)
        if units.exponent.any():
            Y = units.down(np.asarray(Y, dtype=np.float64))
        if weight is not None:
            of_weight = Scale.of(weight)
        if of_weight.exponent:
            weight = of_weight.down(weight)
            alphas = np.minimum(of_weight.down(alphas), LARGEST)
        X = canonical_sparse(X) if sp.issparse(X) else X
        return cls(X, Y, penalty, alphas, Weights(weight, X.shape[0]), fit_intercept, effective_threads(n_threads),
                   units, of_weight)

    @cached_property
    def _centred(self):
        return self.weights.centred(self.Y, self.fit_intercept)

    @property
    def targets(self):
        """Centred where an intercept is fitted, times the roots of the weights: shape (n_targets, n)."""
        return self._centred[0]

    @property
    def y_means(self):
        return self._centred[1]

    @cached_property
    def design(self):
        """Design whose means and norms are known once a solver has asked for moments."""
        return view_of(as_design(self.X, self.n_threads), self.weights.normalised, self.fit_intercept)

    # ---- others like it ----------------------------------------------------------------------------------------------
    def at(self, given):
        """The targets over and over, each time at the next of these alphas, which are as `given`."""
        n_targets, centred = self.Y.shape[1], self._centred
        if len(given) > n_targets:
            turns = np.arange(len(given)) % n_targets
            other = replace(self, given=given, Y=self.Y[:, turns], units=Scale(self.units.exponent[turns]))
            centred = centred[0][turns], centred[1][turns]
        else:
            other = replace(self, given=given)
        vars(other).update(_centred=centred, design=self.design)      # nothing is asked twice of X
        return other

    def fold(self, counts, given=None):
        """Of a training set that has each row so many times; at alphas as `given`, or at those of all rows."""
        return replace(self, weights=self.weights.times(counts), given=self.given if given is None else given)

    def without(self, row):
        """With one row less, penalised as all rows ask for. The norms must be known."""
        penalty = self.penalty
        if penalty.standardize:
            F, active = self.diagonal(self.design.norms)
            if active is not None:
                F[absent(active, self.p)] = np.inf
            penalty = replace(penalty, factor=F, standardize=False)
        return replace(self, weights=self.weights.without(row), penalty=penalty)

    def dense(self):
        """With X as an array."""
        return replace(self, X=self.X.toarray()) if self.sparse else self

    # ---- sizes and strengths -----------------------------------------------------------------------------------------
    @property
    def n(self):
        return self.X.shape[0]

    @property
    def p(self):
        return self.X.shape[1]

    @property
    def sparse(self):
        return not isinstance(self.X, np.ndarray)

    @property
    def small(self):
        """Whether X has so few elements that its own decompositions cost little."""
        return self.n * self.p <= costs.EXACT

    def blas(self):
        """One BLAS thread, but where X is so small that to ask for it costs more."""
        return nullcontext() if self.n * self.p < costs.SMALL else single_threaded_blas

    @property
    def unit(self):
        """Of the objective, in that of the weights before they sum to n."""
        return self.weights.total / self.n

    @cached_property
    def alphas(self):
        """`given`, for weights that sum to n."""
        return np.minimum(self.given, LARGEST * self.unit) / self.unit

    @property
    def factor(self):
        return np.asarray(self.penalty.factor, dtype=np.float64)

    @cached_property
    def constant(self):
        """The column of the intercept, times the roots of the weights."""
        return np.ones(self.n) if self.weights.root is None else self.weights.root

    def distinct_alphas(self):
        """(increasing alphas, the index of every target's)."""
        if np.all(self.alphas == self.alphas[0]):       # as a rule, and `unique` takes its time
            return self.alphas[:1], np.zeros(len(self.alphas), dtype=int)
        return np.unique(self.alphas, return_inverse=True)

    # ---- columns -----------------------------------------------------------------------------------------------------
    def moments(self):
        """X'S(y - mean) as rows; the design knows its means and norms then."""
        products = column_moments(self.design, self.weights.rooted(self.targets))
        check_finite(self.X, self.design.norms)
        return products

    def measure(self):
        """Make the design know its means and norms."""
        column_moments(self.design, np.empty((0, self.n)))
        check_finite(self.X, self.design.norms)

    @property
    def level(self):
        """Level of columns and targets. The means must be known."""
        return Level(self.design.means.copy(), self.y_means, self.fit_intercept)

    def diagonal(self, norms):
        """(factors of alpha for every column, the columns that count or None for all)."""
        F = np.empty(self.p)
        F[:] = self.factor
        if self.penalty.standardize:
            with np.errstate(invalid="ignore"):
                F *= norms**2 / self.n
        counts = (norms > 0) & np.isfinite(self.factor)
        return F, None if np.count_nonzero(counts) == self.p else np.flatnonzero(counts)

    def inverse(self):
        """(factors, the columns that count or None for all, inverse factors: 0 where a column does not count or is
        free), from a reading of X."""
        self.measure()
        norms = self.design.norms
        F, active = self.diagonal(norms)
        inverse = np.zeros(self.p)
        np.divide(1, F, out=inverse, where=(norms > 0) & np.isfinite(F) & (F > 0))
        return F, active, inverse

    def column_scale(self, norms):
        """What columns of these norms are multiplied by for the penalty to be ``alpha ||v||^2``, no column being free;
        0 where a column does not count."""
        F, active = self.diagonal(norms)
        if active is None:
            return 1 / np.sqrt(F)
        scale = np.zeros(self.p)
        scale[active] = 1 / np.sqrt(F[active])
        return scale

    def uneven(self):
        """The columns that are free or excluded."""
        return (self.factor == 0) | np.isinf(self.factor)

    def centred_rows(self, rows=slice(None)):
        """These rows of X, dense, centred and weighted: a copy. The means must be known."""
        some = self.X[rows]
        some = np.array(some.toarray() if self.sparse else some, dtype=np.float64, order="C")
        some -= self.design.means
        if self.weights.root is not None:
            some *= self.weights.root[rows, None]
        return some

    # ---- solutions ---------------------------------------------------------------------------------------------------
    def solution(self, coef, means, solver, bound, *, active=None, n_iter=None, stopped=None, df=None):
        """RidgeSolution with coefficients of the columns `active` (None: all), X having these means; of a direct solver
        that reached its aim where nothing else is said."""
        if active is not None:
            full = np.zeros((len(coef), self.p))
            full[:, active] = coef
            coef = full
        intercept = self.y_means - coef @ means
        n_iter = np.ones(intercept.shape, dtype=int) if n_iter is None else n_iter
        stopped = np.zeros(intercept.shape, dtype=int) if stopped is None else stopped
        return RidgeSolution(coef, intercept, bound, solver, n_iter, stopped, df)

    def restored(self, found):
        """A RidgeSolution for the targets as they were given; a ValueError where its coefficients leave float64."""
        if not self.units.exponent.any():
            return found
        return replace(found, coef=self.units.coefs_up(found.coef), intercept=self.units.up(found.intercept),
                       bound=self.units.up(found.bound))
