"""Random small problems of losses that are not convex: ``python -m tests.fuzz_stationary 1000 [FIRST [LOSS [WHAT]]]``.

Designs, weights, limits and all else are those of `fuzz_glm`; a judge in long double says how far the quadratic model
of the objective could still fall, whether the objective is above that of the null fit, or of the alpha before. What is
said of a problem: 'fine', 'warned' (the fit said that it did not get there), 'refused' (in words) or 'wrong'. WHAT is
'path', or 'fit' for estimators, single fits and their choice by folds: a row of weight 2 is that row twice, and one of
weight 0 is absent.
"""
import math
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastreg import GeneralizedLinearRegressor, GeneralizedLinearRegressorCV, regularization_path
from fastreg.datafits import by_name, custom

if __name__ == "__main__":               # tests are no package
    sys.path.insert(0, str(Path(__file__).parent))

import own_losses
from fuzz_glm import STORES, TOL, problem

LD = np.longdouble
# Of the norm of X'diag(h) times eta, what slopes are known to.
BLUR = 4e-15
# Model curvatures are not below this times their mean.
LEAST = LD(0.01)
# Of the null deviance, what coefficients in float32 may leave.
SINGLE = 1e-6
# Of tol, what the judge may find of a fit that is within it: seen up to 1.24, by a bound that is not the engine's.
WITHIN = 1.5


class Power:
    """Tweedie's loss with the logarithm as link."""

    def __init__(self, power):
        self.name, self.power = f"tweedie({power})", LD(power)
        self.like = "gamma" if power > 2 else "tweedie(1.5)"

    def datafit(self):
        return by_name(self.name)

    def rows(self, y, eta):
        """(Values, slopes, curvatures of the model.)"""
        a, b = 2 - self.power, self.power - 1
        up, down = np.exp(a * eta), y * np.exp(-b * eta)
        return down / b + up / a, up - down, np.maximum(up, a * up + b * down)


class Focal:
    """The focal loss of two classes."""

    name, like = "focal", "logistic"

    def datafit(self):
        return custom(own_losses.focal, own_losses.focal_slope, own_losses.focal_curvature, None, "labels",
                      convex=False)

    def rows(self, y, eta):
        p, q = 1 / (1 + np.exp(-y * eta)), 1 / (1 + np.exp(y * eta))
        log_p = -np.logaddexp(LD(0), -y * eta)
        bracket = 2 * p * log_p - q
        return -q**2 * log_p, y * q**2 * bracket, np.abs(p * q**2 * (-2 * bracket + q * (2 * log_p + 3)))


def cauchy(y, eta):
    return 0.5 * math.log1p((eta - y) ** 2)


def cauchy_slope(y, eta):
    return (eta - y) / (1 + (eta - y) ** 2)


def cauchy_curvature(y, eta):
    square = (eta - y) ** 2
    return (1 - square) / (1 + square) ** 2


class Cauchy:
    """That of Cauchy's distribution, whose slope comes back to zero."""

    name, like = "cauchy", "huber(1.5)"

    def datafit(self):
        return custom(cauchy, cauchy_slope, cauchy_curvature, convex=False)

    def rows(self, y, eta):
        r, square = eta - y, (eta - y) ** 2
        return np.log1p(square) / 2, r / (1 + square), np.abs(1 - square) / (1 + square) ** 2


LOSSES = {loss.name: loss for loss in (*map(Power, (3.0, 2.5, 4.5, 0.0)), Focal(), Cauchy())}


