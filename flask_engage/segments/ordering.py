"""The orders that a list of people can have, cut so that each piece can use an index.

People without the value come last in either direction. So an order is a row of stretches (those
who have it, those who don't; of an attribute, one for each kind), and within a stretch people
stand by value and then by id. A page starts in the middle of one stretch and may run into the
next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, and_, literal, or_, select, true
from sqlalchemy.orm import Session

from ..errors import InvalidFilter
from ..store.attribute import kinds_of_attribute
from ..store.base import UTCDateTime
from ..store.person import PersonRow
from ..store.profile import plain_number
from ..store.relationship import RelationshipRow
from .comparison import iso_time
from .compile import COLUMNS
from .fields import FIELDS, field_kind
from .json_sql import Member, number_literal
from .text_sql import sorted_last
from .values import Kind, checked_name, checked_text, did_you_mean

ATTRIBUTE_PREFIX = "attr:"

_INDEXED = frozenset(
    {"user_id", "last_seen", "signed_up", "email", "name", "sessions", "relationship"}
)

CursorValue = str | int | float | bool | None
"""Where within a stretch a page begins; in JSON's words."""


@dataclass(frozen=True)
class Stretch:
    """People who stand together in an order."""

    condition: ColumnElement[bool]
    """Who they are."""
    is_empty: bool = False
    """Whether it is known that there is nobody."""
    column: Any = None
    """What they are ordered by before their id; none: only by their id."""
    value_of: Callable[[PersonRow, int | None], CursorValue] = lambda _row, _hearts: None
    """Gives one person's value, for a cursor."""
    bound: Callable[[CursorValue], ColumnElement[Any] | None] = lambda _value: None
    """Makes of a cursor's value what `column` can be compared with, or raises."""
    id: Any = field(default_factory=lambda: PersonRow.id)  # a column as default is a descriptor
    """The person's id, in the table whose index has `column`."""

    @property
    def is_related(self) -> bool:
        """Whether `column` is of the person's relationship, which the query must join."""
        return self.column is RelationshipRow.hearts

    def ordered(self, *, descending: bool, by_index: bool = True) -> list[Any]:
        """Return the ORDER BY within the stretch.

        :param by_index: whether an index may serve it, if there is one.
        """
        columns = [self.id] if self.column is None else [self.column, self.id]
        if not by_index:
            columns = [sorted_last(column) for column in columns]
        return [column.desc() if descending else column.asc() for column in columns]

    def beyond(
        self, value: CursorValue, person_id: int, *, descending: bool
    ) -> ColumnElement[bool]:
        """Return the condition of standing after the person with that value and id."""
        later_id: ColumnElement[bool] = self.id < person_id if descending else self.id > person_id
        bound = self.bound(value)
        if self.column is None or bound is None:
            return later_id
        column = self.column
        # The first half alone would do for nothing; it is what an index can start from.
        if descending:
            return and_(column <= bound, or_(column < bound, later_id))
        return and_(column >= bound, or_(column > bound, later_id))


def has_index(sort: str) -> bool:
    """Tell whether the order by `sort` may have an index: of an attribute that isn't known."""
    return sort.startswith(ATTRIBUTE_PREFIX) or sort in _INDEXED


def stretches(session: Session, sort: str, *, descending: bool, dialect: str) -> list[Stretch]:
    """Return the stretches of the order by `sort`, a person field or ``attr:<name>``.

    :raises InvalidFilter: if there is no such order.
    """
    if sort.startswith(ATTRIBUTE_PREFIX):
        name = checked_name(sort.removeprefix(ATTRIBUTE_PREFIX), "an attribute")
        # Else everybody would be gone through to learn that nobody has a value of some kind.
        there = kinds_of_attribute(session, name)
        return _by_attribute(name, descending, dialect, there)
    if sort not in FIELDS or field_kind(sort) == "tags":
        sortable = [name for name, kind in FIELDS.items() if kind != "tags"]
        raise InvalidFilter(f"People can't be sorted by {sort!r}: {did_you_mean(sort, sortable)}")
    if sort == "unsubscribed":
        column: Any = PersonRow.unsubscribed_at
        halves = [Stretch(column.is_(None)), Stretch(column.is_not(None))]
        return halves[::-1] if descending else halves
    if sort == "relationship":
        column = RelationshipRow.hearts
        person_id = RelationshipRow.person_id
        having = Stretch(
            column.is_not(None),
            column=column,
            value_of=lambda _row, hearts: hearts,
            bound=_whole,
            id=person_id,
        )
        none = select(person_id).where(person_id == PersonRow.id, column.is_not(None))
        return [having, Stretch(~none.correlate(PersonRow).exists())]
    return _by_column(sort)


def _by_column(sort: str) -> list[Stretch]:
    column = COLUMNS[sort] if sort in COLUMNS else getattr(PersonRow, sort)
    kind = field_kind(sort)

    def value_of(row: PersonRow, _hearts: int | None) -> CursorValue:
        value = getattr(row, column.key)
        return value.isoformat() if isinstance(value, datetime) else value

    bound = {"s": _text, "n": _whole, "t": _time}[kind]
    having = Stretch(column.is_not(None), column=column, value_of=value_of, bound=bound)
    return [having] if sort == "sessions" else [having, Stretch(column.is_(None))]


def _by_attribute(
    name: str, descending: bool, dialect: str, there: Collection[str]
) -> list[Stretch]:
    kinds: list[Kind] = ["n", "b", "t", "s"]
    members: dict[Kind, Member] = {
        kind: Member(dialect, PersonRow.attributes, f"{kind}:{name}") for kind in kinds
    }

    def stretch(kind: Kind) -> Stretch:
        key = f"{kind}:{name}"
        bounds: dict[Kind, Callable[[CursorValue], Any]] = {
            "n": lambda value: number_literal(dialect, _checked_number(value)),
            "b": lambda value: literal("true" if value is True else "false", String()),
            "t": lambda value: literal(iso_time(_checked_time(value)), String()),
            "s": _text,
        }
        column = members[kind].value(kind)
        return Stretch(
            column.is_not(None),
            kind not in there,
            column,
            lambda row, _hearts: plain_number(row.attributes.get(key)),
            bounds[kind],
        )

    found = [stretch(kind) for kind in kinds]
    missing = Stretch(
        and_(true(), *(members[kind].value(kind).is_(None) for kind in kinds if kind in there))
    )
    return [*(found[::-1] if descending else found), missing]


def _text(value: CursorValue) -> ColumnElement[Any]:
    if not isinstance(value, str) or "\0" in value:
        raise InvalidFilter("The cursor is not one of ours.")
    return literal(checked_text(value), String())


def _whole(value: CursorValue) -> ColumnElement[Any]:
    if type(value) is not int:
        raise InvalidFilter("The cursor is not one of ours.")
    return literal(_checked_number(value), BigInteger())


def _time(value: CursorValue) -> ColumnElement[Any]:
    return literal(_checked_time(value), UTCDateTime())


def _checked_number(value: CursorValue) -> int | float:
    if isinstance(value, float) and isfinite(value):
        return value
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    raise InvalidFilter("The cursor is not one of ours.")


def _checked_time(value: CursorValue) -> datetime:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidFilter("The cursor is not one of ours.") from None
