"""The pool of threads: every task once, whatever happens to threads, tasks and processes; and how many threads it is.

What needs a process of its own, as its threads are counted or it is forked, gets one.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import threadpoolctl
from problems import certify

import fastreg
from fastreg import Lasso, LassoCV, Ridge, regularization_path
from fastreg.adapter import parallel_work
from fastreg.adapter import threads as pool
from fastreg.threads import effective_threads, given_threads, quota

THREADED = fastreg.kernels.threads.BACKEND != "none"
needs_threads = pytest.mark.skipif(not THREADED, reason="built without threads")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(autouse=True)
def meet():
    """Threads meet however busy the machine is, on tasks however small."""
    before = pool.set_patience(1e9)
    with parallel_work(0):
        yield
    pool.set_patience(before)


def run(code, *, env=None, timeout=120):
    """What a Python of its own prints."""
    root = Path(fastreg.__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=timeout,
                          env=os.environ | (env or {}), check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# ---- tasks ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_every_task_is_done_once(n, threads):
    for steps in (0, 2000):
        assert np.all(pool.counts(max(n, 1), threads, steps=steps)[:n] == 1)


def test_a_call_within_a_task_works_alone():
    assert np.all(pool.counts(20, 3, inner=30) == 1)


@needs_threads
def test_helpers_take_part():
    seen = set()

    def look(k):
        seen.add(threading.get_ident())
        time.sleep(0.005)

    pool.call(look, 40, 3)
    assert threading.get_ident() in seen
    assert 1 < len(seen) <= 3


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_what_a_task_raises_is_raised(threads):
    def fail(k):
        if k >= 7:
            raise ValueError(f"task {k}")

    for _ in range(50):
        with pytest.raises(ValueError, match=r"task \d+"):
            pool.call(fail, 40, threads)
    assert np.all(pool.counts(100, threads) == 1)


@needs_threads
def test_a_helper_s_error_ends_the_long_task_of_the_caller():
    def fail(k):
        if threading.current_thread() is threading.main_thread():
            pool.last(30, 1, 1)
        else:
            raise KeyError("helper")

    begin = time.perf_counter()
    with pytest.raises(KeyError, match="helper"):
        pool.call(fail, 2, 2)
    assert time.perf_counter() - begin < 15


def test_many_callers_at_once():
    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(lambda k: pool.counts(300, 3, steps=200), range(80)))
    assert all(np.all(counts == 1) for counts in found)


def test_a_caller_waits_for_no_thread_that_has_not_come():
    """More workers than cores, and all busy elsewhere: calls of other threads end all the same, on their own."""
    with ThreadPoolExecutor(1) as other:
        long = other.submit(pool.last, 1.0, 8, 8)
        time.sleep(0.1)
        begin = time.perf_counter()
        for _ in range(100):
            pool.empty(16, 8)
        assert time.perf_counter() - begin < 0.9
        assert not long.done()
        long.result()


@needs_threads
def test_callers_go_on_alone_where_help_costs_more_than_it_gives(monkeypatch):
    """Tasks of helpers that sleep take no time of theirs, and are waited for."""
    pool.set_patience(1e-3)
    assert pool.paused() == 0

    def sleep(k):
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.01)

    for _ in range(100):
        pool.call(sleep, 4, 2)
        if pool.paused() > 0:
            break
    assert pool.paused() > 0
    seen = set()
    pool.call(lambda k: seen.add(threading.get_ident()), 1, 2)
    time.sleep(pool.paused() + 0.001)
    assert pool.paused() == 0
    pool.set_patience(1e9)


# ---- fits -----------------------------------------------------------------------------------------------------------
def data(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 300))
    y = X[:, :5].sum(axis=1) + rng.standard_normal(400)
    if kind == "rows":
        return X, y
    if kind == "columns":
        return np.asfortranarray(X), y
    return getattr(sp, kind)(np.where(np.abs(X) > 1, X, 0)), y


FITS = {
    "path": lambda X, y, n: regularization_path(X, y, alphas=10, eps=0.05, n_threads=n).coefs,
    "lasso": lambda X, y, n: Lasso(0.05, n_threads=n).fit(X, y, np.linspace(0, 2, len(y))).coef_,
    "cv": lambda X, y, n: LassoCV(alphas=10, eps=0.1, n_threads=n).fit(X, y).mse_path_,
    "ridge": lambda X, y, n: Ridge(0.5, n_threads=n).fit(X, y).coef_,
    "ridge cv": lambda X, y, n: fastreg.RidgeCV(alphas=[0.1, 1, 10], n_threads=n).fit(X, y).coef_,
}


def bits(found):
    return (found.toarray() if sp.issparse(found) else np.asarray(found)).tobytes()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kind", ["rows", "columns", "csr_matrix", "csc_matrix"])
def test_threads_change_no_bit(kind, fit):
    X, y = data(kind)
    assert len({bits(FITS[fit](X, y, n)) for n in (1, 2, 3, 8)}) == 1


@pytest.mark.parametrize("kind", ["columns", "csc_matrix"])
def test_eight_users_at_once(kind):
    X, y = data(kind)
    wanted = bits(FITS["path"](X, y, 1))
    with ThreadPoolExecutor(8) as users:
        assert {bits(found) for found in users.map(lambda k: FITS["path"](X, y, 3), range(24))} == {wanted}


def test_an_interrupted_report_leaves_the_pool_usable():
    X, y = data("columns")

    def stop(*_):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        regularization_path(X, y, alphas=5000, eps=1e-3, n_threads=3, callback=stop)
    certify(Lasso(0.05, n_threads=3).fit(X, y), X, y)


# ---- processes ------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc")
def test_import_starts_no_thread():
    count = "len(os.listdir('/proc/self/task'))"
    blas, ours, started = run(f"""
