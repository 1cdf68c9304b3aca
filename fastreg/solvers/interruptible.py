"""Ctrl-C waits neither for the end of work in other threads nor for that of one long call of LAPACK that lets go of the
GIL: NumPy's do, SciPy's QR decomposition, and ``fastreg.kernels.lapack``."""
import contextvars
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from fastreg.kernels.threads import Halt, go_on
from fastreg.solvers.blas import single_threaded_blas

# Order of matrices from which a decomposition takes a good part of a second.
LARGE = 1000
# Seconds between looks at signals: the wait itself ends with the call.
LOOK = 0.1


def in_threads(n_jobs, work, count):
    """[work(0), ..., work(count - 1)], n_jobs at a time.

    Where one fails or the user interrupts, those under way end at their next look at signals, and others never begin.
    """
    if n_jobs == 1:
        return [work(k) for k in range(count)]
    halt = Halt()
    with ThreadPoolExecutor(n_jobs) as pool:
        futures = [pool.submit(halt.run, work, k) for k in range(count)]
        try:
            waiting = futures
            while waiting:
                done, waiting = wait(waiting, LOOK, FIRST_EXCEPTION)
                for future in done:
                    future.result()              # what it raises is raised here, whoever else is at work
            return [future.result() for future in futures]
        except BaseException:
            halt.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def interruptible(decompose, A):
    """``decompose(A)``, a call of LAPACK that lets go of the GIL; an interrupt ends the wait for it.

    A large matrix is decomposed in a thread of its own while this one looks at signals, and whether it is to end.
    After an interrupt nobody can stop that thread: it goes on to its end with A, which is its own by then, keeps BLAS
    to one thread until it is done, and what it finds is dropped. It does not keep the interpreter from leaving.
    """
    if min(A.shape) < LARGE:
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
        go_on()
    if failed:
        raise failed[0]
    return found[0]
