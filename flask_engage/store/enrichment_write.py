"""Writing down what other services say of people, and that they were asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from .attribute import AttributeRow
from .base import CodeText, UTCDateTime
from .enrichment import AvatarRow, EnrichmentLogRow, EnrichmentRow
from .person import PersonRow, is_live
from .provider import ProviderRow
from .session import SessionRow

_LATE = 1000
"""Ids behind the last one that are looked at again: transactions may end out of order."""
SEED = 1000
"""People that are brought in by one statement."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of asking about one person."""

    person_id: int
    state: str
    next_at: datetime
    attempts: int = 0
    error: str | None = None
    profile: dict[str, Any] | None = None

    @property
    def is_final(self) -> bool:
        """Whether it takes the place of the answer before."""
        return self.state in ("found", "unknown", "skipped")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an enricher may be told of somebody."""

    person_id: int
    user_id: str | None
    email: str | None
    name: str | None


def seed(session: Session, provider: str, now: datetime) -> int:
    """Bring in up to :data:`SEED` people whom `provider` was never asked about."""
    last = session.scalar(
        select(func.max(EnrichmentRow.person_id)).where(EnrichmentRow.provider == provider)
    )
    there = select(literal(1)).where(
        EnrichmentRow.provider == provider, EnrichmentRow.person_id == PersonRow.id
    )
    which = (
        select(
            type_coerce(literal(provider), CodeText(40)),
            PersonRow.id,
            literal("new"),
            literal(0),
            literal(now, UTCDateTime()),
        )
        .where(PersonRow.id > (last or 0) - _LATE, is_live(), ~there.exists())
        .order_by(PersonRow.id)
        .limit(SEED)
    )
    columns = ["provider", "person_id", "state", "attempts", "next_at"]
    result = session.connection().execute(
        insert(_table(EnrichmentRow)).from_select(columns, which, include_defaults=False)
    )
    return result.rowcount


def people_to_ask(session: Session, person_ids: Collection[int]) -> dict[int, Asked]:
    """Return those of `person_ids` who live and are still the host's, by our id."""
    rows = session.execute(
        select(PersonRow.id, PersonRow.user_id, PersonRow.email, PersonRow.name).where(
            PersonRow.id.in_(person_ids), PersonRow.gone_at.is_(None), is_live()
        )
    )
    return {row.id: Asked(*row) for row in rows}


def last_addresses(session: Session, person_ids: Collection[int]) -> dict[int, str]:
    """Return the newest address of a machine that sessions of people keep."""
    newest = (
        select(SessionRow.person_id, func.max(SessionRow.id).label("id"))
        .where(SessionRow.person_id.in_(person_ids), SessionRow.ip.is_not(None))
        .group_by(SessionRow.person_id)
        .subquery()
    )
    rows = session.execute(
        select(SessionRow.person_id, SessionRow.ip).join(newest, SessionRow.id == newest.c.id)
    )
    return {row.person_id: str(row.ip) for row in rows}


def note_sent(
    session: Session, person_id: int, provider: str, fields: Sequence[str], now: datetime
) -> int | None:
    """Write down that something of a person is about to leave; None: they are gone, send nothing.

    Committed before it is sent: what a process did that died then is known, too.
    """
    there = select(PersonRow.id).where(PersonRow.id == person_id, is_live()).with_for_update()
    if session.scalar(there) is None:
        return None
    row = EnrichmentLogRow(
        person_id=person_id,
        provider=provider,
        fields=", ".join(fields)[:255],
        at=now,
        outcome="sent",
    )
    session.add(row)
    session.flush()
    return row.id


def note_outcome(session: Session, log_id: int, outcome: str) -> None:
    """Write down what became of what was sent."""
    session.execute(
        update(EnrichmentLogRow).where(EnrichmentLogRow.id == log_id).values(outcome=outcome)
    )


