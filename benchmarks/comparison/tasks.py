"""What is solved, and how an answer is judged: float64 NumPy, and no solver is believed."""

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.model_selection import KFold

from fastreg.referee import Referee

from ..workloads import alpha_max, load

GAP = "duality gap"
COEFFICIENTS = "error of the coefficients"


class Task(NamedTuple):
    """One kind of work: how the data lie, what is judged, its parameters, and those of a toy run."""

    title: str
    layout: str
    measure: str
    params: dict
    toy: dict


PATH = {"n_alphas": 100, "eps": 0.01}
GLM_PATH = {"n_alphas": 50, "eps": 0.01}
TASKS = {
    "lasso_path": Task("Lasso paths", "columns", GAP, {"l1_ratio": 1.0, **PATH}, {"n_alphas": 5, "eps": 0.1}),
    "enet_path": Task("Elastic-net paths", "columns", GAP, {"l1_ratio": 0.5, **PATH}, {"n_alphas": 5, "eps": 0.1}),
    "lasso_fit": Task("One lasso fit", "columns", GAP, {"l1_ratio": 1.0, "n_alphas": 1, "eps": 0.1}, {}),
    "lasso_cv": Task(
        "Lasso by cross-validation", "columns", GAP, {"l1_ratio": 1.0, **PATH, "folds": 5}, {"n_alphas": 5, "folds": 3}
    ),
    "ridge_fit": Task("Ridge", "rows", COEFFICIENTS, {"alpha": 1.0}, {}),
    "ridge_targets": Task("Ridge, many targets", "rows", COEFFICIENTS, {"alpha": 1.0, "targets": 100}, {"targets": 3}),
    "ridge_cv_loo": Task("Ridge by leave-one-out", "rows", COEFFICIENTS, {"n_alphas": 100}, {"n_alphas": 5}),
    "ridge_cv_folds": Task(
        "Ridge by folds", "rows", COEFFICIENTS, {"n_alphas": 100, "folds": 5}, {"n_alphas": 5, "folds": 3}
    ),
    "logistic_path": Task(
        "Logistic paths", "columns", GAP, {"loss": "logistic", "l1_ratio": 1.0, **GLM_PATH}, {"n_alphas": 5, "eps": 0.1}
    ),
    "logistic_fit": Task(
        "One logistic fit, l1", "columns", GAP, {"loss": "logistic", "l1_ratio": 1.0, "n_alphas": 1, "eps": 0.02}, {}
    ),
    "logistic_l2": Task(
        "One logistic fit, l2", "rows", GAP, {"loss": "logistic", "l1_ratio": 0.0, "n_alphas": 1, "C": 1.0}, {}
    ),
    "poisson_path": Task(
        "Poisson paths", "columns", GAP, {"loss": "poisson", "l1_ratio": 1.0, **GLM_PATH}, {"n_alphas": 5, "eps": 0.1}
    ),
    "gamma_path": Task(
        "Gamma paths", "columns", GAP, {"loss": "gamma", "l1_ratio": 1.0, **GLM_PATH}, {"n_alphas": 5, "eps": 0.1}
    ),
    "tweedie_path": Task(
        "Tweedie paths, power 1.5", "columns", GAP, {"loss": "tweedie(1.5)", "l1_ratio": 1.0, **GLM_PATH},
        {"n_alphas": 5, "eps": 0.1}
    ),
    "gamma_l2": Task(
        "One gamma fit, l2", "rows", GAP, {"loss": "gamma", "l1_ratio": 0.0, "n_alphas": 1, "C": 1.0}, {}
    ),
    "tweedie_l2": Task(
        "One Tweedie fit, power 1.5, l2", "rows", GAP,
        {"loss": "tweedie(1.5)", "l1_ratio": 0.0, "n_alphas": 1, "C": 1.0}, {}
    ),
    "classes_path": Task(
        "Paths of several classes", "columns", GAP, {"loss": "multinomial", "l1_ratio": 1.0, **GLM_PATH},
        {"n_alphas": 5, "eps": 0.1}
    ),
    "classes_l2": Task(
        "One fit of several classes, l2", "rows", GAP,
        {"loss": "multinomial", "l1_ratio": 0.0, "n_alphas": 1, "C": 1.0}, {}
    ),
    "classes_cv": Task(
        "Several classes by cross-validation, l2", "rows", GAP,
        {"loss": "multinomial", "l1_ratio": 0.0, "Cs": 10, "folds": 5}, {"Cs": 3, "folds": 3}
    ),
}
# Task, data, and what differs from the task's parameters.  The sizes keep a whole run within half an hour.
DEFAULT_ROWS = [
    *(
        ("lasso_path", data, {})
        for data in (
            "leukemia_golub72",
            "riboflavin",
            "arcene",
            "wide",
            "widehard",
            "square",
            "tall",
            "covtype_binary",
            "reuters21578_tfidf",
            "dorothea",
            "imdb_train_tfidf",
        )
    ),
    ("lasso_path", "news20_train_bigram", {"eps": 0.03}),
    *(("enet_path", data, {}) for data in ("wide", "imdb_train_tfidf")),
    *(("lasso_fit", data, {}) for data in ("diabetes", "leukemia_golub72", "wide", "imdb_train_tfidf")),
    *(("lasso_cv", data, {}) for data in ("diabetes", "california_housing", "leukemia_golub72", "tall")),
    *(
        ("ridge_fit", data, {})
        for data in ("covtype_elevation", "fashion_mnist_255", "leukemia_golub72", "lung_gordon", "arcene", "gauss2000")
    ),
    *(
        ("ridge_fit", data, {"alpha": alpha})
        for data in ("bemtpl97_onehot", "movielens_small_onehot", "imdb_train_tfidf", "news20_train_bigram")
        for alpha in (1e-3, 1.0, 1e3)
    ),
    *(("ridge_targets", data, {}) for data in ("leukemia_golub72", "gauss300", "bemtpl97_onehot")),
    *(("ridge_cv_loo", data, {}) for data in ("leukemia_golub72", "gauss300", "covtype_elevation")),
    *(("ridge_cv_folds", data, {}) for data in ("leukemia_golub72", "gauss300")),
    *(
        ("logistic_path", data, {})
        for data in ("leukemia_unit", "spambase_unit", "a9a", "reuters21578_tfidf", "dorothea")
    ),
    *(("logistic_fit", data, {}) for data in ("leukemia_unit", "a9a", "reuters21578_tfidf")),
    *(
        ("logistic_l2", data, {"C": C})
        for data in ("leukemia_unit", "spambase_unit", "a9a", "reuters21578_tfidf", "imdb_train_tfidf",
                     "news20_train_bigram")
        for C in (0.01, 1.0, 100.0)
    ),
    *(("poisson_path", data, {}) for data in ("bike_unit", "nmes_unit")),
    *((task, "bemtpl97_amounts", {}) for task in ("gamma_path", "tweedie_path", "gamma_l2", "tweedie_l2")),
    *(("classes_path", data, {}) for data in ("srbct_khan", "fashion_10000", "news20_classes")),
    *(("classes_l2", data, {}) for data in ("fashion_mnist_255", "news20_classes")),
    *(("classes_cv", data, {}) for data in ("srbct_khan", "digits")),
]
TOY_DATA = ("toy", "toy-text")


