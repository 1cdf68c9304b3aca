"""Which columns the problems are solved on, and by which means.

a) **Growth.** Columns that violate their optimality condition enter, the worst ones first; none ever leaves.
b) **Memory.** When block, Gram matrix and factor would outgrow their memory they are given up, and the problems are
   solved by products with X alone (``matrix_free``).
"""
from libc.math cimport sqrt
from libc.stdlib cimport qsort
from libc.string cimport memcpy

from fastreg.kernels.pool cimport Pool
from fastreg.kernels.threads cimport run_tasks
from fastreg.solvers.coupled cimport Coupled
from fastreg.solvers.curved cimport Curved
from fastreg.solvers.gathered import Apart
from fastreg.solvers.gathered cimport Gathered
from fastreg.solvers.matrix_free cimport Products
from fastreg.solvers.screening cimport Findings, Screening
from fastreg.solvers.problem cimport Batch
from fastreg.solvers.small cimport Small, SmallSolver
from fastreg.solvers.state cimport State
from fastreg.solvers.whole_gram cimport WholeGram

cdef Py_ssize_t GROWTH = 64      # columns that may enter in a round, or as many as the support holds


cdef int _descending(const void *a, const void *b) noexcept nogil:
    cdef double s = (<const double *> a)[0], t = (<const double *> b)[0]
    return (s < t) - (s > t)


cdef SmallSolver _solver(Batch batch, bint full, parts):
    if full:
        return WholeGram(batch)
    if batch.datafit.coupled:
        return Coupled(batch, parts)
    return Gathered(batch, parts) if batch.datafit.quadratic else Curved(batch, parts)


cdef class WorkingSets:
    """The working sets of a batch of problems.

    Parameters
    ----------
    batch : Batch
    full : bool
        All of X is inside from the start.
    capacity : int
        Most columns a working set may hold with its Gram matrix.
    parts : tuple or None
        What differs between the weightings of the rows of sparse X: see `Gathered`.
    """

    def __cinit__(self, Batch batch, bint full, Py_ssize_t capacity, parts):
        self.batch, self.capacity, self.pool = batch, max(capacity, 2), Pool()
        self.scores = self.pool.room_for_doubles(batch.p)
        self.solver = _solver(batch, full, parts)

    cdef int grow(self, Screening screening, double alpha, const State *states, int threads) except -1 nogil:
        """Let in the worst violators of the open problems: at most GROWTH, or as many as the support holds, of each."""
        cdef Py_ssize_t t, k, n, most
        cdef Small *small
        cdef const Findings *found
        cdef double least
        for t in range(self.batch.n_problems):
            small, found = &self.solver.smalls[t], screening.found(t)
            most = max(GROWTH, self.solver.support(t))
            least, n = 0, 0
            if found.n > most:
                memcpy(self.scores, found.score, found.n * sizeof(double))
                qsort(self.scores, found.n, sizeof(double), _descending)
                least = self.scores[most - 1]
            for k in range(0 if states[t].done else found.n):
                if found.score[k] >= least and not small.inside[found.cols[k]]:
                    small.entering[n] = found.cols[k]
                    n += 1
            small.n_entering = n
        return self.enlarge(alpha, states, threads)

    cdef int enlarge(self, double alpha, const State *states, int threads) except -1 nogil:
        """The entering columns of each problem, into its working set."""
        cdef Py_ssize_t t, some = 0
        cdef Admission admission
        for t in range(self.batch.n_problems):
            some += self.solver.smalls[t].n_entering
        if some == 0:
            return 0
        if self._needed() > self.capacity:
            self._give_up_gram()
        self.solver.gather()
        admission.solver, admission.alpha, admission.states = <void *> self.solver, alpha, states
        return run_tasks(_admit, &admission, self.batch.n_problems, threads)

    cdef double _needed(self) noexcept nogil:
        """Columns about to be inside, as the capacity counts them: each in every problem's Gram matrix; classes share
        them out among each other, so that the root mean square of their numbers counts."""
        cdef Py_ssize_t t, m, all_ = self.solver.announce()
        cdef double squares = 0
        for t in range(self.batch.n_problems if self.batch.datafit.coupled else 0):
            m = self.solver.smalls[t].q.m + self.solver.smalls[t].n_entering
            squares += <double> m * m
        return sqrt(squares / self.batch.n_problems) if self.batch.datafit.coupled else all_

    cdef int _give_up_gram(self) except -1 with gil:
        """From now on products with X alone: the block, its Gram matrix and the factors return their memory."""
        if self.batch.n_weightings > 1:
            raise Apart
        if not self.batch.datafit.quadratic:
            raise MemoryError(f"alpha is so small that a working set of {self._needed():.0f} columns of X, with "
                              "its Gram matrix, takes more memory than fastreg allows itself: use larger values.")
        self.solver = Products(self.solver)
        return 0


cdef struct Admission:
    void *solver
    double alpha
    const State *states


cdef int _admit(void *context, Py_ssize_t t) except -1 nogil:
    cdef Admission *admission = <Admission *> context
    return (<SmallSolver> admission.solver).admit(t, admission.alpha, &admission.states[t])
