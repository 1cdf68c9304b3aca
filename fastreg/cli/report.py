"""The lines the command line prints, and its progress bar."""

import time

import numpy as np
from scipy import sparse

import fastreg
from fastreg import tables

MODELS = {"quadratic": "", "logistic": "logistic regression, ", "poisson": "Poisson regression, ",
          "multinomial": "multinomial regression, "}


class Progress:
    """A bar on a terminal, drawn only once the work has taken a second.

    Parameters
    ----------
    stream : file object
        Where to draw; nothing is drawn unless it is a terminal, and as long as it is there.
    delay : float, default=1.0
        Seconds before the first drawing.
    """

    WIDTH = 30
    PERIOD = 0.1

    def __init__(self, stream, delay=1.0):
        self.stream = stream
        self.enabled = stream is not None and stream.isatty()
        self.next_draw = time.monotonic() + delay
        self.drawn = False

    def __call__(self, done, total):
        now = time.monotonic()
        if not self.enabled or now < self.next_draw:
            return
        self.next_draw = now + self.PERIOD
        self.drawn = True
        filled = self.WIDTH * done // total
        self._write(f"\r[{'#' * filled}{'.' * (self.WIDTH - filled)}] {done}/{total} penalty values")

    def close(self):
        """Wipe the bar."""
        if self.drawn:
            self._write("\r\x1b[K")
            self.drawn = False

    def _write(self, text):
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self.enabled = False


def header_lines(data, n_alphas, l1_ratio, tol):
    """What is about to be fitted.

    Parameters
    ----------
    data : Data
        The data set.
    n_alphas : int
        Number of penalty values.
    l1_ratio : float
        Share of the l1 penalty.
    tol : float
        Target relative gap.

    Returns
    -------
    list of str
        The lines.
    """
    n, p = data.X.shape
    density = f"sparse, {data.X.nnz / (n * p):.3%} filled" if sparse.issparse(data.X) else "dense"
    model = MODELS.get(data.model, f"{data.model} loss, ")
    kind = model + ("lasso" if l1_ratio == 1 else f"elastic net, l1_ratio {l1_ratio:g}")
    return [
        f"fastreg {fastreg.__version__}: {data.name}",
        f"{n} samples x {p} features ({density}, {data.X.dtype}); {kind}, {n_alphas} penalty values, "
        f"relative duality gap <= {tol:g}",
        "",
    ]


def path_lines(path, verdicts):
    """A dozen rows of the path, evenly spaced.

    Parameters
    ----------
    path : Path
        The path.
    verdicts : list of Verdict
        The referee's gap and R^2 for each penalty value, of other losses than the squared one D^2: the share of the
        null deviance that is explained.

    Returns
    -------
    list of str
        The lines.
    """
    gaps, shares = np.array(verdicts).T
    return tables.lines(tables.columns(path, shares, gaps))


def comparison_lines(seconds, worst, tol, peer):
    """Both times, and their ratio.

    Parameters
    ----------
    seconds : float
        fastreg's time for the whole path.
    worst : float
        Its worst relative gap.
    tol : float
        The gap it was asked for.
    peer : PeerResult or None
        How scikit-learn fared; None if it was left out.

    Returns
    -------
    list of str
        The lines.
    """
    missed = "" if worst <= tol else f", short of the {tol:g} asked for"
    lines = ["", f"fastreg       {_duration(seconds):>9}   worst gap {worst:.1e}{missed}"]
    if peer is None:
        return lines
    if peer.seconds is not None:
        lines.append(f"scikit-learn  {_duration(peer.seconds):>9}   worst gap {peer.gap:.1e}, at tol={peer.tol:g}")
        lines.append(_ratio_line(peer.seconds / seconds))
    elif peer.problem:
        lines.append(f"scikit-learn  no result: {peer.problem}")
    else:
        reached = "no run finished" if peer.tol is None else f"best gap {peer.gap:.1e} at tol={peer.tol:g}"
        lines.append(f"scikit-learn  gap not reached in {peer.limit:.0f} s ({reached})")
    return lines


def _ratio_line(ratio):
    if ratio >= 1:
        return f"fastreg is {ratio:.3g} times as fast."
    return f"fastreg is slower: it takes {1 / ratio:.3g} times as long."


def _duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"
