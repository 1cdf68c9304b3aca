"""Kernels and parts of the engine as objects that take and give arrays: each wraps one struct and adds nothing."""
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from fastreg.datafits.base cimport Datafit
from fastreg.datafits.quadratic import QUADRATIC
from fastreg.kernels.block cimport (
    Block, Fit, Test, block_append, block_correlate, block_free, block_init, block_products, block_residuals)
from fastreg.kernels.block_gram cimport block_gram, block_means, gram_column, gram_of_new
from fastreg.kernels.design cimport Moments
from fastreg.kernels.factor cimport Factor, factor_append, factor_free, factor_init, factor_remove, factor_solve
from fastreg.kernels.memory cimport zeros
from fastreg.kernels.quadratic cimport (
    FREE, Quad, quad_add, quad_free, quad_init, quad_place, quad_polish, quad_reserve, quad_set_l2, quad_settled,
    quad_solve)
from fastreg.kernels.references cimport (
    MAX_REFERENCES, References, references_fit, references_free, references_init, references_keep,
    references_slot)
from fastreg.kernels.rows cimport RowLists, rows_free, rows_init, rows_push, rows_repack, rows_reserve
from fastreg.kernels.view cimport View
from fastreg.solvers.certificate cimport Judged, duality_gap
from fastreg.solvers.matrix_free cimport free_settled, free_solve
from fastreg.solvers.problem cimport Batch, Problem, Terms
from fastreg.solvers.reference_screening cimport Bounds, ReferenceScreening, Watch
from fastreg.solvers.screening cimport Findings
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State, measure


def prepare(View d):
    """The design with the moments of its columns, norm1 and levels among them."""
    cdef Moments own = d.own()
    with nogil:
        d.moments(&own, 1, NULL, 0, NULL)
    return d


cdef class RowBlock:
    """RowLists of n rows."""
    cdef RowLists rows

    def __cinit__(self, Py_ssize_t n):
        rows_init(&self.rows, n)

    def __dealloc__(self):
        rows_free(&self.rows)

    def push(self, Py_ssize_t i, int pos, double val):
        rows_reserve(&self.rows, i, 1)
        rows_push(&self.rows, i, pos, val)

    def repack(self, Py_ssize_t extra):
        rows_repack(&self.rows, extra)

    def lists(self):
        """Of each row, its positions and values."""
        cdef Py_ssize_t i, e
        return [[(self.rows.pos[self.rows.row[i].start + e], self.rows.val[self.rows.row[i].start + e])
                 for e in range(self.rows.row[i].len)] for i in range(self.rows.n)]

    def spans(self):
        """Of each row, where it starts in the arena and how much room it has; and the size of the arena."""
        cdef Py_ssize_t i
        return [(self.rows.row[i].start, self.rows.row[i].room) for i in range(self.rows.n)], self.rows.size


