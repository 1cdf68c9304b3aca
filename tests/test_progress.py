"""Progress: one count for every long call, whoever listens."""

import io
import pickle
import pkgutil
import re
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.kernels.threads import Cancelled, Halt
from fastreg.solvers.gathered import Apart
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

import fastreg
from fastreg import costs, datafits, progress
from fastreg.estimators.reporting import ReportingMixin
from fastreg.penalties.elastic_net import Penalty
from fastreg.problem import Problem, Spec
from fastreg.progress import Bar, Progress, reporting
from fastreg.solvers.folds import FoldPaths, LockstepPaths, as_folds
from fastreg.solvers.lockstep import Lockstep
from fastreg.solvers.path import solve_path

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 12))
Y = X[:, :3].sum(axis=1) + RNG.standard_normal(90)
COUNTS = RNG.poisson(np.exp(0.3 * X[:, 0])).astype(float)
LABELS = (RNG.random(90) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
CLASSES = np.argmax(X[:, :3] + RNG.gumbel(size=(90, 3)), axis=1)
WIDE = np.hstack([X, RNG.standard_normal((90, 138))])
LONG = np.tile(X, (99, 1))                  # more rows than the engine takes where Newton's method is for all of them
MANY = np.geomspace(1, 1e-2, 200)
LOSS = datafits.custom(lambda y, eta: 0.5 * (y - eta) ** 2, lambda y, eta: eta - y, lambda y, eta: 1.0)


def path(X, y, **options):
    return lambda **listens: fastreg.regularization_path(X, y, **options, **listens)


def fit(kind, X, y, **options):
    return lambda **listens: kind(**options, **listens).fit(X, y)


# What is called, and how many units that is. Rounds and steps: at most.
CALLS = {
    "regularization_path": (path(X, Y), 100),
    "a few alphas": (path(X, Y, alphas=7), 7),
    "many alphas": (path(X, Y, alphas=MANY), 200),
    "targets of one scale": (path(X, np.column_stack([Y, -Y])), 100),
    "targets of two scales": (path(X, np.column_stack([Y, 1e160 * Y])), 100),
    "Poisson path": (path(X, COUNTS, datafit="poisson"), 100),
    "path of classes": (path(X, CLASSES, datafit="multinomial", alphas=20), 20),
    "classes under L2": (path(LONG, np.tile(CLASSES, 99), datafit="multinomial", l1_ratio=0, alphas=MANY[:9]), 9),
    "free classes": (path(X, CLASSES, datafit="multinomial", penalty_factor=np.arange(12), l1_ratio=0,
                          alphas=MANY[:9]), 9),
    "losses under L2": (path(WIDE, LABELS, datafit="logistic", l1_ratio=0, alphas=MANY), 200),
    "a loss of one's own": (path(X, Y, datafit=LOSS, alphas=9), 9),
    "a path that ends early": (path(X, Y, X_val=X, y_val=RNG.permutation(Y), patience=5), 100),
    "lasso_path": (lambda **listens: fastreg.lasso_path(X, Y, **listens), 100),
    "enet_path": (lambda **listens: fastreg.enet_path(sp.csc_array(X), Y, alphas=150, **listens), 150),
    "ridge_path": (lambda **listens: fastreg.ridge_path(X, Y, **listens), 3),
    "LassoCV": (fit(fastreg.LassoCV, X, Y), 500),
    "folds at the same time": (fit(fastreg.LassoCV, WIDE, Y, n_jobs=2, n_threads=2, alphas=40), 200),
    "ElasticNetCV": (fit(fastreg.ElasticNetCV, X, np.column_stack([Y, -Y]), l1_ratio=[0.5, 1], alphas=20, cv=3), 240),
    "paths that are kept": (fit(fastreg.ElasticNetCV, X, Y, l1_ratio=[0.5, 1], alphas=20, cv=3, keep_paths=True), 140),
    "folds that end early": (fit(fastreg.LassoCV, X, RNG.permutation(Y), n_alphas_no_change=3, cv=3), 300),
    "no fit of all rows": (fit(fastreg.LassoCV, X, Y, cv=3, refit=False, keep_paths=True), 300),
    "relaxed fits": (fit(fastreg.LassoCV, X, Y, cv=3, relax=True), 300),
    "relaxed counts": (fit(fastreg.PoissonRegressorCV, X, COUNTS, cv=3, alphas=10, relax=True), 30),
    "a scorer": (fit(fastreg.LassoCV, X, Y, cv=3, alphas=40, scoring="neg_median_absolute_error"), 120),
    "relaxed fits and a scorer": (fit(fastreg.ElasticNetCV, X, Y, cv=3, alphas=[0.1, 0.01], l1_ratio=[0.5, 1],
                                      relax=[0, 0.5, 1], scoring="neg_median_absolute_error"), 12),
    "a criterion": (fit(fastreg.ElasticNetCV, X, np.column_stack([Y, -Y]), l1_ratio=[0.5, 1], criterion="bic"), 400),
    "LogisticRegressionCV": (fit(fastreg.LogisticRegressionCV, X, LABELS, l1_ratios=(0.0, 1.0), cv=3), 60),
    "of L2 penalties": (fit(fastreg.LogisticRegressionCV, WIDE, LABELS, l1_ratios=(0.0,), Cs=40, cv=3), 120),
    "of L2 penalties and many rows": (fit(fastreg.LogisticRegressionCV, LONG, np.tile(LABELS, 99),
                                          l1_ratios=(0.0,), Cs=4, cv=3), 12),
    "of several classes": (fit(fastreg.LogisticRegressionCV, WIDE, CLASSES, l1_ratios=(0.0,), cv=3), 30),
    "by BIC": (fit(fastreg.LogisticRegressionCV, X, LABELS, l1_ratios=(1.0,), criterion="bic", Cs=100), 100),
    "PoissonRegressorCV": (fit(fastreg.PoissonRegressorCV, X, COUNTS, cv=3), 300),
    "GammaRegressorCV": (fit(fastreg.GammaRegressorCV, X, COUNTS + 1, cv=3, alphas=10), 30),
    "TweedieRegressorCV": (fit(fastreg.TweedieRegressorCV, X, COUNTS, power=1.5, cv=3, alphas=10), 30),
    "GeneralizedLinearRegressorCV": (fit(fastreg.GeneralizedLinearRegressorCV, X, Y, cv=3, alphas=10), 30),
    "RidgeCV": (fit(fastreg.RidgeCV, X, Y), 3),
    "RidgeCV by folds": (fit(fastreg.RidgeCV, X, Y, cv=4), 4),
    "RidgeCV by folds and a scorer": (fit(fastreg.RidgeCV, X, Y, cv=4, alphas=MANY, scoring="neg_max_error"), 800),
    "RidgeClassifierCV": (fit(fastreg.RidgeClassifierCV, X, CLASSES), 3),
    "RidgeClassifierCV by folds": (fit(fastreg.RidgeClassifierCV, X, LABELS, cv=3), 9),
    "LogisticRegression": (fit(fastreg.LogisticRegression, WIDE, LABELS, tol=1e-12), 100),
    "LogisticRegression of many rows": (fit(fastreg.LogisticRegression, LONG, np.tile(LABELS, 99), tol=1e-12), 100),
    "LogisticRegression, L1": (fit(fastreg.LogisticRegression, X, LABELS, l1_ratio=1.0, tol=1e-12, max_iter=70), 70),
    "LogisticRegression of classes": (fit(fastreg.LogisticRegression, LONG, np.tile(CLASSES, 99), tol=1e-9), 100),
    "PoissonRegressor": (fit(fastreg.PoissonRegressor, WIDE, COUNTS, tol=1e-12), 100),
    "GammaRegressor": (fit(fastreg.GammaRegressor, X, COUNTS + 1), 100),
    "TweedieRegressor": (fit(fastreg.TweedieRegressor, X, COUNTS, power=1.5), 100),
    "GeneralizedLinearRegressor": (fit(fastreg.GeneralizedLinearRegressor, X, Y, datafit=LOSS), 100),
    "HuberRegressor": (fit(fastreg.HuberRegressor, X, Y), 100),
    "HuberRegressor, L1": (fit(fastreg.HuberRegressor, X, Y, l1_ratio=1.0, alpha=1.0), 100),
}
# These jump: to the next l1_ratio or the end where a path ends early; over the rounds that are spared.
EARLY = {"a path that ends early", "folds that end early"}
ROUNDS = {name for name in CALLS if re.match(r"\w+Regress(or|ion)\b", name)}
EVERY_CALL = pytest.mark.parametrize("name", CALLS, ids=lambda name: name.replace(" ", "_"))
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"),
              pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


@EVERY_CALL
def test_every_long_call_counts_up_by_percents_and_ends_once(name):
    call, total = CALLS[name]
    seen, within = [], threading.Lock()

    def hear(done, of):
        assert within.acquire(blocking=False), "called twice at a time"
        seen.append((done, of))
        within.release()

    call(callback=hear)
    done = [k for k, _ in seen]
    assert {of for _, of in seen} == {total} and all(isinstance(k, int) for k in done)
    assert done == sorted(done) and done[0] >= 0 and done.count(total) == 1 and done[-1] == total
    steps = np.diff([0, *done])
    if name in ROUNDS:
        assert len(done) > 2 and steps[:-1].max() == 1
    elif name not in EARLY:
        assert steps.max() <= np.ceil(total / 100)


def test_every_estimator_that_reports_is_among_them():
    """And whatever takes `callback` takes `verbose`."""
    source = {type(call(callback=None)).__name__ for call, _ in CALLS.values()}
    reports = {name for name in fastreg.__all__ if isinstance(thing := getattr(fastreg, name), type)
               and issubclass(thing, ReportingMixin)}
    assert len(reports) > 10 and reports <= source
    cv = {name for name in fastreg.__all__ if name.endswith("CV")}
    assert cv <= reports


@EVERY_CALL
def test_what_a_callback_raises_ends_the_call(name):
    call, _ = CALLS[name]
    times = []

    def enough(done, total):
        times.append(done)
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        call(callback=enough)
    assert len(times) == 1


@EVERY_CALL
def test_a_bar_ends_its_line_at_the_total(name, capsys):
    call, total = CALLS[name]
    call(verbose=1)
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and err.endswith("\n") and err.startswith("\r")
    assert f"[{'#' * Bar.WIDTH}] {total} of {total} " in err.rpartition("\r")[2]


@pytest.mark.parametrize("options, error", [
    ({"callback": 3}, TypeError), ({"verbose": "x"}, TypeError), ({"verbose": -1}, ValueError)])
def test_listeners_are_checked(options, error):
    for call in (fastreg.ridge_path, fastreg.regularization_path, fastreg.lasso_path,
                 fastreg.RidgeCV(**options).fit, fastreg.HuberRegressor(**options).fit):
        with pytest.raises(error, match=next(iter(options))):
            call(X, Y, **({} if hasattr(call, "__self__") else options))


def test_nobody_pays_for_what_nobody_hears(monkeypatch):
    monkeypatch.setattr(progress, "Progress", None)
    with reporting(5, [None, None]) as report:
        assert report is None
    fastreg.LassoCV(alphas=3).fit(X, Y)


@pytest.mark.parametrize("name", ["regularization_path", "LassoCV", "of L2 penalties", "HuberRegressor"])
def test_answers_do_not_depend_on_who_listens(name):
    call, _ = CALLS[name]
    found = [call(callback=callback) for callback in (None, lambda done, total: None)]
    one, other = (path.coefs.toarray() if hasattr(path, "coefs") else path.coef_ for path in found)
    np.testing.assert_array_equal(one, other)


# ---- folds ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("storage", [np.asfortranarray, sp.csc_array])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_folds_report_whatever_way_they_are_solved(mode, storage, n_jobs):
    seen = []
    options = {"l1_ratio": [0.5, 1.0], "alphas": 60, "cv": 5, "n_jobs": n_jobs, "n_threads": n_jobs}
    fastreg.ElasticNetCV(**options, callback=lambda done, total: seen.append((done, total))).fit(storage(WIDE), Y)
    done = [k for k, _ in seen]
    assert {of for _, of in seen} == {600} and done == sorted(done) and done.count(600) == 1
    assert np.diff([0, *done]).max() <= 6 + (5 if n_jobs == 2 else 0)          # threads report for one another


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_group_that_comes_apart_goes_on_from_where_it_is(after, monkeypatch):
    """Its folds are solved one by one from then on, here after so many pieces of fifty penalties."""
    calls, advance = [], Lockstep.advance

    def some(self, alphas):
        calls.append(len(alphas))
        if len(calls) > after:
            raise Apart
        return advance(self, alphas)

    monkeypatch.setattr(Lockstep, "advance", some)
    folds = as_folds(KFold(3).split(X), 90)
    paths, told = LockstepPaths(Problem.of(X, Y[:, None], Penalty(), n_threads=1), Spec(100), folds), []
    paths.start(Penalty(), told.append)
    alphas = np.geomspace(1, 1e-3, 100)
    paths.advance(alphas[:50], last=False)
    assert max(told) == 150
    paths.advance(alphas[50:])
    assert told == sorted(told) and told[-1] == 300 and np.diff(told).max() <= 3
    assert len(calls) == min(after, 2) + (after < 2)


@pytest.mark.parametrize("y, X, loss", [(LABELS * 2.0 - 1, np.tile(X, (5, 1)), "logistic"),
                                        (LABELS * 2.0 - 1, WIDE, "logistic"), (CLASSES, WIDE, "multinomial")],
                         ids=["Newton", "kernel", "classes"])
def test_folds_that_are_to_end_do_so_within_a_step(y, X, loss, monkeypatch):
    monkeypatch.setattr(costs, "FEW_COLUMNS", 0)
    y = np.resize(y, len(X))
    target = np.eye(3)[y] if loss == "multinomial" else y[:, None]
    problem = Problem.of(X, target, Penalty(0.0), datafit=datafits.by_name(loss), n_threads=1)
    folds = as_folds([(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))], len(X))
    paths = FoldPaths(problem, Spec(MANY), folds)
    assert problem.by_ridge(Spec(MANY))
    told, halt = [], Halt()

    def report(done):
        told.append(done)
        halt.set()

    paths.start(Penalty(0.0), report)
    with pytest.raises(Cancelled):
        halt.run(paths.advance, MANY)
    assert len(told) == 1


