"""The duality gap of a solution: never less than what it lacks, whatever is planted, and no looser than told."""

import numpy as np
import pytest
from fastreg.adapter.engine import gap
from referee import BoxLasso
from scipy.optimize import minimize_scalar
from twins import close

from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.path import solve_path


class Case:
    """A problem whose columns are all known, and what the gap is told of it."""

    def __init__(self, seed=0, n=40, p=12, alpha=1.0, l2=0.0, lo=-np.inf, hi=np.inf):
        rng = np.random.default_rng(seed)
        self.A = rng.standard_normal((n, p)) * np.geomspace(0.3, 3, p)
        self.t = self.A[:, :4] @ rng.standard_normal(4) + rng.standard_normal(n)
        self.alpha, (self.pen1, self.pen2, self.lo, self.hi) = alpha, (np.zeros(p) + v for v in (4.0, l2, lo, hi))
        self.norms = np.linalg.norm(self.A, axis=0)

    def gap(self, w, inside=None, violators=(), **options):
        """Of coefficients w, told of the columns inside and of the violators only."""
        inside = np.arange(len(w)) if inside is None else np.asarray(inside)
        r = self.t - self.A @ w
        g = self.A.T @ r
        return gap(self.alpha, self.norms, self.pen1, self.pen2, self.lo, self.hi, inside, w[inside], g[inside], r @ r,
                   violators=np.asarray(violators, dtype=int), violator_g=g[list(violators)], **options)  # fmt: skip

    @property
    def referee(self):
        l2 = self.alpha * self.pen2
        A, t = np.vstack([self.A, np.diag(np.sqrt(l2))]), np.append(self.t, np.zeros(len(l2)))
        return BoxLasso(A, t, self.alpha * self.pen1, self.lo, self.hi)

    def lacks(self, w):
        """How far the objective is above its least."""
        return self.referee.objective(w) - self.referee.objective(self.referee.solve())

    def scaled_gap(self, w, shares=(1.0,)):
        """Primal minus dual at theta = c r, for the best c: the one that makes it feasible, and shares of it."""
        r = self.t - self.A @ w
        g, l1, l2 = np.abs(self.A.T @ r), self.alpha * self.pen1, self.alpha * self.pen2
        limit = np.where(self.A.T @ r > 0, self.hi, -self.lo)
        bound = np.isinf(limit) & (l1 > 0) & (g > l1)
        feasible = min(np.min(l1[bound] / g[bound], initial=1.0), 1.0)
        best = -np.inf
        for c in np.append(feasible * np.asarray(shares), 1.0):
            excess = np.where(l1 > 0, np.maximum(c * g - l1, 0), 0) * (1 if c == 1 else 1 - 1e-13)
            with np.errstate(divide="ignore", invalid="ignore"):
                end = np.minimum(limit, np.where(l2 > 0, excess / l2, np.inf))
                conjugate = np.where(excess > 1e-12 * g, excess * end - 0.5 * np.where(l2 > 0, l2 * end**2, 0), 0)
            best = max(best, c * r @ self.t - 0.5 * c * c * r @ r - conjugate.sum())
        return self.referee.objective(w) - best

    def violators(self, w, inside):
        g = self.A.T @ (self.t - self.A @ w)
        limit = np.where(g > 0, self.hi, self.lo)
        return [j for j in range(len(w)) if j not in inside and abs(g[j]) > self.alpha * self.pen1[j] and limit[j] != 0]


