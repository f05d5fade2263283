"""When a mail is tried again that the server did not take for now."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

WAITS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 20, 60, 180, 360, 360))
"""After the first try, the second, and so on; what greylisting and full disks take to pass."""
MOST_TRIES: Final = len(WAITS) + 1
_SPREAD: Final = 0.2


def _draw() -> float:
    return secrets.randbelow(2**20) / 2**20


def next_try(attempts: int, now: datetime, draw: Callable[[], float] = _draw) -> datetime | None:
    """Return when to try again after so many `attempts`, or None after the last one.

    The wait is a fifth shorter or longer, by chance, so that mails deferred together don't
    come back together. All tries fit into 48 hours.
    """
    if attempts >= MOST_TRIES:
        return None
    wait = WAITS[max(attempts, 1) - 1]
    return now + wait * (1 + _SPREAD * (2 * draw() - 1))
