"""What the user says of X'X and X'y, held against X before anything rests on it."""
import warnings

import numpy as np

from fastreg.kernels.krylov import normal_products
from fastreg.problem import Moments
from fastreg.solvers.engine import Engine

# Relative difference from X'X up to which a matrix that the user gives in its place is one to rounding.
EXACT_GRAM = 1e-12


def moments_of_given(problem, design, targets, spec):
    """Moments with the matrix that `spec` gives as X'X; None where that agrees with X but roughly.

    What agrees but roughly serves no certificate: it is formed anew. X is read once, by its Design, to see whether the
    matrix is that of X at all: a ValueError says that it is not.
    """
    gram = spec.gram
    scout = Engine(design, targets, False, spec.tol, 2)
    scout.prepare()
    problem.check_finite(design.norms)
    raw = np.hypot(design.norms, np.sqrt(problem.n) * design.means)
    if problem.fit_intercept and _has_norms(gram, raw) and not _has_norms(gram, design.norms):
        warnings.warn("Gram matrix was provided but X was centered to fit intercept: recomputing Gram matrix.",
                      UserWarning, stacklevel=5)
        return None
    if not _agrees(gram, design) or problem.sparse:
        return None
    return Moments(gram, scout.correlations, design.means.copy(), design.norms.copy())


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


def check_products(xy, correlations):
    """What the user says of X'y must agree with X."""
    if xy is not None and not np.allclose(xy.T, correlations, rtol=1e-3, atol=1e-5 * np.max(np.abs(correlations))):
        raise ValueError("Xy is not X'y (centred where an intercept is fitted, weighted where there are weights).")