KINDS = {
    "lasso": {},
    "elastic net": {"l2": 3.0},
    "one with l2": {"l2": np.where(np.arange(12) == 1, 50.0, 0.0)},
    "limits": {"lo": -0.1, "hi": 0.3},
    "positive": {"lo": 0.0},
    "upper": {"hi": 0.2},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [0.0, 1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_within_the_gap(kind, error, seed):
    case = Case(seed, **KINDS[kind])
    best = case.referee.solve()
    w = np.clip(best + error * np.random.default_rng(seed).standard_normal(12), case.lo, case.hi)
    found = case.gap(w)
    rounding = 1e-11 * (case.t @ case.t)
    assert case.lacks(w) - rounding <= found <= case.scaled_gap(w) * (1 + 1e-9) + rounding
    if kind == "lasso":                                     # the best scaling is known
        inside = minimize_scalar(lambda c: case.scaled_gap(w, [c]), bounds=(-1, 1), options={"xatol": 1e-9}).fun
        best = min(inside, case.scaled_gap(w))
        assert found == pytest.approx(best, rel=1e-6, abs=rounding)
    if error == 0:
        assert found <= rounding


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_violators_outside_count(kind, seed):
    """Solved over half of the columns: exact there; what the others would bring is in the gap once they are told."""
    case = Case(seed, **KINDS[kind])
    inside = list(range(0, 12, 2))
    part = Case(seed, **KINDS[kind])
    part.lo, part.hi = part.lo.copy(), part.hi.copy()
    part.lo[1::2] = part.hi[1::2] = 0
    w = part.referee.solve()
    outside = case.violators(w, inside)
    assert outside
    rounding = 1e-11 * (case.t @ case.t)
    assert case.gap(w, inside) <= rounding < case.lacks(w) <= case.gap(w, inside, outside) + rounding
    close(case.gap(w, inside, outside), case.gap(w), 10)    # those that do not violate add nothing


def test_columns_that_stay_unread_cost_what_they_may():
    """Orthogonal columns, an l2 term: the one left unread lacks e^2 / (2 (norm^2 + l2)) and is charged e^2 / (2 l2)."""
    case = Case(l2=2.0)
    case.A = 3 * np.eye(40)[:, :12]
    case.norms = np.full(12, 3.0)
    case.t = np.zeros(40)
    case.t[[0, 1]] = 5.0, 1.5                               # x_1't = 4.5, of which 0.5 is beyond l1
    w = np.zeros(12)
    w[0] = (15 - 4) / (9 + 2)
    loss = 0.5**2 / (2 * 2.0)
    lacks = 0.5**2 / (2 * (9 + 2))
    assert case.lacks(w) == pytest.approx(lacks, rel=1e-12)
    without, charged = case.gap(w, [0]), case.gap(w, [0], loss=loss)
    assert without < lacks < charged
    assert charged == pytest.approx(without + loss, rel=1e-14)


def test_free_columns_count_as_the_descent_they_still_bring():
    case = Case()
    case.pen1[0] = 0
    best = case.referee.solve()
    w = best.copy()
    w[0] += 1e-3
    lacks = 0.5 * 1e-6 * case.norms[0] ** 2
    assert case.lacks(w) == pytest.approx(lacks, rel=1e-4)
    found = case.gap(w, fitted=[0])
    assert found >= lacks
    slope = case.A[:, 0] @ (case.t - case.A @ w)
    assert found == pytest.approx(case.scaled_gap(w) + slope * w[0] + 2 * lacks, rel=1e-2)
    # not in the support, it depends on it: its remainder may be 1e-3 of PIVOT_TOL of its own square
    assert case.gap(w) - case.gap(w, fitted=[0]) == pytest.approx((1e-3 * case.norms[0]) ** 2 * (0.5e14 - 1), rel=1e-6)
    assert case.gap(w, noise=1e-2) < case.gap(w)            # rounding is taken off


@pytest.mark.parametrize("step", [0.01, -0.01])
def test_free_columns_hide_nothing_that_others_lack(step):
    case = Case()
    case.pen1[0] = 0
    others = np.linalg.qr(case.A[:, 1:])[0]
    case.A[:, 0] -= others @ (others.T @ case.A[:, 0])
    case.norms[0] = np.linalg.norm(case.A[:, 0])
    case.t += 100 * case.A[:, 0]
    w = case.referee.solve()
    w[np.flatnonzero(w)[-1]] += 0.01
    w[0] += step
    assert case.gap(w, fitted=[0]) >= case.lacks(w)


def test_a_free_column_yet_to_be_fitted():
    case = Case()
    case.pen1[3] = 0
    w = np.zeros(12)
    inside = [0, 1]
    assert case.gap(w, inside, [3]) == np.inf
    case.hi[3] = np.inf if case.A[:, 3] @ case.t < 0 else 0.5          # a limit on the side it points to
    case.lo[3] = -np.inf if case.hi[3] == 0.5 else -0.5
    assert np.isfinite(case.gap(w, inside, case.violators(w, inside)))
    case.hi[3], case.lo[3], case.pen2[3] = np.inf, -np.inf, 1.0         # or an l2 penalty
    assert np.isfinite(case.gap(w, inside, case.violators(w, inside)))


@pytest.mark.parametrize("how", ["norm", "l1", "l2", "limits"])
def test_excluded_columns_do_not_count(how):
    case = Case()
    w = case.referee.solve()
    right = case.gap(w)
    unpenalised = case.gap(w, violators=[])
    assert right == unpenalised
    j = int(np.argmin(np.abs(w)))
    assert w[j] == 0
    if how == "norm":
        case.norms[j] = 0
    elif how == "limits":
        case.lo[j] = case.hi[j] = 0
    else:
        (case.pen1 if how == "l1" else case.pen2)[j] = np.inf
    case.A[:, j] *= 1e3                                     # its correlation would be far beyond any bound
    assert case.gap(w) == pytest.approx(right, abs=1e-11 * (case.t @ case.t))


def test_noise_is_no_violation():
    """An excess of x_j'r over l1 at its rounding would cost a finite limit's worth, or all of the dual."""
    case = Case(hi=1e9, lo=-1e9)
    case.A = np.eye(40)[:, :12]
    case.norms = np.ones(12)
    case.t = np.zeros(40)
    case.t[0] = 4 + 1e-9
    assert case.gap(np.zeros(12)) > 0
    assert case.gap(np.zeros(12), noise=2e-9) == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("gram", [None, True])
@pytest.mark.parametrize("degree", [6, 8, 10])
def test_rounding_that_ends_the_rounds_is_no_convergence(degree, gram, order):
    """Powers of x near 1, no penalty: what doubles do not see of them costs objective, and is told."""
    x = np.linspace(0.9, 1.1, 60)
    X = np.array(np.vander(x, degree + 1)[:, :-1], order=order)
    y = np.sin(20 * x) + np.random.default_rng(0).standard_normal(60)
    found = solve_path(Problem.of(X, y[:, None], Penalty()), Spec(np.zeros(1), tol=1e-10, gram=gram))
    basis = np.polynomial.legendre.legvander(10 * (x - 1), degree)      # spans the same, well-conditioned
    best = basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    fit = X @ found.dense()[0] + found.intercepts[0, 0]
    lacks = 0.5 * (np.sum((y - fit) ** 2) - np.sum((y - best) ** 2)) / np.sum((y - y.mean()) ** 2)
    assert lacks > 1e-5 and not found.converged.any()
    assert found.n_iters.max() < 50                         # it does not go on for ever
