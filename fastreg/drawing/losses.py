"""Losses of training and validation rows along a path; fits of one feature."""
import numpy as np

from fastreg.drawing.axes import counts_along_top, grey, looks, mark, on_axis, penalty_axis


def draw_losses(ax, alphas, training, held_out, df, loss):
    """Means over folds against alpha, with the standard errors of what was held out.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    alphas, df : ndarray of shape (n_alphas,)
    training, held_out : ndarray of shape (n_folds, n_alphas)
    loss : str
        What these are.
    """
    from fastreg.drawing.names import name_ends

    on = on_axis(alphas)
    x, ends = alphas[on], []
    for name, values, look in zip(("validation", "training"), (held_out[:, on], training[:, on]), looks(2)):
        mean = values.mean(axis=0)
        ax.plot(x, values.T, linewidth=0.6, alpha=0.35, zorder=2, **look)
        if name == "validation" and len(values) > 1:
            ax.errorbar(x, mean, values.std(axis=0, ddof=1) / np.sqrt(len(values)), linewidth=0, elinewidth=0.8,
                        capsize=1.5, ecolor=look["color"], alpha=0.6, zorder=2.5)
        ax.plot(x, mean, linewidth=1.8, marker="o" if len(x) == 1 else None, label=name, zorder=3, **look)
        ends.append((name, (x[-1], mean[-1]), look["color"]))
    ax.set_ylabel(loss)
    penalty_axis(ax, x)
    mark(ax, x[np.argmin(held_out[:, on].mean(axis=0))], "best", top=True)
    counts_along_top(ax, x, df[on], "non-zero coefficients (mean of folds)")
    name_ends(ax, ends)


def draw_lines(ax, x, y, grid, fits):
    """Points, and fits through them named at their ends.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x, y : ndarray of shape (n,)
    grid : ndarray of shape (m,)
    fits : list of (str, ndarray of shape (m,))
    """
    from fastreg.drawing.names import name_ends

    ax.plot(x, y, linewidth=0, marker="o", markersize=3, color=grey(ax, 0.4), markeredgewidth=0, alpha=0.7, zorder=1)
    ends = []
    for (name, fit), look in zip(fits, looks(len(fits))):
        ax.plot(grid, fit, linewidth=1.8, label=name, **look)
        ends.append((name, (grid[-1], fit[-1]), look["color"]))
    ax.margins(x=0)
    ax.set_ylabel("y")
    name_ends(ax, ends)
