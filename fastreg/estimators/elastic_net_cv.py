"""LassoCV and ElasticNetCV."""
import sys
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from fastreg.checks import (
    check_alphas,
    check_flag,
    check_number,
    check_penalty_options,
    check_selection,
    check_threads,
    check_weight,
)
from fastreg.crossval import cross_validate_path
from fastreg.estimators.elastic_net import ElasticNet, LinearRegressorMixin
from fastreg.path import warn_unless_converged
from fastreg.solvers.folds import as_folds
from fastreg.solvers.linear import Penalty


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
    """Elastic net with alpha and l1_ratio chosen by cross-validation.

    For every fold and l1_ratio, minimises along a path of alphas, over w and b and the fold's training rows::

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
        Paths solved at the same time, by threads; None: as many as there are threads. Results do not depend on it.
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

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score, at the best l1_ratio.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        Mean squared error on each test set, without `scoring`.
    cv_path_ : CrossValidatedPath
        Scores, their mean and standard error, what was chosen and why, and a plot.
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    dual_gap_ : float
        Duality gap of the fit on all rows, in units of the objective.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features.

    See Also
    --------
    fastreg.ElasticNet : At one alpha.
    fastreg.regularization_path : A path without folds.

    References
    ----------
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd ed., section 7.10 (the rule of one
    standard error).

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
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None):
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

    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha and l1_ratio, and fit.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            Used where it lies; see ElasticNet.
        y : array-like of shape (n_samples,)
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
            Where `max_iter` ended a fit before its gap was reached.
        """
        settings, ratios = self._check_parameters()
        X, y = self._check_data(X, y, multi_output=False)
        n, p = X.shape
        options = check_penalty_options(p, positive=self.positive, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        options["standardize"] = check_flag(self.standardize, "standardize")
        alphas = check_alphas(self.alphas, self.eps, min(ratios))
        weight = check_weight(sample_weight, n)
        splits = _check_cv(self.cv).split(X, y, **self._split_parameters(sample_weight, params))
        folds = as_folds(splits, n)
        scorer = self._scorer()
        count = alphas if isinstance(alphas, int) else len(alphas)
        progress = _Progress(type(self).__name__, count * len(folds) * len(ratios)) if self.verbose else None
        self.cv_path_, solution, paths = cross_validate_path(
            X, np.asarray(y, dtype=np.float64), folds, l1_ratios=ratios, alphas=alphas, eps=self.eps, weight=weight,
            penalty=lambda ratio: Penalty(ratio, **options), refit=check_flag(self.refit, "refit"), report=progress,
            scorer=None if scorer is None else self._score_with(scorer),
            metric="squared error" if scorer is None else str(self.scoring),
            greater_is_better=scorer is not None, **settings)
        if progress is not None:
            progress(progress.total)
        for solved in [s for at_ratio in paths for s in at_ratio] + [solution] * (solution is not None):
            if not solved.converged.all():
                warn_unless_converged(solved, self.max_iter, stacklevel=2)
                break
        self._keep(solution)
        return self

    def _keep(self, solution):
        path = self.cv_path_
        r, a = path.chosen
        self.alpha_, self.alpha_1se_ = float(path.alphas[r, a]), float(path.alphas[path.best_1se])
        self.alphas_ = path.alphas[0] if len(path.alphas) == 1 or not isinstance(self.alphas, Integral) else path.alphas
        if "l1_ratio" in self.get_params():
            self.l1_ratio_ = float(path.l1_ratios[r])
        if self.scoring is None:
            self.mse_path_ = path.fold_scores[0] if len(path.alphas) == 1 else path.fold_scores
        elif hasattr(self, "mse_path_"):
            del self.mse_path_
        if solution is not None:
            self.coef_ = solution.dense()[0]
            self.intercept_ = float(solution.intercepts[0, 0]) if self.fit_intercept else 0.0
            self.dual_gap_ = float(solution.dual_gaps[0, 0])
            self.n_iter_ = int(solution.n_iters[0, 0])

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
            return scorer(model, X, y) if weight is None else scorer(model, X, y, sample_weight=weight)

        return score

    def _split_parameters(self, sample_weight, params):
        """What metadata routing sends to the splitter."""
        if not get_config()["enable_metadata_routing"]:
            if params:
                raise ValueError(f"fit got {sorted(params)}, which only metadata routing can pass on: enable it by "
                                 "sklearn.set_config(enable_metadata_routing=True).")
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
        for ratio in ratios:
            check_number(ratio, "l1_ratio", 0, 1, kind=Real)
        if not isinstance(self.precompute, (bool, str)) or self.precompute not in (True, False, "auto"):
            raise ValueError(f"precompute must be True, False or 'auto', got {self.precompute!r}: a Gram matrix of all "
                             "rows is none of the folds'.")
        if self.selection_rule not in ("min", "1se"):
            raise ValueError(f"selection_rule must be 'min' or '1se', got {self.selection_rule!r}.")
        if self.n_jobs is not None and (check_number(self.n_jobs, "n_jobs", kind=Integral) == 0):
            raise ValueError("n_jobs must be None or an integer other than 0.")
        check_flag(self.copy_X, "copy_X")
        check_selection(self.selection)
        return {
            "fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
            "tol": check_number(self.tol, "tol", 0),
            "max_iter": int(check_number(self.max_iter, "max_iter", 1, kind=Integral)),
            "n_jobs": self.n_jobs,
            "n_threads": check_threads(self.n_threads),
            "selection_rule": self.selection_rule,
            "gram": True if self.precompute is True else None,
        }, [float(ratio) for ratio in ratios]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags


class LassoCV(ElasticNetCV):
    """Lasso with alpha chosen by cross-validation.

    For every fold, minimises along a path of alphas, over w and b and the fold's training rows::

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
        Paths solved at the same time, by threads; None: as many as there are threads. Results do not depend on it.
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

    Attributes
    ----------
    alpha_ : float
        The chosen value.
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score.
    alphas_ : ndarray of shape (n_alphas,)
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared error on each test set, without `scoring`.
    cv_path_ : CrossValidatedPath
        Scores, their mean and standard error, what was chosen and why, and a plot.
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    dual_gap_ : float
        Duality gap of the fit on all rows, in units of the objective.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features.

    See Also
    --------
    ElasticNetCV : With an L2 penalty as well.
    fastreg.Lasso : At one alpha.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import LassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LassoCV().fit(X, y)
    >>> round(model.score(X, y), 2)
    0.51
    """

    l1_ratio = 1.0

    def __init__(self, *, eps=1e-3, alphas=100, fit_intercept=True, precompute="auto", max_iter=1000, tol=1e-4,
                 copy_X=True, cv=None, verbose=False, n_jobs=None, positive=False, random_state=None,
                 selection="cyclic", scoring=None, selection_rule="min", refit=True, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None):
        super().__init__(
            eps=eps, alphas=alphas, fit_intercept=fit_intercept, precompute=precompute, max_iter=max_iter, tol=tol,
            copy_X=copy_X, cv=cv, verbose=verbose, n_jobs=n_jobs, positive=positive, random_state=random_state,
            selection=selection, scoring=scoring, selection_rule=selection_rule, refit=refit,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads)
        del self.l1_ratio
