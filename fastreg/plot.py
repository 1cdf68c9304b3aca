"""Pictures of models and of what penalties do to them: `coefficients`, `validation` and `lines`.

Paths and the curves of cross-validation draw themselves: ``path.plot()`` and ``model.cv_path_.plot()``. Displays, as
scikit-learn has them, draw what a fitted estimator holds of these. matplotlib is imported where something is drawn.
"""
from collections.abc import Mapping
from copy import copy
from functools import partial
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import column_or_1d

from fastreg.checks import check_number, check_weight, check_X_y
from fastreg.datafits import by_name
from fastreg.drawing.axes import LEADING, one_axes, panels
from fastreg.drawing.bars import draw_bars
from fastreg.drawing.losses import draw_lines, draw_losses
from fastreg.inputs import as_floats
from fastreg.parameters import documented
from fastreg.path import regularization_path
from fastreg.paths import Path
from fastreg.points import PathPoint

__all__ = ["CoefficientsDisplay", "PathDisplay", "SelectionDisplay", "coefficients", "lines", "validation"]


@documented
def coefficients(model, label=LEADING, ax=None):
    """Draw the largest coefficients of a fitted model as bars, by the names of their features.

    Parameters
    ----------
    model : estimator, Pipeline or PathPoint
        Fitted, with `coef_`; a Pipeline whose last step has it; or a solution of a path, ``path.at(alpha)``.
    label : int, default=10
        So many bars at most, the largest; those of zero are left out.
    {plots.ax}

    Returns
    -------
    matplotlib.axes.Axes, or ndarray of them of shape (n_targets,)

    Raises
    ------
    TypeError
        If the model has no coefficients.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import fastreg
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> ax = fastreg.plot.coefficients(fastreg.LassoCV().fit(X, y))
    """
    label = check_number(label, "label", 1, kind=Integral)
    coef, names, titles = _coefficients_of(model)
    if len(coef) == 1:
        ax = one_axes(ax, height=1.5 + 0.3 * min(label, np.count_nonzero(coef)))
        draw_bars(ax, coef[0], names, label)
        return ax
    axes = panels(len(coef), ax)
    for of_target, title, ax in zip(coef, titles, axes):
        draw_bars(ax, of_target, names, label)
        ax.set_title(title)
    return axes


def _coefficients_of(model):
    """(Coefficients of shape (n_targets, n_features), names of features, titles of targets)."""
    if isinstance(model, PathPoint):
        coef, owner, classes = model.coef, model.path, model.path.classes
    else:
        owner = model
        if hasattr(model, "steps"):
            model = model.steps[-1][1]
        coef, classes = getattr(model, "coef_", None), getattr(model, "classes_", None)
        if coef is None:
            raise TypeError(f"model must be fitted and have coef_, got {model!r}.")
    coef = np.atleast_2d(coef.toarray() if sp.issparse(coef) else np.asarray(coef))
    kind = "target" if classes is None else "class"
    titles = [f"{kind} {name}" for name in (range(len(coef)) if classes is None else classes)]
    return coef, _names(owner, coef.shape[1]), titles


def _names(owner, count):
    """Names of the features that coefficients belong to: those of a Pipeline as its earlier steps make them."""
    names = None
    if hasattr(owner, "steps") and len(owner.steps) > 1:
        try:
            names = owner[:-1].get_feature_names_out()
        except (AttributeError, ValueError):         # of steps that know no names
            names = None
    elif hasattr(owner, "feature_names_in_"):
        names = owner.feature_names_in_
    return [f"x{j}" for j in range(count)] if names is None or len(names) != count else [str(name) for name in names]


