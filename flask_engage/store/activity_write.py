"""Counting days of activity so that DAU, WAU and MAU stay exact, whatever comes late."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Set
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from .activity import ActiveDayRow, ActiveGapRow, ActiveWeekRow
from .among import among
from .bulk import Insert, InsertNew, Upsert

LONGEST_GAP = 31
"""Stands for more than 30 days, and for never before."""


_insert_days = Insert(ActiveDayRow.__table__, ("person_id", "day"))
insert_new_days = InsertNew(ActiveDayRow.__table__, ("person_id", "day"))
insert_weeks = InsertNew(ActiveWeekRow.__table__, ("person_id", "week"))
_add_gaps = Upsert(
    ActiveGapRow.__table__,
    ("day", "gap", "count"),
    ("day", "gap"),
    lambda table, incoming: {"count": table.c["count"] + incoming("count")},
)


def add_active_days(session: Session, days: Mapping[int, Set[date]]) -> None:
    """Note on which days people were active: {person id: days}.

    The people must be locked: their days change under no other transaction.
    """
    new = _unknown(session, days)
    if not new:
        return
    gaps = _gaps(new, _neighbours(session, new))
    rows = sorted((person_id, day) for person_id, found in new.items() for day in found)
    _insert_days(session, rows)
    insert_weeks(session, sorted({(person_id, week_of(day)) for person_id, day in rows}))
    add_gaps(session, gaps)


def add_gaps(session: Session, gaps: Mapping[tuple[date, int], int]) -> None:
    """Add to the counters by (day, gap). These rows are everybody's."""
    _add_gaps(session, [(*key, gaps[key]) for key in sorted(gaps) if gaps[key]])


def week_of(day: date) -> date:
    """Return the Monday that names the week of `day`."""
    return day - timedelta(days=day.weekday())


def _unknown(session: Session, days: Mapping[int, Set[date]]) -> dict[int, set[date]]:
    """Return the days that aren't noted yet."""
    everything = [day for found in days.values() for day in found]
    if not everything:
        return {}
    known = {
        (person_id, day)
        for person_id, day in session.connection().execute(
            select(ActiveDayRow.person_id, ActiveDayRow.day).where(
                among(session, ActiveDayRow.person_id, days),
                ActiveDayRow.day.between(min(everything), max(everything)),
            )
        )
    }
    new = {
        person_id: {day for day in found if (person_id, day) not in known}
        for person_id, found in days.items()
    }
    return {person_id: found for person_id, found in new.items() if found}


def _neighbours(session: Session, new: Mapping[int, Set[date]]) -> dict[int, list[date]]:
    """Return the known days near enough to the new ones to have a gap of less than the longest."""
    everything = [day for found in new.values() for day in found]
    reach = timedelta(days=LONGEST_GAP)
    known: dict[int, list[date]] = {}
    for person_id, day in session.connection().execute(
        select(ActiveDayRow.person_id, ActiveDayRow.day)
        .where(
            among(session, ActiveDayRow.person_id, new),
            ActiveDayRow.day.between(min(everything) - reach, max(everything) + reach),
        )
        .order_by(ActiveDayRow.person_id, ActiveDayRow.day)
    ):
        known.setdefault(person_id, []).append(day)
    return known


def _gaps(new: Mapping[int, Set[date]], known: dict[int, list[date]]) -> Counter[tuple[date, int]]:
    """Return by how much each (day, gap) counter changes.

    A day between two others also shortens the gap of the later one.
    """
    changes: Counter[tuple[date, int]] = Counter()
    for person_id, days in new.items():
        noted = known.get(person_id, [])
        for day in sorted(days):
            index = bisect_left(noted, day)
            former = noted[index - 1] if index else None
            changes[day, _gap(former, day)] += 1
            if index < len(noted):
                latter = noted[index]
                changes[latter, _gap(former, latter)] -= 1
                changes[latter, _gap(day, latter)] += 1
            insort(noted, day)
    return changes


def _gap(former: date | None, day: date) -> int:
    return LONGEST_GAP if former is None else min(LONGEST_GAP, (day - former).days)
