"""X'X and XX' of a ridge problem as p x p and n x n arrays: of sparse X with few columns or few rows from sums over
rows or columns, of dense X without preparing it where its level allows that."""
import numpy as np

from fastreg.design import as_design, in_row_order, view_of
from fastreg.finite import check_finite
from fastreg.kernels.folds import part_sums, row_parts
from fastreg.kernels.gram import gram_of, kernel_of, reads_directly
from fastreg.kernels.krylov import column_moments, correlate
from fastreg.kernels.probe import WrongSums

# Rows or columns of sparse X up to which it is worth an n x n or p x p array.
MOST_DENSE = 5000
EPS = np.finfo(float).eps
# Share of a column's sum of squares, beneath which what is left about its mean has lost too many digits to sums.
HIGH = 1e-3


def gram(problem):
    """(X'X, X'Y as rows), centred and weighted; the design knows its moments then.

    Parameters
    ----------
    problem : RidgeProblem
    """
    found = _sparse_gram(problem) if problem.sparse else gram_of(problem.design, problem.targets)
    check_finite(problem.X, problem.design.norms)
    return found


def kernel(problem, inverse=None):
    """X diag(inverse) X', rows centred and scaled by sqrt(weight).

    Parameters
    ----------
    problem : RidgeProblem
        Whose moments are known.
    inverse : ndarray of shape (p,) or None
        None: of ones.
    """
    if problem.sparse:
        return _sparse_kernel(problem, np.ones(problem.p) if inverse is None else inverse)
    return kernel_of(problem.design, inverse)


def _sparse_gram(problem):
    """`gram`, and the moments, in one pass; columns that are not sorted are copied to sort them."""
    X, n, p, weight = problem.X, problem.n, problem.p, problem.weights.normalised
    Y = problem.targets if weight is None else np.ascontiguousarray((problem.Y - problem.y_means).T)
    sums = sums_of_rows(X, Y, weight, problem.n_threads)
    means = sums[:p, -1] / n if problem.fit_intercept else np.zeros(p)
    G, squares = np.empty((p, p)), np.diag(sums)[:p]
    with np.errstate(invalid="ignore"):               # whoever calls looks for NaN and infinity in the norms
        for j in range(0, p, 256):                    # row blocks: no second p x p array
            level = np.multiply.outer(n * means[j:j + 256], means)
            np.subtract(sums[j:min(j + 256, p), :p], level, out=G[j:j + 256])
        xy = sums[p:-1, :p] - np.outer(sums[p:-1, -1], means)
    if problem.fit_intercept:
        of_rows, design = np.ones(n) if weight is None else weight, problem.design
        high = np.diag(G) <= HIGH * squares
        if high.any():
            column_moments(design, np.empty((0, n)))
        for here, columns in _high_columns(X, weight, high):
            rows = correlate(design, np.ascontiguousarray(columns.T) * of_rows)
            G[here], G[:, here] = rows, rows.T
            xy[:, here] = (Y * of_rows) @ columns
            means[here] = design.means[here]
    norms = np.sqrt(np.maximum(np.diag(G), 0))
    norms[norms <= 32 * EPS * np.abs(means) * np.sqrt(n)] = 0
    problem.design.means[:], problem.design.norms[:] = means, norms
    return G, xy


def _sparse_kernel(problem, scale):
    """X diag(scale) X', rows centred and scaled by sqrt(weight), in one pass."""
    X, design, weights = problem.X, problem.design, problem.weights
    n, weight = problem.n, weights.normalised
    squares = design.norms**2 + n * design.means**2
    high = (design.norms**2 <= HIGH * squares) & (scale > 0) & problem.fit_intercept
    K = sums_of_rows(X.T, np.zeros((0, X.shape[1])), np.where(high, 0, scale), problem.n_threads)[:-1, :-1]
    if weight is not None:                   # a row without weight may hold anything
        absent = weight == 0
        K[absent], K[:, absent] = 0, 0
    if problem.fit_intercept:
        share = np.full(n, 1 / n) if weight is None else weight / n
        level = K @ share
        K -= level
        K -= (level - share @ level)[:, None]
    for of_block, columns in _high_columns(X, weight, high):
        K += (columns * scale[of_block]) @ columns.T
    if weights.root is not None:
        K *= weights.root
        K *= weights.root[:, None]
    return np.ascontiguousarray(K)


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


def sums_of_rows(X, Y, weight, n_threads, shift=None):
    """Sums of products over all rows (see `part_sums`), formed by a few parts of them; dense X needs a shift."""
    X = in_row_order(X) if shift is None else X
    size = X.nnz if shift is None else X.size
    part, n_parts = row_parts(X.shape[0], size * size / X.shape[0])
    sums = part_sums(view_of(as_design(X, n_threads), weight, False), Y, part, n_parts, shift)
    return sums[0] if n_parts == 1 else sums.sum(axis=0)
