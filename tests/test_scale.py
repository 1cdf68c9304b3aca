"""y of any size: 1e-200 and 1e160 are numbers like any others, and the answers scale with them, to the last bit."""

import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp

from fastreg import (
    ElasticNet,
    ElasticNetCV,
    GeneralizedLinearRegressor,
    GeneralizedLinearRegressorCV,
    HuberRegressor,
    Lasso,
    LassoCV,
    Ridge,
    RidgeClassifierCV,
    RidgeCV,
    certify,
    enet_path,
    lasso_path,
    regularization_path,
    ridge_path,
)

X6 = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1], [4, 5], [5, 2]])
Y6 = np.array([0.0, 1, 2, 4, 4, 6])
EXPONENTS = [532, -664, 1000, -1000]  # about 1e160, 1e-200, 1e301, 1e-301
FITS = {
    "lasso": lambda X, y, c: Lasso(0.1 * c).fit(X, y),
    "limits": lambda X, y, c: Lasso(0.05 * c, lower_limits=-0.05 * c, upper_limits=0.3 * c).fit(X, y),
    "free": lambda X, y, c: Lasso(0.1 * c, penalty_factor=np.r_[0, 0, np.ones(6)], standardize=True).fit(X, y),
    "weighted": lambda X, y, c: Lasso(0.1 * c).fit(X, y, np.linspace(0, 2, len(y))),
    "warm": lambda X, y, c: Lasso(0.1 * c, warm_start=True).fit(X, y).set_params(alpha=0.05 * c).fit(X, y),
    "gram": lambda X, y, c: Lasso(0.1 * c, precompute=True).fit(X, y),
    "cv": lambda X, y, c: LassoCV(alphas=10, keep_paths=True).fit(X, y),
    "1se": lambda X, y, c: LassoCV(alphas=10, selection_rule="1se").fit(X, y),
    "relax": lambda X, y, c: LassoCV(alphas=10, relax=True).fit(X, y),
    "stops": lambda X, y, c: LassoCV(alphas=30, n_alphas_no_change=3).fit(X, y),
    "bic": lambda X, y, c: LassoCV(alphas=10, criterion="bic", keep_paths=True).fit(X, y),
}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    return X, X[:, 0] - 0.5 * X[:, 1] + rng.standard_normal(60) + 3


