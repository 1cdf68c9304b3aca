r"""
Insurance claims: counts with an offset
=======================================

A policy of half a year has half the claims of a whole one. The exposure goes into the linear predictor with a
coefficient that is known, 1, as an ``offset``: log of exposure. The data are made.
"""
import matplotlib.pyplot as plt
import numpy as np

from fastreg import PoissonRegressorCV, regularization_path

rng = np.random.default_rng(17)
n = 20000
age, power, town = rng.uniform(18, 80, n), rng.integers(4, 12, n), rng.integers(0, 12, n)
exposure = rng.uniform(0.05, 1, n)
of_town = np.where(np.arange(12) < 4, np.array([0.6, 0.3, -0.4, 0.5] + 8 * [0.0]), 0)
rate = np.exp(-2.2 + 0.9 * (age < 25) + 0.08 * (power - 7) + of_town[town])
claims = rng.poisson(rate * exposure)

bands = np.digitize(age, [25, 35, 45, 55, 65])
X = np.column_stack([power, *(bands == k for k in range(6)), *(town == k for k in range(12))]).astype(float)
names = ["power", *(f"age {a}" for a in ("<25", "25-34", "35-44", "45-54", "55-64", "65+")),
         *(f"town {k}" for k in range(12))]
print(f"{claims.sum()} claims of {n} policies, {exposure.sum():.0f} years; at most {claims.max()} of one policy")

# %%
# With and without the offset
# ---------------------------
# Without it the model explains counts by what it has, and predicts the same for a week and a year. A tariff wants few
# entries: BIC chooses.
offset = np.log(exposure)
train, test = slice(0, 14000), slice(14000, None)
options = {"l1_ratio": 1.0, "standardize": True, "criterion": "bic"}
model = PoissonRegressorCV(**options).fit(X[train], claims[train], offset=offset[train])
without = PoissonRegressorCV(**options).fit(X[train], claims[train])
explained = model.score(X[test], claims[test], offset=offset[test])
print(f"share of the deviance of new policies that is explained: {explained:.3f}, without exposure "
      f"{without.score(X[test], claims[test]):.3f}")
print("chosen:", model.ic_path_.reason)

# %%
# What is left are the six columns that the data were made with: power, the youngest, four towns. Rates by age, claims
# over years, beside the predicted ones.
path = regularization_path(X[train], claims[train], datafit="poisson", offset=offset[train], standardize=True)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
kept = np.flatnonzero(model.coef_).tolist()
for j, name in enumerate(names):
    look = {"color": f"C{kept.index(j)}", "label": name} if j in kept else {"color": "0.8"}
    left.plot(path.alphas, np.asarray(path.coefs)[j], **look)
left.axvline(model.alpha_, color="0.3", linestyle="--", linewidth=1)
left.set(xscale="log", xlabel="alpha (dashed: chosen)", ylabel="coefficient")
left.invert_xaxis()
left.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
predicted = model.predict(X[test], offset=offset[test])
rates = np.array([[counts[bands[test] == k].sum() / exposure[test][bands[test] == k].sum() for k in range(6)]
                  for counts in (claims[test], predicted, rate[test] * exposure[test])])
for values, style, name in zip(rates, ("ko", "C0s", "C2_"), ("claims", "predicted", "truth")):
    right.plot(values, style, label=name, markersize=7 if name != "truth" else 22)
right.set_xticks(range(6), [name.removeprefix("age ") for name in names[1:7]])
right.set(xlabel="age", ylabel="claims a year", title="policies that were not fitted", ylim=(0, None))
right.legend(frameon=False)
plt.show()
