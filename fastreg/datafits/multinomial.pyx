"""The loss of a softmax ``log(sum_k exp(eta_k)) - eta_y`` of three or more classes, target by target.

Given the other classes it is, for class k and but for what does not depend on eta_k, the logistic loss of
``eta_k + o``, ``o = -log(sum_{l != k} exp(eta_l))``: y is 1 in rows of the class and -1 elsewhere, and what every
target reads as its eta is that sum. In rows of the class it is the log-odds of the label, on which the loss of all
depends.
"""
from libc.math cimport exp, fabs, log1p

import numpy as np
from scipy.special import logsumexp, softmax

from fastreg.datafits.logistic cimport Logistic, relative_entropies
from fastreg.kernels.classes cimport classes_fit, classes_fit_work


cdef class Multinomial(Logistic):
    """Class k of a softmax, given the others."""

    one_sided = ("y must have a row of positive weight of each class, in each training set: some have none, and their "
                 "intercepts are infinite.")

    def __cinit__(self):
        self.name, self.coupled = "multinomial", True

    cdef double own(self, Py_ssize_t n, const double *y, const double *s, const double *eta) noexcept nogil:
        """That of the rows of the class: of the others the other classes count it."""
        cdef Py_ssize_t i
        cdef double total = 0
        for i in range(n):
            if y[i] > 0 and (s == NULL or s[i] > 0):
                total += (1 if s == NULL else s[i]) * (log1p(exp(-fabs(eta[i]))) + max(-eta[i], 0))
        return total

    cdef double excess(self, Py_ssize_t n, const double *y, const double *s, const double *eta, double rr,
                       double c) noexcept nogil:
        """Likewise of the rows of the class alone: the relative entropy of (1 - c) y + c p and p, p being the
        probabilities of all classes, is that of the label and of the others together."""
        return relative_entropies(n, y, s, eta, c, True)

    def inverse_link(self, eta):
        """Probabilities, of eta of shape (..., n_classes)."""
        return softmax(eta, axis=-1)

    def deviance(self, y, eta, weights=None):
        """``2 sum_i s_i f_i``, of y of 1 and -1 and eta, both of shape (n, n_classes)."""
        rows = logsumexp(eta, axis=1) - eta[y > 0]
        return 2 * float(np.sum(rows if weights is None else (weights * rows)[weights > 0]))

    def given_others(self, eta):
        """What every target reads: eta of shape (n_classes, n), and less log(sum exp) of the other classes."""
        others = [logsumexp(np.delete(eta, k, axis=0), axis=0) for k in range(len(eta))]
        return eta - np.stack(others)

    def with_intercepts(self, Y, weights, eta):
        """(shifts of eta, one for each class and of sum zero, eta with them) where the residuals of all classes sum to
        zero. Y, eta: shape (n_classes, n)."""
        cdef const double[:, ::1] y = np.ascontiguousarray(Y, dtype=np.float64)
        cdef const double[::1] s = np.ones(1) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
        cdef Py_ssize_t K = y.shape[0], n = y.shape[1]
        cdef double[:, ::1] there = np.array(eta, dtype=np.float64, order="C")
        cdef double[:, ::1] after = np.empty((K, n)), offset = np.empty((K, n))
        cdef double[::1] shift = np.zeros(K), top = np.empty(n), work = np.empty(classes_fit_work(K, 1))
        cdef const double[::1] ones = np.ones(n), low = np.full(K, -np.inf), high = np.full(K, np.inf)
        with nogil:
            classes_fit(n, K, 1, &y[0, 0], NULL if weights is None else &s[0], &ones[0], &low[0], &high[0], &shift[0],
                        &there[0, 0], &top[0], &after[0, 0], &offset[0, 0], &work[0])
        return shift.base, there.base

    def null_fits(self, Y, weights, fit_intercept):
        """The fit of intercepts alone, which add up to zero.

        Parameters
        ----------
        Y : ndarray of shape (n_classes, n)
            1 in rows of the class, -1 elsewhere.
        weights : ndarray of shape (n,) or None
        fit_intercept : bool

        Returns
        -------
        intercepts : ndarray of shape (n_classes,)
            0 where none are fitted.
        eta : ndarray of shape (n_classes, n)
            Given the other classes.
        deviance : float
            2 sum_i s_i f.

        Raises
        ------
        ValueError
            Where a class has no row that has a weight: its intercept is infinite.
        """
        counts = (Y > 0) @ (np.ones(Y.shape[1]) if weights is None else weights)
        if fit_intercept and np.any(counts == 0):
            raise ValueError(self.one_sided)
        level = np.log(counts) if fit_intercept else np.zeros(len(Y))
        level -= level.mean()
        eta = self.given_others(level[:, None]).repeat(Y.shape[1], axis=1)
        return level, eta, float(2 * counts @ np.logaddexp(0, -eta[:, 0]))


MULTINOMIAL = Multinomial()
