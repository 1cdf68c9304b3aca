"""fastreg: exact solvers for regularised linear models, fast, each answer with a certificate.

Estimators in scikit-learn's conventions (`Lasso`, `ElasticNet`), regularisation paths (`regularization_path`,
`lasso_path`, `enet_path`), dense or sparse X.
"""
from fastreg._versions import show_versions
from fastreg.estimators import ElasticNet, Lasso
from fastreg.path import RegularizationPath, enet_path, lasso_path, regularization_path

__version__ = "0.1.0"

__all__ = [
    "ElasticNet",
    "Lasso",
    "RegularizationPath",
    "enet_path",
    "lasso_path",
    "regularization_path",
    "show_versions",
]