import os, sklearn.linear_model, scipy.linalg, scipy.sparse.csgraph, numpy, threading
before = {count}
import fastreg, fastreg.adapter.threads as pool
print(before, {count}, pool.workers())
assert threading.active_count() == 1
""")
    assert (int(ours), int(started)) == (int(blas), 0)


def test_no_openmp_runtime_is_ours():
    assert run("""
import threadpoolctl
before = {pool["filepath"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "openmp"}
import numpy, scipy.linalg, scipy.sparse, sklearn.linear_model, sklearn.utils, sklearn.model_selection
theirs = {pool["filepath"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "openmp"}
import fastreg
fastreg.Lasso().fit([[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0])
ours = {pool["filepath"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "openmp"}
print(ours <= theirs)
""") == ["True"]  # fmt: skip


FORK = """
import os, sys, time
import numpy as np
from fastreg import Lasso
from fastreg.adapter import parallel_work, threads as pool
pool.set_patience(1e9)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((200, 50)), rng.standard_normal(200)

def fit(n_threads=2):
    with parallel_work(0):
        return Lasso(0.01, n_threads=n_threads).fit(X, y).coef_.tobytes()
"""


@needs_fork
def test_a_forked_child_has_a_pool_of_its_own():
    assert run(FORK + """
wanted = fit()
before = pool.workers()
child = os.fork()
if child == 0:
    good = pool.workers() == 0 and fit() == wanted and fit(None) == wanted and (pool.counts(500, 3) == 1).all()
    os._exit(0 if good else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), fit() == wanted, pool.workers() == before)
""") == ["0", "True", "True"]  # fmt: skip


@needs_fork
def test_forks_while_other_threads_compute():
    assert run(FORK + """
import threading
stop = False
def work():
    while not stop:
        pool.counts(200, 3, steps=100)
others = [threading.Thread(target=work) for _ in range(2)]
for other in others:
    other.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if (pool.counts(300, 3, steps=100) == 1).all() else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
for other in others:
    other.join()
print(codes.count(0))
""") == ["20"]  # fmt: skip


@needs_fork
@needs_threads
def test_a_child_that_was_forked_within_a_task_says_so():
    found = run(FORK + """
import threading
children = []
def task(k):
    if threading.current_thread() is not threading.main_thread():
        time.sleep(0.3)
    elif not children:
        time.sleep(0.1)
        children.append(os.fork())
try:
    pool.call(task, 2, 2)
except RuntimeError as error:
    assert children == [0] and "forked" in str(error)
    assert (pool.counts(300, 3) == 1).all()
    os._exit(7)
if children == [0]:
    os._exit(8)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
""")  # fmt: skip
    assert found == ["7"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_compute_on_one_thread(method, tmp_path):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    (tmp_path / "work.py").write_text("""
import multiprocessing, sys
import numpy as np
from fastreg import Lasso
from fastreg.threads import effective_threads

X = np.random.default_rng(0).standard_normal((100, 20))

def work(k):
    return effective_threads(None), Lasso(0.01).fit(X, X[:, k]).coef_.tobytes()

if __name__ == "__main__":
    wanted = [(1, work(k)[1]) for k in range(4)]
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(pool.map(work, range(4)) == wanted)
""")
    root = Path(fastreg.__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, tmp_path / "work.py", method], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PYTHONPATH": str(root)}, check=False)  # fmt: skip
    assert done.stdout == "True\n", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("call", ["pool.last(60, 2, 2)", "pool.call(lambda k: time.sleep(0.01), 6000, 2)"])
def test_an_interrupt_ends_a_call(call):
    child = subprocess.Popen([sys.executable, "-c", FORK + f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", (pool.counts(100, 2) == 1).all(), flush=True)
"""], stdout=subprocess.PIPE, text=True, cwd=Path(fastreg.__file__).resolve().parents[1])  # fmt: skip
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        begin = time.perf_counter()
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=15)[0] == "interrupted True\n"
        assert time.perf_counter() - begin < 5  # a second is the aim; a loaded machine gets more
    finally:
        child.kill()
        child.wait()


