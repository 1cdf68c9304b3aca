"""The regression gate: what it calls slower, how it measures, and that it says in one line why it cannot."""

import importlib.util
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import fastreg

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "gate.py"
SPEC = importlib.util.spec_from_file_location("gate", FILE)
gate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gate)
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
    log, left = [], [each for each in rounds for _ in range(gate.PROCESSES)]

    @contextmanager
    def start():
        base, head = left.pop(0)
        yield FakeWorker("base", log, *base), FakeWorker("head", log, *head)

    found = gate.judge(start, ["case"], pairs, limit, lambda case, found, limit: None)
    return found["case"], log, len(left) // gate.PROCESSES


@pytest.mark.parametrize(("n", "k"), [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (20, 6), (40, 14), (100, 40)])
def test_rank_is_that_of_the_tables(n, k):
    assert gate.rank(n) == k


def test_rank_covers_the_median():
    """Of many series of a skewed distribution, 95 % or a little more have its median in their interval."""
    rng = np.random.default_rng(0)
    samples = np.sort(rng.lognormal(size=(20_000, 40)), axis=1)
    k = gate.rank(40)
    covered = np.mean((samples[:, k - 1] < 1) & (samples[:, -k] > 1))
    assert 0.955 < covered < 0.967  # 1 - 2 P(Bin(40, 1/2) < 14) = 0.9615, and its standard error is 0.0014


@pytest.mark.parametrize(
    ("above", "limit", "slower"),
    [(27, 5, True), (26, 5, False), (40, 5, True), (0, 5, False), (40, 10, False), (27, 7.9, True)],
)
def test_slower_is_an_interval_above_the_limit(above, limit, slower):
    """27 of 40 ratios above the limit put the 14th smallest above it, whatever the others are."""
    pairs = [(1.0, 1.08)] * above + [(1.0, 0.5)] * (40 - above)
    assert gate.is_slower(gate.compare(pairs), limit) is slower


def test_the_interval_is_of_the_median():
    found = gate.compare([(2.0, 2.0 * k) for k in range(1, 41)])
    assert (found.base, found.head, found.ratio, found.low, found.high) == (2, 2, 20.5, 14, 27)


def test_a_few_slow_pairs_are_no_regression():
    assert not gate.is_slower(gate.compare([(0.1, 0.1)] * 30 + [(0.1, 0.9)] * 10), 5)


def test_pairs_alternate():
    _, log, _ = judged(([0.1], [0.1]))
    assert [name for name, _ in log[-8:]] == ["base", "head", "head", "base"] * 2


@pytest.mark.parametrize("pairs", [6, 40, 43])
def test_a_series_has_its_pairs_in_several_processes(pairs):
    _, log, left = judged(([0.1], [0.1]), pairs=pairs)
    assert left == 0
    # In each process a first call of both, and one of BASE that says whether it runs the case at all.
    assert len(log) == 2 * pairs + 3 * gate.PROCESSES


def test_short_calls_are_timed_together():
    _, log, _ = judged(([1e-4], [1.01e-4]))
    assert log[-1][1] == round(gate.SAMPLE_SECONDS / 1e-4)


def test_a_slow_case_is_slower_again_in_fresh_workers():
    found, _, left = judged(([0.1], [0.12]), ([0.1], [0.13]))
    assert left == 0 and found.ratio == pytest.approx(1.3) and gate.is_slower(found, 5)


def test_a_slow_case_that_is_not_slower_again_passes():
    found, _, left = judged(([0.1], [0.2]), ([0.1], [0.1]))
    assert left == 0 and not gate.is_slower(found, 5)


def test_an_equal_case_is_measured_once():
    found, _, left = judged(([0.1], [0.1]), ([0.1], [0.9]))
    assert left == 1 and not gate.is_slower(found, 5)


def test_the_limit_is_the_callers():
    assert judged(([0.1], [0.12]), ([0.1], [0.12]), limit=25)[2] == 1


def test_a_case_that_base_does_not_run_is_left_out(capsys):
    class Old(FakeWorker):
        def seconds(self, case, calls):
            raise gate.CaseError("no such class")

    @contextmanager
    def start():
        yield Old("base", []), FakeWorker("head", [], 0.1)

    assert gate.judge(start, ["case"], 8, 5, gate.report) == {}
    assert "BASE does not run it: no such class" in capsys.readouterr().out


def test_workers_run_every_case(monkeypatch):
    monkeypatch.setenv("FASTREG_BENCH", "toy")
    with gate.workers(sys.executable, [BUILD], threads=1) as (worker,):
        assert all(worker.seconds(case, 1) > 0 for case in gate.CASES)
        with pytest.raises(gate.CaseError, match="NoSuchClass"):
            worker.seconds("bench_linear.NoSuchClass wide F float64", 1)


def test_a_worker_that_finds_another_fastreg_is_refused(tmp_path):
    with pytest.raises(gate.GateError, match="not the build"), gate.workers(sys.executable, [tmp_path], threads=1):
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
    monkeypatch.setattr(gate.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(gate.GateError, match=r"^build failed: see .*\.log$"):
        gate.command(sys.executable, "-c", "raise SystemExit('one\\ntwo')", problem="build failed")
    (log,) = tmp_path.iterdir()
    assert log.read_text() == "one\ntwo"


def test_list(capsys):
    assert gate.main(["--list", "--cases", "Ridge"]) == 0
    assert capsys.readouterr().out.splitlines() == [case for case in gate.CASES if "Ridge" in case]
