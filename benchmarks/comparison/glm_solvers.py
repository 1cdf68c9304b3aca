"""Solvers of generalised linear models: adapters as those of `solvers`, for tasks of labels, counts and amounts.

y is -1 or 1 for the logistic loss; alphas are of the mean loss.
"""

from functools import lru_cache

import numpy as np
from scipy import sparse

from . import glmnet
from .solvers import ABSENT, GAP_LADDER, MAX_ITER, OWN, STEP_LADDER, accepts_all, adapter, glum_refuses
from .tasks import POWERS, Answer

PATHS = ("logistic_path", "poisson_path")
FITS = ("logistic_fit", "logistic_l2")
AMOUNT_PATHS = ("gamma_path", "tweedie_path")
AMOUNT_FITS = ("gamma_l2", "tweedie_l2")
# Of gradients, or of the gap relative to half the null deviance.
GRADIENT_LADDER = tuple(10.0**-k for k in range(2, 13))
NEWTON_COLUMNS = 5000

ABSENT |= {
    "celer logistic": "it fits no intercept",
    "liblinear logistic": "it penalises the intercept: another problem",
    "skglm logistic_l2": "its smooth solver penalises the intercept",
    "scikit-learn poisson_path, gamma_path, tweedie_path": "no l1 penalty but for the squared and the logistic loss",
    "adelie, skglm gamma, tweedie": "they have no such loss with an intercept",
    "snapml logistic": "it penalises the intercept, or ignores fit_intercept",
    "glmnet gamma, tweedie": "their deviances are written in R there",
    "adelie, glum, skglm, snapml classes": "they have no softmax whose every coefficient is penalised alone",
}


def warm_fits(problem, fit):
    """The answer of fit(alpha) -> (coefficients, intercept), one penalty after the other."""
    coefs, intercepts = np.empty((problem.X.shape[1], len(problem.alphas)), order="F"), []
    for k, alpha in enumerate(problem.alphas):
        coef, intercept = fit(alpha)
        coefs[:, k] = np.ravel(coef)
        intercepts.append(float(np.ravel(intercept)[0]))
    return Answer(coefs, np.array(intercepts), problem.alphas)


@adapter(OWN, *PATHS, *AMOUNT_PATHS, ladder=GRADIENT_LADDER)
def fastreg_path(problem, tol):
    import fastreg

    path = fastreg.regularization_path(
        problem.X, problem.y, datafit=problem.loss, l1_ratio=problem.l1_ratio, alphas=problem.alphas, tol=tol
    )
    return Answer(path.coefs, path.intercepts, path.alphas)


@adapter(OWN, *FITS, ladder=GRADIENT_LADDER)
def fastreg_fit(problem, tol):
    import fastreg

    return logistic(problem, fastreg.LogisticRegression(l1_ratio=problem.l1_ratio, tol=tol), problem.X)


@adapter(OWN, *AMOUNT_FITS, ladder=GRADIENT_LADDER)
def fastreg_amounts(problem, tol):
    import fastreg

    return amounts(problem, fastreg.TweedieRegressor(power=POWERS[problem.loss], tol=tol))


def amounts(problem, model):
    """The answer of an estimator of amounts."""

    def fit(alpha):
        model.set_params(alpha=alpha).fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return warm_fits(problem, fit)


@adapter("scikit-learn", *AMOUNT_FITS, ladder=GRADIENT_LADDER)
def scikit_learn_amounts(problem, tol):
    from sklearn.linear_model import TweedieRegressor

    return amounts(problem, TweedieRegressor(power=POWERS[problem.loss], tol=tol, max_iter=MAX_ITER))


@lru_cache(maxsize=1)
def rows(problem):
    """X in the layout that scikit-learn's saga wants; `prepare` makes it before the clock runs."""
    return sparse.csr_matrix(problem.X) if problem.sparse else np.ascontiguousarray(problem.X)


def logistic(problem, model, X):
    """The answer of an estimator whose C is that of a sum of losses."""

    def fit(alpha):
        model.C = 1 / (len(problem.y) * alpha)
        model.fit(X, problem.y)
        return model.coef_, model.intercept_

    return warm_fits(problem, fit)


@adapter("scikit-learn", "logistic_path", "logistic_fit", ladder=GRADIENT_LADDER, prepare=rows)
def scikit_learn_saga(problem, tol):
    from sklearn.linear_model import LogisticRegression

    options = {"l1_ratio": problem.l1_ratio, "tol": tol, "max_iter": MAX_ITER, "random_state": 0}
    return logistic(problem, LogisticRegression(solver="saga", warm_start=True, **options), rows(problem))


