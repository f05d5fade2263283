"""What operators wrote down about a person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, delete, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime

LONGEST = 10_000
"""Characters of one note; what is longer belongs into a document."""


class NoteRow(Base):
    """One note."""

    __tablename__ = "engage_note"
    __table_args__ = (Index("ix_engage_note_person", "person_id", "created_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    person_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("engage_person.id", name="fk_engage_note_person", ondelete="CASCADE")
    )
    operator_id: Mapped[str] = mapped_column(CodeText(255))
    """Who wrote it, as the host names its operators."""
    body: Mapped[str] = mapped_column(LongText())
    """Plain text."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())


def add_note(
    session: Session, person_id: int, operator_id: str, body: str, now: datetime
) -> NoteRow:
    """Write a note about a person."""
    row = NoteRow(
        person_id=person_id, operator_id=operator_id, body=body, created_at=now, updated_at=now
    )
    session.add(row)
    session.flush()
    return row


def change_note(
    session: Session, person_id: int, note_id: int, operator_id: str, body: str, now: datetime
) -> bool:
    """Give a note of this operator's another text; tell whether there is such a note."""
    found = session.connection().execute(
        update(NoteRow)
        .where(
            NoteRow.id == note_id,
            NoteRow.person_id == person_id,
            NoteRow.operator_id == operator_id,
        )
        .values(body=body, updated_at=now)
    )
    return found.rowcount > 0


def delete_note(session: Session, person_id: int, note_id: int, operator_id: str | None) -> bool:
    """Delete a note of this operator's, or (None) of anybody's; tell whether there was one."""
    statement = delete(NoteRow).where(NoteRow.id == note_id, NoteRow.person_id == person_id)
    if operator_id is not None:
        statement = statement.where(NoteRow.operator_id == operator_id)
    return session.connection().execute(statement).rowcount > 0
