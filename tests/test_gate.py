"""The regression gate: what it calls slower, how it measures, and that it says in one line why it cannot."""

import importlib.util
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

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


def judged(*rounds, pairs=4):
    """Comparisons of one case, and the calls made; each round is BASE's and HEAD's times in a new pair of workers."""
    log, left = [], list(rounds)

    @contextmanager
    def start():
        base, head = left.pop(0)
        yield FakeWorker("base", log, *base), FakeWorker("head", log, *head)

    return gate.judge(start, ["case"], pairs, lambda case, found: None), log, left


@pytest.mark.parametrize(
    ("base", "head", "slower"),
    [
        (0.1, 0.1, False),
        (0.1, 0.114, False),  # 14 %
        (0.1, 0.116, True),
        (1e-4, 1.16e-4, False),  # 16 % of a tenth of a millisecond
        (5e-3, 5.9e-3, False),  # 18 %, 0.9 ms
        (5e-3, 6.1e-3, True),
        (1.0, 1.1, False),  # 100 ms, 10 %
        (0.1, 0.05, False),
    ],
)
def test_slower_is_both_fifteen_percent_and_a_millisecond(base, head, slower):
    assert gate.is_slower(gate.compare([(base, head)] * 3)) is slower


def test_one_slow_pair_is_no_regression():
    assert not gate.is_slower(gate.compare([(0.1, 0.1), (0.1, 0.9), (0.1, 0.1)]))


def test_pairs_alternate():
    _, log, _ = judged(([0.1], [0.1]))
    assert [name for name, _ in log[-8:]] == ["base", "head", "head", "base"] * 2


def test_short_calls_are_timed_together():
    _, log, _ = judged(([1e-4], [2e-4]))
    assert log[-1][1] == round(gate.SAMPLE_SECONDS / 1e-4)


def test_a_slow_case_is_slower_again_in_fresh_workers():
    comparisons, _, left = judged(([0.1], [0.2]), ([0.1], [0.3]), pairs=2)
    assert not left and comparisons[0].ratio == pytest.approx(3) and gate.is_slower(comparisons[0])


def test_a_slow_case_that_is_not_slower_again_passes():
    comparisons, _, left = judged(([0.1], [0.2]), ([0.1], [0.1]))
    assert not left and not gate.is_slower(comparisons[0])


def test_an_equal_case_is_measured_once():
    comparisons, _, left = judged(([0.1], [0.1]), ([0.1], [0.9]))
    assert len(left) == 1 and not gate.is_slower(comparisons[0])


def test_a_case_that_base_does_not_run_is_left_out(capsys):
    class Old(FakeWorker):
        def seconds(self, case, calls):
            raise gate.CaseError("no such class")

    @contextmanager
    def start():
        yield Old("base", []), FakeWorker("head", [], 0.1)

    assert gate.judge(start, ["case"], 2, gate.report) == []
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
        (["--pairs", "0"], "--pairs"),
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
