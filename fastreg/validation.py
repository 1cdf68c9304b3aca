"""A path that ends where a validation set of the user's own says that it improves no more."""
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_consistent_length, column_or_1d

from fastreg.checks import check_number, check_weight, validate_X
from fastreg.datafits.base import Datafit
from fastreg.selection import out_of_patience
from fastreg.solvers.suited import suited
from fastreg.targets import as_given, check_offset

# Coefficients of so many alphas are made dense at a time.
ALPHAS_AT_ONCE = 16
# A path that may end early is solved in pieces of at least so many alphas.
LEAST_PIECE = 5


@dataclass(frozen=True, eq=False)
class Validation:
    """Rows that fits are judged on.

    Attributes
    ----------
    X : ndarray or sparse array of shape (n_validation, n_features)
    y : ndarray of shape (n_validation,)
        As the datafit reads it.
    weight, offset : ndarray of shape (n_validation,) or None
    datafit : Datafit
    patience : int or None
        A path ends when the deviance has not improved for so many alphas.
    """

    X: object
    y: np.ndarray
    weight: np.ndarray | None
    offset: np.ndarray | None
    datafit: Datafit
    patience: int | None

    def deviances(self, solutions):
        """Weighted mean deviance of each of the Solutions of one target, or of all classes."""
        coefs, n_targets = solutions.sparse(), solutions.intercepts.shape[1]
        used = np.unique(coefs.indices)
        X, total = self.X[:, used], len(self.y) if self.weight is None else self.weight.sum()
        out = np.empty(len(solutions.alphas))
        for a in range(0, len(out), ALPHAS_AT_ONCE):
            some = slice(a, a + ALPHAS_AT_ONCE)
            of_some = slice(a * n_targets, (a + ALPHAS_AT_ONCE) * n_targets)
            eta = X @ coefs[:, of_some][used].toarray() + solutions.intercepts[some].ravel()
            eta = eta if self.offset is None else eta + self.offset[:, None]
            out[some] = self.datafit.deviances(self.y, eta, self.weight) / total
        return out

    def solve(self, problem, spec):
        """(The Solutions in pieces, as far as they improve; their deviances here.)

        Parameters
        ----------
        problem : Problem
            In the units of the user, of one target.
        spec : Spec
        """
        problem = problem.to_unit()
        solver = suited(problem.route(spec))(problem, spec)
        alphas = spec.grid(solver.largest_alpha() if spec.counted else None)
        step = len(alphas) if self.patience is None else max(self.patience, LEAST_PIECE)
        pieces, found, used = [], np.empty(0), np.empty(0)
        for a in range(0, len(alphas), step):
            pieces.append(solver.advance(alphas[a:a + step]).scaled_up(problem.scale))
            found = np.append(found, self.deviances(pieces[-1]))
            used = np.append(used, pieces[-1].n_nonzero.sum(axis=1))
            if out_of_patience(self.patience, int(np.argmin(found)), used, problem.penalty, problem.p):
                break
        return pieces, found


def check_validation(X, y, weight, offset, patience, *, owner, n_features, datafit, classes, has_offset):
    """The Validation that the arguments of a path ask for, or None; `owner` knows names of features, if there are any.
    """
    if X is None:
        named = {"y_val": y, "sample_weight_val": weight, "offset_val": offset, "patience": patience}
        given = [name for name, value in named.items() if value is not None]
        if given:
            raise ValueError(f"{given[0]} goes with X_val, which is missing.")
        return None
    if y is None:
        raise ValueError("y_val must be given with X_val.")
    X, y = validate_X(owner, X), column_or_1d(y)
    check_consistent_length(X, y)
    if X.shape[1] != n_features:
        raise ValueError(f"X_val must have {n_features} features, as X, got {X.shape[1]}.")
    y = as_given(datafit, classes, y, "y_val")
    if datafit.coupled and offset is not None:
        raise ValueError("offset_val must be None where datafit is 'multinomial'.")
    if has_offset and offset is None:
        raise ValueError("offset_val is missing: the path is fitted with offsets. Give those of X_val, or 0.")
    patience = None if patience is None else check_number(patience, "patience", 1, kind=Integral)
    return Validation(X, y, check_weight(weight, len(y)), check_offset(offset, len(y), "offset_val"), datafit, patience)
