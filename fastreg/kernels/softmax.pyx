"""A softmax of three or more classes on its rows: probabilities and residuals, and what bends along a direction."""
import numpy as np

from fastreg.kernels.classes cimport classes_loss
from fastreg.kernels.leaf cimport fr_vdot

cdef double HELD = 1e-10         # of the mean curvature of the classes, what one that no row expects gets


cdef extern from *:
    """
    #include "vector.h"

    /* Of m rows (at most FR_AT_ONCE) of K classes, ld apart, at eta + part v: probabilities p, and residuals
     * s (label - p), both 0 where s is; sums of residuals times v, and of s (mean of v^2 - (mean of v)^2), means
     * being those under p. s NULL for ones; v NULL for zeros. */
    FR_LEAF void fr_softmax(ptrdiff_t m, ptrdiff_t K, ptrdiff_t ld, const double *y, const double *s, const double *eta,
                            const double *v, double part, double *p, double *r, double *sums) {
        double top[FR_AT_ONCE], total[FR_AT_ONCE], on[FR_AT_ONCE], weight[FR_AT_ONCE], mean[FR_AT_ONCE];
        double square[FR_AT_ONCE], slope = 0, bend = 0;
        for (ptrdiff_t i = 0; i < m; i++) {
            on[i] = !s || s[i] > 0 ? 1.0 : 0.0;
            weight[i] = on[i] > 0 ? (s ? s[i] : 1.0) : 0.0;
            total[i] = mean[i] = square[i] = 0;
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            const double *x = eta + k * ld, *d = v ? v + k * ld : eta;
            double *pk = p + k * ld, far = v ? part : 0;
            FR_PRAGMA(omp simd)
            for (ptrdiff_t i = 0; i < m; i++) {
                double there = on[i] > 0 ? x[i] + far * d[i] : 0;
                pk[i] = there;
                top[i] = k == 0 || there > top[i] ? there : top[i];
            }
        }
        for (ptrdiff_t k = 0; k < K; k++) {
            double *pk = p + k * ld;
            FR_PRAGMA(omp simd)
            for (ptrdiff_t i = 0; i < m; i++) {
                pk[i] = fr_exp1(pk[i] - top[i]);
                total[i] += pk[i];
            }
        }
        for (ptrdiff_t i = 0; i < m; i++) total[i] = on[i] / total[i];
        for (ptrdiff_t k = 0; k < K; k++) {
            const double *yk = y + k * ld, *d = v ? v + k * ld : NULL;
            double *pk = p + k * ld, *rk = r + k * ld;
            FR_PRAGMA(omp simd)
            for (ptrdiff_t i = 0; i < m; i++) {
                pk[i] *= total[i];
                rk[i] = weight[i] * ((yk[i] > 0 ? 1.0 : 0.0) - pk[i]);
            }
            if (!d) continue;
            FR_PRAGMA(omp simd reduction(+:slope))
            for (ptrdiff_t i = 0; i < m; i++) {
                double di = on[i] > 0 ? d[i] : 0;
                slope += rk[i] * di;
                mean[i] += pk[i] * di;
                square[i] += pk[i] * di * di;
            }
        }
        if (v) for (ptrdiff_t i = 0; i < m; i++) bend += weight[i] * (square[i] - mean[i] * mean[i]);
        sums[0] += slope;
        sums[1] += bend;
    }
    """
    const Py_ssize_t FR_AT_ONCE
    void fr_softmax(Py_ssize_t m, Py_ssize_t K, Py_ssize_t ld, const double *y, const double *s, const double *eta,
                    const double *v, double part, double *p, double *r, double *sums) noexcept nogil


