"""Which decomposition of ridge regression: the cheapest that keeps the digits which the alphas ask for."""
from functools import partial

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastreg.kernels.krylov import combine, correlate
from fastreg.solvers.ridge.dual_spectrum import spectrum_of_columns, spectrum_of_kernel, spectrum_of_rotated
from fastreg.solvers.ridge.grams import MOST_DENSE, gram, kernel, raw_kernel
from fastreg.solvers.ridge.spectrum import SPREAD, PrimalSpectrum, spectrum_of_gram, spectrum_of_triangle
from fastreg.solvers.ridge.triangle import triangle

# Elements of dense and of sparse X, and work, up to which A is decomposed itself; most rows of it.
MOST_ELEMENTS, MOST_STORED, MOST_WORK, MOST_ROWS = 4_000_000, 1_000_000, 2e8, 1000


def can_decompose(X):
    """Whether a decomposition of X is to be had: not where it is sparse and has many rows and many columns."""
    return not sp.issparse(X) or min(X.shape) <= MOST_DENSE


def decompositions(problem, accurate=False):
    """The decomposition in the cheaper form that seems to have the digits, and, if its user is not content, one that
    keeps them whatever the columns; at once where `accurate`."""
    spectrum = decompose(problem, accurate)
    yield spectrum
    if not spectrum.accurate:
        yield decompose(problem, accurate=True)


def decompose(problem, accurate=False):
    """The decomposition in the cheaper form that has the digits.

    Parameters
    ----------
    problem : RidgeProblem
        Whose `alphas` it is to serve, without a free column; X as `can_decompose` allows.
    accurate : bool
        By orthogonal transformations of X, whatever its columns.

    Returns
    -------
    Spectrum
    """
    n, p = problem.n, problem.p
    dual = prefers_dual(problem.weights.rows, n, p)
    if problem.sparse:
        dual = n <= MOST_DENSE and (dual or p > MOST_DENSE)
    sums = found = None
    if accurate:
        problem.measure()
    elif dual:
        found = _dual(problem)
    else:
        sums = gram(problem)
        found = spectrum_of_gram(*sums, problem.column_scale(problem.design.norms), np.min(problem.alphas),
                                 problem.level)
    if found is not None:
        return found
    if _small(problem):
        return _exact(problem)
    return _wide(problem) if dual and problem.weights.rows <= p else _tall(problem, sums)


def prefers_dual(rows, n, p):
    """Whether the kernel of n rows, so many of them of positive weight, serves better than X'X: where hardly more rows
    than columns are left, leverages are too near 1 for what X'X has kept of them."""
    return rows <= 1.1 * p + 10 and n <= max(2000, 2 * p)


def _small(problem):
    n, p = problem.n, problem.p
    return (n <= MOST_ROWS and n * p <= (MOST_STORED if problem.sparse else MOST_ELEMENTS)
            and n * p * min(n, p) <= MOST_WORK)


# ---- by eigenvectors -------------------------------------------------------------------------------------------------
def _dual(problem):
    problem.measure()
    scale = problem.column_scale(problem.design.norms)
    K, plain = None, bool(np.all(scale == 1))
    if plain and not problem.sparse and problem.weights.normalised is None:
        K, _ = raw_kernel(problem.design, problem.fit_intercept)
    if K is None:
        K = kernel(problem, None if plain else scale**2)
    return spectrum_of_kernel(K, problem.weights.rows, 0.0, problem.targets, problem.constant,
                              _combiner(problem, scale), np.min(problem.alphas), problem.level)


def _combiner(problem, scale):
    """Dual variables as rows -> coefficients."""
    def of_dual(dual):
        out = np.empty((len(dual), len(scale)))
        for k in range(0, len(dual), 16):
            out[k:k + 16] = correlate(problem.design, dual[k:k + 16] * problem.constant)
        out *= scale**2
        return out
    return of_dual


