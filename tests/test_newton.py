"""Newton's method with matrices that are kept, and with samples: alone, on rows of its own."""
import numpy as np
import pytest
import scipy.sparse as sp
from glm import Judge

import fastreg.solvers.newton as newton
from fastreg import costs
from fastreg.datafits import by_name
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers.folds import FoldPaths, as_folds
from fastreg.solvers.newton import Matrix, Newton
from fastreg.solvers.reweighted import Reweighted
from fastreg.solvers.rows import Rows
from fastreg.targets import against_others
from fastreg.weights import Weights

STORES = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": sp.csr_array, "csc": sp.csc_array}


def problem(n=3000, p=12, loss="logistic", store=np.asarray, weights=None, seed=0, rare=0, **options):
    """A problem whose last `rare` columns have values in 200 rows alone."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + (rng.random(p) < 0.3)
    for j in range(p - rare, p):
        X[:, j] = 0
        X[rng.choice(n, 200, replace=False), j] = 1
    eta = X @ rng.standard_normal(p) * 0.5 - 0.5
    y = rng.poisson(np.exp(np.minimum(eta, 3))) * 1.0 if loss == "poisson" else np.where(
        rng.random(n) < 1 / (1 + np.exp(-eta)), 1.0, -1.0)
    given = None if weights is None else rng.integers(0, 3, n) * 1.0
    made = Problem.of(store(X), y[:, None], Penalty(0.0), weights=Weights(given, n),
                      datafit=by_name(loss), **options)
    return made, lambda alpha: Judge(loss, X, y, alpha, 0.0, weights=given)


@pytest.fixture
def made(monkeypatch):
    """The matrices that are made, by the number of their rows."""
    seen = []
    start = Matrix.__init__
    monkeypatch.setattr(Matrix, "__init__", lambda self, rows, *rest: seen.append(rows.n) or start(self, rows, *rest))
    return seen


def descended(of, alpha, tol):
    """(gap, steps) of what `Newton` alone comes to."""
    steps = of.matrix.descend(alpha, tol * of.unit)
    return of._gradient(of.at, alpha * of.factors)[1], steps


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
@pytest.mark.parametrize("weights", [None, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_matrix_is_the_second_derivative(loss, store, weights, fit_intercept):
    """Of the objective with its intercept at the best: by finite differences of gradients."""
    task, _ = problem(400, 6, loss, store, weights, fit_intercept=fit_intercept)
    rows, rng = Rows(task), np.random.default_rng(1)
    w, h = 0.2 * rng.standard_normal(6), 1e-5

    def gradient(w):
        return rows.correlate(rows.derivatives(rows.with_intercept(rows.product(w) + rows.offset)[1])[0])

    eta = rows.with_intercept(rows.product(w) + rows.offset)[1]
    G = Matrix(rows, rows.derivatives(eta)[1], np.arange(6), 2.0).G
    for j, e in enumerate(np.eye(6)):
        np.testing.assert_allclose(G[j], (gradient(w + h * e) - gradient(w - h * e)) / h, atol=1e-6 * np.abs(G).max())
    np.testing.assert_array_equal(Matrix(rows, rows.derivatives(eta)[1], np.array([1, 4]), 2.0).G,
                                  G[np.ix_([1, 4], [1, 4])])


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
@pytest.mark.parametrize("seed", range(10))
def test_far_fewer_matrices_of_all_rows_than_steps(loss, seed, made, monkeypatch):
    monkeypatch.setattr(costs, "FEW_ROWS", 0)
    task, judge = problem(4000, 200, loss=loss, seed=seed)
    steps = 0
    of = Reweighted(task, Spec(np.ones(1)))
    for alpha in (0.01, 0.003, 0.001, 0.0003):
        gap, more = descended(of, alpha, 1e-10)
        steps += more
        assert gap <= 1e-10 * of.unit
        assert judge(alpha).gap(of.at.w, of.at.b - of.rows.means @ of.at.w) < 1.01e-10
    assert 0 < len(made) <= 0.75 * steps


@pytest.mark.parametrize("weights", [None, True])
def test_ratios_are_expected_to_be_one(weights, made, monkeypatch):
    """Of the gamma loss, whose own curvatures are far from those of the solution at first."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 250))
    s = None if weights is None else rng.integers(0, 3, 3000) * 1.0
    eta = X @ rng.standard_normal(250) * 0.08
    gamma = by_name("gamma")
    np.testing.assert_array_equal(gamma.expected(eta, s), gamma.derivatives(np.exp(eta), eta, s)[1].round(12))
    task = Problem.of(X, rng.gamma(3, np.exp(eta) / 3)[:, None], Penalty(0.0), datafit=gamma,
                      weights=Weights(s, 3000))

    def work():
        made.clear()
        of = Reweighted(task, Spec(np.ones(1)))
        gap, steps = descended(of, 1e-3, 1e-3)
        assert gap <= 1e-3 * of.unit
        return len(made), steps

    with_it, renew = work(), Newton._renew

    def by_own(self, rows, at, l2, scale):
        self.matrix = self.matrix or "one"              # so that it is not the first
        return renew(self, rows, at, l2, scale)

    monkeypatch.setattr(Newton, "_renew", by_own)
    assert np.all(np.array(with_it) < work())


