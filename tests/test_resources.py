"""Memory: no copy of X, nothing dense from sparse. Interrupts: Ctrl-C stops a long fit. Each in its own process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastreg

MEMORY = """
import re, sys
import numpy as np, scipy.sparse as sp
from fastreg import ElasticNet, Lasso, regularization_path

def status(name):
    return int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read()).group(1)) * 1024

def dense(order, dtype):
    X = np.empty((100_000, 100), dtype=dtype, order=order)
    rng = np.random.default_rng(0)
    for rows in np.array_split(np.arange(100_000), 50):
        X[rows] = rng.standard_normal((len(rows), 100))
    return X, X.nbytes

def sparse(cls, index):
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, 20_000, 500_000), rng.integers(0, 50_000, 500_000)
    X = cls((rng.standard_normal(500_000), (rows, cols)), shape=(20_000, 50_000))
    X.sum_duplicates()
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X, X.data.nbytes + X.indices.nbytes + X.indptr.nbytes

X, size = {X}
y = np.asarray(X[:, [1, 2, 3]] @ np.ones(3)).ravel() + np.random.default_rng(1).standard_normal(X.shape[0])
small = np.random.default_rng(2).standard_normal((50, 5))
Lasso(0.1).fit(sp.csr_matrix(small) if sp.issparse(X) else small, small[:, 0])  # what a first call loads
del small
alpha = 5e-4 if sp.issparse(X) else 0.05  # some features, but not thousands
for fit in sys.argv[1:]:
    before = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
    exec(fit)
    print(size, max(0, status("VmHWM") - before))
"""
DENSE = [f"dense('{order}', '{dtype}')" for order in "CF" for dtype in ("float64", "float32")]
SPARSE = [f"sparse(sp.{cls}, '{index}')" for cls in ("csr_matrix", "csc_array") for index in ("int32", "int64")]
FITS = [
    "assert Lasso(alpha, tol=1e-6).fit(X, y).coef_.any()",
    "ElasticNet(1.5 * alpha, l1_ratio=0.9, tol=1e-6).fit(X, y, np.linspace(0, 2, len(y)))",
    "regularization_path(X, y, alphas=10, eps=0.3)",
]
# What is freed goes back at once: the next fit's peak is its own.
RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def _root():
    return Path(fastreg.__file__).resolve().parents[1]  # where the child finds the package that is tested here


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's /proc")
@pytest.mark.parametrize("X", DENSE + SPARSE)
def test_peak_memory(X):
    done = subprocess.run([sys.executable, "-c", MEMORY.replace("{X}", X), *FITS], capture_output=True, text=True,
                          cwd=_root(), env=os.environ | RETURNED, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for fit, line in zip(FITS, done.stdout.splitlines(), strict=True):
        size, extra = map(int, line.split())
        # beside X itself: half of a dense X; for sparse X (5 MB; dense 8 GB) a working block and O(n + p)
        limit = 0.5 * size if X.startswith("dense") else size + 200 * 70_000
        print(f"{fit}: X {size / 1e6:.1f} MB, extra peak {extra / 1e6:.1f} MB")
        assert extra <= limit, f"{fit}: X {size / 1e6:.1f} MB, extra peak {extra / 1e6:.1f} > {limit / 1e6:.1f} MB"


LONG = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin by ignoring it
import numpy as np
from fastreg import Lasso, regularization_path
rng = np.random.default_rng(0)
X = np.cumsum(rng.standard_normal((1500, 3000)), axis=1)  # neighbouring columns nearly equal
y = rng.standard_normal(1500)
Y = rng.standard_normal((1500, 500))
print("ready", flush=True)
try:
    {fit}
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("finished", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    "fit",
    [
        "regularization_path(X, y, alphas=20_000, eps=1e-4, tol=1e-12)",
        "Lasso(1e-3, tol=1e-12, max_iter=10**6).fit(X, Y)",
    ],
)
def test_an_interrupt_stops_a_long_fit(fit):
    child = subprocess.Popen(
        [sys.executable, "-c", LONG.replace("{fit}", fit)], stdout=subprocess.PIPE, text=True, cwd=_root()
    )
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.5)  # well inside the fit
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=15)  # a second is the aim; a loaded machine gets more
        assert out == "interrupted\n"
        assert child.returncode == 0
    finally:
        child.kill()
        child.wait()
