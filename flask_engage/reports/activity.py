"""How many people are active by the day, the week and the month, and how often they come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.activity import ActiveOn, active_people

DAYS = 30
"""How far back the trend goes."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Active people by day. A day ends at midnight in ``ENGAGE_TIMEZONE``."""

    days: tuple[ActiveOn, ...]
    """The last thirty days, today at the end."""

    @property
    def today(self) -> ActiveOn:
        """As of now; the day is not over."""
        return self.days[-1]

    @property
    def stickiness(self) -> float | None:
        """On how many of their days the people of these thirty days came, from 0 to 1.

        An ordinary day's active people, over those of the whole stretch; None if there are none.
        """
        if not self.today.monthly:
            return None
        average = sum(day.daily for day in self.days) / len(self.days)
        return average / self.today.monthly


def activity(session: Session, settings: Settings, now: datetime) -> Activity:
    """Return active people of the thirty days that end with the day of `now`.

    Reads counters, at most 31 a day, however many people there are.
    """
    today = now.astimezone(ZoneInfo(settings.TIMEZONE)).date()
    return Activity(tuple(active_people(session, today - timedelta(days=DAYS - 1), today)))
