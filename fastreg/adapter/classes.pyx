"""Several classes on the same rows: kernels on arrays of shape (n_classes, n)."""
import numpy as np

from fastreg.kernels.classes cimport (
    cancelling as _cancelling, cancelling_work, classes_levels, classes_levels_work, classes_loss, classes_offsets,
    least_shift as _least_shift)


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


def levels(const double[:, ::1] y, s, const double[:, ::1] linear):
    """(size, step) of the intercepts."""
    cdef Py_ssize_t K = linear.shape[0]
    cdef const double[::1] weights = np.ones(1) if s is None else s
    cdef const double[:, ::1] offset = offsets(linear)
    cdef double[::1] work = np.empty(classes_levels_work(K))
    cdef double[::1] level = np.empty(K)
    size = classes_levels(linear.shape[1], K, &y[0, 0], NULL if s is None else &weights[0], &linear[0, 0],
                          &offset[0, 0], &work[0], &level[0])
    return size, level.base


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
