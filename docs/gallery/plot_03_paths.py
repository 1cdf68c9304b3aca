"""
Ridge, lasso and elastic net side by side
=========================================

The same data, three penalties: how the coefficients move as alpha falls.
"""
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from fastreg import regularization_path, ridge_path

X, y = load_diabetes(return_X_y=True)
X = X / X.std(axis=0)
n = len(y)

# %%
# ``ridge_path`` has scikit-learn's scale, on which the penalty stands beside the sum of squares: the alpha of the
# others, which stands beside half their mean, is ``n`` times smaller.
lasso = regularization_path(X, y, l1_ratio=1.0, eps=1e-3)
both = regularization_path(X, y, l1_ratio=0.5, eps=1e-3)
ridge = ridge_path(X, y, n * np.geomspace(1e3, 1e-2, 100))

figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharey=True, layout="constrained")
for ax, path, title in zip(axes, (ridge, both, lasso), ("ridge", "elastic net, l1_ratio 0.5", "lasso")):
    path.plot(ax, label=list(range(10)))                  # in this order: a column has one colour everywhere
    ax.set(title=title, ylabel="coefficient" if ax is axes[0] else None)
plt.show()

# %%
# Ridge shrinks every coefficient and drops none; the lasso drops some at every alpha; the elastic net lies between.
# Each solution has its certificate: a bound of how far its objective, or its coefficients, are from exact.
print("largest duality gap of the lasso path, relative to the variance of y:", (lasso.dual_gaps / y.var()).max())
print("largest bound of the error of ridge coefficients:", ridge.coef_bounds.max())
