"""What the estimators and paths minimise, and the certificate of an answer of theirs."""
from dataclasses import dataclass, fields

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import column_or_1d, validate_data

from fastreg.referee.answers import of_model
from fastreg.referee.classes import ClassesTarget, judge_classes
from fastreg.referee.data import Data
from fastreg.referee.glm import LossTarget
from fastreg.referee.huber import HuberTarget, judge_huber
from fastreg.referee.losses import loss_named
from fastreg.referee.problem import EXCUSE, Case, judge
from fastreg.referee.squares import SquaredTarget


@dataclass(frozen=True, repr=False)
class Certificate:
    """How good an answer is, by figures recomputed from X: see `certify`.

    All but `stationarity` and `ok` are in the units of the model's own objective or coefficients. Floats for one
    answer, else arrays of shape (n_targets,), (n_alphas,) or (n_alphas, n_targets).

    Attributes
    ----------
    objective : float
        Value of what the model's class minimises, as its docstring writes it; of generalised linear models the mean
        loss, half the mean deviance, plus the penalty over the sum of weights. Infinite outside the limits.
    gap : float
        Upper bound of the objective less its minimum, from a dual feasible point.
    stationarity : float
        Largest violation of an optimality condition, ``|x_j'S r - l2_j w_j - v|`` for the nearest subgradient v of the
        other penalties and limits, over ``||x_j|| ||y||`` (weighted, centred where there is an intercept, whose own
        condition counts as that of a column of ones). It does not change with the units of y or of any column without
        penalty. Of other losses r is less their derivative, and in place of y stands r of the fit of an intercept.
    coef_bound : float
        Upper bound of ``||coef - exact coef||``: ``sqrt(2 gap / c)``, c the smallest second derivative of the penalty;
        infinite where a coefficient has no L2 penalty.
    rounding : float
        Estimate of what rounding in float64, of the coefficients and in this computation, may add to `gap`.
    ok : bool
        Whether `gap` is at most `tol` times the (weighted) sum of squares of y about its mean, or their mean where the
        objective averages, plus `rounding`, of which at most 1e-9 times the same counts where it is not of second
        order and the coefficients are not stored in float32. For generalised linear models half the null deviance over
        the sum of weights takes the place of the squares, for Huber's regression 2 epsilon times the absolute
        deviations of y. `tol` is the model's, or 1e-12 where a direct solver promised to be exact.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Lasso
    >>> from fastreg import certify
    >>> X, y = load_diabetes(return_X_y=True)
    >>> certificate = certify(X, y, Lasso(alpha=0.5, tol=1e-10).fit(X, y))
    >>> certificate.ok, certificate.gap < 1e-6, round(certificate.objective, 3)
    (True, True, 2152.123)
    """

    objective: float
    gap: float
    stationarity: float
    coef_bound: float
    rounding: float
    ok: bool

    def __repr__(self):
        def text(value):
            return np.array2string(np.asarray(value), precision=6, threshold=8, separator=", ").replace("\n", "")

        return f"Certificate({', '.join(f'{f.name}={text(getattr(self, f.name))}' for f in fields(self))})"

    def __str__(self):
        worst = np.unravel_index(np.argmax(self.gap), np.shape(self.gap))
        objective, gap, slope, bound, rounding = (
            float(np.asarray(getattr(self, f.name))[worst]) for f in fields(self)[:-1])
        passed, count = int(np.sum(self.ok)), np.size(self.ok)
        text = ("ok" if passed == count else "NOT OK") + ("" if count == 1 else f" ({passed} of {count}), the worst")
        above = "stationary or not" if np.isnan(gap) else f"at most {gap:.2g} above its minimum"
        text += f": objective {objective:.10g}, {above} (rounding {rounding:.1g}); largest violation {slope:.2g}"
        return text + ("" if np.isinf(bound) else f"; coefficients within {bound:.2g} of the exact ones")