cdef class WorkingBlock:
    """A Block, under the weights of its design or, for sparse X, of several designs that differ by parts of the rows.

    `parts`: as for Engine, (order (n), start (n_parts + 1), multiples (n_of, n_parts)).
    """
    cdef Block b
    cdef View d
    cdef list designs
    cdef const double[:, ::1] count
    cdef const int[::1] order
    cdef const Py_ssize_t[::1] start

    def __cinit__(self, View d, designs=None, parts=None):
        cdef Py_ssize_t f
        cdef View design
        self.d, self.designs = d, [d] if designs is None else list(designs)
        block_init(&self.b, d, len(self.designs))
        if parts is not None:
            self.order, self.start, self.count = parts
            self.b.n_parts, self.b.base = self.start.shape[0] - 1, d.weight
            self.b.order, self.b.start, self.b.count = &self.order[0], &self.start[0], &self.count[0, 0]
        for f, design in enumerate(self.designs):
            self.b.of[f].weight, self.b.of[f].root, self.b.of[f].total = design.weight, design.root, design.weight_sum
            self.b.of[f].column_mean = design.mean

    def __dealloc__(self):
        block_free(&self.b)

    def append(self, const int[::1] cols):
        with nogil:
            block_append(&self.b, self.d, &cols[0], cols.shape[0])
            gram_of_new(&self.b, self.d, cols.shape[0])

    def gather(self, const int[::1] cols):
        """The columns without their Gram matrices."""
        with nogil:
            block_append(&self.b, self.d, &cols[0], cols.shape[0])

    def gram_under(self, const double[::1] s, const int[::1] pos, pieces):
        """X'diag(s)X of the columns at `pos`, centred as the design is, so many more at a time; and their means."""
        cdef Py_ssize_t first = 0, m = pos.shape[0], end
        cdef double[:, ::1] G = np.full((m, m + 3), np.nan)
        cdef double[::1] mean = np.full(m, np.nan)
        cdef double total = np.sum(s)
        for end in np.cumsum(pieces):
            with nogil:
                block_means(&self.b, &s[0], &pos[0], first, end, &mean[0])
                block_gram(&self.b, self.d, &s[0], &pos[0], first, end, &mean[0] if self.d.centred else NULL, total,
                           &G[0, 0], m + 3)
            first = end
        return G.base[:, :m], mean.base

    def products(self, const double[::1] w, const int[::1] pos=None, Py_ssize_t f=0):
        """X w, not weighted, of columns centred under weighting f."""
        cdef double[::1] out = np.full(self.b.n, np.nan)
        cdef const int *at = NULL if pos is None else &pos[0]
        with nogil:
            block_products(&self.b, self.d, self.b.of[f].mean, &w[0], at, w.shape[0], &out[0])
        return out.base

    def gram(self, Py_ssize_t f=0):
        """Both triangles as they are stored; the one that is stored, mirrored, where there are several."""
        cdef Py_ssize_t i, j, m = self.b.m
        cdef double[:, ::1] G = np.empty((m, m))
        for j in range(m):
            for i in range(m if self.b.n_of == 1 else j + 1):
                G[i, j] = self.b.of[f].G[gram_column(&self.b, j) + i]
                if self.b.n_of > 1:
                    G[j, i] = G[i, j]
        return G.base

    def residuals(self, const double[:, ::1] Y, const double[:, ::1] W, of=None, tests=None):
        """Residuals (k, n) of k fits, X'r (k, m) where X is sparse, and squared errors (k,) on
        `tests`: (times (k, n), y (n,), shifts (k,)). `of`: the weighting of each fit."""
        cdef Py_ssize_t t, f, k = Y.shape[0]
        cdef double[:, ::1] r = np.full((k, self.b.n), np.nan), g = np.full((k, max(1, self.b.m)), np.nan)
        cdef double[::1] errors = np.full(k, np.nan)
        cdef const double[:, ::1] times
        cdef const double[::1] y, shifts
        cdef Fit *fits = <Fit *> calloc(k, sizeof(Fit))
        cdef Test *sets = <Test *> calloc(k, sizeof(Test))
        if tests is not None:
            times, y, shifts = tests
        try:
            for t in range(k):
                f = 0 if of is None else of[t]
                fits[t].block, fits[t].of, fits[t].y, fits[t].w = &self.b, &self.b.of[f], &Y[t, 0], &W[t, 0]
                fits[t].r, fits[t].g, fits[t].error, fits[t].m = &r[t, 0], &g[t, 0], &errors[t], self.b.m
                if tests is not None:
                    sets[t].y, sets[t].root, sets[t].shift, sets[t].times = &y[0], self.d.root, shifts[t], &times[t, 0]
                    fits[t].test = &sets[t]
            with nogil:
                block_residuals(self.d, fits, k)
        finally:
            free(fits)
            free(sets)
        return r.base, g.base[:, :self.b.m], errors.base

    def correlate(self, const double[::1] r, Py_ssize_t f=0, Py_ssize_t first=0, const int[::1] pos=None):
        """x_j'r from place `first` on, nan before it."""
        cdef Py_ssize_t m = self.b.m if pos is None else pos.shape[0]
        cdef double[::1] g = np.full(m, np.nan)
        cdef const int *at = NULL if pos is None else &pos[0]
        with nogil:
            block_correlate(&self.b, self.d, &self.b.of[f], &r[0], at, first, m, &g[0])
        return g.base


