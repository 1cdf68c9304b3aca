"""fastreg: exact solvers for regularised linear models, fast, each answer with a certificate.

Estimators in scikit-learn's conventions (`Lasso`, `ElasticNet`, `LassoCV`, `ElasticNetCV`, `LinearRegression`,
`Ridge`, `RidgeCV`, `RidgeClassifier`, `RidgeClassifierCV`, `LogisticRegression`, `LogisticRegressionCV`,
`HuberRegressor`; `PoissonRegressor`, `GammaRegressor`, `TweedieRegressor` and `GeneralizedLinearRegressor`, each with
its CV class), paths (`regularization_path`, `lasso_path`, `enet_path`, `ridge_path`), dense or sparse X; losses of your
own (`datafits.custom`); `certify`; the notation of R's glmnet (`from_glmnet`, `to_glmnet`); and pictures (`plot`).
"""
from fastreg import plot
from fastreg._versions import show_versions
from fastreg.estimators import (
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
    ridge_regression,
)
from fastreg.glmnet import from_glmnet, to_glmnet
from fastreg.path import enet_path, lasso_path, regularization_path
from fastreg.paths import Path
from fastreg.referee import Certificate, certify
from fastreg.ridge_path import ridge_path
from fastreg.selection import SelectionCurves

__version__ = "0.1.0"

__all__ = [
    "Certificate",
    "ElasticNet",
    "ElasticNetCV",
    "GammaRegressor",
    "GammaRegressorCV",
    "GeneralizedLinearRegressor",
    "GeneralizedLinearRegressorCV",
    "HuberRegressor",
    "Lasso",
    "LassoCV",
    "LinearRegression",
    "LogisticRegression",
    "LogisticRegressionCV",
    "Path",
    "PoissonRegressor",
    "PoissonRegressorCV",
    "Ridge",
    "RidgeCV",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "SelectionCurves",
    "TweedieRegressor",
    "TweedieRegressorCV",
    "certify",
    "enet_path",
    "from_glmnet",
    "lasso_path",
    "plot",
    "regularization_path",
    "ridge_path",
    "ridge_regression",
    "show_versions",
    "to_glmnet",
]
