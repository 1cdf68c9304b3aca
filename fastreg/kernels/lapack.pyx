"""LAPACK on whole matrices without the GIL, which SciPy's doors hold: Python goes on meanwhile, and may wait for the
end of a long call or not (``solvers/interruptible.py``)."""
from scipy.linalg.cython_lapack cimport dpotrf


def cholesky(double[::1, :] A):
    """The lower triangle of A (n x n) becomes its Cholesky factor, the other one stays. Whether it has none."""
    cdef int n = <int> A.shape[0], info = 0
    if n > 0:
        with nogil:
            dpotrf('L', &n, &A[0, 0], &n, &info)
    return info != 0
