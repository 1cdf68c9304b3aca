"""The regression gate: what it calls slower or different, how it measures, and why it cannot, in one line."""

import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

import fastreg

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "gate.py"
SPEC = importlib.util.spec_from_file_location("compare", FILE.with_name("compare.py"))
compare = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(compare)
answers, bits, builds, command, times = (
    compare.benchmark_module(f"gating.{name}") for name in ("answers", "bits", "builds", "command", "times"))
BUILD = Path(fastreg.__file__).resolve().parents[1]


class FakeWorker:
    """Takes the times it is given, one for each call of a case; the last one for good."""

    def __init__(self, name, log, *times):
        self.name, self.log, self.times = name, log, list(times)

    def seconds(self, case, calls):
        self.log.append((self.name, calls))
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def judged(*rounds, pairs=40, limit=5):
    """Comparisons of one case, and the calls made; each round is BASE's and HEAD's times in the workers of a series."""
    log, left = [], [each for each in rounds for _ in range(times.PROCESSES)]

    @contextmanager
    def start():
        base, head = left.pop(0)
        yield FakeWorker("base", log, *base), FakeWorker("head", log, *head)

    found = times.judge(start, ["case"], pairs, limit, lambda case, found, limit: None)
    return found["case"], log, len(left) // times.PROCESSES


@pytest.mark.parametrize(("n", "k"), [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (20, 6), (40, 14), (100, 40)])
def test_rank_is_that_of_the_tables(n, k):
    assert times.rank(n) == k


def test_rank_covers_the_median():
    """Of many series of a skewed distribution, 95 % or a little more have its median in their interval."""
    rng = np.random.default_rng(0)
    samples = np.sort(rng.lognormal(size=(20_000, 40)), axis=1)
    k = times.rank(40)
    covered = np.mean((samples[:, k - 1] < 1) & (samples[:, -k] > 1))
    assert 0.955 < covered < 0.967  # 1 - 2 P(Bin(40, 1/2) < 14) = 0.9615, and its standard error is 0.0014


@pytest.mark.parametrize(
    ("above", "limit", "slower"),
    [(27, 5, True), (26, 5, False), (40, 5, True), (0, 5, False), (40, 10, False), (27, 7.9, True)],
)
def test_slower_is_an_interval_above_the_limit(above, limit, slower):
    """27 of 40 ratios above the limit put the 14th smallest above it, whatever the others are."""
    pairs = [(1.0, 1.08)] * above + [(1.0, 0.5)] * (40 - above)
    assert times.is_slower(times.compare(pairs), limit) is slower


def test_the_interval_is_of_the_median():
    found = times.compare([(2.0, 2.0 * k) for k in range(1, 41)])
    assert (found.base, found.head, found.ratio, found.low, found.high) == (2, 2, 20.5, 14, 27)


def test_a_few_slow_pairs_are_no_regression():
    assert not times.is_slower(times.compare([(0.1, 0.1)] * 30 + [(0.1, 0.9)] * 10), 5)


def test_pairs_alternate():
    _, log, _ = judged(([0.1], [0.1]))
    assert [name for name, _ in log[-8:]] == ["base", "head", "head", "base"] * 2


@pytest.mark.parametrize("pairs", [6, 40, 43])
def test_a_series_has_its_pairs_in_several_processes(pairs):
    _, log, left = judged(([0.1], [0.1]), pairs=pairs)
    assert left == 0
    # In each process a first call of both, and one of BASE that says whether it runs the case at all.
    assert len(log) == 2 * pairs + 3 * times.PROCESSES


def test_short_calls_are_timed_together():
    _, log, _ = judged(([1e-4], [1.01e-4]))
    assert log[-1][1] == round(times.SAMPLE_SECONDS / 1e-4)


def test_a_slow_case_is_slower_again_in_fresh_workers():
    found, _, left = judged(([0.1], [0.12]), ([0.1], [0.13]))
    assert left == 0 and found.ratio == pytest.approx(1.3) and times.is_slower(found, 5)


