# The solutions of a path, as they are found.
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State

cdef enum Stopped:
    AT_CERTIFICATE = 0
    BY_ROUNDS = 1
    BY_ROUNDING = 2

cdef class Solutions:
    cdef Py_ssize_t n_problems
    cdef long long[::1] indptr                # of column k * n_problems + t for alpha k and problem t
    cdef int *features
    cdef double *values
    cdef Py_ssize_t n_values, room
    cdef double[:, ::1] gaps
    cdef double[:, ::1] intercepts            # of centred columns; 0 of the squared loss
    cdef double[:, ::1] errors
    cdef double[:, ::1] deviances             # summed over the rows
    cdef long long[:, ::1] rounds
    cdef unsigned char[:, ::1] stopped

    cdef int add(self, Py_ssize_t k, Py_ssize_t t, const Small *small, const State *state, double deviance,
                 Py_ssize_t rounds, Stopped stopped) except -1 nogil
    cdef int _push(self, int feature, double value) except -1 nogil
    cdef tuple arrays(self)
