"""Sparse X, by columns or by rows, with 32- or 64-bit indices, in float64 or float32: the verbs of Design over it.

Columns are centred on the fly: x_j'v - mean_j sum(v).
"""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastreg.kernels.csx cimport index, piece, real, run_pieces
from fastreg.kernels.design cimport CHUNK, Design, Direct, Moments, SparseRows, scattered
from fastreg.kernels.leaf cimport fr_spcols, fr_spcols4, fr_spcols8
from fastreg.kernels.memory cimport grow
from fastreg.kernels.rows cimport Row, RowLists, rows_move, rows_promise, rows_push, rows_reserve
from fastreg.kernels.sparse_moments cimport sparse_moments
from fastreg.kernels.sparse_normal cimport sparse_normal


cdef class Sparse(Design):
    """CSC or CSR by address.

    Parameters
    ----------
    n, p, nnz : int
    data, indices, indptr : int
        Addresses of the arrays.
    by_rows : bool
        CSR; otherwise CSC.
    single, wide : bool
        float32 data; int64 indices.
    n_threads : int
    owners : object
        Kept alive as long as this.
    """

    def __init__(self, Py_ssize_t n, Py_ssize_t p, Py_ssize_t nnz, uintptr_t data, uintptr_t indices, uintptr_t indptr,
                 bint by_rows, bint single, bint wide, int n_threads, owners):
        self.n, self.p, self.nnz, self.n_threads, self.owners = n, p, nnz, n_threads, owners
        self.data, self.indices, self.indptr = <const void *> data, <const void *> indices, <const void *> indptr
        self.by_rows, self.wide = by_rows, wide
        self.verbs.moments, self.verbs.normal = sparse_moments(single, wide), sparse_normal(single, wide)
        if single and wide:
            _choose(&self.verbs, <const float *> NULL, <const int64_t *> NULL)
        elif single:
            _choose(&self.verbs, <const float *> NULL, <const int32_t *> NULL)
        elif wide:
            _choose(&self.verbs, <const double *> NULL, <const int64_t *> NULL)
        else:
            _choose(&self.verbs, <const double *> NULL, <const int32_t *> NULL)

    cdef bint sparse(self) noexcept nogil:
        return True

    cdef bint across(self) noexcept nogil:
        return self.by_rows

    cdef bint direct(self, Direct *of) noexcept nogil:
        return False

    cdef double part(self, double share) noexcept nogil:
        return INFINITY if self.by_rows else share

    cdef double cost(self, Py_ssize_t j) noexcept nogil:
        if self.by_rows:
            return <double> self.nnz / self.p
        if self.wide:
            return <double> ((<const int64_t *> self.indptr)[j + 1] - (<const int64_t *> self.indptr)[j])
        return <double> ((<const int32_t *> self.indptr)[j + 1] - (<const int32_t *> self.indptr)[j])

    cdef int moments(self, const Moments *of, Py_ssize_t n_of, const double *mean, const double *V, Py_ssize_t k,
                     double *out) except -1 nogil:
        self.verbs.moments(self, self.data, self.indices, self.indptr, of, n_of, mean, V if k == 1 else NULL, out)
        return self.stream(NULL, self.p, mean, V, k, out, self.p) if k > 1 else 0

    cdef int stream(self, const int *cols, Py_ssize_t m, const double *mean, const double *V, Py_ssize_t k,
                    double *out, Py_ssize_t ldo) except -1 nogil:
        return self.verbs.stream(self, self.data, self.indices, self.indptr, cols, m, mean, V, k, out, ldo)

    cdef int combine(self, const int *cols, Py_ssize_t m, const double *mean, const double *root, const double *w,
                     double *out) except -1 nogil:
        return self.verbs.combine(self, self.data, self.indices, self.indptr, cols, m, mean, root, w, out)

    cdef int normal(self, const double *mean, const double *weight, const double *V, Py_ssize_t k, double *Z,
                    double *out) except -1 nogil:
        return self.verbs.normal(self, self.data, self.indices, self.indptr, mean, weight, V, k, Z, out)

    cdef int gather(self, const int *cols, Py_ssize_t m, const double *mean, const double *root,
                    double *out) except -1 nogil:
        return self.verbs.gather(self, self.data, self.indices, self.indptr, cols, m, mean, root, out)

    cdef int gather_rows(self, const int *cols, Py_ssize_t m, const double *level, const double *weight, int first,
                         RowLists *rows) except -1 nogil:
        return self.verbs.gather_rows(self, self.data, self.indices, self.indptr, cols, m, level, weight, first, rows)

    cdef int residual(self, const double *mean, const double *root, const double *y, const double *w, double *r,
                      double *g) except -1 nogil:
        return self.verbs.residual(self, self.data, self.indices, self.indptr, mean, root, y, w, r, g)

    cdef int load_sparse_rows(self, Py_ssize_t i0, Py_ssize_t m, SparseRows *rows) except -1 nogil:
        return self.verbs.load_rows(self, self.data, self.indices, self.indptr, i0, m, rows)


