r"""
Text on a sparse matrix
=======================

Words make wide, sparse columns. X is read where it lies, never made dense and never centred, and an intercept is
fitted all the same. The text is made: reviews of hotels from two vocabularies, with many words that say nothing.
"""
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from fastreg import LogisticRegressionCV, certify

rng = np.random.default_rng(13)
good = ["clean", "quiet", "friendly", "spotless", "helpful", "lovely", "breakfast", "view", "charming", "sunny"]
bad = ["dirty", "noisy", "rude", "broken", "smelly", "cold", "stained", "overpriced", "mouldy", "cramped"]
syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
filler = [first + second for first in syllables[::6] for second in syllables]


def review(positive):
    own, other = (good, bad) if positive else (bad, good)
    words = [*rng.choice(own, rng.integers(1, 4)), *rng.choice(other, rng.integers(0, 3)), *rng.choice(filler, 25)]
    return " ".join(rng.permutation(words))


labels = rng.random(3000) < 0.5
texts = [review(positive) for positive in labels]
X = TfidfVectorizer(ngram_range=(1, 2), min_df=4).fit(texts)
names, X = X.get_feature_names_out(), X.transform(texts)
y = np.where(labels, "good", "bad")
train, test = slice(0, 2000), slice(2000, None)
print(f"{X.shape[0]} rows, {X.shape[1]} words and pairs of words, "
      f"{X.nnz / np.prod(X.shape):.2%} of the entries not zero")

# %%
# ``selection_rule='1se'`` takes the smallest model that is nearly as good as the best.
Cs = np.geomspace(0.05, 20, 30)
model = LogisticRegressionCV(Cs=Cs, l1_ratios=(1.0,), cv=5, selection_rule="1se").fit(X[train], y[train])
right = np.mean(model.predict(X[test]) == y[test])
print(f"{np.count_nonzero(model.coef_)} words in use; {right:.1%} of the other reviews are right")
print(certify(X[train], y[train], model))

# %%
coef = model.coef_[0]
strongest = np.argsort(coef)
strongest = np.concatenate([strongest[:10], strongest[-10:]])
strongest = strongest[coef[strongest] != 0]
figure, (left, curve) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
left.barh(names[strongest], coef[strongest], color=np.where(coef[strongest] > 0, "C0", "C3"))
left.set(xlabel="coefficient", title="words that make a review good or bad")
left.tick_params(axis="y", labelsize="small")
model.cv_path_.plot(curve)
plt.show()
