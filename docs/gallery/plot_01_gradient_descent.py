r"""
L2 from scratch: gradient descent and the closed form
=====================================================

Courses write ridge regression as a cost with :math:`\lambda / 2m`, and minimise it by gradient descent. This is
that cost, those steps, and the exact answer beside them.

.. math::
   J(\theta) = \frac{1}{2m} \sum_{i=1}^m (\theta_0 + x_i^\top \theta - y_i)^2
               + \frac{\lambda}{2m} \sum_{j \ge 1} \theta_j^2

Times :math:`2m` this is the objective of ``Ridge(alpha=lambda)``: the same minimiser, the same :math:`\lambda`,
whatever the number of rows. :math:`\theta_0` is not penalised in either.
"""
import matplotlib.pyplot as plt
import numpy as np

from fastreg import Ridge

rng = np.random.default_rng(0)
m = 30
x = np.sort(rng.uniform(-1, 1, m))
y = 1 + 2 * x + 0.6 * rng.standard_normal(m)
X = x[:, None]

# %%
# Gradient descent
# ----------------
# One line for each half of the gradient; the penalty leaves the intercept alone.


def cost(theta, lam):
    error = theta[0] + X @ theta[1:] - y
    return (error @ error + lam * theta[1:] @ theta[1:]) / (2 * m)


def descend(lam, rate=0.1, steps=400):
    theta, seen = np.zeros(1 + X.shape[1]), []
    for _ in range(steps):
        seen.append(cost(theta, lam))
        error = theta[0] + X @ theta[1:] - y
        gradient = np.concatenate([[error.sum()], X.T @ error + lam * theta[1:]]) / m
        theta = theta - rate * gradient
    return theta, seen


# %%
# The closed form
# ---------------
# With the intercept taken out by centring, :math:`\theta = (X_c^\top X_c + \lambda I)^{-1} X_c^\top y_c`.


def solve(lam):
    centred = X - X.mean(axis=0)
    slope = np.linalg.solve(centred.T @ centred + lam * np.eye(X.shape[1]), centred.T @ (y - y.mean()))
    return np.concatenate([[y.mean() - X.mean(axis=0) @ slope], slope])


lambdas = [0, 3, 30, 300]
print("lambda  closed form          gradient descent     Ridge(alpha=lambda)")
for lam in lambdas:
    model = Ridge(alpha=lam).fit(X, y)
    descended, _ = descend(lam, rate=1 / (1 + lam / m), steps=2000)
    rows = [solve(lam), descended, np.append(model.intercept_, model.coef_)]
    print(f"{lam:6}", *(f"[{a:.6f} {b:9.6f}]" for a, b in rows))
    assert np.allclose(rows, rows[0], atol=1e-8)

# %%
# Lines
# -----
# A larger :math:`\lambda` makes the line flatter, never the mean wrong: every line goes through the mean of the
# data. On the right the cost falls towards the exact minimum, dashed; how fast depends on the rate, which the exact
# solvers do not have.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.plot(x, y, "o", color="0.6", markersize=4, label="data")
colors = plt.cm.viridis(np.linspace(0, 0.85, len(lambdas)))
for lam, color in zip(lambdas, colors):
    theta = solve(lam)
    left.plot(x, theta[0] + theta[1] * x, color=color, label=f"λ = {lam}: slope {theta[1]:.2f}")
    exact = cost(theta, lam)
    right.semilogy([value - exact for value in descend(lam)[1][:250]], color=color, label=f"λ = {lam}")
left.set(xlabel="x", ylabel="y", title="ridge fits of a line")
left.legend(frameon=False)
right.set(xlabel="step of gradient descent, rate 0.1", ylabel="cost above its minimum",
          title="on the way to the same answer", ylim=(1e-12, 10))
right.legend(frameon=False)
plt.show()
