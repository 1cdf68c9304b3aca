# Work on one thing after the other, or on several at the same time.

ctypedef int (*Task)(void *context, Py_ssize_t k) except -1 nogil

cdef int run_tasks(Task task, void *context, Py_ssize_t n, int threads) except -1 nogil
