"""Calling the host's code with a limit of time.

Python can't end a thread that hangs. So the host's code runs in a thread of its own, somebody
watches, and when a call takes too long the thread is left to itself: it ends when the call
does, and what it says then is heard by nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from ..errors import EngageError

T = TypeVar("T")

Context = Callable[[], AbstractContextManager[Any]]
"""Makes what the host's code needs around it (its app context), in the thread it is called in."""

MOST_LEFT_ALONE = 3
"""Threads of one provider that hang at a time: each may hold a connection of the host's."""
_LOOKS_SECONDS = 0.2
"""How often the watcher looks up, to see whether it is enough."""


class TookTooLong(EngageError, TimeoutError):
    """A call of the host's code was not over in time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How the host's code is called."""

    call: timedelta | None = timedelta(seconds=10)
    """What one call may take; None: it is called in our own thread, and nobody watches."""
    context: Context = nullcontext


class Watched(Generic[T]):
    """What a thread has done so far, said to whoever watches it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._results: list[T] = []
        self._what: Any = None
        self._since = time.monotonic()
        self.enough = False
        """Set by the watcher: begin no further call."""

    def begin(self, what: Any) -> None:
        """Say that a call begins, of `what`; its time runs from now."""
        with self._lock:
            self._what, self._since = what, time.monotonic()

    def add(self, result: T) -> bool:
        """Hand over a result; False: nobody listens any more."""
        with self._lock:
            if self._over:
                return False
            self._results.append(result)
            self._since = time.monotonic()
            return True

    def overdue(self, seconds: float) -> float:
        """Return for how many seconds the running call is above its time; negative: below."""
        with self._lock:
            return time.monotonic() - self._since - seconds

    def leave(self, seconds: float) -> bool:
        """Stop listening if the running call is still above its time."""
        with self._lock:
            self._over = time.monotonic() - self._since > seconds
            return self._over

    def so_far(self, *, hung: bool = False) -> Watching[T]:
        """Return how it went until now."""
        with self._lock:
            return Watching(list(self._results), hung, self._what)


@dataclass(frozen=True, slots=True)
class Watching(Generic[T]):
    """How a watched piece of work went."""

    results: list[T]
    hung: bool
    """Whether a call of it took too long, so that its thread was left alone."""
    at: Any
    """Of what the last call was."""


def watched(
    work: Callable[[Watched[T]], None],
    limits: Limits,
    name: str,
    enough: Callable[[], bool] = lambda: False,
) -> Watching[T]:
    """Do `work` in a thread of its own, and watch how long its calls take.

    :param name: of the provider; threads that hang are counted under it.
    :param enough: asked meanwhile; once it says yes, `work` is told to begin no further call.
    :raises TookTooLong: if too many threads hang already.
    """
    said: Watched[T] = Watched()
    if limits.call is None:
        work(said)
        return said.so_far()
    seconds = limits.call.total_seconds()
    if left_alone(name) >= MOST_LEFT_ALONE:
        raise TookTooLong(
            f"{MOST_LEFT_ALONE} calls of {name!r} hang and can't be ended. Give what it waits for "
            "a limit of its own (requests.get(url, timeout=5)), then restart the process."
        )
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with limits.context():
                work(said)
        except BaseException as error:  # noqa: BLE001  (raised again by who watches)
            failed.append(error)

    thread = threading.Thread(target=run, name=f"engage-{name}", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(min(_LOOKS_SECONDS, max(0.01, -said.overdue(seconds))))
        said.enough = said.enough or enough()
        if thread.is_alive() and said.overdue(seconds) > 0 and said.leave(seconds):
            thread.name = _name_left_alone(name)
            return said.so_far(hung=True)
    if failed:
        raise failed[0]
    return said.so_far()


def within(function: Callable[[], T], limits: Limits, name: str) -> T:
    """Return what `function` returns, if it does within the time of one call.

    :raises TookTooLong: if it doesn't.
    """

    def work(said: Watched[T]) -> None:
        said.begin(None)
        said.add(function())

    done = watched(work, limits, name)
    if done.hung:
        assert limits.call is not None
        raise TookTooLong(f"it took longer than {limits.call.total_seconds():g} seconds")
    return done.results[0]


def left_alone(name: str) -> int:
    """Return how many threads of the provider `name` hang in this process."""
    return sum(thread.name == _name_left_alone(name) for thread in threading.enumerate())


def _name_left_alone(name: str) -> str:
    return f"engage-{name} (hangs)"
