"""What `python -m fastreg` tells of one model: its coefficients by name, and the choice by cross-validation."""
import csv as tables
import json
import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

import fastreg
from fastreg import LogisticRegression, PoissonRegressor
from fastreg.cli import main
from fastreg.cli.chosen import spreads

NAMES = ["area", "rooms", "age, in years", "noise", "price"]
ROW = re.compile(r"^(.+?) +(-?[\d.]+(?:e[-+]\d+)?) +(-?[\d.]+(?:e[-+]\d+)?)$", re.MULTILINE)


@pytest.fixture
def problem():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((60, 4)) * [100.0, 1.0, 10.0, 1.0]
    return X, X @ [0.03, 2.0, -0.2, 0.0] + rng.standard_normal(60)


@pytest.fixture
def csv(tmp_path, problem):
    """The problem as a file, its target of any values."""
    def write(y=None):
        X, first = problem
        y = first if y is None else y
        rows = [",".join([*map(repr, map(float, row)), str(value)]) for row, value in zip(X, y)]
        path = tmp_path / "data.csv"
        path.write_text("\n".join([",".join(f'"{name}"' for name in NAMES), *rows]))
        return [str(path), "--target", "price", "--no-compare"]
    return write


def coefficients(out):
    """The last table: name, coefficient, and the coefficient times a standard deviation."""
    return {name: (float(value), float(effect)) for name, value, effect in ROW.findall(out.split("\nlargest")[1])}


@pytest.mark.parametrize("more, share", [([], 1e-2), (["--cv"], 1e-4), (["--cv", "--eps", "0.1"], 0.1)])
def test_the_path_goes_on_where_the_choice_is_at_its_end(csv, tmp_path, problem, more, share):
    """What matters most has the smallest unit, and is the last to come in."""
    X, y = problem[0], problem[1] + 20 * problem[0][:, 1]
    out = tmp_path / "model.json"
    assert main([*csv(y), "--n-alphas", "30", *more, "--output", str(out)]) == 0
    found = json.loads(out.read_text())
    last = found["cross_validation"]["alphas"][-1] if "--cv" in more else found["alpha"]
    assert last == pytest.approx(share * np.max(np.abs(X.T @ (y - y.mean()))) / len(y), rel=1e-6)


def test_coefficients_of_the_last_solution_by_name(csv, capsys, problem):
    X, y = problem
    assert main([*csv(), "--n-alphas", "4", "--tol", "1e-12"]) == 0
    out = capsys.readouterr().out
    alpha = float(re.search(r"the last solution, alpha=(\S+)", out)[1])
    model = Lasso(alpha=alpha, tol=1e-12).fit(X, y)
    shown = coefficients(out)
    expected = {name: value for name, value in zip(NAMES, model.coef_) if value}
    assert {name: value for name, (value, _) in shown.items()} == pytest.approx(expected, rel=1e-4)
    effects = [abs(effect) for _, effect in shown.values()]
    assert effects == sorted(effects, reverse=True)
    for name, (value, effect) in shown.items():
        assert effect == pytest.approx(value * np.std(X[:, NAMES.index(name)]), rel=1e-4)
    assert float(re.search(r"intercept (\S+)", out)[1]) == pytest.approx(model.intercept_, rel=1e-4)


def test_columns_without_names_are_numbered_as_the_file_does(tmp_path, capsys):
    (tmp_path / "data.svm").write_text("1 3:1 7:2\n2 3:2 7:1\n5 3:4 7:2\n4 3:3 7:1\n")
    assert main([str(tmp_path / "data.svm"), "--no-compare", "--n-alphas", "3"]) == 0
    assert "column 3" in coefficients(capsys.readouterr().out)
    np.savez(tmp_path / "data.npz", X=np.arange(8.0).reshape(4, 2) ** 2, y=[1.0, 2, 5, 4])
    assert main([str(tmp_path / "data.npz"), "--no-compare", "--n-alphas", "3"]) == 0
    assert set(coefficients(capsys.readouterr().out)) <= {"column 0", "column 1"}


