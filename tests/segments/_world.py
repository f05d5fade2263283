"""People with everything a filter can ask about, and how they get into a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from flask_engage.segments.comparison import iso_time
from flask_engage.store.attribute import AttributeRow
from flask_engage.store.delivery import DeliveryEventRow, DeliveryRow
from flask_engage.store.event import EventRow, EventSummaryRow
from flask_engage.store.person import PersonRow, PersonTagRow
from flask_engage.store.relationship import RelationshipRow
from flask_engage.store.session import SessionRow

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@dataclass
class Happening:
    """Something that somebody did."""

    name: str
    at: datetime
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Visit:
    """A session of somebody's."""

    at: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    """Columns of the session row."""


@dataclass
class Sent:
    """A message that somebody was to get."""

    source: str
    sent_at: datetime | None = None
    kinds: tuple[str, ...] = ()


@dataclass
class Somebody:
    """One person. `fields` are columns of the person row."""

    fields: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, datetime] = field(default_factory=dict)
    """When an attribute got its value; those that aren't named here: now."""
    tags: tuple[str, ...] = ()
    hearts: int | None = None
    did: tuple[Happening, ...] = ()
    sent: tuple[Sent, ...] = ()
    visits: tuple[Visit, ...] = ()
    person_id: int = 0
    """Ours, once they are in a database."""


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, (int, float)):
        return "n"
    return "t" if isinstance(value, datetime) else "s"


def stored(value: Any) -> Any:
    return iso_time(value.astimezone(UTC)) if isinstance(value, datetime) else value


def add_people(session: Session, people: Iterable[Somebody]) -> list[int]:
    """Write `people` with all that belongs to them; return their ids in the same order."""
    return [_add(session, one) for one in people]


def _add(session: Session, one: Somebody) -> int:
    row = PersonRow(
        attributes={f"{kind_of(v)}:{name}": stored(v) for name, v in one.attrs.items()},
        created_at=NOW,
        updated_at=NOW,
        **one.fields,
    )
    session.add(row)
    session.flush()
    one.person_id = row.id
    session.add_all(PersonTagRow(person_id=row.id, name=t, created_at=NOW) for t in one.tags)
    if one.hearts is not None:
        session.add(
            RelationshipRow(person_id=row.id, score=1.0, hearts=one.hearts, computed_at=NOW)
        )
    for name, value in one.attrs.items():
        session.add(
            AttributeRow(
                person_id=row.id,
                name=name,
                kind=kind_of(value),
                value="null",
                source="page",
                computed_at=NOW,
                changed_at=one.changed.get(name, NOW),
            )
        )
    _add_events(session, row.id, one.did)
    session.add_all(
        SessionRow(person_id=row.id, started_at=visit.at, last_at=visit.at, **visit.fields)
        for visit in one.visits
    )
    for number, message in enumerate(one.sent):
        delivery = DeliveryRow(
            person_id=row.id,
            source=message.source,
            occurrence=str(number),
            channel="email",
            state="queued" if message.sent_at is None else "sent",
            not_before=NOW,
            sent_at=message.sent_at,
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(delivery)
        session.flush()
        session.add_all(
            DeliveryEventRow(delivery_id=delivery.id, kind=kind, occurred_at=NOW)
            for kind in message.kinds
        )
    session.flush()
    return row.id


def _add_events(session: Session, person_id: int, did: tuple[Happening, ...]) -> None:
    for one in did:
        session.add(
            EventRow(
                person_id=person_id,
                name=one.name,
                properties=one.properties,
                occurred_at=one.at,
                received_at=NOW,
            )
        )
    for name in {one.name for one in did}:
        times = [one.at for one in did if one.name == name]
        session.add(
            EventSummaryRow(
                person_id=person_id,
                name=name,
                count=len(times),
                first_at=min(times),
                last_at=max(times),
            )
        )
