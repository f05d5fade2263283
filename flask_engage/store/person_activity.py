"""When one person was here: their active days, their sessions, their events by the hour.

All of it is read along the indexes of one person, and no more of it than is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Select, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .activity import ActiveDayRow
from .event import EventRow, EventSummaryRow
from .session import SessionRow

MOST_EVENTS = 60_000
"""Events of one person that are counted while somebody waits for a page."""
MOST_SESSIONS = 1_000


class span_of(FunctionElement[int]):  # noqa: N801  (reads as the SQL function it is)
    """Which of the equal spans since 1970 a time column's moment falls into, on a moved clock."""

    type = BigInteger()
    inherit_cache = False  # the figures are part of the text

    def __init__(self, moment: Any, seconds: int, offset: int) -> None:
        super().__init__(moment)
        self.seconds = int(seconds)
        self.offset = int(offset)


@compiles(span_of)
def _standard(_element: span_of, compiler: SQLCompiler, **_: Any) -> str:
    raise NotImplementedError(f"No spans are known for the database {compiler.dialect.name!r}.")


@compiles(span_of, "sqlite")
def _sqlite(element: span_of, compiler: SQLCompiler, **more: Any) -> str:
    moment = compiler.process(element.clauses, **more)
    return f"((CAST(strftime('%s', {moment}) AS INTEGER) + {element.offset}) / {element.seconds})"


@compiles(span_of, "postgresql")
def _postgresql(element: span_of, compiler: SQLCompiler, **more: Any) -> str:
    moment = compiler.process(element.clauses, **more)
    # By way of a double: EXTRACT's own numeric takes three times as long, and is as right here.
    epoch = f"date_part('epoch', {moment}) + {element.offset}"
    return f"CAST(floor(({epoch}) / {element.seconds}) AS BIGINT)"


@compiles(span_of, "mysql")
@compiles(span_of, "mariadb")
def _mysql(element: span_of, compiler: SQLCompiler, **more: Any) -> str:
    moment = compiler.process(element.clauses, **more)
    epoch = f"TIMESTAMPDIFF(SECOND, '1970-01-01', {moment}) + {element.offset}"
    return f"(({epoch}) DIV {element.seconds})"


def countable_names(
    session: Session, person_id: int, since: datetime
) -> tuple[list[str], list[str]]:
    """Return what a person did since then: what of it can be counted for a page, and the rest.

    At most :data:`MOST_EVENTS` rows are to be read: what somebody did most is left out first.
    """
    names = session.execute(
        select(EventSummaryRow.name, EventSummaryRow.count)
        .where(EventSummaryRow.person_id == person_id, EventSummaryRow.last_at >= since)
        .order_by(EventSummaryRow.count, EventSummaryRow.name)
    )
    wanted: list[str] = []
    left_out: list[str] = []
    room = MOST_EVENTS
    for name, count in names:
        room -= count
        (wanted if room >= 0 else left_out).append(name)
    return wanted, left_out


class Stretch(NamedTuple):
    """A time in which a zone's clocks are ahead of UTC by the same."""

    begin: datetime
    end: datetime
    offset: int
    """Seconds."""


def event_spans(
    session: Session,
    person_id: int,
    names: Collection[str],
    stretches: Iterable[Stretch],
    seconds: int,
) -> Counter[int]:
    """Return how many of these events fell into which span of so many seconds of a zone's clock.

    Spans are numbered from 1970.
    """
    counts: Counter[int] = Counter()
    for stretch in stretches if names else ():
        query = spans_query(person_id, names, stretch, seconds)
        counts.update({int(span): count for span, count in session.execute(query)})
    return counts


def spans_query(
    person_id: int, names: Collection[str], stretch: Stretch, seconds: int
) -> Select[int, int]:
    """Return the query for how many of these events fell into which span: an index holds it all."""
    span = span_of(EventRow.occurred_at, seconds, stretch.offset).label("span")
    return (
        select(span, func.count())
        .where(
            EventRow.person_id == person_id,
            EventRow.name.in_(names),
            EventRow.occurred_at >= stretch.begin,
            EventRow.occurred_at < stretch.end,
        )
        .group_by(span)
    )


def active_days(session: Session, person_id: int, first: date) -> list[date]:
    """Return the days since `first` on which a person was seen."""
    query = select(ActiveDayRow.day).where(
        ActiveDayRow.person_id == person_id, ActiveDayRow.day >= first
    )
    return list(session.scalars(query.order_by(ActiveDayRow.day)))


def session_times(
    session: Session, person_id: int, since: datetime
) -> list[tuple[datetime, datetime]]:
    """Return begin and end of a person's newest sessions, :data:`MOST_SESSIONS` at most."""
    rows = session.execute(
        select(SessionRow.started_at, SessionRow.last_at)
        .where(SessionRow.person_id == person_id, SessionRow.started_at >= since)
        .order_by(SessionRow.started_at.desc())
        .limit(MOST_SESSIONS)
    )
    return [(begin, end) for begin, end in rows]
