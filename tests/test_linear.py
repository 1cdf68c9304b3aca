"""Lasso and ElasticNet: every storage and option, hard data, scikit-learn's conventions. The referee judges."""

import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from problems import SPARSE, STORAGES, TOL, certify, correlated, covering, make_data, parts, referee_of
from referee import Referee, dense
from sklearn import datasets
from sklearn import linear_model as reference
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastreg import ElasticNet, Lasso

both = pytest.mark.parametrize("Model", [Lasso, ElasticNet])
SMALL_STORAGES = ["C", "F", "csr_matrix", "csc_array"]


def fit_strictly(model, *args):
    """Fit; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.fit(*args)


# ---------------------------------------------------------------- storages and options


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("fit_intercept", [False, True], ids=["", "intercept"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("storage", STORAGES)
def test_storages(data, storage, dtype, fit_intercept, weighted):
    X, y, weights = data
    stored = STORAGES[storage](X.astype(dtype))
    before = [a.copy() for a in parts(stored)]
    args = (stored, y, weights) if weighted else (stored, y)
    tol = TOL if dtype == np.float64 else 1e-7
    model = fit_strictly(ElasticNet(0.02, l1_ratio=0.8, tol=tol, fit_intercept=fit_intercept), *args)
    referee = certify(model, X, *args[1:], gap=None if dtype == np.float64 else 1e-6)
    atol = (1e-5 if dtype == np.float64 else 1e-3) * np.abs(model.coef_).max()
    np.testing.assert_allclose(model.coef_, referee.solve(), atol=atol)
    np.testing.assert_allclose(model.predict(stored), X @ model.coef_ + model.intercept_, rtol=1e-5, atol=1e-5)
    for was, now in zip(before, parts(stored), strict=True):
        np.testing.assert_array_equal(was, now)


DTYPES = [np.int64, np.int8, np.uint8, bool]


@pytest.mark.parametrize(
    ("make", "dtype"),
    [(make, dtype) for make in (sp.csr_matrix, sp.csc_array) for dtype in DTYPES]
    + [(np.array, dtype) for dtype in (*DTYPES, np.float16, np.longdouble, object)],
)
def test_other_dtypes_are_converted(data, dtype, make):
    X = (np.abs(data[0]) > 0.3) * (1 if dtype is bool else np.arange(1, 26))
    certify(Lasso(0.05, tol=TOL).fit(make(X.astype(dtype)), data[1]), X, data[1])


def test_lists_and_integer_y(data):
    X, y = data[0], np.round(data[1]).astype(int)
    certify(Lasso(0.05, tol=TOL).fit(X.tolist(), y.tolist()), X, y)


LIMITS = {
    "": {},
    "positive": {"positive": True},
    "scalars": {"lower_limits": -0.1, "upper_limits": 0.2},
    "arrays": {"lower_limits": -np.arange(25) / 50, "upper_limits": np.r_[np.zeros(5), np.full(20, np.inf)]},
    "positive_and_limit": {"positive": True, "upper_limits": 0.3},
}
FACTORS = {
    "": None,
    "mixed": np.linspace(0.1, 3, 25),
    "free_and_excluded": np.r_[0.0, 0.0, 0.0, np.inf, np.inf, np.ones(20)],
}


@pytest.mark.parametrize(
    ("limits", "factors", "standardize", "weighted", "n", "storage"),
    covering(LIMITS, FACTORS, [False, True], [False, True], [40, 15], ["C", "csc_matrix"], strength=3),
)
def test_options(limits, factors, standardize, weighted, n, storage):
    X, y, weights = make_data(3, n, 25)
    options = LIMITS[limits] | {"penalty_factor": FACTORS[factors], "standardize": standardize, "tol": TOL}
    args = (y, weights) if weighted else (y,)
    for l1_ratio in (1.0, 0.5, 0.0):
        for fit_intercept in (True, False):
            model = ElasticNet(0.05, l1_ratio=l1_ratio, fit_intercept=fit_intercept, **options)
            certify(fit_strictly(model, STORAGES[storage](X), *args), X, *args)
            excluded = np.isinf(FACTORS[factors]) if factors else np.zeros(25, bool)
            assert not model.coef_[excluded].any()
            if "positive" in limits:
                assert model.coef_.min() >= 0


@pytest.mark.parametrize("storage", SMALL_STORAGES)
def test_standardize_is_scaling_by_hand(data, storage):
    X, y, _ = data
    scale = X.std(axis=0)
    by_hand = Lasso(0.1, tol=1e-13).fit(X / scale, y)
    model = Lasso(0.1, tol=1e-13, standardize=True).fit(STORAGES[storage](X), y)
    np.testing.assert_allclose(model.coef_ * scale, by_hand.coef_, atol=1e-8)
    np.testing.assert_allclose(model.intercept_, by_hand.intercept_)


def test_lasso_is_elastic_net_with_l1_ratio_one(data):
    X, y, weights = data
    a = Lasso(0.05, tol=TOL).fit(X, y, weights)
    b = ElasticNet(0.05, l1_ratio=1, tol=TOL).fit(X, y, weights)
    np.testing.assert_array_equal(a.coef_, b.coef_)


# ---------------------------------------------------------------- hard data


def _with_columns(X, **columns):
    X = X.copy()
    for place, column in columns.items():
        X[:, int(place[1:])] = column
    return X


def _combined(X):
    X = X.copy()
    X[:, 4], X[:, 5], X[:, 6] = X[:, 0] + X[:, 1], X[:, 0] - 2 * X[:, 2], -3 * X[:, 3]
    return X


HARD_X = {
    "constant": lambda X: _with_columns(X, c0=3.7, c5=-1e6, c9=1e-8),
    "all_zero": lambda X: _with_columns(X, c0=0.0, c24=0.0),
    "only_constant": lambda X: np.full_like(X, 0.1),
    "duplicates": lambda X: _with_columns(X, c1=X[:, 0], c2=X[:, 0], c7=X[:, 6], c8=-X[:, 6]),
    "all_equal": lambda X: np.repeat(X[:, :1], X.shape[1], axis=1),
    "rank_deficient": _combined,
    "nearly_equal": lambda X: _with_columns(X, c1=X[:, 0] + 1e-9 * X[:, 3]),
    "one_row": lambda X: X[:1],
    "two_rows": lambda X: X[:2],
    "one_column": lambda X: X[:, :1],
    "one_by_one": lambda X: X[:1, :1] + 1.0,
    "scaled_columns": lambda X: X * 10.0 ** np.linspace(-6, 6, X.shape[1]),
    "tiny": lambda X: X * 1e-12,
    "huge": lambda X: X * 1e12,
}


@pytest.mark.parametrize("standardize", [False, True], ids=["", "standardize"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("name", HARD_X)
def test_hard_X(data, name, storage, weighted, standardize):
    X = HARD_X[name](data[0])
    y, weights = data[1][: len(X)], data[2][: len(X)] if weighted else None
    for fit_intercept in (True, False):
        scale = Referee(X, y, 1.0, 0.9, fit_intercept, weights, standardize=standardize).alpha_max() or 1.0
        for factor in (0.3, 0.001):
            model = ElasticNet(factor * scale, l1_ratio=0.9, tol=TOL, fit_intercept=fit_intercept)
            model.set_params(standardize=standardize)
            referee = certify(fit_strictly(model, STORAGES[storage](X), y, weights), X, y, weights)
            assert not model.coef_[referee.norms == 0].any()


@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("alpha", [0.3, 0.01])
def test_mean_a_million_times_the_spread(data, storage, alpha):
    X = data[0] / data[0].std(axis=0) + 1e6 * np.linspace(-1, 1, 25)
    model = fit_strictly(Lasso(alpha, tol=TOL), STORAGES[storage](X), data[1])
    certify(model, X, data[1])
    shifted = Lasso(alpha, tol=TOL).fit(X - X.mean(axis=0), data[1])
    np.testing.assert_allclose(model.coef_, shifted.coef_, atol=1e-6)


@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scaled_y(data, storage, scale):
    X, y, _ = data
    alpha = 0.05
    model = fit_strictly(Lasso(alpha * scale, tol=TOL), STORAGES[storage](X), scale * y)
    certify(model, X, scale * y)
    plain = Lasso(alpha, tol=TOL).fit(X, y)
    np.testing.assert_allclose(model.coef_ / scale, plain.coef_, atol=1e-6)


@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("value", [0.0, 5.0, -1e12, 1e-12, 0.1])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1.0])
def test_constant_y(data, storage, value, alpha):
    X, y = data[0], np.full(40, value)
    model = ElasticNet(alpha * abs(value)).fit(STORAGES[storage](X), y)
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-12)
    assert np.isfinite(model.dual_gap_)
    if alpha * value:
        assert not model.coef_.any()


# ---------------------------------------------------------------- alpha


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fit_intercept": False},
        {"positive": True},
        {"standardize": True},
        {"upper_limits": 0.0},
        {"penalty_factor": np.r_[0.0, 0.0, np.linspace(0.5, 2, 23)]},
    ],
    ids=str,
)
@pytest.mark.parametrize("storage", ["C", "csr_matrix"])
def test_alpha_max(data, storage, options, weighted):
    X, y, weights = data
    weights = weights if weighted else None
    referee = Referee(X, y, 1.0, 0.7, sample_weight=weights, **options)
    penalised, alpha = referee.l1 > 0, referee.alpha_max()
    for factor in (1 + 1e-9, 2.0, 1e6):
        model = ElasticNet(factor * alpha, l1_ratio=0.7, **options).fit(STORAGES[storage](X), y, weights)
        assert not model.coef_[penalised].any()
    model = ElasticNet((1 - 1e-4) * alpha, l1_ratio=0.7, **options).fit(STORAGES[storage](X), y, weights)
    assert np.count_nonzero(model.coef_[penalised]) == 1


@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("shape", [(40, 25), (15, 25), (25, 25)], ids=str)
@both
def test_no_penalty(Model, shape, storage):
    X, y, weights = make_data(5, *shape, density=0.9)
    for args in ((y,), (y, weights)):
        for fit_intercept in (True, False):
            model = fit_strictly(Model(0.0, tol=TOL, fit_intercept=fit_intercept), STORAGES[storage](X), *args)
            certify(model, X, *args)
    if shape[0] > shape[1]:
        ols = reference.LinearRegression().fit(X, y)
        model = Model(0.0, tol=TOL).fit(STORAGES[storage](X), y)
        np.testing.assert_allclose(model.coef_, ols.coef_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("shape", [(40, 25), (15, 25)], ids=str)
def test_l2_alone_is_ridge(shape, storage):
    X, y, weights = make_data(6, *shape)
    model = fit_strictly(ElasticNet(0.3, l1_ratio=0.0, tol=TOL), STORAGES[storage](X), y, weights)
    certify(model, X, y, weights)
    ridge = reference.Ridge(0.3 * weights.sum()).fit(X, y, weights)
    np.testing.assert_allclose(model.coef_, ridge.coef_, atol=1e-6)


@pytest.mark.parametrize("alpha", [1e-300, 1e-12, 1e300])
def test_extreme_alpha(data, alpha):
    model = Lasso(alpha, tol=TOL).fit(data[0], data[1])
    certify(model, data[0], data[1])


@pytest.mark.parametrize("storage", SMALL_STORAGES)
def test_float32_stops_at_its_noise_floor(storage):
    X, y = correlated(60, 200, 0.9)
    X = X.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it may say that 1e-16 is out of reach
        model = Lasso(0.01, tol=1e-16, max_iter=10**6).fit(STORAGES[storage](X), y)
    certify(model, X, y, gap=1e-6, kkt=1e-5)


# ---------------------------------------------------------------- weights


@pytest.mark.parametrize("standardize", [False, True], ids=["", "standardize"])
@pytest.mark.parametrize("storage", SMALL_STORAGES)
def test_weights_are_repetition_and_absence(data, storage, standardize):
    X, y, _ = data
    count = np.random.default_rng(1).integers(0, 4, len(y))
    model = ElasticNet(0.05, tol=1e-13, standardize=standardize)
    repeated = clone(model).fit(STORAGES[storage](np.repeat(X, count, axis=0)), np.repeat(y, count))
    for factor in (1, 1e-6, 7.5):  # the scale of the weights does not matter
        weighted = clone(model).fit(STORAGES[storage](X), y, factor * count)
        np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-8)
        np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, atol=1e-8)
        np.testing.assert_allclose(weighted.dual_gap_, repeated.dual_gap_, atol=1e-10)
    ones = clone(model).fit(STORAGES[storage](X), y, np.ones(len(y)))
    np.testing.assert_allclose(ones.coef_, clone(model).fit(STORAGES[storage](X), y).coef_, atol=1e-8)
    np.testing.assert_allclose(ones.coef_, clone(model).fit(STORAGES[storage](X), y, 2.5).coef_, atol=1e-8)


def test_a_row_of_weight_zero_does_not_count(data):
    X, y, weights = (a.copy() for a in data)
    plain = Lasso(0.05, tol=1e-13).fit(X, y, weights)
    X[weights == 0], y[weights == 0] = 1e8, -1e8
    np.testing.assert_allclose(Lasso(0.05, tol=1e-13).fit(X, y, weights).coef_, plain.coef_, atol=1e-8)


# ---------------------------------------------------------------- scikit-learn's results and conventions


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "wine", "digits", "iris"])
def test_agrees_with_scikit_learn(name, l1_ratio):
    X, y = getattr(datasets, "load_" + name)(return_X_y=True)
    top = Referee(X, y, 1.0, l1_ratio).alpha_max()
    for factor in (0.5, 0.05):
        options = {"alpha": factor * top, "l1_ratio": l1_ratio}
        theirs = reference.ElasticNet(**options, tol=1e-11, max_iter=10**5).fit(X, y)
        for storage in ("C", "csr_matrix"):
            ours = fit_strictly(ElasticNet(**options, tol=1e-12), STORAGES[storage](X), y)
            referee = certify(ours, X, y)
            assert referee.objective(ours.coef_) <= referee.objective(theirs.coef_) + 3e-12 * referee.p0
            np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-4 * y.std())
            assert ours.n_features_in_ == theirs.n_features_in_


@both
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8, 0.0])
def test_tol_and_dual_gap(data, Model, tol):
    X, y, weights = data
    model = Model(0.01, tol=tol).fit(X, y, weights)
    referee = certify(model, X, y, weights, gap=2 * tol + 1e-11, kkt=2 * np.sqrt(tol) + 1e-5)
    suboptimality = referee.objective(model.coef_) - referee.objective(referee.solve())
    assert suboptimality <= model.dual_gap_ + 1e-13 * referee.p0, "the reported gap is no bound"


@pytest.mark.parametrize("targets", [1, 2, 5])
@pytest.mark.parametrize("storage", SMALL_STORAGES)
@both
def test_targets_are_solved_each_by_itself(data, Model, storage, targets):
    X, _, weights = data
    Y = X[:, :targets] * 2 + np.random.default_rng(0).standard_normal((40, targets)) * 10.0 ** np.arange(targets)
    stored, kept = STORAGES[storage](X), Y.copy()
    for s in (None, weights):
        model = fit_strictly(Model(0.05, tol=1e-12), stored, Y, s)
        theirs = reference.Lasso(0.05).fit(X, Y, s)
        for name in ("coef_", "intercept_", "dual_gap_"):
            assert np.shape(getattr(model, name)) == np.shape(getattr(theirs, name)), name
        assert isinstance(model.n_iter_, list) == (targets > 1)
        assert model.predict(stored).shape == theirs.predict(X).shape
        assert model.sparse_coef_.shape == (targets, 25)
        for k in range(targets):
            alone = Model(0.05, tol=1e-12).fit(stored, Y[:, k], s)
            certify(alone, X, Y[:, k], s)
            np.testing.assert_allclose(np.atleast_2d(model.coef_)[k], alone.coef_, rtol=1e-6, atol=1e-9 * 10.0**k)
            np.testing.assert_allclose(model.intercept_[k], alone.intercept_, rtol=1e-6, atol=1e-9 * 10.0**k)
            assert np.ravel(model.dual_gap_)[k] <= 2.1e-12 * referee_of(alone, X, Y[:, k], s).p0
    np.testing.assert_array_equal(Y, kept)


@both
def test_sparse_coef_predict_and_score(data, Model):
    X, y, _ = data
    model, theirs = Model(0.1, tol=TOL).fit(X, y), getattr(reference, Model.__name__)(0.1, tol=TOL).fit(X, y)
    assert sp.issparse(model.sparse_coef_) and model.sparse_coef_.shape == (1, 25)
    np.testing.assert_array_equal(dense(model.sparse_coef_)[0], model.coef_)
    np.testing.assert_allclose(model.score(X, y), theirs.score(X, y), rtol=1e-8)
    np.testing.assert_allclose(model.predict(sp.csr_matrix(X)), theirs.predict(X), rtol=1e-5)
    assert isinstance(model.n_iter_, int) and np.ndim(model.dual_gap_) == 0


@both
def test_parameters_are_scikit_learns_and_more(Model):
    ours, theirs = Model().get_params(), getattr(reference, Model.__name__)().get_params()
    assert theirs.items() <= ours.items()
    more = {"penalty_factor", "lower_limits", "upper_limits", "standardize", "n_threads"}
    assert ours.keys() - theirs.keys() == more


@pytest.mark.parametrize("selection", ["cyclic", "random"])
@pytest.mark.parametrize("precompute", [False, True, "gram"])
@pytest.mark.parametrize("copy_X", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_scikit_learns_other_options_change_nothing(data, selection, precompute, copy_X, fit_intercept):
    X, y, _ = data
    kept, centred = X.copy(), X - X.mean(axis=0) * fit_intercept
    gram = centred.T @ centred if precompute == "gram" else precompute
    options = {"precompute": gram, "selection": selection, "random_state": 0, "copy_X": copy_X}
    model = Lasso(0.05, tol=TOL, fit_intercept=fit_intercept, **options).fit(X, y)
    certify(model, X, y)
    np.testing.assert_array_equal(X, kept)


@both
def test_warm_start(Model):
    X, y = correlated(60, 200, 0.9)
    model = Model(0.01, tol=TOL, warm_start=True).fit(X, y)
    first, cold = model.n_iter_, model.coef_.copy()
    model.fit(X, y)
    assert model.n_iter_ <= first
    np.testing.assert_allclose(model.coef_, cold, atol=1e-6)
    for alpha in (0.1, 0.005, 10.0):
        model.set_params(alpha=alpha).fit(X, y)
        certify(model, X, y)
    for start in (np.full(200, 1e3), np.zeros(200)):
        model.set_params(alpha=0.01, positive=True).coef_ = start.copy()
        certify(model.fit(X, y), X, y)
    Y = np.column_stack([y, -y])
    model = Model(0.1, tol=TOL, warm_start=True).fit(X, Y).fit(X, Y)
    np.testing.assert_allclose(model.coef_[0], -model.coef_[1], atol=1e-6)


def test_convergence_warning_says_what_helps():
    X, y = correlated(100, 400, 0.95)
    with pytest.warns(ConvergenceWarning) as caught:
        model = Lasso(1e-4, max_iter=1, tol=1e-14).fit(X, y)
    referee = Referee(X, y, 1e-4)
    above = referee.objective(model.coef_) - referee.objective(Lasso(1e-4, tol=1e-12, max_iter=10**5).fit(X, y).coef_)
    assert model.n_iter_ == 1 and model.dual_gap_ >= above > 0
    message = str(caught[0].message)
    assert "gap" in message and "max_iter" in message and len(message) < 500
    numbers = [float(v) for v in re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?", message)]
    assert any(abs(v / model.dual_gap_ - 1) < 0.1 or abs(v / model.dual_gap_ / 100 - 1) < 0.1 for v in numbers)
    assert len(caught) == 1 and caught[0].filename == __file__


# ---------------------------------------------------------------- threads


@pytest.mark.parametrize("storage", SMALL_STORAGES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_thread_count_changes_no_bit(storage, dtype):
    X, y = correlated(300, 4000, 0.5)
    X[np.abs(X) < 1] = 0.0
    stored = STORAGES[storage](X.astype(dtype))
    one, *others = (Lasso(0.05, tol=1e-6, n_threads=k).fit(stored, y) for k in (1, 2, 3, None))
    for other in others:
        np.testing.assert_array_equal(one.coef_, other.coef_)
        assert one.dual_gap_ == other.dual_gap_ and one.intercept_ == other.intercept_


@pytest.mark.parametrize("storage", SMALL_STORAGES)
def test_the_same_fit_from_eight_threads(storage):
    X, y = correlated(200, 1000, 0.7)
    X[np.abs(X) < 0.5] = 0.0
    X = STORAGES[storage](X)
    expected = Lasso(0.05, tol=TOL).fit(X, y)
    with ThreadPoolExecutor(8) as pool:
        fits = list(pool.map(lambda _: Lasso(0.05, tol=TOL).fit(X, y), range(24)))
    for model in fits:
        np.testing.assert_array_equal(model.coef_, expected.coef_)
        assert model.intercept_ == expected.intercept_


# ---------------------------------------------------------------- scikit-learn's tools and data frames


@both
def test_pickle_and_clone(data, Model):
    X, y, _ = data
    model = Model(0.05, penalty_factor=np.ones(25), upper_limits=[1.0] * 25).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    copy = clone(model)
    assert not hasattr(copy, "coef_")
    np.testing.assert_array_equal(copy.fit(X, y).coef_, model.coef_)
    assert Model.__name__ in repr(model)


@both
@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_pipeline_and_grid_search(data, Model, make):
    X, y, _ = data
    pipeline = make_pipeline(StandardScaler(with_mean=False), Model(tol=1e-8))
    name = Model.__name__.lower()
    grid = {f"{name}__alpha": [0.01, 0.1, 1.0], f"{name}__positive": [False, True]}
    search = GridSearchCV(pipeline, grid, cv=4, error_score="raise", n_jobs=2).fit(make(X), y)
    other = getattr(reference, Model.__name__)(tol=1e-8, max_iter=10**5)
    theirs = GridSearchCV(make_pipeline(StandardScaler(with_mean=False), other), grid, cv=4).fit(X, y)
    assert search.best_params_ == theirs.best_params_
    scores = search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-3)
    assert search.predict(make(X)).shape == y.shape


@pytest.mark.parametrize("library", ["pandas", "polars"])
@both
def test_data_frames(data, Model, library):
    frames = pytest.importorskip(library)
    X, y, _ = data
    names = [f"f{j}" for j in range(25)]
    frame = frames.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    model = fit_strictly(Model(0.05, tol=TOL), frame, frames.Series(y))
    assert list(model.feature_names_in_) == names
    np.testing.assert_allclose(model.coef_, Model(0.05, tol=TOL).fit(X, y).coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict(frame), X @ model.coef_ + model.intercept_)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[names[::-1]])
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)


def test_pandas_with_mixed_columns_and_sparse_frames(data):
    pandas = pytest.importorskip("pandas")
    X, y, _ = data
    frame = pandas.DataFrame(X[:, :4]).assign(flag=X[:, 4] > 0, count=np.arange(40))
    frame.columns = frame.columns.astype(str)
    certify(Lasso(0.05, tol=TOL).fit(frame, pandas.Series(y)), frame.to_numpy(dtype=float), y)
    frame = pandas.DataFrame.sparse.from_spmatrix(sp.csc_matrix(X))
    certify(Lasso(0.05, tol=TOL).fit(frame, y), X, y)


def test_nothing_is_modified(data):
    X, y, weights = (a.copy() for a in data)
    limits, factors = np.full(25, 0.5), np.ones(25)
    kept = [a.copy() for a in (X, y, weights, limits, factors)]
    for make in (np.asarray, np.asfortranarray, *SPARSE.values()):
        stored = make(X)
        for copy_X in (True, False):
            model = Lasso(0.05, copy_X=copy_X, upper_limits=limits, penalty_factor=factors, standardize=True)
            before = [a.copy() for a in parts(stored)]
            model.fit(stored, y, weights).predict(stored)
            for was, now in zip(before + kept, [*parts(stored), X, y, weights, limits, factors], strict=True):
                np.testing.assert_array_equal(was, now)
    assert model.upper_limits is limits and model.penalty_factor is factors


def test_read_only_input(data):
    arrays = [a.copy() for a in data]
    for a in arrays:
        a.flags.writeable = False
    certify(Lasso(0.05, tol=TOL).fit(*arrays), *arrays)
    X = sp.csr_matrix(arrays[0])
    for a in (X.data, X.indices, X.indptr):
        a.flags.writeable = False
    certify(Lasso(0.05, tol=TOL).fit(X, *arrays[1:]), *arrays)
