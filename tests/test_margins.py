"""Paths under the squared hinge and Huber's loss, whose curvature ends: certified, and beside scikit-learn."""
import numpy as np
import pytest
import scipy.sparse as sp
from glm import Judge
from sklearn.svm import LinearSVC

from fastreg import certify, regularization_path


def data(loss, n=120, p=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.8)
    eta = X[:, :3] @ np.array([1.0, -0.6, 0.4])
    return X, (eta + rng.standard_normal(n) > 0.3) if loss == "squared_hinge" else eta + rng.standard_t(1.2, n)


@pytest.mark.parametrize("loss", ["squared_hinge", "huber(1.5)"])
@pytest.mark.parametrize("store", [np.asfortranarray, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_paths_are_certified(loss, store, l1_ratio):
    X, y = data(loss)
    alphas = np.geomspace(0.3, 1e-3, 6)
    path = regularization_path(store(X), y, datafit=loss, alphas=alphas, l1_ratio=l1_ratio, tol=1e-12)
    path.params["tol"] = 1e-10                                # best intercepts, and so bounds, are many
    target = np.where(y, 1.0, -1.0) if loss == "squared_hinge" else y
    for k, alpha in enumerate(alphas):
        judge = Judge(loss, X, target, alpha, l1_ratio)
        assert judge.gap(path.coefs[:, [k]].toarray()[:, 0], path.intercepts[k]) < 1e-10
    assert certify(store(X), y, path, alpha=alphas).ok.all()
    rough = regularization_path(store(X), y, datafit=loss, alphas=alphas, l1_ratio=l1_ratio, tol=1e-2)
    rough.params["tol"] = 1e-12
    assert not certify(store(X), y, rough, alpha=alphas).ok.all()


def test_the_squared_hinge_is_that_of_support_vector_machines():
    X, y = data("squared_hinge")
    names = np.where(y, "yes", "no")
    other = LinearSVC(C=0.1, penalty="l1", loss="squared_hinge", dual=False, fit_intercept=False, tol=1e-10,
                      max_iter=100000).fit(X, names)
    alpha = 1 / (2 * 0.1 * len(y))                            # C sum max(0, .)^2 + |w|
    path = regularization_path(X, names, datafit="squared_hinge", alphas=[alpha], fit_intercept=False, tol=1e-12)
    np.testing.assert_allclose(path.coefs.toarray()[:, 0], other.coef_[0], atol=1e-5)
    np.testing.assert_array_equal(path.predict(X, alpha), other.predict(X))
    assert path.classes.tolist() == ["no", "yes"]
    with pytest.raises(ValueError, match="predict_proba is for likelihoods"):
        path.predict_proba(X)


def test_hubers_loss_forgets_outliers_and_is_least_squares_without():
    X, y = data("huber(1.5)")
    far = y.copy()
    far[:5] = 1e12
    found, right = (regularization_path(X, target, datafit="huber(1.5)", alphas=[0.01], tol=1e-12) for target in (
        far, np.where(np.arange(len(y)) < 5, y + 1e4, y)))
    np.testing.assert_allclose(found.coefs.toarray(), right.coefs.toarray(), atol=1e-5)
    wide, squares = (regularization_path(X, y, datafit=loss, alphas=[0.1, 0.01], tol=1e-13) for loss in (
        "huber(1e6)", "quadratic"))
    np.testing.assert_allclose(wide.coefs.toarray(), squares.coefs.toarray(), atol=1e-6)
    np.testing.assert_allclose(wide.predict(X), squares.predict(X), atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_hinge", "huber(1.5)"])
@pytest.mark.parametrize("seed", range(10))
def test_a_working_set_without_any_curvature(loss, seed):
    """All rows are beyond the margin, or the distance, where the path begins anew."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 4))
    y = X[:, 0] > 0 if loss == "squared_hinge" else np.where(X[:, 0] > 0, 3e4, -3e4)
    X[:, 0] += np.where(X[:, 0] > 0, 5, -5)                   # separable by far
    path = regularization_path(X, y, datafit=loss, alphas=[1e-2, 1e-4, 1e-6], tol=1e-5)
    assert certify(X, y, path, alpha=path.alphas).ok.all()
