"""The command line: fit a path on data, choose of it and show the choice, and time scikit-learn on the same work."""

import errno
import os
import sys
import warnings
from contextlib import nullcontext

import numpy as np
from threadpoolctl import threadpool_limits

import fastreg
from fastreg.cli.chosen import chosen_by_folds, ridge_alphas, solution
from fastreg.cli.compare import best_time, run_scikit_learn, time_limit
from fastreg.cli.data import load, modelled
from fastreg.cli.errors import DataError
from fastreg.cli.options import parser
from fastreg.cli.output import check_output, write_model, write_text
from fastreg.cli.page import report
from fastreg.cli.report import comparison_lines, header_lines, model_lines, path_lines
from fastreg.progress import Bar
from fastreg.referee import Referee

__all__ = ["main"]

# Smallest penalty value over the largest, with an L1 penalty; where the choice is at that end, the next.
LASSO_EPS = (1e-2, 1e-4, 1e-6)
# What scikit-learn is timed on, or said to lack; why it is left out of the others.
COMPARED = ("quadratic", "logistic", "poisson")
LEFT_OUT = {
    "multinomial": "scikit-learn is left out: of its solvers saga alone has these penalties, and seldom gets there"
}
# Of a figure, in a row, one for each class.
PANELS = 4


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code: 0, 1 where the output cannot be written (without a word where its reader has gone), 2 for a wrong
        file, column or option and for data that cannot be fitted, 130 when interrupted.
    """
    options = parser().parse_args(argv)
    try:
        _run(options)
    except DataError as error:
        _tell("error", error)
        return 2
    except MemoryError as error:
        _tell("error", f"not enough memory ({error or 'for this path'})")
        return 2
    except OSError as error:  # of the output: errors of the files that are read and drawn have their place in a message
        if not isinstance(error, BrokenPipeError):  # `head` has seen enough
            _tell("error", f"cannot write the output: {error.strerror or error}")
        if sys.stdout is not None:
            _let_go(sys.stdout)
        return 1
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    return 0


def _run(options):
    if options.plot:
        _check_plot(options.plot)
    if options.output:
        check_output(options.output, "--output", (".json", ".csv"))
    if options.report:
        check_output(options.report, "--report", (".html", ".htm"))
    data = load(options)
    data = modelled(data, options.model)
    for note in data.notes:
        _tell("note", note)
    _print(header_lines(data, options.n_alphas, options.l1_ratio, options.tol))
    with threadpool_limits(options.threads) if options.threads else nullcontext():
        for eps in (options.eps,) if options.eps or options.l1_ratio == 0 else LASSO_EPS:
            path, seconds, warned = _fit(data, options, eps)
            verdicts = _judged(data, path, options.l1_ratio)
            curves, more = None, ""
            if options.cv:
                curves, more = _caught(data, chosen_by_folds, data, path, options)
            if curves is None or curves.at_edge != "smallest":
                break
    for told in filter(None, (warned, more)):
        _tell("warning", told)
    _print(path_lines(path, verdicts))
    model = solution(data, path, verdicts, curves)
    _print(model_lines(data, model))
    worst = max(verdict.gap for verdict in verdicts)
    peer = None
    if options.compare and options.l1_ratio == 0:
        _tell("note", "scikit-learn is left out: its path of coordinate descent is not made for ridge penalties")
    elif options.compare and data.model not in COMPARED:
        _tell("note", LEFT_OUT.get(data.model, "scikit-learn is left out: it has no L1 penalty for this loss"))
    elif options.compare:
        # Where float32 data or the rounding of extreme data keep fastreg above the target, its own gap is the mark.
        target = max(options.tol, worst)
        peer = run_scikit_learn(data, path.alphas, options.l1_ratio, target, options.threads, time_limit(seconds))
    _print(comparison_lines(seconds, worst, options.tol, peer))
    if options.plot:
        _plot(data, path, model, options.plot)
    if options.output:
        write_model(options.output, data, model, options)
        _print([f"model written to {options.output}"])
    if options.report:
        write_text(options.report, report(data, path, verdicts, model, options))
        _print([f"report written to {options.report}"])


def _tell(kind, message=""):
    """One line on standard error, whatever a file's names hold; nobody can be told that it cannot be written."""
    if sys.stderr is None:
        return
    try:
        print(" ".join(f"fastreg: {kind}{': ' * bool(message)}{message}".split()), file=sys.stderr, flush=True)
    except OSError:
        _let_go(sys.stderr)


