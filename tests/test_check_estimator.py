"""scikit-learn's own conformance checks."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastreg import ElasticNet, Lasso


@parametrize_with_checks(
    [Lasso(), ElasticNet(), Lasso(alpha=0.1, positive=True, standardize=True, n_threads=1), ElasticNet(l1_ratio=0.0)]
)
def test_conforms(estimator, check):
    check(estimator)
