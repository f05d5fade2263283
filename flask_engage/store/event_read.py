"""Looking at events: the catalogue of their names, the newest of them, a name's trend."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from .event import EventNameRow, EventRow, EventTotalRow
from .person import PersonRow

WINDOW = 10_000
"""A property is looked for in this many of the newest events that fit otherwise."""
_AT_ONCE = 500

Sort = Literal["name", "count", "first_at", "last_at"]
Place = tuple[datetime, int]
"""An event's place among all: its time and its id."""


@dataclass(frozen=True, slots=True)
class EventName:
    """One thing that people do, over all time: it outlives the raw events."""

    name: str
    count: int
    first_at: datetime
    last_at: datetime


def count_event_names(session: Session, *, search: str = "") -> int:
    """Return how many different names of events there are."""
    query = select(func.count()).select_from(EventNameRow).where(*_like(search))
    return session.scalar(query) or 0


def event_names(
    session: Session,
    *,
    search: str = "",
    sort: Sort = "last_at",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> list[EventName]:
    """Return a page of the catalogue.

    :param search: a part of the name; upper and lower case are one.
    """
    table = EventNameRow.__table__
    column = table.c[sort]
    order = column.desc() if descending else column.asc()
    rows = session.execute(
        select(table.c.name, table.c.count, table.c.first_at, table.c.last_at)
        .where(*_like(search))
        .order_by(order, table.c.name)
        .limit(limit)
        .offset(offset)
    )
    return [EventName(*row) for row in rows]


def event_name(session: Session, name: str) -> EventName | None:
    """Return what the catalogue says of one name; None if nobody ever did that."""
    table = EventNameRow.__table__
    row = session.execute(
        select(table.c.name, table.c.count, table.c.first_at, table.c.last_at).where(
            table.c.name == name
        )
    ).first()
    return EventName(*row) if row else None


def _like(search: str) -> list[ColumnElement[bool]]:
    if not search:
        return []
    # SQLite folds only the letters of English; what is written as it is stored is found anyway.
    lowered = func.lower(EventNameRow.name).contains(search.lower(), autoescape=True)
    return [or_(lowered, EventNameRow.name.contains(search, autoescape=True))]


def event_days(session: Session, name: str, first: date, last: date) -> dict[date, int]:
    """Return how often `name` was done on each day from `first` to `last`; days without are out.

    Days are cut in ``ENGAGE_TIMEZONE``.
    """
    rows = session.execute(
        select(EventTotalRow.day, EventTotalRow.count).where(
            EventTotalRow.name == name, EventTotalRow.day.between(first, last)
        )
    )
    return {day: count for day, count in rows if count}


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """One event, with who did it."""

    id: int
    name: str
    properties: Mapping[str, Any]
    occurred_at: datetime
    received_at: datetime
    person_public_id: str
    user_id: str | None
    person_name: str | None
    person_email: str | None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest events that fit, newest first."""

    events: list[SeenEvent] = field(default_factory=list)
    cursor: int = 0
    """Pass it as `after` to ask for what has come since."""
    complete: bool = True
    """False if older ones may fit too but were not looked at (only with a property)."""
    looked_to: Place | None = None
    """If it is not complete: where to go on, as `before`."""


def newest_events(
    session: Session,
    *,
    name: str | None = None,
    person_id: int | None = None,
    public_ids: Collection[str] | None = None,
    where: tuple[str, str] | None = None,
    after: int | None = None,
    before: Place | None = None,
    limit: int = 50,
) -> Newest:
    """Return the newest `limit` events, or with `after` those that were stored lately.

    What it costs doesn't grow with the number of events: indexes lead to the newest, and a
    property is looked for in the newest :data:`WINDOW` of them only.

    :param person_id: our id of the person whose events are wanted.
    :param public_ids: of the few people whose events are wanted.
    :param where: a property's name and its value as text: ``("plan", "pro")``, ``("n", "3")``.
    :param after: the ``cursor`` of an earlier answer. Writers finish in another order than
        they began, so that a row may appear a little before it. Therefore events that were given
        already are given again: whoever shows them goes by their ids.
    :param before: only what happened before the event at this place.
    """
    newest_id = session.scalar(select(func.max(EventRow.id))) or 0
    query = _newest(name, person_id)
    if public_ids is not None:
        query = query.where(PersonRow.public_id.in_(public_ids))
    if before is not None:
        at, id_ = before
        earlier = and_(EventRow.occurred_at == at, EventRow.id < id_)
        # An index is searched by the first condition; the second says what it can't.
        query = query.where(EventRow.occurred_at <= at, or_(EventRow.occurred_at < at, earlier))
    if after is None:
        query = query.order_by(EventRow.occurred_at.desc(), EventRow.id.desc())
    else:
        query = query.where(EventRow.id > after - _OVERLAP).order_by(EventRow.id.desc())
    if where is None:
        found = [_seen(row) for row in session.execute(query.limit(limit))]
        return Newest(found, max(newest_id, after or 0))
    found, looked_at, place = [], 0, None
    for row in _rows(session, query):
        looked_at += 1
        place = (row.occurred_at, row.id)
        if where[1] in _as_texts(row.properties.get(where[0], _NOTHING)):
            found.append(_seen(row))
            if len(found) == limit:
                break
    complete = len(found) == limit or looked_at < WINDOW
    return Newest(found, max(newest_id, after or 0), complete, None if complete else place)


_OVERLAP = 1000
"""So many ids may be given to rows of transactions that end after ours has looked."""
_NOTHING = object()


def _newest(name: str | None, person_id: int | None) -> Select[Any]:
    query = (
        select(
            EventRow.id,
            EventRow.name,
            EventRow.properties,
            EventRow.occurred_at,
            EventRow.received_at,
            PersonRow.public_id,
            PersonRow.user_id,
            PersonRow.name.label("person_name"),
            PersonRow.email,
        )
        .join(PersonRow, PersonRow.id == EventRow.person_id)
        .where(PersonRow.deleted_at.is_(None))
    )
    if name is not None:
        query = query.where(EventRow.name == name)
    if person_id is not None:
        query = query.where(EventRow.person_id == person_id)
    return query


def _rows(session: Session, query: Select[Any]) -> Iterator[Any]:
    """Give the rows of the window, some at a time: mostly the first ones are enough."""
    for offset in range(0, WINDOW, _AT_ONCE):
        rows = session.execute(query.limit(_AT_ONCE).offset(offset)).all()
        yield from rows
        if len(rows) < _AT_ONCE:
            return


def _seen(row: Any) -> SeenEvent:
    return SeenEvent(
        row.id,
        row.name,
        row.properties or {},
        row.occurred_at,
        row.received_at,
        row.public_id,
        row.user_id,
        row.person_name,
        row.email,
    )


def _as_texts(value: object) -> tuple[str, ...]:
    """Return how an operator may write a property's value."""
    if value is _NOTHING:
        return ()
    if isinstance(value, bool):
        return ("true", "yes") if value else ("false", "no")
    if value is None:
        return ("null",)
    if isinstance(value, float) and value.is_integer():
        return (str(int(value)),)
    return (str(value),)
