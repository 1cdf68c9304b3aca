"""A path of coefficients."""
import numpy as np
import scipy.sparse as sp

from fastreg.drawing.axes import counts_along_top, grey, looks, mark, on_axis, penalty_axis


def positions(path, t, xvar):
    """(Where along the horizontal axis each solution of target t stands, how that is called); t None of one alone."""
    if xvar == "alpha":
        return path.alphas, "alpha"
    if xvar == "norm":
        coefs = path.coefs if t is None else path.coefs[t]
        return np.asarray(abs(coefs).sum(axis=0)).ravel(), "sum of |coefficients|"
    share = path.deviance_explained
    return (share if share.ndim == 1 else share[t]), (
        "R2" if path.datafit == "quadratic" else "share of the deviance explained")


def leading(coefs, label, names):
    """Numbers of the features that are named, the largest coefficient anywhere first, or as the user lists them.

    Raises
    ------
    ValueError
        Where one that is listed is neither a name nor a number of a feature.
    """
    if np.ndim(label) == 0:
        largest = abs(coefs).max(axis=1)
        largest = largest.toarray().ravel() if sp.issparse(largest) else largest
        order = np.argsort(-largest, kind="stable")[:label]
        return order[largest[order] > 0]
    found = []
    for one in label:
        at = np.flatnonzero(np.asarray(names) == one) if isinstance(one, str) else np.array([one])
        if len(at) == 0 or not -coefs.shape[0] <= at[0] < coefs.shape[0]:
            raise ValueError(f"label holds {one!r}, which is neither a name nor a number of a feature.")
        found.append(at[0] % coefs.shape[0])
    return np.array(found, dtype=int)


def _without_rests(values):
    """NaN where a coefficient stays zero: curves begin and end on the line of zero, and hide none of each other there.
    """
    used = values != 0
    seen = used.copy()
    seen[..., 1:] |= used[..., :-1]
    seen[..., :-1] |= used[..., 1:]
    return np.where(seen, values, np.nan)


def draw_path(ax, path, t, names, *, xvar, label, highlight, df, counted):
    """The coefficients of target t of a path (None: of the only one), those that lead named at their ends.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    path : Path
    t : int or None
    names : list of str
    xvar : {'alpha', 'norm', 'deviance'}
    label : int or list
        How many features are named, or which.
    highlight : float or None
        An alpha to be marked.
    df : ndarray of shape (n_alphas,)
    counted : str
        What they are.
    """
    from fastreg.drawing.names import name_ends

    coefs = path.coefs if t is None else path.coefs[t]
    on = on_axis(path.alphas) if xvar == "alpha" else np.ones(len(path.alphas), dtype=bool)
    x, title = positions(path, t, xvar)
    coefs, x = coefs[:, np.flatnonzero(on)], x[on]
    named = leading(coefs, label, names)
    used = np.unique(coefs.nonzero()[0])
    rest = np.setdiff1d(used, named)
    values = {part: coefs[rows].toarray() if sp.issparse(coefs) else coefs[rows]
              for part, rows in (("named", named), ("rest", rest))}
    point = "o" if len(x) == 1 else None
    ends = []
    for j, value, look in zip(named, values["named"], looks(len(named))):
        ax.plot(x, _without_rests(value), linewidth=1.5, marker=point, markersize=4, label=names[j], zorder=2.5, **look)
        ends.append((names[j], (x[-1], value[-1]), look["color"]))
    if len(rest):
        ax.plot(x, _without_rests(values["rest"]).T, color=grey(ax, 0.3), linewidth=0.7, marker=point, markersize=3,
                zorder=2)
    ax.axhline(0, color=grey(ax, 0.5), linewidth=0.5, zorder=1)
    ax.set_ylabel("coefficient")
    if xvar == "alpha":
        penalty_axis(ax, path.alphas[on])
    else:
        ax.set_xlabel(title)
        ax.margins(x=0)
    if highlight is not None:
        mark(ax, np.interp(-highlight, -path.alphas[on], x), f"alpha {highlight:.3g}")
    counts_along_top(ax, x, df[on], counted)
    name_ends(ax, ends)
