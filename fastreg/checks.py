"""Checks of what users pass: clear errors that name the argument and say what was expected."""
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_consistent_length, validate_data

from fastreg.design import readable, valid
from fastreg.inputs import as_floats, locating, refuse
from fastreg.progress import Bar
from fastreg.scale import Scale

FORMATS = ("csc", "csr")
FLOATS = [np.float64, np.float32]
# Between its inverse and it, sums of weights and their inverses are numbers.
LARGE = 1e280


def as_scalar(value):
    """What a zero-dimensional array holds; anything else as it is."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def check_number(value, name, low=None, high=None, kind=Real, low_open=False):
    """Return value as int or float if it is a finite number in [low, high], else raise TypeError or ValueError.

    Numbers of Python and NumPy pass, zero-dimensional arrays of them too; kind is Real or Integral.
    """
    value = as_scalar(value)
    allowed = (int, np.integer) if kind is Integral else (int, float, np.integer, np.floating)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, allowed):
        what = "an integer" if kind is Integral else "a number"
        exact = isinstance(value, (Real, Decimal)) and not isinstance(value, bool) and kind is Real
        hint = ": convert it by float()" if exact else ""
        raise TypeError(f"{name} must be {what}, got {value!r} of type {type(value).__name__}{hint}.")
    try:
        number = float(value)
    except OverflowError:            # an int
        number = np.inf
    if not np.isfinite(number) or (low is not None and (number < low or (low_open and number == low))) or (
            high is not None and number > high):
        bounds = [] if low is None else [f"{'> ' if low_open else '>= '}{low}"]
        bounds += [] if high is None else [f"<= {high}"]
        raise ValueError(f"{name} must be {' and '.join(['finite', *bounds])}, got {value!r}.")
    return int(value) if kind is Integral else number


def check_flag(value, name):
    """Return value as bool if it is one, else raise TypeError."""
    value = as_scalar(value)
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_choice(value, name, choices):
    """Return value if it is one of the choices, texts or None, else raise ValueError."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def check_threads(n_threads):
    """None, or an integer of at least 1."""
    return None if n_threads is None else check_number(n_threads, "n_threads", 1, kind=Integral)


