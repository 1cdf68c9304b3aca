"""What docstrings of generalised linear models share, as `parameters` has it."""

GLM = """
max_iter : int, default=100
    Rounds of working set and certificate (a handful is usual).

tol : float, default=1e-4
    A fit is accepted when its duality gap is at most tol times half the null deviance (both averages over the rows), or
    when no optimality condition is violated beyond rounding.

warm_start : bool, default=False
    Start from the coefficients of the last fit; where their gap is within `tol` they are kept, in no round.

sample_weight : array-like of shape (n_samples,), float or None
    Non-negative.

offset : array-like of shape (n_samples,), float or None
    Added to the linear predictor, with the coefficient 1. What was fitted with offsets wants them, or 0, to predict.

scoring : str, callable or None
    A scikit-learn scorer to maximise; None minimises the (weighted) mean deviance, which is maximising neg_log_loss
    where y holds classes.

keep_paths : bool, default=False
    Keep `path_` and `fold_paths_`, in float64: ``path_.at(alpha_1se_)`` is the penalised fit there.

n_alphas_no_change : int or None
    End a path when the mean score over folds has not improved for so many penalties, the strongest coming first. The
    folds go in step, by pieces of so many penalties but at least 5. What is not solved is NaN in scores and curves.

criterion : {'aic', 'bic', 'ebic'} or None
    Choose without folds, from paths on all rows, by the smallest ``-2 log likelihood + K df``: K is 2 (AIC) or
    ``log n`` (BIC), and EBIC adds ``2 log C(p, df)`` to BIC. n counts the rows of positive weight, to which weights
    sum. df is the trace of the hat matrix of the support, rows weighing their curvature (of the lasso: its rank);
    coefficients at a limit other than zero do not count. Of several classes p and df are those of all of them, df less
    what they have in common. What is about folds raises beside it.

relax : bool or array-like of shape (n_gammas,), default=False
    Shares gamma in [0, 1] of the penalised fit, the rest being maximum likelihood on its non-zero and its unpenalised
    features (of several classes, on those that any of them uses), within the limits, of the same rows. gamma is chosen
    together with the penalty. True stands for (0, 0.25, 0.5, 0.75, 1). A ValueError where a support has no maximum:
    of separable classes, say.

**params : dict
    For the splitter (``groups``), where scikit-learn's metadata routing is enabled.

path_ : Path
    Of all rows at the chosen l1_ratio; with `keep_paths` and `refit`.

fold_paths_ : list of list of Path
    By l1_ratio and fold, with `keep_paths`.

dual_gap_ : float
    Duality gap of the fit, in units of the average loss.

stationarity_ : float
    Of a loss that is not convex, whose `dual_gap_` is NaN: how far its quadratic model could lower the objective.

deviance_ : float
    Weighted mean deviance of the rows fitted.

null_deviance_ : float
    Weighted mean deviance of the fit of intercept and offsets alone.

has_offset_ : bool
    Whether the model was fitted with offsets.

l1_ratio : float or list of float in [0, 1], default=1.0
    1 is the lasso; 0 (ridge) needs `alphas` as an array.

alpha_1se_ : float
    The largest alpha within one standard error of the best mean score, at the best l1_ratio.

McCullagh and Nelder, "Generalized Linear Models", 2nd ed., Chapman and Hall (1989).
"""

LOGISTIC = """
dual : bool, default=False
    Without effect.

intercept_scaling : float, default=1
    Without effect; with ``solver='liblinear'`` it must be 1, as the intercept is not penalised.

solver : {'lbfgs', 'liblinear', 'newton-cg', 'newton-cholesky', 'sag', 'saga'}, default='lbfgs'
    The solution is exact, with any l1_ratio, whatever the value; 'liblinear' fits an intercept that is not penalised,
    unlike scikit-learn's.

classes_ : ndarray of shape (n_classes,)
    Sorted.

coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    Of two classes one row, which is about the second. In float32 where X is, as `intercept_`, rounded once the fit in
    float64 has converged.

intercept_ : ndarray of shape (1,) or (n_classes,)
    0 without an intercept.
"""
