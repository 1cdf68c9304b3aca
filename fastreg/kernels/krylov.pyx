"""Krylov methods on the normal equations of ridge regression, (X'SX + diag(d)) w = b: nothing but products with X.

Conjugate gradients with a diagonal preconditioner (Hestenes and Stiefel, 1952), several right-hand sides side by side,
each with a diagonal of its own; and the Lanczos process, whose basis serves every multiple of the identity.
"""
from libc.math cimport INFINITY, fabs, sqrt

from typing import NamedTuple

import numpy as np

from fastreg.kernels.design cimport Moments
from fastreg.kernels.leaf cimport fr_advance, fr_axpy, fr_curvature, fr_direction, fr_vdot
from fastreg.kernels.threads cimport go_on
from fastreg.kernels.view cimport View


# Rounding of a step, relative to the largest product it may make, and what share of tol it may add up to unseen.
cdef double ROUNDING = 2.3e-16, UNSEEN = 0.1
# Square of a column, in units of its penalty, beyond which products with X'X hide the penalty.
cdef double HIDDEN = 1e12
# Of wide X, what its columns' squares get added before they precondition, in units of their mean (see _precondition).
cdef double LEVELLING = 3


class Iterations(NamedTuple):
    """What conjugate gradients did."""

    count: np.ndarray      # (k,) products
    norms: np.ndarray      # (k,) of the residuals, true ones up to rounding
    goals: np.ndarray      # (k,) what they were to be at most
    rows: np.ndarray       # (k,) norms of Y[t] - S^1/2 X W[t], or upper bounds
    residuals: np.ndarray  # (k, p)
    spent: bool            # max_iter ended them


def column_moments(View d, const double[:, ::1] V):
    """X'V[t] as rows, V times the weights s and of sum zero where X is centred; sets the means and norms of d."""
    cdef double[:, ::1] out = np.empty((V.shape[0], d.p))
    cdef Moments own = d.own()
    own.norm1 = NULL
    cdef bint some = V.shape[0] > 0
    with nogil:
        d.moments(&own, 1, &V[0, 0] if some else NULL, V.shape[0], &out[0, 0] if some else NULL)
    return out.base


def correlate(View d, const double[:, ::1] V):
    """X'V[t] as rows, X centred and V times the weights s; the means must be known."""
    cdef double[:, ::1] out = np.empty((V.shape[0], d.p))
    with nogil:
        d.stream(NULL, d.p, &V[0, 0], V.shape[0], &out[0, 0], d.p)
    return out.base


def normal_products(View d, const double[:, ::1] V):
    """X'S X V[t] and X V[t] as rows, X centred, the second not weighted; the means must be known."""
    cdef double[:, ::1] out = np.empty((V.shape[0], d.p))
    cdef double[:, ::1] Z = np.empty((V.shape[0], d.n))
    with nogil:
        d.normal(&V[0, 0], V.shape[0], &Z[0, 0], &out[0, 0])
    return out.base, Z.base


def combine(View d, const double[:, ::1] W):
    """X W[t] as rows, X centred and times sqrt(s); the means must be known."""
    cdef double[:, ::1] out = np.empty((W.shape[0], d.n))
    cdef int[::1] cols = np.arange(d.p, dtype=np.intc)
    cdef Py_ssize_t t
    with nogil:
        for t in range(W.shape[0]):
            d.combine(&cols[0], d.p, &W[t, 0], &out[t, 0])
    return out.base


cdef int _product(View d, double[:, ::1] P, Py_ssize_t m, double[:, ::1] Q, const double[::1] scale,
                  const double[::1] unit, const double[::1] beside, double[:, ::1] work) except -1 nogil:
    """Q[a] = C (X'SX + diag(beside)) C' P[a] for a < m, with C = (I - unit unit') diag(scale)."""
    cdef Py_ssize_t a, j, p = P.shape[1]
    if unit is None and scale is None and beside is None:
        return d.normal(&P[0, 0], m, NULL, &Q[0, 0])
    for a in range(m):
        work[a, :] = P[a]
        if unit is not None:
            fr_axpy(p, -fr_vdot(p, &unit[0], &work[a, 0]), &unit[0], &work[a, 0])
        for j in range(p if scale is not None else 0):
            work[a, j] *= scale[j]
    d.normal(&work[0, 0], m, NULL, &Q[0, 0])
    for a in range(m):
        for j in range(p if beside is not None else 0):
            Q[a, j] += beside[j] * work[a, j]
        for j in range(p if scale is not None else 0):
            Q[a, j] *= scale[j]
        if unit is not None:
            fr_axpy(p, -fr_vdot(p, &unit[0], &Q[a, 0]), &unit[0], &Q[a, 0])
    return 0


