"""The outbox: mail that stays in the house, where no mail server is set."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from .delivery import DeliveryRow, OutboxRow

_SENT_OR_GOING = ("queued", "claimed", "on_wire", "sent", "unknown")


def outbox_mails(session: Session, limit: int = 1000) -> Sequence[OutboxRow]:
    """Return the newest mails, at most `limit`, oldest of them first."""
    newest = session.scalars(select(OutboxRow).order_by(OutboxRow.id.desc()).limit(limit)).all()
    return newest[::-1]


def sources_sent_to(session: Session, person_id: int) -> set[str]:
    """Return the sources of all messages that reached one person, or are on their way."""
    return set(
        session.scalars(
            select(DeliveryRow.source).where(
                DeliveryRow.person_id == person_id, DeliveryRow.state.in_(_SENT_OR_GOING)
            )
        )
    )