class Case(NamedTuple):
    """A row of the comparison: a task on a data set with all its parameters, and the number of threads."""

    task: str
    data: str
    params: dict
    threads: int = 1

    @classmethod
    def make(cls, task, data, changes, toy=False, threads=1):
        """A case with the task's parameters, those of a toy run if so wished, and the changes."""
        return cls(task, data, {**TASKS[task].params, **(TASKS[task].toy if toy else {}), **changes}, threads)


class Answer(NamedTuple):
    """What a solver returns.

    Attributes
    ----------
    coefs : ndarray or sparse matrix of shape (n_features, n_columns)
        A column for each penalty, or for each target.  Of several classes those of one below those of the other.
    intercepts : ndarray of shape (n_columns,)
        Their intercepts; of several classes of shape (n_classes, n_columns).
    alphas : sequence of length n_columns
        Their penalties; the chosen one in cross-validation.
    seconds, memory : float or None
        Measured by the solver's own process, where it has one.
    """

    coefs: object
    intercepts: object
    alphas: object
    seconds: float | None = None
    memory: float | None = None


def labels(y):
    """-1 and 1: the larger of two values, or what is above the median."""
    return np.where(y > (np.median(y) if len(np.unique(y)) > 2 else y.min()), 1.0, -1.0)


def counts(y):
    """y where it holds counts; else such that are drawn, the mean growing with y."""
    if np.all(y >= 0) and np.all(y == np.round(y)):
        return y
    return np.random.default_rng(0).poisson(np.exp((y - y.mean()) / y.std())).astype(float)


def amounts(y):
    """y where it is positive; else such that are drawn, the mean growing with y."""
    if np.all(y > 0):
        return y
    return np.random.default_rng(0).gamma(2, np.exp((y - y.mean()) / y.std()) / 2)