def test_a_slow_case_that_is_not_slower_again_passes():
    found, _, left = judged(([0.1], [0.2]), ([0.1], [0.1]))
    assert left == 0 and not times.is_slower(found, 5)


def test_an_equal_case_is_measured_once():
    found, _, left = judged(([0.1], [0.1]), ([0.1], [0.9]))
    assert left == 1 and not times.is_slower(found, 5)


def test_the_limit_is_the_callers():
    assert judged(([0.1], [0.12]), ([0.1], [0.12]), limit=25)[2] == 1


def test_a_case_that_base_does_not_run_is_left_out(capsys):
    class Old(FakeWorker):
        def seconds(self, case, calls):
            raise builds.CaseError("no such class")

    @contextmanager
    def start():
        yield Old("base", []), FakeWorker("head", [], 0.1)

    assert times.judge(start, ["case"], 8, 5, times.report) == {}
    assert "BASE does not run it: no such class" in capsys.readouterr().out


def test_workers_run_every_case(monkeypatch):
    monkeypatch.setenv("FASTREG_BENCH", "toy")
    with builds.workers(times.Timer, sys.executable, [BUILD], threads=1) as (worker,):
        assert all(worker.seconds(case, 1) > 0 for case in times.CASES)
        with pytest.raises(builds.CaseError, match=r"^bench_linear\.NoSuchClass wide .*: AttributeError: "):
            worker.seconds("bench_linear.NoSuchClass wide F float64", 1)


