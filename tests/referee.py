"""An independent referee in NumPy: objective, duality gap, optimality conditions and a slow, obviously right solver.

    minimise  1/(2 Σs) Σ s_i (y_i - x_i w - b)² + Σ_j l1_j |w_j| + ½ Σ_j l2_j w_j²   subject to  lower <= w <= upper

Everything is built densely from the input as float64, means in long double, so it suits small problems only.
A quadratic penalty is written as extra rows, [A; diag(√l2)] and [t; 0]: one lasso with limits is all there is to solve.
"""

import numpy as np
import scipy.sparse as sp


def dense(X):
    """X as a C-ordered float64 array, whatever it was."""
    return np.array(X.toarray() if sp.issparse(X) else X, dtype=np.float64)


class BoxLasso:
    """minimise ½‖t - A w‖² + Σ l1_j |w_j| subject to lower <= w <= upper."""

    def __init__(self, A, t, l1, lower, upper):
        self.A, self.t, self.l1, self.lower, self.upper = A, t, l1, lower, upper
        self.norms, self.size = np.sqrt((A**2).sum(axis=0)), np.linalg.norm(t) or 1.0

    def objective(self, w):
        """The primal objective."""
        r = self.t - self.A @ w
        return 0.5 * float(r @ r) + float(self.l1 @ np.abs(w))

    def gap(self, w):
        """Primal minus dual, infinite outside the limits."""
        outside = np.maximum(self.lower - w, w - self.upper).max(initial=0.0)
        return self.objective(w) - self.dual(w) if outside <= 1e-12 * np.abs(w).max(initial=0.0) else np.inf

    def dual(self, w):
        """The dual objective at the residual, made feasible by projection (no l1) and by scaling (l1)."""
        plain = self.l1 == 0
        lost_in_rounding = self.l1 <= 1e-11 * self.norms * self.size  # scaling cannot help these: project
        choices = [plain] if np.array_equal(plain, lost_in_rounding | plain) else [plain, lost_in_rounding | plain]
        points = [p for r in self._dual_points(w) for p in (r, self._pulled_back(r, w))]
        return max(self._dual(r, choice) for choice in choices for r in points)

    def _dual_points(self, w):
        return [self.t - self.A @ w]

    def _pulled_back(self, r, w):
        # the least change that brings correlations beyond their l1 back to it (unless a limit holds the coefficient
        # there): scaling alone loses first order
        over = np.zeros(len(self.l1), dtype=bool)
        for _ in range(4):
            v = self.A.T @ r
            held = np.where(v > 0, w >= self.upper, w <= self.lower)
            new = (np.abs(v) > self.l1) & ~held & (self.norms > 0)
            if not (new & ~over).any():
                break
            over |= new
            excess = np.sign(v[over]) * (np.abs(v[over]) - self.l1[over]) / self.norms[over]
            r = r - np.linalg.lstsq((self.A[:, over] / self.norms[over]).T, excess, rcond=1e-10)[0]
        return r

    def _dual(self, r, plain):
        theta = self._project(r, plain & (self.norms > 0))
        v = self.A.T @ theta
        limit = np.where(v > 0, self.upper, -self.lower)
        scaled = ~plain & (limit != 0)
        ratio = np.where(scaled, np.abs(v) / np.where(scaled, self.l1, 1.0), 0.0)
        c_must = 1.0 / max(1.0, ratio[np.isinf(limit)].max(initial=0.0))
        c_all = 1.0 / max(1.0, ratio.max(initial=0.0))
        best = float(theta @ self.t) / max(float(theta @ theta), 1e-300)
        return max(self._dual_value(c * theta, c * v) for c in (c_must, c_all, min(c_all, max(best, 0.0))))

    def _dual_value(self, theta, v):
        # the conjugate of l1 |w| on [lower, upper] at v: (|v| - l1)+ times the limit on that side
        limit = np.where(v > 0, self.upper, -self.lower)
        excess = np.where(np.isfinite(limit), np.maximum(np.abs(v) - self.l1, 0.0), 0.0)
        return float(theta @ self.t) - 0.5 * float(theta @ theta) - float(excess @ np.where(excess > 0, limit, 0.0))

    def _project(self, r, plain):
        # without l1, theta must have v_j = 0 where w_j has no limit and v_j <= 0 (or >= 0) where one side has none
        up, down = plain & np.isinf(self.upper), plain & np.isinf(self.lower)
        if not (up | down).any():
            return r
        unit = self.A / np.where(self.norms > 0, self.norms, 1.0)
        free, s, _ = np.linalg.svd(unit[:, up & down], full_matrices=False)
        free = free[:, s > 1e-13 * max(unit.shape)]
        r = r - free @ (free.T @ r)
        cone = np.hstack([unit[:, up & ~down], -unit[:, down & ~up]])
        cone = cone - free @ (free.T @ cone)
        cone[:, np.linalg.norm(cone, axis=0) < 1e-12] = 0.0  # a combination of free columns: nothing is left of it
        zero = np.zeros(cone.shape[1])
        r = r - cone @ BoxLasso(cone, r, zero, zero, zero + np.inf).solve()
        return r - free @ (free.T @ r)

    def kkt(self, w):
        """Largest distance of a gradient from its subdifferential, relative to the sizes of the column and target."""
        v = self.A.T @ (self.t - self.A @ w)
        at = 1 - 1e-12  # a limit met but for rounding is met
        above = np.where(w >= at * self.upper, np.inf, np.where(w < 0, -self.l1, self.l1))
        below = np.where(w <= at * self.lower, -np.inf, np.where(w > 0, self.l1, -self.l1))
        distance = np.maximum(np.maximum(v - above, below - v), 0.0)
        return float((distance / (np.where(self.norms > 0, self.norms, 1.0) * self.size)).max(initial=0.0))

    def solve(self):
        """Reference solution, found on columns scaled to norm one."""
        n = np.where(self.norms > 0, self.norms, 1.0)
        w = BoxLasso(self.A / n, self.t, self.l1 / n, self.lower * n, self.upper * n)._solve_scaled() / n
        return np.clip(w, self.lower, self.upper)

    def _solve_scaled(self, max_epochs=2000, tol=1e-14):
        # cyclic coordinate descent, and every ten epochs exact steps on the support
        w, r, squares = np.zeros(self.A.shape[1]), self.t.copy(), self.norms**2
        for epoch in range(max_epochs):
            if self.kkt(w) <= tol:
                break
            for j in np.flatnonzero(squares):
                z = self.A[:, j] @ r + squares[j] * w[j]
                new = np.sign(z) * max(abs(z) - self.l1[j], 0.0) / squares[j]
                new = min(max(new, self.lower[j]), self.upper[j])
                r -= (new - w[j]) * self.A[:, j]
                w[j] = new
            if epoch % 10 == 9:
                while self._step(w):
                    pass
                r = self.t - self.A @ w
        return w

    def _step(self, w):
        """Newton's step on the free support, up to the first coordinate that meets zero or a limit; true if one did.

        Where columns are dependent and the penalty still slopes, the step goes down that slope instead.
        """
        on = np.flatnonzero((w != 0) & (w > self.lower) & (w < self.upper))
        if not len(on):
            return False
        u, s, vt = np.linalg.svd(self.A[:, on], full_matrices=False)
        keep = s > 1e-12 * s[0]
        u, s, vt = u[:, keep], s[keep], vt[keep]
        pull = self.l1[on] * np.sign(w[on])
        slope = vt.T @ (vt @ pull) - pull
        downhill = np.linalg.norm(slope) > 1e-10 * np.linalg.norm(pull)
        d = slope if downhill else vt.T @ ((u.T @ (self.t - self.A @ w) - (vt @ pull) / s) / s)
        kink = self.l1[on] > 0  # zero stops a step only where there is an l1 penalty
        low = np.where(kink & (w[on] > 0), np.maximum(self.lower[on], 0.0), self.lower[on])
        high = np.where(kink & (w[on] < 0), np.minimum(self.upper[on], 0.0), self.upper[on])
        wall = np.where(d > 0, high, low)
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(d == 0, np.inf, (wall - w[on]) / d)
        first = int(np.argmin(room))
        blocked = bool(room[first] <= (np.inf if downhill else 1.0))
        w[on] += (room[first] if blocked else 1.0) * d
        if blocked:
            w[on[first]] = wall[first]
        return blocked


