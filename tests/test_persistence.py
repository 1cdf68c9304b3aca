"""Fitted models come back as they were from skops and from mlflow (pickles: test_conventions)."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastreg import ElasticNetCV, LassoCV, LogisticRegressionCV, RidgeCV, estimators, regularization_path

FITTING = [getattr(estimators, name) for name in estimators.__all__ if hasattr(getattr(estimators, name), "fit")]
CURVES = "fastreg.selection.SelectionCurves"  # the types that docs/guide/pipelines.md says are to be trusted
PATHS = {"fastreg.paths.Path", "fastreg.coefs.SparseCoefs"}


@pytest.fixture
def data(rng):
    X = rng.standard_normal((60, 4))
    return X, np.argmax(X[:, :3], axis=1), np.exp(0.3 * X[:, 0] + 0.1 * X[:, 1]) + rng.random(60)


def same(found, expected):
    """Whether two values hold the same: attributes of what fastreg defines, numbers of arrays."""
    assert type(found) is type(expected)
    if type(found).__module__.startswith("fastreg"):
        return same(vars(found), vars(expected))
    if isinstance(found, dict):
        return set(found) == set(expected) and all(same(found[key], expected[key]) for key in found)
    if isinstance(found, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if hasattr(found, "toarray"):
        return same(found.toarray(), expected.toarray())
    if isinstance(found, np.ndarray) and found.dtype != object:
        return np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")
    return repr(found) == repr(expected)


@pytest.mark.parametrize("estimator", FITTING)
def test_skops(estimator, data):
    io = pytest.importorskip("skops.io", reason="needs skops")
    X, labels, y = data
    model = estimator().fit(X, labels if hasattr(estimator, "classes_") or "Logistic" in estimator.__name__ else y)
    stored = io.dumps(model)
    types = {f"{estimator.__module__}.{estimator.__name__}"}
    types |= {CURVES} if estimator.__name__.endswith("CV") else set()
    types |= PATHS if estimator is LogisticRegressionCV else set()
    assert set(io.get_untrusted_types(data=stored)) == types
    again = io.loads(stored, trusted=sorted(types))
    assert same(vars(again), vars(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_skops_of_paths(data):
    io = pytest.importorskip("skops.io", reason="needs skops")
    X, _, y = data
    model = LassoCV(keep_paths=True, alphas=10, cv=3).fit(X, y)
    stored = io.dumps(model)
    assert set(io.get_untrusted_types(data=stored)) == PATHS | {CURVES, "fastreg.estimators.elastic_net_cv.LassoCV"}
    again = io.loads(stored, trusted=io.get_untrusted_types(data=stored))
    np.testing.assert_array_equal(again.path_.at(model.alpha_).coef, model.coef_)
    path = regularization_path(X, y, datafit="gamma")
    again = io.loads(io.dumps(path), trusted=sorted(PATHS))
    np.testing.assert_array_equal(again.predict(X), path.predict(X))


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """mlflow whose runs end in a folder of the test."""
    flow = pytest.importorskip("mlflow", reason="needs mlflow or mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    flow.set_tracking_uri((tmp_path / "runs").as_uri())
    flow.set_registry_uri((tmp_path / "runs").as_uri())
    return pytest.importorskip("mlflow.sklearn")


@pytest.mark.parametrize("model", [make_pipeline(StandardScaler(), ElasticNetCV(alphas=10, cv=3)), RidgeCV()], ids=str)
@pytest.mark.parametrize("how", [
    {"serialization_format": "cloudpickle"},
    {"serialization_format": "skops", "skops_trusted_types": [
        CURVES, "fastreg.estimators.elastic_net_cv.ElasticNetCV", "fastreg.estimators.ridge_cv.RidgeCV"]},
], ids=["cloudpickle", "skops"])  # fmt: skip
def test_mlflow(model, how, mlflow, data):
    if how["serialization_format"] == "skops":
        pytest.importorskip("skops.io", reason="needs skops")
    X, _, y = data
    model.fit(X, y)
    logged = mlflow.log_model(model, name="model", pip_requirements=["fastreg-solver"], input_example=X[:2], **how)
    again = mlflow.load_model(logged.model_uri)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