@pytest.mark.parametrize("convert", [np.asarray, sp.csc_array])
@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("fit", FITS)
def test_answers_scale(data, fit, exponent, convert):
    X, y = convert(data[0]), data[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no gap is missed and nothing overflows on the way
        found, plain = FITS[fit](X, np.ldexp(y, exponent), np.ldexp(1.0, exponent)), FITS[fit](X, y, 1.0)
    assert plain.coef_.any()
    assert found.n_iter_ == plain.n_iter_
    grid = hasattr(plain, "alpha_")  # a geometric grid depends on its ends by rounding
    np.testing.assert_allclose(np.ldexp(found.coef_, -exponent), plain.coef_, rtol=1e-11 if grid else 0)
    np.testing.assert_allclose(np.ldexp(found.intercept_, -exponent), plain.intercept_, rtol=1e-11 if grid else 0)
    if grid:
        np.testing.assert_allclose(np.ldexp(found.alpha_, -exponent), plain.alpha_, rtol=1e-12)
    else:
        with np.errstate(over="ignore", under="ignore"):
            assert found.dual_gap_ == np.ldexp(plain.dual_gap_, 2 * exponent)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_paths_scale(data, exponent):
    X, y = data
    c = np.ldexp(1.0, exponent)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*of its grid")
        found, plain = (regularization_path(X, y * s, alphas=[0.5 * s, 0.1 * s]) for s in (c, 1.0))
        found_cv, plain_cv = (LassoCV(alphas=[0.5 * s, 0.1 * s]).fit(X, y * s).cv_path_ for s in (c, 1.0))
        two, one = (lasso_path(X, y * s, alphas=[0.5 * s, 0.1 * s], Xy=X.T @ (y * s))[1] for s in (c, 1.0))
    np.testing.assert_array_equal(found.coefs.toarray() / c, plain.coefs.toarray())
    np.testing.assert_array_equal(found.intercepts / c, plain.intercepts)
    np.testing.assert_array_equal(two / c, one)
    assert found_cv.best == plain_cv.best and found_cv.best_1se == plain_cv.best_1se
    with np.errstate(over="ignore", under="ignore"):
        for name in ("fold_scores", "values", "standard_error"):
            np.testing.assert_array_equal(getattr(found_cv, name), np.ldexp(getattr(plain_cv, name), 2 * exponent))


@pytest.mark.parametrize("criterion", ["aic", "bic", "ebic"])
@pytest.mark.parametrize("exponent", [200, -200])
def test_a_criterion_is_in_the_units_of_the_user(data, criterion, exponent):
    X, y = data
    c = np.ldexp(1.0, exponent)
    for noise in (None, 1.3):
        found, plain = (LassoCV(alphas=np.array([0.5, 0.1]) * s, criterion=criterion,
                                noise_variance=None if noise is None else noise * s * s).fit(X, y * s).criterion_
                        for s in (c, 1.0))  # fmt: skip
        np.testing.assert_allclose(found - plain, 2 * len(y) * np.log(c), rtol=1e-12)


@pytest.mark.parametrize("size", [1e160, 1e-200, 1.0])
def test_against_exact_arithmetic(size):
    alpha, y = size / 10, Y6 * size
    # both coefficients are free of zero, the second negative: Xc'Xc w = Xc'y - n alpha (1, -1)
    x = [[Fraction(v) for v in row] for row in X6.tolist()]
    mean, centre = [sum(column) / 6 for column in zip(*x)], sum(map(Fraction, y.tolist())) / 6
    x = [[v - m for v, m in zip(row, mean)] for row in x]
    a, b, d = (sum(row[i] * row[j] for row in x) for i, j in ((0, 0), (0, 1), (1, 1)))
    p, q = (sum(row[j] * (Fraction(v) - centre) for row, v in zip(x, y.tolist())) - 6 * sign * Fraction(alpha)
            for j, sign in ((0, 1), (1, -1)))  # fmt: skip
    right = [float((d * p - b * q) / (a * d - b * b)), float((a * q - b * p) / (a * d - b * b))]
    model = Lasso(alpha, tol=1e-12).fit(X6, y)
    np.testing.assert_allclose(model.coef_, right, rtol=1e-13)


def test_targets_of_different_sizes(data):
    X, y = data
    sizes = np.array([1e-170, 1e165, 1.0, 0.0, 1e-165])
    Y = (y - y.mean())[:, None] * sizes
    found = ElasticNet(0.0).fit(X, Y)
    right = np.linalg.lstsq(X - X.mean(axis=0), y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(found.coef_, np.outer(sizes, right), rtol=1e-12)
    _, coefs, _ = enet_path(X, Y, l1_ratio=0.5, alphas=[0.0], coef_init=found.coef_)
    no_intercept = np.linalg.lstsq(X, y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(coefs[..., 0], np.outer(sizes, no_intercept), rtol=1e-12)
    chosen = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=5, tol=1e-8).fit(X, Y[:, :3])
    for t in range(3):
        alone = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=5, tol=1e-8).fit(X, Y[:, t])
        np.testing.assert_allclose(chosen.coef_[t], alone.coef_, rtol=1e-12)


def near_duplicates(noise):
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(80, 4))
    copy = Z[:, 0].astype(np.float32) if noise is None else Z[:, 0] + noise * rng.normal(size=80)
    return np.c_[Z, copy], 2 * Z[:, 0] + Z[:, 1] + Z[:, 2] + 0.3 * rng.normal(size=80)