def test_samples_bring_near(made):
    """One matrix of all rows at most is left to be made, where without samples several are."""
    task, _ = problem(40_000, 12)
    of = Reweighted(task, Spec(np.ones(1)))
    gap, _ = descended(of, 1e-3, 1e-4)
    assert gap <= 1e-4 * of.unit and sorted(made)[-1:] == [task.n] and sum(n > 5000 for n in made) == 1
    assert sum(n < 500 for n in made) >= 2 and sum(1500 < n < 5000 for n in made) >= 1


def test_columns_that_a_sample_hardly_has_are_held(monkeypatch):
    """What a sample says of them is rounding of chance: without this their coefficients leave the sample far away."""
    task, _ = problem(40_000, 12, rare=4)
    seen = []
    start = Newton._minimise
    monkeypatch.setattr(Newton, "_minimise", lambda self, rows, at, *rest: seen.append((rows.n, at.w.copy())) or start(
        self, rows, at, *rest))
    of = Reweighted(task, Spec(np.ones(1)))
    assert descended(of, 1e-6, 1e-8)[0] <= 1e-8 * of.unit
    at_all = [w for n, w in seen if n == task.n]
    assert len(at_all) == 1 and np.abs(at_all[0][:8]).min() > 1e-3 and np.abs(at_all[0][8:]).max() < 1e-3
    assert np.abs(of.at.w[8:]).max() > 0.1


def test_samples_that_do_not_help_are_left(monkeypatch):
    """Where a sample's solution is worse than the start, the start is kept."""
    task, _ = problem(40_000, 12)
    start = Newton._minimise

    def worse(self, rows, at, *rest):
        if rows.n < task.n:
            return newton.Point.at(rows, at.w + 100), 1
        assert not at.w.any()
        return start(self, rows, at, *rest)

    monkeypatch.setattr(Newton, "_minimise", worse)
    of = Reweighted(task, Spec(np.ones(1)))
    assert descended(of, 1e-3, 1e-8)[0] <= 1e-8 * of.unit


