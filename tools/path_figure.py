"""Draws docs/figures/path-light.svg and path-dark.svg: the picture of README's ten lines, on white and on dark.

    python tools/path_figure.py
"""

from pathlib import Path

import matplotlib
from sklearn.datasets import load_diabetes

from fastreg import LassoCV, regularization_path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "figures"
# The second paper is that of dark pages, as of the benchmarks' pictures.
LOOKS = {"light": ("default", "white"), "dark": ("dark_background", "#0d1117")}


def main():
    import matplotlib.pyplot as plt

    matplotlib.use("agg")
    X, y = load_diabetes(return_X_y=True)
    path, best = regularization_path(X, y), LassoCV(cv=5, selection_rule="1se").fit(X, y)
    for look, (style, paper) in LOOKS.items():
        # The same bytes each time.
        settings = {"svg.hashsalt": "fastreg", "figure.facecolor": paper, "axes.facecolor": paper}
        with plt.style.context([style, settings]):
            figure = path.plot(highlight=best.alpha_).figure
            figure.savefig(FOLDER / f"path-{look}.svg", metadata={"Date": None}, facecolor=paper)


if __name__ == "__main__":
    main()
