r"""
Choosing alpha, and what each way costs
=======================================

The same data and the same hundred penalties, judged in six ways. What differs is the question (the best prediction,
or the smallest model that is nearly as good), and the number of fits behind the answer. Then two numbers are chosen
together, by a grid and by Bayesian optimisation.
"""
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import optuna
from sklearn.model_selection import GridSearchCV, cross_val_score

from fastreg import ElasticNet, ElasticNetCV, Lasso, LassoCV, RidgeCV, regularization_path

rng = np.random.default_rng(5)
n, p = 300, 80
X = rng.standard_normal((n, p)) @ np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))).T
truth = np.zeros(p)
truth[::8] = rng.choice([-1, 1], 10) * rng.uniform(0.3, 1.2, 10)
y = X @ truth + 1.5 * rng.standard_normal(n)
alphas = regularization_path(X, y, alphas=100, eps=1e-2).alphas

# %%
# Six ways
# --------
# ``GridSearchCV`` starts every fit from nothing; the CV classes go along a path of each fold, and share what folds
# have in common. Leave-one-out of ridge is exact and costs one decomposition. BIC needs no folds at all.
ways = {
    "grid search, 5 folds": GridSearchCV(Lasso(), {"alpha": alphas}, cv=5, scoring="neg_mean_squared_error"),
    "cross-validation, 5 folds": LassoCV(alphas=alphas, cv=5),
    "one standard error": LassoCV(alphas=alphas, cv=5, selection_rule="1se"),
    "leave-one-out, lasso": LassoCV(alphas=alphas, cv=n),
    "BIC": LassoCV(alphas=alphas, criterion="bic"),
    "leave-one-out, ridge": RidgeCV(alphas=n * alphas),
}
rows = {}
for name, model in ways.items():
    start = perf_counter()
    model.fit(X, y)
    seconds = perf_counter() - start
    if isinstance(model, GridSearchCV):
        alpha, coef = model.best_params_["alpha"], model.best_estimator_.coef_
    else:
        alpha, coef = model.alpha_ / (n if isinstance(model, RidgeCV) else 1), model.coef_
    error = (X @ coef + model.predict(np.zeros((1, p))) - X @ truth).std()
    rows[name] = alpha, np.count_nonzero(coef), error, seconds

print(f"{'way':27} {'alpha':>8} {'non-zero':>9} {'error beside the truth':>23} {'milliseconds':>13}")
for name, (alpha, count, error, seconds) in rows.items():
    print(f"{name:27} {alpha:8.4f} {count:9} {error:23.3f} {1000 * seconds:13.1f}")

# %%
# Grid search and ``LassoCV`` choose the same alpha: they ask the same question. ``reason`` says in words why an
# alpha was chosen.
print(ways["one standard error"].cv_path_.reason)

# %%
# Curves
# ------
figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
ways["one standard error"].cv_path_.plot(axes[0])
ways["BIC"].ic_path_.plot(axes[1])
seconds = [row[3] for row in rows.values()]
axes[2].barh(list(rows), 1000 * np.array(seconds), color="C0")
axes[2].invert_yaxis()
axes[2].set(xscale="log", xlabel="milliseconds, of this build")
plt.show()

# %%
# Alpha and the mixture together
# ------------------------------
# Bayesian optimisation pays where every fit is dear. Here a grid of 500 pairs is one call, which shares passes over
# X, while each of Optuna's 40 trials fits every fold anew.
optuna.logging.set_verbosity(optuna.logging.WARNING)


def squared_error(trial):
    model = ElasticNet(alpha=trial.suggest_float("alpha", alphas[-1], alphas[0], log=True),
                       l1_ratio=trial.suggest_float("l1_ratio", 0.1, 1.0))
    return -cross_val_score(model, X, y, cv=5, scoring="neg_mean_squared_error").mean()


start = perf_counter()
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(squared_error, n_trials=40)
print(f"Optuna, 40 trials: error {study.best_value:.4f}, alpha {study.best_params['alpha']:.4f}, "
      f"l1_ratio {study.best_params['l1_ratio']:.2f}, {perf_counter() - start:.2f} s")

start = perf_counter()
grid = ElasticNetCV(l1_ratio=[0.1, 0.3, 0.5, 0.7, 1.0], cv=5).fit(X, y)
print(f"grid of 500 pairs: error {grid.cv_path_.values.min():.4f}, alpha {grid.alpha_:.4f}, "
      f"l1_ratio {grid.l1_ratio_:.2f}, {perf_counter() - start:.2f} s")
