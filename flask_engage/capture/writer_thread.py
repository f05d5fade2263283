"""The thread that writes the journal out: its beat, its patience, its end."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

from .._ending import END_SECONDS, stop_at_exit

_log = logging.getLogger("flask_engage")

BEAT_SECONDS = 1.0
"""The journal is made safe against a power cut at least this often."""
EXIT_SECONDS = END_SECONDS
"""A process that ends waits this long for the rest to be stored; what is left stays on disk."""
MAX_PAUSE_SECONDS = 30.0
"""A database that is away is asked again after this long at most."""

_NAME = "engage-writer"


class Tick(Protocol):
    """One beat's work."""

    def __call__(self, *, may_store: bool) -> bool:
        """Do it; return False if the database did not take what there was."""


class WriterThread:
    """One process's writer. A daemon: the process never waits for it but a moment at exit.

    :param last_words: stores the rest, in this thread.
    :param write_up: called at the end by whoever stops it, also where it has not ended in time.
    :param ended: called if it ends though nobody has asked it to.
    """

    def __init__(
        self,
        tick: Tick,
        last_words: Callable[[], None],
        write_up: Callable[[], None],
        ended: Callable[[], None],
        interval: float,
    ) -> None:
        self._tick = tick
        self._last_words = last_words
        self._write_up = write_up
        self._ended = ended
        self._interval = interval
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)

    @staticmethod
    def is_current() -> bool:
        """Tell whether the caller runs in such a thread."""
        return threading.current_thread().name == _NAME

    @property
    def belongs_here(self) -> bool:
        """Tell whether this is the process in which it was started."""
        return self._pid == os.getpid()

    @property
    def is_alive(self) -> bool:
        """Tell whether it is at work in this process."""
        return self.belongs_here and self._thread.is_alive()

    def start(self) -> None:
        """Begin, and see to it that the end of the process finds things in order.

        :raises RuntimeError: if the system has no thread to give.
        """
        self._thread.start()
        stop_at_exit(self, by_itself=True)

    def begin_to_stop(self) -> None:
        """Ask it to store the rest and end."""
        if self.belongs_here:  # in a fork the event's lock may be held, for ever
            self._stop.set()

    def stop(self, seconds: float) -> None:
        """Ask it to store the rest and end; wait no longer than `seconds`."""
        self.begin_to_stop()
        if self.belongs_here and threading.current_thread() is not self._thread:
            self._thread.join(seconds)
            self._write_up()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException:
            # Nothing that we know of comes here; whatever it is, it must not end in silence.
            _log.exception("flask_engage: the writer has ended; the next fact starts another.")
            self._ended()
            raise

    def _work(self) -> None:
        failures = 0
        due = time.monotonic() + self._interval
        while not self._stop.wait(min(self._interval, BEAT_SECONDS)):
            now = time.monotonic()
            if now < due:
                self._tick(may_store=False)
                continue
            failures = 0 if self._tick(may_store=True) else failures + 1
            pause = self._interval * 2 ** min(failures, 10)
            due = time.monotonic() + min(pause, max(self._interval, MAX_PAUSE_SECONDS))
        self._last_words()


def warn_without_threads() -> None:
    """Say at start-up that uWSGI, if it runs this, was not told to run threads."""
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", {})
    several = options.get("threads", b"1") not in (b"0", b"1")
    if uwsgi is not None and not (several or options.get("enable-threads")):
        _log.warning(
            "flask_engage: uWSGI runs without threads, so facts are not stored, nor rules and mail "
            "run, by themselves; start it with --enable-threads. Or set ENGAGE_CAPTURE_MODE to "
            "'sync' and ENGAGE_SCHEDULER to 'off', and run `flask engage worker` beside it."
        )