def validation(X, y, *, cv=5, alphas=50, l1_ratio=1.0, eps=1e-3, datafit="quadratic", standardize=False,
               sample_weight=None, ax=None):
    """Draw the loss on training and on validation rows against alpha: what a penalty costs, and what it saves.

    Strong penalties, on the left, leave both losses large (bias); towards weak ones, on the right, that of the training
    rows goes on falling, while that of the validation rows rises again where fits follow the noise (variance). Both are
    means over folds; bars are standard errors of the second.

    Parameters
    ----------
    X : array-like or sparse of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
        Labels where the loss is one of classes.
    cv : int, splitter or iterable of splits, default=5
        Number of folds, or how to split, as in scikit-learn.
    alphas : int or array-like of shape (n_alphas,), default=50
        Number of values, from the smallest that makes every penalised coefficient zero; or the values, which l1_ratio 0
        needs.
    l1_ratio : float in [0, 1], default=1.0
        1 is the lasso, 0 ridge regression.
    eps : float in (0, 1], default=1e-3
        Smallest alpha over largest, where their number is given.
    datafit : str, default='quadratic'
        The loss, by the names of `regularization_path`.
    standardize : bool, default=False
        Penalise ``w_j * sd_j``, sd_j the standard deviation of feature j in the rows fitted.
    sample_weight : array-like of shape (n_samples,), float or None
    ax : matplotlib.axes.Axes or None
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import fastreg
    >>> ax = fastreg.plot.validation(*load_diabetes(return_X_y=True))
    """
    from sklearn.model_selection import check_cv

    labels = by_name(datafit).labels
    X, y = check_X_y(X, y, labels=labels)
    y = column_or_1d(y)
    weight = check_weight(sample_weight, len(y))
    path = partial(regularization_path, l1_ratio=l1_ratio, datafit=datafit, standardize=standardize)
    grid = path(X, y, alphas=alphas, eps=eps, sample_weight=weight).alphas
    rows = sp.csr_array(X) if sp.issparse(X) else X
    fits = []
    for train, test in check_cv(cv, y, classifier=labels).split(rows, y):
        of = (None, None) if weight is None else (weight[train], weight[test])
        fits.append(path(rows[train], y[train], alphas=grid, sample_weight=of[0], X_val=rows[test], y_val=y[test],
                         sample_weight_val=of[1]))
    ax = one_axes(ax)
    draw_losses(ax, grid, np.stack([fit.deviances for fit in fits]),
                np.stack([fit.validation_deviances for fit in fits]), np.mean([fit.df for fit in fits], axis=0),
                "mean squared error" if datafit == "quadratic" else "mean deviance")
    return ax


def lines(x, y, models, *, ax=None):
    """Draw the points of one feature and, through them, the fits of several models or penalties.

    Parameters
    ----------
    x : array-like of shape (n_samples,) or (n_samples, 1)
    y : array-like of shape (n_samples,)
        Numbers.
    models : array-like of alphas, Path, mapping or list of models
        Alphas: lasso fits of x at these. A Path of one feature: its fits, eight of them if there are more. A mapping
        from names to fitted models, or a list of such, with ``predict``: Pipelines that make splines or powers of x,
        say.
    ax : matplotlib.axes.Axes or None
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError, TypeError
        Where an argument is not as described.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import fastreg
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ax = fastreg.plot.lines(X[:, 2], y, [2.0, 1.0, 0.1])
    """
    name, x = getattr(x, "name", None), as_floats(x, "x")
    if x.ndim > 2 or (x.ndim == 2 and x.shape[1] != 1):
        raise ValueError(f"x must have shape (n_samples,) or (n_samples, 1), got {x.shape}.")
    X, y = check_X_y(x.reshape(-1, 1), y)
    y = column_or_1d(y)
    named = _named(X, y, models)
    grid = np.linspace(X.min(), X.max(), 300)
    fits = [(name, np.asarray(model.predict(grid[:, None]), dtype=np.float64).reshape(-1)) for name, model in named]
    ax = one_axes(ax)
    draw_lines(ax, X[:, 0], y, grid, fits)
    ax.set_xlabel("x" if name is None else str(name))
    return ax


def _named(X, y, models):
    """(Name, what predicts) of each fit that is to be drawn."""
    if isinstance(models, Mapping):
        return [(str(name), model) for name, model in models.items()]
    if not isinstance(models, Path):
        models = [models] if hasattr(models, "predict") or np.isscalar(models) else list(models)
        if any(hasattr(model, "predict") for model in models):
            return [(f"alpha {model.alpha:.3g}" if hasattr(model, "alpha") else f"model {k}", model)
                    for k, model in enumerate(models)]
        models = regularization_path(X, y, alphas=as_floats(models, "models"))
    kept = np.unique(np.linspace(0, len(models) - 1, 8).round().astype(int))
    return [(f"alpha {point.alpha:.3g}", point) for point in models[kept]]


# ---- displays --------------------------------------------------------------------------------------------------------
class _Display:
    """What has been drawn: `ax_` and `figure_`, as scikit-learn's displays have them."""

    def _drawn(self, ax):
        """Keep the axes, an array of them where there are panels."""
        self.ax_, self.figure_ = ax, np.ravel(np.asarray(ax, dtype=object))[0].figure
        return self


@documented
class CoefficientsDisplay(_Display):
    """The largest coefficients of a model as bars.

    Parameters
    ----------
    model : estimator, Pipeline or PathPoint
        Fitted, with `coef_`; a Pipeline whose last step has it; or a solution of a path.

    Attributes
    ----------
    {plots.ax_}
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import Lasso, plot
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> display = plot.CoefficientsDisplay.from_estimator(Lasso(alpha=0.1).fit(X, y), label=3)
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['bmi', 's5', 'bp']
    """

    def __init__(self, model):
        self.model = model

    @classmethod
    def from_estimator(cls, estimator, *, label=LEADING, ax=None):
        """Draw the coefficients of a fitted estimator.

        Parameters
        ----------
        estimator : estimator or Pipeline
        label : int, default=10
            So many bars at most, the largest.
        {plots.ax}

        Returns
        -------
        CoefficientsDisplay
        """
        return cls(estimator).plot(ax, label=label)

    def plot(self, ax=None, *, label=LEADING):
        """Draw.

        Parameters
        ----------
        {plots.ax}
        label : int, default=10
            So many bars at most, the largest.

        Returns
        -------
        CoefficientsDisplay
            Itself.
        """
        return self._drawn(coefficients(self.model, label, ax))


