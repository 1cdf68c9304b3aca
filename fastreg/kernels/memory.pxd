# Work arrays: made, and growing, without the GIL.
from libc.stdlib cimport calloc, realloc


cdef inline int grow(void **p, size_t size) except -1 nogil:
    cdef void *q = realloc(p[0], size if size > 0 else 1)
    if q == NULL:
        _no_memory(size)
    p[0] = q
    return 0


cdef inline void *zeros(size_t size) except NULL nogil:
    cdef void *q = calloc(size if size > 0 else 1, 1)
    if q == NULL:
        _no_memory(size)
    return q


cdef inline int _no_memory(size_t size) except -1 nogil:
    with gil:
        raise MemoryError("fastreg could not allocate %d bytes of work memory" % size)
