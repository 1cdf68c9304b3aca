"""Names of curves at their ends, which make room for each other whatever becomes of the figure."""
import numpy as np
from matplotlib.text import Annotation
from sklearn.isotonic import isotonic_regression

# Of names that are written out, in letters; where they begin, of the width of the axes; a line of text by its size.
LONGEST, START, LINE = 30, 1.025, 1.15


def spread(wanted, gap, low, high):
    """Positions in the order of `wanted`, at least `gap` apart, between low and high: the nearest by least squares.

    Parameters
    ----------
    wanted : ndarray of shape (n,)
    gap, low, high : float
        ``(n - 1) gap`` is at most ``high - low``.
    """
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    found = np.empty(len(wanted))
    found[order] = np.clip(isotonic_regression(wanted[order] - steps), low, high - gap * (len(wanted) - 1)) + steps
    return found


class Column:
    """The names at the right of some axes, the most important first."""

    def __init__(self, ax):
        self.ax, self.names, self.last = ax, [], None

    def add(self, text, end, colour):
        """A name and the end of its curve, in data."""
        text = text if len(text) <= LONGEST else f"{text[:LONGEST - 1]}…"
        name = Name(self, text, end, colour)
        self.ax.add_artist(name)
        name.set_clip_on(False)
        self.names.append(name)

    def place(self):
        """Move the names to where there is room; those that find none, the least important, are not seen."""
        box = self.ax.bbox
        at = self.ax.transData.transform([name.xy for name in self.names])[:, 1]
        now = np.r_[box.height, box.y0, self.ax.figure.dpi, at]
        if self.last is not None and np.array_equal(now, self.last):
            return
        self.last = now
        gap = LINE * self.names[0].get_fontsize() * self.ax.figure.dpi / 72 / box.height
        kept = min(len(self.names), 1 + int(1 / gap))
        places = spread(np.clip((at[:kept] - box.y0) / box.height, 0, 1), gap, 0.0, 1.0)
        for k, name in enumerate(self.names):
            name.set_visible(k < kept)
            if k < kept:
                name.xyann = START, places[k]


class Name(Annotation):
    """One of them, joined to its curve by a thin line."""

    def __init__(self, column, text, end, colour):
        self.column = column
        super().__init__(text, xy=end, xytext=(START, 0.5), textcoords="axes fraction", va="center", ha="left",
                         fontsize="small", color=colour, annotation_clip=False,
                         arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0,
                                     "relpos": (0, 0.5)})

    def update_positions(self, renderer):
        """Where matplotlib asks before it draws or measures."""
        self.column.place()
        super().update_positions(renderer)


def name_ends(ax, ends):
    """Write names at the ends of curves.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    ends : list of (str, (float, float), colour)
        The name of a curve, where it ends, and its colour; the most important first.
    """
    column = Column(ax)
    for text, end, colour in ends:
        column.add(text, end, colour)
