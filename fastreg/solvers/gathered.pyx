"""Small problems on the Gram matrix of columns gathered in a block.

Each problem has a block of its own (a single one; folds of dense X), or all of them share one: the gathered columns,
the sums of its Gram matrices and the sweeps over its rows.
"""
from libc.math cimport fabs
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import numpy as np

from fastreg.kernels.block cimport (
    Block, Fit, Weighting, block_append, block_correlate, block_free, block_init, block_residuals, gram_column)
from fastreg.kernels.memory cimport grow, zeros
from fastreg.kernels.view cimport View
from fastreg.solvers.problem cimport Batch, Problem, weigh
from fastreg.solvers.small cimport Small, SmallSolver
from fastreg.solvers.state cimport State, measure

cdef double DIGITS = 1e-7        # relative error of a Gram matrix that Newton's method and a fresh residual mend


class Apart(Exception):
    """The folds cannot share what they should, for want of memory or of digits: they must be solved one by one."""


cdef class Gathered(SmallSolver):
    """What own blocks and a shared one have in common."""

    def __dealloc__(self):
        cdef Py_ssize_t b
        for b in range(self.n_blocks):
            block_free(&self.blocks[b])
        free(self.blocks)
        free(self.fits)

    cdef int _new_blocks(self, Py_ssize_t n_blocks, Py_ssize_t n_weightings) except -1:
        """Empty blocks that know the weightings of their rows."""
        cdef Py_ssize_t b, f
        self.fits = <Fit *> zeros(self.n_problems * sizeof(Fit))
        self.blocks = <Block *> zeros(n_blocks * sizeof(Block))
        self.n_blocks = n_blocks
        for b in range(n_blocks):
            block_init(&self.blocks[b], self.batch.design, n_weightings)
            for f in range(n_weightings):
                _set_weighting(&self.blocks[b].of[f], self.batch.design_of(max(b, f)))
        return 0

    cdef Block *_block(self, Py_ssize_t t) noexcept nogil:
        return &self.blocks[t if self.n_blocks > 1 else 0]

    cdef Weighting *_weighting(self, Py_ssize_t t) noexcept nogil:
        """That of problem t in its block."""
        cdef Block *block = self._block(t)
        return &block.of[t if block.n_of > 1 else 0]

    cdef const int *_positions(self, Py_ssize_t t) noexcept nogil:
        """Where in the block the coordinates of problem t are; NULL where they are the positions."""
        return NULL

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
        block_residuals(self.batch.design, self.fits, k)
        for t in range(self.n_problems):
            if not states[t].done:
                self._take(t, &states[t])
        return 0

    cdef int _fit(self, Py_ssize_t t, State *state, Fit *fit) except -1 nogil:
        """What the block computes the residual from."""
        cdef const Problem *problem = &self.batch.problems[t]
        cdef Small *small = &self.smalls[t]
        fit.block, fit.of, fit.y = self._block(t), self._weighting(t), problem.y
        fit.w, fit.r, fit.g = small.q.w, state.r, small.q.g
        fit.test, fit.error = &problem.test if problem.test.times != NULL else NULL, &state.error
        return 0

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

    cdef Py_ssize_t held(self) noexcept nogil:
        cdef Py_ssize_t b, most = 0
        for b in range(self.n_blocks):
            most = max(most, self.blocks[b].m)
        return most


cdef class OwnBlocks(Gathered):
    """A block for each problem, whose coordinates are the columns in it, in order.

    Parameters
    ----------
    batch : Batch
    """

    def __cinit__(self, Batch batch):
        self._allocate(batch)
        self._new_blocks(batch.n_problems, 1)

    cdef Py_ssize_t announce(self) noexcept nogil:
        cdef Py_ssize_t t, most = 0
        for t in range(self.n_problems):
            most = max(most, self.smalls[t].q.m + self.smalls[t].n_entering)
        return most

    cdef int admit(self, Py_ssize_t t, double alpha, const State *state) except -1 nogil:
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k, m = small.q.m, n = small.n_entering
        small.n_entering = 0
        if n == 0:
            return 0
        with gil:
            self._append(t, n)
        self.reserve(t, m + n)
        for k in range(n):
            self.add(t, small.entering[k], alpha, 0)
        small.q.G, small.q.ldg = self._weighting(t).G, self._block(t).ld
        return self._correlate_new(t, m, state.r)

    cdef int _append(self, Py_ssize_t t, Py_ssize_t n) except -1:
        """Gather the first n entering columns, which takes a hold of the problem's own design."""
        cdef View design = self.batch.design_of(t)
        with nogil:
            block_append(self._block(t), design, self.smalls[t].entering, n)
        return 0


