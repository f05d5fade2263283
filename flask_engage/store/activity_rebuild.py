"""Counting activity anew: after rows were changed by hand, or to cut days in another time zone.

The counters change only by what the writers say and by what is found wrong here, and both are
sums. So what is wrong is measured against the days as they were in one moment, and then taken
away, whatever the writers have added in the meantime. It may be cut off and run again at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    case,
    cast,
    delete,
    distinct,
    func,
    literal_column,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from .activity import ActiveDayRow, ActiveGapRow, ActiveWeekRow
from .activity_write import LONGEST_GAP, add_gaps, insert_new_days, insert_weeks, week_of
from .engine import Database
from .event import EventRow, EventTotalRow
from .event_write import add_totals
from .meta import begin_recut, end_recut
from .person import PersonRow
from .retry import persistently
from .session import SessionRow
from .upsert import dialect_of

PEOPLE = 2_000
"""People in one transaction: they are locked as long as it takes."""
ROWS = 10_000
"""Rows that are read at once."""

Progress = Callable[[int, int], None]
"""Told how much of what is done, whenever some more is."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild has found."""

    people: int
    """People who have ever been active."""
    corrected: int
    """Counters that were wrong."""
    recut: bool
    """Whether the days were cut anew, in another zone."""


def rebuild_activity(
    database: Database, zone: str, progress: Progress = lambda _done, _all: None
) -> Rebuilt:
    """Bring weeks and counters in line with the active days; writers may be at work.

    If days were cut in another zone than `zone` so far, first cut them anew from the sessions,
    and the totals from the events. Nothing is stored meanwhile: facts wait in the journals. What
    retention has removed can't be cut anew; such days stay as they were.
    """
    former = persistently(database, lambda session: begin_recut(session, zone))
    with database.read() as session:
        first, last = session.execute(select(func.min(PersonRow.id), func.max(PersonRow.id))).one()
    ids = range(first or 0, (last or -1) + 1)
    if former is not None:
        _recut_days(database, ZoneInfo(former), ZoneInfo(zone), ids)
        _recount_totals(database, ZoneInfo(former), ZoneInfo(zone))
    for low, high in _ranges(ids):
        persistently(database, partial(_rebuild_weeks, low=low, high=high))
        progress(high - ids.start + 1, len(ids))
    people, corrections = _corrections(database, ids)

    def correct(session: Session) -> None:
        # In the writers' order: a batch relies on the zone first, and counts last.
        end_recut(session, zone)
        add_gaps(session, corrections)

    persistently(database, correct)
    return Rebuilt(people, sum(1 for n in corrections.values() if n), former is not None)


def _ranges(ids: range) -> Iterator[tuple[int, int]]:
    # From the first person there is: ids don't begin at 1 where people have come and gone.
    for low in range(ids.start, ids.stop, PEOPLE):
        yield low, min(low + PEOPLE, ids.stop) - 1


def _lock(session: Session, low: int, high: int) -> None:
    """Keep writers from these people until the transaction ends."""
    rows = select(PersonRow.id).where(PersonRow.id.between(low, high))
    session.execute(rows.order_by(PersonRow.id).with_for_update()).all()


# --- weeks -----------------------------------------------------------------------------------


def _rebuild_weeks(session: Session, low: int, high: int) -> None:
    _lock(session, low, high)
    rows = session.execute(
        select(ActiveDayRow.person_id, ActiveDayRow.day).where(
            ActiveDayRow.person_id.between(low, high)
        )
    )
    right = {(person_id, week_of(day)) for person_id, day in rows}
    found = {
        (person_id, week)
        for person_id, week in session.execute(
            select(ActiveWeekRow.person_id, ActiveWeekRow.week).where(
                ActiveWeekRow.person_id.between(low, high)
            )
        )
    }
    insert_weeks(session, sorted(right - found))
    for person_id, week in sorted(found - right):
        session.execute(
            delete(ActiveWeekRow).where(
                ActiveWeekRow.person_id == person_id, ActiveWeekRow.week == week
            )
        )


# --- counters --------------------------------------------------------------------------------

_Counters = Counter[tuple[date, int]]
_rowid: ColumnElement[int] = literal_column("engage_active_day.rowid", Integer)


def _corrections(database: Database, ids: range) -> tuple[int, _Counters]:
    """Return how many people were ever active, and what is to be added to each counter."""
    if database.dialect == "sqlite":
        # One look after the other, because a long one would keep the host from committing. Days
        # are only ever added, under rising numbers: that tells which were there at first.
        with database.read() as session:
            held = _held(session)
            newest = session.scalar(select(func.max(_rowid)).select_from(ActiveDayRow)) or 0
        return _compared(database.read, ids, held, _rowid <= newest)
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(engine) as snapshot:
        return _compared(lambda: nullcontext(snapshot), ids, _held(snapshot), true())


