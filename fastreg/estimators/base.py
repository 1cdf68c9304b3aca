"""What estimators share: prediction of linear models, and what choosing by cross-validation asks of scikit-learn."""
from numbers import Real

import numpy as np
from sklearn import get_config
from sklearn.base import MultiOutputMixin, RegressorMixin, is_classifier
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from fastreg.checks import check_choice, check_flag, is_plain, validate_X, validate_X_y
from fastreg.design import readable
from fastreg.rounding import single, toward_zero
from fastreg.solvers.folds import as_folds


def as_stored(X, coef, intercept):
    """Coefficients and intercepts in float32 where X is stored so, as scikit-learn gives them, unless a target of
    extreme scale makes them too large or too small for it; as they are otherwise."""
    if X.dtype == np.float32 and single(coef, intercept):
        return toward_zero(coef), intercept.astype(np.float32)
    return coef, intercept


def refuse_unrouted(params, method):
    """ValueError where extra arguments of `method` are given though metadata routing is not enabled."""
    if params and not get_config()["enable_metadata_routing"]:
        raise ValueError(f"Passing {sorted(params)} to {method} is only supported if enable_metadata_routing=True, by "
                         "sklearn.set_config(enable_metadata_routing=True).")


def score_by(owner, scorer, model, X, y, **params):
    """A scorer's value of `model`, which stands for a fit of `owner`: errors name the owner and its scoring."""
    try:
        score = scorer(model, X, y, **params)
    except AttributeError as error:
        if type(model).__name__ not in str(error):
            raise
        there = ", ".join(name for name in ("predict", "decision_function", "predict_proba") if hasattr(owner, name))
        raise ValueError(f"scoring={owner.scoring!r} asks for a method that {type(owner).__name__} does not have, "
                         f"such as predict_proba: it has {there}.") from None
    number = score.item() if getattr(score, "size", 0) == 1 and hasattr(score, "item") else score
    if not isinstance(number, Real):
        raise ValueError(f"scoring={owner.scoring!r} must return a number, got {score!r} ({type(score).__name__}).")
    return number


def weight_by_class(weight, class_weight, y):
    """Sample weights times those of the classes; None where all are 1."""
    if class_weight is None:
        return weight
    of_class = compute_sample_weight(class_weight, y)
    return of_class if weight is None else weight * of_class


class LinearRegressorMixin(MultiOutputMixin, RegressorMixin):
    """Prediction and tags of a linear model with coef_ and intercept_."""

    def predict(self, X):
        """Predict with the linear model: ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        check_is_fitted(self)
        X = validate_X(self, X)
        return X @ self.coef_.T + self.intercept_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_data(self, X, y):
        """X and y checked, n_features_in_ and feature_names_in_ set."""
        if is_plain(X, y):
            self.n_features_in_ = X.shape[1]
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
            return readable(X), y
        return validate_X_y(self, X, y, ensure_all_finite=False)      # of X alone: the solver finds out as it reads it


# What a fit with other parameters may not set.
OPTIONAL_ATTRIBUTES = (
    "cv_path_", "alpha_1se_", "C_1se_", "mse_path_", "scores_", "gamma_", "ic_path_", "criterion_", "cv_results_",
    "coef_", "intercept_", "dual_gap_", "n_iter_", "df_", "coef_bound_", "path_", "coef_path_", "fold_paths_",
    "deviance_", "null_deviance_", "stationarity_")


class CrossValidatedMixin:
    """Choosing by folds: the splitter, what metadata routing sends to it, and what a fit leaves behind."""

    def _forget(self):
        """Take away what the last fit may have set and this one may not."""
        for name in OPTIONAL_ATTRIBUTES:
            vars(self).pop(name, None)

    def _check_selection(self):
        """Whether to fit all rows at what is chosen, and that the rule is one."""
        check_choice(self.selection_rule, "selection_rule", ("min", "1se"))
        return check_flag(self.refit, "refit")

    def _splitter(self, y=None):
        # here: it would double the time of `import fastreg`
        from sklearn.model_selection import check_cv

        return check_cv(self.cv, y, classifier=is_classifier(self))

    def _folds(self, X, y, weight, **params):
        """The splits of `cv`, each of which has some weight in its training set and in its test set."""
        folds = as_folds(self._splitter(y).split(X, y, **params), len(y))
        for k, fold in enumerate(folds if weight is not None else []):
            for name, of_set in (("training", weight * fold.counts), ("test", weight[fold.test])):
                if not np.any(of_set > 0):
                    raise ValueError(f"sample_weight is zero for the whole {name} set of split {k} of cv.")
        return folds

    def _routed(self, sample_weight, params):
        """What metadata routing sends to whom; None where it is not enabled, and `params` must be none."""
        if get_config()["enable_metadata_routing"]:
            given = {} if sample_weight is None else {"sample_weight": sample_weight}
            return process_routing(self, "fit", **params, **given)
        refuse_unrouted(params, "fit")
        return None

    def get_metadata_routing(self):
        """Who receives which of fit's extra arguments: the splitter its own (``groups``).

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return MetadataRouter(owner=self).add_self_request(self).add(
            splitter=self._splitter(), method_mapping=MethodMapping().add(caller="fit", callee="split"))
