"""The gamma loss ``y exp(-eta) + eta``, for positive y of mean exp(eta)."""
from libc.math cimport INFINITY, exp, log

import numpy as np

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.young cimport relative_entropy
from fastreg.kernels.vector cimport fr_exp

cdef enum:
    CHUNK = 256                  # rows whose ratios stay in cache
cdef double MOST = 600           # of log(y) - eta: beyond, the loss goes on as a line, so that sums stay numbers
cdef double LEAST = 1e-250       # of the largest y


cdef class Gamma(Datafit):
    """``f(y, eta) = y exp(-eta) + eta``, for y > 0: half the deviance of gamma-distributed y, up to what does not
    depend on eta, with the logarithm as link. In m = y exp(-eta), the ratio of y to its mean, all is short."""

    mean_power = 2
    one_sided = "y must be positive."
    escaping = "the loss falls for ever"

    def __cinit__(self):
        self.name, self.quadratic, self.convex = "gamma", False, True

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i, k, first, m
        cdef double ratio[CHUNK]
        for k in range((n + CHUNK - 1) // CHUNK):
            first = k * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                ratio[i] = min(-eta[first + i], MOST)
            fr_exp(m, ratio, ratio)
            for i in range(m):
                ratio[i] *= y[first + i]
            for i in range(m if f != NULL else 0):
                f[first + i] = ratio[i] * (1 + max(-eta[first + i] - MOST, 0)) + eta[first + i]
            for i in range(m if g != NULL else 0):
                g[first + i] = 1 - ratio[i]
            for i in range(m if h != NULL else 0):
                h[first + i] = ratio[i]

    def expected(self, eta, weights=None):
        """s, as y over its mean is 1 on average: at first, when means are far off, nearer to the truth than ratios."""
        return np.ones(len(eta)) if weights is None else np.maximum(weights, 0)

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        cdef double m
        for i in range(n):
            m = 1 - u[i]
            out[i] = INFINITY if m < 0 else 0 if m == 0 else m * log(m / y[i]) - m

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Of each row ``t log(t / m) - t + m`` with t = m + (1 - c) (1 - m), which does not cancel near t = m."""
        cdef Py_ssize_t i
        cdef double m, total = 0
        if c == 1:
            return 0
        for i in range(n):
            if s != NULL and s[i] <= 0:
                continue
            m = y[i] * exp(min(-eta[i], MOST))
            if m == 0:
                total += INFINITY
                continue
            total += (1 if s == NULL else s[i]) * m * relative_entropy((1 - c) * (1 - m) / m)
        return total

    cdef double refit_intercept(self, Py_ssize_t n, const double *y, const double *s, double *eta) noexcept nogil:
        """In closed form: the logarithm of the mean ratio."""
        cdef Py_ssize_t i, k, first, m
        cdef double weight, shift, low = INFINITY, ratios = 0, total = 0
        cdef double ratio[CHUNK]
        for i in range(n):
            if s == NULL or s[i] > 0:
                low = min(low, eta[i])
        for k in range((n + CHUNK - 1) // CHUNK):
            first = k * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                ratio[i] = min(low - eta[first + i], 0)
            fr_exp(m, ratio, ratio)
            for i in range(m):
                weight = 1 if s == NULL else s[first + i]
                if weight > 0:
                    ratios += weight * y[first + i] * ratio[i]
                    total += weight
        shift = log(ratios / total) - low
        for i in range(n):
            eta[i] += shift
        return shift

    def check_y(self, y):
        if np.any(y <= 0):
            raise ValueError("Some value(s) of y are out of the valid range of the loss 'gamma': y must be positive, "
                             f"got {np.min(y)}.")
        if not np.all(np.isfinite(y)):
            raise ValueError("y must be finite.")
        if 0 < np.max(y, initial=0) < LEAST:
            raise ValueError(f"y must not be below {LEAST} in every row, where its loss is no number: change its unit.")

    def saturated(self, y):
        return 1 + np.log(y)

    def log_measure(self, y):
        raise NotImplementedError("criterion needs a likelihood, and that of the gamma loss has a dispersion of its "
                                  "own: choose by folds.")

    def variance(self, mean):
        return mean * mean

    def inverse_link(self, eta):
        return np.exp(eta)

    def link(self, mean):
        return np.log(mean)


GAMMA = Gamma()
