"""What cross-validation of any loss shares, and PoissonRegressorCV."""
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.utils.validation import column_or_1d

from fastreg.checks import (
    check_alphas,
    check_criterion,
    check_flag,
    check_gammas,
    check_number,
    check_verbose,
    check_weight,
    validate_X_y,
)
from fastreg.criteria import ByCriterion, choose_by_criterion
from fastreg.crossval import ByFolds, cross_validate_path
from fastreg.datafits.poisson import POISSON
from fastreg.estimators.base import CrossValidatedMixin, Progress, as_stored, score_by
from fastreg.estimators.glm import GeneralizedLinearModel
from fastreg.estimators.poisson import PoissonMixin, PoissonRegressor
from fastreg.parameters import documented
from fastreg.path import refuse_escape, refuse_free, unit_of, warn_unless_converged
from fastreg.paths import name_features
from fastreg.problem import Spec
from fastreg.scores import scores_of
from fastreg.targets import check_offset


class GeneralizedCV(CrossValidatedMixin, GeneralizedLinearModel):
    """What choosing alpha and l1_ratio by folds asks of any loss.

    Subclasses have the parameters of GeneralizedLinearModel and cv, scoring, selection_rule, refit, keep_paths, n_jobs,
    verbose, n_alphas_no_change, criterion and relax.
    """

    def _ratios(self, l1_ratios, name):
        """The shares of the L1 penalty, a list."""
        ratios = np.atleast_1d(np.asarray(l1_ratios, dtype=object))
        if ratios.ndim != 1 or ratios.size == 0:
            raise ValueError(f"{name} must be a number or a list of numbers, got {l1_ratios!r}.")
        return [check_number(ratio, name, 0, 1) for ratio in ratios]

    def _choose(self, problem, spec, ratios, y, params, sample_weight, loss, **by_folds):
        """The Choice of cross-validation or of a criterion; `y` as the splitter takes it."""
        if self.n_jobs is not None and check_number(self.n_jobs, "n_jobs", kind=Integral) == 0:
            raise ValueError("n_jobs must be None or an integer other than 0.")
        if self.n_alphas_no_change is not None:
            check_number(self.n_alphas_no_change, "n_alphas_no_change", 1, kind=Integral)
        gammas = check_gammas(self.relax)
        check_criterion(self.criterion, None, cv=self.cv, scoring=self.scoring, relax=gammas,
                        selection_rule=None if self.selection_rule == "min" else self.selection_rule,
                        n_alphas_no_change=self.n_alphas_no_change)
        check_verbose(self.verbose)
        common = {"l1_ratios": ratios, "refit": self._check_selection(), "loss": loss,
                  "keep_paths": check_flag(self.keep_paths, "keep_paths")}
        spec = replace(spec, **self._check_effort())
        refuse_free(problem, 1.0 if spec.counted else spec.alphas)
        if problem.datafit.coupled and (self.criterion is not None or gammas is not None):
            raise NotImplementedError("criterion and relax are for two classes: leave them out, or choose by folds.")
        if self.criterion is None:
            routed = self._routed(sample_weight, params)
            folds = self._folds(problem.X, y, problem.weights.raw, **(routed.splitter.split if routed else {}))
            spec, close = self._reporting(spec, len(ratios) * len(folds))
            (choice,) = cross_validate_path(problem, spec, folds, ByFolds(
                **common, rule=self.selection_rule, n_jobs=self.n_jobs, gammas=gammas,
                no_change=self.n_alphas_no_change, **by_folds))
        else:
            if params:
                raise ValueError(f"fit got {sorted(params)} for the splitter, of which criterion has none.")
            spec, close = self._reporting(spec, len(ratios))
            (choice,) = choose_by_criterion(problem, spec, ByCriterion(**common, criterion=self.criterion))
        close()
        if choice.unconverged is not None:
            warn_unless_converged(choice.unconverged, self.tol, self.max_iter, stacklevel=3,
                                  unit=unit_of(problem.datafit))
        if choice.fit is not None:
            c, a = choice.curves.chosen
            refuse_escape(problem.with_l1_ratio(choice.curves.l1_ratios[c]), choice.curves.alphas[c, a],
                          choice.fit.coef, choice.fit.intercept, stacklevel=3)
        self._forget()
        self.has_offset_ = problem.offset is not None
        setattr(self, "cv_path_" if self.criterion is None else "ic_path_", choice.curves)
        if gammas is not None:
            self.gamma_ = float(choice.curves.gammas[choice.curves.chosen[0]])
        if choice.fit is not None:
            self.dual_gap_ = choice.fit.dual_gap
            self.deviance_, self.null_deviance_ = choice.fit.deviance, choice.fit.null_deviance
        if choice.path is not None:
            self.path_ = name_features(choice.path, self)
        if self.keep_paths and self.criterion is None:
            self.fold_paths_ = [[name_features(path, self) for path in paths] for paths in choice.fold_paths]
        return choice

    def _reporting(self, spec, n_paths):
        """(Spec with a report where it is wanted, what ends it.)"""
        if not self.verbose:
            return spec, lambda: None
        report = Progress(type(self).__name__, spec.n_alphas * n_paths)
        return replace(spec, report=report), lambda: report(report.total)

    def _scorer(self, model, datafit):
        """What ByFolds takes for `scoring`: scores of `model`, a single fit that is told coefficients."""
        if self.scoring is None:
            return {"metric": "deviance"}
        from sklearn.metrics import get_scorer

        scorer = get_scorer(self.scoring)
        model.n_features_in_, model.has_offset_ = self.n_features_in_, False

        def score(coef, intercept, X, y, weight, offset):
            model.coef_, model.intercept_, model._shift = coef, intercept, offset
            return score_by(self, scorer, model, X, model._given(y),
                            **({} if weight is None else {"sample_weight": weight}))

        return {"metric": str(self.scoring), "scorer": score, "scores": scores_of(self.scoring, datafit)}


