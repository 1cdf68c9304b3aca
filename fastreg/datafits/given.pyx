"""A loss of the user's own, as machine code: value, slope, curvature and, perhaps, conjugate of a row.

Without a conjugate, and for the least value of a row, slopes are solved for: by Newton's method on a chunk of rows at a
time, in a bracket where that does not arrive. What is left of the search is added, so that no bound is too small.
"""
from libc.math cimport INFINITY, NAN, fabs, fmax

import numpy as np

from fastreg.datafits.base cimport Datafit

cdef enum:
    CHUNK = 256                  # rows whose values stay in cache
    STEPS = 20                   # of Newton's method for a chunk
    BISECTIONS = 500             # of a bracket
    SECTIONS = 60                # golden ones, of a bracket
cdef double GOLDEN = 0.6180339887498949
cdef double NEAR = 0.02          # of a difference of slopes, how far beyond its end a search may go
cdef double ROUNDING = 4e-16     # of the terms of a sum, what it may lose
cdef double REACH = 2            # of a first step
cdef double FAR = 1e300          # of a linear predictor


cdef class Given(Datafit):
    """A loss f(y, eta) from the addresses of compiled functions.

    Parameters
    ----------
    name : str
    addresses : sequence of int
        Of functions ``int (void *, void **, n, y, x, out)`` that fill `out` for n rows and return 0: value, derivative
        and curvature at x = eta, and the conjugate at x = u unless there are but three.
    code : object
        What keeps them in memory.
    domain : Domain
        Of y.
    convex : bool
        In eta. Otherwise gaps are those of models: see `excess`.
    functions : tuple
        The same in Python, conjugate None where there is none.
    """

    one_sided = "y must have a best intercept, and its loss falls for ever in every row that has a weight."

    def __cinit__(self, name, addresses, code, domain, convex, functions):
        cdef Py_ssize_t value, slope, curvature, conjugate
        value, slope, curvature, conjugate = [*addresses, 0][:4]
        self.value_, self.slope_, self.curvature_ = <Rows> value, <Rows> slope, <Rows> curvature
        self.conjugate_ = <Rows> conjugate
        self.code, self.domain, self.functions = code, domain, functions
        self.name, self.quadratic, self.convex, self.exact = name, False, convex, False
        self.labels = domain.labels

    @property
    def key(self):
        """Itself: no name stands for it."""
        return self

    def __repr__(self):
        return f"custom({self.name})"

    # ---- rows --------------------------------------------------------------------------------------------------------
    cdef void at(self, Py_ssize_t n, const double *y, const double *eta, double *f, double *g,
                 double *h) noexcept nogil:
        cdef Py_ssize_t i
        if f != NULL:
            _fill(self.value_, n, y, eta, f)
        if g != NULL:
            _fill(self.slope_, n, y, eta, g)
        if h != NULL:
            _fill(self.curvature_, n, y, eta, h)
            for i in range(n):                     # below zero by rounding or, where that is allowed, not convex
                h[i] = fabs(h[i]) if not self.convex else 0 if h[i] < 0 else h[i]

    cdef void conjugate_at(self, Py_ssize_t n, const double *y, const double *u, double *out) noexcept nogil:
        cdef Py_ssize_t i
        if self.conjugate_ != NULL:
            _fill(self.conjugate_, n, y, u, out)
            return
        for i in range(n):
            out[i] = self._largest(y[i], u[i])

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        cdef Py_ssize_t k, first, m
        cdef double total = 0
        if not self.convex:
            return self.model_excess(n, y, s, eta, c)
        for k in range((n + CHUNK - 1) // CHUNK if c != 1 else 0):
            first = k * CHUNK
            m = min(CHUNK, n - first)
            total += self._left(m, y + first, NULL if s == NULL else s + first, eta + first, c)
        return total

    cdef double _left(self, Py_ssize_t m, const double *y, const double *s, const double *eta, double c) noexcept nogil:
        """sum_i s_i (f + f*(c f') - c f' eta) of a chunk."""
        cdef Py_ssize_t i
        cdef double total = 0, row
        cdef double f[CHUNK]
        cdef double g[CHUNK]
        cdef double u[CHUNK]
        cdef double dual[CHUNK]
        cdef double there[CHUNK]
        self.at(m, y, eta, f, g, NULL)
        for i in range(m):
            u[i] = c * g[i]
        if self.conjugate_ != NULL:
            _fill(self.conjugate_, m, y, u, dual)
        else:
            self._where(m, y, u, eta, g, there, dual)
        for i in range(m):
            if s != NULL and s[i] <= 0:
                continue
            if g[i] == u[i]:
                continue
            row = f[i] + dual[i] - u[i] * eta[i]
            row = fmax(row, 0) + ROUNDING * (fabs(f[i]) + fabs(dual[i]) + fabs(u[i] * eta[i]))
            if self.conjugate_ == NULL:            # a rectangle about it, where differences would be rounding
                row = min(row, fabs(eta[i] - there[i]) * fabs(g[i] - u[i]))
            total += (1 if s == NULL else s[i]) * row
        return total

    # ---- where slopes are --------------------------------------------------------------------------------------------
    cdef void _where(self, Py_ssize_t m, const double *y, const double *u, const double *eta, const double *g,
                     double *there, double *dual) noexcept nogil:
        """For a chunk of rows, from an eta of slope g, an eta a little beyond that of slope u; and the conjugate at u,
        never too small: f lies above its tangent there, and the eta of slope u between the two."""
        cdef Py_ssize_t i, k, left = 0, kept
        cdef int _
        cdef double goal, step, reach = REACH
        cdef int at[CHUNK]                         # rows that are not there yet, whose values are
        cdef double ys[CHUNK]
        cdef double x[CHUNK]                       # too near, with slope and curvature
        cdef double slope[CHUNK]
        cdef double h[CHUNK]
        cdef double end[CHUNK]                     # too far, with its slope, once such an eta is known
        cdef double at_end[CHUNK]
        cdef double trial[CHUNK]
        cdef double found[CHUNK]
        _fill(self.curvature_, m, y, eta, found)
        for i in range(m):
            there[i], dual[i] = eta[i], 0
            if g[i] != u[i]:
                at[left], ys[left], x[left], slope[left], h[left] = <int> i, y[i], eta[i], g[i], found[i]
                end[left], there[i], left = NAN, INFINITY, left + 1
        for _ in range(STEPS):
            for k in range(left):
                i = at[k]
                goal = u[i] - 0.5 * NEAR * (g[i] - u[i]) - slope[k]
                if end[k] == end[k]:
                    step = (end[k] - x[k]) * min(max(goal / (at_end[k] - slope[k]), 0.1), 0.9)
                else:
                    step = goal / h[k] if h[k] > 0 else INFINITY if goal > 0 else -INFINITY
                    step = min(max(step, -reach), reach)
                trial[k] = x[k] + step
            reach *= 2
            _fill(self.slope_, left, ys, trial, found)
            _fill(self.curvature_, left, ys, trial, h)
            kept = 0
            for k in range(left):
                i = at[k]
                if _beyond(g[i], found[k], u[i]):
                    there[i], dual[i] = trial[k], fabs(found[k] - u[i])
                    continue
                at[kept], ys[kept], h[kept] = <int> i, ys[k], h[k]
                if (found[k] - u[i]) * (g[i] - u[i]) > 0:
                    x[kept], slope[kept], end[kept], at_end[kept] = trial[k], found[k], end[k], at_end[k]
                else:
                    x[kept], slope[kept], end[kept], at_end[kept] = x[k], slope[k], trial[k], found[k]
                kept += 1
            left = kept
            if left == 0:
                break
        _fill(self.value_, m, y, there, x)
        for i in range(m):
            if there[i] == INFINITY:
                dual[i] = self._largest(y[i], u[i])
            else:
                dual[i] = u[i] * there[i] - x[i] + fabs(eta[i] - there[i]) * dual[i]

    cdef double _largest(self, double y, double u) noexcept nogil:
        """sup over eta of u eta - f(y, eta): Newton's method in a bracket, and what is left by its end added."""
        cdef double lo = 0, hi = 0, at_lo, at_hi, x, left, at, reach = 1
        cdef int k
        at_lo = at_hi = _one(self.slope_, y, 0) - u
        while at_hi < 0 and reach <= FAR:
            lo, at_lo, hi, reach = hi, at_hi, reach, 2 * reach
            at_hi = _one(self.slope_, y, hi) - u
        while at_lo > 0 and reach <= FAR:
            hi, at_hi, lo, reach = lo, at_lo, -reach, 2 * reach
            at_lo = _one(self.slope_, y, lo) - u
        if not at_lo <= 0 <= at_hi:
            return INFINITY
        for k in range(BISECTIONS):
            x, at = (lo, -at_lo) if -at_lo < at_hi else (hi, at_hi)
            left = (hi - lo) * at
            if left <= 0 or left <= ROUNDING * fabs(u * x - _one(self.value_, y, x)):
                break
            if x == hi:
                at = -at
            x += at / _one(self.curvature_, y, x)
            if k % 4 == 3 or not lo < x < hi:
                x = 0.5 * (lo + hi)
            if x == lo or x == hi:
                break
            at = _one(self.slope_, y, x) - u
            if at <= 0:
                lo, at_lo = x, at
            if at >= 0:
                hi, at_hi = x, at
        x, at = (lo, -at_lo) if -at_lo < at_hi else (hi, at_hi)
        left = _one(self.value_, y, x)
        return u * x - left + (hi - lo) * at + ROUNDING * (fabs(u * x) + fabs(left))

    def given(self, y, eta):
        """Value, derivative and curvature as the functions have them."""
        cdef const double[::1] y_ = np.ascontiguousarray(y, dtype=np.float64)
        cdef const double[::1] eta_ = np.ascontiguousarray(eta, dtype=np.float64)
        cdef double[:, ::1] out = np.empty((3, len(y)))
        if len(y):
            _fill(self.value_, y_.shape[0], &y_[0], &eta_[0], &out[0, 0])
            _fill(self.slope_, y_.shape[0], &y_[0], &eta_[0], &out[1, 0])
            _fill(self.curvature_, y_.shape[0], &y_[0], &eta_[0], &out[2, 0])
        return out.base

    # ---- y -----------------------------------------------------------------------------------------------------------
    def check_y(self, y):
        self.domain.check(y)

    def saturated(self, y):
        if not self.convex:
            return self._least(y)
        values, back = np.unique(y, return_inverse=True)
        return -self.conjugate(values, np.zeros(len(values)))[back]

    def _least(self, y):
        """The least value for eta up to 1000 times y, or 1000, on either side: of a grid, and by golden sections beside
        the best there."""
        values, back = np.unique(y, return_inverse=True)

        def at(eta):
            f = self.evaluate(values, eta)[0]
            return np.where(np.isfinite(f), f, np.inf)

        side = np.geomspace(1e-3, 1e3, 200)
        etas = np.concatenate([-side[::-1], [0], side])
        unit, best = np.maximum(1, np.abs(values)), np.zeros(len(values), dtype=int)
        least = np.full(len(values), np.inf)
        for k in range(len(etas)):
            f = at(etas[k] * unit)
            best, least = np.where(f < least, k, best), np.minimum(f, least)
        lo, hi = unit * etas[np.maximum(best - 1, 0)], unit * etas[np.minimum(best + 1, len(etas) - 1)]
        for _ in range(SECTIONS):
            left, right = hi - GOLDEN * (hi - lo), lo + GOLDEN * (hi - lo)
            of_left, of_right = at(left), at(right)
            least = np.minimum(least, np.minimum(of_left, of_right))
            lo, hi = np.where(of_left <= of_right, lo, left), np.where(of_left <= of_right, right, hi)
        return least[back]

    def log_measure(self, y):
        raise NotImplementedError("criterion needs a likelihood, and that of a loss of your own is not known: choose "
                                  "by folds.")

    def inverse_link(self, eta):
        """The linear predictor: what it says of y is the user's to say."""
        return eta

    def link(self, mean):
        """Where the search for an intercept begins."""
        return 0.0 * np.asarray(mean)


cdef inline bint _beyond(double begin, double slope, double u) noexcept nogil:
    """Whether a slope has gone from where it began to u, and hardly further."""
    return (slope - u) * (begin - u) <= 0 and fabs(slope - u) <= NEAR * fabs(begin - u)


cdef void _fill(Rows call, Py_ssize_t n, const double *y, const double *x, double *out) noexcept nogil:
    """What a function is at n rows; NaN at all of them where it has failed."""
    cdef Py_ssize_t i
    cdef void *error = NULL
    cdef void *nothing = NULL
    if call(&nothing, &error, n, y, x, out) != 0:
        for i in range(n):
            out[i] = NAN


cdef double _one(Rows call, double y, double x) noexcept nogil:
    """What a function is at a row."""
    cdef double out
    _fill(call, 1, &y, &x, &out)
    return out
