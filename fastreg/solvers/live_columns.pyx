"""Live columns: those that may enter a working set soon.

A column with ``min(||x_j||_2 ||r||_2, ||x_j||_1 ||r||_inf) <= l1_j`` cannot enter whatever r's direction; it is left
out of every pass until alpha has fallen far enough (rare terms of text data).
"""
from libc.math cimport INFINITY, sqrt
from libc.stdlib cimport free

from fastreg.kernels.memory cimport zeros
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.threads cimport run_tasks, share_of
from fastreg.kernels.view cimport View
from fastreg.solvers.problem cimport Batch, Terms
from fastreg.solvers.state cimport State

cdef Py_ssize_t COLUMNS = 4096   # that a thread looks at, at least
cdef double HORIZON = 0.6        # live columns are chosen for alphas down to this share of the present one


cdef class LiveColumns(Screening):
    """Which columns are live, in the order in which they came to be, and their norms.

    Parameters
    ----------
    batch : Batch
    """

    def __cinit__(self, Batch batch, *_):
        cdef Py_ssize_t f
        cdef Pool pool = Pool()
        self.batch, self.design, self.pool = batch, batch.design, pool
        self.n_problems, self.n, self.p = batch.n_problems, batch.n, batch.p
        self.dead_alpha = INFINITY
        self.norm1 = <double **> zeros(batch.n_weightings * sizeof(double *))
        for f in range(batch.n_weightings):
            self.norm1[f] = (<View> batch.designs[f]).norm1
        self.place = pool.flags(self.p)
        self.live, self.coming = pool.room_for_ints(self.p), pool.room_for_ints(self.p)
        self.live_norm = pool.room_for_doubles(self.p)
        self.live_norm1 = pool.room_for_doubles(self.p) if batch.design.norm1 != NULL else NULL

    def __dealloc__(self):
        free(self.norm1)

    cdef int first_columns(self) except -1 nogil:
        """Where rows are streamed whole, every column is live."""
        cdef Py_ssize_t j
        self._leave_out()
        if self.design.across():
            self.dead_alpha = 0
            for j in range(self.p):
                if self.place[j] == DEAD:
                    self.place[j] = LIVE
                self._add(j)
            self.live_cost = self.design.nnz
        return 0

    cdef int columns_again(self) except -1 nogil:
        """Under new penalties columns may be live that were not."""
        if not self.design.across():
            self.dead_alpha = INFINITY
        return self._leave_out()

    cdef int _leave_out(self) except -1 nogil:
        """Columns that are excluded in every problem."""
        cdef Py_ssize_t share = share_of(self.p, COLUMNS)
        return run_tasks(_leave_out_some, <void *> self, (self.p + share - 1) // share,
                         self.design.threads(<double> self.p))

    cdef void _leave_out_columns(self, Py_ssize_t task) noexcept nogil:
        cdef Py_ssize_t share = share_of(self.p, COLUMNS), j
        for j in range(task * share, min(self.p, (task + 1) * share)):
            if self.batch.excluded_from_all(j):
                self.place[j] = EXCLUDED

    cdef int bring(self, double alpha, const State *states) except -1 nogil:
        """Bring to life the columns that alpha, or the size of a residual, no longer keeps out."""
        cdef Py_ssize_t a, j, t, task, tasks, share = share_of(self.p, COLUMNS)
        cdef bint late = False
        cdef const State *s
        for t in range(self.n_problems):
            s = &states[t]
            late |= not s.done and s.rr > 0 and alpha < self.dead_alpha * max(
                sqrt(s.rr) / self.dead_r if self.dead_r > 0 else INFINITY,
                s.r_max / self.dead_rmax if self.dead_rmax > 0 else INFINITY)
        if not late:
            return 0
        self.dead_r = self.dead_rmax = 0
        for t in range(self.n_problems):
            s = &states[t]
            if not s.asleep:
                self.dead_r = max(self.dead_r, sqrt(s.rr))
                self.dead_rmax = max(self.dead_rmax, s.r_max)
        self.dead_alpha = HORIZON * alpha
        tasks = (self.p + share - 1) // share
        run_tasks(_revive_some, <void *> self, tasks, self.design.threads(<double> self.p))
        for task in range(tasks):
            for a in range(self.revived[task]):
                j = self.coming[task * share + a]
                self.place[j] = LIVE
                self._add(j)
        return 0

    cdef void _revive(self, Py_ssize_t task) noexcept nogil:
        """List those of a task's columns that are to live, where its columns begin in `coming`."""
        cdef Py_ssize_t share = share_of(self.p, COLUMNS), first = task * share, end = min(self.p, first + share)
        cdef Py_ssize_t f, j, n
        cdef int *coming = self.coming + first
        n = self._wake(0, first, end, coming)
        if self.batch.n_weightings > 1:                     # place says which are listed, meanwhile
            for f in range(1, self.batch.n_weightings):
                for j in range(n):
                    self.place[coming[j]] = LIVE
                n += self._wake(f, first, end, coming + n)
            for j in range(n):
                self.place[coming[j]] = DEAD
        self.revived[task] = n

    cdef Py_ssize_t _wake(self, Py_ssize_t f, Py_ssize_t first, Py_ssize_t end, int *coming) noexcept nogil:
        """List the dead among columns first..end-1 that weighting f wakes; returns how many."""
        cdef const Terms *terms = &self.batch.terms[f]
        cdef const char *place = self.place
        cdef const double *norm = terms.norm
        cdef const double *pen1 = terms.pen1
        cdef const double *norm1 = self.norm1[f] if self.norm1[f] != NULL else norm
        cdef double r = self.dead_r, r_max = self.dead_rmax if self.norm1[f] != NULL else r, alpha = self.dead_alpha
        cdef Py_ssize_t i1 = terms.i1, j, n = 0
        cdef double l1
        for j in range(first, end):
            l1 = alpha * pen1[j * i1]
            if (place[j] == DEAD) & (norm[j] * r > l1) & (norm1[j] * r_max > l1):
                coming[n] = <int> j
                n += 1
        return n

    cdef void _add(self, Py_ssize_t j) noexcept nogil:
        """Watch column j; its norms are the largest that it has under any of the weightings."""
        cdef Py_ssize_t f, a = self.n_live
        self.live[a] = <int> j
        self.live_norm[a] = self.batch.terms[0].norm[j]
        if self.live_norm1 != NULL:
            self.live_norm1[a] = self.norm1[0][j]
        for f in range(1, self.batch.n_weightings):
            self.live_norm[a] = max(self.live_norm[a], self.batch.terms[f].norm[j])
            if self.live_norm1 != NULL:
                self.live_norm1[a] = max(self.live_norm1[a], self.norm1[f][j])
        self.live_cost += self.design.cost(j)
        self.n_live += 1


cdef int _revive_some(void *columns, Py_ssize_t task) except -1 nogil:
    (<LiveColumns> columns)._revive(task)
    return 0


cdef int _leave_out_some(void *columns, Py_ssize_t task) except -1 nogil:
    (<LiveColumns> columns)._leave_out_columns(task)
    return 0
