"""Losses of the user's own, from functions of a row in Python."""
import copyreg
from dataclasses import dataclass

import numpy as np

from fastreg.datafits.given import Given
from fastreg.datafits.machine import machine_code

POINTS = (0.0, 1e-3, 0.1, 0.7, 1.0, 2.3, 5.0, 11.0, 30.0, 100.0)      # of eta, on both sides, at which losses are tried
WIDTH = 0.01                             # of the intervals on which slopes are held against differences
# Of what a difference must be, how far it may be off: kinks of slopes, and jumps of curvatures, lie in some intervals.
SLOPE, CURVATURE, YOUNG = 1e-4, 0.05, 1e-7
SCALARS = "Python functions of two floats that return a float"


@dataclass(frozen=True)
class Domain:
    """What y may be.

    Attributes
    ----------
    given : None, str or tuple
        As `custom` takes it.
    """

    given: object

    def __post_init__(self):
        given = self.given
        if given is None or (isinstance(given, str) and given in ("labels", "positive", "nonnegative")):
            return
        try:
            low, high = map(float, given)
        except (TypeError, ValueError):
            low = high = np.nan
        if not low < high:
            raise ValueError("domain must be None, 'labels', 'positive', 'nonnegative' or a pair (low, high) of "
                             f"numbers, got {given!r}.")
        object.__setattr__(self, "given", (low, high))

    @property
    def labels(self):
        """Whether y are two classes, -1 and 1."""
        return self.given == "labels"

    @property
    def ends(self):
        """The interval."""
        if isinstance(self.given, tuple):
            return self.given
        return {None: (-np.inf, np.inf), "labels": (-1.0, 1.0)}.get(self.given, (0.0, np.inf))

    def check(self, y):
        """Raise a ValueError where y is outside."""
        low, high = self.ends
        inside = np.isfinite(y) & (y >= low) & (y <= high)
        if self.labels:
            inside = np.abs(y) == 1
        elif self.given == "positive":
            inside &= y > 0
        if not np.all(inside):
            told = {None: "finite", "labels": "two classes, as -1 and 1", "positive": "positive and finite",
                    "nonnegative": "finite and not negative"}
            wanted = f"between {low} and {high}" if isinstance(self.given, tuple) else told[self.given]
            raise ValueError(f"y must be {wanted}, the domain of this loss, got {np.asarray(y)[~inside][0]}.")

    def samples(self):
        """Some y to try a loss at."""
        if self.labels:
            return np.array([-1.0, 1.0])
        low, high = self.ends
        if np.isfinite(low) and np.isfinite(high):
            return low + (high - low) * np.array([0.0, 0.01, 0.2, 0.5, 0.77, 1.0])
        away = np.array([0.0, 0.03, 0.5, 1.0, 2.7, 19.0])
        if np.isfinite(low):
            return low + (away[1:] if self.given == "positive" else away)
        return high - away if np.isfinite(high) else np.concatenate([-away[:0:-1], away])