def softmax_rows(const double[:, ::1] Y, const double[::1] weights, const double[:, ::1] eta,
                 const double[:, ::1] v=None, double part=0):
    """What a step along v comes to.

    Parameters
    ----------
    Y : ndarray of shape (n_classes, n)
        Positive in rows of the class.
    weights : ndarray of shape (n,) or None
        Rows without weight may hold anything.
    eta, v : ndarray of shape (n_classes, n)
        Linear predictors, and how they change; None: they do not.
    part : float
        How much of v.

    Returns
    -------
    chances, residual : ndarray of shape (n_classes, n)
        Probabilities, and weighted differences of the labels from them; 0 in rows without weight.
    slope, bend : float
        Less the loss's derivative along v, and the second one.
    """
    cdef Py_ssize_t K = eta.shape[0], n = eta.shape[1], c, first
    cdef double[:, ::1] chances = np.empty((K, n)), residual = np.empty((K, n))
    cdef double[2] sums
    sums[0] = sums[1] = 0
    with nogil:
        for c in range((n + FR_AT_ONCE - 1) // FR_AT_ONCE):
            first = c * FR_AT_ONCE
            fr_softmax(min(FR_AT_ONCE, n - first), K, n, &Y[0, first], NULL if weights is None else &weights[first],
                       &eta[0, first], NULL if v is None else &v[0, first], part, &chances[0, first],
                       &residual[0, first], sums)
    return chances.base, residual.base, sums[0], sums[1]


def softmax_levels(const double[:, ::1] chances, const double[::1] weights):
    """What gives intercepts to sums of residuals: the inverse of their equations.

    Along what all classes have in common nothing bends, and nothing pulls; a class that no row expects bends by
    rounding. Both are held by numbers that do not matter elsewhere.
    """
    cdef Py_ssize_t K = chances.shape[0], n = chances.shape[1], a, b
    cdef double[:, ::1] bent = np.zeros((K, K))
    cdef double[::1] weighted = np.empty(n)
    cdef double both, level = 0
    with nogil:
        for a in range(K):
            _weigh(n, weights, &chances[a, 0], &weighted[0])
            for b in range(a):
                both = fr_vdot(n, &weighted[0], &chances[b, 0])
                bent[a, b] = bent[b, a] = -both
                bent[a, a] += both
                bent[b, b] += both
                level += 2 * both / K
        for a in range(K):
            for b in range(K):
                bent[a, b] += level / K
            bent[a, a] += level * HELD
    return np.linalg.inv(bent.base) if level > 0 else np.zeros((K, K))


cdef void _weigh(Py_ssize_t n, const double[::1] weights, const double *x, double *out) noexcept nogil:
    """x times the weights."""
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = x[i] if weights is None else weights[i] * x[i]


cdef void _means(Py_ssize_t K, Py_ssize_t n, const double[:, ::1] chances, const double[:, ::1] of_rows,
                 const double[::1] of_classes, double[::1] mean) noexcept nogil:
    """Of each row, the mean under its probabilities: of an array of their shape, or of a number for each class."""
    cdef Py_ssize_t i, k
    for i in range(n):
        mean[i] = 0
    for k in range(K):
        if of_rows is None:
            for i in range(n):
                mean[i] += chances[k, i] * of_classes[k]
        else:
            for i in range(n):
                mean[i] += chances[k, i] * of_rows[k, i]


def settled_residuals(const double[:, ::1] chances, const double[::1] weights, const double[:, ::1] residual,
                      const double[:, ::1] of_levels):
    """(Residuals with intercepts that are nearer to their best, their change), of_levels being `softmax_levels`."""
    cdef Py_ssize_t K = chances.shape[0], n = chances.shape[1], i, k
    cdef double[::1] mean = np.empty(n), level = np.asarray(of_levels) @ np.sum(residual, axis=1)
    cdef double[:, ::1] out = np.empty((K, n))
    with nogil:
        _means(K, n, chances, None, level, mean)
        for k in range(K):
            for i in range(n):
                out[k, i] = chances[k, i] * (level[k] - mean[i])
            _weigh(n, weights, &out[k, 0], &out[k, 0])
            for i in range(n):
                out[k, i] = residual[k, i] - out[k, i]
    return out.base, level.base


def followed_change(const double[:, ::1] chances, const double[::1] weights, double[:, ::1] change,
                    const double[:, ::1] of_levels, const double[::1] beside):
    """Intercepts that follow a change of the predictors, to which they and numbers `beside` are added in place."""
    cdef Py_ssize_t K = chances.shape[0], n = chances.shape[1], i, k
    cdef double[::1] mean = np.empty(n), turned = np.empty(n), sums = np.empty(K), level
    with nogil:
        _means(K, n, chances, change, None, mean)
        for k in range(K):
            for i in range(n):
                turned[i] = change[k, i] - mean[i]
            _weigh(n, weights, &turned[0], &turned[0])
            sums[k] = fr_vdot(n, &chances[k, 0], &turned[0])
    level = np.asarray(beside) - np.asarray(of_levels) @ sums.base
    with nogil:
        for k in range(K):
            for i in range(n):
                change[k, i] += level[k]
    return level.base


def softmax_loss(const double[:, ::1] Y, const double[::1] weights, const double[:, ::1] eta):
    """``sum_i s_i (log sum_k exp(eta_ki) - eta_yi)``; arguments as of `softmax_rows`."""
    cdef double loss
    with nogil:
        loss = classes_loss(eta.shape[1], eta.shape[0], &Y[0, 0], NULL if weights is None else &weights[0], &eta[0, 0])
    return loss
