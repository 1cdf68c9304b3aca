"""Seeds 0 to 9 of the random problems of `fuzz_stationary`, paths and fits; that it sees what is wrong."""
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


@pytest.mark.parametrize("name", [name for name in fuzz_stationary.LOSSES if name != "focal"])
def test_random_fits_and_choices(name, capsys):
    if name == "cauchy":
        pytest.importorskip("numba")
    said = fuzz_stationary.main(10, 0, name, "fit")
    assert not said["wrong"] and said["fine"] >= 9, capsys.readouterr().out


@pytest.mark.parametrize("change", ["coefficients", "scores", "weights"])
def test_fits_that_are_off_are_seen(monkeypatch, change):
    class Single(fuzz_stationary.GeneralizedLinearRegressor):
        def fit(self, X, y, weights=None, offset=None):
            super().fit(X, y, None if change == "weights" else weights, offset)
            self.coef_ = (0.999 if change == "coefficients" else 1.0) * self.coef_
            return self

    class Chosen(fuzz_stationary.GeneralizedLinearRegressorCV):
        def fit(self, X, y, sample_weight=None, offset=None):
            super().fit(X, y, sample_weight=sample_weight, offset=offset)
            if change == "scores":
                self.cv_path_.fold_scores = self.cv_path_.fold_scores * (1 + 1e-5)
            return self

    monkeypatch.setattr(fuzz_stationary, "GeneralizedLinearRegressor", Single)
    monkeypatch.setattr(fuzz_stationary, "GeneralizedLinearRegressorCV", Chosen)
    said = [fuzz_stationary.verdict_of_fits(seed, "tweedie(3.0)")[0].partition(":")[0] for seed in range(8)]
    assert said.count("wrong") >= 3
