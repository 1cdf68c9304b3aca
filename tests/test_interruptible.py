"""Ctrl-C during long calls: it ends the wait for LAPACK at once, and work in other threads at its next look."""

import _thread
import signal
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.kernels.krylov import lanczos
from fastreg.kernels.lapack import cholesky, solved
from fastreg.kernels.threads import Cancelled, Halt, go_on

import fastreg
from fastreg import ridge_path
from fastreg.adapter import threads as pool
from fastreg.penalties.elastic_net import Penalty
from fastreg.solvers import interruptible as module
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.interruptible import in_threads, interruptible
from fastreg.solvers.ridge.krylov import iterate, stop
from fastreg.solvers.ridge.problem import RidgeProblem

LARGE = np.zeros((module.LARGE, module.LARGE))


def test_what_is_found_and_what_fails_comes_back():
    A = np.diag(np.arange(1.0, module.LARGE + 1))
    np.testing.assert_array_equal(interruptible(np.linalg.eigvalsh, A), np.arange(1.0, module.LARGE + 1))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):       # the settings of the caller hold there
        interruptible(lambda A: 1 / A, LARGE)
    with pytest.raises(np.linalg.LinAlgError):
        interruptible(np.linalg.inv, LARGE)


def test_small_matrices_stay_where_they_are():
    def here(A):
        return threading.current_thread()

    assert interruptible(here, LARGE[:-1]) is threading.main_thread()
    assert interruptible(here, LARGE) is not threading.main_thread()


def test_a_halt_ends_the_wait_of_any_thread():
    halt, release, done = Halt(), threading.Event(), threading.Event()

    def long(A):
        halt.set()
        release.wait(30)
        done.set()

    assert isinstance(raised_in_a_thread(lambda: halt.run(interruptible, long, LARGE)), Cancelled)
    assert not done.is_set()
    release.set()
    assert done.wait(5)


@pytest.mark.parametrize("shape", [(0,), (1,), (30,), (5, 6)])
def test_equations_of_a_factor_are_solved(shape):
    n = int(np.prod(shape))
    rng = np.random.default_rng(n)
    B, b = rng.standard_normal((n, n)), rng.standard_normal((2, *shape))[1]
    A = np.asfortranarray(B @ B.T + np.eye(n))
    factor, before = A.copy(order="F"), b.copy()
    assert not cholesky(factor)
    found = solved(factor, b)                                # whatever the other triangle holds
    np.testing.assert_allclose(A @ found.ravel(), b.ravel(), atol=1e-10)
    np.testing.assert_array_equal(b, before)
    assert found.shape == shape


def test_the_factor_is_the_matrix_s_and_python_goes_on_meanwhile():
    B = np.random.default_rng(0).standard_normal((700, 700))
    A = np.asfortranarray(B @ B.T + np.eye(700))
    for _ in range(100):
        L, spans, ticks = A.copy(order="F"), [], []

        def work(L=L, spans=spans):
            spans.append(time.monotonic())
            assert not cholesky(L)
            spans.append(time.monotonic())

        worker = threading.Thread(target=work)
        worker.start()
        while worker.is_alive():
            ticks.append(time.monotonic())
        begin, end = spans
        if any(0.7 * begin + 0.3 * end < tick < 0.3 * begin + 0.7 * end for tick in ticks):
            break
    else:
        raise AssertionError("no tick of the clock was seen within any of the calls")
    np.testing.assert_allclose(np.tril(L) @ np.tril(L).T, A, rtol=0, atol=1e-12 * np.trace(A))
    np.testing.assert_array_equal(np.triu(L, 1), np.triu(A, 1))
    assert cholesky(np.asfortranarray(-A)) and not cholesky(np.empty((0, 0), order="F"))


@pytest.fixture
def heard():
    """Interrupts are heard, also where the tests run in the background of a shell, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_the_wait_and_one_thread_of_blas_the_call(heard):
    release, done = threading.Event(), threading.Event()

    def long(A):
        release.wait(30)
        done.set()

    depth, start = single_threaded_blas._depth, time.monotonic()
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt), single_threaded_blas:
        interruptible(long, LARGE)
    assert time.monotonic() - start < 5 and not done.is_set()
    assert single_threaded_blas._depth == depth + 1
    release.set()
    assert done.wait(5)
    for _ in range(100):
        if single_threaded_blas._depth == depth:
            break
        time.sleep(0.02)
    assert single_threaded_blas._depth == depth


# ---- other threads --------------------------------------------------------------------------------------------------
def raised_in_a_thread(work):
    """What `work` raises in a thread of its own, which looks at signals first of all; None where it ends."""
    errors = []

    def run():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def look_on():
    """Half a minute of work that looks at what ends it."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        go_on()