def test_a_sample_of_one_class(monkeypatch):
    """Classes of which a sample has one alone."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 3))
    y = np.where(np.arange(40_000) % 10_000 == 7, 1.0, -1.0)
    of = Reweighted(Problem.of(X, y[:, None], Penalty(0.0), datafit=by_name("logistic")), Spec(np.ones(1)))
    for rows in (Rows(of.problem, np.arange(7)), Rows(of.problem, np.array([3]))):
        assert rows.one_sided()
    assert not Rows(of.problem, np.arange(8)).one_sided()
    monkeypatch.setattr(newton, "INFORMATION", 0)                     # samples of 60 rows
    seen, start = [], Newton._minimise
    monkeypatch.setattr(Newton, "_minimise", lambda self, rows, *rest: seen.append(rows.n) or start(self, rows, *rest))
    assert descended(of, 1e-7, 1e-8)[0] <= 1e-8 * of.unit
    assert seen == [40_000]


def test_a_matrix_is_completed():
    """By what other rows have more of a column: not where it has a good share of it."""
    task, _ = problem(400, 3, store=sp.csr_array)
    rows = Rows(task)
    matrix = Matrix(rows, np.ones(400), np.arange(3), 2.0)
    before, seen = matrix.G.copy(), 2 * rows.norms**2
    matrix.complete(seen * [1.5, 3, 1], 0.25)
    np.testing.assert_allclose(matrix.G - before, np.diag([0, 0.25 * 2 * seen[1], 0]), atol=1e-9)
    matrix.complete(seen * [1.5, 3, 1], 0.25)                         # it knows
    np.testing.assert_allclose(matrix.G - before, np.diag([0, 0.25 * 2 * seen[1], 0]), atol=1e-9)


def test_when_another_matrix_is_made():
    of = Reweighted(problem(3000, 12)[0], Spec(np.ones(1))).matrix
    for rate, gap, goes_on in ((0.5, 1.01, True), (0.999, 1e6, False), (1.0, 2, False), (1.5, 2, False)):
        of.rate = rate
        assert of._goes_on(gap) == goes_on


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_rows_of_weight_zero_may_hold_anything_finite(store):
    task, _ = problem(3000, 12, store=store, weights=True)
    other = Problem.of(task.X, task.Y.copy(), task.penalty, weights=task.weights, datafit=task.datafit)
    other.Y[task.weights.normalised == 0] *= -1
    found = []
    for each in (task, other):
        of = Reweighted(each, Spec(np.ones(1)))
        assert descended(of, 1e-3, 1e-12)[0] <= 1e-12 * of.unit
        found.append(of.at.w)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
@pytest.mark.parametrize("weights", [None, True])
def test_folds_are_fits_of_their_rows(store, weights, monkeypatch):
    monkeypatch.setattr(costs, "FEW_ROWS", 0)
    task, _ = problem(3000, 12, store=store, weights=weights, n_threads=1)
    splits = [(np.flatnonzero(np.arange(3000) % 4 != k), np.arange(k, 3000, 4)) for k in range(4)]
    alphas, given = np.array([1.0, 0.1, 0.01, 0.001]), task.weights.raw
    for tol in (1e-1, 1e-9):
        paths = FoldPaths(task, Spec(alphas, tol=tol), as_folds(splits, 3000))
        paths.start(Penalty(0.0))
        for (train, _), solutions in zip(splits, paths.advance(alphas)):
            X, y = problem(3000, 12)[0].X, task.Y[:, 0]
            judge = [Judge("logistic", X[train], y[train], alpha, 0.0, weights=None if given is None else given[train])
                     for alpha in alphas]
            for k, of_alpha in enumerate(judge):
                assert of_alpha.gap(solutions.coef(k), solutions.intercepts[k, 0]) <= 1.01 * tol


@pytest.mark.parametrize(("loss", "shape"), [("logistic", (300, 20)), ("logistic", (40, 90)), ("poisson", (300, 20)),
                                             ("multinomial", (300, 20)), ("multinomial", (40, 90))])
def test_no_fold_starts_from_what_has_seen_its_test_set(loss, shape, monkeypatch):
    """Where any answer will do, it is the one that knows nothing: else scores are flattered, by what tol leaves."""
    monkeypatch.setattr(costs, "FEW_ROWS", 0)
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    rng = np.random.default_rng(0)
    X, n = rng.standard_normal(shape), shape[0]
    y = against_others(np.arange(n) % 3, 3)
    y = y if loss == "multinomial" else (y[:, :1] + 1) / 2 if loss == "poisson" else y[:, :1]
    task = Problem.of(X, y, Penalty(0.0), weights=Weights(None, n), datafit=by_name(loss), n_threads=1)
    splits = [(np.flatnonzero(np.arange(n) % 4 != k), np.arange(k, n, 4)) for k in range(4)]
    alphas = np.array([0.1, 1e-3])
    paths = FoldPaths(task, Spec(alphas, tol=1e12), as_folds(splits, n))
    paths.start(Penalty(0.0))
    assert paths.lead is not None
    for solutions in paths.advance(alphas):
        assert solutions.n_nonzero.sum() == 0


def test_what_y_is_in_a_test_set_changes_nothing_of_a_fold():
    """However loosely it is solved. (In lockstep it may be solved further, where another one needs more rounds.)"""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20))
    y, rows, alphas = X[:, 0] + rng.standard_normal(60), np.arange(60), np.array([0.3, 0.01])
    splits = [(np.flatnonzero(rows % 3 != k), np.arange(k, 60, 3)) for k in range(3)]

    def found(y, tol):
        task = Problem.of(X, y[:, None], Penalty(1.0), weights=Weights(None, 60), n_threads=1)
        paths = FoldPaths(task, Spec(alphas, tol=tol), as_folds(splits, 60))
        paths.start(Penalty(1.0))
        return [solutions.dense() for solutions in paths.advance(alphas)]

    for tol in (1e-1, 1e-3):
        for k, coefs in enumerate(found(y, tol)):
            np.testing.assert_allclose(found(np.where(rows % 3 == k, 9 - y, y), tol)[k], coefs, atol=0, rtol=0)


def test_folds_share_the_kernel_of_more_columns_than_rows():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 200)), np.where(rng.random(60) < 0.5, 1.0, -1.0)
    for factor, standardize in ((1.0, False), (np.linspace(1, 2, 200), False), (1.0, True)):
        task = Problem.of(X, y[:, None], Penalty(0.0, factor=factor, standardize=standardize),
                          weights=Weights(None, 60), datafit=by_name("logistic"), n_threads=1)
        splits = [(np.flatnonzero(np.arange(60) % 3 != k), np.arange(k, 60, 3)) for k in range(3)]
        alphas = np.array([1.0, 0.01])
        paths = FoldPaths(task, Spec(alphas, tol=1e-9), as_folds(splits, 60))
        paths.start(task.penalty)
        solver = paths._solver(task.penalty, paths.spec, 0)
        assert (solver.matrix.K is paths.lead.matrix.K) == (not standardize)
        for (train, _), solutions in zip(splits, paths.advance(alphas)):
            each = X[train].std(axis=0) ** 2 if standardize else factor
            for k, alpha in enumerate(alphas):
                judge = Judge("logistic", X[train], y[train], alpha, 0.0, factor=each)
                assert judge.gap(solutions.coef(k), solutions.intercepts[k, 0]) <= 1.01e-9


def test_a_matrix_learns_what_a_step_finds():
    """And nothing else of it changes than that takes; not from a curvature that is none."""
    task, _ = problem(400, 4)
    rows, rng = Rows(task), np.random.default_rng(0)
    matrix = Matrix(rows, np.ones(400), np.arange(4), 1.0)
    before, move = matrix.G.copy(), rng.standard_normal(4)
    bend = 0.5 * before @ move + 10 * rng.standard_normal(4)
    matrix.learn(move, bend)
    np.testing.assert_allclose(matrix.G @ move, bend)
    across = np.linalg.svd(np.stack([before @ move, bend]))[2][2:]      # to both
    np.testing.assert_allclose(across @ matrix.G @ across.T, across @ before @ across.T)
    assert np.linalg.eigvalsh(matrix.G).min() > 0
    learnt = matrix.G
    matrix.learn(move, -bend)
    assert matrix.G is learnt


def test_dear_matrices_learn_and_are_made_less_often(made, monkeypatch):
    task, judge = problem(6000, 150)
    steps = {}
    for dear in (0.0, np.inf):
        monkeypatch.setattr(newton, "DEAR", dear)
        made.clear()
        of = Reweighted(task, Spec(np.ones(1)))
        assert isinstance(of.matrix, Newton) and of.matrix.learns == (dear == 0)
        for alpha in (0.01, 0.003, 0.001, 0.0003):
            gap, _ = descended(of, alpha, 1e-10)
            assert gap <= 1e-10 * of.unit
        assert judge(alpha).gap(of.at.w, of.at.b - of.rows.means @ of.at.w) < 1.01e-10
        steps[dear] = sum(n == task.n for n in made)
    assert steps[0.0] < steps[np.inf]