def certify(X, y, model, *, sample_weight=None, offset=None, alpha=None):
    """Certificate of a fitted model, recomputed in float64 from the data; nothing that the solver computed is used.

    Let s be sample weights and r the residuals ``y - offset - Xw - b``. The gap of coefficients w is, whatever the
    estimator, that of ``P(w) = 1/2 sum_i s_i r_i^2 + sum_j l1_j |w_j| + 1/2 sum_j l2_j w_j^2`` within limits, times
    ``1 / sum_i s_i`` for the lasso family and 2 for the ridge family. With ``u = c X'S r`` (c <= 1 such that no penalty
    is exceeded where nothing else limits w_j) it is at most
    ``1/2 (1 - c)^2 sum_i s_i r_i^2 + sum_j (pen_j(w_j) + pen_j*(u_j) - w_j u_j)``, pen_j* the convex conjugate of
    penalty and limits, plus ``1/2 sum_i s_i (mean r)^2`` for the intercept. For ridge that is the sum of squared
    gradients over twice the second derivatives of the penalty. Where columns without L1 penalty make it too
    large, they are first improved by least squares (LSMR), and the descent is added. Where penalties are too weak for
    rounded slopes of long columns (timestamps in nanoseconds), a residual beside r takes its place, whose slopes are
    what w asks for; the least eigenvalue of these columns' Gram matrix bounds how far beside, and that is added.

    For logistic and Poisson losses f(y_i, eta_i), ``eta = Xw + b + offset``, r is ``-f'(y, eta)`` with the best
    intercept for w, and ``sum_i s_i (f + f* + c r_i eta_i)``, f* the conjugate at ``-c r_i``, takes the place of
    ``1/2 (1 - c)^2 sum_i s_i r_i^2``: relative entropies, none of them negative. Least squares are those of Newton's
    method. ``c = 0`` is always feasible, so that the gap of a fit of separable classes without penalty is its loss. Of
    three classes or more w, r and f are those of all of them, r label less probability, and no least squares are done:
    where columns have no penalty, the Hessian of up to 2000 coefficients bounds the gap by the slopes that are left.
    Of a loss that is not convex there is no gap (it is NaN): ``ok`` is that of its quadratic model.

    Of Huber's regression the scale counts as well as coefficients and intercept: with ``z = r / sigma`` in the place of
    r, brought back to epsilon, c is such that ``sum s (c z)^2 <= sum s``, and in the rows within epsilon z is moved, by
    conjugate gradients, to where L2 penalties ask for its slopes.

    X is read in blocks, neither copied nor centred nor made dense: five times for up to 16 answers (targets, alphas) of
    up to 16,384 samples, three times without an intercept, and twice more for every so many answers more. Where that
    leaves a gap, least squares read it up to a thousand times; where rounding leaves it, because columns are long and
    their penalties weak, up to 64 of these are multiplied by X as well.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
        What the model was fitted to.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The targets of the fit; labels for classifiers, and for paths of the logistic loss.
    model : estimator or path
        Fitted Lasso, ElasticNet, LassoCV, ElasticNetCV, Ridge, RidgeCV, RidgeClassifier, RidgeClassifierCV,
        LinearRegression, LogisticRegression, LogisticRegressionCV, HuberRegressor or PoissonRegressor, of fastreg or
        of scikit-learn, or PoissonRegressorCV; a Path.
    sample_weight : array-like of shape (n_samples,), float or None
        Those of the fit. Class weights are the model's and need not be given.
    offset : array-like of shape (n_samples,), float or None
        Known part of the linear predictor, that the model has not fitted: for the squared loss, y - offset is what w
        and b are judged by. Not for ridge classifiers. A model fitted with offsets wants them, or 0.
    alpha : float, array-like of shape (n_alphas,) or None
        Of a path: which of its solutions; None is the last. Between its alphas the interpolated coefficients are
        judged. Of an estimator that kept its `path_`: which point of that. None is the alpha of the fit.

    Returns
    -------
    Certificate
        objective, gap, stationarity, coef_bound, rounding, ok: floats, or arrays by alpha and target.

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described, or where the answer minimises no penalised objective (a relaxed fit) or
        one of its own (scikit-learn's liblinear, which penalises the intercept).

    References
    ----------
    Rockafellar, "Convex Analysis", Princeton 1970, section 31; Ndiaye et al., "Gap safe screening rules for sparsity
    enforcing penalties", JMLR 18 (2017); Fong and Saunders, "LSMR: an iterative algorithm for sparse least-squares
    problems", SIAM J. Sci. Comput. 33 (2011).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import Lasso, certify
    >>> X, y = load_diabetes(return_X_y=True)
    >>> certificate = certify(X, y, Lasso(alpha=0.5).fit(X, y))
    >>> certificate.ok
    True
    >>> certify(X[:, ::-1], y, Lasso(alpha=0.5).fit(X, y)).ok
    False
    """
    answer = of_model(model, alpha)
    if offset is None and (getattr(model, "has_offset_", False) or getattr(model, "has_offset", False)):
        raise ValueError(f"offset is missing: this {type(model).__name__} was fitted with offsets. Give them, or "
                         "offset=0.")
    joint = answer.loss == "concomitant"
    loss = None if joint else loss_named(answer.loss)
    options = {"accept_sparse": ("csr", "csc"), "dtype": "numeric"}
    named = hasattr(model, "n_features_in_")
    X = validate_data(model, X, reset=False, **options) if named else check_array(X, input_name="X", **options)
    if X.shape[1] != answer.coefs.shape[-1]:
        raise ValueError(f"X has {X.shape[1]} features, the model was fitted with {answer.coefs.shape[-1]}.")
    weight = _weights(sample_weight, X.shape[0])
    several = answer.loss == "multinomial"
    if several:
        y, weight = _one_hot(answer.classes, y), _of_classes(model, y, weight, counted=weight)
    elif loss is not None and loss.labels:
        y, weight = _two_labels(answer.classes, y), _of_classes(model, y, weight, counted=weight)
    elif hasattr(model, "classes_"):
        if offset is not None:
            raise ValueError("offset is for regression: labels have none.")
        y, weight = _labels(model, y), _of_classes(model, y, weight)
    else:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(X, y)
    Y = y.reshape(len(y), -1)
    if Y.shape[1] != answer.coefs.shape[1]:
        raise ValueError(f"y has {Y.shape[1]} targets, the model was fitted with {answer.coefs.shape[1]}.")
    if several:
        if np.any(offset):
            raise ValueError("offset is for regression and for two classes: several have none.")
        return _certificate_of_classes(X, Y, answer, weight)
    if loss is not None:
        loss.check(Y)
    return (_certificate_of_scale if joint else _certificate)(X, Y, _offset(offset, Y), answer, weight)


