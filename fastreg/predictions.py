"""What a path predicts, and how well."""
import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import column_or_1d

from fastreg.checks import check_weight, validate_X
from fastreg.datafits import by_name
from fastreg.parameters import documented
from fastreg.targets import as_given, check_offset


@documented
class Predictions:
    """Prediction and score of a Path, which has alphas, coefs, intercepts and a loss."""

    @property
    def _several(self):
        """Whether targets are the classes of one loss."""
        return self.datafit == "multinomial"

    def decision_function(self, X, alpha=None, exact=False, offset=None):
        """The linear predictor ``X w + b + offset`` along the path, or at any alpha.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        alpha : float, array-like of shape (k,) or None
            None predicts at every alpha of the path.
        exact : bool, default=False
            Solve anew at alpha instead of interpolating.
        {glm.offset}

        Returns
        -------
        ndarray of shape (n_samples,) for a scalar alpha, else (n_samples, k)
            Where y had two dimensions, of shape (n_samples, n_targets) or (n_samples, n_targets, k).

        Raises
        ------
        ValueError
            If X has not the features that the path was fitted with, in the same order where they have names, or if
            offsets are missing.
        """
        X = validate_X(self, X)
        if offset is None and self.has_offset:
            raise ValueError("offset is missing: the path was fitted with offsets. Give those of X, or offset=0.")
        if self._several and offset is not None:
            raise ValueError("offset must be None where datafit is 'multinomial'.")
        offset = check_offset(offset, X.shape[0])
        coefs, intercepts = (self.coefs, self.intercepts) if alpha is None else self.coef_at(alpha, exact)
        if self.intercepts.ndim == 1:
            fit = _product(X, coefs) + intercepts
        else:
            fit = np.stack([_product(X, coefs[t]) + intercepts[t] for t in range(len(coefs))], axis=1)
        if offset is not None:
            fit += offset.reshape(-1, *np.ones(fit.ndim - 1, dtype=int))
        return fit[..., 0] if np.ndim(alpha) == 0 and alpha is not None else fit

    def predict(self, X, alpha=None, exact=False, offset=None):
        """Predictions along the path, or at any alpha: means of y, or labels where the loss is one of classes.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        alpha : float, array-like of shape (k,) or None
            None predicts at every alpha of the path.
        exact : bool, default=False
            Solve anew at alpha instead of interpolating.
        {glm.offset}

        Returns
        -------
        ndarray of shape (n_samples,) for a scalar alpha, else (n_samples, k)
            Where y had two dimensions, of shape (n_samples, n_targets) or (n_samples, n_targets, k).

        Raises
        ------
        ValueError
            If X has not the features that the path was fitted with, in the same order where they have names, or if
            offsets are missing.
        """
        eta = self.decision_function(X, alpha, exact, offset)
        if self.classes is not None:
            return self.classes[np.argmax(eta, axis=1) if self._several else (eta > 0).astype(int)]
        return by_name(self.datafit).inverse_link(eta)

    def predict_proba(self, X, alpha=None, exact=False, offset=None):
        """Probabilities of the classes, along the path or at any alpha; of the logistic and the multinomial loss.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        alpha : float, array-like of shape (k,) or None
            None predicts at every alpha of the path.
        exact : bool, default=False
            Solve anew at alpha instead of interpolating.
        {glm.offset}

        Returns
        -------
        ndarray of shape (n_samples, n_classes) for a scalar alpha, else (n_samples, n_classes, k)
            In the order of `classes`.

        Raises
        ------
        ValueError
            If the loss is not one of classes, and as `predict`.
        """
        if self.classes is None or self.datafit == "squared_hinge":
            raise ValueError("predict_proba is for likelihoods of classes: the datafit of this path is "
                             f"{self.datafit!r}.")
        eta, link = self.decision_function(X, alpha, exact, offset), by_name(self.datafit).inverse_link
        if self._several:
            return np.moveaxis(link(np.moveaxis(eta, 1, -1)), -1, 1)
        return np.stack([link(-eta), link(eta)], axis=1)

    def score(self, X, y, alpha=None, sample_weight=None, offset=None):
        """Share of the deviance of y that is explained, along the path or at any alpha: R2, of the squared loss.

        That of the best constant (beside the offsets) is what there is to explain, whether or not an intercept was
        fitted: 1 is a perfect fit, 0 is no better than a constant. On the rows of the fit, with their weights and an
        intercept, it is `deviance_explained`.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Of as many dimensions as the y of the fit; labels where the loss is one of classes.
        alpha : float, array-like of shape (k,) or None
            None scores at every alpha of the path; between its values coefficients are interpolated.
        sample_weight : array-like of shape (n_samples,), float or None
        {glm.offset}

        Returns
        -------
        float for a scalar alpha, else ndarray of shape (k,)
            Where y had two dimensions, ndarray of shape (n_targets,) or (n_targets, k). Where y is constant, 1 of a
            fit that meets it and 0 of any other.

        Raises
        ------
        ValueError
            If X or y does not go with what was fitted, or if offsets are missing.
        """
        eta = self.decision_function(X, alpha, offset=offset)
        eta = eta[..., None] if alpha is not None and np.ndim(alpha) == 0 else eta
        datafit, each = by_name(self.datafit), self.intercepts.ndim == 2 and not self._several
        y = as_given(datafit, self.classes, y if each else column_or_1d(y))
        wanted = eta.shape[:1 + each]
        if y.shape[:1 + each] != wanted:
            raise ValueError(f"y must have shape {wanted}, as X and the targets of the fit, got {y.shape}.")
        weight, offset = check_weight(sample_weight, len(y)), check_offset(offset, len(y))
        if each:
            found = np.stack([explained(datafit, y[:, t], eta[:, t], weight, offset) for t in range(y.shape[1])])
        else:
            found = explained(datafit, y, eta, weight, offset)
        return found if alpha is None or np.ndim(alpha) else found[..., 0][()]


def explained(datafit, y, eta, weight, offset):
    """Shares of the deviance of y, as the datafit reads it, that linear predictors of fits along the last axis explain.
    """
    n_fits = eta.shape[-1]
    left = datafit.deviances(y, np.moveaxis(eta, -1, 1).reshape(len(eta), -1), weight)
    null = _null_deviance(datafit, y, weight, offset)
    return 1 - left / null if null > 0 else np.asarray(left <= 0, dtype=float).reshape(n_fits)


def _null_deviance(datafit, y, weight, offset):
    """Deviance of the best constant; 0 where it lies at an end of the domain, whose rows it meets."""
    if datafit.coupled:
        counts = (y > 0).T @ (np.ones(len(y)) if weight is None else weight)
        share = counts[counts > 0] / counts.sum()
        return -2 * counts.sum() * (share @ np.log(share))
    try:
        return datafit.null_fit(y, weight, offset)[2]
    except ValueError:
        return 0.0


def _product(X, coefs):
    """X times the coefficients of one target, an array."""
    if not sp.issparse(coefs):
        return X @ coefs
    used = np.unique(coefs.indices)
    return X[:, used] @ coefs[used].toarray()
