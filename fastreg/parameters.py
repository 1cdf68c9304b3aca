"""What several public docstrings say of a parameter, an attribute or a source: each text once, in numpydoc's form.

A line such as ``{alpha, lasso.tol}`` in a docstring stands for these entries; `documented` puts them in its place, so
that ``help`` shows all there is to say. Entries are separated by blank lines, their names are their first words.
"""
import re
from textwrap import indent
from types import FunctionType

from fastreg.parameters_glm import GLM, LOGISTIC

SHARED = """
X : array-like or sparse of shape (n_samples, n_features)
    Dense in any order, CSR or CSC with int32 or int64 indices, float32 or float64: used where it lies, never
    modified, centred or made dense. Other types are converted once.

y : array-like of shape (n_samples,) or (n_samples, n_targets)
    The columns of a 2-D y are separate problems, solved together.

fit_intercept : bool, default=True
    Fit b, which is not penalised, for dense and sparse X alike.

copy_X : bool, default=True
    X is neither copied nor modified, whatever the value.

check_input : bool, default=True
    Input is checked, whatever the value: it costs next to nothing.

positive : bool, default=False
    No coefficient may be negative.

random_state : int, RandomState or None
    Nothing is random: any value gives the same result.

penalty_factor : float, array-like of shape (n_features,) or None
    Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.

lower_limits, upper_limits : float, array-like of shape (n_features,) or None
    Limits of the coefficients; they must bracket 0.

standardize : bool, default=False
    Penalise ``w_j * sd_j`` in the place of w_j, sd_j the (weighted) standard deviation of feature j in the rows
    fitted, about its mean with an intercept and about 0 without; coefficients are returned on the original scale.

n_threads : int or None
    None: as many as the process may use, one inside somebody's workers. Results do not depend on it.

verbose : bool or int, default=0
    Whether a bar on standard error shows how far the call is.

callback : callable or None
    Called as ``callback(done, total)`` whenever a percent of the work is finished (a unit, where there are fewer than
    a hundred), every 0.05 seconds or so in between, and once at the end with ``done == total``. What it raises ends
    the call. Never called twice at a time, but from the threads that solve folds where there are several.

n_features_in_ : int

feature_names_in_ : ndarray of shape (n_features_in_,)
    Where X had names for all its features.

ValueError, TypeError
    Where an argument is not as described; the message names it.
"""

LASSO = """
alpha : float, default=1.0
    Strength of the penalty; 0 is least squares.

precompute : bool, 'auto' or array-like of shape (n_features, n_features), default=False
    True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix, of X
    centred where an intercept is fitted and weighted where there are sample weights.

max_iter : int, default=1000
    Rounds of working set and certificate for each alpha (a handful is usual).

tol : float, default=1e-4
    A fit is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when no
    optimality condition is violated beyond rounding.

warm_start : bool, default=False
    Start from the coefficients of the last fit; where their gap is within `tol` they are kept, in no round.

selection : {'cyclic', 'random'}, default='cyclic'
    The solution is exact in any order of updates.

sample_weight : array-like of shape (n_samples,), float or None
    Non-negative; only their ratios matter.

coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    In float32 where X is, as `intercept_`, rounded once the fit in float64 has converged.

sparse_coef_ : scipy.sparse.csr_array of shape (1, n_features) or (n_targets, n_features)
    `coef_` in sparse form.

intercept_ : float or ndarray of shape (n_targets,)

n_iter_ : int or list of int
    Rounds of working set and certificate, for each target.

dual_gap_ : float or ndarray of shape (n_targets,)
    Duality gap of the fit, in units of the objective, taken at the coefficients as they are stored.

ConvergenceWarning
    Where `max_iter` or rounding ended a fit before its gap was reached; the message says which.

Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent",
J. Stat. Softw. 33 (2010).

Massias, Gramfort and Salmon, "Celer: a fast solver for the lasso with dual extrapolation", ICML 2018: working set and
certificate.

Ndiaye, Fercoq, Gramfort and Salmon, "Gap safe screening rules for sparsity enforcing penalties", JMLR 18 (2017).
"""

