"""The arguments of R's glmnet in ours, and ours in its: the same objective in two notations."""
import numpy as np
from sklearn.utils.validation import column_or_1d

from fastreg.checks import check_choice, check_flag, check_number, check_per_feature, check_weight
from fastreg.inputs import as_floats
from fastreg.parameters import documented

DATAFITS = {"gaussian": "quadratic", "binomial": "logistic", "poisson": "poisson"}
FAMILIES = {datafit: family for family, datafit in DATAFITS.items()}


@documented
def from_glmnet(family="gaussian", *, alpha=1.0, lambda_, y=None, sample_weight=None, standardize=True, thresh=1e-7,
                penalty_factor=None):
    """The arguments of `regularization_path` that ask for what ``glmnet(x, y, ...)`` in R solves.

    glmnet minimises, for every lambda::

        1 / sum_i s_i * sum_i s_i L(y_i, x_i w + b) + lambda * sum_j f_j (alpha * |w_j| + (1 - alpha) / 2 * w_j^2)

    w_j counting in units of 1 / (standard deviation of column j) with `standardize`; but its Gaussian family first
    divides y by its standard deviation sd (by n), and lambda as well, so that the second part of the penalty is
    ``lambda / sd * (1 - alpha) / 2 * w_j^2``. Penalty factors are brought to a mean of 1.

    Parameters
    ----------
    family : {'gaussian', 'binomial', 'poisson'}, default='gaussian'
    alpha : float in [0, 1], default=1.0
        Of glmnet: 1 is the lasso, 0 ridge.
    lambda_ : float or array-like of shape (n_lambdas,)
        Of glmnet, decreasing.
    y : array-like of shape (n_samples,) or None
        The target, of which the Gaussian family with ``alpha < 1`` asks for the standard deviation.
    {glmnet.sample_weight}
    standardize : bool, default=True
        glmnet's default; ours is False.
    thresh : float, default=1e-7
        glmnet ends when no coefficient would improve the objective by more than this share of the null deviance, which
        bounds no gap. Ours is asked to come as near: `tol` is the same number.
    penalty_factor : array-like of shape (n_features,) or None
        Infinite: left out.

    Returns
    -------
    dict
        datafit, alphas (of shape (n_lambdas,)), l1_ratio, standardize, tol, and penalty_factor where it was given. C of
        `LogisticRegression` is ``1 / (alphas * sum of weights)``.

    Raises
    ------
    {ValueError}

    See Also
    --------
    to_glmnet : The way back.

    References
    ----------
    Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent",
    J. Stat. Softw. 33 (2010); the vignette "An introduction to glmnet" on the units of lambda.

    Examples
    --------
    >>> from fastreg import from_glmnet
    >>> from_glmnet("binomial", alpha=0.5, lambda_=[0.1, 0.05])["alphas"].tolist()
    [0.1, 0.05]
    """
    datafit = DATAFITS[check_choice(family, "family", tuple(DATAFITS))]
    share = check_number(alpha, "alpha", 0, 1)
    lambdas, sd = _penalties(lambda_, "lambda_"), _unit(datafit, share, y, sample_weight)
    second = (1 - share) / sd
    out = {"datafit": datafit, "alphas": lambdas * (share + second), "l1_ratio": share / (share + second),
           "standardize": check_flag(standardize, "standardize"), "tol": check_number(thresh, "thresh", 0)}
    if penalty_factor is not None:
        factor = _factors(penalty_factor)
        on = np.isfinite(factor)
        out["penalty_factor"] = np.where(on, factor, np.inf) * (np.count_nonzero(on) / factor[on].sum())
    return out


@documented
def to_glmnet(datafit="quadratic", *, alphas, l1_ratio=1.0, y=None, sample_weight=None, standardize=False, tol=1e-4,
              penalty_factor=None):
    """The arguments of ``glmnet`` in R that ask for what `regularization_path` solves.

    Parameters
    ----------
    datafit : {'quadratic', 'logistic', 'poisson'}, default='quadratic'
    alphas : float or array-like of shape (n_alphas,)
    l1_ratio : float in [0, 1], default=1.0
    y : array-like of shape (n_samples,) or None
        The target, of which the squared loss with ``l1_ratio < 1`` asks for the standard deviation.
    {glmnet.sample_weight}
    standardize : bool, default=False
    tol : float, default=1e-4
        Becomes `thresh`, which bounds no gap: see `from_glmnet`.
    penalty_factor : array-like of shape (n_features,) or None
        Infinite: left out. Their mean goes into lambda, as glmnet takes it away.

    Returns
    -------
    dict
        family, alpha, lambda (of shape (n_alphas,)), standardize, thresh, and penalty.factor where it was given.

    Raises
    ------
    {ValueError}

    See Also
    --------
    from_glmnet : The other way, and the objective of glmnet.

    Examples
    --------
    >>> from fastreg import to_glmnet
    >>> asked = to_glmnet("logistic", alphas=0.1, l1_ratio=0.5)
    >>> asked["family"], asked["alpha"], asked["lambda"].tolist()
    ('binomial', 0.5, [0.1])
    """
    family = FAMILIES[check_choice(datafit, "datafit", tuple(FAMILIES))]
    share = check_number(l1_ratio, "l1_ratio", 0, 1)
    alphas, sd = _penalties(alphas, "alphas"), _unit(datafit, share, y, sample_weight)
    both = share + (1 - share) * sd
    out = {"family": family, "alpha": share / both, "lambda": alphas * both,
           "standardize": check_flag(standardize, "standardize"), "thresh": check_number(tol, "tol", 0)}
    if penalty_factor is not None:
        factor = _factors(penalty_factor)
        out["penalty.factor"] = factor
        out["lambda"] = out["lambda"] * factor[np.isfinite(factor)].mean()
    return out


def _penalties(values, name):
    """Penalties as an array."""
    values = np.atleast_1d(check_per_feature(values, name, np.size(values), None))
    if not (np.isfinite(values).all() and np.all(values >= 0)):
        raise ValueError(f"{name} must be finite and not negative, got {values}.")
    return values


def _factors(values):
    """Penalty factors, of which some are finite and more than zero."""
    factor = check_per_feature(values, "penalty_factor", np.size(values), None)
    if np.any(factor < 0) or not np.any((factor > 0) & np.isfinite(factor)):
        raise ValueError("penalty_factor must not be negative, and some must be finite and more than 0.")
    return factor


def _unit(datafit, share, y, sample_weight):
    """What glmnet divides y by, where it makes a difference; otherwise 1."""
    if datafit != "quadratic" or share == 1:
        return 1.0
    if y is None:
        raise ValueError("y must be given: glmnet's Gaussian family measures the L2 penalty in its standard deviation.")
    y = column_or_1d(as_floats(y, "y")).astype(np.float64)
    weight = check_weight(sample_weight, len(y))
    sd = np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
    if not (np.isfinite(sd) and sd > 0):
        raise ValueError(f"y must be finite and not constant, got a standard deviation of {sd:g}.")
    return float(sd)
