"""Relative gap and R^2 of elastic-net coefficients from anywhere: what the command line and the benchmarks print."""
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from fastreg.referee.data import Data
from fastreg.referee.problem import Case, judge
from fastreg.referee.squares import SquaredTarget


class Verdict(NamedTuple):
    """What the referee found.

    Attributes
    ----------
    gap : float
        Objective less its proven lower bound, relative to the objective at zero coefficients.
    r2 : float
        Share of the variance of y explained, on the data of the fit.
    """

    gap: float
    r2: float


class Referee:
    """Judge of elastic-net answers with an intercept.

    The objective is ``1/(2n) ||y - Xw - b||^2 + a1 ||w||_1 + a2/2 ||w||^2``, a1 = alpha * l1_ratio and
    a2 = alpha * (1 - l1_ratio).

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The data.
    y : ndarray of shape (n_samples,)
        The target.
    l1_ratio : float
        Share of the l1 penalty.
    """

    COLUMNS = 16

    def __init__(self, X, y, l1_ratio):
        self.X = X.tocsc() if sp.issparse(X) and X.format not in ("csr", "csc") else X
        self.params = {"l1_ratio": l1_ratio, "mean": True}
        self.data = Data(self.X, None, True)
        self.target = SquaredTarget(self.data, y)

    def judge(self, coef, intercept, alpha):
        """Gap and R^2 of one answer.

        Parameters
        ----------
        coef : ndarray of shape (n_features,)
            Coefficients.
        intercept : float
            Intercept.
        alpha : float
            Penalty.

        Returns
        -------
        Verdict
            The relative duality gap and R^2.
        """
        return self.judge_path(np.asarray(coef)[:, None], [intercept], [alpha])[0]

    def judge_path(self, coefs, intercepts, alphas):
        """Gap and R^2 along a path.

        Parameters
        ----------
        coefs : ndarray or sparse matrix of shape (n_features, n_alphas)
            Coefficients.
        intercepts : ndarray of shape (n_alphas,)
            Intercepts.
        alphas : ndarray of shape (n_alphas,)
            Penalties.

        Returns
        -------
        list of Verdict
            One for each penalty.
        """
        coefs = coefs.tocsc() if sp.issparse(coefs) else np.asarray(coefs)
        verdicts, squares = [], self.target.null or 1.0
        for start in range(0, len(alphas), self.COLUMNS):
            some = slice(start, start + self.COLUMNS)
            dense = coefs[:, some].toarray() if sp.issparse(coefs) else coefs[:, some]
            cases = [Case(self.target, *answer, self.params, np.inf)
                     for answer in zip(dense.T, intercepts[some], alphas[some])]
            verdicts += [Verdict(2 * found.gap / squares, 1 - 2 * found.loss / squares)
                         for found in judge(self.data, cases)]
        return verdicts
