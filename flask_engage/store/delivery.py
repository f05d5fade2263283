"""Deliveries: one message for one person, from the wish to what became of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, LongText, UTCDateTime
from .person import new_public_id


class DeliveryRow(Base):
    """One message for one person, at most once for each (source, person, occurrence).

    ``queued → claimed → on_wire → sent | failed``; besides ``suppressed``, ``held_out``,
    ``cancelled``, ``expired``, and ``unknown`` where a process died between the committed
    ``on_wire`` mark and the server's answer. An in-app message is ``queued`` until the
    person's browser has fetched it, then ``sent``.
    """

    __tablename__ = "engage_delivery"
    __table_args__ = (
        UniqueConstraint("source", "person_id", "occurrence", name="uq_engage_delivery_once"),
        UniqueConstraint("public_id", name="uq_engage_delivery_public_id"),
        Index("ix_engage_delivery_due", "state", "channel", "not_before", "id"),
        Index("ix_engage_delivery_person", "person_id", "channel", "state", "id"),
        Index("ix_engage_delivery_source", "source", "state", "id"),
        Index("ix_engage_delivery_sent", "sent_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    public_id: Mapped[str] = mapped_column(CodeText(32), default=new_public_id)
    source: Mapped[str] = mapped_column(CodeText(200))
    person_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("engage_person.id", name="fk_engage_delivery_person", ondelete="CASCADE")
    )
    occurrence: Mapped[str] = mapped_column(CodeText(191), default="1")
    """Which send this is: the ordinal of the send or of the match, or the event's key."""
    channel: Mapped[str] = mapped_column(CodeText(16))
    content_id: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("engage_content.id", name="fk_engage_delivery_content")
    )
    variant: Mapped[str] = mapped_column(CodeText(64), default="")
    content_version: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(CodeText(16), default="queued")
    reason: Mapped[str | None] = mapped_column(CodeText(255))
    """Why it was suppressed, cancelled or failed."""
    not_before: Mapped[datetime] = mapped_column(UTCDateTime())
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str | None] = mapped_column(CodeText(64))
    """Token of the claim; whoever doesn't hold it may not go on."""
    claim_epoch: Mapped[int | None] = mapped_column(BigId)
    """The lease's fencing token at the claim; none for a claim outside of the scheduler."""
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    on_wire_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    message_id: Mapped[str | None] = mapped_column(CodeText(255))
    """The mail's Message-ID, the same at each try."""
    error: Mapped[str | None] = mapped_column(LongText())
    created_by: Mapped[str | None] = mapped_column(CodeText(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())


class DeliveryEventRow(Base):
    """What became of a delivery: shown, opened, clicked, dismissed, bounced. Each counts once."""

    __tablename__ = "engage_delivery_event"
    __table_args__ = (
        UniqueConstraint("delivery_id", "kind", "detail", name="uq_engage_delivery_event_once"),
        Index("ix_engage_delivery_event_kind", "kind", "occurred_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    delivery_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey(
            "engage_delivery.id", name="fk_engage_delivery_event_delivery", ondelete="CASCADE"
        ),
    )
    kind: Mapped[str] = mapped_column(CodeText(16))
    detail: Mapped[str] = mapped_column(CodeText(191), default="")
    """Which button or link, else empty."""
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime())


class OutboxRow(Base):
    """A mail that stays in the house, where no mail server is set (demo, development, tests)."""

    __tablename__ = "engage_outbox"
    __table_args__ = (UniqueConstraint("message_id", name="uq_engage_outbox_message_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(CodeText(255))
    recipient: Mapped[str] = mapped_column(CodeText(320))
    subject: Mapped[str] = mapped_column(LongText())
    source: Mapped[str] = mapped_column(LongText())
    """The whole mail as it would have left (RFC 5322)."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
