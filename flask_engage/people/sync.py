"""Everybody whom the host already has is a person from the first day, seen or not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Table, case, func, literal_column, null, or_, select, update
from sqlalchemy.orm import Session

from ..store.attribute_write import write_attributes
from ..store.engine import Database, refresh_statistics
from ..store.person import PersonRow, is_live, new_public_id
from ..store.person_write import erased_at
from ..store.provider_write import Run, end_run, let_go, note_progress, take_run
from ..store.retry import persistently
from ..store.upsert import Incoming, upsert
from .host_users import BATCH, HostUsers, KnownUser
from .refresh import SAY_SECONDS, Turn

SYNC = " sync"
"""Its row stands among those of the providers, under a name that none of them can have."""

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
    finished: bool = True
    """Whether it came to its end; otherwise the next turn goes on."""


def sync_users(
    database: Database,
    users: HostUsers,
    now: datetime,
    turn: Turn | None = None,
    *,
    anew: bool = True,
) -> SyncReport:
    """Bring every host user into people, refresh addresses and names, mark who is gone.

    Works in batches of 500, each in a transaction of its own; safe to run at any time, to
    stop half-way and to run twice at once.

    :param anew: begin with the first user; else go on with the run that was cut off, if there
        is one and nobody else is at it.
    """
    run = persistently(
        database, lambda session: take_run(session, SYNC, now, anew=anew, by_force=anew)
    )
    if run is None:
        return SyncReport(0, 0, finished=False)
    finished = _Syncing(database, users, now, run, turn or Turn()).go_on()
    return SyncReport(users=run.done, gone=run.changed, finished=finished)


class _Syncing:
    """One run in this process's hands."""

    def __init__(
        self, database: Database, users: HostUsers, now: datetime, run: Run, turn: Turn
    ) -> None:
        self.database = database
        self.users = users
        self.now = now
        self.run = run
        self.turn = turn
        self.said = time.monotonic()

    def go_on(self) -> bool:
        """Work until the turn is over; tell whether the run came to its end."""
        run = self.run
        position: dict[str, Any] = json.loads(run.position) if run.position else {}
        if run.total is None and self.turn.progress is not None:
            run.total = self.users.count()
        for place in self._steps(position):
            run.position = json.dumps(place)
            if self.turn.progress is not None:
                self.turn.progress(run.done, run.total)
            if self.turn.is_over() or not self.turn.may_go_on():
                self._save(let_go)
                return False
            if time.monotonic() - self.said >= SAY_SECONDS:
                self.said = time.monotonic()
                self._save(note_progress)
        if run.done >= _MANY:
            refresh_statistics(self.database, "engage_person")
        self._save(partial(end_run, well=True))
        return True

    def _steps(self, position: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Do the work step by step, saying after each where to go on."""
        if "gone" not in position:
            for key, batch in self.users.batches(position.get("users")):
                if batch:
                    store_known(self.database, batch, self.now)
                    self.run.done += len(batch)
                yield {"users": key}
        if self.users.ids_are_keys():
            for last, gone in _mark_gone(
                self.database, self.users, self.now, position.get("gone", 0)
            ):
                self.run.changed += gone
                yield {"gone": last}

    def _save(self, write: Callable[[Session, Run, datetime], object]) -> None:
        persistently(self.database, lambda session: write(session, self.run, self.now))


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
        erased = _erased_and_unseen(session, [row["user_id"] for row in rows])
        rows = [row for row in rows if row["user_id"] not in erased]
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


def _erased_and_unseen(session: Session, user_ids: list[str]) -> set[str]:
    """Return whom the host still has but we were told to erase: only being seen makes them new."""
    erased = set(erased_at(session, user_ids))
    if erased:
        known = select(PersonRow.user_id).where(PersonRow.user_id.in_(erased))
        erased -= {str(user_id) for user_id in session.scalars(known)}
    return erased


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


def _mark_gone(
    database: Database, users: HostUsers, now: datetime, last: int
) -> Iterator[tuple[int, int]]:
    """Mark people behind the id `last` whom the host has no more; yield (last id, how many)."""
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
            return
        last = page[-1].id
        present = users.existing([str(row.user_id) for row in page])
        missing = [row.id for row in page if row.user_id not in present]
        if missing:
            with database.write() as session:
                session.execute(
                    update(PersonRow).where(PersonRow.id.in_(missing)).values(gone_at=now)
                )
        yield last, len(missing)
