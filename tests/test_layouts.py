"""A view is as good as its copy: every estimator on every layout, and arrays that cannot be followed are refused."""

import numpy as np
import pytest
import scipy.sparse as sp
import views
from problems import make_data

from fastreg import (
    ElasticNet,
    Lasso,
    LassoCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    regularization_path,
    ridge_path,
)
from fastreg.adapter import design as storage
from fastreg.design import canonical_sparse, readable, valid
from fastreg.finite import LEAST_NORM

SEEDS, AT_A_TIME = 160, 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
def test_random_views(first, capfd):
    """`python -m tests.views 10000` asks more of them."""
    wrong = [message for message in map(views.check, range(first, first + AT_A_TIME)) if message]
    assert not wrong, "\n".join(wrong)
    assert "illegal value" not in "".join(capfd.readouterr())


DENSE = views.DENSE | views.SHARING
FITS = {
    "Lasso": lambda X, y, w: Lasso(0.05, tol=1e-12).fit(X, y, w).predict(X),
    "ElasticNet": lambda X, y, w: ElasticNet(0.05, tol=1e-12).fit(X, y, w).predict(X),
    "LassoCV": lambda X, y, w: LassoCV(alphas=5, cv=3, tol=1e-10).fit(X, y, sample_weight=w).predict(X),
    "Ridge": lambda X, y, w: Ridge(0.5).fit(X, y, w).predict(X),
    "RidgeCV": lambda X, y, w: RidgeCV([0.1, 1.0, 10.0]).fit(X, y, w).predict(X),
    "RidgeCV_folds": lambda X, y, w: RidgeCV([0.1, 1.0, 10.0], cv=3).fit(X, y, w).predict(X),
    "RidgeClassifier": lambda X, y, w: RidgeClassifier(0.5).fit(X, y > 0, w).decision_function(X),
    "RidgeClassifierCV": lambda X, y, w: RidgeClassifierCV([0.1, 1.0]).fit(X, y > 0, w).decision_function(X),
    "ridge_path": lambda X, y, w: X @ ridge_path(X, y, [0.1, 1.0], sample_weight=w).coefs,
    "regularization_path": lambda X, y, w: regularization_path(X, y, alphas=5, tol=1e-12, sample_weight=w).predict(X),
    "many_targets": lambda X, y, w: Ridge(0.5).fit(X, np.c_[y, y[::-1], y**2, 1 - y, y * 2], w).predict(X),
}


@pytest.mark.parametrize("shape", [(24, 6), (9, 40)])
@pytest.mark.parametrize("layout", DENSE)
def test_every_estimator_on_every_layout(layout, shape, capfd):
    rng = np.random.default_rng(1)
    X = DENSE[layout](rng.standard_normal(shape))
    plain = np.array(X, dtype=np.float64, order="C", copy=True)
    y = plain @ rng.standard_normal(shape[1]) + rng.standard_normal(shape[0])
    for name, fit in FITS.items():
        wanted, found = fit(plain, y, None), fit(X, y, None)
        assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max() + 1e-12, name
    assert np.array_equal(X, plain)
    assert "illegal value" not in "".join(capfd.readouterr())


def test_a_reversed_array_is_worth_its_copy():
    """The issue's case, and its kind: rows backwards, and lanes of rows that BLAS reads (n p^2 > 2e7)."""
    rng = np.random.default_rng(0)
    for n, p in ((100, 5), (6000, 60)):
        X = rng.standard_normal((n, p))
        y = 3 * X[::-1, 0] + rng.standard_normal(n)
        copied = Ridge(0.5).fit(X[::-1].copy(), y).coef_
        assert np.allclose(Ridge(0.5).fit(X[::-1], y).coef_, copied, rtol=1e-11, atol=1e-12)