cdef class Cholesky:
    """A Factor of G + diag(l2)."""
    cdef Factor f
    cdef const double[:, ::1] G
    cdef const double[::1] l2

    def __cinit__(self, const double[:, ::1] G, const double[::1] l2):
        factor_init(&self.f)
        self.G, self.l2 = G, l2

    def __dealloc__(self):
        factor_free(&self.f)

    def append(self, const int[::1] js):
        """Which of them depend on those before them and were left out."""
        cdef char[::1] dependent = np.zeros(js.shape[0], dtype=np.int8)
        cdef int rank = factor_append(&self.f, &self.G[0, 0], self.G.shape[0], &self.l2[0], &js[0], js.shape[0],
                                      &dependent[0])
        left_out = dependent.base.astype(bool)
        assert rank == js.shape[0] - np.count_nonzero(left_out)
        return left_out

    def remove(self, const int[::1] pos):
        factor_remove(&self.f, &pos[0], pos.shape[0])

    def solve(self, b):
        cdef double[::1] x = np.append(b, 0.)
        factor_solve(&self.f, &x[0])
        return x.base[:-1]

    @property
    def order(self):
        """Which coordinate each row belongs to."""
        return [self.f.idx[i] for i in range(self.f.s)]

    @property
    def lower(self):
        cdef Py_ssize_t i, j
        L = np.zeros((self.f.s, self.f.s))
        for j in range(self.f.s):
            for i in range(j, self.f.s):
                L[i, j] = self.f.L[j * self.f.ld + i]
        return L


cdef class SmallProblem:
    """A Quad: 1/2 w'Gw - q'w + sum l1 |w| + 1/2 sum l2 w^2, lo <= w <= hi."""
    cdef Quad Q
    cdef const double[:, ::1] G
    cdef readonly object q

    def __cinit__(self, const double[:, ::1] G, q, double[::1] l1, double[::1] l2, double[::1] lo, double[::1] hi,
                  double slack=1e-10, double noise=0, double loose=0):
        cdef Py_ssize_t j
        quad_init(&self.Q)
        self.G, self.q = G, q
        quad_reserve(&self.Q, len(q))
        self.Q.G, self.Q.ldg = &G[0, 0], len(q)
        self.Q.slack, self.Q.noise, self.Q.loose = slack, noise, loose
        for j in range(len(q)):
            quad_add(&self.Q, l1[j], l2[j], lo[j], hi[j], q[j])

    def __dealloc__(self):
        quad_free(&self.Q)

    def solve(self, int rounds=200):
        """Whether it is solved."""
        return quad_solve(&self.Q, rounds) == 1

    def penalise(self, double[::1] l1, double[::1] l2):
        """Go on with other penalties."""
        memcpy(self.Q.l1, &l1[0], self.Q.m * sizeof(double))
        memcpy(self.Q.l2, &l2[0], self.Q.m * sizeof(double))
        quad_place(&self.Q)
        quad_set_l2(&self.Q)

    def start(self, double[::1] w):
        """From w, whose correlations are computed afresh."""
        memcpy(self.Q.w, &w[0], self.Q.m * sizeof(double))
        quad_place(&self.Q)
        self.correlate()

    def correlate(self):
        self.correlate_with(self.q - np.asarray(self.G) @ self.w)

    def correlate_with(self, double[::1] g):
        """g is what the correlations are at w."""
        memcpy(self.Q.g, &g[0], self.Q.m * sizeof(double))
        memcpy(self.Q.seen, self.Q.w, self.Q.m * sizeof(double))

    def polish(self):
        return quad_polish(&self.Q)

    @property
    def settled(self):
        return bool(quad_settled(&self.Q))

    @property
    def w(self):
        return _copy(self.Q.w, self.Q.m)

    @property
    def g(self):
        return _copy(self.Q.g, self.Q.m)

    @property
    def support(self):
        return [self.Q.f.idx[i] for i in range(self.Q.f.s)]

    @property
    def states(self):
        return [self.Q.st[j] for j in range(self.Q.m)]


def solve_by_products(View d, const int[::1] cols, const double[::1] y, l1, l2, lo, hi, double slack=1e-10):
    """free_solve on these columns, from zero: the solution, its residual, and whether it is solved."""
    cdef Quad Q
    cdef Py_ssize_t j, m = cols.shape[0]
    cdef double[::1] r = np.array(y)
    quad_init(&Q)
    try:
        quad_reserve(&Q, m)
        Q.slack, Q.noise, Q.loose = slack, 5e-15 * np.linalg.norm(y), 0
        for j in range(m):
            quad_add(&Q, l1[j], l2[j], lo[j], hi[j], 0)
        solved = free_solve(&Q, d, &cols[0], &r[0]) == 1
        return _copy(Q.w, m), r.base, solved and free_settled(&Q, d, &cols[0])
    finally:
        quad_free(&Q)


