# Small problems on the Gram matrix of columns gathered in a block.
from fastreg.kernels.block cimport Block, Fit, Weighting
from fastreg.kernels.view cimport View
from fastreg.solvers.small cimport SmallSolver
from fastreg.solvers.state cimport State

cdef class Gathered(SmallSolver):
    cdef Block *blocks
    cdef Py_ssize_t n_blocks
    cdef Fit *fits                            # of the problems whose residuals are computed together

    cdef int _new_blocks(self, Py_ssize_t n_blocks, Py_ssize_t n_weightings) except -1
    cdef Block *_block(self, Py_ssize_t t) noexcept nogil
    cdef Weighting *_weighting(self, Py_ssize_t t) noexcept nogil
    cdef const int *_positions(self, Py_ssize_t t) noexcept nogil
    cdef int _fit(self, Py_ssize_t t, State *state, Fit *fit) except -1 nogil
    cdef void _take(self, Py_ssize_t t, State *state) noexcept nogil
    cdef int _correlate_new(self, Py_ssize_t t, Py_ssize_t first, const double *r) except -1 nogil

cdef class OwnBlocks(Gathered):
    cdef int _append(self, Py_ssize_t t, Py_ssize_t n) except -1

cdef struct Placed:
    # where in the shared block the coordinates of one problem are
    int *pos             # by coordinate
    double *G            # their own Gram matrix, leading dimension ldg
    Py_ssize_t ldg
    double *w            # coefficients and correlations by position
    double *g
    Py_ssize_t room      # positions that these two have room for

cdef class SharedBlock(Gathered):
    cdef Placed *placed                       # of each problem
    cdef int *at                              # of each column: its position, or -1
    cdef int *coming                          # columns about to be appended
    cdef Py_ssize_t n_coming
    cdef const double[:, ::1] share
    cdef const int[::1] order
    cdef const Py_ssize_t[::1] start
    cdef const double[:, ::1] count

    cdef int _set_parts(self, parts) except -1
    cdef int _check_digits(self) except -1 nogil
    cdef int _copy_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil

cdef object gram_of_columns(View design, const int[::1] features)
