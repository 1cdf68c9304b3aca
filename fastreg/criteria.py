"""Choosing alpha and l1_ratio without folds, by AIC, BIC or EBIC of one path on all rows."""
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import dpstrf, dtrtri
from scipy.special import gammaln

from fastreg import costs
from fastreg.datafits.quadratic import QUADRATIC
from fastreg.kernels.factor import Basis
from fastreg.paths import path_of
from fastreg.problem import Spec
from fastreg.progress import Tally, ignored
from fastreg.selection import Choice, Selection, SelectionCurves, best_of, first_unconverged, fit_at
from fastreg.solvers.folds import Fold, know_folds
from fastreg.solvers.path import PathSolver
from fastreg.solvers.softmax import rows_of
from fastreg.solvers.suited import suited
from fastreg.weights import Weights

# A column of norm one of which less than this is left beside the others depends on them (the solver's own threshold).
DEPENDENT = 1e-11
# Of the squared norm of y: what is left when nothing but rounding is.
ROUNDING = 1e-12


def degrees_of_freedom(gram, l2):
    """trace(G (G + diag(l2))^-1), on as many columns as are independent; the rank of G where l2 is zero.

    About s^3 / 3 multiply-adds for s columns: no factor serves two values of l2.
    """
    scale = np.sqrt(np.diag(gram) + l2)
    on = scale > 0
    gram, l2, scale = gram[np.ix_(on, on)], l2[on], scale[on]
    if len(scale) == 0:
        return 0.0
    factor, order, rank, wrong = dpstrf((gram + np.diag(l2)) / np.outer(scale, scale), tol=DEPENDENT, lower=1)
    inverse, singular = dtrtri(factor[:rank, :rank], lower=1)
    if wrong < 0 or singular:                # wrong > 0 is a rank below that of all, which is expected
        raise np.linalg.LinAlgError("the Gram matrix of the features in use could not be factored")
    kept = order[:rank] - 1
    share = l2[kept] / scale[kept] ** 2
    inverse = np.tril(inverse)
    return rank - float(share @ np.einsum("ij,ij->j", inverse, inverse))


def _counted(solutions):
    """The features in use anywhere; a ValueError where their Gram matrix would not fit into the budget."""
    features = np.unique(solutions.indices)
    if 8 * len(features)**2 > costs.BUDGET:
        raise ValueError(f"criterion: the degrees of freedom of {len(features)} features in use ask for a matrix of "
                         f"{8 * len(features)**2 / 2**30:.3g} GiB: use folds, or larger penalties with an L1 part.")
    return features


def sums_and_degrees(solver, solutions, tick):
    """(weighted residual sums of squares, the weights summing to n; degrees of freedom) of a path of one target; `tick`
    is called with 1 after each."""
    features = _counted(solutions)
    gram, xy, _ = solver.moments_of(features)
    degrees = Degrees(solver, features, gram)
    total = solver.targets[0] @ solver.targets[0]
    rss, df = np.empty(len(solutions.alphas)), np.empty(len(solutions.alphas))
    for a, alpha in enumerate(solutions.alphas):
        used, w = solutions.nonzero(a)
        at = np.searchsorted(features, used)
        rss[a] = total - w @ (2 * xy[0, at] - gram[np.ix_(at, at)] @ w)
        df[a] = degrees.of(at, w, alpha, gram)
        tick(1)
    return np.maximum(rss, 0), df


def likelihoods_and_degrees(problem, solutions, tick):
    """(minus twice the log-likelihoods, the weights summing to the rows that count; degrees of freedom) of a path of
    one target or of classes, of any loss but the squared one: the hat matrix is that of the weighted least squares at
    the fit. `tick` is called with 1 after each.
    """
    if problem.datafit.coupled:
        return of_classes(problem, solutions, tick)
    features, least_squares = _counted(solutions), replace(problem, datafit=QUADRATIC, offset=None)
    plain = PathSolver(least_squares, Spec(1, gram=False))
    gram = plain.moments_of(features)[0]
    degrees = Degrees(plain, features, gram)
    coefs, all_rows, df = solutions.sparse(), np.arange(problem.n), np.empty(len(solutions.alphas))
    for a, alpha in enumerate(solutions.alphas):
        used, w = solutions.nonzero(a)
        if not degrees.ranks and len(used):
            eta = problem.predict(all_rows, coefs[:, [a]], solutions.intercepts[a])[:, 0]
            eta = eta if problem.offset is None else eta + problem.offset
            _, curvature = problem.datafit.derivatives(problem.Y[:, 0], eta, problem.weights.normalised)
            bent = PathSolver(replace(least_squares, weights=Weights(curvature, problem.n)), Spec(1, gram=False))
            gram = bent.moments_of(features)[0] * np.mean(curvature)
        df[a] = degrees.of(np.searchsorted(features, used), w, alpha, gram)
        tick(1)
    y, rows = problem.Y[:, :1].T, problem.weights.rows
    base = problem.weights.sums(problem.datafit.saturated(y[0])[None] + problem.datafit.log_measure(y[0]))[0]
    return rows * (solutions.deviances[:, 0] + 2 * base / problem.n), df


