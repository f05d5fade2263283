"""Rules: what is sent by itself, to whom and how often."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, LongText, UTCDateTime


class RuleRow(Base):
    """An automatic message. Its name is its identity: new words or a new filter re-send nothing."""

    __tablename__ = "engage_rule"
    __table_args__ = (UniqueConstraint("name", name="uq_engage_rule_name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(CodeText(128))
    origin: Mapped[str] = mapped_column(CodeText(16), default="code")
    """``code`` or ``dashboard``."""
    status: Mapped[str] = mapped_column(CodeText(16), default="live")
    """``live``, ``paused`` (by an operator, or after repeated errors) or ``removed`` (from code)."""
    status_reason: Mapped[str | None] = mapped_column(LongText())
    channel: Mapped[str] = mapped_column(CodeText(16))
    trigger: Mapped[str] = mapped_column(CodeText(128), default="schedule")
    repeat: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    """``{"mode": "once"}``, or ``every`` with ``seconds``, ``after_leaving``, ``per_event``."""
    document: Mapped[dict[str, Any] | None] = mapped_column(JSONDoc)
    """The filter in its JSON form, where it has one."""
    sentence: Mapped[str] = mapped_column(LongText())
    """The filter in English."""
    options: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    """Variants, goal, holdout, quiet hours, priority: what the rule says beyond its filter."""
    failures: Mapped[int] = mapped_column(default=0)
    """Evaluations that failed in a row."""
    last_error: Mapped[str | None] = mapped_column(LongText())
    evaluated_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime())
