"""Seeds 0 to 9 of the random problems of `fuzz_stationary`; that it sees what is wrong."""
import fuzz_stationary
import pytest


@pytest.mark.parametrize("name", fuzz_stationary.LOSSES)
def test_random_problems(name, capsys):
    if name in ("focal", "cauchy"):
        pytest.importorskip("numba")
    said = fuzz_stationary.main(10, 0, name)
    # of a power so high, curvatures of rows may be further apart than digits
    assert not said["wrong"] and said["fine"] >= (8 if name == "tweedie(4.5)" else 10), capsys.readouterr().out


def test_an_answer_that_is_off_is_seen(monkeypatch):
    solve = fuzz_stationary.regularization_path

    def off(X, y, **given):
        path = solve(X, y, **given)
        path.coefs = 0.999 * path.coefs
        return path

    monkeypatch.setattr(fuzz_stationary, "regularization_path", off)
    said = [fuzz_stationary.verdict(seed, "tweedie(3.0)")[0] for seed in range(10)]
    assert said.count("wrong") > len(said) / 2
