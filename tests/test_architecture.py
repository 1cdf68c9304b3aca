"""What holds the code base together: imports point one way, versions agree, every public name is documented."""

import ast
import dataclasses
import graphlib
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sklearn.linear_model

import fastreg
from fastreg import parameters

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fastreg"

# A module imports from its own layer or a lower one.  A new top-level module must be given its place here.
LAYERS = {
    "kernels": 0,
    "costs": 0,
    "scale": 1,
    "threads": 1,
    "weights": 1,
    "solutions": 1,
    "finite": 1,
    "rounding": 1,
    "progress": 1,
    "problem": 1,
    "design": 1,
    "datafits": 1,
    "penalties": 1,
    "solvers": 2,
    "inputs": 3,
    "parameters": 3,
    "parameters_glm": 3,
    "checks": 3,
    "drawing": 3,
    "plot": 3,
    "coefs": 3,
    "predictions": 3,
    "points": 3,
    "tables": 3,
    "paths": 3,
    "path": 3,
    "glmnet": 3,
    "validation": 3,
    "targets": 3,
    "scores": 3,
    "ridge_path": 3,
    "selection": 3,
    "criteria": 3,
    "crossval": 3,
    "estimators": 4,
    "_versions": 4,
    "referee": 3,
    "onnx": 5,
    "cli": 5,
    "__main__": 6,
    "adapter": 7,  # the tests' door to the kernels: nothing imports it
}
SCIKIT_LEARN_FROM = 3  # the lowest layer that may import scikit-learn
HEAVY = ("matplotlib", "numba", "dask", "pandas", "polars", "onnx", "skl2onnx")

CYTHON_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+c?import\s+(\([^)]*\)|[^\n]*)", re.MULTILINE)
CYTHON_IMPORT = re.compile(r"^\s*c?import\s+([^\n#]+)", re.MULTILINE)


def module_name(path):
    """Dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(module, level, path):
    """The module a relative import means, seen from a file."""
    if level == 0:
        return module
    package = path.relative_to(ROOT).parent.parts
    return ".".join([*package[: len(package) - level + 1], *([module] if module else [])])


def python_imports(path):
    """(module, name) pairs; name is None for a plain import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node.module or "", node.level, path)
            yield from ((module, alias.name) for alias in node.names)


def cython_imports(path):
    """The same for .pyx and .pxd files, imports and cimports alike."""
    text = re.sub(r'"""[\s\S]*?"""', "", path.read_text())
    for match in CYTHON_FROM.finditer(text):
        dots = len(match[1]) - len(match[1].lstrip("."))
        module = absolute(match[1].lstrip("."), dots, path)
        names = re.sub(r"#[^\n]*|[()\\]", "", match[2]).split(",")
        yield from ((module, name.split()[0]) for name in names if name.strip())
    for match in CYTHON_IMPORT.finditer(text):
        yield from ((module.split()[0], None) for module in match[1].split(","))


def sources():
    """Every source file of the package but its own __init__, which gathers the public names."""
    files = [path for pattern in ("*.py", "*.pyx", "*.pxd", "*.pxi") for path in PACKAGE.rglob(pattern)]
    return sorted(path for path in files if path != PACKAGE / "__init__.py")


def imports(path):
    return python_imports(path) if path.suffix == ".py" else cython_imports(path)


def layer(module, path):
    """Layer of a dotted fastreg name."""
    top = module.split(".")[1]
    assert top in LAYERS, f"{path.relative_to(ROOT)}: fastreg.{top} has no place in LAYERS"
    return LAYERS[top]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = layer(module_name(path), path)
    for module, name in imports(path):
        if module == "fastreg" and (name is None or name not in LAYERS):
            # The public package: only what stands above it, as a user does, may import it.
            assert own >= LAYERS["cli"], f"imports {name or 'fastreg'} from the package root"
        elif module.split(".")[0] == "fastreg":
            target = module if module != "fastreg" else f"fastreg.{name}"
            assert layer(target, path) <= own, f"imports {target}, of a higher layer"


def import_graph(files):
    """Module by module, which modules of the package it imports; a .pxd and a .pxi count as what they belong to."""
    module_of = {path: module_name(path) for path in files}
    for path in files:
        if path.suffix == ".pyx":
            for name in re.findall(r'^include "([\w.]+)"', path.read_text(), re.MULTILINE):
                module_of[path.parent / name] = module_of[path]
    known = set(module_of.values())
    graph = {module: set() for module in known}
    for path, own in module_of.items():
        for module, name in imports(path):
            target = f"{module}.{name}" if f"{module}.{name}" in known else module
            if target in known and (target != own or path.suffix == ".py"):
                graph[own].add(target)
    return graph


