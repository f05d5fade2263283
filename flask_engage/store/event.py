"""Events: raw rows, and the sums that most questions are answered from."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, UTCDateTime


class EventRow(Base):
    """One thing that one person did."""

    __tablename__ = "engage_event"
    __table_args__ = (
        Index("ix_engage_event_person", "person_id", "name", "occurred_at"),
        Index("ix_engage_event_name", "name", "occurred_at"),
        Index("ix_engage_event_occurred", "occurred_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    person_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("engage_person.id", name="fk_engage_event_person", ondelete="CASCADE")
    )
    session_id: Mapped[int | None] = mapped_column(BigId)
    """The session that it fell into; soft, sessions may be pruned."""
    name: Mapped[str] = mapped_column(CodeText(64))
    properties: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime())
    received_at: Mapped[datetime] = mapped_column(UTCDateTime())


class EventKeyRow(Base):
    """An id that a caller gave an event: the same id twice is one event, for ever.

    Kept apart from the events, so that it outlives their retention.
    """

    __tablename__ = "engage_event_key"

    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    id: Mapped[str] = mapped_column(CodeText(191), primary_key=True)


class EventSummaryRow(Base):
    """How often one person did one thing, first and last. Survives the raw events."""

    __tablename__ = "engage_event_summary"
    __table_args__ = (
        Index("ix_engage_event_summary_name", "name", "count", "person_id"),
        Index("ix_engage_event_summary_last", "name", "last_at", "person_id"),
    )

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_event_summary_person", ondelete="CASCADE"),
        primary_key=True,
    )
    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime] = mapped_column(UTCDateTime())
    last_at: Mapped[datetime] = mapped_column(UTCDateTime())


class EventTotalRow(Base):
    """How often everybody together did one thing on one day (days cut in ENGAGE_TIMEZONE)."""

    __tablename__ = "engage_event_total"
    __table_args__ = (Index("ix_engage_event_total_name", "name", "day"),)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class EventNameRow(Base):
    """One thing that anybody has ever done: the catalogue of events. Outlives the raw events."""

    __tablename__ = "engage_event_name"

    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    first_at: Mapped[datetime] = mapped_column(UTCDateTime())
    last_at: Mapped[datetime] = mapped_column(UTCDateTime())
