"""Several classes on the same rows: kernels on arrays of shape (n_classes, n)."""
import numpy as np

from fastreg.kernels.classes cimport (
    cancelling as _cancelling, cancelling_work, classes_fit, classes_fit_work, classes_loss, classes_model,
    classes_offsets, classes_step, least_shift as _least_shift)


def offsets(const double[:, ::1] linear):
    """-log(sum exp) of the other classes."""
    cdef Py_ssize_t K = linear.shape[0], n = linear.shape[1]
    cdef double[::1] top = np.empty(n)
    cdef double[:, ::1] after = np.empty((K, n))
    cdef double[:, ::1] out = np.empty((K, n))
    with nogil:
        classes_offsets(n, K, &linear[0, 0], &top[0], &after[0, 0], &out[0, 0])
    return out.base


def loss(const double[:, ::1] y, s, const double[:, ::1] linear):
    """classes_loss, s None for ones."""
    cdef const double[::1] weights = np.ones(1) if s is None else s
    return classes_loss(linear.shape[1], linear.shape[0], &y[0, 0], NULL if s is None else &weights[0], &linear[0, 0])


def step(const double[:, ::1] y, s, const double[:, ::1] linear, const double[:, ::1] z, held=None,
         double reach=8):
    """(size, step of shape (K, m)) of the coefficients of columns z."""
    cdef Py_ssize_t K = linear.shape[0], n = linear.shape[1], m = z.shape[0], N = K * m
    cdef const double[::1] weights = np.ones(1) if s is None else s
    cdef const double[:, ::1] offset = offsets(linear)
    cdef const char[::1] stays = np.zeros(N, dtype=np.int8) if held is None else held
    cdef double[::1] work = np.empty(classes_fit_work(K, m))
    cdef double[:, ::1] H = np.empty((N, N))
    cdef double[::1] slope = np.empty(N), sums = np.empty(N)
    cdef double[:, ::1] out = np.empty((K, m))
    cdef double size
    with nogil:
        classes_model(n, K, m, &y[0, 0], NULL if s is None else &weights[0], &linear[0, 0], &offset[0, 0], &z[0, 0],
                      &work[0], &H[0, 0], &slope[0], &sums[0])
        size = classes_step(K, m, &H[0, 0], &slope[0], &sums[0], &stays[0], reach, &work[0], &out[0, 0])
    return size, out.base


def fit(const double[:, ::1] y, s, const double[:, ::1] linear, const double[:, ::1] z, lo=-np.inf, hi=np.inf):
    """(coefficients (K, m) of columns z, from zeros, linear predictors with them)."""
    cdef Py_ssize_t K = linear.shape[0], n = linear.shape[1], m = z.shape[0]
    cdef const double[::1] weights = np.ones(1) if s is None else s
    cdef double[:, ::1] low = np.full((K, m), lo), high = np.full((K, m), hi), w = np.zeros((K, m))
    cdef double[:, ::1] there = np.array(linear), after = np.empty((K, n)), offset = np.empty((K, n))
    cdef double[::1] top = np.empty(n), work = np.empty(classes_fit_work(K, m))
    with nogil:
        classes_fit(n, K, m, &y[0, 0], NULL if s is None else &weights[0], &z[0, 0], &low[0, 0], &high[0, 0], &w[0, 0],
                    &there[0, 0], &top[0], &after[0, 0], &offset[0, 0], &work[0])
    return w.base, there.base


def cancelling(s, const double[:, :, ::1] points):
    """Shares of the changes between points; None where they cannot be told."""
    cdef Py_ssize_t past = points.shape[0] - 1
    cdef const double[::1] weights = np.ones(1) if s is None else s
    cdef double[::1] work = np.empty(cancelling_work(past))
    cdef double[::1] share = np.empty(past)
    found = _cancelling(points.shape[2], points.shape[1], past, NULL if s is None else &weights[0], &points[0, 0, 0],
                        &work[0], &share[0])
    return share.base if found else None


def least_shift(v, double l1, double l2):
    """The shift at which the penalty of classes is least, v being less their coefficients."""
    cdef double[::1] room = np.concatenate([np.asarray(v, dtype=np.float64), np.empty(len(v) + 1)])
    return _least_shift(&room[0], len(v), l1, l2)
