# Duality gap of a solution.
from fastreg.datafits.base cimport Datafit
from fastreg.solvers.problem cimport Problem
from fastreg.solvers.screening cimport Findings
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State

cdef struct Judged:
    # one problem, and where it stands
    const Problem *problem
    const State *state
    const Small *small
    const Findings *found

cdef double duality_gap(Datafit datafit, Py_ssize_t n, const Judged *of, Py_ssize_t count, double alpha) noexcept nogil
