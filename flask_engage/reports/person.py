"""One person's story: attributes with their sources, and what happened, newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..store.attribute import AttributeRow
from ..store.content import contents_by_id
from ..store.delivery import DeliveryRow
from ..store.event import EventRow
from ..store.person import PersonRow, is_live
from ..store.session import SessionRow
from ..types import AttributeValue
from .messages import outcomes_of

PAGE = 50
"""Things on one page of a timeline."""


@dataclass(frozen=True, slots=True)
class KnownAttribute:
    """One custom attribute of a person."""

    name: str
    value: AttributeValue
    source: str
    computed_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing in a person's timeline."""

    at: datetime
    kind: str
    """``event``, ``session`` or ``message``."""
    name: str
    """The event's name, the page where a session began, the title of a message."""
    facts: dict[str, Any] = field(default_factory=dict)
    """An event's properties; a session's pages, length and browser; a message's source, state
    and outcomes."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Some of what happened, the newest first."""

    happenings: tuple[Happening, ...]
    before: datetime | None
    """Where the next page begins, if there is one."""


def person_id_by_public_id(session: Session, public_id: str) -> int | None:
    """Return our id of the living person with this public id."""
    if not public_id.isascii() or not public_id.isalnum():
        return None
    return session.scalar(select(PersonRow.id).where(PersonRow.public_id == public_id, is_live()))


def attributes_of_person(session: Session, person_id: int) -> list[KnownAttribute]:
    """Return the custom attributes of a person, by name."""
    rows = select(AttributeRow).where(AttributeRow.person_id == person_id)
    return [
        KnownAttribute(row.name, _value(row), row.source, row.computed_at, row.changed_at)
        for row in session.scalars(rows.order_by(AttributeRow.name))
    ]


def timeline(
    session: Session,
    person_id: int,
    *,
    kind: str = "all",
    before: datetime | None = None,
    limit: int = PAGE,
) -> Timeline:
    """Return what happened to a person: what they did, when they were here, what they were sent.

    :param kind: ``all``, or one of ``event``, ``session`` and ``message``.
    """
    found: list[Happening] = []
    if kind in ("all", "event"):
        found += _events(session, person_id, before, limit)
    if kind in ("all", "session"):
        found += _sessions(session, person_id, before, limit)
    if kind in ("all", "message"):
        found += _messages(session, person_id, before, limit)
    found.sort(key=lambda happening: happening.at, reverse=True)
    if len(found) <= limit:
        return Timeline(tuple(found), None)
    # What happened in the same instant stays on one page, or a page could begin in its midst.
    edge = found[limit].at
    page = [happening for happening in found[:limit] if happening.at > edge] or found[:limit]
    return Timeline(tuple(page), page[-1].at)


def _events(
    session: Session, person_id: int, before: datetime | None, limit: int
) -> list[Happening]:
    query = select(EventRow).where(EventRow.person_id == person_id)
    if before is not None:
        query = query.where(EventRow.occurred_at < before)
    rows = session.scalars(query.order_by(EventRow.occurred_at.desc()).limit(limit + 1))
    return [
        Happening(row.occurred_at, "event", row.name, dict(row.properties or {})) for row in rows
    ]


def _sessions(
    session: Session, person_id: int, before: datetime | None, limit: int
) -> list[Happening]:
    query = select(SessionRow).where(SessionRow.person_id == person_id)
    if before is not None:
        query = query.where(SessionRow.started_at < before)
    rows = session.scalars(query.order_by(SessionRow.started_at.desc()).limit(limit + 1))
    return [
        Happening(
            row.started_at,
            "session",
            row.landing_page or "",
            {
                "pages": row.hits,
                "length": row.last_at - row.started_at,
                "browser": row.browser,
                "os": row.os,
                "referrer": row.referrer,
            },
        )
        for row in rows
    ]


def _messages(
    session: Session, person_id: int, before: datetime | None, limit: int
) -> list[Happening]:
    query = select(DeliveryRow).where(DeliveryRow.person_id == person_id)
    if before is not None:
        query = query.where(DeliveryRow.created_at < before)
    rows = session.scalars(query.order_by(DeliveryRow.created_at.desc()).limit(limit + 1)).all()
    happened = outcomes_of(session, [row.id for row in rows])
    titles = _titles(session, rows)
    return [
        Happening(
            row.created_at,
            "message",
            titles.get(row.content_id or 0, ""),
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


def _value(row: AttributeRow) -> AttributeValue:
    value: AttributeValue = json.loads(row.value)
    return datetime.fromisoformat(value) if row.kind == "t" and isinstance(value, str) else value
