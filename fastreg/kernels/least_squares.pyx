"""Least squares within limits on one set of columns after another, from X'X: the small problem without penalties."""
from libc.string cimport memcpy, memset

import numpy as np

from fastreg.kernels.quadratic cimport (
    Quad, quad_add, quad_free, quad_init, quad_place, quad_refresh, quad_reserve, quad_solve)


cdef class LeastSquares:
    """The small problem without penalties, for one set of coordinates after another: the factor goes along.

    Parameters
    ----------
    G : ndarray of shape (m, m)
        X'X.
    q : ndarray of shape (m,)
        X'y.
    lo, hi : ndarray of shape (m,)
        They bracket 0.
    size : float
        The norm of y, which says what rounding is.
    """
    cdef Quad Q
    cdef const double[:, ::1] G
    cdef const double[::1] q, lo, hi

    def __cinit__(self):
        quad_init(&self.Q)

    def __dealloc__(self):
        quad_free(&self.Q)

    def __init__(self, const double[:, ::1] G, const double[::1] q, const double[::1] lo, const double[::1] hi,
                 double size):
        cdef Py_ssize_t j, m = q.shape[0]
        self.G, self.q, self.lo, self.hi = G, q, lo, hi
        quad_reserve(&self.Q, m)
        self.Q.G, self.Q.ldg, self.Q.noise = &G[0, 0] if m > 0 else NULL, m, 5e-15 * size
        for j in range(m):
            quad_add(&self.Q, 0, 0, 0, 0, q[j])

    def solve(self, const Py_ssize_t[::1] at):
        """Minimise 1/2 w'Gw - q'w subject to lo <= w <= hi and w = 0 outside the coordinates `at`.

        Returns
        -------
        ndarray of shape (m,)
            A minimiser that is zero at every column that depends on the others in use.
        """
        cdef Py_ssize_t j, k, m = self.Q.m
        cdef Quad *Q = &self.Q
        cdef double[::1] w = np.zeros(m)
        if m == 0:
            return w.base
        with nogil:
            memset(Q.lo, 0, m * sizeof(double))
            memset(Q.hi, 0, m * sizeof(double))
            for k in range(at.shape[0]):
                j = at[k]
                Q.lo[j], Q.hi[j], w[j] = self.lo[j], self.hi[j], Q.w[j]
            memcpy(Q.w, &w[0], m * sizeof(double))
            quad_place(Q)
            memcpy(Q.g, &self.q[0], m * sizeof(double))
            memset(Q.seen, 0, m * sizeof(double))
            quad_refresh(Q, True)
            for _ in range(50 + m):
                if quad_solve(Q, 4) == 1:
                    break
            memcpy(&w[0], Q.w, m * sizeof(double))
        return w.base