LASSO_CV = """
eps : float in (0, 1], default=1e-3
    Smallest alpha of a path against its largest.

alphas : int or array-like, default=100
    Number of values for each l1_ratio, from the smallest that makes every penalised coefficient zero on all rows;
    or the values.

precompute : bool or 'auto', default='auto'
    True: use Gram matrices of all features in every fit (dense X); False and 'auto': as is faster.

cv : int, splitter, iterable of splits or None
    As in scikit-learn (None: 5 folds). Training and test sets may overlap, differ in size and repeat rows.

n_jobs : int or None
    Folds solved at the same time, by threads; None: as many as there are threads. Results do not depend on it.

scoring : str, callable or None
    A scikit-learn scorer to maximise; None minimises the (weighted) mean squared error.

selection_rule : {'min', '1se'}, default='min'
    Best mean score over folds, or the largest alpha within one standard error of it.

refit : bool, default=True
    Fit all rows at what was chosen.

n_threads : int or None
    For all paths together. None: as many as the process may use, one inside somebody's workers. Results do not
    depend on it.

n_alphas_no_change : int or None
    End a path when the mean score over folds has not improved for so many alphas. The folds go in step, by pieces of
    so many alphas but at least 5. What is not solved is NaN in `mse_path_` and `cv_path_`.

keep_paths : bool, default=False
    Keep `path_` and `fold_paths_`, in float64; the penalised fit in `coef_` is then a point of `path_`, but for its
    rounding where X is in float32. ``path_.at(alpha_1se_)`` is the penalised fit there.

criterion : {'aic', 'bic', 'ebic'} or None
    Choose without folds, from paths on all rows, by the smallest
    ``n log(RSS / n) + K df``: K is 2 (AIC) or ``log n`` (BIC), and EBIC adds ``2 log C(p, df)`` to BIC. n counts
    the rows of positive weight, RSS is weighted by weights that sum to n. df is the trace of the hat matrix of the
    support (of the lasso: its rank); coefficients at a limit other than zero do not count. A fit that leaves no
    residual degrees of freedom has the value inf. `cv`, `scoring`, ``selection_rule='1se'``, `n_alphas_no_change` and
    `relax` are about folds: given as well, they raise.

noise_variance : float or None
    The variance of y about its mean given X, if known: the criterion is then
    ``RSS / noise_variance + K df + n log(2 pi noise_variance)``.

relax : bool or array-like of shape (n_gammas,), default=False
    Shares gamma in [0, 1] of the penalised fit, the rest being that of least squares on its non-zero and its
    unpenalised features, within the limits, of the same rows. gamma is chosen together with the penalty.
    True stands for (0, 0.25, 0.5, 0.75, 1).

gamma_ : float
    The chosen share of the penalised fit, with `relax`.

cv_path_ : SelectionCurves
    Scores, their mean and standard error, what was chosen and why, and a plot.

ic_path_ : SelectionCurves
    Values of the criterion, degrees of freedom, what was chosen and why, and a plot; with `criterion`.

coef_path_ : scipy.sparse.csc_array of shape (n_features, n_alphas)
    The coefficients of `path_`, without relaxation.

coef_ : ndarray of shape (n_features,)
    In float32 where X is, as `intercept_`, rounded once the fit in float64 has converged.

intercept_ : float

dual_gap_ : float
    Duality gap of the (penalised) fit on all rows, in units of the objective.

n_iter_ : int
    Rounds of working set and certificate of that fit.

UserWarning
    Where the chosen penalty is at an end of its grid, beyond which a better one may lie.

Targets, the columns of a 2-D y, choose for themselves: every attribute has a first axis of targets, or is a list of
what a single target gives where it is no number or array; lists of curves and of paths have a ``plot``, a panel for
each. A single column is one target.

Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., section 7.10: the rule of one standard
error.

Zou, Hastie and Tibshirani, "On the 'degrees of freedom' of the lasso", Ann. Statist. 35 (2007).

Tibshirani and Taylor, "Degrees of freedom in lasso problems", Ann. Statist. 40 (2012).

Chen and Chen, "Extended Bayesian information criteria for model selection with large model spaces", Biometrika 95
(2008): EBIC, with gamma = 1.

Meinshausen, "Relaxed lasso", Comput. Stat. Data Anal. 52 (2007), in the form of Hastie, Tibshirani and Tibshirani,
"Best subset, forward stepwise or lasso?", Stat. Sci. 35 (2020).
"""

