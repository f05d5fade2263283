"""The end of a process: what runs beside the requests stops, all of it within two seconds.

A process has one end, whatever the number of apps in it, so this is the one thing that apps
share. Everything is told at once, then waited for in turn: what stores facts does so while what
holds a lease lets go of it.
"""

from __future__ import annotations

import atexit
import time
from typing import Final, Protocol
from weakref import WeakKeyDictionary

END_SECONDS: Final = 2.0
"""A process that ends waits this long for us, even if the database is silent."""


class Part(Protocol):
    """Something with a thread of its own; in a process that did not start it, it does nothing."""

    def begin_to_stop(self) -> None:
        """Stop soon; return at once."""

    def stop(self, seconds: float) -> None:
        """Stop; return after `seconds` at the latest."""


_parts: WeakKeyDictionary[Part, bool] = WeakKeyDictionary()
"""What is to be stopped, and whether it stops by itself once it is told."""


def stop_at_exit(part: Part, *, by_itself: bool) -> None:
    """Have `part` stopped when this process ends; it is held by nobody here.

    :param by_itself: whether its own thread does the rest, so that it is waited for last.
    """
    _parts[part] = by_itself
    atexit.unregister(_stop_all)  # of the process that we were forked from
    atexit.register(_stop_all)


def _stop_all() -> None:
    deadline = time.monotonic() + END_SECONDS
    parts = sorted(_parts.items(), key=lambda item: item[1])
    for part, _ in parts:
        part.begin_to_stop()
    for part, _ in parts:
        part.stop(max(0.0, deadline - time.monotonic()))
