"""LAPACK on whole matrices without the GIL, which SciPy's doors hold: Python goes on meanwhile, and may wait for the
end of a long call or not (``solvers/interruptible.py``)."""
import numpy as np

from scipy.linalg.cython_blas cimport dtrsv
from scipy.linalg.cython_lapack cimport dpotrf


def cholesky(double[::1, :] A):
    """The lower triangle of A (n x n) becomes its Cholesky factor, the other one stays. Whether it has none."""
    cdef int n = <int> A.shape[0], info = 0
    if n > 0:
        with nogil:
            dpotrf('L', &n, &A[0, 0], &n, &info)
    return info != 0


def solved(const double[::1, :] factor, b):
    """What solves the equations of a `cholesky` factor for b (n numbers), of its shape.

    By vectors: OpenBLAS takes two to four times as long over a matrix of one column, as LAPACK has it."""
    cdef double[::1] x = np.array(b, dtype=np.float64).ravel()
    cdef int n = <int> factor.shape[0], step = 1
    if n > 0:
        with nogil:
            dtrsv('L', 'N', 'N', &n, <double *> &factor[0, 0], &n, &x[0], &step)
            dtrsv('L', 'T', 'N', &n, <double *> &factor[0, 0], &n, &x[0], &step)
    return x.base.reshape(np.shape(b))
