# The one owner of threads: pieces of work that do not depend on each other, on one thread or on several.

ctypedef int (*Task)(void *context, Py_ssize_t k) except -1 nogil

cdef int run_tasks(Task task, void *context, Py_ssize_t n, int threads) except -1 nogil
cdef int look() except -1 nogil
