"""In-app deliveries: which one is next for a person, and what was seen of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from .content import ContentRow
from .delivery import DeliveryEventRow, DeliveryRow
from .upsert import insert_ignore

MOST_SHOWINGS = 3
"""Whoever has not acted on a message after being shown it this often does not want to."""
SHOWING_PAUSE = timedelta(seconds=30)
"""Pages opened within this count as one showing: nobody reads that fast."""


def has_waiting(session: Session, person_id: int, now: datetime) -> bool:
    """Tell whether a message waits for the person; one small look, for a polling page."""
    return (
        session.scalar(select(DeliveryRow.id).where(_waiting(person_id, now)).limit(1)) is not None
    )


def next_waiting(
    session: Session, person_id: int, now: datetime
) -> tuple[DeliveryRow, ContentRow | None] | None:
    """Return the oldest delivery the person has not dealt with, and its words."""
    row = session.execute(
        select(DeliveryRow, ContentRow)
        .outerjoin(ContentRow, ContentRow.id == DeliveryRow.content_id)
        .where(_waiting(person_id, now))
        .order_by(DeliveryRow.not_before, DeliveryRow.id)
        .limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def note_fetch(session: Session, delivery: DeliveryRow, now: datetime) -> bool:
    """Count the delivery as sent; tell whether this is the first time."""
    if delivery.state != "queued":
        return False
    where = and_(DeliveryRow.id == delivery.id, DeliveryRow.state == "queued")
    return _change(session, where, state="sent", sent_at=now, updated_at=now) == 1


def note_failure(
    session: Session, delivery: DeliveryRow, now: datetime, *, reason: str, error: str
) -> None:
    """End a delivery that can't be shown to this person."""
    where = and_(DeliveryRow.id == delivery.id, DeliveryRow.state.in_(("queued", "sent")))
    _change(session, where, state="failed", reason=reason, error=error, updated_at=now)


def own_delivery(
    session: Session, person_id: int, public_id: str
) -> tuple[DeliveryRow, ContentRow | None] | None:
    """Return the person's own in-app delivery of this public id, if it was ever given out."""
    row = session.execute(
        select(DeliveryRow, ContentRow)
        .outerjoin(ContentRow, ContentRow.id == DeliveryRow.content_id)
        .where(
            DeliveryRow.public_id == public_id,
            DeliveryRow.person_id == person_id,
            DeliveryRow.channel == "in_app",
            DeliveryRow.state == "sent",
        )
    ).first()
    return None if row is None else (row[0], row[1])


def note_event(session: Session, delivery_id: int, kind: str, detail: str, now: datetime) -> bool:
    """Keep that something became of a delivery; False if that was known."""
    where = (
        DeliveryEventRow.delivery_id == delivery_id,
        DeliveryEventRow.kind == kind,
        DeliveryEventRow.detail == detail[:191],
    )
    if session.scalar(select(DeliveryEventRow.id).where(*where)) is not None:
        return False
    row = {"delivery_id": delivery_id, "kind": kind, "detail": detail[:191], "occurred_at": now}
    insert_ignore(session, cast("Table", DeliveryEventRow.__table__), [row])
    return True


def count_showing(session: Session, delivery_id: int, now: datetime) -> None:
    """Count one showing; several reports of one page, or of pages in quick turn, are one."""
    _change(
        session,
        and_(
            DeliveryRow.id == delivery_id,
            or_(DeliveryRow.attempts == 0, DeliveryRow.updated_at <= now - SHOWING_PAUSE),
        ),
        attempts=DeliveryRow.attempts + 1,
        updated_at=now,
    )


def _waiting(person_id: int, now: datetime) -> ColumnElement[bool]:
    dealt_with = exists().where(
        DeliveryEventRow.delivery_id == DeliveryRow.id,
        DeliveryEventRow.kind.in_(("clicked", "dismissed")),
    )
    return and_(
        DeliveryRow.person_id == person_id,
        DeliveryRow.channel == "in_app",
        DeliveryRow.state.in_(("queued", "sent")),
        DeliveryRow.not_before <= now,
        DeliveryRow.attempts < MOST_SHOWINGS,
        ~dealt_with,
    )


def _change(session: Session, where: ColumnElement[bool], **values: Any) -> int:
    statement = update(DeliveryRow).where(where).values(**values)
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(cast("CursorResult[Any]", result).rowcount)