# ---- what is read in place, and what is converted --------------------------------------------------------------------
@pytest.mark.parametrize("layout", DENSE)
def test_only_what_cannot_be_read_is_copied(layout):
    X = DENSE[layout](np.arange(12.0).reshape(4, 3))
    out = readable(X)
    assert (out is X) == (layout not in ("unaligned", "field", "swapped"))
    assert np.array_equal(out, X)
    assert out.flags.aligned
    assert out.dtype.isnative


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_array])
def test_sparse_arrays_are_shared_where_they_can_be_read(make):
    X = make(np.eye(4) + np.eye(4, k=1))
    out = canonical_sparse(X)
    assert all(getattr(out, name) is getattr(X, name) for name in ("data", "indices", "indptr"))
    assert out is not X  # what canonical_sparse says of it is not said of an array that its owner may change
    assert canonical_sparse(out) is out
    wide = views.with_parts(X, indptr=X.indptr.astype(np.int64))
    assert canonical_sparse(wide).indices is X.indices  # the short array follows the long one
    assert canonical_sparse(views.with_parts(X, indices=X.indices.astype(np.int64))).indptr.dtype == np.int64
    seen = valid(X)
    assert all(getattr(seen, name) is getattr(X, name) for name in ("data", "indices", "indptr"))
    assert canonical_sparse(seen) is seen and not hasattr(X, "_is_canonical")  # looked at once
    twice = make((np.ones(2), np.array([0, 0]), np.array([0, 2])), shape=(1, 1))
    assert not hasattr(valid(twice), "_is_canonical")


@pytest.mark.parametrize("vector", views.VECTORS)
@pytest.mark.parametrize("name", ["data", "indices", "indptr"])
def test_arrays_of_sparse_X_are_views(name, vector):
    X = sp.csr_array(make_data()[0])
    stored = views.with_parts(X, **{name: views.VECTORS[vector](getattr(X, name))})
    out = canonical_sparse(stored)
    for array in views.parts(out):
        assert array.flags.c_contiguous
        assert array.flags.aligned
        assert array.dtype.isnative
    assert (getattr(out, name) is getattr(stored, name)) == (vector in ("plain", "read_only"))
    assert np.array_equal(out.toarray(), X.toarray())


def test_arrays_longer_than_what_is_used():
    X, y, _ = make_data()
    model = Ridge().fit(X, y)
    for make in (sp.csr_array, sp.csc_array):
        longer = views.COMPRESSED["with_tail"](make(X), None)
        assert np.allclose(Ridge().fit(longer, y).coef_, model.coef_, rtol=1e-9, atol=1e-12)
        assert np.allclose(model.predict(longer), model.predict(X), rtol=1e-12)


def test_flags_of_a_sparse_array_are_not_believed():
    X = sp.csr_matrix(make_data()[0])
    out = canonical_sparse(views.COMPRESSED["lying"](X, None))
    assert np.allclose(out.toarray(), X.toarray(), rtol=1e-15)
    assert out.has_canonical_format
    unsorted = canonical_sparse(views.COMPRESSED["unsorted"](X, np.random.default_rng(0)))
    assert not unsorted.has_sorted_indices


def test_unsorted_columns_of_many_rows():
    """Rows are read some thousands at a time: columns must be in order."""
    rng = np.random.default_rng(0)
    X = sp.csc_array(rng.standard_normal((9000, 3)) * (rng.random((9000, 3)) < 0.3))
    y = X @ np.ones(3) + rng.standard_normal(9000)
    unsorted = views.COMPRESSED["unsorted"](X, rng)
    for make in (Ridge(1.0), RidgeCV([1.0, 10.0], cv=3)):
        wanted = make.fit(X, y).coef_
        assert np.allclose(make.fit(unsorted, y).coef_, wanted, rtol=1e-12)


@pytest.mark.parametrize("vector", views.VECTORS)
@pytest.mark.parametrize("name", ["Lasso", "LassoCV", "Ridge", "RidgeCV", "RidgeCV_folds", "regularization_path"])
def test_targets_and_weights_are_views(name, vector):
    X, y, weights = make_data()
    wanted = FITS[name](X, y, weights)
    given = views.VECTORS[vector](y), views.VECTORS[vector](weights)
    before = [a.tobytes() for a in given]
    found = FITS[name](X, *given)
    assert np.allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    assert before == [a.tobytes() for a in given]


