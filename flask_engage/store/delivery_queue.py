"""Writing deliveries: sets of people at a time, and never a second row for the same send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    String,
    Table,
    and_,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from .content import ContentRow
from .delivery import DeliveryRow
from .person import PersonRow, is_live, new_public_id
from .upsert import dialect_of, insert_of

RANGE = 10_000
"""People per statement: its locks are short, and a large audience is still few statements."""
LIST_RANGE = 500
"""The same for people named one by one: databases limit the parameters of a statement."""

Audience: TypeAlias = Select[Any] | Sequence[int]
"""Ids of people: a query for them, or a list."""


def parts_of(session: Session, people: Audience) -> Iterator[ColumnElement[bool]]:
    """Cut an audience into conditions on ``PersonRow`` that each hold for a bounded number.

    A query is cut by ranges of the person's id, so it is run once for each range.
    """
    if not isinstance(people, Select):
        ids = sorted(set(people))
        for start in range(0, len(ids), LIST_RANGE):
            yield PersonRow.id.in_(ids[start : start + LIST_RANGE])
        return
    after = 0
    while True:
        following = select(PersonRow.id).where(PersonRow.id > after)
        ids_ahead = following.order_by(PersonRow.id).limit(RANGE).subquery()
        last = session.scalar(select(func.max(ids_ahead.c.id)))
        if last is None:
            return
        yield and_(PersonRow.id > after, PersonRow.id <= last, PersonRow.id.in_(people))
        after = last


def enqueue(
    session: Session,
    part: ColumnElement[bool],
    *,
    source: str,
    content: ContentRow,
    now: datetime,
    not_before: datetime | None = None,
    occurrence: str | ColumnElement[str] = "1",
    variant: str = "",
    created_by: str | None = None,
    fenced: ColumnElement[bool] | None = None,
) -> int:
    """Write one delivery for each living person of `part`; return how many are new.

    Whoever has a row for this source and occurrence is left out, by the unique key. Joins
    the caller's transaction.

    :param part: a condition on ``PersonRow``, from :func:`parts_of`.
    :param fenced: a further condition, such as that a lease still holds.
    """
    everyone = and_(part, is_live(), *([] if fenced is None else [fenced]))
    columns: dict[str, Any] = {
        "source": source,
        "occurrence": occurrence,
        "channel": content.channel,
        "content_id": content.id,
        "variant": variant,
        "content_version": content.version,
        "state": "queued",
        "not_before": not_before or now,
        "attempts": 0,
        "created_by": created_by,
        "created_at": now,
        "updated_at": now,
    }
    table = cast("Table", DeliveryRow.__table__)
    picked = select(
        PersonRow.id,
        _new_public_ids(session).label("public_id"),
        *(_typed(name, value) for name, value in columns.items()),
    ).where(everyone, _has_no_row(source, occurrence))
    statement = _insert_new(session, table).from_select(
        ["person_id", "public_id", *columns], picked, include_defaults=False
    )
    # Drivers forget the count of an INSERT with the cursor, unless asked to keep it.
    result = session.execute(statement.execution_options(preserve_rowcount=True))
    return max(0, cast("CursorResult[Any]", result).rowcount)


def _has_no_row(source: str, occurrence: str | ColumnElement[str]) -> ColumnElement[bool]:
    # The unique key decides; this saves the attempts, and keeps the count right on MySQL. Not
    # NOT EXISTS: PostgreSQL makes a join of that, and while it has not counted the fresh rows
    # of a large send it joins by comparing each person with each of them.
    row = (
        select(DeliveryRow.id)
        .where(
            DeliveryRow.source == source,
            DeliveryRow.person_id == PersonRow.id,
            DeliveryRow.occurrence == occurrence,
        )
        .limit(1)
    )
    return row.correlate(PersonRow).scalar_subquery().is_(None)


def _typed(name: str, value: Any) -> ColumnElement[Any]:
    if isinstance(value, ColumnElement):
        return value.label(name)
    return literal(value, DeliveryRow.__table__.c[name].type).label(name)


def _new_public_ids(session: Session) -> ColumnElement[Any]:
    """Return an expression that gives each row of a statement an id nobody can guess."""
    name = dialect_of(session)
    if name == "sqlite":
        return func.lower(func.hex(func.randomblob(12)))
    if name == "postgresql":
        return func.replace(sql_cast(func.gen_random_uuid(), String(36)), "-", "")
    # MySQL's UUID() counts up; a secret of this statement's own makes ids of the people's.
    seed = literal(new_public_id() + new_public_id(), String)
    return func.left(func.sha2(func.concat(seed, PersonRow.id), 256), 32)


def _insert_new(session: Session, table: Table) -> Any:
    name = dialect_of(session)
    if name == "mysql":
        # IGNORE, because it counts right. What it would also swallow can't occur: the values
        # are ours and checked, and a person deleted meanwhile is to be left out.
        return insert(table).prefix_with("IGNORE")
    return insert_of(name, table).on_conflict_do_nothing()