cdef class KnownResiduals:
    """References of length n and their correlations with p columns."""
    cdef References f
    cdef Py_ssize_t p

    def __cinit__(self, Py_ssize_t n, Py_ssize_t p, int most=MAX_REFERENCES):
        memset(&self.f, 0, sizeof(References))
        self.p = p
        references_init(&self.f, n, p, most)

    def __dealloc__(self):
        references_free(&self.f)

    def keep(self, const double[::1] r, const double[::1] g):
        memcpy(references_slot(&self.f), &g[0], self.p * sizeof(double))
        references_keep(&self.f, &r[0])

    def fit(self, const double[::1] r):
        """Coefficients on the residuals held, the remainder and its norms."""
        cdef double c[MAX_REFERENCES]
        cdef double e2, einf
        cdef double[::1] e = np.empty(self.f.n)
        references_fit(&self.f, &r[0], c, &e[0], &e2, &einf)
        return np.array([c[k] for k in range(self.f.held)]), e.base, e2, einf

    @property
    def held(self):
        """The residuals, and their correlations, in their places."""
        return [(_copy(self.f.r[k], self.f.n), _copy(self.f.g[k], self.p)) for k in range(self.f.held)]

    @property
    def has_first(self):
        return bool(self.f.first)


cdef _copy(const double *x, Py_ssize_t n):
    cdef double[::1] out = np.empty(n)
    if n > 0:
        memcpy(&out[0], x, n * sizeof(double))
    return out.base


cdef class _Arrays:
    """Arrays that structs point to, kept alive."""
    cdef list held

    def __cinit__(self):
        self.held = []

    cdef double *doubles(self, values, Py_ssize_t n) except? NULL:
        cdef double[::1] out = np.zeros(max(n, 1)) + np.nan
        if values is not None:
            out.base[:n] = values
        self.held.append(out)
        return &out[0]

    cdef int *ints(self, values, Py_ssize_t n) except? NULL:
        cdef int[::1] out = np.full(max(n, 1), -1, dtype=np.intc)
        if values is not None:
            out.base[:n] = values
        self.held.append(out)
        return &out[0]

    cdef char *flags(self, Py_ssize_t n) except? NULL:
        cdef char[::1] out = np.zeros(max(n, 1), dtype=np.int8)
        self.held.append(out)
        return &out[0]


cdef int _terms(Terms *t, _Arrays keep, Py_ssize_t p, pen1, pen2, lo, hi, norms, means, double weight_sum) except -1:
    memset(t, 0, sizeof(Terms))
    t.pen1, t.pen2 = keep.doubles(pen1, p), keep.doubles(pen2, p)
    t.lo, t.hi, t.norm = keep.doubles(lo, p), keep.doubles(hi, p), keep.doubles(norms, p)
    t.mean = NULL if means is None else keep.doubles(means, p)
    t.i1 = t.i2 = t.ilo = t.ihi = 1
    t.weight_sum, t.least_pen1 = weight_sum, np.min(pen1)
    return 0


