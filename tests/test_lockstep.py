"""Folds in lockstep: what they share changes nothing, and what they cannot share is solved apart."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import correlated
from referee import Referee

from fastreg import ElasticNetCV, Lasso, LassoCV, costs
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.solvers import folds as solver_folds
from fastreg.solvers.folds import FoldPaths, LockstepPaths, as_folds, mean_products
from fastreg.solvers.path import PathSolver
from fastreg.weights import Weights

TOL = 1e-11
MAKE = {"F": np.asfortranarray, "C": np.ascontiguousarray, "csc": sp.csc_array, "csr": sp.csr_array}


@pytest.fixture(autouse=True)
def shared(monkeypatch):
    """However small the data."""
    monkeypatch.setattr(costs, "LEAST_SHARED", 0)


def sparse_data(n, p, density, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < density)
    return X, X[:, :10] @ rng.standard_normal(10) + rng.standard_normal(n)


def paths_of(kind, X, y, splits, alphas, penalty, *, weight=None, n_threads=1, fit_intercept=True, tol=TOL, last=True):
    problem = Problem.of(X, y[:, None], penalty, weights=Weights(weight, len(y)), fit_intercept=fit_intercept,
                         n_threads=n_threads)  # fmt: skip
    paths = kind(problem, Spec(alphas, tol=tol), as_folds(splits, len(y)))
    paths.start(penalty)
    return paths, paths.advance(alphas, last=last)


def splits_of(n, n_folds, seed=0):
    part = np.random.default_rng(seed).integers(0, n_folds, n)
    return [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(n_folds)]


@pytest.mark.parametrize("storage", list(MAKE))
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(
    "penalty",
    [
        Penalty(),
        Penalty(0.4, standardize=True),
        Penalty(factor=np.r_[0.0, np.inf, np.linspace(0.5, 2, 88)]),
        Penalty(0.8, lower=-0.1, upper=0.4),
    ],
    ids=["lasso", "standardized", "factors", "limits"],
)
def test_the_same_as_one_by_one(storage, weighted, penalty):
    X, y = sparse_data(50, 90, 0.3)
    X[:, 3] = 0.0
    X[4, 3] = 2.0                                       # constant wherever row 4 is not
    weight = np.random.default_rng(1).uniform(0.1, 3, 50) * (np.arange(50) % 7 > 0) if weighted else None
    alphas, splits = np.geomspace(0.5, 0.005, 12), splits_of(50, 4)
    found = [paths_of(kind, MAKE[storage](X), y, splits, alphas, penalty, weight=weight)[1]
             for kind in (LockstepPaths, FoldPaths)]
    for together, apart in zip(*found):
        assert together.converged.all()
        np.testing.assert_allclose(together.dense(), apart.dense(), atol=2e-5)
        np.testing.assert_allclose(together.intercepts, apart.intercepts, atol=2e-5)
        assert (together.relative_gaps <= TOL).all()


@pytest.mark.parametrize("storage", list(MAKE))
def test_threads_do_not_matter(storage):
    X, y = sparse_data(400, 3000, 0.2)
    model = [ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=8, eps=0.1, cv=5, n_jobs=jobs, n_threads=threads).fit(
        MAKE[storage](X), y) for jobs, threads in ((1, 1), (1, 2), (2, 2), (2, 5))]  # fmt: skip
    for other in model[1:]:
        np.testing.assert_array_equal(other.mse_path_, model[0].mse_path_)
        np.testing.assert_array_equal(other.coef_, model[0].coef_)


@pytest.mark.parametrize("storage", ["F", "csc"])
@pytest.mark.parametrize("n_folds", [2, 3, 4, 15])
def test_any_number_of_folds(storage, n_folds):
    X, y = sparse_data(60, 80, 0.4)
    splits, alphas = splits_of(60, n_folds), np.geomspace(0.4, 0.02, 6)
    _, found = paths_of(LockstepPaths, MAKE[storage](X), y, splits, alphas, Penalty())
    assert len(found) == n_folds
    for (train, _), path in zip(splits, found):
        for a, alpha in enumerate(alphas):
            referee = Referee(X[train], y[train], alpha, 1.0)
            assert referee.relative_gap(path.dense()[a], path.intercepts[a, 0]) <= 1e-9


@pytest.mark.parametrize("storage", ["F", "csc"])
@pytest.mark.parametrize("relax", [False, True])
def test_folds_that_outgrow_their_memory_are_solved_apart(storage, relax, monkeypatch):
    X, y = correlated(40, 150, 0.5)
    options = {"alphas": 12, "eps": 0.02, "tol": TOL, "relax": relax, "l1_ratio": [0.7, 1.0]}
    free = ElasticNetCV(**options).fit(MAKE[storage](X), y)
    used = []
    monkeypatch.setattr(Problem, "capacity", lambda *args, **kw: 12)
    monkeypatch.setattr(solver_folds.FoldPaths, "start", spied(solver_folds.FoldPaths.start, used))
    tight = ElasticNetCV(**options).fit(MAKE[storage](X), y)
    assert used
    assert tight.alpha_ == free.alpha_
    np.testing.assert_allclose(tight.mse_path_, free.mse_path_, rtol=1e-6)
    np.testing.assert_allclose(tight.coef_, free.coef_, atol=1e-6)


@pytest.mark.parametrize("storage", ["csc", "csr"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_errors_on_any_test_set_come_with_the_solutions(storage, weighted, centred, level):
    X, y = sparse_data(80, 60, 0.4)
    X[:, ::7] += level
    rng = np.random.default_rng(2)
    weight = rng.uniform(0.1, 3, 80) * (np.arange(80) % 7 > 0) if weighted else None
    splits = [(rng.choice(80, 50), rng.choice(80, 30)), (np.arange(60), np.r_[70:80, 5:15, 72]), *splits_of(80, 3)]
    X = MAKE[storage](X)
    penalty = Penalty(factor=np.r_[0.0, np.ones(59)])      # a free column: the last residual is one of refinement
    _, found = paths_of(LockstepPaths, X, y + 100, splits, np.geomspace(0.5, 0.01, 6), penalty, weight=weight,
                        fit_intercept=centred)  # fmt: skip
    for (_, test), path in zip(splits, found):
        fit = Problem.of(X, y[:, None], penalty).predict(test, path.sparse(), path.intercepts[:, 0])
        error = fit - y[test, None] - 100
        expected = mean_products(error, None if weight is None else weight[test], 1)[0, 0]
        np.testing.assert_allclose(path.test_errors, expected, rtol=1e-7)


@pytest.mark.parametrize("storage", list(MAKE))
@pytest.mark.parametrize("free", [False, True])
def test_the_largest_alpha_of_all_rows_is_known_at_the_start(storage, free):
    X, y = sparse_data(60, 90, 0.4)
    weight, alphas = np.random.default_rng(1).uniform(0.1, 3, 60), np.geomspace(0.5, 0.01, 8)
    penalty, splits = Penalty(factor=np.r_[0.0 if free else 1.0, np.ones(89)]), splits_of(60, 5)
    paths, before = paths_of(LockstepPaths, MAKE[storage](X), y, splits, alphas, penalty, weight=weight)
    solver = PathSolver(Problem.of(X, y[:, None], penalty, weights=Weights(weight, 60)), Spec(1, tol=TOL, gram=False))
    assert paths.largest_alpha(penalty) == pytest.approx(solver.largest_alpha(), rel=1e-9)
    paths.start(penalty)
    for one, other in zip(before, paths.advance(alphas)):
        np.testing.assert_allclose(one.dense(), other.dense(), atol=1e-7)


def spied(function, calls):
    def called(*args, **kwargs):
        calls.append(args)
        return function(*args, **kwargs)

    return called


@pytest.mark.parametrize("storage", ["F", "csc"])
def test_all_rows_from_what_the_folds_agree_on(storage):
    X, y = sparse_data(60, 200, 0.4)
    alphas, splits = np.geomspace(0.5, 0.01, 10), splits_of(60, 5)
    paths, _ = paths_of(LockstepPaths, MAKE[storage](X), y, splits, alphas, Penalty(0.9))
    paths.start(Penalty(0.6))
    paths.advance(alphas)
    for at, ratio in ((0, 0.9), (1, 0.6), (0, 0.9)):   # going back to a penalty as well
        for alpha in alphas[[7, 2]]:
            solver, solution = paths.refit(at, alpha)
            referee = Referee(X, y, alpha, ratio)
            assert referee.relative_gap(solution.dense()[0], solution.intercepts[0, 0]) <= 1e-9
            features = np.unique(solution.indices)
            centred = X[:, features] - X[:, features].mean(axis=0)
            gram, products, means = solver.moments_of(features)
            np.testing.assert_allclose(gram, centred.T @ centred, atol=1e-9)
            np.testing.assert_allclose(products[0], centred.T @ y, atol=1e-9)
            np.testing.assert_allclose(means, X[:, features].mean(axis=0))


@pytest.mark.parametrize("storage", ["F", "csc"])
def test_high_levels_cost_no_digits(storage):
    X, y = sparse_data(80, 120, 0.5)
    X[:, ::5] += 1e6
    splits, alphas = splits_of(80, 5), np.geomspace(0.3, 0.01, 8)
    _, found = paths_of(LockstepPaths, MAKE[storage](X), y, splits, alphas, Penalty())
    for (train, _), path in zip(splits, found):
        for a, alpha in enumerate(alphas):
            referee = Referee(X[train] - (X[train].mean(axis=0) * (np.arange(120) % 5 == 0)), y[train], alpha, 1.0)
            w = path.dense()[a]
            shift = X[train].mean(axis=0) * (np.arange(120) % 5 == 0) @ w
            assert referee.relative_gap(w, path.intercepts[a, 0] + shift) <= 1e-7


@pytest.mark.parametrize("storage", ["F", "csc"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_the_report_raises_ends_the_fit(storage, n_threads):
    X, y = correlated(200, 2000, 0.9)
    problem = Problem.of(MAKE[storage](X), y[:, None], Penalty(), n_threads=n_threads)
    paths = LockstepPaths(problem, Spec(1000, tol=TOL), as_folds(splits_of(200, 5), 200))

    def report(done):
        raise KeyboardInterrupt

    paths.start(Penalty(), report)
    with pytest.raises(KeyboardInterrupt):
        paths.advance(np.geomspace(1, 1e-4, 1000))


@pytest.mark.parametrize("chunk", range(10))
def test_fuzz(chunk):
    """Seeds 0 to 99: random shapes, storages, weights, penalties and splits, each fold against the referee."""
    for seed in range(10 * chunk, 10 * chunk + 10):
        rng = np.random.default_rng(seed)
        n, p = int(rng.integers(8, 60)), int(rng.integers(1, 90))
        X, y = sparse_data(n, p, rng.choice([0.1, 0.5, 1.0]), seed) if p >= 10 else (rng.standard_normal((n, p)),
                                                                                     rng.standard_normal(n))
        weight = rng.uniform(0, 2, n) * (rng.random(n) < 0.9) + 1e-3 if seed % 3 == 0 else None
        ratio, centred = float(rng.choice([0.3, 1.0])), bool(rng.random() < 0.7)
        splits = [(rng.choice(n, int(rng.integers(4, n)), replace=bool(seed % 5 == 0)), np.arange(2))
                  for _ in range(int(rng.integers(2, 6)))]  # fmt: skip
        alphas = np.geomspace(1, 1e-3, 6) * np.abs(X.T @ (y - y.mean())).max() / n
        _, found = paths_of(LockstepPaths, list(MAKE.values())[seed % 4](X), y, splits, alphas, Penalty(ratio),
                                weight=weight, fit_intercept=centred)  # fmt: skip
        for (train, _), path in zip(splits, found):
            for a, alpha in enumerate(alphas):
                referee = Referee(X[train], y[train], alpha, ratio, fit_intercept=centred,
                                  sample_weight=None if weight is None else weight[train])  # fmt: skip
                assert referee.relative_gap(path.dense()[a], path.intercepts[a, 0]) <= 2e-9, seed


@pytest.mark.parametrize("storage", ["F", "csc"])
@pytest.mark.parametrize("cap", [4, 20, 36, 52, 68])
def test_all_rows_may_outgrow_what_the_folds_did_not(storage, cap, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 150))
    y = X[:, :8] @ rng.standard_normal(8) + rng.standard_normal(60)
    expected = LassoCV(alphas=[0.05], tol=TOL).fit(MAKE[storage](X), y)
    monkeypatch.setattr(Problem, "capacity", lambda *args, **kw: cap)
    found = LassoCV(alphas=[0.05], tol=TOL).fit(MAKE[storage](X), y)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-8)


@pytest.mark.parametrize("storage", list(MAKE))
def test_targets_constant_in_every_training_set(storage):
    X = np.random.default_rng(0).standard_normal((40, 200))
    y = np.repeat([0.0, 1.0], 20)
    model = LassoCV(alphas=[0.05], cv=2, tol=TOL).fit(MAKE[storage](X), y)
    np.testing.assert_allclose(model.coef_, Lasso(0.05, tol=TOL).fit(X, y).coef_, atol=1e-8)
    assert np.count_nonzero(model.coef_) > 10


@pytest.mark.parametrize("storage", ["F", "csc"])
@pytest.mark.parametrize(("seed", "tol"), [(20, 1e-2), (1, 1e-3), (5, 1e-4)])
def test_gaps_of_problems_that_were_done_before_the_others(storage, seed, tol):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((120, 1000)) * (rng.random((120, 1000)) < 0.6)
    X += rng.uniform(0, 1) * rng.standard_normal((120, 1))
    y = X[:, :40] @ rng.standard_normal(40) + rng.standard_normal(120)
    y[:30] *= 10
    penalty, alphas = Penalty(factor=np.r_[0.0, 0.0, np.ones(998)]), np.array([30, 10, 1, 0.3, 0.1])
    splits = [(np.delete(np.arange(120), test), test) for test in np.array_split(np.arange(120), 4)]
    _, rough = paths_of(LockstepPaths, MAKE[storage](X), y, splits, alphas, penalty, tol=tol)
    _, exact = paths_of(FoldPaths, X, y, splits, alphas, penalty)
    for (train, _), one, other in zip(splits, rough, exact):
        for a, alpha in enumerate(alphas):
            loss = [np.mean((y[train] - X[train] @ s.dense()[a] - s.intercepts[a, 0]) ** 2) / 2
                    + alpha * np.abs(s.dense()[a, 2:]).sum() for s in (one, other)]
            assert loss[0] - loss[1] <= one.dual_gaps[a, 0] + other.dual_gaps[a, 0] + 1e-12


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("storage", ["csc", "csr"])
@pytest.mark.parametrize("value", [0.0, 1e8, 1e10])
def test_what_is_left_out_may_be_of_another_size(storage, value):
    """A level with a single zero, or one huge entry, in a test set: the training sets keep their digits."""
    X, y = sparse_data(60, 90, 0.5)
    if value == 0:
        X[:, 2] = 1e8 + np.random.default_rng(1).standard_normal(60)
        y += X[:, 2] - 1e8
    X[7, 2] = value
    splits, alphas = splits_of(60, 5), np.geomspace(1, 0.01, 8)
    found = [paths_of(kind, MAKE[storage](X), y, splits, alphas, Penalty())[1] for kind in (LockstepPaths, FoldPaths)]
    for together, apart in zip(*found):
        np.testing.assert_allclose(together.dense(), apart.dense(), atol=1e-6)


def test_a_path_by_pieces_does_not_start_again():
    X, y = sparse_data(60, 100, 0.6)
    X[:, 3] = 1.0
    splits = [([0, 1], [2]), *splits_of(60, 4)]
    y[:2] = 0.0                                        # nothing to fit in the first training set
    alphas = np.geomspace(0.5, 0.01, 12)
    paths, _ = paths_of(LockstepPaths, np.asfortranarray(X), y, splits, alphas[:4], Penalty(), last=False)
    for piece in (alphas[4:8], alphas[8:]):
        assert max(s.n_iters[0, 0] for s in paths.advance(piece, last=False)) <= 3


def test_large_data_is_solved_in_lockstep(monkeypatch):
    X, y = sparse_data(30, 40, 0.5)
    problem, spec = Problem.of(sp.csc_array(X), y[:, None], Penalty()), Spec(5)
    assert problem.shares_passes(spec, 3) and not problem.shares_passes(spec, 1)
    assert not Problem.of(X, y[:, None], Penalty()).shares_passes(Spec(5, gram=True), 3)
    used = []
    monkeypatch.setattr(LockstepPaths, "start", spied(LockstepPaths.start, used))
    for least, n_used in ((problem.X.size, 1), (problem.X.size + 1, 0)):
        monkeypatch.setattr(costs, "LEAST_SHARED", least)
        used.clear()
        LassoCV(cv=3, alphas=5).fit(problem.X, y)
        assert problem.shares_passes(spec, 3) == bool(n_used) and len(used) == n_used


def test_a_single_split_and_leave_one_out():
    X, y = sparse_data(40, 60, 0.5)
    one = LassoCV(cv=[(np.arange(30), np.arange(30, 40))], alphas=8).fit(sp.csc_array(X), y)
    assert one.mse_path_.shape == (8, 1)
    splits = [(np.delete(np.arange(40), k), [k]) for k in range(40)]
    out, dense = (LassoCV(cv=splits, alphas=8, tol=TOL).fit(make(X), y) for make in (sp.csc_array, np.asarray))
    np.testing.assert_allclose(out.mse_path_, dense.mse_path_, rtol=1e-6, atol=1e-8)
