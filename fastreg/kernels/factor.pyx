"""Cholesky factor ``L L' = G_SS + diag(l2_S)`` of a changing support S.

Design:
a) appending m columns is one triangular solve and one small factorisation (level 3 when m is large);
b) a column whose pivot falls below ``PIVOT_TOL`` of its own diagonal depends linearly on the ones before it: it is
   reported, not factored, so the factor stays well conditioned on duplicated or collinear columns;
c) removing d columns is one sweep over L that compacts it and applies the d positive rank-one updates
   ``L33 L33' + l32 l32'`` column by column, the d update vectors staying in cache.
"""
from libc.math cimport sqrt
from libc.stdlib cimport malloc, free
from libc.string cimport memcpy, memmove

import numpy as np

from scipy.linalg.cython_blas cimport dsyrk, dtrsm, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf

from fastreg.kernels.leaf cimport fr_rotate
from fastreg.kernels.memory cimport grow

PIVOT_TOL = 1e-11


cdef int factor_init(Factor *f) noexcept nogil:
    f.s = 0
    f.ld = 0
    f.L = NULL
    f.idx = NULL
    f.z = NULL
    f.z_size = 0
    return 0


cdef void factor_free(Factor *f) noexcept nogil:
    free(f.L)
    free(f.idx)
    free(f.z)
    factor_init(f)


cdef void factor_clear(Factor *f) noexcept nogil:
    f.s = 0


