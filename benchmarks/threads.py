"""What the default number of threads gives against one, on an idle machine or a busy one.

    FASTREG_DATA=... python -m benchmarks.threads [--busy N] [--seconds S] [--only WORD]

The two take turns within one process; a row gives the least and the median time of each, and their quotients: above 1,
threads help. `--busy` keeps so many other processes computing meanwhile. The first lines are the latency of a parallel
call with nothing to do.
"""

import argparse
import multiprocessing
import statistics
import time
from functools import cache

import fastreg
from fastreg.adapter import threads

from .workloads import load


def path(name, layout="columns", **params):
    X, y = _data(name, layout)
    params = {"alphas": 100, "eps": 0.01, "tol": 1e-6, **params}
    return lambda n: fastreg.regularization_path(X, y, n_threads=n, **params)


def cv(name):
    X, y = _data(name, "columns")
    return lambda n: fastreg.LassoCV(alphas=100, eps=0.01, cv=5, n_threads=n).fit(X, y)


def ridge(name):
    X, y = _data(name, "rows")
    return lambda n: fastreg.Ridge(n_threads=n).fit(X, y)


@cache
def _data(name, layout):
    return load(name, layout)


ROWS = {
    "path imdb": lambda: path("imdb_train_tfidf"),
    "path wide": lambda: path("wide"),
    "path news20": lambda: path("news20_train_bigram", eps=0.03),
    "path dorothea": lambda: path("dorothea"),
    "path lung_gordon": lambda: path("lung_gordon"),
    "path tall": lambda: path("tall"),
    "path covtype": lambda: path("covtype_binary"),
    "path leukemia": lambda: path("leukemia_golub72"),
    "path diabetes": lambda: path("diabetes"),
    "cv imdb": lambda: cv("imdb_train_tfidf"),
    "cv wide": lambda: cv("wide"),
    "cv square": lambda: cv("square"),
    "ridge imdb": lambda: ridge("imdb_train_tfidf"),
    "ridge leukemia": lambda: ridge("leukemia_golub72"),
}


def latency(pause, repeats):
    """Median seconds of an empty call of 16 tasks, so long after the last one."""
    times = []
    for _ in range(repeats):
        time.sleep(pause)
        times.append(threads.empty(16, 2))
    return statistics.median(times)


def pairs(work, seconds, least=3):
    """Times of (default, one thread), in turns, for so long."""
    found, begin = ([], []), time.perf_counter()
    work(None), work(1)
    while len(found[1]) < least or time.perf_counter() - begin < seconds:
        for times, n_threads in zip(found, (None, 1)):
            start = time.perf_counter()
            work(n_threads)
            times.append(time.perf_counter() - start)
    return found


def _compute():
    while True:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="other processes that compute meanwhile")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="for each row (default 10)")
    parser.add_argument("--only", default="", metavar="WORD", help="rows whose name holds WORD")
    options = parser.parse_args()
    others = [multiprocessing.get_context("spawn").Process(target=_compute, daemon=True) for _ in range(options.busy)]
    for other in others:
        other.start()
    try:
        print(f"empty call: {1e6 * latency(0, 20_000):.1f} us awake, {1e6 * latency(0.005, 300):.1f} us asleep")
        print(f"{'':>18} {'default':>17} {'one thread':>17}   one / default: least, median")
        for name, make in ROWS.items():
            if options.only in name:
                times = pairs(make(), options.seconds)
                least, middle = [min(t) for t in times], [statistics.median(t) for t in times]
                shown = "  ".join(f"{a:8.4f} {b:8.4f}" for a, b in zip(least, middle))
                print(f"{name:>18} {shown}   {least[1] / least[0]:.2f} {middle[1] / middle[0]:.2f}", flush=True)
    finally:
        for other in others:
            other.kill()


if __name__ == "__main__":
    main()
