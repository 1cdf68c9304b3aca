"""LassoCV and ElasticNetCV."""
import sys
from numbers import Integral

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from fastreg.checks import (
    check_alphas,
    check_choice,
    check_criterion,
    check_flag,
    check_gammas,
    check_ignored,
    check_number,
    check_penalty_options,
    check_precompute,
    check_threads,
    check_verbose,
    check_weight,
)
from fastreg.criteria import choose_by_criterion
from fastreg.crossval import cross_validate_path
from fastreg.estimators.elastic_net import ElasticNet, LinearRegressorMixin, as_stored, score_by
from fastreg.path import enet_path, lasso_path, warn_unless_converged
from fastreg.paths import name_features
from fastreg.plots import PerTarget
from fastreg.selection import first_unconverged, fit_at
from fastreg.solvers.folds import as_folds
from fastreg.solvers.linear import PathSolver, Penalty, single
from fastreg.weights import Weights

# What a fit with other parameters may not set.
OPTIONAL_ATTRIBUTES = ("cv_path_", "alpha_1se_", "mse_path_", "gamma_", "ic_path_", "criterion_", "coef_", "intercept_",
                       "dual_gap_", "n_iter_", "path_", "coef_path_", "fold_paths_")


def _check_cv(cv):
    # here: it would double the time of `import fastreg`
    from sklearn.model_selection import check_cv

    return check_cv(cv)


class _Progress:
    """One line on standard error that says how far the paths are."""

    def __init__(self, name, total):
        self.name, self.total = name, total

    def __call__(self, done):
        sys.stderr.write(f"\r{self.name}: {done} of {self.total} penalty values")
        if done >= self.total:
            sys.stderr.write("\n")
        sys.stderr.flush()


