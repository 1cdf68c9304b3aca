"""What all plots share: axes where none are given, colours, a logarithmic axis of penalties, counts along the top."""
import numpy as np

LEADING = 10
MISSING = "plots need matplotlib: pip install 'fastreg-solver[plot]'"
# What a number along an axis takes up, in inches.
COUNT = 0.75
STYLES = ("-", "--", ":", "-.")


class PerTarget(list):
    """Results of several targets, a list with one for each."""

    def plot(self, axes=None, **options):
        """Draw each result into a panel of its own.

        Parameters
        ----------
        axes : array-like of matplotlib.axes.Axes or None
            One for each result; those of a new figure when None.
        **options
            Of the ``plot`` of each.

        Returns
        -------
        ndarray of matplotlib.axes.Axes, shape (n_targets,)
        """
        axes = panels(len(self), axes)
        for t, (result, ax) in enumerate(zip(self, axes)):
            result.plot(ax, **options)
            ax.set_title(f"target {t}")
        return axes


def pyplot():
    """matplotlib.pyplot, or an ImportError that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(MISSING) from None
    return plt


def one_axes(ax, height=4.5):
    """`ax`, or the axes of a new figure when None."""
    return pyplot().subplots(figsize=(7, height), layout="constrained")[1] if ax is None else ax


def panels(count, axes=None):
    """So many axes as an array: `axes`, or those of a new figure when None."""
    if axes is None:
        columns = max(min(count, 3), int(np.ceil(np.sqrt(count))))
        rows = -(-count // columns)
        figure = pyplot().figure(figsize=(1 + 5 * columns, 1 + 3.5 * rows), layout="constrained")
        axes = [figure.add_subplot(rows, columns, k + 1) for k in range(count)]
    axes = np.ravel(np.asarray(axes, dtype=object))
    if len(axes) != count:
        raise ValueError(f"axes must be {count}, one for each target, got {len(axes)}.")
    return axes


# ---- colours ---------------------------------------------------------------------------------------------------------
def grey(ax, share):
    """A grey between the background (0) and what is written on it (1)."""
    from matplotlib.colors import to_rgba

    red, green, blue, alpha = to_rgba(ax.get_facecolor())
    if alpha == 0:
        red, green, blue, _ = to_rgba(ax.figure.get_facecolor())
    level = 0.3 * red + 0.6 * green + 0.1 * blue
    return str(round(level + share * ((0.0 if level > 0.5 else 1.0) - level), 3))


def looks(count):
    """Colour and line style of so many leading curves: no two are alike as far as there are styles, none is grey."""
    from matplotlib import rcParams
    from matplotlib.colors import to_rgb

    cycle = rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    colours = [colour for colour in cycle if np.ptp(to_rgb(colour)) > 0.1] or cycle
    return [{"color": colours[k % len(colours)], "linestyle": STYLES[k // len(colours) % len(STYLES)]}
            for k in range(count)]


# ---- axes of penalties -----------------------------------------------------------------------------------------------
def on_axis(alphas):
    """Which penalties a plot shows: the positive ones, of which alone there are logarithms; all where none is."""
    positive = alphas > 0
    return positive if positive.any() else np.ones(alphas.shape, dtype=bool)


def penalty_axis(ax, alphas):
    """An axis of decreasing penalties, logarithmic where they are positive, on which curves end at the edge.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Drawn already.
    alphas : ndarray
        Those of `on_axis`.
    """
    ax.set_xlabel("alpha")
    if alphas.size == 0:
        return
    low, high = alphas.min(), alphas.max()
    if low > 0:
        ax.set_xscale("log")
        _plain_decades(ax, np.log10(high / low))
    if low == high:
        low, high = (low / 2, 2 * low) if low > 0 else (-1, 1)
    ax.set_xlim(high, low)


def _plain_decades(ax, decades):
    """Ticks as plain numbers: of decades where there are several, else between them too, as far as there is room."""
    from matplotlib.ticker import LogLocator, NullFormatter

    room = _width(ax) / COUNT
    for steps in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        if len(steps) * max(decades, 0.5) <= room:
            break
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _width(ax):
    """In inches, before the layout is made."""
    return ax.bbox.width / ax.figure.dpi


def counts_along_top(ax, x, counts, label):
    """What is counted at a few places along the top: as many as there is room for.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Its scale and limits set already.
    x, counts : ndarray of shape (n,)
        Counts of which nothing is known are NaN.
    label : str
        What is counted.
    """
    if len(x) == 0 or np.isnan(counts).all():
        return
    most = int(np.clip(_width(ax) / COUNT, 2, 7))
    places = ax.transAxes.inverted().transform(ax.transData.transform(np.c_[x, np.zeros(len(x))]))[:, 0]
    wanted = np.linspace(places.min(), places.max(), most)
    ticks = np.unique(np.abs(places - wanted[:, None]).argmin(axis=1))
    ticks = ticks[np.argsort(places[ticks])]
    apart = np.diff(places[ticks], prepend=-np.inf) > 0.4 / most
    ticks = ticks[apart]
    top = ax.secondary_xaxis("top")
    top.set_xticks(x[ticks], [f"{count:.0f}" for count in counts[ticks]])
    top.minorticks_off()
    top.set_xlabel(label)


def mark(ax, x, text, linestyle="--", top=False):
    """A vertical line, with what it stands for written along it, at its top or at its foot."""
    from matplotlib.patheffects import withStroke

    ax.axvline(x, color=grey(ax, 0.7), linestyle=linestyle, linewidth=1, label=text)
    ax.annotate(text, (x, 0.97 if top else 0.03), xycoords=("data", "axes fraction"), xytext=(-2, 0),
                textcoords="offset points", rotation=90, ha="right", va="top" if top else "bottom",
                fontsize="x-small", color=grey(ax, 0.7), zorder=4,
                path_effects=[withStroke(linewidth=2.5, foreground=ax.get_facecolor())])
