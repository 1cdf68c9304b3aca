"""Tweedie losses: of a variance that is a multiple of a power p of the mean exp(eta).

    f(y, eta) = y exp(-b eta) / b + exp(a eta) / a,    a = 2 - p,    b = p - 1,

half the deviance, up to what does not depend on eta (Jorgensen, "Exponential dispersion models", J. R. Stat. Soc. B 49
(1987)). For p between 1 and 2, sums of a Poisson number of gamma-distributed amounts y >= 0, it lies between the
Poisson loss (p = 1) and the gamma loss (p = 2), and is convex in eta. For p above 2 (y > 0; 3 is the inverse Gaussian),
and for p = 0 or below, it is not: curvatures are then no less than those expected of a y of mean exp(eta), exp(a eta),
so that they are positive, and where y is far from its mean steps are not too long.
"""
from libc.math cimport INFINITY, exp, expm1, fabs, log

import numpy as np

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.young cimport relative_entropy
from fastreg.kernels.vector cimport fr_exp

cdef enum:
    CHUNK = 256                  # rows whose means stay in cache
    STEPS = 200                  # in one variable
cdef double SAFE = 575           # of an exponent at the mean of y
cdef double MOST = 600           # of an exponent: beyond, exponentials go on as they are there


cdef inline double _grown(double x) noexcept nogil:
    """exp(x) - 1 - x, which does not cancel."""
    cdef double term, total
    cdef int k
    if fabs(x) > 0.3:
        return expm1(x) - x
    term = total = 0.5 * x * x
    for k in range(3, 20):
        term *= x / k
        total += term
    return total


