r"""
The last layer of a network, solved exactly
===========================================

A network is trained, frozen, and gets a new linear layer: ``Dense(1, kernel_regularizer=L1(lam))`` with the mean
squared error as loss. That layer is a lasso. Here its objective, as the frameworks write it, is minimised by Adam,
as they would, and by fastreg; neither needs the framework.

.. math::
   \frac1n \sum_i (y_i - x_i^\top w - b)^2 + \lambda \lVert w \rVert_1
   \quad\text{is twice}\quad
   \frac1{2n} \sum_i (y_i - x_i^\top w - b)^2 + \frac{\lambda}{2} \lVert w \rVert_1 ,

so that ``Lasso(alpha=lam / 2)`` has the same minimiser. :doc:`../moving/from_frameworks` has the other penalties.
"""
import matplotlib.pyplot as plt
import numpy as np

from fastreg import Lasso

rng = np.random.default_rng(11)
n, inputs, width, lam = 500, 8, 64, 0.05
raw = rng.standard_normal((n, inputs))
hidden = np.maximum(raw @ rng.standard_normal((inputs, width)) / np.sqrt(inputs), 0)      # a frozen layer of ReLUs
y = np.sin(raw[:, 0]) + raw[:, 1] * raw[:, 2] + 0.1 * rng.standard_normal(n)


def objective(w, b):
    return np.mean((y - hidden @ w - b) ** 2) + lam * np.abs(w).sum()


# %%
# Adam on all rows, with the subgradient that the frameworks take (the sign of w).
w, b, objectives = np.zeros(width), 0.0, []
first, second = np.zeros(width + 1), np.zeros(width + 1)
for step in range(1, 3001):
    error = hidden @ w + b - y
    gradient = np.append(2 * hidden.T @ error / n + lam * np.sign(w), 2 * error.mean())
    first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
    move = 0.01 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    w, b = w - move[:-1], b - move[-1]
    objectives.append(objective(w, b))

# %%
model = Lasso(alpha=lam / 2, tol=1e-10).fit(hidden, y)
exact = objective(model.coef_, model.intercept_)
print(f"objective: Adam {objectives[-1]:.6f}, exact {exact:.6f}, at most {2 * model.dual_gap_:.1e} above the minimum")
print(f"weights that are zero: Adam {np.count_nonzero(w == 0)}, exact {np.count_nonzero(model.coef_ == 0)} of {width}")

# %%
# Steps along subgradients come near the objective and make no weight zero: what a threshold would then cut off is a
# guess.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.semilogy(np.array(objectives) - exact, label="Adam")
left.axhline(max(2 * model.dual_gap_, 1e-16), color="C2", linestyle="--", label="fastreg: certified gap")
left.set(xlabel="step", ylabel="objective above the exact one")
left.legend(frameon=False)
right.plot(np.abs(w)[np.argsort(-np.abs(w))], ".", label="Adam")
right.plot(np.sort(np.abs(model.coef_))[::-1], "C2.", label="exact")
right.set(xlabel="weight, by size", ylabel="absolute value", yscale="symlog")
right.set_yscale("symlog", linthresh=1e-5)
right.legend(frameon=False)
plt.show()
