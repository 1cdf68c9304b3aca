"""The report of `python -m fastreg`: one page that asks for nothing else, and its pictures."""
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from fastreg import regularization_path
from fastreg.cli import main
from fastreg.cli.pictures import COLOURS, HEIGHT, WIDTH, log_ticks, ticks

SHORT = ["--no-compare", "--n-alphas", "12"]


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 4))
    return X, X @ [3.0, 0, -2, 0.5] + rng.standard_normal(50)


def report(folder, X, y, *more):
    """The page as text, and as a tree: it is well-formed but for what HTML leaves open."""
    np.savetxt(folder / "a<b>.csv", np.column_stack([X, y]), delimiter=",", header="<i>one</i>,two,three&,four,y",
               comments="")
    out = folder / "report.html"
    assert main([str(folder / "a<b>.csv"), "--target", "y", *SHORT, "--report", str(out), *more]) == 0
    text = out.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(re.sub(r"<!DOCTYPE html>|<meta [^>]*>", "", text))
    return text, tree


def places(line):
    return np.array([point.split(",") for point in line.get("points").split()], dtype=float)


def test_a_page_stands_alone(tmp_path, problem):
    text, tree = report(tmp_path, *problem, "--cv", "3")
    assert not re.search(r"https?:|src=|href=|<script|@import|url\(", text)
    assert 'name="viewport"' in text and 'charset="utf-8"' in text
    assert "<i>one" not in text and "&lt;i&gt;one&lt;/i&gt;" in text and "three&amp;" in text
    assert "a&lt;b&gt;.csv" in text
    assert [part.text for part in tree.iter("h2")] == ["Path", "Choice", "Coefficients", "Certificate"]
    assert len(list(tree.iter("svg"))) == 2


def test_curves_are_the_path(tmp_path, problem):
    """Each named curve, brought back by two of its points to the units of the data, is a row of the path."""
    X, y = problem
    _, tree = report(tmp_path, X, y)
    picture = next(tree.iter("svg"))
    path = regularization_path(X, y, alphas=12, eps=1e-2, tol=1e-9)
    effects = np.asarray(path.coefs) * X.std(axis=0)[:, None]
    order = np.argsort(-np.abs(effects[:, -1]))
    lines = {line.get("stroke"): places(line) for line in picture.iter("polyline")}
    zero, top = lines[COLOURS[0]][0, 1], lines[COLOURS[0]][-1, 1]
    unit = effects[order[0], -1] / (top - zero)
    for colour, j in zip(COLOURS, order):
        if effects[j, -1]:
            x, height = lines[colour].T
            np.testing.assert_allclose((height - zero) * unit, effects[j], atol=0.1 * abs(unit))
            np.testing.assert_allclose(np.diff(x), np.diff(x)[0], atol=0.21)
            assert x.min() >= 0 and x.max() <= WIDTH and height.min() >= 0 and height.max() <= HEIGHT


def test_the_curve_of_folds_is_lowest_where_the_choice_is_marked(tmp_path, problem):
    text, tree = report(tmp_path, *problem, "--cv", "4")
    picture = list(tree.iter("svg"))[1]
    (line,) = picture.iter("polyline")
    x, height = places(line).T
    (chosen,) = [part for part in picture.iter("line") if part.get("class") == "chosen"]
    assert x[np.argmax(height)] == float(chosen.get("x1"))
    assert len([part for part in picture.iter("line") if part.get("class") == "error"]) == 12
    assert "By cross-validation: alpha=" in text


def test_a_choice_at_the_end_of_the_path_says_so(tmp_path, capsys, problem):
    """In words of the command line, on the page and on the terminal, once."""
    X, y = problem
    text, _ = report(tmp_path, X, y, "--cv", "4", "--eps", "0.5")
    printed = capsys.readouterr()
    told = "this is the smallest of the path, and a better one may lie beyond it: give a smaller --eps"
    assert told in text and told in printed.out and printed.err == ""
    assert told not in report(tmp_path, X, y - X @ [3.0, 0, -2, 0.5], "--cv", "4")[0]


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e4, 1e12])
def test_numbers_stand_beside_the_name_of_their_axis(tmp_path, problem, unit):
    X, y = problem
    for picture in report(tmp_path, X, y * unit, "--cv", "3")[1].iter("svg"):
        numbers = [text for text in picture.iter("text") if text.get("text-anchor") == "end"]
        assert len(numbers) > 1
        assert min(float(text.get("x")) - 7 * len(text.text) for text in numbers) > 17   # of 12 from 5 on


@pytest.mark.parametrize("more", [(), ("--l1-ratio", "0"), ("--n-alphas", "1"), ("--n-alphas", "2", "--cv")])
@pytest.mark.parametrize("kind", ["numbers", "two", "three", "tiny", "huge"])
def test_reports_of_all_kinds(tmp_path, problem, kind, more):
    X, y = problem
    if kind in ("two", "three"):
        y = np.digitize(y, [-1.5, 1.5][: 1 if kind == "two" else 2]).astype(float)
        more = (*more, "--model", "logistic" if kind == "two" else "multinomial")
    y = y * {"tiny": 1e-200, "huge": 1e150}.get(kind, 1.0)
    text, tree = report(tmp_path, X, y, *more)
    assert len(list(tree.iter("svg"))) == (more[:2] != ("--n-alphas", "1")) + ("--cv" in more)
    assert "nan" not in text and not re.search(r"\binf\b", text)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 0.1), (1e-200, 3e-200), (-1e150, 2e150), (5.0, 5.001)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 9 and found[0] >= low and found[-1] <= high
    np.testing.assert_allclose(np.diff(found), found[1] - found[0], rtol=1e-6)
    assert f"{found[1] - found[0]:e}"[0] in "125"


@pytest.mark.parametrize(("low", "high"), [(-2, 0), (-1.2, 0.9), (0.1, 1.4), (-9, 3)])
def test_ticks_of_alpha(low, high):
    found = np.array(log_ticks(low, high))
    assert 2 <= len(found) <= 6 and np.all(np.diff(found) > 0)
    assert low - 1e-12 <= np.log10(found[0]) and np.log10(found[-1]) <= high + 1e-12


def test_a_report_that_is_no_page(capsys):
    assert main(["--report", "page.pdf"]) == 2
    assert "--report cannot write 'page.pdf': the file must end in .html or .htm" in capsys.readouterr().err
