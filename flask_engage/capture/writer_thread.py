"""The thread that writes the journal out: its beat, its patience, its end."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

_log = logging.getLogger("flask_engage")

BEAT_SECONDS = 1.0
"""The journal is made safe against a power cut at least this often."""
EXIT_SECONDS = 2.0
"""A process that ends waits this long for the rest to be stored; what is left stays on disk."""
MAX_PAUSE_SECONDS = 30.0
"""A database that is away is asked again after this long at most."""

_NAME = "engage-writer"


class Tick(Protocol):
    """One beat's work."""

    def __call__(self, *, may_store: bool) -> bool:
        """Do it; return False if the database did not take what there was."""


class WriterThread:
    """One process's writer. A daemon: the process never waits for it but a moment at exit."""

    def __init__(self, tick: Tick, last_words: Callable[[], None], interval: float) -> None:
        self._tick = tick
        self._last_words = last_words
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
        """Begin, and see to it that the end of the process finds things in order."""
        _warn_of_uwsgi()
        mine = weakref.ref(self)

        def at_exit() -> None:
            thread = mine()
            if thread is not None and thread.belongs_here:
                thread.stop(EXIT_SECONDS)

        atexit.register(at_exit)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Ask it to store the rest and end; wait no longer than `patience` seconds."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(patience)

    def _run(self) -> None:
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


def _warn_of_uwsgi() -> None:
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not getattr(uwsgi, "opt", {}).get("enable-threads"):
        _log.warning(
            "flask_engage: uWSGI runs without threads, so nothing is stored by itself; start it "
            "with --enable-threads, or set ENGAGE_CAPTURE_MODE to 'sync'."
        )
