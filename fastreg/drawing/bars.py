"""The largest coefficients of one target as bars."""
import numpy as np

from fastreg.drawing.axes import grey, looks


def draw_bars(ax, coef, names, label):
    """Bars, the largest on top, with their values.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    coef : ndarray of shape (n_features,)
    names : list of str
    label : int
        So many at most.
    """
    used = np.count_nonzero(coef)
    kept = np.argsort(-np.abs(coef), kind="stable")[:min(label, used)]
    up, down = (look["color"] for look in looks(2))
    ax.barh(np.arange(len(kept)), coef[kept], height=0.7, color=[up if coef[j] > 0 else down for j in kept])
    ax.set_yticks(np.arange(len(kept)), [names[j] for j in kept])
    ax.set_ylim(max(len(kept), 1) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    for k, j in enumerate(kept):
        ax.annotate(f"{coef[j]:.3g}", (coef[j], k), xytext=(3 if coef[j] > 0 else -3, 0), textcoords="offset points",
                    ha="left" if coef[j] > 0 else "right", va="center", fontsize="small", color=grey(ax, 0.7))
    ax.axvline(0, color=grey(ax, 0.5), linewidth=0.8)
    ax.margins(x=0.15)
    count = f"the {len(kept)} largest of {used}" if used > len(kept) else f"{used}"
    ax.set_xlabel(f"coefficient ({count} that are not zero, of {len(coef)})")
    ax.spines[["top", "right", "left"]].set_visible(False)