PATHS = """
X : array-like or sparse of shape (n_samples, n_features)
    Used where it lies, never modified or made dense.

y : array-like of shape (n_samples,) or (n_samples, n_targets)
    The columns of a 2-D y are separate problems, solved together (scikit-learn's function penalises them jointly).

eps : float in (0, 1], default=1e-3
    Smallest alpha over largest.

n_alphas : int
    Deprecated as in scikit-learn, for `alphas` as an int.

alphas : int or array-like, default=100
    Number of values, from the smallest that makes every coefficient zero; or the values. None is deprecated.

precompute : bool, 'auto' or array-like of shape (n_features, n_features), default='auto'
    True: use the Gram matrix of all features (dense X); False and 'auto': as is faster; or that matrix.

Xy : array-like of shape (n_features,) or (n_features, n_targets), or None
    X'y; it is computed anyway, and must agree.

coef_init : array-like of shape (n_features,) or (n_targets, n_features), or None
    Where to start.

verbose : bool or int, default=False
    Whether a bar on standard error shows how far the path is.

return_n_iter : bool, default=False
    Return `n_iters` as well.

tol : float, default=1e-4
    A solution is accepted when its duality gap is at most ``tol * ||y||^2 / n``, or when no optimality condition is
    violated beyond rounding.

**params : dict
    Nothing is taken by another name: what is given is refused.

"""

PATHS_FOUND = """
alphas : ndarray of shape (n_alphas,)
    Decreasing.

coefs : ndarray of shape (n_features, n_alphas) or (n_targets, n_features, n_alphas)
    In float32 where X is, rounded once the path in float64 has converged.

dual_gaps : ndarray of shape (n_alphas,) or (n_targets, n_alphas)
    Of these coefficients, in units of the objective.

n_iters : list of int
    Rounds for each alpha; only with `return_n_iter`.
"""

RIDGE = """
max_iter : int or None, default=None
    Products with X'X at most, where the solver is iterative; None is ``10 n_features + 100``.

tol : float, default=1e-4
    Where the solver is iterative, `coef_bound_` is at most ``tol * ||coef_||``, unless rounding allows no more;
    where there is no such bound (alpha = 0, features without a penalty), the norm of the residual of the normal
    equations is at most ``tol * ||X'y||``. On dense X that residual is at most ``1e-9 * ||X'y||`` with
    ``solver='auto'``, where the solver replaces a factorisation. Direct solvers and fits with limits go on to
    rounding whatever it is.

solver : {'auto', 'cholesky', 'svd', 'sparse_cg', 'lsqr', 'sag', 'saga', 'lbfgs'}, default='auto'
    'auto' takes what is fastest; 'cholesky' a factor of the Gram matrix of the features, or of the samples where
    these are fewer; 'svd' orthogonal decompositions; the others conjugate gradients ('lbfgs' only with
    `positive`, which takes no other but 'auto', as in scikit-learn). Limits on coefficients have a solver of their
    own.

sample_weight : array-like of shape (n_samples,), float or None
    Non-negative; not rescaled: doubling all of them is halving alpha.

coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    In float32 where X is, as `intercept_`; computed in float64.

intercept_ : float or ndarray of shape (n_targets,)

n_iter_ : ndarray of shape (n_targets,)
    Products with X'X of iterative solvers, 1 of direct ones.

solver_ : str
    `solver` as it was given, or what 'auto' took: 'cholesky' (features), 'cholesky_kernel' (samples), 'sparse_cg',
    'svd' (orthogonal decomposition of X), 'eigh' (of a Gram matrix) or 'active_set' (limits).

coef_bound_ : float or ndarray of shape (n_targets,)
    Proven bound of ``||coef_ - exact coefficients||``, rounding included. In general the norm of
    ``X'S(y - X coef_ - b) - alpha F coef_`` (without the components that point out of a limit), divided by the
    smallest ``alpha f_j`` or, where it is known and larger, by the least eigenvalue of ``X'SX + alpha F``; inf
    where both are zero. It does not know how the solver came to `coef_`: the true error is often far smaller.

ConvergenceWarning
    Where `max_iter` ended the fit before `tol` was reached, or rounding did with a residual that is larger
    than rounding need make it; the message says which.

Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 12 (1970).

Saunders, Gammerman and Vovk, "Ridge regression learning algorithm in dual variables", ICML 1998.

Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. NBS 49 (1952).
"""

