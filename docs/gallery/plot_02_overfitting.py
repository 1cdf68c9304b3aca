r"""
Overfitting, bias and variance
==============================

A polynomial of degree 12 can follow 18 noisy points closely, and says little about the next point. A penalty trades
variance, how much the fit would change with other data, for bias, how far it is from the truth on average.
"""
import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from fastreg import ridge_path

rng = np.random.default_rng(1)
n, degree, noise, repetitions = 18, 12, 0.35, 300
x = np.linspace(-1, 1, n)
grid = np.linspace(-0.98, 0.98, 200)
truth = np.sin(np.pi * grid)

powers = PolynomialFeatures(degree, include_bias=False).fit(x[:, None])
scaler = StandardScaler().fit(powers.transform(x[:, None]))
X, Z = (scaler.transform(powers.transform(values[:, None])) for values in (x, grid))

# %%
# 300 samples of y at the same x are 300 targets of one call: one decomposition serves all of them, at every alpha.
alphas = np.geomspace(1e3, 1e-9, 80)
Y = np.sin(np.pi * x)[:, None] + noise * rng.standard_normal((n, repetitions))
path = ridge_path(X, Y, alphas)
fits = path.predict(Z)                                    # (point, repetition, alpha)

bias = ((fits.mean(axis=1) - truth[:, None]) ** 2).mean(axis=0)
variance = fits.var(axis=1).mean(axis=0)
fresh = bias + variance + noise**2
training = ((path.predict(X) - Y[..., None]) ** 2).mean(axis=(0, 1))
best = int(np.argmin(fresh))
print(f"least error on new data {fresh[best]:.3f} at alpha {path.alphas[best]:.2g}, "
      f"{path.df[0, best]:.1f} degrees of freedom")
print(f"at the smallest alpha {fresh[-1]:.3f}, at the largest {fresh[0]:.3f}; the noise alone is {noise**2:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for k, color, name in ((-1, "C3", "alpha too small"), (best, "C2", "best alpha"), (5, "C0", "alpha too large")):
    axes[0].plot(grid, fits[:, :1, k], color=color, label=name)
axes[0].plot(grid, truth, "k--", linewidth=1, label="truth")
axes[0].plot(x, Y[:, 0], "o", color="0.6", markersize=4)
axes[0].set(ylim=(-1.8, 1.8), xlabel="x", ylabel="y", title="one sample, three penalties")
axes[0].legend(frameon=False)
for values, style, name in ((bias, "C0", "squared bias"), (variance, "C3", "variance"),
                            (fresh, "k", "error on new data"), (training, "k:", "error on the training data")):
    axes[1].loglog(path.alphas, values, style, label=name)
axes[1].axvline(path.alphas[best], color="C2", linewidth=1)
axes[1].invert_xaxis()
axes[1].set(xlabel="alpha", ylabel="mean squared error", title="bias falls, variance rises", ylim=(1e-5, 3))
axes[1].legend(loc="lower left")
plt.show()