cdef void _choose(Verbs *verbs, const real *_, const index *__) noexcept:
    verbs.stream = <stream_verb> _stream[real, index]
    verbs.combine = <combine_verb> _combine[real, index]
    verbs.gather = <gather_verb> _gather[real, index]
    verbs.gather_rows = <gather_rows_verb> _gather_rows[real, index]
    verbs.residual = <residual_verb> _residual[real, index]
    verbs.load_rows = <load_verb> _load_rows[real, index]


# ---- products --------------------------------------------------------------------------------------------------------
cdef double *_totals(Sparse d, const double *V, Py_ssize_t k) except NULL nogil:
    """Sum of each V[t], which the means are multiplied by; to be freed."""
    cdef Py_ssize_t t, i
    cdef double *total = <double *> calloc(k + 1, sizeof(double))
    if total == NULL:
        with gil:
            raise MemoryError()
    for t in range(k):
        for i in range(d.n):
            total[t] += V[t * d.n + i]
    return total


cdef enum:
    SHARES = 64              # of a pass, at most
cdef double LEAST_SHARE = 2e4     # elements, of a task of few columns
cdef double AFAR = 6              # what an entry of a listed column costs, in elements of a pass over all,
cdef double BEGINNING = 120       # and what it takes to come to such a column: neither is foreseen

cdef struct Products:
    # Columns against up to 8 right-hand sides, which are interleaved where there are several.
    int lanes
    Py_ssize_t start[SHARES + 1]     # of each task's columns
    const int *cols
    const double *mean
    const double *v
    const double *total
    double **out


cdef void _products(const Products *u, Py_ssize_t k, const real *x, const index *idx, const index *ptr) noexcept nogil:
    cdef Py_ssize_t lo = u.start[k], hi = u.start[k + 1]
    if u.lanes == 1:
        fr_spcols(lo, hi, u.cols, x, idx, ptr, u.mean, u.v, u.total[0], u.out[0])
    elif u.lanes == 4:
        fr_spcols4(lo, hi, u.cols, x, idx, ptr, u.mean, u.v, u.total, u.out)
    else:
        fr_spcols8(lo, hi, u.cols, x, idx, ptr, u.mean, u.v, u.total, u.out)