@pytest.mark.parametrize("noise", [1e-6, 1e-7, None])
@pytest.mark.parametrize("fit", [
    lambda X, y: Lasso(1e-8).fit(X, y), lambda X, y: regularization_path(X, y, alphas=[1e-8, 1e-9]),
    lambda X, y: lasso_path(X, y, alphas=[1e-8, 1e-9]), lambda X, y: LassoCV(alphas=[1e-8, 1e-9]).fit(X, y),
    lambda X, y: LassoCV(alphas=[1e-8, 1e-9], criterion="bic").fit(X, y)])  # fmt: skip
def test_a_warning_says_what_ended_the_fit(fit, noise):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", ".*of its grid")
        fit(*near_duplicates(noise))
    for warning in caught:
        message = str(warning.message)
        assert "ended by rounding" in message and "max_iter" not in message and "tol=0.0001" in message


def test_max_iter_is_named_where_it_ended_the_fit():
    rng = np.random.default_rng(0)
    X = np.cumsum(rng.standard_normal((60, 200)), axis=1)
    with pytest.warns(UserWarning, match="1 of 1 solutions .* ended by max_iter=1 rounds.*increase max_iter"):
        Lasso(1e-3, tol=1e-10, max_iter=1).fit(X, X[:, ::20].sum(axis=1) + rng.standard_normal(60))


EXTREMES = {
    "lasso": lambda X, y, c, w: Lasso(0.1 * c, tol=1e-10).fit(X, y, w),
    "least squares": lambda X, y, c, w: Lasso(0.0, tol=1e-12).fit(X, y, w),
    "cv": lambda X, y, c, w: LassoCV(alphas=10, tol=1e-10).fit(X, y, w),
    "bic": lambda X, y, c, w: LassoCV(alphas=10, tol=1e-10, criterion="bic").fit(X, y, w),
    "path": lambda X, y, c, w: regularization_path(X, y, alphas=5, tol=1e-10, sample_weight=w),
    "lasso_path": lambda X, y, c, w: lasso_path(X, y, alphas=5, tol=1e-10, sample_weight=w),
    "ridge": lambda X, y, c, w: Ridge(0.0).fit(X, y, w),
}


def answer(found):
    coef = found[1] if isinstance(found, tuple) else getattr(found, "coef_", getattr(found, "coefs", None))
    return coef.toarray() if sp.issparse(coef) else coef


@pytest.mark.filterwarnings("ignore:overflow", "ignore:.*duality gap")            # of bounds, which are infinite then
@pytest.mark.parametrize("of_x", [-466, -332, 0, 64, 466])
@pytest.mark.parametrize("of_y", [-1036, -996, 0, 996])
@pytest.mark.parametrize("fit", EXTREMES)
def test_of_extreme_sizes_the_answer_is_right_or_an_error(data, fit, of_y, of_x):
    """y down to where digits are lost and X as large and small as its squares allow: scaled answers, or words."""
    X, y = data
    alpha = np.ldexp(1.0, of_y + of_x) if -1060 < of_y + of_x < 1023 else 0.0
    right = answer(EXTREMES[fit](X, y, 1.0 if alpha else 0.0, None))
    try:
        found = answer(EXTREMES[fit](np.ldexp(X, of_x), np.ldexp(y, of_y), alpha, None))
    except ValueError as error:
        assert re.search("coefficients (under|over)flow|alphas of the path (under|over)flow", str(error))
        assert not -900 < of_y - of_x < 900 or not -900 < of_y + of_x < 900        # not before it must
        return
    found = np.ldexp(np.ldexp(found, of_x), -of_y)
    np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6 * np.abs(right).max())


@pytest.mark.parametrize("exponent", [-1060, -1030, -960, 960, 1020])
@pytest.mark.parametrize("fit", EXTREMES)
def test_extreme_weights(data, fit, exponent):
    X, y = data
    weight = np.linspace(1, 2, len(y)).round(2)
    found = answer(EXTREMES[fit](X, y, 1.0, np.ldexp(weight, exponent)))
    right = EXTREMES[fit](X, y, 1.0, np.ldexp(np.ldexp(weight, exponent), -exponent))  # less the digits that it lost
    np.testing.assert_allclose(found, answer(right), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fit", [
    lambda X, y, a, w: ridge_path(X, y, [a], sample_weight=w), lambda X, y, a, w: RidgeCV([a]).fit(X, y, w),
    lambda X, y, a, w: RidgeCV([a], cv=3).fit(X, y, w), lambda X, y, a, w: RidgeClassifierCV([a]).fit(X, y > 0, w)])
