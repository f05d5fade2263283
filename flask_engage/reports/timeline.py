"""What happened to one person, newest first: of every kind in one order, folded by sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy.orm import Session

from ..store.content import contents_by_id
from ..store.delivery import DeliveryRow
from ..store.operator import operator_names
from ..store.session import SessionRow
from ..store.story import (
    changes_before,
    deliveries_before,
    events_before,
    notes_before,
    sessions_before,
    sessions_between,
    sessions_by_id,
    tag_changes_before,
    tags_before,
)
from ..store.story_order import RANKS, Place
from .messages import outcomes_of

PAGE = 50
"""Things on one page of a timeline."""
KINDS: Final = ("event", "session", "message", "note", "tag", "segment")


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing in a person's timeline."""

    at: datetime
    kind: str
    """One of :data:`KINDS`."""
    name: str
    """The event's name, the page where a session began, the title of a message, who wrote a
    note, the tag, the segment."""
    place: Place
    """Where it stands among the others: no two have the same."""
    facts: dict[str, Any] = field(default_factory=dict)
    """An event's properties; what is known of a session; a message's source, state and
    outcomes; a note's text; whether a tag was put on or taken off."""
    session_id: int | None = None
    """The session that an event belongs to, or that this is."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session with what of it is on this page, newest first."""

    at: datetime
    session: Happening
    happenings: tuple[Happening, ...]
    has_begin: bool
    """Whether it is here from its beginning; else it goes on, further down."""
    has_end: bool
    """Whether it is here to its end; else a part of it stands further up."""
    kind: str = "visit"

    @property
    def tally(self) -> list[tuple[str, int]]:
        """What was done how often, of what is here."""
        return Counter(one.name for one in self.happenings).most_common()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Some of what happened, the newest first."""

    happenings: tuple[Happening, ...]
    before: Place | None
    """Where the next page begins, if there is one."""
    sessions: dict[int, Happening] = field(default_factory=dict)
    """Those that events of this page fell into, by their id."""
    after: Place | None = None
    """Where this page began; None: with the newest."""

    def folded(self) -> list[Happening | Visit]:
        """Return the happenings with those of a session together, where its newest stands.

        What was sent or noted meanwhile stands by itself, and the session goes on behind it.
        """
        found: list[Happening | Visit] = []
        met: set[int] = set()
        for session_id, some in groupby(self.happenings, lambda one: one.session_id):
            if session_id is None or session_id not in self.sessions:
                found += some
                continue
            session, stretch = self.sessions[session_id], tuple(some)
            is_cut = (
                not found and self.after is not None and self.after.at <= session.facts["last_at"]
            )
            found.append(
                Visit(
                    stretch[0].at,
                    session,
                    tuple(one for one in stretch if one.kind != "session"),
                    has_begin=stretch[-1].kind == "session",
                    has_end=session_id not in met and not is_cut,
                )
            )
            met.add(session_id)
        return found


def timeline(
    session: Session,
    person_id: int,
    *,
    kind: str = "all",
    before: Place | None = None,
    limit: int = PAGE,
) -> Timeline:
    """Return what happened to a person: what they did, when they were here, what they were sent.

    The pages of a timeline, each from where the one before ended, hold everything once.

    :param kind: ``all``, or one of :data:`KINDS`.
    """
    found: list[Happening] = []
    for name, read in _READERS.items():
        if kind in ("all", name):
            found += read(session, person_id, before, limit + 1)
    found.sort(key=lambda happening: happening.place, reverse=True)
    page = found[:limit]
    more = page[-1].place if len(found) > limit else None
    sessions: dict[int, Happening] = {}
    if kind == "all" and page:
        sessions = _sessions_of(session, person_id, page)
        page = [_placed(one, sessions) for one in page]
    return Timeline(tuple(page), more, sessions, before)


def _sessions_of(
    session: Session, person_id: int, page: Sequence[Happening]
) -> dict[int, Happening]:
    """Return the sessions that something of `page` belongs to, or fell into."""
    rows = sessions_between(session, person_id, page[-1].at, page[0].at)
    known = {row.id: row for row in rows}
    ids = {one.session_id for one in page if one.session_id is not None} - set(known)
    known.update(sessions_by_id(session, ids))
    return {key: _session(row) for key, row in known.items() if row.person_id == person_id}


def _placed(one: Happening, sessions: dict[int, Happening]) -> Happening:
    """Return an event with the session in whose time it happened, if it names none that is there.

    What the host's code says of the past, or what comes in from elsewhere, names none.
    """
    if one.kind != "event" or one.session_id in sessions:
        return one
    for key, visit in sessions.items():
        if visit.at <= one.at <= visit.facts["last_at"]:
            return replace(one, session_id=key)
    return one


def _events(session: Session, person_id: int, before: Place | None, limit: int) -> list[Happening]:
    return [
        Happening(
            row.occurred_at,
            "event",
            row.name,
            Place(row.occurred_at, RANKS["event"], row.id),
            dict(row.properties or {}),
            row.session_id,
        )
        for row in events_before(session, person_id, before, limit)
    ]


def _sessions(
    session: Session, person_id: int, before: Place | None, limit: int
) -> list[Happening]:
    return [_session(row) for row in sessions_before(session, person_id, before, limit)]


def _session(row: SessionRow) -> Happening:
    return Happening(
        row.started_at,
        "session",
        row.landing_page or "",
        Place(row.started_at, RANKS["session"], row.id),
        {
            "pages": row.hits,
            "length": max(row.last_at - row.started_at, timedelta(0)),
            "last_at": row.last_at,
            "referrer": row.referrer,
            "utm_source": row.utm_source,
            "utm_medium": row.utm_medium,
            "utm_campaign": row.utm_campaign,
            "device": row.device,
            "browser": row.browser,
            "os": row.os,
            "language": row.language,
            "country": row.country,
        },
        row.id,
    )


def _notes(session: Session, person_id: int, before: Place | None, limit: int) -> list[Happening]:
    rows = notes_before(session, person_id, before, limit)
    names = operator_names(session, {row.operator_id for row in rows})
    return [
        Happening(
            row.created_at,
            "note",
            names.get(row.operator_id) or row.operator_id,
            Place(row.created_at, RANKS["note"], row.id),
            {
                "id": row.id,
                "body": row.body,
                "by": row.operator_id,
                "edited_at": row.updated_at if row.updated_at != row.created_at else None,
            },
        )
        for row in rows
    ]


def _tags(session: Session, person_id: int, before: Place | None, limit: int) -> list[Happening]:
    still = [
        Happening(at, "tag", name, Place(at, RANKS["tag"], 0, name), {"put": True})
        for name, at in tags_before(session, person_id, before, limit)
    ]
    gone = [
        Happening(
            row.at, "tag", name or "", Place(row.at, RANKS["tag"], row.id), {"put": row.entered}
        )
        for row, name in tag_changes_before(session, person_id, before, limit)
    ]
    return still + gone


def _segments(
    session: Session, person_id: int, before: Place | None, limit: int
) -> list[Happening]:
    return [
        Happening(
            row.at,
            "segment",
            name or "",
            Place(row.at, RANKS["segment"], row.id),
            {"entered": row.entered},
        )
        for row, name in changes_before(session, person_id, before, limit)
    ]


def _messages(
    session: Session, person_id: int, before: Place | None, limit: int
) -> list[Happening]:
    rows = deliveries_before(session, person_id, before, limit)
    happened = outcomes_of(session, [row.id for row in rows])
    titles = _titles(session, rows)
    return [
        Happening(
            row.created_at,
            "message",
            titles.get(row.content_id or 0, ""),
            Place(row.created_at, RANKS["message"], row.id),
            {
                "source": row.source,
                "channel": row.channel,
                "state": row.state,
                "reason": row.reason,
                "sent_at": row.sent_at,
                "outcomes": happened[row.id],
            },
        )
        for row in rows
    ]


def _titles(session: Session, rows: Sequence[DeliveryRow]) -> dict[int, str]:
    ids = {row.content_id for row in rows if row.content_id is not None}
    if not ids:
        return {}
    return {
        key: (words.subject or words.body).strip().partition("\n")[0][:200]
        for key, words in contents_by_id(session, ids).items()
    }


_READERS: Final = {
    "event": _events,
    "session": _sessions,
    "message": _messages,
    "note": _notes,
    "tag": _tags,
    "segment": _segments,
}
