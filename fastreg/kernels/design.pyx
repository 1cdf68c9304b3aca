"""The design matrix X as kernels see it: the contract of every storage.

X is neither centred nor weighted: what to subtract from its columns (`mean`, `level`, `shift`) and the roots of row
weights (`root`, NULL for ones) are arguments. Nothing copies X; each output column is computed by one thread, or from
sums over parts that depend on the data alone, so results do not depend on the number of threads.
"""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef Py_ssize_t CHUNK = 32
cdef double PARALLEL_WORK = 4e4         # elements below which calling for help costs more than it saves (see threads)
cdef double OWN = 10                    # times as many are worth a part with sums of its own (see shares),
cdef double DEALT = 500                 # and dealing to lanes that have them (see dealt)


def set_parallel_work(double elements):
    """Start threads (and deal to lanes) from so many elements on, whatever that costs; returns the number until now.

    For tests, which have kernels do with few elements what they do with many."""
    global PARALLEL_WORK
    before, PARALLEL_WORK = PARALLEL_WORK, elements
    return before


cdef Py_ssize_t shares(double work, Py_ssize_t length) noexcept nogil:
    """Parts with sums of `length` of their own that cost little beside the work of forming them."""
    return max(1, <Py_ssize_t> min(16., min(work / max(OWN * PARALLEL_WORK, 1.), work / (16. * length))))


cdef double *scattered(Py_ssize_t p, const int *cols, Py_ssize_t m, const double *w) except NULL nogil:
    """w by column of X, 0 elsewhere; to be freed."""
    cdef Py_ssize_t a
    cdef double *full = <double *> calloc(p, sizeof(double))
    if full == NULL:
        with gil:
            raise MemoryError()
    for a in range(m):
        full[cols[a]] = w[a]
    return full


cdef void sparse_rows_free(SparseRows *rows) noexcept nogil:
    free(rows.start)
    free(rows.pos)
    free(rows.val)
    free(rows.cursor)
    memset(rows, 0, sizeof(SparseRows))


cdef int _not_here(Design d) except -1 nogil:
    with gil:
        raise NotImplementedError(f"{type(d).__name__} has no such verb")


cdef class Design:
    """X of shape (n, p) with nnz stored entries."""

    cdef bint sparse(self) noexcept nogil:
        """Whether a column is mostly zeros, which `gather_rows` and `load_sparse_rows` leave out."""
        return False

    cdef bint across(self) noexcept nogil:
        """Whether a row lies in one place; otherwise a column does."""
        return False

    cdef bint direct(self, Direct *of) noexcept nogil:
        """Whether X lies in the memory as an array of float64 with contiguous rows or columns, and where."""
        return False

    cdef double part(self, double share) noexcept nogil:
        """Cost of streaming a share of the columns, in passes; infinite where that cannot be done."""
        return share

    cdef double cost(self, Py_ssize_t j) noexcept nogil:
        """Elements read to stream column j."""
        return <double> self.nnz / self.p

    cdef int threads(self, double work) noexcept nogil:
        """Threads worth starting for so many elements."""
        return self.n_threads if work > PARALLEL_WORK else 1

    cdef bint dealt(self, double work) noexcept nogil:
        """Whether so much work is dealt to a few lanes with sums of their own, whatever the number of threads."""
        return work > DEALT * PARALLEL_WORK

    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *mean, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil:
        """Moments under several weightings, and out[t, j] = sum_i (x_ij - mean_j) V[t, i].

        The arrays are zero before. `mean` is that of one of them; V[t] is such that no mean matters but for
        rounding."""
        return _not_here(self)

    cdef int stream(self, const int *cols, Py_ssize_t m, const double *mean, const double *V, Py_ssize_t k,
                    double *out, Py_ssize_t ldo) except -1 nogil:
        """out[t, a] = sum_i (x_ij - mean_j) V[t, i], j = cols[a]; all columns when cols is NULL. CSR: all columns
        only."""
        return _not_here(self)

    cdef int combine(self, const int *cols, Py_ssize_t m, const double *mean, const double *root, const double *w,
                     double *out) except -1 nogil:
        """out[i] = root_i sum_a (x_ij - mean_j) w[a], j = cols[a]."""
        return _not_here(self)

    cdef int normal(self, const double *mean, const double *weight, const double *V, Py_ssize_t k, double *Z,
                    double *out) except -1 nogil:
        """Z[t, i] = sum_j (x_ij - mean_j) V[t, j], unless Z is NULL, and out[t, j] = sum_i (x_ij - mean_j) weight_i
        Z[t, i], for k <= 8."""
        return _not_here(self)

    cdef int gather(self, const int *cols, Py_ssize_t m, const double *mean, const double *root,
                    double *out) except -1 nogil:
        """out[a, i] = root_i (x_ij - mean_j), j = cols[a]."""
        return _not_here(self)

    cdef int gather_rows(self, const int *cols, Py_ssize_t m, const double *level, const double *weight, int first,
                         RowLists *rows) except -1 nogil:
        """Sparse storage: append x_ij - level_j, j = cols[a], to row i as position first + a, where X has an entry and
        weight_i is not 0."""
        return _not_here(self)

    cdef void load_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift, const double *root,
                        double *out) noexcept nogil:
        """Dense storage: m rows root_i (x_i - shift), from i0 on or those listed, column j at out + j m."""
        pass

    cdef void load_as_rows(self, Py_ssize_t i0, const int *rows, Py_ssize_t m, const double *shift,
                           const double *root, Py_ssize_t ld, double *out) noexcept nogil:
        """Dense storage by rows: the same, row i at out + i ld; nothing is turned round."""
        pass

    cdef int residual(self, const double *mean, const double *root, const double *y, const double *w, double *r,
                      double *g) except -1 nogil:
        """Sparse storage by rows, in one reading: r[i] = y[i] - root_i sum_j (x_ij - mean_j) w[j], and
        g[j] = sum_i root_i (x_ij - mean_j) r[i]."""
        return _not_here(self)

    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil:
        """Sparse storage: rows i0, ... (from 0 on, one call after the other), as they are stored."""
        return _not_here(self)
