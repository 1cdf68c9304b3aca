# Which columns the problems are solved on, and by which means.
from fastreg.kernels.pool cimport Pool
from fastreg.solvers.screening cimport Screening
from fastreg.solvers.problem cimport Batch
from fastreg.solvers.small cimport SmallSolver
from fastreg.solvers.state cimport State

cdef class WorkingSets:
    cdef SmallSolver solver
    cdef Batch batch
    cdef Py_ssize_t capacity
    cdef double *scores                       # work (p)
    cdef Pool pool

    cdef int grow(self, Screening screening, double alpha, const State *states, int threads) except -1 nogil
    cdef int enlarge(self, double alpha, const State *states, int threads) except -1 nogil
    cdef double _needed(self) noexcept nogil
    cdef int _give_up_gram(self) except -1 with gil