def test_a_halt_is_of_the_thread_and_the_call_that_are_under_it():
    outer, inner = Halt(), Halt()
    outer.set()
    assert go_on() == 0
    with pytest.raises(Cancelled):
        outer.run(go_on)
    assert outer.run(lambda: inner.run(go_on)) == 0 and go_on() == 0
    with pytest.raises(ValueError, match="own"):
        outer.run(int, "own")
    assert go_on() == 0                                          # also after what has failed


@pytest.mark.parametrize("threads", [1, 2])
def test_tasks_that_do_not_look_themselves_end_between_two_of_them(threads):
    halt, done = Halt(), []

    def task(k):
        done.append(k)
        halt.set()
        time.sleep(0.1)                                          # longer than from look to look

    assert isinstance(raised_in_a_thread(lambda: halt.run(pool.call, task, 100, threads)), Cancelled)
    assert len(done) <= 4


def test_one_that_fails_ends_the_others_and_its_error_is_raised():
    met, ended = threading.Barrier(2), []

    def work(k):
        met.wait(30)
        if k == 1:
            raise KeyError("of the second")
        try:
            look_on()
        except Cancelled:
            ended.append(k)
            raise

    with pytest.raises(KeyError, match="second"):
        in_threads(2, work, 2)
    assert ended == [0]


def test_results_come_in_order_and_what_has_not_begun_never_begins():
    assert in_threads(2, lambda k: time.sleep(0.01 * (3 - k)) or k, 4) == [0, 1, 2, 3]
    begun = []

    def work(k):
        begun.append(k)
        if k == 0:
            raise ValueError
        look_on()

    with pytest.raises(ValueError):
        in_threads(2, work, 50)
    assert len(begun) <= 3


RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 40))
Y = X[:, 0] + RNG.standard_normal(120)
CLASSES = np.digitize(Y, [-1, 1])
SPARSE = sp.random(150, 90, 0.1, "csr", random_state=0)
ALPHAS = np.geomspace(1e-2, 1e6, 9)
OF_SPARSE = RNG.standard_normal(150)
LONG = {
    "lasso": lambda: fastreg.LassoCV(n_jobs=1).fit(X, Y),
    "lasso, sparse": lambda: fastreg.LassoCV(n_jobs=1).fit(SPARSE, OF_SPARSE),
    "leave-one-out": lambda: fastreg.RidgeCV(ALPHAS, n_threads=1).fit(X, Y),
    "ridge by folds": lambda: fastreg.RidgeCV(ALPHAS, cv=3, n_threads=1).fit(X, Y),
    "ridge by folds, sparse": lambda: fastreg.RidgeCV(ALPHAS, cv=3, n_threads=1).fit(SPARSE, OF_SPARSE),
    "a path of ridge": lambda: ridge_path(X, Y, n_threads=1),
    "ridge": lambda: fastreg.Ridge(n_threads=1).fit(X, Y),
    "ridge, sparse": lambda: fastreg.Ridge(n_threads=1).fit(SPARSE, OF_SPARSE),
    "least squares": lambda: fastreg.LinearRegression(n_jobs=1).fit(X, Y),
    "two classes": lambda: fastreg.LogisticRegression(n_threads=1).fit(X, Y > 0),
    "several classes": lambda: fastreg.LogisticRegression(n_threads=1).fit(X, CLASSES),
    "counts": lambda: fastreg.PoissonRegressor(n_threads=1).fit(X, np.floor(np.abs(Y))),
    "Huber": lambda: fastreg.HuberRegressor(n_threads=1).fit(X, Y),
}


@pytest.mark.parametrize("fit", LONG.values(), ids=LONG)
def test_every_fit_looks_at_what_ends_it(fit):
    halt = Halt()
    halt.set()
    assert isinstance(raised_in_a_thread(lambda: halt.run(fit)), Cancelled)
    assert raised_in_a_thread(fit) is None


def test_products_are_what_sparse_folds_are_ended_between():
    """Whatever the time since the last look."""
    problem = RidgeProblem.of(SPARSE, OF_SPARSE[:, None], np.array([1e-6]), Penalty(0.0), None, True, 1)
    b, halt = problem.moments()[0], Halt()
    lanczos(problem.design, b, 3)
    halt.set()
    for work in (lambda: lanczos(problem.design, b, 3), lambda: iterate(problem, stop(1e-8, None, 90))):
        with pytest.raises(Cancelled):
            halt.run(work)
