"""Values, events and properties that exist, for whoever is building a filter.

Each question looks at a bounded number of rows, the newest, by an index; the answer says
whether that was everything.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..errors import InvalidFilter
from ..store.attribute import AttributeRow, kinds_of_attribute
from ..store.engine import Database
from ..store.event import EventNameRow, EventRow
from ..store.person import PersonRow, PersonTagRow, is_live
from ..store.time_limit import statements_within
from .fields import FIELDS, field_kind
from .values import KIND_WORDS, did_you_mean

SAMPLE = 20_000
"""Rows that one question looks at: some ten milliseconds' worth."""
EVENTS = 500
"""Events that the names of properties are taken from."""
SECONDS = 0.5
"""What an operator who is typing waits for; what takes longer offers nothing."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """A value that people have."""

    value: str | int | float | bool
    """Times are not suggested."""
    count: int
    """How many of those looked at have it."""


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The most frequent values."""

    values: tuple[Suggested, ...]
    looked_at: int
    """Rows that were counted."""
    complete: bool
    """Whether those were all; if not, the counts are of the newest only."""


def in_time(
    database: Database, ask: Callable[[Session], Suggestions], seconds: float = SECONDS
) -> Suggestions | None:
    """Return what `ask` finds, or None if one of its statements takes longer than `seconds`."""
    end = time.monotonic() + seconds
    try:
        with database.read() as session, statements_within(session, seconds):
            return ask(session)
    except DBAPIError:
        if time.monotonic() < end - 0.05:
            raise  # it was not our limit that ended it
        return None


def field_values(session: Session, field: str, *, search: str = "", limit: int = 10) -> Suggestions:
    """Return the texts that a person field has, or the tags that people have.

    :param search: what they begin with, letter for letter.
    :raises InvalidFilter: if there is no such field, or it holds no texts.
    """
    kind = field_kind(field)
    if kind not in ("s", "tags"):
        texts = [name for name, of in FIELDS.items() if of in ("s", "tags")]
        raise InvalidFilter(f"person.{field} has no texts: {did_you_mean(field, texts)}")
    column: Any = PersonTagRow.name if kind == "tags" else getattr(PersonRow, field)
    newest = (
        select(column.label("value")).order_by(PersonTagRow.person_id.desc())
        if kind == "tags"
        else select(column.label("value")).where(is_live()).order_by(PersonRow.id.desc())
    )
    return _counted(session, newest, search, limit)


def attribute_values(
    session: Session, name: str, *, search: str = "", limit: int = 10
) -> Suggestions:
    """Return the values that the attribute `name` has, of every kind but times."""
    # Of each kind by itself, as the index has them.
    by_kind = [
        select(AttributeRow.value.label("value"), AttributeRow.person_id.label("person_id"))
        .where(AttributeRow.name == name, AttributeRow.kind == kind)
        .order_by(AttributeRow.person_id.desc())
        .limit(SAMPLE)
        .subquery()
        for kind in kinds_of_attribute(session, name)
        if kind != "t"
    ]
    if not by_kind:
        return Suggestions((), 0, True)
    some = union_all(*map(select, by_kind)).subquery()
    newest = select(some.c.value).order_by(some.c.person_id.desc())
    found = _counted(session, newest, "", None)
    values = [Suggested(json.loads(str(one.value)), one.count) for one in found.values]
    fitting = [one for one in values if str(one.value).startswith(search)]
    return Suggestions(tuple(fitting[:limit]), found.looked_at, found.complete)


def property_values(
    session: Session, event: str, name: str, *, search: str = "", limit: int = 10
) -> Suggestions:
    """Return the values that the property `name` has in the newest events called `event`."""
    rows = _newest_properties(session, event, SAMPLE // 10)
    counted: Counter[tuple[type, Any]] = Counter()
    for properties in rows:
        value = (properties or {}).get(name)
        if isinstance(value, (str, int, float)) and str(value).startswith(search):
            counted[type(value), value] += 1
    values = tuple(Suggested(value, count) for (_, value), count in counted.most_common(limit))
    return Suggestions(values, len(rows), len(rows) < SAMPLE // 10)


def event_suggestions(session: Session, *, search: str = "", limit: int = 10) -> Suggestions:
    """Return the events that anybody ever did, the most frequent first; counts are exact."""
    rows = session.execute(
        select(EventNameRow.name, EventNameRow.count.label("number"))
        .where(*_beginning(EventNameRow.name, search))
        .order_by(EventNameRow.count.desc(), EventNameRow.name)
        .limit(limit)
    ).all()
    return Suggestions(tuple(Suggested(row.name, row.number) for row in rows), len(rows), True)


def event_is_known(session: Session, name: str) -> bool:
    """Tell whether anybody ever did `name`."""
    query = select(EventNameRow.name).where(EventNameRow.name == name).limit(1)
    return session.scalar(query) is not None


def attribute_is_known(session: Session, name: str) -> bool:
    """Tell whether anybody has the attribute `name`."""
    query = select(AttributeRow.name).where(AttributeRow.name == name).limit(1)
    return session.scalar(query) is not None


def property_names(session: Session, event: str) -> dict[str, tuple[str, ...]]:
    """Return the properties that the newest events called `event` have, with their kinds."""
    found: dict[str, dict[str, None]] = {}
    for properties in _newest_properties(session, event, EVENTS):
        for name, value in (properties or {}).items():
            kind = _kind(value)
            if kind is not None:
                found.setdefault(name, {})[KIND_WORDS[kind]] = None
    return {name: tuple(kinds) for name, kinds in sorted(found.items())}


def property_suggestions(session: Session, event: str) -> Suggestions:
    """Return the names of the properties of `event`, the most frequent first."""
    rows = _newest_properties(session, event, EVENTS)
    counted: Counter[str] = Counter()
    for properties in rows:
        counted.update(
            name for name, value in (properties or {}).items() if _kind(value) is not None
        )
    values = tuple(Suggested(name, count) for name, count in counted.most_common())
    return Suggestions(values, len(rows), len(rows) < EVENTS)


def _newest_properties(session: Session, event: str, limit: int) -> list[Any]:
    query = select(EventRow.properties).where(EventRow.name == event)
    return list(session.scalars(query.order_by(EventRow.occurred_at.desc()).limit(limit)))


def _kind(value: object) -> str | None:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, (int, float)):
        return "n"
    return "s" if isinstance(value, str) else None


def _counted(session: Session, newest: Select[Any], search: str, limit: int | None) -> Suggestions:
    sample = newest.limit(SAMPLE).subquery()
    looked_at = session.scalar(select(func.count()).select_from(sample)) or 0
    number = func.count()
    query = (
        select(sample.c.value, number)
        .where(sample.c.value.is_not(None), *_beginning(sample.c.value, search))
        .group_by(sample.c.value)
        .order_by(number.desc(), sample.c.value)
    )
    rows = session.execute(query if limit is None else query.limit(limit)).all()
    values = tuple(Suggested(value, count) for value, count in rows)
    return Suggestions(values, looked_at, looked_at < SAMPLE)


def _beginning(column: Any, search: str) -> list[Any]:
    if "\0" in search or any("\ud800" <= sign <= "\udfff" for sign in search):
        return [column.is_(None), column.is_not(None)]  # no text begins so
    return [func.substr(column, 1, len(search)) == search] if search else []
