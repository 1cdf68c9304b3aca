"""X'X and XX' as p x p and n x n arrays: of sparse X with few columns or few rows from sums over rows or columns, of
dense X without preparing it where its level allows that."""
import numpy as np

from fastreg.design import as_design, in_row_order
from fastreg.kernels.folds import part_sums, row_parts
from fastreg.kernels.gram import kernel_of, reads_directly
from fastreg.kernels.krylov import column_moments, correlate
from fastreg.kernels.probe import WrongSums

# Rows or columns of sparse X up to which it is worth an n x n or p x p array.
MOST_DENSE = 5000
EPS = np.finfo(float).eps
# Share of a column's sum of squares, beneath which what is left about its mean has lost too many digits to sums.
HIGH = 1e-3


def sparse_gram(X, Y, weight, fit_intercept, n_threads):
    """X'X, X'Y and the moments of the columns, in one pass.

    Parameters
    ----------
    X : CSR or CSC
        Columns that are not sorted are copied to sort them.
    Y : ndarray of shape (n_targets, n)
        Centred where an intercept is fitted, not weighted.
    weight : ndarray of shape (n,) or None
        Summing to n.

    Returns
    -------
    gram : ndarray of shape (p, p)
        Of the centred and weighted X.
    xy : ndarray of shape (n_targets, p)
    means, norms : ndarray of shape (p,)
    """
    n, p = X.shape
    sums = _sums(X, Y, weight, n_threads)
    means = sums[:p, -1] / n if fit_intercept else np.zeros(p)
    gram, squares = np.empty((p, p)), np.diag(sums)[:p]
    with np.errstate(invalid="ignore"):               # whoever calls looks for NaN and infinity in the norms
        for j in range(0, p, 256):                    # row blocks: no second p x p array
            level = np.multiply.outer(n * means[j:j + 256], means)
            np.subtract(sums[j:min(j + 256, p), :p], level, out=gram[j:j + 256])
        xy = sums[p:-1, :p] - np.outer(sums[p:-1, -1], means)
    if fit_intercept:
        of_rows = np.ones(n) if weight is None else weight
        design = None
        for high, columns in _high_columns(X, weight, np.diag(gram) <= HIGH * squares):
            if design is None:
                design = as_design(X, weight, True, n_threads)
                column_moments(design, np.zeros((1, n)))
            rows = correlate(design, np.ascontiguousarray(columns.T) * of_rows)
            gram[high], gram[:, high] = rows, rows.T
            xy[:, high] = (Y * of_rows) @ columns
            means[high] = design.means[high]
    norms = np.sqrt(np.maximum(np.diag(gram), 0))
    norms[norms <= 32 * EPS * np.abs(means) * np.sqrt(n)] = 0
    return gram, xy, means, norms


def sparse_kernel(X, design, scale, weight, fit_intercept, n_threads):
    """X diag(scale) X', rows centred and scaled by sqrt(weight), in one pass: shape (n, n).

    `scale` has shape (p,), the moments of `design` are known; the rest as for `sparse_gram`."""
    n = X.shape[0]
    squares = design.norms**2 + n * design.means**2
    high = (design.norms**2 <= HIGH * squares) & (scale > 0) & fit_intercept
    kernel = _sums(X.T, np.zeros((0, X.shape[1])), np.where(high, 0, scale), n_threads)[:-1, :-1]
    if fit_intercept:
        share = np.full(n, 1 / n) if weight is None else weight / n
        level = kernel @ share
        kernel -= level
        kernel -= (level - share @ level)[:, None]
    for of_block, columns in _high_columns(X, weight, high):
        kernel += (columns * scale[of_block]) @ columns.T
    if weight is not None:
        root = np.sqrt(weight)
        kernel *= root
        kernel *= root[:, None]
    return np.ascontiguousarray(kernel)


def _high_columns(X, weight, high):
    """(indices, centred columns as a dense array) of the columns whose level would cost digits, some at a time."""
    high = np.flatnonzero(high)
    for k in range(0, len(high), 16):
        columns = X[:, high[k:k + 16]].toarray().astype(np.float64)
        for _ in range(2):                   # twice: the rounding of a high mean counts
            columns -= np.average(columns, axis=0, weights=weight)
        yield high[k:k + 16], columns


def raw_kernel(design, fit_intercept):
    """XX' of dense X without weights as BLAS reads it, rows centred where an intercept is fitted.

    Parameters
    ----------
    design : Design

    Returns
    -------
    kernel : ndarray of shape (n, n) or None
        None where X must be prepared, where its level would cost more than three digits, or where what BLAS made of
        it is wrong. Not finite where X is not.
    level : ndarray of shape (n,)
        What was subtracted from its rows: the means of its columns.
    """
    if not reads_directly(design):
        return None, None
    try:
        kernel = kernel_of(design, raw=True)
    except WrongSums:
        return None, None
    squares = np.diag(kernel).copy()
    if not fit_intercept:
        return kernel, np.zeros(len(kernel))
    level = kernel.mean(axis=0)
    with np.errstate(invalid="ignore"):
        kernel -= level
        kernel -= (level - level.mean())[:, None]
        high = np.any(np.diag(kernel) <= HIGH * squares)
    return (None, None) if high else (kernel, level)


def _sums(X, Y, weight, n_threads):
    """Sums of products over all rows, formed by a few parts of them."""
    X = in_row_order(X)
    part, n_parts = row_parts(X.shape[0], X.nnz * X.nnz / X.shape[0])
    sums = part_sums(as_design(X, weight, False, n_threads), Y, part, n_parts)
    return sums[0] if n_parts == 1 else sums.sum(axis=0)
