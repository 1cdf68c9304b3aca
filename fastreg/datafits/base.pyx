"""The contract of every loss: ``sum_i s_i f(y_i, eta_i)`` of a linear predictor ``eta = Xw + b + offset``.

A loss is a subclass with `at` and `conjugate_at`, on a chunk of rows, without the GIL, and a few lines on its y. What
solvers, certificates and paths ask is derived here.
"""
from libc.math cimport INFINITY, fabs, fmax, isfinite

import numpy as np

from fastreg.scale import MODERATE, SPREAD, UNIT, Scale

cdef enum:
    CHUNK = 256                  # rows whose values stay in cache
    STEPS = 100                  # of Newton's method in one variable
cdef double LEAST = 1e-2         # of the mean curvature: of a loss that is not convex, the least in its models
cdef double ROUNDING = 1e-14     # of the values of a loss, what their differences are known to
cdef double MOST_UNIT = 1000     # exponent of a loss's unit, which is a number itself
cdef double NEAR = 1e-8          # a step after which the next one would be rounding, as they fall by squares


cdef class Datafit:
    """A loss f(y, eta), smooth in eta.

    Attributes
    ----------
    name : str
    quadratic : bool
        Whether the curvature is 1 everywhere.
    convex : bool
        In eta; otherwise there is no conjugate, and no duality gap.
    exact : bool
        Whether curvatures are the derivatives of slopes, to rounding, so that Newton's steps fall by squares.
    coupled : bool
        Whether targets are the classes of one loss: f is that of a class, the linear predictors of the others being
        what they are, and what the targets' `own` rows lose adds up to the loss of all.
    labels : bool
        Whether y is -1 and 1, for two classes.
    mean_power : float or None
        p, where f(c y, eta + log c) is c^(2 - p) f(y, eta), but for what does not depend on eta.
    one_sided, escaping : str
        What is said of y where no intercept, or no coefficients without a penalty, are the best.
    """

    labels = False
    mean_power = None
    escaping = "the loss falls for ever"
    one_sided = "y must not be at an end of its domain in every row that has a weight: its intercept is infinite."

    def __cinit__(self, *_, **__):
        self.exact = True

    @property
    def key(self):
        """What `by_name` finds it by."""
        return self.name

    # ---- a loss gives these ------------------------------------------------------------------------------------------
    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        """Values, derivatives and curvatures in eta at n rows, each unless it is NULL."""

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        """f*(y, u) = sup over eta of u eta - f(y, eta); infinite outside its domain, and never too small."""

    def check_y(self, y):
        """Raise a ValueError where y, of shape (n,), is not in the domain."""

    def saturated(self, y):
        """The least value that f(y, .) has or comes near to."""
        raise NotImplementedError

    def log_measure(self, y):
        """Minus the logarithm of the likelihood, less f(y, eta): what of it y alone decides."""
        return np.zeros(len(y))

    def variance(self, mean):
        """That of y at a mean, up to a dispersion; None where the loss says nothing of it."""

    def open_side(self, y):
        """To which side of eta, -1 or 1, f(y, .) falls for ever towards its infimum; 0 where it has a minimum."""
        return np.zeros(len(y))

    def brought_down(self, top):
        """(What is solved in place of this loss, the Scale of y and all else) where the largest |y| is `top`: y of unit
        size, where it has a unit and is not of moderate size as it is.

        Raises
        ------
        ValueError
            Where nothing of the loss would be a number."""
        exponent = int(np.frexp(top)[1])
        if self.mean_power is None or abs(exponent) <= MODERATE:
            return self, UNIT
        power = 2 - self.mean_power
        reach = MOST_UNIT // fmax(fabs(power), 0.5)
        found = int(np.clip(exponent, -reach, reach))
        if fabs(power * (exponent - found)) > SPREAD:
            raise ValueError(f"y of {top:.3g} is too {'large' if exponent > 0 else 'small'} for the loss "
                             f"{self.name!r}, which is no number there: change its unit.")
        return self, Scale(0, float(np.exp2(power * found)), found)

    def inverse_link(self, eta):
        """The mean of y at eta."""
        raise NotImplementedError

    def link(self, mean):
        """eta at a mean of y."""
        raise NotImplementedError

    # ---- what follows ------------------------------------------------------------------------------------------------
    cdef double total(self, Py_ssize_t n, const double *y, const double *s, const double *eta) noexcept nogil:
        """sum_i s_i f(y_i, eta_i), s NULL for ones; rows without weight may hold anything."""
        cdef Py_ssize_t k, first, i, m
        cdef double part, out = 0
        cdef double f[CHUNK]
        for k in range((n + CHUNK - 1) // CHUNK):
            first, part = k * CHUNK, 0
            m = min(CHUNK, n - first)
            self.at(m, y + first, eta + first, f, NULL, NULL)
            for i in range(m):
                if s == NULL:
                    part += f[i]
                elif s[first + i] > 0:
                    part += s[first + i] * f[i]
            out += part
        return out

    cdef double own(self, Py_ssize_t n, const double *y, const double *s, const double *eta) noexcept nogil:
        """What a target adds to the loss of all: that of all rows, unless targets are coupled."""
        return self.total(n, y, s, eta)

    cdef double risen(self, Py_ssize_t n, const double *y, const double *s, const double *eta,
                      const double *there, double *blur) noexcept nogil:
        """sum_i s_i (f(y_i, there_i) - f(y_i, eta_i)), in differences of rows; blur: what that is known to."""
        cdef Py_ssize_t k, first, i, m
        cdef double weight, part, out = 0
        cdef double before[CHUNK]
        cdef double after[CHUNK]
        blur[0] = 0
        for k in range((n + CHUNK - 1) // CHUNK):
            first, part = k * CHUNK, 0
            m = min(CHUNK, n - first)
            self.at(m, y + first, eta + first, before, NULL, NULL)
            self.at(m, y + first, there + first, after, NULL, NULL)
            for i in range(m):
                weight = 1 if s == NULL else s[first + i]
                if weight > 0:
                    part += weight * (after[i] - before[i])
                    blur[0] += ROUNDING * weight * (fabs(after[i]) + fabs(before[i]))
            out += part
        return out

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """sum_i s_i (f + f*(c f') - c f' eta): what of the gap is left by the dual point c times the residual.

        A sum of terms that are not negative, 0 for c = 1. rr: sum_i s_i f'^2. Where f is not convex, that of its
        quadratic model, of the curvature given: the gap is then how far the model of the objective could fall, nothing
        where the point is stationary."""
        cdef Py_ssize_t k, first, i, m
        cdef double part, out = 0
        cdef double f[CHUNK]
        cdef double g[CHUNK]
        cdef double dual[CHUNK]
        if c == 1:
            return 0
        if not self.convex:
            return self.model_excess(n, y, s, eta, c)
        for k in range((n + CHUNK - 1) // CHUNK):
            first, part = k * CHUNK, 0
            m = min(CHUNK, n - first)
            self.at(m, y + first, eta + first, f, g, NULL)
            for i in range(m):
                g[i] *= c
            self.conjugate_at(m, y + first, g, dual)
            for i in range(m):
                if s == NULL or s[first + i] > 0:
                    part += (1 if s == NULL else s[first + i]) * max(f[i] + dual[i] - g[i] * eta[first + i], 0)
            out += part
        return out

    cdef double model_excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta,
                             double c) noexcept nogil:
        """sum_i s_i ((1 - c) f')^2 / (2 f''), of curvatures that are not far below their mean."""
        cdef Py_ssize_t k, first, i, m
        cdef int turn
        cdef double weight, step, least = 0, total = 0, weights = 0
        cdef double g[CHUNK]
        cdef double h[CHUNK]
        for turn in range(2):                      # the mean, then the sum
            least, total = LEAST * total / weights if turn == 1 and weights > 0 else 0, 0
            for k in range((n + CHUNK - 1) // CHUNK):
                first = k * CHUNK
                m = min(CHUNK, n - first)
                self.at(m, y + first, eta + first, NULL, g, h)
                for i in range(m):
                    weight = 1 if s == NULL else s[first + i]
                    step = (1 - c) * g[i]
                    if weight > 0 and turn == 0:
                        total += weight * h[i]
                        weights += weight
                    elif weight > 0 and step != 0:
                        total += weight * 0.5 * step * step / fmax(h[i], least)
        return total

    cdef double refit_intercept(self, Py_ssize_t n, const double *y, const double *s, double *eta) noexcept nogil:
        """Shift eta, by what is returned, to where sum_i s_i f' = 0: Newton's method, held in a bracket."""
        cdef Py_ssize_t k, first, i, m
        cdef int _
        cdef bint halved
        cdef double slope, curve, size, weight, last, shift = 0, reach = 8, total = 0, lo = -INFINITY, hi = INFINITY
        cdef double g[CHUNK]
        cdef double h[CHUNK]
        for _ in range(STEPS):
            slope = curve = size = 0
            for k in range((n + CHUNK - 1) // CHUNK):
                first = k * CHUNK
                m = min(CHUNK, n - first)
                self.at(m, y + first, eta + first, NULL, g, h)
                for i in range(m):
                    weight = 1 if s == NULL else s[first + i]
                    if weight > 0:
                        slope += weight * g[i]
                        size += weight * fabs(g[i])
                        curve += weight * h[i]
            if fabs(slope) <= 1e-15 * size:
                break
            last = total
            if slope > 0 or (slope != slope and shift > 0):
                hi = total
            else:
                lo = total
            if slope != slope:                     # beyond where the loss is a number: back
                shift = -0.5 * shift
            else:
                shift = -slope / curve if curve > 0 else -INFINITY if slope > 0 else INFINITY
            if fabs(shift) > reach:                # far from the minimum a curvature says little
                shift, reach = (reach if shift > 0 else -reach), 2 * reach
            halved = not lo < total + shift < hi
            if halved:
                if not (isfinite(lo) and isfinite(hi)):
                    break
                shift = 0.5 * (lo + hi) - total
            total += shift
            if total == last:
                break
            for i in range(n):
                eta[i] += shift
            if fabs(shift) <= NEAR and not halved and self.exact:
                break
        return total

    def evaluate(self, y, eta):
        """(f, f', f'') as arrays, for y and eta of shape (n,)."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64)
        cdef double[:, ::1] out = np.empty((3, len(y)))
        if len(y):
            self.at(y_.shape[0], &y_[0], &eta_[0], &out[0, 0], &out[1, 0], &out[2, 0])
        return tuple(out.base)

    def derivatives(self, y, eta, weights=None):
        """(s f', s f'') as arrays, s None for ones; rows without weight may hold anything, and give 0."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64)
        cdef double[:, ::1] out = np.empty((2, len(y)))
        if len(y):
            self.at(y_.shape[0], &y_[0], &eta_[0], NULL, &out[0, 0], &out[1, 0])
        slope, curvature = out.base
        if weights is None:
            return slope, curvature
        on = weights > 0
        return np.where(on, slope, 0) * weights, np.where(on, curvature, 0) * weights

    def expected(self, eta, weights=None):
        """s times the second derivatives expected of a y of this mean, where single ones are far from it; else None."""

    def conjugate(self, y, u):
        """f*(y, u) as an array."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] u_ = np.ascontiguousarray(u, dtype=np.float64)
        cdef double[::1] out = np.empty(len(y))
        if len(y):
            self.conjugate_at(y_.shape[0], &y_[0], &u_[0], &out[0])
        return out.base

    def loss(self, y, eta, weights=None):
        """sum_i s_i f(y_i, eta_i), s None for ones; rows without weight may hold anything."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64)
        cdef const double[::1] s
        if weights is None:
            return self.total(y_.shape[0], &y_[0], NULL, &eta_[0])
        s = np.ascontiguousarray(weights, dtype=np.float64)
        return self.total(y_.shape[0], &y_[0], &s[0], &eta_[0])

    def deviance(self, y, eta, weights=None):
        """``2 sum_i s_i (f(y_i, eta_i) - least value)``."""
        if weights is None:
            return 2 * (self.loss(y, eta) - np.sum(self.saturated(y)))
        kept = weights > 0
        return 2 * (self.loss(y, eta, weights) - np.sum(weights[kept] * self.saturated(y[kept])))

    def deviances(self, y, eta, weights=None):
        """The `deviance` of each of some fits: eta has a column of shape (n,) for each or, where targets are coupled,
        one for each class of each."""
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        fits = (eta[:, k:k + n_targets] for k in range(0, eta.shape[1], n_targets))
        return np.array([self.deviance(y, fit if y.ndim == 2 else fit[:, 0], weights) for fit in fits])

    def remainder(self, y, eta, c, weights=None):
        """sum_i s_i (f + f*(c f') - c f' eta), s None for ones: see `excess`."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64)
        cdef const double[::1] s
        slope = self.evaluate(y, eta)[1]
        if weights is None:
            return self.excess(y_.shape[0], &y_[0], NULL, &eta_[0], np.sum(slope ** 2), c)
        s = np.ascontiguousarray(weights, dtype=np.float64)
        return self.excess(y_.shape[0], &y_[0], &s[0], &eta_[0], np.sum((weights * slope ** 2)[weights > 0]), c)

    def with_intercept(self, y, weights, eta):
        """(shift, eta plus it) where sum_i s_i f' = 0, s None for ones; y such that `null_fit` finds one."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef double[::1] moved = np.array(eta, dtype=np.float64)
        cdef const double[::1] s
        if weights is None:
            return self.refit_intercept(y_.shape[0], &y_[0], NULL, &moved[0]), moved.base
        s = np.ascontiguousarray(weights, dtype=np.float64)
        return self.refit_intercept(y_.shape[0], &y_[0], &s[0], &moved[0]), moved.base

    def null_fit(self, y, weights=None, offset=None, fit_intercept=True):
        """The fit of an intercept alone.

        Parameters
        ----------
        y : ndarray of shape (n,)
        weights, offset : ndarray of shape (n,) or None
        fit_intercept : bool

        Returns
        -------
        intercept : float
            0 where none is fitted.
        eta : ndarray of shape (n,)
        deviance : float
            2 sum_i s_i (f(y_i, eta_i) - least value).

        Raises
        ------
        ValueError
            Where every row with a weight has a y at an end of the domain: the intercept is infinite.
        """
        intercept, eta = 0.0, np.zeros(len(y)) if offset is None else np.array(offset, dtype=np.float64)
        if fit_intercept:
            with np.errstate(divide="ignore"):
                kept = slice(None) if weights is None else weights > 0
                level = float(self.link(np.average(y[kept], weights=None if weights is None else weights[kept])))
            if not isfinite(level):
                raise ValueError(self.one_sided)
            shift, eta = self.with_intercept(y, weights, eta + level if offset is None else eta)
            intercept = level + shift if offset is None else shift
        return intercept, eta, max(self.deviance(y, eta, weights), 0.0)