@pytest.mark.parametrize("vector", views.VECTORS)
def test_options_are_views(vector):
    """Arrays beside X, y and the weights: start, factors, limits and a Gram matrix."""
    X, y, _ = make_data()
    view, p = views.VECTORS[vector], X.shape[1]
    wanted = Lasso(0.1, tol=1e-12, penalty_factor=np.linspace(0.5, 1, p), upper_limits=np.linspace(0, 2, p)).fit(X, y)
    found = Lasso(0.1, tol=1e-12, penalty_factor=view(np.linspace(0.5, 1, p)), upper_limits=view(np.linspace(0, 2, p)),
                  warm_start=True)
    found.coef_ = view(np.ones(p) * 0.1)
    assert np.allclose(found.fit(X, y).coef_, wanted.coef_, rtol=1e-7, atol=1e-9)
    centred = X - X.mean(axis=0)
    gram = np.stack([view(row) for row in centred.T @ centred])
    with_gram = Lasso(0.1, tol=1e-12, precompute=views.DENSE["unaligned"](gram)).fit(X, y)
    assert np.allclose(with_gram.coef_, Lasso(0.1, tol=1e-12).fit(X, y).coef_, rtol=1e-7, atol=1e-9)


# ---- what cannot be followed -----------------------------------------------------------------------------------------
def _broken(name, at, value):
    def breaks(X):
        array = getattr(X, name).astype(np.int64)
        array[at] = value
        return views.with_parts(X, **{name: array})

    return breaks


BROKEN = {
    "index_too_large": _broken("indices", 3, 1 << 20),
    "index_one_too_large": lambda X: _broken("indices", X.indptr[1] - 1, X.shape[X.format == "csr"])(X),
    "index_negative": _broken("indices", 0, -1),
    "index_beyond_an_int": _broken("indices", -1, 1 << 40),
    "index_unsigned": lambda X: views.with_parts(X, indices=np.full(X.nnz, 2**64 - 1, np.uint64)),
    "indptr_falls": lambda X: _broken("indptr", 2, 0)(_broken("indptr", 1, 9)(X)),
    "indptr_does_not_start_at_0": _broken("indptr", 0, 1),
    "indptr_beyond_its_arrays": _broken("indptr", -1, 1 << 20),
    "indptr_negative": _broken("indptr", 1, -5),
    "indptr_right_but_for_its_upper_half": lambda X: _broken("indptr", 1, int(X.indptr[1]) - 2**32)(X),
    "indptr_too_short": lambda X: views.with_parts(X, indptr=X.indptr[:-2]),
    "data_too_short": lambda X: views.with_parts(X, data=X.data[:-3]),
    "indices_too_short": lambda X: views.with_parts(X, indices=X.indices[:-3]),
    "indices_of_floats": lambda X: views.with_parts(X, indices=X.indices.astype(float)),
}
DOORS = {
    "Lasso": lambda X, y: Lasso(0.1).fit(X, y),
    "LassoCV": lambda X, y: LassoCV(cv=3, alphas=3).fit(X, y),
    "Ridge": lambda X, y: Ridge().fit(X, y),
    "RidgeCV": lambda X, y: RidgeCV().fit(X, y),
    "RidgeClassifier": lambda X, y: RidgeClassifier().fit(X, y > 0),
    "regularization_path": regularization_path,
    "ridge_path": lambda X, y: ridge_path(X, y, [1.0]),
    "predict": lambda X, y: Ridge().fit(np.eye(*X.shape), y).predict(X),
    "decision_function": lambda X, y: RidgeClassifier().fit(np.eye(*X.shape), y > 0).decision_function(X),
    "predict_of_a_path": lambda X, y: regularization_path(np.eye(*X.shape), y).predict(X),
    "normal_residual": lambda X, y: Ridge().fit(np.eye(*X.shape), y).normal_residual(X, y),
}


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", BROKEN)
def test_broken_sparse_arrays_are_refused(how, door, make):
    X, y, _ = make_data(density=0.7)
    X = BROKEN[how](make(X))
    with pytest.raises(ValueError, match=rf"^X is not a valid {X.format.upper()} matrix: "):
        DOORS[door](X, y)


