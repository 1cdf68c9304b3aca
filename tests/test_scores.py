"""Scores of all fits at once are those of scikit-learn's scorers, which are asked where they have something to say."""
import warnings

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.metrics import f1_score, get_scorer, log_loss

from fastreg import LassoCV, LogisticRegressionCV, PoissonRegressorCV
from fastreg.datafits import by_name
from fastreg.scores import _OF_CLASSES, _OF_MEANS, _OF_TWO, scores_of

CLASSES = {"logistic": 2, "multinomial": 4}


class Says:
    """A model that says what it is told."""

    _estimator_type = "classifier"

    def __init__(self, eta, classes):
        self.eta, self.classes_ = eta, classes

    def __sklearn_tags__(self):
        from sklearn.linear_model import LinearRegression, LogisticRegression

        return (LinearRegression() if self.classes_ is None else LogisticRegression()).__sklearn_tags__()

    def fit(self):
        """Nothing to learn."""

    def predict(self, X):
        if self.classes_ is None:
            return self.eta
        return self.classes_[np.argmax(self.eta, axis=1) if self.eta.ndim == 2 else (self.eta > 0).astype(int)]

    def decision_function(self, X):
        return self.eta

    def predict_proba(self, X):
        each = self.eta if self.eta.ndim == 2 else np.stack([np.zeros(len(self.eta)), self.eta], axis=1)
        odds = np.exp(each - each.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("datafit, scoring", [
    (datafit, scoring) for datafit, names in (
        ("logistic", _OF_TWO), ("multinomial", _OF_CLASSES), ("quadratic", _OF_MEANS)) for scoring in names])
def test_they_are_scikit_learns(datafit, scoring, scale, weighted, rng):
    n, n_fits, K = 60, 5, CLASSES.get(datafit, 1)
    weight = rng.integers(0, 3, n).astype(float) if weighted else None
    eta = np.round(scale * rng.standard_normal((n, n_fits, 1 if K == 2 else K)), 1)          # with ties
    if K == 1:
        y = given = rng.standard_normal(n)
        classes = None
    else:
        given = np.append(np.arange(K), rng.integers(0, K, n - K))
        codes, classes = given, np.arange(K)
        y = np.where(codes == 1, 1.0, -1.0) if K == 2 else np.where(codes[:, None] == classes, 1.0, -1.0)
        if weighted:
            weight[:K] = 1
    found = scores_of(scoring, by_name(datafit))(y, eta.reshape(n, -1), weight)
    more = {} if weight is None else {"sample_weight": weight}
    told = [get_scorer(scoring)(Says(eta[:, a] if K > 2 else eta[:, a, 0], classes), np.zeros((n, 1)), given, **more)
            for a in range(n_fits)]
    # scikit-learn makes the probability of the first class from that of the second: small ones have few digits
    rough = scale > 1 and (datafit, scoring) == ("logistic", "neg_log_loss")
    np.testing.assert_allclose(found, told, rtol=2e-3 if rough else 1e-11, atol=1e-13)
    if rough:
        margin = np.where(y > 0, 1, -1).astype(np.longdouble)[:, None] * eta[..., 0]
        loss = np.minimum(np.log1p(np.exp(-margin)), -np.log(np.longdouble(np.finfo(float).eps)))
        np.testing.assert_allclose(found, -np.average(loss, axis=0, weights=weight).astype(float), rtol=1e-13)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc", "accuracy"])
@pytest.mark.parametrize("more", [{}, {"relax": True, "l1_ratios": (1.0,)}, {"refit": False}])
def test_cross_validation_of_classes_by_name_and_by_scorer(scoring, more, rng):
    X = rng.standard_normal((80, 5))
    y = rng.permutation(X[:, 0] + rng.standard_normal(80) > 0)
    weight = rng.uniform(0.5, 2, 80)
    found, told = (LogisticRegressionCV(Cs=4, cv=3, scoring=how, **more).fit(X, y, sample_weight=weight)
                   for how in (scoring, get_scorer(scoring)))
    np.testing.assert_allclose(found.scores_, told.scores_, rtol=1e-11, atol=1e-13)
    assert found.C_ == told.C_


@pytest.mark.parametrize("scoring", list(_OF_MEANS))
def test_cross_validation_of_numbers_by_name_and_by_scorer(scoring, rng):
    X = rng.standard_normal((60, 5))
    y = 1e6 * (X[:, 0] + rng.standard_normal(60))
    found, told = (LassoCV(alphas=5, cv=3, scoring=how).fit(X, y) for how in (scoring, get_scorer(scoring)))
    np.testing.assert_allclose(found.cv_path_.fold_scores, told.cv_path_.fold_scores, rtol=1e-11)
    counts, offset = rng.poisson(2, 60).astype(float), rng.standard_normal(60)
    found, told = (PoissonRegressorCV(alphas=5, cv=3, scoring=how).fit(X, counts, offset=offset)
                   for how in (scoring, get_scorer(scoring)))
    np.testing.assert_allclose(found.cv_path_.fold_scores, told.cv_path_.fold_scores, rtol=1e-11)


def test_scikit_learn_is_asked_where_a_class_is_absent_or_y_is_constant(rng):
    eta = rng.standard_normal((6, 2))
    assert scores_of("roc_auc", by_name("logistic"))(np.ones(6), eta, None) is None
    assert scores_of("balanced_accuracy", by_name("logistic"))(-np.ones(6), eta, None) is None
    assert scores_of("r2", by_name("quadratic"))(np.ones(6), eta, None) is None
    weight = np.array([1.0, 1, 1, 0, 0, 0])
    y = np.array([1.0, 1, 1, -1, -1, -1])
    assert scores_of("roc_auc", by_name("logistic"))(y, eta, weight) is None
    assert scores_of("balanced_accuracy", by_name("logistic"))(y, eta, weight) is None
    assert scores_of("f1", by_name("logistic")) is None
    assert scores_of(get_scorer("r2"), by_name("quadratic")) is None


@pytest.mark.parametrize("K, scoring", [
    *((K, scoring) for K in (2, 4) for scoring in ("neg_log_loss", "neg_brier_score", "d2_log_loss_score", "accuracy")),
    (4, "f1_macro")])
def test_test_sets_that_lack_a_class(K, scoring, rng):
    """scikit-learn tells its scorers of all classes."""
    X, y = rng.standard_normal((40, 3)), np.repeat([f"class {k}" for k in range(K)], 40 // K)
    X[:, 0] += np.repeat(np.arange(K), 40 // K)
    test = np.arange(7) + 40 - 7
    folds = [(np.arange(33), test), (np.setdiff1d(np.arange(40), [3, 4, 5]), np.array([3, 4, 5]))]
    model = LogisticRegressionCV(Cs=[0.1, 10.0], cv=folds, scoring=scoring, tol=1e-9).fit(X, y)
    peer = linear_model.LogisticRegressionCV(Cs=[0.1, 10.0], cv=folds, scoring=scoring, tol=1e-9, max_iter=1000,
                                             l1_ratios=(0.0,), use_legacy_attributes=False).fit(X, y)
    np.testing.assert_allclose(model.scores_, peer.scores_, rtol=1e-5)
    if scoring == "neg_log_loss":
        right = -log_loss(y[test], model.predict_proba(X[test]), labels=model.classes_)
        assert model.score(X[test], y[test]) == pytest.approx(right, rel=1e-12)


def test_what_a_scorer_was_told_before_counts(rng):
    X, y = rng.standard_normal((40, 3)), np.repeat(["a", "b"], 20)
    X[20:, 0] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegressionCV(Cs=[0.1, 1.0, 10.0], cv=4, scoring="f1_macro").fit(X, y)
    assert model.score(X, y) == f1_score(y, model.predict(X), average="macro")
