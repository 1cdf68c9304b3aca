"""Huber's loss: half the squared error up to a distance delta, and a line beyond it."""
from libc.math cimport INFINITY, fabs

import numpy as np

from fastreg.datafits.base cimport Datafit
from fastreg.scale import MODERATE, UNIT, Scale

cdef enum:
    STEPS = 200                  # of Newton's method for the intercept


cdef class Huber(Datafit):
    """``f(y, eta) = r^2 / 2`` where ``|r| <= delta``, ``delta |r| - delta^2 / 2`` elsewhere, r = eta - y.

    Parameters
    ----------
    delta : float
        Positive, in the units of y.
    """

    cdef readonly double delta

    one_sided = "y must be finite."

    def __cinit__(self, double delta):
        if not 0 < delta < INFINITY:
            raise ValueError(f"delta must be positive and finite, got {delta}.")
        self.delta = delta
        self.name, self.quadratic, self.convex = f"huber({delta!r})", False, True

    def __reduce__(self):
        return Huber, (self.delta,)

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i
        cdef double r, inner, d = self.delta
        for i in range(n):
            r = eta[i] - y[i]
            inner = -d if r < -d else d if r > d else r
            if f != NULL:
                f[i] = inner * (r - 0.5 * inner)
            if g != NULL:
                g[i] = inner
            if h != NULL:
                h[i] = 1 if inner == r else 0 if r == r else r

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n):
            out[i] = INFINITY if fabs(u[i]) > self.delta else u[i] * (y[i] + 0.5 * u[i])

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Of each row ``(1 - c)^2 g^2 / 2``, g = f', and ``(1 - c) |g| (|r| - delta)`` more beyond delta."""
        cdef Py_ssize_t i
        cdef double total = 0.5 * (1 - c) * (1 - c) * rr, far
        for i in range(n):
            far = fabs(eta[i] - y[i]) - self.delta
            if far > 0 and (s == NULL or s[i] > 0):
                total += (1 if s == NULL else s[i]) * (1 - c) * self.delta * far
        return total

    cdef double refit_intercept(self, Py_ssize_t n, const double *y, const double *s, double *eta) noexcept nogil:
        """Newton's method, held in a bracket between the residuals at its ends; there may be several best ones."""
        cdef Py_ssize_t i
        cdef int _
        cdef double r, weight, slope, curve, size, shift, total = 0, lo = INFINITY, hi = -INFINITY, d = self.delta
        for i in range(n):
            if s == NULL or s[i] > 0:
                lo, hi = min(lo, y[i] - eta[i]), max(hi, y[i] - eta[i])
        for _ in range(STEPS):
            slope = curve = size = 0
            for i in range(n):
                weight = 1 if s == NULL else s[i]
                if weight > 0:
                    r = eta[i] + total - y[i]
                    slope += weight * (-d if r < -d else d if r > d else r)
                    size += weight * min(fabs(r), d)
                    curve += weight * (fabs(r) <= d)
            if fabs(slope) <= 1e-15 * size:
                break
            if slope > 0:
                hi = total
            else:
                lo = total
            shift = total - slope / curve if curve > 0 else INFINITY
            if shift == total:
                break
            total = shift if lo < shift < hi else 0.5 * (lo + hi)
            if not lo < total < hi:
                break
        for i in range(n):
            eta[i] += total
        return total

    def brought_down(self, top):
        """With delta brought down as well: to unit size where y is far beyond it, as slopes are then."""
        exponent = int(np.frexp(min(top, self.delta))[1])
        if abs(exponent) <= MODERATE:
            return self, UNIT
        delta = min(float(np.ldexp(self.delta, -exponent)), np.finfo(float).max)
        return Huber(delta), Scale(exponent)

    def check_y(self, y):
        if not np.all(np.isfinite(y)):
            raise ValueError("y must be finite.")

    def saturated(self, y):
        return np.zeros(len(y))

    def log_measure(self, y):
        raise NotImplementedError("criterion needs a likelihood, and Huber's loss is that of none: choose by folds.")

    def inverse_link(self, eta):
        return eta

    def link(self, mean):
        return mean
