"""Fitted estimators as ONNX graphs: importing this module tells skl2onnx of them (extra `onnx`).

A graph computes in the precision in which `predict` does: in float64 unless both X and the coefficients are in float32.
"""
import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from fastreg import estimators
from fastreg.estimators.means import MeanMixin

try:
    from onnx import TensorProto
    from skl2onnx import update_registered_converter
    from skl2onnx.algebra.onnx_ops import (
        OnnxAdd,
        OnnxArgMax,
        OnnxCast,
        OnnxConcat,
        OnnxExp,
        OnnxGather,
        OnnxGreater,
        OnnxIdentity,
        OnnxMatMul,
        OnnxNeg,
        OnnxSigmoid,
        OnnxSoftmax,
    )
    from skl2onnx.common.data_types import (
        BooleanTensorType,
        DoubleTensorType,
        FloatTensorType,
        Int32TensorType,
        Int64TensorType,
        StringTensorType,
        guess_numpy_type,
        guess_proto_type,
    )
except ImportError as error:
    raise ImportError("fastreg.onnx needs skl2onnx: pip install 'fastreg-solver[onnx]'") from error

__all__ = []

FLOATING, OTHER = (FloatTensorType, DoubleTensorType), (Int64TensorType, Int32TensorType, BooleanTensorType)
LINKS = ((OnnxIdentity, lambda eta: eta), (OnnxExp, np.exp))
PROBE = np.linspace(-2.0, 2.0, 5)               # linear predictors that tell one link from another
OPTIONS = {"offset": None}
RIDGE_CLASSIFIER_OPTIONS = {"raw_scores": [False, True], "nocl": [False, True]}
CLASSIFIER_OPTIONS = {**OPTIONS, **RIDGE_CLASSIFIER_OPTIONS, "zipmap": [True, False, "columns"],
                      "output_class_labels": [False, True]}


def _shape_of_regressor(operator):
    """One output, of as many columns as there are targets."""
    _check(operator)
    coef = operator.raw_operator.coef_
    operator.outputs[0].set_type(_floating(operator)([_rows(operator), coef.shape[0] if coef.ndim == 2 else 1]))


def _shape_of_classifier(operator):
    """Labels, and a column for each class; for two classes one where `decision_function` is what there is."""
    _check(operator)
    model, n = operator.raw_operator, _rows(operator)
    multilabel = _is_multilabel(model)
    n_scores = len(model.classes_) if _by_class(operator) else len(np.atleast_2d(model.coef_))
    kind = StringTensorType if _labels(operator).dtype.kind == "U" else Int64TensorType
    operator.outputs[0].set_type(Int64TensorType([n, n_scores]) if multilabel else kind([n]))
    operator.outputs[1].set_type((FloatTensorType if _is_zipped(operator) else _floating(operator))([n, n_scores]))


def _convert_regressor(scope, operator, container):
    """Means of y: linear predictors, and the exponentials of them where the link is the logarithm."""
    model, version = operator.raw_operator, container.target_opset
    link = _link(model._loss) if isinstance(model, MeanMixin) else OnnxIdentity
    _write(link(_predictor(operator, version), op_version=version), operator.outputs[0], scope, container)


def _convert_classifier(scope, operator, container):
    """Labels, and probabilities; scores with `raw_scores` and where there are no probabilities."""
    model, version = operator.raw_operator, container.target_opset
    scores = _predictor(operator, version)
    if _is_multilabel(model):
        positive = OnnxGreater(scores, np.zeros(1, _precision(operator)), op_version=version)
        _write(positive, operator.outputs[0], scope, container)
        _write(scores, operator.outputs[1], scope, container)
        return
    several = len(model.classes_) > 2
    each = scores if several else OnnxConcat(OnnxNeg(scores, op_version=version), scores, axis=1, op_version=version)
    best = OnnxArgMax(each, axis=1, keepdims=0, op_version=version)
    OnnxGather(_labels(operator), best, op_version=version, output_names=operator.outputs[:1]).add_to(scope, container)
    if not _by_class(operator):
        found = scores
    elif _option(operator, "raw_scores"):
        found = each
    else:
        found = OnnxSoftmax(each, axis=1, op_version=version) if several else OnnxSigmoid(each, op_version=version)
    _write(found, operator.outputs[1], scope, container)