def _weights(sample_weight, n):
    """Sample weights of shape (n,), or None."""
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    weight = np.full(n, float(weight)) if weight.ndim == 0 else weight
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one for each sample, got {weight.shape}.")
    if not np.all(np.isfinite(weight)) or np.any(weight < 0) or not np.any(weight > 0):
        raise ValueError("sample_weight must be finite, not negative and not all zero.")
    return weight


def _labels(model, y):
    """Targets of -1 and 1, one for each class where there are more than two."""
    binarizer = getattr(model, "label_binarizer_", None)
    if binarizer is None:
        binarizer = LabelBinarizer(neg_label=-1).fit(model.classes_)
    return np.asarray(binarizer.transform(y), dtype=np.float64)


def _two_labels(classes, y):
    """Targets of -1 and 1, 1 for the second of two classes."""
    y = column_or_1d(y)
    classes = unique_labels(y) if classes is None else np.asarray(classes)
    if len(classes) != 2:
        raise ValueError(f"the logistic loss is judged for two classes, got {len(classes)}.")
    second = y == classes[1]
    if not np.all(second | (y == classes[0])):
        raise ValueError(f"y must hold the labels of the fit, {classes[0]!r} and {classes[1]!r}, and no others.")
    return np.where(second, 1.0, -1.0)


def _one_hot(classes, y):
    """Which class each label is, as bools of shape (n, n_classes)."""
    y = column_or_1d(y)
    found = y[:, None] == np.asarray(classes)
    if not np.all(found.any(axis=1)):
        raise ValueError(f"y must hold the labels of the fit, {', '.join(map(repr, classes))}, and no others.")
    return found


def _of_classes(model, y, weight, counted=None):
    """Weights with those of the classes; balanced ones from the weights `counted`, or from the numbers of rows."""
    of_class = getattr(model, "class_weight", None)
    if of_class is None:
        return weight
    if isinstance(of_class, str) and counted is not None:
        labels, at = np.unique(y, return_inverse=True)
        of_class = (np.sum(counted) / (len(labels) * np.bincount(at, counted)))[at]
    else:
        of_class = compute_sample_weight(of_class, y)
    return of_class if weight is None else weight * of_class


