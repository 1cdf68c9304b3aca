"""Names of curves at their ends, which make room for each other whatever becomes of the figure."""
import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation, Text
from sklearn.isotonic import isotonic_regression

# Of names that are written out, in letters; a line of text by its size.
LONGEST, LINE = 30, 1.15
# Where names begin, and where they end inside the axes, of their width.
START, END = 1.025, 0.985
# What the labels of an axis take up, in inches.
LABELS = 0.5


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

    def place(self, renderer):
        """Move the names to where there is room; those that find none, the least important, are not seen."""
        box, figure = self.ax.bbox, self.ax.figure
        at = self.ax.transData.transform([name.xy for name in self.names])[:, 1]
        now = np.r_[box.extents, figure.bbox.width, figure.dpi, at]
        if self.last is not None and np.array_equal(now, self.last):
            return
        self.last = now
        gap = LINE * self.names[0].get_fontsize() * figure.dpi / 72 / box.height
        kept = min(len(self.names), 1 + int(1 / gap))
        places = spread(np.clip((at[:kept] - box.y0) / box.height, 0, 1), gap, 0.0, 1.0)
        inside = figure.get_layout_engine() is None and self._too_wide(renderer)
        for k, name in enumerate(self.names):
            name.set_visible(k < kept)
            name.stand(END if inside else START, places[min(k, kept - 1)], inside)

    def _too_wide(self, renderer):
        """Whether names at the right would leave the figure or meet the next axes, where no layout makes room."""
        box, figure = self.ax.bbox, self.ax.figure
        beside = [ax.bbox.x0 - LABELS * figure.dpi for ax in figure.axes
                  if ax.bbox.x0 >= box.x1 and ax.bbox.y0 < box.y1 and box.y0 < ax.bbox.y1]
        widest = max(Text.get_window_extent(name, renderer).width for name in self.names)
        return box.x0 + START * box.width + widest > min([figure.bbox.x1, *beside])


class Name(Annotation):
    """One of them, joined to its curve by a thin line."""

    def __init__(self, column, text, end, colour):
        self.column = column
        super().__init__(text, xy=end, xytext=(START, 0.5), textcoords="axes fraction", va="center", ha="left",
                         fontsize="small", color=colour, annotation_clip=False,
                         arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0,
                                     "relpos": (0, 0.5)})

    def stand(self, x, y, inside):
        """Move to a place, in shares of the axes: beside them, or inside, where no line is needed."""
        self.xyann = x, y
        self.set_ha("right" if inside else "left")
        self.arrow_patch.set_visible(not inside)
        halo = withStroke(linewidth=2.5, foreground=self.column.ax.get_facecolor())
        self.set_path_effects([halo] if inside else [])

    def update_positions(self, renderer):
        """Where matplotlib asks before it draws or measures."""
        self.column.place(renderer)
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