def _let_go(stream):
    """What is still in the buffer of a stream that cannot be written must go somewhere: the interpreter tries again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print(lines):
    """Lines on standard output; what its encoding cannot say (a name of a file) is escaped."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    encoding = sys.stdout.encoding or "utf-8"
    print("\n".join(lines).encode(encoding, "backslashreplace").decode(encoding), flush=True)


def _judged(data, path, l1_ratio):
    """The referee's verdicts; figures that are no numbers are an error, not a table."""
    with np.errstate(all="ignore"):
        verdicts = Referee(data.X, data.y, l1_ratio, data.model).judge_path(path.coefs, path.intercepts, path.alphas)
    if not (np.isfinite(path.alphas).all() and np.isfinite([(verdict.gap, verdict.r2) for verdict in verdicts]).all()):
        raise DataError(f"{data.name}: the figures of this fit overflow: bring X and the target to other units")
    # Of a gap of rounding alone the sign says nothing.
    return [verdict._replace(gap=max(verdict.gap, 0.0)) for verdict in verdicts]


def _fit(data, options, eps):
    """The path, its best time, and in one line what the engine warned of."""
    progress = Bar(delay=1.0, brief=True)
    grid = {"alphas": options.n_alphas, "eps": eps}
    if options.l1_ratio == 0:
        grid = {"alphas": ridge_alphas(data, options.n_alphas, eps)}

    def fit():
        return fastreg.regularization_path(
            data.X,
            data.y,
            l1_ratio=options.l1_ratio,
            **grid,
            # The relative gap printed here is gap / objective(0) = 2 gap / ||y||^2; `tol` is relative to ||y||^2. Of
            # other losses both are relative to half the null deviance.
            tol=options.tol / 2 if data.model == "quadratic" else options.tol,
            datafit=data.model,
            n_threads=options.threads,
            callback=progress,
        )

    try:
        (path, seconds), warned = _caught(data, best_time, fit)
    finally:
        progress.close()
    return path, seconds, warned


def _caught(data, work, *args):
    """What some work gives, and in one line what it warned of; what it refuses is an error of the data."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = work(*args)
        except (ValueError, TypeError) as error:
            raise DataError(f"{data.name}: {error}") from error
    more = f" (and {len(caught) - 1} more warnings)" if len(caught) > 1 else ""
    return found, f"{caught[0].message}{more}" if caught else ""


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


def _plot(data, path, model, filename):
    """The path by the names of the columns, what was chosen of it marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A Figure of our own: pyplot would look for a display.
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    path.feature_names_in_ = np.array([data.title(j) for j in range(path.n_features_in_)], dtype=object)
    look = {"highlight": None if model.curves is None else model.alpha}
    n_panels = len(path.coefs) if path.datafit == "multinomial" else 1
    if n_panels > 1:
        columns = min(n_panels, PANELS)
        figure.set_size_inches(4 * columns, 4 * -(-n_panels // columns))
        path.plot(ax=figure.subplots(-(-n_panels // columns), columns, squeeze=False).ravel()[:n_panels], **look)
        for spare in figure.axes[n_panels:-(-n_panels // columns) * columns]:
            spare.set_visible(False)
    else:
        path.plot(ax=figure.add_subplot(), **look)
    try:
        figure.savefig(filename, dpi=150)
    except OSError as error:
        raise DataError(f"cannot write {filename}: {error.strerror or error}") from error
    _print([f"coefficient path drawn in {filename}"])
