"""A message to somebody, as a row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from flask_engage.store.delivery import DeliveryRow


def add_message(session: Session, person_id: int, source: str, at: datetime) -> DeliveryRow:
    """Let a message have been sent."""
    row = DeliveryRow(
        source=source,
        person_id=person_id,
        channel="inapp",
        state="sent",
        not_before=at,
        sent_at=at,
        created_at=at,
        updated_at=at,
    )
    session.add(row)
    session.flush()
    return row
