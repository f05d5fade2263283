"""The one boundary between our errors and the host's requests.

Every hook, decorator, receiver and job of ours runs inside :func:`guarded`. What goes
wrong there is logged with its traceback, at most once a minute per place, counted, and
forgotten; the host carries on. Programming errors are raised again where the developer
sees them (``ENGAGE_RAISE_ERRORS``); a database that is away never is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_log = logging.getLogger("flask_engage")

_QUIET_SECONDS = 60.0
"""One log line a minute and place: enough to see, too little to fill a disk."""

#: What the surroundings do to us, as against what our code does wrong: never raised again.
_SURROUNDINGS = (DBAPIError, PoolTimeout, NoSuchTableError, OSError)


class _Guarded:
    """The block of :meth:`Guard.guarded`; not a generator, which every request would pay for."""

    __slots__ = ("_guard", "_never_raises", "_what")

    def __init__(self, guard: Guard, what: str, *, never_raises: bool = False) -> None:
        self._guard = guard
        self._what = what
        self._never_raises = never_raises

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: object
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        ends_here = self._guard.ends(self._what, error)
        return self._never_raises or ends_here


class Guard:
    """Keeps the errors of one app's extension away from the host."""

    def __init__(self, raise_errors: Callable[[], bool] = lambda: False) -> None:
        self._raise_errors = raise_errors
        self._lock = threading.Lock()
        self._last_logged: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        """Errors by place since the process began."""
        self.last_error: str | None = None
        self._said: set[str] = set()

    def is_new(self, what: str) -> bool:
        """Tell whether nobody has asked about `what` in this process, for what is said once."""
        with self._lock:
            is_new = what not in self._said
            self._said.add(what)
        return is_new

    def guarded(self, what: str) -> AbstractContextManager[None, bool]:
        """Run the block; log and count what it raises. `what` names the place.

        Only ``Exception`` is caught: an exit, an interrupt or a worker's time-out passes.
        What is returned keeps nothing of a block: one may serve all blocks of a place, also
        several at a time.
        """
        return _Guarded(self, what)

    def ends(self, what: str, error: Exception) -> bool:
        """Log and count `error`; tell whether it ends here, else the developer is to see it.

        For the few places that each request passes, in the place of :meth:`guarded`, whose block
        costs as much as some of the work: ``except Exception as error: if not ends(…): raise``.
        """
        self.report(what, error)
        return isinstance(error, _SURROUNDINGS) or not self._raise_errors()

    def contained(self, what: str) -> AbstractContextManager[None, bool]:
        """Run the block as :meth:`guarded` does, but raise nothing again, whatever is set.

        For what stands beside the work: a listener of the host, the last words at exit.
        """
        return _Guarded(self, what, never_raises=True)

    def after_fork(self) -> None:
        """Begin anew in a forked child: a thread of the parent's may have been reporting."""
        self._lock = threading.Lock()

    def report(self, what: str, error: BaseException) -> None:
        """Count `error` and log it, unless it or this place has been logged within a minute."""
        now = time.monotonic()
        keys = (what, _origin(error))
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            self.last_error = f"{what}: {type(error).__name__}"
            logged = [self._last_logged[key] for key in keys if key in self._last_logged]
            if any(now - last < _QUIET_SECONDS for last in logged):
                return
            self._last_logged.update(dict.fromkeys(keys, now))
        _log.warning(
            "flask_engage: %s failed; the host is not affected. (%d so far)",
            what,
            self.counts[what],
            exc_info=error,
        )


def _origin(error: BaseException) -> str:
    """Name the line that raised `error`: what fails there is one fault, wherever we meet it."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return type(error).__name__
    return f"{type(error).__name__} at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