# ---- how many -------------------------------------------------------------------------------------------------------
def test_the_default_is_what_the_process_is_given(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr("fastreg.threads.quota", lambda: 1 << 20)
    assert given_threads() == effective_threads(None) == 6
    assert effective_threads(8) == 8
    for asked, wanted in (("4", 4), ("3,2", 3), ("64", 6), ("0", 6), ("many", 6), ("", 6)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert effective_threads(None) == wanted
    monkeypatch.delenv("OMP_NUM_THREADS")
    for share, wanted in ((0.5, 1), (1.9, 1), (2.0, 2), (9.0, 6)):
        monkeypatch.setattr("fastreg.threads.quota", lambda share=share: share)
        assert effective_threads(None) == wanted
    with ThreadPoolExecutor(1) as worker:
        assert worker.submit(effective_threads, None).result() == 1
        assert worker.submit(effective_threads, 3).result() == 3


@pytest.mark.skipif(not hasattr(threadpoolctl, "register"), reason="this threadpoolctl knows no other pools")
def test_threadpoolctl_sets_the_default(monkeypatch):
    monkeypatch.setattr("fastreg.threads.given_threads", lambda: 6)
    with threadpoolctl.threadpool_limits(2):
        assert effective_threads(None) == 2
    assert effective_threads(None) == 6
    monkeypatch.setattr("fastreg.threads.given_threads", lambda: 8)  # what was restored is no limit
    assert effective_threads(None) == 8
    monkeypatch.setattr("fastreg.threads.given_threads", lambda: 6)
    (ours,) = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "fastreg"]
    assert ours["num_threads"] == 6


GROUPS = {
    "none": ({}, 1 << 20),
    "no quota": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 1 << 20),
    "half a core": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    "of a group above": ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
                          "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, 1.5),
    "elsewhere": ({"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
    "version 1": ({"proc/self/cgroup": "5:cpuset:/\n3:cpu,cpuacct:/docker/c\n",
                   "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                   "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 2),
    "version 1, no quota": ({"proc/self/cgroup": "3:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                             "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 1 << 20),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_quotas_of_control_groups(tmp_path, name):
    files, wanted = GROUPS[name]
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert quota(str(tmp_path)) == wanted
