"""The command line: fit a path on bundled data or on a file, print it, and time scikit-learn on the same work."""

import argparse
import sys
import warnings
from contextlib import nullcontext

from threadpoolctl import threadpool_limits

import fastreg
from fastreg.cli.compare import best_time, run_scikit_learn, time_limit
from fastreg.cli.data import DataError, load_bundled, load_file
from fastreg.cli.report import Progress, comparison_lines, header_lines, path_lines
from fastreg.referee import Referee

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """argparse with one clear line for an error, in place of the usage and a line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code: 0, 2 for a wrong file, column or option, 130 when interrupted.
    """
    options = _parser().parse_args(argv)
    try:
        _run(options)
    except DataError as error:
        print(f"fastreg: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fastreg: interrupted", file=sys.stderr)
        return 130
    return 0


def _run(options):
    if options.plot:
        _check_plot(options.plot)
    data = load_file(options.file, options.target) if options.file else load_bundled(options.target)
    print("\n".join(header_lines(data, options.n_alphas, options.l1_ratio, options.tol)), flush=True)
    with threadpool_limits(options.threads) if options.threads else nullcontext():
        path, seconds = _fit(data, options)
        verdicts = Referee(data.X, data.y, options.l1_ratio).judge_path(path.coefs, path.intercepts, path.alphas)
    print("\n".join(path_lines(path, verdicts)), flush=True)
    worst = max(verdict.gap for verdict in verdicts)
    peer = None
    if options.compare:
        # Where float32 data or the rounding of extreme data keep fastreg above the target, its own gap is the mark.
        target = max(options.tol, worst)
        peer = run_scikit_learn(data, path.alphas, options.l1_ratio, target, options.threads, time_limit(seconds))
    print("\n".join(comparison_lines(seconds, worst, options.tol, peer)), flush=True)
    if options.plot:
        _plot(path, options.plot)


def _fit(data, options):
    """The path and its best time; what the engine warns of or refuses comes out as one line each."""
    progress = Progress(sys.stderr)

    def fit():
        return fastreg.regularization_path(
            data.X,
            data.y,
            l1_ratio=options.l1_ratio,
            alphas=options.n_alphas,
            eps=options.eps,
            # The relative gap printed here is gap / objective(0) = 2 gap / ||y||^2; `tol` is relative to ||y||^2.
            tol=options.tol / 2,
            n_threads=options.threads,
            callback=progress,
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            path, seconds = best_time(fit)
        except (ValueError, TypeError) as error:
            raise DataError(" ".join(str(error).split())) from error
        finally:
            progress.close()
    if caught:
        more = f" (and {len(caught) - 1} more warnings)" if len(caught) > 1 else ""
        print(f"fastreg: warning: {' '.join(str(caught[0].message).split())}{more}", file=sys.stderr)
    return path, seconds


def _check_plot(filename):
    """Fail before the work, not after it."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise DataError("--plot needs matplotlib: pip install 'fastreg-solver[plot]'") from None
    suffix = filename.rpartition(".")[2].lower()
    known = FigureCanvasAgg.get_supported_filetypes()
    if suffix not in known:
        raise DataError(f"--plot cannot write {filename!r}: the file must end in one of {', '.join(sorted(known))}")


def _plot(path, filename):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A Figure of our own: pyplot would look for a display.
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    path.plot(ax=figure.add_subplot())
    try:
        figure.savefig(filename, dpi=150)
    except OSError as error:
        raise DataError(f"cannot write {filename}: {error.strerror or error}") from error
    print(f"coefficient path drawn in {filename}")


def _parser():
    parser = _Parser(
        prog="python -m fastreg",
        description="Fit a lasso or elastic-net path, print it with its duality gaps, "
        "and time scikit-learn on the same work at the same gap.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help=".csv or .tsv with a header, svmlight (.svm, .svmlight, .libsvm, .txt), or .npz with X (or a scipy sparse "
        "matrix) and y; without FILE, a bundled data set",
    )
    parser.add_argument("--target", metavar="COLUMN", help="target column of a CSV (name or index), or array of a .npz")
    parser.add_argument("--l1-ratio", type=_number(0, 1), default=1.0, metavar="R", help="1 is the lasso (default)")
    parser.add_argument("--n-alphas", type=_count, default=100, metavar="N", help="penalty values (default 100)")
    parser.add_argument(
        "--eps",
        type=_number(0, 1, open_low=True),
        default=1e-2,
        metavar="E",
        help="smallest over largest penalty value (default 0.01)",
    )
    parser.add_argument(
        "--tol",
        type=_number(0, 1, open_low=True),
        default=1e-6,
        metavar="T",
        help="duality gap to reach, relative to the objective at zero coefficients (default 1e-6)",
    )
    parser.add_argument("--threads", type=_count, metavar="N", help="threads, for both solvers (default: all cores)")
    parser.add_argument("--plot", metavar="OUT.png", help="draw the coefficient path")
    parser.add_argument("--no-compare", dest="compare", action="store_false", help="leave scikit-learn out")
    parser.add_argument("--version", action="version", version=f"fastreg {fastreg.__version__}")
    return parser


def _number(low, high, open_low=False):
    """A parser of numbers in [low, high], or (low, high]."""

    def parse(text):
        value = _converted(float, text, "a number")
        if not (low <= value <= high) or (open_low and value == low):
            raise argparse.ArgumentTypeError(f"must lie in {'(' if open_low else '['}{low}, {high}], got {text}")
        return value

    return parse


def _count(text):
    value = _converted(int, text, "a whole number")
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def _converted(kind, text, what):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}") from None