class Judge:
    """One problem in long double; penalties are those of the averaged objective."""

    def __init__(self, loss, X, y, alpha, given):
        self.loss, self.X, self.y = loss, X.astype(LD), y.astype(LD)
        n = len(y)
        weights, offset = given["sample_weight"], given["offset"]
        self.s = np.ones(n, dtype=LD) if weights is None else weights.astype(LD)
        self.offset = np.zeros(n, dtype=LD) if offset is None else offset.astype(LD)
        self.on, self.total, self.weights = self.s > 0, self.s.sum(), weights
        self.fit_intercept = given["fit_intercept"]
        self.Z = self.X - (self.s @ self.X / self.total if given["fit_intercept"] else 0)
        factor = given["penalty_factor"].astype(LD)
        spread, size = (np.linalg.norm(part[self.on].astype(float), axis=0) for part in (self.Z, X))
        self.live = np.isfinite(factor) & (spread > 1e-9 * size)
        factor = np.where(np.isfinite(factor), factor, 0)
        self.l1 = self.total * alpha * given["l1_ratio"] * factor
        self.l2 = self.total * alpha * (1 - given["l1_ratio"]) * factor
        self.lower, self.upper = given["lower_limits"].astype(LD), given["upper_limits"].astype(LD)

    def rows(self, w, b):
        """(eta, and what the loss says of it), of the rows that weigh."""
        eta = (self.X @ w.astype(LD) + LD(b) + self.offset)[self.on]
        return eta, *self.loss.rows(self.y[self.on], eta)

    def least(self):
        """The least values of the rows that weigh."""
        y = self.y[self.on]
        if not isinstance(self.loss, Power):
            return self.loss.rows(y, y)[0]
        return np.where(y > 0, self.loss.rows(y, np.log(np.where(y > 0, y, 1)))[0], 0)

    def primal(self, w, b):
        """The summed objective."""
        return float(self.s[self.on] @ self.rows(w, b)[1] + self.l1 @ np.abs(w) + self.l2 @ w.astype(LD) ** 2 / 2)

    def left(self, w, b, digits=BLUR):
        """(How far the model of the objective could fall; the largest slope of a free column, over the norm of the
        column and that of all slopes.)"""
        _, _, slope, curvature = self.rows(w, b)
        w, s, Z = w.astype(LD), self.s[self.on], self.Z[self.on]
        curvature = np.maximum(curvature, LEAST * (s @ curvature) / self.total)
        size = np.abs(self.X[self.on]) @ np.abs(w) + abs(LD(b)) + np.abs(self.offset[self.on])
        u = -Z.T @ (s * slope)
        asked = self.l2 * w + np.where(w == 0, np.clip(u, -self.l1, self.l1), self.l1 * np.sign(w))
        blur = digits * len(w) * np.abs(Z).T @ (s * curvature * size)
        u = asked + np.sign(u - asked) * np.maximum(np.abs(u - asked) - blur, 0)
        end = np.where(u > 0, self.upper, -self.lower)
        free = self.live & (self.l1 + self.l2 == 0) & np.isinf(end)
        bound = self.live & (self.l1 > 0) & np.isinf(end) & (u != 0)
        shares = np.divide(self.l1, np.abs(u), out=np.ones_like(u), where=bound)
        must = np.min(shares[bound & (self.l2 == 0)], initial=LD(1))
        columns = self.live & ~free
        rows = s @ (slope**2 / (2 * curvature))
        least = min(self._at(c, w, u, end, columns) + float((1 - c) ** 2 * rows)
                    for c in (np.min(shares, initial=LD(1)), *(must * (1 - np.geomspace(1e-12, 1, 60))), must, LD(0)))
        norms = np.sqrt(s @ Z**2) * np.sqrt(s @ slope**2)
        return float(least), float(np.max((np.abs(u) / np.where(norms > 0, norms, 1))[free], initial=0))

    def _at(self, c, w, u, end, columns):
        """What the columns leave at c times the slopes u."""
        excess = np.maximum(c * np.abs(u) - self.l1 * (1 + 1e-15), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.where(excess > 0, np.minimum(end, np.where(self.l2 > 0, excess / self.l2, np.inf)), 0)
            left = self.l1 * np.abs(w) + self.l2 * w**2 / 2 - c * u * w + np.where(
                at > 0, excess * at - self.l2 * at**2 / 2, 0)
        return float(left[columns].sum())


def attempt(solve, *args, **options):
    """(What solve returns or None, whether it warned that it did not get there, what it was refused for)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = solve(*args, **options)
        except ValueError as error:
            said = str(error)
            known = any(words in said for words in ("no best fit", "intercept", "nothing can be chosen"))
            return None, False, "refused" if known else f"wrong: {said}"
    return found, any(issubclass(one.category, ConvergenceWarning) for one in caught), ""


def verdict(seed, name):
    """(What is said of a path, why)."""
    loss = LOSSES[name]
    _, X, y, store, given = problem(seed, loss.like)
    path, warned, refused = attempt(regularization_path, STORES[store](X), y, datafit=loss.datafit(), tol=TOL, **given)
    if refused:
        return refused, ""
    intercept = loss.datafit().null_fit(y, given["sample_weight"], given["offset"], given["fit_intercept"])[0]
    null, said = (np.zeros(X.shape[1]), intercept), ""
    before = null
    for k, alpha in enumerate(path.alphas):
        judge = Judge(loss, X, y, alpha, given)
        w, b, unit = path.coefs.toarray()[:, k], path.intercepts[k], path.null_deviance / 2 * float(judge.total)
        if not judge.primal(w, b) <= judge.primal(*null) + 1e-9 * unit:
            said = f"above the null fit at alpha={alpha:.3g}"
        if not judge.primal(w, b) <= judge.primal(*before) + 1e-7 * unit:
            said = f"above the fit before at alpha={alpha:.3g}"
        before = w, b
        left, slope = judge.left(w, b)
        claimed = path.stationarities[k] * float(judge.total)
        if not warned and not (left <= 1.05 * max(TOL * unit, claimed) + 1e-13 * unit and slope < 1e-3):
            said = f"{left / unit / TOL:.3g} times tol is left at alpha={alpha:.3g}, free slopes {slope:.2g}"
    return "wrong" if said else "warned" if warned else "fine", said


def off(judge, w, b, single=False):
    """What is wrong with a fit, nothing where it is stationary and not above the null fit."""
    given = judge.weights, None if not judge.offset.any() else judge.offset.astype(float), judge.fit_intercept
    intercept, _, deviance = judge.loss.datafit().null_fit(judge.y.astype(float), *given)
    unit = deviance / 2
    room = (SINGLE if single else TOL) * unit
    if not judge.primal(w, b) <= judge.primal(np.zeros(len(w)), intercept) + 1e-9 * unit + room:
        return "above the null fit"
    left, slope = judge.left(w, b, np.finfo(np.float32).eps if single else BLUR)
    if left <= WITHIN * room + 1e-13 * unit and slope < (1e-2 if single else 1e-3):
        return ""
    return f"{left / unit / TOL:.3g} times tol is left, free slopes {slope:.2g}"


def verdict_of_fits(seed, name):
    """(What is said of a single fit and of a choice by folds, why)."""
    loss, rng = LOSSES[name], np.random.default_rng([seed, 1])
    _, X, y, store, given = problem(seed, loss.like)
    alphas, weights, offset = given.pop("alphas"), given.pop("sample_weight"), given.pop("offset")
    counts = rng.integers(0, 3, len(y)) if weights is None and rng.random() < 0.5 else None
    weights, single = weights if counts is None else counts.astype(float), bool(rng.random() < 0.25)
    X = X.astype(np.float32).astype(float) if single else X
    stored = STORES[store](X.astype(np.float32) if single else X)
    options = {"datafit": loss.datafit(), "tol": TOL, "max_iter": 1000, **given}
    whole, alpha = {"sample_weight": weights, "offset": offset, **given}, float(rng.choice(alphas))
    judge = Judge(loss, X, y, alpha, whole)
    model, warned, refused = attempt(GeneralizedLinearRegressor(alpha=alpha, **options).fit, stored, y, weights, offset)
    if refused:
        return refused, ""
    said = "" if warned else off(judge, model.coef_, model.intercept_, single)
    if counts is not None and not said:
        rows = np.repeat(np.arange(len(y)), counts)
        again, warns, refused = attempt(GeneralizedLinearRegressor(alpha=alpha, **options).fit, stored[rows], y[rows],
                                        None, None if offset is None else offset[rows])
        if refused:
            return "wrong: rows are refused that are fitted as weights", refused
        said = "" if warns else off(judge, again.coef_, again.intercept_, single)
        said = said and f"rows in place of weights: {said}"
    folds = [(np.flatnonzero(np.arange(len(y)) % 3 != k), np.flatnonzero(np.arange(len(y)) % 3 == k)) for k in range(3)]
    chosen, warns, refused = attempt(
        GeneralizedLinearRegressorCV(alphas=alphas[:3], cv=folds, keep_paths=True, **options).fit, stored, y,
        sample_weight=weights, offset=offset)
    warned |= warns
    if not (said or refused or warns):
        said = off(Judge(loss, X, y, chosen.alpha_, whole), chosen.coef_, chosen.intercept_, single)
        said = (said and f"chosen by folds: {said}") or _of_folds(loss, X, y, folds, chosen, whole)
    return f"wrong: {said}" if said else refused or ("warned" if warned else "fine"), said


def _of_folds(loss, X, y, folds, chosen, given):
    """What is wrong with the paths of the folds, and with their scores."""
    for f, ((train, test), path) in enumerate(zip(folds, chosen.fold_paths_[0])):
        parts = [{name: values if values is None or name not in ("sample_weight", "offset") else values[rows]
                  for name, values in given.items()} for rows in (train, test)]
        for k, alpha in enumerate(path.alphas):
            w, b = path.coefs.toarray()[:, k], path.intercepts[k]
            said = off(Judge(loss, X[train], y[train], alpha, parts[0]), w, b)
            judge = Judge(loss, X[test], y[test], 0.0, parts[1])
            deviance = 2 * float(judge.s[judge.on] @ (judge.rows(w, b)[1] - judge.least())) / float(judge.total)
            score = chosen.cv_path_.fold_scores[0, k, f]
            if not said and not abs(score - deviance) <= 1e-6 * abs(deviance) + 1e-9:
                said = f"scored {score:.9g} in place of {deviance:.9g}"
            if said:
                return f"fold {f} at alpha={alpha:.3g}: {said}"
    return ""


def main(count, first=0, name=None, what="path"):
    """Counts of what is said of so many problems of a loss, or of all; those that are wrong are printed."""
    said, judged = Counter(), {"path": verdict, "fit": verdict_of_fits}[what]
    for seed in range(first, first + count):
        for one in LOSSES if name is None else [name]:
            if what == "fit" and one == "focal":         # of labels, which estimators of numbers refuse
                continue
            outcome, why = judged(seed, one)
            said[outcome.partition(":")[0]] += 1
            if outcome.startswith("wrong"):
                print(f"{one}, seed {seed}: {outcome}, {why}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in said.most_common()))
    return said


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]), *sys.argv[3:])["wrong"]))
