"""One BLAS thread while the engine runs: it threads over columns and rows itself, with results that do not change."""
import threading

from threadpoolctl import ThreadpoolController


class _SingleThreaded:
    """Reentrant across threads: the first fit to enter lowers the limit, the last one to leave restores it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._controller = None
        self._limit = None

    def __enter__(self):
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                if self._controller is None:
                    self._controller = ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")

    def __exit__(self, *exc):
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._limit.restore_original_limits()


single_threaded_blas = _SingleThreaded()
