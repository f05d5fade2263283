"""Events: what is happening now, what there is, and how one of them goes by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from ..store.event import EventRow, EventSummaryRow, EventTotalRow
from ..store.event_read import (
    EventName,
    Place,
    SeenEvent,
    Sort,
    count_event_names,
    event_name,
    event_names,
    newest_events,
)

PAGE = 50
"""Events on one page of the tail, and names on one of the catalogue."""
SPARK_DAYS = 30
"""Days of the little trend beside each name."""
_OFFERED = 500
"""Names that a field offers; nobody chooses from a longer list."""
_EXAMPLES_FROM = 100
"""Newest events that examples of properties are taken from."""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Tail:
    """Some events, the newest first."""

    events: tuple[SeenEvent, ...]
    before: Place | None
    """Where the next page begins, if there is one."""
    is_cut: bool = False
    """Whether there may be more, further back than a property is looked for."""


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """One thing that people do, with its last days."""

    name: str
    count: int
    first_at: datetime
    last_at: datetime
    days: tuple[int, ...]
    """How often on each of the last days, today at the end."""
    properties: Mapping[str, Any]
    """Those of the newest one."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Some of the things that people do."""

    events: tuple[KnownEvent, ...]
    count: int
    """How many there are that fit."""
    every: int
    """How many there are in all."""


@dataclass(frozen=True, slots=True)
class Example:
    """One property that came with the newest events of a name."""

    key: str
    kinds: tuple[str, ...]
    """Of ``text``, ``number``, ``boolean`` and ``none``."""
    values: tuple[Any, ...]
    """Some different values, the newest first."""
    count: int
    """In how many of the events that were looked at."""


@dataclass(frozen=True, slots=True)
class EventReport:
    """How one event goes."""

    known: KnownEvent
    people: int
    """Who ever did it."""
    examples: tuple[Example, ...]
    looked_at: int
    """Events that the examples are from."""
    first_day: date

    @property
    def recent(self) -> int:
        """How often in the days that are shown."""
        return sum(self.known.days)


def tail(
    session: Session,
    *,
    name: str | None = None,
    public_ids: Collection[str] | None = None,
    has: tuple[str, str] | None = None,
    before: Place | None = None,
    limit: int = PAGE,
) -> Tail:
    """Return the newest events, or those before a place.

    :param has: a property's name, and its value as one would type it.
    """
    found = newest_events(
        session, name=name, public_ids=public_ids, where=has, before=before, limit=limit + 1
    )
    events = tuple(found.events[:limit])
    if len(found.events) > limit:
        return Tail(events, (events[-1].occurred_at, events[-1].id))
    return Tail(events, found.looked_to, is_cut=not found.complete)


def catalogue(
    session: Session,
    today: date,
    *,
    search: str = "",
    sort: Sort = "last_at",
    descending: bool = True,
    offset: int = 0,
) -> Catalogue:
    """Return a page of what people ever did.

    :param today: the day that it is in ``ENGAGE_TIMEZONE``.
    :param search: a part of the name.
    """
    rows = event_names(
        session, search=search, sort=sort, descending=descending, limit=PAGE, offset=offset
    )
    names = [row.name for row in rows]
    days = _days(session, today, SPARK_DAYS, names)
    newest = _newest_properties(session, names)
    every = count_event_names(session)
    return Catalogue(
        tuple(_known(row, days[row.name], newest.get(row.name, {})) for row in rows),
        count_event_names(session, search=search) if search else every,
        every,
    )


def offered_names(session: Session) -> list[str]:
    """Return the names that people chose lately, for a field that one types into."""
    return sorted(one.name for one in event_names(session, limit=_OFFERED))


def event_report(session: Session, name: str, today: date, days: int) -> EventReport | None:
    """Return how the event `name` goes, or None if nobody ever did it.

    :param days: how many the trend shows, today at its end.
    """
    found = event_name(session, name)
    if found is None:
        return None
    totals = _days(session, today, days, [name])
    people = select(func.count()).where(EventSummaryRow.name == name)
    newest = session.scalars(
        select(EventRow.properties)
        .where(EventRow.name == name)
        .order_by(EventRow.occurred_at.desc(), EventRow.id.desc())
        .limit(_EXAMPLES_FROM)
    ).all()
    return EventReport(
        _known(found, totals[name], newest[0] or {} if newest else {}),
        session.scalar(people) or 0,
        tuple(_examples(newest)),
        len(newest),
        today - timedelta(days=days - 1),
    )


def _known(found: EventName, days: tuple[int, ...], newest: Mapping[str, Any]) -> KnownEvent:
    return KnownEvent(found.name, found.count, found.first_at, found.last_at, days, newest)


def _newest_properties(session: Session, names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the properties of the newest event of each of `names`, in one question."""
    if not names:
        return {}
    newest = [
        select(
            select(EventRow.id)
            .where(EventRow.name == name)
            .order_by(EventRow.occurred_at.desc(), EventRow.id.desc())
            .limit(1)
            .scalar_subquery()
            .label("id")
        )
        for name in names
    ]
    ids = [found for found in session.scalars(union_all(*newest)) if found is not None]
    rows = session.execute(
        select(EventRow.name, EventRow.properties).where(EventRow.id.in_(ids))
    ).all()
    return {row.name: row.properties or {} for row in rows}


def _days(
    session: Session, today: date, length: int, names: Sequence[str]
) -> Mapping[str, tuple[int, ...]]:
    """Return how often each of `names` was done on each of the days that end with `today`."""
    first = today - timedelta(days=length - 1)
    rows = select(EventTotalRow).where(
        EventTotalRow.day.between(first, today), EventTotalRow.name.in_(names)
    )
    found: dict[str, list[int]] = defaultdict(lambda: [0] * length)
    for row in session.scalars(rows):
        found[row.name][(row.day - first).days] = row.count
    nothing = (0,) * length
    return defaultdict(lambda: nothing, {key: tuple(held) for key, held in found.items()})


def _examples(newest: Sequence[Mapping[str, Any] | None]) -> Iterable[Example]:
    """Yield each property of the `newest` events, the most frequent first."""
    values: dict[str, list[Any]] = defaultdict(list)
    for properties in newest:
        for key, value in (properties or {}).items():
            values[key].append(value)
    for key, held in sorted(values.items(), key=lambda item: (-len(item[1]), item[0])):
        different = {repr(value): value for value in held}
        kinds = dict.fromkeys(_kind(value) for value in held)
        yield Example(key, tuple(kinds), tuple(different.values())[:_EXAMPLES], len(held))


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "text"