def check_listeners(name, verbose, callback, unit="penalty values"):
    """Who is told of progress: a bar where `verbose` asks for one, and the callback, each of which may be None."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}.")
    return [Bar(name, unit) if check_verbose(verbose) else None, callback]


def check_verbose(verbose):
    """Whether to show anything: a bool, or a number that is not negative."""
    verbose = as_scalar(verbose)
    return bool(verbose) if isinstance(verbose, (bool, np.bool_)) else check_number(verbose, "verbose", 0) > 0


def check_ignored(*, copy_X=True, random_state=None, selection="cyclic"):
    """What makes no difference must still be what it is said to be.

    X is never modified, and solutions are exact: they depend neither on an order of updates nor on chance.
    """
    check_flag(copy_X, "copy_X")
    check_choice(selection, "selection", ("cyclic", "random"))
    if isinstance(random_state, (bool, np.bool_)):
        raise TypeError(f"random_state must be None, an integer or a RandomState, got {random_state!r}.")
    try:
        check_random_state(random_state)
    except ValueError:
        raise ValueError("random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, got "
                         f"{random_state!r}.") from None


def check_precompute(precompute, p):
    """Whether to use the Gram matrix of all features: True, None (as is faster), or the matrix itself."""
    if isinstance(as_scalar(precompute), (bool, np.bool_)):
        return True if precompute else None
    if isinstance(precompute, str) and precompute == "auto":
        return None
    if isinstance(precompute, (np.ndarray, list, tuple)):
        gram = check_array(as_floats(precompute, "precompute"), dtype=np.float64, order="C", input_name="precompute")
        if gram.shape != (p, p):
            raise ValueError(f"precompute must have shape ({p}, {p}) when it is a Gram matrix, got {gram.shape}.")
        if not np.allclose(gram, gram.T, rtol=1e-6, atol=1e-9 * np.max(np.abs(gram))):
            raise ValueError("precompute must be symmetric when it is a Gram matrix.")
        return gram
    raise ValueError(f"precompute must be True, False, 'auto' or a Gram matrix, got {precompute!r}.")


def check_start(coef, n_targets, p, name="coef_init"):
    """Starting coefficients as a float64 array of shape (n_targets, p), or None."""
    if coef is None:
        return None
    array = check_array(np.atleast_2d(as_floats(coef, name)), dtype=np.float64, order="C", input_name=name)
    if array.shape != (n_targets, p):
        raise ValueError(f"{name} must have shape ({n_targets}, {p}), got {np.shape(coef)}.")
    return array


def is_plain(X, y):
    """Whether X and y are arrays that need no conversion; the solver finds NaN and infinity in X as it reads it."""
    return (type(X) is np.ndarray and X.ndim == 2 and X.dtype in FLOATS and X.shape[0] > 0 and X.shape[1] > 0
            and type(y) is np.ndarray and y.ndim in (1, 2) and y.dtype in FLOATS and len(y) == len(X)
            and (y.ndim == 1 or y.shape[1] > 0) and bool(np.isfinite(np.add.reduce(y, axis=None))))


def check_X_y(X, y, features=None, labels=False):
    """X (dense, CSC or CSR, float32 or float64) and y (finite, 1-D or 2-D), converted only if they must be.

    The values of X are left to the solver, which finds NaN and infinity as it reads them. `features`, an estimator,
    is told the number and the names of X's. `labels`: y holds labels of any kind, which are left as they are.
    """
    if is_plain(X, y):
        return readable(X), y
    refuse(X, "X", sparse=True)
    with locating(X, "X"):
        if features is not None:
            validate_data(features, X, skip_check_array=True)
        X = readable(check_array(valid(X), accept_sparse=FORMATS, dtype=FLOATS, input_name="X",
                                 ensure_all_finite=False))
    if labels:
        refuse(y, "y", sparse=True, times=True)
        check_consistent_length(X, y)
        return X, y if hasattr(y, "ndim") else np.asarray(y)
    y = check_array(as_floats(y, "y"), ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim not in (1, 2):
        raise ValueError(f"y must have one or two dimensions, got {y.ndim}.")
    check_consistent_length(X, y)
    return X, y


def validate_X(estimator, X):
    """X for a fitted estimator: dense, CSC or CSR, float32 or float64, finite, with the features of the fit."""
    refuse(X, "X", sparse=True)
    with locating(X, "X"):
        return validate_data(estimator, valid(X), accept_sparse=FORMATS, dtype=FLOATS, reset=False)


def validate_X_y(estimator, X, y, *, labels=False, **how):
    """X and y for an estimator, of which validate_data keeps the features; y are numbers, or labels of any kind.

    Parameters
    ----------
    **how
        For scikit-learn's validate_data: reset, and ensure_all_finite, which is about X alone.
    """
    refuse(X, "X", sparse=True)
    if labels:
        refuse(y, "y", sparse=True, times=True)
    elif y is not None:
        y = as_floats(y, "y")
    with locating(X, "X"):
        X, y = validate_data(estimator, valid(X), y, accept_sparse=FORMATS, dtype=FLOATS, multi_output=True,
                             y_numeric=not labels, **how)
    return readable(X), y


def check_weight(sample_weight, n):
    """Sample weights of which only ratios matter, as a float64 array of shape (n,), or None for equal ones: a number
    weighs all samples alike. Divided by a power of two where their sum, or what it divides, might leave float64."""
    weight = _finite_weight(sample_weight, n)
    extreme = weight is not None and not 1 / LARGE < np.max(weight) < LARGE
    return Scale.of(weight).down(weight) if extreme else weight


def _finite_weight(sample_weight, n):
    refuse(sample_weight, "sample_weight")
    number = as_scalar(sample_weight)
    if number is None:
        return None
    if np.isscalar(number) and not isinstance(number, (str, bytes)):
        check_number(number, "sample_weight", 0, low_open=True)
        return None
    weight = np.asarray(as_floats(sample_weight, "sample_weight"), dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(f"Sample weights must be 1D array or scalar: sample_weight must have shape ({n},), one for "
                         f"each sample, got {weight.shape}.")
    if not np.all(np.isfinite(weight)):
        raise ValueError("sample_weight must be finite: it contains NaN or infinity.")
    if np.any(weight < 0):
        raise ValueError("sample_weight must not be negative.")
    if not np.any(weight > 0):
        raise ValueError("sample_weight must not be all zero.")
    return weight


def check_weight_values(sample_weight, n):
    """Sample weights whose scale counts: an array of shape (n,), or None for ones."""
    weight = _finite_weight(sample_weight, n)
    return np.full(n, float(sample_weight)) if weight is None and sample_weight is not None else weight


def check_per_feature(value, name, p, default):
    """A number or an array of shape (p,), without NaN, as float64."""
    if value is None:
        return default
    array = np.asarray(_numbers(value, name, "a number or an array of numbers"), dtype=np.float64)
    if array.ndim > 1 or (array.ndim == 1 and array.shape != (p,)):
        raise ValueError(f"{name} must be a number or have shape ({p},), one for each feature, got {array.shape}.")
    if np.any(np.isnan(array)):
        raise ValueError(f"{name} must not contain NaN.")
    return array


def _numbers(value, name, what):
    """An array of numbers, or a TypeError that says what was expected."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be {what}, got {value!r}.")
    try:
        return as_floats(value, name)
    except ValueError as error:
        raise TypeError(f"{name} must be {what}, got {value!r}: {error}") from None


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


