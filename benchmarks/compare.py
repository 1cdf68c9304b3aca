"""fastreg beside its peers at equal accuracy: times, time-to-gap curves, memory, scaling.

    python benchmarks/compare.py                                    # every row; data folder: FASTREG_DATA
    python benchmarks/compare.py --tasks lasso_path --data leukemia_golub72,wide --solvers scikit-learn,glmnet
    python benchmarks/compare.py --tasks scaling
    python benchmarks/compare.py --list

fastreg is the installed one: of this repository only benchmarks/ is on the path.  Solvers that are not installed are
left out and named (`pip install '.[peers]'`).
"""

import importlib
import importlib.util
import sys
from pathlib import Path


def benchmark_module(name):
    """A module of this folder as part of the package `benchmarks`, without the repository root on the path."""
    if "benchmarks" not in sys.modules:
        spec = importlib.util.spec_from_file_location("benchmarks", Path(__file__).with_name("__init__.py"))
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    sys.exit(benchmark_module("comparison.command").main())