def gap(double alpha, norms, pen1, pen2, lo, hi, inside, w, g, double rr, *, violators=(), violator_g=(), fitted=(),
        double noise=0, double loss=0, means=None, double weight_sum=0):
    """duality_gap at coefficients w of the columns `inside`, whose X'r is g; `fitted`: the free ones in the support.

    Penalties, limits and moments are arrays over all columns."""
    cdef Problem problem
    cdef State state
    cdef Small small
    cdef Findings found
    cdef Judged judged
    cdef Terms terms
    cdef _Arrays keep = _Arrays()
    cdef Py_ssize_t k, j, m = len(inside)
    memset(&problem, 0, sizeof(Problem))
    memset(&state, 0, sizeof(State))
    memset(&small, 0, sizeof(Small))
    memset(&found, 0, sizeof(Findings))
    _terms(&terms, keep, len(norms), pen1, pen2, lo, hi, norms, means, weight_sum)
    quad_init(&small.q)
    quad_reserve(&small.q, m + 1)
    try:
        for k in range(m):
            j = inside[k]
            quad_add(&small.q, alpha * pen1[j], alpha * pen2[j], lo[j], hi[j], g[k])
            small.q.w[k] = w[k]
            if j in fitted:
                small.q.st[k] = FREE
        problem.terms, problem.noise, small.cols = &terms, noise, keep.ints(inside, m)
        found.n, found.loss = len(violators), loss
        found.cols, found.g = keep.ints(violators, found.n), keep.doubles(violator_g, found.n)
        state.rr = rr
        judged.problem, judged.state, judged.small, judged.found = &problem, &state, &small, &found
        return duality_gap(<Datafit> QUADRATIC, 0, &judged, 1, alpha)
    finally:
        quad_free(&small.q)


cdef class Outside:
    """Screening of the columns outside working sets, all of them empty, for targets whose residuals the caller sets."""
    cdef ReferenceScreening screening
    cdef Batch batch
    cdef State *states
    cdef _Arrays keep
    cdef char *none
    cdef Py_ssize_t n, p

    def __cinit__(self, View d, Y, pen1, pen2, lo, hi, double slack=1e-9, int most=MAX_REFERENCES):
        cdef Py_ssize_t t, T = len(Y)
        self.n, self.p, self.keep = d.n, d.p, _Arrays()
        self.states = <State *> zeros(T * sizeof(State))
        self.none = self.keep.flags(self.p)
        self.batch = Batch(d, None, np.array(Y), QUADRATIC, None)
        self.batch.read_moments()
        self.batch.set_penalties([(np.array(pen1), np.array(pen2), np.array(lo), np.array(hi))])
        for t in range(T):
            self.states[t].r = self.keep.doubles(Y[t], self.n)
            self.put(t, Y[t])
        self.screening = ReferenceScreening(self.batch, slack, most)
        self.screening.begin()

    def __dealloc__(self):
        free(self.states)

    def put(self, Py_ssize_t t, r, double spare=0, bint done=False, bint asleep=False):
        """Target t has come to residual r; its l2 terms may leave `spare` in the gap."""
        cdef State *state = &self.states[t]
        cdef const double[::1] values = np.ascontiguousarray(r)
        memcpy(state.r, &values[0], self.n * sizeof(double))
        measure(state, self.n)
        state.spare, state.done, state.asleep = spare, done, asleep

    def revive(self, double alpha):
        """The live columns from now on."""
        self.screening.revive(alpha, self.states)
        return [self.screening.live[a] for a in range(self.screening.n_live)]

    def screen(self, Py_ssize_t t, double alpha):
        """Candidates of target t: the columns that the bound does not clear."""
        cdef Watch *watch = &self.screening.watches[t]
        self.screening.screen(t, alpha, self.states[t].r, self.states[t].spare, self.none)
        return [self.screening.live[watch.cand[k]] for k in range(watch.n_cand)]

    def bounds(self, Py_ssize_t t):
        """Estimates of x_j'r and their errors, by column; nan where a column is not live."""
        cdef Bounds *now = &self.screening.watches[t].now
        est, err = np.full(self.p, np.nan), np.full(self.p, np.nan)
        for a in range(now.n):
            est[self.screening.live[a]], err[self.screening.live[a]] = now.est[a], now.err[a]
        return est, err

    def loss(self, Py_ssize_t t):
        return self.screening.found(t).loss

    def read(self):
        """Exact correlations of all candidates; returns the elements streamed so far."""
        self.screening.read_candidates(1)
        return self.screening.streamed

    def violators(self, Py_ssize_t t, double alpha):
        """Columns that break their condition, and x_j'r of each."""
        cdef const Findings *found = self.screening.violators(t, alpha)
        return {found.cols[k]: found.g[k] for k in range(found.n)}

    def predict(self, Py_ssize_t t, double alpha):
        """Columns expected to enter at alpha."""
        cdef const Findings *found = self.screening.found(t)
        self.screening.predict(t, alpha, self.states[t].r, self.none, self.none)
        return [found.cols[k] for k in range(found.n)]