cdef int _reserve(Factor *f, Py_ssize_t s, Py_ssize_t work) except -1 nogil:
    cdef Py_ssize_t ld, j
    cdef double *L
    if s > f.ld:
        ld = max(s, f.ld + f.ld // 2, 16)
        L = <double *> malloc(<size_t> ld * ld * sizeof(double))
        if L == NULL:
            with gil:
                raise MemoryError()
        for j in range(f.s):
            memcpy(L + j * ld + j, f.L + j * f.ld + j, (f.s - j) * sizeof(double))
        free(f.L)
        f.L = L
        grow(<void **> &f.idx, ld * sizeof(int))
        f.ld = ld
    if work > f.z_size:
        grow(<void **> &f.z, work * sizeof(double))
        f.z_size = work
    return 0


cdef void factor_solve(const Factor *f, double *b) noexcept nogil:
    """b := (L L')^-1 b."""
    cdef int s = <int> f.s, ld = <int> f.ld, one = 1
    if s == 0:
        return
    dtrsv('L', 'N', 'N', &s, f.L, &ld, b, &one)
    dtrsv('L', 'T', 'N', &s, f.L, &ld, b, &one)


cdef Py_ssize_t _cholesky_skip(double *C, Py_ssize_t m, const double *floor_, char *dependent) noexcept nogil:
    """Left-looking Cholesky of C (m x m, lower, column-major) in place, skipping columns with a small pivot."""
    cdef Py_ssize_t i, j, k, rank = 0
    cdef double t
    for j in range(m):
        for k in range(j):
            if dependent[k]:
                continue
            t = C[k * m + j]
            if t != 0:
                for i in range(j, m):
                    C[j * m + i] -= t * C[k * m + i]
        dependent[j] = not (C[j * m + j] > floor_[j])
        if not dependent[j]:
            rank += 1
            t = 1 / sqrt(C[j * m + j])
            for i in range(j, m):
                C[j * m + i] *= t
    return rank


cdef bint _cholesky(double *C, Py_ssize_t m, double *copy, const double *floor_) noexcept nogil:
    """LAPACK's Cholesky where every pivot is safe (True), C untouched otherwise (False)."""
    cdef int mm = <int> m, info = 0
    cdef Py_ssize_t j
    memcpy(copy, C, m * m * sizeof(double))
    dpotrf('L', &mm, copy, &mm, &info)
    if info != 0:
        return False
    for j in range(m):
        if not (copy[j * m + j] * copy[j * m + j] > floor_[j]):
            return False
    memcpy(C, copy, m * m * sizeof(double))
    return True


cdef int factor_append(Factor *f, const double *G, Py_ssize_t ldg, const double *l2, const int *js, Py_ssize_t m,
                       char *dependent) except -1 nogil:
    """Append coordinates js[0..m); dependent[k] says which were left out. Returns how many were appended."""
    cdef Py_ssize_t s = f.s, i, k, c, rank
    cdef int is_, im, ild
    cdef double one = 1, minus = -1
    cdef double *Z
    cdef double *C
    cdef double *floor_
    if m == 0:
        return 0
    _reserve(f, s + m, s * m + 2 * m * m + m)
    Z = f.z
    C = Z + s * m
    floor_ = C + 2 * m * m
    is_, im, ild = <int> s, <int> m, <int> f.ld
    for k in range(m):
        for i in range(s):
            Z[k * s + i] = G[js[k] * ldg + f.idx[i]]
        for i in range(k, m):
            C[k * m + i] = G[js[k] * ldg + js[i]]
        C[k * m + k] += l2[js[k]]
        floor_[k] = PIVOT_TOL * C[k * m + k]
        dependent[k] = 0
    if s > 0:
        if m == 1:
            dtrsv('L', 'N', 'N', &is_, f.L, &ild, Z, &im)
        else:
            dtrsm('L', 'L', 'N', 'N', &is_, &im, &one, f.L, &ild, Z, &is_)
        dsyrk('L', 'T', &im, &is_, &minus, Z, &is_, &one, C, &im)
    if m >= 24 and _cholesky(C, m, C + m * m, floor_):
        rank = m
    else:
        rank = _cholesky_skip(C, m, floor_, dependent)
    c = s
    for k in range(m):
        if dependent[k]:
            continue
        f.idx[c] = js[k]
        for i in range(s):
            f.L[i * f.ld + c] = Z[k * s + i]
        c += 1
    c = s
    for k in range(m):
        if dependent[k]:
            continue
        _copy_rows(f.L + c * f.ld, C + k * m, dependent, k, m, c)
        c += 1
    f.s = c
    return <int> rank


cdef void _copy_rows(double *col, const double *C, const char *dependent, Py_ssize_t k, Py_ssize_t m,
                     Py_ssize_t row) noexcept nogil:
    """Copy rows k..m of a column of C, without the dependent ones, to col[row..]."""
    cdef Py_ssize_t i
    for i in range(k, m):
        if not dependent[i]:
            col[row] = C[i]
            row += 1


cdef int factor_remove(Factor *f, const int *pos, Py_ssize_t d) except -1 nogil:
    """Remove rows pos[0..d) (ascending) from the factor."""
    cdef Py_ssize_t s = f.s, ld = f.ld, j, t, lo, hi, dst, n, seen = 0, to = 0
    cdef double *L
    cdef double *v
    cdef double a, b, r
    if d == 0:
        return 0
    _reserve(f, s, s * d)
    for j in range(s):
        L = f.L + j * ld
        # compact column j: drop the removed rows at and below j (the heads above were dropped with their own column)
        dst = j
        lo = j
        for t in range(seen, d + 1):
            hi = pos[t] if t < d else s
            n = hi - lo
            if n > 0 and dst != lo:
                memmove(L + dst, L + lo, n * sizeof(double))
            dst += n
            lo = hi + 1
        n = dst - j                    # rows that stay, from row j on
        if seen < d and pos[seen] == j:
            # column j leaves: what is below it becomes an update vector, indexed by the rows as they will be
            memcpy(f.z + seen * s + to, L + j, n * sizeof(double))
            seen += 1
            continue
        for t in range(seen):
            v = f.z + t * s + to
            a, b = L[j], v[0]
            r = sqrt(a * a + b * b)
            a, b = a / r, b / r
            L[j] = r
            fr_rotate(n - 1, a, b, L + j + 1, v + 1)
        f.idx[to] = f.idx[j]
        if to != j:
            memmove(f.L + to * ld + to, L + j, n * sizeof(double))
        to += 1
    f.s = to
    return 0


cdef class Basis:
    """The rank of one set of columns after another, from their Gram matrix: the factor goes along.

    Parameters
    ----------
    G : ndarray of shape (m, m)
    """
    cdef Factor f
    cdef const double[:, ::1] G
    cdef double[::1] zero
    cdef char[::1] wanted
    cdef int[::1] moves

    def __cinit__(self, const double[:, ::1] G):
        factor_init(&self.f)
        self.G, self.zero = G, np.zeros(G.shape[0])
        self.wanted, self.moves = np.zeros(G.shape[0], dtype=np.int8), np.empty(G.shape[0], dtype=np.intc)

    def __dealloc__(self):
        factor_free(&self.f)

    def rank(self, const Py_ssize_t[::1] at):
        """The rank of the columns `at`."""
        cdef Py_ssize_t i, n = 0
        cdef char[::1] dependent = np.empty(max(1, at.shape[0]), dtype=np.int8)
        if at.shape[0] == 0:
            factor_clear(&self.f)
            return 0
        self.wanted[:] = 0
        for i in range(at.shape[0]):
            self.wanted[at[i]] = 1
        with nogil:
            for i in range(self.f.s):
                if self.wanted[self.f.idx[i]]:
                    self.wanted[self.f.idx[i]] = 0
                else:
                    self.moves[n] = <int> i
                    n += 1
            factor_remove(&self.f, &self.moves[0], n)
            n = 0
            for i in range(at.shape[0]):
                if self.wanted[at[i]]:
                    self.moves[n] = <int> at[i]
                    n += 1
            factor_append(&self.f, &self.G[0, 0], self.G.shape[0], &self.zero[0], &self.moves[0], n, &dependent[0])
        return self.f.s