def custom(value, gradient, curvature, conjugate=None, domain=None, convex=True):
    """A loss of your own, from functions of one row: compiled once, then as fast as those that are built in.

    What is minimised with it is ``1 / sum_i s_i * sum_i s_i value(y_i, eta_i)`` plus a penalty,
    ``eta_i = x_i w + b + offset_i``: give it as the `datafit` of `fastreg.regularization_path`,
    `fastreg.GeneralizedLinearRegressor` or their like.

    Parameters
    ----------
    value : callable
        ``value(y, eta)``, a function of two floats that returns one and is finite for every eta. It is compiled by
        Numba (``pip install 'fastreg-solver[custom]'``), from Python or from a function decorated by ``numba.njit``;
        what it refers to outside, numbers and other such functions, is constant. It must be pure: threads call it.
    gradient : callable
        ``gradient(y, eta)``, its first derivative in eta.
    curvature : callable
        ``curvature(y, eta)``, its second derivative in eta; zero is allowed. It decides how fast solutions are found,
        not what they are.
    conjugate : callable or None
        ``conjugate(y, u)``, the largest value of ``u * eta - value(y, eta)`` over eta, infinite where there is none. It
        makes certificates a little faster; None has it found by a search, bounded from above.
    domain : {None, 'labels', 'positive', 'nonnegative'} or (low, high)
        What y may be: any number; two classes, of any labels, which the functions see as -1.0 and 1.0; numbers above
        zero, or not below it; or numbers between two, themselves included.
    convex : bool, default=True
        Whether value is convex in eta. Otherwise solutions are stationary points, found by steps that never raise the
        objective, `curvature` may have any sign, and there is no duality gap: in its place is what the quadratic model
        of the objective, under the size of the curvature, could still fall by.

    Returns
    -------
    Datafit
        It can be pickled where the functions can.

    Raises
    ------
    ImportError
        Where Numba is missing.
    TypeError
        If an argument is no function of two floats that Numba compiles.
    ValueError
        If value is not finite, gradient is not its derivative, curvature is not the derivative of that or is negative,
        or conjugate is not value's: the message says where.

    Notes
    -----
    Machine code is kept in ``$FASTREG_CACHE_DIR``, by default ``~/.cache/fastreg``, under the byte code of the
    functions and all that they refer to, for functions that were written in a file. exp, expm1, log and log1p of `math`
    and `numpy` are replaced by arithmetic that is right to two units in the last place and becomes vector instructions.

    References
    ----------
    Rockafellar, "Convex Analysis", Princeton 1970, section 12 (conjugates); Lam, Pitrou and Seibert, "Numba: a
    LLVM-based Python JIT compiler", LLVM-HPC (2015).

    Examples
    --------
    The pinball loss of the median, smooth within 0.1:

    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import datafits, regularization_path
    >>> def value(y, eta):
    ...     r = abs(y - eta)
    ...     return 0.5 * r - 0.025 if r > 0.1 else 2.5 * r * r
    >>> def gradient(y, eta):
    ...     return min(max(5 * (eta - y), -0.5), 0.5)
    >>> def curvature(y, eta):
    ...     return 5.0 if abs(eta - y) < 0.1 else 0.0
    >>> median = datafits.custom(value, gradient, curvature)
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(X, y, datafit=median, alphas=5)
    >>> (y < path.predict(X, alpha=path.alphas[-1])).mean().round(1).item()
    0.5
    """
    functions = {"value": value, "gradient": gradient, "curvature": curvature, "conjugate": conjugate}
    for name, function in functions.items():
        if not callable(function) and not (name == "conjugate" and function is None):
            raise TypeError(f"{name} must be a function of two floats, got {function!r}.")
    if not isinstance(convex, (bool, np.bool_)):
        raise TypeError(f"convex must be a bool, got {convex!r}.")
    if not convex and conjugate is not None:
        raise ValueError("conjugate must be None where convex is False: there is no duality gap.")
    domain = Domain(domain)
    addresses, code = machine_code([f for f in functions.values() if f is not None])
    loss = Given(getattr(value, "__name__", "value"), addresses, code, domain, bool(convex), tuple(functions.values()))
    _Trial(loss).check()
    return loss


copyreg.pickle(Given, lambda loss: (custom, (*loss.functions, loss.domain.given, loss.convex)))


def from_skglm(datafit, domain=None):
    """A loss from a datafit of skglm, or one written like those, that is a sum over rows.

    Parameters
    ----------
    datafit : object
        With the methods ``value(y, w, Xw)``, ``raw_grad(y, Xw)`` and ``raw_hessian(y, Xw)``, of arrays, which divide by
        the number of rows, and ``params_to_dict()`` for what they ask of themselves: skglm's Quadratic, Logistic,
        Huber, Poisson or Gamma.
    domain : None, str or pair
        Of y, as `custom` takes it.

    Returns
    -------
    Datafit

    Raises
    ------
    ImportError, TypeError, ValueError
        As `custom`; and where a method is missing.

    References
    ----------
    Bertrand et al., "Beyond L1: Faster and Better Sparse Models with skglm", NeurIPS 35 (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import GeneralizedLinearRegressor, datafits
    >>> class LogCosh:
    ...     def value(self, y, w, Xw):
    ...         return np.log(np.cosh(y - Xw)).mean()
    ...     def raw_grad(self, y, Xw):
    ...         return np.tanh(Xw - y) / len(y)
    ...     def raw_hessian(self, y, Xw):
    ...         return (1 - np.tanh(Xw - y) ** 2) / len(y)
    >>> X, y = load_diabetes(return_X_y=True)
    >>> loss = datafits.from_skglm(LogCosh())
    >>> GeneralizedLinearRegressor(loss, alpha=0.001).fit(X, y / y.std()).coef_[:3].round(1)
    array([ 0.2, -1.7,  4.8])
    """
    missing = [name for name in ("value", "raw_grad", "raw_hessian") if not hasattr(type(datafit), name)]
    if missing:
        raise TypeError("datafit must have the methods value, raw_grad and raw_hessian; "
                        f"{type(datafit).__name__} lacks {', '.join(missing)}.")
    from fastreg.datafits.adapted import rows_of

    return custom(*rows_of(datafit), domain=domain)