@documented
class PoissonRegressorCV(PoissonMixin, GeneralizedCV):
    """Poisson regression with alpha and l1_ratio chosen by cross-validation.

    For every l1_ratio and the training rows of every fold, minimises along a path of alphas, over w and b, with
    ``eta_i = x_i w + b + offset_i``::

        1 / sum_i s_i * sum_i s_i (exp(eta_i) - y_i eta_i)
            + alpha * sum_j f_j (l1_ratio * |w_j| + (1 - l1_ratio) / 2 * w_j^2)

    subject to ``lower_limits <= w <= upper_limits``, then fits all rows at the chosen values. A fold is a set of row
    weights: X is not copied.

    Parameters
    ----------
    l1_ratio : float or list of float in [0, 1], default=1.0
        1 is the lasso; 0 (ridge) needs `alphas` as an array.
    {lasso_cv.eps}
    {lasso_cv.alphas}
    {fit_intercept, glm.max_iter, glm.tol, lasso_cv.cv, glm.scoring, lasso_cv.selection_rule, lasso_cv.refit}
    {lasso_cv.n_jobs, lasso_cv.verbose, penalty_factor, lower_limits, standardize, lasso_cv.n_threads}
    {glm.keep_paths, glm.n_alphas_no_change, glm.criterion, glm.relax}

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The chosen values.
    {lasso_cv.gamma_}
    alpha_1se_ : float
        The largest alpha within one standard error of the best mean score, at the best l1_ratio.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
    {lasso_cv.cv_path_, lasso_cv.ic_path_}
    {lasso_cv.coef_, lasso_cv.intercept_}
    n_iter_ : int
        Rounds of working set and certificate of the fit of all rows.
    {glm.dual_gap_, glm.deviance_, glm.null_deviance_, glm.has_offset_, glm.path_, glm.fold_paths_, n_features_in_}
    {feature_names_in_}

    See Also
    --------
    PoissonRegressor : At one alpha.

    References
    ----------
    {glm.McCullagh, lasso.Friedman, lasso_cv.Hastie}

    Examples
    --------
    >>> import numpy as np
    >>> from fastreg import PoissonRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 20))
    >>> y = rng.poisson(np.exp(X[:, 0]))
    >>> model = PoissonRegressorCV(alphas=20).fit(X, y)
    >>> round(model.coef_[0].item(), 1)
    0.8
    """

    def __init__(self, *, l1_ratio=1.0, eps=1e-3, alphas=100, fit_intercept=True, max_iter=100, tol=1e-4, cv=None,
                 scoring=None, selection_rule="min", refit=True, n_jobs=None, verbose=0, penalty_factor=None,
                 lower_limits=None, upper_limits=None, standardize=False, n_threads=None, keep_paths=False,
                 n_alphas_no_change=None, criterion=None, relax=False):
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv
        self.scoring = scoring
        self.selection_rule = selection_rule
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.penalty_factor = penalty_factor
        self.lower_limits = lower_limits
        self.upper_limits = upper_limits
        self.standardize = standardize
        self.n_threads = n_threads
        self.keep_paths = keep_paths
        self.n_alphas_no_change = n_alphas_no_change
        self.criterion = criterion
        self.relax = relax

    def fit(self, X, y, sample_weight=None, offset=None, **params):
        """Choose alpha and l1_ratio, and fit.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,)
            Not negative; with an intercept, in no training set zero in every row that has a weight.
        {glm.sample_weight, glm.offset, glm.params}

        Returns
        -------
        self

        Raises
        ------
        {ValueError}

        Warns
        -----
        {lasso.ConvergenceWarning}
        """
        ratios = self._ratios(self.l1_ratio, "l1_ratio")
        eps = check_number(self.eps, "eps", 0, 1, low_open=True)
        spec = Spec(check_alphas(self.alphas, eps, min(ratios)), eps)
        X, y = validate_X_y(self, X, y, ensure_all_finite=False)
        y = column_or_1d(y, warn=True).astype(np.float64)
        POISSON.check_y(y)
        weight, offset = check_weight(sample_weight, len(y)), check_offset(offset, len(y))
        problem = self._problem(POISSON, X, y, weight, offset, 1.0)
        scoring = self._scorer(PoissonRegressor(), POISSON)
        choice = self._choose(problem, spec, ratios, y, params, sample_weight, **scoring,
                              loss={"datafit": "poisson", "has_offset": offset is not None})
        curves, fit = choice.curves, choice.fit
        c, a = curves.chosen
        self.alpha_, self.l1_ratio_ = float(curves.alphas[c, a]), float(curves.l1_ratios[c])
        each = len(curves.alphas) // len(ratios)                      # curves of an l1_ratio
        self.alphas_ = curves.alphas[0] if len(ratios) == 1 or np.ndim(self.alphas) > 0 else curves.alphas[::each]
        if self.criterion is None:
            self.alpha_1se_ = float(curves.alphas[curves.best_1se])
        if fit is not None:
            self.coef_, self.intercept_ = as_stored(X, fit.coef, np.float64(fit.intercept))
            self.n_iter_ = fit.n_iter
        return self
