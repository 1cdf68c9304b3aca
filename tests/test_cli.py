"""`python -m fastreg`: the bundled data, every file format, every mistake a user makes, and the figures it prints."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file
from sklearn.linear_model import ElasticNet, Lasso
from sklearn.metrics import log_loss

import fastreg
from fastreg import LogisticRegression, PoissonRegressor, regularization_path
from fastreg.cli import main
from fastreg.cli.compare import PeerResult, run_scikit_learn, time_limit
from fastreg.cli.data import Data, load_bundled, modelled
from fastreg.cli.report import comparison_lines
from fastreg.progress import Bar
from fastreg.referee import Referee

SHORT = ["--no-compare", "--n-alphas", "3"]


@pytest.fixture
def problem():
    """A small X, y with a sparse answer."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6)).round(3)
    return X, (X @ [3.0, 0, 0, -2, 0, 0] + 0.1 * rng.standard_normal(40)).round(3)


def write_csv(path, X, y, delimiter=",", names=None):
    names = names or [f"x{j}" for j in range(X.shape[1])] + ["y"]
    np.savetxt(path, np.column_stack([X, y]), delimiter=delimiter, header=delimiter.join(names), comments="")


def table(out):
    """The rows of the printed path as numbers: alpha, non-zeros, R^2, gap."""
    rows = [line.split() for line in out.splitlines() if re.fullmatch(r"\s*\S+\s+\d+\s+-?\d\.\d{4}\s+\S+", line)]
    return np.array(rows, dtype=float)