class _Trial:
    """A loss on a grid of y and eta."""

    def __init__(self, loss):
        self.loss = loss
        etas = np.unique(np.concatenate([POINTS, -np.asarray(POINTS)])) + 0.0137
        self.y, self.eta = (part.ravel() for part in np.meshgrid(loss.domain.samples(), etas))

    def check(self):
        """Raise a ValueError where the functions do not go together."""
        f, g, h = self._at(self.eta)
        for name, found in (("value", f), ("gradient", g), ("curvature", h)):
            self._refuse(~np.isfinite(found), f"{name} must be finite for every eta: it is {{}}", found)
        self._check_derivatives()
        if self.loss.convex:
            self._check_convex()
        if self.loss.functions[3] is not None:
            self._check_conjugate(f, g)

    def _at(self, eta):
        """Value, gradient and curvature as they are given."""
        return self.loss.given(self.y, eta)

    def _refuse(self, wrong, what, *values):
        if np.any(wrong):
            i = np.flatnonzero(wrong)[0]
            told = what.format(*(f"{np.broadcast_to(value, wrong.shape)[i]:.6g}" for value in values))
            raise ValueError(f"{told}, at y={self.y[i]:.6g} and eta={self.eta[i]:.6g}.")

    def _check_derivatives(self):
        """Means over intervals, which rounding and kinks leave nearly as they are."""
        nodes, shares = np.polynomial.legendre.leggauss(64)
        half = WIDTH * (1 + np.abs(self.eta))
        inside = [self._at(self.eta + half * node) for node in nodes]
        (f_lo, g_lo, _), (f_hi, g_hi, _) = self._at(self.eta - half), self._at(self.eta + half)
        for low, high, order, share, said in (
                (f_lo, f_hi, 1, SLOPE, "gradient must be the derivative of value in eta: its mean is {}, that of "
                 "differences of value {}"),
                (g_lo, g_hi, 2, CURVATURE, "curvature must be the derivative of gradient in eta: its mean is {}, that "
                 "of differences of gradient {}")):
            mean = 0.5 * sum(part * point[order] for part, point in zip(shares, inside))
            most = np.max(np.abs([point[order] for point in inside]), axis=0)
            wanted = (high - low) / (2 * half)
            slack = share * most + 1e-12 * (np.abs(low) + np.abs(high)) / half + 1e-12
            self._refuse(~(np.abs(mean - wanted) <= slack), said, mean, wanted)

    def _check_convex(self):
        _, g, h = self._at(self.eta)
        self._refuse(h < -1e-12 * (1 + np.abs(g)), "curvature must not be negative, or convex is to be False: it is {}",
                     h)
        step = WIDTH * (1 + np.abs(self.eta))
        after = self._at(self.eta + step)[1]
        self._refuse(after < g - 1e-10 * (1 + np.abs(g)), "gradient must not fall with eta, or convex is to be False: "
                     "it goes from {} to {}", g, after)

    def _check_conjugate(self, f, g):
        """Fenchel and Young: f + f* - u eta is 0 at the slope, and not negative elsewhere."""
        dual = self.loss.conjugate(self.y, g)
        left = f + dual - g * self.eta
        size = YOUNG * (1 + np.abs(f) + np.abs(g * self.eta))
        sure = np.abs(g - self._at(self.eta - 1)[1]) > 1e-6 * np.abs(g)        # else the slope is that of an end
        self._refuse(sure & ~(np.abs(left) <= size), "conjugate must be value's: value + conjugate - u eta is {} at "
                     "u = gradient, where it is to be 0", left)
        for share in (0.5, 0.9):
            left = f + self.loss.conjugate(self.y, share * g) - share * g * self.eta
            self._refuse(~(left >= -size), "conjugate must be value's: value + conjugate - u eta is {} at u = "
                         f"{share} gradient, where it must not be negative", left)
