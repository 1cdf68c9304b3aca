"""Every asv class runs at toy size, so that a benchmark broken by a change is seen with the change, and is judged."""

import ast
import dataclasses
import importlib.util
import inspect
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.linear_model
from scipy import sparse

import fastreg

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
KINDS = ("time_", "timeraw_", "peakmem_", "track_")


def benchmark_package():
    """The benchmarks at toy size; the repository root stays off sys.path, where it would hide the installed package."""
    before = os.environ.get("FASTREG_BENCH")
    os.environ["FASTREG_BENCH"] = "toy"
    try:
        spec = importlib.util.spec_from_file_location("benchmarks", FOLDER / "__init__.py")
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
        names = [path.stem for path in sorted(FOLDER.glob("bench_*.py"))]
        return {name: importlib.import_module(f"benchmarks.{name}") for name in ("common", *names)}
    finally:
        if before is None:
            del os.environ["FASTREG_BENCH"]
        else:
            os.environ["FASTREG_BENCH"] = before


MODULES = benchmark_package()
common, LATENCY, LINEAR, RIDGE = (
    MODULES[name] for name in ("common", "bench_latency", "bench_linear", "bench_ridge"))
FIT_BOTH = LATENCY.TinyPredict, LINEAR.CertifyLasso          # in their set-up


def benchmark_classes():
    """Every class asv would run."""
    for module in MODULES.values():
        for _, case in inspect.getmembers(module, inspect.isclass):
            own = case.__module__ == module.__name__ and not inspect.isabstract(case)
            if own and any(name.startswith(KINDS) for name in dir(case)):
                yield case


CASES = [case for case in benchmark_classes() if issubclass(case, common.Case)]
SOLVED = (common.ElasticNetCase, common.RidgeCase)
RUNS = [
    pytest.param(case, parameters, id="-".join((case.__name__, *parameters)))
    for case in CASES
    for parameters in itertools.product(*case.params)
]


@pytest.mark.parametrize(("case", "parameters"), RUNS)
def test_case_runs(case, parameters):
    solver, data = parameters
    instance = case()
    instance.setup(solver, data)
    instance.time_run(solver, data)
    instance.peakmem_run(solver, data)
    gap = instance.track_gap(solver, data)
    assert gap >= -1e-12
    # scikit-learn works in float32 where X is: fastreg does not, and is held to the bound everywhere.
    assert gap <= case.bound or (solver != "fastreg" and "float32" in data)
    ratio = instance.track_speedup_vs_sklearn(solver, data)
    assert ratio > 0 if solver == "fastreg" else math.isnan(ratio)


@pytest.mark.parametrize("name", ["timeraw_import", "timeraw_first_fit"])
@pytest.mark.parametrize("module", LATENCY.FreshProcess.params)
def test_fresh_process_runs(name, module):
    code = getattr(LATENCY.FreshProcess(), name)(module)
    statement, start = (code, "") if isinstance(code, str) else code
    environment = os.environ | {"PYTHONPATH": str(Path(fastreg.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", f"{start}\n{statement}"], env=environment, check=True, cwd=FOLDER)


IDLE = {"show_versions", "from_glmnet", "to_glmnet", "plot"}  # nothing that takes time
PUBLIC = {name for name in fastreg.__all__ if name not in IDLE and not dataclasses.is_dataclass(getattr(fastreg, name))}


def recorded(name, called):
    """The public object, made to note the calls that do its work: those of the function, or of `fit`."""
    thing = getattr(fastreg, name)
    function = thing.fit if inspect.isclass(thing) else thing

    def noting(*args, **kwargs):
        called.add(name)
        return function(*args, **kwargs)

    return type(name, (thing,), {"fit": noting}) if inspect.isclass(thing) else noting


@pytest.fixture
def called(monkeypatch):
    """The public names whose work is done in this test."""
    names = set()
    for name in PUBLIC:
        monkeypatch.setattr(fastreg, name, recorded(name, names))
    return names


def test_every_public_name_is_measured(called):
    by_case = {}
    for case in CASES:
        for data in case.params[1]:
            called.clear()
            prepared(case, "fastreg", data).time_run("fastreg", data)
            by_case.setdefault(case, set()).update(called)
    assert set().union(*by_case.values()) == PUBLIC
    assert all(by_case.values()), "a class that measures nothing of fastreg"


def test_the_peer_is_never_fastreg(called):
    for case in CASES:
        if case not in FIT_BOTH:
            data = case.params[1][0]
            prepared(case, "scikit-learn", data).time_run("scikit-learn", data)
    assert not called


def prepared(case, solver, data):
    instance = case()
    instance.setup(solver, data)
    return instance


@pytest.fixture(params=[case for case in CASES if issubclass(case, SOLVED)], ids=lambda case: case.__name__)
def solved(request):
    """Each class whose answer is coefficients, on its first data."""
    return prepared(request.param, "fastreg", request.param.params[1][0])


def test_a_wrong_coefficient_is_caught(solved):
    answer = solved.run("fastreg")
    coefs = np.array(answer.coefs.toarray() if sparse.issparse(answer.coefs) else answer.coefs)
    coefs[np.unravel_index(np.abs(coefs).argmax(), coefs.shape)] *= 1.01
    assert solved.gap(answer) <= solved.bound < solved.gap(answer._replace(coefs=coefs))


def test_a_wrong_intercept_is_caught(solved):
    answer = solved.run("fastreg")
    assert solved.gap(answer._replace(intercepts=answer.intercepts + 0.01 * solved.y.std())) > solved.bound


@pytest.mark.parametrize("case", [case for case in CASES if issubclass(case, common.ElasticNetCase)])
def test_a_loose_tolerance_is_caught(case, monkeypatch):
    monkeypatch.setattr(common, "TOL", 0.1)
    early = prepared(case, "scikit-learn", case.params[1][0])
    assert early.gap(early.run("scikit-learn")) > case.bound


@pytest.mark.parametrize("data", RIDGE.RidgeFit.params[1])
def test_an_iteration_that_stops_early_is_caught(data):
    case = prepared(RIDGE.RidgeFit, "scikit-learn", data)
    early = sklearn.linear_model.Ridge(solver="lsqr", max_iter=2).fit(case.X, case.y)
    assert case.gap(common.fitted(early)) > case.bound


def test_a_wrong_prediction_is_caught():
    case = prepared(LATENCY.TinyPredict, "fastreg", "Lasso")
    right = case.run("fastreg")
    assert case.gap(right) <= case.bound < case.gap(right * (1 + 1e-6))


AVAILABLE = {"fastreg", "numpy", "scipy", "sklearn", "threadpoolctl", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_asv_can_import_every_module_and_takes_nothing_else_for_a_benchmark(path):
    """It imports all below benchmarks/ with fastreg's dependencies alone, and runs every function called time_...."""
    body = ast.parse(path.read_text()).body
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    modules = [node.module for node in imports if node.level == 0]
    modules += [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    assert {name.split(".")[0] for name in modules} <= AVAILABLE
    names = [alias.asname or alias.name for node in imports for alias in node.names]
    names += [node.name for node in body if isinstance(node, ast.FunctionDef)]
    assert not [name for name in names if name.startswith((*KINDS, "mem_"))]