# ---- by rotations ----------------------------------------------------------------------------------------------------
def _exact(problem):
    design, A = problem.design, problem.centred_rows()
    if problem.fit_intercept:                      # the rounding of high means counts
        again = problem.constant @ A / (problem.constant @ problem.constant)
        A -= np.outer(problem.constant, again)
        design.means[:] += again
    design.norms[:] = np.where(design.norms > 0, np.linalg.norm(A, axis=0), 0)
    scale = problem.column_scale(design.norms)
    A *= scale
    inverse = np.divide(1, scale, out=np.zeros(len(scale)), where=scale > 0)
    return spectrum_of_columns(A, lambda of_columns: of_columns * scale, lambda coef: (coef * inverse) @ A.T,
                               problem.targets, problem.constant, problem.level)


def _tall(problem, sums):
    """From A'A + least (`sums`, if they are known) as far as its columns, brought to one length, do not depend on each
    other; otherwise from blocks of rows of A, and rows for the penalty."""
    scale, least = problem.column_scale(problem.design.norms), np.min(problem.alphas)
    alive, lengths = damped_lengths(problem.design.norms * scale, least)
    if len(alive) == 0:                            # as if along a direction of no variance
        return PrimalSpectrum(np.full(1, np.finfo(float).tiny), np.zeros((len(problem.targets), 1)), problem.level,
                              basis=np.zeros((len(scale), 1)))
    found = sums and of_sums(*sums, problem.design.norms, scale, least, problem.level)
    if found is None:
        R = _triangle_of_rows(problem, alive, scale[alive] / lengths[alive], np.sqrt(least) / lengths[alive])
        found = spectrum_of_triangle(R, scale, lengths, least, problem.level)
    return found


def _triangle_of_rows(problem, alive, inverse, damping):
    """R of rows of A, one of the penalty for each column above them, and Q'y."""
    n, T, step = problem.n, len(problem.targets), max(256, 4 * problem.p)

    def blocks():
        if damping.any():
            yield np.hstack([np.diag(damping), np.zeros((len(alive), T))])
        for i in range(0, n, step):
            rows = np.arange(i, min(n, i + step))
            yield np.hstack([problem.centred_rows(rows)[:, alive] * inverse, problem.targets[:, rows].T])

    R = triangle(blocks())
    if len(R) < len(alive):                        # fewer rows than columns
        R = np.vstack([R, np.zeros((len(alive) - len(R), R.shape[1]))])
    return R


def _wide(problem):
    p, step, means = problem.p, max(256, 4 * problem.n), problem.design.means
    scale = problem.column_scale(problem.design.norms)

    def blocks():
        for j in range(0, p, step):
            some = problem.X[:, j:j + step]
            some = some.toarray() if problem.sparse else some
            yield ((some - means[j:j + step]) * scale[j:j + step]).T * problem.constant

    return spectrum_of_rotated(triangle(blocks()), np.min(problem.alphas), _combiner(problem, scale),
                               partial(combine, problem.design), problem.targets, problem.constant, problem.level)


def damped_lengths(norms, least):
    """(columns with a length, lengths of all with rows for the penalty `least` below them; 0 where there is none)."""
    lengths = np.where(norms > 0, np.hypot(norms, np.sqrt(least)), 0)
    return np.flatnonzero(lengths), lengths


def of_sums(gram, xy, norms, scale, least, level):
    """PrimalSpectrum by rotations of a Cholesky factor, which knows of no scales of columns.

    Parameters
    ----------
    gram, xy : ndarray of shape (p, p), (n_targets, p)
        Centred and weighted X'X and X'Y as rows.
    norms, scale : ndarray of shape (p,)
        Of the columns of X, and what they are multiplied by.
    least : float
        Smallest alpha.
    level : Level

    Returns
    -------
    PrimalSpectrum, or None where columns depend on each other too much for X'X.
    """
    alive, lengths = damped_lengths(norms * scale, least)
    if len(alive) == 0:
        return None
    inverse = scale[alive] / lengths[alive]
    scaled = gram[np.ix_(alive, alive)]
    scaled *= inverse
    scaled *= inverse[:, None]
    scaled[np.diag_indices_from(scaled)] = 1
    R, failed = scipy.linalg.lapack.dpotrf(scaled, lower=0, clean=1)
    if failed or np.diag(R).min() ** 2 < 1 / SPREAD:
        return None
    of_targets = scipy.linalg.solve_triangular(R, (xy[:, alive] * inverse).T, trans="T")
    return spectrum_of_triangle(np.hstack([R, of_targets]), scale, lengths, least, level)
