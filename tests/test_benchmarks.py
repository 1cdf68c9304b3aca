"""Every asv class runs at toy size, so that a benchmark broken by a change is seen with the change."""

import importlib.util
import inspect
import itertools
import os
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
KINDS = ("time_", "peakmem_", "track_")


def benchmark_package():
    """The benchmarks at toy size; the repository root stays off sys.path, where it would hide the installed package."""
    before = os.environ.get("FASTREG_BENCH")
    os.environ["FASTREG_BENCH"] = "toy"
    try:
        spec = importlib.util.spec_from_file_location("benchmarks", FOLDER / "__init__.py")
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
        return {path.stem: importlib.import_module(f"benchmarks.{path.stem}") for path in FOLDER.glob("*.py")}
    finally:
        if before is None:
            del os.environ["FASTREG_BENCH"]
        else:
            os.environ["FASTREG_BENCH"] = before


MODULES = benchmark_package()


def cases():
    """(class, parameters) of everything asv would run."""
    for module in MODULES.values():
        for _, case in inspect.getmembers(module, inspect.isclass):
            if case.__module__ == module.__name__ and not inspect.isabstract(case):
                for parameters in itertools.product(*case.params):
                    yield pytest.param(case, parameters, id="-".join((case.__name__, *parameters)))


@pytest.mark.parametrize(("case", "parameters"), list(cases()))
def test_case_runs(case, parameters):
    methods = [name for name in dir(case) if name.startswith(KINDS)]
    assert {name.split("_")[0] for name in methods} == {"time", "peakmem", "track"}
    for name in methods:
        instance = case()
        instance.setup(*parameters)
        result = getattr(instance, name)(*parameters)
        if name == "track_gap":
            # TinyFit keeps the default tolerance, which is 1e-4 of ||y||^2: 2e-4 of the objective at zero.
            assert -1e-12 <= result <= (2e-4 if case.__name__ == "TinyFit" else 1e-6)


def test_toy_size_is_not_the_default():
    assert MODULES["common"].TOY
    assert "FASTREG_BENCH" in (FOLDER / "common.py").read_text()
