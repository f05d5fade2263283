"""Reading and writing the sessions of a batch of people, set by set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from .among import among
from .bulk import Insert, Update
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
    "country",
    "browser",
    "os",
    "device",
    "language",
    "ip",
)
_VALUES = attrgetter(*_KEPT)
MOST_HITS = 2**31 - 1
"""What the column holds: a sum beyond it would have the database refuse all of a batch."""
_RARELY = len(_OFTEN)
_insert_sessions = Insert(SessionRow.__table__, ("person_id", *_KEPT))
_update_often = Update(SessionRow.__table__, _OFTEN)
_update_all = Update(SessionRow.__table__, _KEPT)
_update_links = Update(EventRow.__table__, ("session_id",))


# Not followed by the garbage collector, whose looks through the host's whole heap would come
# the more often the more of them there are: they hold plain values and can't be part of a cycle.
class SessionState(msgspec.Struct, gc=False):
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
    country: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None
    language: str | None = None
    ip: str | None = None
    id: int | None = None
    original: tuple[Any, ...] = ()

    def values(self) -> tuple[Any, ...]:
        """Return what the row holds, in the order of the columns."""
        if self.hits > MOST_HITS:
            self.hits = MOST_HITS
        held: tuple[Any, ...] = _VALUES(self)
        return held


def load_sessions(
    session: Session, person_ids: Iterable[int], since: datetime, last_since: datetime
) -> dict[int, list[SessionState]]:
    """Return the sessions that began at `since` or later, in order, by person.

    Those whose last sighting was before `last_since` are left out.
    """
    table = SessionRow.__table__
    # By the connection: the session would prepare for objects, which takes longer than the rest.
    rows = session.connection().execute(
        select(table.c.person_id, table.c.id, *(table.c[name] for name in _KEPT))
        .where(
            among(session, table.c.person_id, list(person_ids)),
            table.c.started_at >= since,
            table.c.last_at >= last_since,
        )
        .order_by(table.c.person_id, table.c.started_at)
    )
    found: dict[int, list[SessionState]] = {}
    for person_id, row_id, *values in rows.all():
        state = SessionState(**dict(zip(_KEPT, values, strict=True)), id=row_id)
        state.original = tuple(values)
        found.setdefault(person_id, []).append(state)
    return found


def save_sessions(session: Session, by_person: Mapping[int, Sequence[SessionState]]) -> None:
    """Insert the sessions that are new and update those that have changed."""
    new: list[tuple[Any, ...]] = []
    often: list[tuple[Any, ...]] = []
    rest: list[tuple[Any, ...]] = []
    for person_id, states in by_person.items():
        for state in states:
            values = state.values()
            if state.id is None:
                new.append((person_id, *values))
            elif values == state.original:
                continue
            elif values[_RARELY:] != state.original[_RARELY:]:
                rest.append((state.id, *values))
            else:
                often.append((state.id, *values[:_RARELY]))
    _insert_sessions(session, new)
    _update_often(session, often)
    _update_all(session, rest)


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
    rows = session.connection().execute(
        select(SessionRow.person_id, SessionRow.started_at, SessionRow.id).where(
            among(session, SessionRow.person_id, {person_id for person_id, _ in wanted}),
            SessionRow.started_at >= min(at for _, at in wanted),
        )
    )
    for person_id, started_at, row_id in rows.all():
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


class RequestWindow(msgspec.Struct, frozen=True, gc=False):
    """The time of one request, whose events belong to a session."""

    person_id: int
    begin: datetime
    end: datetime
    session_id: int


_NEAR = timedelta(minutes=10)
"""Windows that are no further apart are looked at together."""


def link_events(session: Session, windows: Sequence[RequestWindow]) -> None:
    """Put events that were stored before their request's sighting into its session."""
    links: list[tuple[int, int]] = []
    for near in _near_each_other(windows):
        links += _unlinked(session, near)
    _update_links(session, sorted(links))


def _near_each_other(windows: Sequence[RequestWindow]) -> Iterator[list[RequestWindow]]:
    near: list[RequestWindow] = []
    end = None
    for window in sorted(windows, key=attrgetter("begin")):
        if end is not None and window.begin - end > _NEAR:
            yield near
            near = []
        near.append(window)
        end = window.end if end is None else max(end, window.end)
    if near:
        yield near


def _unlinked(session: Session, windows: list[RequestWindow]) -> Iterator[tuple[int, int]]:
    """Give (event, session) for the events in these windows that are in no session yet."""
    by_person: dict[int, list[RequestWindow]] = {}
    for window in windows:
        by_person.setdefault(window.person_id, []).append(window)
    events = EventRow.__table__
    rows = session.connection().execute(
        select(events.c.id, events.c.person_id, events.c.occurred_at).where(
            events.c.occurred_at.between(
                min(window.begin for window in windows), max(window.end for window in windows)
            ),
            events.c.session_id.is_(None),
            # A sum, so that the index is that of the times: there are few events in a moment,
            # but one person may have any number.
            among(session, events.c.person_id + 0, by_person),
        )
    )
    for event_id, person_id, at in rows:
        for window in by_person[person_id]:
            if window.begin <= at <= window.end:
                yield event_id, window.session_id
                break