def test_no_module_imports_itself_by_way_of_others():
    """Inside a folder too, where the layers say nothing."""
    try:
        graphlib.TopologicalSorter(import_graph(sources())).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1][::-1]))


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "from fastreg.solvers import b", "b.py": "from .a import x"},
        {"a.pyx": "from fastreg.solvers.b cimport x", "b.pxd": "cimport fastreg.solvers.a"},
        {"a.pyx": 'include "c.pxi"', "c.pxi": "from fastreg.solvers.b cimport x", "b.py": "import fastreg.solvers.a"},
        {"a.py": "def f():\n    from . import b", "b.pyx": "from . import c", "c.py": "from .a import f"},
    ],
    ids=["siblings", "a pxd", "a pxi", "inside a function"],
)
def test_a_cycle_is_seen(files, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    folder = tmp_path / "fastreg" / "solvers"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(import_graph(sorted(folder.iterdir()))).prepare()


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_scikit_learn_only_on_top_and_only_public_names(path):
    own = layer(module_name(path), path)
    for module, name in imports(path):
        if module.split(".")[0] == "sklearn":
            assert own >= SCIKIT_LEARN_FROM, f"imports {module}"
            assert not any(part.startswith("_") for part in [*module.split("."), name or ""]), f"{module}: {name}"


def test_the_referee_asks_nobody():
    """It judges the engine, so it imports nothing of it, nor of the rest of the package."""
    for path in (PACKAGE / "referee").glob("*.py"):
        found = {module for module, _ in imports(path) if module.split(".")[0] == "fastreg"}
        assert all(module.startswith("fastreg.referee") for module in found), f"{path.name} imports {found}"


def test_the_import_reader_sees_every_form(tmp_path, monkeypatch):
    """The two readers above are worth no more than what they find."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    source = tmp_path / "fastreg" / "solvers" / "new.pyx"
    source.parent.mkdir(parents=True)
    source.write_text(
        '"""from fastreg.path import nothing."""\n'
        "import fastreg.path, numpy as np\n"
        "cimport fastreg.estimators\n"
        "from ..path cimport (a,  # why\n    b as c)\n"
        "from . cimport sibling\n"
        "def f():\n    from sklearn.linear_model._base import x\n"
    )
    assert set(cython_imports(source)) == {
        ("fastreg.path", None),
        ("numpy", None),
        ("fastreg.estimators", None),
        ("fastreg.path", "a"),
        ("fastreg.path", "b"),
        ("fastreg.solvers", "sibling"),
        ("sklearn.linear_model._base", "x"),
    }
    source = source.with_suffix(".py")
    source.write_text("from ..path import a\nfrom . import b\nif True:\n    import fastreg.cli\n")
    assert set(python_imports(source)) == {("fastreg.path", "a"), ("fastreg.solvers", "b"), ("fastreg.cli", None)}


def test_the_map_is_of_this_house():
    """CONTRIBUTING.md names every room of the package, and no file that is not there."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    tree = text.split("```")[1]
    rooms = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not {name for name in rooms if not name.startswith("_") and not re.search(rf"\b{name}\b", tree)}
    known = {path.name for path in sources()} | {path.name for path in PACKAGE.rglob("*.h")}
    known |= {path.name for folder in ("tests", "benchmarks", "tools") for path in (ROOT / folder).glob("*.py")}
    assert not set(re.findall(r"(?<![\w*])\w+\.(?:py|pyx|pxi|h)\b", tree)) - known
    named = re.findall(r"`((?:fastreg|tests|benchmarks|tools)/[\w/.]+)`", text)
    assert len(named) > 10 and not [name for name in named if not (ROOT / name).exists()]


# ---- sizes ---------------------------------------------------------------------------------------------------------
MODULE_LINES, FUNCTION_LINES, KERNEL_LINES = 500, 60, 90  # functions without their docstrings; kernels: Cython's
# What is larger today, in lines: entries only shrink.  The test fails where one grew, and where one is needed no more.
LARGER_TODAY = {
    "kernels/quadratic.pyx": 512,
    "kernels/krylov.pyx:conjugate_gradients": 105,
}
CYTHON_HEAD = re.compile(r"^( *)(?:cp?def|def) (?!class|struct|enum|extern|union)[^=\n(]*?(\w+)\(", re.MULTILINE)
DOCSTRING = re.compile(r'^[^\n]*:[^\n]*\n *("""[\s\S]*?""") *$', re.MULTILINE)


def python_functions(text):
    """(name, lines without the docstring) of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = node.body[0] if ast.get_docstring(node) is not None else None
            yield node.name, node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)


def cython_functions(text):
    """(name, lines without the docstring) of each function: as far as lines are indented deeper than its head."""
    for match in CYTHON_HEAD.finditer(text):
        deeper = re.compile(rf"[^\n]*\n(?:(?: *| {{{len(match[1]) + 1},}}\S[^\n]*)\n)*")
        block = deeper.match(text[match.start():] + "\n")[0].rstrip()
        head = re.match(r"[^(]*\((?:[^()]|\([^()]*\))*\)", block)[0]
        doc = DOCSTRING.match(block[len(head):])
        yield match[2], len(block.splitlines()) - (len(doc[1].splitlines()) if doc else 0)


def sizes():
    """Lines of every module and function that is larger than the limits, by path and name."""
    found = {}
    for path in [*sources(), PACKAGE / "__init__.py"]:
        name, text = str(path.relative_to(PACKAGE)), path.read_text()
        kernels = path.suffix != ".py"
        for function, lines in (cython_functions if kernels else python_functions)(text):
            if lines > (KERNEL_LINES if kernels else FUNCTION_LINES):
                found[f"{name}:{function}"] = lines
        if len(text.splitlines()) > MODULE_LINES:
            found[name] = len(text.splitlines())
    return found


def test_modules_and_functions_are_small():
    found = sizes()
    assert not {name: lines for name, lines in found.items() if lines > LARGER_TODAY.get(name, 0)}, "too large"
    assert not set(LARGER_TODAY) - set(found), "within the limits by now: strike the entries"


def test_lines_of_functions_are_counted():
    """In Python and Cython, without docstrings, heads of several lines and blank lines included."""
    text = '''class A:
    def f(self, x=(1, 2),
          y=3):
        """Text

        of four
        lines."""
        def g():
            return 1

        return g
x = 1
def h(): return 2'''
    assert dict(python_functions(text)) == {"f": 6, "g": 2, "h": 1}
    text = '''cdef class A:
    cdef double x
    cdef inline double f(self, double[::1] x, int (*g)(int),
                         y=(3)) except? -1 nogil:       # why
        """One line."""
        if y:

            return g(1)
    cpdef h(self):
        """Text
        of two lines."""
        pass

cdef double z = f(1)
cdef void k(int a) noexcept nogil
def last(): return 2
'''
    assert dict(cython_functions(text)) == {"f": 5, "h": 2, "k": 1, "last": 1}


WALL_CLOCK = re.compile(r"timespec_get|TIME_UTC|CLOCK_REALTIME|gettimeofday|\btime\(\)|libc\.time|time\.time\b")


@pytest.mark.parametrize("path", [p for p in PACKAGE.rglob("*.*") if p.suffix in (".py", ".pyx", ".pxd", ".pxi", ".h")],
                         ids=lambda path: str(path.relative_to(PACKAGE)))  # fmt: skip
def test_no_source_asks_the_wall_clock(path):
    """Whoever sets the clock back by an hour must not take Ctrl-C away for an hour."""
    assert not WALL_CLOCK.search(path.read_text())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the symbols of an ELF file")
def test_the_engine_waits_on_a_monotonic_clock():
    """What was built, not only what is written: the one module that asks a clock imports clock_gettime, no other."""
    built = Path(sys.modules["fastreg.kernels.threads"].__file__).read_bytes()
    assert b"\0clock_gettime\0" in built
    assert not any(b"\0" + name + b"\0" in built for name in (b"timespec_get", b"gettimeofday"))


def test_import_is_light(tmp_path):
    """`import fastreg` works where none of these can be imported (scikit-learn itself takes pandas if it is there)."""
    code = f"import sys; sys.modules.update(dict.fromkeys({HEAVY})); import fastreg; print(fastreg.__version__)"
    env = os.environ | {"PYTHONPATH": str(Path(fastreg.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.stdout.strip() == fastreg.__version__, done.stderr


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert latest == fastreg.__version__
    assert f"`{project['name']}`" in (ROOT / "README.md").read_text()
    try:
        installed = importlib.metadata.version(project["name"])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("built in place, not installed")
    assert installed == fastreg.__version__


def test_show_versions(capsys):
    fastreg.show_versions()
    report = capsys.readouterr().out
    for word in ("compiler", "SIMD", "POSIX threads", "blas", "numpy", "scipy", "scikit-learn"):
        assert word in report


def public_objects():
    """Every public function and class, those of public modules too, and the methods fastreg itself defines on the
    classes."""
    for name in fastreg.__all__:
        thing = getattr(fastreg, name)
        if inspect.ismodule(thing):
            yield from ((f"{name}.{own}", getattr(thing, own)) for own in thing.__all__)
            continue
        yield name, thing
        if inspect.isclass(thing):
            for method_name, method in inspect.getmembers(thing, inspect.isfunction):
                if not method_name.startswith("_") and method.__module__.startswith("fastreg"):
                    yield f"{name}.{method_name}", method


def documented(doc, section):
    """Names described in a numpydoc section."""
    match = re.search(rf"^{section}\n-+\n([\s\S]*?)(?=^\w[^\n]*\n-+\n|\Z)", doc, re.MULTILINE)
    lines = re.findall(r"^(\S[^\n:]*?)(?: ?:|$)", match[1], re.MULTILINE) if match else []
    return {name.strip().lstrip("*") for line in lines for name in line.split(",")}


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in public_objects()])
def test_public_docstrings_are_complete(name, thing):
    doc = inspect.getdoc(thing)
    assert doc, "no docstring"
    parameters = {name for name in inspect.signature(thing).parameters if name != "self" and not name.startswith("_")}
    described = documented(doc, "Parameters")
    if inspect.isclass(thing):
        described |= documented(doc, "Attributes")
        assert documented(doc, "Attributes"), "no Attributes section"
    else:
        assert documented(doc, "Returns"), "no Returns section"
    assert not parameters - described, "parameters without a description"
    if "." not in name and not dataclasses.is_dataclass(thing):  # a result is shown where it is made
        assert re.search(r"^Examples\n-+$", doc, re.MULTILINE), "no Examples section"


# What sends the reader elsewhere instead of saying it: help() shows one docstring.
LEANING = re.compile(
    r"(?i:\bas for\b|\blikewise\b|\bditto\b|\bthe same (?:as|but|for|of|with|without)\b)"
    rf"|\b[Ss]ee (?!Also\b)[A-Z]|\b[Aa]s (?:in |of )?`?(?:{'|'.join(fastreg.__all__)})\b"
)


