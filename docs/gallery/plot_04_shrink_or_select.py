r"""
Shrinking against selecting
===========================

Ridge makes all coefficients smaller and none zero; the lasso makes some of them zero. Counting them, and looking at
which they are, shows the difference, and that the lasso takes one of several like columns where the elastic net
takes them all.
"""
import matplotlib.pyplot as plt
import numpy as np

from fastreg import ElasticNetCV, LassoCV, RidgeCV, regularization_path, ridge_path

rng = np.random.default_rng(3)
n, p, groups = 200, 60, 4
factors = rng.standard_normal((n, groups))
X = rng.standard_normal((n, p))
X[:, :12] = np.repeat(factors, 3, axis=1) + 0.1 * rng.standard_normal((n, 12))     # four groups of three like columns
truth = np.zeros(p)
truth[:12] = np.repeat([2.0, -1.5, 1.0, -0.7], 3)
y = X @ truth + 4 * rng.standard_normal(n)

# %%
# The strength of each penalty is the largest within one standard error of the best, by five folds.
models = {
    "ridge": RidgeCV(np.geomspace(1, 1e4, 60), cv=5, selection_rule="1se"),
    "elastic net, l1_ratio 0.3": ElasticNetCV(l1_ratio=0.3, cv=5, selection_rule="1se"),
    "lasso": LassoCV(cv=5, selection_rule="1se"),
}
shown = {name: model.fit(X, y).coef_ for name, model in models.items()}
print("penalty                     non-zero   of the 12 true ones")
for name, coef in shown.items():
    print(f"{name:27} {np.count_nonzero(coef):8} {np.count_nonzero(coef[:12]):11}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained", width_ratios=(2, 1))
for k, (name, coef) in enumerate(shown.items()):
    on = coef != 0
    columns = np.arange(p)
    axes[0].vlines(columns[on] + 0.25 * (k - 1), 0, coef[on], color=f"C{k}", linewidth=2.2,
                   label=f"{name}: {np.count_nonzero(on)} non-zero")
axes[0].plot(truth, "k_", markersize=9, label="truth")
axes[0].axhline(0, color="0.5", linewidth=0.5)
axes[0].set(xlabel="column (the first twelve are four groups of three)", ylabel="coefficient")
axes[0].legend(frameon=False)
paths = (ridge_path(X, y, np.geomspace(1e5, 1, 60)), regularization_path(X, y, l1_ratio=0.3),
         regularization_path(X, y))
for k, path in enumerate(paths):
    coefs = np.asarray(path.coefs)
    norms = np.linalg.norm(coefs, axis=0)
    axes[1].plot(norms / norms[-1], np.count_nonzero(coefs, axis=0), color=f"C{k}")
axes[1].set(xlabel="length of the coefficients, share of the last", ylabel="non-zero coefficients",
            title="along the path")
plt.show()
