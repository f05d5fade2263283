"""Content: the words of a message, kept as they were each time that they changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, LongText, UTCDateTime


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
