# Small problems whose working set is all of X.
from fastreg.solvers.small cimport SmallSolver

cdef class WholeGram(SmallSolver):
    cdef double *G                            # X'X

    cdef int read_gram(self) except -1 nogil
    cdef int take_gram(self, const double *gram) except -1 nogil
    cdef int _reserve_gram(self) except -1 nogil
