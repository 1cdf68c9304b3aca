# Growing work arrays without the GIL.
from libc.stdlib cimport realloc


cdef inline int grow(void **p, size_t size) except -1 nogil:
    cdef void *q = realloc(p[0], size if size > 0 else 1)
    if q == NULL:
        with gil:
            raise MemoryError("fastreg could not allocate %d bytes of work memory" % size)
    p[0] = q
    return 0
