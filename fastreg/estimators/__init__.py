"""Estimator classes: thin, in scikit-learn's conventions."""
from fastreg.estimators.elastic_net import ElasticNet, Lasso

__all__ = ["ElasticNet", "Lasso"]
