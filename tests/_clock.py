"""A clock that tests set and move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
"""A Monday morning."""


class FakeClock:
    """Stands still until it is told; call it for the time, as the code under test does."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: Any) -> datetime:
        """Move on by a `timedelta` of these keywords, such as ``days=14``, and return now."""
        self.now += timedelta(**duration)
        return self.now
