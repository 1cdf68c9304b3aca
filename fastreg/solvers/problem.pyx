"""What is asked of an engine: targets that share X, each under a weighting of the rows, and their penalties.

    minimise  sum_i s_i f(y_i, x_i w + b + offset_i) + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lo_j <= w_j <= hi_j

with ``l1_j = alpha * pen1_j`` and ``l2_j = alpha * pen2_j``. Nothing here changes while a path is solved.
"""
from libc.math cimport fabs, sqrt
from libc.stdlib cimport free

import numpy as np

from fastreg.kernels.design cimport Moments
from fastreg.kernels.leaf cimport fr_vdot
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.view cimport View

cdef double NOISE = 5e-15        # rounding of a correlation, relative to the norms of the two


cdef class Batch:
    """The problems of one engine.

    Parameters
    ----------
    design : View
        The rows, with the weights of all problems or, where each has its own, of their passes over X.
    designs : list of View or None
        The rows weighted for each target in its own way; None: as in `design` for all of them.
    Y : ndarray of shape (n_targets, n), float64, C-contiguous
        What the datafit reads; of the squared loss, centred and scaled by the square roots of the weights.
    datafit : Datafit
    nulls : Nulls or None
        The fits without features; None for the squared loss, whose residual is then Y.
    """

    def __cinit__(self, View design, designs, const double[:, ::1] Y, Datafit datafit, nulls):
        cdef Py_ssize_t t
        cdef Problem *problem
        self.datafit, self.nulls = datafit, nulls
        self.design, self.designs, self.Y = design, [design] if designs is None else list(designs), Y
        self.n_problems, self.n_weightings, self.n, self.p = Y.shape[0], len(self.designs), design.n, design.p
        self.problems = <Problem *> zeros(self.n_problems * sizeof(Problem))
        self.terms = <Terms *> zeros(self.n_weightings * sizeof(Terms))
        self.xy = np.empty((self.n_problems, self.p))
        for t in range(self.n_problems):
            problem = &self.problems[t]
            problem.y, problem.root, problem.weight = &Y[t, 0], self.design_of(t).root, self.design_of(t).weight
            problem.null_r = problem.y
            if nulls is not None:
                self._set_null(problem, t)
            problem.null_rr = fr_vdot(self.n, problem.null_r, problem.null_r)
            problem.unit = problem.null_rr if nulls is None else nulls.units[t]
            problem.noise = NOISE * sqrt(problem.null_rr)
            problem.terms = &self.terms[t if self.n_weightings > 1 else 0]

    cdef int _set_null(self, Problem *problem, Py_ssize_t t) except -1:
        """Where problem t stands at w = 0."""
        cdef const double[:, ::1] residuals = self.nulls.residuals, eta = self.nulls.eta
        cdef const double[::1] offset
        problem.null_r, problem.null_eta = &residuals[t, 0], &eta[t, 0]
        problem.null_b, problem.saturated = self.nulls.intercepts[t], self.nulls.saturated[t]
        if self.nulls.offset is not None:
            offset = self.nulls.offset
            problem.offset = &offset[0]
        return 0

    def __dealloc__(self):
        free(self.problems)
        free(self.terms)

    cdef View design_of(self, Py_ssize_t t):
        """The rows under the weights of problem t."""
        return self.designs[t if self.n_weightings > 1 else 0]

    cdef int set_tests(self, const double[:, ::1] times, const double[::1] y, const double[::1] shifts) except -1:
        """Test sets of the first problems: how often each row counts, y as all rows have it, shifts of its mean."""
        cdef Py_ssize_t t
        self.times, self.test_y = times, y
        for t in range(times.shape[0]):
            self.problems[t].test.y, self.problems[t].test.root = &y[0], self.design.root
            self.problems[t].test.shift, self.problems[t].test.times = shifts[t], &times[t, 0]
        return 0

    cdef Py_ssize_t read_moments(self) except -1:
        """Column moments under every weighting and X'r at w = 0; returns how many weightings were read."""
        cdef Py_ssize_t t, k = 0
        cdef View design
        cdef double *shares = NULL
        cdef Moments *weightings = <Moments *> zeros((self.n_weightings + 1) * sizeof(Moments))
        for design in self.designs if self.design in self.designs else [*self.designs, self.design]:
            weightings[k] = design.own()
            k += 1
        try:
            grow(<void **> &shares, self.n_problems * self.n * sizeof(double))
            with nogil:
                for t in range(self.n_problems):
                    weigh(self.problems[t].root, self.n, self.problems[t].null_r, shares + t * self.n)
                self.design.moments(weightings, k, shares, self.n_problems, &self.xy[0, 0])
        finally:
            free(shares)
            free(weightings)
        return k

    cdef int set_penalties(self, penalties) except -1:
        """For each weighting, factors of alpha by column (l1, l2) and limits; arrays of length 1 stand for all."""
        cdef Py_ssize_t f
        cdef Terms *terms
        cdef View design
        cdef const double[::1] pen1, pen2, lo, hi
        self.penalties = list(penalties)
        for f in range(self.n_weightings):
            pen1, pen2, lo, hi = self.penalties[f]
            terms, design = &self.terms[f], self.designs[f]
            terms.pen1, terms.pen2, terms.lo, terms.hi = &pen1[0], &pen2[0], &lo[0], &hi[0]
            terms.norm, terms.mean = design.norm, design.mean if design.sparse() else NULL
            terms.weight_sum = design.weight_sum
            terms.i1, terms.i2 = pen1.shape[0] > 1, pen2.shape[0] > 1
            terms.ilo, terms.ihi = lo.shape[0] > 1, hi.shape[0] > 1
            terms.least_pen1 = np.min(pen1)
        return 0

    cdef bint excluded_from_all(self, Py_ssize_t j) noexcept nogil:
        """Whether column j is excluded in every problem."""
        cdef Py_ssize_t f
        for f in range(self.n_weightings):
            if not excluded(&self.terms[f], j):
                return False
        return True

    cdef bint any_free(self) noexcept nogil:
        """Whether a column that takes part has no l1 penalty in some problem."""
        cdef Py_ssize_t f, j
        for f in range(self.n_weightings):
            for j in range(self.p):
                if l1_factor(&self.terms[f], j) == 0 and not excluded(&self.terms[f], j):
                    return True
        return False

    cdef bint any_l1(self) noexcept nogil:
        """Whether some column has an l1 penalty in some problem."""
        cdef Py_ssize_t f, j
        for f in range(self.n_weightings):
            for j in range(self.p):
                if l1_factor(&self.terms[f], j) > 0 and not excluded(&self.terms[f], j):
                    return True
        return False

    cdef double alpha_bound(self) noexcept nogil:
        """An alpha that keeps out every penalised column: no correlation exceeds the norms."""
        cdef Py_ssize_t t, j
        cdef const Terms *terms
        cdef double bound = 0
        for t in range(self.n_problems):
            terms = self.problems[t].terms
            for j in range(self.p):
                if l1_factor(terms, j) > 0 and not excluded(terms, j):
                    bound = max(bound, terms.norm[j] * sqrt(self.problems[t].null_rr) / l1_factor(terms, j))
        return bound

    cdef object largest_alphas(self, const double[:, ::1] g):
        """For each problem, the smallest alpha that keeps out every penalised column with correlations g."""
        cdef Py_ssize_t t, j
        cdef const Terms *terms
        cdef double most
        cdef double[::1] out = np.zeros(self.n_problems)
        for t in range(self.n_problems):
            terms, most = self.problems[t].terms, 0
            for j in range(self.p):
                if not fabs(g[t, j]) > most * l1_factor(terms, j) or excluded(terms, j) or l1_factor(terms, j) == 0:
                    continue
                if (g[t, j] > 0 and upper(terms, j) > 0) or (g[t, j] < 0 and lower(terms, j) < 0):
                    most = max(most, fabs(g[t, j]) / l1_factor(terms, j))
            out[t] = most
        return out.base
