"""The Poisson loss ``exp(eta) - y eta``, for y that are not negative."""
from libc.math cimport INFINITY, exp, log

import numpy as np
from scipy.special import gammaln, xlogy

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.young cimport relative_entropy
from fastreg.kernels.vector cimport fr_exp

cdef enum:
    CHUNK = 256                  # rows whose means stay in cache
cdef double MOST = 600           # of eta: beyond, the loss goes on as a line, so that sums of means stay numbers


cdef inline double _mean(double eta) noexcept nogil:
    return exp(min(eta, MOST))


cdef class Poisson(Datafit):
    """``f(y, eta) = exp(eta) - y eta``, for y >= 0: half the deviance of counts, up to what does not depend on eta."""

    mean_power = 1
    one_sided = "y must not be zero in every row that has a weight: its intercept is minus infinity."
    escaping = "columns set rows of zeros apart from the others"

    def __cinit__(self):
        self.name, self.quadratic, self.convex = "poisson", False, True

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i, k, first, m
        cdef double mu[CHUNK]
        for k in range((n + CHUNK - 1) // CHUNK):
            first = k * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                mu[i] = min(eta[first + i], MOST)
            fr_exp(m, mu, mu)
            for i in range(m if f != NULL else 0):
                f[first + i] = mu[i] * (1 + max(eta[first + i] - MOST, 0)) - y[first + i] * eta[first + i]
            for i in range(m if g != NULL else 0):
                g[first + i] = mu[i] - y[first + i]
            for i in range(m if h != NULL else 0):
                h[first + i] = mu[i]

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double t
        for i in range(n):
            t = y[i] + u[i]
            out[i] = INFINITY if t < 0 else 0 if t == 0 else t * log(t) - t

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Of each row ``t log(t / mu) - t + mu`` with t = y + c (mu - y), which does not cancel near t = mu."""
        cdef Py_ssize_t i
        cdef double mu, total = 0
        if c == 1:
            return 0
        for i in range(n):
            if s != NULL and s[i] <= 0:
                continue
            mu = _mean(eta[i])
            if mu == 0:
                total += INFINITY if (1 - c) * y[i] > 0 else 0
                continue
            total += (1 if s == NULL else s[i]) * mu * relative_entropy((1 - c) * (y[i] - mu) / mu)   # of t / mu - 1
        return total

    cdef double refit_intercept(self, Py_ssize_t n, const double *y, const double *s, double *eta) noexcept nogil:
        """In closed form: the logarithm of what the means lack."""
        cdef Py_ssize_t i, k, first, m
        cdef double weight, shift, top = -INFINITY, means = 0, total = 0
        cdef double mu[CHUNK]
        for i in range(n):
            if s == NULL or s[i] > 0:
                top = max(top, eta[i])
        for k in range((n + CHUNK - 1) // CHUNK):
            first = k * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                mu[i] = min(eta[first + i] - top, 0)
            fr_exp(m, mu, mu)
            for i in range(m):
                weight = 1 if s == NULL else s[first + i]
                if weight > 0:
                    means += weight * mu[i]
                    total += weight * y[first + i]
        shift = log(total / means) - top
        for i in range(n):
            eta[i] += shift
        return shift

    def check_y(self, y):
        if np.any(y < 0):
            raise ValueError("Some value(s) of y are out of the valid range of the loss 'poisson': y must not be "
                             f"negative, got {np.min(y)}.")
        if not np.all(np.isfinite(y)):
            raise ValueError("y must be finite.")

    def saturated(self, y):
        return y - xlogy(y, y)

    def log_measure(self, y):
        return gammaln(y + 1)

    def variance(self, mean):
        return mean

    def open_side(self, y):
        return -(y == 0).astype(float)

    def inverse_link(self, eta):
        return np.exp(eta)

    def link(self, mean):
        return np.log(mean)


POISSON = Poisson()
