"""Losses of the user's own: the same answers as those that are built in, certified; refusals; machine code kept."""

import math
import os
import pickle
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import mpmath
import numpy as np
import own_losses
import pytest
from glm import LOSSES, Judge
from own_losses import BUILT_IN
from test_curved import data

import fastreg
from fastreg import GeneralizedLinearRegressor, GeneralizedLinearRegressorCV, certify, regularization_path
from fastreg.datafits import by_name, custom, from_skglm, machine

pytest.importorskip("numba")
TESTS = Path(__file__).resolve().parent


@pytest.fixture(scope="module", autouse=True)
def _kept(tmp_path_factory):
    """Machine code is kept where it is found for the module alone."""
    before = os.environ.get("FASTREG_CACHE_DIR")
    os.environ["FASTREG_CACHE_DIR"] = str(tmp_path_factory.mktemp("code"))
    yield
    os.environ.pop("FASTREG_CACHE_DIR")
    if before is not None:
        os.environ["FASTREG_CACHE_DIR"] = before


def own(name, with_conjugate=False):
    functions, conjugate, domain = BUILT_IN[name]
    return custom(*functions, conjugate if with_conjugate else None, domain)


@pytest.mark.parametrize(("name", "lo", "hi"), [("exp", -708, 709), ("expm1", -40, 700), ("log", 1e-300, 1e300),
                                                ("log1p", -1, 1e300)])
def test_exponentials_and_logarithms(name, lo, hi, rng):
    from fastreg.datafits import vectormath

    function, exact = getattr(vectormath, name), getattr(mpmath, name)
    x = np.concatenate([rng.uniform(lo, min(hi, 700), 300), rng.standard_normal(300), rng.standard_normal(300) * 1e-6])
    x = np.concatenate([x, np.exp(rng.uniform(-600, 600, 300))]) if name.startswith("log") else x
    x = x[(x > lo) & (x < hi)]
    with mpmath.workdps(40):
        for value in map(float, x):
            wanted = exact(mpmath.mpf(value))
            assert abs(function(value) - wanted) <= 4 * 2.0**-53 * abs(wanted)
    ends = {"exp": (1, math.inf, 0), "expm1": (0, math.inf, -1), "log": (-math.inf, math.inf, math.nan),
            "log1p": (0, math.inf, math.nan)}
    np.testing.assert_array_equal([function(0.0), function(math.inf), function(-math.inf)], ends[name])
    assert math.isnan(function(math.nan))


@pytest.mark.parametrize("name", BUILT_IN)
def test_rows(name, rng):
    """Values, slopes, curvatures; conjugates, found by a search, never too small, and hardly too large."""
    loss, known = own(name), by_name(name)
    y = data(name, n=500)[1]
    eta = 3 * rng.standard_normal(500)
    for found, wanted in zip(loss.evaluate(y, eta), known.evaluate(y, eta)):
        np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-14)
    slope = known.evaluate(y, eta)[1]
    for c in (0.0, 0.3, 0.999):
        found, wanted = loss.conjugate(y, c * slope), known.conjugate(y, c * slope)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        assert np.all(found >= wanted - 1e-14 * (1 + np.abs(wanted)))
    np.testing.assert_allclose(loss.saturated(y), known.saturated(y), atol=1e-12)
    assert loss.conjugate(y[:2], y[:2]).max() == math.inf if name == "logistic" else True


@pytest.mark.parametrize("with_conjugate", [False, True])
@pytest.mark.parametrize("name", BUILT_IN)
def test_what_a_dual_point_leaves(name, with_conjugate, rng):
    """Never less than there is, and a twentieth more at most until rounding shows."""
    loss, known, y = own(name, with_conjugate), by_name(name), data(name, n=700)[1]
    weights = rng.random(700) * (rng.random(700) < 0.8)
    for spread in (0.1, 3.0, 20.0):
        eta = spread * rng.standard_normal(700)
        size = np.sum(weights * (1 + np.abs(known.evaluate(y, eta)[0])))
        for c in (1.0, 1 - 1e-9, 0.999, 0.5, 0.01):
            found, wanted = loss.remainder(y, eta, c, weights), known.remainder(y, eta, c, weights)
            assert wanted * (1 - 1e-9) - 1e-300 <= found <= 1.05 * wanted + 1e-14 * size
    assert loss.remainder(y, eta, 1.0, weights) == 0


