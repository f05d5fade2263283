"""Finding, making, locking and updating the people whom a batch of facts is about."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from .person import PersonRow, TombstoneRow, new_public_id
from .upsert import insert_ignore

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
    "language",
    "browser",
    "os",
    "device",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
)
#: What nearly every sighting changes: then the rest isn't written.
_OFTEN = frozenset({"last_seen_at", "session_count", "gone_at"})


@dataclass(slots=True)
class PersonState:
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
    language: str | None
    browser: str | None
    os: str | None
    device: str | None
    referrer: str | None
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    original: tuple[Any, ...] = field(default=(), repr=False)

    def values(self) -> tuple[Any, ...]:
        """Return what :func:`save_people` writes, in the order of the columns."""
        return tuple(getattr(self, name) for name in _WRITTEN)


def tombstone_of(user_id: str) -> str:
    """Return the hash under which an erased user's id is remembered."""
    return hashlib.sha256(b"flask_engage:" + user_id.encode()).hexdigest()


def erased_at(session: Session, user_ids: Iterable[str]) -> dict[str, datetime]:
    """Return since when those of `user_ids` are erased who are."""
    by_hash = {tombstone_of(user_id): user_id for user_id in user_ids}
    rows = session.execute(
        select(TombstoneRow.hash, TombstoneRow.erased_at).where(TombstoneRow.hash.in_(by_hash))
    )
    return {by_hash[row.hash]: row.erased_at for row in rows}


def lock_people(
    session: Session, user_ids: Collection[str], now: datetime
) -> dict[str, PersonState]:
    """Return the people behind the host's ids, made where missing, locked in a fixed order.

    An id whose person was merged into another gives that other one. Someone who was removed
    in the very moment is missing from the result.
    """
    if not user_ids:
        return {}
    found = _locked(session, PersonRow.user_id.in_(list(user_ids)))
    missing = sorted(set(user_ids) - {str(row.user_id) for row, _ in found})
    if missing:
        _insert(session, missing, now)
        # Anew, not the missing ones alone: locks are taken in one order, by everybody.
        found += _locked(session, PersonRow.user_id.in_(missing))
    people = {str(row.user_id): row for row, merged in found if merged is None}
    onward = {str(row.user_id): merged for row, merged in found if merged is not None}
    while onward:
        targets = _locked(session, PersonRow.id.in_(set(onward.values())))
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
    insert_ignore(
        session,
        PersonRow.__table__,  # type: ignore[arg-type]
        [
            {
                "public_id": new_public_id(),
                "kind": "user",
                "user_id": user_id,
                "session_count": 0,
                "attributes": {},
                "created_at": now,
                "updated_at": now,
            }
            for user_id in user_ids
        ],
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
        (_state(row_id, user_id or "", values), merged) for row_id, user_id, merged, *values in rows
    ]


def _state(row_id: int, user_id: str, values: list[Any]) -> PersonState:
    held = dict(zip(_WRITTEN, values, strict=True))
    return PersonState(id=row_id, user_id=user_id, original=tuple(values), **held)


def _share_rows(people: dict[str, PersonState]) -> None:
    """Let ids that lead to the same person share one state, so that no change gets lost."""
    by_id: dict[int, PersonState] = {}
    for user_id, person in people.items():
        people[user_id] = by_id.setdefault(person.id, person)


def save_people(session: Session, people: Mapping[int, PersonState], now: datetime) -> None:
    """Write the people who have changed."""
    often: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for person in sorted(people.values(), key=lambda person: person.id):
        changed = {
            name
            for name, value, old in zip(_WRITTEN, person.values(), person.original, strict=True)
            if value != old
        }
        if changed:
            few = changed <= _OFTEN
            row = {f"new_{name}": getattr(person, name) for name in (_OFTEN if few else _WRITTEN)}
            (often if few else rest).append({"row_id": person.id, "new_updated_at": now, **row})
    _update(session, often, _OFTEN)
    _update(session, rest, _WRITTEN)


def _update(session: Session, rows: list[dict[str, Any]], names: Iterable[str]) -> None:
    if not rows:
        return
    table = PersonRow.__table__
    session.connection().execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("row_id"))
        .values({name: bindparam(f"new_{name}") for name in (*names, "updated_at")}),
        rows,
    )
