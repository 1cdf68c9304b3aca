# What is asked about the columns outside the working sets.
from fastreg.solvers.state cimport State

cdef struct Findings:
    # columns outside the working set of a problem that violate their condition, or are expected to
    Py_ssize_t n
    int *cols
    double *g            # x_j'r
    double *score        # the alpha at which it would stop violating
    double worst         # largest relative violation; INFINITY before the first solution
    double loss          # what the columns cost the gap that were allowed to stay unread

cdef class Screening:
    cdef Py_ssize_t n_live                    # columns that are watched
    cdef double streamed                      # elements of X streamed so far
    cdef Findings nothing

    cdef int begin(self) except -1 nogil
    cdef int restart(self) except -1 nogil
    cdef bint begun(self, Py_ssize_t t) noexcept nogil
    cdef const Findings *found(self, Py_ssize_t t) noexcept nogil
    cdef int revive(self, double alpha, const State *states) except -1 nogil
    cdef int predict(self, Py_ssize_t t, double alpha, const double *r, const char *inside,
                     const char *at_hand) except -1 nogil
    cdef int screen(self, Py_ssize_t t, double alpha, const double *r, double spare,
                    const char *inside) except -1 nogil
    cdef int read_candidates(self, int threads) except -1 nogil
    cdef const Findings *violators(self, Py_ssize_t t, double alpha) except NULL nogil
