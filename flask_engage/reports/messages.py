"""What became of messages: of each as a whole, and of each for every person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import case, distinct, func, select
from sqlalchemy.orm import Session

from ..store.content import ContentRow
from ..store.delivery import DeliveryEventRow, DeliveryRow
from ..store.operator import operator_names
from ..store.person import PersonRow

PAGE = 50
"""Messages, or people, on one page."""
_LONGEST_SOURCE = 200

OUTCOMES = ("shown", "opened", "clicked", "dismissed", "bounced")
"""What can become of a delivery that was sent, in the order in which it happens."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many deliveries of one message are in which state, and what became of them."""

    states: dict[str, int] = field(default_factory=dict)
    """Deliveries by state: queued, claimed, on_wire, sent, failed, suppressed, unknown, …"""
    outcomes: dict[str, int] = field(default_factory=dict)
    """Deliveries of which something became known: shown, opened, clicked, dismissed, bounced."""

    @property
    def total(self) -> int:
        """Everybody whom it was meant for."""
        return sum(self.states.values())

    @property
    def sent(self) -> int:
        """Those for whom it left, or whose browser fetched it."""
        return self.states.get("sent", 0)

    @property
    def waiting(self) -> int:
        """Those for whom it is still to leave."""
        return sum(self.states.get(state, 0) for state in ("queued", "claimed", "on_wire"))


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """One message, with its newest words."""

    source: str
    channel: str
    title: str
    """The template of its title or subject, or the beginning of its text."""
    created_at: datetime
    created_by: str | None
    """The operator's name, or their id where no name is known; None for code."""
    counts: Counts


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some messages, the newest first."""

    messages: tuple[MessageSummary, ...]
    after: int | None
    """Where the next page begins, if there is one."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one message for one person."""

    public_id: str
    name: str | None
    email: str | None
    state: str
    reason: str | None
    variant: str
    created_at: datetime
    sent_at: datetime | None
    outcomes: dict[str, datetime]
    """What became of it, and when first."""
    buttons: tuple[str, ...]
    """Labels of the buttons that were clicked."""


@dataclass(frozen=True, slots=True)
class RecipientPage:
    """Some recipients, the latest first."""

    recipients: tuple[Recipient, ...]
    after: int | None


def message_page(session: Session, *, after: int | None = None, limit: int = PAGE) -> MessagePage:
    """Return messages by hand and by rule, those with the newest words first."""
    newest = select(func.max(ContentRow.id).label("id")).group_by(ContentRow.source).subquery()
    query = select(ContentRow).join(newest, newest.c.id == ContentRow.id)
    if after is not None:
        query = query.where(ContentRow.id < after)
    rows = session.scalars(query.order_by(ContentRow.id.desc()).limit(limit + 1)).all()
    counts = counts_of(session, [row.source for row in rows[:limit]])
    names = operator_names(session, {row.created_by for row in rows[:limit] if row.created_by})
    return MessagePage(
        tuple(_summary(row, counts[row.source], names) for row in rows[:limit]),
        rows[limit - 1].id if len(rows) > limit else None,
    )


def message_summary(session: Session, source: str) -> MessageSummary | None:
    """Return one message, or None if there is none of this `source`."""
    if not is_source(source):
        return None
    rows = select(ContentRow).where(ContentRow.source == source)
    row = session.scalar(rows.order_by(ContentRow.id.desc()).limit(1))
    if row is None:
        return None
    names = operator_names(session, {row.created_by} if row.created_by else ())
    return _summary(row, counts_of(session, [source])[source], names)


def counts_of(session: Session, sources: Collection[str]) -> dict[str, Counts]:
    """Return the counts of each of `sources`, in two questions."""
    found: dict[str, Counts] = defaultdict(Counts)
    if not sources:
        return found
    by_state = (
        select(DeliveryRow.source, DeliveryRow.state, func.count())
        .where(DeliveryRow.source.in_(sources))
        .group_by(DeliveryRow.source, DeliveryRow.state)
    )
    for source, state, count in session.execute(by_state):
        found[source].states[state] = count
    by_kind = (
        select(
            DeliveryRow.source,
            DeliveryEventRow.kind,
            func.count(distinct(DeliveryEventRow.delivery_id)),
        )
        .join(DeliveryEventRow, DeliveryEventRow.delivery_id == DeliveryRow.id)
        .where(DeliveryRow.source.in_(sources))
        .group_by(DeliveryRow.source, DeliveryEventRow.kind)
    )
    for source, kind, count in session.execute(by_kind):
        found[source].outcomes[kind] = count
    return found


def recipients(
    session: Session,
    source: str,
    *,
    state: str | None = None,
    after: int | None = None,
    limit: int = PAGE,
) -> RecipientPage:
    """Return whom the message of `source` went to, the latest first.

    :param state: only deliveries in this state.
    """
    query = select(DeliveryRow, PersonRow).join(PersonRow, PersonRow.id == DeliveryRow.person_id)
    query = query.where(DeliveryRow.source == source)
    if state is not None:
        query = query.where(DeliveryRow.state == state)
    if after is not None:
        query = query.where(DeliveryRow.id < after)
    rows = session.execute(query.order_by(DeliveryRow.id.desc()).limit(limit + 1)).all()
    happened = outcomes_of(session, [delivery.id for delivery, _ in rows[:limit]])
    return RecipientPage(
        tuple(_recipient(delivery, person, happened) for delivery, person in rows[:limit]),
        rows[limit - 1][0].id if len(rows) > limit else None,
    )


def outcomes_of(
    session: Session, delivery_ids: Collection[int]
) -> dict[int, list[tuple[str, str, datetime]]]:
    """Return what became of each delivery: kind, detail and time, the earliest first."""
    found: dict[int, list[tuple[str, str, datetime]]] = defaultdict(list)
    if not delivery_ids:
        return found
    places = {kind: number for number, kind in enumerate(OUTCOMES)}
    order = case(places, value=DeliveryEventRow.kind)
    query = select(DeliveryEventRow).where(DeliveryEventRow.delivery_id.in_(delivery_ids))
    for row in session.scalars(query.order_by(DeliveryEventRow.occurred_at, order)):
        found[row.delivery_id].append((row.kind, row.detail, row.occurred_at))
    return found


def is_source(text: str) -> bool:
    """Tell whether `text` may be the source of a message; databases refuse what it may not be."""
    return (
        0 < len(text) <= _LONGEST_SOURCE
        and "\0" not in text
        and not any("\ud800" <= sign <= "\udfff" for sign in text)
    )


def _summary(row: ContentRow, counts: Counts, names: Mapping[str, str]) -> MessageSummary:
    return MessageSummary(
        source=row.source,
        channel=row.channel,
        title=(row.subject or row.body).strip().partition("\n")[0][:200],
        created_at=row.created_at,
        created_by=None if row.created_by is None else names.get(row.created_by, row.created_by),
        counts=counts,
    )


def _recipient(
    delivery: DeliveryRow,
    person: PersonRow,
    happened: dict[int, list[tuple[str, str, datetime]]],
) -> Recipient:
    outcomes: dict[str, datetime] = {}
    buttons: list[str] = []
    for kind, detail, at in happened[delivery.id]:
        outcomes.setdefault(kind, at)
        if kind == "clicked" and detail:
            buttons.append(detail.partition(":")[2] or detail)
    return Recipient(
        public_id=person.public_id,
        name=person.name,
        email=person.email,
        state=delivery.state,
        reason=delivery.reason,
        variant=delivery.variant,
        created_at=delivery.created_at,
        sent_at=delivery.sent_at,
        outcomes=outcomes,
        buttons=tuple(buttons),
    )