cdef double _residual(const double[:, ::1] B, const double[:, ::1] D, const double[:, ::1] W, double[:, ::1] R,
                      Py_ssize_t t) noexcept nogil:
    """R[t], which holds X'SX W[t], less B[t] where B is None, becomes the residual; its norm."""
    cdef Py_ssize_t j, p = W.shape[1]
    for j in range(p):
        R[t, j] = -R[t, j] - D[t, j] * W[t, j] if D[t, j] < INFINITY else 0
        if B is not None and D[t, j] < INFINITY:
            R[t, j] += B[t, j]
    return sqrt(fr_vdot(p, &R[t, 0], &R[t, 0]))


cdef double _solution_size(const double[:, ::1] B, const double[:, ::1] D, const double[:, ::1] W,
                           const double[:, ::1] R, Py_ssize_t t, bint kernel) noexcept nogil:
    """Norm of the coefficients that W[t], with residual R[t], stands for: of itself, or of a solution with a kernel
    K, (W'KW)^1/2."""
    cdef Py_ssize_t p = W.shape[1]
    cdef double square = fr_vdot(p, &W[t, 0], &W[t, 0])
    if not kernel:
        return sqrt(square)
    return sqrt(max(0., fr_vdot(p, &W[t, 0], &B[t, 0]) - fr_vdot(p, &W[t, 0], &R[t, 0]) - D[t, 0] * square))


cdef int _left_by_rows(View d, const double[:, ::1] Y, const double[:, ::1] W, double[:, ::1] R,
                       double[::1] rows) except -1:
    """R = X'S X W - X'S^(1/2) Y by way of the rows, whose residuals' norms go to `rows`.

    What rounding adds lies among the combinations of rows but for a share of the residual of the rows: elsewhere,
    where nothing but a small D holds W, it would be divided by D."""
    left = np.asarray(Y) - combine(d, W)
    rows.base[:] = np.linalg.norm(left, axis=1)
    if d.root != NULL:
        left *= np.asarray(d.root_)
    np.negative(correlate(d, left), out=R.base)
    return 0


cdef double _precondition(View d, const double *D, const double *scale, const double *beside,
                          double *M) noexcept nogil:
    """M becomes the inverse of what stands for C (X'SX + diag(beside)) C' + diag(D): its diagonal for tall X.
    Returns a bound of the eigenvalues, and of what rounding is relative to.

    Wide X has a null space, where the matrix is D alone. Any M but a multiple of D spreads the one eigenvalue there
    over all from D[j] / M[j] on, and columns with few entries make that a wide spread. A multiple of D, as large as
    the columns' mean square, is added to level it: half the iterations on texts where D is small. Where D is so small
    that rounding hides it, M is a multiple of its inverse: no step leaves the row space then, nor could one that did
    be taken back.
    """
    cdef Py_ssize_t j, p = d.p, penalised = 0
    cdef double top = 0, mean = 0, trace = 0, level, square, largest = 0
    for j in range(p):
        if D[j] > 0 and D[j] < INFINITY:
            penalised += 1
            top = max(top, D[j])
            largest = max(largest, d.norm[j] * d.norm[j] / D[j])
    for j in range(p if p > d.n else 0):
        if D[j] > 0 and D[j] < INFINITY:
            mean += d.norm[j] * d.norm[j] / (D[j] / top) / penalised
    level = LEVELLING * mean / top if 0 < mean < INFINITY else 0
    for j in range(p):
        square = d.norm[j] * d.norm[j] + (0 if beside == NULL else beside[j])
        square = square * (1 if scale == NULL else scale[j] * scale[j])
        trace += square + d.weight_sum * d.mean[j] * d.mean[j]        # rounding comes before centring
        M[j] = 0
        if penalised == 0:                           # a preconditioner would change which norm is least
            M[j] = 1 if square > 0 else 0
        elif D[j] > 0 and D[j] < INFINITY and largest > HIDDEN and scale == NULL and beside == NULL:
            M[j] = 1 / (largest * D[j])
        elif square + D[j] > 0 and D[j] < INFINITY:
            M[j] = 1 / (square + D[j] * (1 + level))
    return trace + top


