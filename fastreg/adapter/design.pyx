"""The verbs of a design under weights.  In the formulas, ``Xc`` is X less its column means where the view is centred, s
are its weights (ones without), and ``Z = diag(sqrt(s)) Xc``."""
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from fastreg.kernels.folds import part_sums
from fastreg.kernels.gram import gram_of, kernel_of, products_of, reads_directly
from fastreg.kernels.storage import DUPLICATES, FALLING, OUTSIDE, SORTED, UNSORTED, inspect

from fastreg.kernels.design cimport Moments, SparseRows, sparse_rows_free
from fastreg.kernels.memory cimport grow
from fastreg.kernels.rows cimport RowLists, rows_free, rows_init
from fastreg.kernels.view cimport View

# What takes arrays as it is.
__all__ = ["DUPLICATES", "FALLING", "OUTSIDE", "SORTED", "UNSORTED", "combine", "gather", "gather_rows", "gram_of",
           "inspect", "kernel_of", "load_as_rows", "load_rows", "load_sparse_rows", "moments", "normal", "part_sums",
           "products_of", "reads_directly", "storage", "stream"]


cdef const double *_address(const double[:, ::1] V) noexcept nogil:
    return &V[0, 0] if V.shape[0] > 0 else NULL


cdef int[::1] _all(View d, cols):
    return np.arange(d.p, dtype=np.intc) if cols is None else np.ascontiguousarray(cols, dtype=np.intc)


def storage(View d):
    """(whether X is sparse, whether its rows lie in one place)."""
    return d.sparse(), d.across()


def moments(View d, const double[:, ::1] V, weights=()):
    """Moments under the design's own weights and those given: a list of (mean, norm, norm1, level), and X'V[t] as rows.

    ``mean = X's / n``, 0 where not centred; ``norm_j = sqrt(sum_i s_i (x_ij - mean_j)^2)``; sparse X only:
    ``norm1_j = sum_i sqrt(s_i) |x_ij|``, ``level_j = mean_j`` where a column has no zeros and 0 elsewhere. V sums to 0
    against sqrt(s) where centred.
    """
    cdef Py_ssize_t f, count = 1 + len(weights)
    cdef double[:, ::1] out = np.empty((V.shape[0], d.p))
    cdef double[:, :, ::1] found = np.empty((count, 4, d.p))
    cdef const double[:, ::1] raw = np.ones((count, d.n))
    cdef const double[:, ::1] root
    cdef Moments *of = NULL
    if len(weights):
        raw = np.ascontiguousarray([np.ones(d.n), *weights])
    root = np.sqrt(raw)
    grow(<void **> &of, count * sizeof(Moments))
    for f in range(count):
        of[f] = d.own()
        if f > 0:
            of[f].weight, of[f].root = &raw[f, 0], &root[f, 0]
            of[f].mean, of[f].norm = &found[f, 0, 0], &found[f, 1, 0]
            if d.sparse():
                of[f].norm1, of[f].level = &found[f, 2, 0], &found[f, 3, 0]
    try:
        with nogil:
            d.moments(of, count, _address(V), V.shape[0], &out[0, 0] if V.shape[0] > 0 else NULL)
    finally:
        free(of)
    own = (d.means, d.norms, *((d.norm1_.base, d.level_.base) if d.sparse() else (None, None)))
    rest = [tuple(array) if d.sparse() else (array[0], array[1], None, None) for array in found.base[1:]]
    return [own, *rest], out.base


def stream(View d, const double[:, ::1] V, cols=None):
    """``out[t] = Xc[:, cols]' V[t]``; X stored as CSR: all columns."""
    cdef int[::1] listed = _all(d, cols)
    cdef double[:, ::1] out = np.empty((V.shape[0], listed.shape[0]))
    with nogil:
        d.stream(&listed[0] if cols is not None else NULL, listed.shape[0], &V[0, 0], V.shape[0], &out[0, 0],
                 listed.shape[0])
    return out.base


def combine(View d, const double[::1] w, cols=None):
    """``out = Z[:, cols] w``."""
    cdef int[::1] listed = _all(d, cols)
    cdef double[::1] out = np.empty(d.n)
    with nogil:
        d.combine(&listed[0], listed.shape[0], &w[0], &out[0])
    return out.base


