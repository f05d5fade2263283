"""How the host's attribute functions and queries are doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from ..store.enrichment import earliest_due
from ..store.provider import ProviderRow, ended_well, next_due, provider_rows

Kind = Literal["function", "query", "enricher"]
State = Literal["waiting", "running", "resting", "fine", "failed"]


@dataclass(frozen=True, slots=True)
class Registered:
    """A provider as the host's code has it."""

    name: str
    kind: Kind
    every: timedelta


@dataclass(frozen=True, slots=True)
class ProviderSummary:
    """One provider with its newest run."""

    name: str
    kind: Kind
    """``function``: asked user by user; ``query``: one query for everybody; ``enricher``: somebody
    else is asked, person by person, and an answer holds for ``every``."""
    every: timedelta
    state: State
    """``waiting`` for its first run; ``running`` in some process; ``resting`` half-way, to go on
    within seconds; ``fine``; ``failed``: the newest run was given up before its end."""
    attributes: tuple[str, ...]
    """What it gives; of a query only known once it ran."""
    started_at: datetime | None = None
    """When the newest run began."""
    succeeded_at: datetime | None = None
    """When a run last came to its end."""
    duration: timedelta | None = None
    """How long the newest run has worked (so far)."""
    people: int = 0
    """For whom it was computed in this run."""
    total: int | None = None
    """How many there are to be done, where that is known."""
    changed: int = 0
    """Values that differ from before."""
    failed: int = 0
    """Users who keep their old value, because it raised, took too long or gave nonsense."""
    error: str | None = None
    """The last error of this run, in words."""
    error_user_id: str | None = None
    """The host's id of the user for whom it happened, if it was one."""
    next_due: datetime | None = None
    """When it is computed again; None: at the next opportunity."""

    @property
    def share_done(self) -> float | None:
        """How far a run is, from 0 to 1; None where nobody knows."""
        if self.state not in ("running", "resting") or not self.total:
            return None
        return min(1.0, (self.people + self.failed) / self.total)


def provider_summaries(
    session: Session, registered: Sequence[Registered], now: datetime
) -> list[ProviderSummary]:
    """Return every provider that is registered, those in trouble first, then by name."""
    rows = provider_rows(session, [one.name for one in registered])
    found = [_summary(one, rows.get(one.name), now) for one in registered]
    found = [
        replace(one, next_due=earliest_due(session, one.name.partition(":")[2]))
        if one.kind == "enricher"
        else one
        for one in found
    ]
    return sorted(found, key=lambda one: (one.error is None, one.name))


def _summary(one: Registered, row: ProviderRow | None, now: datetime) -> ProviderSummary:
    own = (one.name,) if one.kind == "function" else ()
    if row is None:
        return ProviderSummary(one.name, one.kind, one.every, "waiting", own)
    due = next_due(row, one.every)
    return ProviderSummary(
        name=one.name,
        kind=one.kind,
        every=one.every,
        state=_state(row, now),
        attributes=own or tuple(row.attributes or ()),
        started_at=row.started_at,
        succeeded_at=row.succeeded_at,
        duration=timedelta(seconds=row.seconds),
        people=row.done,
        total=row.total,
        changed=row.changed,
        failed=row.failed,
        error=row.error,
        error_user_id=row.error_user_id,
        next_due=due if due is not None and due > now else None,
    )


def _state(row: ProviderRow, now: datetime) -> State:
    if row.finished_at is None:
        return "running" if row.held_until is not None and row.held_until > now else "resting"
    return "fine" if ended_well(row) else "failed"