def failure(capsys, *argv):
    """Run what must fail; return its one line."""
    capsys.readouterr()
    try:
        code = main(list(argv))
    except SystemExit as stop:  # argparse
        code = stop.code
    err = capsys.readouterr().err
    assert code == 2
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def test_bundled_data_beside_scikit_learn(tmp_path):
    """The first command of the README, in a process of its own, with the package under test."""
    env = os.environ | {"PYTHONPATH": str(Path(fastreg.__file__).parents[1])}
    command = [sys.executable, "-m", "fastreg"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = table(done.stdout)
    assert len(rows) == 12
    assert rows[0, 1] == 0
    assert np.all(np.diff(rows[:, 0]) < 0)
    assert np.all(np.diff(rows[:, 2]) > 0)
    assert rows[:, 3].max() <= 1e-6
    line = r"^(fastreg|scikit-learn) +([\d.]+) (ms|s) +worst gap ([^\s,]+)"
    times = re.findall(line, done.stdout, re.MULTILINE)
    assert [name for name, *_ in times] == ["fastreg", "scikit-learn"]
    assert all(float(gap) <= 1e-6 for *_, gap in times)
    ours, theirs = (float(value) * (1e-3 if unit == "ms" else 1) for _, value, unit, _ in times)
    ratio = theirs / ours
    said = float(re.search(r"([\d.e+]+) times as (?:fast|long)\.$", done.stdout.strip())[1])
    assert said == pytest.approx(max(ratio, 1 / ratio), rel=0.02)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("target", ["y", "6", "-1"])
def test_csv(tmp_path, capsys, problem, delimiter, target):
    write_csv(tmp_path / "data.csv", *problem, delimiter=delimiter)
    assert main([str(tmp_path / "data.csv"), "--target", target, *SHORT]) == 0
    out = capsys.readouterr().out
    assert "40 samples x 6 features (dense" in out
    rows = table(out)
    model = Lasso(alpha=rows[-1, 0], tol=1e-10).fit(*problem)
    assert rows[-1, 1] == np.count_nonzero(model.coef_)
    assert rows[-1, 2] == pytest.approx(model.score(*problem), abs=1e-4)


@pytest.mark.parametrize("low, high", [("no", "yes"), ("a b", "ä"), ("0", "1"), ("-1", "2.5")])
def test_a_target_of_two_values_is_a_logistic_regression(tmp_path, capsys, problem, low, high):
    X, y = problem
    labels = np.where(y + np.random.default_rng(1).standard_normal(40) > 0, high, low)
    path = tmp_path / "data.csv"
    rows = [",".join([*map(str, row), label]) for row, label in zip(X, labels)]
    path.write_text("\n".join(["a,b,c,d,e,f,bought", *rows]), encoding="utf-8")
    assert main([str(path), "--target", "bought", "--tol", "1e-9", *SHORT]) == 0
    out, err = capsys.readouterr()
    assert "two values" in err and high in err and "logistic regression, lasso" in out and "D^2" in out
    rows = table(out)
    alpha, kept, explained, gap = rows[-1]
    found = LogisticRegression(C=1 / (40 * alpha), l1_ratio=1.0, tol=1e-10).fit(X, labels)
    assert kept == np.count_nonzero(found.coef_) > 0
    assert explained == pytest.approx(1 - log_loss(labels, found.predict_proba(X)) / log_loss(
        labels, np.full(40, np.mean(labels == high))), abs=1e-4)
    assert gap <= 1e-9
    if high == "1":
        assert main([str(path), "--target", "bought", "--model", "quadratic", *SHORT]) == 0
        out, err = capsys.readouterr()
        assert "R^2" in out and "logistic" not in out + err


def test_text_of_more_values_is_a_multinomial_regression(tmp_path, capsys, problem):
    X, _ = problem
    noise = np.random.default_rng(1).gumbel(size=(40, 3))
    labels = np.array(["ape", "bee", "cat"])[np.argmax(X[:, :3] + noise, axis=1)]
    path = tmp_path / "data.csv"
    rows = [",".join([*map(str, row), label]) for row, label in zip(X, labels)]
    path.write_text("\n".join(["a,b,c,d,e,f,animal", *rows]), encoding="utf-8")
    assert main([str(path), "--target", "animal", "--tol", "1e-9", "--plot", str(tmp_path / "p.png"), *SHORT]) == 0
    out, err = capsys.readouterr()
    assert "3 values, from 'ape' to 'cat': a multinomial regression" in err
    assert "multinomial regression, lasso" in out and "D^2" in out and (tmp_path / "p.png").stat().st_size > 10_000
    alpha, kept, explained, gap = table(out)[-1]
    found = LogisticRegression(C=1 / (40 * alpha), l1_ratio=1.0, tol=1e-10).fit(X, labels)
    assert kept == np.count_nonzero(found.coef_) > 0
    shares = np.unique(labels, return_counts=True)[1] / 40
    assert explained == pytest.approx(1 - log_loss(labels, found.predict_proba(X)) / -np.sum(shares * np.log(shares)),
                                      abs=1e-4)
    assert gap <= 1e-9
    np.savez(tmp_path / "data.npz", X=X, y=np.argmax(X[:, :3], axis=1))
    assert main([str(tmp_path / "data.npz"), "--model", "multinomial", *SHORT]) == 0
    assert "multinomial regression" in capsys.readouterr().out
    assert main([str(tmp_path / "data.npz"), "--model", "multinomial", "--n-alphas", "3"]) == 0
    assert "scikit-learn is left out" in capsys.readouterr().err


def test_counts_are_a_poisson_regression_if_told_so(tmp_path, capsys, problem):
    X, _ = problem
    y = np.random.default_rng(1).poisson(np.exp(X[:, 0] + 1))
    np.savez(tmp_path / "data.npz", X=X, y=y)
    assert main([str(tmp_path / "data.npz"), "--model", "poisson", "--n-alphas", "3"]) == 0
    out, err = capsys.readouterr()
    assert "Poisson regression, lasso" in out and "no Poisson regression with an L1 penalty" in out and not err
    alpha, kept, explained, _ = table(out)[-1]
    found = PoissonRegressor(alpha=alpha, l1_ratio=1.0, tol=1e-10).fit(X, y)
    assert kept == np.count_nonzero(found.coef_)
    assert explained == pytest.approx(found.score(X, y), abs=1e-4)


def test_models_that_the_target_does_not_suit(tmp_path, capsys, problem):
    X, y = problem
    path = tmp_path / "data.csv"
    path.write_text("a,y\n1,red\n2,blue\n3,green\n")
    told = failure(capsys, str(path), "--target", "y", "--model", "logistic")
    assert "text of more than two values, such as 'blue' and 'red': it takes --model multinomial" in told
    np.savez(tmp_path / "many.npz", X=np.ones((101, 1)), y=np.arange(101))
    assert "classes are at most 100" in failure(capsys, str(tmp_path / "many.npz"), "--model", "multinomial")
    path.write_text("a,y\n1,red\n2,blue\n3,red\n")
    assert "takes numbers" in failure(capsys, str(path), "--target", "y", "--model", "poisson")
    path.write_text("a,y\n1,red\n2, \n3,red\n")
    assert "column 'y' is not numeric: an empty cell in line 3" in failure(capsys, str(path), "--target", "y")
    path.write_text("a,y\n1,red\n2,red\n")
    assert "constant" in failure(capsys, str(path), "--target", "y")
    path.write_text("a,y\n1,2\n2,red\n")
    assert "column 'y' is not numeric: 'red' in line 3" in failure(capsys, str(path), "--target", "y")
    write_csv(path, X, y)
    assert "takes a target of two values" in failure(capsys, str(path), "--target", "y", "--model", "logistic")
    assert "must not be negative" in failure(capsys, str(path), "--target", "y", "--model", "poisson")
    assert "must be one of 'quadratic'" in failure(capsys, str(path), "--target", "y", "--model", "gama")
    assert "must be convex" in failure(capsys, str(path), "--target", "y", "--model", "tweedie(3)")
    assert "power must be" in failure(capsys, str(path), "--target", "y", "--model", "tweedie(0.5)")
    assert "y must be positive" in failure(capsys, str(path), "--target", "y", "--model", "gamma")


@pytest.mark.parametrize("model", ["gamma", "tweedie(1.5)", "huber(0.5)", "squared_hinge"])
def test_other_losses(tmp_path, capsys, problem, model):
    """By their names; the figures are the estimators'."""
    X, _ = problem
    y = np.exp(X[:, 0]) + 0.1
    labels = np.where(y > np.median(y), "yes", "no")
    np.savez(tmp_path / "data.npz", X=X, y=labels if model == "squared_hinge" else y)
    assert main([str(tmp_path / "data.npz"), "--model", model, "--n-alphas", "4"]) == 0
    out, err = capsys.readouterr()
    assert f"{model} loss, lasso" in out and "it has no L1 penalty for this loss" in err
    path = regularization_path(X, labels if model == "squared_hinge" else y, datafit=model, alphas=4, eps=1e-2,
                               tol=1e-6)
    for row, alpha, explained in zip(table(out), path.alphas, path.deviance_explained, strict=True):
        assert row[0] == pytest.approx(alpha, rel=1e-5) and row[2] == pytest.approx(explained, abs=2e-3)
        assert row[3] <= 1e-6


def test_scikit_learn_reaches_the_gap_of_a_logistic_path(problem):
    X, y = problem
    noisy = y + 3 * np.random.default_rng(1).standard_normal(40)
    data = modelled(Data("toy", X, np.where(noisy > 0, 1.0, 0.0)))
    path = regularization_path(X, data.y, datafit="logistic", alphas=4, eps=0.1, tol=1e-9)
    peer = run_scikit_learn(data, path.alphas, 1.0, 1e-4, 1, 60.0)
    assert peer.seconds > 0 and peer.gap <= 1e-4, peer


def test_csv_with_quotes_and_byte_order_mark(tmp_path, capsys):
    text = '\ufeff"first, of two",b,y\n"1",2,3\n4,5,7\n7,1,1\n\n'
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    assert main([str(tmp_path / "data.csv"), "--target", "first, of two", *SHORT]) == 0
    assert "3 samples x 2 features" in capsys.readouterr().out


def test_other_formats_agree_with_csv(tmp_path, capsys, problem):
    X, y = problem
    X = np.where(np.abs(X) > 0.7, X, 0)
    write_csv(tmp_path / "data.csv", X, y)
    dump_svmlight_file(X, y, str(tmp_path / "data.svm"))
    np.savez(tmp_path / "dense.npz", X=X, y=np.zeros(3), other=y)
    sparse.save_npz(tmp_path / "csr.npz", sparse.csr_matrix(X))
    arrays = dict(np.load(tmp_path / "csr.npz"))
    np.savez(tmp_path / "csr.npz", **arrays, y=y)
    runs = [["data.csv", "--target", "y"], ["data.svm"], ["dense.npz", "--target", "other"], ["csr.npz"]]
    tables, kinds = [], []
    for name, *rest in runs:
        assert main([str(tmp_path / name), *rest, *SHORT, "--l1-ratio", "0.5", "--eps", "0.1"]) == 0
        out = capsys.readouterr().out
        tables.append(table(out)[:, :3])
        kinds.append("sparse" in out)
    assert kinds == [False, True, False, True]
    for other in tables[1:]:
        np.testing.assert_allclose(other, tables[0], rtol=1e-4)


def test_csv_mistakes(tmp_path, capsys, problem):
    path = tmp_path / "data.csv"
    write_csv(path, *problem)
    good = path.read_text()
    assert "--target COLUMN" in failure(capsys, str(path))
    assert "no column 'z'; columns: x0, x1" in failure(capsys, str(path), "--target", "z")
    assert "no column number 7 of 7" in failure(capsys, str(path), "--target", "7")
    cases = {
        "": "no data",
        "a,b,y\n": "no data",
        "a,b,y\n1,red,3\n4,5,6\n": "column 'b' is not numeric: 'red' in line 2",
        "a,b,y\n1,2,3\n4,,6\n": "column 'b' is not numeric: an empty cell in line 3",
        "a,b,y\n1,2,3\n4,5\n": "line 3 has 2 values, the first line 3",
        "a,b,y\n1,2\n4,5\n": "line 2 has 2 values",
        "a,b,y\n1,2,3\n4,5,3\n": "constant",
        "a,b,y\n1,2,3\nnan,5,4\n": "column 'a' is not finite: 'nan' in line 3",
        "y\n1\n2\n": "no data (2 rows, 0 features)",
        "y,y,a\n1,2,3\n3,4,6\n": "2 columns are named 'y'",
    }
    for text, message in cases.items():
        path.write_text(text)
        assert message in failure(capsys, str(path), "--target", "y"), text
    path.write_bytes(good.encode("utf-16"))
    assert "UTF-8" in failure(capsys, str(path), "--target", "y")


def test_other_mistakes(tmp_path, capsys, problem):
    X, y = problem
    assert "No such file" in failure(capsys, str(tmp_path / "none.npz"))
    assert "unknown ending" in failure(capsys, str(tmp_path))
    (tmp_path / "words.svm").write_text("not a data file\n")
    assert "not in svmlight format" in failure(capsys, str(tmp_path / "words.svm"))
    assert "--target" in failure(capsys, str(tmp_path / "words.svm"), "--target", "y")
    assert "--target" in failure(capsys, "--target", "y")
    (tmp_path / "words.npz").write_text("not an archive\n")
    assert "not a .npz archive" in failure(capsys, str(tmp_path / "words.npz"))
    archives = {
        "no array 'y'; arrays: X": {"X": X},
        "X has 40 rows and the target has 39": {"X": X, "y": y[:-1]},
        "must be numbers": {"X": X.astype(str), "y": y},
        "two dimensions": {"X": X[0], "y": y},
        "no data": {"X": X[:0], "y": y[:0]},
        "'X' holds Python objects": {"X": X.astype(object), "y": y},
    }
    for message, arrays in archives.items():
        np.savez(tmp_path / "data.npz", **arrays)
        assert message in failure(capsys, str(tmp_path / "data.npz")), message


@pytest.mark.parametrize(
    "argv",
    [
        ["--l1-ratio", "2"],
        ["--l1-ratio", "-0.1"],
        ["--eps", "0"],
        ["--tol", "x"],
        ["--tol", "nan"],
        ["--n-alphas", "0"],
        ["--n-alphas", "1000000000"],
        ["--n-alphas", "9" * 5000],
        ["--threads", "1.5"],
        ["--threads", "1000000000"],
        ["--what"],
        ["--what\never"],
    ],
    ids=lambda argv: " ".join(argv)[:40],
)
def test_wrong_options(capsys, argv):
    assert argv[0].split()[0] in failure(capsys, *argv)


def test_a_reader_that_leaves_early_leaves_no_traceback():
    command = [sys.executable, "-m", "fastreg", *SHORT]
    env = os.environ | {"PYTHONPATH": str(Path(fastreg.__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(("where", "code", "told"), [
    ("> /dev/full", 1, "fastreg: error: cannot write the output: No space left on device\n"),
    (">&-", 1, "fastreg: error: cannot write the output: standard output is closed\n"),
    ("> /dev/null 2> /dev/full", 0, ""), ("> /dev/null 2>&-", 0, ""), ("no.csv > /dev/full 2> /dev/full", 2, ""),
    ("no.csv 2>&-", 2, "")])  # fmt: skip
def test_output_that_cannot_be_written(where, code, told):
    command = f"{sys.executable} -m fastreg {' '.join(SHORT)} {where}"
    here = Path(fastreg.__file__).parents[1]
    done = subprocess.run(command, shell=True, cwd=here, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (code, told)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_no_file(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no regular file" in failure(capsys, str(tmp_path / "pipe.csv"), "--target", "y")


@pytest.mark.parametrize("place", ["load", "_fit", "_judged"])
def test_an_interrupt_is_one_line(place, tmp_path, capsys, monkeypatch, problem):
    def interrupted(*args):
        raise KeyboardInterrupt

    write_csv(tmp_path / "a.csv", *problem)
    monkeypatch.setattr(f"fastreg.cli.{place}", interrupted)
    assert main([str(tmp_path / "a.csv"), "--target", "y", *SHORT]) == 130
    assert capsys.readouterr().err == "fastreg: interrupted\n"


def test_scikit_learn_that_cannot_be_started_is_told(problem, monkeypatch):
    def start(process):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", start)
    X, y = problem
    found = run_scikit_learn(Data("", X, y), [0.1], 1.0, 1e-6, None, 30.0)
    assert found.seconds is None and found.problem == "its process did not start: Resource temporarily unavailable"


def test_a_terminal_that_has_gone_ends_no_fit():
    class Gone(io.StringIO):
        def isatty(self):
            return True

        def flush(self):
            raise OSError(5, "Input/output error")

    bar = Bar(stream=Gone(), brief=True)
    bar(1, 2)
    bar(2, 2)
    bar.close()
    assert not bar.enabled and bar.stream.getvalue().count("penalty") == 1


def test_plot(tmp_path, capsys):
    out = tmp_path / "path.png"
    assert main([*SHORT, "--plot", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "must end in" in failure(capsys, "--plot", "path.what")


def test_a_plot_names_the_columns_and_marks_the_choice(tmp_path, monkeypatch, problem):
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: figures.append(figure))
    names = ["area", "rooms", "age", "floor", "lift", "noise", "y"]
    write_csv(tmp_path / "a.csv", *problem, names=names)
    for more in ([], ["--cv", "3"]):
        assert main([str(tmp_path / "a.csv"), "--target", "y", *SHORT, "--plot", "p.png", *more]) == 0
    last, chosen = ({line.get_label() for line in figure.axes[0].lines} for figure in figures)
    assert {"area", "floor"} <= last & chosen
    assert not [label for label in last if label.startswith("alpha")]
    assert [label for label in chosen if label.startswith("alpha")]


def test_plot_without_matplotlib(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("matplotlib.backends.backend_agg")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert "fastreg-solver[plot]" in failure(capsys, "--plot", "path.png")


def test_scikit_learn_is_stopped_at_its_limit():
    data = load_bundled()
    alphas = np.geomspace(45, 1e-4, 1000)
    result = run_scikit_learn(data, alphas, 1.0, 1e-12, 1, limit=0.5)
    assert result.seconds is None
    assert result.problem == ""
    assert "gap not reached in 0 s" in "\n".join(comparison_lines(0.1, 1e-12, 1e-12, result))


def test_a_terminal_sees_that_scikit_learn_is_at_work(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    alphas = np.geomspace(45, 1e-4, 1000)
    run_scikit_learn(load_bundled(), alphas, 1.0, 1e-12, 1, limit=2.5)
    drawn = terminal.getvalue().split("\r")
    assert all(re.fullmatch(r"scikit-learn \[#*\.*\] [012] of 3 seconds at most", line) for line in drawn[1:-1])
    assert "2 of 3" in drawn[-2] and drawn[-1] == "\x1b[K"


def test_scikit_learn_failure_is_told():
    bad = Data("bad", np.ones((4, 2)), np.arange(3.0))
    assert run_scikit_learn(bad, np.array([1.0]), 1.0, 1e-6, 1, limit=30).problem


def test_time_limit_grows_with_our_time():
    assert time_limit(0.01) == 30
    assert time_limit(100) == 500


def test_a_slower_fastreg_says_so():
    lines = comparison_lines(2.0, 1e-7, 1e-6, PeerResult(1.0, 1e-7, 1e-6, 30.0))
    assert lines[-1] == "fastreg is slower: it takes 2 times as long."
    assert "short of the 1e-08 asked for" in comparison_lines(2.0, 1e-7, 1e-8, None)[-1]


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_referee_knows_right_from_wrong(problem, l1_ratio, convert):
    X, y = problem
    referee = Referee(convert(X + 5), y, l1_ratio)
    model = ElasticNet(alpha=0.1, l1_ratio=l1_ratio, tol=1e-14, max_iter=100_000).fit(X + 5, y)
    right = referee.judge(model.coef_, model.intercept_, 0.1)
    assert abs(right.gap) < 1e-10
    assert right.r2 == pytest.approx(model.score(X + 5, y))
    assert referee.judge(model.coef_ + 1e-3, model.intercept_ - 5e-3 * 6, 0.1).gap > 1e-8
    assert referee.judge(model.coef_, model.intercept_ + 1e-2, 0.1).gap > 1e-6


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_a_target_of_any_size(problem, size, tmp_path, capsys):
    X, y = problem
    np.savez(tmp_path / "big.npz", X=X, y=y * size)
    assert main([str(tmp_path / "big.npz"), "--n-alphas", "5", "--no-compare"]) == 0
    out, err = capsys.readouterr()
    assert "nan" not in out and "inf" not in out and not err


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_progress_bar():
    for stream, delay, drawn in ((Terminal(), 0.0, True), (Terminal(), 60.0, False), (io.StringIO(), 0.0, False)):
        bar = Bar(stream=stream, delay=delay, brief=True)
        bar(5, 10)
        assert ("5 of 10" in stream.getvalue()) == drawn
        bar.close()
        assert stream.getvalue().endswith("\x1b[K") == drawn