def conjugate_gradients(View d, const double[:, ::1] B, const double[:, ::1] D, double[:, ::1] W, double tol,
                        Py_ssize_t max_iter, const double[::1] scale=None, const double[::1] unit=None,
                        const double[::1] beside=None, const double[::1] least=None, double within=0,
                        const double[:, ::1] Y=None):
    """Solve (C (X'SX + diag(beside)) C' + diag(D[t])) W[t] = B[t] for every t, C = (I - unit unit') diag(scale).

    Parameters
    ----------
    d : View
        Its means must be known, its norms too: they precondition.
    B, D : ndarray of shape (k, p)
        Right-hand sides and diagonals; D not negative, infinite where W is to stay 0. Where D is zero, W is the
        solution of least norm.
    W : ndarray of shape (k, p)
        Where to start; becomes the solutions. Columns of norm 0 must start at 0 and stay there.
    tol : float
        Until every residual is at most tol times the norm of its right-hand side; where rounding allows no more, until
        it falls no further.
    max_iter : int
        Products at most.
    scale, unit, beside : ndarray of shape (p,) or None
        None: of ones, of zeros, of zeros.
    least : ndarray of shape (k,) or None
        And, where it is not zero, until the residual is at most within * least[t] times the norm of the solution: with
        the least eigenvalue, the error of the solution is at most within times itself then. For a kernel, whose rows
        of D are constants, what is measured is the norm of (X'SX + diag(beside))^1/2 C' W[t], the coefficients.
    within : float
    Y : ndarray of shape (k, n) or None
        Where B = X'S^1/2 Y: residuals are computed from its rows. None: it is a kernel.

    Returns
    -------
    Iterations
    """
    cdef Py_ssize_t k = B.shape[0], p = B.shape[1], t, a, j, m, used = 0, already
    cdef double[:, ::1] R = np.zeros((k, p))
    cdef double[:, ::1] P = np.empty((k, p))
    cdef double[:, ::1] Q = np.empty((k, p))
    cdef double[:, ::1] work = np.empty((k if not (scale is None and unit is None and beside is None) else 0, p))
    cdef double[:, ::1] M = np.empty((k, p))
    cdef double[::1] rho = np.zeros(k)
    cdef double[::1] size = np.ones(k)
    cdef double[::1] rel = np.zeros(k)
    cdef double[::1] before = np.full(k, np.inf)
    cdef double[::1] goal = np.zeros(k)
    cdef double[::1] drift = np.zeros(k)
    cdef double[::1] rows = np.zeros(k) if Y is None else np.linalg.norm(Y, axis=1)
    cdef Py_ssize_t[::1] count = np.zeros(k, dtype=np.intp)
    cdef Py_ssize_t[::1] live = np.arange(k)       # right-hand sides still worked on, in the first rows of P
    cdef double[::1] reach = np.zeros(k)           # no eigenvalue of a matrix is larger
    cdef double[::1] hazy = np.zeros(k)            # rounding of X' times the residuals of the rows: in no row space
    cdef double step, curvature
    cdef double sums[2]
    cdef bint cold = not np.any(W), check, drifted, kernel = Y is None
    cdef const double[:, ::1] right = B if kernel else None
    with nogil:
        for t in range(k):
            size[t] = sqrt(fr_vdot(p, &B[t, 0], &B[t, 0]))
            goal[t] = tol * size[t]
            reach[t] = _precondition(d, &D[t, 0], NULL if scale is None else &scale[0],
                                     NULL if beside is None else &beside[0], &M[t, 0])
        if not cold:
            _product(d, W, k, R, scale, unit, beside, work)
        for t in range(k):
            rel[t] = _residual(B, D, W, R, t)
            hazy[t] = 2 * ROUNDING * sqrt(reach[t]) * rows[t]
        # rounds: each starts from true residuals, which the recursion leaves by rounding
        while True:
            m, already = 0, used
            for t in range(k):
                if least is not None and least[t] > 0:
                    goal[t] = min(tol * size[t], within * least[t] * _solution_size(B, D, W, R, t, kernel))
                    if cold:
                        goal[t] = 0               # nothing is known of the solution's size
                # a residual no better known than the goal is not worked on twice: it leaves the row space
                if size[t] > 0 and rel[t] > goal[t] and rel[t] < .5 * before[t] and (
                        before[t] == INFINITY or hazy[t] <= goal[t]):
                    before[t] = rel[t]
                    live[m] = t
                    rho[t] = 0
                    for j in range(p):
                        P[m, j] = M[t, j] * R[t, j]
                        rho[t] += P[m, j] * R[t, j]
                    m += 1
            cold = False
            if m == 0 or used >= max_iter:
                break
            while m > 0 and used < max_iter:
                go_on()
                _product(d, P, m, Q, scale, unit, beside, work)
                used += 1
                a = 0
                while a < m:
                    t = live[a]
                    curvature = fr_curvature(p, &D[t, 0], &P[a, 0], &Q[a, 0])
                    count[t] += 1
                    check = curvature <= 0
                    if not check:
                        step = rho[t] / curvature
                        fr_advance(p, step, &P[a, 0], &Q[a, 0], &M[t, 0], &W[t, 0], &R[t, 0], sums)
                        rel[t] = sqrt(sums[1])
                        check = rel[t] <= .5 * tol * size[t]
                        if check and least is not None and least[t] > 0:
                            goal[t] = min(tol * size[t],
                                          within * least[t] * _solution_size(B, D, W, R, t, kernel))
                            check = rel[t] <= max(max(.5 * goal[t], hazy[t]), ROUNDING * before[t])
                    if check:                     # done: the last takes its place
                        m -= 1
                        if a < m:
                            P[a, :] = P[m, :]
                            Q[a, :] = Q[m, :]
                            live[a] = live[m]
                        continue
                    fr_direction(p, sums[0] / rho[t], &M[t, 0], &R[t, 0], &P[a, 0])
                    rho[t] = sums[0]
                    a += 1
            drifted = m > 0
            for t in range(k):
                drift[t] = ROUNDING * (used - already) * reach[t] * sqrt(fr_vdot(p, &W[t, 0], &W[t, 0]))
                drifted |= drift[t] > UNSEEN * goal[t] or rel[t] > goal[t]
            if not drifted:                       # true residuals differ from the recursion's by nothing that counts
                break
            if kernel:
                _product(d, W, k, R, scale, unit, beside, work)
            else:
                with gil:
                    _left_by_rows(d, Y, W, R, rows)
            for t in range(k):
                drift[t] = 0
                rel[t] = _residual(right, D, W, R, t)
                hazy[t] = 2 * ROUNDING * sqrt(reach[t]) * rows[t]
        for t in range(k):
            rel[t] += drift[t]
    return Iterations(count.base, rel.base, goal.base, rows.base, R.base, used >= max_iter)


