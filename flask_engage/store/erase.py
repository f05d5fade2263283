"""Erasing people: who they are at once, what they did in bounded batches.

The first transaction takes id, address and name off the person's row and leaves a tombstone. From
then on nobody finds them, and facts from before are dropped wherever they still are. What hangs
on the row goes after that, in batches; a process that dies half-way leaves a row without a name,
which the next one finds. Totals by day stay: they hold nobody's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Table, and_, case, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session

from .base import Base
from .delivery import DeliveryRow, OutboxRow
from .engine import Database
from .journal import DeadLetterRow
from .operator import AuditRow
from .person import PersonRow, TombstoneRow, is_live
from .person_write import tombstone_of
from .provider import ProviderRow
from .retry import persistently
from .upsert import upsert

ERASED = "erased"
"""The kind of a row whose person is gone while what hung on it is being deleted."""
BATCH = 1_000
_PAGE = 200
_SHORTEST_NAME = 3
"""A name of one or two letters is taken for somebody's where it is the whole text only."""

#: What a person's row holds besides their ids.
_KEPT = ("id", "public_id", "merged_into", "created_at", "updated_at", "deleted_at", "kind")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did."""

    people: int
    """Rows of people: more than one where somebody was merged; 0 if there was nobody."""
    rows: int
    """What hung on them."""


@dataclass(frozen=True, slots=True)
class _Who:
    ids: tuple[int, ...]
    user_ids: tuple[str, ...]
    emails: tuple[str, ...]
    names: tuple[str, ...]
    public_ids: tuple[str, ...]


def erase_person(
    database: Database,
    now: datetime,
    *,
    user_id: str | None = None,
    public_id: str | None = None,
) -> Erased:
    """Erase the person with this id of the host's or with this public id, for good.

    Of a user whom nobody knows yet the tombstone stays: facts about them may wait in a journal.
    Safe to call again, and while facts are being stored.
    """
    if (user_id is None) is (public_id is None):
        raise ValueError("erase_person() takes user_id or public_id, one of them.")
    which = PersonRow.public_id == public_id if user_id is None else PersonRow.user_id == user_id
    known = {user_id} if user_id else set()
    who = persistently(database, lambda session: _detach(session, which, known, now))
    rows = 0 if who is None else _forget_words(database, who)
    found = clear_erased(database)
    return Erased(len(who.ids) if who else 0, rows + found)


def erase_people(
    database: Database,
    person_ids: Sequence[int],
    now: datetime,
    note: Callable[[Session, int], object] | None = None,
) -> int:
    """Erase the living among these people (at most some hundreds) together, each for good.

    :param note: is told in the same transaction how many they are, if there is anybody.
    :returns: how many they were, each once, however many rows were merged into theirs.
    """

    def detach(session: Session) -> tuple[_Who | None, int]:
        which = and_(PersonRow.id.in_(person_ids), is_live())
        ids = list(session.scalars(select(PersonRow.id).where(which).order_by(PersonRow.id)))
        who = _detach(session, PersonRow.id.in_(ids), set(), now) if ids else None
        if who is not None and note is not None:
            note(session, len(ids))
        return who, len(ids)

    who, count = persistently(database, detach)
    if who is not None:
        _forget_words(database, who)
        clear_erased(database)
    return count


def clear_erased(database: Database) -> int:
    """Delete what still hangs on people who are erased, this time's and any left half-way."""
    rows = 0
    while True:
        with database.read() as session:
            ids = session.scalars(
                select(PersonRow.id)
                .where(PersonRow.deleted_at.is_not(None), PersonRow.kind == ERASED)
                .order_by(PersonRow.id.desc())  # those that were merged before whom they became
                .limit(_PAGE)
            ).all()
        if not ids:
            return rows
        for table, column in _hanging_on(cast("Table", PersonRow.__table__)):
            rows += _delete(database, table, column, ids)
        persistently(database, lambda session, gone=tuple(ids): _remove(session, gone))  # type: ignore[misc]


