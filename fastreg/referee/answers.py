"""What estimators and paths minimise, and what they found: by the names of their classes and attributes."""
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

# Estimators that minimise halved means of squares, and those of sums; the others, with their losses.
OF_MEANS = {"ElasticNet", "ElasticNetCV", "Lasso", "LassoCV"}
OF_SUMS = {"LinearRegression", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV"}
LOGISTIC = {"LogisticRegression", "LogisticRegressionCV"}
OF_LOSSES = dict.fromkeys(LOGISTIC, "logistic") | {
    f"{name}Regressor{cv}": name.lower() for name in ("Poisson", "Gamma", "Tweedie", "GeneralizedLinear")
    for cv in ("", "CV")}
KNOWN = OF_MEANS | OF_SUMS | set(OF_LOSSES) | {"HuberRegressor"}
ITERATIVE = {"sparse_cg", "lsqr", "sag", "saga", "lbfgs"}
# The gap, relative to that of the null fit, of an answer that is exact to rounding: its fitted values have six digits.
EXACT = 1e-12


@dataclass
class Answer:
    """What is to be judged, and by what.

    Attributes
    ----------
    coefs : ndarray of shape (n_alphas, n_targets, p)
    intercepts, alphas, l1_ratios : ndarray of shape (n_alphas, n_targets)
    asked : dict
        Arguments by their names, as `problem.terms_of` reads them.
    tol : float
        What was promised.
    many : bool
        Whether alphas are an axis of the result.
    doubled : bool
        Whether the objective is twice P, rather than a mean.
    loss : str or object
        'quadratic', 'multinomial', 'concomitant' (Huber's, with a scale), or what `losses.loss_named` knows.
    classes : ndarray or None
        The labels: of two classes those that -1 and 1 stand for.
    """

    coefs: np.ndarray
    intercepts: np.ndarray
    alphas: np.ndarray
    l1_ratios: np.ndarray
    asked: dict
    tol: float
    many: bool = False
    doubled: bool = False
    loss: str = "quadratic"
    classes: np.ndarray | None = None


def of_model(model, alpha):
    """Answer of an estimator, or of a path at some alphas.

    Parameters
    ----------
    model : estimator or path
    alpha : float, array-like or None

    Returns
    -------
    Answer

    Raises
    ------
    ValueError, TypeError
        Where there is none, or none that minimises what is known.
    """
    if hasattr(model, "coefs") and hasattr(model, "params"):
        return _of_path(model, alpha)
    if not hasattr(model, "get_params"):
        raise TypeError(f"model must be a fitted estimator or a path with coefficients, got {type(model).__name__}.")
    if alpha is not None:
        if not hasattr(model, "path_"):
            raise ValueError("alpha is for paths, and for estimators that kept theirs (keep_paths=True); this model "
                             "was fitted at one alpha: leave it out.")
        answer = _of_path(model.path_, alpha)
        answer.classes = getattr(model, "classes_", answer.classes)
        return answer
    names = {cls.__name__ for cls in type(model).__mro__}
    if not names & KNOWN or any(name.startswith("MultiTask") for name in names):
        raise TypeError(f"model must be one of {', '.join(sorted(KNOWN))} or a path, got {type(model).__name__}.")
    check_is_fitted(model, "coef_", msg="This %(name)s instance has no coef_: fit it, with refit=True.")
    if np.any(np.asarray(getattr(model, "gamma_", 1.0)) != 1):
        raise ValueError("a relaxed fit (gamma_ < 1) minimises no penalised objective: certify its path_ instead "
                         "(keep_paths=True).")
    if "HuberRegressor" in names:
        return _of_scale(model)
    losses = [OF_LOSSES[name] for name in names & set(OF_LOSSES)]
    return _of_loss(model, losses[0]) if losses else _of_squares(model, names)


def _of_path(path, alpha):
    wanted = np.atleast_1d(path.alphas[-1] if alpha is None else np.asarray(alpha, dtype=np.float64))
    if wanted.ndim != 1 or not np.all(np.isfinite(wanted)) or np.any(wanted < 0):
        raise ValueError(f"alpha must be a number or a one-dimensional array, finite and not negative, got {alpha!r}.")
    asked = dict(path.params)
    asked["mean"] = "l1_ratio" in asked
    coefs, intercepts = map(np.asarray, path.coef_at(wanted))
    coefs = coefs.reshape(-1, *coefs.shape[-2:]).transpose(2, 0, 1)
    intercepts = np.atleast_2d(intercepts).T
    shape = coefs.shape[:2]
    return Answer(coefs, intercepts, np.broadcast_to(wanted[:, None], shape),
                  np.full(shape, asked.get("l1_ratio", 0.0)), asked, asked.get("tol", EXACT), np.ndim(alpha) > 0,
                  not asked["mean"], getattr(path, "datafit", "quadratic"), getattr(path, "classes", None))


def _answer(model, alphas, ratios, asked, tol, **more):
    """Answer of an estimator, with one alpha and l1_ratio for all of its targets or one for each."""
    coefs = np.atleast_2d(model.coef_.toarray() if sp.issparse(model.coef_) else np.asarray(model.coef_))
    shape = 1, len(coefs)
    return Answer(coefs[None], *(np.broadcast_to(np.asarray(values, dtype=np.float64), shape)
                                 for values in (np.ravel(model.intercept_), alphas, ratios)), asked, tol, **more)


def _of_squares(model, names):
    mean = bool(names & OF_MEANS)
    asked = model.get_params(deep=False) | {"mean": mean}
    alphas = getattr(model, "alpha_", asked.get("alpha", 0.0))
    ratios = getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 1.0)) if mean else 0.0
    iterative = mean or getattr(model, "solver_", None) in ITERATIVE
    if "LinearRegression" in names and "tol" in asked:          # by conjugate gradients, where X is sparse
        iterative = not (asked["positive"] or hasattr(model, "singular_"))
    return _answer(model, alphas, ratios, asked, asked["tol"] if iterative else EXACT, doubled=not mean)


