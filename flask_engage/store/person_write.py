"""Finding, making, locking and updating the people whom a batch of facts is about."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .among import among
from .bulk import InsertNew, Update
from .person import PersonRow, TombstoneRow, new_public_id
from .upsert import dialect_of

_WRITTEN = (
    "kind",
    "deleted_at",
    "gone_at",
    "email",
    "name",
    "signed_up_at",
    "first_seen_at",
    "last_seen_at",
    "session_count",
    "country",
    "language",
    "browser",
    "os",
    "device",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "touched_at",
    "latest_referrer",
    "latest_utm_source",
    "latest_utm_medium",
    "latest_utm_campaign",
    "latest_touched_at",
)
#: What sightings change: then the rest isn't written, and mostly only the last of them is.
_OFTEN = ("gone_at", "session_count", "last_seen_at")
_RARELY = attrgetter(*(name for name in _WRITTEN if name not in _OFTEN))
_update_seen = Update(PersonRow.__table__, ("last_seen_at", "updated_at"))
_update_often = Update(PersonRow.__table__, (*_OFTEN, "updated_at"))
_update_all = Update(PersonRow.__table__, (*_WRITTEN, "updated_at"))
_insert_people = InsertNew(
    PersonRow.__table__,
    ("public_id", "kind", "user_id", "session_count", "attributes", "created_at", "updated_at"),
)


_VALUES = attrgetter(*_WRITTEN)
_OFTEN_VALUES = attrgetter(*_OFTEN)
_BY_ID = attrgetter("id")


class PersonState(msgspec.Struct, gc=False):
    """A person's row, locked until the end of the transaction; :func:`save_people` writes it."""

    id: int
    user_id: str
    """The host's id under which the facts came; a merged person has several."""
    kind: str
    deleted_at: datetime | None
    gone_at: datetime | None
    email: str | None
    name: str | None
    signed_up_at: datetime | None
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    session_count: int
    country: str | None
    language: str | None
    browser: str | None
    os: str | None
    device: str | None
    referrer: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    touched_at: datetime | None
    latest_referrer: str | None
    latest_utm_source: str | None
    latest_utm_medium: str | None
    latest_utm_campaign: str | None
    latest_touched_at: datetime | None
    often: tuple[Any, ...] = ()
    """What its row holds of what changes often."""
    rare: tuple[Any, ...] = ()
    """What it holds of the rest."""

    def __post_init__(self) -> None:
        self.often, self.rare = _OFTEN_VALUES(self), _RARELY(self)


def tombstone_of(user_id: str) -> str:
    """Return the hash under which an erased user's id is remembered."""
    return hashlib.sha256(b"flask_engage:" + user_id.encode()).hexdigest()


def erased_at(session: Session, user_ids: Iterable[str]) -> dict[str, datetime]:
    """Return since when those of `user_ids` are erased who are; also what was committed just now.

    Whoever is about to write of people asks this once they are locked.
    """
    connection = session.connection()
    hashes, since = select(TombstoneRow.hash), select(TombstoneRow.hash, TombstoneRow.erased_at)
    if dialect_of(session) == "mysql":
        # In a host's REPEATABLE READ an ordinary question would be answered from the past.
        hashes, since = hashes.with_for_update(read=True), since.with_for_update(read=True)
    if connection.execute(hashes.limit(1)).first() is None:
        return {}  # nearly everywhere: then no hash needs to be computed
    by_hash = {tombstone_of(user_id): user_id for user_id in user_ids}
    rows = connection.execute(since.where(among(session, TombstoneRow.hash, by_hash)))
    return {by_hash[row.hash]: row.erased_at for row in rows}


def forget_new(session: Session, person_ids: Collection[int], now: datetime) -> None:
    """Delete those of `person_ids` whom this batch has made at `now`: nothing is said of them."""
    if person_ids:
        session.execute(
            delete(PersonRow)
            .where(
                PersonRow.id.in_(person_ids),
                PersonRow.created_at == now,
                PersonRow.last_seen_at.is_(None),
                PersonRow.email.is_(None),
            )
            .execution_options(synchronize_session=False)
        )


def lock_people(
    session: Session, user_ids: Collection[str], now: datetime
) -> dict[str, PersonState]:
    """Return the people behind the host's ids, made where missing, locked in a fixed order.

    An id whose person was merged into another gives that other one. Someone who was removed
    in the very moment is missing from the result.
    """
    if not user_ids:
        return {}
    found = _locked(session, among(session, PersonRow.user_id, user_ids))
    missing = sorted(set(user_ids) - {str(row.user_id) for row, _ in found})
    if missing:
        _insert(session, missing, now)
        # Anew, not the missing ones alone: locks are taken in one order, by everybody.
        found += _locked(session, among(session, PersonRow.user_id, missing))
    people = {str(row.user_id): row for row, merged in found if merged is None}
    onward = {str(row.user_id): merged for row, merged in found if merged is not None}
    while onward:
        targets = _locked(session, among(session, PersonRow.id, set(onward.values())))
        by_id = {row.id: (row, merged) for row, merged in targets}
        further: dict[str, int] = {}
        for user_id, target in onward.items():
            row, merged = by_id[target]
            if merged is None:
                people[user_id] = row
            else:
                further[user_id] = merged
        onward = further
    _share_rows(people)
    return people


def _insert(session: Session, user_ids: list[str], now: datetime) -> None:
    _insert_people(
        session, [(new_public_id(), "user", user_id, 0, {}, now, now) for user_id in user_ids]
    )


def _locked(session: Session, which: Any) -> list[tuple[PersonState, int | None]]:
    table = PersonRow.__table__
    columns = [table.c[name] for name in _WRITTEN]
    # By the connection: the session would prepare for objects, which takes longer than the rest.
    rows = session.connection().execute(
        select(table.c.id, table.c.user_id, table.c.merged_into, *columns)
        .where(which)
        .order_by(table.c.id)
        .with_for_update()
    )
    return [
        (PersonState(row_id, user_id or "", *values), merged)
        for row_id, user_id, merged, *values in rows.all()
    ]


def _share_rows(people: dict[str, PersonState]) -> None:
    """Let ids that lead to the same person share one state, so that no change gets lost."""
    by_id: dict[int, PersonState] = {}
    for user_id, person in people.items():
        people[user_id] = by_id.setdefault(person.id, person)


def save_people(session: Session, people: Mapping[int, PersonState], now: datetime) -> None:
    """Write the people who have changed."""
    seen: list[tuple[Any, ...]] = []
    often: list[tuple[Any, ...]] = []
    rest: list[tuple[Any, ...]] = []
    for person in sorted(people.values(), key=_BY_ID):
        if _RARELY(person) != person.rare:
            rest.append((person.id, *_VALUES(person), now))
            continue
        values = _OFTEN_VALUES(person)
        if values[:-1] != person.often[:-1]:
            often.append((person.id, *values, now))
        elif values != person.often:
            seen.append((person.id, values[-1], now))
    _update_seen(session, seen)
    _update_often(session, often)
    _update_all(session, rest)
