"""Inner products of dense columns with each other, under any weights of the rows.

A task is a square of the result, or of a slab of the rows: a strip of its columns stays in cache, scaled once by the
weights, and all products of it are made in tiles (``tile.h``). Of a few hundred columns that is up to twice as fast as
BLAS, which packs both factors anew and knows nothing of the symmetry.
"""
from libc.stdlib cimport free
from libc.string cimport memset

from fastreg.kernels.block cimport place
from fastreg.kernels.leaf cimport fr_axpy, fr_load, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.threads cimport run_tasks
from fastreg.kernels.view cimport View

cdef extern from "tile.h" nogil:
    int fr_tile_width() noexcept
    void fr_tile(Py_ssize_t n, int width, const double *const *u, const double *const *v, double *out) noexcept

cdef enum:
    SIDE = 48                        # columns of a square: whole tiles of three and of four
    STRIP = 256                      # rows whose columns stay in cache
    LEAST_SLAB = 8192                # rows that have sums of their own, at least
    MOST_SLABS = 16                  # tasks from which on rows are not taken apart
    ROOM = 64                        # of a square's sums, in columns: tiles of three are stored four wide


cdef struct Products:
    # What the tasks share: G[a, b] for a <= b, b from `first` to m.
    const double *X
    Py_ssize_t n
    const int *pos
    const double *s
    Py_ssize_t first, m, ld
    double *G
    int width
    Py_ssize_t across, squares, slabs
    double *sums                     # of each square, slab by slab


cdef int column_products(const double *X, Py_ssize_t n, const int *pos, const double *s, Py_ssize_t first, Py_ssize_t m,
                         double *G, Py_ssize_t ld, View d) except -1 nogil:
    """G[b * ld + a] = sum_i s_i x_ia x_ib for b from `first` to m and a up to b.

    The columns of X, of n rows each, are those at positions `pos` (NULL: all, in order); s NULL: ones."""
    cdef Products u
    cdef Py_ssize_t a, k = m - first
    cdef int threads = d.threads(<double> n * m * k / 16)
    if k == 1 and s == NULL:
        for a in range(m):
            G[first * ld + a] = fr_vdot(n, X + place(pos, a) * n, X + place(pos, first) * n)
        return 0
    u.X, u.n, u.pos, u.s, u.first, u.m, u.G, u.ld = X, n, pos, s, first, m, G, ld
    u.width = fr_tile_width()
    u.across = (k + SIDE - 1) // SIDE
    u.squares = u.across * ((m + SIDE - 1) // SIDE)
    u.slabs, u.sums = max(<Py_ssize_t> 1, min(MOST_SLABS // u.squares, n // LEAST_SLAB)), NULL
    grow(<void **> &u.sums, u.slabs * u.squares * SIDE * ROOM * sizeof(double))
    run_tasks(_square, &u, u.squares * u.slabs, threads)
    run_tasks(_store, &u, u.squares, threads)
    free(u.sums)
    return 0


cdef inline void _corners(const Products *u, Py_ssize_t square, Py_ssize_t *a, Py_ssize_t *b) noexcept nogil:
    """The first row and the first column of a square of G."""
    a[0], b[0] = SIDE * (square // u.across), u.first + SIDE * (square % u.across)


cdef int _square(void *context, Py_ssize_t task) except -1 nogil:
    """The products of a square, of one slab of the rows; none below the diagonal."""
    cdef const Products *u = <const Products *> context
    cdef Py_ssize_t square = task % u.squares, slab = task // u.squares
    cdef Py_ssize_t a, b, c, i, j, q, lo, rows, end = (slab + 1) * u.n // u.slabs
    cdef double *sums = u.sums + task * SIDE * ROOM
    cdef double *scaled = NULL
    cdef const double *of_a[4]
    cdef const double *of_b[4]
    _corners(u, square, &a, &b)
    if a >= min(u.m, b + SIDE):
        return 0
    memset(sums, 0, SIDE * ROOM * sizeof(double))
    if u.s != NULL:
        grow(<void **> &scaled, SIDE * STRIP * sizeof(double))
    lo = slab * u.n // u.slabs
    while lo < end:
        rows = min(STRIP, end - lo)
        if u.s != NULL:
            for c in range(min(SIDE, u.m - b)):
                fr_load(rows, u.X + place(u.pos, b + c) * u.n + lo, 0, u.s + lo, scaled + c * STRIP)
        for q in range((min(SIDE, u.m - b) + u.width - 1) // u.width):
            j = b + q * u.width
            for c in range(u.width):
                i = min(j + c, u.m - 1)
                of_b[c] = u.X + place(u.pos, i) * u.n + lo if scaled == NULL else scaled + (i - b) * STRIP
            for i in range((min(SIDE, min(j + u.width, u.m) - a) + 3) // 4):
                for c in range(4):
                    of_a[c] = u.X + place(u.pos, min(a + 4 * i + c, u.m - 1)) * u.n + lo
                fr_tile(rows, u.width, of_a, of_b, sums + 4 * (q * SIDE + 4 * i))
        lo += rows
    free(scaled)
    return 0


cdef int _store(void *context, Py_ssize_t square) except -1 nogil:
    """Sums of the slabs of a square, into G."""
    cdef const Products *u = <const Products *> context
    cdef Py_ssize_t a, b, i, j, slab
    cdef double *sums = u.sums + square * SIDE * ROOM
    _corners(u, square, &a, &b)
    if a >= min(u.m, b + SIDE):
        return 0
    for slab in range(1, u.slabs):
        fr_axpy(SIDE * ROOM, 1, sums + slab * u.squares * SIDE * ROOM, sums)
    for j in range(b, min(b + SIDE, u.m)):
        for i in range(a, min(a + SIDE, j + 1)):
            u.G[j * u.ld + i] = sums[4 * ((j - b) // u.width * SIDE + i - a) + (j - b) % u.width]
    return 0