@pytest.mark.parametrize("within, options, total", [
    ("fastreg.crossval.TestSets._scored", {"cv": 3, "scoring": "neg_max_error", "l1_ratio": [0.5, 1]}, 120),
    ("fastreg.crossval.refits_on_supports", {"cv": 3, "relax": True}, 60),
    ("fastreg.criteria.sums_and_degrees", {"criterion": "bic", "l1_ratio": [0.5, 1]}, 40)])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_comes_after_the_fits_has_its_share(within, options, total, n_jobs, monkeypatch):
    """Half of the count, where nothing else does."""
    place, name = within.rsplit(".", 1)
    place = pkgutil.resolve_name(place)
    work, heard, spans = getattr(place, name), [0], []

    def seen(*given):
        begin = heard[-1]
        found = work(*given)
        spans.append((begin, heard[-1]))
        return found

    monkeypatch.setattr(place, name, seen)
    fastreg.ElasticNetCV(**options, alphas=20, n_jobs=n_jobs, n_threads=n_jobs,
                         callback=lambda done, of: heard.append(done)).fit(X, Y)
    counted = sum(end - begin for begin, end in spans)
    assert heard[-1] == total and (abs(counted - total / 2) <= len(spans) if n_jobs == 1 else counted >= total / 3)


# ---- the count ------------------------------------------------------------------------------------------------------
@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_count_of_many_is_told_by_percents_and_now_and_then(clock):
    heard = []
    count = Progress(1000, [lambda done, total: heard.append(done)])
    for done in range(25):
        count(done)
    assert heard == [0, 10, 20]
    count(5)                                           # another thread's, that comes late
    clock[0] += 2 * progress.EVERY
    count(5)
    assert heard == [0, 10, 20, 24]
    for done in (999, 1000, 1000.5, 2000):
        count(done)
    assert heard[4:] == [999]
    count.finish()
    assert heard[4:] == [999, 1000]