def test_what_a_dual_point_leaves_where_slopes_fall_slowly():
    """-log(1 + eta), of which a slope of -1/1000 is a thousand away."""
    loss = custom(lambda y, eta: -math.log1p(eta) if eta >= 0 else 0.5 * eta * eta - eta,
                  lambda y, eta: -1 / (1 + eta) if eta >= 0 else eta - 1,
                  lambda y, eta: 1 / (1 + eta) ** 2 if eta >= 0 else 1.0)
    found = loss.remainder(np.zeros(3), np.zeros(3), 1e-3)
    assert 3 * (math.log(1000) - 0.999) <= found <= 3.6 * (math.log(1000) - 0.999)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_paths(name, storage):
    """A judge in long double, which knows the loss by another name."""
    import scipy.sparse as sp

    X, y, _ = data(name)
    X = sp.csr_array(X) if storage == "sparse" else X
    path = regularization_path(X, y, datafit=own(name), alphas=8, eps=1e-2, l1_ratio=0.7, tol=1e-9, n_threads=1)
    other = regularization_path(X, y, datafit=name, alphas=path.alphas, l1_ratio=0.7, tol=1e-9)
    for k, alpha in enumerate(path.alphas):
        judge = Judge(name, X, y, alpha, 0.7)
        assert judge.gap(np.asarray(path.coefs)[:, k], path.intercepts[k]) <= 1.1e-9
        assert judge.gap(np.asarray(path.coefs)[:, k], path.intercepts[k]) <= (
            path.dual_gaps[k] / path.null_deviance * 2 * 1.001 + 1e-13)
    assert certify(X, y, path, alpha=path.alphas).ok.all()
    np.testing.assert_allclose(path.deviances, other.deviances, rtol=1e-7)
    np.testing.assert_allclose(path.null_deviance, other.null_deviance, rtol=1e-12)
    threaded = regularization_path(X, y, datafit=own(name), alphas=8, eps=1e-2, l1_ratio=0.7, tol=1e-9, n_threads=3)
    np.testing.assert_array_equal(np.asarray(threaded.coefs), np.asarray(path.coefs))


