"""What became of messages, for whoever sent them: counts by source, and the people behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from .content import ContentRow
from .delivery import DeliveryEventRow, DeliveryRow
from .person import PersonRow

_ON_THEIR_WAY = ("queued", "claimed", "on_wire")


@dataclass(frozen=True, slots=True)
class SourceResults:
    """How one message did: people by where it stands with them, and by what they did."""

    source: str
    waiting: int = 0
    """Queued, or just being sent."""
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    suppressed: int = 0
    held_out: int = 0
    shown: int = 0
    opened: int = 0
    clicked: int = 0
    dismissed: int = 0
    bounced: int = 0

    @property
    def people(self) -> int:
        """How many people it was meant for."""
        meant = (self.waiting, self.sent, self.failed, self.unknown, self.suppressed, self.held_out)
        return sum(meant)


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One delivery in a list: a person's message, or a message's person."""

    id: int
    """For the next page."""
    public_id: str
    source: str
    channel: str
    state: str
    reason: str | None
    error: str | None
    heading: str | None
    """Subject or title as written."""
    variant: str
    person_public_id: str
    person_name: str | None
    person_email: str | None
    created_at: datetime
    sent_at: datetime | None
    events: Mapping[str, datetime] = field(default_factory=dict)
    """What became of it: kind → when first."""
    clicks: tuple[str, ...] = ()
    """Labels of the buttons that were clicked, in that order."""


@dataclass(frozen=True, slots=True)
class SendLine:
    """One message that somebody sent by hand."""

    id: int
    """For the next page."""
    source: str
    channel: str
    heading: str | None
    body: str
    options: Mapping[str, Any]
    created_by: str | None
    created_at: datetime


def results_of(session: Session, sources: Collection[str]) -> dict[str, SourceResults]:
    """Return how each of `sources` did; one without any delivery has zeros."""
    counts: dict[str, dict[str, int]] = {source: defaultdict(int) for source in sources}
    by_state = (
        select(DeliveryRow.source, DeliveryRow.state, func.count())
        .where(DeliveryRow.source.in_(sources))
        .group_by(DeliveryRow.source, DeliveryRow.state)
    )
    for source, state, count in session.execute(by_state):
        counts[source]["waiting" if state in _ON_THEIR_WAY else state] += count
    by_kind = (
        select(
            DeliveryRow.source,
            DeliveryEventRow.kind,
            func.count(DeliveryEventRow.delivery_id.distinct()),
        )
        .join(DeliveryEventRow, DeliveryEventRow.delivery_id == DeliveryRow.id)
        .where(DeliveryRow.source.in_(sources))
        .group_by(DeliveryRow.source, DeliveryEventRow.kind)
    )
    for source, kind, count in session.execute(by_kind):
        counts[source][kind] += count
    names = set(SourceResults.__dataclass_fields__) - {"source"}
    return {
        source: SourceResults(source, **{n: found[n] for n in names if n in found})
        for source, found in counts.items()
    }


def sent_and_opened_since(session: Session, since: datetime) -> tuple[int, int]:
    """Return how many messages were sent since then, and how many of any age were opened."""
    sent = session.scalar(
        select(func.count()).select_from(DeliveryRow).where(DeliveryRow.sent_at >= since)
    )
    opened = session.scalar(
        select(func.count(DeliveryEventRow.delivery_id.distinct())).where(
            DeliveryEventRow.kind == "opened", DeliveryEventRow.occurred_at >= since
        )
    )
    return sent or 0, opened or 0


def deliveries_of_person(
    session: Session, person_id: int, *, before: int | None = None, limit: int = 50
) -> list[DeliveryLine]:
    """Return what was sent to a person, newest first; `before` is the last line's ``id``."""
    return _lines(session, DeliveryRow.person_id == person_id, before, limit)


