"""The problems on the working sets, and the verbs that solve them.

A subclass says where X comes in: by the Gram matrix of gathered columns (``gathered``), by that of all columns
(``whole_gram``), or by products with X alone (``matrix_free``).
"""
from libc.stdlib cimport free

import numpy as np

from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.pool cimport Pool
from fastreg.kernels.quadratic cimport (
    quad_add, quad_free, quad_init, quad_place, quad_polish, quad_reserve, quad_set_l2, quad_settled, quad_solve)
from fastreg.solvers.problem cimport Batch, Terms, excluded, l1_factor, l2_factor, lower, upper, weigh
from fastreg.solvers.state cimport State

cdef enum:
    ROUNDS = 4                   # of the small solver in one call


cdef class SmallSolver:
    """Owns the small problems of a batch; solves them by Newton's method on their Gram matrices."""

    cdef int _allocate(self, Batch batch) except -1:
        """Empty working sets."""
        cdef Py_ssize_t t
        cdef Small *small
        cdef Pool pool = Pool()
        self.batch, self.pool, self.n_problems = batch, pool, batch.n_problems
        self.at_hand = pool.flags(batch.p)
        self.smalls = <Small *> zeros(batch.n_problems * sizeof(Small))
        for t in range(batch.n_problems):
            small = &self.smalls[t]
            quad_init(&small.q)
            quad_reserve(&small.q, 1)                # arrays with an address, before anything is in them
            small.q.noise = batch.problems[t].noise
            small.cols, small.entering = pool.ints(batch.p), pool.ints(batch.p)
            small.inside = pool.flags(batch.p)
        return 0

    cdef void _take_over(self, SmallSolver before):
        """The small problems of a solver that is given up."""
        self.batch, self.pool, self.n_problems = before.batch, before.pool, before.n_problems
        self.smalls, self.at_hand = before.smalls, before.at_hand
        before.smalls = NULL

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.smalls != NULL else 0):
            quad_free(&self.smalls[t].q)
        free(self.smalls)

    # ---- the problem on one working set ----------------------------------------------------------------------------
    cdef void set_penalties(self, Py_ssize_t t, double alpha, bint *l2_changed) noexcept nogil:
        """The penalties at alpha; tells whether an l2 term is another one than before."""
        cdef const Terms *terms = self.batch.problems[t].terms
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t j, c
        cdef double l2
        l2_changed[0] = False
        for j in range(small.q.m):
            c = small.cols[j]
            if excluded(terms, c):
                continue
            small.q.l1[j] = alpha * l1_factor(terms, c)
            l2 = alpha * l2_factor(terms, c)
            l2_changed[0] |= l2 != small.q.l2[j]
            small.q.l2[j] = l2

    cdef int place(self, Py_ssize_t t, bint slide, bint l2_changed) except -1 nogil:
        """Bring the support in line with coefficients and penalties; `slide`: unless they are to be judged as they
        are."""
        quad_place(&self.smalls[t].q, slide)
        if l2_changed:
            quad_set_l2(&self.smalls[t].q)
        return 0

    cdef int solve(self, Py_ssize_t t, State *state) except -1 nogil:
        """Some rounds of work; 1 when the small problem is solved, 0 while it is not."""
        return quad_solve(&self.smalls[t].q, ROUNDS)

    cdef bint settled(self, Py_ssize_t t) noexcept nogil:
        """Do all coordinates meet their optimality conditions at the present correlations?"""
        return quad_settled(&self.smalls[t].q)

    cdef Py_ssize_t support(self, Py_ssize_t t) noexcept nogil:
        """How many coordinates are in the support, if it is known."""
        return self.smalls[t].q.f.s

    cdef double polish(self, Py_ssize_t t) except -1 nogil:
        """One step of refinement of free coordinates; its size against that of w, 0 when none was made."""
        return quad_polish(&self.smalls[t].q)

    cdef int begin(self) except -1 nogil:
        """The penalties are set for the first time: let in what is inside from the start."""
        return 0

    cdef int restart(self, Py_ssize_t t) except -1 nogil:
        """Back at w = 0."""
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k
        small.exact = False
        for k in range(small.q.m):
            small.q.w[k] = small.q.seen[k] = 0
            small.q.g[k] = self.batch.xy[t, small.cols[k]]
        return self.place(t, True, False)

    cdef int reserve(self, Py_ssize_t t, Py_ssize_t m) except -1 nogil:
        """Room for m coordinates."""
        return quad_reserve(&self.smalls[t].q, m)

    cdef void add(self, Py_ssize_t t, Py_ssize_t j, double alpha, double g) noexcept nogil:
        """Column j, whose correlation is g, as a new coordinate at zero; held there where it is excluded."""
        cdef const Terms *terms = self.batch.problems[t].terms
        cdef Small *small = &self.smalls[t]
        small.cols[small.q.m], small.inside[j] = <int> j, True
        if excluded(terms, j):
            quad_add(&small.q, 1, 1, 0, 0, g)
        else:
            quad_add(&small.q, alpha * l1_factor(terms, j), alpha * l2_factor(terms, j), lower(terms, j),
                     upper(terms, j), g)

    # ---- where it meets X ------------------------------------------------------------------------------------------
    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        """state.r = y - Xw, with its size and the errors on the test set."""
        return 0

    cdef int residuals(self, State *states) except -1 nogil:
        """Those of all problems that are not done."""
        cdef Py_ssize_t t
        for t in range(self.n_problems):
            if not states[t].done:
                self.residual(t, &states[t])
        return 0

    cdef int correlate(self, Py_ssize_t t, State *state) except -1 nogil:
        """Correlations of the working set with the residual, from scratch: no rounding is carried along."""
        return 0

    cdef int correlations(self, State *states, double *out) except -1 nogil:
        """X'r of all columns (n_problems, p) at every problem's residual."""
        cdef Py_ssize_t t
        cdef double *shares = NULL
        cdef Py_ssize_t n = self.batch.n, p = self.batch.p
        grow(<void **> &shares, self.n_problems * n * sizeof(double))
        try:
            for t in range(self.n_problems):
                weigh(self.batch.problems[t].root, n, states[t].r, shares + t * n)
            self.batch.design.stream(NULL, p, shares, self.n_problems, out, p)
        finally:
            free(shares)
        return 0

    cdef int read_x(self, State *states) except -1 nogil:
        """Residuals and correlations of all problems that are not done, from X itself."""
        cdef Py_ssize_t t
        self.residuals(states)
        for t in range(self.n_problems):
            if not states[t].done:
                self.correlate(t, &states[t])
        return 0

    # ---- growth ----------------------------------------------------------------------------------------------------
    cdef Py_ssize_t announce(self) noexcept nogil:
        """Take note of the columns about to enter; returns how many the largest Gram matrix would then be of."""
        return 0

    cdef int gather(self) except -1 nogil:
        """What the problems share of the columns about to enter."""
        return 0

    cdef int admit(self, Py_ssize_t t, double alpha, const State *state) except -1 nogil:
        """Let the entering columns of a problem in, at zero and with their correlations."""
        return 0

    cdef Py_ssize_t held(self) noexcept nogil:
        """Columns in the working block, or the largest of them; 0 where there is none."""
        return 0

    cdef object gram(self, Py_ssize_t t, const int[::1] features):
        """X'X of columns of a working set; None where they are not all inside."""
        cdef Py_ssize_t a, b, s = features.shape[0]
        cdef Small *small = &self.smalls[t]
        cdef double[:, ::1] G = np.empty((s, s))
        at_ = np.full(self.batch.p, -1, dtype=np.intc)
        cdef int[::1] at = at_
        for a in range(small.q.m):
            at[small.cols[a]] = <int> a
        if s > 0 and np.min(at_[features]) < 0:
            return None
        for a in range(s):
            for b in range(s):
                G[a, b] = small.q.G[at[features[a]] * small.q.ldg + at[features[b]]]
        return G.base