@pytest.mark.parametrize("exponent", [-1040, 1020])
def test_weights_whose_sum_or_its_inverse_is_no_number(data, fit, exponent):
    X, y = data
    weight = np.ldexp(np.linspace(1, 2, len(y)), exponent)
    with np.errstate(over="ignore"):
        assert not np.isfinite(np.sum(weight)) or not np.isfinite(1 / np.sum(weight))
    right = fit(X, y, 1.0, np.ldexp(weight, -exponent))                # less the digits that it lost
    np.testing.assert_allclose(answer(fit(X, y, np.ldexp(1.0, exponent), weight)), answer(right), rtol=1e-12)


# ---- losses of a mean exp(eta): of y times c and eta plus log(c), c^(2 - power) times as large -----------------------
POWERS = {"poisson": 1.0, "tweedie(1.5)": 1.5, "tweedie(1.99)": 1.99, "gamma": 2.0, "inverse_gaussian": 3.0}


def units(name):
    return [(name, exponent) for exponent in (-996, -500, -70, 70, 500, 996)
            if exponent > -400 or name in ("poisson", "tweedie(1.5)") or (exponent > -800 and POWERS[name] <= 2)]


@pytest.fixture
def amounts():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 6))
    return X, rng.gamma(2, np.exp(0.5 * X[:, 0] - 0.3 * X[:, 1] + 0.2)), rng.integers(0, 3, 80).astype(float)


def violation(name, X, y, weight, model, alpha, l1_ratio):
    """Of a condition of the averaged objective, the largest, in long double, where nothing overflows."""
    power, w = np.longdouble(POWERS[name]), model.coef_.astype(np.longdouble)
    eta = X @ w + np.longdouble(model.intercept_)
    slope = weight * (np.exp((2 - power) * eta) - y * np.exp((1 - power) * eta)) / weight.sum()
    pull = -X.T @ slope - np.longdouble(alpha) * (1 - l1_ratio) * w
    most = np.longdouble(alpha) * l1_ratio
    off = np.where(w == 0, np.maximum(np.abs(pull) - most, 0), np.abs(pull - most * np.sign(w)))
    return np.append(off, abs(slope.sum())).max()


