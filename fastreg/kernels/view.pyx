"""A design as a fit sees it: under weights of its rows, and centred where an intercept is fitted.

Every product is with ``x_j - mean_j`` (mean_j = 0 without intercept). With weights s the engine works on rows scaled by
sqrt(s_i): ``combine`` and ``gather`` scale, ``stream`` expects V to carry that factor already, ``normal`` has s inside.
"""
from libc.math cimport fabs, sqrt
from libc.string cimport memset

import numpy as np

cdef double CONSTANT = 32 * 2.2e-16     # a centred column smaller than this against its mean is rounding


cdef class View:
    """Row weights of a design.

    Parameters
    ----------
    design : Design
    weight, root : ndarray of shape (n,) or None
        Sample weights summing to n, and their square roots; None for ones.
    centred : bool
        Whether column means are subtracted.

    Attributes
    ----------
    means : ndarray of shape (p,)
        Weighted; 0 where not centred. Known once moments were computed.
    norms : ndarray of shape (p,)
        Centred and weighted; 0 where a column is constant.
    """

    def __init__(self, Design design, weight, root, bint centred):
        cdef Py_ssize_t p = design.p
        self.design, self.n, self.p, self.nnz = design, design.n, p, design.nnz
        self.centred, self.weight_sum = centred, <double> design.n
        self.weight = self.root = self.norm1 = self.level = NULL
        if weight is not None:
            self.weight_, self.root_ = weight, root
            self.weight, self.root = &self.weight_[0], &self.root_[0]
        self.mean_, self.norm_ = np.zeros(p), np.zeros(p)
        self.mean, self.norm = &self.mean_[0], &self.norm_[0]
        if design.sparse():
            self.norm1_, self.level_ = np.zeros(p), np.zeros(p)
            self.norm1, self.level = &self.norm1_[0], &self.level_[0]

    @property
    def means(self):
        return self.mean_.base

    @property
    def norms(self):
        return self.norm_.base

    cdef bint sparse(self) noexcept nogil:
        return self.design.sparse()

    cdef bint across(self) noexcept nogil:
        return self.design.across()

    cdef bint direct(self, Direct *of) noexcept nogil:
        return self.design.direct(of)

    cdef double part(self, double share) noexcept nogil:
        return self.design.part(share)

    cdef double cost(self, Py_ssize_t j) noexcept nogil:
        return self.design.cost(j)

    cdef int threads(self, double work) noexcept nogil:
        return self.design.threads(work)

    cdef bint dealt(self, double work) noexcept nogil:
        return self.design.dealt(work)

    cdef Moments own(self) noexcept nogil:
        """The weighting of the rows, and where its moments go."""
        cdef Moments of
        of.total, of.centred, of.weight, of.root = self.weight_sum, self.centred, self.weight, self.root
        of.mean, of.norm, of.norm1, of.level = self.mean, self.norm, self.norm1, self.level
        return of

    cdef void mark_constant(self, Moments of) noexcept nogil:
        """A column whose centred norm is rounding gets norm 0."""
        cdef Py_ssize_t j
        for j in range(self.p):
            if of.norm[j] <= CONSTANT * fabs(of.mean[j]) * sqrt(of.total):
                of.norm[j] = 0

    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil:
        """Moments under several weightings, this view's among them, and out[t, j] = x_j'V[t].

        V carries sqrt(s); centred, the sum of V[t] sqrt(s) is 0 under the own weighting and no mean matters."""
        cdef Py_ssize_t f
        for f in range(n_of):
            memset(of[f].mean, 0, self.p * sizeof(double))
            memset(of[f].norm, 0, self.p * sizeof(double))
            if of[f].norm1 != NULL:
                memset(of[f].norm1, 0, self.p * sizeof(double))
        self.design.moments(of, n_of, self.mean, V, k, out)
        for f in range(n_of):
            self.mark_constant(of[f])
        return 0

    cdef int stream(self, const int *cols, Py_ssize_t m, const double *V, Py_ssize_t k, double *out,
                    Py_ssize_t ldo) except -1 nogil:
        """out[t, a] = x_j'V[t], j = cols[a]; all columns when cols is NULL. CSR: all columns only."""
        return self.design.stream(cols, m, self.mean, V, k, out, ldo)

    cdef int combine(self, const int *cols, Py_ssize_t m, const double *w, double *out) except -1 nogil:
        """out = sqrt(s) sum_a w[a] x_j, j = cols[a]."""
        return self.design.combine(cols, m, self.mean, self.root, w, out)

    cdef int normal(self, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil:
        """out[t] = X'S X V[t] and, unless NULL, Z[t] = X V[t], not weighted; V[t] has p entries."""
        cdef Py_ssize_t t
        for t in range(0, k, 8):
            self.design.normal(self.mean, self.weight, V + t * self.p, min(8, k - t),
                               NULL if Z == NULL else Z + t * self.n, out + t * self.p)
        return 0

    cdef int gather(self, const int *cols, Py_ssize_t m, double *out) except -1 nogil:
        """Columns cols[0..m) scaled by sqrt(s), contiguous and dense, into out (n x m)."""
        return self.design.gather(cols, m, self.mean, self.root, out)

    cdef int gather_rows(self, const int *cols, Py_ssize_t m, int first, RowLists *rows) except -1 nogil:
        """Sparse storage: append columns cols[0..m), less their level, as positions first, ...; without rows of no
        weight."""
        return self.design.gather_rows(cols, m, self.level, self.weight, first, rows)

    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                        double *out) noexcept nogil:
        """Dense storage: m rows, from i0 on or those listed, less shift and scaled by sqrt(s), column-major."""
        self.design.load_rows(i0, rows, m, shift, self.root, out)

    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, Py_ssize_t ld,
                           double *out) noexcept nogil:
        """Dense storage by rows: the same as rows, ld apart."""
        self.design.load_as_rows(i0, rows, m, shift, self.root, ld, out)

    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil:
        """Sparse storage: rows i0, ... (from 0 on, one call after the other), neither centred nor weighted."""
        return self.design.load_sparse_rows(i0, m, rows)
