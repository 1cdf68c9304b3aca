r"""
Stopping early on a validation set
==================================

Where a set of rows is kept aside, a path can be judged on it as it goes, and end when it improves no more:
``patience`` counts the penalties without improvement, as neural networks count epochs.
"""
import matplotlib.pyplot as plt
import numpy as np

from fastreg import regularization_path

rng = np.random.default_rng(7)
n, p = 400, 300
X = rng.standard_normal((2 * n, p))
truth = np.where(np.arange(p) < 10, rng.standard_normal(p), 0)
y = (rng.random(2 * n) < 1 / (1 + np.exp(-X @ truth))).astype(int)
train, val = slice(0, n), slice(n, None)

# %%
# The whole path, and the one that ends after ten penalties without improvement. The penalties are the same, and so
# are the solutions.
given = {"datafit": "logistic", "alphas": 100, "eps": 1e-3, "X_val": X[val], "y_val": y[val]}
whole = regularization_path(X[train], y[train], **given)
ended = regularization_path(X[train], y[train], **given, patience=10)
for name, path in (("whole path", whole), ("patience 10", ended)):
    print(f"{name}: {len(path.alphas)} penalties, {path.n_iters.sum()} rounds, best alpha {path.alphas[path.best]:.4f}")

# %%
# Deviances are twice the negative mean log likelihood. On the training rows it falls to the end; on the others it
# rises once the model follows the noise.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.semilogx(whole.alphas, whole.deviances, "0.6", label="training rows")
left.semilogx(whole.alphas, whole.validation_deviances, "C0:", label="validation rows, whole path")
left.semilogx(ended.alphas, ended.validation_deviances, "C0", linewidth=2, label="as far as it was solved")
left.plot(ended.alphas[ended.best], ended.validation_deviances[ended.best], "C3o",
          label=f"best, {ended.df[ended.best]} non-zero")
left.invert_xaxis()
left.set(xlabel="alpha", ylabel="mean deviance", title="logistic lasso")
left.legend(frameon=False)
right.bar(["whole path", "patience 10"], [whole.n_iters.sum(), ended.n_iters.sum()], color=["0.6", "C0"])
right.set(ylabel="rounds of working set and certificate", title="what it took")
plt.show()
