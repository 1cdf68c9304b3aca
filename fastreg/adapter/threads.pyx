"""The pool of threads: tasks that are calls of Python, that count themselves, that last, and that do nothing."""
import time

import numpy as np

from fastreg.kernels.threads import paused, set_patience, workers

from fastreg.kernels.threads cimport look, now, run_tasks

__all__ = ["call", "counts", "empty", "last", "paused", "set_patience", "workers"]


cdef struct Counted:
    long long *count
    Py_ssize_t inner        # tasks of the calls within a task
    Py_ssize_t steps        # of each task
    int threads


cdef int _call(void *context, Py_ssize_t k) except -1 with gil:
    (<object> context)(k)
    return 0


cdef int _nothing(void *context, Py_ssize_t k) except -1 nogil:
    return 0


cdef int _count(void *context, Py_ssize_t k) except -1 nogil:
    cdef Counted *u = <Counted *> context
    cdef Counted own
    cdef volatile double x = 1
    for _ in range(u.steps):
        x = x * 1.0000001
    if u.inner == 0:
        u.count[k] += 1
        return 0
    own.count, own.inner, own.steps, own.threads = u.count + k * u.inner, 0, 0, u.threads
    return run_tasks(_count, &own, u.inner, u.threads)


cdef int _last(void *context, Py_ssize_t k) except -1 nogil:
    cdef double *seconds = <double *> context
    cdef double until = now() + seconds[0]
    while now() < until:
        look()
    return 0


def call(function, Py_ssize_t n, int threads):
    """function(k) for k in 0 .. n - 1."""
    with nogil:
        run_tasks(_call, <void *> function, n, threads)


def counts(Py_ssize_t n, int threads, Py_ssize_t inner=0, Py_ssize_t steps=0):
    """How often each task was done: n of them, or n calls of `inner` tasks each; `steps` makes them last."""
    cdef long long[::1] count = np.zeros(n * max(inner, 1), dtype=np.int64)
    cdef Counted u
    u.count, u.inner, u.steps, u.threads = &count[0], inner, steps, threads
    with nogil:
        run_tasks(_count, &u, n, threads)
    return count.base


def last(double seconds, Py_ssize_t n, int threads):
    """n tasks of about so many seconds each, which look for what stops them."""
    with nogil:
        run_tasks(_last, &seconds, n, threads)


def empty(Py_ssize_t n, int threads):
    """Seconds that a call of n tasks takes that do nothing."""
    cdef double begin = time.perf_counter(), end
    with nogil:
        run_tasks(_nothing, NULL, n, threads)
    end = time.perf_counter()
    return end - begin