def normal(View d, const double[:, ::1] V, bint fits=True):
    """``out[t] = Z'Z V[t]`` and, with fits, ``Xc V[t]`` (None without)."""
    cdef double[:, ::1] out = np.empty((V.shape[0], d.p))
    cdef double[:, ::1] of_rows = np.empty((V.shape[0], d.n))
    with nogil:
        d.normal(&V[0, 0], V.shape[0], &of_rows[0, 0] if fits else NULL, &out[0, 0])
    return out.base, of_rows.base if fits else None


def gather(View d, cols):
    """``Z[:, cols]``."""
    cdef int[::1] listed = _all(d, cols)
    cdef double[:, ::1] out = np.empty((listed.shape[0], d.n))
    with nogil:
        d.gather(&listed[0], listed.shape[0], &out[0, 0])
    return out.base.T


cdef _some_rows(View d, Py_ssize_t i0, rows, Py_ssize_t m, const double[::1] shift, bint as_rows, Py_ssize_t ld):
    cdef int[::1] listed = np.zeros(1, dtype=np.intc) if rows is None else np.ascontiguousarray(rows, dtype=np.intc)
    cdef double[:, ::1] out = np.full((m, ld) if as_rows else (d.p, m), np.nan)
    cdef const int *at = NULL if rows is None else &listed[0]
    with nogil:
        if as_rows:
            d.load_as_rows(i0, at, m, &shift[0], ld, &out[0, 0])
        else:
            d.load_rows(i0, at, m, &shift[0], &out[0, 0])
    return out.base[:, :d.p] if as_rows else out.base.T


def load_rows(View d, rows, const double[::1] shift):
    """``sqrt(s) (X - shift)`` of the rows listed, or of a slice without a step; dense X."""
    if isinstance(rows, slice):
        return _some_rows(d, rows.start, None, rows.stop - rows.start, shift, False, 0)
    return _some_rows(d, 0, rows, len(rows), shift, False, 0)


def load_as_rows(View d, rows, const double[::1] shift, Py_ssize_t beside=0):
    """The same of X stored by rows, `beside` elements being left between the rows that are written."""
    if isinstance(rows, slice):
        return _some_rows(d, rows.start, None, rows.stop - rows.start, shift, True, d.p + beside)
    return _some_rows(d, 0, rows, len(rows), shift, True, d.p + beside)


cdef _dense_of(Py_ssize_t start, Py_ssize_t length, const int32_t *pos, const double *val, double[::1] out):
    """Add a row of (position, value) to out; False where the positions do not rise."""
    cdef Py_ssize_t e
    cdef bint rising = True
    for e in range(start, start + length):
        rising = rising and (e == start or pos[e] > pos[e - 1])
        out[pos[e]] += val[e]
    return rising


def load_sparse_rows(View d, Py_ssize_t step):
    """X as an array from its rows, `step` at a time, and whether each was in the order of its columns."""
    cdef SparseRows rows
    cdef Py_ssize_t i0, i, m
    cdef double[:, ::1] out = np.zeros((d.n, d.p))
    cdef bint rising = True
    memset(&rows, 0, sizeof(SparseRows))
    try:
        for i0 in range(0, d.n, step):
            m = min(step, d.n - i0)
            d.load_sparse_rows(i0, m, &rows)
            for i in range(m):
                rising &= _dense_of(rows.start[i], rows.start[i + 1] - rows.start[i], rows.pos, rows.val, out[i0 + i])
    finally:
        sparse_rows_free(&rows)
    return out.base, rising


def gather_rows(View d, *batches):
    """``(X - level)[:, cols]`` where sparse X has entries and rows have weight (0 elsewhere), cols being batches of
    columns that come one after the other; and whether each row holds them in order."""
    cdef RowLists rows
    cdef Py_ssize_t i, count = sum(len(batch) for batch in batches)
    cdef double[:, ::1] out = np.zeros((d.n, count))
    cdef bint rising = True
    cdef int[::1] cols
    cdef int first = 0
    rows_init(&rows, d.n)
    try:
        for batch in batches:
            cols = np.ascontiguousarray(batch, dtype=np.intc)
            d.gather_rows(&cols[0], cols.shape[0], first, &rows)
            first += <int> cols.shape[0]
        for i in range(d.n):
            rising &= _dense_of(rows.row[i].start, rows.row[i].len, rows.pos, rows.val, out[i])
    finally:
        rows_free(&rows)
    return out.base, rising
