"""Keeping the book of a backfill: where to go on, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from .backfill import BackfillRow
from .event import EventKeyRow
from .upsert import insert_ignore


def begin_backfill(session: Session, key: str, now: datetime) -> str | None:
    """Note that a backfill begins; return where one that was cut off had come to."""
    insert_ignore(
        session,
        cast("Table", BackfillRow.__table__),
        [
            {
                "key": key,
                "read": 0,
                "stored": 0,
                "refused": 0,
                "started_at": now,
                "updated_at": now,
            }
        ],
    )
    position = session.scalar(select(BackfillRow.position).where(BackfillRow.key == key))
    _set(session, key, now, {"started_at": now, "finished_at": None, "error": None})
    return position


def note_backfill(
    session: Session,
    key: str,
    now: datetime,
    *,
    read: int,
    refused: int,
    error: str | None,
    position: str | None,
    finished: bool = False,
) -> None:
    """Write down how far a backfill is; `position` is where another run may go on."""
    values = {"read": read, "refused": refused, "error": error, "position": position}
    _set(session, key, now, values | {"finished_at": now if finished else None})


def add_stored(session: Session, key: str, count: int, now: datetime) -> None:
    """Count events that came of a backfill, in the transaction that stores them."""
    _set(session, key, now, {"stored": BackfillRow.stored + count})


def known_ids(session: Session, name: str, ids: Collection[str]) -> set[str]:
    """Return those of `ids` that an event `name` has had already."""
    return set(
        session.scalars(
            select(EventKeyRow.id).where(EventKeyRow.name == name, EventKeyRow.id.in_(ids))
        )
    )


def _set(session: Session, key: str, now: datetime, values: dict[str, Any]) -> None:
    session.execute(
        update(BackfillRow)
        .where(BackfillRow.key == key)
        .values(values | {"updated_at": now})
        .execution_options(synchronize_session=False)
    )
