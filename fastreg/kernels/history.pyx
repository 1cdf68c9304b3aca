"""What limited-memory BFGS makes of the steps it remembers (Nocedal, Math. Comp. 35 (1980))."""
from libc.float cimport DBL_EPSILON
from libc.math cimport sqrt

import numpy as np

from fastreg.kernels.leaf cimport fr_axpy, fr_vdot


cdef class History:
    """Steps and the changes of the gradient that they brought.

    Parameters
    ----------
    size : int
        Numbers of a step.
    most : int
        Steps that are kept.
    apart : bool
        Steps are two halves, and an inner product is of the first half of one with the second of the other; otherwise
        it is of all numbers.
    """

    cdef readonly Py_ssize_t count
    cdef Py_ssize_t size, most, newest, half
    cdef double[:, ::1] steps, changes
    cdef double[::1] curvatures, parts

    def __init__(self, size, most, apart=False):
        self.size, self.most, self.half = size, most, size // 2 if apart else 0
        self.steps, self.changes = np.empty((most, size)), np.empty((most, size))
        self.curvatures, self.parts = np.empty(most), np.empty(most)
        self.forget()

    def forget(self):
        """Remember nothing."""
        self.count, self.newest = 0, -1

    cdef double dot(self, const double *u, const double *v) noexcept nogil:
        return fr_vdot(self.half, u, v + self.half) if self.half else fr_vdot(self.size, u, v)

    def add(self, step, change):
        """Remember a step; one along which rounding hides the curvature is passed over."""
        cdef const double[::1] s = step.ravel(), y = change.ravel()
        cdef double curvature = self.dot(&s[0], &y[0])
        cdef double both = self.dot(&s[0], &s[0]) * max(self.dot(&y[0], &y[0]), 0.)
        if curvature > DBL_EPSILON * sqrt(both):
            self.newest = (self.newest + 1) % self.most
            self.count = min(self.count + 1, self.most)
            self.steps[self.newest], self.changes[self.newest], self.curvatures[self.newest] = s, y, curvature

    def bend(self, double more):
        """Remember them as steps of an objective that bends by so much more along every coordinate."""
        order = (self.newest + self.most + np.arange(1 - self.count, 1)) % self.most
        steps, changes = np.asarray(self.steps)[order], np.asarray(self.changes)[order]
        self.forget()
        for step, change in zip(steps, changes):
            self.add(step, change + more * step)

    def solve(self, g, preconditioner):
        """What the inverse of the Hessian would make of g, as far as it is known."""
        cdef double[::1] left = g.ravel().copy(), found
        cdef Py_ssize_t i, k
        cdef double part
        for i in range(self.count):
            k = (self.newest + self.most - i) % self.most
            self.parts[k] = self.dot(&self.steps[k, 0], &left[0]) / self.curvatures[k]
            fr_axpy(self.size, -self.parts[k], &self.changes[k, 0], &left[0])
        answer = np.ascontiguousarray(preconditioner(left.base.reshape(g.shape)))
        found = answer.ravel()
        for i in range(self.count - 1, -1, -1):
            k = (self.newest + self.most - i) % self.most
            part = self.parts[k] - self.dot(&self.changes[k, 0], &found[0]) / self.curvatures[k]
            fr_axpy(self.size, part, &self.steps[k, 0], &found[0])
        return found.base.reshape(g.shape)
