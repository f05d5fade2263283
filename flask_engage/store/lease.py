"""The lease that lets one of many processes work, and when each job ran."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime


class LeaseRow(Base):
    """Who may act now. `epoch` grows with each change of holder and fences off the former."""

    __tablename__ = "engage_lease"

    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    holder: Mapped[str] = mapped_column(CodeText(128))
    epoch: Mapped[int] = mapped_column(BigId)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime())


class JobRow(Base):
    """One job's last run and next turn."""

    __tablename__ = "engage_job"

    name: Mapped[str] = mapped_column(CodeText(128), primary_key=True)
    next_run_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    duration_ms: Mapped[int | None]
    runs: Mapped[int] = mapped_column(BigId, default=0)
    failures: Mapped[int] = mapped_column(default=0)
    """Runs that failed in a row."""
    last_error: Mapped[str | None] = mapped_column(LongText())
    result: Mapped[str | None] = mapped_column(LongText())
    """What the last run said of itself, for people."""