def _detach(
    session: Session, which: ColumnElement[bool], known_ids: set[str], now: datetime
) -> _Who | None:
    """Take the identity off these people's rows and leave the tombstones."""
    first = session.scalars(select(PersonRow).where(which)).all()
    rows = _merged_with(session, first) if first else []
    user_ids = {row.user_id for row in rows if row.user_id} | known_ids
    who = _Who(
        tuple(row.id for row in rows),
        tuple(sorted(user_ids)),
        tuple({row.email for row in rows if row.email}),
        tuple({row.name for row in rows if row.name}),
        tuple(row.public_id for row in rows),
    )
    _leave_tombstones(session, who, now)
    if not rows:
        return None
    table = cast("Table", PersonRow.__table__)
    blank: dict[str, Any] = {
        column.name: None for column in table.c if column.nullable and column.name not in _KEPT
    }
    session.execute(
        update(table)
        .where(table.c.id.in_(who.ids))
        .values(**blank, attributes={}, kind=ERASED, deleted_at=now, updated_at=now)
    )
    return who


def _merged_with(session: Session, rows: Sequence[PersonRow]) -> list[PersonRow]:
    """Return, locked, the rows that stand for the same people: before and after a merge."""
    found = {row.id: row for row in rows}
    while True:
        wanted = {one.merged_into for one in found.values() if one.merged_into} - set(found)
        more = session.scalars(
            select(PersonRow).where(
                or_(PersonRow.id.in_(wanted), PersonRow.merged_into.in_(list(found))),
                PersonRow.id.not_in(list(found)),
            )
        ).all()
        if not more:
            break
        found.update({one.id: one for one in more})
    # Locked together and in one order, as the writer does; and read anew.
    locked = select(PersonRow).where(PersonRow.id.in_(list(found))).order_by(PersonRow.id)
    return list(session.scalars(locked.with_for_update().execution_options(populate_existing=True)))


def _leave_tombstones(session: Session, who: _Who, now: datetime) -> None:
    upsert(
        session,
        cast("Table", TombstoneRow.__table__),
        [{"hash": tombstone_of(user_id), "erased_at": now} for user_id in who.user_ids],
        key=["hash"],
        update=lambda table, incoming: {
            "erased_at": case(
                (incoming("erased_at") > table.c.erased_at, incoming("erased_at")),
                else_=table.c.erased_at,
            )
        },
    )


def _remove(session: Session, ids: Sequence[int]) -> None:
    """Delete the rows themselves; what came in between goes with them (ON DELETE CASCADE)."""
    table = cast("Table", PersonRow.__table__)
    session.execute(select(table.c.id).where(table.c.id.in_(ids)).with_for_update())
    session.execute(update(table).where(table.c.merged_into.in_(ids)).values(merged_into=None))
    session.execute(delete(table).where(table.c.id.in_(ids)))


# --- what hangs on a row -------------------------------------------------------------------------


def _hanging_on(parent: Table) -> Iterator[tuple[Table, Column[Any]]]:
    """Yield the tables with a foreign key to `parent`, and the column that it is."""
    for table in Base.metadata.sorted_tables[::-1]:
        for key in table.foreign_keys:
            if key.column.table is parent and table is not parent:
                yield table, key.parent


def _delete(database: Database, table: Table, column: Column[Any], ids: Sequence[int]) -> int:
    """Delete rows of `table` that point at `ids`, first what points at them; return how many."""
    keys = list(table.primary_key.columns)
    children = list(_hanging_on(table))
    where, count = column.in_(ids), 0
    while True:
        with database.read() as session:
            found = [tuple(row) for row in session.execute(select(*keys).where(where).limit(BATCH))]
        if not found:
            return count
        for child, pointing in children:
            _delete(database, child, pointing, [row[0] for row in found])
        which = (
            keys[0].in_([row[0] for row in found]) if len(keys) == 1 else tuple_(*keys).in_(found)
        )

        def work(session: Session, which: Any = which, found: Any = found) -> None:
            if table is DeliveryRow.__table__:
                _forget_mails(session, [row[0] for row in found])
            session.execute(delete(table).where(and_(where, which)))

        persistently(database, work)
        count += len(found)


def _forget_mails(session: Session, delivery_ids: Sequence[int]) -> None:
    sent = select(DeliveryRow.message_id).where(
        DeliveryRow.id.in_(delivery_ids), DeliveryRow.message_id.is_not(None)
    )
    message_ids = session.scalars(sent).all()
    if message_ids:
        session.execute(delete(OutboxRow).where(OutboxRow.message_id.in_(message_ids)))


# --- what merely mentions somebody ---------------------------------------------------------------


