"""Loops over rows from the methods of skglm's datafits, which are of arrays and means."""
from collections import namedtuple

import numpy as np


class Rows:
    """A method of a datafit as a function of y and eta, of floats or as a loop over rows.

    Parameters
    ----------
    owner : type
        The class of the datafit.
    params : dict
        What its methods ask of themselves.
    method : {'value', 'raw_grad', 'raw_hessian'}
    """

    def __init__(self, owner, params, method):
        self.owner, self.params, self.method = owner, params, method

    @property
    def told(self):
        """What decides what it is."""
        return getattr(self.owner, self.method), tuple(self.params), tuple(self.params.values())

    def _self(self):
        """What stands for the datafit in its methods."""
        return namedtuple(self.owner.__name__, self.params)(**self.params) if self.params else None

    def __call__(self, y, eta):
        y, eta = np.array([y], dtype=float), np.array([eta], dtype=float)
        among = (y, np.zeros(0), eta) if self.method == "value" else (y, eta)
        return float(np.ravel(getattr(self.owner, self.method)(self._self(), *among))[0])

    def loop(self, numba):
        """The loop over rows for Numba."""
        found, owner = numba.njit(getattr(self.owner, self.method), error_model="numpy"), self._self()

        def each(n, y, eta, out):
            ys, etas, nothing = numba.carray(y, n), numba.carray(eta, n), np.zeros(0)
            for i in range(n):
                out[i] = found(owner, ys[i:i + 1], nothing, etas[i:i + 1])

        def together(n, y, eta, out):
            values = found(owner, numba.carray(y, n), numba.carray(eta, n))
            for i in range(n):
                out[i] = n * values[i]

        return each if self.method == "value" else together


def rows_of(datafit):
    """(value, gradient, curvature) of a datafit."""
    params = dict(datafit.params_to_dict()) if hasattr(datafit, "params_to_dict") else {}
    return [Rows(type(datafit), params, method) for method in ("value", "raw_grad", "raw_hessian")]