def test_a_worker_that_finds_another_fastreg_is_refused(tmp_path):
    (tmp_path / "fastreg").symlink_to(Path(fastreg.__file__).parent)
    with (pytest.raises(builds.GateError, match="not the build"),
          builds.workers(times.Timer, sys.executable, [tmp_path], threads=1)):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-commit", "HEAD"], "no-such-commit: no such commit"),
        (["--cases", "no such case"], "--cases matches no case"),
        (["--pairs", "5"], "--pairs"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message):
    done = subprocess.run([sys.executable, FILE, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_a_long_message_goes_to_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(builds.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(builds.GateError, match=r"^build failed: see .*\.log$"):
        builds.command(sys.executable, "-c", "raise SystemExit('one\\ntwo')", problem="build failed")
    (log,) = tmp_path.iterdir()
    assert log.read_text() == "one\ntwo"


@pytest.fixture
def changed(tmp_path):
    """Makes a build of its own of the one under test, with more code at the end of its __init__.py."""

    def make(code):
        package = Path(fastreg.__file__).parent
        shutil.copytree(package, tmp_path / "fastreg", copy_function=os.symlink,
                        ignore=shutil.ignore_patterns("__pycache__"))
        start = tmp_path / "fastreg" / "__init__.py"
        start.unlink()
        start.write_text((package / "__init__.py").read_text() + code)
        return tmp_path

    return make


# Coefficients of the lasso that are off by a factor.
OFF = """
fit_well = Lasso.fit
def fit(self, X, y, *arguments):
    fit_well(self, X, y, *arguments)
    self.coef_ = self.coef_ * {}
    return self
Lasso.fit = fit
"""


@pytest.mark.parametrize(
    ("factor", "code", "text"),
    [
        (1 + 2.0**-52, 1, r"model\.coef_ [12]\.\de-16; certified, gap"),
        (1.1, 2, r"model\.coef_ 1\.0e-01; NOT CERTIFIED: 1 answers, gap"),
    ],
)
def test_what_differs_by_a_bit_is_named_and_judged(factor, code, text, changed, capsys):
    pattern = "^(Lasso single|RidgeCV leave one out) .*tall (C|csc|F) float64"
    assert command.main(["--bits", str(BUILD), str(changed(OFF.format(factor))), "--cases", pattern]) == code
    _, *lines, last = capsys.readouterr().out.splitlines()
    cases = bits.names(pattern)
    expected = [case for case in cases if case.startswith("Lasso ")]
    assert [line.split(": ")[0] for line in lines] == expected and 0 < len(expected) < len(cases)
    assert all(re.match(text, line.split(": ", 1)[1]) for line in lines)
    assert last == f"{len(expected)} of {len(cases)} cases differ"


class FakeAnswerer:
    """Answers one request after the other with what it is given; an error fails."""

    def __init__(self, *found):
        self.found, self.asked = list(found), []

    def send(self, *request):
        self.asked.append(request[0])

    def answer(self):
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def ask(self, *request):
        self.send(*request)
        return self.answer()


FAILS = builds.CaseError("ValueError: no")


@pytest.mark.parametrize(
    ("base", "head", "state", "text"),
    [
        ([{"a": "1"}], [{"a": "1"}], "equal", ""),
        ([{"a": "1"}], [{"a": "1", "b": "2"}], "equal", ""),
        ([{"a": "1"}, None], [{"a": "2"}, {"a": "1e-16"}, (True, "certified")], "certified", "a 1e-16; certified"),
        ([{"a": "1"}, None], [{}, {"a": "lost"}, (True, "certified")], "certified", "a lost; certified"),
        ([{"a": "1"}, None], [{"a": "2"}, {"a": "0.1"}, (False, "NOT")], "wrong", "a 0.1; NOT"),
        ([{"a": "1"}, None], [{"a": "2"}, {"a": "0.1"}, FAILS], "wrong", "a 0.1; no certificate: ValueError: no"),
        ([FAILS], [{"a": "1"}], "missing", "BASE does not run it: ValueError: no"),
        ([{"a": "1"}], [FAILS], "failed", "HEAD fails: ValueError: no"),
        ([FAILS], [FAILS], "failed", "HEAD fails: ValueError: no"),
    ],
)
def test_states_of_a_case(base, head, state, text):
    workers = FakeAnswerer(*base), FakeAnswerer(*head)
    assert bits.compare(*workers, "case", "file") == (state, text)
    assert not workers[0].found and not workers[1].found             # no answer is left for the next case


@pytest.mark.parametrize(
    ("states", "code", "last"),
    [
        (["equal", "equal"], 0, "0 of 2 cases differ"),
        (["equal", "missing"], 0, "0 of 1 cases differ"),
        (["certified", "equal", "missing"], 1, "1 of 2 cases differ"),
        (["certified", "wrong"], 2, "2 of 2 cases differ"),
        (["equal", "failed"], 2, "0 of 1 cases differ"),
        (["missing", "missing"], 2, "nothing compared: BASE runs none of the cases"),
        ([], 2, "--cases matches no case"),
    ],
)
def test_what_the_exit_code_says(states, code, last, monkeypatch, capsys):
    states = {f"case {k}": state for k, state in enumerate(states)}
    of_both = [builds.Build("one", Path("one")), builds.Build("other", Path("other"))]
    monkeypatch.setattr(bits, "built", lambda *_: nullcontext(("python", of_both)))
    monkeypatch.setattr(bits, "workers", lambda *_: nullcontext((FakeAnswerer(), FakeAnswerer(list(states)))))
    monkeypatch.setattr(bits, "compare", lambda base, head, case, file: (states[case], states[case]))
    assert command.main(["--bits", "one", "other"]) == code
    out, error = capsys.readouterr()
    assert last in (error or out.splitlines()[-1])
    assert [line for line in out.splitlines() if line.startswith("case")] == [
        f"{case}: {state}" for case, state in states.items() if state != "equal"]


@pytest.mark.parametrize(
    ("base", "head", "python", "built"),
    [
        ("old", "new", "venv of new", ["old", "new"]),
        (str(BUILD), "new", sys.executable, ["new"]),
        ("same", "same", "venv of same", ["same", "same"]),
    ],
)
def test_commits_are_built_for_one_interpreter(base, head, python, built, monkeypatch):
    """In a virtual environment with HEAD's dependencies, but beside a build in place for the interpreter of that."""
    sources, done = {}, []
    monkeypatch.setattr(builds, "resolved", lambda commit: f"{commit:_<40}")
    monkeypatch.setattr(builds, "unpack", lambda commit, source: sources.update({source: commit.strip("_")}))
    monkeypatch.setattr(builds, "environment", lambda source, folder: f"venv of {sources[source]}")
    monkeypatch.setattr(builds, "install", lambda name, source, python, folder: done.append((source, python, folder)))
    with builds.built(base, head) as (found, both):
        assert str(found) == python
        assert [sources[source] for source, *_ in done] == built and {with_ for _, with_, _ in done} == {found}
        assert [folder for *_, folder in done] == [build.folder for build in both if build.folder != BUILD]
        assert len({build.folder for build in both}) == 2


def test_a_folder_stands_for_its_build_alone(tmp_path):
    assert builds.in_place(str(BUILD)) == BUILD and builds.in_place(str(tmp_path)) is None
    with builds.built(str(BUILD), str(BUILD)) as (python, found):
        assert str(python) == sys.executable
        assert found == [builds.Build(str(BUILD), BUILD)] * 2


NAN = float("nan")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ([1.0, NAN], [1.0, NAN], ""),
        ([1.0, 4.0], [1.0, 4.0 + 2**-50], "2.2e-16"),
        ([1.0, NAN], [1.0, 2.0], "nan"),
        ([0.0], [-0.0], "0.0e+00"),
        ([np.inf, 1.0], [np.inf, 2.0], "1.0e+00"),
        ([1, 2], [1.0, 2.0], "dtype float64, was int64"),
        ([1.0], [[1.0]], "shape (1, 1), was (1,)"),
        ("svd", "cholesky", "cholesky, was svd"),
        (1.0, None, "lost"),
    ],
)
def test_differences_in_words(before, after, text):
    assert answers.difference(np.asarray(before), None if after is None else np.asarray(after)) == text


def test_cases_cover_pairs_of_settings_and_every_storage():
    settings = [case[-1] for case in answers.CASES.values()]
    parts = [{name: getattr(setting, name) for name in vars(setting)} for setting in settings]
    for first, second in itertools.combinations(parts[0], 2):
        levels = [{part[name] for part in parts} for name in (first, second)]
        assert {(part[first], part[second]) for part in parts} == set(itertools.product(*levels))
    for name in ("Lasso", "ElasticNet", "LassoCV", "Ridge", "RidgeCV", "regularization_path", "ridge_path"):
        assert {case[-1].storage for case in answers.CASES.values() if case[1] == name} == set(answers.STORAGES)


SOME = [next(case for case, (solve, called, options, *_) in answers.CASES.items()
             if case.startswith(f"{name} {label} |")) for label, _, name, *_ in answers.WORK]


@pytest.mark.parametrize("case", [case for case in SOME if "shared" not in case])
def test_cases_have_certificates(case):
    ok, said = answers.certificate(case)
    assert ok, said
    assert answers.digests(case)


def test_the_gate_judges_by_its_own_referee(changed, monkeypatch):
    """A build whose own referee is broken, or that has none, is judged all the same, and keeps what it has."""
    monkeypatch.setenv("FASTREG_BENCH", "toy")
    build = changed("from fastreg.referee import paths\ndel paths.Referee")
    with builds.workers(times.Timer, sys.executable, [build], threads=1) as (worker,):
        assert worker.seconds("bench_linear.LassoFit wide F float64", 1) > 0
    common = compare.benchmark_module("common")
    mine = sys.modules["fastreg.referee.paths"]
    assert common.referee().Referee.__module__ == mine.__name__
    assert common.referee() is not fastreg.referee and sys.modules["fastreg.referee.paths"] is mine


def test_list(capsys):
    for option, cases in ([], times.CASES), (["--bits"], answers.CASES):
        assert command.main(["--list", *option, "--cases", "Ridge"]) == 0
        assert capsys.readouterr().out.splitlines() == [case for case in cases if "Ridge" in case]
