# Small problems of the classes of one loss.
from fastreg.kernels.block cimport Block
from fastreg.solvers.curved cimport Curved
from fastreg.solvers.state cimport State

cdef class Coupled(Curved):
    cdef Block *blocks                        # of each class, where X is sparse; NULL where they share one
    cdef double *linear                       # Xw + b of each class, but for what all have in common (n_problems, n),
    cdef double *offset                       # and what is added to it, that the others make of it
    cdef double *after                        # in a round of turns: exponentials of the classes yet to come, added up,
    cdef double *before                       # and of those that had their turn (n),
    cdef double *top                          # all less the largest linear predictor of the row
    cdef double *work                         # of combinations
    cdef double *bends                        # work of a shift
    cdef int *at_class                        # by class and position in the block: the coordinate, or -1
    cdef Py_ssize_t room                      # positions that it has room for
    cdef int *free_at                         # positions in the block of the columns without a penalty,
    cdef int *found_at                        # as they are found, and
    cdef int *joint_at                        # of those that are fitted with the intercepts
    cdef Py_ssize_t free_room, n_free         # room for them, and how many
    cdef Py_ssize_t n_joint                   # what is fitted together in each class, the intercept among it:
    cdef double *z                            # its columns (n_joint, n), at unit root mean square,
    cdef double *scale                        # what that was,
    cdef double *joint                        # coefficients (n_problems, n_joint) in these units, with their limits,
    cdef double *joint_lo
    cdef double *joint_hi
    cdef double *joint_before                 # and what they were
    cdef double *newton                       # work of the fit
    cdef double *past                         # linear predictors after the last rounds (PAST + 1, n_problems, n),
    cdef double *past_w                       # and coefficients with intercepts
    cdef Py_ssize_t kept, size                # how many rounds these are of; coefficients and intercepts of each
    cdef bint moved                           # some class had something to do in this round
    cdef bint apart                           # linear predictors have changed since all classes were at one point

    cdef void _rest(self, Py_ssize_t t) noexcept nogil
    cdef bint _turn(self, Py_ssize_t t, State *state) except -1 nogil
    cdef int _remember(self, const State *states) except -1 nogil
    cdef int _extrapolate(self, State *states) except -1 nogil
    cdef double _objective_of_all(self, const double *linear, const double *w) noexcept nogil
    cdef int _join(self, State *states) except -1 nogil
    cdef int _find_free(self) except -1 nogil
    cdef int _read_free(self) except -1 nogil
    cdef int _leave_dependent(self) except -1 nogil
    cdef void _take_up(self, const State *states) noexcept nogil
    cdef int _hand_back(self, State *states) except -1 nogil
    cdef int _where(self) except -1 nogil
    cdef int _recentre(self) except -1 nogil
    cdef double _best_shift(self, Py_ssize_t c) noexcept nogil
