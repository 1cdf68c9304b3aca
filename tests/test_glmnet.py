"""The notation of R's glmnet: its internal form, solved by scikit-learn, against ours; and with R, R itself."""
import shutil
import subprocess

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from fastreg import from_glmnet, regularization_path, to_glmnet


def problem(seed=0, n=60, p=5):
    """X of unlike scales, y far from unit size, weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.geomspace(0.1, 10, p)
    return X, 30 * X[:, 1] - X[:, 4] + 20 * rng.standard_normal(n) + 100, rng.integers(1, 4, n) * 1.0


@pytest.mark.parametrize("alpha", [1.0, 0.6, 0.0])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gaussian_family_divides_y_by_its_deviation(alpha, standardize, weighted):
    X, y, weight = problem()
    weight = weight if weighted else np.ones(len(y))
    sd, spread = (np.sqrt(np.average((v - np.average(v, axis=0, weights=weight)) ** 2, axis=0, weights=weight))
                  for v in (y, X))
    scale = spread if standardize else np.ones(5)
    lambdas = np.array([3.0, 0.5])
    asked = from_glmnet(alpha=alpha, lambda_=lambdas, y=y, sample_weight=weight, standardize=standardize, thresh=1e-13)
    path = regularization_path(X, y, sample_weight=weight, **asked)
    assert asked["datafit"] == "quadratic" and asked["tol"] == 1e-13
    for k, one in enumerate(lambdas):
        inside = ElasticNet(alpha=one / sd, l1_ratio=alpha, tol=1e-14, max_iter=10**6)
        inside.fit(X / scale, y / sd, sample_weight=weight)
        np.testing.assert_allclose(path.coefs.toarray()[:, k], inside.coef_ * sd / scale, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(path.intercepts[k], inside.intercept_ * sd, rtol=1e-6)


@pytest.mark.parametrize("family, datafit", [("gaussian", "quadratic"), ("binomial", "logistic"),
                                             ("poisson", "poisson")])
@pytest.mark.parametrize("alpha", [1.0, 0.3, 0.0])
def test_there_and_back(family, datafit, alpha):
    y, factor = np.arange(7.0) ** 2, np.array([0.0, 1.0, 3.0, np.inf, 0.5])
    given = {"alpha": alpha, "lambda_": [2.0, 0.25], "standardize": False, "thresh": 1e-5}
    ours = from_glmnet(family, y=y, penalty_factor=factor, **given)
    assert ours["datafit"] == datafit
    on = np.isfinite(factor)
    np.testing.assert_allclose(ours["penalty_factor"][on], factor[on] / factor[on].mean())
    assert np.isinf(ours["penalty_factor"][3])
    theirs = to_glmnet(y=y, **ours)
    assert theirs["family"] == family and theirs["standardize"] is False and theirs["thresh"] == 1e-5
    assert theirs["alpha"] == pytest.approx(alpha)
    np.testing.assert_allclose(theirs["lambda"], [2.0, 0.25])
    if family != "gaussian":
        assert ours["l1_ratio"] == alpha and ours["alphas"].tolist() == [2.0, 0.25]
    # factors whose mean is not 1 go into lambda
    twice = to_glmnet(y=y, **{**ours, "penalty_factor": 2 * ours["penalty_factor"]})
    np.testing.assert_allclose(twice["lambda"], [4.0, 0.5])
    back = from_glmnet(family, y=y, alpha=twice["alpha"], lambda_=twice["lambda"],
                       penalty_factor=twice["penalty.factor"])
    np.testing.assert_allclose(back["alphas"][0] * back["penalty_factor"][on],
                               2 * ours["alphas"][0] * ours["penalty_factor"][on])


@pytest.mark.parametrize("arguments, message", [
    ({"family": "cox"}, "family must be one of 'gaussian'"),
    ({"alpha": 0.5}, "y must be given"),
    ({"alpha": 0.5, "y": np.ones(5)}, "y must be finite and not constant"),
    ({"alpha": 2}, "alpha must"),
    ({"lambda_": [-1.0]}, "lambda_ must be finite and not negative"),
    ({"penalty_factor": [0.0, np.inf]}, "penalty_factor must not be negative"),
])
def test_what_makes_no_sense_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        from_glmnet(**{"lambda_": [1.0], **arguments})


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not here")
@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_as_glmnet_itself(alpha, tmp_path):
    X, y, weight = problem()
    np.savetxt(tmp_path / "data.csv", np.column_stack([X, y, weight]), delimiter=",")
    script = f"""
        if (!requireNamespace("glmnet", quietly = TRUE)) quit(status = 42)
        d <- as.matrix(read.csv("data.csv", header = FALSE))
        f <- glmnet::glmnet(d[, 1:5], d[, 6], weights = d[, 7], alpha = {alpha}, lambda = c(3, 0.5), thresh = 1e-20,
                            maxit = 1e7, penalty.factor = c(1, 2, 0.5, 1, 1))
        write.table(as.matrix(f$beta), "beta.csv", sep = ",", row.names = FALSE, col.names = FALSE)
    """
    (tmp_path / "run.R").write_text(script)
    done = subprocess.run(["Rscript", "run.R"], cwd=tmp_path, check=False, capture_output=True, text=True)
    if done.returncode == 42:
        pytest.skip("glmnet is not here")
    assert done.returncode == 0, done.stderr
    asked = from_glmnet(alpha=alpha, lambda_=[3, 0.5], y=y, sample_weight=weight, thresh=1e-13,
                        penalty_factor=[1, 2, 0.5, 1, 1])
    path = regularization_path(X, y, sample_weight=weight, **asked)
    np.testing.assert_allclose(path.coefs.toarray(), np.loadtxt(tmp_path / "beta.csv", delimiter=","), rtol=1e-6)
