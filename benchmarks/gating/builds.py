"""Two builds of fastreg side by side, from commits or from folders, and worker processes that run either of them.

It needs the standard library alone: what imports NumPy runs in the workers.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class GateError(Exception):
    """What ends the gate without a verdict, in one line."""


class CaseError(GateError):
    """A case that a build does not run, or not right."""


class Build(NamedTuple):
    """A build of fastreg.

    Attributes
    ----------
    name : str
        The start of the commit's name, or the folder as it was given.
    folder : Path
        Where the package fastreg lies.
    """

    name: str
    folder: Path


class Worker:
    """A process that answers requests with one build of fastreg.

    Parameters
    ----------
    python : str or Path
        The interpreter.
    folder : Path
        The folder fastreg lies in.
    threads : int
        Threads of BLAS and OpenMP, where a case asks for no other number.

    Attributes
    ----------
    module : str
        Of a subclass: the one of this package whose function `work` is the process's side.
    """

    module: str

    def __init__(self, python, folder, threads):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | {"PYTHONPATH": str(folder)} | dict.fromkeys(names, str(threads))
        # -P keeps the current folder out, and the checkout is not on the path: fastreg is to come from the build alone.
        find = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import compare; del sys.path[0]"
        code = f"{find}; compare.benchmark_module('gating.{self.module}').work()"
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([python, "-P", "-c", code], env=env, stdin=pipe, stdout=pipe, text=True)
        found = self.answer()
        if Path(found).resolve().parents[1] != folder.resolve():
            self.close()
            raise GateError(f"the worker imports {found}, not the build in {folder}")

    def send(self, *request):
        """Ask for something, and go on."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """The answer to the request sent first of those not answered yet; CaseError where it failed."""
        line = self.process.stdout.readline()
        if not line:
            raise GateError("a worker ended early: its message is above")
        answer = json.loads(line)
        if "error" in answer:
            raise CaseError(answer["error"])
        return answer["found"]

    def ask(self, *request):
        """The answer to a request."""
        self.send(*request)
        return self.answer()

    def close(self):
        """End the process: its input ends."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@contextmanager
def workers(kind, python, folders, threads):
    """A worker (an instance of the subclass `kind`) for each build, ended on the way out."""
    started = []
    try:
        for folder in folders:
            started.append(kind(python, folder, threads))
        yield started
    finally:
        for worker in started:
            worker.close()


def serve(reply):
    """The worker's side: where fastreg lies, then what ``reply(*request)`` returns for each request, as JSON lines."""
    import fastreg

    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a case prints must not pass for an answer

    def say(**answer):
        print(json.dumps(answer), file=answers, flush=True)

    say(found=fastreg.__file__)
    for line in sys.stdin:
        try:
            say(found=reply(*json.loads(line)))
        except Exception as error:  # told by the parent, which knows the commit
            say(error=f"{type(error).__name__}: {error}")


def command(*arguments, problem):
    """Standard output of a command; if it fails, GateError with its message, or where its many lines are."""
    try:
        return subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True).stdout
    except OSError as error:
        raise GateError(f"{problem}: {error}") from None
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).decode(errors="replace").strip()
        if "\n" in said:
            with tempfile.NamedTemporaryFile("w", prefix="fastreg-gate-", suffix=".log", delete=False) as log:
                log.write(said)
            said = f"see {log.name}"
        raise GateError(f"{problem}: {said}") from None


def resolved(commit):
    """Full name of a commit."""
    problem = f"{commit}: no such commit"
    return command("git", "rev-parse", "--verify", f"{commit}^{{commit}}", problem=problem).decode().strip()


def unpack(commit, folder):
    """Write the files of a commit into a folder."""
    archive = command("git", "archive", "--format=tar", commit, problem=f"{commit}: git archive failed")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def environment(source, folder):
    """Interpreter of a virtual environment with what a commit needs to be built and run."""
    project = tomllib.loads((source / "pyproject.toml").read_text())
    needed = project["build-system"]["requires"] + project["project"]["dependencies"]
    command(sys.executable, "-m", "venv", str(folder), problem="no virtual environment")
    python = folder / "bin" / "python"
    command(str(python), "-m", "pip", "install", "--quiet", *needed, problem="dependencies not installed")
    return python


def install(commit, source, python, folder):
    """Build fastreg of a commit into a folder."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder))
    command(str(python), "-m", "pip", "install", *options, str(source), problem=f"{commit}: build failed")


def in_place(argument):
    """The folder that an argument names, where fastreg is built in it; else None."""
    folder = Path(argument)
    return folder.resolve() if (folder / "fastreg" / "__init__.py").is_file() else None


@contextmanager
def built(base, head):
    """Both builds: of commits in a virtual environment with what HEAD needs; a folder is taken as it lies.

    Parameters
    ----------
    base, head : str
        Commits, or folders that hold a fastreg built in place. Such a build belongs to the interpreter that runs this,
        which then builds and runs the other one too.

    Yields
    ------
    python : Path
        The interpreter for both.
    builds : list of Build
        BASE and HEAD.
    """
    with tempfile.TemporaryDirectory(prefix="fastreg-gate-") as scratch:
        builds, sources = [], {}
        for side, argument in (("base", base), ("head", head)):
            folder = in_place(argument)
            if folder is not None:
                builds.append(Build(argument, folder))
                continue
            commit = resolved(argument)
            builds.append(Build(commit[:10], Path(scratch, side, "build")))
            sources[builds[-1]] = Path(scratch, side, "source")
            unpack(commit, sources[builds[-1]])
        both = len(sources) == 2
        python = environment(sources[builds[1]], Path(scratch, "venv")) if both else Path(sys.executable)
        for build, source in sources.items():
            install(build.name, source, python, build.folder)
        yield python, builds
