"""The figures, each in a light and a dark version, from the results alone."""

import math
from pathlib import Path

from . import results, solvers, tables, tasks

STYLES = {
    "light": {"paper": "#ffffff", "ink": "#1f2328", "faint": "#d8dee4", "own": "#0969da", "lost": "#cf222e"},
    "dark": {"paper": "#0d1117", "ink": "#e6edf3", "faint": "#30363d", "own": "#4493f8", "lost": "#f85149"},
}
# Okabe and Ito's colours but their blue and red, which are fastreg's and the losses': readable on white and on black.
PEER_COLOURS = dict(
    zip(
        [name for name in solvers.SOLVERS if name != solvers.OWN],
        ["#e69f00", "#b07800", "#009e73", "#cc79a7", "#8c8c8c", "#56b4e9", "#a6761d", "#7f5fc7", "#66a61e"],
    )
)
OTHER = "#999999"
FLOOR = 1e-12  # errors below are drawn here
PANELS_ACROSS = 4
BAR = 0.26  # inches for each bar


def draw(found, folder):
    """Write every figure the results have data for.

    Parameters
    ----------
    found : dict
        The results.
    folder : path-like
        Where; made if it is not there.

    Returns
    -------
    list of str
        Names of the figures, without the style and the suffix.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, make in FIGURES.items():
        for style, colours in STYLES.items():
            figure = make(found, colours)
            if figure is None:
                break
            # A fixed salt and no date: the same results give the same file.
            figure.savefig(folder / f"{name}-{style}.svg", metadata={"Date": None}, facecolor=colours["paper"])
        else:
            drawn.append(name)
    return drawn


def names(found):
    """The figures the results have data for."""
    return [name for name, make in FIGURES.items() if make(found, STYLES["light"]) is not None]


def speed(found, colours):
    """Ratio of the best peer's time to fastreg's, a bar for each row."""
    groups = {
        task: [row for row in rows if row.ratio is not None]
        for task, rows in tables.by_task(results.rows(found)).items()
    }
    lines = _with_headings(groups)
    if not lines:
        return None
    figure, axes = _bars(lines, colours)
    for place, row in _places(lines):
        axes.barh(place, row.ratio - 1, left=1, height=0.7, color=colours["lost" if row.lost else "own"])
        mark = tables.DAGGER if row.best["extrapolated"] else ""
        text = f"{tables.number(row.ratio)}{mark}  {row.best['solver']}"
        _beside(axes, place, max(row.ratio, 1), text, colours)
    axes.axvline(1, color=colours["ink"], linewidth=1)
    ratios = [row.ratio for _, row in _places(lines)]
    axes.set_xlim(min(0.8, 0.8 * min(ratios)), 8 * max(ratios))
    axes.set_xlabel("time of the best peer / time of fastreg")
    return figure


def memory(found, colours):
    """Peak memory beyond the data: fastreg's and the best peer's bars, two for each row."""
    groups = {
        task: [row for row in rows if row.best and row.best["memory"] is not None]
        for task, rows in tables.by_task(results.rows(found)).items()
    }
    lines = _with_headings(groups)
    if not lines:
        return None
    figure, axes = _bars(lines, colours, height=1.5)
    least = 0.1  # MB; pages are not worth telling apart below
    biggest = least
    for place, row in _places(lines):
        for offset, record, colour in ((-0.2, row.own, colours["own"]), (0.2, row.best, OTHER)):
            size = max(record["memory"] / tables.MEGABYTE, least)
            biggest = max(biggest, size)
            axes.barh(place + offset, size - least / 2, left=least / 2, height=0.36, color=colour)
            text = tables.number(size) if size > least else f"< {least:g}"
            _beside(axes, place + offset, size, f"{text}  {record['solver']}", colours, size=6.5)
    axes.set_xlim(least / 2, 12 * biggest)
    axes.set_xlabel("peak memory beyond the data, MB: fastreg and the fastest peer")
    return figure


def gap_curves(found, colours):
    """Error of the answer against time, a panel for each lasso or elastic-net path."""
    kept = [row for row in results.rows(found) if row.task in ("lasso_path", "enet_path") and row.own and row.finished]
    panels = []
    for row in kept:
        title = tables.label(row) + ("" if row.task == "lasso_path" else ", elastic net")
        curves = {
            record["solver"]: [(point["seconds"], max(point["error"], FLOOR)) for point in record["curve"]]
            for record in [row.own, *row.peers]
            if record["curve"]
        }
        panels.append((title, curves, row.own["target"]))
    figure = _panels(panels, colours, "seconds", "worst duality gap")
    for axes, (_, _, target) in zip(figure.axes if figure else (), panels):
        axes.axhline(target, color=colours["ink"], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_ylim(0.2 * FLOOR, 5)
    return figure


def scaling(found, colours):
    """Time against size along every sweep, with the fitted exponents."""
    panels = []
    for axis, task, lines in tables.scaling_sweeps(found):
        curves = {name: [(value, seconds) for value, seconds, _ in points] for name, points in lines.items()}
        panels.append((f"{tasks.TASKS[task].title.lower()}: {axis}", curves, None))
    figure = _panels(panels, colours, "", "seconds")
    for axes, (_, curves, _) in zip(figure.axes if figure else (), panels):
        axes.set_ylim(*_decades(seconds for points in curves.values() for _, seconds in points))
        for name, points in curves.items():
            if len(points) > 1:
                text = f" {results.exponent(*zip(*points)):.1f}"
                axes.annotate(text, points[-1], color=_colour(name, colours), fontsize=7, va="center")
    return figure


FIGURES = {"speed": speed, "time_to_gap": gap_curves, "memory": memory, "scaling": scaling}


def _figure(width, height, colours):
    import matplotlib
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    matplotlib.rcParams["svg.hashsalt"] = "fastreg"
    return Figure(figsize=(width, height), layout="constrained", facecolor=colours["paper"])


def _dress(axes, colours):
    axes.set_facecolor(colours["paper"])
    axes.tick_params(colors=colours["ink"], labelsize=7, which="both", length=2)
    axes.xaxis.label.set(color=colours["ink"], fontsize=8)
    axes.yaxis.label.set(color=colours["ink"], fontsize=8)
    for side, spine in axes.spines.items():
        spine.set(color=colours["faint"], visible=side in ("left", "bottom"))


def _with_headings(groups):
    """(task title, None) and (label, row), in order; nothing for a task without rows."""
    lines = []
    for task, rows in groups.items():
        if rows:
            lines.append((tasks.TASKS[task].title, None))
            lines += [(tables.label(row), row) for row in rows]
    return lines


def _places(lines):
    return [(place, row) for place, (_, row) in enumerate(lines) if row is not None]


def _bars(lines, colours, height=1.0):
    """Axes with a logarithmic x, a label for each line, the headings in bold."""
    figure = _figure(8.5, 0.7 + BAR * height * len(lines), colours)
    axes = figure.add_subplot()
    _dress(axes, colours)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [text for text, _ in lines])
    for tick, (_, row) in zip(axes.get_yticklabels(), lines):
        tick.set(fontsize=8, fontweight="normal" if row else "bold")
    axes.tick_params(axis="y", length=0, which="both")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=colours["faint"], linewidth=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def _beside(axes, place, x, text, colours, size=7.5):
    axes.annotate(
        text, (x, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=size, color=colours["ink"]
    )


def _panels(panels, colours, xlabel, ylabel):
    """A grid of log-log panels with one legend; None where there is nothing to draw."""
    if not panels:
        return None
    across = min(PANELS_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = _figure(max(2.4 * across, 4.8), 2.1 * down + 0.5, colours)
    handles = {}
    for number, (title, curves, _) in enumerate(panels):
        axes = figure.add_subplot(down, across, number + 1)
        _dress(axes, colours)
        axes.set(xscale="log", yscale="log", xlabel=xlabel if number >= len(panels) - across else "")
        axes.set_ylabel(ylabel if number % across == 0 else "")
        axes.set_title(title, fontsize=8, color=colours["ink"])
        axes.grid(color=colours["faint"], linewidth=0.4)
        for name, points in curves.items():
            own = name == solvers.OWN
            style = {"linewidth": 2 if own else 1.2, "markersize": 3.5 if own else 2.5, "zorder": 3 if own else 2}
            (handles[name],) = axes.plot(*zip(*points), marker="o", color=_colour(name, colours), **style)
        axes.set_xlim(*_decades(value for points in curves.values() for value, _ in points))
        axes.xaxis.set_minor_formatter("")
        axes.yaxis.set_minor_formatter("")
    order = [name for name in solvers.SOLVERS if name in handles] + [
        name for name in handles if name not in solvers.SOLVERS
    ]
    legend = figure.legend(
        [handles[name] for name in order],
        order,
        loc="outside upper center",
        ncols=min(len(order), 5),
        fontsize=8,
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_color(colours["ink"])
    return figure


def _decades(values):
    """Limits at whole decades, two at least: labels of minor ticks would run into each other."""
    powers = [math.log10(value) for value in values]
    low = math.floor(min(powers))
    return 0.7 * 10.0**low, 1.4 * 10.0 ** max(math.ceil(max(powers)), low + 2)


def _colour(name, colours):
    return colours["own"] if name == solvers.OWN else PEER_COLOURS.get(name, OTHER)
