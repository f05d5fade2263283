"""Pages of a list of people: cursors, and the walk along an order."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from ..errors import InvalidFilter
from ..store.person import PersonRow
from ..store.relationship import RelationshipRow
from ..types import Person
from .ordering import CursorValue, Stretch, stretches
from .profiles import as_people, select_people
from .text_sql import apart

LIMIT = 500
"""People on one page at most."""
_CURSOR_LENGTH = 8192
_NO_CURSOR = "The cursor {cursor} is not one of ours; start from the first page."


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the people who match, in order."""

    people: tuple[Person, ...]
    next: str | None = None
    """Cursor of the page that follows, if there is one."""
    previous: str | None = None
    """Cursor of the page before, if there is one."""
    places: tuple[str, ...] = ()
    """Where each of them stands, for :meth:`.people.People.beside`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in an order: just after one person, or just before."""

    sort: str
    descending: bool
    back: bool
    """Whether the page lies before the person."""
    stretch: int
    value: CursorValue
    person_id: int

    def encode(self) -> str:
        """Return it as opaque text that may stand in a URL."""
        fields = [self.sort, self.descending, self.back, self.stretch, self.value, self.person_id]
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Return the cursor that `text` stands for.

        :raises InvalidFilter: if it is none.
        """
        error = InvalidFilter(_NO_CURSOR.format(cursor=repr(text[:40])))
        if len(text) > _CURSOR_LENGTH:
            raise error
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            fields = json.loads(raw.decode())
        except (binascii.Error, ValueError, RecursionError):
            raise error from None
        if not isinstance(fields, list) or len(fields) != 6:
            raise error
        sort, descending, back, stretch, value, person_id = fields
        plain = value is None or isinstance(value, (str, int, float))
        whole = type(stretch) is int and type(person_id) is int and 0 <= person_id < 2**63
        flags = isinstance(descending, bool) and isinstance(back, bool)
        if not (plain and whole and flags and isinstance(sort, str)):
            raise error
        return cls(sort, descending, back, stretch, value, person_id)


def turned(place: str, *, back: bool) -> str:
    """Return the cursor of what follows a place, or of what lies before it.

    :raises InvalidFilter: if it is no place.
    """
    return replace(Cursor.decode(place), back=back).encode()


def read_page(
    session: Session,
    condition: ColumnElement[bool],
    *,
    dialect: str,
    sort: str,
    descending: bool,
    after: str | None,
    limit: int,
    as_set: bool = False,
) -> Page:
    """Return the page of those who meet `condition` that begins at the cursor `after`.

    :param as_set: find all who meet it first, and put them in order then; else people are
        looked at in order until there are enough.
    :raises InvalidFilter: for an order that there isn't, or a cursor that isn't of this order.
    """
    if not 1 <= limit <= LIMIT:
        raise InvalidFilter(f"limit={limit!r}: a page has 1 to {LIMIT} people.")
    pieces = stretches(session, sort, descending=descending, dialect=dialect)
    cursor = Cursor.decode(after) if after else None
    if cursor is not None:
        of_this_order = cursor.sort == sort and cursor.descending is descending
        if not of_this_order or not 0 <= cursor.stretch < len(pieces):
            raise InvalidFilter(_NO_CURSOR.format(cursor=repr(after)[:40]))
        pieces[cursor.stretch].bound(cursor.value)  # raises where it isn't one of this stretch
    walk = _Walk(session, condition, pieces, descending, cursor, as_set)
    found = walk.collect(limit + 1)
    more, found = len(found) > limit, found[:limit]
    back = cursor is not None and cursor.back
    if back:
        found.reverse()
    people = tuple(as_people(session, [row for _, row in found]))

    def place(place: tuple[int, Any], *, back: bool) -> str:
        stretch, (row, hearts) = place
        value = pieces[stretch].value_of(row, hearts)
        return Cursor(sort, descending, back, stretch, value, row.id).encode()

    follows = bool(found) and (back or more)
    precedes = bool(found) and (more if back else cursor is not None)
    return Page(
        people,
        places=tuple(place(one, back=False) for one in found),
        next=place(found[-1], back=False) if follows else None,
        previous=place(found[0], back=True) if precedes else None,
    )


class _Walk:
    """Goes along the stretches of an order, forward or back, until enough people are found."""

    def __init__(
        self,
        session: Session,
        condition: ColumnElement[bool],
        pieces: Sequence[Stretch],
        descending: bool,
        cursor: Cursor | None,
        as_set: bool,
    ) -> None:
        self._session = session
        self._as_set = as_set
        self._condition = condition
        self._pieces = pieces
        self._cursor = cursor
        self._back = cursor is not None and cursor.back
        self._descending = descending is not self._back

    def collect(self, wanted: int) -> list[tuple[int, Any]]:
        """Return up to `wanted` rows in walking order, each with the number of its stretch."""
        found: list[tuple[int, Any]] = []
        for index in self._indexes():
            found += [(index, row) for row in self._rows(index, wanted - len(found))]
            if len(found) >= wanted:
                break
        return found

    def _indexes(self) -> range:
        start = self._cursor.stretch if self._cursor is not None else 0
        return range(start, -1, -1) if self._back else range(start, len(self._pieces))

    def _rows(self, index: int, wanted: int) -> Sequence[Any]:
        piece, cursor = self._pieces[index], self._cursor
        if piece.is_empty:
            return []
        query = self._query().where(piece.condition)
        if piece.is_related:
            # A walk goes from the index on hearts to each person, and not the other way round;
            # of a set each person's hearts are looked up.
            theirs = RelationshipRow.person_id
            query = query.join(
                RelationshipRow, PersonRow.id == (theirs if self._as_set else apart(theirs))
            )
        if cursor is not None and cursor.stretch == index:
            query = query.where(
                piece.beyond(cursor.value, cursor.person_id, descending=self._descending)
            )
        order = piece.ordered(descending=self._descending, by_index=not self._as_set)
        # Whole rows are read only of those on the page: where there is no index for the order,
        # everybody is gone through, and to carry all of a person along would be most of it.
        chosen = query.order_by(*order).limit(wanted).subquery("chosen")
        people = select_people().join(chosen, chosen.c.id == PersonRow.id)
        return self._session.execute(people.order_by(*order)).all()

    def _query(self) -> Select[Any]:
        """Return the question for the ids of those who meet the condition."""
        query = select(PersonRow.id).where(self._condition)
        if not self._as_set or self._session.get_bind().dialect.name != "sqlite":
            return query
        # Of one question SQLite makes a walk along the index of the order's column after all,
        # because the column is asked to have a value.
        met = query.offset(0).subquery("met")
        return select(PersonRow.id).join(met, met.c.id == PersonRow.id)
