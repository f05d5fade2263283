"""Sightings of who was seen a moment ago: counted, and told in one.

A page comes with what its scripts ask for, all within a second. Of these the first is written to
the journal at once; what follows from the same browser and says nothing new is counted in memory,
and written as one further sighting at the writer's next beat. A process killed meanwhile loses
that count: never an event, nor that somebody was here on that day. While the writer is held up and
asks for no counts, none is begun.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import msgspec

from .buffer import Who
from .context import referrer_of
from .facts import Seen
from .writer_thread import BEAT_SECONDS

_MOMENT: Final = timedelta(seconds=BEAT_SECONDS)
_HELD_UP: Final = 2 * BEAT_SECONDS
_LAST_SECOND: Final = 59
_MOST: Final = 1024
"""People at a time. With more, the rest is told one by one."""


class _Known(msgspec.Struct, gc=False, eq=False):
    """Somebody who was seen a moment ago."""

    first: Seen
    """As it is in the journal."""
    who: Who
    said: tuple[Any, ...]
    """What the browser said of itself."""
    until: datetime
    last_at: datetime
    hits: int = 0
    """Sightings after the first that are not told yet."""


class Repeats:
    """One process's. Safe to use from several threads.

    :param names: what of a request's environment, besides its address, tells of the browser.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = ("HTTP_HOST", *names)
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew: what is not told yet is the parent's to tell."""
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._pid = os.getpid()
        self._asked: float | None = None
        """When it was last asked for what is to be told; None: nobody asks, nothing is counted."""

    def _see_whose(self) -> None:
        if os.getpid() != self._pid:  # a fork of which Python knows nothing, such as uWSGI's
            self.after_fork()

    def open(self) -> None:
        """Count from now on: somebody will ask at each beat."""
        self._see_whose()
        self._asked = monotonic()

    def close(self) -> list[Seen]:
        """Count nothing more; return what is to be told."""
        return self._taken(None)

    def counts(self, who: Who, environ: Mapping[str, Any], at: datetime, now: datetime) -> bool:
        """Count a sighting of `who`, if it says nothing new; tell whether it did.

        :param at: the moment of the sighting; the request ends `now`.
        """
        with self._lock:
            known = self._known.get(who.user_id)
            if (
                known is None
                or not known.first.at <= at <= now < known.until
                or known.who != who
                or known.said != tuple(map(environ.get, self._names))
                or "utm_" in environ.get("QUERY_STRING", "")
            ):
                return False
            referrer = environ.get("HTTP_REFERER")
            if referrer is not None and referrer_of(referrer, known.said[0] or "") is not None:
                return False
            known.hits += 1
            if at > known.last_at:
                known.last_at = at
        return True

    def begin(self, first: Seen, who: Who, environ: Mapping[str, Any]) -> None:
        """Count from now on what follows `first`, which the journal has accepted."""
        # A day, wherever it is cut, begins with a minute: what is lost is nobody's day.
        if len(self._known) >= _MOST or first.at.second == _LAST_SECOND:
            return
        said = tuple(map(environ.get, self._names))
        new = _Known(first, who, said, first.at + _MOMENT, first.at)
        with self._lock:
            if self._asked is not None and monotonic() - self._asked <= _HELD_UP:
                self._known.setdefault(first.user_id, new)

    def end(self, user_id: str) -> Seen | None:
        """Return what is to be told of somebody, who is seen anew."""
        if user_id not in self._known:
            return None
        self._see_whose()
        with self._lock:
            return _told(self._known.pop(user_id, None))

    def take(self) -> list[Seen]:
        """Return what is to be told; whoever is seen next is seen anew."""
        return self._taken(monotonic())

    def _taken(self, asked: float | None) -> list[Seen]:
        self._see_whose()
        with self._lock:
            taken, self._known = self._known, {}
            if self._asked is not None:
                self._asked = asked
        return [told for known in taken.values() if (told := _told(known)) is not None]


def _told(known: _Known | None) -> Seen | None:
    if known is None or not known.hits:
        return None
    first = known.first
    # What is done in a request finds its session by its time. By which way somebody came is told.
    context = first.context and msgspec.structs.replace(
        first.context, referrer=None, utm_source=None, utm_medium=None, utm_campaign=None
    )
    return msgspec.structs.replace(
        first, at=known.last_at, hits=known.hits, context=context, events=0, until=None
    )
