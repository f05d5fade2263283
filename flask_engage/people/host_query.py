"""A select that the host wrote, in a form that can be paged and ordered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, type_coerce
from sqlalchemy.orm import Query, Session
from sqlalchemy.sql.expression import SelectBase
from sqlalchemy.types import NullType

from ..errors import InvalidFact

_MADE_UP = re.compile(r"%\(-?\d+ [^()]+\)s")
"""Stands in what SQLAlchemy calls a column that has no name: with the number of an object in
memory, so that it is called otherwise in each process."""


def derived(query: Any, what: str, columns: int) -> Subquery:
    """Return `query` as a table of its own.

    :raises InvalidFact: if it is no select of at least so many columns.
    """
    if isinstance(query, Query):
        query = query.statement
    if not isinstance(query, SelectBase):
        hint = "text(…).columns(…)" if type(query).__name__ == "TextClause" else "select(…)"
        raise InvalidFact(f"{what} gave a {type(query).__name__}; give a {hint} of SQLAlchemy.")
    found = query.subquery("host")
    if len(found.c) < columns:
        raise InvalidFact(
            f"{what} gave a select of {len(found.c)} columns; at least {columns} are needed: the "
            "user's id comes first."
        )
    return found


def label_of(columns: Sequence[ColumnElement[Any]], place: int) -> str:
    """Return the name of the column at `place`, counted from 0: its label, or what it is named.

    :raises InvalidFact: if it has none, as what is computed and not labelled.
    """
    label = str(columns[place].key)
    if _MADE_UP.search(label):
        raise InvalidFact(f"column {place + 1} of the select has no name; give it .label('…').")
    return label


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a value that its column's type can't read: text that is no time, for one."""

    raw: Any

    def __repr__(self) -> str:
        return f"unreadable {self.raw!r:.60}"


def rows_of(session: Session, query: Select[Any]) -> Sequence[Any]:
    """Return the rows of `query`; a value that can't be read costs no other one."""
    try:
        return session.execute(query).all()
    except (ValueError, TypeError):
        return _one_by_one(session, query)


def _one_by_one(session: Session, query: Select[Any]) -> Sequence[Any]:
    """Read the values as the driver gives them, and each by its type."""
    columns = query.selected_columns
    dialect = session.get_bind().dialect
    readers: list[Callable[[Any], Any] | None] = [
        column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
    ]
    raw = query.with_only_columns(
        *(type_coerce(column, NullType()).label(f"c{n}") for n, column in enumerate(columns))
    )
    return [
        tuple(_read(reader, value) for reader, value in zip(readers, row, strict=True))
        for row in session.execute(raw)
    ]


def _read(reader: Callable[[Any], Any] | None, value: Any) -> Any:
    try:
        return value if reader is None else reader(value)
    except (ValueError, TypeError):
        return Unreadable(value)
