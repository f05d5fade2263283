"""Rules: what is sent by itself, to whom and how often."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .base import Base, BigId, CodeText, JSONDoc, LongText, UTCDateTime
from .upsert import insert_ignore

_ERROR_CHARACTERS = 2_000
_ABSENT = object()


class RuleRow(Base):
    """An automatic message. Its name is its identity: new words or a new filter re-send nothing."""

    __tablename__ = "engage_rule"
    __table_args__ = (UniqueConstraint("name", name="uq_engage_rule_name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(CodeText(128))
    origin: Mapped[str] = mapped_column(CodeText(16), default="code")
    """``code`` or ``dashboard``."""
    status: Mapped[str] = mapped_column(CodeText(16), default="live")
    """``live``, ``paused`` (by an operator or after errors) or ``removed`` (from the code)."""
    status_reason: Mapped[str | None] = mapped_column(LongText())
    channel: Mapped[str] = mapped_column(CodeText(16))
    trigger: Mapped[str] = mapped_column(CodeText(128), default="schedule")
    repeat: Mapped[dict[str, Any]] = mapped_column(JSONDoc, default=dict)
    """``{"mode": "once"}``, or ``every`` with ``seconds``."""
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


def rule_named(session: Session, name: str) -> RuleRow | None:
    """Return the rule `name`, or None."""
    return session.scalar(select(RuleRow).where(RuleRow.name == name))


def is_live_rule(session: Session, name: str) -> bool:
    """Tell whether there is a rule `name` and it is live."""
    return session.scalar(select(RuleRow.status).where(RuleRow.name == name)) == "live"


def all_rules(session: Session) -> list[RuleRow]:
    """Return every rule there is or was, by name."""
    return list(session.scalars(select(RuleRow).order_by(RuleRow.name)))


def write_rule(session: Session, name: str, says: Mapping[str, Any], now: datetime) -> RuleRow:
    """Make the row of a rule in code say what the code says; what is equal is not written.

    A paused rule stays paused. One that had vanished from the code is live again.
    """
    row = rule_named(session, name)
    if row is None:
        insert_ignore(
            session,
            cast("Table", RuleRow.__table__),
            [{"name": name, **says, "created_at": now, "updated_at": now}],
        )
        row = session.scalars(select(RuleRow).where(RuleRow.name == name)).one()
    changed = {key: value for key, value in says.items() if getattr(row, key, _ABSENT) != value}
    if row.status == "removed":
        changed.update(status="live", status_reason=None, failures=0)
    for key, value in changed.items():
        setattr(row, key, value)
    if changed:
        row.updated_at = now
        session.flush()
    return row


def remove_rules_but(session: Session, names: Collection[str], now: datetime) -> None:
    """Mark as removed each rule of the code whose name is not among `names`."""
    session.execute(
        update(RuleRow)
        .where(
            RuleRow.origin == "code",
            RuleRow.status != "removed",
            RuleRow.name.not_in(list(names)),
        )
        .values(status="removed", status_reason=None, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def set_rule_status(
    session: Session, name: str, status: str, now: datetime, reason: str | None = None
) -> bool:
    """Set a rule ``live`` or ``paused``, for `reason`; False if there is no such rule.

    Made live again, it starts without failures.
    """
    row = rule_named(session, name)
    if row is None:
        return False
    row.status, row.status_reason, row.updated_at = status, reason, now
    if status == "live":
        row.failures, row.last_error = 0, None
    session.flush()
    return True


def note_evaluated(session: Session, name: str, now: datetime) -> None:
    """Write down that a rule was evaluated without an error."""
    session.execute(
        update(RuleRow)
        .where(RuleRow.name == name)
        .values(evaluated_at=now, failures=0, last_error=None)
        .execution_options(synchronize_session=False)
    )


def note_rule_failure(
    session: Session, name: str, error: str, now: datetime, *, pause_after: int
) -> bool:
    """Count one more failure in a row; pause the rule at `pause_after`. True if paused now."""
    row = session.scalar(select(RuleRow).where(RuleRow.name == name).with_for_update())
    if row is None:
        return False
    row.failures += 1
    row.last_error = error[:_ERROR_CHARACTERS]
    row.updated_at = now
    pause = row.failures >= pause_after and row.status == "live"
    if pause:
        row.status = "paused"
        row.status_reason = f"{row.failures} evaluations in a row failed: {row.last_error}"
    session.flush()
    return pause
