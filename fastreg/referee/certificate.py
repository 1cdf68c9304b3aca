"""What the estimators and paths minimise, and the certificate of an answer of theirs."""
from dataclasses import dataclass, fields

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from fastreg.referee.data import Data
from fastreg.referee.problem import EXCUSE, Case, Target, judge

# Estimators by the names of their classes: those that minimise halved means of squares, and those of sums.
OF_MEANS = {"ElasticNet", "ElasticNetCV", "Lasso", "LassoCV"}
OF_SUMS = {"LinearRegression", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV"}
ITERATIVE = {"sparse_cg", "lsqr", "sag", "saga", "lbfgs"}
# The gap, relative to the squares of y, of an answer that is exact to rounding: its fitted values have six digits.
EXACT = 1e-12


@dataclass(frozen=True, repr=False)
class Certificate:
    """How good an answer is, by figures recomputed from X: see `certify`.

    All but `stationarity` and `ok` are in the units of the model's own objective or coefficients. Floats for one
    answer, else arrays of shape (n_targets,), (n_alphas,) or (n_alphas, n_targets).

    Attributes
    ----------
    objective : float
        Value of what the model's class minimises, as its docstring writes it; infinite outside the limits.
    gap : float
        Upper bound of the objective less its minimum, from a dual feasible point.
    stationarity : float
        Largest violation of an optimality condition, ``|x_j'S r - l2_j w_j - v|`` for the nearest subgradient v of the
        other penalties and limits, over ``||x_j|| ||y||`` (weighted, centred where there is an intercept, whose own
        condition counts as that of a column of ones). It does not change with the units of y or of any column without
        penalty.
    coef_bound : float
        Upper bound of ``||coef - exact coef||``: ``sqrt(2 gap / c)``, c the smallest second derivative of the penalty;
        infinite where a coefficient has no L2 penalty.
    rounding : float
        Estimate of what rounding in float64, of the coefficients and in this computation, may add to `gap`.
    ok : bool
        Whether `gap` is at most `tol` times the (weighted) sum of squares of y about its mean, or their mean where the
        objective averages, plus `rounding`, of which at most 1e-9 times the same counts where it is not of second
        order and the coefficients are not stored in float32. `tol` is the model's, or 1e-12 where a direct solver
        promised to be exact.
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
        text += (f": objective {objective:.10g}, at most {gap:.2g} above its minimum (rounding {rounding:.1g}); "
                 f"largest violation {slope:.2g}")
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

    X is read in blocks, neither copied nor centred nor made dense: five times for up to 16 answers (targets, alphas) of
    up to 16,384 samples, three times without an intercept, and twice more for every so many answers more. Where that
    leaves a gap, least squares read it up to a thousand times; where rounding leaves it, because columns are long and
    their penalties weak, up to 64 of these are multiplied by X as well.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
        What the model was fitted to.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The targets of the fit; labels for classifiers.
    model : estimator or path
        Fitted Lasso, ElasticNet, LassoCV, ElasticNetCV, Ridge, RidgeCV, RidgeClassifier, RidgeClassifierCV or
        LinearRegression, of fastreg or of scikit-learn; a Path.
    sample_weight : array-like of shape (n_samples,), float or None
        Those of the fit. Class weights are the model's and need not be given.
    offset : array-like of shape (n_samples,) or None
        Known part of y, that the model has not fitted: y - offset is what w and b are judged by. Not for classifiers.
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
        Where an argument is not as described, or where the answer minimises no penalised objective (a relaxed fit).

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
    if hasattr(model, "coefs") and hasattr(model, "params"):
        answer = _of_path(model, alpha)
    elif not hasattr(model, "get_params"):
        raise TypeError(f"model must be a fitted estimator or a path with coefficients, got {type(model).__name__}.")
    elif alpha is not None:
        if not hasattr(model, "path_"):
            raise ValueError("alpha is for paths, and for estimators that kept theirs (keep_paths=True); this model "
                             "was fitted at one alpha: leave it out.")
        return certify(X, y, model.path_, sample_weight=sample_weight, offset=offset, alpha=alpha)
    else:
        answer = _of_estimator(model)
    options = {"accept_sparse": ("csr", "csc"), "dtype": "numeric"}
    named = hasattr(model, "n_features_in_")
    X = validate_data(model, X, reset=False, **options) if named else check_array(X, input_name="X", **options)
    if X.shape[1] != answer.coefs.shape[-1]:
        raise ValueError(f"X has {X.shape[1]} features, the model was fitted with {answer.coefs.shape[-1]}.")
    weight = _weights(sample_weight, X.shape[0])
    if hasattr(model, "classes_"):
        if offset is not None:
            raise ValueError("offset is for regression: labels have none.")
        y, weight = _labels(model, y, weight)
    else:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    check_consistent_length(X, y)
    Y = y.reshape(len(y), -1)
    if Y.shape[1] != answer.coefs.shape[1]:
        raise ValueError(f"y has {Y.shape[1]} targets, the model was fitted with {answer.coefs.shape[1]}.")
    return _certificate(X, Y - _offset(offset, Y), answer, weight)


@dataclass
class _Answer:
    """Coefficients (n_alphas, n_targets, p), intercepts, alphas and l1_ratios (n_alphas, n_targets), and what was
    asked; `many` says whether alphas are an axis of the result."""

    coefs: np.ndarray
    intercepts: np.ndarray
    alphas: np.ndarray
    l1_ratios: np.ndarray
    asked: dict
    tol: float
    many: bool


def _of_path(path, alpha):
    wanted = np.atleast_1d(path.alphas[-1] if alpha is None else np.asarray(alpha, dtype=np.float64))
    if wanted.ndim != 1 or not np.all(np.isfinite(wanted)) or np.any(wanted < 0):
        raise ValueError(f"alpha must be a number or a one-dimensional array, finite and not negative, got {alpha!r}.")
    asked = dict(path.params)
    asked["mean"] = "l1_ratio" in asked
    coefs, intercepts = map(np.asarray, path.coef_at(wanted))
    coefs = coefs.reshape(-1, *coefs.shape[-2:]).transpose(2, 0, 1)
    intercepts = np.atleast_2d(intercepts).T
    shape = coefs.shape[:2]
    return _Answer(coefs, intercepts, np.broadcast_to(wanted[:, None], shape),
                   np.full(shape, asked.get("l1_ratio", 0.0)), asked, asked.get("tol", EXACT), np.ndim(alpha) > 0)


def _of_estimator(model):
    names = {cls.__name__ for cls in type(model).__mro__}
    if not names & (OF_MEANS | OF_SUMS) or any(name.startswith("MultiTask") for name in names):
        raise TypeError(f"model must be one of {', '.join(sorted(OF_MEANS | OF_SUMS))} or a path, got "
                        f"{type(model).__name__}.")
    check_is_fitted(model, "coef_", msg="This %(name)s instance has no coef_: fit it, with refit=True.")
    if np.any(np.asarray(getattr(model, "gamma_", 1.0)) != 1):
        raise ValueError("a relaxed fit (gamma_ < 1) minimises no penalised objective: certify its path_ instead "
                         "(keep_paths=True).")
    asked, mean = model.get_params(deep=False), bool(names & OF_MEANS)
    asked["mean"] = mean
    coefs = np.atleast_2d(np.asarray(model.coef_))
    alphas = np.asarray(getattr(model, "alpha_", asked.get("alpha", 0.0)), dtype=np.float64)
    ratios = getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 1.0)) if mean else 0.0
    shape = 1, len(coefs)
    iterative = mean or getattr(model, "solver_", None) in ITERATIVE
    if "LinearRegression" in names and "tol" in asked:          # by conjugate gradients, where X is sparse
        iterative = not (asked["positive"] or hasattr(model, "singular_"))
    return _Answer(coefs[None], np.broadcast_to(np.ravel(model.intercept_), shape), np.broadcast_to(alphas, shape),
                   np.broadcast_to(np.asarray(ratios, dtype=np.float64), shape), asked,
                   asked["tol"] if iterative else EXACT, False)


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


def _labels(model, y, weight):
    """Targets of -1 and 1, and weights with those of the classes."""
    binarizer = getattr(model, "label_binarizer_", None)
    if binarizer is None:
        binarizer = LabelBinarizer(neg_label=-1).fit(model.classes_)
    Y = np.asarray(binarizer.transform(y), dtype=np.float64)
    if getattr(model, "class_weight", None) is not None:
        of_class = compute_sample_weight(model.class_weight, y)
        weight = of_class if weight is None else weight * of_class
    return Y, weight


def _offset(offset, Y):
    """Offsets that go with Y, of shape (n, 1) or (n, n_targets)."""
    if offset is None:
        return 0.0
    offset = check_array(offset, ensure_2d=False, dtype=np.float64, input_name="offset")
    offset = offset.reshape(len(offset), -1)
    if offset.shape not in ((len(Y), 1), Y.shape):
        raise ValueError(f"offset must have shape ({len(Y)},), one for each sample, got {offset.shape}.")
    return offset


def _certificate(X, Y, answer, weight):
    data = Data(X, weight, answer.asked["fit_intercept"])
    targets = [Target(data, y) for y in Y.T]
    shape, mean = answer.alphas.shape, answer.asked["mean"]
    unit = 1 / data.total if mean else 2.0
    cases = [Case(targets[t], answer.coefs[a, t], answer.intercepts[a, t], answer.alphas[a, t],
                  answer.asked | {"l1_ratio": answer.l1_ratios[a, t]}, 0.1 * answer.tol * (1 if mean else 0.5))
             for a, t in np.ndindex(shape)]
    found = {field.name: np.empty(shape, dtype=bool if field.name == "ok" else float)
             for field in fields(Certificate)}
    for (a, t), case, b in zip(np.ndindex(shape), cases, judge(data, cases)):
        square = case.target.squares * (1 if mean else 0.5)               # tol times it is promised, in P's units
        excuse = np.inf if case.coef.dtype == np.float32 else EXCUSE * square
        found["ok"][a, t] = b.gap <= answer.tol * square + b.rounding + min(b.blur, excuse)
        for name, value, power in (("objective", b.objective * unit, 2), ("gap", b.gap * unit, 2),
                                   ("rounding", (b.rounding + b.blur) * unit, 2), ("coef_bound", b.distance, 1),
                                   ("stationarity", b.stationarity, 0)):
            with np.errstate(over="ignore", under="ignore"):
                found[name][a, t] = np.ldexp(value, power * case.target.exponent)
    keep = (slice(None) if answer.many else 0, 0 if shape[1] == 1 else slice(None))
    return Certificate(**{name: values[keep] if np.ndim(values[keep]) else values[keep].item()
                          for name, values in found.items()})
