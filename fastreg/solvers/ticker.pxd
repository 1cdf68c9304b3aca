# Python's turn, now and then.

cdef class Ticker:
    cdef object report
    cdef double last
    cdef Py_ssize_t finished                  # penalty values of the path under way

    cdef void start(self) noexcept nogil
    cdef int tick(self) except -1 nogil
