"""What CV classes keep of all rows: the fit at one standard error, whatever was chosen."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier

from fastreg import (
    ElasticNetCV,
    GammaRegressorCV,
    GeneralizedLinearRegressorCV,
    LassoCV,
    LogisticRegressionCV,
    PoissonRegressorCV,
    RidgeClassifierCV,
    RidgeCV,
    TweedieRegressorCV,
)


@pytest.mark.parametrize("model", [
    LassoCV(tol=1e-10), ElasticNetCV(l1_ratio=[0.5, 1.0], tol=1e-10), RidgeCV(np.geomspace(0.1, 1e4, 30)),
    RidgeCV(np.geomspace(0.1, 1e4, 30), cv=5), RidgeClassifierCV(np.geomspace(0.1, 1e4, 30)),
    RidgeClassifierCV(np.geomspace(0.1, 1e4, 30), cv=5), LogisticRegressionCV(Cs=30, l1_ratios=[0.5, 1.0], tol=1e-10),
    PoissonRegressorCV(tol=1e-10), GammaRegressorCV(tol=1e-10, n_alphas_no_change=5),
    TweedieRegressorCV(power=1.5, tol=1e-10), GeneralizedLinearRegressorCV("huber(1.5)", tol=1e-10),
], ids=str)  # fmt: skip
def test_every_class_has_the_fit_at_one_standard_error(model, rng):
    """Whatever the rule chose, from the path that it keeps."""
    X = rng.standard_normal((120, 8))
    y = np.exp(0.5 * X[:, 0] + 0.3 * X[:, 1] + 0.5 * rng.standard_normal(120))
    y = y > np.median(y) if is_classifier(model) else y
    kept = clone(model).set_params(keep_paths=True).fit(X, y)
    asked = clone(model).set_params(selection_rule="1se").fit(X, y)
    assert kept.alpha_1se_ == asked.alpha_1se_
    assert not np.allclose(kept.coef_, asked.coef_, rtol=1e-3)
    point = kept.path_.at(kept.alpha_1se_)
    np.testing.assert_allclose(point.coef, np.ravel(asked.coef_), atol=1e-6)
    np.testing.assert_allclose(point.intercept, np.ravel(asked.intercept_)[0], atol=1e-6)
    if hasattr(model, "Cs"):
        assert kept.C_1se_ == asked.C_ == pytest.approx(1 / (kept.alpha_1se_ * len(y)))
    assert not hasattr(kept.set_params(keep_paths=False).fit(X, y), "path_")


def test_paths_of_ridge_have_the_axes_of_coef(rng):
    X, alphas = rng.standard_normal((60, 4)), [0.1, 10.0, 1000.0]
    labels = X[:, 0] > 0, np.argmax(X, axis=1)
    for make, y in [*((RidgeCV, X[:, t]) for t in (0, [0], [0, 1])), *((RidgeClassifierCV, y) for y in labels)]:
        model = make(alphas, keep_paths=True).fit(X, y**3, np.arange(60.0))
        assert model.path_.coefs.shape == (*model.coef_.shape, 3)
        np.testing.assert_allclose(model.path_.at(model.alpha_).coef, model.coef_, atol=1e-12)
    each = RidgeCV(alphas, keep_paths=True, alpha_per_target=True).fit(X, X[:, :2] ** 3 + rng.standard_normal((60, 2)))
    for t, alpha in enumerate(each.alpha_):
        np.testing.assert_allclose(each.path_.at(alpha).coef[t], each.coef_[t], atol=1e-12)
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert list(RidgeCV(keep_paths=True).fit(frame, X[:, 0]).path_.feature_names_in_) == list("abcd")


def test_paths_of_ridge_that_cannot_be_had(rng):
    """Sparse X of which there is no decomposition is refused before the folds are solved."""
    X = sp.random(5001, 5001, 1e-4, random_state=0, format="csr")
    with pytest.raises(ValueError, match="leave keep_paths out"):
        RidgeCV(cv=2, keep_paths=True).fit(X, rng.standard_normal(5001))
    with pytest.raises((ValueError, TypeError), match="keep_paths"):
        RidgeCV(keep_paths="yes").fit(rng.standard_normal((9, 2)), np.arange(9.0))