class Referee(BoxLasso):
    """A fit of Lasso or ElasticNet with these options, as the centred and weighted problem that it is."""

    def __init__(self, X, y, alpha, l1_ratio=1.0, fit_intercept=True, sample_weight=None, positive=False,
                 penalty_factor=None, lower_limits=None, upper_limits=None, standardize=False):  # fmt: skip
        X, y = dense(X).astype(np.longdouble), np.asarray(y, dtype=np.longdouble)
        n, p = X.shape
        s = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        s = s.astype(np.longdouble) / s.sum(dtype=np.longdouble)
        self.n_samples, self.fit_intercept = n, fit_intercept
        self.x_mean, self.y_mean = (s @ X, s @ y) if fit_intercept else (np.zeros(p, np.longdouble), np.longdouble(0))
        A, t = (np.sqrt(s)[:, None] * (X - self.x_mean)), np.sqrt(s) * (y - self.y_mean)
        sd = np.sqrt((A**2).sum(axis=0)).astype(np.float64)
        constant = sd <= 1e-15 * np.abs(X).max(axis=0)
        A[:, constant], sd[constant] = 0.0, 0.0
        factor = np.ones(p) if penalty_factor is None else np.asarray(penalty_factor, dtype=np.float64)
        excluded, factor = np.isinf(factor), np.where(np.isinf(factor), 0.0, factor)
        scale = sd if standardize else np.ones(p)
        l1, l2 = alpha * l1_ratio * factor * scale, alpha * (1 - l1_ratio) * factor * scale**2
        lower, upper = (np.broadcast_to(default if value is None else value, p).astype(float)
                        for value, default in ((lower_limits, -np.inf), (upper_limits, np.inf)))  # fmt: skip
        lower = np.where(excluded, 0.0, np.maximum(lower, 0.0) if positive else lower)
        self.l2, self.l2_columns = l2, np.flatnonzero(l2)
        rows = np.sqrt(np.diag(l2)[self.l2_columns])
        t = np.concatenate([t.astype(np.float64), np.zeros(len(rows))])
        super().__init__(np.vstack([A.astype(np.float64), rows]), t, l1, lower, np.where(excluded, 0.0, upper))
        self.p0 = 0.5 * float(t @ t)

    def intercept(self, w):
        """The best intercept for w."""
        return float(self.y_mean - self.x_mean @ np.asarray(w, np.longdouble)) if self.fit_intercept else 0.0

    def _dual_points(self, w):
        # what an l2 row of theta holds is free: beside the residual, take what is best for its column
        r, k, n = self.t - self.A @ w, self.l2_columns, self.n_samples
        v = (self.A[:n].T @ r[:n])[k]
        limit = np.where(v > 0, self.upper[k], -self.lower[k])
        best = np.minimum(np.maximum(np.abs(v) - self.l1[k], 0.0) / self.l2[k], limit)
        return [r, np.concatenate([r[:n], -np.sqrt(self.l2[k]) * np.sign(v) * best])] if len(k) else [r]

    def objective(self, w, b=None):
        """The primal objective, with b at its best unless given."""
        shift = 0.0 if b is None else float(b) - self.intercept(w)
        return super().objective(w) + 0.5 * shift**2

    def gap(self, w, b=None):
        """Primal minus dual: how far above the optimum w and b can be at most."""
        return super().gap(w) + self.objective(w, b) - self.objective(w)

    def relative_gap(self, w, b=None):
        """The gap over the objective at w = 0 (``tol`` promises at most twice ``tol``)."""
        return self.gap(w, b) / (self.p0 or 1.0)

    def with_alpha(self, alpha):
        """The same problem at another alpha, for a lasso that was built at alpha = 1."""
        assert len(self.t) == self.n_samples, "an l2 penalty is in the rows"
        return BoxLasso(self.A, self.t, alpha * self.l1, self.lower, self.upper)

    def alpha_max(self):
        """How many times the present alpha sets every penalised coefficient to zero."""
        free = (self.l1 == 0) & (self.upper > self.lower)
        fixed = BoxLasso(self.A[:, free], self.t, self.l1[free], self.lower[free], self.upper[free])
        v = self.A.T @ (self.t - fixed.A @ fixed.solve())
        moves = (np.where(v > 0, self.upper, self.lower) != 0) & (self.l1 > 0)
        return float(np.max(np.abs(v[moves]) / self.l1[moves], initial=0.0))
