"""Coefficients along a path: sparse where most are zero, and an array where NumPy, pandas or a plot wants one."""
import scipy.sparse as sp


class _AsArray:
    """What NumPy and plots ask of sparse coefficients."""

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("sparse coefficients become an array by copying them.")
        return self.toarray().astype(dtype or self.dtype, copy=False)

    def __len__(self):
        return self.shape[0]


class _Vector(_AsArray, sp.coo_array):
    """Sparse coefficients at one alpha, or those of one feature."""


class _Indexed(_AsArray):
    def __getitem__(self, key):
        found = super().__getitem__(key)
        return _Vector(found) if sp.issparse(found) and found.ndim == 1 else found


class _Rows(_Indexed, sp.csr_array):
    """Sparse coefficients of shape (n_alphas, n_features)."""


class SparseCoefs(_Indexed, sp.csc_array):
    """Sparse coefficients of shape (n_features, n_alphas), which become an array where NumPy is given them."""

    def transpose(self, axes=None, copy=False):
        """The same of shape (n_alphas, n_features)."""
        return _Rows(super().transpose(axes, copy))
