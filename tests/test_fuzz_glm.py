"""Seeds 0 to 99 of the random problems of `fuzz_glm`; that it sees what is wrong."""
import fuzz_glm
import pytest


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_random_problems(first, capsys):
    assert not fuzz_glm.main(20, first), capsys.readouterr().out


def test_an_answer_that_is_off_is_seen(monkeypatch):
    solve = fuzz_glm.regularization_path

    def off(X, y, tol, **given):
        path = solve(X, y, tol=tol, **given)
        path.intercepts = path.intercepts + (1e-3 if tol > 0 and given["fit_intercept"] else 0)
        return path

    monkeypatch.setattr(fuzz_glm, "regularization_path", off)
    said = [fuzz_glm.verdict(seed)[0] for seed in range(20) if fuzz_glm.problem(seed)[-1]["fit_intercept"]]
    assert said.count("wrong") > len(said) / 2