@pytest.mark.parametrize("door", DOORS)
def test_broken_arrays_of_other_formats_are_refused(door):
    X, y, _ = make_data(density=0.7)
    coo, bsr = sp.coo_matrix(X), sp.bsr_array(X, blocksize=(4, 5))
    for axis, value in (("row", 40), ("row", -1), ("col", 25), ("col", -1)):
        bad = coo.copy()
        getattr(bad, axis)[5] = value
        with pytest.raises(ValueError, match=r"^X is not a valid COO matrix: an index lies outside its shape"):
            DOORS[door](bad, y)
    bsr.indices[3] = 5
    with pytest.raises(ValueError, match=r"^X is not a valid BSR matrix: "):
        DOORS[door](bsr, y)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_what_index_arrays_say(index):
    def ask(indices, indptr, minor=4):
        return storage.inspect(np.array(indices, dtype=index), np.array(indptr, dtype=index), minor)

    assert ask([0, 2, 1, 3], [0, 2, 4]) == storage.SORTED
    assert ask([], [0, 0, 0]) == storage.SORTED
    assert ask([2, 0, 1, 3], [0, 2, 4]) == storage.UNSORTED
    assert ask([3, 0, 2, 0], [0, 3, 4]) == storage.UNSORTED  # 0 again, in the next row
    assert ask([3, 0, 3, 0], [0, 3, 4]) == storage.DUPLICATES
    assert ask([1, 1], [0, 2, 2]) == ask([3, 0, 1, 1], [0, 2, 4]) == storage.DUPLICATES  # in any row
    assert ask([0, 4], [0, 2]) == ask([-1, 0], [0, 2]) == storage.OUTSIDE
    assert ask([1, 4, 0], [0, 3]) == ask([1, -1, 0], [0, 3]) == storage.OUTSIDE  # neither first nor last
    assert ask([0, 1], [0, 2, 1]) == ask([0, 1], [1, 2]) == storage.FALLING
    assert ask([0, 1], [0, 3]) == ask([0], [0, 5, 1]) == storage.FALLING


# ---- scales ----------------------------------------------------------------------------------------------------------
def test_columns_too_small_to_square_are_refused():
    X, y, _ = make_data(density=1.0)
    makes = [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_array]
    for name, door in DOORS.items():
        if "predict" in name or name == "decision_function":
            continue
        for make in makes:
            for columns in (slice(None), [3], [3, 24]):
                small = X.copy()
                small[:, columns] *= 1e-200
                with pytest.raises(ValueError, match=r"^X holds columns whose squares underflow"):
                    door(make(small), y)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.csc_array])
def test_columns_that_are_small_or_empty_are_not(make):
    X, y, _ = make_data(density=1.0)
    X[:, 2], X[:, 3], X[:, 4] = 0, 7.5, 0
    X[5, 4] = 1e-300  # one entry of a column whose square is nothing
    X[6, 4] = 1.0
    X[:, 5] *= 10 * LEAST_NORM / np.abs(X[:, 5]).min()
    Ridge(1e-3).fit(make(X), y)
    assert np.isfinite(Lasso(0.1).fit(make(X), y).coef_).all()


def test_rows_without_entries_are_not_columns():
    """What a kernel says of its rows is not asked of the columns: the wide system needs no squares of theirs."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 20)), rng.standard_normal(6)
    X[0], X[:, 0] = 0, X[:, 0] * 1e-200
    found = Ridge(1.0, fit_intercept=False).fit(X, y).coef_
    assert np.allclose(found[1:], Ridge(1.0, fit_intercept=False).fit(X[:, 1:], y).coef_, rtol=1e-12)
    assert found[0] != 0
