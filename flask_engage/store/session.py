"""Sessions: stretches of use by one person, apart by idle time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, UTCDateTime


class SessionRow(Base):
    """One session. Its length is last minus first sighting, so a single hit lasts 0 s."""

    __tablename__ = "engage_session"
    __table_args__ = (
        Index("ix_engage_session_person", "person_id", "started_at"),
        Index("ix_engage_session_visit", "started_at", "person_id", "device"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    person_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("engage_person.id", name="fk_engage_session_person", ondelete="CASCADE")
    )
    started_at: Mapped[datetime] = mapped_column(UTCDateTime())
    last_at: Mapped[datetime] = mapped_column(UTCDateTime())
    hits: Mapped[int] = mapped_column(default=1)
    previous_seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When the person had last been seen before this session: what rules on arrival match."""
    previous_sessions: Mapped[int] = mapped_column(default=0)
    """How many sessions the person had before this one."""
    landing_page: Mapped[str | None] = mapped_column(CodeText(512))
    referrer: Mapped[str | None] = mapped_column(CodeText(255))
    utm_source: Mapped[str | None] = mapped_column(CodeText(255))
    utm_medium: Mapped[str | None] = mapped_column(CodeText(255))
    utm_campaign: Mapped[str | None] = mapped_column(CodeText(255))
    country: Mapped[str | None] = mapped_column(CodeText(64))
    browser: Mapped[str | None] = mapped_column(CodeText(64))
    os: Mapped[str | None] = mapped_column(CodeText(64))
    device: Mapped[str | None] = mapped_column(CodeText(64))
    language: Mapped[str | None] = mapped_column(CodeText(35))
    ip: Mapped[str | None] = mapped_column(CodeText(45))
    """As ``ENGAGE_STORE_IP`` wants it: cut short, whole, or (by default) none."""
