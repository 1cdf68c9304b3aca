"""Checks of what users pass: clear errors that name the argument and say what was expected."""
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from fastreg.design import readable, valid

FORMATS = ("csc", "csr")
FLOATS = [np.float64, np.float32]


def check_number(value, name, low=None, high=None, kind=Real, low_open=False):
    """Return value if it is a finite number of the given kind in [low, high], else raise TypeError or ValueError."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind):
        what = "an integer" if kind is Integral else "a number"
        raise TypeError(f"{name} must be {what}, got {value!r} of type {type(value).__name__}.")
    if not np.isfinite(value) or (low is not None and (value < low or (low_open and value == low))) or (
            high is not None and value > high):
        bounds = [] if low is None else [f"{'> ' if low_open else '>= '}{low}"]
        bounds += [] if high is None else [f"<= {high}"]
        raise ValueError(f"{name} must be {' and '.join(['finite', *bounds])}, got {value!r}.")
    return value


def check_flag(value, name):
    """Return value as bool if it is one, else raise TypeError."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_threads(n_threads):
    """None, or an integer of at least 1."""
    return None if n_threads is None else int(check_number(n_threads, "n_threads", 1, kind=Integral))


def check_precompute(precompute, p):
    """Whether to use the Gram matrix of all features: True, None (as is faster), or the matrix itself."""
    if precompute is True or precompute is False or (isinstance(precompute, str) and precompute == "auto"):
        return True if precompute is True else None
    if isinstance(precompute, (np.ndarray, list, tuple)):
        gram = check_array(precompute, dtype=np.float64, order="C", input_name="precompute")
        if gram.shape != (p, p):
            raise ValueError(f"precompute must have shape ({p}, {p}) when it is a Gram matrix, got {gram.shape}.")
        if not np.allclose(gram, gram.T, rtol=1e-6, atol=1e-9 * np.max(np.abs(gram))):
            raise ValueError("precompute must be symmetric when it is a Gram matrix.")
        return gram
    raise ValueError(f"precompute must be True, False, 'auto' or a Gram matrix, got {precompute!r}.")


def check_selection(selection):
    """'cyclic' or 'random': solutions are exact, so that they do not depend on an order of updates."""
    if selection not in ("cyclic", "random"):
        raise ValueError(f"selection must be 'cyclic' or 'random', got {selection!r}.")


def check_start(coef, n_targets, p, name="coef_init"):
    """Starting coefficients as a float64 array of shape (n_targets, p), or None."""
    if coef is None:
        return None
    array = check_array(np.atleast_2d(coef), dtype=np.float64, order="C", input_name=name)
    if array.shape != (n_targets, p):
        raise ValueError(f"{name} must have shape ({n_targets}, {p}), got {np.shape(coef)}.")
    return array


def is_plain(X, y):
    """Whether X and y are arrays that need no conversion; the solver finds NaN and infinity in X as it reads it."""
    return (type(X) is np.ndarray and X.ndim == 2 and X.dtype in FLOATS and X.shape[0] > 0 and X.shape[1] > 0
            and type(y) is np.ndarray and y.ndim in (1, 2) and y.dtype in FLOATS and len(y) == len(X)
            and (y.ndim == 1 or y.shape[1] > 0) and bool(np.isfinite(np.add.reduce(y, axis=None))))


def check_X_y(X, y):
    """X (dense, CSC or CSR, float32 or float64) and y (finite, 1-D or 2-D), converted only if they must be.

    The values of X are left to the solver, which finds NaN and infinity as it reads them.
    """
    if is_plain(X, y):
        return readable(X), y
    X = readable(check_array(valid(X), accept_sparse=FORMATS, dtype=FLOATS, input_name="X", ensure_all_finite=False))
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim not in (1, 2):
        raise ValueError(f"y must have one or two dimensions, got {y.ndim}.")
    check_consistent_length(X, y)
    return X, y


def check_weight(sample_weight, n):
    """Sample weights as a float64 array of shape (n,), or None; a number weighs all samples alike."""
    if sample_weight is None or isinstance(sample_weight, Real):
        if sample_weight is not None and not (np.isfinite(sample_weight) and sample_weight > 0):
            raise ValueError(f"sample_weight must be positive and finite, got {sample_weight!r}.")
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise type(error)(f"sample_weight must be numeric: {error}") from None
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one for each sample, got {weight.shape}.")
    if not np.all(np.isfinite(weight)):
        raise ValueError("sample_weight must be finite: it contains NaN or infinity.")
    if np.any(weight < 0):
        raise ValueError("sample_weight must not be negative.")
    if not np.any(weight > 0):
        raise ValueError("sample_weight must not be all zero.")
    return weight