def _compared(
    look: Callable[[], AbstractContextManager[Session]],
    ids: range,
    held: _Counters,
    which: ColumnElement[bool],
) -> tuple[int, _Counters]:
    missing: _Counters = Counter()
    people = 0
    for low, high in _ranges(ids):
        with look() as session:
            for day, gap, count in session.execute(_gaps(session, low, high, which)):
                missing[day, gap] += count
            people += (
                session.scalar(
                    select(func.count(distinct(ActiveDayRow.person_id))).where(
                        ActiveDayRow.person_id.between(low, high), which
                    )
                )
                or 0
            )
    missing.subtract(held)
    return people, missing


def _held(session: Session) -> _Counters:
    rows = session.execute(select(ActiveGapRow.day, ActiveGapRow.gap, ActiveGapRow.count))
    return Counter({(day, gap): count for day, gap, count in rows})


def _gaps(session: Session, low: int, high: int, which: ColumnElement[bool]) -> Select[Any]:
    """Count the days of these people by the distance from the same person's day before."""
    day, person = ActiveDayRow.day, ActiveDayRow.person_id
    former = func.lag(day).over(partition_by=person, order_by=day).label("former")
    days = select(day, former).where(person.between(low, high), which).subquery()
    distance: ColumnElement[int]
    match dialect_of(session):
        case "postgresql":
            distance = type_coerce(days.c.day - days.c.former, Integer)
        case "mysql":
            distance = func.datediff(days.c.day, days.c.former, type_=Integer)
        case _:
            apart = func.julianday(days.c.day) - func.julianday(days.c.former)
            distance = cast(apart, Integer)
    gap = case((distance < LONGEST_GAP, distance), else_=LONGEST_GAP)  # None: never before
    counted = select(days.c.day, gap.label("gap")).subquery()
    return select(counted.c.day, counted.c.gap, func.count()).group_by(counted.c.day, counted.c.gap)


# --- another zone ------------------------------------------------------------------------------


def _recut_days(database: Database, former: ZoneInfo, zone: ZoneInfo, ids: range) -> None:
    """Cut the active days anew, from the sessions that there are."""
    with database.read() as session:
        first = session.scalar(select(func.min(SessionRow.started_at)))
    if first is None:
        return
    since = min(_day(first, former), _day(first, zone))
    for low, high in _ranges(ids):
        persistently(database, partial(_recut, low=low, high=high, since=since, zone=zone))


def _recut(session: Session, low: int, high: int, since: date, zone: ZoneInfo) -> None:
    _lock(session, low, high)
    rows = session.execute(
        select(SessionRow.person_id, SessionRow.started_at, SessionRow.last_at).where(
            SessionRow.person_id.between(low, high)
        )
    )
    days = {
        (person_id, day)
        for person_id, begin, end in rows
        for day in _days_between(_day(begin, zone), _day(end, zone))
    }
    session.execute(
        delete(ActiveDayRow)
        .where(ActiveDayRow.person_id.between(low, high), ActiveDayRow.day >= since)
        .execution_options(synchronize_session=False)
    )
    insert_new_days(session, sorted(days))


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def _days_between(first: date, last: date) -> Iterator[date]:
    """Give all of them: in a session nobody is away for a day."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _recount_totals(database: Database, former: ZoneInfo, zone: ZoneInfo) -> None:
    """Count the events of each day anew, of those days whose events are still there."""
    totals: Counter[tuple[date, str]] = Counter()
    stored, position = 0, 0
    first: datetime | None = None
    while True:
        with database.read() as session:
            rows = session.execute(
                select(EventRow.id, EventRow.name, EventRow.occurred_at)
                .where(EventRow.id > position)
                .order_by(EventRow.id)
                .limit(ROWS)
            ).all()
        for _, name, at in rows:
            totals[_day(at, zone), name] += 1
            first = at if first is None else min(first, at)
        if not rows:
            break
        stored, position = stored + len(rows), rows[-1].id
    if first is None:
        return
    with database.write() as session:
        counted = session.scalar(select(func.sum(EventTotalRow.count))) or 0
        since = min(_day(first, former), _day(first, zone))
        if counted > stored:  # the oldest are gone, and a part of their last day with them
            since = max(_day(first, former), _day(first, zone)) + timedelta(days=1)
        session.execute(
            delete(EventTotalRow)
            .where(EventTotalRow.day >= since)
            .execution_options(synchronize_session=False)
        )
        add_totals(session, {key: n for key, n in totals.items() if key[0] >= since})
