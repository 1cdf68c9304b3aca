"""The design matrix as the engine sees it: ``stream`` X'V, ``apply`` Xw, ``gather`` columns, column ``moments``.

Every product is with the centred columns ``x_j - mean_j`` (mean_j = 0 without intercept). With sample weights s the
engine works on rows scaled by sqrt(s_i); ``gather`` scales, ``stream`` expects V to carry that factor already.
Nothing here copies X; each output column is computed by one thread, so results do not depend on their number.
"""
from cython.parallel cimport prange

from libc.math cimport INFINITY, fabs, isinf, sqrt
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastreg.kernels.leaf cimport (
    fr_axpy, fr_comb4, fr_dot, fr_dot4, fr_load, fr_normal_rows1, fr_normal_rows2, fr_normal_rows4, fr_normal_rows8,
    fr_row, fr_rowdot, fr_rows4, fr_rowsq, fr_scatter1, fr_scatter4, fr_scatter8, fr_spcols, fr_spcols4, fr_spcols8,
    fr_spmoments1, fr_spmoments4, fr_sqdot4, fr_sum4)
from fastreg.kernels.memory cimport grow
from fastreg.kernels.rows cimport Row, RowLists, rows_push, rows_repack, rows_reserve, rows_room

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t

cdef Py_ssize_t CHUNK = 32              # columns a thread takes at a time
cdef Py_ssize_t ROW_BLOCK = 4096        # rows of a column block that stay in cache for several right-hand sides
cdef double ROW_SCATTER = 4             # what an element read on its own costs against one in a run of a row
cdef double PARALLEL_WORK = 4e5         # elements below which starting threads costs more than it saves (see threads)
cdef double DEALT = 50                  # times as many are worth dealing to lanes with sums of their own
cdef double CONSTANT = 32 * 2.2e-16     # a centred column smaller than this against its mean is rounding


cdef double *_totals(Design d, const double *V, Py_ssize_t k) except NULL nogil:
    """Sum of each V[t], which the means are multiplied by; zeros when they are not subtracted. To be freed."""
    cdef Py_ssize_t t, i
    cdef double *total = <double *> calloc(k + 1, sizeof(double))
    if total == NULL:
        with gil:
            raise MemoryError()
    for t in range(k if d.centred else 0):
        for i in range(d.n):
            total[t] += V[t * d.n + i]
    return total


cdef double *_scattered(Design d, const int *cols, Py_ssize_t m, const double *w) except NULL nogil:
    """w by column of X, to be freed."""
    cdef Py_ssize_t a
    cdef double *full = <double *> calloc(d.p, sizeof(double))
    if full == NULL:
        with gil:
            raise MemoryError()
    for a in range(m):
        full[cols[a]] = w[a]
    return full


def set_parallel_work(double elements):
    """Start threads (and deal to lanes) from so many elements on, whatever that costs; returns the number until now.

    For tests, which have kernels do with few elements what they do with many."""
    global PARALLEL_WORK
    before, PARALLEL_WORK = PARALLEL_WORK, elements
    return before


include "dense.pxi"
include "sparse.pxi"
include "normal.pxi"


