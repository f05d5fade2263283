"""How far each journal file has been written to the database, and facts that could not be."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime


class JournalRow(Base):
    """One journal file's cursor, moved in the transaction that stores the facts before it.

    So a replay begins where the last commit ended, and nothing is stored twice whoever
    reads the file, and however often.
    """

    __tablename__ = "engage_journal"

    file: Mapped[str] = mapped_column(CodeText(128), primary_key=True)
    """The file's unique name."""
    position: Mapped[int] = mapped_column(BigId)
    """Bytes of the file that are stored."""
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())


class DeadLetterRow(Base):
    """A fact that the database refused, kept with the reason; the others went on."""

    __tablename__ = "engage_dead_letter"
    __table_args__ = (Index("ix_engage_dead_letter_occurred", "occurred_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    payload: Mapped[str] = mapped_column(LongText())
    reason: Mapped[str] = mapped_column(LongText())
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime())
