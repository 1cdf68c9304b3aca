"""scikit-learn's own conformance checks."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastreg import (
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    GammaRegressorCV,
    GeneralizedLinearRegressor,
    GeneralizedLinearRegressorCV,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    PoissonRegressorCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    TweedieRegressor,
    TweedieRegressorCV,
)


@parametrize_with_checks(
    [Lasso(alpha=0.1, positive=True, standardize=True, n_threads=1), ElasticNet(),
     LassoCV(cv=3, alphas=10), ElasticNetCV(cv=3, alphas=10, l1_ratio=[0.5, 1.0], selection_rule="1se"),
     LinearRegression(), Ridge(), Ridge(positive=True), Ridge(solver="svd", penalty_factor=2.0),
     RidgeClassifier(solver="sparse_cg", tol=1e-10, standardize=True), RidgeCV(), RidgeCV(cv=3, standardize=True),
     RidgeClassifierCV(), RidgeClassifierCV(cv=3), LogisticRegression(), LogisticRegression(C=0.1, l1_ratio=0.5),
     PoissonRegressor(), PoissonRegressor(alpha=0.1, l1_ratio=1.0), LogisticRegressionCV(cv=3),
     LogisticRegressionCV(cv=3, Cs=4, l1_ratios=[0.5, 1.0], selection_rule="1se"), PoissonRegressorCV(cv=3, alphas=10),
     GammaRegressor(), GammaRegressorCV(cv=3, alphas=10), TweedieRegressor(), TweedieRegressor(power=1.5),
     TweedieRegressorCV(cv=3, alphas=10), GeneralizedLinearRegressor("huber(1.5)"),
     GeneralizedLinearRegressorCV("huber(1.5)", cv=3, alphas=10), HuberRegressor(tol=1e-12),
     HuberRegressor(alpha=3.0, l1_ratio=0.9, tol=1e-12)]
)
def test_conforms(estimator, check):
    check(estimator)
