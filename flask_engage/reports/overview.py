"""The figures of the front page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..settings import Settings
from ..store.activity import ActiveGapRow
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.person import PersonRow, is_live

DAYS = 30


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many people were active on a day."""

    day: date
    people: int


@dataclass(frozen=True, slots=True)
class Overview:
    """How things stand. Days are cut in ``ENGAGE_TIMEZONE``."""

    people: int
    active_today: int
    active_7: int
    """Different people seen in the 7 days that end today."""
    active_30: int
    new_7: int
    """People who signed up (or, if the host doesn't say, were first seen) in 7 days."""
    new_30: int
    sent_30: int
    """Messages that reached somebody (in-app: fetched; mail: taken by the server)."""
    opened_30: int
    """Of all messages, those opened in 30 days."""
    days: tuple[DayCount, ...]
    """The last 30 days, oldest first."""


def overview(session: Session, settings: Settings, now: datetime) -> Overview:
    """Return the figures as of `now`."""
    today = now.astimezone(ZoneInfo(settings.TIMEZONE)).date()
    gaps = _gaps(session, today)
    since = now - timedelta(days=DAYS)
    return Overview(
        people=session.scalar(select(func.count()).select_from(PersonRow).where(is_live())) or 0,
        active_today=_active(gaps, today, 1),
        active_7=_active(gaps, today, 7),
        active_30=_active(gaps, today, 30),
        new_7=_new(session, now - timedelta(days=7)),
        new_30=_new(session, since),
        sent_30=session.scalar(select(func.count()).where(DeliveryRow.sent_at >= since)) or 0,
        opened_30=session.scalar(
            select(func.count()).where(
                DeliveryEventRow.kind == "opened", DeliveryEventRow.occurred_at >= since
            )
        )
        or 0,
        days=tuple(
            DayCount(day, _active(gaps, day, 1))
            for day in (today - timedelta(days=back) for back in reversed(range(DAYS)))
        ),
    )


def _gaps(session: Session, today: date) -> dict[date, dict[int, int]]:
    """Return the day x gap counters of the last 30 days: at most 31 rows a day."""
    found: dict[date, dict[int, int]] = {}
    rows = session.execute(
        select(ActiveGapRow.day, ActiveGapRow.gap, ActiveGapRow.count).where(
            ActiveGapRow.day > today - timedelta(days=DAYS), ActiveGapRow.day <= today
        )
    )
    for day, gap, count in rows:
        found.setdefault(day, {})[gap] = count
    return found


def _active(gaps: dict[date, dict[int, int]], last: date, length: int) -> int:
    """Return how many different people were active in the `length` days that end with `last`.

    Each is counted on their first day within: the one before lies outside, so its gap is
    larger than the distance to the window's begin.
    """
    first = last - timedelta(days=length - 1)
    return sum(
        count
        for day, by_gap in gaps.items()
        if first <= day <= last
        for gap, count in by_gap.items()
        if gap > (day - first).days
    )


def _new(session: Session, since: datetime) -> int:
    # Two conditions rather than one COALESCE, so that the index on signed_up_at serves.
    signed_up = session.scalar(
        select(func.count()).where(PersonRow.signed_up_at >= since, is_live())
    )
    only_seen = session.scalar(
        select(func.count()).where(
            PersonRow.last_seen_at >= since,
            PersonRow.signed_up_at.is_(None),
            PersonRow.first_seen_at >= since,
            is_live(),
        )
    )
    return (signed_up or 0) + (only_seen or 0)