RIDGE_CV = """
alphas : array-like of shape (n_alphas,) or float, default=(0.1, 1.0, 10.0)
    Positive; with `cv`, 0 is least squares.

store_cv_results : bool, default=False
    Keep `cv_results_`; with leave-one-out alone.

selection_rule : {'min', '1se'}, default='min'
    Best mean score, or the largest alpha within one standard error of it: over folds, or in leave-one-out over
    rows, whose errors at every alpha are then held in memory (not with `scoring`, which gives no scores of rows).
    The standard error is then ``sd sqrt(m) / n``, sd the standard deviation of ``s_i e_i^2`` (averaged over targets
    that share an alpha) over the m of n rows that have a weight.

refit : bool, default=True
    Fit all rows at the chosen alpha.

penalty_factor : float, array-like of shape (n_features,) or None
    Multiplies alpha per feature, positive: inf excludes a feature.

standardize : bool, default=False
    Penalise ``w_j * sd_j``, sd_j the (weighted) standard deviation of feature j in the rows fitted, about its mean
    with an intercept and about 0 without; in leave-one-out, in all rows.

**params : dict
    For the splitter and the scorer, where scikit-learn's metadata routing is enabled.

coef_bound_ : float or ndarray of shape (n_targets,)
    Bound of ``||coef_ - exact coefficients||``, rounding included: in general the norm of half the gradient, computed
    from X itself, by ``alpha_ * min(f) + lambda_min``, lambda_min the smallest eigenvalue of X'X (0 where it is not
    known).

df_ : float or ndarray of shape (n_targets,)
    Effective degrees of freedom of the fit, the trace of its hat matrix; the intercept counts as one. NaN where X
    is sparse and too large to tell.

cv_path_ : SelectionCurves
    Scores by alpha, what was chosen and why, and a plot; standard errors as well with `cv`, and in leave-one-out
    where ``selection_rule='1se'``, `keep_paths` or `store_cv_results` ask for the errors of rows. With an alpha for
    each target a list of such, whose plot has a panel for each.

alpha_1se_ : float or ndarray of shape (n_targets,)
    The largest alpha within one standard error of the best mean score, where there are standard errors.

keep_paths : bool, default=False
    Keep `path_`, in float64: ``path_.at(alpha_1se_)`` is the fit at the alpha that is largest within one standard error
    of the best, whatever `selection_rule` says, and `cv_path_` has that error in leave-one-out too.

path_ : Path
    Of all rows at `alphas`, decreasing, with `keep_paths`; of labels, its targets are -1 and 1.

ValueError, TypeError
    Where an argument is not as described, or where leave-one-out or `path_` is asked of sparse X with more than 5000
    rows and 5000 columns; the message says which.

ConvergenceWarning
    Where digits of the answer are lost to rounding, as `coef_bound_` or a check of leave-one-out shows.

Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., section 7.10: leave-one-out by the hat
matrix.

Rifkin and Lippert, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025.
"""

LABELS = """
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Labels; two-dimensional where each sample may have several.

class_weight : dict, 'balanced' or None
    Multiplies the sample weights by class, as in scikit-learn.

coef_ : ndarray of shape (n_features,) or (n_classes, n_features)
    One row for each class; for two classes of shape (n_features,). In float32 where X is, as `intercept_`.

intercept_ : float or ndarray of shape (1,) or (n_classes,)
    0.0 without an intercept.

classes_ : ndarray of shape (n_classes,)
"""

GLMNET = """
sample_weight : array-like of shape (n_samples,) or None
    What the rows weigh in the standard deviation of y.
"""

PLOTS = """
ax : matplotlib.axes.Axes, array-like of them or None
    Where to draw, one for each target or class; a new figure when None.

xvar : {'alpha', 'norm', 'deviance'}, default='alpha'
    What the horizontal axis is: alpha, decreasing; the sum of absolute coefficients; or the share of the deviance that
    is explained, which a ridge path has not.

ax_ : matplotlib.axes.Axes, or ndarray of them with one for each target or class
    Once drawn.
"""

FAMILIES = {"": SHARED, "lasso.": LASSO, "lasso_cv.": LASSO_CV, "paths.": PATHS, "found.": PATHS_FOUND,
            "ridge.": RIDGE, "ridge_cv.": RIDGE_CV, "labels.": LABELS, "glm.": GLM, "logistic.": LOGISTIC,
            "glmnet.": GLMNET, "plots.": PLOTS}
ENTRIES = {
    family + re.findall(r"\w+", entry)[0]: entry
    for family, text in FAMILIES.items()
    for entry in text.strip("\n").split("\n\n")
}
PLACE = re.compile(r"^( *)\{([\w., ]+)\}$", re.MULTILINE)


def assembled(doc):
    """A docstring with its entries in their places."""
    return PLACE.sub(lambda at: indent("\n".join(ENTRIES[name] for name in at[2].split(", ")), at[1]), doc)


def documented(thing):
    """A function or class, its docstring and those of its methods assembled."""
    methods = [getattr(part, "__func__", part) for part in vars(thing).values()] if isinstance(thing, type) else ()
    for part in (thing, *(method for method in methods if isinstance(method, FunctionType))):
        if part.__doc__:                                    # python -OO has none
            part.__doc__ = assembled(part.__doc__)
    return thing
