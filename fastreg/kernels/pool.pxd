# Arrays with an owner.

cdef class Pool:
    cdef void **held
    cdef Py_ssize_t n_held, room

    cdef void *take(self, size_t size, bint zeroed=*) except NULL
    cdef double *doubles(self, Py_ssize_t n) except NULL
    cdef int *ints(self, Py_ssize_t n) except NULL
    cdef char *flags(self, Py_ssize_t n) except NULL
    cdef double *room_for_doubles(self, Py_ssize_t n) except NULL
    cdef int *room_for_ints(self, Py_ssize_t n) except NULL
