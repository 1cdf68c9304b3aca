"""Ctrl-C need not wait for the end of one long call of LAPACK, by NumPy: SciPy's hold the GIL, and nobody can wait."""
import contextvars
import threading

from fastreg.solvers.blas import single_threaded_blas

# Order of matrices from which a decomposition takes a good part of a second.
LARGE = 1000
# Seconds between looks at signals: the wait itself ends with the call.
LOOK = 0.1


def interruptible(decompose, A):
    """``decompose(A)``, a call of LAPACK that lets go of the GIL; KeyboardInterrupt ends the wait for it.

    A large matrix is decomposed in a thread of its own while the main thread, which alone hears of signals, waits.
    After an interrupt nobody can stop that thread: it goes on to its end with A, which is its own by then, keeps BLAS
    to one thread until it is done, and what it finds is dropped. It does not keep the interpreter from leaving.
    """
    if min(A.shape) < LARGE or threading.current_thread() is not threading.main_thread():
        return decompose(A)
    found, failed = [], []

    def work():
        with single_threaded_blas:
            try:
                found.append(decompose(A))
            except BaseException as error:
                failed.append(error)

    worker = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(LOOK)
    if failed:
        raise failed[0]
    return found[0]
