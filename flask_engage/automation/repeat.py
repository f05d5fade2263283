"""How often one person gets a rule's message: once for ever, or again after a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..errors import InvalidMessage

_SHORTEST = timedelta(minutes=1)
_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


@dataclass(frozen=True, slots=True)
class Once:
    """Once for ever: the default."""

    @property
    def interval(self) -> timedelta | None:
        """None: there is no second time."""
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the form in which a rule's row keeps it."""
        return {"mode": "once"}

    def describe(self) -> str:
        """Say it in English."""
        return "once"


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again, to whoever still matches; made by :func:`every`."""

    interval: timedelta
    """The least time between two sends to one person."""

    def to_json(self) -> dict[str, Any]:
        """Return the form in which a rule's row keeps it."""
        return {"mode": "every", "seconds": self.interval.total_seconds()}

    def describe(self) -> str:
        """Say it in English: ``every 60 days``."""
        for unit, length in _UNITS:
            count, rest = divmod(self.interval, length)
            if not rest:
                return f"every {unit}" if count == 1 else f"every {count} {unit}s"
        return f"every {self.interval.total_seconds():g} seconds"


Repeat = Once | Every
"""How often; what ``auto_message(repeat=…)`` takes."""


def every(
    interval: timedelta | None = None,
    /,
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
) -> Every:
    """Send again to whoever still matches when this much time has passed since the last send.

    :raises InvalidMessage: unless it comes to a minute or more.
    """
    given = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    if interval is not None:
        if not isinstance(interval, timedelta):
            raise InvalidMessage(
                f"every({interval!r}): say the unit, as in every(days=60), or pass a timedelta."
            )
        given += interval
    if given < _SHORTEST:
        raise InvalidMessage(f"every(): {given} is too short; the shortest interval is a minute.")
    return Every(given)
