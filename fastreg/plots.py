"""What plots of results share: axes where none are given, a logarithmic axis of penalties, counts along the top."""
import numpy as np


class PerTarget(list):
    """Results of several targets, a list with one for each."""

    def plot(self, axes=None):
        """Draw each result into a panel of its own.

        Parameters
        ----------
        axes : array-like of matplotlib.axes.Axes or None
            One for each result; those of a new figure when None.

        Returns
        -------
        ndarray of matplotlib.axes.Axes, shape (n_targets,)
        """
        axes = panels(len(self), axes)
        for t, (result, ax) in enumerate(zip(self, axes)):
            result.plot(ax)
            ax.set_title(f"target {t}")
        return axes


def one_axes(ax):
    """`ax`, or the axes of a new figure when None."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(7, 4.5), layout="constrained")[1]


def panels(count, axes=None):
    """So many axes as an array: `axes`, or those of a new figure when None."""
    if axes is None:
        import matplotlib.pyplot as plt

        columns = max(min(count, 3), int(np.ceil(np.sqrt(count))))
        rows = -(-count // columns)
        figure = plt.figure(figsize=(1 + 5 * columns, 1 + 3.5 * rows), layout="constrained")
        axes = [figure.add_subplot(rows, columns, k + 1) for k in range(count)]
    axes = np.ravel(np.asarray(axes, dtype=object))
    if len(axes) != count:
        raise ValueError(f"axes must be {count}, one for each target, got {len(axes)}.")
    return axes


def on_axis(alphas):
    """Which penalties a plot shows: the positive ones, of which alone there are logarithms; all where none is."""
    positive = alphas > 0
    return positive if positive.any() else np.ones(alphas.shape, dtype=bool)


def penalty_axis(ax, alphas, counts, label):
    """An axis of decreasing penalties, logarithmic where they are positive; along the top, what is counted at a few.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn already.
    alphas, counts : ndarray of shape (n_alphas,)
        Those of `on_axis`; counts of which nothing is known are NaN.
    label : str
        What is counted.
    """
    ax.set_xlabel("alpha")
    if len(alphas) == 0:
        return
    if alphas.min() > 0:
        ax.set_xscale("log")
    if alphas.min() == alphas.max():
        ax.set_xlim((2 * alphas[0], alphas[0] / 2) if alphas[0] > 0 else (1, -1))
    elif not ax.xaxis_inverted():
        ax.invert_xaxis()
    if np.isnan(counts).all():
        return
    ticks = np.unique(np.linspace(0, len(alphas) - 1, 7).round().astype(int))
    top = ax.secondary_xaxis("top")
    top.set_xticks(alphas[ticks], [f"{count:.0f}" for count in counts[ticks]])
    top.minorticks_off()
    top.set_xlabel(label)


def legend(ax, handles):
    """A small legend of what is labelled; a long one stands beside the axes where the figure makes room for it."""
    handles = [handle for handle in handles if not handle.get_label().startswith("_")]
    beside = len(handles) > 4 and ax.figure.get_layout_engine() is not None
    ax.legend(handles=handles, fontsize="small", **({"loc": "upper left", "bbox_to_anchor": (1, 1)} if beside else {}))
