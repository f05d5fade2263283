"""Measuring segments: who came since the last time, who left, and how many there are.

People are compared by ranges of their ids, each range in one transaction that also says how far
the measurement is. So two processes never do the same range, and one that dies leaves a
measurement that the next one goes on with: the history has each change once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Table, and_, delete, func, insert, literal, not_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..errors import InvalidFilter
from ..store.base import BigId, UTCDateTime
from ..store.engine import Database
from ..store.person import PersonRow, is_live
from ..store.retry import persistently
from ..store.segment import SegmentRow
from ..store.segment_member import (
    SegmentChangeRow,
    SegmentDayRow,
    SegmentMemberRow,
    SegmentWatchRow,
    is_of_tag,
)
from ..store.trouble import is_passing
from ..store.upsert import insert_ignore, upsert
from .compile import CompileContext, where
from .filter import Filter, InSegment

PEOPLE = 2_000
"""People compared in one transaction."""
SAID_AT_ONCE = 50
"""Changes that are taken to be told together: what a kill in the middle may leave untold."""
_ROWS = 1_000
_A_ROUND = timedelta(days=1)
"""Measuring everybody in every segment takes less, however many turns it takes."""
_COUNTED = {"preserve_rowcount": True}

Member, Change = SegmentMemberRow, SegmentChangeRow


@dataclass(frozen=True, slots=True)
class Told:
    """A change, as those who listen are told of it."""

    user_id: str | None
    public_id: str
    segment: str
    entered: bool
    at: datetime


@dataclass(slots=True)
class Measured:
    """What measuring did."""

    segments: int = 0
    entered: int = 0
    left: int = 0
    errors: dict[str, str] | None = None
    finished: bool = True

    def __str__(self) -> str:
        text = f"{self.segments} segments, {self.entered} entered, {self.left} left"
        for name, error in (self.errors or {}).items():
            text += f"; {name!r} was left out: {error}"
        return text if self.finished else f"{text} (so far)"


def measure_segments(
    database: Database,
    context: CompileContext,
    of_code: Mapping[str, Filter],
    now: datetime,
    *,
    may_go_on: Callable[[], bool] = lambda: True,
    at_least: timedelta = timedelta(0),
    is_heard: bool = True,
) -> Measured:
    """Measure every segment for the moment `now`, or go on with a measurement that was cut off.

    :param may_go_on: asked between two ranges of people; no: the next call goes on.
    :param at_least: a segment that was measured within this time is not measured again.
    :param is_heard: whether changes are to be told: :func:`take_untold` finds them then.
    """
    done = Measured(errors={})
    named = _known(database, of_code)
    for watch in persistently(database, lambda session: _watches(session, named)):
        if not _begin(database, watch.id, now, at_least):
            continue
        try:
            if not _compare(database, watch.id, context, done, may_go_on, is_heard):
                done.finished = False
                return done
        except (InvalidFilter, DBAPIError) as error:
            if is_passing(error):
                raise
            shown = str(error.orig if isinstance(error, DBAPIError) else error)
            assert done.errors is not None
            done.errors[watch.name] = shown
            _note(database, watch.id, shown)
            continue
        done.segments += 1
    return done


def take_untold(database: Database) -> list[Told]:
    """Take some changes that nobody was told of; whoever takes them is the only one.

    They are marked before they are told: a process that dies in between leaves at most
    `SAID_AT_ONCE` of them untold, and none is told twice.
    """

    def take(session: Session) -> list[Told]:
        ids = session.scalars(
            select(Change.id)
            .where(Change.said.is_(False))
            .order_by(Change.id)
            .limit(SAID_AT_ONCE)
            .with_for_update()
        ).all()
        if not ids:
            return []
        rows = session.execute(
            select(
                PersonRow.user_id,
                PersonRow.public_id,
                SegmentWatchRow.name,
                Change.entered,
                Change.at,
            )
            .join(PersonRow, PersonRow.id == Change.person_id)
            .join(SegmentWatchRow, SegmentWatchRow.id == Change.segment_id)
            .where(Change.id.in_(ids))
            .order_by(Change.id)
        ).all()
        session.execute(update(_table(Change)).where(Change.id.in_(ids)).values(said=True))
        return [Told(*row) for row in rows]

    return persistently(database, take)


def record_day(database: Database, now: datetime, zone: str) -> None:
    """Keep how many people each segment had on the day of its last measurement.

    That may have begun in an earlier turn than the one that ends at `now`.
    """
    watch = SegmentWatchRow
    with database.read() as session:
        measured = session.execute(
            select(watch.id, watch.run_at).where(
                watch.run_at > now - _A_ROUND, watch.position.is_(None), watch.error.is_(None)
            )
        ).all()
    for segment_id, run_at in measured:
        day = (run_at or now).astimezone(ZoneInfo(zone)).date()
        with database.read() as session:
            count = session.scalar(
                select(func.count()).select_from(Member).where(Member.segment_id == segment_id)
            )
        row = {"segment_id": segment_id, "day": day, "people": count or 0}
        persistently(
            database,
            lambda session, row=row: upsert(  # type: ignore[misc]
                session,
                _table(SegmentDayRow),
                [row],
                key=["segment_id", "day"],
                update=lambda _table, incoming: {"people": incoming("people")},
            ),
        )


def prune(database: Database, before: datetime) -> int:
    """Delete changes from before `before`, and all of segments that are gone; in batches."""
    gone = 0
    while True:
        with database.read() as session:
            ids = session.scalars(
                select(Change.id).where(Change.at < before).order_by(Change.at).limit(_ROWS)
            ).all()
        if not ids:
            return gone
        _run(database, delete(_table(Change)).where(Change.id.in_(ids)))
        gone += len(ids)


def forget_gone(database: Database, of_code: Mapping[str, Filter]) -> None:
    """Forget the segments that are neither saved nor of the code any more."""
    with database.read() as session:
        there = {f"saved:{id}" for id in session.scalars(select(SegmentRow.id))}
        there |= {f"code:{name}" for name in of_code}
        watches = session.execute(
            select(SegmentWatchRow.id, SegmentWatchRow.key).where(~is_of_tag())
        ).all()
    for segment_id in [row.id for row in watches if row.key not in there]:
        for table, key in (
            (Member, Member.person_id),
            (Change, Change.id),
            (SegmentDayRow, SegmentDayRow.day),
        ):
            column: Any = cast("Any", table).segment_id
            while True:
                with database.read() as session:
                    found = session.scalars(
                        select(key).where(column == segment_id).limit(_ROWS)
                    ).all()
                if not found:
                    break
                _run(
                    database,
                    delete(_table(table)).where(column == segment_id, cast("Any", key).in_(found)),
                )
        _run(database, delete(_table(SegmentWatchRow)).where(SegmentWatchRow.id == segment_id))


# --- one segment -----------------------------------------------------------------------------


def _known(database: Database, of_code: Mapping[str, Filter]) -> dict[str, str]:
    """Return the names of all segments by key; those of the code hide saved ones."""
    with database.read() as session:
        saved = session.execute(select(SegmentRow.id, SegmentRow.name)).all()
    found = {f"code:{name}": name for name in of_code}
    found |= {f"saved:{row.id}": row.name for row in saved if row.name not in of_code}
    return found


def _watches(session: Session, named: Mapping[str, str]) -> list[SegmentWatchRow]:
    measured = select(SegmentWatchRow).where(~is_of_tag())
    rows = {row.key: row for row in session.scalars(measured)}
    new = [{"key": key, "name": name} for key, name in named.items() if key not in rows]
    if new:
        insert_ignore(session, _table(SegmentWatchRow), new)
        session.expire_all()
        rows = {row.key: row for row in session.scalars(measured)}
    for key, name in named.items():
        if rows[key].name != name:
            rows[key].name = name
    return [rows[key] for key in named]


def _begin(database: Database, segment_id: int, now: datetime, at_least: timedelta) -> bool:
    """Begin a measurement unless one is under way; tell whether there is one to go on with."""
    row = SegmentWatchRow

    def begin(session: Session) -> bool:
        is_due = row.run_at.is_(None) | and_(row.run_at < now, row.run_at <= now - at_least)
        session.execute(
            update(_table(row))
            .where(row.id == segment_id, row.position.is_(None), is_due)
            .values(run_at=now, position=0)
        )
        under_way = select(row.position).where(row.id == segment_id)
        return session.scalar(under_way) is not None

    return persistently(database, begin)


def _compare(
    database: Database,
    segment_id: int,
    context: CompileContext,
    done: Measured,
    may_go_on: Callable[[], bool],
    is_heard: bool,
) -> bool:
    """Compare range after range; False if it is to be gone on with later."""
    while True:
        if not may_go_on():
            return False
        found = persistently(
            database, lambda session: _compare_range(session, segment_id, context, is_heard)
        )
        if found is None:
            return True
        done.entered += found[0]
        done.left += found[1]


def _compare_range(
    session: Session, segment_id: int, context: CompileContext, is_heard: bool
) -> tuple[int, int] | None:
    """Compare the next people with the members; None if all have been compared."""
    watch = session.scalar(
        select(SegmentWatchRow).where(SegmentWatchRow.id == segment_id).with_for_update()
    )
    if watch is None or watch.position is None or watch.run_at is None:
        return None  # another process came to the end of it, or it was deleted
    low, at = watch.position, watch.run_at
    last = select(PersonRow.id).where(PersonRow.id > low).order_by(PersonRow.id).limit(PEOPLE)
    high = session.scalar(select(func.max(last.subquery().c.id)))
    if high is None:
        watch.position, watch.error = None, None
        watch.based_at = watch.based_at or at
        return None
    wanted = and_(where(InSegment(watch.name), now=at, context=context), is_live())
    in_range = and_(Member.segment_id == segment_id, Member.person_id > low)
    in_range = and_(in_range, Member.person_id <= high)
    moment = literal(at, UTCDateTime())
    number = literal(segment_id, BigId)
    is_member = select(1).where(Member.segment_id == segment_id, Member.person_id == PersonRow.id)
    # Written down first and then read back: what is told is what was written, whatever
    # others do to people between two statements.
    entered = session.execute(
        insert(_table(Member)).from_select(
            ["segment_id", "person_id", "entered_at"],
            select(number, PersonRow.id, moment).where(
                PersonRow.id > low, PersonRow.id <= high, wanted, ~is_member.exists()
            ),
        ),
        execution_options=_COUNTED,
    )
    columns = ["segment_id", "person_id", "entered", "at", "said"]
    said = literal(not is_heard)
    if watch.based_at is not None:
        session.execute(
            insert(_table(Change)).from_select(
                columns,
                select(number, Member.person_id, literal(True), moment, said)
                .where(in_range, Member.entered_at == at)
                .order_by(Member.person_id),
            )
        )
    gone = session.execute(
        insert(_table(Change)).from_select(
            columns,
            select(number, Member.person_id, literal(False), moment, said)
            .join(PersonRow, PersonRow.id == Member.person_id)
            # The range is said of people as well: PostgreSQL goes through all of them else.
            .where(in_range, Member.entered_at < at, not_(wanted))
            .where(PersonRow.id > low, PersonRow.id <= high)
            .order_by(Member.person_id),
        ),
        execution_options=_COUNTED,
    )
    left = (
        select(1)
        .where(
            Change.segment_id == segment_id,
            Change.person_id == Member.person_id,
            Change.at == at,
            Change.entered.is_(False),
        )
        .correlate(Member)
    )
    session.execute(delete(_table(Member)).where(in_range, left.exists()))
    watch.position = high
    session.flush()
    is_first = watch.based_at is None
    return (0 if is_first else _count(entered), _count(gone))


def _note(database: Database, segment_id: int, error: str) -> None:
    _run(
        database,
        update(_table(SegmentWatchRow))
        .where(SegmentWatchRow.id == segment_id)
        .values(error=error[:_ROWS], position=None),
    )


def _run(database: Database, statement: Any) -> None:
    persistently(database, lambda session: session.execute(statement))


def _table(row: Any) -> Table:
    return cast("Table", row.__table__)


def _count(result: Any) -> int:
    return int(result.rowcount)
