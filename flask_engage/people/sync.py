"""Everybody whom the host already has is a person from the first day, seen or not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, case, func, literal_column, null, or_, select, update

from ..store.attribute_write import write_attributes
from ..store.engine import Database, refresh_statistics
from ..store.person import PersonRow, is_live, new_public_id
from ..store.upsert import Incoming, upsert
from .host_users import BATCH, HostUsers, KnownUser

_MANY = 1_000
"""From here on it pays to tell the planner at once, not when the database finds the time."""
_EMAIL_LENGTH = 320
_NAME_LENGTH = 255
_EMPTY: ColumnElement[str] = literal_column("''")
"""Written out: PyMySQL takes no parameters behind the VALUES of many rows."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did."""

    users: int
    """Users that the host has and that are recorded."""
    gone: int
    """People whose user the host no longer has, found by this run."""


def sync_users(database: Database, users: HostUsers, now: datetime) -> SyncReport:
    """Bring every host user into people, refresh addresses and names, mark who is gone.

    Works in batches of 500, each in a transaction of its own; safe to run at any time, to
    stop half-way and to run twice at once.
    """
    count = 0
    for batch in users.batches():
        if batch:
            store_known(database, batch, now)
            count += len(batch)
    gone = _mark_gone(database, users, now) if users.ids_are_keys() else 0
    if count >= _MANY:
        refresh_statistics(database, "engage_person")
    return SyncReport(users=count, gone=gone)


def refresh_people(
    database: Database, users: HostUsers, person_ids: Collection[int], now: datetime
) -> None:
    """Bring the addresses of a few people up to date, and mark those whom the host has no more.

    For the moment before mail leaves; keep `person_ids` below 1,000.
    """
    if not users.ids_are_keys():
        return
    with database.read() as session:
        rows = session.execute(
            select(PersonRow.id, PersonRow.user_id).where(
                PersonRow.id.in_(person_ids), PersonRow.kind == "user", is_live()
            )
        ).all()
    by_user_id = {row.user_id: row.id for row in rows if row.user_id is not None}
    present = users.existing(list(by_user_id))
    known = users.known(list(present))
    if known:
        store_known(database, known, now)
    missing = [person_id for user_id, person_id in by_user_id.items() if user_id not in present]
    if missing:
        with database.write() as session:
            session.execute(update(PersonRow).where(PersonRow.id.in_(missing)).values(gone_at=now))


def store_known(database: Database, batch: list[KnownUser], now: datetime) -> None:
    """Make people of some of the host's users, or bring those up to date who are people already."""
    rows: list[dict[str, Any]] = [
        {
            "public_id": new_public_id(),
            "kind": "user",
            "user_id": user.user_id[:255],
            "email": user.email[:_EMAIL_LENGTH] if user.email else None,
            "name": user.name[:_NAME_LENGTH] if user.name else None,
            "signed_up_at": user.signed_up_at,
            "last_seen_at": user.last_seen_at,
            "session_count": 0,
            "attributes": {},
            "created_at": now,
            "updated_at": now,
        }
        for user in batch
    ]
    attributes = {user.user_id: user.attributes for user in batch if user.attributes}
    with database.write() as session:
        table: Table = PersonRow.__table__  # type: ignore[assignment]
        upsert(session, table, rows, key=["user_id"], update=_refreshed)
        if attributes:
            ids = session.execute(
                select(PersonRow.id, PersonRow.user_id).where(
                    PersonRow.user_id.in_(attributes), is_live()
                )
            ).all()
            write_attributes(
                session,
                {person_id: attributes[str(user_id)] for person_id, user_id in ids},
                source="page",
                now=now,
            )


def _refreshed(table: Table, incoming: Incoming) -> dict[str, Any]:
    """Say what the host's word changes in a person that is there.

    `updated_at` comes first: MySQL assigns from left to right, and it compares old values.
    """
    changed = or_(
        *[
            func.coalesce(incoming(name), _EMPTY) != func.coalesce(table.c[name], _EMPTY)
            for name in ("email", "name")
        ]
    )
    return {
        "updated_at": case((changed, incoming("updated_at")), else_=table.c.updated_at),
        "email": incoming("email"),
        "name": func.coalesce(incoming("name"), table.c.name),
        "signed_up_at": func.coalesce(incoming("signed_up_at"), table.c.signed_up_at),
        "last_seen_at": case(
            (
                or_(
                    table.c.last_seen_at.is_(None),
                    incoming("last_seen_at") > table.c.last_seen_at,
                ),
                incoming("last_seen_at"),
            ),
            else_=table.c.last_seen_at,
        ),
        "gone_at": null(),
    }


def _mark_gone(database: Database, users: HostUsers, now: datetime) -> int:
    gone, last = 0, 0
    while True:
        with database.read() as session:
            page = session.execute(
                select(PersonRow.id, PersonRow.user_id)
                .where(
                    PersonRow.id > last,
                    PersonRow.kind == "user",
                    PersonRow.user_id.is_not(None),
                    PersonRow.gone_at.is_(None),
                    is_live(),
                )
                .order_by(PersonRow.id)
                .limit(BATCH)
            ).all()
        if not page:
            return gone
        last = page[-1].id
        present = users.existing([str(row.user_id) for row in page])
        missing = [row.id for row in page if row.user_id not in present]
        if missing:
            with database.write() as session:
                session.execute(
                    update(PersonRow).where(PersonRow.id.in_(missing)).values(gone_at=now)
                )
            gone += len(missing)
