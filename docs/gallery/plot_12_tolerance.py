r"""
What a tolerance buys
=====================

``tol`` means the same in scikit-learn and here: the duality gap at which a fit ends. What it costs differs. Below, both
solve one lasso of columns that depend on each other, at tolerances from loose to tight, and ``certify`` says for both
which gap they have reached.
"""
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Lasso as Theirs

from fastreg import Lasso, certify

rng = np.random.default_rng(19)
n, p = 200, 600
X = np.cumsum(rng.standard_normal((n, p)), axis=1) / np.sqrt(p)          # neighbours are nearly alike
y = X @ np.where(np.arange(p) % 60 == 30, 1.0, 0.0) + 0.3 * rng.standard_normal(n)
alpha = 3e-3 * np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / n
exact = Lasso(alpha, tol=1e-15).fit(X, y).coef_


def measure(model):
    """Seconds, gap relative to the variance of y, and relative distance of the coefficients from the exact ones."""
    seconds = []
    for _ in range(3):
        start = perf_counter()
        model.fit(X, y)
        seconds.append(perf_counter() - start)
    distance = np.linalg.norm(model.coef_ - exact) / np.linalg.norm(exact)
    return min(seconds), *np.maximum([certify(X, y, model).gap / y.var(), distance], 1e-17)


tols = 10.0 ** -np.arange(2, 9)
ours = np.array([measure(Lasso(alpha, tol=tol)) for tol in tols])
theirs = np.array([measure(Theirs(alpha, tol=tol, max_iter=200_000)) for tol in tols])

print("            fastreg                           scikit-learn")
print("    tol     seconds      gap   coefficients   seconds      gap   coefficients")
for tol, *found in zip(tols, ours, theirs):
    print(f"{tol:7.0e}", *(f"{seconds:11.4f} {gap:8.1e} {distance:11.1e}  " for seconds, gap, distance in found))

# %%
# The gap of each is within its tolerance. Coefficients are another matter: where neighbours are nearly alike, a small
# gap leaves them open. The small problems are solved exactly, so that ours are at rounding already at the loosest
# tolerance; coordinate descent takes many sweeps for every digit.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for values, color, name in ((ours, "C2", "fastreg"), (theirs, "C0", "scikit-learn")):
    left.loglog(values[:, 1], values[:, 0], "o-", color=color, label=name)
    right.loglog(values[:, 1], values[:, 2], "o-", color=color, label=name)
for ax in (left, right):
    ax.invert_xaxis()
    ax.set_xlabel("gap that was reached, over the variance of y")
    ax.legend(frameon=False)
left.set(ylabel="seconds, of this build", title="what it costs")
right.set(ylabel="distance of the coefficients, relative", title="what it buys")
plt.show()
