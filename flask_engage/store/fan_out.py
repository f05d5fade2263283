"""From a condition on people to deliveries, many at a time, without a look at each of them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Insert,
    Integer,
    Select,
    String,
    Table,
    and_,
    case,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from .base import BigId, CodeText, UTCDateTime
from .delivery import DeliveryRow
from .person import PersonRow, is_live
from .share import PRIME, below, share
from .upsert import dialect_of, insert_of

OPEN_STATES = ("queued", "claimed", "on_wire")
"""A delivery that has not come to its end."""
IDS_PER_QUERY = 500
"""Few enough for the limit on parameters that older SQLite has, with a filter beside them."""


@dataclass(frozen=True, slots=True)
class VariantRef:
    """One variant of a rule's message: which words it has."""

    name: str
    content_id: int
    content_version: int


@dataclass(frozen=True, slots=True)
class FanOut:
    """What is to be written for each person who matches."""

    source: str
    channel: str
    variants: Sequence[VariantRef]
    """At least one; people are split evenly between them, by chance that stays."""
    matches: ColumnElement[bool]
    """The rule's filter, over `PersonRow`."""
    now: datetime
    interval: timedelta | None = None
    """Since a person's last delivery, before the next; none: there is no next."""
    holdout: float = 0.0
    """Share of people (0 to 1) who get a row but no message."""
    fenced: ColumnElement[bool] | None = None
    """Holds while the writer may write."""


def end_of_range(session: Session, after: int, size: int) -> int | None:
    """Return the id of the `size`-th person after the id `after`; None if there are fewer.

    Counted in people, not in ids: keys have gaps.
    """
    return session.scalar(
        select(PersonRow.id)
        .where(PersonRow.id > after)
        .order_by(PersonRow.id)
        .offset(size - 1)
        .limit(1)
    )


def has_any(session: Session, wish: FanOut, after: int, until: int | None) -> bool:
    """Tell whether :func:`fan_out` would write anything; a look without a lock."""
    return session.execute(_chosen(session, wish, after, until).limit(1)).first() is not None


def fan_out(session: Session, wish: FanOut, after: int, until: int | None) -> int:
    """Write a delivery for each person with an id in (`after`, `until`] who is to get one.

    One statement; the unique key of deliveries leaves out who has it from somebody else in
    the same instant. Returns how many rows were written.
    """
    commit_by_statement(session)
    chosen = _chosen(session, wish, after, until)
    columns = [column.name for column in chosen.selected_columns]
    statement = _insert_new(session).from_select(columns, chosen, include_defaults=False)
    # Without being told to keep it, SQLAlchemy drops the count of an INSERT with its cursor.
    result = session.execute(statement, execution_options={"preserve_rowcount": True})
    return int(cast("CursorResult[Any]", result).rowcount)


def matching_among(
    session: Session, matches: ColumnElement[bool], person_ids: Collection[int]
) -> set[int]:
    """Return those of `person_ids` who are there and for whom `matches` holds."""
    ids = list(person_ids)
    found: set[int] = set()
    for begin in range(0, len(ids), IDS_PER_QUERY):
        part = ids[begin : begin + IDS_PER_QUERY]
        found.update(
            session.scalars(select(PersonRow.id).where(PersonRow.id.in_(part), is_live(), matches))
        )
    return found


def _insert_new(session: Session) -> Insert:
    """Return an INSERT that leaves out rows which the unique key of deliveries refuses."""
    table = cast("Table", DeliveryRow.__table__)
    name = dialect_of(session)
    if name != "mysql":
        once: dict[str, Any] = (
            {"constraint": "uq_engage_delivery_once"}
            if name == "postgresql"
            else {"index_elements": ["source", "person_id", "occurrence"]}
        )
        return cast("Insert", insert_of(name, table).on_conflict_do_nothing(**once))
    # IGNORE, which counts what was written rightly; it would also cut values that are too
    # long, and there are none: each is a constant of ours or comes from a column.
    return insert(table).prefix_with("IGNORE")


def commit_by_statement(session: Session) -> None:
    """On a database server, let each statement of this session commit by itself.

    A process that is stopped or cut off between a statement and its COMMIT would hold the
    locks on its rows until somebody notices. SQLite has nobody who could commit for us.
    """
    if dialect_of(session) != "sqlite":
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})


