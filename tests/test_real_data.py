"""Paths on real data (FASTREG_DATA or ../shared/data): every gap by the referee."""

import numpy as np
import pytest
import scipy.sparse as sp
from referee import Referee, dense

from fastreg import Lasso, certify, regularization_path

WIDE = ["leukemia_golub72", "riboflavin", "colon_alon", "arcene", "srbct_khan", "wheat_dart"]
TALL = ["ames_onehot", "spambase", "california_housing", "uci_gas", "a9a"]


def load(folder, name):
    """X (float64 or CSR) and y of a stored data set."""
    path = folder / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    z = np.load(path)
    y = z["y"].astype(np.float64)
    if "indptr" not in z:
        return z["X"].astype(np.float64), y
    return sp.csr_matrix((z["data"].astype(np.float64), z["indices"], z["indptr"]), shape=tuple(z["shape"])), y


@pytest.mark.parametrize("standardize", [False, True], ids=["", "standardize"])
@pytest.mark.parametrize("name", WIDE + TALL)
def test_path(data_folder, name, standardize):
    X, y = load(data_folder, name)
    path = regularization_path(X, y, alphas=30, eps=1e-2, tol=5e-7, standardize=standardize)
    referee = Referee(X, y, 1.0, standardize=standardize)
    coefs = dense(path.coefs)
    gaps = np.array([referee.with_alpha(a).gap(w) for a, w in zip(path.alphas, coefs.T, strict=True)]) / referee.p0
    assert gaps.max() <= 1e-6
    assert (path.dual_gaps <= 1e-6 * referee.p0).all()
    best = [referee.intercept(w) for w in coefs.T]
    np.testing.assert_allclose(path.intercepts, best, atol=1e-9 * (np.abs(y).max() + np.abs(best).max()))
    assert not coefs[:, 0].any() and (np.diff(path.df[:3]) >= 0).all() and path.df[-1] > 1


@pytest.mark.parametrize("name", ["leukemia_golub72", "arcene", "a9a"])
def test_cold_fit(data_folder, name):
    X, y = load(data_folder, name)
    referee = Referee(X, y, 1.0)
    for factor in (0.1, 0.01):
        alpha = factor * referee.alpha_max()
        model = Lasso(alpha, tol=1e-9).fit(X, y)
        assert referee.with_alpha(alpha).gap(model.coef_) <= 2.1e-9 * referee.p0


@pytest.mark.parametrize(("name", "datafit"), [
    ("leukemia_golub72", "logistic"), ("a9a", "logistic"), ("reuters21578_tfidf", "logistic"), ("spambase", "logistic"),
    ("nmes_physician", "poisson"), ("bike_kaggle", "poisson")])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_generalised_linear_models(data_folder, name, datafit, l1_ratio):
    """Certified by a referee that knows nothing of the engine; float64 alone, so that it is as sharp as the fits."""
    X, y = load(data_folder, name)
    if datafit == "logistic":
        y = (y == np.unique(y)[-1]).astype(int)
    path = regularization_path(X, y, datafit=datafit, l1_ratio=l1_ratio, alphas=20, eps=1e-2, tol=1e-6,
                               standardize=not sp.issparse(X))
    found = certify(X, y, path, alpha=path.alphas)
    assert found.ok.all() and np.max(found.gap) <= 1e-6 * path.null_deviance / 2
    assert (np.diff(path.deviance_explained) > 0).all() and path.df[-1] > 3
