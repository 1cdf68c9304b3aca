"""A path of solutions along a grid of penalties, of the lasso, the elastic net and ridge alike."""
import operator
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from fastreg import tables
from fastreg.checks import check_choice, check_flag, check_number, check_per_feature
from fastreg.coefs import SparseCoefs
from fastreg.datafits import by_name
from fastreg.drawing.axes import LEADING, one_axes, panels
from fastreg.drawing.path import draw_path
from fastreg.parameters import documented
from fastreg.points import PathPoint
from fastreg.predictions import Predictions

# What a path has of every alpha, along the last axis.
OF_EACH_ALPHA = ("alphas", "intercepts", "df", "certified_from", "dual_gaps", "n_iters", "deviances",
                 "validation_deviances", "stationarities", "coef_bounds", "gcv")


@documented
@dataclass(eq=False, repr=False)
class Path(Predictions):
    """Solutions of a lasso, an elastic net or a ridge regression along a path of penalties.

    ``len(path)`` is the number of alphas; ``path[i]`` the solution at one of them, a `PathPoint`; slices, index arrays
    and masks (``path[path.alphas > 0.1]``) give a Path of some; ``path.at(alpha)`` a PathPoint at any alpha.

    Those of a y of one dimension have the shapes below; where y has two, a first axis of targets comes before them, a
    list of sparse arrays standing for that of sparse coefficients: ``coefs[t]`` is target t's, ``numpy.asarray(coefs)``
    has shape (n_targets, n_features, n_alphas). `alphas` and `certified_from` serve all targets. The classes of a
    multinomial loss are such targets in `coefs` and `intercepts`, and one problem in all else.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties, decreasing.
    coefs : scipy.sparse.csc_array or ndarray of shape (n_features, n_alphas)
        Coefficients, one column for each alpha. Those of the lasso and the elastic net are sparse, and become an array
        where NumPy is given them (``numpy.asarray(path.coefs)``), of n_features x n_alphas numbers.
    intercepts : ndarray of shape (n_alphas,)
    df : ndarray of shape (n_alphas,)
        Number of non-zero coefficients; of ridge, effective degrees of freedom: the trace of the hat matrix, in which
        the intercept counts as one.
    certified_from : ndarray of str, shape (n_alphas,)
        'X' where the certificate was computed from X itself; 'sums' where it rests on sums of products (X'X, of ridge
        the decomposition) that were held against X. The last solution's comes from X, but for the paths of folds.
    params : dict
        What was asked for, by the names of arguments. `fastreg.certify` reads it.
    dual_gaps : ndarray of shape (n_alphas,) or None
        Duality gap of each solution, in units of the objective; None for ridge, NaN where the loss is not convex.
    stationarities : ndarray of shape (n_alphas,) or None
        Of a loss that is not convex, instead of the gaps: how far its quadratic model could lower the objective.
    n_iters : ndarray of shape (n_alphas,) or None
        Rounds of working set and certificate; None for ridge.
    coef_bounds : ndarray of shape (n_alphas,) or None
        Of ridge, at least the norm of the coefficients less the exact solution: that of half the gradient by
        ``alpha * min(f) + lambda_min``, lambda_min the smallest eigenvalue of X'X (0 where it is not known); infinite
        where that sum is 0.
    deviances : ndarray of shape (n_alphas,) or None
        Mean deviance of each solution on the rows it was fitted to, weighted; of the squared loss, the mean squared
        error. None for ridge.
    null_deviance : float, ndarray of shape (n_targets,) or None
        Mean deviance of the fit without features; None for ridge.
    datafit : str or Datafit
        The loss: 'quadratic', 'logistic', 'poisson', 'gamma', 'tweedie(p)', 'huber(d)', 'squared_hinge' or
        'multinomial'; or one that `fastreg.datafits.custom` has made.
    classes : ndarray of shape (n_classes,) or None
        Of the logistic and the multinomial loss, the labels of y; of two the second is the one whose log-odds the
        linear predictor gives.
    has_offset : bool
        Whether the path was fitted with offsets, which predictions then want too.
    validation_deviances : ndarray of shape (n_alphas,) or None
        Mean deviance of each solution on the validation set, where one was given.
    gcv : ndarray of shape (n_alphas,) or None
        Of ridge, the score of generalised cross-validation ``n RSS / (n - df)^2``, n being the number of rows of
        positive weight and RSS weighted; infinite where no degree of freedom is left.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names for all its features: `predict` wants the same ones in the same order.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import regularization_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(X, y)
    >>> path[path.alphas > 1].df.max().item(), path.at(0.5).df
    (2, 4)
    >>> path.predict(X[:2], alpha=0.5).round().tolist()
    [195.0, 92.0]
    """

    alphas: np.ndarray
    coefs: np.ndarray | SparseCoefs | list
    intercepts: np.ndarray
    df: np.ndarray
    certified_from: np.ndarray
    params: dict = field(repr=False)
    dual_gaps: np.ndarray | None = None
    n_iters: np.ndarray | None = None
    deviances: np.ndarray | None = None
    null_deviance: float | np.ndarray | None = None
    datafit: str = "quadratic"
    classes: np.ndarray | None = None
    has_offset: bool = False
    validation_deviances: np.ndarray | None = None
    stationarities: np.ndarray | None = None
    coef_bounds: np.ndarray | None = None
    gcv: np.ndarray | None = None
    _solve: object = field(default=None, repr=False)      # decreasing alphas -> Path

    def __post_init__(self):
        self.n_features_in_ = (self.coefs[0] if isinstance(self.coefs, list) else self.coefs).shape[-2]

    def __sklearn_tags__(self):
        # what scikit-learn's validation asks of whoever knows features
        tags = BaseEstimator().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self):
        # the training data stays behind
        return {**self.__dict__, "_solve": None}

    def __setstate__(self, state):
        # skops stores sparse arrays as SciPy's own classes
        coefs = _each(lambda coefs: SparseCoefs(coefs) if sp.issparse(coefs) else coefs, state["coefs"])
        self.__dict__.update(state, coefs=coefs)

    def __len__(self):
        return len(self.alphas)

    def __getitem__(self, key):
        if isinstance(key, (slice, list, np.ndarray)):
            return self._taken(np.arange(len(self))[key])
        at = operator.index(key)
        if not -len(self) <= at < len(self):
            raise IndexError(f"there are {len(self)} solutions, got the number {at}.")
        return PathPoint(self._taken(np.array([at])))

    def _taken(self, index):
        """The path of some of the alphas."""
        if len(index) == 0 or np.any(np.diff(index) <= 0):
            raise ValueError("the key must select one alpha or more, in the order of the path: decreasing.")
        of_each = {name: None if values is None else values[..., index]
                   for name, values in ((name, getattr(self, name)) for name in OF_EACH_ALPHA)}
        return self._with(coefs=_each(lambda coefs: _columns(coefs, index), self.coefs), **of_each)

    def _with(self, **changes):
        return name_features(replace(self, **changes), self)

    def at(self, alpha, exact=False):
        """The solution at any alpha.

        Parameters
        ----------
        alpha : float
            Between the path's values coefficients are interpolated linearly; beyond its ends the end is taken.
        exact : bool, default=False
            Solve anew at alpha instead, from the training data.

        Returns
        -------
        PathPoint
            alpha, coef, intercept, df, dual_gap, deviance_explained; predict, score. NaN is what is not known of an
            interpolation.

        Raises
        ------
        ValueError
            If alpha is negative or not finite, or if exact is asked of a path that was pickled or belongs to an
            estimator.
        """
        alpha = check_number(alpha, "alpha", 0)
        if check_flag(exact, "exact"):
            return PathPoint(name_features(self._solved(np.array([alpha])), self))
        found = np.flatnonzero(self.alphas == alpha)
        if len(found):
            return self[found[0]]
        coefs, intercepts = self.coef_at(alpha)
        unknown = {name: None if getattr(self, name) is None else np.full((*getattr(self, name).shape[:-1], 1), np.nan)
                   for name in OF_EACH_ALPHA}
        if self.dual_gaps is not None:
            counts = np.stack([np.diff(of_one.indptr) for of_one in coefs]) if isinstance(coefs, list) else (
                np.diff(coefs.indptr))
            unknown["df"] = counts.sum(axis=0) if self._several else counts
        return PathPoint(self._with(**unknown | {"coefs": coefs, "intercepts": intercepts, "alphas": np.array([alpha]),
                                                 "certified_from": np.array([""])}))

    def _solved(self, alphas):
        """The path of other alphas, decreasing, from the training data."""
        if self._solve is None:
            raise ValueError("exact=True needs the training data, which this path has not kept.")
        return self._solve(alphas)

    def coef_at(self, alpha, exact=False):
        """Coefficients and intercepts at any alpha.

        Parameters
        ----------
        alpha : float or array-like of shape (k,)
            Between the path's values coefficients are interpolated linearly; beyond its ends the end is taken.
        exact : bool, default=False
            Solve anew at alpha instead, from the training data.

        Returns
        -------
        coefs : scipy.sparse.csc_array or ndarray of shape (n_features, k)
            Where y had two dimensions, a list of sparse arrays or an ndarray of shape (n_targets, n_features, k).
        intercepts : ndarray of shape (k,) or (n_targets, k)

        Raises
        ------
        ValueError
            If alpha is negative or not finite, or if exact is asked of a path that was pickled or belongs to an
            estimator.
        """
        wanted = np.atleast_1d(check_per_feature(alpha, "alpha", np.size(alpha), None))
        if not np.all(np.isfinite(wanted)) or np.any(wanted < 0):
            raise ValueError(f"alpha must be finite and not negative, got {alpha!r}.")
        if check_flag(exact, "exact"):
            order = np.argsort(-wanted, kind="stable")
            solved = self._solved(wanted[order])
            back = np.argsort(order)
            return _each(lambda coefs: _columns(coefs, back), solved.coefs), solved.intercepts[..., back]
        # positions in the decreasing grid, as a weighted mean of the two neighbours
        at = np.interp(-wanted, -self.alphas, np.arange(len(self.alphas), dtype=float))
        lo = np.floor(at).astype(int)
        hi = np.minimum(lo + 1, len(self.alphas) - 1)
        share = at - lo

        def between(values):
            if sp.issparse(values):
                return SparseCoefs(_columns(values, lo).multiply(1 - share) + _columns(values, hi).multiply(share))
            return (1 - share) * _columns(values, lo) + share * _columns(values, hi)

        return _each(between, self.coefs), between(self.intercepts)

    @property
    def deviance_explained(self):
        """Share of the null deviance that each solution explains on the rows it was fitted to, of the shape of
        `deviances`; of the squared loss R2. NaN where there is nothing to explain; None for ridge."""
        if self.deviances is None:
            return None
        null = np.asarray(self.null_deviance)[..., None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(null > 0, 1 - self.deviances / null, np.nan)

    @property
    def best(self):
        """The number of the solution of least deviance on the validation set, the sparser one of equals; None where no
        set was given."""
        return None if self.validation_deviances is None else int(np.argmin(self.validation_deviances))

    @property
    def certificate(self):
        """In one line how far the worst solution may be off, and whether that is known from X itself."""
        return tables.certificate(self)

    @property
    def _targets(self):
        """What targets are called, None where there is one alone."""
        if self.intercepts.ndim == 1:
            return None
        return list(self.classes) if self._several else list(range(len(self.coefs)))

    def to_frame(self, nonzero=False):
        """Coefficients as a table of pandas.

        Parameters
        ----------
        nonzero : bool, default=False
            Leave out features whose coefficients are zero at every alpha.

        Returns
        -------
        pandas.DataFrame of shape (n_features, n_alphas)
            Features as rows, by their names or numbers; alphas as columns. Where y had two dimensions or several
            classes, rows have a first level of these.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        names = getattr(self, "feature_names_in_", None)
        return tables.frame(self.coefs, names, self.alphas, self._targets, check_flag(nonzero, "nonzero"))

    def summary(self, rows=12):
        """A table of some alphas, evenly spaced: coefficients in use, share of the deviance explained, relative gap.

        The gap is by half the null deviance, which of least squares is the objective at zero coefficients. Of ridge
        there are degrees of freedom, generalised cross-validation and the bound of the coefficients' error.

        Parameters
        ----------
        rows : int, default=12
            So many at most.

        Returns
        -------
        str
        """
        rows = check_number(rows, "rows", 1, kind=Integral)
        text = [tables.headline(self)]
        for title, columns in self._tables():
            text += ["", *title, *tables.lines(columns, rows)]
        return "\n".join([*text, "", self.certificate])

    def _tables(self):
        """The title (of several) and the columns of the table of each problem."""
        if np.ndim(self.df) == 1:
            return [([], tables.columns(self))]
        return [([f"target {t}"], tables.columns(self._of_target(t))) for t in range(len(self.coefs))]

    def _of_target(self, t):
        """The path of one target, without its way back to the training data."""
        of_each = {name: values[t] for name, values in ((name, getattr(self, name)) for name in OF_EACH_ALPHA)
                   if values is not None and values.ndim == 2}
        null = None if self.null_deviance is None else float(self.null_deviance[t])
        return self._with(coefs=self.coefs[t], null_deviance=null, _solve=None, **of_each)

    def __repr__(self):
        return f"<{tables.headline(self)}; {self.certificate}>"

    def _repr_html_(self):
        body = "".join("".join(f"<p>{text}</p>" for text in title) + tables.html(columns)
                       for title, columns in self._tables())
        return f"<p>{escape(tables.headline(self))}</p>{body}<p>{escape(self.certificate)}</p>"

    def plot(self, ax=None, xvar="alpha", label=LEADING, highlight=None):
        """Draw the coefficients, those of leading features in colour and named where their curves end.

        Along the top is the number of non-zeros, or of ridge the degrees of freedom.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, array-like of them or None
            Where to draw, one for each target where y had two dimensions, or each of several classes; a new figure when
            None.
        {plots.xvar}
        label : int or list of str or int, default=10
            So many features are named, those of the largest coefficient anywhere on the path; or those listed, by name
            or number. The others are grey.
        highlight : float or None
            An alpha to be marked by a line.

        Returns
        -------
        matplotlib.axes.Axes, or ndarray of them of shape (n_targets,)

        Raises
        ------
        ValueError, TypeError
            Where an argument is not as described.
        ImportError
            If matplotlib is missing.
        """
        check_choice(xvar, "xvar", ("alpha", "norm", "deviance"))
        if xvar == "deviance" and self.deviances is None:
            raise ValueError("xvar must be 'alpha' or 'norm' for a ridge path, which has no deviances.")
        label = check_number(label, "label", 0, kind=Integral) if np.ndim(label) == 0 else list(label)
        if highlight is not None:
            highlight = check_number(highlight, "highlight", 0, low_open=True)
        names = list(getattr(self, "feature_names_in_", [f"x{j}" for j in range(self.n_features_in_)]))
        draw = partial(draw_path, path=self, names=names, xvar=xvar, label=label, highlight=highlight,
                       counted="effective degrees of freedom" if self.dual_gaps is None else "non-zero coefficients")
        if self._targets is None:
            ax = one_axes(ax)
            draw(ax, t=None, df=self.df)
            return ax
        axes = panels(len(self.coefs), ax)
        for t, ax in enumerate(axes):
            draw(ax, t=t, df=np.diff(self.coefs[t].indptr) if self._several else self.df[t])
            ax.set_title(f"{'class' if self._several else 'target'} {self._targets[t]}")
        return axes


def _each(function, coefs):
    """`function` of coefficients, or of those of each target."""
    return [function(of_target) for of_target in coefs] if isinstance(coefs, list) else function(coefs)


def _columns(values, index):
    """Values at some alphas."""
    return values[:, index] if sp.issparse(values) else values[..., index]


def name_features(path, owner):
    """The path, told the names of the features that `owner` was fitted to, where these have names."""
    if hasattr(owner, "feature_names_in_"):
        path.feature_names_in_ = owner.feature_names_in_
    return path


def path_of(pieces, penalty, fit_intercept, tol, each_target=False, **loss):
    """Path of Solutions, which may come in pieces; with `each_target`, of a first axis of targets, which the classes of
    a loss have in coefs and intercepts alone. `loss`: what Path says of it, the squared loss needing nothing."""
    n_targets, several = pieces[0].intercepts.shape[1], loss.get("datafit") == "multinomial"
    each_target |= several
    coefs = sp.hstack([s.sparse() for s in pieces], format="csc")
    coefs = [SparseCoefs(coefs[:, t::n_targets]) for t in range(n_targets)] if each_target else SparseCoefs(coefs)
    alphas, sources, *others = (np.concatenate(parts) for parts in zip(*(
        (s.alphas, np.where(s.from_x, "X", "sums"), s.intercepts, s.dual_gaps, s.n_iters, s.deviances)
        for s in pieces)))
    intercepts, gaps, n_iters, deviances = (
        np.ascontiguousarray(a.T) if each_target and (k == 0 or not several) else a[:, 0]
        for k, a in enumerate(others))
    params = {"l1_ratio": penalty.l1_ratio, "fit_intercept": fit_intercept, "penalty_factor": penalty.factor,
              "lower_limits": penalty.lower, "upper_limits": penalty.upper, "standardize": penalty.standardize,
              "tol": tol}
    df = np.stack([np.diff(c.indptr) for c in coefs]) if each_target else np.diff(coefs.indptr)
    df = df.sum(axis=0) if several else df
    null = float(pieces[0].null_deviances[0]) if several or not each_target else pieces[0].null_deviances
    if not by_name(loss.get("datafit", "quadratic")).convex:
        loss["stationarities"], gaps = gaps, np.full_like(gaps, np.nan)
    return Path(alphas, coefs, intercepts, df, sources, params, dual_gaps=gaps, n_iters=n_iters, deviances=deviances,
                null_deviance=null, **loss)
