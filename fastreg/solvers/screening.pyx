"""What is asked about the columns outside the working sets (``screening`` answers it)."""
from fastreg.solvers.state cimport State


cdef class Screening:
    """What the engine asks about columns outside the working sets. As it is: there are none, X is inside as a whole."""

    cdef int begin(self) except -1 nogil:
        """The moments of the columns and X'Y are known, and the penalties are set."""
        return 0

    cdef int restart(self) except -1 nogil:
        """Other penalties are set; every problem is back at w = 0."""
        return 0

    cdef bint begun(self, Py_ssize_t t) noexcept nogil:
        """Whether problem t has been solved under its present penalties."""
        return True

    cdef const Findings *found(self, Py_ssize_t t) noexcept nogil:
        """The violators of problem t, as they were found last."""
        return &self.nothing

    cdef int revive(self, double alpha, const State *states) except -1 nogil:
        """Watch the columns that may matter at alpha for residuals of this size."""
        return 0

    cdef int predict(self, Py_ssize_t t, double alpha, const double *r, const char *inside,
                     const char *at_hand) except -1 nogil:
        """Problem t, solved with residual r, goes on to alpha: find the columns that are expected to violate there.

        `inside`: the working set; `at_hand`: columns that cost nothing. Returns whether anything could be expected,
        or there is nothing to expect."""
        return True

    cdef int screen(self, Py_ssize_t t, double alpha, const double *r, double spare,
                    const char *inside) except -1 nogil:
        """Find the columns that might violate at residual r, which stays as it is until they are read.

        The l2 terms may leave `spare` in the gap."""
        return 0

    cdef int read_candidates(self, int threads) except -1 nogil:
        """Read these columns, of all problems."""
        return 0

    cdef const Findings *violators(self, Py_ssize_t t, double alpha) except NULL nogil:
        """Those of them that do violate their condition."""
        return &self.nothing
