# Small problems under a loss whose curvature changes: Newton's method.
from fastreg.kernels.quadratic cimport Quad
from fastreg.solvers.gathered cimport Gathered
from fastreg.solvers.small cimport Small
from fastreg.solvers.state cimport State

cdef struct Model:
    # the quadratic model of the loss on one working set
    double *weight       # s times the curvatures that its Gram matrix holds
    double total         # their sum
    double *v            # X times a step
    double *trial        # eta at the end of a trial
    double *slope        # derivatives of the loss there,
    double *share        # and less these with the weights
    double left          # what the residual sums to, with the weights, where the intercept is yet to be solved for
    double *mean         # by coordinate: what is left of the column's mean under `weight`
    double *before       # coefficients where a step begins
    double *g            # and their correlations
    double *step
    double *terms        # their penalties, l1 and l2, while they are scaled
    Py_ssize_t room      # coordinates that the last five have room for
    Py_ssize_t slid      # how many have slid to other penalties since then: `before` has what they were
    double scale         # times that curvature: what the steps under it have found
    double last          # violation where the last step began, 0 where there is none to go on from
    double rate          # what is left of a violation by a step under this curvature, as far as is known
    bint flat            # no row had any curvature where it was made
    bint stale           # the Gram matrix is under no curvature yet, or under one that helps no longer
    bint open            # the intercept, and the residual, are yet to be solved for
    bint moved           # coefficients have changed since the residual was computed

cdef class Curved(Gathered):
    cdef Model *models                        # of each problem

    cdef int _room(self, Py_ssize_t t) except -1 nogil
    cdef int _refresh(self, Py_ssize_t t, const State *state) except -1 nogil
    cdef int _judge_slide(self, Py_ssize_t t, State *state) except -1 nogil
    cdef double _objective(self, Py_ssize_t t, const State *state, const double *w, Py_ssize_t m) noexcept nogil
    cdef void _settle(self, Py_ssize_t t, State *state) noexcept nogil
    cdef bint _goes_on(self, Py_ssize_t t, double times) noexcept nogil
    cdef double _price(self, Py_ssize_t t) noexcept nogil
    cdef void _residual_of(self, Py_ssize_t t, const double *slope, State *state) noexcept nogil
    cdef int _minimise(self, Py_ssize_t t) except -1 nogil
    cdef void _reduce(self, Py_ssize_t t, double sign) noexcept nogil
    cdef bint _take_step(self, Py_ssize_t t, State *state) except -1 nogil
    cdef double _go(self, Py_ssize_t t, State *state, double level, double begin) except -1 nogil
    cdef bint _falls(self, Py_ssize_t t, const State *state, double part, double begin, bint *hidden) noexcept nogil
    cdef double _backtrack(self, Py_ssize_t t, const State *state, double begin) noexcept nogil
    cdef double _slope(self, Py_ssize_t t, const State *state, double part) noexcept nogil
    cdef double _search(self, Py_ssize_t t, const State *state, double begin, double end) noexcept nogil
