# Small problems on the Gram matrix of columns gathered in a block.
from fastreg.kernels.block cimport Block, Fit, Weighting
from fastreg.kernels.view cimport View
from fastreg.solvers.small cimport SmallSolver
from fastreg.solvers.state cimport State

cdef struct Placed:
    # where in the block the coordinates of one problem are
    int *pos             # by coordinate
    double *G            # their own Gram matrix, leading dimension ldg; NULL where that of the block is theirs
    Py_ssize_t ldg

cdef class Gathered(SmallSolver):
    cdef Block block
    cdef Fit *fits                            # of the problems whose residuals are computed together
    cdef Placed *placed                       # of each problem
    cdef bint own                             # Gram matrices are computed for each problem, under its own weights
    cdef int *at                              # of each column: its position, or -1
    cdef int *coming                          # columns about to be appended
    cdef Py_ssize_t n_coming, n_gathered      # how many these are; columns gathered so far
    cdef const int[::1] order
    cdef const Py_ssize_t[::1] start
    cdef const double[:, ::1] count

    cdef Block *_block(self, Py_ssize_t t) noexcept nogil
    cdef Weighting *_weighting(self, Py_ssize_t t) noexcept nogil
    cdef const int *_positions(self, Py_ssize_t t) noexcept nogil
    cdef void _fit(self, Py_ssize_t t, State *state, Fit *fit) noexcept nogil
    cdef void _take(self, Py_ssize_t t, State *state) noexcept nogil
    cdef int _correlate_new(self, Py_ssize_t t, Py_ssize_t first, const double *r) except -1 nogil
    cdef int _check_digits(self) except -1 nogil
    cdef int _set_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil
    cdef int _reserve_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil
    cdef int _own_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil

cdef void set_weighting(Weighting *weighting, View design) noexcept
cdef object gram_of_columns(View design, const int[::1] features)
