# The certificate: the duality gap of a solution.
from fastreg.solvers.screening cimport Findings
from fastreg.solvers.problem cimport Problem
from fastreg.solvers.small cimport Small

cdef double duality_gap(const Problem *problem, double rr, const Small *small, const Findings *found,
                        double alpha) noexcept nogil
