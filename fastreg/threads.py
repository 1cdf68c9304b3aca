"""How many threads a fit may use where nobody says: as many as the process is given, and one inside a worker."""

import os
import sys
import threading
from functools import cache
from pathlib import Path

import threadpoolctl

from fastreg.kernels.threads import limit

MANY = 1 << 20
_forked = False


def _after_fork():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Pool(threadpoolctl.LibController):
    """What ``threadpool_limits`` finds, and sets."""

    user_api = internal_api = "fastreg"
    filename_prefixes = ("threads.",)
    check_symbols = ("fastreg_get_num_threads",)

    def get_num_threads(self):
        return self.dynlib.fastreg_get_num_threads() or given_threads()

    def set_num_threads(self, num_threads):
        # whoever restores what it has found sets no limit
        self.dynlib.fastreg_set_num_threads(0 if num_threads >= given_threads() else num_threads)

    def get_version(self):
        return None


if hasattr(threadpoolctl, "register"):
    threadpoolctl.register(_Pool)


def effective_threads(n_threads):
    """Number of threads for a fit.

    Parameters
    ----------
    n_threads : int or None
        None: as many as the process is given (`given_threads`) and threadpoolctl allows; one inside somebody's outer
        parallelism: in a thread other than the main one, in a forked child, in a worker of multiprocessing.

    Returns
    -------
    int
    """
    if n_threads is not None:
        return n_threads
    if threading.current_thread() is not threading.main_thread() or _forked or _in_worker_process():
        return 1
    return min(limit() or MANY, given_threads())


def given_threads():
    """Cores that this process may use: by affinity, quota of its control groups, and ``OMP_NUM_THREADS``.

    Returns
    -------
    int
    """
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked) > 0:
        given = min(given, int(asked))
    return max(1, min(given, int(quota())))


def _in_worker_process():
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


@cache
def quota(root="/"):
    """Cores' worth of time that the control groups of this process leave it.

    Parameters
    ----------
    root : str
        Where /proc and /sys are.

    Returns
    -------
    float
        At most `MANY`, which stands for no quota.
    """
    try:
        groups = Path(root, "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return MANY
    least = MANY
    for _, controllers, group in (line.split(":", 2) for line in groups):
        if not controllers:
            least = min(least, _least(Path(root, "sys/fs/cgroup"), group, _of_version_2))
        elif "cpu" in controllers.split(","):
            least = min(least, _least(Path(root, "sys/fs/cgroup/cpu"), group, _of_version_1))
    return least


def _least(top, group, read):
    """Of a group and those that it is in. A container sees itself as the top, and may not see where it is."""
    least, folder = MANY, top / group.lstrip("/")
    for place in (folder, *folder.parents):
        if place.is_relative_to(top):
            try:
                least = min(least, read(place))
            except (OSError, ValueError):
                continue
    return least


def _of_version_2(folder):
    most, period = (folder / "cpu.max").read_text().split()
    return int(most) / int(period)  # "max": no number


def _of_version_1(folder):
    most, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return most / period if most > 0 else MANY
