"""One person's past: what they did, when they were here, what we know of them and since when."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..store.attribute import AttributeRow
from ..store.event import EventRow, EventSummaryRow
from ..store.person import PersonRow
from ..store.profile import profiles_of
from ..store.session import SessionRow
from ..types import AttributeValue, Person

PAGE = 50


@dataclass(frozen=True, slots=True)
class AttributeFact:
    """One attribute with where it came from."""

    name: str
    kind: str
    """``s`` text, ``n`` number, ``b`` boolean, ``t`` time."""
    value: AttributeValue
    source: str
    computed_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class EventFact:
    """Something that they did."""

    name: str
    at: datetime
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionFact:
    """A stretch of use, with what they did in it, latest first."""

    started_at: datetime
    last_at: datetime
    hits: int
    landing_page: str | None
    referrer: str | None
    browser: str | None
    os: str | None
    device: str | None
    events: tuple[EventFact, ...] = ()

    @property
    def at(self) -> datetime:
        """Where it stands on the timeline."""
        return self.last_at

    @property
    def seconds(self) -> int:
        """How long it lasted; a single hit lasts 0 s."""
        return int((self.last_at - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Habit:
    """How often they did one thing."""

    name: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class PersonDetail:
    """Everything that a person's page shows, but their messages."""

    id: int
    person: Person
    first_seen: datetime | None
    gone_at: datetime | None
    attributes: tuple[AttributeFact, ...]
    habits: tuple[Habit, ...]
    timeline: tuple[SessionFact | EventFact, ...] = field(default=())
    """Latest first; events outside of any session stand by themselves."""


def person_detail(session: Session, public_id: str, *, limit: int = PAGE) -> PersonDetail | None:
    """Return one person by the id in our URLs; None if there is no such person (any more)."""
    row = session.scalar(
        select(PersonRow).where(
            PersonRow.public_id == public_id,
            PersonRow.deleted_at.is_(None),
            PersonRow.merged_into.is_(None),
        )
    )
    if row is None:
        return None
    return PersonDetail(
        id=row.id,
        person=profiles_of(session, [row])[row.id],
        first_seen=row.first_seen_at,
        gone_at=row.gone_at,
        attributes=_attributes(session, row.id),
        habits=_habits(session, row.id),
        timeline=_timeline(session, row.id, limit),
    )


def _attributes(session: Session, person_id: int) -> tuple[AttributeFact, ...]:
    rows = session.scalars(
        select(AttributeRow).where(AttributeRow.person_id == person_id).order_by(AttributeRow.name)
    )
    return tuple(
        AttributeFact(
            name=row.name,
            kind=row.kind,
            value=_value(row.kind, row.value),
            source=row.source,
            computed_at=row.computed_at,
            changed_at=row.changed_at,
        )
        for row in rows
    )


def _value(kind: str, text: str) -> AttributeValue:
    value = json.loads(text)
    return datetime.fromisoformat(value) if kind == "t" else value


def _habits(session: Session, person_id: int) -> tuple[Habit, ...]:
    rows = session.scalars(
        select(EventSummaryRow)
        .where(EventSummaryRow.person_id == person_id)
        .order_by(EventSummaryRow.count.desc(), EventSummaryRow.name)
        .limit(PAGE)
    )
    return tuple(Habit(row.name, row.count, row.first_at, row.last_at) for row in rows)


def _timeline(session: Session, person_id: int, limit: int) -> tuple[SessionFact | EventFact, ...]:
    sessions = session.scalars(
        select(SessionRow)
        .where(SessionRow.person_id == person_id)
        .order_by(SessionRow.started_at.desc())
        .limit(limit)
    ).all()
    # Latest first over all names: the index on (person, name, time) still bounds the rows.
    events = session.scalars(
        select(EventRow)
        .where(EventRow.person_id == person_id)
        .order_by(EventRow.occurred_at.desc(), EventRow.id.desc())
        .limit(limit * 4)
    ).all()
    inside: dict[int, list[EventFact]] = {row.id: [] for row in sessions}
    alone: list[EventFact] = []
    for row in events:
        fact = EventFact(row.name, row.occurred_at, row.properties or {})
        if row.session_id is not None and row.session_id in inside:
            inside[row.session_id].append(fact)
        else:
            alone.append(fact)
    items: list[SessionFact | EventFact] = [
        SessionFact(
            started_at=row.started_at,
            last_at=row.last_at,
            hits=row.hits,
            landing_page=row.landing_page,
            referrer=row.referrer,
            browser=row.browser,
            os=row.os,
            device=row.device,
            events=tuple(inside[row.id]),
        )
        for row in sessions
    ]
    items.extend(alone)
    return tuple(sorted(items, key=lambda item: item.at, reverse=True)[:limit])