def of_classes(problem, solutions, tick):
    """The same of several classes: the Hessian in the coefficients in use, whatever the intercepts, stands for the
    Gram matrix. Without an L2 penalty ranks alone matter, and the chances may as well be even."""
    features, K = _counted(solutions), problem.n_targets
    chances, df = np.full((problem.n, K), 1 / K), np.empty(len(solutions.alphas))
    weights = np.ones(problem.n) if problem.weights.normalised is None else problem.weights.normalised
    _, l2, lower, upper = (np.broadcast_to(values, problem.p) for values in problem.terms(rows_of(problem).norms))
    coefs, columns = solutions.sparse(), problem.X[:, features]
    for a, alpha in enumerate(solutions.alphas):
        used = [solutions.nonzero(a * K + k) for k in range(K)]
        used = [np.sort(at[(w > lower[at]) & (w < upper[at])]) for at, w in used]
        if 8 * sum(map(len, used)) ** 2 > costs.BUDGET:
            raise ValueError("criterion: the degrees of freedom of so many coefficients ask for a matrix that does not "
                             "fit: use folds, or larger penalties with an L1 part.")
        if l2.any():
            eta = problem.predict(np.arange(problem.n), coefs[:, a * K:(a + 1) * K], solutions.intercepts[a])
            chances = problem.datafit.inverse_link(eta)
        H = hessian_of_classes(columns, [np.searchsorted(features, at) for at in used], chances, weights,
                               problem.fit_intercept)
        df[a] = degrees_of_freedom(H, alpha * l2[np.concatenate(used)])
        tick(1)
    return problem.weights.rows * solutions.deviances[:, 0], df


def hessian_of_classes(X, used, chances, weights, fit_intercept):
    """Second derivatives of the loss in the coefficients in use of one class after the other, the intercepts going
    along.

    Parameters
    ----------
    X : ndarray or sparse of shape (n, m)
    used : list of ndarray
        Columns of X, of each class.
    chances : ndarray of shape (n, n_classes)
    weights : ndarray of shape (n,)
    fit_intercept : bool
    """
    K, on = len(used), weights > 0
    X, s, P = X[on], weights[on], chances[on]
    H = np.empty((K, K), dtype=object)
    cross, levels = np.empty((K, K), dtype=object), np.empty((K, K))
    for k in range(K):
        for other in range(K):
            bend = s * P[:, k] * ((k == other) - P[:, other])
            levels[k, other], cross[k, other] = bend.sum(), X[:, used[k]].T @ bend
            scaled = X[:, used[other]] * bend[:, None]
            H[k, other] = X[:, used[k]].T @ scaled
            H[k, other] = H[k, other].toarray() if sp.issparse(H[k, other]) else H[k, other]
    H = np.block(H.tolist())
    if not fit_intercept:
        return H
    cross = np.vstack([np.stack(list(of_class), axis=1) for of_class in cross])
    return H - cross @ np.linalg.pinv(levels, hermitian=True) @ cross.T


class Degrees:
    """Degrees of freedom of fits of some features.

    Parameters
    ----------
    solver : PathSolver
    features : ndarray of shape (m,)
        Those of all fits, in order.
    gram : ndarray of shape (m, m)
        Whatever rows weigh: where no column has an L2 penalty, ranks alone matter.

    Attributes
    ----------
    ranks : bool
    """

    def __init__(self, solver, features, gram):
        _, self.l2, self.lower, self.upper = (np.broadcast_to(values, solver.problem.p)[features] for values in
                                              solver.problem.terms(solver.design.norms))
        self.ranks = not self.l2.any()
        self.basis = Basis(gram) if self.ranks else None

    def of(self, at, w, alpha, gram):
        """Of coefficients w of the features with numbers `at`; gram under the curvatures of the rows."""
        at = at[(w > self.lower[at]) & (w < self.upper[at])]
        return self.basis.rank(at) if self.ranks else degrees_of_freedom(gram[np.ix_(at, at)], alpha * self.l2[at])