def test_an_intercept_far_away():
    """y of a million: its search begins at nothing."""
    y = 1e6 + np.random.default_rng(0).standard_normal(50)
    loss = own("huber(1.5)")
    assert abs(loss.null_fit(y)[0] - by_name("huber(1.5)").null_fit(y)[0]) < 1e-6
    weights = np.arange(50) % 3.0
    y[0] = np.nan                                                    # without weight
    assert abs(loss.null_fit(y, weights)[0] - by_name("huber(1.5)").null_fit(y, weights)[0]) < 1e-6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_a_loss_that_overflows(seed, l1_ratio):
    """Steps go back from where it is no number; where offsets have rows there, no gap is claimed that is not."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((80, 5)) * 300 ** rng.random(5)
    y = np.where(X[:, 0] / np.std(X[:, 0]) + rng.standard_normal(80) > 0, 1.0, -1.0)
    loss = custom(own_losses.steep, own_losses.steep_slope, own_losses.steep_curvature, domain="labels")
    far = 600.0 * (rng.random(80) < 0.5)
    for offset in (None, far - far.mean()):
        path = regularization_path(X, y, datafit=loss, alphas=[1e-1, 1e-3, 1e-5], l1_ratio=l1_ratio, offset=offset,
                                   tol=1e-8)
        for k, alpha in enumerate(path.alphas):
            judge = Judge("logistic", X, y, alpha, l1_ratio, offset=offset)
            gap, claimed = judge.gap(np.asarray(path.coefs)[:, k], path.intercepts[k]), path.dual_gaps[k] / (
                path.null_deviance / 2)
            assert gap < 1.1e-8 or (offset is not None and not claimed < 1e-3)


def test_predictions_and_choices(rng):
    X, y, _ = data("huber(1.5)", n=120)
    model = GeneralizedLinearRegressor(own("huber(1.5)"), alpha=0.05, l1_ratio=1, tol=1e-10).fit(X, y)
    other = GeneralizedLinearRegressor("huber(1.5)", alpha=0.05, l1_ratio=1, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), X @ model.coef_ + model.intercept_)
    assert certify(X, y, model).ok and not certify(X[:, ::-1], y, model).ok
    assert model.score(X, y) == pytest.approx(other.score(X, y), abs=1e-8)
    chosen = GeneralizedLinearRegressorCV(own("huber(1.5)"), alphas=10, tol=1e-8).fit(X, y)
    wanted = GeneralizedLinearRegressorCV("huber(1.5)", alphas=10, tol=1e-8).fit(X, y)
    assert chosen.alpha_ == pytest.approx(wanted.alpha_, rel=1e-12)
    assert "huber loss" in regularization_path(X, y, datafit=own("huber(1.5)"), alphas=3).summary()
    labels = np.where(X[:, 0] + rng.standard_normal(120) > 0, "yes", "no")
    path = regularization_path(X, labels, datafit=own("logistic"), alphas=5)
    wanted = regularization_path(X, labels, datafit="logistic", alphas=path.alphas)
    assert (path.predict(X) == wanted.predict(X)).mean() > 0.99
    with pytest.raises(NotImplementedError, match="criterion needs a likelihood"):
        GeneralizedLinearRegressorCV(own("huber(1.5)"), criterion="bic").fit(X, y)


def test_a_smooth_quantile(rng):
    """Curvature that is zero beyond a distance; the share of rows below is that of the quantile."""
    X = rng.standard_normal((400, 6))
    y = 3 * X[:, 0] + rng.gumbel(size=400)
    loss = custom(own_losses.pinball, own_losses.pinball_slope, own_losses.pinball_curvature)
    path = regularization_path(X, y, datafit=loss, alphas=12, eps=1e-3, tol=1e-8)
    assert certify(X, y, path, alpha=path.alphas).ok.all()
    below = np.mean(y < path.predict(X)[:, -1])
    assert abs(below - own_losses.TAU) < 0.05
    assert path.dual_gaps.max() <= 1e-8 * path.null_deviance


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_a_loss_that_is_not_convex(seed, l1_ratio):
    """Stationary in long double, no worse than the null fit, and no gap is claimed."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((200, 8))
    y = np.where(X[:, 0] - X[:, 1] + 1.5 * rng.standard_normal(200) > 0, 1.0, -1.0)
    loss = custom(own_losses.focal, own_losses.focal_slope, own_losses.focal_curvature, None, "labels", convex=False)
    eta = np.linspace(-5, 5, 200)
    given = loss.given(y, eta)[2]
    assert given.min() < -1e-3
    np.testing.assert_array_equal(loss.evaluate(y, eta)[2], np.abs(given))
    path = regularization_path(X, y, datafit=loss, alphas=[1e-1, 1e-2, 1e-3], l1_ratio=l1_ratio, tol=1e-9,
                               max_iter=1000)
    assert np.isnan(path.dual_gaps).all() and np.all(path.stationarities <= 1e-9 * path.null_deviance)
    found = certify(X, y, path, alpha=path.alphas)
    assert found.ok.all() and np.isnan(found.gap).all() and found.stationarity.max() < 1e-4
    L = np.longdouble
    for k, alpha in enumerate(path.alphas):
        w, b = np.asarray(path.coefs)[:, k].astype(L), L(path.intercepts[k])
        p = 1 / (1 + np.exp(-y * (X.astype(L) @ w + b)))
        slope = y * (1 - p) ** 2 * (2 * p * np.log(p) + p - 1)
        pull = -X.T.astype(L) @ slope / 200 - alpha * (1 - l1_ratio) * w
        wrong = np.where(w != 0, pull - alpha * l1_ratio * np.sign(w),
                         np.sign(pull) * np.maximum(np.abs(pull) - alpha * l1_ratio, 0))
        assert np.max(np.abs(wrong)) < 2e-5 and abs(slope.mean()) < 1e-12
        value = np.mean(-((1 - p) ** 2) * np.log(p)) + alpha * (
            l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * w @ w)
        assert value < path.null_deviance / 2
    assert not certify(-X, y, path, alpha=path.alphas).ok.any()


