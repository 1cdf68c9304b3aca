"""The squared loss ``(y - eta)^2 / 2``."""
from fastreg.datafits.base cimport Datafit

import numpy as np


cdef class Quadratic(Datafit):
    """``f(y, eta) = (y - eta)^2 / 2``, for any y."""

    def __cinit__(self):
        self.name, self.quadratic, self.convex = "quadratic", True, True

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n):
            if f != NULL:
                f[i] = 0.5 * (y[i] - eta[i]) * (y[i] - eta[i])
            if g != NULL:
                g[i] = eta[i] - y[i]
            if h != NULL:
                h[i] = 1

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n):
            out[i] = u[i] * (y[i] + 0.5 * u[i])

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        return 0.5 * (1 - c) * (1 - c) * rr

    def saturated(self, y):
        return np.zeros(len(y))

    def inverse_link(self, eta):
        return eta

    def link(self, mean):
        return mean


QUADRATIC = Quadratic()
