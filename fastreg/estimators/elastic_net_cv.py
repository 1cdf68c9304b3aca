"""LassoCV and ElasticNetCV."""
from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from fastreg.checks import (
    check_alphas,
    check_criterion,
    check_flag,
    check_gammas,
    check_ignored,
    check_number,
    check_penalty_options,
    check_precompute,
    check_threads,
    check_weight,
)
from fastreg.criteria import ByCriterion, choose_by_criterion
from fastreg.crossval import ByFolds, cross_validate_path, penalty_values
from fastreg.datafits import QUADRATIC
from fastreg.drawing.axes import PerTarget
from fastreg.estimators.base import CrossValidatedMixin, LinearRegressorMixin, as_stored, score_by
from fastreg.estimators.elastic_net import ElasticNet
from fastreg.estimators.reporting import ReportingMixin
from fastreg.parameters import documented
from fastreg.path import enet_path, lasso_path, warn_unless_converged
from fastreg.paths import name_features
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.rounding import single
from fastreg.scores import scores_of
from fastreg.selection import first_unconverged, fit_at, warn_at_edge
from fastreg.solvers.path import PathSolver
from fastreg.weights import Weights


@documented
class _ElasticNetCVBase(ReportingMixin, CrossValidatedMixin, LinearRegressorMixin, BaseEstimator):
    """What LassoCV and ElasticNetCV share: their parameters but l1_ratio, and the fit."""

    def __init__(self, *, eps, alphas, fit_intercept, precompute, max_iter, tol, cv, copy_X, verbose, n_jobs, positive,
                 random_state, selection, scoring, selection_rule, refit, penalty_factor, lower_limits, upper_limits,
                 standardize, n_threads, n_alphas_no_change, keep_paths, criterion, noise_variance, relax,
                 callback):
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
        self.callback = callback

    def fit(self, X, y, sample_weight=None, **params):
        """Choose alpha (l1_ratio, gamma) and fit.

        Parameters
        ----------
        {X, y}
        sample_weight : array-like of shape (n_samples,), float or None
            Weighs the training rows and, in the mean squared error or the scorer, the test rows of each fold.
        **params : dict
            For the splitter (``groups``), where scikit-learn's metadata routing is enabled.

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {lasso.ConvergenceWarning, lasso_cv.UserWarning}
        """
        spec, selection, settings = self._check_parameters()
        X, y = self._check_data(X, y)
        n, p = X.shape
        Y = np.asarray(y, dtype=np.float64).reshape(n, -1)
        options = check_penalty_options(p, positive=self.positive, penalty_factor=self.penalty_factor,
                                        lower_limits=self.lower_limits, upper_limits=self.upper_limits)
        options["standardize"] = check_flag(self.standardize, "standardize")
        eps = check_number(self.eps, "eps", 0, 1, low_open=True)
        spec = replace(spec, alphas=check_alphas(self.alphas, eps, min(selection["l1_ratios"])), eps=eps)
        problem = Problem.of(X, Y, Penalty(**options), weights=Weights(check_weight(sample_weight, n), n), **settings)
        if self.criterion is None:
            routed = self._routed(sample_weight, params)
            folds = self._folds(X, y, problem.weights.raw, **(routed.splitter.split if routed else {}))
            how = ByFolds(**selection, **self._selection_by_folds())
            count, choose = penalty_values(spec, how, len(folds)), partial(cross_validate_path, folds=folds)
        else:
            if params:
                raise ValueError(f"fit got {sorted(params)} for the splitter, of which criterion has none.")
            how = ByCriterion(**selection, criterion=self.criterion, noise_variance=self.noise_variance)
            count, choose = spec.n_alphas * len(how.l1_ratios), choose_by_criterion
        with self._reporting(Y.shape[1] * count, lambda: (X, y, sample_weight)) as report:
            choices = choose(problem, replace(spec, report=report), how=how)
            unconverged = first_unconverged(*(choice.unconverged for choice in choices))
            if unconverged is not None:
                warn_unless_converged(unconverged, self.tol, self.max_iter, stacklevel=2)
            if X.dtype == np.float32:
                self._round(problem, choices)
            warn_at_edge((choice.curves for choice in choices), counted=np.ndim(self.alphas) == 0, stacklevel=3)
            self._keep(choices, y)
        return self

    def _round(self, problem, choices):
        """Fits of all rows in float32, as X is stored, with the gaps that they have then."""
        relaxed = check_gammas(self.relax) is not None               # such a fit has no gap
        for t, choice in enumerate(choices):
            fit, curves = choice.fit, choice.curves
            if fit is None:
                continue
            if not relaxed and single(fit.coef, fit.intercept):
                c, a = curves.chosen
                solver = PathSolver(problem.target(t).with_l1_ratio(curves.l1_ratios[c]),
                                    Spec(1, gram=False, tol=self.tol))
                found = fit_at(solver.rounded(curves.alphas[c, a], fit.coef[None]), 0)
                fit.coef, fit.intercept, fit.dual_gap = found.coef, found.intercept, found.dual_gap
            fit.coef, fit.intercept = as_stored(problem.X, fit.coef, np.float64(fit.intercept))

    def _keep(self, choices, y):
        """Set the attributes; those of several targets are stacked, or in a list where they are no arrays."""
        self._forget()
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

    def _selection_by_folds(self):
        """What ByFolds takes beyond any Selection."""
        scorer = self._scorer()
        return {
            "n_jobs": self.n_jobs,
            "rule": self.selection_rule,
            "scorer": None if scorer is None else self._score_with(scorer),
            "scores": scores_of(self.scoring, QUADRATIC),
            "metric": "squared error" if scorer is None else str(self.scoring),
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

        def score(coef, intercept, X, y, weight, _):
            model.coef_, model.intercept_ = coef, intercept
            return score_by(self, scorer, model, X, y, **({} if weight is None else {"sample_weight": weight}))

        return score

    def _check_parameters(self):
        """Spec but for the alphas, what any Selection takes, and what Problem.of takes of the parameters."""
        ratios = np.atleast_1d(np.asarray(self.l1_ratio, dtype=object))
        if ratios.ndim != 1 or ratios.size == 0:
            raise ValueError(f"l1_ratio must be a number or a list of numbers, got {self.l1_ratio!r}.")
        ratios = [check_number(ratio, "l1_ratio", 0, 1) for ratio in ratios]
        if np.ndim(self.precompute) > 0:
            raise ValueError(f"precompute must be True, False or 'auto', got an array of shape "
                             f"{np.shape(self.precompute)}: a Gram matrix of all rows is none of the folds'.")
        refit = self._check_selection()
        if self.n_jobs is not None and (check_number(self.n_jobs, "n_jobs", kind=Integral) == 0):
            raise ValueError("n_jobs must be None or an integer other than 0.")
        if self.n_alphas_no_change is not None:
            check_number(self.n_alphas_no_change, "n_alphas_no_change", 1, kind=Integral)
        check_criterion(self.criterion, self.noise_variance, cv=self.cv, scoring=self.scoring,
                        selection_rule=None if self.selection_rule == "min" else self.selection_rule,
                        relax=check_gammas(self.relax), n_alphas_no_change=self.n_alphas_no_change)
        check_ignored(copy_X=self.copy_X, random_state=self.random_state, selection=self.selection)
        spec = Spec(self.alphas, tol=check_number(self.tol, "tol", 0), gram=check_precompute(self.precompute, 0),
                    max_iter=check_number(self.max_iter, "max_iter", 1, kind=Integral))
        selection = {"l1_ratios": ratios, "keep_paths": check_flag(self.keep_paths, "keep_paths"), "refit": refit}
        settings = {"fit_intercept": check_flag(self.fit_intercept, "fit_intercept"),
                    "n_threads": check_threads(self.n_threads)}
        return spec, selection, settings


@documented
class ElasticNetCV(_ElasticNetCVBase):
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
    {lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, lasso_cv.precompute, lasso.max_iter, lasso.tol, lasso_cv.cv, copy_X, verbose}
    {lasso_cv.n_jobs, positive, random_state, lasso.selection, lasso_cv.scoring, lasso_cv.selection_rule}
    {lasso_cv.refit, penalty_factor, lower_limits, standardize, lasso_cv.n_threads, lasso_cv.n_alphas_no_change}
    {lasso_cv.keep_paths, lasso_cv.criterion, lasso_cv.noise_variance, lasso_cv.relax, callback}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score, at the best l1_ratio (and gamma).
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        Mean squared error on each test set, without `scoring`; with `relax` the axis before n_alphas is n_gammas.
    {lasso_cv.cv_path_}
    criterion_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        With `criterion`, which leaves `alpha_1se_`, `mse_path_` and `cv_path_` out.
    {lasso_cv.ic_path_}
    path_ : Path
        Of all rows at the chosen l1_ratio, as far as the folds went; with `keep_paths` and `refit` or `criterion`.
    {lasso_cv.coef_path_}
    fold_paths_ : list of list of Path
        The penalised fits by l1_ratio and fold, with `keep_paths` and without `criterion`.
    {lasso_cv.coef_, lasso_cv.intercept_, lasso_cv.dual_gap_, lasso_cv.n_iter_, n_features_in_, feature_names_in_}

    See Also
    --------
    fastreg.ElasticNet : At one alpha.
    fastreg.regularization_path : A path without folds.

    Notes
    -----
    {lasso_cv.Targets}

    References
    ----------
    {lasso_cv.Hastie, lasso_cv.Zou, lasso_cv.Tibshirani, lasso_cv.Chen, lasso_cv.Meinshausen}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import ElasticNetCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = ElasticNetCV(l1_ratio=[0.5, 1.0]).fit(X, y)
    >>> model.l1_ratio_
    1.0
    """

    path = staticmethod(enet_path)

    def __init__(self, *, l1_ratio=0.5, eps=1e-3, alphas=100, fit_intercept=True, precompute="auto", max_iter=1000,
                 tol=1e-4, cv=None, copy_X=True, verbose=0, n_jobs=None, positive=False, random_state=None,
                 selection="cyclic", scoring=None, selection_rule="min", refit=True, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None, n_alphas_no_change=None,
                 keep_paths=False, criterion=None, noise_variance=None, relax=False, callback=None):
        super().__init__(
            eps=eps, alphas=alphas, fit_intercept=fit_intercept, precompute=precompute, max_iter=max_iter, tol=tol,
            cv=cv, copy_X=copy_X, verbose=verbose, n_jobs=n_jobs, positive=positive, random_state=random_state,
            selection=selection, scoring=scoring, selection_rule=selection_rule, refit=refit,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads, n_alphas_no_change=n_alphas_no_change, keep_paths=keep_paths,
            criterion=criterion, noise_variance=noise_variance, relax=relax, callback=callback)
        self.l1_ratio = l1_ratio


@documented
class LassoCV(_ElasticNetCVBase):
    """Lasso with alpha chosen by cross-validation or by an information criterion.

    For the training rows of every fold (all rows with `criterion`), minimises along a path of alphas, over w and b::

        1 / (2 sum_i s_i) * sum_i s_i (y_i - x_i w - b)^2 + alpha * sum_j f_j |w_j|

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen alpha. A fold is a set of row
    weights: X is not copied. Dense X with n >> p is read once for all folds.

    Parameters
    ----------
    {lasso_cv.eps}
    alphas : int or array-like, default=100
        Number of values, from the smallest that makes every penalised coefficient zero on all rows; or the values.
    {fit_intercept, lasso_cv.precompute, lasso.max_iter, lasso.tol, lasso_cv.cv, copy_X, verbose}
    {lasso_cv.n_jobs, positive, random_state, lasso.selection, lasso_cv.scoring, lasso_cv.selection_rule}
    {lasso_cv.refit, penalty_factor, lower_limits, standardize, lasso_cv.n_threads, lasso_cv.n_alphas_no_change}
    {lasso_cv.keep_paths, lasso_cv.criterion, lasso_cv.noise_variance, lasso_cv.relax, callback}

    Attributes
    ----------
    alpha_ : float
        The chosen value.
    {lasso_cv.gamma_}
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score (at the best gamma).
    alphas_ : ndarray of shape (n_alphas,)
    mse_path_ : ndarray of shape (n_alphas, n_folds) or, with `relax`, (n_gammas, n_alphas, n_folds)
        Mean squared error on each test set, without `scoring`.
    {lasso_cv.cv_path_}
    criterion_ : ndarray of shape (n_alphas,)
        Values of the criterion, which leaves `alpha_1se_`, `mse_path_` and `cv_path_` out.
    {lasso_cv.ic_path_}
    path_ : Path
        Of all rows, as far as the folds went; with `keep_paths` and `refit` or `criterion`.
    {lasso_cv.coef_path_}
    fold_paths_ : list of list of Path
        The penalised fits, a list of one list by fold, with `keep_paths` and without `criterion`.
    {lasso_cv.coef_, lasso_cv.intercept_, lasso_cv.dual_gap_, lasso_cv.n_iter_, n_features_in_, feature_names_in_}

    See Also
    --------
    ElasticNetCV : With an L2 penalty as well.
    fastreg.Lasso : At one alpha.

    Notes
    -----
    {lasso_cv.Targets}

    References
    ----------
    {lasso_cv.Hastie, lasso_cv.Zou, lasso_cv.Tibshirani, lasso_cv.Chen, lasso_cv.Meinshausen}

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
                 keep_paths=False, criterion=None, noise_variance=None, relax=False, callback=None):
        super().__init__(
            eps=eps, alphas=alphas, fit_intercept=fit_intercept, precompute=precompute, max_iter=max_iter, tol=tol,
            cv=cv, copy_X=copy_X, verbose=verbose, n_jobs=n_jobs, positive=positive, random_state=random_state,
            selection=selection, scoring=scoring, selection_rule=selection_rule, refit=refit,
            penalty_factor=penalty_factor, lower_limits=lower_limits, upper_limits=upper_limits,
            standardize=standardize, n_threads=n_threads, n_alphas_no_change=n_alphas_no_change, keep_paths=keep_paths,
            criterion=criterion, noise_variance=noise_variance, relax=relax, callback=callback)
