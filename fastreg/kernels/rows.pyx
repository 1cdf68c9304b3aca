"""Row lists: a sparse block that grows by columns and is read by rows."""
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastreg.kernels.memory cimport grow


cdef int rows_init(RowLists *r, Py_ssize_t n) except -1 nogil:
    memset(r, 0, sizeof(RowLists))
    r.n = n
    r.row = <Row *> calloc(n, sizeof(Row))
    r.fresh = <int32_t *> calloc(n, sizeof(int32_t))
    r.moved = <Py_ssize_t *> calloc(n, sizeof(Py_ssize_t))
    if r.row == NULL or r.fresh == NULL or r.moved == NULL:
        with gil:
            raise MemoryError()
    grow(<void **> &r.pos, 0)                # an arena without room: there is something to copy nothing from
    grow(<void **> &r.val, 0)
    return 0


cdef void rows_free(RowLists *r) noexcept nogil:
    free(r.row)
    free(r.fresh)
    free(r.moved)
    free(r.pos)
    free(r.val)
    memset(r, 0, sizeof(RowLists))


cdef int rows_repack(RowLists *r, Py_ssize_t extra) except -1 nogil:
    """A larger arena with the rows in order again, each with a little room: reading them all stays sequential."""
    cdef Py_ssize_t i, at = 0, size = extra + 1024
    cdef int32_t *pos = r.pos
    cdef double *val = r.val
    cdef Row *row
    for i in range(r.n):
        size += r.row[i].len + r.row[i].len // 4
    size += size // 2
    r.pos, r.val = NULL, NULL
    grow(<void **> &r.pos, size * sizeof(int32_t))
    grow(<void **> &r.val, size * sizeof(double))
    for i in range(r.n):
        row = &r.row[i]
        memcpy(r.pos + at, pos + row.start, row.len * sizeof(int32_t))
        memcpy(r.val + at, val + row.start, row.len * sizeof(double))
        row.start = at
        row.room = row.len + row.len // 4
        at += row.room
    r.used, r.size = at, size
    free(pos)
    free(val)
    return 0


cdef int rows_reserve(RowLists *r, Py_ssize_t i, Py_ssize_t more) except -1 nogil:
    """Room for so many more entries in row i; a row that is too full moves to the end of the arena."""
    cdef Row *row = &r.row[i]
    cdef Py_ssize_t room = rows_room(row, more)
    if row.len + more <= row.room:
        return 0
    if r.used + room > r.size:
        rows_repack(r, room)
    memcpy(r.pos + r.used, r.pos + row.start, row.len * sizeof(int32_t))
    memcpy(r.val + r.used, r.val + row.start, row.len * sizeof(double))
    row.start, row.room = r.used, <int32_t> room
    r.used += room
    return 0


cdef int rows_promise(RowLists *r) except -1 nogil:
    """Room in every row for as many more entries as `fresh` says; rows that are too full are yet to be moved."""
    cdef Py_ssize_t i, need = 0, most = 0
    cdef Row *row
    for i in range(r.n):
        row = &r.row[i]
        if r.fresh[i] > 0:
            most += rows_room(row, r.fresh[i])
            need += rows_room(row, r.fresh[i]) if row.len + r.fresh[i] > row.room else 0
    if r.used + need > r.size:
        rows_repack(r, most)                 # now: a later one would take back room that is not yet used
    for i in range(r.n):
        row = &r.row[i]
        r.moved[i] = row.start
        if row.len + r.fresh[i] > row.room:
            row.room = <int32_t> rows_room(row, r.fresh[i])
            r.moved[i] = r.used
            r.used += row.room
    return 0


cdef void rows_move(RowLists *r, Py_ssize_t i) noexcept nogil:
    """Row i to the room that it has been promised."""
    cdef Row *row = &r.row[i]
    if r.moved[i] != row.start:
        memcpy(r.pos + r.moved[i], r.pos + row.start, row.len * sizeof(int32_t))
        memcpy(r.val + r.moved[i], r.val + row.start, row.len * sizeof(double))
        row.start = r.moved[i]
