"""Is HEAD slower than BASE?  `python benchmarks/gate.py main HEAD` builds both commits and times the cases in pairs.

Both are built from `git archive` with the same compiler and dependencies, each into a folder of its own.  One worker
process for each then runs a case turn by turn (A B B A ...): what else the machine does slows both.  HEAD fails where
it is slower by more than 15 % and by more than 1 ms, and is so again in fresh processes with more pairs.  The cases
are those of the checkout this file lies in; the workers judge the answer of a case before they time it.

Exit code: 0 if nothing is slower; 1 if something is; 2 if a commit does not exist or build, or HEAD fails at a case.
"""

import argparse
import importlib
import io
import json
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
SLOWER_BY = 0.15
SLOWER_BY_SECONDS = 1e-3
# Short calls are timed several at a time, until they take this long.
SAMPLE_SECONDS = 0.02
MORE_PAIRS = 3  # times as many when a case is measured again
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
    "bench_ridge.RidgeRows tall F float64",
    "bench_latency.TinyFit Lasso",
    "bench_latency.TinyFit LassoCV",
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
    extra : float
        Median over the pairs of HEAD's time less BASE's, in seconds.
    """

    base: float
    head: float
    ratio: float
    extra: float


def compare(pairs):
    """Summary of (base, head) pairs of seconds.

    Parameters
    ----------
    pairs : list of (float, float)
        Times taken one right after the other.

    Returns
    -------
    Comparison
        Best times and medians.
    """
    base, head = zip(*pairs)
    return Comparison(min(base), min(head), median(h / b for b, h in pairs), median(h - b for b, h in pairs))


def is_slower(comparison):
    """Whether HEAD is slower by more than 15 % and by more than 1 ms.

    Parameters
    ----------
    comparison : Comparison
        The times.

    Returns
    -------
    bool
        True only if both hold.
    """
    return comparison.ratio > 1 + SLOWER_BY and comparison.extra > SLOWER_BY_SECONDS


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


def judge(start, cases, pairs, report):
    """Compare every case; one that seems slower is measured again, by fresh workers.

    Parameters
    ----------
    start : callable
        Returns a context manager that gives the two workers.
    cases : list of str
        Some of `CASES`.
    pairs : int
        Number of pairs at first.
    report : callable
        Called as ``report(case, comparison)``, or with the CaseError of a case that BASE does not run.

    Returns
    -------
    list of Comparison
        One for each case that BASE runs.
    """
    comparisons = []
    with start() as (base, head):
        for case in cases:
            try:
                base.seconds(case, 1)
            except CaseError as error:  # a case of something new
                report(case, error)
                continue
            comparison = compare(measure(base, head, case, pairs))
            if is_slower(comparison):
                with start() as again:
                    comparison = compare(measure(*again, case, MORE_PAIRS * pairs))
            comparisons.append(comparison)
            report(case, comparison)
    return comparisons


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


def report(case, found):
    """One line of the table."""
    if isinstance(found, CaseError):
        print(f"{case:60} BASE does not run it: {found}", flush=True)
        return
    mark = "  slower" if is_slower(found) else ""
    print(f"{case:60} {1e3 * found.base:10.3f} {1e3 * found.head:10.3f} {found.ratio:7.3f}{mark}", flush=True)


def run(options):
    """Build, compare, and print a table.

    Parameters
    ----------
    options : argparse.Namespace
        base, head, cases, pairs, threads.

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
        print(f"BASE {commits[0][:10]}, HEAD {commits[1][:10]}; threads: {options.threads}")
        print(f"{'case':60} {'BASE ms':>10} {'HEAD ms':>10} {'ratio':>7}", flush=True)
        builds = [folder / "build" for folder in folders]
        comparisons = judge(lambda: workers(python, builds, options.threads), options.cases, options.pairs, report)
    if not comparisons:
        raise GateError("nothing compared: BASE runs none of the cases")
    slower = sum(map(is_slower, comparisons))
    print(f"{slower} of {len(comparisons)} slower by more than {SLOWER_BY:.0%} and {1e3 * SLOWER_BY_SECONDS:g} ms")
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
    parser.add_argument("--pairs", type=int, default=10, metavar="N", help="pairs of runs for a case (default 10)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of BLAS and OpenMP (default 1)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    options = parser.parse_args(argv)
    options.cases = [case for case in CASES if re.search(options.cases, case)]
    if options.list:
        print("\n".join(options.cases))
        return 0
    try:
        if not options.cases or min(options.pairs, options.threads) < 1:
            raise GateError("nothing to do: --cases matches no case, or --pairs or --threads is below 1")
        return run(options)
    except GateError as error:
        print(f"gate.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gate.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
