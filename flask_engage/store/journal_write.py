"""The cursors of journal files, and where facts go that the database refuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Select, column, delete, insert, select, table, update
from sqlalchemy.orm import Session

from .journal import DeadLetterRow, JournalRow
from .migrate import HEAD, VERSION_TABLE
from .upsert import insert_ignore

FINISHED = -1
"""Position of a file that is stored and removed: should it come back, nothing of it counts."""
RECEIPT = "receipt-"
"""Begins the name of a row that belongs to no file but proves that a transaction went through."""
_KEPT_DAYS = 30


def is_schema_ours(session: Session) -> bool:
    """Tell whether the tables are, in this transaction, those that this code works with."""
    version: Select[Any] = select(column("version_num")).select_from(table(VERSION_TABLE))
    return session.execute(version).scalar() == HEAD


def position_of(session: Session, file: str) -> int:
    """Return how many bytes of `file` are stored; :data:`FINISHED` if it is done with."""
    return session.scalar(select(JournalRow.position).where(JournalRow.file == file)) or 0


def move_position(session: Session, file: str, old: int, new: int, now: datetime) -> bool:
    """Claim what lies between `old` and `new`; False if somebody else has stored it.

    The row stays locked until the transaction ends, so that of two readers of the same
    file one waits and then is told.
    """
    if old == 0:
        insert_ignore(
            session,
            JournalRow.__table__,  # type: ignore[arg-type]
            [{"file": file, "position": 0, "updated_at": now}],
        )
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        update(JournalRow)
        .where(JournalRow.file == file, JournalRow.position == old)
        .values(position=new, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return result.rowcount == 1


def positions(session: Session, files: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """Return of each of `files` that is known how many bytes are stored, and since when."""
    rows = session.execute(
        select(JournalRow.file, JournalRow.position, JournalRow.updated_at).where(
            JournalRow.file.in_(files)
        )
    )
    return {file: (position, updated_at) for file, position, updated_at in rows}


def finish(session: Session, files: list[str], now: datetime) -> None:
    """Note that `files` are removed, and forget those that have been for long."""
    session.execute(
        update(JournalRow)
        .where(JournalRow.file.in_(files))
        .values(position=FINISHED, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(JournalRow)
        .where(
            JournalRow.position == FINISHED,
            JournalRow.updated_at < now - timedelta(days=_KEPT_DAYS),
        )
        .execution_options(synchronize_session=False)
    )


def forget_receipts(session: Session, now: datetime) -> None:
    """Remove receipts that nobody has used for long: their processes are gone."""
    session.execute(
        delete(JournalRow)
        .where(
            JournalRow.file.startswith(RECEIPT, autoescape=True),
            JournalRow.updated_at < now - timedelta(days=_KEPT_DAYS),
        )
        .execution_options(synchronize_session=False)
    )


def bury(session: Session, payload: bytes, reason: str, now: datetime) -> None:
    """Keep a fact that can't be stored, with the reason."""
    session.execute(
        insert(DeadLetterRow),
        [
            {
                "payload": payload.decode(errors="backslashreplace").replace("\0", "\\0"),
                "reason": reason.encode(errors="backslashreplace").decode().replace("\0", "\\0"),
                "occurred_at": now,
            }
        ],
    )
