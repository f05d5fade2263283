"""What other services say of a person: the answer of each, when to ask again, what was sent out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, func, select
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from .base import Base, BigId, CodeText, JSONDoc, LongText, UTCDateTime, is_mysql


class Bytes(TypeDecorator[bytes]):
    """Up to some megabytes. MySQL's plain BLOB ends at 64 KiB."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if is_mysql(dialect):
            from sqlalchemy.dialects.mysql import MEDIUMBLOB

            return dialect.type_descriptor(MEDIUMBLOB())
        return dialect.type_descriptor(LargeBinary())


class EnrichmentRow(Base):
    """What one enricher knows of one person."""

    __tablename__ = "engage_enrichment"
    __table_args__ = (
        Index("ix_engage_enrichment_due", "provider", "next_at"),
        Index("ix_engage_enrichment_person", "person_id"),
    )

    provider: Mapped[str] = mapped_column(CodeText(40), primary_key=True)
    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_enrichment_person", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    state: Mapped[str] = mapped_column(CodeText(16))
    """``new``, ``found``, ``unknown``, ``pending`` (they look it up), ``failed``, ``skipped``."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Tries since the last answer."""
    next_at: Mapped[datetime] = mapped_column(UTCDateTime())
    """When to ask (again): an answer holds until then."""
    fetched_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When the last answer came."""
    error: Mapped[str | None] = mapped_column(CodeText(255))
    profile: Mapped[dict[str, Any] | None] = mapped_column(JSONDoc)
    """What was found; stays through later failures, until there is another answer."""


class EnrichmentLogRow(Base):
    """One time that something of a person was sent to somebody else. Which fields, not what."""

    __tablename__ = "engage_enrichment_log"
    __table_args__ = (
        Index("ix_engage_enrichment_log_person", "person_id", "at"),
        Index("ix_engage_enrichment_log_provider", "provider", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_enrichment_log_person", ondelete="CASCADE"),
    )
    provider: Mapped[str] = mapped_column(CodeText(40))
    fields: Mapped[str] = mapped_column(CodeText(255))
    """Names, apart by commas."""
    at: Mapped[datetime] = mapped_column(UTCDateTime())
    outcome: Mapped[str] = mapped_column(CodeText(16))
    """``sent`` until there is an answer, then as the state of :class:`EnrichmentRow`."""


class AvatarRow(Base):
    """A person's picture, kept by us so that no operator's browser asks elsewhere for it."""

    __tablename__ = "engage_avatar"
    __table_args__ = (Index("ix_engage_avatar_due", "next_at"),)

    person_id: Mapped[int] = mapped_column(
        BigId,
        ForeignKey("engage_person.id", name="fk_engage_avatar_person", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    provider: Mapped[str] = mapped_column(CodeText(40))
    url: Mapped[str] = mapped_column(LongText())
    content_type: Mapped[str | None] = mapped_column(CodeText(32))
    content: Mapped[bytes | None] = mapped_column(Bytes())
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    """When to fetch it; None: never again, as long as the address is the same."""
    fetched_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    error: Mapped[str | None] = mapped_column(CodeText(255))


@dataclass(frozen=True, slots=True)
class Due:
    """Somebody to be asked about."""

    person_id: int
    attempts: int


def due_people(session: Session, provider: str, now: datetime, limit: int) -> list[Due]:
    """Return whom to ask `provider` about, who waits longest first."""
    rows = session.execute(
        select(EnrichmentRow.person_id, EnrichmentRow.attempts)
        .where(
            EnrichmentRow.provider == provider,
            EnrichmentRow.next_at <= now,
        )
        .order_by(EnrichmentRow.next_at, EnrichmentRow.person_id)
        .limit(limit)
    )
    return [Due(row.person_id, row.attempts) for row in rows]


def earliest_due(session: Session, provider: str) -> datetime | None:
    """Return when `provider` is asked next."""
    return session.scalar(
        select(func.min(EnrichmentRow.next_at)).where(EnrichmentRow.provider == provider)
    )


def sent_since(session: Session, provider: str, since: datetime) -> int:
    """Return how often `provider` was asked behind the moment `since`."""
    found = session.scalar(
        select(func.count())
        .select_from(EnrichmentLogRow)
        .where(EnrichmentLogRow.provider == provider, EnrichmentLogRow.at > since)
    )
    return found or 0


def profiles_found(
    session: Session, person_ids: Collection[int]
) -> dict[int, dict[str, EnrichmentRow]]:
    """Return what was found of people, by our id and by enricher."""
    found: dict[int, dict[str, EnrichmentRow]] = {}
    for row in session.scalars(
        select(EnrichmentRow).where(EnrichmentRow.person_id.in_(person_ids))
    ):
        if row.profile:
            found.setdefault(row.person_id, {})[row.provider] = row
    return found


def log_of(session: Session, person_id: int, limit: int) -> Sequence[EnrichmentLogRow]:
    """Return what was sent out of a person, the newest first."""
    return session.scalars(
        select(EnrichmentLogRow)
        .where(EnrichmentLogRow.person_id == person_id)
        .order_by(EnrichmentLogRow.at.desc(), EnrichmentLogRow.id.desc())
        .limit(limit)
    ).all()


def avatar_of(session: Session, person_id: int) -> tuple[str, bytes] | None:
    """Return type and content of a person's picture, if there is one."""
    row = session.get(AvatarRow, person_id)
    if row is None or row.content is None or row.content_type is None:
        return None
    return row.content_type, row.content


def has_avatar(session: Session, person_id: int) -> bool:
    """Tell whether there is a picture of a person, without reading it."""
    query = select(AvatarRow.content_type).where(AvatarRow.person_id == person_id)
    return session.scalar(query) is not None
