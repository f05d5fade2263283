"""Keeping the book of a provider's run: who works on it, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Table, select, update
from sqlalchemy.orm import Session

from .provider import ProviderRow, ended_well
from .upsert import insert_ignore

HOLD = timedelta(seconds=60)
"""A process at work that says nothing for so long has died, and another one goes on."""


@dataclass(slots=True)
class Run:
    """A run as its row has it, in the hands of the one process that works on it."""

    name: str
    started_at: datetime
    """When it began, which also tells this run from every other of the provider."""
    seconds: float = 0.0
    done: int = 0
    total: int | None = None
    changed: int = 0
    failed: int = 0
    error: str | None = None
    error_user_id: str | None = None
    attributes: list[str] = field(default_factory=list)
    position: str | None = None


def take_run(
    session: Session, name: str, now: datetime, *, anew: bool, by_force: bool = False
) -> Run | None:
    """Take the provider's run into this process's hands; None: another process has it.

    A run that was cut off goes on where it was, unless `anew`. A new one begins behind the user
    at whom the last one was given up, so that nobody keeps all the others from their turn.

    :param by_force: take it from whoever has it; they notice at their next word.
    """
    _ensure_row(session, name, now)
    row = session.scalars(
        select(ProviderRow).where(ProviderRow.name == name).with_for_update()
    ).one()
    if row.held_until is not None and row.held_until > now and not by_force:
        return None
    row.held_until = now + HOLD
    if row.finished_at is None and not anew:
        run = Run(
            name,
            row.started_at,
            row.seconds,
            row.done,
            row.total,
            row.changed,
            row.failed,
            row.error,
            row.error_user_id,
            list(row.attributes or ()),
            row.position,
        )
    else:
        started = max(now, row.started_at + timedelta(microseconds=1))
        given_up = row.finished_at is not None and not ended_well(row)
        run = Run(
            name,
            started,
            attributes=list(row.attributes or ()),
            position=row.position if given_up and not anew else None,
        )
        row.finished_at = None
    _put(row, run)
    row.heard_at = now
    return run


def _ensure_row(session: Session, name: str, now: datetime) -> None:
    insert_ignore(
        session,
        cast("Table", ProviderRow.__table__),
        [
            {
                "name": name,
                "started_at": now,
                "heard_at": now,
                "seconds": 0.0,
                "done": 0,
                "changed": 0,
                "failed": 0,
            }
        ],
    )


_SHARED = (
    "started_at",
    "seconds",
    "done",
    "total",
    "changed",
    "failed",
    "error",
    "error_user_id",
    "attributes",
    "position",
)


def _put(row: ProviderRow, run: Run) -> None:
    for name in _SHARED:
        setattr(row, name, getattr(run, name))


def note_progress(session: Session, run: Run, now: datetime) -> bool:
    """Write down how far `run` is; False if another process has taken it, or begun a newer one."""
    return _update(session, run, {"heard_at": now, "held_until": now + HOLD})


def let_go(session: Session, run: Run, now: datetime) -> None:
    """Write down how far `run` is, and leave it to whoever comes next."""
    _update(session, run, {"heard_at": now, "held_until": None})


def end_run(session: Session, run: Run, now: datetime, *, well: bool) -> None:
    """Write down that `run` is over: it came to its end (`well`), or was given up."""
    more: dict[str, Any] = {"heard_at": now, "held_until": None, "finished_at": now}
    if well:
        # Never before it began: a new run's beginning may have been moved by a hair.
        more["succeeded_at"] = max(now, run.started_at)
    _update(session, run, more)


def _update(session: Session, run: Run, more: dict[str, Any]) -> bool:
    result = session.execute(
        update(ProviderRow)
        .where(ProviderRow.name == run.name, ProviderRow.started_at == run.started_at)
        .values({name: getattr(run, name) for name in _SHARED} | more)
        .execution_options(synchronize_session=False)
    )
    return bool(cast("CursorResult[Any]", result).rowcount)
