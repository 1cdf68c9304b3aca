"""What is asked: one problem, built at the estimator's door and handed down, and how far it is to be solved."""
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from fastreg import costs
from fastreg.datafits.base import Datafit
from fastreg.datafits.quadratic import QUADRATIC
from fastreg.design import as_design, canonical_sparse, view_of
from fastreg.finite import check_finite, fine
from fastreg.kernels.threads import go_on
from fastreg.penalties.elastic_net import Penalty
from fastreg.scale import LEAST, UNIT, Scale, scale_of_each, scales_of_groups
from fastreg.threads import effective_threads
from fastreg.weights import Weights

# Rows of dense X that are copied at a time.
ROWS_AT_ONCE = 4096
# Products with all rows of sparse X.
PRODUCTS_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Moments:
    """What a fit needs of the (weighted, centred) X and y when it knows X'X.

    Attributes
    ----------
    gram : ndarray of shape (p, p)
    xy : ndarray of shape (n_targets, p)
    means, norms : ndarray of shape (p,)
    """

    gram: np.ndarray
    xy: np.ndarray
    means: np.ndarray
    norms: np.ndarray


@dataclass(frozen=True, eq=False)
class Nulls:
    """Fits without features.

    Attributes
    ----------
    residuals : ndarray of shape (n_targets, n)
        ``-sqrt(s) f'``.
    eta : ndarray of shape (n_targets, n)
    intercepts : ndarray of shape (n_targets,)
    units : ndarray of shape (n_targets,)
        The loss that is to be explained: half the null deviance, the weights summing to n.
    saturated : ndarray of shape (n_targets,)
        The least loss there is, the weights summing to n.
    offset : ndarray of shape (n,) or None
    """

    residuals: np.ndarray
    eta: np.ndarray
    intercepts: np.ndarray
    units: np.ndarray
    saturated: np.ndarray
    offset: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Spec:
    """How far a problem is to be solved.

    Attributes
    ----------
    alphas : int or ndarray of shape (n_alphas,)
        A number of values from the largest useful one down to `eps` times it; or the values, in the order to solve.
    eps : float
    tol : float
        Gap at most ``tol * ||y||^2`` (centred, weighted) in the summed objective; of other losses, at most tol times
        half the null deviance.
    max_iter : int
        Rounds of working set and certificate for each alpha.
    gram : bool, ndarray of shape (p, p) or None
        Whether to compute the whole Gram matrix (of dense X), None meaning as is faster; or that matrix, of the centred
        and weighted X.
    report : callable or None
        Called with the number of finished alphas, of the one under way a share: after each, and now and then.
    """

    alphas: int | np.ndarray
    eps: float = 1e-3
    tol: float = 1e-4
    max_iter: int = 1000
    gram: bool | np.ndarray | None = None
    report: Callable | None = None

    @property
    def n_alphas(self):
        """How many values there are."""
        return self.alphas if isinstance(self.alphas, int) else len(self.alphas)

    @property
    def counted(self):
        """Whether a number of values is asked for, not the values."""
        return isinstance(self.alphas, int)

    def grid(self, largest):
        """The values; those that are only counted fall geometrically from `largest`, and where that is 0 any alpha
        gives zeros.

        Raises
        ------
        ValueError
            Where they leave float64.
        """
        if not self.counted:
            return self.alphas
        if largest == 0:
            return np.full(self.alphas, np.finfo(float).resolution)
        if not np.isfinite(largest):
            raise ValueError("y and X are so large that the alphas of the path overflow: scale them down.")
        if largest * self.eps < LEAST:
            raise ValueError("y and X are so small that the alphas of the path underflow, to zero or to a few digits: "
                             "scale them up.")
        grid = np.geomspace(largest, largest * self.eps, num=self.alphas)
        grid[0] = largest
        return grid

    def after(self, done):
        """The same, with a report that counts on from `done`."""
        report = self.report
        return self if report is None else replace(self, report=lambda more: report(done + more))

    def within(self, k, count):
        """The same for part k of `count` that are solved one after the other, and that each find all alphas."""
        report, each = self.report, self.n_alphas
        if report is None or count == 1:
            return self
        return replace(self, report=lambda done: report((k * each + min(done, each)) / count))

    def tell(self, finished, rounds=0):
        """What solvers in Python call between pieces of work: so many alphas are finished, and rounds of the next."""
        go_on()
        if self.report is not None:
            self.report(finished + min(1.0, rounds / self.max_iter))