def test_cross_validation_chooses_what_scikit_learn_scores_best(csv, capsys, problem):
    X, y = problem
    assert main([*csv(), "--n-alphas", "30", "--eps", "0.01", "--cv", "4", "--tol", "1e-10"]) == 0
    out = capsys.readouterr().out
    alphas = np.max(np.abs((X - X.mean(axis=0)).T @ (y - y.mean()))) / 60 * np.geomspace(1, 1e-2, 30)
    folds = KFold(4, shuffle=True, random_state=0)
    errors = [-cross_val_score(Lasso(alpha=alpha, tol=1e-10), X, y, cv=folds, scoring="neg_mean_squared_error").mean()
              for alpha in alphas]
    told = re.search(r"chosen by cross-validation: alpha=(\S+), l1_ratio=1: smallest squared error \((\S+),", out)
    assert float(told[1]) == pytest.approx(alphas[np.argmin(errors)], rel=1e-5)
    assert float(told[2]) == pytest.approx(min(errors), rel=1e-4)
    model = Lasso(alpha=float(told[1]), tol=1e-12).fit(X, y)
    for name, (value, _) in coefficients(out).items():
        assert value == pytest.approx(model.coef_[NAMES.index(name)], rel=1e-3)


def test_cross_validation_of_classes(csv, capsys, problem):
    X, y = problem
    labels = np.where(y > np.median(y), "yes", "no")
    assert main([*csv(labels), "--n-alphas", "10", "--cv", "--tol", "1e-9"]) == 0
    out = capsys.readouterr().out
    told = re.search(r"alpha=(\S+), l1_ratio=1: smallest deviance \((\S+), mean over 5 folds", out)
    model = LogisticRegression(C=1 / (60 * float(told[1])), l1_ratio=1.0, tol=1e-10)
    scores = cross_val_score(model, X, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0),
                             scoring="neg_log_loss")
    assert float(told[2]) == pytest.approx(-2 * scores.mean(), rel=1e-4)
    model.fit(X, labels)
    for name, (value, _) in coefficients(out).items():
        assert value == pytest.approx(model.coef_[0, NAMES.index(name)], rel=1e-3)


def test_cross_validation_of_several_classes_names_them(csv, capsys, problem):
    labels = np.array(["ape", "bee", "cat"])[np.digitize(problem[1], [-1.5, 1.5])]
    assert main([*csv(labels), "--n-alphas", "5", "--cv", "3"]) == 0
    shown = coefficients(capsys.readouterr().out)
    assert shown and all(re.match("(ape|bee|cat): ", name) for name in shown)


def test_cross_validation_of_counts(csv, capsys, problem):
    X, y = problem
    counts = np.random.default_rng(1).poisson(np.exp(y / 5 + 1))
    assert main([*csv(counts), "--model", "poisson", "--n-alphas", "5", "--cv", "3"]) == 0
    out = capsys.readouterr().out
    alpha = float(re.search(r"chosen by cross-validation: alpha=(\S+),", out)[1])
    model = PoissonRegressor(alpha=alpha, l1_ratio=1.0, tol=1e-10).fit(X, counts)
    for name, (value, _) in coefficients(out).items():
        assert value == pytest.approx(model.coef_[NAMES.index(name)], rel=1e-2)


def test_folds_that_cannot_be_made_are_told(csv, capsys, problem):
    assert main([*csv(), "--cv", "61"]) == 2
    assert "more folds than there are rows (60)" in capsys.readouterr().err
    labels = np.where(problem[1] > 0, "yes", "no")
    assert main([*csv(labels), "--model", "squared_hinge", "--cv"]) == 2
    assert "--cv: no class chooses" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*csv(), "--cv", "1"])
    assert "--cv: must lie between 2 and 1000" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csr", "csc", "bsr", "dia", "coo"])
@pytest.mark.parametrize("size", [1.0, 1e200])
def test_spreads_of_any_storage(form, size):
    X = np.random.default_rng(0).standard_normal((9, 5)) * size
    X[::2, 1] = X[:, 3] = 0
    columns = np.array([4, 1, 3])
    expected = np.std(X[:, columns] / size, axis=0) * size
    np.testing.assert_allclose(spreads(sparse.csr_matrix(X).asformat(form), columns), expected, rtol=1e-12)
    np.testing.assert_allclose(spreads(X, columns), expected, rtol=1e-12)