cdef class SharedBlock(Gathered):
    """One block for all problems, each of which has some of its columns.

    Parameters
    ----------
    batch : Batch
    parts : tuple or None
        What differs between the weightings of the rows, where there are several: their shares in the roots of the
        weights of the batch's design (n_problems, n), and the parts of the rows on which these are constant: their
        rows one part after the other (n, intc), where each begins and the end (intp), the squared shares (n_problems,
        n_parts).
    """

    def __cinit__(self, Batch batch, parts):
        cdef Py_ssize_t t
        self._allocate(batch)
        self._new_blocks(1, batch.n_weightings)
        self.at, self.coming = self.pool.ints(batch.p), self.pool.ints(batch.p)
        memset(self.at, -1, batch.p * sizeof(int))
        self.placed = <Placed *> zeros(batch.n_problems * sizeof(Placed))
        for t in range(batch.n_problems):
            self.placed[t].pos = self.pool.ints(batch.p)
        if batch.n_weightings > 1:
            self._set_parts(parts)

    cdef int _set_parts(self, parts) except -1:
        cdef Py_ssize_t f
        cdef Block *block = self.blocks
        self.share, self.order, self.start, self.count = parts
        block.n_parts = self.start.shape[0] - 1
        block.order, block.start, block.count = &self.order[0], &self.start[0], &self.count[0, 0]
        for f in range(block.n_of):
            block.of[f].share = &self.share[f, 0]
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t t
        for t in range(self.n_problems if self.placed != NULL else 0):
            free(self.placed[t].G)
            free(self.placed[t].w)
            free(self.placed[t].g)
        free(self.placed)

    cdef const int *_positions(self, Py_ssize_t t) noexcept nogil:
        return self.placed[t].pos

    cdef int _fit(self, Py_ssize_t t, State *state, Fit *fit) except -1 nogil:
        """Coefficients by position: the block holds other problems' columns, too."""
        cdef Placed *placed = &self.placed[t]
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k, m = self.blocks[0].m
        Gathered._fit(self, t, state, fit)
        if placed.room < m or placed.w == NULL:
            placed.room = m + m // 2
            grow(<void **> &placed.w, placed.room * sizeof(double))
            grow(<void **> &placed.g, placed.room * sizeof(double))
        memset(placed.w, 0, m * sizeof(double))
        for k in range(small.q.m):
            placed.w[placed.pos[k]] = small.q.w[k]
        fit.w, fit.g = placed.w, placed.g
        return 0

    cdef void _take(self, Py_ssize_t t, State *state) noexcept nogil:
        cdef Small *small = &self.smalls[t]
        cdef Py_ssize_t k
        for k in range(small.q.m if self.batch.design.sparse() else 0):
            small.q.g[k] = self.placed[t].g[self.placed[t].pos[k]]
        Gathered._take(self, t, state)

    cdef Py_ssize_t announce(self) noexcept nogil:
        cdef Py_ssize_t t, k
        cdef const Small *small
        self.n_coming = 0
        for t in range(self.n_problems):
            small = &self.smalls[t]
            for k in range(small.n_entering):
                self.at_hand[small.entering[k]] = True
                if self.at[small.entering[k]] < 0:
                    self.at[small.entering[k]] = <int> (self.blocks[0].m + self.n_coming)
                    self.coming[self.n_coming] = small.entering[k]
                    self.n_coming += 1
        return self.blocks[0].m + self.n_coming

    cdef int gather(self) except -1 nogil:
        if self.n_coming == 0:
            return 0
        block_append(self.blocks, self.batch.design, self.coming, self.n_coming)
        return self._check_digits()

    cdef int _check_digits(self) except -1 nogil:
        """Whether the Gram matrices of several weightings, sums and differences of parts, know the norms of the last
        columns: where entries or levels of the rows left out are huge, nothing is left of the others."""
        cdef Py_ssize_t f, a, first = self.blocks[0].m - self.n_coming
        cdef double norm, diagonal
        for f in range(self.batch.n_weightings if self.batch.n_weightings > 1 else 0):
            for a in range(first, self.blocks[0].m):
                norm = self.batch.terms[f].norm[self.coming[a - first]]
                diagonal = self.blocks[0].of[f].G[gram_column(self.blocks, a) + a]
                if fabs(diagonal - norm * norm) > DIGITS * norm * norm and norm > 0:
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
        self._copy_gram(t, m)
        return self._correlate_new(t, m, state.r)

    cdef int _copy_gram(self, Py_ssize_t t, Py_ssize_t first) except -1 nogil:
        """Rows and columns from `first` on of the problem's own Gram matrix, out of the block's."""
        cdef Placed *placed = &self.placed[t]
        cdef Small *small = &self.smalls[t]
        cdef const double *shared = self._weighting(t).G
        cdef const int *pos = placed.pos
        cdef Py_ssize_t i, k, m = small.q.m, room
        cdef double *G = NULL
        if m > placed.ldg:
            room = m + m // 2
            grow(<void **> &G, room * room * sizeof(double))
            for k in range(first):
                memcpy(G + k * room, placed.G + k * placed.ldg, first * sizeof(double))
            free(placed.G)
            placed.G, placed.ldg = G, room
        small.q.G, small.q.ldg = placed.G, placed.ldg
        for k in range(first, m):
            for i in range(m):
                placed.G[k * placed.ldg + i] = shared[gram_column(self.blocks, max(pos[k], pos[i]))
                                                      + min(pos[k], pos[i])]
                placed.G[i * placed.ldg + k] = placed.G[k * placed.ldg + i]
        return 0


cdef void _set_weighting(Weighting *weighting, View design) noexcept:
    weighting.root, weighting.weight_sum, weighting.column_mean = design.root, design.weight_sum, design.mean


cdef object gram_of_columns(View design, const int[::1] features):
    """X'X of a few columns, centred and weighted, from a block that is made for it."""
    cdef Py_ssize_t a, s = features.shape[0]
    cdef Block block
    cdef double[:, ::1] G = np.empty((s, s))
    memset(&block, 0, sizeof(Block))
    block_init(&block, design, 1)
    try:
        _set_weighting(&block.of[0], design)
        block_append(&block, design, &features[0], s)
        for a in range(s):
            memcpy(&G[a, 0], block.of[0].G + a * block.ld, s * sizeof(double))
    finally:
        block_free(&block)
    return G.base
