# Solving a batch of problems at one penalty value after the other.
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.threads cimport Task
from fastreg.solvers.certificate cimport Judged
from fastreg.solvers.screening cimport Screening
from fastreg.solvers.problem cimport Batch
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State
from fastreg.solvers.ticker cimport Ticker
from fastreg.solvers.working_set cimport WorkingSets

cdef enum:
    TURNS = 50                   # of all classes in a round

cdef class Loop:
    cdef Batch batch
    cdef WorkingSets sets
    cdef Screening screening                  # of the columns outside the working sets
    cdef Ticker ticker
    cdef State *states                        # of each problem
    cdef Judged *judged
    cdef Pool pool
    cdef double alpha, tol, slack
    cdef bint slide                           # dependent coordinates may slide before the first round
    cdef Py_ssize_t turns                     # that classes may take in a round
    cdef bint unfinished                      # classes had turns left to take
    cdef bint started                         # from given coefficients, which may be a solution already

    cdef Small *_small(self, Py_ssize_t t) noexcept nogil
    cdef void _rest(self, Py_ssize_t t) noexcept nogil
    cdef int restart(self) except -1 nogil
    cdef bint untouched(self) noexcept nogil
    cdef int start_from(self, Py_ssize_t t, const double *coef) except -1 nogil
    cdef int solve(self, double alpha, Py_ssize_t max_rounds) except -1 nogil
    cdef int judge_from_x(self, double alpha) except -1 nogil
    cdef int mend_from_x(self, double alpha, Py_ssize_t max_rounds) except -1 nogil
    cdef bint good(self, Py_ssize_t t) noexcept nogil
    cdef bint _small_enough(self, Py_ssize_t t) noexcept nogil
    cdef Py_ssize_t _reset(self) noexcept nogil
    cdef int _threads(self) noexcept nogil
    cdef int _each(self, Task task) except -1 nogil
    cdef int _begin(self, Py_ssize_t t) except -1 nogil
    cdef void _begin_coupled(self) noexcept nogil
    cdef Py_ssize_t _try_start(self, Py_ssize_t max_rounds) except -1 nogil
    cdef Py_ssize_t _accept(self, Py_ssize_t max_rounds) noexcept nogil
    cdef int _solve_small(self, Py_ssize_t t) except -1 nogil
    cdef int _solve_coupled(self) except -1 nogil
    cdef void _set_slack(self, Py_ssize_t t) noexcept nogil
    cdef double _l1_terms(self, Py_ssize_t t) noexcept nogil
    cdef double _allowed(self, Py_ssize_t t) noexcept nogil
    cdef int _polish(self, Py_ssize_t t) except -1 nogil
    cdef int _certify(self) except -1 nogil
    cdef int _screen(self, Py_ssize_t t) except -1 nogil
    cdef int _judge(self, Py_ssize_t t) except -1 nogil
    cdef int _judge_coupled(self) except -1 nogil
    cdef double _gap(self, Py_ssize_t t, Py_ssize_t count) noexcept nogil
    cdef bint _stalls(self, State *state) noexcept nogil
    cdef int _read_x(self) except -1 nogil
