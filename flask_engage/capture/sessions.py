"""Sessions: which sightings belong together. A pure function of what is known and what is new.

A session ends with more than `idle` without a sighting; and a sighting more than `longest`
after the first one begins another. Sightings may come late and in any order: they extend,
join or insert sessions so that the result is the same as in order. (Only where somebody was
active without a break for longer than `longest` does the order decide where it is cut.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from ..store.session_write import SessionState
from .facts import Context, Seen

_started_at = attrgetter("started_at")
_NOTHING = Context()


@dataclass(slots=True)
class Sighting:
    """One moment at which somebody was here."""

    at: datetime
    hits: int = 1
    context: Context | None = None


@dataclass(slots=True)
class Sessions:
    """The sessions of one person from some moment on, in order."""

    sessions: list[SessionState]
    merged: dict[int, SessionState]
    """Former sessions, by id, that are now part of another one."""

    def around(self, at: datetime, idle: timedelta) -> SessionState | None:
        """Return the session that `at` falls into, or into whose idle time."""
        sessions = self.sessions
        if sessions and at >= sessions[-1].started_at:
            session = sessions[-1]  # nearly always
        else:
            index = bisect_right(sessions, at, key=_started_at) - 1
            if index < 0:
                return None
            session = sessions[index]
        return session if at - session.last_at <= idle else None


def sessionise(
    known: Sequence[SessionState],
    sightings: Sequence[Sighting | Seen],
    *,
    count: int,
    last_seen_at: datetime | None,
    idle: timedelta,
    longest: timedelta,
) -> Sessions:
    """Return the sessions of one person after `sightings`.

    :param known: the person's sessions, in order, with none left out that ended `idle` before
        the first sighting or later. They are changed in place.
    :param count: how many sessions the person has had in all.
    :param last_seen_at: when the person had last been seen before these sightings.
    """
    result = Sessions(list(known), {})
    earlier = count - len(known)
    before = known[0].previous_seen_at if known else last_seen_at
    for sighting in sorted(sightings, key=attrgetter("at")):
        _place(result, sighting, idle, longest)
    _number(result.sessions, earlier, before, last_seen_at)
    return result


def _place(result: Sessions, new: Sighting | Seen, idle: timedelta, longest: timedelta) -> None:
    sessions = result.sessions
    index = bisect_right(sessions, new.at, key=_started_at)
    former = sessions[index - 1] if index else None
    latter = sessions[index] if index < len(sessions) else None
    if former and (
        new.at <= former.last_at
        or (new.at - former.last_at <= idle and new.at - former.started_at <= longest)
    ):
        former.last_at = max(former.last_at, new.at)
        former.hits += new.hits
        if new.at == former.started_at and new.context and former.landing_page is None:
            _describe(former, new.context)
        if (
            latter
            and latter.started_at - former.last_at <= idle
            and latter.last_at - former.started_at <= longest
        ):
            _join(result, index)
    elif latter and latter.started_at - new.at <= idle and latter.last_at - new.at <= longest:
        latter.started_at = new.at
        latter.hits += new.hits
        _describe(latter, new.context or _NOTHING)
    else:
        session = SessionState(started_at=new.at, last_at=new.at, hits=new.hits)
        if new.context:
            _describe(session, new.context)
        sessions.insert(index, session)


def _join(result: Sessions, index: int) -> None:
    """Make the session at `index` part of the one before it."""
    gone, kept = result.sessions.pop(index), result.sessions[index - 1]
    kept.last_at = max(kept.last_at, gone.last_at)
    kept.hits += gone.hits
    if gone.id is not None:
        if kept.id is None:
            # The row that is there stays, with what the earlier part says.
            kept.id, kept.original = gone.id, gone.original
        else:
            result.merged[gone.id] = kept
    for former, session in list(result.merged.items()):
        if session is gone:
            result.merged[former] = kept


def _describe(session: SessionState, context: Context) -> None:
    """Say of a session what its first sighting says."""
    session.landing_page = context.path
    session.country = context.country
    session.ip = context.ip
    session.referrer = context.referrer
    session.utm_source = context.utm_source
    session.utm_medium = context.utm_medium
    session.utm_campaign = context.utm_campaign
    session.browser = context.browser
    session.os = context.os
    session.device = context.device
    session.language = context.language


def _number(
    sessions: list[SessionState],
    earlier: int,
    before: datetime | None,
    last_seen_at: datetime | None,
) -> None:
    """Write into each session what was true just before it."""
    for index, session in enumerate(sessions):
        session.previous_sessions = earlier + index
        moments = (before, session.previous_seen_at, last_seen_at)
        session.previous_seen_at = max(
            (moment for moment in moments if moment and moment < session.started_at),
            default=None,
        )
        before = session.last_at