@pytest.mark.parametrize(("name", "exponent"), [unit for name in POWERS for unit in units(name)])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_losses_with_a_unit(amounts, name, exponent, l1_ratio):
    X, y, weight = amounts
    power, c = POWERS[name], np.ldexp(1.0, exponent)
    unit = np.exp2((2 - power) * exponent)
    options = {"l1_ratio": l1_ratio, "tol": 1e-10, "max_iter": 1000}
    plain = GeneralizedLinearRegressor(name, alpha=0.02, **options).fit(X, y, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = GeneralizedLinearRegressor(name, alpha=0.02 * unit, **options).fit(X, y * c, weight)
    np.testing.assert_allclose(found.coef_, plain.coef_, atol=1e-6)
    assert found.intercept_ - exponent * np.log(2) == pytest.approx(plain.intercept_, abs=1e-6)
    assert found.deviance_ / unit == pytest.approx(plain.deviance_, rel=1e-8)
    assert found.null_deviance_ / unit == pytest.approx(plain.null_deviance_, rel=1e-8)
    assert violation(name, X, y * c, weight, found, 0.02 * unit, l1_ratio) < 1e-4 * np.longdouble(unit)
    said, right = certify(X, y * c, found, sample_weight=weight), certify(X, y, plain, sample_weight=weight)
    assert said.ok and right.ok
    assert said.objective / unit == pytest.approx(right.objective, rel=1e-8) and said.stationarity < 1e-4
    found.coef_ = 0.99 * found.coef_
    assert not certify(X, y * c, found, sample_weight=weight).ok


def log_errors(model, X, y):
    return -np.abs(np.log(model.predict(X) / y)).mean()


@pytest.mark.filterwarnings("ignore:.*of its grid")
@pytest.mark.parametrize("exponent", [-500, 500])
@pytest.mark.parametrize("options", [{}, {"scoring": "neg_mean_absolute_error"}, {"relax": True},
                                     {"scoring": log_errors}], ids=["deviance", "error", "relax", "log"])
def test_choices_of_losses_with_a_unit(amounts, exponent, options):
    X, y, _ = amounts
    c, offset = np.ldexp(1.0, exponent), 0.1 * X[:, 2]
    found, plain = (GeneralizedLinearRegressorCV("poisson", l1_ratio=1.0, alphas=np.array([0.3, 0.1, 0.01]) * s, cv=3,
                                                 tol=1e-10, **options).fit(X, y * s, offset=offset) for s in (c, 1.0))
    assert found.alpha_ == c * plain.alpha_
    np.testing.assert_allclose(found.coef_, plain.coef_, atol=1e-5)
    scale = 1.0 if options.get("scoring") is log_errors else c
    np.testing.assert_allclose(found.cv_path_.values / scale, plain.cv_path_.values, rtol=1e-5)
    assert found.deviance_ / c == pytest.approx(plain.deviance_, rel=1e-6)


def test_a_loss_that_is_no_number_is_refused(amounts):
    X, y, _ = amounts
    with pytest.raises(ValueError, match=r"too large for the loss 'tweedie\(4.5\)'.*change its unit"):
        GeneralizedLinearRegressor("tweedie(4.5)").fit(X, y * 1e250)
    rows = np.r_[np.ones(79), 0]                         # what has no weight has no say
    GeneralizedLinearRegressor("tweedie(4.5)", tol=1e-8).fit(X, np.r_[y[:-1], 1e250], rows)


@pytest.mark.parametrize("exponent", [-996, -500, -70, 500])
@pytest.mark.parametrize("offset", [False, True])
def test_huber_s_loss_goes_with_its_delta(amounts, exponent, offset):
    X, y, weight = amounts
    c = np.ldexp(1.0, exponent)
    parts = [0.5 * s * X[:, 2] if offset else None for s in (c, 1.0)]
    found, plain = (regularization_path(
        X, y * s, datafit=f"huber({float(s)!r})", l1_ratio=1.0, alphas=np.array([0.1, 0.01]) * s, sample_weight=weight,
        offset=part, lower_limits=-0.1 * s, tol=1e-10) for s, part in zip((c, 1.0), parts))
    np.testing.assert_allclose(found.coefs.toarray() / c, plain.coefs.toarray(), rtol=1e-12)
    np.testing.assert_allclose(found.intercepts / c, plain.intercepts, rtol=1e-12)
    assert certify(X, y * c, found, sample_weight=weight, offset=parts[0]).ok
    ridge = regularization_path(X, y * c, datafit=f"huber({float(c)!r})", l1_ratio=0.0, alphas=[0.1], tol=1e-10)
    right = regularization_path(X, y, datafit="huber(1.0)", l1_ratio=0.0, alphas=[0.1], tol=1e-10)
    np.testing.assert_allclose(ridge.coefs.toarray() / c, right.coefs.toarray(), rtol=1e-12)


@pytest.mark.parametrize("exponent", [-996, -500, 500])
def test_huber_s_regression_is_certified_at_any_scale(amounts, exponent):
    X, y, weight = amounts
    c = np.ldexp(1.0, exponent)
    weak = HuberRegressor(alpha=0.01, tol=1e-8).fit(X, y * c, weight)      # the smaller y, the weaker the penalty
    assert certify(X, y * c, weak, sample_weight=weight).ok
    weak.intercept_ = 0.99 * weak.intercept_             # coefficients are nothing beside a y so large
    assert not certify(X, y * c, weak, sample_weight=weight).ok
