"""What happened to one person, newest first: the rows behind a timeline, a page at a time.

What a page costs doesn't grow with how much somebody did. Their events are in the index by name,
then by time; so each name is asked for its newest few, and only those are sorted.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from .delivery import DeliveryRow
from .event import EventRow, EventSummaryRow
from .note import NoteRow
from .person import PersonTagRow
from .segment_member import SegmentChangeRow, SegmentWatchRow, is_of_tag
from .session import SessionRow
from .story_order import RANKS, Place, before

_LONGEST_SESSION = timedelta(hours=24)
"""A session that lasts longer is cut by the default settings."""
_MOST_SESSIONS = 200


def events_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[EventRow]:
    """Return the newest `limit` events of a person that come after `place`."""
    names: list[Any] = list(session.execute(names_query(person_id, place, limit)))
    edges = [edge for _name, _last, edge in names if edge is not None]
    # One name alone has `limit` events since then: nothing older can be among the newest.
    floor = max(edges, default=None)
    wanted = [name for name, last_at, _edge in names if floor is None or last_at >= floor]
    if not wanted:
        return []
    ids = session.scalars(ids_query(person_id, wanted, floor, place, limit)).all()
    rows = session.scalars(select(EventRow).where(EventRow.id.in_(ids)))
    return sorted(rows, key=lambda row: (row.occurred_at, row.id), reverse=True)


def names_query(person_id: int, place: Place | None, limit: int) -> Select[str, datetime, datetime]:
    """Return the query for what a person did, each with the time of the last of its `limit`."""
    edge = (
        select(EventRow.occurred_at)
        .where(
            EventRow.person_id == person_id,
            EventRow.name == EventSummaryRow.name,
            *before("event", EventRow.occurred_at, EventRow.id, place),
        )
        .order_by(EventRow.occurred_at.desc())
        .offset(limit - 1)
        .limit(1)
        .scalar_subquery()
    )
    query = select(EventSummaryRow.name, EventSummaryRow.last_at, edge).where(
        EventSummaryRow.person_id == person_id
    )
    return query if place is None else query.where(EventSummaryRow.first_at <= place.at)


def ids_query(
    person_id: int,
    names: Collection[str],
    floor: datetime | None,
    place: Place | None,
    limit: int,
) -> Select[int]:
    """Return the query for the ids of the newest of some names' events since `floor`."""
    query = select(EventRow.id).where(
        EventRow.person_id == person_id,
        EventRow.name.in_(names),
        *before("event", EventRow.occurred_at, EventRow.id, place),
    )
    if floor is not None:
        query = query.where(EventRow.occurred_at >= floor)
    # Not the bare column: a database would walk through everybody's newest events instead, in
    # the hope to meet `limit` of this person soon.
    time = func.coalesce(EventRow.occurred_at, EventRow.occurred_at)
    return query.order_by(time.desc(), EventRow.id.desc()).limit(limit)


def sessions_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[SessionRow]:
    """Return the sessions that began last."""
    query = select(SessionRow).where(
        SessionRow.person_id == person_id,
        *before("session", SessionRow.started_at, SessionRow.id, place),
    )
    newest = query.order_by(SessionRow.started_at.desc(), SessionRow.id.desc())
    return list(session.scalars(newest.limit(limit)))


def sessions_by_id(session: Session, ids: Collection[int]) -> dict[int, SessionRow]:
    """Return those of these sessions that are still there."""
    if not ids:
        return {}
    rows = session.scalars(select(SessionRow).where(SessionRow.id.in_(ids)))
    return {row.id: row for row in rows}


def sessions_between(
    session: Session, person_id: int, first: datetime, last: datetime
) -> list[SessionRow]:
    """Return the sessions that any moment from `first` to `last` may lie in, the newest first."""
    query = select(SessionRow).where(
        SessionRow.person_id == person_id,
        SessionRow.started_at.between(first - _LONGEST_SESSION, last),
        SessionRow.last_at >= first,
    )
    newest = query.order_by(SessionRow.started_at.desc(), SessionRow.id.desc())
    return list(session.scalars(newest.limit(_MOST_SESSIONS)))


def deliveries_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[DeliveryRow]:
    """Return the messages that were written last. Looks at all of the person's: they are few."""
    query = select(DeliveryRow).where(
        DeliveryRow.person_id == person_id,
        *before("message", DeliveryRow.created_at, DeliveryRow.id, place),
    )
    newest = query.order_by(DeliveryRow.created_at.desc(), DeliveryRow.id.desc())
    return list(session.scalars(newest.limit(limit)))


def notes_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[NoteRow]:
    """Return the notes about a person that were written last."""
    query = select(NoteRow).where(
        NoteRow.person_id == person_id, *before("note", NoteRow.created_at, NoteRow.id, place)
    )
    newest = query.order_by(NoteRow.created_at.desc(), NoteRow.id.desc())
    return list(session.scalars(newest.limit(limit)))


def tags_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[tuple[str, datetime]]:
    """Return the tags that a person got last, of those they still have (at most a hundred)."""
    rows = session.execute(
        select(PersonTagRow.name, PersonTagRow.created_at).where(
            PersonTagRow.person_id == person_id
        )
    )
    found = [(name, at) for name, at in rows]
    if place is not None:
        found = [(name, at) for name, at in found if Place(at, RANKS["tag"], 0, name) < place]
    return sorted(found, key=lambda one: (one[1], one[0]), reverse=True)[:limit]


def changes_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[tuple[SegmentChangeRow, str | None]]:
    """Return when a person last entered or left segments, each with its name if it is there."""
    rows = session.execute(changes_query("segment", person_id, place, limit))
    return [(row, name) for row, name in rows]


def tag_changes_before(
    session: Session, person_id: int, place: Place | None, limit: int
) -> list[tuple[SegmentChangeRow, str | None]]:
    """Return when tags were put on a person that were taken off since, and when that was."""
    rows = session.execute(changes_query("tag", person_id, place, limit))
    return [(row, name) for row, name in rows]


def changes_query(
    kind: Literal["segment", "tag"], person_id: int, place: Place | None, limit: int
) -> Select[SegmentChangeRow, str]:
    """Return the query for a person's last changes of one kind, each with its group's name."""
    of_kind = is_of_tag() if kind == "tag" else or_(SegmentWatchRow.id.is_(None), ~is_of_tag())
    return (
        select(SegmentChangeRow, SegmentWatchRow.name)
        .outerjoin(SegmentWatchRow, SegmentWatchRow.id == SegmentChangeRow.segment_id)
        .where(
            SegmentChangeRow.person_id == person_id,
            of_kind,
            *before(kind, SegmentChangeRow.at, SegmentChangeRow.id, place),
        )
        .order_by(SegmentChangeRow.at.desc(), SegmentChangeRow.id.desc())
        .limit(limit)
    )