@adapter("scikit-learn", "logistic_l2", ladder=GRADIENT_LADDER)
def scikit_learn_lbfgs(problem, tol):
    from sklearn.linear_model import LogisticRegression

    return logistic(problem, LogisticRegression(tol=tol, max_iter=MAX_ITER), problem.X)


def many_columns(problem):
    """Why a Newton method on all columns cannot take the problem."""
    return "forms a dense matrix of all columns" if problem.X.shape[1] > NEWTON_COLUMNS else ""


@adapter("scikit-learn newton", "logistic_l2", ladder=GRADIENT_LADDER, refuses=many_columns)
def scikit_learn_newton(problem, tol):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="newton-cholesky", tol=tol, max_iter=MAX_ITER)
    return logistic(problem, model, problem.X)


@adapter("scikit-learn newton", *AMOUNT_FITS, ladder=GRADIENT_LADDER, refuses=many_columns)
def scikit_learn_amounts_newton(problem, tol):
    from sklearn.linear_model import TweedieRegressor

    model = TweedieRegressor(power=POWERS[problem.loss], solver="newton-cholesky", tol=tol, max_iter=MAX_ITER)
    return amounts(problem, model)


def sparse_counts(problem):
    """Why skglm cannot take the problem."""
    wrong = problem.sparse and problem.loss == "poisson"
    return "its gradient of sparse Poisson problems is wrong" if wrong else ""


def flat(coefs, intercepts, alphas):
    """The answer of one (K, p) array of coefficients and K intercepts for each penalty."""
    return Answer(np.column_stack([np.ravel(W) for W in coefs]), np.column_stack(intercepts), alphas)


@adapter(OWN, "classes_path", ladder=GRADIENT_LADDER)
def fastreg_classes_path(problem, tol):
    import fastreg

    path = fastreg.regularization_path(
        problem.X, problem.y, datafit=problem.loss, l1_ratio=problem.l1_ratio, alphas=problem.alphas, tol=tol
    )
    return Answer(sparse.vstack([sparse.csc_array(part) for part in path.coefs]), path.intercepts, path.alphas)


def classes_fits(problem, model, X):
    """The answer of an estimator whose C is that of a sum of losses, of several classes."""
    coefs, intercepts = [], []
    for alpha in problem.alphas:
        model.C = 1 / (len(problem.y) * alpha)
        model.fit(X, problem.y)
        coefs.append(model.coef_.copy())
        intercepts.append(model.intercept_.copy())
    return flat(coefs, intercepts, problem.alphas)


@adapter(OWN, "classes_l2", ladder=GRADIENT_LADDER)
def fastreg_classes(problem, tol):
    import fastreg

    return classes_fits(problem, fastreg.LogisticRegression(tol=tol), problem.X)


@adapter("scikit-learn", "classes_path", ladder=GRADIENT_LADDER, prepare=rows)
def scikit_learn_classes_saga(problem, tol):
    from sklearn.linear_model import LogisticRegression

    options = {"l1_ratio": problem.l1_ratio, "tol": tol, "max_iter": MAX_ITER, "random_state": 0, "warm_start": True}
    return classes_fits(problem, LogisticRegression(solver="saga", **options), rows(problem))


def classes_by(solver):
    """An adapter of scikit-learn's LogisticRegression with one of its solvers."""

    def run(problem, tol):
        from sklearn.linear_model import LogisticRegression

        return classes_fits(problem, LogisticRegression(solver=solver, tol=tol, max_iter=MAX_ITER), problem.X)

    return run


def classes_cv(problem, LogisticRegressionCV, **options):
    """The answer of a class that chooses C by folds."""
    Cs = 1 / (len(problem.y) * problem.alphas)
    model = LogisticRegressionCV(Cs=Cs, cv=problem.folds, **options).fit(problem.X, problem.y)
    return flat([model.coef_], [model.intercept_], [1 / (len(problem.y) * np.ravel(model.C_)[0])])


def classes_cv_by(solver):
    """An adapter of scikit-learn's LogisticRegressionCV with one of its solvers."""

    def run(problem, tol):
        from sklearn.linear_model import LogisticRegressionCV

        options = {"solver": solver, "l1_ratios": (0.0,), "use_legacy_attributes": False, "scoring": "neg_log_loss"}
        return classes_cv(problem, LogisticRegressionCV, tol=tol, max_iter=MAX_ITER, **options)

    return run


