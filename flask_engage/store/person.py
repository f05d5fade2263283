"""People: one row for each human that the host knows, or that was brought in."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, UniqueConstraint, and_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, UTCDateTime


def new_public_id() -> str:
    """Return a fresh opaque id (96 random bits) for use in our URLs."""
    return secrets.token_hex(12)


class PersonRow(Base):
    """A person. What filters read most sits here; the truth of attributes is elsewhere."""

    __tablename__ = "engage_person"
    __table_args__ = (
        UniqueConstraint("public_id", name="uq_engage_person_public_id"),
        UniqueConstraint("user_id", name="uq_engage_person_user_id"),
        UniqueConstraint("anonymous_id", name="uq_engage_person_anonymous_id"),
        Index("ix_engage_person_email", "email", "id"),
        Index("ix_engage_person_name", "name", "id"),
        Index("ix_engage_person_last_seen", "last_seen_at", "id"),
        Index("ix_engage_person_signed_up", "signed_up_at", "id"),
        Index("ix_engage_person_sessions", "session_count", "id"),
        # For the foreign key alone. The migration makes it for those who were merged, which is
        # not said here: words for a dialect import it whole, into every process of a host.
        Index("ix_engage_person_merged_into", "merged_into"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    public_id: Mapped[str] = mapped_column(CodeText(32), default=new_public_id)
    kind: Mapped[str] = mapped_column(CodeText(16), default="user")
    """``user`` (the host knows them), ``lead`` (an address), ``visitor`` (a browser)."""
    user_id: Mapped[str | None] = mapped_column(CodeText(255))
    """The host's id as text; a soft reference, its table and type are the host's."""
    anonymous_id: Mapped[str | None] = mapped_column(CodeText(64))
    merged_into: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("engage_person.id", name="fk_engage_person_merged_into")
    )
    """Set when this row's facts went over to another person."""
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    gone_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When the host's user was first found missing."""

    email: Mapped[str | None] = mapped_column(CodeText(320))
    name: Mapped[str | None] = mapped_column(CodeText(255))
    signed_up_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    first_seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    last_seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    session_count: Mapped[int] = mapped_column(default=0)
    unsubscribed_at: Mapped[datetime | None] = mapped_column(UTCDateTime())

    country: Mapped[str | None] = mapped_column(CodeText(64))
    city: Mapped[str | None] = mapped_column(CodeText(128))
    timezone: Mapped[str | None] = mapped_column(CodeText(64))
    language: Mapped[str | None] = mapped_column(CodeText(35))
    browser: Mapped[str | None] = mapped_column(CodeText(64))
    os: Mapped[str | None] = mapped_column(CodeText(64))
    device: Mapped[str | None] = mapped_column(CodeText(64))
    referrer: Mapped[str | None] = mapped_column(CodeText(255))
    utm_source: Mapped[str | None] = mapped_column(CodeText(255))
    utm_medium: Mapped[str | None] = mapped_column(CodeText(255))
    utm_campaign: Mapped[str | None] = mapped_column(CodeText(255))
    touched_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When that was: a sighting that comes late may still be older."""
    latest_referrer: Mapped[str | None] = mapped_column(CodeText(255))
    """The way that led here last; without ``latest_`` it is the way that led here first."""
    latest_utm_source: Mapped[str | None] = mapped_column(CodeText(255))
    latest_utm_medium: Mapped[str | None] = mapped_column(CodeText(255))
    latest_utm_campaign: Mapped[str | None] = mapped_column(CodeText(255))
    latest_touched_at: Mapped[datetime | None] = mapped_column(UTCDateTime())

    attributes: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    """Copy of the custom attributes for filters, keyed by kind and name: ``n:score`` holds a
    number, ``s:plan`` a text, ``b:active`` a boolean, ``t:renews`` a time (ISO 8601, UTC,
    microseconds, ``+00:00``)."""
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())


class PersonTagRow(Base):
    """A tag that an operator put on a person."""

    __tablename__ = "engage_person_tag"
    __table_args__ = (Index("ix_engage_person_tag_name", "name", "person_id"),)

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_person_tag_person", ondelete="CASCADE"),
        primary_key=True,
    )
    name: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())


class TombstoneRow(Base):
    """What stays of an erased person: enough to drop facts from before the erasure."""

    __tablename__ = "engage_tombstone"

    hash: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    """Keyed hash of the user id, hexadecimal."""
    erased_at: Mapped[datetime] = mapped_column(UTCDateTime())


def is_live() -> ColumnElement[bool]:
    """Return the condition that a person row stands for somebody: not deleted, not merged."""
    return and_(PersonRow.deleted_at.is_(None), PersonRow.merged_into.is_(None))


def person_id_of(session: Session, user_id: str) -> int | None:
    """Return our id of the host's user `user_id`; None if there is no such person (any more)."""
    return session.scalar(select(PersonRow.id).where(PersonRow.user_id == user_id, is_live()))


def unsubscribe(session: Session, public_id: str, now: datetime) -> bool:
    """Let a person have no more mail from now on; tell whether there is such a person.

    Who was unsubscribed stays so since then. A merged person's wish holds for whom it became.
    """
    person = session.scalar(select(PersonRow).where(PersonRow.public_id == public_id))
    if person is None:
        return False
    while True:
        if person.unsubscribed_at is None:
            person.unsubscribed_at = person.updated_at = now
        onward = session.get(PersonRow, person.merged_into) if person.merged_into else None
        if onward is None or onward.unsubscribed_at is not None:
            return True
        person = onward
