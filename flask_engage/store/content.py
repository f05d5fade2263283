"""Content: the words of a message, kept as they were each time that they changed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol, cast

from sqlalchemy import Table, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, LongText, UTCDateTime
from .upsert import insert_ignore


class ContentRow(Base):
    """One version of one message's words. Never changed once written."""

    __tablename__ = "engage_content"
    __table_args__ = (
        UniqueConstraint(
            "source", "variant", "locale", "version", name="uq_engage_content_version"
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(CodeText(200))
    """``rule:<name>``, ``step:<series>/<step>`` or ``send:<key or uuid>``."""
    variant: Mapped[str] = mapped_column(CodeText(64), default="")
    locale: Mapped[str] = mapped_column(CodeText(35), default="")
    version: Mapped[int] = mapped_column(default=1)
    channel: Mapped[str] = mapped_column(CodeText(16))
    """``in_app`` or ``email``."""
    subject: Mapped[str | None] = mapped_column(LongText())
    """A mail's subject, or an in-app message's title; a template."""
    body: Mapped[str] = mapped_column(LongText())
    """Markdown with template words."""
    options: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    """In-app: ``style`` and ``buttons`` (a list of label and url)."""
    created_by: Mapped[str | None] = mapped_column(CodeText(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())


class Words(Protocol):
    """What a message has to offer to be kept; ``InApp`` and ``Email`` do."""

    @property
    def channel(self) -> str: ...
    @property
    def heading(self) -> str | None: ...
    @property
    def body(self) -> str: ...
    @property
    def options(self) -> dict[str, Any]: ...


def content_for(
    session: Session,
    source: str,
    variant: str,
    message: Words,
    now: datetime,
    created_by: str | None = None,
) -> ContentRow:
    """Return the row that keeps the words of `message`; a new version only if they changed.

    Joins the caller's transaction. Safe when several processes do the same at once.
    """
    while True:
        latest = latest_content(session, source, variant)
        if latest is not None and _says(latest, message):
            return latest
        version = 1 if latest is None else latest.version + 1
        row = {
            "source": source,
            "variant": variant,
            "locale": "",
            "version": version,
            "channel": message.channel,
            "subject": message.heading,
            "body": message.body,
            "options": message.options,
            "created_by": created_by,
            "created_at": now,
        }
        # Whoever comes second finds the version taken, and looks again at what it says.
        insert_ignore(session, cast("Table", ContentRow.__table__), [row])


def latest_content(session: Session, source: str, variant: str = "") -> ContentRow | None:
    """Return the newest version of a source's words."""
    return session.scalar(
        select(ContentRow)
        .where(ContentRow.source == source, ContentRow.variant == variant, ContentRow.locale == "")
        .order_by(ContentRow.version.desc())
        .limit(1)
    )


def contents_by_id(session: Session, ids: Collection[int]) -> dict[int, ContentRow]:
    """Return the words with these ids."""
    rows = session.scalars(select(ContentRow).where(ContentRow.id.in_(ids)))
    return {row.id: row for row in rows}


def _says(row: ContentRow, message: Words) -> bool:
    return (row.channel, row.subject, row.body, row.options) == (
        message.channel,
        message.heading,
        message.body,
        message.options,
    )