@dataclass(frozen=True, kw_only=True, eq=False)
class ByCriterion(Selection):
    """How an information criterion chooses.

    Attributes
    ----------
    l1_ratios : list of float
    refit : bool
        Give the fit at the chosen values.
    keep_paths : bool
        Keep the path of the chosen l1_ratio.
    criterion : {'aic', 'bic', 'ebic'}
    noise_variance : float or None
        Of the squared loss.
    """

    criterion: str
    noise_variance: float | None = None


def criterion_values(solver, rss, df, how):
    """The criterion from residual sums of squares and degrees of freedom.

    Parameters
    ----------
    solver : PathSolver
        Which gave them.
    rss, df : ndarray of shape (n_alphas,)
        As `sums_and_degrees` gives them.
    how : ByCriterion

    Returns
    -------
    ndarray of shape (n_alphas,)
        Of the targets as they were before a scale brought them down.
    """
    problem, noise_variance = solver.problem, how.noise_variance
    n, scale, total = problem.weights.rows, problem.scale, float(np.square(solver.targets).sum())
    rss = rss * (n / problem.n)
    cost = cost_of(df, problem, how.criterion)
    if noise_variance is not None:
        return scale.up(rss / noise_variance, 2) + cost + n * np.log(2 * np.pi * noise_variance)
    # what fits anything, or leaves nothing but rounding
    saturated = (rss <= ROUNDING * total) | (df >= n - problem.fit_intercept)
    log_mean = np.log(np.where(saturated, 1.0, rss / n)) + 2 * scale.exponent * np.log(2)
    return np.where(saturated, np.inf, n * log_mean + cost)


def cost_of(df, problem, criterion):
    """What degrees of freedom cost."""
    p = problem.p * (problem.n_targets if problem.datafit.coupled else 1)
    each = 2.0 if criterion == "aic" else np.log(problem.weights.rows)
    models = gammaln(p + 1) - gammaln(df + 1) - gammaln(p - df + 1) if criterion == "ebic" else 0.0
    return each * df + 2 * models


def choose_by_criterion(problem, spec, how):
    """Solve the path of every l1_ratio on all rows and choose by an information criterion.

    Parameters
    ----------
    problem : Problem
        In the units of the user; each target is a problem of its own.
    spec : Spec
        Its report hears now and then how many penalty values of all l1_ratios are done with, degrees of freedom
        included.
    how : ByCriterion

    Returns
    -------
    list of fastreg.selection.Choice, one for each target
    """
    problem = problem.to_unit() if problem.datafit.quadratic else problem         # likelihoods are those of y as it is
    n_values, known = spec.n_alphas * len(how.l1_ratios), None
    if problem.prefers_gram(n_values):
        known = know_folds(problem, [Fold(np.ones(problem.n, dtype=int), np.arange(problem.n))])
    if problem.datafit.coupled:
        return [_choose(problem, spec, how)]
    return [_choose(problem.target(t, None if known is None else known.target(t).moments()), spec.after(t * n_values),
                    how) for t in range(problem.n_targets)]


def _choose(problem, spec, how):
    """The Choice of one target."""
    found, values, degrees, tick = [], [], [], ignored
    for k, ratio in enumerate(how.l1_ratios):
        one, told = problem.with_l1_ratio(ratio), spec
        if spec.report is not None:
            tally = Tally(spec.after(k * spec.n_alphas).report, 2)
            told, tick = replace(spec, report=tally.reached), partial(tally.more, 1)
        solver = suited(one.route(spec))(one, told)
        solutions = solver.advance(spec.grid(solver.largest_alpha() if spec.counted else None))
        if problem.datafit.quadratic:
            with solver.blas():
                left, df = sums_and_degrees(solver, solutions, tick)
            values.append(criterion_values(solver, left, df, how))
        else:
            left, df = likelihoods_and_degrees(solver.problem, solutions, tick)
            values.append(left + cost_of(df, problem, how.criterion))
        found.append(solutions)
        degrees.append(df)
    grids, values = np.stack([s.alphas for s in found]), np.stack(values)
    curves = SelectionCurves(grids, values, np.stack(degrees), how.criterion.upper(), False, best_of(values, grids),
                             l1_ratios=np.asarray(how.l1_ratios, dtype=np.float64))
    k, a = curves.best
    chosen = problem.with_l1_ratio(how.l1_ratios[k])
    if how.refit and not found[k].from_x[a]:
        solver = solver if k == len(found) - 1 else suited(chosen.route(spec))(chosen, spec)
        found[k] = solver.certify(found[k], a)
    found = [solutions.scaled_up(problem.scale) for solutions in found]
    asked = chosen.penalty, problem.fit_intercept, spec.tol
    path = path_of([found[k]], *asked, **how.loss) if how.keep_paths else None
    return Choice(curves, fit_at(found[k], a) if how.refit else None, path, None, first_unconverged(*found))
