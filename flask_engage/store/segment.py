"""Segments: filters with a name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, UTCDateTime


class SegmentRow(Base):
    """A filter that an operator saved under a name."""

    __tablename__ = "engage_segment"
    __table_args__ = (UniqueConstraint("name", name="uq_engage_segment_name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(CodeText(128))
    document: Mapped[dict[str, Any]] = mapped_column(JSONDoc)
    """The filter in its JSON form."""
    created_by: Mapped[str | None] = mapped_column(CodeText(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())
