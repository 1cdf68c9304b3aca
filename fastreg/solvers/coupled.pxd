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
    cdef double *level                        # a step of the intercepts
    cdef double *work                         # of that, and of combinations
    cdef double *bends                        # work of a shift
    cdef int *at_class                        # by class and position in the block: the coordinate, or -1
    cdef Py_ssize_t room                      # positions that it has room for
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
    cdef void _shift(self, State *states, double part) noexcept nogil
    cdef int _recentre(self) except -1 nogil
    cdef double _best_shift(self, Py_ssize_t c) noexcept nogil
