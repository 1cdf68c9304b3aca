# Columns outside the working sets: what is known of them, and what must be read.
from fastreg.kernels.references cimport MAX_REFERENCES, References
from fastreg.kernels.threads cimport Task
from fastreg.solvers.live_columns cimport TASKS, LiveColumns
from fastreg.solvers.screening cimport Findings
from fastreg.solvers.problem cimport Problem

cdef struct Bounds:
    # by live column, for the first n of them: estimate of x'r and its error bound (0: exact)
    Py_ssize_t n
    double *est
    double *err

cdef struct Watch:
    # what is known of the columns outside the working set of one problem
    const Problem *problem
    const double *r      # the residual that the candidates are bounded at
    References refs
    Bounds now
    Bounds last          # at the solution before
    double *r_last       # whose residual this is
    double alpha[2]      # the last two penalty values
    Py_ssize_t n_solved
    int *cand            # live positions whose bound does not clear the penalty
    Py_ssize_t n_cand
    double cost          # of streaming the candidates; 0 where nothing needs to be read
    double *remainder    # n: what the references leave of a residual
    Findings found

cdef struct Look:
    # what the tasks of a look at the live columns share: `share` columns each
    void *screening
    Watch *watch
    double alpha
    double c[MAX_REFERENCES]             # the residual on the references, and the norms of the remainder
    double e2, einf
    const char *inside
    const char *at_hand
    double step, doubt   # of a look ahead
    Py_ssize_t share, tasks
    Py_ssize_t listed[TASKS]             # how many columns each has listed,
    double cost[TASKS]                   # what streaming them costs,
    double worst[TASKS]                  # and their largest relative violation

cdef class ReferenceScreening(LiveColumns):
    cdef Watch *watches                       # of each problem
    cdef double slack                         # relative violation that is none
    cdef double rows                          # that a remainder is spread over, at least
    cdef int *joint                           # live positions that are candidates of some problem, and their columns
    cdef int *joint_cols
    cdef char *listed                         # by live position, all False between uses
    cdef double *shares                       # weighted residuals to be streamed: of each problem, or a few references
    cdef double *passes                       # what streaming them gave

    cdef int _new_watch(self, Py_ssize_t t, int most) except -1
    cdef int _extend_references(self, Py_ssize_t first) except -1 nogil
    cdef int _expect(self, Watch *watch, double alpha, const double *r, double *r_ahead, const char *inside,
                     const char *at_hand) except -1 nogil
    cdef int _look(self, Task task, Look *u, Watch *watch, double alpha, const double *r,
                   const char *inside) except -1 nogil
    cdef int _deal(self, Task task, Look *u, Watch *watch, double alpha, Py_ssize_t n) except -1 nogil
    cdef void _violating_columns(self, Look *u, Py_ssize_t task) noexcept nogil
    cdef void _expect_columns(self, Look *u, Py_ssize_t task) noexcept nogil
    cdef void _list_expected(self, Look *u, Py_ssize_t task, Py_ssize_t first, Py_ssize_t m,
                             const double *g_est) noexcept nogil
    cdef void _bound_columns(self, Look *u, Py_ssize_t task) noexcept nogil
    cdef void _bound(self, const Watch *watch, const double *c, double e2, double einf, Py_ssize_t first, Py_ssize_t m,
                     double *est, double *err) noexcept nogil
    cdef Py_ssize_t _allow(self, Watch *watch, double alpha, double spare, Py_ssize_t n) noexcept nogil
    cdef Py_ssize_t _any_candidates(self, Py_ssize_t n_open, double *cost) noexcept nogil
    cdef int _read_together(self, Py_ssize_t n_open, Py_ssize_t n) except -1 nogil
    cdef int _read_own(self, Py_ssize_t t) except -1 nogil
    cdef int _read_all(self, Py_ssize_t n_open) except -1 nogil
