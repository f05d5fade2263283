"""Reading and writing the sessions of a batch of people, set by set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from .event import EventRow
from .session import SessionRow

#: What nearly every sighting changes: then the rest isn't written.
_OFTEN = ("last_at", "hits")
_KEPT = (
    *_OFTEN,
    "started_at",
    "previous_seen_at",
    "previous_sessions",
    "landing_page",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "browser",
    "os",
    "device",
    "language",
)


@dataclass(slots=True)
class SessionState:
    """A session as it is to be, and as it was when it was read."""

    started_at: datetime
    last_at: datetime
    hits: int = 1
    previous_seen_at: datetime | None = None
    previous_sessions: int = 0
    landing_page: str | None = None
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None
    language: str | None = None
    id: int | None = None
    original: tuple[Any, ...] = field(default=(), repr=False)

    def values(self) -> tuple[Any, ...]:
        """Return what the row holds, in the order of the columns."""
        return tuple(getattr(self, name) for name in _KEPT)


def load_sessions(
    session: Session, person_ids: Iterable[int], since: datetime
) -> dict[int, list[SessionState]]:
    """Return the sessions that began at `since` or later, in order, by person."""
    table = SessionRow.__table__
    # By the connection: the session would prepare for objects, which takes longer than the rest.
    rows = session.connection().execute(
        select(table.c.person_id, table.c.id, *(table.c[name] for name in _KEPT))
        .where(table.c.person_id.in_(list(person_ids)), table.c.started_at >= since)
        .order_by(table.c.person_id, table.c.started_at)
    )
    found: dict[int, list[SessionState]] = {}
    for person_id, row_id, *values in rows:
        held = dict(zip(_KEPT, values, strict=True))
        state = SessionState(id=row_id, original=tuple(values), **held)
        found.setdefault(person_id, []).append(state)
    return found


def save_sessions(session: Session, by_person: Mapping[int, Sequence[SessionState]]) -> None:
    """Insert the sessions that are new and update those that have changed."""
    new: list[dict[str, Any]] = []
    often: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for person_id, states in by_person.items():
        for state in states:
            values = state.values()
            if state.id is None:
                new.append({"person_id": person_id, **dict(zip(_KEPT, values, strict=True))})
            elif values[2:] != state.original[2:]:
                row = {f"new_{name}": v for name, v in zip(_KEPT, values, strict=True)}
                rest.append({"row_id": state.id, **row})
            elif values != state.original:
                row = {"new_last_at": state.last_at, "new_hits": state.hits}
                often.append({"row_id": state.id, **row})
    if new:
        session.execute(insert(SessionRow.__table__), new)  # type: ignore[arg-type]
    _update(session, often, _OFTEN)
    _update(session, rest, _KEPT)


def _update(session: Session, rows: list[dict[str, Any]], names: Iterable[str]) -> None:
    if not rows:
        return
    table = SessionRow.__table__
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("row_id"))
        .values({name: bindparam(f"new_{name}") for name in names}),
        rows,
    )


def find_ids(session: Session, by_person: Mapping[int, Sequence[SessionState]]) -> None:
    """Give each of these sessions, which have been saved, its id."""
    wanted = {
        (person_id, state.started_at): state
        for person_id, states in by_person.items()
        for state in states
        if state.id is None
    }
    if not wanted:
        return
    rows = session.execute(
        select(SessionRow.person_id, SessionRow.started_at, SessionRow.id).where(
            SessionRow.person_id.in_({person_id for person_id, _ in wanted}),
            SessionRow.started_at >= min(at for _, at in wanted),
        )
    )
    for person_id, started_at, row_id in rows:
        state = wanted.get((person_id, started_at))
        if state is not None:
            state.id = row_id


def drop_merged(session: Session, merged: Sequence[tuple[int, int, int]]) -> None:
    """Let sessions go that have become part of others: (person, former id, the other's id).

    Their events move along.
    """
    if not merged:
        return
    events = EventRow.__table__
    session.connection().execute(
        update(events)  # type: ignore[arg-type]
        .where(events.c.person_id == bindparam("whose"), events.c.session_id == bindparam("former"))
        .values(session_id=bindparam("kept")),
        [{"whose": whose, "former": former, "kept": kept} for whose, former, kept in merged],
    )
    session.execute(delete(SessionRow).where(SessionRow.id.in_([row[1] for row in merged])))


@dataclass(frozen=True, slots=True)
class RequestWindow:
    """The time of one request, whose events belong to a session."""

    person_id: int
    begin: datetime
    end: datetime
    session_id: int


def link_events(session: Session, windows: Sequence[RequestWindow]) -> None:
    """Put events that were stored before their request's sighting into its session."""
    if not windows:
        return
    events = EventRow.__table__
    session.connection().execute(
        update(events)  # type: ignore[arg-type]
        .where(
            events.c.person_id == bindparam("whose"),
            events.c.session_id.is_(None),
            events.c.occurred_at.between(bindparam("first"), bindparam("last")),
        )
        .values(session_id=bindparam("kept")),
        [
            {"whose": w.person_id, "first": w.begin, "last": w.end, "kept": w.session_id}
            for w in windows
        ],
    )
