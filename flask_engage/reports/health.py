"""How our own machinery does: jobs, the lease, facts that could not be stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..store.journal import DeadLetterRow
from ..store.lease import JobRow, LeaseRow


@dataclass(frozen=True, slots=True)
class JobHealth:
    """One job's last run."""

    name: str
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    next_run_at: datetime | None
    runs: int
    failures: int
    """Runs that failed in a row."""
    last_error: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class LeaseHealth:
    """Who works at the moment."""

    holder: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """What the health page shows of the database's side."""

    jobs: tuple[JobHealth, ...]
    lease: LeaseHealth | None
    dead_letters: int
    last_dead_letter: str | None
    """Why the latest of them was refused."""


def health(session: Session) -> Health:
    """Return how things stand now."""
    lease = session.scalars(select(LeaseRow).limit(1)).first()
    letter = session.scalars(
        select(DeadLetterRow).order_by(DeadLetterRow.occurred_at.desc()).limit(1)
    ).first()
    return Health(
        jobs=tuple(
            JobHealth(
                name=row.name,
                started_at=row.started_at,
                finished_at=row.finished_at,
                duration_ms=row.duration_ms,
                next_run_at=row.next_run_at,
                runs=row.runs,
                failures=row.failures,
                last_error=row.last_error,
                result=row.result,
            )
            for row in session.scalars(select(JobRow).order_by(JobRow.name))
        ),
        lease=None if lease is None else LeaseHealth(lease.holder, lease.epoch, lease.expires_at),
        dead_letters=session.scalar(select(func.count()).select_from(DeadLetterRow)) or 0,
        last_dead_letter=None if letter is None else letter.reason,
    )
