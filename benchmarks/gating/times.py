"""Is HEAD slower than BASE?  Cases timed in pairs, and what their ratios say.

Two worker processes, one for each build, run a case turn by turn (A B B A ...): what else the machine does slows both;
and every few pairs come from new processes, for where memory happens to lie favours one for as long as it lives.  HEAD
is slower where the 95 % interval of the median of the ratios lies above the limit, in one series of pairs and in
another one after it.  The workers judge the answer of a case before they time it; what they import needs NumPy, this
needs the standard library alone.
"""

import importlib
import math
import re
import time
from functools import partial
from statistics import median
from typing import NamedTuple

from .builds import CaseError, GateError, Worker, built, serve, workers

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


def names(pattern):
    """The cases whose name has a match."""
    return [case for case in CASES if re.search(pattern, case)]


class Timer(Worker):
    """A process that times cases with one build of fastreg."""

    module = "times"

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
        try:
            return self.ask(case, calls)
        except CaseError as error:
            raise CaseError(f"{case}: {error}") from None


def work():
    """The side of a `Timer`'s process."""
    runs = {}

    def seconds(case, calls):
        if case not in runs:
            runs[case] = prepared(case)
        start = time.perf_counter()
        for _ in range(calls):
            runs[case]()
        return (time.perf_counter() - start) / calls

    serve(seconds)


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
        base, head, cases (a regular expression), pairs, threads, slower_by.

    Returns
    -------
    int
        0, or 1 if a case is slower.
    """
    cases = names(options.cases)
    if not cases:
        raise GateError("nothing to do: --cases matches no case")
    if rank(options.pairs) == 0:
        raise GateError("--pairs: fewer than 6 have no 95 % interval of their median")
    with built(options.base, options.head) as (python, builds):
        print(f"BASE {builds[0].name}, HEAD {builds[1].name}; threads: {options.threads}; pairs: {options.pairs}")
        print(f"{'case':62} {'BASE ms':>10} {'HEAD ms':>10} {'ratio':>7} {'95 %':>7} {'to':>7}", flush=True)
        start = partial(workers, Timer, python, [build.folder for build in builds], options.threads)
        comparisons = judge(start, cases, options.pairs, options.slower_by, report)
    if not comparisons:
        raise GateError("nothing compared: BASE runs none of the cases")
    slower = sum(is_slower(found, options.slower_by) for found in comparisons.values())
    print(f"{slower} of {len(comparisons)} slower by more than {options.slower_by:g} %")
    return 1 if slower else 0
