"""The command line of `compare.py`."""

import argparse
import runpy
import sys

from .. import workloads
from . import figures, measure, results, scaling, solvers, tables, tasks, worker

SCALING = "scaling"


def main(argv=None):
    """Run the comparison.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code.
    """
    options = _parser().parse_args(argv)
    if options.worker:
        worker.serve()
        return 0
    if options.adapters:
        runpy.run_path(options.adapters)
    known = {
        "solver": (options.solvers, solvers.SOLVERS),
        "task": (options.tasks, [*tasks.TASKS, SCALING]),
        "axis": (options.axes, [sweep.axis for sweep in scaling.sweeps()]),
    }
    for kind, (given, names) in known.items():
        unknown = set(given or []) - set(names)
        if unknown:
            print(f"compare.py: error: no {kind} {', '.join(sorted(unknown))}, but {', '.join(names)}", file=sys.stderr)
            return 2
    names, reasons = measure.available(options.solvers or list(solvers.SOLVERS))
    found = results.read(options.out)
    print("\n".join([tables.machine_line(results.machine()), *tables.solver_lines(names, reasons)]), flush=True)
    if options.list:
        print("\n".join(tables.task_lines(workloads.stored_names())))
        return 0
    if found["machine"]["processor"] != results.machine()["processor"]:
        print(f"compare.py: error: {options.out} has results of another machine; give another --out", file=sys.stderr)
        return 2
    _measure(found, names, options)
    print("\n" + tables.everything(found))
    if options.figures:
        figures.draw(found, options.figures)
    return 0


def _measure(found, names, options):
    """Run the rows, then the sweeps; the file is written after each row, so that a stop loses nothing."""
    common = measure.Options(options.gap, options.limit, options.reps, options.adapters)
    chosen = options.tasks or [*tasks.TASKS, SCALING]
    with measure.Workers(common) as workers:
        for case in _rows([task for task in chosen if task != SCALING], options):
            _add(found, measure.measure(case, names, workers, _say), options.out)
        for sweep in scaling.sweeps(options.toy) if SCALING in chosen else []:
            for point in sweep.points if sweep.axis in (options.axes or [sweep.axis]) else []:
                threads = point.threads or options.threads
                case = tasks.Case.make(sweep.task, point.data, point.changes, threads=threads)
                records = measure.measure(case, [name for name in names if name in scaling.PEERS], workers, _say)
                for record in records:
                    value = record.get(point.value) if isinstance(point.value, str) else point.value
                    record |= {"axis": sweep.axis, "value": value}
                _add(found, records, options.out)


def _rows(chosen, options):
    """The default rows of the tasks; or every task on the data sets given, with the parameters of default rows."""
    if options.data:
        wanted = [(task, data) for task in chosen for data in options.data]
        rows = [row for pair in wanted for row in _default_rows(*pair) or [(*pair, {})]]
    elif options.toy:
        rows = [(task, data, {}) for task in chosen for data in tasks.TOY_DATA]
    else:
        rows = [row for row in tasks.DEFAULT_ROWS if row[0] in chosen]
    return [tasks.Case.make(*row, options.toy, options.threads) for row in rows]


def _default_rows(task, data):
    return [row for row in tasks.DEFAULT_ROWS if row[:2] == (task, data)]


def _add(found, records, path):
    """Keep the records of data that could be had."""
    results.merge(found, [record for record in records if record["shape"]])
    results.write(found, path)


def _say(record):
    print(tables.record_line(record), flush=True)


def _parser():
    parser = argparse.ArgumentParser(
        description="fastreg beside its peers, each at the loosest tolerance that is accurate."
    )
    several = {"type": lambda text: text.split(","), "metavar": "NAME,..."}
    parser.add_argument("--tasks", help=f"of {', '.join([*tasks.TASKS, SCALING])}; default: all", **several)
    parser.add_argument(
        "--data", help="data sets, each for every task; default: the rows of tasks.DEFAULT_ROWS", **several
    )
    parser.add_argument("--axes", help="of the scaling sweeps, such as n or threads; default: all", **several)
    parser.add_argument("--solvers", help="peers; default: all that are installed", **several)
    parser.add_argument("--threads", type=int, default=1, help="of BLAS, OpenMP and Numba (default 1)")
    parser.add_argument(
        "--gap", type=float, default=1e-6, help="relative gap, or error of ridge coefficients (default 1e-6)"
    )
    parser.add_argument("--reps", type=int, default=3, help="runs beside fastreg where times are near (default 3)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for each run of a solver (default 20)")
    parser.add_argument("--out", default="results.json", help="JSON; records of other rows in it are kept")
    parser.add_argument("--figures", metavar="DIR", help="draw the figures of the JSON")
    parser.add_argument(
        "--adapters", metavar="FILE", help="a Python file that registers solvers of yours (solvers.adapter)"
    )
    parser.add_argument("--toy", action="store_true", help="tiny data, to see that it runs")
    parser.add_argument("--list", action="store_true", help="solvers, tasks and data, and what is absent and why")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser
