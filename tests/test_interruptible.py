"""Ctrl-C during one long call: it ends the wait at once, and nothing of the call is left behind once it is done."""

import _thread
import signal
import threading
import time

import numpy as np
import pytest

from fastreg.solvers import interruptible as module
from fastreg.solvers.blas import single_threaded_blas
from fastreg.solvers.interruptible import interruptible

LARGE = np.zeros((module.LARGE, module.LARGE))


def test_what_is_found_and_what_fails_comes_back():
    A = np.diag(np.arange(1.0, module.LARGE + 1))
    np.testing.assert_array_equal(interruptible(np.linalg.eigvalsh, A), np.arange(1.0, module.LARGE + 1))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):       # the settings of the caller hold there
        interruptible(lambda A: 1 / A, LARGE)
    with pytest.raises(np.linalg.LinAlgError):
        interruptible(np.linalg.inv, LARGE)


def test_small_matrices_and_other_threads_stay_where_they_are():
    def here(A):
        return threading.current_thread()

    assert interruptible(here, LARGE[:-1]) is threading.main_thread()
    assert interruptible(here, LARGE) is not threading.main_thread()
    seen = []
    other = threading.Thread(target=lambda: seen.append(interruptible(here, LARGE)))
    other.start()
    other.join()
    assert seen == [other]


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
