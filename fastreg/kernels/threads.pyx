"""The one owner of threads: pieces of work that do not depend on each other, on one thread or on several.

The pool behind it (``threads.h``) is the same for all callers. Its workers are started by the first call that wants
them, sleep between calls, and know no Python but what a task asks of them.
"""
cdef extern from *:
    """
    #include "threads.h"

    /* A worker keeps its thread state for good: what a task raises stays there until it is taken. */
    static void fr_hook_begin(void) {
        PyGILState_Ensure();
        PyEval_SaveThread();
    }
    static void fr_hook_keep(void **error) {
        PyGILState_STATE state = PyGILState_Ensure();
        PyErr_Fetch((PyObject **)&error[0], (PyObject **)&error[1], (PyObject **)&error[2]);
        PyGILState_Release(state);
    }
    static void fr_hook_drop(void) {
        PyGILState_STATE state = PyGILState_Ensure();
        PyErr_Clear();
        PyGILState_Release(state);
    }
    static void fr_hook_raise(void **error) {
        PyGILState_STATE state = PyGILState_Ensure();
        if (error) PyErr_Restore((PyObject *)error[0], (PyObject *)error[1], (PyObject *)error[2]);
        else PyErr_SetString(PyExc_RuntimeError, "this process was forked in the middle of a fit, which it cannot end");
        PyGILState_Release(state);
    }
    static void *fr_cancelled;
    static int fr_hook_signals(void) {
        PyGILState_STATE state = PyGILState_Ensure();
        int found = PyErr_CheckSignals();
        if (found == 0 && fr_halt != NULL && fr_get(fr_halt)) {
            PyErr_SetNone((PyObject *)fr_cancelled);
            found = -1;
        }
        PyGILState_Release(state);
        return found;
    }
    static void fr_install(void) {
        fr_hooks.begin = fr_hook_begin;
        fr_hooks.keep = fr_hook_keep;
        fr_hooks.drop = fr_hook_drop;
        fr_hooks.raise = fr_hook_raise;
        fr_hooks.signals = fr_hook_signals;
    }

    /* The number that threadpoolctl sees and sets; 0: none is set. */
    static int fr_limit = 0;
    FR_EXPORT int fastreg_get_num_threads(void) { return fr_limit; }
    FR_EXPORT void fastreg_set_num_threads(int n) { fr_limit = n; }
    """
    void *fr_cancelled
    long long *fr_halt
    void fr_install()
    int fr_hook_signals() nogil
    int fr_run(Task task, void *context, Py_ssize_t n, int threads) except -1 nogil
    int fr_look() nogil
    long long fr_wall() nogil
    int fastreg_get_num_threads()
    long long fr_n_workers()
    long long fr_paused()
    long long fr_set_patience(long long ns)
    const char *FR_THREADS


class Cancelled(Exception):
    """Raised in a thread whose Halt is set: what it does is wanted no more."""


fr_cancelled = <void *> Cancelled
fr_install()

BACKEND = FR_THREADS.decode()


cdef int run_tasks(Task task, void *context, Py_ssize_t n, int threads) except -1 nogil:
    """task(context, k) for k in 0..n-1, in any order, by at most so many threads; what one of them raises is raised
    here. To be called without the GIL, which tasks may ask for. A call within a task works alone."""
    return fr_run(task, context, n, threads)


cdef int look() except -1 nogil:
    """To be called between the pieces of a long task, however small: raises what a signal's handler raises and, so
    that the task ends, where another task of the same call has failed."""
    cdef int found = fr_look()
    if found == 0:
        return 0
    with gil:
        if found == 1:
            raise InterruptedError("another task has failed")
    return -1


cpdef int go_on() except -1 nogil:
    """To be called between pieces of work that take long: raises what a signal's handler raises, in the main thread,
    and Cancelled under a Halt that is set."""
    return fr_hook_signals()


cdef class Halt:
    """Ends calls in other threads, of which signals know nothing."""

    cdef long long flag

    def set(self):
        """From now on calls under it end, at their next look at signals."""
        self.flag = 1

    def run(self, work, *args):
        """``work(*args)`` under it."""
        cdef long long *outer = fr_halt
        global fr_halt
        fr_halt = &self.flag
        try:
            return work(*args)
        finally:
            fr_halt = outer


cdef double now() noexcept nogil:
    """Seconds on a clock that nobody sets."""
    return 1e-9 * fr_wall()


def limit():
    """Most threads that threadpoolctl allows; 0: it has not been asked."""
    return fastreg_get_num_threads()


def workers():
    """How many threads have been started."""
    return fr_n_workers()


def paused():
    """Seconds for which calls work alone, because help has cost more than it gave."""
    return 1e-9 * fr_paused()


def set_patience(seconds):
    """How much longer than they were helped callers may wait before they work alone; returns what it was until now.

    For tests, which have threads meet on a machine however busy, and forgets what was found so far."""
    return 1e-9 * fr_set_patience(<long long> min(1e9 * seconds, 1e18))
