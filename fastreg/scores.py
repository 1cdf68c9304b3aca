"""Scores of scikit-learn's, by name, of all fits of a path at once.

A scorer is called with a model for every fit, and checks all of its arguments anew each time: on small data that takes
longer than the fits. Those here give the same numbers from linear predictors.
"""
from functools import partial
from inspect import signature

import numpy as np
from sklearn import config_context

EPS = np.finfo(np.float64).eps


def scores_of(scoring, datafit):
    """The function that gives scores by that name, None where there is none.

    Parameters
    ----------
    scoring : str, callable or None
    datafit : Datafit

    Returns
    -------
    callable or None
        (y, eta, weight) -> ndarray of shape (n_fits,) or None, to maximise: y and weight (None: ones) of the rows, as
        the datafit reads y; eta their linear predictors, a column for each fit or, where targets are coupled, one for
        each class of each. None where scikit-learn has something to say of y: a score needs a class that is absent, or
        y is constant.
    """
    if not isinstance(scoring, str):
        return None
    if datafit.coupled:
        return _OF_CLASSES.get(scoring)
    if datafit.labels:
        return partial(_of_two, _OF_TWO[scoring]) if scoring in _OF_TWO else None
    return partial(_of_means, _OF_MEANS[scoring], datafit) if scoring in _OF_MEANS else None


def of_all_classes(scorer, classes):
    """A scorer of a classifier, told of all classes where its metric asks for labels: test sets may lack some.

    Parameters
    ----------
    scorer : callable
        (model, X, y, **params) -> float, as scikit-learn makes it.
    classes : ndarray or None
        None: it is no classifier.

    Returns
    -------
    callable
    """
    asked = signature(getattr(scorer, "_score_func", _mean)).parameters
    if classes is None or "labels" not in asked:
        return scorer
    told = {"labels": classes}
    if len(classes) == 2 and "pos_label" in asked:
        told["pos_label"] = classes[-1]
    told = {name: value for name, value in told.items() if name not in getattr(scorer, "_kwargs", {})}

    def score(model, X, y, **params):
        with config_context(enable_metadata_routing=True):      # else scorers take nothing but weights
            return scorer(model, X, y, **{**told, **params})

    return score


def _mean(values, weight):
    return np.average(values, axis=0, weights=weight)


# ---- two classes: whether a row is of the second, the log-odds, weights ----------------------------------------------
def _of_two(score, y, eta, weight):
    return score(y > 0, eta, weight)


def _both(second, weight):
    """Whether there are rows of both classes."""
    counted = second if weight is None else second[weight > 0]
    return counted.any() and not counted.all()


def _probability(eta):
    return np.exp(-np.logaddexp(0, -eta))


def _log_loss(second, eta, weight):
    loss = np.logaddexp(0, np.where(second[:, None], -eta, eta))
    return -_mean(np.clip(loss, -np.log1p(-EPS), -np.log(EPS)), weight)


def _brier(second, eta, weight):
    return -_mean((_probability(eta) - second[:, None])**2, weight)


def _accuracy(second, eta, weight):
    return _mean((eta > 0) == second[:, None], weight)


def _balanced_accuracy(second, eta, weight):
    right = (eta > 0) == second[:, None]
    if not _both(second, weight):
        return None
    return np.mean([_mean(right[rows], None if weight is None else weight[rows]) for rows in (second, ~second)], axis=0)


def _area(second, eta, weight):
    """Of pairs of a row of each class, how many are in order; half of those that are tied."""
    weight = np.ones(len(second)) if weight is None else weight
    if not _both(second, weight):
        return None
    out = np.empty(eta.shape[1])
    for k, column in enumerate(eta.T):
        order = np.argsort(column)
        ordered, ones = column[order], (weight * second)[order]
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))       # of each group of ties
        ones, zeros = np.add.reduceat(ones, first), np.add.reduceat(weight[order] - ones, first)
        out[k] = ones @ (np.cumsum(zeros) - 0.5 * zeros) / (ones.sum() * zeros.sum())
    return out


# ---- several classes -------------------------------------------------------------------------------------------------
def _by_class(y, eta):
    """The class of each row, and linear predictors by fit and class."""
    return np.argmax(y, axis=1), eta.reshape(len(eta), -1, y.shape[1])


def _log_loss_of_classes(y, eta, weight):
    of_row, eta = _by_class(y, eta)
    loss = np.logaddexp.reduce(eta, axis=2) - np.take_along_axis(eta, of_row[:, None, None], axis=2)[..., 0]
    return -_mean(np.clip(loss, -np.log1p(-EPS), -np.log(EPS)), weight)


def _accuracy_of_classes(y, eta, weight):
    of_row, eta = _by_class(y, eta)
    return _mean(np.argmax(eta, axis=2) == of_row[:, None], weight)


# ---- numbers: errors of the means ------------------------------------------------------------------------------------
def _of_means(score, datafit, y, eta, weight):
    return score(y, datafit.inverse_link(eta), weight)


def _squared(y, mean, weight):
    return -_mean((y[:, None] - mean)**2, weight)


def _root(y, mean, weight):
    return -np.sqrt(-_squared(y, mean, weight))


def _absolute(y, mean, weight):
    return -_mean(np.abs(y[:, None] - mean), weight)


def _explained(y, mean, weight):
    """R2."""
    about = _mean((y - np.average(y, weights=weight))**2, weight)
    if len(y) < 2 or about == 0:
        return None
    return 1 + _squared(y, mean, weight) / about


_OF_TWO = {"neg_log_loss": _log_loss, "neg_brier_score": _brier, "accuracy": _accuracy,
           "balanced_accuracy": _balanced_accuracy, "roc_auc": _area}
_OF_CLASSES = {"neg_log_loss": _log_loss_of_classes, "accuracy": _accuracy_of_classes}
_OF_MEANS = {"neg_mean_squared_error": _squared, "neg_root_mean_squared_error": _root,
             "neg_mean_absolute_error": _absolute, "r2": _explained}
