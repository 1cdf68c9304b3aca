r"""
Feature scaling, with and without ``standardize``
=================================================

A penalty compares coefficients, so it matters in which units the columns are. ``standardize=True`` penalises every
coefficient times the standard deviation of its column: what comes back are coefficients of the data as they are,
and no copy of the data is made.
"""
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from fastreg import Lasso, regularization_path

X, y = load_diabetes(return_X_y=True, scaled=False)
names = load_diabetes().feature_names
print("standard deviations:", dict(zip(names, X.std(axis=0).round(2).tolist())))

# %%
# Scaling first and scaling back gives the same coefficients; it costs a copy of X and a step that a new row must go
# through, too.
by_hand = StandardScaler().fit(X)
scaled = Lasso(alpha=1.0, tol=1e-10).fit(by_hand.transform(X), y)
model = Lasso(alpha=1.0, tol=1e-10, standardize=True).fit(X, y)
print("largest difference:", f"{np.abs(scaled.coef_ / by_hand.scale_ - model.coef_).max():.1e}")

# %%
# Change the unit of one column, centimetres to metres as it were, and only the standardised fit does not care.
other = X.copy()
other[:, names.index("bmi")] /= 100
for standardize in (False, True):
    first, second = (Lasso(alpha=1.0, standardize=standardize).fit(data, y) for data in (X, other))
    change = np.abs(first.predict(X) - second.predict(other)).max()
    print(f"standardize={standardize!s:5}: predictions change by up to {change:.2g}")

# %%
# Left: columns with large deviations enter first, whatever they are worth. Right: coefficients times standard
# deviations, all in the units of y.
figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for ax, standardize in zip(axes, (False, True)):
    path = regularization_path(X, y, standardize=standardize, eps=1e-3)
    for j, name in enumerate(names):
        ax.plot(path.alphas, np.asarray(path.coefs)[j] * X[:, j].std(), color=f"C{j}", label=name)
    ax.set(xscale="log", xlabel="alpha", ylabel="coefficient × standard deviation", title=f"standardize={standardize}")
    ax.invert_xaxis()
axes[0].legend(frameon=False, ncols=2, fontsize="small", loc="lower left")
plt.show()
