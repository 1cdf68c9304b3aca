r"""
Logistic regression with L1, L2 and both
========================================

Malignant or benign, from thirty measurements: one classifier, three penalties, each with its strength chosen by
cross-validation on the training rows, and judged on rows that it has not seen.
"""
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix, precision_recall_fscore_support
from sklearn.model_selection import train_test_split

from fastreg import LogisticRegressionCV

data = load_breast_cancer()
malignant = np.where(data.target == 0, "malignant", "benign")
X_train, X_test, y_train, y_test = train_test_split(data.data, malignant, test_size=0.4, random_state=0,
                                                    stratify=malignant)

# %%
# Columns have scales from thousandths to thousands: with ``standardize=True`` the penalty does not see them, and
# the coefficients come back in the units of the data.
models = {"L1": 1.0, "elastic net, 0.5": 0.5, "L2": 0.0}
for name, l1_ratio in models.items():
    models[name] = LogisticRegressionCV(Cs=30, l1_ratios=(l1_ratio,), standardize=True, cv=5).fit(X_train, y_train)

print(f"{'penalty':17} {'C':>8} {'non-zero':>9} {'precision':>10} {'recall':>7} {'F1':>6}")
for name, model in models.items():
    precision, recall, f1, _ = precision_recall_fscore_support(y_test, model.predict(X_test), average="binary",
                                                               pos_label="malignant")
    C, count = np.ravel(model.C_)[0], np.count_nonzero(model.coef_)
    print(f"{name:17} {C:8.3f} {count:9} {precision:10.3f} {recall:7.3f} {f1:6.3f}")

# %%
# Precision is the share of the alarms that are right, recall the share of the malignant ones that raise one, F1
# their harmonic mean. The L1 penalty says as much with fewer than half of the measurements.
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, (name, model) in zip(axes, models.items()):
    counts = confusion_matrix(y_test, model.predict(X_test), labels=["benign", "malignant"])
    ConfusionMatrixDisplay(counts, display_labels=["benign", "malignant"]).plot(ax=ax, cmap="Blues", colorbar=False)
    ax.set_title(f"{name}: {np.count_nonzero(model.coef_)} of {X_train.shape[1]} coefficients")
plt.show()