def classes(y):
    """The number of each value of y; of one with many values, that of its fifth."""
    if len(np.unique(y)) > 100 or np.any(y != np.round(y)):
        y = np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y)
    return np.unique(y, return_inverse=True)[1].astype(float)


TARGETS = {"logistic": labels, "poisson": counts, "gamma": amounts, "tweedie(1.5)": amounts, "multinomial": classes}
# The variance of y is a multiple of this power of its mean, whose logarithm is the linear predictor.
POWERS = {"poisson": 1.0, "tweedie(1.5)": 1.5, "gamma": 2.0}


class Problem:
    """Data and penalties, as every solver gets them.

    Parameters
    ----------
    case : Case
        What to solve.
    data : tuple of X and y, default=None
        Given instead of loaded by name.
    """

    def __init__(self, case, data=None):
        params = case.params
        self.threads, self.chosen = case.threads, "_cv" in case.task
        self.X, self.y = data or load(case.data, TASKS[case.task].layout)
        self.sparse = sparse.issparse(self.X)
        if "targets" in params:
            noise = np.random.default_rng(0).standard_normal((len(self.y), params["targets"]))
            self.y = self.y[:, None] + self.y.std() * noise
        self.x_mean, self.y_mean = np.asarray(self.X.mean(axis=0)).ravel(), self.y.mean(axis=0)
        self.l1_ratio, self.loss = params.get("l1_ratio"), params.get("loss", "quadratic")
        if self.loss != "quadratic":
            self.y = TARGETS[self.loss](self.y)
        if "C" in params:
            self.alphas = np.array([1 / (params["C"] * len(self.y))])
        elif "Cs" in params:
            self.alphas = 1 / (np.logspace(-4, 4, params["Cs"]) * len(self.y))
        elif self.l1_ratio:
            # A single penalty is the end of the path.
            grid = np.geomspace(1, params["eps"], params["n_alphas"]) if params["n_alphas"] > 1 else [params["eps"]]
            largest = max(alpha_max(self.X, y, self.l1_ratio) for y in self._indicators())
            self.alphas = largest * np.asarray(grid)
        else:
            several = "n_alphas" in params
            self.alphas = np.logspace(-3, 3, params["n_alphas"]) if several else np.array([params["alpha"]])
        self.folds = None
        if "folds" in params:
            folds = KFold(params["folds"], shuffle=True, random_state=0)
            self.folds = list(folds.split(np.zeros((len(self.y), 1))))

    def _indicators(self):
        """What the null residual is, but for its mean: of each class, or of y alone."""
        if self.loss == "multinomial":
            return [(self.y == k).astype(float) for k in np.unique(self.y)]
        y = (self.y + 1) / 2 if self.loss == "logistic" else self.y
        return [y * y.mean() ** (1 - POWERS.get(self.loss, 1.0))]

    def asked(self, alphas):
        """Whether an answer is for what was asked: every penalty in turn, or one of them where it is chosen."""
        alphas = np.asarray(alphas, dtype=float)
        if self.chosen:
            return alphas.shape == (1,) and np.isclose(self.alphas, alphas[0], rtol=1e-9, atol=0).any()
        return alphas.shape == self.alphas.shape and np.allclose(alphas, self.alphas, rtol=1e-9, atol=0)

    def centred(self):
        """X less its means in Fortran order: the copy that a solver without an intercept needs."""
        return np.subtract(self.X, self.x_mean, order="F")

    def with_intercepts(self, coefs, alphas=None):
        """The answer of a solver that returns no intercept: the best one for its coefficients."""
        return Answer(coefs, self.y_mean - self.x_mean @ coefs, self.alphas if alphas is None else alphas)


class PathJudge(Referee):
    """The worst relative duality gap of an answer.

    Without an l1 penalty it is bounded better, down to `LEAST`, by what Newton's steps from there bring.
    """

    LEAST = 1e-7

    def __init__(self, problem):
        aim = np.inf if problem.l1_ratio else self.LEAST
        super().__init__(problem.X, problem.y, problem.l1_ratio, problem.loss, aim)
        self.asked = problem.asked

    def error(self, answer):
        """The worst gap.

        Parameters
        ----------
        answer : Answer
            What is judged.

        Returns
        -------
        float
            Relative to the objective at zero coefficients, or to half the null deviance; infinite where the answer is
            not finite or not the one asked for.
        """
        coefs = answer.coefs.tocsc() if sparse.issparse(answer.coefs) else np.asarray(answer.coefs)
        intercepts, alphas = np.asarray(answer.intercepts), np.asarray(answer.alphas)
        p, K = self.X.shape[1], self.target.labels.shape[1] if self.several else 1
        levels = (K, len(alphas)) if self.several else alphas.shape
        if not (coefs.shape == (K * p, len(alphas)) and intercepts.shape == levels and self.asked(alphas)):
            return np.inf
        if self.several:
            coefs = coefs.tocsr() if sparse.issparse(coefs) else coefs
            coefs = [coefs[k * p : (k + 1) * p] for k in range(K)]
        worst = max(verdict.gap for verdict in self.judge_path(coefs, intercepts, alphas))
        return float(worst) if np.isfinite(worst) else np.inf


