r"""
Choosing alpha, and what each way costs
=======================================

The same data and the same hundred penalties, judged in seven ways. What differs is the question (the best prediction,
or the smallest model that is nearly as good), and the number of fits behind the answer.
"""
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score

from fastreg import Lasso, LassoCV, RidgeCV, regularization_path

try:
    import optuna
except ImportError:                      # pip install optuna
    optuna = None

rng = np.random.default_rng(5)
n, p = 300, 80
X = rng.standard_normal((n, p)) @ np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))).T
truth = np.zeros(p)
truth[::8] = rng.choice([-1, 1], 10) * rng.uniform(0.3, 1.2, 10)
y = X @ truth + 1.5 * rng.standard_normal(n)
alphas = regularization_path(X, y, alphas=100, eps=1e-2).alphas


# %%
# Seven ways
# ----------
# ``GridSearchCV`` starts every fit from nothing; the CV classes go along a path of each fold, and share what folds
# have in common. Leave-one-out of ridge is exact and costs one decomposition. BIC needs no folds at all. Bayesian
# optimisation (`Optuna <https://optuna.org>`_) tries a few alphas, each where those before make it promising: what it
# saves beside a grid pays where every trial is dear or where there are many parameters, and alpha is neither.
class BayesianSearch(Lasso):
    """The lasso at the best of 30 alphas that Optuna proposes."""

    def fit(self, X, y):
        def loss(trial):
            model = Lasso(trial.suggest_float("alpha", alphas[-1], alphas[0], log=True))
            return -cross_val_score(model, X, y, cv=5, scoring="neg_mean_squared_error").mean()

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(loss, n_trials=30)
        self.alpha_ = self.alpha = study.best_params["alpha"]
        return super().fit(X, y)


ways = {
    "grid search, 5 folds": GridSearchCV(Lasso(), {"alpha": alphas}, cv=5, scoring="neg_mean_squared_error"),
    "cross-validation, 5 folds": LassoCV(alphas=alphas, cv=5),
    "one standard error": LassoCV(alphas=alphas, cv=5, selection_rule="1se"),
    "leave-one-out, lasso": LassoCV(alphas=alphas, cv=n),
    "BIC": LassoCV(alphas=alphas, criterion="bic"),
    "leave-one-out, ridge": RidgeCV(alphas=n * alphas),
}
if optuna is not None:
    ways["Bayesian, 30 trials, 5 folds"] = BayesianSearch()
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

print(f"{'way':28} {'alpha':>8} {'non-zero':>9} {'error beside the truth':>23} {'milliseconds':>13}")
for name, (alpha, count, error, seconds) in rows.items():
    print(f"{name:28} {alpha:8.4f} {count:9} {error:23.3f} {1000 * seconds:13.1f}")

# %%
# Grid search and ``LassoCV`` choose the same alpha, and Optuna one near it: they ask the same question. ``reason`` says
# in words why an alpha was chosen.
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
