"""The squared hinge ``max(0, 1 - y eta)^2 / 2``, y being -1 or 1: the loss of support vector machines, made smooth."""
from libc.math cimport INFINITY

import numpy as np

from fastreg.datafits.base cimport Datafit


cdef class SquaredHinge(Datafit):
    """``f(y, eta) = max(0, 1 - y eta)^2 / 2``, for y of -1 and 1: nothing, and without curvature, beyond the margin."""

    labels = True
    one_sided = "y must hold two classes: all rows that have a weight are of one class."

    def __cinit__(self):
        self.name, self.quadratic, self.convex = "squared_hinge", False, True

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i
        cdef double short
        for i in range(n):
            short = 1 - y[i] * eta[i]
            short = 0 if short < 0 else short      # a NaN stays one
            if f != NULL:
                f[i] = 0.5 * short * short
            if g != NULL:
                g[i] = -y[i] * short
            if h != NULL:
                h[i] = 0 if short == 0 else 1 if short > 0 else short

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(n):
            t = -y[i] * u[i]
            out[i] = INFINITY if t < 0 else t * (0.5 * t - 1)

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Of each row ``(1 - c)^2 f'^2 / 2``."""
        return 0.5 * (1 - c) * (1 - c) * rr

    def check_y(self, y):
        if not np.all(np.abs(y) == 1):
            raise ValueError("y must hold two classes, as -1 and 1.")

    def saturated(self, y):
        return np.zeros(len(y))

    def log_measure(self, y):
        raise NotImplementedError("criterion needs a likelihood, and the squared hinge is that of none: choose by "
                                  "folds.")

    def inverse_link(self, eta):
        """The mean of y whose best linear predictor is eta."""
        return np.clip(eta, -1, 1)

    def link(self, mean):
        return mean if np.all(np.abs(mean) < 1) else np.inf


SQUARED_HINGE = SquaredHinge()