def test_a_model_as_json_predicts(csv, tmp_path, problem):
    X, y = problem
    out = tmp_path / "model.json"
    assert main([*csv(), "--cv", "3", "--n-alphas", "20", "--tol", "1e-12", "--output", str(out)]) == 0
    found = json.loads(out.read_text())
    model = Lasso(alpha=found["alpha"], tol=1e-12).fit(X, y)
    coef = np.zeros(4)
    for term in found["coefficients"]:
        coef[NAMES.index(term["name"])] = term["value"]
    np.testing.assert_allclose(X @ coef + found["intercept"], model.predict(X), rtol=1e-6)
    assert found["loss"] == "quadratic" and found["l1_ratio"] == 1 and found["fastreg"] == fastreg.__version__
    assert found["asked"]["cv"] == 3 and found["asked"]["target"] == "price" and found["asked"]["tol"] == 1e-12
    assert 0 <= found["certificate"]["relative_gap"] <= 1e-12
    assert found["certificate"]["explained"] == pytest.approx(model.score(X, y), rel=1e-9)
    chosen = found["cross_validation"]
    assert chosen["alphas"][int(np.argmin(chosen["values"]))] == pytest.approx(found["alpha"], rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_model_of_classes_as_csv_and_json(csv, tmp_path, problem, classes):
    """Both hold the same numbers, to the last bit."""
    labels = np.array(["ape", "bee", "cat"])[np.digitize(problem[1], [-1.5, 1.5][: classes - 1])]
    for name in ("coefs.csv", "model.json"):
        assert main([*csv(labels), "--n-alphas", "4", "--output", str(tmp_path / name)]) == 0
    with open(tmp_path / "coefs.csv", newline="") as file:
        rows = list(tables.DictReader(file))
    found = json.loads((tmp_path / "model.json").read_text())
    assert found["classes"] == ["ape", "bee", "cat"][:classes] and found["cross_validation"] is None
    outputs = found["outputs"] if classes == 3 else [found | {"class": None}]
    expected = [(output["class"], name, value) for output in outputs for name, value in
                [("(intercept)", output["intercept"]),
                 *((term["name"], term["value"]) for term in output["coefficients"])]]
    assert [(row.get("class"), row["term"], float(row["coefficient"])) for row in rows] == expected
    assert len(rows) > classes
    for row in rows:
        assert float(row["alpha"]) == found["alpha"] and row["fastreg"] == fastreg.__version__
        assert row["loss"] == ("multinomial" if classes == 3 else "logistic")


def test_output_that_cannot_be_written_is_told_before_the_work(csv, tmp_path, capsys, monkeypatch):
    assert main([*csv(), "--n-alphas", "3", "--output", str(tmp_path / "folder.json" / "x.json")]) == 2
    assert "no such folder" in capsys.readouterr().err
    monkeypatch.setattr("fastreg.cli.load", None)
    assert main([*csv(), "--output", "model.pickle"]) == 2
    assert "must end in .json or .csv" in capsys.readouterr().err
    monkeypatch.undo()
    (tmp_path / "folder.json").mkdir()
    assert main([*csv(), "--n-alphas", "3", "--output", str(tmp_path / "folder.json")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_ridge_path(csv, tmp_path, capsys, problem):
    """From hardly any slope to nearly none of the penalty; each solution scikit-learn's, with n alpha for its alpha."""
    X, y = problem
    out = tmp_path / "model.json"
    assert main([*csv()[:3], "--l1-ratio", "0", "--cv", "4", "--tol", "1e-12", "--output", str(out)]) == 0
    told = capsys.readouterr()
    assert "; ridge, 100 penalty values" in told.out and "scikit-learn is left out" in told.err
    explained = [float(row.split()[2]) for row in told.out.splitlines() if re.match(r" +\S+ +4 +\d", row)]
    free = Ridge(1e-9).fit(X, y).score(X, y)
    assert explained[0] < 0.25 * free and explained[-1] == pytest.approx(free, abs=1e-4)
    found = json.loads(out.read_text())
    model = Ridge(60 * found["alpha"]).fit(X, y)
    assert [term["value"] for term in found["coefficients"]] == pytest.approx(model.coef_.tolist(), rel=1e-6)


@pytest.mark.parametrize("loss", ["logistic", "poisson", "gamma", "tweedie(1.5)", "huber(1.0)"])
def test_ridge_paths_of_other_losses_start_with_hardly_any_slope(tmp_path, capsys, problem, loss):
    X, y = problem
    y = np.where(y > 0, "b", "a") if loss == "logistic" else np.rint(np.exp(y / 3) * 10) + 1
    np.savez(tmp_path / "data.npz", X=X, y=y)
    asked = [str(tmp_path / "data.npz"), "--model", loss, "--l1-ratio", "0", "--no-compare", "--n-alphas", "8"]
    assert main(asked) == 0
    rows = re.findall(r"^ +\S+ +4 +(-?[\d.]+) +(\S+)$", capsys.readouterr().out, re.MULTILINE)
    explained, gaps = np.array(rows, float).T
    assert len(rows) == 8 and explained[0] < 0.4 and explained[0] < explained[-1] / 2 and np.all(gaps >= 0)
    assert gaps.max() <= 1e-6
