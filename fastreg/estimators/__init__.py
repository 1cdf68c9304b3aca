"""Estimators in scikit-learn's conventions."""
from fastreg.estimators.elastic_net import ElasticNet, Lasso
from fastreg.estimators.elastic_net_cv import ElasticNetCV, LassoCV
from fastreg.estimators.huber import HuberRegressor
from fastreg.estimators.linear_regression import LinearRegression
from fastreg.estimators.logistic import LogisticRegression
from fastreg.estimators.logistic_cv import LogisticRegressionCV
from fastreg.estimators.means import (
    GammaRegressor,
    GeneralizedLinearRegressor,
    PoissonRegressor,
    TweedieRegressor,
)
from fastreg.estimators.means_cv import (
    GammaRegressorCV,
    GeneralizedLinearRegressorCV,
    PoissonRegressorCV,
    TweedieRegressorCV,
)
from fastreg.estimators.ridge import Ridge, RidgeClassifier, ridge_regression
from fastreg.estimators.ridge_cv import RidgeClassifierCV, RidgeCV

__all__ = ["ElasticNet", "ElasticNetCV", "GammaRegressor", "GammaRegressorCV", "GeneralizedLinearRegressor",
           "GeneralizedLinearRegressorCV", "HuberRegressor", "Lasso", "LassoCV", "LinearRegression",
           "LogisticRegression", "LogisticRegressionCV", "PoissonRegressor", "PoissonRegressorCV", "Ridge", "RidgeCV",
           "RidgeClassifier", "RidgeClassifierCV", "TweedieRegressor", "TweedieRegressorCV", "ridge_regression"]