class RidgeJudge:
    """The largest relative error of ridge coefficients against a refined float64 solution.

    The solution is that of the centred normal equations, or of the dual ones where X is wide, by Cholesky, refined with
    residuals computed from X itself; by conjugate gradients where neither matrix is small.  An intercept must be the
    best one for its coefficients, up to the same error relative to the standard deviation of y.
    """

    SMALL = 5000
    STEPS = 4

    def __init__(self, problem):
        self.X, self.x_mean, self.asked = problem.X, problem.x_mean, problem.asked
        self.Y = problem.y.reshape(len(problem.y), -1)
        self.y_mean, self.y_sd = self.Y.mean(axis=0), self.Y.std(axis=0)
        self.references = {}

    def error(self, answer):
        """The largest relative error over the targets.

        Parameters
        ----------
        answer : Answer
            What is judged; its first alpha is the penalty.

        Returns
        -------
        float
            Infinite where the answer is not finite or not the one asked for.
        """
        coefs, intercepts = np.asarray(answer.coefs), np.ravel(answer.intercepts)
        shapes = coefs.shape == (self.X.shape[1], self.Y.shape[1]) and intercepts.shape == self.y_mean.shape
        if not (shapes and self.asked(answer.alphas)):
            return np.inf
        alpha = float(answer.alphas[0])
        if alpha not in self.references:
            self.references[alpha] = self._solve(alpha)
        reference = self.references[alpha]
        off = np.linalg.norm(coefs - reference, axis=0) / np.linalg.norm(reference, axis=0)
        level = np.abs(intercepts - (self.y_mean - self.x_mean @ coefs)) / self.y_sd
        worst = max(off.max(), level.max())
        return float(worst) if np.isfinite(worst) else np.inf

    def _solve(self, alpha):
        n, p = self.X.shape
        Y = self.Y - self.y_mean
        if min(n, p) > self.SMALL:
            return np.column_stack([self._conjugate_gradients(y, alpha) for y in Y.T])
        if p <= n:
            matrix = _array(self.X.T @ self.X) - n * np.outer(self.x_mean, self.x_mean)
            return self._refined(matrix, alpha, lambda W: self._back(Y - self._forth(W)) - alpha * W, (p, Y.shape[1]))
        matrix = self._forth(self._back(np.eye(n)))
        dual = self._refined(matrix, alpha, lambda A: Y - self._forth(self._back(A)) - alpha * A, Y.shape)
        return self._back(dual)

    def _refined(self, matrix, alpha, residual, shape):
        matrix[np.diag_indices_from(matrix)] += alpha
        factor = linalg.cho_factor(matrix, overwrite_a=True)
        solution = np.zeros(shape)
        for _ in range(self.STEPS):
            solution += linalg.cho_solve(factor, residual(solution))
        return solution

    def _conjugate_gradients(self, y, alpha):
        p = self.X.shape[1]
        system = LinearOperator((p, p), lambda w: self._back(self._forth(w)) + alpha * w, dtype=float)
        precondition = None
        if p <= len(y):  # wide X has a null space, whose one eigenvalue a diagonal would spread
            squares = self.X.multiply(self.X) if sparse.issparse(self.X) else self.X**2
            precondition = sparse.diags_array(1 / (np.asarray(squares.sum(axis=0)).ravel() + alpha))
        return cg(system, self._back(y), rtol=1e-12, maxiter=10 * p, M=precondition)[0]

    def _forth(self, W):
        """Centred X times W."""
        return self.X @ W - self.x_mean @ W

    def _back(self, R):
        """Transpose of centred X times R."""
        sums = R.sum(axis=0)
        return self.X.T @ R - (np.outer(self.x_mean, sums) if R.ndim == 2 else self.x_mean * sums)


def judge(problem):
    """The judge of a problem's answers."""
    return RidgeJudge(problem) if problem.l1_ratio is None else PathJudge(problem)


def _array(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix
