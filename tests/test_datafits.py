"""Losses, alone: values, derivatives, curvatures and conjugates against mpmath, and the fits without features."""

import pickle

import mpmath
import numpy as np
import pytest

from fastreg.datafits import BY_NAME, by_name, tweedie

EPS = np.finfo(float).eps
ETAS = np.concatenate([np.linspace(-40, 40, 301), [0.0, -0.0, 745, -745, 709, -709, 800, -800, 1e-300, -1e-9,
                       0.88, -0.89],
                       np.random.default_rng(0).standard_normal(200) * 10.0 ** np.arange(-5, 5).repeat(20)])


POWERS = {f"tweedie({power})": power for power in (1.05, 1.5, 1.9)}


def exact(name, y, eta):
    """(f, f', f'') of numbers of mpmath."""
    if name == "quadratic":
        return (y - eta) ** 2 / 2, eta - y, mpmath.mpf(1)
    if name == "poisson":
        return mpmath.exp(eta) - y * eta, mpmath.exp(eta) - y, mpmath.exp(eta)
    if name == "gamma":
        ratio = y * mpmath.exp(-eta)
        return ratio + eta, 1 - ratio, ratio
    if name.startswith("tweedie"):
        a, b = 2 - mpmath.mpf(POWERS[name]), mpmath.mpf(POWERS[name]) - 1
        up, down = mpmath.exp(a * eta), y * mpmath.exp(-b * eta)
        return up / a + down / b, up - down, a * up + b * down
    if name == "squared_hinge":
        short = max(1 - y * eta, mpmath.mpf(0))
        return short**2 / 2, -y * short, mpmath.mpf(short > 0)
    if name == "huber(1.5)":
        r = eta - y
        inner = min(max(r, mpmath.mpf(-1.5)), mpmath.mpf(1.5))
        return inner * (r - inner / 2), inner, mpmath.mpf(inner == r)
    odds = mpmath.exp(-y * eta)
    return mpmath.log1p(odds), -y * odds / (1 + odds), odds / (1 + odds) ** 2


def targets(name, n, rng):
    if name in POWERS:
        return rng.gamma(2.0, 1.0, n) * (rng.random(n) < 0.6)
    return {"quadratic": rng.standard_normal(n), "poisson": rng.poisson(2.0, n) * 1.0,
            "logistic": rng.choice([-1.0, 1.0], n), "gamma": rng.gamma(1.0, 2.0, n),
            "squared_hinge": rng.choice([-1.0, 1.0], n), "huber(1.5)": 3 * rng.standard_normal(n)}[name]


ALONE = [name for name, datafit in BY_NAME.items() if not datafit.coupled]      # for the others: test_multinomial
ALONE += [*POWERS, "huber(1.5)"]
BENT = [name for name in ALONE if name not in ("quadratic", "squared_hinge", "huber(1.5)")]      # everywhere


@pytest.mark.parametrize("name", ALONE)
def test_values_and_derivatives(name, rng):
    eta = ETAS if name in ("logistic", "quadratic", "squared_hinge", "huber(1.5)") else ETAS[np.abs(ETAS) < 590]
    y = targets(name, len(eta), rng)
    with mpmath.workdps(400):
        pairs = zip(y.tolist(), eta.tolist(), strict=True)
        right = np.array([exact(name, mpmath.mpf(a), mpmath.mpf(b)) for a, b in pairs])
        for found, wanted, of in zip(by_name(name).evaluate(y, eta), right.T, ("f", "g", "h"), strict=True):
            size = np.abs(wanted)
            if name == "poisson" and of != "h":                    # a sum: relative to what is added up
                size = np.exp(eta) + np.abs(y * (eta if of == "f" else 1))
            if name == "gamma" and of != "h":
                size = y * np.exp(-eta) + np.maximum(np.abs(eta), 1)
            if name in ("squared_hinge", "huber(1.5)") and of != "h":
                size = (1 + np.abs(eta) + np.abs(y)) ** (2 if of == "f" else 1)
            if name in POWERS:                     # exponents are rounded, too
                size = right.T[0] * (1 + np.abs(eta))
            size = np.maximum(size.astype(float), np.finfo(float).tiny)
            error = np.array([float(abs(mpmath.mpf(a) - b)) for a, b in zip(found.tolist(), wanted, strict=True)])
            assert np.max(error / size) < 4 * EPS, of


