# The problems on the working sets, and the verbs that solve them.
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.quadratic cimport Quad
from fastreg.solvers.problem cimport Batch
from fastreg.solvers.state cimport State

cdef struct Small:
    Quad q               # one coordinate for each column of the working set
    int *cols            # which column that is
    char *inside         # whether a column of X is one of them
    bint exact           # q.g is X'r, computed from the residual and not carried along
    int *entering        # columns that are about to be added
    Py_ssize_t n_entering

cdef class SmallSolver:
    cdef Batch batch
    cdef Pool pool
    cdef Py_ssize_t n_problems
    cdef Small *smalls                        # of each problem
    cdef char *at_hand                        # whether another problem has a column already, so that it costs nothing

    cdef int _allocate(self, Batch batch) except -1
    cdef void _take_over(self, SmallSolver before)
    # of the problem on one working set
    cdef void set_penalties(self, Py_ssize_t t, double alpha, bint *l2_changed) noexcept nogil
    cdef int place(self, Py_ssize_t t, bint slide, bint l2_changed) except -1 nogil
    cdef int solve(self, Py_ssize_t t, State *state) except -1 nogil
    cdef bint settled(self, Py_ssize_t t) noexcept nogil
    cdef Py_ssize_t support(self, Py_ssize_t t) noexcept nogil
    cdef double polish(self, Py_ssize_t t) except -1 nogil
    cdef int begin(self) except -1 nogil
    cdef int restart(self, Py_ssize_t t) except -1 nogil
    cdef int reserve(self, Py_ssize_t t, Py_ssize_t m) except -1 nogil
    cdef void add(self, Py_ssize_t t, Py_ssize_t j, double alpha, double g) noexcept nogil
    # where it meets X
    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil
    cdef int residuals(self, State *states) except -1 nogil
    cdef int correlations(self, State *states, double *out) except -1 nogil
    cdef int correlate(self, Py_ssize_t t, State *state) except -1 nogil
    cdef int read_x(self, State *states) except -1 nogil
    # growth
    cdef Py_ssize_t announce(self) noexcept nogil
    cdef int gather(self) except -1 nogil
    cdef int admit(self, Py_ssize_t t, double alpha, const State *state) except -1 nogil
    cdef Py_ssize_t held(self) noexcept nogil
    cdef object gram(self, Py_ssize_t t, const int[::1] features)