def _of_scale(model):
    asked = model.get_params(deep=False) | {"mean": False, "scale": float(model.scale_)}
    return _answer(model, asked["alpha"], asked.get("l1_ratio", 0.0), asked, asked["tol"], loss="concomitant")


def _of_power(power, link):
    """The loss of a Tweedie regression."""
    log = link == "log" or (link == "auto" and power > 0)
    if power == 0 and not log:
        return "quadratic"
    if not log:
        raise ValueError(f"power={power} with link={link!r} is not judged: link='log' is, and power=0 with "
                         "link='identity'.")
    return {1: "poisson", 2: "gamma"}.get(power, f"tweedie({float(power)!r})")


def _of_loss(model, loss):
    asked = model.get_params(deep=False)
    if loss != "logistic":
        asked["mean"] = True
        if loss == "generalizedlinear":
            loss = asked["datafit"] if hasattr(asked["datafit"], "given") else getattr(
                asked["datafit"], "name", asked["datafit"])
        if loss == "tweedie":
            loss = _of_power(asked["power"], asked["link"])
        ratio = getattr(model, "l1_ratio_", asked.get("l1_ratio", 0.0))
        return _answer(model, getattr(model, "alpha_", asked.get("alpha")), ratio, asked, asked["tol"], loss=loss)
    of_scikit_learn = any(cls.__name__ in LOGISTIC and cls.__module__.startswith("sklearn.")
                          for cls in type(model).__mro__)
    if of_scikit_learn and asked["solver"] == "liblinear" and asked["fit_intercept"]:
        raise ValueError("solver='liblinear' of scikit-learn penalises the intercept, as no other does: that objective "
                         "is not judged. Use fit_intercept=False, or another solver.")
    asked["mean"] = False                                      # C is of a sum
    C, ratio = (np.ravel(getattr(model, f"{name}_", asked.get(name))) for name in ("C", "l1_ratio"))
    penalty = asked.get("penalty", "deprecated")               # scikit-learn's older names
    if penalty in (None, "l1", "l2"):
        ratio = np.array([float(penalty == "l1")])
    if penalty is None:
        C = np.inf
    ratio = np.nan_to_num(np.asarray(ratio, dtype=np.float64))   # None, of penalties that had no ratio
    loss = "logistic" if len(model.classes_) == 2 else "multinomial"
    return _answer(model, 1 / np.asarray(C, dtype=np.float64), ratio, asked, asked["tol"], loss=loss,
                   classes=model.classes_)