cdef Py_ssize_t _deal(Sparse d, const index *ptr, const int *cols, Py_ssize_t m, Py_ssize_t k, Py_ssize_t *start,
                      double *work) noexcept nogil:
    """Deal m columns in tasks that read about as much; of many columns, of an equal number. Returns how many tasks;
    work: in elements of a pass over all, for k right-hand sides."""
    cdef Py_ssize_t a, task, tasks, total = 0, so_far = 0
    work[0] = <double> d.nnz * k * m / d.p + (BEGINNING * m if cols != NULL else 0)
    if m > SHARES * CHUNK or cols == NULL:
        tasks = min(SHARES, 1 + (m - 1) // CHUNK)
        for task in range(tasks + 1):
            start[task] = task * m // tasks
        return tasks
    for a in range(m):
        total += <Py_ssize_t> (ptr[cols[a] + 1] - ptr[cols[a]])
    work[0] = (AFAR * total + BEGINNING * m) * k
    tasks = max(<Py_ssize_t> 1, min(min(SHARES, m), <Py_ssize_t> (work[0] / LEAST_SHARE)))
    task = 0
    for a in range(m):
        while task < tasks and so_far * tasks >= task * total:
            start[task] = a
            task += 1
        so_far += <Py_ssize_t> (ptr[cols[a] + 1] - ptr[cols[a]])
    for task in range(task, tasks + 1):
        start[task] = m
    return tasks


cdef void _stream_rows(Sparse d, const real *data, const index *idx, const index *ptr, const double *mean,
                       const double *V, const double *total, Py_ssize_t k, double *out, Py_ssize_t ldo) noexcept nogil:
    cdef Py_ssize_t i, j, t, e
    cdef double v
    for t in range(k):
        for j in range(d.p):
            out[t * ldo + j] = -mean[j] * total[t]
        for i in range(d.n):
            v = V[t * d.n + i]
            for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
                out[t * ldo + idx[e]] += v * data[e]


cdef int _stream_columns(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                         const double *mean, const double *V, const double *totals, Py_ssize_t k, double *out,
                         Py_ssize_t ldo) except -1 nogil:
    """Up to 8 right-hand sides at once, interleaved: an entry is read for all of them."""
    cdef Py_ssize_t i, t, tasks
    cdef double work
    cdef Products u
    cdef double *v = NULL
    cdef double *spare = NULL
    cdef double total[8]
    cdef double *outs[8]
    u.lanes = 1 if k == 1 else (4 if k <= 4 else 8)
    u.cols, u.mean, u.v, u.total, u.out = cols, mean, V, total, outs
    tasks = _deal(d, ptr, cols, m, k, u.start, &work)
    if u.lanes > 1:
        grow(<void **> &v, d.n * u.lanes * sizeof(double))
        grow(<void **> &spare, (m + 1) * sizeof(double))
        u.v = v
    for t in range(u.lanes):
        total[t] = totals[t] if t < k else 0
        outs[t] = out + t * ldo if t < k else spare        # what an empty lane gives is never read
        for i in range(d.n if u.lanes > 1 else 0):
            v[i * u.lanes + t] = V[t * d.n + i] if t < k else 0
    run_pieces(<piece> _products[real, index], &u, tasks, d.threads(work), data, idx, ptr)
    free(v)
    free(spare)
    return 0


cdef int _stream(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                 const double *mean, const double *V, Py_ssize_t k, double *out, Py_ssize_t ldo) except -1 nogil:
    cdef Py_ssize_t t
    cdef double *total = _totals(d, V, k)
    if d.by_rows:
        _stream_rows(d, data, idx, ptr, mean, V, total, k, out, ldo)
    else:
        for t in range(0, k, 8):
            _stream_columns(d, data, idx, ptr, cols, m, mean, V + t * d.n, total + t, min(8, k - t), out + t * ldo,
                            ldo)
    free(total)
    return 0


cdef int _combine(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                  const double *mean, const double *root, const double *w, double *out) except -1 nogil:
    cdef Py_ssize_t a, i, e
    cdef double level = 0, s
    cdef double *full
    for a in range(m):
        level += w[a] * mean[cols[a]]
    if not d.by_rows:
        for i in range(d.n):
            out[i] = -level
        for a in range(m):
            for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
                out[idx[e]] += w[a] * data[e]
    else:
        full = scattered(d.p, cols, m, w)
        for i in range(d.n):
            s = -level
            for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
                s += full[idx[e]] * data[e]
            out[i] = s
        free(full)
    for i in range(d.n if root != NULL else 0):
        out[i] *= root[i]
    return 0


cdef int _residual(Sparse d, const real *data, const index *idx, const index *ptr, const double *mean,
                   const double *root, const double *y, const double *w, double *r, double *g) except -1 nogil:
    cdef Py_ssize_t i, j, e
    cdef double level = 0, total = 0, s, share
    for j in range(d.p):
        level += mean[j] * w[j]
    memset(g, 0, d.p * sizeof(double))
    for i in range(d.n):
        s = -level
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            s += w[idx[e]] * data[e]
        share = 1 if root == NULL else root[i]
        r[i] = y[i] - (s * share if share != 0 else 0)       # without weight it may be infinite
        share *= r[i]
        total += share
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            g[idx[e]] += share * data[e]
    for j in range(d.p):
        g[j] -= mean[j] * total
    return 0


# ---- columns for the working block -----------------------------------------------------------------------------------
cdef int *_positions(Sparse d, const int *cols, Py_ssize_t m, int first) except NULL nogil:
    """first, first + 1, ... for the columns in cols, 0 for all others; to be freed."""
    cdef Py_ssize_t a
    cdef int *where = <int *> calloc(d.p, sizeof(int))
    if where == NULL:
        with gil:
            raise MemoryError()
    for a in range(m):
        where[cols[a]] = first + <int> a
    return where


cdef void _sort_tail(int32_t *pos, double *val, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
    """Insertion sort by position: rows of X give their few new entries in the order of its columns."""
    cdef Py_ssize_t e, k
    cdef int32_t q
    cdef double v
    for e in range(lo + 1, hi):
        q, v, k = pos[e], val[e], e
        while k > lo and pos[k - 1] > q:
            pos[k], val[k] = pos[k - 1], val[k - 1]
            k -= 1
        pos[k], val[k] = q, v


cdef struct Pushes:
    # What the tasks share: some rows each, which take entries of the columns in their order.
    const int *cols
    Py_ssize_t m, slabs
    const double *level
    const double *weight
    int first
    RowLists *rows


cdef int _gather_rows_by_columns(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols,
                                 Py_ssize_t m, const double *level, const double *weight, int first,
                                 RowLists *rows) except -1 nogil:
    cdef Py_ssize_t a, e, last, entries = 0
    cdef bint ordered = True
    cdef Pushes u
    cdef int threads
    memset(rows.fresh, 0, d.n * sizeof(int32_t))
    for a in range(m):
        last = -1
        for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
            ordered = ordered and idx[e] > last
            last = <Py_ssize_t> idx[e]
            rows.fresh[last] += weight == NULL or weight[last] > 0       # rows of weight zero stay empty
        entries += <Py_ssize_t> (ptr[cols[a] + 1] - ptr[cols[a]])
    rows_promise(rows)
    threads = d.threads(AFAR * entries)
    u.cols, u.m, u.level, u.weight, u.first, u.rows = cols, m, level, weight, first, rows
    u.slabs = 4 * threads if ordered and threads > 1 else 1
    return run_pieces(<piece> _push[real, index], &u, u.slabs, threads, data, idx, ptr)


cdef void _push(const Pushes *u, Py_ssize_t slab, const real *data, const index *idx, const index *ptr) noexcept nogil:
    """Into a slab of the rows."""
    cdef Py_ssize_t a, i, e, end, n = u.rows.n, lo = slab * n // u.slabs, hi = (slab + 1) * n // u.slabs
    cdef double of_column
    for i in range(lo, hi):
        rows_move(u.rows, i)
    for a in range(u.m):
        of_column = u.level[u.cols[a]]
        end = <Py_ssize_t> ptr[u.cols[a] + 1]
        e = _first_from(idx, <Py_ssize_t> ptr[u.cols[a]], end, lo) if lo > 0 else <Py_ssize_t> ptr[u.cols[a]]
        while e < end and idx[e] < hi:
            if u.weight == NULL or u.weight[idx[e]] > 0:
                rows_push(u.rows, <Py_ssize_t> idx[e], u.first + <int> a, data[e] - of_column)
            e += 1


cdef Py_ssize_t _first_from(const index *idx, Py_ssize_t first, Py_ssize_t last, Py_ssize_t row) noexcept nogil:
    """Where in idx[first:last], which ascends, the rows from `row` on begin."""
    cdef Py_ssize_t mid
    while first < last:
        mid = (first + last) // 2
        if idx[mid] < row:
            first = mid + 1
        else:
            last = mid
    return first


cdef int _gather_rows_by_rows(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols,
                              Py_ssize_t m, const double *level, const double *weight, int first,
                              RowLists *rows) except -1 nogil:
    cdef Py_ssize_t i, e, more
    cdef Row *row
    cdef int *where = _positions(d, cols, m, first + 1)
    for i in range(d.n):
        more = rows.fresh[i] = 0
        if weight != NULL and weight[i] == 0:
            continue
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            more += where[idx[e]] > 0
        if more == 0:
            continue
        rows.fresh[i] = <int32_t> more
        rows_reserve(rows, i, more)
        for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
            if where[idx[e]] > 0:
                rows_push(rows, i, where[idx[e]] - 1, data[e] - level[idx[e]])
        row = &rows.row[i]
        _sort_tail(rows.pos + row.start, rows.val + row.start, row.len - more, row.len)
    free(where)
    return 0


cdef int _gather_rows(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                      const double *level, const double *weight, int first, RowLists *rows) except -1 nogil:
    if not d.by_rows:
        return _gather_rows_by_columns(d, data, idx, ptr, cols, m, level, weight, first, rows)
    return _gather_rows_by_rows(d, data, idx, ptr, cols, m, level, weight, first, rows)


cdef int _gather(Sparse d, const real *data, const index *idx, const index *ptr, const int *cols, Py_ssize_t m,
                 const double *mean, const double *root, double *out) except -1 nogil:
    cdef Py_ssize_t a, i, e, n = d.n
    cdef int *where = NULL
    for a in range(m):
        for i in range(n):
            out[a * n + i] = -mean[cols[a]]
    if not d.by_rows:
        for a in range(m):
            for e in range(<Py_ssize_t> ptr[cols[a]], <Py_ssize_t> ptr[cols[a] + 1]):
                out[a * n + idx[e]] += data[e]
    else:
        where = _positions(d, cols, m, 1)
        for i in range(n):
            for e in range(<Py_ssize_t> ptr[i], <Py_ssize_t> ptr[i + 1]):
                if where[idx[e]] > 0:
                    out[(where[idx[e]] - 1) * n + i] += data[e]
        free(where)
    for a in range(m if root != NULL else 0):
        for i in range(n):
            out[a * n + i] *= root[i]
    return 0


# ---- a few rows at a time --------------------------------------------------------------------------------------------
cdef int _load_rows(Sparse d, const real *data, const index *idx, const index *ptr, Py_ssize_t i0, Py_ssize_t m,
                    SparseRows *rows) except -1 nogil:
    cdef Py_ssize_t i, j, e, at, total = 0
    cdef int32_t last
    cdef bint ordered
    if rows.start == NULL:
        grow(<void **> &rows.start, (m + 1) * sizeof(Py_ssize_t))
        if not d.by_rows:
            grow(<void **> &rows.cursor, d.p * sizeof(Py_ssize_t))
            for j in range(d.p):
                rows.cursor[j] = <Py_ssize_t> ptr[j]
    memset(rows.start, 0, (m + 1) * sizeof(Py_ssize_t))
    if d.by_rows:
        for i in range(m):
            rows.start[i + 1] = <Py_ssize_t> (ptr[i0 + i + 1] - ptr[i0 + i])
    else:
        for j in range(d.p):
            e = rows.cursor[j]
            while e < <Py_ssize_t> ptr[j + 1] and idx[e] < i0 + m:
                rows.start[idx[e] - i0 + 1] += 1
                e += 1
    for i in range(m):
        rows.start[i + 1] += rows.start[i]
    total = rows.start[m]
    if total > rows.size:
        grow(<void **> &rows.pos, total * sizeof(int32_t))
        grow(<void **> &rows.val, total * sizeof(double))
        rows.size = total
    if d.by_rows:
        for i in range(m):
            at = rows.start[i]
            last, ordered = -1, True
            for e in range(<Py_ssize_t> ptr[i0 + i], <Py_ssize_t> ptr[i0 + i + 1]):
                rows.pos[at], rows.val[at] = <int> idx[e], data[e]
                ordered = ordered and rows.pos[at] > last
                last = rows.pos[at]
                at += 1
            if not ordered:
                _sort_tail(rows.pos, rows.val, rows.start[i], at)
        return 0
    for j in range(d.p):                     # start[i] runs ahead to the end of what row i has so far
        e = rows.cursor[j]
        while e < <Py_ssize_t> ptr[j + 1] and idx[e] < i0 + m:
            at = rows.start[idx[e] - i0]
            rows.pos[at], rows.val[at] = <int> j, data[e]
            rows.start[idx[e] - i0] += 1
            e += 1
        rows.cursor[j] = e
    for i in range(m, 0, -1):
        rows.start[i] = rows.start[i - 1]
    rows.start[0] = 0
    return 0