@pytest.mark.parametrize(("change", "message"), [
    ({"gradient": lambda y, eta: eta - y + 0.01}, "gradient must be the derivative of value"),
    ({"gradient": lambda y, eta: y - eta}, "gradient must be the derivative of value"),
    ({"curvature": lambda y, eta: 1.5}, "curvature must be the derivative of gradient"),
    ({"value": lambda y, eta: math.log(eta - y), "gradient": lambda y, eta: 1 / (eta - y)}, "value must be finite"),
    ({"value": lambda y, eta: math.cos(eta), "gradient": lambda y, eta: -math.sin(eta),
      "curvature": lambda y, eta: -math.cos(eta)}, "curvature must not be negative"),
    ({"conjugate": lambda y, u: 0.5 * u * u}, "conjugate must be value's"),
    ({"conjugate": lambda y, u: u * y + 0.4 * u * u}, "conjugate must be value's"),
    ({"conjugate": lambda y, u: u * y + 0.5 * u * u - (1.0 if 0.006 < abs(u) < 0.0069 else 0.0)}, "not be negative"),
    ({"domain": (1, 0)}, "domain must be"), ({"domain": "any"}, "domain must be"),
    ({"convex": False, "conjugate": lambda y, u: u}, "conjugate must be None"),
])
def test_what_does_not_go_together(change, message):
    square = {"value": lambda y, eta: 0.5 * (y - eta) ** 2, "gradient": lambda y, eta: eta - y,
              "curvature": lambda y, eta: 1.0}
    custom(**square, conjugate=lambda y, u: u * y + 0.5 * u * u)
    with pytest.raises(ValueError, match=message):
        custom(**square | change)


def test_what_is_no_function():
    square = {"value": lambda y, eta: 0.5 * (y - eta) ** 2, "gradient": lambda y, eta: eta - y,
              "curvature": lambda y, eta: 1.0}
    for name in ("value", "gradient", "curvature", "conjugate"):
        with pytest.raises(TypeError, match=f"{name} must be a function"):
            custom(**square | {name: 3})
    with pytest.raises(TypeError, match="convex must be a bool"):
        custom(**square, convex="no")
    with pytest.raises(TypeError, match="cannot be compiled by Numba"):
        custom(**square | {"value": lambda y, eta: {y: eta}["a"]})
    with pytest.raises(TypeError, match="must have the methods"):
        from_skglm(3)


def test_functions_that_call_themselves():
    def value(y, eta):
        return value(y, eta)

    with pytest.raises(TypeError, match="cannot be compiled by Numba"):
        custom(value, lambda y, eta: eta - y, lambda y, eta: 1.0)


def test_functions_that_raise():
    """Their rows are no numbers, and nobody is told behind one's back."""
    def value(y, eta):
        if eta > 20:
            raise ValueError("too far")
        return 0.5 * (y - eta) ** 2

    with pytest.raises(ValueError, match="value must be finite for every eta"):
        custom(value, lambda y, eta: eta - y, lambda y, eta: 1.0)


@pytest.mark.parametrize(("domain", "good", "bad", "message"), [
    (None, [-1e300, 2], np.inf, "finite"), ("positive", [1e-300], 0.0, "positive and finite"),
    ("nonnegative", [0.0], -1e-9, "finite and not negative"), ((0, 1), [0.0, 1.0], 1.01, "between 0.0 and 1.0"),
    ((-np.inf, 3), [-5.0, 3], 4, "between -inf and 3.0"), ((2, np.inf), [2.0], 1, "between 2.0 and inf")])
def test_domains(domain, good, bad, message):
    loss = custom(lambda y, eta: 0.5 * (y - eta) ** 2, lambda y, eta: eta - y, lambda y, eta: 1.0, domain=domain)
    loss.check_y(np.array(good))
    with pytest.raises(ValueError, match=f"y must be {message}"):
        loss.check_y(np.array([*good, bad]))
    with pytest.raises(ValueError, match=f"y must be {message}"):
        GeneralizedLinearRegressor(loss).fit(np.ones((2, 1)), np.array([good[0], bad])) if np.isfinite(
            bad) else loss.check_y(np.array([bad]))