def reachable(channel: str) -> ColumnElement[bool]:
    """Return the condition that a message of `channel` can be meant for a person at all."""
    there = and_(is_live(), PersonRow.gone_at.is_(None))
    if channel == "email":
        return and_(
            there,
            PersonRow.email.is_not(None),
            PersonRow.email != "",
            PersonRow.unsubscribed_at.is_(None),
        )
    return and_(there, PersonRow.user_id.is_not(None))


def _chosen(session: Session, wish: FanOut, after: int, until: int | None) -> Select[Any]:
    """Return the rows to be written, as a SELECT over people."""
    values: dict[str, ColumnElement[Any]] = {
        "public_id": _fresh_id(session),
        "source": literal(wish.source, CodeText(200)),
        "person_id": PersonRow.id.expression,
        "occurrence": _occurrence(wish),
        "channel": literal(wish.channel, CodeText(16)),
        **_variant_columns(wish),
        "state": _state(wish),
        "not_before": literal(wish.now, UTCDateTime()),
        "attempts": literal(0),
        "created_at": literal(wish.now, UTCDateTime()),
        "updated_at": literal(wish.now, UTCDateTime()),
    }
    chosen = (
        select(*(value.label(name) for name, value in values.items()))
        .where(PersonRow.id > after)
        .where(reachable(wish.channel))
        .where(_not_yet(wish))
        .where(wish.matches)
        .order_by(PersonRow.id)  # all writers in one order: no deadlocks between them
    )
    if until is not None:
        chosen = chosen.where(PersonRow.id <= until)
    if wish.fenced is not None:
        chosen = chosen.where(wish.fenced)
    return chosen


def _earlier(wish: FanOut) -> ColumnElement[bool]:
    return and_(DeliveryRow.source == wish.source, DeliveryRow.person_id == PersonRow.id)


def _not_yet(wish: FanOut) -> ColumnElement[bool]:
    """Return the condition that nothing stands against one more delivery to a person."""
    against = [_earlier(wish)]
    if wish.interval is not None:
        last = func.coalesce(DeliveryRow.sent_at, DeliveryRow.created_at)
        since = wish.now - wish.interval
        against.append(or_(last > since, DeliveryRow.state.in_(OPEN_STATES)))
    # Not NOT EXISTS: PostgreSQL makes a join of that, and while it has not counted the fresh
    # rows of a large send it joins by comparing each person with each of them.
    return select(DeliveryRow.id).where(*against).limit(1).scalar_subquery().is_(None)


def _occurrence(wish: FanOut) -> ColumnElement[str]:
    """Return which send this would be for a person, counted from 1."""
    if wish.interval is None:
        return literal("1", CodeText(191))
    sends = select(func.count()).where(_earlier(wish)).scalar_subquery()
    return sql_cast(sends + 1, String(20))


def _state(wish: FanOut) -> ColumnElement[str]:
    queued = literal("queued", CodeText(16))
    if not wish.holdout:
        return queued
    held = share(PersonRow.id.expression, f"holdout/{wish.source}") < below(wish.holdout)
    return case((held, literal("held_out", CodeText(16))), else_=queued)


def _variant_columns(wish: FanOut) -> dict[str, ColumnElement[Any]]:
    """Return which variant a person gets: name, words and their version."""
    return {
        "variant": _by_variant(wish, CodeText(64), [v.name for v in wish.variants]),
        "content_id": _by_variant(wish, BigId, [v.content_id for v in wish.variants]),
        "content_version": _by_variant(wish, Integer(), [v.content_version for v in wish.variants]),
    }


def _by_variant(wish: FanOut, kind: TypeEngine[Any], values: Sequence[Any]) -> ColumnElement[Any]:
    """Return the one of `values` that belongs to a person's variant."""
    literals = [literal(value, kind) for value in values]
    if len(literals) == 1:
        return literals[0]
    drawn = share(PersonRow.id.expression, f"variant/{wish.source}")
    cases = [
        (drawn < PRIME * (place + 1) // len(literals), value)
        for place, value in enumerate(literals[:-1])
    ]
    return case(*cases, else_=literals[-1])


def _fresh_id(session: Session) -> ColumnElement[str]:
    """Return an expression for an id that nobody can guess, a new one for each row."""
    name = dialect_of(session)
    if name == "sqlite":
        return func.lower(func.hex(func.randomblob(12)))
    if name == "postgresql":
        return func.replace(sql_cast(func.gen_random_uuid(), String(36)), "-", "")
    # No random bytes before MariaDB 10.10: a secret of this statement, and the row's own key.
    secret = literal(secrets.token_hex(32), String(64))
    return func.left(func.sha2(func.concat(secret, PersonRow.id.expression), 256), 24)
