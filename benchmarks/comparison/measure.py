"""Drives the workers: climbs each solver's ladder until the judge is satisfied, fastreg beside every peer."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import solvers

SCRIPT = Path(__file__).resolve().parents[1] / "compare.py"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
START_SECONDS = 120.0  # to import, compile, load and judge: not the solver's time
PAIRED = 5.0  # peers that take longer than this many times fastreg's time are not run again beside it
PAIR_SECONDS = 10.0


class Stopped(Exception):
    """A worker was stopped or ended; the message says why."""


class OutOfTime(Stopped):
    """It has not answered in time."""


class Options(NamedTuple):
    """What the command line sets for every case."""

    target: float
    limit: float
    reps: int
    adapters: str | None


class Worker:
    """The other end of `worker.serve`.

    Parameters
    ----------
    solver, task : str
        What it runs.
    threads : int
        Of BLAS, OpenMP and Numba.
    adapters : str or None
        A file that registers further solvers.
    """

    def __init__(self, solver, task, threads, adapters):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        self.replies = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            arguments = {"solver": solver, "task": task, "threads": threads, "adapters": adapters}
            self.facts = self.ask(START_SECONDS, "start", **arguments)
        except Stopped:
            self.stop()
            raise

    def ask(self, seconds, method, **arguments):
        """A reply; Stopped where none comes in time, the process ends, or the method raises."""
        try:
            print(json.dumps([method, arguments]), file=self.process.stdin, flush=True)
            reply = self.replies.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            raise OutOfTime(f"no answer to {method!r} within {seconds:.0f} s") from None
        except BrokenPipeError:
            reply = None
        if reply is None:
            raise Stopped(f"its process ended with code {self.process.wait()} {self._last_line()}".strip())
        if "problem" in reply:
            raise Stopped(reply["problem"])
        return reply

    def stop(self):
        """End the process and those it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.errors.close()

    def _listen(self):
        for line in self.process.stdout:
            self.replies.put(json.loads(line))
        self.replies.put(None)

    def _last_line(self):
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or [""])[-1][:200]


class Workers:
    """Workers by solver, task and threads, started when first asked for and again after they were stopped.

    Parameters
    ----------
    options : Options
        See there.
    """

    def __init__(self, options):
        self.options, self.alive = options, {}

    def get(self, solver, case):
        """The worker of a solver for a case."""
        key = solver, case.task, case.threads
        if key not in self.alive:
            self.alive[key] = Worker(*key, self.options.adapters)
        return self.alive[key]

    def drop(self, solver, case):
        """Stop it, if there is one."""
        worker = self.alive.pop((solver, case.task, case.threads), None)
        if worker:
            worker.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.alive.values():
            worker.stop()


def measure(case, names, workers, say):
    """Every solver on a case.

    Parameters
    ----------
    case : Case
        What to solve.
    names : list of str
        The solvers; fastreg goes first whether it is among them or not.
    workers : Workers
        Where they run.
    say : callable
        Takes a line about each record.

    Returns
    -------
    list of dict
        A record for each solver that takes the case.
    """
    records = []
    for solver in [solvers.OWN, *(name for name in names if name != solvers.OWN)]:
        if (solver, case.task) not in solvers.ADAPTERS:
            continue
        record = climb(case, solver, workers)
        own = records[0] if records else None
        if own and own["seconds"] and record["curve"]:
            beside(case, record, own, workers)
        records.append(record)
        say(record)
        if not own and not record["shape"]:
            break  # no such data here
    return records


def climb(case, solver, workers):
    """The record of a solver: its ladder up to the loosest tolerance that satisfies the judge."""
    options = workers.options
    record = {
        "task": case.task, "data": case.data, "params": case.params, "solver": solver, "version": "",
        "date": date.today().isoformat(), "threads": case.threads, "target": options.target, "limit": options.limit,
        "shape": None, "nnz": None, "import_seconds": None, "first_call_seconds": None, "memory": None, "curve": [],
        "seconds": None, "fastreg_seconds": None, "extrapolated": False, "refused": "", "problem": "",
    }  # fmt: skip
    try:
        worker = workers.get(solver, case)
        record |= worker.facts
        record |= worker.ask(START_SECONDS, "load", data=case.data, params=case.params)
        if not record["refused"]:
            record |= worker.ask(START_SECONDS, "warm")
            _climb(worker, record, solvers.ADAPTERS[solver, case.task].ladder, options)
    except Stopped as stopped:
        record["problem"] = str(stopped)
        workers.drop(solver, case)
    return record


