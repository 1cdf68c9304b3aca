# The small problem on the working set.
from libc.math cimport sqrt

from fastreg.kernels.factor cimport Factor

cdef enum State:
    OUT = 0          # at zero
    FREE = 1         # in the support, in the factor
    AT_LOWER = 2     # at a bound other than zero
    AT_UPPER = 3
    WAITING = 4      # linearly dependent on the support
    IDLE = 5         # dependent, at zero, and its violation is rounding: rests until the support loses a coordinate

cdef struct Quad:
    Py_ssize_t m, cap, ldg
    const double *G      # Gram matrix, column-major, symmetric, owned by the caller
    double *w            # solution
    double *g            # q - G w: correlation with the residual
    double *l1
    double *l2
    double *lo
    double *hi
    double *sg           # sign held by a free coordinate (0: not penalised by l1)
    double *l2f          # the l2 that the factor holds for a free coordinate
    double *seen         # the w for which g is valid outside the support
    char *st
    Factor f
    double slack         # a KKT violation below slack * l1 + noise * sqrt(G_jj) is none; in the support,
    double noise
    double loose         # loose * sqrt(l2) more is
    double *rem          # work over the support: stationarity residual, step, rate of change, breakpoints
    double *d
    double *rate
    double *res          # work of the preconditioned solve
    double *dir
    double *mdir
    double *tb
    int *list_
    int *order
    char *flag

cdef struct Break:
    double t             # how far along a step a coordinate meets zero or a bound
    int i


cdef inline double quad_tolerance(const Quad *q, Py_ssize_t j) noexcept nogil:
    """The largest violation of coordinate j's condition that passes for none.

    In the support, one of loose * sqrt(l2) adds loose^2 / 2 to the duality gap, however ill-conditioned G is."""
    return q.slack * q.l1[j] + q.noise * sqrt(q.G[j * q.ldg + j]) + (
        q.loose * sqrt(q.l2[j]) if q.st[j] == FREE else 0)


cdef int by_time(const void *a, const void *b) noexcept nogil
cdef int quad_init(Quad *q) noexcept nogil
cdef void quad_free(Quad *q) noexcept nogil
cdef int quad_reserve(Quad *q, Py_ssize_t cap) except -1 nogil
cdef void quad_add(Quad *q, double l1, double l2, double lo, double hi, double g) noexcept nogil
cdef double quad_breakpoint(const Quad *q, Py_ssize_t j, double d) noexcept nogil
cdef void quad_freeze(Quad *q, Py_ssize_t j, double d) noexcept nogil
cdef bint quad_violates(const Quad *q, Py_ssize_t j, double *sign) noexcept nogil
cdef int quad_place(Quad *q, bint slide=*) except -1 nogil
cdef bint quad_settled(const Quad *q) noexcept nogil
cdef int quad_set_l2(Quad *q) except -1 nogil
cdef int quad_refresh(Quad *q, bint everywhere) noexcept nogil
cdef int quad_solve(Quad *q, int rounds) except -1 nogil
cdef double quad_polish(Quad *q) except -1 nogil