def test_pickles():
    for with_conjugate in (False, True):
        loss = own("logistic", with_conjugate)
        again = pickle.loads(pickle.dumps(loss))
        y, eta = np.array([1.0, -1, 1]), np.array([0.3, 0.2, -4])
        np.testing.assert_array_equal(again.evaluate(y, eta), loss.evaluate(y, eta))
        assert again.domain == loss.domain and again.labels and again.functions == loss.functions
        path = pickle.loads(pickle.dumps(regularization_path(eta[:, None], y, datafit=loss, alphas=3)))
        np.testing.assert_array_equal(path.predict(eta[:, None])[:, 0], y[:1].repeat(3))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(custom(lambda y, eta: 0.5 * (y - eta) ** 2, lambda y, eta: eta - y, lambda y, eta: 1.0))


# ---- machine code ----------------------------------------------------------------------------------------------------
SCRIPT = """
import sys
from fastreg.datafits import custom
import own_losses
own_losses.TAU = float(sys.argv[1])
loss = custom(own_losses.pinball, own_losses.pinball_slope, own_losses.pinball_curvature)
print("numba" in sys.modules, loss.evaluate([0.0], [-3.0])[1][0])
"""


def run(directory, tau):
    env = os.environ | {"FASTREG_CACHE_DIR": str(directory), "PYTHONPATH": os.pathsep.join(
        [str(TESTS), str(Path(fastreg.__file__).parents[1])])}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tau)], env=env, capture_output=True, text=True, check=True)
    compiled, slope = done.stdout.split()
    return compiled == "True", round(float(slope), 12)


def test_code_is_kept(tmp_path):
    """Compiled once for each value of what functions refer to; what has been damaged is made anew."""
    assert run(tmp_path / "new", 0.8) == (True, -0.8)
    assert run(tmp_path / "new", 0.8) == (False, -0.8)
    assert run(tmp_path / "new", 0.6) == (True, -0.6)
    (kept, other) = (tmp_path / "new").iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    other.write_bytes(b"")
    assert run(tmp_path / "new", 0.8) == (True, -0.8)
    assert run(tmp_path / "new", 0.8) == (False, -0.8)
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file", 0.8) == (True, -0.8)                   # no place to keep anything


def told(function):
    return machine._told(function)


def test_what_a_key_stands_for():
    """Byte code, constants, defaults, closures, globals and what functions call; not where they stand."""
    def of(a):
        return lambda y, eta: a * eta

    assert told(of(1.0)) == told(of(1.0)) != told(of(2.0))
    assert told(lambda y, eta: y + 1.0) != told(lambda y, eta: y + 2.0)
    assert told(lambda y, eta: y + 1) != told(lambda y, eta: y - 1)
    assert told(lambda y, eta, a=1: y) != told(lambda y, eta, a=2: y)
    assert told(lambda y, eta: math.exp(y)) != told(lambda y, eta: math.log(y))
    assert told(of(of(1.0))) != told(of(of(2.0)))
    assert told(of(np.array([1.0]))) != told(of(np.array([2.0])))
    assert told(of((1, 2.0))) != told(of((1, 3.0)))
    pair = namedtuple("pair", "a b")
    assert told(of(pair(1, 2))) != told(of((1, 2)))
    with pytest.raises(machine.Unkeyed):
        told(of([1.0]))


def test_functions_without_a_file(tmp_path, monkeypatch):
    """Kept in memory alone; other constants are other functions."""
    monkeypatch.setenv("FASTREG_CACHE_DIR", str(tmp_path / "none"))
    for scale in (1.0, 3.0):
        names = {}
        exec(f"f = lambda y, eta: {scale} * (y - eta) ** 2\ng = lambda y, eta: {2 * scale} * (eta - y)\n"
             f"h = lambda y, eta: {2 * scale}", names)
        loss = custom(names["f"], names["g"], names["h"])
        assert loss.evaluate([0.0], [1.0])[0] == scale
    assert not (tmp_path / "none").exists()


