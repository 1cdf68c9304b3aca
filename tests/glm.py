"""An independent judge of generalised linear models, in long double: the duality gap of any coefficients.

    minimise  sum_i s_i f(y_i, x_i w + b + offset_i) + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2,   lower <= w <= upper

The dual point comes from eta after the intercept and the coefficients without penalty have been fitted anew, scaled
down until it is feasible; primal and dual objective are computed apart, from their definitions.
"""

import numpy as np
import scipy.sparse as sp

LD = np.longdouble


class Logistic:
    """y of -1 and 1."""

    @staticmethod
    def value(y, eta):
        return np.logaddexp(LD(0), -y * eta)

    @staticmethod
    def slope(y, eta):
        return -y / (1 + np.exp(y * eta))

    @staticmethod
    def curvature(y, eta):
        return 1 / (2 + np.exp(eta) + np.exp(-eta))

    @staticmethod
    def conjugate(y, u):
        t = np.clip(-y * u, 0, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(t > 0, t * np.log(t), 0) + np.where(t < 1, (1 - t) * np.log1p(-t), 0)

    @staticmethod
    def saturated(y):
        return np.zeros(len(y), dtype=LD)


class Poisson:
    """Counts; half the deviance but for what does not depend on eta."""

    @staticmethod
    def value(y, eta):
        return np.exp(eta) - y * eta

    @staticmethod
    def slope(y, eta):
        return np.exp(eta) - y

    @staticmethod
    def curvature(y, eta):
        return np.exp(eta)

    @staticmethod
    def conjugate(y, u):
        t = np.maximum(u + y, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(t > 0, t * np.log(t), 0) - t

    @staticmethod
    def saturated(y):
        with np.errstate(divide="ignore", invalid="ignore"):
            return y - np.where(y > 0, y * np.log(y), 0)


class Gamma:
    """Amounts."""

    @staticmethod
    def value(y, eta):
        return y * np.exp(-eta) + eta

    @staticmethod
    def slope(y, eta):
        return 1 - y * np.exp(-eta)

    @staticmethod
    def curvature(y, eta):
        return y * np.exp(-eta)

    @staticmethod
    def conjugate(y, u):
        m = np.maximum(1 - u, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(m > 0, m * np.log(m / y), 0) - m

    @staticmethod
    def saturated(y):
        return 1 + np.log(y)


class Tweedie:
    """Amounts that may be nothing, of power 1.5, where the slope is a quadratic equation in exp(eta / 2)."""

    @staticmethod
    def value(y, eta):
        return 2 * (y * np.exp(-eta / 2) + np.exp(eta / 2))

    @staticmethod
    def slope(y, eta):
        return np.exp(eta / 2) - y * np.exp(-eta / 2)

    @staticmethod
    def curvature(y, eta):
        return (np.exp(eta / 2) + y * np.exp(-eta / 2)) / 2

    @staticmethod
    def conjugate(y, u):
        root = np.sqrt(u * u + 4 * y)
        half = np.where(u > 0, (u + root) / 2, 2 * y / np.where(root > u, root - u, 1))     # exp(eta / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(half > 0, 2 * u * np.log(half) - 2 * (y / half + half), 0)

    @staticmethod
    def saturated(y):
        return 4 * np.sqrt(y)


class SquaredHinge:
    """y of -1 and 1."""

    @staticmethod
    def value(y, eta):
        return np.maximum(1 - y * eta, 0)**2 / 2

    @staticmethod
    def slope(y, eta):
        return -y * np.maximum(1 - y * eta, 0)

    @staticmethod
    def curvature(y, eta):
        return (y * eta < 1).astype(LD)

    @staticmethod
    def conjugate(y, u):
        t = np.maximum(-y * u, 0)
        return t * t / 2 - t

    @staticmethod
    def saturated(y):
        return np.zeros(len(y), dtype=LD)


class Huber:
    """Up to a distance of 1.5."""

    @staticmethod
    def value(y, eta):
        r = np.abs(eta - y)
        return np.where(r <= 1.5, r * r / 2, LD(1.5) * r - LD(1.125))

    @staticmethod
    def slope(y, eta):
        return np.clip(eta - y, -1.5, 1.5)

    @staticmethod
    def curvature(y, eta):
        return (np.abs(eta - y) <= 1.5).astype(LD)

    @staticmethod
    def conjugate(y, u):
        return u * y + u * u / 2

    @staticmethod
    def saturated(y):
        return np.zeros(len(y), dtype=LD)


LOSSES = {"logistic": Logistic, "poisson": Poisson, "gamma": Gamma, "tweedie(1.5)": Tweedie,
          "squared_hinge": SquaredHinge, "huber(1.5)": Huber}


class Judge:
    """One problem, whatever X is stored in; penalties are those of the averaged objective."""

    def __init__(self, loss, X, y, alpha, l1_ratio=1.0, *, weights=None, offset=None, fit_intercept=True, factor=1.0,
                 lower=-np.inf, upper=np.inf):
        self.f = LOSSES[loss]
        self.X = np.asarray(X.toarray() if sp.issparse(X) else X).astype(LD)
        n, p = self.X.shape
        self.y = np.asarray(y).astype(LD)
        self.s = np.ones(n, dtype=LD) if weights is None else np.asarray(weights).astype(LD)
        self.on = self.s > 0
        self.offset = np.zeros(n, dtype=LD) if offset is None else np.asarray(offset).astype(LD)
        self.total, self.fit_intercept = self.s.sum(), fit_intercept
        factor = np.broadcast_to(np.asarray(factor, dtype=LD), p)
        self.excluded = np.isinf(factor)
        factor = np.where(self.excluded, 0, factor)
        self.l1, self.l2 = self.total * alpha * l1_ratio * factor, self.total * alpha * (1 - l1_ratio) * factor
        self.lower, self.upper = (np.broadcast_to(np.asarray(v, dtype=LD), p) for v in (lower, upper))

    def eta(self, w, b):
        return self.X @ np.asarray(w).astype(LD) + LD(b) + self.offset

    def of_rows(self, values):
        return (self.s * values)[self.on]

    def primal(self, w, b):
        """The summed objective."""
        w = np.asarray(w).astype(LD)
        assert np.all((self.lower <= w) & (w <= self.upper)) and not w[self.excluded].any()
        return (self.of_rows(self.f.value(self.y, self.eta(w, b))).sum() + (self.l1 * np.abs(w)).sum()
                + (self.l2 * w**2).sum() / 2)

    def null(self):
        """What there is to explain: the loss of an intercept, less the least that there is."""
        ones = np.ones((len(self.y), int(self.fit_intercept)), dtype=LD)
        eta = self._fitted(self.offset.copy(), ones)
        return self.of_rows(self.f.value(self.y, eta) - self.f.saturated(self.y)).sum()

    def _fitted(self, eta, Z):
        """eta moved along the columns of Z to where the loss is least: Newton's method, halving what does not help."""
        def loss(eta):
            return self.of_rows(self.f.value(self.y, eta)).sum()
        for _ in range(90 if Z.shape[1] else 0):
            g = Z[self.on].T @ self.of_rows(self.f.slope(self.y, eta))
            H = Z[self.on].T @ (self.of_rows(self.f.curvature(self.y, eta))[:, None] * Z[self.on])
            step = -_solve(H, g)
            move, t, before = Z @ step, LD(1), loss(eta)
            if np.max(np.abs(move)) < 1e-17 * (1 + np.max(np.abs(eta[self.on]))):
                break
            while not loss(eta + t * move) <= before and t > 1e-15:
                t /= 2
            eta = eta + t * move
        return eta

    def dual(self, w, b):
        """A lower bound on every objective."""
        free = (self.l1 == 0) & (self.l2 == 0) & ~self.excluded & (np.isinf(self.lower) | np.isinf(self.upper))
        free &= (self.lower < w) & (w < self.upper)           # at a limit, a slope that points out of it is no fault
        Z = np.column_stack([np.ones((len(self.y), int(self.fit_intercept)), dtype=LD), self.X[:, free]])
        eta = self._fitted(self.eta(w, b), Z)
        u = self.f.slope(self.y, eta)
        X = self.X[self.on]
        if self.fit_intercept:           # sums of u are rounding, which a column of a high level would multiply
            X = X - (self.s[self.on] @ X) / self.total
        v = -X.T @ self.of_rows(u)
        end = np.where(v > 0, self.upper, -self.lower)
        bound = (self.l2 == 0) & np.isinf(end) & ~free & ~self.excluded
        shares = np.divide(self.l1[bound], np.abs(v[bound]), out=np.ones(bound.sum(), dtype=LD), where=v[bound] != 0)
        c = min(LD(1), np.min(shares, initial=1))
        excess = np.maximum(np.abs(c * v) - self.l1, 0)
        excess[free | self.excluded | bound] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.minimum(end, np.where(self.l2 > 0, excess / self.l2, np.inf))
        at[excess == 0] = 0
        columns = excess * at - self.l2 * at**2 / 2
        return (-self.of_rows(self.f.conjugate(self.y, c * u)).sum() + self.of_rows(c * u * self.offset).sum()
                - columns.sum())

    def gap(self, w, b):
        """Relative to what there is to explain."""
        return float((self.primal(w, b) - self.dual(w, b)) / self.null())


def _solve(H, g):
    """H^-1 g in long double, by refinement of a float64 solution; pseudo-inverse where H is singular."""
    inverse = np.linalg.pinv(H.astype(float), hermitian=True)
    x = np.zeros(len(g), dtype=LD)
    for _ in range(6):
        x = x + inverse @ (g - H @ x)
    return x
