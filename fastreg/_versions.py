"""What is installed and what was built: the first thing to paste into a report."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from fastreg.kernels.info import build_info

DISTRIBUTION = "fastreg-solver"


def show_versions():
    """Print the versions of fastreg and its dependencies, the compiler, the SIMD level in use, threads and BLAS.

    Returns
    -------
    None
        The report is printed to standard output.

    Examples
    --------
    >>> import fastreg
    >>> fastreg.show_versions()  # doctest: +SKIP
    """
    for title, lines in (("system", _system()), ("packages", _packages()), ("build", _build()), ("threads", _pools())):
        print(f"{title}:")
        for name, value in lines:
            print(f"  {name:>14}: {value}")


def _system():
    return [("python", sys.version.split()[0]), ("executable", sys.executable), ("machine", platform.platform())]


def _packages():
    names = [DISTRIBUTION, "numpy", "scipy", "scikit-learn", "threadpoolctl", "matplotlib"]
    return [(name, _version(name)) for name in names]


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _build():
    info = build_info()
    return [("compiler", info["compiler"]), ("SIMD in use", info["simd"]), ("threads", info["threads"])]


def _pools():
    """One line for each pool of threads in this process: ours, BLAS's, OpenMP's."""
    lines = []
    for pool in threadpool_info():
        library = f"{pool['internal_api']} {pool['version'] or ''}".strip()
        lines.append((pool["user_api"], f"{library}, {pool['num_threads']} threads, {pool['filepath']}"))
    return lines
