"""The one place where the current time comes from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Gives the current moment as an aware UTC ``datetime``."""


def utcnow() -> datetime:
    """Return the current moment as an aware UTC ``datetime``."""
    return datetime.now(UTC)


def as_utc(moment: datetime, *, what: str = "time") -> datetime:
    """Return `moment` in UTC.

    :raises ValueError: if `moment` is naive, because its instant is then unknown.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(
            f"{what} {moment!r} has no time zone; pass an aware datetime, "
            "for example datetime.now(timezone.utc)."
        )
    return moment.astimezone(UTC)


LONGEST = timedelta(days=36_500)
"""A hundred years: no duration of ours is longer, and what waits for one can't overflow."""


def as_duration(value: object) -> timedelta:
    """Return a duration that is given as a ``timedelta`` or as a number of seconds.

    :raises ValueError: unless it is above 0 and at most a hundred years.
    """
    found = value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            found = timedelta(seconds=value)
        except (OverflowError, ValueError):
            found = None  # infinite, or not a number
    if not isinstance(found, timedelta) or not timedelta(0) < found <= LONGEST:
        raise ValueError("expected a timedelta or a number of seconds above 0.")
    return found


class AppClock:
    """One app's clock; tests of the host put another source in, and every room follows."""

    __slots__ = ("source",)

    def __init__(self, source: Clock = utcnow) -> None:
        self.source = source

    def __call__(self) -> datetime:
        """Return the current moment as an aware UTC ``datetime``."""
        return self.source()