cdef class Design:
    """X by address: built by ``fastreg.design.as_design``, which has checked shapes, types and finiteness.

    Parameters
    ----------
    kind : int
        0 dense by columns, 1 dense by rows, 2 CSC, 3 CSR.
    n, p, nnz : int
    data, indices, indptr : int
        Addresses; `indices` and `indptr` are 0 for dense storage.
    stride, step : int
        Dense storage: elements between columns (rows) and between entries of a column (row).
    single, wide_index, centred : bool
        float32 data; int64 indices; subtract column means.
    weight, root : ndarray or None
        Sample weights summing to their number, and their square roots.
    mean, norm, norm1, level : ndarray of shape (p,)
        Where the moments go; the last two are None for dense storage.
    weight_sum : float
    n_threads : int
    owners : object
        Kept alive as long as the design.
    """

    def __init__(self, int kind, Py_ssize_t n, Py_ssize_t p, Py_ssize_t nnz, uintptr_t data, uintptr_t indices,
                 uintptr_t indptr, Py_ssize_t stride, Py_ssize_t step, bint single, bint wide_index, bint centred,
                 weight, root, double[::1] mean, double[::1] norm, norm1, level, double weight_sum, int n_threads,
                 owners):
        self.kind, self.n, self.p, self.nnz = kind, n, p, nnz
        self.data, self.indices, self.indptr = <const void *> data, <const void *> indices, <const void *> indptr
        self.stride, self.step = stride, step
        self.single, self.wide_index, self.centred = single, wide_index, centred
        self.weight = self.root = self.norm1 = self.level = NULL
        if weight is not None:
            self.weight_, self.root_ = weight, root
            self.weight, self.root = &self.weight_[0], &self.root_[0]
        self.mean_, self.norm_ = mean, norm
        self.mean, self.norm = &mean[0], &norm[0]
        if norm1 is not None:
            self.norm1_, self.level_ = norm1, level
            self.norm1, self.level = &self.norm1_[0], &self.level_[0]
        self.weight_sum, self.n_threads, self.owners = weight_sum, n_threads, owners

    @property
    def means(self):
        """Column means (0 without intercept), once the engine has computed them."""
        return self.mean_.base

    @property
    def norms(self):
        """Centred, weighted norms of the columns; 0 where a column is constant."""
        return self.norm_.base

    cdef bint by_columns(self) noexcept nogil:
        return self.kind == DENSE_COLUMNS or self.kind == SPARSE_COLUMNS

    cdef double part(self, double share) noexcept nogil:
        """Cost of streaming a share of the columns, in passes."""
        if self.by_columns():
            return share
        return ROW_SCATTER * share if self.kind == DENSE_ROWS else INFINITY

    cdef bint sparse(self) noexcept nogil:
        return self.kind == SPARSE_COLUMNS or self.kind == SPARSE_ROWS

    cdef double cost(self, Py_ssize_t j) noexcept nogil:
        """Elements read to stream column j."""
        if self.kind != SPARSE_COLUMNS:
            return <double> self.nnz / self.p
        if self.wide_index:
            return <double> ((<const int64_t *> self.indptr)[j + 1] - (<const int64_t *> self.indptr)[j])
        return <double> ((<const int32_t *> self.indptr)[j + 1] - (<const int32_t *> self.indptr)[j])

    cdef int threads(self, double work) noexcept nogil:
        """Threads worth starting for so many elements."""
        return self.n_threads if work > PARALLEL_WORK else 1

    cdef bint dealt(self, double work) noexcept nogil:
        """Whether so much work is dealt to a few lanes with sums of their own, whatever the number of threads."""
        return work > DEALT * PARALLEL_WORK

    cdef Moments own(self) noexcept nogil:
        """The design's own weighting of the rows."""
        cdef Moments of
        of.weight, of.root, of.mean, of.norm = self.weight, self.root, self.mean, self.norm
        of.norm1, of.level = self.norm1, self.level
        return of

    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil:
        """Fill in moments under several weightings, the design's own among them, and out[t, j] = x_j'V[t].

        V carries sqrt(s); centred, the sum of V[t] sqrt(s) is 0 under its own weighting and no mean matters."""
        cdef Py_ssize_t f
        for f in range(n_of):
            memset(of[f].mean, 0, self.p * sizeof(double))
            memset(of[f].norm, 0, self.p * sizeof(double))
            if of[f].norm1 != NULL:
                memset(of[f].norm1, 0, self.p * sizeof(double))
        if not self.sparse():
            if self.single:
                _dense_moments[float](self, <const float *> self.data, of, n_of, V, k, out)
            else:
                _dense_moments[double](self, <const double *> self.data, of, n_of, V, k, out)
        elif self.wide_index:
            if self.single:
                _sparse_moments[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                <const int64_t *> self.indptr, of, n_of, V, k, out)
            else:
                _sparse_moments[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                 <const int64_t *> self.indptr, of, n_of, V, k, out)
        elif self.single:
            _sparse_moments[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                            <const int32_t *> self.indptr, of, n_of, V, k, out)
        else:
            _sparse_moments[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                             <const int32_t *> self.indptr, of, n_of, V, k, out)
        for f in range(n_of):
            self.mark_constant(of[f])
        return 0

    cdef void mark_constant(self, Moments of) noexcept nogil:
        """A column whose centred norm is rounding gets norm 0."""
        cdef Py_ssize_t j
        for j in range(self.p):
            if of.norm[j] <= CONSTANT * fabs(of.mean[j]) * sqrt(self.weight_sum):
                of.norm[j] = 0

    cdef int stream(self, const int *cols, Py_ssize_t m, const double *V, Py_ssize_t k, double *out,
                    Py_ssize_t ldo) except -1 nogil:
        """out[t, a] = x_j'V[t] (centred), j = cols[a]; all columns when cols is NULL. CSR: all columns only."""
        if not self.sparse():
            if self.single:
                return _stream_dense[float](self, <const float *> self.data, cols, m, V, k, out, ldo)
            return _stream_dense[double](self, <const double *> self.data, cols, m, V, k, out, ldo)
        if self.wide_index:
            if self.single:
                return _stream_sparse[float, int64_t](
                    self, <const float *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                    cols, m, V, k, out, ldo)
            return _stream_sparse[double, int64_t](
                self, <const double *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                cols, m, V, k, out, ldo)
        if self.single:
            return _stream_sparse[float, int32_t](
                self, <const float *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
                cols, m, V, k, out, ldo)
        return _stream_sparse[double, int32_t](
            self, <const double *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
            cols, m, V, k, out, ldo)

    cdef int apply(self, const int *cols, Py_ssize_t m, const double *w, double *out) except -1 nogil:
        """out = sum_a w[a] x_j, j = cols[a], centred and scaled by sqrt(s)."""
        if not self.sparse():
            if self.single:
                return _apply_dense[float](self, <const float *> self.data, cols, m, w, out)
            return _apply_dense[double](self, <const double *> self.data, cols, m, w, out)
        if self.wide_index:
            if self.single:
                return _apply_sparse[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                     <const int64_t *> self.indptr, cols, m, w, out)
            return _apply_sparse[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                  <const int64_t *> self.indptr, cols, m, w, out)
        if self.single:
            return _apply_sparse[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                                 <const int32_t *> self.indptr, cols, m, w, out)
        return _apply_sparse[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                              <const int32_t *> self.indptr, cols, m, w, out)

    cdef int normal(self, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil:
        """out[t] = X'S X V[t] and, unless NULL, Z[t] = X V[t], X centred and Z not weighted; V[t] has p entries."""
        cdef Py_ssize_t t
        for t in range(0, k, 8):
            self._normal(V + t * self.p, min(8, k - t), NULL if Z == NULL else Z + t * self.n, out + t * self.p)
        return 0

    cdef int _normal(self, const double *V, Py_ssize_t k, double *Z, double *out) except -1 nogil:
        if not self.sparse():
            if self.single:
                return _normal_dense[float](self, <const float *> self.data, V, k, Z, out)
            return _normal_dense[double](self, <const double *> self.data, V, k, Z, out)
        if self.wide_index:
            if self.single:
                return _normal_sparse[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                      <const int64_t *> self.indptr, V, k, Z, out)
            return _normal_sparse[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                   <const int64_t *> self.indptr, V, k, Z, out)
        if self.single:
            return _normal_sparse[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                                  <const int32_t *> self.indptr, V, k, Z, out)
        return _normal_sparse[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                               <const int32_t *> self.indptr, V, k, Z, out)

    cdef int gather(self, const int *cols, Py_ssize_t m, double *out) except -1 nogil:
        """Columns cols[0..m) centred and scaled by sqrt(s), contiguous and dense, into out (n x m)."""
        if not self.sparse():
            if self.single:
                return _gather_dense[float](self, <const float *> self.data, cols, m, out)
            return _gather_dense[double](self, <const double *> self.data, cols, m, out)
        if self.wide_index:
            if self.single:
                return _unpack_sparse[float, int64_t](self, <const float *> self.data, <const int64_t *> self.indices,
                                                      <const int64_t *> self.indptr, cols, m, out)
            return _unpack_sparse[double, int64_t](self, <const double *> self.data, <const int64_t *> self.indices,
                                                   <const int64_t *> self.indptr, cols, m, out)
        if self.single:
            return _unpack_sparse[float, int32_t](self, <const float *> self.data, <const int32_t *> self.indices,
                                                  <const int32_t *> self.indptr, cols, m, out)
        return _unpack_sparse[double, int32_t](self, <const double *> self.data, <const int32_t *> self.indices,
                                               <const int32_t *> self.indptr, cols, m, out)

    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                        double *out) noexcept nogil:
        """Dense storage: m rows, from i0 on or those listed, shifted and scaled by sqrt(s), column-major."""
        if self.single:
            _load_rows[float](self, <const float *> self.data, i0, rows, m, shift, out)
        else:
            _load_rows[double](self, <const double *> self.data, i0, rows, m, shift, out)

    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil:
        """Sparse storage: rows i0, ... (from 0 on, one call after the other), not centred, not weighted."""
        if self.wide_index:
            if self.single:
                return _load_sparse_rows[float, int64_t](
                    self, <const float *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                    i0, m, rows)
            return _load_sparse_rows[double, int64_t](
                self, <const double *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                i0, m, rows)
        if self.single:
            return _load_sparse_rows[float, int32_t](
                self, <const float *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
                i0, m, rows)
        return _load_sparse_rows[double, int32_t](
            self, <const double *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
            i0, m, rows)

    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, Py_ssize_t ld,
                           double *out) noexcept nogil:
        """As load_rows, but by rows, ld apart, where X is stored by rows: nothing is turned round."""
        if self.single:
            _load_as_rows[float](self, <const float *> self.data, i0, rows, m, shift, ld, out)
        else:
            _load_as_rows[double](self, <const double *> self.data, i0, rows, m, shift, ld, out)

    cdef int gather_rows(self, const int *cols, Py_ssize_t m, int first, RowLists *rows) except -1 nogil:
        """Sparse storage: append columns cols[0..m), less their level and scaled by sqrt(s), as positions first, ..."""
        if self.wide_index:
            if self.single:
                return _gather_sparse[float, int64_t](
                    self, <const float *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                    cols, m, first, rows)
            return _gather_sparse[double, int64_t](
                self, <const double *> self.data, <const int64_t *> self.indices, <const int64_t *> self.indptr,
                cols, m, first, rows)
        if self.single:
            return _gather_sparse[float, int32_t](
                self, <const float *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
                cols, m, first, rows)
        return _gather_sparse[double, int32_t](
            self, <const double *> self.data, <const int32_t *> self.indices, <const int32_t *> self.indptr,
            cols, m, first, rows)
