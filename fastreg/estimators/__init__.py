"""Estimators in scikit-learn's conventions."""
from fastreg.estimators.elastic_net import ElasticNet, Lasso
from fastreg.estimators.elastic_net_cv import ElasticNetCV, LassoCV

__all__ = ["ElasticNet", "ElasticNetCV", "Lasso", "LassoCV"]
