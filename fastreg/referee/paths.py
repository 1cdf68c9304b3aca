"""Relative gap and R^2 of penalised coefficients from anywhere: what the command line and the benchmarks print."""
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from fastreg.referee.classes import ClassesTarget, judge_classes
from fastreg.referee.data import Data
from fastreg.referee.glm import LossTarget
from fastreg.referee.losses import loss_named
from fastreg.referee.problem import Case, judge
from fastreg.referee.squares import SquaredTarget


class Verdict(NamedTuple):
    """What the referee found.

    Attributes
    ----------
    gap : float
        Objective less its proven lower bound, relative to that of the intercept alone less the least that there is: of
        the squared loss the objective at zero coefficients, of others half the null deviance.
    r2 : float
        Share of the variance of y, or of the null deviance, explained on the data of the fit.
    """

    gap: float
    r2: float


class Referee:
    """Judge of elastic-net answers with an intercept.

    The objective is ``1/(2n) ||y - Xw - b||^2 + a1 ||w||_1 + a2/2 ||w||^2``, a1 = alpha * l1_ratio and
    a2 = alpha * (1 - l1_ratio); or with the mean of another loss in place of the squares.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The data.
    y : ndarray of shape (n_samples,)
        The target; of the logistic loss -1 or 1, of the multinomial one labels.
    l1_ratio : float
        Share of the l1 penalty.
    loss : {"quadratic", "logistic", "poisson", "gamma", "tweedie(p)", "multinomial"}
    aim : float
        Relative gap that is small enough: above it, columns without an l1 penalty are improved to bound it better,
        which takes passes over X.
    """

    COLUMNS = 16

    def __init__(self, X, y, l1_ratio, loss="quadratic", aim=np.inf):
        self.X = X.tocsc() if sp.issparse(X) and X.format not in ("csr", "csc") else X
        self.params = {"l1_ratio": l1_ratio, "mean": True}
        self.data = Data(self.X, None, True)
        squared = loss == "quadratic"
        self.share, self.aim = 0.5 if squared else 1.0, aim       # of the target's measure, which is the squares
        self.several = loss == "multinomial"
        if self.several:
            self.target = ClassesTarget(self.data, y[:, None] == np.unique(y))
            return
        self.target = SquaredTarget(self.data, y) if squared else LossTarget(self.data, loss_named(loss), y, 0.0)

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
            Coefficients; of the multinomial loss one such for each class.
        intercepts : ndarray of shape (n_alphas,)
            Intercepts; of the multinomial loss of shape (n_classes, n_alphas).
        alphas : ndarray of shape (n_alphas,)
            Penalties.

        Returns
        -------
        list of Verdict
            One for each penalty.
        """
        if self.several:
            return self._of_classes(coefs, intercepts, alphas)
        coefs = coefs.tocsc() if sp.issparse(coefs) else np.asarray(coefs)
        verdicts, null = [], self.share * self.target.null or 1.0
        for start in range(0, len(alphas), self.COLUMNS):
            some = slice(start, start + self.COLUMNS)
            dense = coefs[:, some].toarray() if sp.issparse(coefs) else coefs[:, some]
            cases = [Case(self.target, *answer, self.params, self.share * self.aim)
                     for answer in zip(dense.T, intercepts[some], alphas[some])]
            verdicts += [Verdict(found.gap / null, 1 - found.loss / null) for found in judge(self.data, cases)]
        return verdicts

    def _of_classes(self, coefs, intercepts, alphas):
        verdicts, null = [], self.target.null or 1.0
        for k, alpha in enumerate(alphas):
            W = np.stack([c[:, [k]].toarray()[:, 0] if sp.issparse(c) else c[:, k] for c in coefs])
            found = judge_classes(self.data, self.target, W, intercepts[:, k], alpha, self.params, self.aim * null)
            verdicts.append(Verdict(found.gap / null, 1 - found.loss / null))
        return verdicts
