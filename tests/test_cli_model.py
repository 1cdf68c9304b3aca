"""What `python -m fastreg` tells of one model: its coefficients by name, and the choice by cross-validation."""
import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Lasso
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

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
    assert main([*csv(), "--n-alphas", "30", "--cv", "4", "--tol", "1e-10"]) == 0
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
