"""How far a call is: one count of finished work, and who is told of it."""
import sys
import threading
import time
from contextlib import contextmanager

# Seconds after which listeners hear again, where no percent has been finished in between.
EVERY = 0.05
# Of a count that is put together from fractions, what rounding may have taken.
ROUNDING = 1e-9


def ignored(done):
    """A report that nobody hears."""


class Progress:
    """A count that never falls, told to listeners one call at a time, from whichever thread.

    They are called with (done, total) at every unit or, of more than a hundred, at every percent that work is reported
    in; every 0.05 seconds in between, so that what a listener raises ends the work soon; and once with done == total,
    by `finish`.

    Parameters
    ----------
    total : int
    listeners : list of callable
    units : float, default=1.0
        How many there are in 1 of what solvers report.
    """

    def __init__(self, total, listeners, units=1.0):
        self.total, self.listeners, self.units = total, listeners, units
        self.done, self._next, self._failed, self._lock = 0, 0.0, False, threading.RLock()

    def __call__(self, done):
        with self._lock:
            done = int(self.units * done + ROUNDING)
            done = max(self.done, done) if done < self.total else self.done          # what comes after belongs to it
            now = time.monotonic()
            heard = 100 * done // self.total == 100 * self.done // self.total and now < self._next
            self.done = done
            if not heard and not self._failed:
                self._next = now + EVERY
                self._tell()

    def finish(self):
        """All is done."""
        self.done = self.total
        self._tell()

    def _tell(self):
        try:
            for listener in self.listeners:
                listener(self.done, self.total)
        except BaseException:
            self._failed = True            # what other threads report until they hear of it is not told
            raise


class Tally:
    """One count of several kinds of work over the same units, of which each kind is an equal share.

    Parameters
    ----------
    report : callable
        Hears how many units are done: parts of those that not all kinds are done with.
    kinds : int
    """

    def __init__(self, report, kinds):
        self.report, self.kinds, self._lock = report, kinds, threading.Lock()
        self.start(0)

    def start(self, before):
        """Go on from where so many units are done with, whatever was counted."""
        self.before, self.done = before, [0.0] * self.kinds

    def reached(self, done):
        """So many units since the start are done, of the first kind."""
        with self._lock:
            self.done[0] = done
            self._tell()

    def more(self, kind, units=1.0):
        """So many units more of a kind, from any thread."""
        with self._lock:
            self.done[kind] += units
            self._tell()

    def _tell(self):
        self.report(self.before + sum(self.done) / self.kinds)


@contextmanager
def reporting(total, listeners, units=1.0):
    """A Progress within a call that it ends with; None where nobody listens.

    Parameters
    ----------
    total : int
    listeners : iterable of callable or None
        Those with a method `close` are closed where the call fails.
    units : float
        Of Progress.
    """
    listeners = [listener for listener in listeners if listener is not None]
    if not listeners:
        yield None
        return
    progress = Progress(total, listeners, units)
    try:
        yield progress
    except BaseException:
        for listener in listeners:
            getattr(listener, "close", lambda: None)()
        raise
    progress.finish()


class Bar:
    """A line that is drawn again and again as work is done, a listener of Progress.

    Parameters
    ----------
    name : str, default=''
        What is at work.
    unit : str, default='penalty values'
    stream : file object or None
        None is standard error.
    delay : float, default=0.0
        Seconds before the first drawing.
    brief : bool, default=False
        Only on a terminal, and wiped in the end.
    """

    WIDTH, PERIOD = 30, 0.1

    def __init__(self, name="", unit="penalty values", stream=None, delay=0.0, brief=False):
        self.name, self.unit, self.brief = name, unit, brief
        self.stream = sys.stderr if stream is None else stream
        self.enabled = self.stream is not None and (not brief or self.stream.isatty())
        self.next_draw = time.monotonic() + delay
        self.drawn = False

    def __call__(self, done, total):
        now = time.monotonic()
        ends = done >= total and not self.brief
        if now < self.next_draw and not ends:
            return
        self.next_draw, filled = now + self.PERIOD, self.WIDTH * done // total
        bar = f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {done:{len(str(total))}} of {total} {self.unit}"
        self.drawn = True
        self._write(f"\r{self.name} {bar}" if self.name else f"\r{bar}")
        if ends:
            self.close()

    def close(self):
        """End the line, or wipe it."""
        if self.drawn:
            self._write("\r\x1b[K" if self.brief else "\n")
            self.drawn = False

    def _write(self, text):
        """What a terminal that has gone does not take is not worth a fit."""
        if not self.enabled:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self.enabled = False