class ElasticNetCV(LinearRegressorMixin, BaseEstimator):
    """Elastic net with alpha and l1_ratio chosen by cross-validation or by an information criterion.

    For every l1_ratio and the training rows of every fold (all rows with `criterion`), minimises along a path of
    alphas, over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied. Dense X with n >> p is read once for all folds and all l1_ratios.

    Parameters
    ----------
    l1_ratio : float or list of float in [0, 1], default=0.5
        1 is the lasso; 0 (ridge regression) needs `alphas` as an array.
    eps : float in (0, 1], default=1e-3
        Smallest alpha of a path against its largest.
    alphas : int or array-like, default=100
        Number of values for each l1_ratio, from the smallest that makes every penalised coefficient zero on all rows;
        or the values.
    fit_intercept : bool, default=True
        Fit b, which is not penalised, for dense and sparse X alike.
    precompute : bool or 'auto', default='auto'
        True: use Gram matrices of all features in every fit (dense X); False and 'auto': as is faster.
    max_iter : int, default=1000
        Rounds of working set and certificate for each alpha.
    tol : float, default=1e-4
        Each fit is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when
        no optimality condition is violated beyond rounding.
    cv : int, splitter, iterable of splits or None
        As in scikit-learn (None: 5 folds). Training and test sets may overlap, differ in size and repeat rows.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    verbose : bool or int, default=0
        Show progress on standard error.
    n_jobs : int or None
        Folds solved at the same time, by threads; None: as many as there are threads. Results do not depend on it.
    positive : bool, default=False
        Same as ``lower_limits=0``.
    random_state : int, RandomState or None
        Nothing is random: any value gives the same result.
    selection : {'cyclic', 'random'}, default='cyclic'
        The solution is exact in any order of updates.
    scoring : str, callable or None
        A scikit-learn scorer to maximise; None minimises the (weighted) mean squared error.
    selection_rule : {'min', '1se'}, default='min'
        Best mean score over folds, or the largest alpha within one standard error of it.
    refit : bool, default=True
        Fit all rows at the chosen values.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.
    lower_limits, upper_limits : float, array-like of shape (n_features,) or None
        Limits of the coefficients; they must bracket 0.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the standard deviation of feature j in the rows fitted.
    n_threads : int or None
        For all paths together. None: as many as OpenMP would use, one inside somebody's worker threads.
    n_alphas_no_change : int or None
        End the path of an l1_ratio when the mean score over folds has not improved for so many alphas. The folds go in
        step, by pieces of so many alphas but at least 5. What is not solved is NaN in `mse_path_` and `cv_path_`.
    keep_paths : bool, default=False
        Keep `path_` and `fold_paths_`, in float64; the penalised fit in `coef_` is then a point of `path_`, but for its
        rounding where X is in float32.
    criterion : {'aic', 'bic', 'ebic'} or None
        Choose without folds, from one path for each l1_ratio on all rows, by the smallest
        ``n log(RSS / n) + K df``: K is 2 (AIC) or ``log n`` (BIC), and EBIC adds ``2 log C(p, df)`` to BIC. n counts
        the rows of positive weight, RSS is weighted by weights that sum to n. df is the trace of the hat matrix
        of the support; coefficients at a limit other than zero do not count. A fit that leaves no residual degrees of
        freedom has the value inf. `cv`, `scoring`, ``selection_rule='1se'``, `n_alphas_no_change` and `relax` are about
        folds: given as well, they raise.
    noise_variance : float or None
        The variance of y about its mean given X, if known: the criterion is then
        ``RSS / noise_variance + K df + n log(2 pi noise_variance)``.
    relax : bool or array-like of shape (n_gammas,), default=False
        Shares gamma in [0, 1] of the penalised fit, the rest being that of least squares on its non-zero and its
        unpenalised features, within the limits, of the same rows. gamma is chosen together with alpha and l1_ratio.
        True stands for (0, 0.25, 0.5, 0.75, 1).

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    gamma_ : float
        The chosen share of the penalised fit, with `relax`.
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score, at the best l1_ratio (and gamma).
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        Mean squared error on each test set, without `scoring`; with `relax` the axis before n_alphas is n_gammas.
    cv_path_ : SelectionCurves
        Scores, their mean and standard error, what was chosen and why, and a plot.
    criterion_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        With `criterion`, which leaves `alpha_1se_`, `mse_path_` and `cv_path_` out.
    ic_path_ : SelectionCurves
        The same with degrees of freedom, what was chosen and why, and a plot.
    path_ : Path
        Of all rows at the chosen l1_ratio, as far as the folds went; with `keep_paths` and `refit` or `criterion`.
    coef_path_ : scipy.sparse.csc_array of shape (n_features, n_alphas)
        Its coefficients, without relaxation.
    fold_paths_ : list of list of Path
        The penalised fits by l1_ratio and fold, with `keep_paths` and without `criterion`.
    coef_ : ndarray of shape (n_features,)
        In float32 where X is, as `intercept_`, rounded once the fit in float64 has converged.
    intercept_ : float
    dual_gap_ : float
        Duality gap of the (penalised) fit on all rows, in units of the objective.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features.

    See Also
    --------
    fastreg.ElasticNet : At one alpha.
    fastreg.regularization_path : A path without folds.

    Notes
    -----
    With a 2-D y each column chooses for itself: every attribute has a first axis of targets, or is a list of what a
    single target gives where it is no number or array; lists of curves and of paths have a ``plot``, a panel for each.
    A single column is one target.

    References
    ----------
    The rule of one standard error: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed.,
    section 7.10. Degrees of freedom: Zou, Hastie and Tibshirani, "On the 'degrees of freedom' of the lasso", Ann.
    Statist. 35 (2007); Tibshirani and Taylor, "Degrees of freedom in lasso problems", Ann. Statist. 40 (2012). EBIC
    (with gamma = 1): Chen and Chen, "Extended Bayesian information criteria for model selection with large model
    spaces", Biometrika 95 (2008). Relaxed fits: Meinshausen, "Relaxed lasso", Comput. Stat. Data Anal. 52 (2007), in
    the form of Hastie, Tibshirani and Tibshirani, "Best subset, forward stepwise or lasso?", Stat. Sci. 35 (2020).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import ElasticNetCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 1.0]).fit(X, y)
    >>> model.l1_ratio_
    1.0
    """

    def __init__(self, *, l1_ratio=0.5, eps=1e-3, alphas=100, fit_intercept=True, precompute="auto", max_iter=1000,
                 tol=1e-4, cv=None, copy_X=True, verbose=0, n_jobs=None, positive=False, random_state=None,
                 selection="cyclic", scoring=None, selection_rule="min", refit=True, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None, n_alphas_no_change=None,
                 keep_paths=False, criterion=None, noise_variance=None, relax=False):
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.precompute = precompute
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.copy_X = copy_X
        self.verbose = verbose
        self.n_jobs = n_jobs
        self.positive = positive
        self.random_state = random_state
        self.selection = selection
        self.scoring = scoring
        self.selection_rule = selection_rule
        self.refit = refit
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
        self.n_alphas_no_change = n_alphas_no_change
        self.keep_paths = keep_paths
        self.criterion = criterion
        self.noise_variance = noise_variance
        self.relax = relax

    path = staticmethod(enet_path)

    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha and l1_ratio, and fit.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Used where it lies; see ElasticNet.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), float or None
            Weighs the training rows and, in the mean squared error or the scorer, the test rows of each fold.
        **params : dict
            For the splitter (``groups``), where scikit-learn's metadata routing is enabled.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            Where an argument is not as described; the message names it.

        Warns
        -----
        ConvergenceWarning
            Where `max_iter` or rounding ended a fit before its gap was reached; the message says which.
        """
        settings, ratios = self._check_parameters()
        X, y = self._check_data(X, y)
        n, p = X.shape
        Y = np.asarray(y, dtype=np.float64).reshape(n, -1)
        options = check_penalty_options(p, positive=self.positive, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        options["standardize"] = check_flag(self.standardize, "standardize")
        eps = check_number(self.eps, "eps", 0, 1, low_open=True)
        alphas = check_alphas(self.alphas, eps, min(ratios))
        count = (alphas if isinstance(alphas, int) else len(alphas)) * len(ratios) * Y.shape[1]
        settings |= {"l1_ratios": ratios, "alphas": alphas, "eps": eps, "weight": check_weight(sample_weight, n),
                     "penalty": lambda ratio: Penalty(ratio, **options)}
        if self.criterion is None:
            folds = as_folds(_check_cv(self.cv).split(X, y, **self._split_parameters(sample_weight, params)), n)
            settings |= self._settings_of_folds()
            progress = self._progress(count * len(folds))
            choices = cross_validate_path(X, Y, folds, report=progress, **settings)
        else:
            if params:
                raise ValueError(f"fit got {sorted(params)} for the splitter, of which criterion has none.")
            progress = self._progress(count)
            choices = choose_by_criterion(X, Y, criterion=self.criterion, noise_variance=self.noise_variance,
                                          report=progress, **settings)
        if progress is not None:
            progress(progress.total)
        unconverged = first_unconverged(*(choice.unconverged for choice in choices))
        if unconverged is not None:
            warn_unless_converged(unconverged, self.tol, self.max_iter, stacklevel=2)
        if X.dtype == np.float32:
            self._round(X, Y, choices, settings)
        self._keep(choices, y)
        return self

    def _round(self, X, Y, choices, settings):
        """Fits of all rows in float32, as X is stored, with the gaps that they have then."""
        fits = [(y, choice.curves, choice.fit) for y, choice in zip(Y.T, choices) if choice.fit is not None]
        for y, curves, fit in fits:
            if check_gammas(self.relax) is None and single(fit.coef, fit.intercept):    # a relaxed fit has no gap
                c, a = curves.chosen
                solver = PathSolver(
                    X, y[:, None], settings["penalty"](curves.l1_ratios[c]), 1, gram=False, tol=settings["tol"],
                    weights=Weights(settings["weight"], len(y)), n_threads=settings["n_threads"],
                    fit_intercept=settings["fit_intercept"])
                found = fit_at(solver.rounded(curves.alphas[c, a], fit.coef[None]), 0)
                fit.coef, fit.intercept, fit.dual_gap = found.coef, found.intercept, found.dual_gap
            fit.coef, fit.intercept = as_stored(X, fit.coef, np.float64(fit.intercept))

    def _keep(self, choices, y):
        """Set the attributes; those of several targets are stacked, or in a list where they are no arrays."""
        for name in OPTIONAL_ATTRIBUTES:
            vars(self).pop(name, None)
        found = [self._attributes(choice) for choice in choices]
        for name in found[0]:
            values = [one[name] for one in found]
            if isinstance(values[0], (float, np.ndarray)):
                many = np.stack(values)
            else:
                many = PerTarget(values) if hasattr(values[0], "plot") else values
            setattr(self, name, values[0] if len(values) == 1 else many)
        if hasattr(self, "intercept_"):
            if not self.fit_intercept:
                self.intercept_ = 0.0
            elif y.ndim == 2:
                self.intercept_ = np.atleast_1d(self.intercept_)

    def _attributes(self, choice):
        """The attributes that the choice of one target gives."""
        curves, fit = choice.curves, choice.fit
        c, a = curves.chosen
        by_folds = self.criterion is None
        gammas = check_gammas(self.relax)
        each = 1 if gammas is None else len(gammas)       # curves of an l1_ratio
        one = len(curves.alphas) == each
        out = {"alpha_": float(curves.alphas[c, a]),
               "alphas_": curves.alphas[0] if one or np.ndim(self.alphas) > 0 else curves.alphas[::each]}
        if "l1_ratio" in self.get_params():
            out["l1_ratio_"] = float(curves.l1_ratios[c])
        if by_folds:
            out |= {"cv_path_": curves, "alpha_1se_": float(curves.alphas[curves.best_1se])}
        else:
            out |= {"ic_path_": curves, "criterion_": curves.values[0] if one else curves.values}
        if gammas is not None:
            out["gamma_"] = float(curves.gammas[c])
        if by_folds and self.scoring is None:
            shape = (() if one else (-1,)) + (() if gammas is None else (each,)) + curves.fold_scores.shape[1:]
            out["mse_path_"] = curves.fold_scores.reshape(shape)
        if fit is not None:
            out |= {"coef_": fit.coef, "intercept_": fit.intercept, "dual_gap_": fit.dual_gap, "n_iter_": fit.n_iter}
        if choice.path is not None:
            out |= {"path_": name_features(choice.path, self), "coef_path_": choice.path.coefs}
        if choice.fold_paths is not None:
            out["fold_paths_"] = [[name_features(path, self) for path in paths] for paths in choice.fold_paths]
        return out

    def _progress(self, total):
        return _Progress(type(self).__name__, total) if self.verbose else None

    def _settings_of_folds(self):
        """What cross_validate_path takes beyond what a criterion does."""
        scorer = self._scorer()
        return {
            "n_jobs": self.n_jobs,
            "selection_rule": self.selection_rule,
            "scorer": None if scorer is None else self._score_with(scorer),
            "metric": "squared error" if scorer is None else str(self.scoring),
            "greater_is_better": scorer is not None,
            "gammas": check_gammas(self.relax),
            "no_change": self.n_alphas_no_change,
        }

    def _scorer(self):
        if self.scoring is None:
            return None
        from sklearn.metrics import get_scorer

        return get_scorer(self.scoring)

    def _score_with(self, scorer):
        """scikit-learn's scorer as a function of coefficients."""
        model = ElasticNet()
        model.n_features_in_ = self.n_features_in_

        def score(coef, intercept, X, y, weight):
            model.coef_, model.intercept_ = coef, intercept
            return score_by(self, scorer, model, X, y, **({} if weight is None else {"sample_weight": weight}))

        return score

    def _split_parameters(self, sample_weight, params):
        """What metadata routing sends to the splitter."""
        if not get_config()["enable_metadata_routing"]:
            if params:
                raise ValueError(f"Passing {sorted(params)} to fit is only supported if enable_metadata_routing=True, "
                                 "by sklearn.set_config(enable_metadata_routing=True).")
            return {}
        return process_routing(self, "fit", sample_weight=sample_weight, **params).splitter.split

    def get_metadata_routing(self):
        """Who receives which of fit's extra arguments: the splitter its own (``groups``).

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return MetadataRouter(owner=self).add_self_request(self).add(
            splitter=_check_cv(self.cv), method_mapping=MethodMapping().add(caller="fit", callee="split"))

    def _check_parameters(self):
        ratios = np.atleast_1d(np.asarray(self.l1_ratio, dtype=object))
        if ratios.ndim != 1 or ratios.size == 0:
            raise ValueError(f"l1_ratio must be a number or a list of numbers, got {self.l1_ratio!r}.")
        ratios = [check_number(ratio, "l1_ratio", 0, 1) for ratio in ratios]
        if np.ndim(self.precompute) > 0:
            raise ValueError(f"precompute must be True, False or 'auto', got an array of shape "
                             f"{np.shape(self.precompute)}: a Gram matrix of all rows is none of the folds'.")
        check_choice(self.selection_rule, "selection_rule", ("min", "1se"))
        if self.n_jobs is not None and (check_number(self.n_jobs, "n_jobs", kind=Integral) == 0):
            raise ValueError("n_jobs must be None or an integer other than 0.")
        if self.n_alphas_no_change is not None:
            check_number(self.n_alphas_no_change, "n_alphas_no_change", 1, kind=Integral)
        check_criterion(self.criterion, self.noise_variance, cv=self.cv, scoring=self.scoring,
                        selection_rule=None if self.selection_rule == "min" else self.selection_rule,
                        relax=check_gammas(self.relax), n_alphas_no_change=self.n_alphas_no_change)
        check_ignored(copy_X=self.copy_X, random_state=self.random_state, selection=self.selection)
        check_verbose(self.verbose)
        return {
            "fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
            "tol": check_number(self.tol, "tol", 0),
            "max_iter": check_number(self.max_iter, "max_iter", 1, kind=Integral),
            "n_threads": check_threads(self.n_threads),
            "gram": check_precompute(self.precompute, 0),
            "keep_paths": check_flag(self.keep_paths, "keep_paths"),
            "refit": check_flag(self.refit, "refit"),
        }, ratios


class LassoCV(ElasticNetCV):
    """Lasso with alpha chosen by cross-validation or by an information criterion.

    For the training rows of every fold (all rows with `criterion`), minimises along a path of alphas, over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j |w_j|

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen alpha. A fold is a set of row
    weights: X is not copied. Dense X with n >> p is read once for all folds.

    Parameters
    ----------
    eps : float in (0, 1], default=1e-3
        Smallest alpha of a path against its largest.
    alphas : int or array-like, default=100
        Number of values, from the smallest that makes every penalised coefficient zero on all rows; or the values.
    fit_intercept : bool, default=True
        Fit b, which is not penalised, for dense and sparse X alike.
    precompute : bool or 'auto', default='auto'
        True: use Gram matrices of all features in every fit (dense X); False and 'auto': as is faster.
    max_iter : int, default=1000
        Rounds of working set and certificate for each alpha.
    tol : float, default=1e-4
        Each fit is accepted when its duality gap is at most ``tol * sum_i s_i (y_i - mean)^2 / sum_i s_i``, or when
        no optimality condition is violated beyond rounding.
    cv : int, splitter, iterable of splits or None
        As in scikit-learn (None: 5 folds). Training and test sets may overlap, differ in size and repeat rows.
    copy_X : bool, default=True
        X is neither copied nor modified, whatever the value.
    verbose : bool or int, default=0
        Show progress on standard error.
    n_jobs : int or None
        Folds solved at the same time, by threads; None: as many as there are threads. Results do not depend on it.
    positive : bool, default=False
        Same as ``lower_limits=0``.
    random_state : int, RandomState or None
        Nothing is random: any value gives the same result.
    selection : {'cyclic', 'random'}, default='cyclic'
        The solution is exact in any order of updates.
    scoring : str, callable or None
        A scikit-learn scorer to maximise; None minimises the (weighted) mean squared error.
    selection_rule : {'min', '1se'}, default='min'
        Best mean score over folds, or the largest alpha within one standard error of it.
    refit : bool, default=True
        Fit all rows at the chosen alpha.
    penalty_factor : float, array-like of shape (n_features,) or None
        Multiplies alpha per feature: 0 leaves it unpenalised, inf excludes it. Not rescaled.
    lower_limits, upper_limits : float, array-like of shape (n_features,) or None
        Limits of the coefficients; they must bracket 0.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the standard deviation of feature j in the rows fitted.
    n_threads : int or None
        For all paths together. None: as many as OpenMP would use, one inside somebody's worker threads.
    n_alphas_no_change : int or None
        End the path when the mean score over folds has not improved for so many alphas. The folds go in
        step, by pieces of so many alphas but at least 5. What is not solved is NaN in `mse_path_` and `cv_path_`.
    keep_paths : bool, default=False
        Keep `path_` and `fold_paths_`, in float64; the penalised fit in `coef_` is then a point of `path_`, but for its
        rounding where X is in float32.
    criterion : {'aic', 'bic', 'ebic'} or None
        Choose without folds, from one path on all rows, by the smallest
        ``n log(RSS / n) + K df``: K is 2 (AIC) or ``log n`` (BIC), and EBIC adds ``2 log C(p, df)`` to BIC. n counts
        the rows of positive weight, RSS is weighted by weights that sum to n. df is the rank of the columns
        in the support; coefficients at a limit other than zero do not count. A fit that leaves no residual degrees of
        freedom has the value inf. `cv`, `scoring`, ``selection_rule='1se'``, `n_alphas_no_change` and `relax` are about
        folds: given as well, they raise.
    noise_variance : float or None
        The variance of y about its mean given X, if known: the criterion is then
        ``RSS / noise_variance + K df + n log(2 pi noise_variance)``.
    relax : bool or array-like of shape (n_gammas,), default=False
        Shares gamma in [0, 1] of the penalised fit, the rest being that of least squares on its non-zero and its
        unpenalised features, within the limits, of the same rows. gamma is chosen together with alpha.
        True stands for (0, 0.25, 0.5, 0.75, 1).

    Attributes
    ----------
    alpha_ : float
        The chosen value.
    gamma_ : float
        The chosen share of the penalised fit, with `relax`.
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score (at the best gamma).
    alphas_ : ndarray of shape (n_alphas,)
    mse_path_ : ndarray of shape (n_alphas, n_folds) or, with `relax`, (n_gammas, n_alphas, n_folds)
        Mean squared error on each test set, without `scoring`.
    cv_path_ : SelectionCurves
        Scores, their mean and standard error, what was chosen and why, and a plot.
    criterion_ : ndarray of shape (n_alphas,)
        With `criterion`, which leaves `alpha_1se_`, `mse_path_` and `cv_path_` out.
    ic_path_ : SelectionCurves
        The same with degrees of freedom, what was chosen and why, and a plot.
    path_ : Path
        Of all rows, as far as the folds went; with `keep_paths` and `refit` or `criterion`.
    coef_path_ : scipy.sparse.csc_array of shape (n_features, n_alphas)
        Its coefficients, without relaxation.
    fold_paths_ : list of list of Path
        The penalised fits, a list of one list by fold, with `keep_paths` and without `criterion`.
    coef_ : ndarray of shape (n_features,)
        In float32 where X is, as `intercept_`, rounded once the fit in float64 has converged.
    intercept_ : float
    dual_gap_ : float
        Duality gap of the (penalised) fit on all rows, in units of the objective.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features.

    See Also
    --------
    ElasticNetCV : With an L2 penalty as well.
    fastreg.Lasso : At one alpha.

    Notes
    -----
    Several targets, and the sources of the methods, as for ElasticNetCV.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import LassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LassoCV().fit(X, y)
    >>> round(model.score(X, y), 2)
    0.52
    """

    l1_ratio = 1.0
    path = staticmethod(lasso_path)

    def __init__(self, *, eps=1e-3, alphas=100, fit_intercept=True, precompute="auto", max_iter=1000, tol=1e-4,
                 copy_X=True, cv=None, verbose=False, n_jobs=None, positive=False, random_state=None,
                 selection="cyclic", scoring=None, selection_rule="min", refit=True, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None, n_alphas_no_change=None,
                 keep_paths=False, criterion=None, noise_variance=None, relax=False):
        super().__init__(
            eps=eps, alphas=alphas, fit_intercept=fit_intercept, precompute=precompute, max_iter=max_iter, tol=tol,
            copy_X=copy_X, cv=cv, verbose=verbose, n_jobs=n_jobs, positive=positive, random_state=random_state,
            selection=selection, scoring=scoring, selection_rule=selection_rule, refit=refit,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads, n_alphas_no_change=n_alphas_no_change,
            keep_paths=keep_paths, criterion=criterion, noise_variance=noise_variance, relax=relax)
        del self.l1_ratio
