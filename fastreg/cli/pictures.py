"""Curves against alpha as SVG that stands in a page: no library, no script, colours from the page's style."""

import math
from html import escape

import numpy as np

# Drawn for the width of a phone; the page lets them grow.
WIDTH, HEIGHT = 400, 280
RIGHT, TOP, BOTTOM = 8, 10, 40
DIGIT = 7.2  # the width of one, in the style's size of text
# Okabe and Ito's colours, told apart by everybody, and two more; of the named curves, in their order.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f3fbf", "#b2b200", "#e31a1c")


class Axes:
    """A frame with alpha along it, decreasing from left to right, on a logarithmic scale.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing and positive, two at least.
    low, high : float
        Of the values.
    label : str
        What the values are.
    title : str
        What the picture shows, for those who do not see it.
    """

    def __init__(self, alphas, low, high, label, title):
        self.x_range = np.log10([alphas[0], alphas[-1]])
        room = 0.04 * (high - low) or abs(high) or 1.0
        self.y_range = low - room, high + room
        self.parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>']
        marks = {value: f"{value:.6g}" for value in ticks(*self.y_range)}
        left = self.left = 26 + round(DIGIT * max(map(len, marks.values()), default=0))
        for value, text in marks.items():
            y = self.y(value)
            self.parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                              f'<text x="{left - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        for value in log_ticks(*self.x_range[::-1]):
            x = self.x(value)
            self.parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
                              f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{value:g}</text>')
        self.parts.append(f'<text x="{(left + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">alpha</text>'
                          f'<text transform="translate(11 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
                          f'text-anchor="middle">{escape(label)}</text>')

    def x(self, alpha):
        """Where an alpha is."""
        left, right = self.x_range
        return self.left + (math.log10(alpha) - left) / (right - left) * (WIDTH - self.left - RIGHT)

    def y(self, value):
        """Where a value is."""
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def curve(self, alphas, values, colour=None):
        """A curve, grey without a colour."""
        points = " ".join(f"{self.x(alpha):.1f},{self.y(value):.1f}" for alpha, value in zip(alphas, values))
        style = f'stroke="{colour}" stroke-width="1.8"' if colour else 'class="other"'
        self.parts.append(f'<polyline fill="none" {style} points="{points}"/>')

    def upright(self, alpha, low=None, high=None):
        """A line at an alpha: that of an error, or dashed from end to end."""
        x, whole = self.x(alpha), low is None
        ends = (TOP, HEIGHT - BOTTOM) if whole else (self.y(high), self.y(low))
        kind = "chosen" if whole else "error"
        self.parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>')

    def svg(self):
        """The picture."""
        return "".join(self.parts) + "</svg>"


def ticks(low, high):
    """About five round numbers between low and high.

    Parameters
    ----------
    low, high : float

    Returns
    -------
    list of float
    """
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = min((unit * k for k in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / raw)))
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def log_ticks(low, high):
    """Powers of ten from 10^low to 10^high, at most six; where there are less than two, numbers between as well.

    Parameters
    ----------
    low, high : float
        Logarithms.

    Returns
    -------
    list of float
    """
    powers = range(math.ceil(low), math.floor(high) + 1)
    if len(powers) >= 2:
        return [10.0**k for k in powers[:: -(-len(powers) // 6)]]
    around = range(math.floor(low), math.ceil(high) + 1)
    return [m * 10.0**k for k in around for m in (1, 2, 5) if low <= k + math.log10(m) <= high]


def path_picture(alphas, effects, named, chosen):
    """Coefficients along a path.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Decreasing.
    effects : ndarray of shape (n_curves, n_alphas)
        Coefficients times standard deviations of their columns, those that are named first.
    named : int
        How many get a colour.
    chosen : float
        The alpha that is marked.

    Returns
    -------
    str
        SVG.
    """
    axes = Axes(alphas, min(effects.min(initial=0), 0), max(effects.max(initial=0), 0), "coefficient × std of column",
                "Coefficients along the path, against alpha")
    for k in range(len(effects) - 1, -1, -1):  # the named ones above the others
        axes.curve(alphas, effects[k], COLOURS[k] if k < named else None)
    axes.upright(chosen)
    return axes.svg()


def curve_picture(curves):
    """The scores of cross-validation with their standard errors.

    Parameters
    ----------
    curves : SelectionCurves

    Returns
    -------
    str
        SVG.
    """
    keep = np.isfinite(curves.values[0])
    alphas, values, errors = curves.alphas[0][keep], curves.values[0][keep], curves.standard_error[0][keep]
    errors = np.where(np.isfinite(errors), errors, 0)
    axes = Axes(alphas, np.min(values - errors), np.max(values + errors), f"{curves.metric}, {curves.basis}",
                "Scores of cross-validation, against alpha")
    for alpha, value, error in zip(alphas, values, errors):
        axes.upright(alpha, value - error, value + error)
    axes.curve(alphas, values, COLOURS[0])
    axes.upright(curves.alphas[curves.chosen])
    return axes.svg()
