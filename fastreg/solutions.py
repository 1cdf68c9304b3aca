"""What solvers hand back: a path of solutions for every target, sparse from the engine's hands on."""
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from fastreg.scale import UNIT

# What has a value for every alpha and target.
OF_TARGETS = ("intercepts", "dual_gaps", "relative_gaps", "deviances", "n_iters", "stopped")


@dataclass
class Solutions:
    """Solutions for every alpha and target.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
    n_features : int
    indptr, indices, data : ndarray
        Coefficients in CSC layout, column ``k * n_targets + t`` for alpha k and target t; within a column features
        come in any order.
    intercepts, dual_gaps : ndarray of shape (n_alphas, n_targets)
        Gaps are those of the averaged objective.
    relative_gaps : ndarray of shape (n_alphas, n_targets)
        Over the mean squared deviation of y, or half the null deviance of other losses: what tol bounds.
    deviances : ndarray of shape (n_alphas, n_targets)
        Weighted means over the rows; of the squared loss, mean squared errors.
    null_deviances : ndarray of shape (n_targets,)
        The same of the fits without features.
    n_iters : ndarray of shape (n_alphas, n_targets)
        Rounds of working set and certificate.
    stopped : ndarray of shape (n_alphas, n_targets)
        0 at its certificate, 1 by max_iter, 2 by rounding.
    from_x : ndarray of bool, shape (n_alphas,)
        Gaps come from X itself, or from sums of its products that were probed.
    elements_streamed : float
        Of X, in all passes.
    gathered : int
        Columns of the working block.
    test_errors : ndarray of shape (n_alphas,) or None
        Weighted mean squares on a test set, where they came with the solutions of a single target.
    """

    alphas: np.ndarray
    n_features: int
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    intercepts: np.ndarray
    dual_gaps: np.ndarray
    relative_gaps: np.ndarray
    deviances: np.ndarray
    null_deviances: np.ndarray
    n_iters: np.ndarray
    stopped: np.ndarray
    from_x: np.ndarray
    elements_streamed: float
    gathered: int
    test_errors: np.ndarray | None = None

    @classmethod
    def by(cls, engine, alphas, max_iter, means, y_means, from_x=True):
        """What an engine finds at alphas, going on from where it is.

        Parameters
        ----------
        engine : Engine
        alphas : ndarray of shape (n_alphas,)
            In the order to solve.
        max_iter : int
            Rounds for each alpha.
        means : ndarray of shape (n_features,) or (n_targets, n_features)
            Of the columns of X, under the weights of all targets or of each.
        y_means : ndarray of shape (n_targets,)
        from_x : bool
            Certify the last solutions from X itself, whatever the others rest on.

        Returns
        -------
        Solutions
        """
        indptr, indices, data, intercepts, gaps, rounds, stopped = engine.solve(alphas, max_iter, from_x)
        owner = _owners(indptr)
        level = means[indices] if means.ndim == 1 else means[owner % len(means), indices]
        shift = np.bincount(owner, weights=data * level, minlength=gaps.size)
        intercepts = y_means + intercepts - shift.reshape(gaps.shape)
        if engine.coupled:                              # a shift of all classes changes nothing: they add up to zero
            intercepts -= intercepts.mean(axis=1, keepdims=True)
        certified = np.full(len(alphas), not engine.full)
        certified[-1:] |= from_x
        return cls(alphas, means.shape[-1], indptr, indices, data, intercepts, gaps / engine.n,
                   relative(gaps, engine.units), engine.deviances / engine.n,
                   engine.null_deviances / engine.n, rounds, stopped, certified,
                   engine.columns_streamed, engine.gathered)

    @property
    def converged(self):
        """Which have their certificate."""
        return self.stopped == 0

    @property
    def n_nonzero(self):
        """Number of non-zero coefficients, of shape (n_alphas, n_targets)."""
        return np.diff(self.indptr).reshape(self.stopped.shape)

    def nonzero(self, at):
        """(features, values) of column `at`."""
        here = slice(self.indptr[at], self.indptr[at + 1])
        return self.indices[here], self.data[here]

    def coef(self, at):
        """Column `at` as an array of shape (n_features,)."""
        features, values = self.nonzero(at)
        out = np.zeros(self.n_features)
        out[features] = values
        return out

    def dense(self):
        """Coefficients as an array of shape (n_alphas * n_targets, n_features)."""
        out = np.zeros((self.stopped.size, self.n_features))
        out[_owners(self.indptr), self.indices] = self.data
        return out

    def sparse(self):
        """Coefficients as a CSC array of shape (n_features, n_alphas * n_targets), indices sorted."""
        shape = self.n_features, self.stopped.size
        coefs = sp.csc_array((self.data, self.indices, self.indptr), shape=shape, copy=True)
        coefs.sort_indices()
        return coefs

    def only(self, at):
        """The Solutions with number `at` alone, of one target or of classes with one loss."""
        n_targets = self.stopped.shape[1]
        ends = self.indptr[at * n_targets:(at + 1) * n_targets + 1]
        of_alphas = {name: getattr(self, name)[at:at + 1] for name in (
            "alphas", "intercepts", "dual_gaps", "relative_gaps", "deviances", "n_iters", "stopped", "from_x")}
        return replace(self, indptr=ends - ends[0], indices=self.indices[ends[0]:ends[-1]],
                       data=self.data[ends[0]:ends[-1]], test_errors=None, **of_alphas)

    def scaled_up(self, scale):
        """The same for the targets that were brought down by `scale`: all but the test errors."""
        if scale == UNIT:
            return self
        return replace(self, data=scale.coefs_up(self.data), intercepts=scale.levels_up(self.intercepts),
                       dual_gaps=scale.losses_up(self.dual_gaps), deviances=scale.losses_up(self.deviances),
                       null_deviances=scale.losses_up(self.null_deviances))

    def of_target(self, t):
        """The Solutions of target t alone."""
        n_targets = self.stopped.shape[1]
        sizes = np.diff(self.indptr)
        mine = np.repeat(np.arange(len(sizes)) % n_targets == t, sizes)
        columns = {name: getattr(self, name)[:, t:t + 1] for name in OF_TARGETS}
        return replace(self, indptr=np.append(0, np.cumsum(sizes[t::n_targets])), indices=self.indices[mine],
                       data=self.data[mine], null_deviances=self.null_deviances[t:t + 1], **columns)

    @classmethod
    def merged(cls, groups, found):
        """Solutions of all targets from those of groups of them, lists of their numbers."""
        if len(found) == 1:
            return found[0]
        n_alphas = len(found[0].alphas)
        at = np.concatenate([np.repeat(np.arange(n_alphas), len(group)) for group in groups])
        order = np.lexsort((np.concatenate([np.tile(group, n_alphas) for group in groups]), at))
        coefs = sp.csc_array(sp.hstack([s.sparse() for s in found], format="csc"))[:, order]
        back = np.argsort(np.concatenate(groups))
        parts = {name: np.concatenate([getattr(s, name) for s in found], axis=1)[:, back]
                 for name in OF_TARGETS}
        parts["null_deviances"] = np.concatenate([s.null_deviances for s in found])[back]
        return replace(found[0], indptr=coefs.indptr, indices=coefs.indices, data=coefs.data,
                       elements_streamed=sum(s.elements_streamed for s in found),
                       gathered=max(s.gathered for s in found), **parts)


def _owners(indptr):
    """The column of each non-zero."""
    return np.repeat(np.arange(len(indptr) - 1), indptr[1:] - indptr[:-1])


def relative(gaps, units):
    """Gaps of the summed objective over what tol is a multiple of; where there is nothing to explain, no gap."""
    return np.divide(gaps, units, out=np.zeros_like(gaps), where=units > 0)
