"""The comparison at toy size: what it writes, what it does with wrong, slow and broken solvers, and the page."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp
from sklearn.linear_model import Ridge

import fastreg
from fastreg.referee import Referee

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
FIELDS = {
    "task", "data", "params", "solver", "version", "date", "threads", "target", "limit", "shape", "nnz",
    "import_seconds", "first_call_seconds", "memory", "curve", "seconds", "fastreg_seconds", "extrapolated",
    "refused", "problem",
}  # fmt: skip
SHAPES = ["correlated:60:20:0.5:5", "correlated:20:60:0.5:5", "text:60:40:8:3", "text:30:90:8:3"]
# Solvers that must not get a time: one is off in a coefficient, one stops early, one dies, one never ends.
FAULTY = '''
import os, time
from benchmarks.comparison import solvers

good = solvers.fastreg_path

@solvers.adapter("perturbed", "lasso_path", ladder=(1e-4, 1e-8))
def perturbed(problem, tol):
    answer = good(problem, tol)
    coefs = answer.coefs.toarray()
    coefs[abs(coefs[:, -1]).argmax(), -1] *= 1.01
    return answer._replace(coefs=coefs)

@solvers.adapter("early", "lasso_path", ladder=(1e-4, 1e-8))
def early(problem, tol):
    answer = good(problem, tol)
    return answer._replace(coefs=answer.coefs[:, :-1], intercepts=answer.intercepts[:-1], alphas=answer.alphas[:-1])

@solvers.adapter("crashing", "lasso_path", ladder=(1e-4,))
def crashing(problem, tol):
    if len(problem.y) > 70:
        os._exit(3)
    return good(problem, tol)

@solvers.adapter("endless", "lasso_path", ladder=(1e-4, 1e-8))
def endless(problem, tol):
    if tol == 1e-8:
        time.sleep(1000)
    answer = good(problem, tol)
    return answer._replace(coefs=0.9 * answer.coefs)
'''


def package(name):
    """A module of benchmarks/; the repository root stays off sys.path, where it would hide the installed package."""
    if "benchmarks" not in sys.modules:
        spec = importlib.util.spec_from_file_location("benchmarks", BENCHMARKS / "__init__.py")
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"benchmarks.{name}")


command, tasks, solvers, results, tables, figures, readme, measure = (
    package(f"comparison.{name}")
    for name in ("command", "tasks", "solvers", "results", "tables", "figures", "readme", "measure")
)
workloads = package("workloads")


def run(script, *arguments):
    """Run a script of benchmarks/ with the fastreg of this process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fastreg.__file__).parents[1])}
    started = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    return subprocess.run(started, capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Output, results and folder of a toy run with a sound peer."""
    folder = tmp_path_factory.mktemp("compare")
    options = ("--toy", "--solvers", "scikit-learn", "--tasks", "lasso_path,scaling", "--reps", 1)
    done = run("compare.py", *options, "--out", folder / "results.json", "--figures", folder / "figures")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "results.json").read_text()), folder


def test_records(compared):
    output, found, _ = compared
    assert found["schema"] == results.SCHEMA
    assert {"processor", "cores", "memory_gb", "system", "python", "blas"} <= set(found["machine"])
    assert {(record["task"], record["solver"]) for record in found["records"]} == {
        ("lasso_path", solver) for solver in ("fastreg", "scikit-learn")
    }
    for record in found["records"]:
        assert set(record) >= FIELDS
        assert record["seconds"] > 0 and record["curve"][-1]["error"] <= record["target"] == 1e-6
        assert all(point["error"] > 1e-6 for point in record["curve"][:-1])
        assert (record["solver"] == "fastreg") == (record["fastreg_seconds"] is None)
    for name in ("lasso_path", "Lasso paths", "toy-text", "scikit-learn 1.", "Scaling: exponents"):
        assert name in output


def test_figures(compared):
    _, found, folder = compared
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert drawn == {f"{name}-{style}.svg" for name in figures.FIGURES for style in figures.STYLES}
    assert figures.names(found) == list(figures.FIGURES)
    assert figures.names({"records": []}) == []


def test_rows_are_replaced_and_others_kept(compared):
    _, found, _ = compared
    again = json.loads(json.dumps(found))
    new = {**found["records"][0], "seconds": 1.5}
    other = {**found["records"][0], "data": "another"}
    results.merge(again, [new, other])
    assert len(again["records"]) == len(found["records"]) + 1
    assert [record["seconds"] for record in again["records"] if record["data"] == new["data"]].count(1.5) == 1


def test_faulty_solvers_get_no_time(tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    names = ("perturbed", "early", "crashing", "endless")
    options = ("--toy", "--tasks", "lasso_path", "--data", "toy-text", "--solvers", ",".join(names), "--limit", 1)
    done = run("compare.py", *options, "--adapters", tmp_path / "faulty.py", "--out", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    records = {record["solver"]: record for record in json.loads((tmp_path / "results.json").read_text())["records"]}
    assert records.pop("fastreg")["seconds"] > 0
    assert set(records) == set(names)
    assert all(record["seconds"] is None for record in records.values())
    problems = {name: record["problem"] for name, record in records.items()}
    assert problems["perturbed"] == problems["early"] == "no tolerance reaches 1e-06"
    assert records["perturbed"]["curve"][-1]["error"] > 1e-6
    assert records["early"]["curve"][-1]["error"] == np.inf
    assert "ended with code 3" in problems["crashing"]
    assert problems["endless"] == "not within 1 s"
    assert "not reached: perturbed, early, crashing, endless" in done.stdout


@pytest.mark.parametrize("data", tasks.TOY_DATA)
def test_judge_of_paths(data):
    problem = tasks.Problem(tasks.Case.make("enet_path", data, {"n_alphas": 20, "eps": 0.01}))
    path = fastreg.regularization_path(problem.X, problem.y, l1_ratio=0.5, alphas=problem.alphas, tol=1e-10)
    answer = tasks.Answer(path.coefs, path.intercepts, path.alphas)
    judge = tasks.judge(problem)
    assert judge.error(answer) <= 1e-9
    for column in (5, 19):
        coefs = path.coefs.toarray()
        coefs[np.abs(coefs[:, column]).argmax(), column] *= 1.01
        verdicts = Referee(problem.X, problem.y, 0.5).judge_path(coefs, path.intercepts, path.alphas)
        wrong = judge.error(answer._replace(coefs=coefs))
        assert wrong == pytest.approx(max(verdict.gap for verdict in verdicts), rel=1e-8) and wrong > 1e-6
    assert judge.error(answer._replace(intercepts=path.intercepts + 0.1)) > 1e-6
    assert judge.error(answer._replace(coefs=np.nan * path.coefs.toarray())) == np.inf


@pytest.mark.parametrize("data", tasks.TOY_DATA)
@pytest.mark.parametrize("task", ["logistic_path", "logistic_fit", "logistic_l2", "poisson_path", "gamma_path",
                                  "tweedie_path", "gamma_l2", "tweedie_l2"])
def test_judge_of_other_losses(task, data):
    problem = tasks.Problem(tasks.Case.make(task, data, {"n_alphas": 3} if "path" in task else {}, toy=True))
    if task == "poisson_path":
        assert problem.y.min() >= 0 and np.all(problem.y == np.round(problem.y))
    elif problem.loss in tasks.POWERS:
        assert problem.y.min() > 0
    else:
        assert set(problem.y) == {-1.0, 1.0}
    path = minimisers(problem)
    judge = tasks.judge(problem)
    assert judge.error(path) <= 1e-8
    if problem.l1_ratio and "path" in task:
        assert not path.coefs[:, 0].any() and path.coefs[:, 1].any()       # at alpha_max all are zero
    coefs = path.coefs.copy()
    coefs[np.abs(coefs[:, -1]).argmax(), -1] *= 1.05
    assert np.inf > judge.error(path._replace(coefs=coefs)) > 1e-6
    assert judge.error(path._replace(intercepts=path.intercepts + 0.05)) > 1e-6
    assert judge.error(path._replace(coefs=np.nan * coefs)) == np.inf
    assert judge.error(path._replace(alphas=1.01 * np.asarray(path.alphas))) == np.inf
    if task == "logistic_l2":                       # what is missing, not what multiples of the residual say of it
        share = np.mean(problem.y > 0)
        null = -share * np.log(share) - (1 - share) * np.log(1 - share)

        def objective(coef):
            margin = problem.y * (problem.X @ coef + path.intercepts[0])
            return np.mean(np.logaddexp(0, -margin)) + problem.alphas[0] / 2 * coef @ coef

        missing = (objective(coefs[:, 0]) - objective(path.coefs[:, 0])) / null
        assert missing * (1 - 1e-6) <= judge.error(path._replace(coefs=coefs)) <= 1.01 * missing


@pytest.mark.parametrize("data", tasks.TOY_DATA)
@pytest.mark.parametrize("task", ["classes_path", "classes_l2"])
def test_judge_of_classes(task, data):
    problem = tasks.Problem(tasks.Case.make(task, data, {}, toy=True))
    labels = problem.y[:, None] == np.unique(problem.y)
    X, K, p = problem.X, labels.shape[1], problem.X.shape[1]
    assert K == 5
    right = solvers.ADAPTERS[solvers.OWN, task].run(problem, 1e-11)
    if sparse.issparse(right.coefs):
        right = right._replace(coefs=right.coefs.toarray())
    judge = tasks.judge(problem)
    assert judge.error(right) <= 1e-8
    wrong = right.coefs.copy()
    wrong[np.abs(wrong[:, -1]).argmax(), -1] *= 1.05

    def objective(coefs):
        W, alpha = coefs[:, -1].reshape(K, p), problem.alphas[-1]
        eta = X @ W.T + np.asarray(right.intercepts)[:, -1]
        loss = np.mean(logsumexp(eta, axis=1) - eta[labels])
        return loss + alpha * (problem.l1_ratio * np.abs(W).sum() + (1 - problem.l1_ratio) / 2 * np.sum(W**2))

    shares = labels.mean(axis=0)
    missing = (objective(wrong) - objective(right.coefs)) / -np.sum(shares * np.log(shares))
    assert missing > 1e-6
    assert missing * (1 - 1e-6) <= judge.error(right._replace(coefs=wrong)) < np.inf
    assert judge.error(right._replace(intercepts=right.intercepts[::-1])) > 1e-6
    assert judge.error(right._replace(coefs=wrong[:-1])) == np.inf
    assert judge.error(right._replace(alphas=1.01 * np.asarray(right.alphas))) == np.inf


def minimisers(problem):
    """Answers by proximal Newton steps, from the definitions alone: small problems only."""
    X = problem.X.toarray() if sparse.issparse(problem.X) else problem.X
    n, p = X.shape
    y = (problem.y + 1) / 2 if problem.loss == "logistic" else problem.y
    power = tasks.POWERS.get(problem.loss, 1.0)
    link = (lambda m: np.log(m / (1 - m))) if problem.loss == "logistic" else np.log
    mean_of = (lambda e: 1 / (1 + np.exp(-e))) if problem.loss == "logistic" else np.exp
    w, b, found = np.zeros(p), float(link(y.mean())), []
    for alpha in problem.alphas:
        l1, l2 = alpha * problem.l1_ratio, alpha * (1 - problem.l1_ratio)
        for _ in range(30):
            mean = mean_of(X @ w + b)
            slope = (mean - y) * (mean ** (1 - power) if problem.loss != "logistic" else 1)
            d = mean * (1 - mean) if problem.loss == "logistic" else (
                (2 - power) * mean ** (2 - power) + (power - 1) * y * mean ** (1 - power))
            z = X @ w + b - slope / d
            r = z - X @ w - b
            for _ in range(3000):
                step = d @ r / d.sum()
                b, r, most = b + step, r - step, abs(step)
                for j in range(p):
                    curvature = d @ X[:, j] ** 2 / n
                    if curvature == 0:
                        continue
                    u = (d * r) @ X[:, j] / n + curvature * w[j]
                    new = np.sign(u) * max(abs(u) - l1, 0) / (curvature + l2)
                    step, w[j] = new - w[j], new
                    r -= step * X[:, j]
                    most = max(most, abs(step))
                if most < 1e-11:
                    break
            if np.max(np.abs(mean_of(X @ w + b) - mean)) < 1e-10:
                break
        found.append((w.copy(), b))
    return tasks.Answer(np.column_stack([w for w, _ in found]), np.array([b for _, b in found]), problem.alphas)


@pytest.mark.parametrize("small", [tasks.RidgeJudge.SMALL, 0], ids=["cholesky", "conjugate gradients"])
@pytest.mark.parametrize("data", SHAPES)
def test_judge_of_ridge(data, small, monkeypatch):
    monkeypatch.setattr(tasks.RidgeJudge, "SMALL", small)
    problem = tasks.Problem(tasks.Case.make("ridge_targets", data, {"alpha": 0.3, "targets": 2}))
    judge = tasks.judge(problem)
    X = problem.X.toarray() if sparse.issparse(problem.X) else problem.X
    model = Ridge(0.3, solver="svd").fit(X, problem.y)
    answer = tasks.Answer(model.coef_.T, model.intercept_, [0.3])
    assert judge.error(answer) <= 1e-9
    coefs = model.coef_.T.copy()
    coefs[np.abs(coefs[:, 1]).argmax(), 1] *= 1 + 1e-4
    assert judge.error(answer._replace(coefs=coefs)) > 1e-6
    assert judge.error(answer._replace(intercepts=model.intercept_ + 1e-3)) > 1e-6
    assert judge.error(answer._replace(alphas=[0.31])) == np.inf


def test_extrapolation_and_losses_are_marked(compared):
    _, found, _ = compared
    own, record = found["records"][:2]
    record = {**record, "extrapolated": True, "seconds": 1.0, "fastreg_seconds": 2.0}
    (row,) = results.rows({"records": [own, record]})
    assert row.lost and row.ratio == 0.5
    cells = dict(zip(*tables.table([row])))
    assert cells["ratio"] == f"**0.500{tables.DAGGER}**" and cells["best peer"] == f"scikit-learn 1.00{tables.DAGGER}"
    assert len(tables.losses([row])) == 1


class Climber:
    """Stands for a worker whose error at a tolerance is given."""

    def __init__(self, error):
        self.error, self.tols = error, []

    def ask(self, seconds, method, **arguments):
        if method == "error":
            return {"error": self.error(self.tols[-1]), "nonzeros": 1, "alpha": 1.0}
        self.tols.append(arguments["tol"])
        return {"seconds": len(self.tols) + 0.0, "memory": 0}


@pytest.mark.parametrize("power", [0.5, 1, 2, 3, 6])
@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1, 100])
def test_the_loosest_tolerance_that_does_is_found(power, factor):
    ladder = [10.0**-k for k in range(3, 15)]
    does = [tol for tol in ladder if factor * tol**power <= 1e-6]
    worker = Climber(lambda tol: factor * tol**power)
    record = {"task": "lasso_path", "memory": None, "seconds": None, "curve": []}
    measure._climb(worker, record, ladder, measure.Options(1e-6, 20, 3, None))
    assert record["curve"][-1]["tol"] == (does[0] if does else ladder[-1])
    assert record["seconds"] == (1 + worker.tols.index(does[0]) if does else None)
    if power == 0.5 and factor == 1:
        assert len(worker.tols) < ladder.index(does[0])      # tolerances of no use were passed over


@pytest.mark.parametrize("option", ["--solvers", "--tasks", "--axes"])
def test_unknown_names_are_refused(option, capsys):
    assert command.main([option, "nothing"]) == 2 and "nothing, but " in capsys.readouterr().err


def test_exponent():
    assert results.exponent([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]) == pytest.approx(2)


def test_update_readme_is_idempotent_and_checks(compared):
    _, _, folder = compared
    page = folder / "benchmarks.md"
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    page.write_text(text)
    options = ["--results", str(folder / "results.json"), "--page", str(page)]
    assert readme.main([*options, "--check"]) == 1
    assert page.read_text() == text
    assert run("update_readme.py", *options).returncode == 0
    once = page.read_text()
    begin, end = readme.markers("results")
    assert text.split(begin)[0] == once.split(begin)[0]
    assert text.split(end)[1] == once.split(end)[1]
    pictures = sorted((folder / "figures").iterdir())
    contents = [path.read_bytes() for path in pictures]
    assert readme.main(options) == 0
    assert page.read_text() == once
    assert [path.read_bytes() for path in pictures] == contents
    assert readme.main([*options, "--check"]) == 0


@pytest.mark.skipif(not (BENCHMARKS / "results.json").exists(), reason="no results here")
def test_page_is_what_the_results_say():
    assert readme.main(["--check"]) == 0
    found = json.loads((BENCHMARKS / "results.json").read_text())
    for name in figures.names(found):
        for style in figures.STYLES:
            assert (ROOT / "docs" / "figures" / f"{name}-{style}.svg").exists()


def test_data_by_name(tmp_path, monkeypatch):
    X, y = workloads.correlated(20, 5, 0.5, 2)
    np.savez(tmp_path / "mine.npz", X=X, y=y)
    S = sparse.csr_matrix(X * (X > 0))
    np.savez(tmp_path / "thin.npz", data=S.data, indices=S.indices, indptr=S.indptr, shape=S.shape, y=y)
    monkeypatch.setenv("FASTREG_DATA", str(tmp_path))
    assert workloads.stored_names() == ["mine", "thin"]
    columns, rows = workloads.load("mine", "columns")[0], workloads.load("mine", "rows")[0]
    assert columns.flags.f_contiguous and rows.flags.c_contiguous
    np.testing.assert_array_equal(columns, rows)
    assert workloads.load("thin", "columns")[0].format == "csc" and workloads.load("thin", "rows")[0].format == "csr"
    assert workloads.load("digits", "rows")[0].dtype == np.float64
    with pytest.raises(FileNotFoundError, match="there is no"):
        workloads.load("absent", "rows")
    monkeypatch.delenv("FASTREG_DATA")
    with pytest.raises(FileNotFoundError, match="FASTREG_DATA"):
        workloads.load("mine", "rows")


def test_list_names_what_is_absent(monkeypatch):
    monkeypatch.setenv("PATH", str(Path(shutil.which("env")).parent / "nothing"))
    done = run("compare.py", "--list", "--out", "nothing.json")
    assert done.returncode == 0
    assert "glmnet: absent" in done.stdout and "liblinear: " in done.stdout and "ridge_cv_loo: fastreg" in done.stdout