def lanczos(View d, const double[::1] b, Py_ssize_t steps, Z=None, start=None):
    """Go on with the Lanczos process on X'SX begun at b, by so many steps.

    Parameters
    ----------
    d : View
        Its means must be known.
    b : ndarray of shape (p,)
    steps : int
    Z : ndarray of shape (steps, n) or None
        Receives X v_k, centred and not weighted, of each basis vector v_k: also on the rows of weight zero.
    start : tuple or None
        The third result of the call before, to go on from there.

    Returns
    -------
    diagonal, beside : ndarray of shape (m,), m <= steps
        Of the tridiagonal matrix of the basis; the last of `beside` belongs to the next basis vector. Fewer than
        asked where the basis is complete.
    state : tuple
        Two basis vectors, the number that couples them, and the largest of `diagonal` so far.
    """
    cdef Py_ssize_t p = d.p, i, j, m = 0
    cdef double[::1] diagonal = np.empty(steps)
    cdef double[::1] beside = np.empty(steps)
    cdef double[::1] v, last, q = np.empty(p)
    cdef double[:, ::1] z = Z
    cdef double coupling = 0, a, scale, largest = 0
    if start is None:
        scale = float(np.linalg.norm(b))
        v, last = np.array(b) / scale, np.zeros(p)
    else:
        v, last, coupling = np.array(start[0]), np.array(start[1]), start[2]
        largest = start[3]
    with nogil:
        for i in range(steps):
            go_on()
            d.normal(&v[0], 1, &z[i, 0] if z is not None else NULL, &q[0])
            fr_axpy(p, -coupling, &last[0], &q[0])
            a = fr_vdot(p, &q[0], &v[0])
            fr_axpy(p, -a, &v[0], &q[0])
            coupling = sqrt(fr_vdot(p, &q[0], &q[0]))
            diagonal[i], beside[i] = a, coupling
            m = i + 1
            largest = max(largest, fabs(a))
            if coupling <= 1e-14 * largest:
                break
            last[:] = v
            for j in range(p):
                v[j] = q[j] / coupling
    return diagonal.base[:m], beside.base[:m], (v.base, last.base, coupling, largest)
