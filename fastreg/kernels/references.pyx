"""Residuals kept for reference: a new residual is nearly a combination of them, and so are its correlations.

With ``e = r - sum_k c_k r_k`` every column obeys ``|x'r - sum_k c_k x'r_k| <= ||x||_2 ||e||_2``, and, for a sparse one,
``<= ||x||_1 ||e||_inf``: whatever the coefficients c, since e is computed from them.
"""
from libc.math cimport sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastreg.kernels.leaf cimport fr_axpy, fr_maxabs, fr_vdot


cdef int references_init(References *f, Py_ssize_t n, Py_ssize_t p, int most) except -1:
    """Room for `most` residuals of length n and their correlations with p columns."""
    cdef int k
    f.n, f.held, f.oldest, f.most, f.first = n, 0, 0, most, False
    for k in range(most):
        f.r[k] = <double *> malloc(n * sizeof(double))
        f.g[k] = <double *> malloc(p * sizeof(double))
        if f.r[k] == NULL or f.g[k] == NULL:
            raise MemoryError()
    return 0


cdef void references_free(References *f) noexcept nogil:
    cdef int k
    for k in range(MAX_REFERENCES):
        free(f.r[k])
        free(f.g[k])


cdef double *references_slot(const References *f) noexcept nogil:
    """Where the correlations of the residual that is kept next go, before it is: the oldest gives way."""
    return f.g[f.oldest]


cdef void references_keep(References *f, const double *r) noexcept nogil:
    """r, whose correlations are in the slot, takes the place of the oldest residual."""
    cdef int a, b = f.oldest
    memcpy(f.r[b], r, f.n * sizeof(double))
    f.first = f.held == 0 or (f.first and b > 0)
    f.held = max(f.held, b + 1)
    for a in range(f.held):
        f.gram[a * MAX_REFERENCES + b] = f.gram[b * MAX_REFERENCES + a] = fr_vdot(f.n, f.r[a], f.r[b])
    f.oldest = (f.oldest + 1) % f.most


cdef void references_fit(const References *f, const double *r, double *c, double *e, double *e2,
                         double *einf) noexcept nogil:
    """Coefficients of r on the references, the remainder e and its norms (0 where it is rounding)."""
    cdef Py_ssize_t n = f.n
    cdef int _, a, k = f.held
    cdef double rhs[MAX_REFERENCES]
    cdef double s
    for a in range(k):
        c[a] = 0
    memcpy(e, r, n * sizeof(double))
    for _ in range(2):                        # the second time refines the first
        for a in range(k):
            rhs[a] = fr_vdot(n, f.r[a], e)
        _solve_small_system(f.gram, rhs, k)
        for a in range(k):
            c[a] += rhs[a]
            fr_axpy(n, -rhs[a], f.r[a], e)
    s = fr_vdot(n, e, e)
    e2[0] = sqrt(s) if s > 1e-28 * fr_vdot(n, r, r) else 0
    einf[0] = fr_maxabs(n, e) if e2[0] > 0 else 0


cdef void _solve_small_system(const double *A, double *b, int k) noexcept nogil:
    """b := A^-1 b for a small positive semidefinite A, by LDL' with complete pivoting; null directions get 0."""
    cdef double M[MAX_REFERENCES * MAX_REFERENCES]
    cdef double x[MAX_REFERENCES]
    cdef int used[MAX_REFERENCES]
    cdef int order[MAX_REFERENCES]
    cdef int _, a, i, j, piv, rank = 0
    cdef double best, f
    for i in range(k):
        used[i] = 0
        x[i] = b[i]
        for j in range(k):
            M[i * MAX_REFERENCES + j] = A[i * MAX_REFERENCES + j]
    for _ in range(k):
        piv, best = -1, 0
        for i in range(k):
            if not used[i] and M[i * MAX_REFERENCES + i] > best:
                piv, best = i, M[i * MAX_REFERENCES + i]
        if piv < 0 or best <= 1e-14 * A[piv * MAX_REFERENCES + piv]:
            break
        used[piv] = 1
        order[rank] = piv
        rank += 1
        for i in range(k):
            if not used[i]:
                f = M[i * MAX_REFERENCES + piv] / best
                for j in range(k):
                    M[i * MAX_REFERENCES + j] -= f * M[piv * MAX_REFERENCES + j]
                x[i] -= f * x[piv]
    for i in range(k):
        b[i] = 0
    for a in range(rank - 1, -1, -1):
        piv = order[a]
        f = x[piv]
        for i in range(a + 1, rank):
            f -= M[piv * MAX_REFERENCES + order[i]] * b[order[i]]
        b[piv] = f / M[piv * MAX_REFERENCES + piv]
