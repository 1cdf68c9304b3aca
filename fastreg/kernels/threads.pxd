# The one owner of threads: pieces of work that do not depend on each other, on one thread or on several.

ctypedef int (*Task)(void *context, Py_ssize_t k) except -1 nogil

cdef int run_tasks(Task task, void *context, Py_ssize_t n, int threads) except -1 nogil
cdef int look() except -1 nogil
cpdef int go_on() except -1 nogil
cdef double now() noexcept nogil


cdef inline Py_ssize_t share_of(Py_ssize_t length, Py_ssize_t least) noexcept nogil:
    """How many of so many like things a task takes: a multiple of `least`, and at most 64 tasks."""
    return least * max(<Py_ssize_t> 1, (length + 64 * least - 1) // (64 * least))