def test_fractions_count_in_units(clock):
    heard = []
    count = Progress(100, [lambda done, total: heard.append(done)], units=100)
    for k in range(100):
        count((k + 1) / 100)                           # 100 * 0.29 is less than 29
    assert heard == list(range(1, 100))


def test_parts_of_a_call_are_put_together():
    told = []
    spec = Spec(4, report=told.append)
    spec.within(1, 2).report(3)
    spec.within(1, 2).report(5)                        # a fit more, of what has been found
    spec.after(8).within(0, 4).report(2)
    spec.tell(2, 250)
    assert told == [3.5, 4.0, 8.5, 2.25]
    assert Spec(4).within(1, 2).report is None and spec.within(0, 1) is spec


def test_targets_of_two_scales_are_one_call():
    told = []
    solve_path(Problem.of(X, np.column_stack([Y, 1e160 * Y]), Penalty()), Spec(100, report=told.append))
    assert told == sorted(told) and told[-1] == 100 and np.diff(told).max() <= 0.5


def test_a_call_that_fails_has_no_end(capsys):
    heard = []
    with pytest.raises(ZeroDivisionError), reporting(3, [Bar("work", "things"), lambda *at: heard.append(at)]) as count:
        count(1)
        raise ZeroDivisionError
    assert heard == [(1, 3)]
    assert capsys.readouterr().err == f"\rwork [{'#' * 10}{'.' * 20}] 1 of 3 things\n"


