"""The logistic loss ``log(1 + exp(-y eta))``, y being -1 or 1."""
from libc.math cimport INFINITY, log, log1p

import numpy as np
from scipy.special import expit, logit

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.young cimport relative_entropy
from fastreg.kernels.vector cimport fr_logistic, fr_logistic_excess

cdef enum:
    CHUNK = 256                  # rows whose values stay in cache


cdef double relative_entropies(Py_ssize_t n, const double *y, const double *s, const double *eta, double c,
                               bint own) noexcept nogil:
    """Sum over the rows, of y = 1 alone if `own`, of that of the probabilities c q and q of the other label."""
    cdef Py_ssize_t k, first, i, m
    cdef double total = 0
    cdef double row[CHUNK]
    for k in range((n + CHUNK - 1) // CHUNK if c != 1 else 0):
        first = k * CHUNK
        m = min(CHUNK, n - first)
        fr_logistic_excess(m, y + first, eta + first, 1 - c, relative_entropy(c - 1), log1p(-c), row)
        for i in range(m):
            if (s == NULL or s[first + i] > 0) and (y[first + i] > 0 or not own):
                total += (1 if s == NULL else s[first + i]) * row[i]
    return total


cdef class Logistic(Datafit):
    """``f(y, eta) = log(1 + exp(-y eta))``, for y of -1 and 1: half the deviance of a binomial y."""

    labels = True
    one_sided = "y must hold two classes: all rows that have a weight are of one class."
    escaping = "the classes are separable"

    def __cinit__(self):
        self.name, self.quadratic, self.convex = "logistic", False, True

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        fr_logistic(n, y, eta, f, g, h)

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(n):
            t = -y[i] * u[i]
            if t < 0 or t > 1:
                out[i] = INFINITY
            else:
                out[i] = (t * log(t) if t > 0 else 0) + ((1 - t) * log1p(-t) if t < 1 else 0)

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Of each row the relative entropy of the probabilities c q and q of the other label."""
        return relative_entropies(n, y, s, eta, c, False)

    def check_y(self, y):
        if not np.all(np.abs(y) == 1):
            raise ValueError("y must hold two classes, as -1 and 1.")

    def saturated(self, y):
        return np.zeros(len(y))

    def open_side(self, y):
        return y

    def inverse_link(self, eta):
        return expit(eta)

    def link(self, mean):
        return logit(0.5 * (1 + np.asarray(mean)))


LOGISTIC = Logistic()
