# A sparse block kept by rows, each a list of (position, value) in one arena.
from libc.stdint cimport int32_t

cdef struct Row:
    Py_ssize_t start     # in the arena
    int32_t len
    int32_t room

cdef struct RowLists:
    Py_ssize_t n
    Row *row
    int32_t *fresh       # entries of each row that came with the last columns
    Py_ssize_t *moved    # where a row goes that has been promised room: see rows_promise
    int32_t *pos         # the arena
    double *val
    Py_ssize_t used, size

cdef int rows_init(RowLists *r, Py_ssize_t n) except -1 nogil
cdef void rows_free(RowLists *r) noexcept nogil
cdef int rows_repack(RowLists *r, Py_ssize_t extra) except -1 nogil
cdef int rows_reserve(RowLists *r, Py_ssize_t i, Py_ssize_t more) except -1 nogil
cdef int rows_promise(RowLists *r) except -1 nogil
cdef void rows_move(RowLists *r, Py_ssize_t i) noexcept nogil


cdef inline Py_ssize_t rows_room(const Row *row, Py_ssize_t more) noexcept nogil:
    """Room for a row that is to hold so many more entries, with some to spare."""
    return row.len + more + (row.len + more) // 2


cdef inline void rows_push(RowLists *r, Py_ssize_t i, int pos, double val) noexcept nogil:
    """Append (pos, val) to row i, which has room for it."""
    cdef Row *row = &r.row[i]
    cdef Py_ssize_t at = row.start + row.len
    r.pos[at], r.val[at] = pos, val
    row.len += 1
