"""The one place where the current time comes from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

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


class AppClock:
    """One app's clock; tests of the host put another source in, and every room follows."""

    __slots__ = ("source",)

    def __init__(self, source: Clock = utcnow) -> None:
        self.source = source

    def __call__(self) -> datetime:
        """Return the current moment as an aware UTC ``datetime``."""
        return self.source()
