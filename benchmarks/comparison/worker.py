"""A solver in a process of its own: it can be stopped, its threads are fixed, and its memory is its own.

A request is a line of JSON, `[method of Session, arguments]`; the reply is a line of JSON.
"""

import ctypes
import importlib
import json
import os
import runpy
import sys
import time
import warnings
from contextlib import suppress

import numpy as np
from scipy import sparse

from . import solvers, tasks

# Short runs are repeated for this long, but the first, which may meet cold caches, is not the only one within a second.
REPEAT_SECONDS, REPEATS, COLD_SECONDS = 0.1, 20, 1.0
TOY = {False: "toy", True: "toy-text"}


class Session:
    """One solver on one task: data after data, tolerance after tolerance."""

    def __init__(self):
        self.seen = set()  # kinds of data: sparse or not

    def start(self, solver, task, threads, adapters):
        """Import the solver; the seconds that takes."""
        if adapters:
            runpy.run_path(adapters)
        self.adapter, self.setting = solvers.ADAPTERS[solver, task], {"task": task, "threads": threads}
        start = time.perf_counter()
        if solvers.SOLVERS[solver].module:
            importlib.import_module(solvers.SOLVERS[solver].module)
        return {"import_seconds": time.perf_counter() - start, "version": solvers.installed_version(solver)}

    def load(self, data, params):
        """Load the data; say why the solver does not take them, if so."""
        self.problem = self.judge = self.answer = None  # room for the next
        self.problem = problem = tasks.Problem(tasks.Case(data=data, params=params, **self.setting))
        self.judge = tasks.judge(problem)
        nonzeros = int(problem.X.nnz) if problem.sparse else None
        return {"shape": list(problem.X.shape), "nnz": nonzeros, "refused": self.adapter.refuses(problem)}

    def warm(self):
        """Before the first data of a kind: the first call of this process, on a small problem; then prepare."""
        kind, seconds = self.problem.sparse, None
        toy = tasks.Problem(tasks.Case.make(data=TOY[kind], changes={}, toy=True, **self.setting))
        if kind not in self.seen and not self.adapter.refuses(toy):
            self.seen.add(kind)
            start = time.perf_counter()
            self.adapter.run(toy, self.adapter.ladder[0])
            seconds = time.perf_counter() - start
        self.adapter.prepare(self.problem)
        return {"first_call_seconds": seconds}

    def run(self, tol, n_alphas=None):
        """Solve, for a part of the penalties if so wished; the best time, and the peak memory beyond what was there."""
        problem = self.problem
        every = problem.alphas
        if n_alphas:
            problem.alphas = every[np.linspace(0, len(every) - 1, n_alphas + 2).round().astype(int)[1:-1]]
        self.answer, before = None, reset_peak()
        times, begin = [], time.perf_counter()
        try:
            while len(times) < REPEATS:
                spent = time.perf_counter() - begin
                if times and spent >= (REPEAT_SECONDS if len(times) > 1 else COLD_SECONDS):
                    break
                start = time.perf_counter()
                self.answer = answer = self.adapter.run(problem, tol)
                elapsed = time.perf_counter() - start
                times.append(elapsed if answer.seconds is None else answer.seconds)
                if len(times) == 1:
                    memory = peak() - before if answer.memory is None else answer.memory
        finally:
            problem.alphas = every
        return {"seconds": min(times), "memory": max(0, int(memory))}

    def error(self):
        """The judge's word on the last answer."""
        coefs = self.answer.coefs
        last = coefs[:, [-1]]
        return {
            "error": self.judge.error(self.answer),
            "nonzeros": int(last.nnz if sparse.issparse(last) else np.count_nonzero(last)),
            "alpha": float(self.answer.alphas[-1]),
        }


def reset_peak():
    """Forget the peak of this process (Linux), give freed memory back, and return what is resident."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return _status("VmRSS")
    except OSError:
        return peak()


def peak():
    """Peak resident bytes of this process."""
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(key):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(key))


def serve():
    """Answer requests until the input ends; what a solver prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    session = Session()
    for line in sys.stdin:
        method, arguments = json.loads(line)
        try:
            reply = getattr(session, method)(**arguments)
        except Exception as error:  # whatever it is, it is told, and the next data set may go better
            reply = {"problem": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        print(json.dumps(reply), file=replies, flush=True)