def note_answers(session: Session, provider: str, answers: Sequence[Answer], now: datetime) -> None:
    """Write answers down; a failure leaves the answer before as it was."""
    table = _table(EnrichmentRow)
    for final in (True, False):
        rows = [
            {
                "whose": one.person_id,
                "new_state": one.state,
                "new_attempts": one.attempts,
                "new_next_at": one.next_at,
                "new_error": one.error and one.error[:255],
            }
            | ({"new_profile": one.profile, "new_fetched_at": now} if final else {})
            for one in answers
            if one.is_final is final
        ]
        if not rows:
            continue
        names = ["state", "attempts", "next_at", "error"]
        names += ["profile", "fetched_at"] if final else []
        session.connection().execute(
            update(table)
            .where(table.c.provider == provider, table.c.person_id == bindparam("whose"))
            .values({name: bindparam(f"new_{name}") for name in names}),
            rows,
        )


def enriched_names(session: Session, person_ids: Collection[int]) -> dict[int, set[str]]:
    """Return the names of the attributes that people have from enrichment."""
    found: dict[int, set[str]] = {}
    for row in session.execute(
        select(AttributeRow.person_id, AttributeRow.name).where(
            AttributeRow.person_id.in_(person_ids),
            AttributeRow.source >= "enrichment:",
            AttributeRow.source < "enrichment;",
        )
    ):
        found.setdefault(row.person_id, set()).add(row.name)
    return found


def fill_places(
    session: Session, places: Mapping[int, Mapping[str, str | None]], now: datetime
) -> None:
    """Write city and time zone of people; the country only where capture knows none."""
    for person_id, place in sorted(places.items()):
        person = session.get(PersonRow, person_id)
        if person is None:
            continue
        for name, value in place.items():
            if (
                value
                and getattr(person, name) != value
                and not (name == "country" and person.country)
            ):
                setattr(person, name, value)
                person.updated_at = now


def want_avatars(
    session: Session, wanted: Mapping[int, tuple[str, str] | None], now: datetime
) -> None:
    """Say (enricher, address) of people's pictures; None: there is none any more."""
    rows = {
        row.person_id: row
        for row in session.scalars(select(AvatarRow).where(AvatarRow.person_id.in_(wanted)))
    }
    for person_id, found in sorted(wanted.items()):
        row = rows.get(person_id)
        if found is None:
            if row is not None:
                session.delete(row)
            continue
        provider, url = found
        if row is None:
            session.add(
                AvatarRow(person_id=person_id, provider=provider, url=url, attempts=0, next_at=now)
            )
        elif row.url != url:
            row.provider, row.url = provider, url
            row.attempts, row.next_at, row.error = 0, now, None


def due_avatars(session: Session, now: datetime, limit: int) -> list[tuple[int, str, str, int]]:
    """Return (person id, enricher, address, attempts) of pictures to be fetched."""
    rows = session.execute(
        select(AvatarRow.person_id, AvatarRow.provider, AvatarRow.url, AvatarRow.attempts)
        .where(AvatarRow.next_at <= now)
        .order_by(AvatarRow.next_at, AvatarRow.person_id)
        .limit(limit)
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def keep_avatar(session: Session, person_id: int, url: str, values: Mapping[str, Any]) -> None:
    """Write down what came of fetching the picture at `url`."""
    session.execute(
        update(AvatarRow)
        .where(AvatarRow.person_id == person_id, AvatarRow.url == url)
        .values(dict(values))
    )


@dataclass(slots=True)
class TurnNote:
    """How the newest turn of an enricher went."""

    began: datetime
    people: int = 0
    changed: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str | None = None
    paused: dict[str, Any] | None = None
    """Until when nobody asks it, and how often in a row that was so."""


def note_turn(session: Session, name: str, note: TurnNote, attributes: Iterable[str]) -> None:
    """Keep the book of an enricher, next to that of the host's providers."""
    row = session.get(ProviderRow, name)
    if row is None:
        row = ProviderRow(name=name, started_at=note.began, heard_at=note.began)
        session.add(row)
    given_up = note.paused is not None
    row.started_at = row.heard_at = row.finished_at = note.began
    if not given_up:
        row.succeeded_at = note.began
    row.seconds, row.done, row.changed = note.seconds, note.people, note.changed
    row.failed, row.error = note.failed, note.error
    row.attributes = sorted(set(attributes) | set(row.attributes or ()))
    row.position = None if note.paused is None else json.dumps(note.paused)
    row.held_until = row.total = row.error_user_id = None


def _table(model: Any) -> Table:
    return cast("Table", model.__table__)
