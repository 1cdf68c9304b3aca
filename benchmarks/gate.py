"""Is HEAD slower than BASE?  `python benchmarks/gate.py main HEAD` builds both commits and times the cases in pairs.

Both are built from `git archive` with the same compiler and dependencies, each into a folder of its own.  Two worker
processes, one for each, run a case turn by turn (A B B A ...): what else the machine does slows both; and every few
pairs come from new processes, for where memory happens to lie favours one for as long as it lives.  HEAD fails where
the 95 % interval of the median of the ratios lies above the limit, in one series of pairs and in another one after it.
The cases are those of the checkout this file lies in; the workers judge the answer of a case before they time it.

Exit code: 0 if nothing is slower; 1 if something is; 2 if a commit does not exist or build, or HEAD fails at a case.
"""

import argparse
import importlib
import io
import json
import math
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SLOWER_BY = 5.0
PAIRS = 40
PROCESSES = 4  # pairs of processes that share a series
# Short calls are timed several at a time, until they take this long: the clock and a wake-up are no part of it then.
SAMPLE_SECONDS = 0.05
CASES = (
    "bench_linear.RegularizationPath wide F float64",
    "bench_linear.RegularizationPath square F float64",
    "bench_linear.RegularizationPath tall C float32",
    "bench_linear.RegularizationPath text csr float64",
    "bench_linear.RegularizationPathElasticNet text csc float64",
    "bench_linear.LassoFit wide F float64",
    "bench_linear.LassoFit tall C float64",
    "bench_crossval.LassoFolds wide F float64",
    "bench_crossval.LassoFolds tall F float64",
    "bench_ridge.RidgeFit wide F float64",
    "bench_ridge.RidgeFit tall C float64",
    "bench_ridge.RidgeFit text csr float64",
    "bench_ridge.RidgeRows wide F float64",
    "bench_ridge.RidgeRows tall F float64",
    "bench_ridge.RidgeRows headlines csr float64",
    "bench_ridge.RidgeFolds wide F float64",
    "bench_ridge.RidgeFolds tall F float64",
    "bench_ridge.RidgeFolds headlines csr float64",
    "bench_ridge.RidgePath wide F float64",
    "bench_ridge.RidgePath tall C float64",
    "bench_ridge.RidgePath headlines csr float64",
    "bench_latency.TinyFit Lasso",
    "bench_latency.TinyFit LassoCV",
    "bench_latency.TinyFit Ridge",
    "bench_latency.TinyFit RidgeCV",
)


class GateError(Exception):
    """What ends the gate without a verdict, in one line."""


class CaseError(GateError):
    """A case that a build does not run, or not right."""


class Comparison(NamedTuple):
    """Times of one case.

    Attributes
    ----------
    base, head : float
        Best time of each, in seconds.
    ratio : float
        Median over the pairs of HEAD's time over BASE's.
    low, high : float
        The interval that holds the median of all such ratios in 95 of 100 series.
    """

    base: float
    head: float
    ratio: float
    low: float
    high: float


def rank(n):
    """Which values of a series, counted from its ends, bound its median with 95 % confidence.

    Each of n values is below the true median with probability 1/2, so k - 1 of them or fewer are with
    sum_{i < k} C(n, i) / 2^n, which is to be 2.5 % at most; whatever the values' distribution.

    Parameters
    ----------
    n : int
        Length of the series.

    Returns
    -------
    int
        The largest such k, from 1; 0 where even the extremes are too close, that is for n < 6.
    """
    k = below = 0
    while 40 * (below := below + math.comb(n, k)) <= 2**n:
        k += 1
    return k


def compare(pairs):
    """Summary of (base, head) pairs of seconds.

    Parameters
    ----------
    pairs : list of (float, float)
        Times taken one right after the other, six or more.

    Returns
    -------
    Comparison
        Best times, median and its interval.
    """
    base, head = zip(*pairs)
    ratios = sorted(h / b for b, h in pairs)
    k = rank(len(pairs))
    return Comparison(min(base), min(head), median(ratios), ratios[k - 1], ratios[-k])


def is_slower(comparison, limit):
    """Whether the whole interval of the median is above the limit.

    Parameters
    ----------
    comparison : Comparison
        The times.
    limit : float
        Percent.

    Returns
    -------
    bool
        True if HEAD is slower.
    """
    return comparison.low > 1 + limit / 100


def measure(base, head, case, pairs):
    """Time a case in two workers turn by turn.

    Parameters
    ----------
    base, head : Worker
        The two builds.
    case : str
        One of `CASES`.
    pairs : int
        Number of pairs.

    Returns
    -------
    list of (float, float)
        Seconds for one call, of BASE and HEAD.
    """
    calls = max(1, round(SAMPLE_SECONDS / min(base.seconds(case, 1), head.seconds(case, 1))))
    times = []
    for k in range(pairs):
        if k % 2 == 0:
            first = base.seconds(case, calls)
            times.append((first, head.seconds(case, calls)))
        else:
            first = head.seconds(case, calls)
            times.append((base.seconds(case, calls), first))
    return times


