"""X as the referee reads it: centred and weighted on the fly, some rows or columns at a time, in float64."""
import numpy as np
import scipy.sparse as sp

# Elements of a block in float64; entries of sparse X count four times, for their indices and what is made of both.
BLOCK = 1 << 18
EPS = np.finfo(float).eps


class Data:
    """``Z_ij = sqrt(s_i) (x_ij - mean_j)`` without the array: products with it and its transpose.

    Parameters
    ----------
    X : ndarray, or sparse matrix or array in CSR or CSC form, shape (n, p)
        Of any numeric type and layout; neither copied nor modified.
    weight : ndarray of shape (n,) or None
    centred : bool
        Whether means are subtracted; else they are zero.

    Attributes
    ----------
    means, norms : ndarray of shape (p,)
        Weighted means (two passes) and norms of the columns of Z; 0 where nothing but rounding is left of it.
    sizes : ndarray of shape (p,)
        What rounding of a product with a column is relative to: its norm and, where X is sparse, its level.
    total : float
        Sum of the weights.
    """

    def __init__(self, X, weight, centred):
        self.X, self.centred, (self.n, self.p) = X, centred, X.shape
        self.weight = np.ones(self.n) if weight is None else np.asarray(weight, dtype=np.float64)
        self.total = float(np.sum(self.weight))
        self.root = np.sqrt(self.weight)
        self.means = np.zeros(self.p)
        for _ in range(2 if centred else 0):                # the second time: what the first mean left
            self.means = self.means + self._sums() / self.total
        self.norms = np.sqrt(self._squares())
        level = np.sqrt(self.total) * np.abs(self.means)
        if centred:
            self.norms[self.norms <= 16 * EPS * level] = 0
        self.sizes = np.hypot(self.norms, level) if sp.issparse(X) else self.norms

    def _blocks(self):
        """(rows, columns, that part of X in float64: an array, or CSR or CSC), in turn."""
        if not sp.issparse(self.X):
            step = max(1, BLOCK // self.p)
            for start in range(0, self.n, step):
                rows = slice(start, min(start + step, self.n))
                yield rows, slice(0, self.p), np.asarray(self.X[rows], dtype=np.float64)
            return
        X, by_rows = self.X, self.X.format == "csr"
        count = self.n if by_rows else self.p
        start = 0
        while start < count:
            stop = int(np.searchsorted(X.indptr, int(X.indptr[start]) + max(1, BLOCK // 4), side="right")) - 1
            stop = min(max(stop, start + 1), count)
            here, part = slice(int(X.indptr[start]), int(X.indptr[stop])), slice(start, stop)
            shape = (stop - start, self.p) if by_rows else (self.n, stop - start)
            block = (sp.csr_array if by_rows else sp.csc_array)(
                (X.data[here].astype(np.float64), X.indices[here].copy(), X.indptr[start:stop + 1] - X.indptr[start]),
                shape=shape)
            block.sum_duplicates()
            yield (part, slice(0, self.p), block) if by_rows else (slice(0, self.n), part, block)
            start = stop

    def _sums(self):
        """Weighted sums of the columns less the means so far."""
        out = np.zeros(self.p)
        for rows, cols, block in self._blocks():
            if sp.issparse(block):
                out[cols] += block.T @ self.weight[rows]
            else:
                out += self.weight[rows] @ (block - self.means)
        return out - self.total * self.means if sp.issparse(self.X) else out

    def _squares(self):
        """Squared norms of the columns of Z, as sums of positive terms."""
        out, absent, filled = np.zeros(self.p), np.full(self.p, self.total), np.zeros(self.p, dtype=np.int64)
        for rows, cols, block in self._blocks():
            if not sp.issparse(block):
                out += self.weight[rows] @ (block - self.means) ** 2
                continue
            entries = block.tocoo()
            i, j = entries.row + rows.start, entries.col + cols.start
            out += np.bincount(j, self.weight[i] * (entries.data - self.means[j]) ** 2, self.p)
            absent -= np.bincount(j, self.weight[i], self.p)
            filled += np.bincount(j, minlength=self.p)
        if sp.issparse(self.X):
            out += np.where(filled < self.n, np.maximum(absent, 0), 0) * self.means**2
        return out

    def forth(self, W):
        """Z W / sqrt(s): fitted values less their mean, shape (n, k)."""
        out = np.zeros((self.n, W.shape[1]))
        for rows, cols, block in self._blocks():
            if sp.issparse(block):
                out[rows] += block @ W[cols]
            else:
                np.matmul(block - self.means if self.centred else block, W, out=out[rows])
        return out - self.means @ W if sp.issparse(self.X) and self.centred else out

    def back(self, R):
        """X' (s R) for R whose weighted sums are zero where columns are centred: Z'(sqrt(s) R), shape (p, k)."""
        weighted = self.weight[:, None] * R
        out = np.zeros((self.p, R.shape[1]))
        for rows, cols, block in self._blocks():
            if sp.issparse(block):
                out[cols] += block.T @ weighted[rows]
            else:
                out += (block - self.means if self.centred else block).T @ weighted[rows]
        if sp.issparse(self.X) and self.centred:
            out -= np.outer(self.means, weighted.sum(axis=0))
        out[self.norms == 0] = 0
        return out

    def centre(self, V):
        """(V less its weighted means where columns are centred, these means), V of shape (n, k)."""
        mean = np.zeros(V.shape[1])
        if not self.centred:
            return V, mean
        for _ in range(2):
            step = self.weight @ V / self.total
            V, mean = V - step, mean + step
        return V, mean
