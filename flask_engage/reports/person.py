"""One person: attributes with their sources, the ways that led here, how they stand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..store.attribute import AttributeRow
from ..store.delivery import DeliveryRow
from ..store.event import EventSummaryRow
from ..store.note import NoteRow
from ..store.person import PersonRow, is_live
from ..store.session import SessionRow
from ..types import AttributeValue


@dataclass(frozen=True, slots=True)
class KnownAttribute:
    """One custom attribute of a person."""

    name: str
    kind: str
    """``s`` text, ``n`` number, ``b`` boolean, ``t`` time."""
    value: AttributeValue
    source: str
    computed_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Touch:
    """The way that led somebody here."""

    referrer: str | None
    source: str | None
    medium: str | None
    campaign: str | None

    @property
    def is_known(self) -> bool:
        """Whether anything is known of it."""
        return any((self.referrer, self.source, self.medium, self.campaign))


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands with the host."""

    kind: str
    """``user``, ``lead`` or ``visitor``."""
    gone_at: datetime | None
    """When the host's user was first found missing."""
    unsubscribed_at: datetime | None
    known_since: datetime


def person_id_by_public_id(session: Session, public_id: str) -> int | None:
    """Return our id of the living person with this public id."""
    if not _is_public_id(public_id):
        return None
    return session.scalar(select(PersonRow.id).where(PersonRow.public_id == public_id, is_live()))


def _is_public_id(text: str) -> bool:
    return text.isascii() and text.isalnum()


def attributes_of_person(session: Session, person_id: int) -> list[KnownAttribute]:
    """Return the custom attributes of a person, by name."""
    rows = select(AttributeRow).where(AttributeRow.person_id == person_id)
    return [
        KnownAttribute(row.name, row.kind, _value(row), row.source, row.computed_at, row.changed_at)
        for row in session.scalars(rows.order_by(AttributeRow.name))
    ]


def touches(session: Session, person_id: int) -> tuple[Touch, Touch]:
    """Return the way that led a person here first, and the one that did last."""
    row = session.get_one(PersonRow, person_id)
    return (
        Touch(row.referrer, row.utm_source, row.utm_medium, row.utm_campaign),
        Touch(
            row.latest_referrer,
            row.latest_utm_source,
            row.latest_utm_medium,
            row.latest_utm_campaign,
        ),
    )


def standing(session: Session, person_id: int) -> Standing:
    """Return how a person stands with the host, beside what they are like."""
    row = session.get_one(PersonRow, person_id)
    return Standing(row.kind, row.gone_at, row.unsubscribed_at, row.created_at)


def user_id_of(session: Session, person_id: int) -> str | None:
    """Return the host's id of a person, if they are a user of it."""
    return session.scalar(select(PersonRow.user_id).where(PersonRow.id == person_id))


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of one person."""

    events: int
    """Ever; the oldest of them may not be kept any more."""
    sessions: int
    messages: int
    notes: int


def extent_of(session: Session, person_id: int) -> Extent:
    """Return how much there is of a person."""
    events = select(func.sum(EventSummaryRow.count)).where(EventSummaryRow.person_id == person_id)

    def rows(table: Any) -> int:
        query = select(func.count()).select_from(table).where(table.person_id == person_id)
        return session.scalar(query) or 0

    return Extent(
        int(session.scalar(events) or 0), rows(SessionRow), rows(DeliveryRow), rows(NoteRow)
    )


def became(session: Session, public_id: str) -> str | None:
    """Return the public id of whom a person became who was merged with somebody else."""
    if not _is_public_id(public_id):
        return None
    row = session.scalar(select(PersonRow).where(PersonRow.public_id == public_id))
    met: set[int] = set()
    while row is not None and row.merged_into is not None and row.id not in met:
        met.add(row.id)
        row = session.get(PersonRow, row.merged_into)
    if row is None or not met or row.merged_into is not None or row.deleted_at is not None:
        return None
    return row.public_id


def _value(row: AttributeRow) -> AttributeValue:
    value: AttributeValue = json.loads(row.value)
    return datetime.fromisoformat(value) if row.kind == "t" and isinstance(value, str) else value
