"""How far the host's history has been brought in: one row for each backfill."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, CodeText, LongText, UTCDateTime


class BackfillRow(Base):
    """One backfill, by the key that the host gave it."""

    __tablename__ = "engage_backfill"

    key: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    position: Mapped[str | None] = mapped_column(LongText())
    """Where to go on, as JSON; None: from the beginning."""
    read: Mapped[int] = mapped_column(BigInteger, default=0)
    """Rows of the host's looked at in the newest run."""
    stored: Mapped[int] = mapped_column(BigInteger, default=0)
    """Events that came of it, in all runs."""
    refused: Mapped[int] = mapped_column(BigInteger, default=0)
    """Rows that can't be events, in the newest run."""
    error: Mapped[str | None] = mapped_column(LongText())
    """Why the last of those can't."""
    started_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When the newest run came to its end; None while it hasn't."""
