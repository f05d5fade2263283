"""What became of messages: for each of them in sums, and for each person who got it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..store.content import ContentRow
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.person import PersonRow

PAGE = 50


@dataclass(frozen=True, slots=True)
class Results:
    """How many people are where with one message."""

    states: dict[str, int] = field(default_factory=dict)
    """Deliveries by state."""
    events: dict[str, int] = field(default_factory=dict)
    """People by what they did: shown, opened, clicked, dismissed, replied, bounced."""

    @property
    def total(self) -> int:
        """Everybody whom it was meant for, held out or not."""
        return sum(self.states.values())

    @property
    def sent(self) -> int:
        """Those whom it reached as far as we can tell."""
        return self.states.get("sent", 0)

    @property
    def waiting(self) -> int:
        """Those to whom it is still on its way."""
        return sum(self.states.get(state, 0) for state in ("queued", "claimed", "on_wire"))


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """One message: a send by hand, or a rule's."""

    source: str
    channel: str
    title: str
    created_at: datetime
    created_by: str | None
    results: Results


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one delivery."""

    id: int
    public_id: str
    source: str
    channel: str
    title: str
    state: str
    reason: str | None
    error: str | None
    variant: str
    created_at: datetime
    sent_at: datetime | None
    person_public_id: str
    person_name: str | None
    person_email: str | None
    person_user_id: str | None
    events: dict[str, datetime]
    """When they first did what: shown, opened, clicked, dismissed."""
    clicked: tuple[str, ...]
    """Labels of the buttons they clicked."""


def results_of(session: Session, sources: Collection[str]) -> dict[str, Results]:
    """Return the results of each of `sources`; an empty one for what was never sent."""
    states: dict[str, dict[str, int]] = defaultdict(dict)
    counted = (
        select(DeliveryRow.source, DeliveryRow.state, func.count())
        .where(DeliveryRow.source.in_(sources))
        .group_by(DeliveryRow.source, DeliveryRow.state)
    )
    for source, state, count in session.execute(counted):
        states[source][state] = count
    events: dict[str, dict[str, int]] = defaultdict(dict)
    did = (
        select(
            DeliveryRow.source,
            DeliveryEventRow.kind,
            func.count(DeliveryEventRow.delivery_id.distinct()),
        )
        .join(DeliveryRow, DeliveryRow.id == DeliveryEventRow.delivery_id)
        .where(DeliveryRow.source.in_(sources))
        .group_by(DeliveryRow.source, DeliveryEventRow.kind)
    )
    for source, kind, count in session.execute(did):
        events[source][kind] = count
    return {source: Results(states.get(source, {}), events.get(source, {})) for source in sources}


def messages(
    session: Session, *, before: int | None = None, limit: int = PAGE
) -> tuple[list[MessageSummary], int | None]:
    """Return messages, newest words first, and where the next page begins (None at the end).

    A message whose words changed stands once, with its newest.
    """
    newest = select(func.max(ContentRow.id)).group_by(ContentRow.source)
    query = select(ContentRow).where(ContentRow.id.in_(newest)).order_by(ContentRow.id.desc())
    if before is not None:
        query = query.where(ContentRow.id < before)
    rows = session.scalars(query.limit(limit + 1)).all()
    page = rows[:limit]
    results = results_of(session, [row.source for row in page])
    return (
        [_summary(row, results[row.source]) for row in page],
        page[-1].id if len(rows) > limit else None,
    )


def message(session: Session, source: str) -> tuple[MessageSummary, ContentRow] | None:
    """Return one message with its newest words, or None if there is none of that source."""
    row = session.scalar(
        select(ContentRow)
        .where(ContentRow.source == source)
        .order_by(ContentRow.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    return _summary(row, results_of(session, [source])[source]), row


def receipts_of_message(
    session: Session,
    source: str,
    *,
    state: str | None = None,
    did: str | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> tuple[list[Receipt], int | None]:
    """Return who got a message, newest delivery first, and where the next page begins.

    :param state: only deliveries in this state.
    :param did: only people who did this: shown, opened, clicked, dismissed.
    """
    query = select(DeliveryRow.id).where(DeliveryRow.source == source)
    if state is not None:
        query = query.where(DeliveryRow.state == state)
    if did is not None:
        query = query.where(
            select(DeliveryEventRow.id)
            .where(DeliveryEventRow.delivery_id == DeliveryRow.id, DeliveryEventRow.kind == did)
            .exists()
        )
    if before is not None:
        query = query.where(DeliveryRow.id < before)
    return _page(session, query.order_by(DeliveryRow.id.desc()).limit(limit + 1), limit)


def receipts_of_person(
    session: Session, person_id: int, *, before: int | None = None, limit: int = PAGE
) -> tuple[list[Receipt], int | None]:
    """Return the messages of one person, newest first, and where the next page begins."""
    query = select(DeliveryRow.id).where(DeliveryRow.person_id == person_id)
    if before is not None:
        query = query.where(DeliveryRow.id < before)
    return _page(session, query.order_by(DeliveryRow.id.desc()).limit(limit + 1), limit)


def _page(session: Session, query: object, limit: int) -> tuple[list[Receipt], int | None]:
    ids = list(session.scalars(query))  # type: ignore[call-overload]
    page = ids[:limit]
    return _receipts(session, page), page[-1] if len(ids) > limit else None


def _receipts(session: Session, ids: Sequence[int]) -> list[Receipt]:
    if not ids:
        return []
    rows = session.execute(
        select(DeliveryRow, PersonRow, ContentRow.subject, ContentRow.body)
        .join(PersonRow, PersonRow.id == DeliveryRow.person_id)
        .outerjoin(ContentRow, ContentRow.id == DeliveryRow.content_id)
        .where(DeliveryRow.id.in_(ids))
        .order_by(DeliveryRow.id.desc())
    ).all()
    events: dict[int, dict[str, datetime]] = defaultdict(dict)
    clicked: dict[int, list[str]] = defaultdict(list)
    happened = (
        select(DeliveryEventRow)
        .where(DeliveryEventRow.delivery_id.in_(ids))
        .order_by(DeliveryEventRow.occurred_at)
    )
    for event in session.scalars(happened):
        events[event.delivery_id].setdefault(event.kind, event.occurred_at)
        if event.kind == "clicked":
            clicked[event.delivery_id].append(event.detail.partition(":")[2] or event.detail)
    return [
        Receipt(
            id=delivery.id,
            public_id=delivery.public_id,
            source=delivery.source,
            channel=delivery.channel,
            title=_title(subject, body),
            state=delivery.state,
            reason=delivery.reason,
            error=delivery.error,
            variant=delivery.variant,
            created_at=delivery.created_at,
            sent_at=delivery.sent_at,
            person_public_id=person.public_id,
            person_name=person.name,
            person_email=person.email,
            person_user_id=person.user_id,
            events=events.get(delivery.id, {}),
            clicked=tuple(clicked.get(delivery.id, ())),
        )
        for delivery, person, subject, body in rows
    ]


def _summary(row: ContentRow, results: Results) -> MessageSummary:
    return MessageSummary(
        source=row.source,
        channel=row.channel,
        title=_title(row.subject, row.body),
        created_at=row.created_at,
        created_by=row.created_by,
        results=results,
    )


def _title(subject: str | None, body: str | None) -> str:
    """Return what a list calls a message: its title, else how its text begins."""
    if subject and subject.strip():
        return subject.strip()
    first = next((line.strip() for line in (body or "").splitlines() if line.strip()), "")
    return first[:80] + ("…" if len(first) > 80 else "")
