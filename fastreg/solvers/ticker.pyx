"""Python's turn, now and then: signals (Ctrl-C) and the report of progress."""
from cpython.exc cimport PyErr_CheckSignals

from fastreg.kernels.threads cimport now

cdef double EVERY = 0.05         # seconds


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
        self.last = now()

    cdef int tick(self) except -1 nogil:
        """To be called between pieces of work, however small."""
        cdef double t = now()
        if t - self.last > EVERY:
            self.last = t
            with gil:
                PyErr_CheckSignals()
                if self.report is not None:
                    self.report(self.finished)
        return 0
