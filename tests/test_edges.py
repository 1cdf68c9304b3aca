"""A chosen penalty at the edge of its grid is said, where a better one may lie beyond; curves and paths of what was
chosen."""
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from problems import correlated

from fastreg import (
    ElasticNetCV,
    Lasso,
    LassoCV,
    LogisticRegressionCV,
    PoissonRegressorCV,
    RidgeClassifierCV,
    RidgeCV,
)


@pytest.fixture(scope="module")
def data():
    """A lasso that wants an alpha of about 0.1, with a rise on both sides."""
    X, y = correlated(80, 30, 0.3, k=3)
    X = X / X.std(axis=0)
    rng = np.random.default_rng(0)
    return X, (y - y.mean()) / y.std() + rng.normal(size=80)


def warned(fit):
    """What fit() warns of an edge, and the line of whom it names."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    caught = [one for one in caught if "of its grid" in str(one.message)]
    assert len(caught) <= 1 and all(one.category is UserWarning and one.filename == __file__ for one in caught)
    return str(caught[0].message) if caught else None


@pytest.mark.parametrize("options", [{}, {"criterion": "aic"}, {"selection_rule": "1se"}, {"relax": True},
                                     {"scoring": "r2"}], ids=str)
def test_the_edges_of_lasso_and_elastic_net(data, options):
    X, y = data
    best = LassoCV(eps=1e-4, **options)
    assert warned(lambda: best.fit(X, y)) is None
    least, most = best.alpha_ * 3, best.alpha_ / 3
    assert "smallest of its grid" in warned(lambda: LassoCV(alphas=[4 * least, 2 * least, least], **options).fit(X, y))
    told = warned(lambda: LassoCV(alphas=[most, most / 2, most / 9], **options).fit(X, y))
    assert "largest of its grid" in told and f"alpha={most:.6g}" in told and "give larger alphas." in told
    short = warned(lambda: ElasticNetCV(eps=0.9, l1_ratio=[0.5, 1.0], **options).fit(X, y))
    if not options.keys() & {"selection_rule", "relax"}:
        assert "give smaller alphas, or a smaller eps." in short
    assert warned(lambda: LassoCV(alphas=[least], **options).fit(X, y)) is None, "there was nothing to choose"


def test_nothing_is_said_where_larger_alphas_change_nothing(data):
    X, _ = data
    noise = np.random.default_rng(1).normal(size=80)
    for model in (LassoCV(), LassoCV(alphas=[10.0, 5.0, 1.0]), LassoCV(alphas=[10.0, 0.01]), LassoCV(criterion="bic")):
        assert warned(lambda model=model: model.fit(X, noise)) is None
        assert not model.coef_.any()
    assert warned(lambda: ElasticNetCV(alphas=20, penalty_factor=np.r_[0.0, np.ones(29)]).fit(X, noise)) is None


def test_nothing_is_said_of_a_level_end(data):
    """Least squares of many rows: a weaker penalty is as good."""
    X, _ = correlated(3000, 5, 0.2, k=3)
    y = X @ np.arange(1.0, 6.0) + 1e-3 * np.random.default_rng(7).normal(size=3000)
    model = LassoCV(eps=1e-3).fit(X, y)
    assert model.alpha_ == model.alphas_[-1] and warned(lambda: model.fit(X, y)) is None
    assert model.cv_path_.at_edge is None
    level = RidgeCV([1e-3, 1e-4, 1e-5])
    assert warned(lambda: level.fit(X, y)) is None


@pytest.mark.filterwarnings("ignore:overflow")
def test_scores_that_are_no_numbers_have_no_edge(data):
    X, y = data
    model = LassoCV(alphas=np.array([2e160, 1e160]))
    assert warned(lambda: model.fit(X, 1e161 * y)) is None and np.isinf(model.cv_path_.values).all()


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_the_edges_of_ridge(data, make):
    X, y = data
    free = RidgeCV(np.logspace(-3, 5, 60)).fit(X, y)
    for options in ({}, {"cv": 4}, {"selection_rule": "1se"}, {"alpha_per_target": True}):
        for target in (y, np.c_[y, 2 * y]):
            grid = free.alpha_ * np.array([1e-2, 1e-3])
            told = warned(lambda o=options, t=target, g=grid: RidgeCV(g, **o).fit(make(X), t))
            assert f"alpha={grid[0]:.6g} is the largest" in told
            assert warned(lambda o=options, t=target: RidgeCV([free.alpha_], **o).fit(make(X), t)) is None
    assert "smallest" in warned(lambda: RidgeCV(free.alpha_ * np.array([1e3, 1e2])).fit(make(X), y))
    assert warned(lambda: free.fit(X, y)) is None and free.cv_path_.at_edge is None
    assert "give larger alphas" in warned(lambda: RidgeClassifierCV([1e-6, 1e-2]).fit(make(X), y > 0))


def test_the_edges_of_other_losses(data):
    X, y = data
    told = warned(lambda: LogisticRegressionCV(Cs=[1e-5, 1e-4]).fit(X, y > 0))
    assert "C=0.0001 is the largest" in told and "give larger Cs." in told
    told = warned(lambda: LogisticRegressionCV(Cs=[1e3, 1e5]).fit(X, y > 0))
    assert "C=1000 is the smallest" in told and "give smaller Cs." in told
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * X[:, 0]))
    told = warned(lambda: PoissonRegressorCV(eps=0.9, alphas=4, l1_ratio=1.0).fit(X, counts))
    assert "smallest" in told and "smaller eps" in told


def test_the_fit_at_one_standard_error_is_on_the_path(data):
    X, y = data
    model = LassoCV(keep_paths=True, tol=1e-12).fit(X, y)
    assert model.alpha_1se_ > model.alpha_
    point = model.path_.at(model.alpha_1se_)
    np.testing.assert_allclose(point.coef, Lasso(model.alpha_1se_, tol=1e-12).fit(X, y).coef_, atol=1e-8)
    np.testing.assert_array_equal(point.coef, model.path_[model.cv_path_.best_1se[1]].coef)
    strict = LassoCV(selection_rule="1se", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(point.coef, strict.coef_, atol=1e-8)