@dataclass(frozen=True, eq=False)
class Problem:
    """``1 / sum_i s_i * sum_i s_i f(y_i, x_i w + b + offset_i) + alpha * penalty(w)`` for each of several targets.

    Attributes
    ----------
    X : ndarray, CSR or CSC of shape (n, p), float32 or float64
        As kernels read it, where it lies.
    Y : ndarray of shape (n, n_targets)
        Float64, as the datafit reads it; of the squared loss, brought down by `scale`.
    penalty : Penalty
        In the units of the user.
    weights : Weights
    fit_intercept : bool
    n_threads : int or None
    scale : Scale
        Of all targets, or of each.
    known : Moments or None
        Where they are known, X is not read for them.
    datafit : Datafit
        The loss f.
    offset : ndarray of shape (n,) or None
        Float64; None stands for zeros.
    """

    X: np.ndarray | sp.csr_array | sp.csc_array
    Y: np.ndarray
    penalty: Penalty
    weights: Weights
    fit_intercept: bool = True
    n_threads: int | None = None
    scale: Scale = UNIT
    known: Moments | None = None
    datafit: Datafit = QUADRATIC
    offset: np.ndarray | None = None

    @classmethod
    def of(cls, X, Y, penalty, *, weights=None, fit_intercept=True, n_threads=None, datafit=QUADRATIC, offset=None):
        """The problem of checked X and Y in the units of the user, `weights` None being all 1; from targets of the
        squared loss the offset is subtracted."""
        if datafit.quadratic and offset is not None:
            Y, offset = Y - offset[:, None], None
        return cls(canonical_sparse(X) if sp.issparse(X) else X, np.asarray(Y, dtype=np.float64), penalty,
                   weights or Weights(None, X.shape[0]), fit_intercept, n_threads, datafit=datafit, offset=offset)

    @property
    def n(self):
        """Number of rows."""
        return self.X.shape[0]

    @property
    def p(self):
        """Number of features."""
        return self.X.shape[1]

    @property
    def n_targets(self):
        """Number of targets."""
        return self.Y.shape[1]

    @property
    def n_problems(self):
        """How many problems the targets are: one, where they are the classes of one loss."""
        return 1 if self.datafit.coupled else self.n_targets

    @property
    def sparse(self):
        """Whether X is."""
        return sp.issparse(self.X)

    # ---- what follows from it ------------------------------------------------------------------------------------
    def by_scale(self):
        """Pairs (numbers of targets, their problem): one, unless no scale serves all targets."""
        if not self.datafit.quadratic:
            return [(np.arange(self.n_targets), self.to_unit())]
        groups = scales_of_groups(self.Y)
        if len(groups) == 1 and groups[0][1] == self.scale:
            return [(groups[0][0], self)]
        return [(group, replace(self, Y=scale.down(self.Y[:, group]), scale=scale)) for group, scale in groups]

    def to_unit(self):
        """The same with every target brought to unit size by a scale of its own; of other losses, all by one, where y
        has a unit and an intercept tells of it."""
        if not self.datafit.quadratic:
            return self._of_unit_loss()
        scale = scale_of_each(self.Y)
        return replace(self, Y=scale.down(self.Y), scale=scale)

    def _of_unit_loss(self):
        kept = slice(None) if self.weights.normalised is None else self.weights.normalised > 0
        datafit, scale = self.datafit.brought_down(float(np.max(np.abs(self.Y[kept]), initial=0)))
        if scale == UNIT or (scale.of_mean and not self.fit_intercept):
            return self
        offset = self.offset if self.offset is None else scale.down(self.offset)
        return replace(self, Y=scale.targets_down(self.Y), offset=offset, datafit=datafit, scale=scale)

    def target(self, t, known=None):
        """The problem of target t alone, with its Moments where they are known."""
        exponent = self.scale.exponent
        scale = self.scale if isinstance(exponent, int) else Scale(int(exponent[t]))
        return replace(self, Y=np.ascontiguousarray(self.Y[:, t:t + 1]), scale=scale, known=known)

    def fold(self, counts, known=None, n_threads=None):
        """The problem of a training set, in which each row is so often."""
        return replace(self, weights=self.weights.times(counts), known=known, n_threads=n_threads)

    def with_penalty(self, penalty):
        """The same with another penalty."""
        return replace(self, penalty=penalty)

    def with_l1_ratio(self, l1_ratio):
        """The same with another share of the L1 penalty."""
        return self.with_penalty(replace(self.penalty, l1_ratio=l1_ratio))

    # ---- what it costs -------------------------------------------------------------------------------------------
    def prefers_gram(self, n_alphas):
        """Whether X'X of dense X costs less than the passes a path of so many alphas would make without it."""
        n, p = self.X.shape
        if self.sparse or not self.datafit.quadratic or (p > 2 * n and p > 100):
            return False
        passes = 8 + 0.5 * (n_alphas - 1)
        return 16 * p * p <= costs.BUDGET and n * p * p / costs.GRAM_RATE < passes * n * p / costs.PASS_RATE

    def full_gram(self, spec):
        """Whether solvers form X'X of all features; small problems with alpha = 0 are not left to it unasked."""
        if self.sparse or not self.datafit.quadratic:
            return False
        if spec.gram is not None:
            return spec.gram
        return not (np.min(spec.alphas) == 0 and self.X.size <= costs.EXACT) and self.prefers_gram(spec.n_alphas)

    def by_ridge(self, spec):
        """Whether every column that counts has an L2 penalty and nothing else, at every alpha; and they are not so few
        that the engine's working set, which would hold them all, is faster."""
        penalty = self.penalty
        if self.datafit.coupled:
            few = self.p <= costs.FEW_COLUMNS and self.n * self.n_targets <= costs.FEW_CHANCES
        else:
            few = self.p <= min(costs.FEW_COLUMNS, self.n) and self.n <= costs.FEW_ROWS
        if self.datafit.quadratic or not self.datafit.convex or few or penalty.l1_ratio > 0 or spec.counted:
            return False
        free = np.all(np.isneginf(penalty.lower)) and np.all(np.isposinf(penalty.upper))
        return bool(free and np.min(spec.alphas) > 0 and np.all(np.asarray(penalty.factor) > 0))

    def free_columns(self, alpha):
        """Which columns nothing penalises at alpha, as a mask; constant ones among them."""
        factor = np.broadcast_to(np.asarray(self.penalty.factor, dtype=np.float64), self.p)
        return (factor == 0) if alpha > 0 else np.isfinite(factor)

    def route(self, spec):
        """What kind of solver suits, by its name in `solvers.suited`."""
        if not spec.counted and self.frees_classes(spec.alphas) and self._without_corners(spec.alphas):
            return "free classes"
        if not self.by_ridge(spec):
            return "engine"
        return "classes" if self.datafit.coupled else "rows"

    def _without_corners(self, alphas):
        """Whether there are no limits, and no L1 penalties at any of the alphas."""
        penalty, factor = self.penalty, np.asarray(self.penalty.factor)
        limited = np.any(np.isfinite(penalty.lower)) or np.any(np.isfinite(penalty.upper))
        penalised = np.any(np.isfinite(factor) & (factor > 0)) and np.max(alphas) > 0
        return not (limited or (penalised and penalty.l1_ratio > 0))

    def frees_classes(self, alphas):
        """Whether nothing penalises some column of several classes at one of the alphas."""
        return bool(self.datafit.coupled and self.free_columns(np.min(alphas)).any())

    def shares_passes(self, spec, n_folds):
        """Whether training sets are solved in lockstep.

        That does not depend on the number of threads, so that the results do not."""
        full = self.known is not None or self.full_gram(spec)
        return self.datafit.quadratic and n_folds > 1 and self.X.size >= costs.LEAST_SHARED and not full

    def capacity(self, n_targets, n_grams=1, share=1):
        """Columns of a working set that fit into the budget: m columns of X, their Gram matrices, a factor for each
        target; where `share` of them share it, each."""
        n, p = self.X.shape
        per_column = 12 * self.X.nnz / p if self.sparse else 8 * n
        quadratic = 8 * (n_grams + n_targets)
        return int((np.sqrt(per_column**2 + 4 * quadratic * costs.BUDGET / share) - per_column) / (2 * quadratic))

    @property
    def small(self):
        """Whether it is too small for BLAS to start threads of its own."""
        return self.n * self.p < costs.SMALL

    # ---- what solvers ask ----------------------------------------------------------------------------------------
    def design(self):
        """A new View of X under the weights, for the solver that asks: it is to learn its moments."""
        design = as_design(self.X, effective_threads(self.n_threads))
        return view_of(design, self.weights.normalised, self.fit_intercept)

    def targets(self):
        """(targets as rows, centred where an intercept is fitted and times the roots of the weights; their means) of
        the squared loss; as rows for any other, and what their intercepts are counted from."""
        if self.datafit.quadratic:
            return self.weights.centred(self.Y, self.fit_intercept)
        return np.ascontiguousarray(self.Y.T), np.zeros(self.n_targets)

    def nulls(self):
        """The fits without features, of any loss but the squared one."""
        if self.datafit.quadratic:
            return None
        if self.datafit.coupled:
            levels, eta, deviance = self.datafit.null_fits(self.Y.T, self.weights.normalised, self.fit_intercept)
            residuals = -np.stack([self.datafit.evaluate(y, eta[t])[1] for t, y in enumerate(self.Y.T)])
            return Nulls(self.weights.rooted(residuals), eta, levels, np.full(self.n_targets, 0.5 * deviance),
                         np.zeros(self.n_targets), None)
        with np.errstate(over="ignore", invalid="ignore"):
            fits = [self.datafit.null_fit(y, self.weights.normalised, self.offset, self.fit_intercept)
                    for y in self.Y.T]
            eta = np.stack([eta for _, eta, _ in fits])
            residuals = -np.stack([self.datafit.evaluate(y, eta[t])[1] for t, y in enumerate(self.Y.T)])
            rooted = self.weights.rooted(residuals)
            square = np.sum(rooted**2)
        if not np.isfinite(square):
            raise ValueError(f"y, with its offsets, is too large for the loss {self.datafit.name!r}: squares of what "
                             "the fit of an intercept alone leaves are no numbers.")
        return Nulls(rooted, eta, np.array([b for b, _, _ in fits]),
                     np.array([0.5 * deviance for _, _, deviance in fits]),
                     self.weights.sums(np.stack([self.datafit.saturated(y) for y in self.Y.T])), self.offset)

    def terms(self, norms):
        """What the engine takes of the penalty, the norms of the columns being known: see Penalty.arrays."""
        return self.penalty.arrays(norms, self.n, self.scale)

    def limits(self):
        """Lower and upper limits for the targets as they are scaled, of shape (1,) or (p,)."""
        return self.penalty.limits(self.scale)

    def largest_alpha(self, found, slopes, norms):
        """The largest of the alphas at which each target leaves no penalised coefficient.

        Parameters
        ----------
        found : float or ndarray of shape (n_targets,)
            As the engine gives them, 0 where they underflow.
        slopes : ndarray of shape (p,) or (n_targets, p)
            X'y for the targets as they are scaled.
        norms : ndarray of shape (p,)

        Returns
        -------
        float
            Of what underflows, the smallest number that there is.
        """
        top, scale = float(np.max(found)), self.scale
        if top > 0 or scale.exponent >= 0:
            return top
        slopes, factor = np.abs(slopes), self.penalty.arrays(norms, self.n, UNIT)[0]
        shares = np.divide(slopes, factor, out=np.zeros_like(slopes), where=np.broadcast_to(factor > 0, slopes.shape))
        lost = np.max(shares, initial=0.0) > 0 and scale.up(np.max(shares)) == 0
        return np.finfo(float).smallest_subnormal if lost else top

    def predict(self, rows, coefs, intercepts):
        """X[rows] @ coefs + intercepts from the columns in use alone; a block of rows at a time where X is dense, a few
        products at a time where it is sparse by columns, whose rows cost more to find than to be multiplied."""
        X, used = self.X, np.flatnonzero(np.bincount(coefs.indices, minlength=self.p))
        some = (coefs if len(used) == self.p else coefs[used]).toarray()
        if self.sparse and X.format == "csr":
            return X[rows][:, used] @ some + intercepts
        out = np.empty((len(rows), coefs.shape[1]))
        if self.sparse:
            X = X if len(used) == self.p else X[:, used]
            for k in range(0, out.shape[1], PRODUCTS_AT_ONCE):
                out[:, k:k + PRODUCTS_AT_ONCE] = (X @ some[:, k:k + PRODUCTS_AT_ONCE])[rows]
            return out + intercepts
        for i in range(0, len(rows), ROWS_AT_ONCE):
            block = rows[i:i + ROWS_AT_ONCE]
            np.matmul(X[block] if len(used) == self.p else X[np.ix_(block, used)], some, out=out[i:i + ROWS_AT_ONCE])
        return out + intercepts

    def check_finite(self, norms):
        """Raise a ValueError where the norms of the columns show that X holds what it must not."""
        if not fine(norms, self.n):
            check_finite(self.X, norms)
