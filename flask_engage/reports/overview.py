"""The product at a glance: how many are active, how many are new, how many read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.activity import ActiveGapRow
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.person import PersonRow, is_live

DAYS = 30
"""How far back the trend and the sums go."""
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Day:
    """How many people were active on one day."""

    day: date
    active: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of the front page. A day ends at midnight in ``ENGAGE_TIMEZONE``."""

    people: int
    active_today: int
    active_week: int
    """In the seven days that end today."""
    active_month: int
    """In the thirty days that end today."""
    new_week: int
    """Signed up in the last seven days."""
    new_month: int
    sent: int
    """Messages that left, or that were fetched, in the last thirty days."""
    opened: int
    """Messages opened in the last thirty days."""
    clicked: int
    days: tuple[Day, ...]
    """The last thirty days, today at the end."""


def overview(session: Session, settings: Settings, now: datetime) -> Overview:
    """Return the figures of the front page as of `now`."""
    zone = ZoneInfo(settings.TIMEZONE)
    today = now.astimezone(zone).date()
    first = today - timedelta(days=DAYS - 1)
    gaps = _gaps(session, first, today)
    since = datetime.combine(first, time(), zone)
    return Overview(
        people=session.scalar(select(func.count()).select_from(PersonRow).where(is_live())) or 0,
        active_today=_active(gaps, today, 1),
        active_week=_active(gaps, today, _WEEK),
        active_month=_active(gaps, today, DAYS),
        new_week=_signed_up(session, now - timedelta(days=_WEEK)),
        new_month=_signed_up(session, now - timedelta(days=DAYS)),
        sent=session.scalar(select(func.count()).where(DeliveryRow.sent_at >= since)) or 0,
        opened=_happened(session, "opened", since),
        clicked=_happened(session, "clicked", since),
        days=tuple(
            Day(day, sum(gaps[day].values()))
            for day in (first + timedelta(days=number) for number in range(DAYS))
        ),
    )


def _gaps(session: Session, first: date, last: date) -> Mapping[date, dict[int, int]]:
    """Return for each day how many were active on it, by the days since they last were."""
    found: dict[date, dict[int, int]] = defaultdict(dict)
    rows = select(ActiveGapRow.day, ActiveGapRow.gap, ActiveGapRow.count)
    for day, gap, count in session.execute(rows.where(ActiveGapRow.day.between(first, last))):
        found[day][gap] = count
    return found


def _active(gaps: Mapping[date, dict[int, int]], today: date, length: int) -> int:
    """Return how many different people were active in `length` days that end with `today`.

    Each is counted on their first active day of the stretch, which is the one whose gap
    reaches back beyond its beginning.
    """
    first = today - timedelta(days=length - 1)
    return sum(
        count
        for day, by_gap in gaps.items()
        if first <= day <= today
        for gap, count in by_gap.items()
        if gap > (day - first).days
    )


def _signed_up(session: Session, since: datetime) -> int:
    counted = select(func.count()).select_from(PersonRow)
    return session.scalar(counted.where(is_live(), PersonRow.signed_up_at >= since)) or 0


def _happened(session: Session, kind: str, since: datetime) -> int:
    counted = select(func.count(distinct(DeliveryEventRow.delivery_id)))
    return (
        session.scalar(
            counted.where(DeliveryEventRow.kind == kind, DeliveryEventRow.occurred_at >= since)
        )
        or 0
    )