def _forget_words(database: Database, who: _Who) -> int:
    """Delete or blank what names the person without pointing at them; return how many rows."""
    count = 0
    if who.emails:
        count += _delete_mails_to(database, who.emails)
    if who.user_ids:
        persistently(
            database,
            lambda session: session.execute(
                update(ProviderRow)
                .where(ProviderRow.error_user_id.in_(who.user_ids))
                .values(error_user_id=None, error="(somebody who was erased)")
            ),
        )
    needles = [*who.user_ids, *who.emails, *who.names]
    count += _forget_dead_letters(database, needles)
    _forget_in_audit(database, [*needles, *who.public_ids])
    return count


def _delete_mails_to(database: Database, addresses: Sequence[str]) -> int:
    table = cast("Table", OutboxRow.__table__)
    last = count = 0
    while True:  # along the key: there is no index for addresses, and this table is for development
        with database.read() as session:
            page = session.execute(
                select(table.c.id, table.c.recipient)
                .where(table.c.id > last)
                .order_by(table.c.id)
                .limit(BATCH)
            ).all()
        if not page:
            return count
        last = page[-1].id
        gone = [row.id for row in page if row.recipient in addresses]
        if gone:
            persistently(
                database,
                lambda session, gone=gone: session.execute(  # type: ignore[misc]
                    delete(table).where(table.c.id.in_(gone))
                ),
            )
            count += len(gone)


def _forget_dead_letters(database: Database, needles: Iterable[str]) -> int:
    table = cast("Table", DeadLetterRow.__table__)
    mentions = _mentions(needles)
    last = count = 0
    while mentions is not None:
        with database.read() as session:
            page = session.execute(
                select(table.c.id, table.c.payload, table.c.reason)
                .where(table.c.id > last)
                .order_by(table.c.id)
                .limit(_PAGE)
            ).all()
        if not page:
            break
        last = page[-1].id
        gone = [row.id for row in page if mentions(f"{row.payload}\n{row.reason}")]
        if gone:
            persistently(
                database,
                lambda session, gone=gone: session.execute(  # type: ignore[misc]
                    delete(table).where(table.c.id.in_(gone))
                ),
            )
            count += len(gone)
    return count


def _forget_in_audit(database: Database, needles: Iterable[str]) -> None:
    """Keep what operators did, without whom they did it to."""
    table = cast("Table", AuditRow.__table__)
    mentions = _mentions(needles)
    last = 0
    while mentions is not None:
        with database.read() as session:
            page = session.execute(
                select(table.c.id, table.c.target, table.c.detail)
                .where(table.c.id > last)
                .order_by(table.c.id)
                .limit(_PAGE)
            ).all()
        if not page:
            return
        last = page[-1].id
        for row in page:
            target, detail = _without(row.target, mentions), _without(row.detail, mentions)
            if (target, detail) != (row.target, row.detail):
                persistently(
                    database,
                    lambda session, row=row, target=target, detail=detail: session.execute(  # type: ignore[misc]
                        update(table)
                        .where(table.c.id == row.id)
                        .values(target=target, detail=detail)
                    ),
                )


_Find = Callable[[str], re.Pattern[str] | None]


def _mentions(needles: Iterable[str]) -> _Find | None:
    """Return what finds those of `needles` in a text that are a word of it.

    A very short one has to be the whole text. What it gives is a pattern of the few that are
    there at all: one of hundreds of words would take its time over every letter.
    """
    wanted = sorted({one for one in needles if one}, key=len, reverse=True)
    if not wanted:
        return None

    def find(text: str) -> re.Pattern[str] | None:
        parts = [_as_word(one) for one in wanted if one in text]
        pattern = re.compile("|".join(parts)) if parts else None
        return pattern if pattern is not None and pattern.search(text) else None

    return find


def _as_word(needle: str) -> str:
    if len(needle) >= _SHORTEST_NAME:
        return rf"(?<!\w){re.escape(needle)}(?!\w)"
    return rf"(?:^|(?<=\")){re.escape(needle)}(?:$|(?=\"))"


def _without(value: Any, mentions: _Find) -> Any:
    if isinstance(value, str):
        found = mentions(value)
        return value if found is None else found.sub("(erased)", value)
    if isinstance(value, list):
        return [_without(one, mentions) for one in value]
    if isinstance(value, dict):
        return {key: _without(one, mentions) for key, one in value.items()}
    return value
