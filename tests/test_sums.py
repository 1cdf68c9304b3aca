"""Sums of products against the rows that they sum, and what is certified from X whatever the sums say."""
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.adapter.engine import prepare
from fastreg.adapter.probe import excess
from fastreg.kernels.probe import WrongSums
from problems import TOL, correlated
from referee import Referee

import fastreg.solvers.ridge.grams as grams
from fastreg import ElasticNetCV, Lasso, LassoCV, regularization_path
from fastreg.adapter.sums import residuals
from fastreg.design import as_design, view_of
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Moments, Problem, Spec
from fastreg.solvers.path import PathSolver


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("n, q", [(5, 3), (100, 9), (3000, 12)])
def test_a_probe_passes_sums_and_sees_one_wrong_element(n, q, across):
    rng = np.random.default_rng(n)
    Z = rng.standard_normal((n, q)) * 10.0 ** rng.uniform(-8, 8, q)
    Z[:, 1] = 0
    Z[: n // 2, 2] = 0                                      # not seen among the first rows
    S, stored = Z.T @ Z, Z if across else np.ascontiguousarray(Z.T)
    assert excess(stored, S, across) <= 1
    size = np.sqrt(np.outer(np.diag(S), np.diag(S)))
    for j, k in np.argwhere(np.triu(size) > 0):
        if j == k == 2:
            continue                                        # its size is not known: it only shows beside others
        wrong = S.copy()
        wrong[k, j] += 1e-6 * size[j, k]                    # the upper triangle is column by column
        assert excess(stored, wrong, across) > 1, (j, k)
    assert excess(stored, S - np.outer(Z[-1], Z[-1]), across) > 1
    assert excess(stored, np.zeros_like(S), across) > 1


def test_the_probe_leaves_what_is_not_finite_to_others():
    Z = np.ones((20, 3))
    Z[3, 1] = np.nan
    assert excess(Z, Z.T @ Z) <= 1
    Z[3, 1] = np.inf
    assert excess(Z, Z.T @ Z) <= 1


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("level", [0, 3, 1e6])
@pytest.mark.parametrize("layout", [
    np.asfortranarray, np.ascontiguousarray, lambda X: X.astype(np.float32), lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    lambda X: np.ascontiguousarray(X[::-1])[::-1], sp.csc_array, sp.csr_array])
def test_residuals_and_correlations_in_one_reading(layout, level, weighted, centred):
    rng = np.random.default_rng(1)
    n, p = 700, 37
    X = layout(np.round((rng.standard_normal((n, p)) + level) * 64) / 64)
    weight = rng.uniform(0.5, 2, n) * (rng.random(n) < 0.9) if weighted else None
    weight = None if weight is None else weight * (n / weight.sum())
    root = np.sqrt(np.ones(n) if weight is None else weight)
    exact = (X.toarray() if sp.issparse(X) else X).astype(np.longdouble)
    means = np.average(exact, axis=0, weights=root**2) if centred else 0
    Z = (exact - means) * root[:, None]
    Y, W = rng.standard_normal((2, n)), rng.standard_normal((2, p)) * (rng.random((2, p)) < 0.3)
    if centred and level == 1e6:                            # else the error of the means would count
        Y -= np.outer(Y @ root, root) / n
    R, G = residuals(prepare(view_of(as_design(X, 1), weight, centred)), Y, W)
    right = Y - W @ Z.T
    size, lengths = np.abs(W).sum() + np.abs(Y).max(), np.linalg.norm(Z.astype(float), axis=0)
    # the means themselves are rounded, which moves all residuals alike: centred columns do not see that
    np.testing.assert_allclose(R, right.astype(float), rtol=0, atol=2e-14 * size * max(level, 1))
    # sparse X is centred by what its products have in common, which a high level leaves fewer digits
    room = 1e-12 * size * (1 if level < 1e6 or (centred and not sp.issparse(X)) else level)
    np.testing.assert_allclose(G / lengths, (right @ Z).astype(float) / lengths, rtol=0, atol=room)


def solver_of(X, y, off, tol=TOL, seed=0):
    """A PathSolver that was told a Gram matrix which is off by a symmetric share of itself."""
    A, target = X - X.mean(axis=0), y - y.mean()
    noise = np.random.default_rng(seed).standard_normal((X.shape[1], X.shape[1]))
    gram = A.T @ A
    scale = np.sqrt(np.diag(gram))
    gram += off * (noise + noise.T) * np.outer(scale, scale)
    known = Moments(gram, (A.T @ target)[None], X.mean(axis=0), scale)
    return PathSolver(replace(Problem.of(X, y[:, None], Penalty()), known=known), Spec(5, tol=tol))


def test_what_the_sums_lack_is_mended_from_x():
    X, y = correlated(300, 30, 0.5)
    alphas = np.array([0.3, 0.1, 0.03])
    for off in (0, 1e-6, 1e-3):
        found = solver_of(X, y, off).advance(alphas)
        assert found.converged[-1].all() and found.from_x.tolist() == [False, False, True]
        gap = Referee(X, y, alphas[-1]).relative_gap(found.dense()[-1], found.intercepts[-1, 0])
        assert gap <= 2.1 * TOL, off
    # the others say what they rest on: nothing holds them against X here, as a probe does where the sums are formed
    gap = Referee(X, y, alphas[0]).relative_gap(found.dense()[0], found.intercepts[0, 0])
    assert gap > 100 * TOL


def test_a_gap_from_x_tells_the_truth_about_wrong_sums():
    X, y = correlated(300, 30, 0.5)
    alphas = np.array([0.3, 0.1, 0.03])
    for off in (1e-3, 0.02):
        solver = solver_of(X, y, off)
        found = solver.advance(alphas, from_x=False)
        assert found.converged.all() and not found.from_x.any()
        for at in range(3):
            told = solver.certify(found, at)
            assert told.from_x.tolist() == [a == at for a in range(3)] and not told.converged[at]
            gap = Referee(X, y, alphas[at]).relative_gap(found.dense()[at], found.intercepts[at, 0])
            # the referee's dual point is the better one
            assert told.dual_gaps[at, 0] >= 0.99 * gap * np.var(y) > 10 * found.dual_gaps[at, 0]


def test_which_solutions_are_certified_from_x():
    X, y = correlated(300, 30, 0.5)
    path = regularization_path(X, y, alphas=5)
    assert path.certified_from.tolist() == ["sums"] * 4 + ["X"]
    assert set(regularization_path(X[:30], y[:30], positive=True, alphas=4, eps=0.1).certified_from) <= {"X", "sums"}
    wide = correlated(30, 300, 0.5)
    assert set(regularization_path(*wide, alphas=5).certified_from) == {"X"}
    model = LassoCV(cv=3, alphas=20, keep_paths=True).fit(X, y)
    at = np.flatnonzero(model.path_.alphas == model.alpha_)[0]
    assert model.path_.certified_from[at] == "X"
    for Model in (LassoCV, ElasticNetCV):
        model = Model(criterion="bic", alphas=20, tol=1e-8).fit(X, y)
        l1_ratio = getattr(model, "l1_ratio_", 1.0)
        gap = Referee(X, y, model.alpha_, l1_ratio=l1_ratio).relative_gap(model.coef_, model.intercept_)
        assert gap <= 2.1e-8


def test_a_gram_matrix_that_is_given_is_held_against_x():
    X, y = correlated(200, 20, 0.3)
    A = X - X.mean(axis=0)
    wrong = A.T @ A
    wrong[3, 7] = wrong[7, 3] = wrong[3, 7] * 1.01 + 1      # the diagonal, which is right, says nothing of it
    with pytest.raises(ValueError, match="precompute: the Gram matrix did not pass"):
        Lasso(0.1, precompute=wrong).fit(X, y)
    rough = (A.T @ A).astype(np.float32).astype(np.float64)
    exact, model = Lasso(0.1, tol=1e-12).fit(X, y), Lasso(0.1, tol=1e-12, precompute=rough).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-10)


def test_another_route_where_blas_is_wrong(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10, 50))
    design = view_of(as_design(X, 1), None, True)
    right, _ = grams.raw_kernel(design, True)
    assert right is not None

    def wrong(design, scale=None, raw=False):
        raise WrongSums("planted")

    monkeypatch.setattr(grams, "kernel_of", wrong)
    assert grams.raw_kernel(design, True) == (None, None)


@pytest.mark.parametrize("convert", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("off", [0, 1e-7])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_gram_matrix_of_sparse_features_is_checked_alone(convert, off, fit_intercept):
    X, y = correlated(60, 8, 0.3, k=5)
    A = X - X.mean(axis=0) * fit_intercept
    options = {"tol": TOL, "fit_intercept": fit_intercept}
    model = Lasso(0.05, precompute=A.T @ A * (1 + off), **options).fit(convert(X), y)
    np.testing.assert_allclose(model.coef_, Lasso(0.05, **options).fit(X, y).coef_, rtol=1e-6, atol=1e-9)
