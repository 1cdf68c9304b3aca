"""Tasks that do not depend on each other, on one thread or on several: the order of none is promised."""
from cython.parallel cimport prange


cdef int run_tasks(Task task, void *context, Py_ssize_t n, int threads) except -1 nogil:
    """task(context, k) for k in 0..n-1; an exception that one of them raises is raised here."""
    cdef Py_ssize_t k
    if threads > 1 and n > 1:
        for k in prange(n, num_threads=threads, schedule="dynamic", chunksize=1):
            task(context, k)
    else:
        for k in range(n):
            task(context, k)
    return 0