def test_what_is_no_number():
    for name in ("logistic", "poisson"):
        for values in by_name(name).evaluate(np.ones(3), np.array([np.nan, 1, np.nan])):
            np.testing.assert_array_equal(np.isnan(values), [True, False, True])
    f, g, h = by_name("logistic").evaluate(np.array([1.0, 1.0]), np.array([np.inf, -np.inf]))
    np.testing.assert_array_equal([f, g, h], [[0, np.inf], [0, -1], [0, 0]])
    f, g, h = by_name("poisson").evaluate(np.full(2, 3.0), np.array([800.0, -800.0]))
    assert np.isfinite([*f, *g, *h]).all() and f[0] > 1e250 and h[1] == 0


@pytest.mark.parametrize("name", ALONE)
def test_a_row_has_the_same_bits_wherever_it_stands(name, rng):
    eta = ETAS.copy()
    y = targets(name, len(eta), rng)
    together = by_name(name).evaluate(y, eta)
    for first in (1, 2, 3, 5, 250, 255, 257):
        for found, right in zip(by_name(name).evaluate(y[first:], eta[first:]), together, strict=True):
            np.testing.assert_array_equal(found, right[first:])
    for i in range(0, len(eta), 7):
        for found, right in zip(by_name(name).evaluate(y[i:i + 1], eta[i:i + 1]), together, strict=True):
            np.testing.assert_array_equal(found[0], right[i])


@pytest.mark.parametrize("name", ALONE)
def test_conjugates(name, rng):
    """Fenchel and Young: f + f* >= u eta, with equality at u = f'."""
    datafit, eta = by_name(name), rng.standard_normal(500) * 3
    y = targets(name, 500, rng)
    f, g, _ = datafit.evaluate(y, eta)
    np.testing.assert_allclose(datafit.conjugate(y, g), g * eta - f, rtol=1e-12, atol=1e-12)
    for c in (0.0, 0.3, 0.9, 0.999):
        left = f + datafit.conjugate(y, c * g) - c * g * eta
        assert np.min(left) > -1e-12
    outside = {"squared_hinge": [(1.0, 0.1), (-1.0, -0.1)], "huber(1.5)": [(0.0, 1.6), (0.0, -1.6)],
               "poisson": [(1.0, -1.5), (0.0, -1e-9)], "gamma": [(1.0, 1.1)], "tweedie(1.5)": [(0.0, -1e-9)],
               "logistic": [(1.0, 0.1), (1.0, -1.1), (-1.0, -0.1)]}
    for a, u in outside.get(name, []):
        assert datafit.conjugate(np.array([a]), np.array([u]))[0] == np.inf
    edges = {"poisson": [(2.0, -2.0, 0.0)], "logistic": [(1.0, -1.0, 0.0), (1.0, 0.0, 0.0)], "gamma": [(2.0, 1.0, 0.0)],
             "tweedie(1.5)": [(0.0, 0.0, 0.0), (4.0, 0.0, -8.0)]}
    for a, u, value in edges.get(name, []):
        assert datafit.conjugate(np.array([a]), np.array([u]))[0] == value


@pytest.mark.parametrize("name", BENT)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_offset", [False, True])
def test_fits_without_features(name, weighted, with_offset, rng):
    datafit, n = by_name(name), 400
    y = targets(name, n, rng)
    weight = rng.uniform(0, 2, n) * (rng.random(n) < 0.7) if weighted else None
    offset = 20 * rng.standard_normal(n) if with_offset else None
    shift = np.zeros(n) if offset is None else offset
    b, eta, deviance = datafit.null_fit(y, weight, offset)
    np.testing.assert_allclose(eta, b + shift, rtol=0, atol=1e-12 * (1 + abs(b)) + 1e-14 * np.abs(shift).max())
    s = np.ones(n) if weight is None else weight

    def slope(b):
        return mpmath.fsum(mpmath.mpf(w) * exact(name, mpmath.mpf(a), b + mpmath.mpf(o))[1]
                           for w, a, o in zip(s.tolist(), y.tolist(), shift.tolist(), strict=True) if w > 0)

    with mpmath.workdps(40):
        width = mpmath.mpf(1e-11) * (1 + abs(b))
        assert slope(b - width) < 0 < slope(b + width)
    f, _, _ = datafit.evaluate(y, b + shift)
    assert deviance == pytest.approx(2 * np.sum(s * (f - datafit.saturated(y))), rel=1e-9)
    # what rows without weight hold counts for nothing
    if weighted:
        other = np.where(weight > 0, y, 1.0)
        assert datafit.null_fit(other, weight, offset)[0] == pytest.approx(b, rel=1e-13)
    zero = datafit.null_fit(y, weight, offset, fit_intercept=False)
    assert zero[0] == 0
    np.testing.assert_array_equal(zero[1], shift)


