"""One BLAS thread while the engine runs: it threads over columns and rows itself, with results that do not change."""
import threading

from threadpoolctl import ThreadpoolController


class _SingleThreaded:
    """Reentrant across threads: the first fit to enter lowers the limit, the last one to leave restores it.

    threadpoolctl 3.7 lets one thread at a time change a process-wide limit and ignores the others; the lock here
    orders them as well, so each change takes that right from whoever had it last.
    """

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
                self._take_control()
                self._limit = self._controller.limit(limits=1, user_api="blas")

    def __exit__(self, *exc):
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._take_control()
                self._limit.restore_original_limits()
                self._take_control()

    def _take_control(self):
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


single_threaded_blas = _SingleThreaded()
