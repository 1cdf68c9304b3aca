# What is asked of an engine: targets that share X, each under a weighting of the rows, and their penalties.
from libc.math cimport isinf
from libc.string cimport memcpy

from fastreg.datafits.base cimport Datafit
from fastreg.kernels.block cimport Test
from fastreg.kernels.view cimport View

cdef struct Terms:
    # by column; a stride i of 0 stands for one value for all columns
    const double *pen1   # alpha times it is the l1 penalty
    const double *pen2
    const double *lo
    const double *hi
    Py_ssize_t i1, i2, ilo, ihi
    const double *norm
    const double *mean   # sparse storage, NULL otherwise
    double weight_sum
    double least_pen1

cdef inline double l1_factor(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.pen1[j * t.i1]


cdef inline double l2_factor(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.pen2[j * t.i2]


cdef inline double lower(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.lo[j * t.ilo]


cdef inline double upper(const Terms *t, Py_ssize_t j) noexcept nogil:
    return t.hi[j * t.ihi]


cdef inline bint excluded(const Terms *t, Py_ssize_t j) noexcept nogil:
    """Whether column j is constant, or left out by its penalty or limits."""
    return (t.norm[j] == 0 or isinf(l1_factor(t, j)) or isinf(l2_factor(t, j))
            or (lower(t, j) == 0 and upper(t, j) == 0))


cdef struct Problem:
    const double *y          # what the datafit reads; of the squared loss, sqrt(s) (y - mean of y)
    const double *root       # sqrt(s), NULL for ones
    const double *weight     # s, NULL for ones
    const double *offset     # NULL for zeros
    const double *null_r     # the residual at w = 0, -sqrt(s) f'
    const double *null_eta
    double null_b
    double null_rr           # ||null_r||^2
    double saturated         # the least loss there is, of losses other than the squared one
    double unit              # what tol is a multiple of: the loss that is to be explained, ||y||^2 of the squared loss
    double noise             # rounding of a correlation with a column of length 1
    const Terms *terms
    Test test            # its test set, where times is not NULL


cdef inline void weigh(const double *root, Py_ssize_t n, const double *r, double *v) noexcept nogil:
    """v = sqrt(s) r: what X is streamed against."""
    cdef Py_ssize_t i
    if root == NULL:
        memcpy(v, r, n * sizeof(double))
    else:
        for i in range(n):
            v[i] = root[i] * r[i]


cdef class Batch:
    cdef Datafit datafit
    cdef View design
    cdef list designs                         # of each weighting of the rows: one, or one for each problem
    cdef Py_ssize_t n_problems, n_weightings, n, p
    cdef Problem *problems
    cdef Terms *terms                         # of each weighting
    cdef double[:, ::1] xy                    # X'r at w = 0
    cdef object nulls                         # what problems point to
    cdef const double[:, ::1] Y
    cdef const double[:, ::1] times
    cdef const double[::1] test_y
    cdef list penalties                       # arrays that terms point to

    cdef View design_of(self, Py_ssize_t t)
    cdef int _set_null(self, Problem *problem, Py_ssize_t t) except -1
    cdef int set_tests(self, const double[:, ::1] times, const double[::1] y, const double[::1] shifts) except -1
    cdef Py_ssize_t read_moments(self) except -1
    cdef int set_penalties(self, penalties) except -1
    cdef bint excluded_from_all(self, Py_ssize_t j) noexcept nogil
    cdef bint any_free(self) noexcept nogil
    cdef bint any_l1(self) noexcept nogil
    cdef double alpha_bound(self) noexcept nogil
    cdef object largest_alphas(self, const double[:, ::1] g)