def check_weight_values(sample_weight, n):
    """Sample weights whose scale counts: an array of shape (n,), or None for ones."""
    weight = check_weight(sample_weight, n)
    return np.full(n, float(sample_weight)) if weight is None and sample_weight is not None else weight


def check_per_feature(value, name, p, default):
    """A number or an array of shape (p,), without NaN, as float64."""
    if value is None:
        return default
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or an array of numbers, got {value!r}.") from None
    if array.ndim > 1 or (array.ndim == 1 and array.shape != (p,)):
        raise ValueError(f"{name} must be a number or have shape ({p},), one for each feature, got {array.shape}.")
    if np.any(np.isnan(array)):
        raise ValueError(f"{name} must not contain NaN.")
    return array


def check_penalty_options(p, *, positive, penalty_factor, lower_limits, upper_limits):
    """Penalty factors and limits, each a number or an array of shape (p,)."""
    factor = check_per_feature(penalty_factor, "penalty_factor", p, 1.0)
    if np.any(factor < 0):
        raise ValueError("penalty_factor must not be negative.")
    lower = check_per_feature(lower_limits, "lower_limits", p, -np.inf)
    upper = check_per_feature(upper_limits, "upper_limits", p, np.inf)
    if np.any(lower > 0):
        raise ValueError("lower_limits must be <= 0: limits that exclude 0 are not supported.")
    if np.any(upper < 0):
        raise ValueError("upper_limits must be >= 0: limits that exclude 0 are not supported.")
    if check_flag(positive, "positive"):
        lower = np.maximum(lower, 0.0)
    return {"factor": factor, "lower": lower, "upper": upper}


def check_alphas(alphas, eps, l1_ratio):
    """A number of values (int), or the values as a decreasing float64 array."""
    if isinstance(alphas, Integral) and not isinstance(alphas, bool):
        check_number(eps, "eps", 0, 1, low_open=True)
        if l1_ratio == 0:
            raise ValueError("alphas must be given as an array when l1_ratio = 0: there is no largest useful value.")
        return int(check_number(alphas, "alphas", 1, kind=Integral))
    try:
        alphas = np.asarray(alphas, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"alphas must be an integer or an array of numbers, got {alphas!r}.") from None
    if alphas.ndim != 1 or alphas.size == 0:
        raise ValueError(f"alphas must be an integer or a one-dimensional array, got shape {alphas.shape}.")
    if not np.all(np.isfinite(alphas)) or np.any(alphas < 0):
        raise ValueError("alphas must be finite and not negative.")
    return np.sort(alphas)[::-1].copy()


def check_gammas(relax):
    """Shares of the penalised fit in relaxed fits, an array of shape (n_gammas,), or None."""
    if isinstance(relax, (bool, np.bool_)):
        return np.array([0.0, 0.25, 0.5, 0.75, 1.0]) if relax else None
    try:
        gammas = np.asarray(relax, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"relax must be True, False or an array of numbers, got {relax!r}.") from None
    if gammas.ndim != 1 or gammas.size == 0:
        raise ValueError(f"relax must be True, False or a one-dimensional array, got shape {gammas.shape}.")
    if not np.all((gammas >= 0) & (gammas <= 1)):
        raise ValueError(f"relax must lie in [0, 1], got {relax!r}.")
    return gammas


def check_criterion(criterion, noise_variance, **of_folds):
    """A criterion and the noise variance that goes with it; what is about folds must be None beside a criterion."""
    if criterion is None:
        if noise_variance is not None:
            raise ValueError("noise_variance is for a criterion: give criterion='aic', 'bic' or 'ebic' as well.")
        return
    if not isinstance(criterion, str) or criterion not in ("aic", "bic", "ebic"):
        raise ValueError(f"criterion must be None, 'aic', 'bic' or 'ebic', got {criterion!r}.")
    if noise_variance is not None:
        check_number(noise_variance, "noise_variance", 0, low_open=True)
    for name, value in of_folds.items():
        if value is not None:
            raise ValueError(f"{name} is about folds, of which criterion={criterion!r} makes none.")
