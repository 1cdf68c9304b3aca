"""The bound for several classes where nothing penalises some columns, whose slopes no multiple of the residuals zeroes.

With g the slopes of P and H its Hessian, along any direction v with ``v'Hv = 1`` the curvature at a distance t is at
least ``exp(-S t)``, S being how far v can move two classes of a row apart: P falls by at most
``d t - (exp(-S t) + S t - 1) / S^2``, ``d^2 = g' H^-1 g``, which for ``S d < 1`` is less than ``d^2 / (2 (1 - S d))``
wherever t is. In directions that are orthonormal in the weighted rows no row is longer than ``1 / sqrt(s_i)``, so that
``S^2 <= 2 / (min s_i * least eigenvalue of H)``. What rounding may have left out of g is at most its norm over the root
of that eigenvalue, and is added to d.
"""
import numpy as np

from fastreg.referee.data import BLOCK, EPS

# Coefficients of all classes whose Hessian is formed.
MOST_COEFS = 2000
# Eigenvalues that are none, in units of rounding.
NONE = 64


def gap_by_curvature(data, terms, W, fit, g, error):
    """The bound, infinite where it tells nothing.

    Parameters
    ----------
    data : Data
    terms : Terms
        Of one class.
    W : ndarray of shape (K, p)
    fit : ClassesFit
    g : ndarray of shape (K, p)
        Products of the columns and the residuals.
    error : ndarray of shape (K, p)
        How far they may be off.
    """
    on = (data.norms > 0) & (terms.upper > terms.lower)
    bounded = np.isfinite(terms.lower[on]) | np.isfinite(terms.upper[on])
    free = on & (terms.l2 == 0)
    if bounded.any() or terms.l1[on].any() or not free.any() or W.size > MOST_COEFS or not fit.settled:
        return np.inf
    K, l2, common = len(W), np.where(on, terms.l2, 0), W.mean(axis=0)
    basis, span, scale, lost = _directions(data, on, l2)
    down = np.where(on, g - l2 * (W - common), 0)
    error = np.where(on, error + EPS * l2 * np.abs(W), 0)
    scaled = down * scale
    if np.linalg.norm(scaled - (scaled @ span) @ span.T) > np.linalg.norm(error * scale):
        return np.inf
    H = _hessian(data, fit.chances, basis) + np.kron(np.eye(K), (basis[:-1].T * l2) @ basis[:-1])
    H += np.kron(np.ones((K, K)), np.eye(basis.shape[1]))         # along what all classes have in common: slopes are 0
    values, vectors = np.linalg.eigh(H)
    least = float(values[0]) - lost * len(H) * float(values[-1])
    if not least > 0:
        return np.inf
    slopes = (down - down.mean(axis=0)) @ basis[:-1]
    unsure = np.linalg.norm(error @ np.abs(basis[:-1])) / np.sqrt(least)
    if data.centred:                                              # the best intercepts leave slopes of rounding
        unsure += 16 * EPS * np.sqrt(K * data.total / least) * (2 + float(np.max(np.abs(fit.eta[fit.on]))))
    d = float(np.linalg.norm((slopes.ravel() @ vectors) / np.sqrt(np.maximum(values, least)))) + unsure
    apart = d * np.sqrt(2 / (np.min(data.weight[fit.on]) * least))
    return np.inf if apart >= 1 else d**2 / (2 * (1 - apart)) + 0.5 * K * float(l2 @ common**2)


def _products(data, weight, columns):
    """(Z'(weight Z) of some columns as rows, sums of weight Z), weights of the rows being multiplied by s."""
    G, sums = np.zeros((data.p, len(columns))), np.zeros(len(columns))
    step = max(1, min(16, BLOCK // data.n))
    for k in range(0, len(columns), step):
        here = slice(k, k + step)
        some = np.zeros((data.p, len(columns[here])))
        some[columns[here], np.arange(some.shape[1])] = 1
        rows = weight[:, None] * data.forth(some)
        G[:, here], sums[here] = data.back(rows), data.weight @ rows
    return G, sums


def _directions(data, on, l2):
    """(Orthonormal directions of the rows in terms of coefficients and intercept, the same of columns at unit length,
    1 / lengths, what an eigenvalue of products with them may be off, relative to their number and size)."""
    columns = np.flatnonzero(on)
    G = _products(data, np.where(data.weight > 0, 1.0, 0.0), columns)[0][columns] + np.diag(l2[columns])
    lengths = np.sqrt(np.diag(G))
    values, vectors = np.linalg.eigh(G / np.outer(lengths, lengths))
    unit = EPS * float(np.max(1 + (data.sizes[columns] / data.norms[columns]) ** 2))
    keep = values > NONE * len(columns) * unit
    span, scale = np.zeros((data.p, int(keep.sum()))), np.zeros(data.p)
    span[columns], scale[columns] = vectors[:, keep], 1 / lengths
    basis = np.zeros((data.p + 1, span.shape[1] + data.centred))
    basis[:-1, :span.shape[1]] = scale[:, None] * span / np.sqrt(values[keep])
    if data.centred:
        basis[-1, -1] = 1 / np.sqrt(data.total)
    return basis, span, scale, unit / float(np.min(values[keep], initial=1.0))


def _hessian(data, chances, basis):
    """That of the loss of all classes along the directions of each."""
    K, m, columns = chances.shape[1], basis.shape[1], np.flatnonzero(basis[:-1].any(axis=1))
    H, every = np.zeros((K, m, K, m)), np.zeros((data.p + 1, data.p + 1))
    for a, b in zip(*np.triu_indices(K, 1)):
        weight = chances[:, a] * chances[:, b]
        every[:-1, columns], every[-1, columns] = _products(data, weight, columns)
        every[:-1, -1], every[-1, -1] = every[-1, :-1], data.weight @ weight
        G = basis.T @ every @ basis
        H[a, :, a] += G
        H[b, :, b] += G
        H[a, :, b] -= G
        H[b, :, a] -= G
    return H.reshape(K * m, K * m)
