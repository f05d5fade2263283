"""What holds for the whole installation, such as the zone in which days are cut."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, CodeText, LongText
from .upsert import insert_ignore

_TIMEZONE = "timezone"


class MetaRow(Base):
    """One fact about this installation."""

    __tablename__ = "engage_meta"

    key: Mapped[str] = mapped_column(CodeText(64), primary_key=True)
    value: Mapped[str] = mapped_column(LongText())


def timezone_of(session: Session) -> str | None:
    """Return the zone in which this installation cuts its days; None before the first use."""
    return session.scalar(select(MetaRow.value).where(MetaRow.key == _TIMEZONE))


def keep_timezone(session: Session, timezone: str) -> str:
    """Keep `timezone` for good unless one is kept already; return the one that is."""
    insert_ignore(
        session, cast("Table", MetaRow.__table__), [{"key": _TIMEZONE, "value": timezone}]
    )
    return timezone_of(session) or timezone
