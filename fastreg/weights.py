"""What the rows weigh: the one place where weights are brought to a sum of n, and their roots are taken."""
from dataclasses import dataclass
from functools import cached_property

import numpy as np

EPS = np.finfo(float).eps
# Rows of several targets that are turned round at a time: all at once takes twice as long.
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Weights:
    """Weights of n rows.

    Attributes
    ----------
    raw : ndarray of shape (n,) or None
        As they were given, not negative; None where all are 1.
    n : int
    """

    raw: np.ndarray | None
    n: int

    @cached_property
    def total(self):
        """The sum of all weights as given."""
        return float(self.n if self.raw is None else np.sum(self.raw))

    @cached_property
    def normalised(self):
        """The same with a sum of n, float64 in C order; None where all are alike."""
        if self.raw is None or np.all(self.raw == self.raw[0]):
            return None
        return np.ascontiguousarray(self.raw * (self.n / np.sum(self.raw)), dtype=np.float64)

    @cached_property
    def root(self):
        """Square roots of `normalised`; None where all are 1."""
        return None if self.normalised is None else np.sqrt(self.normalised)

    @cached_property
    def each(self):
        """The weight of every row as given, 1 where none was, in float64."""
        return np.ones(self.n) if self.raw is None else np.asarray(self.raw, dtype=np.float64)

    @cached_property
    def rows(self):
        """How many rows count: those of positive weight."""
        return self.n if self.raw is None else int(np.count_nonzero(self.raw))

    def times(self, counts):
        """Weights of a fold: each as often as its row is in it."""
        return Weights(counts if self.raw is None else self.raw * counts, self.n)

    def by_parts(self, part, counts):
        """Shares of training sets, each of a few parts of the rows.

        Parameters
        ----------
        part : ndarray of int, shape (n,)
            The part of each row.
        counts : ndarray of shape (n_parts, n_sets)
            How often the rows of each part are in each set.

        Returns
        -------
        Shares
        """
        in_part = np.bincount(part, self.each, minlength=len(counts))
        return Shares(part, self.each * (self.n / self.total),
                      np.ascontiguousarray((counts * (self.total / (in_part @ counts))).T))

    def without(self, row):
        """The same with one row less."""
        raw = self.each.copy()
        raw[row] = 0
        return Weights(raw, self.n)

    def of(self, rows):
        """Weights as given of some rows; None where all are 1."""
        return None if self.raw is None else self.raw[rows]

    def sums(self, rows):
        """Sums over the rows, the last axis, under the weights that sum to n; without weight they may hold anything."""
        weighted = rows if self.normalised is None else np.where(self.normalised > 0, rows, 0) * self.normalised
        return weighted.sum(axis=-1)

    def rooted(self, rows):
        """Vectors over the rows, as the last axis, times the roots."""
        return rows if self.root is None else rows * self.root

    def centred(self, Y, fit_intercept):
        """Targets as solvers take them.

        Parameters
        ----------
        Y : ndarray of shape (n, n_targets)
        fit_intercept : bool
            Whether their means are subtracted. A target that is constant but for the rounding of its mean is 0 then.

        Returns
        -------
        targets : ndarray of shape (n_targets, n)
            Times the roots, in C order.
        means : ndarray of shape (n_targets,)
            Weighted; 0 without intercept.
        """
        Y = np.asarray(Y, dtype=np.float64)
        if not fit_intercept:
            means = np.zeros(Y.shape[1])
        elif self.normalised is None:
            means = np.add.reduce(Y, axis=0) / self.n
        else:
            means = np.average(Y, axis=0, weights=self.normalised)
        targets = np.empty(Y.shape[::-1])
        step = ROWS_AT_ONCE if Y.shape[1] > 1 else self.n
        for start in range(0, self.n, step):
            targets[:, start:start + step] = (Y[start:start + step] - means).T
        if fit_intercept:
            # NumPy adds the rows of several targets one after the other: what that loses is found among what is left
            lost = (targets.sum(axis=1) if self.normalised is None else targets @ self.normalised) / self.n
            targets -= lost[:, None]
            means = means + lost
            constant = np.maximum(targets.max(axis=1), -targets.min(axis=1)) <= 8 * EPS * np.abs(means)
            if constant.any():
                targets[constant] = 0
        if self.root is not None:
            targets *= self.root
        return targets, means


@dataclass(frozen=True)
class Shares:
    """Weights of sets of rows against those of all rows, constant on parts of them.

    Attributes
    ----------
    part : ndarray of int, shape (n,)
        The part of each row.
    of_rows : ndarray of shape (n,)
        Weights of all rows, with a sum of n.
    of_parts : ndarray of shape (n_sets, n_parts)
        What the rows of each part weigh more in each set, whose weights then have a sum of n.
    """

    part: np.ndarray
    of_rows: np.ndarray
    of_parts: np.ndarray

    def weights(self, k):
        """Of every row in set k, with a sum of n."""
        return self.of_rows * self.of_parts[k][self.part]