@documented
class SelectionDisplay(_Display):
    """The scores, or values of a criterion, by which a penalty was chosen, against alpha.

    Parameters
    ----------
    curves : SelectionCurves or list of such
        What CV classes keep in `cv_path_` and `ic_path_`; a list where each target has its own.

    Attributes
    ----------
    {plots.ax_}
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import LassoCV, plot
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> display = plot.SelectionDisplay.from_estimator(LassoCV(cv=5).fit(X, y))
    >>> display.ax_.get_xscale()
    'log'
    """

    def __init__(self, curves):
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator, *, label=5, ax=None):
        """Draw what a fitted CV class chose by.

        Parameters
        ----------
        estimator : estimator or Pipeline
            With `cv_path_` or `ic_path_`, itself or its last step.
        label : int, default=5
            So many curves of l1_ratio and gamma are named.
        {plots.ax}

        Returns
        -------
        SelectionDisplay

        Raises
        ------
        TypeError
            If the estimator has chosen nothing.
        """
        return cls(_kept(estimator, "cv_path_", "ic_path_")).plot(ax, label=label)

    def plot(self, ax=None, *, label=5):
        """Draw.

        Parameters
        ----------
        {plots.ax}
        label : int, default=5
            So many curves of l1_ratio and gamma are named.

        Returns
        -------
        SelectionDisplay
            Itself.
        """
        return self._drawn(self.curves.plot(ax, label=label))


@documented
class PathDisplay(_Display):
    """Coefficients along a path of penalties.

    Parameters
    ----------
    path : Path or list of Path
        A list where each target has its own.
    highlight : float, list of float or None
        An alpha to be marked, one for each path of a list.

    Attributes
    ----------
    {plots.ax_}
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastreg import LassoCV, plot
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = LassoCV(cv=5, keep_paths=True).fit(X, y)
    >>> plot.PathDisplay.from_estimator(model, label=3).highlight == model.alpha_
    True
    """

    def __init__(self, path, highlight=None):
        self.path, self.highlight = path, highlight

    @classmethod
    def from_estimator(cls, estimator, *, xvar="alpha", label=LEADING, ax=None):
        """Draw the path that a fitted CV class has kept, the chosen alpha marked.

        Parameters
        ----------
        estimator : estimator or Pipeline
            With `path_` (``keep_paths=True``), itself or its last step.
        {plots.xvar}
        label : int or list of str or int, default=10
            So many features are named, those of the largest coefficient, or those listed, by name or number.
        {plots.ax}

        Returns
        -------
        PathDisplay

        Raises
        ------
        TypeError
            If the estimator has no path.
        """
        path, curves = _with_names(_kept(estimator, "path_"), estimator), _kept(estimator, "cv_path_", "ic_path_")
        each = [float(one.alphas[one.chosen]) for one in (curves if isinstance(curves, list) else [curves])]
        marked = each if isinstance(path, list) else each[0] if len(each) == 1 else None
        return cls(path, marked).plot(ax, xvar=xvar, label=label)

    def plot(self, ax=None, *, xvar="alpha", label=LEADING):
        """Draw.

        Parameters
        ----------
        {plots.ax}
        {plots.xvar}
        label : int or list of str or int, default=10
            So many features are named, or those listed.

        Returns
        -------
        PathDisplay
            Itself.
        """
        if not isinstance(self.path, list):
            return self._drawn(self.path.plot(ax, xvar, label, self.highlight))
        axes = panels(len(self.path), ax)
        marked = [None] * len(axes) if self.highlight is None else self.highlight
        for t, (path, at, ax) in enumerate(zip(self.path, marked, axes)):
            path.plot(ax, xvar, label, at)
            ax.set_title(f"target {t}")
        return self._drawn(axes)


def _with_names(path, owner):
    """A path, or a list of such, that knows the names of a Pipeline's features."""
    if not hasattr(owner, "steps"):
        return path
    if isinstance(path, list):
        return [_with_names(one, owner) for one in path]
    named = copy(path)
    named.feature_names_in_ = np.array(_names(owner, path.n_features_in_), dtype=object)
    return named


def _kept(estimator, *names):
    """What a fitted estimator, or the last step of a Pipeline, has by the first of some names."""
    model = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    for name in names:
        if hasattr(model, name):
            return getattr(model, name)
    raise TypeError(f"estimator must be fitted and have {' or '.join(names)}, got {model!r}: CV classes have "
                    f"{'it with keep_paths=True' if 'path_' in names else 'one'}.")