def test_public_docstrings_stand_alone():
    assert not {name for name, thing in public_objects() if LEANING.search(inspect.getdoc(thing) or "")}


@pytest.mark.parametrize(("leans", "text"), [
    (True, "As for Ridge."), (True, "Used where it lies; see ElasticNet."), (True, "Likewise; labels for classifiers."),
    (True, "y, the same as in `fit`."), (True, "The same with degrees of freedom."), (True, "As `Ridge` has it."),
    (False, "See Also\n--------\nRidge : In the same order."), (False, "As in scikit-learn; see `certify`."),
    (False, "The working set as in Massias, Gramfort, Salmon."), (False, "Same as ``lower_limits=0``."),
])  # fmt: skip
def test_a_leaning_docstring_is_seen(leans, text):
    assert bool(LEANING.search(text)) == leans


def written(text):
    """The numpydoc entries of a docstring as it stands in the source, those of two lines or more: name to text."""
    found = re.findall(r"^([^\s{][^\n]*)\n((?: +[^\n]+(?:\n|\Z))+)", text, re.MULTILINE)
    return {f"{name} {' '.join(rest.split())}" for name, rest in found if " : " in name}


def test_what_docstrings_share_is_written_once():
    """And what is written for several is used by several; every place has been filled."""
    sources_of = [path.read_text() for path in (*PACKAGE.glob("*.py"), *(PACKAGE / "estimators").glob("*.py"))]
    raw = [inspect.cleandoc(doc) for text in sources_of for node in ast.walk(ast.parse(text))
           if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")
           and (doc := ast.get_docstring(node, clean=False))]  # fmt: skip
    uses = [name for doc in raw for place in parameters.PLACE.findall(doc) for name in place[1].split(", ")]
    assert not {name for name in parameters.ENTRIES if uses.count(name) < 2 and "." in name}, "used once: say it there"
    entries = [entry for doc in raw for entry in written(doc)] + [*written("\n".join(parameters.ENTRIES.values()))]
    assert not {entry for entry in entries if entries.count(entry) > 1 and len(entry) > 100}, "written twice"
    assert not [name for name, thing in public_objects() if parameters.PLACE.search(inspect.getdoc(thing))]


def test_signatures_can_be_completed():
    """No argument hides in **params, but what scikit-learn routes; the path functions take what scikit-learn's do."""
    for name, thing in public_objects():
        ours = inspect.signature(thing).parameters
        hidden = any(p.kind is p.VAR_KEYWORD for p in ours.values())
        assert name.endswith(("fit", "path", "CV.score")) or not hidden, name
    more = {"tol", "max_iter", "sample_weight", "selection", "random_state"}
    for name in ("lasso_path", "enet_path"):
        theirs = inspect.signature(getattr(sklearn.linear_model, name)).parameters
        assert set(theirs) | more <= set(inspect.signature(getattr(fastreg, name)).parameters)
