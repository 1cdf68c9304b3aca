"""Duality gap of a solution, from the exact correlations of the working set and of the violators outside it."""
from libc.math cimport INFINITY, fabs, isinf, sqrt

from fastreg.datafits.base cimport Datafit
from fastreg.kernels.factor cimport PIVOT_TOL
from fastreg.kernels.quadratic cimport FREE, Quad
from fastreg.solvers.problem cimport Terms, excluded, l1_factor, l2_factor, lower, upper
from fastreg.solvers.state cimport State


cdef double duality_gap(Datafit datafit, Py_ssize_t n, const Judged *of, Py_ssize_t count,
                        double alpha) noexcept nogil:
    """Primal minus dual objective at c times the residual, for the best of the c worth trying.

    A sum of what the datafit, each column inside and each violator outside leave, none of them negative but for
    rounding; over `count` problems where these are one, the classes of a loss. Correlations of free columns (neither
    penalised nor limited on that side) should be zero; what is left of them is counted as the descent that a step along
    them would still bring."""
    cdef const State *state = of[0].state
    cdef Py_ssize_t t
    cdef double gap, yr = state.rr, c_safe = 1, loss = 0
    for t in range(count):
        if _fit_scale(&of[t], alpha, &c_safe, &yr, &loss):
            return INFINITY
    gap = min(_gap_at(datafit, n, of, count, alpha, c_safe), _gap_at(datafit, n, of, count, alpha, 1))
    if datafit.quadratic and state.rr > 0:   # y'r / r'r: where the dual objective is largest
        gap = min(gap, _gap_at(datafit, n, of, count, alpha, min(max(yr / state.rr, -c_safe), c_safe)))
    return (0 if gap < 0 else gap) + loss        # a NaN stays one: no gap is small by overflow


cdef bint _fit_scale(const Judged *of, double alpha, double *c_safe, double *yr, double *loss) noexcept nogil:
    """Lower c_safe to what a problem allows, and add what its free columns and unread ones leave to `loss`; True where
    a free column has yet to be fitted."""
    cdef const Terms *terms = of.problem.terms
    cdef const Quad *q = &of.small.q
    cdef double noise = of.problem.noise
    cdef Py_ssize_t j, k
    loss[0] += of.found.loss
    for j in range(q.m):
        k = of.small.cols[j]
        if excluded(terms, k):
            continue
        yr[0] += q.w[j] * q.g[j]
        _scaling(terms, q.g[j], k, alpha, noise, q.st[j] == FREE, c_safe, loss)
    for k in range(of.found.n):
        if _free(terms, of.found.g[k], of.found.cols[k], alpha):
            return True
        _scaling(terms, of.found.g[k], of.found.cols[k], alpha, noise, False, c_safe, loss)
    return False


cdef double _gap_at(Datafit datafit, Py_ssize_t n, const Judged *of, Py_ssize_t count, double alpha,
                    double c) noexcept nogil:
    """The gap at c times the residual; infinite where that is not feasible."""
    cdef Py_ssize_t t
    cdef double gap = 0
    for t in range(count):
        gap += _of_columns(&of[t], alpha, c)
    for t in range(count if gap < INFINITY else 0):
        gap += datafit.excess(n, of[t].problem.y, of[t].problem.weight, of[t].state.eta, of[t].state.rr, c)
    return gap


cdef double _of_columns(const Judged *of, double alpha, double c) noexcept nogil:
    """What the columns of a problem leave at c times the residual."""
    cdef const Terms *terms = of.problem.terms
    cdef const Quad *q = &of.small.q
    cdef Py_ssize_t j, k
    cdef double gap = 0
    for j in range(q.m):
        k = of.small.cols[j]
        if not excluded(terms, k) and not _free(terms, q.g[j], k, alpha):    # whose slopes would be zero
            gap += (q.l1[j] * fabs(q.w[j]) + 0.5 * q.l2[j] * q.w[j] * q.w[j] - c * q.g[j] * q.w[j]
                    + _conjugate(terms, c * q.g[j], k, alpha, of.problem.noise))
    for k in range(of.found.n):
        gap += _conjugate(terms, c * of.found.g[k], of.found.cols[k], alpha, of.problem.noise)
    return gap


cdef inline bint _free(const Terms *t, double g, Py_ssize_t j, double alpha) noexcept nogil:
    """No penalty and no limit on the side that g points to."""
    return (alpha * l1_factor(t, j) == 0 and alpha * l2_factor(t, j) == 0
            and isinf(upper(t, j) if g > 0 else lower(t, j)))


cdef void _scaling(const Terms *t, double g, Py_ssize_t j, double alpha, double noise, bint fitted, double *c,
                   double *free_) noexcept nogil:
    """Lower c until c g is feasible for column j; or add to what the free columns leave.

    One that is not in the support depends on it, up to a remainder of squared length 1e-3 PIVOT_TOL of its own."""
    cdef double l1 = alpha * l1_factor(t, j), size = fabs(g), norm = t.norm[j]
    if _free(t, g, j, alpha):
        if not fitted:
            size = max(size - _rounding(t, j, noise), 0.)
        free_[0] += size * size / (norm * norm) * (1 if fitted else 0.5e3 / PIVOT_TOL)
    elif isinf(upper(t, j) if g > 0 else lower(t, j)):
        size = max(size - noise * norm, 0.)
        if size * c[0] > l1:
            c[0] = l1 / size


cdef inline double _rounding(const Terms *t, Py_ssize_t j, double noise) noexcept nogil:
    """Rounding of x_j'r: that of a sparse column grows with its level, which is only subtracted from the sum."""
    cdef double norm = t.norm[j], level = t.mean[j] if t.mean != NULL else 0
    return noise * sqrt(norm * norm + t.weight_sum * level * level)


cdef double _conjugate(const Terms *t, double u, Py_ssize_t j, double alpha, double noise) noexcept nogil:
    """sup over lo <= w <= hi of u w - l1 |w| - l2 w^2 / 2; an excess of u at its rounding counts for nothing."""
    cdef double l2 = alpha * l2_factor(t, j)
    cdef double e = fabs(u) - alpha * l1_factor(t, j) * (1 + 1e-14) - noise * t.norm[j]
    cdef double end = upper(t, j) if u > 0 else -lower(t, j)
    if e <= 0 or end == 0 or _free(t, u, j, alpha):
        return 0
    if l2 > 0:
        end = min(end, e / l2)
    return INFINITY if isinf(end) else e * end - 0.5 * l2 * end * end