cdef class Tweedie(Datafit):
    """The loss of one power.

    Parameters
    ----------
    power : float
        Between 1 and 2; or above 2, or not above 0.
    """

    cdef readonly double power
    cdef double a, b

    one_sided = "y must not be zero in every row that has a weight: its intercept is minus infinity."
    escaping = "columns set rows of zeros apart from the others"

    def __cinit__(self, double power):
        if not (-INFINITY < power <= 0 or 1 < power < 2 or 2 < power < INFINITY):
            raise ValueError(f"power must be 0 or less, or 1 or more, and finite, got {power}: no distribution has one "
                             "between.")
        self.power, self.a, self.b = power, 2 - power, power - 1
        self.name, self.quadratic, self.convex = f"tweedie({power!r})", False, 1 < power < 2
        self.exact = self.convex

    @property
    def mean_power(self):
        """That of the variance."""
        return self.power

    def __reduce__(self):
        return Tweedie, (self.power,)

    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i, k, first, m
        cdef double a = self.a, b = self.b, x, z
        cdef double up[CHUNK]
        cdef double down[CHUNK]
        for k in range((n + CHUNK - 1) // CHUNK):
            first = k * CHUNK
            m = min(CHUNK, n - first)
            for i in range(m):
                up[i] = min(a * eta[first + i], MOST)
                down[i] = min(-b * eta[first + i], MOST)
            fr_exp(m, up, up)
            fr_exp(m, down, down)
            for i in range(m):
                down[i] *= y[first + i]
            for i in range(m if f != NULL else 0):
                x, z = a * eta[first + i] - MOST, -b * eta[first + i] - MOST
                f[first + i] = up[i] * (1 + max(x, 0)) / a + down[i] * (1 + max(z, 0)) / b
                if not self.convex and max(x, z) > 0:      # two terms of different signs: no step leads there
                    f[first + i] = INFINITY
            for i in range(m if g != NULL else 0):
                g[first + i] = up[i] - down[i]
            for i in range(m if h != NULL else 0):
                h[first + i] = a * up[i] + b * down[i]
                if not self.convex:
                    h[first + i] = max(h[first + i], up[i])

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        """Where the slope is u: by a search, with what its end leaves added; nothing where f is not convex."""
        cdef Py_ssize_t i
        cdef double a = self.a, b = self.b, eta, up, down, left, curve
        for i in range(n):
            if not self.convex:
                out[i] = INFINITY
                continue
            if y[i] <= 0:
                out[i] = INFINITY if u[i] < 0 else 0 if u[i] == 0 else u[i] * (log(u[i]) - 1) / a
                continue
            eta = self._where(y[i], u[i])
            up, down = exp(a * eta), y[i] * exp(-b * eta)
            left, curve = u[i] - (up - down), a * up + b * down
            out[i] = u[i] * eta - up / a - down / b + left * left / curve

    cdef double _where(self, double y, double u) noexcept nogil:
        """eta of slope u, y > 0: Newton's method on the logarithm of the larger term, held in a bracket."""
        cdef double a = self.a, b = self.b, eta, step, up, down, lo = -INFINITY, hi = INFINITY, middle = log(y)
        cdef int _
        eta = middle                               # of slope 0
        if u > 0:
            lo, eta = middle, max(middle, log(u) / a)
        elif u < 0:
            hi, eta = middle, min(middle, -log(-u / y) / b)
        for _ in range(STEPS if u != 0 else 0):
            up, down = exp(a * eta), y * exp(-b * eta)
            if up - down < u:
                lo = eta
            else:
                hi = eta
            if u > 0:                              # log(u + down) = a eta
                step = (log(u + down) - a * eta) / (a + b * down / (u + down))
            else:                                  # log((up - u) / y) = -b eta
                step = -(log((up - u) / y) + b * eta) / (b + a * up / (up - u))
            if fabs(step) <= 1e-15 * (1 + fabs(eta)):
                break
            if not lo < eta + step < hi:
                if lo == -INFINITY or hi == INFINITY:
                    break
                step = 0.5 * (lo + hi) - eta
            eta += step
        return eta

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Of each row ``f(eta) - f(eta - d) - f'(eta - d) d``, where f'(eta - d) = c f'(eta): in terms that are not
        negative."""
        cdef Py_ssize_t i
        cdef double a = self.a, b = self.b, total = 0, row, d, up, down
        if c == 1:
            return 0
        if not self.convex:
            return self.model_excess(n, y, s, eta, c)
        for i in range(n):
            if s != NULL and s[i] <= 0:
                continue
            up, down = exp(min(a * eta[i], MOST)), y[i] * exp(min(-b * eta[i], MOST))
            if y[i] <= 0:                          # f'(eta - d) = exp(a (eta - d))
                row = up * relative_entropy(c - 1) / a
            else:
                d = self._back(up, down, (1 - c) * (up - down))
                row = up * exp(-a * d) * _grown(a * d) / a + down * exp(b * d) * _grown(-b * d) / b
            total += (1 if s == NULL else s[i]) * row
        return total

    cdef double _back(self, double up, double down, double less) noexcept nogil:
        """d such that up (1 - exp(-a d)) + down (exp(b d) - 1) = less: Newton's method, held in a bracket."""
        cdef double a = self.a, b = self.b, d, step, value, lo = -INFINITY, hi = INFINITY
        cdef int _
        d = less / (a * up + b * down)
        if less > 0:
            lo = 0
        else:
            hi = 0
        for _ in range(STEPS if less != 0 else 0):
            value = -up * expm1(-a * d) + down * expm1(b * d) - less
            if value > 0:
                hi = d
            else:
                lo = d
            step = -value / (a * up * exp(-a * d) + b * down * exp(b * d))
            if fabs(step) <= 1e-15 * fabs(d):
                break
            if not lo < d + step < hi:             # the end that is not yet known is further than d
                step = d if lo == -INFINITY or hi == INFINITY else 0.5 * (lo + hi) - d
            d += step
        return d

    def check_y(self, y):
        if not np.all(np.isfinite(y)):
            raise ValueError("y must be finite.")
        least = np.min(y, initial=np.inf)
        if least < 0 < self.power or least <= 0 and self.power > 2:
            raise ValueError(f"Some value(s) of y are out of the valid range of the loss '{self.name}': y must "
                             f"{'be positive' if self.power > 2 else 'not be negative'}, got {least}.")
        least = exp(-SAFE / self.b) if self.b > 0 else 0
        if 0 < np.max(y, initial=0) < least:
            raise ValueError(f"y must not be below {least:.3g} in every row, where its loss is no number: change its "
                             "unit.")

    def saturated(self, y):
        return np.maximum(y, 0.0)**self.a / (self.a * self.b)

    def log_measure(self, y):
        raise NotImplementedError("criterion needs a likelihood, and that of a Tweedie loss has no closed form: choose "
                                  "by folds.")

    def variance(self, mean):
        return mean**self.power

    def open_side(self, y):
        return -(np.asarray(y) <= 0).astype(float) if self.convex else np.zeros(len(y))

    def inverse_link(self, eta):
        return np.exp(eta)

    def link(self, mean):
        return np.log(mean)
