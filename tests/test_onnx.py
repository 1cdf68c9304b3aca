"""Graphs of ONNX, run by onnxruntime, predict what the models they were made of do."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastreg
from fastreg import (
    ElasticNet,
    GeneralizedLinearRegressor,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    TweedieRegressor,
    datafits,
    estimators,
)

skl2onnx = pytest.importorskip("skl2onnx", reason="needs skl2onnx: pip install '.[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[onnx]'")
pytest.importorskip("fastreg.onnx")

N, P = 60, 4
PREDICTING = [getattr(estimators, name) for name in estimators.__all__ if hasattr(getattr(estimators, name), "predict")]


def run(model, X, **options):
    """What the graph of a model gives for X, output by output."""
    graph = skl2onnx.to_onnx(model, X[:1], options={id(model): options} if options else None)
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})


def targets(estimator, X):
    """y that suits an estimator: three classes, or means that X decides."""
    if issubclass(estimator, (LogisticRegression, LogisticRegressionCV, RidgeClassifier, RidgeClassifierCV)):
        return np.argmax(X[:, :3] + 0.5 * np.sin(9 * X[:, 1:]), axis=1)
    return np.exp(0.3 * X[:, 0] - 0.2 * X[:, 1]) + np.sin(9 * X[:, 2]) ** 2


@pytest.fixture
def X(rng):
    return rng.standard_normal((N, P))


def close(found, expected, dtype):
    """Equal to some roundings of the type, of which outputs are."""
    expected = np.asarray(expected)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=8 * np.finfo(dtype).eps,
                               atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimator", PREDICTING)
def test_every_estimator_predicts_what_it_did(estimator, dtype, X):
    model = estimator().fit(X, targets(estimator, X))
    X = X.astype(dtype)
    found = run(model, X, **({"zipmap": False} if hasattr(model, "predict_proba") else {}))
    if not hasattr(model, "classes_"):
        assert len(found) == 1
        close(found[0], model.predict(X), dtype)
        return
    np.testing.assert_array_equal(found[0], model.predict(X))
    close(found[1], model.predict_proba(X) if hasattr(model, "predict_proba") else model.decision_function(X), dtype)


def test_single_precision_takes_no_more_than_it_must(X):
    """Features far from zero: what X holds in float32 is multiplied and added up in float64, as `predict` does."""
    X = (X + 1e4).astype(np.float32)
    model = Lasso(alpha=1e-3, tol=1e-10).fit(X.astype(np.float64), X[:, 0] - X[:, 1])
    assert np.std(model.predict(X)) < 10
    close(run(model, X)[0], model.predict(X), np.float32)


@pytest.mark.parametrize("kind", [np.int64, np.int32, bool])
def test_features_that_are_no_floats(kind, X):
    X = (X > 0).astype(kind)
    model = PoissonRegressor(alpha=0.1).fit(X.astype(float), 1.0 + X[:, 0])
    close(run(model, X)[0], model.predict(X), np.float32)


@pytest.mark.parametrize("model", [
    TweedieRegressor(power=0), TweedieRegressor(power=1.5), TweedieRegressor(power=3, alpha=0.1),
    GeneralizedLinearRegressor("huber(1.5)"), GeneralizedLinearRegressor("inverse_gaussian", alpha=0.1),
    HuberRegressor(), Ridge(fit_intercept=False), LinearRegression(positive=True),
], ids=str)  # fmt: skip
def test_links(model, X):
    model.fit(X, targets(type(model), X))
    close(run(model, X)[0], model.predict(X), np.float64)


def test_a_loss_of_ones_own(X):
    """Its mean is its linear predictor, whatever it means."""
    pytest.importorskip("numba", reason="needs numba")
    loss = datafits.custom(lambda y, eta: np.log(np.cosh(eta - y)), lambda y, eta: np.tanh(eta - y),
                           lambda y, eta: 1 / np.cosh(eta - y) ** 2)
    model = GeneralizedLinearRegressor(loss, alpha=0.1).fit(X, X[:, 0])
    close(run(model, X)[0], model.predict(X), np.float64)


class Strange:
    name = "strange"

    def inverse_link(self, eta):
        return np.tanh(eta)


def test_a_link_that_has_no_operator_is_refused():
    with pytest.raises(NotImplementedError, match="strange"):
        fastreg.onnx._link(Strange())


def test_several_targets(X):
    Y = np.stack([X[:, 0], X[:, 1] - X[:, 2]], axis=1)
    for model in (Ridge(), RidgeCV(), LinearRegression()):
        close(run(model.fit(X, Y), X)[0], model.predict(X), np.float64)


LABELS = {"two": lambda s: s > 0, "integers": lambda s: np.where(s > 0, 7, -2), "floats": lambda s: (s > 0) + 1.0,
          "strings": lambda s: np.where(s > 0, "yes", "no"),
          "objects": lambda s: np.where(s > 0, "yes", "no").astype(object)}  # fmt: skip


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_classes(labels, dtype, X):
    y, X = LABELS[labels](X[:, 0] + 0.5 * np.sin(9 * X[:, 1])), X.astype(dtype)
    model = LogisticRegression().fit(X, y)
    label, chances = run(model, X)
    np.testing.assert_array_equal(label, model.predict(X))
    assert list(chances[0]) == list(model.classes_)                       # scikit-learn's default: dictionaries
    close(np.array([list(row.values()) for row in chances], np.float32), model.predict_proba(X), np.float32)
    close(run(model, X, zipmap=False)[1], model.predict_proba(X), dtype)
    close(run(model, X, zipmap=False, raw_scores=True)[1][:, 1], model.decision_function(X), dtype)
    ridge = RidgeClassifier().fit(X, y)
    label, scores = run(ridge, X)
    np.testing.assert_array_equal(label, ridge.predict(X))
    close(scores, ridge.decision_function(X), dtype)


def test_labels_that_onnx_does_not_know(X):
    days, large = np.array(["2020-01-01", "2021-01-01"], "M8[D]"), np.array([2**63 + 5, 2**63 + 7], np.uint64)
    for labels in (days, large):
        model = LogisticRegression().fit(X, labels[(X[:, 0] > 0).astype(int)])
        with pytest.raises(ValueError, match="integers or strings"):
            run(model, X, zipmap=False)
        places = run(model, X, zipmap=False, nocl=True)[0]
        np.testing.assert_array_equal(labels[places], model.predict(X))


def test_several_labels_each(X):
    Y = (X[:, :3] + 0.1 > 0).astype(int)
    model = RidgeClassifier().fit(X, Y)
    label, scores = run(model, X)
    np.testing.assert_array_equal(label, model.predict(X))
    close(scores, model.decision_function(X), np.float64)


def test_chances_stay_numbers_far_out(X):
    for y in (X[:, 0] > 0, targets(LogisticRegression, X)):
        model = LogisticRegression(C=100).fit(X, y)
        far = 1e6 * X
        found = run(model, far, zipmap=False)[1]
        np.testing.assert_allclose(found, model.predict_proba(far), atol=1e-15)
        assert np.all(found.sum(axis=1) == 1)


def test_sparse_coefficients(X):
    model = LogisticRegression(l1_ratio=1.0, C=0.3).fit(X, targets(LogisticRegression, X))
    dense = run(model, X, zipmap=False)[1]
    np.testing.assert_array_equal(run(model.sparsify(), X, zipmap=False)[1], dense)


def test_offsets_are_not_forgotten(X):
    y = targets(PoissonRegressor, X)
    model = PoissonRegressor(alpha=0.1).fit(X, y, offset=0.1 * X[:, 3])
    with pytest.raises(ValueError, match="offset is missing"):
        run(model, X)
    close(run(model, X, offset=0)[0], model.predict(X, offset=0), np.float64)
    y = X[:, 0] > 0
    model = LogisticRegression().fit(X, y, offset=0.1 * X[:, 3])
    with pytest.raises(ValueError, match="offset is missing"):
        run(model, X, zipmap=False)
    close(run(model, X, zipmap=False, offset=0)[1], model.predict_proba(X, offset=0), np.float64)


@pytest.mark.parametrize("model", [Lasso(), LassoCV(refit=False), LogisticRegression()], ids=str)
def test_what_has_no_coefficients_is_refused(model, X):
    if isinstance(model, LassoCV):
        model.fit(X, X[:, 0])
    with pytest.raises(NotFittedError):
        run(model, X, **({"zipmap": False} if hasattr(model, "predict_proba") else {}))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [
    lambda: make_pipeline(StandardScaler(), Lasso(alpha=0.01)),
    lambda: GridSearchCV(make_pipeline(StandardScaler(), ElasticNet()), {"elasticnet__alpha": [0.01, 0.1]}, cv=3),
    lambda: make_pipeline(ColumnTransformer([("some", StandardScaler(), [0, 2])], remainder="passthrough"), RidgeCV()),
    lambda: StackingRegressor([("lasso", Lasso(0.1)), ("poisson", PoissonRegressor())], Ridge(), cv=3),
], ids=["scaled", "grid search", "columns", "stacked"])  # fmt: skip
def test_inside_larger_models(make, dtype, X):
    """Other steps compute in the type of X."""
    X = X.astype(dtype)
    model = make().fit(X, targets(Lasso, X))
    found = run(model, X)[0]
    assert found.dtype == dtype
    np.testing.assert_allclose(found[:, 0], model.predict(X), rtol=1e-4 if dtype == np.float32 else 1e-12)


def test_a_pipeline_that_classifies(X):
    y = targets(LogisticRegression, X)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    label, chances = run(model, X, zipmap=False)
    np.testing.assert_array_equal(label, model.predict(X))
    close(chances, model.predict_proba(X), np.float64)
    np.testing.assert_array_equal(run(model, X)[0], label)


@pytest.mark.parametrize("make", [
    lambda: CalibratedClassifierCV(LogisticRegression(), cv=3), lambda: CalibratedClassifierCV(RidgeClassifier(), cv=3),
    lambda: OneVsRestClassifier(LogisticRegression()), lambda: BaggingClassifier(LogisticRegression(), 3),
], ids=["calibrated", "calibrated scores", "one against the rest", "bagged"])  # fmt: skip
def test_inside_larger_classifiers(make, X):
    """Which ask for raw scores, or for probabilities of their parts."""
    y = targets(LogisticRegression, X)
    model = make().fit(X, y)
    label, chances = run(model, X, zipmap=False)
    np.testing.assert_array_equal(label, model.predict(X))
    np.testing.assert_allclose(chances, model.predict_proba(X), rtol=0, atol=1e-14)


def test_without_skl2onnx_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['skl2onnx'] = None; import fastreg.onnx"
    env = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(fastreg.__file__))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert "ImportError: fastreg.onnx needs skl2onnx: pip install 'fastreg-solver[onnx]'" in done.stderr
