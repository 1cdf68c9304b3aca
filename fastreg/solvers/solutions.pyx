"""The solutions of a path, as they are found: sparse columns, and how good each is."""
from libc.stdlib cimport free

import numpy as np

from fastreg.kernels.memory cimport grow
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State


cdef class Solutions:
    """Room for the solutions of some problems at some penalty values, to be added in order.

    Parameters
    ----------
    n_alphas, n_problems : int
    """

    def __cinit__(self, Py_ssize_t n_alphas, Py_ssize_t n_problems):
        self.n_problems = n_problems
        self.indptr = np.zeros(n_alphas * n_problems + 1, dtype=np.longlong)
        self.gaps, self.errors, self.intercepts, self.deviances = np.empty((4, n_alphas, n_problems))
        self.rounds = np.empty((n_alphas, n_problems), dtype=np.longlong)
        self.stopped = np.zeros((n_alphas, n_problems), dtype=np.uint8)

    def __dealloc__(self):
        free(self.features)
        free(self.values)

    cdef int add(self, Py_ssize_t k, Py_ssize_t t, const Small *small, const State *state, double deviance,
                 Py_ssize_t rounds, Stopped stopped) except -1 nogil:
        """The solution of problem t at alpha k; an empty one where the problem is asleep."""
        cdef Py_ssize_t j
        for j in range(0 if state.asleep else small.q.m):
            if small.q.w[j] != 0:
                self._push(small.cols[j], small.q.w[j])
        self.indptr[k * self.n_problems + t + 1] = self.n_values
        self.gaps[k, t], self.errors[k, t], self.intercepts[k, t] = state.gap, state.error, state.b
        self.deviances[k, t], self.rounds[k, t], self.stopped[k, t] = deviance, rounds, stopped
        return 0

    cdef int _push(self, int feature, double value) except -1 nogil:
        if self.n_values == self.room:
            self.room = max(1024, 2 * self.room)
            grow(<void **> &self.features, self.room * sizeof(int))
            grow(<void **> &self.values, self.room * sizeof(double))
        self.features[self.n_values], self.values[self.n_values] = feature, value
        self.n_values += 1
        return 0

    cdef tuple arrays(self):
        """Columns in CSC layout (indptr, indices, values); intercepts, gaps, rounds and why each stopped, of shape
        (n_alphas, n_problems)."""
        cdef Py_ssize_t k
        indices, values = np.empty(self.n_values, dtype=np.int64), np.empty(self.n_values)
        cdef long long[::1] oi = indices
        cdef double[::1] ov = values
        for k in range(self.n_values):
            oi[k], ov[k] = self.features[k], self.values[k]
        return (self.indptr.base, indices, values, self.intercepts.base, self.gaps.base, self.rounds.base,
                self.stopped.base)
