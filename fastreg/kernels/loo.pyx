"""Leave-one-out errors of ridge regression at many penalties, in one pass over the rows.

With the eigenvectors V of X'X, a row z = (x - mean) V has the leverage ``sum_k z_k^2 / (d_k + alpha)`` and the fit
``sum_k z_k q_k / (d_k + alpha)``. As functions of k and alpha, ``d_k / (d_k + alpha)`` have a low rank to working
precision, so that both are products with few columns.
"""
from libc.math cimport INFINITY
from libc.stdlib cimport free

import numpy as np

from scipy.linalg.cython_blas cimport dgemm

from fastreg.kernels.leaf cimport fr_loo
from fastreg.kernels.memory cimport grow
from fastreg.kernels.threads cimport look, run_tasks
from fastreg.kernels.view cimport View

cdef Py_ssize_t LANES = 8               # sums of their own, whatever the number of threads


cdef struct Sums:
    void *d
    Py_ssize_t k, r, A, T, rows, size, least
    Py_ssize_t stride    # of the lanes' buffers: none where they take turns
    double bound
    const double *mean
    const double *V      # k x p, NULL where X holds the rows z themselves
    const double *W      # (1 + T) x r x k: of the leverages, and of each target's fits
    const double *R      # A x r, NULL where r is A
    const double *Y      # T x n
    const double *own
    double *room         # n
    double *buffer       # of each lane
    double *total        # of each lane, T x A
    double *errors       # T x n x A, or NULL


def loo_sums(View d, const double[::1] mean, V, const double[:, :, ::1] W, R, const double[:, ::1] Y,
             const double[::1] own, Py_ssize_t least, double bound, errors=None):
    """Sums of squared leave-one-out errors for every target and penalty.

    Parameters
    ----------
    d : View
        Dense.
    mean : ndarray of shape (p,)
        What to subtract from X.
    V : ndarray of shape (k, p) or None
        None where X holds the rows z themselves.
    W : ndarray of shape (1 + n_targets, r, k)
        Leverages are ``z^2 W[0]' R'``, fits ``z W[1 + t]' R'``, z = V x being scaled by sqrt(weight).
    R : ndarray of shape (n_alphas, r) or None
        None for the identity.
    Y : ndarray of shape (n_targets, n)
        Centred targets scaled by sqrt(weight).
    own : ndarray of shape (n,)
        One less the leverage that a row has by the intercept.
    least : int
        The smallest penalty, at which leverages are largest.
    bound : float
        Rows that leverage leaves less than this there are not summed (their errors are 0): 1 - h has lost its digits.
    errors : ndarray of shape (n_targets, n, n_alphas) or None
        Where to leave the errors, scaled by sqrt(weight).

    Returns
    -------
    sums : ndarray of shape (n_targets, n_alphas)
    room : ndarray of shape (n,)
        `own` less the leverages at the smallest penalty.
    """
    cdef Sums u
    cdef const double[:, ::1] V_, R_
    cdef double[:, :, ::1] errors_
    cdef Py_ssize_t n = d.n
    u.r, u.k, u.T = W.shape[1], W.shape[2], Y.shape[0]
    u.mean, u.W, u.Y, u.own, u.V, u.R, u.errors = &mean[0], &W[0, 0, 0], &Y[0, 0], &own[0], NULL, NULL, NULL
    u.A = u.r
    if V is not None:
        V_ = V
        u.V = &V_[0, 0]
    if R is not None:
        R_ = R
        u.R, u.A = &R_[0, 0], R_.shape[0]
    if errors is not None:
        errors_ = errors
        u.errors = &errors_[0, 0, 0]
    cdef double[::1] room = np.empty(n)
    u.room, u.least, u.bound = &room[0], least, bound
    u.rows = 128 if d.p <= 128 else (256 if d.p <= 512 else 1024)
    u.size = u.rows * (d.p + 2 * u.k + u.r + 2 * u.A + 1)
    cdef int threads = d.threads(<double> n * (d.p + u.A) * u.k)
    cdef double[:, :, ::1] sums = np.zeros((LANES, u.T, u.A))
    u.d, u.total, u.buffer = <void *> d, &sums[0, 0, 0], NULL
    u.stride = u.size if threads > 1 else 0
    grow(<void **> &u.buffer, (LANES if threads > 1 else 1) * u.size * sizeof(double))
    try:
        with nogil:
            run_tasks(_lane, &u, LANES, threads)
    finally:
        free(u.buffer)
    return sums.base.sum(axis=0), room.base


cdef int _lane(void *context, Py_ssize_t lane) except -1 nogil:
    """Every LANES-th block of rows."""
    cdef const Sums *u = <const Sums *> context
    cdef Py_ssize_t i0 = lane * u.rows, n = (<View> u.d).n
    while i0 < n:
        _rows(<View> u.d, u, i0, u.buffer + lane * u.stride, u.total + lane * u.T * u.A)
        look()
        i0 += LANES * u.rows
    return 0


cdef void _rows(View d, const Sums *u, Py_ssize_t i0, double *buffer, double *sums) noexcept nogil:
    """Add the errors of the rows from i0 on."""
    cdef Py_ssize_t m = min(u.rows, d.n - i0), i, a, t
    cdef double *B = buffer
    cdef double *Z = B + m * d.p
    cdef double *S = Z + m * u.k
    cdef double *F = S + m * u.k
    cdef double *H = F + m * u.r
    cdef double *fit = H + m * u.A
    cdef double *own = fit + m * u.A
    if u.V == NULL:
        Z = B
        d.load_rows(i0, NULL, m, u.mean, Z)
    elif d.across():
        d.load_as_rows(i0, NULL, m, u.mean, d.p, B)
        _product('T', m, u.k, d.p, B, u.V, Z)
    else:
        d.load_rows(i0, NULL, m, u.mean, B)
        _product('N', m, u.k, d.p, B, u.V, Z)
    for i in range(m * u.k):
        S[i] = Z[i] * Z[i]
    _of_alphas(u, m, S, u.W, F, H)
    for i in range(m):
        own[i] = u.own[i0 + i]
        u.room[i0 + i] = own[i] - H[u.least * m + i]
        if u.room[i0 + i] < u.bound:
            own[i] = INFINITY
    for t in range(u.T):
        _of_alphas(u, m, Z, u.W + (t + 1) * u.k * u.r, F, fit)
        for a in range(u.A):
            sums[t * u.A + a] += fr_loo(m, u.Y + t * d.n + i0, fit + a * m, own, H + a * m, u.A,
                                        NULL if u.errors == NULL else u.errors + (t * d.n + i0) * u.A + a)


cdef void _of_alphas(const Sums *u, Py_ssize_t m, const double *Z, const double *W, double *F,
                     double *out) noexcept nogil:
    if u.R == NULL:
        _product('N', m, u.r, u.k, Z, W, out)
    else:
        _product('N', m, u.r, u.k, Z, W, F)
        _product('N', m, u.A, u.r, F, u.R, out)


cdef void _product(char stored, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const double *A, const double *B,
                   double *out) noexcept nogil:
    """out = A B, all by columns, or A by rows (stored 'T')."""
    cdef int im = <int> m, i_n = <int> n, ik = <int> k
    cdef int lda = im if stored == b'N' else ik
    cdef double one = 1, zero = 0
    dgemm(&stored, 'N', &im, &i_n, &ik, &one, <double *> A, &lda, <double *> B, &ik, &zero, out, &im)