def test_functions_of_numba_and_numpy():
    import numba

    @numba.njit
    def half(x):
        return 0.5 * x

    def value(y, eta):
        return half(np.exp(eta)) - y * half(eta) + np.sqrt(4.0) - 2

    loss = custom(numba.njit(value), lambda y, eta: half(np.exp(eta) - y), lambda y, eta: half(np.exp(eta)),
                  domain="nonnegative")
    y, eta = np.array([0.0, 2, 3]), np.array([1.0, -2, 0.1])
    np.testing.assert_allclose(loss.evaluate(y, eta), 0.5 * np.array(by_name("poisson").evaluate(y, eta)), rtol=1e-14)


# ---- skglm -----------------------------------------------------------------------------------------------------------
class SkglmHuber:
    """As skglm writes its own."""

    def __init__(self, delta):
        self.delta = delta

    def params_to_dict(self):
        return {"delta": self.delta}

    def value(self, y, w, Xw):
        total = 0.0
        for i in range(len(y)):
            r = abs(y[i] - Xw[i])
            total += 0.5 * r**2 if r < self.delta else self.delta * r - 0.5 * self.delta**2
        return total / len(y)

    def raw_grad(self, y, Xw):
        return np.clip(Xw - y, -self.delta, self.delta) / len(y)

    def raw_hessian(self, y, Xw):
        return np.where(np.abs(Xw - y) < self.delta, 1.0, 0.0) / len(y)


class SkglmLogistic:
    """One without parameters."""

    def value(self, y, w, Xw):
        return np.log(1 + np.exp(-y * Xw)).sum() / len(y)

    def raw_grad(self, y, Xw):
        return -y / (1 + np.exp(y * Xw)) / len(y)

    def raw_hessian(self, y, Xw):
        exp_minus_yXw = np.exp(-y * Xw)
        return exp_minus_yXw / (1 + exp_minus_yXw) ** 2 / len(y)


@pytest.mark.parametrize(("datafit", "name", "domain"), [
    (SkglmHuber(1.5), "huber(1.5)", None), (SkglmLogistic(), "logistic", "labels")])
def test_datafits_of_skglm(datafit, name, domain):
    loss, (X, y, _) = from_skglm(datafit, domain), data(name)
    eta = X @ np.ones(X.shape[1])
    for found, wanted in zip(loss.evaluate(y, eta), by_name(name).evaluate(y, eta)):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    path = regularization_path(X, y, datafit=loss, alphas=5, tol=1e-8)
    for k, alpha in enumerate(path.alphas):
        assert Judge(name, X, y, alpha).gap(np.asarray(path.coefs)[:, k], path.intercepts[k]) < 1.1e-8
    again = pickle.loads(pickle.dumps(loss))
    np.testing.assert_array_equal(again.evaluate(y, eta), loss.evaluate(y, eta))
    assert LOSSES[name].value(y[0], eta[0]) == pytest.approx(loss.functions[0](y[0], eta[0]), rel=1e-9)


def cauchy(y, eta):
    return 0.5 * math.log(1 + (eta - y) ** 2)


def cauchy_slope(y, eta):
    return (eta - y) / (1 + (eta - y) ** 2)


def cauchy_curvature(y, eta):
    square = (eta - y) ** 2
    return (1 - square) / (1 + square) ** 2


def test_the_least_value_of_a_loss_that_is_not_convex():
    """Nothing at eta = y: between the points of any grid, and as far away as y is."""
    loss, y = custom(cauchy, cauchy_slope, cauchy_curvature, convex=False), np.array([0.37, -12.345, 3e3, -7e5, 0.0])
    np.testing.assert_allclose(loss.saturated(y), 0, atol=1e-12)
    assert loss.deviance(y, y + 1) == pytest.approx(5 * math.log(2), rel=1e-9)
    X = np.linspace(-1, 1, 40)[:, None]
    target = 2.5 * X[:, 0] + np.sin(np.arange(40))
    model = GeneralizedLinearRegressor(loss, alpha=1e-3, tol=1e-10).fit(X, target)
    mean = np.log1p((target - model.predict(X)) ** 2).mean()
    assert model.deviance_ == pytest.approx(mean, rel=1e-8)
    assert certify(X, target, model).objective == pytest.approx(mean / 2 + 5e-4 * model.coef_[0] ** 2, rel=1e-8)