def series(start, cases, pairs):
    """Time cases in several pairs of processes.

    Parameters
    ----------
    start : callable
        Returns a context manager that gives the two workers.
    cases : list of str
        Some of `CASES`.
    pairs : int
        Number of pairs for a case.

    Returns
    -------
    dict
        For each case its Comparison, or the CaseError of one that BASE does not run.
    """
    times, missing = {case: [] for case in cases}, {}
    for k in range(PROCESSES):
        share = pairs * (k + 1) // PROCESSES - pairs * k // PROCESSES
        with start() as (base, head):
            for case in [case for case in cases if case not in missing]:
                try:
                    base.seconds(case, 1)
                except CaseError as error:  # a case of something new
                    missing[case] = error
                    continue
                times[case] += measure(base, head, case, share)
    return {case: missing.get(case) or compare(times[case]) for case in cases}


def judge(start, cases, pairs, limit, report):
    """Compare every case; those that seem slower are measured again, by fresh workers.

    Parameters
    ----------
    start : callable
        Returns a context manager that gives the two workers.
    cases : list of str
        Some of `CASES`.
    pairs : int
        Number of pairs for a case, in each series.
    limit : float
        Percent by which HEAD may be slower.
    report : callable
        Called as ``report(case, found, limit)`` with what `series` found, for both series.

    Returns
    -------
    dict
        The last Comparison of each case that BASE runs: a case is slower if that one says so.
    """
    first = series(start, cases, pairs)
    for case, found in first.items():
        report(case, found, limit)
    compared = {case: found for case, found in first.items() if isinstance(found, Comparison)}
    suspects = [case for case, found in compared.items() if is_slower(found, limit)]
    again = series(start, suspects, pairs) if suspects else {}
    for case, found in again.items():
        report(f"again: {case}", found, limit)
    return compared | again


class Worker:
    """A process that runs cases with one build of fastreg.

    Parameters
    ----------
    python : str or Path
        The interpreter.
    build : Path
        The folder fastreg lies in.
    threads : int
        Threads of BLAS and OpenMP.
    """

    def __init__(self, python, build, threads):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | {"PYTHONPATH": str(build)} | dict.fromkeys(names, str(threads))
        # The checkout goes last on the path, and -P keeps the current folder out: fastreg is to come from the build.
        code = f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.gate import work; work()"
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([python, "-P", "-c", code], env=env, stdin=pipe, stdout=pipe, text=True)
        found = self._answer()
        if Path(found).resolve().parents[1] != build.resolve():
            self.close()
            raise GateError(f"the worker imports {found}, not the build in {build}")

    def seconds(self, case, calls):
        """Time a case.

        Parameters
        ----------
        case : str
            One of `CASES`.
        calls : int
            How often to run it.

        Returns
        -------
        float
            Mean seconds of a call.
        """
        self.process.stdin.write(json.dumps((case, calls)) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        """End the process: its input ends."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise GateError("a worker ended early: its message is above")
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise CaseError(answer["error"])
        return answer


def work():
    """The worker's side: where fastreg lies, then the seconds of each (case, calls) it is sent, all as JSON lines."""
    import fastreg

    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a case prints must not pass for an answer

    def say(answer):
        print(json.dumps(answer), file=answers, flush=True)

    say(fastreg.__file__)
    runs = {}
    for line in sys.stdin:
        case, calls = json.loads(line)
        try:
            if case not in runs:
                runs[case] = prepared(case)
            start = time.perf_counter()
            for _ in range(calls):
                runs[case]()
            say((time.perf_counter() - start) / calls)
        except Exception as error:  # told by the parent, which knows the commit
            say({"error": f"{case}: {type(error).__name__}: {error}"})


def prepared(name):
    """The call that a case times, its answer judged once."""
    path, data = name.split(maxsplit=1)
    module, class_name = path.split(".")
    case = getattr(importlib.import_module(f"benchmarks.{module}"), class_name)()
    case.setup("fastreg", data)
    gap = case.gap(case.run("fastreg"))
    if not gap <= case.bound:
        raise ValueError(f"its gap is {gap:.1e}, more than {case.bound:g}")
    return lambda: case.run("fastreg")


def command(*arguments, problem):
    """Standard output of a command; if it fails, GateError with its message, or where its many lines are."""
    try:
        return subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True).stdout
    except OSError as error:
        raise GateError(f"{problem}: {error}") from None
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).decode(errors="replace").strip()
        if "\n" in said:
            with tempfile.NamedTemporaryFile("w", prefix="fastreg-gate-", suffix=".log", delete=False) as log:
                log.write(said)
            said = f"see {log.name}"
        raise GateError(f"{problem}: {said}") from None


