"""Segments: filters with a name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, UTCDateTime

MOST_SEGMENTS = 500
"""Saved segments; nobody finds one in a longer list."""


class NameTaken(ValueError):
    """There is a segment of that name already; the transaction is of no more use."""


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


def segment_documents(session: Session) -> dict[str, dict[str, Any]]:
    """Return the filters that operators saved, by name."""
    rows = session.execute(
        select(SegmentRow.name, SegmentRow.document).order_by(SegmentRow.name).limit(MOST_SEGMENTS)
    )
    return {row.name: row.document for row in rows}


def add_segment(
    session: Session, name: str, document: dict[str, Any], by: str, now: datetime
) -> bool:
    """Keep a filter under a name; False if there are too many.

    :raises NameTaken: if the name is taken.
    """
    if (session.scalar(select(func.count()).select_from(SegmentRow)) or 0) >= MOST_SEGMENTS:
        return False
    session.add(
        SegmentRow(name=name, document=document, created_by=by, created_at=now, updated_at=now)
    )
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(name) from None
    return True


def replace_segment(session: Session, name: str, document: dict[str, Any], now: datetime) -> bool:
    """Give a saved segment another filter; tell whether there is one of that name."""
    return _changed(session, name, document=document, updated_at=now)


def rename_segment(session: Session, name: str, new: str, now: datetime) -> bool:
    """Give a saved segment another name; tell whether there is one of that name.

    :raises NameTaken: if the new name is taken.
    """
    try:
        return _changed(session, name, name=new, updated_at=now)
    except IntegrityError:
        raise NameTaken(new) from None


def delete_segment(session: Session, name: str) -> bool:
    """Forget a saved segment; tell whether there was one."""
    found = session.connection().execute(
        delete(SegmentRow.__table__).where(SegmentRow.name == name)  # type: ignore[arg-type]
    )
    return found.rowcount > 0


def _changed(session: Session, name: str, /, **values: Any) -> bool:
    statement = update(SegmentRow).where(SegmentRow.name == name).values(**values)
    return session.connection().execute(statement).rowcount > 0
