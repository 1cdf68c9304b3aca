"""Python's turn, now and then: signals (Ctrl-C), and the report of progress."""
from fastreg.kernels.threads cimport go_on, now

cdef double EVERY = 0.05         # seconds


cdef class Ticker:
    """Lets Python see to things from time to time.

    Parameters
    ----------
    report : callable or None
        Called from time to time, after every round and after every penalty value, with the number of those that are
        finished; of the one under way, rounds are a share of those it may have.
    """

    def __cinit__(self, report=None):
        self.report, self.told = report, report is not None
        self.finished = self.rounds = 0
        self.most = 1

    cdef void start(self) noexcept nogil:
        """From now on."""
        self.last = now()

    cdef int tick(self) except -1 nogil:
        """To be called between pieces of work, however small."""
        cdef double t = now()
        if t - self.last > EVERY:
            self.last = t
            with gil:
                go_on()
                self._tell()
        return 0

    cdef int count_round(self) except -1 nogil:
        """A round is done."""
        self.rounds += 1
        if self.told:
            with gil:
                self._tell()
        return self.tick()

    cdef int count_value(self) except -1 nogil:
        """A penalty value is done."""
        self.finished += 1
        self.rounds = 0
        if self.told:
            with gil:
                self._tell()
        return 0

    cdef int _tell(self) except -1:
        if self.told:
            self.report(self.finished + min(1.0, self.rounds / <double> max(self.most, 1)))
        return 0
