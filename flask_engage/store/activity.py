"""Activity: who was active on which day and week, and the counters behind DAU, WAU and MAU.

Days are cut in ``ENGAGE_TIMEZONE``.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

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
