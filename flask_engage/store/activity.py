"""Activity: who was active on which day and week, and the counters behind DAU, WAU and MAU.

Days are cut in ``ENGAGE_TIMEZONE``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Date, ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId


class ActiveDayRow(Base):
    """Somebody was seen on a day."""

    __tablename__ = "engage_active_day"
    __table_args__ = (Index("ix_engage_active_day_day", "day", "person_id"),)

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_active_day_person", ondelete="CASCADE"),
        primary_key=True,
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)


class ActiveWeekRow(Base):
    """Somebody was seen in a week, named by its Monday."""

    __tablename__ = "engage_active_week"
    __table_args__ = (Index("ix_engage_active_week_week", "week", "person_id"),)

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_active_week_person", ondelete="CASCADE"),
        primary_key=True,
    )
    week: Mapped[date] = mapped_column(Date, primary_key=True)


class ActiveGapRow(Base):
    """How many people active on `day` had last been active `gap` days before.

    31 stands for more than 30 days and for never. People active in the n days that end with D
    are the sum over d = D-n+1 .. D of the rows with gap > d - (D-n+1).
    """

    __tablename__ = "engage_active_gap"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    gap: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(default=0)


_WEEK = 7
_MONTH = 30


@dataclass(frozen=True, slots=True)
class ActiveOn:
    """How many different people were active by the end of one day."""

    day: date
    daily: int
    """On the day itself."""
    weekly: int
    """In the seven days that end with it."""
    monthly: int
    """In the thirty days that end with it."""


def active_people(session: Session, first: date, last: date) -> list[ActiveOn]:
    """Return DAU, WAU and MAU of every day from `first` to `last`, in one query.

    It reads at most 31 counters a day, however many people there are.
    """
    # Each person counts on their first active day of a stretch: the one whose gap reaches back
    # beyond its beginning. So a day's counters add to the sums of the days after it.
    weekly: dict[date, int] = defaultdict(int)
    monthly: dict[date, int] = defaultdict(int)
    daily: dict[date, int] = defaultdict(int)
    rows = session.execute(
        select(ActiveGapRow.day, ActiveGapRow.gap, ActiveGapRow.count).where(
            ActiveGapRow.day.between(first - timedelta(days=_MONTH - 1), last)
        )
    )
    for day, gap, count in rows:
        daily[day] += count
        for length, sums in ((_WEEK, weekly), (_MONTH, monthly)):
            # On day + distance the stretch begins length - 1 - distance days before `day`.
            for distance in range(max(0, length - gap), length):
                sums[day + timedelta(days=distance)] += count
    days = ((last - first).days + 1) if last >= first else 0
    return [
        ActiveOn(day, daily[day], weekly[day], monthly[day])
        for day in (first + timedelta(days=number) for number in range(days))
    ]