def _offset(offset, Y):
    """Offsets that go with Y, of shape (n, 1) or (n, n_targets)."""
    if np.ndim(offset) == 0:
        offset = np.full(len(Y), 0.0 if offset is None else offset)
    offset = check_array(offset, ensure_2d=False, dtype=np.float64, input_name="offset")
    offset = offset.reshape(len(offset), -1)
    if offset.shape not in ((len(Y), 1), Y.shape):
        raise ValueError(f"offset must have shape ({len(Y)},), one for each sample, got {offset.shape}.")
    return offset


def _certificate_of_classes(X, labels, answer, weight):
    """That of answers of several classes, by alpha."""
    data = Data(X, weight, answer.asked["fit_intercept"])
    target, unit = ClassesTarget(data, labels), 1 / data.total
    found = {field.name: [] for field in fields(Certificate)}
    for a in range(len(answer.alphas)):
        asked = answer.asked | {"l1_ratio": answer.l1_ratios[a, 0]}
        b = judge_classes(data, target, answer.coefs[a], answer.intercepts[a], answer.alphas[a, 0], asked,
                          0.1 * answer.tol * target.null)
        excuse = np.inf if answer.coefs.dtype == np.float32 else EXCUSE * target.null
        for name, value in (("objective", b.objective * unit), ("gap", b.gap * unit), ("coef_bound", b.distance),
                            ("rounding", (b.rounding + b.blur) * unit), ("stationarity", b.stationarity),
                            ("ok", bool(b.gap <= answer.tol * target.null + b.rounding + min(b.blur, excuse)))):
            found[name].append(value)
    return Certificate(**{name: np.array(values) if answer.many else values[0] for name, values in found.items()})


def _certificate_of_scale(X, Y, offset, answer, weight):
    """That of Huber's regression with its scale."""
    target = HuberTarget(Data(X, weight, answer.asked["fit_intercept"]), (Y - offset)[:, 0], answer.asked["epsilon"])
    asked, aim = answer.asked | {"l1_ratio": answer.l1_ratios[0, 0]}, answer.tol * target.null
    b = judge_huber(target, answer.coefs[0, 0], answer.intercepts[0, 0], asked["scale"], answer.alphas[0, 0], asked,
                    0.1 * aim)
    return Certificate(2 * b.objective, 2 * b.gap, b.stationarity, b.distance, 2 * b.rounding,
                       bool(b.gap <= aim + b.rounding))


def _certificate(X, Y, offset, answer, weight):
    data = Data(X, weight, answer.asked["fit_intercept"])
    convex = True
    if answer.loss == "quadratic":
        targets = [SquaredTarget(data, y) for y in (Y - offset).T]
    else:
        loss, offset = loss_named(answer.loss), np.broadcast_to(offset, Y.shape)
        convex = loss.convex
        targets = [LossTarget(data, loss, y, part) for y, part in zip(Y.T, offset.T)]
    shape, half = answer.alphas.shape, 0.5 if answer.doubled else 1.0     # P is half of what ridge minimises
    unit = 2.0 if answer.doubled else 1 / data.total
    cases = [Case(targets[t], answer.coefs[a, t], answer.intercepts[a, t], answer.alphas[a, t],
                  answer.asked | {"l1_ratio": answer.l1_ratios[a, t]}, 0.1 * answer.tol * half)
             for a, t in np.ndindex(shape)]
    found = {field.name: np.empty(shape, dtype=bool if field.name == "ok" else float)
             for field in fields(Certificate)}
    for (a, t), case, b in zip(np.ndindex(shape), cases, judge(data, cases)):
        promised = case.target.null * half                                # in units of P
        excuse = np.inf if case.coef.dtype == np.float32 else EXCUSE * promised
        found["ok"][a, t] = b.gap <= answer.tol * promised + b.rounding + min(b.blur, excuse)
        gap, bound = (b.gap, b.distance) if convex else (np.nan, np.inf)
        for name, value, power in (("objective", b.objective * unit, 2), ("gap", gap * unit, 2),
                                   ("rounding", (b.rounding + b.blur) * unit, 2), ("coef_bound", bound, 1),
                                   ("stationarity", b.stationarity, 0)):
            with np.errstate(over="ignore", under="ignore"):
                found[name][a, t] = np.ldexp(value * (case.target.unit if power == 2 else 1.0),
                                             power * case.target.exponent)
    keep = (slice(None) if answer.many else 0, 0 if shape[1] == 1 else slice(None))
    return Certificate(**{name: values[keep] if np.ndim(values[keep]) else values[keep].item()
                          for name, values in found.items()})