def deliveries_of_source(
    session: Session,
    source: str,
    *,
    state: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[DeliveryLine]:
    """Return to whom a message went, newest first.

    :param state: only those in this state (``waiting`` for all on their way).
    :param kind: only those of which this became: shown, opened, clicked, dismissed, bounced.
    :param before: the last line's ``id``, for the next page.
    """
    where = DeliveryRow.source == source
    if state is not None:
        where &= DeliveryRow.state.in_(_ON_THEIR_WAY if state == "waiting" else (state,))
    if kind is not None:
        where &= (
            select(DeliveryEventRow.id)
            .where(DeliveryEventRow.delivery_id == DeliveryRow.id, DeliveryEventRow.kind == kind)
            .exists()
        )
    return _lines(session, where, before, limit)


def sends(session: Session, *, before: int | None = None, limit: int = 50) -> list[SendLine]:
    """Return what was sent by hand, newest first, each with its latest words."""
    newer = select(ContentRow.id).where(
        ContentRow.source.startswith("send:"), ContentRow.version == 1
    )
    if before is not None:
        newer = newer.where(ContentRow.id < before)
    ids = session.scalars(newer.order_by(ContentRow.id.desc()).limit(limit)).all()
    return _send_lines(session, ContentRow.id.in_(ids))


def send_of(session: Session, source: str) -> SendLine | None:
    """Return the message of one source, with its latest words."""
    found = _send_lines(session, (ContentRow.source == source) & (ContentRow.version == 1))
    return found[0] if found else None


def _send_lines(session: Session, where: ColumnElement[bool]) -> list[SendLine]:
    firsts = session.scalars(select(ContentRow).where(where).order_by(ContentRow.id.desc())).all()
    versions = session.scalars(
        select(ContentRow)
        .where(ContentRow.source.in_([row.source for row in firsts]))
        .order_by(ContentRow.version)
    )
    latest = {row.source: row for row in versions}
    return [
        SendLine(
            id=row.id,
            source=row.source,
            channel=row.channel,
            heading=latest[row.source].subject,
            body=latest[row.source].body,
            options=latest[row.source].options or {},
            created_by=row.created_by,
            created_at=row.created_at,
        )
        for row in firsts
    ]


def _lines(
    session: Session, where: ColumnElement[bool], before: int | None, limit: int
) -> list[DeliveryLine]:
    if before is not None:
        where &= DeliveryRow.id < before
    query = (
        select(
            DeliveryRow, ContentRow.subject, PersonRow.public_id, PersonRow.name, PersonRow.email
        )
        .join(PersonRow, PersonRow.id == DeliveryRow.person_id)
        .outerjoin(ContentRow, ContentRow.id == DeliveryRow.content_id)
        .where(where)
        .order_by(DeliveryRow.id.desc())
        .limit(limit)
    )
    rows = session.execute(query).all()
    events, clicks = _events(session, [row[0].id for row in rows])
    return [
        DeliveryLine(
            id=row.id,
            public_id=row.public_id,
            source=row.source,
            channel=row.channel,
            state=row.state,
            reason=row.reason,
            error=row.error,
            heading=heading,
            variant=row.variant,
            person_public_id=public_id,
            person_name=name,
            person_email=email,
            created_at=row.created_at,
            sent_at=row.sent_at,
            events=events[row.id],
            clicks=tuple(clicks[row.id]),
        )
        for row, heading, public_id, name, email in rows
    ]


def _events(
    session: Session, ids: Collection[int]
) -> tuple[dict[int, dict[str, datetime]], dict[int, list[str]]]:
    first: dict[int, dict[str, datetime]] = defaultdict(dict)
    clicks: dict[int, list[str]] = defaultdict(list)
    rows = session.scalars(
        select(DeliveryEventRow)
        .where(DeliveryEventRow.delivery_id.in_(ids))
        .order_by(DeliveryEventRow.occurred_at, DeliveryEventRow.id)
    )
    for row in rows:
        first[row.delivery_id].setdefault(row.kind, row.occurred_at)
        if row.kind == "clicked":
            clicks[row.delivery_id].append(row.detail.partition(":")[2] or row.detail)
    return first, clicks