@pytest.mark.parametrize(("name", "y", "message"), [
    ("logistic", np.ones(5), "all rows that have a weight are of one class"),
    ("poisson", np.zeros(5), "must not be zero"), ("tweedie(1.5)", np.zeros(5), "must not be zero")])
def test_an_infinite_intercept_is_refused(name, y, message):
    for weight, offset in ((None, None), (np.ones(5), np.ones(5))):
        with pytest.raises(ValueError, match=message):
            by_name(name).null_fit(y, weight, offset)
    mixed = y.copy()
    mixed[0] = -1.0 if name == "logistic" else 2.0
    with pytest.raises(ValueError, match=message):
        by_name(name).null_fit(mixed, np.array([0.0, 1, 1, 1, 1]))


def dual_value(name, y, u):
    """The conjugate of losses where it has no closed form: at the root of the slope, which rises."""
    lo, hi = mpmath.mpf(-3000), mpmath.mpf(3000)
    if y == 0:
        return u * (mpmath.log(u) - 1) / (2 - mpmath.mpf(POWERS[name])) if u else mpmath.mpf(0)
    for _ in range(400):
        middle = (lo + hi) / 2
        lo, hi = (lo, middle) if exact(name, y, middle)[1] > u else (middle, hi)
    return u * lo - exact(name, y, lo)[0]


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("c", [0.0, 0.5, 0.99, 1 - 1e-6, 1 - 1e-12])
def test_remainders_do_not_cancel(name, c):
    """f + f*(c f') - c f' eta of single rows, to 1e-11 of itself, where each of its terms is far larger."""
    ends = (0.0, 1.0, 1e6) if name in POWERS else {
        "quadratic": (-1.0, 1e9), "logistic": (-1.0, 1.0), "poisson": (1.0, 3.0, 1e9), "gamma": (1e-3, 1.0, 1e6),
        "squared_hinge": (-1.0, 1.0), "huber(1.5)": (-1.0, 1e9)}[name]
    etas = [-30.0, -3.0, 0.1, 2.0, 20.7, 30.0] + ([-800.0, 800.0, 590.0] if name == "logistic" else [])
    with mpmath.workdps(120 if name in POWERS else 900):
        for y in ends:
            for eta in etas:
                f, g, _ = exact(name, mpmath.mpf(y), mpmath.mpf(eta))
                u = mpmath.mpf(c) * g
                if name == "quadratic":
                    dual = u * (y + u / 2)
                elif name == "poisson":
                    dual = (y + u) * mpmath.log(y + u) - (y + u)
                elif name == "gamma":
                    dual = (1 - u) * mpmath.log((1 - u) / y) - (1 - u)
                elif name == "squared_hinge":
                    dual = u * u / 2 + y * u
                elif name == "huber(1.5)":
                    dual = u * (y + u / 2)
                elif name in POWERS:
                    dual = dual_value(name, mpmath.mpf(y), u)
                else:
                    t = -y * u
                    dual = (t * mpmath.log(t) if t else 0) + (1 - t) * mpmath.log(1 - t)
                wanted = f + dual - u * eta
                found = by_name(name).remainder(np.array([y]), np.array([eta]), c)
                assert abs(found - wanted) <= 1e-11 * wanted + mpmath.mpf(5e-300), (y, eta)
                weights = np.array([2.0, 0.0])
                rows = by_name(name).remainder(np.array([y, np.nan]), np.array([eta, np.nan]), c, weights)
                assert rows == pytest.approx(2 * found, rel=1e-14)


