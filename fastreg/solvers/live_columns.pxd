# Columns that may enter a working set soon.
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.view cimport View
from fastreg.solvers.problem cimport Batch
from fastreg.solvers.screening cimport Screening
from fastreg.solvers.state cimport State

cdef enum:
    TASKS = 64           # of a look at all columns, at most: see share_of

cdef enum Place:
    DEAD = 0             # cannot enter any working set until alpha has fallen
    LIVE = 1             # watched, or inside
    EXCLUDED = 2         # constant, or left out by its penalty or limits, in every problem

cdef class LiveColumns(Screening):
    cdef Batch batch
    cdef View design
    cdef Pool pool
    cdef Py_ssize_t n_problems, n, p
    cdef double **norm1                       # of every column under each weighting; NULL for dense storage
    cdef char *place
    cdef int *live
    cdef int *coming                          # columns that are to live, each task's where its columns begin
    cdef Py_ssize_t revived[TASKS]            # how many each task has listed
    cdef double *live_norm
    cdef double *live_norm1
    cdef double live_cost, dead_alpha, dead_r, dead_rmax

    cdef int first_columns(self) except -1 nogil
    cdef int columns_again(self) except -1 nogil
    cdef int _leave_out(self) except -1 nogil
    cdef void _leave_out_columns(self, Py_ssize_t task) noexcept nogil
    cdef int bring(self, double alpha, const State *states) except -1 nogil
    cdef void _revive(self, Py_ssize_t task) noexcept nogil
    cdef Py_ssize_t _wake(self, Py_ssize_t f, Py_ssize_t first, Py_ssize_t end, int *coming) noexcept nogil
    cdef void _add(self, Py_ssize_t j) noexcept nogil