# ---- the bar --------------------------------------------------------------------------------------------------------
def test_a_bar_is_drawn_now_and_then_and_at_its_end(clock):
    stream = io.StringIO()
    bar = Bar(unit="pages", stream=stream)
    for done in range(1, 8):
        bar(done, 10)
        clock[0] += Bar.PERIOD / 2
    bar(10, 10)
    bar.close()
    drawn = stream.getvalue().split("\r")[1:]
    assert [line.split("]")[1].split()[0] for line in drawn] == ["1", "3", "5", "7", "10"]
    assert stream.getvalue().count("\n") == 1 and drawn[-1] == f"[{'#' * 30}] 10 of 10 pages\n"
    clock[0] += Bar.PERIOD
    bar(1, 2)                                          # of another call
    assert stream.getvalue().endswith("] 1 of 2 pages")


@pytest.mark.parametrize("brief", [True, False])
def test_a_bar_without_anything_to_draw_on_is_none(brief, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    bar = Bar(brief=brief)
    bar(1, 2)
    bar(2, 2)
    bar.close()
    assert not bar.enabled


# ---- scikit-learn's callbacks ---------------------------------------------------------------------------------------
class Recorder:
    """Follows scikit-learn's protocol, and is passed on to what a search or a pipeline fits."""

    max_propagation_depth = None

    def __init__(self):
        self.log = []

    def setup(self, estimator, context):
        self.log.append(("setup", context.estimator_name))

    def teardown(self, estimator, context):
        self.log.append(("teardown", context.estimator_name))

    def on_fit_task_begin(self, estimator, context):
        self.log.append(("begin", context.estimator_name, context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.log.append(("end", context.estimator_name, context.task_name))
        self.last = X, y, metadata, fitted_estimator

    def named(self, *start):
        return [entry for entry in self.log if entry[:len(start)] == start]


@pytest.fixture
def recorder():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has no callbacks before 1.9")
    return Recorder()


@pytest.mark.parametrize("model, y, tasks", [
    (fastreg.LassoCV(alphas=60, n_jobs=2, n_threads=2), Y, 100), (fastreg.LassoCV(alphas=3), Y, 15),
    (fastreg.LassoCV(criterion="bic"), Y, 100), (fastreg.LogisticRegressionCV(l1_ratios=(0.0,), cv=3), LABELS, 30),
    (fastreg.PoissonRegressorCV(alphas=5), COUNTS, 25), (fastreg.RidgeCV(), Y, 3), (fastreg.RidgeCV(cv=4), Y, 4),
    (fastreg.RidgeClassifierCV(), CLASSES, 3)], ids=str)
def test_callbacks_of_scikit_learn_hear_of_every_share_of_the_work(model, y, tasks, recorder):
    model = clone(model)
    assert model.set_callbacks(recorder) is model
    model.fit(X, y, sample_weight=np.ones(90))
    name = type(model).__name__
    assert recorder.log[:2] == [("setup", name), ("begin", name, "fit")]
    assert recorder.log[-2:] == [("end", name, "fit"), ("teardown", name)]
    for what in ("begin", "end"):
        assert len(recorder.named(what, name, "share of the work")) == tasks
    seen, target, metadata, fitted = recorder.last
    assert seen.shape == X.shape and len(target) == 90 and metadata["sample_weight"].sum() == 90
    np.testing.assert_array_equal(fitted.predict(X), model.predict(X))
    again = Recorder()
    model.set_callbacks(again).set_callbacks().fit(X, y)
    assert again.log == []


@pytest.mark.parametrize("model, y", [
    (fastreg.LogisticRegression(tol=1e-10), LABELS), (fastreg.PoissonRegressor(tol=1e-10), COUNTS),
    (fastreg.HuberRegressor(), Y)], ids=str)
def test_callbacks_of_scikit_learn_hear_of_rounds(model, y, recorder):
    clone(model).set_callbacks(recorder).fit(X, y)
    begun, ended = (recorder.named(what, type(model).__name__, "share of the work") for what in ("begin", "end"))
    assert 2 <= len(begun) == len(ended) < 30


def test_callbacks_of_scikit_learn_are_torn_down_whatever_happens(recorder):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyError("mine")

    model = fastreg.LassoCV().set_callbacks(recorder, Failing())
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y)
    assert recorder.log[-1] == ("teardown", "LassoCV") and not recorder.named("end", "LassoCV", "fit")
    model.set_callbacks().fit(X, Y)


def test_callbacks_of_scikit_learn_come_with_clones_pickles_and_searches(recorder):
    model = clone(fastreg.LassoCV(alphas=3, cv=3).set_callbacks(recorder))
    model.fit(X, Y)
    assert len(recorder.named("end", "LassoCV")) == 10
    again = pickle.loads(pickle.dumps(model))
    again.fit(X, Y)                                    # its own copy of the recorder
    assert len(recorder.named("end", "LassoCV")) == 10
    inner = Recorder()
    search = GridSearchCV(fastreg.LassoCV(alphas=3), {"cv": [2, 3]}, cv=2).set_callbacks(inner).fit(X, Y)
    assert len(inner.named("end", "LassoCV", "fit")) == 5 and inner.log[-1] == ("teardown", "GridSearchCV")
    shares = 2 * (6 + 9) + 3 * search.best_params_["cv"]
    assert len(inner.named("end", "LassoCV", "share of the work")) == shares


def test_what_follows_no_protocol_is_no_callback(recorder):
    with pytest.raises(TypeError, match="callback"):
        fastreg.RidgeCV().set_callbacks(print)