def check_penalties(alphas, name="alphas", low_open=False):
    """Values of alpha as a float64 array in the order given: one dimension, finite, not negative (or positive)."""
    array = np.asarray(_numbers(alphas, name, "a number or an array of numbers"), dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a number or a one-dimensional array, got shape {array.shape}.")
    for i in np.flatnonzero(~(array > 0 if low_open else array >= 0) | np.isinf(array))[:1]:
        raise ValueError(f"{name}[{i}] == {alphas[i] if isinstance(alphas, (list, tuple)) else array[i]}, must be "
                         f"{'>' if low_open else '>='} 0.0 and finite.")
    return array


def check_listed_alphas(alphas, positive=False):
    """Values of alpha, or a single one, as a float64 array of shape (n_alphas,) in the order given."""
    return check_penalties(alphas if np.ndim(alphas) else [as_scalar(alphas)], low_open=positive)


def check_alphas(alphas, eps, l1_ratio):
    """A number of values (int), or the values as a decreasing float64 array."""
    alphas = as_scalar(alphas)
    if isinstance(alphas, (int, np.integer)) and not isinstance(alphas, bool):
        check_number(eps, "eps", 0, 1, low_open=True)
        count = check_number(alphas, "alphas", 1, kind=Integral)
        if l1_ratio == 0:
            raise ValueError("Automatic alpha grid generation is not supported for l1_ratio=0. Please supply a grid by "
                             "providing your estimator with the appropriate `alphas=` argument.")
        return count
    if np.ndim(alphas) == 0:
        raise TypeError(f"alphas must be an integer or an array of numbers, got {alphas!r}.")
    return np.sort(check_penalties(alphas))[::-1].copy()


def check_gammas(relax):
    """Shares of the penalised fit in relaxed fits, an array of shape (n_gammas,), or None."""
    if isinstance(as_scalar(relax), (bool, np.bool_)):
        return np.array([0.0, 0.25, 0.5, 0.75, 1.0]) if relax else None
    gammas = np.asarray(_numbers(relax, "relax", "True, False or an array of numbers"), dtype=np.float64)
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
    check_choice(criterion, "criterion", (None, "aic", "bic", "ebic"))
    if noise_variance is not None:
        check_number(noise_variance, "noise_variance", 0, low_open=True)
    for name, value in of_folds.items():
        if value is not None:
            raise ValueError(f"{name} is about folds, of which criterion={criterion!r} makes none.")