@pytest.mark.parametrize("name", ALONE)
def test_rows_without_weight_may_hold_no_number(name, rng):
    y, weight = targets(name, 50, rng), np.ones(50)
    y[0], weight[0] = np.nan, 0
    for offset in (None, rng.standard_normal(50)):
        b, _, deviance = by_name(name).null_fit(y, weight, offset)
        right = by_name(name).null_fit(y[1:], None, None if offset is None else offset[1:])
        np.testing.assert_allclose([b, deviance], [right[0], right[2]], rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_counts_are_finite_and_not_negative(bad):
    with pytest.raises(ValueError, match="y must"):
        by_name("poisson").check_y(np.array([1.0, bad]))


def test_names():
    with pytest.raises(ValueError, match=r"'quadratic', 'logistic', 'poisson', 'gamma', 'multinomial', .*got 'cox'"):
        by_name("cox")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_amounts_are_finite_and_not_negative(bad):
    for name in ("gamma", "tweedie(1.5)"):
        with pytest.raises(ValueError, match="y must"):
            by_name(name).check_y(np.array([1.0, bad]))
    with pytest.raises(ValueError, match="must be positive, got 0"):
        by_name("gamma").check_y(np.array([1.0, 0.0]))


def test_losses_by_their_names():
    assert tweedie(1) is by_name("poisson") and tweedie(2.0) is by_name("gamma")
    loss = by_name("tweedie(1.25)")
    assert loss.power == 1.25 and by_name(loss) is loss and pickle.loads(pickle.dumps(loss)).name == loss.name
    for bad in ("tweedie", "tweedie(inf)", "tweedie(0.5)", "tweedie(x)", 1.5, None):
        with pytest.raises(ValueError, match=r"(datafit|power) must be"):
            by_name(bad)


def test_a_conjugate_without_closed_form_is_never_too_small(rng):
    """Over its whole domain, against bisection in 60 digits."""
    for name in POWERS:
        y = np.append([0.0, 1e-8, 1e8], rng.gamma(1, 1, 5))
        for size in (1e-12, 1e-3, 1.0, 1e6):
            for u in (size, -size):
                found = by_name(name).conjugate(y, np.full(len(y), u))
                with mpmath.workdps(60):
                    for a, value in zip(y, found, strict=True):
                        if a == 0 and u < 0:
                            assert value == np.inf
                            continue
                        right = dual_value(name, mpmath.mpf(a), mpmath.mpf(u))
                        assert abs(value - right) <= 1e-13 * max(abs(right), abs(u)) * 50, (name, a, u)


@pytest.mark.parametrize("name", ["squared_hinge", "huber(1.5)"])
@pytest.mark.parametrize("weighted", [False, True])
def test_fits_without_features_where_curvature_ends(name, weighted, rng):
    """The slope is zero to rounding: also of residuals that are all far, whose best intercepts are many."""
    for scale in (1e-9, 1.0, 1e9):
        y = targets(name, 300, rng) * (1 if name == "squared_hinge" else scale)
        weight = rng.uniform(0, 2, 300) * (rng.random(300) < 0.7) if weighted else np.ones(300)
        offset = 20 * rng.standard_normal(300)
        _, eta, deviance = by_name(name).null_fit(y, weight, offset)
        slope = by_name(name).evaluate(y, eta)[1]
        assert abs(weight @ slope) <= 1e-9 * (weight @ np.abs(slope)) + 1e-13 * weight.sum()
        assert deviance > 0
    b, eta, _ = by_name("huber(1.5)").null_fit(np.array([0.0, 0, 1e9, 1e9]))
    assert 1.5 <= b <= 1e9 - 1.5


def test_no_number_and_no_delta():
    for name in ("squared_hinge", "huber(1.5)"):
        for values in by_name(name).evaluate(np.ones(3), np.array([np.nan, 0, np.nan])):
            np.testing.assert_array_equal(np.isnan(values), [True, False, True])
        with pytest.raises(NotImplementedError, match="choose by folds"):
            by_name(name).log_measure(np.ones(3))
    for bad in ("huber(0)", "huber(-1)", "huber(1e999)"):
        with pytest.raises(ValueError, match="delta must be"):
            by_name(bad)
    assert pickle.loads(pickle.dumps(by_name("huber(2)"))).delta == 2
