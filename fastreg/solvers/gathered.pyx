"""Small problems on the Gram matrix of columns gathered in a block.

One block serves all problems: the columns gathered, the sums of their Gram matrices and the sweeps over their rows.
Each problem has some of the columns; a single one has them all, in order.
"""
from libc.math cimport fabs
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import numpy as np

from fastreg.kernels.block cimport (
    Block, Fit, Weighting, block_append, block_correlate, block_free, block_init, block_residuals)
from fastreg.kernels.block_gram cimport block_gram, gram_column, gram_of_new
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.view cimport View
from fastreg.solvers.problem cimport Batch, Problem, weigh
from fastreg.solvers.small cimport Small, SmallSolver
from fastreg.solvers.state cimport State, measure

cdef double DIGITS = 1e-7        # relative error of a Gram matrix that Newton's method and a fresh residual mend


class Apart(Exception):
    """The folds cannot share what they should, for want of memory or of digits: they must be solved one by one."""


cdef class Gathered(SmallSolver):
    """Gram matrices come from the block, or each problem has its own, of its own columns, where curvatures are weights.

    Parameters
    ----------
    batch : Batch
    parts : tuple or None
        What differs between weightings of the rows: the parts of the rows on which each is a multiple of the weights of
        the batch's design: their rows one part after the other, ascending in each (n, intc), where each begins and the
        end (intp), and the multiples (n_problems, n_parts).
    """

    def __cinit__(self, Batch batch, parts):
        cdef Py_ssize_t t, f
        self._allocate(batch)
        self.fits = <Fit *> zeros(self.n_problems * sizeof(Fit))
        self.at, self.coming = self.pool.ints(batch.p), self.pool.ints(batch.p)
        memset(self.at, -1, batch.p * sizeof(int))
        self.placed = <Placed *> zeros(batch.n_problems * sizeof(Placed))
        for t in range(batch.n_problems):
            self.placed[t].pos = self.pool.ints(batch.p)
        self.own = not batch.datafit.quadratic
        block_init(&self.block, batch.design, batch.n_weightings)
        for f in range(batch.n_weightings):
            set_weighting(&self.block.of[f], batch.designs[f])
        if batch.n_weightings > 1 and not self.own:
            self.order, self.start, self.count = parts
            self.block.n_parts, self.block.base = self.start.shape[0] - 1, batch.design.weight
            self.block.order, self.block.start, self.block.count = &self.order[0], &self.start[0], &self.count[0, 0]

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.placed != NULL else 0):
            free(self.placed[t].G)
        free(self.placed)
        free(self.fits)
        block_free(&self.block)

    cdef Block *_block(self, Py_ssize_t t) noexcept nogil:
        """Where the columns of problem t are."""
        return &self.block

    cdef Weighting *_weighting(self, Py_ssize_t t) noexcept nogil:
        return &self.block.of[t if self.block.n_of > 1 else 0]

    cdef const int *_positions(self, Py_ssize_t t) noexcept nogil:
        """Where in the block the coordinates of problem t are; NULL where they are the positions."""
        return NULL if self.n_problems == 1 else self.placed[t].pos

    # ---- residuals and correlations --------------------------------------------------------------------------------
    cdef int residual(self, Py_ssize_t t, State *state) except -1 nogil:
        self._fit(t, state, self.fits)
        block_residuals(self.batch.design, self.fits, 1)
        self._take(t, state)
        return 0

    cdef int residuals(self, State *states) except -1 nogil:
        cdef Py_ssize_t t, k = 0
        for t in range(self.n_problems):
            if not states[t].done:
                self._fit(t, &states[t], &self.fits[k])
                k += 1
        if k > 0:
            block_residuals(self.batch.design, self.fits, k)
        for t in range(self.n_problems):
            if not states[t].done:
                self._take(t, &states[t])
        return 0

    cdef void _fit(self, Py_ssize_t t, State *state, Fit *fit) noexcept nogil:
        """What the block computes the residual from."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Small *small = &self.smalls[t]
        fit.block, fit.of, fit.y = self._block(t), self._weighting(t), problem.y
        fit.pos, fit.m, fit.w, fit.r, fit.g = self._positions(t), small.q.m, small.q.w, state.r, small.q.g
        fit.test, fit.error = &problem.test if problem.test.times != NULL else NULL, &state.error

    cdef void _take(self, Py_ssize_t t, State *state) noexcept nogil:
        """A new residual, whose correlations came with it where X is sparse."""
        cdef Small *small = &self.smalls[t]
        small.exact = self.batch.design.sparse()
        if small.exact:
            memcpy(small.q.seen, small.q.w, small.q.m * sizeof(double))
        measure(state, self.batch.n)

    cdef int correlate(self, Py_ssize_t t, State *state) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        if small.exact:
            return 0
        block_correlate(self._block(t), self.batch.design, self._weighting(t), state.r, self._positions(t), 0,
                        small.q.m, small.q.g)
        memcpy(small.q.seen, small.q.w, small.q.m * sizeof(double))
        small.exact = True
        return 0

    cdef int _correlate_new(self, Py_ssize_t t, Py_ssize_t first, const double *r) except -1 nogil:
        """Correlations of the coordinates from `first` on, which are in the block by now."""
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t n = small.q.m - first
        cdef double *share = NULL
        if not self.batch.design.sparse() or self.batch.design.across():
            return block_correlate(self._block(t), self.batch.design, self._weighting(t), r, self._positions(t), first,
                                   small.q.m, small.q.g)
        grow(<void **> &share, self.batch.n * sizeof(double))
        try:
            weigh(self.batch.problems[t].root, self.batch.n, r, share)
            self.batch.design.stream(small.cols + first, n, share, 1, small.q.g + first, n)
        finally:
            free(share)
        return 0

    # ---- growth ----------------------------------------------------------------------------------------------------
    cdef Py_ssize_t held(self) noexcept nogil:
        return self.n_gathered

    cdef Py_ssize_t announce(self) noexcept nogil:
        cdef Py_ssize_t t, k
        cdef const Small *small
        self.n_coming = 0
        for t in range(self.n_problems):
            small = &self.smalls[t]
            for k in range(small.n_entering):
                self.at_hand[small.entering[k]] = self.n_problems > 1
                if self.at[small.entering[k]] < 0:
                    self.at[small.entering[k]] = <int> (self.n_gathered + self.n_coming)
                    self.coming[self.n_coming] = small.entering[k]
                    self.n_coming += 1
        return self.n_gathered + self.n_coming

    cdef int gather(self) except -1 nogil:
        if self.n_coming == 0:
            return 0
        self.n_gathered += self.n_coming
        block_append(&self.block, self.batch.design, self.coming, self.n_coming)
        if self.own:
            return 0
        gram_of_new(&self.block, self.batch.design, self.n_coming)
        return self._check_digits()

    cdef int _check_digits(self) except -1 nogil:
        """Whether the Gram matrices of several weightings, sums and differences of parts, know the norms of the last
        columns: where entries or levels of the rows left out are huge, nothing is left of the others."""
        cdef Py_ssize_t f, a, first = self.block.m - self.n_coming
        cdef double norm, diagonal
        for f in range(self.batch.n_weightings if self.batch.n_weightings > 1 else 0):
            for a in range(first, self.block.m):
                norm = self.batch.terms[f].norm[self.coming[a - first]]
                diagonal = self.block.of[f].G[gram_column(&self.block, a) + a]
                if norm > 0 and not fabs(diagonal - norm * norm) <= DIGITS * norm * norm:
                    with gil:
                        raise Apart
        return 0

    cdef int admit(self, Py_ssize_t t, double alpha, const State *state) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k, m = small.q.m, n = small.n_entering
        small.n_entering = 0
        if n == 0:
            return 0
        self.reserve(t, m + n)
        for k in range(n):
            self.placed[t].pos[m + k] = self.at[small.entering[k]]
            self.add(t, small.entering[k], alpha, 0)
        self._set_gram(t, m)
        return self._correlate_new(t, m, state.r)

    cdef int _set_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil:
        """The problem's own Gram matrix, rows and columns from `first` on being new."""
        cdef Small *small = &self.smalls[t]
        cdef const double *shared = self._weighting(t).G
        cdef const int *pos = self.placed[t].pos
        cdef double *G
        cdef Py_ssize_t i, k, m = small.q.m
        if self.n_problems == 1 and not self.own:
            small.q.G, small.q.ldg = shared, self.block.ld
            return 0
        self._reserve_gram(t, first)
        if self.own:
            return self._own_gram(t, first)
        G = self.placed[t].G
        for k in range(first, m):
            for i in range(m):
                G[k * small.q.ldg + i] = shared[gram_column(&self.block, max(pos[k], pos[i])) + min(pos[k], pos[i])]
                G[i * small.q.ldg + k] = G[k * small.q.ldg + i]
        return 0

    cdef int _reserve_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil:
        """Room for the problem's own Gram matrix, of which the first rows and columns are kept."""
        cdef Placed *placed = &self.placed[t]
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k, room, m = small.q.m
        cdef double *G = NULL
        if m > placed.ldg:
            room = m + m // 2
            grow(<void **> &G, room * room * sizeof(double))
            for k in range(first):
                memcpy(G + k * room, placed.G + k * placed.ldg, first * sizeof(double))
            free(placed.G)
            placed.G, placed.ldg = G, room
        small.q.G, small.q.ldg = placed.G, placed.ldg
        return 0

    cdef int _own_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil:
        """Its entries from `first` on, under the problem's weights."""
        cdef Small *small = &self.smalls[t]
        cdef const Weighting *of = self._weighting(t)
        cdef const int *pos = self._positions(t)
        cdef double *mean = NULL
        cdef Py_ssize_t k
        grow(<void **> &mean, small.q.m * sizeof(double))
        for k in range(small.q.m):
            mean[k] = of.mean[pos[k]]
        try:
            block_gram(self._block(t), self.batch.design, of.weight, pos, first, small.q.m,
                       mean if self.batch.design.centred else NULL, of.total, self.placed[t].G, small.q.ldg)
        finally:
            free(mean)
        return 0


cdef void set_weighting(Weighting *weighting, View design) noexcept:
    weighting.weight, weighting.root, weighting.total = design.weight, design.root, design.weight_sum
    weighting.column_mean = design.mean


cdef object gram_of_columns(View design, const int[::1] features):
    """X'X of a few columns, centred and weighted, from a block that is made for it."""
    cdef Py_ssize_t a, s = features.shape[0]
    cdef Block block
    cdef double[:, ::1] G = np.empty((s, s))
    memset(&block, 0, sizeof(Block))
    block_init(&block, design, 1)
    try:
        set_weighting(&block.of[0], design)
        block_append(&block, design, &features[0], s)
        gram_of_new(&block, design, s)
        for a in range(s):
            memcpy(&G[a, 0], block.of[0].G + a * block.ld, s * sizeof(double))
    finally:
        block_free(&block)
    return G.base
