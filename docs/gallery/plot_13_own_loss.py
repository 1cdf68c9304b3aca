r"""
A loss of your own: quantiles, and classes that are rare
========================================================

Three functions of one row make a loss. The pinball loss, smooth near its kink, gives quantiles in place of the mean;
the focal loss, which is not convex, looks away from rows that are easy.
"""
import math

import matplotlib.pyplot as plt
import numpy as np

from fastreg import certify, regularization_path
from fastreg.datafits import custom

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 10, 600))
y = np.sin(x) + 0.3 * x + (0.1 + 0.12 * x) * rng.standard_normal(600)


# %%
# Half of a pinball loss is a line on either side; within ``width`` of zero it is a parabola, so that there is a slope
# everywhere.
def pinball(tau, width=0.05):
    def value(y, eta):
        r = y - eta
        if r > width:
            return tau * (r - width / 2)
        if r < -width:
            return (tau - 1) * (r + width / 2)
        return (tau if r > 0 else 1 - tau) * r * r / (2 * width)

    def gradient(y, eta):
        r = y - eta
        return -(tau if r > 0 else 1 - tau) * min(max(r, -width), width) / width

    def curvature(y, eta):
        r = y - eta
        return (tau if r > 0 else 1 - tau) / width if abs(r) < width else 0.0

    return custom(value, gradient, curvature)


# %%
# The features are waves and a line, more than are needed; an L1 penalty chooses among them. Every fit has its duality
# gap, although nobody has given a conjugate.
X = np.column_stack([x, *(f(k * x) for k in (0.25, 0.5, 1, 1.5, 2) for f in (np.sin, np.cos))])
figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
ax.plot(x, y, ".", color="0.7", markersize=3)
for tau in (0.1, 0.5, 0.9):
    path = regularization_path(X, y, datafit=pinball(tau), alphas=[0.01], tol=1e-6)
    fitted = path.predict(X)[:, 0]
    ax.plot(x, fitted, label=f"{tau:.0%}")
    print(f"quantile {tau:.1f}: {np.mean(y < fitted):.3f} of the rows below, gap {path.dual_gaps[0]:.1e}, "
          f"certified: {certify(X, y, path).ok}")
ax.set(xlabel="x", ylabel="y")
ax.legend(title="quantile")
plt.show()


# %%
# The focal loss ``-(1 - p)^2 log(p)``, p being the probability of the label, is not convex: there is no duality gap,
# and the solution is a stationary point, which its certificate says.
def chance(z):
    return max(1 / (1 + math.exp(-z)), 1e-300)


def value(y, eta):
    p = chance(y * eta)
    return -((1 - p) ** 2) * math.log(p)


def gradient(y, eta):
    p = chance(y * eta)
    return y * (1 - p) ** 2 * (2 * p * math.log(p) + p - 1)


def curvature(y, eta):
    p = chance(y * eta)
    q = 1 - p
    return p * q**2 * (-2 * (2 * p * math.log(p) + p - 1) + q * (2 * math.log(p) + 3))


focal = custom(value, gradient, curvature, domain="labels", convex=False)
Z = rng.standard_normal((2000, 20))
rare = rng.random(2000) < 1 / (1 + np.exp(4 - Z[:, 0] - Z[:, 1]))
path = regularization_path(Z, rare, datafit=focal, alphas=30, tol=1e-8)
print(f"{rare.mean():.1%} of the labels are rare; {path.df[-1]} of 20 coefficients at the end of the path; "
      f"gaps {path.dual_gaps[-1]}, stationary within {path.stationarities.max():.1e}")
