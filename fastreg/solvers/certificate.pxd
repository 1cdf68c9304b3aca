# The certificate: the duality gap of a solution.
from fastreg.solvers.problem cimport Problem

cdef double duality_gap(const Problem *P, double alpha) noexcept nogil
