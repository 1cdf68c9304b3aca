"""The curves that alpha was chosen by."""
import numpy as np

from fastreg.drawing.axes import counts_along_top, grey, looks, mark, on_axis, penalty_axis


def draw_curves(ax, curves, *, label, counted):
    """The chosen curve with its standard errors; the best of the others named at their ends, the rest grey.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    curves : SelectionCurves
    label : int
        How many curves are named, where there are several.
    counted : str
        What its df are.
    """
    from fastreg.drawing.names import name_ends

    shown = on_axis(curves.alphas)
    seen = shown & np.isfinite(curves.values)
    best, sign = curves.best[0], -1 if curves.greater_is_better else 1
    least = [np.min(sign * values[on]) if on.any() else np.inf for values, on in zip(curves.values, seen)]
    others = [k for k in np.argsort(least, kind="stable") if k != best and seen[k].any()]
    named = [best, *others][:max(1, label)]
    ends = []
    for k, look in zip(named, looks(len(named))):
        x, y = curves.alphas[k][seen[k]], curves.values[k][seen[k]]
        text = ", ".join(f"{name} {value:.3g}" for name, value in curves.of_curve(k))
        if k == best and curves.standard_error is not None:
            ax.errorbar(x, y, curves.standard_error[k][seen[k]], linewidth=0, elinewidth=0.8, ecolor=look["color"],
                        alpha=0.5, capsize=1.5, zorder=2.4)
        ax.plot(x, y, linewidth=1.8 if k == best else 1.2, marker="o", markersize=2.5 if k == best else 0, label=text,
                zorder=3 if k == best else 2.5, **look)
        ends.append((text, x[-1], y[-1], look["color"]))
    for k in others[len(named) - 1:]:
        ax.plot(curves.alphas[k][seen[k]], curves.values[k][seen[k]], color=grey(ax, 0.25), linewidth=0.7, zorder=2)
    text = curves.metric if curves.standard_error is None else f"{curves.metric} ± standard error"
    ax.set_ylabel(text if curves.basis is None else f"{text}\n{curves.basis}")
    penalty_axis(ax, curves.alphas[named][seen[named]])
    _look_at(ax, curves, best, seen[best])
    for at, style, name in ((curves.best, "--", "best"), (curves.best_1se, ":", "one standard error")):
        if at is not None and shown[at]:
            mark(ax, curves.alphas[at], name, style, top=True)
    counts_along_top(ax, curves.alphas[best][seen[best]], curves.df[best][seen[best]], counted)
    if others:
        name_ends(ax, [(text, (x, np.clip(y, *ax.get_ylim())), colour) for text, x, y, colour in ends])


def _look_at(ax, curves, k, seen):
    """Vertical limits by one curve and its errors: what others do far above would leave nothing of it to see."""
    values = curves.values[k][seen]
    error = 0 if curves.standard_error is None else curves.standard_error[k][seen]
    low, high = np.min(values - error, initial=np.inf), np.max(values + error, initial=-np.inf)
    if low < high:
        ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