def resolved(commit):
    """Full name of a commit."""
    problem = f"{commit}: no such commit"
    return command("git", "rev-parse", "--verify", f"{commit}^{{commit}}", problem=problem).decode().strip()


def unpack(commit, folder):
    """Write the files of a commit into a folder."""
    archive = command("git", "archive", "--format=tar", commit, problem=f"{commit}: git archive failed")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def environment(source, folder):
    """Interpreter of a virtual environment with what a commit needs to be built and run."""
    project = tomllib.loads((source / "pyproject.toml").read_text())
    needed = project["build-system"]["requires"] + project["project"]["dependencies"]
    command(sys.executable, "-m", "venv", str(folder), problem="no virtual environment")
    python = folder / "bin" / "python"
    command(str(python), "-m", "pip", "install", "--quiet", *needed, problem="dependencies not installed")
    return python


def install(commit, source, python, folder):
    """Build fastreg of a commit into a folder."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder))
    command(str(python), "-m", "pip", "install", *options, str(source), problem=f"{commit}: build failed")


@contextmanager
def workers(python, builds, threads):
    """A worker for each build, ended on the way out."""
    started = []
    try:
        for build in builds:
            started.append(Worker(python, build, threads))
        yield started
    finally:
        for worker in started:
            worker.close()


def report(case, found, limit):
    """One line of the table."""
    if isinstance(found, CaseError):
        print(f"{case:62} BASE does not run it: {found}", flush=True)
        return
    mark = "  slower" if is_slower(found, limit) else ""
    interval = f"{found.ratio:7.3f} {found.low:7.3f} {found.high:7.3f}"
    print(f"{case:62} {1e3 * found.base:10.3f} {1e3 * found.head:10.3f} {interval}{mark}", flush=True)


def run(options):
    """Build, compare, and print a table.

    Parameters
    ----------
    options : argparse.Namespace
        base, head, cases, pairs, threads, slower_by.

    Returns
    -------
    int
        0, or 1 if a case is slower.
    """
    commits = [resolved(options.base), resolved(options.head)]
    with tempfile.TemporaryDirectory(prefix="fastreg-gate-") as scratch:
        folders = [Path(scratch, side) for side in ("base", "head")]
        for commit, folder in zip(commits, folders):
            unpack(commit, folder / "source")
        python = environment(folders[1] / "source", Path(scratch, "venv"))
        for commit, folder in zip(commits, folders):
            install(commit, folder / "source", python, folder / "build")
        print(f"BASE {commits[0][:10]}, HEAD {commits[1][:10]}; threads: {options.threads}; pairs: {options.pairs}")
        print(f"{'case':62} {'BASE ms':>10} {'HEAD ms':>10} {'ratio':>7} {'95 %':>7} {'to':>7}", flush=True)
        builds = [folder / "build" for folder in folders]

        def start():
            return workers(python, builds, options.threads)

        comparisons = judge(start, options.cases, options.pairs, options.slower_by, report)
    if not comparisons:
        raise GateError("nothing compared: BASE runs none of the cases")
    slower = sum(is_slower(found, options.slower_by) for found in comparisons.values())
    print(f"{slower} of {len(comparisons)} slower by more than {options.slower_by:g} %")
    return 1 if slower else 0


def main(argv=None):
    """Run the gate.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments; None takes those of the process.

    Returns
    -------
    int
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="gate.py", description=__doc__.split("\n")[0])
    parser.add_argument("base", nargs="?", default="main", metavar="BASE", help="commit to compare with (default main)")
    parser.add_argument("head", nargs="?", default="HEAD", metavar="HEAD", help="commit to judge (default HEAD)")
    parser.add_argument("--cases", default="", metavar="REGEX", help="only the cases whose name has a match")
    parser.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help=f"pairs for a case (default {PAIRS})")
    parser.add_argument(
        "--slower-by",
        type=float,
        default=SLOWER_BY,
        metavar="PERCENT",
        help=f"HEAD fails where its median is slower by more (default {SLOWER_BY:g})",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of BLAS and OpenMP (default 1)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    options = parser.parse_args(argv)
    options.cases = [case for case in CASES if re.search(options.cases, case)]
    if options.list:
        print("\n".join(options.cases))
        return 0
    try:
        if not options.cases or options.threads < 1:
            raise GateError("nothing to do: --cases matches no case, or --threads is below 1")
        if rank(options.pairs) == 0:
            raise GateError("--pairs: fewer than 6 have no 95 % interval of their median")
        return run(options)
    except GateError as error:
        print(f"gate.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gate.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
