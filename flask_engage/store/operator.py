"""Operators who came by, and what they changed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Index, Table, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, UTCDateTime
from .upsert import upsert

_UNDONE = "undone"
"""In the detail of what was undone: nobody undoes it once more, nor two at once."""


class OperatorRow(Base):
    """Somebody who has opened the dashboard. The host decides who may; this remembers who did."""

    __tablename__ = "engage_operator"

    id: Mapped[str] = mapped_column(CodeText(255), primary_key=True)
    """The operator's id as the host gives it."""
    name: Mapped[str] = mapped_column(CodeText(255), default="")
    email: Mapped[str | None] = mapped_column(CodeText(320))
    role: Mapped[str] = mapped_column(CodeText(16))
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime())


class AuditRow(Base):
    """One change that an operator made."""

    __tablename__ = "engage_audit"
    __table_args__ = (Index("ix_engage_audit_occurred", "occurred_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    operator_id: Mapped[str] = mapped_column(CodeText(255))
    action: Mapped[str] = mapped_column(CodeText(64))
    target: Mapped[str] = mapped_column(CodeText(255), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime())


def note_operator(
    session: Session, *, operator_id: str, name: str, email: str | None, role: str, now: datetime
) -> None:
    """Remember who came by, as the host describes them now."""
    upsert(
        session,
        cast("Table", OperatorRow.__table__),
        [{"id": operator_id, "name": name, "email": email, "role": role, "seen_at": now}],
        key=["id"],
        update=lambda _table, incoming: {
            column: incoming(column) for column in ("name", "email", "role", "seen_at")
        },
    )


def operator_names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """Return the names of those of `ids` who have one and have come by."""
    if not ids:
        return {}
    rows = session.execute(select(OperatorRow.id, OperatorRow.name).where(OperatorRow.id.in_(ids)))
    return {operator_id: name for operator_id, name in rows if name}


def write_audit(
    session: Session,
    *,
    operator_id: str,
    action: str,
    target: str,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    """Write down one change that an operator made; joins the caller's transaction."""
    session.add(
        AuditRow(
            operator_id=operator_id,
            action=action,
            target=target[:255],
            detail=detail,
            occurred_at=now,
        )
    )
    session.flush()


def changes_of(
    session: Session, target: str, since: datetime, *, after: int = 0, limit: int = 10
) -> list[AuditRow]:
    """Return what was written down of `target` since a moment, after a row, in its order."""
    found = select(AuditRow).where(
        AuditRow.occurred_at >= since, AuditRow.target == target, AuditRow.id > after
    )
    return list(session.scalars(found.order_by(AuditRow.id).limit(limit)))


def last_change_of(
    session: Session, target: str, since: datetime, *, before: int | None = None
) -> AuditRow | None:
    """Return what was written down of `target` last, since a moment and before a row."""
    found = select(AuditRow).where(AuditRow.occurred_at >= since, AuditRow.target == target)
    if before is not None:
        found = found.where(AuditRow.id < before)
    return session.scalars(found.order_by(AuditRow.id.desc()).limit(1)).first()


def take_back(session: Session, row_id: int) -> AuditRow | None:
    """Return, locked, a row that is being undone, marked as such; None: it has been before."""
    row = session.get(AuditRow, row_id, with_for_update=True)
    if row is None or is_taken_back(row):
        return None
    row.detail = {**row.detail, _UNDONE: True}
    return row


def is_taken_back(row: AuditRow) -> bool:
    """Tell whether what was written down has been undone."""
    return bool(row.detail.get(_UNDONE))
