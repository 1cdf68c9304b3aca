"""Every solver on every task it can do, in a few lines each; what it cannot do is said in `ABSENT` and by `refuses`.

An adapter takes a `Problem` and a tolerance and returns an `Answer`.  A ladder of tolerances, loosest first, goes with
it: what `tol` means differs between solvers, so each climbs until the judge is satisfied.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import numpy as np
from scipy import sparse

from . import glmnet
from .tasks import Answer

OWN = "fastreg"
# Relative to ||y||^2 (and 5e-7 is a relative gap of 1e-6), to the size of a gradient, or to the change in a step.
GAP_LADDER = tuple(5 * 10.0**-k for k in range(3, 12))
CELER_LADDER = tuple(5 * 10.0**-k for k in range(3, 15))  # its own gap is the smaller one
STEP_LADDER = tuple(10.0**-k for k in range(5, 17))
RIDGE_LADDER = tuple(10.0**-k for k in range(4, 14))
DIRECT = (0.0,)  # no tolerance: one run
MAX_ITER = 100_000


class Solver(NamedTuple):
    """A peer: the module to import and the distribution it comes from."""

    module: str | None
    distribution: str | None


class Adapter(NamedTuple):
    """How a solver does a task, its ladder, why it cannot take a problem (empty: it can), and what comes before."""

    run: object
    ladder: tuple
    refuses: object
    prepare: object


SOLVERS = {
    OWN: Solver("fastreg", "fastreg-solver"),
    "scikit-learn": Solver("sklearn.linear_model", "scikit-learn"),
    "scikit-learn cg": Solver("sklearn.linear_model", "scikit-learn"),
    "celer": Solver("celer", "celer"),
    "skglm": Solver("skglm", "skglm"),
    "adelie": Solver("adelie", "adelie"),
    "glmnet": Solver(None, None),
    "glum": Solver("glum", "glum"),
    "snapml": Solver("snapml", "snapml"),
    "himalaya": Solver("himalaya.ridge", "himalaya"),
}
ABSENT = {
    "liblinear": "its regression has the support-vector loss: not one of these tasks",
    "celer lasso_cv": "celer 0.7's LassoCV does not run with scikit-learn 1.9",
    "adelie lasso_cv": "cv_grpnet makes its own folds, and fits no final path on the given penalties",
    "skglm lasso_cv": "skglm 0.5 has no estimator that chooses alpha",
    "glmnet ridge": "coordinate descent only; meant for paths",
    "himalaya ridge_cv_loo": "it has folds only",
    "snapml paths": "no warm start; its l1 solver penalises the intercept",
}
ADAPTERS = {}


def accepts_all(problem):
    """Refuse nothing."""
    return ""


def nothing(problem):
    """Prepare nothing."""


def dense_only(problem):
    """Refuse sparse X."""
    return "takes no sparse X with an unpenalised intercept" if problem.sparse else ""


def adapter(solver, *tasks, ladder, refuses=accepts_all, prepare=nothing):
    """Register a function (problem, tol) -> Answer for a solver's tasks.

    Parameters
    ----------
    solver : str
        Its name; a new one is added to `SOLVERS`.
    *tasks : str
        Names from `tasks.TASKS`.
    ladder : tuple of float
        Tolerances, loosest first.
    refuses : callable, default=accepts_all
        Takes the problem; returns why it cannot be solved, empty if it can.
    prepare : callable, default=nothing
        Takes the problem; hands the data to another process, which is not part of the time.

    Returns
    -------
    callable
        The decorator.
    """
    SOLVERS.setdefault(solver, Solver(None, None))

    def register(run):
        ADAPTERS.update({(solver, task): Adapter(run, ladder, refuses, prepare) for task in tasks})
        return run

    return register


def missing(name):
    """Why a solver cannot be used here; empty if it can.

    Parameters
    ----------
    name : str
        A key of `SOLVERS`.

    Returns
    -------
    str
        The reason.
    """
    if name == "glmnet":
        return "" if glmnet.version() else "R or its package glmnet is not installed"
    if SOLVERS[name].module is None:
        return ""
    try:
        importlib.import_module(SOLVERS[name].module)
    except Exception as error:  # a broken installation is an absent one, whatever it raises
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


def installed_version(name):
    """Version of a solver.

    Parameters
    ----------
    name : str
        A key of `SOLVERS`.

    Returns
    -------
    str
        Empty where it has none.
    """
    if name == "glmnet":
        return glmnet.version() or ""
    distribution = SOLVERS[name].distribution
    try:
        return version(distribution) if distribution else ""
    except PackageNotFoundError:  # a source tree that is not installed
        return getattr(importlib.import_module(SOLVERS[name].module), "__version__", "")


# Paths -------------------------------------------------------------------------------------------------------------


@adapter(OWN, "lasso_path", "enet_path", ladder=GAP_LADDER)
def fastreg_path(problem, tol):
    import fastreg

    path = fastreg.regularization_path(problem.X, problem.y, l1_ratio=problem.l1_ratio, alphas=problem.alphas, tol=tol)
    return Answer(path.coefs, path.intercepts, path.alphas)


@adapter("scikit-learn", "lasso_path", "enet_path", ladder=GAP_LADDER)
def scikit_learn_path(problem, tol):
    from fastreg.cli.compare import scikit_learn_path as path

    return Answer(*path(problem.X, problem.y, problem.alphas, problem.l1_ratio, tol), problem.alphas)


def celer_refuses(problem):
    """celer has no elastic net on sparse X with an intercept that starts from the last alpha."""
    return "no elastic net on sparse X with an intercept" if problem.sparse and problem.l1_ratio != 1 else ""


@adapter("celer", "lasso_path", "enet_path", ladder=CELER_LADDER, refuses=celer_refuses)
def celer_path(problem, tol):
    import celer

    if problem.sparse:  # celer_path has no intercept, and centring would fill X
        return warm_fits(celer.Lasso(tol=tol, warm_start=True, max_iter=500, max_epochs=MAX_ITER), problem)
    y = problem.y - problem.y_mean
    params = {"l1_ratio": problem.l1_ratio, "alphas": problem.alphas, "tol": tol, "max_iter": 500}
    return problem.with_intercepts(celer.celer_path(problem.centred(), y, "lasso", **params)[1])


@adapter("skglm", "lasso_path", "enet_path", ladder=GAP_LADDER)
def skglm_path(problem, tol):
    import skglm

    # Its tol bounds a gradient: relative to alpha_max it means the same on every scale of y.
    params = {"tol": tol * problem.alphas[0], "warm_start": True, "max_iter": 200, "max_epochs": MAX_ITER}
    lasso = problem.l1_ratio == 1
    return warm_fits(skglm.Lasso(**params) if lasso else skglm.ElasticNet(l1_ratio=problem.l1_ratio, **params), problem)


def warm_fits(model, problem):
    """One estimator fitted along the path, each fit starting from the one before."""
    coefs, intercepts = np.empty((problem.X.shape[1], len(problem.alphas)), order="F"), []
    for k, alpha in enumerate(problem.alphas):
        model.alpha = alpha
        coefs[:, k] = model.fit(problem.X, problem.y).coef_
        intercepts.append(model.intercept_)
    return Answer(coefs, intercepts, problem.alphas)


@adapter("adelie", "lasso_path", "enet_path", "lasso_fit", ladder=STEP_LADDER)
def adelie_path(problem, tol):
    import adelie

    matrix = (adelie.matrix.sparse if problem.sparse else adelie.matrix.dense)(
        problem.X, method="naive", n_threads=problem.threads
    )
    state = adelie.grpnet(
        matrix,
        adelie.glm.gaussian(problem.y),
        alpha=problem.l1_ratio,
        lmda_path=problem.alphas,
        tol=tol,
        early_exit=False,
        progress_bar=False,
        n_threads=problem.threads,
        max_iters=10**7,
    )
    return Answer(sparse.csr_matrix(state.betas).T, state.intercepts, problem.alphas)


GLMNET_TASKS = ("lasso_path", "enet_path", "lasso_fit", "lasso_cv")
adapter("glmnet", *GLMNET_TASKS, ladder=STEP_LADDER, prepare=glmnet.session)(glmnet.solve)


def glum_refuses(problem):
    """glum forms the dense Hessian of all columns: hopeless beyond a few thousand of them."""
    return "forms a dense matrix of all columns" if problem.X.shape[1] > 2000 else ""


@adapter("glum", "lasso_path", "enet_path", "lasso_fit", ladder=GAP_LADDER, refuses=glum_refuses)
def glum_path(problem, tol):
    import glum

    model = glum.GeneralizedLinearRegressor(
        alpha_search=True, alphas=problem.alphas, l1_ratio=problem.l1_ratio, gradient_tol=tol * problem.alphas[0]
    ).fit(problem.X, problem.y)
    return Answer(np.asarray(model.coef_path_).T, model.intercept_path_, problem.alphas)


# One fit -----------------------------------------------------------------------------------------------------------


def one_fit(model, problem):
    """The answer of an estimator with a given alpha."""
    model.fit(problem.X, problem.y)
    return Answer(np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_), problem.alphas)


@adapter(OWN, "lasso_fit", ladder=GAP_LADDER)
def fastreg_fit(problem, tol):
    import fastreg

    return one_fit(fastreg.Lasso(problem.alphas[0], tol=tol), problem)


@adapter("scikit-learn", "lasso_fit", ladder=GAP_LADDER)
def scikit_learn_fit(problem, tol):
    from sklearn.linear_model import Lasso

    return one_fit(Lasso(alpha=problem.alphas[0], tol=tol, max_iter=MAX_ITER), problem)


@adapter("celer", "lasso_fit", ladder=CELER_LADDER)
def celer_fit(problem, tol):
    import celer

    return one_fit(celer.Lasso(alpha=problem.alphas[0], tol=tol, max_iter=500, max_epochs=MAX_ITER), problem)


@adapter("skglm", "lasso_fit", ladder=GAP_LADDER)
def skglm_fit(problem, tol):
    import skglm

    alpha = problem.alphas[0]
    return one_fit(skglm.Lasso(alpha=alpha, tol=tol * alpha, max_iter=200, max_epochs=MAX_ITER), problem)


# Choosing alpha ----------------------------------------------------------------------------------------------------


def chosen(model, problem):
    """The answer of a cross-validated estimator: the fit of all rows at its alpha."""
    model.fit(problem.X, problem.y)
    return Answer(np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_), [model.alpha_])


@adapter(OWN, "lasso_cv", ladder=GAP_LADDER)
def fastreg_lasso_cv(problem, tol):
    import fastreg

    return chosen(fastreg.LassoCV(alphas=problem.alphas, cv=problem.folds, tol=tol), problem)


@adapter("scikit-learn", "lasso_cv", ladder=GAP_LADDER)
def scikit_learn_lasso_cv(problem, tol):
    from sklearn.linear_model import LassoCV

    return chosen(LassoCV(alphas=problem.alphas, cv=problem.folds, tol=tol, max_iter=MAX_ITER), problem)


@adapter(OWN, "ridge_cv_loo", "ridge_cv_folds", ladder=DIRECT)
def fastreg_ridge_cv(problem, tol):
    import fastreg

    return chosen(fastreg.RidgeCV(problem.alphas, cv=problem.folds), problem)


@adapter("scikit-learn", "ridge_cv_loo", "ridge_cv_folds", ladder=DIRECT)
def scikit_learn_ridge_cv(problem, tol):
    from sklearn.linear_model import RidgeCV

    return chosen(RidgeCV(problem.alphas, cv=problem.folds), problem)


@adapter("himalaya", "ridge_cv_folds", ladder=DIRECT, refuses=dense_only)
def himalaya_ridge_cv(problem, tol):
    from himalaya.ridge import RidgeCV
    from sklearn.model_selection import PredefinedSplit

    number = np.empty(len(problem.y), dtype=int)
    for k, (_, test) in enumerate(problem.folds):
        number[test] = k
    model = RidgeCV(problem.alphas, fit_intercept=True, cv=PredefinedSplit(number)).fit(problem.X, problem.y)
    return Answer(model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_), np.atleast_1d(model.best_alphas_))


# Ridge -------------------------------------------------------------------------------------------------------------


@adapter(OWN, "ridge_fit", "ridge_targets", ladder=RIDGE_LADDER)
def fastreg_ridge(problem, tol):
    import fastreg

    return one_fit(fastreg.Ridge(problem.alphas[0], tol=tol), problem)


@adapter("scikit-learn", "ridge_fit", "ridge_targets", ladder=RIDGE_LADDER)
def scikit_learn_ridge(problem, tol):
    """Its own choice: Cholesky for dense X, conjugate gradients for sparse X."""
    from sklearn.linear_model import Ridge

    return one_fit(Ridge(problem.alphas[0], tol=tol), problem)


@adapter("scikit-learn cg", "ridge_fit", ladder=RIDGE_LADDER, refuses=lambda p: "its own choice" if p.sparse else "")
def scikit_learn_ridge_cg(problem, tol):
    from sklearn.linear_model import Ridge

    return one_fit(Ridge(problem.alphas[0], tol=tol, solver="sparse_cg"), problem)


@adapter("glum", "ridge_fit", ladder=RIDGE_LADDER, refuses=glum_refuses)
def glum_ridge(problem, tol):
    import glum

    alpha = problem.alphas[0] / len(problem.y)
    return one_fit(glum.GeneralizedLinearRegressor(alpha=alpha, l1_ratio=0, gradient_tol=tol), problem)


@adapter("snapml", "ridge_fit", ladder=RIDGE_LADDER, refuses=dense_only)
def snapml_ridge(problem, tol):
    import snapml

    # It penalises its intercept: X and y are centred for it.
    model = snapml.LinearRegression(
        regularizer=problem.alphas[0],
        tol=tol,
        max_iter=MAX_ITER,
        dual=True,
        fit_intercept=False,
        n_jobs=problem.threads,
    )
    model.fit(np.ascontiguousarray(problem.X - problem.x_mean), problem.y - problem.y_mean)
    return problem.with_intercepts(np.reshape(model.coef_, (-1, 1)))


@adapter("himalaya", "ridge_fit", "ridge_targets", ladder=DIRECT, refuses=dense_only)
def himalaya_ridge(problem, tol):
    from himalaya.ridge import Ridge

    model = Ridge(problem.alphas[0], fit_intercept=True).fit(problem.X, problem.y)
    coefs = model.coef_.reshape(problem.X.shape[1], -1)
    return Answer(coefs, np.atleast_1d(model.intercept_), problem.alphas)
