"""One solution of a path."""
import numpy as np

from fastreg.parameters import documented


def _figure(name, doc):
    """A property: what the path has by that name, of its only alpha."""

    def at(self):
        values = getattr(self.path, name)
        if values is None:
            return None
        return values[..., 0] if values.ndim > 1 else values[0].item()

    return property(at, doc=doc)


@documented
class PathPoint:
    """The solution of a path at one alpha: ``path[i]`` and ``path.at(alpha)``.

    Between the alphas of the path, where coefficients are interpolated, what is not known of them is NaN. Where y had
    two dimensions, or several classes, arrays have a first axis of targets.

    Attributes
    ----------
    alpha : float
    coef : ndarray of shape (n_features,) or (n_targets, n_features)
    intercept : float or ndarray of shape (n_targets,)
    df : float or ndarray of shape (n_targets,)
        Number of non-zero coefficients; of ridge, effective degrees of freedom.
    dual_gap : float, ndarray of shape (n_targets,) or None
        In units of the objective; None of ridge.
    deviance_explained : float, ndarray of shape (n_targets,) or None
        On the rows of the fit; of the squared loss R2; None of ridge.
    certified_from : str
        'X', 'sums', or '' where coefficients are interpolated.
    path : Path
        Of this alpha alone.
    """

    df = _figure("df", "Number of non-zero coefficients; of ridge, effective degrees of freedom.")
    intercept = _figure("intercepts", "The intercept, or that of each target.")
    dual_gap = _figure("dual_gaps", "Duality gap, in units of the objective; None of ridge.")
    deviance_explained = _figure("deviance_explained", "Share of the deviance explained on the rows of the fit.")

    def __init__(self, path):
        self.path = path
        self.alpha = float(path.alphas[0])
        self.certified_from = str(path.certified_from[0])

    @property
    def coef(self):
        """Coefficients as an array."""
        return np.asarray(self.path.coefs)[..., 0]

    def __repr__(self):
        used = np.array2string(np.asarray(self.df), precision=4, separator=", ")
        what = "effective degrees of freedom" if self.path.dual_gaps is None else "non-zero coefficients"
        explained = self.deviance_explained
        share = "" if explained is None or np.any(np.isnan(explained)) else (
            f", explains {np.array2string(np.asarray(explained), precision=4, separator=', ')}")
        return f"PathPoint(alpha={self.alpha:.6g}: {used} {what}{share})"

    def decision_function(self, X, offset=None):
        """The linear predictor ``X w + b + offset``.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        {glm.offset}

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        return self.path.decision_function(X, self.alpha, offset=offset)

    def predict(self, X, offset=None):
        """Means of y, or labels where the loss is one of classes.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        {glm.offset}

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        return self.path.predict(X, self.alpha, offset=offset)

    def predict_proba(self, X, offset=None):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        {glm.offset}

        Returns
        -------
        ndarray of shape (n_samples, n_classes)

        Raises
        ------
        ValueError
            If the loss is not a likelihood of classes.
        """
        return self.path.predict_proba(X, self.alpha, offset=offset)

    def score(self, X, y, sample_weight=None, offset=None):
        """Share of the deviance of y that is explained, beyond the best constant: R2, of the squared loss.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), float or None
        {glm.offset}

        Returns
        -------
        float or ndarray of shape (n_targets,)
        """
        return self.path.score(X, y, self.alpha, sample_weight, offset)
