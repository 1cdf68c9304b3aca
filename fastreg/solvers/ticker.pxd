# Python's turn, now and then.

cdef class Ticker:
    cdef object report
    cdef bint told                            # whether there is somebody to report to
    cdef double last
    cdef Py_ssize_t finished                  # penalty values so far
    cdef Py_ssize_t rounds, most              # of the one under way; how many it may have

    cdef void start(self) noexcept nogil
    cdef int tick(self) except -1 nogil
    cdef int count_round(self) except -1 nogil
    cdef int count_value(self) except -1 nogil
    cdef int _tell(self) except -1