@adapter(OWN, "classes_cv", ladder=GRADIENT_LADDER)
def fastreg_classes_cv(problem, tol):
    import fastreg

    return classes_cv(problem, fastreg.LogisticRegressionCV, tol=tol, scoring="neg_log_loss")


def many_coefficients(problem):
    """Why a Newton method on the coefficients of all classes cannot take the problem."""
    count = problem.X.shape[1] * len(np.unique(problem.y))
    return "forms a dense matrix of all coefficients" if count > 2 * NEWTON_COLUMNS else ""


for name, solver, refusal in (
    ("scikit-learn", "lbfgs", accepts_all),
    ("scikit-learn newton-cg", "newton-cg", accepts_all),
    ("scikit-learn newton", "newton-cholesky", many_coefficients),
):
    adapter(name, "classes_l2", ladder=GRADIENT_LADDER, refuses=refusal)(classes_by(solver))
    adapter(name, "classes_cv", ladder=GRADIENT_LADDER, refuses=refusal)(classes_cv_by(solver))


@adapter("skglm", *PATHS, "logistic_fit", ladder=GAP_LADDER, refuses=sparse_counts)
def skglm_path(problem, tol):
    import skglm

    options = {"tol": tol * problem.alphas[0], "warm_start": True, "max_iter": 200}
    if problem.loss == "logistic":
        model = skglm.SparseLogisticRegression(l1_ratio=problem.l1_ratio, max_epochs=MAX_ITER, **options)
    else:
        solver = skglm.solvers.ProxNewton(**options)
        model = skglm.GeneralizedLinearEstimator(skglm.datafits.Poisson(), skglm.penalties.L1(1.0), solver)

    def fit(alpha):
        if problem.loss == "logistic":
            model.alpha = alpha
        else:
            model.penalty = skglm.penalties.L1(alpha)
        model.fit(problem.X, problem.y)
        return model.coef_, model.intercept_

    return warm_fits(problem, fit)


@adapter("adelie", *PATHS, "logistic_fit", ladder=STEP_LADDER)
def adelie_path(problem, tol):
    import adelie

    matrix = (adelie.matrix.sparse if problem.sparse else adelie.matrix.dense)(
        problem.X, method="naive", n_threads=problem.threads
    )
    logistic_loss = problem.loss == "logistic"
    state = adelie.grpnet(
        matrix,
        adelie.glm.binomial((problem.y + 1) / 2) if logistic_loss else adelie.glm.poisson(problem.y),
        alpha=problem.l1_ratio,
        lmda_path=problem.alphas,
        tol=tol,
        irls_tol=tol,
        early_exit=False,
        progress_bar=False,
        n_threads=problem.threads,
        max_iters=10**7,
    )
    return Answer(sparse.csr_matrix(state.betas).T, state.intercepts, problem.alphas)


FAMILIES = {"logistic": "binomial", "poisson": "poisson", "gamma": "gamma", "tweedie(1.5)": "tweedie (1.5)"}


@adapter("glum", *PATHS, *FITS, *AMOUNT_PATHS, *AMOUNT_FITS, ladder=GRADIENT_LADDER, refuses=glum_refuses)
def glum_path(problem, tol):
    import glum

    y = (problem.y + 1) / 2 if problem.loss == "logistic" else problem.y
    options = {"family": FAMILIES[problem.loss], "l1_ratio": problem.l1_ratio, "max_iter": 10_000, "link": "auto"}
    if problem.loss in ("gamma", "tweedie(1.5)"):
        options["link"] = "log"
    options["gradient_tol"] = tol * (problem.alphas[0] if problem.l1_ratio else 1)
    if len(problem.alphas) == 1:
        model = glum.GeneralizedLinearRegressor(alpha=problem.alphas[0], **options).fit(problem.X, y)
        return Answer(model.coef_[:, None], np.atleast_1d(model.intercept_), problem.alphas)
    model = glum.GeneralizedLinearRegressor(alpha_search=True, alphas=problem.alphas, **options).fit(problem.X, y)
    return Answer(np.asarray(model.coef_path_).T, model.intercept_path_, problem.alphas)


adapter("glmnet", *PATHS, "logistic_fit", "classes_path", ladder=STEP_LADDER, prepare=glmnet.session)(glmnet.solve)
