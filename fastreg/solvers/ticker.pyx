"""Python's turn, now and then: signals (Ctrl-C) and the report of progress."""
from cpython.exc cimport PyErr_CheckSignals

cdef double EVERY = 0.05         # seconds


cdef extern from *:
    """
    #ifdef _WIN32
    #define NOMINMAX
    #define WIN32_LEAN_AND_MEAN
    #include <windows.h>
    static double fr_now(void) { return 1e-3 * (double)GetTickCount64(); }
    #else
    #include <time.h>
    static double fr_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    #endif
    """
    double fr_now() noexcept nogil   # seconds on a clock that nobody sets


cdef class Ticker:
    """Lets Python see to things from time to time.

    Parameters
    ----------
    report : callable or None
        Called with the number of finished penalty values.
    """

    def __cinit__(self, report=None):
        self.report = report

    cdef void start(self) noexcept nogil:
        """From now on."""
        self.last = fr_now()

    cdef int tick(self) except -1 nogil:
        """To be called between pieces of work, however small."""
        cdef double t = fr_now()
        if t - self.last > EVERY:
            self.last = t
            with gil:
                PyErr_CheckSignals()
                if self.report is not None:
                    self.report(self.finished)
        return 0
