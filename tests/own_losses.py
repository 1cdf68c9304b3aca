"""Losses as a user writes them, of which some are built in as well: functions of y and eta, of a row."""

import math

TAU, WIDTH = 0.8, 0.2
FOCUS = 2.0


def logistic(y, eta):
    z = y * eta
    return math.log1p(math.exp(-abs(z))) + max(-z, 0.0)


def logistic_slope(y, eta):
    return -y / (1 + math.exp(y * eta))


def logistic_curvature(y, eta):
    e = math.exp(-abs(eta))
    return e / (1 + e) ** 2


def logistic_conjugate(y, u):
    t = -y * u
    if t < 0 or t > 1:
        return math.inf
    return (t * math.log(t) if t > 0 else 0.0) + ((1 - t) * math.log1p(-t) if t < 1 else 0.0)


def steep(y, eta):
    """The logistic loss as it is found in books: no number beyond 709."""
    return math.log(1 + math.exp(eta)) - 0.5 * (y + 1) * eta


def steep_slope(y, eta):
    return math.exp(eta) / (1 + math.exp(eta)) - 0.5 * (y + 1)


def steep_curvature(y, eta):
    return math.exp(eta) / (1 + math.exp(eta)) ** 2


def poisson(y, eta):
    return math.exp(eta) - y * eta


def poisson_slope(y, eta):
    return math.exp(eta) - y


def poisson_curvature(y, eta):
    return math.exp(eta)


def huber(y, eta):
    r = abs(eta - y)
    return 0.5 * r * r if r <= 1.5 else 1.5 * (r - 0.75)


def huber_slope(y, eta):
    return min(max(eta - y, -1.5), 1.5)


def huber_curvature(y, eta):
    return 1.0 if abs(eta - y) <= 1.5 else 0.0


def gamma(y, eta):
    return y * math.exp(-eta) + eta


def gamma_slope(y, eta):
    return 1 - y * math.exp(-eta)


def gamma_curvature(y, eta):
    return y * math.exp(-eta)


def pinball(y, eta):
    """A quantile, smooth within WIDTH."""
    r = y - eta
    if r > WIDTH:
        return TAU * (r - 0.5 * WIDTH)
    if r < -WIDTH:
        return (TAU - 1) * (r + 0.5 * WIDTH)
    return 0.5 * (TAU if r > 0 else 1 - TAU) * r * r / WIDTH


def pinball_slope(y, eta):
    r = y - eta
    return -(TAU if r > 0 else 1 - TAU) * min(max(r, -WIDTH), WIDTH) / WIDTH


def pinball_curvature(y, eta):
    r = y - eta
    return (TAU if r > 0 else 1 - TAU) / WIDTH if abs(r) < WIDTH else 0.0


def chance(z):
    return max(1 / (1 + math.exp(-z)), 1e-300)


def focal(y, eta):
    p = chance(y * eta)
    return -((1 - p) ** FOCUS) * math.log(p)


def focal_slope(y, eta):
    p = chance(y * eta)
    return y * (1 - p) ** FOCUS * (FOCUS * p * math.log(p) + p - 1)


def focal_curvature(y, eta):
    p = chance(y * eta)
    q = 1 - p
    bracket = FOCUS * p * math.log(p) + p - 1
    return p * q**FOCUS * (-FOCUS * bracket + q * (FOCUS * math.log(p) + FOCUS + 1))


# name of the loss that is built in: functions, conjugate or None, domain
BUILT_IN = {
    "logistic": ((logistic, logistic_slope, logistic_curvature), logistic_conjugate, "labels"),
    "poisson": ((poisson, poisson_slope, poisson_curvature), None, "nonnegative"),
    "gamma": ((gamma, gamma_slope, gamma_curvature), None, "positive"),
    "huber(1.5)": ((huber, huber_slope, huber_curvature), None, None),
}
