"""Full Gram mode: the working set is all of X, whose Gram matrix is cheaper than the passes it saves."""
from libc.stdlib cimport free
from libc.string cimport memcpy

from fastreg.kernels.gram cimport full_gram
from fastreg.kernels.leaf cimport fr_axpy, fr_vdot
from fastreg.kernels.memory cimport grow
from fastreg.kernels.residual cimport Target, residual_pass
from fastreg.solvers.problem cimport Batch
from fastreg.solvers.small cimport Small, SmallSolver
from fastreg.solvers.state cimport State


cdef class WholeGram(SmallSolver):
    """Solves small problems from X'X and X'y; X is asked for the last word only.

    Parameters
    ----------
    batch : Batch
        Of dense X under the same weights for all problems.
    """

    def __cinit__(self, Batch batch):
        if batch.design.sparse():
            raise ValueError("full Gram mode reads dense X")
        self._allocate(batch)

    cdef int read_gram(self) except -1 nogil:
        """Column moments, X'Y and X'X."""
        self._reserve_gram()
        full_gram(self.batch.design, &self.batch.Y[0, 0], self.n_problems, self.G, &self.batch.xy[0, 0])
        return 0

    cdef int take_gram(self, const double *gram) except -1 nogil:
        """X'X at hand."""
        self._reserve_gram()
        memcpy(self.G, gram, self.batch.p * self.batch.p * sizeof(double))
        return 0

    cdef int _reserve_gram(self) except -1 nogil:
        return grow(<void **> &self.G, self.batch.p * self.batch.p * sizeof(double))

    def __dealloc__(self):
        free(self.G)

    cdef int begin(self) except -1 nogil:
        """Every column enters every small problem."""
        cdef Py_ssize_t t, j, p = self.batch.p
        for t in range(self.n_problems):
            self.reserve(t, p)
            self.smalls[t].q.G, self.smalls[t].q.ldg = self.G, p
            for j in range(p):
                self.add(t, j, 0, self.batch.xy[t, j])
        return 0

    cdef double polish(self, Py_ssize_t t) except -1 nogil:
        """None: correlations from sums have no more digits to give."""
        return 0

    cdef int correlate(self, Py_ssize_t t, State *state) except -1 nogil:
        """Correlations and the size of the residual, from the sums."""
        cdef Small *small = &self.smalls[t]
        cdef const double *xy = &self.batch.xy[t, 0]
        cdef Py_ssize_t j, p = self.batch.p
        memcpy(small.q.g, xy, p * sizeof(double))
        memcpy(small.q.seen, small.q.w, p * sizeof(double))
        for j in range(p):
            if small.q.w[j] != 0:
                fr_axpy(p, -small.q.w[j], self.G + j * p, small.q.g)
        state.rr = self.batch.problems[t].null_rr
        for j in range(p):
            state.rr -= small.q.w[j] * (xy[j] + small.q.g[j])
        state.rr = max(state.rr, 0.)
        return 0

    cdef int correlations(self, State *states, double *out) except -1 nogil:
        """Those that the small problems have."""
        cdef Py_ssize_t t, p = self.batch.p
        for t in range(self.n_problems):
            memcpy(out + t * p, self.smalls[t].q.g, p * sizeof(double))
        return 0

    cdef int read_x(self, State *states) except -1 nogil:
        """Residuals and correlations of all problems that are not done, in one reading of X."""
        cdef Py_ssize_t t, k = 0, n = self.batch.n
        cdef Small *small
        cdef Target *targets = NULL
        grow(<void **> &targets, self.n_problems * sizeof(Target))
        for t in range(self.n_problems):
            small = &self.smalls[t]
            if not states[t].done:
                targets[k].y, targets[k].w = self.batch.problems[t].y, small.q.w
                targets[k].r, targets[k].g = states[t].r, small.q.g
                k += 1
        try:
            residual_pass(self.batch.design, targets, k)
        finally:
            free(targets)
        for t in range(self.n_problems):
            small = &self.smalls[t]
            if not states[t].done:
                states[t].rr = fr_vdot(n, states[t].r, states[t].r)
                memcpy(small.q.seen, small.q.w, small.q.m * sizeof(double))
        return 0

    cdef Py_ssize_t held(self) noexcept nogil:
        return self.batch.p if self.G != NULL else 0
