"""What cross-validation of any loss shares."""
from dataclasses import replace
from numbers import Integral

import numpy as np

from fastreg.checks import (
    check_criterion,
    check_flag,
    check_gammas,
    check_number,
)
from fastreg.criteria import ByCriterion, choose_by_criterion
from fastreg.crossval import ByFolds, cross_validate_path, penalty_values
from fastreg.estimators.base import CrossValidatedMixin, score_by
from fastreg.estimators.glm import GeneralizedLinearModel
from fastreg.path import refuse_escape, unit_of, warn_unless_converged
from fastreg.paths import name_features
from fastreg.scores import of_all_classes, scores_of
from fastreg.solvers.free_softmax import refuse_free


class GeneralizedCV(CrossValidatedMixin, GeneralizedLinearModel):
    """What choosing alpha and l1_ratio by folds asks of any loss.

    Subclasses have the parameters of GeneralizedLinearModel and cv, scoring, selection_rule, refit, keep_paths, n_jobs,
    n_alphas_no_change, criterion and relax.
    """

    def _ratios(self, l1_ratios, name):
        """The shares of the L1 penalty, a list."""
        ratios = np.atleast_1d(np.asarray(l1_ratios, dtype=object))
        if ratios.ndim != 1 or ratios.size == 0:
            raise ValueError(f"{name} must be a number or a list of numbers, got {l1_ratios!r}.")
        return [check_number(ratio, name, 0, 1) for ratio in ratios]

    def _plan(self, problem, spec, ratios, y, params, sample_weight, loss, **by_folds):
        """(Number of penalty values, what makes a Choice of a report: by cross-validation or by a criterion); `y` as
        the splitter takes it."""
        if self.n_jobs is not None and check_number(self.n_jobs, "n_jobs", kind=Integral) == 0:
            raise ValueError("n_jobs must be None or an integer other than 0.")
        if self.n_alphas_no_change is not None:
            check_number(self.n_alphas_no_change, "n_alphas_no_change", 1, kind=Integral)
        gammas = check_gammas(self.relax)
        check_criterion(self.criterion, None, cv=self.cv, scoring=self.scoring, relax=gammas,
                        selection_rule=None if self.selection_rule == "min" else self.selection_rule,
                        n_alphas_no_change=self.n_alphas_no_change)
        common = {"l1_ratios": ratios, "refit": self._check_selection(), "loss": loss,
                  "keep_paths": check_flag(self.keep_paths, "keep_paths")}
        spec = replace(spec, **self._check_effort())
        refuse_free(problem, 1.0 if spec.counted else spec.alphas)
        if self.criterion is None:
            routed = self._routed(sample_weight, params)
            folds = self._folds(problem.X, y, problem.weights.raw, **(routed.splitter.split if routed else {}))
            how = ByFolds(**common, rule=self.selection_rule, n_jobs=self.n_jobs, gammas=gammas,
                          no_change=self.n_alphas_no_change, **by_folds)
            return penalty_values(spec, how, len(folds)), lambda report: cross_validate_path(
                problem, replace(spec, report=report), folds, how)
        if params:
            raise ValueError(f"fit got {sorted(params)} for the splitter, of which criterion has none.")
        return spec.n_alphas * len(ratios), lambda report: choose_by_criterion(
            problem, replace(spec, report=report), ByCriterion(**common, criterion=self.criterion))

    def _choose(self, problem, choose, report):
        """The Choice that a plan comes to; sets what tells about the fit."""
        gammas, (choice,) = check_gammas(self.relax), choose(report)
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
            self._certify(problem.datafit, choice.fit.dual_gap)
            self.deviance_, self.null_deviance_ = choice.fit.deviance, choice.fit.null_deviance
        if choice.path is not None:
            self.path_ = name_features(choice.path, self)
        if self.keep_paths and self.criterion is None:
            self.fold_paths_ = [[name_features(path, self) for path in paths] for paths in choice.fold_paths]
        return choice

    def _scorer(self, model, datafit):
        """What ByFolds takes for `scoring`: scores of `model`, a single fit that is told coefficients."""
        if self.scoring is None:
            return {"metric": "deviance"}
        from sklearn.metrics import get_scorer

        scorer = of_all_classes(get_scorer(self.scoring), getattr(model, "classes_", None))
        model.n_features_in_, model.has_offset_ = self.n_features_in_, False

        def score(coef, intercept, X, y, weight, offset):
            model.coef_, model.intercept_, model._shift = coef, intercept, offset
            return score_by(self, scorer, model, X, model._given(y),
                            **({} if weight is None else {"sample_weight": weight}))

        return {"metric": str(self.scoring), "scorer": score, "scores": scores_of(self.scoring, datafit)}
