"""An independent judge of multinomial models, in long double: the duality gap of any coefficients.

    minimise  sum_i s_i (log sum_k exp(eta_ik) - eta_iy) + sum_kj l1_j |w_kj| + 1/2 sum_kj l2_j w_kj^2,
    eta_ik = x_i w_k + b_k,   lower_j <= w_kj <= upper_j

The dual point is c times label less probability, with intercepts fitted anew; primal and dual objective are computed
apart, from their definitions.
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
        return self.loss(self.with_intercepts(np.zeros(self.T.shape, dtype=LD)))

    def with_intercepts(self, eta):
        """eta with the intercepts at which the loss is least: Newton's method, halving what leaves the slopes as large;
        the loss has not the digits to tell."""
        for _ in range(90 if self.fit_intercept else 0):
            P = chances(eta)
            g = self.s @ (self.T - P)
            H = np.diag(self.s @ P) - (P * self.s[:, None]).T @ P
            step = np.linalg.pinv(H.astype(float), hermitian=True) @ g
            t, before = LD(1), np.abs(g).max()
            if np.max(np.abs(step)) < 1e-17 * (1 + np.max(np.abs(eta))):
                break
            while not np.abs(self.s @ (self.T - chances(eta + t * step))).max() < before and t > 1e-15:
                t /= 2
            eta = eta + t * step
        return eta

    def dual(self, W, b):
        """A lower bound on every objective."""
        P = chances(self.with_intercepts(self.eta(W, b)))
        X = self.X - (self.s @ self.X) / self.total if self.fit_intercept else self.X
        v = ((self.T - P) * self.s[:, None]).T @ X
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


def of_path(path, k):
    """(Coefficients of shape (n_classes, p), intercepts) at the alpha with number k."""
    return np.stack([c.toarray()[:, k] for c in path.coefs]), path.intercepts[:, k]


def judged(X, y, path, l1_ratio=1.0, rounding=2e-11, **options):
    """The largest gap that there really is, relative; the one that was reported is no smaller but for rounding."""
    worst = 0
    for k, alpha in enumerate(path.alphas):
        gap = ClassesJudge(X, y, alpha, l1_ratio, **options).gap(*of_path(path, k))
        assert gap > -1e-14
        assert gap <= path.dual_gaps[k] / (0.5 * path.null_deviance) * (1 + 1e-3) + rounding
        worst = max(worst, gap)
    return worst
