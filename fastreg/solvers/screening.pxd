# Columns outside the working sets of an engine.
from fastreg.kernels.design cimport Design
from fastreg.solvers.problem cimport Problem, Terms

cdef class Screening:
    cdef Design d
    cdef Problem *problems                    # the engine's, as are the next two
    cdef Terms *terms
    cdef const int *at                        # of each column: its position in a shared block, or -1
    cdef Py_ssize_t n_targets, n_of, n, p
    cdef double slack                         # relative violation that is none
    cdef const double[:, ::1] q               # X'Y
    cdef double **norm1                       # of every column under each weighting; NULL for dense storage
    cdef char *place
    cdef int *live
    cdef Py_ssize_t n_live
    cdef double *live_norm
    cdef double *live_norm1
    cdef double live_cost, dead_alpha, dead_r, dead_rmax
    cdef int *cols
    cdef char *wanted                         # by live position, all False between uses
    cdef double *work                         # n_targets x n (at least MAX_REFERENCES), the engine's to use as well
    cdef double *passes
    cdef double streamed                      # elements of X streamed so far

    cdef void begin(self) noexcept nogil
    cdef void restart(self) noexcept nogil
    cdef int revive(self, double alpha) except -1 nogil
    cdef void _add_live(self, Py_ssize_t j) noexcept nogil
    cdef int _extend_references(self, Py_ssize_t first) except -1 nogil
    cdef int predict(self, Problem *P, double alpha) except -1 nogil
    cdef int screen(self, Problem *P, double alpha) except -1 nogil
    cdef void _bound(self, const Problem *P, const double *c, double e2, double einf, Py_ssize_t first, Py_ssize_t m,
                     double *est, double *err) noexcept nogil
    cdef Py_ssize_t _allow(self, Problem *P, double alpha, Py_ssize_t n) noexcept nogil
    cdef int read_candidates(self, int threads) except -1 nogil
    cdef Py_ssize_t _any_candidates(self, Py_ssize_t n_open, double *cost) noexcept nogil
    cdef int _read_together(self, Py_ssize_t n_open, Py_ssize_t n) except -1 nogil
    cdef int _read_own(self, Problem *P) except -1 nogil
    cdef int _read_all(self, Py_ssize_t n_whole) except -1 nogil
    cdef void violators(self, Problem *P, double alpha) noexcept nogil
