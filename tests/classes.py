"""An independent judge of multinomial models, in long double: the duality gap of any coefficients.

    minimise  sum_i s_i (log sum_k exp(eta_ik) - eta_iy) + sum_kj l1_j |w_kj| + 1/2 sum_kj l2_j w_kj^2,
    eta_ik = x_i w_k + b_k,   lower_j <= w_kj <= upper_j

The dual point is c times label less probability, with intercepts, and coefficients that nothing penalises or limits,
fitted anew; primal and dual objective are computed apart, from their definitions.
"""
import numpy as np
import scipy.sparse as sp

LD = np.longdouble


def log_sum_exp(eta):
    top = eta.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(eta - top).sum(axis=1))


def chances(eta):
    e = np.exp(eta - eta.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_shares(T, s):
    """eta of the intercepts alone."""
    with np.errstate(divide="ignore"):
        return np.broadcast_to(np.log(s @ T / s.sum()), T.shape)


class ClassesJudge:
    """One problem; codes: the class of each row, as a number; penalties are those of the averaged objective."""

    def __init__(self, X, codes, alpha, l1_ratio=1.0, *, weights=None, fit_intercept=True, factor=1.0, lower=-np.inf,
                 upper=np.inf):
        X = np.asarray(X.toarray() if sp.issparse(X) else X).astype(LD)
        s = np.ones(len(X), dtype=LD) if weights is None else np.asarray(weights).astype(LD)
        self.X, self.s, self.T = X[s > 0], s[s > 0], (codes[:, None] == np.arange(codes.max() + 1))[s > 0]
        self.total, self.fit_intercept = self.s.sum(), fit_intercept
        factor = np.broadcast_to(np.asarray(factor, dtype=LD), X.shape[1])
        self.excluded = np.isinf(factor)
        factor = np.where(self.excluded, 0, factor)
        self.l1, self.l2 = self.total * alpha * l1_ratio * factor, self.total * alpha * (1 - l1_ratio) * factor
        self.lower, self.upper = (np.broadcast_to(np.asarray(v, dtype=LD), X.shape[1]) for v in (lower, upper))

    def loss(self, eta):
        return self.s @ (log_sum_exp(eta) - eta[self.T])

    def eta(self, W, b):
        return self.X @ np.asarray(W).astype(LD).T + np.asarray(b).astype(LD)

    def primal(self, W, b):
        """The summed objective; W of shape (K, p)."""
        W = np.asarray(W).astype(LD)
        assert np.all((self.lower <= W) & (self.upper >= W)) and not W[:, self.excluded].any()
        return self.loss(self.eta(W, b)) + (self.l1 * np.abs(W)).sum() + (self.l2 * W**2).sum() / 2

    def null(self):
        return self.loss(log_shares(self.T, self.s) if self.fit_intercept else np.zeros(self.T.shape, dtype=LD))

    def free(self, W, b):
        """Which coefficients nothing penalises, nor presses against a limit: of shape (K, p)."""
        eta, W = self.eta(W, b), np.asarray(W)
        v = ((self.T - chances(eta)) * self.s[:, None]).T @ self.X
        inside = ((self.lower < W) & (self.upper > W)) | (np.abs(v) < 1e-9 * np.sqrt(self.s @ self.X**2))
        return (self.l1 == 0) & (self.l2 == 0) & ~self.excluded & inside

    def with_free(self, eta, free):
        """eta with the intercepts and free coefficients at which the loss is least: Newton's method, halving what
        leaves the slopes as large; the loss has not the digits to tell."""
        X = self.X - self.fit_intercept * (self.s @ self.X) / self.total
        A = np.column_stack([np.ones((len(eta), int(self.fit_intercept))), X / np.maximum(np.abs(X).max(axis=0), 1e-9)])
        K, m = eta.shape[1], A.shape[1]
        on = np.column_stack([np.ones((K, int(self.fit_intercept)), dtype=bool), free]).ravel()
        for _ in range(90 if on.any() else 0):
            P = chances(eta)
            g = (((self.T - P) * self.s[:, None]).T @ A).ravel()
            H = np.empty((K, m, K, m))
            for a in range(K):
                for b in range(K):
                    H[a, :, b] = (A * (self.s * P[:, a] * ((a == b) - P[:, b]))[:, None]).T @ A
            step = np.zeros(K * m)
            step[on] = np.linalg.pinv(H.reshape(K * m, K * m)[np.ix_(on, on)], hermitian=True, rcond=1e-13) @ g[on]
            move = A @ step.reshape(K, m).T
            t, before = LD(1), np.abs(g[on]).max()
            if np.max(np.abs(move)) < 1e-17 * (1 + np.max(np.abs(eta))):
                break
            while t > 1e-15:
                slopes = (((self.T - chances(eta + t * move)) * self.s[:, None]).T @ A).ravel()[on]
                if np.abs(slopes).max() < before:
                    break
                t /= 2
            eta = eta + t * move
        return eta

    def dual(self, W, b):
        """A lower bound on every objective."""
        free = self.free(W, b)
        P = chances(self.with_free(self.eta(W, b), free))
        X = self.X - (self.s @ self.X) / self.total if self.fit_intercept else self.X
        v = np.where(free, 0, ((self.T - P) * self.s[:, None]).T @ X)
        end = np.where(v > 0, self.upper, -self.lower)
        kept = np.isfinite(end) | self.excluded | (v == 0)
        shares = np.broadcast_to(self.l1, v.shape)[~kept] / np.abs(v)[~kept]
        scaled = min(LD(1), np.min(shares, initial=1))       # no penalty exceeded
        must = ~kept & (self.l2 == 0)
        least = min(LD(1), np.min(np.broadcast_to(self.l1, v.shape)[must] / np.abs(v)[must], initial=1))
        return max(self._dual_at(c, v, end, must, P) for c in (scaled, least))

    def _dual_at(self, c, v, end, must, P):
        excess = np.maximum(np.abs(c * v) - self.l1, 0)
        excess[:, self.excluded] = 0
        excess[must] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.minimum(end, np.where(self.l2 > 0, excess / self.l2, np.inf))
        at[excess == 0] = 0
        q = (1 - c) * self.T + c * P
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = np.where(q > 0, q * np.log(q), 0).sum(axis=1)
        return -(self.s @ entropy) - (excess * at - self.l2 * at**2 / 2).sum()

    def gap(self, W, b):
        """Relative to what there is to explain."""
        return float((self.primal(W, b) - self.dual(W, b)) / self.null())


def named(options):
    """Arguments of a judge as those of a path."""
    names = {"weights": "sample_weight", "factor": "penalty_factor", "lower": "lower_limits", "upper": "upper_limits"}
    return {names.get(name, name): value for name, value in options.items()}


def of_path(path, k):
    """(Coefficients of shape (n_classes, p), intercepts) at the alpha with number k."""
    return np.stack([c.toarray()[:, k] for c in path.coefs]), path.intercepts[:, k]


def judged(X, y, path, l1_ratio=1.0, rounding=2e-11, **options):
    """The largest gap that there really is, relative; the one that was reported is no smaller but for rounding."""
    worst = 0
    for k, alpha in enumerate(path.alphas):
        judge, fit = ClassesJudge(X, y, alpha, l1_ratio, **options), of_path(path, k)
        gap, lost = judge.gap(*fit), np.finfo(LD).eps * np.max(np.abs(judge.X) @ np.abs(fit[0]).T)   # to high levels
        assert gap > -1e-14 - lost
        assert gap <= path.dual_gaps[k] / (0.5 * path.null_deviance) * (1 + 1e-3) + rounding
        worst = max(worst, gap)
    return worst