def _climb(worker, record, ladder, options):
    part = _extrapolated_seconds(worker, record, options.limit) if record["task"].startswith("ridge_cv") else None
    tried = {}  # runs by their place on the ladder

    def accurate(k):
        extrapolated = {"seconds": part, "memory": 0}
        try:
            run = worker.ask(options.limit, "run", tol=ladder[k]) if part is None else extrapolated
        except OutOfTime:
            raise OutOfTime(f"not within {options.limit:g} s") from None
        verdict = worker.ask(START_SECONDS, "error")
        tried[k] = {"tol": ladder[k], "seconds": run["seconds"], "error": verdict["error"]}
        record["curve"] = [tried[place] for place in sorted(tried)]
        record["memory"] = max(record["memory"] or 0, run["memory"])
        if verdict["error"] > options.target:
            return False
        record.update({"seconds": run["seconds"], "nonzeros": verdict["nonzeros"], "alpha": verdict["alpha"]})
        return True

    k = 0
    while not accurate(k):
        k = _next(ladder, k, tried[k]["error"], options.target)
        if k == len(ladder):
            record["problem"] = f"no tolerance reaches {options.target:g}"
            return
    # what was passed over may do: the loosest that does counts
    while k > 0 and k - 1 not in tried and accurate(k - 1):
        record["curve"] = [point for point in record["curve"] if point["tol"] != ladder[k]]
        k -= 1


def _next(ladder, k, error, target):
    """The next place to try: tolerances are passed over that an error falling as their square would not do at."""
    k += 1
    if not np.isfinite(error):
        return k
    bound = ladder[k - 1] * np.sqrt(target / error)
    while k < len(ladder) - 1 and ladder[k] > bound:
        k += 1
    return k


def _extrapolated_seconds(worker, record, limit):
    """Seconds for all penalties, from runs with one and with three, where they exceed the limit; else None."""
    count = record["params"]["n_alphas"]
    if record["solver"] == solvers.OWN or count <= 3:
        return None
    one, three = (worker.ask(limit, "run", tol=0.0, n_alphas=k) for k in (1, 3))
    total = one["seconds"] + (count - 1) * max(three["seconds"] - one["seconds"], 0) / 2
    if total <= limit:
        return None
    record |= {"extrapolated": True, "memory": three["memory"]}
    return total


def beside(case, record, own, workers):
    """fastreg again, just before and just after the peer, and the peer again where noise could matter.

    The record then has the best times of both in this block.
    """
    tol = own["curve"][-1]["tol"]
    try:
        fastreg = workers.get(solvers.OWN, case)
        times = [fastreg.ask(START_SECONDS, "run", tol=tol)["seconds"]]
        seconds = record["seconds"]
        if seconds and not record["extrapolated"] and seconds < PAIRED * min(times):
            peer, again = workers.get(record["solver"], case), []
            for _ in range(int(np.clip(PAIR_SECONDS / seconds, 1, workers.options.reps))):
                again.append(peer.ask(START_SECONDS, "run", tol=record["curve"][-1]["tol"])["seconds"])
                times.append(fastreg.ask(START_SECONDS, "run", tol=tol)["seconds"])
            record["seconds"] = min(again)
        record["fastreg_seconds"] = min(times)
        own["seconds"] = min(own["seconds"], *times)
    except Stopped as stopped:
        record["problem"] = f"beside fastreg: {stopped}"


def available(names):
    """Which solvers can be used here.

    Parameters
    ----------
    names : list of str
        Keys of `solvers.SOLVERS`.

    Returns
    -------
    tuple of list of str and dict of str to str
        Those that can, and for the others the reason.
    """
    reasons = {name: solvers.missing(name) for name in names}
    return [name for name in names if not reasons[name]], {name: text for name, text in reasons.items() if text}
