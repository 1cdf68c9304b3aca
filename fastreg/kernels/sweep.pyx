"""Products with the working block, and correlations with what is made of them, in one reading of it: a few rows at a
time, which stay in cache from the one to the other.

The rows are dealt to a fixed number of slabs with sums of their own: the threads do not matter.
"""
from libc.stdlib cimport free

from fastreg.kernels.block cimport Block, add_columns, block_slabs, by_position, place, used
from fastreg.kernels.leaf cimport fr_axpy, fr_dot4, fr_list_add, fr_list_dot, fr_vdot
from fastreg.kernels.memory cimport zeros
from fastreg.kernels.rows cimport Row, RowLists
from fastreg.kernels.threads cimport run_tasks
from fastreg.kernels.view cimport View

cdef enum:
    SPARSE_ROWS = 256
    LEAST_ROWS = 128     # dense
    IN_CACHE = 1 << 15   # dense elements


cdef struct Sweep:
    # What the slabs share.
    const Block *b
    const double *w      # by place in the block where it is sparse
    const int *pos
    const int *js        # dense: which coordinates are not zero, and how many
    Py_ssize_t nz, m, slabs, size
    double level
    Between between
    void *context
    double *v
    double *share
    double *sums         # of each slab: correlations, and what `between` sums up


cdef int block_sweep(const Block *b, View d, const double *w, const int *pos, Py_ssize_t m, double level,
                     Between between, void *context, double *v, double *share, double *g,
                     double *sums) except -1 nogil:
    """v = X w - level of the block's columns as they are there; share and sums are what `between` makes of it, which
    is called for some rows at a time, in several threads; g[k] = x_j' share, without a mean, j being the column at
    position pos[k], or k where pos is NULL."""
    cdef Py_ssize_t k, slab
    cdef bint sparse = d.sparse()
    cdef Sweep u
    cdef double *full = NULL
    cdef int *js = NULL
    u.b, u.w, u.pos, u.js, u.nz, u.m, u.level = b, w, pos, NULL, 0, m, level
    u.between, u.context, u.v, u.share = between, context, v, share
    u.slabs = block_slabs(b, sparse)
    u.size = (b.m if sparse else m) + SUMS
    if sparse:
        u.w = full = by_position(b, w, pos, m)
    else:
        u.js = js = used(w, pos, m, &u.nz)
    u.sums = <double *> zeros(u.slabs * u.size * sizeof(double))
    run_tasks(_sparse_slab if sparse else _dense_slab, &u, u.slabs,
              d.threads(4. * b.rows.used + 8. * b.n if sparse else 2. * b.n * m + 8. * b.n))
    for slab in range(1, u.slabs):
        fr_axpy(u.size, 1., u.sums + slab * u.size, u.sums)
    for k in range(m):
        g[k] = u.sums[place(pos, k) if sparse else k]
    for k in range(SUMS):
        sums[k] = u.sums[u.size - SUMS + k]
    free(full)
    free(js)
    free(u.sums)
    return 0


cdef int _sparse_slab(void *context, Py_ssize_t slab) except -1 nogil:
    cdef const Sweep *u = <const Sweep *> context
    cdef const RowLists *rows = &u.b.rows
    cdef const Row *row
    cdef double *g = u.sums + slab * u.size
    cdef Py_ssize_t i, last, first = slab * u.b.n // u.slabs, hi = (slab + 1) * u.b.n // u.slabs
    while first < hi:
        last = min(hi, first + SPARSE_ROWS)
        for i in range(first, last):
            row = &rows.row[i]
            u.v[i] = fr_list_dot(row.len, rows.pos + row.start, rows.val + row.start, u.w) - u.level
        u.between(u.context, first, last, u.v, u.share, g + u.size - SUMS)
        for i in range(first, last):
            row = &rows.row[i]
            fr_list_add(row.len, rows.pos + row.start, rows.val + row.start, u.share[i], g)
        first = last
    return 0


cdef int _dense_slab(void *context, Py_ssize_t slab) except -1 nogil:
    cdef const Sweep *u = <const Sweep *> context
    cdef double *g = u.sums + slab * u.size
    cdef Py_ssize_t i, last, first = slab * u.b.n // u.slabs, hi = (slab + 1) * u.b.n // u.slabs
    cdef Py_ssize_t at_once = max(LEAST_ROWS, IN_CACHE // (u.m + 1))
    while first < hi:
        last = min(hi, first + at_once)
        for i in range(first, last):
            u.v[i] = -u.level
        add_columns(u.b, u.w, u.pos, u.js, u.nz, 1, first, last, u.v)
        u.between(u.context, first, last, u.v, u.share, g + u.size - SUMS)
        _correlate(u, first, last, g)
        first = last
    return 0


cdef void _correlate(const Sweep *u, Py_ssize_t lo, Py_ssize_t hi, double *g) noexcept nogil:
    """Rows [lo, hi) of dense columns."""
    cdef Py_ssize_t i, k
    cdef const double *x[4]
    cdef double zero[4]
    cdef double out[4]
    zero[0] = zero[1] = zero[2] = zero[3] = 0
    for k in range(0, u.m - 3, 4):
        for i in range(4):
            x[i] = u.b.X + place(u.pos, k + i) * u.b.n + lo
        fr_dot4(hi - lo, x[0], x[1], x[2], x[3], zero, u.share + lo, out)
        for i in range(4):
            g[k + i] += out[i]
    for k in range(u.m - u.m % 4, u.m):
        g[k] += fr_vdot(hi - lo, u.b.X + place(u.pos, k) * u.b.n + lo, u.share + lo)
