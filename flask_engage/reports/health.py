"""How the machinery is doing: jobs, the lease, facts that could not be stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..store.delivery import DeliveryRow
from ..store.journal import DeadLetterRow
from ..store.lease import JobRow, LeaseRow
from ..store.moment import database_now

_MOST_REASONS: Final = 5
_MOST_HEADS: Final = 200
_REASON_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class JobHealth:
    """One job's last run and next turn."""

    name: str
    started_at: datetime | None
    finished_at: datetime | None
    """None while it is running, or if its process died in it."""
    duration_ms: int | None
    next_run_at: datetime | None
    runs: int
    failures: int
    """Runs that failed in a row."""
    last_error: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class LeaseHealth:
    """Who may act under a lease."""

    name: str
    holder: str
    epoch: int
    expires_at: datetime
    is_held: bool
    """Whether it has not run out, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the database says of the machinery."""

    jobs: tuple[JobHealth, ...]
    leases: tuple[LeaseHealth, ...]
    dead_letters: int
    """Facts that the database refused and that are kept aside."""
    unknown: int
    """Mails of which nobody knows whether they left."""
    last_dead_letter_at: datetime | None = None
    """When it refused the newest of them."""
    dead_letter_reasons: tuple[tuple[str, int], ...] = ()
    """Why it refused them, and how many for each reason: the most frequent ones."""


def health(session: Session) -> Health:
    """Return how the machinery is doing."""
    jobs = session.scalars(select(JobRow).order_by(JobRow.name))
    leases = session.execute(
        select(LeaseRow, (LeaseRow.expires_at > database_now()).label("held")).order_by(
            LeaseRow.name
        )
    )
    unknown = select(func.count()).where(
        DeliveryRow.state == "unknown", DeliveryRow.channel == "email"
    )
    last_letter = session.scalar(select(func.max(DeadLetterRow.occurred_at)))
    return Health(
        jobs=tuple(
            JobHealth(
                row.name,
                row.started_at,
                row.finished_at,
                row.duration_ms,
                row.next_run_at,
                row.runs,
                row.failures,
                row.last_error,
                row.result,
            )
            for row in jobs
        ),
        leases=tuple(
            LeaseHealth(row.name, row.holder, row.epoch, row.expires_at, bool(held))
            for row, held in leases
        ),
        dead_letters=session.scalar(select(func.count()).select_from(DeadLetterRow)) or 0,
        unknown=session.scalar(unknown) or 0,
        last_dead_letter_at=last_letter,
        dead_letter_reasons=_reasons(session) if last_letter else (),
    )


def _reasons(session: Session) -> tuple[tuple[str, int], ...]:
    """Return the most frequent reasons of dead letters, each in its first line's words."""
    # A subquery: PostgreSQL would take two equal expressions with parameters for different ones.
    head = select(func.substr(DeadLetterRow.reason, 1, _REASON_CHARACTERS).label("head")).subquery()
    counted = session.execute(
        select(head.c.head, func.count().label("letters"))
        .group_by(head.c.head)
        .order_by(func.count().desc(), head.c.head)
        .limit(_MOST_HEADS)
    )
    reasons: Counter[str] = Counter()
    for text, letters in counted:
        lines = text.strip().splitlines()  # behind the first: the statement and its values
        reasons[lines[0].strip() if lines else ""] += letters
    return tuple(reasons.most_common(_MOST_REASONS))