def _predictor(operator, version):
    """``X w + b``, of shape (n, n_targets)."""
    model, precision = operator.raw_operator, _precision(operator)
    coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
    to = TensorProto.DOUBLE if precision == np.float64 else TensorProto.FLOAT
    X = OnnxCast(operator.inputs[0], to=to, op_version=version)
    product = OnnxMatMul(X, np.atleast_2d(coef).T.astype(precision), op_version=version)
    return OnnxAdd(product, np.ravel(model.intercept_).astype(precision), op_version=version)


def _write(value, output, scope, container):
    """A value, in the type of the output that it becomes."""
    OnnxCast(value, to=guess_proto_type(output.type), op_version=container.target_opset,
             output_names=[output]).add_to(scope, container)


def _check(operator):
    """The model is fitted, X is of a type that can be read, and no offsets are missing."""
    model, inputs = operator.raw_operator, operator.inputs
    check_is_fitted(model, "coef_")
    if len(inputs) != 1 or not isinstance(inputs[0].type, FLOATING + OTHER):
        raise ValueError(f"X must be one tensor of floats, integers or booleans for {type(model).__name__}, got "
                         f"{[each.type for each in inputs]}.")
    offset = _option(operator, "offset")
    if getattr(model, "has_offset_", False) and (offset is None or offset != 0):
        raise ValueError(f"offset is missing: this {type(model).__name__} was fitted with offsets, and a graph takes X "
                         "alone. options={'offset': 0} has it predict as predict(X, offset=0) does.")


def _option(operator, name):
    """What the user asks of the graph; None where nothing, or where it cannot be asked of such a model."""
    found = operator.scope_inst.get_options(operator.raw_operator, {name: None}, fail=False)
    return found and found[name]


def _by_class(operator):
    """Whether the second output of a classifier has a column for each class, be they two."""
    return hasattr(operator.raw_operator, "predict_proba") or bool(_option(operator, "raw_scores"))


def _is_multilabel(model):
    return hasattr(model, "label_binarizer_") and model.label_binarizer_.y_type_.startswith("multilabel")


def _is_zipped(operator):
    """Whether the probabilities become dictionaries, which are of float32 alone."""
    return any(other.type == "SklearnZipMap" and operator.outputs[1] in other.inputs
               for other in operator.scope_inst.operators.values())


def _labels(operator):
    """The classes as int64 or strings, or their places with `nocl`."""
    classes = operator.raw_operator.classes_
    if _option(operator, "nocl"):
        return np.arange(len(classes))
    if all(isinstance(label, str) for label in classes):
        return np.asarray(classes, dtype=np.str_)
    if classes.dtype.kind not in "biuf" or np.any(classes.astype(np.int64) != classes):
        raise ValueError(f"y must hold integers or strings, which ONNX knows as labels, got {list(classes)}: "
                         "options={'nocl': True, 'zipmap': False} gives their places in classes_ instead.")
    return classes.astype(np.int64)


def _link(loss):
    """The operator that takes linear predictors to means."""
    for node, function in LINKS:
        if np.array_equal(loss.inverse_link(PROBE), function(PROBE)):
            return node
    raise NotImplementedError(f"datafit {loss.name!r} has a link that is neither the identity nor the logarithm.")


def _rows(operator):
    return operator.inputs[0].get_first_dimension()


def _floating(operator):
    """The type of what is predicted: that of X, and float32 where X is not floating."""
    return DoubleTensorType if isinstance(operator.inputs[0].type, DoubleTensorType) else FloatTensorType


def _precision(operator):
    """In which `predict` computes."""
    return np.result_type(guess_numpy_type(operator.inputs[0].type), operator.raw_operator.coef_.dtype)


def _register():
    for name in estimators.__all__:
        estimator = getattr(estimators, name)
        if not isinstance(estimator, type):
            continue
        if not issubclass(estimator, ClassifierMixin):
            update_registered_converter(estimator, "FastregRegressor", _shape_of_regressor, _convert_regressor,
                                        options=OPTIONS)
        elif hasattr(estimator, "predict_proba"):
            update_registered_converter(estimator, "FastregClassifier", _shape_of_classifier, _convert_classifier,
                                        options=CLASSIFIER_OPTIONS)
        else:
            update_registered_converter(estimator, "FastregRidgeClassifier", _shape_of_classifier,
                                        _convert_classifier, options=RIDGE_CLASSIFIER_OPTIONS)


_register()
